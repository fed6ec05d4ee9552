// residual_decode: the inverse of residual_target's shape for drawn samples (E7).   x [R,F,K], row r of window r B / R;
//   u [B,W,F], base [B,K,F] or NULL (base_k = u_now), sigma, gamma, low, high [K,F]; location, log_scale [B,F,K] or
//   NULL (0) -> y [R,K,F] in scale s; FeatureParams
//   y = base + sigma sinh(gamma clamp(v, low, high));   v = asinh(location + exp(log_scale) sinh(gamma x))/gamma, which
//   is x where both are NULL.  A NaN stays
//   dx += dy sigma gamma exp(log_scale) cosh(gamma x) where low <= v <= high, since sinh(gamma v) = location +
//   exp(log_scale) sinh(gamma x) there; else nothing.  The other inputs are data
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

static real moved(real x, real gamma, const real *location, const real *log_scale, int64_t at)   // v
{
    if (!location && !log_scale) return x;
    const real z = R(sinh)(gamma * x) * (log_scale ? R(exp)(log_scale[at]) : 1);
    return R(asinh)(location ? location[at] + z : z) / gamma;
}

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
            const real v = moved(x[(r * F + f) * K + k], gamma[kf], location, log_scale, at);
            const real inside = v < low[kf] ? low[kf] : v > high[kf] ? high[kf] : v;
            y[i * F + f] = from + sigma[kf] * R(sinh)(gamma[kf] * inside);
        }
    }
}

KERNEL(residual_decode, bwd)
{
    const real *x = in_x(c, 0), *sigma = in_x(c, 3), *gamma = in_x(c, 4), *low = in_x(c, 5), *high = in_x(c, 6);
    const real *location = in_x(c, 7), *log_scale = in_x(c, 8), *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    const int64_t N = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1], K = c->in[0]->shape.d[2];
    const int64_t B = c->in[1]->shape.d[0];
    if (!dx) return;
#pragma omp parallel for if (N * K * F > PAR_MIN / 16)
    for (int64_t i = 0; i < N * F; i++) {
        const int64_t r = i / F, f = i % F, b = r * B / N;
        for (int64_t k = 0; k < K; k++) {
            const int64_t kf = k * F + f, at = (b * F + f) * K + k;
            const real drawn = x[i * K + k], v = moved(drawn, gamma[kf], location, log_scale, at);
            if (v < low[kf] || v > high[kf]) continue;
            const real stretch = log_scale ? R(exp)(log_scale[at]) : 1;
            dx[i * K + k] += dy[(r * K + k) * F + f] * sigma[kf] * gamma[kf] * stretch * R(cosh)(gamma[kf] * drawn);
        }
    }
}
