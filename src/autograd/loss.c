// Checked calls of reductions and losses.
#include "autograd/check.h"

static const Shape one = {1, {1}};

Tensor *tape_sum(Tape *t, Tensor *x) { return tape_op(t, OP_sum, 1, &x, 1, &one, NULL, 0)->out[0]; }
Tensor *tape_mean(Tape *t, Tensor *x) { return tape_op(t, OP_mean, 1, &x, 1, &one, NULL, 0)->out[0]; }

Tensor *tape_mse(Tape *t, Tensor *a, Tensor *b)
{
    check_shape("mse", "b", b, a->shape);
    return tape_op(t, OP_mse, 2, (Tensor *[]){a, b}, 1, &one, NULL, 0)->out[0];
}

Tensor *tape_wmse(Tape *t, Tensor *a, Tensor *b, Tensor *w)
{
    check_shape("wmse", "b", b, a->shape);
    check_shape("wmse", "w", w, SHAPE(a->shape.d[0]));
    return tape_op(t, OP_wmse, 3, (Tensor *[]){a, b, w}, 1, &one, NULL, 0)->out[0];
}

Tensor *tape_huber(Tape *t, Tensor *a, Tensor *b, double delta)
{
    check_shape("huber", "b", b, a->shape);
    CHECK(delta > 0, "huber: want delta > 0, got %g", delta);
    const HuberParams p = {delta};
    return tape_op(t, OP_huber, 2, (Tensor *[]){a, b}, 1, &one, &p, sizeof p)->out[0];
}

Tensor *tape_crps_pair(Tape *t, Tensor *a, Tensor *b, Tensor *y, double fair)
{
    check_shape("crps_pair", "b", b, a->shape);
    check_shape("crps_pair", "y", y, a->shape);
    CHECK(fair >= 0 && fair <= 1, "crps_pair: want fair in 0..1, got %g", fair);
    const CrpsPairParams p = {fair};
    return tape_op(t, OP_crps_pair, 3, (Tensor *[]){a, b, y}, 1, &one, &p, sizeof p)->out[0];
}

Tensor *tape_cross_entropy(Tape *t, Tensor *logits, Tensor *target)
{
    check_dims("cross_entropy", "logits", logits, 2);
    const int64_t rows = logits->shape.d[0], V = logits->shape.d[1];
    CHECK(target->dtype == I32 && numel(target) == rows, "cross_entropy: want %lld I32 targets", (long long)rows);
    const int32_t *ix = target->x;
    for (int64_t r = 0; r < rows && !target->dev->memory; r++)   // elsewhere the kernel gives NaN for a bad target
        CHECK(ix[r] >= -1 && ix[r] < V, "cross_entropy: target %d outside [-1,%lld)", ix[r], (long long)V);
    return tape_op(t, OP_cross_entropy, 2, (Tensor *[]){logits, target}, 2, (Shape[]){one, SHAPE(rows)}, NULL, 0)
        ->out[0];
}
