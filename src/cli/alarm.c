// lead alarm
#include "cli/alarm.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "io/file.h"
#include "io/json.h"
#include "tensor/clock.h"

typedef struct Values {
    DataOptions data;
    RunOptions run;
    const char *limits;
    double rate;
    int64_t rows, learn_rows;
    bool faults;
} Values;

#define AT(field) offsetof(Values, field)
static const Option table[] = {
    DATA_OPTIONS(Values),
    RUN_OPTIONS(Values),
    {"rows", OPT_INT, AT(rows), "N", "judge the last N rows [1]", 1, 1e9},
    {"rate", OPT_NUMBER, AT(rate), "P", "wanted share of ordinary matrices that raise an alarm [0.01]", 1e-5, 0.5},
    {"limits", OPT_TEXT, AT(limits), "FILE", "limits, JSON: read from FILE, or learnt and written when it is not there",
     0, 0},
    {"learn-rows", OPT_INT, AT(learn_rows), "N", "learn from at most so many of the validation rows [600]", 20, 1e6},
    {"faults", OPT_FLAG, AT(faults), NULL, "instead: inject faults into validation rows and print how many are found",
     0, 0},
};

static void defaults(void *values)
{
    Values *v = values;
    v->run.guidance = -1;
    v->rate = 0.01;
    v->rows = 1;
    v->learn_rows = 600;
}

// ---- forecasts

enum { NAIVE_HISTORY = 16, NAIVE_PATHS = 100, BATCH = 16, EXIT_ALARM = 3 };

static Status open_naive(AlarmSource *src, NaiveKind kind, TrafficRange fitted, TrafficRange learn)
{
    src->history = NAIVE_HISTORY;
    src->S = NAIVE_PATHS;
    src->K = 1;
    src->kind = DIST_SAMPLES;
    src->fitted = fitted;
    src->learn = learn;
    if (learn.end > src->s->T)
        return ERROR("%s: want the data that the run was trained on, grown by new rows; it was validated on rows up to "
                     "%lld, got %lld", src->name, (long long)learn.end - 1, (long long)src->s->T);
    return fallback_fit(&src->fit, src->cli->perm, kind, src->s, fitted, learn, src->history, src->K);
}

static Status open_run(AlarmSource *src, const RunOptions *o, TrafficSeries *s)
{
    LeadRun *r = src->run = arena_alloc(src->cli->perm, sizeof *r);
    TRY(run_open(src->cli, o, LEAD_BEST, r));          // the final fit has seen the rows that limits are learnt from
    TRY(run_match_series(s, r->nodes, r->zone, o->model, src->cli->perm));
    if (*r->stats.fallback > 0) {                      // one step is judged: the run would fit and draw all of its own
        run_say(r);
        src->run = NULL;
        return open_naive(src, (NaiveKind)(*r->stats.fallback - 1), r->train, r->val);
    }
    TRY(lead_run_attach(r, src->s));
    src->history = r->cfg.history;
    src->S = r->cfg.samples;
    src->K = r->cfg.horizon;
    src->kind = lead_dist(r);
    src->fitted = r->train;
    src->learn = r->val;
    run_say(r);
    if (src->learn.end > src->s->T)
        return ERROR(
            "%s: want the data that the run was trained on, grown by new rows; it was validated on rows up to %lld, "
            "got %lld",
            r->file, (long long)src->learn.end - 1, (long long)src->s->T);
    return OK;
}

Status alarm_open(AlarmSource *src, Cli *cli, const RunOptions *o, TrafficSeries *s)
{
    *src = (AlarmSource){.cli = cli, .s = s, .name = o->model};
    for (int i = 0; i < NAIVE_KINDS; i++)
        if (!strcmp(o->model, naive_names[i])) {
            const TrafficSplits split = traffic_splits(s->T, PROTOCOL_CLEAN);
            return open_naive(src, (NaiveKind)i, split.train, split.val);
        }
    return open_run(src, o, s);
}

static bool can_judge(const AlarmSource *src, int64_t t)
{
    const TrafficSeries *s = src->s;
    const size_t F = (size_t)s->N * (size_t)s->N;
    if (s->measured && !s->measured[t]) return false;
    if (s->seen && memchr(s->seen + (size_t)t * F, 0, F)) return false;
    return t >= src->history && s->slot[t] == s->slot[t - 1] + 1 && !forecast_history(s, t - 1, src->history).code;
}

