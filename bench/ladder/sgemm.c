// SGEMM from plain to fast:   c [M,N] = a [M,K] b [K,N]   in six rungs, one thread.
//   rung      what is new                                       what it saves
//   plain     the formula
//   order     the inner loop runs along rows                    lines of the cache: all 16 floats of one are used
//   blocked   a block of b is used for all rows of a            traffic with the far caches and memory
//   packed    the block is copied into one piece                sets of the L1 cache and entries of the TLB
//   tile      a tile of c stays in registers (tile.h)           loads and stores: 3 a multiply-add become 0.6
//   ahead     the next panel is prefetched                      waiting for it
// No rung does less arithmetic than the first: all of them make M N K multiply-adds, fmaf, k upwards.  The first four
// have the same bits.  The last two first sum a block of KC terms and then add it to c, as the product's kernels do
// (cpu_simd/gemm), and have their bits.
#include "bench/ladder/ladder.h"
#include "bench/ladder/tile.h"

// ---- 1. plain
// The innermost loop reads a along a row and b down a column: each float of b comes from another line of 64 bytes, of
// which 4 bytes are used.  And each multiply-add waits for the sum of the one before.
static void plain(int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            float sum = 0;
            for (int64_t k = 0; k < K; k++) sum = fmaf(a[m * K + k], b[k * N + n], sum);
            c[m * N + n] = sum;
        }
}

// ---- 2. order
// The loops over k and n change places: b and c are read along their rows, and all 16 floats of a line are used when it
// comes.  The sums of neighbours do not wait for each other, so the compiler computes them side by side, in vectors.
static void order(int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c)
{
    for (int64_t m = 0; m < M; m++) {
        for (int64_t n = 0; n < N; n++) c[m * N + n] = 0;
        for (int64_t k = 0; k < K; k++)
            for (int64_t n = 0; n < N; n++) c[m * N + n] = fmaf(a[m * K + k], b[k * N + n], c[m * N + n]);
    }
}

// ---- 3. blocked
// Rung 2 reads all of b for every row of a.  Here a block of b, BK x BN floats (32 KiB), is used for all rows of a
// before the next one comes: b comes from afar once, not M times.
enum { BK = 64, BN = 128 };

static void blocked(int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c)
{
    memset(c, 0, (size_t)(M * N) * sizeof *c);
    for (int64_t k0 = 0; k0 < K; k0 += BK)
        for (int64_t n0 = 0; n0 < N; n0 += BN) {
            const int64_t k1 = min_i64(k0 + BK, K), n1 = min_i64(n0 + BN, N);
            for (int64_t m = 0; m < M; m++)
                for (int64_t k = k0; k < k1; k++)
                    for (int64_t n = n0; n < n1; n++) c[m * N + n] = fmaf(a[m * K + k], b[k * N + n], c[m * N + n]);
        }
}

// ---- 4. packed
// The rows of a block lie N floats apart.  With N = 1024 that is 4096 bytes, and an L1 cache puts lines that far apart
// into one set, which holds 8 or 12 of them: the block would fit the cache, but does not stay in it.  Each row also
// lies on a page of its own and takes an entry of the TLB.  Copied into one piece the block has neither trouble.
static void packed(int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c)
{
    float block[BK * BN] __attribute__((aligned(64)));
    memset(c, 0, (size_t)(M * N) * sizeof *c);
    for (int64_t k0 = 0; k0 < K; k0 += BK)
        for (int64_t n0 = 0; n0 < N; n0 += BN) {
            const int64_t terms = min_i64(BK, K - k0), cols = min_i64(BN, N - n0);
            for (int64_t k = 0; k < terms; k++)
                memcpy(block + k * BN, b + (k0 + k) * N + n0, (size_t)cols * sizeof *b);
            for (int64_t m = 0; m < M; m++) {
                float *row = c + m * N + n0;
                for (int64_t k = 0; k < terms; k++)
                    for (int64_t n = 0; n < cols; n++) row[n] = fmaf(a[m * K + k0 + k], block[k * BN + n], row[n]);
            }
        }
}

