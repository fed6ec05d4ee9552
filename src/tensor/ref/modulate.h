// What group_norm and adagn share: group normalisation (Wu, He 2018) followed by an affine part and optionally SiLU.
//   x [N,S..,C], G groups of C/G channels -> y like x, mean [N,G], rstd [N,G] (saved for backward)
//   mean, var over the S * C/G values of a group of one sample,  rstd = 1 / sqrt(var + eps),  xhat = (x - mean) rstd
//   z = (one + gamma) xhat + beta,   y = z  or  silu(z) = z / (1 + exp(-z))
//   dz = dy  or  dy silu'(z), z computed again from xhat;  h = dz (one + gamma)
//   dgamma += sum dz xhat     dbeta += sum dz     dx += rstd (h - mean_group(h) - xhat mean_group(h xhat))
// group_norm: one = 0, gamma and beta [C].   adagn: one = 1, gamma and beta of each sample.
// Numerics as in layer_norm: two passes, sums in `real`.
#ifndef LEAD_TENSOR_REF_MODULATE_H
#define LEAD_TENSOR_REF_MODULATE_H

#include "tensor/ref/act.h"

// Values of the affine part: sample n, channel i at [n * step + i]; step = 0 when all samples share them.
typedef struct Affine {
    const real *gamma, *beta;
    real one;
    int64_t step;
} Affine;

// adagn, film: s [N,2C] holds gamma, then beta of each sample.
static inline Affine affine_of_sample(const OpCall *c)
{
    const int64_t C = shape_last(c->in[0]->shape);
    return (Affine){.gamma = in_x(c, 1), .beta = in_x(c, 1) + C, .one = 1, .step = 2 * C};
}

static inline real affine(const Affine *a, int64_t n, int64_t i, real v)
{
    return (a->one + a->gamma[n * a->step + i]) * v + a->beta[n * a->step + i];
}

typedef struct GroupDims { int64_t N, S, C, G, M; } GroupDims;   // M = C / G channels a group

static inline GroupDims group_dims(const OpCall *c)
{
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape);
    const int64_t G = ((const GroupNormParams *)c->p)->groups;
    return (GroupDims){.N = N, .S = numel(c->in[0]) / (N * C), .C = C, .G = G, .M = C / G};
}

static inline void group_fwd(const OpCall *c, const Affine *a)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    const GroupNormParams *p = c->p;
    const GroupDims d = group_dims(c);
#pragma omp parallel for if (d.N * d.S * d.C > PAR_MIN)
    for (int64_t ng = 0; ng < d.N * d.G; ng++) {
        const int64_t n = ng / d.G, c0 = ng % d.G * d.M;
        real m = 0, var = 0;
        // pass 1: the mean
        for (int64_t s = 0; s < d.S; s++)
            for (int64_t i = c0; i < c0 + d.M; i++) m += x[(n * d.S + s) * d.C + i];
        m /= (real)(d.S * d.M);
        // pass 2: the variance, of differences
        for (int64_t s = 0; s < d.S; s++)
            for (int64_t i = c0; i < c0 + d.M; i++) {
                const real diff = x[(n * d.S + s) * d.C + i] - m;
                var += diff * diff;
            }
        mean[ng] = m;
        rstd[ng] = 1 / R(sqrt)(var / (real)(d.S * d.M) + (real)p->eps);
        // pass 3: affine part and SiLU
        for (int64_t s = 0; s < d.S; s++)
            for (int64_t i = c0; i < c0 + d.M; i++) {
                const int64_t at = (n * d.S + s) * d.C + i;
                const real z = affine(a, n, i, (x[at] - m) * rstd[ng]);
                y[at] = p->silu ? act_silu(z) : z;
            }
    }
}

static inline void group_bwd_x(const OpCall *c, const Affine *a, real *dx)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    const bool fused = ((const GroupNormParams *)c->p)->silu;
    const GroupDims d = group_dims(c);
#pragma omp parallel for if (d.N * d.S * d.C > PAR_MIN)
    for (int64_t ng = 0; ng < d.N * d.G; ng++) {
        const int64_t n = ng / d.G, c0 = ng % d.G * d.M;
        real mh = 0, mhx = 0;
        for (int pass = 0; pass < 2; pass++) {   // pass 0: the means of h and of h xhat; pass 1: dx
            for (int64_t s = 0; s < d.S; s++)
                for (int64_t i = c0; i < c0 + d.M; i++) {
                    const int64_t at = (n * d.S + s) * d.C + i;
                    const real xhat = (x[at] - mean[ng]) * rstd[ng];
                    const real dz = fused ? dy[at] * act_silu_grad(affine(a, n, i, xhat)) : dy[at];
                    const real h = dz * (a->one + a->gamma[n * a->step + i]);
                    if (pass == 0) {
                        mh += h;
                        mhx += h * xhat;
                    } else {
                        dx[at] += rstd[ng] * (h - mh - xhat * mhx);
                    }
                }
            if (pass == 0) {
                mh /= (real)(d.S * d.M);
                mhx /= (real)(d.S * d.M);
            }
        }
    }
}

// dgamma, dbeta: laid out like a->gamma and a->beta; either may be NULL.
static inline void group_bwd_affine(const OpCall *c, const Affine *a, real *dgamma, real *dbeta)
{
    const real *x = in_x(c, 0), *dy = out_g(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    const bool fused = ((const GroupNormParams *)c->p)->silu;
    const GroupDims d = group_dims(c);
    if (!dgamma && !dbeta) return;
#pragma omp parallel for if (d.N * d.S * d.C > PAR_MIN)
    for (int64_t i = 0; i < d.C; i++)        // a channel's sums belong to one thread
        for (int64_t n = 0; n < d.N; n++)
            for (int64_t s = 0; s < d.S; s++) {
                const int64_t at = (n * d.S + s) * d.C + i, ng = n * d.G + i / d.M;
                const real xhat = (x[at] - mean[ng]) * rstd[ng];
                const real dz = fused ? dy[at] * act_silu_grad(affine(a, n, i, xhat)) : dy[at];
                if (dgamma) dgamma[n * a->step + i] += dz * xhat;
                if (dbeta) dbeta[n * a->step + i] += dz;
            }
}

#endif
