// Filling: the smoother against dense conditioning, EM's climb, the channel's bound against an integral, the plain
// methods by hand, outages, the file.
#include "traffic/impute.h"

#include <stdlib.h>

#include "io/file.h"
#include "run_lead.h"
#include "tensor/philox.h"
#include "traffic/lds_channel.h"
#include "traffic/series_export.h"
#include "traffic_world.h"

static double normal(int stream, int64_t k)
{
    return (double)philox_normal(7, philox_subsequence(SITE_TEST, (uint32_t)stream), (uint64_t)k);
}

// ---- the smoother beside dense conditioning ------------------------------------------------------------------------

enum { K = 3, F = 4, T = 7, Z = T * K, SEEN = T * F, SQUARE = K * K };

// A system of drawn numbers; data with a second beginning at row 4, missing values and some half known.
static Lds drawn_system(Arena *a)
{
    Lds m = lds_new(a, K, F);
    for (int i = 0; i < K * K; i++) m.A[i] = 0.5 * normal(1, i) + 0.4 * (i % (K + 1) == 0);
    for (int i = 0; i < F * K; i++) m.C[i] = normal(2, i);
    for (int f = 0; f < F; f++) m.R[f] = 0.2 + 0.3 * f;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            m.Q[i * K + j] = (i == j) * 0.5 + 0.1;
            m.P0[i * K + j] = (i == j) * 1.5 - 0.2;
        }
    return m;
}

static LdsData drawn_data(Arena *a)
{
    static const uint8_t first[T] = {1, 0, 0, 0, 1, 0, 0};
    double *y = arena_alloc(a, T * F * sizeof *y), *tau = arena_alloc(a, T * F * sizeof *tau);
    for (int k = 0; k < T * F; k++) {
        y[k] = k % 5 == 2 || k / F == 2 ? (double)NAN : normal(3, k);
        tau[k] = k % 7 == 3 ? 0.8 : (double)INFINITY;
    }
    return (LdsData){.T = T, .y = y, .tau = tau, .first = first};
}

// Covariance of all z, by following each of them: z_t = A z_{t-1} + w, so row t of the whole is A times row t-1.
static void dense_covariance(double cov[Z][Z], const Lds *m, const LdsData *d)
{
    memset(cov, 0, sizeof(double[Z][Z]));
    for (int t = 0; t < T; t++)
        for (int s = 0; s <= t; s++)
            for (int i = 0; i < K; i++)
                for (int j = 0; j < K; j++) {
                    double v = 0;
                    if (t == s && d->first[t]) v = m->P0[i * K + j];
                    if (!d->first[t] && t == s) {
                        v = m->Q[i * K + j];
                        for (int k = 0; k < K; k++)
                            for (int l = 0; l < K; l++)
                                v += m->A[i * K + k] * cov[(t - 1) * K + k][(t - 1) * K + l] * m->A[j * K + l];
                    }
                    for (int k = 0; k < K && t > s && !d->first[t]; k++)
                        v += m->A[i * K + k] * cov[(t - 1) * K + k][s * K + j];
                    cov[t * K + i][s * K + j] = cov[s * K + j][t * K + i] = v;
                }
}

typedef struct Dense {
    int n;
    int at[SEEN];                        // cells that are known
    double cov[Z][Z], zy[Z][SEEN];       // covariances of z; of z and the known values
    double factor[SEEN][SEEN];           // Cholesky factor of the known values' covariance
    double log_likelihood;
} Dense;

// L^-1 v in place.
static void forward(const Dense *q, double *v)
{
    for (int i = 0; i < q->n; i++) {
        for (int k = 0; k < i; k++) v[i] -= q->factor[i][k] * v[k];
        v[i] /= q->factor[i][i];
    }
}

static void dense_new(Dense *q, const Lds *m, const LdsData *d)
{
    dense_covariance(q->cov, m, d);
    q->n = 0;
    for (int k = 0; k < T * F; k++)
        if (!isnan(d->y[k])) q->at[q->n++] = k;
    for (int i = 0; i < q->n; i++)
        for (int z = 0; z < Z; z++) {
            q->zy[z][i] = 0;
            for (int k = 0; k < K; k++) q->zy[z][i] += q->cov[z][q->at[i] / F * K + k] * m->C[q->at[i] % F * K + k];
        }
    double residual[SEEN];
    q->log_likelihood = 0;
    for (int i = 0; i < q->n; i++) {
        const int cell = q->at[i];
        residual[i] = d->y[cell];
        for (int j = 0; j <= i; j++) {
            double v = i == j ? m->R[cell % F] + 1 / d->tau[cell] : 0;
            for (int k = 0; k < K; k++) v += m->C[cell % F * K + k] * q->zy[cell / F * K + k][j];
            for (int k = 0; k < j; k++) v -= q->factor[i][k] * q->factor[j][k];
            q->factor[i][j] = i == j ? sqrt(v) : v / q->factor[j][j];
        }
    }
    forward(q, residual);
    for (int i = 0; i < q->n; i++)
        q->log_likelihood -= 0.5 * (residual[i] * residual[i] + log(2 * M_PI)) + log(q->factor[i][i]);
}

