// Training: stopping, killing and resuming change no bit; threads change no bit; the frozen LLM stays, everything else
// moves; the loss falls; nothing is overwritten; forecasts use the moving average.  Patience, the limit of time, the
// final fit and updates.
#include <omp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lead/forecast.h"
#include "lead/pace.h"
#include "lead/train.h"
#include "lead_world.h"
#include "io/sha256.h"
#include "nn/run_directory.h"
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
typedef struct Watch {
    int64_t steps, stop_at;
    bool stop_in_final;          // stop_at is a step of the final fit
    double loss[512];
    TrainEnd end[2];             // of the training, of the final fit
    volatile sig_atomic_t stop;
    // how it is trained
    const char *start;
    bool final, no_val;
    TrafficRange train;          // empty: the usual split
    double (*clock)(void);
    const char *out;
    int64_t bare;                // steps of the training after which there were best weights and no checkpoint
} Watch;

static void slow_down(const TrainReport *r);

static void watch(void *ctx, const TrainReport *r)
{
    Watch *w = ctx;
    if (r->step <= 512 && !r->final) w->loss[r->step - 1] = r->loss;
    w->steps++;
    if (r->step == w->stop_at && r->final == w->stop_in_final) w->stop = 1;
    char best[512], checkpoint[512];
    snprintf(best, sizeof best, "%s/" RUN_BEST, w->out);
    snprintf(checkpoint, sizeof checkpoint, "%s/" RUN_CHECKPOINT, w->out);
    w->bare += !r->final && access(best, F_OK) == 0 && access(checkpoint, F_OK) != 0;
    slow_down(r);
}

static void watch_end(void *ctx, const TrainEnd *e) { ((Watch *)ctx)->end[e->final] = *e; }

