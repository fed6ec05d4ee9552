#include "traffic/ridge.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    LAGS = RIDGE_LAGS, INPUTS = RIDGE_INPUTS, ONE = INPUTS - 1,
    COLS = INPUTS + 1, TARGET = INPUTS,      // columns of one block: inputs, then the target
    BLOCK = 256,                             // rows of a block: 18 columns of doubles stay in L1/L2
    MIN_WINDOWS = 2 * INPUTS, FULL_WINDOWS = 20 * INPUTS, PACK_HEAD = 3,
};

// Number of seasonal inputs of each fit: yesterday and last week, yesterday, none.
static const int season_inputs[RIDGE_FITS] = {4, 3, 0};

// Rows of the seasonal inputs of a forecast of t+h; false in *day / *week where one is missing.
static void season_rows(const TrafficSeries *s, int64_t t, int h, int64_t row[RIDGE_SEASON], bool *day, bool *week)
{
    int64_t d = traffic_season_offset(s, h, false, 1);
    for (int i = 0; i < 3; i++) row[i] = traffic_row_at(s, t, d - 1 + i);
    row[3] = traffic_row_at(s, t, traffic_season_offset(s, h, true, 0));
    *day = row[0] >= 0 && row[1] >= 0 && row[2] >= 0;
    *week = row[3] >= 0;
}

// ---- fitting -------------------------------------------------------------------------------------------------------

// The training windows of one fit, in order: last history row and rows of the seasonal inputs.
typedef struct FitRows {
    int64_t n;
    int64_t *t;          // [n]
    int64_t *season;     // [n][K][RIDGE_SEASON]
    int n_season;
} FitRows;

static FitRows find_fit_rows(const TrafficSeries *s, Arena *a, const int64_t *starts, int64_t n, int K, int n_season)
{
    FitRows r = {.n_season = n_season};
    r.t = arena_alloc(a, (size_t)(n + 1) * sizeof *r.t);
    r.season = arena_alloc(a, (size_t)(n + 1) * (size_t)K * RIDGE_SEASON * sizeof *r.season);
    for (int64_t i = 0; i < n; i++) {
        int64_t t = starts[i] + LAGS - 1, *row = r.season + r.n * K * RIDGE_SEASON;
        bool all = true, day, week;
        for (int h = 1; h <= K && all && n_season; h++) {
            season_rows(s, t, h, row + (h - 1) * RIDGE_SEASON, &day, &week);
            all = day && (week || n_season < 4);
        }
        if (all) r.t[r.n++] = t;
    }
    return r;
}

// Four dot products with one vector.
static void dot4(const double *a, const double *const b[4], int n, double *const out[4])
{
    const double *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int i = 0; i < n; i++) {
        s0 += a[i] * b0[i];
        s1 += a[i] * b1[i];
        s2 += a[i] * b2[i];
        s3 += a[i] * b3[i];
    }
    *out[0] += s0;
    *out[1] += s1;
    *out[2] += s2;
    *out[3] += s3;
}

// gram[i][j] += sum over the block of col i * col j, for the columns list[from..n) and all list[0..] up to themselves.
static void gram_add(double gram[COLS][COLS], double (*col)[BLOCK], const int *list, int from, int n, int rows)
{
    double ignored = 0;
    for (int i = from; i < n; i++)
        for (int j = 0; j <= i; j += 4) {
            const double *b[4];
            double *out[4];
            for (int k = 0; k < 4; k++) {
                bool use = j + k <= i;
                b[k] = col[list[use ? j + k : i]];
                out[k] = use ? &gram[list[i]][list[j + k]] : &ignored;
            }
            dot4(col[list[i]], (const double *const *)b, rows, out);
        }
}

