// lead estimate
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/guided.h"
#include "cli/network.h"
#include "cli/paths.h"
#include "cli/verbs.h"
#include "io/npy.h"
#include "tensor/philox.h"
#include "traffic/protocol.h"

typedef struct Values {
    DataOptions data;
    NetworkOptions net;
    RunOptions run;
    const char *loads, *out, *paths, *prior, *split, *known;
    int64_t stride, nodes, lag;
} Values;

#define AT(field) offsetof(Values, field)
static const Option table[] = {
    NETWORK_OPTIONS(Values),
    DATA_OPTIONS(Values),
    RUN_OPTIONS(Values),
    {"loads", OPT_TEXT, AT(loads), "FILE",
     "what was measured: .npy [T, L + 2N], kbit/s: links in the topology's order, ingress, egress of the nodes; then "
     "the flows of --known", 0, 0},
    {"known", OPT_TEXT, AT(known), "LIST",
     "flows that are measured by themselves, SOURCE:DESTINATION,..; or to be scored such as 10%, drawn at random", 0,
     0},
    {"nodes", OPT_INT, AT(nodes), "N", "with --loads: nodes of the matrices (default: the topology's)", 2, 4096},
    {"prior", OPT_TEXT, AT(prior), "NAME", "with --loads: gravity, or mean (the mean matrix of --data) [gravity]", 0,
     0},
    {"out", OPT_TEXT, AT(out), "FILE", "with --loads: the matrices, .npy [T,N,N] float32, kbit/s", 0, 0},
    {"paths", OPT_TEXT, AT(paths), "FILE",
     "with --loads and --model: also every draw, moved to the loads, .npy [S,T,N,N] float32, kbit/s", 0, 0},
    {"split", OPT_TEXT, AT(split), "NAME", "without --loads: score on the rows of val or test [val]", 0, 0},
    {"stride", OPT_INT, AT(stride), "N", "score every N-th row [1]", 1, 1e9},
    {"lag", OPT_INT, AT(lag), "K", "score --model where matrices are known up to K rows before the one estimated "
     "(default: up to the rows that are scored)", 1, 10000},
};

static void defaults(void *values)
{
    Values *v = values;
    v->run.guidance = -1;
    v->split = "val";
    v->stride = 1;
}

enum { SWEEPS = 300 };

// ---- scored against known matrices

typedef enum Method {
    GRAVITY, TOMOGRAVITY, MEAN, MEAN_FITTED, LAST, LAST_FITTED, FORECAST, FORECAST_FITTED, GUIDED, METHODS
} Method;

static bool is_fitted(Method k)
{
    return k == TOMOGRAVITY || k == MEAN_FITTED || k == LAST_FITTED || k == FORECAST_FITTED || k == GUIDED;
}

typedef struct Errors { double absolute, square, truth, residual; int64_t n; } Errors;

// The rows that are scored and what a forecast makes of them.
typedef struct Scored {
    const TrafficSeries *s;
    const Measurement *m;
    const bool *known;           // flows that are measured by themselves are not scored; NULL: none
    TrafficSplits split;
    TrafficRange rows;
    int64_t *row, n, skipped;
    const double *mean;          // of the training rows
    int methods;                 // GUIDED + 1 with --model, else LAST
    int lag;                     // 0: matrices are known up to rows.begin
    Guided *g;
    GuidedOut made;              // [n]
} Scored;

static void add_errors(Errors *e, const Scored *c, int64_t t, const double *x, bool all)
{
    const TrafficSeries *s = c->s;
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t f = 0; f < F; f++) {
        if ((!all && f / s->N == f % s->N) || (c->known && c->known[f])) continue;
        const double truth = (double)s->x[t * F + f], d = x[f] - truth;
        e->absolute += fabs(d);
        e->square += d * d;
        e->truth += truth;
        e->n++;
    }
}

