// Training: stopping, killing and resuming change no bit; threads change no bit; the frozen LLM stays, everything else
// moves; the loss falls; nothing is overwritten; forecasts use the moving average.
#include <omp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lead/forecast.h"
#include "lead/train.h"
#include "lead_world.h"
#include "io/sha256.h"
#include "run_lead.h"

enum { NODES = 4 };

typedef struct Bench {
    TestLog *log;
    Device dev;
    Arena *keep;             // series, paths
    TrafficSeries s;
    const char *llm;
} Bench;

static LeadConfig train_config(const Bench *b)
{
    LeadConfig c = tiny_lead(b->llm);
    c.dropout = 0.1, c.lora_rank = 1, c.loss_pool = 0.1;
    return c;
}

// What a run did, and when it shall stop.
typedef struct Watch { int64_t steps, stop_at; double loss[512]; volatile sig_atomic_t stop; } Watch;

static void watch(void *ctx, const TrainReport *r)
{
    Watch *w = ctx;
    if (r->step <= 512) w->loss[r->step - 1] = r->loss;
    w->steps++;
    if (r->step == w->stop_at) w->stop = 1;
}

static Status train(const Bench *b, const LeadConfig *cfg, const char *out, bool resume, Watch *w)
{
    Arena *perm = arena_new("perm", (size_t)1 << 30, NULL), *step = arena_new("step", (size_t)1 << 32, NULL);
    Arena *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    CHECK(perm && step && scratch, "no address space");
    const TrafficSplits split = traffic_splits(b->s.T, PROTOCOL_CLEAN);
    const TrainOptions o = {.out = out,
                            .resume = resume,
                            .data_path = "synthetic",
                            .train = split.train,
                            .val = split.val,
                            .report = watch,
                            .ctx = w,
                            .stop = &w->stop};
    const Status s = lead_train(cfg, &b->s, &o, &b->dev, perm, step, scratch);
    arena_delete(scratch);
    arena_delete(step);
    arena_delete(perm);
    return s;
}

static const char *run_path(const Bench *b, const char *name)
{
    return arena_printf(b->keep, "%s/%s", b->log->tmp, name);
}

static void train_ok(const Bench *b, const LeadConfig *cfg, const char *name, bool resume, Watch *w)
{
    const Status s = train(b, cfg, run_path(b, name), resume, w);
    TEST(b->log, !s.code, "%s: %s", name, s.msg);
}

// Tensors (not the metadata, where a manifest differs) of two checkpoints, bit by bit; bytes of the whole file too.
static void same_checkpoints(const Bench *b, const char *one, const char *two, const char *file, bool whole,
                             const char *what)
{
    Arena *a = arena_new("compare", (size_t)1 << 28, NULL);
    SafeFile f, g;
    Status s = safetensors_open(&f, a, arena_printf(a, "%s/%s", run_path(b, one), file));
    if (TEST(b->log, !s.code, "%s", s.msg)) {
        s = safetensors_open(&g, a, arena_printf(a, "%s/%s", run_path(b, two), file));
        if (TEST(b->log, !s.code, "%s", s.msg)) {
            TEST(b->log, f.n_tensor == g.n_tensor && f.n_tensor > 100, "%s, %s: %lld and %lld tensors", what, file,
                 (long long)f.n_tensor, (long long)g.n_tensor);
            int64_t differ = 0;
            const char *first = "";
            for (int64_t i = 0; i < f.n_tensor && i < g.n_tensor; i++) {
                const SafeTensor *x = &f.tensor[i], *y = &g.tensor[i];
                const bool same = strcmp(x->name, y->name) == 0 && x->count == y->count &&
                                  memcmp(x->data, y->data, (size_t)x->count * safetensors_type_size(x->type)) == 0;
                if (!same && !differ++) first = x->name;
            }
            TEST(b->log, differ == 0, "%s, %s: %lld tensors differ, the first is %s", what, file, (long long)differ,
                 first);
            if (whole)
                TEST(b->log, f.map.size == g.map.size && memcmp(f.map.data, g.map.data, f.map.size) == 0,
                     "%s, %s: metadata differ", what, file);
            safetensors_close(&g);
        }
        safetensors_close(&f);
    }
    arena_delete(a);
}

