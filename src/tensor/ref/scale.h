// E1, one formula for the host, the reference kernels and cuda/: volume (kbit/s) -> scale s and back; see
// traffic/scaling.h.  Computed in double.  Whoever includes this defines SCALE_FN (storage, __device__) and
// SCALE_REAL, the type of the tables.  flowmax: of the flow at hand; knot_kbps, knot_s [n]: quantile only.
#ifndef LEAD_TENSOR_REF_SCALE_H
#define LEAD_TENSOR_REF_SCALE_H

#include <float.h>
#include <math.h>

#include "tensor/traffic_ops.h"

// Piecewise linear through (u[i], v[i]), the last segment continued.
SCALE_FN double scale_interpolate(const SCALE_REAL *u, const SCALE_REAL *v, int64_t n, double at)
{
    int64_t low = 0, high = n - 2;   // the segment low .. low+1 holds `at`
    while (low < high) {
        const int64_t mid = (low + high + 1) / 2;
        if ((double)u[mid] <= at) low = mid;
        else high = mid - 1;
    }
    const double t = (at - (double)u[low]) / ((double)u[low + 1] - (double)u[low]);
    return (double)v[low] + t * ((double)v[low + 1] - (double)v[low]);
}

SCALE_FN double scale_to(const TrafficScaleParams *p, double flowmax, const SCALE_REAL *knot_kbps,
                         const SCALE_REAL *knot_s, int64_t n, double x)
{
    switch (p->kind) {
    case SCALE_MAX: return x / p->max_kbps;
    case SCALE_FLOWMAX: return x / flowmax;
    case SCALE_LOG: return log1p(x / p->c_kbps) / log1p(p->max_kbps / p->c_kbps);
    default: return scale_interpolate(knot_kbps, knot_s, n, x);
    }
}

SCALE_FN double scale_from(const TrafficScaleParams *p, double flowmax, const SCALE_REAL *knot_kbps,
                           const SCALE_REAL *knot_s, int64_t n, double s)
{
    double x;
    if (!(s > 0)) return isnan(s) ? s : 0;   // a NaN must stay visible
    switch (p->kind) {
    case SCALE_MAX: x = s * p->max_kbps; break;
    case SCALE_FLOWMAX: x = s * flowmax; break;
    case SCALE_LOG: x = p->c_kbps * expm1(s * log1p(p->max_kbps / p->c_kbps)); break;
    default: x = scale_interpolate(knot_s, knot_kbps, n, s);
    }
    return fmin(x, (double)FLT_MAX);
}

#endif
