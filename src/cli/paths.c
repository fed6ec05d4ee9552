#include "cli/paths.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lead/extend.h"
#include "lead/general.h"

enum { NAIVE_HISTORY = 16, NAIVE_STEPS = 20, NAIVE_PATHS = 100 };   // protocol clean's; lead eval scores naive rows so

void paths_defaults(PathsOptions *o)
{
    o->row = o->seed = -1;
    o->run.guidance = -1;
}

Status paths_parse_levels(const char *text, const char *name, double *q, int *n)
{
    *n = 0;
    for (const char *p = text; *p; p = *p == ',' ? p + 1 : p) {
        char *end;
        const double v = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !(v > 0 && v < 1) || *n == PATHS_LEVELS)
            return USAGE_ERROR("--%s: want up to %d levels between 0 and 1 such as 0.1,0.5,0.9, got '%s'", name,
                               PATHS_LEVELS, text);
        q[(*n)++] = v;
        p = end;
    }
    return *n ? OK : USAGE_ERROR("--%s: want levels between 0 and 1, got none", name);
}

Status paths_parse_flows(const char *text, const char *name, const TrafficSeries *s, bool *flows)
{
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, ",");
        int flow;
        const Status st = traffic_flow_find(&flow, s, p, n);
        if (st.code) return USAGE_ERROR("--%s: %s", name, st.msg);
        flows[flow] = true;
        p += p[n] ? n + 1 : n;
    }
    return OK;
}

PathsTime paths_time(const PathsForecast *f, int k)
{
    PathsTime text = {""};
    if (!f->series || !f->series->time) return text;
    const time_t at = (time_t)(f->series->time[f->t] + (int64_t)k * f->series->slot_seconds);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text.s, sizeof text.s, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return text;
}

static void name_nodes(PathsForecast *f, Arena *a)
{
    f->named = f->series && f->series->node;
    f->node = f->named ? f->series->node : NULL;
    if (f->named) return;
    const char **node = arena_alloc(a, (size_t)f->p.N * sizeof *node);
    for (int i = 0; i < f->p.N; i++) node[i] = arena_printf(a, "%d", i);
    f->node = node;
}

static Status choose_row(const PathsOptions *o, PathsForecast *f)
{
    if (o->row >= f->series->T)
        return USAGE_ERROR("--row: want a row of the data, 0..%lld, got %lld", (long long)f->series->T - 1,
                           (long long)o->row);
    const int64_t last = f->series->T - 1;
    f->t = o->row >= 0 ? o->row : last;
    while (o->row < 0 && f->t > 0 && !f->series->valid[f->t]) f->t--;
    if (o->row < 0 && f->t < last)
        fprintf(stderr, "note: rows %lld..%lld are left out, so the forecast is of what comes after row %lld\n",
                (long long)f->t + 1, (long long)last, (long long)f->t);
    return OK;
}

