// lead distill
#include "lead/distill.h"

#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "lead/distill_general.h"
#include "lead/general.h"
#include "lead/record.h"

enum { TEACHER_STEPS = 16, BATCH = 8 };

typedef struct Values {
    DataOptions data;
    const char *model, *llm, *to, *out;
    int64_t teacher_steps, steps, tune_steps, batch;
    double rate;
    bool no_final;
} Values;

static const Option table[] = {
    DATA_OPTIONS(Values),
    {"model", OPT_TEXT, offsetof(Values, model), "RUN",
     "finished run directory of lead train; or `pretrained`, or a file of lead pretrain", 0, 0},
    {"llm", OPT_TEXT, offsetof(Values, llm), "DIR", "where the run's LLM is now (default: as recorded)", 0, 0},
    {"to", OPT_TEXT, offsetof(Values, to), "N,..",
     "network calls per sample of each stage, each a divisor of the one before; the last is the result [4,2,1]", 0, 0},
    {"teacher-steps", OPT_INT, offsetof(Values, teacher_steps), "N",
     "steps of ddim by which RUN teaches the first stage [16; a distilled run: its own]", 1, 10000},
    {"steps", OPT_INT, offsetof(Values, steps), "N", "training steps of each stage [400]", 1, 1e8},
    {"tune-steps", OPT_INT, offsetof(Values, tune_steps), "N",
     "then, for 2 and 1 calls, steps on the CRPS of decoded forecasts; 0 = none [0]", 0, 1e8},
    {"batch", OPT_INT, offsetof(Values, batch), "N", "windows of a step [8]", 1, 65536},
    {"learning-rate", OPT_NUMBER, offsetof(Values, rate), "LR",
     "peak learning rate (default: a quarter of the run's)", 0, 1},
    {"no-final", OPT_FLAG, offsetof(Values, no_final), NULL,
     "leave out the run's final weights: half the time, for a run that is only evaluated", 0, 0},
    {"out", OPT_TEXT, offsetof(Values, out), "DIR",
     "run directory of the last stage; DIR/calls-N: of the others (weights for any network: files)", 0, 0},
};

static void defaults(void *values)
{
    *(Values *)values = (Values){.to = "4,2,1", .steps = 400};
}

static Status parse_calls(const char *text, DistillOptions *o)
{
    const char *p = text;
    char *end = NULL;
    do {
        const long v = strtol(p, &end, 10);
        if (end == p || (*end && *end != ',') || v < 1 || v > 10000 || o->n_calls == DISTILL_STAGES)
            return USAGE_ERROR("--to: want up to %d falling numbers of network calls such as 4,2,1, got '%s'",
                               DISTILL_STAGES, text);
        o->calls[o->n_calls++] = (int)v;
        p = end + 1;
    } while (*end);
    return OK;
}

static void report(void *ctx, const DistillReport *r)
{
    char text[160];
    snprintf(text, sizeof text, "%s%d call%s, %s: loss %.5f (smooth %.5f)", r->final ? "final fit, " : "", r->calls,
             r->calls > 1 ? "s" : "", r->tuning ? "CRPS" : "distillation", r->loss, r->smooth_loss);
    progress_show(ctx, r->step, r->total, NAN, text, r->step == r->total);
}

static void calibrated(void *ctx, int calls, const Calibration *c)
{
    (void)ctx;
    fprintf(stderr, "%d call%s: ", calls, calls > 1 ? "s" : "");
    run_say_calibration(c);
}

static Status distill_run(Cli *cli, Values *v, DistillOptions *o)
{
    LeadRecord r;
    TrafficSeries s;
    if (!o->batch) o->batch = BATCH;
    TRY(lead_record_open(&r, cli->perm, v->model));
    if (r.note) fprintf(stderr, "note: %s\n", r.note);
    TRY(run_recall_data(&v->data, &r, cli->perm));
    if (!o->teacher_calls) o->teacher_calls = r.calls ? r.calls : TEACHER_STEPS;
    if (!(o->lr > 0)) o->lr = r.cfg.lr / 4;
    TRY(data_read(cli, &v->data, &s));
    TRY(run_match_series(&s, r.nodes, r.zone, r.file, cli->perm));
    return lead_distill(o, &s, &cli->device, cli->perm, cli->step, cli->scratch);
}

static bool any_given(const DataOptions *d)
{
    const char *const text[] = {d->data, d->times, d->gaps, d->invalid, d->unit, d->tz, d->slot, d->aggregate, d->fill,
                                d->columns, d->sampling, d->map, d->absent, d->capacity};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (text[i]) return true;
    return d->slot_seconds || d->calendar_shift || d->keep_all || d->drop_suspicious;
}

// Weights that suit any network: on traffic that is generated.
static Status distill_general(Cli *cli, const Values *v, DistillOptions *o)
{
    LeadConfig cfg;
    int calls;
    if (any_given(&v->data) || v->llm || v->batch || v->no_final)
        return USAGE_ERROR("distill: weights that suit any network are distilled on synthetic traffic, as they were "
                           "made; want no options of data, no --llm, --batch, --no-final");
    if (!strcmp(o->model, "pretrained")) o->model = file_bundled(GENERAL_TEACHER, cli->perm);
    TRY(lead_general_config(&cfg, &calls, o->model, cli->scratch));
    if (!o->teacher_calls) o->teacher_calls = calls ? calls : TEACHER_STEPS;
    Arena *network = arena_new("network", (size_t)1 << 38, NULL);
    const Status s = lead_distill_general(o, &cli->device, cli->perm, network, cli->step, cli->scratch);
    arena_delete(network);
    return s;
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    if (!v->model || !v->out) return USAGE_ERROR("distill: wants --model RUN and --out DIR");
    const char *general;
    Progress bar = progress_new();
    DistillOptions o = {.model = v->model, .llm = v->llm, .out = v->out, .teacher_calls = (int)v->teacher_steps,
                        .steps = (int)v->steps, .tune_steps = (int)v->tune_steps, .batch = (int)v->batch,
                        .lr = v->rate, .final = !v->no_final, .manifest = manifest_json(cli, cli->perm),
                        .report = report, .calibrated = calibrated, .ctx = &bar, .stop = cli->stop};
    TRY(parse_calls(v->to, &o));
    TRY(run_is_general(cli, &(RunOptions){.model = v->model}, &general));
    TRY(general ? distill_general(cli, v, &o) : distill_run(cli, v, &o));
    if (*cli->stop) cli_say("stopped; stages that are finished are kept, the others are left out");
    else cli_say("%s forecasts in %d network call%s", v->out, o.calls[o.n_calls - 1],
                 o.calls[o.n_calls - 1] > 1 ? "s" : "");
    return OK;
}

const Verb verb_distill = {
    .name = "distill",
    .summary = "Makes of a trained run one that forecasts in a few network calls per sample, or in one.",
    .text = "Each stage halves the calls, or divides them by more: a step of the new network is trained to lead where\n"
            "several steps of the one before lead (progressive distillation).  The data are those of the run; weights\n"
            "that suit any network are distilled on synthetic traffic.  data/pretrained/model.safetensors was made by\n"
            "lead distill --model pretrained --steps 200 (its stage of 2 calls).",
    OPTIONS(table), .size = sizeof(Values), .defaults = defaults, .run = run, .stops = true,
};
