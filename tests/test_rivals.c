// The rivals (src/rivals): gradients of every model's whole loss against central differences, the same bits on any
// number of threads, training, stopping and resuming, forecasts and scores of each, and their distribution.
#include <omp.h>
#include <signal.h>

#include "lead/train.h"
#include "nn/run_directory.h"
#include "rivals_world.h"
#include "run_lead.h"

// ---- gradients

static Tensor *whole_loss(Tape *t, void *ctx)
{
    const RivalWorld *x = ctx;
    tape_set_step(t, 5);
    return lead_loss(t, x->m, &x->b);
}

static void gradients(TestLog *log, const char *name, RivalTarget target)
{
    RivalWorld *x = rival_world(log, name, target, strcmp(name, "cfc") == 0);
    Tensor **in = arena_alloc(x->w->perm, (size_t)x->w->ps.n * sizeof *in);
    int n = 0;
    for (int i = 0; i < x->w->ps.n; i++)
        if (!x->w->ps.p[i]->frozen) in[n++] = &x->w->ps.p[i]->t;
    module_gradients(log, arena_printf(x->w->perm, "%s, target %s", name, rival_targets[target]), x->w, whole_loss, x,
                     in, n);
    world_delete(x->w);
}

// ---- threads

static const int threads[] = {1, 2, 3, 7};

static void same_bits_on_threads(TestLog *log, int model)
{
    enum { N = 4, B = 3, L = 12 };
    World *w = world_new(world_f32(), false);
    LeadConfig cfg = rival_config(rival_names[model], tiny_llm(log, w->perm), RIVAL_RESIDUAL);
    cfg.history = L, cfg.horizon = 3, cfg.batch = B, cfg.rival_width = cfg.rival_width ? 16 : 0;
    const TrafficSeries s = synth_series(log, w->perm, N, 60, 21600);
    const LeadStats st = fitted(log, w->perm, &s, &cfg);
    LeadModel *m = lead_world_model(w, &cfg, lead_stats_shape(&st, &cfg), 0);
    const LeadData data = data_of(log, &w->t, w->perm, &st, &cfg, &s);
    paramset_lay_out(&w->ps);
    const size_t n = (size_t)numel(&w->ps.flat.g);
    float *first = arena_alloc(w->perm, (n + 1) * sizeof *first), *now = arena_alloc(w->perm, (n + 1) * sizeof *now);
    const int before = omp_get_max_threads();
    for (int i = 0; i < 4; i++) {
        float *to = i ? now : first;
        omp_set_num_threads(threads[i]);
        tape_reset(&w->t);
        w->t.record = w->t.training = true;
        tape_set_step(&w->t, 3);
        paramset_zero_grad(&w->ps);
        const LeadBatch b = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, (int64_t[]){47, 60, 83}, B),
                                            NULL, true);
        Tensor *loss = lead_loss(&w->t, m, &b);
        tape_backward(&w->t, loss);
        tensor_get_f32(&w->ps.flat.g, to, (int64_t)n);
        tensor_get_f32(loss, to + n, 1);
        TEST(log, isfinite(to[n]), "%s: the loss is %g", rival_names[model], (double)to[n]);
        TEST(log, !i || memcmp(first, now, (n + 1) * sizeof *now) == 0, "%s: other bits on %d threads than on one",
             rival_names[model], threads[i]);
    }
    omp_set_num_threads(before);
    world_delete(w);
}

// ---- runs

typedef struct Bench { TestLog *log; Device dev; Arena *keep; TrafficSeries s; const char *llm; } Bench;
typedef struct Watch { int64_t stop_at; volatile sig_atomic_t stop; double loss[8]; Calibration c; } Watch;

static void watch(void *ctx, const TrainReport *r)
{
    Watch *w = ctx;
    if (r->step == w->stop_at) w->stop = 1;
    if (r->step <= 8 && !r->final) w->loss[r->step - 1] = r->loss;
}

static void watch_calibration(void *ctx, const Calibration *c) { ((Watch *)ctx)->c = *c; }

static Status train(const Bench *b, const LeadConfig *cfg, const char *out, bool resume, bool final, Watch *w)
{
    Arena *perm = arena_new("perm", (size_t)1 << 30, NULL), *step = arena_new("step", (size_t)1 << 32, NULL);
    Arena *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    CHECK(perm && step && scratch, "no address space");
    const TrafficSplits split = traffic_splits(b->s.T, PROTOCOL_CLEAN);
    const TrainOptions o = {.out = out, .resume = resume, .data_path = "synthetic", .train = split.train,
                            .val = split.val, .final = {0, final ? b->s.T : 0}, .report = watch, .ctx = w,
                            .calibrated = watch_calibration, .stop = &w->stop};
    const Status s = lead_train(cfg, &b->s, &o, &b->dev, perm, step, scratch);
    arena_delete(scratch);
    arena_delete(step);
    arena_delete(perm);
    return s;
}

