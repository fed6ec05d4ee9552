// Golden numbers of everything between a series and a score, without a model: synthetic traffic, suspicious snapshots,
// statistics, scales, means of the calendar, images, naive forecasts and their spreads, every protocol, sample paths in
// pairs and not, alarms (tests/golden/traffic.txt).  Like tests/test_golden.c this notices changes; other areas say
// what is right.
#include <omp.h>

#include "golden.h"
#include "tensor/philox.h"
#include "traffic/alarm.h"
#include "traffic/encode.h"
#include "traffic/info.h"
#include "traffic/protocol.h"
#include "traffic/rolling.h"
#include "traffic/unit.h"
#include "traffic_world.h"

enum { N = 3, F = N * N, K = 4, HISTORY = 16, DAYS = 45, SAMPLES = 6 };
static const double RELATIVE = 2e-6, ABSOLUTE = 1e-9;   // by which numbers may differ

typedef struct Bench { TestLog *log; Golden g; Arena *a; TrafficSeries s; } Bench;

static void ok(const Bench *b, Status s) { TEST(b->log, !s.code, "%s", s.msg); }

static void put_values(Bench *b, const char *what, const float *x, int64_t n)
{
    golden_put(&b->g, "%s", what);
    for (int64_t i = 0; i < n; i++) golden_put(&b->g, " %.7g", (double)x[i]);
    golden_put(&b->g, "\n");
}

// ---- synthetic traffic

static void put_synth(Bench *b, const char *what, const SynthOptions *o, int64_t step)
{
    TrafficSeries s;
    ok(b, synth_generate(&s, b->a, o));
    const int64_t n = (int64_t)s.N * s.N;
    for (int64_t t = 0; t < s.T; t += step) put_values(b, what, s.x + t * n, n);
    double sum = 0, zeros = 0;
    for (int64_t k = 0; k < s.T * n; k++) sum += (double)s.x[k], zeros += s.x[k] <= 0;
    golden_put(&b->g, "%s sum %.9g zeros %g\n", what, sum, zeros);
}

static void put_all_synth(Bench *b)
{
    SynthOptions o = synth_defaults();
    o.N = 4, o.T = 9 * 48, o.slot_seconds = 1800, o.seed = 5;
    put_synth(b, "default", &o, 61);
    o.traits = (SynthTraits){.wave = 2, .weekend = 1.5, .noise = 0.5, .fast = 2, .memory = 0.5, .bursts = 40,
                             .tail = 1.2, .outages = 30, .shifts = 20, .silent = 0.3};
    put_synth(b, "traits", &o, 61);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        const SynthOptions v = synth_variety(seed);
        const SynthTraits *k = &v.traits;
        golden_put(&b->g, "variety %d nodes %d rows %lld slot %d start %lld mean %.9g", (int)seed, v.N, (long long)v.T,
                   v.slot_seconds, (long long)v.start_s, v.mean_flow_kbps);
        golden_put(&b->g, " %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g %.9g\n", k->wave, k->weekend, k->noise,
                   k->fast, k->memory, k->bursts, k->tail, k->outages, k->shifts, k->silent);
    }
}

// ---- the series

// A gap, invalid and suspicious rows, a repeated day, a silent flow, one that is seldom above 0, and no row at one hour
// of one weekday.
static void make(Bench *b)
{
    const TrafficSeries made = make_series(b->a, N, DAYS * 24, 3600, 11);
    b->s = with_holes(b->a, &made, 200, 3, 150);
    TrafficSeries *s = &b->s;
    for (int64_t t = 0; t < s->T; t++) {
        int slot, day;
        traffic_calendar(s, t, 0, &slot, &day);
        s->x[t * F + 5] = 0;
        if (t % 3) s->x[t * F + 7] = 0;
        if (t < 760) s->x[t * F + 6] = 0;   // silent until after the rows that everything is fitted on
        if (day == 2 && slot == 5) s->valid[t] = 0;
        if (t == 300 || t == 304 || t == 310 || t == 650) for (int f = 0; f < F; f++) s->x[t * F + f] *= 9;
        if (t == 400) for (int f = 0; f < F; f++) s->x[t * F + f] *= 4.5f;
        if (t == 410) for (int f = 0; f < F; f++) s->x[t * F + f] *= 0.28f;
        if (t == 420) for (int f = 0; f < F; f++) s->x[t * F + f] *= 0.05f;
        if (t >= 480 && t < 494) memcpy(s->x + t * F, s->x + (t - 24) * F, F * sizeof *s->x);
    }
}

