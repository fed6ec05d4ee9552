#include "autograd/tape.h"

#include <string.h>
#include <time.h>

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

// ---- calling kernels

static double now_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void call_kernel(Tape *t, const OpCall *c, bool backward)
{
    Kernel *k = backward ? t->dev->bwd[c->op] : t->dev->fwd[c->op];
    CHECK(k, "device %s has no %s kernel of op %s", t->dev->name, backward ? "backward" : "forward",
          op_info(c->op)->name);
    const size_t mark = arena_mark(t->scratch);
    Profile *const profile = t->training ? t->profile : NULL;
    const double t0 = profile ? now_seconds() : 0;
    k(c);
    arena_rewind(t->scratch, mark);
    if (!profile) return;
    device_wait(t->dev);   // the profile charges each op with its own time
    const OpWork w = op_work(c, backward);
    const Ceiling *top = profile->ceiling;
    ProfileRow *row = backward ? &profile->bwd[c->op] : &profile->fwd[c->op];
    row->calls++;
    row->seconds += now_seconds() - t0;
    row->flops += w.flops;
    row->bytes += w.bytes;
    const bool in_place = backward || c->out[0] == c->in[0];
    if (top) row->least += ceiling_seconds(top, top->isa, w.needed, w.bytes, w.written, in_place);
}

static void push_node(Tape *t, OpCall *c)
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

// Matrices in panels (tensor/pack.h) are weights of linear and of nothing else.
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
        CHECK(in[i]->dev->real_size == t->dev->real_size && in[i]->dev->memory == t->dev->memory, "op %s: input %d (%s) lives on another device",
              op_info(op)->name, i, in[i]->name ? in[i]->name : "?");
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
        push_node(t, c);
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

// ---- segments: run forward without recording, again in backward

// A segment stands on the tape as a call of no op.
enum { OP_SEGMENT = OP_COUNT };
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
    tape_run(t, OP_slice, 1, &inner, 1, &y, &(SliceParams){0, 0});    // all of it: a copy that outlives the rewind
    arena_rewind(t->step, mark);
    y->needs_grad = true;
    push_node(t, c);
    return y;
}

// ---- backward

static Tensor *grad_owner(Tensor *y)
{
    while (y->view_of) y = y->view_of;
    return y;
}

static void segment_backward(Tape *t, const OpCall *c)
{
    const Segment *s = c->p;
    const size_t mark = arena_mark(t->step);
    Tape again = *t;
    again.node = NULL;
    again.n_nodes = again.cap = again.n_spare = 0;
    again.n_dropout = s->n_dropout;
    Tensor *y = s->fn(s->arg, &again, c->in[0]);
    grad_owner(y)->g = y->g = c->out[0]->g;
    tape_backward_from(&again, y);
    arena_rewind(t->step, mark);
}

// While backward runs, a gradient that all have read is memory for the next ones: the peak of a step of `paper` falls from
// 3.8 to 2.9 GB.  A tensor takes from the smallest block that it fits, so addresses repeat from step to step.
typedef struct Spare { unsigned char *at; size_t bytes; } Spare;

static size_t spare_bytes(const Tensor *x)
{
    enum { ALIGN = 256 };   // of a GPU's memory
    return (tensor_bytes(x) + ALIGN - 1) / ALIGN * ALIGN;
}

static void *gradient_memory(Tape *t, const Tensor *x)
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

// The gradient of what a call made, when the call was the last to want it.  Leaves keep theirs.
static void gradient_done(Tape *t, Tensor *out)
{
    t->spare[t->n_spare++] = (Spare){out->g, spare_bytes(out)};
    out->g = NULL;
}

void *tape_grad(Tape *t, Tensor *y)
{
    Tensor *owner = grad_owner(y);
    if (!owner->g) {
        owner->g = gradient_memory(t, owner);
        device_zero(t->dev, owner->g, tensor_bytes(owner));
    }
    return y->g = owner->g;
}

void tape_backward_from(Tape *t, Tensor *y)
{
    CHECK(grad_owner(y)->g, "tape_backward_from: %s has no gradient to start from", y->name ? y->name : "?");
    t->spare = arena_alloc(t->step, (size_t)t->n_nodes * sizeof *t->spare);
    t->n_spare = 0;
    for (int n = t->n_nodes - 1; n >= 0; n--) {
        OpCall *c = t->node[n];
        Tensor *out = c->out[0];
        if (!(out->g = grad_owner(out)->g)) continue;   // nothing downstream reached the loss
        for (int i = 0; i < c->n_in; i++)
            if (c->in[i] && c->in[i]->needs_grad) tape_grad(t, c->in[i]);
        if (c->op == (OpId)OP_SEGMENT) segment_backward(t, c);
        else call_kernel(t, c, true);
        if (out != grad_owner(y)) gradient_done(t, out);
    }
    t->n_spare = 0;
}

void tape_backward(Tape *t, Tensor *loss)
{
    CHECK(numel(loss) == 1, "tape_backward: the loss has %lld values", (long long)numel(loss));
    device_copy(t->dev, tape_grad(t, loss), t->one, t->dev->real_size);
    tape_backward_from(t, loss);
}

void tape_log_put(Tape *t, Tensor *log, Tensor *const *x, int n)
{
    CHECK(log->shape.n == 2 && log->shape.d[1] == n && n <= OP_MAX_IN - 2, "log_put: %d values for a log of %lld", n,
          (long long)log->shape.d[1]);
    Tensor *in[OP_MAX_IN] = {log, t->clock};
    for (int j = 0; j < n; j++) {
        CHECK(numel(x[j]) == 1, "log_put: value %d has %lld elements", j, (long long)numel(x[j]));
        in[2 + j] = x[j];
    }
    tape_run(t, OP_log_put, 2 + n, in, 1, &log, NULL);
}

// ---- data of one step

Tensor *tape_tensor(Tape *t, Shape s) { return tensor_new(t->step, t->dev, REAL, s, "data"); }

Tensor *tape_from_f32(Tape *t, Shape s, const float *src)
{
    Tensor *y = tape_tensor(t, s);
    tensor_set_f32(y, src, shape_numel(s));
    return y;
}

Tensor *tape_from_i32(Tape *t, Shape s, const int32_t *src)
{
    Tensor *y = tensor_new(t->step, t->dev, I32, s, "index");
    tensor_set_i32(y, src, shape_numel(s));
    return y;
}

Tensor *tape_zeros(Tape *t, Shape s)
{
    Tensor *y = tape_tensor(t, s);
    tensor_fill(y, 0);
    return y;
}
