// Missing values: estimates that know the past alone, rows that stay usable, and that nobody is fitted on or scored
// against a value that was not measured.
#include <inttypes.h>
#include <stdlib.h>

#include "io/sha256.h"
#include "lead_world.h"
#include "run_lead.h"
#include "tensor/philox.h"
#include "traffic/protocol.h"
#include "traffic/ridge_online.h"
#include "traffic_world.h"

enum { N = 4, F = N * N, D = 24, K = 3, H = 16 };

static double uniform(uint64_t k) { return (double)(philox_u32(7, 3, k) >> 8) / (1 << 24); }

// 20 days of hourly traffic with NaN where `hole` says so.
typedef bool Hole(int64_t t, int f);

// Each value with 5 %, and one in each of the last rows.
static bool some(int64_t t, int f)
{
    return uniform((uint64_t)(t * F + f)) < 0.05 || (t >= 20 * D - K && f == 6);
}

static bool dark_node(int64_t t, int f) { return t >= 8 * D && t < 9 * D && (f / N == 2 || f % N == 2); }

static TrafficSeries punched(Arena *a, Hole *hole, int fill)
{
    const TrafficSeries full = make_series(a, N, 20 * D, 3600, 3);
    TrafficTable t = {.format = "test", .N = N, .T = full.T, .x = full.x, .time = full.time};
    for (int64_t k = 0; hole && k < full.T * F; k++)
        if (hole(k / F, (int)(k % F))) t.x[k] = NAN;
    TrafficSeries s;
    const Status st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.fill = fill});
    CHECK(!st.code, "%s", st.msg);
    return s;
}

// ---- estimates -----------------------------------------------------------------------------------------------------

// The estimate by its definition, from the measured values m (NaN: none) up to row t alone.
static double plain_estimate(const float *m, double *whole, int64_t t, int f)
{
    int64_t last = t - 1;
    while (last >= 0 && isnan(m[last * F + f])) last--;
    int64_t first = 0;
    while (first < t && isnan(m[first * F + f])) first++;        // before it there is nothing to repeat
    if (last < 0) return 0;
    if (t - D < first) return (double)m[last * F + f];
    const double w = pow(0.5, (double)(t - last) / 4);           // slots of an hour
    return w * (double)m[last * F + f] + (1 - w) * whole[(t - D) * F + f];
}

static bool long_holes(int64_t t, int f)
{
    return some(t, f) || (f == 5 && t >= 100 && t < 160) || (f == 6 && t < 40) || dark_node(t, f);
}

static void estimates(TestLog *log, Arena *a)
{
    const TrafficSeries full = make_series(a, N, 20 * D, 3600, 3), s = punched(a, long_holes, 0);
    float *m = arena_alloc(a, (size_t)(s.T * F) * sizeof *m);
    double *whole = arena_alloc(a, (size_t)(s.T * F) * sizeof *whole), worst = 0;
    int64_t holes = 0;
    for (int64_t k = 0; k < s.T * F; k++) m[k] = long_holes(k / F, (int)(k % F)) ? NAN : full.x[k];
    for (int64_t k = 0; k < s.T * F; k++) {
        const bool hole = isnan(m[k]);
        whole[k] = hole ? plain_estimate(m, whole, k / F, (int)(k % F)) : (double)m[k];
        worst = fmax(worst, fabs(whole[k] - (double)s.x[k]) / (whole[k] + 1));
        holes += hole;
        TEST(log, traffic_seen(&s, k / F, k % F) == !hole, "mask of value %" PRId64, k);
    }
    TEST(log, worst < 1e-5, "an estimate is %g off its definition", worst);
    TEST(log, s.reading.cells_missing == holes && s.reading.cells_estimated == holes && !s.reading.cells_filled,
         "%" PRId64 " missing, %" PRId64 " estimated, want %" PRId64, s.reading.cells_missing,
         s.reading.cells_estimated, holes);
    for (int64_t t = 0; t < s.T; t++) TEST(log, s.valid[t], "row %" PRId64 " is left out", t);
}

static bool nearly_empty(int64_t t, int f)
{
    return (t == 50 && f != 1) || (t == 60 && f != 1 && f != 2) || (t == 70 && f != 0 && f != 5);   // 0, 5: diagonal
}

