// Networks that know no network of nodes (lead/pretrain.h, lead/general.h): a pretraining that is stopped and resumed
// ends with the same bits; forecasts keep to what such weights promise: nodes in another order or traffic in another
// unit give the same forecast, and what comes after the rows that were fitted on is not looked at.
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/sha256.h"
#include "lead/distill_general.h"
#include "lead/general.h"
#include "lead/pretrain.h"
#include "lead_world.h"

enum { N = 4, F = N * N, NETWORKS = 4, MANY = 2048 };

static LeadConfig small_config(void)
{
    LeadConfig c;
    const Status s = config_preset(&c, "pretrained");
    CHECK(!s.code, "%s", s.msg);
    c.horizon = 4, c.flow_width = c.flow_hidden = 16, c.batch = 4, c.batch_flows = 256, c.warmup = 2, c.samples = 8;
    c.sample_steps = 3;
    return c;
}

typedef struct Stop { int after; volatile sig_atomic_t asked; int reports; double loss; } Stop;

static void count(void *ctx, const PretrainReport *r)
{
    Stop *s = ctx;
    s->reports++;
    s->loss = r->loss;
    if (r->network == s->after) s->asked = 1;
}

static Status pretrain(const LeadConfig *c, const char *out, bool resume, int steps_each, Stop *stop)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    Arena *network = arena_new("network", (size_t)1 << 32, NULL);
    const PretrainOptions o = {.out = out, .resume = resume, .networks = NETWORKS, .steps_each = steps_each,
                               .report = count, .ctx = stop, .stop = &stop->asked};
    const Status s = lead_pretrain(c, &o, &w->dev, w->perm, network, w->step, w->scratch);
    arena_delete(network);
    world_delete(w);
    return s;
}

static Sha256Hex file_hash(Arena *a, const char *path)
{
    char *text;
    size_t size;
    Sha256 h = sha256_new();
    const Status s = file_read(&text, &size, a, path, (size_t)1 << 24);
    CHECK(!s.code, "%s", s.msg);
    sha256_add(&h, text, size);
    return sha256_hex(&h);
}

static const char *check_resume(TestLog *log, Arena *a)
{
    const LeadConfig c = small_config();
    const char *whole = arena_printf(a, "%s/whole.safetensors", log->tmp);
    const char *parts = arena_printf(a, "%s/parts.safetensors", log->tmp);
    Stop never = {.after = -1}, soon = {.after = 2}, rest = {.after = -1};
    Status s = pretrain(&c, whole, false, 2, &never);
    TEST(log, !s.code && never.reports >= 2 && isfinite(never.loss), "%s, %d reports", s.msg, never.reports);
    s = pretrain(&c, parts, false, 2, &soon);
    const char *unfinished = arena_printf(a, "%s.unfinished", parts);
    TEST(log, !s.code && access(parts, F_OK) && !access(unfinished, F_OK), "a stopped pretraining: %s", s.msg);
    s = pretrain(&c, parts, false, 2, &rest);
    TEST(log, s.code == 1 && strstr(s.msg, "--resume") && !access(unfinished, F_OK), "begun again: '%s'", s.msg);
    s = pretrain(&c, parts, true, 3, &rest);
    TEST(log, s.code == 1 && strstr(s.msg, "3 steps each"), "resumed with other options: '%s'", s.msg);
    rest = (Stop){.after = -1};
    s = pretrain(&c, parts, true, 2, &rest);
    TEST(log, !s.code && access(unfinished, F_OK), "resumed: %s", s.msg);
    TEST(log, !strcmp(file_hash(a, whole).s, file_hash(a, parts).s), "a resumed pretraining ends with other bits");
    LeadConfig other = c;
    other.flow_identity = IDENTITY_PAIR;
    s = pretrain(&other, parts, false, 2, &rest);
    TEST(log, s.code == 2, "weights that belong to pairs of nodes: '%s'", s.msg);
    return whole;
}

