#include "lead/distill.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "lead/record.h"
#include "nn/optim.h"
#include "nn/run_directory.h"
#include "tensor/philox.h"

// ---- the distillation target

DistillPath distill_path(const Schedule *schedule, int before, int calls, Arena *a)
{
    CHECK(before % calls == 0, "distill_path: %d calls do not divide %d", calls, before);
    int *time = arena_alloc(a, ((size_t)before + 1) * sizeof *time);
    sampler_times(schedule->T, before, time);
    time[before] = 0;
    return (DistillPath){schedule, time, before, before / calls};
}

static double abar(const DistillPath *p, int64_t i) { return p->schedule->ab[p->time[i]]; }

// One value for each row: of the kind that the callback gives for the step's index.
typedef double RowValue(const DistillPath *p, int first, int at);

static double value_time(const DistillPath *p, int first, int at) { (void)first; return p->time[at]; }
static double value_ab(const DistillPath *p, int first, int at) { (void)first; return abar(p, at); }
// z' = keep z + add x0hat of the DDIM step at -> at + 1
static double value_keep(const DistillPath *p, int first, int at)
{
    (void)first;
    return sqrt((1 - abar(p, at + 1)) / (1 - abar(p, at)));
}
static double value_add(const DistillPath *p, int first, int at)
{
    return sqrt(abar(p, at + 1)) - value_keep(p, first, at) * sqrt(abar(p, at));
}
// The step first -> at in one: x~ = z_m / add - z_0 keep / add
static double across_keep(const DistillPath *p, int first, int at)
{
    return sqrt((1 - abar(p, at)) / (1 - abar(p, first)));
}
static double across_add(const DistillPath *p, int first, int at)
{
    return sqrt(abar(p, at)) - across_keep(p, first, at) * sqrt(abar(p, first));
}
static double value_last(const DistillPath *p, int first, int at) { return 1 / across_add(p, first, at); }
static double value_first(const DistillPath *p, int first, int at)
{
    return -across_keep(p, first, at) / across_add(p, first, at);
}
static double value_weight(const DistillPath *p, int first, int at)   // SNR + 1
{
    (void)first;
    return 1 / (1 - abar(p, at));
}

// [R]: of each row, `within` steps after the beginning of its step of the student.
static Tensor *row_values(Tape *t, const DistillPath *p, const int *call, int64_t R, int within, RowValue *value)
{
    float *x = arena_alloc(t->step, (size_t)R * sizeof *x);
    for (int64_t r = 0; r < R; r++) {
        const int first = call[r] * p->each;
        x[r] = (float)value(p, first, first + within);
    }
    return tape_from_f32(t, SHAPE(R), x);
}

static Tensor *mix(Tape *t, Tensor *a, Tensor *x, Tensor *b, Tensor *y)   // a x + b y, row by row
{
    return tape_add(t, tape_mul_rows(t, x, a), tape_mul_rows(t, y, b));
}

static Tensor *estimate(Tape *t, const LeadModel *m, const Known *k, Tensor *z, Tensor *time, Tensor *ab)
{
    return lead_implied_x0(t, m, z, lead_denoise(t, m, z, time, k), ab);
}

Tensor *distill_target(Tape *t, const LeadModel *teacher, const Known *k, Tensor *xt, const DistillPath *p,
                       const int *call)
{
    const bool record = t->record;
    const int64_t R = xt->shape.d[0];
    const double clip = teacher->cfg.sample_clip;
    Tensor *z = xt;
    t->record = false;
    for (int i = 0; i < p->each; i++) {
        Tensor *x0 = estimate(t, teacher, k, z, row_values(t, p, call, R, i, value_time),
                              row_values(t, p, call, R, i, value_ab));
        if (clip > 0) x0 = tape_clamp(t, x0, clip);
        z = mix(t, row_values(t, p, call, R, i, value_keep), z, row_values(t, p, call, R, i, value_add), x0);
    }
    z = mix(t, row_values(t, p, call, R, p->each, value_last), z, row_values(t, p, call, R, p->each, value_first), xt);
    t->record = record;
    return z;
}

