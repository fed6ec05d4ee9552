// lead whatif
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/forecast_table.h"
#include "cli/network.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include "links/optimal.h"
#include "links/whatif.h"

typedef struct Values {
    LoadsOptions loads;
    const char *fail, *move, *routing_out;
    double grow;
    bool optimise;
} Values;

#define AT(field) offsetof(Values, field)
static const Option table[] = {
    LOADS_OPTIONS("print how probable a utilisation above so many % is [80,100]", "tsv, csv or jsonl"),
    {"fail", OPT_TEXT, AT(fail), "LIST",
     "what fails: links A-B, nodes, groups, X+Y at once, all-links, all-nodes, all-groups, all-single", 0, 0},
    {"grow", OPT_NUMBER, AT(grow), "X", "all traffic times X [1]", 1e-6, 1e6},
    {"move", OPT_TEXT, AT(move), "A:B:P", "the share P of what enters and leaves at A does so at B instead; a list", 0,
     0},
    {"optimise", OPT_FLAG, AT(optimise), NULL,
     "instead: the routing of the least largest utilisation, planned on the mean, on q0.9, on all paths, on the regret",
     0, 0},
    {"routing-out", OPT_TEXT, AT(routing_out), "FILE",
     "with --optimise: write the one planned on the regret, .npy [L,F]", 0, 0},
};

static void defaults(void *values)
{
    Values *v = values;
    loads_defaults(&v->loads, "80,100");
    v->grow = 1;
}

// ---- rows of either table: a name, numbers, words

typedef struct Sheet {
    FILE *out;
    char separator;              // 0: JSON lines
    JsonWriter json;
    bool begun;
} Sheet;

static void put_head(Sheet *s, const char *name)
{
    if (!s->separator) return;
    if (s->begun) fputc(s->separator, s->out);
    fputs(name, s->out);
    s->begun = true;
}

static void put_text(Sheet *s, const char *name, const char *text)
{
    if (!s->separator) {
        json_string(&s->json, name, text);
        return;
    }
    if (s->begun) fputc(s->separator, s->out);
    csv_put_text(s->out, text);
    s->begun = true;
}

static void put_number(Sheet *s, const char *name, double v)
{
    if (!s->separator) json_double(&s->json, name, v);
    else if (isfinite(v)) fprintf(s->out, "%c%.6g", s->separator, v);
    else fputc(s->separator, s->out);
}

static void begin_row(Sheet *s)
{
    s->begun = false;
    if (s->separator) return;
    json_reset(&s->json);
    json_object(&s->json, NULL);
}

static void end_row(Sheet *s)
{
    if (s->separator) {
        fputc('\n', s->out);
        return;
    }
    json_end(&s->json);
    fputs(json_text(&s->json, NULL), s->out);
}

static Status open_sheet(Sheet *s, const char *format, Arena *a)
{
    *s = (Sheet){.separator = !strcmp(format, "tsv")   ? '\t'
                              : !strcmp(format, "csv") ? ','
                                                       : 0,
                 .json = json_writer(a, 0)};
    return s->separator || !strcmp(format, "jsonl") ? OK
                                                    : USAGE_ERROR("--format: want tsv, csv or jsonl, got '%s'", format);
}

// ---- other traffic

static Status move_one(TrafficPaths *p, Arena *a, const Topology *t, char *word)
{
    const char *given = arena_printf(a, "%s", word);
    char *to = strchr(word, ':'), *part = to ? strchr(to + 1, ':') : NULL, *end = NULL;
    double share = 0;
    if (part) *to++ = 0, *part++ = 0, share = strtod(part, &end);
    if (!part || end == part || *end || !(share >= 0 && share <= 1))
        return USAGE_ERROR("--move: want A:B:0.5, a share of 0..1 from node A to node B, got '%s'", given);
    const int from = topology_node(t, word), into = topology_node(t, to);
    if (from < 0 || into < 0 || from >= p->N || into >= p->N || from == into)
        return USAGE_ERROR("--move: want two nodes of the data such as %s:%s:0.5, got '%s:%s'", t->node[0], t->node[1],
                           word, to);
    *p = whatif_move(p, a, from, into, share);
    return OK;
}

