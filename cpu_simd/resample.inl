// upsample2, avgpool2, global_avgpool, global_maxpool: vectors of channels, sums in the order of the plain kernels.
// Formulas and shapes: src/tensor/ref/<op>.inl.  All are bound by memory.
#include "cpu_simd/range.h"

static inline void move_pixel(float *y, const float *x, int64_t C)
{
    for (int64_t i = 0; i < C; i += VW) vstore_n(y + i, C - i, vload_n(x + i, C - i));
}

KERNEL(upsample2, fwd)
{
    const int64_t *d = c->in[0]->shape.d, rows = d[0] * d[1], W = d[2], C = d[3];
    const float *x = in_x(c, 0);
    float *y = out_x(c, 0);
#pragma omp parallel for schedule(static) if (4 * rows * W * C > PAR_VALUES)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t half = 0; half < 2; half++)
            for (int64_t j = 0; j < 2 * W; j++)
                move_pixel(y + ((2 * row + half) * 2 * W + j) * C, x + (row * W + j / 2) * C, C);
}

// The sum of the 2 x 2 pixels from p on, in images W pixels wide; channels i.., n of them.
static inline vf sum_square(const float *p, int64_t W, int64_t C, int64_t i, int64_t n)
{
    const float *q = p + W * C;
    return vadd(vadd(vadd(vload_n(p + i, n), vload_n(p + C + i, n)), vload_n(q + i, n)), vload_n(q + C + i, n));
}

KERNEL(upsample2, bwd)
{
    const int64_t *d = c->in[0]->shape.d, rows = d[0] * d[1], W = d[2], C = d[3];
    const float *dy = out_g(c, 0);
    float *dx = in_g(c, 0);
    if (!dx) return;
#pragma omp parallel for schedule(static) if (4 * rows * W * C > PAR_VALUES)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t w = 0; w < W; w++)
            for (int64_t i = 0; i < C; i += VW) {
                float *to = dx + (row * W + w) * C + i;
                const vf sum = sum_square(dy + (2 * row * 2 * W + 2 * w) * C, 2 * W, C, i, C - i);
                vstore_n(to, C - i, vadd(vload_n(to, C - i), sum));
            }
}

KERNEL(avgpool2, fwd)
{
    const int64_t *d = c->out[0]->shape.d, rows = d[0] * d[1], W = d[2], C = d[3];
    const float *x = in_x(c, 0);
    float *y = out_x(c, 0);
#pragma omp parallel for schedule(static) if (4 * rows * W * C > PAR_VALUES)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t w = 0; w < W; w++)
            for (int64_t i = 0; i < C; i += VW) {
                const vf sum = sum_square(x + (2 * row * 2 * W + 2 * w) * C, 2 * W, C, i, C - i);
                vstore_n(y + (row * W + w) * C + i, C - i, vmul(vset1(0.25f), sum));
            }
}

KERNEL(avgpool2, bwd)
{
    const int64_t *d = c->in[0]->shape.d, rows = d[0] * d[1], W = d[2], C = d[3];
    const float *dy = out_g(c, 0);
    float *dx = in_g(c, 0);
    if (!dx) return;
#pragma omp parallel for schedule(static) if (rows * W * C > PAR_VALUES)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t w = 0; w < W; w++) {
            const float *from = dy + (row / 2 * (W / 2) + w / 2) * C;
            float *to = dx + (row * W + w) * C;
            for (int64_t i = 0; i < C; i += VW) {
                const vf share = vmul(vset1(0.25f), vload_n(from + i, C - i));
                vstore_n(to + i, C - i, vadd(vload_n(to + i, C - i), share));
            }
        }
}

typedef struct Pool { int64_t N, S, C; } Pool;   // x [N,S,C] -> y [N,C]

static Pool pool_of(const OpCall *c)
{
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape);
    return (Pool){N, numel(c->in[0]) / (N * C), C};
}

KERNEL(global_avgpool, fwd)
{
    const Pool d = pool_of(c);
    const float *x = in_x(c, 0);
    float *y = out_x(c, 0);
#pragma omp parallel for schedule(static) if (d.N * d.S * d.C > PAR_VALUES)
    for (int64_t n = 0; n < d.N; n++)
        for (int64_t i = 0; i < d.C; i += VW) {
            vf sum = vzero();
            for (int64_t s = 0; s < d.S; s++) sum = vadd(sum, vload_n(x + (n * d.S + s) * d.C + i, d.C - i));
            vstore_n(y + n * d.C + i, d.C - i, vdiv(sum, vset1((float)d.S)));
        }
}

KERNEL(global_avgpool, bwd)
{
    const Pool d = pool_of(c);
    const float *dy = out_g(c, 0);
    float *dx = in_g(c, 0);
    if (!dx) return;
#pragma omp parallel for schedule(static) if (d.N * d.S * d.C > PAR_VALUES)
    for (int64_t n = 0; n < d.N; n++)
        for (int64_t i = 0; i < d.C; i += VW) {
            const vf share = vdiv(vload_n(dy + n * d.C + i, d.C - i), vset1((float)d.S));
            for (int64_t s = 0; s < d.S; s++) {
                float *to = dx + (n * d.S + s) * d.C + i;
                vstore_n(to, d.C - i, vadd(vload_n(to, d.C - i), share));
            }
        }
}

KERNEL(global_maxpool, fwd)
{
    const Pool d = pool_of(c);
    const float *x = in_x(c, 0);
    float *y = out_x(c, 0);
#pragma omp parallel for schedule(static) if (d.N * d.S * d.C > PAR_VALUES)
    for (int64_t n = 0; n < d.N; n++)
        for (int64_t i = 0; i < d.C; i += VW) {
            vf best = vload_n(x + n * d.S * d.C + i, d.C - i);
            for (int64_t s = 1; s < d.S; s++) {   // vmax keeps a NaN of its second operand, vsel one that is there
                const vf v = vload_n(x + (n * d.S + s) * d.C + i, d.C - i);
                best = vsel(vnan(best), best, vmax(best, v));
            }
            vstore_n(y + n * d.C + i, d.C - i, best);
        }
}

// The first place of the maximum y (or of the first NaN) is searched backwards: every place that is not below y counts.
KERNEL(global_maxpool, bwd)
{
    const Pool d = pool_of(c);
    const float *x = in_x(c, 0), *y = out_x(c, 0), *dy = out_g(c, 0);
    float *dx = in_g(c, 0);
    if (!dx) return;
#pragma omp parallel for schedule(static) if (d.N * d.S * d.C > PAR_VALUES)
    for (int64_t n = 0; n < d.N; n++)
        for (int64_t i = 0; i < d.C; i += VW) {
            const vf top = vload_n(y + n * d.C + i, d.C - i);
            const int64_t lanes = min_i64(VW, d.C - i);
            float at[VW];
            vf place = vzero();
            for (int64_t s = d.S - 1; s >= 0; s--) {
                const vf v = vload_n(x + (n * d.S + s) * d.C + i, d.C - i);
                const vf less = vsel(vlt(v, top), vset1(1), vzero()), number = vsel(vnan(v), vzero(), vset1(1));
                const vf below = vsel(vnan(top), number, less);
                place = vsel(vlt(below, vset1(0.5f)), vset1((float)s), place);
            }
            vstore(at, place);
            for (int64_t l = 0; l < lanes; l++) dx[(n * d.S + (int64_t)at[l]) * d.C + i + l] += dy[n * d.C + i + l];
        }
}
