// residual_target: what the diffusion draws, the change from a cheap forecast in units of its own spread (E7).
//   u [B,W,F]: matrices of windows in scale s, columns H+1 .. H+K the next ones; base [B,K,F] or NULL (base_k = u_now);
//   sigma, gamma [K,F] -> y [B,F,K] = asinh((u_{now+k} - base_k)/sigma_k)/gamma_k; FeatureParams
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(residual_target, fwd)
{
    const real *u = in_x(c, 0), *base = in_x(c, 1), *sigma = in_x(c, 2), *gamma = in_x(c, 3);
    real *y = out_x(c, 0);
    const int64_t B = c->in[0]->shape.d[0], W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2];
    const int64_t K = c->in[2]->shape.d[0];
    const int64_t H = ((const FeatureParams *)c->p)->history;
#pragma omp parallel for if (B * F * K > PAR_MIN / 16)
    for (int64_t i = 0; i < B * F; i++)
        for (int64_t k = 0; k < K; k++) {
            const int64_t b = i / F, f = i % F, kf = k * F + f;
            const real *column = u + b * W * F + f, from = base ? base[b * K * F + kf] : column[H * F];
            y[i * K + k] = R(asinh)((column[(H + 1 + k) * F] - from) / sigma[kf]) / gamma[kf];
        }
}
