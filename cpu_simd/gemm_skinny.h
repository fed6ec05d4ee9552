// Skinny products, in which each element of the large operand is used only once or a few times (decode, conditions,
// global vectors).  Memory is the limit, so nothing is packed, and the large operand is read in the order it is stored.
//   M <= SKINNY rows, B row-major       rows of B added to sums in the L1 cache, eight (M = 1) or four at a time
//   M <= SKINNY rows, B^T row-major     vectors of columns made in registers
//   K <= SKINNY terms (dW of few rows)  C in its own order
// The sum of an element runs as in gemm.h (k upwards in blocks of gemm_kc), so the bits are the same.
#ifndef LEAD_CPU_SIMD_GEMM_SKINNY_H
#define LEAD_CPU_SIMD_GEMM_SKINNY_H

enum { SKINNY_SUMS = 8192, SKINNY_VALUES = 4096 };   // floats kept in the L1 cache: sums, parts of rows of B

typedef struct SkinnyBlock { int64_t k0, kc; } SkinnyBlock;

// C of row i, columns n.. = or += alpha sum (+ bias)
static inline void skinny_store(const Gemm *g, SkinnyBlock b, int64_t i, int64_t n, int64_t width, vf sum)
{
    float *c = g->c + i * g->rc + n;
    vf v = vmul(vset1(g->alpha), sum);
    if (g->bias && b.k0 == 0) v = vadd(v, vload_n(g->bias + n, width));
    if (g->add || b.k0 > 0) v = vadd(vload_n(c, width), v);
    vstore_n(c, width, v);
    if (g->epilogue.kind && b.k0 + b.kc == g->K)
        epilogue_block(&g->epilogue, g->c, i * g->rc + n, g->rc, 1, min_i64(width, VW));
}

// sums [rows][ld], of n columns, += a (rows x terms) b (terms x n)
static inline __attribute__((always_inline)) void skinny_axpy(const int rows, const int terms, const Gemm *g,
                                                              const float *a, const float *b, int64_t n, float *sums,
                                                              int64_t ld)
{
    vf va[SKINNY][8];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int t = 0; t < terms; t++) va[i][t] = vset1(a[i * g->ra + t * g->ca]);
    int64_t j = 0;
    for (; j + VW <= n; j += VW) {
        vf vb[8];
#pragma GCC unroll 8
        for (int t = 0; t < terms; t++) {
            vb[t] = vload(b + t * g->rb + j);
            if (j % 16 == 0) __builtin_prefetch(b + (terms + t) * g->rb + j, 0, 2);
        }
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            vf s = vload(sums + i * ld + j);
#pragma GCC unroll 8
            for (int t = 0; t < terms; t++) s = vfma(va[i][t], vb[t], s);
            vstore(sums + i * ld + j, s);
        }
    }
    if (j == n) return;
    for (int i = 0; i < rows; i++) {
        vf s = vload(sums + i * ld + j);
        for (int t = 0; t < terms; t++) s = vfma(va[i][t], vload_m(b + t * g->rb + j, vhead(n - j)), s);
        vstore(sums + i * ld + j, s);
    }
}

typedef void SkinnyRows(const Gemm *g, SkinnyBlock b, int64_t n0, int64_t n, float *sums, int64_t ld);

static inline __attribute__((always_inline)) void skinny_rows_body(const int rows, const Gemm *g, SkinnyBlock b,
                                                                   int64_t n0, int64_t n, float *sums, int64_t ld)
{
    const float *pa = g->a + b.k0 * g->ca, *pb = g->b + b.k0 * g->rb + n0;
    int64_t k = 0;
    // One row takes eight terms at a time: eight streams from memory, from where decoding reads its weights.  What
    // already lies in the L3 cache gets slower.  Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
    const int terms = rows == 1 ? 8 : 4;
    for (; k + terms <= b.kc; k += terms) skinny_axpy(rows, terms, g, pa + k * g->ca, pb + k * g->rb, n, sums, ld);
    for (; k < b.kc; k++) skinny_axpy(rows, 1, g, pa + k * g->ca, pb + k * g->rb, n, sums, ld);
}

