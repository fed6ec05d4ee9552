// diffusion_times: the times of a training batch and what depends on them (E7).   ab [T+1] = alpha_bar, weight [T+1]
//   of the squared error; clock I32 [1] or NULL: added to the address's step -> time, ab, weight, keep [B];
//   DiffusionTimesParams
//   stratified: row b draws from part j = b mod P of P equal parts of 1..T,  time_b = 1 + floor((j + u_b) T / P)
//   b counts from the address's offset on, for rows of a larger batch
//   keep_b = v_b >= drop: 1, else 0 (condition dropout, E6).  u, v: units of draw b at SITE_TIMESTEP, SITE_COND_DROP
#include "tensor/philox.h"
#include "tensor/ref.h"

KERNEL(diffusion_times, fwd)
{
    const DiffusionTimesParams *p = c->p;
    const RandomAddress at = random_address(p->at, c, 2);
    const real *ab = in_x(c, 0), *weight = in_x(c, 1);
    const int64_t T = numel(c->in[0]) - 1, B = numel(c->out[0]);
    for (int64_t i = 0; i < B; i++) {
        const int64_t b = i + (int64_t)at.offset;
        const float u = philox_unit(philox_u32(at.seed, philox_subsequence(SITE_TIMESTEP, at.step), (uint64_t)b));
        const float v = philox_unit(philox_u32(at.seed, philox_subsequence(SITE_COND_DROP, at.step), (uint64_t)b));
        const double place = ((double)(b % p->parts) + (double)u) / (double)p->parts;
        const int64_t t = 1 + (int64_t)(place * (double)T), time = t > T ? T : t;
        out_x(c, 0)[i] = (real)time;
        out_x(c, 1)[i] = ab[time];
        out_x(c, 2)[i] = weight[time];
        out_x(c, 3)[i] = (double)v >= p->drop;
    }
}
