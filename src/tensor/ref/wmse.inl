// wmse: y = sum_p w[p] sum_r (a - b)^2[p,r] / n, added in double, in order.   a, b [P..,R..], n = P R; w [P..] -> y [1]
//   da += dy 2 w (a - b) / n     db -= the same     dw[p] += dy sum_r (a - b)^2 / n
#include "tensor/ref.h"

KERNEL(wmse, fwd)
{
    const real *a = in_x(c, 0), *b = in_x(c, 1), *w = in_x(c, 2);
    const int64_t n = numel(c->in[0]), P = numel(c->in[2]), R = P ? n / P : 0;
    double sum = 0;
    for (int64_t p = 0; p < P; p++)
        for (int64_t r = 0; r < R; r++) {
            const double d = (double)a[p * R + r] - (double)b[p * R + r];
            sum += (double)w[p] * d * d;
        }
    out_x(c, 0)[0] = (real)(sum / (double)n);
}

KERNEL(wmse, bwd)
{
    const real *a = in_x(c, 0), *b = in_x(c, 1), *w = in_x(c, 2);
    real *da = in_g(c, 0), *db = in_g(c, 1), *dw = in_g(c, 2);
    const int64_t n = numel(c->in[0]), P = numel(c->in[2]), R = P ? n / P : 0;
    const real f = out_g(c, 0)[0] / (real)n;
    for (int64_t p = 0; p < P; p++) {
        double sum = 0;
        for (int64_t r = 0; r < R; r++) {
            const real d = a[p * R + r] - b[p * R + r];
            if (da) da[p * R + r] += 2 * f * w[p] * d;
            if (db) db[p * R + r] -= 2 * f * w[p] * d;
            sum += (double)d * (double)d;
        }
        if (dw) dw[p] += f * (real)sum;
    }
}
