// Golden numbers of GPT-2: a tiny random one of every variant forward, generating in every way, its losses while it
// trains by itself, with dropout, with LoRA and with adapters; vocabularies learnt from a text and what they make of
// others (tests/golden/llm.txt).  Like tests/test_golden.c this notices changes; other areas say what is right.
#include <omp.h>

#include "golden.h"
#include "llm/adapter.h"
#include "llm/bpe.h"
#include "llm/generate.h"
#include "llm/lora.h"
#include "llm/tokens.h"
#include "llm/train.h"
#include "llm_world.h"
#include "traffic/corpus.h"

enum { TOKENS = 400, NEW = 30 };
static const double RELATIVE = 2e-6, ABSOLUTE = 1e-9;   // by which numbers may differ

typedef struct Bench { TestLog *log; Golden g; int32_t token[TOKENS]; } Bench;

static void ok(const Bench *b, Status s) { TEST(b->log, !s.code, "%s", s.msg); }

static void put_tensor(Bench *b, const char *what, const Tensor *x, int64_t n, Arena *a)
{
    const size_t mark = arena_mark(a);
    double *v = arena_alloc(a, (size_t)numel(x) * sizeof *v), sum = 0;
    tensor_get_f64(x, v, numel(x));
    for (int64_t i = 0; i < numel(x); i++) sum += v[i] * (double)(1 + i % 5);
    golden_put(&b->g, "%s %.8g", what, sum);
    for (int64_t i = 0; i < n; i++) golden_put(&b->g, " %.7g", v[i * 7 % numel(x)]);
    golden_put(&b->g, "\n");
    arena_rewind(a, mark);
}

static void put_ids(Bench *b, const char *what, const int32_t *id, int64_t n)
{
    golden_put(&b->g, "%s", what);
    for (int64_t i = 0; i < n; i++) golden_put(&b->g, " %d", id[i]);
    golden_put(&b->g, "\n");
}

static Gpt2 *model(World *w, const Gpt2Config *c, Gpt2Flags flags)
{
    Gpt2 *m = gpt2_new(&w->ps, "", c, flags);
    world_randomise(w, 0.2);
    return m;
}

// ---- forward

static void put_variants(Bench *b)
{
    for (int i = 0; i < 10; i++) {
        Gpt2Config c = tiny_config();
        if (i < 8) c.activation = (Gpt2Activation)i;
        c.plain_scores = i == 7, c.scores_by_layer = i == 8, c.tied = i != 9, c.head_bias = i == 9;
        if (i == 9) c.eps = 1e-2;
        World *w = world_new(device_cpu_f32(ISA_SCALAR), true);
        const Gpt2 *m = model(w, &c, GPT2_FROZEN);
        w->t.record = w->t.training = false;
        Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(2, 9), b->token), NULL);
        put_tensor(b, "hidden", h, 5, w->scratch);
        put_tensor(b, "logits", gpt2_logits(&w->t, m, h), 5, w->scratch);
        world_delete(w);
    }
}

// ---- generating

static void put_generated(Bench *b, World *w, const Gpt2 *m, const Gpt2Hook *hook, Gpt2Sampling s)
{
    enum { ROWS = 2, PROMPT = 5 };
    int32_t out[ROWS * (PROMPT + NEW)];
    int64_t n[ROWS];
    for (int r = 0; r < ROWS; r++) memcpy(out + r * (PROMPT + NEW), b->token + r, PROMPT * sizeof *out);
    ok(b, gpt2_generate_rows(&w->t, m, hook, out, ROWS, PROMPT, NEW, &s, n, NULL, NULL, NULL));
    for (int r = 0; r < ROWS; r++) put_ids(b, "drawn", out + r * (PROMPT + NEW), n[r]);
}

static void put_beams(Bench *b, World *w, const Gpt2 *m, int64_t beams, double penalty, int n_new)
{
    int32_t out[4 + NEW];
    int64_t n;
    double score;
    memcpy(out, b->token, 4 * sizeof *out);
    ok(b, gpt2_beam_search(&w->t, m, NULL, out, 4, n_new, beams, penalty, &n, &score));
    golden_put(&b->g, "beams %d %g score %.9g", (int)beams, penalty, score);
    put_ids(b, "", out, n);
}

// Where no token ends a text, all beams end by their length.
static void put_endless(Bench *b)
{
    Gpt2Config c = tiny_config();
    c.end_token = -1;
    World *w = world_new(device_cpu_f32(ISA_SCALAR), true);
    const Gpt2 *m = model(w, &c, GPT2_FROZEN);
    for (int i = 0; i < 3; i++) put_beams(b, w, m, 3, (double[]){0.5, 1, 2}[i], 8);
    world_delete(w);
}

