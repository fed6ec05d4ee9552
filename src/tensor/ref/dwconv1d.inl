// dwconv1d: depthwise convolution over time, same length.   x [N,T,C], w [K,C] with K odd, b [C] or NULL -> y [N,T,C]
//   y[n,t,c] = b[c] + sum_k w[k,c] x[n, t + k - K/2, c]      (x = 0 outside 0..T-1; K/2 rounds down)
//   dx[n,u,c] += sum_k w[k,c] dy[n, u - k + K/2, c]     dw[k,c] += sum_{n,t} x[n, t + k - K/2, c] dy[n,t,c]
//   db[c] += sum_{n,t} dy[n,t,c]
#include "tensor/ref.h"

KERNEL(dwconv1d, fwd)
{
    const real *x = in_x(c, 0), *w = in_x(c, 1), *b = in_x(c, 2);
    real *y = out_x(c, 0);
    const int64_t *d = c->in[0]->shape.d, N = d[0], T = d[1], C = d[2], K = c->in[1]->shape.d[0];
#pragma omp parallel for if (N * T * C * K > PAR_MIN)
    for (int64_t r = 0; r < N * T; r++) {
        for (int64_t i = 0; i < C; i++) y[r * C + i] = b ? b[i] : 0;
        for (int64_t k = 0; k < K; k++) {
            const int64_t shift = k - K / 2, u = r % T + shift;
            if (u < 0 || u >= T) continue;
            for (int64_t i = 0; i < C; i++) y[r * C + i] += w[k * C + i] * x[(r + shift) * C + i];
        }
    }
}

KERNEL(dwconv1d, bwd)
{
    const real *x = in_x(c, 0), *w = in_x(c, 1), *dy = out_g(c, 0);
    real *dx = in_g(c, 0), *dw = in_g(c, 1), *db = in_g(c, 2);
    const int64_t *d = c->in[0]->shape.d, N = d[0], T = d[1], C = d[2], K = c->in[1]->shape.d[0];
    if (dx) {
#pragma omp parallel for if (N * T * C * K > PAR_MIN)
        for (int64_t r = 0; r < N * T; r++)
            for (int64_t k = 0; k < K; k++) {
                const int64_t shift = K / 2 - k, t = r % T + shift;
                if (t < 0 || t >= T) continue;
                for (int64_t i = 0; i < C; i++) dx[r * C + i] += w[k * C + i] * dy[(r + shift) * C + i];
            }
    }
    if (dw) {
#pragma omp parallel for if (N * T * C * K > PAR_MIN)
        for (int64_t k = 0; k < K; k++)
            for (int64_t r = 0; r < N * T; r++) {
                const int64_t shift = k - K / 2, u = r % T + shift;
                if (u < 0 || u >= T) continue;
                for (int64_t i = 0; i < C; i++) dw[k * C + i] += x[(r + shift) * C + i] * dy[r * C + i];
            }
    }
    if (db)
        for (int64_t r = 0; r < N * T; r++)
            for (int64_t i = 0; i < C; i++) db[i] += dy[r * C + i];
}