// Gram matrices of one flow for all horizons; the block of lags and intercept is common to them.
static void gram_fill(double (*gram)[COLS][COLS], const FitRows *r, const double *x, int K, double (*col)[BLOCK])
{
    double common[COLS][COLS] = {{0}};
    int list[COLS], n_common = 0;
    for (int i = 0; i < LAGS; i++) list[n_common++] = i;
    list[n_common++] = ONE;
    int n = n_common;
    for (int i = 0; i < r->n_season; i++) list[n++] = LAGS + i;
    list[n++] = TARGET;
    memset(gram, 0, (size_t)K * sizeof *gram);
    for (int64_t at = 0; at < r->n; at += BLOCK) {
        int rows = (int)(r->n - at < BLOCK ? r->n - at : BLOCK);
        for (int i = 0; i < rows; i++) {
            for (int l = 0; l < LAGS; l++) col[l][i] = x[r->t[at + i] - l];
            col[ONE][i] = 1;
        }
        gram_add(common, col, list, 0, n_common, rows);
        for (int h = 1; h <= K; h++) {
            for (int i = 0; i < rows; i++) {
                const int64_t *season = r->season + ((at + i) * K + h - 1) * RIDGE_SEASON;
                for (int k = 0; k < r->n_season; k++) col[LAGS + k][i] = x[season[k]];
                col[TARGET][i] = x[r->t[at + i] + h];
            }
            gram_add(gram[h - 1], col, list, n_common, n, rows);
        }
    }
    for (int h = 0; h < K; h++)
        for (int i = 0; i < n_common; i++)
            for (int j = 0; j <= i; j++) gram[h][list[i]][list[j]] = common[list[i]][list[j]];
}

// Solves (G + lambda) w = g by Cholesky over the inputs in use; w is zero elsewhere.  Only entries [i][j] with i after
// j in `list` order are filled in gram.
static void solve(const double gram[COLS][COLS], int n_season, double lambda, double w[INPUTS])
{
    int list[INPUTS], n = 0;
    double L[INPUTS][INPUTS], z[INPUTS];
    for (int i = 0; i < LAGS; i++) list[n++] = i;
    list[n++] = ONE;
    for (int i = 0; i < n_season; i++) list[n++] = LAGS + i;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double v = gram[list[i]][list[j]] + (i == j && list[i] != ONE ? lambda : 0);
            for (int k = 0; k < j; k++) v -= L[i][k] * L[j][k];
            CHECK(i != j || v > 0, "ridge: pivot %d is %g", i, v);   // lambda > 0 makes it positive
            L[i][j] = i == j ? sqrt(v) : v / L[j][j];
        }
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

static float *coef_at(const RidgeModel *m, int fit, int h, int f)
{
    return m->coef + (((int64_t)fit * m->K + h) * m->F + f) * INPUTS;
}

static void fit_flows(RidgeModel *m, Arena *a, const TrafficSeries *s, const FitRows *r, int fit, const float *flowmax,
                      double lambda)
{
    int threads = omp_get_max_threads();
    size_t x_size = (size_t)s->T, gram_size = (size_t)m->K * COLS * COLS, col_size = (size_t)COLS * BLOCK;
    double *space = arena_alloc(a, (size_t)threads * (x_size + gram_size + col_size) * sizeof *space);
#pragma omp parallel for schedule(dynamic, 1)
    for (int f = 0; f < m->F; f++) {
        double *x = space + (size_t)omp_get_thread_num() * (x_size + gram_size + col_size);
        double (*gram)[COLS][COLS] = (double (*)[COLS][COLS])(x + x_size);
        double (*col)[BLOCK] = (double (*)[BLOCK])(x + x_size + gram_size);
        double unit = flowmax[f] > 0 ? (double)flowmax[f] : 1, w[INPUTS];
        for (int64_t t = 0; t < s->T; t++) x[t] = (double)s->x[t * m->F + f] / unit;
        gram_fill(gram, r, x, m->K, col);
        for (int h = 0; h < m->K; h++) {
            solve((const double (*)[COLS])gram[h], r->n_season, lambda, w);
            w[ONE] *= unit;
            for (int i = 0; i < INPUTS; i++) coef_at(m, fit, h, f)[i] = (float)w[i];
        }
    }
}

