// The tape: gradients add up where paths meet, stop where nobody needs them, and steps repeat with the same addresses.
#include <math.h>
#include <string.h>

#include "autograd/tape.h"
#include "tests/test.h"

typedef struct World {
    Device dev;
    Arena *perm, *step, *scratch;
    Tape t;
} World;

static void open_world(World *w)
{
    w->dev = device_cpu_f64();
    w->perm = arena_new("perm", (size_t)64 << 20, NULL);
    w->step = arena_new("step", (size_t)64 << 20, NULL);
    w->scratch = arena_new("scratch", (size_t)64 << 20, NULL);
    tape_init(&w->t, &w->dev, w->step, w->scratch);
}

static void close_world(World *w)
{
    arena_delete(w->scratch);
    arena_delete(w->step);
    arena_delete(w->perm);
}

static Tensor *leaf(World *w, Shape s, double value, bool needs_grad)
{
    Tensor *x = tensor_new(w->perm, &w->dev, REAL, s, "leaf");
    tensor_fill(x, value);
    x->needs_grad = needs_grad;
    if (needs_grad) x->g = arena_zalloc(w->perm, tensor_bytes(x));
    return x;
}

static double at(const Tensor *x, int64_t i) { return ((const double *)x->x)[i]; }
static double grad_at(const Tensor *x, int64_t i) { return ((const double *)x->g)[i]; }

static void test_paths(TestLog *log, World *w)
{
    Tensor *x = leaf(w, SHAPE(2, 3), 3, true), *frozen = leaf(w, SHAPE(2, 3), 5, false);
    Tensor *y = tape_mul(&w->t, x, x);                                  // x twice in one call
    y = tape_add(&w->t, y, tape_mul(&w->t, x, frozen));                 // and by a second path
    Tensor *unused = tape_scale(&w->t, x, 100, 0);                      // never reaches the loss
    Tensor *view = tape_reshape(&w->t, y, SHAPE(6));
    Tensor *loss = tape_sum(&w->t, tape_add(&w->t, view, tape_reshape(&w->t, y, SHAPE(6))));   // two views of y
    tape_backward(&w->t, loss);
    TEST(log, at(loss, 0) == 2 * 6 * (9 + 15), "loss %g", at(loss, 0));
    for (int i = 0; i < 6; i++) TEST(log, grad_at(x, i) == 2 * (2 * 3 + 5), "dx[%d] = %g, want 22", i, grad_at(x, i));
    TEST(log, !frozen->g && !unused->g, "a gradient that nobody needs was made");
    tape_reset(&w->t);
    tape_backward(&w->t, tape_sum(&w->t, x));
    TEST(log, grad_at(x, 0) == 22 + 1, "a second backward pass adds: %g, want 23", grad_at(x, 0));
    tape_reset(&w->t);
    Tensor *data = tape_mul(&w->t, frozen, frozen);
    TEST(log, !data->needs_grad && w->t.n_nodes == 0, "a call without gradient was recorded");
    w->t.record = false;
    Tensor *kept = tape_mul(&w->t, x, x);
    TEST(log, w->t.n_nodes == 0 && at(kept, 0) == 9, "record = false recorded");
    w->t.record = true;
    tape_reset(&w->t);
}

static void test_long_chain(TestLog *log, World *w)
{
    enum { LINKS = 1000 };   // the node list grows several times
    Tensor *x = leaf(w, SHAPE(1), 1, true), *y = x;
    for (int i = 0; i < LINKS; i++) y = tape_scale(&w->t, y, 1.001, 0);
    TEST(log, w->t.n_nodes == LINKS, "%d nodes, want %d", w->t.n_nodes, LINKS);
    tape_backward(&w->t, y);
    const double want = pow(1.001, LINKS);
    TEST(log, fabs(grad_at(x, 0) - want) <= 1e-12 * want, "gradient through %d links: %.15g, want %.15g", LINKS,
         grad_at(x, 0), want);
    tape_reset(&w->t);
}

