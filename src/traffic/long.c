#include "traffic/long.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/long_columns.h"
#include "traffic/long_json.h"
#include "traffic/times.h"

enum { MOST_COLUMNS = 512, MOST_NODES = 4096 };

// ---- the shape of the text -----------------------------------------------------------------------------------------

typedef struct LongShape {
    bool json, header;
    char separator, point;               // of text; the point of values
    int n_columns;                       // of text
    int column[LONG_COLUMNS];            // of text
    const char *key[LONG_COLUMNS];       // of JSON, NULL: none
} LongShape;

static bool is_time(TextField f)
{
    int64_t t;
    return time_parse(f.p, f.n, &t) != TIME_NONE;
}

// Four columns without a header: a time that comes again, or names as source and destination.
static bool headless(LongShape *l, const TextField *f, int n, const TextLine *second)
{
    double v;
    TextField g[4];
    if (n != 4 || !is_time(f[0])) return false;
    if (!text_number(f[3], '.', &v) && (l->separator == ',' || !text_number(f[3], ',', &v))) return false;
    const bool names = !text_number(f[1], '.', &v) && !text_number(f[2], '.', &v) && f[1].n && f[2].n;
    const bool four = text_split(second, l->separator, g, 4) == 4;
    if (!names && !(four && is_time(g[0]))) return false;
    for (int c = 0; c < LONG_COLUMNS; c++) l->column[c] = c < 4 ? c : -1;
    return true;
}

static Status text_shape(bool *is, LongShape *l, const TextLine *first, const TextLine *second, const TextSource *s,
                         const TrafficReadOptions *o)
{
    static const char separators[] = {';', '\t', ',', ' '};
    TextField f[MOST_COLUMNS];
    *is = false;
    for (size_t i = 0; i < sizeof separators && !*is; i++) {
        l->separator = separators[i];
        const int64_t n = text_split(first, l->separator, f, MOST_COLUMNS);
        if (n < 3 || n > MOST_COLUMNS) continue;
        l->n_columns = (int)n;
        int names = 0;
        double v;
        for (int k = 0; k < n; k++) names += !text_number(f[k], '.', &v) && !is_time(f[k]);
        l->header = names == n;
        if (o->columns) {
            TRY(long_columns_asked(l->column, o->columns, f, l->n_columns, s->path));
            *is = true;
        } else {
            *is = l->header ? long_columns_usual(l->column, f, l->n_columns) : headless(l, f, l->n_columns, second);
        }
    }
    if (o->columns && !*is) return ERROR("%s: --columns: want a table of at least three columns", s->path);
    return OK;
}

// With another separator than the comma, a comma may be the decimal point of values.
static void find_point(LongShape *l, const TextSource *s)
{
    enum { LOOK = 32 };
    TextField f[MOST_COLUMNS];
    TextLine line;
    double v;
    l->point = '.';
    TextLines lines = text_lines(s);
    for (int i = 0; i < LOOK && l->point == '.' && l->separator != ',' && text_next(&lines, &line); i++) {
        const int at = l->column[LONG_VALUE];
        if (text_split(&line, l->separator, f, MOST_COLUMNS) != l->n_columns) continue;
        if (memchr(f[at].p, ',', f[at].n) && text_number(f[at], ',', &v)) l->point = ',';
    }
}

