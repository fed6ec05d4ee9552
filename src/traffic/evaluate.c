#include "traffic/evaluate.h"

#include <math.h>
#include <string.h>

#include "tensor/sort.h"
#include "traffic/paths.h"

enum { KBPS, SCALED, ORIGINS = PATHS_ORIGINS, DESTINATIONS = PATHS_DESTINATIONS, TOTAL = PATHS_TOTAL,
       SPACES = EVAL_SPACES };
static const char *const space_names[SPACES] = {"kbps", "scaled", "origins", "destinations", "total"};

// ---- table ---------------------------------------------------------------------------------------------------------

// The calendar day on which the forecast after row t begins.
static int64_t day_of(const TrafficSeries *s, int64_t t)
{
    const int64_t sec = traffic_clock(s, t + 1);
    return sec / 86400 - (sec % 86400 < 0);
}

static void number_days(EvalTable *table, Arena *a, const EvalTask *task)
{
    int64_t before = 0;
    table->day = arena_alloc(a, (size_t)task->n_windows * sizeof *table->day);
    for (int64_t i = 0; i < task->n_windows; i++) {
        const int64_t day = day_of(task->series, task->starts[i] + task->history - 1);
        if (i == 0 || day != before) table->days++;   // windows are in the order of time
        table->day[i] = table->days - 1;
        before = day;
    }
}

// How often a flow was measured in some rows, and above 0.
typedef struct FlowCount { int64_t measured, above; } FlowCount;

// Adds the valid rows begin .. end-1 to count [F]; returns their number.
static int64_t count_traffic(FlowCount *count, const TrafficSeries *s, int64_t begin, int64_t end)
{
    const int F = s->N * s->N;
    int64_t rows = 0;
    for (int64_t t = begin; t < end; t++) {
        if (!s->valid[t]) continue;
        for (int f = 0; f < F; f++) {
            if (!traffic_seen(s, t, f)) continue;
            count[f].measured++;
            count[f].above += s->x[t * F + f] > 0;
        }
        rows++;
    }
    return rows;
}

static void find_live(EvalTable *table, Arena *a, const EvalTask *task)
{
    const int F = table->F;
    table->live = arena_zalloc(a, (size_t)F);
    const size_t mark = arena_mark(a);
    FlowCount *scored = arena_zalloc(a, 2 * (size_t)F * sizeof *scored), *fitted = scored + F;
    for (int64_t i = 0, done = 0; i < task->n_windows; i++) {   // the rows of overlapping windows once
        const int64_t begin = task->starts[i] + task->history, end = begin + task->K;
        const TrafficRange fresh = {begin > done ? begin : done, end};
        table->target_values += count_traffic(scored, task->series, fresh.begin, end) * F;
        table->missing += traffic_missing_count(task->series, fresh);
        done = end;
    }
    const bool known = count_traffic(fitted, task->series, task->fitted.begin, task->fitted.end) > 0;
    for (int f = 0; f < F; f++) {
        if (!scored[f].above) table->silent_scored++;
        else if (known && !fitted[f].above) table->silent_fitted++;
        else if (2 * scored[f].above < scored[f].measured) table->seldom++;
        else table->live[f] = 1;
        table->n_live += table->live[f];
    }
    arena_rewind(a, mark);
}

EvalTable eval_table_new(Arena *a, const EvalTask *task, int models)
{
    const int K = task->K, F = task->scale->F;
    EvalTable t = {.room = (int64_t)models * SPACES * (K + 1), .most_models = models, .K = K, .F = F,
                   .windows = task->n_windows, .best = -1};
    number_days(&t, a, task);
    find_live(&t, a, task);
    t.row = arena_alloc(a, (size_t)t.room * sizeof *t.row);
    t.model = arena_zalloc(a, (size_t)models * sizeof *t.model);
    for (int i = 0; i < models; i++) {
        t.model[i].flow = arena_alloc(a, (size_t)K * (size_t)F * sizeof *t.model[i].flow);
        t.model[i].day = arena_alloc(a, (size_t)K * (size_t)t.days * sizeof *t.model[i].day);
    }
    return t;
}

static void print_values(const double *v, int n, FILE *out)
{
    for (int i = 0; i < n; i++) {
        if (isnan(v[i])) fprintf(out, "\tnan");
        else fprintf(out, "\t%.6g", v[i]);
    }
}

void eval_beside_print_head(FILE *out)
{
    static const char *const names[] = {"rmse_clipped", "ratio_ridge", "improved", "cover50_live", "cover90_live",
                                        "rmse_gain", "rmse_gain_low", "rmse_gain_high", "crps_gain", "crps_gain_low",
                                        "crps_gain_high"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) fprintf(out, "\t%s", names[i]);
}