static void put_series(Bench *b)
{
    TrafficSeries s = b->s;
    TrafficSuspect *suspect;
    TrafficRepeat *same;
    TrafficStats st;
    const int64_t n = traffic_suspects_find(&s, b->a, &suspect), m = traffic_repeats_find(&s, b->a, &same);
    for (int64_t i = 0; i < n; i++)
        golden_put(&b->g, "suspect %lld %.9g %d\n", (long long)suspect[i].row, suspect[i].ratio, suspect[i].high);
    for (int64_t i = 0; i < m; i++)
        golden_put(&b->g, "repeated %lld %lld %lld\n", (long long)same[i].rows.begin, (long long)same[i].rows.end,
                   (long long)same[i].from);
    traffic_stats(&st, b->a, &s);
    golden_put(&b->g, "statistics %lld zeros %.9g %.9g silent %d diagonal %.9g\n", (long long)st.snapshots,
               st.zero_share_off, st.zero_share_diag, st.silent_flows_off, st.diag_share);
    golden_put(&b->g, "total %.9g %.9g %.9g %.9g largest %.9g %.9g\n", st.total_mean_kbps, st.total_std_kbps,
               st.total_min_kbps, st.total_max_kbps, st.top10_share, st.top_tenth_share);
    for (int i = 0; i < STATS_QUANTILES; i++)
        golden_put(&b->g, "quantile %g %.9g\n", stats_levels[i], st.quantile_kbps[i]);
    for (int i = 0; i < STATS_LAGS; i++) golden_put(&b->g, "lag %d %.9g %.9g\n", i, st.acf_total[i], st.acf_flow[i]);
    for (int i = 0; i < 7; i++) golden_put(&b->g, "weekday %d %.9g\n", i, st.weekday_median_kbps[i]);
    for (int i = 0; i < 24; i++) golden_put(&b->g, "hour %d %.9g\n", i, st.hour_median_kbps[i]);
    golden_put(&b->g, "weekend %.9g peak %d trough %d\n", st.weekend_ratio, st.hour_of_peak, st.hour_of_trough);
    int64_t *starts;
    for (int protocol = 0; protocol < 3; protocol++) {
        const TrafficSplits p = traffic_splits(s.T, (TrafficProtocol)protocol);
        golden_put(&b->g, "splits %lld %lld %lld", (long long)p.train.end, (long long)p.val.end, (long long)p.test.end);
        golden_put(&b->g, " windows %lld\n", (long long)traffic_windows(&s, b->a, p.train, HISTORY, K, 3, &starts));
        for (int i = 0; i < 5; i++) golden_put(&b->g, " %lld", (long long)starts[7 * i]);
        golden_put(&b->g, "\n");
    }
}

