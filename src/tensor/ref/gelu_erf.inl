// gelu_erf: y = x P(x), P(x) = (1 + erf(x/sqrt 2))/2 (Hendrycks, Gimpel 2016).   x any shape -> y like x
//   dx += dy [P(x) + x p(x)],  p(x) = exp(-x^2/2) / sqrt(2 pi)
#include "tensor/ref.h"

// erfc keeps its digits where erf is near -1
static inline real normal_cdf(real x) { return (real)0.5 * R(erfc)(x * (real)-0.70710678118654752440); }
static inline real normal_pdf(real x) { return (real)0.39894228040143267794 * R(exp)((real)-0.5 * x * x); }

KERNEL(gelu_erf, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * normal_cdf(x[i]);
}

KERNEL(gelu_erf, bwd)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * (normal_cdf(x[i]) + x[i] * normal_pdf(x[i]));
}
