#include "traffic/lds_channel.h"

#include <math.h>

static const double WEAK = 1e-3, FLAT = 1e-6;    // precision of the prior of a and b around 0; a b that says nothing

static double curvature(double xi) { return xi > 1e-4 ? tanh(xi / 2) / (4 * xi) : 0.125; }     // l(xi)
static double log_logistic(double g) { return g < 0 ? g - log1p(exp(g)) : -log1p(exp(-g)); }

// y* and tau of every value that the channel applies to.
static void write_values(LdsChannel *c, int64_t cells)
{
    for (int64_t k = 0; k < cells; k++) {
        if (!c->applies[k]) continue;
        const double l = curvature(c->xi[k]);
        c->tau[k] = fabs(c->b) > FLAT ? 2 * l * c->b * c->b : 0;
        c->y[k] = fabs(c->b) > FLAT ? (1 / (4 * l) - c->a - c->b * c->offset[k]) / c->b : 0;
    }
}

void channel_start(LdsChannel *c, int64_t cells)
{
    double missing = 0, measured = 0;
    for (int64_t k = 0; k < cells; k++) {
        missing += c->applies[k];
        measured += isinf(c->tau[k]);
    }
    c->b = 0;
    c->a = log((missing + 0.5) / (measured + 0.5));
    for (int64_t k = 0; k < cells; k++) c->xi[k] = fabs(c->a);
    write_values(c, cells);
}

void channel_maximise(LdsChannel *c, const Lds *m, const LdsData *d, const LdsPath *p)
{
    const int64_t cells = d->T * m->F;
    double h00 = WEAK, h01 = 0, h11 = WEAK, r0 = 0, r1 = 0;
    for (int64_t k = 0; k < cells; k++) {
        double u = c->offset[k] + c->y[k], variance = 0, l;
        if (c->applies[k]) {
            lds_value(m, d, p, k / m->F, (int)(k % m->F), &u, &variance);
            u += c->offset[k];
            l = curvature(c->xi[k]);
        } else if (isinf(c->tau[k])) l = curvature(fabs(c->a + c->b * u));
        else continue;
        const double sign = c->applies[k] ? 0.5 : -0.5;
        h00 += 2 * l;
        h01 += 2 * l * u;
        h11 += 2 * l * (u * u + variance);
        r0 += sign;
        r1 += sign * u;
    }
    const double det = h00 * h11 - h01 * h01, a = (r0 * h11 - r1 * h01) / det, b = (r1 * h00 - r0 * h01) / det;
    for (int64_t k = 0; k < cells; k++) {
        double u, variance;
        if (!c->applies[k]) continue;
        lds_value(m, d, p, k / m->F, (int)(k % m->F), &u, &variance);
        const double g = a + b * (c->offset[k] + u);
        c->xi[k] = sqrt(g * g + b * b * variance);
    }
    c->a = a;
    c->b = b;
    write_values(c, cells);
}

double channel_bound(const LdsChannel *c, const LdsData *d, int F)
{
    static const double TWO_PI = 6.283185307179586;
    double sum = -WEAK / 2 * (c->a * c->a + c->b * c->b);
    for (int64_t k = 0; k < d->T * F; k++) {
        if (isinf(c->tau[k])) sum += log_logistic(-(c->a + c->b * (c->offset[k] + c->y[k])));
        if (!c->applies[k]) continue;
        const double xi = c->xi[k], l = curvature(xi), g = c->a + c->b * c->offset[k];
        sum += log_logistic(xi) - xi / 2 + l * xi * xi;
        sum += c->tau[k] > 0 ? 1 / (16 * l) - 0.5 * log(c->tau[k] / TWO_PI) : g / 2 - l * g * g;
    }
    return sum;
}

double channel_fit(LdsChannel *c, Lds *m, Arena *a, const LdsData *d, LdsPath *p, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        lds_filter(m, d, p);
        lds_smooth(m, d, p);
        Lds before = *m;                                      // the values' moments are those of the E step's system
        const size_t mark = arena_mark(a);
        before.C = arena_alloc(a, (size_t)(m->F * m->K) * sizeof(double));
        before.R = arena_alloc(a, (size_t)m->F * sizeof(double));
        for (int k = 0; k < m->F * m->K; k++) before.C[k] = m->C[k];
        for (int f = 0; f < m->F; f++) before.R[f] = m->R[f];
        lds_maximise(m, a, d, p);
        channel_maximise(c, &before, d, p);
        arena_rewind(a, mark);
    }
    const double log_likelihood = lds_filter(m, d, p);
    lds_smooth(m, d, p);
    return log_likelihood + channel_bound(c, d, m->F);
}
