#include "cli/guided.h"

#include <math.h>
#include <string.h>

#include "cli/paths.h"
#include "lead/general.h"
#include "tensor/clock.h"

enum { HISTORY = 16, STEPS = 20, PATHS = 32, SWEEPS = 200, DRAW_SWEEPS = 40, BATCH = 8, DAYS = 14 };

// ---- opening

static Status open_naive(Guided *g, const RunOptions *o, const TrafficSeries *s, TrafficRange known)
{
    NaiveKind kind = 0;
    if (o->llm || o->memory || o->sample_steps || o->sampler || o->guidance >= 0)
        return USAGE_ERROR("--model %s: a naive forecast has no use for --llm, --memory, --sample-steps, --sampler or "
                           "--guidance", o->model);
    while (strcmp(o->model, naive_names[kind])) kind++;
    g->name = naive_names[kind];
    g->history = HISTORY;
    g->K = STEPS;
    g->S = o->samples ? (int)o->samples : PATHS;
    return fallback_fit(&g->naive, g->cli->perm, kind, s, known, known, HISTORY, STEPS);
}

// Weights that suit any network: calibrated on the last part of what is known, then fitted on all of it.
static Status open_general(Guided *g, const RunOptions *o, const char *file, const TrafficSeries *s, TrafficRange known)
{
    const int64_t first = lead_general_first(known.end), cut = known.end - (known.end - first) * 15 / 100;
    LeadConfig cfg;
    TRY(lead_general_config(&cfg, NULL, file, g->cli->scratch));
    const TrafficRange all = {first, known.end}, before = {first, cut};
    TRY(lead_general_enough(s, before, &cfg, g->cli->scratch));
    TRY(run_open_general(g->cli, o, file, s, before, (TrafficRange){cut, known.end}, g->run));
    return lead_general_refit(g->run, all);
}

static Status open_trained(Guided *g, const RunOptions *o, TrafficSeries *s, TrafficRange known, LeadWanted wanted)
{
    LeadRun *r = g->run;
    TRY(run_open(g->cli, o, wanted, r));
    if (wanted == LEAD_BEST && r->train.end > known.end)
        return ERROR("%s: want a run that was fitted on rows before %lld, the first whose matrix is not known, got "
                     "rows up to %lld", r->file, (long long)known.end, (long long)r->train.end - 1);
    TRY(run_match_series(s, r->nodes, r->zone, o->model, g->cli->perm));
    TRY(lead_run_attach(r, s));
    run_say(r);
    return OK;
}

void guided_mean(const TrafficSeries *s, TrafficRange rows, double *mean)
{
    const int64_t F = (int64_t)s->N * s->N;
    int64_t n = 0;
    memset(mean, 0, (size_t)F * sizeof *mean);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        if (!s->valid[t]) continue;
        n++;
        for (int64_t f = 0; f < F; f++) mean[f] += (double)s->x[t * F + f];
    }
    for (int64_t f = 0; f < F && n; f++) mean[f] /= (double)n;
}

static Status open_forecast(Guided *g, const RunOptions *o, TrafficSeries *s, TrafficRange known, LeadWanted wanted)
{
    const char *general;
    if (paths_is_naive(o->model)) return open_naive(g, o, s, known);
    g->run = arena_zalloc(g->cli->perm, sizeof *g->run);
    TRY(run_is_general(g->cli, o, &general));
    if (general) TRY(open_general(g, o, general, s, known));
    else TRY(open_trained(g, o, s, known, wanted));
    g->name = rival_names[g->run->cfg.model];
    g->S = g->run->cfg.samples;
    g->K = g->run->cfg.horizon;
    g->history = g->run->cfg.history;
    return OK;
}

