// GPT-2 124M against what others published for it (../shared/gpt2/gpt2-124M).  Needs OpenAI's weights, which are not
// part of this project: GPT2_124M=DIR with config.json and model.safetensors, or FILE.bin of llm.c.
#include <math.h>
#include <stdio.h>

#include "llm/bpe.h"
#include "llm/generate.h"
#include "io/json.h"
#include "tests/llm_world.h"
#include "tests/test.h"

typedef struct Big { TestLog *log; World *w; Gpt2 *m; Bpe *bpe; const char *where; } Big;

static const Json *entry(const Json *root, const char *name)
{
    for (const Json *v = root->child; v; v = v->next) {
        const Json *n = json_find(v, "name");
        if (n && n->type == JSON_STRING && !strcmp(n->string, name)) return v;
    }
    CHECK(0, "golden_outputs.json has no entry %s", name);
}

static int64_t ids_of(int32_t *id, int64_t max, const Json *list)
{
    int64_t n = 0;
    for (const Json *v = list->child; v && n < max; v = v->next) id[n++] = (int32_t)v->n;
    return n;
}

static void greedy(Big *b, const Json *root)
{
    int32_t got[64], want[64];
    int64_t n_out;
    const Json *dog = entry(root, "hf_greedy_the_dog");
    const int64_t n = ids_of(got, 64, json_find(dog, "input_ids")),
                  total = ids_of(want, 64, json_find(dog, "output_ids"));
    Status s = gpt2_generate(&b->w->t, b->m, NULL, got, n, total - n, &(Gpt2Sampling){0}, &n_out, NULL, NULL);
    TEST(b->log, !s.code && !memcmp(got, want, (size_t)total * sizeof *got), "transformers' greedy text: %s", s.msg);

    const Json *turing = entry(root, "picogpt_greedy_text");
    const Json *in = json_find(turing, "text"), *out = json_find(turing, "output_text");
    int32_t *ids, text_ids[128];
    int64_t n_ids;
    char *text;
    size_t len;
    s = bpe_encode(&ids, &n_ids, b->bpe, b->w->perm, in->string, (size_t)in->n, true);
    memcpy(text_ids, ids, (size_t)n_ids * sizeof *ids);
    if (!s.code) s = gpt2_generate(&b->w->t, b->m, NULL, text_ids, n_ids, 40, &(Gpt2Sampling){0}, &n_out, NULL, NULL);
    if (!s.code) s = bpe_decode(&text, &len, b->bpe, b->w->perm, text_ids + n_ids, n_out - n_ids);
    TEST(b->log, !s.code && len == (size_t)out->n && !memcmp(text, out->string, len),
         "picoGPT's greedy text: %s '%.200s'", s.msg, s.code ? "" : text);
}

static void hidden_values(Big *b, const Json *root, const char *name, double atol, double rtol)
{
    const Json *e = entry(root, name);
    int32_t id[64];
    const int64_t n = ids_of(id, 64, json_find(e, "input_ids"));
    tape_reset(&b->w->t);
    Tensor *h = gpt2_forward_tokens(&b->w->t, b->m, tape_from_i32(&b->w->t, SHAPE(1, n), id), NULL);
    const float *x = h->x;
    double worst = 0;
    int i = 0;
    for (const Json *v = json_find(e, "values")->child; v; v = v->next, i++)
        worst = check_fold(worst, (fabs((double)x[i] - v->number) - rtol * fabs(v->number)));
    TEST(b->log, i >= 5 && worst <= atol, "%s: want within %g, got %g", name, atol, worst);
}

static void loss_of_text(Big *b, const Json *root)
{
    const Json *e = entry(root, "transformerlens_loss");
    int32_t id[64];
    const int64_t n = ids_of(id, 64, json_find(e, "input_ids"));
    Gpt2TextLoss loss;
    const Status s = gpt2_text_score(&loss, &b->w->t, b->m, NULL, id, n, 64, 64, NULL, NULL);
    const double got = loss.nats / (double)loss.tokens, want = json_find(e, "value")->number;
    TEST(b->log, !s.code && fabs(got - want) <= 4e-5, "TransformerLens' loss: want %.7f, got %.7f %s", want, got,
         s.msg);
}

// q.k of every pair of positions, head and layer, before the division by sqrt(64): qk [12,12,T,T].
typedef struct Products { const double *qk; const float *q; double worst; } Products;

