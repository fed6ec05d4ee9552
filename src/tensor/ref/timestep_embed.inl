// timestep_embed: sinusoids of a diffusion time (Vaswani et al. 2017; Ho et al. 2020).   time [N] -> y [N,D], D even
//   y[n,i] = sin(time[n] w_i), y[n,D/2+i] = cos(time[n] w_i), w_i = max_period^(-i / (D/2)); TimestepEmbedParams
//   Angles reach 1000 rad, where a float has lost 4 digits: they are computed in double in the f32 build too.
#include "tensor/ref.h"

KERNEL(timestep_embed, fwd)
{
    const double max_period = ((const TimestepEmbedParams *)c->p)->max_period;
    const real *time = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t N = numel(c->in[0]), D = shape_last(c->out[0]->shape), half = D / 2;
    for (int64_t i = 0; i < half; i++) {
        const double w = exp(-log(max_period) * (double)i / (double)half);
        for (int64_t n = 0; n < N; n++) {
            y[n * D + i] = (real)sin((double)time[n] * w);
            y[n * D + half + i] = (real)cos((double)time[n] * w);
        }
    }
}
