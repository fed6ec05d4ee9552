// Checked calls of resampling and global pooling.
#include "autograd/check.h"

Tensor *tape_upsample2(Tape *t, Tensor *x)
{
    check_dims("upsample2", "x", x, 4);
    const Shape y = SHAPE(x->shape.d[0], 2 * x->shape.d[1], 2 * x->shape.d[2], x->shape.d[3]);
    return tape_op(t, OP_upsample2, 1, &x, 1, &y, NULL, 0)->out[0];
}

Tensor *tape_avgpool2(Tape *t, Tensor *x)
{
    check_dims("avgpool2", "x", x, 4);
    CHECK(x->shape.d[1] % 2 == 0 && x->shape.d[2] % 2 == 0, "avgpool2: want even height and width, got %lldx%lld",
          (long long)x->shape.d[1], (long long)x->shape.d[2]);
    const Shape y = SHAPE(x->shape.d[0], x->shape.d[1] / 2, x->shape.d[2] / 2, x->shape.d[3]);
    return tape_op(t, OP_avgpool2, 1, &x, 1, &y, NULL, 0)->out[0];
}

static Tensor *global_pool(Tape *t, OpId op, Tensor *x)
{
    CHECK(x->shape.n >= 3, "%s: wants [N,..,C], got %d dimensions", op_info(op)->name, x->shape.n);
    const Shape y = SHAPE(x->shape.d[0], shape_last(x->shape));
    return tape_op(t, op, 1, &x, 1, &y, NULL, 0)->out[0];
}

Tensor *tape_global_avgpool(Tape *t, Tensor *x) { return global_pool(t, OP_global_avgpool, x); }
Tensor *tape_global_maxpool(Tape *t, Tensor *x) { return global_pool(t, OP_global_maxpool, x); }
