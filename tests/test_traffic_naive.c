// Naive forecasts, ridge, the evaluation driver, the reference figures of protocol flow-by-flow, the synthetic
// generator.
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/philox.h"
#include "tests/test.h"
#include "traffic/info.h"
#include "traffic/protocol.h"
#include "traffic_world.h"

// A copy of s without the rows cut.begin .. cut.end-1: a gap.
static TrafficSeries with_gap(Arena *a, const TrafficSeries *s, TrafficRange cut)
{
    const int64_t F = (int64_t)s->N * s->N, T = s->T - (cut.end - cut.begin);
    float *x = arena_alloc(a, (size_t)(T * F) * sizeof *x);
    int64_t *time = arena_alloc(a, (size_t)T * sizeof *time);
    for (int64_t t = 0; t < T; t++) {
        int64_t from = t < cut.begin ? t : t + cut.end - cut.begin;
        memcpy(x + t * F, s->x + from * F, (size_t)F * sizeof *x);
        time[t] = s->time[from];
    }
    TrafficSeries g;
    TrafficReadOptions o = {.slot_seconds = s->slot_seconds};
    Status st = traffic_series_init(&g, a, "gap", s->N, T, x, time, &o);
    CHECK(!st.code, "%s", st.msg);
    return g;
}

// ---- naive ---------------------------------------------------------------------------------------------------------

static void naive_values(TestLog *log, Arena *a)
{
    enum { F = 9, D = 24, K = 30 };
    TrafficSeries full = make_series(a, 3, 40 * D, 3600, 3), s = with_gap(a, &full, (TrafficRange){30 * D, 30 * D + 7});
    NaiveModel m = {.F = F, .K = K, .history = 16, .average = 4};
    float out[K * F];
    const int64_t t = 31 * D, was = t + 7;   // row t of s is row t+7 of full
    for (int kind = 0; kind <= NAIVE_AVERAGE; kind++) {
        m.kind = (NaiveKind)kind;
        naive_predict(&m, &s, t, out);
        for (int h = 1; h <= K; h++)
            for (int f = 0; f < F; f++) {
                int64_t from = was;
                if (kind == NAIVE_YESTERDAY) from = was + h - (h <= D ? D : 2 * D);
                if (kind == NAIVE_LASTWEEK) from = was + h - 7 * D;
                // lost in the gap: yesterday falls back to persistence
                if (kind == NAIVE_YESTERDAY && from >= 30 * D && from < 30 * D + 7) from = was;
                float want = full.x[from * F + f];
                if (kind == NAIVE_AVERAGE)
                    want = (float)(((double)full.x[was * F + f] + (double)full.x[(was - 1) * F + f] +
                                    (double)full.x[(was - 2) * F + f] + (double)full.x[(was - 3) * F + f]) / 4);
                TEST(log, near((double)out[(h - 1) * F + f], (double)want, 1e-6 * (double)want), "%s h %d f %d",
                     naive_names[kind], h, f);
            }
    }
    m.kind = NAIVE_LASTWEEK;   // a week later the gap is filled with yesterday's values
    naive_predict(&m, &s, 37 * D - 8, out);
    TEST(log, out[2 * F] == full.x[(36 * D + 2) * F], "lastweek does not fall back to yesterday");
    // Nothing after t is looked at.
    for (int kind = 0; kind <= NAIVE_AVERAGE; kind++) {
        float poisoned[K * F];
        m.kind = (NaiveKind)kind;
        naive_predict(&m, &full, t, out);
        TrafficSeries p = full;
        p.x = memcpy(arena_alloc(a, (size_t)(full.T * F) * 4), full.x, (size_t)(full.T * F) * 4);
        for (int64_t k = (t + 1) * F; k < full.T * F; k++) p.x[k] = NAN;
        naive_predict(&m, &p, t, poisoned);
        TEST(log, !memcmp(out, poisoned, sizeof out), "%s looks ahead", naive_names[kind]);
    }
}

