// lead forecast
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "io/file.h"

typedef struct Values {
    DataOptions data;
    RunOptions run;
    const char *out, *quantiles, *png;
    int64_t horizon, row, seed;
} Values;

static const Option table[] = {
    DATA_OPTIONS(Values),
    RUN_OPTIONS(Values),
    {"horizon", OPT_INT, offsetof(Values, horizon), "K", "steps to forecast (default: the run's horizon)", 1, 64},
    {"seed", OPT_INT, offsetof(Values, seed), "N", "seed of the samples (default: the run's)", 0, 9e15},
    {"quantiles", OPT_TEXT, offsetof(Values, quantiles), "LIST", "quantile levels to print [0.1,0.5,0.9]", 0, 0},
    {"row", OPT_INT, offsetof(Values, row), "T", "forecast after this row (default: the last)", 0, 1e12},
    {"out", OPT_TEXT, offsetof(Values, out), "FILE", "CSV (default: stdout)", 0, 0},
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

// One row per step, origin and destination.
static void print_forecast(FILE *out, const TrafficSeries *s, int64_t t, const float *samples, const float *point,
                           const LeadConfig *cfg, int K, const double *q, int nq, Arena *a)
{
    const int N = s->N, F = N * N, S = cfg->samples, type = metric_quantile_type(lead_dist(cfg));
    float *v = arena_alloc(a, (size_t)S * sizeof *v);
    fprintf(out, "step,time,origin,destination,mean_kbps");
    for (int i = 0; i < nq; i++) fprintf(out, ",q%g_kbps", q[i]);
    fputc('\n', out);
    for (int k = 0; k < K; k++)
        for (int f = 0; f < F; f++) {
            for (int i = 0; i < S; i++) v[i] = samples[((int64_t)i * cfg->horizon + k) * F + f];
            fprintf(out, "%d,", k + 1);
            if (s->time) fprintf(out, "%lld", (long long)(s->time[t] + (int64_t)(k + 1) * s->slot_seconds));
            fprintf(out, ",%d,%d,%.6g", f / N, f % N, (double)point[(int64_t)k * F + f]);
            forecast_sort(v, S);
            for (int i = 0; i < nq; i++) fprintf(out, ",%.6g", metric_quantile(v, S, q[i], type));
            fputc('\n', out);
        }
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    if (!v->run.model) return USAGE_ERROR("lead forecast: wants --model RUN");
    double q[MAX_LEVELS];
    int nq;
    TRY(parse_levels(v->quantiles, q, &nq));
    LeadRun r;
    TRY(run_open(cli, &v->run, &r));
    TrafficSeries s;
    TRY(data_read(cli, &v->data, &s));
    if (v->seed >= 0) r.cfg.seed = v->seed;
    // a path can be fed back as often as wanted
    if (r.cfg.horizons == HORIZON_ROLLOUT && v->horizon) r.cfg.horizon = (int)v->horizon;
    const int K_all = r.cfg.horizon, K = v->horizon ? (int)v->horizon : K_all;
    if (K > K_all)
        return USAGE_ERROR("--horizon: want at most the %d steps that the run was trained for, got %d", K_all, K);
    if (v->row >= s.T)
        return USAGE_ERROR("--row: want a row of the data, 0..%lld, got %lld", (long long)s.T - 1, (long long)v->row);
    const int64_t t = v->row >= 0 ? v->row : s.T - 1;
    float *samples = arena_alloc(cli->perm,
                                 (size_t)r.cfg.samples * (size_t)K_all * (size_t)r.stats.F * sizeof *samples);
    TRY(lead_run_attach(&r, &s));
    float *point = arena_alloc(cli->perm, (size_t)K_all * (size_t)r.stats.F * sizeof *point);
    TRY(lead_forecast(&r, &t, 1, samples, point));
    if (v->png) {
        TRY(directory_make(v->png));
        TRY(show_window_pngs(&r, &s, t, samples, v->png, cli->perm));
        TRY(manifest_write(cli, arena_printf(cli->perm, "%s/forecast", v->png)));
    }
    if (!v->out) {
        print_forecast(stdout, &s, t, samples, point, &r.cfg, K, q, nq, cli->perm);
        return OK;
    }
    FileWriter w;
    TRY(file_open(&w, v->out));
    print_forecast(w.f, &s, t, samples, point, &r.cfg, K, q, nq, cli->perm);
    TRY(file_commit(&w, false));
    return manifest_write(cli, v->out);
}

const Verb verb_forecast = {
    .name = "forecast",
    .summary = "Draws sample paths beyond the end of the data: mean and quantiles per flow and step, kbit/s.",
    OPTIONS(table), .size = sizeof(Values), .defaults = defaults, .run = run,
};
