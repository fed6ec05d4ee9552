// The product engine on Hopper: C[m,n] = alpha sum_k A[m,k] B[k,n] by wgmma and TMA (hopper.h), for --math bf16 and
// tf32.  OFF unless LEAD_WGMMA is set, until a GPU has verified it: 1: products of a Gflop and more; 64x128, 128x128,
// 128x256: every product, with that tile (for the checks).
//
// Operands are f32 in memory and wgmma reads bf16 (tf32: rounded values, along k) in shared memory, so one launch
// rounds both operands into scratch first, and the product streams the copies.  Traffic at M = 8192, K = 768, N = 3072
// (bf16):
//   copies     A 25 MB read, 13 MB written, B 9 + 5 MB: 52 MB, 13 us at 4 TB/s; C is 100 MB; the product 64 us at 600
//              TFLOP/s.  At N = 768 the copies cost 41 MB (10 us) beside 16 us: the worst case of GPT-2.
//   instead, rounding in the block that multiplies: each stage of 128 x 256 x 64 would read 98 KB of f32 from shared
//              memory and write 49 KB, 1,150 cycles at 128 bytes a cycle, beside 1,024 cycles of wgmma, which itself
//              reads 80 KB: half the speed; and L2 would deliver each tile in twice the bytes.
//   Not done: A along k straight from f32 through registers (wgmma takes A there), which would save A's copy.
// Copies have rows padded to 16 bytes, so every shape qualifies; TMA fills zeros beyond the edges.  bf16 operands lie
// either way; a tf32 operand whose rows run is transposed by its copy.
//
// A block has one or two warpgroups of 64 x BN that multiply and one whose first thread keeps a ring of stages of 128
// bytes along k filled: barrier full[s] counts the bytes, empty[s] the warps that have read.  Blocks stay and take
// every gridDim.x-th tile (tile_place: neighbours share operands in L2), the ring running on while sums are written
// out.
//   128 x 256 x 64: 48 KB a stage, 4 of them; 128 sums a thread; wgmma reads 10 KB for 128 cycles of products
//   128 x 128 x 64: 32 KB, 6;  64 x 128 x 64: 24 KB, 4, two blocks an SM
// Bound by L2 (128 x 256): 48 KB for 1,024 cycles of products would be 11 TB/s at the full rate, twice what L2 gives.
// Expected: 600 TFLOP/s at 4096^3 and beyond.  Next, on a GPU: clusters of two blocks that share B by multicast (32
// KB), then writing one tile's sums under the next one's products.
// Sums leave through shared memory in lines of 256 bytes; bias, activations, residuals and adding are gemm.h's.  Few
// tiles: k is cut into splits, whose partial sums gemm_reduce adds in order.  The plan depends on the sizes alone: same
// bits on every GPU.
#include "gemm_sm90.h"
#include "hopper.h"

#include <stdlib.h>

enum { ROW_BYTES = 128, BOX_BYTES = 64 * ROW_BYTES };   // of a stage: a row along k, 64 rows

// ---- rounded copies

struct Rounding {
    const float *x;
    void *to;
    int64_t ld, batch, inner, outer, count;   // x: [count][outer][inner], ld and batch apart
    int64_t ld_to;                            // values
    bool wide, transpose;                     // 16-byte aligned; tf32: [inner][outer] comes out
};

enum { ROUND_BLOCK = 256 };