int64_t alarm_rows(const AlarmSource *src, TrafficRange range, int64_t most, int64_t **rows)
{
    int64_t n = 0, kept = 0;
    *rows = arena_alloc(src->cli->perm, (size_t)(range.end - range.begin + 1) * sizeof **rows);
    for (int64_t t = range.begin; t < range.end; t++)
        if (can_judge(src, t)) (*rows)[n++] = t;
    if (n <= most) return n;
    for (; kept < most; kept++) (*rows)[kept] = (*rows)[kept * n / most];
    return kept;
}

float *alarm_floors_of(const AlarmSource *src)
{
    const int N = src->s->N;
    float *floor = arena_alloc(src->cli->perm, (size_t)alarm_values(N) * sizeof *floor);
    const int64_t first = src->fitted.begin, n = src->fitted.end - first;
    alarm_floors(floor, N, src->s->x + first * N * N, n, src->cli->scratch);
    return floor;
}

Status alarm_score_rows(AlarmSource *src, const float *floor, const int64_t *rows, int64_t n, AlarmRow *out)
{
    Cli *cli = src->cli;
    const int N = src->s->N, F = N * N, S = src->S;
    const size_t one = (size_t)S * (size_t)src->K * (size_t)F;
    float *x = arena_alloc(cli->perm, BATCH * one * sizeof *x),
          *step = arena_alloc(cli->perm, (size_t)(S * F) * sizeof *x);
    Progress bar = progress_new();
    const double start = clock_seconds();
    for (int64_t at = 0; at < n; at += BATCH) {
        const int m = n - at < BATCH ? (int)(n - at) : BATCH;
        int64_t last[BATCH];
        for (int i = 0; i < m; i++) last[i] = rows[at + i] - 1;
        if (src->run) TRY(lead_forecast(src->run, last, m, x, NULL));
        for (int i = 0; i < m; i++) {
            if (!src->run) fallback_forecast(&src->fit, cli->perm, src->s, last[i], S, 1, x + (size_t)i * one, NULL);
            for (int k = 0; k < S; k++)
                memcpy(step + (int64_t)k * F, x + (size_t)i * one + (int64_t)k * src->K * F, (size_t)F * sizeof *step);
            out[at + i].value = arena_alloc(cli->perm, (size_t)alarm_values(N) * sizeof(AlarmValue));
            alarm_score(&out[at + i], floor, N, src->s->x + rows[at + i] * F, step, S, src->kind, cli->scratch);
        }
        const double eta = (clock_seconds() - start) / (double)(at + m) * (double)(n - at - m);
        if (n > 2 * BATCH) progress_show(&bar, at + m, n, eta, "rows", at + m == n);
    }
    return OK;
}

// ---- limits in a file

static const char *limits_json(const AlarmLimits *l, const char *model, Arena *a)
{
    JsonWriter w = json_writer(a, 0);
    json_object(&w, NULL);
    json_string(&w, "lead", "alarm limits 1");
    json_string(&w, "model", model);
    json_int(&w, "nodes", l->N);
    json_int(&w, "rows", l->rows);
    json_double(&w, "rate", l->rate);
    json_double(&w, "reached", l->reached);
    for (int k = 0; k < ALARM_KINDS; k++) json_double(&w, alarm_kinds[k], l->limit[k]);
    for (int i = 0; i < 2; i++) {
        json_array(&w, i ? "usual" : "floor_kbps");
        for (int e = 0; e < alarm_values(l->N); e++) json_double(&w, NULL, (double)(i ? l->usual : l->floor)[e]);
        json_end(&w);
    }
    json_end(&w);
    return json_text(&w, NULL);
}

static Status read_array(float **out, Arena *a, const Json *root, const char *key, int n, const char *path)
{
    const Json *list = json_find(root, key);
    if (!list || list->type != JSON_ARRAY || list->n != n)
        return ERROR("%s: %s: want an array of %d, got %s", path, key, n, json_describe(list).s);
    *out = arena_alloc(a, (size_t)n * sizeof **out);
    int i = 0;
    for (const Json *j = list->child; j; j = j->next) {
        if (j->type != JSON_NUMBER || !(j->number > 0))
            return ERROR("%s: %s: want numbers above 0, got %s", path, key, json_describe(j).s);
        (*out)[i++] = (float)j->number;
    }
    return OK;
}

