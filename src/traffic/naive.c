#include "traffic/naive.h"

#include <math.h>
#include <string.h>

#include "tensor/sort.h"
#include "traffic/metrics.h"
#include "traffic/scaling.h"

enum { MAX_RESIDUAL_WINDOWS = 4096, LEAST_RESIDUAL_WINDOWS = 256, MAX_CHOICE_WINDOWS = 2048, QUICK_ROWS = 4096,
       QUICK_WINDOWS = 512 };

const char *const naive_names[NAIVE_KINDS] = {"persistence", "yesterday", "lastweek", "average", "mean",
                                              "ets", "ridge", "ridge-scale"};

static void predict_average(const TrafficSeries *s, int64_t t, int w, int K, int F, float *out)
{
    for (int f = 0; f < F; f++) {
        double sum = 0;
        for (int l = 0; l < w; l++) sum += (double)s->x[(t - l) * F + f];
        for (int h = 0; h < K; h++) out[h * F + f] = (float)(sum / w);
    }
}

// The row of part_mean_kbps for the slot h after row t.
static int part_row(const TrafficSeries *s, int64_t t, int h)
{
    int slot, day;
    traffic_calendar(s, t, h, &slot, &day);
    return (day < 5 ? 0 : (int)traffic_slots_per_day(s)) + slot;
}

static void predict_mean(const NaiveModel *m, const TrafficSeries *s, int64_t t, float *out)
{
    for (int h = 1; h <= m->K; h++) {
        const int row = part_row(s, t, h);
        memcpy(out + (int64_t)(h - 1) * m->F, m->part_mean_kbps + (int64_t)row * m->F, (size_t)m->F * sizeof *out);
    }
}

static int64_t source_row(NaiveKind kind, const TrafficSeries *s, int64_t t, int h)
{
    int64_t row = -1;
    if (kind == NAIVE_LASTWEEK) row = traffic_row_at(s, t, traffic_season_offset(s, h, true, 0));
    if (kind != NAIVE_PERSISTENCE && row < 0) row = traffic_row_at(s, t, traffic_season_offset(s, h, false, 0));
    return row < 0 ? t : row;
}

bool naive_is_distinct(NaiveKind kind, const TrafficSeries *s, const int64_t *starts, int64_t n, int history, int K)
{
    if (kind != NAIVE_YESTERDAY && kind != NAIVE_LASTWEEK) return true;
    const NaiveKind simpler = kind == NAIVE_LASTWEEK ? NAIVE_YESTERDAY : NAIVE_PERSISTENCE;
    for (int64_t i = 0; i < n; i++)
        for (int h = 1; h <= K; h++) {
            const int64_t t = starts[i] + history - 1;
            if (source_row(kind, s, t, h) != source_row(simpler, s, t, h)) return true;
        }
    return false;
}

bool naive_has_state(NaiveKind kind) { return kind == NAIVE_ETS || kind == NAIVE_RIDGE_SCALE; }

void naive_predict(NaiveModel *m, const TrafficSeries *s, int64_t t, float *out)
{
    switch (m->kind) {
    case NAIVE_RIDGE:
    case NAIVE_RIDGE_SCALE: ridge_predict(m->ridge, s, t, out); return;
    case NAIVE_ETS: ets_predict(m->ets, s, t, m->K, out); return;
    case NAIVE_MEAN: predict_mean(m, s, t, out); return;
    case NAIVE_AVERAGE: predict_average(s, t, m->average, m->K, m->F, out); return;
    default: break;
    }
    for (int h = 1; h <= m->K; h++)
        memcpy(out + (int64_t)(h - 1) * m->F, s->x + source_row(m->kind, s, t, h) * m->F, (size_t)m->F * sizeof *out);
}

void naive_spread(NaiveModel *m, const TrafficSeries *s, int64_t t, const float *point, float *dist)
{
    const int64_t KF = (int64_t)m->K * m->F;
    if (m->scale) conditional_sigma(m->scale, s, t, m->sigma);
    for (int64_t q = 0; q < NAIVE_LEVELS; q++)
        for (int64_t k = 0; k < KF; k++) {
            const float r = m->residual[q * KF + k] * (m->scale ? m->sigma[k] : 1);
            dist[q * KF + k] = fmaxf(0, point[k] + r);
        }
}