// Eight bf16 or four tf32 a thread.
template <bool BF16> static __device__ __forceinline__ void round_rows(const Rounding &r, int64_t block)
{
    enum { W = BF16 ? 8 : 4 };
    const int64_t each = r.ld_to / W, job = block * ROUND_BLOCK + threadIdx.x, line = quotient(job, each);
    const int64_t i0 = (job - line * each) * W, b = quotient(line, r.outer);
    if (b >= r.count) return;
    const float *from = r.x + b * r.batch + (line - b * r.outer) * r.ld + i0;
    float v[W];
#pragma unroll
    for (int q = 0; q < W; q += 4) {
        Pack<4> p = {};
        if (r.wide && i0 + q < r.inner) {
            p = load<4>(from + q);
        } else {
#pragma unroll
            for (int j = 0; j < 4; j++)
                if (i0 + q + j < r.inner) p.v[j] = from[q + j];
        }
#pragma unroll
        for (int j = 0; j < 4; j++) v[q + j] = p.v[j];
    }
    uint4 y;
    if constexpr (BF16)
        y = make_uint4(bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3]), bf16_pair(v[4], v[5]), bf16_pair(v[6], v[7]));
    else y = make_uint4(to_tf32(v[0]), to_tf32(v[1]), to_tf32(v[2]), to_tf32(v[3]));
    reinterpret_cast<uint4 *>(r.to)[job] = y;
}

// A square of 32 x 32 through shared memory, so that reads and writes are whole lines.
static __device__ __forceinline__ void round_transposed(const Rounding &r, int64_t block)
{
    SHARED(uint32_t, square, [32][33]);
    const int64_t across = (r.inner + 31) / 32, down = (r.outer + 31) / 32, strip = quotient(block, across);
    const int64_t i0 = (block - strip * across) * 32, b = quotient(strip, down), o0 = (strip - b * down) * 32;
    const int x = (int)threadIdx.x % 32, y = (int)threadIdx.x / 32;
    const float *from = r.x + b * r.batch;
    uint32_t *to = reinterpret_cast<uint32_t *>(r.to) + b * r.inner * r.ld_to;
#pragma unroll
    for (int j = y; j < 32; j += ROUND_BLOCK / 32)
        square[j][x] = i0 + x < r.inner && o0 + j < r.outer ? to_tf32(from[(o0 + j) * r.ld + i0 + x]) : 0;
    __syncthreads();
#pragma unroll
    for (int j = y; j < 32; j += ROUND_BLOCK / 32)
        if (i0 + j < r.inner && o0 + x < r.ld_to) to[(i0 + j) * r.ld_to + o0 + x] = square[x][j];
}

template <bool BF16>
static __global__ void __launch_bounds__(ROUND_BLOCK) round_kernel(Rounding a, Rounding b, int64_t blocks_a)
{
    const bool first = blockIdx.x < blocks_a;
    const Rounding r = first ? a : b;
    const int64_t block = first ? blockIdx.x : blockIdx.x - blocks_a;
    if constexpr (!BF16) {
        if (r.transpose) {
            round_transposed(r, block);
            return;
        }
    }
    round_rows<BF16>(r, block);
}

static int64_t round_blocks(const Rounding &r, int width)
{
    return r.transpose ? r.count * div_up(r.outer, 32) * div_up(r.inner, 32)
                       : div_up(r.count * r.outer * (r.ld_to / width), ROUND_BLOCK);
}

// The copy of operand o, to be made, and the map of its tiles of `rows` rows (boxes of 64 rows where rows run).
template <bool BF16>
static Rounding rounding_of(const OpCall *c, const Operand &o, int64_t batch, int rows, TensorMap *map)
{
    enum { VALUE = BF16 ? 2 : 4, PACK = 16 / VALUE };
    Rounding r = {o.x, NULL, o.ld, o.batch, o.k_runs ? o.K : o.rows, o.k_runs ? o.rows : o.K,
                  batch, 0, false, !BF16 && !o.k_runs};
    const int64_t inner = r.transpose ? r.outer : r.inner, outer = r.transpose ? r.inner : r.outer;
    r.ld_to = div_up(inner, PACK) * PACK;
    r.wide = aligned16(o.x) && o.ld % 4 == 0 && o.batch % 4 == 0 && r.inner % 4 == 0;
    r.to = scratch_of<unsigned char>(c, (size_t)(batch * outer * r.ld_to * VALUE));
    const int64_t line = r.ld_to * VALUE;
    *map = tensor_map(c, TensorBox{r.to, VALUE, {inner, outer, batch}, {line, outer * line},
                                   {ROW_BYTES / VALUE, o.k_runs || r.transpose ? rows : ROW_BYTES / VALUE}});
    return r;
}

