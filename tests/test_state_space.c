// MamNet (src/rivals/state_space.c): the gradients of its whole loss, and its forecast by a second derivation in plain
// loops over one flow at a time.
#include <math.h>
#include <string.h>

#include "rivals/models.h"
#include "tests/llm_world.h"

enum { B = 2, NODES = 2, FLOWS = 4, L = 5, K = 3, WIDTH = 4, INNER = 8, STATES = 16, RANK = 4, LAYERS = 2, MOST = 16 };

typedef struct MamCase { World *w; RivalNet net; RivalInput in; Tensor *target; } MamCase;

static MamCase case_new(RivalTarget target)
{
    MamCase c = {.w = world_new(device_cpu_f64(), false)};
    const RivalSizes size = {.N = NODES, .F = FLOWS, .L = L, .K = K, .T = target == RIVAL_LEVELS ? L : L + K,
                             .slots_per_day = 24, .target = target, .width = WIDTH};
    c.net = (RivalNet){.name = "mamnet", .size = size, .ps = &c.w->ps};
    const Status s = mamnet_build(&c.net, c.w->scratch);
    CHECK(!s.code, "%s", s.msg);
    world_randomise(c.w, 0.3);
    c.in.x = tensor_new(c.w->perm, &c.w->dev, REAL, SHAPE(B, size.T, FLOWS), "x");
    c.target = tensor_new(c.w->perm, &c.w->dev, REAL, SHAPE(B, FLOWS, K), "target");
    float v[B * (L + K) * FLOWS];
    random_f32(v, numel(c.in.x), 1);
    tensor_set_f32(c.in.x, v, numel(c.in.x));
    random_f32(v, numel(c.target), 2);
    tensor_set_f32(c.target, v, numel(c.target));
    return c;
}

static Tensor *loss(Tape *t, void *ctx)
{
    MamCase *c = ctx;
    return tape_mse(t, mamnet_forecast(t, &c->net, &c->in), c->target);
}

// ---- the second derivation

static const double *values(const MamCase *c, const char *name)
{
    const Param *p = param_find(&c->w->ps, arena_printf(c->w->perm, "mamnet.%s", name));
    CHECK(p, "no parameter %s", name);
    return p->t.x;
}

// y[0..out) = W x + b of the layer `name`, W [in,out]
static void affine(const MamCase *c, const char *name, const double *x, int in, int out, double *y)
{
    const double *w = values(c, arena_printf(c->w->perm, "%s.weight", name));
    const double *b = values(c, arena_printf(c->w->perm, "%s.bias", name));
    for (int o = 0; o < out; o++) {
        y[o] = b[o];
        for (int i = 0; i < in; i++) y[o] += x[i] * w[i * out + o];
    }
}

static void norm(const MamCase *c, const char *name, const double *x, int n, double *y)
{
    const double *g = values(c, arena_printf(c->w->perm, "%s.weight", name));
    const double *b = values(c, arena_printf(c->w->perm, "%s.bias", name));
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n, square += x[i] * x[i] / n;
    for (int i = 0; i < n; i++) y[i] = (x[i] - mean) / sqrt(square - mean * mean + 1e-5) * g[i] + b[i];
}

static double silu(double x) { return x / (1 + exp(-x)); }
static double softplus(double x) { return log(1 + exp(x)); }