// The keys are those of the first object.
static Status json_shape(LongShape *l, Arena *a, JsonObjects *objects, const TextSource *s, const TrafficReadOptions *o)
{
    const Json *object;
    TextLine first;
    bool more;
    TRY(json_objects_next(objects, &first, &more));
    if (!more) return ERROR("%s: want objects in the array, got none", s->path);
    TRY(json_object_parse(&object, a, &first, s->path));
    if (object->n > MOST_COLUMNS)
        return ERROR("%s:%lld: want at most %d keys", s->path, (long long)first.number, MOST_COLUMNS);
    TextField name[MOST_COLUMNS];
    int n = 0, column[LONG_COLUMNS];
    for (const Json *m = object->child; n < object->n; m = m->next) name[n++] = (TextField){m->key, m->key_len};
    if (o->columns) TRY(long_columns_asked(column, o->columns, name, n, s->path));
    else if (!long_columns_usual(column, name, n))
        return ERROR("%s:%lld: want keys for source, destination and value, found none by the usual names (--columns)",
                     s->path, (long long)first.number);
    *l = (LongShape){.json = true, .point = '.'};
    for (int c = 0; c < LONG_COLUMNS; c++) l->key[c] = column[c] < 0 ? NULL : text_copy(a, name[column[c]]);
    return OK;
}

static Status find_shape(bool *is, LongShape *l, Arena *a, const TextSource *s, const TrafficReadOptions *o)
{
    JsonObjects objects = json_objects(s);
    *l = (LongShape){.json = false};
    *is = objects.layout != JSON_NONE;
    if (*is) return json_shape(l, a, &objects, s, o);
    TextLines lines = objects.lines;
    TextLine first, second;
    if (!text_next(&lines, &first)) return OK;
    if (!text_next(&lines, &second)) second = (TextLine){first.end, first.end, 0};
    TRY(text_shape(is, l, &first, &second, s, o));
    if (*is) find_point(l, s);
    return OK;
}

Status long_is(bool *is, Arena *a, const TextSource *s, const TrafficReadOptions *o)
{
    LongShape l;
    return find_shape(is, &l, a, s, o);
}

// ---- records -------------------------------------------------------------------------------------------------------

typedef struct Record { TextField f[LONG_COLUMNS]; int64_t line; } Record;

typedef struct Records {
    LongShape l;
    const TextSource *s;
    TextLines lines;
    JsonObjects objects;
    Arena *scratch;
    size_t mark;
} Records;

static Records records_of(const LongShape *l, const TextSource *s, Arena *scratch)
{
    Records r = {.l = *l, .s = s, .lines = text_lines(s), .objects = json_objects(s), .scratch = scratch,
                 .mark = arena_mark(scratch)};
    TextLine line;
    if (l->header) text_next(&r.lines, &line);
    return r;
}

static Status json_record(Records *r, Record *out, bool *more)
{
    const Json *object;
    TextLine text;
    TRY(json_objects_next(&r->objects, &text, more));
    if (!*more) return OK;
    arena_rewind(r->scratch, r->mark);
    TRY(json_object_parse(&object, r->scratch, &text, r->s->path));
    out->line = text.number;
    for (int c = 0; c < LONG_COLUMNS; c++)
        out->f[c] = r->l.key[c] ? json_field(json_find(object, r->l.key[c]), r->scratch) : (TextField){"", 0};
    return OK;
}

static Status next_record(Records *r, Record *out, bool *more)
{
    TextLine line;
    if (r->l.json) return json_record(r, out, more);
    *more = text_next(&r->lines, &line);
    if (!*more) return OK;
    out->line = line.number;
    TextField f[MOST_COLUMNS];
    const int64_t n = text_split(&line, r->l.separator, f, r->l.n_columns);
    if (n != r->l.n_columns)
        return ERROR("%s:%lld: want %d fields as in line 1, got %lld", r->s->path, (long long)line.number,
                     r->l.n_columns, (long long)n);
    for (int c = 0; c < LONG_COLUMNS; c++)
        out->f[c] = r->l.column[c] < 0 ? (TextField){"", 0} : f[r->l.column[c]];
    return OK;
}

// ---- sets of names and times ---------------------------------------------------------------------------------------

enum { OUTSIDE = -1 };                   // a name that the map does not know

typedef struct Name { TextField text; int node; } Name;

typedef struct NameSet {
    Name *slot;
    int64_t n, size;
    const char *node[MOST_NODES];
    int nodes;
    bool quotes;                         // names are fields of text, where a doubled quote is one
    int64_t outside;                     // records that the map leaves out
} NameSet;

