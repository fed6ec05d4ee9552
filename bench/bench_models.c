// Whole models, beside PyTorch eager and onnxruntime (bench/peers/models.py): GPT-2 124M with random weights, LEAD's
// U-Net, its training step and its forecast.  Rounds of ours and theirs in turn; medians.
//   bench_models [--threads 1,2] [--reps 5] [--tsv FILE] [--memory FILE] [--python CMD] [row ...]
// Columns as of bench_ops; variant `lead` runs the fastest kernels (LEAD_ISA caps them).  gflops, gbps and pct_ceiling
// add up what the ops of the row do (op_work) and what the roofline of each allows.
// --memory: each row once more in processes of its own, peak resident MiB of either, as TSV.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/peer.h"
#include "bench/session.h"
#include "llm/train.h"
#include "tensor/ceiling.h"

typedef struct World {
    Device dev;
    Arena *perm, *step, *scratch;
    ParamSet ps;
    Tape tape;
    Optim optim;
    Gpt2 *gpt2;
    AdapterSet *adapters;
    Gpt2Cache *cache;
    size_t mark;               // perm, before each round
    int64_t B, T;
    int32_t *token;
    const char *dir;           // of weights on disk
    Session session;
    int64_t n_steps;
} World;

typedef struct Row {
    const char *name, *label;
    int64_t B, T;
    const char *config;
    void (*open)(World *w, const char *config);
    void (*round)(World *w);
    double per_second;         // of one round: tokens, samples; 0: not said
    const char *what;
} Row;

static void fatal(Status s)
{
    if (!s.code) return;
    fprintf(stderr, "bench_models: %s\n", s.msg);
    exit(1);
}

// ---- GPT-2

static const Gpt2Config gpt2_124m = {.vocab = 50257, .positions = 1024, .width = 768, .inner = 3072, .layers = 12,
                                     .heads = 12, .eps = 1e-5, .tied = true, .end_token = 50256};

static void open_gpt2(World *w, Gpt2Flags flags)
{
    paramset_init(&w->ps, w->perm, &w->dev, 1, false);
    w->gpt2 = gpt2_new(&w->ps, "", &gpt2_124m, flags);
    tape_init(&w->tape, &w->dev, w->step, w->scratch);
    w->token = arena_alloc(w->perm, (size_t)(w->B * w->T + 1) * sizeof *w->token);
    for (int64_t i = 0; i <= w->B * w->T; i++)
        w->token[i] = (int32_t)((uint64_t)philox_u32(1, philox_subsequence(SITE_TEST, 0), (uint64_t)i) * 50257 >> 32);
    w->optim = (Optim){.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01, .clip = 1,
                       .total = 1000000};
}

static void open_frozen(World *w, const char *config) { (void)config, open_gpt2(w, GPT2_FROZEN); }
static void open_trainable(World *w, const char *config) { (void)config, open_gpt2(w, GPT2_TRAINABLE); }

static void open_adapted(World *w, const char *config)
{
    open_frozen(w, config);
    w->adapters = adapter_new(&w->ps, "adapter", 12, 768, &(AdapterConfig){.bottleneck = 128});
}

static void round_forward(World *w)
{
    Tape *t = &w->tape;
    tape_reset(t);
    t->record = t->training = false;
    gpt2_logits(t, w->gpt2, gpt2_forward_tokens(t, w->gpt2, tape_from_i32(t, SHAPE(w->B, w->T), w->token), NULL));
}

static void round_train(World *w)
{
    const Gpt2TrainOptions o = {.batch = w->B, .context = w->T, .accumulate = 1, .in_order = true};
    Gpt2TrainProgress p;
    fatal(gpt2_train_step(&w->tape, w->gpt2, NULL, &w->ps, &w->optim, (Tokens){w->token, w->B * w->T + 1}, &o, &p));
}

