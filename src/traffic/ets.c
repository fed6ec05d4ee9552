#include "traffic/ets.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { MOST_VALUES = 9, MOST_ROUNDS = 4 };

// phi is below 1: the sum of its powers has a closed form.
static const struct { int n; double v[MOST_VALUES]; } grid[ETS_PARAMETERS] = {
    [ETS_ALPHA] = {9, {0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.99}},
    [ETS_BETA] = {6, {0, 0.01, 0.03, 0.1, 0.2, 0.4}},
    [ETS_GAMMA] = {7, {0, 0.005, 0.01, 0.03, 0.1, 0.2, 0.4}},
    [ETS_PHI] = {4, {0.8, 0.9, 0.95, 0.98}},
};
static const double first_guess[ETS_PARAMETERS] = {0.5, 0, 0.01, 0.9};

typedef struct Smoothed { double level, trend; } Smoothed;

// phi + .. + phi^g
static double damped(double phi, double phi_g) { return phi * (1 - phi_g) / (1 - phi); }

// One observation x (NaN: none), gap slots after the one before; *s is the season of its slot.  Returns the error.
static double observe(Smoothed *m, double *s, double x, int64_t gap, const double p[ETS_PARAMETERS])
{
    const double phi_g = gap == 1 ? p[ETS_PHI] : pow(p[ETS_PHI], (double)gap);
    const double level = m->level + damped(p[ETS_PHI], phi_g) * m->trend, e = isnan(x) ? 0 : x - level - *s;
    m->level = level + p[ETS_ALPHA] * e;
    m->trend = phi_g * m->trend + p[ETS_ALPHA] * p[ETS_BETA] * e;
    *s += p[ETS_GAMMA] * e;
    return e;
}

static double measured(const TrafficSeries *s, int64_t t, int f)
{
    return traffic_seen(s, t, f) ? (double)s->x[t * s->N * s->N + f] : NAN;
}

static int slot_of(const TrafficSeries *s, int64_t t, int64_t ahead)
{
    int slot, day;
    traffic_calendar(s, t, ahead, &slot, &day);
    return slot;
}

// ---- fitting -------------------------------------------------------------------------------------------------------

// The valid rows that parameters are searched on.
typedef struct Rows {
    int64_t n;
    int64_t *t, *gap;            // [n]: rows; slots since the row before
    int *slot;                   // [n]
} Rows;

static Rows search_rows(const TrafficSeries *s, Arena *a, TrafficRange train)
{
    Rows r = {0};
    r.t = arena_alloc(a, ETS_SEARCH_ROWS * sizeof *r.t);
    r.gap = arena_alloc(a, ETS_SEARCH_ROWS * sizeof *r.gap);
    r.slot = arena_alloc(a, ETS_SEARCH_ROWS * sizeof *r.slot);
    int64_t begin = train.end, n = 0;
    while (begin > train.begin && n < ETS_SEARCH_ROWS) n += s->valid[--begin];
    for (int64_t t = begin; t < train.end; t++) {
        if (!s->valid[t]) continue;
        r.t[r.n] = t;
        r.slot[r.n] = slot_of(s, t, 0);
        r.gap[r.n] = r.n ? s->slot[t] - s->slot[r.t[r.n - 1]] : 1;
        r.n++;
    }
    return r;
}

// Sum of the squared errors of x [n] with parameters p; season [per_day] is the start, work [per_day].
static double squared_error(const Rows *r, const double *x, const double *season, int per_day, double *work,
                            const double p[ETS_PARAMETERS])
{
    memcpy(work, season, (size_t)per_day * sizeof *work);
    Smoothed m = {r->n ? x[0] - season[r->slot[0]] : 0, 0};
    double sum = 0;
    for (int64_t i = 1; i < r->n; i++) {
        const double e = observe(&m, &work[r->slot[i]], x[i], r->gap[i], p);
        sum += e * e;
    }
    return sum;
}

static void search(const Rows *r, const double *x, const double *season, int per_day, double *work, bool seasonal,
                   double p[ETS_PARAMETERS])
{
    memcpy(p, first_guess, sizeof first_guess);
    if (!seasonal) p[ETS_GAMMA] = 0;
    double least = squared_error(r, x, season, per_day, work, p);
    bool better = true;
    for (int round = 0; round < MOST_ROUNDS && better; round++) {
        better = false;
        for (int i = 0; i < ETS_PARAMETERS; i++) {
            if (i == ETS_GAMMA && !seasonal) continue;
            for (int v = 0; v < grid[i].n; v++) {
                double q[ETS_PARAMETERS];
                memcpy(q, p, sizeof q);
                q[i] = grid[i].v[v];
                const double e = squared_error(r, x, season, per_day, work, q);
                if (!(e < least)) continue;
                least = e;
                memcpy(p, q, sizeof q);
                better = true;
            }
        }
    }
}