// Steps of a day and more, where yesterday's value at the hour of the forecast is not known yet; and a series too short
// for last week.
static void put_long_steps(Bench *b)
{
    enum { STEPS = 8 };
    static const int h[] = {1, 5, 6, 7, 12, 13, 42};
    const TrafficSeries s = make_series(b->a, 2, 60 * 6, 4 * 3600, 8), few = make_series(b->a, 2, 6 * 24, 3600, 8);
    for (int i = 0; i < 7; i++)
        for (int margin = 0; margin < 2; margin++)
            golden_put(&b->g, "season %d %lld %lld\n", h[i], (long long)traffic_season_offset(&s, h[i], false, margin),
                       (long long)traffic_season_offset(&s, h[i], true, margin));
    RidgeModel m;
    float x[STEPS * 4];
    ok(b, ridge_fit(&m, b->a, &s, (TrafficRange){0, 300}, STEPS, RIDGE_LAMBDA));
    for (int64_t t = 50; t < s.T; t += 61) {
        ridge_predict(&m, &s, t, x);
        put_values(b, "day", x + 20, 12);
    }
    EvalPlan p;
    const EvalPlanOptions o = {.K = 2, .stride = 3};
    ok(b, eval_plan(&p, b->a, &few, &o));
    EvalTable t = eval_table_new(b->a, &p.task, NAIVE_KINDS);
    ok(b, evaluate_naive(&t, b->a, &p.task, p.split.train, p.split.val));
    golden_put(&b->g, "models %d left out %u\n", t.models, t.left_out);
}

// Traffic that grows, and whose day changes: every parameter of exponential smoothing counts.
static void put_smoothing(Bench *b)
{
    enum { ROWS = 24 * 20 };
    float *x = arena_alloc(b->a, ROWS * 4 * sizeof *x), out[K * 4];
    for (int t = 0; t < ROWS; t++)
        for (int f = 0; f < 4; f++) {
            const double grows = f == 2 ? 0.03 : f == 1 ? 0.01 : -0.001;
            const double wave = 30 * cos((t + 3 * f) * 0.2617993877991494) * (1 + t * grows);
            const double noise = (double)philox_normal(4, philox_subsequence(SITE_TEST, (uint32_t)f), (uint64_t)t);
            x[t * 4 + f] = (float)(900 + (f < 2 ? t * (t / 100 % 2 ? 2 : 0.4) : 0) + wave + (f < 3 ? 3 : 12) * noise);
        }
    const TrafficReadOptions hours = {.slot_seconds = 3600};
    TrafficSeries s;
    EtsModel m;
    ok(b, traffic_series_init(&s, b->a, "growing", 2, ROWS, x, NULL, &hours));
    s.valid[400] = 0;
    ets_fit(&m, b->a, &s, (TrafficRange){0, 380});
    for (int f = 0; f < 4; f++)
        golden_put(&b->g, "smoothing %g %g %g %g\n", m.parameter[f][0], m.parameter[f][1], m.parameter[f][2],
                   m.parameter[f][3]);
    for (int64_t t = 390; t < ROWS; t += 13) {
        if (!s.valid[t]) continue;
        ets_predict(&m, &s, t, K, out);
        put_values(b, "grown", out, K * 4);
    }
}

// ---- units, quantiles

static void put_units(Bench *b)
{
    static const char *const text[] = {"kbit/s", "Mbit/s", "Gbps", "bps", "B/s", "bytes per 5 minutes",
                                       "100 bytes per 15m", "KiB/s", "MiB per slot", "octets/h", "Bps", "kBps",
                                       "10 Mbit per minute", "T", "per"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        TrafficUnit u = {0};
        const bool is = unit_parse(text[i], strlen(text[i]), &u);
        golden_put(&b->g, "unit %zu %d %.9g\n", i, is, is ? unit_kbps(&u, 300) : 0);
    }
    const float v[8] = {1, 2, 4, 7, 11, 16, 22, 29};
    static const int types[] = {6, 7, QUANTILE_PAIRS};
    for (int i = 0; i < 3; i++)
        for (int k = 1; k < 20; k++)
            golden_put(&b->g, "quantile %d %g %.9g\n", types[i], k * 0.05, metric_quantile(v, 8, k * 0.05, types[i]));
}

// ---- scales, means, images

