#include "lead/fallback.h"

#include <float.h>
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

// ---- few rows

// Valid rows up to t, ascending -> out; returns their number.
static int64_t valid_rows(const TrafficSeries *s, int64_t t, int64_t *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i <= t; i++)
        if (s->valid[i]) out[n++] = i;
    return n;
}

// One path, steps `ahead` + 1 .. `ahead` + K after row base: that row plus sign * (the change since row `from`).  Where
// a row is missing, and beyond `reach` slots, the change is that before.
static void add_changes(const TrafficSeries *s, int64_t base, int64_t from, float sign, int64_t ahead, int64_t reach,
                        int K, float *out)
{
    const int F = s->N * s->N;
    int64_t to = from;
    for (int64_t k = 1; k <= ahead + K; k++) {
        const int64_t next = k <= reach ? traffic_row_at(s, from, k) : -1;
        if (next >= 0) to = next;
        for (int f = 0; f < F && k > ahead; f++) {
            const float change = sign * (s->x[to * F + f] - s->x[from * F + f]);
            out[(k - ahead - 1) * F + f] = fminf(FLT_MAX, fmaxf(0, s->x[base * F + f] + change));
        }
    }
}

// Half of row `last`, half of the mean of the n rows -> out [K][F]
static void between(const TrafficSeries *s, const int64_t *row, int64_t n, int K, float *out)
{
    const int F = s->N * s->N;
    for (int f = 0; f < F; f++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += (double)s->x[row[i] * F + f];
        const float mean = (float)(0.5 * (sum / (double)n + (double)s->x[row[n - 1] * F + f]));
        for (int k = 0; k < K; k++) out[k * F + f] = mean;
    }
}

Status fallback_brief(const TrafficSeries *s, Arena *a, int64_t t, int K, int S, uint64_t seed, float *samples,
                      float *point, int64_t *last)
{
    const size_t mark = arena_mark(a), KF = (size_t)K * (size_t)(s->N * s->N);
    int64_t *row = arena_alloc(a, (size_t)(t + 1) * sizeof *row), n = valid_rows(s, t, row), early = 0;
    if (n < 2) return ERROR("want at least 2 valid snapshots up to row %lld, got %lld", (long long)t, (long long)n);
    *last = row[n - 1];
    const int64_t span = s->slot[*last] - s->slot[row[0]], reach = span < 2 ? 1 : span / 2;
    const int64_t ahead = s->slot[t] - s->slot[*last], most = reach < K ? reach : K;
    if (ahead > most)
        return ERROR("the last valid snapshot, row %lld, is %lld slots before row %lld, want at most %lld (--keep-all "
                     "takes those of 100 times the usual total too)", (long long)*last, (long long)ahead,
                     (long long)t, (long long)most);
    while (s->slot[row[early]] + reach <= s->slot[*last]) early++;   // so many rows have known changes after them
    for (int i = 0; i < S; i++) {
        const uint32_t u = philox_u32(seed, philox_subsequence(SITE_SAMPLE, 0), (uint64_t)(t * S + i));
        const bool stays = u & 2;
        const int64_t from = row[(int64_t)((uint64_t)(u >> 2) * (uint64_t)(stays ? n : early) >> 30)];
        const float sign = stays ? 0 : u & 1 ? 1 : -1;
        add_changes(s, stays ? from : *last, from, sign, ahead, reach, K, samples + (size_t)i * KF);
    }
    between(s, row, n, K, point);
    arena_rewind(a, mark);
    return OK;
}
