// What every CUDA source of cuda/ includes, and the contract of a kernel.
//
// An op's entry points are C functions with the signature of every other kernel of ops.def, and Y in the row's cuda
// columns makes them part of the device's table:
//
//   extern "C" void scale_fwd_cuda(const OpCall *c) { .. launch(c, scale, grid_of(n, 256), 256, 0, x, y, n); }
//
// The entry point runs on the host.  Pointers in c's tensors are device pointers: it passes them on and never reads
// them (the tests run it over memory that the host may not touch).  Shapes and parameters (c->p) are the host's.
// Backward ADDS to the gradients that are not NULL.  Formulas, shapes, which inputs may be missing: src/tensor/ref/.
// Calls in order see each other's results (one stream); nothing waits.  Same inputs, same bits: no float atomics.
// An op that writes in place (adamw, ema) gets the same pointer as input and output: no __restrict__ there.
// Bad indices (embedding, cross_entropy) cannot be checked by the host: such a row's result is NaN.
//
// A source is compiled twice: by nvcc, and, with LEAD_CUDA_EMULATE, by the C++ compiler, where tests/emulate runs
// blocks and threads one after another in several orders.  So it keeps to this subset:
//   kernels        __global__ static functions, templates too; started by launch(), never by <<<>>>
//   shared memory  SHARED(type, name, [32][33]) and SHARED_DYNAMIC(type, name) for __shared__: in the emulation it
//                  is NaN when a block starts and stands between red zones
//   barriers       __syncthreads(), __syncwarp(mask): reached by all threads of the block (of mask), or by none
//   warps          __shfl_sync, __shfl_up_sync, __shfl_down_sync, __shfl_xor_sync (32- and 64-bit values),
//                  __ballot_sync, __any_sync, __all_sync; warp_sum, warp_max, block_sum, block_max below
//   copies         copy_async16 / copy_async4, copy_async_commit(), copy_async_wait<N>(), then a barrier
//   tensor cores   cuda/mma.h
//   integers       atomicAdd, atomicMax, atomicCAS on int and unsigned; __threadfence()
//   the rest       float2, float4, int2, int4, uint2, uint4, make_*; __ldg; the math functions of C; __expf, __logf,
//                  __fdividef, rsqrtf, __frcp_rn, __fmaf_rn, __float_as_uint and its kin; bf16 below
//   sm_90a         cuda/hopper.h, in sources named *_sm90.cu, which are compiled for it alone; launch_sm90() starts
//                  these kernels.  The plain kernel beside them must exist.
// One-dimensional blocks of up to 1024 threads, grids of up to three dimensions.
// random.cu is compiled with -fmad=false: it draws the same bits as the CPU.
#ifndef LEAD_CUDA_LAUNCH_H
#define LEAD_CUDA_LAUNCH_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef LEAD_CUDA_EMULATE
#include "cuda_emulate.h"
#else
#include <cuda_runtime.h>
#define SHARED(type, name, dims) __shared__ type name dims
#define SHARED_DYNAMIC(type, name)                                \
    extern __shared__ __align__(128) unsigned char lead_dynamic[]; \
    type *const name = reinterpret_cast<type *>(lead_dynamic)
#endif

extern "C" {
#include "tensor/device.h"
}

// ---- host side

#ifndef LEAD_CUDA_EMULATE
// cuda/device.cu.  Errors carry the op's name; see LEAD_SYNC there.
void cuda_launch(const OpCall *c, const void *kernel, dim3 grid, dim3 block, size_t shared, void **args);
void cuda_allow_shared(const OpCall *c, const void *kernel, size_t shared);
int cuda_multiprocessors(const OpCall *c);
int cuda_capability(const OpCall *c);   // 80, 90, ..
#endif

template <class P> struct SameType { typedef P type; };

// A kernel's static and dynamic shared memory may together exceed 48 KiB only once the kernel has been allowed so many
// dynamic bytes.  What is static is known to the compiler alone, so every kernel with dynamic memory is.
static inline void allow_shared(const OpCall *c, const void *kernel, size_t shared)
{
#ifdef LEAD_CUDA_EMULATE
    (void)c;
    emulate_allow_shared(kernel, shared);
#else
    cuda_allow_shared(c, kernel, shared);
#endif
}

// Runs kernel<<<grid, block, shared>>>(args..) after the calls before it.  An empty grid is no call.  shared: bytes of
// SHARED_DYNAMIC, up to 227 KiB on sm_90, 163 KiB on sm_80.
template <class... P>
static inline void launch(const OpCall *c, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                          typename SameType<P>::type... args)
{
    if (!grid.x || !grid.y || !grid.z) return;
    const void *symbol = reinterpret_cast<const void *>(kernel);
    if (shared) allow_shared(c, symbol, shared);
#ifdef LEAD_CUDA_EMULATE
    // arguments by value: the call may be recorded
    emulate_call(op_info(c->op)->name, symbol, grid, block, shared, [=] { kernel(args...); });
#else
    void *list[] = {(void *)&args..., NULL};
    cuda_launch(c, symbol, grid, block, shared, list);
#endif
}