// Mean of what has the covariances u with the known values, and what knowing them takes off the covariance of u and w.
static double dense_mean(const Dense *q, const LdsData *d, const double *u, const double *w, double *taken)
{
    double a[SEEN], b[SEEN], y[SEEN], mean = 0;
    for (int i = 0; i < q->n; i++) {
        a[i] = u[i];
        b[i] = w[i];
        y[i] = d->y[q->at[i]];
    }
    forward(q, a);
    forward(q, b);
    forward(q, y);
    *taken = 0;
    for (int i = 0; i < q->n; i++) {
        mean += a[i] * y[i];
        *taken += a[i] * b[i];
    }
    return mean;
}

// Value f of row t itself: with its own noise, which it shares with what was seen of it.
static void dense_value(const Dense *q, const Lds *m, const LdsData *d, int t, int f, double *mean, double *variance)
{
    double u[SEEN], taken;
    *variance = m->R[f];
    for (int i = 0; i < q->n; i++) u[i] = q->at[i] == t * F + f ? m->R[f] : 0;
    for (int k = 0; k < K; k++)
        for (int i = 0; i < q->n; i++) u[i] += m->C[f * K + k] * q->zy[t * K + k][i];
    for (int k = 0; k < K; k++)
        for (int l = 0; l < K; l++) *variance += m->C[f * K + k] * q->cov[t * K + k][t * K + l] * m->C[f * K + l];
    *mean = dense_mean(q, d, u, u, &taken);
    *variance -= taken;
}

static void smoother(TestLog *log, Arena *a)
{
    const Lds m = drawn_system(a);
    const LdsData d = drawn_data(a);
    LdsPath p = lds_path_new(a, K, T);
    Dense *q = arena_alloc(a, sizeof *q);
    dense_new(q, &m, &d);
    const double got = lds_filter(&m, &d, &p);
    TEST(log, near(got, q->log_likelihood, 1e-10), "log-likelihood %.12g want %.12g", got, q->log_likelihood);
    lds_smooth(&m, &d, &p);
    double worst_mean = 0, worst = 0, worst_cross = 0, worst_value = 0;
    for (int t = 0; t < T; t++)
        for (int i = 0; i < K; i++)
            for (int j = 0; j < K; j++) {
                double taken;
                const double mean = dense_mean(q, &d, q->zy[t * K + i], q->zy[t * K + j], &taken);
                worst_mean = fmax(worst_mean, fabs(p.m[t * K + i] - mean));
                worst = fmax(worst, fabs(p.P[t * SQUARE + i * K + j] - (q->cov[t * K + i][t * K + j] - taken)));
                if (d.first[t]) continue;
                dense_mean(q, &d, q->zy[t * K + i], q->zy[(t - 1) * K + j], &taken);
                const double cross = q->cov[t * K + i][(t - 1) * K + j] - taken;
                worst_cross = fmax(worst_cross, fabs(p.cross[t * SQUARE + i * K + j] - cross));
            }
    for (int k = 0; k < T * F; k++) {
        double mean, variance, want_mean, want_variance;
        lds_value(&m, &d, &p, k / F, k % F, &mean, &variance);
        dense_value(q, &m, &d, k / F, k % F, &want_mean, &want_variance);
        worst_value = fmax(worst_value, fmax(fabs(mean - want_mean), fabs(variance - want_variance)));
    }
    TEST(log, worst_mean <= 1e-10 && worst <= 1e-10 && worst_cross <= 1e-10, "means off by %g, covariances %g, %g",
         worst_mean, worst, worst_cross);
    TEST(log, worst_value <= 1e-10, "values off by %g", worst_value);
}

// ---- EM ------------------------------------------------------------------------------------------------------------

enum { EM_T = 240, EM_F = 6, EM_K = 2 };

// y of two slow hidden values; value k is missing where its draw is below the chance.
static LdsData made_data(Arena *a, double b, double shift, double **tau, uint8_t **missing)
{
    double *y = arena_alloc(a, EM_T * EM_F * sizeof *y), z[EM_K] = {0};
    *tau = arena_alloc(a, EM_T * EM_F * sizeof **tau);
    *missing = arena_zalloc(a, EM_T * EM_F);
    for (int t = 0; t < EM_T; t++) {
        for (int i = 0; i < EM_K; i++) z[i] = 0.9 * z[i] + 0.5 * normal(10 + i, t);
        for (int f = 0; f < EM_F; f++) {
            const int k = t * EM_F + f;
            y[k] = z[0] * (1 - 0.3 * f) + z[1] * (0.2 + 0.2 * f) + 0.3 * normal(20, k);
            const double draw = (double)philox_unit(philox_u32(7, philox_subsequence(SITE_TEST, 21), (uint64_t)k));
            (*missing)[k] = draw < 1 / (1 + exp(-shift - b * y[k]));
            (*tau)[k] = (*missing)[k] ? 0 : (double)INFINITY;
            if ((*missing)[k]) y[k] = NAN;
        }
    }
    return (LdsData){.T = EM_T, .y = y, .tau = *tau};
}

