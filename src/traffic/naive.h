// Naive forecasts, the yardsticks of every evaluation.  A forecast of rows t+1 .. t+K is made from rows up to t:
//   persistence   x_t
//   yesterday     x_{t+h-D}, the same time yesterday (D = slots of a day; beyond a day the latest known day)
//   lastweek      x_{t+h-7D}
//   average       mean of the last w values; w in {2,3,4,6,8,12,16} (at most the history) is the one with the smallest
//                 mean squared error on the validation split, flows divided by their training maximum
//   mean          mean of the training rows in the same slot of the day, of working days or of weekends, with the slots
//                 within a quarter of an hour (part_means_fit, scaling.h): what the calendar alone knows
//   ets           exponential smoothing with damped trend and daily season, ets.h
//   ridge         ridge.h
//   ridge-scale   the point forecast of ridge with the conditional scale of conditional.h: it has ridge's RMSE, and a
//                 better distribution
// Yesterday and last week are looked up by time and reach across gaps.  Where the value is missing (gap, invalid
// snapshot, before the first row), lastweek falls back to yesterday and yesterday to persistence, so that all models
// are scored on exactly the same windows.  ("The last day that has a value" would be wrong: in Abilene the rows of
// 2004-08-21 are a copy of those of 08-19, and 08-20 is missing, so such a rule would copy the answers.)
// Distribution: forecast + quantiles i/100, i = 1..99, of the residuals (truth - forecast) of up to 4096 training
// windows, evenly spaced (of K > 32 steps 131072/K, at least 256), one set per flow and horizon, cut off at 0.
// Residuals of ridge are taken on the rows that it was fitted on (17 coefficients, thousands of windows).  ridge-scale
// has quantiles of residual / sigma, times the sigma of the forecast.
#ifndef LEAD_TRAFFIC_NAIVE_H
#define LEAD_TRAFFIC_NAIVE_H

#include "traffic/conditional.h"
#include "traffic/ets.h"

enum { NAIVE_LEVELS = 99 };

typedef enum NaiveKind {
    NAIVE_PERSISTENCE, NAIVE_YESTERDAY, NAIVE_LASTWEEK, NAIVE_AVERAGE, NAIVE_MEAN, NAIVE_ETS, NAIVE_RIDGE,
    NAIVE_RIDGE_SCALE, NAIVE_KINDS
} NaiveKind;

extern const char *const naive_names[NAIVE_KINDS];

typedef struct NaiveModel {
    NaiveKind kind;
    int F, K, history;
    int average;             // w of NAIVE_AVERAGE, chosen on validation
    float *part_mean_kbps;   // of NAIVE_MEAN: [2 slots of a day][F]
    EtsModel *ets;           // of NAIVE_ETS
    const RidgeModel *ridge; // of NAIVE_RIDGE, NAIVE_RIDGE_SCALE
    Conditional *scale;      // of NAIVE_RIDGE_SCALE
    float *sigma;            // .. [K][F], work space
    float *residual;         // [NAIVE_LEVELS][K][F] ascending in the first index; kbit/s, NAIVE_RIDGE_SCALE: in sigma
} NaiveModel;

// Fits the model of that kind: parameters and residuals from the rows `train`, w from the rows `val`.  ridge: one that
// was fitted on the same rows for K steps, to be kept instead of fitting one again; or NULL.
// Errors: no training window of history + K rows; ridge_fit's.
Status naive_fit(NaiveModel *m, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange train, TrafficRange val,
                 int history, int K, const RidgeModel *ridge);
// The same for a quick comparison of forecasts: residuals of 512 windows of the newest 4096 training rows, and
// ridge-scale looks at no more than 2048 rows before these.
Status naive_fit_quick(NaiveModel *m, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange train,
                       TrafficRange val, int history, int K, const RidgeModel *ridge);

// out [K][F] kbit/s.  t = last known row, with `history` rows of one run up to it.  Models that go through the rows in
// order (naive_has_state) keep where they are: quick for rising t, not to be called from two threads; results do not
// depend on the order of the calls.
void naive_predict(NaiveModel *m, const TrafficSeries *s, int64_t t, float *out);
// dist [NAIVE_LEVELS][K][F] kbit/s around point [K][F], the forecast after row t.
void naive_spread(NaiveModel *m, const TrafficSeries *s, int64_t t, const float *point, float *dist);
bool naive_has_state(NaiveKind kind);
// The K F residuals of the forecast `point` after row t, residual k -> out[k * stride]; NaN where the truth was not
// measured.
void naive_residuals(const TrafficSeries *s, int64_t t, int K, const float *point, float *out, int64_t stride);
// Sorts the n residuals v of one flow and step, those that are not NaN; their quantile i/100 goes to
// out[(i - 1) * stride], 0 where there is none.
void naive_levels(float *v, int64_t n, float *out, int64_t stride);

// False when, at every window, yesterday falls back to persistence, or lastweek to yesterday.
bool naive_is_distinct(NaiveKind kind, const TrafficSeries *s, const int64_t *starts, int64_t n, int history, int K);

#endif
