// GPT-2's files as people have them: configurations, shards, heads for other tasks, adapters on parts of a model.
// Every file is made here.  tests/tools/gpt2_variants.py compares the same kinds with transformers.
#include <sys/stat.h>
#include <unistd.h>

#include "llm/adapter_file.h"
#include "llm/generate.h"
#include "io/json.h"
#include "tests/llm_world.h"
#include "tests/model_files.h"
#include "tests/run_lead.h"

enum { T = 6 };
static const int32_t prompt[T] = {3, 1, 4, 1, 5, 9};

// ---- a GPT-2 in plain loops -----------------------------------------------------------------------------------------

static const double *values_of(World *w, const Tensor *x)
{
    double *v = arena_alloc(w->perm, (size_t)numel(x) * sizeof *v);
    tensor_get_f64(x, v, numel(x));
    return v;
}

// y [rows,out] = x [rows,in] w [in,out] + b
static double *plain_linear(World *w, const double *x, int64_t rows, const Gpt2Projection *p)
{
    const int64_t in = p->w->shape.d[0], out = p->w->shape.d[1];
    const double *W = values_of(w, p->w), *b = values_of(w, p->b);
    double *y = arena_alloc(w->perm, (size_t)(rows * out) * sizeof *y);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            y[r * out + o] = b[o];
            for (int64_t i = 0; i < in; i++) y[r * out + o] += x[r * in + i] * W[i * out + o];
        }
    return y;
}

static double *plain_norm(World *w, const double *x, int64_t rows, int64_t D, const Tensor *gamma, const Tensor *beta)
{
    const double *g = values_of(w, gamma), *b = values_of(w, beta);
    double *y = arena_alloc(w->perm, (size_t)(rows * D) * sizeof *y);
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < D; i++) mean += x[r * D + i] / (double)D;
        for (int64_t i = 0; i < D; i++) var += (x[r * D + i] - mean) * (x[r * D + i] - mean) / (double)D;
        for (int64_t i = 0; i < D; i++) y[r * D + i] = (x[r * D + i] - mean) / sqrt(var + 1e-5) * g[i] + b[i];
    }
    return y;
}

static double act(const char *name, double x)
{
    if (!strcmp(name, "gelu_new")) return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    if (!strcmp(name, "gelu")) return x / 2 * erfc(-x / sqrt(2));
    if (!strcmp(name, "quick_gelu")) return x / (1 + exp(-1.702 * x));
    if (!strcmp(name, "relu")) return x > 0 ? x : 0;
    if (!strcmp(name, "silu")) return x / (1 + exp(-x));
    if (!strcmp(name, "tanh")) return tanh(x);
    if (!strcmp(name, "sigmoid")) return 1 / (1 + exp(-x));
    return x;
}

// Scores of head h are q.k * scale.
static double *plain_attention(World *w, const double *qkv, int64_t D, int heads, double scale)
{
    const int64_t E = D / heads;
    double *y = arena_zalloc(w->perm, (size_t)(T * D) * sizeof *y);
    for (int h = 0; h < heads; h++)
        for (int t = 0; t < T; t++) {
            double p[T], sum = 0;
            for (int s = 0; s <= t; s++) {
                double dot = 0;
                for (int64_t e = h * E; e < (h + 1) * E; e++) dot += qkv[t * 3 * D + e] * qkv[s * 3 * D + D + e];
                sum += p[s] = exp(dot * scale);
            }
            for (int s = 0; s <= t; s++)
                for (int64_t e = h * E; e < (h + 1) * E; e++) y[t * D + e] += p[s] / sum * qkv[s * 3 * D + 2 * D + e];
        }
    return y;
}

typedef struct Kind { const char *activation; bool plain_scores, by_layer; } Kind;

