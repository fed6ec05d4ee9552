// The protocol of an evaluation (E9): on which rows models are fitted, and which windows are scored in which scale.
// Protocol clean:         the series as it was read (--drop-suspicious leaves suspicious snapshots out), splits
//   70/15/15, history 16, scale from the training rows.
// Protocol rolling:       splits, windows and scale of clean, but a forecast may use every row before its own day (that
//   of its last known row): ridge is fitted again each day (ridge_online.h), and its residuals are those of the days
//   before (rolling.h).  The frozen ridge of clean is the row to compare with.
// Protocol flow-by-flow:  traffic_series_flatten of the series (gaps ignored, nothing left out: all rows count as
//   consecutive), each flow divided by its maximum over ALL rows (looks ahead, as the published table does), history
//   12, windows lying wholly, history included, in the last 20 % (rows floor(0.8 T) .. T-1), K = 3; ridge is fitted on
//   the first 80 %.  This reproduces, MSE in units of 1e-4 at steps 1/2/3:
//     persistence  Abilene 9.51 14.67 17.40 (reference 9.50 14.67 17.39)   GEANT 4.59 7.46 8.95 (4.61 7.49 8.98)
//     ridge        Abilene 7.28 11.21 13.56 (7.30 11.21 13.55)             GEANT 3.86 5.50 6.25 (3.87 5.52 6.27)
//   (The published "2 / 3 matrices ahead" figures are means over the steps 1..2, 1..3.)
#ifndef LEAD_TRAFFIC_PROTOCOL_H
#define LEAD_TRAFFIC_PROTOCOL_H

#include "traffic/evaluate.h"

typedef struct EvalPlanOptions {
    TrafficProtocol protocol;
    bool validation;             // score the validation split, for tuning; else the test split
    int history, K;              // of the model; 0: the protocol's.  The plan's history is at least what the naive
                                 // forecasts need
    int origin;                  // 1..85: fit on the first so many per cent of the rows and score the next 15; 0 = the
                                 // protocol's splits.  Of the fitted rows the last 15/85 are split.val, on which models
                                 // with a validation split of their own validate, fitting on those before; then they
                                 // are fitted on all, as the naive forecasts are
    int64_t stride;              // score every stride-th window; 0 = 1
} EvalPlanOptions;

typedef struct EvalPlan {
    EvalTask task;               // points into the plan: do not copy a plan
    TrafficSplits split;         // naive forecasts are fitted on train and choose their parameters on val
    TrafficRange scored;         // windows are taken from these rows
    TrafficSeries flat;          // protocol flow-by-flow: the flattened series
    TrafficScale scale;
} EvalPlan;

// Fills *p for series s, which the plan keeps and the caller owns.  Errors: those of scale_fit.
Status eval_plan(EvalPlan *p, Arena *a, const TrafficSeries *s, const EvalPlanOptions *o);

#endif
