// The ridge that is refitted every day, and what stands on it: protocol rolling and base ridge-online.  Against
// ridge_fit on the days before, against a plain weighted solution, and never a row that lies ahead.
#include <math.h>
#include <omp.h>

#include "lead/forecast.h"
#include "lead_world.h"
#include "run_lead.h"
#include "traffic/protocol.h"
#include "traffic/rolling.h"

enum { N = 3, F = N * N, D = 96, K = 4, DAYS = 20, BORN = 37 };   // the series begins at slot 37 of a day

static const double lambda = 0.5;

// Twenty days from 09:15 on, with a gap of 30 slots after five days, one of two days after twelve, and an invalid row.
static TrafficSeries gappy_series(TestLog *log, Arena *a)
{
    SynthOptions o = synth_defaults();
    o.N = N, o.T = DAYS * D, o.slot_seconds = 86400 / D, o.seed = 5, o.start_s += BORN * o.slot_seconds;
    TrafficSeries full = {0}, s = {0};
    Status st = synth_generate(&full, a, &o);
    CHECK(!st.code, "%s", st.msg);
    int64_t n = 0, *time = arena_alloc(a, (size_t)full.T * sizeof *time);
    float *x = arena_alloc(a, (size_t)(full.T * F) * sizeof *x);
    for (int64_t t = 0; t < full.T; t++) {
        if ((t >= 5 * D && t < 5 * D + 30) || (t >= 12 * D && t < 14 * D)) continue;
        memcpy(x + n * F, full.x + t * F, F * sizeof *x);
        time[n++] = full.time[t];
    }
    st = traffic_series_init(&s, a, "gaps", N, n, x, time, &(TrafficReadOptions){.slot_seconds = o.slot_seconds});
    TEST(log, !st.code && s.n_runs == 3, "%s", st.msg);
    s.valid[900] = 0;
    return s;
}

static TrafficSeries with_values(Arena *a, const TrafficSeries *s)
{
    TrafficSeries c = *s;
    const size_t bytes = (size_t)s->T * (size_t)s->N * (size_t)s->N * sizeof *c.x;
    c.x = memcpy(arena_alloc(a, bytes), s->x, bytes);
    return c;
}

static RidgeOnline online_of(Arena *a, const TrafficSeries *s, double half_life)
{
    RidgeOnline m;
    ridge_online_fit(&m, a, s, (TrafficRange){0, s->T}, NULL, K, half_life, lambda);
    return m;
}

static int64_t model_size(void) { return (int64_t)RIDGE_FITS * K * F * RIDGE_INPUTS; }

// The first row of t's day, by the clock.
static int64_t day_begin(const TrafficSeries *s, int64_t t)
{
    int64_t b = t;
    while (b > 0 && s->time[b - 1] / 86400 == s->time[t] / 86400) b--;
    return b;
}

// Equal within rounding: the fit of ridge.c divides by the unit, the other multiplies lambda by it.
static double difference(const RidgeModel *x, const RidgeModel *y, const TrafficSeries *s)
{
    double worst = 0, unit = 0;
    for (int64_t i = 0; i < s->T * F; i++) unit = fmax(unit, (double)s->x[i]);
    for (int64_t i = 0; i < model_size(); i++)
        worst = check_fold(worst, fabs((double)x->coef[i] - (double)y->coef[i]) /
                                      (i % RIDGE_INPUTS == RIDGE_INPUTS - 1 ? unit : 1));
    return worst;
}

// ---- the fits ------------------------------------------------------------------------------------------------------

