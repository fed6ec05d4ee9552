// Checked call of the selective scan.
#include "autograd/check.h"

Tensor *tape_selective_scan(Tape *t, Tensor *x, Tensor *delta, Tensor *decay, Tensor *in, Tensor *out, Tensor *skip)
{
    check_dims("selective_scan", "x", x, 3);
    check_dims("selective_scan", "decay", decay, 2);
    const int64_t W = x->shape.d[2], N = decay->shape.d[1];
    check_shape("selective_scan", "delta", delta, x->shape);
    check_shape("selective_scan", "decay", decay, SHAPE(W, N));
    check_shape("selective_scan", "in", in, SHAPE(x->shape.d[0], x->shape.d[1], N));
    check_shape("selective_scan", "out", out, in->shape);
    check_shape("selective_scan", "skip", skip, SHAPE(W));
    Tensor *const all[] = {x, delta, decay, in, out, skip};
    return tape_op(t, OP_selective_scan, 6, all, 1, &x->shape, NULL, 0)->out[0];
}
