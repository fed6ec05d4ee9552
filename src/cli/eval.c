// lead eval
#include "cli/eval.h"

#include <string.h>

#include "cli/report_parts.h"
#include "cli/show.h"
#include "cli/verbs.h"
#include "lead/extend.h"
#include "lead/general.h"
#include "tensor/clock.h"
#include "traffic/forecast_file.h"
#include "traffic/rolling.h"

static const Option table[] = {
    DATA_OPTIONS(EvalValues),
    RUN_OPTIONS(EvalValues),
    NETWORK_OPTIONS(EvalValues),
    {"naive-only", OPT_FLAG, offsetof(EvalValues, naive_only), NULL, "score the naive forecasts only", 0, 0},
    {"protocol", OPT_TEXT, offsetof(EvalValues, protocol), "NAME",
     "clean, rolling (ridge refitted every day) or flow-by-flow [clean]", 0, 0},
    {"split", OPT_TEXT, offsetof(EvalValues, split), "NAME", "test, or val for tuning [test]", 0, 0},
    {"horizon", OPT_INT, offsetof(EvalValues, horizon), "K",
     "steps to score; those that the run does not draw are forecast as lead forecast does [the run's, or 20]", 1,
     1e6},
    {"stride", OPT_INT, offsetof(EvalValues, stride), "N",
     "score every N-th window only: a quick look, not a result [1]", 1, 1e9},
    {"also", OPT_LIST, offsetof(EvalValues, also), "NAME=F.npy,..",
     "score these forecasts too: points [windows,K,N,N] or sample paths [windows,S,K,N,N], kbit/s; may be repeated", 0,
     0},
    {"also-levels", OPT_FLAG, offsetof(EvalValues, also_levels), NULL,
     "the S of --also are quantiles at the ascending levels i/(S+1), not sample paths", 0, 0},
    {"windows-out", OPT_TEXT, offsetof(EvalValues, windows_out), "FILE",
     "write which windows are scored, as --also wants them: last known row and its time, as TSV", 0, 0},
    {"origins", OPT_TEXT, offsetof(EvalValues, origins), "P,..",
     "for each P: fit on the first P % of the rows (1..85), score the next 15 %; trains --model's configuration anew",
     0, 0},
    {"config", OPT_TEXT, offsetof(EvalValues, config), "NAME",
     "with --origins: train this preset, not --model's configuration", 0, 0},
    {"config-file", OPT_TEXT, offsetof(EvalValues, config_file), "FILE",
     "with --origins: train with these keys, a JSON object (on top of --config, or of preset small)", 0, 0},
    {"runs", OPT_TEXT, offsetof(EvalValues, runs), "DIR",
     "with --origins: directory of the runs originP (default: RUN.originP beside --model)", 0, 0},
    {"half-life", OPT_NUMBER, offsetof(EvalValues, half_life), "DAYS",
     "rolling: a row's weight in ridge-daily halves in DAYS; 0 = all rows count the same [the run's, or 35]", 0, 1e5},
    {"batch", OPT_INT, offsetof(EvalValues, batch), "N", "windows drawn together [8]", 1, 4096},
    {"details", OPT_FLAG, offsetof(EvalValues, details), NULL,
     "print every metric: in scaled units, in kbit/s, and of the sums of rows, columns and matrices", 0, 0},
    {"out", OPT_TEXT, offsetof(EvalValues, out), "FILE",
     "write the table to this file, as TSV, and not to stdout (-: stdout)", 0, 0},
    {"png", OPT_TEXT, offsetof(EvalValues, png), "FILE", "draw RMSE and CRPS by horizon to this PNG", 0, 0},
    {"report", OPT_TEXT, offsetof(EvalValues, report), "FILE", "write a page to look at, HTML (lead report)", 0, 0},
};

void eval_defaults(EvalValues *v)
{
    v->protocol = "clean";
    v->split = "test";
    v->run.guidance = -1;
    v->stride = 1;
    v->batch = 8;
    v->half_life = -1;
}

static void defaults(void *values) { eval_defaults(values); }

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

