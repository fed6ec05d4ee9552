// lead gpt2 train, lead gpt2 merge, lead gpt2 bpe-train, lead gpt2 corpus
#include <math.h>
#include <string.h>

#include "cli/gpt2.h"
#include "cli/profile.h"
#include "cli/verbs.h"
#include "tensor/clock.h"
#include "traffic/corpus.h"
#include "llm/train_run.h"
#include "nn/run_directory.h"
#include "io/file.h"

// ---- train

typedef struct TrainValues {
    const char *data, *val, *llm, *size, *tokenizer, *out, *lora_targets, *weights;
    int64_t layers, width, heads, positions, vocab, lora, adapters, steps, warmup, batch, context, accumulate, seed;
    int64_t val_every, val_windows, stop_after;
    double val_share, lr, beta1, beta2, decay, clip, floor, dropout, attention_dropout, lora_alpha, checkpoint_seconds;
    bool recompute, in_order, resume, allow_other_bits, profile;
} TrainValues;

#define TEXT(name, field, meta, help) {name, OPT_TEXT, offsetof(TrainValues, field), meta, help, 0, 0}
#define INT(name, field, min, max, help) {name, OPT_INT, offsetof(TrainValues, field), "N", help, min, max}
#define NUMBER(name, field, min, max, help) {name, OPT_NUMBER, offsetof(TrainValues, field), "X", help, min, max}
#define FLAG(name, field, help) {name, OPT_FLAG, offsetof(TrainValues, field), NULL, help, 0, 0}

static const Option train_table[] = {
    TEXT("data", data, "FILE", "text, or a token file of llm.c (.bin)"),
    TEXT("out", out, "DIR", "receives checkpoint, log.jsonl and, at the end, the model or the adapters"),
    TEXT("val", val, "FILE", "text or tokens to validate on (default: the last --val-share of the data)"),
    NUMBER("val-share", val_share, 0, 0.9, "share of the data kept for validation; 0 = none [0.05]"),
    TEXT("llm", llm, "DIR", "start from this model: fine-tuning, or the base of --lora and --adapters"),
    TEXT("size", size, "NAME", "start from a new model of a published size: 124M, 355M, 774M or 1558M"),
    INT("layers", layers, 1, 4096, "start from a new model with N layers [4]"),
    INT("width", width, 1, 1 << 20, "width of the new model [128]"),
    INT("heads", heads, 1, 1 << 20, "attention heads of the new model [4]"),
    INT("positions", positions, 1, 1 << 20, "positions of the new model [128]"),
    INT("vocab", vocab, 1, 1 << 28,
        "vocabulary of the new model [the tokenizer's; for a token file GPT-2's 50257; for bytes 257]"),
    TEXT("tokenizer", tokenizer, "DIR",
         "tokenizer.json, or vocab.json and merges.txt (default: those in the --llm DIR; a new model: bytes)"),
    INT("lora", lora, 0, 1 << 16, "train LoRA of rank N on the frozen --llm; 0 = none [0]"),
    NUMBER("lora-alpha", lora_alpha, 0, 1e6, "LoRA is scaled by alpha / rank [16]"),
    TEXT("lora-targets", lora_targets, "LIST", "all, or some of c_attn,c_proj,mlp.c_fc,mlp.c_proj [c_attn]"),
    INT("adapters", adapters, 0, 1 << 20,
        "train causal bottleneck adapters of width N on the frozen --llm; 0 = none [0]"),
    TEXT("llm-weights", weights, "TYPE",
         "of the frozen --llm under --lora and --adapters: f32, or nf4 (projections in 4 bits: QLoRA) [f32]"),
    INT("steps", steps, 0, 1e9, "training steps; 0 = save the model as it starts [1000]"),
    INT("batch", batch, 1, 1e6, "windows per micro-batch [8]"),
    INT("context", context, 1, 1 << 20, "tokens per window [the model's positions, at most 256]"),
    INT("accumulate", accumulate, 1, 1e6, "micro-batches per step; their gradients are averaged [1]"),
    NUMBER("lr", lr, 0, 10, "peak learning rate of AdamW [3e-4]"),
    INT("warmup", warmup, 0, 1e9, "steps of linear warm-up [a twentieth of the steps]"),
    NUMBER("floor", floor, 0, 1, "share of the peak learning rate at which the cosine ends [0.1]"),
    NUMBER("beta1", beta1, 0, 0.99999, "AdamW: decay of the mean of gradients [0.9]"),
    NUMBER("beta2", beta2, 0, 0.99999, "AdamW: decay of the mean of squared gradients [0.95]"),
    NUMBER("decay", decay, 0, 10, "weight decay of matrices; none on norms, biases and embeddings [0.1]"),
    NUMBER("clip", clip, 0, 1e9, "largest global norm of the gradient; 0 = off [1]"),
    NUMBER("dropout", dropout, 0, 0.99, "dropout on embeddings and residuals; GPT-2 was trained with 0.1 [0]"),
    NUMBER("attention-dropout", attention_dropout, 0, 0.99,
           "dropout on attention probabilities, which is slower; GPT-2 was trained with 0.1 [0]"),
    FLAG("recompute", recompute, "keep only each block's input: less memory, a third more time, the same bits"),
    FLAG("in-order", in_order, "train every step on the first windows of the data, in order, not on random ones"),
    INT("seed", seed, 0, 9e15, "seed of initial values, windows, dropout [1]"),
    INT("val-every", val_every, 0, 1e9, "steps between validations; 0 = only at the end [100]"),
    INT("val-windows", val_windows, 0, 1e9, "windows per validation; 0 = all [64]"),
    NUMBER("checkpoint-seconds", checkpoint_seconds, 0, 1e6, "seconds between checkpoints [300]"),
    FLAG("resume", resume, "resume from the checkpoint in DIR; gives the same bits as a run that never stopped"),
    FLAG("allow-other-bits", allow_other_bits,
         "resume although compiler, instruction set or --exact are others than before, and so the bits to come"),
    INT("stop-after", stop_after, 0, 1e9, "stop after N steps of this call, as Ctrl-C would; 0 = run to the end [0]"),
    FLAG("profile", profile, "at the end print time, GFLOP/s, GB/s and % of ceiling of each op"),
};

