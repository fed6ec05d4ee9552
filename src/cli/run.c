#include "cli/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"
#include "lead/general.h"
#include "tensor/ranks.h"

// "500M": bytes, in KiB, MiB or GiB.
static Status memory_parse(const char *text, size_t *bytes)
{
    static const char units[] = "KMG";
    *bytes = 0;
    if (!text) return OK;
    if (ranks_count() > 1) return USAGE_ERROR("--memory: wants one process, got %d ranks", ranks_count());
    char *end;
    const double n = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (end == text || !unit || end[1] || !(n > 0 && n <= 1e6))
        return USAGE_ERROR("--memory: want a size such as 500M or 2G, got '%s'", text);
    *bytes = (size_t)(n * (double)((size_t)1 << 10 * (unit - units + 1)));
    return OK;
}

static Status set_options(const RunOptions *o, LeadRun *r)
{
    if (r->note) fprintf(stderr, "note: %s\n", r->note);
    if (o->samples) r->cfg.samples = (int)o->samples;
    if (o->sample_steps) r->cfg.sample_steps = (int)o->sample_steps;
    if (o->guidance >= 0) r->cfg.guidance = o->guidance;
    if (o->sampler) TRY(config_set(&r->cfg, "sampler", o->sampler));
    TRY(memory_parse(o->memory, &r->memory));
    return lead_run_check(r);
}

Status run_open(Cli *cli, const RunOptions *o, LeadWanted wanted, LeadRun *r)
{
    TRY(lead_run_load(r, o->model, wanted, o->llm, &cli->device, cli->perm, cli->step, cli->scratch));
    return set_options(o, r);
}

Status run_is_general(Cli *cli, const RunOptions *o, const char **file)
{
    *file = NULL;
    struct stat sb;
    bool is;
    if (!o->model || strcmp(o->model, "pretrained") == 0) {
        *file = file_bundled(GENERAL_BUNDLED, cli->perm);
        return OK;
    }
    if (stat(o->model, &sb) || !S_ISREG(sb.st_mode)) return OK;   // opening a run says what is wrong
    TRY(lead_is_general(&is, o->model, cli->scratch));
    if (is) *file = o->model;
    return OK;
}

Status run_open_general(Cli *cli, const RunOptions *o, const char *file, const TrafficSeries *s, TrafficRange train,
                        TrafficRange val, LeadRun *r)
{
    Calibration c;
    size_t memory;
    if (o->llm) return USAGE_ERROR("--llm: %s has none", file);
    TRY(memory_parse(o->memory, &memory));
    TRY(lead_general_load(r, file, s, train, val, memory, &cli->device, cli->perm, cli->step, cli->scratch, &c));
    TRY(set_options(o, r));
    cli_say("%s: weights that suit any network; statistics of rows %lld..%lld, calibrated on %d windows of rows "
            "%lld..%lld", file, (long long)train.begin, (long long)train.end - 1, c.windows, (long long)val.begin,
            (long long)val.end - 1);
    return OK;
}

static void say_fallback(const LeadRun *r)
{
    if (*r->stats.fallback > 0)
        cli_say("%s: forecasts as %s does, since validation found the network no better", r->file,
                naive_names[(int)*r->stats.fallback - 1]);
}

void run_say_memory(const LeadRun *r)
{
    if (r->memory && r->cfg.model)
        cli_say("--memory: %s forecasts one window at a time; what that takes is not limited",
                config_choice(&r->cfg, "model"));
    else if (r->memory && r->fit.rows)
        cli_say("--memory: %lld samples at once, of %d windows with %d each", (long long)r->fit.rows, r->fit.windows,
                r->cfg.samples);
    else if (r->memory)
        cli_say("--memory: no samples of the network were drawn");
}

void run_say(const LeadRun *r)
{
    if (!r->general)
        cli_say("%s: %lld training steps on rows %lld..%lld%s", r->file, (long long)r->step,
                (long long)r->train.begin, (long long)r->train.end - 1,
                r->final ? " (the final fit: all rows of that time)" : "");
    if (r->calls)
        cli_say("%s: distilled from %d network calls per sample to %d", r->file, r->teacher_calls, r->calls);
    say_fallback(r);
}

// Without times there are no hours of the day to change.
static Status match_zone(TrafficSeries *s, const char *zone, const char *run, Arena *a)
{
    const char *const mine = s->zone ? s->zone : "";
    if (!s->time || !strcmp(mine, zone)) return OK;
    fprintf(stderr, "note: hours and weekdays are those of %s as in the training of %s, not those of %s\n",
            *zone ? zone : "UTC", run, *mine ? mine : "UTC");
    return traffic_series_set_zone(s, a, zone);
}

Status run_match_series(TrafficSeries *s, const char *nodes, const char *zone, const char *run, Arena *a)
{
    bool moved;
    const Status st = traffic_nodes_match(s, a, nodes, &moved);
    if (st.code) return ERROR("%s: %s", run, st.msg);
    if (moved) fprintf(stderr, "note: the nodes come in another order than in %s: mapped by name\n", run);
    return match_zone(s, zone, run, a);
}

