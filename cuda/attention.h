// What the attention kernels share: sizes, places, and which kernel takes a call.  Formulas:
// src/tensor/ref/attention.inl.
//   attention.cu         f32, any shape
//   attention_mma.cu     --math tf32 and bf16: products on the tensor cores, for heads of 16 to 128 values
//   attention_decode.cu  one query a sample, forward: the keys are split over blocks
#ifndef LEAD_CUDA_ATTENTION_H
#define LEAD_CUDA_ATTENTION_H

#include "kernel.h"

struct Heads {
    int64_t N, Tq, Tk, L, D, heads, E;   // Tk: keys that count, of L
    bool causal, wide;
    float scale;
    __device__ int64_t seen(int64_t i) const { return causal ? i + 1 + Tk - Tq : Tk; }
};

static inline Heads heads_of(const OpCall *c)
{
    const int64_t *q = c->in[0]->shape.d;
    const AttentionParams *p = params<AttentionParams>(c);
    const int64_t E = q[2] / p->heads;
    CHECK(E <= 128, "attention: head size %lld, the CUDA kernels take up to 128", (long long)E);
    bool wide = E % 4 == 0;
    for (int i = 0; i < 3; i++) wide = wide && aligned16(in_x(c, i));
    const int64_t L = c->in[1]->shape.d[1];
    return Heads{q[0], q[1], p->keys ? p->keys : L, L, q[2], p->heads, E, p->causal, wide, 1 / sqrtf((float)E)};
}

// The block's head of a sample and its first row; tiles: blocks a head.
struct Place { int64_t nh, n, h, row0; };
template <int ROWS> static __device__ __forceinline__ Place place_of(const Heads &d, int64_t T)
{
    const int64_t tiles = (T + ROWS - 1) / ROWS, nh = quotient(blockIdx.x, tiles), n = quotient(nh, d.heads);
    return Place{nh, n, nh - n * d.heads, (blockIdx.x - nh * tiles) * ROWS};
}

enum { DELTA_BLOCK = 256 };

// delta[n,h,i] = do[i] . o[i], a thread each, in the order of dots(): with one key the gradient of q is exactly 0.
static __global__ void delta_kernel(Heads d, const float *o, const float *go, float *delta)
{
    const int64_t job = (int64_t)blockIdx.x * DELTA_BLOCK + threadIdx.x;
    if (job >= d.N * d.heads * d.Tq) return;
    const int64_t nh = quotient(job, d.Tq), n = quotient(nh, d.heads);
    const int64_t at = (n * d.Tq + (job - nh * d.Tq)) * d.D + (nh - n * d.heads) * d.E;
    float sum = 0;
#pragma unroll 8
    for (int64_t e = 0; e < d.E; e++) sum += go[at + e] * o[at + e];
    delta[job] = sum;
}

// What backward reads; delta is computed here.
struct Saved { const float *q, *k, *v, *go, *lse, *delta; };

static inline Saved saved_of(const OpCall *c, const Heads &d)
{
    const int64_t rows = d.N * d.heads * d.Tq;
    float *delta = scratch_of<float>(c, (size_t)rows);
    launch(c, delta_kernel, grid_of(rows, DELTA_BLOCK), DELTA_BLOCK, 0, d, out_x(c, 0), out_g(c, 0), delta);
    return Saved{in_x(c, 0), in_x(c, 1), in_x(c, 2), out_g(c, 0), out_x(c, 1), delta};
}

// cuda/attention_mma.cu; false: the shape, the alignment or --math is not for these kernels, and nothing was done.
bool attention_mma_fwd(const OpCall *c, const Heads &d);
bool attention_mma_bwd(const OpCall *c, const Heads &d);
// cuda/attention_decode.cu; false: more than one query.
bool attention_decode(const OpCall *c, const Heads &d);

#endif
