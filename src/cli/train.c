// lead train
#include <string.h>

#include "cli/profile.h"
#include "cli/run.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "lead/general.h"
#include "nn/run_directory.h"

typedef struct Values {
    DataOptions data;
    const char *out, *update, *from;
    bool resume, allow_other_bits, final, no_final, profile;
    double checkpoint_seconds;
} Values;

static const Option table[] = {
    DATA_OPTIONS(Values),
    {"out", OPT_TEXT, offsetof(Values, out), "DIR",
     "run directory: receives best and final weights, log, configuration, and a checkpoint until it is finished", 0, 0},
    {"resume", OPT_FLAG, offsetof(Values, resume), NULL,
     "resume the run in DIR, which knows its data and configuration; gives the same bits as if it had never stopped", 0,
     0},
    {"allow-other-bits", OPT_FLAG, offsetof(Values, allow_other_bits), NULL,
     "resume although compiler, instruction set or --exact are others than before, and so the bits to come", 0, 0},
    {"update", OPT_TEXT, offsetof(Values, update), "RUN",
     "begin with the best weights of RUN (copied) and train on --data, its series grown by new rows: a quarter of the "
     "steps, unless --config or --steps say how many", 0, 0},
    {"from", OPT_TEXT, offsetof(Values, from), "FILE",
     "begin with weights of lead pretrain, or `pretrained` for those that come with the program: a third of the steps; "
     "or with `nothing` (default: pretrained where preset small has a short series, else nothing)", 0, 0},
    {"final", OPT_FLAG, offsetof(Values, final), NULL,
     "after training, fit once more on all rows, for forecasts; as many steps as the best had [on]", 0, 0},
    {"no-final", OPT_FLAG, offsetof(Values, no_final), NULL,
     "leave that out: half the time, for a run that is only evaluated", 0, 0},
    {"profile", OPT_FLAG, offsetof(Values, profile), NULL,
     "at the end print time, GFLOP/s, GB/s and % of ceiling of each op", 0, 0},
    {"checkpoint-seconds", OPT_NUMBER, offsetof(Values, checkpoint_seconds), "S", "seconds between checkpoints [120]",
     0, 1e6},
};

static void report(void *ctx, const TrainReport *r)
{
    char text[160];
    snprintf(text, sizeof text, "%sloss %.4f (smooth %.4f) lr %.2e", r->final ? "final fit: " : "", r->loss,
             r->smooth_loss, r->lr);
    progress_show(ctx, r->step, r->total, r->eta_seconds, text, r->step == r->total);
    if (r->val_loss == r->val_loss)
        fprintf(stderr, "%s  step %lld of %lld: validation loss %.5f\n", ((Progress *)ctx)->tty ? "\n" : "",
                (long long)r->step, (long long)r->total, r->val_loss);
}

static void calibrated(void *ctx, const Calibration *c)
{
    (void)ctx;
    run_say_calibration(c);
}

static void note(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "note: %s\n", text);
}

static void ended(void *ctx, const TrainEnd *e) { run_say_end(ctx, e); }

// ---- --resume: the run says what was given when it was started

static Status recall(Cli *cli, Values *v, const LeadRecord *r)
{
    LeadConfig c = r->cfg;
    TRY(options_config(cli, &c, !*r->start));   // where it began with weights, they and not the preset say what it is
    const ConfigKey *k = config_difference(&c, &r->cfg);
    char given[1100], then[1100];
    if (k)
        return USAGE_ERROR("--%s %s: a resumed run keeps its configuration, %s", k->name, config_text(&c, k, given),
                           config_text(&r->cfg, k, then));
    const bool final = r->final.end > r->final.begin;
    if (v->final && !final) return USAGE_ERROR("--final: the run was started with --no-final");
    if (v->no_final && final) return USAGE_ERROR("--no-final: the run was started with the final fit");
    v->no_final = !final;
    cli->config = c;
    return run_recall_data(&v->data, r, cli->perm);
}

static void say_finished(const LeadRecord *r, const char *dir)
{
    if (r->calls) {
        cli_say("%s: distilled from a finished run; nothing is left to resume", dir);
        return;
    }
    cli_say("%s: the run is finished (best step %lld); nothing is left to resume.  "
            "lead train --update %s goes on from it when there are new rows", dir, (long long)r->best_step, dir);
}

// ---- --update: the network of a run, the rows of a longer series

enum { UPDATE_PART = 4 };   // an update trains for a quarter of what the run needed

