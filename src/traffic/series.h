// A measured (or synthetic) series of traffic matrices, and the arrays that say which parts of it may be used together.
//   x[t][i][j] >= 0   mean rate from origin i to destination j in snapshot t, kbit/s; flow f = i*N + j, F = N*N
//   slot[t]           position of snapshot t on the regular time grid, in slots of slot_seconds; strictly increasing
//   runs              maximal index ranges whose slots are consecutive.  No window crosses the border of two runs.
//   valid[t]          0 = leave the snapshot out (protocol `clean`); no window and no looked-up value contains it
// All arrays live in the arena given to the function that makes the series.
//
// The rule for suspicious snapshots.  Let r_t = total_t / median of the totals of the snapshots t-D .. t+D (D = slots
// of one day, clipped at the ends of the file).  r_t > 5: corrupt; r_t < 1/3: nearly empty; up to 3 snapshots between
// two corrupt ones: corrupt as well (a broken block).  The three constants were chosen once, by looking at Abilene and
// GEANT as a whole; they are the same for training and test rows, and nothing is fitted.  The rule looks one day ahead,
// so it judges the measurement afterwards, and no forecast may use it: its only effect is that windows with such a
// snapshot are neither trained on nor scored, for every model alike.  Callers print the count; a caller that wants all
// rows does not mark them.
// A centred median is needed: after a long burst the median of the past day alone calls normal traffic "nearly empty".
#ifndef LEAD_TRAFFIC_SERIES_H
#define LEAD_TRAFFIC_SERIES_H

#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

typedef struct TrafficRange { int64_t begin, end; } TrafficRange;   // rows begin .. end-1

typedef struct TrafficSeries {
    int N;                       // nodes, >= 2
    int64_t T;                   // snapshots, >= 2
    int slot_seconds;            // length of a slot, s
    int64_t calendar_shift_s;    // added to the times before hour and weekday are computed (GEANT: 10681200)
    float *x;                    // [T][N][N] kbit/s
    int64_t *time;               // [T] start of the snapshot, Unix s; NULL = unknown (calendar starts Monday 00:00)
    int64_t *slot;               // [T]
    uint8_t *valid;              // [T]
    int64_t n_runs;
    TrafficRange *runs;          // [n_runs]
} TrafficSeries;

typedef struct TrafficReadOptions {
    const char *times_path;      // times.npy of a .npy series; NULL = times.npy beside it when there is one
    int slot_seconds;            // 0 = the median step of the times, or 300 without times
    int64_t calendar_shift_s;
    const int64_t *gaps;         // explicit `--gaps`: rows that begin a new run ...
    int64_t n_gaps;              // ... in addition to those that the times show
} TrafficReadOptions;

// Reads a file whose name ends in .npy ([T,N,N] or [T,N*N], '<f4' or '<f8'), or any other as CSV (see csv.h).  o may be
// NULL.  Errors name the file, what was wanted and what was found: those of npy.h and csv.h; not square, N < 2, T < 2;
// NaN, Inf, negative, above the float range; times of another length or not increasing; gaps outside the file.
Status traffic_series_read(TrafficSeries *s, Arena *a, const char *path, const TrafficReadOptions *o);

// Makes a series of values already in memory: x [T][N][N] and time [T] (or NULL) are kept, not copied.  Checks the
// values and builds slot, runs and valid (all 1).  Errors as above, beginning with `name`.
Status traffic_series_init(TrafficSeries *s, Arena *a, const char *name, int N, int64_t T, float *x, int64_t *time,
                           const TrafficReadOptions *o);

// Writes x to path (.npy) and, when known, the times to times_path (NULL = times.npy beside it); each file whole or
// not at all, both synced before either takes its name.
Status traffic_series_write(const TrafficSeries *s, const char *path, const char *times_path);

// The same values seen as one run of valid snapshots, gaps ignored: protocol flow-by-flow scores this series.
TrafficSeries traffic_series_flatten(const TrafficSeries *s, Arena *a);

// valid[row] = 0.  Error: a row outside 0 .. T-1.
Status traffic_series_mark_invalid(TrafficSeries *s, const int64_t *rows, int64_t n);

// The valid row `offset` slots after row t (before, when negative), by time; -1 = none there, or invalid.
int64_t traffic_row_at(const TrafficSeries *s, int64_t t, int64_t offset);

int64_t traffic_slots_per_day(const TrafficSeries *s);

// The offset in slots from t to the value one or more days (week: weeks) before t+h, the latest that is at most -margin
// and so known at t.
int64_t traffic_season_offset(const TrafficSeries *s, int h, bool week, int margin);

// Position in the calendar of the slot `ahead` slots after row t (t+ahead may lie beyond the end of the file):
// slot of the day 0 .. slots_per_day-1, day of the week 0 = Monday.
void traffic_calendar(const TrafficSeries *s, int64_t t, int64_t ahead, int *slot_of_day, int *day_of_week);

// The number of the calendar day of row t, counted from the day of row 0.  Where a day does not divide into slots, days
// of slots_per_day slots take its place; without times, the calendar begins at row 0.
int64_t traffic_day(const TrafficSeries *s, int64_t t);

typedef struct TrafficSuspect {
    int64_t row;
    double ratio;                // r_t
    bool high;                   // corrupt: far too high, or inside a block of such; else nearly empty
} TrafficSuspect;

// Finds all suspicious snapshots by the rule above, in row order; returns their number.  The result lives in a.
int64_t traffic_suspects_find(const TrafficSeries *s, Arena *a, TrafficSuspect **out);
// traffic_suspects_find + traffic_series_mark_invalid; returns the number marked.
int64_t traffic_suspects_mark(TrafficSeries *s, Arena *a);

// Blocks of at least half a day whose rows equal, bit for bit, the rows one day (by index) earlier: rows
// begin .. end-1 repeat begin-D .. end-1-D.  Information only.
int64_t traffic_duplicates_find(const TrafficSeries *s, Arena *a, TrafficRange **out);

typedef enum TrafficProtocol {
    PROTOCOL_CLEAN,              // 70 / 15 / 15 in time, suspicious snapshots left out, statistics from training rows
    PROTOCOL_ROLLING,            // the splits of clean; a forecast may use every row before its own day
    PROTOCOL_FLOW_BY_FLOW,       // 70 / 10 / 20 in time, nothing left out, every flow divided by its all-time maximum
} TrafficProtocol;

typedef struct TrafficSplits { TrafficRange train, val, test; } TrafficSplits;
TrafficSplits traffic_splits(int64_t T, TrafficProtocol protocol);   // borders floor(T*7/10), floor(T*85/100 or 8/10)

// Starts of all windows of history+horizon snapshots wholly inside rows (of one split), inside one run and valid.
// The window of start b has history b .. b+history-1 and targets b+history .. b+history+horizon-1.
// stride > 1 keeps every stride-th of them.  Returns their number (0 is possible).
int64_t traffic_windows(const TrafficSeries *s, Arena *a, TrafficRange rows, int history, int horizon, int64_t stride,
                        int64_t **starts);

#endif