// The point forecast [4][F] after row t by the weights of `file`, fitted and calibrated on the rows up to t.
static void forecast(TestLog *log, const char *file, const TrafficSeries *s, int64_t t, float *point, float *samples)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    LeadRun r;
    Calibration c;
    Status st = lead_general_load(&r, file, s, (TrafficRange){0, t * 8 / 10}, (TrafficRange){t * 8 / 10, t + 1},
                                  0, &w->dev, w->perm, w->step, w->scratch, &c);
    TEST(log, !st.code && c.windows >= CALIBRATE_LEAST, "%s (%d windows)", st.msg, c.windows);
    *r.stats.fallback = 0;
    if (!st.code) st = lead_forecast(&r, &t, 1, samples, point);
    TEST(log, !st.code, "%s", st.msg);
    world_delete(w);
}

static double furthest(const float *a, const float *b, double scale, double *size)
{
    double worst = 0;
    *size = 0;
    for (int i = 0; i < 4 * F; i++) {
        worst = check_fold(worst, fabs((double)a[i] * scale - (double)b[i]));
        *size = fmax(*size, fabs((double)b[i]));
    }
    return worst;
}

static void check_promises(TestLog *log, Arena *a, const char *file)
{
    static const int order[N] = {2, 0, 3, 1};
    const TrafficSeries s = synth_series(log, a, N, 12, 1800);
    const int64_t t = s.T - 100;
    TrafficSeries later = s, moved = s, unit = s;
    float *x[3];
    for (int i = 0; i < 3; i++) {
        x[i] = arena_alloc(a, (size_t)(s.T * F) * sizeof *x[i]);
        memcpy(x[i], s.x, (size_t)(s.T * F) * sizeof *x[i]);
    }
    for (int64_t i = 0; i < s.T * F; i++) {
        const int64_t row = i / F, from = i % F / N, to = i % N;
        if (row > t) x[0][i] = 7;
        x[1][row * F + order[from] * N + order[to]] = s.x[i];
        x[2][i] = 1024 * s.x[i];
    }
    later.x = x[0], moved.x = x[1], unit.x = x[2];
    float now[4 * F], other[4 * F], back[4 * F], paths[8 * 4 * F], paths2[8 * 4 * F];
    double size;
    forecast(log, file, &s, t, now, paths);
    forecast(log, file, &later, t, other, paths2);
    TEST(log, !memcmp(now, other, sizeof now) && !memcmp(paths, paths2, sizeof paths), "the future was looked at");
    forecast(log, file, &moved, t, other, paths2);
    for (int i = 0; i < 4 * F; i++)
        back[i] = other[i / F * F + order[i % F / N] * N + order[i % N]];
    double off = furthest(now, back, 1, &size);
    TEST(log, off < 1e-4 * size, "nodes in another order: a forecast differs by %g of %g", off, size);
    forecast(log, file, &unit, t, other, paths2);
    off = furthest(now, other, 1024, &size);
    TEST(log, off < 1e-4 * size, "traffic 1024 times as large: a forecast differs by %g of %g", off, size);
    bool moves = false;
    for (int i = 0; i < 4 * F; i++) moves |= paths[i] != paths[4 * F + i];
    TEST(log, moves, "two sample paths are the same");
}

static void check_files(TestLog *log, Arena *a, const char *file)
{
    bool is = false;
    Status s = lead_is_general(&is, file, a);
    TEST(log, !s.code && is, "weights for any network are not known as such: %s", s.msg);
    s = lead_is_general(&is, "/nowhere", a);
    TEST(log, s.code == 1 && !is, "a file that is not there: '%s'", s.msg);
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    LeadRun r;
    Calibration c;
    const TrafficSeries few = synth_series(log, a, N, 1, 3600);
    s = lead_general_load(&r, file, &few, (TrafficRange){0, 24}, (TrafficRange){24, 24}, 0, &w->dev, w->perm, w->step,
                          w->scratch, &c);
    TEST(log, s.code == 1 && strstr(s.msg, "windows"), "a day of hours: '%s'", s.msg);
    world_delete(w);
}