// The best weights, without the metadata: bytes of the tensors.
static bool same_weights(const Bench *b, const char *one, const char *two)
{
    SafeFile f, g;
    Status s = checkpoint_open(&f, b->keep, arena_printf(b->keep, "%s/" RUN_BEST, one));
    if (!s.code) s = checkpoint_open(&g, b->keep, arena_printf(b->keep, "%s/" RUN_BEST, two));
    CHECK(!s.code, "%s", s.msg);
    bool same = f.n_tensor == g.n_tensor && f.n_tensor > 8;
    for (int64_t i = 0; same && i < f.n_tensor; i++)
        same = memcmp(f.tensor[i].data, g.tensor[i].data,
                      (size_t)f.tensor[i].count * safetensors_type_size(f.tensor[i].type)) == 0;
    safetensors_close(&f);
    safetensors_close(&g);
    return same;
}

// At a window whose error was kept, the forecast plus sigma z is the truth; so sigma and z are those that a file gives
// back.  z: the last part of stat.rival (lead/rival.c).
static void truth_comes_back(const Bench *b, LeadRun *r, const float *point, int64_t t, int64_t kept)
{
    const int K = r->stats.Kt, F = r->stats.F;
    const int64_t KF = (int64_t)K * F;
    const float *z = r->stats.rival + lead_rival_stats_size(&r->stats) - RIVAL_KEPT * KF + kept * KF;
    float sigma[64];
    CHECK(KF <= 64, "truth_comes_back: %lld values", (long long)KF);
    conditional_sigma(r->rival_scale, &b->s, t, sigma);
    double worst = 0;
    for (int64_t k = 0; k < KF; k++) {
        const double truth = (double)b->s.x[(t + 1 + k / F) * F + k % F];
        const double got = (double)point[k] + (double)sigma[k] * (double)z[k];
        worst = check_fold(worst, fabs(got - truth) / (1 + fabs(truth)));
    }
    TEST(b->log, worst < 1e-4, "%s: forecast + sigma z misses the truth of its window by %.2g", r->file, worst);
}

// Loads the run and forecasts: finite paths that differ, a point that is no mean of them; scores of a few windows.
static void forecast_and_score(const Bench *b, const char *dir, int model)
{
    enum { WINDOWS = 3, S = 4 };
    Arena *perm = arena_new("perm", (size_t)1 << 30, NULL), *step = arena_new("step", (size_t)1 << 32, NULL);
    Arena *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    LeadRun *r = arena_zalloc(perm, sizeof *r);
    Status s = lead_run_load(r, dir, LEAD_BEST, NULL, &b->dev, perm, step, scratch);
    if (!s.code) s = lead_run_attach(r, &b->s);
    if (TEST(b->log, !s.code, "%s: %s", rival_names[model], s.msg)) {
        int64_t at[RIVAL_FIT];
        const int n = lead_rival_windows(r, r->val, at, RIVAL_FIT), KF = r->stats.Kt * r->stats.F;
        float *out = arena_alloc(perm, (size_t)(WINDOWS * (S + 1) * KF) * sizeof *out), *point = out + WINDOWS * S * KF;
        r->cfg.samples = S;
        s = lead_forecast(r, at, WINDOWS, out, point);
        TEST(b->log, !s.code && n > WINDOWS, "%s: %s", rival_names[model], s.msg);
        TEST(b->log, memcmp(out, out + KF, (size_t)KF * sizeof *out) != 0, "%s: two paths are one", rival_names[model]);
        for (int i = 0; i < WINDOWS; i++) truth_comes_back(b, r, point + i * KF, at[i], i);
        float *again = arena_alloc(perm, (size_t)((S + 1) * KF) * sizeof *again);
        s = lead_forecast(r, at + 1, 1, again, again + S * KF);
        TEST(b->log, !memcmp(again, out + S * KF, (size_t)(S * KF) * sizeof *again) &&
                         !memcmp(again + S * KF, point + KF, (size_t)KF * sizeof *again),
             "%s: a forecast depends on those beside it", rival_names[model]);
        const Forecaster f = lead_forecaster(r, WINDOWS);
        TEST(b->log, strcmp(f.name, rival_names[model]) == 0 && f.kind == DIST_SAMPLES && f.S == S,
             "%s is scored as %s", rival_names[model], f.name);
        const int64_t starts[WINDOWS] = {at[0] - RL + 1, at[1] - RL + 1, at[2] - RL + 1};
        const EvalTask task = {.series = &b->s, .scale = &r->stats.scale, .starts = starts, .n_windows = WINDOWS,
                               .history = RL, .K = r->stats.Kt};
        EvalTable table = eval_table_new(perm, &task, 1);
        s = evaluate(&table, perm, &task, &f);
        const EvalRow *row = eval_table_find(&table, rival_names[model], "scaled", 1);
        TEST(b->log, !s.code && row && row->r.rmse > 0 && row->r.crps > 0, "%s: no score: %s", rival_names[model],
             s.msg);
    }
    arena_delete(scratch);
    arena_delete(step);
    arena_delete(perm);
}

