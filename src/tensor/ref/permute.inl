// permute: axes in another order; PermuteParams.   y's axis i is x's axis perm[i]:
//   y[i_0,i_1,..] = x at index i_k on axis perm[k]
//   dx at the place each y came from += dy
#include "tensor/ref.h"

// y is walked row by row (last axis); a row starts at row_start in x and has a fixed stride there.
typedef struct { int64_t rows, len, stride; int n; int64_t dim[MAX_DIMS], step[MAX_DIMS]; } Walk;

static Walk walk_of(const OpCall *c)
{
    const int *perm = ((const PermuteParams *)c->p)->perm;
    const Shape x = c->in[0]->shape, y = c->out[0]->shape;
    int64_t xstep[MAX_DIMS], s = 1;
    for (int k = x.n - 1; k >= 0; k--) {
        xstep[k] = s;
        s *= x.d[k];
    }
    Walk w = {.rows = shape_rows(y), .len = shape_last(y), .stride = y.n ? xstep[perm[y.n - 1]] : 1, .n = y.n - 1};
    for (int k = 0; k < w.n; k++) {
        w.dim[k] = y.d[k];
        w.step[k] = xstep[perm[k]];
    }
    return w;
}

static int64_t row_start(const Walk *w, int64_t row)   // in x, of y's row
{
    int64_t at = 0;
    for (int k = w->n - 1; k >= 0; k--) {
        at += row % w->dim[k] * w->step[k];
        row /= w->dim[k];
    }
    return at;
}

KERNEL(permute, fwd)
{
    const Walk w = walk_of(c);
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
#pragma omp parallel for if (w.rows * w.len > PAR_MIN)
    for (int64_t r = 0; r < w.rows; r++) {
        const real *from = x + row_start(&w, r);
        for (int64_t i = 0; i < w.len; i++) y[r * w.len + i] = from[i * w.stride];
    }
}

KERNEL(permute, bwd)
{
    const Walk w = walk_of(c);
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
#pragma omp parallel for if (w.rows * w.len > PAR_MIN)
    for (int64_t r = 0; r < w.rows; r++) {
        real *to = dx + row_start(&w, r);
        for (int64_t i = 0; i < w.len; i++) to[i * w.stride] += dy[r * w.len + i];
    }
}
