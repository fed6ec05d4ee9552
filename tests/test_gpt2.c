// GPT-2: published goldens, gradients through the blocks, files good and bad, generation.
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "llm/generate.h"
#include "llm/gpt2_weights.h"
#include "io/file.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "tests/llm_world.h"
#include "tests/test.h"

// ---- goldens --------------------------------------------------------------------------------------------------------

// Everything a forward pass shows: hidden[0] = embeddings, hidden[l + 1] = after block l, hidden[layers] last = ln_f.
typedef struct Seen {
    Tensor *hidden[64];
    struct { const char *what; const Tensor *x; } part[16];    // of the last layer
    int n_part, last_layer;
} Seen;

static Tensor *see_block(void *arg, Tape *t, int layer, Tensor *h)
{
    (void)t;
    ((Seen *)arg)->hidden[layer + 1] = h;
    return h;
}

static void see_part(void *arg, int layer, const char *what, const Tensor *x)
{
    Seen *s = arg;
    if (layer != -1 && layer != s->last_layer) return;
    s->part[s->n_part].what = what;
    s->part[s->n_part++].x = x;
}

static const Tensor *part(const Seen *s, const char *what)
{
    for (int i = 0; i < s->n_part; i++)
        if (!strcmp(s->part[i].what, what)) return s->part[i].x;
    return NULL;
}

static const double *golden(const SafeFile *f, Arena *a, int64_t *n, int64_t *rows, const char *name)
{
    const SafeTensor *t = safetensors_find(f, name);
    CHECK(t, "golden %s is missing", name);
    double *x = arena_alloc(a, (size_t)t->count * sizeof *x);
    safetensors_read_f64(x, t);
    *n = t->count;
    *rows = t->shape[0];
    return x;
}

static void tiny_goldens(TestLog *log, Device dev, double bound)
{
    World *w = world_new(dev, true);
    Gpt2 *m;
    Status s = gpt2_load(&m, &w->ps, "llm", arena_printf(w->perm, "%s/gpt2/tiny-random-gpt2", log->shared), GPT2_FROZEN,
                         w->scratch);
    SafeFile f;
    if (TEST(log, !s.code, "%s", s.msg))
        s = safetensors_open(&f, w->perm,
                             arena_printf(w->perm, "%s/gpt2/tiny-random-gpt2/golden_f64.safetensors", log->shared));
    if (s.code || !TEST(log, m->n_weights == 64, "want 64 tensors, got %d", m->n_weights)) {
        world_delete(w);
        return;
    }
    double worst_logits = 0, worst_hidden = 0;
    for (int c = 0; c < 3; c++) {
        int64_t n, T;
        const double *ids = golden(&f, w->perm, &n, &T, arena_printf(w->perm, "case%d.input_ids", c));
        int32_t id[64];
        for (int i = 0; i < n; i++) id[i] = (int32_t)ids[i];
        Seen seen = {.last_layer = 4};
        const Gpt2Hook hook = {.after_block = see_block, .probe = see_part, .arg = &seen};
        tape_reset(&w->t);
        Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, n), id), &hook);
        Tensor *y = gpt2_logits(&w->t, m, h);
        seen.hidden[0] = (Tensor *)part(&seen, "embedding");
        seen.hidden[5] = h;    // the golden's last hidden state is ln_f's output
        for (int l = 0; l <= 5; l++) {
            const double *want = golden(&f, w->perm, &n, &T, arena_printf(w->perm, "case%d.hidden_states.%d", c, l));
            worst_hidden = check_fold(worst_hidden, max_error(seen.hidden[l], want, n, w->scratch));
        }
        const double *want = golden(&f, w->perm, &n, &T, arena_printf(w->perm, "case%d.logits", c));
        worst_logits = check_fold(worst_logits, max_error(y, want, n, w->scratch));
    }
    TEST(log, worst_logits <= bound, "%s: logits: want within %g of the f64 golden, got %g", w->dev.name, bound,
         worst_logits);
    TEST(log, worst_hidden <= bound, "%s: hidden states: want within %g of the f64 golden, got %g", w->dev.name, bound,
         worst_hidden);
    printf("gpt2: tiny-random-gpt2 on %s: logits err %.2e, hidden err %.2e, bound %.0e\n", w->dev.name, worst_logits,
           worst_hidden, bound);
    safetensors_close(&f);
    world_delete(w);
}

