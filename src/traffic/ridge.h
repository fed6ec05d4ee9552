// Ridge autoregression: for each flow and each horizon h a linear forecast of x_{t+h} by closed-form least squares,
//   16 inputs: the last 12 values x_t .. x_{t-11}; three values around the same time yesterday, x_{t+h-D-1}, x_{t+h-D},
//   x_{t+h-D+1}; the same time last week, x_{t+h-7D}; and an intercept.  D = slots of a day.  All inputs are known at
//   t: for horizons beyond a day they come from the latest day and week that are.
// Values are divided by the flow's maximum over the training rows; RIDGE_LAMBDA is added to the diagonal of the Gram
// matrix in that scale, except to the intercept's entry, which also makes silent flows solvable.  It was chosen on the
// validation split of protocol clean among 1e-6 .. 10: on Abilene values up to 1 give the same error and 10 gives 3 %
// more at step 1; on GEANT the error at step 1 falls by a fifth between 1e-3 and 1, because of flows that were nearly
// silent in training.  (On GEANT's test split the choice turned out 4 % worse than 1e-3 at step 1 and equal at step 20;
// it was not revised for that.)  Forecasts below 0 become 0.
// Yesterday and last week are looked up by time, across gaps.  Where one is missing (gap, invalid snapshot, start of
// the data) a second fit without last week, or a third with the 12 lags alone, takes over: three fits, each on all
// training windows that have its inputs.  A value that was not measured (series.h) is no target; as an input its
// estimate stands for it.  A fit with fewer than 340 windows is replaced by the next smaller one.
// The fit is plain least squares, bursts included, as befits a reference.  Fitting on values clipped at each flow's
// 99 % quantile (forecasting from unclipped ones) was measured on every 7th test window of protocol clean: in that
// scale the MSE falls by 0.3 .. 1.9 % on Abilene; on GEANT it rises by 10 % at step 1 and falls by 0.3 % later; the MAE
// falls by 1 .. 3 %: not worth a second kind of fit.  In kbit/s a few bursts beyond the training maximum decide
// Abilene's RMSE; there persistence, which stays at a burst's level, beats ridge.
#ifndef LEAD_TRAFFIC_RIDGE_H
#define LEAD_TRAFFIC_RIDGE_H

#include "tensor/traffic_ops.h"
#include "traffic/series.h"

typedef struct RidgeModel {
    int F, K;                // flows, horizons 1..K
    int per_day;             // slots of a day it was fitted for
    float *coef;             // [RIDGE_FITS][K][F][RIDGE_INPUTS], last = intercept in kbit/s; inputs in kbit/s
} RidgeModel;

// Fits on the windows (12 rows of history, K targets) wholly inside `rows`, valid and inside one run; from K = 64 on
// it takes every (K/32)-th of them where there are many.
// Scratch memory is taken from a and given back.  Error: fewer than 34 windows.
Status ridge_fit(RidgeModel *m, Arena *a, const TrafficSeries *s, TrafficRange rows, int K, double lambda);

#define RIDGE_LAMBDA 1.0

// Forecast of rows t+1 .. t+K (which need not exist) from rows up to t -> out [K][F] kbit/s.  Rows t-11 .. t must be
// inside one run.
void ridge_predict(const RidgeModel *m, const TrafficSeries *s, int64_t t, float *out);

// The model as one flat array of floats (for checkpoints): pack fills ridge_pack_size(m) values.  Error of unpack
// (naming `from`): another size, or a head that does not fit it.
int64_t ridge_pack_size(const RidgeModel *m);
void ridge_pack(const RidgeModel *m, float *out);
Status ridge_unpack(RidgeModel *m, Arena *a, const float *in, int64_t n, const char *from);

#endif
