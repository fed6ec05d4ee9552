// base_error: how far the cheap forecast of k slots ahead was off when each row came, in units of its usual error (E7).
//   u [T,F]: the series in scale s; made [T,F]: the forecast made at each row for k slots later; origin I32 [T]: the
//   row at which that of row t was made, -1: none; sigma [F] -> y [T,2F] = e, |e|
//   e = (u_t - made_{origin t})/sigma within -30 .. 30, and 0 where there was no forecast
#include "tensor/ref.h"

KERNEL(base_error, fwd)
{
    const real *u = in_x(c, 0), *made = in_x(c, 1), *sigma = in_x(c, 3);
    const int32_t *origin = c->in[2]->x;
    real *y = out_x(c, 0);
    const int64_t T = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1];
#pragma omp parallel for if (T * F > PAR_MIN)
    for (int64_t t = 0; t < T; t++)
        for (int64_t f = 0; f < F; f++) {
            const real e = origin[t] < 0 ? 0 : (u[t * F + f] - made[origin[t] * F + f]) / sigma[f];
            y[2 * t * F + f] = e < -30 ? -30 : e > 30 ? 30 : e;
            y[(2 * t + 1) * F + f] = R(fabs)(y[2 * t * F + f]);
        }
}