static int json_ids(int32_t *id, const Json *row)
{
    int n = 0;
    for (const Json *v = row->child; v; v = v->next) id[n++] = (int32_t)v->n;
    return n;
}

// The sequences that onnxruntime-genai publishes for this model: two greedy ones, three of 4 beams.
static void published(TestLog *log, bool beams)
{
    World *w = world_new(world_f32(), true);
    Gpt2 *m;
    const Json *root;
    const char *dir = arena_printf(w->perm, "%s/gpt2/tiny-random-gpt2", log->shared);
    Status s = gpt2_load(&m, &w->ps, "", dir, GPT2_FROZEN, w->scratch);
    if (!s.code) s = json_read(&root, w->perm, arena_printf(w->perm, "%s/golden.json", dir), 1 << 20);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    const Json *pub = json_find(root, beams ? "published_beam" : "published");
    const Json *in = json_find(pub, "input_ids")->child;
    const Json *out = json_find(pub, beams ? "output_ids" : "greedy_output_ids")->child;
    int rows = 0;
    for (; in && out; in = in->next, out = out->next, rows++) {
        int32_t got[64], want[64];
        const int n = json_ids(got, in), total = json_ids(want, out);
        int64_t n_out;
        s = beams ? gpt2_beam_search(&w->t, m, NULL, got, n, total - n, 4, 1.0, &n_out, NULL)
                  : gpt2_generate(&w->t, m, NULL, got, n, total - n, &(Gpt2Sampling){0}, &n_out, NULL, NULL);
        TEST(log, !s.code && n_out == total && !memcmp(got, want, (size_t)total * sizeof *got), "%s row %d: %s",
             beams ? "beam" : "greedy", rows, s.code ? s.msg : "other tokens than published");
    }
    TEST(log, rows == (beams ? 3 : 2), "want %d published rows, got %d", beams ? 3 : 2, rows);
    world_delete(w);
}

// ---- gpt2-basic-463k: a trained model with an untied head and bias; vectors in Q20.12 -------------------------------

static const struct { const char *row, *part; double bound; } basic_parts[] = {
    // bounds: META.txt
    {"embedding", "embedding", 0.0002},
    {"ln1", "ln_1", 0.0065},
    {"q", "q", 0.0101},
    {"k", "k", 0.0119},
    {"v", "v", 0.0102},
    {"attn", "attn", 0.0227},
    {"proj", "c_proj", 0.0203},
    {"ln2", "ln_2", 0.0120},
    {"ff1", "fc", 0.0200},
    {"ff2", "mlp_proj", 0.0139},
    {"hidden", "hidden", 0.0163},
    {"final_ln", "ln_f", 0.0175},
    {"logits", "logits", 0.0502},
};
enum { N_BASIC = sizeof basic_parts / sizeof *basic_parts };

typedef struct Basic { World *w; Gpt2 *m; double last[N_BASIC][4096], worst[N_BASIC]; int vectors, rows, top1; } Basic;

static void last_row(double *out, const Tensor *x, Arena *a)
{
    const int64_t D = shape_last(x->shape), n = numel(x);
    double *v = arena_alloc(a, (size_t)n * sizeof *v);
    tensor_get_f64(x, v, n);
    memcpy(out, v + n - D, (size_t)D * sizeof *v);
}

static void basic_run(Basic *b, const int32_t *id, int64_t n)
{
    Seen seen = {.last_layer = 1};
    const Gpt2Hook hook = {.after_block = see_block, .probe = see_part, .arg = &seen};
    tape_reset(&b->w->t);
    Tensor *h = gpt2_forward_tokens(&b->w->t, b->m, tape_from_i32(&b->w->t, SHAPE(1, n), id), &hook);
    seen.part[seen.n_part].what = "hidden";
    seen.part[seen.n_part++].x = seen.hidden[2];
    seen.part[seen.n_part].what = "logits";
    seen.part[seen.n_part++].x = gpt2_logits(&b->w->t, b->m, h);
    for (int i = 0; i < N_BASIC; i++) last_row(b->last[i], part(&seen, basic_parts[i].part), b->w->scratch);
}

