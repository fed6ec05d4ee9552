// lead eval --origins: the same comparison from several moments of the data.
#include <stdlib.h>
#include <string.h>

#include "cli/eval.h"
#include "cli/show.h"
#include "io/file.h"
#include "lead/train.h"
#include "nn/run_directory.h"
#include "tensor/ranks.h"

enum { MOST_ORIGINS = 32, MOST_ROWS = NAIVE_KINDS + 1 };

// Scores over all steps, of one model from one origin, as ratios to ridge; NaN where it was not scored.
typedef struct Ratios { double rmse, crps; } Ratios;

typedef struct Origins {
    Cli *cli;
    const EvalValues *v;
    const TrafficSeries *s;
    const LeadConfig *cfg;       // NULL: naive forecasts alone
    int n, percent[MOST_ORIGINS];
    const char *name[MOST_ROWS]; // the model's row, then the naive ones
    Ratios ratio[MOST_ROWS][MOST_ORIGINS];
    FILE *out;                   // --out, or NULL
} Origins;

// What one origin gave: rows of the table and lines for people, n bytes of each; ratios.
enum { TEXTS = 2 };
typedef struct Found { size_t n[TEXTS]; Ratios ratio[MOST_ROWS]; } Found;
typedef struct Said { TextWriter text[TEXTS]; Found found; } Said;

static Status parse(Origins *o, const char *text)
{
    for (const char *p = text;; p++) {
        char *end;
        const long v = strtol(p, &end, 10);
        const bool rises = o->n == 0 || v > o->percent[o->n - 1];
        if (end == p || v < 1 || v > 85 || !rises || o->n == MOST_ORIGINS || (*end && *end != ','))
            return USAGE_ERROR("--origins: want rising percentages in 1..85 such as 40,50,60,70, got '%s'", text);
        o->percent[o->n++] = (int)v;
        if (!*end) return OK;
        p = end;
    }
}

// The configuration to train: --config and --config-file, else that of --model.
static Status find_config(Cli *cli, const EvalValues *v, LeadConfig *cfg)
{
    if (v->config || v->config_file) {
        TRY(config_preset(cfg, v->config ? v->config : "small"));
        if (v->config_file) {
            const Json *root;
            TRY(json_read(&root, cli->perm, v->config_file, 1 << 20));
            TRY(config_read_json(cfg, root, v->config_file));
        }
        return v->run.llm ? config_set(cfg, "llm", v->run.llm) : OK;
    }
    const size_t perm = arena_mark(cli->perm), step = arena_mark(cli->step);
    LeadRun run;
    TRY(lead_run_load(&run, v->run.model, LEAD_BEST, v->run.llm, &cli->device, cli->perm, cli->step, cli->scratch));
    if (run.calls)
        return USAGE_ERROR("--origins: %s was distilled, and it takes its configuration to train anew; want --model of "
                           "the run that it was made of, or --config", run.file);
    *cfg = run.cfg;
    arena_rewind(cli->perm, perm);
    arena_rewind(cli->step, step);
    return OK;
}

static const char *run_path(const EvalValues *v, int percent, Arena *a)
{
    const char *from = v->runs ? v->runs : v->run.model;
    int n = (int)strlen(from);
    while (n > 1 && from[n - 1] == '/') n--;
    return arena_printf(a, v->runs ? "%.*s/origin%d" : "%.*s.origin%d", n, from, percent);
}

static void report(void *ctx, const TrainReport *r)
{
    char text[80];
    snprintf(text, sizeof text, "loss %.4f", r->smooth_loss);
    progress_show(ctx, r->step, r->total, r->eta_seconds, text, r->step == r->total);
}

// Says what is in the run directory: nothing, a part, or all of a run of this configuration on these rows.
static Status find_run(const Origins *o, const char *dir, const TrainOptions *t, RunState *state, Arena *a)
{
    TRY(run_directory_state(dir, state, a));
    if (*state == RUN_NONE) return OK;
    LeadRecord r;
    TRY(lead_record_open(&r, a, dir));
    const long long want[] = {t->train.begin, t->train.end, t->val.begin, t->val.end, t->final.end},
                    got[] = {r.train.begin, r.train.end, r.val.begin, r.val.end, r.final.end};
    if (memcmp(want, got, sizeof want))
        return ERROR("%s: want a run on rows %lld %lld %lld %lld (training, validation) and in the end on all before "
                     "%lld, got one on %lld %lld %lld %lld and %lld", r.file, want[0], want[1], want[2], want[3],
                     want[4], got[0], got[1], got[2], got[3], got[4]);
    const ConfigKey *k = config_difference(o->cfg, &r.cfg);
    char here[1100], there[1100];
    if (k)
        return ERROR("%s: want a run of this configuration, %s %s, got one of %s", r.file, k->name,
                     config_text(o->cfg, k, here), config_text(&r.cfg, k, there));
    if (strcmp(r.data_sha256, lead_data_hash(o->s, a)))
        return ERROR("%s: trained on other traffic than this", r.file);
    cli_say("%s: %s (step %lld of %lld)", dir, *state == RUN_UNFINISHED ? "resumed" : "complete, reused",
            (long long)r.step, (long long)r.total);
    return OK;
}

