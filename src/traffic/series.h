// A measured (or synthetic) series of traffic matrices, and the arrays that say which parts of it may be used together.
//   x[t][i][j] >= 0   mean rate from origin i to destination j in snapshot t, kbit/s; flow f = i*N + j, F = N*N
//   slot[t]           position of snapshot t on the regular time grid, in slots of slot_seconds; strictly increasing
//   runs              maximal index ranges whose slots are consecutive.  No window crosses the border of two runs.
//   valid[t]          0 = leave the snapshot out (protocol `clean`); no window and no looked-up value contains it
// All arrays live in the arena given to the function that makes the series.
//
// The rule for suspicious snapshots.  Let r_t = total_t / median of the totals of the snapshots t-D .. t+D (D = slots
// of one day, clipped at the ends of the file).  r_t > 5: corrupt; r_t < 1/3: nearly empty; up to 3 snapshots between
// two corrupt ones: corrupt as well (a broken block).  What recurs is neither (a nightly backup of six times the load,
// a network that is idle at night): where in most of the slots 1, 2 and 3 days before and after, or 7 and 14, give or
// take a slot, r is at least half as high (twice as low, at most).  The constants were chosen once, by looking at
// Abilene and GEANT as a whole; they are the same for training and test rows, and nothing is fitted.  The rule looks
// days ahead, so it judges the measurement afterwards, and no forecast may use it: its only effect, where a caller
// marks such snapshots invalid, is that windows with one are neither trained on nor scored, for every model alike.
// Callers print the count.
// A centred median is needed: after a long burst the median of the past day alone calls normal traffic "nearly empty".
#ifndef LEAD_TRAFFIC_SERIES_H
#define LEAD_TRAFFIC_SERIES_H

#include <stdint.h>
#include <stdio.h>

#include "tensor/arena.h"
#include "tensor/status.h"
#include "traffic/table.h"

typedef struct TrafficRange { int64_t begin, end; } TrafficRange;   // rows begin .. end-1

// What reading understood, guessed and mended; traffic_reading_print shows it.  All zero where nothing was done.
enum { TRAFFIC_MAX_NOTES = 24 };
typedef struct TrafficNotes { int n; const char *line[TRAFFIC_MAX_NOTES]; } TrafficNotes;
// Adds a line; those beyond TRAFFIC_MAX_NOTES are dropped.  notes may be NULL.
void traffic_note(TrafficNotes *notes, Arena *a, const char *format, ...) __attribute__((format(printf, 3, 4)));

typedef struct TrafficReading {
    const char *format, *unit;           // NULL: nothing to say
    bool unit_assumed;                   // neither the file nor an option names it
    int64_t cells_missing;               // NaN, empty, NA, or of an absent row that was filled
    int64_t cells_filled;                // of these, in short holes
    int64_t cells_estimated;             // of these, in longer ones, in rows that are used
    int64_t cells_beyond;                // of these, beyond capacity_kbps
    double capacity_kbps;
    int64_t rows_filled;                 // absent from the file, made of their neighbours
    int64_t rows_moved, rows_repeated;   // out of order in the file; equal to one before, left out
    int64_t rows_shifted, shift_max_s;   // not on the grid of slots, by up to
    int64_t rows_merged;                 // a second one in its slot: the mean was taken
    int resampled_from;                  // slot of the file, s; 0: not resampled
    TrafficNotes notes;
} TrafficReading;

typedef struct TrafficSeries {
    int N;                       // nodes, >= 2
    int64_t T;                   // snapshots, >= 2
    int slot_seconds;            // length of a slot, s
    int64_t calendar_shift_s;    // added to the times before hour and weekday are computed (GEANT: 10681200)
    float *x;                    // [T][N][N] kbit/s; filled where a hole is short, an estimate where a value is missing
    int64_t *time;               // [T] start of the snapshot, Unix s; NULL = unknown (calendar starts Monday 00:00)
    const char *zone;            // whose clock hours and weekdays follow, summer time too; NULL = UTC
    int32_t *east;               // [T] s east of UTC on that clock; NULL = 0
    int64_t *slot;               // [T]
    uint8_t *valid;              // [T] 0 as well: nearly all values are missing and were not filled
    uint8_t *seen;               // [T][N][N] 1 = measured; 0 = missing: an input at most, never a target; NULL = all
                                 // measured
    uint8_t *measured;           // [T] 0 = the file has no such row, filled: never a target; NULL = it has all
    int64_t n_runs;
    TrafficRange *runs;          // [n_runs]
    const char *const *node;     // [N] names; NULL = none
    TrafficReading reading;
} TrafficSeries;

typedef enum TrafficAggregate { AGGREGATE_MEAN, AGGREGATE_MAX, AGGREGATE_P95 } TrafficAggregate;

