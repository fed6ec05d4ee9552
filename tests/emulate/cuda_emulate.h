// The CUDA execution model on the host, for tests: what cuda/launch.h includes instead of the CUDA runtime.  Blocks run
// in a loop, the threads of a block as fibers that switch at barriers and warp operations (emulate.cc).
//   order       of threads and blocks: with one OpenMP thread forward, with two backward and warp by warp, else
//               shuffled, so that the check of threads (src/check) also runs every kernel in several orders: a missing
//               barrier gives other bits, or the NaN that shared memory starts with
//   shared      0xFF bytes (NaN) when a block starts; red zones around each variable, checked when the block ends and,
//               with AddressSanitizer, at each access
//   errors      a barrier that some threads miss or that they reach at another line, a warp operation whose lanes have
//               gone elsewhere, shared memory overrun, more than 48 KiB of it, static and dynamic, in a kernel that was
//               not allowed so many dynamic bytes, grids beyond the hardware's limits: a message and abort()
//   sm_90a      barriers with byte counts, tensor copies, wgmma: hopper.cc
//   copy_async  takes place when it is waited for; until then the target is NaN
//   recording   kernels and copies are kept and run later (tensor/graph.h)
#ifndef LEAD_TESTS_CUDA_EMULATE_H
#define LEAD_TESTS_CUDA_EMULATE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;   // of the running thread; set at every switch

// ---- host side

// Runs the threads of all blocks.  window(true) is called before and window(false) after: see fence.h; may be NULL.
void emulate_run(const char *op, const void *kernel, dim3 grid, dim3 block, size_t shared, void (*thread)(void *),
                 void *arg);
void emulate_allow_shared(const void *kernel, size_t dynamic);   // cudaFuncSetAttribute
extern "C" void emulate_window(void (*window)(bool open));

// Recorded work: between begin and end kernels (with their arguments), copies and clearings are kept instead of done;
// run does them in order, as emulate_run and memory operations inside the window.  fence.c is the device that offers
// it.
extern "C" {
bool emulate_recording(void);
void emulate_record_begin(void);
void *emulate_record_end(void);
void emulate_record_copy(void *to, const void *from, size_t bytes);   // from NULL: zeros
void emulate_record_run(void *graph);
void emulate_record_free(void *graph);
int64_t emulate_record_nodes(void *graph);
}
void emulate_record_kernel(const char *op, const void *kernel, dim3 grid, dim3 block, size_t shared,
                           void (*thread)(void *), const void *arg, size_t bytes);

template <class Body> static void emulate_thread(void *body) { (*static_cast<Body *>(body))(); }

template <class Body>
static void emulate_call(const char *op, const void *kernel, dim3 grid, dim3 block, size_t shared, Body body)
{
    static_assert(__is_trivially_copyable(Body), "a kernel's arguments are plain values");
    if (emulate_recording())
        emulate_record_kernel(op, kernel, grid, block, shared, emulate_thread<Body>, &body, sizeof body);
    else emulate_run(op, kernel, grid, block, shared, emulate_thread<Body>, &body);
}

// ---- device side: memory, barriers, warps

// Memory of the running block, the same for the same key; a reference to an array behaves as the array.
void *emulate_shared(const void *key, size_t bytes);
void *emulate_dynamic_shared();
#define SHARED(type, name, dims)             \
    static const char name##_key = 0;        \
    typedef type name##_array dims;          \
    name##_array &name = *static_cast<name##_array *>(emulate_shared(&name##_key, sizeof(name##_array)))
#define SHARED_DYNAMIC(type, name) type *const name = static_cast<type *>(emulate_dynamic_shared())

// Waits until every lane of mask has come to the same line, then runs `together` once over what the lanes posted.
typedef void EmulateTogether(void *const post[32], unsigned mask);
void emulate_warp(unsigned mask, const char *file, int line, void *post, EmulateTogether *together);
void emulate_block_barrier(const char *file, int line);
void emulate_copy_async(void *to, const void *from, size_t bytes, bool valid);
void emulate_copy_commit();
void emulate_copy_wait(int newest);
void emulate_mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2], const char *file = __builtin_FILE(),
                      int line = __builtin_LINE());
void emulate_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], const char *file = __builtin_FILE(),
                      int line = __builtin_LINE());
void emulate_load_matrix(uint32_t *r, const void *row, int matrices, bool transposed,
                         const char *file = __builtin_FILE(), int line = __builtin_LINE());


// Asynchronous hardware of sm_90a (hopper.cc); contracts: cuda/hopper.h
struct TensorBox;
void emulate_sm90(bool on);          // around the launches of kernels compiled for sm_90a
bool emulate_is_sm90();
void emulate_tensor_check(const TensorBox *t);
unsigned emulate_shared_address(const void *p);
void emulate_mbarrier_init(uint64_t *b, unsigned count, const char *file, int line);
void emulate_mbarrier_init_fence();
void emulate_mbarrier_arrive(uint64_t *b, unsigned expect, const char *file, int line);
void emulate_mbarrier_wait(uint64_t *b, unsigned parity, const char *file, int line);
void emulate_tma_load(void *to, const TensorBox *t, uint64_t *b, const int at[3], const char *file, int line);
void emulate_wgmma_fence(const char *file, int line);
void emulate_wgmma(float *d, int N, uint64_t a, uint64_t b, bool bf16, bool across_a, bool across_b, const char *file,
                   int line);