// Logits [T,V] of the prompt.
static const double *plain_gpt2(World *w, const Gpt2 *m, Kind kind)
{
    const int64_t D = m->c.width, V = m->c.vocab;
    const double *wte = values_of(w, m->wte), *wpe = values_of(w, m->wpe);
    double *h = arena_alloc(w->perm, (size_t)(T * D) * sizeof *h);
    for (int64_t i = 0; i < T * D; i++) h[i] = wte[prompt[i / D] * D + i % D] + wpe[i];
    for (int l = 0; l < m->c.layers; l++) {
        const Gpt2Block *b = &m->block[l];
        const double scale = (kind.plain_scores ? 1 : 1 / sqrt((double)(D / m->c.heads))) / (kind.by_layer ? l + 1 : 1);
        const double *qkv = plain_linear(w, plain_norm(w, h, T, D, b->ln_1_w, b->ln_1_b), T, &b->c_attn);
        const double *a = plain_linear(w, plain_attention(w, qkv, D, (int)m->c.heads, scale), T, &b->c_proj);
        for (int64_t i = 0; i < T * D; i++) h[i] += a[i];
        double *fc = plain_linear(w, plain_norm(w, h, T, D, b->ln_2_w, b->ln_2_b), T, &b->mlp_fc);
        for (int64_t i = 0; i < T * m->c.inner; i++) fc[i] = act(kind.activation, fc[i]);
        const double *y = plain_linear(w, fc, T, &b->mlp_proj);
        for (int64_t i = 0; i < T * D; i++) h[i] += y[i];
    }
    const double *n = plain_norm(w, h, T, D, m->ln_f_w, m->ln_f_b);
    double *logits = arena_zalloc(w->perm, (size_t)(T * V) * sizeof *logits);
    for (int64_t i = 0; i < T * V; i++)
        for (int64_t d = 0; d < D; d++) logits[i] += n[i / V * D + d] * wte[i % V * D + d];
    return logits;
}

static double away(World *w, const Tensor *logits, const double *want, int64_t from)
{
    const int64_t V = logits->shape.d[1];
    return max_error(logits, want + from * V, numel(logits), w->scratch);
}

#define SIZES "\"vocab_size\": 11, \"n_positions\": 16, \"n_embd\": 8, \"n_layer\": 3, \"n_head\": 2"

static Tensor *logits_of(World *w, const Gpt2 *m)
{
    return gpt2_logits(&w->t, m, gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, T), prompt), NULL));
}

// Whole and in two pieces through the cache, and (the attention with dropout) through ops of its own.
static void check_kind(TestLog *log, Kind kind)
{
    World *w = world_new(device_cpu_f64(), true);
    const char *dir = model_directory(log, w, "kind");
    world_put_model(w, dir,
                    arena_printf(w->perm, "{" SIZES ", \"activation_function\": \"%s\", \"scale_attn_weights\": %s, "
                                   "\"scale_attn_by_inverse_layer_idx\": %s}", kind.activation,
                                   kind.plain_scores ? "false" : "true", kind.by_layer ? "true" : "false"));
    Gpt2 *m;
    const Status s = gpt2_load(&m, &w->ps, "", dir, GPT2_FROZEN, w->scratch);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    const double *want = plain_gpt2(w, m, kind);
    const double whole = away(w, logits_of(w, m), want, 0);
    Gpt2Cache *c = gpt2_cache_new(w->t.step, m, 1, T, NULL);
    gpt2_forward_cached(&w->t, m, c, tape_from_i32(&w->t, SHAPE(1, 4), prompt), NULL);
    Tensor *h = gpt2_forward_cached(&w->t, m, c, tape_from_i32(&w->t, SHAPE(1, T - 4), prompt + 4), NULL);
    const double cached = away(w, gpt2_logits(&w->t, m, h), want, 4);
    w->t.training = true;
    m->attention_dropout = 1e-12;     // drops nothing, but takes the path that could
    const double dropped = away(w, logits_of(w, m), want, 0);
    TEST(log, whole <= 1e-12 && cached <= 1e-12 && dropped <= 1e-10, "%s%s%s: %g, cached %g, dropout path %g away",
         kind.activation, kind.plain_scores ? ", plain scores" : "", kind.by_layer ? ", by layer" : "", whole, cached,
         dropped);
    world_delete(w);
}

