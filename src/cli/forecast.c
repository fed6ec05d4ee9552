// lead forecast
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "traffic/naive.h"

typedef struct Values {
    DataOptions data;
    RunOptions run;
    const char *out, *quantiles, *png, *flow;
    int64_t horizon, row, seed;
} Values;

static const Option table[] = {
    DATA_OPTIONS(Values),
    RUN_OPTIONS(Values),
    {"horizon", OPT_INT, offsetof(Values, horizon), "K", "steps to forecast (default: the run's horizon)", 1, 64},
    {"seed", OPT_INT, offsetof(Values, seed), "N", "seed of the samples (default: the run's)", 0, 9e15},
    {"quantiles", OPT_TEXT, offsetof(Values, quantiles), "LIST", "quantile levels to print [0.1,0.5,0.9]", 0, 0},
    {"row", OPT_INT, offsetof(Values, row), "T", "forecast after this row (default: the last)", 0, 1e12},
    {"flow", OPT_TEXT, offsetof(Values, flow), "LIST",
     "flows to print, SOURCE:DESTINATION,.. by name or number (default: all)", 0, 0},
    {"out", OPT_TEXT, offsetof(Values, out), "FILE", "CSV (default, and -: stdout)", 0, 0},
    {"png", OPT_TEXT, offsetof(Values, png), "DIR", "draw film strip, heat maps and fan charts into DIR", 0, 0},
};

static void defaults(void *values)
{
    Values *v = values;
    v->row = v->seed = -1;
    v->run.guidance = -1;
    v->quantiles = "0.1,0.5,0.9";
}

enum { MAX_LEVELS = 99 };

static Status parse_levels(const char *text, double *q, int *n)
{
    *n = 0;
    for (const char *p = text; *p; p = *p == ',' ? p + 1 : p) {
        char *end;
        const double v = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !(v > 0 && v < 1) || *n == MAX_LEVELS)
            return USAGE_ERROR("--quantiles: want up to %d levels between 0 and 1 such as 0.1,0.5,0.9, got '%s'",
                               MAX_LEVELS, text);
        q[(*n)++] = v;
        p = end;
    }
    return *n ? OK : USAGE_ERROR("--quantiles: want levels between 0 and 1, got none");
}

// A forecast after row t: its distribution dist [S][K][F] kbit/s, and its point forecast [K][F].
typedef struct Forecast { int64_t t; int S, K; DistKind kind; const float *dist, *point; } Forecast;

// The flows that --flow names; all without it.
static Status choose_flows(bool **wanted, const char *list, const TrafficSeries *s, Arena *a)
{
    const size_t F = (size_t)s->N * (size_t)s->N;
    *wanted = memset(arena_alloc(a, F), !list, F);
    for (const char *p = list; p && *p;) {
        const size_t n = strcspn(p, ",");
        int flow;
        const Status st = traffic_flow_find(&flow, s, p, n);
        if (st.code) return USAGE_ERROR("--flow: %s", st.msg);
        (*wanted)[flow] = true;
        p += p[n] ? n + 1 : n;
    }
    return OK;
}

// One row per step, origin and destination, of the first K steps.
static void print_forecast(FILE *out, const TrafficSeries *s, const Forecast *p, const bool *wanted, int K,
                           const double *q, int nq, Arena *a)
{
    const int N = s->N, F = N * N, S = p->S, type = metric_quantile_type(p->kind);
    float *v = arena_alloc(a, (size_t)S * sizeof *v);
    fprintf(out, "step,time,origin,destination,mean_kbps");
    for (int i = 0; i < nq; i++) fprintf(out, ",q%g_kbps", q[i]);
    fputc('\n', out);
    for (int k = 0; k < K; k++)
        for (int f = 0; f < F; f++) {
            if (!wanted[f]) continue;
            for (int i = 0; i < S; i++) v[i] = p->dist[((int64_t)i * p->K + k) * F + f];
            fprintf(out, "%d,", k + 1);
            if (s->time) fprintf(out, "%lld", (long long)(s->time[p->t] + (int64_t)(k + 1) * s->slot_seconds));
            fputc(',', out);
            traffic_node_put(out, s, f / N);
            fputc(',', out);
            traffic_node_put(out, s, f % N);
            fprintf(out, ",%.6g", (double)p->point[(int64_t)k * F + f]);
            forecast_sort(v, S);
            for (int i = 0; i < nq; i++) fprintf(out, ",%.6g", metric_quantile(v, S, q[i], type));
            fputc('\n', out);
        }
}