// A row needs a tenth of its 12 off-diagonal values: 1 is too few, 2 are enough; diagonal ones count nothing.
static void rows_that_say_nothing(TestLog *log, Arena *a)
{
    const TrafficSeries s = punched(a, nearly_empty, 0);
    TEST(log, !s.valid[50] && s.valid[60] && !s.valid[70], "rows of 1, 2 and 0 values: %d %d %d", s.valid[50],
         s.valid[60], s.valid[70]);
    TEST(log, s.x[50 * F + 3] == 0 && s.x[60 * F + 3] > 0, "%g %g", (double)s.x[50 * F + 3], (double)s.x[60 * F + 3]);
    TrafficSeries r;
    const TrafficSeries full = make_series(a, N, 20 * D, 3600, 3);
    TrafficTable t = {.format = "test", .N = N, .T = full.T, .x = full.x, .time = full.time};
    t.x[61 * F + 3] = NAN;
    const Status st = traffic_series_from_table(&r, a, "t", &t, &(TrafficReadOptions){.keep_missing = true});
    TEST(log, !st.code && isnan(r.x[61 * F + 3]) && !traffic_seen(&r, 61, 3), "%s: to be written: %g", st.msg,
         (double)r.x[61 * F + 3]);
}

// At 5 % of the values missing at random all windows stay; with a row left out for each there would be few.
static void usable_windows(TestLog *log, Arena *a)
{
    const TrafficSeries full = make_series(a, N, 20 * D, 3600, 3), s = punched(a, some, 0);
    int64_t *start, all = traffic_windows(&full, a, (TrafficRange){0, full.T}, H, 20, 1, &start);
    const int64_t n = traffic_windows(&s, a, (TrafficRange){0, s.T}, H, 20, 1, &start);
    TEST(log, all > 400 && 100 * n >= 95 * all, "%" PRId64 " of %" PRId64 " windows", n, all);
}

// Values beyond the capacity are missing, before slots are joined.
static void capacity(TestLog *log, Arena *a)
{
    const TrafficSeries full = make_series(a, N, 20 * D, 3600, 3);
    TrafficTable t = {.format = "test", .N = N, .T = full.T, .x = full.x, .time = full.time};
    t.x[33 * F + 6] = 2e9f;
    t.x[34 * F + 6] = INFINITY;
    const float before = t.x[32 * F + 6];
    TrafficSeries s;
    const Status st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.capacity_kbps = 1e9});
    TEST(log, !st.code && s.reading.cells_beyond == 2 && s.reading.cells_missing == 2 && !traffic_seen(&s, 33, 6) &&
                  s.x[33 * F + 6] < 3 * before, "%s: %" PRId64 " beyond, %g", st.msg, s.reading.cells_beyond,
         (double)s.x[33 * F + 6]);
}

// ---- nobody looks at what was not measured -------------------------------------------------------------------------

// What the model is fitted to, and what it forecasts, with one node dark for a day: the other flows as with a whole
// series, bit for bit, since a naive forecast looks at one flow alone.
static void a_dark_node_costs_the_others_nothing(TestLog *log, Arena *a)
{
    const TrafficSeries full = make_series(a, N, 20 * D, 3600, 3), s = punched(a, dark_node, 3);
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        NaiveModel m[2];
        float point[2][K * F], *levels[2];
        for (int i = 0; i < 2; i++) {
            const TrafficSeries *of = i ? &s : &full;
            const Status st = naive_fit(&m[i], a, (NaiveKind)kind, of, (TrafficRange){0, 14 * D},
                                        (TrafficRange){14 * D, 17 * D}, H, K, NULL);
            TEST(log, !st.code, "%s", st.msg);
            levels[i] = arena_alloc(a, NAIVE_LEVELS * K * F * sizeof(float));
            naive_predict(&m[i], of, 18 * D, point[i]);
            naive_spread(&m[i], of, 18 * D, point[i], levels[i]);
        }
        int other = 0, same = 0, own = 0;
        for (int k = 0; k < K * F; k++) {
            const bool of_node = (k % F) / N == 2 || k % N == 2;
            bool equal = point[0][k] == point[1][k];
            for (int q = 0; q < NAIVE_LEVELS; q++) equal &= levels[0][q * K * F + k] == levels[1][q * K * F + k];
            if (of_node) own += isfinite(point[1][k]);
            else other++, same += equal;
        }
        TEST(log, other == K * 9 && same == other && own == K * 7, "%s: %d of %d values of other flows are the same",
             naive_names[kind], same, other);
    }
}