static Status train(const Bench *b, const LeadConfig *cfg, const char *out, bool resume, Watch *w)
{
    Arena *perm = arena_new("perm", (size_t)1 << 30, NULL), *step = arena_new("step", (size_t)1 << 32, NULL);
    Arena *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    CHECK(perm && step && scratch, "no address space");
    const TrafficSplits split = traffic_splits(b->s.T, PROTOCOL_CLEAN);
    w->out = out;
    const TrainOptions o = {.out = out,
                            .resume = resume,
                            .data_path = "synthetic",
                            .start = w->start,
                            .train = w->train.end ? w->train : split.train,
                            .val = w->no_val ? (TrafficRange){0, 0} : split.val,
                            .final = {0, w->final ? b->s.T : 0},
                            .report = watch,
                            .ended = watch_end,
                            .ctx = w,
                            .clock = w->clock,
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

static RunState state_of(const Bench *b, const char *name)
{
    RunState state;
    const Status s = run_directory_state(run_path(b, name), &state, b->keep);
    TEST(b->log, !s.code, "%s", s.msg);
    return state;
}

static void train_ok(const Bench *b, const LeadConfig *cfg, const char *name, bool resume, Watch *w)
{
    const Status s = train(b, cfg, run_path(b, name), resume, w);
    TEST(b->log, !s.code, "%s: %s", name, s.msg);
    TEST(b->log, w->bare == 0, "%s: killed after one of %lld steps, it would count as finished", name,
         (long long)w->bare);
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
    Watch whole = {.stop_at = 13}, first = {.stop_at = 5}, second = {.stop_at = 6}, third = {.stop_at = 13};
    Watch threads = {.stop_at = 13}, rest = {0}, straight = {0};
    train_ok(b, &cfg, "whole", false, &whole);
    train_ok(b, &cfg, "parts", false, &first);
    train_ok(b, &cfg, "parts", true, &second);
    train_ok(b, &cfg, "parts", true, &third);
    TEST(b->log, whole.steps == 13 && first.steps == 5 && second.steps == 1 && third.steps == 7,
         "steps: %lld, and %lld + %lld + %lld", (long long)whole.steps, (long long)first.steps, (long long)second.steps,
         (long long)third.steps);
    same_checkpoints(b, "whole", "parts", "checkpoint.safetensors", true, "stopped twice and resumed");
    same_checkpoints(b, "whole", "parts", "best.safetensors", true, "stopped twice and resumed");
    train_ok(b, &cfg, "parts", true, &rest);
    train_ok(b, &cfg, "straight", false, &straight);
    same_checkpoints(b, "straight", "parts", "best.safetensors", true, "stopped three times, finished");
    TEST(b->log, rest.end[0].why == TRAIN_COMPLETE && first.end[0].why == TRAIN_ASKED && rest.end[0].step == 14,
         "ended for reason %d at step %lld", (int)rest.end[0].why, (long long)rest.end[0].step);
    const int before = omp_get_max_threads();
    omp_set_num_threads(before == 1 ? 2 : 1);
    train_ok(b, &cfg, "threads", false, &threads);
    omp_set_num_threads(before);
    same_checkpoints(b, "whole", "threads", "checkpoint.safetensors", true, "one and two threads");
    Watch other = {0};
    LeadConfig seed = cfg;
    seed.seed = 2;
    train_ok(b, &seed, "seed", false, &other);
    TEST(b->log, other.loss[12] != whole.loss[12], "another seed trains to the same loss");
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
    Status s = lead_run_load(r, path, LEAD_BEST, NULL, &w->dev, w->perm, w->step, w->scratch);
    SafeFile f;
    if (!TEST(b->log, !s.code, "%s", s.msg)) return;
    s = checkpoint_open(&f, w->perm, path);
    TEST(b->log, !s.code && r->step == 13, "%s; step %lld", s.msg, (long long)r->step);
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
            s = lead_run_load(r, run_path(b, "rollout"), LEAD_BEST, NULL, &w->dev, w->perm, w->step, w->scratch);
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
        float *parts = arena_alloc(w->perm, (size_t)(3 * n) * sizeof *parts);
        r->memory = SIZE_MAX, r->fit = (MemoryFit){.windows = 2, .rows = 3};
        s = lead_forecast(r, rows, 3, parts, NULL);
        TEST(b->log, !s.code && memcmp(parts, together, (size_t)(3 * n) * sizeof *parts) == 0,
             "%s: drawn three samples at a time, they are others", rollout ? "rollout" : "direct");
        r->memory = 0;
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
    Ran r = lead_run(b->log, a, "train --out %s --resume", run_path(b, "killed"));
    TEST(b->log, r.code == 0, "resumed after kill -9: exit %d, %s", r.code, r.err);
    r = lead_run(b->log, a, "%s --out %s", common, run_path(b, "alive"));
    TEST(b->log, r.code == 0, "exit %d, %s", r.code, r.err);
    same_checkpoints(b, "alive", "killed", "final.safetensors", false, "killed and resumed");
    same_checkpoints(b, "alive", "killed", "best.safetensors", false, "killed and resumed");
    r = lead_run(b->log, a, "%s --out %s", common, run_path(b, "alive"));
    TEST(b->log, r.code == 1 && strstr(r.err, "finished run"), "a run that exists: exit %d, %s", r.code, r.err);
    // Ctrl-C: exit 0, a checkpoint to go on from
    const pid_t again = lead_start(b->log, a, out, err, arena_printf(a, "%s --out %s", common, run_path(b, "stopped")));
    for (int i = 0; i < 6000 && access(run_path(b, "stopped/checkpoint.safetensors"), F_OK) != 0; i++) usleep(10000);
    kill(again, SIGINT);
    TEST(b->log, lead_wait(again) == 0 && strstr(slurp(a, err), "--resume"), "Ctrl-C: %s", slurp(a, err));
    r = lead_run(b->log, a, "%s --out %s --resume", common, run_path(b, "stopped"));
    TEST(b->log, r.code == 0, "resumed after Ctrl-C: exit %d, %s", r.code, r.err);
    same_checkpoints(b, "alive", "stopped", "final.safetensors", false, "interrupted and resumed");
}

// ---- when training ends

// The numbers named `key` in the lines of a log that have it, of the first fit.
static int log_numbers(Arena *a, const char *text, const char *key, double *out, int most)
{
    const char *name = arena_printf(a, "\"%s\":", key);
    int n = 0;
    for (const char *p = text; n < most && (p = strstr(p, name)); p += strlen(name))
        out[n++] = strtod(p + strlen(name), NULL);
    return n;
}

// The step at which a run with this patience ends, found in the validation losses of its log.
static void check_patience(const Bench *b)
{
    enum { PATIENCE = 3 };
    LeadConfig cfg = train_config(b);
    cfg.steps = 40, cfg.patience = PATIENCE, cfg.lr = 2e-2, cfg.warmup = 0, cfg.ema = 0;
    Watch whole = {0}, first = {0}, rest = {0};
    train_ok(b, &cfg, "patient", false, &whole);
    const char *log = slurp(b->keep, run_path(b, "patient/log.jsonl"));
    double val[64], best = INFINITY;
    int n = log_numbers(b->keep, log, "val_loss", val, 64), at = 0, end = 0;
    for (int i = 0; i < n && !end; i++) {   // a validation after every step
        if (val[i] < best) best = val[i], at = i + 1;
        if (i + 1 - at >= PATIENCE) end = i + 1;
    }
    const TrainEnd *e = &whole.end[0];
    TEST(b->log, end > 4 && end < 40 && e->why == TRAIN_PATIENCE && e->step == end && n == end && e->best_step == at &&
                     e->since == PATIENCE && fabs(e->best_val / best - 1) < 1e-6,
         "ended at step %lld for reason %d, the best %lld; want %d, the best %d", (long long)e->step, (int)e->why,
         (long long)e->best_step, end, at);
    TEST(b->log, strstr(log, arena_printf(b->keep, "\"why\":\"patience\",\"step\":%d,\"total\":40,\"best_step\":%d,",
                                          end,
                                          at)), "log.jsonl does not say why the run ended: %s", log);
    Watch both = {.final = true};   // the final fit is planned as long as the best was, not as the first fit
    train_ok(b, &cfg, "patient-final", false, &both);
    TEST(b->log, both.end[0].step == end && both.end[1].total == at && both.end[1].step == at,
         "the final fit is planned for %lld steps, the best was %d", (long long)both.end[1].total, at);
    first.stop_at = end - 1;   // in the middle of waiting
    train_ok(b, &cfg, "impatient", false, &first);
    train_ok(b, &cfg, "impatient", true, &rest);
    TEST(b->log, first.end[0].why == TRAIN_ASKED && rest.end[0].step == end && rest.end[0].why == TRAIN_PATIENCE,
         "resumed: ended at step %lld", (long long)rest.end[0].step);
    same_checkpoints(b, "patient", "impatient", "best.safetensors", true, "stopped while waiting and resumed");
    LeadRecord r;
    const Status s = lead_record_open(&r, b->keep, run_path(b, "patient"));
    TEST(b->log, !s.code && r.step == at && r.best_step == at, "%s: the best is of step %lld", s.msg,
         (long long)r.step);
}

// The seconds that a run of `total` steps takes, one by one.
static double simulate(double step, double validation, double save, const PaceBudget *b, int64_t total)
{
    double t = 0, saved = 0;
    for (int64_t s = b->step, validated = s; s < total; s++) {
        t += step;
        if (b->validations && (s + 1 - validated >= pace_period(total, b->validations) || s + 1 == total))
            t += validation, validated = s + 1;
        if (t - saved > b->save_every) saved = t += save;
    }
    return t + save + (b->again ? b->again_setup + (double)total * step + save : 0);
}

static void check_pace(const Bench *b)
{
    Pace p = pace_new();
    for (int i = 0; i < 4; i++) pace_add(&p, 1);
    TEST(b->log, isnan(pace_step(&p)) && isnan(pace_eta(&p, 4, 9, 0)), "an ETA from four steps");
    pace_add(&p, 900);   // the machine slept
    TEST(b->log, pace_step(&p) == 1 && pace_eta(&p, 5, 9, 0) == 4, "a step takes %g, what is left %g", pace_step(&p),
         pace_eta(&p, 5, 9, 0));
    for (int i = 0; i < PACE_STEPS; i++) pace_add(&p, 0.5);
    TEST(b->log, pace_step(&p) == 0.5, "the median of the last steps is %g", pace_step(&p));
    static const struct { double step, validation, save; PaceBudget b; } run[] = {
        {0.5, 1, 0.3, {1000, 12, 40, 120, false, 0}},
        {0.5, 20, 5, {2000, 100, 40, 60, false, 0}},   // validation takes much of it
        {0.2, 0.4, 0.1, {600, 12, 40, 120, true, 30}},
        {3, 6, 1, {400, 20, 40, 120, false, 0}},      // a validation after every step or two
        {0.1, 0, 0.2, {100, 0, 0, 10, false, 0}},
    };
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
        p = pace_new();
        for (int k = 0; k < 20; k++) pace_add(&p, run[i].step);
        p.validation = run[i].validation, p.save = run[i].save;
        const PaceBudget *q = &run[i].b;
        const int64_t total = pace_total(&p, q);
        const double took = simulate(run[i].step, run[i].validation, run[i].save, q, total);
        const double unused = 2.5 * run[i].validation + 2 * run[i].step * (1 + q->again) + run[i].save;
        TEST(b->log, total > q->step && took > q->left - unused && took < 1.01 * q->left,
             "run %zu: %lld steps take %g s of %g", i, (long long)total, took, q->left);
    }
    PaceBudget none = {.left = 0.1, .step = 30, .validations = 40, .save_every = 120};
    TEST(b->log, pace_total(&p, &none) == 30, "no time left: %lld", (long long)pace_total(&p, &none));
}

// The learning rate of a run whose total changes, from its definition: at every step the progress grows by an even
// share of what is missing.
static void check_schedule(const Bench *b)
{
    Optim o = {.lr = 2, .warmup = 10, .total = 1000, .floor = 0.1};
    double u = 0, worst = 0, jump = 0, before = 0;
    for (o.step = 0; o.step < o.total; o.step++) {
        if (o.step == 5) optim_replan(&o, 300);
        if (o.step == 50) optim_replan(&o, 150);
        if (o.step == 140) optim_replan(&o, 400);
        const double want = o.step < 10 ? 2 * (double)(o.step + 1) / 10 : 2 * (0.1 + 0.9 * 0.5 * (1 + cos(M_PI * u)));
        worst = fmax(worst, fabs(optim_lr(&o, o.step) - want));
        if (o.step > 10) jump = fmax(jump, fabs(want - before));
        before = want;
        if (o.step >= 10) u += (1 - u) / (double)(o.total - o.step);
    }
    TEST(b->log, o.step == 400 && worst < 1e-12 && fabs(u - 1) < 1e-12 && jump < 0.03,
         "%lld steps, the learning rate is %g off, the largest jump %g", (long long)o.step, worst, jump);
}

// A clock that a device drives: every call of a kernel takes as long as the last.
static const Device *counted;
static double fake_seconds, call_seconds;
static int64_t slow_from;                // step after which calls take twice as long; 0 = never
enum { FAKE_SETUP = 20 };                // seconds before the first kernel

static void count_forward(const OpCall *c) { fake_seconds += call_seconds, counted->fwd[c->op](c); }
static double fake_clock(void)
{
    const double t = fake_seconds;
    if (t == 0) fake_seconds = FAKE_SETUP;
    return t;
}
static void slow_down(const TrainReport *r)
{
    if (slow_from && r->step == slow_from && !r->final) call_seconds *= 2;
}

static Status train_timed(const Bench *b, const LeadConfig *cfg, const char *name, bool resume, int64_t slow, Watch *w)
{
    Bench timed = *b;
    counted = &b->dev;
    for (int i = 0; i < OP_COUNT; i++) timed.dev.fwd[i] = count_forward;
    fake_seconds = 0, call_seconds = 0.002, slow_from = slow;
    w->clock = fake_clock;
    return train(&timed, cfg, run_path(b, name), resume, w);
}

static void check_minutes(const Bench *b)
{
    LeadConfig cfg = train_config(b);
    cfg.steps = 100000, cfg.warmup = 200, cfg.minutes = 5, cfg.batch = 2;
    for (int kind = 0; kind < 3; kind++) {   // even; half as fast from step 40 on; with a final fit
        const char *name = arena_printf(b->keep, "minutes%d", kind);
        Watch w = {.final = kind == 2};
        const Status s = train_timed(b, &cfg, name, false, kind == 1 ? 40 : 0, &w);
        const TrainEnd *e = &w.end[0], *f = &w.end[1];
        TEST(b->log, !s.code && e->step > 60 && e->step < 1000 && fake_seconds < 1.05 * 300,
             "%s: %lld steps, %g s of 300; %s", name, (long long)e->step, fake_seconds, s.msg);
        TEST(b->log, kind == 2 ? f->step == e->best_step : fake_seconds > 0.95 * 300,
             "%s: %g s of 300, the final fit of %lld steps, the best was %lld", name, fake_seconds, (long long)f->step,
             (long long)e->best_step);
        double lr[2000], most = 0;
        const char *log = slurp(b->keep, run_path(b, arena_printf(b->keep, "%s/log.jsonl", name)));
        const int n = log_numbers(b->keep, log, "lr", lr, 2000);
        for (int i = 0; i < n; i++) most = fmax(most, lr[i]);
        TEST(b->log, n > 5 && most > 0.95 * cfg.lr, "%s: the learning rate never passed %g: a warm-up of 200 steps",
             name,
             most);
        if (kind < 2) TEST(b->log, lr[n - 1] < 0.04 * cfg.lr, "%s: the learning rate ends at %g", name, lr[n - 1]);
    }
    // A plan is kept: resumed in one part or in two, on slower machines.
    Watch first = {.stop_at = 40}, one = {0}, two = {.stop_at = 55}, three = {0};
    Status s = train_timed(b, &cfg, "planned", false, 0, &first);
    const char *copy = arena_printf(b->keep, "cp -r %s %s", run_path(b, "planned"), run_path(b, "planned2"));
    TEST(b->log, !s.code && system(copy) == 0, "%s", s.msg);
    s = train_timed(b, &cfg, "planned", true, 45, &one);
    if (!s.code) s = train_timed(b, &cfg, "planned2", true, 50, &two);
    if (!s.code) s = train_timed(b, &cfg, "planned2", true, 0, &three);
    TEST(b->log, !s.code && first.end[0].total > 60 && one.end[0].step == first.end[0].total &&
                     three.end[0].step == first.end[0].total,
         "%s: a plan of %lld steps, resumed to %lld and %lld", s.msg, (long long)first.end[0].total,
         (long long)one.end[0].step, (long long)three.end[0].step);
    same_checkpoints(b, "planned", "planned2", "best.safetensors", true, "a plan resumed in one part and in two");
    // the first plan, at step 12, ends the warm-up; from there on the rate is smooth, the resumption included
    const char *log = strstr(slurp(b->keep, run_path(b, "planned/log.jsonl")), "{\"step\":20,");
    double lr[500], jump = 0;
    const int n = log ? log_numbers(b->keep, log, "lr", lr, 500) : 0;
    for (int i = 1; i < n; i++) jump = fmax(jump, fabs(lr[i] - lr[i - 1]) / cfg.lr);
    TEST(b->log, n > 10 && jump < 0.3, "resumed: the learning rate jumps by %g of its peak", jump);
}

// ---- the final fit, updates

// The tensors of two files whose names begin with `prefix` or, with `other`, do not: how many there are, and how many
// are the same.
static void count_same(const Bench *b, const char *one, const char *two, const char *prefix, bool other, int *n,
                       int *same)
{
    Arena *a = arena_new("count", (size_t)1 << 28, NULL);
    SafeFile f, g;
    *n = *same = 0;
    const Status s = safetensors_open(&f, a, run_path(b, one)), t = safetensors_open(&g, a, run_path(b, two));
    TEST(b->log, !s.code && !t.code, "%s%s", s.msg, t.msg);
    for (int64_t i = 0; !s.code && !t.code && i < f.n_tensor; i++) {
        const SafeTensor *x = &f.tensor[i], *y = safetensors_find(&g, x->name);
        if ((strncmp(x->name, prefix, strlen(prefix)) == 0) == other) continue;
        ++*n;
        *same += y && x->count == y->count && memcmp(x->data, y->data,
                                                     (size_t)x->count * safetensors_type_size(x->type)) == 0;
    }
    if (!s.code) safetensors_close(&f);
    if (!t.code) safetensors_close(&g);
    arena_delete(a);
}

static void check_final(const Bench *b)
{
    LeadConfig cfg = train_config(b);
    cfg.steps = 6, cfg.batch = 2;
    Watch whole = {.final = true}, first = {.final = true, .stop_at = 3}, none = {0};
    Watch second = {.final = true, .stop_in_final = true, .stop_at = 2}, third = {.final = true};
    train_ok(b, &cfg, "final", false, &whole);
    // resumed in both fits
    train_ok(b, &cfg, "final2", false, &first);
    train_ok(b, &cfg, "final2", true, &second);
    TEST(b->log, second.steps == 5 && access(run_path(b, "final2/final.safetensors"), F_OK) != 0 &&
                     access(run_path(b, "final2/checkpoint.safetensors"), F_OK) == 0, "stopped in the final fit");
    train_ok(b, &cfg, "final2", true, &third);
    same_checkpoints(b, "final", "final2", "final.safetensors", true, "stopped in both fits and resumed");
    TEST(b->log, state_of(b, "final") == RUN_FINISHED &&
                     access(run_path(b, "final/checkpoint.safetensors.prev"), F_OK) != 0, "a checkpoint is left");
    const char *second_fit = strstr(slurp(b->keep, run_path(b, "final/log.jsonl")), "\"ended\":\"train\"");
    TEST(b->log, second_fit && strstr(second_fit, "\"final\":true") && !strstr(second_fit, "val_loss"),
         "the final fit is validated on rows that it was fitted on");
    // the final fit is a run of best_step steps on all rows
    LeadConfig all = cfg;
    all.steps = (int)whole.end[0].best_step;
    Watch alone = {.no_val = true, .train = {0, b->s.T}};
    train_ok(b, &all, "all", false, &alone);
    TEST(b->log, whole.end[1].step == all.steps && whole.end[1].rows.end == b->s.T, "the final fit has %lld steps",
         (long long)whole.end[1].step);
    int n, same;
    count_same(b, "final/final.safetensors", "all/best.safetensors", "stat.calibration", true, &n, &same);
    TEST(b->log, n > 100 && same == n, "the final fit is not a run on all rows: %d of %d tensors", same, n);
    count_same(b, "final/final.safetensors", "final/best.safetensors", "stat.calibration", false, &n, &same);
    TEST(b->log, n == 3 && same == 3, "the final fit has another calibration than the validated one");
    // the validated weights are those of a run without it
    train_ok(b, &cfg, "nofinal", false, &none);
    count_same(b, "final/best.safetensors", "nofinal/best.safetensors", "", false, &n, &same);
    TEST(b->log, n > 100 && same == n, "the final fit changes the best weights: %d of %d tensors", same, n);
    // who loads which
    World *w = world_new(b->dev, true);
    LeadRun *r = arena_alloc(w->perm, sizeof *r);
    const char *dir = run_path(b, "final");
    Status s = lead_run_load(r, dir, LEAD_NEWEST, NULL, &w->dev, w->perm, w->step, w->scratch);
    TEST(b->log, !s.code && r->final && strstr(r->file, "final.safetensors") && r->train.end == b->s.T, "%s", s.msg);
    TrafficSeries shorter = b->s;   // forecasting from another length of the series
    shorter.T -= 5, shorter.runs = &(TrafficRange){0, shorter.T};
    const int64_t last = shorter.T - 1;
    float *out = arena_alloc(w->perm, (size_t)(r->cfg.samples * r->cfg.horizon * r->stats.F) * sizeof *out);
    if (!s.code) s = lead_run_attach(r, &shorter);
    if (!s.code) s = lead_forecast(r, &last, 1, out, NULL);
    TEST(b->log, !s.code, "%s", s.msg);
    s = lead_run_load(r, dir, LEAD_BEST, NULL, &w->dev, w->perm, w->step, w->scratch);
    TEST(b->log, !s.code && !r->final && strstr(r->file, "best.safetensors") && r->train.end < b->s.T, "%s", s.msg);
    s = lead_run_load(r, run_path(b, "final/final.safetensors"), LEAD_BEST, NULL, &w->dev, w->perm, w->step,
                      w->scratch);
    TEST(b->log, s.code == 1 && strstr(s.msg, "to be scored"), "final weights to be scored: %d '%s'", s.code, s.msg);
    s = lead_run_load(r, run_path(b, "nofinal"), LEAD_NEWEST, NULL, &w->dev, w->perm, w->step, w->scratch);
    TEST(b->log, !s.code && !r->final, "a run without a final fit: %s", s.msg);
    world_delete(w);
}

static void check_update(const Bench *b)
{
    LeadConfig cfg = train_config(b);
    cfg.steps = 5, cfg.batch = 2;
    Bench grown = *b;
    grown.s = synth_series(b->log, b->keep, NODES, 50, 10800);
    const char *from = run_path(b, "final");
    Watch w = {.start = from, .final = true}, stop = {.start = from, .final = true, .stop_at = 2};
    Watch rest = {.final = true}, still = {.start = from};
    train_ok(&grown, &cfg, "grown", false, &w);
    train_ok(&grown, &cfg, "grown2", false, &stop);
    train_ok(&grown, &cfg, "grown2", true, &rest);   // the start is in the checkpoint
    same_checkpoints(b, "grown", "grown2", "best.safetensors", true, "an update stopped and resumed");
    same_checkpoints(b, "grown", "grown2", "final.safetensors", true, "an update stopped and resumed");
    int n, same;
    // without a learning rate nothing moves: the weights are those of the start, the statistics those of the new rows
    cfg.lr = 0;
    train_ok(&grown, &cfg, "still", false, &still);
    count_same(b, "still/best.safetensors", "final/best.safetensors", "stat.", true, &n, &same);
    TEST(b->log, n > 100 && same == n, "an update does not begin with the run's weights: %d of %d are the same", same,
         n);
    count_same(b, "still/best.safetensors", "final/best.safetensors", "stat.", false, &n, &same);
    TEST(b->log, n >= 9 && same <= n / 2, "an update keeps %d of %d statistics", same, n);
    TEST(b->log, still.end[0].best_step == 0, "the best step of weights that do not move is %lld",
         (long long)still.end[0].best_step);
    // refused: other nodes, other slots
    Bench other = *b;
    other.s = synth_series(b->log, b->keep, NODES + 1, 50, 10800);
    Status s = train(&other, &cfg, run_path(b, "other"), false, &(Watch){.start = from});
    TEST(b->log, s.code == 1 && strstr(s.msg, "want 4 nodes") && strstr(s.msg, "got 5"), "%d '%s'", s.code, s.msg);
    other.s = synth_series(b->log, b->keep, NODES, 20, 3600);
    s = train(&other, &cfg, run_path(b, "other"), false, &(Watch){.start = from});
    TEST(b->log, s.code == 1 && strstr(s.msg, "slots of 10800 s"), "%d '%s'", s.code, s.msg);
    TEST(b->log, access(run_path(b, "other"), F_OK) != 0, "a refused update made its directory");
}

// Exactly the files of a run go.
static void check_remove(const Bench *b)
{
    static const char *const others[] = {"notes.txt", "model.safetensors", "best.safetensors.txt"};
    const char *dir = run_path(b, "patient");
    for (int i = 0; i < 3; i++) {
        FILE *f = fopen(arena_printf(b->keep, "%s/%s", dir, others[i]), "w");
        TEST(b->log, f && fclose(f) == 0, "cannot write %s", others[i]);
    }
    const Status s = run_directory_remove(dir, b->keep), again = run_directory_remove(dir, b->keep);
    TEST(b->log, !s.code && !again.code && state_of(b, "patient") == RUN_NONE, "%s%s", s.msg, again.msg);
    for (int i = 0; i < 3; i++)
        TEST(b->log, unlink(arena_printf(b->keep, "%s/%s", dir, others[i])) == 0, "%s was removed", others[i]);
    TEST(b->log, rmdir(dir) == 0, "files of the run are left in %s", dir);
}

// Windows per step: fewer of a large network, never none.
static void check_batch(TestLog *log)
{
    static const struct { int batch, flows, F, want; } cases[] = {
        {32, 0, 529, 32}, {32, 6144, 144, 32}, {32, 6144, 529, 11}, {32, 6144, 10000, 4}, {2, 10, 100, 2},
        {5, 12, 3, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const LeadConfig c = {.batch = cases[i].batch, .batch_flows = cases[i].flows};
        TEST(log, lead_batch(&c, cases[i].F) == cases[i].want, "batch of case %zu: %d", i, lead_batch(&c, cases[i].F));
    }
}

void test_train(TestLog *log)
{
    check_batch(log);
    Bench b = {.log = log, .dev = world_f32(), .keep = arena_new("keep", (size_t)1 << 30, NULL)};
    CHECK(b.keep, "no address space");
    b.llm = tiny_llm(log, b.keep);
    b.s = synth_series(log, b.keep, NODES, 45, 10800);
    check_resume(&b);
    check_refusals(&b);
    check_frozen(&b);
    check_forecast(&b);
    check_pace(&b);
    check_schedule(&b);
    check_patience(&b);
    check_final(&b);
    check_update(&b);
    check_remove(&b);
    if (!log->quick) {
        check_loss_falls(&b);
        check_minutes(&b);
        check_kill(&b);
    }
    arena_delete(b.keep);
}
