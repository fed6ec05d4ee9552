// A training run a second time: the loop of lead_train in plain words, each window, rate, clipped gradient, step of
// AdamW, moving average and validation from its definition (docs/math.md, E8), in double.  Losses and gradients of a
// batch are the engine's, which test_whole.c and test_flow.c derive; the run's reports and its best weights must be
// those of this loop.  All parameters of every kind of network take part, and decay is strong enough to be seen.
#include <math.h>

#include "lead/train.h"
#include "lead_world.h"
#include "nn/run_directory.h"

enum { N = 3, STEPS = 12, BATCHES = 6 };

typedef struct Seen { int n; TrainReport at[STEPS]; TrainEnd end; } Seen;

static void keep(void *ctx, const TrainReport *r)
{
    Seen *s = ctx;
    if (s->n < STEPS) s->at[s->n] = *r;
    s->n++;
}

static void keep_end(void *ctx, const TrainEnd *e) { ((Seen *)ctx)->end = *e; }

static LeadConfig config(const char *llm)
{
    LeadConfig c = tiny_lead(llm);
    c.history = 4, c.horizon = 2, c.batch = 5, c.steps = STEPS, c.warmup = 3, c.patience = 0, c.minutes = 0;
    c.lr = 4e-3, c.decay = 5, c.clip = 0.4, c.ema = 0.7, c.dropout = 0.1, c.cond_drop = 0.2, c.level_jitter = 0.2;
    c.denoiser = DENOISER_BOTH, c.mean_head = c.scale_head = true, c.lora_rank = 1, c.base = BASE_LAST;
    c.calibrate = false, c.enc_stages = 1, c.unet_levels = 1, c.seed = 4;
    return c;
}

// ---- the loop in plain words

typedef struct Loop {
    World *w;
    LeadConfig cfg;
    LeadModel *m;
    LeadData data;
    TrafficSplits split;
    double **p, **m1, **m2, **ema, **best;    // of each parameter that is trained
} Loop;

static int64_t size_of(const Loop *l, int i) { return numel(&l->w->ps.p[i]->t); }

static double **values(Loop *l, bool fill)
{
    double **v = arena_zalloc(l->w->perm, (size_t)l->w->ps.n * sizeof *v);
    for (int i = 0; i < l->w->ps.n; i++) {
        if (l->w->ps.p[i]->frozen) continue;
        v[i] = arena_zalloc(l->w->perm, (size_t)size_of(l, i) * sizeof **v);
        if (fill) tensor_get_f64(&l->w->ps.p[i]->t, v[i], size_of(l, i));
    }
    return v;
}

static void put(Loop *l, double **v)
{
    for (int i = 0; i < l->w->ps.n; i++)
        if (v[i]) tensor_set_f64(&l->w->ps.p[i]->t, v[i], size_of(l, i));
}

static double loss_of(Loop *l, const int64_t *at, uint32_t step, bool training)
{
    Tape *t = &l->w->t;
    float loss;
    tape_reset(t);
    t->record = t->training = training;
    tape_set_step(t, step);
    Tensor *rows = lead_data_rows(&l->data, t->step, at, l->cfg.batch);
    const LeadBatch b = training ? lead_data_training_batch(t, &l->data, rows, lead_data_factor(t, &l->data))
                                 : lead_data_batch(t, &l->data, rows, NULL, true);
    if (training) paramset_zero_grad(&l->w->ps);
    Tensor *x = lead_loss(t, l->m, &b);
    if (training) tape_backward(t, x);
    tensor_get_f32(x, &loss, 1);
    return (double)loss;
}

// Windows are drawn from all that lie in the training rows.
static double training_loss(Loop *l, int step)
{
    const TrafficRange r = l->split.train;
    const int64_t first = l->cfg.history - 1, n = r.end - l->cfg.horizon - first;
    int64_t at[64];
    for (int b = 0; b < l->cfg.batch; b++)
        at[b] = first + (int64_t)floor((double)philox_u32((uint64_t)l->cfg.seed, philox_subsequence(SITE_SHUFFLE,
                                       (uint32_t)step), (uint64_t)b) / 4294967296.0 * (double)n);
    return loss_of(l, at, (uint32_t)step, true);
}

