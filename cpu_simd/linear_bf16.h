// linear and its fused forms, forward, with a weight in bf16 panels (tensor/pack.h):
//   y [M,N] = x [M,K] W [K,N] (+ b [N])
//
// Compiled three times.  Within linear.inl, for AVX2 and AVX-512: a half of each pair is widened to f32 in registers, x
// stays in f32.  By itself with AVX512-BF16: x is rounded to pairs once a call, and vdpbf16ps multiplies both terms of
// a pair; a Zen 4 starts as many of them as multiply-adds of f32, so the ceiling is twice that of f32.  Bounds: pack.h.
//
// What it saves: half the bytes of the weight where memory is the limit, half the instructions with AVX512-BF16.
// AVX2 loses where it computes.  Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
//
// Order of sums: an element has one sum in f32, k upwards over all terms, whatever the other rows, the threads and the
// width of the tile.  An error of K 2^-24 needs no blocks of terms beside that of bf16; so C is written once.
#ifndef LEAD_CPU_SIMD_LINEAR_BF16_H
#define LEAD_CPU_SIMD_LINEAR_BF16_H

#include <omp.h>

#include "cpu_simd/epilogue.h"
#include "cpu_simd/vec.h"
#include "tensor/pack.h"

#if defined(__AVX512BF16__)
typedef uint32_t Terms;      // two bf16 of x
enum { STEPS = 1 };          // of a pair
#else
typedef float Terms;
enum { STEPS = 2 };
#endif
#if defined(__AVX512F__)
enum { BF_ROWS = 12 };
#else
enum { BF_ROWS = 6 };
#endif
enum { BF_UNIT = 4 * PANEL,  // columns of one task
       BF_BLOCK = 65536,     // Terms of x that are read with each panel: a part of the L2 cache
       BF_PAR = 200000 };    // multiply-adds worth waking the other threads for

typedef struct Bf16Product {
    int64_t M, N, K, pairs, whole;   // whole: pairs of which all is in x
    const Terms *x;                  // rows ld apart
    int64_t ld;
    const uint32_t *w;               // [ceil(N/PANEL)][pairs][PANEL]
    const float *bias;               // or NULL
    float *y;                        // [M,N]
    Epilogue epilogue;
} Bf16Product;

// ---- register tiles

#if defined(__AVX512BF16__)
static inline vf bf_weight(const uint32_t *w, int step, bool full)
{
    (void)step, (void)full;
    return vload((const float *)(const void *)w);
}
static inline vf bf_term(const Terms *x) { return _mm512_castsi512_ps(_mm512_set1_epi32((int)*x)); }
static inline vf bf_add(vf x, vf w, vf sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(x), (__m512bh)_mm512_castps_si512(w));
}
#else
// step 0: the lower half, the even term.  full: the tile's sums leave no register for a mask, and gcc would spill a sum
// instead; one row alone is faster with the mask.
static inline vf bf_weight(const uint32_t *w, int step, bool full)
{
#if defined(__AVX512F__)
    (void)full;
    const __m512i v = _mm512_loadu_si512(w);
    return _mm512_castsi512_ps(step ? _mm512_and_si512(v, _mm512_set1_epi32(-65536)) : _mm512_slli_epi32(v, 16));
#else
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)w);
    if (step && !full) return _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32(-65536)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(step ? _mm256_srli_epi32(v, 16) : v, 16));
#endif
}
static inline vf bf_term(const Terms *x) { return vset1(*x); }
static inline vf bf_add(vf x, vf w, vf sum) { return vfma(x, w, sum); }
#endif

// Columns n.., a multiple of 2 VW.
static inline const uint32_t *bf_column(const Bf16Product *g, int64_t n)
{
    return g->w + n / PANEL * g->pairs * PANEL + n % PANEL;
}