Status ridge_fit(RidgeModel *m, Arena *a, const TrafficSeries *s, TrafficRange rows, int K, double lambda)
{
    *m = (RidgeModel){.F = s->N * s->N, .K = K, .per_day = (int)traffic_slots_per_day(s)};
    size_t one_fit = (size_t)K * (size_t)m->F * INPUTS;
    m->coef = arena_alloc(a, RIDGE_FITS * one_fit * sizeof *m->coef);
    size_t mark = arena_mark(a);
    int64_t *starts, n = traffic_windows(s, a, rows, LAGS, K, 1, &starts);
    if (n < MIN_WINDOWS) {
        arena_rewind(a, mark);
        return ERROR("ridge: want at least %d training windows of %d + %d snapshots, got %lld", MIN_WINDOWS, LAGS, K,
                     (long long)n);
    }
    float *flowmax = arena_zalloc(a, (size_t)m->F * sizeof *flowmax);
    for (int64_t t = rows.begin; t < rows.end; t++)
        for (int f = 0; s->valid[t] && f < m->F; f++) flowmax[f] = fmaxf(flowmax[f], s->x[t * m->F + f]);
    for (int fit = RIDGE_FITS - 1; fit >= 0; fit--) {
        size_t inner = arena_mark(a);
        FitRows r = find_fit_rows(s, a, starts, n, K, season_inputs[fit]);
        if (fit == RIDGE_FITS - 1 || r.n >= FULL_WINDOWS) fit_flows(m, a, s, &r, fit, flowmax, lambda);
        else memcpy(coef_at(m, fit, 0, 0), coef_at(m, fit + 1, 0, 0), one_fit * sizeof *m->coef);
        arena_rewind(a, inner);
    }
    arena_rewind(a, mark);
    return OK;
}

// ---- forecasting ---------------------------------------------------------------------------------------------------

void ridge_predict(const RidgeModel *m, const TrafficSeries *s, int64_t t, float *out)
{
    CHECK(s->N * s->N == m->F && traffic_slots_per_day(s) == m->per_day, "ridge_predict: %d flows, %d slots a day, "
          "fitted for %d and %d", s->N * s->N, (int)traffic_slots_per_day(s), m->F, m->per_day);
    CHECK(t >= LAGS - 1 && t < s->T && s->slot[t] - s->slot[t - LAGS + 1] == LAGS - 1,
          "ridge_predict: row %lld of %lld has no %d rows of one run up to it", (long long)t, (long long)s->T, LAGS);
    const int F = m->F;
    for (int h = 0; h < m->K; h++) {
        int64_t season[RIDGE_SEASON];
        bool day, week;
        season_rows(s, t, h + 1, season, &day, &week);
        int fit = day ? week ? 0 : 1 : 2;
        for (int f = 0; f < F; f++) {
            const float *w = coef_at(m, fit, h, f);
            double v = (double)w[ONE];
            for (int l = 0; l < LAGS; l++) v += (double)w[l] * (double)s->x[(t - l) * F + f];
            for (int k = 0; k < season_inputs[fit]; k++) v += (double)w[LAGS + k] * (double)s->x[season[k] * F + f];
            out[h * F + f] = v > 0 ? (float)v : 0;
        }
    }
}

// ---- flat arrays ---------------------------------------------------------------------------------------------------

int64_t ridge_pack_size(const RidgeModel *m)
{
    return PACK_HEAD + (int64_t)RIDGE_FITS * m->K * m->F * INPUTS;
}

void ridge_pack(const RidgeModel *m, float *out)
{
    float head[PACK_HEAD] = {(float)m->F, (float)m->K, (float)m->per_day};
    memcpy(out, head, sizeof head);
    memcpy(out + PACK_HEAD, m->coef, (size_t)(ridge_pack_size(m) - PACK_HEAD) * sizeof *out);
}

Status ridge_unpack(RidgeModel *m, Arena *a, const float *in, int64_t n, const char *from)
{
    *m = (RidgeModel){.F = 0};
    bool ok = n > PACK_HEAD && in[0] >= 4 && in[0] <= 1 << 24 && in[1] >= 1 && in[1] <= 1 << 16 && in[2] >= 1 &&
              in[2] <= 86400;
    if (ok) {
        m->F = (int)in[0];
        m->K = (int)in[1];
        m->per_day = (int)in[2];
    }
    if (!ok || n != ridge_pack_size(m))
        return ERROR("%s: ridge: want %d + %d*K*F*%d values, got %lld with another head", from, PACK_HEAD, RIDGE_FITS,
                     INPUTS, (long long)n);
    size_t bytes = (size_t)(n - PACK_HEAD) * sizeof *in;
    m->coef = memcpy(arena_alloc(a, bytes), in + PACK_HEAD, bytes);
    return OK;
}