static void equals_ridge_fit(TestLog *log, Arena *a, const TrafficSeries *s)
{
    const RidgeOnline m = online_of(a, s, 0);
    double worst = 0;
    int days = 0, without = 0, smaller = 0;
    for (int64_t t = 0; t < s->T; t++) {
        const int64_t begin = day_begin(s, t);
        if (m.model_of[t] < 0) {
            int64_t *starts;
            const int64_t n = traffic_windows(s, a, (TrafficRange){0, begin}, RIDGE_LAGS, K, 1, &starts);
            TEST(log, n < 340, "row %lld has no fit, but %lld windows before its day", (long long)t, (long long)n);
            without++;
        }
        if (m.model_of[t] < 0 || begin < t) continue;
        RidgeModel want;
        const Status st = ridge_fit(&want, a, s, (TrafficRange){0, begin}, K, lambda);
        TEST(log, !st.code, "%s", st.msg);
        const RidgeModel got = ridge_online_at(&m, t);
        worst = check_fold(worst, difference(&got, &want, s));
        smaller += memcmp(got.coef, got.coef + model_size() / RIDGE_FITS, sizeof(float) * (size_t)K * F) == 0;
        days++;
    }
    TEST(log, worst < 2e-6, "refitted with all rows equal: %g from ridge_fit on the rows before", worst);
    TEST(log, days == 15 && without > 4 * D && m.n == days, "%d days compared, %d rows without a fit, %lld models",
         days, without, (long long)m.n);
    TEST(log, smaller > 3 && smaller < days, "%d of %d days without a fit of last week's inputs", smaller, days);
}

// The same normal equations for one flow, horizon and day, each window with its weight, by Gauss-Jordan.
static void equals_weighted_sum(TestLog *log, Arena *a, const TrafficSeries *s)
{
    enum { H = 3, FLOW = 5 };
    const double half_life = 8;
    const RidgeOnline m = online_of(a, s, half_life);
    const int64_t t_last = s->T - 1, end = day_begin(s, t_last);
    double G[17][18] = {{0}}, unit = 0, total = 0;
    int later[40] = {0};   // days of the calendar after this one, before the last, that bring windows
    for (int pass = 0; pass < 2; pass++)
        for (int64_t t = 11; t + K < end; t++) {
            bool ok = true;
            for (int64_t r = t - 11; r <= t + K; r++) ok = ok && s->valid[r] && s->slot[r] == s->slot[t] + r - t;
            const int day = (int)((s->time[t + K] - s->time[0] + BORN * (86400 / D)) / 86400);
            if (pass == 0 && ok) later[day] = 1;
            if (pass == 0) continue;
            for (int h = 1; h <= K && ok; h++)
                for (int d = -1; d <= 1; d++) ok = ok && traffic_row_at(s, t, h - D + d) >= 0;
            for (int h = 1; h <= K && ok; h++) ok = traffic_row_at(s, t, h - 7 * D) >= 0;
            if (!ok) continue;
            int age = -1;
            for (int d = day; d < 40; d++) age += later[d];
            const double weight = pow(0.5, age / half_life);
            double z[18] = {[16] = 1, [17] = (double)s->x[(t + H) * F + FLOW]};
            for (int l = 0; l < 12; l++) z[l] = (double)s->x[(t - l) * F + FLOW];
            for (int d = 0; d < 3; d++) z[12 + d] = (double)s->x[traffic_row_at(s, t, H - D - 1 + d) * F + FLOW];
            z[15] = (double)s->x[traffic_row_at(s, t, H - 7 * D) * F + FLOW];
            for (int i = 0; i < 17; i++)
                for (int j = 0; j < 18; j++) G[i][j] += weight * z[i] * z[j];
            total += weight;
        }
    for (int64_t t = 0; t < end; t++) if (s->valid[t]) unit = fmax(unit, (double)s->x[t * F + FLOW]);
    for (int i = 0; i < 17; i++)
        for (int j = 0; j < 18; j++) G[i][j] /= (i == 16 ? 1 : unit) * (j == 16 ? 1 : unit);
    for (int i = 0; i < 16; i++) G[i][i] += lambda;
    for (int c = 0; c < 17; c++)   // positive definite: no pivoting needed
        for (int i = 0; i < 17; i++) {
            const double q = i == c ? 0 : G[i][c] / G[c][c];
            for (int j = c; j < 18; j++) G[i][j] -= q * G[c][j];
        }
    const RidgeModel got = ridge_online_at(&m, t_last);
    const float *w = got.coef + ((int64_t)(H - 1) * F + FLOW) * RIDGE_INPUTS;
    const bool full = total >= 340;   // else the fit is not that of all inputs
    TEST(log, full && total < 700, "weights of %g windows", total);
    for (int i = 0; i < 17; i++) {
        const double want = G[i][17] / G[i][i] * (i == 16 ? unit : 1), bound = 1e-6 * (i == 16 ? unit : 1);
        TEST(log, fabs((double)w[i] - want) <= bound, "half-life %g, coefficient %d: %g, want %g", half_life, i,
             (double)w[i], want);
    }
}

