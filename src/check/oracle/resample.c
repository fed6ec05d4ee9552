// Resampling by scatter, pooling by running folds.
#include <math.h>

#include "check/oracle.h"

void upsample2_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int64_t *d = c->in[0]->shape.d, H = d[1], W = d[2], C = d[3];
    for (int64_t at = 0; at < numel(c->in[0]); at++) {
        const int64_t ch = at % C, w = at / C % W, h = at / C / W % H, n = at / C / W / H;
        for (int64_t corner = 0; corner < 4; corner++)
            out[0][((n * 2 * H + 2 * h + corner / 2) * 2 * W + 2 * w + corner % 2) * C + ch] = x[at];
    }
}

void avgpool2_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int64_t *d = c->in[0]->shape.d, H = d[1], W = d[2], C = d[3];
    for (int64_t i = 0; i < numel(c->out[0]); i++) out[0][i] = 0;
    for (int64_t at = 0; at < numel(c->in[0]); at++) {
        const int64_t ch = at % C, w = at / C % W, h = at / C / W % H, n = at / C / W / H;
        out[0][((n * (H / 2) + h / 2) * (W / 2) + w / 2) * C + ch] += x[at] / 4;
    }
}

// Mean of the first s+1 values from the mean of the first s: m += (x - m) / (s + 1).
void global_avgpool_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int64_t N = c->out[0]->shape.d[0], C = c->out[0]->shape.d[1], S = numel(c->in[0]) / (N * C);
    for (int64_t i = 0; i < N * C; i++) {
        long double mean = 0;
        for (int64_t s = 0; s < S; s++) mean += (x[(i / C * S + s) * C + i % C] - mean) / (long double)(s + 1);
        out[0][i] = mean;
    }
}

void global_maxpool_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int64_t N = c->out[0]->shape.d[0], C = c->out[0]->shape.d[1], S = numel(c->in[0]) / (N * C);
    for (int64_t i = 0; i < N * C; i++) out[0][i] = -INFINITY;
    for (int64_t at = numel(c->in[0]) - 1; at >= 0; at--) {
        long double *y = &out[0][at / (S * C) * C + at % C];
        *y = fmaxl(*y, x[at]);
    }
}
