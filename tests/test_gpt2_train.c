// Training GPT-2: recomputation, accumulation, resuming, the loss of ten steps against PyTorch, token files, `lead gpt2
// train` and `lead gpt2 bpe-train`.
#include <signal.h>
#include <sys/stat.h>

#include "traffic/corpus.h"
#include "llm/train_run.h"
#include "io/json.h"
#include "io/sha256.h"
#include "io/file.h"
#include "tests/llm_world.h"
#include "tests/run_lead.h"

// ---- recomputation --------------------------------------------------------------------------------------------------

typedef struct Gradients { int64_t n; double loss; unsigned char *bits; size_t peak; } Gradients;

// All gradients of one step of a model with dropout, adapters and LoRA.
static Gradients gradients_of(World *w, bool recompute, double dropout, double attention_dropout)
{
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_TRAINABLE);
    AdapterSet *s = adapter_new(&w->ps, "adapter", 2, c.width, &(AdapterConfig){.bottleneck = 4, .causal = true});
    lora_attach(&w->ps, "lora", m, &(LoraConfig){2, 4, LORA_ALL});
    world_randomise(w, 0.3);
    m->dropout = dropout;
    m->attention_dropout = attention_dropout;
    m->recompute = recompute;
    w->t.seed = 5;
    tape_set_step(&w->t, 3);
    const int32_t token[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1}, next[12] = {2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2};
    const Gpt2Hook hook = adapter_hook(s);
    Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(2, 6), token), &hook);
    Tensor *loss = tape_cross_entropy(&w->t, gpt2_logits(&w->t, m, h), tape_from_i32(&w->t, SHAPE(12), next));
    tape_backward(&w->t, loss);
    Gradients g = {.n = paramset_count(&w->ps, true)};
    tensor_get_f64(loss, &g.loss, 1);
    const size_t real = w->dev.real_size;
    g.bits = arena_alloc(w->perm, (size_t)g.n * real);
    size_t at = 0;
    for (int i = 0; i < w->ps.n; i++) {
        const size_t bytes = tensor_bytes(&w->ps.p[i]->t);
        memcpy(g.bits + at, w->ps.p[i]->t.g, bytes);
        at += bytes;
    }
    g.peak = arena_peak(w->step);
    return g;
}

// The same loss and the same bits of every gradient, in less memory.
static void recomputation(TestLog *log)
{
    for (int f64 = 0; f64 < 2; f64++) {
        const Device dev = f64 ? device_cpu_f64() : world_f32();
        World *w[3] = {world_new(dev, false), world_new(dev, false), world_new(dev, false)};
        const Gradients kept = gradients_of(w[0], false, 0.25, 0.25), again = gradients_of(w[1], true, 0.25, 0.25),
                        plain = gradients_of(w[2], true, 0, 0);
        const size_t bytes = (size_t)kept.n * dev.real_size;
        TEST(log, kept.loss == again.loss, "%s: loss %.17g, recomputed %.17g", dev.name, kept.loss, again.loss);
        TEST(log, !memcmp(kept.bits, again.bits, bytes), "%s: recomputation changed gradients", dev.name);
        TEST(log, again.peak < kept.peak * 3 / 4, "recomputation takes %zu bytes instead of %zu", again.peak,
             kept.peak);
        TEST(log, plain.loss != kept.loss && memcmp(plain.bits, kept.bits, bytes), "dropout changed nothing");
        for (int i = 0; i < 3; i++) world_delete(w[i]);
    }
}

// Attention with its probabilities written out is the fused one when nothing is dropped.
static void attention_dropout(TestLog *log)
{
    World *w[3];
    Gradients g[3];
    for (int i = 0; i < 3; i++) {
        w[i] = world_new(device_cpu_f64(), false);
        g[i] = gradients_of(w[i], false, 0, i == 0 ? 0 : i == 1 ? 1e-13 : 0.5);
    }
    const double *fused = (const double *)(const void *)g[0].bits, *written = (const double *)(const void *)g[1].bits;
    double worst = fabs(g[0].loss - g[1].loss);
    for (int64_t i = 0; i < g[0].n; i++) worst = check_fold(worst, fabs(fused[i] - written[i]));
    TEST(log, worst <= 1e-11, "attention written out: %g away from the fused one", worst);
    TEST(log, fabs(g[2].loss - g[0].loss) > 1e-6, "dropout of half the probabilities changed nothing");
    for (int i = 0; i < 3; i++) world_delete(w[i]);
}

