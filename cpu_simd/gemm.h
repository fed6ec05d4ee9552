// Matrix product, the engine of linear, matmul and conv2d:   C [M,N] = or += alpha A [M,K] B [K,N]  (+ bias [N])
//
// Register tile MR x 2 vectors (12x32 with AVX-512, 6x16 with AVX2; Goto, van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication", 2008): per k two loads of B, MR broadcasts of A, 2 MR multiply-adds.  B is copied into panels
// [kc][2 VW] that stay in the L2 cache, A is read where it is, or copied row by row when its strides would hurt.
//
//                               B           n .. + NR
//                             k0 +---------+====+---------+     panel, kc x NR: 64 KiB at most with AVX-512, 32 with
//                                |         |    |         |     AVX2; a copy (a thread's own, or shared by all), packed
//                        k0 + kc +---------+====+---------+     beforehand, or read in place: BPlace
//     A    k0       k0 + kc     C           n .. + NR
//        +--+---------+--+       +---------+----+---------+
//     m0 |  |         |  |       |         |    |         |     block of A, mc x kc, in the L2 cache: 240 KiB at most
//        |  +---------+  | MR    |         +====+         |     (A_BLOCK) beside shared panels, 576 (A_WHOLE) where a
//        |  | k ->    |  | rows  |         |tile|         |     thread has panels of its own: gemm_plan
//        |  +---------+  |       |         +====+         |
//        |  |         |  |       |         |    |         |     tile: up to MR x NR sums, in registers while k runs
//   + mc +--+---------+--+       +---------+----+---------+
//
// Loops, from the outside: NC columns where panels are shared (gemm_member), kc terms, tasks of a thread (mc rows by
// `group` columns), panels (block_product), tiles, k (tile_body).  bench/ladder/sgemm.c builds this up step by step.
//
// Order of sums (D0): k runs upwards inside blocks of kc terms; kc depends on K alone, blocks are added in order.  So
// an element has the same bits whatever M, its row, the number of threads, or the path (packed or not) taken.
#ifndef LEAD_CPU_SIMD_GEMM_H
#define LEAD_CPU_SIMD_GEMM_H

#include <omp.h>

#include "cpu_simd/epilogue.h"
#include "cpu_simd/vec.h"
#include "tensor/pack.h"

enum { SKINNY = 4 };   // most rows or terms of the products of gemm_skinny.h

typedef struct Gemm Gemm;

// Writes the block of `rows` x `cols` of a matrix that does not exist in memory; row-major, ld floats from row to row.
typedef void GemmFetch(const Gemm *g, int64_t row0, int64_t rows, int64_t col0, int64_t cols, float *dst, int64_t ld);

struct Gemm {
    int64_t M, N, K;
    const float *a;            // element (m,k) at a[m ra + k ca]; one of ra, ca is 1
    int64_t ra, ca;
    const float *b;            // element (k,n) at b[k rb + n cb]; one of rb, cb is 1
    int64_t rb, cb;
    float *c;                  // element (m,n) at c[m rc + n cc]; one of rc, cc is 1
    int64_t rc, cc;
    float alpha;
    bool add;                  // C += instead of C =
    const float *bias;         // [N] or NULL; wants add = false, cc = 1
    Epilogue epilogue;         // of whole sums; wants cc = 1, no c_row
    const float *packed;       // NULL, or B as panels of tensor/pack.h, [N/PANEL][K][PANEL]
    const float *transposed;   // NULL, or B^T as panels, [K/PANEL][N][PANEL]
    GemmFetch *fetch_a;        // NULL, or makes A block by block: rows m of it when ca = 1, rows k when ra = 1
    GemmFetch *fetch_b;        // NULL, or makes B block by block, rows k
    float *(*c_row)(const Gemm *g, int64_t m);   // NULL, or where row m of C is; wants cc = 1
    const void *ctx;           // for the two functions above
    int64_t run;               // terms of a sum before it is added to C; 0: a whole block along k
    int64_t batch, a_step, b_step, c_step;       // 0, or this many products, operands so many floats apart
};

