// diffuse: noise, the noisy image and what the network is to predict, in one pass (E7).   x0 [N,..], ab [N] =
//   alpha_bar of each row, clock I32 [1] or NULL: added to the address's step -> x_t like x0 and, unless the target is
//   x0 itself, target like x0; DiffuseParams
//   x_t = sqrt(ab) x0 + sqrt(1-ab) eps      target = eps, or v = sqrt(ab) eps - sqrt(1-ab) x0
//   eps: the numbers that randn draws at this address from row 0 on
#include "tensor/philox.h"
#include "tensor/ref.h"

KERNEL(diffuse, fwd)
{
    const DiffuseParams *p = c->p;
    const RandomAddress at = random_address(p->at, c, 2);
    const uint64_t sub = philox_subsequence(at.site, at.step);
    const real *x0 = in_x(c, 0), *ab = in_x(c, 1);
    real *xt = out_x(c, 0), *target = c->n_out > 1 ? out_x(c, 1) : NULL;
    const int64_t N = numel(c->in[1]), len = N ? numel(c->in[0]) / N : 0, quads = (len + 3) / 4;
#pragma omp parallel for if (N * len > PAR_MIN)
    for (int64_t r = 0; r < N; r++) {
        const real s = R(sqrt)(ab[r]), e = R(sqrt)(1 - ab[r]);
        for (int64_t q = 0; q < quads; q++) {
            const Philox4 d = philox_quad(at.seed, sub, at.offset / 4 + (uint64_t)(r * quads + q));
            float n[4];
            philox_normal2(d.v[0], d.v[1], &n[0], &n[1]);
            philox_normal2(d.v[2], d.v[3], &n[2], &n[3]);
            for (int64_t j = 0; j < 4 && 4 * q + j < len; j++) {
                const int64_t i = r * len + 4 * q + j;
                const real eps = (real)n[j];
                xt[i] = s * x0[i] + e * eps;
                if (target) target[i] = p->target == DIFFUSE_V ? s * eps - e * x0[i] : eps;
            }
        }
    }
}