// ---- steps ----------------------------------------------------------------------------------------------------------

// n tokens below `vocab`: the ones of tests/tools/gpt2_twin.py.
static Tokens random_tokens(Arena *a, int64_t n, int64_t vocab)
{
    int32_t *id = arena_alloc(a, (size_t)n * sizeof *id);
    const uint64_t sub = philox_subsequence(SITE_TEST, 77);
    for (int64_t i = 0; i < n; i++)
        id[i] = (int32_t)((uint64_t)philox_u32(1, sub, (uint64_t)i) * (uint64_t)vocab >> 32);
    return (Tokens){id, n};
}

static Gpt2Config shape(int64_t layers, int64_t width, int64_t heads, int64_t positions, int64_t vocab)
{
    return (Gpt2Config){.vocab = vocab, .positions = positions, .width = width, .inner = 4 * width, .layers = layers,
                        .heads = heads, .eps = 1e-5, .tied = true, .end_token = -1};
}

// The same windows in 1, 2 and 4 micro-batches: the same step but for rounding.
static void accumulation(TestLog *log)
{
    double loss[3], norm[3];
    for (int k = 0; k < 3; k++) {
        World *w = world_new(device_cpu_f64(), false);
        const Gpt2Config c = tiny_config();
        Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_TRAINABLE);
        world_randomise(w, 0.3);
        Optim o = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .clip = 1, .total = 2, .floor = 1};
        const Gpt2TrainOptions opt = {.batch = 4 >> k, .context = 8, .accumulate = 1 << k, .seed = 3};
        Gpt2TrainProgress p;
        for (int step = 0; step < 2; step++) {
            const Status s = gpt2_train_step(&w->t, m, NULL, &w->ps, &o, random_tokens(w->perm, 100, 11), &opt, NULL,
                                             &p);
            TEST(log, !s.code, "%s", s.msg);
        }
        loss[k] = p.loss;
        norm[k] = p.grad_norm;
        world_delete(w);
    }
    for (int k = 1; k < 3; k++)
        TEST(log, fabs(loss[k] - loss[0]) <= 1e-11 && fabs(norm[k] - norm[0]) <= 1e-10,
             "%d micro-batches: loss %.15g, norm %.15g, in one: %.15g, %.15g", 1 << k, loss[k], norm[k], loss[0],
             norm[0]);
}

static bool keep_losses(void *arg, const Gpt2TrainProgress *p)
{
    ((double *)arg)[p->step - 1] = p->loss;
    return true;
}

// A one-layer model on the bytes of the corpus: the loss falls, twice the same bits.
static void learning(TestLog *log)
{
    enum { STEPS = 60, DOCUMENTS = 100 };
    double loss[2][STEPS], eval[2];
    for (int run = 0; run < 2; run++) {
        World *w = world_new(world_f32(), false);
        const Gpt2Config c = shape(1, 16, 2, 32, 257);
        Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_TRAINABLE);
        int32_t *x = arena_alloc(w->perm, DOCUMENTS * CORPUS_DOCUMENT_MAX * sizeof *x);
        Tokens data = {x, 0};
        char text[CORPUS_DOCUMENT_MAX];
        for (uint64_t i = 0; i < DOCUMENTS; i++)
            for (size_t k = 0, n = corpus_document(text, 1, CORPUS_TRAIN, i); k < n; k++)
                x[data.n++] = (unsigned char)text[k];
        Optim o = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8, .decay = 0.05, .clip = 1, .warmup = 5,
                   .total = STEPS, .floor = 0.1};
        const Gpt2TrainOptions opt = {.batch = 4, .context = 32, .accumulate = 1, .seed = 1};
        const Status s = gpt2_train(&w->t, m, NULL, &w->ps, &o, data, &opt, keep_losses, loss[run]);
        TEST(log, !s.code && o.step == STEPS, "%s", s.msg);
        eval[run] = gpt2_text_loss(&w->t, m, NULL, (Tokens){x, 1000}, 32, 0);
        o.total++;
        const Status few = gpt2_train(&w->t, m, NULL, &w->ps, &o, (Tokens){x, 32}, &opt, NULL, NULL);
        TEST(log, few.code == 1 && strstr(few.msg, "want more than 32 tokens, got 32"), "'%s'", few.msg);
        world_delete(w);
    }
    TEST(log, fabs(loss[0][0] - 5.549) < 0.1, "the first loss is %g, not ln 257", loss[0][0]);
    TEST(log, loss[0][STEPS - 1] < 3.8 && eval[0] < 3.8, "the loss fell to %g only", loss[0][STEPS - 1]);
    TEST(log, !memcmp(loss[0], loss[1], sizeof loss[0]) && eval[0] == eval[1], "two runs differ");
}

