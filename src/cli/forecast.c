// lead forecast
#include <stdlib.h>
#include <string.h>

#include "cli/forecast_table.h"
#include "cli/report_parts.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "io/npy.h"

typedef struct Values {
    PathsOptions from;
    const char *out, *quantiles, *png, *report, *paths, *format, *value, *flow;
    int64_t step;
} Values;

#define AT(field) offsetof(Values, field)
static const Option table[] = {
    PATHS_OPTIONS(PathsOptions),
    {"quantiles", OPT_TEXT, AT(quantiles), "LIST", "quantile levels to print [0.05,0.25,0.5,0.75,0.95]", 0, 0},
    {"flow", OPT_TEXT, AT(flow), "LIST", "flows to print, SOURCE:DESTINATION,.. by name or number (default: all)", 0,
     0},
    {"format", OPT_TEXT, AT(format), "NAME",
     "csv, csv-wide, nixtla, nixtla-wide, jsonl, hist, repetita, paragon or trafficload [csv]", 0, 0},
    {"value", OPT_TEXT, AT(value), "WHAT",
     "of the wide formats, and of hist .. trafficload: mean, a quantile such as q0.95, or (hist) paths [mean]", 0, 0},
    {"step", OPT_INT, AT(step), "K", "of repetita and paragon, which hold one matrix: which step [1]", 1, 1e6},
    {"paths", OPT_TEXT, AT(paths), "FILE", "also write all sample paths: .npy [S,K,N,N] float32, kbit/s", 0, 0},
    {"out", OPT_TEXT, AT(out), "FILE", "the table (default, and -: stdout)", 0, 0},
    {"png", OPT_TEXT, AT(png), "DIR", "draw film strip, heat maps and fan charts into DIR", 0, 0},
    {"report", OPT_TEXT, AT(report), "FILE", "write a page to look at, HTML (lead report)", 0, 0},
};

static void defaults(void *values)
{
    Values *v = values;
    paths_defaults(&v->from);
    v->quantiles = "0.05,0.25,0.5,0.75,0.95";
    v->format = "csv";
    v->value = "mean";
    v->step = 1;
}

// --aggregate is two things at once: what is summed (flows, ..), and how the data's slots become longer ones (mean,
// max, p95; cli.h).  The words of the first kind go to t, the one of the second stays in *slots (NULL: none).
static Status parse_groups(const char *text, ForecastTable *t, const char **slots, Arena *a)
{
    static const struct { const char *name; PathsGroup group; } names[] = {
        {"flows", PATHS_FLOWS}, {"origins", PATHS_ORIGINS}, {"destinations", PATHS_DESTINATIONS},
        {"total", PATHS_TOTAL}};
    t->groups = 0;
    *slots = NULL;
    char *save, *list = arena_printf(a, "%s", text ? text : "flows");
    for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        size_t i = 0;
        while (i < 4 && strcmp(word, names[i].name)) i++;
        if (i < 4 && t->groups < 4) t->group[t->groups++] = names[i].group;
        else if (i == 4 && !*slots && (!strcmp(word, "mean") || !strcmp(word, "max") || !strcmp(word, "p95")))
            *slots = word;
        else
            return USAGE_ERROR("--aggregate: want at most four of flows, origins, destinations, total, and of a longer "
                               "slot mean, max or p95; got '%s'", text);
    }
    if (!t->groups) t->group[t->groups++] = PATHS_FLOWS;
    return OK;
}

static Status parse_format(const char *name, ForecastFormat *format)
{
    for (int i = 0; i < FORECAST_FORMATS; i++)
        if (!strcmp(name, forecast_formats[i])) {
            *format = (ForecastFormat)i;
            return OK;
        }
    return USAGE_ERROR("--format: want csv, csv-wide, nixtla, nixtla-wide, jsonl, hist, repetita, paragon or "
                       "trafficload, got '%s'", name);
}

static Status parse_value(const char *text, double *level)
{
    char *end;
    *level = 0;
    if (!strcmp(text, "mean")) return OK;
    *level = *text == 'q' ? strtod(text + 1, &end) : 0;
    return *text == 'q' && end != text + 1 && !*end && *level > 0 && *level < 1
               ? OK
               : USAGE_ERROR("--value: want mean or a quantile such as q0.95, got '%s'", text);
}

// The flows that --flow names.
static Status choose_flows(const bool **out, const char *list, const TrafficSeries *s, Arena *a)
{
    bool *wanted = arena_zalloc(a, (size_t)s->N * (size_t)s->N);
    *out = wanted;
    return paths_parse_flows(list, "flow", s, wanted);
}

