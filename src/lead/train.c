#include "lead/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "lead/rival.h"
#include "lead/trainer.h"
#include "tensor/clock.h"
#include "tensor/graph.h"

static int validations(const Trainer *tr) { return tr->n_val > 0 ? VALIDATIONS : 0; }

// ---- one step

// Windows that the clock draws; the host has no part in it.
static LeadBatch shuffled_batch(Trainer *tr)
{
    Tape *t = &tr->tape;
    const RandomAddress at = {.seed = (uint64_t)tr->cfg->seed, .site = SITE_SHUFFLE,
                              .offset = (uint64_t)tr->part.begin};
    Tensor *windows = tape_draw_windows(t, tr->train, tr->part.n, at, t->clock);
    return lead_data_training_batch(t, &tr->data, windows, lead_data_factor(t, &tr->data));
}

static double loss_value(Tensor *loss)
{
    double v;
    tensor_get_f64(loss, &v, 1);
    return v;
}

// The loss of all ranks' rows, and its gradient: each rank adds its share.  Both have the same bits on every rank.
static Tensor *whole_loss(Tape *t, ParamSet *ps, Tensor *l, RowPart part)
{
    if (part.n < part.of) l = tape_scale(t, l, (double)part.n / (double)part.of, 0);
    tape_backward(t, l);
    ranks_sum(t->dev, ps->flat.g.x, numel(&ps->flat.g), t->scratch);
    ranks_sum(t->dev, l->x, 1, t->scratch);
    return l;
}

// The whole step on the device.  It reads the number of the step from the clock and the rates from the optimiser's
// tensor, so it may be recorded.
static void step_work(void *ctx)
{
    Trainer *tr = ctx;
    Tape *t = &tr->tape;
    tape_reset(t);
    t->record = t->training = true;
    t->part = tr->part;
    paramset_zero_grad(&tr->ps);
    const LeadBatch b = shuffled_batch(tr);
    Tensor *l = whole_loss(t, &tr->ps, lead_loss(t, &tr->model, &b), tr->part);
    t->part = (RowPart){0};
    optim_update(&tr->optim, t, &tr->ps);
    tape_log_put(t, tr->losses, (Tensor *[]){l, tr->optim.sumsq}, 2);
}

static void train_step(Trainer *tr)
{
    tape_set_step(&tr->tape, (uint32_t)tr->optim.step);
    optim_rates(&tr->optim, &tr->ps);
    const double before = clock_seconds();
    if (tr->tape.profile || ranks_count() > 1) step_work(tr);   // which waits after each op, or for others
    else device_repeat(tr->tape.dev, &tr->work, step_work, tr);
    if (tr->tape.profile) tr->tape.profile->steps += clock_seconds() - before;
    tr->optim.step++;
}

// The diffusion loss of fixed, evenly spaced validation windows with fixed times and noise, EMA weights.
static double validation_loss(Trainer *tr)
{
    Tape *t = &tr->tape;
    double sum = 0, loss[VAL_BATCHES] = {0};
    const RowPart own = ranks_part(VAL_BATCHES);
    paramset_swap_ema(&tr->ps);
    for (int v = 0; v < VAL_BATCHES; v++) {
        if (v < own.begin || v >= own.begin + own.n) continue;
        tape_reset(t);
        t->record = t->training = false;
        const LeadBatch b = lead_data_batch(t, &tr->data, tr->val[v], NULL, true);
        tape_set_step(t, 0xF0000000u + (unsigned)v);
        loss[v] = loss_value(lead_loss(t, &tr->model, &b));
    }
    ranks_gather(&(Device){.real_size = sizeof *loss}, loss, VAL_BATCHES, sizeof *loss, t->scratch);
    for (int v = 0; v < VAL_BATCHES; v++) sum += loss[v];
    paramset_swap_ema(&tr->ps);
    return sum / VAL_BATCHES;
}

// ---- the plan

static bool planned_anew(const Trainer *tr) { return tr->next_plan >= 0; }

// The step at which this fit must end, as things look now.
static int64_t affordable(const Trainer *tr)
{
    const PaceBudget b = {.left = 60 * tr->cfg->minutes - (trainer_now(tr) - tr->began) - tr->calibration_seconds,
                          .step = tr->optim.step,
                          .validations = validations(tr),
                          .save_every = tr->save_every,
                          .again = !tr->final && trainer_final_wanted(tr),
                          .again_setup = tr->fit_seconds};
    return pace_total(&tr->pace, &b);
}

