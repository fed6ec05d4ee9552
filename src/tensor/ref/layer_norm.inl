// layer_norm: over the last dimension (Ba, Kiros, Hinton 2016).   x [..,C], gamma [C], beta [C], eps
//   -> y like x, mean [rows], rstd [rows] (saved for backward)
//   mean = sum_c x / C,  rstd = 1 / sqrt(sum_c (x - mean)^2 / C + eps),  xhat = (x - mean) rstd,  y = gamma xhat + beta
//   dgamma[c] += sum_rows dy xhat     dbeta[c] += sum_rows dy
//   dx += rstd (h - mean_c(h) - xhat mean_c(h xhat)),  h = dy gamma
// Numerics: two passes (mean, then squares of the differences), every sum in `real`: the f32 build is plain f32, which
// is what the bound "twice the plain error" of the fast variants refers to.
#include "tensor/ref.h"

KERNEL(layer_norm, fwd)
{
    const real *x = in_x(c, 0), *gamma = in_x(c, 1), *beta = in_x(c, 2);
    real *y = out_x(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    const LayerNormParams *p = c->p;
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
#pragma omp parallel for if (rows * C > PAR_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const real *xr = x + r * C;
        real m = 0, var = 0;
        // pass 1: the mean
        for (int64_t i = 0; i < C; i++) m += xr[i];
        m /= (real)C;
        // pass 2: the variance, of differences: sum x^2 - C mean^2 would cancel
        for (int64_t i = 0; i < C; i++) var += (xr[i] - m) * (xr[i] - m);
        mean[r] = m;
        rstd[r] = 1 / R(sqrt)(var / (real)C + (real)p->eps);
        // pass 3: the result
        for (int64_t i = 0; i < C; i++) y[r * C + i] = gamma[i] * ((xr[i] - m) * rstd[r]) + beta[i];
    }
}

KERNEL(layer_norm, bwd)
{
    const real *x = in_x(c, 0), *gamma = in_x(c, 1), *dy = out_g(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    real *dx = in_g(c, 0), *dgamma = in_g(c, 1), *dbeta = in_g(c, 2);
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
    if (dx) {
#pragma omp parallel for if (rows * C > PAR_MIN)
        for (int64_t r = 0; r < rows; r++) {
            const real *xr = x + r * C, *dyr = dy + r * C;
            real mh = 0, mhx = 0;
            // pass 1: the means of h and of h xhat
            for (int64_t i = 0; i < C; i++) {
                mh += dyr[i] * gamma[i];
                mhx += dyr[i] * gamma[i] * ((xr[i] - mean[r]) * rstd[r]);
            }
            mh /= (real)C;
            mhx /= (real)C;
            // pass 2: dx
            for (int64_t i = 0; i < C; i++)
                dx[r * C + i] += rstd[r] * (dyr[i] * gamma[i] - mh - (xr[i] - mean[r]) * rstd[r] * mhx);
        }
    }
    // a pass each down the columns: dgamma, dbeta
    if (dgamma)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < C; i++) dgamma[i] += dy[r * C + i] * ((x[r * C + i] - mean[r]) * rstd[r]);
    if (dbeta)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < C; i++) dbeta[i] += dy[r * C + i];
}
