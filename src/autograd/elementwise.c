// Checked calls of the elementwise ops.
#include "autograd/check.h"

static bool is_suffix(Shape a, Shape b)
{
    if (b.n > a.n) return false;
    for (int i = 0; i < b.n; i++)
        if (a.d[a.n - b.n + i] != b.d[i]) return false;
    return true;
}

static Tensor *binary(Tape *t, OpId op, Tensor *a, Tensor *b)
{
    char buf[96], buf2[96];
    CHECK(is_suffix(a->shape, b->shape), "%s: %s is no suffix of %s", op_info(op)->name, shape_text(b->shape, buf),
          shape_text(a->shape, buf2));
    return tape_op(t, op, 2, (Tensor *[]){a, b}, 1, &a->shape, NULL, 0)->out[0];
}

Tensor *tape_add(Tape *t, Tensor *a, Tensor *b) { return binary(t, OP_add, a, b); }
Tensor *tape_mul(Tape *t, Tensor *a, Tensor *b) { return binary(t, OP_mul, a, b); }

Tensor *tape_mul_rows(Tape *t, Tensor *a, Tensor *s)
{
    const int n = s->shape.n && s->shape.d[s->shape.n - 1] == 1 ? s->shape.n - 1 : s->shape.n;
    char buf[96], buf2[96];
    bool prefix = n <= a->shape.n;
    for (int i = 0; prefix && i < n; i++) prefix = a->shape.d[i] == s->shape.d[i];
    CHECK(prefix, "mul_rows: %s is no prefix of %s", shape_text(s->shape, buf), shape_text(a->shape, buf2));
    return tape_op(t, OP_mul_rows, 2, (Tensor *[]){a, s}, 1, &a->shape, NULL, 0)->out[0];
}

Tensor *tape_scale(Tape *t, Tensor *a, double alpha, double beta)
{
    return tape_unary(t, OP_scale, a, &(ScaleParams){alpha, beta}, sizeof(ScaleParams));
}

Tensor *tape_relu(Tape *t, Tensor *a) { return tape_unary(t, OP_relu, a, NULL, 0); }
Tensor *tape_silu(Tape *t, Tensor *a) { return tape_unary(t, OP_silu, a, NULL, 0); }
Tensor *tape_gelu_tanh(Tape *t, Tensor *a) { return tape_unary(t, OP_gelu_tanh, a, NULL, 0); }
Tensor *tape_gelu_erf(Tape *t, Tensor *a) { return tape_unary(t, OP_gelu_erf, a, NULL, 0); }
Tensor *tape_sigmoid(Tape *t, Tensor *a) { return tape_unary(t, OP_sigmoid, a, NULL, 0); }
Tensor *tape_tanh(Tape *t, Tensor *a) { return tape_unary(t, OP_tanh, a, NULL, 0); }
Tensor *tape_softplus(Tape *t, Tensor *a) { return tape_unary(t, OP_softplus, a, NULL, 0); }

Tensor *tape_clamp(Tape *t, Tensor *a, double limit)
{
    CHECK(limit >= 0, "clamp: want a limit >= 0, got %g", limit);
    return tape_unary(t, OP_clamp, a, &(ClampParams){limit}, sizeof(ClampParams));
}
