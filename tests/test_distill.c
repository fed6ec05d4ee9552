// Forecasts in few network calls (lead/distill.h).  The distillation target is derived a second time in plain loops, by
// the noise form of DDIM; gradients of both losses against central differences; a tiny run is distilled and scored.
#include <math.h>
#include <omp.h>
#include <unistd.h>

#include "lead/distill.h"
#include "lead/train.h"
#include "lead_world.h"
#include "run_lead.h"

enum { N = 4, F = N * N, B = 3, H = 3, K = 2, ROWS = B * F };

static LeadConfig small_config(void)
{
    LeadConfig c;
    const Status s = config_preset(&c, "small");
    CHECK(!s.code, "%s", s.msg);
    c.history = H, c.horizon = K, c.batch = B, c.batch_flows = 0, c.flow_width = 8, c.flow_hidden = 6;
    c.flow_context = false, c.base = BASE_LAST;
    return c;
}

// A batch, two models of the same shape, and what they were made from.
typedef struct Both { World *w; LeadConfig cfg; TrafficSeries s; LeadStats st; LeadData data; LeadModel *m[2];
                      LeadBatch b; Tape keep; } Both;

static Both *both_new(TestLog *log, const LeadConfig *cfg)
{
    World *w = world_new(device_cpu_f64(), false);
    Both *x = arena_zalloc(w->perm, sizeof *x);
    *x = (Both){.w = w, .cfg = *cfg, .s = synth_series(log, w->perm, N, 40, 21600)};
    x->st = fitted(log, w->perm, &x->s, &x->cfg);
    const LeadShape shape = lead_stats_shape(&x->st, &x->cfg);
    x->m[0] = lead_world_model(w, &x->cfg, shape, 0.1);   // more, and every sample is clamped
    World *other = world_new(device_cpu_f64(), true);   // the teacher: no gradients
    x->m[1] = lead_world_model(other, &x->cfg, shape, 0.4);
    tape_init(&x->keep, &w->dev, w->step, w->scratch);   // its step arena holds the batch
    x->data = data_of(log, &x->keep, w->perm, &x->st, &x->cfg, &x->s);
    x->b = lead_data_batch(&x->keep, &x->data, lead_data_rows(&x->data, w->step, (int64_t[]){20, 33, 47}, B), NULL,
                           true);
    return x;
}

// ---- the target

// What the teacher says at z, one network call; x0 in plain numbers.
static void teacher_x0(Both *x, const Known *k, const double *z, const int *time, double *x0)
{
    Tape *t = &x->keep;
    const Schedule *sch = &x->m[1]->schedule;
    Tensor *in = tape_tensor(t, SHAPE(ROWS, K)), *at = tape_tensor(t, SHAPE(ROWS));
    double times[ROWS];
    for (int r = 0; r < ROWS; r++) times[r] = time[r];
    tensor_set_f64(in, z, ROWS * K);
    tensor_set_f64(at, times, ROWS);
    const double *v = lead_denoise(t, x->m[1], in, at, k)->x;
    for (int i = 0; i < ROWS * K; i++) {
        const double ab = sch->ab[time[i / K]], clip = x->cfg.sample_clip;
        x0[i] = fmax(-clip, fmin(clip, sqrt(ab) * z[i] - sqrt(1 - ab) * v[i]));
    }
}

// Song et al. 2021, eq. 12: x' = sqrt(ab') x0 + sqrt(1 - ab') eps
static double ddim(const Schedule *sch, double z, double x0, int from, int to)
{
    const double eps = (z - sqrt(sch->ab[from]) * x0) / sqrt(1 - sch->ab[from]);
    return sqrt(sch->ab[to]) * x0 + sqrt(1 - sch->ab[to]) * eps;
}

