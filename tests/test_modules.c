// Gradients of whole modules: every element of every parameter and of every input of tiny
// configurations, f64, against central differences.  Zero-initialised parameters are given random values first: a layer
// that starts at zero would hide everything behind it.
#include <omp.h>

#include "lead_world.h"

enum { MOST = 1024 };

typedef struct Inputs { Tensor *x[MOST]; int n; } Inputs;

static Tensor *with_grad(World *w, Tensor *x)
{
    x->needs_grad = true;
    x->g = arena_zalloc(w->perm, tensor_bytes(x));
    return x;
}

// Every trainable parameter, then `extra` inputs.
static Inputs all_of(const World *w, int n_extra, Tensor *const *extra)
{
    Inputs in = {.n = 0};
    for (int i = 0; i < w->ps.n; i++)
        if (!w->ps.p[i]->frozen) in.x[in.n++] = &w->ps.p[i]->t;
    for (int i = 0; i < n_extra; i++) in.x[in.n++] = extra[i];
    CHECK(in.n <= MOST, "%d tensors", in.n);
    return in;
}

// sum of y * r, r fixed and random: a cotangent that no symmetry hides from.
static Tensor *dot(Tape *t, Tensor *y, uint32_t id)
{
    float *r = arena_alloc(t->step, (size_t)numel(y) * sizeof *r);
    random_f32(r, numel(y), 500 + id);
    return tape_sum(t, tape_mul(t, y, tape_from_f32(t, y->shape, r)));
}

// ---- E3

typedef struct VisionCase { Vision v; Tensor *frames; } VisionCase;

static Tensor *vision_loss(Tape *t, void *ctx)
{
    const VisionCase *c = ctx;
    return dot(t, vision_apply(t, &c->v, c->frames), 1);
}

static void check_vision(TestLog *log, int N, int channels, int stages)
{
    World *w = world_new(device_cpu_f64(), false);
    VisionCase c = {.v = vision_new(&w->ps, "vision", VISION_MULTI, N, channels, 4, stages, 4)};
    world_randomise(w, 0.2);
    c.frames = with_grad(w, normal_tensor(w, SHAPE(2, N, N, channels), 1));
    const Inputs in = all_of(w, 1, &c.frames);
    module_gradients(log, N == 5 ? "vision, N = 5" : "vision, N = 16 with the 7x7 stem", w, vision_loss, &c, in.x,
                     in.n);
    world_delete(w);
}

// ---- E4

typedef struct AggCase { Aggregator a; Tensor *f, *slot, *dow; } AggCase;

static Tensor *agg_loss(Tape *t, void *ctx)
{
    const AggCase *c = ctx;
    return dot(t, aggregator_apply(t, &c->a, c->f, c->slot, c->dow), 2);
}

static void check_aggregator(TestLog *log)
{
    World *w = world_new(device_cpu_f64(), false);
    // With dropout: the same mask at each address.
    AggCase c = {.a = aggregator_new(&w->ps, "agg", 3, 2, 4, 2, 2, 2, 0.2)};
    world_randomise(w, 0.3);
    c.f = with_grad(w, normal_tensor(w, SHAPE(3, 3, 4), 2));
    c.slot = tensor_new(w->perm, &w->dev, I32, SHAPE(3, 3), "slot");
    c.dow = tensor_new(w->perm, &w->dev, I32, SHAPE(3, 3), "dow");
    tensor_set_i32(c.slot, (int32_t[]){0, 1, 0, 1, 0, 1, 0, 1, 0}, 9);
    tensor_set_i32(c.dow, (int32_t[]){0, 1, 2, 3, 4, 5, 6, 0, 1}, 9);
    const Inputs in = all_of(w, 1, &c.f);
    module_gradients(log, "aggregator", w, agg_loss, &c, in.x, in.n);
    world_delete(w);
}

// ---- U-Net

typedef struct UnetCase { UNet u; Tensor *x, *time, *g, *s; } UnetCase;

static Tensor *unet_loss(Tape *t, void *ctx)
{
    const UnetCase *c = ctx;
    return dot(t, unet_apply(t, &c->u, c->x, c->time, c->g, c->s), 3);
}

static void check_unet(TestLog *log, int N, int levels, int blocks)
{
    World *w = world_new(device_cpu_f64(), false);
    const UNetConfig cfg = {.in_channels = 2,
                            .out_channels = 2,
                            .base = 4,
                            .levels = levels,
                            .mult = {1, 1, 1, 1},
                            .blocks = blocks,
                            .cond_width = 3,
                            .seq_width = 3,
                            .heads = 2};
    UnetCase c = {.u = unet_new(&w->ps, "unet", cfg)};
    world_randomise(w, 0.2);
    c.x = with_grad(w, normal_tensor(w, SHAPE(2, N, N, 2), 3));
    c.g = with_grad(w, normal_tensor(w, SHAPE(2, 3), 4));
    c.s = with_grad(w, normal_tensor(w, SHAPE(2, 2, 3), 5));
    c.time = tensor_new(w->perm, &w->dev, REAL, SHAPE(2), "time");
    tensor_set_f64(c.time, (double[]){3, 700}, 2);
    const Inputs in = all_of(w, 3, (Tensor *[]){c.x, c.g, c.s});
    module_gradients(log, N == 5 ? "U-Net, N = 5" : "U-Net, N = 4", w, unet_loss, &c, in.x, in.n);
    world_delete(w);
}