static Status change_traffic(TrafficPaths *p, Arena *a, const Topology *t, const Values *v)
{
    if (v->grow < 1 || v->grow > 1) *p = whatif_grow(p, a, v->grow);
    if (!v->move) return OK;
    char *save, *list = arena_printf(a, "%s", v->move);
    for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save))
        TRY(move_one(p, a, t, word));
    return OK;
}

// ---- failures

typedef struct Task {
    const PathsForecast *f;
    const TrafficPaths *p;
    const Topology *t;
    const LoadOptions *o;
    Arena *a, *scratch;
} Task;

static const char *level_name(const Task *k, const char *what, int i)
{
    return arena_printf(k->a, "%sq%g_percent", what, k->o->level[i]);
}

static const char *above_name(const Task *k, int i) { return arena_printf(k->a, "p_above_%g", 100 * k->o->above[i]); }

static void failure_heads(Sheet *s, const Task *k)
{
    begin_row(s);
    static const char *const first[] = {"failure", "kind", "mean_percent"}, *const last[] = {"fullest_link",
        "fullest_link_share", "lost_kbps", "lost_pairs", "lost"};
    for (int i = 0; i < 3; i++) put_head(s, first[i]);
    for (int i = 0; i < k->o->levels; i++) put_head(s, level_name(k, "", i));
    for (int i = 0; i < k->o->thresholds; i++) put_head(s, above_name(k, i));
    for (int i = 0; i < 5; i++) put_head(s, last[i]);
    if (s->separator) fputc('\n', s->out);
}

// The largest pairs that are lost: all of them as JSON, the first five in a table.
static const char *lost_text(const Sheet *s, const Task *k, const FailureResult *r)
{
    enum { SHOWN = 5 };
    const int N = k->p->N, n = s->separator && r->n_lost > SHOWN ? SHOWN : r->n_lost;
    const char *text = "";
    for (int i = 0; i < n; i++)
        text = arena_printf(k->a, "%s%s%s>%s", text, i ? " " : "", k->t->node[r->lost[i] / N],
                            k->t->node[r->lost[i] % N]);
    return n < r->n_lost ? arena_printf(k->a, "%s ..", text) : text;
}

static void failure_row(Sheet *s, const Task *k, const FailureResult *r)
{
    begin_row(s);
    put_text(s, "failure", r->failure->name);
    put_text(s, "kind", failure_kinds[r->failure->kind]);
    put_number(s, "mean_percent", 100 * r->mean);
    for (int i = 0; i < k->o->levels; i++) put_number(s, level_name(k, "", i), 100 * r->quantile[i]);
    for (int i = 0; i < k->o->thresholds; i++) put_number(s, above_name(k, i), r->probability[i]);
    put_text(s, "fullest_link", r->link < 0 ? "" : k->t->link[r->link].name);
    put_number(s, "fullest_link_share", r->link_share);
    put_number(s, "lost_kbps", r->lost_kbps);
    put_number(s, "lost_pairs", r->n_lost);
    put_text(s, "lost", lost_text(s, k, r));
    end_row(s);
}

static Status print_failures(Sheet *s, const Task *k, const char *fail)
{
    FailureList list;
    TRY(failures_parse(&list, k->a, k->t, fail));
    FailureResult *r = arena_alloc(k->a, (size_t)list.n * sizeof *r);
    for (int i = 0; i < list.n; i++)
        failure_assess(&r[i], k->a, k->scratch, k->t, &list.failure[i], k->p, k->f->steps, k->o);
    failures_sort(r, list.n, k->o->levels);
    failure_heads(s, k);
    for (int i = 0; i < list.n; i++) failure_row(s, k, &r[i]);
    const FailureResult *worst = &r[0];
    if (worst->link < 0) fprintf(stderr, "no link has a known capacity: lost demand alone\n");
    else {
        fprintf(stderr, "worst: %s, largest utilisation", worst->failure->name);
        loads_say_largest(k->o, worst->quantile, worst->mean);
        fprintf(stderr, ", on %s\n", k->t->link[worst->link].name);
    }
    return OK;
}