// The run as a forecaster of all steps of the task.
static Status forecaster(Forecaster *f, Arena *a, const EvalTask *task, const TrafficSplits *split, LeadRun *run,
                         int batch)
{
    *f = lead_forecaster(run, batch);
    if (task->K == run->cfg.horizon) return OK;
    LeadFarRun *more = arena_alloc(a, sizeof *more);
    more->run = run;
    TRY(lead_far_fit(&more->far, a, run, task->K, split->train, split->val, split->train));
    cli_say("note: the run draws %d steps; naive forecasts go on: %s", run->cfg.horizon,
            lead_far_text(&more->far, a));
    *f = lead_far_forecaster(more, batch);
    return OK;
}

Status eval_run(EvalTable *t, Arena *a, const EvalTask *task, const TrafficSplits *split, LeadRun *run, int batch,
                EvalLinks *links)
{
    Forecaster all;
    if (!run) return OK;
    TRY(forecaster(&all, a, task, split, run, batch));
    Watched w = {.inner = eval_links_watch(links, a, all),
                 .bar = progress_new(),
                 .total = task->n_windows,
                 .t0 = clock_seconds()};
    Forecaster f = w.inner;
    f.run = watched_run;
    f.ctx = &w;
    return evaluate(t, a, task, &f);
}

