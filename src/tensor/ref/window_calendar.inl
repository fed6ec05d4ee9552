// window_calendar: where a window lies in the week (E2, E4).   at I32 [B]: row t; week_slot I32 [T]: day of the week
//   (0 = Monday) times slots a day + slot of the day -> slot of the day [B,H], day of the week [B,H], row in the table
//   of slot means [B,H+K], all I32; WindowParams.  "Now" is t + n, n = drawn; column i < H of all is now - (H-1) + i,
//   columns H.. of the third are now + 1 .. now + K
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(window_calendar, fwd)
{
    const WindowParams *p = c->p;
    const int32_t *at = c->in[0]->x, *week_slot = c->in[1]->x;
    int32_t *slot = c->out[0]->x, *day = c->out[1]->x, *mean = c->out[2]->x;
    const int64_t B = numel(c->in[0]), H = p->history, M = H + p->steps, D = p->per_day;
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < M; i++) {
            const int64_t later = week_slot[at[b]] + p->drawn + i + 1 - H, w = (later % (7 * D) + 7 * D) % (7 * D);
            mean[b * M + i] = (int32_t)(w % p->slots);
            if (i >= H) continue;
            slot[b * H + i] = (int32_t)(w % D);
            day[b * H + i] = (int32_t)(w / D);
        }
}
