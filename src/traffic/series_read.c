// Files to series: what a file is, its times, and the way from a table to a series.
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/gzip.h"
#include "io/npy.h"
#include "traffic/csv.h"
#include "traffic/formats.h"
#include "traffic/series_file.h"
#include "traffic/series_rows.h"
#include "traffic/text.h"
#include "traffic/times.h"
#include "traffic/unit.h"

// ---- tables --------------------------------------------------------------------------------------------------------

static Status read_unit(TrafficReading *did, double *kbps, Arena *a, const char *name, const TrafficTable *t,
                        const TrafficReadOptions *o, int slot_seconds)
{
    TrafficUnit u;
    did->unit = o->unit ? o->unit : t->unit;
    if (o->unit) {
        if (!unit_parse(o->unit, strlen(o->unit), &u))
            return USAGE_ERROR("--unit: want a unit such as kbit/s, Gbit/s, 'B per slot' or '100 bytes per 5 minutes', "
                               "got '%s'", o->unit);
        *kbps = unit_kbps(&u, slot_seconds);
    } else if (t->kbps > 0) {
        *kbps = t->kbps;
        if (!did->unit) did->unit = arena_printf(a, "%g kbit/s", t->kbps);
    } else if (t->unit) {
        if (!unit_parse(t->unit, strlen(t->unit), &u))
            return ERROR("%s: the unit '%s' is not known: want --unit kbit/s or the like", name, t->unit);
        *kbps = unit_kbps(&u, slot_seconds);
    } else {
        *kbps = 1;
        did->unit_assumed = true;
    }
    return OK;
}

static void convert(SeriesRows *r, double kbps)
{
    const int64_t n = r->T * r->N * r->N;
    if (kbps == 1) return;
    for (int64_t k = 0; k < n; k++) r->x[k] = (float)((double)r->x[k] * kbps);
}

// What no link can carry was not measured.
static void drop_beyond(SeriesRows *r, double capacity_kbps, TrafficReading *did)
{
    const int64_t n = r->T * r->N * r->N;
    did->capacity_kbps = capacity_kbps;
    for (int64_t k = 0; capacity_kbps > 0 && k < n; k++) {
        if (!((double)r->x[k] > capacity_kbps)) continue;
        r->x[k] = NAN;
        did->cells_beyond++;
    }
}

// What a file calls its nodes is printed by many: escape sequences go here, once.
static const char *const *safe_names(Arena *a, const TrafficTable *t)
{
    if (!t->node) return NULL;
    const char **name = arena_alloc(a, (size_t)t->N * sizeof *name);
    for (int i = 0; i < t->N; i++) name[i] = text_safe(a, t->node[i]);
    return name;
}

Status traffic_series_from_table(TrafficSeries *s, Arena *a, const char *name, TrafficTable *t,
                                 const TrafficReadOptions *o)
{
    const TrafficReadOptions none = {.times_path = NULL};
    if (!o) o = &none;
    TrafficReading did = {.format = t->format};
    SeriesRows r = {.N = t->N, .T = t->T, .x = t->x, .time = t->time};
    if (t->T < 2) return ERROR("%s: want at least 2 snapshots, got %lld", name, (long long)t->T);
    TRY(series_marks(&r.mark, a, name, r.T, o));
    TRY(series_sort(&r, a, name, &did));
    r.slot_seconds = o->slot_seconds ? o->slot_seconds : t->slot_seconds;
    if (!r.slot_seconds) r.slot_seconds = series_usual_slot(r.time, r.T, a);
    TRY(series_check_slot(name, r.slot_seconds));
    TRY(series_to_grid(&r, name, &did));
    double kbps = 1;
    TRY(read_unit(&did, &kbps, a, name, t, o, r.slot_seconds));
    convert(&r, kbps);
    drop_beyond(&r, o->capacity_kbps, &did);
    TRY(series_resample(&r, a, name, o, &did));
    if (o->fill) series_add_rows(&r, a, o->fill, &did);
    TRY(series_open(s, a, name, &r, o));
    s->reading = did;
    s->node = safe_names(a, t);
    TRY(traffic_series_set_zone(s, a, o->tz ? o->tz : t->zone));
    series_mask(s, a);
    if (o->fill) traffic_series_fill(s, a, o->fill);
    if (!o->keep_missing) traffic_series_estimate(s, a);
    return OK;
}

// ---- .npy and its times --------------------------------------------------------------------------------------------

static const char *times_beside(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_printf(a, "%.*s/times.npy", (int)(slash - path), path) : "times.npy";
}

