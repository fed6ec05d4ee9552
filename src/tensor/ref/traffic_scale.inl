// traffic_scale: E1, volumes (kbit/s) to scale s, or back with `inverse`.   x [..,F], flowmax [F], knot_kbps [n] and
//   knot_s [n] or NULL (quantile only) -> y like x; TrafficScaleParams.  Formulas: ref/scale.h
#include "tensor/ref.h"
#define SCALE_FN static
#define SCALE_REAL real
#include "tensor/ref/scale.h"

KERNEL(traffic_scale, fwd)
{
    const TrafficScaleParams *p = c->p;
    const real *x = in_x(c, 0), *flowmax = in_x(c, 1), *kbps = in_x(c, 2), *s = in_x(c, 3);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[0]), F = numel(c->in[1]), knots = c->in[2] ? numel(c->in[2]) : 0;
#pragma omp parallel for if (n > PAR_MIN / 4)
    for (int64_t i = 0; i < n; i++) {
        const double max = (double)flowmax[i % F], v = (double)x[i];
        y[i] = (real)(p->inverse ? scale_from(p, max, kbps, s, knots, v) : scale_to(p, max, kbps, s, knots, v));
    }
}
