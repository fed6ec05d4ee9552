// ewma: exponentially weighted moving averages of every flow over time, one for each half-life (E7).   x [T,F];
//   place I32 [T]: where each row lies in time, in slots, increasing; valid I32 [T] -> y [T,F,n]; EwmaParams
//   Values: v_t = x_t of a valid row; with `change` v_t = |x_t - x_{t-1}| where both rows are valid and one slot apart.
//   The first value starts the average.  From then on, d slots after the value before,
//     y_t = y + (1 - 2^(-d/half_life)) (v_t - y)
//   A row without a value repeats y; before the first value y is 0
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(ewma, fwd)
{
    const EwmaParams *p = c->p;
    const real *x = in_x(c, 0);
    const int32_t *place = c->in[1]->x, *valid = c->in[2]->x;
    real *y = out_x(c, 0);
    const int64_t T = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1], n = p->n;
    int64_t last = -1;                                  // the row of the value before
    for (int64_t t = 0; t < T; t++) {
        real *now = y + t * F * n;
        const real *before = now - F * n;
        const bool pair = t > 0 && valid[t - 1] && place[t] - place[t - 1] == 1;
        const bool value = valid[t] && (pair || !p->change);
        for (int64_t j = 0; j < n; j++) {
            const double kept = value && last >= 0 ? exp2(-(place[t] - place[last]) / p->half_life[j]) : 0;
            for (int64_t f = 0; f < F; f++) {
                const real old = t > 0 ? before[f * n + j] : 0, v = p->change && pair
                                     ? R(fabs)(x[t * F + f] - x[(t - 1) * F + f]) : x[t * F + f];
                now[f * n + j] = value ? old + (real)(1 - kept) * (v - old) : old;
            }
        }
        if (value) last = t;
    }
}