static uint64_t hash_of(const char *p, size_t n)
{
    uint64_t h = 1469598103934665603u;   // FNV-1a
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static Name *name_slot(NameSet *s, TextField text)
{
    uint64_t i = hash_of(text.p, text.n) & (uint64_t)(s->size - 1);
    while (s->slot[i].text.p && (s->slot[i].text.n != text.n || memcmp(s->slot[i].text.p, text.p, text.n)))
        i = (i + 1) & (uint64_t)(s->size - 1);
    return &s->slot[i];
}

static void name_grow(NameSet *s, Arena *a)
{
    NameSet old = *s;
    s->size = old.size ? 2 * old.size : 256;
    s->slot = arena_zalloc(a, (size_t)s->size * sizeof *s->slot);
    for (int64_t i = 0; i < old.size; i++)
        if (old.slot[i].text.p) *name_slot(s, old.slot[i].text) = old.slot[i];
}

static int node_of(NameSet *s, Arena *a, TextField name)
{
    for (int i = 0; i < s->nodes; i++)
        if (strlen(s->node[i]) == name.n && !memcmp(s->node[i], name.p, name.n)) return i;
    if (s->nodes == MOST_NODES) return MOST_NODES;
    s->node[s->nodes] = text_copy(a, name);
    return s->nodes++;
}

// The node of a name, which is added where it is new; MOST_NODES: there are too many.
static int name_node(NameSet *s, Arena *a, TextField text, const NodeMap *map)
{
    if (2 * (s->n + 1) > s->size) name_grow(s, a);
    Name *at = name_slot(s, text);
    if (at->text.p) return at->node;
    at->text = (TextField){text_copy(a, text), text.n};
    s->n++;
    if (s->quotes) text = text_name(a, text);
    const TextField node = map ? node_map_find(map, text) : text;
    return at->node = node.n ? node_of(s, a, node) : OUTSIDE;
}

typedef struct TimeSet { int64_t *slot, n, size; } TimeSet;      // 0: free

static void time_add(TimeSet *s, Arena *a, int64_t time)
{
    if (2 * (s->n + 1) > s->size) {
        const TimeSet old = *s;
        *s = (TimeSet){.size = old.size ? 2 * old.size : 256};
        s->slot = arena_zalloc(a, (size_t)s->size * sizeof *s->slot);
        for (int64_t i = 0; i < old.size; i++)
            if (old.slot[i]) time_add(s, a, old.slot[i]);
    }
    uint64_t i = (uint64_t)time * 0x9E3779B97F4A7C15u >> 20 & (uint64_t)(s->size - 1);
    while (s->slot[i] && s->slot[i] != time) i = (i + 1) & (uint64_t)(s->size - 1);
    s->n += !s->slot[i];
    s->slot[i] = time;
}

static int compare_i64(const void *p, const void *q)
{
    const int64_t a = *(const int64_t *)p, b = *(const int64_t *)q;
    return (a > b) - (a < b);
}

static int64_t *times_sorted(const TimeSet *s, Arena *a)
{
    int64_t *time = arena_alloc(a, (size_t)(s->n + 1) * sizeof *time), n = 0;
    for (int64_t i = 0; i < s->size; i++)
        if (s->slot[i]) time[n++] = s->slot[i];
    qsort(time, (size_t)n, sizeof *time, compare_i64);
    return time;
}

// ---- reading -------------------------------------------------------------------------------------------------------

typedef struct Reader {
    LongShape shape;
    const TextSource *s;
    const TrafficReadOptions *o;
    Arena *work, *scratch;       // live while the file is read
    NodeMap *map;
    NameSet names;
    TimeSet times;
    TimeZone zone;
    bool local, has_time, volume;    // volume: bytes of a slot, not a rate
    TrafficUnit unit;
    char last_text[64];          // of the last time, most often that of the next record too
    size_t last_n;
    int64_t last_time, records, missing, *time;
} Reader;

static Status record_time(Reader *r, const Record *rec, int64_t *time)
{
    const TextField f = rec->f[LONG_TIME];
    *time = r->last_time;
    if (r->last_n && f.n == r->last_n && !memcmp(f.p, r->last_text, f.n)) return OK;
    const TimeForm form = time_parse(f.p, f.n, time);
    if (form == TIME_NONE)
        return ERROR("%s:%lld: want a time such as 2005-01-31 23:45 of 1990 .. 2100, got '%.*s'", r->s->path,
                     (long long)rec->line, TEXT_SHOW(f));
    if (form == TIME_LOCAL) {
        const Status s = time_zone_utc(&r->zone, *time, time);
        if (s.code) return ERROR("%s:%lld: %s", r->s->path, (long long)rec->line, s.msg);
        r->local = true;
    }
    if (r->volume && r->o->slot_seconds) *time -= *time % r->o->slot_seconds;
    r->last_n = f.n < sizeof r->last_text ? f.n : 0;
    memcpy(r->last_text, f.p, r->last_n);
    r->last_time = *time;
    return OK;
}

static Status record_node(Reader *r, const Record *rec, LongColumn c, int *node)
{
    if (!rec->f[c].n)
        return ERROR("%s:%lld: want a source and a destination, got an empty one", r->s->path, (long long)rec->line);
    *node = name_node(&r->names, r->work, rec->f[c], r->map);
    if (*node == MOST_NODES)
        return ERROR("%s:%lld: want at most %d nodes, got more (--map FILE names the node of each address)", r->s->path,
                     (long long)rec->line, MOST_NODES);
    return OK;
}

static Status record_value(const Reader *r, const Record *rec, double *v)
{
    const TextField f = rec->f[LONG_VALUE], sampling = rec->f[LONG_SAMPLING];
    double factor = r->o->sampling > 0 ? r->o->sampling : 1;
    *v = NAN;
    if (text_missing(f)) return OK;
    if (!text_number(f, r->shape.point, v))
        return ERROR("%s:%lld: want a number as value, got '%.*s'", r->s->path, (long long)rec->line, TEXT_SHOW(f));
    if (sampling.n && !(r->o->sampling > 0) && (!text_number(sampling, '.', &factor) || factor < 0))
        return ERROR("%s:%lld: want a sampling rate, got '%.*s'", r->s->path, (long long)rec->line,
                     TEXT_SHOW(sampling));
    *v *= factor > 0 ? factor : 1;       // a rate of 0 is that of a router that does not sample
    return OK;
}

// Which nodes and times there are.
static Status first_pass(Reader *r)
{
    Records records = records_of(&r->shape, r->s, r->scratch);
    Record rec;
    for (bool more = true; ;) {
        int from, to;
        int64_t time;
        TRY(next_record(&records, &rec, &more));
        if (!more) return OK;
        TRY(record_node(r, &rec, LONG_SOURCE, &from));
        TRY(record_node(r, &rec, LONG_DESTINATION, &to));
        r->records++;
        if (!r->has_time) continue;
        TRY(record_time(r, &rec, &time));
        time_add(&r->times, r->work, time);
    }
}

static int compare_names(const void *p, const void *q)
{
    const Name *a = p, *b = q;
    double x, y;
    const bool both = text_number(a->text, '.', &x) && text_number(b->text, '.', &y);
    if (both && x != y) return (x > y) - (x < y);
    return strcmp(a->text.p, b->text.p);
}

// Nodes in their order: rank[node of the set] -> place.
static const char **sort_nodes(const NameSet *s, Arena *a, Arena *work, int *rank)
{
    Name *name = arena_alloc(work, (size_t)s->nodes * sizeof *name);
    for (int i = 0; i < s->nodes; i++) name[i] = (Name){{s->node[i], strlen(s->node[i])}, i};
    qsort(name, (size_t)s->nodes, sizeof *name, compare_names);
    const char **node = arena_alloc(a, (size_t)s->nodes * sizeof *node);
    for (int i = 0; i < s->nodes; i++) {
        node[i] = arena_printf(a, "%s", name[i].text.p);
        rank[name[i].node] = i;
    }
    return node;
}

static int64_t row_of(const int64_t *time, int64_t T, int64_t at)
{
    int64_t low = 0, high = T - 1;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (time[mid] < at) low = mid + 1;
        else high = mid;
    }
    return low;
}

