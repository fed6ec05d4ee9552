// global_avgpool: mean over everything between the first and the last dimension.   x [N,S..,C] -> y [N,C]
//   y[n,c] = sum_s x[n,s,c] / S      dx[n,s,c] += dy[n,c] / S
#include "tensor/ref.h"

KERNEL(global_avgpool, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), S = numel(c->in[0]) / (N * C);
#pragma omp parallel for if (N * S * C > PAR_MIN)
    for (int64_t n = 0; n < N; n++) {
        for (int64_t i = 0; i < C; i++) y[n * C + i] = 0;
        for (int64_t s = 0; s < S; s++)
            for (int64_t i = 0; i < C; i++) y[n * C + i] += x[(n * S + s) * C + i];
        for (int64_t i = 0; i < C; i++) y[n * C + i] /= (real)S;
    }
}

KERNEL(global_avgpool, bwd)
{
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), S = numel(c->in[0]) / (N * C);
    if (!dx) return;
#pragma omp parallel for if (N * S * C > PAR_MIN)
    for (int64_t n = 0; n < N; n++)
        for (int64_t s = 0; s < S; s++)
            for (int64_t i = 0; i < C; i++) dx[(n * S + s) * C + i] += dy[n * C + i] / (real)S;
}