void eval_beside_print(const MetricBeside *b, FILE *out)
{
    print_values((const double[]){b->rmse_clipped, b->ratio, b->improved, b->cover50_live, b->cover90_live,
                                  b->rmse.value, b->rmse.low, b->rmse.high, b->crps.value, b->crps.low, b->crps.high},
                 11, out);
}

void eval_table_print(const EvalTable *table, int origin, bool head, FILE *out)
{
    if (head) {
        fprintf(out, "model\tspace\thorizon\twindows\tmse\trmse\tmae\tmae_median\tmape\tnrmse\tr2\tcrps\t"
                     "crps_ensemble\tcrps_quantile\tcover50\tcover90\tenergy");
        eval_beside_print_head(out);
        fputs(origin ? "\torigin\n" : "\n", out);
    }
    for (int64_t i = 0; i < table->n; i++) {
        const EvalRow *e = &table->row[i];
        const MetricResult *r = &e->r;
        if (e->horizon) fprintf(out, "%s\t%s\t%d\t%lld", e->model, e->space, e->horizon, (long long)r->windows);
        else fprintf(out, "%s\t%s\tall\t%lld", e->model, e->space, (long long)r->windows);
        print_values((const double[]){r->mse, r->rmse, r->mae, r->mae_median, r->mape, r->nrmse, r->r2, r->crps,
                                      r->crps_ensemble, r->crps_quantile, r->cover50, r->cover90, r->energy}, 13, out);
        eval_beside_print(&e->beside, out);
        if (origin) fprintf(out, "\t%d", origin);
        fputc('\n', out);
    }
}

const EvalRow *eval_table_find(const EvalTable *table, const char *model, const char *space, int horizon)
{
    for (int64_t i = 0; i < table->n; i++) {
        const EvalRow *e = &table->row[i];
        if (e->horizon == horizon && !strcmp(e->model, model) && !strcmp(e->space, space)) return e;
    }
    return NULL;
}

const EvalModel *eval_table_model(const EvalTable *table, const char *model)
{
    for (int i = 0; i < table->models; i++)
        if (!strcmp(table->model[i].name, model)) return &table->model[i];
    return NULL;
}

// ---- comparing -----------------------------------------------------------------------------------------------------

// The row of model i in space scaled; evaluate adds them in this order.
static EvalRow *scaled_row(const EvalTable *t, int i, int h)
{
    return &t->row[((int64_t)i * SPACES + SCALED) * (t->K + 1) + (h ? h - 1 : t->K)];
}

static int best_naive(const EvalTable *t)
{
    int best = -1;
    double least = INFINITY;
    for (int i = 0; i < t->models; i++) {
        const double crps = scaled_row(t, i, 0)->r.crps;
        if (!t->model[i].naive || !(crps < least)) continue;
        least = crps;
        best = i;
    }
    return best;
}

// The sums of horizon h of a model, or of all when h is 0 -> flow [F], day [days].
static void flows_of(const EvalTable *t, const EvalModel *m, int h, MetricFlow *flow)
{
    memset(flow, 0, (size_t)t->F * sizeof *flow);
    for (int k = h ? h - 1 : 0; k < (h ? h : t->K); k++)
        for (int f = 0; f < t->F; f++) metric_flow_merge(&flow[f], &m->flow[(int64_t)k * t->F + f]);
}

static void days_of(const EvalTable *t, const EvalModel *m, int h, MetricDay *day)
{
    memset(day, 0, (size_t)t->days * sizeof *day);
    for (int k = h ? h - 1 : 0; k < (h ? h : t->K); k++)
        for (int d = 0; d < t->days; d++) {
            day[d].se += m->day[(int64_t)k * t->days + d].se;
            day[d].crps += m->day[(int64_t)k * t->days + d].crps;
        }
}

