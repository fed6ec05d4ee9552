// timestep_embed, diffusion_times, q_sample, convert, sampler_step (E7): maps over 16-byte packs, bound by memory.
// A block of 256 threads: 8 KiB of each tensor; 3-5 flops a value.  Expected: 0.85-0.90 of a device copy on 64 MB and
// more.  The row's square roots are computed again for each pack of four: 4 special-function operations to 48 bytes.
#include "kernel.h"
#include "tensor/philox.h"

// y = p a + q b with the row's (p, q); b NULL: y = p a
template <class Factors> struct RowMix {
    const float *a, *b, *ab;
    int64_t R;
    Factors factors;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        float p, q;
        factors(ab[quotient(i, R)], &p, &q);
        Pack<W> r = load<W>(a + i);
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] *= p;
        if (!b) return r;
        const Pack<W> s = load<W>(b + i);
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] += q * s.v[k];
        return r;
    }
};

struct Diffused {    // sqrt(ab), sqrt(1 - ab)
    __device__ void operator()(float ab, float *p, float *q) const { *p = sqrtf(ab), *q = sqrtf(1 - ab); }
};

struct Converted {   // ref/convert.inl
    ConvertKind kind;
    bool second;     // (q, p): the factor of b first
    __device__ void operator()(float ab, float *p, float *q) const
    {
        const float s = sqrtf(ab), e = sqrtf(1 - ab);
        float u = 0, v = 0;
        switch (kind) {
        case V_FROM_X0_EPS:  u = -e;    v = s;      break;
        case X0_FROM_XT_V:   u = s;     v = -e;     break;
        case EPS_FROM_XT_V:  u = e;     v = s;      break;
        case X0_FROM_XT_EPS: u = 1 / s; v = -e / s; break;
        case EPS_FROM_XT_X0: u = 1 / e; v = -s / e; break;
        }
        *p = second ? v : u;
        *q = second ? u : v;
    }
};

struct Swapped {
    __device__ void operator()(float ab, float *p, float *q) const { *p = sqrtf(1 - ab), *q = sqrtf(ab); }
};

template <bool ADD, class F>
static void row_mix(const OpCall *c, const float *a, const float *b, float *y, F factors)
{
    const int64_t n = numel(c->in[0]), N = numel(c->in[2]), R = N ? n / N : 1;
    map<ADD>(c, n, y, RowMix<F>{a, b, in_x(c, 2), R, factors}, aligned16(a) && aligned16(b) && R % 4 == 0);
}

CUDA_KERNEL(q_sample, fwd) { row_mix<false>(c, in_x(c, 0), in_x(c, 1), out_x(c, 0), Diffused{}); }

CUDA_KERNEL(q_sample, bwd)
{
    if (in_g(c, 0)) row_mix<true>(c, out_g(c, 0), NULL, in_g(c, 0), Diffused{});
    if (in_g(c, 1)) row_mix<true>(c, out_g(c, 0), NULL, in_g(c, 1), Swapped{});
}

CUDA_KERNEL(convert, fwd)
{
    const ConvertKind kind = params<ConvertParams>(c)->kind;
    row_mix<false>(c, in_x(c, 0), in_x(c, 1), out_x(c, 0), Converted{kind, false});
}

CUDA_KERNEL(convert, bwd)
{
    const ConvertKind kind = params<ConvertParams>(c)->kind;
    if (in_g(c, 0)) row_mix<true>(c, out_g(c, 0), NULL, in_g(c, 0), Converted{kind, false});
    if (in_g(c, 1)) row_mix<true>(c, out_g(c, 0), NULL, in_g(c, 1), Converted{kind, true});
}

struct Step {
    const float *x, *d, *z;   // z may be NULL
    float fx, fd, fz;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(x + i);
        const Pack<W> a = load<W>(d + i);
        Pack<W> b = {};
        if (z) b = load<W>(z + i);
#pragma unroll
        for (int k = 0; k < W; k++)   // no contraction: where the terms cancel it would be ulps away from the reference
            r.v[k] = __fadd_rn(__fadd_rn(__fmul_rn(fx, r.v[k]), __fmul_rn(fd, a.v[k])), __fmul_rn(fz, b.v[k]));
        return r;
    }
};

CUDA_KERNEL(sampler_step, fwd)
{
    const SamplerStepParams *p = params<SamplerStepParams>(c);
    const Step f = {in_x(c, 0), in_x(c, 1), in_x(c, 2), (float)p->a, (float)p->b, in_x(c, 2) ? (float)p->c : 0.0f};
    map<false>(c, numel(c->in[0]), out_x(c, 0), f, aligned16(f.x) && aligned16(f.d) && aligned16(f.z));
}

struct Sinusoid {   // in double: angles reach 1000 rad
    const float *time;
    int64_t D;
    double log_period;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t n = quotient(i, D), half = D / 2;
        Pack<W> r;
#pragma unroll
        for (int k = 0; k < W; k++) {
            const int64_t j = i + k - n * D, m = j < half ? j : j - half;
            const double angle = (double)time[n] * exp(-log_period * (double)m / (double)half);
            r.v[k] = (float)(j < half ? sin(angle) : cos(angle));
        }
        return r;
    }
};

CUDA_KERNEL(timestep_embed, fwd)
{
    const int64_t D = shape_last(c->out[0]->shape);
    const Sinusoid f = {in_x(c, 0), D, log(params<TimestepEmbedParams>(c)->max_period)};
    map<false>(c, numel(c->out[0]), out_x(c, 0), f, false);   // few values: one a thread
}

static __global__ void diffusion_times_kernel(RandomAddress at, int64_t parts, double drop, const uint32_t *clock,
                                              const float *ab, const float *weight, int64_t T, int64_t B, float *time,
                                              float *ab_b, float *weight_b, float *keep)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x, b = i + (int64_t)at.offset;
    if (i >= B) return;
    const uint32_t step = at.step + clock_value(clock);
    const float u = philox_unit(philox_u32(at.seed, philox_subsequence(SITE_TIMESTEP, step), (uint64_t)b));
    const float v = philox_unit(philox_u32(at.seed, philox_subsequence(SITE_COND_DROP, step), (uint64_t)b));
    const double place = ((double)(b % parts) + (double)u) / (double)parts;
    const int64_t drawn = 1 + (int64_t)(place * (double)T), t = drawn > T ? T : drawn;
    time[i] = (float)t;
    ab_b[i] = ab[t];
    weight_b[i] = weight[t];
    keep[i] = (double)v >= drop ? 1.0f : 0.0f;
}

CUDA_KERNEL(diffusion_times, fwd)
{
    const DiffusionTimesParams *p = params<DiffusionTimesParams>(c);
    const int64_t B = numel(c->out[0]);
    launch(c, diffusion_times_kernel, grid_of(B, MAP_BLOCK), MAP_BLOCK, 0, p->at, p->parts, p->drop, clock_of(c, 2),
           in_x(c, 0), in_x(c, 1), numel(c->in[0]) - 1, B, out_x(c, 0), out_x(c, 1), out_x(c, 2), out_x(c, 3));
}
