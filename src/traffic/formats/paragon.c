// Juniper Paragon Planner and NorthStar Planner (docs/formats.md names the pages).
//   demand file   DemandID NodeA NodeZ bw Type_field Pri,Pre [Path]      bw in bit/s, or with K, M, G
//   trafficload   demand_name A2Z|Z2A - t0 [t1 .. t23]                   bit/s times UNIT; -1: not measured
// '#' begins a comment; `#Starting Time : 6/28/07 9:50 PM` and `#Interval : 5 minutes` say when the periods were.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/number.h"
#include "traffic/formats/internal.h"

enum { MAX_PERIODS = 24 };

// ---- demands -------------------------------------------------------------------------------------------------------

static bool read_bandwidth(double *bps, Slice s)
{
    const char *p = s.n ? number_parse(s.s, s.s + s.n, '.', bps) : NULL;
    if (!p || !isfinite(*bps) || *bps < 0) return false;
    const char *unit = p < s.s + s.n ? strchr("kmg", *p | 32) : NULL;
    for (const char *k = "kmg"; unit && k <= unit; k++) *bps *= 1000;
    return p + (unit != NULL) == s.s + s.n;
}

// Fields of the type, R,A2Z,voice: whether the demand runs from Z to A.
static bool runs_back(Slice type)
{
    for (size_t i = 0; i + 3 <= type.n; i++)
        if (!memcmp(type.s + i, "Z2A", 3) && (!i || type.s[i - 1] == ',') && (i + 3 == type.n || type.s[i + 3] == ','))
            return true;
    return false;
}

static Status read_demand(ParagonDemand *d, const FormatFile *f, Slice line, int64_t line_no)
{
    Slice bw, type, priority;
    *d = (ParagonDemand){.line = line_no};
    field_next(&d->id, &line), field_next(&d->from, &line), field_next(&d->to, &line), field_next(&bw, &line);
    if (!field_next(&type, &line))
        return ERROR("%s:%lld: want 'DemandID NodeA NodeZ bw Type Pri,Pre'", f->path, (long long)line_no);
    field_next(&priority, &line);
    if (!read_bandwidth(&d->bps, bw))
        return ERROR("%s:%lld: want a bandwidth in bit/s, such as 256000 or 2M, got '%.*s'", f->path,
                     (long long)line_no, SLICE(bw));
    if (runs_back(type)) {
        const Slice from = d->from;
        d->from = d->to;
        d->to = from;
    }
    return OK;
}