// Adds every record to its cell; listed[N*N]: which pairs come at all.
static Status second_pass(Reader *r, TrafficTable *out, const int *rank, bool *listed, int64_t *summed)
{
    Records records = records_of(&r->shape, r->s, r->scratch);
    Record rec;
    const int64_t N = out->N;
    int64_t row = 0;
    r->last_n = 0;
    r->zone.started = false;
    for (bool more = true; ;) {
        int from, to;
        int64_t time;
        double v;
        TRY(next_record(&records, &rec, &more));
        if (!more) return OK;
        TRY(record_node(r, &rec, LONG_SOURCE, &from));
        TRY(record_node(r, &rec, LONG_DESTINATION, &to));
        if (from == OUTSIDE || to == OUTSIDE) {
            r->names.outside++;
            continue;
        }
        if (r->has_time) TRY(record_time(r, &rec, &time));
        if (r->has_time && out->time[row] != time) row = row_of(out->time, out->T, time);
        TRY(record_value(r, &rec, &v));
        const int64_t f = rank[from] * N + rank[to];
        float *x = &out->x[row * N * N + f];
        listed[f] = true;
        r->missing += isnan(v);
        if (isnan(*x)) *x = out->absent_is_zero ? NAN : (float)v;
        else {
            *summed += *x != 0;
            *x = (float)((double)*x + v);
        }
    }
}

