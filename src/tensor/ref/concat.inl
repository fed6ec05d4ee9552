// concat: inputs side by side along one axis.   in[j] [O..,A_j,I..] -> y [O..,sum A_j,I..]; ConcatParams.axis
//   d in[j] += its part of dy
#include "tensor/ref.h"

// Values from the axis on: one contiguous run for each index of the axes before it.
static int64_t run_of(Shape s, int axis)
{
    int64_t n = 1;
    for (int k = axis; k < s.n; k++) n *= s.d[k];
    return n;
}

KERNEL(concat, fwd)
{
    const int axis = ((const ConcatParams *)c->p)->axis;
    const int64_t all = run_of(c->out[0]->shape, axis), outer = all ? numel(c->out[0]) / all : 0;
    real *y = out_x(c, 0);
    for (int j = 0; j < c->n_in; j++) {
        const real *x = in_x(c, j);
        const int64_t run = run_of(c->in[j]->shape, axis);
        for (int64_t o = 0; o < outer; o++) memcpy(y + o * all, x + o * run, (size_t)run * sizeof *y);
        y += run;
    }
}

KERNEL(concat, bwd)
{
    const int axis = ((const ConcatParams *)c->p)->axis;
    const int64_t all = run_of(c->out[0]->shape, axis), outer = all ? numel(c->out[0]) / all : 0;
    const real *dy = out_g(c, 0);
    for (int j = 0; j < c->n_in; j++) {
        real *dx = in_g(c, j);
        const int64_t run = run_of(c->in[j]->shape, axis);
        if (dx)
            for (int64_t o = 0; o < outer; o++)
                for (int64_t i = 0; i < run; i++) dx[o * run + i] += dy[o * all + i];
        dy += run;
    }
}