static void put_scales(Bench *b)
{
    const TrafficRange train = traffic_splits(b->s.T, PROTOCOL_CLEAN).train;
    for (int kind = 0; kind < SCALE_KINDS; kind++) {
        TrafficScale k, again;
        SlotMeans m;
        float u[F], rgb[3 * F], x[F];
        ok(b, scale_fit(&k, b->a, &b->s, train, (ScaleKind)kind));
        float *packed = arena_alloc(b->a, (size_t)scale_pack_size(&k) * sizeof *packed);
        scale_pack(&k, packed);
        ok(b, scale_unpack(&again, b->a, packed, scale_pack_size(&k), "packed"));
        slot_means_fit(&m, b->a, &b->s, train, &again);
        for (int64_t t = 40; t < b->s.T; t += 300) {
            scale_forward(&again, b->s.x + t * F, u);
            put_values(b, scale_kind_names[kind], u, F);
            for (int f = 0; f < F; f++) x[f] = scale_inverse_flow(&again, f, u[f] * 0.9f);
            put_values(b, "back", x, F);
            put_values(b, "slot mean", slot_means_at(&m, &b->s, t, 7), F);
        }
        for (int64_t t = 0; t < b->s.T; t++) {
            int slot, day;
            traffic_calendar(&b->s, t, 0, &slot, &day);
            if (day != 2 || slot != 5) continue;
            put_values(b, "slot that no row has", slot_means_at(&m, &b->s, t, 0), F);
            break;
        }
        const EncodeGains g = encode_gains_fit(b->a, &b->s, train, &k, &m);
        encode_rgb(rgb, b->s.x + 50 * F, b->s.x + 49 * F, slot_means_at(&m, &b->s, 50, 0), &k, g);
        put_values(b, "gains", (float[]){g.k_g, g.k_b}, 2);
        put_values(b, "rgb", rgb, 3 * F);
        encode_decode(x, rgb, 3, &k);
        put_values(b, "decoded", x, F);
        encode_grey(u, b->s.x + 50 * F, &k);
        put_values(b, "grey", u, F);
        for (int i = -5; i <= 5; i++)
            golden_put(&b->g, "byte %d %.7g\n", encode_to_byte(0.23f * (float)i),
                       (double)encode_from_byte((uint8_t)(40 + i)));
    }
}

// Slots of an hour, of 15 minutes and of 20 seconds have 1, 3 and 91 slots around each of which the means are taken.
static void put_part_means(Bench *b)
{
    static const int seconds[] = {3600, 900, 20};
    for (int i = 0; i < 3; i++) {
        SynthOptions o = synth_defaults();
        o.N = 2, o.slot_seconds = seconds[i], o.T = 7 * 86400 / (i == 2 ? 4 * 20 : seconds[i]), o.seed = 2;
        o.start_s += 4 * 86400;   // a Friday, so that the few days of the last have both parts of the week
        TrafficSeries s;
        TrafficScale k;
        ok(b, synth_generate(&s, b->a, &o));
        const TrafficRange all = {0, s.T};
        ok(b, scale_fit(&k, b->a, &s, all, SCALE_FLOWMAX));
        const float *mean = part_means_fit(b->a, &s, all, &k);
        const int64_t D = traffic_slots_per_day(&s);
        for (int64_t at = 0; at < 2 * D; at += D / 5) put_values(b, "part mean", mean + at * 4, 4);
    }
}

// ---- naive forecasts

static void put_naive(Bench *b)
{
    const TrafficSplits p = traffic_splits(b->s.T, PROTOCOL_CLEAN);
    float point[K * F], *level = arena_alloc(b->a, NAIVE_LEVELS * sizeof point);
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        NaiveModel m;
        ok(b, naive_fit(&m, b->a, (NaiveKind)kind, &b->s, p.train, p.val, HISTORY, K, NULL));
        golden_put(&b->g, "naive %s average %d\n", naive_names[kind], m.average);
        for (int64_t t = 100; t < b->s.T; t += 213) {
            if (t == 313) t -= 40;   // with rows on both sides of the gap, and suspicious ones, before it
            naive_predict(&m, &b->s, t, point);
            naive_spread(&m, &b->s, t, point, level);
            put_values(b, "point", point, K * F);
            for (int q = 0; q < NAIVE_LEVELS; q += 14) put_values(b, "level", level + (q * K + q % K) * F, F);
        }
        for (int f = 0; kind == NAIVE_ETS && f < F; f++)
            golden_put(&b->g, "ets %g %g %g %g\n", m.ets->parameter[f][0], m.ets->parameter[f][1],
                       m.ets->parameter[f][2], m.ets->parameter[f][3]);
    }
}

