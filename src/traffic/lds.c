#include "traffic/lds.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tensor/philox.h"
#include "tensor/status.h"

enum { SQUARE = LDS_MOST * LDS_MOST };
static const double LOG_2PI = 1.8378770664093453, LEAST_NOISE = 1e-6;

// ---- small matrices, [n][n] row-major ------------------------------------------------------------------------------

// L L' = m, L in the lower triangle of m; returns log det m.
static double factorise(double *m, int n)
{
    double log_det = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double s = m[i * n + j];
            for (int k = 0; k < j; k++) s -= m[i * n + k] * m[j * n + k];
            if (i > j) {
                m[i * n + j] = s / m[j * n + j];
                continue;
            }
            const double least = 1e-14 * fabs(m[i * n + i]) + 1e-300;    // rounding alone makes it smaller
            log_det += log(fmax(s, least));
            m[i * n + i] = sqrt(fmax(s, least));
        }
    return log_det;
}

double spd_invert(double *m, int n)
{
    double w[SQUARE] = {0};                                              // L^-1
    const double log_det = factorise(m, n);
    for (int j = 0; j < n; j++)
        for (int i = j; i < n; i++) {
            double s = i == j;
            for (int k = j; k < i; k++) s -= m[i * n + k] * w[k * n + j];
            w[i * n + j] = s / m[i * n + i];
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double s = 0;
            for (int k = i; k < n; k++) s += w[k * n + i] * w[k * n + j];
            m[i * n + j] = m[j * n + i] = s;
        }
    return log_det;
}

// out = a b, or a b' where b is given transposed.
static void product(double *out, const double *a, const double *b, int n, bool transposed)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int k = 0; k < n; k++) s += a[i * n + k] * (transposed ? b[j * n + k] : b[k * n + j]);
            out[i * n + j] = s;
        }
}

static void times_vector(double *out, const double *a, const double *x, int n)
{
    for (int i = 0; i < n; i++) {
        out[i] = 0;
        for (int k = 0; k < n; k++) out[i] += a[i * n + k] * x[k];
    }
}

