#include "llm/gpt2.h"

#include <math.h>

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

static Tensor *activate(Tape *t, Gpt2Activation kind, Tensor *x)
{
    switch (kind) {
    case GPT2_GELU_TANH: return tape_gelu_tanh(t, x);
    case GPT2_GELU_ERF: return tape_gelu_erf(t, x);
    case GPT2_QUICK_GELU: return tape_mul(t, x, tape_sigmoid(t, tape_scale(t, x, 1.702, 0)));
    case GPT2_RELU: return tape_relu(t, x);
    case GPT2_SILU: return tape_silu(t, x);
    case GPT2_TANH: return tape_tanh(t, x);
    case GPT2_SIGMOID: return tape_sigmoid(t, x);
    default: return x;
    }
}

static Tensor *project_activate(Tape *t, Gpt2Activation kind, const Gpt2Projection *p, Tensor *x)
{
    if (!p->lora_a && kind == GPT2_GELU_TANH) return tape_linear_gelu(t, x, p->w, p->b);
    return activate(t, kind, project(t, p, x));
}

// h + dropout(projection of x): one op where nothing stands between, and nobody looks at the projection
static Tensor *project_into(Tape *t, const Gpt2 *m, const Gpt2Projection *p, Tensor *x, Tensor *h, const Gpt2Hook *hook,
                            int layer, const char *what)
{
    const bool dropped = t->training && m->dropout > 0, watched = hook && hook->probe;
    if (!p->lora_a && !dropped && !watched) return tape_linear_add(t, x, p->w, p->b, h);
    Tensor *y = project(t, p, x);
    probe(hook, layer, what, y);
    return tape_add(t, h, tape_dropout(t, y, m->dropout));
}

// [N,T,D] -> [N*heads,T,D/heads]
static Tensor *heads_first(Tape *t, Tensor *x, int64_t heads)
{
    const int64_t N = x->shape.d[0], T = x->shape.d[1], E = x->shape.d[2] / heads;
    Tensor *y = tape_permute(t, tape_reshape(t, x, SHAPE(N, T, heads, E)), (int[]){0, 2, 1, 3});
    return tape_reshape(t, y, SHAPE(N * heads, T, E));
}

// Causal attention whose probabilities exist, so that dropout can fall on them: the fused kernel never holds them.
static Tensor *attention_dropped(Tape *t, Tensor *q, Tensor *k, Tensor *v, int64_t heads, double p)
{
    const int64_t N = q->shape.d[0], T = q->shape.d[1], D = q->shape.d[2], E = D / heads;
    float *mask = arena_alloc(t->step, (size_t)(T * T) * sizeof *mask);
    for (int64_t i = 0; i < T; i++)
        for (int64_t j = 0; j < T; j++) mask[i * T + j] = j <= i ? 0 : -1e9f;
    Tensor *s = tape_matmul(t, heads_first(t, q, heads), heads_first(t, k, heads), false, true);
    s = tape_add(t, tape_scale(t, s, 1 / sqrt((double)E), 0), tape_from_f32(t, SHAPE(T, T), mask));
    Tensor *y = tape_matmul(t, tape_dropout(t, tape_softmax(t, s), p), heads_first(t, v, heads), false, false);
    y = tape_permute(t, tape_reshape(t, y, SHAPE(N, heads, T, E)), (int[]){0, 2, 1, 3});
    return tape_reshape(t, y, SHAPE(N, T, D));
}

// The attention ops divide scores by sqrt(D/heads).  What a variant wants instead becomes a factor of q.
static Tensor *rescale_scores(Tape *t, const Gpt2Config *c, int layer, Tensor *q)
{
    double factor = c->plain_scores ? sqrt((double)(c->width / c->heads)) : 1;
    if (c->scores_by_layer) factor /= layer + 1;
    return factor == 1 ? q : tape_scale(t, q, factor, 0);
}

