// huber: y = mean h(d), d = a - b, h = d^2/2 where |d| <= delta, else delta (|d| - delta/2) (Huber 1964);
//   added in double, in order.   a, b any shape, n values -> y [1]; HuberParams
//   da += dy clamp(d, -delta, delta) / n     db -= the same
#include "tensor/ref.h"

KERNEL(huber, fwd)
{
    const double delta = ((const HuberParams *)c->p)->delta;
    const real *a = in_x(c, 0), *b = in_x(c, 1);
    const int64_t n = numel(c->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        sum += d <= delta ? 0.5 * d * d : delta * (d - 0.5 * delta);
    }
    out_x(c, 0)[0] = (real)(sum / (double)n);
}

KERNEL(huber, bwd)
{
    const real delta = (real)((const HuberParams *)c->p)->delta;
    const real *a = in_x(c, 0), *b = in_x(c, 1);
    real *da = in_g(c, 0), *db = in_g(c, 1);
    const int64_t n = numel(c->in[0]);
    const real f = out_g(c, 0)[0] / (real)n;
    for (int64_t i = 0; i < n; i++) {
        real d = a[i] - b[i];
        if (d > delta) d = delta;
        if (d < -delta) d = -delta;
        if (da) da[i] += f * d;
        if (db) db[i] -= f * d;
    }
}