static double dot(const double *a, const double *b, int n)
{
    double s = 0;
    for (int i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

static void add(double *to, const double *what, int n)
{
    for (int i = 0; i < n; i++) to[i] += what[i];
}

// c' m c
static double square_form(const double *m, const double *c, int n)
{
    double v[LDS_MOST];
    times_vector(v, m, c, n);
    return dot(v, c, n);
}

// ---- what a value says ---------------------------------------------------------------------------------------------

// 0: nothing; INFINITY: it was measured.
static double precision(const LdsData *d, int64_t k) { return isnan(d->y[k]) ? 0 : d->tau ? d->tau[k] : INFINITY; }

// y given z, where more is known of y than z says: its mean is share * c'z + (1 - share) * y_k, its variance `left`.
static void blend(double R, double tau, double *share, double *left)
{
    *share = tau > 0 ? (isinf(tau) ? 0 : 1 / (1 + R * tau)) : 1;
    *left = R * *share;
}

// ---- filter and smoother -------------------------------------------------------------------------------------------

LdsPath lds_path_new(Arena *a, int K, int64_t T)
{
    const size_t row = (size_t)T * (size_t)K * sizeof(double), square = row * (size_t)K;
    return (LdsPath){arena_alloc(a, row), arena_alloc(a, square), arena_alloc(a, row), arena_alloc(a, square),
                     arena_alloc(a, square)};
}

Lds lds_new(Arena *a, int K, int F)
{
    CHECK(K >= 1 && K <= LDS_MOST && F >= 1, "lds: %d hidden values, %d series", K, F);
    const size_t square = (size_t)(K * K) * sizeof(double);
    return (Lds){K, F, arena_zalloc(a, square), arena_zalloc(a, square), arena_zalloc(a, square),
                 arena_zalloc(a, (size_t)F * (size_t)K * sizeof(double)), arena_zalloc(a, (size_t)F * sizeof(double))};
}

static bool is_first(const LdsData *d, int64_t t) { return !t || (d->first && d->first[t]); }

static void predict(const Lds *m, const LdsData *d, LdsPath *p, int64_t t)
{
    const int K = m->K, KK = K * K;
    if (is_first(d, t)) {
        memset(p->m_next + t * K, 0, (size_t)K * sizeof(double));
        memcpy(p->P_next + t * KK, m->P0, (size_t)KK * sizeof(double));
        return;
    }
    double ap[SQUARE];
    times_vector(p->m_next + t * K, m->A, p->m + (t - 1) * K, K);
    product(ap, m->A, p->P + (t - 1) * KK, K, false);
    product(p->P_next + t * KK, ap, m->A, K, true);
    add(p->P_next + t * KK, m->Q, KK);
}

// Adds c c'/r of a row's known values to J, c (y - c'm)/r to h; returns the sum of log 2 pi r + (y - c'm)^2/r.
static double gather(const Lds *m, const LdsData *d, int64_t t, const double *mean, double *J, double *h)
{
    const int K = m->K;
    double sum = 0;
    for (int f = 0; f < m->F; f++) {
        const double tau = precision(d, t * m->F + f);
        if (tau <= 0) continue;
        const double *c = m->C + f * K, r = m->R[f] + 1 / tau, e = d->y[t * m->F + f] - dot(c, mean, K);
        sum += LOG_2PI + log(r) + e * e / r;
        for (int i = 0; i < K; i++) {
            h[i] += c[i] * e / r;
            for (int j = 0; j <= i; j++) J[i * K + j] += c[i] * c[j] / r;
        }
    }
    for (int i = 0; i < K; i++)
        for (int j = 0; j < i; j++) J[j * K + i] = J[i * K + j];
    return sum;
}

double lds_filter(const Lds *m, const LdsData *d, LdsPath *p)
{
    const int K = m->K, KK = K * K;
    double log_likelihood = 0;
    for (int64_t t = 0; t < d->T; t++) {
        double J[SQUARE] = {0}, h[LDS_MOST] = {0}, *mean = p->m + t * K, *P = p->P + t * KK;
        predict(m, d, p, t);
        const double *before = p->m_next + t * K, sum = gather(m, d, t, before, J, h);
        memcpy(P, p->P_next + t * KK, (size_t)KK * sizeof(double));
        const double det_before = spd_invert(P, K);
        add(P, J, KK);
        const double det_after = -spd_invert(P, K);
        times_vector(mean, P, h, K);
        log_likelihood -= 0.5 * (sum - dot(h, mean, K) + det_before - det_after);
        add(mean, before, K);
    }
    return log_likelihood;
}

void lds_smooth(const Lds *m, const LdsData *d, LdsPath *p)
{
    const int K = m->K, KK = K * K;
    memset(p->cross, 0, (size_t)KK * sizeof(double));
    for (int64_t t = d->T - 2; t >= 0; t--) {
        double *next = p->cross + (t + 1) * KK, gain[SQUARE], pa[SQUARE], inverse[SQUARE], dm[LDS_MOST], dP[SQUARE];
        memset(next, 0, (size_t)KK * sizeof(double));
        if (is_first(d, t + 1)) continue;
        memcpy(inverse, p->P_next + (t + 1) * KK, (size_t)KK * sizeof(double));
        spd_invert(inverse, K);
        product(pa, p->P + t * KK, m->A, K, true);
        product(gain, pa, inverse, K, false);                            // P_t A' P_next^-1
        for (int i = 0; i < K; i++) dm[i] = p->m[(t + 1) * K + i] - p->m_next[(t + 1) * K + i];
        for (int i = 0; i < KK; i++) dP[i] = p->P[(t + 1) * KK + i] - p->P_next[(t + 1) * KK + i];
        product(next, p->P + (t + 1) * KK, gain, K, true);
        times_vector(inverse, gain, dm, K);
        add(p->m + t * K, inverse, K);
        product(pa, gain, dP, K, false);
        product(dP, pa, gain, K, true);
        add(p->P + t * KK, dP, KK);
    }
}

void lds_value(const Lds *m, const LdsData *d, const LdsPath *p, int64_t t, int f, double *mean, double *variance)
{
    const int K = m->K;
    const double *c = m->C + f * K, tau = precision(d, t * m->F + f);
    double share, left;
    blend(m->R[f], tau, &share, &left);
    *mean = share * dot(c, p->m + t * K, K) + (tau > 0 ? (1 - share) * d->y[t * m->F + f] : 0);
    *variance = left + share * share * square_form(p->P + t * K * K, c, K);
}

// ---- EM ------------------------------------------------------------------------------------------------------------

// The rows' second moments E[z z'].
static void moment(double *out, const LdsPath *p, int64_t t, int K)
{
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) out[i * K + j] = p->P[(t * K + i) * K + j] + p->m[t * K + i] * p->m[t * K + j];
}

static void maximise_states(Lds *m, const LdsData *d, const LdsPath *p)
{
    const int K = m->K;
    static const double SLOWEST = 0.9999;
    int64_t n = 0;
    for (int64_t t = 1; t < d->T; t++) n += !is_first(d, t);
    if (n < 2 * K) return;
    for (int i = 0; i < K; i++) {
        double now = 0, before = 0, cross = 0;
        for (int64_t t = 1; t < d->T; t++) {
            if (is_first(d, t)) continue;
            const double z = p->m[t * K + i], last = p->m[(t - 1) * K + i];
            const int64_t at = (t * K + i) * K + i;
            now += p->P[at] + z * z;
            before += p->P[at - K * K] + last * last;
            cross += p->cross[at] + z * last;
        }
        const double A = fmin(cross / before, SLOWEST);
        m->A[i * K + i] = A;
        m->Q[i * K + i] = fmax((now - 2 * A * cross + A * A * before) / (double)n, LEAST_NOISE * LEAST_NOISE);
    }
}

// Sums over the known rows of one series: E[z z'], E[y z], E[y^2].
typedef struct SeriesSums { double zz[SQUARE], yz[LDS_MOST], yy; int64_t n; } SeriesSums;

static void add_value(SeriesSums *s, const Lds *m, const LdsData *d, const LdsPath *p, const double *zz, int64_t t,
                      int f)
{
    const int K = m->K;
    const double tau = precision(d, t * m->F + f);
    if (tau <= 0) return;
    double share, left, y = d->y[t * m->F + f];
    const double *z = p->m + t * K, *c = m->C + f * K;
    blend(m->R[f], tau, &share, &left);
    s->n++;
    add(s->zz, zz, K * K);
    if (share <= 0) {
        for (int i = 0; i < K; i++) s->yz[i] += y * z[i];
        s->yy += y * y;
        return;
    }
    double zc[LDS_MOST];
    y *= 1 - share;
    times_vector(zc, zz, c, K);
    for (int i = 0; i < K; i++) s->yz[i] += share * zc[i] + y * z[i];
    s->yy += left + share * share * dot(zc, c, K) + 2 * share * y * dot(c, z, K) + y * y;
}

void lds_maximise(Lds *m, Arena *a, const LdsData *d, const LdsPath *p)
{
    const int K = m->K;
    const size_t mark = arena_mark(a);
    SeriesSums *sums = arena_zalloc(a, (size_t)m->F * sizeof *sums);
    for (int64_t t = 0; t < d->T; t++) {
        double zz[SQUARE];
        moment(zz, p, t, K);
        for (int f = 0; f < m->F; f++) add_value(&sums[f], m, d, p, zz, t, f);
    }
    for (int f = 0; f < m->F; f++) {
        SeriesSums *s = &sums[f];
        if (s->n < 2 * K) continue;
        spd_invert(s->zz, K);
        times_vector(m->C + f * K, s->zz, s->yz, K);
        m->R[f] = fmax((s->yy - dot(m->C + f * K, s->yz, K)) / (double)s->n, LEAST_NOISE);
    }
    maximise_states(m, d, p);
    arena_rewind(a, mark);
}

double lds_fit(Lds *m, Arena *a, const LdsData *d, LdsPath *p, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        lds_filter(m, d, p);
        lds_smooth(m, d, p);
        lds_maximise(m, a, d, p);
    }
    const double log_likelihood = lds_filter(m, d, p);
    lds_smooth(m, d, p);
    return log_likelihood;
}

