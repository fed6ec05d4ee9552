#include "llm/train.h"

#include <math.h>
#include <time.h>

#include "llm/corpus.h"
#include "llm/generate.h"
#include "tensor/file.h"

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

// Mean cross entropy of windows that start at start[0..N): token i of a window predicts token i + 1.
static Tensor *window_loss(Tape *t, const Gpt2 *m, const int32_t *token, const int64_t *start, int64_t N, int64_t T)
{
    Tensor *x = tensor_new(t->step, t->dev, I32, SHAPE(N, T), "tokens"),
           *y = tensor_new(t->step, t->dev, I32, SHAPE(N * T), "next");
    int32_t *xs = x->x, *ys = y->x;
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < T; i++) {
            xs[n * T + i] = token[start[n] + i];
            ys[n * T + i] = token[start[n] + i + 1];
        }
    return tape_cross_entropy(t, gpt2_logits(t, m, gpt2_forward_tokens(t, m, x, NULL)), y);
}

static double scalar(const Tensor *x)
{
    double v;
    tensor_get_f64(x, &v, 1);
    return v;
}

Status gpt2_train(Tape *t, const Gpt2 *m, ParamSet *ps, Optim *o, const int32_t *token, int64_t n,
                  const Gpt2TrainOptions *opt, Gpt2TrainFn *progress, void *arg)
{
    const int64_t N = opt->batch, T = opt->context, places = n - T;
    CHECK(N >= 1 && T >= 1 && T <= m->c.positions, "gpt2_train: batch %lld, context %lld", (long long)N, (long long)T);
    if (places < 1) return ERROR("training text: want more than %lld tokens, got %lld", (long long)T, (long long)n);
    const double begin = seconds_now();
    while (o->step < o->total) {
        tape_reset(t);
        paramset_zero_grad(ps);
        int64_t *start = arena_alloc(t->step, (size_t)N * sizeof *start);
        const uint64_t sub = philox_subsequence(SITE_SHUFFLE, (uint32_t)o->step);
        for (int64_t i = 0; i < N; i++)
            start[i] = (int64_t)((uint64_t)philox_u32(opt->seed, sub, (uint64_t)i) * (uint64_t)places >> 32);
        Tensor *loss = window_loss(t, m, token, start, N, T);
        tape_backward(t, loss);
        Gpt2TrainProgress p = {.steps = o->total, .loss = scalar(loss), .lr = optim_lr(o, o->step)};
        p.grad_norm = optim_step(o, t, ps);
        if (!isfinite(p.loss) || !isfinite(p.grad_norm))
            return ERROR("step %lld: want a finite loss and gradient, got loss %g, gradient norm %g",
                         (long long)o->step, p.loss, p.grad_norm);
        p.step = o->step;
        p.seconds = seconds_now() - begin;
        if (progress && !progress(arg, &p)) break;
    }
    return OK;
}

double gpt2_text_loss(Tape *t, const Gpt2 *m, const int32_t *token, int64_t n, int64_t context)
{
    enum { BATCH = 8 };
    const bool record = t->record;
    t->record = false;
    const int64_t windows = (n - 1) / context;
    CHECK(windows >= 1, "gpt2_text_loss: %lld tokens, windows of %lld", (long long)n, (long long)context);
    double sum = 0;
    for (int64_t w = 0; w < windows; w += BATCH) {
        int64_t start[BATCH], N = 0;
        for (; N < BATCH && w + N < windows; N++) start[N] = (w + N) * context;
        tape_reset(t);
        sum += (double)N * scalar(window_loss(t, m, token, start, N, context));
    }
    t->record = record;
    return sum / (double)windows;
}

// ---- the bundled model ----------------------------------------------------------------------------------------------

enum { TRAIN_TOKENS = 8000000, HELD_OUT_TOKENS = 128 * 256 + 1, BATCH = 16, CONTEXT = 128, FIRST = 3 };

