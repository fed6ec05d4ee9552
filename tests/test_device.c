// Devices with memory of their own: the whole program runs over memory that the host may not touch
// (tests/emulate/fence.h), and every file and forecast has the same bits as on the CPU.
#include <unistd.h>

#include "lead/forecast.h"
#include "lead/train.h"
#include "lead_world.h"
#include "llm/generate.h"
#include "llm/train.h"
#include "io/file.h"
#include "run_lead.h"
#include "tests/emulate/fence.h"
#include "tests/rig.h"

enum { NODES = 4, WINDOWS = 3 };   // WINDOWS: the third forecast is a replayed one

// ---- the block of an arena

static void test_block(TestLog *log)
{
    static unsigned char room[1 << 16];
    Arena *a = arena_new("test", (size_t)64 << 20, NULL);
    CHECK(a, "no address space");
    arena_attach(a, room, sizeof room);
    char *one = arena_device_alloc(a, 10), *two = arena_device_alloc(a, 300);
    TEST(log, (unsigned char *)one == room && two == one + 256 && arena_device_used(a) == 768, "first allocations");
    const size_t mark = arena_mark(a);
    for (int round = 0; round < 3; round++) {
        char *host = arena_alloc(a, 100);
        char *three = arena_device_alloc(a, 1), *four = arena_device_alloc(a, 1);
        TEST(log, three == two + 512 && four == three + 256 && host < (char *)arena_alloc(a, 1),
             "round %d: other addresses", round);
        arena_rewind(a, mark);
        TEST(log, arena_device_used(a) == 768, "round %d: %zu bytes in use after rewinding", round,
             arena_device_used(a));
    }
    TEST(log, arena_device_peak(a) == 1280, "peak %zu", arena_device_peak(a));
    const size_t inner = arena_mark(a);
    arena_rewind(a, inner);
    TEST(log, arena_device_used(a) == 768, "rewinding to where it is changes nothing");
    arena_rewind(a, 0);
    TEST(log, arena_device_used(a) == 0 && (unsigned char *)arena_device_alloc(a, 1) == room, "rewound to the start");
    arena_delete(a);
}

static void test_values(TestLog *log, Rig *r)
{
    enum { N = 10001 };
    float *x = arena_alloc(r->perm, N * sizeof *x), *y = arena_alloc(r->perm, N * sizeof *y);
    double *d = arena_alloc(r->perm, N * sizeof *d);
    for (int i = 0; i < N; i++) x[i] = (float)i * 0.37f, d[i] = (double)x[i];
    Tensor *t = tensor_new(r->step, &r->dev, REAL, SHAPE(N), "t");
    tensor_set_f32(t, x, N);
    tensor_get_f32(t, y, N);
    TEST(log, memcmp(x, y, N * sizeof *x) == 0, "f32 in and out");
    tensor_fill(t, -2.5);
    tensor_get_f32(t, y, N);
    TEST(log, y[0] == -2.5f && y[N / 2] == -2.5f && y[N - 1] == -2.5f, "fill: %g", (double)y[N - 1]);
    tensor_set_f64(t, d, N);
    memset(d, 0, N * sizeof *d);
    tensor_get_f64(t, d, N);
    TEST(log, d[1] == (double)x[1] && d[N - 1] == (double)x[N - 1], "f64 in and out");
    tensor_fill(t, 0);
    const float *seen = device_view(&r->dev, r->scratch, t->x, tensor_bytes(t));
    TEST(log, seen[0] == 0 && seen[N - 1] == 0, "zeros: %g", (double)seen[N - 1]);
}

// ---- the whole program

typedef struct Losses { int64_t n; double loss[64], val; } Losses;

static void watch(void *ctx, const TrainReport *r)
{
    Losses *l = ctx;
    if (l->n < 64) l->loss[l->n++] = r->loss;
    if (isfinite(r->val_loss)) l->val = r->val_loss;
}

