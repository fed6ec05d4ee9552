// The register tile of both ladders.  MR x 2 vectors of c stay in registers while k runs: 12 x 32 floats with AVX-512,
// 6 x 16 with AVX2, which is 24 of 32 (12 of 16) vector registers.  For each k it loads 2 vectors of b and MR single
// values of a, and multiplies and adds 2 MR vectors: 14 loads for 24 multiply-adds (8 for 12).  Without the tile each
// multiply-add has three accesses to itself: load b, load c, store c.  The sums do not wait for each other either: a
// multiply-add takes 4 cycles and two begin in each, so that fewer than 8 sums in flight leave the units idle.
#ifndef LEAD_BENCH_LADDER_TILE_H
#define LEAD_BENCH_LADDER_TILE_H

#include "cpu_simd/vec.h"

enum { MR = VW == 16 ? 12 : 6, NV = 2, NR = NV * VW };

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 12")   // what is indexed by a variable cannot live in a register

// c [rows,cols] = or += sum over k of a(i,k) b(k,j), k upwards.  a(i,k) = a[i ra + k ca] is read for all MR rows,
// b(k,j) = b[k ldb + j] for cols only.  What is added to c is the whole sum: the order of the product's kernels.
INLINE void tile_of(int64_t K, const float *a, int64_t ra, int64_t ca, const float *b, int64_t ldb, float *c,
                    int64_t ldc, int64_t rows, int64_t cols, bool add)
{
    vf acc[MR][NV];
    UNROLL
    for (int i = 0; i < MR; i++) acc[i][0] = acc[i][1] = vzero();
    for (int64_t k = 0; k < K; k++, a += ca, b += ldb) {
        const vf b0 = vload_n(b, cols), b1 = cols > VW ? vload_n(b + VW, cols - VW) : vzero();
        UNROLL
        for (int i = 0; i < MR; i++) {
            const vf ai = vset1(a[i * ra]);
            acc[i][0] = vfma(ai, b0, acc[i][0]);
            acc[i][1] = vfma(ai, b1, acc[i][1]);
        }
    }
    UNROLL
    for (int i = 0; i < MR; i++) {
        float *ci = c + i * ldc;
        if (i >= rows) continue;
        vstore_n(ci, cols, add ? vadd(vload_n(ci, cols), acc[i][0]) : acc[i][0]);
        if (cols > VW) vstore_n(ci + VW, cols - VW, add ? vadd(vload_n(ci + VW, cols - VW), acc[i][1]) : acc[i][1]);
    }
}

// The loop over k knows at compile time whether its vectors are whole.
INLINE void tile(int64_t K, const float *a, int64_t ra, int64_t ca, const float *b, int64_t ldb, float *c, int64_t ldc,
                 int64_t rows, int64_t cols, bool add)
{
    if (cols >= NR) tile_of(K, a, ra, ca, b, ldb, c, ldc, rows, NR, add);
    else tile_of(K, a, ra, ca, b, ldb, c, ldc, rows, cols, add);
}

#endif