// A forecaster that knows nothing.
static Status constant_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    const int S = *(const int *)ctx, KF = K * s->N * s->N;
    for (int64_t i = 0; i < (int64_t)b->n * KF; i++) b->point[i] = 20000;
    for (int64_t i = 0; i < (int64_t)b->n * S * KF; i++) b->dist[i] = (float)(5000 * (1 + (i / KF) % S) + i % F);
    return OK;
}

static EvalTable scored(TestLog *log, Arena *a, EvalPlan *plan, const TrafficSeries *s)
{
    int samples = 6;
    const EvalPlanOptions o = {.protocol = PROTOCOL_CLEAN, .K = K};
    Status st = eval_plan(plan, a, s, &o);
    TEST(log, !st.code, "%s", st.msg);
    EvalTable t = eval_table_new(a, &plan->task, NAIVE_KINDS + 1);
    const Forecaster f = {.name = "constant", .kind = DIST_SAMPLES, .S = samples, .batch = 4, .run = constant_run,
                          .ctx = &samples};
    st = evaluate(&t, a, &plan->task, &f);
    TEST(log, !st.code, "%s", st.msg);
    st = evaluate_naive(&t, a, &plan->task, plan->split.train, plan->split.val);
    TEST(log, !st.code, "%s", st.msg);
    eval_compare(&t, a);
    return t;
}

// Scores by plain loops over what was measured; and another truth where nothing was changes none.
static void scores(TestLog *log, Arena *a)
{
    TrafficSeries s = punched(a, some, 0), other = s;
    EvalPlan plan, again;
    const EvalTable t = scored(log, a, &plan, &s);
    double se = 0, values = 0, total = 0, totals = 0;
    int64_t missing = 0, rows = 0, done = 0;
    for (int64_t i = 0; i < plan.task.n_windows; i++) {
        const int64_t last = plan.task.starts[i] + plan.task.history - 1;
        for (int h = 1; h <= K; h++) {
            double sum = 0;
            bool whole = true;
            for (int f = 0; f < F; f++) {
                const double y = (double)s.x[(last + h) * F + f];
                sum += y;
                whole &= s.seen[(last + h) * F + f];
                if (!s.seen[(last + h) * F + f]) continue;
                se += (20000 - y) * (20000 - y);
                values++;
            }
            total += whole ? (20000.0 * F - sum) * (20000.0 * F - sum) : 0;
            totals += whole;
            if (last + h < done) continue;
            done = last + h + 1;
            rows++;
            for (int f = 0; f < F; f++) missing += !s.seen[(last + h) * F + f];
        }
    }
    const EvalRow *r = eval_table_find(&t, "constant", "kbps", 0), *sums = eval_table_find(&t, "constant", "total", 0);
    TEST(log, r->r.values == (int64_t)values && near(r->r.mse, se / values, 1e-6 * r->r.mse), "mse %g, want %g",
         r->r.mse, se / values);
    TEST(log, sums->r.values == (int64_t)totals && near(sums->r.mse, total / totals, 1e-4 * sums->r.mse),
         "total: %" PRId64 " values, %g, want %g, %g", sums->r.values, sums->r.mse, totals, total / totals);
    TEST(log, t.missing == missing && t.target_values == rows * F && missing > 0, "%" PRId64 " missing of %" PRId64,
         t.missing, t.target_values);
    // the last row is a target of the last window alone, and the input of none
    other.x = memcpy(arena_alloc(a, (size_t)(s.T * F) * sizeof *s.x), s.x, (size_t)(s.T * F) * sizeof *s.x);
    int changed = 0;
    for (int f = 0; f < F; f++)
        if (!s.seen[(s.T - 1) * F + f]) other.x[(s.T - 1) * F + f] = 1e8f, changed++;
    TEST(log, changed > 0, "nothing is missing in the last row");
    const EvalTable u = scored(log, a, &again, &other);
    bool same = t.n == u.n;
    for (int64_t i = 0; i < t.n && same; i++) {
        const EvalRow *p = &t.row[i], *q = &u.row[i];
        same = !memcmp(&p->r, &q->r, sizeof p->r) && !memcmp(&p->beside, &q->beside, sizeof p->beside);
        TEST(log, same, "%s, %s, horizon %d: an unmeasured truth is scored", p->model, p->space, p->horizon);
    }
}

// ---- ridge ---------------------------------------------------------------------------------------------------------

