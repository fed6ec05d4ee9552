// mul_rows: y[p,r] = a[p,r] s[p].   a [P..,R..], s [P..] or [P..,1]: one factor for each row -> y like a
//   da[p,r] += dy[p,r] s[p]     ds[p] += sum_r dy[p,r] a[p,r]
#include "tensor/ref.h"

KERNEL(mul_rows, fwd)
{
    const real *a = in_x(c, 0), *s = in_x(c, 1);
    real *y = out_x(c, 0);
    const int64_t P = numel(c->in[1]), R = P ? numel(c->in[0]) / P : 0;
#pragma omp parallel for if (P * R > PAR_MIN)
    for (int64_t p = 0; p < P; p++)
        for (int64_t r = 0; r < R; r++) y[p * R + r] = a[p * R + r] * s[p];
}

KERNEL(mul_rows, bwd)
{
    const real *a = in_x(c, 0), *s = in_x(c, 1), *dy = out_g(c, 0);
    real *da = in_g(c, 0), *ds = in_g(c, 1);
    const int64_t P = numel(c->in[1]), R = P ? numel(c->in[0]) / P : 0;
#pragma omp parallel for if (P * R > PAR_MIN)
    for (int64_t p = 0; p < P; p++) {
        real sum = 0;
        for (int64_t r = 0; r < R; r++) {
            if (da) da[p * R + r] += dy[p * R + r] * s[p];
            sum += dy[p * R + r] * a[p * R + r];
        }
        if (ds) ds[p] += sum;
    }
}
