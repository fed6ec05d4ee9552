// gelu_tanh: y = x/2 (1 + t), t = tanh u, u = r (x + k x^3), r = sqrt(2/pi), k = 0.044715.   x any shape -> y like x
//   dx += dy [(1 + t)/2 + x/2 (1 - t^2) r (1 + 3 k x^2)]
#include "tensor/ref/act.h"

KERNEL(gelu_tanh, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = act_gelu_tanh(x[i]);
}

KERNEL(gelu_tanh, bwd)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * act_gelu_tanh_grad(x[i]);
}
