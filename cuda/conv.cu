// conv2d and conv2d_multi, channels last, as implicit products on the engine of gemm.h: no image is unfolded in memory.
//   forward   y[m=(n,i,j), o]   = sum over k=(a,e,c)   x[n, i s + a - p, j s + e - p, c]  w[k, o]
//   data      dx[m=(n,h,v), c] += sum over k=(a,e,o)   dy[n, (h+p-a)/s, (v+p-e)/s, o]     w[a,e,c,o]
//   weights   dw[m=(a,e,c), o] += sum over k=(n,i,j)   x[n, i s + a - p, j s + e - p, c]  dy[k, o]
// Runs of 4 channels are one 16-byte copy where C and O are multiples of 4.  The 9 reads of a pixel come from L1 and
// L2.  Pixels and taps are counted in 32 bits and divided by multiplication (Divisor): 64-bit quotients took so many
// registers beside the 64 sums that three of the f32 kernels spilled 40 to 88 bytes.
// Expected: 0.85 of the plain product of the same M, N, K (batch 32, 12x12, C = O = 256: 5.4 Gflop, 0.12 ms).
// Strided data gradients multiply zeros: 3 of 4 taps at stride 2.
// conv2d_multi: the branches one after the other, each into its channels of y: no copy puts them side by side.
// dwconv1d: a map and column sums (kernel.h) at the end of the file.
#include "gemm.h"

// i / d for 0 <= i < 2^31, d >= 1, as a multiplication: f = ceil(2^(31 + l) / d) with 2^l >= d is below 2^32, and
// i f / 2^(31 + l) exceeds i / d by less than 1 / d (Granlund and Montgomery 1994, "Division by invariant integers").
struct Divisor {
    int32_t d;
    uint32_t factor, shift;   // d = 1: factor 2^31, shift 31
    explicit Divisor(int64_t n) : d((int32_t)n), factor(0), shift(31)
    {
        while ((INT64_C(1) << (shift - 31)) < n) shift++;
        factor = (uint32_t)(((UINT64_C(1) << shift) + (uint64_t)n - 1) / (uint64_t)n);
    }
    __device__ __forceinline__ int32_t quotient(int32_t i) const
    {
        return (int32_t)((uint64_t)(uint32_t)i * factor >> shift);
    }
};

struct Conv {
    int32_t H, W, C, O, Ho, Wo, pad, ld;               // ld: channels of a pixel of y
    int32_t in_pixels, out_pixels, in_taps, out_taps;   // N H W, N Ho Wo, KH KW C, KH KW O
    Divisor by_H, by_W, by_Ho, by_Wo, by_C, by_O, by_KW, by_stride;
};

static Conv conv_of(const OpCall *c, const int64_t *w, int stride, int pad)
{
    const int64_t *x = c->in[0]->shape.d, *y = c->out[0]->shape.d;
    const int64_t in = x[0] * x[1] * x[2], out = y[0] * y[1] * y[2], taps = w[0] * w[1], most = INT64_C(1) << 31;
    CHECK(in < most && out < most && taps * x[3] < most && taps * w[3] < most && x[1] + x[2] + pad < most,
          "conv2d: %lld and %lld pixels, %lld taps; a GPU's are counted in 31 bits", (long long)in, (long long)out,
          (long long)taps);
    const int32_t H = (int32_t)x[1], W = (int32_t)x[2], C = (int32_t)x[3], O = (int32_t)w[3];
    return Conv{H, W, C, O, (int32_t)y[1], (int32_t)y[2], pad, (int32_t)y[3], (int32_t)in, (int32_t)out,
                (int32_t)(taps * C), (int32_t)(taps * O), Divisor(H), Divisor(W), Divisor(y[1]), Divisor(y[2]),
                Divisor(C), Divisor(O), Divisor(w[1]), Divisor(stride)};
}

struct Spot { int32_t n, i, j; };   // image, line, column

static __device__ __forceinline__ Spot spot_of(int32_t m, const Divisor &H, const Divisor &W)
{
    const int32_t line = W.quotient(m), n = H.quotient(line);
    return Spot{n, line - n * H.d, m - line * W.d};
}

struct Tap { int32_t a, e, c; };

static __device__ __forceinline__ Tap tap_of(int32_t k, const Divisor &KW, const Divisor &C)
{
    const int32_t tap = C.quotient(k), a = KW.quotient(tap);
    return Tap{a, tap - a * KW.d, k - tap * C.d};
}

// x under a tap: [m = output pixel][k = (a,e,c)] in runs of c; TRANSPOSED: the rows are (a,e,c) and k the pixels.
template <bool TRANSPOSED> struct Unfolded {
    enum { K_RUNS = !TRANSPOSED };
    const float *x;
    Conv d;
    __device__ __forceinline__ const float *at(int64_t, int32_t row, int32_t k) const
    {
        const int32_t pixel = TRANSPOSED ? k : row, weight = TRANSPOSED ? row : k;
        if (pixel >= d.out_pixels || weight >= d.in_taps) return NULL;
        const Spot o = spot_of(pixel, d.by_Ho, d.by_Wo);
        const Tap t = tap_of(weight, d.by_KW, d.by_C);
        const int32_t h = o.i * d.by_stride.d + t.a - d.pad, v = o.j * d.by_stride.d + t.e - d.pad;
        if (h < 0 || h >= d.H || v < 0 || v >= d.W) return NULL;
        return x + ((int64_t)((o.n * d.H + h) * d.W + v) * d.C + t.c);
    }
    __device__ const float *base() const { return x; }
    bool wide() const { return aligned16(x) && d.C % 4 == 0; }
};