static int compare_slices(Slice a, Slice b)
{
    const int c = memcmp(a.s, b.s, a.n < b.n ? a.n : b.n);
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int compare_demands(const void *p, const void *q)
{
    const ParagonDemand *a = p, *b = q;
    const int c = compare_slices(a->id, b->id);
    return c ? c : (a->line > b->line) - (a->line < b->line);
}

Status parse_paragon_demands(ParagonDemands *d, Arena *a, const FormatFile *f)
{
    Lines count = lines_of(f->bytes, f->size), lines = count;
    int64_t n = 0;
    for (Slice line; lines_next_data(&line, &count); n++) continue;
    *d = (ParagonDemands){.demand = arena_alloc(a, (size_t)n * sizeof *d->demand), .path = f->path};
    for (Slice line; lines_next_data(&line, &lines); d->n++) TRY(read_demand(&d->demand[d->n], f, line, lines.line));
    qsort(d->demand, (size_t)n, sizeof *d->demand, compare_demands);
    for (int64_t k = 1; k < n; k++)
        if (!compare_slices(d->demand[k].id, d->demand[k - 1].id))
            return ERROR("%s:%lld: want each demand once, got '%.*s' again", f->path, (long long)d->demand[k].line,
                         SLICE(d->demand[k].id));
    return OK;
}

static Status demand_nodes(int *i, int *j, TableBuilder *b, const ParagonDemand *d)
{
    TRY(builder_node(i, b, d->from, d->line));
    return builder_node(j, b, d->to, d->line);
}

Status read_paragon_demands(TableBuilder *b, const FormatFile *f)
{
    const FileHead head = {.format = FORMAT_PARAGON_DEMAND, .kbps = 1e-3, .unit = "bit/s", .sums = true};
    ParagonDemands d;
    TRY(parse_paragon_demands(&d, builder_scratch(b), f));
    TRY(builder_head(b, &head));
    Stamp time;
    time_in_name(&time, f->path);
    builder_begin(b, time);
    for (int64_t k = 0; k < d.n; k++) {
        int i, j;
        TRY(demand_nodes(&i, &j, b, &d.demand[k]));
        TRY(builder_pair(b, i, j, d.demand[k].bps, d.demand[k].line));
    }
    return builder_end(b);
}

// ---- trafficload ---------------------------------------------------------------------------------------------------

typedef struct Load { const ParagonDemand *demand; bool back; int n; int64_t line; double value[MAX_PERIODS]; } Load;

// 6/28/07 9:50 PM, month first, UTC.
static bool read_start(Stamp *start, Slice s)
{
    char text[64], half = 0;
    int mo, d, y, h, mi, n = 0;
    snprintf(text, sizeof text, "%.*s", (int)(s.n < 60 ? s.n : 60), s.s);
    if (sscanf(text, "%2d/%2d/%4d %2d:%2d%n", &mo, &d, &y, &h, &mi, &n) != 5) return false;
    (void)sscanf(text + n, " %c", &half);
    if (half && (h < 1 || h > 12)) return false;
    if (half) h = h % 12 + 12 * ((half | 32) == 'p');
    snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d", y < 100 ? 2000 + y : y, mo, d, h, mi);
    return time_read(start, slice_of(text));
}

static Slice behind_colon(Slice line)
{
    const char *colon = memchr(line.s, ':', line.n);
    return slice_trim((Slice){colon + 1, line.n - (size_t)(colon + 1 - line.s)});
}

// The comments that say when the periods were.
static Status read_when(Stamp *start, int *slot, const FormatFile *f)
{
    Lines lines = lines_of(f->bytes, f->size);
    for (Slice line; lines_next(&line, &lines); ) {
        if (slice_begins(line, "#Starting Time") && memchr(line.s, ':', line.n)) {
            if (!read_start(start, behind_colon(line)))
                return ERROR("%s:%lld: want a time such as 6/28/07 9:50 PM, got '%.*s'", f->path, (long long)lines.line,
                             SLICE(line));
        } else if (slice_begins(line, "#Interval") && memchr(line.s, ':', line.n)) {
            *slot = duration_read(behind_colon(line));
            if (!*slot)
                return ERROR("%s:%lld: want an interval such as 5 minutes, got '%.*s'", f->path, (long long)lines.line,
                             SLICE(line));
        }
    }
    if (start->known && !*slot) return ERROR("%s: want #Interval beside #Starting Time, got none", f->path);
    return OK;
}

static const ParagonDemand *find_demand(const ParagonDemands *d, Slice id)
{
    const ParagonDemand key = {.id = id};
    int64_t low = 0, high = d->n;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (compare_slices(d->demand[middle].id, key.id) < 0) low = middle + 1;
        else high = middle;
    }
    return low < d->n && !compare_slices(d->demand[low].id, id) ? &d->demand[low] : NULL;
}

static Status read_load(Load *l, const FormatFile *f, const ParagonDemands *d, Slice line, int64_t line_no, double unit)
{
    Slice id, direction, field;
    field_next(&id, &line), field_next(&direction, &line);
    *l = (Load){.demand = find_demand(d, id), .back = slice_is(direction, "Z2A"), .line = line_no};
    if (!l->demand)
        return ERROR("%s:%lld: want a demand of %s, got '%.*s'", f->path, (long long)line_no, d->path, SLICE(id));
    if (!l->back && !slice_is(direction, "A2Z"))
        return ERROR("%s:%lld: want A2Z or Z2A, got '%.*s'", f->path, (long long)line_no, SLICE(direction));
    for (bool first = true; field_next(&field, &line); first = false) {
        if (first && slice_is(field, "-")) continue;
        if (l->n == MAX_PERIODS)
            return ERROR("%s:%lld: want at most %d periods, got more", f->path, (long long)line_no, MAX_PERIODS);
        double *v = &l->value[l->n++];
        if (slice_is(field, "-1")) *v = NAN;
        else if (read_bandwidth(v, field)) *v *= unit;
        else return ERROR("%s:%lld: want traffic in bit/s or -1, got '%.*s'", f->path, (long long)line_no,
                          SLICE(field));
    }
    return l->n ? OK : ERROR("%s:%lld: want 1 .. %d periods, got none", f->path, (long long)line_no, MAX_PERIODS);
}