static void train_defaults(void *values)
{
    *(TrainValues *)values = (TrainValues){
        .layers = 4, .width = 128, .heads = 4, .positions = 128, .lora_targets = "c_attn", .lora_alpha = 16,
        .steps = 1000, .warmup = -1, .batch = 8, .accumulate = 1, .seed = 1, .val_every = 100, .val_windows = 64,
        .val_share = 0.05, .lr = 3e-4, .beta1 = 0.9, .beta2 = 0.95, .decay = 0.1, .clip = 1, .floor = 0.1,
        .checkpoint_seconds = 300};
}

enum { GPT2_VOCAB = 50257, BYTE_VOCAB = 257 };

static Status new_config(const TrainValues *v, const Bpe *bpe, Gpt2Config *c)
{
    static const struct { const char *name; int64_t layers, width, heads; } sizes[] = {
        {"124M", 12, 768, 12}, {"355M", 24, 1024, 16}, {"774M", 36, 1280, 20}, {"1558M", 48, 1600, 25}};
    const bool big = v->size || (!bpe && tokens_is_bin(v->data));
    *c = (Gpt2Config){.vocab = v->vocab ? v->vocab : bpe ? bpe->n_vocab : big ? GPT2_VOCAB : BYTE_VOCAB,
                      .positions = v->positions, .width = v->width, .layers = v->layers, .heads = v->heads,
                      .eps = 1e-5, .tied = true};
    c->end_token = bpe ? bpe->endoftext : c->vocab - 1;
    if (v->size) {
        size_t i = 0;
        while (i < sizeof sizes / sizeof *sizes && strcmp(sizes[i].name, v->size)) i++;
        if (i == sizeof sizes / sizeof *sizes)
            return USAGE_ERROR("--size: want 124M, 355M, 774M or 1558M, got '%s'", v->size);
        c->positions = 1024;
        c->layers = sizes[i].layers;
        c->width = sizes[i].width;
        c->heads = sizes[i].heads;
    }
    c->inner = 4 * c->width;
    return gpt2_config_check(c, "the new model");
}

