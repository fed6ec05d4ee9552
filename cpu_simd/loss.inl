// Reductions and losses: sum, mean, sumsq, mse, wmse, huber, crps_pair,
// cross_entropy.  Formulas: src/tensor/ref/<op>.inl.
// Bound by memory.  Sums run in double, in pieces that depend on the shape alone; the pieces are added in order.
#include "cpu_simd/range.h"

enum { SUM_PIECE = 16384 };

// sum over [0,n) of term(x), x = a or a - b in double; terms of 0 are 0.
typedef vd Term(vd x, vd delta);

static inline vd term_value(vd x, vd delta) { (void)delta; return x; }
static inline vd term_square(vd x, vd delta) { (void)delta; return vd_mul(x, x); }

static inline vd term_huber(vd x, vd delta)   // m (|x| - m/2), m = min(|x|, delta)
{
    const vd a = vd_abs(x), m = vd_min(delta, a);
    return vd_mul(m, vd_sub(a, vd_mul(vd_set1(0.5), m)));
}

static inline __attribute__((always_inline)) double terms(const float *a, const float *b, int64_t n, vd delta, Term *f)
{
    vd s[4] = {vd_set1(0), vd_set1(0), vd_set1(0), vd_set1(0)};
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW)   // widened as they are loaded: one conversion a cycle
        for (int v = 0; v < 4; v++) {
            const vd x = vd_load(a + i + v * VW / 2);
            s[v] = vd_add(s[v], f(b ? vd_sub(x, vd_load(b + i + v * VW / 2)) : x, delta));
        }
    for (; i < n; i += VW) {
        const vf va = vload_n(a + i, n - i), vb = b ? vload_n(b + i, n - i) : vzero();
        s[0] = vd_add(s[0], f(b ? vd_sub(vd_low(va), vd_low(vb)) : vd_low(va), delta));
        s[1] = vd_add(s[1], f(b ? vd_sub(vd_high(va), vd_high(vb)) : vd_high(va), delta));
    }
    return vd_sum(vd_add(vd_add(s[0], s[1]), vd_add(s[2], s[3])));
}

typedef double Piece(const OpCall *c, int64_t at, int64_t n);

static double sum_part(const OpCall *c, int64_t i, int64_t n)
{
    return terms(in_x(c, 0) + i, NULL, n, vd_set1(0), term_value);
}
static double sumsq_part(const OpCall *c, int64_t i, int64_t n)
{
    return terms(in_x(c, 0) + i, NULL, n, vd_set1(0), term_square);
}
static double mse_part(const OpCall *c, int64_t i, int64_t n)
{
    return terms(in_x(c, 0) + i, in_x(c, 1) + i, n, vd_set1(0), term_square);
}
static double huber_part(const OpCall *c, int64_t i, int64_t n)
{
    return terms(in_x(c, 0) + i, in_x(c, 1) + i, n, vd_set1(((const HuberParams *)c->p)->delta), term_huber);
}

// Calls body on [k piece, (k+1) piece) for all k, in parallel; part[k]: what it returned.
static double *run_pieces(const OpCall *c, int64_t n, int64_t piece, Piece *body)
{
    const int64_t pieces = piece ? (n + piece - 1) / piece : 0;
    double *part = arena_alloc(c->scratch, (size_t)pieces * sizeof *part);
#pragma omp parallel for schedule(static) if (n > PAR_VALUES)
    for (int64_t k = 0; k < pieces; k++) part[k] = body(c, k * piece, min_i64(piece, n - k * piece));
    return part;
}

static double sum_pieces(const OpCall *c, Piece *body)
{
    const int64_t n = numel(c->in[0]);
    const double *part = run_pieces(c, n, SUM_PIECE, body);
    double sum = 0;
    for (int64_t k = 0; k < (n + SUM_PIECE - 1) / SUM_PIECE; k++) sum += part[k];
    return sum;
}

KERNEL(sum, fwd) { out_x(c, 0)[0] = (float)sum_pieces(c, sum_part); }
KERNEL(sumsq, fwd) { out_x(c, 0)[0] = (float)sum_pieces(c, sumsq_part); }
KERNEL(mean, fwd) { out_x(c, 0)[0] = (float)(sum_pieces(c, sum_part) / (double)numel(c->in[0])); }
KERNEL(mse, fwd) { out_x(c, 0)[0] = (float)(sum_pieces(c, mse_part) / (double)numel(c->in[0])); }
KERNEL(huber, fwd) { out_x(c, 0)[0] = (float)(sum_pieces(c, huber_part) / (double)numel(c->in[0])); }

// ---- their gradients

static void add_constant(const OpCall *c, float d, int64_t i0, int64_t i1)
{
    float *dx = in_g(c, 0);
    for (int64_t i = i0; i < i1; i += VW) vstore_n(dx + i, i1 - i, vadd(vload_n(dx + i, i1 - i), vset1(d)));
}

static void sum_back(const OpCall *c, int64_t i, int64_t n) { add_constant(c, out_g(c, 0)[0], i, n); }
static void mean_back(const OpCall *c, int64_t i, int64_t n)
{
    add_constant(c, out_g(c, 0)[0] / (float)numel(c->in[0]), i, n);
}

