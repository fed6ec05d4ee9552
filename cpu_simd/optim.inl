// adamw.  Formulas: src/tensor/ref/adamw.inl.  One pass over every parameter: 28 bytes a value, 36 with the average,
// which is taken while p' is still in a register; bound by memory.
#include "cpu_simd/range.h"

typedef struct { vf b1, b2, c1, c2, fix1, fix2, lr, eps, gs, f; } AdamwVectors;

static AdamwVectors adamw_vectors(const AdamwParams *a, const float *rates, double norm)
{
    return (AdamwVectors){
        .b1 = vset1((float)a->beta1), .b2 = vset1((float)a->beta2),
        .c1 = vset1((float)(1 - a->beta1)), .c2 = vset1((float)(1 - a->beta2)),
        .lr = vset1(rates[0]), .fix1 = vset1(rates[1]), .fix2 = vset1(rates[2]), .f = vset1(rates[3]),
        .eps = vset1((float)a->eps), .gs = vset1((float)(a->clip > 0 && norm > a->clip ? a->clip / norm : 1))};
}

static void adamw_range(const OpCall *c, AdamwVectors k, vf decay, int64_t i0, int64_t i1)
{
    const float *p = in_x(c, 0), *g = in_x(c, 1), *m = in_x(c, 2), *v = in_x(c, 3), *e = in_x(c, 6);
    float *p1 = out_x(c, 0), *m1 = out_x(c, 1), *v1 = out_x(c, 2), *e1 = e ? out_x(c, 3) : NULL;
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        const vf pi = vload_n(p + i, n), gi = vmul(k.gs, vload_n(g + i, n));
        const vf mi = vfma(k.b1, vload_n(m + i, n), vmul(k.c1, gi));
        const vf vi2 = vfma(k.b2, vload_n(v + i, n), vmul(vmul(k.c2, gi), gi));
        const vf step = vdiv(vmul(k.fix1, mi), vadd(vsqrt(vmul(k.fix2, vi2)), k.eps));
        const vf next = vfnma(k.lr, vfma(decay, pi, step), pi);
        vstore_n(p1 + i, n, next);
        vstore_n(m1 + i, n, mi);
        vstore_n(v1 + i, n, vi2);
        if (!e) continue;
        const vf ei = vload_n(e + i, n);
        vstore_n(e1 + i, n, vfma(k.f, vsub(next, ei), ei));
    }
}

static void adamw_nothing(const OpCall *c)
{
    static const int from[] = {0, 2, 3, 6};
    for (int j = 0; j < c->n_out; j++)
        if (out_x(c, j) != in_x(c, from[j])) memcpy(out_x(c, j), in_x(c, from[j]), tensor_bytes(c->out[j]));
}

KERNEL(adamw, fwd)
{
    const AdamwParams *a = c->p;
    const float *total = in_x(c, 5);
    const double norm = total ? sqrt((double)total[0]) : 0;
    if (!isfinite(norm)) {
        adamw_nothing(c);
        return;
    }
    const AdamwVectors k = adamw_vectors(a, in_x(c, 4), norm);
    const int64_t n = numel(c->in[0]), border = min_i64(a->decayed, n), first = (border + RANGE - 1) / RANGE;
    const int64_t pieces = first + (n - border + RANGE - 1) / RANGE;
#pragma omp parallel for schedule(static) if (n > PAR_VALUES)
    for (int64_t i = 0; i < pieces; i++) {
        const bool decays = i < first;
        const int64_t from = decays ? i * RANGE : border + (i - first) * RANGE, end = decays ? border : n;
        adamw_range(c, k, decays ? vset1((float)a->decay) : vzero(), from, min_i64(end, from + RANGE));
    }
}
