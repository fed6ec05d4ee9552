// Norms by raw moments, var = E[x^2] - E[x]^2 (11 more bits than double: fine for values near 1), the affine part
// folded into one factor and one offset; SiLU as z/2 (1 + tanh(z/2)).
#include <math.h>

#include "check/oracle.h"

static long double silu(long double z) { return z / 2 * (1 + tanhl(z / 2)); }

// Mean and 1/sqrt(var + eps) of the numbers of group g of sample n; x [N,S,G*M].
static void moments(const double *x, int64_t S, int64_t G, int64_t M, int64_t n, int64_t g, double eps,
                    long double *mean, long double *rstd)
{
    long double sum = 0, squares = 0;
    for (int64_t s = 0; s < S; s++)
        for (int64_t m = 0; m < M; m++) {
            const long double v = x[((n * S + s) * G + g) * M + m];
            sum += v;
            squares += v * v;
        }
    const long double count = (long double)(S * M);
    *mean = sum / count;
    *rstd = 1 / sqrtl(squares / count - *mean * *mean + eps);
}

void layer_norm_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x, *gamma = c->in[1]->x, *beta = c->in[2]->x;
    const LayerNormParams *p = c->p;
    const int64_t C = shape_last(c->in[0]->shape);
    for (int64_t r = 0; r < shape_rows(c->in[0]->shape); r++) {
        moments(x, 1, 1, C, r, 0, p->eps, &out[1][r], &out[2][r]);
        for (int64_t i = 0; i < C; i++) {
            const long double factor = gamma[i] * out[2][r];
            out[0][r * C + i] = factor * x[r * C + i] + (beta[i] - factor * out[1][r]);
        }
    }
}

// gamma, beta of sample n start at [n * step]; one is added to gamma.
static void grouped(const OpCall *c, const double *gamma, const double *beta, int64_t step, double one,
                    long double *const *out)
{
    const double *x = c->in[0]->x;
    const GroupNormParams *p = c->p;
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), S = numel(c->in[0]) / (N * C);
    const int64_t G = p->groups;
    for (int64_t ng = 0; ng < N * G; ng++) moments(x, S, G, C / G, ng / G, ng % G, p->eps, &out[1][ng], &out[2][ng]);
    for (int64_t at = 0; at < numel(c->in[0]); at++) {
        const int64_t n = at / (S * C), i = at % C, ng = n * G + i / (C / G);
        const long double factor = ((long double)one + gamma[n * step + i]) * out[2][ng];
        const long double z = factor * x[at] + (beta[n * step + i] - factor * out[1][ng]);
        out[0][at] = p->silu ? silu(z) : z;
    }
}

void group_norm_oracle(const OpCall *c, long double *const *out) { grouped(c, c->in[1]->x, c->in[2]->x, 0, 0, out); }

void adagn_oracle(const OpCall *c, long double *const *out)
{
    const int64_t C = shape_last(c->in[0]->shape);
    const double *s = c->in[1]->x;
    grouped(c, s, s + C, 2 * C, 1, out);
}

void film_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x, *s = c->in[1]->x;
    const int64_t C = shape_last(c->in[0]->shape), of_sample = numel(c->in[0]) / c->in[0]->shape.d[0];
    for (int64_t at = 0; at < numel(c->in[0]); at++) {
        const double *gamma = s + at / of_sample * 2 * C, *beta = gamma + C;
        const long double z = (long double)x[at] + ((long double)gamma[at % C] * x[at] + beta[at % C]);
        out[0][at] = ((const FilmParams *)c->p)->silu ? silu(z) : z;
    }
}