static void put_online(Bench *b)
{
    RidgeOnline m;
    ridge_online_fit(&m, b->a, &b->s, (TrafficRange){300, b->s.T}, NULL, K, 60, RIDGE_LAMBDA);
    golden_put(&b->g, "online %lld begin %lld\n", (long long)m.n,
               (long long)ridge_online_begin(&b->s, b->a, K, 60));
    for (int64_t t = 300; t < b->s.T; t += 97) {
        if (m.model_of[t] < 0) continue;
        const RidgeModel r = ridge_online_at(&m, t);
        golden_put(&b->g, "model %d", m.model_of[t]);
        put_values(b, "", r.coef + 2 * RIDGE_INPUTS, RIDGE_INPUTS);
    }
}

// ---- protocols

static void put_table(Bench *b, const EvalTable *t, int origin)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    eval_table_print(t, origin, true, f);
    fclose(f);
    golden_put(&b->g, "%s", text);
    golden_put(&b->g, "live %d silent %d %d seldom %d days %d best %d left out %u\n", t->n_live, t->silent_scored,
               t->silent_fitted, t->seldom, t->days, t->best, t->left_out);
    free(text);
}

static void put_protocol(Bench *b, EvalPlanOptions o)
{
    EvalPlan p;
    o.K = o.protocol == PROTOCOL_FLOW_BY_FLOW ? 0 : K;
    golden_put(&b->g, "protocol %d validation %d origin %d\n", o.protocol, o.validation, o.origin);
    ok(b, eval_plan(&p, b->a, &b->s, &o));
    EvalTable t = eval_table_new(b->a, &p.task, NAIVE_KINDS);
    if (o.protocol == PROTOCOL_ROLLING) ok(b, evaluate_rolling(&t, b->a, &p.task, p.split.train, 60));
    else ok(b, evaluate_naive(&t, b->a, &p.task, p.split.train, p.split.val));
    eval_compare(&t, b->a);
    put_table(b, &t, o.origin);
}

// Draws around the truth, in pairs of opposite errors.
static Status draw(void *ctx, const TrafficSeries *s, const EvalBatch *e)
{
    (void)ctx;
    for (int64_t i = 0; i < (int64_t)e->n * SAMPLES * K * F; i++) {
        const int64_t w = i / (SAMPLES * K * F), q = i / (K * F) % SAMPLES, k = i / F % K, f = i % F;
        const float truth = s->x[(e->last[w] + 1 + k) * F + f];
        const uint64_t pair = philox_subsequence(SITE_TEST, (uint32_t)(e->last[w] * 3 + q / 2));
        const float z = philox_normal(1, pair, (uint64_t)(k * F + f));
        e->dist[i] = fmaxf(0, truth * (1.1f + (q % 2 ? -0.3f : 0.3f) * z));
    }
    for (int64_t i = 0; i < (int64_t)e->n * K * F; i++)
        e->point[i] = e->dist[i / (K * F) * SAMPLES * K * F + i % (K * F)];
    return OK;
}

static Status point_alone(void *ctx, const TrafficSeries *s, const EvalBatch *e)
{
    (void)ctx;
    for (int64_t i = 0; i < (int64_t)e->n * K * F; i++)
        e->point[i] = s->x[(e->last[i / (K * F)] + 1 + i / F % K) * F + i % F] * (i % 2 ? 1.2f : 0.7f);
    return OK;
}

