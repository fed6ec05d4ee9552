#include "bench/models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void fatal(Status s)
{
    if (!s.code) return;
    fprintf(stderr, "bench: %s\n", s.msg);
    exit(1);
}

// ---- GPT-2

static const Gpt2Config gpt2_124m = {.vocab = 50257, .positions = 1024, .width = 768, .inner = 3072, .layers = 12,
                                     .heads = 12, .eps = 1e-5, .tied = true, .end_token = 50256};

static void open_gpt2(World *w, Gpt2Flags flags)
{
    const size_t room = w->dev.memory ? device_cuda_free(&w->dev) / 16 : 0;
    fatal(device_attach(&w->dev, w->perm, 5 * room));
    fatal(device_attach(&w->dev, w->step, 8 * room));
    fatal(device_attach(&w->dev, w->scratch, room));
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
    const Tokens tokens = {w->token, w->B * w->T + 1};
    fatal(gpt2_train_step(&w->tape, w->gpt2, NULL, &w->ps, &w->optim, tokens, &o, &w->gpt2_step, &p));
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
    CHECK(isfinite(sum), "bench: a weight is not finite");
    gpt2_close(m);
}

// ---- LEAD

static void open_session(World *w, const char *config, bool inference)
{
    LeadConfig cfg;
    fatal(config_preset(&cfg, config));
    fatal(session_open(&w->session, &cfg, &(SessionData){.synth_nodes = 12, .inference = inference}, w->dev));
}

static void open_lead(World *w, const char *config) { open_session(w, config, false); }
static void open_lead_frozen(World *w, const char *config) { open_session(w, config, true); }

// Parameters and gradients alone: a forward and a backward pass need no moments and no averages.
static void open_unet(World *w, const char *config)
{
    open_session(w, config, true);
    ParamSet *ps = &w->session.ps;
    for (int i = 0; i < ps->n; i++) {
        Tensor *p = &ps->p[i]->t;
        if (ps->p[i]->frozen) continue;
        p->needs_grad = true;
        p->g = device_zalloc(ps->dev, ps->perm, tensor_bytes(p));
    }
}

