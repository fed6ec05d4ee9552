// Memory of gradients while backward runs.  Backward reads an activation and its gradient for the last time in the call
// that made the activation: its readers came later, so they are through.  From then on the memory of both is free for
// later gradients.  A new gradient takes its memory from the smallest free block that is large enough.  The order of
// calls is the same in every step, so addresses repeat from step to step.
// On a GPU a clearing is a launch, and most gradients are so small that it takes longer than what it clears: small ones
// come from one block, cleared at once, and only what they leave is used again.
#include "autograd/internal.h"

typedef struct Spare { unsigned char *at; size_t bytes; } Spare;

enum { ALIGN = 256,         // bytes, as a GPU's allocator aligns
       SMALL = 4 << 20 };   // bytes: 1 us of a GPU's memory, about what a launch costs

static size_t spare_bytes(const Tensor *x)
{
    return (tensor_bytes(x) + ALIGN - 1) / ALIGN * ALIGN;
}

void gradient_begin(Tape *t)
{
    t->spare = arena_alloc(t->step, (size_t)t->n_nodes * (1 + OP_MAX_OUT) * sizeof *t->spare);
    t->n_spare = 0;
    t->n_zeros = 0;
    if (!t->dev->memory) return;
    for (int n = 0; n < t->n_nodes; n++) {
        const Tensor *out = t->node[n]->out[0];
        if (!out->view_of && !out->g && spare_bytes(out) <= SMALL) t->n_zeros += spare_bytes(out);
    }
    if (!t->n_zeros) return;
    t->zeros = device_alloc(t->dev, t->step, t->n_zeros);
    device_zero(t->dev, t->zeros, t->n_zeros);
}

void gradient_end(Tape *t) { t->n_spare = 0, t->n_zeros = 0; }   // tape_grad is also called outside of backward

static void *cleared(const Tape *t, void *at, const Tensor *x)
{
    device_zero(t->dev, at, tensor_bytes(x));
    return at;
}

void *gradient_take(Tape *t, const Tensor *x)
{
    const size_t want = spare_bytes(x);
    if (want <= SMALL && want <= t->n_zeros) {
        t->n_zeros -= want;
        return (t->zeros += want) - want;
    }
    Spare *best = NULL;
    for (Spare *s = t->spare; s < t->spare + t->n_spare; s++)
        if (s->bytes >= want && (!best || s->bytes < best->bytes)) best = s;
    if (!best) return cleared(t, device_alloc(t->dev, t->step, want), x);
    void *at = best->at;
    best->at += want, best->bytes -= want;
    if (best->bytes == 0) *best = t->spare[--t->n_spare];
    return cleared(t, at, x);
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
