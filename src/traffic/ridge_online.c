#include "traffic/ridge_online.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "traffic/ridge_gram.h"

// One update of the sums: the windows whose last target lies in one day.
typedef struct Update {
    int64_t end;                                // first row of the next day: everything before it is known
    int64_t from[RIDGE_FITS], to[RIDGE_FITS];   // windows of each fit that are new
    int64_t model;                              // the model that is solved after it; -1 = none is wanted
    int fit[RIDGE_FITS];                        // which fit takes its place there: itself, or a smaller one
} Update;

typedef struct Plan {
    const TrafficSeries *s;
    RidgeRows rows[RIDGE_FITS];
    int64_t n;
    Update *update;
    double kept;                         // share of a weight that one update leaves
    double lambda;
} Plan;

// ---- when what is fitted -------------------------------------------------------------------------------------------

// The first row after `row` that lies in a later day.
static int64_t next_day(const TrafficSeries *s, int64_t row)
{
    const int64_t day = traffic_day(s, row);
    while (row < s->T && traffic_day(s, row) == day) row++;
    return row;
}

// Takes the windows that end in rows before u->end; returns how many of them are new for the fit of lags alone.
static int64_t take_windows(const Plan *p, Update *u, int K)
{
    for (int fit = 0; fit < RIDGE_FITS; fit++) {
        const RidgeRows *r = &p->rows[fit];
        u->to[fit] = u->from[fit];
        while (u->to[fit] < r->n && r->t[u->to[fit]] + K < u->end) u->to[fit]++;
    }
    return u->to[RIDGE_FITS - 1] - u->from[RIDGE_FITS - 1];
}

// The sums as they are before a new day are to be solved as the next model.
static void want_model(RidgeOnline *m, Update *u, const double weight[RIDGE_FITS])
{
    u->model = m->n++;
    for (int fit = 0; fit < RIDGE_FITS; fit++)
        for (u->fit[fit] = fit; weight[u->fit[fit]] < RIDGE_FULL_WINDOWS;) u->fit[fit]++;
}

// Walks over the days: lists the updates, and which model the rows of each day use.
static void plan_days(Plan *p, RidgeOnline *m, TrafficRange wanted, Arena *a)
{
    const TrafficSeries *s = p->s;
    double weight[RIDGE_FITS] = {0};
    int64_t now = m->n - 1, n_used = 0;  // now: the model of `first`, or none
    for (int64_t t = 0; t < s->T; t++) m->model_of[t] = -1;
    p->update = arena_alloc(a, ((size_t)s->T + 1) * sizeof *p->update);
    for (int64_t begin = 0, end; begin < wanted.end; begin = end) {
        end = next_day(s, begin);
        Update *last = p->n ? &p->update[p->n - 1] : NULL, u = {.end = end, .model = -1};
        if (end > wanted.begin && last && last->model < 0 && weight[RIDGE_FITS - 1] >= RIDGE_FULL_WINDOWS) {
            now = m->n;
            want_model(m, last, weight);
            n_used = p->n;
        }
        for (int64_t t = begin; t < end && end > wanted.begin; t++) m->model_of[t] = (int32_t)now;
        if (last) memcpy(u.from, last->to, sizeof u.from);
        if (!take_windows(p, &u, m->K)) continue;
        for (int fit = 0; fit < RIDGE_FITS; fit++)
            weight[fit] = weight[fit] * p->kept + (double)(u.to[fit] - u.from[fit]);
        p->update[p->n++] = u;
    }
    p->n = n_used;
}

// Finds the windows of the K steps of m and plans the days.
static Plan plan_new(RidgeOnline *m, const TrafficSeries *s, TrafficRange wanted, double half_life_days, Arena *a)
{
    Plan p = {.s = s, .kept = half_life_days > 0 ? exp2(-1 / half_life_days) : 1};
    int64_t *starts, n = traffic_windows(s, a, (TrafficRange){0, wanted.end}, RIDGE_LAGS, m->K, 1, &starts);
    for (int fit = 0; fit < RIDGE_FITS; fit++) p.rows[fit] = ridge_rows_find(s, a, starts, n, m->K, fit);
    plan_days(&p, m, wanted, a);
    return p;
}

// ---- one flow ------------------------------------------------------------------------------------------------------

typedef struct Work {
    double *x;                           // [T] the flow, kbit/s
    RidgeFlow flow;
    bool common[RIDGE_FITS];             // of the sums: ridge_gram_fill
    RidgeGram *day, *sum[RIDGE_FITS];    // [K] each: of one day, of all days so far
    double (*col)[RIDGE_BLOCK];
    double (*w)[RIDGE_INPUTS];           // [K]
} Work;

static Work work_new(Arena *a, const TrafficSeries *s, int K)
{
    const size_t grams = (size_t)K * sizeof(RidgeGram);
    Work w = {.x = arena_alloc(a, (size_t)s->T * sizeof(double)), .day = arena_alloc(a, grams)};
    for (int fit = 0; fit < RIDGE_FITS; fit++) w.sum[fit] = arena_alloc(a, grams);
    w.col = arena_alloc(a, RIDGE_COLS * sizeof *w.col);
    w.w = arena_alloc(a, (size_t)K * sizeof *w.w);
    return w;
}

// sum = kept sum + the day's new windows.  True: their horizons have a common block.
static bool add_day(const RidgeRows *all, int64_t from, int64_t to, int K, double kept, RidgeGram *sum, Work *w)
{
    RidgeRows r = *all;
    r.n = to - from;
    r.t += from;
    r.season += from * K * RIDGE_SEASON;
    const bool common = ridge_gram_fill(w->day, &r, &w->flow, K, w->col);
    double *to_sum = &sum[0][0][0];
    const double *day = &w->day[0][0][0];
    for (int64_t i = 0; i < (int64_t)K * RIDGE_COLS * RIDGE_COLS; i++) to_sum[i] = kept * to_sum[i] + day[i];
    return common;
}

