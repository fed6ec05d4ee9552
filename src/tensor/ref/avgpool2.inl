// avgpool2: mean of each 2x2 square.   x [N,H,W,C], H and W even -> y [N,H/2,W/2,C]
//   y[n,i,j,c] = (x[2i,2j] + x[2i,2j+1] + x[2i+1,2j] + x[2i+1,2j+1]) / 4      dx[n,h,w,c] += dy[n, h/2, w/2, c] / 4
#include "tensor/ref.h"

KERNEL(avgpool2, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t *d = c->out[0]->shape.d, N = d[0], Ho = d[1], Wo = d[2], C = d[3];
#pragma omp parallel for if (4 * N * Ho * Wo * C > PAR_MIN)
    for (int64_t row = 0; row < N * Ho; row++)
        for (int64_t j = 0; j < Wo; j++) {
            const real *top = x + (2 * row * 2 * Wo + 2 * j) * C, *bottom = top + 2 * Wo * C;
            for (int64_t i = 0; i < C; i++)
                y[(row * Wo + j) * C + i] = (real)0.25 * (top[i] + top[C + i] + bottom[i] + bottom[C + i]);
        }
}

KERNEL(avgpool2, bwd)
{
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    const int64_t *d = c->in[0]->shape.d, N = d[0], H = d[1], W = d[2], C = d[3];
    if (!dx) return;
#pragma omp parallel for if (N * H * W * C > PAR_MIN)
    for (int64_t row = 0; row < N * H; row++)
        for (int64_t w = 0; w < W; w++)
            for (int64_t i = 0; i < C; i++)
                dx[(row * W + w) * C + i] += (real)0.25 * dy[(row / 2 * (W / 2) + w / 2) * C + i];
}