// Loss: the mean square of the last hidden state; gradients reach the embedded tokens and every adapter.
static void round_adapters(World *w)
{
    Tape *t = &w->tape;
    tape_reset(t);
    t->record = t->training = true;
    paramset_zero_grad(&w->ps);
    Tensor *x = tape_embedding(t, w->gpt2->wte, tape_from_i32(t, SHAPE(w->B, w->T), w->token));
    x->needs_grad = true;
    const Gpt2Hook hook = adapter_hook(w->adapters);
    Tensor *z = gpt2_forward_embeds(t, w->gpt2, x, &hook);
    tape_backward(t, tape_mse(t, z, tape_zeros(t, z->shape)));
    optim_step(&w->optim, t, &w->ps);
}

enum { DECODE_PROMPT = 64, DECODE_TOKENS = 16 };

// A prompt is not timed by itself: 16 tokens after 64, one at a time, logits of each.
static void round_decode(World *w)
{
    Tape *t = &w->tape;
    arena_rewind(w->perm, w->mark);
    t->record = t->training = false;
    tape_reset(t);
    Gpt2Cache *cache = gpt2_cache_new(w->perm, w->gpt2, 1, DECODE_PROMPT + DECODE_TOKENS, NULL);
    for (int i = 0; i < DECODE_TOKENS; i++) {
        tape_reset(t);
        Tensor *h = gpt2_forward_cached(t, w->gpt2, cache, tape_from_i32(t, SHAPE(1, 1), w->token + i), NULL);
        gpt2_logits(t, w->gpt2, h);
    }
}

static void open_saved(World *w, const char *config)
{
    open_frozen(w, config);
    const char *tmp = getenv("TMPDIR");
    w->dir = arena_printf(w->perm, "%s/lead_bench_gpt2.%d", tmp ? tmp : "/tmp", (int)getpid());
    fatal(gpt2_save(w->gpt2, w->dir, w->scratch));
}

static void round_load(World *w)
{
    arena_rewind(w->perm, w->mark);
    ParamSet ps;
    Gpt2 *m;
    paramset_init(&ps, w->perm, &w->dev, 1, true);
    fatal(gpt2_load(&m, &ps, "", w->dir, GPT2_FROZEN | GPT2_BLANK, w->scratch));
    double sum = 0;   // every page is asked for: a file that is only mapped is not loaded yet
    for (int i = 0; i < ps.n; i++)
        for (int64_t j = 0, n = numel(&ps.p[i]->t); j < n; j += 1024) sum += (double)((const float *)ps.p[i]->t.x)[j];
    CHECK(isfinite(sum), "bench_models: a weight is not finite");
    gpt2_close(m);
}

// ---- LEAD

static void open_lead(World *w, const char *config)
{
    LeadConfig cfg;
    fatal(config_preset(&cfg, config));
    fatal(session_open(&w->session, &cfg, &(SessionData){.synth_nodes = 12}, w->dev));
}

static void round_lead_step(World *w)
{
    Session *s = &w->session;
    s->tape.record = s->tape.training = true;
    s->tape.profile = w->tape.profile;
    LeadBatch b;
    Tensor *l = session_loss(s, w->n_steps++, &b);
    tape_backward(&s->tape, l);
    optim_step(&s->optim, &s->tape, &s->ps);
}

// One U-Net step of a batch: forward, backward to every parameter and both conditions; no optimiser.
static void round_unet(World *w)
{
    Session *s = &w->session;
    Tape *t = &s->tape;
    const LeadConfig *c = &s->cfg;
    t->record = t->training = true;
    t->profile = w->tape.profile;
    tape_reset(t);
    paramset_zero_grad(&s->ps);
    const Shape image = SHAPE(c->batch, 12, 12, s->model.unet.cfg.in_channels);
    Tensor *x = tape_randn(t, image, (RandomAddress){.site = SITE_TEST}, 0);
    Tensor *g = tape_zeros(t, SHAPE(c->batch, c->cond_width));
    Tensor *q = tape_zeros(t, SHAPE(c->batch, c->tokens, c->cond_width));
    g->needs_grad = q->needs_grad = true;
    Tensor *time = tape_scale(t, tape_zeros(t, SHAPE(c->batch)), 0, 500);
    Tensor *y = unet_apply(t, &s->model.unet, x, time, g, q);
    tape_backward(t, tape_mse(t, y, tape_zeros(t, y->shape)));
}

