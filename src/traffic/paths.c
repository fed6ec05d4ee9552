#include "traffic/paths.h"

#include <math.h>
#include <string.h>

#include "io/npy.h"
#include "tensor/sort.h"

int paths_groups(PathsGroup g, int N) { return g == PATHS_FLOWS ? N * N : g == PATHS_TOTAL ? 1 : N; }

float paths_sum(const float *x, int N, PathsGroup g, int n)
{
    if (g == PATHS_FLOWS) return x[n];
    const int begin = g == PATHS_ORIGINS ? n * N : g == PATHS_DESTINATIONS ? n : 0;
    const int step = g == PATHS_DESTINATIONS ? N : 1, count = g == PATHS_TOTAL ? N * N : N;
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)x[begin + i * step];
    return (float)sum;
}

void paths_quantiles(float *v, int S, DistKind kind, const double *q, int n, double *out)
{
    sort_f32(v, S);
    for (int i = 0; i < n; i++) out[i] = metric_quantile(v, S, q[i], metric_quantile_type(kind));
}

static Status check_values(const TrafficPaths *p, const char *path)
{
    const int64_t F = (int64_t)p->N * p->N;
    for (int64_t i = 0; i < p->S * p->K * F; i++)
        if (!(p->x[i] >= 0 && isfinite(p->x[i])))
            return ERROR("%s: want finite values >= 0 kbit/s, got %g in path %lld, step %lld, flow %lld -> %lld", path,
                         (double)p->x[i], (long long)(i / F / p->K), (long long)(i / F % p->K + 1),
                         (long long)(i % F / p->N), (long long)(i % p->N));
    return OK;
}

Status paths_read(TrafficPaths *p, Arena *a, const char *path)
{
    NpyArray n;
    TRY(npy_read(&n, a, path));
    const int64_t *d = n.dims + (n.n_dims == 4);
    if (!strcmp(n.type, "<i8") || n.n_dims < 3 || n.n_dims > 4 || d[1] != d[2] || d[1] < 2 || d[1] > 4096)
        return ERROR("%s: want '<f4' or '<f8' of shape [S,K,N,N], got '%s' of %d dimensions%s", path, n.type, n.n_dims,
                     n.n_dims >= 3 && n.n_dims <= 4 ? ", not square or of less than 2 nodes" : "");
    if (d[0] > 1 << 20 || (n.n_dims == 4 && n.dims[0] > 1 << 20))
        return ERROR("%s: want at most %d paths and steps, got [%lld,%lld,..]", path, 1 << 20, (long long)n.dims[0],
                     (long long)n.dims[1]);
    *p = (TrafficPaths){.S = n.n_dims == 4 ? (int)n.dims[0] : 1, .K = (int)d[0], .N = (int)d[1],
                        .kind = DIST_SAMPLES};
    float *x = arena_alloc(a, (size_t)n.count * sizeof *x);
    for (int64_t i = 0; i < n.count; i++)
        x[i] = n.type[2] == '4' ? ((const float *)n.data)[i] : (float)((const double *)n.data)[i];
    p->x = x;
    TRY(check_values(p, path));
    const int64_t KF = (int64_t)p->K * p->N * p->N;
    float *point = arena_alloc(a, (size_t)KF * sizeof *point);
    for (int64_t i = 0; i < KF; i++) {
        double sum = 0;
        for (int s = 0; s < p->S; s++) sum += (double)x[s * KF + i];
        point[i] = (float)(sum / p->S);
    }
    p->point = point;
    return OK;
}
