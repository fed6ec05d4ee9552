// Checked calls of softmax and attention.
#include "autograd/check.h"

Tensor *tape_softmax(Tape *t, Tensor *x) { return tape_unary(t, OP_softmax, x, NULL, 0); }

Tensor *tape_attention(Tape *t, Tensor *q, Tensor *k, Tensor *v, int heads, bool causal)
{
    check_dims("attention", "q", q, 3);
    check_dims("attention", "k", k, 3);
    const int64_t N = q->shape.d[0], Tq = q->shape.d[1], D = q->shape.d[2], Tk = k->shape.d[1];
    check_shape("attention", "k", k, SHAPE(N, Tk, D));
    check_shape("attention", "v", v, SHAPE(N, Tk, D));
    CHECK(heads >= 1 && D % heads == 0, "attention: %d heads do not divide width %lld", heads, (long long)D);
    CHECK(!causal || Tk >= Tq, "attention: causal wants Tk >= Tq, got %lld and %lld", (long long)Tk, (long long)Tq);
    const AttentionParams p = {heads, causal};
    return tape_op(t, OP_attention, 3, (Tensor *[]){q, k, v}, 2, (Shape[]){q->shape, SHAPE(N, heads, Tq)}, &p, sizeof p)
        ->out[0];
}
