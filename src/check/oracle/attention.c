// cache_put by a formula for each value.  Softmax without the shift by the maximum (long double reaches exp(11000)),
// attention with the whole masked matrix.
#include <math.h>

#include "check/oracle.h"

void softmax_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int64_t C = shape_last(c->in[0]->shape);
    for (int64_t r = 0; r < shape_rows(c->in[0]->shape); r++) {
        long double sum = 0;
        for (int64_t i = 0; i < C; i++) sum += expl(x[r * C + i]);
        for (int64_t i = 0; i < C; i++) out[0][r * C + i] = expl(x[r * C + i] - logl(sum));
    }
}

// E[i,j] = exp(score[i,j]), 0 where masked; lse = log of the row sums, o = E v / row sums.
static void one_head(const OpCall *c, int64_t n, int64_t head, long double *E, long double *const *out)
{
    const AttentionParams *p = c->p;
    const int64_t Tq = c->in[0]->shape.d[1], L = c->in[1]->shape.d[1], D = c->in[0]->shape.d[2], size = D / p->heads;
    const int64_t Tk = p->keys ? p->keys : L;
    const double *q = (const double *)c->in[0]->x + n * Tq * D, *k = (const double *)c->in[1]->x + n * L * D;
    const double *v = (const double *)c->in[2]->x + n * L * D;
    for (int64_t ij = 0; ij < Tq * Tk; ij++) E[ij] = 0;
    for (int64_t ch = head * size; ch < (head + 1) * size; ch++)     // Q K^T as a sum of outer products
        for (int64_t ij = 0; ij < Tq * Tk; ij++) E[ij] += (long double)q[ij / Tk * D + ch] * k[ij % Tk * D + ch];
    for (int64_t ij = 0; ij < Tq * Tk; ij++) {
        const bool masked = p->causal && Tq - 1 - ij / Tk > Tk - 1 - ij % Tk;   // counted from the ends, which coincide
        E[ij] = masked ? 0 : expl(E[ij] / sqrtl((long double)size));
    }
    for (int64_t i = 0; i < Tq; i++) {
        long double sum = 0;
        for (int64_t j = 0; j < Tk; j++) sum += E[i * Tk + j];
        out[1][(n * p->heads + head) * Tq + i] = logl(sum);
        for (int64_t ch = head * size; ch < (head + 1) * size; ch++) {
            long double o = 0;
            for (int64_t j = 0; j < Tk; j++) o += E[i * Tk + j] * v[j * D + ch];
            out[0][(n * Tq + i) * D + ch] = o / sum;
        }
    }
}

void attention_oracle(const OpCall *c, long double *const *out)
{
    const int64_t N = c->in[0]->shape.d[0], heads = ((const AttentionParams *)c->p)->heads;
    long double *E = arena_alloc(c->scratch, (size_t)(c->in[0]->shape.d[1] * c->in[1]->shape.d[1]) * sizeof *E);
    for (int64_t n = 0; n < N; n++)
        for (int64_t head = 0; head < heads; head++) one_head(c, n, head, E, out);
}

void cache_put_oracle(const OpCall *c, long double *const *out)
{
    const int64_t *s = c->in[0]->shape.d, T = c->in[1]->shape.d[1], start = ((const CachePutParams *)c->p)->start;
    const double *cache = c->in[0]->x, *x = c->in[1]->x;
    for (int64_t i = 0; i < s[0] * s[1] * s[2]; i++) {
        const int64_t n = i / s[2] / s[1], r = i / s[2] % s[1] - start;
        out[0][i] = r >= 0 && r < T ? x[(n * T + r) * s[2] + i % s[2]] : cache[i];
    }
}