// N steps = k steps, stop, resume, N - k steps; any number of threads.
static void check_resume(const Bench *b)
{
    LeadConfig cfg = train_config(b);
    cfg.steps = 14;
    Watch whole = {0}, first = {.stop_at = 5}, second = {.stop_at = 6}, third = {0}, threads = {0};
    train_ok(b, &cfg, "whole", false, &whole);
    train_ok(b, &cfg, "parts", false, &first);
    train_ok(b, &cfg, "parts", true, &second);
    train_ok(b, &cfg, "parts", true, &third);
    TEST(b->log, whole.steps == 14 && first.steps == 5 && second.steps == 1 && third.steps == 8,
         "steps: %lld, and %lld + %lld + %lld", (long long)whole.steps, (long long)first.steps, (long long)second.steps,
         (long long)third.steps);
    same_checkpoints(b, "whole", "parts", "checkpoint.safetensors", true, "stopped twice and resumed");
    same_checkpoints(b, "whole", "parts", "best.safetensors", true, "stopped twice and resumed");
    const int before = omp_get_max_threads();
    omp_set_num_threads(before == 1 ? 2 : 1);
    train_ok(b, &cfg, "threads", false, &threads);
    omp_set_num_threads(before);
    same_checkpoints(b, "whole", "threads", "checkpoint.safetensors", true, "one and two threads");
    Watch other = {0};
    LeadConfig seed = cfg;
    seed.seed = 2;
    train_ok(b, &seed, "seed", false, &other);
    TEST(b->log, other.loss[13] != whole.loss[13], "another seed trains to the same loss");
}

static void check_refusals(const Bench *b)
{
    LeadConfig cfg = train_config(b);
    cfg.steps = 14;
    const char *path = arena_printf(b->keep, "%s/checkpoint.safetensors", run_path(b, "whole"));
    struct stat before, after;
    TEST(b->log, stat(path, &before) == 0, "no %s", path);
    Watch w = {0};
    Status s = train(b, &cfg, run_path(b, "whole"), false, &w);
    TEST(b->log, s.code == 1 && strstr(s.msg, "--resume"), "a run that exists was not refused: %d '%s'", s.code, s.msg);
    cfg.lr *= 2;
    s = train(b, &cfg, run_path(b, "whole"), true, &w);
    TEST(b->log, s.code == 1 && strstr(s.msg, "configuration"), "another configuration was not refused: %d '%s'",
         s.code, s.msg);
    s = train(b, &cfg, run_path(b, "nowhere"), true, &w);
    TEST(b->log, s.code == 1 && strstr(s.msg, "checkpoint.safetensors"),
         "resuming from nothing was not refused: %d '%s'", s.code, s.msg);
    TEST(b->log,
         w.steps == 0 && stat(path, &after) == 0 && before.st_ino == after.st_ino && before.st_size == after.st_size,
         "a refused run wrote something");
    LeadConfig wild = train_config(b);
    wild.lr = 1e30, wild.clip = 0, wild.warmup = 0;
    s = train(b, &wild, run_path(b, "wild"), false, &(Watch){0});
    TEST(b->log, s.code == 1 && strstr(s.msg, "at step"), "a loss that is not finite: %d '%s'", s.code, s.msg);
    TEST(b->log, access(run_path(b, "wild/checkpoint.safetensors"), F_OK) != 0,
         "a checkpoint of weights that are not finite was written");
}

// The mean of the last ten losses lies well below that of the first ten.
static void check_loss_falls(const Bench *b)
{
    LeadConfig cfg = train_config(b);
    cfg.steps = 60, cfg.batch = 8, cfg.lr = 3e-3, cfg.dropout = 0, cfg.min_snr_gamma = 0;
    Watch w = {0};
    train_ok(b, &cfg, "falls", false, &w);
    double begin = 0, end = 0;
    for (int i = 0; i < 10; i++) begin += w.loss[i] / 10, end += w.loss[50 + i] / 10;
    TEST(b->log, end < 0.9 * begin, "the loss falls from %g to %g only in 60 steps", begin, end);
    const char *log = slurp(b->keep, run_path(b, "falls/log.jsonl"));
    int lines = 0;
    for (const char *p = log; (p = strchr(p, '\n')); p++) lines++;
    TEST(b->log, lines >= 6 && strstr(log, "\"step\":60,") && strstr(log, "\"val_loss\":"), "log.jsonl: %d lines",
         lines);
}

