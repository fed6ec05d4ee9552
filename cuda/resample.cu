// upsample2, avgpool2, global_avgpool, global_maxpool, dwconv1d: bound by memory (dwconv1d: 2 K flops a value, its K
// reads of a value come from L1).  16-byte packs along the channels.  Expected: 0.85 of a device copy on 64 MB and
// more; global_maxpool, which has one thread a channel, 0.5 below 100,000 (sample, channel) pairs.
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

// ---- dwconv1d: x [N,T,C], w [K,C]

struct DwConv {   // sum_k w[k] x[t + sign (k - K/2)], sign 1: forward, -1: backward
    const float *x, *w, *b;
    int64_t T, C, K;
    int sign;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t row = quotient(i, C), c = i - row * C, t = remainder_of(row, T);
        Pack<W> r = {};
        if (b) r = load<W>(b + c);
        for (int64_t k = 0; k < K; k++) {
            const int64_t shift = sign * (k - K / 2);
            if (t + shift < 0 || t + shift >= T) continue;
            const Pack<W> a = load<W>(w + k * C + c), v = load<W>(x + (row + shift) * C + c);
#pragma unroll
            for (int j = 0; j < W; j++) r.v[j] += a.v[j] * v.v[j];
        }
        return r;
    }
    bool wide() const { return C % 4 == 0 && aligned16(x) && aligned16(w) && aligned16(b); }
};

CUDA_KERNEL(dwconv1d, fwd)
{
    const int64_t *d = c->in[0]->shape.d;
    const DwConv f = {in_x(c, 0), in_x(c, 1), in_x(c, 2), d[1], d[2], c->in[1]->shape.d[0], 1};
    map<false>(c, numel(c->in[0]), out_x(c, 0), f, f.wide());
}

struct DwWeights {   // line k R + r of K R lines: x[r + k - K/2] dy[r]
    const float *x, *dy;
    int64_t R, T, C, K;
    __device__ void operator()(int64_t line, int64_t i, float (&v)[1]) const
    {
        const int64_t k = quotient(line, R), r = line - k * R, shift = k - K / 2, u = remainder_of(r, T) + shift;
        v[0] = u >= 0 && u < T ? x[(r + shift) * C + i] * dy[r * C + i] : 0.0f;
    }
};

CUDA_KERNEL(dwconv1d, bwd)
{
    const int64_t *d = c->in[0]->shape.d, R = d[0] * d[1], C = d[2], K = c->in[1]->shape.d[0];
    const float *dy = out_g(c, 0);
    const DwConv f = {dy, in_x(c, 1), NULL, d[1], C, K, -1};
    if (in_g(c, 0)) map<true>(c, R * C, in_g(c, 0), f, f.wide());
    if (in_g(c, 1)) sum_columns<1>(c, K, R, C, DwWeights{in_x(c, 0), dy, R, d[1], C, K}, {{in_g(c, 1)}, C, 1, false});
    if (in_g(c, 2)) sum_columns<1>(c, 1, R, C, Values{dy, C}, {{in_g(c, 2)}, 0, 1, false});
}