// The steepest slope of the log-likelihood along any single entry, relative: where EM has come to rest there is none.
static double slope(Lds *m, const LdsData *d, LdsPath *p)
{
    static const double STEP = 1e-4;
    double *const part[] = {m->A, m->Q, m->C, m->R}, worst = 0;
    const int n[] = {EM_K * EM_K, EM_K * EM_K, EM_F * EM_K, EM_F};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < n[i]; k++) {
            const double was = part[i][k];
            part[i][k] = was * (1 + STEP);
            const double up = lds_filter(m, d, p);
            part[i][k] = was * (1 - STEP);
            worst = fmax(worst, fabs(up - lds_filter(m, d, p)) / (2 * STEP));
            part[i][k] = was;
        }
    return worst;
}

static void climbs(TestLog *log, Arena *a)
{
    double *tau, worst = INFINITY, begin = 0, now = 0;
    uint8_t *missing;
    const LdsData d = made_data(a, 0, -2, &tau, &missing);
    LdsPath p = lds_path_new(a, EM_K, EM_T);
    Lds m = lds_new(a, EM_K, EM_F);
    lds_start(&m, a, &d, 1);
    for (int i = 0; i < 40; i++) {
        const double before = now;
        now = lds_fit(&m, a, &d, &p, i ? 1 : 0);
        if (i) worst = fmin(worst, now - before);
        else begin = now;
    }
    TEST(log, worst >= -1e-9, "EM fell by %g", -worst);
    TEST(log, now - begin > 20, "EM rose from %g to %g", begin, now);
    const double steep = slope(&m, &d, &p);
    lds_fit(&m, a, &d, &p, 1500);
    TEST(log, slope(&m, &d, &p) < 1, "EM rests where the slope is %g; after 40 rounds it was %g", slope(&m, &d, &p),
         steep);
}

static double log_of(double x) { return log(x); }    // where `log` is the test's

// log of the integral of N(y; 0, v) s(a + b (offset + y)) over y, by the rule of rectangles; xi >= 0: with the Gaussian
// that touches s there in its place.
static double log_of_missing(const LdsChannel *c, double offset, double v, double xi)
{
    double sum = 0;
    const double step = sqrt(v) / 100;
    for (int i = -1000; i <= 1000; i++) {
        const double y = i * step, g = c->a + c->b * (offset + y);
        const double touching = exp((g - xi) / 2 - tanh(xi / 2) / (4 * xi) * (g * g - xi * xi)) / (1 + exp(-xi));
        sum += step * exp(-y * y / (2 * v)) / sqrt(2 * M_PI * v) * (xi < 0 ? 1 / (1 + exp(-g)) : touching);
    }
    return log(sum);
}

// One missing value beside three measured ones, each for itself: the bound lies below the likelihood, and close to it.
static void bound(TestLog *log, Arena *a)
{
    enum { FLOWS = 4 };
    Lds m = lds_new(a, 1, FLOWS);
    double y[FLOWS] = {0, -1.5, -1, 0.4}, tau[FLOWS] = {0, INFINITY, INFINITY, INFINITY}, xi[FLOWS] = {0};
    const double offset[FLOWS] = {0.6, -0.2, 0.1, 0.3};
    const uint8_t applies[FLOWS] = {1, 0, 0, 0};
    m.A[0] = m.Q[0] = 0.5;
    m.P0[0] = 0.7;
    m.C[0] = 1.3;                                            // the others have noise alone
    for (int f = 0; f < FLOWS; f++) m.R[f] = 0.4;
    LdsChannel c = {.offset = offset, .applies = applies, .y = y, .tau = tau, .xi = xi};
    const LdsData d = {.T = 1, .y = y, .tau = tau};
    LdsPath p = lds_path_new(a, 1, 1);
    channel_start(&c, FLOWS);
    TEST(log, near(exp(c.a), 1.5 / 3.5, 1e-12) && !c.b && !tau[0], "it starts with a %g, b %g, tau %g", c.a, c.b,
         tau[0]);
    double want[2], got[2], b[2];
    for (int fitted = 0; fitted < 2; fitted++) {
        if (fitted) channel_fit(&c, &m, a, &d, &p, 30);
        got[fitted] = lds_filter(&m, &d, &p) + channel_bound(&c, &d, FLOWS) + 0.0005 * (c.a * c.a + c.b * c.b);
        want[fitted] = log_of_missing(&c, offset[0], 0.7 * 1.3 * 1.3 + 0.4, -1);
        for (int f = 1; f < FLOWS; f++)
            want[fitted] -= y[f] * y[f] / 0.8 + 0.5 * log_of(2 * M_PI * 0.4) +
                            log1p(exp(c.a + c.b * (offset[f] + y[f])));
        b[fitted] = c.b;
    }
    TEST(log, near(got[0], want[0], 1e-12), "b = 0: %.12g want %.12g", got[0], want[0]);
    double best = -INFINITY;
    for (int i = 1; i < 400; i++) best = fmax(best, log_of_missing(&c, offset[0], 0.7 * 1.3 * 1.3 + 0.4, 0.02 * i));
    best += want[1] - log_of_missing(&c, offset[0], 0.7 * 1.3 * 1.3 + 0.4, -1);
    TEST(log, near(got[1], best, 1e-4), "the bound is %.9g, with the best xi %.9g", got[1], best);
    TEST(log, b[1] > 0.3 && got[1] <= want[1] + 1e-9 && got[1] > want[1] - 0.1 && got[1] > got[0] + 0.1,
         "b %g: the bound is %g, the likelihood %g; with b = 0 %g", b[1], got[1], want[1], got[0]);
}