// Columns n0..n1, B row-major.
static void skinny_rows(const Gemm *g, SkinnyRows *fn, int64_t n0, int64_t n1)
{
    float sums[SKINNY_SUMS] __attribute__((aligned(64)));
    const int64_t chunk = SKINNY_SUMS / g->M / VW * VW, kc = gemm_kc(g->K);
    for (int64_t n = n0; n < n1; n += chunk) {
        const int64_t width = min_i64(chunk, n1 - n), ld = ceil_div(width, VW) * VW;
        for (int64_t k0 = 0; k0 < g->K; k0 += kc) {
            const SkinnyBlock b = {k0, min_i64(kc, g->K - k0)};
            zero_floats(sums, g->M * ld);
            fn(g, b, n, width, sums, ld);
            for (int64_t i = 0; i < g->M; i++)
                for (int64_t j = 0; j < width; j += VW)
                    skinny_store(g, b, i, n + j, width - j, vload(sums + i * ld + j));
        }
    }
}

// Columns n .. n + groups VW of B^T row-major; all of them exist.  Prefetches the next ones in the order of memory.
static inline __attribute__((always_inline)) void skinny_columns_body(const int rows, const int groups, const Gemm *g,
                                                                      SkinnyBlock b, int64_t n)
{
    vf acc[SKINNY][2];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < groups; j++) acc[i][j] = vzero();
    const float *pa = g->a + b.k0 * g->ca, *pb = g->b + b.k0 + n * g->cb, *line = pb + groups * VW * g->cb;
    int64_t k = 0, fetched = 0;
    for (; k + VW <= b.kc; k += VW)