Status guided_open(Guided *g, Cli *cli, const RunOptions *o, TrafficSeries *s, TrafficRange known, LeadWanted wanted)
{
    *g = (Guided){.cli = cli, .F = (int64_t)s->N * s->N};
    TRY(open_forecast(g, o, s, known, wanted));
    double all = 0, *mean = arena_alloc(cli->perm, 2 * (size_t)g->F * sizeof *mean), *least = mean + g->F;
    guided_mean(s, known, mean);
    for (int64_t f = 0; f < g->F; f++) all += mean[f];
    for (int64_t f = 0; f < g->F; f++) least[f] = fmax(1e-3 * mean[f], 1e-6 * all / (double)g->F);
    g->mean = mean;
    g->least = least;
    return OK;
}

// ---- forecasts

static Status forecast(Guided *g, const TrafficSeries *s, const int64_t *t, int n, float *x, float *point)
{
    const int64_t KF = g->K * g->F;
    if (g->run) return lead_forecast(g->run, t, n, x, point);
    for (int i = 0; i < n; i++)
        fallback_forecast(&g->naive, g->cli->perm, s, t[i], g->S, 1, x + i * g->S * KF, point + i * KF);
    return OK;
}

// The draws of step k (from 0), moved to the loads -> row i of out.  guess, give: work space, [F] each.
static void move(const Guided *g, const float *x, const float *point, int k, const double *y, double *guess,
                 double *give, GuidedOut *out, int64_t i)
{
    const EstimateDraws draws = {g->S, g->K * g->F, x + k * g->F, point + k * g->F};
    float *estimate = out->estimate + i * g->F;
    memcpy(out->forecast + i * g->F, draws.point, (size_t)g->F * sizeof(float));
    estimate_from_draws(&draws, g->least, g->F, guess, give);
    measurement_set_known(g->m, y, guess);
    estimate_fit(g->m, y, guess, give, SWEEPS);
    out->left = fmax(out->left, estimate_fit(g->m, y, guess, NULL, SWEEPS));    // the little that is left
    for (int64_t f = 0; f < g->F; f++) estimate[f] = (float)guess[f];
    if (!out->paths) return;
    for (int s = 0; s < g->S; s++) {
        for (int64_t f = 0; f < g->F; f++) guess[f] = fmax((double)draws.x[s * draws.stride + f], g->least[f]);
        measurement_set_known(g->m, y, guess);
        estimate_fit(g->m, y, guess, give, DRAW_SWEEPS);
        for (int64_t f = 0; f < g->F; f++) out->paths[(s * out->n + i) * g->F + f] = (float)guess[f];
    }
}

typedef struct Room { float *x, *point; double *guess, *give; } Room;

static Room room_new(const Guided *g, int windows)
{
    Arena *a = g->cli->perm;
    const size_t n = (size_t)windows * (size_t)(g->K * g->F);
    return (Room){arena_alloc(a, (size_t)g->S * n * sizeof(float)), arena_alloc(a, n * sizeof(float)),
                  arena_alloc(a, (size_t)g->F * sizeof(double)), arena_alloc(a, (size_t)g->F * sizeof(double))};
}

static void show(Progress *bar, double start, int64_t done, int64_t n)
{
    progress_show(bar, done, n, (clock_seconds() - start) / (double)done * (double)(n - done), "matrices", done == n);
}

bool guided_can(const Guided *g, const TrafficSeries *s, int64_t row, int lag)
{
    return row >= lag && s->slot[row] - s->slot[row - lag] == lag && !forecast_history(s, row - lag, g->history).code;
}

Status guided_lagged(Guided *g, const TrafficSeries *s, const int64_t *row, int64_t n, int lag, GuidedOut *out)
{
    const int64_t KF = g->K * g->F;
    const Room r = room_new(g, BATCH);
    double *truth = arena_alloc(g->cli->perm, (size_t)g->F * sizeof *truth);
    double *y = arena_alloc(g->cli->perm, (size_t)g->m->rows * sizeof *y);
    Progress bar = progress_new();
    const double start = clock_seconds();
    for (int64_t at = 0; at < n; at += BATCH) {
        int64_t t[BATCH];
        const int b = n - at < BATCH ? (int)(n - at) : BATCH;
        for (int i = 0; i < b; i++) t[i] = row[at + i] - lag;
        TRY(forecast(g, s, t, b, r.x, r.point));
        for (int i = 0; i < b; i++) {
            for (int64_t f = 0; f < g->F; f++) truth[f] = (double)s->x[row[at + i] * g->F + f];
            measurement_of(g->m, truth, y);
            move(g, r.x + i * g->S * KF, r.point + i * KF, lag - 1, y, r.guess, r.give, out, at + i);
        }
        show(&bar, start, at + b, n);
    }
    return OK;
}

