// The naive forecasts that go through the rows in order (ets, ridge-scale) and the long mean: each against plain
// recursions over all rows up to t, and blind to the future; which rows are left out.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/naive.h"
#include "traffic/protocol.h"
#include "traffic_world.h"

enum { H = 16, D = 24 };   // history; slots of a day

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

static float at_level(const NaiveModel *m, int q, int k) { return m->residual[(int64_t)q * m->K * m->F + k]; }

// A quick fit is the fit where there is little; where there is much, old rows are not looked at.
static void quick_fit(TestLog *log, Arena *a)
{
    enum { T = 9000, SHORT = 500, OLD = T - 4096 - 2048 - 8 * D };   // a week and more: seasons of ridge
    const TrafficSeries s = make_series(a, CN, T, 3600, 5);
    TrafficSeries old = s;
    old.x = arena_alloc(a, (size_t)T * CF * sizeof *old.x);
    for (int64_t k = 0; k < (int64_t)T * CF; k++) old.x[k] = k < (int64_t)OLD * CF && k % 3 == 0 ? 4 * s.x[k] : s.x[k];
    RidgeModel ridge;
    Status st = ridge_fit(&ridge, a, &s, (TrafficRange){0, T}, CK, RIDGE_LAMBDA);
    TEST(log, !st.code, "%s", st.msg);
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        const bool kept = kind == NAIVE_RIDGE || kind == NAIVE_RIDGE_SCALE;
        const TrafficRange few = {0, SHORT}, all = {0, T};
        NaiveModel m[5];
        st = naive_fit(&m[0], a, (NaiveKind)kind, &s, few, few, H, CK, kept ? &ridge : NULL);
        if (!st.code) st = naive_fit_quick(&m[1], a, (NaiveKind)kind, &s, few, few, H, CK, kept ? &ridge : NULL);
        if (!st.code) st = naive_fit_quick(&m[2], a, (NaiveKind)kind, &s, all, few, H, CK, kept ? &ridge : NULL);
        if (!st.code) st = naive_fit_quick(&m[3], a, (NaiveKind)kind, &old, all, few, H, CK, kept ? &ridge : NULL);
        if (!st.code) st = naive_fit(&m[4], a, (NaiveKind)kind, &old, all, few, H, CK, kept ? &ridge : NULL);
        if (!TEST(log, !st.code, "%s: %s", naive_names[kind], st.msg)) continue;
        const size_t bytes = (size_t)NAIVE_LEVELS * CK * CF * sizeof(float);
        TEST(log, !memcmp(m[0].residual, m[1].residual, bytes), "%s: quick and not, of %d rows", naive_names[kind],
             SHORT);
        if (kind == NAIVE_MEAN || kind == NAIVE_ETS || kind == NAIVE_AVERAGE) continue;   // fitted on all rows
        TEST(log, !memcmp(m[2].residual, m[3].residual, bytes), "%s: a quick fit looks at old rows",
             naive_names[kind]);
        TEST(log, memcmp(m[3].residual, m[4].residual, bytes) && isfinite(at_level(&m[3], 98, CK * CF - 1)),
             "%s: the whole fit does not", naive_names[kind]);
    }
}

void test_traffic_rows(TestLog *log)
{
    Arena *a = arena_new("test_traffic_rows", (size_t)4 << 30, NULL);
    conditional_scale(log, a);
    exponential_smoothing(log, a);
    mean_of_slots(log, a);
    rows_left_out(log, a);
    quick_fit(log, a);
    arena_delete(a);
}
