#include "lead/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/sha256.h"
#include "nn/run_directory.h"
#include "tensor/clock.h"
#include "tensor/graph.h"

// LOG_STEPS: where steps are recorded, the host reads the losses once in this many steps.
enum { SPEED_STEPS = 12, VAL_BATCHES = 6, VAL_REPORTS = 40, LOG_STEPS = 10 };

typedef struct Trainer {
    const LeadConfig *cfg;
    const TrafficSeries *s;
    const TrainOptions *o;
    LeadStats stats;
    LeadModel model;
    ParamSet ps;
    Optim optim;
    Tape tape;
    Arena *scratch;
    LeadData data;
    Repeated work;                      // the step on the device
    Tensor *losses;                     // [LOG_STEPS,2]: loss and the gradient's sum of squares of the last steps
    int64_t read;                       // steps whose losses the host has seen
    Tensor *train, *val[VAL_BATCHES];   // I32: rows of "now" of the training windows, of the validation batches
    int64_t n_train, n_val;
    double best_val, smooth;
    const char *config_json, *llm_hash, *data_hash;
    RunLog log;
} Trainer;

// ---- saving

static Status save(Trainer *tr, const char *name)
{
    Arena *a = tr->scratch;
    const size_t mark = arena_mark(a);
    StatArray stat[STATS_MAX_ARRAYS];
    const int n_stat = lead_stats_pack(&tr->stats, a, stat);
    const char *range = arena_printf(a, "%lld %lld %lld %lld", (long long)tr->o->train.begin,
                                     (long long)tr->o->train.end, (long long)tr->o->val.begin,
                                     (long long)tr->o->val.end);
    const SafeMeta meta[] = {
        {"lead.config", tr->config_json},
        {"lead.manifest", tr->o->manifest ? tr->o->manifest : "{}"},
        {"lead.data", tr->o->data_path ? tr->o->data_path : ""},
        {"lead.rows", range},
        {"lead.llm_sha256", tr->llm_hash},
        {"lead.data_sha256", tr->data_hash},
        {"lead.step", arena_printf(a, "%lld", (long long)tr->optim.step)},
        {"lead.total", arena_printf(a, "%lld", (long long)tr->optim.total)},
        {"lead.best_val", arena_printf(a, "%.17g", tr->best_val)},
        {"lead.smooth_loss", arena_printf(a, "%.17g", tr->smooth)},
    };
    const Status st = checkpoint_save(arena_printf(a, "%s/%s", tr->o->out, name), &tr->ps, meta,
                                      (int)(sizeof meta / sizeof *meta), stat, n_stat, a);
    arena_rewind(a, mark);
    return st;
}

// ---- one step

// Windows that the clock draws; the host has no part in it.
static LeadBatch shuffled_batch(Trainer *tr)
{
    Tape *t = &tr->tape;
    const RandomAddress at = {.seed = (uint64_t)tr->cfg->seed, .site = SITE_SHUFFLE};
    return lead_data_batch(t, &tr->data, tape_draw_windows(t, tr->train, tr->cfg->batch, at, t->clock), NULL, true);
}

static double loss_value(Tensor *loss)
{
    double v;
    tensor_get_f64(loss, &v, 1);
    return v;
}

// The whole step on the device.  It reads the number of the step from the clock and the rates from the optimiser's
// tensor, so it may be recorded.
static void step_work(void *ctx)
{
    Trainer *tr = ctx;
    Tape *t = &tr->tape;
    tape_reset(t);
    t->record = t->training = true;
    paramset_zero_grad(&tr->ps);
    const LeadBatch b = shuffled_batch(tr);
    Tensor *l = lead_loss(t, &tr->model, &b);
    tape_backward(t, l);
    optim_update(&tr->optim, t, &tr->ps);
    tape_log_put(t, tr->losses, (Tensor *[]){l, tr->optim.sumsq}, 2);
}

static void train_step(Trainer *tr)
{
    tape_set_step(&tr->tape, (uint32_t)tr->optim.step);
    optim_rates(&tr->optim, &tr->ps);
    const double before = clock_seconds();
    if (tr->tape.profile) step_work(tr);   // which waits after each op
    else device_repeat(tr->tape.dev, &tr->work, step_work, tr);
    if (tr->tape.profile) tr->tape.profile->steps += clock_seconds() - before;
    tr->optim.step++;
}