// ---- the product

// A place in the ring of stages; parity: of the phase that is filled or read now.
template <int STAGES> struct Turn {
    int stage;
    unsigned parity;
    __device__ __forceinline__ void next()
    {
        if (++stage == STAGES) stage = 0, parity ^= 1;
    }
};

// Tiles of 64 WG x BN, and what they need.
template <int WG, int BN> struct Shape90 {
    enum {
        BM = 64 * WG, THREADS = 128 * (WG + 1), BLOCKS = WG == 1 ? 2 : 1,   // an SM
        A_BYTES = BM * ROW_BYTES, STAGE = A_BYTES + BN * ROW_BYTES, STAGES = WG == 2 && BN == 128 ? 6 : 4,
        SHARED_BYTES = STAGES * STAGE + 1024,   // to begin at a multiple of 1,024
    };
};

// Rows row0.. of an operand for one stage.
template <bool RUNS, int ROWS>
static __device__ __forceinline__ void load_rows(unsigned char *to, const TensorMap *map, uint64_t *full, int row0,
                                                 int k0, int batch)
{
    if constexpr (RUNS) {
        tma_load(to, map, full, k0, row0, batch);
    } else {
#pragma unroll
        for (int i = 0; i < ROWS / 64; i++) tma_load(to + i * BOX_BYTES, map, full, row0 + 64 * i, k0, batch);
    }
}

template <bool BF16, bool A_RUNS, bool B_RUNS, int WG, int BN>
static __global__ void __launch_bounds__(128 * (WG + 1), WG == 1 ? 2 : 1)
wgmma_kernel(GemmSizes s, const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b, Epilogue e,
             bool wide_out, int64_t units)
{
    typedef Shape90<WG, BN> Size;
    enum { STAGES = Size::STAGES, DEPTH = ROW_BYTES / (BF16 ? 2 : 4), SLAB = 72 };
    SHARED_DYNAMIC(unsigned char, dynamic);
    SHARED(uint64_t, full, [STAGES]);
    SHARED(uint64_t, empty, [STAGES]);
    SHARED(float4, slabs, [4 * WG * 8 * SLAB / 4]);
    unsigned char *ring = dynamic + (1024 - shared_address(dynamic) % 1024) % 1024;
    const int group = (int)threadIdx.x / 128, warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    if (threadIdx.x == 0) {
#pragma unroll
        for (int i = 0; i < STAGES; i++) mbarrier_init(&full[i], 1), mbarrier_init(&empty[i], 4 * WG);
        mbarrier_init_fence();
    }
    __syncthreads();
    Turn<STAGES> turn = {0, 0};
    if (group == WG) {
        if constexpr (WG == 2) registers_give<40>();
        if (threadIdx.x != 128 * WG) return;
        for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
            const Part3 at = part_of<Size::BM, BN>(s, unit);
            for (int k = at.k_begin; k < at.k_end; k += DEPTH, turn.next()) {
                unsigned char *stage = ring + turn.stage * Size::STAGE;
                mbarrier_wait(&empty[turn.stage], turn.parity ^ 1);
                mbarrier_arrive_expect(&full[turn.stage], Size::STAGE);
                load_rows<A_RUNS, Size::BM>(stage, &map_a, &full[turn.stage], at.m0, k, (int)at.batch);
                load_rows<B_RUNS, BN>(stage + Size::A_BYTES, &map_b, &full[turn.stage], at.n0, k, (int)at.batch);
            }
        }
    } else {
        if constexpr (WG == 2) registers_take<232>();
        // where rows run, 16 k are 2 KB; else 32 bytes of each row
        enum { STEP_A = A_RUNS ? 32 : 2048, STEP_B = B_RUNS ? 32 : 2048 };
        float (*slab)[SLAB] = (float (*)[SLAB])(slabs + warp * (8 * SLAB / 4));
        const unsigned base = shared_address(ring);
        for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
            const Part3 at = part_of<Size::BM, BN>(s, unit);
            const int steps = (at.k_end - at.k_begin + DEPTH - 1) / DEPTH;
            float sum[BN / 2];
#pragma unroll
            for (int i = 0; i < BN / 2; i++) sum[i] = 0;
            int last = 0;
            for (int i = 0; i < steps; i++, last = turn.stage, turn.next()) {
                const unsigned a = base + (unsigned)(turn.stage * Size::STAGE + group * BOX_BYTES);
                const unsigned b = base + (unsigned)(turn.stage * Size::STAGE + Size::A_BYTES);
                mbarrier_wait(&full[turn.stage], turn.parity);
                wgmma_fence(sum);
#pragma unroll
                for (int k = 0; k < 4; k++)
                    wgmma<BF16, !A_RUNS, !B_RUNS>(
                        sum, wgmma_matrix(a + (unsigned)(k * STEP_A), A_RUNS ? 16 : BOX_BYTES, 1024),
                        wgmma_matrix(b + (unsigned)(k * STEP_B), B_RUNS ? 16 : BOX_BYTES, 1024));
                wgmma_commit();
                wgmma_wait<1>(sum);
                if (i > 0 && lane == 0) mbarrier_arrive(&empty[last]);
            }
            wgmma_wait<0>(sum);
            if (lane == 0) mbarrier_arrive(&empty[last]);
            Epilogue out = e;
            if (s.splits > 1) out.y += at.split * s.batch * s.M * s.N;
            // 8 rows and 64 columns of the warp's 16 x BN at a time
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int col = 0; col < BN; col += 64) {
#pragma unroll
                    for (int n = 0; n < 8; n++)
                        *reinterpret_cast<float2 *>(&slab[lane / 4][8 * n + lane % 4 * 2]) =
                            make_float2(sum[(col / 8 + n) * 4 + 2 * half], sum[(col / 8 + n) * 4 + 2 * half + 1]);
                    put_slab<64, SLAB>(s, out, wide_out, slab, at.batch, at.n0 + col,
                                       [&](int i) { return at.m0 + warp * 16 + half * 8 + i; });
                }
        }
    }
}