// V|name|context_len|tokens|top_count|token:logit,...        P|name|phase|dim|count|index:value,...
static void basic_line(Basic *b, char *line)
{
    char *field[6], *save = NULL;
    int n = 0;
    for (char *p = strtok_r(line, "|\r\n", &save); p && n < 6; p = strtok_r(NULL, "|\r\n", &save)) field[n++] = p;
    if (n != 6) return;
    if (!strcmp(field[0], "V")) {
        int32_t id[64];
        int64_t count = 0;
        for (char *p = strtok_r(field[3], ",", &save); p; p = strtok_r(NULL, ",", &save)) id[count++] = atoi(p);
        basic_run(b, id, count);
        int best = 0;
        for (int i = 1; i < 4096; i++)
            if (b->last[N_BASIC - 1][i] > b->last[N_BASIC - 1][best]) best = i;
        b->top1 += best == atoi(field[5]);
        b->vectors++;
        return;
    }
    for (int i = 0; i < N_BASIC; i++) {
        if (strcmp(field[2], basic_parts[i].row)) continue;
        for (char *p = strtok_r(field[5], ",", &save); p; p = strtok_r(NULL, ",", &save)) {
            const double want = atoi(strchr(p, ':') + 1) / 4096.0;
            b->worst[i] = check_fold(b->worst[i], fabs(b->last[i][atoi(p)] - want));
        }
        b->rows++;
    }
}

static void basic_vectors(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    Basic *b = arena_zalloc(w->perm, sizeof *b);
    b->w = w;
    const char *dir = arena_printf(w->perm, "%s/gpt2/gpt2-basic-463k", log->shared);
    char *text, *save = NULL;
    size_t size;
    Status s = gpt2_load(&b->m, &w->ps, "", dir, GPT2_FROZEN, w->scratch);
    if (!s.code) s = file_read(&text, &size, w->perm, arena_printf(w->perm, "%s/GPT2VEC.TXT", dir), 1 << 20);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    TEST(log, b->m->head_w && b->m->head_b && !b->m->c.tied, "want an untied head with bias");
    TEST(log, paramset_count(&w->ps, false) == 463168, "want 463168 parameters, got %lld",
         (long long)paramset_count(&w->ps, false));
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) basic_line(b, line);
    TEST(log, b->vectors == 3 && b->rows == 3 * N_BASIC, "want 3 vectors of %d rows, got %d and %d", N_BASIC,
         b->vectors, b->rows);
    TEST(log, b->top1 == 3, "top-1 token: want 3 of 3 equal, got %d", b->top1);
    printf("gpt2: gpt2-basic-463k err/bound:");
    for (int i = 0; i < N_BASIC; i++) {
        // META.txt states the measured errors of an f64 pass to 4 digits: half a digit of rounding, and f32 on top
        TEST(log, b->worst[i] <= basic_parts[i].bound + 6e-5, "%s: want within %g, got %g", basic_parts[i].row,
             basic_parts[i].bound, b->worst[i]);
        printf(" %s %.4f/%.4f", basic_parts[i].row, b->worst[i], basic_parts[i].bound);
    }
    printf("\n");
    world_delete(w);
}

// ---- properties of the forward pass ---------------------------------------------------------------------------------

typedef struct LossCtx { Gpt2 *m; Tensor *x; const float *cotangent; } LossCtx;

static Tensor *cotangent_loss(Tape *t, void *ctx)
{
    const LossCtx *c = ctx;
    Tensor *y = gpt2_logits(t, c->m, gpt2_forward_embeds(t, c->m, c->x, NULL));
    return tape_sum(t, tape_mul(t, y, tape_from_f32(t, y->shape, c->cotangent)));
}

