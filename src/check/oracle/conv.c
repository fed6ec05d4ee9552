// Convolutions by scatter: every input value is added to all outputs that it reaches.
#include "check/oracle.h"

static void fill_bias(long double *y, const Tensor *b, int64_t rows, int64_t C)
{
    for (int64_t i = 0; i < rows * C; i++) y[i] = b ? ((const double *)b->x)[i % C] : 0;
}

void conv2d_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x, *w = c->in[1]->x;
    const int64_t *dx = c->in[0]->shape.d, *dw = c->in[1]->shape.d, *dy = c->out[0]->shape.d;
    const Conv2dParams *p = c->p;
    const int64_t H = dx[1], W = dx[2], C = dx[3], O = dw[3];
    fill_bias(out[0], c->in[2], dy[0] * dy[1] * dy[2], O);
    for (int64_t at = 0; at < numel(c->in[0]); at++)
        for (int64_t tap = 0; tap < dw[0] * dw[1]; tap++) {
            // the pixel seen through this tap: p pixels down and right in the padded image, then back by the tap
            const int64_t top = at / C / W % H + p->pad - tap / dw[1], left = at / C % W + p->pad - tap % dw[1];
            if (top < 0 || left < 0 || top % p->stride || left % p->stride) continue;
            const int64_t i = top / p->stride, j = left / p->stride;
            if (i >= dy[1] || j >= dy[2]) continue;
            long double *y = out[0] + ((at / C / W / H * dy[1] + i) * dy[2] + j) * O;
            for (int64_t o = 0; o < O; o++) y[o] += (long double)x[at] * w[(tap * C + at % C) * O + o];
        }
}

void conv2d_multi_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int64_t *dx = c->in[0]->shape.d, H = dx[1], W = dx[2], C = dx[3], all = c->out[0]->shape.d[3];
    int64_t first = 0;
    for (int m = 1; m < c->n_in; m += 2) {
        const double *w = c->in[m]->x, *b = c->in[m + 1] ? c->in[m + 1]->x : NULL;
        const int64_t k = c->in[m]->shape.d[0], O = c->in[m]->shape.d[3];
        for (int64_t at = 0; at < dx[0] * H * W * O; at++) out[0][at / O * all + first + at % O] = b ? b[at % O] : 0;
        for (int64_t at = 0; at < numel(c->in[0]); at++)
            for (int64_t i = at / C / W % H - k / 2; i <= at / C / W % H + k / 2; i++)   // the pixels that see it
                for (int64_t j = at / C % W - k / 2; j <= at / C % W + k / 2; j++) {
                    if (i < 0 || i >= H || j < 0 || j >= W) continue;
                    const int64_t tap = (at / C / W % H - i + k / 2) * k + at / C % W - j + k / 2;
                    long double *y = out[0] + ((at / C / W / H * H + i) * W + j) * all + first;
                    for (int64_t o = 0; o < O; o++) y[o] += (long double)x[at] * w[(tap * C + at % C) * O + o];
                }
        first += O;
    }
}

void dwconv1d_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x, *w = c->in[1]->x;
    const int64_t *d = c->in[0]->shape.d, T = d[1], C = d[2], K = c->in[1]->shape.d[0];
    fill_bias(out[0], c->in[2], d[0] * T, C);
    for (int64_t at = 0; at < numel(c->in[0]); at++)
        for (int64_t k = 0; k < K; k++) {
            const int64_t ahead = (K - 1) / 2 - k, t = at / C % T + ahead;   // tap (K-1)/2 is the middle
            if (t >= 0 && t < T) out[0][at + ahead * C] += (long double)x[at] * w[k * C + at % C];
        }
}
