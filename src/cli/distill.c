// lead distill
#include "lead/distill.h"

#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "cli/verbs.h"
#include "lead/record.h"

enum { TEACHER_STEPS = 16 };

typedef struct Values {
    DataOptions data;
    const char *model, *llm, *to, *out;
    int64_t teacher_steps, steps, tune_steps, batch;
    double rate;
    bool no_final;
} Values;

static const Option table[] = {
    DATA_OPTIONS(Values),
    {"model", OPT_TEXT, offsetof(Values, model), "RUN", "finished run directory of lead train", 0, 0},
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
    {"out", OPT_TEXT, offsetof(Values, out), "DIR", "run directory of the last stage; DIR/calls-N: of the others", 0,
     0},
};

static void defaults(void *values)
{
    *(Values *)values = (Values){.to = "4,2,1", .steps = 400, .batch = 8};
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

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    if (!v->model || !v->out) return USAGE_ERROR("distill: wants --model RUN and --out DIR");
    if (!strcmp(v->model, "pretrained"))
        return USAGE_ERROR("--model: want a run of lead train, got weights that suit any network: these cannot be "
                           "distilled yet");
    LeadRecord r;
    TrafficSeries s;
    Progress bar = progress_new();
    DistillOptions o = {.model = v->model, .llm = v->llm, .out = v->out, .teacher_calls = (int)v->teacher_steps,
                        .steps = (int)v->steps, .tune_steps = (int)v->tune_steps, .batch = (int)v->batch,
                        .final = !v->no_final, .manifest = manifest_json(cli, cli->perm), .report = report,
                        .calibrated = calibrated, .ctx = &bar, .stop = cli->stop};
    TRY(parse_calls(v->to, &o));
    TRY(lead_record_open(&r, cli->perm, v->model));
    if (r.note) fprintf(stderr, "note: %s\n", r.note);
    TRY(run_recall_data(&v->data, &r, cli->perm));
    if (!o.teacher_calls) o.teacher_calls = r.calls ? r.calls : TEACHER_STEPS;
    o.lr = v->rate > 0 ? v->rate : r.cfg.lr / 4;
    TRY(data_read(cli, &v->data, &s));
    TRY(run_match_nodes(&s, r.nodes, r.file, cli->perm));
    TRY(lead_distill(&o, &s, &cli->device, cli->perm, cli->step, cli->scratch));
    if (*cli->stop) cli_say("stopped; stages that are finished are runs in %s, the others are left out", v->out);
    else cli_say("%s forecasts in %d network call%s", v->out, o.calls[o.n_calls - 1],
                 o.calls[o.n_calls - 1] > 1 ? "s" : "");
    return OK;
}

const Verb verb_distill = {
    .name = "distill",
    .summary = "Makes of a trained run one that forecasts in a few network calls per sample, or in one.",
    .text = "Each stage halves the calls, or divides them by more: a step of the new network is trained to lead where\n"
            "several steps of the one before lead (progressive distillation).  The data are those of the run.",
    OPTIONS(table), .size = sizeof(Values), .defaults = defaults, .run = run, .stops = true,
};