// Every parameter and the input embeddings, tied and untied, against central differences.
static void gradients(TestLog *log, bool tied)
{
    World *w = world_new(device_cpu_f64(), false);
    Gpt2Config c = tiny_config();
    c.tied = tied;
    c.head_bias = !tied;
    float values[2 * 5 * 8], cotangent[2 * 5 * 11];
    random_f32(values, 80, 1);
    random_f32(cotangent, 110, 2);
    LossCtx ctx = {.m = gpt2_new(&w->ps, "llm", &c, GPT2_TRAINABLE), .cotangent = cotangent};
    ctx.x = param_add(&w->ps, "", "x", SHAPE(2, 5, 8), (Init){INIT_ZERO, 0}, PARAM_PLAIN);
    tensor_set_f32(ctx.x, values, 80);
    world_randomise(w, 0.2);
    Tensor *x[128];
    for (int i = 0; i < w->ps.n; i++) x[i] = &w->ps.p[i]->t;
    const ModuleReport r = check_module_gradient(&w->dev, cotangent_loss, &ctx, x, w->ps.n);
    TEST(log, r.wrong == 0, "%s head: %ld of %ld gradients wrong, worst %g in %s[%lld]: analytic %g, numeric %g",
         tied ? "tied" : "own", r.wrong, r.elements, r.worst, r.worst_name, (long long)r.worst_at, r.analytic,
         r.numeric);
    TEST(log, r.elements == paramset_count(&w->ps, false), "%ld gradients compared", r.elements);
    printf("gpt2: gradient of %ld values (%s head): worst %.1e, bound %.0e\n", r.elements, tied ? "tied" : "own",
           r.worst, GRADIENT_TOL);
    world_delete(w);
}

// Frozen weights: no gradient buffer, and dx through them equals dx through trainable ones, bit for bit.
static void frozen_gradient(TestLog *log)
{
    const Gpt2Config c = tiny_config();
    float values[80], cotangent[110];
    double dx[2][80];
    random_f32(values, 80, 1);
    random_f32(cotangent, 110, 2);
    for (int frozen = 0; frozen < 2; frozen++) {
        World *w = world_new(device_cpu_f64(), false);
        LossCtx ctx = {.m = gpt2_new(&w->ps, "llm", &c, frozen ? GPT2_FROZEN : GPT2_TRAINABLE), .cotangent = cotangent};
        world_randomise(w, 0.2);
        ctx.x = tape_from_f32(&w->t, SHAPE(2, 5, 8), values);
        ctx.x->needs_grad = true;
        tape_backward(&w->t, cotangent_loss(&w->t, &ctx));
        tensor_get_grad_f64(ctx.x, dx[frozen], 80);
        int with_gradient = 0;
        for (int i = 0; i < w->ps.n; i++) with_gradient += w->ps.p[i]->t.g != NULL;
        TEST(log, with_gradient == (frozen ? 0 : w->ps.n), "%s: %d parameters have a gradient buffer",
             frozen ? "frozen" : "trainable", with_gradient);
        world_delete(w);
    }
    TEST(log, fabs(dx[0][3]) > 0 && !memcmp(dx[0], dx[1], sizeof dx[0]), "dx through frozen blocks is another: %g, %g",
         dx[0][3], dx[1][3]);
}

// A row's logits depend neither on the other rows of the batch nor on later tokens.
static void independence(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    const int32_t a[] = {1, 2, 3, 4, 5, 6, 7}, both[] = {9, 8, 7, 6, 5, 4, 3, 1, 2, 3, 4, 5, 6, 7},
                  changed[] = {1, 2, 3, 4, 5, 0, 10};
    float one[77], two[154], other[77];
    tensor_get_f32(gpt2_logits(&w->t, m, gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, 7), a), NULL)),
                   one, 77);
    tensor_get_f32(gpt2_logits(&w->t, m, gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(2, 7), both), NULL)),
                   two, 154);
    tensor_get_f32(
        gpt2_logits(&w->t, m, gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, 7), changed), NULL)), other,
        77);
    TEST(log, !memcmp(one, two + 77, sizeof one), "a row's logits depend on its batch");
    TEST(log, !memcmp(one, other, 55 * sizeof *one), "logits of tokens 0..4 depend on tokens 5 and 6");
    TEST(log, memcmp(one + 55, other + 55, 22 * sizeof *one), "logits do not depend on the tokens");
    world_delete(w);
}

// ---- files ----------------------------------------------------------------------------------------------------------

static const char *temp_dir(TestLog *log, Arena *a, const char *name)
{
    const char *dir = arena_printf(a, "%s/%s", log->tmp, name);
    mkdir(dir, 0777);
    return dir;
}