// Trains the run of this origin, or what is left of it, and loads its final fit: on all rows before the origin, as the
// naive forecasts are, and as a forecast made on that day would be.
static Status train(Origins *o, const EvalPlan *plan, const char *dir, LeadRun *run)
{
    Cli *cli = o->cli;
    const size_t step = arena_mark(cli->step);
    Progress bar = progress_new();
    TrainOptions t = {.out = dir, .manifest = manifest_json(cli, cli->perm),
                      .data_path = o->v->data.data ? o->v->data.data : cli->positional,
                      .train = {0, plan->split.val.begin}, .val = plan->split.val, .final = plan->split.train,
                      .report = report, .ctx = &bar, .stop = cli->stop};
    RunState state;
    TRY(find_run(o, dir, &t, &state, cli->perm));
    t.resume = state == RUN_UNFINISHED;
    if (state == RUN_NONE)
        cli_say("%s: training on rows 0..%lld, validating on those up to %lld, then fitting on all of them", dir,
                (long long)t.train.end - 1, (long long)t.val.end - 1);
    if (state != RUN_FINISHED) TRY(lead_train(o->cfg, o->s, &t, &cli->device, cli->perm, cli->step, cli->scratch));
    arena_rewind(cli->step, step);
    RunOptions r = o->v->run;
    r.model = dir;
    TRY(run_open(cli, &r, LEAD_NEWEST, run));
    if (!run->final) return ERROR("%s: want the final fit of a run, got %s", dir, run->file);
    TRY(lead_run_attach(run, o->s));
    return config_check(&run->cfg);
}

static void keep_ratios(const Origins *o, Ratios ratio[MOST_ROWS], const EvalTable *t)
{
    const EvalRow *ridge = eval_table_find(t, naive_names[NAIVE_RIDGE], "scaled", 0);
    for (int i = 0; i < MOST_ROWS; i++) {
        const EvalRow *r = eval_table_find(t, o->name[i], "scaled", 0);
        ratio[i] = r ? (Ratios){r->r.rmse / ridge->r.rmse, r->r.crps / ridge->r.crps} : (Ratios){NAN, NAN};
    }
}

// run: room for that of this origin.
static Status score_origin(Origins *o, int at, LeadRun *run, Said *said)
{
    Arena *a = o->cli->perm;
    const int percent = o->percent[at];
    if (o->cfg && lead_refits_ridge(o->cfg))
        return USAGE_ERROR("--origins: want base last or ridge, got ridge-online, which --protocol rolling scores");
    EvalPlanOptions po = {.origin = percent, .stride = o->v->stride};
    if (o->cfg) {
        po.history = o->cfg->history;
        po.K = o->cfg->horizon;
    }
    EvalPlan plan;
    TRY(eval_plan(&plan, a, o->s, &po));
    LeadRun *r = o->cfg ? run : NULL;
    const char *dir = o->cfg ? run_path(o->v, percent, a) : NULL;
    if (r) TRY(train(o, &plan, dir, r));
    EvalTable t = eval_table_new(a, &plan.task, MOST_ROWS);
    TRY(eval_run(&t, a, &plan.task, &plan.split, r, (int)o->v->batch, NULL));
    TRY(evaluate_naive(&t, a, &plan.task, plan.split.train, plan.split.val));
    eval_compare(&t, a);
    const char *what = arena_printf(
        a, "origin %d %%: fitted on rows 0..%lld, scored on those up to %lld, scale flowmax (fitted rows), history %d, "
        "horizon %d, stride %lld%s%s%s%s", percent, (long long)plan.split.train.end - 1, (long long)plan.scored.end - 1,
        plan.task.history, plan.task.K, (long long)o->v->stride, dir ? "; " : "", dir ? o->name[0] : "",
        dir ? ": " : "", dir ? dir : "");
    const char *comment = show_findings(&t, what, a);
    eval_print(&t, comment, o->v->details, percent, at == 0, said->text[0].f);
    show_scores(&t, what, said->text[1].f, a);
    keep_ratios(o, said->found.ratio, &t);
    return OK;
}

