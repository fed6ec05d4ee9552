// Optimiser ops in long double.
#include <math.h>

#include "check/oracle.h"

void adamw_oracle(const OpCall *c, long double *const *out)
{
    const AdamwParams *a = c->p;
    const double *p = c->in[0]->x, *g = c->in[1]->x, *m = c->in[2]->x, *v = c->in[3]->x;
    const long double b1 = a->beta1, b2 = a->beta2;
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const long double gi = (long double)a->grad_scale * g[i];
        out[1][i] = m[i] + (1 - b1) * (gi - m[i]);
        out[2][i] = v[i] + (1 - b2) * (gi * gi - v[i]);
        const long double mean = out[1][i] / (1 - powl(b1, (long double)a->step));
        const long double var = out[2][i] / (1 - powl(b2, (long double)a->step));
        out[0][i] = p[i] * (1 - (long double)a->lr * a->decay) - a->lr * mean / (sqrtl(var) + a->eps);
    }
}

void ema_oracle(const OpCall *c, long double *const *out)
{
    const EmaParams *p = c->p;
    const double *e = c->in[0]->x, *x = c->in[1]->x;
    for (int64_t i = 0; i < numel(c->in[0]); i++) out[0][i] = (long double)p->decay * e[i] + (1 - (long double)p->decay) * x[i];
}