// Windows are counted by their weights: with a short half-life, too few of those with last week's inputs are left.
static void forgotten_do_not_count(TestLog *log, Arena *a, const TrafficSeries *s)
{
    const int64_t one = model_size() / RIDGE_FITS;
    for (int i = 0; i < 2; i++) {
        const RidgeOnline m = online_of(a, s, i ? 2.5 : 8);
        const float *w = ridge_online_at(&m, s->T - 1).coef;
        const bool same = memcmp(w, w + one, (size_t)one * sizeof *w) == 0;
        TEST(log, same == (i == 1), "half-life %g: the fit with last week %s that without", i ? 2.5 : 8.0,
             same ? "is" : "is not");
    }
}

static void parts_and_threads(TestLog *log, Arena *a, const TrafficSeries *s)
{
    const RidgeOnline m = online_of(a, s, 3);
    const size_t bytes = (size_t)(m.n * model_size()) * sizeof *m.coef;
    const int before = omp_get_max_threads();
    for (int threads = 1; threads <= 7; threads += 3) {
        omp_set_num_threads(threads);
        const RidgeOnline again = online_of(a, s, 3);
        TEST(log, again.n == m.n && memcmp(again.coef, m.coef, bytes) == 0, "%d threads give other bits", threads);
    }
    omp_set_num_threads(before);
    RidgeOnline part;
    RidgeModel first;
    const TrafficRange wanted = {10 * D + 3, 11 * D};
    const Status st = ridge_fit(&first, a, s, (TrafficRange){0, 3 * D}, K, lambda);
    TEST(log, !st.code, "%s", st.msg);
    ridge_online_fit(&part, a, s, wanted, &first, K, 3, lambda);
    bool same = true;
    for (int64_t t = wanted.begin; t < wanted.end; t++)
        same = same && memcmp(ridge_online_at(&part, t).coef, ridge_online_at(&m, t).coef,
                              (size_t)model_size() * sizeof(float)) == 0;
    TEST(log, part.model_of[0] == -1 && part.model_of[s->T - 1] == -1, "rows that are not wanted have a model");
    TEST(log, same && part.n == 3, "%lld models for the rows of two days", (long long)part.n);
    ridge_online_fit(&part, a, s, (TrafficRange){0, 9 * D}, &first, K, 3, lambda);
    TEST(log, part.model_of[0] == 0 &&
         memcmp(ridge_online_at(&part, 0).coef, first.coef, (size_t)model_size() * sizeof(float)) == 0,
         "days before the first fit do not use the model that was given");
    TEST(log, part.model_of[8 * D] > 0, "the model that was given is used although there is a fit");
}

// Rows after t do not matter, nor do the rows of t's own day for its coefficients; those of the day before do.
static void blind(TestLog *log, Arena *a, const TrafficSeries *s)
{
    const RidgeOnline m = online_of(a, s, 3);
    const int64_t midnight = day_begin(s, 9 * D);
    const int64_t at[] = {midnight - 1, midnight, midnight + 50, s->T - 1, 11 * D + 60};
    for (int i = 0; i < 5; i++) {
        const size_t mark = arena_mark(a);
        const int64_t t = at[i], begin = day_begin(s, t);
        float want[K * F], got[K * F];
        const RidgeModel r = ridge_online_at(&m, t);
        ridge_predict(&r, s, t, want);
        TrafficSeries c = with_values(a, s);
        for (int64_t j = (t + 1) * F; j < c.T * F; j++) c.x[j] = 1e6f + (float)(j % 97);
        const RidgeOnline later = online_of(a, &c, 3);
        const RidgeModel q = ridge_online_at(&later, t);
        ridge_predict(&q, &c, t, got);
        TEST(log, memcmp(want, got, sizeof want) == 0, "the forecast after row %lld looks ahead", (long long)t);
        for (int64_t j = begin * F; j <= t * F; j++) c.x[j] += 1e5f;
        const RidgeOnline today = online_of(a, &c, 3);
        TEST(log, memcmp(ridge_online_at(&today, t).coef, r.coef, (size_t)model_size() * 4) == 0,
             "the fit for row %lld uses its own day", (long long)t);
        c.x[(begin - 1) * F + 2] *= 1.5f;
        const RidgeOnline yesterday = online_of(a, &c, 3);
        TEST(log, memcmp(ridge_online_at(&yesterday, t).coef, r.coef, (size_t)model_size() * 4) != 0,
             "the fit for row %lld ignores the last row of the day before", (long long)t);
        arena_rewind(a, mark);
    }
}