static void set_warmup(Trainer *tr, int64_t total)
{
    const int64_t most = total / WARMUP_PARTS;
    tr->optim.warmup = tr->cfg->warmup < most ? tr->cfg->warmup : most;
}

// Ends the fit when its time is over; from time to time fits the number of steps to the time.
static void plan(Trainer *tr)
{
    Optim *op = &tr->optim;
    if (!planned_anew(tr) || op->step < SPEED_STEPS || tr->pace.n < SPEED_STEPS || op->step >= op->total) return;
    const int64_t fits = affordable(tr), most = trainer_most_steps(tr);
    if (fits <= op->step) {
        tr->out_of_time = true;
        op->total = op->step;
    } else if (op->step >= tr->next_plan) {
        const int64_t total = fits < most ? fits : most, soon = pace_period(total, VALIDATIONS);
        const bool warming = op->step < op->warmup;
        if (total != op->total) optim_replan(op, total > op->step ? total : op->step + 1);
        if (warming) set_warmup(tr, total);
        tr->next_plan = op->step + (op->step < soon ? op->step : soon);
    }
}

// A time to come: with a limit, at most what is left of it.
static double within_limit(const Trainer *tr, double seconds)
{
    const double left = 60 * tr->cfg->minutes - (trainer_now(tr) - tr->began);
    return tr->cfg->minutes > 0 && seconds > left ? fmax(left, 0) : seconds;
}

// ---- validation

static Status validate(Trainer *tr, double *loss)
{
    const double before = trainer_now(tr);
    *loss = validation_loss(tr);
    tr->validated = tr->optim.step;
    tr->since++;
    if (*loss < tr->best_val) {
        const bool first = !isfinite(tr->best_val);
        tr->best_val = *loss;
        tr->best_step = tr->optim.step;
        tr->since = 0;
        if (first) TRY(trainer_save_checkpoint(tr));   // a directory with weights alone holds a finished run
        TRY(trainer_save(tr, RUN_BEST, true));
    }
    tr->pace.validation = trainer_now(tr) - before;
    return OK;
}

static bool validation_due(const Trainer *tr)
{
    const Optim *op = &tr->optim;
    return tr->n_val > 0 && (op->step >= tr->validated + pace_period(op->total, VALIDATIONS) || op->step == op->total);
}

static bool impatient(const Trainer *tr)
{
    return tr->n_val > 0 && tr->cfg->patience && tr->since >= tr->cfg->patience;
}

// ---- the run

static Status write_log(Trainer *tr, const TrainReport *r)
{
    char val[40] = "", line[400];
    if (isfinite(r->val_loss)) snprintf(val, sizeof val, ",\"val_loss\":%.9g", r->val_loss);
    snprintf(line, sizeof line,
             "{\"step\":%lld,\"total\":%lld,\"loss\":%.9g,\"smooth_loss\":%.9g,\"grad_norm\":%.6g,\"lr\":%.6g,"
             "\"seconds\":%.3f%s%s}\n",
             (long long)r->step, (long long)r->total, r->loss, r->smooth_loss, r->grad_norm, r->lr, r->seconds,
             r->final ? ",\"final\":true" : "", val);
    return run_log_line(&tr->log, line);
}

// What is left to do when the log cannot be written.
static Status save_and_stop(Trainer *tr, const Status *why)
{
    const Status saved = trainer_save_checkpoint(tr);
    return ERROR("%s; training stops after step %lld, %s", why->msg, (long long)tr->optim.step,
                 saved.code ? "which could not be saved" : "which is saved");
}

static bool stop_asked(const Trainer *tr) { return ranks_any(tr->o->stop && *tr->o->stop); }

// Reads the losses of the steps since the last call, in order, updates the smooth loss and reports every step but the
// newest, which *r describes on return.  A loss that is not finite stops the run before anything is written.
static Status read_losses(Trainer *tr, TrainReport *r)
{
    double v[2 * LOG_STEPS];
    tensor_get_f64(tr->losses, v, 2 * LOG_STEPS);
    const int64_t n = tr->optim.step - tr->read;
    const double each = (trainer_now(tr) - tr->looked) / (double)n;
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
        pace_add(&tr->pace, each);
        if (r->step < tr->optim.step && tr->o->report) tr->o->report(tr->o->ctx, r);
    }
    return OK;
}