static Status train_model(Cli *cli, const TrainValues *v, Gpt2Run *r)
{
    const bool frozen = v->lora || v->adapters;
    if (v->llm && v->size)
        return USAGE_ERROR("gpt2 train: wants --llm (a model to start from) or --size (a new one)");
    if (frozen && !v->llm)
        return USAGE_ERROR("gpt2 train: --lora and --adapters want --llm DIR, the frozen model");
    const bool nf4 = v->weights && !strcmp(v->weights, "nf4");
    if (v->weights && !nf4 && strcmp(v->weights, "f32"))
        return USAGE_ERROR("--llm-weights: want f32 or nf4, got '%s'", v->weights);
    if (nf4 && !frozen) return USAGE_ERROR("--llm-weights nf4: wants --lora or --adapters: 4 bits are not trained");
    Bpe *bpe;
    TRY(gpt2_tokenizer(cli, v->tokenizer, v->llm, &bpe, &r->tokenizer));
    r->bpe = bpe;
    if (v->llm) {
        const Gpt2Flags kind = !frozen ? GPT2_TRAINABLE : nf4 ? GPT2_FROZEN | GPT2_NF4 : GPT2_FROZEN;
        TRY(gpt2_load(&r->m, r->ps, "", v->llm, kind | GPT2_BLANK, cli->scratch));
        r->base = v->llm;
        if (r->m->note) cli_say("note: %s", r->m->note);
        if (!tokens_is_bin(v->data)) TRY(text_check(bpe, OK, v->llm, r->m->c.vocab));
    } else {
        Gpt2Config c;
        TRY(new_config(v, r->bpe, &c));
        r->m = gpt2_new(r->ps, "", &c, GPT2_TRAINABLE);
    }
    if (bpe) TRY(tokenizer_check(bpe, r->m->c.vocab));
    if (nf4) {
        gpt2_pack_nf4(r->m, cli->perm);
        nf4_say(r->m);
    }
    r->m->dropout = v->dropout;
    r->m->attention_dropout = v->attention_dropout;
    r->m->recompute = v->recompute;
    if (v->lora) {
        r->lora = (LoraConfig){.rank = v->lora, .alpha = v->lora_alpha};
        TRY(lora_targets_parse(v->lora_targets, &r->lora.targets));
        lora_attach(r->ps, "lora", r->m, &r->lora);
    }
    if (v->adapters)
        r->adapters = adapter_new(r->ps, "adapter", (int)r->m->c.layers, r->m->c.width,
                                  &(AdapterConfig){.bottleneck = v->adapters, .causal = true});
    return OK;
}

static Status train_data(Cli *cli, const TrainValues *v, int64_t context, Gpt2Run *r)
{
    const int64_t V = r->m->c.vocab;
    TRY(tokens_read(&r->train, cli->perm, cli->scratch, v->data, r->bpe, V));
    if (v->val) TRY(tokens_read(&r->val, cli->perm, cli->scratch, v->val, r->bpe, V));
    const int64_t kept = v->val ? 0 : (int64_t)(v->val_share * (double)r->train.n);
    r->train.n -= kept;
    if (!v->val) r->val = (Tokens){r->train.id + r->train.n, kept};
    if (r->train.n <= context)
        return ERROR("%s: want more than %lld tokens to train on, got %lld", v->data, (long long)context,
                     (long long)r->train.n);
    return OK;
}

typedef struct Watch { Progress bar; const volatile sig_atomic_t *stop; int64_t first; const Gpt2Run *r; } Watch;

static bool train_report(void *arg, const Gpt2TrainProgress *g, double val_loss)
{
    Watch *w = arg;
    if (w->first < 0) {
        w->first = g->step - 1;
        fprintf(stderr, "%lld of %lld parameters trained on %lld tokens, validated on %lld\n",
                (long long)paramset_count(w->r->ps, true), (long long)paramset_count(w->r->ps, false),
                (long long)w->r->train.n, (long long)w->r->val.n);
    }
    char text[80];
    snprintf(text, sizeof text, "loss %.4f lr %.2e", g->loss, g->lr);
    const double each = g->seconds / (double)(g->step - w->first);
    progress_show(&w->bar, g->step, g->steps, each * (double)(g->steps - g->step), text, g->step == g->steps);
    if (isfinite(val_loss))
        fprintf(stderr, "%s  step %lld of %lld: validation loss %.4f\n", w->bar.tty ? "\n" : "", (long long)g->step,
                (long long)g->steps, val_loss);
    return !*w->stop;
}

static void train_note(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "note: %s\n", text);
}

// --resume: what was given when the run was started, and is not given now.
static Status recall(Cli *cli, TrainValues *v)
{
    static const char *const not_recalled[] = {"out", "resume", "allow-other-bits", "profile", "stop-after", NULL};
    static const char *const names[] = {RUN_CHECKPOINT};
    const char *manifest;
    SafeFile f;
    TRY(run_directory_read(&f, cli->perm, v->out, names, 1));
    Status s = checkpoint_meta(&f, "gpt2.manifest", &manifest);
    if (!s.code) s = options_recall(cli, v, manifest, not_recalled, f.path);
    safetensors_close(&f);
    return s;
}