// One window: conditions once, then sample_steps calls of the network on 32 samples.
static void round_forecast(World *w)
{
    Session *s = &w->session;
    Tape *t = &s->tape;
    tape_reset(t);
    t->record = t->training = false;
    t->profile = w->tape.profile;
    const int64_t window = s->window[0] + s->cfg.history - 1;
    s->model.cfg.sample_steps = 20;
    const LeadBatch b = features_batch(t, &s->data, lead_data_rows(&s->data, t->step, &window, 1), NULL, false);
    lead_sample(t, &s->model, &b, 1, 32, &window);
}

static const Row rows[] = {
    {"gpt2_forward", "124M B4 T64", 4, 64, NULL, open_frozen, round_forward, 256, "tokens"},
    {"gpt2_forward", "124M B1 T64", 1, 64, NULL, open_frozen, round_forward, 64, "tokens"},
    {"gpt2_forward", "124M B1 T1024", 1, 1024, NULL, open_frozen, round_forward, 1024, "tokens"},
    {"gpt2_decode", "124M 16 tokens", 1, 64, NULL, open_frozen, round_decode, DECODE_TOKENS, "tokens"},
    {"gpt2_train", "124M B4 T64 AdamW", 4, 64, NULL, open_trainable, round_train, 256, "tokens"},
    {"gpt2_adapters", "124M frozen B4 T64", 4, 64, NULL, open_adapted, round_adapters, 256, "tokens"},
    {"gpt2_load", "124M safetensors", 1, 1, NULL, open_saved, round_load, 0, ""},
    {"unet", "paper batch 32 fwd+bwd", 0, 0, "paper", open_lead, round_unet, 32, "images"},
    {"lead_step", "small batch 32", 0, 0, "small", open_lead, round_lead_step, 32, "windows"},
    {"lead_step", "paper batch 32", 0, 0, "paper", open_lead, round_lead_step, 32, "windows"},
    {"lead_forecast", "small 20 steps x 32", 0, 0, "small", open_lead, round_forecast, 32, "samples"},
    {"lead_forecast", "paper 20 steps x 32", 0, 0, "paper", open_lead, round_forecast, 32, "samples"},
};
enum { N_ROWS = (int)(sizeof rows / sizeof *rows), MAX_REPS = 51 };

static World *world_open(const Row *r, const Device *dev)
{
    World *w = calloc(1, sizeof *w);
    CHECK(w, "bench_models: no memory");
    *w = (World){.dev = *dev, .B = r->B, .T = r->T};
    w->perm = arena_new("perm", (size_t)32 << 30, NULL);
    w->step = arena_new("step", (size_t)32 << 30, NULL);
    w->scratch = arena_new("scratch", (size_t)16 << 30, NULL);
    CHECK(w->perm && w->step && w->scratch, "bench_models: no address space");
    r->open(w, r->config);
    w->mark = arena_mark(w->perm);
    return w;
}

static void world_close(World *w)
{
    if (w->dir) {
        char path[4200];
        const char *const file[] = {"config.json", "model.safetensors"};
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/%s", w->dir, file[i]);
            remove(path);
        }
        rmdir(w->dir);
    }
    session_close(&w->session);
    arena_delete(w->perm);
    arena_delete(w->step);
    arena_delete(w->scratch);
    free(w);
}

// ---- measurement

typedef struct Bench {
    Device dev;
    Peer peer[2];
    int n_peers, threads, reps;
    Ceiling ceiling;
    Arena *mem;
    FILE *tsv;
} Bench;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static ProfileRow profile_sum(const Profile *p)
{
    ProfileRow sum = {0};
    for (int i = 0; i < OP_COUNT; i++)
        for (int k = 0; k < 2; k++) {
            const ProfileRow *r = k ? &p->bwd[i] : &p->fwd[i];
            sum.flops += r->flops, sum.bytes += r->bytes, sum.least += r->least;
        }
    return sum;
}