// Lines KEY=VALUE before the loads: UNIT=8 says that numbers are bytes.
static Status read_key(double *unit, const FormatFile *f, Slice line, int64_t line_no)
{
    const Slice value = {line.s + 5, line.n - 5};
    if (slice_begins(line, "UNIT=") && slice_number(unit, value) && *unit > 0) return OK;
    return ERROR("%s:%lld: want UNIT=1 or UNIT=8, got '%.*s'", f->path, (long long)line_no, SLICE(line));
}

static Status read_loads(Load **load, int64_t *n, Arena *a, const FormatFile *f, const ParagonDemands *d)
{
    Lines count = lines_of(f->bytes, f->size), lines = count;
    int64_t most = 0;
    for (Slice line; lines_next_data(&line, &count); most++) continue;
    *load = arena_alloc(a, (size_t)most * sizeof **load);
    *n = 0;
    double unit = 1;
    for (Slice line; lines_next_data(&line, &lines); ) {
        if (memchr(line.s, '=', line.n) && !memchr(line.s, ' ', line.n)) {
            TRY(read_key(&unit, f, line, lines.line));
            continue;
        }
        Load *l = &(*load)[(*n)++];
        TRY(read_load(l, f, d, line, lines.line, unit));
        if (l->n != (*load)->n)
            return ERROR("%s:%lld: want %d periods as in the lines before, got %d", f->path, (long long)lines.line,
                         (*load)->n, l->n);
    }
    return *n ? OK : ERROR("%s: want lines 'demand A2Z - t0 t1 ..', got none", f->path);
}

static int compare_loads(const void *p, const void *q)
{
    const Load *const *x = p, *const *y = q, *a = *x, *b = *y;
    if (a->demand != b->demand) return a->demand < b->demand ? -1 : 1;
    if (a->back != b->back) return a->back ? 1 : -1;
    return (a->line > b->line) - (a->line < b->line);
}

static Status check_repeated(Arena *a, const FormatFile *f, const Load *load, int64_t n)
{
    const Load **order = arena_alloc(a, (size_t)n * sizeof *order);
    for (int64_t k = 0; k < n; k++) order[k] = &load[k];
    qsort(order, (size_t)n, sizeof *order, compare_loads);
    for (int64_t k = 1; k < n; k++)
        if (order[k]->demand == order[k - 1]->demand && order[k]->back == order[k - 1]->back)
            return ERROR("%s:%lld: want a demand once in each direction, got '%.*s' again", f->path,
                         (long long)order[k]->line, SLICE(order[k]->demand->id));
    return OK;
}

Status read_paragon_load(TableBuilder *b, const FormatFile *f, const ParagonDemands *d)
{
    FileHead head = {.format = FORMAT_PARAGON_LOAD, .kbps = 1e-3, .unit = "bit/s", .sums = true};
    Load *load;
    int64_t n, without = 0;
    Stamp time = {.known = false};
    TRY(read_loads(&load, &n, builder_scratch(b), f, d));
    TRY(check_repeated(builder_scratch(b), f, load, n));
    TRY(read_when(&time, &head.slot_seconds, f));
    TRY(builder_head(b, &head));
    unsigned char *loaded = arena_zalloc(builder_scratch(b), (size_t)d->n);
    for (int64_t k = 0; k < n; k++) loaded[load[k].demand - d->demand] = 1;
    for (int t = 0; t < load->n; t++, time.seconds += head.slot_seconds) {
        builder_begin(b, time);
        int i, j;
        for (int64_t k = 0; k < n; k++) {
            TRY(demand_nodes(&i, &j, b, load[k].demand));
            TRY(builder_pair(b, load[k].back ? j : i, load[k].back ? i : j, load[k].value[t], load[k].line));
        }
        without = 0;
        for (int64_t k = 0; k < d->n; k++) {
            if (loaded[k]) continue;
            without++;
            TRY(demand_nodes(&i, &j, b, &d->demand[k]));
            TRY(builder_pair(b, i, j, NAN, d->demand[k].line));
        }
        TRY(builder_end(b));
    }
    if (without)
        builder_note(b, "%s has no line for %lld demands of %s: missing", f->path, (long long)without, d->path);
    return OK;
}