// Attention before its last projection.
// cache: NULL, or where the keys and values of these positions go, and those of the earlier ones are
static Tensor *attend(Tape *t, const Gpt2 *m, int layer, Tensor *x, const Gpt2Hook *hook, const Gpt2Cache *cache)
{
    const Gpt2Block *b = &m->block[layer];
    const int64_t D = m->c.width;
    Tensor *qkv = project(t, &b->c_attn, x);                // [N,T,3D]
    Tensor *q = tape_slice(t, qkv, 2, 0, D), *k = tape_slice(t, qkv, 2, D, D), *v = tape_slice(t, qkv, 2, 2 * D, D);
    Tensor *y;
    probe(hook, layer, "q", q);
    q = rescale_scores(t, &m->c, layer, q);
    if (cache) {
        tape_cache_put(t, cache->k[layer], k, cache->n);
        tape_cache_put(t, cache->v[layer], v, cache->n);
        y = tape_attention_cached(t, q, cache->k[layer], cache->v[layer], (int)m->c.heads, cache->n + x->shape.d[1]);
    } else if (t->training && m->attention_dropout > 0)
        y = attention_dropped(t, q, k, v, m->c.heads, m->attention_dropout);
    else y = tape_attention(t, q, k, v, (int)m->c.heads, true);
    probe(hook, layer, "k", k);
    probe(hook, layer, "v", v);
    probe(hook, layer, "attn", y);
    return y;
}

// The hook on positions n .. n + T: it is shown the `reach` positions before them as well.
static Tensor *hook_cached(Tape *t, const Gpt2Hook *hook, const Gpt2Cache *c, int layer, Tensor *h)
{
    if (!c->reach) return hook->after_block(hook->arg, t, layer, h);
    const int64_t T = h->shape.d[1], before = c->n < c->reach ? c->n : c->reach;
    Tensor *x = h;
    if (before) x = tape_concat(t, (Tensor *[]){tape_slice(t, c->past[layer], 1, 0, before), h}, 2, 1);
    const int64_t keep = before + T < c->reach ? before + T : c->reach;
    tape_cache_put(t, c->past[layer], tape_slice(t, x, 1, before + T - keep, keep), 0);
    return tape_slice(t, hook->after_block(hook->arg, t, layer, x), 1, before, T);
}

static Tensor *block_forward(Tape *t, const Gpt2 *m, int layer, Tensor *h, const Gpt2Hook *hook, const Gpt2Cache *cache)
{
    const Gpt2Block *b = &m->block[layer];
    Tensor *n1 = tape_layer_norm(t, h, b->ln_1_w, b->ln_1_b, m->c.eps);
    probe(hook, layer, "ln_1", n1);
    h = project_into(t, m, &b->c_proj, attend(t, m, layer, n1, hook, cache), h, hook, layer, "c_proj");
    Tensor *n2 = tape_layer_norm(t, h, b->ln_2_w, b->ln_2_b, m->c.eps);
    probe(hook, layer, "ln_2", n2);
    Tensor *fc = project_activate(t, m->c.activation, &b->mlp_fc, n2);
    probe(hook, layer, "fc", fc);
    h = project_into(t, m, &b->mlp_proj, fc, h, hook, layer, "mlp_proj");
    if (!hook || !hook->after_block) return h;
    return cache ? hook_cached(t, hook, cache, layer, h) : hook->after_block(hook->arg, t, layer, h);
}

typedef struct BlockSegment { const Gpt2 *m; int layer; Gpt2Hook hook; } BlockSegment;