static void report(const Bench *b, const Row *r, const char *variant, double t, double ours, const ProfileRow *work)
{
    const double pct = 100 * work->least / t;
    printf("  %s %.1f ms", variant, t * 1e3);
    if (work->flops > 0) printf(" (%.0f GFLOP/s, %.0f%%)", work->flops / t * 1e-9, pct);
    if (r->per_second > 0) printf(" %.1f %s/s", r->per_second / t, r->what);
    if (t != ours) printf(" x%.2f", t / ours);
    if (!b->tsv) return;
    fprintf(b->tsv, "%s\t%s\t%s\t%d\t%.1f\t", r->name, variant, r->label, b->threads, t * 1e6);
    if (work->flops > 0) fprintf(b->tsv, "%.2f\t%.2f\t%.1f\tNA\n", work->flops / t * 1e-9, work->bytes / t * 1e-9, pct);
    else fprintf(b->tsv, "NA\tNA\tNA\tNA\n");
}

static void measure(Bench *b, const Row *r)
{
    double time[3][MAX_REPS];
    bool has[2] = {false, false};
    World *w = world_open(r, &b->dev);
    Profile *profile = arena_zalloc(b->mem, sizeof *profile);
    r->round(w);
    profile->ceiling = &b->ceiling;
    w->tape.profile = profile;
    r->round(w);
    w->tape.profile = w->session.tape.profile = NULL;
    for (int i = 0; i < b->n_peers; i++)
        has[i] = !b->peer[i].missing && peer_python_model(&b->peer[i], r->name, r->label, b->threads);
    for (int rep = 0; rep < b->reps; rep++) {
        const double start = bench_seconds(b->threads);
        r->round(w);
        time[2][rep] = bench_seconds(b->threads) - start;
        for (int i = 0; i < b->n_peers; i++)
            if (has[i]) time[i][rep] = b->peer[i].run(&b->peer[i], NULL, FWD, 1, b->threads);
    }
    const ProfileRow work = profile_sum(profile);
    const double ours = median(time[2], b->reps);
    printf("%-13s %-24s", r->name, r->label);
    report(b, r, "lead", ours, ours, &work);
    for (int i = 0; i < b->n_peers; i++)
        if (has[i]) report(b, r, b->peer[i].name, median(time[i], b->reps), ours, &work);
    printf("\n");
    fflush(stdout);
    if (b->tsv) fflush(b->tsv);
    world_close(w);
}

// ---- memory

static double peak_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

// What a process prints when it runs one row twice.
static double ask_memory(Arena *a, const char *program, const Row *r)
{
    FILE *f = popen(arena_printf(a, "%s '%s' '%s'", program, r->name, r->label), "r");
    double mib = NAN;
    if (!f) return mib;
    if (fscanf(f, "peak_mib %lf", &mib) != 1) mib = NAN;
    return pclose(f) == 0 ? mib : NAN;
}

static int once(const char *name, const char *label)
{
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].name, name) || strcmp(rows[i].label, label)) continue;
        const Device dev = device_cpu_f32(isa_detect());
        World *w = world_open(&rows[i], &dev);
        for (int k = 0; k < 2; k++) rows[i].round(w);
        printf("peak_mib %.1f\n", peak_mib());
        world_close(w);
        return 0;
    }
    return 2;
}

// ---- command line

static int usage(void)
{
    fprintf(stderr, "usage: bench_models [--threads 1,2] [--reps 1..51] [--tsv FILE] [--memory FILE] [--python CMD] "
                    "[row ...]\n");
    return 2;
}

static bool asked_for(const Row *r, char *const *names, int n)
{
    bool wanted = n == 0;
    for (int i = 0; i < n; i++) wanted |= strcmp(names[i], r->name) == 0;
    return wanted;
}