// Trains in directory `name`; forecasts WINDOWS windows into out, one after the other.
static void train_and_forecast(TestLog *log, const Device *dev, const LeadConfig *cfg, const TrafficSeries *s,
                               const char *name, bool validate, Losses *l, float *out)
{
    Rig *r = rig_new(*dev);
    const TrafficSplits split = traffic_splits(s->T, PROTOCOL_CLEAN);
    char dir[600];
    snprintf(dir, sizeof dir, "%s/%s", log->tmp, name);
    TrainOptions o = {.out = dir, .data_path = "synthetic", .train = split.train, .report = watch, .ctx = l};
    if (validate) o.val = split.val;
    Status st = lead_train(cfg, s, &o, &r->dev, r->perm, r->step, r->scratch);
    TEST(log, !st.code, "%s: %s", name, st.msg);
    rig_delete(r);
    r = rig_new(*dev);
    LeadRun run;
    st = lead_run_load(&run, dir, LEAD_BEST, NULL, &r->dev, r->perm, r->step, r->scratch);
    int64_t *start;
    const int64_t found = traffic_windows(s, r->perm, split.test, cfg->history, cfg->horizon, 1, &start);
    CHECK(found >= WINDOWS, "%lld windows to forecast", (long long)found);
    if (!st.code) st = lead_run_attach(&run, s);
    const int64_t each = (int64_t)cfg->samples * cfg->horizon * NODES * NODES;
    for (int i = 0; i < WINDOWS && !st.code; i++)
        st = lead_forecast(&run, &(int64_t){start[i] + cfg->history - 1}, 1, out + i * each, NULL);
    TEST(log, !st.code, "%s: %s", name, st.msg);
    rig_delete(r);
}

static void test_lead(TestLog *log, const Device *cpu, const Device *fenced, Arena *a, const TrafficSeries *s,
                      LeadConfig cfg, const char *what, bool exact, bool validate)
{
    const size_t n = (size_t)WINDOWS * (size_t)cfg.samples * (size_t)cfg.horizon * NODES * NODES;
    float *one = arena_alloc(a, n * sizeof *one), *two = arena_alloc(a, n * sizeof *two);
    Losses l1 = {0}, l2 = {0};
    char name[2][40];
    for (int i = 0; i < 2; i++) snprintf(name[i], sizeof name[i], "%s-%d", what, i);
    train_and_forecast(log, cpu, &cfg, s, name[0], validate, &l1, one);
    train_and_forecast(log, fenced, &cfg, s, name[1], validate, &l2, two);
    double worst = 0, far = 0, size = 0;
    for (int64_t i = 0; i < l1.n; i++) worst = check_fold(worst, fabs(l1.loss[i] - l2.loss[i]) / l1.loss[i]);
    for (size_t i = 0; i < n; i++) {
        far = check_fold(far, fabs((double)one[i] - (double)two[i]));
        size = check_fold(size, fabs((double)one[i]));
    }
    TEST(log, l1.n == cfg.steps && l2.n == l1.n && isfinite(l2.val), "%lld and %lld steps", (long long)l1.n,
         (long long)l2.n);
    if (exact) {
        TEST(log, worst == 0 && l1.val == l2.val, "losses differ by %g", worst);
        TEST(log, memcmp(one, two, n * sizeof *one) == 0, "forecasts differ by %g", far);
    } else {
        TEST(log, worst <= 1e-3, "losses of %lld steps differ by %g of themselves", (long long)l1.n, worst);
        TEST(log, far <= 0.05 * size, "forecasts differ by %g of %g", far, size);
    }
}

// A loss that is not finite is seen at the next look, some recorded steps later, and nothing is saved.
static void test_nan(TestLog *log, const Device *gpu, const TrafficSeries *s, LeadConfig cfg)
{
    Rig *r = rig_new(*gpu);
    Losses l = {0};
    const char *dir = arena_printf(r->perm, "%s/nan", log->tmp);
    cfg.lr = 1e30;
    const TrainOptions o = {.out = dir,
                            .data_path = "synthetic",
                            .train = traffic_splits(s->T, PROTOCOL_CLEAN).train,
                            .report = watch,
                            .ctx = &l};
    const Status st = lead_train(&cfg, s, &o, &r->dev, r->perm, r->step, r->scratch);
    TEST(log, st.code && strstr(st.msg, " at step ") && l.n < 9, "%lld steps, then '%s'", (long long)l.n, st.msg);
    TEST(log, access(arena_printf(r->perm, "%s/checkpoint.safetensors", dir), F_OK) != 0, "a checkpoint of NaN");
    rig_delete(r);
}

