// upsample2: nearest neighbour, twice as high and wide.   x [N,H,W,C] -> y [N,2H,2W,C]
//   y[n,i,j,c] = x[n, i/2, j/2, c]  (rounded down)      dx[n,h,w,c] += the sum of dy over its four pixels
#include "tensor/ref.h"

KERNEL(upsample2, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t *d = c->in[0]->shape.d, N = d[0], H = d[1], W = d[2], C = d[3];
#pragma omp parallel for if (4 * N * H * W * C > PAR_MIN)
    for (int64_t row = 0; row < N * 2 * H; row++)      // 2H output rows an image: output row / 2 is the input row
        for (int64_t j = 0; j < 2 * W; j++)
            memcpy(y + (row * 2 * W + j) * C, x + (row / 2 * W + j / 2) * C, (size_t)C * sizeof(real));
}

KERNEL(upsample2, bwd)
{
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    const int64_t *d = c->in[0]->shape.d, N = d[0], H = d[1], W = d[2], C = d[3];
    if (!dx) return;
#pragma omp parallel for if (4 * N * H * W * C > PAR_MIN)
    for (int64_t row = 0; row < N * H; row++)
        for (int64_t w = 0; w < W; w++) {
            const real *top = dy + (2 * row * 2 * W + 2 * w) * C, *bottom = top + 2 * W * C;
            for (int64_t i = 0; i < C; i++)
                dx[(row * W + w) * C + i] += top[i] + top[C + i] + bottom[i] + bottom[C + i];
        }
}
