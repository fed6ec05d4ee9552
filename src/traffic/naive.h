// Naive forecasts, the yardsticks of every evaluation.  A forecast of rows t+1 .. t+K is made from rows up to t:
//   persistence   x_t
//   yesterday     x_{t+h-D}, the same time yesterday (D = slots of a day; beyond a day the latest known day)
//   lastweek      x_{t+h-7D}
//   average       mean of the last w values; w in {2,3,4,6,8,12,16} (at most the history) is the one with the smallest
//                 mean squared error on the validation split, flows divided by their training maximum
//   ridge         ridge.h
// Yesterday and last week are looked up by time and reach across gaps.  Where the value is missing (gap, invalid
// snapshot, before the first row), lastweek falls back to yesterday and yesterday to persistence, so that all models
// are scored on exactly the same windows.  ("The last day that has a value" would be wrong: in Abilene the rows of
// 2004-08-21 are a copy of those of 08-19, and 08-20 is missing, so such a rule would copy the answers.)
// Distribution: forecast + quantiles i/100, i = 1..99, of the residuals (truth - forecast) of up to 4096 training
// windows, evenly spaced, one set per flow and horizon, cut off at 0.  Residuals of ridge are taken on the rows that it
// was fitted on (17 coefficients, thousands of windows).
#ifndef LEAD_TRAFFIC_NAIVE_H
#define LEAD_TRAFFIC_NAIVE_H

#include "traffic/ridge.h"

enum { NAIVE_LEVELS = 99 };

typedef enum NaiveKind {
    NAIVE_PERSISTENCE, NAIVE_YESTERDAY, NAIVE_LASTWEEK, NAIVE_AVERAGE, NAIVE_RIDGE, NAIVE_KINDS
} NaiveKind;

extern const char *const naive_names[NAIVE_KINDS];

typedef struct NaiveModel {
    NaiveKind kind;
    int F, K, history;
    int average;             // w of NAIVE_AVERAGE, chosen on validation
    RidgeModel ridge;        // of NAIVE_RIDGE
    float *residual_kbps;    // [NAIVE_LEVELS][K][F] ascending in the first index
} NaiveModel;

// Fits the model of that kind: parameters and residuals from the rows `train`, w from the rows `val`.
// Errors: no training window of history + K rows; ridge_fit's.
Status naive_fit(NaiveModel *m, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange train, TrafficRange val,
                 int history, int K);

// out [K][F] kbit/s.  t = last known row, with `history` rows of one run up to it.
void naive_predict(const NaiveModel *m, const TrafficSeries *s, int64_t t, float *out);
// dist [NAIVE_LEVELS][K][F] kbit/s around point [K][F].
void naive_spread(const NaiveModel *m, const float *point, float *dist);

#endif
