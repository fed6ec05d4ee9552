// MamNet [abs]: a Mamba and a Fourier branch over each flow, joined.  The abstract alone is public; Mamba's sizes are
// those of Time-Series-Library [src], the rest is assumed and marked [D].
//   u = W_e x + b_e, 64 wide; twice u <- u + Mamba(LN u); m = LN u at the last column
//   Mamba (Gu and Dao 2023): a, z = W_a v, W_z v, 128 wide each; a = silu(causal depthwise convolution of 4 columns);
//     Delta = softplus(W_2 W_1 a + b), W_1 to 4;  B = W_B a, C = W_C a, 16 states;  out = W_o (scan(a) silu(z)),
//     scan: op selective_scan with decay A and skip D
//   f = W_f [|c|; cos arg c; sin arg c] + b_f, 64 wide, c the T/2+1 Fourier coefficients of x
//   y = W_h silu(W_j [m; f] + b_j) + b_h;   with target levels the last value is added: the residual head
// Adam 1e-3, MSE.
// Differs from Mamba: LayerNorm in place of RMSNorm; A = -softplus(a + a_0) in place of -exp(a), both begin as
// -1 .. -16; b begins as in Mamba, Delta between 0.001 and 0.1, but evenly over the channels and not at random.
// Phase as a point of the circle [D]: the angle jumps at pi.  It fades to 0 where |c| is below some 1e-4.
#include <math.h>

#include "rivals/models.h"
#include "rivals/parts.h"

enum { LAYERS = 2, STATES = 16, TAPS = 4, EXPAND = 2, STEP_RANK = 4 };

typedef struct Mamba {
    Norm norm;
    Linear in, gate, step_in, step, B, C, out;
    Tensor *taps, *taps_b, *decay, *skip;
} Mamba;

typedef struct MamNet {
    Linear embed, fourier, join, head;
    Mamba layer[LAYERS];
    Norm norm;
    Tensor *decay0, *step0, *cosines, *sines, *last, *gamma, *beta;   // constants
} MamNet;

static double softplus_of(double y) { return y + log(-expm1(-y)); }   // the x whose softplus is y

static double first_decay(const RivalSizes *s, int64_t i, int64_t j)
{
    (void)s, (void)i;
    return softplus_of((double)(j + 1));
}

static double first_step(const RivalSizes *s, int64_t i, int64_t j)
{
    (void)i;
    return softplus_of(0.001 * pow(100, ((double)j + 0.5) / (double)(EXPAND * s->width)));
}

static double cosine(const RivalSizes *s, int64_t i, int64_t j)
{
    return cos(2 * M_PI * (double)(i * j % s->T) / (double)s->T);
}

static double sine(const RivalSizes *s, int64_t i, int64_t j)
{
    return 2 * i * j % s->T ? -sin(2 * M_PI * (double)(i * j % s->T) / (double)s->T) : 0;
}

static Mamba mamba_new(const RivalNet *n, int layer)
{
    const int64_t d = n->size.width, w = EXPAND * d;
    const char *name = part_name(n, "%d", layer);
    const Init zeros = {INIT_ZERO, 0}, small = {INIT_UNIFORM, 1 / sqrt(TAPS)};
    Mamba m = {.norm = layernorm_new(n->ps, part_name(n, "%d.norm", layer), d)};
    struct { Linear *l; const char *name; int64_t in, out; } const maps[] = {
        {&m.in, "in", d, w}, {&m.gate, "gate", d, w}, {&m.step_in, "step_in", w, STEP_RANK},
        {&m.step, "step", STEP_RANK, w}, {&m.B, "B", w, STATES}, {&m.C, "C", w, STATES}, {&m.out, "out", w, d}};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        *maps[i].l = linear_new(n->ps, part_name(n, "%d.%s", layer, maps[i].name), maps[i].in, maps[i].out, false);
    m.taps = param_add(n->ps, name, "conv.weight", SHAPE(TAPS, w), small, PARAM_PLAIN);
    m.taps_b = param_add(n->ps, name, "conv.bias", SHAPE(w), zeros, PARAM_NO_DECAY);
    m.decay = param_add(n->ps, name, "decay", SHAPE(w, STATES), zeros, PARAM_NO_DECAY);
    m.skip = param_add(n->ps, name, "skip", SHAPE(w), (Init){INIT_ONE, 0}, PARAM_NO_DECAY);
    return m;
}