#if defined(__AVX512F__)
enum { MR = 12 };
#else
enum { MR = 6 };
#endif
// PAR_WORK: multiply-adds worth waking the other threads for, a region costs about a microsecond.  A_BLOCK, A_WHOLE:
// floats of A in one block beside shared panels of B, and when a thread has panels of its own.
enum { NV = 2, NR = NV * VW, KC = 512, NC = 4096, A_BLOCK = 61440, A_WHOLE = 147456, TASKS = 16, PREFETCH_TERMS = 16,
       L1_FLOATS = 8192, PAR_WORK = 200000 };

static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Blocks along k: the smallest number of blocks of at most KC terms, whole panels and nearly alike.
static inline int64_t gemm_kc(int64_t K)
{
    const int64_t blocks = ceil_div(K, KC);
    return blocks > 1 ? ceil_div(ceil_div(K, blocks), PANEL) * PANEL : K;
}

// ---- register tiles

typedef struct Store {
    float *c;
    int64_t ldc;
    const float *bias;
    float alpha;
    bool add;
    int64_t run;       // terms summed in registers before they are added to C
    int64_t piece, hop;                     // terms of A that lie together (0: all), floats between two such pieces
    const float *prefetch;                  // what the tile that prefetches fetches, NR floats at each term:
    int64_t prefetch_cols, prefetch_step;   // rows of so many floats, so far apart
} Store;

typedef void TileFn(int64_t K, const float *a, int64_t ra, int64_t ca, const float *b, int64_t ldb, int64_t n,
                    const Store *s);

// rows x nv vectors, the last of them `n - (nv-1) VW` lanes wide when partial.  rows, nv, partial are constants of each
// instance below.  Groups of three rows share a pointer, so that rows need only base + {0,1,2} ra addressing.
static inline __attribute__((always_inline)) void tile_body(const int rows, const int nv, const bool partial,
                                                            const bool prefetch, int64_t K, const float *a, int64_t ra,
                                                            int64_t ca, const float *b, int64_t ldb, int64_t n,
                                                            const Store *s)
{
    vf acc[12][8];
    const float *line = s->prefetch;
    int64_t fetched = 0;
    const float *pa[4];
    const vmask m = vhead(n - (nv - 1) * VW);
    const vf alpha = vset1(s->alpha);
#pragma GCC unroll 4
    for (int i = 0; i < (rows + 2) / 3; i++) pa[i] = a + 3 * i * ra;
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)   // C is wanted when the sums are done; in L2, since many rows share few sets of L1
#pragma GCC unroll 8
        for (int j = 0; j < nv; j += 64 / (4 * VW)) __builtin_prefetch(s->c + i * s->ldc + j * VW, 0, 2);
    for (int64_t k0 = 0; k0 < K; k0 += s->run) {
        const int64_t terms = min_i64(s->run, K - k0);
        const bool add = s->add || k0 > 0;
        const float *bias = k0 > 0 ? NULL : s->bias;
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) acc[i][j] = vzero();
        for (int64_t k = 0, left = s->piece; k < terms; k++) {
            vf vb[8];
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) vb[j] = partial && j == nv - 1 ? vload_m(b + j * VW, m) : vload(b + j * VW);
#pragma GCC unroll 12
            for (int i = 0; i < rows; i++) {
                const vf va = vset1(pa[i / 3][i % 3 * ra]);
#pragma GCC unroll 8
                for (int j = 0; j < nv; j++) acc[i][j] = vfma(va, vb[j], acc[i][j]);
            }
