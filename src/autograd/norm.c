// Checked calls of norms and feature-wise modulation.
#include "autograd/check.h"

Tensor *tape_layer_norm(Tape *t, Tensor *x, Tensor *gamma, Tensor *beta, double eps)
{
    const Shape d = SHAPE(shape_last(x->shape)), rows = SHAPE(shape_rows(x->shape));
    check_shape("layer_norm", "gamma", gamma, d);
    check_shape("layer_norm", "beta", beta, d);
    const LayerNormParams p = {eps};
    return tape_op(t, OP_layer_norm, 3, (Tensor *[]){x, gamma, beta}, 3, (Shape[]){x->shape, rows, rows}, &p, sizeof p)
        ->out[0];
}

static void check_groups(const char *op, const Tensor *x, int groups)
{
    CHECK(x->shape.n >= 2 && groups >= 1 && shape_last(x->shape) % groups == 0,
          "%s: %d groups do not divide %lld channels", op, groups, (long long)shape_last(x->shape));
}

Tensor *tape_group_norm(Tape *t, Tensor *x, Tensor *gamma, Tensor *beta, int groups, bool silu)
{
    check_groups("group_norm", x, groups);
    const Shape d = SHAPE(shape_last(x->shape)), stat = SHAPE(x->shape.d[0], groups);
    check_shape("group_norm", "gamma", gamma, d);
    check_shape("group_norm", "beta", beta, d);
    const GroupNormParams p = {groups, silu, 1e-5};
    return tape_op(t, OP_group_norm, 3, (Tensor *[]){x, gamma, beta}, 3, (Shape[]){x->shape, stat, stat}, &p, sizeof p)
        ->out[0];
}

Tensor *tape_adagn(Tape *t, Tensor *x, Tensor *s, int groups, bool silu)
{
    check_groups("adagn", x, groups);
    check_shape("adagn", "s", s, SHAPE(x->shape.d[0], 2 * shape_last(x->shape)));
    const Shape stat = SHAPE(x->shape.d[0], groups);
    const GroupNormParams p = {groups, silu, 1e-5};
    return tape_op(t, OP_adagn, 2, (Tensor *[]){x, s}, 3, (Shape[]){x->shape, stat, stat}, &p, sizeof p)->out[0];
}

Tensor *tape_film(Tape *t, Tensor *x, Tensor *s, bool silu)
{
    CHECK(x->shape.n >= 2, "film: wants [N,..,C], got %d dimensions", x->shape.n);
    check_shape("film", "s", s, SHAPE(x->shape.d[0], 2 * shape_last(x->shape)));
    const FilmParams p = {silu};
    return tape_op(t, OP_film, 2, (Tensor *[]){x, s}, 1, &x->shape, &p, sizeof p)->out[0];
}
