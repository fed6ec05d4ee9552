// tanh: y = tanh x.   x any shape -> y like x
//   dx += dy (1 - y^2)
#include "tensor/ref.h"

KERNEL(tanh, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = R(tanh)(x[i]);
}

KERNEL(tanh, bwd)
{
    const real *y = out_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * (1 - y[i] * y[i]);
}