// One step with the target leads where the teacher's steps lead.
static void check_target(TestLog *log, Both *x, int before, int calls)
{
    Tape *t = &x->keep;
    LeadBatch b = x->b;
    t->record = false;
    b.moments = lead_moments(t, x->m[1], &b);
    const Known k = lead_known(t, x->m[1], &b, (Condition){0});
    const DistillPath p = distill_path(&x->m[1]->schedule, before, calls, x->w->perm);
    Tensor *xt = normal_tensor(x->w, SHAPE(ROWS, K), 5);
    int call[ROWS], at[ROWS];
    double z[ROWS * K], x0[ROWS * K], worst = 0, moved = 0;
    for (int r = 0; r < ROWS; r++) call[r] = r % calls;
    const double *target = distill_target(t, x->m[1], &k, xt, &p, call)->x;
    memcpy(z, xt->x, sizeof z);
    const int T = p.schedule->T, each = before / calls;
    for (int i = 0; i < each; i++) {
        for (int r = 0; r < ROWS; r++) at[r] = T - (call[r] * each + i) * T / before;
        teacher_x0(x, &k, z, at, x0);
        for (int j = 0; j < ROWS * K; j++) {
            const int next = call[j / K] * each + i + 1;
            z[j] = ddim(p.schedule, z[j], x0[j], at[j / K], next == before ? 0 : T - next * T / before);
        }
    }
    for (int j = 0; j < ROWS * K; j++) {
        const int c = call[j / K], from = T - c * T / calls, to = c + 1 == calls ? 0 : T - (c + 1) * T / calls;
        const double start = ((double *)xt->x)[j];
        worst = check_fold(worst, fabs(ddim(p.schedule, start, target[j], from, to) - z[j]));
        moved = fmax(moved, fabs(z[j] - start));
    }
    TEST(log, worst < 2e-6 && moved > 0.1, "%d calls in %d: one step with the target is off by %g of %g", before, calls,
         worst, moved);   // the coefficients are f32
}

// ---- gradients

typedef struct Loss { Both *x; DistillPath path; int calls; } Loss;

static Tensor *step_loss(Tape *t, void *ctx)
{
    const Loss *c = ctx;
    tape_set_step(t, 7);
    return distill_loss(t, c->x->m[1], c->x->m[0], &c->x->b, &c->path);
}

static Tensor *crps_loss(Tape *t, void *ctx)
{
    const Loss *c = ctx;
    tape_set_step(t, 7);
    return distill_crps(t, c->x->m[0], &c->x->b, c->calls);
}

// Whether a gradient is checked: not of the heads, which the losses take as data, nor, for the sake of time, of the
// many weights through which the diffusion time goes.
static bool checked(const Param *p)
{
    const char *name = p->t.name;
    return !p->frozen && strncmp(name, "heads.", 6) && strncmp(name, "flow.time", 9) &&
           strncmp(name, "flow.from_t", 11);
}

static void check_gradients(TestLog *log, const char *what, Both *x, ModuleLoss *loss, int before, int calls)
{
    Tensor *in[512];
    int n = 0;
    for (int i = 0; i < x->w->ps.n; i++) {
        Param *p = x->w->ps.p[i];
        if (checked(p)) in[n++] = &p->t;
    }
    Loss c = {x, distill_path(&x->m[0]->schedule, before, calls, x->w->perm), calls};
    module_gradients(log, what, x->w, loss, &c, in, n);
}

// ---- a run

typedef struct Rows { TrafficSeries s; TrafficSplits split; const char *teacher; } Rows;

static LeadConfig run_config(void)
{
    LeadConfig c = small_config();
    c.horizon = 4, c.flow_width = c.flow_hidden = 32, c.batch = 16, c.steps = 150, c.warmup = 5, c.minutes = 0;
    c.samples = 16, c.mean_head = c.scale_head = true, c.point = POINT_HEAD;
    return c;
}

static void train_teacher(TestLog *log, Rows *r, Arena *a)
{
    World *w = world_new(world_f32(), false);
    const LeadConfig c = run_config();
    r->s = synth_series(log, a, N, 25, 3600);
    r->split = traffic_splits(r->s.T, PROTOCOL_CLEAN);
    r->teacher = arena_printf(a, "%s/teacher", log->tmp);
    const TrainOptions o = {.out = r->teacher, .data_path = "synthetic", .train = r->split.train,
                            .val = r->split.val, .final = {0, r->s.T}};
    const Status s = lead_train(&c, &r->s, &o, &w->dev, w->perm, w->step, w->scratch);
    TEST(log, !s.code, "%s", s.msg);
    world_delete(w);
}

