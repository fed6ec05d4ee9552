// linear_add: y = (x w + b) + r, a projection into a residual.   x [..,K], w [K,N], b [N] or NULL, r [..,N] -> y [..,N]
//   dr += dy, then linear's backward.  r may be x; y is memory of its own.
#include "tensor/ref.h"

KERNEL(linear_add, fwd)
{
    SYMBOL(linear, fwd)(c);   // of inputs 0 to 2
    const real *r = in_x(c, 3);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->out[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] += r[i];
}

KERNEL(linear_add, bwd)
{
    const real *dy = out_g(c, 0);
    real *dr = in_g(c, 3);
    const int64_t n = numel(c->out[0]);
    if (dr) {
#pragma omp parallel for if (n > PAR_MIN)
        for (int64_t i = 0; i < n; i++) dr[i] += dy[i];
    }
    SYMBOL(linear, bwd)(c);
}
