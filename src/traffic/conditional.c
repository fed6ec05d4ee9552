#include "traffic/conditional.h"

#include <math.h>
#include <string.h>

#include "tensor/sort.h"

enum { INPUTS = CONDITIONAL_INPUTS, ONE = INPUTS - 1, GRAM = INPUTS * (INPUTS + 1) / 2 };

static const double change_rates[CONDITIONAL_CHANGES] = {0.3, 0.05, 0.005};
static const double error_rates[CONDITIONAL_ERRORS] = {0.1, 0.01};

// ---- what is known after a row -------------------------------------------------------------------------------------

static void forget(Conditional *c)
{
    c->t = c->first - 1;
    c->n_changes = 0;
    memset(c->n_errors, 0, (size_t)c->K * sizeof *c->n_errors);
    for (int i = 0; i <= c->K; i++) c->made_at[i] = -1;
}

// m [F] <- EWMA of |x - y| of row t, of which this is the n-th value; unchanged where x was not measured.
static void ewma_add(double *m, const TrafficSeries *s, int64_t t, const float *y, double rate, int64_t n)
{
    const int F = s->N * s->N;
    const float *x = s->x + t * F;
    const double a = fmax(rate, 1 / (double)n);
    for (int f = 0; f < F; f++) {
        if (n > 1 && !traffic_seen(s, t, f)) continue;
        const double v = fabs((double)x[f] - (double)y[f]);
        m[f] = n == 1 ? v : m[f] + a * (v - m[f]);
    }
}

static bool can_predict(const TrafficSeries *s, int64_t t)
{
    for (int l = 0; l < RIDGE_LAGS; l++)
        if (t - l < 0 || traffic_row_at(s, t, -l) != t - l) return false;
    return true;
}

static float *made_after(const Conditional *c, int64_t t)
{
    return c->made + t % (c->K + 1) * c->K * c->F;
}

static void add_row(Conditional *c, const TrafficSeries *s, int64_t t)
{
    const int F = c->F;
    const int64_t before = traffic_row_at(s, t, -1);
    if (before >= 0) {
        c->n_changes++;
        for (int i = 0; i < CONDITIONAL_CHANGES; i++)
            ewma_add(c->change + i * F, s, t, s->x + before * F, change_rates[i], c->n_changes);
    }
    for (int h = 1; h <= c->K; h++) {
        const int64_t from = traffic_row_at(s, t, -h);
        if (from < 0 || c->made_at[from % (c->K + 1)] != from) continue;
        c->n_errors[h - 1]++;
        for (int i = 0; i < CONDITIONAL_ERRORS; i++)
            ewma_add(c->error + (i * c->K + h - 1) * F, s, t, made_after(c, from) + (h - 1) * F, error_rates[i],
                     c->n_errors[h - 1]);
    }
    if (!can_predict(s, t)) return;
    ridge_predict(c->ridge, s, t, made_after(c, t));
    c->made_at[t % (c->K + 1)] = t;
}

static void go_to(Conditional *c, const TrafficSeries *s, int64_t t)
{
    if (t < c->t) forget(c);
    while (c->t < t)
        if (s->valid[++c->t]) add_row(c, s, c->t);
}

// ---- the regression ------------------------------------------------------------------------------------------------

static void inputs(const Conditional *c, const TrafficSeries *s, int h, int f, double angle, double z[INPUTS])
{
    const int F = c->F, KF = c->K * F, at = (h - 1) * F + f;
    const double e = c->e[at], x = (double)s->x[c->t * F + f], p = (double)made_after(c, c->t)[at];
    double lags = 0;
    int n = 0;
    for (int l = 1; l < RIDGE_LAGS; l++) lags += (double)s->x[(c->t - l) * F + f] / (RIDGE_LAGS - 1);
    for (int i = 0; i < CONDITIONAL_CHANGES; i++) z[n++] = log(c->change[i * F + f] + e);
    z[n++] = log(p + e);
    z[n++] = log(fabs(x - p) + e);
    z[n++] = log(fabs(x - lags) + e);
    for (int i = 0; i < CONDITIONAL_ERRORS; i++) z[n++] = log((c->n_errors[h - 1] ? c->error[i * KF + at] : 0) + e);
    z[n++] = sin(angle);
    z[n++] = cos(angle);
    z[n++] = 1;
}

// The hour of the slot h after row t, as an angle.
static double hour(const TrafficSeries *s, int64_t t, int h)
{
    int slot, day;
    traffic_calendar(s, t, h, &slot, &day);
    return 2 * 3.14159265358979323846 * slot / (double)traffic_slots_per_day(s);
}

// Solves (G + lambda) w = b by Cholesky; G packed by rows of its lower triangle.
static void solve(const double *G, const double *b, double *w)
{
    double L[INPUTS][INPUTS], y[INPUTS];
    const bool none = G[GRAM - 1] == 0;      // no residual: a flow that was never measured
    for (int i = 0; i < INPUTS; i++) {
        for (int j = 0; j <= i; j++) {
            double v = G[i * (i + 1) / 2 + j] + (i == j && (none || i != ONE) ? CONDITIONAL_LAMBDA : 0);
            for (int k = 0; k < j; k++) v -= L[i][k] * L[j][k];
            CHECK(i != j || v > 0, "conditional scale: pivot %d is %g", i, v);   // lambda makes it positive
            L[i][j] = i == j ? sqrt(v) : v / L[j][j];
        }
        y[i] = b[i];
        for (int k = 0; k < i; k++) y[i] -= L[i][k] * y[k];
        y[i] /= L[i][i];
    }
    for (int i = INPUTS - 1; i >= 0; i--) {
        w[i] = y[i];
        for (int k = i + 1; k < INPUTS; k++) w[i] -= L[k][i] * w[k];
        w[i] /= L[i][i];
    }
}