static void put_generation(Bench *b)
{
    static const Gpt2Sampling ways[] = {
        {.temperature = 0}, {.temperature = 0, .stop_at_end = true}, {.temperature = 1, .seed = 3},
        {.temperature = 0.6, .seed = 3, .stream = 5}, {.temperature = 1, .top_k = 3, .seed = 4},
        {.temperature = 1, .top_k = 1, .seed = 4}, {.temperature = 1.5, .top_p = 0.4, .seed = 5},
        {.temperature = 1, .top_k = 5, .top_p = 0.8, .seed = 6, .stop_at_end = true}};
    Gpt2Config c = tiny_config();
    World *w = world_new(device_cpu_f32(ISA_SCALAR), true);
    const Gpt2 *m = model(w, &c, GPT2_FROZEN);
    AdapterSet *set = adapter_new(&w->ps, "adapter", (int)c.layers, c.width, &(AdapterConfig){4, 0.3, true});
    const Gpt2Hook hook = adapter_hook(set);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        put_generated(b, w, m, NULL, ways[i]);
        put_generated(b, w, m, &hook, ways[i]);
    }
    for (int beams = 1; beams <= 4; beams++)
        for (int i = 0; i < 4; i++) put_beams(b, w, m, beams, (double[]){0, 1, 0.5, 2}[i], i % 2 ? NEW : 6);
    put_endless(b);
    for (int i = 0; i < 4; i++) {
        Gpt2TextLoss loss;
        ok(b, gpt2_text_score(&loss, &w->t, m, i % 2 ? &hook : NULL, b->token, 50, i < 2 ? 16 : 9, i < 2 ? 8 : 9, NULL,
                              NULL));
        golden_put(&b->g, "score %d tokens %lld nats %.9g\n", i, (long long)loss.tokens, loss.nats);
    }
    // equal logits: the lowest id; draws near the borders of the probabilities
    const float logit[6] = {1, 3, 3, 2, 3, 0};
    for (int i = 0; i < 60; i++) {
        const Gpt2Sampling s = {.temperature = i % 7 ? i % 3 ? 1 : 0.5 : 0, .top_k = i % 4 * 2, .top_p = i % 5 * 0.25};
        golden_put(&b->g, "sample %d\n", gpt2_sample(logit, 6, &s, (i + 0.5) / 60, w->scratch));
    }
    world_delete(w);
}

// ---- training

static bool put_step(void *arg, const Gpt2TrainProgress *p)
{
    Bench *b = arg;
    golden_put(&b->g, "step %lld of %lld loss %.9g gradient %.9g lr %.9g\n", (long long)p->step, (long long)p->steps,
               p->loss, p->grad_norm, p->lr);
    return true;
}

typedef enum How { PLAIN, DROPOUT, RECOMPUTE, IN_ORDER, LORA, ADAPTERS, BOTH_WAYS, HOWS } How;

static void put_training(Bench *b, How how)
{
    const bool frozen = how >= LORA;
    const Gpt2Config c = tiny_config();
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    w->ps.no_ema = how != ADAPTERS;
    Gpt2 *m = gpt2_new(&w->ps, "", &c, frozen ? GPT2_FROZEN : GPT2_TRAINABLE);
    world_randomise(w, 0.1);
    Gpt2Hook hook = {0};
    if (how == DROPOUT) m->dropout = 0.2, m->attention_dropout = 0.3;
    m->recompute = how == RECOMPUTE;
    if (how == LORA) lora_attach(&w->ps, "lora", m, &(LoraConfig){2, 6, LORA_ALL});
    if (how > LORA)
        hook = adapter_hook(adapter_new(&w->ps, "adapter", (int)c.layers, c.width,
                                        &(AdapterConfig){4, how == BOTH_WAYS ? 0.1 : 0, how == ADAPTERS}));
    golden_put(&b->g, "training %d parameters %lld of %lld\n", how, (long long)paramset_count(&w->ps, true),
               (long long)paramset_count(&w->ps, false));
    Optim o = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .decay = 2, .clip = how == PLAIN ? 0 : 0.5,
               .ema = 0.9, .warmup = 3, .total = 8, .floor = 0.1};
    const Gpt2TrainOptions opt = {.batch = 3, .context = 12, .accumulate = 2, .in_order = how == IN_ORDER, .seed = 2};
    const Tokens data = {b->token, TOKENS};
    ok(b, gpt2_train(&w->t, m, &hook, &w->ps, &o, data, &opt, put_step, b));
    golden_put(&b->g, "loss %.9g of all %.9g\n", gpt2_text_loss(&w->t, m, &hook, data, 15, 9),
               gpt2_text_loss(&w->t, m, &hook, data, 10, 0));
    for (int i = 0; i < w->ps.n; i += 5) {
        // the gradient of a key's bias is 0 but for rounding, which AdamW makes steps of
        const Tensor *x = &w->ps.p[i]->t;
        if (!strstr(x->name, "c_attn.bias")) put_tensor(b, x->name, x, 2, w->scratch);
    }
    if (how == LORA) {
        lora_merge(m, w->scratch);
        put_tensor(b, "merged", m->block[0].c_attn.w, 3, w->scratch);
        golden_put(&b->g, "loss %.7g\n", gpt2_text_loss(&w->t, m, &hook, data, 10, 0));
    }
    world_delete(w);
}

