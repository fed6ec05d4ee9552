// The ridge autoregression (ridge.h) solved again at the start of every day, from the windows before that day.
//   Day      the calendar day of a row, traffic_day.
//   Fit      of day d: the windows (12 rows of history, K targets) wholly in rows before the first row of d.  A window
//            of the newest day has weight 1 and loses half of it with every half_life_days days that brought windows;
//            half_life_days 0: all weights are 1.  Days without windows (gaps) forget nothing.  With weights 1 the fit
//            is that of ridge_fit on the rows before d.  The unit of lambda is the flow's largest value before d, not
//            forgotten.
//   Windows  are counted by their weights: the first fit is that of the first day with 340 before it; a fit with
//            yesterday, or with last week, needs as many of its own, else the next smaller one takes over (ridge.h).
// A forecast after row t uses the fit of the day of t, so it depends on rows up to t alone.  (Which snapshots are left
// out as suspicious is taken as given; that rule looks a day ahead, series.h.)
// Sums and solutions are in double and belong to one flow each: the bits do not depend on the number of threads.
//
// Half-life, measured on the validation rows of protocol clean: docs/measured.md.
#ifndef LEAD_TRAFFIC_RIDGE_ONLINE_H
#define LEAD_TRAFFIC_RIDGE_ONLINE_H

#include "traffic/ridge.h"

#define RIDGE_HALF_LIFE_DAYS 35.0

typedef struct RidgeOnline {
    int F, K, per_day;
    int64_t T;               // rows of the series
    int64_t n;               // models in coef
    float *coef;             // [n][RIDGE_FITS][K][F][RIDGE_INPUTS], each as in RidgeModel
    int32_t *model_of;       // [T] the model for forecasts after a row; -1: none
} RidgeOnline;

// Fits the models that forecasts after the rows `wanted` use, and no others.  first: the model of days before the first
// fit (coef entry 0), for the same K; NULL: rows of such days have none.  Memory: 8 bytes for each row and seasonal
// input of the windows while it works, and n RIDGE_FITS K F RIDGE_INPUTS floats that stay.
void ridge_online_fit(RidgeOnline *m, Arena *a, const TrafficSeries *s, TrafficRange wanted, const RidgeModel *first,
                      int K, double half_life_days, double lambda);

// The first row with a fit of its own; s->T: no day has enough windows before it.
int64_t ridge_online_begin(const TrafficSeries *s, Arena *a, int K, double half_life_days);

// The model for forecasts after row t, whose model_of must not be -1; it shares m's coefficients.
RidgeModel ridge_online_at(const RidgeOnline *m, int64_t t);

#endif