// ---- ten steps beside PyTorch (tests/gpt2_twin.tsv, made by tests/tools/gpt2_twin.py) -------------------------------

typedef struct Twin { const char *name; Gpt2Config c; int64_t batch, context; double lr; bool f64; double bound; } Twin;

static World *big_world(Device dev)
{
    World *w = world_new(dev, false);
    w->perm = arena_new("twin perm", (size_t)16 << 30, NULL);
    w->step = arena_new("twin step", (size_t)16 << 30, NULL);
    w->scratch = arena_new("twin scratch", (size_t)8 << 30, NULL);
    CHECK(w->perm && w->step && w->scratch, "no address space");
    paramset_init(&w->ps, w->perm, &w->dev, 1, false);
    w->ps.no_ema = true;
    tape_init(&w->t, &w->dev, w->step, w->scratch);
    return w;
}

// llm.c's check: ten steps on the same 4 windows, lr constant; the loss of each against `want`, and the norm when
// given.
static double ten_steps(TestLog *log, World *w, const Gpt2 *m, Tokens data, const Twin *twin, double want[10][2])
{
    Optim o = {.lr = twin->lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01, .total = 10, .floor = 1};
    const Gpt2TrainOptions opt = {.batch = twin->batch, .context = twin->context, .accumulate = 1, .in_order = true};
    double worst = 0;
    for (int step = 0; step < 10; step++) {
        Gpt2TrainProgress p;
        const Status s = gpt2_train_step(&w->t, m, NULL, &w->ps, &o, data, &opt, NULL, &p);
        const double e = check_fold(fabs(p.loss - want[step][0]),
                                    want[step][1] > 0 ? fabs(p.grad_norm / want[step][1] - 1) : 0);
        TEST(log, !s.code && e <= twin->bound, "%s: step %d: loss %.12g, norm %.9g, PyTorch %.12g, %.9g %s", twin->name,
             step, p.loss, p.grad_norm, want[step][0], want[step][1], s.msg);
        worst = check_fold(worst, e);
    }
    return worst;
}

static bool twin_numbers(Arena *a, const char *name, double want[10][2])
{
    int n = 0;
    for (const char *line = slurp(a, "tests/gpt2_twin.tsv"); *line;
         line += strcspn(line, "\n"), line += *line == '\n') {
        int step;
        double loss, norm;
        const size_t len = strlen(name);
        if (strncmp(line, name, len) || sscanf(line + len, "\t%d\t%lf\t%lf", &step, &loss, &norm) != 3) continue;
        if (step != n || n == 10) return false;
        want[n][0] = loss;
        want[n++][1] = norm;
    }
    return n == 10;
}

static void twins(TestLog *log)
{
    const Twin list[] = {
        {"mini", shape(2, 32, 2, 16, 101), 4, 16, 1e-3, true, 1e-10},
        {"small", shape(4, 256, 4, 64, 1000), 4, 64, 1e-3, false, 1e-4},
        {"124M", shape(12, 768, 12, 1024, 50257), 4, 64, 1e-4, false, 1e-4},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (i == 2 && !getenv("GPT2_TWIN_124M")) {
            test_skip(log, "skipped: ten steps of the 124M shape beside PyTorch (a minute, 4 GB): "
                           "set GPT2_TWIN_124M=1");
            continue;
        }
        if (i == 1 && (log->quick || world_f32().isa == ISA_SCALAR)) continue;
        World *w = big_world(list[i].f64 ? device_cpu_f64() : world_f32());
        double want[10][2];
        if (TEST(log, twin_numbers(w->perm, list[i].name, want), "tests/gpt2_twin.tsv: want ten steps of %s",
                 list[i].name)) {
            const Gpt2 *m = gpt2_new(&w->ps, "", &list[i].c, GPT2_TRAINABLE);
            const Tokens data = random_tokens(w->perm, list[i].batch * list[i].context + 1, list[i].c.vocab);
            const double worst = ten_steps(log, w, m, data, &list[i], want);
            printf("gpt2_train: ten steps of %s beside PyTorch: worst %.1e, bound %.0e\n", list[i].name, worst,
                   list[i].bound);
        }
        world_delete(w);
    }
}

