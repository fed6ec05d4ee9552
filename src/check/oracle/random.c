// Ops that draw, one draw at a time.
#include <complex.h>
#include <math.h>

#include "check/oracle.h"
#include "tensor/philox.h"

static uint32_t clock_of(const OpCall *c, int i)
{
    return c->n_in > i && c->in[i] ? (uint32_t)*(const int32_t *)c->in[i]->x : 0;
}

// Draw by draw instead of quad by quad.
void dropout_oracle(const OpCall *c, long double *const *out)
{
    const DropoutParams *p = c->p;
    const double *x = c->in[0]->x;
    const uint64_t sub = philox_subsequence(p->at.site, p->at.step + clock_of(c, 1));
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const uint32_t draw = philox_u32(p->at.seed, sub, p->at.offset + (uint64_t)i);
        out[0][i] = (double)philox_unit(draw) < p->p ? 0 : x[i] / (1 - (long double)p->p);
    }
}

// Normal by normal.
void randn_oracle(const OpCall *c, long double *const *out)
{
    const RandnParams *p = c->p;
    const uint64_t sub = philox_subsequence(p->at.site, p->at.step + clock_of(c, 0));
    const Shape s = c->out[0]->shape;
    const int64_t n = shape_numel(s), len = s.n && s.d[0] ? n / s.d[0] : n, stride = len + (4 - len % 4) % 4;
    const int32_t *pair = c->n_in > 1 ? c->in[1]->x : NULL;
    for (int64_t i = 0; i < n; i++) {
        uint64_t row = (uint64_t)(p->row0 + i / len);
        if (pair) row = (uint32_t)pair[i / len * 2] + 0x100000000u * (uint64_t)(uint32_t)pair[i / len * 2 + 1];
        out[0][i] = philox_normal(p->at.seed, sub, p->at.offset + row * (uint64_t)stride + (uint64_t)(i % len));
    }
}

// Draw by draw, and by the angle: x_t = x0 cos phi + eps sin phi, v = d x_t / d phi.
void diffuse_oracle(const OpCall *c, long double *const *out)
{
    const DiffuseParams *p = c->p;
    const double *x0 = c->in[0]->x, *ab = c->in[1]->x;
    const int64_t len = numel(c->in[0]) / numel(c->in[1]), stride = len + (4 - len % 4) % 4;
    const uint64_t sub = philox_subsequence(p->at.site, p->at.step + clock_of(c, 2));
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const long double eps = philox_normal(p->at.seed, sub, p->at.offset + (uint64_t)(i / len * stride + i % len));
        const complex long double turn = cexpl(CMPLXL(0, acosl(sqrtl(ab[i / len]))));
        const complex long double at = CMPLXL(x0[i], -eps) * turn;
        out[0][i] = creall(at);
        if (c->n_out > 1) out[1][i] = p->target == DIFFUSE_V ? -cimagl(at) : eps;
    }
}