static Tensor *block_again(void *arg, Tape *t, Tensor *h)
{
    const BlockSegment *s = arg;
    return block_forward(t, s->m, s->layer, h, &s->hook, NULL);
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
    const TapeScope scope = tape_scope_begin(t, h->shape);
    for (int l = 0; l < m->c.layers; l++) {
        h = m->recompute ? block_recomputed(t, m, l, h, hook) : block_forward(t, m, l, h, hook, NULL);
        h = tape_scope_end(t, &scope, h);
    }
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

// ---- forward with a cache -------------------------------------------------------------------------------------------

static Tensor **cache_tensors(Arena *a, const Gpt2 *m, Shape s, const char *name)
{
    Tensor **x = arena_alloc(a, (size_t)m->c.layers * sizeof *x);
    for (int l = 0; l < m->c.layers; l++) x[l] = tensor_new(a, m->wte->dev, REAL, s, name);
    return x;
}

Gpt2Cache *gpt2_cache_new(Arena *a, const Gpt2 *m, int64_t rows, int64_t capacity, const Gpt2Hook *hook)
{
    CHECK(rows >= 1 && capacity >= 1 && capacity <= m->c.positions,
          "gpt2: a cache of %lld rows, %lld of %lld positions", (long long)rows, (long long)capacity,
          (long long)m->c.positions);
    const int reach = hook && hook->after_block ? hook->reach : 0;
    CHECK(reach >= 0, "gpt2: a cache with a hook that looks at later positions");
    Gpt2Cache *c = arena_zalloc(a, sizeof *c);
    *c = (Gpt2Cache){.rows = rows, .capacity = capacity, .layers = (int)m->c.layers, .reach = reach};
    const Shape s = SHAPE(rows, capacity, m->c.width);
    c->k = cache_tensors(a, m, s, "cache.k");
    c->v = cache_tensors(a, m, s, "cache.v");
    if (reach) c->past = cache_tensors(a, m, SHAPE(rows, reach, m->c.width), "cache.past");
    return c;
}

// Memory: the step arena is rewound after each block, so that a window of T tokens takes the activations of one block.
static Tensor *blocks_cached(Tape *t, const Gpt2 *m, Gpt2Cache *c, Tensor *token, const Gpt2Hook *hook)
{
    Tensor *h = tape_tensor(t, SHAPE(c->rows, token->shape.d[1], m->c.width));
    size_t mark = arena_mark(t->step);
    Tensor *x = tape_embedding(t, m->wte, token);
    tape_cache_put(t, h, tape_add(t, x, tape_slice(t, m->wpe, 0, c->n, token->shape.d[1])), 0);
    arena_rewind(t->step, mark);
    probe(hook, -1, "embedding", h);
    for (int l = 0; l < m->c.layers; l++) {
        tape_cache_put(t, h, block_forward(t, m, l, h, hook, c), 0);
        arena_rewind(t->step, mark);
    }
    h = tape_layer_norm(t, h, m->ln_f_w, m->ln_f_b, m->c.eps);
    probe(hook, -1, "ln_f", h);
    return h;
}

Tensor *gpt2_forward_cached(Tape *t, const Gpt2 *m, Gpt2Cache *c, Tensor *token, const Gpt2Hook *hook)
{
    char buf[96];
    CHECK(token->shape.n == 2 && token->dtype == I32 && token->shape.d[0] == c->rows,
          "gpt2: want token ids [%lld,T], got %s", (long long)c->rows, shape_text(token->shape, buf));
    CHECK(c->n + token->shape.d[1] <= c->capacity, "gpt2: a cache with room for %lld positions, %lld + %lld wanted",
          (long long)c->capacity, (long long)c->n, (long long)token->shape.d[1]);
    CHECK((hook && hook->after_block ? hook->reach : 0) == c->reach, "gpt2: the cache was made for another hook");
    const bool record = t->record, training = t->training;
    t->record = t->training = false;
    Tensor *h = blocks_cached(t, m, c, token, hook);
    t->record = record;
    t->training = training;
    c->n += token->shape.d[1];
    return h;
}

static void select_rows(Tape *t, Tensor *x, Tensor *from)
{
    const size_t mark = arena_mark(t->step);
    const Shape s = x->shape;
    Tensor *y = tape_embedding(t, tape_reshape(t, x, SHAPE(s.d[0], s.d[1] * s.d[2])), from);
    tape_cache_put(t, x, tape_reshape(t, y, s), 0);
    arena_rewind(t->step, mark);
}

void gpt2_cache_select(Tape *t, Gpt2Cache *c, const int32_t *from)
{
    const bool record = t->record;
    t->record = false;
    Tensor *index = tape_from_i32(t, SHAPE(c->rows), from);
    for (int l = 0; l < c->layers; l++) {
        select_rows(t, c->k[l], index);
        select_rows(t, c->v[l], index);
        if (c->reach) select_rows(t, c->past[l], index);
    }
    t->record = record;
}

Tensor *gpt2_logits(Tape *t, const Gpt2 *m, Tensor *hidden)
{
    Tensor *rows = tape_reshape(t, hidden, SHAPE(shape_rows(hidden->shape), m->c.width));
    if (m->head_bf16) return tape_linear(t, rows, m->head_bf16, m->head_b);
    Tensor *y = tape_matmul(t, rows, m->head_w ? m->head_w : m->wte, false, true);
    return m->head_b ? tape_add(t, y, m->head_b) : y;
}
