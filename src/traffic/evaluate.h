// Scores forecasters over every window of a list (normally traffic_windows of the test split with stride 1) and fills a
// table: one row per model, space and horizon.  Spaces: kbit/s; the scale s of E1, into which every value, quantile and
// point forecast is transformed; and, in kbit/s again, the sums that a network is planned by: what each node sends (row
// sums), what each node receives (column sums), and the total of a matrix.  A sum is distributed as the sums within the
// sample paths.  Levels of single flows have no common path, so their sums have no distribution.
#ifndef LEAD_TRAFFIC_EVALUATE_H
#define LEAD_TRAFFIC_EVALUATE_H

#include <stdio.h>

#include "traffic/metrics.h"
#include "traffic/naive.h"
#include "traffic/scaling.h"

typedef struct EvalTask {
    const TrafficSeries *series;
    const TrafficScale *scale;
    const int64_t *starts;       // [n_windows] first history row of each window
    int64_t n_windows;
    int history, K;
    double mape_above_kbps;      // MAPE counts only values whose truth is above this
    double mape_above_scaled;    // the same in the scaled space
    TrafficRange fitted;         // rows that the forecasts were fitted on; empty = unknown: no flow is silent there
} EvalTask;

typedef struct EvalRow {
    const char *model;           // kept, not copied
    const char *space;           // "kbps", "scaled", "origins", "destinations" or "total"
    int horizon;                 // 1..K, 0 = all horizons together
    MetricResult r;
    MetricBeside beside;         // space scaled only, set by eval_compare; else NaN
} EvalRow;

// What the comparison of models needs of one, in the scaled space.
typedef struct EvalModel {
    const char *name;
    bool naive, distribution;
    MetricFlow *flow;            // [K][F]
    MetricDay *day;              // [K][days]
} EvalModel;

typedef struct EvalTable {
    int64_t n, room;
    EvalRow *row;
    int models, most_models;
    EvalModel *model;            // in the order in which they were scored
    int K, F, days;              // days: calendar days on which the scored forecasts begin
    int64_t windows;
    int64_t target_values, missing;   // values in the rows that are targets; those that were not measured, which count
                                 // in no score
    int *day;                    // [windows] 0 .. days-1
    uint8_t *live;               // [F], as metrics.h defines
    int n_live, silent_scored, silent_fitted, seldom;   // flows: live; silent in the scored rows; else silent in the
                                 // fitted ones; else above 0 in less than half of the scored ones
    int best;                    // of eval_compare: the naive model with the least CRPS over all horizons; -1: none
    unsigned left_out;           // of evaluate_naive: bit k: NaiveKind k would equal a simpler one
} EvalTable;

// A table for the windows of the task and at most so many models.
EvalTable eval_table_new(Arena *a, const EvalTask *task, int models);
// Tab separated; numbers with 6 digits; "nan" where a model has no distribution.  head: with a header line.  origin: 0,
// or the value of one more column.
void eval_table_print(const EvalTable *table, int origin, bool head, FILE *out);
// The same columns of `beside`, for other tables: the names, each after a tab; the values.
void eval_beside_print_head(FILE *out);
void eval_beside_print(const MetricBeside *b, FILE *out);
// The row of a model, space and horizon; NULL when there is none.
const EvalRow *eval_table_find(const EvalTable *table, const char *model, const char *space, int horizon);
const EvalModel *eval_table_model(const EvalTable *table, const char *model);

// When all models are scored: sets `beside` of all rows of space scaled, and table->best.  Scratch memory comes from a.
void eval_compare(EvalTable *table, Arena *a);

// One batch of forecasts.  The forecaster fills point, and dist if S > 0; all values in kbit/s.
typedef struct EvalBatch {
    int n;                       // windows in this batch
    const int64_t *last;         // [n] last history row t of each window; the forecast is of rows t+1 .. t+K
    float *point;                // [n][K][F]
    float *dist;                 // [n][S][K][F]: samples in any order; the two of a pair at 2 i and 2 i + 1; levels
                                 // ascending in S
} EvalBatch;

typedef struct Forecaster {
    const char *name;
    DistKind kind;               // DIST_NONE: point forecasts only
    int S;                       // samples or levels per window (0 for DIST_NONE)
    int batch;                   // windows per call
    Status (*run)(void *ctx, const TrafficSeries *s, const EvalBatch *b);
    void *ctx;
    bool naive;                  // one of those that a model has to beat
} Forecaster;

enum { EVAL_SPACES = 5 };
// Scores f and appends EVAL_SPACES (K + 1) rows: every space, every horizon and all together.  Scratch memory comes
// from a and is given back.  Errors: the forecaster's; no windows.
Status evaluate(EvalTable *table, Arena *a, const EvalTask *task, const Forecaster *f);

// A fitted naive model as a forecaster.
Forecaster naive_forecaster(NaiveModel *m);

// Fits and scores the naive forecasts, without those that would equal a simpler one in every window: yesterday and
// lastweek where the data are too short (table->left_out).
Status evaluate_naive(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train, TrafficRange val);

#endif