static void channel(TestLog *log, Arena *a)
{
    double *tau, found[2];
    uint8_t *missing;
    for (int load = 0; load < 2; load++) {
        LdsData d = made_data(a, load ? 1.5 : 0, -2, &tau, &missing);
        LdsPath p = lds_path_new(a, EM_K, EM_T);
        Lds m = lds_new(a, EM_K, EM_F);
        LdsChannel c = {.offset = arena_zalloc(a, EM_T * EM_F * sizeof(double)), .applies = missing, .tau = tau};
        c.y = memcpy(arena_alloc(a, EM_T * EM_F * sizeof(double)), d.y, EM_T * EM_F * sizeof(double));
        c.xi = arena_alloc(a, EM_T * EM_F * sizeof(double));
        d.y = c.y;
        lds_start(&m, a, &d, 1);
        channel_start(&c, EM_T * EM_F);
        double worst = INFINITY, now = channel_fit(&c, &m, a, &d, &p, 0);
        for (int i = 0; i < 60; i++) {
            const double before = now;
            now = channel_fit(&c, &m, a, &d, &p, 1);
            worst = fmin(worst, now - before);
        }
        TEST(log, worst >= -1e-9, "the bound fell by %g", -worst);
        found[load] = c.b;
        if (!load) continue;
        channel_fit(&c, &m, a, &d, &p, 600);
        TEST(log, slope(&m, &d, &p) < 1, "EM of the channel rests where the slope is %g", slope(&m, &d, &p));
    }
    TEST(log, fabs(found[0]) < 0.5 && found[1] > 0.9 && found[1] < 2.1, "b %g want 0, b %g want 1.5", found[0],
         found[1]);
}

// ---- the plain methods, by hand ------------------------------------------------------------------------------------

enum { HOURS = 24 * 21 };

static TrafficSeries hourly(Arena *a, float *x, int64_t rows)
{
    TrafficSeries s;
    int64_t *time = arena_alloc(a, (size_t)rows * sizeof *time);
    for (int64_t t = 0; t < rows; t++) time[t] = 1078099200 + 3600 * t;             // Monday 2004-03-01
    TrafficSeries open;
    const TrafficReadOptions o = {.slot_seconds = 3600};
    int64_t added;
    Status st = traffic_series_init(&s, a, "hourly", 2, rows, x, time, &o);
    if (!st.code) st = impute_open(&open, a, &s, 24, &added);
    CHECK(!st.code, "%s", st.msg);
    return open;
}

static ImputeOptions with_method(ImputeMethod m)
{
    ImputeOptions o = impute_defaults();
    o.method = m;
    return o;
}

// A ramp of 10 an hour: whatever is one hour old is 10 too low, three hours 30.
static void last_value(TestLog *log, Arena *a)
{
    float *x = arena_alloc(a, HOURS * 4 * sizeof *x);
    for (int64_t k = 0; k < HOURS * 4; k++) x[k] = (float)(10 * (k / 4) + 1000 * (k % 4));
    x[0] = x[4 * 50 + 1] = NAN;
    for (int64_t t = 100; t < 103; t++) x[4 * t + 2] = NAN;
    for (int64_t t = 0; t < HOURS; t++) x[4 * t + 3] = NAN;
    const TrafficSeries s = hourly(a, x, HOURS);
    const ImputeOptions o = with_method(IMPUTE_LAST);
    Imputation m;
    traffic_impute(&m, a, &s, &o);
    if (!TEST(log, m.n == 5 && m.left == HOURS && m.cell[0] == 0 && m.cell[1] == 201 && m.cell[4] == 410,
              "%lld filled, %lld left", (long long)m.n, (long long)m.left))
        return;
    const float want[5] = {10, 1490, 2990, 2990, 2990}, later[5] = {10, 10, 10, 30, 30};
    for (int i = 0; i < 5; i++) {
        const float *q = m.quantile + i * o.levels;
        TEST(log, m.mean[i] == want[i] && near((double)q[0], (double)(want[i] + later[i]), 1e-3) &&
             near((double)q[18], (double)(want[i] + later[i]), 1e-3),
             "value %d: %g, band %g .. %g; want %g and %g more", i, (double)m.mean[i], (double)q[0], (double)q[18],
             (double)want[i], (double)later[i]);
    }
}

