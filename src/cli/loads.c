// lead loads
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/forecast_table.h"
#include "cli/network.h"
#include "cli/report_parts.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "io/json.h"
#include "links/loads.h"

typedef struct Values { LoadsOptions loads; const char *report; } Values;

static const Option table[] = {
    LOADS_OPTIONS("print how probable a load above so many % of the capacity is [50,80,100]", "tsv, csv or json"),
    {"report", OPT_TEXT, offsetof(Values, report), "FILE", "write a page to look at, HTML (lead report)", 0, 0},
};

static void defaults(void *values) { loads_defaults(&((Values *)values)->loads, "50,80,100"); }

// ---- printing

typedef struct LoadTable {
    const PathsForecast *f;
    const Topology *t;
    const LoadOptions *o;
    FILE *out;
    Arena *a;
} LoadTable;

static void head(const LoadTable *r, char separator)
{
    static const char *const names[] = {"step", "time", "link", "source", "destination", "capacity_kbps", "mean_kbps"};
    for (int i = 0; i < 7; i++) fprintf(r->out, "%s%c", names[i], separator);
    for (int i = 0; i < r->o->levels; i++) fprintf(r->out, "q%g_kbps%c", r->o->level[i], separator);
    fprintf(r->out, "mean_percent");
    for (int i = 0; i < r->o->levels; i++) fprintf(r->out, "%cq%g_percent", separator, r->o->level[i]);
    for (int i = 0; i < r->o->thresholds; i++) fprintf(r->out, "%cp_above_%g", separator, 100 * r->o->above[i]);
    fputc('\n', r->out);
}

static void put_number(const LoadTable *r, char separator, double v)
{
    fputc(separator, r->out);
    if (isfinite(v)) fprintf(r->out, "%.6g", v);   // empty: unknown
}

static void put_text(const LoadTable *r, char separator, const char *text)
{
    fputc(separator, r->out);
    csv_put_text(r->out, text);
}

// link NULL: the largest utilisation, which is in no unit of traffic.
static void line(const LoadTable *r, char separator, int k, const TopologyLink *link, const LoadSummary *s,
                 const char *name)
{
    const double capacity = link ? link->capacity_kbps : 1, percent = capacity > 0 ? 100 / capacity : NAN;
    const bool ends = link && link->from >= 0;
    fprintf(r->out, "%d", k + 1);
    put_text(r, separator, paths_time(r->f, k + 1).s);
    put_text(r, separator, name);
    put_text(r, separator, ends ? r->t->node[link->from] : "");
    put_text(r, separator, ends ? r->t->node[link->to] : "");
    put_number(r, separator, link && capacity > 0 ? capacity : NAN);
    put_number(r, separator, link ? s->mean : NAN);
    for (int i = 0; i < r->o->levels; i++) put_number(r, separator, link ? s->quantile[i] : NAN);
    put_number(r, separator, s->mean * percent);
    for (int i = 0; i < r->o->levels; i++) put_number(r, separator, s->quantile[i] * percent);
    for (int i = 0; i < r->o->thresholds; i++) put_number(r, separator, s->probability[i]);
    fputc('\n', r->out);
}

static void print_table(const LoadTable *r, const LoadStep *step, char separator)
{
    head(r, separator);
    for (int k = 0; k < r->f->steps; k++) {
        for (int l = 0; l < r->t->L; l++)
            line(r, separator, k, &r->t->link[l], &step[k].link[l], r->t->link[l].name);
        if (step[k].most_often >= 0) line(r, separator, k, NULL, &step[k].largest, "largest");
    }
}

static void json_summary(const LoadTable *r, JsonWriter *w, const LoadSummary *s, const char *unit, double factor)
{
    json_double(w, arena_printf(r->a, "mean_%s", unit), s->mean * factor);
    for (int i = 0; i < r->o->levels; i++)
        json_double(w, arena_printf(r->a, "q%g_%s", r->o->level[i], unit), s->quantile[i] * factor);
}

static void json_probabilities(const LoadTable *r, JsonWriter *w, const LoadSummary *s)
{
    for (int i = 0; i < r->o->thresholds; i++)
        json_double(w, arena_printf(r->a, "p_above_%g", 100 * r->o->above[i]), s->probability[i]);
}

static void json_link(const LoadTable *r, JsonWriter *w, const TopologyLink *link, const LoadSummary *s)
{
    json_object(w, NULL);
    json_string(w, "link", link->name);
    if (link->from >= 0) {
        json_string(w, "source", r->t->node[link->from]);
        json_string(w, "destination", r->t->node[link->to]);
    }
    json_summary(r, w, s, "kbps", 1);
    if (link->capacity_kbps > 0) {
        json_double(w, "capacity_kbps", link->capacity_kbps);
        json_summary(r, w, s, "percent", 100 / link->capacity_kbps);
        json_probabilities(r, w, s);
    }
    json_end(w);
}