KERNEL(sum, bwd) { run_slope(c, sum_back); }
KERNEL(mean, bwd) { run_slope(c, mean_back); }

// da += f clamp(a - b, -limit, limit), db -= the same.  A NaN passes the clamp.
static inline void spread_difference(const OpCall *c, float f, float limit, int64_t i0, int64_t i1)
{
    const float *a = in_x(c, 0), *b = in_x(c, 1);
    float *da = in_g(c, 0), *db = in_g(c, 1);
    const vf top = vset1(limit), bottom = vset1(-limit);
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        const vf diff = vsub(vload_n(a + i, n), vload_n(b + i, n));
        const vf d = vmul(vset1(f), vmax(bottom, vmin(top, diff)));
        if (da) vstore_n(da + i, n, vadd(vload_n(da + i, n), d));
        if (db) vstore_n(db + i, n, vsub(vload_n(db + i, n), d));
    }
}

static void mse_back(const OpCall *c, int64_t i, int64_t n)
{
    spread_difference(c, 2 * out_g(c, 0)[0] / (float)numel(c->in[0]), INFINITY, i, n);
}
static void huber_back(const OpCall *c, int64_t i, int64_t n)
{
    const float delta = (float)((const HuberParams *)c->p)->delta;
    spread_difference(c, out_g(c, 0)[0] / (float)numel(c->in[0]), delta, i, n);
}

KERNEL(mse, bwd) { run_ranges(c, numel(c->in[0]), mse_back); }
KERNEL(huber, bwd) { run_ranges(c, numel(c->in[0]), huber_back); }

// ---- crps_pair

static double pair_weight(const OpCall *c) { return (1 + ((const CrpsPairParams *)c->p)->fair) / 4; }

static inline vd pair_term(vd a, vd b, vd y, vd w)
{
    const vd error = vd_add(vd_abs(vd_sub(a, y)), vd_abs(vd_sub(b, y)));
    return vd_sub(vd_mul(vd_set1(0.5), error), vd_mul(w, vd_abs(vd_sub(a, b))));
}

static double pair_part(const OpCall *c, int64_t at, int64_t n)
{
    const float *a = in_x(c, 0) + at, *b = in_x(c, 1) + at, *y = in_x(c, 2) + at;
    const vd w = vd_set1(pair_weight(c));
    vd s[2] = {vd_set1(0), vd_set1(0)};
    for (int64_t i = 0; i < n; i += VW) {   // terms of zeros are 0
        const vf va = vload_n(a + i, n - i), vb = vload_n(b + i, n - i), vy = vload_n(y + i, n - i);
        s[0] = vd_add(s[0], pair_term(vd_low(va), vd_low(vb), vd_low(vy), w));
        s[1] = vd_add(s[1], pair_term(vd_high(va), vd_high(vb), vd_high(vy), w));
    }
    return vd_sum(vd_add(s[0], s[1]));
}

KERNEL(crps_pair, fwd) { out_x(c, 0)[0] = (float)(sum_pieces(c, pair_part) / (double)numel(c->in[0])); }

// size where a > b, -size where a < b, else 0
static inline vf signed_size(vf a, vf b, vf size)
{
    return vsub(vsel(vlt(b, a), size, vzero()), vsel(vlt(a, b), size, vzero()));
}

static void pair_back(const OpCall *c, int64_t i0, int64_t i1)
{
    const float *a = in_x(c, 0), *b = in_x(c, 1), *y = in_x(c, 2), f = out_g(c, 0)[0] / (float)numel(c->in[0]);
    float *da = in_g(c, 0), *db = in_g(c, 1), *dy = in_g(c, 2);
    const vf half = vset1(0.5f), w = vset1((float)pair_weight(c)), vf_f = vset1(f);
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        const vf va = vload_n(a + i, n), vb = vload_n(b + i, n), vy = vload_n(y + i, n);
        const vf ay = signed_size(va, vy, half), by = signed_size(vb, vy, half), ab = signed_size(va, vb, w);
        if (da) vstore_n(da + i, n, vadd(vload_n(da + i, n), vmul(vf_f, vsub(ay, ab))));
        if (db) vstore_n(db + i, n, vadd(vload_n(db + i, n), vmul(vf_f, vadd(by, ab))));
        if (dy) vstore_n(dy + i, n, vsub(vload_n(dy + i, n), vmul(vf_f, vadd(ay, by))));
    }
}

KERNEL(crps_pair, bwd) { run_ranges(c, numel(c->in[0]), pair_back); }

// ---- wmse: a piece is a row

static int64_t wmse_row(const OpCall *c) { return numel(c->in[2]) ? numel(c->in[0]) / numel(c->in[2]) : 0; }

KERNEL(wmse, fwd)
{
    const int64_t n = numel(c->in[0]), P = numel(c->in[2]);
    const float *w = in_x(c, 2);
    const double *part = run_pieces(c, n, wmse_row(c), mse_part);
    double sum = 0;
    for (int64_t p = 0; p < P; p++) sum += (double)w[p] * part[p];
    out_x(c, 0)[0] = (float)(sum / (double)n);
}