static Status write_paths(Cli *cli, const char *path, const PathsForecast *f)
{
    const TrafficPaths *p = &f->p;
    FileWriter w;
    TRY(file_open(&w, path));
    const size_t F = (size_t)p->N * (size_t)p->N, one = (size_t)f->steps * F;
    float *x = arena_alloc(cli->perm, (size_t)p->S * one * sizeof *x);
    for (int s = 0; s < p->S; s++) memcpy(x + (size_t)s * one, paths_at(p, s, 0), one * sizeof *x);
    npy_put(&w, "<f4", (int64_t[]){p->S, f->steps, p->N, p->N}, 4, x);
    TRY(file_commit(&w, false));
    return manifest_write(cli, path);
}

static Status write_table(Cli *cli, const char *path, const ForecastTable *t, ForecastFormat format)
{
    FileWriter w;
    TRY(file_open(&w, path));
    forecast_table_print(t, format, cli->perm, w.f);
    TRY(file_commit(&w, false));
    return manifest_write(cli, path);
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    double q[PATHS_LEVELS];
    ForecastTable t = {.q = q};
    ForecastFormat format = FORECAST_CSV;
    bool draw = v->paths != NULL;
    TRY(paths_parse_levels(v->quantiles, "quantiles", q, &t.levels));
    PathsOptions from = v->from;
    TRY(parse_groups(v->from.data.aggregate, &t, &from.data.aggregate, cli->perm));
    TRY(parse_format(v->format, &format));
    t.all_paths = !strcmp(v->value, "paths");
    if (!t.all_paths) TRY(parse_value(v->value, &t.value));
    else if (format != FORECAST_HIST) return USAGE_ERROR("--value: paths wants --format hist, got %s", v->format);
    draw |= t.all_paths || v->report;
    if (format >= FORECAST_HIST && (v->flow || t.groups != 1 || t.group[0] != PATHS_FLOWS))
        return USAGE_ERROR("--format %s: holds whole matrices, so want no --flow and no sums", v->format);
    if (v->paths && !strcmp(v->paths, "-") && (!v->out || !strcmp(v->out, "-")))
        return USAGE_ERROR("--paths -: the table goes to stdout; want --out FILE too");
    for (int g = 0; g < t.groups; g++) draw |= t.group[g] != PATHS_FLOWS;
    TRY(parts_try(v->report, v->out));
    PathsForecast f;
    if (v->png && v->from.run.model && paths_is_naive(v->from.run.model))
        return USAGE_ERROR("--png: wants a trained run, got --model %s", v->from.run.model);
    TRY(paths_forecast(&f, cli, &from, draw));
    t.f = &f;
    if (v->flow) TRY(choose_flows(&t.wanted, v->flow, f.series, cli->perm));
    t.step = (int)v->step - 1;
    if (t.step >= f.steps) return USAGE_ERROR("--step: want one of the %d steps, got %d", f.steps, t.step + 1);
    if (v->png) {
        if (!f.run) return ERROR("--png: wants a run, got too few rows for one");
        TRY(directory_make(v->png));
        TRY(show_window_pngs(f.run, f.series, f.t, f.p.x, v->png, cli->perm));
        TRY(manifest_write(cli, arena_printf(cli->perm, "%s/forecast", v->png)));
    }
    if (v->paths) TRY(write_paths(cli, v->paths, &f));
    if (format >= FORECAST_HIST) {
        TRY(forecast_matrices_write(&t, format, cli->perm, v->out ? v->out : "-"));
        if (v->out) TRY(manifest_write(cli, v->out));
    } else if (v->out) TRY(write_table(cli, v->out, &t, format));
    else forecast_table_print(&t, format, cli->perm, stdout);
    if (v->report) {
        Report r = {0};
        parts_data(&r, cli->perm, f.series, v->from.data.data);
        parts_forecast(&r, cli, &f);
        TRY(parts_write(&r, cli, NULL, NULL, v->report));
    }
    paths_say(&f);
    return OK;
}

const Verb verb_forecast = {
    .name = "forecast",
    .summary = "Draws sample paths beyond the end of the data: mean and quantiles per flow and step, kbit/s.",
    .text =
        "Of a run directory it loads final.safetensors, the fit on all rows, else best.safetensors.\n"
        "--model persistence, yesterday, lastweek, average, mean, ets, ridge or ridge-scale needs no run: it is\n"
        "fitted on the data up to the row that is forecast from, and the quantiles are those of its errors there\n"
        "(./ridge is a directory).\n"
        "--aggregate also says what is forecast: flows, origins (what a node sends), destinations (what it receives),\n"
        "total, or several of them with commas [flows].  Quantiles of sums are those of the sums within the sample\n"
        "paths; adding up the quantiles of flows would let all flows peak at once.",
    OPTIONS(table),
    .size = sizeof(Values),
    .defaults = defaults,
    .run = run, .ranks = true,
};