static void days_of_the_calendar(TestLog *log, Arena *a, const TrafficSeries *s)
{
    bool right = true;
    for (int64_t t = 0; t < s->T; t++) right = right && traffic_day(s, t) == s->time[t] / 86400 - s->time[0] / 86400;
    TEST(log, right, "traffic_day differs from the clock");
    TrafficSeries shifted = *s;
    shifted.calendar_shift_s = (D - BORN) * (86400 / D);   // midnight at the first row
    TEST(log, traffic_day(&shifted, D - 1) == 0 && traffic_day(&shifted, D) == 1, "a shifted calendar is not followed");
    TrafficSeries bare;
    const Status st = traffic_series_init(&bare, a, "bare", N, 3 * D, s->x, NULL,
                                          &(TrafficReadOptions){.slot_seconds = 86400 / D});
    TEST(log, !st.code && traffic_day(&bare, D - 1) == 0 && traffic_day(&bare, 2 * D) == 2, "days without times: %s",
         st.msg);
}

// ---- protocol rolling ----------------------------------------------------------------------------------------------

static int compare(const void *p, const void *q)
{
    const float x = *(const float *)p, y = *(const float *)q;
    return (x > y) - (x < y);
}

// Squared error, CRPS and 90 % coverage of one day's windows, at step h of one flow, from the definition.
typedef struct Scores { double mse, crps, cover; } Scores;

static Scores by_hand(Arena *a, const TrafficSeries *s, const EvalTask *task, int h, double half_life)
{
    Scores sum = {0};
    RidgeOnline m;
    ridge_online_fit(&m, a, s, (TrafficRange){0, s->T}, NULL, K, half_life, RIDGE_LAMBDA);
    int64_t *starts, n = traffic_windows(s, a, (TrafficRange){0, s->T}, task->history, K, 1, &starts);
    float *r = arena_alloc(a, (size_t)n * sizeof *r), out[K * F];
    for (int64_t i = 0; i < task->n_windows; i++) {
        const int64_t t = task->starts[i] + task->history - 1, begin = day_begin(s, t);
        for (int f = 0; f < F; f++) {
            int64_t past = 0;
            for (int64_t j = 0; j < n && starts[j] + task->history + K <= begin; j++) {
                const int64_t then = starts[j] + task->history - 1;
                if (m.model_of[then] < 0) continue;
                const RidgeModel q = ridge_online_at(&m, then);
                ridge_predict(&q, s, then, out);
                r[past++] = s->x[(then + h) * F + f] - out[(h - 1) * F + f];
            }
            float *newest = past > 4096 ? r + past - 4096 : r;
            if (past > 4096) past = 4096;
            qsort(newest, (size_t)past, sizeof *newest, compare);
            const RidgeModel q = ridge_online_at(&m, t);
            ridge_predict(&q, s, t, out);
            const double point = (double)out[(h - 1) * F + f], y = (double)s->x[(t + h) * F + f];
            double z[99], pinball = 0;
            for (int l = 0; l < 99; l++) {
                const double level = (l + 1) / 100.0;
                z[l] = fmax(0, point + metric_quantile(newest, (int)past, level, 6));
                pinball += 2 * (y - z[l]) * (level - (y < z[l])) / 99;
            }
            sum.mse += (y - point) * (y - point) / (double)(task->n_windows * F);
            sum.crps += pinball / (double)(task->n_windows * F);
            sum.cover += (y >= z[4] && y <= z[94]) / (double)(task->n_windows * F);
        }
    }
    return sum;
}

static void equals_hand(TestLog *log, Arena *a, const TrafficSeries *s, const EvalTask *task, const EvalTable *table,
                        int h)
{
    const Scores hand = by_hand(a, s, task, h, 4);
    const EvalRow *row = eval_table_find(table, "ridge-daily", "kbps", h);
    TEST(log, row && task->n_windows > 4 && fabs(row->r.mse / hand.mse - 1) < 1e-6 &&
         fabs(row->r.crps / hand.crps - 1) < 1e-3 && fabs(row->r.cover90 - hand.cover) < 1e-9,
         "step %d: mse %g crps %g cover %g, by hand %g %g %g", h, row->r.mse, row->r.crps, row->r.cover90, hand.mse,
         hand.crps, hand.cover);
}