// The diffusion loss of fixed, evenly spaced validation windows with fixed times and noise, EMA weights.
static double validation_loss(Trainer *tr)
{
    Tape *t = &tr->tape;
    double sum = 0;
    paramset_swap_ema(&tr->ps);
    for (int v = 0; v < VAL_BATCHES; v++) {
        tape_reset(t);
        t->record = t->training = false;
        const LeadBatch b = lead_data_batch(t, &tr->data, tr->val[v], NULL, true);
        tape_set_step(t, 0xF0000000u + (unsigned)v);
        sum += loss_value(lead_loss(t, &tr->model, &b));
    }
    paramset_swap_ema(&tr->ps);
    return sum / VAL_BATCHES;
}

// ---- the run

static void write_log(Trainer *tr, const TrainReport *r)
{
    fprintf(tr->log.f,
            "{\"step\":%lld,\"loss\":%.9g,\"smooth_loss\":%.9g,\"grad_norm\":%.6g,\"lr\":%.6g,\"seconds\":%.3f",
            (long long)r->step, r->loss, r->smooth_loss, r->grad_norm, r->lr, r->seconds);
    if (isfinite(r->val_loss)) fprintf(tr->log.f, ",\"val_loss\":%.9g", r->val_loss);
    fputs("}\n", tr->log.f);
    fflush(tr->log.f);
}

static bool stop_asked(const Trainer *tr) { return tr->o->stop && *tr->o->stop; }

static bool validation_due(const Trainer *tr)
{
    const Optim *op = &tr->optim;
    const int64_t period = op->total / VAL_REPORTS > 0 ? op->total / VAL_REPORTS : 1;
    return tr->n_val > 0 && (op->step % period == 0 || op->step == op->total);
}

// Reads the losses of the steps since the last call, in order, updates the smooth loss and reports every step but the
// newest, which *r describes on return.  A loss that is not finite stops the run before anything is written.
static Status read_losses(Trainer *tr, TrainReport *r)
{
    double v[2 * LOG_STEPS];
    tensor_get_f64(tr->losses, v, 2 * LOG_STEPS);
    for (; tr->read < tr->optim.step; tr->read++) {
        const double *at = v + 2 * (tr->read % LOG_STEPS);
        const long long step = (long long)tr->read;
        if (!isfinite(at[0])) return ERROR("training: the loss is %g at step %lld; try a smaller lr", at[0], step);
        if (!isfinite(at[1])) return ERROR("training: the gradient's norm is %g at step %lld", sqrt(at[1]), step);
        r->loss = at[0];
        r->grad_norm = sqrt(at[1]);
        r->lr = optim_lr(&tr->optim, tr->read);
        r->step = tr->read + 1;
        r->smooth_loss = tr->smooth = r->step == 1 ? r->loss : 0.98 * tr->smooth + 0.02 * r->loss;
        if (r->step < tr->optim.step && tr->o->report) tr->o->report(tr->o->ctx, r);
    }
    return OK;
}

static Status train_loop(Trainer *tr)
{
    Optim *op = &tr->optim;
    const double t0 = clock_seconds(), every = tr->o->checkpoint_seconds > 0 ? tr->o->checkpoint_seconds : 120;
    const int64_t first = tr->read = op->step;
    double saved = t0;
    // later a resumed run keeps the total that was fitted
    const bool timed = tr->cfg->minutes > 0 && first < SPEED_STEPS;
    while (op->step < op->total && !(tr->read == op->step && stop_asked(tr))) {   // nothing unread is saved
        train_step(tr);
        const bool log = op->step % LOG_STEPS == 0 || op->step == op->total, fit_now = timed && op->step == SPEED_STEPS;
        const bool save_now = clock_seconds() - saved > every;
        const bool later = !log && !fit_now && !save_now && !validation_due(tr);
        if (device_graphs(tr->tape.dev) && later && !stop_asked(tr)) continue;
        TrainReport r = {.total = op->total, .val_loss = NAN, .seconds = clock_seconds() - t0};
        TRY(read_losses(tr, &r));
        r.seconds = clock_seconds() - t0;
        if (fit_now) {
            const double fit = tr->cfg->minutes * 60 / (r.seconds / (double)(op->step - first));
            if (fit < (double)op->total) op->total = (int64_t)fit > SPEED_STEPS ? (int64_t)fit : SPEED_STEPS + 1;
        }
        r.total = op->total;
        r.eta_seconds = r.seconds / (double)(op->step - first) * (double)(op->total - op->step);
        if (validation_due(tr)) {
            r.val_loss = validation_loss(tr);
            if (r.val_loss < tr->best_val) {
                tr->best_val = r.val_loss;
                TRY(save(tr, "best.safetensors"));
            }
        }
        if (op->step % LOG_STEPS == 0 || op->step == op->total || isfinite(r.val_loss)) write_log(tr, &r);
        if (tr->o->report) tr->o->report(tr->o->ctx, &r);
        if (save_now) {
            TRY(save(tr, RUN_CHECKPOINT));
            saved = clock_seconds();
        }
    }
    device_repeat_end(tr->tape.dev, &tr->work);
    return save(tr, RUN_CHECKPOINT);
}