// Three steps: no bit of a frozen parameter changes, every trainable tensor does.
static void check_frozen(const Bench *b)
{
    World *w = world_new(b->dev, false);
    LeadConfig cfg = train_config(b);
    cfg.cond_drop = 0.5;   // the null conditions are trained where a condition is dropped
    const LeadStats st = fitted(b->log, w->perm, &b->s, &cfg);
    LeadModel *m = lead_world_model(w, &cfg, lead_stats_shape(&st, &cfg), 0);
    const LeadData data = data_of(b->log, &w->t, w->perm, &st, &cfg, &b->s);
    const char *before = paramset_frozen_hash(&w->ps, w->perm);
    Sha256Hex *hash = arena_alloc(w->perm, (size_t)w->ps.n * sizeof *hash);
    for (int i = 0; i < w->ps.n; i++) hash[i] = sha256_hex_of(w->ps.p[i]->t.x, tensor_bytes(&w->ps.p[i]->t));
    Optim o = {
        .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01, .clip = 1, .ema = 0.9, .total = 10};
    for (int step = 0; step < 4; step++) {
        tape_reset(&w->t);
        paramset_zero_grad(&w->ps);
        const int64_t at[4] = {20 + step, 40 + step, 60 + step, 80 + step};
        const LeadBatch batch = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, at, 4), NULL, true);
        tape_set_step(&w->t, (uint32_t)step);
        tape_backward(&w->t, lead_loss(&w->t, m, &batch));
        optim_step(&o, &w->t, &w->ps);
    }
    TEST(b->log, strcmp(before, paramset_frozen_hash(&w->ps, w->perm)) == 0, "the frozen LLM changed");
    int frozen = 0, still = 0;
    const char *first = "";
    for (int i = 0; i < w->ps.n; i++) {
        const Param *p = w->ps.p[i];
        const Sha256Hex now = sha256_hex_of(p->t.x, tensor_bytes(&p->t));
        const bool same = strcmp(hash[i].s, now.s) == 0;
        frozen += p->frozen;
        TEST(b->log, p->frozen == (strncmp(p->t.name, "llm.", 4) == 0) && (!p->frozen || (same && !p->t.g)),
             "%s: frozen %d, same %d", p->t.name, p->frozen, same);
        if (!p->frozen && same && !still++) first = p->t.name;
    }
    TEST(b->log, frozen > 20 && still == 0, "%d frozen; %d trainable tensors did not move, the first is %s", frozen,
         still, first);
    world_delete(w);
}

// A loaded run holds the EMA, and its forecasts do not depend on how many windows are drawn together.
static void check_forecast(const Bench *b)
{
    World *w = world_new(b->dev, true);
    LeadRun *r = arena_alloc(w->perm, sizeof *r);
    const char *path = arena_printf(w->perm, "%s/checkpoint.safetensors", run_path(b, "whole"));
    Status s = lead_run_load(r, path, NULL, &w->dev, w->perm, w->step, w->scratch);
    SafeFile f;
    if (!TEST(b->log, !s.code, "%s", s.msg)) return;
    s = checkpoint_open(&f, w->perm, path);
    TEST(b->log, !s.code && r->step == 14, "%s; step %lld", s.msg, (long long)r->step);
    int ema = 0, raw = 0, all = 0;
    for (int i = 0; i < r->ps.n; i++) {
        const Tensor *t = &r->ps.p[i]->t;
        const SafeTensor *e = safetensors_find(&f, arena_printf(w->perm, "%s#ema", t->name)),
                         *x = safetensors_find(&f, t->name);
        if (!e || !x) continue;
        all++;
        ema += memcmp(e->data, t->x, tensor_bytes(t)) == 0;
        raw += memcmp(x->data, t->x, tensor_bytes(t)) == 0;
    }
    TEST(b->log, all > 100 && ema == all && raw == 0, "of %d tensors %d are the moving average and %d the last weights",
         all, ema, raw);
    safetensors_close(&f);
    const int64_t rows[3] = {200, 301, 250};
    const int64_t n = (int64_t)r->cfg.samples * r->cfg.horizon * r->stats.F;
    float *together = arena_alloc(w->perm, (size_t)(3 * n) * sizeof *together),
          *alone = arena_alloc(w->perm, (size_t)n * sizeof *alone);
    for (int rollout = 0; rollout < 2; rollout++) {
        if (rollout) {   // the same weights, one step drawn and fed back: a run of its own
            LeadConfig cfg = train_config(b);
            cfg.steps = 2, cfg.horizons = HORIZON_ROLLOUT;
            train_ok(b, &cfg, "rollout", false, &(Watch){0});
            s = lead_run_load(r, run_path(b, "rollout"), NULL, &w->dev, w->perm, w->step, w->scratch);
            if (!TEST(b->log, !s.code, "%s", s.msg)) break;
        }
        s = lead_run_attach(r, &b->s);
        if (!s.code) s = lead_forecast(r, rows, 3, together, NULL);
        TEST(b->log, !s.code, "%s", s.msg);
        bool fine = true;
        for (int64_t i = 0; i < 3 * n; i++) fine &= isfinite(together[i]) && together[i] >= 0;
        TEST(b->log, fine, "a forecast is negative or not finite");
        for (int i = 0; i < 3; i++) {
            s = lead_forecast(r, &rows[i], 1, alone, NULL);
            TEST(b->log, !s.code && memcmp(alone, together + i * n, (size_t)n * sizeof *alone) == 0,
                 "%s: the samples after row %lld depend on the others", rollout ? "rollout" : "direct",
                 (long long)rows[i]);
        }
        TrafficSeries later = b->s;   // the future is not looked at
        later.x = arena_alloc(w->perm, (size_t)(later.T * NODES * NODES) * sizeof *later.x);
        memcpy(later.x, b->s.x, (size_t)(later.T * NODES * NODES) * sizeof *later.x);
        for (int64_t i = (rows[0] + 1) * NODES * NODES; i < later.T * NODES * NODES; i++) later.x[i] *= 7;
        s = lead_run_attach(r, &later);
        if (!s.code) s = lead_forecast(r, rows, 1, alone, NULL);
        TEST(b->log, !s.code && memcmp(alone, together, (size_t)n * sizeof *alone) == 0,
             "%s: a forecast depends on later rows", rollout ? "rollout" : "direct");
        const int64_t early = r->cfg.history - 2;
        s = lead_forecast(r, &early, 1, alone, NULL);
        TEST(b->log, s.code == 1 && strstr(s.msg, "history") == NULL && strstr(s.msg, "row"),
             "a forecast without history: %d '%s'", s.code, s.msg);
    }
    world_delete(w);
}