#pragma GCC unroll 4
            for (int i = 0; i < (rows + 2) / 3; i++) pa[i] += ca;
            b += ldb;
            if (--left == 0) {
#pragma GCC unroll 4
                for (int i = 0; i < (rows + 2) / 3; i++) pa[i] += s->hop;
                left = s->piece;
            }
            if (prefetch) {
#pragma GCC unroll 2
                for (int j = 0; j < NR; j += 16) __builtin_prefetch(line + fetched + j, 0, 2);
                if ((fetched += NR) >= s->prefetch_cols) {
                    fetched = 0;
                    line += s->prefetch_step;
                }
            }
        }
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            float *c = s->c + i * s->ldc;
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) {
                const bool cut = partial && j == nv - 1;
                vf v = vmul(alpha, acc[i][j]);
                if (bias) v = vadd(v, cut ? vload_m(bias + j * VW, m) : vload(bias + j * VW));
                if (add) v = vadd(cut ? vload_m(c + j * VW, m) : vload(c + j * VW), v);
                if (cut) vstore_m(c + j * VW, m, v);
                else vstore(c + j * VW, v);
            }
        }
    }
}

#define TILE(name, rows, nv, partial, prefetch)                                                                    \
    static void name(int64_t K, const float *a, int64_t ra, int64_t ca, const float *b, int64_t ldb, int64_t n,    \
                     const Store *s)                                                                               \
    {                                                                                                              \
        tile_body(rows, nv, partial, prefetch, K, a, ra, ca, b, ldb, n, s);                                        \
    }
#define TILES(rows) TILE(tile_##rows##_full, rows, 2, false, false) \
    TILE(tile_##rows##_prefetch, rows, 2, false, true) TILE(tile_##rows##_cut_prefetch, rows, 2, true, true) \
    TILE(tile_##rows##_half_prefetch, rows, 1, true, true) \
    TILE(tile_##rows##_cut, rows, 2, true, false) TILE(tile_##rows##_half, rows, 1, true, false)
#define NAMES(rows) {tile_##rows##_half, tile_##rows##_cut, tile_##rows##_full, tile_##rows##_half_prefetch, \
    tile_##rows##_cut_prefetch, tile_##rows##_prefetch}
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
// One or two rows alone: more columns, for as many independent sums as the multiply-add units want.
TILE(tile_1_wide, 1, 8, false, false)
TILE(tile_2_wide, 2, 4, false, false)
#if defined(__AVX512F__)
TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12)
#endif

enum { PREFETCHES = 3 };
static TileFn *const tiles[MR + 1][6] = {   // [rows][columns <= VW, < NR, = NR; + PREFETCHES: prefetches]
    {NULL, NULL, NULL, NULL, NULL, NULL}, NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if defined(__AVX512F__)
    NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12),
#endif
};
#undef TILE
#undef TILES
#undef NAMES

// ---- copies

// Both may write up to VW - 1 floats beyond n: what lies there is written later, or nobody's.
static inline void copy_floats(float *dst, const float *src, int64_t n)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) vstore(dst + i, vload(src + i));
    if (i < n) vstore(dst + i, vload_m(src + i, vhead(n - i)));
}

static inline void zero_floats(float *dst, int64_t n)
{
    for (int64_t i = 0; i < n; i += VW) vstore(dst + i, vzero());
}

#if defined(__AVX512F__)
#define LANES(op) _mm512_##op
#else
#define LANES(op) _mm256_##op
#endif

