#include "lead/pretrain.h"

#include <math.h>
#include <unistd.h>

#include "autograd/traffic.h"
#include "io/file.h"
#include "lead/distill.h"
#include "lead/general.h"
#include "nn/checkpoint.h"
#include "tensor/clock.h"
#include "tensor/philox.h"
#include "traffic/synth.h"

enum { MAX_STEPS_EACH = 1000 };
static const double LEAST_FIT = 0.3, MOST_FIT = 0.9;   // share of the rows that statistics are fitted on

typedef struct Pretrainer {
    const LeadConfig *cfg;
    const PretrainOptions *o;
    const Device *dev;
    Arena *perm, *network, *step, *scratch;
    ParamSet ps;
    LeadModel model;
    ParamSet teacher_ps;       // with o->teacher
    LeadModel teacher;
    DistillPath path;
    const char *made;          // lead.pretrain of its file
    Optim optim;
    Tape tape;
    int64_t done;              // networks
    double smooth, saved, began;
    const char *unfinished;
} Pretrainer;

// What a network is trained on.
typedef struct World { TrafficSeries s; LeadStats stats; LeadData data; Tensor *windows; int64_t batch; } World;

// ---- files

static const char *progress_text(const Pretrainer *p, Arena *a)
{
    return arena_printf(a, "%lld %d %lld %lld", (long long)p->o->networks, p->o->steps_each, (long long)p->done,
                        (long long)p->optim.step);
}

static Status save(Pretrainer *p, const char *path, bool weights)
{
    const size_t mark = arena_mark(p->scratch);
    const PretrainTeacher *by = p->o->teacher;
    Arena *a = p->scratch;
    JsonWriter w = json_writer(a, 2);
    config_write_json(p->cfg, &w, NULL);
    const SafeMeta meta[] = {
        {"lead.config", json_text(&w, NULL)},
        {"lead.manifest", p->o->manifest ? p->o->manifest : ""},
        {"lead.pretrain", by ? p->made : progress_text(p, a)},
        {"lead.smooth_loss", arena_printf(a, "%.17g", p->smooth)},
        {"lead.distill", by ? arena_printf(a, "%d %d %d %d", by->before, by->calls, by->steps, by->tune_steps) : ""},
        {"lead.distill_manifest", by ? by->manifest : ""},
    };
    const int n = (int)(sizeof meta / sizeof *meta) - (by ? 0 : 2);
    const Status s = (weights ? checkpoint_save_weights : checkpoint_save)(path, &p->ps, meta, n, NULL, 0, a);
    arena_rewind(p->scratch, mark);
    p->saved = clock_seconds();
    return s;
}

static Status load(Pretrainer *p, const SafeFile *f)
{
    enum { NETWORKS, EACH, DONE, STEP, NUMBERS };
    int64_t n[NUMBERS];
    TRY(checkpoint_numbers(f, "lead.pretrain", NUMBERS, 0, INT64_MAX / MAX_STEPS_EACH, n));
    TRY(checkpoint_real(f, "lead.smooth_loss", &p->smooth));
    if (n[NETWORKS] != p->o->networks || n[EACH] != p->o->steps_each)
        return ERROR("%s: want a pretraining of %lld networks, %d steps each, got %lld and %lld", f->path,
                     (long long)p->o->networks, p->o->steps_each, (long long)n[NETWORKS], (long long)n[EACH]);
    if (n[DONE] > n[NETWORKS] || n[STEP] > n[DONE] * n[EACH])
        return ERROR("%s: lead.pretrain: %lld steps on %lld networks cannot be", f->path, (long long)n[STEP],
                     (long long)n[DONE]);
    p->done = n[DONE];
    p->optim.step = n[STEP];
    return checkpoint_load(f, &p->ps);
}

static Status resume(Pretrainer *p)
{
    SafeFile f;
    TRY(checkpoint_open(&f, p->perm, p->unfinished));
    if (f.note && p->o->note) p->o->note(p->o->ctx, f.note);
    const Status s = load(p, &f);
    safetensors_close(&f);
    return s;
}

// Before the long work: nothing is lost, and the result can be written.
static Status check_files(const Pretrainer *p)
{
    if (!p->o->resume && !p->o->teacher && !file_absent(p->unfinished))
        return ERROR("%s: holds an unfinished pretraining; want --resume or another file", p->unfinished);
    return file_try(p->o->out);
}

