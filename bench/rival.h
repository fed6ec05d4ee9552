// OpenBLAS as a yardstick: loaded while the benchmark runs, never linked into the product.
#ifndef LEAD_BENCH_RIVAL_H
#define LEAD_BENCH_RIVAL_H

#include <stdbool.h>

// C [M,N] = alpha op(A) op(B) + beta C, row-major; lda, ldb, ldc as in cblas_sgemm.
typedef void Sgemm(int layout, int trans_a, int trans_b, int M, int N, int K, float alpha, const float *A, int lda,
                   const float *B, int ldb, float beta, float *C, int ldc);
enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANS = 111, CBLAS_TRANS = 112 };

typedef struct Rival {
    Sgemm *sgemm;                      // NULL: not installed
    void (*set_threads)(int n);
    char name[64];                     // "openblas-SkylakeX"
} Rival;

// Loads libopenblas with the kernels of this CPU's widest instruction set and pins its worker threads, one to a CPU:
// left alone they share the main thread's CPU and two threads run at the speed of one.
Rival rival_load(bool avx512, int max_threads);

#endif