// Six batches of windows, evenly spaced over the validation rows, with the averaged weights.
static double validation_loss(Loop *l)
{
    const TrafficRange r = l->split.val;
    const int64_t first = r.begin + l->cfg.history - 1, n = r.end - l->cfg.horizon - first, B = l->cfg.batch;
    double sum = 0;
    put(l, l->ema);
    for (int v = 0; v < BATCHES; v++) {
        int64_t at[64];
        for (int64_t b = 0; b < B; b++) at[b] = first + (b * BATCHES + v) * n / (B * BATCHES);
        sum += loss_of(l, at, 0xF0000000U + (uint32_t)v, false) / BATCHES;
    }
    put(l, l->p);
    return sum;
}

// A twentieth of the steps at most is warm-up; then half a cosine down to a fiftieth.
static double rate(const Loop *l, int step)
{
    const double warmup = fmin(l->cfg.warmup, STEPS / 20), lr = l->cfg.lr;
    if (step < warmup) return lr * (step + 1) / warmup;
    return lr * (0.02 + 0.98 * 0.5 * (1 + cos(acos(-1) * (step - warmup) / (STEPS - warmup))));
}

// Weight decay is for matrices and kernels: those called weight, but for norms; A and B of LoRA.
static bool decays(const Param *p)
{
    const char *name = p->t.name, *end = strrchr(name, '.');
    return end && !strcmp(end, ".weight") && p->t.shape.n > 1;
}

static double norm_of(Loop *l, double **g)
{
    double sum = 0;
    for (int i = 0; i < l->w->ps.n; i++) {
        if (!l->p[i]) continue;
        g[i] = arena_alloc(l->w->scratch, (size_t)size_of(l, i) * sizeof **g);
        tensor_get_grad_f64(&l->w->ps.p[i]->t, g[i], size_of(l, i));
        for (int64_t k = 0; k < size_of(l, i); k++) sum += g[i][k] * g[i][k];
    }
    return sqrt(sum);
}

static double update(Loop *l, int step)
{
    const size_t mark = arena_mark(l->w->scratch);
    double **g = arena_alloc(l->w->scratch, (size_t)l->w->ps.n * sizeof *g);
    const double norm = norm_of(l, g), shorter = norm > l->cfg.clip ? l->cfg.clip / norm : 1, n = step + 1;
    const double kept = fmin(l->cfg.ema, (1.0 + step) / (10.0 + step));
    for (int i = 0; i < l->w->ps.n; i++) {
        const double decay = decays(l->w->ps.p[i]) ? l->cfg.decay : 0;
        for (int64_t k = 0; l->p[i] && k < size_of(l, i); k++) {
            const double gk = shorter * g[i][k], m1 = l->m1[i][k] = 0.9 * l->m1[i][k] + 0.1 * gk,
                         m2 = l->m2[i][k] = 0.999 * l->m2[i][k] + 0.001 * gk * gk;
            const double way = m1 / (1 - pow(0.9, n)) / (sqrt(m2 / (1 - pow(0.999, n))) + 1e-8);
            l->p[i][k] -= rate(l, step) * (way + decay * l->p[i][k]);
            l->ema[i][k] = kept * l->ema[i][k] + (1 - kept) * l->p[i][k];
        }
    }
    put(l, l->p);
    arena_rewind(l->w->scratch, mark);
    return norm;
}

static Loop loop_new(TestLog *log, const LeadConfig *cfg, const TrafficSeries *s)
{
    Loop l = {.w = world_new(device_cpu_f32(ISA_SCALAR), false), .cfg = *cfg};
    LeadStats *st = arena_alloc(l.w->perm, sizeof *st);
    LeadConfig *c = arena_alloc(l.w->perm, sizeof *c);
    *c = *cfg;
    l.split = traffic_splits(s->T, PROTOCOL_CLEAN);
    *st = fitted(log, l.w->perm, s, c);
    paramset_init(&l.w->ps, l.w->perm, &l.w->dev, (uint64_t)cfg->seed, false);
    l.m = lead_world_model(l.w, c, lead_stats_shape(st, c), 0);
    l.w->t.seed = (uint64_t)cfg->seed;
    l.data = data_of(log, &l.w->t, l.w->perm, st, c, s);
    l.p = values(&l, true), l.ema = values(&l, true), l.best = values(&l, true);
    l.m1 = values(&l, false), l.m2 = values(&l, false);
    return l;
}

