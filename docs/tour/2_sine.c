// Chapter 2: a small network learns y = sin(x), 0 <= x <= 2 pi, from 64 points: 1 -> 16 -> 16 -> 1, AdamW.
#include <math.h>
#include <stdio.h>

#include "autograd/tape.h"
#include "nn/layers.h"
#include "nn/optim.h"

enum { POINTS = 64, WIDTH = 16, STEPS = 3000 };
static const double pi = 3.14159265358979323846;

typedef struct Net { Linear in, middle, out; } Net;

static Tensor *net_apply(Tape *t, const Net *net, Tensor *x)
{
    Tensor *h = tape_tanh(t, linear_apply(t, &net->in, x));
    h = tape_tanh(t, linear_apply(t, &net->middle, h));
    return linear_apply(t, &net->out, h);
}

int main(void)
{
    const Device dev = device_cpu_f64();
    Arena *perm = arena_new("perm", 1 << 28, NULL), *step = arena_new("step", 1 << 28, NULL),
          *scratch = arena_new("scratch", 1 << 28, NULL);
    ParamSet ps;
    paramset_init(&ps, perm, &dev, 1, false);
    const Net net = {linear_new(&ps, "in", 1, WIDTH, false), linear_new(&ps, "middle", WIDTH, WIDTH, false),
                     linear_new(&ps, "out", WIDTH, 1, false)};
    Optim adamw = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .total = STEPS, .floor = 0.01};
    Tape t;
    tape_init(&t, &dev, step, scratch);
    printf("%lld parameters\n", (long long)paramset_count(&ps, true));

    float x[POINTS], y[POINTS];
    for (int i = 0; i < POINTS; i++) {
        x[i] = (float)(2 * pi * (i + 0.5) / POINTS);
        y[i] = (float)sin(x[i]);
    }
    for (int i = 0;; i++) {
        tape_reset(&t);
        paramset_zero_grad(&ps);
        Tensor *out = net_apply(&t, &net, tape_from_f32(&t, SHAPE(POINTS, 1), x));
        Tensor *loss = tape_mse(&t, out, tape_from_f32(&t, SHAPE(POINTS, 1), y));
        double value;
        tensor_get_f64(loss, &value, 1);
        if (i == 10 || i == 100 || i % 1000 == 0) printf("after %4d steps: mean squared error %.8f\n", i, value);
        if (i == STEPS) break;
        tape_backward(&t, loss);
        optim_step(&adamw, &t, &ps);
    }

    const float at[5] = {1, 2, 3, 4, 5};
    double answer[5];
    tape_reset(&t);
    tensor_get_f64(net_apply(&t, &net, tape_from_f32(&t, SHAPE(5, 1), at)), answer, 5);
    for (int i = 0; i < 5; i++) printf("sin(%.0f) = %7.4f   network %7.4f\n", at[i], sin(at[i]), answer[i]);
    return 0;
}