static void test_gpt2(TestLog *log, const Device *cpu, const Device *fenced, Arena *a, bool exact)
{
    enum { T = 9, NEW = 5, VOCAB = 11 };
    float logits[2][T * VOCAB];
    int32_t out[2][T + NEW];
    double loss[2];
    for (int d = 0; d < 2; d++) {
        Rig *r = rig_new(d ? *fenced : *cpu);
        ParamSet ps;
        Tape t;
        paramset_init(&ps, r->perm, &r->dev, 3, false);
        const Gpt2Config c = tiny_config();
        const Gpt2 *m = gpt2_new(&ps, "", &c, GPT2_TRAINABLE);
        tape_init(&t, &r->dev, r->step, r->scratch);
        int32_t token[64];
        for (int i = 0; i < 64; i++) token[i] = i * 7 % 10;
        const Tokens data = {.id = token, .n = 64};
        Optim o = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .clip = 1, .ema = 0.9, .total = 4};
        Status s = gpt2_train(&t, m, NULL, &ps, &o, data,
                              &(Gpt2TrainOptions){.batch = 2, .context = 8, .accumulate = 2, .seed = 1}, NULL, NULL);
        TEST(log, !s.code, "%s", s.msg);
        t.record = t.training = false;
        loss[d] = gpt2_text_loss(&t, m, NULL, data, 8, 0);
        tape_reset(&t);
        tensor_get_f32(gpt2_logits(&t, m, gpt2_forward_tokens(&t, m, tape_from_i32(&t, SHAPE(1, T), token), NULL)),
                       logits[d], T * VOCAB);
        memcpy(out[d], token, T * sizeof *token);
        int64_t n;
        s = gpt2_generate(&t, m, NULL, out[d], T, NEW, &(Gpt2Sampling){.temperature = 1, .seed = 4}, &n, NULL, NULL);
        TEST(log, !s.code && n == T + NEW, "%s", s.msg);
        s = gpt2_save(m, arena_printf(a, "%s/gpt2-%d", log->tmp, d), r->scratch);
        TEST(log, !s.code, "%s", s.msg);
        rig_delete(r);
    }
    double worst = 0;
    for (int i = 0; i < T * VOCAB; i++) worst = check_fold(worst, fabs((double)logits[0][i] - (double)logits[1][i]));
    TEST(log, exact ? worst == 0 && loss[0] == loss[1] : worst <= 1e-3, "logits differ by %g, losses %.9g %.9g", worst,
         loss[0], loss[1]);
    TEST(log, memcmp(out[0], out[1], sizeof out[0]) == 0, "other tokens are generated");
}

// ---- a device without the kernels of some op

static const Device *watched;            // who does the work
static bool called[2][OP_COUNT];         // forward, backward

static void watch_forward(const OpCall *c) { called[0][c->op] = true, watched->fwd[c->op](c); }
static void watch_backward(const OpCall *c) { called[1][c->op] = true, watched->bwd[c->op](c); }

typedef struct FirstStep { bool done, called[2][OP_COUNT]; } FirstStep;

static void after_step(void *ctx, const TrainReport *r)
{
    FirstStep *f = ctx;
    if (r->step > 1 || f->done) return;
    f->done = true;
    memcpy(f->called, called, sizeof called);
}

// A kernel that is missing is noticed by the first step: no training ends for want of one after hours.
static void test_first_step(TestLog *log, const Device *cpu, const TrafficSeries *s, const LeadConfig *cfg)
{
    Device dev = *cpu;
    watched = cpu;
    for (int i = 0; i < OP_COUNT; i++) dev.fwd[i] = watch_forward, dev.bwd[i] = cpu->bwd[i] ? watch_backward : NULL;
    Rig *r = rig_new(dev);
    FirstStep first = {0};
    const TrafficSplits split = traffic_splits(s->T, PROTOCOL_CLEAN);
    const TrainOptions o = {.out = arena_printf(r->perm, "%s/first", log->tmp),
                            .data_path = "synthetic",
                            .train = split.train,
                            .val = split.val,
                            .report = after_step,
                            .ctx = &first};
    const Status st = lead_train(cfg, s, &o, &r->dev, r->perm, r->step, r->scratch);
    int n = 0;
    for (int i = 0; i < OP_COUNT; i++)
        for (int b = 0; b < 2; b++) {
            n += called[b][i];
            TEST(log, first.called[b][i] == called[b][i], "op %s is first called after the first step",
                 op_info((OpId)i)->name);
        }
    TEST(log, !st.code && first.done && n > 60, "%d kernels called: %s", n, st.msg);
    rig_delete(r);
}

