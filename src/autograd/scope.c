// Scopes: what a part of a forward pass computed on its way is forgotten where that part ends, unless backward wants
// it.
#include "autograd/internal.h"

TapeScope tape_scope_begin(Tape *t, Shape result)
{
    if (t->record) return (TapeScope){0};
    Tensor *y = tensor_new(t->step, t->dev, REAL, result, "scope");
    return (TapeScope){.y = y, .mark = arena_mark(t->step)};
}

Tensor *tape_scope_end(Tape *t, const TapeScope *s, Tensor *y)
{
    char buf[96], buf2[96];
    CHECK(t->record == !s->y, "tape_scope_end: the tape records at one end of the scope and not at the other");
    if (!s->y) return y;
    CHECK(y->dtype == REAL && y->layout == LAYOUT_ROWS && shape_equal(y->shape, s->y->shape),
          "tape_scope_end: a result %s, want %s", shape_text(y->shape, buf), shape_text(s->y->shape, buf2));
    if (y->x != s->y->x) device_copy(t->dev, s->y->x, y->x, tensor_bytes(y));
    arena_rewind(t->step, s->mark);
    return s->y;
}