// Data that obey x_{t+1} = 0.5 x_t + 0.3 x_{t-1} + u_t and a day of 24 slots: ridge finds the coefficients.
static void ridge_recovers(TestLog *log, Arena *a)
{
    enum { N = 2, F = 4, D = 24, T = 60 * D };
    float *x = arena_alloc(a, T * F * sizeof *x);
    for (int f = 0; f < F; f++)
        for (int64_t t = 0; t < T; t++) {
            double v = 100 + 10 * (double)philox_normal(1, philox_subsequence(SITE_TEST, (uint32_t)f), (uint64_t)t);
            if (t >= 2) v += 0.5 * (double)x[(t - 1) * F + f] + 0.3 * (double)x[(t - 2) * F + f];
            x[t * F + f] = (float)v;
        }
    TrafficSeries s;
    TrafficReadOptions o = {.slot_seconds = 3600};
    Status st = traffic_series_init(&s, a, "ar", N, T, x, NULL, &o);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    RidgeModel m, u;
    st = ridge_fit(&m, a, &s, (TrafficRange){0, 50 * D}, 3, 1e-3);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    for (int fit = 0; fit < RIDGE_FITS; fit++) {
        const float *w = m.coef + (int64_t)fit * m.K * F * RIDGE_INPUTS;
        TEST(log, near((double)w[0], 0.5, 0.1) && near((double)w[1], 0.3, 0.1) && near((double)w[5], 0, 0.1),
             "fit %d: %g %g %g", fit, (double)w[0], (double)w[1], (double)w[5]);
    }
    int64_t n = ridge_pack_size(&m);
    float *packed = arena_alloc(a, (size_t)n * sizeof *packed), p1[3 * F], p2[3 * F], p3[3 * F];
    ridge_pack(&m, packed);
    st = ridge_unpack(&u, a, packed, n, "test");
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    ridge_predict(&m, &s, 55 * D, p1);
    ridge_predict(&u, &s, 55 * D, p2);
    TEST(log, !memcmp(p1, p2, sizeof p1), "unpacked ridge differs");
    TEST(log, ridge_unpack(&u, a, packed, n - 1, "test").code, "short ridge accepted");
    packed[1] = NAN;
    TEST(log, ridge_unpack(&u, a, packed, n, "test").code, "NaN head accepted");
    for (int64_t k = (55 * D + 1) * F; k < T * F; k++) x[k] = NAN;
    ridge_predict(&m, &s, 55 * D, p3);
    TEST(log, !memcmp(p1, p3, sizeof p1), "ridge looks ahead");
    RidgeModel again;
    st = ridge_fit(&again, a, &s, (TrafficRange){0, 50 * D}, 3, 1e-3);
    TEST(log, !st.code && !memcmp(again.coef, m.coef, (size_t)(n - 3) * sizeof(float)),
         "rows outside training moved ridge");
    st = ridge_fit(&m, a, &s, (TrafficRange){0, 40}, 3, 1e-3);
    TEST(log, st.code && strstr(st.msg, "want at least 34 training windows"), "%s", st.msg);
}

// Normal equations by a second, plain derivation for one flow and horizon H of K, on a series with a gap; of the
// windows each stride-th is one of the fit's.
static void ridge_oracle(TestLog *log, Arena *a, int days, int K, int H, int stride)
{
    enum { F = 9, D = 96 };
    TrafficSeries full = make_series(a, 3, days * D, 900, 5), s = with_gap(a, &full, (TrafficRange){5 * D, 5 * D + 30});
    s.valid[900] = 0;
    const int64_t end = (days - 6) * D;
    const int f = 5;
    int windows = 0;
    RidgeModel m;
    Status st = ridge_fit(&m, a, &s, (TrafficRange){0, end}, K, 0.5);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    double unit = 0, G[17][18] = {{0}};
    for (int64_t t = 0; t < end; t++) if (s.valid[t]) unit = fmax(unit, (double)s.x[t * F + f]);
    for (int64_t t = 11; t + K < end; t++) {
        double z[18];
        bool ok = true;
        for (int64_t r = t - 11; r <= t + K; r++) ok = ok && s.valid[r] && s.slot[r] == s.slot[t] + r - t;
        ok = ok && windows++ % stride == 0;
        for (int h = 1; h <= K && ok; h++)
            for (int d = -1; d <= 1; d++) ok = ok && traffic_row_at(&s, t, h - D + d) >= 0;
        for (int h = 1; h <= K && ok; h++) ok = traffic_row_at(&s, t, h - 7 * D) >= 0;
        if (!ok) continue;
        for (int l = 0; l < 12; l++) z[l] = (double)s.x[(t - l) * F + f] / unit;
        for (int d = 0; d < 3; d++) z[12 + d] = (double)s.x[traffic_row_at(&s, t, H - D - 1 + d) * F + f] / unit;
        z[15] = (double)s.x[traffic_row_at(&s, t, H - 7 * D) * F + f] / unit;
        z[16] = 1;
        z[17] = (double)s.x[(t + H) * F + f] / unit;
        for (int i = 0; i < 17; i++)
            for (int j = 0; j < 18; j++) G[i][j] += z[i] * z[j];
    }
    for (int i = 0; i < 16; i++) G[i][i] += 0.5;
    for (int c = 0; c < 17; c++) {   // Gauss-Jordan with pivoting
        int p = c;
        for (int i = c; i < 17; i++) if (fabs(G[i][c]) > fabs(G[p][c])) p = i;
        for (int j = 0; j < 18; j++) {
            double v = G[p][j];
            G[p][j] = G[c][j];
            G[c][j] = v;
        }
        for (int i = 0; i < 17; i++) {
            double q = i == c ? 0 : G[i][c] / G[c][c];
            for (int j = c; j < 18; j++) G[i][j] -= q * G[c][j];
        }
    }
    const float *w = m.coef + ((int64_t)(H - 1) * F + f) * RIDGE_INPUTS;
    for (int i = 0; i < 17; i++) {
        double want = G[i][17] / G[i][i] * (i == 16 ? unit : 1);
        TEST(log, near((double)w[i], want, 1e-5 * (i == 16 ? unit : 1)), "coefficient %d: %g, want %g", i, (double)w[i],
             want);
    }
}

