// linear and its fused forms with a weight in NF4 (tensor/nf4.h).  gemm.h asks for B block by block; here the codes
// become floats in its panel: W for y = x W, W^T for dx += dy W^T.  So the products have the bits of plain rows that
// hold the same values, and forward and backward see the same weights.
//
// What it saves: memory.  Two weights cost the load of a byte, two permutations and two products, about as long as it
// takes to read eight bytes from memory.
#ifndef LEAD_CPU_SIMD_LINEAR_NF4_H
#define LEAD_CPU_SIMD_LINEAR_NF4_H

#include "cpu_simd/gemm.h"
#include "tensor/nf4.h"

// Rows k0 .. of a panel of W, columns n .. n+VW-1, to dst, ld apart; all rows are of one block.
static inline void nf4_rows(const Tensor *w, int64_t k0, int64_t rows, int64_t n, float *dst, int64_t ld)
{
    static const float book[16] = NF4_VALUES;
    const int64_t K = w->shape.d[0], p = n / PANEL, b = k0 / NF4_BLOCK;
    const Nf4Block *block = nf4_block(w->x, K, p, b);
    const Nf4Range *range = nf4_range(w->x, K, p, b);
    const vf scale = vfma(vfloat(vbytes(block->scale + n % PANEL)), vset1(range->step), vset1(range->least));
    const vbook values = vbook_load(book);
    for (int64_t k = 0; k < rows; k++) {
        const int64_t at = k0 % NF4_BLOCK + k;
        const vi pair = vbytes(block->code[at / 2] + n % PANEL);
        vstore(dst + k * ld, vmul(vbook_at(values, at % 2 ? vshift4(pair) : pair), scale));
    }
}

// Rows k0 .., whole vectors of columns from n0 on; n0 is a multiple of VW.
static void nf4_block_rows(const Tensor *w, int64_t k0, int64_t rows, int64_t n0, int64_t cols, float *dst, int64_t ld)
{
    for (int64_t k = k0; k < k0 + rows;) {
        const int64_t end = min_i64(k0 + rows, (k / NF4_BLOCK + 1) * NF4_BLOCK);
        for (int64_t j = 0; j < cols; j += VW) nf4_rows(w, k, end - k, n0 + j, dst + (k - k0) * ld + j, ld);
        k = end;
    }
}

// GemmFetch of W: columns are those of one of gemm's panels, whose rows have room for whole vectors.
static void nf4_fetch(const Gemm *g, int64_t row0, int64_t rows, int64_t col0, int64_t cols, float *dst, int64_t ld)
{
    nf4_block_rows(g->ctx, row0, rows, col0, cols, dst, ld);
}

// GemmFetch of W^T, [N,K].
static void nf4_fetch_transposed(const Gemm *g, int64_t row0, int64_t rows, int64_t col0, int64_t cols, float *dst,
                                 int64_t ld)
{
    float part[NR * PANEL];
    for (int64_t n = row0; n < row0 + rows;) {
        const int64_t from = n / VW * VW, end = min_i64(row0 + rows, from + PANEL);
        nf4_block_rows(g->ctx, col0, cols, from, end - from, part, PANEL);
        transpose_block(part + n - from, PANEL, cols, end - n, dst + (n - row0) * ld, ld);
        n = end;
    }
}

#endif
