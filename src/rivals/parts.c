#include "rivals/parts.h"

#include <stdarg.h>
#include <stdio.h>

const char *part_name(const RivalNet *n, const char *format, ...)
{
    char text[100];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return arena_printf(n->ps->perm, "%s.%s", n->name, text);
}

Linear part_linear(const RivalNet *n, const char *prefix, int64_t in, int64_t out)
{
    return linear_new(n->ps, part_name(n, "%s", prefix), in, out, false);
}

Norm part_norm(const RivalNet *n, const char *prefix, int64_t width)
{
    return layernorm_new(n->ps, part_name(n, "%s", prefix), width);
}

Tensor *part_table(const RivalNet *n, const char *prefix, int64_t rows, int64_t width)
{
    return param_add(n->ps, part_name(n, "%s", prefix), "weight", SHAPE(rows, width), (Init){INIT_NORMAL, 0.1},
                     PARAM_NO_DECAY);
}

void *part_new(RivalNet *n, size_t bytes) { return n->part = arena_zalloc(n->ps->perm, bytes); }

// ---- constants

Tensor *part_constant(const RivalNet *n, int64_t rows, int64_t columns, PartValue *value)
{
    Arena *a = n->ps->perm;
    Tensor *y = tensor_new(a, n->ps->dev, REAL, SHAPE(rows, columns), "constant");
    const size_t mark = arena_mark(a);
    double *v = arena_alloc(a, (size_t)(rows * columns) * sizeof *v);
    for (int64_t i = 0; i < rows * columns; i++) v[i] = value(&n->size, i / columns, i % columns);
    tensor_set_f64(y, v, rows * columns);
    arena_rewind(a, mark);
    return y;
}

Tensor *part_row(const RivalNet *n, int64_t width, PartValue *value)
{
    Tensor *x = part_constant(n, 1, width, value);
    x->shape = SHAPE(width);
    return x;
}

double part_zero(const RivalSizes *s, int64_t i, int64_t j)
{
    (void)s, (void)i, (void)j;
    return 0;
}

double part_one(const RivalSizes *s, int64_t i, int64_t j)
{
    (void)s, (void)i, (void)j;
    return 1;
}

double part_last(const RivalSizes *s, int64_t i, int64_t j)
{
    (void)j;
    return i == s->L - 1;
}

double part_since_last(const RivalSizes *s, int64_t i, int64_t j) { return (i == j) - part_last(s, i, j); }

// ---- shapes

Tensor *part_sub(Tape *t, Tensor *a, Tensor *b) { return tape_add(t, a, tape_scale(t, b, -1, 0)); }

Tensor *part_series(Tape *t, Tensor *x) { return tape_permute(t, x, (int[]){0, 2, 1}); }

Tensor *part_over_windows(Tape *t, Tensor *x, int64_t B)
{
    Shape s = {.n = x->shape.n + 1, .d = {B}};
    for (int i = 0; i < x->shape.n; i++) s.d[i + 1] = x->shape.d[i];
    return tape_add(t, tape_zeros(t, s), x);
}

Tensor *part_over_flows(Tape *t, Tensor *x, int64_t F)
{
    return tape_permute(t, part_over_windows(t, x, F), (int[]){1, 0, 2});
}

Tensor *part_over_flows_in_time(Tape *t, Tensor *x, int64_t F)
{
    return tape_permute(t, part_over_windows(t, x, F), (int[]){1, 2, 0, 3});
}

// ---- LSTM

Tensor *part_lstm(Tape *t, Tensor *g, int64_t w, Tensor **c)
{
    Tensor *gate[4];
    for (int i = 0; i < 4; i++) gate[i] = tape_slice(t, g, g->shape.n - 1, i * w, w);
    Tensor *enter = tape_mul(t, tape_sigmoid(t, gate[0]), tape_tanh(t, gate[2]));
    *c = tape_add(t, tape_mul(t, tape_sigmoid(t, gate[1]), *c), enter);
    return tape_mul(t, tape_sigmoid(t, gate[3]), tape_tanh(t, *c));
}

// ---- instance normalisation

static double over_columns(const RivalSizes *s, int64_t i, int64_t j)
{
    (void)i, (void)j;
    return 1.0 / (double)s->T;
}

static double minus_mean(const RivalSizes *s, int64_t i, int64_t j) { return (i == j) - over_columns(s, i, j); }

PartLevel part_level_new(const RivalNet *n)
{
    const int64_t T = n->size.T;
    return (PartLevel){.gamma = part_row(n, T, part_one), .beta = part_row(n, T, part_zero),
                       .mean = part_constant(n, T, n->size.K, over_columns),
                       .to_mean = part_constant(n, T, T, minus_mean), .sum = part_constant(n, T, 1, over_columns)};
}

// With d = x - mean and x' = d/s, the mean of d x' is the mean of d^2 over s: s itself.
PartLevelled part_level(Tape *t, const PartLevel *l, Tensor *x)
{
    Tensor *away = tape_linear(t, x, l->to_mean, NULL), *y = tape_layer_norm(t, x, l->gamma, l->beta, 1e-5);
    return (PartLevelled){y, tape_linear(t, tape_mul(t, away, y), l->sum, NULL), tape_linear(t, x, l->mean, NULL)};
}

Tensor *part_level_back(Tape *t, const RivalNet *n, const PartLevelled *l, Tensor *y)
{
    y = tape_mul_rows(t, y, l->spread);
    return n->size.target == RIVAL_LEVELS ? tape_add(t, y, l->mean) : y;
}

// ---- encoder

PartEncoder part_encoder_new(const RivalNet *n, const char *prefix, int64_t width, int heads, int64_t inner, bool relu)
{
    return (PartEncoder){.attention = attention_new(n->ps, part_name(n, "%s", prefix), width, width, heads, false),
                         .first = layernorm_new(n->ps, part_name(n, "%s.norm1", prefix), width),
                         .second = layernorm_new(n->ps, part_name(n, "%s.norm2", prefix), width),
                         .in = linear_new(n->ps, part_name(n, "%s.in", prefix), width, inner, false),
                         .out = linear_new(n->ps, part_name(n, "%s.out", prefix), inner, width, false), .relu = relu};
}

Tensor *part_encoder(Tape *t, const PartEncoder *e, Tensor *x, double dropout)
{
    x = norm_apply(t, &e->first, attention_into(t, &e->attention, x, x, false, x, dropout), false);
    Tensor *h = linear_apply(t, &e->in, x);
    h = tape_dropout(t, e->relu ? tape_relu(t, h) : tape_gelu_erf(t, h), dropout);
    return norm_apply(t, &e->second, linear_into(t, &e->out, h, x, dropout), false);
}
