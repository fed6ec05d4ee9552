// lead report
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/alarm.h"
#include "cli/report_parts.h"
#include "cli/verbs.h"
#include "lead/general.h"
#include "traffic/times.h"

typedef struct Values {
    LoadsOptions loads;          // its quantiles and format are not used
    const char *fail, *split, *limits, *alarm_model, *title;
    double rate;
    int64_t windows, alarm_rows, learn_rows;
} Values;

#define AT(field) offsetof(Values, field)
static const Option table[] = {
    {"out", OPT_TEXT, AT(loads.out), "FILE", "the page, HTML; one file that needs nothing else (-: stdout)", 0, 0},
    PATHS_OPTIONS(PathsOptions),
    NETWORK_OPTIONS(LoadsOptions),
    {"above", OPT_TEXT, AT(loads.above), "LIST",
     "how probable a load above so many % of the capacity is [50,80,100]", 0, 0},
    {"fail", OPT_TEXT, AT(fail), "LIST", "what fails, as in lead whatif [all-single]", 0, 0},
    {"windows", OPT_INT, AT(windows), "N", "windows to score, evenly spaced; 0: no accuracy [60]", 0, 1e9},
    {"split", OPT_TEXT, AT(split), "NAME", "rows that are scored: test, or val [test]", 0, 0},
    {"alarm-rows", OPT_INT, AT(alarm_rows), "N", "newest rows to judge; 0: no alarms [48]", 0, 1e9},
    {"alarm-model", OPT_TEXT, AT(alarm_model), "NAME",
     "whose forecasts rows are judged by: a naive forecast, or run, that of --model [with --limits run, else ridge]", 0,
     0},
    {"learn-rows", OPT_INT, AT(learn_rows), "N", "learn limits from at most so many of the validation rows [300]", 20,
     1e6},
    {"rate", OPT_NUMBER, AT(rate), "P", "wanted share of ordinary matrices that raise an alarm [0.01]", 1e-5, 0.5},
    {"limits", OPT_TEXT, AT(limits), "FILE", "limits of lead alarm: read from FILE, or learnt and written", 0, 0},
    {"title", OPT_TEXT, AT(title), "TEXT", "heading (default: the name of the data)", 0, 0},
};

static void defaults(void *values)
{
    Values *v = values;
    loads_defaults(&v->loads, "50,80,100");
    v->split = "test";
    v->windows = 60;
    v->alarm_rows = 48;
    v->learn_rows = 300;
    v->rate = 0.01;
}

// A part that cannot be made does not take the others with it: the page and stderr say why it is missing.
static void leave_out(Report *r, Cli *cli, const char *part, Status why)
{
    cli_say("note: left out of the report: %s: %s", part, why.msg);
    report_note(r, cli->perm, part, why.msg);
}

// ---- accuracy

static Status add_eval(Report *r, Cli *cli, const Values *v, const PathsForecast *f, TrafficSeries *s)
{
    EvalValues *o = arena_zalloc(cli->perm, sizeof *o);
    EvalScores *e = arena_alloc(cli->perm, sizeof *e);
    eval_defaults(o);
    o->run = v->loads.from.run;
    o->split = v->split;
    o->most = v->windows;
    o->naive_only = !f->run;
    if (!f->run) o->run.model = NULL;
    else if (!o->run.model) o->run.model = "pretrained";
    if (f->run && lead_refits_ridge(&f->run->cfg)) o->protocol = "rolling";
    TRY(eval_scores(e, cli, o, s));
    parts_eval(r, cli->perm, e);
    return OK;
}

// ---- alarms

typedef struct Alarms {
    ReportAlarms *out;
    ReportAlarm *alarm;          // [MOST_ALARMS] of out
    const AlarmSource *src;
    const AlarmLimits *limits;
} Alarms;

static const char *moment(const Alarms *x, int64_t t) { return traffic_row_text(x->src->s, t, x->src->cli->perm); }

static const char *node(const Alarms *x, int i)
{
    const TrafficSeries *s = x->src->s;
    return s->node ? s->node[i] : arena_printf(x->src->cli->perm, "%d", i);
}

static const char *where(const Alarms *x, AlarmKind kind, int i)
{
    Arena *a = x->src->cli->perm;
    const int N = x->limits->N;
    return kind == ALARM_FLOW          ? arena_printf(a, "%s to %s", node(x, i / N), node(x, i % N))
           : kind == ALARM_ORIGIN      ? arena_printf(a, "what %s sends", node(x, i))
           : kind == ALARM_DESTINATION ? arena_printf(a, "what %s receives", node(x, i))
                                       : "all traffic";
}

enum { MOST_ALARMS = 60 };

static void add_alarm(const Alarms *x, ReportAlarm a)
{
    if (x->out->found++ < MOST_ALARMS) x->alarm[x->out->n++] = a;
}

static void add_alarms_of(const Alarms *x, const AlarmRow *row, int64_t t)
{
    const AlarmLimits *l = x->limits;
    if (row->matrix > l->limit[ALARM_MATRIX])
        add_alarm(x, (ReportAlarm){moment(x, t), "matrix", "the matrix as a whole", NAN, NAN, NAN, NAN, row->matrix,
                                   l->limit[ALARM_MATRIX]});
    for (int e = 0; e < alarm_values(l->N); e++) {
        int i;
        const AlarmKind kind = alarm_kind(l->N, e, &i);
        const AlarmValue *a = &row->value[e];
        const double score = alarm_relative(l, row, e);
        if (score > l->limit[kind])
            add_alarm(x, (ReportAlarm){moment(x, t), alarm_kinds[kind], where(x, kind, i), (double)a->y, (double)a->q50,
                                       (double)a->q05, (double)a->q95, score, l->limit[kind]});
    }
}