// Blocks that cover n items, `each` items a block.
static inline dim3 grid_of(int64_t n, int64_t each) { return dim3((unsigned)((n + each - 1) / each)); }

// Values and gradients of the i-th input and j-th output; a missing optional input gives NULL.
static inline const float *in_x(const OpCall *c, int i)
{
    return i < c->n_in && c->in[i] ? static_cast<const float *>(c->in[i]->x) : NULL;
}
static inline const int32_t *in_i32(const OpCall *c, int i) { return static_cast<const int32_t *>(c->in[i]->x); }
static inline float *in_g(const OpCall *c, int i)
{
    return i < c->n_in && c->in[i] ? static_cast<float *>(c->in[i]->g) : NULL;
}
static inline float *out_x(const OpCall *c, int j) { return static_cast<float *>(c->out[j]->x); }
static inline const float *out_g(const OpCall *c, int j) { return static_cast<const float *>(c->out[j]->g); }

static inline const Device *device_of(const OpCall *c) { return c->out[0]->dev; }
static inline Math math_of(const OpCall *c) { return device_of(c)->math; }

// n values of device memory for this call, contents undefined.
template <class T> static inline T *scratch_of(const OpCall *c, size_t n)
{
    return static_cast<T *>(device_alloc(device_of(c), c->scratch, n * sizeof(T)));
}
static inline void zero(const OpCall *c, void *p, size_t bytes) { device_zero(device_of(c), p, bytes); }
static inline void copy(const OpCall *c, void *to, const void *from, size_t bytes)
{
    device_copy(device_of(c), to, from, bytes);
}

#ifdef LEAD_CUDA_EMULATE
static inline int multiprocessors(const OpCall *) { return 3; }   // few: persistent grids must loop
static inline int capability(const OpCall *) { return 80; }
#else
static inline int multiprocessors(const OpCall *c) { return cuda_multiprocessors(c); }
static inline int capability(const OpCall *c) { return cuda_capability(c); }
#endif

// ---- device side

// Whole warp: every lane must call.  The result is in every lane; the order of additions is fixed.
static __device__ __forceinline__ float warp_sum(float v)
{
    for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(0xFFFFFFFFu, v, d);
    return v;
}
static __device__ __forceinline__ double warp_sum(double v)
{
    for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(0xFFFFFFFFu, v, d);
    return v;
}
// NaN wins: a diverged run must show.
static __device__ __forceinline__ float max_nan(float a, float b) { return a <= b ? b : a > b ? a : NAN; }
static __device__ __forceinline__ float warp_max(float v)
{
    for (int d = 16; d; d >>= 1) v = max_nan(v, __shfl_xor_sync(0xFFFFFFFFu, v, d));
    return v;
}

// Whole block of at most 1024 threads, a multiple of 32; `room` is shared memory of 33 values that no one else uses
// between the two calls' barriers: SHARED(double, room, [33]).  The result is in every thread.
template <class T> static __device__ __forceinline__ T block_sum(T v, T *room)
{
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, warps = (int)blockDim.x / 32;
    v = warp_sum(v);
    if (lane == 0) room[warp] = v;
    __syncthreads();
    if (warp == 0) {
        v = warp_sum(lane < warps ? room[lane] : T(0));
        if (lane == 0) room[32] = v;
    }
    __syncthreads();
    v = room[32];
    __syncthreads();   // room may be used again at once
    return v;
}
static __device__ __forceinline__ float block_max(float v, float *room)
{
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, warps = (int)blockDim.x / 32;
    v = warp_max(v);
    if (lane == 0) room[warp] = v;
    __syncthreads();
    if (warp == 0) {
        v = warp_max(lane < warps ? room[lane] : -INFINITY);
        if (lane == 0) room[32] = v;
    }
    __syncthreads();
    v = room[32];
    __syncthreads();
    return v;
}

// bf16 as bits: float rounded to nearest, ties to even; NaN stays NaN.  Two in a word: lo is the one at the lower
// address.
static __device__ __forceinline__ uint32_t bf16_bits(float x)
{
    const uint32_t u = __float_as_uint(x);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u) return (u >> 16) | 0x40u;
    return (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
}
static __device__ __forceinline__ float bf16_float(uint32_t bits) { return __uint_as_float(bits << 16); }
static __device__ __forceinline__ uint32_t bf16_pair(float lo, float hi)
{
#if defined(__CUDA_ARCH__)
    uint32_t y;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(hi), "f"(lo));
    return y;
#else
    return bf16_bits(lo) | bf16_bits(hi) << 16;
#endif
}

// Asynchronous copies from global to shared memory, 16-byte (4-byte) aligned both.  valid = false writes zeros and
// reads nothing.  copy_async_wait<N> waits for all but this thread's N newest groups; a barrier then shows them to the
// others.
#ifndef LEAD_CUDA_EMULATE
static __device__ __forceinline__ void copy_async16(void *to, const void *from, bool valid = true)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(valid ? 16 : 0) : "memory");
}
static __device__ __forceinline__ void copy_async4(void *to, const void *from, bool valid = true)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at), "l"(from), "r"(valid ? 4 : 0) : "memory");
}
static __device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> static __device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
#endif

#endif
