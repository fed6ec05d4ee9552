// Activation checkpointing (tape_segment): the forward pass runs a part of the network without recording it; backward
// runs that part again, recorded, and goes back through the record.
#include "autograd/internal.h"

typedef struct Segment { TapeSegmentFn *fn; void *arg; uint32_t n_dropout; } Segment;

Tensor *tape_segment(Tape *t, TapeSegmentFn *fn, void *arg, Tensor *x)
{
    if (!t->record) return fn(arg, t, x);
    Segment *s = arena_alloc(t->step, sizeof *s);
    *s = (Segment){fn, arg, t->n_dropout};
    Tensor *y = tensor_new(t->step, t->dev, REAL, x->shape, "segment");
    OpCall *c = arena_alloc(t->step, sizeof *c);
    *c = (OpCall){.op = (OpId)OP_SEGMENT, .n_in = 1, .n_out = 1, .in = {x}, .out = {y}, .p = s};
    const size_t mark = arena_mark(t->step);
    t->record = false;
    Tensor *inner = fn(arg, t, x);
    t->record = true;
    CHECK(shape_equal(inner->shape, x->shape), "tape_segment: the output has another shape than the input");
    tape_run(t, OP_slice, 1, &inner, 1, &y, &(SliceParams){0, 0});    // the whole of inner: a copy, as inner is rewound
    arena_rewind(t->step, mark);
    y->needs_grad = true;
    tape_record(t, c);
    return y;
}

void segment_backward(Tape *t, const OpCall *c)
{
    const Segment *s = c->p;
    const size_t mark = arena_mark(t->step);
    Tape again = *t;
    again.node = NULL;
    again.n_nodes = again.cap = 0;
    again.n_dropout = s->n_dropout;
    Tensor *y = s->fn(s->arg, &again, c->in[0]);
    tape_grad_owner(y)->g = y->g = c->out[0]->g;
    tape_backward_from(&again, y);
    arena_rewind(t->step, mark);
}