static void kinds(TestLog *log)
{
    static const char *const names[] = {"gelu_new", "gelu", "quick_gelu", "relu", "silu", "tanh", "sigmoid", "linear"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_kind(log, (Kind){names[i], false, false});
    check_kind(log, (Kind){"gelu_new", true, false});
    check_kind(log, (Kind){"gelu_new", false, true});
    check_kind(log, (Kind){"gelu", true, true});
}

// ---- config.json ----------------------------------------------------------------------------------------------------

static void configurations(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const char *dir = model_directory(log, w, "config");
    static const char *const same[] = {
        "{" SIZES ", \"_num_labels\": 1, \"id2label\": {\"0\": \"LABEL_0\"}, \"pruned_heads\": {}}",
        "{" SIZES ", \"hidden_size\": 8, \"num_hidden_layers\": 3}",
        "{\"vocab_size\": 11, \"max_position_embeddings\": 16, \"hidden_size\": 8, \"num_hidden_layers\": 3, "
        "\"num_attention_heads\": 2, \"n_inner\": null, \"reorder_and_upcast_attn\": true}"};
    Gpt2Config c;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        model_put(w, dir, "config.json", same[i]);
        const Status s = gpt2_config_read(&c, dir, w->scratch);
        TEST(log, !s.code && c.positions == 16 && c.width == 8 && c.layers == 3 && c.heads == 2 && c.inner == 32 &&
                      !*c.unknown && c.end_token == -1, "%zu: %s %s", i, s.msg, c.unknown);
    }
    model_put(w, dir, "config.json", "{" SIZES ", \"xla_device\": true, \"off\": false, \"rope\": 3, "
        "\"eos_token_id\": [7, 9]}");
    Status s = gpt2_config_read(&c, dir, w->scratch);
    TEST(log, !s.code && !strcmp(c.unknown, "xla_device, rope"), "%s: '%s'", s.msg, c.unknown);
    TEST(log, gpt2_is_end(&c, 7) && gpt2_is_end(&c, 9) && !gpt2_is_end(&c, 8) && !gpt2_is_end(&c, -2),
         "a list of ends");
    model_put(w, dir, "generation_config.json", "{\"eos_token_id\": 8, \"do_sample\": true}");
    s = gpt2_config_read(&c, dir, w->scratch);
    TEST(log, !s.code && gpt2_is_end(&c, 8) && !gpt2_is_end(&c, 7) && !gpt2_is_end(&c, 9), "%s: generation_config.json",
         s.msg);
    model_put(w, dir, "generation_config.json", "{\"eos_token_id\": \"x\"}");
    s = gpt2_config_read(&c, dir, w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "generation_config.json: eos_token_id: want"), "'%s'", s.msg);
    world_delete(w);
}

// ---- weights --------------------------------------------------------------------------------------------------------

// The model of `from` in two files and an index; `drop`: a tensor that the index promises and no file has.
static void put_shards(World *w, const char *from, const char *dir, const char *drop)
{
    SafeFile f;
    Status s = safetensors_open(&f, w->perm, arena_printf(w->perm, "%s/model.safetensors", from));
    CHECK(!s.code, "%s", s.msg);
    JsonWriter j = json_writer(w->perm, 1);
    json_object(&j, NULL);
    json_object(&j, "weight_map");
    for (int k = 0; k < 2; k++) {
        SafeTensor *list = arena_alloc(w->perm, (size_t)f.n_tensor * sizeof *list);
        int64_t n = 0;
        for (int64_t i = k; i < f.n_tensor; i += 2) {
            const SafeTensor *t = &f.tensor[i];
            if (!drop || strcmp(t->name, drop)) list[n++] = *t;
            json_string(&j, t->name, k ? "b.safetensors" : "a.safetensors");
        }
        s = safetensors_write(arena_printf(w->perm, "%s/%c.safetensors", dir, 'a' + k), list, n, NULL, 0, false,
                              w->perm);
        CHECK(!s.code, "%s", s.msg);
    }
    json_end(&j);
    json_end(&j);
    model_put(w, dir, "model.safetensors.index.json", json_text(&j, NULL));
    model_put(w, dir, "config.json", "{" SIZES "}");
}

static bool same_logits(World *w, const char *a, const char *b, const char **note, const char **msg)
{
    float x[2][T * 11];
    const char *dir[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        Gpt2 *m;
        ParamSet ps;
        paramset_init(&ps, w->perm, &w->dev, 1, true);
        const Status s = gpt2_load(&m, &ps, "", dir[i], GPT2_FROZEN, w->scratch);
        *msg = arena_printf(w->perm, "%s", s.msg);
        if (s.code) return false;
        tensor_get_f32(logits_of(w, m), x[i], T * 11);
        *note = m->note;
        gpt2_close(m);
    }
    return !memcmp(x[0], x[1], sizeof x[0]);
}

static void refused(TestLog *log, World *w, const char *dir, const char *want)
{
    Gpt2 *m;
    const Status s = gpt2_load(&m, &w->ps, "", dir, GPT2_FROZEN, w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, want), "want '%s', got '%s'", want, s.msg);
}