// r[i] = row i of a VW x VW block -> r[j] = column j.  4 x 4 within lanes of 128 bits, then the lanes.
static inline __attribute__((always_inline)) void transpose_vectors(vf r[VW])
{
    vf t[VW];
#pragma GCC unroll 16
    for (int i = 0; i < VW; i += 2) {
        t[i] = LANES(unpacklo_ps)(r[i], r[i + 1]);
        t[i + 1] = LANES(unpackhi_ps)(r[i], r[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < VW; i += 4) {   // r[i + c], lane l: column 4 l + c of rows i..i+3
        r[i] = LANES(shuffle_ps)(t[i], t[i + 2], 0x44);
        r[i + 1] = LANES(shuffle_ps)(t[i], t[i + 2], 0xEE);
        r[i + 2] = LANES(shuffle_ps)(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = LANES(shuffle_ps)(t[i + 1], t[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
#if defined(__AVX512F__)
        t[c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);        // lanes 0, 2 of rows 0..3, then of rows 4..7
        t[4 + c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xDD);    // lanes 1, 3
        t[8 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
        t[12 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xDD);
#else
        t[c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x20);
        t[4 + c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x31);
#endif
    }
#if defined(__AVX512F__)
#pragma GCC unroll 8
    for (int c = 0; c < 8; c++) {
        r[c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
        r[8 + c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0xDD);
    }
#else
#pragma GCC unroll 8
    for (int c = 0; c < VW; c++) r[c] = t[c];
#endif
}
#undef LANES

// dst[j][i] = src[i][j] for `rows` x `cols` of src.
static void transpose_block(const float *src, int64_t ls, int64_t rows, int64_t cols, float *dst, int64_t ld)
{
    enum { AHEAD_COLS = 64 };   // so many streams are too many for the hardware to foresee
    const int64_t rv = rows / VW * VW, cv = cols / VW * VW;
    for (int64_t j = 0; j < cv; j += VW)
        for (int64_t i = 0; i < rv; i += VW) {
            vf r[VW];
#pragma GCC unroll 16
            for (int q = 0; q < VW; q++) {
                r[q] = vload(src + (i + q) * ls + j);
                __builtin_prefetch(src + (i + q) * ls + j + AHEAD_COLS);
            }
            transpose_vectors(r);
#pragma GCC unroll 16
            for (int q = 0; q < VW; q++) vstore(dst + (j + q) * ld + i, r[q]);
        }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i < rv ? cv : 0; j < cols; j++) dst[j * ld + i] = src[i * ls + j];
}

// Rows k0.., columns n0.. of a B whose transpose is kept in panels.
static void transpose_panels(const Gemm *g, int64_t k0, int64_t rows, int64_t n0, int64_t cols, float *dst)
{
    for (int64_t k = 0; k < rows; k += PANEL)
        transpose_block(g->transposed + ((k0 + k) / PANEL * g->N + n0) * PANEL, PANEL, cols, min_i64(PANEL, rows - k),
                        dst + k * NR, NR);
}

// Columns n0.. of rows k0..k0+kc of B, as a panel [kc][NR], zero beyond N.
static void pack_panel(const Gemm *g, int64_t k0, int64_t kc, int64_t n0, float *dst)
{
    const int64_t n = min_i64(NR, g->N - n0);
    if (n < NR) zero_floats(dst, kc * NR);
    if (g->transposed) {
        transpose_panels(g, k0, kc, n0, n, dst);
    } else if (g->fetch_b) {
        g->fetch_b(g, k0, kc, n0, n, dst, NR);
    } else if (g->cb != 1) {
        transpose_block(g->b + k0 + n0 * g->cb, g->cb, n, kc, dst, NR);
    } else {
        const float *src = g->b + k0 * g->rb + n0;
        if (n == NR)
            for (int64_t k = 0; k < kc; k++) {
                for (int j = 0; j < NV; j += 64 / (4 * VW))
                    __builtin_prefetch(src + (k + PREFETCH_TERMS) * g->rb + j * VW);
                for (int j = 0; j < NV; j++) vstore(dst + k * NR + j * VW, vload(src + k * g->rb + j * VW));
            }
        else
            for (int64_t k = 0; k < kc; k++) copy_floats(dst + k * NR, src + k * g->rb, n);
    }
}

// ---- one block

// A block of A as the tiles read it.
typedef struct ABlock { const float *a; int64_t ra, ca; } ABlock;

// Reading A in place hurts when it is not there, when 12 rows fall on the same cache sets, and when each k of a matrix
// beyond the L1 cache lies on another line.
static inline bool copies_a(const Gemm *g)
{
    if (g->fetch_a) return true;
    if (g->N <= NR || g->M < MR) return false;
    return g->ra == 1 ? g->K * g->ca > L1_FLOATS : g->ra % 512 == 0;
}

// Floats from row to row of a copy: an odd number of cache lines, so that rows do not meet in one set.
static inline int64_t copy_stride(int64_t cols) { return ceil_div(cols, 32) * 32 + 16; }

static ABlock block_of_a(const Gemm *g, int64_t m0, int64_t mc, int64_t k0, int64_t kc, float *copy)
{
    if (!copies_a(g)) return (ABlock){g->a + m0 * g->ra + k0 * g->ca, g->ra, g->ca};
    const bool by_k = g->ra == 1;
    const int64_t cols = by_k ? mc : kc, rows = by_k ? kc : mc, ld = copy_stride(cols);
    if (g->fetch_a)
        g->fetch_a(g, by_k ? k0 : m0, rows, by_k ? m0 : k0, cols, copy, ld);
    else
        for (int64_t i = 0; i < rows; i++)
            copy_floats(copy + i * ld, by_k ? g->a + m0 + (k0 + i) * g->ca : g->a + (m0 + i) * g->ra + k0, cols);
    return by_k ? (ABlock){copy, 1, ld} : (ABlock){copy, ld, 1};
}

// A finished tile [rows][NR] goes to a C that is transposed or whose rows lie anywhere.
static void scatter(const Gemm *g, const float *tile, int64_t m0, int64_t rows, int64_t n0, int64_t n, bool add)
{
    if (g->c_row) {
        for (int64_t i = 0; i < rows; i++) {
            float *c = g->c_row(g, m0 + i) + n0;
            for (int64_t j = 0; j < n; j += VW) {
                const vmask m = vhead(n - j);
                const vf v = vload(tile + i * NR + j);
                vstore_m(c + j, m, add ? vadd(vload_m(c + j, m), v) : v);
            }
        }
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        float *c = g->c + m0 + (n0 + j) * g->cc;
        for (int64_t i = 0; i < rows; i++) c[i] = add ? c[i] + tile[i * NR + j] : tile[i * NR + j];
    }
}

// Where the tiles find B: where it is; in a panel that the thread fills when it comes to it; in panels that all threads
// share (written by all, then a barrier).
typedef enum BPlace { B_IN_PLACE, B_PACKED, B_OWN_PANEL, B_SHARED_PANELS } BPlace;

// Row k, column n of a B that is kept in panels.
static inline const float *packed_at(const Gemm *g, int64_t k, int64_t n)
{
    return g->packed + (n / PANEL * g->K + k) * PANEL + n % PANEL;
}

typedef struct Prefetch { const float *at; int64_t cols, step; } Prefetch;

// Where the next panel of B is read from, in the order in which it lies: what the hardware foresees comes twice as
// fast.
static inline Prefetch next_panel(const Gemm *g, int64_t k0, int64_t kc, int64_t n)
{
    if (n + NR > g->N || g->fetch_b) return (Prefetch){0};
    if (g->packed) return (Prefetch){packed_at(g, k0, n), NR, PANEL};
    if (g->transposed) return (Prefetch){g->transposed + (k0 / PANEL * g->N + n) * PANEL, NR * PANEL, g->N * PANEL};
    if (g->cb == 1) return (Prefetch){g->b + k0 * g->rb + n, NR, g->rb};
    return (Prefetch){g->b + k0 + n * g->cb, kc, g->cb};
}

// Rows m0..m0+mc times columns n0..n1, terms k0..k0+kc.
typedef struct Block { int64_t m0, mc, n0, n1, k0, kc; } Block;

// panels: the thread's one, or the shared ones of columns nc0 on.
static void block_product(const Gemm *g, const Block *s, ABlock a, BPlace place, float *panels, int64_t nc0)
{
    const int64_t k0 = s->k0, kc = s->kc, mc = s->mc, n_tiles = ceil_div(mc, MR);
    const bool add = g->add || k0 > 0, direct = g->cc == 1 && !g->c_row, last = g->epilogue.kind && k0 + kc == g->K;
    float buf[MR * NR] __attribute__((aligned(64)));
    for (int64_t n = s->n0; n < s->n1;) {
        int64_t width = min_i64(NR, g->N - n);
        const int kind = width == NR ? 2 : width > VW ? 1 : 0;
        const int64_t ldb = place == B_IN_PLACE ? g->rb : place == B_PACKED ? PANEL : NR;
        const float *b = place == B_IN_PLACE ? g->b + k0 * g->rb + n : panels;
        if (place == B_PACKED) b = packed_at(g, k0, n);
        if (place == B_SHARED_PANELS) b += (n - nc0) * kc;
        if (place == B_OWN_PANEL) pack_panel(g, k0, kc, n, panels);
        for (int64_t t = 0; t < n_tiles; t++) {   // tiles of nearly equal height: no last tile of one row
            const int64_t i = t * mc / n_tiles, rows = (t + 1) * mc / n_tiles - i, m = s->m0 + i;
            TileFn *fn = tiles[rows][kind];
            if (place == B_IN_PLACE && direct && g->M <= 2) {
                const int64_t wide = g->M == 1 ? 8 * VW : 4 * VW;
                if (n + wide <= s->n1) {
                    fn = g->M == 1 ? tile_1_wide : tile_2_wide;
                    width = wide;
                }
            }
            const bool first = t == 0 && kind == 2 && (place == B_OWN_PANEL || (place == B_PACKED && g->M > 1));
            Prefetch next = first ? next_panel(g, k0, kc, n + NR) : (Prefetch){0};
            if (next.at) fn = tiles[rows][kind + PREFETCHES];
            const Store to = {.c = direct ? g->c + m * g->rc + n : buf, .ldc = direct ? g->rc : NR,
                             .bias = g->bias && k0 == 0 ? g->bias + n : NULL, .alpha = g->alpha, .add = add && direct,
                             .run = g->run ? g->run : kc,
                             .prefetch = next.at, .prefetch_cols = next.cols, .prefetch_step = next.step};
            fn(kc, a.a + i * a.ra, a.ra, a.ca, b, ldb, width, &to);
            if (!direct) scatter(g, buf, m, rows, n, width, add);
            if (last) epilogue_block(&g->epilogue, g->c, m * g->rc + n, g->rc, rows, width);
        }
        n += width;
    }
}

#include "cpu_simd/gemm_skinny.h"

// ---- the whole product

typedef struct Plan {
    BPlace place;
    SkinnyKind skinny;
    int64_t kc, mc, nc, group;   // group: columns of one task
    int64_t a_floats, b_floats;  // scratch of the copies of A (one a thread) and B
} Plan;

// Rows of A, kc terms each, that so many floats hold.
static inline int64_t gemm_rows(int64_t floats, int64_t kc) { return floats / kc >= MR ? floats / kc / MR * MR : MR; }

// Rows of A of a task beside shared panels.  Copied k by k, short rows cost: dW of 512x6x6 32 -> 64 in blocks of 144
// instead of 24 1.13 (AVX-512) and 1.2 times (AVX2) as fast.
static int64_t shared_rows(const Gemm *g, bool copy, int64_t m_max)
{
    enum { BY_K = 144 };
    const int64_t each = min_i64(m_max, ceil_div(ceil_div(g->M, TASKS), MR) * MR);
    if (!copy || g->ra != 1 || each >= BY_K) return each;
    const int64_t part = ceil_div(ceil_div(g->M, omp_get_max_threads()), MR) * MR;
    return part > each ? min_i64(part, BY_K) : each;
}

static Plan gemm_plan(const Gemm *g)
{
    Plan p = {.kc = gemm_kc(g->K), .skinny = skinny_kind(g)};
    if (p.skinny) {
        p.place = B_OWN_PANEL;
        p.b_floats = p.skinny == SKINNY_COLUMNS ? NR * p.kc : 0;
        return p;
    }
    const bool copy = copies_a(g);
    const int64_t m_max = gemm_rows(A_BLOCK, p.kc), m_whole = gemm_rows(A_WHOLE, p.kc);
    // All rows, or 288, in one block where that leaves tasks enough: B is then packed panel by panel, without barriers,
    // and the next panel is prefetched.  Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
    const bool by_columns = !copy || (g->M <= m_whole && !g->fetch_a && g->N >= 4 * NR);
    p.mc = by_columns ? ceil_div(ceil_div(g->M, ceil_div(g->M, m_whole)), MR) * MR
                      : shared_rows(g, copy, m_max);
    p.mc = min_i64(p.mc, g->M);
    const int64_t m_blocks = ceil_div(g->M, p.mc);
    // Few rows read B once or twice, and a small B stays in the L1 cache: nothing to win by copying it.
    const bool in_place = g->M <= 2 * MR || (g->M <= 64 && g->K * g->rb <= L1_FLOATS);
    p.place = g->packed ? B_PACKED : g->cb == 1 && !g->fetch_b && in_place ? B_IN_PLACE
              : m_blocks == 1 || (by_columns && !g->fetch_b) ? B_OWN_PANEL : B_SHARED_PANELS;
    p.nc = p.place == B_SHARED_PANELS ? min_i64(ceil_div(g->N, NR) * NR, NC) : g->N;
    const int64_t panels = ceil_div(p.nc, NR);
    p.group = by_columns ? ceil_div(panels * m_blocks, TASKS) * NR : panels * NR;
    p.a_floats = copy ? (g->ra == 1 ? copy_stride(p.mc) * p.kc : copy_stride(p.kc) * p.mc) : 0;
    p.b_floats = p.place <= B_PACKED ? 0 : (p.place == B_OWN_PANEL ? 1 : panels) * NR * p.kc;
    return p;
}

// What thread `tid` of `n` does.  panels: shared by all, or its own, as the plan says; copy: its own.
static void gemm_member(const Gemm *g, const Plan *p, float *panels, float *copy, int tid, int n)
{
    if (p->skinny) {
        skinny_member(g, p->skinny, panels, tid, n);
        return;
    }
    const int64_t m_blocks = ceil_div(g->M, p->mc);
    for (int64_t nc0 = 0; nc0 < g->N; nc0 += p->nc) {
        const int64_t nc1 = min_i64(nc0 + p->nc, g->N), groups = ceil_div(nc1 - nc0, p->group);
        for (int64_t k0 = 0; k0 < g->K; k0 += p->kc) {
            const int64_t kc = min_i64(p->kc, g->K - k0);
            if (p->place == B_SHARED_PANELS) {
                for (int64_t j = nc0 + tid * NR; j < nc1; j += n * NR)
                    pack_panel(g, k0, kc, j, panels + (j - nc0) * kc);
                if (n > 1) {
#pragma omp barrier
                }
            }
            int64_t copied = -1;
            ABlock a = {0};
            const int64_t tasks = m_blocks * groups;   // of a thread: neighbours, so that few threads read a block of A
            for (int64_t task = tasks * tid / n; task < tasks * (tid + 1) / n; task++) {
                const int64_t m0 = task / groups * p->mc, mc = min_i64(p->mc, g->M - m0);
                const int64_t n0 = nc0 + task % groups * p->group, n1 = min_i64(n0 + p->group, nc1);
                const Block block = {m0, mc, n0, n1, k0, kc};
                if (copied != m0) a = block_of_a(g, m0, mc, k0, kc, copy);
                copied = m0;
                block_product(g, &block, a, p->place, panels, nc0);
            }
            if (p->place == B_SHARED_PANELS && n > 1) {
#pragma omp barrier
            }
        }
    }
}

static inline size_t padded(int64_t floats) { return (size_t)ceil_div(floats, 16) * 16; }

// C^T = B^T A^T: for a C stored transposed.
static Gemm gemm_oriented(const Gemm *g)
{
    if (g->cc == 1) return *g;
    Gemm t = *g;
    t.M = g->N, t.N = g->M;
    t.a = g->b, t.ra = g->cb, t.ca = g->rb, t.a_step = g->b_step;
    t.b = g->a, t.rb = g->ca, t.cb = g->ra, t.b_step = g->a_step;
    t.rc = g->cc, t.cc = g->rc;
    return t;
}

// Product r of the batch.
static Gemm gemm_nth(const Gemm *g, int64_t r)
{
    Gemm one = *g;
    one.a += r * g->a_step, one.b += r * g->b_step, one.c += r * g->c_step;
    return one;
}

// What a call needs beside the product: its threads, and how they share the batch.
typedef struct Team {
    Plan plan;
    bool many;                 // each thread has products of its own, else all threads work on each product
    bool own;                  // each thread has panels of its own
    float *panels, *copies;    // scratch
    size_t b_floats, a_floats; // of one thread
} Team;

static void team_member(const Gemm *g, const Team *t, int tid, int n)
{
    float *panels = t->panels + (t->own ? t->b_floats * (size_t)tid : 0), *copy = t->copies + t->a_floats * (size_t)tid;
    for (int64_t r = t->many ? tid : 0; r < (g->batch ? g->batch : 1); r += t->many ? n : 1) {
        const Gemm one = gemm_nth(g, r);
        gemm_member(&one, &t->plan, panels, copy, t->many ? 0 : tid, t->many ? 1 : n);
    }
}

// Few products: all threads on each.  Many: each thread its own ones; two barriers cost more than a small product.
static void gemm_run(const Gemm *want, Arena *scratch)
{
    const Gemm g = *want;
    const size_t mark = arena_mark(scratch);
    Team t = {.plan = gemm_plan(&g), .many = g.batch >= 4};
    t.own = t.many || t.plan.place == B_OWN_PANEL;
    t.a_floats = padded(t.plan.a_floats), t.b_floats = padded(t.plan.b_floats);
    const int threads = g.M * g.N * g.K * (t.many ? g.batch : 1) > PAR_WORK ? omp_get_max_threads() : 1;
    t.panels = arena_alloc(scratch, t.b_floats * (size_t)(t.own ? threads : 1) * sizeof(float));
    t.copies = arena_alloc(scratch, t.a_floats * (size_t)threads * sizeof(float));
    if (threads == 1) {   // even a team of one costs a tenth of a small product
        team_member(&g, &t, 0, 1);
    } else {
#pragma omp parallel num_threads(threads)
        team_member(&g, &t, omp_get_thread_num(), omp_get_num_threads());
    }
    arena_rewind(scratch, mark);
}

#include "cpu_simd/gemm_transposed.h"

static inline void gemm(const Gemm *want, Arena *scratch)
{
    const Gemm g = gemm_oriented(want);
    if (wants_transposed(&g)) gemm_transposed(&g, scratch);
    else gemm_run(&g, scratch);
}

// db[n] += sum of column n of dy [M,N].  A chunk of columns belongs to one thread; rows are added in order, in runs of
// 64 that are summed first: the error grows with the run and the number of runs, not with M.
static inline void column_sums(const float *dy, int64_t M, int64_t N, float *db)
{
    enum { WIDE = 4 * VW, RUN = 64 };
#pragma omp parallel for if (M * N > 65536)
    for (int64_t n0 = 0; n0 < N; n0 += WIDE) {
        for (int64_t m0 = 0; m0 < M; m0 += RUN) {
            const int64_t m1 = min_i64(M, m0 + RUN);
            for (int64_t n = n0; n < min_i64(N, n0 + WIDE); n += VW) {
                const vmask mask = vhead(N - n);
                vf sum = vzero();
                for (int64_t m = m0; m < m1; m++) sum = vadd(sum, vload_m(dy + m * N + n, mask));
                vstore_m(db + n, mask, vadd(vload_m(db + n, mask), sum));
            }
        }
    }
}

#endif
