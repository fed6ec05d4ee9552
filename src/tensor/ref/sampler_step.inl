// sampler_step: y = a x + b d + c z, one update of a sampler (E7); SamplerStepParams
//   x, d [..], z [..] or NULL -> y like x
#include "tensor/ref.h"

KERNEL(sampler_step, fwd)
{
    const SamplerStepParams *p = c->p;
    const real *x = in_x(c, 0), *d = in_x(c, 1), *z = in_x(c, 2);
    const real fx = (real)p->a, fd = (real)p->b, fz = (real)p->c;
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
    for (int64_t i = 0; i < n; i++) y[i] = fx * x[i] + fd * d[i] + (z ? fz * z[i] : 0);
}
