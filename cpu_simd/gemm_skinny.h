// Products that meet each element of the large operand once or a few times (decode, conditions, global vectors): the
// memory is the limit, so nothing is packed and the large operand is read in the order in which it lies.
//   M <= FEW rows, B row-major       rows of B added to sums in the L1 cache, eight (M = 1) or four at a time
//   M <= FEW rows, B^T row-major     vectors of columns made in registers
//   K <= FEW terms (dW of few rows)  C in its own order
// The sum of an element runs as in gemm.h (k upwards in blocks of gemm_kc), so the bits are the same.
#ifndef LEAD_CPU_SIMD_GEMM_SKINNY_H
#define LEAD_CPU_SIMD_GEMM_SKINNY_H

enum { FEW_SUMS = 8192, FEW_VALUES = 4096 };   // floats kept in the L1 cache: sums, parts of rows of B

typedef struct FewBlock { int64_t k0, kc; } FewBlock;

// C of row i, columns n.. = or += alpha sum (+ bias)
static inline void few_store(const Gemm *g, FewBlock b, int64_t i, int64_t n, int64_t width, vf sum)
{
    float *c = g->c + i * g->rc + n;
    vf v = vmul(vset1(g->alpha), sum);
    if (g->bias && b.k0 == 0) v = vadd(v, vload_n(g->bias + n, width));
    if (g->add || b.k0 > 0) v = vadd(vload_n(c, width), v);
    vstore_n(c, width, v);
    if (g->finish.kind && b.k0 + b.kc == g->K) finish_block(&g->finish, g->c, i * g->rc + n, g->rc, 1, min_i64(width, VW));
}