// ---- a start for EM ------------------------------------------------------------------------------------------------

static bool measured(const LdsData *d, int64_t k) { return isinf(precision(d, k)) != 0; }

// Inverts the sum of what was measured, m [K][K], made regular by a hundredth of what all together would give.
static void invert_part(double *m, double all, int K)
{
    for (int i = 0; i < K; i++) m[i * K + i] += 0.01 * all + 1e-9;
    spd_invert(m, K);
}

// to [K][K] += x x'.
static void add_square(double *to, const double *x, int K)
{
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) to[i * K + j] += x[i] * x[j];
}

// Z [T][K] of C: in each row least squares over the series that were measured; then each column to unit variance.
static void states_of(double *Z, const Lds *m, const LdsData *d)
{
    const int K = m->K, F = m->F;
    double scale[LDS_MOST] = {0};
    const double all = dot(m->C, m->C, F * K) / K;
    for (int64_t t = 0; t < d->T; t++) {
        double gram[SQUARE] = {0}, h[LDS_MOST] = {0};
        for (int f = 0; f < F; f++) {
            if (!measured(d, t * F + f)) continue;
            add_square(gram, m->C + f * K, K);
            for (int i = 0; i < K; i++) h[i] += m->C[f * K + i] * d->y[t * F + f];
        }
        invert_part(gram, all, K);
        times_vector(Z + t * K, gram, h, K);
        for (int i = 0; i < K; i++) scale[i] += Z[t * K + i] * Z[t * K + i] / (double)d->T;
    }
    for (int64_t k = 0; k < d->T * K; k++) Z[k] /= sqrt(scale[k % K]) + 1e-9;
}

