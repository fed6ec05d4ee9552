// Optimiser in long double: the moments as steps towards the gradient, decay as a factor; log_put value by value.
#include <math.h>

#include "check/oracle.h"

void adamw_oracle(const OpCall *c, long double *const *out)
{
    const AdamwParams *a = c->p;
    const double *p = c->in[0]->x, *g = c->in[1]->x, *m = c->in[2]->x, *v = c->in[3]->x, *rates = c->in[4]->x;
    const double *e = c->in[6] ? c->in[6]->x : NULL;
    const long double b1 = a->beta1, b2 = a->beta2, sum = c->in[5] ? *(const double *)c->in[5]->x : 0;
    const bool rest = !(sum < (long double)INFINITY);
    const long double shrink = a->clip > 0 && sum > (long double)a->clip * a->clip ? a->clip / sqrtl(sum) : 1;
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const long double gi = shrink * g[i], decay = i < a->decayed ? a->decay : 0;
        out[1][i] = rest ? m[i] : m[i] + (1 - b1) * (gi - m[i]);
        out[2][i] = rest ? v[i] : v[i] + (1 - b2) * (gi * gi - v[i]);
        out[0][i] = rest ? p[i] : p[i] * (1 - rates[0] * decay) -
                                  rates[0] * (rates[1] * out[1][i]) / (sqrtl(rates[2] * out[2][i]) + a->eps);
        if (e) out[3][i] = rest ? e[i] : (1 - (long double)rates[3]) * e[i] + rates[3] * out[0][i];
    }
}

void log_put_oracle(const OpCall *c, long double *const *out)
{
    const double *log = c->in[0]->x;
    const int64_t K = c->in[0]->shape.d[0], C = c->in[0]->shape.d[1];
    const int64_t step = (int64_t)(uint32_t)*(const int32_t *)c->in[1]->x;
    for (int64_t i = 0; i < K * C; i++)
        out[0][i] = (step - i / C) % K == 0 ? *(const double *)c->in[2 + i % C]->x : log[i];
}