// e and the range of log(|r| + e) of one flow and step, from the residuals that are known; work [all].
static void fit_range(Conditional *c, int64_t k, const float *r, int64_t all, float *work)
{
    double mean = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < all; i++)
        if (!isnan(r[i])) work[n++] = fabsf(r[i]);
    if (!n) work[n++] = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)work[i] / (double)n;
    sort_f32(work, n);
    c->e[k] = fmax(0.1 * (double)work[n / 2], fmax(0.01 * mean, 0.001));
    c->low[k] = log((double)work[0] + c->e[k]);
    c->high[k] = log((double)work[n - 1] + c->e[k]);
}

Conditional *conditional_new(Arena *a, const RidgeModel *ridge)
{
    Conditional *c = arena_alloc(a, sizeof *c);
    *c = (Conditional){.F = ridge->F, .K = ridge->K, .ridge = ridge};
    const size_t F = (size_t)c->F, K = (size_t)c->K, KF = K * F;
    c->w = arena_zalloc(a, KF * INPUTS * sizeof *c->w);
    c->e = arena_zalloc(a, 3 * KF * sizeof *c->e);
    c->low = c->e + KF;
    c->high = c->low + KF;
    c->change = arena_zalloc(a, CONDITIONAL_CHANGES * F * sizeof *c->change);
    c->n_errors = arena_zalloc(a, K * sizeof *c->n_errors);
    c->error = arena_zalloc(a, CONDITIONAL_ERRORS * KF * sizeof *c->error);
    c->made = arena_alloc(a, (K + 1) * KF * sizeof *c->made);
    c->made_at = arena_alloc(a, (K + 1) * sizeof *c->made_at);
    forget(c);
    return c;
}

void conditional_begin(Conditional *c, int64_t first)
{
    c->first = first;
    forget(c);
}

// Adds the forecast after row c->t, number i of n, to the normal equations.
static void add_equations(const Conditional *c, const TrafficSeries *s, const float *r, int64_t i, int64_t n,
                          double (*G)[GRAM], double (*b)[INPUTS])
{
#pragma omp parallel for schedule(static)
    for (int h = 1; h <= c->K; h++) {
        const double angle = hour(s, c->t, h);
        for (int f = 0; f < c->F; f++) {
            const int64_t k = (int64_t)(h - 1) * c->F + f;
            if (isnan(r[k * n + i])) continue;
            double z[INPUTS], y = log(fabs((double)r[k * n + i]) + c->e[k]), *g = G[k];
            inputs(c, s, h, f, angle, z);
            for (int p = 0; p < INPUTS; p++) {
                for (int q = 0; q <= p; q++) *g++ += z[p] * z[q];
                b[k][p] += z[p] * y;
            }
        }
    }
}

void conditional_fit(Conditional *c, Arena *a, const TrafficSeries *s, const int64_t *at, int64_t n, float *r)
{
    const size_t mark = arena_mark(a), KF = (size_t)c->K * (size_t)c->F;
    double (*G)[GRAM] = arena_zalloc(a, KF * sizeof *G), (*b)[INPUTS] = arena_zalloc(a, KF * sizeof *b);
    float *work = arena_alloc(a, (size_t)n * sizeof *work), *sigma = arena_alloc(a, KF * sizeof *sigma);
    for (size_t k = 0; k < KF; k++) fit_range(c, (int64_t)k, r + (int64_t)k * n, n, work);
    for (int64_t i = 0; i < n; i++) {
        go_to(c, s, at[i]);
        add_equations(c, s, r, i, n, G, b);
    }
    for (size_t k = 0; k < KF; k++) solve(G[k], b[k], c->w + k * INPUTS);
    for (int64_t i = 0; i < n; i++) {
        conditional_sigma(c, s, at[i], sigma);
        for (size_t k = 0; k < KF; k++) r[(int64_t)k * n + i] /= sigma[k];
    }
    arena_rewind(a, mark);
}

void conditional_sigma(Conditional *c, const TrafficSeries *s, int64_t t, float *sigma)
{
    go_to(c, s, t);
    CHECK(c->made_at[t % (c->K + 1)] == t, "conditional_sigma: row %lld has no %d rows up to it", (long long)t,
          RIDGE_LAGS);
#pragma omp parallel for schedule(static)
    for (int h = 1; h <= c->K; h++) {
        const double angle = hour(s, t, h);
        for (int f = 0; f < c->F; f++) {
            const int64_t k = (int64_t)(h - 1) * c->F + f;
            double z[INPUTS], v = 0;
            inputs(c, s, h, f, angle, z);
            for (int i = 0; i < INPUTS; i++) v += c->w[k * INPUTS + i] * z[i];
            sigma[k] = (float)exp(fmin(fmax(v, c->low[k]), c->high[k]));
        }
    }
}