// Working days and weekends differ; a residual of +-4 from day to day.
static void seasonal(TestLog *log, Arena *a)
{
    float *x = arena_alloc(a, HOURS * 4 * sizeof *x);
    for (int64_t k = 0; k < HOURS * 4; k++) {
        const int64_t day = k / 96;
        x[k] = (float)(100 + 10 * (k / 4 % 24) + (day % 7 >= 5 ? 1000 : 0) + (k % 4 == 1 ? (day % 2 ? 4 : -4) : 0));
    }
    const int64_t monday = 7 * 24 + 9, saturday = 12 * 24 + 9;
    x[4 * monday] = x[4 * saturday] = x[4 * monday + 1] = NAN;
    const TrafficSeries s = hourly(a, x, HOURS);
    const ImputeOptions o = with_method(IMPUTE_SEASONAL);
    Imputation m;
    traffic_impute(&m, a, &s, &o);
    if (!TEST(log, m.n == 3, "%lld filled", (long long)m.n)) return;
    TEST(log, m.mean[0] == 190 && m.mean[2] == 1190 && m.quantile[0] == 190, "%g, %g at the weekend",
         (double)m.mean[0], (double)m.mean[2]);
    // Of 15 working days 8 are even, and one of the 7 odd ones is missing; at other hours the mean lies 4/15 lower than
    // in the middle, at weekends (3 even, 3 odd) nowhere.
    const double mean = 190 + (6 * 4 - 8 * 4) / 14.0;
    TEST(log, near((double)m.mean[1], mean, 1e-3) && near((double)m.quantile[19], mean - 4, 1e-3) &&
         near((double)m.quantile[19 + 18], mean + 4 + 4 / 15.0, 1e-3), "%g, band %g .. %g", (double)m.mean[1],
         (double)m.quantile[19], (double)m.quantile[19 + 18]);
}

// Slots of five minutes: each takes those within a quarter of an hour, and the other part of the week where its own has
// nothing.
static void profile(TestLog *log, Arena *a)
{
    const TrafficSeries s = make_series(a, 2, 288 * 4, 300, 3);                     // begins on a Monday: no weekend
    const float *p = impute_profile(a, &s, s.x);
    double sum = 0;
    for (int day = 0; day < 4; day++)
        for (int step = -3; step <= 3; step++) sum += (double)s.x[(day * 288 + (288 + 1 + step) % 288) * 4 + 2];
    TEST(log, near((double)p[1 * 4 + 2], sum / 28, 1e-7 * sum) && p[(288 + 1) * 4 + 2] == p[1 * 4 + 2],
         "%g and %g want %g", (double)p[1 * 4 + 2], (double)p[(288 + 1) * 4 + 2], sum / 28);
}

// ---- outages and scores --------------------------------------------------------------------------------------------

static void outages(TestLog *log, Arena *a)
{
    const TrafficSeries s = make_series(a, 4, 288 * 8, 300, 5);
    const int64_t cells = s.T * 16;
    float *x = arena_alloc(a, (size_t)cells * sizeof *x), *y = arena_alloc(a, (size_t)cells * sizeof *y);
    int64_t n[OUTAGE_KINDS], odd[OUTAGE_KINDS] = {0};
    for (int kind = 0; kind < OUTAGE_KINDS; kind++) {
        memcpy(x, s.x, (size_t)cells * sizeof *x);
        memcpy(y, s.x, (size_t)cells * sizeof *y);
        n[kind] = impute_hide(x, &s, (OutageKind)kind, 1);
        TEST(log, impute_hide(y, &s, (OutageKind)kind, 1) == n[kind] && !memcmp(x, y, (size_t)cells * sizeof *x),
             "%s: the same seed hides other values", outage_names[kind]);
        TEST(log, impute_hide(x, &s, (OutageKind)kind, 2) > 0, "%s: another seed hides the same", outage_names[kind]);
        double hidden = 0, all = 0;
        for (int64_t k = 0; k < cells; k++) {
            all += (double)s.x[k] / (double)cells;
            hidden += isnan(y[k]) ? (double)s.x[k] / (double)n[kind] : 0;
            const int64_t t = k / 16, i = k % 16 / 4, j = k % 4;
            bool row = isnan(y[k]), from = row, to = row;
            for (int64_t f = 0; f < 16; f++) {
                row = row && isnan(y[t * 16 + f]);
                from = from && (isnan(y[t * 16 + f]) || (f / 4 != i && f % 4 != i));
                to = to && (isnan(y[t * 16 + f]) || (f / 4 != j && f % 4 != j));
            }
            if (isnan(y[k])) odd[kind] += kind == OUTAGE_NODES ? !from && !to : kind == OUTAGE_BLOCKS && !row;
        }
        TEST(log, kind != OUTAGE_LOAD || hidden > 1.3 * all, "load: hidden values average %g, all %g", hidden, all);
    }
    TEST(log, !odd[OUTAGE_NODES] && !odd[OUTAGE_BLOCKS], "%lld values not of a dark node, %lld not of a dark row",
         (long long)odd[OUTAGE_NODES], (long long)odd[OUTAGE_BLOCKS]);
    TEST(log, fabs((double)n[OUTAGE_CELLS] / (double)cells - 0.02) < 0.003, "%lld cells", (long long)n[OUTAGE_CELLS]);
}

// Four flows that follow one hidden wave and have noise of their own: neighbours tell what is missing.
static TrafficSeries wave(Arena *a)
{
    enum { ROWS = 24 * 60 };
    float *x = arena_alloc(a, ROWS * 4 * sizeof *x);
    double z = 0;
    for (int64_t t = 0; t < ROWS; t++) {
        z = 0.8 * z + 0.3 * normal(30, t);
        for (int f = 0; f < 4; f++) x[4 * t + f] = (float)(1000 * (f + 1) * exp(z + 0.05 * normal(31 + f, t)));
    }
    return hourly(a, x, ROWS);
}

