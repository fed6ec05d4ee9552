// context_planes: what the network sees of each pixel beside the noise (E7).   u [B,W,F]: matrices of windows in scale
//   s, columns as window_rows gives them; means [B,H+K,F]: of their slots, that of now + k in column H-1 + k; base
//   [B,K,F] or NULL (base_k = u_now); level [2,F] = mean and spread of each flow; sigma [K,F] -> y [B,F,H+3K];
//   FeatureParams
//   plane 0: asinh((u_now - mean)/std)      plane i < H: asinh((u_{now-i} - u_now)/sigma_1)
//   planes H + 3(k-1) ..: asinh((v - u_now)/sigma_k) of v = base_k, of v = the matrix a day before now + k (the k-th
//   of the last K columns), of v = m_{now+k}
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(context_planes, fwd)
{
    const real *u = in_x(c, 0), *means = in_x(c, 1), *base = in_x(c, 2), *level = in_x(c, 3), *sigma = in_x(c, 4);
    real *y = out_x(c, 0);
    const int64_t B = c->in[0]->shape.d[0], W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2];
    const int64_t K = c->in[4]->shape.d[0];
    const int64_t H = ((const FeatureParams *)c->p)->history, M = H + K, C = H + 3 * K;
#pragma omp parallel for if (B * F * C > PAR_MIN / 16)
    for (int64_t i = 0; i < B * F; i++) {
        const int64_t b = i / F, f = i % F;
        const real *column = u + b * W * F + f, *mean = means + b * M * F + f, now = column[H * F];
        real *plane = y + i * C;
        plane[0] = R(asinh)((now - level[f]) / level[F + f]);
        for (int64_t back = 1; back < H; back++) plane[back] = R(asinh)((column[(H - back) * F] - now) / sigma[f]);
        for (int64_t k = 0; k < K; k++) {
            const real unit = sigma[k * F + f], forecast = base ? base[(b * K + k) * F + f] : now;
            plane[H + 3 * k] = R(asinh)((forecast - now) / unit);
            plane[H + 3 * k + 1] = R(asinh)((column[(W - K + k) * F] - now) / unit);
            plane[H + 3 * k + 2] = R(asinh)((mean[(H + k) * F] - now) / unit);
        }
    }
}