void run_say_end(const Progress *bar, const TrainEnd *e)
{
    static const char *const why[] = {"", ": no better validation loss (key patience)",
                                      ": the time is over (key minutes)", ": as asked"};
    const bool short_of = e->step < e->total || e->why == TRAIN_TIME;
    fprintf(stderr, "%s%s ended at step %lld", bar->tty && short_of ? "\n" : "", e->final ? "final fit" : "training",
            (long long)e->step);
    if (short_of && e->total > e->step) fprintf(stderr, " of %lld", (long long)e->total);
    fprintf(stderr, "%s", why[e->why]);
    if (e->final) fprintf(stderr, "; fitted on rows %lld..%lld", (long long)e->rows.begin, (long long)e->rows.end - 1);
    else if (isfinite(e->best_val))
        fprintf(stderr, "; the best is step %lld, validation loss %.5f", (long long)e->best_step, e->best_val);
    else
        fprintf(stderr, "; no window fits into the validation rows: nothing was validated, the last step is taken");
    if (!e->final && e->since) fprintf(stderr, ", %lld validations before the last", (long long)e->since);
    fputc('\n', stderr);
}

void run_say_calibration(const Calibration *c)
{
    if (c->rival)
        fprintf(stderr, "errors fitted on validation windows: CRPS %.5f there\n", c->after);
    else if (!c->windows)
        fprintf(stderr, "not calibrated: key calibrate is off, or there are too few validation windows or samples\n");
    else
        fprintf(stderr, "calibrated on %d validation windows: samples stretched by %.2f .. %.2f (CRPS %.5f -> %.5f), "
                "point forecast %.0f .. %.0f %% of the way from the base to the mean head\n", c->windows, c->least,
                c->most, c->before, c->after, 100 * c->least_weight, 100 * c->most_weight);
    if (c->fallback)
        fprintf(stderr, "no better than %s on these data (validation CRPS %.5f, the network's %.5f): this run "
                "forecasts as %s does\n", c->naive, c->naive_crps, c->after, c->naive);
    else if (c->windows)
        fprintf(stderr, "best naive forecast on validation: %s, CRPS %.5f\n", c->naive, c->naive_crps);
}

// ---- what a run was started with

static Status recall_text(const char **given, const Json *options, const char *name, bool may_move)
{
    const Json *j = json_find(options, name);
    const char *then = j && j->type == JSON_STRING ? j->string : NULL;
    if (!*given) *given = then;
    else if (!may_move && (!then || strcmp(*given, then)))
        return USAGE_ERROR("--%s %s: the run was started with %s", name, *given, then ? then : "none");
    return OK;
}

static Status recall_int(int64_t *given, const Json *options, const char *name)
{
    const Json *j = json_find(options, name);
    const int64_t then = j && j->type == JSON_NUMBER ? (int64_t)j->number : 0;
    if (*given && *given != then)
        return USAGE_ERROR("--%s %lld: the run was started with %lld", name, (long long)*given, (long long)then);
    *given = then;
    return OK;
}

Status run_recall_data(DataOptions *d, const LeadRecord *r, Arena *a)
{
    const Json *manifest;
    TRY(json_parse(&manifest, a, r->manifest, strlen(r->manifest), r->file));
    const Json *o = json_find(manifest, "options"), *drop = json_find(o, "drop-suspicious"), *all = drop;
    if (!drop) all = json_find(o, "keep-all");         // a run of before 2026-12 left them out unless that was given
    const bool yes = all && all->type == JSON_BOOL && all->boolean, dropped = drop ? yes : !yes;
    const Json *keep = json_find(o, "keep-all");
    const bool kept = keep && keep->type == JSON_BOOL && keep->boolean;
    TRY(recall_text(&d->data, o, "data", true));
    TRY(recall_text(&d->times, o, "times", true));
    TRY(recall_text(&d->gaps, o, "gaps", false));
    TRY(recall_text(&d->invalid, o, "invalid", false));
    const struct { const char *name, **given; } texts[] = {
        {"unit", &d->unit}, {"tz", &d->tz}, {"slot", &d->slot}, {"aggregate", &d->aggregate}, {"fill", &d->fill},
        {"columns", &d->columns}, {"sampling", &d->sampling}, {"absent", &d->absent},
        {"capacity", &d->capacity}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        TRY(recall_text(texts[i].given, o, texts[i].name, false));
    TRY(recall_text(&d->map, o, "map", true));
    TRY(recall_int(&d->slot_seconds, o, "slot-seconds"));
    TRY(recall_int(&d->calendar_shift, o, "calendar-shift"));
    if (d->keep_all && !kept) return USAGE_ERROR("--keep-all: the run was started without it");
    if (d->drop_suspicious && !dropped) return USAGE_ERROR("--drop-suspicious: the run was started without it");
    d->drop_suspicious = dropped, d->keep_all = kept;
    if (!d->data) d->data = r->data_path;
    return OK;
}
