#include "lead/extend.h"

#include <stdlib.h>
#include <string.h>

typedef struct Total { double sum; int path; } Total;

static int by_sum(const void *a, const void *b)
{
    const Total *x = a, *y = b;
    return x->sum != y->sum ? (x->sum > y->sum ? 1 : -1) : x->path - y->path;
}

// The paths of x [S][steps][F] in the order of their totals at step k (from 1).
static Total *order(Arena *a, const float *x, int S, int steps, int F, int k)
{
    Total *total = arena_alloc(a, (size_t)S * sizeof *total);
    for (int i = 0; i < S; i++) {
        const float *at = x + ((int64_t)i * steps + k - 1) * F;
        total[i] = (Total){0, i};
        for (int f = 0; f < F; f++) total[i].sum += at[f];
    }
    qsort(total, (size_t)S, sizeof *total, by_sum);
    return total;
}

static Status fit(Fallback *fallback, const LeadRun *r, int64_t t, int H, NaiveKind *kind, Arena *a)
{
    const TrafficRange known = {0, t + 1};
    *kind = NAIVE_RIDGE_SCALE;
    const Status s = fallback_fit(fallback, a, *kind, r->series, known, known, r->cfg.history, H);
    if (!s.code) return OK;
    *kind = NAIVE_PERSISTENCE;
    return fallback_fit(fallback, a, *kind, r->series, known, known, r->cfg.history, H);
}

Status lead_extend(const LeadRun *r, int64_t t, int H, const float *samples, const float *point, float **long_samples,
                   float **long_point, NaiveKind *kind, Arena *a)
{
    const int S = r->cfg.samples, K = r->cfg.horizon, F = r->stats.F;
    const int64_t HF = (int64_t)H * F, KF = (int64_t)K * F;
    Fallback fallback;
    TRY(fit(&fallback, r, t, H, kind, a));
    float *x = *long_samples = arena_alloc(a, (size_t)(S * HF) * sizeof *x);
    float *p = *long_point = arena_alloc(a, (size_t)HF * sizeof *p);
    const size_t mark = arena_mark(a);
    float *naive = arena_alloc(a, (size_t)(S * HF) * sizeof *naive);
    fallback_forecast(&fallback, a, r->series, t, S, (uint64_t)r->cfg.seed, naive, p);
    memcpy(p, point, (size_t)KF * sizeof *p);
    const Total *mine = order(a, samples, S, K, F, K), *theirs = order(a, naive, S, H, F, K);
    for (int i = 0; i < S; i++) {
        float *to = x + mine[i].path * HF;
        memcpy(to, samples + mine[i].path * KF, (size_t)KF * sizeof *to);
        memcpy(to + KF, naive + theirs[i].path * HF + KF, (size_t)(HF - KF) * sizeof *to);
    }
    arena_rewind(a, mark);
    return OK;
}