// ---- losses

// The batch with what the model's heads say of it; as data, since they are not trained here.
static LeadBatch with_moments(Tape *t, const LeadModel *m, const LeadBatch *batch)
{
    const bool record = t->record;
    LeadBatch b = *batch;
    t->record = false;
    b.moments = lead_moments(t, m, &b);
    t->record = record;
    return b;
}

static Known known_as_data(Tape *t, const LeadModel *m, const LeadBatch *b)
{
    const bool record = t->record;
    t->record = false;
    const Known k = lead_known(t, m, b, lead_condition(t, m, b));
    t->record = record;
    return k;
}

// Which step of the student each row is trained on.
static const int *draw_calls(Tape *t, const LeadModel *m, const DistillPath *p, int64_t R)
{
    int *call = arena_alloc(t->step, (size_t)R * sizeof *call);
    const uint64_t sub = philox_subsequence(SITE_DISTILL, t->rng_step), n = (uint64_t)(p->n / p->each);
    for (int64_t r = 0; r < R; r++)
        call[r] = (int)(philox_u32((uint64_t)m->cfg.seed, sub, (uint64_t)r) * n >> 32);
    return call;
}

Tensor *distill_loss(Tape *t, const LeadModel *teacher, const LeadModel *student, const LeadBatch *batch,
                     const DistillPath *p)
{
    const LeadBatch b = with_moments(t, teacher, batch);
    Tensor *x0 = lead_shape_target(t, teacher, &b);
    const int64_t C = shape_last(x0->shape);
    if (!lead_has_unet(&student->cfg)) x0 = tape_reshape(t, x0, SHAPE(numel(x0) / C, C));   // each flow for itself
    const int64_t R = x0->shape.d[0];
    const int *call = draw_calls(t, student, p, R);
    const RandomAddress at = {.seed = (uint64_t)student->cfg.seed, .site = SITE_NOISE};
    Tensor *time = row_values(t, p, call, R, 0, value_time), *ab = row_values(t, p, call, R, 0, value_ab);
    Tensor *xt = tape_diffuse(t, x0, ab, at, DIFFUSE_X0, t->clock).xt;
    const Known told = known_as_data(t, teacher, &b);
    Tensor *want = distill_target(t, teacher, &told, xt, p, call);
    const Known known = lead_known(t, student, &b, lead_condition(t, student, &b));
    return tape_wmse(t, estimate(t, student, &known, xt, time, ab), want, row_values(t, p, call, R, 0, value_weight));
}

// A sample of each window, with its gradient: [B,N,N,K] from noise of its own.
static Tensor *draw(Tape *t, const LeadModel *m, const Known *k, Shape shape, const DistillPath *p, uint32_t which)
{
    const int64_t B = shape.d[0];
    const RandomAddress at = {.seed = (uint64_t)m->cfg.seed, .site = SITE_DISTILL};
    int *call = arena_alloc(t->step, (size_t)B * sizeof *call);
    Tensor *z = tape_randn_clock(t, shape, at, (int64_t)which * B);
    for (int i = 0; i < p->n; i++) {
        for (int64_t r = 0; r < B; r++) call[r] = i;
        Tensor *x0 = estimate(t, m, k, z, row_values(t, p, call, B, 0, value_time),
                              row_values(t, p, call, B, 0, value_ab));
        if (i + 1 == p->n) return x0;
        z = mix(t, row_values(t, p, call, B, 0, value_keep), z, row_values(t, p, call, B, 0, value_add), x0);
    }
    return z;
}

// Into scale s, where no traffic is below 0.
static Tensor *decode(Tape *t, const LeadModel *m, const LeadBatch *b, Tensor *x)
{
    const int64_t B = x->shape.d[0], F = (int64_t)m->shape.N * m->shape.N;
    Tensor *z = tape_reshape(t, x, SHAPE(B, F, shape_last(x->shape)));
    return tape_relu(t, tape_residual_decode(t, z, b->window, b->base, b->units, b->moments, m->cfg.history));
}