static void test_addresses(TestLog *log, World *w)
{
    Tensor *x = leaf(w, SHAPE(4, 5), 2, true), *first = NULL;
    for (int step = 0; step < 3; step++) {
        Tensor *y = tape_tanh(&w->t, tape_scale(&w->t, x, 0.5, 0));
        tape_backward(&w->t, tape_mean(&w->t, y));
        if (!first) first = y;
        TEST(log, y == first && y->x == first->x, "step %d: another address", step);
        tape_reset(&w->t);
        TEST(log, w->t.n_nodes == 0 && arena_mark(w->step) == w->t.step_mark, "tape_reset leaves %d nodes",
             w->t.n_nodes);
    }
    TEST(log, arena_mark(w->scratch) == 0, "a kernel call left scratch behind");
}

static void test_dropout(TestLog *log, World *w)
{
    Tensor *x = leaf(w, SHAPE(1000), 1, true);
    double sum[2] = {0, 0};
    w->t.training = false;
    TEST(log, tape_dropout(&w->t, x, 0.5) == x, "dropout works outside training");
    w->t.training = true;
    TEST(log, tape_dropout(&w->t, x, 0) == x, "dropout of probability 0 is a call");
    Tensor *a = tape_dropout(&w->t, x, 0.25), *b = tape_dropout(&w->t, x, 0.25);
    TEST(log, memcmp(a->x, b->x, tensor_bytes(a)) != 0, "two dropouts of a step draw the same mask");
    for (int64_t i = 0; i < 1000; i++) sum[0] += at(a, i);
    TEST(log, fabs(sum[0] / 1000 - 1) < 0.1, "dropout's mean is %g, want about 1", sum[0] / 1000);
    Tensor *keep = tensor_new(w->perm, &w->dev, REAL, SHAPE(1000), "mask");
    memcpy(keep->x, a->x, tensor_bytes(a));
    tape_reset(&w->t);
    Tensor *again = tape_dropout(&w->t, x, 0.25);
    TEST(log, memcmp(again->x, keep->x, tensor_bytes(keep)) == 0, "the same step draws another mask");
    tape_set_step(&w->t, w->t.rng_step + 1);
    TEST(log, memcmp(tape_dropout(&w->t, x, 0.25)->x, keep->x, tensor_bytes(keep)) != 0,
         "the next step draws the same mask");
    tape_reset(&w->t);
}

// A scope keeps its result alone: memory and addresses repeat, a later reader finds other values, and nothing of it
// happens while the tape records.
static void test_scopes(TestLog *log, World *w)
{
    Tape *t = &w->t;
    Tensor *x = leaf(w, SHAPE(100, 7), 3, true), *state = x, *inner = NULL;
    tape_reset(t);
    t->record = false;
    const TapeScope scope = tape_scope_begin(t, x->shape);
    const size_t mark = arena_mark(t->step);
    for (int i = 0; i < 4; i++) {
        Tensor *y = tape_scale(t, state, 2, 0);
        TEST(log, !inner || y->x == inner->x, "pass %d: another address", i);
        inner = y;
        state = tape_scope_end(t, &scope, tape_scale(t, y, 1, 1));
        TEST(log, arena_mark(t->step) == mark, "pass %d: %zu bytes in use, want %zu", i, arena_mark(t->step), mark);
    }
    TEST(log, at(state, 699) == 3 * 16 + 15, "the state after four passes is %g, want 63", at(state, 699));
    tensor_fill(tape_tensor(t, SHAPE(1000, 7)), -1);
    TEST(log, at(state, 0) == 63, "a result was overwritten by what came after its scope: %g", at(state, 0));
    t->record = true;
    tape_reset(t);
    const TapeScope none = tape_scope_begin(t, x->shape);
    Tensor *y = tape_scale(t, x, 2, 0);
    TEST(log, arena_mark(t->step) > 0 && !none.y && tape_scope_end(t, &none, y) == y && at(y, 5) == 6,
         "a scope of a tape that records changed something");
    tape_backward(t, tape_sum(t, y));
    TEST(log, grad_at(x, 5) == 2, "a gradient through a scope: %g, want 2", grad_at(x, 5));
}

void test_tape(TestLog *log)
{
    World w;
    open_world(&w);
    test_paths(log, &w);
    test_long_chain(log, &w);
    test_addresses(log, &w);
    test_dropout(log, &w);
    test_scopes(log, &w);
    close_world(&w);
}
