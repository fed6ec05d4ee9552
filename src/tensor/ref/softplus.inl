// softplus: y = log(1 + exp x) = max(x, 0) + log1p(exp(-|x|)).   x any shape -> y like x
//   dx += dy sigmoid(x)
#include "tensor/ref/act.h"

KERNEL(softplus, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] > 0 ? x[i] : 0) + R(log1p)(R(exp)(-R(fabs)(x[i])));
}

KERNEL(softplus, bwd)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * act_sigmoid(x[i]);
}
