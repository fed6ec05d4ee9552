// add, mul, mul_rows, scale, clamp, activations: maps (kernel.h) over 16-byte packs.
// A block of 256 threads: 8 KiB of each input and of the output; 1 to 10 flops a value: bound by memory.
// Expected: 0.85-0.90 of a device copy on 64 MB and more (add, mul: 8-12 bytes a value; backward 12-16).
// The division that finds a suffix (bias) costs one 32-bit remainder for each pack of four.
#include "activation.h"

// ---- activations: y = A::fwd(x), dx += A::bwd(x or, with OF_Y, y; dy).  Silu, GeluTanh: activation.h

struct Relu {
    enum { OF_Y = 0 };
    static __device__ float fwd(float x) { return x < 0 ? 0 : x; }
    static __device__ float bwd(float x, float dy) { return x > 0 ? dy : 0; }
};

struct GeluErf {
    enum { OF_Y = 0 };
    static __device__ float cdf(float x) { return 0.5f * erfcf(x * -0.70710678118654752440f); }
    static __device__ float fwd(float x) { return x * cdf(x); }
    static __device__ float bwd(float x, float dy)
    {
        return dy * (cdf(x) + x * (0.39894228040143267794f * expf(-0.5f * x * x)));
    }
};

struct Sigmoid {
    enum { OF_Y = 1 };
    static __device__ float fwd(float x) { return logistic(x); }
    static __device__ float bwd(float y, float dy) { return dy * y * (1 - y); }
};

struct Tanh {
    enum { OF_Y = 1 };
    static __device__ float fwd(float x) { return tanhf(x); }
    static __device__ float bwd(float y, float dy) { return dy * (1 - y * y); }
};

struct Softplus {
    enum { OF_Y = 0 };
    static __device__ float fwd(float x) { return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x))); }
    static __device__ float bwd(float x, float dy) { return dy * logistic(x); }
};

template <class A> struct Forward {
    const float *x;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(x + i);
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] = A::fwd(r.v[k]);
        return r;
    }
};

template <class A> static void activation_fwd(const OpCall *c)
{
    const float *x = in_x(c, 0);
    map<false>(c, numel(c->in[0]), out_x(c, 0), Forward<A>{x}, aligned16(x));
}

template <class A> static void activation_bwd(const OpCall *c)
{
    const float *x = A::OF_Y ? out_x(c, 0) : in_x(c, 0), *dy = out_g(c, 0);
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), Backward<A>{x, dy}, aligned16(x) && aligned16(dy));
}

#define ACTIVATION(name, A)                               \
    CUDA_KERNEL(name, fwd) { activation_fwd<A>(c); }      \
    CUDA_KERNEL(name, bwd) { activation_bwd<A>(c); }
ACTIVATION(relu, Relu)
ACTIVATION(silu, Silu)
ACTIVATION(gelu_tanh, GeluTanh)
ACTIVATION(gelu_erf, GeluErf)
ACTIVATION(sigmoid, Sigmoid)
ACTIVATION(tanh, Tanh)
ACTIVATION(softplus, Softplus)

// ---- clamp: into [-limit, limit]; NaN stays

static __global__ void clamp_forward(const float *x, float *y, float limit, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (i < n) y[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
}

CUDA_KERNEL(clamp, fwd)
{
    const ClampParams *p = params<ClampParams>(c);
    const int64_t n = numel(c->in[0]);
    launch(c, clamp_forward, grid_of(n, MAP_BLOCK), MAP_BLOCK, 0, in_x(c, 0), out_x(c, 0), (float)p->limit, n);
}

// ---- scale

struct Affine1 {
    const float *x;
    float alpha, beta;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(x + i);
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] = alpha * r.v[k] + beta;
        return r;
    }
};

CUDA_KERNEL(scale, fwd)
{
    const ScaleParams *p = params<ScaleParams>(c);
    const Affine1 f = {in_x(c, 0), (float)p->alpha, (float)p->beta};
    map<false>(c, numel(c->in[0]), out_x(c, 0), f, aligned16(f.x));
}

CUDA_KERNEL(scale, bwd)
{
    const Affine1 f = {out_g(c, 0), (float)params<ScaleParams>(c)->alpha, 0};
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), f, aligned16(f.x));
}

// ---- add, mul: b has Q values, repeated; mul_rows: one value for each R of a

