// flow_news: what happened lately to the cheap forecast of each flow and to its nodes (E7).   error [B,2F,n]: moving
//   averages at "now" of the forecast's errors of each flow, then of their sizes (base_error); now, before, mean
//   [B,2N+1]: node_sums at "now", one slot earlier, and on average over the last hours; unit [2N+1]: mean |change| of
//   each -> y [B,F,2n+6]
//   n planes       asinh(error_f)
//   then n         log(size_f + 0.05)
//   then 6         asinh((mean - now)/unit), asinh((now - before)/unit) of the flow's origin, destination, the total
#include "tensor/ref.h"

KERNEL(flow_news, fwd)
{
    const real *error = in_x(c, 0), *now = in_x(c, 1), *before = in_x(c, 2), *mean = in_x(c, 3), *unit = in_x(c, 4);
    real *y = out_x(c, 0);
    const int64_t B = c->out[0]->shape.d[0], F = c->out[0]->shape.d[1], C = c->out[0]->shape.d[2];
    const int64_t n = c->in[0]->shape.d[2], V = numel(c->in[4]), N = V / 2;
#pragma omp parallel for if (B * F * C > PAR_MIN / 16)
    for (int64_t i = 0; i < B * F; i++) {
        const int64_t b = i / F, f = i % F, node[3] = {f / N, N + f % N, 2 * N};
        const real *e = error + (2 * b * F + f) * n, *size = e + F * n;
        real *plane = y + i * C;
        for (int64_t j = 0; j < n; j++) *plane++ = R(asinh)(e[j]);
        for (int64_t j = 0; j < n; j++) *plane++ = R(log)(size[j] + (real)0.05);
        for (int k = 0; k < 3; k++) {
            const int64_t v = b * V + node[k];
            *plane++ = R(asinh)((mean[v] - now[v]) / unit[node[k]]);
            *plane++ = R(asinh)((now[v] - before[v]) / unit[node[k]]);
        }
    }
}