// Mean squared error of the window length w over some windows, flows divided by unit[f].
static double average_error(const TrafficSeries *s, const int64_t *starts, int64_t n, int history, int w, int K, int F,
                            const float *unit)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t t = starts[i] + history - 1;
        for (int f = 0; f < F; f++) {
            double mean = 0;
            for (int l = 0; l < w; l++) mean += (double)s->x[(t - l) * F + f] / w;
            for (int h = 1; h <= K; h++) {
                if (!traffic_seen(s, t + h, f)) continue;
                double e = ((double)s->x[(t + h) * F + f] - mean) / (unit[f] > 0 ? (double)unit[f] : 1);
                sum += e * e;
            }
        }
    }
    return sum;
}

static int choose_average(Arena *a, const TrafficSeries *s, TrafficRange train, TrafficRange val, int history, int K)
{
    static const int choices[] = {2, 3, 4, 6, 8, 12, 16};
    const int F = s->N * s->N;
    size_t mark = arena_mark(a);
    int64_t *starts, stride = (val.end - val.begin) / MAX_CHOICE_WINDOWS + 1;
    int64_t n = traffic_windows(s, a, val, history, K, stride, &starts);
    float *unit = arena_zalloc(a, (size_t)F * sizeof *unit);
    for (int64_t t = train.begin; t < train.end; t++)
        for (int f = 0; s->valid[t] && f < F; f++) unit[f] = fmaxf(unit[f], s->x[t * F + f]);
    int best = 1;
    double least = INFINITY;
    for (size_t c = 0; c < sizeof choices / sizeof *choices && choices[c] <= history; c++) {
        double e = average_error(s, starts, n, history, choices[c], K, F, unit);
        if (e < least) {
            least = e;
            best = choices[c];
        }
    }
    arena_rewind(a, mark);
    return best;
}

void naive_levels(float *v, int64_t all, float *out, int64_t stride)
{
    int64_t n = 0;
    for (int64_t i = 0; i < all; i++)
        if (!isnan(v[i])) v[n++] = v[i];
    sort_f32(v, n);
    for (int64_t q = 0; q < NAIVE_LEVELS; q++)
        out[q * stride] = n ? (float)metric_quantile(v, (int)n, (double)(q + 1) / (NAIVE_LEVELS + 1), 6) : 0;
}

void naive_residuals(const TrafficSeries *s, int64_t t, int K, const float *point, float *out, int64_t stride)
{
    const int64_t KF = (int64_t)K * s->N * s->N;
    const float *truth = s->x + (t + 1) * s->N * s->N;
    for (int64_t k = 0; k < KF; k++) out[k * stride] = traffic_seen(s, t + 1, k) ? truth[k] - point[k] : NAN;
}

// Windows whose residuals are gathered before they go to their places in [KF][n], far from each other: a line of cache.
enum { NEXT_TO = 16 };

// Residuals of the `few` windows at t -> the first columns of r [KF][n].  point [KF], beside [KF][NEXT_TO]: work space.
static void residual_columns(NaiveModel *m, const TrafficSeries *s, const int64_t *t, int few, float *point,
                             float *beside, float *r, int64_t n)
{
    const int64_t KF = (int64_t)m->K * m->F;
    for (int j = 0; j < few; j++) {
        naive_predict(m, s, t[j], point);
        naive_residuals(s, t[j], m->K, point, beside + j, NEXT_TO);
    }
    for (int64_t k = 0; k < KF; k++) memcpy(r + k * n, beside + k * NEXT_TO, (size_t)few * sizeof *r);
}

