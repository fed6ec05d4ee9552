#include "links/estimate.h"

#include <math.h>
#include <string.h>

// Counts an entry (at NULL), or puts it where its row goes on.
static void put(Measurement *m, int64_t *at, int row, int64_t f, double share)
{
    if (!at) {
        m->begin[row + 1]++;
        return;
    }
    m->flow[at[row]] = (int)f;
    m->share[at[row]++] = share;
}

static void put_all(Measurement *m, int64_t *at, const Routing *r, const bool *known)
{
    int row = m->L + 2 * m->n;
    for (int64_t f = 0; f < (int64_t)m->n * m->n; f++) {
        for (int64_t i = r->begin[f]; i < r->begin[f + 1]; i++) put(m, at, r->entry[i].link, f, r->entry[i].share);
        put(m, at, m->L + (int)(f / m->n), f, 1);
        put(m, at, m->L + m->n + (int)(f % m->n), f, 1);
        if (known && known[f]) put(m, at, row++, f, 1);
    }
}

Measurement measurement_new(Arena *a, const Routing *r, const bool *known)
{
    const int n = r->n;
    const size_t F = (size_t)n * (size_t)n, entries = (size_t)r->begin[F] + 3 * F;
    Measurement m = {.n = n, .L = r->L, .rows = r->L + 2 * n, .flow = arena_alloc(a, entries * sizeof(int)),
                     .share = arena_alloc(a, entries * sizeof(double))};
    for (size_t f = 0; known && f < F; f++) m.rows += known[f];
    m.begin = arena_zalloc(a, ((size_t)m.rows + 1) * sizeof *m.begin);
    put_all(&m, NULL, r, known);
    for (int i = 0; i < m.rows; i++) m.begin[i + 1] += m.begin[i];
    int64_t *at = arena_alloc(a, (size_t)m.rows * sizeof *at);
    memcpy(at, m.begin, (size_t)m.rows * sizeof *at);
    put_all(&m, at, r, known);
    return m;
}

static double value_of(const Measurement *m, const double *x, int i)
{
    double sum = 0;
    for (int64_t k = m->begin[i]; k < m->begin[i + 1]; k++) sum += m->share[k] * x[m->flow[k]];
    return sum;
}

void measurement_of(const Measurement *m, const double *x, double *y)
{
    for (int i = 0; i < m->rows; i++) y[i] = value_of(m, x, i);
}

void measurement_set_known(const Measurement *m, const double *y, double *x)
{
    for (int i = m->L + 2 * m->n; i < m->rows; i++) x[m->flow[m->begin[i]]] = y[i];
}

void estimate_gravity(const Measurement *m, const double *y, double *g)
{
    const double *in = y + m->L, *out = in + m->n;
    double total = 0;
    for (int i = 0; i < m->n; i++) total += in[i];
    for (int i = 0; i < m->n; i++)
        for (int j = 0; j < m->n; j++) g[i * m->n + j] = total > 0 ? in[i] * out[j] / total : 0;
}

static double residual(const Measurement *m, const double *y, const double *x)
{
    double most = 0, worst = 0;
    for (int i = 0; i < m->rows; i++) {
        most = fmax(most, y[i]);
        worst = fmax(worst, fabs(value_of(m, x, i) - y[i]));
    }
    return most > 0 ? worst / most : worst;
}

// Scales the flows of value i until they add up to y.
static void scale_row(const Measurement *m, double y, double *x, int i)
{
    const double now = value_of(m, x, i), ratio = y / now;
    if (!(now > 0)) return;
    for (int64_t k = m->begin[i]; k < m->begin[i + 1]; k++)
        x[m->flow[k]] *= m->share[k] < 1 ? pow(ratio, m->share[k]) : ratio;
}

// The same, each flow as far as it gives way.  log sum_f A x exp(l w A) is convex in l: Newton's steps, held short
// enough for the exponentials; what three of them leave is met in the next sweep.
static void scale_row_by(const Measurement *m, double y, double *x, const double *give, int i)
{
    double l = 0, most = 0;
    for (int64_t k = m->begin[i]; k < m->begin[i + 1]; k++) most = fmax(most, give[m->flow[k]] * m->share[k]);
    if (!(most > 0) || !(value_of(m, x, i) > 0)) return;
    for (int step = 0; step < 3 && y > 0; step++) {
        double sum = 0, slope = 0;
        for (int64_t k = m->begin[i]; k < m->begin[i + 1]; k++) {
            const double w = give[m->flow[k]] * m->share[k], part = m->share[k] * x[m->flow[k]] * exp(l * w);
            sum += part;
            slope += part * w;
        }
        if (!(slope > 0)) return;
        l -= fmax(-4, fmin(4, most * sum / slope * log(sum / y))) / most;
    }
    for (int64_t k = m->begin[i]; k < m->begin[i + 1]; k++)
        x[m->flow[k]] *= y > 0 ? exp(l * give[m->flow[k]] * m->share[k]) : 0;
}

double estimate_fit(const Measurement *m, const double *y, double *x, const double *give, int sweeps)
{
    double left = residual(m, y, x);
    for (int s = 0; s < sweeps && !(left < 1e-6); s++) {
        for (int i = 0; i < m->rows; i++) {
            if (give) scale_row_by(m, y[i], x, give, i);
            else scale_row(m, y[i], x, i);
        }
        left = residual(m, y, x);
    }
    return left;
}

void estimate_from_draws(const EstimateDraws *d, const double *least, int64_t F, double *guess, double *give)
{
    for (int64_t f = 0; f < F; f++) {
        double sum = 0, square = 0;
        for (int s = 0; s < d->S; s++) sum += (double)d->x[s * d->stride + f];
        for (int s = 0; s < d->S; s++) {
            const double off = (double)d->x[s * d->stride + f] - sum / d->S;
            square += off * off;
        }
        guess[f] = fmax((double)d->point[f], least[f]);
        const double floor = 0.01 * guess[f];
        give[f] = guess[f] > 0 ? (square / (d->S > 1 ? d->S - 1 : 1) + floor * floor) / guess[f] : 0;
    }
}