static inline __attribute__((always_inline)) void bf_step(const int rows, const int nv, const int step, int64_t ld,
                                                          int64_t p, const Terms *const x[4],
                                                          const uint32_t *const w[4], vf acc[12][8])
{
    vf vw[8];
#pragma GCC unroll 8
    for (int j = 0; j < nv; j++) vw[j] = bf_weight(w[j / 2] + p * PANEL + j % 2 * VW, step, rows > 1);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        const vf vx = bf_term(x[i / 3] + i % 3 * ld + STEPS * p + step);
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) acc[i][j] = bf_add(vx, vw[j], acc[i][j]);
    }
}

// Rows m.., nv vectors of columns from n on, all of which are in panels; those beyond N are not stored.
static inline __attribute__((always_inline)) void bf_tile_body(const int rows, const int nv, const Bf16Product *g,
                                                               int64_t m, int64_t n)
{
    vf acc[12][8];
    const Terms *x[4];
    const uint32_t *w[4];
#pragma GCC unroll 4
    for (int i = 0; i < (rows + 2) / 3; i++) x[i] = g->x + (m + 3 * i) * g->ld;
#pragma GCC unroll 4
    for (int j = 0; j < nv / 2; j++) w[j] = bf_column(g, n + 2 * j * VW);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) acc[i][j] = vzero();
    for (int64_t p = 0; p < g->whole; p++)
#pragma GCC unroll 2
        for (int step = 0; step < STEPS; step++) bf_step(rows, nv, step, g->ld, p, x, w, acc);
    if (STEPS == 2 && g->whole < g->pairs) bf_step(rows, nv, 0, g->ld, g->whole, x, w, acc);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) {
            const int64_t at = n + j * VW, width = g->N - at;
            if (width <= 0) break;
            const vf v = g->bias ? vadd(acc[i][j], vload_n(g->bias + at, width)) : acc[i][j];
            vstore_n(g->y + (m + i) * g->N + at, width, v);
        }
    if (g->epilogue.kind) epilogue_block(&g->epilogue, g->y, m * g->N + n, g->N, rows, min_i64(nv * VW, g->N - n));
}

typedef void Bf16Tile(const Bf16Product *g, int64_t m, int64_t n);
#define BF_TILE(rows, nv) \
    static void bf_tile_##rows##_##nv(const Bf16Product *g, int64_t m, int64_t n) { bf_tile_body(rows, nv, g, m, n); }
BF_TILE(1, 2) BF_TILE(2, 2) BF_TILE(3, 2) BF_TILE(4, 2) BF_TILE(5, 2) BF_TILE(6, 2)
// Few rows alone: more columns, for as many independent sums as the units want.
#if defined(__AVX512F__)
BF_TILE(7, 2) BF_TILE(8, 2) BF_TILE(9, 2) BF_TILE(10, 2) BF_TILE(11, 2) BF_TILE(12, 2)
BF_TILE(1, 8) BF_TILE(2, 8) BF_TILE(3, 8) BF_TILE(4, 4) BF_TILE(5, 4) BF_TILE(6, 4)
static const struct { int wide; Bf16Tile *narrow, *whole; } bf_tiles[BF_ROWS + 1] = {
    {0}, {8, bf_tile_1_2, bf_tile_1_8}, {8, bf_tile_2_2, bf_tile_2_8}, {8, bf_tile_3_2, bf_tile_3_8},
    {4, bf_tile_4_2, bf_tile_4_4}, {4, bf_tile_5_2, bf_tile_5_4}, {4, bf_tile_6_2, bf_tile_6_4},
    {2, bf_tile_7_2, bf_tile_7_2}, {2, bf_tile_8_2, bf_tile_8_2}, {2, bf_tile_9_2, bf_tile_9_2},
    {2, bf_tile_10_2, bf_tile_10_2}, {2, bf_tile_11_2, bf_tile_11_2}, {2, bf_tile_12_2, bf_tile_12_2}};
