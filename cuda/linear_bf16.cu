// linear and its fused forms, forward, with a weight in bf16 columns (tensor/pack.h):
//   y [M,N] = x [M,K] W, W stored [N][ld]
//   up to 8 rows   x in f32, products and sums in f32.  Every 16 bytes of W are read once: bound by memory.  A warp
//                  takes two columns; GPT-2's smallest matrix (768 x 768, 1.2 MB) then has 384 warps, which read it in
//                  three steps.
//                  Expected: 0.8 of the read rate for the output layer (77 MB), half the time of f32
//   more rows      tensor cores, m16n8k16: x rounded to bf16 when a fragment is read, sums in f32.  Blocks of 2 x 2
//                  warps, 128 x 128 or 64 x 64; k in steps of 32, three buffers in shared memory filled by cp.async.
//                  128 x 128, a step: 24 KiB arrive for 1 Mflop (43 flops a byte from L2); a warp does 32 LDS.64 and 8
//                  ldmatrix for 64 mma; shared memory is busy for 576 cycles, the tensor cores for 410.
//                  Registers (sm_90, ptxas 13.0): 224, 124 and 112; no spills
// Few blocks: k is cut into splits as in gemm.h.  Bounds of the errors: tensor/pack.h.
#include "gemm.h"

enum { SKINNY = 8, SKINNY_WARPS = 4, SKINNY_COLUMNS = 2 };

// ---- at most 8 rows

// Values k .. k+7 of a row of x, zeros beyond K.
template <int W> static __device__ __forceinline__ void load_terms(const float *x, int64_t k, int64_t K, float (&v)[8])
{
#pragma unroll
    for (int i = 0; i < 8; i += W) {
        const Pack<W> p = k + i < K ? load<W>(x + k + i) : Pack<W>{};
#pragma unroll
        for (int j = 0; j < W; j++) v[i + j] = p.v[j];
    }
}

static __device__ __forceinline__ float bf16_low(uint32_t pair) { return __uint_as_float(pair << 16); }
static __device__ __forceinline__ float bf16_high(uint32_t pair) { return __uint_as_float(pair & 0xFFFF0000u); }

template <int ROWS, int W>
static __global__ void __launch_bounds__(SKINNY_WARPS * 32)
skinny_bf16_kernel(const float *x, const uint16_t *w, int64_t M, int64_t N, int64_t K, int64_t ld, Epilogue e)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t n0 = ((int64_t)blockIdx.x * SKINNY_WARPS + threadIdx.x / 32) * SKINNY_COLUMNS;
    float sum[SKINNY_COLUMNS][ROWS] = {};
#pragma unroll (ROWS == 1 ? 4 : 1)
    for (int64_t k = lane * 8; k < ld; k += 256) {
        uint4 a[SKINNY_COLUMNS];
#pragma unroll
        for (int j = 0; j < SKINNY_COLUMNS; j++)
            a[j] = n0 + j < N ? *reinterpret_cast<const uint4 *>(w + (n0 + j) * ld + k) : make_uint4(0, 0, 0, 0);
#pragma unroll
        for (int m = 0; m < ROWS; m++) {
            if (m >= M) continue;
            float v[8];
            load_terms<W>(x + m * K, k, K, v);
#pragma unroll
            for (int j = 0; j < SKINNY_COLUMNS; j++) {
                const uint32_t pair[4] = {a[j].x, a[j].y, a[j].z, a[j].w};
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    sum[j][m] += v[2 * i] * bf16_low(pair[i]);
                    sum[j][m] += v[2 * i + 1] * bf16_high(pair[i]);
                }
            }
        }
    }
#pragma unroll
    for (int j = 0; j < SKINNY_COLUMNS; j++)
#pragma unroll
        for (int m = 0; m < ROWS; m++) {
            const float total = warp_sum(sum[j][m]);
            if (lane == 0 && m < M && n0 + j < N) e.put<1>(0, m, n0 + j, Pack<1>{{total}});
        }
}

// ---- more rows

// A warp computes 16 MT x 8 NT, a block twice that each way.  LD: in floats of x, in bf16 of W; free of bank conflicts.
enum { STEP = 32, STAGES = 3, LD = STEP + 8 };