// x [B,K,F] with 0 where the truth was not measured: there both samples equal it.
static Tensor *only_seen(Tape *t, const LeadBatch *b, Tensor *x)
{
    return b->seen ? tape_mul(t, x, tape_permute(t, b->seen, (int[]){0, 2, 1})) : x;
}

Tensor *distill_crps(Tape *t, const LeadModel *student, const LeadBatch *batch, int calls)
{
    const LeadBatch b = with_moments(t, student, batch);
    const DistillPath p = distill_path(&student->schedule, calls, calls, t->step);
    const Known known = lead_known(t, student, &b, lead_condition(t, student, &b));
    Tensor *truth = tape_slice(t, b.window, 1, student->cfg.history + 1, student->cfg.horizon);
    Tensor *one = decode(t, student, &b, draw(t, student, &known, b.target->shape, &p, 0));
    Tensor *two = decode(t, student, &b, draw(t, student, &known, b.target->shape, &p, 1));
    return tape_crps_pair(t, only_seen(t, &b, one), only_seen(t, &b, two), only_seen(t, &b, truth), DISTILL_FAIR);
}

// ---- one stage

// What calibration found on validation, for the final fit, which has no rows left to choose by.
typedef struct Chosen { float *spread, fallback; } Chosen;   // spread [horizon]

typedef struct Distiller {
    const DistillOptions *o;
    const TrafficSeries *s;
    const Device *dev;
    Arena *perm, *step, *scratch;
    const char *data_hash;
    bool stopped;
    Chosen chosen[DISTILL_STAGES];
} Distiller;

typedef struct Stage {
    int index, before, calls, batch;
    bool final;
    const char *from, *to;
    LeadRun teacher;
    LeadConfig cfg;                            // of the student
    LeadModel student;
    ParamSet ps;
    Optim optim;
    Tensor *windows;
    DistillPath path;
    RunLog log;
    double smooth;
} Stage;

static Status check_suits(const LeadRun *r)
{
    const LeadConfig *c = &r->cfg;
    if (c->model) return ERROR("%s: model %s draws no noise that could be distilled; want a run of LEAD", r->file,
                               rival_names[c->model]);
    if (c->target != TARGET_RESIDUAL || c->horizons != HORIZON_DIRECT || c->prediction == PREDICT_EPS ||
        c->guidance != 1)
        return ERROR("%s: distillation wants target residual, horizons direct, prediction v or x0, guidance 1",
                     r->file);
    return OK;
}

static Status load_student(Distiller *d, Stage *g)
{
    SafeFile f;
    const LeadShape shape = lead_stats_shape(&g->teacher.stats, &g->cfg);
    paramset_init(&g->ps, d->perm, d->dev, (uint64_t)g->cfg.seed, false);
    TRY(lead_model_new(&g->student, &g->ps, &g->cfg, &shape, d->scratch));
    TRY(checkpoint_open(&f, d->perm, g->teacher.file));
    const Status s = checkpoint_load_start(&f, &g->ps);
    safetensors_close(&f);
    return s;
}

static Status setup(Distiller *d, Stage *g)
{
    LeadRun *r = &g->teacher;
    int64_t *start;
    TRY(lead_run_load(r, g->from, g->final ? LEAD_NEWEST : LEAD_BEST, d->o->llm, d->dev, d->perm, d->step, d->scratch));
    TRY(check_suits(r));
    TRY(lead_run_attach(r, d->s));
    g->cfg = r->cfg;
    g->cfg.sampler = SAMPLER_DDIM, g->cfg.eta = 0, g->cfg.sample_steps = g->calls;
    TRY(load_student(d, g));
    const int64_t n = traffic_windows(d->s, d->perm, r->train, g->cfg.history, r->stats.Kt, 1, &start);
    if (n < 1)
        return ERROR("%s: no window of %d rows lies in its training rows", r->file, g->cfg.history + r->stats.Kt);
    for (int64_t i = 0; i < n; i++) start[i] += g->cfg.history - 1;
    g->windows = lead_data_rows(&r->data, d->perm, start, n);
    g->path = distill_path(&r->model.schedule, g->before, g->calls, d->perm);
    r->tape.seed = (uint64_t)g->cfg.seed;
    return OK;
}