static void print_errors(const Scored *c, const Errors e[METHODS][2])
{
    const char *model = c->g ? c->g->name : "";
    const struct { const char *a, *b; } name[METHODS] = {
        {"gravity", ""}, {"tomogravity", ""}, {"mean", ""}, {"mean", "+links"}, {"last", ""}, {"last", "+links"},
        {model, ""}, {model, "+links"}, {model, " guided"}};
    printf("method\tflows\trows\tnmae\tnrmse\trmse_kbps\tmisfit\n");
    for (int m = 0; m < c->methods; m++)
        for (int all = 0; all < 2; all++) {
            const Errors *k = &e[m][all];
            const double rmse = sqrt(k->square / (double)k->n);
            printf("%s%s\t%s\t%lld\t%.4f\t%.4f\t%.6g\t", name[m].a, name[m].b, all ? "all" : "off-diagonal",
                   (long long)c->n, k->absolute / k->truth, rmse / (k->truth / (double)k->n), rmse);
            if (is_fitted((Method)m)) printf("%.2g\n", k->residual);
            else printf("\n");
        }
}

// The last matrix that is known when row i of the scored ones is estimated.
static int64_t last_known(const Scored *c, int64_t i)
{
    int64_t t = c->lag ? c->row[i] - c->lag : c->rows.begin - 1;
    while (t > 0 && !c->s->valid[t]) t--;
    return t;
}

static void guess_of(const Scored *c, Method k, int64_t i, const double *y, double *x)
{
    const int64_t F = (int64_t)c->m->n * c->m->n;
    const float *from = k == LAST || k == LAST_FITTED ? c->s->x + last_known(c, i) * F
                        : k == GUIDED                 ? c->made.estimate + i * F
                                                      : c->made.forecast + i * F;
    if (k == GRAVITY || k == TOMOGRAVITY) estimate_gravity(c->m, y, x);
    else if (k == MEAN || k == MEAN_FITTED) memcpy(x, c->mean, (size_t)F * sizeof *x);
    else
        // flows of 0 cannot be moved
        for (int64_t f = 0; f < F; f++) x[f] = k == LAST || k == GUIDED ? (double)from[f]
                                                                         : fmax((double)from[f], c->g->least[f]);
}

static void score_rows(const Scored *c, Arena *a, Errors e[METHODS][2])
{
    const int64_t F = (int64_t)c->m->n * c->m->n;
    double *x = arena_alloc(a, 2 * (size_t)F * sizeof *x), *truth = x + F;
    double *y = arena_alloc(a, (size_t)c->m->rows * sizeof *y);
    for (int64_t i = 0; i < c->n; i++) {
        for (int64_t f = 0; f < F; f++) truth[f] = (double)c->s->x[c->row[i] * F + f];
        measurement_of(c->m, truth, y);
        for (int k = 0; k < c->methods; k++) {
            guess_of(c, (Method)k, i, y, x);
            measurement_set_known(c->m, y, x);
            const double left = k == GUIDED            ? c->made.left
                                : is_fitted((Method)k) ? estimate_fit(c->m, y, x, NULL, SWEEPS)
                                                       : NAN;
            for (int all = 0; all < 2; all++) {
                add_errors(&e[k][all], c, c->row[i], x, all);
                e[k][all].residual = fmax(e[k][all].residual, left);
            }
        }
    }
}

static GuidedOut made_new(Arena *a, int64_t n, int64_t F, int S)
{
    return (GuidedOut){.estimate = arena_zalloc(a, (size_t)(n * F) * sizeof(float)),
                       .forecast = arena_zalloc(a, (size_t)(n * F) * sizeof(float)),
                       .paths = S ? arena_zalloc(a, (size_t)(S * n * F) * sizeof(float)) : NULL, .n = n};
}