// The real 124M weights: llm.c's published losses.
static void published_losses(TestLog *log)
{
    const char *dir = getenv("GPT2_124M");
    if (!dir || !log->shared || log->quick) {
        test_skip(log,
                  "skipped: llm.c's ten losses of GPT-2 124M: set GPT2_124M to the directory of its config.json and "
                  "model.safetensors (and have ../shared/gpt2)");
        return;
    }
    World *w = big_world(world_f32());
    const Json *root, *entry;
    Gpt2 *m;
    Status s = json_read(&root, w->perm, arena_printf(w->perm, "%s/gpt2/gpt2-124M/golden_outputs.json", log->shared),
                         1 << 24);
    if (!s.code) s = gpt2_load(&m, &w->ps, "", dir, GPT2_TRAINABLE | GPT2_BLANK, w->scratch);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    for (int i = 0; i < w->ps.n; i++) w->ps.p[i]->decay = true;    // llm.c decays every parameter
    const char *name = "";
    for (entry = root->child; entry && strcmp(name, "llmc_cpu_train10");
         entry = strcmp(name, "llmc_cpu_train10") ? entry->next : entry)
        if (json_get_string(&name, entry, "name", "golden").code) return;
    double want[10][2] = {{0}};
    int32_t id[257];
    int n = 0, n_loss = 0;
    for (const Json *t = json_find(entry, "tokens")->child; t && n < 257; t = t->next) id[n++] = (int32_t)t->n;
    for (const Json *t = json_find(entry, "losses")->child; t && n_loss < 10; t = t->next)
        want[n_loss++][0] = t->number;
    const Twin twin = {.name = "GPT-2 124M", .batch = 4, .context = 64, .lr = 1e-4, .bound = 0.01};
    if (TEST(log, n == 257 && n_loss == 10, "golden: %d tokens, %d losses", n, n_loss))
        printf("gpt2_train: llm.c's ten losses of 124M: worst %.1e\n",
               ten_steps(log, w, m, (Tokens){id, 257}, &twin, want));
    world_delete(w);
}

// ---- token files ----------------------------------------------------------------------------------------------------

static const char *path_of(TestLog *log, Arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", log->tmp, name);
}

// A token file of llm.c with this header and n ids 0, 1, 2, ...
static const char *put_bin(TestLog *log, Arena *a, int32_t version, int32_t claims, size_t n)
{
    const char *path = path_of(log, a, "tokens.bin");
    const size_t size = 1024 + 2 * n;
    unsigned char *x = arena_zalloc(a, size);
    memcpy(x, (int32_t[]){20240520, version, claims}, 12);
    for (size_t i = 0; i < n; i++) x[1024 + 2 * i] = (unsigned char)i;
    const Status s = file_write(path, x, size);
    CHECK(!s.code, "%s", s.msg);
    return path;
}

static void token_files(TestLog *log)
{
    Arena *a = arena_new("tokens", 1 << 26, NULL), *scratch = arena_new("scratch", 1 << 26, NULL);
    Tokens t;
    Status s = tokens_read(&t, a, scratch, put_bin(log, a, 1, 200, 200), NULL, 200);
    TEST(log, !s.code && t.n == 200 && t.id[0] == 0 && t.id[199] == 199, "%s", s.msg);
    s = tokens_read(&t, a, scratch, put_bin(log, a, 1, 200, 200), NULL, 199);
    TEST(log, s.code == 1 && strstr(s.msg, "token 199: want an id in 0..198, got 199"), "'%s'", s.msg);
    s = tokens_read(&t, a, scratch, put_bin(log, a, 1, 201, 200), NULL, 256);
    TEST(log, s.code == 1 && strstr(s.msg, "want 1426 bytes for the 201 tokens that the header states, got 1424"),
         "'%s'", s.msg);
    s = tokens_read(&t, a, scratch, put_bin(log, a, 1, -1, 200), NULL, 256);
    TEST(log, s.code == 1 && strstr(s.msg, "4294967295 tokens"), "'%s'", s.msg);
    s = tokens_read(&t, a, scratch, put_bin(log, a, 2, 200, 200), NULL, 256);
    TEST(log, s.code == 1 && strstr(s.msg, "want a token file of version 1, got 2"), "'%s'", s.msg);
    const char *path = path_of(log, a, "short.bin");
    s = file_write(path, (int32_t[]){20240520, 1}, 8);
    if (!s.code) s = tokens_read(&t, a, scratch, path, NULL, 256);
    TEST(log, s.code == 1 && strstr(s.msg, "want a header of 1024 bytes, got a file of 8"), "'%s'", s.msg);
    path = path_of(log, a, "text.txt");
    s = file_write(path, "a<|endoftext|>\xff<|endoftext", 26);
    if (!s.code) s = tokens_read(&t, a, scratch, path, NULL, 257);
    TEST(log, !s.code && t.n == 14 && t.id[0] == 'a' && t.id[1] == 256 && t.id[2] == 0xff && t.id[13] == 't',
         "%s, %lld tokens", s.msg, (long long)t.n);
    s = tokens_read(&t, a, scratch, path_of(log, a, "nowhere"), NULL, 257);
    TEST(log, s.code == 1 && strstr(s.msg, "nowhere"), "'%s'", s.msg);
    arena_delete(a);
    arena_delete(scratch);
}

