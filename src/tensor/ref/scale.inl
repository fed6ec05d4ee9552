// scale: y = alpha x + beta.   x any shape -> y like x; ScaleParams
//   dx += alpha dy
#include "tensor/ref.h"

KERNEL(scale, fwd)
{
    const ScaleParams *p = c->p;
    const real *x = in_x(c, 0), alpha = (real)p->alpha, beta = (real)p->beta;
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = alpha * x[i] + beta;
}

KERNEL(scale, bwd)
{
    const ScaleParams *p = c->p;
    const real *dy = out_g(c, 0), alpha = (real)p->alpha;
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += alpha * dy[i];
}