// ---- the driver ----------------------------------------------------------------------------------------------------

typedef struct Copycat { int K, F, S; double noise; } Copycat;

// Knows the answers: point = truth, samples = truth * (1 +- noise).
static Status copycat_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    const Copycat *c = ctx;
    const int64_t KF = (int64_t)c->K * c->F;
    for (int i = 0; i < b->n; i++) {
        const float *truth = s->x + (b->last[i] + 1) * c->F;
        memcpy(b->point + i * KF, truth, (size_t)KF * sizeof *truth);
        for (int j = 0; j < c->S; j++)
            for (int64_t k = 0; k < KF; k++)
                b->dist[(i * c->S + j) * KF + k] =
                    (float)((double)truth[k] * (1 + c->noise * (2 * ((j * 5 + 2) % c->S) - c->S + 1)));
    }
    return OK;
}

static Status failing_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    (void)ctx, (void)s;
    return b->n == 4 ? ERROR("the model broke") : OK;
}

static void driver(TestLog *log, Arena *a)
{
    enum { F = 16, K = 6 };
    TrafficSeries s = make_series(a, 4, 22 * 96, 900, 11);
    TrafficSplits sp = traffic_splits(s.T, PROTOCOL_CLEAN);
    int64_t *starts, n = traffic_windows(&s, a, sp.test, 16, K, 1, &starts);
    EvalTable tables[2];
    for (int kind = SCALE_FLOWMAX; kind <= SCALE_LOG; kind++) {
        TrafficScale k;
        Status st = scale_fit(&k, a, &s, sp.train, (ScaleKind)kind);
        if (!TEST(log, !st.code, "%s", st.msg)) return;
        EvalTask task = {&s, &k, starts, n, 16, K, 1000, 0.01, sp.train};
        Copycat c = {K, F, 5, 0.01};
        Forecaster fc = {"copycat", DIST_SAMPLES, 5, 7, copycat_run, &c, false};
        EvalTable t = eval_table_new(a, &task, 2);
        st = evaluate(&t, a, &task, &fc);
        const EvalRow *r = eval_table_find(&t, "copycat", "kbps", 0);
        if (!TEST(log, !st.code && r, "%s", st.msg)) return;
        TEST(log, r->r.rmse == 0 && near(r->r.cover90, 1, 1e-9) && r->r.windows == n && r->r.values == n * F * K,
             "copycat: rmse %g cover %g", r->r.rmse, r->r.cover90);
        TEST(log, near(r->r.mae_median, 0, 1e-3) && near(r->r.r2, 1, 1e-12) && isfinite(r->r.energy),
             "copycat medians");
        fc.run = failing_run;
        size_t mark = arena_mark(a);
        st = evaluate(&t, a, &task, &fc);
        TEST(log, n % 7 != 4 || (st.code && strstr(st.msg, "broke") && arena_mark(a) == mark), "failure is passed on");
        task.n_windows = 0;
        TEST(log, evaluate(&t, a, &task, &fc).code == 1, "no windows accepted");
    }
    // Results do not depend on the number of threads.
    TrafficScale k;
    Status st = scale_fit(&k, a, &s, sp.train, SCALE_FLOWMAX);
    EvalTask task = {&s, &k, starts, n, 16, K, 1000, 0.01, sp.train};
    int threads = omp_get_max_threads();
    for (int i = 0; i < 2 && !st.code; i++) {
        omp_set_num_threads(i ? 2 : 1);
        tables[i] = eval_table_new(a, &task, NAIVE_KINDS);
        st = evaluate_naive(&tables[i], a, &task, sp.train, sp.val);
    }
    omp_set_num_threads(threads);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    for (int64_t i = 0; i < tables[0].n; i++)
        TEST(log, !memcmp(&tables[0].row[i].r, &tables[1].row[i].r, sizeof(MetricResult)),
             "row %" PRId64 " depends on threads", i);
    const EvalRow *p = eval_table_find(&tables[0], "persistence", "scaled", 1),
                  *r = eval_table_find(&tables[0], "ridge", "scaled", 1);
    if (!TEST(log, p && r && tables[0].n == EVAL_SPACES * NAIVE_KINDS * (K + 1), "rows are missing")) return;
    // persistence by hand
    double se = 0, unit;
    for (int64_t i = 0; i < n; i++)
        for (int f = 0; f < F; f++) {
            unit = (double)k.flowmax_kbps[f];
            double e = ((double)s.x[(starts[i] + 16) * F + f] - (double)s.x[(starts[i] + 15) * F + f]) / unit;
            se += e * e;
        }
    TEST(log, near(p->r.mse, se / (double)(n * F), 1e-9 * p->r.mse), "persistence mse %g, by hand %g", p->r.mse,
         se / (double)(n * F));
    TEST(log, r->r.mse < p->r.mse && r->r.crps < p->r.crps, "ridge %g is no better than persistence %g", r->r.mse,
         p->r.mse);
    TEST(log, near(r->r.cover50, 0.5, 0.12) && near(r->r.cover90, 0.9, 0.08), "ridge covers %g %g", r->r.cover50,
         r->r.cover90);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    eval_table_print(&tables[0], 0, true, out);
    fclose(out);
    TEST(log,
         !strncmp(text, "model\tspace\thorizon\twindows\t", 28) && strstr(text, "\nridge\tscaled\tall\t") &&
             strstr(text, "\tnan\n"),
         "%.300s", text);
    free(text);
}