// ---- beside the run

// Root mean square of the difference of the best weights from those of the loop, over that of their way from the start.
static void compare_weights(TestLog *log, Loop *l, const char *dir, double **start)
{
    SafeFile f;
    Status s = checkpoint_open(&f, l->w->perm, arena_printf(l->w->perm, "%s/" RUN_BEST, dir));
    if (!s.code) s = checkpoint_load_start(&f, &l->w->ps);
    TEST(log, !s.code, "%s", s.msg);
    for (int i = 0; i < l->w->ps.n; i++) {
        if (!l->p[i]) continue;
        const size_t mark = arena_mark(l->w->scratch);
        double *v = arena_alloc(l->w->scratch, (size_t)size_of(l, i) * sizeof *v), off = 0, way = 0;
        tensor_get_f64(&l->w->ps.p[i]->t, v, size_of(l, i));
        for (int64_t k = 0; k < size_of(l, i); k++) {
            off += pow(v[k] - l->best[i][k], 2);
            way += pow(l->best[i][k] - start[i][k], 2);
        }
        // a bias of keys has no gradient but rounding, whose sign Adam follows
        const char *name = l->w->ps.p[i]->t.name;
        const bool blind = strstr(name, ".k.bias") || !strcmp(name, "cond.pool.bias");
        TEST(log, way > 0 && (blind || sqrt(off / way) < 0.02), "%s: the best weights are off by %g of their way", name,
             sqrt(off / way));
        arena_rewind(l->w->scratch, mark);
    }
}

void test_steps(TestLog *log)
{
    Arena *a = arena_new("steps", (size_t)1 << 30, NULL);
    const LeadConfig cfg = config(tiny_llm(log, a));
    const TrafficSeries s = synth_series(log, a, N, 40, 21600);
    const char *dir = arena_printf(a, "%s/steps", log->tmp);
    Loop l = loop_new(log, &cfg, &s);
    Seen seen = {0};
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    const TrainOptions o = {.out = dir, .data_path = "synthetic", .train = l.split.train, .val = l.split.val,
                            .report = keep, .ended = keep_end, .ctx = &seen};
    const Status st = lead_train(&cfg, &s, &o, &w->dev, w->perm, w->step, w->scratch);
    TEST(log, !st.code && seen.n == STEPS && seen.end.step == STEPS, "%s: %d steps", st.msg, seen.n);
    double **start = values(&l, true), best = INFINITY;
    int best_step = 0;
    for (int i = 0; i < STEPS; i++) {
        const TrainReport *r = &seen.at[i];
        const double loss = training_loss(&l, i), norm = update(&l, i), val = validation_loss(&l);
        TEST(log, fabs(r->loss - loss) < 1e-3 * loss && fabs(r->grad_norm - norm) < 1e-2 * norm,
             "step %d: loss %.7g and gradient %.7g, the loop says %.7g and %.7g", i + 1, r->loss, r->grad_norm, loss,
             norm);
        TEST(log, fabs(r->lr - rate(&l, i)) < 1e-12, "step %d: rate %.9g, want %.9g", i + 1, r->lr, rate(&l, i));
        TEST(log, fabs(r->val_loss - val) < 1e-3 * val, "step %d: validation %.7g, the loop says %.7g", i + 1,
             r->val_loss, val);
        if (r->val_loss < best) {
            best = r->val_loss;
            best_step = i + 1;
            for (int k = 0; k < l.w->ps.n; k++)
                if (l.p[k]) memcpy(l.best[k], l.ema[k], (size_t)size_of(&l, k) * sizeof **l.best);
        }
    }
    TEST(log, seen.end.best_step == best_step && seen.end.best_val == best, "best step %lld, want %d",
         (long long)seen.end.best_step, best_step);
    compare_weights(log, &l, dir, start);
    world_delete(w);
    world_delete(l.w);
    arena_delete(a);
}
