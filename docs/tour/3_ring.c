// Chapter 3: diffusion from nothing.  A network with two hidden layers learns to turn noise into points of a ring.
//   3_ring [DIR]     the picture becomes DIR/ring.png (default: here)
#include <math.h>
#include <stdio.h>

#include "diffusion/sampler.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "plot/picture.h"

enum { T = 1000, BATCH = 64, WIDTH = 64, EMBED = 64, TRAIN = 3000, POINTS = 200, STEPS = 40, PANELS = 5, SIDE = 160 };

// x_t = s x_0 + e noise: s and e by adding noise t times, beside the closed form.
static void noise_level(const Schedule *sch, int t)
{
    double scale = 1, variance = 0;
    for (int i = 1; i <= t; i++) {
        const double beta = 1 - sch->ab[i] / sch->ab[i - 1];
        scale *= sqrt(1 - beta);
        variance = (1 - beta) * variance + beta;
    }
    const double s = sqrt(sch->ab[t]), e = sqrt(1 - sch->ab[t]);
    printf("%4d  %.6f %.6f  %.6f %.6f %10.3f %10.3f\n", t, scale, sqrt(variance), s, e, e / s, s / e);
}

typedef struct Net { Linear in, middle, out; } Net;

// x [R,2], time [R] -> v [R,2]
static Tensor *net_apply(void *net, Tape *t, Tensor *x, Tensor *time)
{
    const Net *n = net;
    Tensor *h = tape_concat(t, (Tensor *[]){x, tape_timestep_embed(t, time, EMBED)}, 2, 1);
    h = tape_silu(t, linear_apply(t, &n->in, h));
    h = tape_silu(t, linear_apply(t, &n->middle, h));
    return linear_apply(t, &n->out, h);
}

// Points of the circle with radius 1, each with noise of its own time: how far is the network from their v?
static Tensor *loss_of(Tape *t, Net *net, const Schedule *sch, uint32_t step)
{
    float x[BATCH][2], time[BATCH], ab[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        const Philox4 draw = philox_quad(1, philox_subsequence(SITE_SHUFFLE, step), i);
        philox_sincos(draw.v[0] >> 8, &x[i][0], &x[i][1]);
        const uint32_t at = 1 + (i * T + draw.v[1] % T) / BATCH;
        time[i] = (float)at;
        ab[i] = (float)sch->ab[at];
    }
    const RandomAddress noise = {.seed = 1, .site = SITE_NOISE, .step = step};
    Tensor *x0 = tape_from_f32(t, SHAPE(BATCH, 2), x[0]);
    const Diffused d = tape_diffuse(t, x0, tape_from_f32(t, SHAPE(BATCH), ab), noise, DIFFUSE_V, NULL);
    return tape_mse(t, net_apply(net, t, d.xt, tape_from_f32(t, SHAPE(BATCH), time)), d.target);
}

// DDIM: each step turns the pair (x, v) by the angle between two noise levels.  Every tenth x is kept.
static Tensor *draw(Tape *t, Net *net, const Schedule *sch, Tensor *x, double kept[PANELS][POINTS][2])
{
    Tensor *time = tape_tensor(t, SHAPE(POINTS));
    int at[STEPS + 1] = {0};
    sampler_times(T, STEPS, at);
    for (int i = 0; i < STEPS; i++) {
        if (i % 10 == 0) tensor_get_f64(x, kept[i / 10][0], 2 * POINTS);
        const double turn = acos(sqrt(sch->ab[at[i + 1]])) - acos(sqrt(sch->ab[at[i]]));
        tensor_fill(time, at[i]);
        x = tape_sampler_step(t, x, net_apply(net, t, x, time), NULL, cos(turn), sin(turn), 0);
    }
    tensor_get_f64(x, kept[STEPS / 10][0], 2 * POINTS);
    return x;
}

static Status picture(Arena *a, double kept[PANELS][POINTS][2], const char *path)
{
    Picture *p;
    TRY(picture_new(a, PANELS * SIDE, SIDE, (Color){255, 255, 255}, &p));
    for (int i = 0; i < PANELS * POINTS; i++) {
        const double *x = kept[i / POINTS][i % POINTS];
        const Point at = {SIDE * (i / POINTS + 0.5 + x[0] / 5), SIDE * (0.5 - x[1] / 5)};
        picture_stroke(p, &at, 1, (Ink){.color = {190, 70, 20}, .alpha = 1, .width = 2.4});
    }
    return picture_write_png(p, path);
}

int main(int argc, char **argv)
{
    const Device dev = device_cpu_f64();
    Arena *perm = arena_new("perm", 1 << 28, NULL), *step = arena_new("step", 1 << 28, NULL),
          *scratch = arena_new("scratch", 1 << 28, NULL);
    const Schedule sch = schedule_new(perm, SCHEDULE_COSINE, T);
    printf("   t  step by step       closed form             e/s        s/e\n");
    for (int at = 1; at <= T; at += 333) noise_level(&sch, at);

    ParamSet ps;
    Tape t;
    paramset_init(&ps, perm, &dev, 1, false);
    tape_init(&t, &dev, step, scratch);
    Net net = {linear_new(&ps, "in", 2 + EMBED, WIDTH, false), linear_new(&ps, "middle", WIDTH, WIDTH, false),
               linear_new(&ps, "out", WIDTH, 2, true)};
    Optim adamw = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .clip = 1, .total = TRAIN, .floor = 0.01};
    double value, sum = 0;
    for (uint32_t i = 1; i <= TRAIN; i++, tape_reset(&t)) {
        paramset_zero_grad(&ps);
        Tensor *loss = loss_of(&t, &net, &sch, i);
        tape_backward(&t, loss);
        optim_step(&adamw, &t, &ps);
        tensor_get_f64(loss, &value, 1);
        sum += value;
        if (i % 1000 == 0) printf("mean loss of steps %4u to %u: %.3f\n", i - 999, i, sum / 1000), sum = 0;
    }

    static double kept[PANELS][POINTS][2];
    t.record = false;
    Tensor *noise = tape_randn(&t, SHAPE(POINTS, 2), (RandomAddress){.seed = 1, .site = SITE_SAMPLE}, 0);
    const double *x = draw(&t, &net, &sch, noise, kept)->x;
    int near = 0;
    for (int i = 0; i < POINTS; i++) near += fabs(hypot(x[2 * i], x[2 * i + 1]) - 1) < 0.1;
    printf("%d of %d points are within 0.1 of the circle\n", near, POINTS);
    const Status s = picture(scratch, kept, arena_printf(scratch, "%s/ring.png", argc > 1 ? argv[1] : "."));
    CHECK(!s.code, "%s", s.msg);
    return 0;
}