// Looks at what the last steps did: plan, validation, log, checkpoint.
static Status look(Trainer *tr)
{
    const Optim *op = &tr->optim;
    TrainReport r = {.final = tr->final, .total = op->total, .val_loss = NAN, .eta_seconds = NAN,
                     .seconds = trainer_now(tr) - tr->began};
    TRY(read_losses(tr, &r));
    plan(tr);
    r.seconds = trainer_now(tr) - tr->began;
    r.total = op->total;
    if (!planned_anew(tr) || op->step >= SPEED_STEPS)
        r.eta_seconds = within_limit(tr, pace_eta(&tr->pace, op->step, op->total, validations(tr)));
    if (validation_due(tr)) TRY(validate(tr, &r.val_loss));
    const bool line = op->step % LOG_STEPS == 0 || op->step == op->total || isfinite(r.val_loss);
    const Status logged = line ? write_log(tr, &r) : OK;
    if (tr->o->report) tr->o->report(tr->o->ctx, &r);
    if (logged.code) return save_and_stop(tr, &logged);
    if (trainer_now(tr) - tr->saved > tr->save_every) TRY(trainer_save_checkpoint(tr));
    tr->looked = trainer_now(tr);
    return OK;
}

// Whether the host must look now.  On a device that replays recorded steps it need not after each: it would wait.
static bool must_look(const Trainer *tr)
{
    const Optim *op = &tr->optim;
    const bool due = op->step % LOG_STEPS == 0 || op->step == op->total || validation_due(tr) ||
                     (planned_anew(tr) && op->step == SPEED_STEPS);
    return !device_graphs(tr->dev) || due || stop_asked(tr) || trainer_now(tr) - tr->saved > tr->save_every;
}

static Status train_loop(Trainer *tr)
{
    Optim *op = &tr->optim;
    double loss;
    tr->saved = tr->looked = trainer_now(tr);
    tr->read = op->step;
    if (op->step == 0 && *tr->start && tr->n_val > 0) TRY(validate(tr, &loss));   // the start may stay the best
    while (op->step < op->total && !impatient(tr) && !(tr->read == op->step && stop_asked(tr))) {
        train_step(tr);
        if (must_look(tr)) TRY(look(tr));
    }
    device_repeat_end(tr->dev, &tr->work);
    return OK;
}

// Copies the series to the device, and the lists of training and validation windows.
static Status put_data(Trainer *tr, Arena *perm)
{
    const LeadConfig *cfg = tr->cfg;
    const int64_t B = cfg->batch;
    const int K = tr->stats.Kt, now = cfg->history - 1;
    int64_t *start, *at = arena_alloc(perm, (size_t)B * sizeof *at);
    TRY(lead_data_new(&tr->data, &tr->tape, perm, &tr->stats, cfg, tr->s));
    tr->n_train = traffic_windows(tr->s, perm, tr->rows, cfg->history, K, 1, &start);
    for (int64_t i = 0; i < tr->n_train; i++) start[i] += now;
    tr->train = lead_data_rows(&tr->data, perm, start, tr->n_train);
    tr->n_val = tr->final ? 0 : traffic_windows(tr->s, perm, tr->o->val, cfg->history, K, 1, &start);
    for (int v = 0; v < VAL_BATCHES && tr->n_val > 0; v++) {
        for (int64_t i = 0; i < B; i++) at[i] = start[(i * VAL_BATCHES + v) * tr->n_val / (B * VAL_BATCHES)] + now;
        tr->val[v] = lead_data_rows(&tr->data, perm, at, B);
    }
    return OK;
}

// The final fit is calibrated as the first was: it has no rows left to choose by.
static Status take_calibration(Trainer *tr)
{
    SafeFile f;
    LeadStats best;
    TRY(trainer_open_best(tr, &f));
    const Status s = lead_stats_unpack(&best, tr->perm, &f, tr->cfg);
    safetensors_close(&f);
    TRY(s);
    memcpy(tr->stats.spread, best.spread, (size_t)best.Kt * sizeof *best.spread);
    memcpy(tr->stats.head_weight, best.head_weight, (size_t)best.Kt * sizeof *best.head_weight);
    *tr->stats.fallback = *best.fallback;
    if (best.rival) memcpy(tr->stats.rival, best.rival, (size_t)lead_rival_stats_size(&best) * sizeof *best.rival);
    return OK;
}