// ---- which tile, how many splits

enum { SMS = 132, TILES = 3 };   // an H200's

struct Plan {
    int tile;                  // 0: 64 x 128, 1: 128 x 128, 2: 128 x 256
    int64_t splits, k_each;
    double cycles;             // expected
};

static const struct { const char *name; int m, n, slots; double factor; } tiles[TILES] = {
    {"64x128", 64, 128, 2 * SMS, 2.2}, {"128x128", 128, 128, SMS, 1.1}, {"128x256", 128, 256, SMS, 1.0},
};

// Expected cycles of the fullest SM: its tiles, each with its steps along k and 4 steps' time to fill the ring and
// write; 2,048 products a cycle.  The factors, for what the tile reads from shared memory, are estimates.
static Plan plan_of(int tile, int64_t batch, int64_t M, int64_t N, int64_t K, int depth)
{
    enum { STEPS_MIN = 4, SPLITS_MAX = 16 };
    const int64_t units = div_up(M, tiles[tile].m) * div_up(N, tiles[tile].n) * batch, steps = div_up(K, depth);
    int64_t splits = tiles[tile].slots / units;
    if (splits > steps / STEPS_MIN) splits = steps / STEPS_MIN;
    if (splits > SPLITS_MAX) splits = SPLITS_MAX;
    if (splits < 1) splits = 1;
    const int64_t each = div_up(steps, splits);
    splits = div_up(steps, each);
    const double waves = (double)div_up(units * splits, tiles[tile].slots);
    const double step = (double)tiles[tile].m * tiles[tile].n * 64 / 2048 * tiles[tile].factor;
    // another launch, 8 bytes a value
    const double adding = splits > 1 ? 4000 + (double)(splits * batch * M * N) / SMS / 4 : 0;
    return Plan{tile, splits, each * depth, waves * (double)(each + 4) * step + adding};
}

