// Few rows of A times a large B whose transpose is what lies in memory: in rows (dX of a linear layer; the lm-head,
// whose weights the embedding reads too) or in panels (dX through frozen weights).  Transposing B into panels costs
// 5 .. 30 % of such a product.  C^T = B^T A^T reads B^T where it is and once: tiles of MR rows of it by NR columns of a
// copy of A^T.
// C is transposed instead, in chunks that stay in the caches.  The sums run as in gemm.h, so the bits are the same.
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
//   TRANSPOSED_LEAST, TRANSPOSED_ROWS   rows of A; fewer than nine tenths of their vectors' lanes do not win
//   TRANSPOSED_CHUNK                    rows of B^T whose part of C^T is in work: more of them read A^T less often
//   TRANSPOSED_HIGH                     rows of a tile where more would lie in one set of the L1 cache
#ifndef LEAD_CPU_SIMD_GEMM_TRANSPOSED_H
#define LEAD_CPU_SIMD_GEMM_TRANSPOSED_H

enum { TRANSPOSED_LEAST = 12, TRANSPOSED_ROWS = 256, TRANSPOSED_CHUNK = 192, TRANSPOSED_HIGH = 6 };

static inline bool wants_transposed(const Gemm *g)
{
    const bool here = g->transposed || (g->cb != 1 && !g->packed && !g->fetch_b);
    const bool filled = g->M >= TRANSPOSED_LEAST && g->M <= TRANSPOSED_ROWS && 10 * g->M >= 9 * VW * ceil_div(g->M, VW);
    return here && filled && g->N >= 8 * g->M && g->K >= 128 && g->batch <= 1 && !g->fetch_a && !g->c_row &&
           !g->bias && !g->epilogue.kind;
}

// Terms k.. of rows n.. of B^T; piece, hop: of a Store.
typedef struct TransposedB { const float *at; int64_t row, piece, hop; } TransposedB;

static TransposedB transposed_b(const Gemm *g, int64_t k, int64_t n)
{
    if (g->transposed)
        return (TransposedB){g->transposed + (k / PANEL * g->N + n) * PANEL, PANEL, PANEL, (g->N - 1) * PANEL};
    return (TransposedB){g->b + k * g->rb + n * g->cb, g->cb, 0, 0};
}

// The tile that begins at row n, term k of B^T, in the order in which it lies.
static Prefetch transposed_next(const Gemm *g, int64_t k, int64_t n, int64_t kc)
{
    if (n >= g->N) return (Prefetch){0};
    const TransposedB b = transposed_b(g, k, n);
    return g->transposed ? (Prefetch){b.at, MR * PANEL, g->N * PANEL} : (Prefetch){b.at, kc, b.row};
}

// Columns n0..n1 of C.  panels: A^T, [M / NR][K][NR].
static void transposed_chunk(const Gemm *g, const float *panels, int64_t n0, int64_t n1)
{
    float ct[TRANSPOSED_CHUNK * TRANSPOSED_ROWS] __attribute__((aligned(64)));
    const int64_t kc = gemm_kc(g->K), rows = n1 - n0, ld = ceil_div(g->M, VW) * VW;
    const int64_t n_tiles = ceil_div(rows, !g->transposed && g->cb % 1024 == 0 ? TRANSPOSED_HIGH : MR);
    if (g->add) transpose_block(g->c + n0, g->rc, g->M, rows, ct, ld);
    for (int64_t k0 = 0; k0 < g->K; k0 += kc) {
        const int64_t terms = min_i64(kc, g->K - k0);
        for (int64_t t = 0; t < n_tiles; t++) {
            const int64_t i = t * rows / n_tiles, end = (t + 1) * rows / n_tiles;
            const TransposedB b = transposed_b(g, k0, n0 + i);
            const Prefetch next = end < rows ? transposed_next(g, k0, n0 + end, terms)
                               : k0 + kc < g->K ? transposed_next(g, k0 + kc, n0, min_i64(kc, g->K - k0 - kc))
                                                : transposed_next(g, 0, n1, kc);
            for (int64_t m = 0; m < g->M; m += NR) {
                const int64_t width = min_i64(NR, g->M - m);
                const int kind = (width == NR ? 2 : width > VW ? 1 : 0) + (m == 0 && next.at ? PREFETCHES : 0);
                const Store to = {.c = ct + i * ld + m, .ldc = ld, .alpha = g->alpha, .add = g->add || k0 > 0,
                                  .run = g->run ? g->run : terms, .piece = b.piece, .hop = b.hop, .prefetch = next.at,
                                  .prefetch_cols = next.cols, .prefetch_step = next.step};
                tiles[end - i][kind](terms, b.at, b.row, 1, panels + m * g->K + k0 * NR, NR, width, &to);
            }
        }
    }
    transpose_block(ct, ld, rows, g->M, g->c + n0, g->rc);
}

static void gemm_transposed(const Gemm *g, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const int64_t blocks = ceil_div(g->M, NR), chunks = ceil_div(g->N, TRANSPOSED_CHUNK);
    const Gemm a = {.N = g->M, .K = g->K, .b = g->a, .rb = g->ca, .cb = g->ra};   // A^T as pack_panel reads it
    float *panels = arena_alloc(scratch, (size_t)(blocks * g->K * NR) * sizeof *panels);
    const int threads = g->M * g->N * g->K > PAR_WORK ? omp_get_max_threads() : 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for
        for (int64_t p = 0; p < blocks; p++) pack_panel(&a, 0, g->K, p * NR, panels + p * NR * g->K);
#pragma omp for
        for (int64_t i = 0; i < chunks; i++)
            transposed_chunk(g, panels, i * g->N / chunks, (i + 1) * g->N / chunks);
    }
    arena_rewind(scratch, mark);
}

#endif
