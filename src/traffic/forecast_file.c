#include "traffic/forecast_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static float value_at(const NpyArray *x, int64_t i)
{
    return strcmp(x->type, "<f8") ? ((const float *)x->data)[i] : (float)((const double *)x->data)[i];
}

static const char *dims_text(const NpyArray *x, char buf[200])
{
    int n = 0;
    for (int i = 0; i < x->n_dims; i++)
        n += snprintf(buf + n, 200 - (size_t)n, "%s%lld", i ? "," : "", (long long)x->dims[i]);
    return buf;
}

static Status check_shape(const ForecastFile *f, bool levels)
{
    const NpyArray *x = &f->array;
    const EvalTask *task = f->task;
    const int64_t N = task->series->N, W = task->n_windows, K = task->K;
    const int n = x->n_dims;
    char buf[200];
    const bool end = n >= 4 && x->dims[n - 3] == K && x->dims[n - 2] == N && x->dims[n - 1] == N && x->dims[0] == W;
    if (!end || n > 5 || (n == 4 && levels) || (n == 5 && (x->dims[1] < 2 || x->dims[1] > 4096)))
        return ERROR("%s: want shape [%lld,S,%lld,%lld,%lld] with S in 2..4096%s, got [%s]", f->path, (long long)W,
                     (long long)K, (long long)N, (long long)N, levels ? "" : ", or the same without S",
                     dims_text(x, buf));
    if (strcmp(x->type, "<f4") && strcmp(x->type, "<f8"))
        return ERROR("%s: want '<f4' or '<f8', got '%s'", f->path, x->type);
    return OK;
}

static Status check_values(const ForecastFile *f)
{
    const EvalTask *task = f->task;
    const int64_t KF = (int64_t)task->K * task->scale->F, one = KF * (f->S ? f->S : 1);
    for (int64_t i = 0; i < f->array.count; i++) {
        const float v = value_at(&f->array, i);
        const long long window = i / one, step = i % KF / task->scale->F + 1, flow = i % task->scale->F;
        if (!isfinite(v))
            return ERROR("%s: window %lld, step %lld, flow %lld: want a finite value, got %g", f->path, window, step,
                         flow, (double)v);
        if (f->kind == DIST_LEVELS && i % one >= KF && v < value_at(&f->array, i - KF))
            return ERROR("%s: window %lld, step %lld, flow %lld: want ascending levels, got %g after %g", f->path,
                         window, step, flow, (double)v, (double)value_at(&f->array, i - KF));
    }
    return OK;
}

Status forecast_file_read(ForecastFile *f, Arena *a, const char *name, const char *path, const EvalTask *task,
                          bool levels)
{
    *f = (ForecastFile){.name = name, .path = path, .task = task};
    TRY(npy_read(&f->array, a, path));
    TRY(check_shape(f, levels));
    f->S = f->array.n_dims == 5 ? (int)f->array.dims[1] : 0;
    f->kind = !f->S ? DIST_NONE : levels ? DIST_LEVELS : DIST_SAMPLES;
    return check_values(f);
}

// The window whose last history row is t: starts ascend.
static int64_t window_of(const EvalTask *task, int64_t t)
{
    int64_t low = 0, high = task->n_windows - 1;
    const int64_t start = t - task->history + 1;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (task->starts[mid] < start) low = mid + 1;
        else high = mid;
    }
    CHECK(task->starts[low] == start, "forecast file: row %lld ends no window", (long long)t);
    return low;
}

static float centre(const ForecastFile *f, const float *dist, int64_t KF, int64_t k)
{
    double sum = 0;
    for (int s = 0; s < f->S; s++) sum += (double)dist[s * KF + k];
    if (f->kind == DIST_SAMPLES) return (float)(sum / f->S);
    return (float)(((double)dist[(f->S - 1) / 2 * KF + k] + (double)dist[f->S / 2 * KF + k]) / 2);
}

static Status run_file(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    const ForecastFile *f = ctx;
    (void)s;
    const int64_t KF = (int64_t)f->task->K * f->task->scale->F, one = KF * (f->S ? f->S : 1);
    for (int i = 0; i < b->n; i++) {
        const int64_t from = window_of(f->task, b->last[i]) * one;
        float *to = f->S ? b->dist + i * one : b->point + i * one;
        for (int64_t k = 0; k < one; k++) to[k] = value_at(&f->array, from + k);
        for (int64_t k = 0; k < KF && f->S; k++) b->point[i * KF + k] = centre(f, to, KF, k);
    }
    return OK;
}

Forecaster forecast_file_forecaster(ForecastFile *f)
{
    return (Forecaster){.name = f->name, .kind = f->kind, .S = f->S, .batch = 8, .run = run_file, .ctx = f};
}
