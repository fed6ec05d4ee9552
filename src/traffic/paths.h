// Sample paths of a forecast: S possible futures of the next K matrices, and a point forecast.  Sums of flows (what a
// node sends, a link carries) are taken within each path and then summarised over paths: the 95 % quantile of a sum is
// not the sum of the 95 % quantiles, which lets all flows peak at once.
#ifndef LEAD_TRAFFIC_PATHS_H
#define LEAD_TRAFFIC_PATHS_H

#include "tensor/arena.h"
#include "tensor/status.h"
#include "traffic/metrics.h"

typedef struct TrafficPaths {
    int S, K, N;
    DistKind kind;               // DIST_SAMPLES or DIST_PAIRS
    const float *x;              // [S][K][N*N] kbit/s
    const float *point;          // [K][N*N] kbit/s: the point forecast
} TrafficPaths;

// Matrix of step k (from 0) in path s.
static inline const float *paths_at(const TrafficPaths *p, int s, int k)
{
    return p->x + ((int64_t)s * p->K + k) * p->N * p->N;
}

// What is summed: nothing (PATHS_FLOWS), the row of an origin, the column of a destination, the whole matrix.  The
// values of the sums are those of the evaluation's spaces.
typedef enum PathsGroup { PATHS_FLOWS = 0, PATHS_ORIGINS = 2, PATHS_DESTINATIONS, PATHS_TOTAL } PathsGroup;

int paths_groups(PathsGroup g, int N);                             // how many there are
float paths_sum(const float *x, int N, PathsGroup g, int i);       // the i-th, of the matrix x [N][N]

// Sorts v [S] and takes its quantiles at levels q [n] -> out [n].
void paths_quantiles(float *v, int S, DistKind kind, const double *q, int n, double *out);

// Reads [S,K,N,N] or, a single path of it, [K,N,N]; '<f4' or '<f8', kbit/s.  The point forecast is the mean of the
// paths. Errors name the file: npy_read's; another shape; not square; a value that is not finite or below 0.
Status paths_read(TrafficPaths *p, Arena *a, const char *path);

#endif
