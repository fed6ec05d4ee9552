// Weighted sums whose weights are one pair a row: mul_rows, q_sample, convert, sampler_step.
// Formulas: src/tensor/ref/<op>.inl.  Bound by memory.
#include "cpu_simd/range.inl"

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

typedef struct { float p, q; } Weights;
typedef Weights RowWeights(const OpCall *c, int64_t row);

// y (+)= p a + q b on each of N rows of R values; long rows are cut.
static inline __attribute__((always_inline)) void mix_rows(const OpCall *c, int64_t N, int64_t R, RowWeights *weights,
                                                           const float *a, const float *b, float *y, bool add)
{
#pragma omp parallel for collapse(2) schedule(static) if (N * R > PAR_VALUES)
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < R; i += RANGE) {
            const Weights w = weights(c, n);
            const int64_t at = n * R + i;
            mix_run(w.p, a + at, w.q, b ? b + at : NULL, y + at, min_i64(RANGE, R - i), add);
        }
}

// ---- q_sample, convert

static Weights sample_weights(const OpCall *c, int64_t n)
{
    const float ab = in_x(c, 2)[n];
    return (Weights){sqrtf(ab), sqrtf(1 - ab)};
}

static Weights convert_weights(const OpCall *c, int64_t n)
{
    const float ab = in_x(c, 2)[n], s = sqrtf(ab), e = sqrtf(1 - ab);
    switch (((const ConvertParams *)c->p)->kind) {
    case V_FROM_X0_EPS:  return (Weights){-e, s};
    case X0_FROM_XT_V:   return (Weights){s, -e};
    case EPS_FROM_XT_V:  return (Weights){e, s};
    case X0_FROM_XT_EPS: return (Weights){1 / s, -e / s};
    case EPS_FROM_XT_X0: return (Weights){1 / e, -s / e};
    }
    return (Weights){0, 0};
}

static Weights swapped_sample(const OpCall *c, int64_t n)
{
    const Weights w = sample_weights(c, n);
    return (Weights){w.q, 0};
}

static Weights swapped_convert(const OpCall *c, int64_t n)
{
    const Weights w = convert_weights(c, n);
    return (Weights){w.q, 0};
}

static int64_t row_length(const OpCall *c, int of) { return numel(c->in[of]) ? numel(c->in[0]) / numel(c->in[of]) : 0; }

KERNEL(q_sample, fwd)
{
    mix_rows(c, numel(c->in[2]), row_length(c, 2), sample_weights, in_x(c, 0), in_x(c, 1), out_x(c, 0), false);
}

KERNEL(q_sample, bwd)
{
    const int64_t N = numel(c->in[2]), R = row_length(c, 2);
    const float *dy = out_g(c, 0);
    if (in_g(c, 0)) mix_rows(c, N, R, sample_weights, dy, NULL, in_g(c, 0), true);
    if (in_g(c, 1)) mix_rows(c, N, R, swapped_sample, dy, NULL, in_g(c, 1), true);
}

KERNEL(convert, fwd)
{
    mix_rows(c, numel(c->in[2]), row_length(c, 2), convert_weights, in_x(c, 0), in_x(c, 1), out_x(c, 0), false);
}

KERNEL(convert, bwd)
{
    const int64_t N = numel(c->in[2]), R = row_length(c, 2);
    const float *dy = out_g(c, 0);
    if (in_g(c, 0)) mix_rows(c, N, R, convert_weights, dy, NULL, in_g(c, 0), true);
    if (in_g(c, 1)) mix_rows(c, N, R, swapped_convert, dy, NULL, in_g(c, 1), true);
}

// ---- sampler_step

// The plain kernel's roundings: where the terms cancel, others would show.
static void sampler_range(const OpCall *c, int64_t i0, int64_t i1)
{
    const SamplerStepParams *p = c->p;
    const float *x = in_x(c, 0), *d = in_x(c, 1), *z = in_x(c, 2);
    float *y = out_x(c, 0);
    const vf fx = vset1((float)p->a), fd = vset1((float)p->b), fz = vset1((float)p->c);
    for (int64_t i = i0; i < i1; i += VW) {
        const int64_t n = i1 - i;
        const vf noise = z ? vmul(fz, vload_n(z + i, n)) : vzero();
        const vf sum = vadd(vmul(fx, vload_n(x + i, n)), vmul(fd, vload_n(d + i, n)));
        vstore_n(y + i, n, vadd(sum, noise));
    }
}

KERNEL(sampler_step, fwd) { run_ranges(c, numel(c->in[0]), sampler_range); }

// ---- mul_rows

static Weights row_factor(const OpCall *c, int64_t n) { return (Weights){in_x(c, 1)[n], 0}; }

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
