// The f32 product engine behind matmul, linear, its fused forms and conv2d:  C[m,n] = alpha sum_k A[m,k] B[k,n].
//
// Operands are read through small structs, so that a convolution is a product whose A is gathered (implicit GEMM):
//   enum { K_RUNS };                   neighbours in memory lie along k (1) or along the row m / column n (0)
//   const float *at(b, row, k)         address of an element of batch b, or NULL where it is zero
//   const float *base()                any readable address
// W = 4: runs of 4 are 16-byte aligned and lie wholly inside or outside; W = 1 needs nothing.
//
// Tiling: a warp computes 64 x 32 of C, a thread 8 x 8 in registers; blocks of 2 x 2 warps (128 x 64) or 1 x 2
// (64 x 64); k in steps of 16, two buffers in shared memory filled by cp.async while the other is used, one barrier a
// step.
//   block of 128 x 64: 12 KiB of operands and 0.26 Mflop a step (21 flops a byte from L2); 35 KiB, 3 an SM
//   shared memory: 4 (2) LDS.128 (64) for 64 FFMA a thread and k, no bank conflicts (rows padded to 20 or 136 words)
//   registers (sm_90, ptxas 13.0): 121-168, no spills (make cuda-report).  Rows, columns and k are counted in 32 bits.
// Bound by FFMA issue.  Expected: 0.80 of 67 TFLOP/s at 4096^3; 0.6 at LEAD's sizes (less than two waves of blocks).
//
//                           step of B, 16 x 64, in shared memory
//                           +------------+------------+
//                        16 |            |            |           two buffers: for_tiles uses one while cp.async fills
//                           +------------+------------+           the other
//    step of A, 128 x 16    C, the block's 128 x 64
//         +-----+           +------------+------------+
//         |     |           |   warp 0   |   warp 1   |           f32: a warp's 64 x 32 belong to 8 x 4 lanes (lane_m,
//         |     |        64 |            |            |           lane_n), 8 x 8 sums each in registers; rows and
//         |     |           |            |            |           columns of a lane lie apart as Tile::row says
//         |     |           +------------+------------+
//         |     |           |   warp 2   |   warp 3   |           tensor cores: a warp's 64 x 32 are 4 x 4 fragments of
//         |     |        64 |            |            |           16 x 8, k in steps of 8 (tf32) or 16 (bf16); a lane
//         |     |           |            |            |           holds 4 sums of each fragment (mma.h)
//         +-----+           +------------+------------+
//            16                   32           32
// The smaller block, 64 x 64, is warps 0 and 1 alone.  Finished sums leave through a slab of 8 x 32 of each warp
// (put_slab), so that whole lines are written.
//
// --math tf32, bf16 (mma_kernel): the same tiles in f32, rounded when a fragment is read; m16n8k8 (k16) products of the
// tensor cores, sums in f32.  An operand that is not fit for W = 4 arrives in copies of 4 bytes (GPT-2's head of 50,257
// columns: its gradient's rows); the other's stay wide.  A warp reads 24 words for 16 products of 1,024 (8 of 2,048)
// multiplications:
// bound by shared memory.  Expected: 180 TFLOP/s at 4096^3, 3 to 4 times the f32 kernel, not the tensor cores' ceiling.
//
// Few blocks: k is cut into `splits` pieces, whose partial sums a second launch adds in order.
#ifndef LEAD_CUDA_GEMM_H
#define LEAD_CUDA_GEMM_H

#include "activation.h"
#include "mma.h"

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

// What becomes of a sum: y = alpha sum + bias (+ r), y += alpha sum, or h = sum + bias and y = gelu_tanh(h) or silu(h).
enum Act { ACT_NONE, ACT_GELU, ACT_SILU };

