// Hopper's asynchronous machinery (sm_90a), for sources named *_sm90.cu: barriers in shared memory that count arrivals
// and bytes, copies of tiles by the tensor memory accelerator (TMA), products of four warps (wgmma).  Facts: PTX ISA
// 9.0, "mbarrier", "cp.async.bulk.tensor", "Asynchronous Warpgroup Level Matrix Instructions"; CUDA driver API, tensor
// maps.  The emulation of all of it on the host, which tells wrong uses by name: tests/emulate/hopper.cc.
//
//   barriers   Phase 0, 1, 2, ..; a phase ends when `count` arrivals have been made and all bytes that were announced
//              (expect) have landed.  mbarrier_wait(b, p) returns once a phase of parity p has ended: on a new barrier
//              at once for p = 1.  mbarrier_init by one thread, then mbarrier_init_fence() by it, then __syncthreads().
//   copies     tma_load, by one thread: the map's box at coordinates c0 (innermost), c1, c2 into shared memory, its
//              bytes counted on the barrier.  Elements outside the tensor arrive as zeros and count.  Rows of the box
//              are 128 bytes apart; the 16-byte pieces of a row are swizzled: address bits 4..6 ^= bits 7..9.
//   products   D [64,N] += A [64,K] B [K,N], K = 32 bytes of values (16 bf16, 8 tf32), N = 128 or 256, by 128 threads.
//              A and B lie in shared memory as tma_load puts them; a descriptor says where:
//                K runs (rows of 128 bytes along k)   8 rows after `stride` bytes; `leading` not used: 16
//                rows run (transposed; bf16 only)     64 rows x 8 k in 1,024 bytes; 8 k after `stride`,
//                                                     64 rows after `leading`
//              The 1,024-byte pattern of the swizzle begins at a multiple of 1,024; the next K: start + 32, or
//              + 2 stride.
//              d[4 j + i]: row 16 w + g + 8 (i / 2), column 8 j + 2 t + i % 2; w = warp of the four, g = lane / 4,
//              t = lane % 4
//              wgmma_fence(d); wgmma(..) ..; wgmma_commit(); until wgmma_wait<n> has left it out of the n newest
//              groups, a product may read its operands, and d is not to be touched but by further products.
//   registers  registers_give<n>, registers_take<n>: four warps leave all but n registers / raise theirs to n
#ifndef LEAD_CUDA_HOPPER_H
#define LEAD_CUDA_HOPPER_H

#include "kernel.h"

// A tensor of up to three dimensions in device memory and the box that one copy takes from it, swizzled by 128 bytes.
// dim, box: innermost first; stride: bytes from one to the next of dimensions 1 and 2, multiples of 16; x 16-byte
// aligned.  value: bytes of a value; box[0] * value = 128; box[1] <= 256, box[2] = 1.
struct TensorBox {
    const void *x;
    int value;
    int64_t dim[3], stride[2];
    int box[2];
};

#ifdef LEAD_CUDA_EMULATE

#define __grid_constant__
typedef TensorBox TensorMap;

static inline TensorMap tensor_map(const OpCall *, const TensorBox &t)
{
    emulate_tensor_check(&t);
    return t;
}
// What LEAD_WGMMA says, NULL without it.
static inline const char *wgmma_choice(const OpCall *) { return getenv("LEAD_WGMMA"); }

static inline unsigned shared_address(const void *p) { return emulate_shared_address(p); }
static inline void mbarrier_init(uint64_t *b, unsigned count, EMULATE_SITE)
{
    emulate_mbarrier_init(b, count, file, line);
}
static inline void mbarrier_init_fence() { emulate_mbarrier_init_fence(); }
static inline void mbarrier_arrive(uint64_t *b, EMULATE_SITE) { emulate_mbarrier_arrive(b, 0, file, line); }
static inline void mbarrier_arrive_expect(uint64_t *b, unsigned bytes, EMULATE_SITE)
{
    emulate_mbarrier_arrive(b, bytes, file, line);
}
static inline void mbarrier_wait(uint64_t *b, unsigned parity, EMULATE_SITE)
{
    emulate_mbarrier_wait(b, parity, file, line);
}
static inline void tma_load(void *to, const TensorMap *map, uint64_t *b, int c0, int c1, int c2, EMULATE_SITE)
{
    const int at[3] = {c0, c1, c2};
    emulate_tma_load(to, map, b, at, file, line);
}
template <int N> static inline void wgmma_fence(float (&)[N], EMULATE_SITE) { emulate_wgmma_fence(file, line); }
static inline void wgmma_commit(EMULATE_SITE) { emulate_wgmma_commit(file, line); }
template <int NEWEST, int N> static inline void wgmma_wait(float (&)[N], EMULATE_SITE)
{
    emulate_wgmma_wait(NEWEST, file, line);
}
template <bool BF16, bool ACROSS_A, bool ACROSS_B, int N>
static inline void wgmma(float (&d)[N], uint64_t a, uint64_t b, EMULATE_SITE)
{
    static_assert(N == 64 || N == 128, "128 or 256 columns");
    static_assert(BF16 || (!ACROSS_A && !ACROSS_B), "tf32: along k only");
    emulate_wgmma(d, 2 * N, a, b, BF16, ACROSS_A, ACROSS_B, file, line);
}
template <int N> static inline void registers_give(EMULATE_SITE) { emulate_registers(N, false, file, line); }
template <int N> static inline void registers_take(EMULATE_SITE) { emulate_registers(N, true, file, line); }

template <class... P>
static inline void launch_sm90(const OpCall *c, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                               typename SameType<P>::type... args)
{
    emulate_sm90(true);
    launch(c, kernel, grid, block, shared, args...);
    emulate_sm90(false);
}

#else

#include <cuda.h>