// sums [rows][ld], of n columns, += a (rows x terms) b (terms x n)
static inline __attribute__((always_inline)) void few_axpy(const int rows, const int terms, const Gemm *g,
                                                           const float *a, const float *b, int64_t n, float *sums,
                                                           int64_t ld)
{
    vf va[FEW][8];
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

typedef void FewRows(const Gemm *g, FewBlock b, int64_t n0, int64_t n, float *sums, int64_t ld);

static inline __attribute__((always_inline)) void few_rows_body(const int rows, const Gemm *g, FewBlock b, int64_t n0,
                                                                int64_t n, float *sums, int64_t ld)
{
    const float *pa = g->a + b.k0 * g->ca, *pb = g->b + b.k0 * g->rb + n0;
    int64_t k = 0;
    // One row takes eight terms at a time: eight streams.  Of the reading bandwidth of a Zen 4's memory, two runs:
    // N = 50257 0.87, 0.91 -> 0.94, 0.94; 3072 0.94, 0.86 -> 0.99, 0.92; 768 0.77, 0.75 -> 0.90, 0.83.  What already
    // lies in the L3 cache is up to a tenth slower, 0.70 -> 0.66; decoding reads weights from memory.
    const int terms = rows == 1 ? 8 : 4;
    for (; k + terms <= b.kc; k += terms) few_axpy(rows, terms, g, pa + k * g->ca, pb + k * g->rb, n, sums, ld);
    for (; k < b.kc; k++) few_axpy(rows, 1, g, pa + k * g->ca, pb + k * g->rb, n, sums, ld);
}

// Columns n0..n1, B row-major.
static void few_rows(const Gemm *g, FewRows *fn, int64_t n0, int64_t n1)
{
    float sums[FEW_SUMS] __attribute__((aligned(64)));
    const int64_t chunk = FEW_SUMS / g->M / VW * VW, kc = gemm_kc(g->K);
    for (int64_t n = n0; n < n1; n += chunk) {
        const int64_t width = min_i64(chunk, n1 - n), ld = ceil_div(width, VW) * VW;
        for (int64_t k0 = 0; k0 < g->K; k0 += kc) {
            const FewBlock b = {k0, min_i64(kc, g->K - k0)};
            zero_floats(sums, g->M * ld);
            fn(g, b, n, width, sums, ld);
            for (int64_t i = 0; i < g->M; i++)
                for (int64_t j = 0; j < width; j += VW)
                    few_store(g, b, i, n + j, width - j, vload(sums + i * ld + j));
        }
    }
}

// Columns n .. n + groups VW of B^T row-major; all of them exist.  Asks for the next ones in the order of memory.
static inline __attribute__((always_inline)) void few_columns_body(const int rows, const int groups, const Gemm *g,
                                                                   FewBlock b, int64_t n)
{
    vf acc[FEW][2];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < groups; j++) acc[i][j] = vzero();
    const float *pa = g->a + b.k0 * g->ca, *pb = g->b + b.k0 + n * g->cb, *ask = pb + groups * VW * g->cb;
    int64_t k = 0, asked = 0;
    for (; k + VW <= b.kc; k += VW)
#pragma GCC unroll 2
        for (int j = 0; j < groups; j++) {
            vf v[VW];
            for (int r = 0; r < VW; r += 64 / (4 * VW)) {
                __builtin_prefetch(ask + asked, 0, 2);
                if ((asked += 16) >= b.kc) {
                    asked = 0;
                    ask += g->cb;
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
        for (int j = 0; j < groups; j++) few_store(g, b, i, n + j * VW, VW, acc[i][j]);
}

typedef void FewColumns(const Gemm *g, FewBlock b, int64_t n);

#define COLUMNS(rows, n) \
    static void few_columns_##rows##_##n(const Gemm *g, FewBlock b, int64_t at) { few_columns_body(rows, n, g, b, at); }
#define FEW_OF(rows)                                                                                               \
    static void few_rows_##rows(const Gemm *g, FewBlock b, int64_t n0, int64_t n, float *sums, int64_t ld)         \
    {                                                                                                              \
        few_rows_body(rows, g, b, n0, n, sums, ld);                                                                \
    }                                                                                                              \
    COLUMNS(rows, 1) COLUMNS(rows, 2)
FEW_OF(1) FEW_OF(2) FEW_OF(3) FEW_OF(4)
#undef FEW_OF
#undef COLUMNS

static FewRows *const few_rows_of[FEW] = {few_rows_1, few_rows_2, few_rows_3, few_rows_4};
static FewColumns *const few_columns_of[FEW][2] = {   // [rows][vectors of columns]
    {few_columns_1_1, few_columns_1_2}, {few_columns_2_1, few_columns_2_2},
    {few_columns_3_1, few_columns_3_2}, {few_columns_4_1, few_columns_4_2}};

// Columns n0..n1, B^T row-major; what is less than a vector goes through a panel.
static void few_columns(const Gemm *g, int64_t n0, int64_t n1, float *panel)
{
    const int64_t kc = gemm_kc(g->K);
    for (int64_t n = n0; n < n1;) {
        const int64_t groups = n1 - n >= 2 * VW ? 2 : 1, end = min_i64(n + groups * VW, n1);
        for (int64_t k0 = 0; k0 < g->K; k0 += kc) {
            const FewBlock b = {k0, min_i64(kc, g->K - k0)};
            if (end - n == groups * VW) {
                few_columns_of[g->M - 1][groups - 1](g, b, n);
            } else {
                const Block rest = {0, g->M, n, end, k0, b.kc};
                block_product(g, &rest, (ABlock){g->a + k0 * g->ca, g->ra, g->ca}, B_OWN_PANEL, panel, 0);
            }
        }
        n = end;
    }
}

// Row m, columns n0..n1, of a product of K = terms.
static inline __attribute__((always_inline)) void few_terms_row(const int terms, const Gemm *g, int64_t m, int64_t n0,
                                                                int64_t n1)
{
    const FewBlock all = {0, terms};
    vf va[FEW];
#pragma GCC unroll 4
    for (int t = 0; t < terms; t++) va[t] = vset1(g->a[m * g->ra + t * g->ca]);
    for (int64_t n = n0; n < n1; n += VW) {
        vf s = vzero();
#pragma GCC unroll 4
        for (int t = 0; t < terms; t++) s = vfma(va[t], vload_n(g->b + t * g->rb + n, n1 - n), s);
        few_store(g, all, m, n, n1 - n, s);
    }
}

// Rows m0..m1 of a product of K <= FEW terms, in pieces of columns whose rows of B stay in the L1 cache.
static void few_terms(const Gemm *g, int64_t m0, int64_t m1)
{
    for (int64_t n0 = 0; n0 < g->N; n0 += FEW_VALUES / g->K) {
        const int64_t n1 = min_i64(g->N, n0 + FEW_VALUES / g->K);
        for (int64_t m = m0; m < m1; m++) {
            if (g->K == 1) few_terms_row(1, g, m, n0, n1);
            else if (g->K == 2) few_terms_row(2, g, m, n0, n1);
            else if (g->K == 3) few_terms_row(3, g, m, n0, n1);
            else few_terms_row(4, g, m, n0, n1);
        }
    }
}

// The kind of product that this file is for, or FEW_NONE.
typedef enum FewKind { FEW_NONE, FEW_ROWS, FEW_COLUMNS, FEW_4 } FewKind;

static FewKind few_kind(const Gemm *g)
{
    if (g->packed || g->turned || g->fetch_a || g->fetch_b || g->c_row || g->cc != 1 || g->run) return FEW_NONE;
    if (g->M <= FEW) return g->cb == 1 ? FEW_ROWS : FEW_COLUMNS;
    return g->K <= FEW && g->cb == 1 ? FEW_4 : FEW_NONE;
}

// The part of thread tid of n.
static void few_member(const Gemm *g, FewKind kind, float *panel, int tid, int n)
{
    const int64_t unit = kind == FEW_4 ? 1 : 4 * VW, all = ceil_div(kind == FEW_4 ? g->M : g->N, unit);
    const int64_t end = kind == FEW_4 ? g->M : g->N;
    const int64_t from = min_i64(all * tid / n * unit, end), to = min_i64(all * (tid + 1) / n * unit, end);
    if (kind == FEW_ROWS) few_rows(g, few_rows_of[g->M - 1], from, to);
    else if (kind == FEW_COLUMNS) few_columns(g, from, to, panel);
    else few_terms(g, from, to);
}

#endif