static Status train_run(Cli *cli, void *values)
{
    TrainValues *v = values;
    if (v->out && v->resume) TRY(recall(cli, v));
    if (!v->data || !v->out) return USAGE_ERROR("gpt2 train: wants --data FILE and --out DIR");
    ParamSet ps;
    paramset_init(&ps, cli->perm, &cli->device, (uint64_t)v->seed, false);
    ps.no_ema = true;
    Gpt2Run r = {.out = v->out, .resume = v->resume, .other_bits = v->allow_other_bits, .note = train_note, .ps = &ps,
                 .stop_after = v->stop_after, .val_every = v->val_every,
                 .val_windows = v->val_windows, .checkpoint_seconds = v->checkpoint_seconds,
                 .manifest = manifest_json(cli, cli->perm), .progress = train_report};
    Watch w = {progress_new(), cli->stop, -1, &r};
    r.arg = &w;
    TRY(train_model(cli, v, &r));
    const int64_t P = r.m->c.positions, context = v->context ? v->context : P < 256 ? P : 256;
    if (context > P)
        return USAGE_ERROR("--context: want at most the model's %lld positions, got %lld", (long long)P,
                           (long long)context);
    TRY(train_data(cli, v, context, &r));
    if (!r.bpe && !v->llm && !tokens_is_bin(v->data)) cli_say("note: no --tokenizer: the model's tokens are bytes");
    r.opt = (Gpt2TrainOptions){.batch = v->batch, .context = context, .accumulate = v->accumulate,
                               .in_order = v->in_order, .seed = (uint64_t)v->seed};
    r.optim = (Optim){.lr = v->lr, .beta1 = v->beta1, .beta2 = v->beta2, .eps = 1e-8, .decay = v->decay,
                      .clip = v->clip, .warmup = v->warmup < 0 ? v->steps / 20 : v->warmup, .total = v->steps,
                      .floor = v->floor};
    Tape t;
    tape_init(&t, &cli->device, cli->step, cli->scratch);
    if (v->profile) t.profile = profile_new(cli);
    TRY(gpt2_run(&r, &t));
    if (t.profile) profile_print(t.profile);
    if (r.optim.step < r.optim.total) cli_say("stopped; go on with: lead gpt2 train --out %s --resume", v->out);
    return OK;
}

const Verb verb_gpt2_train = {
    .name = "gpt2 train",
    .summary = "Trains GPT-2, new or from given weights: all of it, or LoRA and adapters on it.",
    OPTIONS(train_table), .size = sizeof(TrainValues), .defaults = train_defaults, .run = train_run, .stops = true,
    .ranks = true,
};

// ---- merge

typedef struct MergeValues { const char *llm, *adapter, *out; } MergeValues;

static const Option merge_table[] = {
    {"llm", OPT_TEXT, offsetof(MergeValues, llm), "DIR", "the model that the LoRA was trained on", 0, 0},
    {"adapter", OPT_TEXT, offsetof(MergeValues, adapter), "DIR", "LoRA: adapter_config.json, adapter_model.safetensors",
     0, 0},
    {"out", OPT_TEXT, offsetof(MergeValues, out), "DIR", "receives the merged model", 0, 0},
};

static Status merge_run(Cli *cli, void *values)
{
    const MergeValues *v = values;
    if (!v->llm || !v->adapter || !v->out) return USAGE_ERROR("gpt2 merge: wants --llm, --adapter and --out");
    ParamSet ps;
    Gpt2 *m;
    AdapterSet *s;
    paramset_init(&ps, cli->perm, &cli->device, 0, true);
    TRY(gpt2_load(&m, &ps, "", v->llm, GPT2_FROZEN | GPT2_BLANK, cli->scratch));
    if (m->note) cli_say("note: %s", m->note);
    TRY(gpt2_adapters_load(&s, NULL, &ps, m, v->adapter, cli->scratch));
    if (s)
        return ERROR("%s: want LoRA only, found bottleneck adapters: they are not linear and cannot be merged",
                     v->adapter);
    lora_merge(m, cli->scratch);
    return gpt2_save_beside(cli, m, v->llm, v->out, SAFE_F32);
}

const Verb verb_gpt2_merge = {
    .name = "gpt2 merge", .summary = "Writes a model with its LoRA merged into the weights.",
    OPTIONS(merge_table), .size = sizeof(MergeValues), .run = merge_run,
};

// ---- bpe-train

typedef struct BpeValues { const char *data, *out; int64_t vocab; } BpeValues;

static const Option bpe_table[] = {
    {"data", OPT_TEXT, offsetof(BpeValues, data), "FILE", "text to learn from, at most 512 MiB", 0, 0},
    {"out", OPT_TEXT, offsetof(BpeValues, out), "DIR", "receives vocab.json and merges.txt", 0, 0},
    {"vocab", OPT_INT, offsetof(BpeValues, vocab), "N",
     "tokens: 256 bytes, N - 257 merges and <|endoftext|> [2048]", 257,
     1 << 24},
};