static void shards(TestLog *log, World *w, const char *whole)
{
    const char *dir = model_directory(log, w, "shards"), *note = NULL, *msg = "";
    put_shards(w, whole, dir, NULL);
    TEST(log, same_logits(w, whole, dir, &note, &msg) && !note, "two shards: %s", msg);
    Gpt2 *m;
    const Status s = gpt2_load(&m, &w->ps, "shards", dir, GPT2_FROZEN, w->scratch);
    TEST(log, !s.code && m->n_files == 2, "%s: two files stay mapped", s.msg);
    put_shards(w, whole, dir, "transformer.h.1.ln_1.bias");
    refused(log, w, dir, "model.safetensors.index.json: want transformer.h.1.ln_1.bias in ");
    model_put(w, dir, "model.safetensors.index.json", "{\"weight_map\": {\"a\": \"../x.safetensors\"}}");
    refused(log, w, dir, "want the name of a file beside it, got \"../x.safetensors\"");
    model_put(w, dir, "model.safetensors.index.json", "{\"weight_map\": {\"a\": \"sub/x.safetensors\"}}");
    refused(log, w, dir, "want the name of a file beside it, got \"sub/x.safetensors\"");
    model_put(w, dir, "model.safetensors.index.json", "{\"weight_map\": {\"a\": \"c.safetensors\"}}");
    refused(log, w, dir, "c.safetensors: cannot open");
    model_put(w, dir, "model.safetensors.index.json", "{}");
    refused(log, w, dir, "weight_map: want");
}

static void other_files(TestLog *log, World *w, const char *whole)
{
    const char *dir = model_directory(log, w, "other"), *note = NULL, *msg = "";
    model_put(w, dir, "config.json", "{" SIZES "}");
    model_put(w, dir, "pytorch_model.bin", "PK\3\4");
    refused(log, w, dir, "want model.safetensors, got pytorch_model.bin, pickled weights of PyTorch");
    SafeFile f;
    Status s = safetensors_open(&f, w->perm, arena_printf(w->perm, "%s/model.safetensors", whole));
    CHECK(!s.code, "%s", s.msg);
    SafeTensor *list = arena_alloc(w->perm, (size_t)(f.n_tensor + 2) * sizeof *list);
    memcpy(list, f.tensor, (size_t)f.n_tensor * sizeof *list);
    list[f.n_tensor] = f.tensor[0];
    list[f.n_tensor].name = "score.weight";
    list[f.n_tensor + 1] = f.tensor[0];
    list[f.n_tensor + 1].name = "v_head.summary.weight";
    s = safetensors_write(arena_printf(w->perm, "%s/model.safetensors", dir), list, f.n_tensor + 2, NULL, 0, false,
                          w->scratch);
    CHECK(!s.code, "%s", s.msg);
    TEST(log, same_logits(w, whole, dir, &note, &msg) && note &&
                  strstr(note, "score.weight, v_head.summary.weight: no part of a language model, left aside"),
         "two heads: %s, note '%s'", msg, note ? note : "none");
}

static void weights(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const char *whole = model_directory(log, w, "whole");
    world_put_model(w, whole, "{" SIZES "}");
    shards(log, w, whole);
    other_files(log, w, whole);
    world_delete(w);
}

// ---- LoRA on parts --------------------------------------------------------------------------------------------------

typedef struct Part { int layer; const char *module; int64_t in, out, rank; double scale; } Part;

// PEFT's file of these parts with random values; the same sums go into the weights of `m` by hand.
static void put_lora(World *w, const char *dir, const char *config, const Part *part, int n, Gpt2 *m)
{
    SafeTensor t[16];
    for (int i = 0; i < n; i++) {
        const Part *p = &part[i];
        float *x[2] = {arena_alloc(w->perm, sizeof(float) * (size_t)(p->rank * p->in)),
                       arena_alloc(w->perm, sizeof(float) * (size_t)(p->rank * p->out))};
        random_f32(x[0], p->rank * p->in, (uint32_t)(2 * i));
        random_f32(x[1], p->rank * p->out, (uint32_t)(2 * i + 1));
        for (int k = 0; k < 2; k++) {
            int64_t *shape = arena_alloc(w->perm, 2 * sizeof *shape);
            shape[0] = k ? p->out : p->rank, shape[1] = k ? p->rank : p->in;
            const char *name = arena_printf(w->perm, "base_model.model.transformer.h.%d.%s.lora_%c.weight", p->layer,
                                            p->module, 'A' + k);
            t[2 * i + k] = (SafeTensor){.name = name, .type = SAFE_F32, .n_dim = 2, .shape = shape, .data = x[k]};
        }
        const Gpt2Block *b = &m->block[p->layer];
        Tensor *W = !strcmp(p->module, "attn.c_attn") ? b->c_attn.w : b->mlp_fc.w;
        double *v = arena_alloc(w->perm, (size_t)numel(W) * sizeof *v);
        tensor_get_f64(W, v, numel(W));
        for (int64_t r = 0; r < p->rank; r++)
            for (int64_t j = 0; j < p->in * p->out; j++)
                v[j] += p->scale * (double)x[0][r * p->in + j / p->out] * (double)x[1][j % p->out * p->rank + r];
        tensor_set_f64(W, v, numel(W));
    }
    const Status s = safetensors_write(arena_printf(w->perm, "%s/adapter_model.safetensors", dir), t, 2 * n, NULL, 0,
                                       false, w->scratch);
    CHECK(!s.code, "%s", s.msg);
    model_put(w, dir, "adapter_config.json", config);
}

