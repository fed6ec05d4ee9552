// The scores beside RMSE and CRPS, the comparison with naive forecasts, the sums of rows and columns, forecasts from
// files, rolling origins, and the naive forecasts that go through the rows in order: each against plain loops.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "tensor/philox.h"
#include "tests/test.h"
#include "traffic/forecast_file.h"
#include "traffic/protocol.h"
#include "traffic/synth.h"

static bool near(double got, double want, double tolerance)
{
    return fabs(got - want) <= tolerance;   // false for NaN
}

static TrafficSeries make_series(Arena *a, int N, int64_t T, int slot_seconds, uint64_t seed)
{
    SynthOptions o = synth_defaults();
    o.N = N;
    o.T = T;
    o.slot_seconds = slot_seconds;
    o.seed = seed;
    TrafficSeries s;
    const Status st = synth_generate(&s, a, &o);
    CHECK(!st.code, "%s", st.msg);
    return s;
}

// s without the rows begin .. begin+n-1, and with one invalid row.
static TrafficSeries with_holes(Arena *a, const TrafficSeries *s, int64_t begin, int64_t n, int64_t invalid)
{
    const int64_t F = (int64_t)s->N * s->N, T = s->T - n;
    float *x = arena_alloc(a, (size_t)(T * F) * sizeof *x);
    int64_t *time = arena_alloc(a, (size_t)T * sizeof *time);
    for (int64_t t = 0; t < T; t++) {
        const int64_t from = t < begin ? t : t + n;
        memcpy(x + t * F, s->x + from * F, (size_t)F * sizeof *x);
        time[t] = s->time[from];
    }
    TrafficSeries g;
    const TrafficReadOptions o = {.slot_seconds = s->slot_seconds};
    const Status st = traffic_series_init(&g, a, "holes", s->N, T, x, time, &o);
    CHECK(!st.code, "%s", st.msg);
    g.valid[invalid] = 0;
    for (int64_t k = 0; k < F; k++) g.x[invalid * F + k] = 1e9f;   // nobody may look at it
    return g;
}

// ---- a forecaster that errs by known random amounts ---------------------------------------------------------------

typedef struct Noisy { int K, F, S; double width; uint32_t step; bool pairs, levels; } Noisy;

static float noisy_value(const Noisy *c, const TrafficSeries *s, int64_t last, int sample, int h, int f)
{
    const uint64_t at = (uint64_t)((last * 64 + sample) * 4096 + h * 64 + f);
    double z = (double)philox_normal(3, philox_subsequence(SITE_TEST, c->step), at);
    if (c->pairs && sample % 2) z = -(double)philox_normal(3, philox_subsequence(SITE_TEST, c->step), at - 4096);
    if (c->levels) z = sample;
    // an error of the whole forecast, which the two of a pair share, and the spread of its samples
    const double error = (double)philox_normal(4, philox_subsequence(SITE_TEST, c->step),
                                               (uint64_t)(last * 4096 + h * 64 + f));
    return (float)fmax(0, (double)s->x[(last + h) * c->F + f] * (1 + c->width * (z + error)) + 0.1 * z);
}

static Status noisy_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    const Noisy *c = ctx;
    for (int i = 0; i < b->n; i++)
        for (int h = 1; h <= c->K; h++)
            for (int f = 0; f < c->F; f++) {
                double sum = 0;
                for (int j = 0; j < c->S; j++) {
                    const float v = noisy_value(c, s, b->last[i], j, h, f);
                    b->dist[(((int64_t)i * c->S + j) * c->K + h - 1) * c->F + f] = v;
                    sum += (double)v / c->S;
                }
                b->point[((int64_t)i * c->K + h - 1) * c->F + f] =
                    c->S ? (float)sum : noisy_value(c, s, b->last[i], 60, h, f);
            }
    return OK;
}

