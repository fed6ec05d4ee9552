// lead alarm, the parts that its two ways and lead report share: judging new rows (alarm.c), injected faults
// (alarm_faults.c).
#ifndef LEAD_CLI_ALARM_H
#define LEAD_CLI_ALARM_H

#include "cli/run.h"
#include "lead/fallback.h"
#include "traffic/alarm.h"

// What forecasts one step: a run, or a naive forecast (run NULL).
typedef struct AlarmSource {
    Cli *cli;
    const char *name;
    const TrafficSeries *s;
    LeadRun *run;
    Fallback fit;
    int S, K, history;           // paths, steps drawn (the first is used), rows that must be known
    DistKind kind;
    TrafficRange fitted, learn;  // rows that it was fitted on; rows, later ones, that limits may be learnt from
} AlarmSource;

// What o->model names, for the series s, which the run may bring into its own order of nodes.  Errors: those of the
// run.
Status alarm_open(AlarmSource *src, Cli *cli, const RunOptions *o, TrafficSeries *s);

// Limits from the file, or, where it is not there (or NULL), learnt from at most `most` rows and written to it.
Status alarm_limits(AlarmLimits *l, AlarmSource *src, const char *file, double rate, int64_t most);

// Rows of a range that can be judged (their history is known and without a gap), at most `most` of them, evenly spaced
// -> *rows; their number.
int64_t alarm_rows(const AlarmSource *src, TrafficRange range, int64_t most, int64_t **rows);

// Forecasts and scores n rows -> out [n], whose values lie in cli->perm.
Status alarm_score_rows(AlarmSource *src, const float *floor, const int64_t *rows, int64_t n, AlarmRow *out);

// Learns limits on half of the rows of src->learn, injects faults into the other half, prints what is found; TSV.
Status alarm_faults(AlarmSource *src, double rate, int64_t most);

// Floors from the rows that src was fitted on.
float *alarm_floors_of(const AlarmSource *src);

#endif