static Status setup(Trainer *tr)
{
    const LeadConfig *cfg = tr->cfg;
    Arena *perm = tr->perm;
    const double before = trainer_now(tr);
    tr->rows = tr->final ? tr->o->final : tr->o->train;
    TRY(lead_stats_fit(&tr->stats, perm, tr->s, tr->rows, cfg));
    if (tr->final) TRY(take_calibration(tr));
    paramset_init(&tr->ps, perm, tr->dev, (uint64_t)cfg->seed, false);
    const LeadShape shape = lead_stats_shape(&tr->stats, cfg);
    TRY(lead_model_new(&tr->model, &tr->ps, cfg, &shape, tr->scratch));
    tr->llm_hash = paramset_frozen_hash(&tr->ps, perm);
    TRY(ranks_check_alike(tr->llm_hash, strlen(tr->llm_hash), "LLM weights"));
    tr->optim = (Optim){.lr = cfg->lr,
                        .beta1 = OPTIM_BETA1,
                        .beta2 = OPTIM_BETA2,
                        .eps = OPTIM_EPS,
                        .decay = cfg->decay,
                        .clip = cfg->clip,
                        .ema = cfg->ema,
                        .total = trainer_most_steps(tr),
                        .floor = OPTIM_FLOOR};
    set_warmup(tr, tr->optim.total);
    tr->pace.n = 0;
    tr->pace.sum = 0;
    tr->work = (Repeated){0};
    tr->losses = tensor_new(perm, tr->dev, REAL, SHAPE(LOG_STEPS, 2), "losses");
    tensor_fill(tr->losses, 0);
    tape_init(&tr->tape, tr->dev, tr->step, tr->scratch);
    tr->tape.seed = (uint64_t)cfg->seed;
    tr->tape.profile = tr->o->profile;
    TRY(put_data(tr, perm));
    tr->part = ranks_part(lead_batch(cfg, tr->stats.F));
    if (tr->part.of < ranks_count())
        return ERROR("ranks: want at most the %lld windows of a batch, got %d", (long long)tr->part.of, ranks_count());
    if (cfg->model && !tr->final) TRY(lead_rival_check_windows(cfg, tr->n_val));
    tr->fit_seconds = trainer_now(tr) - before;
    return OK;
}

static Status report_end(Trainer *tr, const TrainEnd *e)
{
    static const char *const why[] = {"complete", "patience", "time", "asked"};
    char best[80] = "", line[400];
    if (isfinite(e->best_val))
        snprintf(best, sizeof best, ",\"best_val\":%.9g,\"since\":%lld", e->best_val, (long long)e->since);
    snprintf(line, sizeof line, "{\"ended\":\"%s\",\"why\":\"%s\",\"step\":%lld,\"total\":%lld,\"best_step\":%lld%s}\n",
             e->final ? "final" : "train", why[e->why], (long long)e->step, (long long)e->total,
             (long long)e->best_step, best);
    if (tr->o->ended) tr->o->ended(tr->o->ctx, e);
    return run_log_line(&tr->log, line);
}

// The run as it forecasts.
static LeadRun run_of(const Trainer *tr)
{
    LeadRun r = {.cfg = *tr->cfg, .stats = tr->stats, .model = tr->model, .ps = tr->ps, .tape = tr->tape,
                 .perm = tr->perm, .data = tr->data, .series = tr->s, .train = tr->o->train,
                 .val = tr->o->val};
    r.tape.record = r.tape.training = false;
    return r;
}

static int calibration_windows(const Trainer *tr) { return *tr->start ? CALIBRATE_AGAIN : CALIBRATE_WINDOWS; }

// Seconds that the naive forecasts will take which calibration compares the network with: fitted on a tenth of the
// rows, and one window forecast.
static double rehearse_naive(Trainer *tr)
{
    enum { PART = 10 };
    Arena *a = tr->perm;
    const TrafficRange all = tr->o->train, part = {all.end - (all.end - all.begin) / PART, all.end};
    const int H = tr->cfg->history, K = tr->stats.Kt;
    const size_t KF = (size_t)K * (size_t)tr->stats.F, mark = arena_mark(a);
    float *point = arena_alloc(a, (1 + NAIVE_LEVELS) * KF * sizeof *point);
    int64_t *start;
    const int64_t n = traffic_windows(tr->s, a, tr->o->val, H, K, 1, &start);
    const double windows = n < calibration_windows(tr) ? (double)n : calibration_windows(tr);
    double seconds = 0;
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        NaiveModel m;
        const double before = trainer_now(tr);
        const Status fit = naive_fit(&m, a, (NaiveKind)kind, tr->s, part, tr->o->val, H, K,
                                     tr->stats.ridge.coef ? &tr->stats.ridge : NULL);
        const double fitted = trainer_now(tr);
        seconds += PART * (fitted - before);
        if (fit.code || n == 0) continue;   // no rival on so few rows
        naive_predict(&m, tr->s, start[0] + H - 1, point);
        naive_spread(&m, tr->s, start[0] + H - 1, point, point + KF);
        seconds += 2 * windows * (trainer_now(tr) - fitted);   // scoring takes about as long as forecasting
    }
    arena_rewind(a, mark);
    return seconds;
}

