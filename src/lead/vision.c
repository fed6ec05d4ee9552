#include "lead/vision.h"

#define SUB(...) arena_printf(ps->perm, __VA_ARGS__)

// ---- E3

static VisionBlock block_new(ParamSet *ps, const char *p, int in, int out, int stride)
{
    const int squeeze = out / 8 > 4 ? out / 8 : 4;
    VisionBlock b = {.conv1 = conv_new(ps, SUB("%s.conv1", p), 3, in, out, stride, false),
                     .conv2 = conv_new(ps, SUB("%s.conv2", p), 3, out, out, 1, false),
                     .norm1 = groupnorm_new(ps, SUB("%s.norm1", p), out),
                     .norm2 = groupnorm_new(ps, SUB("%s.norm2", p), out),
                     .att1 = linear_new(ps, SUB("%s.att1", p), out, squeeze, false),
                     .att2 = linear_new(ps, SUB("%s.att2", p), squeeze, 1, false)};
    if (in != out || stride != 1) b.shortcut = conv_new(ps, SUB("%s.shortcut", p), 1, in, out, stride, false);
    return b;
}

Vision vision_new(ParamSet *ps, const char *prefix, VisionKind kind, int N, int channels, int base, int stages,
                  int width)
{
    CHECK(stages >= 1 && stages <= VISION_MAX_STAGES, "vision: %d stages", stages);
    const int branches = N >= 16 ? 4 : 3;
    Vision v = {.kind = kind, .n_stem = kind == VISION_SINGLE ? 1 : branches, .n_stages = stages, .width = width};
    if (kind == VISION_LINEAR)
        v.fc1 = linear_new(ps, SUB("%s.fc1", prefix), (int64_t)N * N * channels, width, false);
    if (kind == VISION_LINEAR || kind == VISION_NONE) return v;
    for (int i = 0; i < v.n_stem; i++)
        v.stem[i] = kind == VISION_SINGLE
                        ? conv_new(ps, SUB("%s.stem.%d", prefix, i), 3, channels, branches * base, 1, false)
                        : conv_new(ps, SUB("%s.stem.%d", prefix, i), 2 * i + 1, channels, base, 1, false);
    v.fuse = linear_new(ps, SUB("%s.fuse", prefix), branches * base, base, false);
    int ch = base;
    for (int i = 0; i < stages; i++) {
        v.stage[i] = block_new(ps, SUB("%s.stage.%d", prefix, i), ch, base << i, i ? 2 : 1);
        ch = base << i;
    }
    v.fc1 = linear_new(ps, SUB("%s.fc1", prefix), 2 * ch, width, false);
    v.fc2 = linear_new(ps, SUB("%s.fc2", prefix), width, width, false);
    return v;
}

static Tensor *block_apply(Tape *t, const VisionBlock *b, Tensor *x)
{
    const Shape s = x->shape;
    const int64_t by = b->conv1.stride, C = shape_last(b->conv1.w->shape);
    const TapeScope scope = tape_scope_begin(t, SHAPE(s.d[0], (s.d[1] + by - 1) / by, (s.d[2] + by - 1) / by, C));
    Tensor *h = tape_gelu_tanh(t, norm_apply(t, &b->norm1, conv_apply(t, &b->conv1, x), false));
    h = norm_apply(t, &b->norm2, conv_apply(t, &b->conv2, h), false);
    h = tape_gelu_tanh(t, tape_add(t, h, b->shortcut.w ? conv_apply(t, &b->shortcut, x) : x));
    Tensor *a = linear_apply(t, &b->att2, tape_relu(t, linear_apply(t, &b->att1, h)));
    return tape_scope_end(t, &scope, tape_mul_rows(t, h, tape_sigmoid(t, a)));
}

