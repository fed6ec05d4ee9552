#include "lead/distill_general.h"

#include "io/file.h"
#include "lead/general.h"
#include "lead/pretrain.h"

static const double EMA = 0.99;    // that of pretraining would still hold the teacher at the end of a stage
enum { STEPS_EACH = 4, FIRST = 100000 };   // the first network that no pretraining of the default length has seen

typedef struct Stages {
    const DistillOptions *o;
    const Device *dev;
    Arena *perm, *network, *step, *scratch;
    LeadConfig cfg;
    int64_t next;              // number of the next network
    int calls;                 // of the stage, for the reports
    bool tuning;
} Stages;

static void report(void *ctx, const PretrainReport *r)
{
    const Stages *d = ctx;
    const DistillReport out = {false, d->tuning, d->calls, r->network * STEPS_EACH, r->networks * STEPS_EACH, r->loss,
                               r->smooth_loss};
    if (d->o->report) d->o->report(d->o->ctx, &out);
}

// `networks` networks of a stage, from the weights in t->file to `to`.
static Status train(Stages *d, const PretrainTeacher *t, const char *manifest, const char *to, int steps)
{
    const int64_t networks = (steps + STEPS_EACH - 1) / STEPS_EACH;
    const PretrainOptions p = {.out = to, .manifest = manifest, .teacher = t, .first = d->next, .networks = networks,
                               .steps_each = STEPS_EACH, .report = report, .ctx = d, .stop = d->o->stop};
    d->calls = t->calls, d->tuning = t->tuning, d->next += networks;
    return lead_pretrain(&d->cfg, &p, d->dev, d->perm, d->network, d->step, d->scratch);
}

static Status stage(Stages *d, int before, int calls, const char *from, const char *manifest, const char *to)
{
    const DistillOptions *o = d->o;
    const bool tuned = calls <= DISTILL_TUNED && o->tune_steps;
    PretrainTeacher t = {.file = from, .before = before, .calls = calls, .steps = o->steps,
                         .tune_steps = tuned ? o->tune_steps : 0, .manifest = o->manifest ? o->manifest : "{}"};
    d->cfg.sampler = SAMPLER_DDIM, d->cfg.eta = 0, d->cfg.sample_steps = calls;
    TRY(train(d, &t, manifest, to, o->steps));
    if (!tuned || (o->stop && *o->stop)) return OK;
    t.file = to, t.tuning = true;
    return train(d, &t, manifest, to, o->tune_steps);
}

static const char *file_of(const Stages *d, int i)
{
    const DistillOptions *o = d->o;
    return i + 1 == o->n_calls ? o->out : arena_printf(d->scratch, "%s.calls-%d", o->out, o->calls[i]);
}

static Status stages(Stages *d, const char *manifest, int before)
{
    const DistillOptions *o = d->o;
    const char *from = o->model;
    for (int i = 0; i < o->n_calls; i++) TRY(file_try(file_of(d, i)));   // before the long work
    for (int i = 0; i < o->n_calls && !(o->stop && *o->stop); i++) {
        const size_t mark = arena_mark(d->perm);
        const char *to = file_of(d, i);
        TRY(stage(d, before, o->calls[i], from, manifest, to));
        arena_rewind(d->perm, mark);
        from = to, before = o->calls[i];
    }
    return OK;
}

Status lead_distill_general(const DistillOptions *o, const Device *dev, Arena *perm, Arena *network, Arena *step,
                            Arena *scratch)
{
    Stages d = {.o = o, .dev = dev, .perm = perm, .network = network, .step = step, .scratch = scratch, .next = FIRST};
    int calls;
    SafeFile f;
    const char *manifest;
    TRY(lead_general_config(&d.cfg, &calls, o->model, scratch));
    TRY(distill_check_calls(o, o->model, calls, d.cfg.diffusion_steps));
    TRY(checkpoint_open(&f, perm, o->model));
    const Status s = checkpoint_meta(&f, "lead.manifest", &manifest);
    if (!s.code) manifest = arena_printf(perm, "%s", manifest);
    safetensors_close(&f);
    TRY(s);
    d.cfg.lr = o->lr > 0 ? o->lr : d.cfg.lr / 4;
    d.cfg.ema = EMA;
    return stages(&d, manifest, o->teacher_calls);
}