// Quantiles of the residuals of some training windows; NAIVE_RIDGE_SCALE: fits the scale and divides by it first.
static Status fit_residuals(NaiveModel *m, Arena *a, const TrafficSeries *s, TrafficRange train, int64_t most)
{
    const int64_t KF = (int64_t)m->K * m->F;
    int64_t *t, all = traffic_windows(s, a, train, m->history, m->K, 1, &t);
    if (!all)
        return ERROR("%s: want training windows of %d + %d snapshots, got none in rows %lld .. %lld",
                     naive_names[m->kind], m->history, m->K, (long long)train.begin, (long long)train.end - 1);
    const int64_t fewer = m->K <= 32 ? most : most * 32 / m->K;
    const int64_t enough = fewer > LEAST_RESIDUAL_WINDOWS ? fewer : LEAST_RESIDUAL_WINDOWS;
    const int64_t n = all < enough ? all : enough;
    float *r = arena_alloc(a, (size_t)(n * KF) * sizeof *r);   // [KF][n]: sorted in place below
    float *point = arena_alloc(a, (1 + NEXT_TO) * (size_t)KF * sizeof *point);
    for (int64_t i = 0; i < n; i++) t[i] = t[i * all / n] + m->history - 1;   // i * all / n >= i: not overwritten yet
    for (int64_t i = 0; i < n; i += NEXT_TO) {
        const int few = n - i < NEXT_TO ? (int)(n - i) : NEXT_TO;
        residual_columns(m, s, t + i, few, point, point + KF, r + i, n);
    }
    if (m->kind == NAIVE_RIDGE_SCALE) conditional_fit(m->scale, a, s, t, n, r);
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < KF; k++) naive_levels(r + k * n, n, m->residual + k, KF);
    return OK;
}

static Status fit_mean(NaiveModel *m, Arena *a, const TrafficSeries *s, TrafficRange train)
{
    TrafficScale k;
    TRY(scale_fit(&k, a, s, train, SCALE_FLOWMAX));
    m->part_mean_kbps = part_means_fit(a, s, train, &k);
    for (int64_t i = 0; i < 2 * traffic_slots_per_day(s); i++)
        for (int f = 0; f < m->F; f++) m->part_mean_kbps[i * m->F + f] *= k.flowmax_kbps[f];
    return OK;
}

static Status fit_ridge(NaiveModel *m, Arena *a, const TrafficSeries *s, TrafficRange train, const RidgeModel *known)
{
    if (m->history < RIDGE_LAGS)
        return ERROR("ridge: want a history of at least %d snapshots, got %d", RIDGE_LAGS, m->history);
    m->ridge = known;
    if (known) return OK;
    RidgeModel *ridge = arena_alloc(a, sizeof *ridge);
    m->ridge = ridge;
    return ridge_fit(ridge, a, s, train, m->K, RIDGE_LAMBDA);
}

// The newest `rows` rows of r.
static TrafficRange newest(TrafficRange r, int64_t rows)
{
    return r.end - r.begin > rows ? (TrafficRange){r.end - rows, r.end} : r;
}

static Status fit(NaiveModel *m, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange train, TrafficRange val,
                  int history, int K, const RidgeModel *ridge, bool quick)
{
    *m = (NaiveModel){.kind = kind, .F = s->N * s->N, .K = K, .history = history};
    const size_t KF = (size_t)K * (size_t)m->F;
    m->residual = arena_alloc(a, NAIVE_LEVELS * KF * sizeof *m->residual);
    if (kind == NAIVE_AVERAGE) m->average = choose_average(a, s, train, val, history, K);
    if (kind == NAIVE_MEAN) TRY(fit_mean(m, a, s, train));
    if (kind == NAIVE_RIDGE || kind == NAIVE_RIDGE_SCALE) TRY(fit_ridge(m, a, s, train, ridge));
    if (kind == NAIVE_ETS) ets_fit(m->ets = arena_alloc(a, sizeof *m->ets), a, s, train);
    if (kind == NAIVE_RIDGE_SCALE) {
        m->sigma = arena_alloc(a, KF * sizeof *m->sigma);
        m->scale = conditional_new(a, m->ridge);
        if (quick) conditional_begin(m->scale, newest(train, QUICK_ROWS + QUICK_ROWS / 2).begin);
    }
    size_t mark = arena_mark(a);
    Status status = fit_residuals(m, a, s, quick ? newest(train, QUICK_ROWS) : train,
                                  quick ? QUICK_WINDOWS : MAX_RESIDUAL_WINDOWS);
    arena_rewind(a, mark);
    return status;
}

Status naive_fit(NaiveModel *m, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange train, TrafficRange val,
                 int history, int K, const RidgeModel *ridge)
{
    return fit(m, a, kind, s, train, val, history, K, ridge, false);
}

Status naive_fit_quick(NaiveModel *m, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange train,
                       TrafficRange val, int history, int K, const RidgeModel *ridge)
{
    return fit(m, a, kind, s, train, val, history, K, ridge, true);
}
