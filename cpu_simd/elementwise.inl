// Elementwise kernels: add, mul, scale and the activations.  Formulas: src/tensor/ref/<op>.inl.
// All but small ones are bound by memory; what is saved is the scalar expf and tanhf.

// ---- y = f(x) and dx += dy f'(x)

typedef vf Map(vf x);

// Called with a constant f from one place each, so that f is inlined.
static inline __attribute__((always_inline)) void map_range(const float *x, float *y, int64_t i0, int64_t i1, Map *f)
{
    for (int64_t i = i0; i < i1; i += VW) vstore_n(y + i, i1 - i, f(vload_n(x + i, i1 - i)));
}

static inline __attribute__((always_inline)) void slope_range(const float *x, const float *dy, float *dx, int64_t i0,
                                                              int64_t i1, Map *df)
{
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        vstore_n(dx + i, n, vfma(vload_n(dy + i, n), df(vload_n(x + i, n)), vload_n(dx + i, n)));
    }
}

static inline vf relu_of(vf x) { return vsel(vlt(x, vzero()), vzero(), x); }
static inline vf relu_slope(vf x) { return vsel(vlt(vzero(), x), vset1(1.0f), vzero()); }
static inline vf sigmoid_slope(vf y) { return vmul(y, vsub(vset1(1.0f), y)); }
static inline vf tanh_slope(vf y) { return vfnma(y, y, vset1(1.0f)); }

static void relu_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, relu_of); }
static void silu_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, vsilu); }
static void gelu_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, vgelu_tanh); }
static void sigmoid_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, vsigmoid); }
static void tanh_range(const OpCall *c, int64_t i, int64_t n) { map_range(in_x(c, 0), out_x(c, 0), i, n, vtanh); }

static void relu_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, relu_slope);
}
static void silu_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, vsilu_grad);
}
static void gelu_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(in_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, vgelu_tanh_grad);
}
static void sigmoid_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(out_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, sigmoid_slope);
}
static void tanh_back(const OpCall *c, int64_t i, int64_t n)
{
    slope_range(out_x(c, 0), out_g(c, 0), in_g(c, 0), i, n, tanh_slope);
}

static void run_slope(const OpCall *c, Range *body)
{
    if (in_g(c, 0)) run_ranges(c, numel(c->in[0]), body);
}

KERNEL(relu, fwd) { run_ranges(c, numel(c->in[0]), relu_range); }
KERNEL(relu, bwd) { run_slope(c, relu_back); }
KERNEL(silu, fwd) { run_ranges(c, numel(c->in[0]), silu_range); }
KERNEL(silu, bwd) { run_slope(c, silu_back); }
KERNEL(gelu_tanh, fwd) { run_ranges(c, numel(c->in[0]), gelu_range); }
KERNEL(gelu_tanh, bwd) { run_slope(c, gelu_back); }
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

typedef struct { int64_t P, Q, rows; } Rows;   // rows: rows of a piece of work

static Rows rows_of(const OpCall *c)
{
    const int64_t Q = numel(c->in[1]), P = Q ? numel(c->in[0]) / Q : 0;
    return (Rows){P, Q, Q < RANGE ? (RANGE + Q) / (Q + 1) : 1};
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

static inline void add_run(const float *dy, float *d, int64_t n)   // d += dy
{
    for (int64_t i = 0; i < n; i += VW) vstore_n(d + i, n - i, vadd(vload_n(d + i, n - i), vload_n(dy + i, n - i)));
}

static inline void binary_fwd(const OpCall *c, bool product)
{
    const float *a = in_x(c, 0), *b = in_x(c, 1);
    float *y = out_x(c, 0);
    const Rows r = rows_of(c);
    const int64_t cut = r.P == 1 ? RANGE : r.Q;   // equal shapes are cut inside the row
#pragma omp parallel for collapse(2) schedule(static) if (r.P * r.Q > PAR_VALUES)
    for (int64_t p = 0; p < r.P; p += r.rows)
        for (int64_t q = 0; q < r.Q; q += cut)
            for (int64_t i = p; i < min_i64(r.P, p + r.rows); i++) {
                const int64_t at = i * r.Q + q, n = min_i64(cut, r.Q - q);
                if (product) binary_run(a + at, b + q, y + at, n, true, false);
                else binary_run(a + at, b + q, y + at, n, false, false);
            }
}

KERNEL(add, fwd) { binary_fwd(c, false); }
KERNEL(mul, fwd) { binary_fwd(c, true); }

// db[q] += sum_p dy[p,q] (a[p,q] or 1): rows in fixed pieces, then the pieces in order.
static inline void suffix_sum(const OpCall *c, const float *a, const float *dy, float *db)
{
    const Rows r = rows_of(c);
    const int64_t piece = 128, pieces = (r.P + piece - 1) / piece;
    float *part = arena_alloc(c->scratch, (size_t)(pieces * r.Q) * sizeof *part);
#pragma omp parallel for schedule(static) if (r.P * r.Q > PAR_VALUES)
    for (int64_t k = 0; k < pieces; k++) {
        float *sum = part + k * r.Q;
        memset(sum, 0, (size_t)r.Q * sizeof *sum);
        for (int64_t p = k * piece; p < min_i64(r.P, (k + 1) * piece); p++) {
            if (a) binary_run(dy + p * r.Q, a + p * r.Q, sum, r.Q, true, true);
            else add_run(dy + p * r.Q, sum, r.Q);
        }
    }
    add_rows(db, part, pieces, r.Q);
}

static void add_back_a(const OpCall *c, int64_t i0, int64_t i1) { add_run(out_g(c, 0) + i0, in_g(c, 0) + i0, i1 - i0); }
static void add_back_b(const OpCall *c, int64_t i0, int64_t i1) { add_run(out_g(c, 0) + i0, in_g(c, 1) + i0, i1 - i0); }

static void mul_back_b(const OpCall *c, int64_t i0, int64_t i1)
{
    binary_run(out_g(c, 0) + i0, in_x(c, 0) + i0, in_g(c, 1) + i0, i1 - i0, true, true);
}

KERNEL(add, bwd)
{
    const Rows r = rows_of(c);
    if (in_g(c, 0)) run_ranges(c, r.P * r.Q, add_back_a);
    if (!in_g(c, 1)) return;
    if (r.P == 1) run_ranges(c, r.Q, add_back_b);
    else suffix_sum(c, NULL, out_g(c, 0), in_g(c, 1));
}

KERNEL(mul, bwd)
{
    const Rows r = rows_of(c);
    const float *b = in_x(c, 1), *dy = out_g(c, 0);
    float *da = in_g(c, 0);
    const int64_t cut = r.P == 1 ? RANGE : r.Q;
    if (da) {
#pragma omp parallel for collapse(2) schedule(static) if (r.P * r.Q > PAR_VALUES)
        for (int64_t p = 0; p < r.P; p++)
            for (int64_t q = 0; q < r.Q; q += cut)
                binary_run(dy + p * r.Q + q, b + q, da + p * r.Q + q, min_i64(cut, r.Q - q), true, true);
    }
    if (!in_g(c, 1)) return;
    if (r.P == 1) run_ranges(c, r.Q, mul_back_b);
    else suffix_sum(c, in_x(c, 0), dy, in_g(c, 1));
}
