// window_rows: the rows of the series that a window looks at (E2, E7, E9).   at I32 [B]: the row that is "now", t,
//   before n = drawn matrices of a path that came after it; place I32 [T]: where each row lies in time, in slots,
//   increasing; valid I32 [T] -> rows I32 [B,W], season I32 [B,K,4]; WindowParams
//   Columns of rows, "now" = t + n:
//     0..H           now - H .. now.  Column 0, before the oldest image, repeats column 1 where it is missing
//     H+1..H+K       now + 1 .. now + K, with `target` only
//     the last K     one day (or the least number of days that makes it known at t) before now + k; where missing, now
//   A row after t is one of the path: T + b path + (its number).  Elsewhere -1 says missing: no such slot, or invalid.
//   season[k]: the inputs of ridge (E9), one day before t + k, its neighbours before and after, one week; -1: missing
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

typedef struct { const int32_t *place, *valid; int64_t T; } Series;

// The valid row `offset` slots after row t, by time; -1: none there.
static int32_t row_at(Series s, int64_t t, int64_t offset)
{
    const int64_t want = s.place[t] + offset;
    int64_t low = 0, high = s.T - 1;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (s.place[mid] < want) low = mid + 1;
        else high = mid;
    }
    return s.place[low] == want && s.valid[low] ? (int32_t)low : -1;
}

// From t to the value of one or more periods before t + h, the latest that is known: <= -margin.
static int64_t season_offset(int64_t h, int64_t period, int64_t margin)
{
    return h - (h + margin + period - 1) / period * period;
}

KERNEL(window_rows, fwd)
{
    const WindowParams *p = c->p;
    const int32_t *at = c->in[0]->x;
    int32_t *rows = c->out[0]->x, *season = c->out[1]->x;
    const Series s = {c->in[1]->x, c->in[2]->x, numel(c->in[1])};
    const int64_t B = numel(c->in[0]), W = c->out[0]->shape.d[1], H = p->history, K = p->steps;
    const int64_t D = p->per_day, n = p->drawn;
    for (int64_t b = 0; b < B; b++) {
        const int64_t t = at[b], path = s.T + b * p->path;
        int32_t *row = rows + b * W, *last = row + W - K;
        for (int64_t i = 0; i < W - K; i++) {
            const int64_t offset = n + i - H;
            row[i] = offset > 0 && offset <= n ? (int32_t)(path + offset - 1) : row_at(s, t, offset);
        }
        if (row[0] < 0) row[0] = row[1];
        for (int64_t k = 1; k <= K; k++) {
            last[k - 1] = row_at(s, t, season_offset(n + k, D, 0));
            if (last[k - 1] < 0) last[k - 1] = row[H];
            int32_t *e = season + (b * K + k - 1) * RIDGE_SEASON;
            for (int64_t i = 0; i < 3; i++) e[i] = row_at(s, t, season_offset(k, D, 1) + i - 1);
            e[3] = row_at(s, t, season_offset(k, 7 * D, 0));
        }
    }
}