// DIR/more: the adapter in DIR with one tensor that is no LoRA.
static void put_more(World *w, const char *dir)
{
    SafeFile f;
    SafeTensor t[17];
    const char *more = arena_printf(w->perm, "%s/more", dir);
    Status s = safetensors_open(&f, w->perm, arena_printf(w->perm, "%s/adapter_model.safetensors", dir));
    if (!s.code) s = directory_make(more);
    CHECK(!s.code, "%s", s.msg);
    memcpy(t, f.tensor, (size_t)f.n_tensor * sizeof *t);
    t[f.n_tensor] = t[0];
    t[f.n_tensor].name = "base_model.model.lm_head.weight";
    s = safetensors_write(arena_printf(w->perm, "%s/adapter_model.safetensors", more), t, f.n_tensor + 1, NULL, 0,
                          false, w->scratch);
    CHECK(!s.code, "%s", s.msg);
    model_put(w, more, "adapter_config.json", slurp(w->perm, arena_printf(w->perm, "%s/adapter_config.json", dir)));
}

static void lora_parts(TestLog *log)
{
#define PEFT "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 6, "
    static const struct { const char *config; int n; Part part[3]; } cases[] = {
        {PEFT "\"target_modules\": [\"c_attn\"], \"layers_to_transform\": [0, 2]}", 2,
         {{0, "attn.c_attn", 8, 24, 2, 3}, {2, "attn.c_attn", 8, 24, 2, 3}}},
        {PEFT "\"target_modules\": [\"c_fc\"], \"layers_to_transform\": 1, \"use_rslora\": true}", 1,
         {{1, "mlp.c_fc", 8, 32, 2, 4.242640687119285}}},
        {PEFT "\"target_modules\": [\"h.1.attn.c_attn\", \"h.0.mlp.c_fc\"], \"rank_pattern\": {\"c_fc\": 3}, "
              "\"alpha_pattern\": {\"h.1.attn.c_attn\": 1}}", 2,
         {{1, "attn.c_attn", 8, 24, 2, 0.5}, {0, "mlp.c_fc", 8, 32, 3, 2}}},
        {PEFT "\"target_modules\": \".*h.[12].attn.c_attn\", \"init_lora_weights\": \"gaussian\"}", 2,
         {{1, "attn.c_attn", 8, 24, 2, 3}, {2, "attn.c_attn", 8, 24, 2, 3}}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        World *w = world_new(device_cpu_f64(), true);
        const char *base = model_directory(log, w, "base"), *dir = model_directory(log, w, "lora");
        world_put_model(w, base, "{" SIZES "}");
        Gpt2 *m, *by_hand;
        AdapterSet *set;
        Status s = gpt2_load(&m, &w->ps, "a", base, GPT2_FROZEN, w->scratch);
        if (!s.code) s = gpt2_load(&by_hand, &w->ps, "b", base, GPT2_FROZEN, w->scratch);
        CHECK(!s.code, "%s", s.msg);
        put_lora(w, dir, cases[i].config, cases[i].part, cases[i].n, by_hand);
        put_more(w, dir);
        s = gpt2_adapters_load(&set, NULL, &w->ps, m, arena_printf(w->perm, "%s/more", dir), w->scratch);
        TEST(log, s.code == 1 && strstr(s.msg, "only, got base_model.model.lm_head.weight"), "%zu: '%s'", i, s.msg);
        s = gpt2_adapters_load(&set, NULL, &w->ps, m, dir, w->scratch);
        if (!TEST(log, !s.code, "%zu: %s", i, s.msg)) continue;
        const double *want = values_of(w, logits_of(w, by_hand));
        const double e = away(w, logits_of(w, m), want, 0);
        lora_merge(m, w->scratch);
        const double merged = away(w, logits_of(w, m), want, 0);
        TEST(log, e <= 1e-12 && merged <= 1e-12, "%zu: LoRA %g away, merged %g", i, e, merged);
        world_delete(w);
    }
}

// ---- beyond the positions -------------------------------------------------------------------------------------------

// Tokens that are drawn each from the whole window by gpt2_forward_tokens: what the cache must agree with.
static void draw_slowly(World *w, const Gpt2 *m, int32_t *x, int64_t n_prompt, int64_t n, const Gpt2Sampling *s)
{
    const int64_t P = m->c.positions;
    for (int64_t k = n_prompt, base = 0; k < n; k++) {
        if (k - base > P) base = k - (P + 1) / 2;
        tape_reset(&w->t);
        Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, k - base), x + base), NULL);
        float y[11];
        tensor_get_f32(gpt2_logits(&w->t, m, tape_slice(&w->t, h, 1, k - base - 1, 1)), y, 11);
        const uint32_t random = philox_u32(s->seed, philox_subsequence(SITE_TOKEN, 0), (uint64_t)k);
        x[k] = gpt2_sample(y, 11, s, (double)philox_unit(random), w->scratch);
    }
}

