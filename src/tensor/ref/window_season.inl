// window_season: what the calendar says of the steps of a window (E7).   at I32 [B]: row t, "now"; place, valid
//   I32 [T] as in window_rows; week_slot I32 [T] as in window_calendar -> week I32 [B,K], part I32 [B,K], now I32 [B];
//   WindowParams
//   week   the row one week (or the least number of weeks that makes it known at t) before t + k; t where it is missing
//   part   the row of t + k in a table of slots of a working day, then slots of a day of the weekend: 2 per_day rows
//   now    week_slot[t]
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(window_season, fwd)
{
    const WindowParams *p = c->p;
    const int32_t *at = c->in[0]->x, *place = c->in[1]->x, *valid = c->in[2]->x, *week_slot = c->in[3]->x;
    int32_t *week = c->out[0]->x, *part = c->out[1]->x, *now = c->out[2]->x;
    const int64_t B = numel(c->in[0]), K = p->steps, D = p->per_day;
    for (int64_t b = 0; b < B; b++) {
        const int64_t t = at[b];
        now[b] = week_slot[t];
        for (int64_t k = 1; k <= K; k++) {
            const int64_t weeks = (k + 7 * D - 1) / (7 * D), want = place[t] + k - weeks * 7 * D;
            const int64_t slot = (week_slot[t] + k) % (7 * D);
            int64_t low = 0, high = t;
            while (low < high) {
                const int64_t mid = (low + high) / 2;
                if (place[mid] < want) low = mid + 1;
                else high = mid;
            }
            week[b * K + k - 1] = (int32_t)(place[low] == want && valid[low] ? low : t);
            part[b * K + k - 1] = (int32_t)(slot / D < 5 ? slot % D : D + slot % D);
        }
    }
}
