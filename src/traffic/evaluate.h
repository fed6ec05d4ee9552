// Scores forecasters over every window of a list (normally traffic_windows of the test split with stride 1) and fills a
// table: one row per model, space and horizon.  Spaces: kbit/s, and the scale s of E1, into which every value, quantile
// and point forecast is transformed.
#ifndef LEAD_TRAFFIC_EVALUATE_H
#define LEAD_TRAFFIC_EVALUATE_H

#include <stdio.h>

#include "traffic/metrics.h"
#include "traffic/naive.h"
#include "traffic/scaling.h"

typedef struct EvalRow {
    const char *model;           // kept, not copied
    const char *space;           // "kbps" or "scaled"
    int horizon;                 // 1..K, 0 = all horizons together
    MetricResult r;
} EvalRow;

typedef struct EvalTable { int64_t n, room; EvalRow *row; } EvalTable;

EvalTable eval_table_new(Arena *a, int64_t room);
// Tab separated with a header line; numbers with 6 digits; "nan" where a model has no distribution.
void eval_table_print(const EvalTable *table, FILE *out);
// The row of a model, space and horizon; NULL when there is none.
const EvalRow *eval_table_find(const EvalTable *table, const char *model, const char *space, int horizon);

typedef struct EvalTask {
    const TrafficSeries *series;
    const TrafficScale *scale;
    const int64_t *starts;       // [n_windows] first history row of each window
    int64_t n_windows;
    int history, K;
    double mape_above_kbps;      // MAPE counts only values whose truth is above this
    double mape_above_scaled;    // the same in the scaled space
} EvalTask;

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
} Forecaster;

// Scores f and appends 2 (K + 1) rows: both spaces, every horizon and all together.  Scratch memory comes from a and is
// given back.  Errors: the forecaster's; no windows.
Status evaluate(EvalTable *table, Arena *a, const EvalTask *task, const Forecaster *f);

// A fitted naive model as a forecaster.
Forecaster naive_forecaster(NaiveModel *m);

// Fits and scores all naive forecasts.
Status evaluate_naive(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train, TrafficRange val);

#endif