static void bpe_defaults(void *values) { *(BpeValues *)values = (BpeValues){.vocab = 2048}; }

// "<|endoftext|>" separates documents and is no text to learn: it becomes a line end.
static size_t without_markers(char *out, const char *text, size_t n)
{
    static const char marker[] = "<|endoftext|>";
    const size_t len = sizeof marker - 1;
    size_t at = 0;
    for (size_t i = 0; i < n;) {
        const bool is_marker = n - i >= len && !memcmp(text + i, marker, len);
        out[at++] = is_marker ? '\n' : text[i];
        i += is_marker ? len : 1;
    }
    return at;
}

// A model's weights belong to its own vocabulary.
static Status refuse_weights(const char *dir, Arena *a)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "adapter_model.safetensors", "bottleneck.safetensors", RUN_CHECKPOINT,
                                        RUN_BEST, RUN_FINAL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool there;
        TRY(run_directory_holds(dir, names[i], &there, a));
        if (there) return ERROR("%s: holds weights, %s, and another vocabulary is not theirs; give another --out", dir,
                                names[i]);
    }
    return OK;
}

static Status bpe_run(Cli *cli, void *values)
{
    const BpeValues *v = values;
    if (!v->data || !v->out) return USAGE_ERROR("gpt2 bpe-train: wants --data FILE and --out DIR");
    TRY(refuse_weights(v->out, cli->scratch));
    TRY(directory_make(v->out));
    FileMap f;
    TRY(file_map(&f, v->data));
    TRY(tokens_check_text(f.data, f.size, v->data));
    char *text = arena_alloc(cli->perm, f.size);
    const size_t n = without_markers(text, (const char *)f.data, f.size);
    file_unmap(&f);
    Bpe b;
    const double t0 = clock_seconds();
    TRY(bpe_train(&b, cli->perm, cli->scratch, text, n, (int32_t)v->vocab));
    fprintf(stderr, "%d tokens from %zu bytes in %.1f s\n", b.n_vocab, n, clock_seconds() - t0);
    return bpe_save(&b, cli->scratch, arena_printf(cli->perm, "%s/vocab.json", v->out),
                    arena_printf(cli->perm, "%s/merges.txt", v->out));
}

const Verb verb_gpt2_bpe_train = {
    .name = "gpt2 bpe-train", .summary = "Learns a byte-level BPE vocabulary from a text.",
    OPTIONS(bpe_table), .size = sizeof(BpeValues), .defaults = bpe_defaults, .run = bpe_run,
};

// ---- corpus

typedef struct CorpusValues { const char *out; int64_t documents, seed; bool held_out; } CorpusValues;

static const Option corpus_table[] = {
    {"out", OPT_TEXT, offsetof(CorpusValues, out), "FILE", "text file to write", 0, 0},
    {"documents", OPT_INT, offsetof(CorpusValues, documents), "N", "number of documents [10000]", 1, 1e9},
    {"seed", OPT_INT, offsetof(CorpusValues, seed), "N", "seed [1]", 0, 9e15},
    {"held-out", OPT_FLAG, offsetof(CorpusValues, held_out), NULL,
     "write the held-out part instead of the training part", 0, 0},
};

static void corpus_defaults(void *values) { *(CorpusValues *)values = (CorpusValues){.documents = 10000, .seed = 1}; }

static Status corpus_run(Cli *cli, void *values)
{
    (void)cli;
    const CorpusValues *v = values;
    if (!v->out) return USAGE_ERROR("gpt2 corpus: wants --out FILE");
    FileWriter w;
    TRY(file_open(&w, v->out));
    char text[CORPUS_DOCUMENT_MAX];
    for (int64_t i = 0; i < v->documents; i++) {
        const CorpusPart part = v->held_out ? CORPUS_HELD_OUT : CORPUS_TRAIN;
        const size_t n = corpus_document(text, (uint64_t)v->seed, part, (uint64_t)i);
        file_put(&w, text, n);
        file_put(&w, "<|endoftext|>", 13);
    }
    return file_commit(&w, false);
}

const Verb verb_gpt2_corpus = {
    .name = "gpt2 corpus", .summary = "Writes the generated text that the bundled model is trained on.",
    OPTIONS(corpus_table), .size = sizeof(CorpusValues), .defaults = corpus_defaults, .run = corpus_run,
};