// The process is killed at some step (kill -9) and resumed: the same tensors as a run that was never touched.
static void check_kill(const Bench *b)
{
    Arena *a = b->keep;
    const char *data = run_path(b, "kill.npy"), *ckpt = run_path(b, "killed/checkpoint.safetensors");
    const char *out = run_path(b, "kill.out"), *err = run_path(b, "kill.err");
    const Status s = traffic_series_write(&b->s, data, NULL);
    TEST(b->log, !s.code, "%s", s.msg);
    const char *common =
        arena_printf(a, "train --keep-all --data %s --config tiny --llm %s --steps 80 --checkpoint-seconds 0.001", data,
                     b->llm);
    const pid_t pid = lead_start(b->log, a, out, err, arena_printf(a, "%s --out %s", common, run_path(b, "killed")));
    for (int i = 0; i < 6000 && access(ckpt, F_OK) != 0; i++) usleep(10000);
    TEST(b->log, kill(pid, SIGKILL) == 0 && lead_wait(pid) == 128 + SIGKILL,
         "the run ended before it could be killed: %s", slurp(a, err));
    struct stat sb;
    TEST(b->log, stat(ckpt, &sb) == 0, "no checkpoint within a minute: %s", slurp(a, err));
    Ran r = lead_run(b->log, a, "%s --out %s --resume", common, run_path(b, "killed"));
    TEST(b->log, r.code == 0, "resumed after kill -9: exit %d, %s", r.code, r.err);
    r = lead_run(b->log, a, "%s --out %s", common, run_path(b, "alive"));
    TEST(b->log, r.code == 0, "exit %d, %s", r.code, r.err);
    same_checkpoints(b, "alive", "killed", "checkpoint.safetensors", false, "killed and resumed");
    same_checkpoints(b, "alive", "killed", "best.safetensors", false, "killed and resumed");
    r = lead_run(b->log, a, "%s --out %s", common, run_path(b, "alive"));
    TEST(b->log, r.code == 1 && strstr(r.err, "--resume"), "a run that exists: exit %d, %s", r.code, r.err);
    // Ctrl-C: exit 0, a checkpoint to go on from
    const pid_t again = lead_start(b->log, a, out, err, arena_printf(a, "%s --out %s", common, run_path(b, "stopped")));
    for (int i = 0; i < 6000 && access(run_path(b, "stopped/checkpoint.safetensors"), F_OK) != 0; i++) usleep(10000);
    kill(again, SIGINT);
    TEST(b->log, lead_wait(again) == 0 && strstr(slurp(a, err), "--resume"), "Ctrl-C: %s", slurp(a, err));
    r = lead_run(b->log, a, "%s --out %s --resume", common, run_path(b, "stopped"));
    TEST(b->log, r.code == 0, "resumed after Ctrl-C: exit %d, %s", r.code, r.err);
    same_checkpoints(b, "alive", "stopped", "checkpoint.safetensors", false, "interrupted and resumed");
}

void test_train(TestLog *log)
{
    Bench b = {.log = log, .dev = world_f32(), .keep = arena_new("keep", (size_t)1 << 30, NULL)};
    CHECK(b.keep, "no address space");
    b.llm = tiny_llm(log, b.keep);
    b.s = synth_series(log, b.keep, NODES, 45, 10800);
    check_resume(&b);
    check_refusals(&b);
    check_frozen(&b);
    check_forecast(&b);
    if (!log->quick) {
        check_loss_falls(&b);
        check_kill(&b);
    }
    arena_delete(b.keep);
}
