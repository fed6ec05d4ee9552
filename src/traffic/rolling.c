#include "traffic/rolling.h"

#include <omp.h>

enum { MAX_RESIDUAL_WINDOWS = 4096 };

typedef struct Daily {
    RidgeOnline fits;
    NaiveModel levels;               // only K, F and residual, of the day `day`
    int64_t day;
    int64_t n_windows, *last;        // windows with a fit of their own, in order: last row of the history
    float *residual, *sorted;        // [MAX_RESIDUAL_WINDOWS][K F]; one column of it a thread
} Daily;

static void forecast(const Daily *d, const TrafficSeries *s, int64_t t, float *out)
{
    const RidgeModel m = ridge_online_at(&d->fits, t);
    ridge_predict(&m, s, t, out);
}

// The residual quantiles for forecasts from row t.
static Status fit_levels(Daily *d, const TrafficSeries *s, int64_t t)
{
    const int64_t F = d->levels.F, K = d->levels.K, KF = K * F, day = traffic_day(s, t);
    int64_t past = 0;
    while (past < d->n_windows && traffic_day(s, d->last[past] + K) < day) past++;
    if (!past)
        return ERROR("ridge-daily: want windows with a daily fit before the day of row %lld, got none", (long long)t);
    const int64_t n = past < MAX_RESIDUAL_WINDOWS ? past : MAX_RESIDUAL_WINDOWS;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = d->last[past - n + i];
        float *r = d->residual + i * KF;
        forecast(d, s, from, r);
        naive_residuals(s, from, (int)K, r, r, 1);
    }
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < KF; k++) {
        float *v = d->sorted + (int64_t)omp_get_thread_num() * MAX_RESIDUAL_WINDOWS;
        for (int64_t i = 0; i < n; i++) v[i] = d->residual[i * KF + k];
        naive_levels(v, n, d->levels.residual + k, KF);
    }
    d->day = day;
    return OK;
}

static Status daily_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    Daily *d = ctx;
    const int64_t KF = (int64_t)d->levels.K * d->levels.F;
    for (int from = 0, to; from < b->n; from = to) {   // the windows of one day at a time
        if (d->fits.model_of[b->last[from]] < 0 || d->day != traffic_day(s, b->last[from]))
            TRY(fit_levels(d, s, b->last[from]));
        for (to = from; to < b->n && traffic_day(s, b->last[to]) == d->day;) to++;
#pragma omp parallel for schedule(static)
        for (int i = from; i < to; i++) {
            forecast(d, s, b->last[i], b->point + i * KF);
            naive_spread(&d->levels, s, b->last[i], b->point + i * KF, b->dist + i * KF * NAIVE_LEVELS);
        }
    }
    return OK;
}

static void daily_new(Daily *d, Arena *a, const EvalTask *task, double half_life_days)
{
    const TrafficSeries *s = task->series;
    const int K = task->K, F = s->N * s->N;
    const int64_t end = task->n_windows ? task->starts[task->n_windows - 1] + task->history : 0;
    const size_t KF = (size_t)K * (size_t)F, threads = (size_t)omp_get_max_threads();
    *d = (Daily){.levels = {.K = K, .F = F}, .day = -1};
    ridge_online_fit(&d->fits, a, s, (TrafficRange){0, end}, NULL, K, half_life_days, RIDGE_LAMBDA);
    int64_t n = traffic_windows(s, a, (TrafficRange){0, end}, task->history, K, 1, &d->last);
    for (int64_t i = 0; i < n; i++) {
        const int64_t t = d->last[i] + task->history - 1;
        if (d->fits.model_of[t] >= 0) d->last[d->n_windows++] = t;
    }
    d->levels.residual = arena_alloc(a, NAIVE_LEVELS * KF * sizeof(float));
    d->residual = arena_alloc(a, MAX_RESIDUAL_WINDOWS * KF * sizeof(float));
    d->sorted = arena_alloc(a, threads * MAX_RESIDUAL_WINDOWS * sizeof(float));
}

static Status evaluate_frozen(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train)
{
    NaiveModel m;
    TRY(naive_fit(&m, a, NAIVE_RIDGE, task->series, train, train, task->history, task->K, NULL));
    const Forecaster f = naive_forecaster(&m);
    return evaluate(table, a, task, &f);
}

Status evaluate_rolling(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train, double half_life_days)
{
    const size_t mark = arena_mark(a);
    TRY(evaluate_frozen(table, a, task, train));
    arena_rewind(a, mark);
    Daily d;
    daily_new(&d, a, task, half_life_days);
    const Forecaster f = {.name = ROLLING_NAME, .kind = DIST_LEVELS, .S = NAIVE_LEVELS, .batch = 8, .run = daily_run,
                          .ctx = &d, .naive = true};
    const Status s = evaluate(table, a, task, &f);
    arena_rewind(a, mark);
    return s;
}
