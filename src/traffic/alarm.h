// Alarms: a new matrix against the one-step forecast that was made for it.  Watched are E = F + 2 N + 1 values: every
// flow, what each node sends and receives, and the total; a sum is distributed as the sums within the sample paths.
//   pit        share of the paths below the value (half of those equal to it): uniform if the forecast is right
//   surprise   distance from the median in half-widths of the 90 % band, of the side that the value lies on:
//              (y - q50) / max(q95 - q50, floor) above, (q50 - y) / max(q50 - q05, floor) below.  It goes on where the
//              pit of some paths stops.  floor = 1 % of the value's mean over the rows that were learnt from, and a
//              millionth of the total's
//   matrix     mean over the flows of log(1 + surprise^2): many small surprises count, a single large one hardly
// A value is compared with its own past: relative surprise = surprise / max(1, its 99 % quantile over those rows).
// An alarm of one of the five kinds (flow, origin, destination, total, matrix) is raised when the largest relative
// surprise of the kind (or the matrix score) exceeds the kind's limit: its 1 - p quantile over the rows that were
// learnt from, p the same for all kinds and such that a share `rate` of these rows raises any alarm (percentile
// thresholds as in PCTN, made joint).
#ifndef LEAD_TRAFFIC_ALARM_H
#define LEAD_TRAFFIC_ALARM_H

#include "traffic/paths.h"

typedef enum AlarmKind {
    ALARM_FLOW,
    ALARM_ORIGIN,
    ALARM_DESTINATION,
    ALARM_TOTAL,
    ALARM_MATRIX,
    ALARM_KINDS
} AlarmKind;
extern const char *const alarm_kinds[ALARM_KINDS];

typedef struct AlarmValue { float y, q05, q50, q95, pit, surprise; } AlarmValue;

typedef struct AlarmRow {        // one matrix
    AlarmValue *value;           // [E]
    double matrix;
} AlarmRow;

typedef struct AlarmLimits {
    int N;
    int64_t rows;                // learnt from
    double rate;                 // wanted
    double reached;              // share of these rows that raise an alarm: at most rate
    float *floor, *usual;        // [E] kbit/s; the 99 % quantile of surprise, at least 1
    double limit[ALARM_KINDS];
} AlarmLimits;

int alarm_values(int N);                                 // E
AlarmKind alarm_kind(int N, int e, int *node);           // of value e; *node: its index within the kind

// floor [E] from n matrices [n][N*N].
void alarm_floors(float *floor, int N, const float *x, int64_t n, Arena *scratch);

// Scores the matrix y [N*N] against S paths of it, dist [S][N*N].  row->value has room for E.
void alarm_score(AlarmRow *row, const float *floor, int N, const float *y, const float *dist, int S, DistKind kind,
                 Arena *scratch);

// Learns limits from n scored rows.  l->N, l->floor are set.  Error: fewer than 20 rows.
Status alarm_learn(AlarmLimits *l, Arena *a, const AlarmRow *row, int64_t n, double rate);

// Relative surprise of value e; the largest of a kind (ALARM_MATRIX: the score); whether anything exceeds its limit.
double alarm_relative(const AlarmLimits *l, const AlarmRow *row, int e);
double alarm_largest(const AlarmLimits *l, const AlarmRow *row, AlarmKind kind);
bool alarm_raised(const AlarmLimits *l, const AlarmRow *row);

#endif