template <bool BF16, bool A_RUNS, bool B_RUNS, int WG, int BN>
static void run(const OpCall *c, const GemmSizes &s, const Operand &a, const Operand &b, const Epilogue &e)
{
    typedef Shape90<WG, BN> Size;
    TensorMap map_a, map_b;
    const Rounding ra = rounding_of<BF16>(c, a, s.batch, Size::BM, &map_a);
    const Rounding rb = rounding_of<BF16>(c, b, s.batch, BN, &map_b);
    const int64_t blocks_a = round_blocks(ra, BF16 ? 8 : 4), blocks_b = round_blocks(rb, BF16 ? 8 : 4);
    launch(c, round_kernel<BF16>, blocks_of(blocks_a + blocks_b), ROUND_BLOCK, 0, ra, rb, blocks_a);
    float *part = s.splits > 1 ? scratch_of<float>(c, (size_t)(s.splits * s.batch * s.M * s.N)) : NULL;
    const Epilogue first = e.of_splits(part, s.N);
    const int64_t units = div_up(s.M, Size::BM) * div_up(s.N, BN) * s.batch * s.splits;
    const int64_t room = (int64_t)multiprocessors(c) * Size::BLOCKS;
    auto *kernel = wgmma_kernel<BF16, A_RUNS, B_RUNS, WG, BN>;
    launch_sm90(c, kernel, blocks_of(units < room ? units : room), Size::THREADS, Size::SHARED_BYTES, s, map_a, map_b,
                first, first.wide(s.N), units);
    if (part) gemm_reduce(c, s, part, e);
}

template <bool BF16, bool A_RUNS, bool B_RUNS>
static void run_tile(int tile, const OpCall *c, const GemmSizes &s, const Operand &a, const Operand &b,
                     const Epilogue &e)
{
    if (tile == 0) run<BF16, A_RUNS, B_RUNS, 1, 128>(c, s, a, b, e);
    else if (tile == 1) run<BF16, A_RUNS, B_RUNS, 2, 128>(c, s, a, b, e);
    else run<BF16, A_RUNS, B_RUNS, 2, 256>(c, s, a, b, e);
}

bool gemm_sm90(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const Operand &a, const Operand &b,
               const Epilogue &e)
{
    const char *choice = wgmma_choice(c);
    const int64_t most = INT32_MAX - 256;   // rounded up to tiles it is counted in 32 bits
    const bool bf16 = math_of(c) == MATH_BF16;
    if (!choice || math_of(c) == MATH_FP32 || batch * M * N == 0 || K == 0) return false;
    CHECK(M < most && N < most && K < most && batch < most, "cuda: a product of %lld x %lld x %lld", (long long)M,
          (long long)N, (long long)K);
    Plan best = {-1, 0, 0, 0};
    bool forced = false;
    for (int i = 0; i < TILES; i++) forced |= strcmp(choice, tiles[i].name) == 0;
    for (int i = 0; i < TILES; i++) {
        if (forced && strcmp(choice, tiles[i].name) != 0) continue;
        const Plan p = plan_of(i, batch, M, N, K, bf16 ? 64 : 32);
        if (best.tile < 0 || p.cycles < best.cycles) best = p;
    }
    const double flops = 2.0 * (double)batch * (double)M * (double)N * (double)K;
    if (!forced && flops < 1e9) return false;   // the copies would take longer than what is saved
    const GemmSizes s = {M, N, K, batch, best.splits, best.k_each};
    if (!bf16) run_tile<false, true, true>(best.tile, c, s, a, b, e);
    else if (a.k_runs && b.k_runs) run_tile<true, true, true>(best.tile, c, s, a, b, e);
    else if (a.k_runs) run_tile<true, true, false>(best.tile, c, s, a, b, e);
    else if (b.k_runs) run_tile<true, false, true>(best.tile, c, s, a, b, e);
    else run_tile<true, false, false>(best.tile, c, s, a, b, e);
    return true;
}
