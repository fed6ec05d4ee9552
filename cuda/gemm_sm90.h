// Products by wgmma, on Hopper (gemm_sm90.cu); linear.cu asks for them first.
#ifndef LEAD_CUDA_GEMM_SM90_H
#define LEAD_CUDA_GEMM_SM90_H

#include "gemm.h"

// An operand as Matrix describes it: `rows` rows (m of A, n of B) of K values that run along k, or K rows of `rows`
// values.
struct Operand {
    const float *x;
    int64_t ld, batch, rows, K;
    bool k_runs;
};

template <bool RUNS> static inline Operand operand_of(const Matrix<RUNS> &m)
{
    return Operand{m.x, m.ld, m.batch, m.rows, m.K, RUNS};
}

// Runs the product and returns true; false and nothing done where wgmma is off, absent or not worth it.
bool gemm_sm90(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const Operand &a, const Operand &b,
               const Epilogue &e);

#endif
