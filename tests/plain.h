// Layers in plain loops, in double: a second derivation of what src/nn, src/diffusion, src/llm and src/lead compose on
// the tape.  One sample at a time; no op, kernel or shape of the engine is used, only the values of parameters by name.
// A layer knows from its parameter how wide it is; its input must have that width.
#ifndef LEAD_TESTS_PLAIN_H
#define LEAD_TESTS_PLAIN_H

#include <math.h>
#include <string.h>

#include "nn/params.h"

// h x w pixels of c channels, x[(i w + j) c + k]; a sequence has w = 1.
typedef struct Map { int64_t h, w, c; double *x; } Map;

typedef struct Plain { const ParamSet *ps; Arena *a; } Plain;

static inline Map map_new(const Plain *p, int64_t h, int64_t w, int64_t c)
{
    return (Map){h, w, c, arena_zalloc(p->a, (size_t)(h * w * c) * sizeof(double))};
}

static inline double *pixel_of(Map m, int64_t i, int64_t j) { return m.x + (i * m.w + j) * m.c; }

static inline Map map_copy(const Plain *p, Map m)
{
    Map y = map_new(p, m.h, m.w, m.c);
    memcpy(y.x, m.x, (size_t)(m.h * m.w * m.c) * sizeof *m.x);
    return y;
}

// The values of parameter "name.part"; NULL: there is none.  shape: NULL, or takes its shape.
static inline const double *plain_value(const Plain *p, const char *name, const char *part, Shape *shape)
{
    const Param *x = param_find(p->ps, *part ? arena_printf(p->a, "%s.%s", name, part) : name);
    if (!x) return NULL;
    double *v = arena_alloc(p->a, (size_t)numel(&x->t) * sizeof *v);
    tensor_get_f64(&x->t, v, numel(&x->t));
    if (shape) *shape = x->t.shape;
    return v;
}

static inline const double *plain_must(const Plain *p, const char *name, const char *part, Shape *shape)
{
    const double *v = plain_value(p, name, part, shape);
    CHECK(v, "no parameter %s.%s", name, part);
    return v;
}

// ---- functions of one value

static inline double plain_silu(double x) { return x / (1 + exp(-x)); }
static inline double plain_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double plain_relu(double x) { return x > 0 ? x : 0; }
static inline double plain_gelu(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static inline Map plain_each(Map x, double f(double))
{
    for (int64_t i = 0; i < x.h * x.w * x.c; i++) x.x[i] = f(x.x[i]);
    return x;
}

static inline Map plain_sum(Map x, Map y)
{
    CHECK(x.h == y.h && x.w == y.w && x.c == y.c, "plain_sum: other sizes");
    for (int64_t i = 0; i < x.h * x.w * x.c; i++) x.x[i] += y.x[i];
    return x;
}

// Channels of n maps side by side.
static inline Map plain_beside(const Plain *p, const Map *m, int n)
{
    int64_t c = 0;
    for (int i = 0; i < n; i++) c += m[i].c;
    Map y = map_new(p, m[0].h, m[0].w, c);
    for (int64_t at = 0; at < y.h * y.w; at++) {
        double *to = y.x + at * c;
        for (int i = 0; i < n; i++)
            for (int64_t k = 0; k < m[i].c; k++) *to++ = m[i].x[at * m[i].c + k];
    }
    return y;
}

// ---- layers with parameters

static inline Map plain_product(const Plain *p, const double *w, const double *b, int64_t in, int64_t out, Map x)
{
    CHECK(x.c == in, "plain: want %lld channels, got %lld", (long long)in, (long long)x.c);
    Map y = map_new(p, x.h, x.w, out);
    for (int64_t at = 0; at < x.h * x.w; at++)
        for (int64_t o = 0; o < out; o++) {
            double sum = b ? b[o] : 0;
            for (int64_t i = 0; i < in; i++) sum += x.x[at * in + i] * w[i * out + o];
            y.x[at * out + o] = sum;
        }
    return y;
}

static inline Map plain_linear(const Plain *p, const char *name, Map x)
{
    Shape s;
    const double *w = plain_must(p, name, "weight", &s);
    return plain_product(p, w, plain_value(p, name, "bias", NULL), s.d[0], s.d[1], x);
}

// Zeros outside the image, kernel/2 of them on each side.
static inline Map plain_conv(const Plain *p, const char *name, Map x, int64_t stride)
{
    Shape s;
    const double *w = plain_must(p, name, "weight", &s), *b = plain_must(p, name, "bias", NULL);
    const int64_t K = s.d[0], pad = K / 2, out = s.d[3];
    CHECK(s.d[1] == K && s.d[2] == x.c, "plain_conv: %s", name);
    Map y = map_new(p, (x.h + 2 * pad - K) / stride + 1, (x.w + 2 * pad - K) / stride + 1, out);
    for (int64_t i = 0; i < y.h; i++)
        for (int64_t j = 0; j < y.w; j++)
            for (int64_t o = 0; o < out; o++) {
                double sum = b[o];
                for (int64_t u = 0; u < K; u++)
                    for (int64_t v = 0; v < K; v++) {
                        const int64_t row = i * stride + u - pad, column = j * stride + v - pad;
                        if (row < 0 || column < 0 || row >= x.h || column >= x.w) continue;
                        for (int64_t k = 0; k < x.c; k++)
                            sum += pixel_of(x, row, column)[k] * w[((u * K + v) * x.c + k) * out + o];
                    }
                pixel_of(y, i, j)[o] = sum;
            }
    return y;
}

// Mean 0 and variance 1 of n values that lie `step` apart in each of `rows` rows.
static inline void plain_standardise(double *x, int64_t rows, int64_t step, int64_t n, double eps)
{
    double mean = 0, variance = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++) mean += x[r * step + k] / (double)(rows * n);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++) variance += pow(x[r * step + k] - mean, 2) / (double)(rows * n);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++) x[r * step + k] = (x[r * step + k] - mean) / sqrt(variance + eps);
}