// The program on a GPU without the kernels of an op: only a run that calls it is refused, at once and in one line.
static void test_missing(TestLog *log, Arena *a)
{
    TestLog emulated = *log;
    emulated.lead = arena_printf(a, "%.*s/tests/lead-emulated", (int)(strlen(log->lead) - strlen("/lead")), log->lead);
    const Ran data =
        lead_run(log, a, "data synth --nodes 4 --days 8 --slot-seconds 3600 --out %s/missing.npy", log->tmp);
    TEST(log, data.code == 0, "%s", data.err);
    static const struct { const char *op, *call; } run[] = {
        {"softplus", NULL},      {"conv2d", "its forward"}, {"adamw", "its forward"},
        {"wmse", "its forward"}, {"sampler_step", "its forward"},
    };
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
        const char *out = arena_printf(a, "%s/missing-%s", log->tmp, run[i].op);
        setenv("LEAD_EMULATE_WITHOUT", run[i].op, 1);
        const Ran r = lead_run(
            &emulated, a,
            "train --device cuda --config tiny --minutes 0 --steps 2 --llm %s/tiny-llm --data %s/missing.npy --out %s",
            log->tmp, log->tmp, out);
        unsetenv("LEAD_EMULATE_WITHOUT");
        const bool saved = access(arena_printf(a, "%s/best.safetensors", out), F_OK) == 0;
        if (!run[i].call)
            TEST(log, r.code == 0 && saved, "without %s, which is not called: exit %d: %s", run[i].op, r.code, r.err);
        else {
            const char *line =
                arena_printf(a, "lead: op %s: this run calls %s kernel, which cuda", run[i].op, run[i].call);
            const char *at = strstr(r.err, line);
            TEST(log, r.code == 1 && !saved && at && strchr(at, '\n') && !strchr(at, '\n')[1],
                 "without %s: exit %d: %s", run[i].op, r.code, r.err);
        }
    }
}

void test_device(TestLog *log)
{
    Arena *a = arena_new("keep", (size_t)1 << 30, NULL);
    CHECK(a, "no address space");
    test_block(log);
    const Device cpu = world_f32(), fenced = fence_cpu(&cpu);
    Device gpu = fence_cuda(), each;
    gpu.fwd[OP_softplus] = gpu.bwd[OP_softplus] = NULL;   // no model calls it: a new op, its CUDA kernel not written
    each = gpu;                                           // every kernel launched by itself
    each.no_graph = true;
    Rig *r = rig_new(fenced);
    test_values(log, r);
    rig_delete(r);
    const TrafficSeries s = synth_series(log, a, NODES, 8, 3600);
    LeadConfig cfg = tiny_lead(tiny_llm(log, a));
    cfg.steps = 6, cfg.dropout = 0.1, cfg.lora_rank = 1, cfg.loss_pool = 0.1, cfg.samples = 3,
    cfg.sampler = SAMPLER_DDPM, cfg.guidance = 2;
    test_gpt2(log, &cpu, &fenced, a, true);
    test_lead(log, &cpu, &fenced, a, &s, cfg, "direct", true, true);
    test_gpt2(log, &cpu, &gpu, a, false);
    test_lead(log, &cpu, &gpu, a, &s, cfg, "emulated", false, true);
    LeadConfig few = cfg;
    few.sample_steps = 3, few.steps = 13;   // no validation: one look at the losses on the way
    test_nan(log, &gpu, &s, few);
    test_first_step(log, &cpu, &s, &cfg);
    test_missing(log, a);
    // graphs beside single launches: the same kernels as above, which sanitizers have seen there
    if (log->quick) test_skip(log, "skipped in a quick run: recorded steps beside launched ones");
    else {
        test_gpt2(log, &each, &gpu, a, true);
        test_lead(log, &each, &gpu, a, &s, few, "recorded", true, false);
    }
    few.horizons = HORIZON_ROLLOUT, few.sampler = SAMPLER_DPMPP2M, few.steps = 2;
    test_lead(log, &cpu, &fenced, a, &s, few, "rollout", true, true);
    if (!log->quick) test_lead(log, &each, &gpu, a, &s, few, "recorded-rollout", true, false);
    few.horizons = HORIZON_DIRECT, few.base = BASE_RIDGE_ONLINE, few.history = 12;
    test_lead(log, &cpu, &fenced, a, &s, few, "ridge-online", true, true);
    if (!log->quick) test_lead(log, &each, &gpu, a, &s, few, "recorded-ridge-online", true, false);
    arena_delete(a);
}
