// Elementwise ops in long double; functions by other identities than the reference kernels'.
#include <math.h>

#include "check/oracle.h"

static long double relu(long double x) { return (x + fabsl(x)) / 2; }
static long double sigmoid(long double x) { return (1 + tanhl(x / 2)) / 2; }
static long double silu(long double x) { return x * sigmoid(x); }
static long double gelu_erf(long double x) { return x / 2 * erfcl(-x / sqrtl(2)); }
static long double softplus(long double x) { return x > 0 ? x - logl(sigmoid(x)) : log1pl(expl(x)); }
static long double hyperbolic(long double x) { return 1 - 2 / (expl(2 * x) + 1); }

// x/2 (1 + tanh u) = x sigmoid(2u)
static long double gelu_tanh(long double x)
{
    return x * sigmoid(2 * sqrtl(2 / 3.14159265358979323846264L) * x * (1 + 0.044715L * x * x));
}

static void unary(const OpCall *c, long double *const *out, long double (*fn)(long double))
{
    const double *x = c->in[0]->x;
    for (int64_t i = 0; i < numel(c->in[0]); i++) out[0][i] = fn(x[i]);
}

void relu_oracle(const OpCall *c, long double *const *out) { unary(c, out, relu); }
void silu_oracle(const OpCall *c, long double *const *out) { unary(c, out, silu); }
void gelu_tanh_oracle(const OpCall *c, long double *const *out) { unary(c, out, gelu_tanh); }
void gelu_erf_oracle(const OpCall *c, long double *const *out) { unary(c, out, gelu_erf); }
void sigmoid_oracle(const OpCall *c, long double *const *out) { unary(c, out, sigmoid); }
void tanh_oracle(const OpCall *c, long double *const *out) { unary(c, out, hyperbolic); }
void softplus_oracle(const OpCall *c, long double *const *out) { unary(c, out, softplus); }

// The second input repeats: its element for element i of the first is i modulo its size.
void add_oracle(const OpCall *c, long double *const *out)
{
    const double *a = c->in[0]->x, *b = c->in[1]->x;
    for (int64_t i = 0; i < numel(c->in[0]); i++) out[0][i] = (long double)a[i] + b[i % numel(c->in[1])];
}

void mul_oracle(const OpCall *c, long double *const *out)
{
    const double *a = c->in[0]->x, *b = c->in[1]->x;
    for (int64_t i = 0; i < numel(c->in[0]); i++) out[0][i] = (long double)a[i] * b[i % numel(c->in[1])];
}

void mul_rows_oracle(const OpCall *c, long double *const *out)
{
    const double *a = c->in[0]->x, *s = c->in[1]->x;
    const int64_t n = numel(c->in[0]), rows = numel(c->in[1]);
    for (int64_t i = 0; i < n; i++) out[0][i] = (long double)a[i] * s[i * rows / n];
}

void scale_oracle(const OpCall *c, long double *const *out)
{
    const ScaleParams *p = c->p;
    const double *x = c->in[0]->x;
    for (int64_t i = 0; i < numel(c->in[0]); i++) out[0][i] = (long double)p->alpha * x[i] + p->beta;
}

// (|x + l| - |x - l|) / 2
void clamp_oracle(const OpCall *c, long double *const *out)
{
    const ClampParams *p = c->p;
    const double *x = c->in[0]->x;
    for (int64_t i = 0; i < numel(c->in[0]); i++)
        out[0][i] = (fabsl(x[i] + (long double)p->limit) - fabsl(x[i] - (long double)p->limit)) / 2;
}