void eval_compare(EvalTable *t, Arena *a)
{
    const size_t mark = arena_mark(a), flows = (size_t)t->F, days = (size_t)t->days;
    MetricFlow *flow = arena_alloc(a, 2 * flows * sizeof *flow), *ridge_flow = flow + flows;
    MetricDay *day = arena_alloc(a, 2 * days * sizeof *day), *best_day = day + days;
    uint16_t *draws = arena_alloc(a, METRIC_RESAMPLES * days * sizeof *draws);
    metric_draw_days(draws, t->days);
    const EvalModel *ridge = eval_table_model(t, naive_names[NAIVE_RIDGE]);
    t->best = best_naive(t);
    const EvalModel *best = t->best < 0 ? NULL : &t->model[t->best];
    for (int h = 0; h <= t->K; h++) {
        if (ridge) flows_of(t, ridge, h, ridge_flow);
        if (best) days_of(t, best, h, best_day);
        for (int i = 0; i < t->models; i++) {
            const EvalModel *m = &t->model[i];
            MetricBeside *b = &scaled_row(t, i, h)->beside;
            flows_of(t, m, h, flow);
            days_of(t, m, h, day);
            *b = metric_beside(flow, ridge ? ridge_flow : NULL, t->live, t->F, m->distribution);
            if (best) metric_gains(b, day, best_day, draws, t->days, m->distribution);
        }
    }
    arena_rewind(a, mark);
}

// ---- scoring -------------------------------------------------------------------------------------------------------

// scaled = unit * kbps for the linear kinds; 0 for the others.
static double linear_unit(const TrafficScale *k, int flow)
{
    if (k->kind == SCALE_MAX) return 1 / (double)k->max_kbps;
    return k->kind == SCALE_FLOWMAX ? 1 / (double)k->flowmax_kbps[flow] : 0;
}

typedef struct WindowView {
    int64_t row;                     // of the truth
    const float *y, *point, *dist;   // [F], [F], first sample of this horizon; samples are `stride` apart
    int64_t stride;
    float *z, *z_scaled;             // [S] work space
} WindowView;

static bool drawn(DistKind kind) { return kind == DIST_SAMPLES || kind == DIST_PAIRS; }

static void score_flow(MetricSums sums[SPACES], MetricFlow *flow, const EvalTask *task, const Forecaster *fc,
                       const WindowView *v, int f)
{
    const TrafficScale *k = task->scale;
    double unit = linear_unit(k, f), within_scaled = 0;
    memset(flow, 0, sizeof *flow);
    if (!traffic_seen(task->series, v->row, f)) return;
    for (int i = 0; i < fc->S; i++) v->z[i] = v->dist[i * v->stride + f];
    if (!(unit > 0)) {
        for (int i = 0; i < fc->S; i++) v->z_scaled[i] = scale_forward_flow(k, f, v->z[i]);
        within_scaled = metric_within_pairs(v->z_scaled, fc->S);
    }
    const double within = metric_within_pairs(v->z, fc->S);
    if (drawn(fc->kind)) sort_f32(v->z, fc->S);
    MetricTerms terms = metric_terms(v->y[f], v->point[f], v->z, fc->S, fc->kind, within);
    metric_sums_add(&sums[KBPS], &terms, 1, task->mape_above_kbps, fc->kind);
    if (!(unit > 0)) {
        for (int i = 0; i < fc->S; i++) v->z_scaled[i] = scale_forward_flow(k, f, v->z[i]);   // ascending now
        terms = metric_terms(scale_forward_flow(k, f, v->y[f]), scale_forward_flow(k, f, v->point[f]), v->z_scaled,
                             fc->S, fc->kind, within_scaled);
        unit = 1;
    }
    metric_sums_add(&sums[SCALED], &terms, unit, task->mape_above_scaled, fc->kind);
    metric_flow_add(flow, &terms, unit);
}

// Whether all values that a sum adds up were measured.
static bool sum_seen(const TrafficSeries *s, int64_t row, int space, int n)
{
    const int N = s->N, first = space == DESTINATIONS ? n : space == ORIGINS ? n * N : 0;
    const int step = space == DESTINATIONS ? N : 1, count = space == TOTAL ? N * N : N;
    for (int i = 0; i < count; i++)
        if (!traffic_seen(s, row, first + i * step)) return false;
    return true;
}

static void score_sums(MetricSums sums[SPACES], const EvalTask *task, const Forecaster *fc, const WindowView *v)
{
    const int N = task->series->N, S = drawn(fc->kind) ? fc->S : 0;
    const DistKind kind = S ? fc->kind : DIST_NONE;
    for (int space = ORIGINS; space <= TOTAL; space++)
        for (int n = 0; n < (space == TOTAL ? 1 : N); n++) {
            if (!sum_seen(task->series, v->row, space, n)) continue;
            for (int i = 0; i < S; i++) v->z[i] = paths_sum(v->dist + i * v->stride, N, (PathsGroup)space, n);
            const double within = metric_within_pairs(v->z, S);
            sort_f32(v->z, S);
            const float y = paths_sum(v->y, N, (PathsGroup)space, n);
            const float point = paths_sum(v->point, N, (PathsGroup)space, n);
            const MetricTerms terms = metric_terms(y, point, v->z, S, kind, within);
            metric_sums_add(&sums[space], &terms, 1, task->mape_above_kbps, kind);
        }
}

