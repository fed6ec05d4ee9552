// silu: y = x / (1 + exp(-x)) (Elfwing, Uchibe, Doya 2017).   x any shape -> y like x
//   dx += dy s (1 + x (1 - s)),   s = sigmoid(x)
#include "tensor/ref/act.h"

KERNEL(silu, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = act_silu(x[i]);
}

KERNEL(silu, bwd)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * act_silu_grad(x[i]);
}
