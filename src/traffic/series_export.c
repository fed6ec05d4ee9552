#include "traffic/series_export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/npy.h"
#include "traffic/series_file.h"

const char *const export_names[EXPORT_FORMATS] = {"csv", "long", "npy", "npz", "hist", "repetita"};

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

static bool missing(const TrafficSeries *s, int64_t k)
{
    return s->seen && !s->seen[k] && !s->valid[k / ((int64_t)s->N * s->N)] && !(s->x[k] > 0);
}

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

// A name as a field of CSV.
static void put_name(FILE *f, const TrafficSeries *s, int64_t i)
{
    if (!s->node) fprintf(f, "%lld", (long long)i);
    else if (!strpbrk(s->node[i], ",\"\n")) fputs(s->node[i], f);
    else {
        fputc('"', f);
        for (const char *p = s->node[i]; *p; p++) fprintf(f, *p == '"' ? "\"\"" : "%c", *p);
        fputc('"', f);
    }
}

// Nine digits give back the same float.
static void put_csv(FILE *f, const TrafficSeries *s)
{
    const int64_t F = (int64_t)s->N * s->N;
    if (s->time) fprintf(f, "time");
    for (int64_t k = 0; k < F; k++) {
        if (k || s->time) fputc(',', f);
        if (s->node) fprintf(f, "%s->%s", s->node[k / s->N], s->node[k % s->N]);
        else fprintf(f, "n%lld->n%lld", (long long)(k / s->N), (long long)(k % s->N));
    }
    fputc('\n', f);
    for (int64_t t = 0; t < s->T; t++) {
        put_time(f, s, t);
        for (int64_t k = 0; k < F; k++) {
            if (k) fputc(',', f);
            if (!missing(s, t * F + k)) fprintf(f, "%.9g", (double)s->x[t * F + k]);
        }
        fputc('\n', f);
    }
}

static void put_long(FILE *f, const TrafficSeries *s)
{
    const int64_t F = (int64_t)s->N * s->N;
    fprintf(f, "%ssource,destination,kbps\n", s->time ? "time," : "");
    for (int64_t t = 0; t < s->T; t++)
        for (int64_t k = 0; k < F; k++) {
            if (missing(s, t * F + k)) continue;
            put_time(f, s, t);
            put_name(f, s, k / s->N);
            fputc(',', f);
            put_name(f, s, k % s->N);
            fprintf(f, ",%.9g\n", (double)s->x[t * F + k]);
        }
}

static void put_hist(FILE *f, const TrafficSeries *s)
{
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t k = 0; k < s->T * F; k++)
        fprintf(f, "%.10g%c", k % F / s->N == k % F % s->N ? 0 : (double)s->x[k] * 1000, (k + 1) % F ? ' ' : '\n');
}

static void put_repetita(FILE *f, const TrafficSeries *s, int64_t row)
{
    const int64_t F = (int64_t)s->N * s->N;
    int64_t n = 0, label = 0;
    for (int64_t k = 0; k < F; k++) n += k / s->N != k % s->N && rint((double)s->x[row * F + k]) > 0;
    fprintf(f, "DEMANDS %lld\nlabel src dest bw\n", (long long)n);
    for (int64_t k = 0; k < F; k++) {
        const double v = rint((double)s->x[row * F + k]);
        if (k / s->N == k % s->N || !(v > 0)) continue;
        fprintf(f, "demand_%lld %lld %lld %.0f\n", (long long)label++, (long long)(k / s->N), (long long)(k % s->N), v);
    }
}

static Status refuse_missing(const TrafficSeries *s, const char *format, int64_t begin, int64_t end)
{
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t k = begin * F; k < end * F; k++)
        if (missing(s, k))
            return ERROR("snapshot %lld, flow %lld -> %lld is missing: %s has no place for that (--fill N fills short "
                         "holes)", (long long)(k / F), (long long)(k % F / s->N), (long long)(k % F % s->N), format);
    return OK;
}

Status traffic_series_export(const TrafficSeries *s, Arena *a, const char *path, ExportFormat format, int64_t row)
{
    FileWriter w;
    if (format == EXPORT_NPZ) return traffic_npz_write(s, a, path);
    if (format == EXPORT_NPY) {
        TrafficSeries copy = *s;
        copy.x = (float *)traffic_values_with_gaps(s, a);
        return traffic_series_write(&copy, path, NULL);
    }
    if (format == EXPORT_HIST) TRY(refuse_missing(s, "hist", 0, s->T));
    if (format == EXPORT_REPETITA) TRY(refuse_missing(s, "repetita", row, row + 1));
    if (format == EXPORT_LONG && !s->time) return ERROR("%s: a long table wants times, the series has none", path);
    TRY(file_open(&w, path));
    switch (format) {
    case EXPORT_CSV: put_csv(w.f, s); break;
    case EXPORT_LONG: put_long(w.f, s); break;
    case EXPORT_HIST: put_hist(w.f, s); break;
    default: put_repetita(w.f, s, row);
    }
    return file_commit(&w, false);
}