static inline Map plain_affine(const Plain *p, const char *name, Map x)
{
    const double *gamma = plain_must(p, name, "weight", NULL), *beta = plain_must(p, name, "bias", NULL);
    for (int64_t at = 0; at < x.h * x.w; at++)
        for (int64_t k = 0; k < x.c; k++) x.x[at * x.c + k] = gamma[k] * x.x[at * x.c + k] + beta[k];
    return x;
}

static inline Map plain_layer_norm(const Plain *p, const char *name, Map x, double eps)
{
    Map y = map_copy(p, x);
    for (int64_t at = 0; at < x.h * x.w; at++) plain_standardise(y.x + at * x.c, 1, 0, x.c, eps);
    return plain_affine(p, name, y);
}

// As many groups as there can be, up to 32, of two channels or more.
static inline Map plain_groups(const Plain *p, Map x)
{
    int64_t groups = 32;
    while (groups > 1 && (x.c % groups || x.c / groups < 2)) groups--;
    const int64_t each = x.c / groups;
    Map y = map_copy(p, x);
    for (int64_t g = 0; g < groups; g++) plain_standardise(y.x + g * each, x.h * x.w, x.c, each, 1e-5);
    return y;
}

static inline Map plain_group_norm(const Plain *p, const char *name, Map x)
{
    return plain_affine(p, name, plain_groups(p, x));
}

// (1 + gamma) x + beta, with gamma and beta the halves of s, one pixel of 2 c channels.
static inline Map plain_film(Map x, Map s)
{
    CHECK(s.c == 2 * x.c && s.h * s.w == 1, "plain_film: sizes");
    for (int64_t at = 0; at < x.h * x.w; at++)
        for (int64_t k = 0; k < x.c; k++) x.x[at * x.c + k] = (1 + s.x[k]) * x.x[at * x.c + k] + s.x[x.c + k];
    return x;
}

// softmax of n scores, in place
static inline void plain_softmax(double *x, int64_t n)
{
    double sum = 0, most = x[0];
    for (int64_t i = 1; i < n; i++) most = fmax(most, x[i]);
    for (int64_t i = 0; i < n; i++) sum += x[i] = exp(x[i] - most);
    for (int64_t i = 0; i < n; i++) x[i] /= sum;
}

// Each pixel of q looks at all of k, or, causal, at those up to its own place.
static inline Map plain_attend(const Plain *p, Map q, Map k, Map v, int64_t heads, bool causal)
{
    const int64_t Tq = q.h * q.w, Tk = k.h * k.w, E = q.c / heads;
    Map y = map_new(p, q.h, q.w, q.c), score = map_new(p, 1, 1, Tk);
    for (int64_t i = 0; i < Tq; i++)
        for (int64_t h = 0; h < heads; h++) {
            const int64_t seen = causal ? i + 1 : Tk;
            for (int64_t j = 0; j < seen; j++) {
                score.x[j] = 0;
                for (int64_t e = h * E; e < (h + 1) * E; e++) score.x[j] += q.x[i * q.c + e] * k.x[j * q.c + e];
                score.x[j] /= sqrt((double)E);
            }
            plain_softmax(score.x, seen);
            for (int64_t j = 0; j < seen; j++)
                for (int64_t e = h * E; e < (h + 1) * E; e++) y.x[i * q.c + e] += score.x[j] * v.x[j * q.c + e];
        }
    return y;
}

// Attention with its four projections, prefix.q, .k, .v, .o.
static inline Map plain_attention(const Plain *p, const char *prefix, Map x, Map kv, int64_t heads, bool causal)
{
    const Map q = plain_linear(p, arena_printf(p->a, "%s.q", prefix), x),
              k = plain_linear(p, arena_printf(p->a, "%s.k", prefix), kv),
              v = plain_linear(p, arena_printf(p->a, "%s.v", prefix), kv);
    return plain_linear(p, arena_printf(p->a, "%s.o", prefix), plain_attend(p, q, k, v, heads, causal));
}

// sin and cos of time w_i, w_i = 10000^(-2 i / D)
static inline Map plain_time(const Plain *p, double time, int64_t D)
{
    Map y = map_new(p, 1, 1, D);
    for (int64_t i = 0; i < D / 2; i++) {
        y.x[i] = sin(time * pow(10000, -2.0 * (double)i / (double)D));
        y.x[D / 2 + i] = cos(time * pow(10000, -2.0 * (double)i / (double)D));
    }
    return y;
}

#endif
