// Kernels for tests/test_emulator.c: right ones that use each part of the execution model, and wrong ones that the
// emulation must notice (FAULT_* in faults.h).
#include "faults.h"

#include "hopper.h"
#include "mma.h"

static const int N = 128;

static void run(void (*kernel)(float *), float *y, int blocks = 2)
{
    emulate_call("test", NULL, dim3((unsigned)blocks), dim3(N), 0, [=] { kernel(y); });
}

// y[i] = the value of the mirrored thread: wrong in some order of threads without the barrier.
template <bool barrier> static void mirror(float *y)
{
    SHARED(float, tile, [N]);
    tile[threadIdx.x] = (float)threadIdx.x;
    if (barrier) __syncthreads();
    y[threadIdx.x] = tile[N - 1 - threadIdx.x];
}

static void divergent(float *y)
{
    if (threadIdx.x < 64) __syncthreads();
    y[threadIdx.x] = 1;
}

static void two_barriers(float *y)
{
    if (threadIdx.x < 64) __syncthreads();
    else __syncthreads();
    y[threadIdx.x] = 1;
}

static void missing_lane(float *y)
{
    if (threadIdx.x % 32 == 7) return;
    y[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, 1.0f, 1);
}

static void overrun(float *y)
{
    SHARED(float, tile, [N]);
    tile[threadIdx.x + 1] = 1;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}

static void unwritten(float *y)
{
    SHARED(float, tile, [N]);
    if (threadIdx.x != 5) tile[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}

template <bool wait> static void async_copy(float *y)
{
    static const float source[N] = {3, 1, 4, 1, 5};
    SHARED(float, tile, [N]);
    copy_async4(&tile[threadIdx.x], &source[threadIdx.x], threadIdx.x != 2);
    copy_async_commit();
    if (wait) copy_async_wait<0>();
    __syncthreads();
    y[threadIdx.x] = tile[(threadIdx.x + 1) % N];
}

static void warps(float *y)
{
    const int lane = (int)threadIdx.x % 32;
    float v = (float)lane;
    for (int d = 16; d; d >>= 1) v += __shfl_down_sync(0xFFFFFFFFu, v, (unsigned)d);
    v = __shfl_sync(0xFFFFFFFFu, v, 0);                               // 496
    v += (float)__popc(__ballot_sync(0xFFFFFFFFu, lane % 3 == 0));    // 11
    v += __shfl_up_sync(0xFFFFFFFFu, (float)lane, 1, 8);              // lane - 1, or lane at each eighth
    y[threadIdx.x] = v;
}

// Both tensor-core products of small integers, exact: A[r][k] = r - k, B[k][n] = k + 2 n; A through load_matrix4.
static void products(float *y)
{
    SHARED(uint16_t, a16, [16][16]);
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int i = (int)threadIdx.x; i < 256; i += N) a16[i / 16][i % 16] = (uint16_t)bf16_bits((float)(i / 16 - i % 16));
    __syncthreads();
    if (threadIdx.x >= 32) return;
    float d[4] = {0, 0, 0, 0}, e[4] = {0, 0, 0, 0};
    uint32_t a[4], b[2];
    load_matrix4(a, &a16[lane % 16][lane / 16 * 8]);
    for (int i = 0; i < 2; i++) b[i] = bf16_pair((float)(2 * t + 8 * i + 2 * g), (float)(2 * t + 1 + 8 * i + 2 * g));
    mma_bf16(d, a, b);
    for (int half = 0; half < 2; half++) {    // K = 16 in two products of 8
        uint32_t ta[4], tb[2];
        for (int i = 0; i < 4; i++) ta[i] = to_tf32((float)(g + i % 2 * 8 - (t + i / 2 * 4 + 8 * half)));
        for (int i = 0; i < 2; i++) tb[i] = to_tf32((float)(t + 4 * i + 8 * half + 2 * g));
        mma_tf32(e, ta, tb);
    }
    for (int i = 0; i < 4; i++) {
        const int at = (g + i / 2 * 8) * 8 + 2 * t + i % 2;
        y[at] = d[i] == e[i] ? d[i] : NAN;
    }
}

// 16 KiB of static and 40 KiB of dynamic shared memory, neither of which would need asking for by itself.
static void both_shared(float *y)
{
    SHARED(float, tile, [4096]);
    SHARED_DYNAMIC(float, more);
    tile[threadIdx.x] = more[threadIdx.x] = 1;
    y[threadIdx.x] = tile[threadIdx.x];
}

static void run_shared(float *y, bool allowed)
{
    const void *kernel = reinterpret_cast<const void *>(both_shared);
    emulate_allow_shared(kernel, allowed ? 40 << 10 : 0);
    emulate_call("test", kernel, dim3(1), dim3(N), 40 << 10, [=] { both_shared(y); });
}

