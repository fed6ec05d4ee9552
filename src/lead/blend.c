#include "lead/blend.h"

static const double LEVEL_HOURS = 1, ERROR_HOURS = 6, RATIO = 2;

// The moving average of x [T,D] over the rows `valid`.
static Tensor *average(const LeadData *d, Tape *t, Arena *a, Tensor *x, Tensor *valid, double hours)
{
    const EwmaParams p = {.n = 1, .half_life = {hours * 3600 / d->st->slot_seconds}};
    Tensor *y = tensor_new(a, t->dev, REAL, SHAPE(d->T, x->shape.d[1], 1), "moving average");
    tape_run(t, OP_ewma, 3, (Tensor *[]){x, d->place, valid}, 1, &y, &p);
    y->shape = x->shape;
    return y;
}

// [n,K]: step k + 1 lies between two of the n steps.
static Tensor *between(Tape *t, Arena *perm, const int *steps, int n, int K)
{
    const size_t mark = arena_mark(t->scratch);
    float *v = arena_zalloc(t->scratch, (size_t)(n * K) * sizeof *v);
    for (int k = 0, i = 0; k < K; k++) {
        while (i + 1 < n - 1 && k + 1 > steps[i + 1]) i++;
        const float far = n == 1 ? 0 : (float)(k + 1 - steps[i]) / (float)(steps[i + 1] - steps[i]);
        v[i * K + k] = 1 - far;
        if (n > 1) v[(i + 1) * K + k] = far;
    }
    Tensor *y = tensor_new(perm, t->dev, REAL, SHAPE(n, K), "steps between");
    tensor_set_f32(y, v, (int64_t)n * K);
    arena_rewind(t->scratch, mark);
    return y;
}

void lead_blend_new(LeadData *d, Tape *t, Arena *perm)
{
    int steps[ERROR_STEPS];
    const int n = lead_error_steps(d->st->Kt, steps);
    d->level_now = average(d, t, perm, d->u, d->valid, LEVEL_HOURS);
    d->between = between(t, perm, steps, n, d->st->Kt);
}

// Squared errors of the base and of the moving average as forecasts made at origin: [T,2F].
static Tensor *squared_errors(const LeadData *d, Tape *t, const Tensor *made, const int32_t *origin)
{
    Arena *a = t->scratch;
    const int64_t T = d->T, F = d->st->F;
    Tensor *y = tensor_new(a, t->dev, REAL, SHAPE(T, 2 * F), "squared errors");
    const size_t mark = arena_mark(a);
    float *u = arena_alloc(a, (size_t)(5 * T * F) * sizeof *u), *base = u + T * F, *level = base + T * F;
    float *e = level + T * F;
    tensor_get_f32(d->u, u, T * F);
    tensor_get_f32(made, base, T * F);
    tensor_get_f32(d->level_now, level, T * F);
    for (int64_t r = 0; r < T; r++)
        for (int64_t f = 0; f < F; f++) {
            const int64_t from = origin[r] * F + f;
            const float x = u[r * F + f];
            const float b = origin[r] < 0 ? 0 : x - base[from], m = origin[r] < 0 ? 0 : x - level[from];
            e[r * 2 * F + f] = b * b;
            e[r * 2 * F + F + f] = m * m;
        }
    tensor_set_f32(y, e, 2 * T * F);
    arena_rewind(a, mark);
    return y;
}

void lead_blend_weights(LeadData *d, Tape *t, Arena *perm, int i, const Tensor *made, const int32_t *origin,
                        Tensor *known)
{
    Arena *a = t->scratch;
    const size_t mark = arena_mark(a);
    const int64_t T = d->T, F = d->st->F;
    Tensor *mean = average(d, t, a, squared_errors(d, t, made, origin), known, ERROR_HOURS);
    float *e = arena_alloc(a, (size_t)(3 * T * F) * sizeof *e), *w = e + 2 * T * F;
    tensor_get_f32(mean, e, 2 * T * F);
    for (int64_t r = 0; r < T; r++)
        for (int64_t f = 0; f < F; f++) {
            const double R = (double)e[r * 2 * F + f], A = RATIO * (double)e[r * 2 * F + F + f];
            w[r * F + f] = R > 0 ? (float)(R * R / (R * R + A * A)) : 0;
        }
    d->give[i] = tensor_new(perm, t->dev, REAL, SHAPE(T, F), "weights of the moving average");
    tensor_set_f32(d->give[i], w, T * F);
    arena_rewind(a, mark);
}

Tensor *lead_blend(Tape *t, const LeadData *d, Tensor *base, Tensor *at, Tensor *factor)
{
    if (!d->level_now) return base;
    const int64_t B = numel(at), F = d->st->F;
    Tensor *give[ERROR_STEPS], *level = tape_embedding(t, d->level_now, at);
    for (int i = 0; i < d->error_steps; i++)
        give[i] = tape_reshape(t, tape_embedding(t, d->give[i], at), SHAPE(B, F, 1));
    Tensor *known = d->error_steps > 1 ? tape_concat(t, give, d->error_steps, 2) : give[0];
    Tensor *w = tape_permute(t, tape_linear(t, known, d->between, NULL), (int[]){2, 0, 1});   // [K,B,F]
    Tensor *x = tape_permute(t, base, (int[]){1, 0, 2});
    if (factor) level = tape_mul(t, level, factor);
    Tensor *way = tape_add(t, tape_scale(t, x, -1, 0), level);
    return tape_permute(t, tape_add(t, x, tape_mul(t, w, way)), (int[]){1, 0, 2});
}
