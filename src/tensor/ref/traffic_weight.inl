// traffic_weight: the square root of each pixel's share of the traffic (E8's loss_traffic).   u [B,W,F]: matrices of
//   windows in scale s, columns H+1 .. H+K the next ones -> y [B,F,K,C]; FeatureParams
//   y[b,f,k,:] = sqrt(u_{now+k} / mean over the flows of it), 1 where that mean is not positive
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(traffic_weight, fwd)
{
    const real *u = in_x(c, 0);
    real *y = out_x(c, 0);
    const Shape s = c->out[0]->shape;
    const int64_t B = s.d[0], F = s.d[1], K = s.d[2], C = s.d[3], W = c->in[0]->shape.d[1];
    const int64_t H = ((const FeatureParams *)c->p)->history;
#pragma omp parallel for if (B * K * F > PAR_MIN)
    for (int64_t i = 0; i < B * K; i++) {
        const int64_t b = i / K, k = i % K;
        const real *next = u + (b * W + H + 1 + k) * F;
        double mean = 0;
        for (int64_t f = 0; f < F; f++) mean += (double)next[f] / (double)F;
        for (int64_t f = 0; f < F; f++) {
            const real share = mean > 0 ? R(sqrt)(next[f] / (real)mean) : 1;
            for (int64_t j = 0; j < C; j++) y[((b * F + f) * K + k) * C + j] = share;
        }
    }
}