static void system_fills(TestLog *log, Arena *a)
{
    const TrafficSeries s = wave(a);
    ImputeScore r[IMPUTE_LEAD];
    for (int m = 0; m < IMPUTE_LEAD; m++) {
        ImputeOptions o = with_method((ImputeMethod)m);
        o.window = 700;                                                             // three windows
        o.hidden = 2;
        impute_score(&r[m], a, &s, &o, OUTAGE_LOAD, 1);
        TEST(log, r[m].values == r[0].values && r[m].values > 100 && r[m].crps < r[m].mae && r[m].mae < r[m].rmse,
             "%s: %lld values, crps %g, mae %g, rmse %g", impute_names[m], (long long)r[m].values, r[m].crps, r[m].mae,
             r[m].rmse);
    }
    for (int m = IMPUTE_LDS; m <= IMPUTE_LDS_DROPOUT; m++)
        TEST(log, r[m].mae < 0.5 * r[IMPUTE_LAST].mae && r[m].crps < 0.5 * r[IMPUTE_SEASONAL].crps &&
             r[m].cover90 > 0.7,
             "%s: mae %g, last %g; crps %g, seasonal %g; %g covered", impute_names[m], r[m].mae, r[IMPUTE_LAST].mae,
             r[m].crps, r[IMPUTE_SEASONAL].crps, r[m].cover90);
}

// A flow that is missing for half of a window is filled from its neighbours all the same.
static void long_hole(TestLog *log, Arena *a)
{
    TrafficSeries s = wave(a);
    enum { FROM = 300, TO = 650 };
    double error[2] = {0};
    for (int k = 0; k < 2; k++) {
        TrafficSeries holed = s;
        holed.x = arena_alloc(a, (size_t)(s.T * 4) * sizeof *s.x);
        memcpy(holed.x, s.x, (size_t)(s.T * 4) * sizeof *s.x);
        for (int64_t t = FROM; t < TO; t++) holed.x[4 * t + 2] = NAN;
        ImputeOptions o = with_method(k ? IMPUTE_SEASONAL : IMPUTE_LDS);
        o.window = 700;
        o.hidden = 2;
        Imputation got;
        traffic_impute(&got, a, &holed, &o);
        for (int64_t i = 0; i < got.n; i++) error[k] += fabs((double)(got.mean[i] - s.x[got.cell[i]]));
    }
    TEST(log, error[0] < 0.5 * error[1], "a hole of half a window: error %g, seasonal %g", error[0], error[1]);
}

// Run backwards and back again a series is itself; each row keeps its part of the week, and its slot of the day counts
// from the other end; holes end runs on both sides.
static void both_sides(TestLog *log, Arena *a)
{
    enum { ROWS = 24 * 20 };
    float *x = arena_alloc(a, ROWS * 4 * sizeof *x);
    int64_t *time = arena_alloc(a, ROWS * sizeof *time), gap = 100;
    for (int64_t k = 0; k < ROWS * 4; k++) x[k] = (float)(1 + k * k % 101);
    for (int64_t t = 0; t < ROWS; t++) time[t] = 1711666800 + 3600 * (t + (t >= 300 ? 50 : 0));  // 2024-03-29, Friday
    TrafficSeries s, back, again;
    const TrafficReadOptions o = {.slot_seconds = 3600, .calendar_shift_s = 7200, .gaps = &gap, .n_gaps = 1};
    Status st = traffic_series_init(&s, a, "both", 2, ROWS, x, time, &o);
    if (!st.code) st = traffic_series_set_zone(&s, a, "+01:00");
    if (!st.code) st = impute_side(&back, a, &s, true);
    if (!st.code) st = impute_side(&again, a, &back, true);
    if (!TEST(log, !st.code && s.n_runs == 3 && back.n_runs == 3 && back.runs[1].begin == ROWS - 300 &&
                   back.runs[2].begin == ROWS - 100, "%s, %lld runs", st.msg, (long long)back.n_runs)) return;
    int64_t wrong = 0;
    for (int64_t t = 0; t < ROWS; t++) {
        int slot[3], day[3];
        traffic_calendar(&s, t, 0, &slot[0], &day[0]);
        traffic_calendar(&back, ROWS - 1 - t, 0, &slot[1], &day[1]);
        traffic_calendar(&again, t, 0, &slot[2], &day[2]);
        wrong += slot[1] != 23 - slot[0] || (day[1] >= 5) != (day[0] >= 5) || slot[2] != slot[0] || day[2] != day[0];
    }
    TEST(log, !wrong && !memcmp(again.x, s.x, ROWS * 4 * sizeof *x) && back.x[2] == s.x[(ROWS - 1) * 4 + 2],
         "%lld rows have another place in the week", (long long)wrong);
}