typedef struct Bundle {
    Arena *perm, *step, *scratch;
    ParamSet ps;
    Tape t;
    Gpt2 *m;
    int32_t *held_out;
    double first[FIRST];         // loss of the first steps, so that a test can train them again
    double held_out_loss;        // after training, nats a token
    double seconds;
    Optim o;
    Gpt2TrainFn *progress;
    void *arg;
} Bundle;

static const Gpt2Config bundled_config = {
    .vocab = CORPUS_VOCAB, .positions = CONTEXT, .width = 128, .inner = 512, .layers = 4, .heads = 4, .eps = 1e-5,
    .tied = true, .end_token = CORPUS_END,
};

static bool bundle_progress(void *arg, const Gpt2TrainProgress *p)
{
    Bundle *b = arg;
    if (p->step <= FIRST) b->first[p->step - 1] = p->loss;
    return !b->progress || b->progress(b->arg, p);
}

static Status bundle_train(Bundle *b, const Device *dev, int64_t steps, uint64_t seed)
{
    paramset_init(&b->ps, b->perm, dev, seed, false);
    tape_init(&b->t, dev, b->step, b->scratch);
    b->m = gpt2_new(&b->ps, "", &bundled_config, GPT2_TRAINABLE);
    int32_t *token = arena_alloc(b->perm, TRAIN_TOKENS * sizeof *token);
    b->held_out = arena_alloc(b->perm, HELD_OUT_TOKENS * sizeof *token);
    corpus_generate(token, TRAIN_TOKENS, seed, CORPUS_TRAIN);
    corpus_generate(b->held_out, HELD_OUT_TOKENS, seed, CORPUS_HELD_OUT);
    b->o = (Optim){.lr = 2e-3, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8, .decay = 0.05, .clip = 1,
                   .warmup = steps < 200 ? steps / 10 + 1 : 50, .total = steps, .floor = 0.02};
    const double begin = seconds_now();
    const Gpt2TrainOptions opt = {BATCH, CONTEXT, seed};
    TRY(gpt2_train(&b->t, b->m, &b->ps, &b->o, token, TRAIN_TOKENS, &opt, bundle_progress, b));
    b->seconds = seconds_now() - begin;
    b->held_out_loss = gpt2_text_loss(&b->t, b->m, b->held_out, HELD_OUT_TOKENS, CONTEXT);
    return OK;
}

static const char *sample_text(Bundle *b, const char *prompt)
{
    int32_t token[CONTEXT];
    int64_t n = 0, n_out;
    for (const char *p = prompt; *p; p++) token[n++] = (unsigned char)*p;
    const Gpt2Sampling greedy = {.stop_at_end = true};
    char *text = arena_zalloc(b->scratch, CONTEXT + 1);
    const Status s = gpt2_generate(&b->t, b->m, NULL, token, n, CONTEXT - n, &greedy, &n_out, NULL, NULL);
    for (int64_t i = 0; !s.code && i < n_out && token[i] != CORPUS_END; i++) text[i] = (char)token[i];
    return text;
}

static const char card_about[] =
    "## What the text is\n"
    "Short generated documents: hourly link loads of a daily cycle with their continuation, slot reports, small\n"
    "traffic matrices with their total and largest flow, incidents and bursts, times of day, clock sums, arithmetic,\n"
    "number sequences, and a dozen sentences on traffic matrices.\n\n"
    "## What it can and cannot do\n"
    "At best it continues text of these few templates; how far this run got is what the held-out loss and the greedy\n"
    "continuations below show. It knows no language, no world and no networks beyond the templates. It carries far\n"
    "less than GPT-2 124M: under a hundredth of the parameters, and none of its reading. It stands in as LEAD's\n"
    "frozen LLM where GPT-2's weights are not at hand (`--llm DIR` takes those), so that everything runs from a\n"
    "fresh checkout.\n\n"
    "## Greedy continuations (the prompt is the first part of each)\n";

