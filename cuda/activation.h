// Activations that elementwise.cu and the epilogue of products (gemm.h) share.  fwd: y = f(x); bwd: dy f'(x).
#ifndef LEAD_CUDA_ACTIVATION_H
#define LEAD_CUDA_ACTIVATION_H

#include "kernel.h"

static __device__ __forceinline__ float logistic(float x) { return 1 / (1 + expf(-x)); }

struct Silu {
    enum { OF_Y = 0 };
    static __device__ __forceinline__ float fwd(float x) { return x * logistic(x); }
    static __device__ __forceinline__ float bwd(float x, float dy)
    {
        const float s = logistic(x);
        return dy * (s * (1 + x * (1 - s)));
    }
};

struct GeluTanh {
    enum { OF_Y = 0 };
    static __device__ __forceinline__ float angle(float x)
    {
        return 0.79788456080286535588f * (x + 0.044715f * x * x * x);
    }
    static __device__ __forceinline__ float fwd(float x) { return 0.5f * x * (1 + tanhf(angle(x))); }
    static __device__ __forceinline__ float bwd(float x, float dy)
    {
        const float t = tanhf(angle(x));
        return dy * (0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.79788456080286535588f * (1 + 3 * 0.044715f * x * x));
    }
};

// dx = dy A::bwd(x)
template <class A> struct Backward {
    const float *x, *dy;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(dy + i);
        const Pack<W> a = load<W>(x + i);
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] = A::bwd(a.v[k], r.v[k]);
        return r;
    }
};

#endif
