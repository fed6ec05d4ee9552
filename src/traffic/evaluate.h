// Scores forecasters over every window of a list (normally traffic_windows of the test split with stride 1) and fills a
// table: one row per model, space and horizon.  Spaces: kbit/s, and the scale s of E1 (each value and each quantile is
// transformed; for a non-linear scale the point forecast is too).
// Protocol clean:         series with suspicious snapshots marked, splits 70/15/15, history 16, scale from the
//   training rows.
// Protocol flow-by-flow:  traffic_series_flatten of the series (gaps ignored, nothing left out: all rows count as
//   consecutive), each flow divided by its maximum over ALL rows (it looks ahead; so does the published table), history
//   12, windows lying wholly, history included, in the last 20 % (rows floor(0.8 T) .. T-1), K = 3; ridge is fitted on
//   the first 80 %.  This reproduces, MSE in units of 1e-4 at steps 1/2/3:
//     persistence  Abilene 9.51 14.67 17.40 (reference 9.50 14.67 17.39)   GEANT 4.59 7.46 8.95 (4.61 7.49 8.98)
//     ridge        Abilene 7.28 11.21 13.56 (7.30 11.21 13.55)             GEANT 3.86 5.50 6.25 (3.87 5.52 6.27)
//   (The published "2 / 3 matrices ahead" figures are means over the steps 1..2, 1..3.)
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
// NULL when there is none.
const EvalRow *eval_table_find(const EvalTable *table, const char *model, const char *space, int horizon);

typedef struct EvalTask {
    const TrafficSeries *series;
    const TrafficScale *scale;
    const int64_t *starts;       // [n_windows] first history rows
    int64_t n_windows;
    int history, K;
    double mape_above_kbps;      // MAPE counts truths above this; in the scaled space above scaled_mape_above
    double mape_above_scaled;
} EvalTask;

// One batch of forecasts.  The forecaster fills point, and dist when S > 0; all values in kbit/s.
typedef struct EvalBatch {
    int n;                       // windows in this batch
    const int64_t *last;         // [n] last history row t of each; it forecasts rows t+1 .. t+K
    float *point;                // [n][K][F]
    float *dist;                 // [n][S][K][F]; samples in any order, the two of a pair at 2 i and 2 i + 1; levels ascending in S
} EvalBatch;

typedef struct Forecaster {
    const char *name;
    DistKind kind;               // DIST_NONE: point forecasts only
    int S;                       // samples or levels per window (0 for DIST_NONE)
    int batch;                   // windows per call
    Status (*run)(void *ctx, const TrafficSeries *s, const EvalBatch *b);
    void *ctx;
} Forecaster;

// Appends 2 (K + 1) rows.  Scratch memory comes from a and is given back.  Error: the forecaster's, or no windows.
Status evaluate(EvalTable *table, Arena *a, const EvalTask *task, const Forecaster *f);

// A fitted naive model as a forecaster.
Forecaster naive_forecaster(NaiveModel *m);

// Scale of protocol flow-by-flow: flowmax over all rows, valid or not.
Status eval_whole_series_scale(TrafficScale *k, Arena *a, const TrafficSeries *flat);

// Fits and scores all naive forecasts.
Status evaluate_naive(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train, TrafficRange val);

#endif