#pragma GCC unroll 2
        for (int j = 0; j < groups; j++) {
            vf v[VW];
            for (int r = 0; r < VW; r += 64 / (4 * VW)) {
                __builtin_prefetch(line + fetched, 0, 2);
                if ((fetched += 16) >= b.kc) {
                    fetched = 0;
                    line += g->cb;
                }
            }
#pragma GCC unroll 16
            for (int r = 0; r < VW; r++) v[r] = vload(pb + (j * VW + r) * g->cb + k);
            transpose_vectors(v);
#pragma GCC unroll 16
            for (int t = 0; t < VW; t++)
#pragma GCC unroll 4
                for (int i = 0; i < rows; i++)
                    acc[i][j] = vfma(vset1(pa[i * g->ra + (k + t) * g->ca]), v[t], acc[i][j]);
        }
    for (; k < b.kc; k++) {
        float column[2 * VW];
        for (int r = 0; r < groups * VW; r++) column[r] = pb[r * g->cb + k];
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
            for (int j = 0; j < groups; j++)
                acc[i][j] = vfma(vset1(pa[i * g->ra + k * g->ca]), vload(column + j * VW), acc[i][j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < groups; j++) skinny_store(g, b, i, n + j * VW, VW, acc[i][j]);
}

typedef void SkinnyColumns(const Gemm *g, SkinnyBlock b, int64_t n);

#define COLUMNS(rows, n)                                                                                           \
    static void skinny_columns_##rows##_##n(const Gemm *g, SkinnyBlock b, int64_t at)                              \
    {                                                                                                              \
        skinny_columns_body(rows, n, g, b, at);                                                                    \
    }
#define SKINNY_OF(rows)                                                                                            \
    static void skinny_rows_##rows(const Gemm *g, SkinnyBlock b, int64_t n0, int64_t n, float *sums, int64_t ld)   \
    {                                                                                                              \
        skinny_rows_body(rows, g, b, n0, n, sums, ld);                                                             \
    }                                                                                                              \
    COLUMNS(rows, 1) COLUMNS(rows, 2)
SKINNY_OF(1) SKINNY_OF(2) SKINNY_OF(3) SKINNY_OF(4)
#undef SKINNY_OF
#undef COLUMNS

static SkinnyRows *const skinny_rows_of[SKINNY] = {skinny_rows_1, skinny_rows_2, skinny_rows_3, skinny_rows_4};
static SkinnyColumns *const skinny_columns_of[SKINNY][2] = {   // [rows][vectors of columns]
    {skinny_columns_1_1, skinny_columns_1_2}, {skinny_columns_2_1, skinny_columns_2_2},
    {skinny_columns_3_1, skinny_columns_3_2}, {skinny_columns_4_1, skinny_columns_4_2}};

// Columns n0..n1, B^T row-major; what is less than a vector goes through a panel.
static void skinny_columns(const Gemm *g, int64_t n0, int64_t n1, float *panel)
{
    const int64_t kc = gemm_kc(g->K);
    for (int64_t n = n0; n < n1;) {
        const int64_t groups = n1 - n >= 2 * VW ? 2 : 1, end = min_i64(n + groups * VW, n1);
        for (int64_t k0 = 0; k0 < g->K; k0 += kc) {
            const SkinnyBlock b = {k0, min_i64(kc, g->K - k0)};
            if (end - n == groups * VW) {
                skinny_columns_of[g->M - 1][groups - 1](g, b, n);
            } else {
                const Block rest = {0, g->M, n, end, k0, b.kc};
                block_product(g, &rest, (ABlock){g->a + k0 * g->ca, g->ra, g->ca}, B_OWN_PANEL, panel, 0);
            }
        }
        n = end;
    }
}

// Row m, columns n0..n1, of a product of K = terms.
static inline __attribute__((always_inline)) void skinny_terms_row(const int terms, const Gemm *g, int64_t m,
                                                                   int64_t n0, int64_t n1)
{
    const SkinnyBlock all = {0, terms};
    vf va[SKINNY];
#pragma GCC unroll 4
    for (int t = 0; t < terms; t++) va[t] = vset1(g->a[m * g->ra + t * g->ca]);
    for (int64_t n = n0; n < n1; n += VW) {
        vf s = vzero();
#pragma GCC unroll 4
        for (int t = 0; t < terms; t++) s = vfma(va[t], vload_n(g->b + t * g->rb + n, n1 - n), s);
        skinny_store(g, all, m, n, n1 - n, s);
    }
}

// Rows m0..m1 of a product of K <= SKINNY terms, in pieces of columns whose rows of B stay in the L1 cache.
static void skinny_terms(const Gemm *g, int64_t m0, int64_t m1)
{
    for (int64_t n0 = 0; n0 < g->N; n0 += SKINNY_VALUES / g->K) {
        const int64_t n1 = min_i64(g->N, n0 + SKINNY_VALUES / g->K);
        for (int64_t m = m0; m < m1; m++) {
            if (g->K == 1) skinny_terms_row(1, g, m, n0, n1);
            else if (g->K == 2) skinny_terms_row(2, g, m, n0, n1);
            else if (g->K == 3) skinny_terms_row(3, g, m, n0, n1);
            else skinny_terms_row(4, g, m, n0, n1);
        }
    }
}

// The kind of product that this file is for, or SKINNY_NONE.
typedef enum SkinnyKind { SKINNY_NONE, SKINNY_ROWS, SKINNY_COLUMNS, SKINNY_4 } SkinnyKind;

static SkinnyKind skinny_kind(const Gemm *g)
{
    if (g->packed || g->transposed || g->fetch_a || g->fetch_b || g->c_row || g->cc != 1 || g->run) return SKINNY_NONE;
    if (g->M <= SKINNY) return g->cb == 1 ? SKINNY_ROWS : SKINNY_COLUMNS;
    return g->K <= SKINNY && g->cb == 1 ? SKINNY_4 : SKINNY_NONE;
}

// The part of thread tid of n.
static void skinny_member(const Gemm *g, SkinnyKind kind, float *panel, int tid, int n)
{
    const int64_t unit = kind == SKINNY_4 ? 1 : 4 * VW, all = ceil_div(kind == SKINNY_4 ? g->M : g->N, unit);
    const int64_t end = kind == SKINNY_4 ? g->M : g->N;
    const int64_t from = min_i64(all * tid / n * unit, end), to = min_i64(all * (tid + 1) / n * unit, end);
    if (kind == SKINNY_ROWS) skinny_rows(g, skinny_rows_of[g->M - 1], from, to);
    else if (kind == SKINNY_COLUMNS) skinny_columns(g, from, to, panel);
    else skinny_terms(g, from, to);
}

#endif
