// Reading the data that a verb is given.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "io/file.h"
#include "io/number.h"
#include "traffic/times.h"
#include "traffic/unit.h"

// "12,40-50": sorted or not; rows are checked by who uses them.
static Status parse_rows(const char *text, const char *name, Arena *a, int64_t **rows, int64_t *n)
{
    enum { MOST = 10000000 };
    int64_t count = 0, cap = 64, *out = arena_alloc(a, (size_t)cap * sizeof *out);
    for (const char *p = text; *p;) {
        char *end;
        const long long from = strtoll(p, &end, 10);
        long long to = from;
        bool ok = end != p && from >= 0;
        if (ok && *end == '-') {
            p = end + 1;
            to = strtoll(p, &end, 10);
            ok = end != p && to >= from && to - from < MOST;
        }
        if (!ok || (*end && *end != ',')) return USAGE_ERROR("--%s: want rows such as 12,40-50, got '%s'", name, text);
        for (long long r = from; r <= to; r++) {
            if (count == cap) {
                int64_t *grown = arena_alloc(a, (size_t)cap * 2 * sizeof *grown);
                memcpy(grown, out, (size_t)cap * sizeof *grown);
                out = grown;
                cap *= 2;
            }
            out[count++] = r;
        }
        p = *end ? end + 1 : end;
    }
    *rows = out;
    *n = count;
    return OK;
}

static Status parse_number(const char *text, const char *name, double min, double max, double *v)
{
    const char *end = text + strlen(text);
    if (number_parse(text, end, '.', v) == end && *v >= min && *v <= max) return OK;
    return USAGE_ERROR("--%s: want a number in %g .. %g, got '%s'", name, min, max, text);
}

static Status parse_choice(const char *text, const char *name, const char *const *choice, int n, int *v)
{
    for (*v = 0; *v < n; ++*v)
        if (!strcmp(text, choice[*v])) return OK;
    return USAGE_ERROR("--%s: want %s%s%s or %s, got '%s'", name, choice[0], n > 2 ? ", " : "", n > 2 ? choice[1] : "",
                       choice[n - 1], text);
}

static Status parse_capacity(const char *text, double *kbps)
{
    const char *end = text + strlen(text), *rest = number_parse(text, end, '.', kbps);
    TrafficUnit unit = {1, 1};
    while (rest && *rest == ' ') rest++;
    if (!rest || (rest < end && !unit_parse(rest, (size_t)(end - rest), &unit)) || unit.seconds == 0 || !(*kbps > 0))
        return USAGE_ERROR("--capacity: want a rate such as 10Gbit/s, got '%s'", text);
    *kbps *= unit_kbps(&unit, 1);
    return OK;
}

static Status read_options(TrafficReadOptions *r, const DataOptions *o, int fill, Arena *a)
{
    static const char *const aggregates[] = {"mean", "max", "p95"}, *const absents[] = {"zero", "missing"};
    double v = fill;
    int choice = 0;
    int64_t *rows = NULL, slot = 0;
    *r = (TrafficReadOptions){.times_path = o->times, .slot_seconds = (int)o->slot_seconds, .tz = o->tz,
                              .calendar_shift_s = o->calendar_shift, .unit = o->unit, .columns = o->columns,
                              .map_path = o->map};
    if (o->gaps) TRY(parse_rows(o->gaps, "gaps", a, &rows, &r->n_gaps));
    r->gaps = rows;
    if (o->invalid) TRY(parse_rows(o->invalid, "invalid", a, &rows, &r->n_invalid));
    r->invalid = rows;
    if (o->fill) TRY(parse_number(o->fill, "fill", 0, 1e6, &v));
    r->fill = (int)v;
    if (o->capacity) TRY(parse_capacity(o->capacity, &r->capacity_kbps));
    if (o->sampling) TRY(parse_number(o->sampling, "sampling", 1e-9, 1e12, &r->sampling));
    if (o->slot && (!duration_parse(o->slot, strlen(o->slot), &slot) || slot > DAY_SECONDS))
        return USAGE_ERROR("--slot: want a time such as 15m, 1h or 1d (at most a day), got '%s'", o->slot);
    r->resample_seconds = (int)slot;
    if (o->aggregate && !o->slot) return USAGE_ERROR("--aggregate: wants --slot TIME");
    if (o->aggregate) TRY(parse_choice(o->aggregate, "aggregate", aggregates, 3, &choice));
    r->aggregate = (TrafficAggregate)choice;
    if (o->absent) TRY(parse_choice(o->absent, "absent", absents, 2, &choice));
    r->absent = o->absent ? choice + 1 : 0;
    return OK;
}