template <int MT, int NT> struct Stage {
    enum { ROWS = 32 * MT, COLUMNS = 16 * NT, BYTES = ROWS * LD * 4 + COLUMNS * LD * 2 };
    float *x;
    uint16_t *w;
    __device__ __forceinline__ Stage(unsigned char *room, int i)
        : x(reinterpret_cast<float *>(room + i * BYTES)),
          w(reinterpret_cast<uint16_t *>(room + i * BYTES + ROWS * LD * 4))
    {
    }
};

template <int MT, int NT, int W>
static __device__ __forceinline__ void send(const Stage<MT, NT> &s, const Matrix<true> &x, const uint16_t *w, int64_t N,
                                            int64_t ld, const Part3 &at, int64_t k0)
{
    enum { THREADS = 128, ACROSS = STEP / W };
#pragma unroll (W == 4 ? 4 : 1)
    for (int i = (int)threadIdx.x; i < Stage<MT, NT>::ROWS * ACROSS; i += THREADS) {
        const int row = i / ACROSS, k = i % ACROSS * W;
        const float *from = k0 + k < at.k_end ? x.at(0, at.m0 + row, k0 + k) : NULL;
        if constexpr (W == 4) copy_async16(s.x + row * LD + k, from ? from : x.x, from != NULL);
        else copy_async4(s.x + row * LD + k, from ? from : x.x, from != NULL);
    }
#pragma unroll
    for (int i = (int)threadIdx.x; i < Stage<MT, NT>::COLUMNS * (STEP / 8); i += THREADS) {
        const int row = i / (STEP / 8), k = i % (STEP / 8) * 8;
        const bool there = at.n0 + row < N && k0 + k < ld;
        copy_async16(s.w + row * LD + k, there ? w + (at.n0 + row) * ld + k0 + k : w, there);
    }
    copy_async_commit();
}

template <int MT, int NT>
static __device__ __forceinline__ void multiply(const Stage<MT, NT> &s, int row0, int col0, float (&sum)[MT][NT][4])
{
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int k = 0; k < STEP; k += 16) {
        uint32_t a[MT][4], b[4];
#pragma unroll
        for (int m = 0; m < MT; m++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float *from = s.x + (row0 + 16 * m + g + i % 2 * 8) * LD + k + 2 * t + i / 2 * 8;
                const float2 v = *reinterpret_cast<const float2 *>(from);
                a[m][i] = bf16_pair(v.x, v.y);
            }
#pragma unroll
        for (int n = 0; n < NT; n += 2) {
            load_matrix4(b, s.w + (col0 + 8 * n + lane % 8 + lane / 16 * 8) * LD + k + lane / 8 % 2 * 8);
#pragma unroll
            for (int m = 0; m < MT; m++) {
                mma_bf16(sum[m][n], a[m], b);
                mma_bf16(sum[m][n + 1], a[m], b + 2);
            }
        }
    }
}

