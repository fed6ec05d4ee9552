// adamw: one step of Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter 2019) over all parameters,
//   laid end to end (nn/params.h), with clipping of the gradient's global norm and the parameters' moving average
//   g' = g min(1, clip / sqrt(total))     m' = b1 m + (1-b1) g'     v' = b2 v + (1-b2) g'^2
//   p' = p - lr (fix1 m' / (sqrt(fix2 v') + eps) + decay p)         e' = e + f (p' - e): p at rest keeps its e exactly
//   in: p, g, m, v [n], rates [4] = (lr, fix1 = 1/(1-b1^t), fix2 = 1/(1-b2^t), f = 1 - decay of the average), total [1]
//   = the sum of g^2 or NULL (no clipping), e [n] or NULL -> out: p', m', v', and e' with e; each may be the buffer of
//   its input.  clip 0: none.  decay is that of the first `decayed` values, 0 for the others.  A total that is not
//   finite leaves p, m, v and e as they are.  What changes from step to step is in rates and total: recorded work reads
//   it when it runs.
#include "tensor/ref.h"

KERNEL(adamw, fwd)
{
    const AdamwParams *a = c->p;
    const real *p = in_x(c, 0), *g = in_x(c, 1), *m = in_x(c, 2), *v = in_x(c, 3), *rates = in_x(c, 4);
    const real *total = in_x(c, 5), *e = in_x(c, 6);
    real *p1 = out_x(c, 0), *m1 = out_x(c, 1), *v1 = out_x(c, 2), *e1 = e ? out_x(c, 3) : NULL;
    const real b1 = (real)a->beta1, b2 = (real)a->beta2, c1 = (real)(1 - a->beta1), c2 = (real)(1 - a->beta2);
    const real lr = rates[0], fix1 = rates[1], fix2 = rates[2], f = rates[3], eps = (real)a->eps;
    const double norm = total ? sqrt((double)total[0]) : 0;
    const real gs = (real)(a->clip > 0 && norm > a->clip ? a->clip / norm : 1);
    const bool still = !isfinite(norm);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) {
        const real gi = gs * g[i], decay = i < a->decayed ? (real)a->decay : 0;
        const real mi = b1 * m[i] + c1 * gi, vi = b2 * v[i] + c2 * gi * gi;
        const real pi = p[i] - lr * (fix1 * mi / (R(sqrt)(fix2 * vi) + eps) + decay * p[i]);
        if (e1) e1[i] = still ? e[i] : e[i] + f * (pi - e[i]);
        p1[i] = still ? p[i] : pi;
        m1[i] = still ? m[i] : mi;
        v1[i] = still ? v[i] : vi;
    }
}