static void compare_products(void *arg, int layer, const char *what, const Tensor *x)
{
    Products *p = arg;
    if (!strcmp(what, "q")) p->q = x->x;
    if (strcmp(what, "k")) return;
    const int64_t T = x->shape.d[1];
    const float *k = x->x;
    for (int64_t i = 0; i < 12 * T * T; i++) {
        const int64_t head = i / T / T, row = i / T % T, col = i % T;
        double dot = 0;
        for (int64_t e = head * 64; e < head * 64 + 64; e++)
            dot += (double)p->q[row * 768 + e] * (double)k[col * 768 + e];
        const double want = p->qk[layer * 12 * T * T + i];
        p->worst = check_fold(p->worst, fabs(dot - want) / fmax(1, fabs(want)));
    }
}

// Logits of the last position of five prompts, and their scores.  The bound is ours: the values went through an ONNX
// export.
static void explainer(Big *b)
{
    SafeFile f;
    Status s = safetensors_open(&f, b->w->perm,
                                arena_printf(b->w->perm, "%s/gpt2/gpt2-124M/explainer_golden.safetensors",
                                             b->log->shared));
    if (!TEST(b->log, !s.code, "%s", s.msg)) return;
    double worst = 0;
    Products products = {0};
    const Gpt2Hook hook = {.probe = compare_products, .arg = &products};
    for (int k = 0; k < 5; k++) {
        const SafeTensor *ids = safetensors_find(&f, arena_printf(b->w->perm, "ex%d.input_ids", k));
        const SafeTensor *want = safetensors_find(&f, arena_printf(b->w->perm, "ex%d.last_logits", k));
        int64_t id64[16];
        int32_t id[16];
        const SafeTensor *qk = safetensors_find(&f, arena_printf(b->w->perm, "ex%d.qk", k));
        CHECK(ids && want && qk && ids->count <= 16 && !safetensors_read_i64(id64, ids).code, "explainer_golden");
        for (int64_t i = 0; i < ids->count; i++) id[i] = (int32_t)id64[i];
        double *x = arena_alloc(b->w->perm, (size_t)want->count * sizeof *x);
        safetensors_read_f64(x, want);
        double *scores = arena_alloc(b->w->perm, (size_t)qk->count * sizeof *scores);
        safetensors_read_f64(scores, qk);
        products.qk = scores;
        tape_reset(&b->w->t);
        Tensor *h = gpt2_forward_tokens(&b->w->t, b->m, tape_from_i32(&b->w->t, SHAPE(1, ids->count), id), &hook);
        Tensor *y = gpt2_logits(&b->w->t, b->m, tape_slice(&b->w->t, h, 1, ids->count - 1, 1));
        worst = check_fold(worst, max_error(y, x, want->count, b->w->scratch));
    }
    printf("gpt2_124m: transformer-explainer: worst difference of logits %.2e, of scores %.2e\n", worst,
           products.worst);
    TEST(b->log, products.worst <= 2e-3, "scores of transformer-explainer: want within 2e-3 of max(1, score), got %g",
         products.worst);
    TEST(b->log, worst <= 2e-3, "logits of transformer-explainer: want within 2e-3, got %g", worst);
    safetensors_close(&f);
}

void test_gpt2_124m(TestLog *log)
{
    const char *where = getenv("GPT2_124M");
    if (!log->shared || !where || !*where) {
        test_skip(log, "skipped: published outputs of GPT-2 124M: want GPT2_124M=DIR with OpenAI's weights%s",
                  log->shared ? "" : ", and ../shared/gpt2");
        return;
    }
    World *w = world_new(world_f32(), true);
    Big b = {.log = log, .w = w, .where = where, .bpe = arena_alloc(w->perm, sizeof *b.bpe)};
    const Json *root;
    Status s = gpt2_load(&b.m, &w->ps, "", where, GPT2_FROZEN, w->scratch);
    if (!s.code) s = bpe_load_dir(b.bpe, w->perm, w->scratch, arena_printf(w->perm, "%s/gpt2/tokenizer", log->shared));
    if (!s.code)
        s = json_read(&root, w->perm, arena_printf(w->perm, "%s/gpt2/gpt2-124M/golden_outputs.json", log->shared),
                      1 << 20);
    if (!TEST(log, !s.code && b.m->c.layers == 12 && b.m->c.width == 768, "%s", s.msg)) return;
    greedy(&b, root);
    hidden_values(&b, root, "raven_last_hidden_state", 1e-4, 0);
    hidden_values(&b, root, "kerashub_backbone", 0.01, 0.01);
    loss_of_text(&b, root);
    explainer(&b);
    gpt2_close(b.m);
    world_delete(w);
}