// Statistics of all rows, with the calibration that was there before.
static void check_refit(TestLog *log, Arena *a, const char *file)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    LeadRun r;
    Calibration c;
    const TrafficSeries s = synth_series(log, a, N, 12, 1800);
    Status st = lead_general_load(&r, file, &s, (TrafficRange){0, 300}, (TrafficRange){300, 500}, 0, &w->dev, w->perm,
                                  w->step, w->scratch, &c);
    const float spread = r.stats.spread[1], weight = r.stats.head_weight[2], mean = r.stats.mean[3];
    for (int k = 0; k < r.stats.Kt; k++)   // quick: factors a tenth apart
        TEST(log, fabs((double)r.stats.spread[k] * 10 - rint((double)r.stats.spread[k] * 10)) < 1e-4, "step %d: %g", k,
             (double)r.stats.spread[k]);
    if (!st.code) st = lead_general_refit(&r, (TrafficRange){0, s.T});
    TEST(log, !st.code && r.stats.spread[1] == spread && r.stats.head_weight[2] == weight, "calibration after a refit");
    LeadStats want;
    TEST(log, !lead_stats_fit(&want, a, &s, (TrafficRange){0, s.T}, &r.cfg).code, "statistics");
    TEST(log, r.stats.mean[3] == want.mean[3] && r.stats.mean[3] != mean && r.stats.sigma[5] == want.sigma[5],
         "statistics after a refit are not those of all rows");
    world_delete(w);
}

// Forecasts after three rows with `memory` bytes -> out; the run's choice -> *fit.
static Status forecast_within(TestLog *log, const char *file, const TrafficSeries *s, size_t memory, float *out,
                              MemoryFit *fit)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    const int64_t rows[3] = {390, 420, 450};
    LeadRun r;
    Calibration c;
    Status st = lead_general_load(&r, file, s, (TrafficRange){0, 300}, (TrafficRange){300, 380}, memory, &w->dev,
                                  w->perm, w->step, w->scratch, &c);
    r.cfg.samples = MANY;
    if (!st.code) TEST(log, c.windows >= CALIBRATE_LEAST, "%d windows", c.windows);
    if (!st.code) *r.stats.fallback = 0, st = lead_forecast(&r, rows, 3, out, NULL);
    *fit = r.fit;
    world_delete(w);
    return st;
}

// A budget changes how much is drawn at once, and no bit.
static void check_memory(TestLog *log, Arena *a, const char *file)
{
    const TrafficSeries s = synth_series(log, a, N, 12, 1800);
    const size_t n = 3 * MANY * 4 * F;
    float *all = arena_alloc(a, n * sizeof *all), *parts = arena_alloc(a, n * sizeof *parts);
    MemoryFit fit;
    Status st = forecast_within(log, file, &s, 0, all, &fit);
    TEST(log, !st.code && !fit.rows, "%s", st.msg);
    size_t least = 1;
    for (int i = 0; i < 3; i++) {   // the calibration, which draws fewer samples, may want less than the forecast
        st = forecast_within(log, file, &s, least << 20, parts, &fit);
        if (!st.code) break;
        TEST(log, sscanf(st.msg, "--memory: want at least %zu MiB", &least) == 1, "'%s'", st.msg);
    }
    TEST(log, !st.code && least > 1, "what was said to be the least is not enough: %s", st.msg);
    TEST(log, fit.windows == 1 && fit.rows < MANY, "%zu MiB: %d windows of %lld", least, fit.windows,
         (long long)fit.rows);
    for (size_t more = 1; more < 500 && !st.code && fit.windows == 1; more *= 3) {
        TEST(log, !memcmp(all, parts, n * sizeof *all), "%lld samples at once: other bits", (long long)fit.rows);
        const int64_t before = fit.rows;
        st = forecast_within(log, file, &s, (least + more) << 20, parts, &fit);
        TEST(log, !st.code && fit.rows >= before && fit.rows <= 3 * MANY, "%zu MiB: %s; %lld at once, with less %lld",
             least + more, st.msg, (long long)fit.rows, (long long)before);
    }
    TEST(log, fit.windows > 1 && fit.rows == (int64_t)fit.windows * MANY && !memcmp(all, parts, n * sizeof *all),
         "the most: %d windows, %lld", fit.windows, (long long)fit.rows);
}

// ---- distillation

