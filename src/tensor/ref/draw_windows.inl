// draw_windows: training windows of one step, with replacement.   list I32 [n]: the row that is "now" of each window,
//   clock I32 [1] or NULL: added to the address's step -> at I32 [B]; DrawWindowsParams
//   at[b] = list[floor(d_b n / 2^32)],  d_b = draw b of the address (philox.h)
#include "tensor/philox.h"
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(draw_windows, fwd)
{
    const RandomAddress at = random_address(((const DrawWindowsParams *)c->p)->at, c, 1);
    const int32_t *list = (const int32_t *)c->in[0]->x;
    int32_t *y = c->out[0]->x;
    const uint64_t n = (uint64_t)numel(c->in[0]), sub = philox_subsequence(at.site, at.step);
    for (int64_t b = 0; b < numel(c->out[0]); b++)
        y[b] = list[philox_u32(at.seed, sub, at.offset + (uint64_t)b) * n >> 32];
}