static void round_trip(TestLog *log)
{
    World *w = world_new(world_f32(), true), *v = world_new(world_f32(), true);
    Gpt2Config c = tiny_config();
    c.tied = false;
    c.head_bias = true;
    Gpt2 *m = gpt2_new(&w->ps, "a", &c, GPT2_FROZEN), *n;
    world_randomise(w, 0.5);
    const char *dir = temp_dir(log, w->perm, "round");
    Status s = gpt2_save(m, dir, w->scratch);
    TEST(log, !s.code, "%s", s.msg);
    s = gpt2_load(&n, &v->ps, "b.c", dir, GPT2_TRAINABLE, v->scratch);
    if (TEST(log, !s.code, "%s", s.msg)) {
        int same = 0;
        for (int i = 0; i < w->ps.n; i++)
            same += !memcmp(w->ps.p[i]->t.x, v->ps.p[i]->t.x, tensor_bytes(&w->ps.p[i]->t));
        TEST(log, same == w->ps.n && v->ps.n == w->ps.n, "%d of %d tensors equal after save and load", same, w->ps.n);
        TEST(log, !memcmp(&n->c, &m->c, sizeof n->c), "the config is another after save and load");
        TEST(log, param_find(&v->ps, "b.c.h.1.attn.c_attn.weight"), "the prefix is not where it belongs");
    }
    s = gpt2_save(m, "/dev/null/x", w->scratch);
    TEST(log, s.code == 1, "saving below /dev/null passed");
    world_delete(w);
    world_delete(v);
}

// config.json with one change; the message must name the key and what was found.
static void bad_configs(TestLog *log)
{
    static const struct { const char *json, *message; } bad[] = {
        {"", "config.json"},
        {"[1]", "want an object, got an array of 1"},
        {"{\"n_embd\": 8}", "vocab_size: want an integer"},
        {"{\"vocab_size\": 11, \"n_positions\": 4, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 3}",
         "n_head: want a divisor of n_embd = 8, got 3"},
        {"{\"vocab_size\": 11, \"n_positions\": 4, \"n_embd\": 8, \"n_layer\": 0, \"n_head\": 2}",
         "n_layer: want an integer in 1..4096, got 0"},
        {"{\"vocab_size\": 11, \"n_positions\": 4, \"n_embd\": 8.5, \"n_layer\": 1, \"n_head\": 2}",
         "n_embd: want an integer in 1.."},
        {"{\"vocab_size\": 1e300, \"n_positions\": 4, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 2}",
         "vocab_size: want an integer in 1.."},
        {"{\"activation_function\": \"mish\"}", "activation_function: want gelu_new, gelu, "},
        {"{\"scale_attn_by_inverse_layer_idx\": 1}", "scale_attn_by_inverse_layer_idx: want true or false, got 1"},
        {"{\"pruned_heads\": {\"0\": [1]}}", "pruned_heads: want none, got an object of 1"},
        {"{\"quantization_config\": {\"bits\": 4}}", "quantization_config: want none"},
        {"{\"add_cross_attention\": true}", "add_cross_attention: want false, got true"},
        {"{\"vocab_size\": 11, \"n_positions\": 4, \"n_embd\": 8, \"hidden_size\": 9}",
         "hidden_size: want 8, the value of its other name n_embd, got 9"},
        {"{\"vocab_size\": 11, \"n_positions\": 4, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 2, "
         "\"eos_token_id\": [1, -2]}",
         "eos_token_id: want token ids in 0..2147483647, got -2"},
        {"{\"is_encoder_decoder\": true}", "is_encoder_decoder: want false, got true"},
        {"{\"model_type\": \"llama\"}", "model_type: want \"gpt2\", got \"llama\""},
        {"{\"vocab_size\": 11, \"n_positions\": 4, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 2, "
         "\"layer_norm_epsilon\": -1}",
         "layer_norm_epsilon: want 0 < eps < 1, got -1"},
    };
    World *w = world_new(world_f32(), true);
    const char *dir = temp_dir(log, w->perm, "config"), *path = arena_printf(w->perm, "%s/config.json", dir);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Gpt2Config c;
        file_write(path, bad[i].json, strlen(bad[i].json));
        const Status s = gpt2_config_read(&c, dir, w->scratch);
        TEST(log, s.code == 1 && strstr(s.msg, bad[i].message), "%s: want '%s', got '%s'", bad[i].json, bad[i].message,
             s.msg);
    }
    Gpt2Config c;
    const Status s = gpt2_config_read(&c, arena_printf(w->perm, "%s/none", dir), w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "none/config.json"), "a missing directory: '%s'", s.msg);
    world_delete(w);
}