struct Epilogue {
    float *y, *h;         // h: NULL without an activation
    const float *bias;    // NULL: none
    float alpha;
    bool add;
    int64_t M, N;         // N: from row to row of y, at least the columns that the product has
    const float *r;       // NULL: none
    Act act;
    template <int W> __device__ __forceinline__ void put(int64_t b, int64_t m, int64_t n, Pack<W> v) const
    {
        const int64_t at = (b * M + m) * N + n;
        Pack<W> old = {};
        if (add) old = load<W>(y + at);
        else if (bias) old = load<W>(bias + n);
#pragma unroll
        for (int k = 0; k < W; k++) v.v[k] = alpha * v.v[k] + old.v[k];
        if (r) {
            const Pack<W> more = load<W>(r + at);
#pragma unroll
            for (int k = 0; k < W; k++) v.v[k] += more.v[k];
        }
        if (h) {
            store<W>(h + at, v);
#pragma unroll
            for (int k = 0; k < W; k++) v.v[k] = act == ACT_SILU ? Silu::fwd(v.v[k]) : GeluTanh::fwd(v.v[k]);
        }
        store<W>(y + at, v);
    }
    // Do `columns` of them lie in whole fours?
    bool wide(int64_t columns) const
    {
        return aligned16(y) && aligned16(h) && aligned16(bias) && aligned16(r) && N % 4 == 0 && columns % 4 == 0;
    }
    // What writes the sums of the splits, of so many columns, for gemm_reduce to add; or, where part is NULL, this one.
    Epilogue of_splits(float *part, int64_t columns) const
    {
        return part ? Epilogue{part, NULL, NULL, 1, false, M, columns, NULL, ACT_NONE} : *this;
    }
};

struct GemmSizes {
    int64_t M, N, K, batch;
    int64_t splits, k_each;   // k_each: values of k of one split, a multiple of GEMM_K
};

enum { GEMM_K = 16, GROUP_M = 8 };

// Tile `tile` of a grid of tiles: down GROUP_M rows of tiles, then the next column, so that the blocks that run
// together share their operands in L2.
static __device__ __forceinline__ void tile_place(int64_t tile, int64_t tiles_m, int64_t tiles_n, int64_t *tm,
                                                  int64_t *tn)
{
    const int64_t group = quotient(tile, GROUP_M * tiles_n), rest = tile - group * GROUP_M * tiles_n;
    const int64_t left = tiles_m - group * GROUP_M, high = left < GROUP_M ? left : (int64_t)GROUP_M;
    *tn = quotient(rest, high);
    *tm = group * GROUP_M + rest - *tn * high;
}