extern "C" void fault_run(Fault f, float *y)
{
    switch (f) {
    case FAULT_NONE_MIRROR: return run(mirror<true>, y);
    case FAULT_NONE_ASYNC: return run(async_copy<true>, y);
    case FAULT_NONE_WARPS: return run(warps, y);
    case FAULT_NONE_PRODUCTS: return run(products, y, 1);
    case FAULT_NONE_SHARED: return run_shared(y, true);
    case FAULT_NOT_ALLOWED: return run_shared(y, false);
    case FAULT_NO_BARRIER: return run(mirror<false>, y);
    case FAULT_UNWRITTEN: return run(unwritten, y);
    case FAULT_NO_WAIT: return run(async_copy<false>, y);
    case FAULT_DIVERGENT: return run(divergent, y);
    case FAULT_TWO_BARRIERS: return run(two_barriers, y);
    case FAULT_MISSING_LANE: return run(missing_lane, y);
    case FAULT_OVERRUN: return run(overrun, y);
    case FAULT_LARGE_BLOCK: return emulate_call("test", NULL, dim3(1), dim3(2048), 0, [=] { y[0] = 1; });
    case FAULT_LARGE_GRID: return emulate_call("test", NULL, dim3(1, 70000), dim3(32), 0, [=] { y[0] = 1; });
    }
}

// ---- cuda/hopper.h

static TensorBox box_of(const void *x, int value, int inner, int outer)
{
    return TensorBox{
        x, value, {inner, outer, 1}, {(int64_t)inner * value, (int64_t)inner * outer * value}, {128 / value, 64}};
}

// One warpgroup; its first thread loads.  The tiles as gemm_sm90.cu places them: 64 rows of 128 bytes each.
template <bool BF16, bool ACROSS_A, bool ACROSS_B> static void product_kernel(HopperFault f, const HopperProduct *p)
{
    enum { K = BF16 ? 64 : 32, BYTES = 8192, VALUE = BF16 ? 2 : 4 };
    SHARED_DYNAMIC(unsigned char, dynamic);
    SHARED(uint64_t, full, [2]);
    unsigned char *tile = dynamic + (1024 - shared_address(dynamic) % 1024) % 1024 + (f == HOPPER_UNALIGNED ? 128 : 0);
    const TensorBox a = ACROSS_A ? box_of(p->a, VALUE, 64, K) : box_of(p->a, VALUE, K, 64);
    const TensorBox b = ACROSS_B ? box_of(p->b, VALUE, 128, K) : box_of(p->b, VALUE, K, 128);
    if (threadIdx.x == 0) {
        mbarrier_init(&full[0], 1);
        mbarrier_init(&full[1], 1);
        if (f != HOPPER_NO_BARRIER_FENCE) mbarrier_init_fence();
        mbarrier_arrive_expect(&full[0], 3 * BYTES + (f == HOPPER_FEW_BYTES ? 16 : 0));
        if (f == HOPPER_SECOND_ARRIVAL) mbarrier_arrive(&full[0]);
        tma_load(tile, &a, &full[0], 0, 0, 0);
        for (int i = 0; i < 2; i++)
            tma_load(tile + (1 + i) * BYTES, &b, &full[0], ACROSS_B ? 64 * i : 0, ACROSS_B ? 0 : 64 * i, 0);
    }
    __syncthreads();
    if (f != HOPPER_NO_FULL_WAIT) mbarrier_wait(&full[0], f == HOPPER_WRONG_PARITY);
    float d[64] = {0};
    if (f != HOPPER_NO_PRODUCT_FENCE) wgmma_fence(d);
    const unsigned at = shared_address(tile);
    const unsigned skew = f == HOPPER_FAR_MATRIX ? 65536 : f == HOPPER_TWO_MATRICES && threadIdx.x >= 96 ? 1024 : 0;
    for (unsigned k = 0; k < 4; k++)
        wgmma<BF16, ACROSS_A, ACROSS_B>(d, wgmma_matrix(at + k * (ACROSS_A ? 2048 : 32), BYTES, 1024),
                                        wgmma_matrix(at + BYTES + skew + k * (ACROSS_B ? 2048 : 32), BYTES, 1024));
    if (f == HOPPER_NOT_COMMITTED) return;
    wgmma_commit();
    if (f == HOPPER_NO_WAIT) {
        d[0] = 1;
        wgmma<BF16, ACROSS_A, ACROSS_B>(d, wgmma_matrix(at, BYTES, 1024), wgmma_matrix(at + BYTES, BYTES, 1024));
    }
    if (f == HOPPER_EARLY_REUSE && threadIdx.x == 0) {
        mbarrier_arrive_expect(&full[1], BYTES);
        tma_load(tile, &a, &full[1], 64, 0, 0);   // beyond the edge: zeros
    }
    if (f == HOPPER_EARLY_REUSE) mbarrier_wait(&full[1], 0);
    wgmma_wait<0>(d);
    const int row = (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4, col = (int)threadIdx.x % 4 * 2;
    for (int i = 0; i < 64; i++) p->y[(row + i % 4 / 2 * 8) * 128 + i / 4 * 8 + col + i % 2] = d[i];
}

extern "C" void hopper_run(HopperFault f, const HopperProduct *p)
{
    auto *kernel = !p->bf16 ? product_kernel<false, false, false>
                   : p->across_a
                       ? (p->across_b ? product_kernel<true, true, true> : product_kernel<true, true, false>)
                       : (p->across_b ? product_kernel<true, false, true> : product_kernel<true, false, false>);
    emulate_sm90(f != HOPPER_NOT_SM90);
    emulate_call("test", NULL, dim3(1), dim3(128), 3 * 8192 + 4096, [=] { kernel(f, p); });
    emulate_sm90(false);
}