static void print_json(const LoadTable *r, const LoadStep *step)
{
    JsonWriter w = json_writer(r->a, 1);
    json_object(&w, NULL);
    json_string(&w, "model", r->f->model);
    json_int(&w, "paths", r->f->p.S);
    json_array(&w, "steps");
    for (int k = 0; k < r->f->steps; k++) {
        const LoadStep *s = &step[k];
        json_object(&w, NULL);
        json_int(&w, "step", k + 1);
        if (*paths_time(r->f, k + 1).s) json_string(&w, "time", paths_time(r->f, k + 1).s);
        if (s->most_often >= 0) {
            json_object(&w, "largest");
            json_string(&w, "most_often", r->t->link[s->most_often].name);
            json_double(&w, "most_often_share", s->most_often_share);
            json_summary(r, &w, &s->largest, "percent", 100);
            json_probabilities(r, &w, &s->largest);
            json_end(&w);
        }
        json_array(&w, "links");
        for (int l = 0; l < r->t->L; l++) json_link(r, &w, &r->t->link[l], &s->link[l]);
        json_end(&w);
        json_end(&w);
    }
    json_end(&w);
    json_end(&w);
    fputs(json_text(&w, NULL), r->out);
}

static Status parse_format(const char *name, char *separator)
{
    *separator = !strcmp(name, "tsv") ? '\t' : !strcmp(name, "csv") ? ',' : 0;
    return *separator || !strcmp(name, "json") ? OK : USAGE_ERROR("--format: want tsv, csv or json, got '%s'", name);
}

// For people: the step whose highest quantile is the largest.
static void say_largest(const LoadTable *r, const LoadStep *step)
{
    int worst = -1, top = 0;
    for (int i = 1; i < r->o->levels; i++)
        if (r->o->level[i] > r->o->level[top]) top = i;
    for (int k = 0; k < r->f->steps; k++)
        if (step[k].most_often >= 0 &&
            (worst < 0 || step[k].largest.quantile[top] > step[worst].largest.quantile[top])) worst = k;
    if (worst < 0) {
        fprintf(stderr, "no link has a known capacity: loads alone\n");
        return;
    }
    const LoadStep *s = &step[worst];
    fprintf(stderr, "largest utilisation, at step %d:", worst + 1);
    loads_say_largest(r->o, s->largest.quantile, s->largest.mean);
    fprintf(stderr, "; on %s in %.0f %% of the paths\n", r->t->link[s->most_often].name, 100 * s->most_often_share);
}

static Status write_report(Cli *cli, const LoadsForecast *on, const LoadsOptions *o, const char *path)
{
    Report r = {0};
    if (on->f.series) parts_data(&r, cli->perm, on->f.series, o->from.data.data);
    parts_forecast(&r, cli, &on->f);
    parts_links(&r, cli, &on->f, &on->net, on->above, on->show.thresholds);
    return parts_write(&r, cli, NULL, o->from.file, path);
}

static Status run(Cli *cli, void *values)
{
    const LoadsOptions *v = &((const Values *)values)->loads;
    const char *report = ((const Values *)values)->report;
    LoadsForecast *on = arena_alloc(cli->perm, sizeof *on);
    char separator = 0;
    TRY(parse_format(v->format, &separator));
    TRY(parts_try(report, v->out));
    TRY(loads_open(on, cli, v));
    const PathsForecast *f = &on->f;
    LoadStep *step = arena_alloc(cli->perm, (size_t)f->steps * sizeof *step);
    for (int k = 0; k < f->steps; k++)
        loads_step(&step[k], cli->perm, cli->scratch, &on->net.topology, &on->net.routing, &f->p, k, &on->show);
    FileWriter w;
    TRY(file_open(&w, v->out ? v->out : "-"));
    const LoadTable r = {f, &on->net.topology, &on->show, w.f, cli->perm};
    if (separator) print_table(&r, step, separator);
    else print_json(&r, step);
    TRY(file_commit(&w, false));
    if (report) TRY(write_report(cli, on, v, report));
    say_largest(&r, step);
    paths_say(f);
    return v->out ? manifest_write(cli, v->out) : OK;
}

const Verb verb_loads = {
    .name = "loads",
    .summary = "Puts a forecast on a network: load and utilisation of every link, with quantiles and probabilities.",
    .text =
        "Each sample path is routed by itself, over shortest paths with equal splits, or as --routing says; quantiles\n"
        "are taken over the loads.  Sums of the flows' quantiles would overstate them.  --paths takes the place of\n"
        "--model and --data.",
    OPTIONS(table),
    .size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
