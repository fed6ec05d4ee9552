// Chapter 1: the derivatives of y = (a b + c)^2 by hand, on the tape, and by central differences.
#include <stdio.h>

#include "autograd/tape.h"

// A leaf: one value, and room for dy / d(this value).
static Tensor *leaf(Arena *perm, const Device *dev, double value)
{
    Tensor *x = tensor_new(perm, dev, REAL, SHAPE(1), "leaf");
    tensor_set_f64(x, &value, 1);
    x->needs_grad = true;
    x->g = arena_zalloc(perm, tensor_bytes(x));
    return x;
}

static Tensor *formula(Tape *t, Tensor *const in[3])
{
    Tensor *s = tape_add(t, tape_mul(t, in[0], in[1]), in[2]);
    return tape_mul(t, s, s);
}

static double value_of(const Tensor *x)
{
    double value;
    tensor_get_f64(x, &value, 1);
    return value;
}

// y with in[i] moved by h; the tape does not record, so this is plain arithmetic.
static double moved(Tape *t, Tensor *const in[3], int i, double h)
{
    const double before = value_of(in[i]), there = before + h;
    tensor_set_f64(in[i], &there, 1);
    const double y = value_of(formula(t, in));
    tensor_set_f64(in[i], &before, 1);
    return y;
}

int main(void)
{
    const Device dev = device_cpu_f64();
    Arena *perm = arena_new("perm", 1 << 28, NULL), *step = arena_new("step", 1 << 28, NULL),
          *scratch = arena_new("scratch", 1 << 28, NULL);
    Tape t;
    tape_init(&t, &dev, step, scratch);

    const double a = 2, b = -3, c = 1.5, s = a * b + c;
    Tensor *const in[3] = {leaf(perm, &dev, a), leaf(perm, &dev, b), leaf(perm, &dev, c)};
    Tensor *y = formula(&t, in);
    printf("the tape holds %d calls:\n", t.n_nodes);
    for (int i = 0; i < t.n_nodes; i++)
        printf("  %d  %-4s -> %g\n", i, op_info(t.node[i]->op)->name, value_of(t.node[i]->out[0]));
    tape_backward(&t, y);

    const double by_hand[3] = {2 * s * b, 2 * s * a, 2 * s}, h = 1e-4;
    printf("\n           by hand    on the tape   by differences\n");
    t.record = false;
    for (int i = 0; i < 3; i++) {
        double on_tape;
        tensor_get_grad_f64(in[i], &on_tape, 1);
        const double by_difference = (moved(&t, in, i, h) - moved(&t, in, i, -h)) / (2 * h);
        printf("dy/d%c %11.6f %14.6f %16.6f\n", "abc"[i], by_hand[i], on_tape, by_difference);
    }
    return 0;
}
