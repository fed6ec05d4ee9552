// flow_context: what is known at "now" of every flow of a window, in units of its own errors (E7).
//   u [B,W,F]: matrices of windows in scale s, columns as window_rows gives them; base [B,K,F]: the cheap forecast;
//   week [B,K,F]: the matrices a week before; part [B,K,F]: means of the slot on working days or weekends;
//   ewma [B,F,n], change [B,F,m]: moving averages of the flow and of its |changes| up to now; level [2,F]: mean and
//   spread; sigma [K,F]: mean |error| of base; now I32 [B]: slot of the week -> y [B,F,H+n+m+6+4K]; FlowContextParams
//   plane 0                asinh((u_now - mean)/std)
//   planes 1 .. H-1        asinh((u_{now-i} - u_now)/sigma_1)
//   then n                 asinh((ewma_j - u_now)/sigma_1)
//   then m                 log(change_j/sigma_1 + 0.02)
//   then 2                 log((max - min)/sigma_1 + 0.02) and asinh((max - u_now)/sigma_1) of the last H matrices
//   then 4                 sine and cosine of the time of day and of the week
//   then 4 for each k      asinh((v - u_now)/sigma_k): v = base_k, the matrix a day before now + k, week_k, part_k
//   Every plane grows like a logarithm: what lies far from the training data stays within reach of it
#include "tensor/ref.h"
#include "tensor/traffic_ops.h"

KERNEL(flow_context, fwd)
{
    const real *u = in_x(c, 0), *base = in_x(c, 1), *week = in_x(c, 2), *part = in_x(c, 3), *ewma = in_x(c, 4);
    const real *change = in_x(c, 5), *level = in_x(c, 6), *sigma = in_x(c, 7);
    const int32_t *week_slot = c->in[8]->x;
    real *y = out_x(c, 0);
    const FlowContextParams *p = c->p;
    const int64_t B = c->in[0]->shape.d[0], W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2];
    const int64_t K = c->in[7]->shape.d[0], H = p->history, n = c->in[4]->shape.d[2], m = c->in[5]->shape.d[2];
    const int64_t C = c->out[0]->shape.d[2];
    const real turn = (real)6.283185307179586476925;
#pragma omp parallel for if (B * F * C > PAR_MIN / 16)
    for (int64_t i = 0; i < B * F; i++) {
        const int64_t b = i / F, f = i % F;
        const real *column = u + b * W * F + f, now = column[H * F];
        real *plane = y + i * C, most = now, least = now;
        *plane++ = R(asinh)((now - level[f]) / level[F + f]);
        for (int64_t back = 1; back < H; back++) {
            const real v = column[(H - back) * F];
            *plane++ = R(asinh)((v - now) / sigma[f]);
            most = v > most ? v : most;
            least = v < least ? v : least;
        }
        for (int64_t j = 0; j < n; j++) *plane++ = R(asinh)((ewma[i * n + j] - now) / sigma[f]);
        for (int64_t j = 0; j < m; j++) *plane++ = R(log)(change[i * m + j] / sigma[f] + (real)0.02);
        *plane++ = R(log)((most - least) / sigma[f] + (real)0.02);
        *plane++ = R(asinh)((most - now) / sigma[f]);
        const real day = turn * (real)(week_slot[b] % p->per_day) / (real)p->per_day;
        const real days = turn * (real)week_slot[b] / (real)(7 * p->per_day);
        *plane++ = R(sin)(day);
        *plane++ = R(cos)(day);
        *plane++ = R(sin)(days);
        *plane++ = R(cos)(days);
        for (int64_t k = 0; k < K; k++) {
            const int64_t kf = (b * K + k) * F + f;
            const real v[4] = {base[kf], column[(W - K + k) * F], week[kf], part[kf]};
            for (int j = 0; j < 4; j++) *plane++ = R(asinh)((v[j] - now) / sigma[k * F + f]);
        }
    }
}
