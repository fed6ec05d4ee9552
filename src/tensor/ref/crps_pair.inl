// crps_pair: CRPS of a forecast from two independent draws a, b of it, against the truth y (E7):
//   L = mean (|a - y| + |b - y|)/2 - w |a - b|,  w = (1 + fair)/4, added in double, in order.
//   a, b, y any shape, n values -> L [1]; CrpsPairParams
//   fair = 1, w = 1/2: unbiased, E|X - y| - E|X - X'|/2 (Gneiting, Raftery 2007; Ferro 2014).  fair = 0, w = 1/4: the
//   score of the two as an ensemble.  Between: the almost fair score (Lang et al. 2024, AIFS-CRPS, arXiv 2412.15832):
//   with the fair one alone, a pair may drift to either side of y together with its opposite at no cost.
//   da += dL (sgn(a - y)/2 - w sgn(a - b)) / n     db the same with a and b exchanged
//   dy += dL (sgn(y - a) + sgn(y - b)) / 2n        sgn(0) = 0
#include "tensor/ref.h"

KERNEL(crps_pair, fwd)
{
    const double w = (1 + ((const CrpsPairParams *)c->p)->fair) / 4;
    const real *a = in_x(c, 0), *b = in_x(c, 1), *y = in_x(c, 2);
    const int64_t n = numel(c->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p = (double)a[i], q = (double)b[i], truth = (double)y[i];
        sum += 0.5 * (fabs(p - truth) + fabs(q - truth)) - w * fabs(p - q);
    }
    out_x(c, 0)[0] = (real)(sum / (double)n);
}

static real sgn(real p, real q) { return (real)(p > q) - (real)(p < q); }   // of p - q

KERNEL(crps_pair, bwd)
{
    const real w = (real)((1 + ((const CrpsPairParams *)c->p)->fair) / 4);
    const real *a = in_x(c, 0), *b = in_x(c, 1), *y = in_x(c, 2);
    real *da = in_g(c, 0), *db = in_g(c, 1), *dy = in_g(c, 2);
    const int64_t n = numel(c->in[0]);
    const real f = out_g(c, 0)[0] / (real)n, half = (real)0.5;
    for (int64_t i = 0; i < n; i++) {
        const real ay = half * sgn(a[i], y[i]), by = half * sgn(b[i], y[i]), ab = w * sgn(a[i], b[i]);
        if (da) da[i] += f * (ay - ab);
        if (db) db[i] += f * (by + ab);
        if (dy) dy[i] -= f * (ay + by);
    }
}