static Status distil(const DistillOptions *o)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    Arena *network = arena_new("network", (size_t)1 << 32, NULL);
    const Status s = lead_distill_general(o, &w->dev, w->perm, network, w->step, w->scratch);
    arena_delete(network);
    world_delete(w);
    return s;
}

// Samples [8][4][F] after row 480 by the weights of `file`, in `calls` network calls of ddim, not calibrated.
static void draw(TestLog *log, const char *file, const TrafficSeries *s, int calls, float *point, float *samples)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    LeadRun r;
    Calibration c;
    const int64_t t = 480;
    Status st = lead_general_load(&r, file, s, (TrafficRange){0, 400}, (TrafficRange){400, 400}, 0, &w->dev, w->perm,
                                  w->step, w->scratch, &c);
    r.cfg.sampler = SAMPLER_DDIM, r.cfg.sample_steps = calls;
    if (!st.code) st = lead_forecast(&r, &t, 1, samples, point);
    TEST(log, !st.code, "%s, %d calls: %s", file, calls, st.msg);
    world_delete(w);
}

static double apart(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += fabs((double)a[i] - (double)b[i]);
    return sum;
}

static void check_distilled(TestLog *log, Arena *a, const char *teacher)
{
    enum { TEACHER, ONCE, STUDENT, ALL, N_DRAWN = 8 * 4 * F };
    const char *out = arena_printf(a, "%s/few.safetensors", log->tmp);
    DistillOptions o = {.model = teacher, .out = out, .teacher_calls = 4, .n_calls = 2, .calls = {2, 1}, .steps = 40,
                        .lr = 1e-2};
    Status s = distil(&o);
    TEST(log, !s.code && !access(arena_printf(a, "%s.calls-2", out), F_OK), "%s", s.msg);
    if (s.code) return;
    LeadConfig cfg;
    int calls = 0;
    s = lead_general_config(&cfg, &calls, out, a);
    TEST(log, !s.code && calls == 1 && cfg.sample_steps == 1 && cfg.sampler == SAMPLER_DDIM, "%s: %d calls", s.msg,
         calls);
    s = lead_general_config(&cfg, &calls, teacher, a);
    TEST(log, !s.code && calls == 0, "the teacher was distilled to %d calls", calls);
    const TrafficSeries series = synth_series(log, a, N, 12, 1800);
    float x[ALL][N_DRAWN], point[ALL][4 * F];
    draw(log, teacher, &series, 4, point[TEACHER], x[TEACHER]);
    draw(log, teacher, &series, 1, point[ONCE], x[ONCE]);
    draw(log, out, &series, 1, point[STUDENT], x[STUDENT]);
    const double before = apart(x[ONCE], x[TEACHER], N_DRAWN), after = apart(x[STUDENT], x[TEACHER], N_DRAWN);
    TEST(log, after < 0.7 * before, "samples of 1 call lie %g from those of 4, before distillation %g", after, before);
    TEST(log, !memcmp(point[TEACHER], point[STUDENT], sizeof point[TEACHER]), "distillation moved the point forecast");
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    LeadRun r;
    Calibration c;
    s = lead_general_load(&r, out, &series, (TrafficRange){0, 400}, (TrafficRange){400, 400}, 0, &w->dev, w->perm,
                          w->step, w->scratch, &c);
    r.cfg.sample_steps = 3;
    if (!s.code) s = lead_run_check(&r);
    TEST(log, s.code == 2 && strstr(s.msg, "distilled to draw a sample in 1 network call"), "3 calls: '%s'", s.msg);
    world_delete(w);
    o.model = out, o.out = arena_printf(a, "%s/no.safetensors", log->tmp);
    s = distil(&o);
    TEST(log, s.code == 2 && strstr(s.msg, "distilled to 1 network call") && access(o.out, F_OK),
         "a student teaches 4 steps: '%s'", s.msg);
}

void test_pretrain(TestLog *log)
{
    Arena *a = arena_new("files", (size_t)1 << 30, NULL);
    const char *file = check_resume(log, a);
    check_promises(log, a, file);
    check_files(log, a, file);
    check_refit(log, a, file);
    check_memory(log, a, file);
    if (!log->quick) check_distilled(log, a, file);
    arena_delete(a);
}
