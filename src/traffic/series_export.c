#include "traffic/series_export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/npy.h"
#include "traffic/formats.h"
#include "traffic/series_file.h"

const char *const export_names[EXPORT_FORMATS] = {"csv", "long", "npy", "npz", "hist", "repetita",
                                                      "paragon", "paragon-load"};

bool export_format_of(ExportFormat *f, const char *path)
{
    static const struct { const char *end; ExportFormat format; } ends[] = {
        {".long.csv", EXPORT_LONG}, {".csv", EXPORT_CSV}, {".npy", EXPORT_NPY}, {".npz", EXPORT_NPZ},
        {".hist", EXPORT_HIST}, {".demands", EXPORT_REPETITA}};
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t m = strlen(ends[i].end);
        if (n < m || strcmp(path + n - m, ends[i].end)) continue;
        *f = ends[i].format;
        return true;
    }
    return false;
}

static bool missing(const TrafficSeries *s, int64_t k) { return isnan(s->x[k]); }

static void put_time(FILE *f, const TrafficSeries *s, int64_t t)
{
    if (!s->time) return;
    char text[32];
    const time_t at = (time_t)s->time[t];
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fprintf(f, "%s,", text);
}

// Nine digits give back the same float.
static void put_csv(FILE *f, const TrafficSeries *s, TrafficRange rows)
{
    const int64_t F = (int64_t)s->N * s->N;
    if (s->time) fprintf(f, "time");
    for (int64_t k = 0; k < F; k++) {
        if (k || s->time) fputc(',', f);
        if (!s->node) {
            fprintf(f, "f%lld", (long long)k);
            continue;
        }
        fputc('"', f);
        traffic_quoted_put(f, s->node[k / s->N]);
        fputs("->", f);
        traffic_quoted_put(f, s->node[k % s->N]);
        fputc('"', f);
    }
    fputc('\n', f);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        put_time(f, s, t);
        for (int64_t k = 0; k < F; k++) {
            if (k) fputc(',', f);
            if (!missing(s, t * F + k)) fprintf(f, "%.9g", (double)s->x[t * F + k]);
        }
        fputc('\n', f);
    }
}

static void put_long(FILE *f, const TrafficSeries *s, TrafficRange rows)
{
    const int64_t F = (int64_t)s->N * s->N;
    fprintf(f, "%ssource,destination,kbps\n", s->time ? "time," : "");
    for (int64_t t = rows.begin; t < rows.end; t++)
        for (int64_t k = 0; k < F; k++) {
            if (missing(s, t * F + k)) continue;
            put_time(f, s, t);
            traffic_node_put(f, s, k / s->N);
            fputc(',', f);
            traffic_node_put(f, s, k % s->N);
            fprintf(f, ",%.9g\n", (double)s->x[t * F + k]);
        }
}

static Status refuse_missing(const TrafficSeries *s, ExportFormat format, int64_t begin, int64_t end)
{
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t k = begin * F; k < end * F; k++)
        if (missing(s, k))
            return ERROR("snapshot %lld, flow %lld -> %lld is missing: %s has no place for that (--fill N fills short "
                         "holes)", (long long)(k / F), (long long)(k % F / s->N), (long long)(k % F % s->N),
                         export_names[format]);
    return OK;
}

static Status export_rows(const TrafficSeries *s, const char *path, ExportFormat format, TrafficRange rows)
{
    const float *x = s->x + rows.begin * s->N * s->N;
    const int64_t n = rows.end - rows.begin;
    TRY(refuse_missing(s, format, rows.begin, rows.end));
    if (format == EXPORT_HIST) return traffic_write_hist(path, x, n, s->N);
    if (format == EXPORT_PARAGON_LOAD)
        return traffic_write_paragon_load(path, x, n, s->N, s->node, s->time ? s->time[rows.begin] : -1,
                                          s->slot_seconds);
    if (n != 1) return ERROR("%s: %s holds one snapshot: want --row T", path, export_names[format]);
    return format == EXPORT_REPETITA ? traffic_write_repetita(path, x, s->N)
                                     : traffic_write_paragon_demands(path, x, s->N, s->node);
}

static Status export_table(const TrafficSeries *s, const char *path, ExportFormat format, TrafficRange rows)
{
    FileWriter w;
    if (format == EXPORT_LONG && !s->time) return ERROR("%s: a long table wants times, the series has none", path);
    TRY(file_open(&w, path));
    if (format == EXPORT_CSV) put_csv(w.f, s, rows);
    else put_long(w.f, s, rows);
    return file_commit(&w, false);
}

Status traffic_series_export(const TrafficSeries *s, Arena *a, const char *path, ExportFormat format, TrafficRange rows)
{
    TrafficSeries part = *s;
    const int64_t F = (int64_t)s->N * s->N;
    if (format == EXPORT_CSV || format == EXPORT_LONG) return export_table(s, path, format, rows);
    if (format != EXPORT_NPZ && format != EXPORT_NPY) return export_rows(s, path, format, rows);
    part.T = rows.end - rows.begin;
    part.x = s->x + rows.begin * F;
    part.time = s->time ? s->time + rows.begin : NULL;
    part.valid = s->valid + rows.begin;
    part.seen = s->seen ? s->seen + rows.begin * F : NULL;
    return format == EXPORT_NPZ ? traffic_npz_write(&part, a, path) : traffic_series_write(&part, path, NULL);
}