// Without decay: the heads get no gradient and must stay as they are.
static Optim new_optim(const Distiller *d, const Stage *g, int steps)
{
    return (Optim){.lr = d->o->lr, .beta1 = OPTIM_BETA1, .beta2 = OPTIM_BETA2, .eps = OPTIM_EPS, .clip = g->cfg.clip,
                   .ema = g->cfg.ema, .warmup = steps / 20, .total = steps, .floor = OPTIM_FLOOR};
}

static double train_step(Stage *g, bool tuning)
{
    Tape *t = &g->teacher.tape;
    const LeadData *data = &g->teacher.data;
    const RandomAddress at = {.seed = (uint64_t)g->cfg.seed, .site = SITE_SHUFFLE};
    double loss;
    // each stage draws from steps of its own
    tape_set_step(t, ((uint32_t)(2 * g->index + tuning + 1) << 24) + (uint32_t)g->optim.step);
    tape_reset(t);
    t->record = true;   // but no dropout
    optim_rates(&g->optim, &g->ps);
    paramset_zero_grad(&g->ps);
    Tensor *rows = tape_draw_windows(t, g->windows, g->batch, at, t->clock);
    const LeadBatch b = lead_data_training_batch(t, data, rows, lead_data_factor(t, data));
    Tensor *l = tuning ? distill_crps(t, &g->student, &b, g->calls)
                       : distill_loss(t, &g->teacher.model, &g->student, &b, &g->path);
    tape_backward(t, l);
    optim_update(&g->optim, t, &g->ps);
    t->record = false;
    tensor_get_f64(l, &loss, 1);
    g->optim.step++;
    return loss;
}

static Status log_step(const Distiller *d, Stage *g, bool tuning, double loss)
{
    enum { EVERY = 10 };
    const Optim *op = &g->optim;
    const DistillReport r = {g->final, tuning, g->calls, op->step, op->total, loss, g->smooth};
    if (d->o->report) d->o->report(d->o->ctx, &r);
    if (op->step % EVERY && op->step < op->total) return OK;
    char line[200];
    snprintf(line, sizeof line, "{\"distill\":%d,\"phase\":\"%s\",\"step\":%lld,\"total\":%lld,\"loss\":%.9g,"
             "\"smooth_loss\":%.9g%s}\n", g->calls, tuning ? "crps" : "steps", (long long)op->step,
             (long long)op->total, loss, g->smooth, g->final ? ",\"final\":true" : "");
    return run_log_line(&g->log, line);
}

static Status train(Distiller *d, Stage *g, bool tuning)
{
    const int steps = tuning ? d->o->tune_steps : d->o->steps;
    const Optim before = g->optim;
    g->optim = new_optim(d, g, steps);
    g->optim.rates = before.rates, g->optim.sumsq = before.sumsq;
    while (g->optim.step < steps) {
        if (d->o->stop && *d->o->stop) {
            d->stopped = true;
            return OK;
        }
        const double loss = train_step(g, tuning);
        if (!isfinite(loss) || !isfinite(optim_norm(&g->optim)))
            return ERROR("%s: loss %g, gradient norm %g at step %lld of %s: want finite ones", g->to, loss,
                         optim_norm(&g->optim), (long long)g->optim.step - 1, tuning ? "tuning" : "distillation");
        g->smooth = g->optim.step == 1 ? loss : 0.98 * g->smooth + 0.02 * loss;
        TRY(log_step(d, g, tuning, loss));
    }
    return OK;
}

// The student as it forecasts: values and averages must have changed places.
static LeadRun run_of(const Stage *g)
{
    LeadRun r = g->teacher;
    r.cfg = g->cfg;
    r.model = g->student;
    r.ps = g->ps;
    r.sampling = (LeadSampling){0};
    return r;
}