struct AddSuffix {
    const float *a, *b;   // b NULL: a alone
    int64_t n, Q;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(a + i);
        if (!b) return r;
        const Pack<W> s = load<W>(b + (n == Q ? i : remainder_of(i, Q)));
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] += s.v[k];
        return r;
    }
};

struct MulSuffix {
    const float *a, *b;
    int64_t n, Q;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(a + i);
        const Pack<W> s = load<W>(b + (n == Q ? i : remainder_of(i, Q)));
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] *= s.v[k];
        return r;
    }
};

struct MulRows {
    const float *a, *s;
    int64_t R;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(a + i);
        const float f = s[quotient(i, R)];
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] *= f;
        return r;
    }
};

struct ColumnsOf {   // dy, or dy * a
    const float *dy, *a;
    int64_t Q;
    __device__ void operator()(int64_t p, int64_t q, float (&v)[1]) const
    {
        v[0] = a ? dy[p * Q + q] * a[p * Q + q] : dy[p * Q + q];
    }
};

static bool wide_suffix(const float *a, const float *b, int64_t Q)
{
    return aligned16(a) && aligned16(b) && Q % 4 == 0;
}

CUDA_KERNEL(add, fwd)
{
    const int64_t n = numel(c->in[0]), Q = numel(c->in[1]);
    const AddSuffix f = {in_x(c, 0), in_x(c, 1), n, Q};
    map<false>(c, n, out_x(c, 0), f, wide_suffix(f.a, f.b, Q));
}

CUDA_KERNEL(add, bwd)
{
    const int64_t n = numel(c->in[0]), Q = numel(c->in[1]);
    const AddSuffix f = {out_g(c, 0), NULL, n, Q};
    if (in_g(c, 0)) map<true>(c, n, in_g(c, 0), f, aligned16(f.a));
    if (!in_g(c, 1)) return;
    if (n == Q) map<true>(c, n, in_g(c, 1), f, aligned16(f.a));
    else sum_columns<1>(c, 1, n / Q, Q, ColumnsOf{f.a, NULL, Q}, {{in_g(c, 1)}, 0, 1, false});
}

CUDA_KERNEL(mul, fwd)
{
    const int64_t n = numel(c->in[0]), Q = numel(c->in[1]);
    const MulSuffix f = {in_x(c, 0), in_x(c, 1), n, Q};
    map<false>(c, n, out_x(c, 0), f, wide_suffix(f.a, f.b, Q));
}

CUDA_KERNEL(mul, bwd)
{
    const int64_t n = numel(c->in[0]), Q = numel(c->in[1]);
    const float *a = in_x(c, 0), *b = in_x(c, 1), *dy = out_g(c, 0);
    if (in_g(c, 0)) map<true>(c, n, in_g(c, 0), MulSuffix{dy, b, n, Q}, wide_suffix(dy, b, Q));
    if (!in_g(c, 1)) return;
    if (n == Q) map<true>(c, n, in_g(c, 1), MulSuffix{dy, a, n, n}, wide_suffix(dy, a, n));
    else sum_columns<1>(c, 1, n / Q, Q, ColumnsOf{dy, a, Q}, {{in_g(c, 1)}, 0, 1, false});
}

CUDA_KERNEL(mul_rows, fwd)
{
    const int64_t n = numel(c->in[0]), P = numel(c->in[1]), R = P ? n / P : 0;
    map<false>(c, n, out_x(c, 0), MulRows{in_x(c, 0), in_x(c, 1), R}, aligned16(in_x(c, 0)) && R % 4 == 0);
}

struct RowDots {   // ds[p] += sum_r dy[p,r] a[p,r]
    const float *dy, *a;
    float *ds;
    int64_t R;
    __device__ double operator()(int64_t p, int64_t r) const { return (double)dy[p * R + r] * (double)a[p * R + r]; }
    __device__ void put(int64_t p, double sum) const { ds[p] += (float)sum; }
};

CUDA_KERNEL(mul_rows, bwd)
{
    const int64_t n = numel(c->in[0]), P = numel(c->in[1]), R = P ? n / P : 0;
    const float *dy = out_g(c, 0);
    if (in_g(c, 0)) map<true>(c, n, in_g(c, 0), MulRows{dy, in_x(c, 1), R}, aligned16(dy) && R % 4 == 0);
    if (in_g(c, 1)) sum_rows(c, P, R, RowDots{dy, in_x(c, 0), in_g(c, 1), R});
}
