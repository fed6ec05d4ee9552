// Optimiser kernels: adamw, ema.  Formulas: src/tensor/ref/<op>.inl.  Bound by memory: 28 and 12 bytes a parameter.
#include "cpu_simd/range.inl"

typedef struct { vf b1, b2, c1, c2, fix1, fix2, lr, eps, decay, gs; } AdamwVectors;

static AdamwVectors adamw_vectors(const AdamwParams *a)
{
    const double t = (double)a->step;
    return (AdamwVectors){
        .b1 = vset1((float)a->beta1), .b2 = vset1((float)a->beta2),
        .c1 = vset1((float)(1 - a->beta1)), .c2 = vset1((float)(1 - a->beta2)),
        .fix1 = vset1((float)(1 / (1 - pow(a->beta1, t)))), .fix2 = vset1((float)(1 / (1 - pow(a->beta2, t)))),
        .lr = vset1((float)a->lr), .eps = vset1((float)a->eps), .decay = vset1((float)a->decay),
        .gs = vset1((float)a->grad_scale)};
}

static void adamw_range(const OpCall *c, AdamwVectors k, int64_t i0, int64_t i1)
{
    const float *p = in_x(c, 0), *g = in_x(c, 1), *m = in_x(c, 2), *v = in_x(c, 3);
    float *p1 = out_x(c, 0), *m1 = out_x(c, 1), *v1 = out_x(c, 2);
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        const vf pi = vload_n(p + i, n), gi = vmul(k.gs, vload_n(g + i, n));
        const vf mi = vfma(k.b1, vload_n(m + i, n), vmul(k.c1, gi));
        const vf vi2 = vfma(k.b2, vload_n(v + i, n), vmul(vmul(k.c2, gi), gi));
        const vf step = vdiv(vmul(k.fix1, mi), vadd(vsqrt(vmul(k.fix2, vi2)), k.eps));
        vstore_n(p1 + i, n, vfnma(k.lr, vfma(k.decay, pi, step), pi));
        vstore_n(m1 + i, n, mi);
        vstore_n(v1 + i, n, vi2);
    }
}

KERNEL(adamw, fwd)
{
    const AdamwVectors k = adamw_vectors(c->p);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for schedule(static) if (n > PAR_VALUES)
    for (int64_t i = 0; i < n; i += RANGE) adamw_range(c, k, i, min_i64(n, i + RANGE));
}

static void ema_range(const OpCall *c, int64_t i0, int64_t i1)
{
    const vf f = vset1((float)(1 - ((const EmaParams *)c->p)->decay));
    const float *e = in_x(c, 0), *p = in_x(c, 1);
    float *e1 = out_x(c, 0);
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        const vf ei = vload_n(e + i, n);
        vstore_n(e1 + i, n, vfma(f, vsub(vload_n(p + i, n), ei), ei));
    }
}

KERNEL(ema, fwd) { run_ranges(c, numel(c->in[0]), ema_range); }