// All rows that are scored and those between, estimated one block after the other; c->made keeps those that are scored.
static Status walk_scored(Scored *c, Cli *cli)
{
    Arena *a = cli->perm;
    const int64_t F = (int64_t)c->m->n * c->m->n, n = c->rows.end - c->rows.begin;
    TrafficSeries w = *c->s;
    GuidedOut all = made_new(a, n, F, 0);
    double *y = arena_alloc(a, (size_t)(n * c->m->rows) * sizeof *y);
    double *truth = arena_alloc(a, (size_t)F * sizeof *truth);
    w.T = c->rows.end;
    w.x = arena_alloc(a, (size_t)(w.T * F) * sizeof *w.x);
    memcpy(w.x, c->s->x, (size_t)(w.T * F) * sizeof *w.x);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t f = 0; f < F; f++) truth[f] = (double)w.x[(c->rows.begin + i) * F + f];
        measurement_of(c->m, truth, y + i * c->m->rows);
        for (int64_t f = 0; f < F; f++) w.x[(c->rows.begin + i) * F + f] = (float)c->mean[f];   // not known
    }
    TRY(guided_walk(c->g, &w, c->rows.begin, y, &all));
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t at = c->row[i] - c->rows.begin;
        memcpy(c->made.estimate + i * F, all.estimate + at * F, (size_t)F * sizeof(float));
        memcpy(c->made.forecast + i * F, all.forecast + at * F, (size_t)F * sizeof(float));
    }
    c->made.left = all.left;
    if (all.unforecast)
        cli_say("note: %lld of %lld rows have no history to forecast from: the mean matrix, moved to the loads",
                (long long)all.unforecast, (long long)n);
    return OK;
}

// What guides: forecasts of the rows that are scored, or of all from the first of them on.
static Status guide(Scored *c, Cli *cli, const Values *v)
{
    const int64_t F = (int64_t)c->m->n * c->m->n;
    int64_t n = 0;
    c->methods = METHODS;
    c->lag = (int)v->lag;
    if (c->lag > c->g->K)
        return USAGE_ERROR("--lag: want at most the %d steps that %s forecasts, got %d", c->g->K, v->run.model, c->lag);
    for (int64_t i = 0; i < c->n; i++)
        if (!c->lag || guided_can(c->g, c->s, c->row[i], c->lag)) c->row[n++] = c->row[i];
    c->skipped = c->n - n;
    c->n = n;
    if (!n) return ERROR("%s: want rows with a history to forecast them from, got none", v->data.data);
    c->made = made_new(cli->perm, n, F, 0);
    return c->lag ? guided_lagged(c->g, c->s, c->row, n, c->lag, &c->made) : walk_scored(c, cli);
}

static void say_scored(const Scored *c, const Values *v)
{
    fprintf(stderr,
            "rows %lld..%lld, every %lld-th; what is measured is computed from them, without noise; the mean is "
            "that of rows 0..%lld\n",
            (long long)c->rows.begin, (long long)c->rows.end - 1, (long long)v->stride,
            (long long)c->split.train.end - 1);
    if (c->skipped)
        fprintf(stderr, "%lld rows are left out: no history to forecast them from\n", (long long)c->skipped);
    if (c->known)
        fprintf(stderr, "%d flows are measured by themselves and not scored\n", c->m->rows - c->m->L - 2 * c->m->n);
    if (c->g && c->lag) fprintf(stderr, "matrices are known up to %d rows before the one that is estimated\n", c->lag);
    else if (c->g)
        fprintf(stderr, "matrices are known up to row %lld; from then on forecasts see the estimates before them\n",
                (long long)c->rows.begin - 1);
}

static TrafficRange scored_rows(const TrafficSeries *s, const char *split)
{
    const TrafficSplits splits = traffic_splits(s->T, PROTOCOL_CLEAN);
    return strcmp(split, "val") ? splits.test : splits.val;
}