static const char *card_facts(Bundle *b, const Device *dev, uint64_t seed, const char *command)
{
    const double bits = 1 / log(2.0), seen = (double)b->o.step * BATCH * CONTEXT / 1e6;
    return arena_printf(
        b->scratch,
        "| architecture | GPT-2: %lld layers, %lld heads, width %lld, %lld positions, tied head, F32 |\n"
        "| parameters | %lld |\n"
        "| vocabulary | 257: the bytes 0..255, and 256 = end of text. No tokenizer file |\n"
        "| training text | %d tokens generated by `src/llm/corpus.c`, written by this project: no outside text |\n"
        "| training | %lld of %lld steps of %d windows of %d tokens = %.2f million tokens seen |\n"
        "| optimiser | AdamW, peak rate %g, betas %g and %g, decay %g, clipping %g, %lld warm-up steps, cosine |\n"
        "| loss of steps 1, 2, 3 | %.4f, %.4f, %.4f nats a byte |\n"
        "| held-out loss | %.4f nats a byte (%.3f bits), on %d tokens of other documents of the generator |\n"
        "| device | %s, %.0f s |\n"
        "| seed | %llu |\n"
        "| command | `%s` |\n\n",
        (long long)b->m->c.layers, (long long)b->m->c.heads, (long long)b->m->c.width, (long long)b->m->c.positions,
        (long long)paramset_count(&b->ps, false), TRAIN_TOKENS, (long long)b->o.step, (long long)b->o.total, BATCH,
        CONTEXT, seen, b->o.lr, b->o.beta1, b->o.beta2, b->o.decay, b->o.clip, (long long)b->o.warmup, b->first[0],
        b->first[1], b->first[2], b->held_out_loss, b->held_out_loss * bits, HELD_OUT_TOKENS, dev->name, b->seconds,
        (unsigned long long)seed, command);
}

static Status card_write(Bundle *b, const Device *dev, const char *dir, uint64_t seed, const char *command)
{
    static const char *const prompts[] = {
        "30 minutes after 13:45 it is",
        "Repeating: 7 19 4 7 19 4 7",
        "Traffic follows the day:",
        "Link Amber-Delta, Monday, Mbit/s by hour from 04:00: 20 22 27 35 46 59 72 84 93 98",
    };
    FileWriter w;
    TRY(file_open(&w, arena_printf(b->scratch, "%s/MODEL_CARD.md", dir)));
    fprintf(w.f, "# Model card: the bundled small GPT-2\n\n");
    fprintf(w.f, "Written by the training run itself; every figure was measured in it.\n\n| | |\n|---|---|\n");
    fprintf(w.f, "%s%s", card_facts(b, dev, seed, command), card_about);
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++)
        fprintf(w.f, "```\n%s\n```\n", sample_text(b, prompts[i]));
    return file_commit(&w, false);
}

Status gpt2_train_bundled(const Device *dev, const char *out_dir, int64_t steps, uint64_t seed, const char *command,
                          Gpt2TrainFn *progress, void *arg)
{
    if (steps < 1) return USAGE_ERROR("steps: want 1 or more, got %lld", (long long)steps);
    Bundle b = {.perm = arena_new("gpt2 perm", (size_t)1 << 30, NULL),
                .step = arena_new("gpt2 step", (size_t)8 << 30, NULL),
                .scratch = arena_new("gpt2 scratch", (size_t)1 << 30, NULL),
                .progress = progress,
                .arg = arg};
    Status s = b.perm && b.step && b.scratch ? OK : ERROR("memory: want address space for training GPT-2, got none");
    if (!s.code) s = bundle_train(&b, dev, steps, seed);
    if (!s.code) s = gpt2_save(b.m, out_dir, b.scratch);
    if (!s.code) s = card_write(&b, dev, out_dir, seed, command);
    arena_delete(b.perm);
    arena_delete(b.step);
    arena_delete(b.scratch);
    return s;
}