// ---- the corpus -----------------------------------------------------------------------------------------------------

// The value of "<a> + <b> = <c>" and "<a> - <b> = <c>" lines, and of "sum .., mean .. / .. = ..": wrong ones.
static int wrong_sums(const char *text, int *seen)
{
    int wrong = 0;
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        int x, y, z, end = 0;
        char op;
        const char *mean = strstr(line, "mean ");
        if (sscanf(line, "%d %c %d = %d%n", &x, &op, &y, &z, &end) == 4 && end &&
            (op == '+' || op == '-' || op == '*')) {
            wrong += z != (op == '+' ? x + y : op == '-' ? x - y : x * y);
            ++*seen;
        } else if (!strncmp(line, "Smallest", 8) && mean && sscanf(mean, "mean %d / %d = %d", &x, &y, &z) == 3) {
            wrong += x != y * z;
            ++*seen;
        }
    }
    return wrong;
}

static void corpus(TestLog *log)
{
    enum { N = 3000 };
    Sha256 h = sha256_new();
    char text[CORPUS_DOCUMENT_MAX], other[CORPUS_DOCUMENT_MAX];
    int odd = 0, equal = 0, wrong = 0, sums = 0;
    size_t bytes = 0;
    for (uint64_t i = 0; i < N; i++) {
        const size_t n = corpus_document(text, 1, CORPUS_TRAIN, i);
        sha256_add(&h, text, n);
        bytes += n;
        for (size_t k = 0; k < n; k++) odd += text[k] != '\n' && (text[k] < ' ' || text[k] > '~');
        wrong += wrong_sums(text, &sums);
        corpus_document(other, 1, CORPUS_HELD_OUT, i);
        equal += !strcmp(text, other);
    }
    TEST(log, odd == 0 && bytes > N * 100, "%d odd bytes in %zu", odd, bytes);
    TEST(log, equal == 0, "%d of %d documents are in both parts", equal, N);
    TEST(log, wrong == 0 && sums > N / 10, "%d of %d sums are wrong", wrong, sums);
    TEST(log, !strncmp(sha256_hex(&h).s, "643e117f9420625a", 16),
         "the text changed: sha256 %s: train data/gpt2-small again", sha256_hex(&h).s);
}

// ---- the command ----------------------------------------------------------------------------------------------------

static bool same_files(Arena *a, const char *x, const char *y)
{
    char *text[2];
    size_t n[2];
    if (file_read(&text[0], &n[0], a, x, 1 << 28).code || file_read(&text[1], &n[1], a, y, 1 << 28).code) return false;
    return n[0] == n[1] && !memcmp(text[0], text[1], n[0]);
}