static int compare_float(const void *p, const void *q)
{
    const float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

// CRPS of the samples z by its definition, mean |z - y| - 1/2 mean |z - z'| over independent z, z'.
static double plain_crps(const float *z, int S, bool pairs, double y)
{
    double d = 0, spread = 0, n = 0;
    for (int i = 0; i < S; i++) {
        d += fabs((double)z[i] - y) / S;
        for (int j = 0; j < S; j++) {
            if (j == i || (pairs && j / 2 == i / 2)) continue;
            spread += fabs((double)z[i] - (double)z[j]);
            n++;
        }
    }
    return d - spread / n / 2;
}

// ---- scores of flows and days -------------------------------------------------------------------------------------

enum { N = 3, F = N * N, K = 3, H = 16, S = 6, D = 24 };

typedef struct World { TrafficSeries s; TrafficScale k; EvalTask task; EvalTable t; } World;

// Nine flows of hourly traffic: 0 is silent in the scored rows, 1 in the fitted ones, 2 is seldom above 0, six live.
static bool world_make(World *w, TestLog *log, Arena *a, ScaleKind kind)
{
    const TrafficSeries full = make_series(a, N, 30 * D, 3600, 7);
    w->s = with_holes(a, &full, 25 * D + 5, 9, 23 * D);
    for (int64_t t = 0; t < w->s.T; t++) {
        if (t >= 20 * D) w->s.x[t * F] = 0;
        if (t < 20 * D) w->s.x[t * F + 1] = 0;
        if (t % 3) w->s.x[t * F + 2] = 0;
    }
    const TrafficRange fitted = {0, 20 * D};
    const Status st = scale_fit(&w->k, a, &w->s, fitted, kind);
    int64_t *starts;
    const int64_t n = traffic_windows(&w->s, a, (TrafficRange){20 * D, w->s.T}, H, K, 1, &starts);
    w->task = (EvalTask){.series = &w->s, .scale = &w->k, .starts = starts, .n_windows = n, .history = H, .K = K,
                         .mape_above_kbps = 1000, .mape_above_scaled = 0.01, .fitted = fitted};
    w->t = eval_table_new(a, &w->task, 4);
    return TEST(log, !st.code && n > 100, "%s, %d windows", st.msg, (int)n);
}

static double scaled(const World *w, int f, double x) { return (double)scale_forward_flow(&w->k, f, (float)x); }

// Sums over the windows of one day (-1: all) of one horizon (0: all) of a forecaster's errors, by plain loops.
typedef struct Plain { double se, clipped, crps, in50, in90, n; } Plain;

static int64_t plain_day(const World *w, int64_t i)
{
    return w->s.time[w->task.starts[i] + H] / 86400;
}

static Plain plain_sums(const World *w, const Noisy *c, int64_t day, int horizon, int flow)
{
    Plain p = {0};
    for (int64_t i = 0; i < w->task.n_windows; i++) {
        if (day >= 0 && plain_day(w, i) != day) continue;
        const int64_t last = w->task.starts[i] + H - 1;
        for (int h = 1; h <= K; h++) {
            if (horizon && h != horizon) continue;
            for (int f = 0; f < F; f++) {
                if (flow >= 0 && f != flow) continue;
                float z[S];
                double sum = 0, y = scaled(w, f, (double)w->s.x[(last + h) * F + f]);
                for (int j = 0; j < S; j++) sum += (double)noisy_value(c, &w->s, last, j, h, f) / S;
                for (int j = 0; j < S; j++) z[j] = (float)scaled(w, f, (double)noisy_value(c, &w->s, last, j, h, f));
                const double e = scaled(w, f, (double)(float)sum) - y;
                p.se += e * e;
                p.clipped += fabs(e) > 0.2 ? 0.04 : e * e;
                p.crps += plain_crps(z, S, c->pairs, y);
                p.n++;
                float kbps[S];   // coverage is counted in the unit that is exact
                for (int j = 0; j < S; j++) kbps[j] = noisy_value(c, &w->s, last, j, h, f);
                qsort(kbps, S, sizeof *kbps, compare_float);
                const double x = (double)w->s.x[(last + h) * F + f];
                const int type = c->pairs ? QUANTILE_PAIRS : 6;
                p.in50 += x >= metric_quantile(kbps, S, 0.25, type) && x <= metric_quantile(kbps, S, 0.75, type);
                p.in90 += x >= metric_quantile(kbps, S, 0.05, type) && x <= metric_quantile(kbps, S, 0.95, type);
            }
        }
    }
    return p;
}

static int compare_double(const void *p, const void *q)
{
    const double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

// The gain of m over ref and its interval, by drawing day after day.
static void plain_gain(TestLog *log, const World *w, const Noisy *m, const Noisy *ref, int h, const MetricBeside *got)
{
    Plain day_m[16], day_ref[16];
    static double rmse[2000], crps[2000];
    int days = 0;
    int64_t before = -1;
    for (int64_t i = 0; i < w->task.n_windows; i++) {
        const int64_t day = plain_day(w, i);
        if (day == before) continue;
        before = day;
        day_m[days] = plain_sums(w, m, day, h, -1);
        day_ref[days++] = plain_sums(w, ref, day, h, -1);
    }
    TEST(log, days == w->t.days && days > 5, "%d days, want %d", w->t.days, days);
    for (int r = 0; r < 2000; r++) {
        Plain a = {0}, b = {0};
        for (int i = 0; i < days; i++) {
            const uint32_t u = philox_u32(0, philox_subsequence(SITE_BOOTSTRAP, (uint32_t)r), (uint64_t)i);
            const int d = (int)floor((double)u / 4294967296.0 * days);
            a.se += day_m[d].se;
            a.crps += day_m[d].crps;
            a.n += day_m[d].n;
            b.se += day_ref[d].se;
            b.crps += day_ref[d].crps;
            b.n += day_ref[d].n;
        }
        rmse[r] = 100 * (sqrt(b.se / b.n) - sqrt(a.se / a.n)) / sqrt(b.se / b.n);
        crps[r] = 100 * (b.crps / b.n - a.crps / a.n) / (b.crps / b.n);
    }
    qsort(rmse, 2000, sizeof *rmse, compare_double);
    qsort(crps, 2000, sizeof *crps, compare_double);
    TEST(log, near(got->rmse.low, rmse[49], 1e-4) && near(got->rmse.high, rmse[1950], 1e-4),
         "h %d: RMSE interval %g .. %g, plain %g .. %g", h, got->rmse.low, got->rmse.high, rmse[49], rmse[1950]);
    TEST(log, near(got->crps.low, crps[49], 1e-4) && near(got->crps.high, crps[1950], 1e-4),
         "h %d: CRPS interval %g .. %g, plain %g .. %g", h, got->crps.low, got->crps.high, crps[49], crps[1950]);
    const Plain a = plain_sums(w, m, -1, h, -1), b = plain_sums(w, ref, -1, h, -1);
    TEST(log, near(got->rmse.value, 100 * (1 - sqrt(a.se / b.se)), 1e-4) &&
              near(got->crps.value, 100 * (1 - a.crps / b.crps), 1e-4), "h %d: gains %g %g", h, got->rmse.value,
         got->crps.value);
    TEST(log, got->crps.low < got->crps.value && got->crps.value < got->crps.high, "the interval misses the value");
}

static void scores_beside(TestLog *log, Arena *a, ScaleKind kind)
{
    World w;
    if (!world_make(&w, log, a, kind)) return;
    TEST(log, w.t.n_live == 6 && w.t.silent_scored == 1 && w.t.silent_fitted == 1 && w.t.seldom == 1 && !w.t.live[0] &&
              !w.t.live[1] && !w.t.live[2], "live %d, silent %d %d, seldom %d", w.t.n_live, w.t.silent_scored,
         w.t.silent_fitted, w.t.seldom);
    Noisy model = {K, F, S, 0.15, 1, true, false}, ridge = {K, F, S, 0.2, 2, false, false},
          weak = {K, F, S, 0.4, 3, false, false}, point = {K, F, 0, 0.2, 4, false, false};
    const Forecaster row[4] = {{"model", DIST_PAIRS, S, 5, noisy_run, &model, false},
                               {"weak", DIST_SAMPLES, S, 8, noisy_run, &weak, true},
                               {"ridge", DIST_SAMPLES, S, 8, noisy_run, &ridge, true},
                               {"point", DIST_NONE, 0, 7, noisy_run, &point, false}};
    for (int i = 0; i < 4; i++) {
        const Status st = evaluate(&w.t, a, &w.task, &row[i]);
        if (!TEST(log, !st.code, "%s", st.msg)) return;
    }
    const size_t mark = arena_mark(a);
    eval_compare(&w.t, a);
    TEST(log, arena_mark(a) == mark && w.t.best == 2, "the best naive forecast is number %d", w.t.best);
    for (int h = 0; h <= K; h++) {
        const MetricBeside *b = &eval_table_find(&w.t, "model", "scaled", h)->beside;
        double logs = 0, better = 0, in50 = 0, in90 = 0, n = 0;
        for (int f = 3; f < F; f++) {
            const Plain m = plain_sums(&w, &model, -1, h, f), r = plain_sums(&w, &ridge, -1, h, f);
            logs += log10(sqrt(m.se / m.n) / sqrt(r.se / r.n)) / 6;
            better += m.se < r.se ? 1 / 6.0 : 0;
            in50 += m.in50;
            in90 += m.in90;
            n += m.n;
        }
        const Plain all = plain_sums(&w, &model, -1, h, -1);
        TEST(log, near(b->ratio, pow(10, logs), 1e-6) && near(b->improved, better, 1e-12), "h %d: ratio %g improved %g",
             h, b->ratio, b->improved);
        TEST(log, near(b->rmse_clipped, sqrt(all.clipped / all.n), 1e-6 * b->rmse_clipped), "h %d: clipped %g", h,
             b->rmse_clipped);
        TEST(log, near(b->cover50_live, in50 / n, 1e-12) && near(b->cover90_live, in90 / n, 1e-12),
             "h %d: covers %g %g", h, b->cover50_live, b->cover90_live);
        plain_gain(log, &w, &model, &ridge, h, b);
    }
    const MetricBeside *p = &eval_table_find(&w.t, "point", "scaled", 0)->beside,
                       *self = &eval_table_find(&w.t, "ridge", "scaled", 2)->beside;
    TEST(log, isnan(p->crps.value) && isnan(p->cover50_live) && isfinite(p->rmse.low) && isfinite(p->ratio),
         "a point forecast has a CRPS, or no RMSE");
    TEST(log, self->ratio == 1 && self->improved == 0 && self->rmse.value == 0 && self->crps.high == 0,
         "ridge beside itself");
    TEST(log, isnan(eval_table_find(&w.t, "model", "kbps", 1)->beside.ratio), "kbps has scores beside");
}

// One day has no interval; with no error in it NaN stays NaN; no naive model, nothing to compare with.
static void gains_at_the_edge(TestLog *log)
{
    uint16_t draws[METRIC_RESAMPLES];
    MetricBeside b = {0};
    metric_draw_days(draws, 1);
    metric_gains(&b, &(MetricDay){1, 2}, &(MetricDay){4, 4}, draws, 1, true);
    TEST(log, b.rmse.value == 50 && b.crps.value == 50 && isnan(b.rmse.low) && isnan(b.crps.high), "one day: %g %g",
         b.rmse.value, b.crps.value);
    metric_gains(&b, &(MetricDay){NAN, 2}, &(MetricDay){4, 4}, draws, 1, false);
    TEST(log, isnan(b.rmse.value) && isnan(b.crps.value), "NaN: %g", b.rmse.value);
    MetricFlow m = {0};
    metric_flow_add(&m, &(MetricTerms){.error = NAN}, 1);
    TEST(log, isnan(m.se) && isnan(m.se_clipped), "a NaN error was clipped to 0.2");
    const uint8_t live[1] = {0};
    const MetricBeside none = metric_beside(&m, NULL, live, 1, 1, true);
    TEST(log, isnan(none.ratio) && isnan(none.improved) && isnan(none.cover50_live), "scores of no live flow");
}

// ---- sums of rows and columns -------------------------------------------------------------------------------------

// In the order ORIGINS, DESTINATIONS, TOTAL.
static double plain_sum(int space, int n, const float *x)
{
    double sum = 0;
    for (int f = 0; f < F; f++)
        if (space == 2 || (space == 0 ? f / N : f % N) == n) sum += (double)x[f];
    return sum;
}

static void sums_of_paths(TestLog *log, Arena *a)
{
    static const char *const names[] = {"origins", "destinations", "total"};
    World w;
    if (!world_make(&w, log, a, SCALE_FLOWMAX)) return;
    Noisy model = {K, F, S, 0.15, 1, true, false}, ridge = {K, F, S, 0.1, 2, false, true};
    const Forecaster row[2] = {{"model", DIST_PAIRS, S, 5, noisy_run, &model, false},
                               {"levels", DIST_LEVELS, S, 8, noisy_run, &ridge, true}};
    for (int i = 0; i < 2; i++) {
        const Status st = evaluate(&w.t, a, &w.task, &row[i]);
        if (!TEST(log, !st.code, "%s", st.msg)) return;
    }
    for (int space = 0; space < 3; space++)
        for (int h = 0; h <= K; h++) {
            double se = 0, crps = 0, in90 = 0, n = 0;
            for (int64_t i = 0; i < w.task.n_windows; i++)
                for (int k = h ? h : 1; k <= (h ? h : K); k++)
                    for (int node = 0; node < (space == 2 ? 1 : N); node++) {
                        const int64_t last = w.task.starts[i] + H - 1;
                        float z[S], sorted[S], path[S][F], mean[F];
                        for (int j = 0; j < S; j++)
                            for (int f = 0; f < F; f++) path[j][f] = noisy_value(&model, &w.s, last, j, k, f);
                        for (int f = 0; f < F; f++) {
                            double sum = 0;
                            for (int j = 0; j < S; j++) sum += (double)path[j][f] / S;
                            mean[f] = (float)sum;
                        }
                        for (int j = 0; j < S; j++) z[j] = sorted[j] = (float)plain_sum(space, node, path[j]);
                        qsort(sorted, S, sizeof *sorted, compare_float);
                        const double y = (double)(float)plain_sum(space, node, w.s.x + (last + k) * F);
                        const double e = plain_sum(space, node, mean) - y;
                        se += e * e;
                        crps += plain_crps(z, S, true, y);
                        in90 += y >= metric_quantile(sorted, S, 0.05, QUANTILE_PAIRS) &&
                                y <= metric_quantile(sorted, S, 0.95, QUANTILE_PAIRS);
                        n++;
                    }
            const MetricResult *r = &eval_table_find(&w.t, "model", names[space], h)->r,
                               *l = &eval_table_find(&w.t, "levels", names[space], h)->r;
            TEST(log, near(r->rmse, sqrt(se / n), 1e-5 * r->rmse) && near(r->crps, crps / n, 1e-5 * r->crps) &&
                      near(r->cover90, in90 / n, 1e-12) && r->values == (int64_t)n,
                 "%s h %d: rmse %g crps %g covers %g", names[space], h, r->rmse, r->crps, r->cover90);
            TEST(log, isfinite(l->rmse) && isnan(l->crps) && isnan(l->cover50) && isnan(r->energy),
                 "%s: levels have a joint distribution", names[space]);
        }
}

// ---- naive forecasts that go through the rows ---------------------------------------------------------------------

// EWMA(v; rate) of the n values so far.
static double plain_ewma(const double *v, int n, double rate)
{
    double m = 0;
    for (int i = 0; i < n; i++) m += (rate > 1.0 / (i + 1) ? rate : 1.0 / (i + 1)) * (v[i] - m);
    return m;
}

// One row back in time, by search: -1 where it is missing or invalid.
static int64_t plain_row(const TrafficSeries *s, int64_t slot)
{
    for (int64_t t = 0; t < s->T; t++)
        if (s->slot[t] == slot) return s->valid[t] ? t : -1;
    return -1;
}

static bool plain_can_predict(const TrafficSeries *s, int64_t t)
{
    for (int l = 0; l < 12; l++)
        if (plain_row(s, s->slot[t] - l) < 0) return false;
    return true;
}

enum { CK = 2, CN = 2, CF = 4 };

// The inputs of the regression at row t, step h, flow f, from all rows up to t.
static void plain_inputs(const TrafficSeries *s, const RidgeModel *ridge, int64_t t, int h, int f, double e,
                         double z[11])
{
    double change[1000], error[1000], mean = 0;
    float p[CK * CF];
    int n = 0, m = 0;
    for (int64_t u = 0; u <= t; u++) {
        if (!s->valid[u]) continue;
        const int64_t one = plain_row(s, s->slot[u] - 1), from = plain_row(s, s->slot[u] - h);
        if (one >= 0) change[n++] = fabs((double)s->x[u * CF + f] - (double)s->x[one * CF + f]);
        if (from < 0 || !plain_can_predict(s, from)) continue;
        ridge_predict(ridge, s, from, p);
        error[m++] = fabs((double)s->x[u * CF + f] - (double)p[(h - 1) * CF + f]);
    }
    ridge_predict(ridge, s, t, p);
    const double x = (double)s->x[t * CF + f], forecast = (double)p[(h - 1) * CF + f];
    for (int l = 1; l <= 11; l++) mean += (double)s->x[(t - l) * CF + f];
    const int64_t seconds = (s->time[t] + h * s->slot_seconds) % 86400;
    const double v[11] = {log(plain_ewma(change, n, 0.3) + e), log(plain_ewma(change, n, 0.05) + e),
                          log(plain_ewma(change, n, 0.005) + e), log(forecast + e), log(fabs(x - forecast) + e),
                          log(fabs(x - mean / 11) + e), log(plain_ewma(error, m, 0.1) + e),
                          log(plain_ewma(error, m, 0.01) + e), sin(6.283185307179586 * (double)seconds / 86400),
                          cos(6.283185307179586 * (double)seconds / 86400), 1};
    memcpy(z, v, sizeof v);
}

// (G + 10 I) w = b by Gauss-Jordan with pivoting; the last diagonal entry without the 10.
static void plain_solve(double G[11][12])
{
    for (int i = 0; i < 10; i++) G[i][i] += 10;
    for (int c = 0; c < 11; c++) {
        int p = c;
        for (int i = c; i < 11; i++) if (fabs(G[i][c]) > fabs(G[p][c])) p = i;
        for (int j = 0; j < 12; j++) {
            const double v = G[p][j];
            G[p][j] = G[c][j];
            G[c][j] = v;
        }
        for (int i = 0; i < 11; i++) {
            const double q = i == c ? 0 : G[i][c] / G[c][c];
            for (int j = c; j < 12; j++) G[i][j] -= q * G[c][j];
        }
    }
    for (int i = 0; i < 11; i++) G[i][11] /= G[i][i];
}

static double logarithm(double x) { return log(x); }   // log is the test's TestLog below

static void conditional_scale(TestLog *log, Arena *a)
{
    const TrafficSeries full = make_series(a, CN, 20 * D, 3600, 13), s = with_holes(a, &full, 9 * D, 5, 6 * D);
    for (int64_t t = 0; t < 16 * D; t++) s.x[t * CF] = 0;   // flow 0: silent in training
    const TrafficRange train = {0, 16 * D};
    NaiveModel m;
    Status st = naive_fit(&m, a, NAIVE_RIDGE_SCALE, &s, train, train, H, CK, NULL);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    int64_t *start;
    const int64_t n = traffic_windows(&s, a, train, H, CK, 1, &start), last = 18 * D;
    float *r = arena_alloc(a, (size_t)n * sizeof *r), *size = arena_alloc(a, (size_t)n * sizeof *size), sigma[CK * CF],
          p[CK * CF], dist[NAIVE_LEVELS * CK * CF];
    conditional_sigma(m.scale, &s, last, sigma);
    naive_predict(&m, &s, last, p);
    naive_spread(&m, &s, last, p, dist);
    for (int h = 1; h <= CK; h++)
        for (int f = 0; f < CF; f++) {
            const int k = (h - 1) * CF + f;
            double G[11][12] = {{0}}, z[11], mean = 0, v = 0, low = INFINITY, high = -INFINITY;
            for (int64_t i = 0; i < n; i++) {
                float q[CK * CF];
                const int64_t t = start[i] + H - 1;
                ridge_predict(m.ridge, &s, t, q);
                r[i] = s.x[(t + h) * CF + f] - q[k];
                size[i] = fabsf(r[i]);
                mean += (double)size[i] / (double)n;
            }
            qsort(size, (size_t)n, sizeof *size, compare_float);
            const double e = fmax(fmax(0.1 * (double)size[n / 2], 0.01 * mean), 0.001);
            double (*all)[11] = arena_alloc(a, (size_t)n * sizeof *all);
            for (int64_t i = 0; i < n; i++) {
                plain_inputs(&s, m.ridge, start[i] + H - 1, h, f, e, all[i]);
                const double y = logarithm((double)fabsf(r[i]) + e);
                low = fmin(low, y);
                high = fmax(high, y);
                for (int b = 0; b < 11; b++) {
                    for (int c = 0; c < 11; c++) G[b][c] += all[i][b] * all[i][c];
                    G[b][11] += all[i][b] * y;
                }
            }
            plain_solve(G);
            plain_inputs(&s, m.ridge, last, h, f, e, z);
            for (int b = 0; b < 11; b++) v += G[b][11] * z[b];
            const double want = exp(fmin(fmax(v, low), high));
            TEST(log, near((double)sigma[k], want, 1e-4 * want), "step %d flow %d: sigma %g, plain %g", h, f,
                 (double)sigma[k], want);
            for (int64_t i = 0; i < n; i++) {
                double u = 0;
                for (int b = 0; b < 11; b++) u += G[b][11] * all[i][b];
                size[i] = r[i] / (float)exp(fmin(fmax(u, low), high));
            }
            qsort(size, (size_t)n, sizeof *size, compare_float);
            const double q90 = fmax(0, (double)p[k] + want * metric_quantile(size, (int)n, 0.9, 6));
            TEST(log, near((double)dist[89 * CK * CF + k], q90, 2e-4 * (want + q90)),
                 "step %d flow %d: q90 %g, plain %g", h, f, (double)dist[89 * CK * CF + k], q90);
        }
    // Nothing after t enters, and the order of the calls does not matter.
    float again[CK * CF];
    conditional_sigma(m.scale, &s, s.T - 3, again);
    TEST(log, memcmp(sigma, again, sizeof sigma), "sigma is always the same");
    for (int64_t k = (last + 1) * CF; k < s.T * CF; k++) s.x[k] = NAN;
    conditional_sigma(m.scale, &s, last, again);
    TEST(log, !memcmp(sigma, again, sizeof sigma), "sigma depends on the future or on earlier calls");
    // sigma stays within its range.
    for (int k = 0; k < CK * CF; k++) {
        m.scale->low[k] = k % 2 ? logarithm((double)sigma[k]) + 1 : -INFINITY;
        m.scale->high[k] = k % 2 ? INFINITY : logarithm((double)sigma[k]) - 1;
    }
    conditional_sigma(m.scale, &s, last, again);
    for (int k = 0; k < CK * CF; k++)
        TEST(log, near((double)again[k], exp(k % 2 ? 1 : -1) * (double)sigma[k], 1e-5 * (double)again[k]),
             "sigma %d: %g, was %g without these bounds", k, (double)again[k], (double)sigma[k]);
}

// The sum of squared one-step errors over rows begin .. end-1, and the forecast h slots after row end-1.
static double plain_ets(const TrafficSeries *s, int flow, int64_t begin, int64_t end, const double *start,
                        const double *p, int h, double *forecast)
{
    const int n = s->N * s->N;
    double season[D], l = 0, b = 0, sse = 0;
    int64_t slot = -1;
    memcpy(season, start, sizeof season);
    for (int64_t t = begin; t < end; t++) {
        if (!s->valid[t]) continue;
        const double x = (double)s->x[t * n + flow];
        double *at = &season[s->time[t] / 3600 % D];
        if (slot < 0) l = x - *at;
        else {
            for (; slot < s->slot[t]; slot++) {   // slot after slot
                b *= p[ETS_PHI];
                l += b;
            }
            const double e = x - l - *at;
            l += p[ETS_ALPHA] * e;
            b += p[ETS_ALPHA] * p[ETS_BETA] * e;
            *at += p[ETS_GAMMA] * e;
            sse += e * e;
        }
        slot = s->slot[t];
    }
    for (int k = 0; k < h; k++) {
        b *= p[ETS_PHI];
        l += b;
    }
    *forecast = fmax(0, l + season[(s->time[end - 1] / 3600 + h) % D]);
    return sse;
}

static void exponential_smoothing(TestLog *log, Arena *a)
{
    const TrafficSeries full = make_series(a, CN, 20 * D, 3600, 17), s = with_holes(a, &full, 9 * D, 5, 6 * D);
    const int64_t end = 15 * D, t = 18 * D;
    for (int64_t u = 0; u < s.T; u++)   // flows 1 .. 3 rise and fall steadily, so that a trend is worth its while
        for (int f = 1; f < CF; f++) s.x[u * CF + f] += (float)(f * 4000) * fabsf((float)(u % (60 + 20 * f) - 30));
    EtsModel m;
    ets_fit(&m, a, &s, (TrafficRange){0, end});
    TEST(log, m.parameter[1][ETS_BETA] > 0 && m.parameter[2][ETS_BETA] > 0, "no trend was found");
    float out[30 * CF], again[30 * CF], soon[30 * CF];
    ets_predict(&m, &s, t, 30, out);
    ets_predict(&m, &s, 9 * D, 30, soon);   // the first row after the gap
    for (int f = 0; f < CF; f++) {
        double start[D] = {0}, mean = 0, forecast, best;
        int count[D] = {0};
        for (int64_t u = 0; u < end; u++) {
            if (!s.valid[u]) continue;
            start[s.time[u] / 3600 % D] += (double)s.x[u * CF + f];
            count[s.time[u] / 3600 % D]++;
        }
        for (int d = 0; d < D; d++) mean += start[d] / count[d] / D;
        for (int d = 0; d < D; d++) start[d] = start[d] / count[d] - mean;
        for (int h = 1; h <= 30; h++) {
            plain_ets(&s, f, 0, t + 1, start, m.parameter[f], h, &forecast);
            TEST(log, near((double)out[(h - 1) * CF + f], forecast, 1e-5 * forecast),
                 "flow %d h %d: %g, plain %g", f, h, (double)out[(h - 1) * CF + f], forecast);
            plain_ets(&s, f, 0, 9 * D + 1, start, m.parameter[f], h, &forecast);
            TEST(log, near((double)soon[(h - 1) * CF + f], forecast, 1e-5 * forecast),
                 "flow %d h %d after a gap: %g, plain %g", f, h, (double)soon[(h - 1) * CF + f], forecast);
        }
        best = plain_ets(&s, f, 0, end, start, m.parameter[f], 1, &forecast);
        static const struct { int n; double v[9]; } grid[ETS_PARAMETERS] = {
            {9, {0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.99}}, {6, {0, 0.01, 0.03, 0.1, 0.2, 0.4}},
            {7, {0, 0.005, 0.01, 0.03, 0.1, 0.2, 0.4}}, {4, {0.8, 0.9, 0.95, 0.98}}};
        for (int i = 0; i < ETS_PARAMETERS; i++)
            for (int v = 0; v < grid[i].n; v++) {
                double p[ETS_PARAMETERS];
                memcpy(p, m.parameter[f], sizeof p);
                p[i] = grid[i].v[v];
                TEST(log, best <= plain_ets(&s, f, 0, end, start, p, 1, &forecast) * (1 + 1e-12),
                     "flow %d: parameter %d = %g would be better", f, i, p[i]);
            }
        double first[ETS_PARAMETERS] = {0.5, 0, 0.01, 0.9};
        TEST(log, best <= plain_ets(&s, f, 0, end, start, first, 1, &forecast),
             "flow %d: no better than the first guess", f);
    }
    ets_predict(&m, &s, t + 20, 30, again);
    for (int64_t k = (t + 1) * CF; k < s.T * CF; k++) s.x[k] = NAN;
    ets_predict(&m, &s, t, 30, again);
    TEST(log, !memcmp(out, again, sizeof out), "ets depends on the future or on earlier calls");
    ets_fit(&m, a, &s, (TrafficRange){0, 2 * D - 1});
    TEST(log, !m.season && m.parameter[1][ETS_GAMMA] == 0 && m.start[7] == 0, "a season from less than two days");
}

static void mean_of_slots(TestLog *log, Arena *a)
{
    const TrafficSeries full = make_series(a, CN, 20 * D, 3600, 19), s = with_holes(a, &full, 9 * D, 5, 6 * D);
    NaiveModel m;
    const TrafficRange train = {0, 14 * D};
    const Status st = naive_fit(&m, a, NAIVE_MEAN, &s, train, train, H, 40, NULL);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    float out[40 * CF];
    const int64_t t = 17 * D + 3;
    naive_predict(&m, &s, t, out);
    for (int h = 1; h <= 40; h++) {   // slots of an hour: no neighbours within a quarter of one
        double sum[CF] = {0};
        int n = 0, slot, day;
        traffic_calendar(&s, t, h, &slot, &day);
        for (int64_t u = 0; u < train.end; u++) {
            int slot_u, day_u;
            traffic_calendar(&s, u, 0, &slot_u, &day_u);
            if (!s.valid[u] || slot_u != slot || (day_u > 4) != (day > 4)) continue;
            n++;
            for (int f = 0; f < CF; f++) sum[f] += (double)s.x[u * CF + f];
        }
        for (int f = 0; f < CF; f++)
            TEST(log, n > 2 && near((double)out[(h - 1) * CF + f], sum[f] / n, 1e-5 * sum[f] / n),
                 "h %d: %g, by hand %g", h, (double)out[(h - 1) * CF + f], sum[f] / n);
    }
}

// Data of five days: lastweek would be yesterday in every window.
static void rows_left_out(TestLog *log, Arena *a)
{
    const TrafficSeries s = make_series(a, CN, 5 * D, 3600, 23);
    EvalPlan plan;
    Status st = eval_plan(&plan, a, &s, &(EvalPlanOptions){.K = 2, .validation = true});
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    int64_t first[1] = {2};
    EvalTask task = plan.task;
    task.history = 12;
    task.starts = first;
    task.n_windows = 1;   // row 13 is the last known one: no yesterday either
    EvalTable t = eval_table_new(a, &task, NAIVE_KINDS);
    st = evaluate_naive(&t, a, &task, plan.split.train, plan.split.val);
    TEST(log, !st.code && t.models == NAIVE_KINDS - 2 &&
              t.left_out == (1u << NAIVE_YESTERDAY | 1u << NAIVE_LASTWEEK) && !eval_table_model(&t, "lastweek") &&
              eval_table_model(&t, "ridge-scale"), "%s: %d models, left out %x", st.msg, t.models, t.left_out);
    first[0] = 4 * D;
    EvalTable u = eval_table_new(a, &task, NAIVE_KINDS);
    st = evaluate_naive(&u, a, &task, plan.split.train, plan.split.val);
    TEST(log, !st.code && u.left_out == 1u << NAIVE_LASTWEEK && eval_table_model(&u, "yesterday"), "left out %x",
         u.left_out);
}

// ---- forecasts from files -----------------------------------------------------------------------------------------

static const char *write_forecasts(TestLog *log, Arena *a, const World *w, const Noisy *c, const char *name)
{
    const char *path = arena_printf(a, "%s/%s.npy", log->tmp, name);
    const int64_t one = (int64_t)(c->S ? c->S : 1) * K * F;
    float *x = arena_alloc(a, (size_t)(w->task.n_windows * one) * sizeof *x);
    float *point = arena_alloc(a, K * F * sizeof *x);
    for (int64_t i = 0; i < w->task.n_windows; i++) {
        const int64_t last = w->task.starts[i] + H - 1;
        const EvalBatch b = {1, &last, c->S ? point : x + i * one, x + i * one};
        noisy_run((void *)(uintptr_t)c, &w->s, &b);
    }
    const int64_t with[] = {w->task.n_windows, c->S, K, N, N}, without[] = {w->task.n_windows, K, N, N};
    const Status st = npy_write(path, "<f4", c->S ? with : without, c->S ? 5 : 4, x);
    TEST(log, !st.code, "%s", st.msg);
    return path;
}

static void forecast_files(TestLog *log, Arena *a)
{
    World w;
    if (!world_make(&w, log, a, SCALE_FLOWMAX)) return;
    Noisy noisy[3] = {{K, F, 5, 0.2, 1, false, false}, {K, F, 0, 0.2, 2, false, false}, {K, F, 5, 0.1, 3, false, true}};
    static const char *const name[3] = {"samples", "points", "levels"};
    static const DistKind kind[3] = {DIST_SAMPLES, DIST_NONE, DIST_LEVELS};
    const char *path[3];
    ForecastFile file;
    for (int i = 0; i < 3; i++) {
        EvalTable t = eval_table_new(a, &w.task, 2);
        path[i] = write_forecasts(log, a, &w, &noisy[i], name[i]);
        Status st = forecast_file_read(&file, a, name[i], path[i], &w.task, i == 2);
        if (!TEST(log, !st.code, "%s", st.msg)) return;
        const Forecaster from_file = forecast_file_forecaster(&file),
                         direct = {"direct", kind[i], noisy[i].S, 4, noisy_run, &noisy[i], false};
        st = evaluate(&t, a, &w.task, &from_file);
        if (!st.code) st = evaluate(&t, a, &w.task, &direct);
        TEST(log, !st.code, "%s", st.msg);
        for (int h = 0; h <= K; h++) {
            const MetricResult *p = &eval_table_find(&t, name[i], "scaled", h)->r,
                               *q = &eval_table_find(&t, "direct", "scaled", h)->r;
            const bool crps = i == 1 ? isnan(p->crps) && isnan(q->crps)
                                     : p->crps == q->crps && p->cover90 == q->cover90;
            TEST(log, crps && (i == 2 || near(p->mse, q->mse, 1e-6 * q->mse)),
                 "%s from a file: crps %g, direct %g; mse %g, direct %g", name[i], p->crps, q->crps, p->mse, q->mse);
        }
    }
    const struct { const char *path; bool levels; const char *want; } bad[] = {
        {path[1], true, "want shape"}, {path[0], true, "ascending levels"}, {"/nothing.npy", false, "/nothing.npy"}};
    for (int i = 0; i < 3; i++) {
        const Status st = forecast_file_read(&file, a, "bad", bad[i].path, &w.task, bad[i].levels);
        TEST(log, st.code == 1 && strstr(st.msg, bad[i].want), "%s: %s", bad[i].path, st.msg);
    }
    const int64_t starts = w.task.n_windows--;   // one window fewer: the files have one too many
    Status st = forecast_file_read(&file, a, "bad", path[0], &w.task, false);
    const char *want = arena_printf(a, "want shape [%d,S,3,3,3]", (int)starts - 1);
    TEST(log, st.code == 1 && strstr(st.msg, want) && strstr(st.msg, path[0]), "%s", st.msg);
    float hole[K * F] = {0};
    hole[7] = NAN;
    w.task.n_windows = 1;
    const char *nan = arena_printf(a, "%s/nan.npy", log->tmp);
    st = npy_write(nan, "<f4", (const int64_t[]){1, K, N, N}, 4, hole);
    if (!st.code) st = forecast_file_read(&file, a, "bad", nan, &w.task, false);
    TEST(log, st.code == 1 && strstr(st.msg, "flow 7: want a finite value"), "%s", st.msg);
}

// ---- origins ------------------------------------------------------------------------------------------------------

static void origins(TestLog *log, Arena *a)
{
    const TrafficSeries s = make_series(a, CN, 40 * D, 3600, 29);
    for (int p = 40; p <= 85; p += 45) {
        EvalPlan plan;
        const Status st = eval_plan(&plan, a, &s, &(EvalPlanOptions){.origin = p, .K = 2});
        if (!TEST(log, !st.code, "%s", st.msg)) return;
        const int64_t end = s.T * p / 100, first = plan.task.starts[0],
                      last = plan.task.starts[plan.task.n_windows - 1] + plan.task.history + 2;
        TEST(log, plan.split.train.begin == 0 && plan.split.train.end == end && plan.split.val.end == end &&
                  plan.split.val.begin == end * 14 / 17 && first == end && last == s.T * (p + 15) / 100,
             "origin %d: fitted to %d, scored %d .. %d", p, (int)plan.split.train.end, (int)first, (int)last);
    }
    const TrafficSplits clean = traffic_splits(s.T, PROTOCOL_CLEAN);
    EvalPlan plan;
    const Status st = eval_plan(&plan, a, &s, &(EvalPlanOptions){.origin = 85});
    TEST(log, !st.code && plan.split.val.begin == clean.val.begin && plan.scored.begin == clean.test.begin &&
              plan.scored.end == clean.test.end, "origin 85 is not protocol clean");
}

void test_traffic_scores(TestLog *log)
{
    Arena *a = arena_new("test_traffic_scores", (size_t)4 << 30, NULL);
    scores_beside(log, a, SCALE_FLOWMAX);
    if (!log->quick) scores_beside(log, a, SCALE_LOG);
    gains_at_the_edge(log);
    sums_of_paths(log, a);
    conditional_scale(log, a);
    exponential_smoothing(log, a);
    mean_of_slots(log, a);
    rows_left_out(log, a);
    forecast_files(log, a);
    origins(log, a);
    arena_delete(a);
}
