// lead train
#include "cli/profile.h"
#include "cli/verbs.h"
#include "lead/train.h"

typedef struct Values { DataOptions data; const char *out; bool resume, profile; double checkpoint_seconds; } Values;

static const Option table[] = {
    DATA_OPTIONS(Values),
    {"out", OPT_TEXT, offsetof(Values, out), "DIR",
     "run directory: receives checkpoint, best model, log, configuration", 0, 0},
    {"resume", OPT_FLAG, offsetof(Values, resume), NULL,
     "resume from the checkpoint in DIR; gives the same bits as a run that never stopped", 0, 0},
    {"profile", OPT_FLAG, offsetof(Values, profile), NULL,
     "at the end print time, GFLOP/s, GB/s and % of ceiling of each op", 0, 0},
    {"checkpoint-seconds", OPT_NUMBER, offsetof(Values, checkpoint_seconds), "S", "seconds between checkpoints [120]",
     0, 1e6},
};

static void report(void *ctx, const TrainReport *r)
{
    char text[160];
    snprintf(text, sizeof text, "loss %.4f (smooth %.4f) lr %.2e", r->loss, r->smooth_loss, r->lr);
    progress_show(ctx, r->step, r->total, r->eta_seconds, text, r->step == r->total);
    if (r->val_loss == r->val_loss)
        fprintf(stderr, "%s  step %lld of %lld: validation loss %.5f\n", ((Progress *)ctx)->tty ? "\n" : "",
                (long long)r->step, (long long)r->total, r->val_loss);
}

static void calibrated(void *ctx, const Calibration *c)
{
    (void)ctx;
    if (!c->windows) fprintf(stderr, "samples: too few validation windows to calibrate them\n");
    else
        fprintf(stderr, "calibrated on %d validation windows: samples stretched by %.2f .. %.2f (CRPS %.5f -> %.5f), "
                "point forecast %.0f .. %.0f %% of the way from the base to the mean head\n", c->windows, c->least,
                c->most, c->before, c->after, 100 * c->least_weight, 100 * c->most_weight);
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    if (!v->out) return USAGE_ERROR("lead train: wants --out DIR");
    TrafficSeries s;
    TRY(data_read(cli, &v->data, &s));
    const TrafficSplits split = traffic_splits(s.T, PROTOCOL_CLEAN);
    Progress bar = progress_new();
    Profile *profile = v->profile ? profile_new(cli) : NULL;
    const TrainOptions o = {.out = v->out,
                            .resume = v->resume,
                            .manifest = manifest_json(cli, cli->perm),
                            .data_path = v->data.data ? v->data.data : cli->positional,
                            .train = split.train,
                            .val = split.val,
                            .checkpoint_seconds = v->checkpoint_seconds,
                            .report = report,
                            .calibrated = calibrated,
                            .ctx = &bar,
                            .stop = cli->stop,
                            .profile = profile};
    TRY(lead_train(&cli->config, &s, &o, &cli->device, cli->perm, cli->step, cli->scratch));
    if (profile) profile_print(profile);
    if (*cli->stop) fprintf(stderr, "stopped; go on with: lead train ... --out %s --resume\n", v->out);
    return OK;
}

const Verb verb_train = {
    .name = "train",
    .summary = "Trains LEAD on a traffic series: on the first 70 % of the rows, validating on the next 15 %.",
    OPTIONS(table), .size = sizeof(Values), .preset = "small", .run = run, .stops = true,
};
