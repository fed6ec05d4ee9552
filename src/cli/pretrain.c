// lead pretrain
#include "cli/profile.h"
#include "cli/run.h"
#include "cli/verbs.h"
#include "lead/pretrain.h"
#include "lead/record.h"
#include "nn/checkpoint.h"

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

// --resume: options and configuration with which it was begun, where none are given now.
static Status recall(Cli *cli, Values *v)
{
    static const char *const not_recalled[] = {"out", "resume", NULL};
    const char *manifest;
    SafeFile f;
    TRY(checkpoint_open(&f, cli->perm, arena_printf(cli->perm, "%s.unfinished", v->out)));
    Status s = checkpoint_meta(&f, "lead.manifest", &manifest);
    if (!s.code) s = lead_record_config(&cli->config, cli->perm, &f);
    if (!s.code) s = options_config(cli, &cli->config, true);
    if (!s.code) s = options_recall(cli, v, manifest, not_recalled, f.path);
    safetensors_close(&f);
    return s;
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    if (!v->out) return USAGE_ERROR("pretrain: wants --out FILE");
    if (v->resume) TRY(recall(cli, v));
    Progress bar = progress_new();
    Arena *network = arena_new("network", (size_t)1 << 38, NULL);
    const PretrainOptions o = {.out = v->out, .resume = v->resume, .manifest = manifest_json(cli, cli->perm),
                               .networks = v->networks, .steps_each = (int)v->steps_each,
                               .checkpoint_seconds = v->checkpoint_seconds, .report = report, .note = note,
                               .ctx = &bar, .stop = cli->stop};
    const Status s = lead_pretrain(&cli->config, &o, &cli->device, cli->perm, network, cli->step, cli->scratch);
    arena_delete(network);
    TRY(s);
    if (*cli->stop) cli_say("stopped; go on with: lead pretrain --out %s --resume", v->out);
    return OK;
}

const Verb verb_pretrain = {
    .name = "pretrain",
    .summary = "Makes a model that needs no training: weights fitted on synthetic traffic of many kinds.",
    .text = "Takes no measured traffic.  data/pretrained was made by this command with its default options.",
    OPTIONS(table), .size = sizeof(Values), .preset = "pretrained", .defaults = defaults, .run = run, .stops = true,
};
