// The rows of protocol rolling (protocol.h): what refitting every day is worth.
//   ridge         fitted once, on the training split: naive.h
//   ridge-daily   ridge_online.h.  Its distribution: the forecast + quantiles i/100, i = 1..99, of its own residuals in
//                 the newest 4096 windows (or all) that lie before the day of the forecast, each forecast with the fit
//                 of its own day; cut off at 0.  The newest, since residuals change as traffic does: on the validation
//                 rows of Abilene and GEANT, 4096 windows spread evenly over the past gave a CRPS that was 0.4 to 2.4 %
//                 higher, and 90 % bands that held 92 % (every third window, half-life 35 days, 2026-11-30).
#ifndef LEAD_TRAFFIC_ROLLING_H
#define LEAD_TRAFFIC_ROLLING_H

#include "traffic/evaluate.h"
#include "traffic/ridge_online.h"

#define ROLLING_NAME "ridge-daily"

// Scores both rows.  half_life_days as in ridge_online_fit.  Errors: those of naive_fit; no residual before the first
// window that is scored.
Status evaluate_rolling(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train, double half_life_days);

#endif
