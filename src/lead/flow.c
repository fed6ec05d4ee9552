#include "lead/flow.h"

enum { TIME_WIDTH = 64 };
static const double HUBER_DELTA = 4, LOG_SCALE_WEIGHT = 0.5;

#define SUB(x) arena_printf(ps->perm, "%s.%s", prefix, x)

// ---- trunk

static FlowTrunk trunk_new(ParamSet *ps, const char *prefix, int64_t flows, int64_t planes, int width)
{
    FlowTrunk k = {0};
    if (flows) k.pair = param_add(ps, prefix, "pair", SHAPE(flows, FLOW_PAIR_WIDTH), (Init){INIT_NORMAL, 0.1},
                                  PARAM_NO_DECAY);
    k.in = linear_new(ps, SUB("in"), planes + (flows ? FLOW_PAIR_WIDTH : 0), width, false);
    for (int i = 0; i < FLOW_TRUNK_LAYERS; i++)
        k.layer[i] = linear_new(ps, arena_printf(ps->perm, "%s.%d", prefix, i), width, width, false);
    return k;
}

static Tensor *residual_layers(Tape *t, const Linear *layer, int n, Tensor *h)
{
    for (int i = 0; i < n; i++) h = tape_add(t, h, tape_linear_silu(t, h, layer[i].w, layer[i].b));
    return h;
}

// inputs: n tensors [B,F,..], side by side
static Tensor *trunk_apply(Tape *t, const FlowTrunk *k, Tensor *const *inputs, int n)
{
    const Shape s = inputs[0]->shape;
    Tensor *in[OP_MAX_IN];
    for (int i = 0; i < n; i++) in[i] = inputs[i];
    if (k->pair) in[n++] = tape_add(t, tape_zeros(t, SHAPE(s.d[0], s.d[1], FLOW_PAIR_WIDTH)), k->pair);
    Tensor *h = tape_linear_silu(t, n > 1 ? tape_concat(t, in, n, 2) : in[0], k->in.w, k->in.b);
    return residual_layers(t, k->layer, FLOW_TRUNK_LAYERS, h);
}

// ---- location and scale

FlowHeads flow_heads_new(ParamSet *ps, const char *prefix, const FlowSizes *s, bool location, bool log_scale)
{
    FlowHeads h = {.trunk = trunk_new(ps, prefix, s->flows, s->planes, s->width)};
    if (location) h.location = linear_new(ps, SUB("location"), s->width, s->steps, true);
    if (log_scale) h.log_scale = linear_new(ps, SUB("log_scale"), s->width, s->steps, true);
    return h;
}

ResidualMoments flow_heads_apply(Tape *t, const FlowHeads *h, Tensor *planes)
{
    Tensor *x = trunk_apply(t, &h->trunk, &planes, 1);
    return (ResidualMoments){h->location.w ? linear_apply(t, &h->location, x) : NULL,
                             h->log_scale.w ? linear_apply(t, &h->log_scale, x) : NULL};
}

static Tensor *times(Tape *t, Tensor *x, Tensor *factor) { return factor ? tape_mul(t, x, factor) : x; }

Tensor *flow_heads_loss(Tape *t, ResidualMoments fit, ResidualMoments use, Tensor *u, Tensor *base,
                        const ResidualUnits *units, int history, Tensor *seen)
{
    Tensor *loss = NULL;
    if (fit.location) {
        const ResidualParams p = {history, RESIDUAL_UNITS};
        Tensor *z = tape_residual_target(t, u, base, units->sigma, units->gamma, (ResidualMoments){0}, &p);
        loss = tape_huber(t, times(t, fit.location, seen), times(t, z, seen), HUBER_DELTA);
    }
    if (fit.log_scale) {
        const ResidualParams p = {history, RESIDUAL_LOG_SIZE};
        Tensor *size = tape_residual_target(t, u, base, units->sigma, units->gamma, use, &p);
        Tensor *term = tape_mse(t, times(t, fit.log_scale, seen), times(t, size, seen));
        term = tape_scale(t, term, LOG_SCALE_WEIGHT, 0);
        loss = loss ? tape_add(t, loss, term) : term;
    }
    return loss;
}

// ---- denoiser

FlowDenoiser flow_denoiser_new(ParamSet *ps, const char *prefix, const FlowSizes *s)
{
    const int w = s->hidden;
    FlowDenoiser d = {.trunk = trunk_new(ps, prefix, s->flows, s->planes, s->width),
                      .condition = linear_new(ps, SUB("condition"), s->width, w, false),
                      .in = linear_new(ps, SUB("x"), s->steps, w, false),
                      .time = linear_new(ps, SUB("time"), TIME_WIDTH, TIME_WIDTH, false),
                      .from_t = linear_new(ps, SUB("from_t"), TIME_WIDTH, 2 * (int64_t)w, false),
                      .out = linear_new(ps, SUB("out"), w, s->steps, true)};
    if (s->cond_width) d.from_g = linear_new(ps, SUB("from_g"), s->cond_width, 2 * (int64_t)w, true);
    for (int i = 0; i < FLOW_DENOISER_LAYERS; i++)
        d.layer[i] = linear_new(ps, arena_printf(ps->perm, "%s.layer.%d", prefix, i), w, w, false);
    return d;
}

Tensor *flow_condition(Tape *t, const FlowDenoiser *d, Tensor *planes, ResidualMoments m)
{
    Tensor *in[3] = {planes};
    int n = 1;
    if (m.location) in[n++] = m.location;
    if (m.log_scale) in[n++] = m.log_scale;
    return linear_apply(t, &d->condition, trunk_apply(t, &d->trunk, in, n));
}

Tensor *flow_denoise(Tape *t, const FlowDenoiser *d, Tensor *x, Tensor *time, Tensor *condition, Tensor *g)
{
    const Shape s = x->shape, wide = condition->shape;
    Tensor *from_t = tape_linear_silu(t, tape_timestep_embed(t, time, TIME_WIDTH), d->time.w, d->time.b);
    Tensor *h = tape_linear_add(t, x, d->in.w, d->in.b, condition);
    h = tape_film(t, h, linear_apply(t, &d->from_t, from_t), !g);
    if (g) {
        const int64_t G = g->shape.d[0];
        h = tape_reshape(t, h, SHAPE(G, wide.d[0] * wide.d[1] / G, wide.d[2]));
        h = tape_film(t, h, linear_apply(t, &d->from_g, tape_silu(t, g)), true);
    }
    h = residual_layers(t, d->layer, FLOW_DENOISER_LAYERS, h);
    return tape_reshape(t, linear_apply(t, &d->out, h), s);
}