typedef struct TrafficReadOptions {
    const char *times_path;      // file of the times; NULL = times.npy beside a .npy file when there is one
    int slot_seconds;            // 0 = what the file says, else the usual step of the times, or 300 without times
    int64_t calendar_shift_s;
    const int64_t *gaps;         // explicit `--gaps`: rows of the file that begin a new run ...
    int64_t n_gaps;              // ... in addition to those that the times show
    const int64_t *invalid;      // rows of the file to leave out
    int64_t n_invalid;
    int fill;                    // holes of at most so many slots are filled; 0 = none
    double capacity_kbps;        // values beyond it are missing; 0 = none
    bool keep_missing;           // what is not filled stays NaN, to be written again; else it is estimated
    const char *tz;              // zone of times without one, and of hours and weekdays; NULL = UTC for the ones, for
                                 // the others what the file says (.npz), else UTC
    const char *unit;            // of the values (unit.h); NULL = what the file says, else kbit/s
    int resample_seconds;        // 0 = slots stay as they are
    TrafficAggregate aggregate;  // of the snapshots of a longer slot
    const char *columns;         // of a long table, "time=..,source=..,destination=..,value=.."; NULL = by usual names
    double sampling;             // values of a long table are multiplied by it; 0 = by its own column, if any
    const char *map_path;        // file of routers or prefixes and their nodes; NULL = none
    int absent;                  // pairs that a long table leaves out: 0 = by its unit, 1 = zero, 2 = missing
} TrafficReadOptions;

// Reads files: .npy ([T,N,N] or [T,N*N]), .npz (series_file.h), CSV and other tables of text (csv.h, long.h), and the
// formats of formats.h; also directories, patterns and .gz.  The content decides.  o may be NULL.  Errors name the
// file, what was wanted and what was found: those of the readers; not square, N < 2, T < 2; Inf, negative, above the
// float range; times of another length; two different snapshots of one time; gaps outside the file.
Status traffic_series_read(TrafficSeries *s, Arena *a, const char *path, const TrafficReadOptions *o);
Status traffic_series_read_all(TrafficSeries *s, Arena *a, const char *const *paths, int n,
                               const TrafficReadOptions *o);

// Makes a series of what a reader found: sorts by time, finds the slot and puts jittered times on its grid, converts to
// kbit/s, resamples, fills short holes.  t->x is kept or replaced, never copied beside itself for longer than that
// takes.  Of the options, those that say how to read a file do not matter here.  Errors as above.
Status traffic_series_from_table(TrafficSeries *s, Arena *a, const char *name, TrafficTable *t,
                                 const TrafficReadOptions *o);

// Makes a series of values already in memory: x [T][N][N] and time [T] (or NULL) are kept, not copied.  Checks the
// values and builds slot, runs, valid and seen (NaN: missing, and estimated).  Of the options it heeds slot_seconds,
// calendar_shift_s, gaps.  Errors as above, beginning with `name`; times that do not increase.
Status traffic_series_init(TrafficSeries *s, Arena *a, const char *name, int N, int64_t T, float *x, int64_t *time,
                           const TrafficReadOptions *o);

// Fills the holes of at most `most` slots of each flow between measured values of one run, or beside one at its end:
// the value a day before, times the level around the hole over the level there a day before; a straight line where that
// is not known.  s->x is NaN and s->seen 0 where a value is missing; longer holes stay so.  Counts in s->reading.
void traffic_series_fill(TrafficSeries *s, Arena *a, int most);

// What is missing still (NaN) becomes an estimate, made of earlier rows alone, so that it may be the input of a
// forecast:
//   w x_last + (1 - w) x_day,   w = 2^(-age / 4 h)
// x_last: the flow's last measured value, age slots before; x_day: the value one day before, measured or estimated,
// or two .. seven days where that row is absent.  One of the two where there is only one; 0 where nothing was measured
// yet.  The half-life was chosen on the training rows of Abilene among 0.5 .. 8 h, for ages of 5 min .. 1 day.
// A row of whose off-diagonal values less than a tenth is known says too little: it becomes invalid, its missing
// values 0.
void traffic_series_estimate(TrafficSeries *s, Arena *a);

// Whether x[t][f] was measured.
static inline bool traffic_seen(const TrafficSeries *s, int64_t t, int64_t f)
{
    return !s->seen || s->seen[t * s->N * s->N + f];
}
// The same of all values of row t.
bool traffic_row_seen(const TrafficSeries *s, int64_t t);
// Values of the rows begin .. end-1 that were not measured.
int64_t traffic_missing_count(const TrafficSeries *s, TrafficRange rows);

// One printed block: format, size, names, span, slot, unit, what is missing and what was mended.
void traffic_reading_print(const TrafficSeries *s, FILE *out);

// ---- names of nodes (series_nodes.c)

// All names, a line each, as a run records them; "" when there are none.
const char *traffic_nodes_text(const TrafficSeries *s, Arena *a);
// Brings s into the order of these names (text as above).  *moved: it was another.  Nothing to do, and no error, when
// either has no names.  Errors: other names; those that are missing and those that are new are listed.
Status traffic_nodes_match(TrafficSeries *s, Arena *a, const char *names, bool *moved);
// The flow i*N + j that "A:B" names, A and B names of nodes or their numbers from 0.  Error: no such node.
Status traffic_flow_find(int *flow, const TrafficSeries *s, const char *text, size_t n);
// Text as it stands inside the quotes of CSV, where a quote is doubled.
void traffic_quoted_put(FILE *out, const char *text);
// The name of node i, or its number, as a field of CSV.
void traffic_node_put(FILE *out, const TrafficSeries *s, int64_t i);