// The coefficients of one flow and horizon by plain normal equations over the windows whose target was measured.
static void ridge(TestLog *log, Arena *a)
{
    enum { FLOW = 6, STEP = 2, FIT = 1, END = 20 * D, IN = RIDGE_INPUTS };     // of yesterday, without last week
    const TrafficSeries s = punched(a, some, 0);
    RidgeModel m;
    const Status st = ridge_fit(&m, a, &s, (TrafficRange){0, END}, K, 0.5);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    double unit = 0, G[IN][IN + 1] = {{0}};
    for (int64_t t = 0; t < END; t++) unit = fmax(unit, (double)s.x[t * F + FLOW]);
    for (int64_t t = 11; t + K < END; t++) {
        double z[IN + 1];
        if (t < D || !s.seen[(t + STEP) * F + FLOW]) continue;              // yesterday at all steps; the target
        for (int l = 0; l < 12; l++) z[l] = (double)s.x[(t - l) * F + FLOW] / unit;
        for (int d = 0; d < 3; d++) z[12 + d] = (double)s.x[(t + STEP - D - 1 + d) * F + FLOW] / unit;
        z[15] = 0;
        z[16] = 1;
        z[17] = (double)s.x[(t + STEP) * F + FLOW] / unit;
        for (int i = 0; i < IN; i++)
            for (int j = 0; j <= IN; j++) G[i][j] += z[i] * z[j];
    }
    for (int i = 0; i < IN - 1; i++) G[i][i] += 0.5;
    const float *w = m.coef + (((int64_t)FIT * K + STEP - 1) * F + FLOW) * IN;
    double worst = 0, size = 0;
    for (int i = 0; i < IN; i++) {          // (G + lambda) w = g
        double left = 0;
        for (int j = 0; j < IN; j++) left += G[i][j] * (double)w[j] / (j == IN - 1 ? unit : 1);
        worst = fmax(worst, fabs(left - G[i][IN]));
        size = fmax(size, fabs(G[i][IN]));
    }
    TEST(log, worst < 1e-5 * size, "the normal equations are off by %g of %g", worst, size);
}

static bool never(int64_t t, int f) { return f == 6 || (f == 5 && t < 10 * D) || some(t, f); }

// A flow that was never measured, and one of half of the rows: all that is fitted is finite, and forecasts 0 of the
// first.
static void never_measured(TestLog *log, Arena *a)
{
    const TrafficSeries s = punched(a, never, 3);
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        NaiveModel m;
        float point[K * F], *levels = arena_alloc(a, NAIVE_LEVELS * K * F * sizeof *levels);
        const Status st = naive_fit(&m, a, (NaiveKind)kind, &s, (TrafficRange){0, 14 * D},
                                    (TrafficRange){14 * D, 17 * D}, H, K, NULL);
        if (!TEST(log, !st.code, "%s", st.msg)) continue;
        naive_predict(&m, &s, 18 * D, point);
        naive_spread(&m, &s, 18 * D, point, levels);
        bool finite = true;
        for (int k = 0; k < K * F; k++) finite &= isfinite(point[k]);
        for (int k = 0; k < NAIVE_LEVELS * K * F; k++) finite &= isfinite(levels[k]);
        TEST(log, finite && point[6] == 0 && point[5] > 0, "%s: %g and %g", naive_names[kind], (double)point[6],
             (double)point[5]);
    }
    LeadConfig cfg = tiny_lead(tiny_llm(log, a));
    TEST(log, !config_preset(&cfg, "small").code, "no preset small");
    cfg.horizon = K;
    const LeadStats st = fitted(log, a, &s, &cfg);
    for (int k = 0; k < K * F; k++)
        TEST(log, isfinite(st.sigma[k]) && st.sigma[k] > 0 && isfinite(st.low[k]) && isfinite(st.high[k]), "sigma %g",
             (double)st.sigma[k]);
    TEST(log, isfinite(st.mean[6]) && st.std[6] > 0 && st.trust[6 * K] == 0 && st.trust[5 * K] == 1, "level, trust");
}

static bool first_days(int64_t t, int f) { return f == 5 && t < 10 * D; }

