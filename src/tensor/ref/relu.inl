// relu: y = max(x, 0).   x any shape -> y like x
//   dx += dy where x > 0, nothing where x <= 0
#include "tensor/ref.h"

KERNEL(relu, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i];
}

KERNEL(relu, bwd)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += x[i] > 0 ? dy[i] : 0;
}
