// Elementwise kernels: add, mul, mul_rows, scale and the activations.  Formulas: src/tensor/ref/<op>.inl.
// All but small ones are bound by memory; what is saved is the scalar expf and tanhf.
#include "cpu_simd/range.h"

// ---- y = f(x) and dx += dy f'(x)

typedef void Map(vf *x, const int n);   // of n vectors, in place

// Called with a constant f from one place each, so that f is inlined.
static inline __attribute__((always_inline)) void map_range(const float *x, float *y, int64_t i, int64_t i1, Map *f)
{
    vf v[VECTORS_MAX];
    for (; i + VECTORS_MAX * VW <= i1; i += VECTORS_MAX * VW) {
        for (int k = 0; k < VECTORS_MAX; k++) v[k] = vload(x + i + k * VW);
        f(v, VECTORS_MAX);
        for (int k = 0; k < VECTORS_MAX; k++) vstore(y + i + k * VW, v[k]);
    }
    for (; i < i1; i += VW) {
        v[0] = vload_n(x + i, i1 - i);
        f(v, 1);
        vstore_n(y + i, i1 - i, v[0]);
    }
}

static inline __attribute__((always_inline)) void slope_range(const float *x, const float *dy, float *dx, int64_t i,
                                                              int64_t i1, Map *df)
{
    vf v[VECTORS_MAX];
    for (; i + VECTORS_MAX * VW <= i1; i += VECTORS_MAX * VW) {
        for (int k = 0; k < VECTORS_MAX; k++) v[k] = vload(x + i + k * VW);
        df(v, VECTORS_MAX);
        for (int k = 0; k < VECTORS_MAX; k++) {
            const int64_t at = i + k * VW;
            vstore(dx + at, vfma(vload(dy + at), v[k], vload(dx + at)));
        }
    }
    for (; i < i1; i += VW) {
        const int64_t left = i1 - i;
        v[0] = vload_n(x + i, left);
        df(v, 1);
        vstore_n(dx + i, left, vfma(vload_n(dy + i, left), v[0], vload_n(dx + i, left)));
    }
}

VECTORS relu_of(vf *x, const int n) { EACH x[k] = vsel(vlt(x[k], vzero()), vzero(), x[k]); }
VECTORS relu_slope(vf *x, const int n) { EACH x[k] = vsel(vlt(vzero(), x[k]), vset1(1.0f), vzero()); }
VECTORS sigmoid_slope(vf *y, const int n) { EACH y[k] = vmul(y[k], vsub(vset1(1.0f), y[k])); }
VECTORS tanh_slope(vf *y, const int n) { EACH y[k] = vfnma(y[k], y[k], vset1(1.0f)); }

VECTORS gelu_erf_of(vf *x, const int n)
{
    vf cdf[VECTORS_MAX], e[VECTORS_MAX];
    EACH cdf[k] = x[k];
    vnormal_cdfs(cdf, e, n);
    EACH x[k] = vmul(x[k], cdf[k]);
}

VECTORS gelu_erf_slope(vf *x, const int n)   // cdf + x exp(-x^2/2) / sqrt(2 pi)
{
    vf cdf[VECTORS_MAX], e[VECTORS_MAX];
    EACH cdf[k] = x[k];
    vnormal_cdfs(cdf, e, n);
    EACH x[k] = vfma(vmul(x[k], e[k]), vset1(0.3989422804f), cdf[k]);
}

static void relu_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, relu_of); }
static void silu_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, vsilus); }
static void gelu_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, vgelu_tanhs); }
static void sigmoid_range(const OpCall *c, int64_t i, int64_t n)
{
    map_range(in_x(c, 0), out_x(c, 0), i, n, vsigmoids);
}
static void tanh_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, vtanhs); }

static void gelu_erf_range(const OpCall *c, int64_t i, int64_t n)
{
    map_range(in_x(c, 0), out_x(c, 0), i, n, gelu_erf_of);
}
static void softplus_range(const OpCall *c, int64_t i, int64_t n)
{
    map_range(in_x(c, 0), out_x(c, 0), i, n, vsoftpluses);
}

static void relu_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, relu_slope);
}
static void silu_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, vsilus_grad);
}
static void gelu_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, vgelu_tanhs_grad);
}
static void gelu_erf_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, gelu_erf_slope);
}
static void softplus_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, vsigmoids);
}
static void sigmoid_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(out_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, sigmoid_slope);
}
static void tanh_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(out_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, tanh_slope);
}