// C of Z, for each series over the rows in which it was measured, and what remains as R.
static void loadings_of(Lds *m, const LdsData *d, const double *Z)
{
    const int K = m->K, F = m->F;
    for (int f = 0; f < F; f++) {
        double gram[SQUARE] = {0}, h[LDS_MOST] = {0}, yy = 0;
        int64_t n = 0;
        for (int64_t t = 0; t < d->T; t++) {
            if (!measured(d, t * F + f)) continue;
            const double y = d->y[t * F + f];
            n++;
            yy += y * y;
            add_square(gram, Z + t * K, K);
            for (int i = 0; i < K; i++) h[i] += y * Z[t * K + i];
        }
        invert_part(gram, (double)n, K);   // each column of Z has unit variance
        times_vector(m->C + f * K, gram, h, K);
        const double mean = n ? yy / (double)n : 0, left = n ? (yy - dot(m->C + f * K, h, K)) / (double)n : 0;
        m->R[f] = fmax(left, 1e-3 * mean + LEAST_NOISE);
    }
}

void lds_start(Lds *m, Arena *a, const LdsData *d, uint64_t seed)
{
    enum { ROUNDS = 8 };
    static const double MEMORY = 0.9;                        // of z from row to row, to begin with
    const int K = m->K;
    const size_t mark = arena_mark(a);
    double *Z = arena_alloc(a, (size_t)d->T * (size_t)K * sizeof *Z);
    for (int64_t k = 0; k < (int64_t)m->F * K; k++)
        m->C[k] = (double)philox_normal(seed, philox_subsequence(SITE_INIT, 0), (uint64_t)k);
    for (int i = 0; i < ROUNDS; i++) {
        states_of(Z, m, d);
        loadings_of(m, d, Z);
    }
    for (int i = 0; i < K * K; i++) {
        const bool diagonal = i % (K + 1) == 0;
        m->A[i] = diagonal ? MEMORY : 0;
        m->Q[i] = diagonal ? 1 - MEMORY * MEMORY : 0;
        m->P0[i] = diagonal;
    }
    arena_rewind(a, mark);
}