// The table of protocol rolling over every stride-th test window; residuals of at most `most` windows.
static EvalTable rolling_table(TestLog *log, Arena *a, EvalPlan *plan, const TrafficSeries *s, int64_t stride, int most)
{
    Status st = eval_plan(plan, a, s, &(EvalPlanOptions){.protocol = PROTOCOL_ROLLING, .K = K, .stride = stride});
    TEST(log, !st.code, "%s", st.msg);
    EvalTable table = eval_table_new(a, &plan->task, 2);
    st = evaluate_rolling(&table, a, &plan->task, plan->split.train, most);
    TEST(log, !st.code, "%s", st.msg);
    return table;
}

// More windows than residuals are taken of: the newest count.
static void newest_residuals(TestLog *log, Arena *a)
{
    const TrafficSeries s = synth_series(log, a, N, 70, 86400 / D);
    EvalPlan plan;
    const EvalTable table = rolling_table(log, a, &plan, &s, 150, 4);
    equals_hand(log, a, &s, &plan.task, &table, 2);
}

static void rolling_rows(TestLog *log, Arena *a, const TrafficSeries *s)
{
    EvalPlan plan;
    Status st = eval_plan(&plan, a, s, &(EvalPlanOptions){.protocol = PROTOCOL_ROLLING, .validation = true, .K = K,
                                                          .stride = 40});
    TEST(log, !st.code && plan.split.val.begin == s->T * 7 / 10 && plan.split.test.begin == s->T * 85 / 100 &&
         plan.task.history == 16, "plan: %s", st.msg);
    EvalTable table = eval_table_new(a, &plan.task, 2);
    st = evaluate_rolling(&table, a, &plan.task, plan.split.train, 4);
    TEST(log, !st.code && table.n == 2 * EVAL_SPACES * (K + 1), "%s", st.msg);
    const EvalRow *frozen = eval_table_find(&table, "ridge", "kbps", 1);
    EvalTable clean = eval_table_new(a, &plan.task, NAIVE_KINDS);
    st = evaluate_naive(&clean, a, &plan.task, plan.split.train, plan.split.val);
    const EvalRow *want = eval_table_find(&clean, "ridge", "kbps", 1);
    TEST(log, !st.code && frozen && want && frozen->r.mse == want->r.mse && frozen->r.crps == want->r.crps,
         "the frozen ridge is not that of protocol clean");
    for (int h = 1; h <= K; h += K - 1) equals_hand(log, a, s, &plan.task, &table, h);
    st = evaluate_rolling(&table, a, &plan.task, (TrafficRange){0, 20}, 4);
    TEST(log, st.code && strstr(st.msg, "ridge"), "20 training rows: %s", st.msg);
    EvalPlan early = plan;
    early.task.scale = &early.scale;
    early.task.starts = (int64_t[]){200};
    early.task.n_windows = 1;
    table = eval_table_new(a, &early.task, 2);
    st = evaluate_rolling(&table, a, &early.task, plan.split.train, 4);
    TEST(log, st.code && strstr(st.msg, "ridge-daily"), "a window before the first fit: %s", st.msg);
}

// Traffic whose law changes in the validation rows: refitting must follow, the frozen fit cannot.
static void follows_a_change(TestLog *log, Arena *a, const TrafficSeries *s)
{
    TrafficSeries c = with_values(a, s);
    const int64_t turn = c.T * 7 / 10 + D / 2;
    for (int64_t t = turn; t < c.T; t++)
        for (int f = 0; f < F; f++) c.x[t * F + f] = 1.5f * c.x[t * F + f] + 0.7f * c.x[(t - 7) * F + f];
    EvalPlan plan;
    const EvalTable table = rolling_table(log, a, &plan, &c, 5, 3);
    const EvalRow *frozen = eval_table_find(&table, "ridge", "scaled", 1),
                  *daily = eval_table_find(&table, "ridge-daily", "scaled", 1);
    TEST(log, frozen && daily && daily->r.rmse < 0.97 * frozen->r.rmse && daily->r.crps < frozen->r.crps,
         "after a change: frozen %g, refitted %g", frozen->r.rmse, daily->r.rmse);
}

