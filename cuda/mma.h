// Tensor-core products of one warp, D = A B + D, in f32 sums (PTX ISA, "Warp-level matrix instructions"), and their
// emulation.  g = lane / 4, t = lane % 4.  Every lane of the warp must call.
//
//   mma_tf32   A [16,8], B [8,8], D [16,8], tf32 operands (bits from to_tf32)
//     a[0] = A[g][t]   a[1] = A[g+8][t]   a[2] = A[g][t+4]   a[3] = A[g+8][t+4]     b[0] = B[t][g]   b[1] = B[t+4][g]
//   mma_bf16   A [16,16], B [16,8], D [16,8], two bf16 in a word, the lower column (row of B) in the low half
//     a[0] = A[g][2t,2t+1]  a[1] = A[g+8][2t,2t+1]  a[2] = A[g][2t+8,2t+9]  a[3] = A[g+8][2t+8,2t+9]
//     b[0] = B[2t,2t+1][g]  b[1] = B[2t+8,2t+9][g]
//   both       d[0] = D[g][2t]  d[1] = D[g][2t+1]  d[2] = D[g+8][2t]  d[3] = D[g+8][2t+1]
//   load_matrix4   four 8x8 matrices of 16-bit values from shared memory: lane i gives the address of row i % 8
//     (16 bytes, 16-byte aligned) of matrix i / 8; r[m] = row g, columns 2t, 2t+1 of matrix m; transposed: rows 2t,
//     2t+1, column g
//   load_matrix2   the same for two matrices; the addresses of lanes 0..15 count
#ifndef LEAD_CUDA_MMA_H
#define LEAD_CUDA_MMA_H

#include "launch.h"

#ifdef LEAD_CUDA_EMULATE

static inline uint32_t to_tf32(float x)
{
    const uint32_t u = __float_as_uint(x);   // to nearest, ties away from zero (cvt.rna)
    return (u & 0x7F800000u) == 0x7F800000u ? u : (u + 0x1000u) & ~0x1FFFu;
}
static inline void mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2]) { emulate_mma_tf32(d, a, b); }
static inline void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2]) { emulate_mma_bf16(d, a, b); }
template <bool transposed = false> static inline void load_matrix4(uint32_t r[4], const void *row)
{
    emulate_load_matrix(r, row, 4, transposed);
}
template <bool transposed = false> static inline void load_matrix2(uint32_t r[2], const void *row)
{
    emulate_load_matrix(r, row, 2, transposed);
}

#else

static __device__ __forceinline__ uint32_t to_tf32(float x)
{
    uint32_t y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
    return y;
}
static __device__ __forceinline__ void mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
static __device__ __forceinline__ void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <bool transposed = false> static __device__ __forceinline__ void load_matrix4(uint32_t r[4], const void *row)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    if (transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}
template <bool transposed = false> static __device__ __forceinline__ void load_matrix2(uint32_t r[2], const void *row)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    if (transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(at)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(at)
                     : "memory");
}

#endif
#endif
