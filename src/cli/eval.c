// lead eval
#include <string.h>

#include "cli/run.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "traffic/protocol.h"
#include "tensor/clock.h"

typedef struct Values {
    DataOptions data;
    RunOptions run;
    const char *protocol, *out, *split, *png;
    bool naive_only, details;
    int64_t stride, batch;
} Values;

static const Option table[] = {
    DATA_OPTIONS(Values),
    RUN_OPTIONS(Values),
    {"naive-only", OPT_FLAG, offsetof(Values, naive_only), NULL, "score the naive forecasts only", 0, 0},
    {"protocol", OPT_TEXT, offsetof(Values, protocol), "NAME", "clean or flow-by-flow [clean]", 0, 0},
    {"split", OPT_TEXT, offsetof(Values, split), "NAME", "test, or val for tuning [test]", 0, 0},
    {"stride", OPT_INT, offsetof(Values, stride), "N",
     "score every N-th window only: a quick look, not a result [1]", 1, 1e9},
    {"batch", OPT_INT, offsetof(Values, batch), "N", "windows drawn together [8]", 1, 4096},
    {"details", OPT_FLAG, offsetof(Values, details), NULL, "print every metric, in scaled units and in kbit/s", 0, 0},
    {"out", OPT_TEXT, offsetof(Values, out), "FILE", "also write the table to this file, as TSV", 0, 0},
    {"png", OPT_TEXT, offsetof(Values, png), "FILE", "draw RMSE and CRPS by horizon to this PNG", 0, 0},
};

static void defaults(void *values)
{
    Values *v = values;
    v->protocol = "clean";
    v->split = "test";
    v->run.guidance = -1;
    v->stride = 1;
    v->batch = 8;
}

// A forecaster that shows its progress.
typedef struct Watched { Forecaster inner; Progress bar; int64_t done, total; double t0; } Watched;

static Status watched_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    Watched *w = ctx;
    TRY(w->inner.run(w->inner.ctx, s, b));
    w->done += b->n;
    const double eta = (clock_seconds() - w->t0) / (double)w->done * (double)(w->total - w->done);
    progress_show(&w->bar, w->done, w->total, eta, "windows", w->done == w->total);
    return OK;
}

// The table of the scaled space in the columns that programs read; `all` prints every metric of both spaces instead.
static void print_table(const EvalTable *t, const char *comment, bool all, FILE *out)
{
    fprintf(out, "# %s\n", comment);
    if (all) {
        eval_table_print(t, out);
        return;
    }
    fprintf(out, "model\thorizon\trmse\tmae\tnrmse\tcrps\tcover50\tcover90\twindows\tmse\n");
    for (int64_t i = 0; i < t->n; i++) {
        const EvalRow *r = &t->row[i];
        if (strcmp(r->space, "scaled") || r->horizon == 0) continue;
        fprintf(out, "%s\t%d\t%.6g\t%.6g\t%.6g\t%.6g\t%.4f\t%.4f\t%lld\t%.6g\n", r->model, r->horizon, r->r.rmse,
                r->r.mae, r->r.nrmse, r->r.crps, r->r.cover50, r->r.cover90, (long long)r->r.windows, r->r.mse);
    }
}

// Says when rows are scored that training fitted or, for the test split, that chose the best checkpoint.
static void note_rows(const LeadRun *r, TrafficRange scored)
{
    if (scored.begin < r->val.end && scored.begin != r->val.begin)
        fprintf(stderr,
                "note: the model was trained on rows %lld..%lld and validated on %lld..%lld of %s; "
                "rows from %lld on are scored\n",
                (long long)r->train.begin, (long long)r->train.end - 1, (long long)r->val.begin,
                (long long)r->val.end - 1, r->data_path, (long long)scored.begin);
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    const bool fbf = strcmp(v->protocol, "flow-by-flow") == 0, val = strcmp(v->split, "val") == 0;
    if (!fbf && strcmp(v->protocol, "clean"))
        return USAGE_ERROR("--protocol: want clean or flow-by-flow, got '%s'", v->protocol);
    if (!val && strcmp(v->split, "test")) return USAGE_ERROR("--split: want test or val, got '%s'", v->split);
    if (!v->naive_only && !v->run.model) return USAGE_ERROR("lead eval: wants --model RUN, or --naive-only");
    FileWriter file;
    if (v->out) {   // scoring takes long: a place that cannot be written is found before it
        TRY(file_open(&file, v->out));
        file_abort(&file);
    }
    if (fbf) v->data.keep_all = true;
    TrafficSeries s;
    TRY(data_read(cli, &v->data, &s));
    LeadRun run = {0};
    EvalPlanOptions o = {.protocol = fbf ? PROTOCOL_FLOW_BY_FLOW : PROTOCOL_CLEAN, .validation = val,
                         .stride = v->stride};
    if (!v->naive_only) {
        TRY(run_open(cli, &v->run, &run));
        o.history = run.cfg.history;
        o.K = run.cfg.horizon;
    }
    EvalPlan plan;
    TRY(eval_plan(&plan, cli->perm, &s, &o));
    if (!v->naive_only) {
        TRY(lead_run_attach(&run, plan.task.series));
        TRY(config_check(&run.cfg));
        note_rows(&run, plan.scored);
    }
    const EvalTask task = plan.task;
    EvalTable t = eval_table_new(cli->perm, 4096);
    if (!v->naive_only) {
        Watched w = {.inner = lead_forecaster(&run, (int)v->batch),
                     .bar = progress_new(),
                     .total = task.n_windows,
                     .t0 = clock_seconds()};
        Forecaster f = w.inner;
        f.run = watched_run;
        f.ctx = &w;
        TRY(evaluate(&t, cli->perm, &task, &f));
    }
    TRY(evaluate_naive(&t, cli->perm, &task, plan.split.train, plan.split.val));
    const char *comment = arena_printf(
        cli->perm, "protocol %s, split %s, scale flowmax (%s), history %d, horizon %d, %lld windows, stride %lld",
        v->protocol, v->split, fbf ? "maximum over the whole series: looks ahead" : "training rows", task.history,
        task.K, (long long)task.n_windows, (long long)v->stride);
    if (!v->naive_only)
        comment = arena_printf(cli->perm, "%s; lead: %s, %lld steps, %d samples, %d network calls, guidance %g",
                               comment, v->run.model, (long long)run.step, run.cfg.samples, run.cfg.sample_steps,
                               run.cfg.guidance);
    print_table(&t, comment, v->details, stdout);
    show_table(&t, comment, task.K, stderr);
    if (v->png) {
        TRY(show_eval_png(&t, task.K, v->png, cli->perm));
        TRY(manifest_write(cli, v->png));
    }
    if (!v->out) return OK;
    TRY(file_open(&file, v->out));
    print_table(&t, comment, v->details, file.f);
    TRY(file_commit(&file, false));
    return manifest_write(cli, v->out);
}

const Verb verb_eval = {
    .name = "eval", .summary = "Scores the model and naive forecasts on every window of the test split.",
    OPTIONS(table), .size = sizeof(Values), .defaults = defaults, .run = run,
};