// ---- the best routing

// The step with the most traffic on average.
static int fullest_step(const Task *k)
{
    int at = 0;
    for (int i = 1; i < k->f->steps; i++)
        if (paths_sum(k->p->point + (int64_t)i * k->p->N * k->p->N, k->p->N, PATHS_TOTAL, 0) >
            paths_sum(k->p->point + (int64_t)at * k->p->N * k->p->N, k->p->N, PATHS_TOTAL, 0)) at = i;
    return at;
}

// Largest utilisation of each path [S] under a routing, and its ratio to the best one of that path.
static void plan_row(Sheet *s, const Task *k, const char *name, const Routing *r, int step, const double *oracle)
{
    const int S = k->p->S;
    float *u = arena_alloc(k->a, 2 * (size_t)S * sizeof *u), *regret = u + S;
    double *load = arena_alloc(k->a, (size_t)k->t->L * sizeof *load), *q = arena_alloc(k->a, 100 * sizeof *q);
    double mean = 0, mean_regret = 0, most = 0;
    for (int i = 0; i < S; i++) {
        double best = oracle[i];
        if (r) loads_of(r, paths_at(k->p, i, step), load), best = loads_largest(k->t, load, NULL);
        u[i] = (float)best;
        regret[i] = oracle[i] > 0 ? (float)(best / oracle[i] - 1) : 0;
        mean += best / S;
        mean_regret += (double)regret[i] / S;
        most = fmax(most, (double)regret[i]);
    }
    begin_row(s);
    put_text(s, "routing", name);
    put_number(s, "mean_percent", 100 * mean);
    paths_quantiles(u, S, DIST_SAMPLES, k->o->level, k->o->levels, q);
    for (int i = 0; i < k->o->levels; i++) put_number(s, level_name(k, "", i), 100 * q[i]);
    put_number(s, "max_percent", 100 * (double)u[S - 1]);      // sorted now
    put_number(s, "regret_mean_percent", 100 * mean_regret);
    paths_quantiles(regret, S, DIST_SAMPLES, k->o->level, k->o->levels, q);
    for (int i = 0; i < k->o->levels; i++) put_number(s, level_name(k, "regret_", i), 100 * q[i]);
    put_number(s, "regret_max_percent", 100 * most);
    end_row(s);
}

static void plan_heads(Sheet *s, const Task *k)
{
    begin_row(s);
    put_head(s, "routing");
    put_head(s, "mean_percent");
    for (int i = 0; i < k->o->levels; i++) put_head(s, level_name(k, "", i));
    put_head(s, "max_percent");
    put_head(s, "regret_mean_percent");
    for (int i = 0; i < k->o->levels; i++) put_head(s, level_name(k, "regret_", i));
    put_head(s, "regret_max_percent");
    if (s->separator) fputc('\n', s->out);
}

// The 90 % quantile of each flow by itself, [F].
static const float *quantile_matrix(const Task *k, int step)
{
    const int F = k->p->N * k->p->N, S = k->p->S;
    const double level = 0.9;
    float *x = arena_alloc(k->a, (size_t)F * sizeof *x), *v = arena_alloc(k->a, (size_t)S * sizeof *v);
    for (int f = 0; f < F; f++) {
        double q;
        for (int s = 0; s < S; s++) v[s] = paths_at(k->p, s, step)[f];
        paths_quantiles(v, S, k->p->kind, &level, 1, &q);
        x[f] = (float)q;
    }
    return x;
}