// g: what guides, or NULL.
static Status score(Cli *cli, const Values *v, TrafficSeries *s, const Measurement *m, const bool *known, Guided *g)
{
    Scored c = {.s = s, .m = m, .known = known, .g = g, .split = traffic_splits(s->T, PROTOCOL_CLEAN),
                .rows = scored_rows(s, v->split), .methods = LAST};
    double *mean = arena_alloc(cli->perm, (size_t)(s->N * s->N) * sizeof *mean);
    guided_mean(s, c.split.train, mean);
    c.mean = mean;
    c.row = arena_alloc(cli->perm, (size_t)(c.rows.end - c.rows.begin + 1) * sizeof *c.row);
    for (int64_t t = c.rows.begin; t < c.rows.end; t += v->stride)
        if (s->valid[t]) c.row[c.n++] = t;
    if (!c.n) return ERROR("%s: want valid rows in the split %s, got none", v->data.data, v->split);
    if (g) TRY(guide(&c, cli, v));
    Errors e[METHODS][2] = {0};
    score_rows(&c, cli->perm, e);
    say_scored(&c, v);
    print_errors(&c, (const Errors(*)[2])e);
    return OK;
}

// ---- from measured loads

static Status read_loads(double **out, int64_t *T, Cli *cli, const Values *v, const Measurement *m)
{
    NpyArray y;
    TRY(npy_read(&y, cli->perm, v->loads));
    if (strcmp(y.type, "<i8") == 0 || y.n_dims != 2 || y.dims[1] != m->rows)
        return ERROR(
            "%s: want '<f4' or '<f8' of shape [T, %d] (%d links, ingress and egress of %d nodes%s), got '%s' [%lld%s, "
            "%lld]",
            v->loads, m->rows, m->L, m->n, v->known ? ", flows of --known" : "", y.type, (long long)y.dims[0],
            y.n_dims == 2 ? "" : ", ..",
            (long long)y.dims[y.n_dims - 1]);
    *T = y.dims[0];
    *out = arena_alloc(cli->perm, (size_t)(y.count > 0 ? y.count : 1) * sizeof **out);
    for (int64_t i = 0; i < y.count; i++) {
        const bool small = y.type[2] == '4';
        const double x = small ? (double)((const float *)y.data)[i] : ((const double *)y.data)[i];
        (*out)[i] = x;
        if (!(x >= 0 && isfinite(x)))
            return ERROR("%s: want finite values >= 0 kbit/s, got %g in row %lld, column %lld", v->loads, x,
                         (long long)(i / m->rows), (long long)(i % m->rows));
    }
    return OK;
}

// s grown by n valid rows in the slots after its last; their matrices are unknown.
static TrafficSeries grown(const TrafficSeries *s, Arena *a, int64_t n)
{
    const int64_t F = (int64_t)s->N * s->N, T = s->T + n;
    TrafficSeries w = *s;
    w.T = T;
    w.x = arena_zalloc(a, (size_t)(T * F) * sizeof *w.x);
    w.slot = arena_alloc(a, (size_t)T * sizeof *w.slot);
    w.valid = arena_alloc(a, (size_t)T);
    w.runs = arena_alloc(a, (size_t)s->n_runs * sizeof *w.runs);
    if (s->time) w.time = arena_alloc(a, (size_t)T * sizeof *w.time);
    w.seen = w.measured = NULL;      // what was filled is known as well as it will ever be
    memcpy(w.x, s->x, (size_t)(s->T * F) * sizeof *w.x);
    memcpy(w.runs, s->runs, (size_t)s->n_runs * sizeof *w.runs);
    w.runs[s->n_runs - 1].end = T;
    for (int64_t t = 0; t < T; t++) {
        const int64_t from = t < s->T ? t : s->T - 1, after = t - from;
        w.slot[t] = s->slot[from] + after;
        w.valid[t] = after ? 1 : s->valid[from];
        if (s->time) w.time[t] = s->time[from] + after * s->slot_seconds;
    }
    return w;
}