// What is fitted on a flow that was first measured after ten days is fitted on what came then: means of slots and of
// parts of the week.
static void measured_late(TestLog *log, Arena *a)
{
    const TrafficRange rows = {0, 18 * D};
    const TrafficSeries s = punched(a, first_days, 0);
    TrafficScale k;
    SlotMeans m;
    const Status st = scale_fit(&k, a, &s, rows, SCALE_FLOWMAX);
    TEST(log, !st.code, "%s", st.msg);
    slot_means_fit(&m, a, &s, rows, &k);
    const float *part = part_means_fit(a, &s, rows, &k);
    double sum[F] = {0}, mean[F] = {0}, parts[F] = {0};
    int64_t n[F] = {0};
    for (int64_t t = 0; t < rows.end; t++)
        for (int f = 0; f < F; f++) {
            if (!traffic_seen(&s, t, f)) continue;
            sum[f] += (double)scale_forward_flow(&k, f, s.x[t * F + f]);
            n[f]++;
        }
    for (int64_t i = 0; i < (int64_t)m.n_slots * F; i++) mean[i % F] += (double)m.mean[i] / m.n_slots;
    for (int64_t i = 0; i < 2 * D * F; i++) parts[i % F] += (double)part[i] / (2 * D);
    for (int f = 0; f < F; f++) {     // the weeks are not whole: means of means agree within the weekend's share
        const double want = sum[f] / (double)n[f];
        TEST(log, want > 0 && fabs(mean[f] / want - 1) < 0.1 && fabs(parts[f] / want - 1) < 0.2,
             "flow %d: mean %g, of slots %g, of parts of the week %g", f, want, mean[f], parts[f]);
    }
}

// Daily fits of a series with holes: the last day's, with all weights 1, is the one of all rows before it.
static void ridge_every_day(TestLog *log, Arena *a)
{
    const TrafficSeries s = punched(a, some, 0);
    RidgeOnline m;
    RidgeModel want;
    const TrafficRange last = {19 * D, 20 * D};
    ridge_online_fit(&m, a, &s, last, NULL, K, 0, 1);
    const Status st = ridge_fit(&want, a, &s, (TrafficRange){0, 19 * D}, K, 1);
    const RidgeModel got = ridge_online_at(&m, 19 * D + 3);
    double worst = 0;
    for (int64_t i = 0; i < (int64_t)K * F * RIDGE_INPUTS; i++) {
        const int64_t j = 2 * (int64_t)K * F * RIDGE_INPUTS + i;            // the fit of lags alone
        worst = fmax(worst, fabs((double)got.coef[j] - (double)want.coef[j]) / (fabs((double)want.coef[j]) + 1));
    }
    TEST(log, !st.code && worst < 1e-4, "%s: the daily fit is %g off", st.msg, worst);
}

// ---- training ------------------------------------------------------------------------------------------------------

typedef struct Trained { double loss; Sha256Hex gradient; } Trained;

// Loss and gradients of one window of s, whose last known row is at.
static Trained train_on(const LeadConfig *cfg, const TrafficSeries *s, const LeadStats *st, int64_t at, TestLog *log)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    LeadModel *m = lead_world_model(w, cfg, lead_stats_shape(st, cfg), 0.1);
    const LeadData data = data_of(log, &w->t, w->perm, st, cfg, s);
    tape_reset(&w->t);
    paramset_zero_grad(&w->ps);
    const LeadBatch b = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, &at, 1), NULL, true);
    Trained r;
    float loss;
    Tensor *l = lead_loss(&w->t, m, &b);
    tape_backward(&w->t, l);
    tensor_get_f32(l, &loss, 1);
    r.loss = (double)loss;
    uint64_t sum = 0;
    for (int i = 0; i < w->ps.n; i++) {
        const Param *p = w->ps.p[i];
        if (!p->t.g) continue;
        const Sha256Hex h = sha256_hex_of(p->t.g, tensor_bytes(&p->t));
        sum = sum * 31 + strtoull(arena_printf(w->perm, "%.15s", h.s), NULL, 16);
    }
    r.gradient = sha256_hex_of(&sum, sizeof sum);
    world_delete(w);
    return r;
}