void emulate_wgmma_commit(const char *file, int line);
void emulate_wgmma_wait(int newest, const char *file, int line);
void emulate_registers(int n, bool take, const char *file, int line);
extern "C" long emulate_wgmma_count(void);   // products of a warp since the program began
extern "C" long emulate_mma_count(void);     // those of cuda/mma.h
extern "C" bool emulate_contracts(void);     // a b + c rounds once, as nvcc has it

#define EMULATE_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(EMULATE_SITE) { emulate_block_barrier(file, line); }
static inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, EMULATE_SITE) { emulate_warp(mask, file, line, NULL, NULL); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

struct EmulateShuffle { uint64_t value, result; unsigned from; };
void emulate_shuffle(void *const post[32], unsigned mask);
void emulate_ballot(void *const post[32], unsigned mask);

template <class T> static inline T emulate_shuffle_from(unsigned mask, T v, unsigned from, const char *file, int line)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 32 or 64 bits");
    EmulateShuffle s = {0, 0, from};
    memcpy(&s.value, &v, sizeof v);
    emulate_warp(mask, file, line, &s, emulate_shuffle);
    memcpy(&v, &s.result, sizeof v);
    return v;
}

// A lane outside its part of `width` lanes gives the caller's own value, as the hardware does.
template <class T> static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, EMULATE_SITE)
{
    const unsigned self = threadIdx.x % 32, w = (unsigned)width;
    return emulate_shuffle_from(mask, v, self / w * w + (unsigned)lane % w, file, line);
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, EMULATE_SITE)
{
    const unsigned self = threadIdx.x % 32, w = (unsigned)width, from = self ^ (unsigned)bits;
    return emulate_shuffle_from(mask, v, from / w <= self / w ? from : self, file, line);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, EMULATE_SITE)
{
    const unsigned self = threadIdx.x % 32, w = (unsigned)width;
    return emulate_shuffle_from(mask, v, self % w >= by ? self - by : self, file, line);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, EMULATE_SITE)
{
    const unsigned self = threadIdx.x % 32, w = (unsigned)width;
    return emulate_shuffle_from(mask, v, self % w + by < w ? self + by : self, file, line);
}
static inline unsigned __ballot_sync(unsigned mask, int on, EMULATE_SITE)
{
    EmulateShuffle s = {on != 0, 0, 0};
    emulate_warp(mask, file, line, &s, emulate_ballot);
    return (unsigned)s.result;
}
static inline int __any_sync(unsigned mask, int on, EMULATE_SITE) { return __ballot_sync(mask, on, file, line) != 0; }
static inline int __all_sync(unsigned mask, int on, EMULATE_SITE)
{
    return __ballot_sync(mask, on, file, line) == mask;
}

static inline void copy_async16(void *to, const void *from, bool valid = true)
{
    emulate_copy_async(to, from, 16, valid);
}
static inline void copy_async4(void *to, const void *from, bool valid = true)
{
    emulate_copy_async(to, from, 4, valid);
}
static inline void copy_async_commit() { emulate_copy_commit(); }
template <int N> static inline void copy_async_wait() { emulate_copy_wait(N); }

// ---- device side: values

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) double2 { double x, y; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }

template <class To, class From> static inline To emulate_bits(From v)
{
    static_assert(sizeof(To) == sizeof(From), "bits of another size");
    To y;
    memcpy(&y, &v, sizeof y);
    return y;
}
static inline unsigned __float_as_uint(float v) { return emulate_bits<unsigned>(v); }
static inline int __float_as_int(float v) { return emulate_bits<int>(v); }
static inline float __uint_as_float(unsigned v) { return emulate_bits<float>(v); }
static inline float __int_as_float(int v) { return emulate_bits<float>(v); }

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }
#define __expf expf   // macros: glibc has private functions of these names
#define __logf logf
static inline float __fdividef(float a, float b) { return a / b; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fdiv_rn(float a, float b) { return a / b; }
// Rounded by themselves: the compiler may not contract across.
static inline float emulate_rounded(float v)
{
#ifdef __x86_64__
    asm("" : "+x"(v));
#else
    asm("" : "+m"(v));
#endif
    return v;
}
static inline float __fmul_rn(float a, float b) { return emulate_rounded(a * b); }
static inline float __fadd_rn(float a, float b) { return emulate_rounded(a + b); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }

template <class T> static inline T atomicAdd(T *p, T v)
{
    static_assert(T(1) / 2 == 0, "no float atomics: sums must not depend on the order of blocks");
    const T old = *p;
    *p = (T)(old + v);
    return old;
}
template <class T> static inline T atomicMax(T *p, T v)
{
    const T old = *p;
    *p = max(old, v);
    return old;
}
template <class T> static inline T atomicCAS(T *p, T want, T v)
{
    const T old = *p;
    if (old == want) *p = v;
    return old;
}

#endif