// Before the first step: a device that lacks what the end needs is noticed at once, and the end has its time.
static void rehearse_calibration(Trainer *tr)
{
    LeadRun r = run_of(tr);
    tr->calibration_seconds = 0;
    if (tr->final || tr->n_val == 0) return;
    const double before = trainer_now(tr), share = lead_calibrate_rehearse(&r, tr->o->val, calibration_windows(tr));
    if (!(share > 0)) return;
    tr->calibration_seconds = (trainer_now(tr) - before) / share;
    if (tr->cfg->minutes > 0) tr->calibration_seconds += rehearse_naive(tr);
}

// A run that ended between its first checkpoint and its first best weights: they are those of the checkpoint.
static Status make_up_best(Trainer *tr)
{
    bool there;
    if (tr->best_step != tr->optim.step || !isfinite(tr->best_val)) return OK;
    TRY(ranks_agree(run_directory_holds(tr->o->out, RUN_BEST, &there, tr->scratch)));
    return there ? OK : trainer_save(tr, RUN_BEST, true);
}

static Status load_best(Trainer *tr)
{
    SafeFile f;
    TRY(trainer_open_best(tr, &f));
    const Status s = checkpoint_load_start(&f, &tr->ps);
    safetensors_close(&f);
    return s;
}

// How good the run is beside the best naive forecast, for those who ask later (lead info RUN).
static Status log_calibration(Trainer *tr, const Calibration *c)
{
    char line[300];
    if (!c->windows) return OK;
    snprintf(line, sizeof line,
             "{\"calibrated\":%d,\"crps_before\":%.9g,\"crps\":%.9g,\"naive\":\"%s\",\"naive_crps\":%.9g,"
             "\"fallback\":%s}\n",
             c->windows, c->before, c->after, c->naive, c->naive_crps, c->fallback ? "true" : "false");
    return run_log_line(&tr->log, line);
}

// Calibrates the best weights on the validation rows and stores the result with them.
static Status calibrate(Trainer *tr)
{
    TRY(load_best(tr));
    LeadRun r = run_of(tr);
    Calibration c;
    TRY(lead_calibrate(&r, tr->o->val, calibration_windows(tr), &c));
    if (tr->o->calibrated) tr->o->calibrated(tr->o->ctx, &c);
    TRY(log_calibration(tr, &c));
    const int64_t done = tr->optim.step;
    tr->optim.step = tr->best_step;
    const Status s = c.windows ? trainer_save(tr, RUN_BEST, true) : OK;
    tr->optim.step = done;
    return s;
}

// Ends a fit: *whole when it is complete.  What is saved is its result, and a checkpoint when there is more to do.
static Status end_fit(Trainer *tr, bool *whole)
{
    const Optim *op = &tr->optim;
    *whole = op->step >= op->total || impatient(tr);
    if (*whole && !tr->final && !isfinite(tr->best_val)) {   // nothing to validate on
        tr->best_step = op->step;
        TRY(trainer_save_checkpoint(tr));
        TRY(trainer_save(tr, RUN_BEST, true));
    } else if (!*whole || (!tr->final && trainer_final_wanted(tr))) TRY(trainer_save_checkpoint(tr));
    if (*whole && tr->final) TRY(trainer_save(tr, RUN_FINAL, true));
    const TrainWhy why = !*whole ? TRAIN_ASKED : tr->out_of_time ? TRAIN_TIME : op->step < op->total ? TRAIN_PATIENCE
                                                                                                    : TRAIN_COMPLETE;
    const TrainEnd e = {.final = tr->final, .why = why, .step = op->step, .total = op->total,
                        .best_step = tr->best_step, .since = tr->since, .best_val = tr->best_val, .rows = tr->rows};
    const Status logged = report_end(tr, &e);
    if (*whole && !tr->final && tr->n_val > 0) TRY(calibrate(tr));   // after the last use of the weights
    return logged;
}