// No target that was not measured moves loss or gradients, not even the noise that is drawn around it; the mask does.
static void losses(TestLog *log, Arena *a, bool small)
{
    LeadConfig cfg = tiny_lead(tiny_llm(log, a));
    if (small) TEST(log, !config_preset(&cfg, "small").code, "no preset small");
    cfg.dropout = 0, cfg.horizon = K;
    if (lead_has_unet(&cfg)) cfg.loss_pool = cfg.loss_sobel = 0.1;
    TrafficSeries s = punched(a, some, 0);
    const LeadStats stats = fitted(log, a, &s, &cfg);
    const int64_t at = s.T - 1 - K;              // the last K rows are targets of this window alone
    TrafficSeries other = s, whole = s;
    other.x = memcpy(arena_alloc(a, (size_t)(s.T * F) * sizeof *s.x), s.x, (size_t)(s.T * F) * sizeof *s.x);
    whole.seen = NULL;
    int changed = 0;
    for (int64_t k = (at + 1) * F; k < s.T * F; k++)
        if (!s.seen[k]) other.x[k] *= 1.7f, changed++;
    const Trained one = train_on(&cfg, &s, &stats, at, log), two = train_on(&cfg, &other, &stats, at, log);
    const Trained all = train_on(&cfg, &whole, &stats, at, log);
    TEST(log, changed > 0 && isfinite(one.loss) && one.loss != all.loss, "small %d: the loss %g minds no mask", small,
         one.loss);
    TEST(log, one.loss == two.loss && !strcmp(one.gradient.s, two.gradient.s), "small %d: losses %g, %g", small,
         one.loss, two.loss);
}

// ---- the end of a series -------------------------------------------------------------------------------------------

static bool ragged_end(int64_t t, int f)
{
    return (t >= 20 * D - 6 && f % 3 == 0) || (t == 20 * D - 1 && f != 5 && f != 1);     // 1 of 12 values in the last
}

static void forecasts_at_the_end(TestLog *log, Arena *a)
{
    const TrafficSeries s = punched(a, ragged_end, 0);
    float *x = memcpy(arena_alloc(a, (size_t)(s.T * F) * sizeof *x), s.x, (size_t)(s.T * F) * sizeof *x);
    for (int64_t k = 0; k < s.T * F; k++)
        if (!s.seen[k]) x[k] = NAN;
    const char *data = scratch_npy(log, a, "ragged.npy", 1,
                                   arena_printf(a, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d), "
                                                "}\n", 20 * D, N, N), x, (size_t)(s.T * F) * sizeof *x, 0);
    const char *models[] = {"ridge", "persistence", "ets", "ridge-scale"};
    for (int i = 0; i < 4; i++) {
        const Ran r = lead_run(log, a, "forecast --slot-seconds 3600 --fill 0 --data %s --model %s --horizon 2", data,
                               models[i]);
        int lines = 0;
        for (const char *p = r.out; (p = strchr(p, '\n')); p++) lines++;
        TEST(log, r.code == 0 && lines == 1 + 2 * F && !strstr(r.out, "nan") && strstr(r.err, "after row 478"),
             "%s: exit %d, %d lines, %s", models[i], r.code, lines, r.err);
    }
    const Ran filled = lead_run(log, a, "forecast --slot-seconds 3600 --data %s --model ridge --horizon 2", data);
    TEST(log, filled.code == 0 && !strstr(filled.err, "after row"), "filled: exit %d, %s", filled.code, filled.err);
    const Ran e = lead_run(log, a, "eval --naive-only --slot-seconds 3600 --data %s", data);
    TEST(log, e.code == 0 && strstr(e.err, "were not measured, and are not scored"), "exit %d, %s", e.code, e.err);
    const Ran c = lead_run(log, a, "data info --slot-seconds 3600 --capacity 1Mbit/s --data %s", data);
    TEST(log, c.code == 0 && strstr(c.err, "values beyond 1000 kbit/s: taken as missing"), "exit %d, %s",
         c.code, c.err);
    const char *bad[] = {"10furlongs", "-3", "x", "3B"};
    for (int i = 0; i < 4; i++) {
        const Ran b = lead_run(log, a, "data info --capacity %s --data %s", bad[i], data);
        TEST(log, b.code == 2 && strstr(b.err, "--capacity: want a rate"), "%s: exit %d, %s", bad[i], b.code, b.err);
    }
}

void test_missing(TestLog *log)
{
    Arena *a = arena_new("test_missing", (size_t)16 << 30, NULL);
    estimates(log, a);
    rows_that_say_nothing(log, a);
    usable_windows(log, a);
    capacity(log, a);
    a_dark_node_costs_the_others_nothing(log, a);
    scores(log, a);
    ridge(log, a);
    never_measured(log, a);
    measured_late(log, a);
    ridge_every_day(log, a);
    losses(log, a, false);
    losses(log, a, true);
    forecasts_at_the_end(log, a);
    arena_delete(a);
}