// As lead train runs it: clock, rows and rates go to the device, the rest is recorded where it can be.
static void round_lead_step(World *w)
{
    Session *s = &w->session;
    s->tape.record = s->tape.training = true;
    s->tape.profile = w->tape.profile;
    SessionStep step = session_step_values(s);
    device_repeat(&s->dev, &w->lead_step, session_step_work, &step);
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

// One window: conditions once, then `calls` calls of the network on the samples.
static void draw_samples(World *w, int samples, int calls)
{
    Session *s = &w->session;
    Tape *t = &s->tape;
    tape_reset(t);
    t->record = t->training = false;
    t->profile = w->tape.profile;
    const int64_t window = s->window[0] + s->cfg.history - 1;
    s->model.cfg.sample_steps = calls;
    const LeadBatch b = lead_data_batch(t, &s->data, lead_data_rows(&s->data, t->step, &window, 1), NULL, false);
    lead_sample(t, &s->model, &b, 1, samples, &window, t->profile ? NULL : &w->sampling);
}

static void round_forecast(World *w) { draw_samples(w, 32, 20); }

// B samples of one window in T network calls of DDIM.
static void round_sample(World *w)
{
    w->session.model.cfg.sampler = SAMPLER_DDIM;
    draw_samples(w, (int)w->B, (int)w->T);
}

static const ModelRow cpu_rows[] = {
    {"gpt2_forward", "124M B4 T64", 4, 64, NULL, open_frozen, round_forward, 256, "tokens"},
    {"gpt2_forward", "124M B1 T64", 1, 64, NULL, open_frozen, round_forward, 64, "tokens"},
    {"gpt2_forward", "124M B1 T1024", 1, 1024, NULL, open_frozen, round_forward, 1024, "tokens"},
    {"gpt2_decode", "124M 16 tokens", 1, 64, NULL, open_frozen, round_decode, DECODE_TOKENS, "tokens"},
    {"gpt2_train", "124M B4 T64 AdamW", 4, 64, NULL, open_trainable, round_train, 256, "tokens"},
    {"gpt2_adapters", "124M frozen B4 T64", 4, 64, NULL, open_adapted, round_adapters, 256, "tokens"},
    {"gpt2_load", "124M safetensors", 1, 1, NULL, open_saved, round_load, 0, ""},
    {"unet", "paper batch 32 fwd+bwd", 0, 0, "paper", open_unet, round_unet, 32, "images"},
    {"lead_step", "image batch 32", 0, 0, "image", open_lead, round_lead_step, 32, "windows"},
    {"lead_step", "paper batch 32", 0, 0, "paper", open_lead, round_lead_step, 32, "windows"},
    {"lead_forecast", "image 20 steps x 32", 0, 0, "image", open_lead_frozen, round_forecast, 32, "samples"},
    {"lead_forecast", "paper 20 steps x 32", 0, 0, "paper", open_lead_frozen, round_forecast, 32, "samples"},
};
// Wanted of a GPU: docs/bench.md.
static const ModelRow gpu_rows[] = {
    {"lead_step", "small batch 32", 0, 0, "small", open_lead, round_lead_step, 32, "windows"},
    {"lead_step", "image batch 32", 0, 0, "image", open_lead, round_lead_step, 32, "windows"},
    {"lead_step", "paper batch 32", 0, 0, "paper", open_lead, round_lead_step, 32, "windows"},
    {"lead_sample", "image 20 steps x 1, 50 DDIM", 1, 50, "image", open_lead_frozen, round_sample, 1, "samples"},
    {"lead_sample", "image 20 steps x 32, 50 DDIM", 32, 50, "image", open_lead_frozen, round_sample, 32, "samples"},
    {"lead_sample", "paper 20 steps x 1, 50 DDIM", 1, 50, "paper", open_lead_frozen, round_sample, 1, "samples"},
    {"lead_sample", "paper 20 steps x 32, 50 DDIM", 32, 50, "paper", open_lead_frozen, round_sample, 32, "samples"},
    {"gpt2_forward", "124M B4 T1024", 4, 1024, NULL, open_frozen, round_forward, 4096, "tokens"},
    {"gpt2_train", "124M B4 T64 AdamW", 4, 64, NULL, open_trainable, round_train, 256, "tokens"},
    {"gpt2_train", "124M B16 T1024 AdamW", 16, 1024, NULL, open_trainable, round_train, 16384, "tokens"},
    {"gpt2_decode", "124M 16 tokens", 1, 64, NULL, open_frozen, round_decode, DECODE_TOKENS, "tokens"},
};

const ModelRow *model_rows(int *n)
{
    *n = (int)(sizeof cpu_rows / sizeof *cpu_rows);
    return cpu_rows;
}

const ModelRow *model_rows_gpu(int *n)
{
    *n = (int)(sizeof gpu_rows / sizeof *gpu_rows);
    return gpu_rows;
}

World *world_open(const ModelRow *r, const char *config, const Device *dev)
{
    World *w = calloc(1, sizeof *w);
    CHECK(w, "bench: no memory");
    *w = (World){.dev = *dev, .B = r->B, .T = r->T};
    w->perm = arena_new("perm", (size_t)32 << 30, NULL);
    w->step = arena_new("step", (size_t)32 << 30, NULL);
    w->scratch = arena_new("scratch", (size_t)16 << 30, NULL);
    CHECK(w->perm && w->step && w->scratch, "bench: no address space");
    r->open(w, config ? config : r->config);
    w->mark = arena_mark(w->perm);
    return w;
}

void world_close(World *w)
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
    device_repeat_end(w->session.perm ? &w->session.dev : &w->dev, &w->lead_step);
    device_repeat_end(w->session.perm ? &w->session.dev : &w->dev, &w->sampling.work);
    device_repeat_end(&w->dev, &w->gpt2_step.work);
    session_close(&w->session);
    Arena *const a[] = {w->scratch, w->step, w->perm};
    for (int i = 0; i < 3; i++) {
        arena_rewind(a[i], 0);
        device_detach(&w->dev, a[i]);
        arena_delete(a[i]);
    }
    free(w);
}