#else
BF_TILE(1, 8) BF_TILE(2, 4) BF_TILE(3, 4)
static const struct { int wide; Bf16Tile *narrow, *whole; } bf_tiles[BF_ROWS + 1] = {
    {0}, {8, bf_tile_1_2, bf_tile_1_8}, {4, bf_tile_2_2, bf_tile_2_4}, {4, bf_tile_3_2, bf_tile_3_4},
    {2, bf_tile_4_2, bf_tile_4_2}, {2, bf_tile_5_2, bf_tile_5_2}, {2, bf_tile_6_2, bf_tile_6_2}};
#endif
#undef BF_TILE

// ---- the whole product

static inline int64_t bf_ceil(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Rows m0..m0+mc times columns n0..n1.  A panel stays in the cache while the tiles of the block go over it.
static void bf_block(const Bf16Product *g, int64_t m0, int64_t mc, int64_t n0, int64_t n1)
{
    const int64_t high = bf_ceil(mc, BF_ROWS), end = bf_ceil(n1, 2 * VW) * 2 * VW;
    for (int64_t n = n0; n < end;) {
        int64_t step = 2 * VW;
        for (int64_t t = 0; t < high; t++) {   // tiles of nearly equal height
            const int64_t i = t * mc / high, rows = (t + 1) * mc / high - i;
            const bool wide = high == 1 && n + bf_tiles[rows].wide * VW <= end;
            (wide ? bf_tiles[rows].whole : bf_tiles[rows].narrow)(g, m0 + i, n);
            if (wide) step = bf_tiles[rows].wide * VW;
        }
        n += step;
    }
}

#if defined(__AVX512BF16__)
// x as pairs, zero beyond K.
static void bf_round(const Bf16Product *g, const float *x, uint32_t *to, int threads)
{
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t m = 0; m < g->M; m++)
        for (int64_t k = 0; k < g->K; k += VW) {
            const __m256i h = (__m256i)_mm512_cvtneps_pbh(vload_n(x + m * g->K + k, g->K - k));
            _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)(to + m * g->ld) + k), h);
        }
}
#endif

// Its part of the tasks, which are blocks of rows times units of columns.
static void bf_member(const Bf16Product *g, int tid, int n)
{
    const int64_t block = BF_BLOCK / g->ld / BF_ROWS * BF_ROWS, mc = block > BF_ROWS ? block : BF_ROWS;
    const int64_t units = bf_ceil(g->N, BF_UNIT), tasks = bf_ceil(g->M, mc) * units;
    for (int64_t t = tasks * tid / n; t < tasks * (tid + 1) / n; t++) {
        const int64_t m0 = t / units * mc, n0 = t % units * BF_UNIT;
        bf_block(g, m0, min_i64(mc, g->M - m0), n0, min_i64(n0 + BF_UNIT, g->N));
    }
}

static void linear_bf16(const OpCall *c, float *y, Epilogue epilogue)
{
    const int64_t K = c->in[1]->shape.d[0], N = c->in[1]->shape.d[1], M = numel(c->in[0]) / K;
    Bf16Product g = {.M = M, .N = N, .K = K, .pairs = bf_ceil(K, 2), .w = c->in[1]->x, .bias = in_x(c, 2), .y = y,
                     .epilogue = epilogue};
    const int threads = M * N * K > BF_PAR ? omp_get_max_threads() : 1;
    const size_t mark = arena_mark(c->scratch);
#if defined(__AVX512BF16__)
    const float *x = in_x(c, 0);
    g.ld = bf_ceil(g.pairs, 32) * 32 + 16;   // an odd number of cache lines, so that rows do not meet in one set
    g.whole = g.pairs;
    uint32_t *pairs = arena_alloc(c->scratch, (size_t)(M * g.ld) * sizeof *pairs);
    g.x = pairs;
    bf_round(&g, x, pairs, M > 8 ? threads : 1);
#else
    g.x = in_x(c, 0);
    g.ld = K;
    g.whole = K / 2;
#endif
    if (threads == 1) {
        bf_member(&g, 0, 1);
    } else {
#pragma omp parallel num_threads(threads)
        bf_member(&g, omp_get_thread_num(), omp_get_num_threads());
    }
    arena_rewind(c->scratch, mark);
}

#endif
