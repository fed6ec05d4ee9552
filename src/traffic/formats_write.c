#include "traffic/formats.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "io/file.h"

enum { MAX_PERIODS = 24 };

// ---- checks --------------------------------------------------------------------------------------------------------

static Status check_values(const char *path, const float *x, int64_t T, int N)
{
    for (int64_t k = 0; k < T * N * N; k++)
        if (!(x[k] >= 0 && isfinite(x[k])))
            return ERROR("%s: want values >= 0, got %g in matrix %lld from node %lld to node %lld", path, (double)x[k],
                         (long long)(k / N / N), (long long)(k / N % N), (long long)(k % N));
    return OK;
}

static Status check_names(const char *path, int N, const char *const *node)
{
    for (int i = 0; node && i < N; i++)
        if (!*node[i] || strpbrk(node[i], " \t\r\n#"))
            return ERROR("%s: want names of nodes without blanks and '#', got '%s'", path, node[i]);
    return OK;
}

static void put_node(FileWriter *w, int i, const char *const *node)
{
    if (node) fprintf(w->f, "%s", node[i]);
    else fprintf(w->f, "n%d", i);
}

// kbit/s in whole bit/s.
static double bps(float kbps) { return round(1e3 * (double)kbps); }

// ---- .hist ---------------------------------------------------------------------------------------------------------

Status traffic_write_hist(const char *path, const float *x, int64_t T, int N)
{
    TRY(check_values(path, x, T, N));
    FileWriter w;
    TRY(file_open(&w, path));
    for (int64_t t = 0; t < T; t++, fputc('\n', w.f))
        for (int f = 0; f < N * N; f++) {
            const double v = f / N == f % N ? 0 : 1e3 * (double)x[t * N * N + f];
            fprintf(w.f, "%s%.9g", f ? " " : "", v);
        }
    return file_commit(&w, false);
}

// ---- REPETITA ------------------------------------------------------------------------------------------------------

static bool in_repetita(const float *x, int N, int f) { return f / N != f % N && round((double)x[f]) > 0; }

Status traffic_write_repetita(const char *path, const float *x, int N)
{
    TRY(check_values(path, x, 1, N));
    FileWriter w;
    TRY(file_open(&w, path));
    int n = 0;
    for (int f = 0; f < N * N; f++) n += in_repetita(x, N, f);
    fprintf(w.f, "DEMANDS %d\nlabel src dest bw\n", n);
    for (int f = 0, k = 0; f < N * N; f++)
        if (in_repetita(x, N, f)) fprintf(w.f, "demand_%d %d %d %.0f\n", k++, f / N, f % N, round((double)x[f]));
    return file_commit(&w, false);
}

// ---- Paragon -------------------------------------------------------------------------------------------------------

static void put_demand_id(FileWriter *w, int N, int f, const char *const *node)
{
    fputc('R', w->f);
    put_node(w, f / N, node);
    fputc('_', w->f);
    put_node(w, f % N, node);
}

// The largest value of a pair over T periods, 0 on the diagonal.
static double largest(const float *x, int64_t T, int N, int f)
{
    double most = 0;
    for (int64_t t = 0; f / N != f % N && t < T; t++) most = fmax(most, bps(x[t * N * N + f]));
    return most;
}

Status traffic_write_paragon_demands(const char *path, const float *x, int N, const char *const *node)
{
    TRY(check_values(path, x, 1, N));
    TRY(check_names(path, N, node));
    FileWriter w;
    TRY(file_open(&w, path));
    fprintf(w.f, "#DemandID NodeA NodeZ bw Type_field Pri,Pre\n");
    for (int f = 0; f < N * N; f++) {
        if (!(largest(x, 1, N, f) > 0)) continue;
        put_demand_id(&w, N, f, node);
        fputc(' ', w.f);
        put_node(&w, f / N, node);
        fputc(' ', w.f);
        put_node(&w, f % N, node);
        fprintf(w.f, " %.0f R,A2Z 02,02\n", bps(x[f]));
    }
    return file_commit(&w, false);
}

// The comments that say when the periods were: 6/28/07 9:50 PM, UTC.
static void put_when(FileWriter *w, int64_t start, int slot_seconds)
{
    const time_t seconds = (time_t)start;
    struct tm t;
    gmtime_r(&seconds, &t);
    fprintf(w->f, "#Starting Time : %d/%d/%02d %d:%02d %s\n", t.tm_mon + 1, t.tm_mday, t.tm_year % 100,
            t.tm_hour % 12 ? t.tm_hour % 12 : 12, t.tm_min, t.tm_hour < 12 ? "AM" : "PM");
    const bool minutes = slot_seconds % 60 == 0;
    fprintf(w->f, "#Interval : %d %s\n", minutes ? slot_seconds / 60 : slot_seconds, minutes ? "minutes" : "seconds");
}

Status traffic_write_paragon_load(const char *path, const float *x, int64_t T, int N, const char *const *node,
                                  int64_t start, int slot_seconds)
{
    if (T < 1 || T > MAX_PERIODS) return ERROR("%s: want 1 .. %d periods, got %lld", path, MAX_PERIODS, (long long)T);
    if (start >= 0 && (start % 60 || slot_seconds < 1))
        return ERROR("%s: want periods that start on a full minute, got %lld s and a slot of %d s", path,
                     (long long)start, slot_seconds);
    TRY(check_values(path, x, T, N));
    TRY(check_names(path, N, node));
    FileWriter w;
    TRY(file_open(&w, path));
    if (start >= 0) put_when(&w, start, slot_seconds);
    fprintf(w.f, "UNIT=1\n");
    for (int f = 0; f < N * N; f++) {
        if (!(largest(x, T, N, f) > 0)) continue;
        put_demand_id(&w, N, f, node);
        fprintf(w.f, " A2Z -");
        for (int64_t t = 0; t < T; t++) fprintf(w.f, " %.0f", bps(x[t * N * N + f]));
        fputc('\n', w.f);
    }
    return file_commit(&w, false);
}