static Status check_size(const Reader *r, int64_t T, int64_t N)
{
    if (!r->records) return ERROR("%s: want records below the header, got none", r->s->path);
    if (N < 2) return ERROR("%s: want at least 2 nodes, got %lld", r->s->path, (long long)N);
    if (r->has_time && T > 50 && 2 * r->records < 3 * T)
        return ERROR("%s: %lld records have %lld times of their own: want --slot-seconds 300 or the like, to add up "
                     "what falls into a slot", r->s->path, (long long)r->records, (long long)T);
    if ((double)T * (double)(N * N) * sizeof(float) > 256.0 * (double)r->s->size + (1 << 26))
        return ERROR("%s: want more than %lld records for %lld times of %lld x %lld nodes (--map FILE joins nodes)",
                     r->s->path, (long long)r->records, (long long)T, (long long)N, (long long)N);
    return OK;
}

static void finish(Reader *r, TrafficTable *out, Arena *a, const bool *listed, int64_t summed, TrafficNotes *notes)
{
    const int64_t F = (int64_t)out->N * out->N;
    int64_t never = 0;
    for (int64_t f = 0; f < F; f++) never += !listed[f];
    for (int64_t k = 0; never && !out->absent_is_zero && k < out->T * F; k++)
        if (!listed[k % F]) out->x[k] = 0;
    traffic_note(notes, a, "pairs that a slot does not list are %s (--absent); %lld of %lld are never listed: 0",
                 out->absent_is_zero ? "0" : "missing", (long long)never, (long long)F);
    if (summed) traffic_note(notes, a, "%lld records of a time and pair that came before were added to it",
                             (long long)summed);
    if (r->names.outside) traffic_note(notes, a, "%lld of %lld records left out: the map does not name their nodes",
                                       (long long)r->names.outside, (long long)r->records);
    if (r->o->sampling > 0) traffic_note(notes, a, "values multiplied by --sampling %g", r->o->sampling);
    else if (r->shape.column[LONG_SAMPLING] > 0 || r->shape.key[LONG_SAMPLING])
        traffic_note(notes, a, "values multiplied by the sampling rate of their record");
    if (r->shape.point == ',') traffic_note(notes, a, "the decimal point is a comma");
    if (r->local) traffic_note(notes, a, "times without a zone are taken as %s (--tz)", r->zone.name);
}

