#include "traffic/ridge_gram.h"

#include <math.h>
#include <string.h>

enum { LAGS = RIDGE_LAGS, INPUTS = RIDGE_INPUTS, ONE = RIDGE_ONE, COLS = RIDGE_COLS, TARGET = RIDGE_TARGET,
       BLOCK = RIDGE_BLOCK, DOTS = 6 };

const int ridge_season_inputs[RIDGE_FITS] = {4, 3, 0};

void ridge_season_rows(const TrafficSeries *s, int64_t t, int h, int64_t row[RIDGE_SEASON], bool *day, bool *week)
{
    int64_t d = traffic_season_offset(s, h, false, 1);
    for (int i = 0; i < 3; i++) row[i] = traffic_row_at(s, t, d - 1 + i);
    row[3] = traffic_row_at(s, t, traffic_season_offset(s, h, true, 0));
    *day = row[0] >= 0 && row[1] >= 0 && row[2] >= 0;
    *week = row[3] >= 0;
}

RidgeRows ridge_rows_find(const TrafficSeries *s, Arena *a, const int64_t *starts, int64_t n, int K, int fit)
{
    const int n_season = ridge_season_inputs[fit];
    RidgeRows r = {.n_season = n_season};
    r.t = arena_alloc(a, (size_t)(n + 1) * sizeof *r.t);
    r.season = arena_alloc(a, (size_t)(n + 1) * (size_t)K * RIDGE_SEASON * sizeof *r.season);
    for (int64_t i = 0; i < n; i++) {
        int64_t t = starts[i] + LAGS - 1, *row = r.season + r.n * K * RIDGE_SEASON;
        bool all = true, day, week;
        for (int h = 1; h <= K && all && n_season; h++) {
            ridge_season_rows(s, t, h, row + (h - 1) * RIDGE_SEASON, &day, &week);
            all = day && (week || n_season < 4);
        }
        if (all) r.t[r.n++] = t;
    }
    return r;
}

// Six dot products with one vector: so many sums hide the latency of an addition.
static void dot6(const double *a, const double *const b[DOTS], int n, double *const out[DOTS])
{
    const double *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3], *b4 = b[4], *b5 = b[5];
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3, s4, s5)
    for (int i = 0; i < n; i++) {
        s0 += a[i] * b0[i];
        s1 += a[i] * b1[i];
        s2 += a[i] * b2[i];
        s3 += a[i] * b3[i];
        s4 += a[i] * b4[i];
        s5 += a[i] * b5[i];
    }
    *out[0] += s0;
    *out[1] += s1;
    *out[2] += s2;
    *out[3] += s3;
    *out[4] += s4;
    *out[5] += s5;
}

// gram[i][j] += sum over the block of col i * col j, for the columns list[from..n) and all list[0..] up to themselves.
static void gram_add(RidgeGram gram, double (*col)[BLOCK], const int *list, int from, int n, int rows)
{
    double ignored = 0;
    for (int i = from; i < n; i++)
        for (int j = 0; j <= i; j += DOTS) {
            const double *b[DOTS];
            double *out[DOTS];
            for (int k = 0; k < DOTS; k++) {
                bool use = j + k <= i;
                b[k] = col[list[use ? j + k : i]];
                out[k] = use ? &gram[list[i]][list[j + k]] : &ignored;
            }
            dot6(col[list[i]], (const double *const *)b, rows, out);
        }
}

RidgeFlow ridge_flow(const TrafficSeries *s, int f, double *x)
{
    return (RidgeFlow){x, s->seen ? s->seen + f : NULL, (int64_t)s->N * s->N};
}

static bool seen_at(const RidgeFlow *flow, int64_t t) { return !flow->seen || flow->seen[t * flow->stride]; }

// The windows at .. at+n-1 whose target at horizon h was measured -> of; returns how many.
static int rows_seen(const RidgeRows *r, const RidgeFlow *flow, int64_t at, int n, int h, int64_t of[BLOCK])
{
    int rows = 0;
    for (int i = 0; i < n; i++)
        if (seen_at(flow, r->t[at + i] + h)) of[rows++] = at + i;
    return rows;
}

static void fill_lags(double (*col)[BLOCK], const RidgeRows *r, const double *x, const int64_t *of, int rows)
{
    for (int i = 0; i < rows; i++) {
        for (int l = 0; l < LAGS; l++) col[l][i] = x[r->t[of[i]] - l];
        col[ONE][i] = 1;
    }
}