// ---- the reference figures -----------------------------------------------------------------------------------------

// Point forecasts only: the figures are squared errors.
static Status points_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    NaiveModel *m = ctx;
    for (int i = 0; i < b->n; i++) naive_predict(m, s, b->last[i], b->point + (int64_t)i * m->K * m->F);
    return OK;
}

static void flow_by_flow(TestLog *log, Arena *a, const char *name, const double persistence[3], const double ridge[3])
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/data/%s (reference figures)", name);
        return;
    }
    TrafficSeries s;
    Status st = traffic_series_read(&s, a, arena_printf(a, "%s/data/%s/%s.npy", log->shared, name, name), NULL);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    EvalPlan plan;
    st = eval_plan(&plan, a, &s, &(EvalPlanOptions){.protocol = PROTOCOL_FLOW_BY_FLOW});
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    EvalTable t = eval_table_new(a, &plan.task, 2);
    static const NaiveKind kinds[2] = {NAIVE_PERSISTENCE, NAIVE_RIDGE};
    for (int i = 0; i < 2; i++) {
        NaiveModel m;
        st = naive_fit(&m, a, kinds[i], plan.task.series, plan.split.train, plan.split.val, 12, 3, NULL);
        Forecaster fc = {naive_names[kinds[i]], DIST_NONE, 0, 64, points_run, &m, true};
        if (!st.code) st = evaluate(&t, a, &plan.task, &fc);
        if (!TEST(log, !st.code, "%s", st.msg)) return;
        for (int h = 1; h <= 3; h++) {
            double want = (i ? ridge : persistence)[h - 1] * 1e-4,
                   got = eval_table_find(&t, naive_names[kinds[i]], "scaled", h)->r.mse;
            TEST(log, near(got, want, 0.01 * want), "%s %s step %d: MSE %.4g, reference %.4g", name,
                 naive_names[kinds[i]], h, got, want);
        }
    }
}

// ---- synthetic traffic ---------------------------------------------------------------------------------------------

static uint64_t fingerprint(const TrafficSeries *s)
{
    uint64_t hash = 14695981039346656037u;   // FNV-1a over the bits
    for (int64_t k = 0; k < s->T * s->N * s->N; k++) {
        uint32_t bits;
        memcpy(&bits, &s->x[k], 4);
        hash = (hash ^ bits) * 1099511628211u;
    }
    return hash;
}

