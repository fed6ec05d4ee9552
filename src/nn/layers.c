#include "nn/layers.h"

#include <math.h>

static const Init zero_init = {INIT_ZERO, 0}, one_init = {INIT_ONE, 0};

static Init fan_in_init(int64_t fan_in, bool zero)
{
    return zero ? zero_init : (Init){INIT_UNIFORM, 1.0 / sqrt((double)fan_in)};
}

Linear linear_new(ParamSet *ps, const char *prefix, int64_t in, int64_t out, bool zero)
{
    return (Linear){.w = param_add(ps, prefix, "weight", SHAPE(in, out), fan_in_init(in, zero), PARAM_PLAIN),
                    .b = param_add(ps, prefix, "bias", SHAPE(out), zero_init, PARAM_NO_DECAY)};
}

Tensor *linear_apply(Tape *t, const Linear *l, Tensor *x) { return tape_linear(t, x, l->w, l->b); }

Tensor *linear_into(Tape *t, const Linear *l, Tensor *x, Tensor *r, double dropout)
{
    if (!t->training || dropout == 0) return tape_linear_add(t, x, l->w, l->b, r);
    return tape_add(t, r, tape_dropout(t, linear_apply(t, l, x), dropout));
}

Conv conv_new(ParamSet *ps, const char *prefix, int kernel, int64_t in, int64_t out, int stride, bool zero)
{
    const Init w = fan_in_init(in * kernel * kernel, zero);
    return (Conv){.w = param_add(ps, prefix, "weight", SHAPE(kernel, kernel, in, out), w, PARAM_PLAIN),
                  .b = param_add(ps, prefix, "bias", SHAPE(out), zero_init, PARAM_NO_DECAY),
                  .stride = stride, .pad = kernel / 2};
}

Tensor *conv_apply(Tape *t, const Conv *l, Tensor *x) { return tape_conv2d(t, x, l->w, l->b, l->stride, l->pad); }

int group_count(int64_t channels)
{
    for (int g = 32; g > 1; g--)
        if (channels % g == 0 && channels / g > 1) return g;   // a group of one channel at one pixel has no variance
    return 1;
}

static Norm norm_new(ParamSet *ps, const char *prefix, int64_t width, int groups)
{
    return (Norm){.gamma = param_add(ps, prefix, "weight", SHAPE(width), one_init, PARAM_NO_DECAY),
                  .beta = param_add(ps, prefix, "bias", SHAPE(width), zero_init, PARAM_NO_DECAY), .groups = groups};
}

Norm layernorm_new(ParamSet *ps, const char *prefix, int64_t width) { return norm_new(ps, prefix, width, 0); }

Norm groupnorm_new(ParamSet *ps, const char *prefix, int64_t channels)
{
    return norm_new(ps, prefix, channels, group_count(channels));
}

Tensor *norm_apply(Tape *t, const Norm *l, Tensor *x, bool silu)
{
    CHECK(l->groups || !silu, "norm_apply: SiLU is fused with GroupNorm only");
    return l->groups ? tape_group_norm(t, x, l->gamma, l->beta, l->groups, silu)
                     : tape_layer_norm(t, x, l->gamma, l->beta, 1e-5);
}

static Linear sub_linear(ParamSet *ps, const char *prefix, const char *name, int64_t in, int64_t out, bool zero)
{
    return linear_new(ps, arena_printf(ps->perm, "%s.%s", prefix, name), in, out, zero);
}

Attention attention_new(ParamSet *ps, const char *prefix, int64_t width, int64_t kv_width, int heads, bool zero_out)
{
    return (Attention){.q = sub_linear(ps, prefix, "q", width, width, false),
                       .k = sub_linear(ps, prefix, "k", kv_width, width, false),
                       .v = sub_linear(ps, prefix, "v", kv_width, width, false),
                       .o = sub_linear(ps, prefix, "o", width, width, zero_out), .heads = heads};
}

Tensor *attention_into(Tape *t, const Attention *l, Tensor *x, Tensor *kv, bool causal, Tensor *r, double dropout)
{
    Tensor *q = linear_apply(t, &l->q, x), *k = linear_apply(t, &l->k, kv), *v = linear_apply(t, &l->v, kv);
    return linear_into(t, &l->o, tape_attention(t, q, k, v, l->heads, causal), r, dropout);
}

Mlp mlp_new(ParamSet *ps, const char *prefix, int64_t width, int64_t hidden)
{
    return (Mlp){.ln = layernorm_new(ps, arena_printf(ps->perm, "%s.ln", prefix), width),
                 .fc = sub_linear(ps, prefix, "fc", width, hidden, false),
                 .proj = sub_linear(ps, prefix, "proj", hidden, width, false)};
}

Tensor *mlp_into(Tape *t, const Mlp *l, Tensor *x, double dropout)
{
    Tensor *h = tape_linear_gelu(t, norm_apply(t, &l->ln, x, false), l->fc.w, l->fc.b);
    return linear_into(t, &l->proj, h, x, dropout);
}
