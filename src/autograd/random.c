// Checked calls of the ops that draw: dropout, normals, noise.
#include "autograd/check.h"

Tensor *tape_dropout(Tape *t, Tensor *a, double p)
{
    CHECK(p >= 0 && p < 1, "dropout: want 0 <= p < 1, got %g", p);
    if (!t->training || p == 0) return a;
    const RowPart w = t->part;
    CHECK(!w.of || (w.n > 0 && numel(a) % w.n == 0), "dropout: %lld values for %lld rows", (long long)numel(a),
          (long long)w.n);
    const int64_t before = w.of ? numel(a) / w.n * w.begin : 0;   // values of other ranks' rows
    const RandomAddress at = {.seed = t->seed, .site = SITE_DROPOUT,
                              .offset = ((uint64_t)t->n_dropout++ << 40) + (uint64_t)before};
    const DropoutParams d = {at, p};
    return tape_op(t, OP_dropout, 2, (Tensor *[]){a, t->clock}, 1, &a->shape, &d, sizeof d)->out[0];
}

Tensor *tape_randn(Tape *t, Shape s, RandomAddress at, int64_t row0)
{
    const RandnParams p = {at, row0};
    return tape_op(t, OP_randn, 0, NULL, 1, &s, &p, sizeof p)->out[0];
}

Tensor *tape_randn_rows(Tape *t, Shape s, RandomAddress at, Tensor *row)
{
    CHECK(row->dtype == I32 && s.n >= 1, "randn: rows are pairs of I32");
    check_shape("randn", "row", row, SHAPE(s.d[0], 2));
    const RandnParams p = {.at = at};
    return tape_op(t, OP_randn, 2, (Tensor *[]){NULL, row}, 1, &s, &p, sizeof p)->out[0];
}

Tensor *tape_randn_clock(Tape *t, Shape s, RandomAddress at, int64_t row0)
{
    const RandnParams p = {at, row0};
    return tape_op(t, OP_randn, 1, &t->clock, 1, &s, &p, sizeof p)->out[0];
}

Diffused tape_diffuse(Tape *t, Tensor *x0, Tensor *ab, RandomAddress at, DiffuseTarget target, Tensor *clock)
{
    CHECK(x0->shape.n >= 1, "diffuse: wants rows");
    check_shape("diffuse", "ab", ab, SHAPE(x0->shape.d[0]));
    const DiffuseParams p = {at, target};
    const bool is_x0 = target == DIFFUSE_X0;
    const OpCall *c = tape_op(t, OP_diffuse, 3, (Tensor *[]){x0, ab, clock}, is_x0 ? 1 : 2,
                              (Shape[]){x0->shape, x0->shape}, &p, sizeof p);
    return (Diffused){c->out[0], is_x0 ? x0 : c->out[1]};
}
