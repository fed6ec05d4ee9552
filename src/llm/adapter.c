#include "llm/adapter.h"

#include <math.h>

static const int kernels[2] = {3, 5};

static AdapterScale scale_new(ParamSet *ps, const char *prefix, int kernel, int64_t C)
{
    AdapterScale s;
    const char *name = arena_printf(ps->perm, "%s.dw%d", prefix, kernel);
    s.w =
        param_add(ps, name, "weight", SHAPE(kernel, C), (Init){INIT_UNIFORM, 1.0 / sqrt((double)kernel)}, PARAM_PLAIN);
    s.b = param_add(ps, name, "bias", SHAPE(C), (Init){INIT_ZERO, 0}, PARAM_NO_DECAY);
    s.point = linear_new(ps, arena_printf(ps->perm, "%s.point%d", prefix, kernel), C, C, false);
    return s;
}

static Adapter layer_new(ParamSet *ps, const char *prefix, int64_t width, const AdapterConfig *c)
{
    const int64_t C = c->bottleneck;
    Adapter a;
    a.down = linear_new(ps, arena_printf(ps->perm, "%s.down", prefix), width, C, false);
    a.ln_in = layernorm_new(ps, arena_printf(ps->perm, "%s.ln_in", prefix), C);
    for (int i = 0; i < 2; i++) a.scale[i] = scale_new(ps, prefix, kernels[i], C);
    a.fuse = linear_new(ps, arena_printf(ps->perm, "%s.fuse", prefix), 2 * C, C, false);
    a.gate = linear_new(ps, arena_printf(ps->perm, "%s.gate", prefix), C, C, false);
    a.ln_out = layernorm_new(ps, arena_printf(ps->perm, "%s.ln_out", prefix), C);
    const char *up = arena_printf(ps->perm, "%s.up", prefix);
    const Init init = c->up_std > 0 ? (Init){INIT_NORMAL, c->up_std} : (Init){INIT_ZERO, 0};
    a.up.w = param_add(ps, up, "weight", SHAPE(C, width), init, PARAM_PLAIN);
    a.up.b = param_add(ps, up, "bias", SHAPE(width), (Init){INIT_ZERO, 0}, PARAM_NO_DECAY);
    a.a = param_add(ps, prefix, "scale", (Shape){.n = 0}, (Init){INIT_ONE, 0}, PARAM_NO_DECAY);
    return a;
}

AdapterSet *adapter_new(ParamSet *ps, const char *prefix, int layers, int64_t width, const AdapterConfig *c)
{
    CHECK(c->bottleneck >= 1 && layers >= 1 && c->up_std >= 0, "adapter: bottleneck %lld, %d layers, up_std %g",
          (long long)c->bottleneck, layers, c->up_std);
    AdapterSet *s = arena_zalloc(ps->perm, sizeof *s);
    *s = (AdapterSet){.c = *c, .layers = layers, .layer = arena_zalloc(ps->perm, (size_t)layers * sizeof *s->layer)};
    for (int l = 0; l < layers; l++) s->layer[l] = layer_new(ps, arena_printf(ps->perm, "%s.%d", prefix, l), width, c);
    return s;
}

// Depthwise convolution of kernel k over time; causal: k/2 zeros in front, so that the window ends at t.
static Tensor *temporal(Tape *t, const AdapterScale *s, Tensor *x, int k, bool causal)
{
    if (!causal) return tape_dwconv1d(t, x, s->w, s->b);
    const int64_t T = x->shape.d[1];
    Tensor *front = tape_zeros(t, SHAPE(x->shape.d[0], k / 2, x->shape.d[2]));
    Tensor *y = tape_dwconv1d(t, tape_concat(t, (Tensor *[]){front, x}, 2, 1), s->w, s->b);
    return tape_slice(t, y, 1, 0, T);
}

static Tensor *msconv(Tape *t, const Adapter *a, Tensor *x, bool causal)
{
    Tensor *scale[2];
    for (int i = 0; i < 2; i++)
        scale[i] = linear_apply(t, &a->scale[i].point, temporal(t, &a->scale[i], x, kernels[i], causal));
    Tensor *conv = linear_apply(t, &a->fuse, tape_concat(t, scale, 2, 2));
    Tensor *g = tape_sigmoid(t, linear_apply(t, &a->gate, x));
    return tape_add(t, tape_mul(t, g, conv), tape_mul(t, tape_scale(t, g, -1, 1), x));
}

Tensor *adapter_apply(Tape *t, const AdapterSet *s, int layer, Tensor *h)
{
    CHECK(layer >= 0 && layer < s->layers, "adapter: layer %d of %d", layer, s->layers);
    const Adapter *a = &s->layer[layer];
    Tensor *x = norm_apply(t, &a->ln_in, linear_apply(t, &a->down, h), false);
    x = tape_gelu_tanh(t, msconv(t, a, x, s->c.causal));
    x = linear_apply(t, &a->up, norm_apply(t, &a->ln_out, x, false));
    return tape_add(t, h, tape_mul(t, x, a->a));
}

static Tensor *after_block(void *arg, Tape *t, int layer, Tensor *h) { return adapter_apply(t, arg, layer, h); }

Gpt2Hook adapter_hook(AdapterSet *s)
{
    return (Gpt2Hook){.after_block = after_block, .arg = s, .reach = s->c.causal ? kernels[1] - 1 : REACH_ALL};
}