static Status write_forecast(Cli *cli, const Values *v, const TrafficSeries *s, const Forecast *p, int K,
                             const double *q, int nq)
{
    bool *wanted;
    TRY(choose_flows(&wanted, v->flow, s, cli->perm));
    if (!v->out) {
        print_forecast(stdout, s, p, wanted, K, q, nq, cli->perm);
        return OK;
    }
    FileWriter w;
    TRY(file_open(&w, v->out));
    print_forecast(w.f, s, p, wanted, K, q, nq, cli->perm);
    TRY(file_commit(&w, false));
    return manifest_write(cli, v->out);
}

static Status choose_row(const Values *v, const TrafficSeries *s, int64_t *t)
{
    if (v->row >= s->T)
        return USAGE_ERROR("--row: want a row of the data, 0..%lld, got %lld", (long long)s->T - 1, (long long)v->row);
    *t = v->row >= 0 ? v->row : s->T - 1;
    return OK;
}

// ---- a naive forecast, fitted on the rows up to the one that is forecast from

static bool find_naive(const char *name, NaiveKind *kind)
{
    for (int i = 0; i < NAIVE_KINDS; i++)
        if (strcmp(name, naive_names[i]) == 0) {
            *kind = (NaiveKind)i;
            return true;
        }
    return false;
}

// The options that a naive forecast has no use for.
static Status refuse_options(const Values *v)
{
    const struct { bool given; const char *name; } option[] = {
        {v->run.llm, "llm"}, {v->run.samples, "samples"}, {v->run.sample_steps, "sample-steps"},
        {v->run.guidance >= 0, "guidance"}, {v->seed >= 0, "seed"}, {v->png, "png"}};
    for (size_t i = 0; i < sizeof option / sizeof *option; i++)
        if (option[i].given)
            return USAGE_ERROR("--%s: wants a trained run, got --model %s", option[i].name, v->run.model);
    return OK;
}

// A seasonal forecast whose season lies before the data is another one there, in some of its steps or all.
static void note_missing_season(NaiveKind kind, const TrafficSeries *s, const Forecast *p)
{
    const bool week = kind == NAIVE_LASTWEEK;
    int missing = 0;
    if (!week && kind != NAIVE_YESTERDAY) return;
    for (int h = 1; h <= p->K; h++) missing += traffic_row_at(s, p->t, traffic_season_offset(s, h, week, 0)) < 0;
    if (missing)
        fprintf(stderr, "note: %s: the data hold no snapshot that far back for %d of %d steps, which equal %s\n",
                naive_names[kind], missing, p->K, naive_names[week ? NAIVE_YESTERDAY : NAIVE_PERSISTENCE]);
}

