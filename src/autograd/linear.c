// Checked calls of the matrix products.
#include "autograd/check.h"
#include "tensor/pack.h"

Tensor *tape_matmul(Tape *t, Tensor *a, Tensor *b, bool trans_a, bool trans_b)
{
    const int n = a->shape.n;
    CHECK(n == 2 || n == 3, "matmul: wants 2 or 3 dimensions, got %d", n);
    check_dims("matmul", "b", b, n);
    const int64_t *da = a->shape.d + n - 2, *db = b->shape.d + n - 2;
    const int64_t M = da[trans_a], K = da[!trans_a], N = db[!trans_b];
    char buf[96], buf2[96];
    CHECK(db[trans_b] == K && (n == 2 || a->shape.d[0] == b->shape.d[0]), "matmul: %s%s times %s%s",
          shape_text(a->shape, buf), trans_a ? "^T" : "", shape_text(b->shape, buf2), trans_b ? "^T" : "");
    const Shape y = n == 2 ? SHAPE(M, N) : SHAPE(a->shape.d[0], M, N);
    const MatmulParams p = {trans_a, trans_b, 1.0};
    return tape_op(t, OP_matmul, 2, (Tensor *[]){a, b}, 1, &y, &p, sizeof p)->out[0];
}

// r: NULL, or the last input of linear_add.
static Tensor *affine(Tape *t, OpId op, Tensor *x, Tensor *w, Tensor *b, Tensor *r)
{
    const char *name = op_info(op)->name;
    check_dims(name, "w", w, 2);
    check_last(name, "x", x, w->shape.d[0]);
    if (b) check_shape(name, "b", b, SHAPE(w->shape.d[1]));
    CHECK(!is_bf16(w) || !t->record || !(x->needs_grad || (b && b->needs_grad)),
          "%s: %s is in bf16, through which no gradient flows", name, w->name ? w->name : "w");
    Shape y = x->shape;
    y.d[y.n - 1] = w->shape.d[1];
    if (r) check_shape(name, "r", r, y);
    const bool keeps_h = op == OP_linear_gelu || op == OP_linear_silu;
    return tape_op(t, op, r ? 4 : 3, (Tensor *[]){x, w, b, r}, keeps_h ? 2 : 1, (Shape[]){y, y}, NULL, 0)->out[0];
}

Tensor *tape_linear(Tape *t, Tensor *x, Tensor *w, Tensor *b) { return affine(t, OP_linear, x, w, b, NULL); }
Tensor *tape_linear_gelu(Tape *t, Tensor *x, Tensor *w, Tensor *b) { return affine(t, OP_linear_gelu, x, w, b, NULL); }
Tensor *tape_linear_silu(Tape *t, Tensor *x, Tensor *w, Tensor *b) { return affine(t, OP_linear_silu, x, w, b, NULL); }

Tensor *tape_linear_add(Tape *t, Tensor *x, Tensor *w, Tensor *b, Tensor *r)
{
    return affine(t, OP_linear_add, x, w, b, r);
}