static Status print_plans(Sheet *s, const Task *k, const Routing *shortest, Cli *cli, const char *routing_out)
{
    const int step = fullest_step(k), S = k->p->S;
    const int64_t F = (int64_t)k->p->N * k->p->N;
    double *oracle = arena_alloc(k->a, (size_t)S * sizeof *oracle);
    float *all = arena_alloc(k->a, 2 * (size_t)(S * F) * sizeof *all), *relative = all + S * F;
    for (int i = 0; i < S; i++) {
        Optimum o;
        memcpy(all + i * F, paths_at(k->p, i, step), (size_t)F * sizeof *all);
        const size_t mark = arena_mark(k->a);
        TRY(optimal_routing(&o, k->a, k->scratch, k->t, shortest, all + i * F, 1, 0.01));
        arena_rewind(k->a, mark);
        oracle[i] = o.largest;
        // in units of the best: the largest of these is the largest regret + 1
        for (int64_t f = 0; f < F; f++) relative[i * F + f] = o.largest > 0 ? all[i * F + f] / (float)o.largest : 0;
    }
    const struct { const char *name; const float *x; int M; } plan[] = {
        {"planned on the mean", k->p->point + step * F, 1}, {"planned on q0.9", quantile_matrix(k, step), 1},
        {"planned on all paths", all, S}, {"planned on the regret", relative, S}};
    fprintf(stderr, "step %d, the fullest; regret = largest utilisation above that of the best routing "
            "of each path\n", step + 1);
    plan_heads(s, k);
    plan_row(s, k, "as given", shortest, step, oracle);
    Optimum o = {.rounds = 0};
    for (int i = 0; i < 4; i++) {
        TRY(optimal_routing(&o, k->a, k->scratch, k->t, shortest, plan[i].x, plan[i].M, 0.01));
        plan_row(s, k, plan[i].name, &o.routing, step, oracle);
        fprintf(stderr, "%s: within %.2g %% of the optimum\n", plan[i].name, 100 * (o.largest / o.bound - 1));
    }
    plan_row(s, k, "the best of each path", NULL, step, oracle);
    if (!routing_out) return OK;
    const double *A = routing_matrix(&o.routing, k->a);
    float *out = arena_alloc(k->a, (size_t)(k->t->L * F) * sizeof *out);
    for (int64_t i = 0; i < k->t->L * F; i++) out[i] = (float)A[i];
    TRY(npy_write(routing_out, "<f4", (int64_t[]){k->t->L, F}, 2, out));
    return manifest_write(cli, routing_out);
}

// ---- the verb

static Status check_options(const Values *v)
{
    if (v->optimise && v->fail) return USAGE_ERROR("--optimise: want --fail or --optimise, got both");
    if (v->routing_out && !v->optimise) return USAGE_ERROR("--routing-out: wants --optimise");
    if (!v->loads.net.topology) return USAGE_ERROR("whatif: wants --topology FILE");
    if (v->loads.net.routing && !v->optimise)
        return USAGE_ERROR("--routing: after a failure, traffic takes new shortest paths; a given routing has none");
    return OK;
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    const char *out = v->loads.out;
    LoadsForecast *on = arena_alloc(cli->perm, sizeof *on);
    Sheet sheet;
    TRY(check_options(v));
    TRY(open_sheet(&sheet, v->loads.format, cli->perm));
    TRY(loads_open(on, cli, &v->loads));
    TrafficPaths p = on->f.p;
    TRY(change_traffic(&p, cli->perm, &on->net.topology, v));
    const Task task = {&on->f, &p, &on->net.topology, &on->show, cli->perm, cli->scratch};
    FileWriter w;
    TRY(file_open(&w, out ? out : "-"));
    sheet.out = w.f;
    const Status s = v->optimise ? print_plans(&sheet, &task, &on->net.routing, cli, v->routing_out)
                                 : print_failures(&sheet, &task, v->fail ? v->fail : "all-single");
    if (s.code) file_abort(&w);
    TRY(s);
    TRY(file_commit(&w, false));
    paths_say(&on->f);
    return out ? manifest_write(cli, out) : OK;
}

const Verb verb_whatif = {
    .name = "whatif",
    .summary = "Fails links, nodes and groups under a forecast: the largest utilisation of each failure, worst first.",
    .text =
        "Without --fail: every link, node and group by itself.  The largest utilisation is that over all links and\n"
        "the steps of each path, after its traffic has taken new shortest paths; demand without a path is named.\n"
        "--grow and --move change the traffic before.  --optimise prints another table: how large the utilisation\n"
        "is when the routing is chosen by what is forecast, and how much better it could have been.",
    OPTIONS(table),
    .size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
