// Checked calls of the ops that move values, and reshape, the one view.
#include "autograd/check.h"

Tensor *tape_reshape(Tape *t, Tensor *x, Shape s)
{
    char buf[96], buf2[96];
    CHECK(numel(x) == shape_numel(s), "reshape: %s to %s", shape_text(x->shape, buf), shape_text(s, buf2));
    CHECK(x->layout == LAYOUT_ROWS, "reshape: %s is packed", x->name ? x->name : "?");
    Tensor *y = arena_alloc(t->step, sizeof *y);
    *y = *x;
    y->shape = s;
    y->view_of = x;
    return y;
}

Tensor *tape_embedding(Tape *t, Tensor *table, Tensor *idx)
{
    check_dims("embedding", "table", table, 2);
    CHECK(idx->dtype == I32 && idx->shape.n < MAX_DIMS, "embedding: the index is no I32 tensor");
    const int32_t *ix = idx->x;
    for (int64_t i = 0, n = idx->dev->memory ? 0 : numel(idx); i < n; i++)   // elsewhere the kernel gives NaN
        CHECK(ix[i] >= 0 && ix[i] < table->shape.d[0], "embedding %s: index %d outside [0,%lld)",
              table->name ? table->name : "?", ix[i], (long long)table->shape.d[0]);
    Shape y = idx->shape;
    y.d[y.n++] = table->shape.d[1];
    return tape_op(t, OP_embedding, 2, (Tensor *[]){table, idx}, 1, &y, NULL, 0)->out[0];
}

Tensor *tape_concat(Tape *t, Tensor *const *in, int n, int axis)
{
    CHECK(n >= 1 && n <= OP_MAX_IN && axis >= 0 && axis < in[0]->shape.n, "concat: %d inputs, axis %d", n, axis);
    Shape y = in[0]->shape;
    for (int i = 1; i < n; i++) {
        Shape s = in[i]->shape;
        const int64_t len = axis < s.n ? s.d[axis] : 0;
        s.d[axis] = in[0]->shape.d[axis];
        char buf[96], buf2[96];
        CHECK(shape_equal(s, in[0]->shape), "concat: %s beside %s on axis %d", shape_text(in[i]->shape, buf),
              shape_text(in[0]->shape, buf2), axis);
        y.d[axis] += len;
    }
    const ConcatParams p = {axis};
    return tape_op(t, OP_concat, n, in, 1, &y, &p, sizeof p)->out[0];
}

Tensor *tape_slice(Tape *t, Tensor *x, int axis, int64_t start, int64_t len)
{
    char buf[96];
    CHECK(axis >= 0 && axis < x->shape.n && start >= 0 && len >= 0 && start + len <= x->shape.d[axis],
          "slice: [%lld,%lld) of axis %d of %s", (long long)start, (long long)(start + len), axis,
          shape_text(x->shape, buf));
    Shape y = x->shape;
    y.d[axis] = len;
    const SliceParams p = {axis, start};
    return tape_op(t, OP_slice, 1, &x, 1, &y, &p, sizeof p)->out[0];
}

Tensor *tape_permute(Tape *t, Tensor *x, const int *perm)
{
    PermuteParams p = {{0}};
    Shape y = x->shape;
    unsigned seen = 0;
    for (int i = 0; i < x->shape.n; i++) {
        CHECK(perm[i] >= 0 && perm[i] < x->shape.n, "permute: axis %d of %d", perm[i], x->shape.n);
        p.perm[i] = perm[i];
        y.d[i] = x->shape.d[perm[i]];
        seen |= 1u << perm[i];
    }
    CHECK(seen == (1u << x->shape.n) - 1, "permute: not a permutation of %d axes", x->shape.n);
    return tape_op(t, OP_permute, 1, &x, 1, &y, &p, sizeof p)->out[0];
}

static Tensor *border(Tape *t, OpId op, Tensor *x, Pad2dParams p, int sign)
{
    const char *name = op_info(op)->name;
    check_dims(name, "x", x, 4);
    Shape y = x->shape;
    y.d[1] += sign * (p.top + p.bottom);
    y.d[2] += sign * (p.left + p.right);
    CHECK(p.top >= 0 && p.bottom >= 0 && p.left >= 0 && p.right >= 0 && y.d[1] > 0 && y.d[2] > 0, "%s: %d %d %d %d",
          name, p.top, p.bottom, p.left, p.right);
    return tape_op(t, op, 1, &x, 1, &y, &p, sizeof p)->out[0];
}

Tensor *tape_pad2d(Tape *t, Tensor *x, int top, int bottom, int left, int right)
{
    return border(t, OP_pad2d, x, (Pad2dParams){top, bottom, left, right}, 1);
}

Tensor *tape_crop2d(Tape *t, Tensor *x, int top, int bottom, int left, int right)
{
    return border(t, OP_crop2d, x, (Pad2dParams){top, bottom, left, right}, -1);
}
