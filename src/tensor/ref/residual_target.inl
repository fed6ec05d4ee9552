// residual_target: the change from a cheap forecast, in units of its own spread (E7).
//   u [B,W,F]: matrices of windows in scale s, columns H+1 .. H+K the next ones; base [B,K,F] or NULL (base_k = u_now);
//   sigma, gamma [K,F]; location, log_scale [B,F,K], NULL: 0 -> y [B,F,K]; ResidualParams
//   z = (u_{now+k} - base_k)/sigma_k;  by kind:
//     shape      y = asinh((z - location) exp(-log_scale))/gamma_k, what the diffusion draws
//     units      y = z within -30 .. 30, what the location is fitted to
//     log size   y = log(|z - location| + 0.1), what the scale is fitted to
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(residual_target, fwd)
{
    const real *u = in_x(c, 0), *base = in_x(c, 1), *sigma = in_x(c, 2), *gamma = in_x(c, 3);
    const real *location = in_x(c, 4), *log_scale = in_x(c, 5);
    real *y = out_x(c, 0);
    const int64_t B = c->in[0]->shape.d[0], W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2];
    const int64_t K = c->in[2]->shape.d[0];
    const ResidualParams *p = c->p;
    const int64_t H = p->history;
#pragma omp parallel for if (B * F * K > PAR_MIN / 16)
    for (int64_t i = 0; i < B * F; i++)
        for (int64_t k = 0; k < K; k++) {
            const int64_t b = i / F, f = i % F, kf = k * F + f;
            const real *column = u + b * W * F + f, from = base ? base[b * K * F + kf] : column[H * F];
            const real z = (column[(H + 1 + k) * F] - from) / sigma[kf], at = location ? z - location[i * K + k] : z;
            if (p->kind == RESIDUAL_UNITS) y[i * K + k] = z < -30 ? -30 : z > 30 ? 30 : z;
            else if (p->kind == RESIDUAL_LOG_SIZE) y[i * K + k] = R(log)(R(fabs)(at) + (real)0.1);
            else y[i * K + k] = R(asinh)(log_scale ? at * R(exp)(-log_scale[i * K + k]) : at) / gamma[kf];
        }
}