static void say_reading(const TrafficSeries *s, Arena *a)
{
    const size_t mark = arena_mark(a);
    TextWriter out;
    text_open(&out, a);
    traffic_reading_print(s, out.f);
    for (const char *p = text_close(&out), *end; *p; p = *end ? end + 1 : end) {
        end = strchrnul(p, '\n');
        cli_say("%.*s", (int)(end - p), p);
    }
    arena_rewind(a, mark);
}

// Names those of the suspicious snapshots that are, or are not, impossible.
static void say_rows(const TrafficSuspect *list, int64_t n, bool impossible, const char *what)
{
    enum { SHOWN = 12 };
    char rows[SHOWN * 24] = "";
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        if ((list[i].ratio >= TRAFFIC_IMPOSSIBLE) != impossible) continue;
        if (found++ < SHOWN)
            snprintf(rows + strlen(rows), sizeof rows - strlen(rows), "%s%lld", found > 1 ? ", " : "",
                     (long long)list[i].row);
    }
    if (found)
        cli_say("  suspect  %lld snapshots (rows %s%s) %s", (long long)found, rows, found > SHOWN ? ", .." : "", what);
}

// Finds suspicious snapshots, names them, and leaves out those that are impossible, or all where that was asked for.
static void say_suspects(const DataOptions *o, TrafficSeries *s, Arena *a)
{
    const size_t mark = arena_mark(a);
    TrafficSuspect *list;
    const int64_t n = traffic_suspects_find(s, a, &list);
    for (int64_t i = 0; i < n; i++)
        if (o->drop_suspicious || (!o->keep_all && list[i].ratio >= TRAFFIC_IMPOSSIBLE)) s->valid[list[i].row] = 0;
    say_rows(list, n, true, o->keep_all ? "of more than 100 times the usual total kept; lead data info says more"
                                        : "of more than 100 times the usual total left out (--keep-all keeps them)");
    say_rows(list, n, false, o->drop_suspicious ? "left out; lead data info says why"
                                                : "kept (--drop-suspicious leaves them out); lead data info says why");
    arena_rewind(a, mark);
}

static Status read_data(Cli *cli, const DataOptions *o, int fill, bool to_write, TrafficSeries *s)
{
    const char *path = o->data ? o->data : cli->positional;
    if (!path) return USAGE_ERROR("%s: wants --data FILE", cli->verb->name);
    if (o->data && cli->positional)
        return USAGE_ERROR("%s: wants one of '%s' and --data %s, got both", cli->verb->name, cli->positional, o->data);
    if (o->keep_all && o->drop_suspicious) return USAGE_ERROR("--drop-suspicious: --keep-all says otherwise");
    TrafficReadOptions r;
    TRY(read_options(&r, o, fill, cli->perm));
    r.keep_missing = to_write;
    const bool several = !o->data && cli->n_paths > 1;
    TRY(traffic_series_read_all(s, cli->perm, several ? cli->paths : &path, several ? cli->n_paths : 1, &r));
    cli_say("%s: %lld snapshots of %d x %d, %d s each, %lld runs", path, (long long)s->T, s->N, s->N, s->slot_seconds,
            (long long)s->n_runs);
    say_reading(s, cli->scratch);
    if (!to_write) say_suspects(o, s, cli->perm);
    return OK;
}

Status data_read(Cli *cli, const DataOptions *o, TrafficSeries *s)
{
    enum { FILL = 3 };
    return read_data(cli, o, FILL, false, s);
}

Status data_read_to_write(Cli *cli, const DataOptions *o, TrafficSeries *s)
{
    if (o->drop_suspicious)
        return USAGE_ERROR("--drop-suspicious: suspicious snapshots are found again where the series is used");
    if (o->gaps) return USAGE_ERROR("--gaps: no file that is written holds them; want them where the series is used");
    TRY(read_data(cli, o, 0, true, s));
    // a row that was left out is missing
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t k = 0; k < s->T * F; k++)
        if (!s->valid[k / F]) {
            s->x[k] = NAN;
            if (s->seen) s->seen[k] = 0;
        }
    return OK;
}