// Means of the slots of the day minus their mean -> m->start; a slot without rows stays 0.
static void fit_season(EtsModel *m, Arena *a, const TrafficSeries *s, TrafficRange train)
{
    const int F = m->F, D = m->per_day;
    const size_t mark = arena_mark(a);
    int32_t *count = arena_zalloc(a, (size_t)D * (size_t)F * sizeof *count);
    int64_t *seen = arena_zalloc(a, (size_t)F * sizeof *seen), used = 0;     // slots with values of the flow; rows
    double *mean = arena_zalloc(a, (size_t)F * sizeof *mean);
    for (int64_t t = train.begin; t < train.end; t++) {
        if (!s->valid[t]) continue;
        const int slot = slot_of(s, t, 0);
        for (int f = 0; f < F; f++) {
            if (!traffic_seen(s, t, f)) continue;
            m->start[slot * F + f] += (double)s->x[t * F + f];
            count[slot * F + f]++;
        }
        used++;
    }
    m->season = used >= 2 * D;
    for (int64_t i = 0; i < (int64_t)D * F; i++) seen[i % F] += count[i] > 0;
    for (int64_t i = 0; i < (int64_t)D * F; i++) {
        if (!count[i]) continue;
        m->start[i] /= (double)count[i];
        mean[i % F] += m->start[i] / (double)seen[i % F];
    }
    for (int64_t i = 0; i < (int64_t)D * F; i++)
        if (count[i]) m->start[i] -= mean[i % F];
    if (!m->season) memset(m->start, 0, (size_t)D * (size_t)F * sizeof *m->start);
    arena_rewind(a, mark);
}

void ets_fit(EtsModel *m, Arena *a, const TrafficSeries *s, TrafficRange train)
{
    const int F = s->N * s->N, D = (int)traffic_slots_per_day(s);
    const size_t table = (size_t)D * (size_t)F;
    *m = (EtsModel){.F = F, .per_day = D, .t = -1};
    m->parameter = arena_alloc(a, (size_t)F * sizeof *m->parameter);
    m->start = arena_zalloc(a, table * sizeof *m->start);
    m->now = arena_alloc(a, table * sizeof *m->now);
    m->level = arena_alloc(a, (size_t)F * sizeof *m->level);
    m->trend = arena_alloc(a, (size_t)F * sizeof *m->trend);
    fit_season(m, a, s, train);
    const size_t mark = arena_mark(a), each = ETS_SEARCH_ROWS + 2 * (size_t)D;
    const Rows r = search_rows(s, a, train);
    double *space = arena_alloc(a, (size_t)omp_get_max_threads() * each * sizeof *space);
#pragma omp parallel for schedule(dynamic, 1)
    for (int f = 0; f < F; f++) {
        double *x = space + (size_t)omp_get_thread_num() * each, *season = x + ETS_SEARCH_ROWS, *work = season + D;
        for (int64_t i = 0; i < r.n; i++) x[i] = i ? measured(s, r.t[i], f) : (double)s->x[r.t[i] * F + f];
        for (int d = 0; d < D; d++) season[d] = m->start[d * F + f];
        search(&r, x, season, D, work, m->season, m->parameter[f]);
    }
    arena_rewind(a, mark);
}

// ---- forecasting ---------------------------------------------------------------------------------------------------

static void begin_at(EtsModel *m, const TrafficSeries *s, int64_t t)
{
    memcpy(m->now, m->start, (size_t)m->per_day * (size_t)m->F * sizeof *m->now);
    memset(m->trend, 0, (size_t)m->F * sizeof *m->trend);
    const double *season = m->start + (int64_t)slot_of(s, t, 0) * m->F;
    for (int f = 0; f < m->F; f++) m->level[f] = (double)s->x[t * m->F + f] - season[f];
}

static void go_to(EtsModel *m, const TrafficSeries *s, int64_t t)
{
    int64_t last = t < m->t ? -1 : m->t;   // the last valid row that was observed
    for (int64_t u = last + 1; u <= t; u++) {
        if (!s->valid[u]) continue;
        if (last < 0) begin_at(m, s, u);
        else {
            double *season = m->now + (int64_t)slot_of(s, u, 0) * m->F;
            for (int f = 0; f < m->F; f++) {
                Smoothed v = {m->level[f], m->trend[f]};
                observe(&v, &season[f], measured(s, u, f), s->slot[u] - s->slot[last], m->parameter[f]);
                m->level[f] = v.level;
                m->trend[f] = v.trend;
            }
        }
        last = u;
    }
    m->t = last;
}

void ets_predict(EtsModel *m, const TrafficSeries *s, int64_t t, int K, float *out)
{
    go_to(m, s, t);
    CHECK(m->t == t, "ets_predict: row %lld is not valid", (long long)t);
    for (int h = 1; h <= K; h++) {
        const double *season = m->now + (int64_t)slot_of(s, t, h) * m->F;
        for (int f = 0; f < m->F; f++) {
            const double phi = m->parameter[f][ETS_PHI];
            const double v = m->level[f] + damped(phi, pow(phi, h)) * m->trend[f] + season[f];
            out[(int64_t)(h - 1) * m->F + f] = (float)fmax(0, v);
        }
    }
}
