// sigmoid: y = 1 / (1 + exp(-x)).   x any shape -> y like x
//   dx += dy y (1 - y)
#include "tensor/ref/act.h"

KERNEL(sigmoid, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = act_sigmoid(x[i]);
}

KERNEL(sigmoid, bwd)
{
    const real *y = out_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * y[i] * (1 - y[i]);
}
