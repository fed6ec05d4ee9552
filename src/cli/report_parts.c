#include "cli/report_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/forecast_table.h"
#include "cli/show.h"
#include "links/loads.h"
#include "links/whatif.h"

enum { FLOW_FANS = 8, LINK_FANS = 5, FLOWS = 15, NODES = 40, HISTORY = 24 };

Status parts_try(const char *report, const char *out)
{
    if (!report) return OK;
    if (!strcmp(report, "-") && (!out || !strcmp(out, "-")))
        return USAGE_ERROR("--report -: the table goes to stdout; want --out FILE too");
    return file_try(report);
}

void parts_data(Report *r, Arena *a, const TrafficSeries *s, const char *name)
{
    ReportData *d = arena_alloc(a, sizeof *d);
    *d = (ReportData){s, name ? name : "data"};
    r->data = d;
}

// ---- fans

// Measured rows before the forecast that are drawn: twice its length, a few dozen at least.
static int history_rows(const PathsForecast *f)
{
    if (!f->series) return 0;
    const int64_t want = 2 * f->steps > HISTORY ? 2 * f->steps : HISTORY;
    return (int)(f->t + 1 < want ? f->t + 1 : want);
}

// Rows after t that the series has, one after the other: what came.
static int truth_rows(const PathsForecast *f)
{
    int n = 0;
    while (f->series && n < f->steps && traffic_row_at(f->series, f->t, n + 1) == f->t + n + 1) n++;
    return n;
}

// A chart with room for everything; what is not measured is NaN.
static FanChart fan_new(const PathsForecast *f, Arena *a, const char *title, const char *unit,
                        float *band[REPORT_LEVELS])
{
    const int H = history_rows(f), K = f->steps, n = truth_rows(f);
    float *x = arena_alloc(a, (size_t)(H + (REPORT_LEVELS + 1) * K) * sizeof *x), *truth = x + H;
    for (int i = 0; i < H + K; i++) x[i] = NAN;
    for (int q = 0; q < REPORT_LEVELS; q++) band[q] = x + H + (1 + q) * K;
    const TrafficSeries *s = f->series;
    const bool clock = s && s->time;
    return (FanChart){.title = title, .unit = unit, .n_history = H, .n_forecast = K, .history = x,
                      .t0 = clock ? (double)(s->time[f->t] - (int64_t)(H - 1) * s->slot_seconds) : 0,
                      .step_s = clock ? s->slot_seconds : 0, .truth = n ? truth : NULL, .median = band[2],
                      .q05 = band[0], .q25 = band[1], .q75 = band[3], .q95 = band[4]};
}

// The row of slot i - H + 1 of the chart's history, or of step i - H + 1 of what came; -1: none.
static int64_t fan_row(const PathsForecast *f, const FanChart *c, int i)
{
    if (i >= c->n_history && i - c->n_history >= truth_rows(f)) return -1;
    return f->series ? traffic_row_at(f->series, f->t, i + 1 - c->n_history) : -1;
}

static FanChart fan_of_group(const PathsForecast *f, Arena *a, PathsGroup group, int i, const char *title)
{
    float *band[REPORT_LEVELS];
    const FanChart c = fan_new(f, a, title, "kbit/s", band);
    const ForecastTable t = {.f = f};
    float *v = arena_alloc(a, (size_t)(f->p.S > NAIVE_LEVELS ? f->p.S : NAIVE_LEVELS) * sizeof *v),
          *measured = (float *)(uintptr_t)c.history;
    for (int k = 0; k < c.n_history + c.n_forecast; k++) {
        const int64_t row = fan_row(f, &c, k);
        if (row >= 0) measured[k] = paths_sum(f->series->x + row * f->p.N * f->p.N, f->p.N, group, i);
    }
    for (int q = 0; q < REPORT_LEVELS; q++)
        for (int k = 0; k < c.n_forecast; k++)
            band[q][k] = (float)forecast_table_value(&t, k, group, i, report_levels[q], v);
    return c;
}

// ---- the forecast

static const char *time_of(const PathsForecast *f, Arena *a, int step)
{
    const char *iso = paths_time(f, step).s;
    if (*iso) return arena_printf(a, "%.10s %.5s", iso, iso + 11);
    if (step) return arena_printf(a, "step %d", step);
    return f->series ? arena_printf(a, "row %lld", (long long)f->t) : "the last known row";
}