KERNEL(relu, fwd) { run_ranges(c, numel(c->in[0]), relu_range); }
KERNEL(relu, bwd) { run_slope(c, relu_back); }
KERNEL(silu, fwd) { run_ranges(c, numel(c->in[0]), silu_range); }
KERNEL(silu, bwd) { run_slope(c, silu_back); }
KERNEL(gelu_tanh, fwd) { run_ranges(c, numel(c->in[0]), gelu_range); }
KERNEL(gelu_tanh, bwd) { run_slope(c, gelu_back); }
KERNEL(gelu_erf, fwd) { run_ranges(c, numel(c->in[0]), gelu_erf_range); }
KERNEL(gelu_erf, bwd) { run_slope(c, gelu_erf_back); }
KERNEL(softplus, fwd) { run_ranges(c, numel(c->in[0]), softplus_range); }
KERNEL(softplus, bwd) { run_slope(c, softplus_back); }
KERNEL(sigmoid, fwd) { run_ranges(c, numel(c->in[0]), sigmoid_range); }
KERNEL(sigmoid, bwd) { run_slope(c, sigmoid_back); }
KERNEL(tanh, fwd) { run_ranges(c, numel(c->in[0]), tanh_range); }
KERNEL(tanh, bwd) { run_slope(c, tanh_back); }

// ---- scale

static void scale_range(const OpCall *c, int64_t i0, int64_t i1)
{
    const ScaleParams *p = c->p;
    const vf alpha = vset1((float)p->alpha), beta = vset1((float)p->beta);
    const float *x = in_x(c, 0);
    float *y = out_x(c, 0);
    for (int64_t i = i0; i < i1; i += VW) vstore_n(y + i, i1 - i, vfma(alpha, vload_n(x + i, i1 - i), beta));
}

static void scale_back(const OpCall *c, int64_t i0, int64_t i1)
{
    const vf alpha = vset1((float)((const ScaleParams *)c->p)->alpha);
    const float *dy = out_g(c, 0);
    float *dx = in_g(c, 0);
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        vstore_n(dx + i, n, vfma(alpha, vload_n(dy + i, n), vload_n(dx + i, n)));
    }
}

KERNEL(scale, fwd) { run_ranges(c, numel(c->in[0]), scale_range); }
KERNEL(scale, bwd) { run_slope(c, scale_back); }

// ---- add, mul: a [P,Q] with b [Q], which P = 1 makes two equal shapes

// Q values of b meet n of a, row after row; the last row may be short.  A short b (a single factor, a few channels) is
// repeated to whole vectors, so that its rows are no shorter than one.
typedef struct { int64_t n, Q, rows, cut; const float *b; } Rows;   // a piece of work: rows rows, cut columns

static Rows rows_of(const OpCall *c)
{
    Rows r = {.n = numel(c->in[0]), .Q = numel(c->in[1]), .b = in_x(c, 1)};
    if (r.Q && r.Q < 4 * VW && r.Q < r.n) {
        const int64_t times = 4 * VW;
        float *b = arena_alloc(c->scratch, (size_t)(times * r.Q) * sizeof *b);
        for (int64_t i = 0; i < times * r.Q; i++) b[i] = r.b[i % r.Q];
        r.b = b;
        r.Q *= times;
    }
    r.cut = r.Q >= r.n ? RANGE : r.Q;   // equal shapes are cut inside the row
    r.rows = r.Q < RANGE ? (RANGE + r.Q) / (r.Q + 1) : 1;
    return r;
}

// y[i] = a[i] (+|*) b[i] for n values; add = accumulate into y
static inline __attribute__((always_inline)) void binary_run(const float *a, const float *b, float *y, int64_t n,
                                                             bool product, bool add)
{
    for (int64_t i = 0; i < n; i += VW) {
        const vf va = vload_n(a + i, n - i), vb = vload_n(b + i, n - i);
        const vf r = !product ? vadd(va, vb) : add ? vfma(va, vb, vload_n(y + i, n - i)) : vmul(va, vb);
        vstore_n(y + i, n - i, r);
    }
}