static void say_update(const LeadConfig *c, const Values *v, const LeadRecord *r)
{
    char minutes[40] = "no limit of time";
    if (c->minutes > 0) snprintf(minutes, sizeof minutes, "at most %g minutes", c->minutes);
    fprintf(stderr, "update of %s, whose best step was %lld: at most %d steps, %s, learning rate %g\n", v->update,
            (long long)r->best_step, c->steps, minutes, c->lr);
}

static Status update(Cli *cli, const Values *v, const LeadRecord *r)
{
    LeadConfig from = r->cfg, c;
    if (r->calls)   // training would undo it: the loss is that of a network for every time
        return USAGE_ERROR("--update: %s was distilled to %d network call%s; want the run that it was made of, then "
                           "lead distill of its update", v->update, r->calls, r->calls > 1 ? "s" : "");
    if (!*r->start) {   // else r is an update itself, and this one takes as long
        from.steps = (int)((r->best_step + UPDATE_PART - 1) / UPDATE_PART);
        if (from.steps < 1) from.steps = 1;
        from.minutes /= UPDATE_PART;
    }
    c = from;
    TRY(options_config(cli, &c, true));
    // these say how it is trained, the others what it is
    from.steps = c.steps, from.warmup = c.warmup, from.minutes = c.minutes, from.patience = c.patience;
    from.lr = c.lr, from.seed = c.seed;
    const ConfigKey *k = config_difference(&c, &from);
    char given[1100], then[1100];
    if (k)
        return USAGE_ERROR("--%s %s: an update keeps the configuration of %s, %s", k->name, config_text(&c, k, given),
                           v->update, config_text(&r->cfg, k, then));
    cli->config = c;
    return OK;
}

// ---- --from: weights that suit any network

enum { FROM_PART = 3 };   // such a start needs a third of the steps

static Status from(Cli *cli, Values *v)
{
    if (strcmp(v->from, "pretrained") == 0) v->from = file_bundled(GENERAL_TEACHER, cli->perm);
    const LeadConfig preset = cli->config;   // says how it is trained, the weights what it is
    LeadConfig c;
    int calls;
    TRY(lead_general_config(&c, &calls, v->from, cli->scratch));
    if (calls)   // as for --update
        return USAGE_ERROR("--from: %s was distilled to %d network call%s; want the weights that it was made of",
                           v->from, calls, calls > 1 ? "s" : "");
    c.steps = (preset.steps + FROM_PART - 1) / FROM_PART;
    c.batch = preset.batch, c.batch_flows = preset.batch_flows, c.ema = preset.ema, c.patience = preset.patience;
    c.lr = preset.lr, c.warmup = preset.warmup, c.minutes = preset.minutes, c.seed = preset.seed;
    TRY(options_config(cli, &c, false));
    if (c.model) return USAGE_ERROR("--from: %s holds weights of LEAD; want model lead, got %s", v->from,
                                    rival_names[c.model]);
    cli->config = c;
    cli_say("begins with %s: %d steps", v->from, c.steps);
    return OK;
}

// Preset small with fewer rows to train on begins with the weights that come with the program [D]: what it learns of so
// few rows from nothing may be no better than a naive forecast (docs/measured.md).
enum { FEW_ROWS = 4000 };

// Whether c is preset small but for how it is trained and how many paths it draws.
static bool is_small(const LeadConfig *c)
{
    LeadConfig small;
    if (config_preset(&small, "small").code) return false;
    small.steps = c->steps, small.warmup = c->warmup, small.minutes = c->minutes, small.patience = c->patience;
    small.lr = c->lr, small.seed = c->seed, small.batch = c->batch, small.batch_flows = c->batch_flows;
    small.ema = c->ema, small.samples = c->samples, small.sample_steps = c->sample_steps;
    return !config_difference(c, &small);
}

// What the training begins with, where it is not another run: v->from, if anything.
static Status choose_start(Cli *cli, Values *v, const TrafficSplits *split)
{
    const int64_t rows = split->train.end - split->train.begin;
    if (!v->from && rows < FEW_ROWS && is_small(&cli->config)) {
        v->from = "pretrained";
        cli_say("%lld rows to train on, fewer than %d: begins as --from pretrained (--from nothing: from nothing)",
                (long long)rows, FEW_ROWS);
    }
    if (v->from && strcmp(v->from, "nothing") == 0) v->from = NULL;
    return v->from ? from(cli, v) : OK;
}