static Status read_limits(AlarmLimits *l, Arena *a, const char *path, const char *model, int N)
{
    const Json *root;
    const char *format, *of;
    int64_t nodes;
    TRY(json_read(&root, a, path, (size_t)1 << 30));
    TRY(json_get_string(&format, root, "lead", path));
    if (strcmp(format, "alarm limits 1")) return ERROR("%s: want alarm limits 1, got '%s'", path, format);
    TRY(json_get_string(&of, root, "model", path));
    if (strcmp(of, model)) return ERROR("%s: want limits of --model %s, got those of %s", path, model, of);
    TRY(json_get_int(&nodes, root, "nodes", 2, 4096, path));
    if (nodes != N) return ERROR("%s: want limits of %d nodes as the data have, got %lld", path, N, (long long)nodes);
    *l = (AlarmLimits){.N = N};
    TRY(json_get_int(&l->rows, root, "rows", 1, INT64_MAX, path));
    TRY(json_get_number(&l->rate, root, "rate", path));
    TRY(json_get_number(&l->reached, root, "reached", path));
    for (int k = 0; k < ALARM_KINDS; k++) TRY(json_get_number(&l->limit[k], root, alarm_kinds[k], path));
    TRY(read_array(&l->floor, a, root, "floor_kbps", alarm_values(N), path));
    return read_array(&l->usual, a, root, "usual", alarm_values(N), path);
}

static Status learn(AlarmLimits *l, AlarmSource *src, const char *file, double rate, int64_t most)
{
    int64_t *rows;
    const int64_t n = alarm_rows(src, src->learn, most, &rows);
    AlarmRow *row = arena_alloc(src->cli->perm, ((size_t)n + 1) * sizeof *row);
    *l = (AlarmLimits){.N = src->s->N, .floor = alarm_floors_of(src)};
    TRY(alarm_score_rows(src, l->floor, rows, n, row));
    TRY(alarm_learn(l, src->cli->perm, row, n, rate));
    fprintf(stderr, "limits learnt from %lld of the rows %lld..%lld: %.2f %% of them raise an alarm\n", (long long)n,
            (long long)src->learn.begin, (long long)src->learn.end - 1, 100 * l->reached);
    if ((double)n * rate < 3)
        fprintf(stderr, "note: %lld rows say little about a rate of %g; want some %.0f\n", (long long)n, rate,
                ceil(10 / rate));
    if (!file) return OK;
    const char *text = limits_json(l, src->name, src->cli->perm);
    return file_write(file, text, strlen(text));
}

Status alarm_limits(AlarmLimits *l, AlarmSource *src, const char *file, double rate, int64_t most)
{
    if (!file || access(file, F_OK)) return learn(l, src, file, rate, most);
    TRY(read_limits(l, src->cli->perm, file, src->name, src->s->N));
    fprintf(stderr, "%s: limits learnt from %lld rows for a rate of %g\n", file, (long long)l->rows, l->rate);
    return OK;
}

// ---- new rows

