// pad2d: zeros around an image.   x [N,H,W,C] -> y [N,top+H+bottom,left+W+right,C]; Pad2dParams
//   y[n,top+h,left+w,c] = x[n,h,w,c]     dx[n,h,w,c] += dy[n,top+h,left+w,c]
#include "tensor/ref.h"

KERNEL(pad2d, fwd)
{
    const Pad2dParams *p = c->p;
    const Shape sx = c->in[0]->shape, sy = c->out[0]->shape;
    const int64_t H = sx.d[1], row = sx.d[2] * sx.d[3], yrow = sy.d[2] * sy.d[3], left = p->left * sx.d[3];
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    memset(y, 0, (size_t)numel(c->out[0]) * sizeof *y);
    for (int64_t n = 0; n < sx.d[0]; n++)
        for (int64_t h = 0; h < H; h++)
            memcpy(y + (n * sy.d[1] + p->top + h) * yrow + left, x + (n * H + h) * row, (size_t)row * sizeof *y);
}

KERNEL(pad2d, bwd)
{
    const Pad2dParams *p = c->p;
    const Shape sx = c->in[0]->shape, sy = c->out[0]->shape;
    const int64_t H = sx.d[1], row = sx.d[2] * sx.d[3], yrow = sy.d[2] * sy.d[3], left = p->left * sx.d[3];
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0);
    if (!dx) return;
    for (int64_t n = 0; n < sx.d[0]; n++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t i = 0; i < row; i++)
                dx[(n * H + h) * row + i] += dy[(n * sy.d[1] + p->top + h) * yrow + left + i];
}