static void synth_same_bits(TestLog *log, Arena *a)
{
    TrafficSeries s = make_series(a, 4, 2000, 900, 1), again = make_series(a, 4, 2000, 900, 1),
                  other = make_series(a, 4, 2000, 900, 2);
    TrafficSeries longer = make_series(a, 4, 2500, 900, 1);
    TEST(log, fingerprint(&s) == fingerprint(&again) && fingerprint(&s) != fingerprint(&other), "the seed decides");
    TEST(log, !memcmp(s.x, longer.x, 2000 * 16 * sizeof *s.x), "a longer series begins differently");
    TEST(log, fingerprint(&s) == UINT64_C(0x41addfaf2db54d87),
         "other bits than on the machine of the authors: %016" PRIx64, fingerprint(&s));
    SynthOptions o = synth_defaults();
    o.N = 1;
    TEST(log, synth_generate(&s, a, &o).code == 2, "N = 1");
    o = synth_defaults();
    o.slot_seconds = 7;
    TEST(log, synth_generate(&s, a, &o).code == 2, "slot of 7 s");
    o = synth_defaults();
    o.T = INT64_MAX;
    TEST(log, synth_generate(&s, a, &o).code == 2, "2^63 snapshots");
    o = synth_defaults();
    o.mean_flow_kbps = NAN;
    TEST(log, synth_generate(&s, a, &o).code == 2, "NaN traffic");
}

// Against Abilene (META.txt), with the tolerances stated in synth.h.
static void synth_statistics(TestLog *log, Arena *a)
{
    static const double ratio[4] = {0.135, 2.93, 6.31, 18.2}, total[4] = {0.951, 0.790, 0.390, 0.407};
    static const double flow[4] = {0.929, 0.756, 0.463, 0.342};
    static const int level[4] = {0, 2, 3, 4};
    for (uint64_t seed = 1; seed <= (log->quick ? 1 : 3); seed++) {
        size_t mark = arena_mark(a);
        TrafficSeries s = make_series(a, 12, 8 * 2016, 300, seed);
        TrafficStats x;
        traffic_stats(&x, a, &s);
        for (int i = 0; i < 4; i++) {
            double got = x.quantile_kbps[level[i]] / x.quantile_kbps[1];
            TEST(log, got < 1.6 * ratio[i] && got > ratio[i] / 1.6, "seed %d: p%g/p50 %g, Abilene %g", (int)seed,
                 100 * stats_levels[level[i]], got, ratio[i]);
            TEST(log, near(x.acf_total[i], total[i], 0.20), "seed %d: total acf %d: %g, Abilene %g", (int)seed, i,
                 x.acf_total[i], total[i]);
            TEST(log, near(x.acf_flow[i], flow[i], 0.10), "seed %d: flow acf %d: %g, Abilene %g", (int)seed, i,
                 x.acf_flow[i], flow[i]);
        }
        TEST(log, near(x.top10_share, 0.361, 0.06) && near(x.top_tenth_share, 0.419, 0.06), "shares %g %g",
             x.top10_share, x.top_tenth_share);
        TEST(log, near(x.diag_share, 0.186, 0.06) && near(x.weekend_ratio, 0.75, 0.06), "diagonal %g weekend %g",
             x.diag_share, x.weekend_ratio);
        TEST(log, abs(x.hour_of_peak - 19) <= 2 && x.zero_share_off > 0, "peak at %d h, zeros %g", x.hour_of_peak,
             x.zero_share_off);
        TrafficSuspect *list;
        TEST(log, traffic_suspects_find(&s, a, &list) == 0, "healthy synthetic snapshots are suspicious");
        arena_rewind(a, mark);
    }
}

// What a trait changes, measured on the same seed: mean |change of log| from slot to slot and from day to day, share of
// silent flows, rows with an outage, and how far the second half of the flows' levels lies from the first.
typedef struct Behaviour { double fast, daily, silent, outages, moved; } Behaviour;

