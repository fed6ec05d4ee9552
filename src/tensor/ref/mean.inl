// mean: y = (sum_i x_i) / n, added in double, in order.   x any shape, n values -> y [1]
//   dx += dy / n
#include "tensor/ref.h"

KERNEL(mean, fwd)
{
    const real *x = in_x(c, 0);
    const int64_t n = numel(c->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    out_x(c, 0)[0] = (real)(sum / (double)n);
}

KERNEL(mean, bwd)
{
    const int64_t n = numel(c->in[0]);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const real d = out_g(c, 0)[0] / (real)n;
    for (int64_t i = 0; i < n; i++) dx[i] += d;
}