// ---- 5. tile
// c is no longer loaded and stored at every multiply-add: a tile of MR rows and NR columns stays in registers for all
// terms of a block (tile.h).  What a tile reads is copied into the order in which it is read: b into panels
// [terms][NR], a into strips [terms][MR].  A block of a, MC rows, stays in the L2 cache while panel after panel of b
// goes past it.
enum { KC = 512, MC = 288 };

// The product's blocks along k: as few as hold at most KC terms each, nearly alike, multiples of 32.
static int64_t block_terms(int64_t K)
{
    const int64_t blocks = (K + KC - 1) / KC;
    return blocks > 1 ? ((K + blocks - 1) / blocks + 31) / 32 * 32 : K;
}

// rows x terms of a -> strips [terms][MR], zeros below the last row.
static void pack_strips(const float *a, int64_t lda, int64_t rows, int64_t terms, float *to)
{
    for (int64_t m = 0; m < rows; m += MR)
        for (int64_t k = 0; k < terms; k++)
            for (int64_t i = 0; i < MR; i++) *to++ = m + i < rows ? a[(m + i) * lda + k] : 0;
}

static void pack_panel(const float *b, int64_t ldb, int64_t terms, int64_t cols, float *to)
{
    for (int64_t k = 0; k < terms; k++)
        for (int64_t j = 0; j < cols; j += VW) vstore_n(to + k * NR + j, cols - j, vload_n(b + k * ldb + j, cols - j));
}

// ---- 6. ahead
// A panel is copied from rows of b that lie far apart, which the hardware does not foresee well: the copy waits for
// them.  Here each tile first asks for its own part of c and for its share of the next panel, and multiplies while they
// come.

// Asks for NR floats of each of some rows, for the L2 cache.
static inline void ask(const float *x, int64_t ld, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < NR; j += 16) __builtin_prefetch(x + i * ld + j, 0, 2);
}

// The loops of rungs 5 and 6; ask_ahead is a constant of each.
INLINE void panels(const bool ask_ahead, int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c)
{
    float strips[MC * KC] __attribute__((aligned(64))), panel[KC * NR] __attribute__((aligned(64)));
    const int64_t kc = block_terms(K);
    for (int64_t k0 = 0; k0 < K; k0 += kc)
        for (int64_t m0 = 0; m0 < M; m0 += MC) {
            const int64_t terms = min_i64(kc, K - k0), rows = min_i64(MC, M - m0);
            pack_strips(a + m0 * K + k0, K, rows, terms, strips);
            for (int64_t n = 0; n < N; n += NR) {
                const int64_t cols = min_i64(NR, N - n);
                const float *bn = b + k0 * N + n;
                pack_panel(bn, N, terms, cols, panel);
                for (int64_t m = 0; m < rows; m += MR) {
                    float *cm = c + (m0 + m) * N + n;
                    if (ask_ahead) ask(cm, N, min_i64(MR, rows - m));
                    if (ask_ahead && n + NR < N) ask(bn + NR + m * terms / rows * N, N, terms * MR / rows + 1);
                    tile(terms, strips + m * terms, 1, MR, panel, NR, cm, N, min_i64(MR, rows - m), cols, k0 > 0);
                }
            }
        }
}

static void tiled(int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c)
{
    panels(false, M, N, K, a, b, c);
}

static void ahead(int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c)
{
    panels(true, M, N, K, a, b, c);
}

#if defined(__AVX512F__)
const Rung sgemm_rungs_avx512[RUNGS] = {
#else
const Rung sgemm_rungs_avx2[RUNGS] = {
#endif
    {"plain", plain, NULL, "-"},
    {"order", order, NULL, "lines of the cache: 16 floats of one are used, not 1"},
    {"blocked", blocked, NULL, "traffic: b comes from afar once, not M times"},
    {"packed", packed, NULL, "sets of the L1 cache, entries of the TLB"},
    {"tile", tiled, NULL, "loads and stores: 3 a multiply-add become 0.6"},
    {"ahead", ahead, NULL, "waiting for the next panel and for c"},
};