// From both sides the weights that suit any network know more than the season and the last value.
static void by_lead(TestLog *log, Arena *a)
{
    const char *x = arena_printf(a, "%s/lead.npy", log->tmp), *out = arena_printf(a, "%s/lead.npz", log->tmp);
    Ran r = lead_run(log, a, "data synth --nodes 3 --days 30 --slot-seconds 3600 --out %s", x);
    const Ran season = lead_run(log, a, "impute --score --method seasonal --data %s", x),
              lead = lead_run(log, a, "impute --score --method lead --data %s", x);
    TEST(log, !r.code && !season.code && !lead.code && strstr(lead.err, "run backwards"), "%s", lead.err);
    for (int kind = 0; kind < OUTAGE_KINDS && !lead.code; kind++) {
        double rmse[2] = {NAN, NAN}, crps[2] = {NAN, NAN};
        for (int m = 0; m < 2; m++) {
            const char *row = strstr(m ? lead.out : season.out,
                                     arena_printf(a, "\n%s\t%s\t", outage_names[kind], m ? "lead" : "seasonal"));
            if (row) sscanf(row, "%*s %*s %*s %lf %*s %lf", &rmse[m], &crps[m]);
        }
        TEST(log, rmse[1] < rmse[0] && crps[1] < crps[0], "%s: rmse %g, of the season %g; crps %g and %g",
             outage_names[kind], rmse[1], rmse[0], crps[1], crps[0]);
    }
    r = lead_run(log, a, "impute --method lead --invalid 100-104 --data %s --out %s", x, out);
    TEST(log, !r.code && strstr(r.err, "45 values filled by lead"), "%s", r.err);
    r = lead_run(log, a, "impute --method lds --model %s --data %s --out %s", x, x, out);
    TEST(log, r.code == 2 && strstr(r.err, "wants --method lead"), "%s", r.err);
}

// A flow that is silent, one of which a window knows nothing, a series of few rows.
static void odd_series(TestLog *log, Arena *a)
{
    for (int rows = 2; rows <= 400; rows += 199) {
        float *x = arena_alloc(a, (size_t)rows * 4 * sizeof *x);
        for (int64_t k = 0; k < rows * 4; k++) x[k] = k % 4 == 0 ? 0 : (float)(100 + k % 7);
        for (int64_t t = 0; t < rows; t += 2) x[4 * t] = NAN;
        for (int64_t t = rows / 4; t < rows; t++) x[4 * t + 1] = NAN;
        x[4] = 0;
        x[1] = 5;
        const TrafficSeries s = hourly(a, x, rows);
        for (int m = 0; m < IMPUTE_LEAD; m++) {
            ImputeOptions o = with_method((ImputeMethod)m);
            o.window = 64;
            Imputation got;
            traffic_impute(&got, a, &s, &o);
            double worst = 0;
            int64_t odd = 0;
            for (int64_t i = 0; i < got.n; i++) {
                const float *q = got.quantile + i * o.levels;
                if (got.cell[i] % 4 == 0) worst = fmax(worst, (double)fmaxf(got.mean[i], q[18]));
                for (int k = 0; k < o.levels; k++)
                    odd += !(q[k] >= 0 && isfinite(q[k]) && (!k || q[k] >= q[k - 1]));
                odd += !(got.mean[i] >= 0 && isfinite(got.mean[i]));
            }
            TEST(log, !odd && got.n, "%s: %lld of %lld values are odd", impute_names[m], (long long)odd,
                 (long long)got.n);
            TEST(log, worst <= 0.01, "%s: a silent flow gets %g", impute_names[m], worst);
        }
    }
}

// ---- the command ---------------------------------------------------------------------------------------------------

static const char *csv_of(TestLog *log, Arena *a, const char *name, const TrafficSeries *s)
{
    const char *path = arena_printf(a, "%s/%s", log->tmp, name);
    const int64_t cells = s->T * s->N * s->N;
    TrafficSeries holed = *s;            // NaN is what a series that was read to be written has in its holes
    holed.x = arena_alloc(a, (size_t)cells * sizeof *holed.x);
    for (int64_t k = 0; k < cells; k++) holed.x[k] = s->seen[k] ? s->x[k] : NAN;
    const Status st = traffic_series_export(&holed, a, path, EXPORT_CSV, (TrafficRange){0, s->T});
    TEST(log, !st.code, "%s", st.msg);
    return path;
}

