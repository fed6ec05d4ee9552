// Loops that the families share: how a flat array, or an array of rows, is cut into pieces of work and vectors.
// Pieces depend on the shape alone, never on the number of threads; each writes its own outputs.
#ifndef LEAD_CPU_SIMD_RANGE_H
#define LEAD_CPU_SIMD_RANGE_H

#include "cpu_simd/vec.h"

enum {
    RANGE = 4096,          // values in a piece of a flat array
    PAR_VALUES = 32768,    // below this many values the other threads stay asleep
};

// Values [i0,i1) of a flat op.
typedef void Range(const OpCall *c, int64_t i0, int64_t i1);

static inline void run_ranges(const OpCall *c, int64_t n, Range *body)
{
#pragma omp parallel for schedule(static) if (n > PAR_VALUES)
    for (int64_t i = 0; i < n; i += RANGE) body(c, i, min_i64(n, i + RANGE));
}

// sum[q] += sum_p part[p,q], q in [0,Q), p in order.
static inline void add_rows(float *sum, const float *part, int64_t P, int64_t Q)
{
    for (int64_t q = 0; q < Q; q += VW) {
        vf s = vzero();
        for (int64_t p = 0; p < P; p++) s = vadd(s, vload_n(part + p * Q + q, Q - q));
        vstore_n(sum + q, Q - q, vadd(vload_n(sum + q, Q - q), s));
    }
}

static inline void add_run(const float *x, float *y, int64_t n)   // y += x
{
    for (int64_t i = 0; i < n; i += VW) vstore_n(y + i, n - i, vadd(vload_n(y + i, n - i), vload_n(x + i, n - i)));
}

// Backward of a flat op of one input.
static inline void run_slope(const OpCall *c, Range *body)
{
    if (in_g(c, 0)) run_ranges(c, numel(c->in[0]), body);
}

// Reductions of a row of n values, in a fixed order.
static inline double lanes4(const vf s[4]) { return vsum_wide(vadd(vadd(s[0], s[1]), vadd(s[2], s[3]))); }

static inline double row_sum(const float *x, int64_t n)
{
    vf s[4] = {vzero(), vzero(), vzero(), vzero()};
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int v = 0; v < 4; v++) s[v] = vadd(s[v], vload(x + i + v * VW));
    for (; i < n; i += VW) s[0] = vadd(s[0], vload_n(x + i, n - i));
    return lanes4(s);
}

static inline double row_dot(const float *a, const float *b, int64_t n)
{
    vf s[4] = {vzero(), vzero(), vzero(), vzero()};
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int v = 0; v < 4; v++) s[v] = vfma(vload(a + i + v * VW), vload(b + i + v * VW), s[v]);
    for (; i < n; i += VW) s[0] = vfma(vload_n(a + i, n - i), vload_n(b + i, n - i), s[0]);
    return lanes4(s);
}

static inline float row_max(const float *x, int64_t n)
{
    vf m[4];
    for (int v = 0; v < 4; v++) m[v] = vset1(-INFINITY);
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int v = 0; v < 4; v++) m[v] = vmax(m[v], vload(x + i + v * VW));
    for (; i < n; i += VW) m[0] = vmax(m[0], vpad_n(vload_n(x + i, n - i), n - i, m[0]));
    return vmaxall(vmax(vmax(m[0], m[1]), vmax(m[2], m[3])));
}

// ---- weighted sums of rows: mul_rows, q_sample, convert.  Bound by memory.

// y (+)= p a + q b; b may be NULL
static inline __attribute__((always_inline)) void mix_run(float p, const float *a, float q, const float *b, float *y,
                                                          int64_t n, bool add)
{
    const vf vp = vset1(p), vq = vset1(q);
    for (int64_t i = 0; i < n; i += VW) {
        const int64_t left = n - i;
        const vf qb = b ? vmul(vq, vload_n(b + i, left)) : vzero();
        const vf sum = add ? vadd(vload_n(y + i, left), qb) : qb;
        vstore_n(y + i, left, vfma(vp, vload_n(a + i, left), sum));
    }
}

typedef struct { float p, q; } MixWeights;
typedef MixWeights RowMix(const OpCall *c, int64_t row);

// y (+)= p a + q b on each of N rows of R values; long rows are cut.
static inline __attribute__((always_inline)) void mix_rows(const OpCall *c, int64_t N, int64_t R, RowMix *weights,
                                                           const float *a, const float *b, float *y, bool add)
{
#pragma omp parallel for collapse(2) schedule(static) if (N * R > PAR_VALUES)
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < R; i += RANGE) {
            const MixWeights w = weights(c, n);
            const int64_t at = n * R + i;
            mix_run(w.p, a + at, w.q, b ? b + at : NULL, y + at, min_i64(RANGE, R - i), add);
        }
}

// Values of input 0 for each of input `of`.
static inline int64_t row_length(const OpCall *c, int of)
{
    return numel(c->in[of]) ? numel(c->in[0]) / numel(c->in[of]) : 0;
}

#endif
