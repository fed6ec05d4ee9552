// The conditional scale of ridge's residuals: how wide the distribution of a forecast should be, known when it is made.
// For each flow and step h, with r = x_{t+h} - p the residual of ridge's forecast p and e = a tenth of the median |r|:
//   log(|r| + e) ~ w . z,   z = the logs, each of its value + e, of
//     EWMA(|dx|; a), a = 0.3, 0.05, 0.005     the recent changes of the flow
//     p, |x_t - p|, |x_t - mean of x_{t-1} .. x_{t-11}|
//     EWMA(|r'|; a), a = 0.1, 0.01            the recent residuals at that step, of forecasts made at t-h and before
//   and sin and cos of the hour of t+h, and 1
//   sigma = exp(w . z), w . z within the range that log(|r| + e) had in training
// EWMA(v; a): m <- m + max(a, 1/n) (v - m) at the n-th value, so it begins as the plain mean; missing rows are passed
// over.  Everything in z is known at t.  w by least squares over the training windows, 10 added to the diagonal except
// at the 1.  e is at least a hundredth of the mean |r| and 0.001 kbit/s, so that silent flows have a logarithm.
// In units of sigma, the residuals of calm and of restless times have one distribution: quantiles of r / sigma, times
// sigma, are those of a forecast.  (ARCH models, Engle 1982, in the multiplicative form of Geweke and Pantula 1986.)
#ifndef LEAD_TRAFFIC_CONDITIONAL_H
#define LEAD_TRAFFIC_CONDITIONAL_H

#include "traffic/ridge.h"

enum { CONDITIONAL_INPUTS = 11, CONDITIONAL_CHANGES = 3, CONDITIONAL_ERRORS = 2 };
#define CONDITIONAL_LAMBDA 10.0

typedef struct Conditional {
    int F, K;
    const RidgeModel *ridge;
    double *w;                   // [K][F][CONDITIONAL_INPUTS]
    double *e;                   // [K][F] kbit/s
    double *low, *high;          // [K][F] of log sigma
    int64_t first;               // rows before it are not looked at [0]
    // what is known after row t; first - 1 = nothing yet
    int64_t t, n_changes;
    double *change;              // [CONDITIONAL_CHANGES][F] EWMA(|dx|)
    int64_t *n_errors;           // [K]
    double *error;               // [CONDITIONAL_ERRORS][K][F] EWMA(|r'|)
    float *made;                 // [K+1][K][F] ridge's forecasts after the last rows; that of row t in t % (K+1)
    int64_t *made_at;            // [K+1] that row; -1 = none
} Conditional;

// An unfitted scale of the forecasts of ridge, which it keeps.
Conditional *conditional_new(Arena *a, const RidgeModel *ridge);
// What lies before row `first` is not looked at: for the sake of time, where some thousand rows lie between it and the
// rows that are wanted.
void conditional_begin(Conditional *c, int64_t first);

// Fits on the forecasts after rows at[0..n), ascending, whose residuals are r [K][F][n] kbit/s (NaN: the truth was not
// measured), and divides r by sigma.  Scratch memory comes from a.
void conditional_fit(Conditional *c, Arena *a, const TrafficSeries *s, const int64_t *at, int64_t n, float *r);

// sigma [K][F] kbit/s of the forecast after row t, which has 12 valid rows of one run up to it.  Quick when t is above
// that of the call before, else everything since the first row is gone through again; the result is the same.
void conditional_sigma(Conditional *c, const TrafficSeries *s, int64_t t, float *sigma);

#endif
