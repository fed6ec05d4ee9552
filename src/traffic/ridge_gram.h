// Normal equations of the ridge autoregression: which windows a fit uses, their Gram matrices, and the solution.  For
// ridge.c (one fit) and ridge_online.c (a fit a day).
#ifndef LEAD_TRAFFIC_RIDGE_GRAM_H
#define LEAD_TRAFFIC_RIDGE_GRAM_H

#include "tensor/traffic_ops.h"
#include "traffic/series.h"

enum {
    RIDGE_ONE = RIDGE_INPUTS - 1,            // the intercept's input
    RIDGE_COLS = RIDGE_INPUTS + 1, RIDGE_TARGET = RIDGE_INPUTS,   // columns: inputs, then the target
    RIDGE_BLOCK = 256,                       // rows of a block: 18 columns of doubles stay in L1/L2
    RIDGE_MIN_WINDOWS = 2 * RIDGE_INPUTS,    // fewer solve nothing
    RIDGE_FULL_WINDOWS = 20 * RIDGE_INPUTS,  // fewer, and the next smaller fit takes over
};

// Number of seasonal inputs of each fit: yesterday and last week, yesterday, none.
extern const int ridge_season_inputs[RIDGE_FITS];

// Rows of the seasonal inputs of a forecast of t+h; false in *day / *week where one is missing.
void ridge_season_rows(const TrafficSeries *s, int64_t t, int h, int64_t row[RIDGE_SEASON], bool *day, bool *week);

// The windows of one fit, in order: last history row and rows of the seasonal inputs.
typedef struct RidgeRows {
    int64_t n;
    int64_t *t;          // [n]
    int64_t *season;     // [n][K][RIDGE_SEASON]
    int n_season;
} RidgeRows;

// Of the n windows that begin at starts, those that have all inputs of `fit` at every horizon 1..K.
RidgeRows ridge_rows_find(const TrafficSeries *s, Arena *a, const int64_t *starts, int64_t n, int K, int fit);

// Sums over windows of column i times column j.  Filled for the inputs of the fit and the target, with j up to i in the
// order lags, intercept, seasonal inputs, target.
typedef double RidgeGram[RIDGE_COLS][RIDGE_COLS];

// One flow: its values, [T] in any unit, estimates among them; and where they were measured, seen[t * stride], NULL:
// everywhere.
typedef struct RidgeFlow {
    double *x;
    const uint8_t *seen;
    int64_t stride;
} RidgeFlow;
RidgeFlow ridge_flow(const TrafficSeries *s, int f, double *x);

// gram[0..K) of one flow for all horizons.  A window whose target was not measured is left out at that horizon.  True:
// none was, so that the block of lags and intercept is common to the horizons.
bool ridge_gram_fill(RidgeGram *gram, const RidgeRows *r, const RidgeFlow *flow, int K, double (*col)[RIDGE_BLOCK]);

// (G + lambda I) w = g for each horizon by Cholesky, lambda on all inputs but the intercept, w zero at inputs not in
// use.  common: the rows of the factor that belong to lags and intercept are common to the horizons.
void ridge_solve(const RidgeGram *gram, int K, int n_season, double lambda, bool common, double (*w)[RIDGE_INPUTS]);

#endif