static inline __attribute__((always_inline)) void binary_rows(const float *a, Rows r, float *y, bool product, bool add)
{
    if (!r.Q) return;
#pragma omp parallel for collapse(2) schedule(static) if (r.n > PAR_VALUES)
    for (int64_t p = 0; p < r.n; p += r.rows * r.Q)
        for (int64_t q = 0; q < r.Q; q += r.cut)
            for (int64_t at = p + q; at < min_i64(r.n, p + r.rows * r.Q); at += r.Q)
                binary_run(a + at, r.b + q, y + at, min_i64(min_i64(r.cut, r.Q - q), r.n - at), product, add);
}

KERNEL(add, fwd) { binary_rows(in_x(c, 0), rows_of(c), out_x(c, 0), false, false); }
KERNEL(mul, fwd) { binary_rows(in_x(c, 0), rows_of(c), out_x(c, 0), true, false); }

// db[q] += sum_p dy[p,q] (a[p,q] or 1): rows in fixed pieces, then the pieces in order.
static inline void suffix_sum(const OpCall *c, const float *a, const float *dy, float *db)
{
    const Rows r = rows_of(c);
    const int64_t piece = 128 * r.Q, pieces = r.Q ? (r.n + piece - 1) / piece : 0;
    float *part = arena_zalloc(c->scratch, (size_t)(pieces * r.Q) * sizeof *part);
#pragma omp parallel for schedule(static) if (r.n > PAR_VALUES)
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t at = k * piece; at < min_i64(r.n, (k + 1) * piece); at += r.Q) {
            const int64_t len = min_i64(r.Q, r.n - at);
            if (a) binary_run(dy + at, a + at, part + k * r.Q, len, true, true);
            else add_run(dy + at, part + k * r.Q, len);
        }
    const int64_t Q = numel(c->in[1]);
    if (r.Q == Q) {
        add_rows(db, part, pieces, Q);
        return;
    }
    for (int64_t q = 0; q < Q; q++) {   // of a repeated b: few sums of many parts
        double sum = 0;
        for (int64_t i = q; i < pieces * r.Q; i += Q) sum += (double)part[i];
        db[q] += (float)sum;
    }
}

static void add_back_a(const OpCall *c, int64_t i0, int64_t i1) { add_run(out_g(c, 0) + i0, in_g(c, 0) + i0, i1 - i0); }
static void add_back_b(const OpCall *c, int64_t i0, int64_t i1) { add_run(out_g(c, 0) + i0, in_g(c, 1) + i0, i1 - i0); }

static void mul_back_b(const OpCall *c, int64_t i0, int64_t i1)
{
    binary_run(out_g(c, 0) + i0, in_x(c, 0) + i0, in_g(c, 1) + i0, i1 - i0, true, true);
}

KERNEL(add, bwd)
{
    const int64_t n = numel(c->in[0]);
    if (in_g(c, 0)) run_ranges(c, n, add_back_a);
    if (!in_g(c, 1)) return;
    if (numel(c->in[1]) == n) run_ranges(c, n, add_back_b);
    else suffix_sum(c, NULL, out_g(c, 0), in_g(c, 1));
}

KERNEL(mul, bwd)
{
    const int64_t n = numel(c->in[0]);
    if (in_g(c, 0)) binary_rows(out_g(c, 0), rows_of(c), in_g(c, 0), true, true);
    if (!in_g(c, 1)) return;
    if (numel(c->in[1]) == n) run_ranges(c, n, mul_back_b);
    else suffix_sum(c, in_x(c, 0), out_g(c, 0), in_g(c, 1));
}

// ---- mul_rows

static MixWeights row_factor(const OpCall *c, int64_t n) { return (MixWeights){in_x(c, 1)[n], 0}; }

KERNEL(mul_rows, fwd)
{
    mix_rows(c, numel(c->in[1]), row_length(c, 1), row_factor, in_x(c, 0), NULL, out_x(c, 0), false);
}

KERNEL(mul_rows, bwd)
{
    const int64_t P = numel(c->in[1]), R = row_length(c, 1);
    const float *a = in_x(c, 0), *dy = out_g(c, 0);
    float *ds = in_g(c, 1);
    if (in_g(c, 0)) mix_rows(c, P, R, row_factor, dy, NULL, in_g(c, 0), true);
    if (!ds) return;
#pragma omp parallel for schedule(static) if (P * R > PAR_VALUES)
    for (int64_t p = 0; p < P; p++) ds[p] += (float)row_dot(dy + p * R, a + p * R, R);
}
