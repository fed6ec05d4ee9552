#include "llm/gpt2.h"

#include <math.h>

#include "llm/gpt2_weights.h"

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

Gpt2 *gpt2_new(ParamSet *ps, const char *prefix, const Gpt2Config *c, Gpt2Flags flags)
{
    const Status ok = gpt2_config_check(c, "gpt2_new");
    CHECK(!ok.code, "%s", ok.msg);
    Gpt2 *m = gpt2_weights_list(c, ps->perm);
    for (int i = 0; i < m->n_weights; i++) {
        const Gpt2Weight *w = &m->weight[i];
        // decay for matrices only; the two embeddings are the first rows
        const ParamFlags plain = w->shape.n == 2 && i >= 2 ? PARAM_PLAIN : PARAM_NO_DECAY;
        *w->slot = param_add(ps, prefix, w->name, w->shape, flags & GPT2_BLANK ? zeros : w->init,
                             flags & GPT2_FROZEN ? PARAM_FROZEN : plain);
    }
    return m;
}

// ---- forward --------------------------------------------------------------------------------------------------------

static void probe(const Gpt2Hook *hook, int layer, const char *what, const Tensor *x)
{
    if (hook && hook->probe) hook->probe(hook->arg, layer, what, x);
}

static Tensor *project(Tape *t, const Gpt2Projection *p, Tensor *x)
{
    Tensor *y = tape_linear(t, x, p->w, p->b);
    if (!p->lora_a) return y;
    Tensor *low = tape_linear(t, tape_linear(t, x, p->lora_a, NULL), p->lora_b, NULL);
    return tape_add(t, y, tape_scale(t, low, p->lora_scale, 0));
}

static Tensor *project_gelu(Tape *t, const Gpt2Projection *p, Tensor *x)
{
    return p->lora_a ? tape_gelu_tanh(t, project(t, p, x)) : tape_linear_gelu(t, x, p->w, p->b);
}

static Tensor *attend(Tape *t, const Gpt2 *m, int layer, Tensor *x, const Gpt2Hook *hook)
{
    const Gpt2Block *b = &m->block[layer];
    const int64_t D = m->c.width;
    Tensor *qkv = project(t, &b->c_attn, x);                // [N,T,3D]
    Tensor *q = tape_slice(t, qkv, 2, 0, D), *k = tape_slice(t, qkv, 2, D, D), *v = tape_slice(t, qkv, 2, 2 * D, D);
    Tensor *y = tape_attention(t, q, k, v, (int)m->c.heads, true);
    probe(hook, layer, "q", q);
    probe(hook, layer, "k", k);
    probe(hook, layer, "v", v);
    probe(hook, layer, "attn", y);
    return project(t, &b->c_proj, y);
}

static Tensor *block_forward(Tape *t, const Gpt2 *m, int layer, Tensor *h, const Gpt2Hook *hook)
{
    const Gpt2Block *b = &m->block[layer];
    Tensor *n1 = tape_layer_norm(t, h, b->ln_1_w, b->ln_1_b, m->c.eps);
    probe(hook, layer, "ln_1", n1);
    Tensor *a = attend(t, m, layer, n1, hook);
    probe(hook, layer, "c_proj", a);
    h = tape_add(t, h, tape_dropout(t, a, m->dropout));
    Tensor *n2 = tape_layer_norm(t, h, b->ln_2_w, b->ln_2_b, m->c.eps);
    probe(hook, layer, "ln_2", n2);
    Tensor *fc = project_gelu(t, &b->mlp_fc, n2);
    probe(hook, layer, "fc", fc);
    Tensor *f = project(t, &b->mlp_proj, fc);
    probe(hook, layer, "mlp_proj", f);
    h = tape_add(t, h, tape_dropout(t, f, m->dropout));
    return hook && hook->after_block ? hook->after_block(hook->arg, t, layer, h) : h;
}

typedef struct BlockSegment { const Gpt2 *m; int layer; Gpt2Hook hook; } BlockSegment;

static Tensor *block_again(void *arg, Tape *t, Tensor *h)
{
    const BlockSegment *s = arg;
    return block_forward(t, s->m, s->layer, h, &s->hook);
}

static Tensor *block_recomputed(Tape *t, const Gpt2 *m, int layer, Tensor *h, const Gpt2Hook *hook)
{
    BlockSegment *s = arena_alloc(t->step, sizeof *s);
    *s = (BlockSegment){m, layer, hook ? *hook : (Gpt2Hook){0}};
    return tape_segment(t, block_again, s, h);
}

Tensor *gpt2_forward_embeds(Tape *t, const Gpt2 *m, Tensor *x, const Gpt2Hook *hook)
{
    char buf[96];
    CHECK(x->shape.n == 3 && x->shape.d[1] <= m->c.positions && x->shape.d[2] == m->c.width,
          "gpt2: want embeddings [N,T,%lld] with T <= %lld, got %s", (long long)m->c.width, (long long)m->c.positions,
          shape_text(x->shape, buf));
    Tensor *h = tape_add(t, x, tape_slice(t, m->wpe, 0, 0, x->shape.d[1]));
    probe(hook, -1, "embedding", h);
    h = tape_dropout(t, h, m->dropout);
    for (int l = 0; l < m->c.layers; l++)
        h = m->recompute ? block_recomputed(t, m, l, h, hook) : block_forward(t, m, l, h, hook);
    h = tape_layer_norm(t, h, m->ln_f_w, m->ln_f_b, m->c.eps);
    probe(hook, -1, "ln_f", h);
    return h;
}

Tensor *gpt2_forward_tokens(Tape *t, const Gpt2 *m, Tensor *token, const Gpt2Hook *hook)
{
    char buf[96];
    CHECK(token->shape.n == 2 && token->dtype == I32, "gpt2: want token ids [N,T], got %s",
          shape_text(token->shape, buf));
    return gpt2_forward_embeds(t, m, tape_embedding(t, m->wte, token), hook);
}

Tensor *gpt2_logits(Tape *t, const Gpt2 *m, Tensor *hidden)
{
    Tensor *rows = tape_reshape(t, hidden, SHAPE(shape_rows(hidden->shape), m->c.width));
    Tensor *y = tape_matmul(t, rows, m->head_w ? m->head_w : m->wte, false, true);
    return m->head_b ? tape_add(t, y, m->head_b) : y;
}