static Status distil(const DistillOptions *o, const TrafficSeries *s)
{
    World *w = world_new(world_f32(), false);
    const Status st = lead_distill(o, s, &w->dev, w->perm, w->step, w->scratch);
    world_delete(w);
    return st;
}

// CRPS on validation, calibrated, by that many calls of ddim; 0: as the run says.  point: of the first window
static double score(TestLog *log, const Rows *rows, const char *dir, int calls, float *point)
{
    World *w = world_new(world_f32(), false);
    LeadRun r;
    Calibration c = {0};
    const int64_t t = rows->split.val.begin + H;
    Status s = lead_run_load(&r, dir, LEAD_BEST, NULL, &w->dev, w->perm, w->step, w->scratch);
    if (!s.code && calls) r.cfg.sampler = SAMPLER_DDIM, r.cfg.sample_steps = calls;
    if (!s.code) s = lead_run_attach(&r, &rows->s);
    *r.stats.fallback = 0;
    if (!s.code)
        s = lead_forecast(&r, &t, 1, arena_alloc(w->perm, (size_t)(r.cfg.samples * r.cfg.horizon * F) * sizeof(float)),
                          point);
    if (!s.code) r.model.cfg = r.cfg, s = lead_calibrate(&r, r.val, CALIBRATE_WINDOWS, &c);
    TEST(log, !s.code && c.windows >= CALIBRATE_LEAST, "%s: %s", dir, s.msg);
    world_delete(w);
    return c.after;
}

