// softmax: over the last dimension.   x [..,C] -> y like x
//   y[c] = exp(x[c] - m) / sum_i exp(x[i] - m),  m = max_i x[i] (no overflow; the ratio does not change)
//   dx += y (dy - sum_i dy[i] y[i])
#include "tensor/ref.h"

KERNEL(softmax, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
#pragma omp parallel for if (rows * C > PAR_MIN)
    for (int64_t r = 0; r < rows; r++) {
        const real *xr = x + r * C;
        real max = xr[0], sum = 0;
        for (int64_t i = 1; i < C; i++)
            if (xr[i] > max) max = xr[i];
        for (int64_t i = 0; i < C; i++) {
            y[r * C + i] = R(exp)(xr[i] - max);
            sum += y[r * C + i];
        }
        for (int64_t i = 0; i < C; i++) y[r * C + i] /= sum;
    }
}

KERNEL(softmax, bwd)
{
    const real *y = out_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
    if (!dx) return;
#pragma omp parallel for if (rows * C > PAR_MIN)
    for (int64_t r = 0; r < rows; r++) {
        real dot = 0;
        for (int64_t i = 0; i < C; i++) dot += dy[r * C + i] * y[r * C + i];
        for (int64_t i = 0; i < C; i++) dx[r * C + i] += y[r * C + i] * (dy[r * C + i] - dot);
    }
}
