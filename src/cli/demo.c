// lead demo: the whole program in a few minutes: synthetic traffic, training, forecast, evaluation, pictures.
#include <string.h>

#include "cli/run.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "lead/general.h"
#include "lead/train.h"
#include "nn/run_directory.h"
#include "io/file.h"
#include "tensor/clock.h"
#include "traffic/protocol.h"
#include "traffic/synth.h"

typedef struct Values { const char *out; int64_t days, windows; } Values;

static const Option table[] = {
    {"out", OPT_TEXT, offsetof(Values, out), "DIR", "directory for all output [build/demo]", 0, 0},
    {"days", OPT_INT, offsetof(Values, days), "D", "days of synthetic traffic [56]", 10, 3650},
    {"windows", OPT_INT, offsetof(Values, windows), "N", "test windows to score, evenly spaced [48]", 1, 100000},
};

static void defaults(void *values) { *(Values *)values = (Values){.out = "build/demo", .days = 56, .windows = 48}; }

static void report(void *ctx, const TrainReport *r)
{
    char text[80];
    snprintf(text, sizeof text, "loss %.4f", r->smooth_loss);
    progress_show(ctx, r->step, r->total, r->eta_seconds, text, r->step == r->total);
}

static void ended(void *ctx, const TrainEnd *e) { run_say_end(ctx, e); }

static void say(const char *text) { fprintf(stderr, "\n== %s\n", text); }

static Status train(Cli *cli, const TrafficSeries *s, TrafficSplits split, const char *data, const char *dir)
{
    TRY(run_directory_remove(dir, cli->scratch));   // of an earlier demo, so that it can be repeated
    Progress bar = progress_new();
    const TrainOptions o = {.out = dir, .manifest = manifest_json(cli, cli->perm), .data_path = data,
                            .train = split.train, .val = split.val, .report = report, .ended = ended, .ctx = &bar,
                            .stop = cli->stop};
    TRY(lead_train(&cli->config, s, &o, &cli->device, cli->perm, cli->step, cli->scratch));
    if (*cli->stop) return OK;
    signal(SIGINT, SIG_DFL);   // what follows is short and leaves nothing half-written
    signal(SIGTERM, SIG_DFL);
    return OK;
}

// Scores about n_windows of the test split -> scores; *row = the last history row of the one in the middle.
static Status score(LeadRun *r, const TrafficSeries *s, int64_t n_windows, EvalTable *scores, int64_t *row, Arena *a)
{
    EvalPlan plan;
    EvalPlanOptions o = {.history = r->cfg.history, .K = r->cfg.horizon};
    TRY(eval_plan(&plan, a, s, &o));
    const int64_t stride = plan.task.n_windows / n_windows;
    o.stride = stride > 0 ? stride : 1;
    TRY(eval_plan(&plan, a, s, &o));
    *scores = eval_table_new(a, &plan.task, NAIVE_KINDS + 1);
    const Forecaster f = lead_forecaster(r, 8);
    TRY(evaluate(scores, a, &plan.task, &f));
    TRY(evaluate_naive(scores, a, &plan.task, plan.split.train, plan.split.val));
    const char *comment = arena_printf(a, "%lld windows of the last 15 %% (every %lld-th); flows divided by their "
                                       "training maximum", (long long)plan.task.n_windows, (long long)o.stride);
    eval_compare(scores, a);
    show_table(scores, comment, plan.task.K, stdout);
    printf("%s\n", show_verdict(scores, f.name, a));
    *row = plan.task.starts[plan.task.n_windows / 2] + plan.task.history - 1;
    return OK;
}

static Status draw(LeadRun *r, const TrafficSeries *s, const EvalTable *scores, int64_t row, const char *dir,
                   const char *out, Arena *a)
{
    const size_t n = (size_t)r->cfg.samples * (size_t)r->cfg.horizon * (size_t)r->stats.F;
    float *samples = arena_alloc(a, n * sizeof *samples);
    TRY(lead_forecast(r, &row, 1, samples, NULL));
    TRY(show_window_pngs(r, s, row, samples, out, a));
    TRY(show_eval_png(scores, r->cfg.horizon, arena_printf(a, "%s/horizons.png", out), a));
    return show_loss_png(arena_printf(a, "%s/log.jsonl", dir), arena_printf(a, "%s/loss.png", out), a);
}