// ---- one network

static uint64_t network_seed(const Pretrainer *p)
{
    return (uint64_t)p->cfg->seed * 1000003 + (uint64_t)(p->o->first + p->done);
}

// Rows that the statistics of this network are fitted on.
static int64_t fit_rows(const Pretrainer *p, int64_t T)
{
    const float u = philox_unit(philox_u32(network_seed(p), philox_subsequence(SITE_SHUFFLE, 0), 0));
    return (int64_t)((double)T * (LEAST_FIT + (MOST_FIT - LEAST_FIT) * (double)u));
}

// Generates network p->done and puts it on the device.  *fits: there is enough of it to train on.
static Status world_make(Pretrainer *p, World *w, bool *fits)
{
    const LeadConfig *cfg = p->cfg;
    const SynthOptions o = synth_variety(network_seed(p));
    *w = (World){.batch = lead_batch(cfg, (int64_t)o.N * o.N)};
    TRY(synth_generate(&w->s, p->network, &o));
    const int64_t cut = fit_rows(p, w->s.T);
    int64_t *start;
    const int64_t n = traffic_windows(&w->s, p->network, (TrafficRange){cut, w->s.T}, cfg->history, cfg->horizon, 1,
                                      &start);
    *fits = n > 0 && !lead_stats_fit(&w->stats, p->network, &w->s, (TrafficRange){0, cut}, cfg).code;
    if (!*fits) return OK;
    TRY(lead_data_new(&w->data, &p->tape, p->network, &w->stats, cfg, &w->s));
    p->model.shape = p->teacher.shape = lead_stats_shape(&w->stats, cfg);   // the weights suit any
    for (int64_t i = 0; i < n; i++) start[i] += cfg->history - 1;
    w->windows = lead_data_rows(&w->data, p->network, start, n);
    return OK;
}

static Tensor *loss_of(Pretrainer *p, const LeadBatch *b)
{
    const PretrainTeacher *by = p->o->teacher;
    if (!by) return lead_loss(&p->tape, &p->model, b);
    return by->tuning ? distill_crps(&p->tape, &p->model, b, by->calls)
                      : distill_loss(&p->tape, &p->teacher, &p->model, b, &p->path);
}

static double train_step(Pretrainer *p, World *w)
{
    Tape *t = &p->tape;
    const RandomAddress at = {.seed = (uint64_t)p->cfg->seed, .site = SITE_SHUFFLE};
    double loss;
    tape_set_step(t, (uint32_t)(p->o->first * p->o->steps_each + p->optim.step));
    tape_reset(t);
    t->record = true;
    t->training = !p->o->teacher;
    optim_rates(&p->optim, &p->ps);
    paramset_zero_grad(&p->ps);
    Tensor *rows = tape_draw_windows(t, w->windows, w->batch, at, t->clock);
    const LeadBatch b = lead_data_training_batch(t, &w->data, rows, lead_data_factor(t, &w->data));
    Tensor *l = loss_of(p, &b);
    tape_backward(t, l);
    optim_update(&p->optim, t, &p->ps);
    tensor_get_f64(l, &loss, 1);
    p->optim.step++;
    return loss;
}

static void report(const Pretrainer *p, const World *w, double loss)
{
    const PretrainReport r = {.network = p->done, .networks = p->o->networks, .step = p->optim.step, .N = w->s.N,
                              .slot_seconds = w->s.slot_seconds, .rows = w->s.T, .loss = loss,
                              .smooth_loss = p->smooth, .seconds = clock_seconds() - p->began};
    if (p->o->report) p->o->report(p->o->ctx, &r);
}

static Status train_network(Pretrainer *p)
{
    const size_t mark = arena_mark(p->network);
    World w;
    bool fits;
    double sum = 0;
    tape_reset(&p->tape);
    TRY(world_make(p, &w, &fits));
    for (int i = 0; fits && i < p->o->steps_each; i++) {
        const double loss = train_step(p, &w);
        if (!isfinite(loss)) return ERROR("pretraining: the loss is %g at step %lld, network %lld",
                                          loss, (long long)p->optim.step - 1, (long long)p->done);
        sum += loss / p->o->steps_each;
    }
    p->done++;
    if (fits) {
        p->smooth = p->smooth > 0 ? 0.98 * p->smooth + 0.02 * sum : sum;
        report(p, &w, sum);
    }
    tape_reset(&p->tape);
    arena_rewind(p->network, mark);
    return OK;
}

