#include "lead/fallback.h"

#include <math.h>
#include <string.h>

#include "tensor/philox.h"

Status fallback_fit(Fallback *f, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange rows, TrafficRange val,
                    int history, int K)
{
    *f = (Fallback){.rows = rows};
    TRY(naive_fit(&f->model, a, kind, s, rows, val, history, K, NULL));
    f->n = traffic_windows(s, a, rows, history, K, 1, &f->past);
    for (int64_t i = 0; i < f->n; i++) f->past[i] += history - 1;
    return OK;
}

// The value that has in the levels `to` the rank that x has in `from`, both NAIVE_LEVELS values `stride` apart,
// ascending.  Beyond the ends: as far outside.  Among equal levels, such as those cut off at 0, x has the highest rank:
// that of its residual before the cut.
static float same_rank(float x, const float *from, const float *to, int64_t stride)
{
    const int64_t last = (NAIVE_LEVELS - 1) * stride;
    if (x < from[0]) return to[0] + (x - from[0]);
    if (x >= from[last]) return to[last] + (x - from[last]);
    int64_t i = 0;
    while (from[(i + 1) * stride] <= x) i++;      // from[i] <= x < from[i + 1]
    const float low = from[i * stride], high = from[(i + 1) * stride];
    const float at = (x - low) / (high - low);
    return to[i * stride] + at * (to[(i + 1) * stride] - to[i * stride]);
}

void fallback_forecast(Fallback *f, Arena *a, const TrafficSeries *s, int64_t t, int S, uint64_t seed, float *samples,
                       float *point)
{
    const int K = f->model.K, F = f->model.F;
    const int64_t KF = (int64_t)K * F;
    const size_t mark = arena_mark(a);
    float *now = arena_alloc(a, 2 * (size_t)((1 + NAIVE_LEVELS) * KF) * sizeof *now), *now_levels = now + KF;
    float *past = now_levels + NAIVE_LEVELS * KF, *past_levels = past + KF;
    naive_predict(&f->model, s, t, now);
    naive_spread(&f->model, s, t, now, now_levels);
    if (point) memcpy(point, now, (size_t)KF * sizeof *point);
    for (int i = 0; i < S; i++) {
        const uint32_t u = philox_u32(seed, philox_subsequence(SITE_SAMPLE, 0), (uint64_t)(t * S + i));
        const int64_t w = f->past[(int64_t)((uint64_t)u * (uint64_t)f->n >> 32)];
        naive_predict(&f->model, s, w, past);
        naive_spread(&f->model, s, w, past, past_levels);
        for (int64_t j = 0; j < KF; j++) {
            const float truth = s->x[(w + 1 + j / F) * F + j % F];
            samples[i * KF + j] = fmaxf(0, same_rank(truth, past_levels + j, now_levels + j, KF));
        }
    }
    arena_rewind(a, mark);
}