// u [T][WIDTH] of one flow through layer l, in place: one step of time after the other.
static void mamba(const MamCase *c, int l, int T, double (*u)[WIDTH])
{
    Arena *s = c->w->perm;
    const char *const name = arena_printf(s, "%d", l);
    const double *taps = values(c, arena_printf(s, "%s.conv.weight", name));
    const double *taps_b = values(c, arena_printf(s, "%s.conv.bias", name));
    const double *decay = values(c, arena_printf(s, "%s.decay", name));
    const double *skip = values(c, arena_printf(s, "%s.skip", name));
    double h[INNER][STATES] = {{0}}, past[4][INNER] = {{0}};
    for (int t = 0; t < T; t++) {
        double v[WIDTH], gate[INNER], a[INNER], rank[RANK], step[INNER], in[STATES], out[STATES], z[INNER], add[WIDTH];
        norm(c, arena_printf(s, "%s.norm", name), u[t], WIDTH, v);
        memmove(past[0], past[1], 3 * sizeof *past);
        affine(c, arena_printf(s, "%s.in", name), v, WIDTH, INNER, past[3]);
        affine(c, arena_printf(s, "%s.gate", name), v, WIDTH, INNER, gate);
        for (int i = 0; i < INNER; i++) {
            a[i] = taps_b[i];
            for (int k = 0; k < 4; k++) a[i] += taps[k * INNER + i] * past[k][i];
            a[i] = silu(a[i]);
        }
        affine(c, arena_printf(s, "%s.step_in", name), a, INNER, RANK, rank);
        affine(c, arena_printf(s, "%s.step", name), rank, RANK, INNER, step);
        affine(c, arena_printf(s, "%s.B", name), a, INNER, STATES, in);
        affine(c, arena_printf(s, "%s.C", name), a, INNER, STATES, out);
        for (int i = 0; i < INNER; i++) {
            const double first = 0.001 * pow(100, (i + 0.5) / INNER), delta = softplus(step[i] + log(exp(first) - 1));
            double y = skip[i] * a[i];
            for (int n = 0; n < STATES; n++) {
                const double rate = softplus(decay[i * STATES + n] + log(exp(n + 1.0) - 1));
                h[i][n] = exp(-delta * rate) * h[i][n] + delta * in[n] * a[i];
                y += out[n] * h[i][n];
            }
            z[i] = y * silu(gate[i]);
        }
        affine(c, arena_printf(s, "%s.out", name), z, INNER, WIDTH, add);
        for (int i = 0; i < WIDTH; i++) u[t][i] += add[i];
    }
}

// The forecast of one flow from its T values x.
static void plain(const MamCase *c, int T, const double *x, double *y)
{
    double u[MOST][WIDTH], both[2 * WIDTH], joined[WIDTH], wave[3 * (MOST / 2 + 1)];
    const int H = T / 2 + 1;
    for (int t = 0; t < T; t++) affine(c, "embed", &x[t], 1, WIDTH, u[t]);
    for (int l = 0; l < LAYERS; l++) mamba(c, l, T, u);
    norm(c, "norm", u[T - 1], WIDTH, both);
    for (int k = 0; k < H; k++) {
        double re = 0, im = 0;
        for (int t = 0; t < T; t++) re += x[t] * cos(2 * M_PI * k * t / T), im -= x[t] * sin(2 * M_PI * k * t / T);
        const double size = hypot(re, im), fade = size / sqrt(size * size + 2e-8);   // what is nearly 0 has no phase
        wave[k] = size * fade;
        wave[H + k] = cos(atan2(im, re)) * fade;
        wave[2 * H + k] = fabs(im) < 1e-12 ? 0 : sin(atan2(im, re)) * fade;
    }
    affine(c, "fourier", wave, 3 * H, WIDTH, both + WIDTH);
    affine(c, "join", both, 2 * WIDTH, WIDTH, joined);
    for (int i = 0; i < WIDTH; i++) joined[i] = silu(joined[i]);
    affine(c, "head", joined, WIDTH, K, y);
    for (int k = 0; k < K && c->net.size.target == RIVAL_LEVELS; k++) y[k] += x[L - 1];
}

static void test_target(TestLog *log, RivalTarget target)
{
    MamCase c = case_new(target);
    Tensor *x[64];
    for (int i = 0; i < c.w->ps.n; i++) x[i] = &c.w->ps.p[i]->t;
    module_gradients(log, "mamnet", c.w, loss, &c, x, c.w->ps.n);

    const int T = (int)c.net.size.T;
    const double *in = c.in.x->x, *y = mamnet_forecast(&c.w->t, &c.net, &c.in)->x;
    double worst = 0;
    for (int b = 0; b < B; b++)
        for (int f = 0; f < FLOWS; f++) {
            double series[MOST], want[K];
            for (int t = 0; t < T; t++) series[t] = in[(b * T + t) * FLOWS + f];
            plain(&c, T, series, want);
            for (int k = 0; k < K; k++) worst = check_fold(worst, fabs(y[(b * FLOWS + f) * K + k] - want[k]));
        }
    TEST(log, worst < 1e-7, "mamnet, target %d: differs from plain loops by %g", (int)target, worst);
    world_delete(c.w);
}

void test_state_space(TestLog *log)
{
    test_target(log, RIVAL_RESIDUAL);
    test_target(log, RIVAL_LEVELS);
}