static Status run_naive(Cli *cli, const Values *v, NaiveKind kind, const double *q, int nq)
{
    enum { HISTORY = 16, STEPS = 20 };   // those of protocol clean, with which lead eval scores it
    TRY(refuse_options(v));
    TrafficSeries s;
    TRY(data_read(cli, &v->data, &s));
    Forecast p = {.S = NAIVE_LEVELS, .K = v->horizon ? (int)v->horizon : STEPS, .kind = DIST_LEVELS};
    TRY(choose_row(v, &s, &p.t));
    TRY(forecast_history(&s, p.t, HISTORY));
    note_missing_season(kind, &s, &p);
    const TrafficRange known = {0, p.t + 1};
    NaiveModel m;
    TRY(naive_fit(&m, cli->perm, kind, &s, known, known, HISTORY, p.K, NULL));
    const size_t KF = (size_t)p.K * (size_t)m.F;
    float *point = arena_alloc(cli->perm, KF * sizeof *point);
    float *dist = arena_alloc(cli->perm, NAIVE_LEVELS * KF * sizeof *dist);
    naive_predict(&m, &s, p.t, point);
    naive_spread(&m, &s, p.t, point, dist);
    p.point = point;
    p.dist = dist;
    return write_forecast(cli, v, &s, &p, p.K, q, nq);
}

// ---- a trained run

static Status run_trained(Cli *cli, const Values *v, const double *q, int nq)
{
    LeadRun r;
    TrafficSeries s;
    int64_t t;
    TRY(run_open(cli, &v->run, LEAD_NEWEST, &r));
    TRY(data_read(cli, &v->data, &s));
    TRY(run_match_nodes(&s, r.nodes, v->run.model, cli->perm));
    TRY(choose_row(v, &s, &t));
    const bool past = r.final && t + 1 < r.train.end;   // the final fit has seen what came
    if (past) TRY(run_open(cli, &v->run, LEAD_BEST, &r));
    if (v->seed >= 0) r.cfg.seed = v->seed;
    // a path can be fed back as often as wanted
    if (r.cfg.horizons == HORIZON_ROLLOUT && v->horizon) r.cfg.horizon = (int)v->horizon;
    const int K_all = r.cfg.horizon, K = v->horizon ? (int)v->horizon : K_all;
    if (K > K_all)
        return USAGE_ERROR("--horizon: want at most the %d steps that the run was trained for, got %d", K_all, K);
    Forecast p = {.S = r.cfg.samples, .K = K_all, .kind = lead_dist(&r), .t = t};
    float *samples = arena_alloc(cli->perm,
                                 (size_t)r.cfg.samples * (size_t)K_all * (size_t)r.stats.F * sizeof *samples);
    float *point = arena_alloc(cli->perm, (size_t)K_all * (size_t)r.stats.F * sizeof *point);
    TRY(lead_run_attach(&r, &s));
    if (past)
        fprintf(stderr, "note: the final fit has seen what came after row %lld; the weights before it forecast\n",
                (long long)t);
    TRY(lead_forecast(&r, &p.t, 1, samples, point));
    p.dist = samples;
    p.point = point;
    if (v->png) {
        TRY(directory_make(v->png));
        TRY(show_window_pngs(&r, &s, p.t, samples, v->png, cli->perm));
        TRY(manifest_write(cli, arena_printf(cli->perm, "%s/forecast", v->png)));
    }
    TRY(write_forecast(cli, v, &s, &p, K, q, nq));
    run_say(&r);
    return OK;
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    if (!v->run.model) return USAGE_ERROR("lead forecast: wants --model RUN");
    double q[MAX_LEVELS];
    int nq;
    NaiveKind kind;
    TRY(parse_levels(v->quantiles, q, &nq));
    return find_naive(v->run.model, &kind) ? run_naive(cli, v, kind, q, nq) : run_trained(cli, v, q, nq);
}

const Verb verb_forecast = {
    .name = "forecast",
    .summary = "Draws sample paths beyond the end of the data: mean and quantiles per flow and step, kbit/s.",
    .text = "Of a run directory it loads final.safetensors, the fit on all rows, else best.safetensors.\n"
            "--model persistence, yesterday, lastweek, average, mean, ets, ridge or ridge-scale needs no run: it is\n"
            "fitted on the data up to the row that is forecast from, and the quantiles are those of its errors there\n"
            "(./ridge is a directory).",
    OPTIONS(table), .size = sizeof(Values), .defaults = defaults, .run = run,
};
