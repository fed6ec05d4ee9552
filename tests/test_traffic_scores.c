// The scores beside RMSE and CRPS, the comparison with naive forecasts, the sums of rows and columns, forecasts from
// files, and rolling origins: each against plain loops.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "tensor/philox.h"
#include "traffic/forecast_file.h"
#include "traffic/protocol.h"
#include "traffic_world.h"

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
    const MetricBeside none = metric_beside(&m, NULL, live, 1, true);
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
    const TrafficSeries s = make_series(a, 2, 40 * D, 3600, 29);
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
    forecast_files(log, a);
    origins(log, a);
    arena_delete(a);
}