static void put_all_training(Bench *b)
{
    for (int how = 0; how < HOWS; how++) put_training(b, (How)how);
}

// ---- vocabularies

static void put_vocabulary(Bench *b)
{
    static const char *const texts[] = {
        "The traffic of node 3, they'll say, isn't \t\tthe same  as\n\n yesterday's: 42 Gbit/s!?",
        "<|endoftext|>ab<|endoftext|> <|endoftex", "\xc3\xa9\xc3\xa8 na\xc3\xafve \xe4\xb8\xad\xe6\x96\x87 \xff\xfe",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa traffic"};
    Arena *a = arena_new("vocabulary", (size_t)256 << 20, NULL),
          *scratch = arena_new("scratch", (size_t)256 << 20, NULL);
    char *text = arena_alloc(a, 12 * CORPUS_DOCUMENT_MAX);
    size_t n = 0;
    for (uint64_t i = 0; i < 6; i++) n += corpus_document(text + n, 3, i % 2 ? CORPUS_HELD_OUT : CORPUS_TRAIN, i);
    golden_put(&b->g, "text of %zu bytes, SHA-256 %s\n", n, sha256_hex_of(text, n).s);
    for (int i = 0; i < 30; i++) n += (size_t)sprintf(text + n, " aaaa%.*s ababab", i % 9, "aaaaaaaaaaaa");
    Bpe bpe;
    ok(b, bpe_train(&bpe, a, scratch, text, n, 420));
    golden_put(&b->g, "tokens %d merges %d end %d\n", bpe.n_vocab, bpe.n_merge, bpe.endoftext);
    for (int i = 0; i < bpe.n_merge; i += 3)
        golden_put(&b->g, "merge %d %d %d %d\n", i, bpe.merge[i].left, bpe.merge[i].right, bpe.merge[i].result);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int special = 0; special < 2; special++) {
            int32_t *id;
            int64_t m;
            ok(b, bpe_encode(&id, &m, &bpe, a, texts[i], strlen(texts[i]), special));
            put_ids(b, "encoded", id, m);
        }
    arena_delete(a);
    arena_delete(scratch);
}

// Token ids in a file of llm.c, of one byte and of two.
static void put_token_file(Bench *b)
{
    enum { IDS = 20 };
    static const uint32_t head[256] = {20240520, 1, IDS};
    uint16_t id[IDS];
    Arena *a = arena_new("tokens", (size_t)64 << 20, NULL), *scratch = arena_new("scratch", (size_t)64 << 20, NULL);
    const char *path = arena_printf(a, "%s/ids.bin", b->log->tmp);
    for (int i = 0; i < IDS; i++) id[i] = (uint16_t)(i * 253);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(head, sizeof head, 1, f) == 1 && fwrite(id, sizeof id, 1, f) == 1 && !fclose(f), "no file");
    Tokens t;
    ok(b, tokens_read(&t, a, scratch, path, NULL, 5000));
    put_ids(b, "file", t.id, t.n);
    TEST(b->log, tokens_read(&t, a, scratch, path, NULL, 4000).code, "an id beyond the vocabulary is accepted");
    arena_delete(a);
    arena_delete(scratch);
}

void test_golden_llm(TestLog *log)
{
    static void (*const part[])(Bench *) = {put_variants, put_generation, put_vocabulary, put_token_file,
                                            put_all_training};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    Bench b = {.log = log};
    for (int i = 0; i < TOKENS; i++) b.token[i] = (i * i / 3 + i % 7) % 11;
    golden_begin(&b.g);
    bool vain = false;
    for (size_t i = 0; i < sizeof part / sizeof *part && !vain; i++) {
        part[i](&b);
        vain = golden_in_vain(&b.g, "llm", RELATIVE, ABSOLUTE);
    }
    golden_end(log, &b.g, "llm", RELATIVE, ABSOLUTE);
    omp_set_num_threads(threads);
}