static void put_drawn(Bench *b)
{
    for (int kind = 0; kind < SCALE_KINDS; kind++) {
        EvalPlan p;
        const EvalPlanOptions o = {.K = K, .stride = 3};
        ok(b, eval_plan(&p, b->a, &b->s, &o));
        ok(b, scale_fit(&p.scale, b->a, &b->s, p.split.train, (ScaleKind)kind));
        EvalTable t = eval_table_new(b->a, &p.task, 3);
        const Forecaster f[] = {{"samples", DIST_SAMPLES, SAMPLES, 5, draw, NULL, false},
                                {"pairs", DIST_PAIRS, SAMPLES, 8, draw, NULL, true},
                                {"point", DIST_NONE, 0, 8, point_alone, NULL, false}};
        for (int i = 0; i < 3; i++) ok(b, evaluate(&t, b->a, &p.task, &f[i]));
        eval_compare(&t, b->a);
        put_table(b, &t, 0);
    }
}

// ---- alarms

static void put_alarms(Bench *b)
{
    enum { ROWS = 60, S = 10 };
    const int E = alarm_values(N);
    float *dist = arena_alloc(b->a, S * F * sizeof *dist), floor[F + 2 * N + 1];
    AlarmRow row[ROWS];
    AlarmLimits l = {.N = N, .floor = floor};
    alarm_floors(floor, N, b->s.x, 100, b->a);
    put_values(b, "floors", floor, E);
    for (int t = 0; t < ROWS; t++) {
        row[t].value = arena_alloc(b->a, (size_t)E * sizeof *row[t].value);
        for (int i = 0; i < S * F; i++) dist[i] = b->s.x[((t + 1 + i / F) * F + i % F)] * (i % 7 ? 1 : 0.8f);
        alarm_score(&row[t], floor, N, b->s.x + t * F, dist, S, t % 2 ? DIST_PAIRS : DIST_SAMPLES, b->a);
        if (t % 9 == 0) for (int e = 0; e < E; e++) put_values(b, "alarm", &row[t].value[e].y, 6);
        golden_put(&b->g, "matrix %.9g\n", row[t].matrix);
    }
    for (int i = 0; i < 3; i++) {
        ok(b, alarm_learn(&l, b->a, row, ROWS, (double[]){0.05, 0.1, 0.4}[i]));
        put_values(b, "usual", l.usual, E);
        int raised = 0;
        for (int t = 0; t < ROWS; t++) raised += alarm_raised(&l, &row[t]);
        golden_put(&b->g, "limits %.9g %.9g %.9g %.9g %.9g reached %.9g raised %d\n", l.limit[0], l.limit[1],
                   l.limit[2], l.limit[3], l.limit[4], l.reached, raised);
    }
}

void test_golden_traffic(TestLog *log)
{
    static void (*const part[])(Bench *) = {put_units, put_all_synth, put_series, put_long_steps, put_smoothing,
                                            put_scales, put_part_means, put_naive, put_online, put_drawn, put_alarms};
    static const EvalPlanOptions plan[] = {{.stride = 2}, {.stride = 2, .validation = true},
                                           {.stride = 4, .origin = 60}, {.stride = 4, .protocol = PROTOCOL_ROLLING},
                                           {.stride = 5, .protocol = PROTOCOL_FLOW_BY_FLOW}};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    Bench b = {.log = log, .a = arena_new("golden", (size_t)2 << 30, NULL)};
    make(&b);
    golden_begin(&b.g);
    bool vain = false;
    for (size_t i = 0; i < sizeof part / sizeof *part && !vain; i++) {
        part[i](&b);
        vain = golden_in_vain(&b.g, "traffic", RELATIVE, ABSOLUTE);
    }
    for (size_t i = 0; i < sizeof plan / sizeof *plan && !vain; i++) {
        put_protocol(&b, plan[i]);
        vain = golden_in_vain(&b.g, "traffic", RELATIVE, ABSOLUTE);
    }
    golden_end(log, &b.g, "traffic", RELATIVE, ABSOLUTE);
    arena_delete(b.a);
    omp_set_num_threads(threads);
}
