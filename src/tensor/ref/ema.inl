// ema: e' = decay e + (1 - decay) p, written e + (1 - decay) (p - e): a parameter that rests keeps its average exactly.
//   in: e, p of one shape -> out: e', which may be the same buffer as e; EmaParams
#include "tensor/ref.h"

KERNEL(ema, fwd)
{
    const real f = (real)(1 - ((const EmaParams *)c->p)->decay);
    const real *e = in_x(c, 0), *p = in_x(c, 1);
    real *e1 = out_x(c, 0);
    const int64_t n = numel(c->in[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) e1[i] = e[i] + f * (p[i] - e[i]);
}