// ---- the whole of LEAD

typedef struct LeadCase { LeadModel *m; LeadBatch batch; bool condition_only; } LeadCase;

static Tensor *lead_case_loss(Tape *t, void *ctx)
{
    const LeadCase *c = ctx;
    tape_set_step(t, 7);
    if (!c->condition_only) return lead_loss(t, c->m, &c->batch);
    const Condition k = lead_condition_drop(t, c->m, lead_condition(t, c->m, &c->batch),
                                            tape_from_f32(t, SHAPE(3), (float[]){1, 0, 1}));
    return tape_add(t, dot(t, k.g, 4), dot(t, k.s, 5));
}

typedef struct Choice {
    const char *name;
    int N, target, prediction, horizons, encoding, levels;
    bool context, condition_only;
} Choice;

// Preset tiny, narrower.  Widths of 4 where a layer norm follows: over two values it is +-1, without a gradient.
static LeadConfig choice_config(const Choice *ch, const char *llm)
{
    LeadConfig c = tiny_lead(llm);
    c.target = ch->target, c.prediction = ch->prediction, c.horizons = ch->horizons, c.encoding = ch->encoding;
    c.pixel_condition = ch->context;
    c.history = 2, c.horizon = 2, c.batch = 3, c.tokens = 2;
    c.enc_base = 2, c.enc_stages = 2, c.enc_width = ch->condition_only ? 8 : 4, c.agg_heads = 2, c.agg_layers = 1;
    c.adapter_width = 4, c.lora_rank = 1, c.cond_width = 2, c.unet_base = 4, c.unet_levels = ch->levels,
    c.unet_heads = 1;
    c.cond_drop = 0.4, c.loss_traffic = 0.5, c.loss_pool = 0.3, c.loss_sobel = 0.1, c.dropout = 0.1;
    return c;
}

static void check_lead(TestLog *log, const Choice *ch, const char *llm)
{
    World *w = world_new(device_cpu_f64(), false);
    const LeadConfig cfg = choice_config(ch, llm);
    const TrafficSeries s = synth_series(log, w->perm, ch->N, 40, 21600);
    LeadStats st = fitted(log, w->perm, &s, &cfg);
    const LeadShape shape = lead_stats_shape(&st, &cfg);
    LeadCase c = {.m = lead_world_model(w, &cfg, shape, 0.2), .condition_only = ch->condition_only};
    Tape keep;   // its step arena holds the batch, and is not reset
    tape_init(&keep, &w->dev, w->step, w->scratch);
    const LeadData data = data_of(log, &keep, w->perm, &st, &cfg, &s);
    c.batch = lead_data_batch(&keep, &data, lead_data_rows(&data, w->step, (int64_t[]){20, 33, 47}, 3), NULL, true);
    Inputs in = all_of(w, 0, NULL);
    if (ch->condition_only) {   // what comes before the U-Net
        int n = 0;
        for (int i = 0; i < in.n; i++)
            if (strncmp(in.x[i]->name, "unet.", 5) && strcmp(in.x[i]->name, "pixel")) in.x[n++] = in.x[i];
        in.n = n;
    }
    module_gradients(log, ch->name, w, lead_case_loss, &c, in.x, in.n);
    world_delete(w);
}

void test_modules(TestLog *log)
{
    static const Choice choices[] = {
        {"conditions g and S", 4, TARGET_RESIDUAL, PREDICT_V, HORIZON_DIRECT, ENCODING_RGB, 1, true, true},
        {"LEAD loss: residual, v, direct", 4, TARGET_RESIDUAL, PREDICT_V, HORIZON_DIRECT, ENCODING_RGB, 1, true, false},
        {"LEAD loss: level, epsilon, direct, N = 5", 5, TARGET_LEVEL, PREDICT_EPS, HORIZON_DIRECT, ENCODING_RGB, 1,
         false, false},
        {"LEAD loss: residual, x0, rollout, grey", 4, TARGET_RESIDUAL, PREDICT_X0, HORIZON_ROLLOUT, ENCODING_GREY, 1,
         true, false},
    };
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);   // tensors of a few values
    Arena *a = arena_new("names", (size_t)1 << 27, NULL);
    check_vision(log, 5, 3, 2);
    check_aggregator(log);
    check_unet(log, 5, 2, 1);
    if (!log->quick) {
        check_vision(log, 16, 1, 1);
        check_unet(log, 4, 2, 1);
    }
    const char *llm = tiny_llm(log, a);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        if (!log->quick || i == 2) check_lead(log, &choices[i], llm);
    arena_delete(a);
    omp_set_num_threads(before);
}
