#include "traffic/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPACES = 2, KBPS = 0, SCALED = 1 };
static const char *const space_names[SPACES] = {"kbps", "scaled"};

// ---- table ---------------------------------------------------------------------------------------------------------

EvalTable eval_table_new(Arena *a, int64_t room)
{
    return (EvalTable){.room = room, .row = arena_alloc(a, (size_t)room * sizeof(EvalRow))};
}

void eval_table_print(const EvalTable *table, FILE *out)
{
    fprintf(out, "model\tspace\thorizon\twindows\tmse\trmse\tmae\tmae_median\tmape\tnrmse\tr2\tcrps\tcrps_ensemble\t"
                 "crps_quantile\tcover50\tcover90\tenergy\n");
    for (int64_t i = 0; i < table->n; i++) {
        const EvalRow *e = &table->row[i];
        const MetricResult *r = &e->r;
        if (e->horizon) fprintf(out, "%s\t%s\t%d\t%lld", e->model, e->space, e->horizon, (long long)r->windows);
        else fprintf(out, "%s\t%s\tall\t%lld", e->model, e->space, (long long)r->windows);
        const double v[] = {r->mse, r->rmse, r->mae, r->mae_median, r->mape, r->nrmse, r->r2, r->crps, r->crps_ensemble,
                            r->crps_quantile, r->cover50, r->cover90, r->energy};
        for (size_t k = 0; k < sizeof v / sizeof *v; k++) {
            if (isnan(v[k])) fprintf(out, "\tnan");
            else fprintf(out, "\t%.6g", v[k]);
        }
        fprintf(out, "\n");
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

// ---- scoring -------------------------------------------------------------------------------------------------------

static int compare_float(const void *p, const void *q)
{
    float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

// scaled = unit * kbps for the linear kinds; 0 for the others.
static double linear_unit(const TrafficScale *k, int flow)
{
    if (k->kind == SCALE_MAX) return 1 / (double)k->max_kbps;
    return k->kind == SCALE_FLOWMAX ? 1 / (double)k->flowmax_kbps[flow] : 0;
}

typedef struct WindowView {
    const float *y, *point, *dist;   // [F], [F], first sample of this horizon; samples are `stride` apart
    int64_t stride;
    float *z, *z_scaled;             // [S] work space
} WindowView;

// Sum over the pairs z[2 i], z[2 i + 1] of |difference|.
static double within_pairs(const float *z, int S)
{
    double sum = 0;
    for (int i = 0; i + 1 < S; i += 2) sum += fabs((double)z[i] - (double)z[i + 1]);
    return sum;
}

static bool drawn(DistKind kind) { return kind == DIST_SAMPLES || kind == DIST_PAIRS; }

static void score_flow(MetricSums sums[SPACES], const EvalTask *task, const Forecaster *fc, const WindowView *v, int f)
{
    const TrafficScale *k = task->scale;
    double unit = linear_unit(k, f), within_scaled = 0;
    for (int i = 0; i < fc->S; i++) v->z[i] = v->dist[i * v->stride + f];
    if (!(unit > 0)) {
        for (int i = 0; i < fc->S; i++) v->z_scaled[i] = scale_forward_flow(k, f, v->z[i]);
        within_scaled = within_pairs(v->z_scaled, fc->S);
    }
    const double within = within_pairs(v->z, fc->S);
    if (drawn(fc->kind)) qsort(v->z, (size_t)fc->S, sizeof *v->z, compare_float);
    MetricTerms terms = metric_terms(v->y[f], v->point[f], v->z, fc->S, fc->kind, within);
    metric_sums_add(&sums[KBPS], &terms, 1, task->mape_above_kbps, fc->kind);
    if (!(unit > 0)) {
        for (int i = 0; i < fc->S; i++) v->z_scaled[i] = scale_forward_flow(k, f, v->z[i]);   // ascending now
        terms = metric_terms(scale_forward_flow(k, f, v->y[f]), scale_forward_flow(k, f, v->point[f]), v->z_scaled,
                             fc->S, fc->kind, within_scaled);
        unit = 1;
    }
    metric_sums_add(&sums[SCALED], &terms, unit, task->mape_above_scaled, fc->kind);
}

// Energy score of one horizon in both spaces.
static void score_energy(MetricSums sums[SPACES], const EvalTask *task, const Forecaster *fc, const WindowView *v,
                         int F, float *scaled)
{
    sums[KBPS].energy += metric_energy(v->y, v->dist, fc->S, v->stride, F, fc->kind == DIST_PAIRS);
    for (int i = 0; i < fc->S; i++) scale_forward(task->scale, v->dist + i * v->stride, scaled + (int64_t)i * F);
    scale_forward(task->scale, v->y, scaled + (int64_t)fc->S * F);
    sums[SCALED].energy += metric_energy(scaled + (int64_t)fc->S * F, scaled, fc->S, F, F, fc->kind == DIST_PAIRS);
    for (int p = 0; p < SPACES; p++) sums[p].energy_windows++;
}

// Sums of one window, [K][SPACES]; work: 2 S + (S+1) F floats.
static void score_window(MetricSums (*sums)[SPACES], const EvalTask *task, const Forecaster *fc, int64_t last,
                         const float *point, const float *dist, float *work)
{
    const int F = task->scale->F;
    memset(sums, 0, (size_t)task->K * sizeof *sums);
    for (int h = 0; h < task->K; h++) {
        WindowView v = {.y = task->series->x + (last + 1 + h) * F, .point = point + (int64_t)h * F,
                        .dist = dist + (int64_t)h * F, .stride = (int64_t)task->K * F, .z = work,
                        .z_scaled = work + fc->S};
        for (int f = 0; f < F; f++) score_flow(sums[h], task, fc, &v, f);
        if (drawn(fc->kind)) score_energy(sums[h], task, fc, &v, F, work + 2 * fc->S);
        for (int p = 0; p < SPACES; p++) sums[h][p].windows = 1;
    }
}

static void add_rows(EvalTable *table, const char *model, MetricSums (*total)[SPACES], int K)
{
    for (int p = 0; p < SPACES; p++) {
        MetricSums all = {.windows = 0};
        for (int h = 0; h < K; h++) {
            metric_sums_merge(&all, &total[h][p]);
            table->row[table->n++] = (EvalRow){model, space_names[p], h + 1, metric_sums_result(&total[h][p])};
        }
        all.windows = total[0][p].windows;
        table->row[table->n++] = (EvalRow){model, space_names[p], 0, metric_sums_result(&all)};
    }
}

static Status evaluate_batches(EvalTable *table, Arena *a, const EvalTask *task, const Forecaster *fc)
{
    const int64_t KF = (int64_t)task->K * task->scale->F, B = fc->batch, SKF = KF * fc->S;
    const int64_t work_size = 2 * fc->S + ((int64_t)fc->S + 1) * task->scale->F;
    int64_t *last = arena_alloc(a, (size_t)B * sizeof *last);
    float *point = arena_alloc(a, (size_t)(B * KF) * sizeof *point);
    float *dist = arena_alloc(a, (size_t)(B * SKF + 1) * sizeof *dist);
    float *work = arena_alloc(a, (size_t)(B * work_size) * sizeof *work);
    MetricSums (*sums)[SPACES] = arena_alloc(a, (size_t)(B * task->K) * sizeof *sums);
    MetricSums (*total)[SPACES] = arena_zalloc(a, (size_t)task->K * sizeof *total);
    for (int64_t at = 0; at < task->n_windows; at += B) {
        int n = (int)(task->n_windows - at < B ? task->n_windows - at : B);
        for (int i = 0; i < n; i++) last[i] = task->starts[at + i] + task->history - 1;
        TRY(fc->run(fc->ctx, task->series, &(EvalBatch){.n = n, .last = last, .point = point, .dist = dist}));
#pragma omp parallel for schedule(static)
        for (int i = 0; i < n; i++)
            score_window(sums + i * task->K, task, fc, last[i], point + i * KF, dist + i * SKF, work + i * work_size);
        for (int i = 0; i < n; i++)
            for (int h = 0; h < task->K; h++)
                for (int p = 0; p < SPACES; p++) metric_sums_merge(&total[h][p], &sums[i * task->K + h][p]);
    }
    add_rows(table, fc->name, total, task->K);
    return OK;
}

Status evaluate(EvalTable *table, Arena *a, const EvalTask *task, const Forecaster *fc)
{
    CHECK(table->n + SPACES * (task->K + 1) <= table->room, "evaluate: the table has room for %lld rows",
          (long long)table->room);
    CHECK((fc->kind == DIST_NONE) == (fc->S == 0) && fc->batch >= 1, "evaluate: kind %d, S %d, batch %d", fc->kind,
          fc->S, fc->batch);
    if (!task->n_windows)
        return ERROR("evaluate: want test windows of %d + %d snapshots, got none", task->history, task->K);
    size_t mark = arena_mark(a);
    Status s = evaluate_batches(table, a, task, fc);
    arena_rewind(a, mark);
    return s;
}

// ---- naive forecasts -----------------------------------------------------------------------------------------------

static Status naive_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    const NaiveModel *m = ctx;
    const int64_t KF = (int64_t)m->K * m->F;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < b->n; i++) {
        naive_predict(m, s, b->last[i], b->point + i * KF);
        naive_spread(m, b->point + i * KF, b->dist + i * KF * NAIVE_LEVELS);
    }
    return OK;
}

Forecaster naive_forecaster(NaiveModel *m)
{
    return (Forecaster){.name = naive_names[m->kind], .kind = DIST_LEVELS, .S = NAIVE_LEVELS, .batch = 8,
                        .run = naive_run, .ctx = m};
}

Status evaluate_naive(EvalTable *table, Arena *a, const EvalTask *task, TrafficRange train, TrafficRange val)
{
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        size_t mark = arena_mark(a);
        NaiveModel m;
        TRY(naive_fit(&m, a, (NaiveKind)kind, task->series, train, val, task->history, task->K));
        Forecaster fc = naive_forecaster(&m);
        TRY(evaluate(table, a, task, &fc));
        arena_rewind(a, mark);
    }
    return OK;
}
