// sum: y = sum_i x_i, added in double, in order.   x any shape -> y [1]
//   dx += dy
#include "tensor/ref.h"

KERNEL(sum, fwd)
{
    const real *x = in_x(c, 0);
    double sum = 0;
    for (int64_t i = 0, n = numel(c->in[0]); i < n; i++) sum += (double)x[i];
    out_x(c, 0)[0] = (real)sum;
}

KERNEL(sum, bwd)
{
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    for (int64_t i = 0, n = numel(c->in[0]); i < n; i++) dx[i] += dy[0];
}