// The flows with the largest mean over the steps -> flow [most]; their number.
static int largest_flows(const PathsForecast *f, Arena *a, int most, int *flow, double *mean)
{
    const int F = f->p.N * f->p.N;
    bool *taken = arena_zalloc(a, (size_t)F * sizeof *taken);
    int n = 0;
    for (int i = 0; i < F; i++) {
        mean[i] = 0;
        for (int k = 0; k < f->steps; k++) mean[i] += (double)f->p.point[(int64_t)k * F + i] / f->steps;
    }
    for (; n < most && n < F; n++) {
        int best = -1;
        for (int i = 0; i < F; i++)
            if (!taken[i] && (best < 0 || mean[i] > mean[best])) best = i;
        taken[best] = true;
        flow[n] = best;
    }
    return n;
}

static int by_traffic(const void *p, const void *q)
{
    const ReportNode *a = p, *b = q;
    const double x = a->way[0].mean + a->way[1].mean, y = b->way[0].mean + b->way[1].mean;
    return x < y ? 1 : x > y ? -1 : 0;
}

// What every node sends and receives: sums within each path, as in the table of lead forecast --aggregate.
static void fill_nodes(ReportForecast *out, const PathsForecast *f, Arena *a)
{
    static const PathsGroup groups[2] = {PATHS_ORIGINS, PATHS_DESTINATIONS};
    const int N = f->p.N, K = f->steps;
    const int64_t F = (int64_t)N * N;
    const ForecastTable t = {.f = f};
    ReportNode *x = arena_zalloc(a, (size_t)N * sizeof *x);
    float *v = arena_alloc(a, (size_t)(f->p.S > NAIVE_LEVELS ? f->p.S : NAIVE_LEVELS) * sizeof *v);
    for (int i = 0; i < N; i++) {
        x[i].name = f->node[i];
        for (int w = 0; w < 2; w++) {
            x[i].way[w].last = out->now ? (double)paths_sum(out->now, N, groups[w], i) : NAN;
            for (int k = 0; k < K; k++)
                x[i].way[w].mean += (double)paths_sum(f->p.point + k * F, N, groups[w], i) / K;
            x[i].way[w].q05 = forecast_table_value(&t, K - 1, groups[w], i, 0.05, v);
            x[i].way[w].q50 = forecast_table_value(&t, K - 1, groups[w], i, 0.5, v);
            x[i].way[w].q95 = forecast_table_value(&t, K - 1, groups[w], i, 0.95, v);
        }
    }
    qsort(x, (size_t)N, sizeof *x, by_traffic);
    out->busy = x;
    out->nodes = N < NODES ? N : NODES;
}

static void fill_flows(ReportForecast *out, const PathsForecast *f, Arena *a, const int *flow, const double *mean)
{
    const int N = f->p.N;
    ReportFlow *x = arena_alloc(a, (size_t)out->flows * sizeof *x);
    FanChart *fan = arena_alloc(a, (1 + FLOW_FANS) * sizeof *fan);
    double all = 0, these = 0;
    for (int i = 0; i < N * N; i++) all += mean[i];
    fan[out->fans++] = fan_of_group(f, a, PATHS_TOTAL, 0, "All traffic");
    for (int i = 0; i < out->flows; i++) {
        const int at = flow[i];
        const char *from = f->node[at / N], *to = f->node[at % N];
        const FanChart c = fan_of_group(f, a, PATHS_FLOWS, at, arena_printf(a, "%s to %s", from, to));
        const int K = f->steps - 1;
        x[i] = (ReportFlow){from, to, out->now ? (double)out->now[at] : NAN, mean[at], (double)c.q05[K],
                            (double)c.median[K], (double)c.q95[K]};
        these += mean[at];
        if (i < FLOW_FANS) fan[out->fans++] = c;
    }
    out->fan = fan;
    out->flow = x;
    out->share = all > 0 ? these / all : NAN;
}

void parts_forecast(Report *r, Cli *cli, const PathsForecast *f)
{
    Arena *a = cli->perm;
    const int N = f->p.N, F = N * N;
    ReportForecast *out = arena_alloc(a, sizeof *out);
    int flow[FLOWS];
    double *mean = arena_alloc(a, (size_t)F * sizeof *mean);
    *out = (ReportForecast){.model = f->run ? arena_printf(a, "%s (%s)", f->model, f->run->file) : f->model,
                            .from = time_of(f, a, 0), .to = time_of(f, a, f->steps), .paths = f->p.S,
                            .steps = f->steps, .N = N, .node = f->node,
                            .now = f->series ? f->series->x + f->t * F : NULL,
                            .then = f->p.point + (int64_t)(f->steps - 1) * F};
    out->flows = largest_flows(f, a, FLOWS, flow, mean);
    fill_flows(out, f, a, flow, mean);
    if (f->p.x) fill_nodes(out, f, a);
    r->forecast = out;
}

// ---- accuracy