// A forecast in the middle of the test split by weights that need no training, in pictures.
static Status first_pictures(Cli *cli, const TrafficSeries *s, TrafficSplits split, const char *out)
{
    Arena *a = cli->perm;
    const size_t mark = arena_mark(a), step = arena_mark(cli->step);
    LeadRun r;
    Calibration c;
    TRY(lead_general_load(&r, file_bundled(GENERAL_BUNDLED, a), s, split.train, split.val, 0, &cli->device, a,
                          cli->step, cli->scratch, &c));
    int64_t *start;
    const int64_t windows = traffic_windows(s, a, split.test, r.cfg.history, r.cfg.horizon, 1, &start);
    if (windows < 1) return ERROR("demo: no window lies in the last 15 %% of the rows");
    const int64_t row = start[windows / 2] + r.cfg.history - 1;
    const size_t n = (size_t)r.cfg.samples * (size_t)r.cfg.horizon * (size_t)r.stats.F;
    float *samples = arena_alloc(a, n * sizeof *samples);
    TRY(lead_forecast(&r, &row, 1, samples, NULL));
    TRY(directory_make_all(out));
    TRY(show_window_pngs(&r, s, row, samples, out, a));
    tape_reset(&r.tape);
    arena_rewind(a, mark);
    arena_rewind(cli->step, step);
    return OK;
}

static void say_what_next(const char *out, double seconds)
{
    printf("Done in %.0f s.  Look at:\n", seconds);
    printf("  %s/fans.png      the largest flows: history, forecast with its bands, what came\n", out);
    printf("  %s/film.png      history and forecast as the RGB images of the paper\n", out);
    printf("  %s/maps.png      truth, mean forecast and error of the last step\n", out);
    printf("  %s/horizons.png  RMSE and CRPS by step, beside naive forecasts\n", out);
    printf("  %s/loss.png      the training\n", out);
    printf("  %s/first/        the forecast that was made without it\n", out);
    printf("Next: your own data (T x N x N, kbit/s)\n"
           "  build/lead data info FILE.npy\n"
           "  build/lead train --data FILE.npy --config small --out run      (a few minutes on 2 cores)\n"
           "  build/lead forecast --model run --data FILE.npy --out forecast.csv --png pictures\n");
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    Arena *a = cli->perm;
    const double t0 = clock_seconds();
    if (lead_refits_ridge(&cli->config))
        return USAGE_ERROR("base: lead demo scores under protocol clean; want last or ridge, got ridge-online");
    const char *data = arena_printf(a, "%s/traffic.npy", v->out), *dir = arena_printf(a, "%s/run", v->out);
    TRY(directory_make_all(v->out));

    say("1. synthetic traffic: 12 nodes, five-minute slots");
    SynthOptions so = synth_defaults();
    so.T = v->days * 86400 / so.slot_seconds;
    TrafficSeries s;
    TRY(synth_generate(&s, a, &so));
    TRY(traffic_series_write(&s, data, NULL));
    cli_say("%s: %lld matrices, %d days", data, (long long)s.T, (int)v->days);

    const TrafficSplits split = traffic_splits(s.T, PROTOCOL_CLEAN);
    say("2. a first forecast, without training: weights that suit any network");
    const char *first = arena_printf(a, "%s/first", v->out);
    TRY(first_pictures(cli, &s, split, first));
    cli_say("after %.0f s: %s/fans.png, film.png, maps.png", clock_seconds() - t0, first);

    const char *parts = lead_uses_llm(&cli->config) ? "frozen GPT-2 with adapters, conditional diffusion"
                                                    : "networks over flows, conditional diffusion";
    if (cli->config.model) parts = config_choice(&cli->config, "model");
    say(arena_printf(a, "3. training configuration %s (%s)", cli->config_name, parts));
    TRY(train(cli, &s, split, data, dir));
    if (*cli->stop) return OK;

    say(arena_printf(a, "4. forecast: %d steps, %d samples, beside naive forecasts", cli->config.horizon,
                     cli->config.samples));
    LeadRun r;
    TRY(lead_run_load(&r, dir, LEAD_BEST, NULL, &cli->device, a, cli->step, cli->scratch));
    TRY(lead_run_attach(&r, &s));
    EvalTable scores;
    int64_t row;
    TRY(score(&r, &s, v->windows, &scores, &row, a));

    say("5. pictures");
    TRY(draw(&r, &s, &scores, row, dir, v->out, a));
    TRY(manifest_write(cli, arena_printf(a, "%s/demo", v->out)));
    say_what_next(v->out, clock_seconds() - t0);
    return OK;
}

const Verb verb_demo = {
    .name = "demo",
    .summary = "Shows everything in about two minutes: synthetic traffic, training, forecasts, table, pictures.",
    OPTIONS(table), .size = sizeof(Values), .preset = "demo", .defaults = defaults, .run = run, .stops = true,
};