static float *coef_of(const RidgeOnline *m, int64_t model, int fit)
{
    return m->coef + (model * RIDGE_FITS + fit) * m->K * (int64_t)m->F * RIDGE_INPUTS;
}

// In kbit/s: the unit that divides values multiplies lambda instead.
static void solve_flow(const Plan *p, RidgeOnline *m, const Update *u, int f, double unit, Work *w)
{
    for (int fit = RIDGE_FITS - 1; fit >= 0; fit--) {
        if (u->fit[fit] == fit)
            ridge_solve((const RidgeGram *)w->sum[fit], m->K, ridge_season_inputs[fit], p->lambda * unit * unit,
                        w->common[fit], w->w);
        float *out = coef_of(m, u->model, fit) + (int64_t)f * RIDGE_INPUTS;    // else w is still that of fit + 1
        for (int h = 0; h < m->K; h++, out += (int64_t)m->F * RIDGE_INPUTS)
            for (int i = 0; i < RIDGE_INPUTS; i++) out[i] = (float)w->w[h][i];
    }
}

static void fit_flow(const Plan *p, RidgeOnline *m, int f, Work *w)
{
    const TrafficSeries *s = p->s;
    double max = 0;
    int64_t seen = 0;
    for (int64_t t = 0; t < s->T; t++) w->x[t] = (double)s->x[t * m->F + f];
    w->flow = ridge_flow(s, f, w->x);
    for (int fit = 0; fit < RIDGE_FITS; fit++) {
        memset(w->sum[fit], 0, (size_t)m->K * sizeof(RidgeGram));
        w->common[fit] = true;
    }
    for (const Update *u = p->update; u < p->update + p->n; u++) {
        for (int fit = 0; fit < RIDGE_FITS; fit++)
            if (!add_day(&p->rows[fit], u->from[fit], u->to[fit], m->K, p->kept, w->sum[fit], w))
                w->common[fit] = false;
        for (; seen < u->end; seen++)
            if (s->valid[seen]) max = fmax(max, w->x[seen]);
        if (u->model >= 0) solve_flow(p, m, u, f, max > 0 ? max : 1, w);
    }
}

// ---- the whole -----------------------------------------------------------------------------------------------------

static int64_t count_days(const TrafficSeries *s, TrafficRange rows)
{
    int64_t n = 0;
    for (int64_t row = rows.begin; row < rows.end; row = next_day(s, row)) n++;
    return n;
}

static void fit_flows(const Plan *p, RidgeOnline *m, Arena *a)
{
    const int threads = omp_get_max_threads();
    Work *work = arena_alloc(a, (size_t)threads * sizeof *work);
    for (int i = 0; i < threads; i++) work[i] = work_new(a, p->s, m->K);
#pragma omp parallel for schedule(dynamic, 1)
    for (int f = 0; f < m->F; f++) fit_flow(p, m, f, &work[omp_get_thread_num()]);
}

void ridge_online_fit(RidgeOnline *m, Arena *a, const TrafficSeries *s, TrafficRange wanted, const RidgeModel *first,
                      int K, double half_life_days, double lambda)
{
    CHECK(wanted.begin >= 0 && wanted.end <= s->T && half_life_days >= 0 && lambda > 0,
          "ridge_online_fit: rows %lld..%lld of %lld, half-life %g days, lambda %g", (long long)wanted.begin,
          (long long)wanted.end, (long long)s->T, half_life_days, lambda);
    CHECK(!first || (first->F == s->N * s->N && first->K == K), "ridge_online_fit: the first model has %d flows, %d "
          "steps, want %d, %d", first->F, first->K, s->N * s->N, K);
    *m = (RidgeOnline){.F = s->N * s->N, .K = K, .T = s->T, .n = first != NULL};
    m->per_day = (int)traffic_slots_per_day(s);
    const size_t one_model = (size_t)RIDGE_FITS * (size_t)K * (size_t)m->F * RIDGE_INPUTS * sizeof *m->coef;
    m->model_of = arena_alloc(a, (size_t)s->T * sizeof *m->model_of);
    m->coef = arena_alloc(a, ((size_t)count_days(s, wanted) + 1) * one_model);
    if (first) memcpy(m->coef, first->coef, one_model);
    const size_t mark = arena_mark(a);
    Plan p = plan_new(m, s, wanted, half_life_days, a);
    p.lambda = lambda;
    fit_flows(&p, m, a);
    arena_rewind(a, mark);
}

int64_t ridge_online_begin(const TrafficSeries *s, Arena *a, int K, double half_life_days)
{
    const size_t mark = arena_mark(a);
    RidgeOnline m = {.K = K, .model_of = arena_alloc(a, (size_t)s->T * sizeof *m.model_of)};
    plan_new(&m, s, (TrafficRange){0, s->T}, half_life_days, a);
    int64_t t = 0;
    while (t < s->T && m.model_of[t] < 0) t++;
    arena_rewind(a, mark);
    return t;
}

RidgeModel ridge_online_at(const RidgeOnline *m, int64_t t)
{
    CHECK(t >= 0 && t < m->T && m->model_of[t] >= 0, "ridge_online_at: row %lld of %lld has no model", (long long)t,
          (long long)m->T);
    return (RidgeModel){.F = m->F, .K = m->K, .per_day = m->per_day, .coef = coef_of(m, m->model_of[t], 0)};
}