// The heads are those of the teacher, and so is their weight: otherwise the point forecast would move.
static void keep_head_weight(LeadStats *st, const float *weight, Calibration *c)
{
    c->least_weight = c->most_weight = (double)weight[0];
    for (int k = 0; k < st->Kt; k++) {
        st->head_weight[k] = weight[k];
        c->least_weight = fmin(c->least_weight, (double)weight[k]);
        c->most_weight = fmax(c->most_weight, (double)weight[k]);
    }
}

static Status calibrate(Distiller *d, Stage *g)
{
    enum { WINDOWS = 64, SAMPLES = 16 };   // a quarter of what training draws: with all, it took as long as the steps
    Chosen *c = &d->chosen[g->index];
    LeadStats *st = &g->teacher.stats;
    const size_t bytes = (size_t)st->Kt * sizeof(float);
    if (!g->final) {
        Calibration found;
        float *weight = arena_alloc(d->perm, bytes);
        memcpy(weight, st->head_weight, bytes);
        paramset_swap_ema(&g->ps);
        LeadRun r = run_of(g);
        if (lead_antithetic(&r.cfg) && r.cfg.samples > SAMPLES) r.cfg.samples = SAMPLES;
        r.model.cfg = r.cfg;
        const Status s = lead_calibrate(&r, r.val, WINDOWS, &found);
        paramset_swap_ema(&g->ps);
        TRY(s);
        keep_head_weight(st, weight, &found);
        if (d->o->calibrated) d->o->calibrated(d->o->ctx, g->calls, &found);
        memcpy(c->spread, st->spread, bytes);
        c->fallback = *st->fallback;
    }
    memcpy(st->spread, c->spread, bytes);
    *st->fallback = c->fallback;
    return OK;
}

// The metadata of the teacher's file with the student's configuration and what was done.
static int describe(const Distiller *d, const Stage *g, const SafeFile *f, const char *config, SafeMeta *meta)
{
    static const char *const own[] = {"lead.config", "lead.distill", "lead.distill_manifest", "lead.format",
                                      "lead.sha256"};
    int n = 0;
    for (int64_t i = 0; i < f->n_meta; i++) {
        bool kept = true;
        for (size_t j = 0; j < sizeof own / sizeof *own; j++) kept &= strcmp(f->meta[i].key, own[j]) != 0;
        if (kept) meta[n++] = f->meta[i];
    }
    meta[n++] = (SafeMeta){"lead.config", config};
    meta[n++] = (SafeMeta){"lead.distill", arena_printf(d->scratch, "%d %d %d %d", g->before, g->calls, d->o->steps,
                                                        g->calls <= DISTILL_TUNED ? d->o->tune_steps : 0)};
    meta[n++] = (SafeMeta){"lead.distill_manifest", d->o->manifest ? d->o->manifest : "{}"};
    return n;
}

static Status save_as(Distiller *d, Stage *g, const SafeFile *f)
{
    Arena *a = d->scratch;
    StatArray stat[STATS_MAX_ARRAYS];
    JsonWriter w = json_writer(a, 1);
    config_write_json(&g->cfg, &w, NULL);
    const char *config = json_text(&w, NULL);
    SafeMeta *meta = arena_alloc(a, ((size_t)f->n_meta + 3) * sizeof *meta);
    const int n_stat = lead_stats_pack(&g->teacher.stats, a, stat), n = describe(d, g, f, config, meta);
    TRY(file_write(arena_printf(a, "%s/config.json", g->to), config, strlen(config)));
    return checkpoint_save_weights(arena_printf(a, "%s/%s", g->to, g->final ? RUN_FINAL : RUN_BEST), &g->ps, meta, n,
                                   stat, n_stat, a);
}

static Status save(Distiller *d, Stage *g)
{
    SafeFile f;
    const size_t mark = arena_mark(d->scratch);
    TRY(checkpoint_open(&f, d->scratch, g->teacher.file));
    const Status s = save_as(d, g, &f);
    safetensors_close(&f);
    arena_rewind(d->scratch, mark);
    return s;
}

