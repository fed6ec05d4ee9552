#include "check/case.h"

#include <string.h>

#include "check/fill.h"

void case_add(CaseList *list, Case c)
{
    CHECK(c.build && c.label && c.n_in <= OP_MAX_IN, "case_add: incomplete case of %s", op_info(c.op)->name);
    if (list->n == list->cap) {
        const int cap = list->cap ? 2 * list->cap : 16;
        Case *grown = arena_alloc(list->arena, (size_t)cap * sizeof *grown);
        if (list->n) memcpy(grown, list->c, (size_t)list->n * sizeof *grown);
        list->c = grown;
        list->cap = cap;
    }
    list->c[list->n++] = c;
}

// A grid that avoids zero and, by a shift for each input, whole differences between two inputs; shuffled.
static void fill_distinct(double *x, int64_t n, uint64_t seed, uint64_t sub)
{
    const double gap = n <= 4000 ? 4.0 / (double)n : 1e-3, shift = 0.5 + 0.137 * (double)(seed % 8);
    for (int64_t i = 0; i < n; i++) x[i] = ((double)(i - n / 2) + shift) * gap;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = philox_u32(seed, sub, (uint64_t)i) % (uint32_t)(i + 1);
        const double swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
}

void fill_f64(double *x, int64_t n, Fill fill, uint64_t seed, uint32_t step)
{
    const uint64_t sub = philox_subsequence(SITE_TEST, step);
    if (fill == FILL_DISTINCT) fill_distinct(x, n, seed, sub);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t draw = philox_u32(seed, sub, (uint64_t)i);
        const double u = (double)philox_unit(draw);
        if (fill == FILL_NORMAL) x[i] = (double)philox_normal(seed, sub, (uint64_t)i);
        if (fill == FILL_WIDE) x[i] = 30 * (double)philox_normal(seed, sub, (uint64_t)i);
        if (fill == FILL_UNIT) x[i] = 0.02 + 0.96 * u;
        if (fill == FILL_POSITIVE) x[i] = 0.5 + 1.5 * u;
        if (fill == FILL_NEGATIVE) x[i] = -0.5 - 1.5 * u;
        if (fill == FILL_STEPS) x[i] = (double)(draw % 1000);
        x[i] = (double)(float)x[i];   // the same value on every device
    }
}

Tensor *fill_tensor(Arena *a, const Device *f64, const CaseInput *in, uint64_t seed, uint32_t step)
{
    if (in->absent) return NULL;
    Tensor *t = tensor_new(a, f64, in->fill == FILL_INDEX ? I32 : REAL, in->shape, "input");
    const int64_t n = numel(t);
    if (t->dtype == I32) {
        CHECK(in->limit > 0, "a case's FILL_INDEX input wants limit > 0");
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)t->x)[i] =
                (int32_t)(philox_u32(seed, philox_subsequence(SITE_TEST, step), (uint64_t)i) % in->limit);
        return t;
    }
    fill_f64(t->x, n, in->fill, seed, step);
    t->needs_grad = !in->no_grad;
    return t;
}