static void command(TestLog *log, Arena *a)
{
    TrafficSeries s = make_series(a, 3, 288 * 3, 300, 9);
    const int64_t cells = s.T * 9;
    s.seen = memset(arena_alloc(a, (size_t)cells), 1, (size_t)cells);
    for (int64_t k = 40; k < cells; k += 97) s.seen[k] = 0;
    for (int64_t t = 0; t < s.T; t++) s.valid[t] = 0;                               // so that the file has the holes
    for (int64_t k = 0; k < cells; k++) s.x[k] = s.seen[k] ? s.x[k] : 0;
    const char *holed = csv_of(log, a, "holed.csv", &s), *out = arena_printf(a, "%s/t.npz", log->tmp);
    Ran r = lead_run(log, a, "impute --data %s --out %s --method lds --rounds 3 --quantiles 0.1,0.9", holed, out);
    TEST(log, r.code == 0 && strstr(r.err, "values filled by lds"), "%d: %s", r.code, r.err);
    TrafficSeries back;
    const Status st = traffic_series_read(&back, a, out, NULL);
    if (!TEST(log, !st.code && back.T == s.T && !back.seen, "%s", st.msg)) return;
    int64_t changed = 0, zero = 0;
    for (int64_t k = 0; k < cells; k++) {
        changed += s.seen[k] && back.x[k] != s.x[k];
        zero += !s.seen[k] && back.x[k] <= 0;
    }
    TEST(log, !changed && !zero, "%lld measured values changed, %lld missing ones are 0", (long long)changed,
         (long long)zero);
    r = lead_run(log, a, "data info %s", out);
    TEST(log, r.code == 0 && strstr(r.err, "values that lead impute filled count as measured"), "%d: %s", r.code,
         r.err);
    const char *again = arena_printf(a, "%s/again.npz", log->tmp);
    r = lead_run(log, a, "impute --data %s --out %s", out, again);
    TEST(log, r.code == 0 && strstr(r.err, "no value is missing"), "%d: %s", r.code, r.err);
    TrafficSeries same;
    TEST(log, !traffic_series_read(&same, a, again, NULL).code &&
         !memcmp(same.x, back.x, (size_t)cells * sizeof *same.x),
         "nothing was missing, and the values changed");
    r = lead_run(log, a, "impute --data %s --score --percent 80 --method seasonal", out);
    TEST(log, r.code == 0 && strstr(r.out, "outage\tmethod\tvalues") && strstr(r.out, "\nload\tseasonal\t"),
         "%d: %s", r.code, r.out);
}

static void refusals(TestLog *log, Arena *a)
{
    TrafficSeries s = make_series(a, 3, 288, 300, 9);
    s.seen = memset(arena_alloc(a, (size_t)s.T * 9), 1, (size_t)s.T * 9);
    for (int64_t t = 0; t < s.T; t++) {
        s.seen[t * 9 + 5] = 0;
        s.x[t * 9 + 5] = 0;
        s.valid[t] = 0;
    }
    const char *dark = csv_of(log, a, "dark.csv", &s), *out = arena_printf(a, "%s/u.npz", log->tmp);
    Ran r = lead_run(log, a, "impute --data %s --out %s", dark, out);
    TEST(log, r.code == 0 && strstr(r.err, "288 values stay missing: 1 flows were never measured (1->2)"), "%d: %s",
         r.code, r.err);
    unlink(out);
    for (int64_t k = 0; k < s.T * 9; k++) {
        s.seen[k] = 0;
        s.x[k] = 0;
    }
    const char *none = csv_of(log, a, "none.csv", &s), *both = arena_printf(a, "--data %s --out %s", dark, out);
    const struct { const char *args, *want; int code; } wrong[] = {
        {arena_printf(a, "--data %s --out %s", none, out), "want measured values, got none", 1},
        {arena_printf(a, "%s --method kalman", both), "want last, seasonal, lds, lds-dropout or lead", 2},
        {arena_printf(a, "%s --quantiles 0.001", both), "want levels in 0.01 .. 0.99, got 0.001", 2},
        {arena_printf(a, "--data %s", dark), "wants --out FILE.npz, or --score", 2},
        {arena_printf(a, "%s --score", both), "wants no --out", 2},
        {arena_printf(a, "--data %s --out %s", dark, dark), "want another", 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        r = lead_run(log, a, "impute %s", wrong[i].args);
        TEST(log, r.code == wrong[i].code && strstr(r.err, wrong[i].want) && file_absent(out), "%s: %d: %s",
             wrong[i].args, r.code, r.err);
    }
}

// Slots that the file lacks, and rows that were left out as asked, are filled too.
static void absent(TestLog *log, Arena *a)
{
    const TrafficSeries all = make_series(a, 2, 288 * 3, 300, 4);
    const TrafficSeries s = with_holes(a, &all, 300, 10, 700);
    TrafficSeries open;
    int64_t added, missing = 0;
    Status st = impute_open(&open, a, &s, 20, &added);
    if (!TEST(log, !st.code && added == 10 && open.T == all.T && open.n_runs == 1, "%lld rows: %s", (long long)added,
              st.msg))
        return;
    for (int64_t k = 0; k < open.T * 4; k++) missing += isnan(open.x[k]);
    TEST(log, missing == 44 && isnan(open.x[305 * 4]) && isnan(open.x[710 * 4]), "%lld values are missing",
         (long long)missing);
    st = impute_open(&open, a, &s, 9, &added);
    TEST(log, !st.code && !added && open.n_runs == 2, "%lld rows: %s", (long long)added, st.msg);
}

void test_impute(TestLog *log)
{
    Arena *a = arena_new("impute", (size_t)2 << 30, NULL);
    smoother(log, a);
    climbs(log, a);
    bound(log, a);
    channel(log, a);
    last_value(log, a);
    seasonal(log, a);
    profile(log, a);
    outages(log, a);
    system_fills(log, a);
    long_hole(log, a);
    odd_series(log, a);
    both_sides(log, a);
    if (!log->quick) by_lead(log, a);
    absent(log, a);
    command(log, a);
    refusals(log, a);
    arena_delete(a);
}