static Behaviour behaviour(Arena *a, const SynthTraits *traits)
{
    SynthOptions o = synth_defaults();
    o.N = 6, o.slot_seconds = 1800, o.T = 48 * 60, o.traits = *traits;
    TrafficSeries s;
    CHECK(!synth_generate(&s, a, &o).code, "synth");
    const int F = 36;
    Behaviour b = {0};
    for (int f = 0; f < F; f++) {
        double half[2] = {0, 0}, zeros = 0;
        for (int64_t t = 0; t < s.T; t++) {
            const float now = s.x[t * F + f], before = t ? s.x[(t - 1) * F + f] : 0;
            const float day = t < 48 ? 0 : s.x[(t - 48) * F + f];
            half[t >= s.T / 2] += (double)now, zeros += !(now > 0);
            if (now > 0 && before > 0) b.fast += fabs(log((double)(now / before))) / F / (double)s.T;
            if (now > 0 && day > 0) b.daily += fabs(log((double)(now / day))) / F / (double)s.T;
        }
        b.silent += zeros > 0.9 * (double)s.T ? 1.0 / F : 0;
        if (half[0] > 0 && half[1] > 0) b.moved += fabs(log(half[1] / half[0])) / F;
    }
    for (int64_t t = 0; t < s.T; t++) {
        int zeros = 0;
        for (int f = 0; f < F; f++) zeros += !(s.x[t * F + f] > 0);
        b.outages += zeros >= 11 && zeros < F ? 1.0 / (double)s.T : 0;   // a row and a column of 6 x 6
    }
    return b;
}

static void synth_traits(TestLog *log, Arena *a)
{
    const SynthTraits usual = synth_defaults().traits;
    const Behaviour b = behaviour(a, &usual);
    SynthTraits k = usual;
    k.fast = 3;
    TEST(log, behaviour(a, &k).fast > 1.5 * b.fast, "fast noise");
    k = usual, k.noise = 0.3;
    TEST(log, behaviour(a, &k).daily < 0.6 * b.daily, "all noise");
    k = usual, k.silent = 0.5;
    const double silent = behaviour(a, &k).silent;
    TEST(log, b.silent < 0.05 && silent > 0.2 && silent < 0.8, "silent flows: %g, %g", b.silent, silent);
    k = usual, k.outages = 30;
    TEST(log, behaviour(a, &k).outages > 5 * b.outages + 0.01, "outages");
    k = usual, k.noise = 0.1;
    const double still = behaviour(a, &k).moved;
    k.shifts = 10;
    TEST(log, behaviour(a, &k).moved > 2 * still, "shifts of level: %g, %g", still, behaviour(a, &k).moved);
    k = usual, k.tail = 3;
    SynthOptions o = synth_defaults();
    o.traits = k;
    TrafficSeries s;
    TEST(log, synth_generate(&s, a, &o).code == 2, "a tail of 3");
}

// Every seed gives a network that can be made, in the stated range; the kinds differ.
static void synth_varieties(TestLog *log, Arena *a)
{
    int slots = 0, large = 0, shifting = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        const SynthOptions o = synth_variety(seed);
        TEST(log, o.N >= 4 && (o.N <= 24 || o.N == 32 || o.N == 48) && o.T * o.N * o.N <= 1200000 + 72 * 48 * 48 &&
                      o.T * o.slot_seconds <= 70 * 86400 && o.T >= 72,
             "seed %d: %d nodes, %lld slots of %d s", (int)seed, o.N, (long long)o.T, o.slot_seconds);
        slots += o.slot_seconds == 300, large += o.N > 24, shifting += o.traits.shifts > 0;
        const size_t mark = arena_mark(a);
        TrafficSeries s;
        if (seed % 50 == 0) TEST(log, !synth_generate(&s, a, &o).code, "seed %d cannot be made", (int)seed);
        arena_rewind(a, mark);
    }
    TEST(log, slots > 100 && slots < 200 && large > 25 && large < 80 && shifting > 150 && shifting < 250,
         "of 400 networks %d have slots of 5 min, %d are large, %d shift", slots, large, shifting);
}

void test_traffic_naive(TestLog *log)
{
    Arena *a = arena_new("test_traffic_naive", (size_t)8 << 30, NULL);
    naive_values(log, a);
    ridge_recovers(log, a);
    ridge_oracle(log, a, 20, 4, 3, 1);
    ridge_oracle(log, a, 40, 70, 50, 2);   // many steps: of the windows every second one
    driver(log, a);
    synth_same_bits(log, a);
    synth_statistics(log, a);
    synth_traits(log, a);
    synth_varieties(log, a);
    if (log->quick) test_skip(log, "skipped in a quick run: reference figures");
    else {
        flow_by_flow(log, a, "abilene", (const double[]){9.50, 14.67, 17.39}, (const double[]){7.30, 11.21, 13.55});
        flow_by_flow(log, a, "geant", (const double[]){4.61, 7.49, 8.98}, (const double[]){3.87, 5.52, 6.27});
    }
    arena_delete(a);
}
