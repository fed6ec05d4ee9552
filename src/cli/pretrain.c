// lead pretrain
#include "cli/profile.h"
#include "cli/run.h"
#include "cli/verbs.h"
#include "lead/pretrain.h"

typedef struct Values {
    const char *out;
    int64_t networks, steps_each;
    bool resume;
    double checkpoint_seconds;
} Values;

static const Option table[] = {
    {"out", OPT_TEXT, offsetof(Values, out), "FILE", "file of weights to write, .safetensors", 0, 0},
    {"networks", OPT_INT, offsetof(Values, networks), "N", "synthetic networks to train on [2000]", 1, 1e9},
    {"steps-each", OPT_INT, offsetof(Values, steps_each), "N", "training steps on each [4]", 1, 1000},
    {"resume", OPT_FLAG, offsetof(Values, resume), NULL,
     "go on with FILE.unfinished; gives the same bits as if it had never stopped", 0, 0},
    {"checkpoint-seconds", OPT_NUMBER, offsetof(Values, checkpoint_seconds), "S", "seconds between checkpoints [120]",
     0, 1e6},
};

static void defaults(void *values) { *(Values *)values = (Values){.networks = 2000, .steps_each = 4}; }

static void report(void *ctx, const PretrainReport *r)
{
    char text[200];
    snprintf(text, sizeof text, "%d nodes, %lld slots of %d s: loss %.4f (smooth %.4f)", r->N, (long long)r->rows,
             r->slot_seconds, r->loss, r->smooth_loss);
    const double each = r->seconds / (double)r->network;
    progress_show(ctx, r->network, r->networks, each * (double)(r->networks - r->network), text,
                  r->network == r->networks);
}

static void note(void *ctx, const char *text)
{
    (void)ctx;
    cli_say("note: %s", text);
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    if (!v->out) return USAGE_ERROR("lead pretrain: wants --out FILE");
    Progress bar = progress_new();
    Arena *network = arena_new("network", (size_t)1 << 38, NULL);
    const PretrainOptions o = {.out = v->out, .resume = v->resume, .manifest = manifest_json(cli, cli->perm),
                               .networks = v->networks, .steps_each = (int)v->steps_each,
                               .checkpoint_seconds = v->checkpoint_seconds, .report = report, .note = note,
                               .ctx = &bar, .stop = cli->stop};
    const Status s = lead_pretrain(&cli->config, &o, &cli->device, cli->perm, network, cli->step, cli->scratch);
    arena_delete(network);
    TRY(s);
    if (*cli->stop) fprintf(stderr, "stopped; go on with the same command and --resume\n");
    return OK;
}

const Verb verb_pretrain = {
    .name = "pretrain",
    .summary = "Makes a model that needs no training: weights fitted on synthetic traffic of many kinds.",
    .text = "Takes no measured traffic.  data/pretrained was made by this command with its default options.",
    OPTIONS(table), .size = sizeof(Values), .preset = "pretrained", .defaults = defaults, .run = run, .stops = true,
};
