// film: feature-wise modulation (Perez et al. 2018).   x [N,S..,C], s [N,2C]: gamma = s[n,0:C], beta = s[n,C:2C], silu
//   -> y like x.   z = (1 + gamma) x + beta,   y = z  or  silu(z);   dz = dy  or  dy silu'(z), z computed again
//   dx += dz (1 + gamma)     dgamma[n,c] += sum_s dz x     dbeta[n,c] += sum_s dz
#include "tensor/ref/modulate.h"

KERNEL(film, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const bool fused = ((const FilmParams *)c->p)->silu;
    const Affine a = affine_of_sample(c);
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), S = numel(c->in[0]) / (N * C);
#pragma omp parallel for if (N * S * C > PAR_MIN)
    for (int64_t r = 0; r < N * S; r++)
        for (int64_t i = 0; i < C; i++) {
            const real z = affine(&a, r / S, i, x[r * C + i]);
            y[r * C + i] = fused ? act_silu(z) : z;
        }
}

KERNEL(film, bwd)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0);
    real *dx = in_g(c, 0), *ds = in_g(c, 1);
    const bool fused = ((const FilmParams *)c->p)->silu;
    const Affine a = affine_of_sample(c);
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), S = numel(c->in[0]) / (N * C);
#pragma omp parallel for if (N * S * C > PAR_MIN)
    for (int64_t n = 0; n < N; n++)
        for (int64_t s = 0; s < S; s++)
            for (int64_t i = 0; i < C; i++) {
                const int64_t at = (n * S + s) * C + i;
                const real dz = fused ? dy[at] * act_silu_grad(affine(&a, n, i, x[at])) : dy[at];
                if (dx) dx[at] += dz * (1 + a.gamma[n * a.step + i]);
                if (ds) ds[n * a.step + i] += dz * x[at];
                if (ds) ds[n * a.step + C + i] += dz;
            }
}