static void check_files(TestLog *log, Arena *a, const char *out)
{
    static const char *const want[] = {"best.safetensors", "final.safetensors", "config.json", "log.jsonl",
                                       "calls-2/best.safetensors", "calls-2/final.safetensors"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        TEST(log, access(arena_printf(a, "%s/%s", out, want[i]), F_OK) == 0, "%s: no %s", out, want[i]);
    World *w = world_new(world_f32(), false);
    LeadRun r;
    const Status s = lead_run_load(&r, out, LEAD_NEWEST, NULL, &w->dev, w->perm, w->step, w->scratch);
    TEST(log, !s.code && r.final && r.cfg.sampler == SAMPLER_DDIM && r.cfg.sample_steps == 1 && r.calls == 1 &&
              r.teacher_calls == 2, "%s: %s", out, s.msg);
    world_delete(w);
}

static void check_refusals(TestLog *log, Arena *a, const Rows *rows, DistillOptions o)
{
    const char *const student = o.out;
    Status s = distil(&o, &rows->s);
    TEST(log, s.code == 1 && strstr(s.msg, o.out), "a directory with a run is distilled into: '%s'", s.msg);
    o.out = arena_printf(a, "%s/refused", log->tmp);
    o.calls[0] = 3;
    s = distil(&o, &rows->s);
    TEST(log, s.code == 2 && strstr(s.msg, "divisor of the 8"), "3 calls of 8: '%s'", s.msg);
    o.calls[0] = 2;
    TrafficSeries other = rows->s;
    other.x = arena_alloc(a, (size_t)(other.T * F) * sizeof *other.x);
    memcpy(other.x, rows->s.x, (size_t)(other.T * F) * sizeof *other.x);
    other.x[17] += 1;
    s = distil(&o, &other);
    TEST(log, s.code == 1 && strstr(s.msg, "other traffic"), "other traffic: '%s'", s.msg);
    o.model = student;   // of 1 call
    s = distil(&o, &rows->s);
    TEST(log, s.code == 2 && strstr(s.msg, "distilled to 1 network call"), "a student teaches 8 steps: '%s'", s.msg);
    TEST(log, access(o.out, F_OK) != 0, "a refused distillation left %s", o.out);
}

static void refused(TestLog *log, Arena *a, const char *want, const char *args)
{
    const Ran r = lead_run(log, a, "%s", args);
    const char *line = strstr(r.err, "lead: "), *end = line ? strchr(line, '\n') : NULL;   // after those on the data
    TEST(log, r.code == 2 && end && !end[1] && strstr(line, want) && !*r.out, "%s: exit %d, want one line with '%s', "
         "got %s", args, r.code, want, r.err);
}

// What the program says of a student, and what it does not let it do.
static void check_program(TestLog *log, Arena *a, const char *student)
{
    const char *data = arena_printf(a, "%s/distilled.npy", log->tmp);
    TEST(log, lead_run(log, a, "data synth --nodes %d --days 5 --slot-seconds 3600 --out %s", N, data).code == 0,
         "data synth");
    const Ran r = lead_run(log, a, "forecast --keep-all --model %s --data %s", student, data);
    TEST(log, r.code == 0 && strstr(r.err, "distilled from 2 network calls per sample to 1"), "forecast: exit %d, %s",
         r.code, r.err);
    refused(log, a, "distilled to draw a sample in 1 network call",
            arena_printf(a, "forecast --model %s --data %s --sample-steps 10", student, data));
    refused(log, a, "distilled to draw a sample in 2 network calls",
            arena_printf(a, "eval --model %s/calls-2 --data %s --sample-steps 1", student, data));
    refused(log, a, "distilled for ddim",
            arena_printf(a, "forecast --model %s --data %s --sampler ddpm", student, data));
    refused(log, a, "guidance 1", arena_printf(a, "forecast --model %s --data %s --guidance 2", student, data));
    refused(log, a, "distilled to 1 network call",
            arena_printf(a, "train --update %s --data %s --out %s/no", student, data, log->tmp));
    refused(log, a, "was distilled", arena_printf(a, "eval --model %s --data %s --origins 50", student, data));
}

static void check_distilled(TestLog *log, Arena *a)
{
    Rows rows = {0};
    train_teacher(log, &rows, a);
    const char *out = arena_printf(a, "%s/student", log->tmp), *bare = arena_printf(a, "%s/untuned", log->tmp);
    DistillOptions o = {.model = rows.teacher, .out = out, .teacher_calls = 8, .n_calls = 2, .calls = {2, 1},
                        .steps = 100, .tune_steps = 100, .batch = 16, .lr = 1e-3, .final = true};
    Status s = distil(&o, &rows.s);
    TEST(log, !s.code, "%s", s.msg);
    if (s.code) return;
    check_files(log, a, out);
    check_refusals(log, a, &rows, o);
    check_program(log, a, out);
    o.out = bare, o.tune_steps = 0, o.final = false;
    s = distil(&o, &rows.s);
    TEST(log, !s.code, "%s", s.msg);
    float point[2][4 * F];
    const double many = score(log, &rows, rows.teacher, 50, point[0]);
    const double one = score(log, &rows, rows.teacher, 1, point[0]);
    const double untuned = score(log, &rows, bare, 0, point[1]), tuned = score(log, &rows, out, 0, point[1]);
    TEST(log, tuned <= one, "CRPS of 1 call: student %.6f, teacher %.6f", tuned, one);
    TEST(log, tuned < untuned && untuned < 1.05 * many, "CRPS: tuned %.6f, untuned %.6f, teacher with 50 calls %.6f",
         tuned, untuned, many);
    TEST(log, memcmp(point[0], point[1], sizeof point[0]) == 0, "distillation moved the point forecast");
}

void test_distill(TestLog *log)
{
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);   // tensors of a few values
    Arena *a = arena_new("runs", (size_t)1 << 30, NULL);
    LeadConfig cfg = small_config();
    cfg.mean_head = cfg.scale_head = true;
    Both *x = both_new(log, &cfg);
    check_target(log, x, 4, 2);
    check_target(log, x, 12, 3);
    check_target(log, x, 2, 1);
    check_gradients(log, "distillation", x, step_loss, 4, 2);
    check_gradients(log, "CRPS of 1 call", x, crps_loss, 1, 1);
    check_gradients(log, "CRPS of 2 calls", x, crps_loss, 2, 2);
    world_delete(x->w);
    omp_set_num_threads(threads);
    if (!log->quick) check_distilled(log, a);   // trainings: minutes under the sanitizers
    arena_delete(a);
}