// Writes x to path (.npy) and, when known, the times to times_path (NULL = times.npy beside it); each file whole or
// not at all, both synced before either takes its name.
Status traffic_series_write(const TrafficSeries *s, const char *path, const char *times_path);

// The same values seen as one run of valid snapshots, gaps ignored: protocol flow-by-flow scores this series.
TrafficSeries traffic_series_flatten(const TrafficSeries *s, Arena *a);

// The rows first .. T-1 as a series of their own, of at least 2 rows; values and times are shared with s.
TrafficSeries traffic_series_newest(const TrafficSeries *s, Arena *a, int64_t first);

// valid[row] = 0.  Error: a row outside 0 .. T-1.
Status traffic_series_mark_invalid(TrafficSeries *s, const int64_t *rows, int64_t n);

// The valid row `offset` slots after row t (before, when negative), by time; -1 = none there, or invalid.
int64_t traffic_row_at(const TrafficSeries *s, int64_t t, int64_t offset);

int64_t traffic_slots_per_day(const TrafficSeries *s);

// The offset in slots from t to the value one or more days (week: weeks) before t+h, the latest that is at most -margin
// and so known at t.
int64_t traffic_season_offset(const TrafficSeries *s, int h, bool week, int margin);

// Hours and weekdays follow the clock of this zone from now on (as times.h names it; NULL or "": UTC), where times are
// known.  Error: no such zone.
Status traffic_series_set_zone(TrafficSeries *s, Arena *a, const char *zone);

// Seconds since 1970-01-01 00:00 on the clock of the calendar at row t: of the zone, calendar_shift_s added.
int64_t traffic_clock(const TrafficSeries *s, int64_t t);

// Position in the calendar of the slot `ahead` slots after row t (t+ahead may lie beyond the end of the file):
// slot of the day 0 .. slots_per_day-1, day of the week 0 = Monday.  A change of the clock between the two is not seen,
// so that a forecast depends on its last row alone.
void traffic_calendar(const TrafficSeries *s, int64_t t, int64_t ahead, int *slot_of_day, int *day_of_week);

// The number of the calendar day of row t, counted from the day of row 0.  Where a day does not divide into slots, days
// of slots_per_day slots take its place; without times, the calendar begins at row 0.
int64_t traffic_day(const TrafficSeries *s, int64_t t);

// The time of row t, or "row 12" where times are unknown.
const char *traffic_row_text(const TrafficSeries *s, int64_t t, Arena *a);

typedef struct TrafficSuspect {
    int64_t row;
    double ratio;                // r_t
    bool high;                   // corrupt: far too high, or inside a block of such; else nearly empty
} TrafficSuspect;

// A snapshot with at least so many times the usual total is no traffic, whatever happened: it is left out unless all
// shall be kept.  (Corrupt ones of Abilene and GEANT: 7 .. 38 and 3,000 .. 33,000 times.)
#define TRAFFIC_IMPOSSIBLE 100.0

// Finds all suspicious snapshots by the rule above, in row order; returns their number.  The result lives in a.
int64_t traffic_suspects_find(const TrafficSeries *s, Arena *a, TrafficSuspect **out);
// traffic_suspects_find + traffic_series_mark_invalid; returns the number marked.
int64_t traffic_suspects_mark(TrafficSeries *s, Arena *a);

// Blocks of at least half a day whose rows equal, bit for bit, earlier ones, at least half a day (by index) before; not
// all 0.  Information only.
typedef struct TrafficRepeat {
    TrafficRange rows;
    int64_t from;                // the first of the earlier ones
} TrafficRepeat;
int64_t traffic_repeats_find(const TrafficSeries *s, Arena *a, TrafficRepeat **out);

typedef enum TrafficProtocol {
    PROTOCOL_CLEAN,              // 70 / 15 / 15 in time, statistics from training rows
    PROTOCOL_ROLLING,            // the splits of clean; a forecast may use every row before its own day
    PROTOCOL_FLOW_BY_FLOW,       // 70 / 10 / 20 in time, nothing left out, every flow divided by its all-time maximum
} TrafficProtocol;

typedef struct TrafficSplits { TrafficRange train, val, test; } TrafficSplits;
TrafficSplits traffic_splits(int64_t T, TrafficProtocol protocol);   // borders floor(T*7/10), floor(T*85/100 or 8/10)

// Starts of all windows of history+horizon snapshots wholly inside rows (of one split), inside one run and valid, whose
// targets the file has (measured).
// The window of start b has history b .. b+history-1 and targets b+history .. b+history+horizon-1.
// stride > 1 keeps every stride-th of them.  Returns their number (0 is possible).
int64_t traffic_windows(const TrafficSeries *s, Arena *a, TrafficRange rows, int history, int horizon, int64_t stride,
                        int64_t **starts);

#endif