// One fit, from its statistics to its end.  The memory that it took is free again afterwards.
static Status fit(Trainer *tr, bool final, bool resume, bool *whole)
{
    const size_t mark = arena_mark(tr->perm);
    tr->final = final;
    tr->out_of_time = false;
    tr->next_plan = tr->cfg->minutes > 0 && tr->next_plan >= 0 ? SPEED_STEPS : -1;
    TRY(setup(tr));
    TRY(ranks_agree(trainer_load(tr, resume)));
    if (resume && !final) TRY(make_up_best(tr));
    if (!tr->log.fd) {
        TRY(trainer_try_saving(tr));
        TRY(ranks_agree(file_write(trainer_path(tr, "config.json"), tr->config_json, strlen(tr->config_json))));
        TRY(run_log_open(&tr->log, tr->o->out, tr->o->resume, tr->scratch));
    }
    rehearse_calibration(tr);
    TRY(train_loop(tr));
    TRY(end_fit(tr, whole));
    arena_rewind(tr->perm, mark);
    return OK;
}

static Status fits(Trainer *tr, const LeadRecord *r)
{
    const bool resume = tr->o->resume;
    bool whole = true;
    if (!r->in_final) TRY(fit(tr, false, resume, &whole));
    else tr->best_step = r->best_step;
    if (whole && trainer_final_wanted(tr)) {
        if (!r->in_final && stop_asked(tr)) return OK;   // the checkpoint is there to go on from
        TRY(fit(tr, true, resume && r->in_final, &whole));
    }
    return whole ? run_directory_finish(tr->o->out, tr->scratch) : OK;
}

// Whether all ranks train the same, and give the same bits: they never compare parameters.
static Status ranks_alike(const Trainer *tr)
{
    TRY(ranks_check_alike(tr->bits, strlen(tr->bits), "compiler and instruction set"));
    TRY(ranks_check_alike(tr->config_json, strlen(tr->config_json), "configuration"));
    return ranks_check_alike(tr->data_hash, strlen(tr->data_hash), "traffic");
}

// In the directory, which is locked.
static Status train(Trainer *tr)
{
    const TrainOptions *o = tr->o;
    LeadRecord r = {.file = NULL};
    if (o->resume) {
        TRY(lead_record_open(&r, tr->perm, o->out));
        TRY(trainer_check_same(tr, &r));
        tr->start = r.start;
    }
    if (*tr->start && !r.in_final && (!o->resume || trainer_final_wanted(tr))) TRY(trainer_check_start(tr));
    if (*tr->start && !o->resume) TRY(trainer_copy_start(tr));
    JsonWriter w = json_writer(tr->perm, 1);
    config_write_json(tr->cfg, &w, NULL);
    tr->config_json = json_text(&w, NULL);
    tr->data_hash = lead_data_hash(tr->s, tr->perm);
    tr->series = lead_series_text(tr->s, tr->s->T, tr->perm);
    Status st = ranks_alike(tr);
    if (!st.code) st = fits(tr, &r);
    if (!tr->log.fd) {
        if (!o->resume) (void)run_directory_finish(o->out, tr->scratch);   // nothing was begun
        return st;
    }
    const Status closed = run_log_close(&tr->log);
    return st.code ? st : closed;
}

Status lead_train(const LeadConfig *cfg, const TrafficSeries *s, const TrainOptions *o, const Device *dev, Arena *perm,
                  Arena *step, Arena *scratch)
{
    Trainer tr = {.cfg = cfg, .s = s, .o = o, .dev = dev, .perm = perm, .step = step, .scratch = scratch,
                  .pace = pace_new(), .best_val = INFINITY, .start = o->start ? o->start : "",
                  .bits = checkpoint_bits(dev, perm)};
    RunDirectory dir;
    tr.began = trainer_now(&tr);
    tr.save_every = o->checkpoint_seconds > 0 ? o->checkpoint_seconds : 120;
    TRY(config_check(cfg));   // before anything is made on the disk
    TRY(run_directory_open(&dir, o->out, o->resume, perm));
    trainer_note(&tr, dir.note);
    const Status st = train(&tr);
    run_directory_close(&dir);
    return st;
}