// Puts the measured ones of the F values x side by side -> out.
static int64_t take_seen(const EvalTask *task, int64_t row, const float *x, float *out)
{
    int64_t n = 0;
    for (int f = 0; f < task->scale->F; f++)
        if (traffic_seen(task->series, row, f)) out[n++] = x[f];
    return n;
}

// Energy score of one horizon, of matrices without what was not measured.  work [S+1][F].
static void score_energy(MetricSums sums[SPACES], const EvalTask *task, const Forecaster *fc, const WindowView *v,
                         float *work)
{
    const int F = task->scale->F;
    const bool pairs = fc->kind == DIST_PAIRS;
    float *truth = work + (int64_t)fc->S * F;
    int64_t n = 0;
    for (int i = 0; i < fc->S; i++) take_seen(task, v->row, v->dist + i * v->stride, work + (int64_t)i * F);
    n = take_seen(task, v->row, v->y, truth);
    if (!n) return;
    sums[KBPS].energy += metric_energy(truth, work, fc->S, F, (int)n, pairs);
    for (int i = 0; i <= fc->S; i++) {
        float *to = work + (int64_t)i * F;
        scale_forward(task->scale, i < fc->S ? v->dist + i * v->stride : v->y, to);
        take_seen(task, v->row, to, to);
    }
    sums[SCALED].energy += metric_energy(truth, work, fc->S, F, (int)n, pairs);
    sums[KBPS].energy_windows++;
    sums[SCALED].energy_windows++;
}

// Sums of one window, [K][SPACES] and [K][F]; work: 2 S + (S+1) F floats.
static void score_window(MetricSums (*sums)[SPACES], MetricFlow *flow, const EvalTask *task, const Forecaster *fc,
                         int64_t last, const float *point, const float *dist, float *work)
{
    const int F = task->scale->F;
    memset(sums, 0, (size_t)task->K * sizeof *sums);
    for (int h = 0; h < task->K; h++) {
        WindowView v = {.row = last + 1 + h, .y = task->series->x + (last + 1 + h) * F,
                        .point = point + (int64_t)h * F, .dist = dist + (int64_t)h * F, .stride = (int64_t)task->K * F,
                        .z = work, .z_scaled = work + fc->S};
        for (int f = 0; f < F; f++) score_flow(sums[h], flow + (int64_t)h * F + f, task, fc, &v, f);
        score_sums(sums[h], task, fc, &v);
        if (drawn(fc->kind)) score_energy(sums[h], task, fc, &v, work + 2 * fc->S);
        for (int p = 0; p < SPACES; p++) sums[h][p].windows = 1;
    }
}

static void add_rows(EvalTable *table, const char *model, MetricSums (*total)[SPACES], int K)
{
    const MetricGain none = {NAN, NAN, NAN};
    const MetricBeside unknown = {NAN, NAN, NAN, NAN, NAN, none, none};
    for (int p = 0; p < SPACES; p++) {
        MetricSums all = {.windows = 0};
        for (int h = 0; h < K; h++) {
            metric_sums_merge(&all, &total[h][p]);
            table->row[table->n++] = (EvalRow){model, space_names[p], h + 1, metric_sums_result(&total[h][p]), unknown};
        }
        all.windows = total[0][p].windows;
        table->row[table->n++] = (EvalRow){model, space_names[p], 0, metric_sums_result(&all), unknown};
    }
}

// What one batch of windows is scored into, for each window on its own.
typedef struct BatchSums {
    MetricSums (*sums)[SPACES];   // [B][K]
    MetricFlow *flow;             // [B][K][F]
} BatchSums;

// Adds the windows at .. at+n-1 to the totals, in their order.
static void merge_batch(MetricSums (*total)[SPACES], EvalModel *m, const EvalTable *t, const BatchSums *b, int64_t at,
                        int n)
{
    const int64_t K = t->K, KF = K * t->F;
    for (int i = 0; i < n; i++)
        for (int h = 0; h < K; h++) {
            MetricSums *window = b->sums[i * K + h];
            MetricDay *day = &m->day[(int64_t)h * t->days + t->day[at + i]];
            for (int p = 0; p < SPACES; p++) metric_sums_merge(&total[h][p], &window[p]);
            day->se += window[SCALED].se;
            day->crps += window[SCALED].crps;
        }
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < KF; k++)
        for (int i = 0; i < n; i++) metric_flow_merge(&m->flow[k], &b->flow[i * KF + k]);
}