// Calibrates the best state on the validation rows and stores the result with it.
static Status calibrate(Trainer *tr, Arena *perm)
{
    SafeFile f;
    const char *path = arena_printf(perm, "%s/best.safetensors", tr->o->out);
    if (access(path, F_OK)) return OK;   // nothing to validate on
    TRY(checkpoint_open(&f, perm, path));
    const Status loaded = checkpoint_load(&f, &tr->ps);
    const char *step = NULL;
    if (!loaded.code) (void)checkpoint_meta(&f, "lead.step", &step);
    tr->optim.step = step ? strtoll(step, NULL, 10) : tr->optim.step;
    safetensors_close(&f);
    TRY(loaded);
    LeadRun r = {.cfg = *tr->cfg, .stats = tr->stats, .model = tr->model, .ps = tr->ps, .tape = tr->tape,
                 .perm = perm, .data = tr->data, .series = tr->s};
    r.tape.record = r.tape.training = false;
    Calibration c;
    paramset_swap_ema(&tr->ps);
    const Status s = lead_calibrate(&r, tr->o->val, &c);
    paramset_swap_ema(&tr->ps);
    TRY(s);
    if (tr->o->calibrated) tr->o->calibrated(tr->o->ctx, &c);
    return c.windows ? save(tr, "best.safetensors") : OK;
}

static Status resume(Trainer *tr, const char *path, Arena *a)
{
    SafeFile f;
    TRY(checkpoint_open(&f, a, path));
    const char *config, *hash, *data, *step, *total, *best, *smooth;
    Status s = checkpoint_meta(&f, "lead.config", &config);
    if (!s.code) s = checkpoint_meta(&f, "lead.llm_sha256", &hash);
    if (!s.code) s = checkpoint_meta(&f, "lead.data_sha256", &data);
    if (!s.code) s = checkpoint_meta(&f, "lead.step", &step);
    if (!s.code) s = checkpoint_meta(&f, "lead.total", &total);
    if (!s.code) s = checkpoint_meta(&f, "lead.best_val", &best);
    if (!s.code) s = checkpoint_meta(&f, "lead.smooth_loss", &smooth);
    if (!s.code && strcmp(config, tr->config_json))
        s = ERROR("%s: want the configuration of this run, got another one (compare config.json)", path);
    if (!s.code && strcmp(hash, tr->llm_hash))
        s = ERROR("%s: trained with other LLM weights than %s", path, tr->cfg->llm);
    if (!s.code && strcmp(data, tr->data_hash)) s = ERROR("%s: trained on other traffic than this", path);
    if (!s.code) s = checkpoint_load(&f, &tr->ps);
    if (!s.code) {
        tr->optim.step = strtoll(step, NULL, 10);
        tr->optim.total = strtoll(total, NULL, 10);
        tr->best_val = strtod(best, NULL);
        tr->smooth = strtod(smooth, NULL);
    }
    safetensors_close(&f);
    return s;
}

// Identifies the series that a run was trained on: values, validity, times and borders of runs.
static const char *series_hash(const TrafficSeries *s, Arena *a)
{
    Sha256 h = sha256_new();
    sha256_add(&h, s->x, (size_t)s->T * (size_t)s->N * (size_t)s->N * sizeof *s->x);
    sha256_add(&h, s->valid, (size_t)s->T);
    sha256_add(&h, s->slot, (size_t)s->T * sizeof *s->slot);
    if (s->time) sha256_add(&h, s->time, (size_t)s->T * sizeof *s->time);
    sha256_add(&h, &s->calendar_shift_s, sizeof s->calendar_shift_s);
    sha256_add(&h, s->runs, (size_t)s->n_runs * sizeof *s->runs);
    return arena_printf(a, "%s", sha256_hex(&h).s);
}