// dy that an input pixel went into: [m = input pixel][k = (a,e,o)]
struct Reached {
    enum { K_RUNS = 1 };
    const float *dy;
    Conv d;
    __device__ __forceinline__ const float *at(int64_t, int32_t row, int32_t k) const
    {
        if (row >= d.in_pixels || k >= d.out_taps) return NULL;
        const Spot x = spot_of(row, d.by_H, d.by_W);
        const Tap t = tap_of(k, d.by_KW, d.by_O);
        const int32_t u = x.i + d.pad - t.a, v = x.j + d.pad - t.e;
        if (u < 0 || v < 0) return NULL;
        const int32_t i = d.by_stride.quotient(u), j = d.by_stride.quotient(v);
        if (i * d.by_stride.d != u || j * d.by_stride.d != v || i >= d.Ho || j >= d.Wo) return NULL;
        return dy + ((int64_t)((x.n * d.Ho + i) * d.Wo + j) * d.ld + t.c);
    }
    __device__ const float *base() const { return dy; }
    bool wide() const { return aligned16(dy) && d.O % 4 == 0 && d.ld % 4 == 0; }
};

// w[a,e,c,o] as column c, k = (a,e,o)
struct WeightsBack {
    enum { K_RUNS = 1 };
    const float *w;
    Conv d;
    __device__ __forceinline__ const float *at(int64_t, int32_t c, int32_t k) const
    {
        if (c >= d.C || k >= d.out_taps) return NULL;
        const int32_t tap = d.by_O.quotient(k);
        return w + ((int64_t)tap * d.C + c) * d.O + (k - tap * d.O);
    }
    __device__ const float *base() const { return w; }
    bool wide() const { return aligned16(w) && d.O % 4 == 0; }
};

struct Channels {
    const float *dy;
    int64_t ld;
    __device__ void operator()(int64_t m, int64_t o, float (&v)[1]) const { v[0] = dy[m * ld + o]; }
};

// w, b: inputs of c, their gradients too; y, dy: at the first of the O channels of d.
static void forward(const OpCall *c, const Conv &d, int w, int b, float *y)
{
    const int64_t M = d.out_pixels, K = d.in_taps;
    gemm(c, 1, M, d.O, K, Unfolded<false>{in_x(c, 0), d}, Matrix<false>{in_x(c, w), d.O, 0, d.O, K},
         Epilogue{y, NULL, in_x(c, b), 1, false, M, d.ld, NULL, ACT_NONE});
}

static void backward(const OpCall *c, const Conv &d, int w, int b, const float *dy)
{
    const int64_t P = d.out_pixels;
    if (in_g(c, 0))
        gemm(c, 1, d.in_pixels, d.C, d.out_taps, Reached{dy, d}, WeightsBack{in_x(c, w), d},
             Epilogue{in_g(c, 0), NULL, NULL, 1, true, d.in_pixels, d.C, NULL, ACT_NONE});
    if (in_g(c, w))
        gemm(c, 1, d.in_taps, d.O, P, Unfolded<true>{in_x(c, 0), d}, Matrix<false>{dy, d.ld, 0, d.O, P},
             Epilogue{in_g(c, w), NULL, NULL, 1, true, d.in_taps, d.O, NULL, ACT_NONE});
    if (in_g(c, b)) sum_columns<1>(c, 1, P, d.O, Channels{dy, d.ld}, {{in_g(c, b)}, 0, 1, false});
}

static Conv single(const OpCall *c)
{
    const Conv2dParams *p = params<Conv2dParams>(c);
    return conv_of(c, c->in[1]->shape.d, p->stride, p->pad);
}

CUDA_KERNEL(conv2d, fwd) { forward(c, single(c), 1, 2, out_x(c, 0)); }
CUDA_KERNEL(conv2d, bwd) { backward(c, single(c), 1, 2, out_g(c, 0)); }

CUDA_KERNEL(conv2d_multi, fwd)
{
    float *y = out_x(c, 0);
    for (int m = 1; m < c->n_in; m += 2) {
        const int64_t *w = c->in[m]->shape.d;
        forward(c, conv_of(c, w, 1, (int)w[0] / 2), m, m + 1, y);
        y += w[3];
    }
}

CUDA_KERNEL(conv2d_multi, bwd)
{
    const float *dy = out_g(c, 0);
    for (int m = 1; m < c->n_in; m += 2) {
        const int64_t *w = c->in[m]->shape.d;
        backward(c, conv_of(c, w, 1, (int)w[0] / 2), m, m + 1, dy);
        dy += w[3];
    }
}

// ---- dwconv1d: x [N,T,C], w [K,C]; 2 K flops a value, bound by memory: its K reads of a value come from L1

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
    if (in_g(c, 2)) sum_columns<1>(c, 1, R, C, Channels{dy, C}, {{in_g(c, 2)}, 0, 1, false});
}