static Status estimate_guided(Cli *cli, const Values *v, const TrafficSeries *s, Guided *g, const double *y, int64_t T,
                              GuidedOut *out)
{
    TrafficSeries w = grown(s, cli->perm, T);
    *out = made_new(cli->perm, T, g->F, v->paths ? g->S : 0);
    TRY(guided_walk(g, &w, s->T, y, out));
    if (out->unforecast)
        cli_say("note: %lld of %lld rows have no history to forecast from: the mean matrix, moved to the loads",
                (long long)out->unforecast, (long long)T);
    if (T > g->K)
        fprintf(stderr, "rows 0..%d are guided by forecasts from known matrices, later ones by forecasts that see the "
                        "estimates before them\n", g->K - 1);
    return OK;
}

static void estimate_prior(Arena *a, const double *mean, const Measurement *m, const double *y, int64_t T,
                           GuidedOut *out)
{
    const int64_t F = (int64_t)m->n * m->n;
    double *x = arena_alloc(a, (size_t)F * sizeof *x);
    for (int64_t t = 0; t < T; t++) {
        if (mean) memcpy(x, mean, (size_t)F * sizeof *x);
        else estimate_gravity(m, y + t * m->rows, x);
        measurement_set_known(m, y + t * m->rows, x);
        out->left = fmax(out->left, estimate_fit(m, y + t * m->rows, x, NULL, SWEEPS));
        for (int64_t f = 0; f < F; f++) out->estimate[t * F + f] = (float)x[f];
    }
}

static Status estimate(Cli *cli, const Values *v, const TrafficSeries *s, const Measurement *m, Guided *g)
{
    const int n = m->n;
    const int64_t F = (int64_t)n * n;
    double *y = NULL, *mean = NULL;
    int64_t T = 0;
    TRY(read_loads(&y, &T, cli, v, m));
    GuidedOut out = {0};
    if (v->prior && !strcmp(v->prior, "mean")) {
        mean = arena_alloc(cli->perm, (size_t)F * sizeof *mean);
        guided_mean(s, (TrafficRange){0, s->T}, mean);
    }
    if (!g) out = made_new(cli->perm, T, F, 0);
    if (g) TRY(estimate_guided(cli, v, s, g, y, T, &out));
    else estimate_prior(cli->perm, mean, m, y, T, &out);
    fprintf(stderr, "%lld matrices; they miss what was measured by at most %.2g of the largest value\n", (long long)T,
            out.left);
    TRY(npy_write(v->out, "<f4", (int64_t[]){T, n, n}, 3, out.estimate));
    if (v->paths) {
        TRY(npy_write(v->paths, "<f4", (int64_t[]){g->S, T, n, n}, 4, out.paths));
        TRY(manifest_write(cli, v->paths));
    }
    return manifest_write(cli, v->out);
}

// ---- flows that are measured by themselves

typedef struct Lot { uint32_t drawn; int flow; } Lot;

static int by_lot(const void *p, const void *q)
{
    const Lot *a = p, *b = q;
    return a->drawn != b->drawn ? (a->drawn > b->drawn) - (a->drawn < b->drawn) : a->flow - b->flow;
}

// A share of the flows between different nodes, always the same ones.
static void draw_flows(bool *known, Arena *a, int n, double share)
{
    Lot *lot = arena_alloc(a, (size_t)n * (size_t)n * sizeof *lot);
    int lots = 0;
    for (int f = 0; f < n * n; f++)
        if (f / n != f % n) lot[lots++] = (Lot){philox_u32(1, philox_subsequence(SITE_SAMPLE, 0), (uint64_t)f), f};
    qsort(lot, (size_t)lots, sizeof *lot, by_lot);
    for (int i = 0; i < (int)lround(share * lots); i++) known[lot[i].flow] = true;
}

