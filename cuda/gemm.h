// The f32 product engine behind matmul, linear, linear_gelu and conv2d:  C[m,n] = alpha sum_k A[m,k] B[k,n].
//
// Operands are read through small structs, so that a convolution is a product whose A is gathered (implicit GEMM):
//   enum { K_RUNS };                   neighbours in memory lie along k (1) or along the row m / column n (0)
//   const float *at(b, row, k)         address of an element of batch b, or NULL where it is zero
//   const float *base()                any readable address
// W = 4: runs of 4 are 16-byte aligned and lie wholly inside or outside; W = 1 needs nothing.
//
// Tiling: a warp computes 64 x 32 of C, a thread 8 x 8 in registers; blocks of 2 x 2 warps (128 x 64) or 1 x 2
// (64 x 64); k in steps of 16, two buffers in shared memory filled by cp.async while the other is used, one barrier a step.
//   block of 128 x 64: 12 KiB of operands and 0.26 Mflop a step (21 flops a byte from L2); 35 KiB of shared memory, 3 an SM
//   shared memory: 4 (2) LDS.128 (64) for 64 FFMA a thread and k, without bank conflicts (rows padded to 20 or 136 words)
// Bound by FFMA issue.  Expected: 0.80 of 67 TFLOP/s at 4096^3; 0.6 at LEAD's sizes (less than two waves of blocks).
// Few blocks: k is cut into `splits` pieces, whose partial sums a second launch adds in order.
#ifndef LEAD_CUDA_GEMM_H
#define LEAD_CUDA_GEMM_H

#include "kernel.h"

// Rows of K values (K_RUNS) or K rows of values; ld: from one row in memory to the next.
template <bool RUNS> struct Matrix {
    enum { K_RUNS = RUNS };
    const float *x;
    int64_t ld, batch, rows, K;
    __device__ __forceinline__ const float *at(int64_t b, int64_t row, int64_t k) const
    {
        if (row >= rows || k >= K) return NULL;
        return x + b * batch + (RUNS ? row * ld + k : k * ld + row);
    }
    __device__ const float *base() const { return x; }
    bool wide() const { return aligned16(x) && ld % 4 == 0 && batch % 4 == 0 && (RUNS ? K : rows) % 4 == 0; }
};