void parts_eval(Report *r, Arena *a, const EvalScores *e)
{
    const EvalTable *t = &e->table;
    const char **verdict = arena_alloc(a, (size_t)(t->models + 1) * sizeof *verdict);
    int n = 0;
    for (int i = 0; i < t->models; i++)
        if (!t->model[i].naive) verdict[n++] = show_verdict(t, t->model[i].name, a);
    ReportEval *out = arena_alloc(a, sizeof *out);
    *out = (ReportEval){t, e->what, show_basis(t, a), verdict, n};
    r->eval = out;
}

// ---- links

static LoadOptions load_options(const double *above, int n)
{
    return (LoadOptions){.level = report_levels, .levels = REPORT_LEVELS, .above = above, .thresholds = n};
}

// Link -1: the largest utilisation.
static FanChart fan_of_link(const PathsForecast *f, Arena *a, const Network *net, const LoadStep *step, int link,
                            const char *title)
{
    float *band[REPORT_LEVELS];
    const Topology *t = &net->topology;
    const FanChart c = fan_new(f, a, title, "%", band);
    const double percent = link < 0 ? 100 : 100 / t->link[link].capacity_kbps;
    double *load = arena_alloc(a, (size_t)t->L * sizeof *load);
    float *measured = (float *)(uintptr_t)c.history;
    for (int k = 0; k < c.n_history + c.n_forecast; k++) {
        const int64_t row = fan_row(f, &c, k);
        if (row < 0) continue;
        loads_of(&net->routing, f->series->x + row * f->p.N * f->p.N, load);
        measured[k] = (float)(percent * (link < 0 ? loads_largest(t, load, NULL) : load[link]));
    }
    for (int q = 0; q < REPORT_LEVELS; q++)
        for (int k = 0; k < c.n_forecast; k++)
            band[q][k] = (float)(percent * (link < 0 ? step[k].largest : step[k].link[link]).quantile[q]);
    return c;
}

void parts_links(Report *r, Cli *cli, const PathsForecast *f, const Network *net, const double *above, int n)
{
    Arena *a = cli->perm;
    const int K = f->steps;
    LoadStep *step = arena_alloc(a, (size_t)K * sizeof *step);
    LoadOptions *o = arena_alloc(a, sizeof *o);
    const char **time = arena_alloc(a, (size_t)K * sizeof *time);
    *o = load_options(above, n);
    for (int k = 0; k < K; k++) {
        loads_step(&step[k], a, cli->scratch, &net->topology, &net->routing, &f->p, k, o);
        time[k] = time_of(f, a, k + 1);
    }
    ReportLinks *out = arena_alloc(a, sizeof *out);
    FanChart *fan = arena_alloc(a, (1 + LINK_FANS) * sizeof *fan);
    *out = (ReportLinks){&net->topology, step, K, time, o, fan, 0};
    if (step[0].most_often >= 0)
        fan[out->fans++] = fan_of_link(f, a, net, step, -1, "The largest utilisation of any link");
    const ReportFullest *full = report_fullest(out, a);
    for (int i = 0; i < LINK_FANS && i < net->topology.L; i++) {
        const int link = full[i].link;
        if (net->topology.link[link].capacity_kbps > 0 && full[i].high > 0)
            fan[out->fans++] = fan_of_link(f, a, net, step, link, net->topology.link[link].name);
    }
    r->links = out;
}

Status parts_failures(Report *r, Cli *cli, const PathsForecast *f, const Network *net, const char *fail,
                      const double *above, int n)
{
    Arena *a = cli->perm;
    FailureList list;
    LoadOptions *o = arena_alloc(a, sizeof *o);
    *o = load_options(above, n);
    TRY(failures_parse(&list, a, &net->topology, fail));
    FailureResult *result = arena_alloc(a, (size_t)list.n * sizeof *result);
    for (int i = 0; i < list.n; i++)
        failure_assess(&result[i], a, cli->scratch, &net->topology, &list.failure[i], &f->p, f->steps, o);
    failures_sort(result, list.n, o->levels);
    ReportFailures *out = arena_alloc(a, sizeof *out);
    *out = (ReportFailures){&net->topology, result, list.n, f->p.N, o};
    r->failures = out;
    return OK;
}

// ---- the page

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

Status parts_write(Report *r, Cli *cli, const char *title, const char *name, const char *path)
{
    Arena *a = cli->perm;
    char when[40];
    const time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &tm);
    if (r->data && !name) name = r->data->name;
    r->title = title ? title : arena_printf(a, "Traffic of %s", name ? file_name(name) : "sample paths");
    r->made = arena_printf(a, "%s, made on %s by lead %s",
                           r->forecast ? arena_printf(a, "Forecast from %s to %s", r->forecast->from, r->forecast->to)
                                       : "Accuracy of forecasts", when, cli->verb->name);
    r->manifest = manifest_json(cli, a);
    TRY(report_write(r, path, a));
    cli_say("%s: open it in a browser", path);
    return manifest_write(cli, path);
}