Tensor *vision_apply(Tape *t, const Vision *v, Tensor *frames)
{
    const int64_t R = frames->shape.d[0];
    if (v->kind == VISION_NONE) return tape_zeros(t, SHAPE(R, v->width));
    if (v->kind == VISION_LINEAR) return linear_apply(t, &v->fc1, tape_reshape(t, frames, SHAPE(R, numel(frames) / R)));
    Tensor *w[VISION_MAX_STEM], *b[VISION_MAX_STEM];
    for (int i = 0; i < v->n_stem; i++) w[i] = v->stem[i].w, b[i] = v->stem[i].b;
    const Shape s = frames->shape;
    const TapeScope stem = tape_scope_begin(t, SHAPE(R, s.d[1], s.d[2], shape_last(v->fuse.w->shape)));
    Tensor *h = tape_linear_gelu(t, tape_conv2d_multi(t, frames, v->n_stem, w, b), v->fuse.w, v->fuse.b);
    h = tape_scope_end(t, &stem, h);
    for (int i = 0; i < v->n_stages; i++) h = block_apply(t, &v->stage[i], h);
    Tensor *pooled = tape_concat(t, (Tensor *[]){tape_global_avgpool(t, h), tape_global_maxpool(t, h)}, 2, 1);
    return linear_apply(t, &v->fc2, tape_linear_gelu(t, pooled, v->fc1.w, v->fc1.b));
}

// ---- E4

static AggLayer layer_new(ParamSet *ps, const char *p, int width, int heads)
{
    return (AggLayer){.norm = layernorm_new(ps, SUB("%s.norm", p), width),
                      .attn = attention_new(ps, SUB("%s.attn", p), width, width, heads, false),
                      .mlp = mlp_new(ps, SUB("%s.mlp", p), width, 4 * (int64_t)width)};
}

Aggregator aggregator_new(ParamSet *ps, const char *prefix, int history, int slots_per_day, int width, int layers,
                          int heads, int tokens, double dropout)
{
    CHECK(layers >= 1 && layers <= AGG_MAX_LAYERS, "aggregator: %d layers", layers);
    const Init small = {INIT_NORMAL, 0.02};
    Aggregator a = {.n_layers = layers, .dropout = dropout};
    a.time = param_add(ps, prefix, "time", SHAPE(history, width), small, PARAM_NO_DECAY);
    a.slot_of_day = param_add(ps, prefix, "slot_of_day", SHAPE(slots_per_day, width), small, PARAM_NO_DECAY);
    a.day_of_week = param_add(ps, prefix, "day_of_week", SHAPE(7, width), small, PARAM_NO_DECAY);
    a.queries = param_add(ps, prefix, "queries", SHAPE(tokens, width), (Init){INIT_NORMAL, 1.0}, PARAM_NO_DECAY);
    for (int i = 0; i < layers; i++) a.layer[i] = layer_new(ps, SUB("%s.layer.%d", prefix, i), width, heads);
    for (int i = 0; i < 2; i++) a.cross[i] = layer_new(ps, SUB("%s.cross.%d", prefix, i), width, heads);
    a.norm_kv = layernorm_new(ps, SUB("%s.norm_kv", prefix), width);
    return a;
}

// Pre-norm transformer layer: x += attn(LN x, kv); x += mlp(x).  kv NULL: causal self-attention.
static Tensor *layer_apply(Tape *t, const AggLayer *l, Tensor *x, Tensor *kv, double dropout)
{
    Tensor *n = norm_apply(t, &l->norm, x, false);
    return mlp_into(t, &l->mlp, attention_into(t, &l->attn, n, kv ? kv : n, !kv, x, dropout), dropout);
}

Tensor *aggregator_apply(Tape *t, const Aggregator *a, Tensor *f, Tensor *slot, Tensor *dow)
{
    f = tape_add(t, f, a->time);
    f = tape_add(t, f, tape_embedding(t, a->slot_of_day, slot));
    f = tape_add(t, f, tape_embedding(t, a->day_of_week, dow));
    for (int i = 0; i < a->n_layers; i++) f = layer_apply(t, &a->layer[i], f, NULL, a->dropout);
    f = norm_apply(t, &a->norm_kv, f, false);
    const Shape q = a->queries->shape;
    // the same for each sample
    Tensor *x = tape_add(t, tape_zeros(t, SHAPE(f->shape.d[0], q.d[0], q.d[1])), a->queries);
    for (int i = 0; i < 2; i++) x = layer_apply(t, &a->cross[i], x, f, a->dropout);
    return x;
}