Status mamnet_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    MamNet *m = part_new(n, sizeof *m);
    const int64_t T = n->size.T, d = n->size.width, H = T / 2 + 1;
    *m = (MamNet){.embed = part_linear(n, "embed", 1, d), .fourier = part_linear(n, "fourier", 3 * H, d),
                  .join = part_linear(n, "join", 2 * d, d), .head = part_linear(n, "head", d, n->size.K),
                  .norm = part_norm(n, "norm", d),
                  .decay0 = part_constant(n, EXPAND * d, STATES, first_decay),
                  .step0 = part_row(n, EXPAND * d, first_step),
                  .cosines = part_constant(n, T, H, cosine), .sines = part_constant(n, T, H, sine),
                  .last = part_constant(n, T, n->size.K, part_last), .gamma = part_row(n, 4, part_one),
                  .beta = part_row(n, 4, part_zero)};
    for (int l = 0; l < LAYERS; l++) m->layer[l] = mamba_new(n, l);
    return OK;
}

// y_t = sum_k taps[k] x_{t-3+k}: behind the middle of an odd kernel there is nothing.
static Tensor *causal_conv(Tape *t, Tensor *x, Tensor *taps, Tensor *b)
{
    Tensor *behind = tape_zeros(t, SHAPE(taps->shape.d[0] - 1, taps->shape.d[1]));
    return tape_dwconv1d(t, x, tape_concat(t, (Tensor *[]){taps, behind}, 2, 0), b);
}

static Tensor *mamba(Tape *t, const MamNet *n, const Mamba *m, Tensor *u)
{
    Tensor *v = norm_apply(t, &m->norm, u, false);
    Tensor *a = tape_silu(t, causal_conv(t, linear_apply(t, &m->in, v), m->taps, m->taps_b));
    Tensor *step = linear_apply(t, &m->step, linear_apply(t, &m->step_in, a));
    step = tape_softplus(t, tape_add(t, step, n->step0));
    Tensor *decay = tape_scale(t, tape_softplus(t, tape_add(t, m->decay, n->decay0)), -1, 0);
    Tensor *y = tape_selective_scan(t, a, step, decay, linear_apply(t, &m->B, a), linear_apply(t, &m->C, a), m->skip);
    return linear_into(t, &m->out, tape_mul(t, y, tape_silu(t, linear_apply(t, &m->gate, v))), u, 0);
}

// |c|, cos arg c, sin arg c side by side; x [R,T].  The LayerNorm of (re, -re, im, -im) is that over |c| / sqrt 2.
static Tensor *fourier(Tape *t, const MamNet *m, Tensor *x)
{
    Tensor *re = tape_linear(t, x, m->cosines, NULL), *im = tape_linear(t, x, m->sines, NULL);
    const Shape flat = re->shape, one = SHAPE(flat.d[0], flat.d[1], 1);
    Tensor *four[] = {re, tape_scale(t, re, -1, 0), im, tape_scale(t, im, -1, 0)};
    for (int i = 0; i < 4; i++) four[i] = tape_reshape(t, four[i], one);
    Tensor *unit = tape_layer_norm(t, tape_concat(t, four, 4, 2), m->gamma, m->beta, 1e-8);
    unit = tape_scale(t, unit, sqrt(0.5), 0);
    Tensor *c = tape_reshape(t, tape_slice(t, unit, 2, 0, 1), flat);
    Tensor *s = tape_reshape(t, tape_slice(t, unit, 2, 2, 1), flat);
    Tensor *size = tape_add(t, tape_mul(t, re, c), tape_mul(t, im, s));
    return tape_concat(t, (Tensor *[]){size, c, s}, 3, 1);
}

Tensor *mamnet_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const MamNet *m = n->part;
    const int64_t T = n->size.T, d = n->size.width, R = numel(in->x) / T;
    Tensor *x = tape_reshape(t, part_series(t, in->x), SHAPE(R, T));
    Tensor *u = linear_apply(t, &m->embed, tape_reshape(t, x, SHAPE(R, T, 1)));
    for (int l = 0; l < LAYERS; l++) u = mamba(t, m, &m->layer[l], u);
    u = norm_apply(t, &m->norm, tape_reshape(t, tape_slice(t, u, 1, T - 1, 1), SHAPE(R, d)), false);
    Tensor *f = linear_apply(t, &m->fourier, fourier(t, m, x));
    Tensor *h = tape_silu(t, linear_apply(t, &m->join, tape_concat(t, (Tensor *[]){u, f}, 2, 1)));
    Tensor *y = linear_apply(t, &m->head, h);
    if (n->size.target == RIVAL_LEVELS) y = tape_add(t, y, tape_linear(t, x, m->last, NULL));
    return tape_reshape(t, y, SHAPE(in->x->shape.d[0], n->size.F, n->size.K));
}