// The four published shapes, as Hugging Face writes them, and their numbers of parameters.
static void published_shapes(TestLog *log)
{
    static const struct { int layers, width, heads; int64_t values; } sizes[] = {
        {12, 768, 12, 124439808}, {24, 1024, 16, 354823168}, {36, 1280, 20, 774030080}, {48, 1600, 25, 1557611200}};
    World *w = world_new(world_f32(), true);
    for (int i = 0; i < 4; i++) {
        Gpt2Config c;
        const char *json = arena_printf(
            w->perm,
            "{\"activation_function\":\"gelu_new\",\"architectures\":[\"GPT2LMHeadModel\"],"
            "\"attn_pdrop\":0.1,\"bos_token_id\":50256,\"embd_pdrop\":0.1,\"eos_token_id\":50256,"
            "\"initializer_range\":0.02,\"layer_norm_epsilon\":1e-05,\"model_type\":\"gpt2\",\"n_ctx\":1024,"
            "\"n_embd\":%d,\"n_head\":%d,\"n_layer\":%d,\"n_positions\":1024,\"n_special\":0,"
            "\"predict_special_tokens\":true,\"resid_pdrop\":0.1,\"summary_type\":\"cls_index\","
            "\"task_specific_params\":{\"text-generation\":{\"do_sample\":true}},\"vocab_size\":50257}",
            sizes[i].width, sizes[i].heads, sizes[i].layers);
        const Status s = gpt2_config_parse(&c, json, strlen(json), "published", w->scratch);
        const Gpt2 *m = s.code ? NULL : gpt2_weights_list(&c, w->perm);
        int64_t values = 0;
        for (int k = 0; m && k < m->n_weights; k++) values += shape_numel(m->weight[k].shape);
        TEST(log, values == sizes[i].values && c.positions == 1024 && c.end_token == 50256,
             "%d layers: want %lld values, got %lld %s", sizes[i].layers, (long long)sizes[i].values, (long long)values,
             s.msg);
    }
    world_delete(w);
}

// Writes the tiny model's tensors with one change to DIR/model.safetensors and loads it.
typedef struct Change {
    const char *drop, *reshape, *rename_from, *rename_to;    // names; NULL = none
    const char *add;                                         // one more tensor of these values
    int64_t add_shape[2];
    SafeType add_type;
    bool bare;                                               // names without "transformer."
    const char *message;                                     // NULL: loads
} Change;

static const char *file_name(Arena *a, const Change *ch, const char *name)
{
    if (ch->rename_from && !strcmp(name, ch->rename_from)) name = ch->rename_to;
    return ch->bare ? name : arena_printf(a, "transformer.%s", name);
}

static void changed_file(TestLog *log, const Change *ch, const char *dir)
{
    World *w = world_new(world_f32(), true), *v = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN), *n;
    world_randomise(w, 0.1);
    SafeTensor list[64];
    int count = 0;
    static const int64_t other_shape[] = {8, 7};
    for (int i = 0; i < m->n_weights; i++) {
        const Gpt2Weight *x = &m->weight[i];
        if (ch->drop && !strcmp(x->name, ch->drop)) continue;
        const bool other = ch->reshape && !strcmp(x->name, ch->reshape);
        list[count++] = (SafeTensor){.name = file_name(w->perm, ch, x->name),
                                     .type = SAFE_F32,
                                     .n_dim = other ? 2 : x->shape.n,
                                     .shape = other ? other_shape : x->shape.d,
                                     .data = (*x->slot)->x};
    }
    if (ch->add)    // wte's first values, or the causal mask that old files carry
        list[count++] =
            (SafeTensor){.name = ch->add, .type = ch->add_type, .n_dim = 2, .shape = ch->add_shape, .data = m->wte->x};
    Status s = gpt2_save(m, dir, w->scratch);
    if (!s.code)
        s = safetensors_write(arena_printf(w->perm, "%s/model.safetensors", dir), list, count, NULL, 0, false,
                              w->scratch);
    TEST(log, !s.code, "%s", s.msg);
    s = gpt2_load(&n, &v->ps, "", dir, GPT2_FROZEN, v->scratch);
    if (!ch->message)
        TEST(log, !s.code && !memcmp(n->wte->x, m->wte->x, tensor_bytes(m->wte)), "want a file that loads, got '%s'",
             s.msg);
    else {
        TEST(log, s.code == 1 && strstr(s.msg, ch->message), "want '%s', got '%s'", ch->message, s.msg);
        TEST(log, v->ps.n == 0, "%s: parameters were registered from a bad file", ch->message);
    }
    world_delete(w);
    world_delete(v);
}

