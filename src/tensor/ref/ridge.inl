// ridge: forecasts of the ridge autoregression, kbit/s (E9).   x [T,F] kbit/s, coef [D,3,K,F,17]: D models, each of
//   three fits: with yesterday and last week, with yesterday, with lags alone; rows I32 [B,W], season I32 [B,K,4] of
//   window_rows; model I32 [T]: the model of forecasts after each row, or NULL: the first for all -> y [B,K,F];
//   RidgeParams
//   y = max(0, w_16 + sum_{l<12} w_l x[now - l] + sum_{i<4} w_{12+i} x[season i]), w of model[now] and of its largest
//   fit whose inputs are there.  Sums in double.  Column `history` of rows is now
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(ridge, fwd)
{
    const real *x = in_x(c, 0), *coef = in_x(c, 1);
    const int32_t *rows = c->in[2]->x, *season = c->in[3]->x;
    const int32_t *model = c->in[4] ? c->in[4]->x : NULL;
    real *y = out_x(c, 0);
    const int64_t K = c->in[1]->shape.d[2], F = c->in[1]->shape.d[3];
    const int64_t B = c->in[2]->shape.d[0], W = c->in[2]->shape.d[1];
    const int64_t H = ((const RidgeParams *)c->p)->history;
#pragma omp parallel for if (B * K * F > PAR_MIN / 16)
    for (int64_t i = 0; i < B * K; i++) {
        const int32_t *e = season + i * RIDGE_SEASON, *now = rows + i / K * W + H;
        const bool day = e[0] >= 0 && e[1] >= 0 && e[2] >= 0;
        const int fit = day && e[3] >= 0 ? 0 : day ? 1 : 2, inputs = fit == 0 ? 4 : fit == 1 ? 3 : 0;
        const int64_t first = (model ? model[*now] : 0) * RIDGE_FITS + fit;
        for (int64_t f = 0; f < F; f++) {
            const real *w = coef + ((first * K + i % K) * F + f) * RIDGE_INPUTS;
            double v = (double)w[RIDGE_INPUTS - 1];
            for (int l = 0; l < RIDGE_LAGS; l++) v += (double)w[l] * (double)x[now[-l] * F + f];
            for (int k = 0; k < inputs; k++) v += (double)w[RIDGE_LAGS + k] * (double)x[e[k] * F + f];
            y[i * F + f] = v > 0 ? (real)v : 0;
        }
    }
}