KERNEL(wmse, bwd)
{
    const float *w = in_x(c, 2), f = out_g(c, 0)[0] / (float)numel(c->in[0]);
    const int64_t n = numel(c->in[0]), P = numel(c->in[2]), R = wmse_row(c);
    float *dw = in_g(c, 2);
#pragma omp parallel for schedule(static) if (n > PAR_VALUES)
    for (int64_t p = 0; p < P; p++) {
        spread_difference(c, 2 * f * w[p], INFINITY, p * R, (p + 1) * R);
        if (dw) dw[p] += f * (float)mse_part(c, p * R, R);
    }
}

// ---- cross_entropy: forward reads the logits once: blocks that stay in the first-level cache are searched for their
// maximum and then added up as exp(x - maximum so far); the sum before is scaled when the maximum rises.

enum { CE_BLOCK = 2048 };

static int64_t ce_rows(const OpCall *c)   // rows that count
{
    const int32_t *target = c->in[1]->x;
    const int64_t V = shape_last(c->in[0]->shape);
    int64_t n = 0;
    for (int64_t r = 0; r < numel(c->in[1]); r++) {
        CHECK(target[r] >= -1 && target[r] < V, "cross_entropy: want a target in [-1,%lld), got %d", (long long)V,
              target[r]);
        n += target[r] >= 0;
    }
    return n;
}

static float ce_lse(const float *x, int64_t V)
{
    float max = -FLT_MAX;   // not -inf: a block of -inf then adds 0
    double sum = 0;
    for (int64_t at = 0; at < V; at += CE_BLOCK) {
        const float *b = x + at;
        const int64_t n = min_i64(CE_BLOCK, V - at);
        const float before = max, top = row_max(b, n);
        if (top > max) max = top;
        const vf m = vset1(max);
        vf s = vzero(), e[VECTORS_MAX];
        int64_t i = 0;
        for (; i + VECTORS_MAX * VW <= n; i += VECTORS_MAX * VW) {
            for (int k = 0; k < VECTORS_MAX; k++) e[k] = vsub(vload(b + i + k * VW), m);
            vexps_to88(e, VECTORS_MAX);
            s = vadd(s, vadd(vadd(e[0], e[1]), vadd(e[2], e[3])));
        }
        for (; i < n; i += VW) s = vadd(s, vpad_n(vexp_to88(vsub(vload_n(b + i, n - i), m)), n - i, vzero()));
        sum = sum * exp((double)before - (double)max) + vsum_wide(s);
    }
    return max + (float)log(sum);
}

KERNEL(cross_entropy, fwd)
{
    const float *x = in_x(c, 0);
    const int32_t *target = c->in[1]->x;
    float *lse = out_x(c, 1);
    const int64_t V = shape_last(c->in[0]->shape), R = numel(c->in[1]), n = ce_rows(c);
#pragma omp parallel for schedule(static) if (R * V > PAR_VALUES)
    for (int64_t r = 0; r < R; r++) lse[r] = ce_lse(x + r * V, V);
    double loss = 0;
    for (int64_t r = 0; r < R; r++)
        if (target[r] >= 0) loss += (double)lse[r] - (double)x[r * V + target[r]];
    out_x(c, 0)[0] = n ? (float)(loss / (double)n) : 0;
}

KERNEL(cross_entropy, bwd)
{
    const float *x = in_x(c, 0), *lse = out_x(c, 1);
    const int32_t *target = c->in[1]->x;
    float *dx = in_g(c, 0);
    const int64_t V = shape_last(c->in[0]->shape), R = numel(c->in[1]), n = ce_rows(c);
    if (!dx || !n) return;
    const float f = out_g(c, 0)[0] / (float)n;
#pragma omp parallel for schedule(static) if (R * V > PAR_VALUES)
    for (int64_t r = 0; r < R; r++) {
        if (target[r] < 0) continue;
        const float *xr = x + r * V;
        float *dxr = dx + r * V;
        const float before = dxr[target[r]], top = xr[target[r]];
        const vf vl = vset1(lse[r]), vf_f = vset1(f);
        int64_t i = 0;
        vf e[VECTORS_MAX];
        for (; i + VECTORS_MAX * VW <= V; i += VECTORS_MAX * VW) {
            for (int k = 0; k < VECTORS_MAX; k++) e[k] = vsub(vload(xr + i + k * VW), vl);
            vexps_to88(e, VECTORS_MAX);
            for (int k = 0; k < VECTORS_MAX; k++)
                vstore(dxr + i + k * VW, vfma(vf_f, e[k], vload(dxr + i + k * VW)));
        }
        for (; i < V; i += VW) {
            const vf p = vexp_to88(vsub(vload_n(xr + i, V - i), vl));
            vstore_n(dxr + i, V - i, vfma(vf_f, p, vload_n(dxr + i, V - i)));
        }
        dxr[target[r]] = before + f * (expf(top - lse[r]) - 1);   // the difference first: it may be small
    }
}