// Whose forecasts alarms are judged by -> *model.  Limits of the run's own take hundreds of its forecasts, a minute or
// more; ridge's take a second, and one step ahead it is a good judge.
static Status alarm_model(const char **model, const Values *v, const PathsForecast *f)
{
    const char *given = v->loads.from.run.model, *wanted = v->alarm_model;
    // weights for any network are calibrated on the rows to be judged, and few rows are forecast without a model
    const bool can = f->run ? !f->run->general : given && paths_is_naive(given), run = wanted && !strcmp(wanted, "run");
    if (run && !can)
        return ERROR("--alarm-model run: weights that were not trained are calibrated on the rows to be judged; want a "
                     "naive forecast such as ridge");
    if (run || (!wanted && can && (v->limits || !f->run))) *model = given;
    else *model = wanted ? wanted : "ridge";
    return OK;
}

static Status add_alarms(Report *r, Cli *cli, const Values *v, const PathsForecast *f, TrafficSeries *s)
{
    Arena *a = cli->perm;
    AlarmSource *src = arena_alloc(a, sizeof *src);
    AlarmLimits limits;
    RunOptions o = v->loads.from.run;
    TRY(alarm_model(&o.model, v, f));
    TRY(alarm_open(src, cli, &o, s));
    TRY(alarm_limits(&limits, src, v->limits, v->rate, v->learn_rows));
    int64_t *rows;
    const int64_t end = f->t + 1 + s->T - f->series->T;    // the forecast's series may be the newest part of s
    const TrafficRange newest = {end > v->alarm_rows ? end - v->alarm_rows : 0, end};
    const int64_t n = alarm_rows(src, newest, INT64_MAX, &rows);
    if (!n) return ERROR("none of the newest %lld rows can be judged", (long long)(newest.end - newest.begin));
    AlarmRow *row = arena_alloc(a, (size_t)n * sizeof *row);
    TRY(alarm_score_rows(src, limits.floor, rows, n, row));
    ReportAlarm *alarm = arena_alloc(a, MOST_ALARMS * sizeof *alarm);
    ReportAlarms *out = arena_alloc(a, sizeof *out);
    const Alarms x = {out, alarm, src, &limits};
    *out = (ReportAlarms){.model = src->name, .judged = n, .skipped = newest.end - newest.begin - n,
                          .learnt = limits.rows, .rate = limits.rate, .reached = limits.reached,
                          .first = moment(&x, rows[0]), .last = moment(&x, rows[n - 1]), .alarm = alarm};
    for (int64_t i = n - 1; i >= 0; i--) {
        out->raised += alarm_raised(&limits, &row[i]);
        add_alarms_of(&x, &row[i], rows[i]);
    }
    r->alarms = out;
    return OK;
}

// ---- the verb

static Status add_links(Report *r, Cli *cli, const Values *v, const LoadsForecast *on)
{
    parts_links(r, cli, &on->f, &on->net, on->above, on->show.thresholds);
    if (v->loads.net.routing) {
        leave_out(r, cli, "failures", ERROR("a given routing has no other paths; want --topology alone"));
        return OK;
    }
    return parts_failures(r, cli, &on->f, &on->net, v->fail ? v->fail : "all-single", on->above, on->show.thresholds);
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    LoadsForecast *on = arena_zalloc(cli->perm, sizeof *on);
    TrafficSeries *s = arena_alloc(cli->perm, sizeof *s);
    Report r = {0};
    if (!v->loads.out) return USAGE_ERROR("report: wants --out FILE.html");
    if (strcmp(v->split, "val") && strcmp(v->split, "test"))
        return USAGE_ERROR("--split: want test or val, got '%s'", v->split);
    if (v->alarm_model && strcmp(v->alarm_model, "run") && !paths_is_naive(v->alarm_model))
        return USAGE_ERROR("--alarm-model: want run or a naive forecast such as ridge, got '%s'", v->alarm_model);
    if (v->fail && !v->loads.net.topology) return USAGE_ERROR("--fail: wants --topology");
    TRY(file_try(v->loads.out));       // the rest takes long
    TRY(data_read(cli, &v->loads.from.data, s));
    v->loads.from.series = s;
    if (v->loads.net.topology || v->loads.net.routing) {
        TRY(loads_open(on, cli, &v->loads));
        if (!s->node && v->loads.net.topology) on->f.node = s->node = on->net.topology.node;
        TRY(add_links(&r, cli, v, on));
    } else TRY(paths_forecast(&on->f, cli, &v->loads.from, true));
    parts_data(&r, cli->perm, s, v->loads.from.data.data);
    parts_forecast(&r, cli, &on->f);
    const Status scored = v->windows ? add_eval(&r, cli, v, &on->f, s) : OK;
    if (scored.code) leave_out(&r, cli, "accuracy", scored);
    const Status judged = v->alarm_rows ? add_alarms(&r, cli, v, &on->f, s) : OK;
    if (judged.code) leave_out(&r, cli, "alarms", judged);
    TRY(parts_write(&r, cli, v->title, v->loads.from.data.data, v->loads.out));
    paths_say(&on->f);
    return OK;
}

const Verb verb_report = {
    .name = "report",
    .summary = "Writes a page to look at: data, forecast, accuracy, links, failures, alarms; one HTML file.",
    .text =
        "It makes in one go what lead forecast, eval, loads, whatif and alarm make, with charts that show their\n"
        "numbers where they are pointed at; for links and failures give --topology.  The page needs no network and\n"
        "no script, and can be printed.  Fewer windows are scored than lead eval scores: a quick look, and the page\n"
        "says how many.  A part that cannot be made is left out, and the page says why.",
    OPTIONS(table),
    .size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
