// linear: y = x w + b.   x [..,K], w [K,N] (GPT-2's Conv1D layout), b [N] or NULL -> y [..,N];  M = rows of x
//   dx[m,k] += sum_n dy[m,n] w[k,n]     dw[k,n] += sum_m x[m,k] dy[m,n]     db[n] += sum_m dy[m,n]
#include "tensor/ref.h"

KERNEL(linear, fwd)
{
    const real *x = in_x(c, 0), *w = in_x(c, 1), *b = in_x(c, 2);
    real *y = out_x(c, 0);
    const int64_t K = c->in[1]->shape.d[0], N = c->in[1]->shape.d[1], M = numel(c->in[0]) / K;
#pragma omp parallel for if (M * N * K > PAR_MIN)
    for (int64_t m = 0; m < M; m++) {
        for (int64_t n = 0; n < N; n++) y[m * N + n] = b ? b[n] : 0;
        for (int64_t k = 0; k < K; k++)
            for (int64_t n = 0; n < N; n++) y[m * N + n] += x[m * K + k] * w[k * N + n];
    }
}

KERNEL(linear, bwd)
{
    const real *x = in_x(c, 0), *w = in_x(c, 1), *dy = out_g(c, 0);
    real *dx = in_g(c, 0), *dw = in_g(c, 1), *db = in_g(c, 2);
    const int64_t K = c->in[1]->shape.d[0], N = c->in[1]->shape.d[1], M = numel(c->in[0]) / K;
    if (dx) {
#pragma omp parallel for if (M * N * K > PAR_MIN)
        for (int64_t m = 0; m < M; m++)
            for (int64_t k = 0; k < K; k++) {
                real sum = 0;
                for (int64_t n = 0; n < N; n++) sum += dy[m * N + n] * w[k * N + n];
                dx[m * K + k] += sum;
            }
    }
    if (dw) {   // each thread owns rows k of dw: no two write the same sum, whatever the number of threads
#pragma omp parallel for if (M * N * K > PAR_MIN)
        for (int64_t k = 0; k < K; k++)
            for (int64_t m = 0; m < M; m++)
                for (int64_t n = 0; n < N; n++) dw[k * N + n] += x[m * K + k] * dy[m * N + n];
    }
    if (db)
        for (int64_t m = 0; m < M; m++)
            for (int64_t n = 0; n < N; n++) db[n] += dy[m * N + n];
}