Status traffic_times_of(int64_t **time, Arena *a, const NpyView *v, int64_t T, const char *name)
{
    if (v->n_dims != 1 || (v->kind != 'f' && v->kind != 'i' && v->kind != 'u' && v->kind != 'M'))
        return ERROR("%s: want times of one dimension, Unix seconds or datetime64, got %d dimensions of kind '%c'",
                     name, v->n_dims, v->kind);
    if (v->count != T)
        return ERROR("%s: want %lld times, one for each snapshot, got %lld", name, (long long)T, (long long)v->count);
    *time = arena_alloc(a, (size_t)T * sizeof **time);
    for (int64_t t = 0; t < T; t++) {
        const double value = npy_number(v, t);
        bool ok = v->kind == 'M' ? time_plausible((*time)[t] = (int64_t)floor(value * v->seconds + 0.5))
                                 : time_from_number(value, &(*time)[t]);
        if (isnan(value) || !ok)
            return ERROR("%s: want times of 1990 .. 2100 in Unix seconds, got %.17g in snapshot %lld", name, value,
                         (long long)t);
    }
    return OK;
}

// Lines of one time each, below a header or none.
static Status times_of_text(int64_t **time, Arena *a, const TextSource *s, int64_t T, const TrafficReadOptions *o)
{
    int64_t lines, n = 0;
    TimeZone zone;
    TRY(text_source_check(s, &lines));
    TRY(time_zone_open(&zone, o->tz));
    *time = arena_alloc(a, (size_t)T * sizeof **time);
    TextLines l = text_lines(s);
    for (TextLine line; text_next(&l, &line);) {
        int64_t at;
        const TimeForm form = time_parse(line.p, (size_t)(line.end - line.p), &at);
        if (form == TIME_NONE && n == 0 && line.number == 1) continue;
        if (form == TIME_NONE)
            return ERROR("%s:%lld: want one time a line, got '%.*s'", s->path, (long long)line.number,
                         (int)(line.end - line.p > 30 ? 30 : line.end - line.p), line.p);
        if (form == TIME_LOCAL) TRY(time_zone_utc(&zone, at, &at));
        if (n < T) (*time)[n] = at;
        n++;
    }
    if (n != T)
        return ERROR("%s: want %lld times, one for each snapshot, got %lld", s->path, (long long)T, (long long)n);
    return OK;
}

static Status read_times(int64_t **time, int64_t T, Arena *a, const char *path, const TrafficReadOptions *o)
{
    FileMap map;
    TRY(file_map(&map, path));
    Status s;
    NpyView v;
    if (map.size >= 6 && !memcmp(map.data, "\x93NUMPY", 6)) {
        s = npy_parse(&v, map.data, map.size, path);
        if (!s.code) s = traffic_times_of(time, a, &v, T, path);
    } else {
        s = times_of_text(time, a, &(TextSource){.path = path, .bytes = (char *)map.data, .size = map.size}, T, o);
    }
    file_unmap(&map);
    return s;
}

// Piece by piece, each given back when it was read, so that a file of doubles does not lie in memory beside the series.
static void convert_in_pieces(float *out, const NpyView *v)
{
    enum { PIECE = 1 << 20 };
    for (int64_t at = 0; at < v->count; at += PIECE) {
        NpyView part = *v;
        part.n_dims = 1;
        part.count = part.dims[0] = v->count - at < PIECE ? v->count - at : PIECE;
        part.data = v->data + at * v->width;
        npy_floats(out + at, &part);
        memory_unused((void *)part.data, (size_t)(part.count * v->width));
    }
}

Status traffic_matrices_of(TrafficTable *t, Arena *a, const NpyView *v, bool last_use, const char *name)
{
    if (v->kind != 'f' && v->kind != 'i' && v->kind != 'u')
        return ERROR("%s: want numbers of traffic, got an array of kind '%c'", name, v->kind);
    if (v->n_dims != 2 && v->n_dims != 3)
        return ERROR("%s: want shape [T,N,N] or [T,N*N], got %d dimensions", name, v->n_dims);
    if (v->n_dims == 3 && v->dims[1] != v->dims[2])
        return ERROR("%s: want square matrices, got %lld x %lld", name, (long long)v->dims[1], (long long)v->dims[2]);
    int64_t side = v->n_dims == 3 ? v->dims[1] : (int64_t)llround(sqrt((double)v->dims[1]));
    if (v->n_dims == 2 && side * side != v->dims[1])
        return ERROR("%s: want N*N values per snapshot, got %lld, which is no square", name, (long long)v->dims[1]);
    if (side > 4096) return ERROR("%s: want at most 4096 nodes, got %lld", name, (long long)side);
    t->N = (int)side;
    t->T = v->dims[0];
    t->x = arena_alloc(a, (size_t)v->count * sizeof *t->x);
    if (last_use && !v->fortran) convert_in_pieces(t->x, v);
    else npy_floats(t->x, v);
    return OK;
}

static Status read_npy(TrafficTable *t, Arena *a, const TextSource *s)
{
    NpyView v;
    *t = (TrafficTable){.format = "NumPy array"};
    TRY(npy_parse(&v, s->bytes, s->size, s->path));
    return traffic_matrices_of(t, a, &v, s->mapped, s->path);
}

// ---- files ---------------------------------------------------------------------------------------------------------

