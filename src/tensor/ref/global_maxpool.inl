// global_maxpool: maximum over everything between the first and the last dimension.   x [N,S..,C] -> y [N,C]
//   y[n,c] = max_s x[n,s,c]      dx[n,s*,c] += dy[n,c],  s* = the first position of the maximum
// A NaN counts as the maximum: it must not vanish here.
#include "tensor/ref.h"

static int64_t first_max(const real *x, int64_t S, int64_t C)   // position along s of x[s * C]
{
    int64_t best = 0;
    for (int64_t s = 1; s < S; s++)
        if (x[s * C] > x[best * C] || (isnan(x[s * C]) && !isnan(x[best * C]))) best = s;
    return best;
}

KERNEL(global_maxpool, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), S = numel(c->in[0]) / (N * C);
#pragma omp parallel for if (N * S * C > PAR_MIN)
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < C; i++) {
            const real *xi = x + n * S * C + i;
            y[n * C + i] = xi[first_max(xi, S, C) * C];
        }
}

KERNEL(global_maxpool, bwd)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), S = numel(c->in[0]) / (N * C);
    if (!dx) return;
#pragma omp parallel for if (N * S * C > PAR_MIN)
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < C; i++) {
            const int64_t at = n * S * C + i;
            dx[at + first_max(x + at, S, C) * C] += dy[n * C + i];
        }
}
