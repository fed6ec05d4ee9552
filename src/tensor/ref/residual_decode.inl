// residual_decode: the inverse of residual_target's shape for drawn samples (E7).   x [R,F,K], row r of window r B / R;
//   u [B,W,F], base [B,K,F] or NULL (base_k = u_now), sigma, gamma, low, high [K,F]; location, log_scale [B,F,K] or
//   NULL (0) -> y [R,K,F] in scale s; FeatureParams
//   y = base + sigma sinh(gamma clamp(v, low, high));   v = asinh(location + exp(log_scale) sinh(gamma x))/gamma, which
//   is x where both are NULL.  A NaN stays
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(residual_decode, fwd)
{
    const real *x = in_x(c, 0), *u = in_x(c, 1), *base = in_x(c, 2), *sigma = in_x(c, 3), *gamma = in_x(c, 4);
    const real *low = in_x(c, 5), *high = in_x(c, 6), *location = in_x(c, 7), *log_scale = in_x(c, 8);
    real *y = out_x(c, 0);
    const int64_t N = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1], K = c->in[0]->shape.d[2];
    const int64_t B = c->in[1]->shape.d[0], W = c->in[1]->shape.d[1], H = ((const FeatureParams *)c->p)->history;
#pragma omp parallel for if (N * K * F > PAR_MIN / 16)
    for (int64_t i = 0; i < N * K; i++) {
        const int64_t r = i / K, k = i % K, b = r * B / N;
        for (int64_t f = 0; f < F; f++) {
            const int64_t kf = k * F + f, at = (b * F + f) * K + k;
            const real from = base ? base[b * K * F + kf] : u[(b * W + H) * F + f];
            real v = x[(r * F + f) * K + k];
            if (location || log_scale) {
                const real z = R(sinh)(gamma[kf] * v) * (log_scale ? R(exp)(log_scale[at]) : 1);
                v = R(asinh)(location ? location[at] + z : z) / gamma[kf];
            }
            const real inside = v < low[kf] ? low[kf] : v > high[kf] ? high[kf] : v;
            y[i * F + f] = from + sigma[kf] * R(sinh)(gamma[kf] * inside);
        }
    }
}
