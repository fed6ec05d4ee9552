// Memory of gradients while backward runs.  Backward reads an activation and its gradient for the last time in the call
// that made the activation: its readers came later, so they are through.  From then on the memory of both is free for
// later gradients.  A new gradient takes its memory from the smallest free block that is large enough.  The order of
// calls is the same in every step, so addresses repeat from step to step.
#include "autograd/internal.h"

typedef struct Spare { unsigned char *at; size_t bytes; } Spare;

enum { ALIGN = 256 };   // bytes, as a GPU's allocator aligns

static size_t spare_bytes(const Tensor *x)
{
    return (tensor_bytes(x) + ALIGN - 1) / ALIGN * ALIGN;
}

void gradient_begin(Tape *t)
{
    t->spare = arena_alloc(t->step, (size_t)t->n_nodes * (1 + OP_MAX_OUT) * sizeof *t->spare);
    t->n_spare = 0;
}

void gradient_end(Tape *t) { t->n_spare = 0; }   // tape_grad is also called outside of backward

void *gradient_take(Tape *t, const Tensor *x)
{
    const size_t want = spare_bytes(x);
    Spare *best = NULL;
    for (Spare *s = t->spare; s < t->spare + t->n_spare; s++)
        if (s->bytes >= want && (!best || s->bytes < best->bytes)) best = s;
    if (!best) return device_alloc(t->dev, t->step, want);
    void *at = best->at;
    best->at += want, best->bytes -= want;
    if (best->bytes == 0) *best = t->spare[--t->n_spare];
    return at;
}

void gradient_give(Tape *t, OpCall *c)
{
    Tensor *out = c->out[0];
    t->spare[t->n_spare++] = (Spare){out->g, spare_bytes(out)};
    out->g = NULL;
    for (int j = 0; j < c->n_out; j++) {
        const size_t bytes = tensor_bytes(c->out[j]) / ALIGN * ALIGN;   // the rest of it may be the next tensor's
        if (bytes) t->spare[t->n_spare++] = (Spare){c->out[j]->x, bytes};
    }
}