// ---- base ridge-online ---------------------------------------------------------------------------------------------

static LeadConfig online_config(const char *llm)
{
    LeadConfig c = tiny_lead(llm);
    c.base = BASE_RIDGE_ONLINE, c.history = 12, c.horizon = 3, c.ridge_half_life = 3;
    return c;
}

// With flow_context, since its planes hold past errors of the base too.
static void base_of_a_batch(TestLog *log, World *w, const TrafficSeries *s)
{
    LeadConfig cfg = online_config("");
    cfg.flow_context = true;
    LeadConfig frozen = cfg;
    frozen.base = BASE_RIDGE;
    const LeadStats st = fitted(log, w->perm, s, &cfg), st_frozen = fitted(log, w->perm, s, &frozen);
    TEST(log, memcmp(st.ridge.coef, st_frozen.ridge.coef, sizeof(float) * 3 * F * RIDGE_INPUTS) == 0 &&
         memcmp(st.sigma, st_frozen.sigma, sizeof(float) * 3 * F) != 0, "statistics do not see the daily fits");
    RidgeOnline m;
    lead_ridge_online(&m, w->perm, s, (TrafficRange){0, s->T}, &st, &cfg);
    const int64_t at[] = {20, D, 4 * D + 58, 4 * D + 59, 8 * D, 11 * D, 16 * D, s->T - 1};
    enum { B = sizeof at / sizeof *at };
    tape_reset(&w->t);
    LeadData data = data_of(log, &w->t, w->step, &st, &cfg, s);
    const LeadBatch b = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, at, B), NULL, false);
    float want[B][3 * F];
    int before = 0;
    for (int i = 0; i < B; i++) {
        const RidgeModel r = ridge_online_at(&m, at[i]);
        before += r.coef == m.coef;
        ridge_predict(&r, s, at[i], want[i]);
        for (int k = 0; k < 3; k++) scale_forward(&st.scale, want[i] + k * F, want[i] + k * F);
    }
    TEST(log, before >= 2 && before <= 4, "%d of %d windows lie before the first fit", before, B);
    TEST(log, memcmp(b.base->x, want, sizeof want) == 0, "the base of a batch is not that of the daily fits");
    const size_t planes = tensor_bytes(b.context) / B;
    const char *context = memcpy(arena_alloc(w->perm, planes * B), b.context->x, planes * B);
    for (int i = 0; i < B; i++) {   // with the statistics fixed, rows after the window leave its base alone
        TrafficSeries c = with_values(w->perm, s);
        for (int64_t j = (at[i] + 1) * F; j < c.T * F; j++) c.x[j] = 3e5f + (float)(j % 89);
        tape_reset(&w->t);
        data = data_of(log, &w->t, w->step, &st, &cfg, &c);
        const LeadBatch q = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, at + i, 1), NULL, false);
        TEST(log, memcmp(q.base->x, want[i], sizeof want[i]) == 0 &&
             memcmp(q.context->x, context + (size_t)i * planes, planes) == 0, "the base after row %lld looks ahead",
             (long long)at[i]);
    }
}

// sigma from its definition: the mean |s(X) - s(base)| over the training windows, base of each window's own day.
static void residual_statistics(TestLog *log, World *w, const TrafficSeries *s)
{
    const LeadConfig cfg = online_config("");
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    RidgeOnline m;
    lead_ridge_online(&m, w->perm, s, (TrafficRange){0, s->T}, &st, &cfg);
    int64_t *starts, n = traffic_windows(s, w->perm, traffic_splits(s->T, PROTOCOL_CLEAN).train, 12, 3, 1, &starts);
    double sum[3 * F] = {0}, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        float base[3 * F], u[F], y[F];
        const RidgeModel r = ridge_online_at(&m, starts[i] + 11);
        ridge_predict(&r, s, starts[i] + 11, base);
        for (int k = 0; k < 3; k++) {
            scale_forward(&st.scale, base + k * F, u);
            scale_forward(&st.scale, s->x + (starts[i] + 12 + k) * F, y);
            for (int f = 0; f < F; f++) sum[k * F + f] += fabs((double)y[f] - (double)u[f]) / (double)n;
        }
    }
    for (int j = 0; j < 3 * F; j++) worst = check_fold(worst, fabs((double)st.sigma[j] / sum[j] - 1));
    TEST(log, worst < 1e-5, "sigma is %g from the mean residual of the daily fits", worst);
}

