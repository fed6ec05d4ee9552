// Elementwise ops in long double; functions by other identities than the reference kernels'.
#include <math.h>

#include "check/oracle.h"
#include "tensor/philox.h"

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

static uint32_t clock_of(const OpCall *c, int i) { return c->n_in > i && c->in[i] ? (uint32_t)*(const int32_t *)c->in[i]->x : 0; }

// Draw by draw instead of quad by quad.
void dropout_oracle(const OpCall *c, long double *const *out)
{
    const DropoutParams *p = c->p;
    const double *x = c->in[0]->x;
    const uint64_t sub = philox_subsequence(p->at.site, p->at.step + clock_of(c, 1));
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const uint32_t draw = philox_u32(p->at.seed, sub, p->at.offset + (uint64_t)i);
        out[0][i] = (double)philox_unit(draw) < p->p ? 0 : x[i] / (1 - (long double)p->p);
    }
}

// Normal by normal.
void randn_oracle(const OpCall *c, long double *const *out)
{
    const RandnParams *p = c->p;
    const uint64_t sub = philox_subsequence(p->at.site, p->at.step + clock_of(c, 0));
    const Shape s = c->out[0]->shape;
    const int64_t n = shape_numel(s), len = s.n && s.d[0] ? n / s.d[0] : n, stride = len + (4 - len % 4) % 4;
    const int32_t *pair = c->n_in > 1 ? c->in[1]->x : NULL;
    for (int64_t i = 0; i < n; i++) {
        uint64_t row = (uint64_t)(p->row0 + i / len);
        if (pair) row = (uint32_t)pair[i / len * 2] + 0x100000000u * (uint64_t)(uint32_t)pair[i / len * 2 + 1];
        out[0][i] = philox_normal(p->at.seed, sub, p->at.offset + row * (uint64_t)stride + (uint64_t)(i % len));
    }
}