static Status evaluate_batches(EvalTable *table, EvalModel *m, Arena *a, const EvalTask *task, const Forecaster *fc)
{
    const int64_t KF = (int64_t)task->K * task->scale->F, B = fc->batch, SKF = KF * fc->S;
    const int64_t work_size = 2 * fc->S + ((int64_t)fc->S + 1) * task->scale->F;
    int64_t *last = arena_alloc(a, (size_t)B * sizeof *last);
    float *point = arena_alloc(a, (size_t)(B * KF) * sizeof *point);
    float *dist = arena_alloc(a, (size_t)(B * SKF + 1) * sizeof *dist);
    float *work = arena_alloc(a, (size_t)(B * work_size) * sizeof *work);
    BatchSums b = {.sums = arena_alloc(a, (size_t)(B * task->K) * sizeof *b.sums),
                   .flow = arena_alloc(a, (size_t)(B * KF) * sizeof *b.flow)};
    MetricSums (*total)[SPACES] = arena_zalloc(a, (size_t)task->K * sizeof *total);
    for (int64_t at = 0; at < task->n_windows; at += B) {
        int n = (int)(task->n_windows - at < B ? task->n_windows - at : B);
        for (int i = 0; i < n; i++) last[i] = task->starts[at + i] + task->history - 1;
        TRY(fc->run(fc->ctx, task->series, &(EvalBatch){.n = n, .last = last, .point = point, .dist = dist}));
#pragma omp parallel for schedule(static)
        for (int i = 0; i < n; i++)
            score_window(b.sums + i * task->K, b.flow + i * KF, task, fc, last[i], point + i * KF, dist + i * SKF,
                         work + i * work_size);
        merge_batch(total, m, table, &b, at, n);
    }
    add_rows(table, fc->name, total, task->K);
    return OK;
}

Status evaluate(EvalTable *table, Arena *a, const EvalTask *task, const Forecaster *fc)
{
    if (!task->n_windows)
        return ERROR("evaluate: want test windows of %d + %d snapshots, got none", task->history, task->K);
    CHECK(table->models < table->most_models, "evaluate: the table has room for %d models", table->most_models);
    CHECK(table->windows == task->n_windows && table->K == task->K && table->F == task->scale->F,
          "evaluate: the table was made for another task");
    CHECK((fc->kind == DIST_NONE) == (fc->S == 0) && fc->batch >= 1, "evaluate: kind %d, S %d, batch %d", fc->kind,
          fc->S, fc->batch);
    EvalModel *m = &table->model[table->models];
    memset(m->flow, 0, (size_t)task->K * (size_t)table->F * sizeof *m->flow);
    memset(m->day, 0, (size_t)task->K * (size_t)table->days * sizeof *m->day);
    m->name = fc->name;
    m->naive = fc->naive;
    m->distribution = fc->kind != DIST_NONE;
    size_t mark = arena_mark(a);
    Status s = evaluate_batches(table, m, a, task, fc);
    arena_rewind(a, mark);
    if (!s.code) table->models++;
    return s;
}

// ---- naive forecasts -----------------------------------------------------------------------------------------------

static Status naive_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    NaiveModel *m = ctx;
    const int64_t KF = (int64_t)m->K * m->F;
#pragma omp parallel for schedule(static) if (!naive_has_state(m->kind))
    for (int i = 0; i < b->n; i++) {
        naive_predict(m, s, b->last[i], b->point + i * KF);
        naive_spread(m, s, b->last[i], b->point + i * KF, b->dist + i * KF * NAIVE_LEVELS);
    }
    return OK;
}

Forecaster naive_forecaster(NaiveModel *m)
{
    return (Forecaster){.name = naive_names[m->kind], .naive = true, .kind = DIST_LEVELS, .S = NAIVE_LEVELS, .batch = 8,
                        .run = naive_run, .ctx = m};
}

Status evaluate_naive(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train, TrafficRange val)
{
    const size_t before = arena_mark(a);
    const RidgeModel *ridge = NULL;   // fitted once, for both rows that use it
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        if (!naive_is_distinct((NaiveKind)kind, task->series, task->starts, task->n_windows, task->history, task->K)) {
            table->left_out |= 1u << kind;
            continue;
        }
        size_t mark = arena_mark(a);
        NaiveModel m;
        TRY(naive_fit(&m, a, (NaiveKind)kind, task->series, train, val, task->history, task->K, ridge));
        Forecaster fc = naive_forecaster(&m);
        TRY(evaluate(table, a, task, &fc));
        if (kind == NAIVE_RIDGE) ridge = m.ridge;
        else arena_rewind(a, mark);
    }
    arena_rewind(a, before);
    return OK;
}
