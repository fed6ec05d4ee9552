// adamw: one step of Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter 2019); t = AdamwParams.step,
//   the first step is 1
//   g' = grad_scale g     m' = b1 m + (1-b1) g'     v' = b2 v + (1-b2) g'^2
//   p' = p - lr (m'/(1-b1^t) / (sqrt(v'/(1-b2^t)) + eps) + decay p)
//   in: p, g, m, v of one shape -> out: p', m', v', which may be the same buffers as p, m, v
#include "tensor/ref.h"

KERNEL(adamw, fwd)
{
    const AdamwParams *a = c->p;
    const real *p = in_x(c, 0), *g = in_x(c, 1), *m = in_x(c, 2), *v = in_x(c, 3);
    real *p1 = out_x(c, 0), *m1 = out_x(c, 1), *v1 = out_x(c, 2);
    const real b1 = (real)a->beta1, b2 = (real)a->beta2, c1 = (real)(1 - a->beta1), c2 = (real)(1 - a->beta2);
    const double t = (double)a->step;
    const real fix1 = (real)(1 / (1 - pow(a->beta1, t))), fix2 = (real)(1 / (1 - pow(a->beta2, t)));
    const real lr = (real)a->lr, eps = (real)a->eps, decay = (real)a->decay, gs = (real)a->grad_scale;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) {
        const real gi = gs * g[i];
        const real mi = b1 * m[i] + c1 * gi, vi = b2 * v[i] + c2 * gi * gi;
        p1[i] = p[i] - lr * (fix1 * mi / (R(sqrt)(fix2 * vi) + eps) + decay * p[i]);
        m1[i] = mi;
        v1[i] = vi;
    }
}