static void sliding(TestLog *log)
{
    enum { N = 60 };
    World *w = world_new(world_f32(), true);
    Gpt2Config c = tiny_config();
    for (c.positions = 5; c.positions <= 16; c.positions += 11) {
        const Gpt2 *m = gpt2_new(&w->ps, c.positions == 5 ? "a" : "b", &c, GPT2_FROZEN);
        world_randomise(w, 0.5);
        int32_t want[N] = {1, 2, 3}, got[N] = {1, 2, 3}, beam[N] = {1, 2, 3};
        int64_t n = 0, n_beam = 0;
        const Gpt2Sampling warm = {.temperature = 1, .seed = 3}, greedy = {0};
        draw_slowly(w, m, want, 3, N, &warm);
        Status s = gpt2_generate(&w->t, m, NULL, got, 3, N - 3, &warm, &n, NULL, NULL);
        TEST(log, !s.code && n == N && !memcmp(got, want, sizeof want), "%d positions: %s %lld tokens",
             (int)c.positions, s.msg, (long long)n);
        // as far as an end token: one beam is greedy
        draw_slowly(w, m, want, 3, N, &greedy);
        s = gpt2_beam_search(&w->t, m, NULL, beam, 3, N - 3, 1, 0, &n_beam, NULL);
        TEST(log, !s.code && n_beam > 3 && !memcmp(beam, want, (size_t)n_beam * sizeof *beam) &&
                      (n_beam == N || gpt2_is_end(&c, beam[n_beam - 1])), "one beam: %s", s.msg);
    }
    world_delete(w);
}

// A text ends at any of the end tokens, not only at the first of the list.
static void endings(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    Gpt2Config c = tiny_config();
    c.end_token = -1;
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.5);
    const Gpt2Sampling s = {.temperature = 1, .seed = 5, .stop_at_end = true};
    int32_t all[16] = {1, 2}, x[16] = {1, 2}, beam[16] = {1, 2};
    int64_t n = 0, end = 2;
    Status ok = gpt2_generate(&w->t, m, NULL, all, 2, 14, &s, &n, NULL, NULL);
    TEST(log, !ok.code && n == 16, "without an end: %lld tokens", (long long)n);
    m->c.more_end[m->c.n_more_ends++] = all[7];
    while (all[end] != all[7]) end++;
    ok = gpt2_generate(&w->t, m, NULL, x, 2, 14, &s, &n, NULL, NULL);
    TEST(log, !ok.code && n == end + 1 && !memcmp(x, all, (size_t)n * sizeof *x), "ends after %lld tokens, want %lld",
         (long long)n, (long long)end + 1);
    const Gpt2Sampling greedy = {.stop_at_end = false};
    ok = gpt2_generate(&w->t, m, NULL, all, 2, 14, &greedy, &n, NULL, NULL);
    m->c.more_end[0] = all[2];          // one beam ends at its first token
    ok = gpt2_beam_search(&w->t, m, NULL, beam, 2, 14, 1, 0, &n, NULL);
    TEST(log, !ok.code && n == 3 && beam[2] == all[2], "a beam ends after %lld tokens, want 3", (long long)n);
    world_delete(w);
}

void test_gpt2_family(TestLog *log)
{
    kinds(log);
    configurations(log);
    weights(log);
    lora_parts(log);
    sliding(log);
    endings(log);
}