static __device__ __forceinline__ float gelu_tanh(float x)
{
    return 0.5f * x * (1 + tanhf(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
}

// What becomes of a sum: y = alpha sum + bias, y += alpha sum, or h = sum + bias and y = gelu_tanh(h).
struct Epilogue {
    float *y, *h;         // h NULL: no GELU
    const float *bias;    // NULL: none
    float alpha;
    bool add;
    int64_t M, N;
    template <int W> __device__ __forceinline__ void put(int64_t b, int64_t m, int64_t n, Pack<W> v) const
    {
        const int64_t at = (b * M + m) * N + n;
        Pack<W> old = {};
        if (add) old = load<W>(y + at);
        else if (bias) old = load<W>(bias + n);
#pragma unroll
        for (int k = 0; k < W; k++) v.v[k] = alpha * v.v[k] + old.v[k];
        if (h) {
            store<W>(h + at, v);
#pragma unroll
            for (int k = 0; k < W; k++) v.v[k] = gelu_tanh(v.v[k]);
        }
        store<W>(y + at, v);
    }
    bool wide() const { return aligned16(y) && aligned16(h) && aligned16(bias) && N % 4 == 0; }
};

struct GemmSizes {
    int64_t M, N, K, batch;
    int64_t splits, k_each;   // k_each: values of k of one split, a multiple of GEMM_K
};

enum { GEMM_K = 16, GROUP_M = 8 };

// Tile `tile` of a grid of tiles: down GROUP_M rows of tiles, then the next column, so that the blocks that run together
// share their operands in L2.
static __device__ __forceinline__ void tile_place(int64_t tile, int64_t tiles_m, int64_t tiles_n, int64_t *tm, int64_t *tn)
{
    const int64_t group = quotient(tile, GROUP_M * tiles_n), rest = tile - group * GROUP_M * tiles_n;
    const int64_t left = tiles_m - group * GROUP_M, high = left < GROUP_M ? left : (int64_t)GROUP_M;
    *tn = quotient(rest, high);
    *tm = group * GROUP_M + rest - *tn * high;
}

// One operand's tile of ROWS x GEMM_K in shared memory: [row][k] (K_RUNS) or [k][row].
template <int ROWS, bool RUNS> struct Tile {
    enum { LD = RUNS ? 0 + GEMM_K + 4 : ROWS + 8, SIZE = LD * (RUNS ? ROWS : 0 + GEMM_K) };

    template <int W, int THREADS, class Op>
    static __device__ __forceinline__ void fetch(float *to, const Op &op, int64_t b, int64_t row0, int64_t k0, int64_t k_end)
    {
        enum { CHUNKS = ROWS * GEMM_K / W, ACROSS = (RUNS ? GEMM_K : ROWS) / W };
#pragma unroll (W == 4 ? CHUNKS / THREADS : 1)
        for (int i = 0; i < CHUNKS / THREADS; i++) {
            const int q = (int)threadIdx.x + i * THREADS, line = q / ACROSS, run = q % ACROSS * W;
            const int row = RUNS ? line : run, k = RUNS ? run : line;
            const float *from = k0 + k < k_end ? op.at(b, row0 + row, k0 + k) : NULL;
            if constexpr (W == 4) copy_async16(to + line * LD + run, from ? from : op.base(), from != NULL);
            else copy_async4(to + line * LD + run, from ? from : op.base(), from != NULL);
        }
    }

    // Row r (0..7) of lane position t (0..T-1) within the warp's 8 T rows: neighbours in memory where rows run.
    template <int T> static __device__ __forceinline__ int row(int t, int r)
    {
        return RUNS ? r * T + t : r / 4 * 4 * T + t * 4 + r % 4;
    }

    // f[j][r] = element (row r, k + j), j < KU
    template <int T, int KU> static __device__ __forceinline__ void read(const float *s, int row0, int t, int k, float (&f)[KU][8])
    {
        if constexpr (RUNS) {
#pragma unroll
            for (int r = 0; r < 8; r++) {
                const float *p = s + (row0 + row<T>(t, r)) * LD + k;
                if constexpr (KU == 4) {
                    const float4 v = *reinterpret_cast<const float4 *>(p);
                    f[0][r] = v.x, f[1][r] = v.y, f[2][r] = v.z, f[3][r] = v.w;
                } else {
                    const float2 v = *reinterpret_cast<const float2 *>(p);
                    f[0][r] = v.x, f[1][r] = v.y;
                }
            }
        } else {
#pragma unroll
            for (int j = 0; j < KU; j++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const float4 v = *reinterpret_cast<const float4 *>(s + (k + j) * LD + row0 + row<T>(t, 4 * half));
                    f[j][4 * half] = v.x, f[j][4 * half + 1] = v.y, f[j][4 * half + 2] = v.z, f[j][4 * half + 3] = v.w;
                }
        }
    }
};

template <int WM, int WN, int W, class A, class B>
static __global__ void __launch_bounds__(WM *WN * 32, WM *WN == 4 ? 3 : 6)
gemm_kernel(GemmSizes s, A a, B b, Epilogue e, bool wide_out)
{
    enum { BM = 64 * WM, BN = 32 * WN, THREADS = WM * WN * 32, KU = A::K_RUNS && B::K_RUNS ? 2 : 4 };
    typedef Tile<BM, A::K_RUNS> TileA;
    typedef Tile<BN, B::K_RUNS> TileB;
    SHARED(float4, shared_a, [2][TileA::SIZE / 4]);
    SHARED(float4, shared_b, [2][TileB::SIZE / 4]);
    SHARED(float4, shared_out_words, [WM * WN * 8 * 36 / 4]);
    float (*shared_out)[8][36] = (float (*)[8][36])shared_out_words;
    const int64_t tiles_m = (s.M + BM - 1) / BM, tiles_n = (s.N + BN - 1) / BN, tiles = tiles_m * tiles_n;
    const int64_t piece = quotient(blockIdx.x, tiles), batch = quotient(piece, s.splits), split = piece - batch * s.splits;
    int64_t tm, tn;
    tile_place(blockIdx.x - piece * tiles, tiles_m, tiles_n, &tm, &tn);
    const int64_t m0 = tm * BM, n0 = tn * BN, k_begin = split * s.k_each;
    const int64_t k_end = k_begin + s.k_each < s.K ? k_begin + s.k_each : s.K;
    const int warp = (int)threadIdx.x / 32, lane_m = (int)threadIdx.x % 8, lane_n = (int)threadIdx.x % 32 / 8;
    const int row0 = warp / WN * 64, col0 = warp % WN * 32;

    float sum[8][8] = {};
    const int steps = (int)((k_end - k_begin + GEMM_K - 1) / GEMM_K);
    TileA::template fetch<W, THREADS>((float *)shared_a[0], a, batch, m0, k_begin, k_end);
    TileB::template fetch<W, THREADS>((float *)shared_b[0], b, batch, n0, k_begin, k_end);
    copy_async_commit();
    for (int step = 0; step < steps; step++) {
        copy_async_wait<0>();
        __syncthreads();   // this step's tiles are there, and nobody reads the other buffers any more
        if (step + 1 < steps) {
            const int64_t k0 = k_begin + (int64_t)(step + 1) * GEMM_K;
            TileA::template fetch<W, THREADS>((float *)shared_a[(step + 1) % 2], a, batch, m0, k0, k_end);
            TileB::template fetch<W, THREADS>((float *)shared_b[(step + 1) % 2], b, batch, n0, k0, k_end);
            copy_async_commit();
        }
        const float *sa = (const float *)shared_a[step % 2], *sb = (const float *)shared_b[step % 2];
#pragma unroll
        for (int k = 0; k < GEMM_K; k += KU) {
            float fa[KU][8], fb[KU][8];
            TileA::template read<8, KU>(sa, row0, lane_m, k, fa);
            TileB::template read<4, KU>(sb, col0, lane_n, k, fb);
#pragma unroll
            for (int j = 0; j < KU; j++)
#pragma unroll
                for (int r = 0; r < 8; r++)
#pragma unroll
                    for (int c = 0; c < 8; c++) sum[r][c] += fa[j][r] * fb[j][c];
        }
    }
    if (s.splits > 1) e.y += split * s.batch * s.M * s.N;
    // Eight rows of the warp's part at a time go through shared memory, so that they leave as whole 128-byte lines.
    float (*slab)[36] = shared_out[warp];
#pragma unroll
    for (int r = 0; r < 8; r++) {
#pragma unroll
        for (int c = 0; c < 8; c++) slab[lane_m][TileB::template row<4>(lane_n, c)] = sum[r][c];
        __syncwarp();
#pragma unroll 1
        for (int i = (int)threadIdx.x % 32; i < 64; i += 32) {
            const int64_t m = m0 + row0 + TileA::template row<8>(i / 8, r), n = n0 + col0 + i % 8 * 4;
            if (m >= s.M) continue;
            if (wide_out && n < s.N) {
                e.put<4>(batch, m, n, load<4>(&slab[i / 8][i % 8 * 4]));
            } else {
#pragma unroll 1
                for (int j = 0; j < 4; j++)
                    if (n + j < s.N) e.put<1>(batch, m, n + j, Pack<1>{{slab[i / 8][i % 8 * 4 + j]}});
            }
        }
        __syncwarp();
    }
}

// Adds the partial sums of the splits, in order.
template <int W> static __global__ void gemm_finish_kernel(int64_t count, int64_t splits, const float *part, Epilogue e)
{
    const int64_t i = ((int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x) * W;
    if (i >= count) return;
    Pack<W> sum = load<W>(part + i);
    for (int64_t k = 1; k < splits; k++) {
        const Pack<W> v = load<W>(part + k * count + i);
#pragma unroll
        for (int j = 0; j < W; j++) sum.v[j] += v.v[j];
    }
    const int64_t row = quotient(i, e.N);
    e.put<W>(0, row, i - row * e.N, sum);   // row counts through the batches: they lie one behind the other
}

static inline void gemm_finish(const OpCall *c, const GemmSizes &s, const float *part, const Epilogue &e)
{
    const int64_t count = s.batch * s.M * s.N;
    const bool wide = e.wide();
    launch(c, wide ? gemm_finish_kernel<4> : gemm_finish_kernel<1>, grid_of(count, (wide ? 4 : 1) * MAP_BLOCK), MAP_BLOCK, 0,
           count, s.splits, part, e);
}

// Into how many pieces k is cut: two waves of an H200's blocks, pieces of at least 128; a function of the sizes alone.
static inline void gemm_split(GemmSizes *s, int64_t blocks, int64_t step)
{
    enum { WANTED = 2 * 132, PIECE_MIN = 128, SPLITS_MAX = 32 };
    int64_t splits = blocks > 0 ? WANTED / blocks : 1;
    if (splits > s->K / PIECE_MIN) splits = s->K / PIECE_MIN;
    if (splits > SPLITS_MAX) splits = SPLITS_MAX;
    if (splits < 1) splits = 1;
    s->k_each = div_up(div_up(s->K, splits), step) * step;
    s->splits = div_up(s->K, s->k_each);
}

template <int WM, int WN, int W, class A, class B>
static void gemm_tiles(const OpCall *c, GemmSizes s, const A &a, const B &b, Epilogue e)
{
    const int64_t tiles = div_up(s.M, 64 * WM) * div_up(s.N, 32 * WN) * s.batch;
    gemm_split(&s, tiles, GEMM_K);
    float *part = s.splits > 1 ? scratch_of<float>(c, (size_t)(s.splits * s.batch * s.M * s.N)) : NULL;
    const Epilogue first = part ? Epilogue{part, NULL, NULL, 1, false, s.M, s.N} : e;
    auto *kernel = gemm_kernel<WM, WN, W, A, B>;
    launch(c, kernel, blocks_of(tiles * s.splits), WM * WN * 32, 0, s, a, b, first, first.wide());
    if (part) gemm_finish(c, s, part, e);
}

// C [batch,M,N] from operands a (rows m) and b (columns n).
template <class A, class B>
static void gemm(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const A &a, const B &b, const Epilogue &e)
{
    enum { FULL = 132 };   // large tiles once they fill an H200
    if (batch * M * N == 0) return;
    const GemmSizes s = {M, N, K, batch, 1, K};
    const bool wide = a.wide() && b.wide(), large = div_up(M, 128) * div_up(N, 64) * batch >= FULL;
    if (large && wide) gemm_tiles<2, 2, 4>(c, s, a, b, e);
    else if (large) gemm_tiles<2, 2, 1>(c, s, a, b, e);
    else if (wide) gemm_tiles<1, 2, 4>(c, s, a, b, e);
    else gemm_tiles<1, 2, 1>(c, s, a, b, e);
}

#endif