// The unit that the name of the value's column says.
static void find_unit(Reader *r, TrafficTable *out, const TextLine *first)
{
    TextField f[MOST_COLUMNS];
    char name[64] = "";
    if (r->shape.json) snprintf(name, sizeof name, "%s", r->shape.key[LONG_VALUE]);
    else if (r->shape.header) {
        text_split(first, r->shape.separator, f, MOST_COLUMNS);
        const TextField value = f[r->shape.column[LONG_VALUE]];
        snprintf(name, sizeof name, "%.*s", (int)value.n, value.p);
    }
    const bool by_name = unit_of_column(name, &r->unit);
    if (by_name && r->unit.seconds > 0) {
        out->kbps = unit_kbps(&r->unit, 1);
        out->unit = out->kbps == 1 ? "kbit/s" : out->kbps == 1000 ? "Mbit/s" : NULL;
    } else if (by_name) {
        out->unit = "bytes per slot";
    }
    TrafficUnit asked;
    const char *text = r->o->unit;
    r->volume = text ? unit_parse(text, strlen(text), &asked) && asked.seconds == 0 : by_name && r->unit.seconds == 0;
}

static Status read_all(Reader *r, TrafficTable *out, Arena *a, TrafficNotes *notes)
{
    bool is;
    TextLine first;
    TextLines lines = text_lines(r->s);
    TRY(find_shape(&is, &r->shape, r->work, r->s, r->o));
    text_next(&lines, &first);
    TRY(time_zone_open(&r->zone, r->o->tz));
    if (r->o->map_path) TRY(node_map_read(&r->map, r->work, r->o->map_path));
    *out = (TrafficTable){.format = r->shape.json ? "JSON lines" : "long table"};
    r->has_time = r->shape.json ? r->shape.key[LONG_TIME] != NULL : r->shape.column[LONG_TIME] >= 0;
    find_unit(r, out, &first);
    r->names.quotes = !r->shape.json;
    TRY(first_pass(r));
    int *rank = arena_alloc(r->work, MOST_NODES * sizeof *rank);
    out->N = r->names.nodes;
    out->T = r->has_time ? r->times.n : 1;
    TRY(check_size(r, out->T, out->N));
    out->node = sort_nodes(&r->names, a, r->work, rank);
    out->time = r->has_time ? times_sorted(&r->times, a) : NULL;
    out->absent_is_zero = r->o->absent ? r->o->absent == 1 : r->volume;
    const int64_t cells = out->T * out->N * out->N;
    out->x = arena_alloc(a, (size_t)cells * sizeof *out->x);
    for (int64_t k = 0; k < cells; k++) out->x[k] = out->absent_is_zero ? 0 : NAN;
    bool *listed = arena_zalloc(r->work, (size_t)out->N * (size_t)out->N);
    int64_t summed = 0;
    TRY(second_pass(r, out, rank, listed, &summed));
    finish(r, out, a, listed, summed, notes);
    return OK;
}

Status long_read(TrafficTable *out, Arena *a, const TextSource *s, const TrafficReadOptions *o, TrafficNotes *notes)
{
    int64_t lines;
    TRY(text_source_check(s, &lines));
    Reader *r = arena_zalloc(a, sizeof *r);
    *r = (Reader){.s = s, .o = o, .work = arena_new("long table", (size_t)64 << 30, NULL),
                  .scratch = arena_new("long record", (size_t)1 << 30, NULL)};
    CHECK(r->work && r->scratch, "long_read: no address space");
    const Status st = read_all(r, out, a, notes);
    arena_delete(r->work);
    arena_delete(r->scratch);
    return st;
}