static void run_of(const Bench *b, int model, RivalTarget target)
{
    LeadConfig cfg = rival_config(rival_names[model], b->llm, target);
    cfg.steps = 4, cfg.lr = 1e-3, cfg.batch = 4;
    const char *whole = arena_printf(b->keep, "%s/whole.%d", b->log->tmp, model + 100 * (int)target);
    const char *parts = arena_printf(b->keep, "%s/parts.%d", b->log->tmp, model + 100 * (int)target);
    Watch one = {0}, two = {.stop_at = 2};
    Status s = train(b, &cfg, whole, false, false, &one);
    TEST(b->log, !s.code, "%s: %s", rival_names[model], s.msg);
    if (s.code) return;
    s = train(b, &cfg, parts, false, false, &two);
    TEST(b->log, !s.code, "%s: %s", rival_names[model], s.msg);
    two.stop = 0, two.stop_at = 0;
    s = train(b, &cfg, parts, true, false, &two);
    TEST(b->log, !s.code, "%s, resumed: %s", rival_names[model], s.msg);
    TEST(b->log, same_weights(b, whole, parts), "%s: resuming gives other bits", rival_names[model]);
    TEST(b->log, one.loss[0] != one.loss[3], "%s: nothing was trained", rival_names[model]);
    TEST(b->log, one.c.rival && one.c.windows >= RIVAL_LEAST && isfinite(one.c.after) && !one.c.fallback,
         "%s: %d windows, CRPS %g", rival_names[model], one.c.windows, one.c.after);
    forecast_and_score(b, whole, model);
}

// The final fit errs as the validated one; a run that is not finished says that it cannot forecast; few rows.
static void ends(const Bench *b)
{
    Arena *a = b->keep;
    LeadConfig cfg = rival_config("gru", b->llm, RIVAL_LEVELS);
    cfg.steps = 4;
    const char *dir = arena_printf(a, "%s/final", b->log->tmp);
    Watch w = {0}, stopped = {.stop_at = 3};
    Status s = train(b, &cfg, dir, false, true, &w);
    TEST(b->log, !s.code, "final fit: %s", s.msg);
    Arena *step = arena_new("step", (size_t)1 << 32, NULL), *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    LeadRun best, final, unfinished;
    s = lead_run_load(&best, dir, LEAD_BEST, NULL, &b->dev, a, step, scratch);
    if (!s.code) s = lead_run_load(&final, dir, LEAD_NEWEST, NULL, &b->dev, a, step, scratch);
    if (TEST(b->log, !s.code, "%s", s.msg))
        TEST(b->log, final.final && *best.stats.rival > 0 &&
                         !memcmp(best.stats.rival, final.stats.rival,
                                 (size_t)lead_rival_stats_size(&best.stats) * sizeof(float)),
             "the final fit does not err as the validated one");
    dir = arena_printf(a, "%s/unfinished", b->log->tmp);
    s = train(b, &cfg, dir, false, false, &stopped);
    if (!s.code) s = lead_run_load(&unfinished, dir, LEAD_BEST, NULL, &b->dev, a, step, scratch);
    if (!s.code) s = lead_run_attach(&unfinished, &b->s);
    if (TEST(b->log, !s.code, "%s", s.msg)) {
        float out[RK * RF * 64];
        unfinished.cfg.samples = 4;
        s = lead_forecast(&unfinished, (int64_t[]){60}, 1, out, NULL);
        TEST(b->log, s.code && strstr(s.msg, "is not known before its training has finished"), "got '%s'", s.msg);
    }
    Bench few = *b;
    few.s.T = 90;
    s = train(&few, &cfg, arena_printf(a, "%s/few", b->log->tmp), false, false, &w);
    TEST(b->log, s.code && strstr(s.msg, "validation windows"), "few rows: got '%s'", s.msg);
    arena_delete(scratch);
    arena_delete(step);
}