static void changed_files(TestLog *log)
{
    static const Change changes[] = {
        {.bare = true},
        {.add = "transformer.h.1.attn.bias", .add_shape = {8, 8}, .add_type = SAFE_U8},
        {.add = "transformer.h.0.attn.masked_bias", .add_shape = {1, 1}, .add_type = SAFE_F32},
        {.add = "lm_head.weight", .add_shape = {11, 8}, .add_type = SAFE_F32},
        {.add = "lm_head.weight",
         .add_shape = {8, 11},
         .add_type = SAFE_F32,
         .message = "lm_head.weight: want [11,8], got [8,11] in "},
        {.drop = "h.1.ln_2.bias", .message = "h.1.ln_2.bias: want [8], got no such tensor in "},
        {.drop = "wte.weight", .bare = true, .message = "wte.weight: want [11,8], got no such tensor in "},
        {.reshape = "h.1.mlp.c_fc.weight", .message = "h.1.mlp.c_fc.weight: want [8,32], got [8,7] in "},
        {.rename_from = "ln_f.bias",
         .rename_to = "ln_g.bias",
         .message = "ln_f.bias: want [8], got no such tensor in "},
        {.add = "h.2.attn.c_attn.weight",
         .add_shape = {8, 8},
         .add_type = SAFE_F32,
         .message = "h.2.attn.c_attn.weight: want a tensor of GPT-2 with 2 layers"},
        {.add = "wte.weight",
         .add_shape = {11, 8},
         .add_type = SAFE_F32,
         .message = "wte.weight: want it once, got it with and without \"transformer.\" in "},
        {.drop = "wpe.weight",
         .add = "wpe.weight",
         .add_shape = {16, 8},
         .add_type = SAFE_I16,
         .message = "wpe.weight: want F32, F16, BF16 or F64, got I16 in "},
    };
    Arena *a = arena_new("names", 1 << 26, NULL);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        changed_file(log, &changes[i], temp_dir(log, a, "changed"));
    arena_delete(a);
}

// The real 124M configuration over the partial file: its 101 tensors are not enough, and nothing big is allocated.
static void partial_124m(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const char *dir = temp_dir(log, w->perm, "partial"),
               *json = "{\"vocab_size\":50257,\"n_positions\":1024,\"n_embd\":768,\"n_layer\":12,\"n_head\":12,"
                       "\"activation_function\":\"gelu_new\"}";
    char target[PATH_MAX];
    Status s = file_write(arena_printf(w->perm, "%s/config.json", dir), json, strlen(json));
    TEST(log,
         !s.code && realpath(arena_printf(w->perm, "%s/gpt2/gpt2-124M/partial.safetensors", log->shared), target) &&
             !symlink(target, arena_printf(w->perm, "%s/model.safetensors", dir)),
         "%s", s.msg);
    Gpt2 *m;
    s = gpt2_load(&m, &w->ps, "", dir, GPT2_FROZEN, w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "wte.weight: want [50257,768], got no such tensor in "), "got '%s'", s.msg);
    world_delete(w);
}

// ---- generation -----------------------------------------------------------------------------------------------------