static bool has_end(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);
    return n >= m && !strcmp(path + n - m, end);
}

static bool begins(const TextSource *s, const char *magic, size_t n)
{
    return s->size >= n && !memcmp(s->bytes, magic, n);
}

Status traffic_source_read(TrafficTable *t, Arena *a, const TextSource *s, const TrafficReadOptions *o,
                           TrafficNotes *notes)
{
    if (begins(s, "PK\3\4", 4)) return traffic_npz_read(t, a, s->bytes, s->size, s->path, notes);
    if (begins(s, "\x93NUMPY", 6) || has_end(s->path, ".npy")) return read_npy(t, a, s);
    return text_table_read(t, a, s, o, notes);
}

// ---- any file ------------------------------------------------------------------------------------------------------

typedef struct OtherArg {
    const TrafficReadOptions *o;
    TrafficNotes *notes;
    Arena *notes_arena;
    const char *zone;        // of the files so far
} OtherArg;

static bool has_note(const TrafficNotes *notes, const char *line)
{
    int i = 0;
    while (i < notes->n && strcmp(notes->line[i], line)) i++;
    return i < notes->n;
}

static Status read_other(TrafficTable *out, Arena *a, const char *path, char *bytes, size_t size, void *arg)
{
    OtherArg *other = arg;
    const TextSource source = {.path = path, .bytes = bytes, .size = size};
    TrafficNotes mine = {.n = 0};   // of one file of several; a lives no longer than its table
    TRY(traffic_source_read(out, a, &source, other->o, &mine));
    for (int i = 0; i < mine.n; i++)
        if (!has_note(other->notes, mine.line[i])) traffic_note(other->notes, other->notes_arena, "%s", mine.line[i]);
    if (out->zone && other->zone && strcmp(out->zone, other->zone))
        return ERROR("%s: want the zone %s as in the files before, got %s", path, other->zone, out->zone);
    if (out->zone && !other->zone) other->zone = arena_printf(other->notes_arena, "%s", out->zone);
    return OK;
}

static Status read_formats(TrafficTable *t, Arena *a, const char *const *paths, int n, const TrafficReadOptions *o,
                           TrafficNotes *notes)
{
    TableNotes lines = {.n = 0};
    OtherArg arg = {.o = o, .notes = notes, .notes_arena = a};
    const TableReadOptions how = {.other = read_other, .other_arg = &arg, .tz = o->tz};
    TRY(traffic_table_read(t, &lines, a, paths, n, &how));
    for (int i = 0; i < lines.n; i++) traffic_note(notes, a, "%s", lines.line[i]);
    t->zone = arg.zone;
    return OK;
}

// One file of a kind that is read as it lies in the mapped file, without a copy; *is false: it is of another kind.
static Status read_mapped(bool *is, TrafficTable *t, Arena *a, const char *path, const TrafficReadOptions *o,
                          TrafficNotes *notes)
{
    FileMap map;
    struct stat sb;
    *is = false;
    if (stat(path, &sb) || !S_ISREG(sb.st_mode)) return OK;
    TRY(file_map(&map, path));
    const TextSource source = {.path = path, .bytes = (char *)map.data, .size = map.size, .mapped = true};
    const bool binary = begins(&source, "PK\3\4", 4) || begins(&source, "\x93NUMPY", 6) || has_end(path, ".npy");
    const bool padded = map.size % (size_t)sysconf(_SC_PAGESIZE) != 0;         // detection looks at the byte behind
    *is = binary || (padded && !gzip_is(map.data, map.size) &&
                     traffic_format_detect(source.bytes, source.size) == FORMAT_OTHER);
    const Status s = *is ? traffic_source_read(t, a, &source, o, notes) : OK;
    file_unmap(&map);
    return s;
}

Status traffic_series_read_all(TrafficSeries *s, Arena *a, const char *const *paths, int n, const TrafficReadOptions *o)
{
    const TrafficReadOptions none = {.times_path = NULL};
    TrafficTable t;
    TrafficNotes notes = {.n = 0};
    bool done = false;
    if (!o) o = &none;
    if (n == 1) TRY(read_mapped(&done, &t, a, paths[0], o, &notes));
    if (!done) TRY(read_formats(&t, a, paths, n, o, &notes));
    const char *times = o->times_path, *beside = times_beside(a, paths[0]);
    if (n == 1 && !times && !t.time && !strcmp(t.format, "NumPy array") && access(beside, F_OK) == 0) times = beside;
    if (times && t.time) traffic_note(&notes, a, "the times are those of %s, not those of the file itself", times);
    if (times) TRY(read_times(&t.time, t.T, a, times, o));
    TRY(traffic_series_from_table(s, a, paths[0], &t, o));
    s->reading.notes = notes;
    return OK;
}

Status traffic_series_read(TrafficSeries *s, Arena *a, const char *path, const TrafficReadOptions *o)
{
    return traffic_series_read_all(s, a, &path, 1, o);
}
