// encode_image: traffic matrices as images (E2).   u [B,W,F]: matrices of windows in scale s, means [B,M,F]: training
//   means of their slots, the first belongs to column 1 -> y [B,count,F,C], C = channels 3 or 1; EncodeParams
//   of column w = first + i:  R = 2 u_w - 1,  G = tanh(k_g (u_w - u_{w-1})),  B = tanh(k_b (u_w - m_{w-1}))
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(encode_image, fwd)
{
    const EncodeParams *p = c->p;
    const real *u = in_x(c, 0), *means = in_x(c, 1), k_g = (real)p->k_g, k_b = (real)p->k_b;
    real *y = out_x(c, 0);
    const Shape s = c->in[0]->shape;
    const int64_t B = s.d[0], W = s.d[1], F = s.d[2], M = c->in[1]->shape.d[1], C = p->channels;
#pragma omp parallel for if (B * p->count * F > PAR_MIN / 16)
    for (int64_t i = 0; i < B * p->count; i++) {
        const int64_t b = i / p->count, w = p->first + i % p->count;
        const real *now = u + (b * W + w) * F, *before = now - F, *mean = means + (b * M + w - 1) * F;
        for (int64_t f = 0; f < F; f++) {
            real *pixel = y + (i * F + f) * C;
            pixel[0] = 2 * now[f] - 1;
            if (C == 1) continue;
            pixel[1] = R(tanh)(k_g * (now[f] - before[f]));
            pixel[2] = R(tanh)(k_b * (now[f] - mean[f]));
        }
    }
}