static Status read_series(PathsForecast *f, Cli *cli, const PathsOptions *o)
{
    TrafficSeries *s = o->series ? o->series : arena_alloc(cli->perm, sizeof *s);
    if (!o->series) TRY(data_read(cli, &o->data, s));
    if (f->run && f->run->nodes) TRY(run_match_series(s, f->run->nodes, f->run->zone, o->run.model, cli->perm));
    f->series = s;
    return choose_row(o, f);
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

bool paths_is_naive(const char *model)
{
    NaiveKind kind;
    return find_naive(model, &kind);
}

// The options that a naive forecast has no use for; given paths, none of them has any.
static Status refuse_options(const PathsOptions *o, bool drawn, const char *wants, const char *got)
{
    const struct { bool given; const char *name; } option[] = {
        {o->run.llm, "llm"}, {o->run.memory, "memory"}, {o->run.samples && !drawn, "samples"},
        {o->run.sample_steps, "sample-steps"},
        {o->run.guidance >= 0, "guidance"}, {o->run.sampler, "sampler"}, {o->seed >= 0 && !drawn, "seed"}};
    for (size_t i = 0; i < sizeof option / sizeof *option; i++)
        if (option[i].given) return USAGE_ERROR("--%s: wants %s, got %s", option[i].name, wants, got);
    return OK;
}

// A seasonal forecast whose season lies before the data is another one there, in some of its steps or all.
static void note_missing_season(NaiveKind kind, const PathsForecast *f)
{
    const bool week = kind == NAIVE_LASTWEEK;
    int missing = 0;
    if (!week && kind != NAIVE_YESTERDAY) return;
    for (int h = 1; h <= f->p.K; h++)
        missing += traffic_row_at(f->series, f->t, traffic_season_offset(f->series, h, week, 0)) < 0;
    if (missing)
        fprintf(stderr, "note: %s: the data hold no snapshot that far back for %d of %d steps, which equal %s\n",
                naive_names[kind], missing, f->p.K, naive_names[week ? NAIVE_YESTERDAY : NAIVE_PERSISTENCE]);
}

static Status forecast_naive(PathsForecast *f, Cli *cli, const PathsOptions *o, NaiveKind kind, bool draw)
{
    Arena *a = cli->perm;
    TRY(refuse_options(o, draw, "a trained run", arena_printf(a, "--model %s", o->run.model)));
    TRY(read_series(f, cli, o));
    const TrafficSeries *s = f->series;
    const int K = o->horizon ? (int)o->horizon : NAIVE_STEPS, S = o->run.samples ? (int)o->run.samples : NAIVE_PATHS;
    TRY(forecast_history(s, f->t, NAIVE_HISTORY));
    const TrafficRange known = {0, f->t + 1};
    Fallback fit;
    TRY(fallback_fit(&fit, a, kind, s, known, known, NAIVE_HISTORY, K));
    const size_t KF = (size_t)K * (size_t)(s->N * s->N);
    float *point = arena_alloc(a, KF * sizeof *point), *levels = arena_alloc(a, NAIVE_LEVELS * KF * sizeof *levels);
    float *x = draw ? arena_alloc(a, (size_t)S * KF * sizeof *x) : NULL;
    naive_predict(&fit.model, s, f->t, point);
    naive_spread(&fit.model, s, f->t, point, levels);
    if (draw) fallback_forecast(&fit, a, s, f->t, S, o->seed >= 0 ? (uint64_t)o->seed : 1, x, NULL);
    f->p = (TrafficPaths){S, K, s->N, DIST_SAMPLES, x, point};
    f->levels = levels;
    f->model = naive_names[kind];
    note_missing_season(kind, f);
    return OK;
}

// ---- a trained run

// The newest rows that weights for any network want are from here on the series.
static void keep_newest(PathsForecast *f, Cli *cli, const char *file)
{
    const int64_t first = lead_general_first(f->t + 1);
    if (!first) return;
    TrafficSeries *newest = arena_alloc(cli->perm, sizeof *newest);
    *newest = traffic_series_newest(f->series, cli->perm, first);
    cli_say("%s: takes the newest %lld of %lld rows", file, (long long)(f->t + 1 - first), (long long)(f->t + 1));
    f->series = newest;
    f->t -= first;
}

// Too few rows for weights that suit any network, as `why` says.
static Status forecast_brief(PathsForecast *f, Cli *cli, const PathsOptions *o, const LeadConfig *cfg, const char *why)
{
    const int S = o->run.samples ? (int)o->run.samples : cfg->samples, K = o->horizon ? (int)o->horizon : cfg->horizon;
    const size_t KF = (size_t)K * (size_t)(f->series->N * f->series->N);
    float *x = arena_alloc(cli->perm, (size_t)S * KF * sizeof *x), *point = arena_alloc(cli->perm, KF * sizeof *point);
    const uint64_t seed = (uint64_t)(o->seed >= 0 ? o->seed : cfg->seed);
    int64_t last;
    const Status s = fallback_brief(f->series, cli->perm, f->t, K, S, seed, x, point, &last);
    if (s.code) return ERROR("%s; %s", why, s.msg);
    cli_say("note: %s: falls back to row %lld, the last valid one, with the changes and the rows before it; the bands "
            "are rough", why, (long long)last);
    f->p = (TrafficPaths){S, K, f->series->N, DIST_SAMPLES, x, point};
    f->model = "fallback";
    f->run = NULL;
    return OK;
}

// Weights that suit any network: their statistics are fitted on the rows up to the one that is forecast from, after the
// last part of these has calibrated them, or without that where the rows before it are too few.  *done: the forecast is
// made, since all rows are.
static Status open_general(PathsForecast *f, Cli *cli, const PathsOptions *o, const char *file, bool *done)
{
    LeadConfig cfg;
    TRY(read_series(f, cli, o));
    TRY(lead_general_config(&cfg, NULL, file, cli->scratch));
    keep_newest(f, cli, file);
    const int64_t known = f->t + 1, cut = known - known * 15 / 100;
    const TrafficRange all = {0, known}, before = {0, cut};
    Status enough = forecast_history(f->series, f->t, cfg.history);
    if (!enough.code) enough = lead_general_enough(f->series, all, &cfg, cli->scratch);
    *done = enough.code != 0;
    if (*done) return forecast_brief(f, cli, o, &cfg, enough.msg);
    const bool split = !lead_general_enough(f->series, before, &cfg, cli->scratch).code;
    TRY(run_open_general(cli, &o->run, file, f->series, split ? before : all,
                         (TrafficRange){split ? cut : known, known}, f->run));
    return lead_general_refit(f->run, all);
}

static Status open_run(PathsForecast *f, Cli *cli, const PathsOptions *o)
{
    LeadRun *r = f->run;
    TRY(run_open(cli, &o->run, LEAD_NEWEST, r));
    TRY(read_series(f, cli, o));
    const bool past = r->final && f->t + 1 < r->train.end;   // the final fit has seen what came
    if (past) TRY(run_open(cli, &o->run, LEAD_BEST, r));
    TRY(lead_run_attach(r, f->series));
    if (past)
        fprintf(stderr, "note: the final fit has seen what came after row %lld; the weights before it forecast\n",
                (long long)f->t);
    return OK;
}

// Steps beyond those that the run draws.
static Status go_on(PathsForecast *f, int H, Arena *a)
{
    const LeadRun *r = f->run;
    const int64_t known = f->t + 1, cut = known - known * 15 / 100;
    const size_t HF = (size_t)H * (size_t)r->stats.F;
    LeadFar far;
    TRY(lead_far_fit(&far, a, r, H, (TrafficRange){0, cut}, (TrafficRange){cut, known}, (TrafficRange){0, known}));
    float *x = arena_alloc(a, (size_t)f->p.S * HF * sizeof *x), *point = arena_alloc(a, HF * sizeof *point);
    lead_far_forecast(&far, a, r, f->t, f->p.x, f->p.point, x, point);
    cli_say("note: the run draws %d steps; naive forecasts go on: %s (lead train --horizon %d draws them all)", f->p.K,
            lead_far_text(&far, a), H);
    f->p.x = x, f->p.point = point, f->p.K = H;
    return OK;
}

static Status forecast_run(PathsForecast *f, Cli *cli, const PathsOptions *o)
{
    Arena *a = cli->perm;
    const char *general;
    LeadRun *r = f->run = arena_zalloc(a, sizeof *r);
    TRY(run_is_general(cli, &o->run, &general));
    bool done = false;
    if (general) TRY(open_general(f, cli, o, general, &done));
    else TRY(open_run(f, cli, o));
    if (done) return OK;
    if (o->seed >= 0) r->cfg.seed = o->seed;
    // a path can be fed back as often as wanted
    if (r->cfg.horizons == HORIZON_ROLLOUT && o->horizon) r->cfg.horizon = (int)o->horizon;
    const int K = r->cfg.horizon;
    const size_t KF = (size_t)K * (size_t)r->stats.F;
    float *x = arena_alloc(a, (size_t)r->cfg.samples * KF * sizeof *x), *point = arena_alloc(a, KF * sizeof *point);
    TRY(lead_forecast(r, &f->t, 1, x, point));
    f->p = (TrafficPaths){r->cfg.samples, K, r->stats.N, lead_dist(r), x, point};
    f->model = rival_names[r->cfg.model];
    return o->horizon > K ? go_on(f, (int)o->horizon, a) : OK;
}

// ---- paths from a file

static Status forecast_file(PathsForecast *f, Cli *cli, const PathsOptions *o)
{
    if (o->run.model) return USAGE_ERROR("--paths: want paths or --model, got both");
    TRY(refuse_options(o, false, "--model RUN", "--paths"));
    TRY(paths_read(&f->p, cli->perm, o->file));
    fprintf(stderr, "%s: %d paths of %d steps, %d x %d, kbit/s\n", o->file, f->p.S, f->p.K, f->p.N, f->p.N);
    if (o->horizon > f->p.K)
        return USAGE_ERROR("--horizon: want at most the %d steps of %s, got %d", f->p.K, o->file, (int)o->horizon);
    f->model = "paths";
    if (!o->data.data && o->row >= 0) return USAGE_ERROR("--row: wants --data, whose row it is");
    if (!o->data.data) return OK;
    TRY(read_series(f, cli, o));
    return f->series->N == f->p.N ? OK
                                  : ERROR("%s: want paths of %d nodes as the data have, got %d", o->file, f->series->N,
                                          f->p.N);
}

// Sums of flows are floats too.
static Status check_finite(const PathsForecast *f)
{
    const int64_t F = (int64_t)f->p.N * f->p.N, KF = f->p.K * F;
    const float most = FLT_MAX / (float)F;
    const struct { const float *x; int64_t n; } part[] = {
        {f->p.point, KF}, {f->p.x, f->p.S * KF}, {f->levels, NAIVE_LEVELS * KF}};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        for (int64_t j = 0; part[i].x && j < part[i].n; j++)
            if (!(part[i].x[j] <= most))
                return ERROR("forecast: want values of at most %g kbit/s, got %g; --unit tells the unit of the data",
                             (double)most, (double)part[i].x[j]);
    return OK;
}

Status paths_forecast(PathsForecast *f, Cli *cli, const PathsOptions *o, bool draw)
{
    *f = (PathsForecast){.series = NULL};
    NaiveKind kind;
    if (o->file) TRY(forecast_file(f, cli, o));
    else if (o->run.model && find_naive(o->run.model, &kind)) TRY(forecast_naive(f, cli, o, kind, draw));
    else TRY(forecast_run(f, cli, o));
    f->steps = o->horizon ? (int)o->horizon : f->p.K;
    name_nodes(f, cli->perm);
    return check_finite(f);
}

void paths_say(const PathsForecast *f)
{
    if (!f->run) return;
    run_say(f->run);
    run_say_memory(f->run);
}