template <int MT, int NT, int W>
static __global__ void __launch_bounds__(128, MT == 4 ? 2 : 4)
mma_bf16_kernel(GemmSizes s, Matrix<true> x, const uint16_t *w, int64_t ld, Epilogue e, bool wide_out)
{
    typedef Stage<MT, NT> Buffer;
    SHARED_DYNAMIC(unsigned char, room);
    SHARED(float4, slabs, [4 * 8 * 36 / 4]);
    const Part3 at = part_of<Buffer::ROWS, Buffer::COLUMNS>(s, blockIdx.x);
    const int warp = (int)threadIdx.x / 32, g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
    const int row0 = warp / 2 * 16 * MT, col0 = warp % 2 * 8 * NT;
    const int steps = (int)((at.k_end - at.k_begin + STEP - 1) / STEP);
    float sum[MT][NT][4] = {};
    for (int i = 0; i < STAGES - 1; i++) {
        if (i < steps) send<MT, NT, W>(Buffer(room, i), x, w, s.N, ld, at, at.k_begin + i * STEP);
        else copy_async_commit();
    }
    for (int i = 0; i < steps; i++) {
        copy_async_wait<STAGES - 2>();
        __syncthreads();   // this step's values are there, and nobody reads those of the step before
        const int next = i + STAGES - 1;
        if (next < steps) send<MT, NT, W>(Buffer(room, next % STAGES), x, w, s.N, ld, at, at.k_begin + next * STEP);
        else copy_async_commit();
        multiply<MT, NT>(Buffer(room, i % STAGES), row0, col0, sum);
    }
    if (s.splits > 1) e.y += at.split * s.M * s.N;
    float (*slab)[36] = (float (*)[36])(slabs + warp * (8 * 36 / 4));
#pragma unroll
    for (int n0 = 0; n0 < NT; n0 += 4)
#pragma unroll
        for (int r = 0; r < 2 * MT; r++) {   // 8 rows of fragment r / 2, 32 columns
#pragma unroll
            for (int n = 0; n < 4; n++) {
                slab[g][8 * n + 2 * t] = sum[r / 2][n0 + n][r % 2 * 2];
                slab[g][8 * n + 2 * t + 1] = sum[r / 2][n0 + n][r % 2 * 2 + 1];
            }
            put_slab(s, e, wide_out, slab, 0, at.n0 + col0 + 8 * n0, [&](int i) { return at.m0 + row0 + 8 * r + i; });
        }
}

// ---- calls

static void skinny(const OpCall *c, const GemmSizes &s, const float *x, const uint16_t *w, int64_t ld,
                   const Epilogue &e)
{
    const bool wide = aligned16(x) && s.K % 4 == 0;
    auto *kernel = wide ? (s.M == 1 ? skinny_bf16_kernel<1, 4> : skinny_bf16_kernel<SKINNY, 4>)
                        : (s.M == 1 ? skinny_bf16_kernel<1, 1> : skinny_bf16_kernel<SKINNY, 1>);
    launch(c, kernel, grid_of(s.N, SKINNY_WARPS * SKINNY_COLUMNS), SKINNY_WARPS * 32, 0, x, w, s.M, s.N, s.K, ld, e);
}

template <int MT, int NT, int W>
static void tiles(const OpCall *c, GemmSizes s, const Matrix<true> &x, const uint16_t *w, int64_t ld, const Epilogue &e)
{
    const int64_t blocks = div_up(s.M, 32 * MT) * div_up(s.N, 16 * NT);
    gemm_split(&s, blocks, STEP);
    float *part = s.splits > 1 ? scratch_of<float>(c, (size_t)(s.splits * s.M * s.N)) : NULL;
    const Epilogue first = e.of_splits(part, s.N);
    auto *kernel = mma_bf16_kernel<MT, NT, W>;
    launch(c, kernel, blocks_of(blocks * s.splits), 128, STAGES * Stage<MT, NT>::BYTES, s, x, w, ld, first,
           first.wide(s.N));
    if (part) gemm_reduce(c, s, part, e);
}

bool linear_bf16(const OpCall *c, const Epilogue &e)
{
    enum { FULL = 132 };   // large tiles once they fill an H200
    if (c->in[1]->layout != LAYOUT_COLUMNS_BF16) return false;
    const int64_t K = c->in[1]->shape.d[0], N = c->in[1]->shape.d[1], M = numel(c->in[0]) / K, ld = (K + 7) / 8 * 8;
    const uint16_t *w = static_cast<const uint16_t *>(c->in[1]->x);
    const GemmSizes s = {M, N, K, 1, 1, K};
    const Matrix<true> x = {in_x(c, 0), K, 0, M, K};
    const int64_t most = INT32_MAX - 256;   // part_of counts in 32 bits
    CHECK(M < most && N < most && K < most, "cuda: a product of %lld x %lld x %lld", (long long)M, (long long)N,
          (long long)K);
    if (M == 0 || N == 0) return true;
    if (M <= SKINNY) skinny(c, s, x.x, w, ld, e);
    else if (!x.wide()) tiles<2, 4, 1>(c, s, x, w, ld, e);
    else if (div_up(M, 128) * div_up(N, 128) >= FULL) tiles<4, 8, 4>(c, s, x, w, ld, e);
    else tiles<2, 4, 4>(c, s, x, w, ld, e);
    return true;
}