// One operand's tile of ROWS x GEMM_K in shared memory: [row][k] (K_RUNS) or [k][row].
template <int ROWS, bool RUNS> struct Tile {
    enum { LD = RUNS ? 0 + GEMM_K + 4 : ROWS + 8, SIZE = LD * (RUNS ? ROWS : 0 + GEMM_K) };

    template <int THREADS, class Op>
    static __device__ __forceinline__ void fetch(float *to, const Op &op, bool wide, int64_t b, int32_t row0,
                                                 int32_t k0, int32_t k_end)
    {
        if (wide) fetch_runs<4, THREADS>(to, op, b, row0, k0, k_end);
        else fetch_runs<1, THREADS>(to, op, b, row0, k0, k_end);
    }

    template <int W, int THREADS, class Op>
    static __device__ __forceinline__ void fetch_runs(float *to, const Op &op, int64_t b, int32_t row0, int32_t k0,
                                                      int32_t k_end)
    {
        enum { CHUNKS = ROWS * GEMM_K / W, ACROSS = (RUNS ? GEMM_K : ROWS) / W };
#pragma unroll 1   // addresses one at a time: unrolled, they fill the registers and the sums spill
        for (int i = 0; i < CHUNKS / THREADS; i++) {
            const int q = (int)threadIdx.x + i * THREADS, line = q / ACROSS, run = q % ACROSS * W;
            const int row = RUNS ? line : run, k = RUNS ? run : line;
            const float *from = k0 + k < k_end ? op.at(b, row0 + row, k0 + k) : NULL;
            if constexpr (W == 4) copy_async16(to + line * LD + run, from ? from : op.base(), from != NULL);
            else copy_async4(to + line * LD + run, from ? from : op.base(), from != NULL);
        }
    }

    static __device__ __forceinline__ int at(int row, int k) { return RUNS ? row * LD + k : k * LD + row; }

    // Row r (0..7) of lane position t (0..T-1) within the warp's 8 T rows: neighbours in memory where rows run.
    template <int T> static __device__ __forceinline__ int row(int t, int r)
    {
        return RUNS ? r * T + t : r / 4 * 4 * T + t * 4 + r % 4;
    }

    // f[j][r] = element (row r, k + j), j < KU
    template <int T, int KU>
    static __device__ __forceinline__ void read(const float *s, int row0, int t, int k, float (&f)[KU][8])
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

// Where a block works (piece `unit` of all of them): its batch and split, the corner of its tile, its part of k.
struct Part3 { int64_t batch, split; int32_t m0, n0, k_begin, k_end; };

template <int BM, int BN> static __device__ __forceinline__ Part3 part_of(const GemmSizes &s, int64_t unit)
{
    const int64_t tiles_m = (s.M + BM - 1) / BM, tiles_n = (s.N + BN - 1) / BN, tiles = tiles_m * tiles_n;
    const int64_t piece = quotient(unit, tiles), batch = quotient(piece, s.splits), split = piece - batch * s.splits;
    const int64_t k_begin = split * s.k_each;
    int64_t tm, tn;
    tile_place(unit - piece * tiles, tiles_m, tiles_n, &tm, &tn);
    return Part3{batch, split, (int32_t)(tm * BM), (int32_t)(tn * BN), (int32_t)k_begin,
                 (int32_t)(k_begin + s.k_each < s.K ? k_begin + s.k_each : s.K)};
}

// Calls step(a, b) for each GEMM_K values of k with the operands' tiles in shared memory; the next ones are on their
// way.  wide_a, wide_b: that operand's copies are of 16 bytes.
template <int WM, int WN, class A, class B, class Step>
static __device__ __forceinline__ void for_tiles(const Part3 &at, const A &a, const B &b, bool wide_a, bool wide_b,
                                                 Step step)
{
    enum { THREADS = WM * WN * 32 };
    typedef Tile<64 * WM, A::K_RUNS> TileA;
    typedef Tile<32 * WN, B::K_RUNS> TileB;
    SHARED(float4, shared_a, [2][TileA::SIZE / 4]);
    SHARED(float4, shared_b, [2][TileB::SIZE / 4]);
    const int steps = (int)((at.k_end - at.k_begin + GEMM_K - 1) / GEMM_K);
    TileA::template fetch<THREADS>((float *)shared_a[0], a, wide_a, at.batch, at.m0, at.k_begin, at.k_end);
    TileB::template fetch<THREADS>((float *)shared_b[0], b, wide_b, at.batch, at.n0, at.k_begin, at.k_end);
    copy_async_commit();
    for (int i = 0; i < steps; i++) {
        copy_async_wait<0>();
        __syncthreads();   // this step's tiles are there, and nobody reads the other buffers any more
        if (i + 1 < steps) {
            const int32_t k0 = at.k_begin + (i + 1) * GEMM_K;
            TileA::template fetch<THREADS>((float *)shared_a[(i + 1) % 2], a, wide_a, at.batch, at.m0, k0, at.k_end);
            TileB::template fetch<THREADS>((float *)shared_b[(i + 1) % 2], b, wide_b, at.batch, at.n0, k0, at.k_end);
            copy_async_commit();
        }
        step((const float *)shared_a[i % 2], (const float *)shared_b[i % 2]);
    }
}

// Eight rows and COLS columns of a warp's part, gathered in shared memory by all its lanes, leave as whole lines of 128
// bytes and more.  Row i of the slab is m = row(i).
template <int COLS = 32, int LD = 36, class Row>
static __device__ __forceinline__ void put_slab(const GemmSizes &s, const Epilogue &e, bool wide, float (*slab)[LD],
                                                int64_t batch, int64_t col0, Row row)
{
    __syncwarp();
#pragma unroll 1
    for (int i = (int)threadIdx.x % 32; i < 2 * COLS; i += 32) {
        const int line = i / (COLS / 4), col = i % (COLS / 4) * 4;
        const int64_t m = row(line), n = col0 + col;
        if (m >= s.M) continue;
        if (wide && n < s.N) {
            e.put<4>(batch, m, n, load<4>(&slab[line][col]));
        } else {
#pragma unroll 1
            for (int j = 0; j < 4; j++)
                if (n + j < s.N) e.put<1>(batch, m, n + j, Pack<1>{{slab[line][col + j]}});
        }
    }
    __syncwarp();
}

template <int WM, int WN, int W, class A, class B>
static __global__ void __launch_bounds__(WM *WN * 32, WM *WN == 4 ? 3 : 6)
gemm_kernel(GemmSizes s, A a, B b, Epilogue e, bool wide_out)
{
    enum { BM = 64 * WM, BN = 32 * WN, KU = A::K_RUNS && B::K_RUNS ? 2 : 4 };
    typedef Tile<BM, A::K_RUNS> TileA;
    typedef Tile<BN, B::K_RUNS> TileB;
    SHARED(float4, slabs, [WM * WN * 8 * 36 / 4]);
    const Part3 at = part_of<BM, BN>(s, blockIdx.x);
    const int warp = (int)threadIdx.x / 32, lane_m = (int)threadIdx.x % 8, lane_n = (int)threadIdx.x % 32 / 8;
    const int row0 = warp / WN * 64, col0 = warp % WN * 32;
    float sum[8][8] = {};
    for_tiles<WM, WN>(at, a, b, W == 4, W == 4, [&](const float *sa, const float *sb) {
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
    });
    if (s.splits > 1) e.y += at.split * s.batch * s.M * s.N;
    float (*slab)[36] = (float (*)[36])(slabs + warp * (8 * 36 / 4));
#pragma unroll
    for (int r = 0; r < 8; r++) {
#pragma unroll
        for (int c = 0; c < 8; c++) slab[lane_m][TileB::template row<4>(lane_n, c)] = sum[r][c];
        put_slab(s, e, wide_out, slab, at.batch, at.n0 + col0,
                 [&](int i) { return at.m0 + row0 + TileA::template row<8>(i, r); });
    }
}

// ---- tensor cores

// Two neighbouring k of a row of a tile as bf16, or one value as tf32.
template <class T> static __device__ __forceinline__ uint32_t bf16_of(const float *s, int row, int k)
{
    return bf16_pair(s[T::at(row, k)], s[T::at(row, k + 1)]);
}
template <class T> static __device__ __forceinline__ uint32_t tf32_of(const float *s, int row, int k)
{
    return to_tf32(s[T::at(row, k)]);
}

template <bool BF16, int WM, int WN, class A, class B>
static __global__ void __launch_bounds__(WM *WN * 32, WM *WN == 4 ? 3 : 6)
mma_kernel(GemmSizes s, A a, B b, Epilogue e, bool wide_out, bool wide_a, bool wide_b)
{
    enum { BM = 64 * WM, BN = 32 * WN, DEPTH = BF16 ? 16 : 8 };
    typedef Tile<BM, A::K_RUNS> TileA;
    typedef Tile<BN, B::K_RUNS> TileB;
    SHARED(float4, slabs, [WM * WN * 8 * 36 / 4]);
    const Part3 at = part_of<BM, BN>(s, blockIdx.x);
    const int warp = (int)threadIdx.x / 32, g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
    const int row0 = warp / WN * 64, col0 = warp % WN * 32;
    float sum[4][4][4] = {};   // 16 rows, 8 columns, the fragment
    for_tiles<WM, WN>(at, a, b, wide_a, wide_b, [&](const float *sa, const float *sb) {
#pragma unroll
        for (int k = 0; k < GEMM_K; k += DEPTH) {
            uint32_t fa[4][4], fb[4][2];
#pragma unroll
            for (int m = 0; m < 4; m++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int row = row0 + 16 * m + g + i % 2 * 8;
                    fa[m][i] = BF16 ? bf16_of<TileA>(sa, row, k + 2 * t + i / 2 * 8)
                                    : tf32_of<TileA>(sa, row, k + t + i / 2 * 4);
                }
#pragma unroll
            for (int n = 0; n < 4; n++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const int col = col0 + 8 * n + g;
                    fb[n][i] = BF16 ? bf16_of<TileB>(sb, col, k + 2 * t + i * 8)
                                    : tf32_of<TileB>(sb, col, k + t + i * 4);
                }
#pragma unroll
            for (int m = 0; m < 4; m++)
#pragma unroll
                for (int n = 0; n < 4; n++) {
                    if constexpr (BF16) mma_bf16(sum[m][n], fa[m], fb[n]);
                    else mma_tf32(sum[m][n], fa[m], fb[n]);
                }
        }
    });
    if (s.splits > 1) e.y += at.split * s.batch * s.M * s.N;
    float (*slab)[36] = (float (*)[36])(slabs + warp * (8 * 36 / 4));
#pragma unroll
    for (int r = 0; r < 8; r++) {   // 8 rows of fragment r / 2
#pragma unroll
        for (int n = 0; n < 4; n++) {
            slab[g][8 * n + 2 * t] = sum[r / 2][n][r % 2 * 2];
            slab[g][8 * n + 2 * t + 1] = sum[r / 2][n][r % 2 * 2 + 1];
        }
        put_slab(s, e, wide_out, slab, at.batch, at.n0 + col0, [&](int i) { return at.m0 + row0 + 8 * r + i; });
    }
}

// Adds the partial sums of the splits, in order.
template <int W> static __global__ void gemm_reduce_kernel(int64_t count, int64_t N, int64_t splits,
                                                                const float *part, Epilogue e)
{
    const int64_t i = ((int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x) * W;
    if (i >= count) return;
    Pack<W> sum = load<W>(part + i);
    for (int64_t k = 1; k < splits; k++) {
        const Pack<W> v = load<W>(part + k * count + i);
#pragma unroll
        for (int j = 0; j < W; j++) sum.v[j] += v.v[j];
    }
    const int64_t row = quotient(i, N);
    e.put<W>(0, row, i - row * N, sum);   // row counts through the batches: they lie one after the other
}

static inline void gemm_reduce(const OpCall *c, const GemmSizes &s, const float *part, const Epilogue &e)
{
    const int64_t count = s.batch * s.M * s.N;
    const bool wide = e.wide(s.N);
    launch(c, wide ? gemm_reduce_kernel<4> : gemm_reduce_kernel<1>, grid_of(count, (wide ? 4 : 1) * MAP_BLOCK),
           MAP_BLOCK, 0, count, s.N, s.splits, part, e);
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

template <int WM, int WN, class A, class B>
static void gemm_tiles(const OpCall *c, GemmSizes s, const A &a, const B &b, const Epilogue &e)
{
    const int64_t tiles = div_up(s.M, 64 * WM) * div_up(s.N, 32 * WN) * s.batch;
    gemm_split(&s, tiles, GEMM_K);
    float *part = s.splits > 1 ? scratch_of<float>(c, (size_t)(s.splits * s.batch * s.M * s.N)) : NULL;
    const Epilogue first = e.of_splits(part, s.N);
    const bool wide_a = a.wide(), wide_b = b.wide(), wide_out = first.wide(s.N);
    const unsigned blocks = blocks_of(tiles * s.splits);
    if (math_of(c) == MATH_FP32) {
        auto *kernel = wide_a && wide_b ? gemm_kernel<WM, WN, 4, A, B> : gemm_kernel<WM, WN, 1, A, B>;
        launch(c, kernel, blocks, WM * WN * 32, 0, s, a, b, first, wide_out);
    } else {
        auto *kernel = math_of(c) == MATH_BF16 ? mma_kernel<true, WM, WN, A, B> : mma_kernel<false, WM, WN, A, B>;
        launch(c, kernel, blocks, WM * WN * 32, 0, s, a, b, first, wide_out, wide_a, wide_b);
    }
    if (part) gemm_reduce(c, s, part, e);
}

// C [batch,M,N] from operands a (rows m) and b (columns n).
template <class A, class B>
static void gemm(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const A &a, const B &b,
                 const Epilogue &e)
{
    enum { FULL = 132 };   // large tiles once they fill an H200
    const int64_t most = INT32_MAX - 256;   // rounded up to tiles it is counted in 32 bits
    CHECK(M < most && N < most && K < most, "cuda: a product of %lld x %lld x %lld", (long long)M, (long long)N,
          (long long)K);
    if (batch * M * N == 0) return;
    const GemmSizes s = {M, N, K, batch, 1, K};
    if (div_up(M, 128) * div_up(N, 64) * batch >= FULL) gemm_tiles<2, 2>(c, s, a, b, e);
    else gemm_tiles<1, 2>(c, s, a, b, e);
}

#endif