// Copies the series to the device, and the lists of training and validation windows.
static Status put_data(Trainer *tr, Arena *perm)
{
    const LeadConfig *cfg = tr->cfg;
    const int64_t B = cfg->batch;
    const int K = tr->stats.Kt, now = cfg->history - 1;
    int64_t *start, *at = arena_alloc(perm, (size_t)B * sizeof *at);
    TRY(lead_data_new(&tr->data, &tr->tape, perm, &tr->stats, cfg, tr->s));
    tr->n_train = traffic_windows(tr->s, perm, tr->o->train, cfg->history, K, 1, &start);
    for (int64_t i = 0; i < tr->n_train; i++) start[i] += now;
    tr->train = lead_data_rows(&tr->data, perm, start, tr->n_train);
    tr->n_val = traffic_windows(tr->s, perm, tr->o->val, cfg->history, K, 1, &start);
    for (int v = 0; v < VAL_BATCHES && tr->n_val > 0; v++) {
        for (int64_t i = 0; i < B; i++) at[i] = start[(i * VAL_BATCHES + v) * tr->n_val / (B * VAL_BATCHES)] + now;
        tr->val[v] = lead_data_rows(&tr->data, perm, at, B);
    }
    return OK;
}

static Status setup(Trainer *tr, const Device *dev, Arena *perm, Arena *step)
{
    const LeadConfig *cfg = tr->cfg;
    const TrainOptions *o = tr->o;
    JsonWriter w = json_writer(perm, 1);
    config_write_json(cfg, &w, NULL);
    tr->config_json = json_text(&w, NULL);
    TRY(lead_stats_fit(&tr->stats, perm, tr->s, o->train, cfg));
    paramset_init(&tr->ps, perm, dev, (uint64_t)cfg->seed, false);
    const LeadShape shape = lead_stats_shape(&tr->stats, cfg);
    TRY(lead_model_new(&tr->model, &tr->ps, cfg, &shape, tr->scratch));
    tr->llm_hash = paramset_frozen_hash(&tr->ps, perm);
    tr->data_hash = series_hash(tr->s, perm);
    tr->optim = (Optim){.lr = cfg->lr,
                        .beta1 = 0.9,
                        .beta2 = 0.999,
                        .eps = 1e-8,
                        .decay = cfg->decay,
                        .clip = cfg->clip,
                        .ema = cfg->ema,
                        .warmup = cfg->warmup,
                        .total = cfg->steps,
                        .floor = 0.02};
    tr->best_val = INFINITY;
    tr->losses = tensor_new(perm, dev, REAL, SHAPE(LOG_STEPS, 2), "losses");
    tensor_fill(tr->losses, 0);
    tape_init(&tr->tape, dev, step, tr->scratch);
    tr->tape.seed = (uint64_t)cfg->seed;
    tr->tape.profile = o->profile;
    return put_data(tr, perm);
}

Status lead_train(const LeadConfig *cfg, const TrafficSeries *s, const TrainOptions *o, const Device *dev, Arena *perm,
                  Arena *step, Arena *scratch)
{
    Trainer tr = {.cfg = cfg, .s = s, .o = o, .scratch = scratch};
    TRY(config_check(cfg));   // before anything is made on the disk
    TRY(run_directory_prepare(o->out, o->resume, scratch));
    const Status ready = setup(&tr, dev, perm, step);
    if (ready.code) {
        (void)rmdir(o->out);   // only a directory that is still empty goes
        return ready;
    }
    if (o->resume) TRY(resume(&tr, arena_printf(perm, "%s/" RUN_CHECKPOINT, o->out), perm));
    TRY(file_write(arena_printf(perm, "%s/config.json", o->out), tr.config_json, strlen(tr.config_json)));
    TRY(run_log_open(&tr.log, o->out, o->resume, perm));
    const Status st = train_loop(&tr), closed = run_log_close(&tr.log);
    TRY(st);
    TRY(closed);
    return tr.optim.step < tr.optim.total ? OK : calibrate(&tr, perm);   // stopped: goes on later
}
