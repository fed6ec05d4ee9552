#include "cli/forecast_table.h"

#include <math.h>
#include <string.h>

#include "io/json.h"
#include "traffic/formats.h"
#include "traffic/naive.h"

const char *const forecast_formats[FORECAST_FORMATS] = {"csv", "csv-wide", "nixtla", "nixtla-wide", "jsonl",
                                                      "hist", "repetita", "paragon", "trafficload"};

void csv_put_text(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\n\r")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

// ---- values

// Single flows of a naive forecast are known by their levels; everything else by the paths.
static int gather(const ForecastTable *t, int k, PathsGroup group, int i, float *v, DistKind *kind)
{
    const TrafficPaths *p = &t->f->p;
    const int64_t F = (int64_t)p->N * p->N;
    const bool levels = group == PATHS_FLOWS && t->f->levels;
    const int S = levels ? NAIVE_LEVELS : p->S;
    *kind = levels ? DIST_LEVELS : p->kind;
    for (int s = 0; s < S; s++)
        v[s] = levels ? t->f->levels[((int64_t)s * p->K + k) * F + i] : paths_sum(paths_at(p, s, k), p->N, group, i);
    return S;
}

static double point_of(const ForecastTable *t, int k, PathsGroup group, int i)
{
    const TrafficPaths *p = &t->f->p;
    return (double)paths_sum(p->point + (int64_t)k * p->N * p->N, p->N, group, i);
}

double forecast_table_value(const ForecastTable *t, int k, PathsGroup group, int i, double level, float *v)
{
    if (!(level > 0)) return point_of(t, k, group, i);
    DistKind kind;
    double q;
    const int S = gather(t, k, group, i, v, &kind);
    paths_quantiles(v, S, kind, &level, 1, &q);
    return q;
}

static bool skipped(const ForecastTable *t, PathsGroup group, int i)
{
    return group == PATHS_FLOWS && t->wanted && !t->wanted[i];
}

// ---- names

static const char *origin_of(const ForecastTable *t, PathsGroup g, int i)
{
    const int N = t->f->p.N;
    return g == PATHS_FLOWS ? t->f->node[i / N] : g == PATHS_ORIGINS ? t->f->node[i] : "*";
}

static const char *destination_of(const ForecastTable *t, PathsGroup g, int i)
{
    const int N = t->f->p.N;
    return g == PATHS_FLOWS ? t->f->node[i % N] : g == PATHS_DESTINATIONS ? t->f->node[i] : "*";
}

static const char *id_of(const ForecastTable *t, PathsGroup g, int i, Arena *a)
{
    return arena_printf(a, "%s>%s", origin_of(t, g, i), destination_of(t, g, i));
}

// ---- long formats: one line for each step and flow or sum

typedef struct Line { int k; PathsGroup group; int i; double point, *quantile; } Line;
typedef struct Printer Printer;
struct Printer {
    const ForecastTable *t;
    FILE *out;
    Arena *a;
    JsonWriter json;
    void (*line)(Printer *p, const Line *l);
};

static void csv_line(Printer *p, const Line *l)
{
    fprintf(p->out, "%d,%s,", l->k + 1, paths_time(p->t->f, l->k + 1).s);
    csv_put_text(p->out, origin_of(p->t, l->group, l->i));
    fputc(',', p->out);
    csv_put_text(p->out, destination_of(p->t, l->group, l->i));
    fprintf(p->out, ",%.6g", l->point);
    for (int q = 0; q < p->t->levels; q++) fprintf(p->out, ",%.6g", l->quantile[q]);
    fputc('\n', p->out);
}

static void nixtla_line(Printer *p, const Line *l)
{
    csv_put_text(p->out, id_of(p->t, l->group, l->i, p->a));
    fprintf(p->out, ",%s,%.6g", paths_time(p->t->f, l->k + 1).s, l->point);
    for (int q = 0; q < p->t->levels; q++) fprintf(p->out, ",%.6g", l->quantile[q]);
    fputc('\n', p->out);
}

static void json_line(Printer *p, const Line *l)
{
    JsonWriter *w = &p->json;
    json_reset(w);
    json_object(w, NULL);
    json_int(w, "step", l->k + 1);
    if (*paths_time(p->t->f, l->k + 1).s) json_string(w, "time", paths_time(p->t->f, l->k + 1).s);
    json_string(w, "origin", origin_of(p->t, l->group, l->i));
    json_string(w, "destination", destination_of(p->t, l->group, l->i));
    json_double(w, "mean_kbps", l->point);
    for (int q = 0; q < p->t->levels; q++)
        json_double(w, arena_printf(p->a, "q%g_kbps", p->t->q[q]), l->quantile[q]);
    json_end(w);
    fputs(json_text(w, NULL), p->out);
}

static void nixtla_head(const ForecastTable *t, FILE *out)
{
    fprintf(out, "unique_id,ds,%s", t->f->model);
    for (int i = 0; i < t->levels; i++) {
        const double q = t->q[i];
        bool paired = false;
        for (int j = 0; j < t->levels; j++) paired |= fabs(t->q[j] + q - 1) < 1e-9 && fabs(q - 0.5) > 1e-9;
        if (fabs(q - 0.5) < 1e-9) fprintf(out, ",%s-median", t->f->model);
        else if (paired) fprintf(out, ",%s-%s-%g", t->f->model, q < 0.5 ? "lo" : "hi", fabs(2 * q - 1) * 100);
        else fprintf(out, ",%s-q-%g", t->f->model, q);
    }
    fputc('\n', out);
}

static void csv_head(const ForecastTable *t, FILE *out)
{
    fprintf(out, "step,time,origin,destination,mean_kbps");
    for (int i = 0; i < t->levels; i++) fprintf(out, ",q%g_kbps", t->q[i]);
    fputc('\n', out);
}

static int work_space(const ForecastTable *t) { return t->f->p.S > NAIVE_LEVELS ? t->f->p.S : NAIVE_LEVELS; }

static void print_long(Printer *p)
{
    const ForecastTable *t = p->t;
    float *v = arena_alloc(p->a, (size_t)work_space(t) * sizeof *v);
    double *q = arena_alloc(p->a, ((size_t)t->levels + 1) * sizeof *q);
    for (int k = 0; k < t->f->steps; k++)
        for (int g = 0; g < t->groups; g++)
            for (int i = 0; i < paths_groups(t->group[g], t->f->p.N); i++) {
                DistKind kind;
                if (skipped(t, t->group[g], i)) continue;
                const size_t mark = arena_mark(p->a);
                const int S = gather(t, k, t->group[g], i, v, &kind);
                paths_quantiles(v, S, kind, t->q, t->levels, q);
                p->line(p, &(Line){k, t->group[g], i, point_of(t, k, t->group[g], i), q});
                if (p->line != json_line) arena_rewind(p->a, mark);   // the writer's buffer grows there
            }
}

// ---- wide formats: one line for each step

static void print_wide(const ForecastTable *t, bool nixtla, Arena *a, FILE *out)
{
    float *v = arena_alloc(a, (size_t)work_space(t) * sizeof *v);
    fputs(nixtla ? "ds" : "step,time", out);
    for (int k = -1; k < t->f->steps; k++) {
        if (k >= 0 && !nixtla) fprintf(out, "%d,", k + 1);
        if (k >= 0) fputs(paths_time(t->f, k + 1).s, out);
        for (int g = 0; g < t->groups; g++)
            for (int i = 0; i < paths_groups(t->group[g], t->f->p.N); i++) {
                if (skipped(t, t->group[g], i)) continue;
                fputc(',', out);
                if (k < 0) csv_put_text(out, id_of(t, t->group[g], i, a));
                else fprintf(out, "%.6g", forecast_table_value(t, k, t->group[g], i, t->value, v));
            }
        fputc('\n', out);
    }
}

void forecast_table_print(const ForecastTable *t, ForecastFormat format, Arena *a, FILE *out)
{
    Printer p = {.t = t, .out = out, .a = a, .line = csv_line};
    switch (format) {
    case FORECAST_CSV_WIDE:
    case FORECAST_NIXTLA_WIDE: print_wide(t, format == FORECAST_NIXTLA_WIDE, a, out); return;
    case FORECAST_NIXTLA: nixtla_head(t, out); p.line = nixtla_line; break;
    case FORECAST_JSONL: p.json = json_writer(a, 0); p.line = json_line; break;
    default: csv_head(t, out); break;
    }
    print_long(&p);
}

// ---- files of other tools

// The matrix of a step: t->value of every flow.
static void put_matrix(const ForecastTable *t, int k, float *x, float *v)
{
    for (int f = 0; f < t->f->p.N * t->f->p.N; f++)
        x[f] = (float)forecast_table_value(t, k, PATHS_FLOWS, f, t->value, v);
}

static Status write_all_paths(const ForecastTable *t, Arena *a, const char *path)
{
    const TrafficPaths *p = &t->f->p;
    const size_t one = (size_t)t->f->steps * (size_t)p->N * (size_t)p->N;
    float *x = arena_alloc(a, (size_t)p->S * one * sizeof *x);
    for (int s = 0; s < p->S; s++) memcpy(x + (size_t)s * one, paths_at(p, s, 0), one * sizeof *x);
    return traffic_write_hist(path, x, (int64_t)p->S * t->f->steps, p->N);
}

Status forecast_matrices_write(const ForecastTable *t, ForecastFormat format, Arena *a, const char *path)
{
    enum { MOST_PERIODS = 24 };
    const int N = t->f->p.N,
              K = format == FORECAST_TRAFFICLOAD && t->f->steps > MOST_PERIODS ? MOST_PERIODS : t->f->steps;
    if (t->all_paths) return write_all_paths(t, a, path);
    const size_t F = (size_t)N * (size_t)N;
    const TrafficSeries *s = t->f->series;
    const char *const *node = t->f->named ? t->f->node : NULL;
    float *x = arena_alloc(a, (size_t)t->f->steps * F * sizeof *x),
          *v = arena_alloc(a, (size_t)work_space(t) * sizeof *v);
    for (int k = 0; k < t->f->steps; k++) put_matrix(t, k, x + (size_t)k * F, v);
    if (format == FORECAST_HIST) return traffic_write_hist(path, x, K, N);
    if (format == FORECAST_REPETITA) return traffic_write_repetita(path, x + (size_t)t->step * F, N);
    if (format == FORECAST_PARAGON) return traffic_write_paragon_demands(path, x + (size_t)t->step * F, N, node);
    if (K < t->f->steps) fprintf(stderr, "note: trafficload has at most %d periods: the first %d steps\n", K, K);
    const int64_t start = s && s->time ? s->time[t->f->t] + s->slot_seconds : -1;
    return traffic_write_paragon_load(path, x, K, N, node, start, s ? s->slot_seconds : 300);
}
