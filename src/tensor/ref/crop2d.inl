// crop2d: takes a border away.   x [N,H,W,C] -> y [N,H-top-bottom,W-left-right,C]; Pad2dParams
//   y[n,h,w,c] = x[n,top+h,left+w,c]     dx[n,top+h,left+w,c] += dy[n,h,w,c]
#include "tensor/ref.h"

KERNEL(crop2d, fwd)
{
    const Pad2dParams *p = c->p;
    const Shape sx = c->in[0]->shape, sy = c->out[0]->shape;
    const int64_t H = sy.d[1], row = sy.d[2] * sy.d[3], xrow = sx.d[2] * sx.d[3], left = p->left * sx.d[3];
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    for (int64_t n = 0; n < sy.d[0]; n++)
        for (int64_t h = 0; h < H; h++)
            memcpy(y + (n * H + h) * row, x + (n * sx.d[1] + p->top + h) * xrow + left, (size_t)row * sizeof *y);
}

KERNEL(crop2d, bwd)
{
    const Pad2dParams *p = c->p;
    const Shape sx = c->in[0]->shape, sy = c->out[0]->shape;
    const int64_t H = sy.d[1], row = sy.d[2] * sy.d[3], xrow = sx.d[2] * sx.d[3], left = p->left * sx.d[3];
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    for (int64_t n = 0; n < sy.d[0]; n++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t i = 0; i < row; i++)
                dx[(n * sx.d[1] + p->top + h) * xrow + left + i] += dy[(n * H + h) * row + i];
}
