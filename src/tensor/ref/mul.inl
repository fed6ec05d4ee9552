// mul: y = a * b.   a [P..,Q..], b [Q..] (a's shape or a suffix of it) -> y like a
//   da[p,q] += dy[p,q] b[q]     db[q] += sum_p dy[p,q] a[p,q]
#include "tensor/ref.h"

KERNEL(mul, fwd)
{
    const real *a = in_x(c, 0), *b = in_x(c, 1);
    real *y = out_x(c, 0);
    const int64_t Q = numel(c->in[1]), P = Q ? numel(c->in[0]) / Q : 0;
#pragma omp parallel for if (P * Q > PAR_MIN)
    for (int64_t p = 0; p < P; p++)
        for (int64_t q = 0; q < Q; q++) y[p * Q + q] = a[p * Q + q] * b[q];
}

KERNEL(mul, bwd)
{
    const real *a = in_x(c, 0), *b = in_x(c, 1), *dy = out_g(c, 0);
    real *da = in_g(c, 0), *db = in_g(c, 1);
    const int64_t Q = numel(c->in[1]), P = Q ? numel(c->in[0]) / Q : 0;
    if (da)
        for (int64_t p = 0; p < P; p++)
            for (int64_t q = 0; q < Q; q++) da[p * Q + q] += dy[p * Q + q] * b[q];
    if (db)
        for (int64_t p = 0; p < P; p++)
            for (int64_t q = 0; q < Q; q++) db[q] += dy[p * Q + q] * a[p * Q + q];
}
