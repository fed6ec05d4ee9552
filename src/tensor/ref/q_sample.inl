// q_sample: x_t = sqrt(ab) x0 + sqrt(1 - ab) eps (E7).   x0, eps [N,..], ab [N] (data: gets no gradient) -> x_t like x0
//   dx0 += sqrt(ab) dx_t     deps += sqrt(1 - ab) dx_t
#include "tensor/ref.h"

KERNEL(q_sample, fwd)
{
    const real *x0 = in_x(c, 0), *eps = in_x(c, 1), *ab = in_x(c, 2);
    real *y = out_x(c, 0);
    const int64_t N = numel(c->in[2]), R = N ? numel(c->in[0]) / N : 0;
#pragma omp parallel for if (N * R > PAR_MIN)
    for (int64_t n = 0; n < N; n++) {
        const real s = R(sqrt)(ab[n]), e = R(sqrt)(1 - ab[n]);
        for (int64_t i = n * R; i < (n + 1) * R; i++) y[i] = s * x0[i] + e * eps[i];
    }
}

KERNEL(q_sample, bwd)
{
    const real *ab = in_x(c, 2), *dy = out_g(c, 0);
    real *dx0 = in_g(c, 0), *deps = in_g(c, 1);
    const int64_t N = numel(c->in[2]), R = N ? numel(c->in[0]) / N : 0;
#pragma omp parallel for if (N * R > PAR_MIN)
    for (int64_t n = 0; n < N; n++) {
        const real s = R(sqrt)(ab[n]), e = R(sqrt)(1 - ab[n]);
        for (int64_t i = n * R; i < (n + 1) * R; i++) {
            if (dx0) dx0[i] += s * dy[i];
            if (deps) deps[i] += e * dy[i];
        }
    }
}