// The rows that r was trained on must not be among those that validate or score the update.
static Status check_grown(const LeadRecord *r, const Values *v, const TrafficSeries *s, TrafficRange train, Arena *a)
{
    bool known;
    if (train.end < r->train.end)
        return ERROR("data: want the series of %s grown by new rows, it was trained on rows 0..%lld; of the %lld rows "
                     "here only 0..%lld are for training", v->update, (long long)r->train.end - 1, (long long)s->T,
                     (long long)train.end - 1);
    TRY(lead_record_grown(r, s, &known, a));
    if (!known)
        note(NULL, arena_printf(a, "%s does not hold what it was trained on: whether these rows continue it cannot be "
                                "told", r->file));
    return OK;
}

// Which windows of base ridge-online have no fit of their own.
static void note_first_fit(const LeadConfig *c, const TrafficSeries *s, TrafficRange train, Arena *a)
{
    const int64_t begin = ridge_online_begin(s, a, c->horizon, c->ridge_half_life);
    fprintf(stderr, "base ridge-online: the ridge is fitted again for each day; windows of rows 0..%lld, before the "
            "first daily fit, use the fit of rows %lld..%lld\n", (long long)begin - 1, (long long)train.begin,
            (long long)train.end - 1);
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    if (!v->out) return USAGE_ERROR("train: wants --out DIR");
    if (v->final && v->no_final) return USAGE_ERROR("--final: want one of --final and --no-final, got both");
    if (v->resume && v->update) return USAGE_ERROR("--update: want one of --update and --resume, got both");
    if (v->from && (v->resume || v->update))
        return USAGE_ERROR("--from: want one of --from, --update and --resume, got two");
    if (v->allow_other_bits && !v->resume) return USAGE_ERROR("--allow-other-bits: wants --resume");
    LeadRecord r = {.file = NULL};
    RunState state;
    TRY(run_directory_state(v->out, &state, cli->scratch));
    if (v->resume || v->update) TRY(lead_record_open(&r, cli->perm, v->resume ? v->out : v->update));
    if (v->resume) TRY(recall(cli, v, &r));
    if (v->update) TRY(update(cli, v, &r));
    if (v->resume && state == RUN_FINISHED) {
        say_finished(&r, v->out);
        return OK;
    }
    TrafficSeries s;
    TRY(data_read(cli, &v->data, &s));
    if (r.file) TRY(run_match_series(&s, r.nodes, r.zone, r.file, cli->perm));
    const TrafficSplits split = traffic_splits(s.T, PROTOCOL_CLEAN);
    if (!r.file) TRY(choose_start(cli, v, &split));
    if (v->update) {
        TRY(check_grown(&r, v, &s, split.train, cli->perm));
        say_update(&cli->config, v, &r);
    }
    if (lead_refits_ridge(&cli->config)) note_first_fit(&cli->config, &s, split.train, cli->scratch);
    Progress bar = progress_new();
    Profile *profile = v->profile ? profile_new(cli) : NULL;
    const TrainOptions o = {.out = v->out,
                            .resume = v->resume,
                            .other_bits = v->allow_other_bits,
                            .start = v->from ? v->from : v->update,
                            .manifest = manifest_json(cli, cli->perm),
                            .data_path = v->data.data,
                            .train = split.train,
                            .val = split.val,
                            .final = {0, v->no_final ? 0 : s.T},
                            .checkpoint_seconds = v->checkpoint_seconds,
                            .report = report,
                            .calibrated = calibrated,
                            .note = note,
                            .ended = ended,
                            .ctx = &bar,
                            .stop = cli->stop,
                            .profile = profile};
    TRY(lead_train(&cli->config, &s, &o, &cli->device, cli->perm, cli->step, cli->scratch));
    if (profile) profile_print(profile);
    TRY(run_directory_state(v->out, &state, cli->scratch));
    if (state == RUN_UNFINISHED)
        cli_say("stopped; go on with: lead train --out %s --resume", v->out);
    return OK;
}

const Verb verb_train = {
    .name = "train",
    .summary = "Trains LEAD on a traffic series: on the first 70 % of the rows, validating on the next 15 %.",
    .text = "Then, for forecasts, it fits the same number of steps on all rows (final.safetensors); lead eval never\n"
            "uses that fit.",
    OPTIONS(table), .size = sizeof(Values), .preset = "small", .run = run, .ranks = true, .stops = true,
};