static void show_summary(const Origins *o, bool crps)
{
    fprintf(stderr, "%s over all steps / that of ridge\n%-14s", crps ? "CRPS" : "RMSE", "  origin");
    for (int k = 0; k < o->n; k++) fprintf(stderr, " %6d %%", o->percent[k]);
    fputc('\n', stderr);
    for (int i = 0; i < MOST_ROWS; i++) {
        bool scored = false;
        for (int k = 0; k < o->n; k++) scored |= !isnan(o->ratio[i][k].rmse);
        if (!scored) continue;
        fprintf(stderr, "  %-12s", o->name[i]);
        for (int k = 0; k < o->n; k++)
            fprintf(stderr, " %8.3f", crps ? o->ratio[i][k].crps : o->ratio[i][k].rmse);
        fputc('\n', stderr);
    }
}

static Status score_one(Origins *o, int at, Said *said)
{
    const size_t perm = arena_mark(o->cli->perm), step = arena_mark(o->cli->step);
    for (int i = 0; i < TEXTS; i++) text_open(&said->text[i], o->cli->scratch);
    LeadRun run = {.aside = NULL};
    const Status s = score_origin(o, at, &run, said);
    arena_delete(run.aside);
    for (int i = 0; i < TEXTS; i++) {
        text_close(&said->text[i]);
        said->found.n[i] = said->text[i].n;
    }
    arena_rewind(o->cli->perm, perm);
    arena_rewind(o->cli->step, step);
    return s;
}

// Prints what each rank found at its origin of the round that begins with origin k, and keeps the ratios.
static void print_round(Origins *o, int k, const Said *said)
{
    Arena *a = o->cli->scratch;
    FILE *const to[TEXTS] = {o->out ? o->out : stdout, stderr};
    const Device host = {.real_size = sizeof(double)};
    const int R = ranks_count(), self = ranks_self();
    const size_t mark = arena_mark(a);
    Found *all = arena_alloc(a, (size_t)R * sizeof *all);
    size_t most = 1;
    all[self] = said->found;
    ranks_gather(&host, all, R, sizeof *all, a);
    for (int r = 0; r < R; r++)
        for (int i = 0; i < TEXTS; i++) most = all[r].n[i] > most ? all[r].n[i] : most;
    char *text = arena_alloc(a, (size_t)R * TEXTS * most);
    for (int i = 0; i < TEXTS; i++)
        if (all[self].n[i]) memcpy(text + (size_t)(self * TEXTS + i) * most, said->text[i].text, all[self].n[i]);
    ranks_gather(&host, text, R, TEXTS * most, a);
    for (int r = 0; r < R && k + r < o->n; r++) {
        for (int i = 0; i < TEXTS; i++) fwrite(text + (size_t)(r * TEXTS + i) * most, 1, all[r].n[i], to[i]);
        for (int i = 0; i < MOST_ROWS; i++) o->ratio[i][k + r] = all[r].ratio[i];
    }
    arena_rewind(a, mark);
}

// Each rank takes one origin of a round for itself alone.
static Status score_all(Origins *o)
{
    const int R = ranks_count(), self = ranks_self();
    const size_t mark = arena_mark(o->cli->scratch);
    for (int k = 0; k < o->n; k += R) {
        Said said = {.found = {.n = {0}}};
        ranks_alone(true);
        Status s = k + self < o->n ? score_one(o, k + self, &said) : OK;
        ranks_alone(false);
        s = ranks_agree(s);
        if (!s.code) print_round(o, k, &said);
        arena_rewind(o->cli->scratch, mark);
        TRY(s);
    }
    show_summary(o, false);
    show_summary(o, true);
    return OK;
}

Status eval_origins(Cli *cli, const EvalValues *v, const TrafficSeries *s)
{
    Origins o = {.cli = cli, .v = v, .s = s, .name = {"lead"}};
    LeadConfig cfg;
    for (int k = 0; k < NAIVE_KINDS; k++) o.name[k + 1] = naive_names[k];
    TRY(parse(&o, v->origins));
    const bool config = v->config || v->config_file;
    if (config && !v->runs) return USAGE_ERROR("--origins with --config: wants --runs DIR");
    if (!v->naive_only && (config || v->run.model)) {
        TRY(find_config(cli, v, &cfg));
        o.cfg = &cfg;
        o.name[0] = rival_names[cfg.model];
        if (v->runs) TRY(directory_make(v->runs));
    } else if (!v->naive_only) return USAGE_ERROR("--origins: wants --model RUN, --config NAME or --naive-only");
    if (!v->out) return score_all(&o);
    FileWriter file;
    TRY(file_open(&file, v->out));
    o.out = file.f;
    const Status st = score_all(&o);
    if (st.code) {
        file_abort(&file);
        return st;
    }
    TRY(file_commit(&file, false));
    return manifest_write(cli, v->out);
}
