#include "traffic/alarm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/sort.h"

const char *const alarm_kinds[ALARM_KINDS] = {"flow", "origin", "destination", "total", "matrix"};

int alarm_values(int N) { return N * N + 2 * N + 1; }

AlarmKind alarm_kind(int N, int e, int *node)
{
    const int begin[] = {0, N * N, N * N + N, N * N + 2 * N, N * N + 2 * N + 1};
    int kind = 0;
    while (e >= begin[kind + 1]) kind++;
    *node = e - begin[kind];
    return (AlarmKind)kind;
}

static float value_of(const float *x, int N, int e)
{
    static const PathsGroup group[] = {PATHS_FLOWS, PATHS_ORIGINS, PATHS_DESTINATIONS, PATHS_TOTAL};
    int i;
    const AlarmKind kind = alarm_kind(N, e, &i);
    return paths_sum(x, N, group[kind], i);
}

void alarm_floors(float *floor, int N, const float *x, int64_t n, Arena *scratch)
{
    const int E = alarm_values(N);
    const size_t mark = arena_mark(scratch);
    double *sum = arena_zalloc(scratch, (size_t)E * sizeof *sum);
    for (int64_t t = 0; t < n; t++)
        for (int e = 0; e < E; e++) sum[e] += (double)value_of(x + t * N * N, N, e) / (double)n;
    for (int e = 0; e < E; e++) floor[e] = (float)(0.01 * sum[e] + 1e-6 * sum[E - 1] + 1e-12);
    arena_rewind(scratch, mark);
}

void alarm_score(AlarmRow *row, const float *floor, int N, const float *y, const float *dist, int S, DistKind kind,
                 Arena *scratch)
{
    static const double level[3] = {0.05, 0.5, 0.95};
    const int E = alarm_values(N), F = N * N;
    const size_t mark = arena_mark(scratch);
    float *v = arena_alloc(scratch, (size_t)S * sizeof *v);
    row->matrix = 0;
    for (int e = 0; e < E; e++) {
        AlarmValue *a = &row->value[e];
        double q[3], below = 0;
        a->y = value_of(y, N, e);
        for (int s = 0; s < S; s++) {
            v[s] = value_of(dist + (int64_t)s * F, N, e);
            below += v[s] < a->y ? 1 : v[s] > a->y ? 0 : 0.5;
        }
        paths_quantiles(v, S, kind, level, 3, q);
        const double away = (double)a->y - q[1], width = away > 0 ? q[2] - q[1] : q[1] - q[0];
        a->q05 = (float)q[0], a->q50 = (float)q[1], a->q95 = (float)q[2];
        a->pit = (float)(below / S);
        a->surprise = (float)(fabs(away) / fmax(width, (double)floor[e]));
        if (e < F) row->matrix += log1p((double)a->surprise * (double)a->surprise) / F;
    }
    arena_rewind(scratch, mark);
}

// ---- limits

double alarm_relative(const AlarmLimits *l, const AlarmRow *row, int e)
{
    return (double)(row->value[e].surprise / l->usual[e]);
}

double alarm_largest(const AlarmLimits *l, const AlarmRow *row, AlarmKind kind)
{
    if (kind == ALARM_MATRIX) return row->matrix;
    const int E = alarm_values(l->N);
    double most = 0;
    int node;
    for (int e = 0; e < E; e++)
        if (alarm_kind(l->N, e, &node) == kind) most = fmax(most, alarm_relative(l, row, e));
    return most;
}

bool alarm_raised(const AlarmLimits *l, const AlarmRow *row)
{
    for (int k = 0; k < ALARM_KINDS; k++)
        if (alarm_largest(l, row, (AlarmKind)k) > l->limit[k]) return true;
    return false;
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

// Share of the rows that raise an alarm when, of each kind, the `above` largest rows exceed the limit.
// largest [ALARM_KINDS][n], sorted: the same, descending.
static double share_above(AlarmLimits *l, const double *largest, const double *sorted, int64_t n, int64_t above)
{
    int64_t raised = 0;
    for (int k = 0; k < ALARM_KINDS; k++) l->limit[k] = sorted[k * n + above];
    for (int64_t t = 0; t < n; t++) {
        bool any = false;
        for (int k = 0; k < ALARM_KINDS; k++) any |= largest[k * n + t] > l->limit[k];
        raised += any;
    }
    return (double)raised / (double)n;
}

Status alarm_learn(AlarmLimits *l, Arena *a, const AlarmRow *row, int64_t n, double rate)
{
    enum { LEAST = 20 };
    if (n < LEAST) return ERROR("alarm: want at least %d rows to learn limits from, got %lld", LEAST, (long long)n);
    const int E = alarm_values(l->N);
    l->rows = n;
    l->rate = rate;
    l->usual = arena_alloc(a, (size_t)E * sizeof *l->usual);
    float *v = arena_alloc(a, (size_t)n * sizeof *v);
    for (int e = 0; e < E; e++) {
        for (int64_t t = 0; t < n; t++) v[t] = row[t].value[e].surprise;
        sort_f32(v, (int)n);
        l->usual[e] = fmaxf(1, (float)metric_quantile(v, (int)n, 0.99, 6));
    }
    double *largest = arena_alloc(a, 2 * (size_t)(ALARM_KINDS * n) * sizeof *largest),
           *sorted = largest + ALARM_KINDS * n;
    for (int k = 0; k < ALARM_KINDS; k++) {
        for (int64_t t = 0; t < n; t++) largest[k * n + t] = alarm_largest(l, &row[t], (AlarmKind)k);
        memcpy(sorted + k * n, largest + k * n, (size_t)n * sizeof *sorted);
        qsort(sorted + k * n, (size_t)n, sizeof *sorted, descending);
    }
    int64_t above = 0;
    while (above + 1 < n && share_above(l, largest, sorted, n, above + 1) <= rate) above++;
    l->reached = share_above(l, largest, sorted, n, above);
    return OK;
}
