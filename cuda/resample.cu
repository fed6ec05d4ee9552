// upsample2, avgpool2, global_avgpool, global_maxpool: bound by memory.  16-byte packs along the channels.
// Expected: 0.85 of a device copy on 64 MB and more; global_maxpool, which has one thread a channel, 0.5 below 100,000
// (sample, channel) pairs.
#include "kernel.h"

struct Image { int64_t H, W, C; };   // of the tensor whose values are walked

// n H + h, w and c of value i
struct Pixel { int64_t row, w, c; };
static __device__ __forceinline__ Pixel pixel_of(int64_t i, const Image &d)
{
    const int64_t p = quotient(i, d.C), row = quotient(p, d.W);
    return Pixel{row, p - row * d.W, i - p * d.C};
}

struct NearHalf {   // value i of an image takes x / y of half the size at (row / 2, w / 2); H even, so n needs no care
    const float *x;
    Image d;
    float factor;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const Pixel p = pixel_of(i, d);
        Pack<W> r = load<W>(x + (p.row / 2 * (d.W / 2) + p.w / 2) * d.C + p.c);
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] *= factor;
        return r;
    }
};

struct FourOf {     // value i of an image takes factor * the sum of its four pixels in one of twice the size
    const float *x;
    Image d;
    float factor;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const Pixel p = pixel_of(i, d);
        const float *top = x + (2 * p.row * 2 * d.W + 2 * p.w) * d.C + p.c, *bottom = top + 2 * d.W * d.C;
        const Pack<W> a = load<W>(top), b = load<W>(top + d.C), e = load<W>(bottom), f = load<W>(bottom + d.C);
        Pack<W> r;
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] = factor * (a.v[k] + b.v[k] + e.v[k] + f.v[k]);
        return r;
    }
};

static Image image_of(const Tensor *t) { return Image{t->shape.d[1], t->shape.d[2], t->shape.d[3]}; }
static bool wide_image(const float *x, const Tensor *t) { return aligned16(x) && t->shape.d[3] % 4 == 0; }

CUDA_KERNEL(upsample2, fwd)
{
    const NearHalf f = {in_x(c, 0), image_of(c->out[0]), 1};
    map<false>(c, numel(c->out[0]), out_x(c, 0), f, wide_image(f.x, c->out[0]));
}

CUDA_KERNEL(upsample2, bwd)
{
    const FourOf f = {out_g(c, 0), image_of(c->in[0]), 1};
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), f, wide_image(f.x, c->in[0]));
}

CUDA_KERNEL(avgpool2, fwd)
{
    const FourOf f = {in_x(c, 0), image_of(c->out[0]), 0.25f};
    map<false>(c, numel(c->out[0]), out_x(c, 0), f, wide_image(f.x, c->out[0]));
}

CUDA_KERNEL(avgpool2, bwd)
{
    const NearHalf f = {out_g(c, 0), image_of(c->in[0]), 0.25f};
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), f, wide_image(f.x, c->in[0]));
}

// ---- over everything between the first and the last dimension: x [N,S,C]

struct Middle { int64_t N, S, C; };
static Middle middle_of(const OpCall *c)
{
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape);
    return Middle{N, N * C > 0 ? numel(c->in[0]) / (N * C) : 0, C};
}

struct Values {
    const float *x;
    int64_t C;
    __device__ void operator()(int64_t row, int64_t i, float (&v)[1]) const { v[0] = x[row * C + i]; }
};

struct Spread {   // dx[n,s,c] += dy[n,c] / S
    const float *dy;
    int64_t S, C;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t row = quotient(i, C), n = quotient(row, S);
        Pack<W> r = load<W>(dy + n * C + (i - row * C));
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] /= (float)S;
        return r;
    }
};

CUDA_KERNEL(global_avgpool, fwd)
{
    const Middle m = middle_of(c);
    sum_columns<1>(c, m.N, m.S, m.C, Values{in_x(c, 0), m.C}, {{out_x(c, 0)}, m.C, (double)m.S, true});
}

CUDA_KERNEL(global_avgpool, bwd)
{
    const Middle m = middle_of(c);
    const Spread f = {out_g(c, 0), m.S, m.C};
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), f, aligned16(f.dy) && m.C % 4 == 0);
}

// The first maximum of a column; a NaN counts as the maximum.
static __device__ int64_t first_max(const float *x, int64_t S, int64_t C)
{
    int64_t best = 0;
    float max = x[0];
#pragma unroll 4
    for (int64_t s = 1; s < S; s++) {
        const float v = x[s * C];
        if (v > max || (isnan(v) && !isnan(max))) {
            max = v;
            best = s;
        }
    }
    return best;
}

template <bool BACKWARD>
static __global__ void maxpool_kernel(Middle m, const float *x, float *y, const float *dy, float *dx)
{
    const int64_t i = (int64_t)blockIdx.x * 64 + threadIdx.x;
    if (i >= m.N * m.C) return;
    const int64_t n = quotient(i, m.C), start = n * m.S * m.C + (i - n * m.C);
    const int64_t at = start + first_max(x + start, m.S, m.C) * m.C;
    if (BACKWARD) dx[at] += dy[i];
    else y[i] = x[at];
}

CUDA_KERNEL(global_maxpool, fwd)
{
    const Middle m = middle_of(c);
    if (m.N * m.C == 0) return;
    auto *kernel = maxpool_kernel<false>;
    launch(c, kernel, grid_of(m.N * m.C, 64), 64, 0, m, in_x(c, 0), out_x(c, 0), (const float *)NULL, (float *)NULL);
}

CUDA_KERNEL(global_maxpool, bwd)
{
    const Middle m = middle_of(c);
    if (!in_g(c, 0) || m.N * m.C == 0) return;
    auto *kernel = maxpool_kernel<true>;
    launch(c, kernel, grid_of(m.N * m.C, 64), 64, 0, m, in_x(c, 0), (float *)NULL, out_g(c, 0), in_g(c, 0));
}
