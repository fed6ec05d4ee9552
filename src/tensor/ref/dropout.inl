// dropout: y = x keep / (1 - p), keep = philox_unit(draw) >= p (Srivastava et al. 2014).   x any shape,
//   clock I32 [1] or NULL: added to the address's step -> y like x; DropoutParams
//   Element i uses draw at.offset + i of the address: backward draws the same mask again
//   dx += dy keep / (1 - p)
#include "tensor/philox.h"
#include "tensor/ref.h"

// f[j] = 0 or 1/(1-p) for the four draws of quad q.
static void quad_factors(RandomAddress at, double p, uint64_t q, real f[4])
{
    const Philox4 d = philox_quad(at.seed, philox_subsequence(at.site, at.step), q);
    for (int j = 0; j < 4; j++) f[j] = (double)philox_unit(d.v[j]) >= p ? (real)(1 / (1 - p)) : 0;
}

// y[i] = x[i] f_i, or y[i] += x[i] f_i
static void masked(const OpCall *c, const real *x, real *y, bool add)
{
    const DropoutParams *p = c->p;
    const RandomAddress at = random_address(p->at, c, 1);
    const int64_t n = numel(c->in[0]), lead = (int64_t)(at.offset % 4), quads = (lead + n + 3) / 4;
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t q = 0; q < quads; q++) {
        real f[4];
        quad_factors(at, p->p, at.offset / 4 + (uint64_t)q, f);
        for (int64_t j = 0; j < 4; j++) {
            const int64_t i = 4 * q + j - lead;
            if (i >= 0 && i < n) y[i] = (add ? y[i] : 0) + x[i] * f[j];
        }
    }
}

KERNEL(dropout, fwd) { masked(c, in_x(c, 0), out_x(c, 0), false); }

KERNEL(dropout, bwd)
{
    if (in_g(c, 0)) masked(c, out_g(c, 0), in_g(c, 0), true);
}