// What --known says -> *out [N*N], NULL: nothing.
static Status known_flows(const bool **out, Arena *a, const Values *v, const TrafficSeries *s)
{
    *out = NULL;
    if (!v->known) return OK;
    bool *known = arena_zalloc(a, (size_t)s->N * (size_t)s->N);
    char *end;
    const double percent = strtod(v->known, &end);
    *out = known;
    if (end != v->known && !strcmp(end, "%")) {
        if (!(percent >= 0 && percent < 100)) return USAGE_ERROR("--known: want 0%% .. 99%%, got '%s'", v->known);
        if (v->loads) return USAGE_ERROR("--known: with --loads want a list of flows, got '%s'", v->known);
        draw_flows(known, a, s->N, percent / 100);
        return OK;
    }
    return paths_parse_flows(v->known, "known", s, known);
}

// ---- the verb

static Status check_usage(const Values *v, bool series)
{
    if (!v->loads && !series) return USAGE_ERROR("estimate: wants --loads FILE, or --data FILE to be scored on");
    if (v->loads && !series && !v->nodes && !v->net.topology)
        return USAGE_ERROR("estimate: --routing alone wants --nodes N");
    if (v->loads && !v->out) return USAGE_ERROR("estimate: --loads wants --out FILE");
    if (strcmp(v->split, "val") && strcmp(v->split, "test"))
        return USAGE_ERROR("--split: want val or test, got '%s'", v->split);
    if (v->prior && strcmp(v->prior, "gravity") && (strcmp(v->prior, "mean") || !series))
        return USAGE_ERROR("--prior: want gravity, or mean and --data; got '%s'", v->prior);
    if (v->run.model && !series) return USAGE_ERROR("--model: wants --data, the matrices that are known");
    if (v->known && !series) return USAGE_ERROR("--known: wants --data, whose flows it names");
    if (v->run.model && v->prior) return USAGE_ERROR("--prior: want a prior or --model, got both");
    if (v->lag && (!v->run.model || v->loads)) return USAGE_ERROR("--lag: wants --model, and no --loads");
    if (v->paths && (!v->run.model || !v->loads)) return USAGE_ERROR("--paths: wants --model and --loads");
    return OK;
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    TrafficSeries s, *series = v->data.data ? &s : NULL;
    Network net;
    Guided g, *guided = v->run.model ? &g : NULL;
    TRY(check_usage(v, series != NULL));
    if (series) TRY(data_read(cli, &v->data, series));
    if (guided) {
        const TrafficRange known = {0, v->loads ? s.T : v->lag ? traffic_splits(s.T, PROTOCOL_CLEAN).train.end
                                                               : scored_rows(&s, v->split).begin};
        TRY(guided_open(&g, cli, &v->run, &s, known, v->loads ? LEAD_NEWEST : LEAD_BEST));
    }
    int n = series ? s.N : (int)v->nodes;
    if (!n) {
        Topology t;
        TRY(topology_read(&t, cli->perm, v->net.topology, 0));
        n = t.N;
    }
    TRY(network_open(&net, cli, &v->net, n, series ? s.node : NULL));
    const bool *known;
    TRY(known_flows(&known, cli->perm, v, series));
    const Measurement m = measurement_new(cli->perm, &net.routing, known);
    g.m = &m;
    return v->loads ? estimate(cli, v, series, &m, guided) : score(cli, v, series, &m, known, guided);
}

const Verb verb_estimate = {
    .name = "estimate",
    .summary = "Estimates traffic matrices from link loads, or scores that: gravity, tomogravity, a forecast.",
    .text = "With --loads it writes a matrix for each row of measured loads.  Without, it computes loads from the "
            "matrices of\n"
            "--data, estimates the matrices back, and prints the errors: nmae = sum |error| / sum of traffic, nrmse = "
            "RMSE /\n"
            "mean, misfit = what is left of the loads.  mean+links moves the mean matrix of the training rows to the "
            "loads.\n"
            "--model guides: draws of the diffusion (or of a naive forecast, such as ridge) are moved to the loads, "
            "each flow\n"
            "as far as the draws are unsure of it.  With --loads, --data holds the matrices that are known; the rows "
            "of loads\n"
            "follow its last.",
    OPTIONS(table),
    .size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