// ---- the command

static void refused(TestLog *log, Arena *a, const char *data, const char *args, const char *want)
{
    const Ran r = lead_run(log, a, "train --data %s --out %s/no %s", data, log->tmp, args);
    TEST(log, r.code == 2 && strstr(r.err, want), "lead train %s: want '%s', got %d, '%s'", args, want, r.code, r.err);
}

static void command(TestLog *log)
{
    Arena *a = arena_new("command", (size_t)1 << 28, NULL);
    const Ran help = lead_run(log, a, "train --help");
    for (int i = 0; rival_names[i]; i++)
        TEST(log, strstr(help.out, rival_names[i]), "lead train --help does not name %s", rival_names[i]);
    const char *data = arena_printf(a, "%s/data.npy", log->tmp), *run = arena_printf(a, "%s/run", log->tmp);
    Ran r = lead_run(log, a, "data synth --nodes 3 --days 60 --slot-seconds 21600 --out %s", data);
    TEST(log, r.code == 0, "%s", r.err);
    refused(log, a, data, "--model nonesuch", "model: want one of lead, dlinear");
    refused(log, a, data, "--model gru --mean-head true", "gru wants flow_context");
    refused(log, a, data, "--model gru --rival-width 6", "want a multiple of 4, got 6");
    refused(log, a, data, "--model dlinear --rival-width 8", "no hidden width");
    refused(log, a, data, "--model stid --history 8", "wants at least 12, got 8");
    refused(log, a, data, "--model gru --from pretrained", "want model lead, got gru");
    // the order of the options does not matter
    r = lead_run(log, a, "train --lr 5e-4 --steps 3 --horizon 2 --model stid --config tiny --data %s --out %s", data,
                 run);
    TEST(log, r.code == 0, "%s", r.err);
    const char *config = slurp(a, arena_printf(a, "%s/config.json", run));
    TEST(log, strstr(config, "\"model\":\"stid\"") || strstr(config, "\"model\": \"stid\""), "%s", config);
    TEST(log, strstr(config, "0.0005") && strstr(config, "\"decay\"") && strstr(config, "0.0001"), "%s", config);
    r = lead_run(log, a, "eval --model %s --data %s --split val --out %s/eval.tsv", run, data, log->tmp);
    TEST(log, r.code == 0 && strstr(slurp(a, arena_printf(a, "%s/eval.tsv", log->tmp)), "\nstid\t1\t"), "%s", r.err);
    r = lead_run(log, a, "forecast --model %s --data %s --format nixtla --horizon 2 --out %s/f.csv", run, data,
                 log->tmp);
    TEST(log, r.code == 0 && strstr(slurp(a, arena_printf(a, "%s/f.csv", log->tmp)), "unique_id,ds,stid,stid-"),
         "forecast: %s", r.err);
    r = lead_run(log, a, "eval --origins 70 --config-file %s/config.json --runs %s/runs --stride 9 --data %s", run,
                 log->tmp, data);
    TEST(log, r.code == 0 && strstr(r.out, "; stid: ") && strstr(r.out, "\nstid\t1\t") && strstr(r.err, "\n  stid  "),
         "eval --origins: %s", r.err);
    r = lead_run(log, a, "distill --model %s --data %s --out %s/d", run, data, log->tmp);
    TEST(log, r.code && strstr(r.err, "want a run of LEAD"), "%s", r.err);
    r = lead_run(log, a, "pretrain --model gru --out %s/p", log->tmp);
    TEST(log, r.code && strstr(r.err, "wants model lead"), "%s", r.err);
    arena_delete(a);
}

void test_rivals(TestLog *log)
{
    for (int i = 1; rival_names[i]; i++) {   // a quick run: gradients of half of the models, runs of the others
        if (!log->quick || i % 2) gradients(log, rival_names[i], RIVAL_RESIDUAL);
        if (!log->quick) same_bits_on_threads(log, i);
    }
    gradients(log, "nlinear", RIVAL_LEVELS);
    gradients(log, "tsmixer", RIVAL_LEVELS);
    gradients(log, "stid", RIVAL_LEVELS);
    Arena *keep = arena_new("rivals", (size_t)1 << 30, NULL);
    Bench b = {log, world_f32(), keep, {0}, NULL};
    b.s = synth_series(log, keep, RN, 60, 21600);
    b.llm = tiny_llm(log, keep);
    for (int i = 1; rival_names[i]; i++)
        if (!log->quick || i % 2 == 0) run_of(&b, i, i % 2 ? RIVAL_RESIDUAL : RIVAL_LEVELS);
    ends(&b);
    arena_delete(keep);
    command(log);
}
