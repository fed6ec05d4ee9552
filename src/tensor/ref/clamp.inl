// clamp: y = x within [-limit, limit], else the nearer end; NaN stays.   x any shape -> y like x; ClampParams; no
// backward
#include "tensor/ref.h"

KERNEL(clamp, fwd)
{
    const ClampParams *p = c->p;
    const real *x = in_x(c, 0), limit = (real)p->limit;
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
}
