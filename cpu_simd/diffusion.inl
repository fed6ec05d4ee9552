// The schedule's ops: q_sample, convert (weighted sums whose weights are one pair a row), sampler_step.
// Formulas: src/tensor/ref/<op>.inl.  Bound by memory.
#include "cpu_simd/range.h"

// ---- q_sample, convert

static MixWeights sample_weights(const OpCall *c, int64_t n)
{
    const float ab = in_x(c, 2)[n];
    return (MixWeights){sqrtf(ab), sqrtf(1 - ab)};
}

static MixWeights convert_weights(const OpCall *c, int64_t n)
{
    const float ab = in_x(c, 2)[n], s = sqrtf(ab), e = sqrtf(1 - ab);
    switch (((const ConvertParams *)c->p)->kind) {
    case V_FROM_X0_EPS:  return (MixWeights){-e, s};
    case X0_FROM_XT_V:   return (MixWeights){s, -e};
    case EPS_FROM_XT_V:  return (MixWeights){e, s};
    case X0_FROM_XT_EPS: return (MixWeights){1 / s, -e / s};
    case EPS_FROM_XT_X0: return (MixWeights){1 / e, -s / e};
    }
    return (MixWeights){0, 0};
}

static MixWeights swapped_sample(const OpCall *c, int64_t n)
{
    const MixWeights w = sample_weights(c, n);
    return (MixWeights){w.q, 0};
}

static MixWeights swapped_convert(const OpCall *c, int64_t n)
{
    const MixWeights w = convert_weights(c, n);
    return (MixWeights){w.q, 0};
}

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