static void sampling(TestLog *log)
{
    Arena *a = arena_new("sampling", 1 << 26, NULL);
    const float logits[] = {0, logf(3), logf(6), -50};    // probabilities 0.1, 0.3, 0.6, ~0
    int count[4] = {0}, top2[4] = {0}, hot[4] = {0};
    const Gpt2Sampling plain = {.temperature = 1}, k2 = {.temperature = 1, .top_k = 2}, cold = {.temperature = 0.05};
    for (int i = 0; i < 10000; i++) {
        const double u = (i + 0.5) / 10000;
        count[gpt2_sample(logits, 4, &plain, u, a)]++;
        top2[gpt2_sample(logits, 4, &k2, u, a)]++;
        hot[gpt2_sample(logits, 4, &cold, u, a)]++;
    }
    TEST(log, abs(count[0] - 1000) < 5 && abs(count[1] - 3000) < 5 && abs(count[2] - 6000) < 5, "sampled %d %d %d",
         count[0], count[1], count[2]);
    TEST(log, abs(top2[1] - 3333) < 5 && abs(top2[2] - 6667) < 5 && !top2[0], "top-2 sampled %d %d %d", top2[0],
         top2[1], top2[2]);
    TEST(log, hot[2] == 10000, "temperature 0.05 took the best token %d of 10000 times", hot[2]);
    const float ties[] = {1, 2, 2};
    TEST(log, gpt2_sample(ties, 3, &(Gpt2Sampling){0}, 0.99, a) == 1, "greedy takes the lowest id among equals");
    arena_delete(a);
}

static bool stop_after_two(void *arg, int64_t row, int32_t token)
{
    (void)row;
    (void)token;
    return ++*(int *)arg < 2;
}

static void generation(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    const Gpt2Sampling warm = {.temperature = 1, .seed = 3}, other = {.temperature = 1, .seed = 4},
                       k1 = {.temperature = 1, .top_k = 1};
    int32_t x[5][16] = {{1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}};
    int64_t n[5];
    gpt2_generate(&w->t, m, NULL, x[0], 2, 14, &warm, &n[0], NULL, NULL);
    gpt2_generate(&w->t, m, NULL, x[1], 2, 14, &warm, &n[1], NULL, NULL);
    gpt2_generate(&w->t, m, NULL, x[2], 2, 14, &other, &n[2], NULL, NULL);
    gpt2_generate(&w->t, m, NULL, x[3], 2, 14, &k1, &n[3], NULL, NULL);
    gpt2_generate(&w->t, m, NULL, x[4], 2, 14, &(Gpt2Sampling){0}, &n[4], NULL, NULL);
    TEST(log, n[0] == 16 && !memcmp(x[0], x[1], sizeof x[0]), "one seed gives two texts");
    TEST(log, memcmp(x[0], x[2], sizeof x[0]), "two seeds give one text");
    TEST(log, !memcmp(x[3], x[4], sizeof x[0]), "top-1 is not greedy");
    int calls = 0;
    Status s = gpt2_generate(&w->t, m, NULL, x[0], 2, 14, &warm, &n[0], stop_after_two, &calls);
    TEST(log, !s.code && n[0] == 4 && calls == 2, "stopped after %d tokens", calls);
    s = gpt2_generate(&w->t, m, NULL, x[0], 0, 4, &warm, &n[0], NULL, NULL);
    TEST(log, s.code == 1 && strstr(s.msg, "prompt: want at least 1 token"), "'%s'", s.msg);
    x[0][1] = 11;
    s = gpt2_generate(&w->t, m, NULL, x[0], 2, 1, &warm, &n[0], NULL, NULL);
    TEST(log, s.code == 1 && strstr(s.msg, "prompt: token 1: want an id in 0..10, got 11"), "'%s'", s.msg);
    tensor_fill(m->ln_f_b, NAN);
    x[0][1] = 1;
    s = gpt2_generate(&w->t, m, NULL, x[0], 2, 1, &warm, &n[0], NULL, NULL);
    TEST(log, s.code == 1 && strstr(s.msg, "want finite values"), "'%s'", s.msg);
    world_delete(w);
}

void test_gpt2(TestLog *log)
{
    if (log->shared) {
        tiny_goldens(log, world_f32(), 1e-4);
        tiny_goldens(log, device_cpu_f64(), 1e-12);
        published(log, false);
        published(log, true);
        basic_vectors(log);
        partial_124m(log);
    } else test_skip(log, "skipped: no ../shared/gpt2 (goldens)");
    gradients(log, true);
    gradients(log, false);
    frozen_gradient(log);
    independence(log);
    round_trip(log);
    bad_configs(log);
    published_shapes(log);
    changed_files(log);
    sampling(log);
    generation(log);
}
