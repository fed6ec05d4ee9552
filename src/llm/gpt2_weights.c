// The list of GPT-2's tensors, and a model of registered parameters.  Contract: gpt2.h.
#include "llm/gpt2_weights.h"
#include "tensor/nf4.h"

#include <math.h>

Status gpt2_config_check(const Gpt2Config *c, const char *where)
{
    const struct { const char *name; int64_t value, max; } field[] = {
        {"vocab_size", c->vocab, GPT2_MAX_VOCAB}, {"n_positions", c->positions, GPT2_MAX_WIDTH},
        {"n_embd", c->width, GPT2_MAX_WIDTH},     {"n_inner", c->inner, GPT2_MAX_WIDTH},
        {"n_layer", c->layers, GPT2_MAX_LAYERS},  {"n_head", c->heads, GPT2_MAX_WIDTH},
    };
    for (size_t i = 0; i < sizeof field / sizeof *field; i++)
        if (field[i].value < 1 || field[i].value > field[i].max)
            return ERROR("%s: %s: want 1..%lld, got %lld", where, field[i].name, (long long)field[i].max,
                         (long long)field[i].value);
    if (c->width % c->heads)
        return ERROR("%s: n_head: want a divisor of n_embd = %lld, got %lld", where, (long long)c->width,
                     (long long)c->heads);
    if (!(c->eps > 0 && c->eps < 1)) return ERROR("%s: layer_norm_epsilon: want 0 < eps < 1, got %g", where, c->eps);
    return OK;
}

static const Init ones = {INIT_ONE, 0}, zeros = {INIT_ZERO, 0}, normal = {INIT_NORMAL, 0.02};

// ---- the list of tensors --------------------------------------------------------------------------------------------

static void add_weight(Gpt2 *m, Tensor **slot, Shape shape, Init init, const char *name)
{
    m->weight[m->n_weights++] = (Gpt2Weight){.name = name, .shape = shape, .init = init, .slot = slot};
}

static void add_norm(Gpt2 *m, Arena *a, Tensor **w, Tensor **b, const char *name)
{
    add_weight(m, w, SHAPE(m->c.width), ones, arena_printf(a, "%s.weight", name));
    add_weight(m, b, SHAPE(m->c.width), zeros, arena_printf(a, "%s.bias", name));
}

static void add_projection(Gpt2 *m, Arena *a, Gpt2Projection *p, int64_t in, int64_t out, Init init, const char *name)
{
    add_weight(m, &p->w, SHAPE(in, out), init, arena_printf(a, "%s.weight", name));
    add_weight(m, &p->b, SHAPE(out), zeros, arena_printf(a, "%s.bias", name));
}

Gpt2 *gpt2_weights_list(const Gpt2Config *c, Arena *a)
{
    Gpt2 *m = arena_zalloc(a, sizeof *m);
    m->c = *c;
    m->block = arena_zalloc(a, (size_t)c->layers * sizeof *m->block);
    m->weight = arena_zalloc(a, (size_t)(12 * c->layers + 6) * sizeof *m->weight);
    const int64_t D = c->width;
    const Init residual = {INIT_NORMAL, 0.02 / sqrt(2.0 * (double)c->layers)};
    add_weight(m, &m->wte, SHAPE(c->vocab, D), normal, "wte.weight");
    add_weight(m, &m->wpe, SHAPE(c->positions, D), normal, "wpe.weight");
    for (int l = 0; l < c->layers; l++) {
        Gpt2Block *b = &m->block[l];
        add_norm(m, a, &b->ln_1_w, &b->ln_1_b, arena_printf(a, "h.%d.ln_1", l));
        add_projection(m, a, &b->c_attn, D, 3 * D, normal, arena_printf(a, "h.%d.attn.c_attn", l));
        add_projection(m, a, &b->c_proj, D, D, residual, arena_printf(a, "h.%d.attn.c_proj", l));
        add_norm(m, a, &b->ln_2_w, &b->ln_2_b, arena_printf(a, "h.%d.ln_2", l));
        add_projection(m, a, &b->mlp_fc, D, c->inner, normal, arena_printf(a, "h.%d.mlp.c_fc", l));
        add_projection(m, a, &b->mlp_proj, c->inner, D, residual, arena_printf(a, "h.%d.mlp.c_proj", l));
    }
    add_norm(m, a, &m->ln_f_w, &m->ln_f_b, "ln_f");
    if (!c->tied) add_weight(m, &m->head_w, SHAPE(c->vocab, D), normal, "lm_head.weight");
    if (c->head_bias) add_weight(m, &m->head_b, SHAPE(c->vocab), zeros, "lm_head.bias");
    return m;
}

Gpt2 *gpt2_new_on(ParamSet *ps, const char *prefix, const Gpt2Config *c, Gpt2Flags flags, void *const *values)
{
    const Status ok = gpt2_config_check(c, "gpt2_new");
    CHECK(!ok.code, "%s", ok.msg);
    Gpt2 *m = gpt2_weights_list(c, ps->perm);
    for (int i = 0; i < m->n_weights; i++) {
        const Gpt2Weight *w = &m->weight[i];
        // decay for matrices only; the two embeddings are the first rows
        const bool matrix = w->shape.n == 2 && i >= 2;
        const ParamFlags plain = matrix ? PARAM_PLAIN : PARAM_NO_DECAY;
        const bool projection = matrix && w->slot != &m->head_w;
        const ParamFlags packed = flags & GPT2_BF16 ? PARAM_BF16 : flags & GPT2_NF4 ? PARAM_NF4 : PARAM_PLAIN;
        const ParamFlags frozen = projection ? PARAM_FROZEN | packed : PARAM_FROZEN;
        *w->slot = values && values[i] ? param_add_view(ps, prefix, w->name, w->shape, values[i])
                                       : param_add(ps, prefix, w->name, w->shape, flags & GPT2_BLANK ? zeros : w->init,
                                                   flags & GPT2_FROZEN ? frozen : plain);
    }
    return m;
}

Gpt2 *gpt2_new(ParamSet *ps, const char *prefix, const Gpt2Config *c, Gpt2Flags flags)
{
    return gpt2_new_on(ps, prefix, c, flags, NULL);
}

static void pack_blocks(Gpt2 *m, Arena *a, void (*pack)(Tensor *w, Arena *a))
{
    for (int l = 0; l < m->c.layers; l++) {
        Gpt2Block *b = &m->block[l];
        Tensor *const w[] = {b->c_attn.w, b->c_proj.w, b->mlp_fc.w, b->mlp_proj.w};
        for (int i = 0; i < 4; i++)
            if (!w[i]->needs_grad) pack(w[i], a);
    }
}

void gpt2_pack(Gpt2 *m, Arena *a) { pack_blocks(m, a, tensor_pack); }

void gpt2_pack_nf4(Gpt2 *m, Arena *a) { pack_blocks(m, a, tensor_pack_nf4); }

void gpt2_pack_bf16(Gpt2 *m, Arena *a)
{
    m->head_bf16 = tensor_transposed_bf16(m->head_w ? m->head_w : m->wte, a);
    pack_blocks(m, a, tensor_pack_bf16);
}