static void begin_line(JsonWriter *w, const TrafficSeries *s, int64_t t)
{
    json_reset(w);
    json_object(w, NULL);
    if (s->time) {
        char text[32];
        const time_t at = (time_t)s->time[t];
        struct tm tm;
        gmtime_r(&at, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        json_string(w, "time", text);
    }
    json_int(w, "row", t);
}

static void put_node(JsonWriter *w, const char *key, const TrafficSeries *s, int i)
{
    if (s->node) json_string(w, key, s->node[i]);
    else json_int(w, key, i);
}

static void print_value(JsonWriter *w, const AlarmSource *src, const AlarmLimits *l, const AlarmRow *row, int e,
                        int64_t t)
{
    const AlarmValue *a = &row->value[e];
    const int N = l->N;
    int node;
    const AlarmKind kind = alarm_kind(N, e, &node);
    begin_line(w, src->s, t);
    json_string(w, "kind", alarm_kinds[kind]);
    if (kind == ALARM_FLOW || kind == ALARM_ORIGIN) put_node(w, "origin", src->s, kind == ALARM_FLOW ? node / N : node);
    if (kind == ALARM_FLOW || kind == ALARM_DESTINATION)
        put_node(w, "destination", src->s, kind == ALARM_FLOW ? node % N : node);
    json_double(w, "kbps", (double)a->y);
    json_double(w, "expected_kbps", (double)a->q50);
    json_double(w, "q0.05_kbps", (double)a->q05);
    json_double(w, "q0.95_kbps", (double)a->q95);
    json_double(w, "pit", (double)a->pit);
    json_double(w, "score", alarm_relative(l, row, e));
    json_double(w, "limit", l->limit[kind]);
    json_end(w);
    fputs(json_text(w, NULL), stdout);
}

static void print_row(JsonWriter *w, const AlarmSource *src, const AlarmLimits *l, const AlarmRow *row, int64_t t)
{
    for (int e = 0; e < alarm_values(l->N); e++) {
        int node;
        if (alarm_relative(l, row, e) > l->limit[alarm_kind(l->N, e, &node)]) print_value(w, src, l, row, e, t);
    }
    if (!(row->matrix > l->limit[ALARM_MATRIX])) return;
    begin_line(w, src->s, t);
    json_string(w, "kind", "matrix");
    json_double(w, "score", row->matrix);
    json_double(w, "limit", l->limit[ALARM_MATRIX]);
    json_end(w);
    fputs(json_text(w, NULL), stdout);
}

static Status judge(AlarmSource *src, const AlarmLimits *l, int64_t count)
{
    const int64_t T = src->s->T, begin = T > count ? T - count : 0;
    int64_t *rows, raised = 0;
    const int64_t n = alarm_rows(src, (TrafficRange){begin, T}, INT64_MAX, &rows);
    if (n < T - begin)
        fprintf(stderr,
                "note: %lld of the last %lld rows cannot be judged: a gap, missing values, or fewer than %d valid rows "
                "before\n",
                (long long)(T - begin - n), (long long)(T - begin), src->history);
    AlarmRow *row = arena_alloc(src->cli->perm, ((size_t)n + 1) * sizeof *row);
    JsonWriter w = json_writer(src->cli->perm, 0);
    TRY(alarm_score_rows(src, l->floor, rows, n, row));
    for (int64_t i = 0; i < n; i++) {
        raised += alarm_raised(l, &row[i]);
        print_row(&w, src, l, &row[i], rows[i]);
    }
    fprintf(stderr, "%lld of %lld rows raise an alarm\n", (long long)raised, (long long)n);
    if (!n) return ERROR("alarm: none of the last %lld rows can be judged", (long long)(T - begin));
    return raised ? (Status){.code = EXIT_ALARM} : OK;
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    TrafficSeries s;
    AlarmSource src;
    AlarmLimits limits;
    if (!v->run.model) return USAGE_ERROR("alarm: wants --model RUN, or ridge and the like");
    if (v->faults && v->limits) return USAGE_ERROR("--faults: learns its own limits, so want no --limits");
    TRY(data_read(cli, &v->data, &s));
    TRY(alarm_open(&src, cli, &v->run, &s));
    if (v->faults) return alarm_faults(&src, v->rate, v->learn_rows);
    TRY(alarm_limits(&limits, &src, v->limits, v->rate, v->learn_rows));
    return judge(&src, &limits, v->rows);
}

const Verb verb_alarm = {
    .name = "alarm",
    .summary = "Compares new matrices with the forecasts made for them: a JSON line for each alarm, exit status 3.",
    .text =
        "Every flow, node sum, the total and the matrix as a whole are judged, each against its own past.  Limits are\n"
        "learnt from the validation rows (of --model ridge and the like: 15 % of the data after the 70 % that it is\n"
        "fitted on) so that a share --rate of ordinary matrices raises an alarm.  Exit: 0 nothing, 3 an alarm, else "
        "as\n"
        "all verbs.  In cron: lead alarm --model RUN --data FILE --limits limits.json || ..",
    OPTIONS(table),
    .size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