static void fill_horizon(double (*col)[BLOCK], const RidgeRows *r, const double *x, const int64_t *of, int rows, int h,
                         int K)
{
    for (int i = 0; i < rows; i++) {
        const int64_t *season = r->season + (of[i] * K + h - 1) * RIDGE_SEASON;
        for (int k = 0; k < r->n_season; k++) col[LAGS + k][i] = x[season[k]];
        col[TARGET][i] = x[r->t[of[i]] + h];
    }
}

// Whether all targets of these windows were measured.
static bool block_seen(const RidgeRows *r, const RidgeFlow *flow, int64_t at, int n, int K)
{
    for (int i = 0; flow->seen && i < n; i++)
        for (int h = 1; h <= K; h++)
            if (!seen_at(flow, r->t[at + i] + h)) return false;
    return true;
}

bool ridge_gram_fill(RidgeGram *gram, const RidgeRows *r, const RidgeFlow *flow, int K, double (*col)[BLOCK])
{
    RidgeGram common = {{0}};
    int list[COLS], n_common = 0;
    bool whole = true;
    for (int i = 0; i < LAGS; i++) list[n_common++] = i;
    list[n_common++] = ONE;
    int n = n_common;
    for (int i = 0; i < r->n_season; i++) list[n++] = LAGS + i;
    list[n++] = TARGET;
    memset(gram, 0, (size_t)K * sizeof *gram);
    for (int64_t at = 0; at < r->n; at += BLOCK) {
        int64_t of[BLOCK];
        const int most = (int)(r->n - at < BLOCK ? r->n - at : BLOCK);
        const bool seen = block_seen(r, flow, at, most, K);
        for (int h = 1; h <= K; h++) {
            const int rows = rows_seen(r, flow, at, most, h, of);
            if (h == 1 || !seen) fill_lags(col, r, flow->x, of, rows);
            if (h == 1 && seen) gram_add(common, col, list, 0, n_common, rows);
            fill_horizon(col, r, flow->x, of, rows, h, K);
            gram_add(gram[h - 1], col, list, seen ? n_common : 0, n, rows);
        }
        whole = whole && seen;
    }
    for (int h = 0; h < K; h++)
        for (int i = 0; i < n_common; i++)
            for (int j = 0; j <= i; j++) gram[h][list[i]][list[j]] += common[list[i]][list[j]];
    return whole;
}

// Rows from..to-1 of the Cholesky factor of (G + lambda I) over the inputs of list.
static void factor_rows(const RidgeGram gram, const int *list, int from, int to, double lambda,
                        double L[INPUTS][INPUTS])
{
    const bool none = gram[ONE][ONE] == 0;      // no window: a flow that was never measured, whose forecast is 0
    for (int i = from; i < to; i++)
        for (int j = 0; j <= i; j++) {
            double v = gram[list[i]][list[j]] + (i == j && (none || list[i] != ONE) ? lambda : 0);
            for (int k = 0; k < j; k++) v -= L[i][k] * L[j][k];
            CHECK(i != j || v > 0, "ridge: pivot %d is %g", i, v);   // lambda > 0 makes it positive
            L[i][j] = i == j ? sqrt(v) : v / L[j][j];
        }
}

static void substitute(const RidgeGram gram, const int *list, int n, double L[INPUTS][INPUTS], double w[INPUTS])
{
    double z[INPUTS];
    for (int i = 0; i < n; i++) {
        double v = gram[TARGET][list[i]];
        for (int k = 0; k < i; k++) v -= L[i][k] * z[k];
        z[i] = v / L[i][i];
    }
    memset(w, 0, INPUTS * sizeof *w);
    for (int i = n - 1; i >= 0; i--) {
        double v = z[i];
        for (int k = i + 1; k < n; k++) v -= L[k][i] * w[list[k]];
        w[list[i]] = v / L[i][i];
    }
}

void ridge_solve(const RidgeGram *gram, int K, int n_season, double lambda, bool common, double (*w)[INPUTS])
{
    int list[INPUTS], n = 0;
    double L[INPUTS][INPUTS];
    for (int i = 0; i < LAGS; i++) list[n++] = i;
    list[n++] = ONE;
    if (common) factor_rows(gram[0], list, 0, n, lambda, L);
    const int from = common ? n : 0;
    for (int i = 0; i < n_season; i++) list[n++] = LAGS + i;
    for (int h = 0; h < K; h++) {
        factor_rows(gram[h], list, from, n, lambda, L);
        substitute(gram[h], list, n, L, w[h]);
    }
}