// ---- all

static Status load_teacher(Pretrainer *p, const SafeFile *f)
{
    const char *made;
    TRY(checkpoint_meta(f, "lead.pretrain", &made));
    p->made = arena_printf(p->perm, "%s", made);
    TRY(checkpoint_load(f, &p->teacher_ps));
    return checkpoint_load_start(f, &p->ps);
}

static Status open_teacher(Pretrainer *p, const LeadShape *shape)
{
    SafeFile f;
    const PretrainTeacher *by = p->o->teacher;
    paramset_init(&p->teacher_ps, p->perm, p->dev, (uint64_t)p->cfg->seed, true);
    TRY(lead_model_new(&p->teacher, &p->teacher_ps, p->cfg, shape, p->scratch));
    p->path = distill_path(&p->teacher.schedule, by->before, by->calls, p->perm);
    TRY(checkpoint_open(&f, p->perm, by->file));
    const Status s = load_teacher(p, &f);
    safetensors_close(&f);
    return s;
}

static Status setup(Pretrainer *p)
{
    const LeadConfig *cfg = p->cfg;
    if (cfg->model)
        return USAGE_ERROR("pretraining: wants model lead, got %s: its weights belong to one network",
                           rival_names[cfg->model]);
    if (cfg->flow_identity != IDENTITY_STATISTICS || cfg->denoiser != DENOISER_FLOW ||
        cfg->conditions != CONDITIONS_NONE || cfg->base != BASE_RIDGE)
        return USAGE_ERROR("pretraining: wants flow_identity statistics, denoiser flow, conditions none, base ridge");
    if (p->o->networks < 1 || p->o->steps_each < 1 || p->o->steps_each > MAX_STEPS_EACH)
        return USAGE_ERROR("pretraining: want at least 1 network and 1 .. %d steps each, got %lld and %d",
                           MAX_STEPS_EACH, (long long)p->o->networks, p->o->steps_each);
    const LeadStats any = {.N = 2, .F = 4, .Kt = cfg->horizon};   // no weight depends on N
    const LeadShape shape = lead_stats_shape(&any, cfg);
    paramset_init(&p->ps, p->perm, p->dev, (uint64_t)cfg->seed, false);
    TRY(lead_model_new(&p->model, &p->ps, cfg, &shape, p->scratch));
    p->optim = (Optim){.lr = cfg->lr, .beta1 = OPTIM_BETA1, .beta2 = OPTIM_BETA2, .eps = OPTIM_EPS,
                       .decay = cfg->decay, .clip = cfg->clip, .ema = cfg->ema, .warmup = cfg->warmup,
                       .total = p->o->networks * p->o->steps_each, .floor = OPTIM_FLOOR};
    tape_init(&p->tape, p->dev, p->step, p->scratch);
    p->tape.seed = (uint64_t)cfg->seed;
    p->unfinished = arena_printf(p->perm, "%s.unfinished", p->o->out);
    TRY(check_files(p));
    if (p->o->teacher) {
        p->optim.decay = 0;   // the heads get no gradient and must stay as they are
        p->optim.warmup = p->optim.total / 20;
        TRY(open_teacher(p, &shape));
    }
    return p->o->resume ? resume(p) : OK;
}

Status lead_pretrain(const LeadConfig *cfg, const PretrainOptions *o, const Device *dev, Arena *perm, Arena *network,
                     Arena *step, Arena *scratch)
{
    Pretrainer p = {.cfg = cfg, .o = o, .dev = dev, .perm = perm, .network = network, .step = step,
                    .scratch = scratch, .began = clock_seconds()};
    const double every = o->checkpoint_seconds > 0 ? o->checkpoint_seconds : 120;
    TRY(setup(&p));
    p.saved = p.began;
    while (p.done < o->networks && !(o->stop && *o->stop)) {
        TRY(train_network(&p));
        if (clock_seconds() - p.saved > every && p.done < o->networks && !o->teacher)
            TRY(save(&p, p.unfinished, false));
    }
    if (p.done < o->networks) return o->teacher ? OK : save(&p, p.unfinished, false);
    TRY(save(&p, o->out, true));
    unlink(p.unfinished);
    return OK;
}
