// Checked calls of convolutions.
#include "autograd/check.h"

Tensor *tape_conv2d(Tape *t, Tensor *x, Tensor *w, Tensor *b, int stride, int pad)
{
    check_dims("conv2d", "x", x, 4);
    check_dims("conv2d", "w", w, 4);
    check_last("conv2d", "x", x, w->shape.d[2]);
    if (b) check_shape("conv2d", "b", b, SHAPE(w->shape.d[3]));
    CHECK(stride >= 1 && pad >= 0, "conv2d: stride %d, pad %d", stride, pad);
    const int64_t H = x->shape.d[1] + 2 * pad - w->shape.d[0], W = x->shape.d[2] + 2 * pad - w->shape.d[1];
    CHECK(H >= 0 && W >= 0, "conv2d: kernel %lldx%lld is larger than the padded image", (long long)w->shape.d[0],
          (long long)w->shape.d[1]);
    const Shape y = SHAPE(x->shape.d[0], H / stride + 1, W / stride + 1, w->shape.d[3]);
    const Conv2dParams p = {stride, pad};
    return tape_op(t, OP_conv2d, 3, (Tensor *[]){x, w, b}, 1, &y, &p, sizeof p)->out[0];
}

Tensor *tape_conv2d_multi(Tape *t, Tensor *x, int n, Tensor *const *w, Tensor *const *b)
{
    CHECK(n >= 1 && n <= CONV_BRANCHES, "conv2d_multi: %d branches", n);
    check_dims("conv2d_multi", "x", x, 4);
    Tensor *in[OP_MAX_IN] = {x};
    Shape y = x->shape;
    y.d[3] = 0;
    for (int m = 0; m < n; m++) {
        check_dims("conv2d_multi", "w", w[m], 4);
        const int64_t k = w[m]->shape.d[0], O = w[m]->shape.d[3], before = m ? w[m - 1]->shape.d[0] : 1;
        CHECK(k % 2 == 1 && k >= before, "conv2d_multi: want odd windows in ascending order, got %lld behind %lld",
              (long long)k, (long long)before);
        check_shape("conv2d_multi", "w", w[m], SHAPE(k, k, x->shape.d[3], O));
        if (b[m]) check_shape("conv2d_multi", "b", b[m], SHAPE(O));
        in[2 * m + 1] = w[m], in[2 * m + 2] = b[m];
        y.d[3] += O;
    }
    return tape_op(t, OP_conv2d_multi, 2 * n + 1, in, 1, &y, NULL, 0)->out[0];
}

Tensor *tape_dwconv1d(Tape *t, Tensor *x, Tensor *w, Tensor *b)
{
    check_dims("dwconv1d", "x", x, 3);
    check_dims("dwconv1d", "w", w, 2);
    check_last("dwconv1d", "w", w, x->shape.d[2]);
    if (b) check_shape("dwconv1d", "b", b, SHAPE(x->shape.d[2]));
    CHECK(w->shape.d[0] % 2 == 1, "dwconv1d: want an odd kernel, got %lld", (long long)w->shape.d[0]);
    return tape_op(t, OP_dwconv1d, 3, (Tensor *[]){x, w, b}, 1, &x->shape, NULL, 0)->out[0];
}