void eval_print(const EvalTable *t, const char *comment, bool details, int origin, bool head, FILE *out)
{
    fprintf(out, "# %s\n", comment);
    if (details) {
        eval_table_print(t, origin, head, out);
        return;
    }
    if (head) {
        fprintf(out, "model\thorizon\trmse\tmae\tnrmse\tcrps\tcover50\tcover90\twindows\tmse");
        eval_beside_print_head(out);
        fputs(origin ? "\torigin\n" : "\n", out);
    }
    for (int64_t i = 0; i < t->n; i++) {
        const EvalRow *r = &t->row[i];
        if (strcmp(r->space, "scaled") || r->horizon == 0) continue;
        fprintf(out, "%s\t%d\t%.6g\t%.6g\t%.6g\t%.6g\t%.4f\t%.4f\t%lld\t%.6g", r->model, r->horizon, r->r.rmse,
                r->r.mae, r->r.nrmse, r->r.crps, r->r.cover50, r->r.cover90, (long long)r->r.windows, r->r.mse);
        eval_beside_print(&r->beside, out);
        if (origin) fprintf(out, "\t%d", origin);
        fputc('\n', out);
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

enum { MOST_FILES = 32 };

// The files of --also, opened and checked.
typedef struct Files { int n; ForecastFile file[MOST_FILES]; } Files;

static bool is_row_name(const char *name, const Files *f)
{
    bool taken = strcmp(name, ROLLING_NAME) == 0;
    for (int k = 0; rival_names[k]; k++) taken |= strcmp(name, rival_names[k]) == 0;
    for (int k = 0; k < NAIVE_KINDS; k++) taken |= strcmp(name, naive_names[k]) == 0;
    for (int i = 0; i < f->n; i++) taken |= strcmp(name, f->file[i].name) == 0;
    return taken;
}

static Status open_files(Files *f, Arena *a, const EvalValues *v, const EvalTask *task)
{
    f->n = 0;
    if (v->also_levels && !v->also) return USAGE_ERROR("--also-levels: wants --also NAME=F.npy");
    if (!v->also) return OK;
    char *save, *list = arena_printf(a, "%s", v->also);
    for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *path = strchr(word, '=');
        if (!path || path == word || !path[1]) return USAGE_ERROR("--also: want NAME=F.npy,.., got '%s'", word);
        *path++ = 0;
        if (is_row_name(word, f)) return USAGE_ERROR("--also: want a name that no other row has, got '%s'", word);
        if (f->n == MOST_FILES) return USAGE_ERROR("--also: want at most %d files", MOST_FILES);
        TRY(forecast_file_read(&f->file[f->n], a, word, path, task, v->also_levels));
        f->n++;
    }
    return OK;
}

static Status write_windows(const EvalTask *task, const char *path)
{
    FileWriter w;
    TRY(file_open(&w, path));
    fprintf(w.f, "window\trow\ttime\n");
    for (int64_t i = 0; i < task->n_windows; i++) {
        const int64_t t = task->starts[i] + task->history - 1;
        fprintf(w.f, "%lld\t%lld\t", (long long)i, (long long)t);
        if (task->series->time) fprintf(w.f, "%lld", (long long)task->series->time[t]);
        fputc('\n', w.f);
    }
    return file_commit(&w, false);
}

static Status parse_protocol(const char *name, TrafficProtocol *p)
{
    static const char *const names[] = {
        [PROTOCOL_CLEAN] = "clean", [PROTOCOL_ROLLING] = "rolling", [PROTOCOL_FLOW_BY_FLOW] = "flow-by-flow"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        *p = (TrafficProtocol)i;
        if (strcmp(name, names[i]) == 0) return OK;
    }
    return USAGE_ERROR("--protocol: want clean, rolling or flow-by-flow, got '%s'", name);
}

static Status check_options(EvalValues *v)
{
    TRY(parse_protocol(v->protocol, &v->which));
    const bool fbf = v->which == PROTOCOL_FLOW_BY_FLOW;
    if (v->half_life >= 0 && v->which != PROTOCOL_ROLLING)
        return USAGE_ERROR("--half-life: want --protocol rolling, got %s", v->protocol);
    if (strcmp(v->split, "val") && strcmp(v->split, "test"))
        return USAGE_ERROR("--split: want test or val, got '%s'", v->split);
    if (v->origins && (v->which != PROTOCOL_CLEAN || v->also || v->windows_out || v->png || v->report ||
                       strcmp(v->split, "test")))
        return USAGE_ERROR("--origins: wants protocol clean, and no --split, --also, --windows-out, --png, --report");
    if (v->origins && v->horizon) return USAGE_ERROR("--horizon: wants one split, so no --origins");
    if (v->origins && (v->net.topology || v->net.routing))
        return USAGE_ERROR("--topology: wants one split, so no --origins");
    if (!v->origins && (v->config || v->config_file || v->runs))
        return USAGE_ERROR("--config, --config-file and --runs: want --origins P,..");
    if (v->naive_only && (v->config || v->config_file || v->runs))
        return USAGE_ERROR("--naive-only: trains nothing, so want no --config, --config-file, --runs");
    if (v->naive_only) v->run.model = NULL;
    const bool scores = v->naive_only || v->run.model || v->origins || v->also;
    if (!scores && (!v->windows_out || v->out || v->png || v->report))
        return USAGE_ERROR("eval: wants --model RUN, --naive-only, --also NAME=F.npy or --windows-out FILE");
    if (fbf && v->data.drop_suspicious)
        return USAGE_ERROR("--drop-suspicious: protocol flow-by-flow leaves nothing out");
    return OK;
}

static const char *describe(const Cli *cli, const EvalValues *v, const EvalTask *task, const LeadRun *run,
                            const Files *files)
{
    Arena *a = cli->perm;
    const char *text = arena_printf(
        a, "protocol %s, split %s, scale flowmax (%s), history %d, horizon %d, %lld windows, stride %lld", v->protocol,
        v->split, v->which == PROTOCOL_FLOW_BY_FLOW ? "maximum over the whole series: looks ahead" : "training rows",
        task->history, task->K, (long long)task->n_windows, (long long)v->stride);
    if (v->which == PROTOCOL_ROLLING)
        text = arena_printf(a, "%s; ridge-daily: half-life %g days%s", text, v->half_life,
                            v->half_life > 0 ? "" : " (none)");
    if (run && run->cfg.model)
        text = arena_printf(a, "%s; %s: %s, %lld steps, target %s, %d samples of its validation errors", text,
                            rival_names[run->cfg.model], run->file, (long long)run->step,
                            config_choice(&run->cfg, "rival_target"), run->cfg.samples);
    else if (run)
        text = arena_printf(a, "%s; lead: %s, %lld steps, %d samples, %d network calls of %s, guidance %g",
                            text, run->file, (long long)run->step, run->cfg.samples, run->cfg.sample_steps,
                            config_choice(&run->cfg, "sampler"), run->cfg.guidance);
    for (int i = 0; i < files->n; i++)
        text = arena_printf(a, "%s; %s: %s", text, files->file[i].name, files->file[i].path);
    return text;
}

// Table and picture: the table takes its name when the picture is whole.
static Status write_files(Cli *cli, const EvalValues *v, const EvalTable *t, const EvalLinks *links,
                          const char *comment, int K)
{
    FileWriter file = {.f = NULL};
    if (v->out) {
        TRY(file_open(&file, v->out));
        eval_print(t, comment, v->details, 0, true, file.f);
        if (links) eval_links_print(links, file.f);
        TRY(file_sync(&file));
    }
    const Status drawn = v->png ? show_eval_png(t, K, v->png, cli->perm) : OK;
    if (drawn.code) {
        file_abort(&file);
        return drawn;
    }
    if (v->out) TRY(file_commit(&file, false));
    if (v->png) TRY(manifest_write(cli, v->png));
    return v->out ? manifest_write(cli, v->out) : OK;
}

// Scores all windows of the plan.
static Status score(EvalScores *e, Cli *cli, const EvalValues *v, LeadRun *run, Files *files)
{
    const EvalTask *task = &e->plan.task;
    const TrafficSplits *split = &e->plan.split;
    e->table = eval_table_new(cli->perm, task, NAIVE_KINDS + 1 + files->n);
    TRY(eval_run(&e->table, cli->perm, task, split, run, (int)v->batch, e->links));
    if (run) run_say_memory(run);
    for (int i = 0; i < files->n; i++) {
        const Forecaster f = eval_links_watch(e->links, cli->perm, forecast_file_forecaster(&files->file[i]));
        TRY(evaluate(&e->table, cli->perm, task, &f));
    }
    if (v->which == PROTOCOL_ROLLING) TRY(evaluate_rolling(&e->table, cli->perm, task, split->train, v->half_life));
    else TRY(evaluate_naive(&e->table, cli->perm, task, split->train, split->val));
    if (e->links) TRY(eval_links_naive(e->links, cli));
    eval_compare(&e->table, cli->perm);
    e->what = describe(cli, v, task, run, files);
    return OK;
}

static Status write_report(Cli *cli, const EvalValues *v, const EvalScores *e, const TrafficSeries *s)
{
    Report r = {0};
    parts_data(&r, cli->perm, s, v->data.data);
    parts_eval(&r, cli->perm, e);
    return parts_write(&r, cli, NULL, v->data.data, v->report);
}

static Status print(Cli *cli, const EvalValues *v, const EvalScores *e, const TrafficSeries *s)
{
    const char *comment = show_findings(&e->table, e->what, cli->perm);
    if (!v->out) {
        eval_print(&e->table, comment, v->details, 0, true, stdout);
        if (e->links) eval_links_print(e->links, stdout);
    }
    show_scores(&e->table, e->what, stderr, cli->perm);
    TRY(write_files(cli, v, &e->table, e->links, comment, e->plan.task.K));
    return v->report ? write_report(cli, v, e, s) : OK;
}

static int most_paths(const LeadRun *r, const Files *files)
{
    int most = r ? r->cfg.samples : 0;
    for (int i = 0; i < files->n; i++) most = files->file[i].S > most ? files->file[i].S : most;
    return most;
}

// The windows of the plan: with v->most, evenly spaced ones, at most so many.
static Status plan_windows(EvalScores *e, Cli *cli, EvalValues *v, const TrafficSeries *s, EvalPlanOptions o)
{
    TRY(eval_plan(&e->plan, cli->perm, s, &o));
    if (!v->most || e->plan.task.n_windows <= v->most) return OK;
    v->stride = o.stride = (e->plan.task.n_windows + v->most - 1) / v->most;
    return eval_plan(&e->plan, cli->perm, s, &o);
}

// A path can be fed back as often as wanted; other runs draw all of their steps, and more are added.
static Status choose_horizon(const EvalValues *v, LeadRun *r)
{
    if (!v->horizon) return OK;
    if (r->cfg.horizons == HORIZON_ROLLOUT && !r->cfg.model) r->cfg.horizon = (int)v->horizon;
    return v->horizon < r->cfg.horizon ? USAGE_ERROR("--horizon: want at least the %d steps that the run draws, got %d",
                                                     r->cfg.horizon, (int)v->horizon)
                                       : OK;
}

Status eval_scores(EvalScores *e, Cli *cli, EvalValues *v, TrafficSeries *s)
{
    *e = (EvalScores){.what = NULL};
    TRY(parse_protocol(v->protocol, &v->which));
    LeadRun *r = v->run.model ? arena_zalloc(cli->perm, sizeof *r) : NULL;
    const char *general = NULL;
    EvalPlanOptions o = {.protocol = v->which,
                         .validation = strcmp(v->split, "val") == 0, .stride = v->stride};
    if (r) {
        TRY(run_is_general(cli, &v->run, &general));
        if (general) TRY(lead_general_config(&r->cfg, NULL, general, cli->scratch));
        else TRY(run_open(cli, &v->run, LEAD_BEST, r));
        if (!general) TRY(run_match_series(s, r->nodes, r->zone, v->run.model, cli->perm));
        if (lead_refits_ridge(&r->cfg) && v->which != PROTOCOL_ROLLING)
            return USAGE_ERROR("--protocol: want rolling, since the run's base ridge-online is fitted on all days "
                               "before a forecast, got %s", v->protocol);
        if (lead_refits_ridge(&r->cfg) && v->half_life < 0) v->half_life = r->cfg.ridge_half_life;
        o.history = r->cfg.history;
        TRY(choose_horizon(v, r));
        o.K = r->cfg.horizon;
    }
    if (v->horizon) o.K = (int)v->horizon;
    if (v->half_life < 0) v->half_life = RIDGE_HALF_LIFE_DAYS;
    TRY(plan_windows(e, cli, v, s, o));
    const EvalPlan *plan = &e->plan;
    if (v->windows_out) TRY(write_windows(&plan->task, v->windows_out));
    if (!r && !v->naive_only && !v->also) return OK;
    Files files;
    TRY(open_files(&files, cli->perm, v, &plan->task));
    if (r) {
        const TrafficSplits *split = &plan->split;
        if (!general) TRY(lead_run_attach(r, plan->task.series));
        else TRY(run_open_general(cli, &v->run, general, plan->task.series,
                                  (TrafficRange){lead_general_first(split->train.end), split->train.end},
                                  split->val, r));
        TRY(config_check(&r->cfg));
        run_say(r);
        note_rows(r, plan->scored);
    }
    if (v->net.topology || v->net.routing) {
        e->links = arena_alloc(cli->perm, sizeof *e->links);
        TRY(eval_links_open(e->links, cli, &v->net, plan, 1 + files.n, most_paths(r, &files)));
    }
    return score(e, cli, v, r, &files);
}

static Status run(Cli *cli, void *values)
{
    EvalValues *v = values;
    if (v->out && !strcmp(v->out, "-")) v->out = NULL;   // the table goes to stdout in any case
    TRY(check_options(v));
    // scoring takes long: a place that cannot be written is found before it
    if (v->out) TRY(file_try(v->out));
    if (v->png) TRY(file_try(v->png));
    TRY(parts_try(v->report, v->out));
    TrafficSeries *s = arena_alloc(cli->perm, sizeof *s);
    TRY(data_read(cli, &v->data, s));
    if (v->origins) return eval_origins(cli, v, s);
    EvalScores e;
    TRY(eval_scores(&e, cli, v, s));
    return e.what ? print(cli, v, &e, s) : OK;
}

const Verb verb_eval = {
    .name = "eval", .summary = "Scores the model and naive forecasts on every window of the test split.",
    .text = "\nBelow RMSE and CRPS it prints scores that a few large or silent flows cannot decide, and a verdict:\n"
            "whether the model is better than the best naive forecast, with a 95 % interval over days.  To score\n"
            "forecasts of your own: lead eval --windows-out W.tsv, make one for each line, --also mine=G.npy.\n"
            "Of a run directory it loads best.safetensors, which was fitted on the training rows alone, and never the\n"
            "final fit (final.safetensors), which has seen the rows that are scored.",
    OPTIONS(table), .size = sizeof(EvalValues), .defaults = defaults, .run = run, .ranks = true,
};