static Status stage_work(Distiller *d, Stage *g)
{
    TRY(train(d, g, false));
    if (g->calls <= DISTILL_TUNED && d->o->tune_steps && !d->stopped) TRY(train(d, g, true));
    if (d->stopped) return OK;
    TRY(calibrate(d, g));
    return save(d, g);
}

static Status stage(Distiller *d, Stage *g)
{
    const size_t mark = arena_mark(d->perm);
    TRY(setup(d, g));
    TRY(run_log_open(&g->log, g->to, g->final, d->scratch));
    const Status s = stage_work(d, g), closed = run_log_close(&g->log);
    tape_reset(&g->teacher.tape);
    arena_rewind(d->perm, mark);
    return s.code ? s : closed;
}

// ---- all

Status distill_check_calls(const DistillOptions *o, const char *file, int own, int diffusion_steps)
{
    int before = o->teacher_calls;
    if (own && before != own)
        return USAGE_ERROR("teacher steps: %s was distilled to %d network call%s; want %d or another teacher, got %d",
                           file, own, own > 1 ? "s" : "", own, before);
    if (before > diffusion_steps)
        return USAGE_ERROR("teacher steps: want at most the %d diffusion times of the run, got %d", diffusion_steps,
                           before);
    for (int i = 0; i < o->n_calls; i++) {
        if (o->calls[i] < 1 || o->calls[i] >= before || before % o->calls[i])
            return USAGE_ERROR("network calls: want a smaller divisor of the %d before it, got %d", before,
                               o->calls[i]);
        before = o->calls[i];
    }
    return OK;
}

static Status check_run(const Distiller *d, const LeadRecord *r)
{
    RunState state;
    TRY(run_directory_state(d->o->model, &state, d->scratch));
    if (state == RUN_UNFINISHED)
        return ERROR("%s: the run is unfinished; finish it with lead train --resume --out %s", d->o->model,
                     d->o->model);
    if (strcmp(r->data_sha256, d->data_hash))
        return ERROR("%s: trained on other traffic than this; want the same file, times and marks", r->file);
    return distill_check_calls(d->o, r->file, r->calls, r->cfg.diffusion_steps);
}

static Status stages(Distiller *d, const char *const *dir, bool final)
{
    const DistillOptions *o = d->o;
    for (int f = 0; f <= final; f++)
        for (int i = 0; i < o->n_calls && !d->stopped; i++) {
            Stage g = {.index = i, .calls = o->calls[i], .before = i ? o->calls[i - 1] : o->teacher_calls,
                       .batch = o->batch, .final = f == 1, .from = i ? dir[i - 1] : o->model, .to = dir[i]};
            TRY(stage(d, &g));
        }
    return OK;
}

Status lead_distill(const DistillOptions *o, const TrafficSeries *s, const Device *dev, Arena *perm, Arena *step,
                    Arena *scratch)
{
    Distiller d = {.o = o, .s = s, .dev = dev, .perm = perm, .step = step, .scratch = scratch,
                   .data_hash = lead_data_hash(s, perm)};
    LeadRecord r;
    RunDirectory held[DISTILL_STAGES];
    const char *dir[DISTILL_STAGES];
    bool final;
    int n = 0;
    TRY(lead_record_open(&r, perm, o->model));
    TRY(check_run(&d, &r));
    TRY(file_exists(arena_printf(perm, "%s/" RUN_FINAL, o->model), &final));
    Status st = OK;
    for (int i = o->n_calls - 1; i >= 0 && !st.code; i--) {   // the last one's holds the others
        d.chosen[i].spread = arena_alloc(perm, (size_t)r.cfg.horizon * sizeof(float));
        dir[i] = i == o->n_calls - 1 ? o->out : arena_printf(perm, "%s/calls-%d", o->out, o->calls[i]);
        st = run_directory_open(&held[n], dir[i], false, perm);
        n += !st.code;
    }
    if (!st.code) st = stages(&d, dir, final && o->final);
    while (n > 0) run_directory_close(&held[--n]);
    return st;
}