// Six steps at once, and in three runs with a checkpoint between: the same bytes.
static void resuming(TestLog *log, Arena *a, const char *data)
{
    const char *base = path_of(log, a, "gpt2-base");
    static const struct { const char *options, *file; } kinds[] = {
        {"--dropout 0.2 --attention-dropout 0.1 --accumulate 2 --layers 2 --width 16 --heads 2 --positions 32",
         "model.safetensors"},
        {"--lora 2 --lora-targets all --dropout 0.1 --recompute", "adapter_model.safetensors"},
        {"--adapters 4", "bottleneck.safetensors"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *once = path_of(log, a, arena_printf(a, "once%zu", i)),
                   *parts = path_of(log, a, arena_printf(a, "parts%zu", i));
        const char *llm = i ? arena_printf(a, "--llm %s", base) : "";
        const char *run = arena_printf(a, "gpt2 train --data %s --steps 6 --batch 2 --context 16 --lr 1e-2 %s %s", data,
                                       llm, kinds[i].options);
        Ran r = lead_run(log, a, "%s --out %s", run, i ? once : base);
        TEST(log, r.code == 0, "%s: exit %d: %s", run, r.code, r.err);
        const char *more[] = {"--stop-after 1", "--stop-after 3 --resume", "--resume"};
        for (int k = 0; k < 3; k++) {
            // the last resumes with nothing but the directory
            r = lead_run(log, a, "%s --out %s %s", k < 2 ? run : "gpt2 train", parts, more[k]);
            TEST(log, r.code == 0 && (strstr(r.err, "stopped") != NULL) == (k < 2), "%s: exit %d: %s", more[k], r.code,
                 r.err);
        }
        TEST(log,
             same_files(a, arena_printf(a, "%s/%s", i ? once : base, kinds[i].file),
                        arena_printf(a, "%s/%s", parts, kinds[i].file)),
             "%s: a resumed run ends with another %s", kinds[i].options, kinds[i].file);
        r = lead_run(log, a, "%s --out %s", run, parts);
        TEST(log, r.code == 1 && strstr(r.err, "holds a run already"), "a second run: exit %d: %s", r.code, r.err);
        r = lead_run(log, a, "%s --out %s --resume --lr 2e-2", run, parts);
        TEST(log, r.code == 1 && strstr(r.err, "want a run of these options"), "another lr: exit %d: %s", r.code,
             r.err);
    }
    const Ran none = lead_run(log, a, "gpt2 train --data %s --out %s --resume", data, path_of(log, a, "none"));
    struct stat st;
    TEST(log, none.code == 1 && strstr(none.err, "found none") && stat(path_of(log, a, "none"), &st), "exit %d: %s",
         none.code, none.err);
}

// Ctrl-C in a long run: exit 0, a checkpoint that can be resumed from.
static void interrupted(TestLog *log, Arena *a, const char *data)
{
    const char *out = path_of(log, a, "stopped"), *err = path_of(log, a, "stopped.err");
    const char *run = arena_printf(
        a, "gpt2 train --data %s --steps 1000000 --batch 1 --context 8 --layers 1 --width 8 --heads 1 --out %s", data,
        out);
    const pid_t pid = lead_start(log, a, path_of(log, a, "stopped.out"), err, run);
    const char *lines = arena_printf(a, "%s/log.jsonl", out);
    struct stat st;
    for (int i = 0; i < 2000 && (stat(lines, &st) || st.st_size < 300); i++) usleep(10000);
    kill(pid, SIGINT);
    const int code = lead_wait(pid);
    TEST(log, code == 0 && strstr(slurp(a, err), "stopped; go on"), "exit %d: %s", code, slurp(a, err));
    const Ran r = lead_run(log, a, "%s --resume --stop-after 1", run);
    TEST(log, r.code == 0, "resumed: exit %d: %s", r.code, r.err);
    int64_t last = 0, step, jumps = 0;
    for (const char *line = slurp(a, lines); line && sscanf(line, "{\"step\":%ld", &step) == 1;
         line = strchr(line, '\n') + 1, last = step)
        jumps += step != last + 1;
    TEST(log, last > 1 && jumps == 0, "the log has %lld steps, %lld not one after the other", (long long)last,
         (long long)jumps);
}

// Adapters through the command: the merged model speaks like model and adapter.
static void merged(TestLog *log, Arena *a)
{
    const char *base = path_of(log, a, "gpt2-base"), *lora = path_of(log, a, "once1"), *out = path_of(log, a, "merged");
    Ran r = lead_run(log, a, "gpt2 merge --llm %s --adapter %s --out %s", base, lora, out);
    TEST(log, r.code == 0, "exit %d: %s", r.code, r.err);
    const Ran x = lead_run(log, a, "gpt2 logits --llm %s --tokens 72,101,108 --top 0 --adapter %s", base, lora),
              y = lead_run(log, a, "gpt2 logits --llm %s --tokens 72,101,108 --top 0", out),
              z = lead_run(log, a, "gpt2 logits --llm %s --tokens 72,101,108 --top 0", base);
    double worst = 0, moved = 0, scale = 0, v[3];
    const char *at[3] = {strchr(x.out, '\n'), strchr(y.out, '\n'), strchr(z.out, '\n')};
    int n = 0;
    for (; at[0] && at[1] && at[2]; n++) {
        bool ok = true;
        for (int k = 0; k < 3; k++) {
            ok &= sscanf(at[k], "%*d %*d %lf", &v[k]) == 1;
            at[k] = strchr(at[k] + 1, '\n');
        }
        if (!ok) break;
        worst = check_fold(worst, fabs(v[0] - v[1]));
        moved = fmax(moved, fabs(v[0] - v[2]));
        scale = fmax(scale, fabs(v[0]));
    }
    TEST(log, n == 3 * 257 && worst <= 1e-5 * scale && moved > 1e-3 * scale,
         "%d logits, merged %g away, LoRA moved them by %g", n, worst, moved);
    r = lead_run(log, a, "gpt2 merge --llm %s --adapter %s --out %s", base, path_of(log, a, "once2"), out);
    TEST(log, r.code == 1 && strstr(r.err, "cannot be merged"), "exit %d: %s", r.code, r.err);
}

static void command(TestLog *log)
{
    Arena *a = arena_new("command", (size_t)1 << 30, NULL);
    const char *data = path_of(log, a, "corpus.txt"), *tok = path_of(log, a, "tok"), *tok2 = path_of(log, a, "tok2");
    Ran r = lead_run(log, a, "gpt2 corpus --documents 40 --out %s", data);
    TEST(log, r.code == 0 && !*r.out, "corpus: exit %d: %s", r.code, r.err);
    resuming(log, a, data);
    interrupted(log, a, data);
    merged(log, a);
    for (int k = 0; k < 2; k++)
        r = lead_run(log, a, "gpt2 bpe-train --data %s --vocab 300 --out %s", data, k ? tok2 : tok);
    TEST(log, r.code == 0 && strstr(r.err, "300 tokens"), "bpe-train: exit %d: %s", r.code, r.err);
    TEST(log,
         same_files(a, arena_printf(a, "%s/vocab.json", tok), arena_printf(a, "%s/vocab.json", tok2)) &&
             same_files(a, arena_printf(a, "%s/merges.txt", tok), arena_printf(a, "%s/merges.txt", tok2)),
         "bpe-train: two vocabularies from one text");
    const char *vocab = slurp(a, arena_printf(a, "%s/vocab.json", tok));
    TEST(log, strstr(vocab, "\"<|endoftext|>\":299") || strstr(vocab, "\"<|endoftext|>\": 299"),
         "<|endoftext|> is not the last token");
    TEST(log, !strstr(slurp(a, arena_printf(a, "%s/merges.txt", tok)), "|"), "a merge was learnt from the marker");
    r = lead_run(log, a,
                 "gpt2 train --data %s --tokenizer %s --steps 1 --layers 1 --width 8 --heads 1 --positions 16 --out %s",
                 data, tok, path_of(log, a, "bpe"));
    TEST(log, r.code == 0 && same_files(a, arena_printf(a, "%s/vocab.json", tok), path_of(log, a, "bpe/vocab.json")),
         "exit %d: %s", r.code, r.err);
    static const struct { int code; const char *args, *want; } bad[] = {
        {2, "--lora 2", "want --llm"},
        {2, "--size 7B", "124M, 355M, 774M or 1558M"},
        {2, "--context 64 --positions 32", "at most the model's 32"},
        {1, "--width 10 --heads 3", "n_head"},
        {1, "--val nowhere", "nowhere"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = lead_run(log, a, "gpt2 train --data %s --out %s %s", data, path_of(log, a, "bad"), bad[i].args);
        TEST(log, r.code == bad[i].code && strstr(r.err, bad[i].want), "%s: exit %d: %s", bad[i].args, r.code, r.err);
    }
    arena_delete(a);
}

// ---- the bundled model is what its card says ------------------------------------------------------------------------

enum { BUNDLED_WINDOWS = 64, BUNDLED_CONTEXT = 256 };

// The number after `label` in the card, NaN when it is not there.
static double stated(const char *card, const char *label)
{
    const char *at = strstr(card, label);
    return at ? atof(at + strlen(label)) : NAN;
}

static void bundled(TestLog *log, Arena *a, const char *card)
{
    World *w = world_new(world_f32(), true);
    const char *held = path_of(log, a, "held.txt");
    const Ran r = lead_run(log, a, "gpt2 corpus --documents 500 --held-out --out %s", held);
    Gpt2 *m;
    Bpe b;
    Tokens x;
    struct stat st;
    Status s = gpt2_load(&m, &w->ps, "llm", "data/gpt2-small", GPT2_FROZEN | GPT2_BLANK, w->scratch);
    if (!s.code) s = bpe_load_dir(&b, w->perm, w->scratch, "data/gpt2-small");
    if (!s.code) s = tokens_read(&x, w->perm, w->scratch, held, &b, m->c.vocab);
    if (!TEST(log, !s.code && r.code == 0 && !stat("data/gpt2-small/model.safetensors", &st), "%s %s", s.msg, r.err))
        return;
    TEST(log, st.st_size < 8000000, "want less than 8 MB, got %lld bytes", (long long)st.st_size);
    TEST(log, paramset_count(&w->ps, false) == (int64_t)stated(card, "| parameters | "),
         "parameters: not as in the card");
    const int windows = log->quick || w->dev.isa == ISA_SCALAR ? 4 : BUNDLED_WINDOWS;
    const double loss = gpt2_text_loss(&w->t, m, NULL, x, BUNDLED_CONTEXT, windows),
                 said = stated(card, "| held-out loss | ");
    const double bound = windows == BUNDLED_WINDOWS ? 1e-3 : 0.3; // few windows: a sample of the same text
    TEST(log, fabs(loss - said) <= bound, "held-out loss: the card says %g, got %g over %d windows", said, loss,
         windows);
    world_delete(w);
}

// The card's commands begin with the card's tokeniser and losses.
static void retraining(TestLog *log, Arena *a, const char *card)
{
    if (log->quick || world_f32().isa == ISA_SCALAR) {
        test_skip(log, "skipped: training the bundled model again (quick, or scalar kernels)");
        return;
    }
    const char *text = path_of(log, a, "train.txt"), *tok = path_of(log, a, "bundled-tok"),
               *out = path_of(log, a, "bundled");
    Ran r = lead_run(log, a, "gpt2 corpus --documents 200000 --seed 1 --out %s", text);
    if (r.code == 0) r = lead_run(log, a, "gpt2 bpe-train --data %s --vocab 2048 --out %s", text, tok);
    TEST(log, r.code == 0, "exit %d: %s", r.code, r.err);
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "merges.txt" : "vocab.json";
        TEST(log, same_files(a, arena_printf(a, "%s/%s", tok, name), arena_printf(a, "data/gpt2-small/%s", name)),
             "data/gpt2-small/%s: bpe-train makes another", name);
    }
    const char *options = strstr(card, "--layers"), *end = options ? strstr(options, " --out") : NULL;
    if (!TEST(log, end, "the card states no command")) return;
    r = lead_run(log, a, "gpt2 train --data %s --val-share 0 --val-every 0 --tokenizer %s %.*s --stop-after 3 --out %s",
                 text, tok, (int)(end - options), options, out);
    TEST(log, r.code == 0, "exit %d: %s", r.code, r.err);
    const char *said = strstr(card, "| loss of steps 1, 2, 3 | "),
               *got = slurp(a, arena_printf(a, "%s/log.jsonl", out));
    double want[3] = {NAN, NAN, NAN};
    TEST(log, said && sscanf(said + 26, "%lf, %lf, %lf", &want[0], &want[1], &want[2]) == 3,
         "the card states no losses");
    for (int i = 0; i < 3; i++) {
        const double loss = stated(got, "\"loss\":");
        TEST(log, fabs(loss - want[i]) < 2e-3, "loss of step %d: the card says %g, got %g", i + 1, want[i], loss);
        got = strchr(got, '\n') ? strchr(got, '\n') + 1 : "";
    }
}

static void bundled_model(TestLog *log)
{
    Arena *a = arena_new("card", (size_t)1 << 30, NULL);
    char *card;
    size_t size;
    const Status s = file_read(&card, &size, a, "data/gpt2-small/README.md", 1 << 20);
    if (TEST(log, !s.code, "%s", s.msg)) {
        bundled(log, a, card);
        retraining(log, a, card);
    }
    arena_delete(a);
}

void test_gpt2_train(TestLog *log)
{
    recomputation(log);
    attention_dropout(log);
    accumulation(log);
    learning(log);
    twins(log);
    published_losses(log);
    token_files(log);
    corpus(log);
    command(log);
    bundled_model(log);
}
