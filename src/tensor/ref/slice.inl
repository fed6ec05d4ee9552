// slice: y = x[.., start : start + L, ..] along one axis; SliceParams.   x [O..,A,I..] -> y [O..,L,I..]
//   dx[.., start + l, ..] += dy[.., l, ..]
#include "tensor/ref.h"

// `outer` runs of `to` values, one from every `from` values of x, starting `first` values in.
typedef struct { int64_t outer, from, to, first; } Runs;

static Runs runs_of(const OpCall *c)
{
    const SliceParams *p = c->p;
    const Shape x = c->in[0]->shape;
    int64_t outer = 1, inner = 1;
    for (int k = 0; k < p->axis; k++) outer *= x.d[k];
    for (int k = p->axis + 1; k < x.n; k++) inner *= x.d[k];
    return (Runs){outer, x.d[p->axis] * inner, c->out[0]->shape.d[p->axis] * inner, p->start * inner};
}

KERNEL(slice, fwd)
{
    const Runs r = runs_of(c);
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    for (int64_t o = 0; o < r.outer; o++)
        memcpy(y + o * r.to, x + o * r.from + r.first, (size_t)r.to * sizeof *y);
}

KERNEL(slice, bwd)
{
    const Runs r = runs_of(c);
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    for (int64_t o = 0; o < r.outer; o++)
        for (int64_t i = 0; i < r.to; i++) dx[o * r.from + r.first + i] += dy[o * r.to + i];
}