typedef CUtensorMap TensorMap;

// cuda/device.cu.  The choice is NULL on a GPU without wgmma.
void cuda_tensor_map(const OpCall *c, const TensorBox *t, TensorMap *map);
const char *cuda_wgmma_choice(const OpCall *c);

static inline TensorMap tensor_map(const OpCall *c, const TensorBox &t)
{
    TensorMap map;
    cuda_tensor_map(c, &t, &map);
    return map;
}
static inline const char *wgmma_choice(const OpCall *c) { return cuda_wgmma_choice(c); }

static __device__ __forceinline__ unsigned shared_address(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

static __device__ __forceinline__ void mbarrier_init(uint64_t *b, unsigned count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}
static __device__ __forceinline__ void mbarrier_init_fence()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
static __device__ __forceinline__ void mbarrier_arrive(uint64_t *b)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}
static __device__ __forceinline__ void mbarrier_arrive_expect(uint64_t *b, unsigned bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
                 ::"r"(shared_address(b)), "r"(bytes) : "memory");
}
// A phase that never ends (a bug) stops the kernel with an error after 2 s by the GPU's clock, instead of hanging it.
static __device__ __forceinline__ uint64_t nanoseconds()
{
    uint64_t t;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
    return t;
}
static __device__ __forceinline__ void mbarrier_wait(uint64_t *b, unsigned parity)
{
    uint64_t start = 0;
    for (;;) {
        unsigned ended;
        asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                     : "=r"(ended) : "r"(shared_address(b)), "r"(parity) : "memory");
        if (ended) return;
        if (!start) start = nanoseconds();
        else if (nanoseconds() - start > 2000000000u) __trap();
    }
}
static __device__ __forceinline__ void tma_load(void *to, const TensorMap *map, uint64_t *b, int c0, int c1, int c2)
{
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5}], [%2];"
                 ::"r"(shared_address(to)), "l"(map), "r"(shared_address(b)), "r"(c0), "r"(c1), "r"(c2) : "memory");
}

// The empty statements keep the compiler from moving uses of d across: it does not know that wgmma goes on.
template <int N> static __device__ __forceinline__ void wgmma_pin(float (&d)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++) asm volatile("" : "+f"(d[i])::"memory");
}
template <int N> static __device__ __forceinline__ void wgmma_fence(float (&d)[N])
{
    wgmma_pin(d);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int NEWEST, int N> static __device__ __forceinline__ void wgmma_wait(float (&d)[N])
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(NEWEST) : "memory");
    if (NEWEST == 0) wgmma_pin(d);
}

#define WGMMA_PLACES_0 \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28," \
    "%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54," \
    "%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define WGMMA_PLACES_64 \
    "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89," \
    "%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112," \
    "%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define WGMMA_D8(i) \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
        "+f"(d[i + 7])
#define WGMMA_D64(i) \
    WGMMA_D8(i), WGMMA_D8(i + 8), WGMMA_D8(i + 16), WGMMA_D8(i + 24), WGMMA_D8(i + 32), WGMMA_D8(i + 40), \
        WGMMA_D8(i + 48), WGMMA_D8(i + 56)

// The operands behind the descriptors: add to D, do not negate A, B (1), and, bf16 only, whether A's and B's rows run.
template <bool BF16, bool ACROSS_A, bool ACROSS_B, int N>
static __device__ __forceinline__ void wgmma(float (&d)[N], uint64_t a, uint64_t b)
{
    static_assert(N == 64 || N == 128, "128 or 256 columns");
    static_assert(BF16 || (!ACROSS_A && !ACROSS_B), "tf32: along k only");
    if constexpr (BF16 && N == 128)
        asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" WGMMA_PLACES_0 "," WGMMA_PLACES_64 "}, "
                     "%128, %129, 1, 1, 1, %130, %131;"
                     : WGMMA_D64(0), WGMMA_D64(64) : "l"(a), "l"(b), "n"((int)ACROSS_A), "n"((int)ACROSS_B));
    else if constexpr (BF16)
        asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WGMMA_PLACES_0
                     "}, %64, %65, 1, 1, 1, %66, %67;"
                     : WGMMA_D64(0) : "l"(a), "l"(b), "n"((int)ACROSS_A), "n"((int)ACROSS_B));
    else if constexpr (N == 128)
        asm volatile("wgmma.mma_async.sync.aligned.m64n256k8.f32.tf32.tf32 {" WGMMA_PLACES_0 "," WGMMA_PLACES_64 "}, "
                     "%128, %129, 1, 1, 1;" : WGMMA_D64(0), WGMMA_D64(64) : "l"(a), "l"(b));
    else
        asm volatile("wgmma.mma_async.sync.aligned.m64n128k8.f32.tf32.tf32 {" WGMMA_PLACES_0 "}, %64, %65, 1, 1, 1;"
                     : WGMMA_D64(0) : "l"(a), "l"(b));
}

template <int N> static __device__ __forceinline__ void registers_give()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N> static __device__ __forceinline__ void registers_take()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

template <class... P>
static inline void launch_sm90(const OpCall *c, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                               typename SameType<P>::type... args)
{
    launch(c, kernel, grid, block, shared, args...);
}

#endif

// The descriptor of a matrix that begins at `start` (shared_address), 128-byte swizzle: bits 0..13 start, 16..29
// leading, 32..45 stride, each divided by 16; 62..63 = 1: the swizzle.
static __device__ __forceinline__ uint64_t wgmma_matrix(unsigned start, unsigned leading, unsigned stride)
{
    return (uint64_t)((start & 0x3FFFF) >> 4) | (uint64_t)(leading >> 4) << 16 | (uint64_t)(stride >> 4) << 32 |
           (uint64_t)1 << 62;
}

#endif