// ---- one block after the other

// The run forecasts from the newest rows before `end`: what is older, moving averages have forgotten.
static Status attach(Guided *g, const TrafficSeries *w, int64_t end)
{
    Arena *a = g->cli->perm;
    const bool all = lead_refits_ridge(&g->run->cfg);        // base ridge-online is fitted on all rows before
    const int64_t newest = DAYS * traffic_slots_per_day(w) + g->history;
    TrafficSeries *s = arena_alloc(a, sizeof *s);
    *s = traffic_series_newest(w, a, all || end < newest ? 0 : end - newest);
    s->T = end - (w->T - s->T);
    while (s->n_runs && s->runs[s->n_runs - 1].begin >= s->T) s->n_runs--;
    if (s->n_runs && s->runs[s->n_runs - 1].end > s->T) s->runs[s->n_runs - 1].end = s->T;
    return lead_run_attach(g->run, s);
}

// How many rows from `at` on follow row at - 1 without a gap and with loads, up to a block.
static int block_rows(const Guided *g, const TrafficSeries *w, int64_t at)
{
    int n = 0;
    while (n < g->K && at + n < w->T && traffic_row_at(w, at - 1, n + 1) == at + n) n++;
    return n;
}

// Without a history: the mean matrix, moved to the loads.
static void move_mean(const Guided *g, const double *y, double *guess, GuidedOut *out, int64_t i)
{
    memcpy(guess, g->mean, (size_t)g->F * sizeof *guess);
    measurement_set_known(g->m, y, guess);
    out->left = fmax(out->left, estimate_fit(g->m, y, guess, NULL, 300));
    out->unforecast++;
    for (int64_t f = 0; f < g->F; f++) {
        out->estimate[i * g->F + f] = (float)guess[f];
        out->forecast[i * g->F + f] = (float)g->mean[f];
        for (int s = 0; out->paths && s < g->S; s++) out->paths[(s * out->n + i) * g->F + f] = (float)guess[f];
    }
}

Status guided_walk(Guided *g, TrafficSeries *w, int64_t begin, const double *y, GuidedOut *out)
{
    const Room r = room_new(g, 1);
    Progress bar = progress_new();
    const double start = clock_seconds();
    const size_t mark = arena_mark(g->cli->perm);
    for (int64_t at = begin; at < w->T;) {
        const int64_t t = at - 1, i = at - begin;
        int n = at > 0 && !forecast_history(w, t, g->history).code ? block_rows(g, w, at) : 0;
        if (n) {
            arena_rewind(g->cli->perm, mark);
            if (g->run) TRY(attach(g, w, at));
            const int64_t last = g->run ? g->run->series->T - 1 : t;
            TRY(forecast(g, w, &last, 1, r.x, r.point));
            for (int k = 0; k < n; k++) move(g, r.x, r.point, k, y + (i + k) * g->m->rows, r.guess, r.give, out, i + k);
        } else {
            n = 1;
            if (w->valid[at]) move_mean(g, y + i * g->m->rows, r.guess, out, i);
        }
        for (int k = 0; k < n; k++)
            if (w->valid[at + k])
                memcpy(w->x + (at + k) * g->F, out->estimate + (i + k) * g->F, (size_t)g->F * sizeof *w->x);
        at += n;
        show(&bar, start, at - begin, w->T - begin);
    }
    return OK;
}
