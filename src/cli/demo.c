// lead demo: the whole thing in a few minutes: synthetic traffic, training, forecast, evaluation, pictures.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/show.h"
#include "cli/verbs.h"
#include "lead/train.h"
#include "tensor/file.h"
#include "traffic/synth.h"

typedef struct Values { const char *out; int64_t days, windows; } Values;

static const Option table[] = {
    {"out", OPT_TEXT, offsetof(Values, out), "DIR", "where everything goes [build/demo]", 0, 0},
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

static void say(const char *text) { fprintf(stderr, "\n== %s\n", text); }

// Removes the files of an earlier demo's run, so that it can be repeated; nothing else.
static void forget_run(Arena *a, const char *run)
{
    static const char *const names[] = {"checkpoint.safetensors", "checkpoint.safetensors.prev", "best.safetensors", "best.safetensors.prev",
                                        "log.jsonl", "config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) remove(arena_printf(a, "%s/%s", run, names[i]));
}

static Status make_directories(const char *dir, Arena *a)
{
    char *path = arena_printf(a, "%s", dir);
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/') continue;
        const char was = *p;
        *p = 0;
        if (mkdir(path, 0777) && errno != EEXIST) return ERROR("%s: cannot make the directory: %s", path, strerror(errno));
        *p = was;
        if (!was) return OK;
    }
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    Arena *a = cli->perm;
    const double t0 = cli_seconds();
    const char *data = arena_printf(a, "%s/traffic.npy", v->out), *dir = arena_printf(a, "%s/run", v->out);
    TRY(make_directories(v->out, a));

    say("1. synthetic traffic: 12 nodes, five-minute slots");
    SynthOptions so = synth_defaults();
    so.T = v->days * 86400 / so.slot_seconds;
    TrafficSeries s;
    TRY(synth_generate(&s, a, &so));
    TRY(traffic_series_write(&s, data, NULL));
    fprintf(stderr, "%s: %lld matrices, %d days\n", data, (long long)s.T, (int)v->days);

    say("2. training the demo configuration (frozen GPT-2 with adapters, conditional diffusion)");
    forget_run(a, dir);
    const TrafficSplits split = traffic_splits(s.T, PROTOCOL_CLEAN);
    Progress bar = progress_new();
    const TrainOptions o = {.out = dir, .manifest = manifest_json(cli, a), .data_path = data, .train = split.train, .val = split.val, .report = report,
                            .ctx = &bar, .stop = cli->stop};
    TRY(lead_train(&cli->config, &s, &o, &cli->device, a, cli->step, cli->scratch));
    if (*cli->stop) return OK;
    signal(SIGINT, SIG_DFL);   // what follows is short and leaves nothing half-written
    signal(SIGTERM, SIG_DFL);

    say("3. forecast: 20 steps, 32 samples, beside naive forecasts");
    LeadRun r;
    TRY(lead_run_load(&r, dir, NULL, &cli->device, a, cli->step, cli->scratch));
    TrafficScale scale;
    TRY(scale_fit(&scale, a, &s, split.train, SCALE_FLOWMAX));
    EvalTask task = {.series = &s, .scale = &scale, .history = r.cfg.history > RIDGE_LAGS ? r.cfg.history : RIDGE_LAGS, .K = r.cfg.horizon, .mape_above_kbps = 1000, .mape_above_scaled = 0.01};
    int64_t *starts;
    const int64_t all = traffic_windows(&s, a, split.test, task.history, task.K, 1, &starts);
    const int64_t stride = all / v->windows > 0 ? all / v->windows : 1;
    task.n_windows = traffic_windows(&s, a, split.test, task.history, task.K, stride, &starts);
    task.starts = starts;
    EvalTable t = eval_table_new(a, 1024);
    Forecaster f = lead_forecaster(&r, 8);
    TRY(evaluate(&t, a, &task, &f));
    TRY(evaluate_naive(&t, a, &task, split.train, split.val));
    show_table(&t, arena_printf(a, "%lld windows of the last 15 %% (every %lld-th); flows divided by their training maximum", (long long)task.n_windows,
                                (long long)stride), task.K, stdout);

    say("4. pictures");
    const int64_t last = starts[task.n_windows / 2] + task.history - 1;
    float *samples = arena_alloc(a, (size_t)r.cfg.samples * (size_t)task.K * (size_t)r.stats.F * sizeof *samples);
    TRY(lead_forecast(&r, &s, &last, 1, samples));
    TRY(show_window_pngs(&r, &s, last, samples, v->out, a));
    TRY(show_eval_png(&t, task.K, arena_printf(a, "%s/horizons.png", v->out), a));
    TRY(show_loss_png(arena_printf(a, "%s/log.jsonl", dir), arena_printf(a, "%s/loss.png", v->out), a));
    printf("Done in %.0f s.  Look at:\n", cli_seconds() - t0);
    printf("  %s/fans.png      the largest flows: history, forecast with its bands, what came\n", v->out);
    printf("  %s/film.png      history and forecast as RGB images, as the network sees them\n", v->out);
    printf("  %s/maps.png      truth, mean forecast and error of the last step\n", v->out);
    printf("  %s/horizons.png  RMSE and CRPS by step, beside naive forecasts\n", v->out);
    printf("  %s/loss.png      the training\n", v->out);
    printf("Next: your own data (T x N x N, kbit/s)\n"
           "  build/lead data info FILE.npy\n"
           "  build/lead train --data FILE.npy --config small --out run      (about 35 minutes on 2 cores)\n"
           "  build/lead forecast --model run --data FILE.npy --out forecast.csv --png pictures\n");
    return OK;
}

const Verb verb_demo = {"demo", "Everything in about two minutes: synthetic traffic, training, forecast, table, pictures.", NULL, NULL, OPTIONS(table),
                        sizeof(Values), "demo", defaults, run, true};