static int memory_rows(Arena *a, const char *path, const char *self, const char *python, char *const *names, int n)
{
    FILE *f = fopen(path, "w");
    if (!f) return perror(path), 1;
    fprintf(f, "row\tshape\tvariant\tpeak_mib\n");
    for (int i = 0; i < N_ROWS; i++) {
        if (!asked_for(&rows[i], names, n)) continue;
        const double ours = ask_memory(a, arena_printf(a, "%s --once", self), &rows[i]);
        const double theirs =
            python ? ask_memory(a, arena_printf(a, "%s bench/peers/models.py --memory", python), &rows[i]) : NAN;
        fprintf(f, "%s\t%s\tlead\t%.0f\n", rows[i].name, rows[i].label, ours);
        if (!isnan(theirs)) fprintf(f, "%s\t%s\ttorch\t%.0f\n", rows[i].name, rows[i].label, theirs);
        printf("%-13s %-24s peak memory: lead %.0f MiB, torch %.0f MiB\n", rows[i].name, rows[i].label, ours, theirs);
        fflush(stdout);
    }
    return fclose(f) != 0;
}

int main(int argc, char **argv)
{
    if (!getenv("OMP_PROC_BIND")) {   // read before main: set it and start again
        setenv("OMP_PROC_BIND", "true", 1);
        setenv("GOMP_SPINCOUNT", "20000", 0);
        execv("/proc/self/exe", argv);
    }
    if (argc == 4 && strcmp(argv[1], "--once") == 0) return once(argv[2], argv[3]);
    static Bench b = {.reps = 5};
    const char *threads = "1,2", *tsv = NULL, *python = NULL, *memory = NULL;
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        const char *value = argv[first + 1];
        if (strcmp(argv[first], "--threads") == 0) threads = value;
        else if (strcmp(argv[first], "--reps") == 0) b.reps = atoi(value);
        else if (strcmp(argv[first], "--tsv") == 0) tsv = value;
        else if (strcmp(argv[first], "--memory") == 0) memory = value;
        else if (strcmp(argv[first], "--python") == 0) python = value;
        else return usage();
    }
    if (b.reps < 1 || b.reps > MAX_REPS || (first < argc && argv[first][0] == '-')) return usage();
    Isa have = isa_detect(), cap;
    const char *text = getenv("LEAD_ISA");
    if (text && *text && !isa_parse(text, &cap).code && cap < have) have = cap;
    b.dev = device_cpu_f32(have);
    b.mem = arena_new("bench", (size_t)4 << 30, NULL);
    CHECK(b.mem, "bench_models: no memory");
    if (tsv && !(b.tsv = fopen(tsv, "w"))) return perror(tsv), 1;
    if (b.tsv) fprintf(b.tsv, "op\tvariant\tshape\tthreads\ttime_us\tgflops\tgbps\tpct_ceiling\tx_scalar\n");
    if (python) peer_python(b.peer, python, "bench/peers/models.py", have, omp_get_num_procs(), b.mem);
    b.n_peers = python ? 2 : 0;
    for (int i = 0; i < b.n_peers; i++)
        printf("peer %s: %s%s\n", b.peer[i].name, b.peer[i].missing ? "missing: " : "", b.peer[i].about);
    for (const char *t = threads; *t; t += strcspn(t, ","), t += *t == ',') {
        b.threads = atoi(t);
        if (b.threads < 1 || b.threads > omp_get_num_procs()) continue;
        omp_set_num_threads(b.threads);
        b.ceiling = ceiling_measure(have, b.threads, 5, b.mem);
        printf("threads %d, %s\n", b.threads, isa_name(have));
        for (int i = 0; i < N_ROWS; i++)
            if (asked_for(&rows[i], argv + first, argc - first)) measure(&b, &rows[i]);
    }
    if (b.tsv && fclose(b.tsv) != 0) return 1;
    return memory ? memory_rows(b.mem, memory, argv[0], python, argv + first, argc - first) : 0;
}
