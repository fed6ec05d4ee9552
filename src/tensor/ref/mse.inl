// mse: y = mean (a - b)^2, added in double, in order.   a, b any shape, n values -> y [1]
//   da += dy 2 (a - b) / n     db -= the same
#include "tensor/ref.h"

KERNEL(mse, fwd)
{
    const real *a = in_x(c, 0), *b = in_x(c, 1);
    const int64_t n = numel(c->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    out_x(c, 0)[0] = (real)(sum / (double)n);
}

KERNEL(mse, bwd)
{
    const real *a = in_x(c, 0), *b = in_x(c, 1);
    real *da = in_g(c, 0), *db = in_g(c, 1);
    const int64_t n = numel(c->in[0]);
    const real f = 2 * out_g(c, 0)[0] / (real)n;
    for (int64_t i = 0; i < n; i++) {
        const real d = f * (a[i] - b[i]);
        if (da) da[i] += d;
        if (db) db[i] -= d;
    }
}
