// The idea of the tape on one page: calling an op runs its kernel and records the call; backward goes through the
// record from the last call to the first and runs each call's backward kernel, which adds to its inputs' gradients.
#include "autograd/internal.h"
#include "autograd/profile.h"

#include <string.h>

void tape_init(Tape *t, const Device *dev, Arena *step, Arena *scratch)
{
    *t = (Tape){.dev = dev, .step = step, .scratch = scratch, .record = true, .training = true,
                .clock = tensor_new(step, dev, I32, SHAPE(1), "clock"), .one = device_alloc(dev, step, dev->real_size)};
    const double wide = 1;
    const float narrow = 1;
    device_put(dev, t->one, dev->real_size == sizeof wide ? (const void *)&wide : &narrow, dev->real_size);
    t->step_mark = arena_mark(step);
    tape_set_step(t, 0);
}

void tape_set_step(Tape *t, uint32_t step)
{
    t->rng_step = step;
    device_put(t->dev, t->clock->x, &step, sizeof step);
}

void tape_reset(Tape *t)
{
    arena_rewind(t->step, t->step_mark);
    t->node = NULL;
    t->n_nodes = t->cap = 0;
    t->n_dropout = 0;
}

// ---- forward

static void call_kernel(Tape *t, const OpCall *c, bool backward)
{
    Kernel *k = device_kernel(t->dev, c->op, backward);
    const size_t mark = arena_mark(t->scratch);
    if (t->profile && t->training) profile_kernel(t->profile, t->dev, k, c, backward);
    else k(c);
    arena_rewind(t->scratch, mark);
}

void tape_record(Tape *t, OpCall *c)
{
    if (t->n_nodes == t->cap) {
        const int cap = t->cap ? 2 * t->cap : 256;
        OpCall **grown = arena_alloc(t->step, (size_t)cap * sizeof *grown);
        if (t->n_nodes) memcpy(grown, t->node, (size_t)t->n_nodes * sizeof *grown);
        t->node = grown;
        t->cap = cap;
    }
    t->node[t->n_nodes++] = c;
}

// Only linear ops read packed matrices (tensor/pack.h), and only as their weight.
static void check_layout(OpId op, int i, const Tensor *x)
{
    CHECK(x->layout == LAYOUT_ROWS || (i == 1 && op_is_linear(op)), "op %s: input %d (%s) is packed",
          op_info(op)->name, i, x->name ? x->name : "?");
}

OpCall *tape_op(Tape *t, OpId op, int n_in, Tensor *const *in, int n_out, const Shape *out, const void *p,
                size_t p_size)
{
    CHECK(n_in <= OP_MAX_IN && n_out <= OP_MAX_OUT, "op %s: %d inputs, %d outputs", op_info(op)->name, n_in, n_out);
    OpCall *c = arena_alloc(t->step, sizeof *c);
    *c = (OpCall){.op = op, .n_in = n_in, .n_out = n_out, .scratch = t->scratch};
    bool needs_grad = false;
    for (int i = 0; i < n_in; i++) {
        c->in[i] = in[i];
        if (!in[i]) continue;
        CHECK(in[i]->dev->real_size == t->dev->real_size && in[i]->dev->memory == t->dev->memory,
              "op %s: input %d (%s) lives on another device", op_info(op)->name, i, in[i]->name ? in[i]->name : "?");
        check_layout(op, i, in[i]);
        needs_grad |= in[i]->needs_grad;
    }
    if (p) {
        void *copy = arena_alloc(t->step, p_size);
        memcpy(copy, p, p_size);
        c->p = copy;
    }
    for (int j = 0; j < n_out; j++) c->out[j] = tensor_new(t->step, t->dev, op_out_type(op), out[j], op_info(op)->name);
    call_kernel(t, c, false);
    if (t->record && needs_grad && op_info(op)->diff) {
        c->out[0]->needs_grad = true;
        tape_record(t, c);
    }
    return c;
}

void tape_run(Tape *t, OpId op, int n_in, Tensor *const *in, int n_out, Tensor *const *out, const void *p)
{
    OpCall c = {.op = op, .n_in = n_in, .n_out = n_out, .p = p, .scratch = t->scratch};
    for (int i = 0; i < n_in; i++) {
        c.in[i] = in[i];
        if (in[i]) check_layout(op, i, in[i]);
    }
    for (int j = 0; j < n_out; j++) c.out[j] = out[j];
    call_kernel(t, &c, false);
}

// ---- backward

Tensor *tape_grad_owner(Tensor *y)
{
    while (y->view_of) y = y->view_of;
    return y;
}

void *tape_grad(Tape *t, Tensor *y)
{
    Tensor *owner = tape_grad_owner(y);
    if (!owner->g) owner->g = gradient_take(t, owner);
    return y->g = owner->g;
}

void tape_backward_from(Tape *t, Tensor *y)
{
    CHECK(tape_grad_owner(y)->g, "tape_backward_from: %s has no gradient to start from", y->name ? y->name : "?");
    gradient_begin(t);
    for (int n = t->n_nodes - 1; n >= 0; n--) {
        OpCall *c = t->node[n];
        Tensor *out = c->out[0];
        if (!(out->g = tape_grad_owner(out)->g)) continue;   // nothing downstream reached the loss
        for (int i = 0; i < c->n_in; i++)
            if (c->in[i] && c->in[i]->needs_grad) tape_grad(t, c->in[i]);
        if (c->op == (OpId)OP_SEGMENT) segment_backward(t, c);
        else call_kernel(t, c, true);
        if (out != tape_grad_owner(y)) gradient_give(t, c);
    }
    gradient_end(t);
}

void tape_backward(Tape *t, Tensor *loss)
{
    CHECK(numel(loss) == 1, "tape_backward: the loss has %lld values", (long long)numel(loss));
    device_copy(t->dev, tape_grad(t, loss), t->one, t->dev->real_size);
    tape_backward_from(t, loss);
}