static void refused_configurations(TestLog *log)
{
    LeadConfig c = online_config("");
    TEST(log, !config_check(&c).code, "%s", config_check(&c).msg);
    c.history = 11;
    TEST(log, strstr(config_check(&c).msg, "history"), "history 11: %s", config_check(&c).msg);
    c.history = 12, c.horizons = HORIZON_ROLLOUT;
    TEST(log, strstr(config_check(&c).msg, "got ridge-online"), "rollout: %s", config_check(&c).msg);
    TEST(log, config_set(&c, "ridge_half_life", "-1").code && !config_set(&c, "ridge_half_life", "30").code,
         "range of ridge_half_life");
}

// The program: train, forecast, score; resuming recomputes the fits and ends with the same bits.
static void program(TestLog *log, Arena *a, const TrafficSeries *s, const char *llm)
{
    const char *data = arena_printf(a, "%s/rolling.npy", log->tmp), *run = arena_printf(a, "%s/rolling-run", log->tmp);
    const Status st = traffic_series_write(s, data, arena_printf(a, "%s/times.npy", log->tmp));
    TEST(log, !st.code, "%s", st.msg);
    const char *common = arena_printf(a, "--keep-all --data %s --threads 1", data);
    const Ran train = lead_run(log, a, "train --config tiny --base ridge-online --history 12 --horizon 3 --steps 3 "
                               "--llm %s --out %s %s", llm, run, common);
    TEST(log, train.code == 0 && strstr(train.err, "before the first daily fit"), "train: exit %d, %s", train.code,
         train.err);
    const Ran clean = lead_run(log, a, "eval --model %s %s", run, common);
    TEST(log, clean.code == 2 && strstr(clean.err, "want rolling"), "eval under clean: exit %d, %s", clean.code,
         clean.err);
    const Ran roll = lead_run(log, a, "eval --protocol rolling --split val --stride 50 --samples 4 --sample-steps 1 "
                              "--model %s %s", run, common);
    TEST(log, roll.code == 0 && strstr(roll.out, "\nlead\t3\t") && strstr(roll.out, "\nridge\t3\t") &&
         strstr(roll.out, "\nridge-daily\t3\t") && strstr(roll.out, "half-life 35 days") &&
         !strstr(roll.out, "persistence"), "eval: exit %d, %s%s", roll.code, roll.err, roll.out);
    const Ran forecast = lead_run(log, a, "forecast --samples 4 --sample-steps 1 --model %s %s", run, common);
    TEST(log, forecast.code == 0 && strstr(forecast.out, "\n3,"), "forecast: exit %d, %s", forecast.code, forecast.err);
    const Ran half = lead_run(log, a, "eval --naive-only --half-life 3 %s", common);
    TEST(log, half.code == 2 && strstr(half.err, "--protocol rolling"), "--half-life under clean: %s", half.err);
    const Ran demo = lead_run(log, a, "demo --base ridge-online --out %s/demo", log->tmp);
    TEST(log, demo.code == 2 && strstr(demo.err, "ridge-online"), "demo: exit %d, %s", demo.code, demo.err);
}

void test_rolling(TestLog *log)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), true);
    w->t.record = false;
    const TrafficSeries s = gappy_series(log, w->perm);
    days_of_the_calendar(log, w->perm, &s);
    equals_ridge_fit(log, w->perm, &s);
    equals_weighted_sum(log, w->perm, &s);
    forgotten_do_not_count(log, w->perm, &s);
    parts_and_threads(log, w->perm, &s);
    blind(log, w->perm, &s);
    rolling_rows(log, w->perm, &s);
    if (!log->quick) newest_residuals(log, w->perm);
    follows_a_change(log, w->perm, &s);
    base_of_a_batch(log, w, &s);
    residual_statistics(log, w, &s);
    refused_configurations(log);
    program(log, w->perm, &s, tiny_llm(log, w->perm));
    world_delete(w);
}
