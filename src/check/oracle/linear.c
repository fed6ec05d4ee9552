// Products: each output element by itself, from its indices.
#include <math.h>

#include "check/oracle.h"

void matmul_oracle(const OpCall *c, long double *const *out)
{
    const MatmulParams *p = c->p;
    const double *a = c->in[0]->x, *b = c->in[1]->x;
    const Shape sa = c->in[0]->shape, sy = c->out[0]->shape;
    const int64_t M = sy.d[sy.n - 2], N = sy.d[sy.n - 1], K = sa.d[sa.n - 2] * sa.d[sa.n - 1] / M;
    for (int64_t i = 0; i < shape_numel(sy); i++) {
        const int64_t batch = i / (M * N), m = i / N % M, n = i % N;
        long double sum = 0;
        for (int64_t k = K - 1; k >= 0; k--)
            sum += (long double)a[batch * M * K + (p->trans_a ? k * M + m : m * K + k)] *
                   b[batch * K * N + (p->trans_b ? n * K + k : k * N + n)];
        out[0][i] = p->alpha * sum;
    }
}

static long double linear_at(const OpCall *c, int64_t i)
{
    const double *x = c->in[0]->x, *w = c->in[1]->x, *b = c->n_in > 2 && c->in[2] ? c->in[2]->x : NULL;
    const int64_t K = c->in[1]->shape.d[0], N = c->in[1]->shape.d[1];
    long double sum = 0;
    for (int64_t k = K - 1; k >= 0; k--) sum += (long double)x[i / N * K + k] * w[k * N + i % N];
    return sum + (b ? b[i % N] : 0);
}

void linear_oracle(const OpCall *c, long double *const *out)
{
    for (int64_t i = 0; i < numel(c->out[0]); i++) out[0][i] = linear_at(c, i);
}

void linear_gelu_oracle(const OpCall *c, long double *const *out)   // x/2 (1 + tanh u) = x / (1 + exp(-2u))
{
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        const long double h = linear_at(c, i), u = sqrtl(2 / 3.14159265358979323846264L) * h * (1 + 0.044715L * h * h);
        out[0][i] = h / (1 + expl(-2 * u));
        out[1][i] = h;
    }
}

void linear_silu_oracle(const OpCall *c, long double *const *out)
{
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        const long double h = linear_at(c, i);
        out[0][i] = h / (1 + expl(-h));
        out[1][i] = h;
    }
}

void linear_add_oracle(const OpCall *c, long double *const *out)
{
    const double *r = c->in[3]->x;
    for (int64_t i = 0; i < numel(c->out[0]); i++) out[0][i] = linear_at(c, i) + r[i];
}
