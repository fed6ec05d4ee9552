#include "traffic/csv.h"

#include <math.h>
#include <string.h>

#include "io/number.h"
#include "traffic/times.h"
#include "traffic/unit.h"

bool csv_parse_time(const char *text, int64_t *seconds)
{
    return time_parse(text, strlen(text), seconds) != TIME_NONE;
}

// ---- one line ------------------------------------------------------------------------------------------------------

typedef struct CsvReader {
    CsvLayout l;
    const TextSource *source;
    const char *path;
    TimeZone zone;
    bool local;              // a time without a zone was read
    TextField *field;        // [n_fields + 2], for lines that are not plain
    float *row;              // [n_values] when columns are not in order
} CsvReader;

static Status bad_count(const CsvReader *r, const TextLine *line, int64_t n)
{
    return ERROR("%s:%lld: want %lld fields as in line 1, got %lld", r->path, (long long)line->number,
                 (long long)r->l.n_fields, (long long)n);
}

static Status read_time(CsvReader *r, const TextLine *line, const TextField *f, int64_t *time)
{
    char joined[64];
    TextField text = *f;
    if (r->l.time_fields == 2 && f[0].n + f[1].n + 1 < sizeof joined) {
        const int n = snprintf(joined, sizeof joined, "%.*s %.*s", (int)f[0].n, f[0].p, (int)f[1].n, f[1].p);
        text = (TextField){joined, (size_t)n};
    }
    const TimeForm form = time_parse(text.p, text.n, time);
    if (form == TIME_NONE)
        return ERROR("%s:%lld: want a time such as 2005-01-31-23-45 of 1990 .. 2100, got '%.*s'", r->path,
                     (long long)line->number, TEXT_SHOW(text));
    if (form == TIME_ZONED) return OK;
    r->local = true;
    const Status s = time_zone_utc(&r->zone, *time, time);
    return s.code ? ERROR("%s:%lld: %s", r->path, (long long)line->number, s.msg) : OK;
}

// The values of a line in the way that almost all are written.  False: look again, field by field.
static bool plain_values(const CsvReader *r, const char *p, const char *end, float *x)
{
    const char separator = r->l.separator, point = r->l.point;
    for (int64_t k = 0; k < r->l.n_values; k++) {
        double v;
        while (p < end && (*p == ' ' || (*p == '\t' && separator != '\t'))) p++;
        p = number_parse(p, end, point, &v);
        if (!p) return false;
        x[k] = (float)v;
        while (p < end && *p == ' ') p++;
        if (k + 1 == r->l.n_values) break;
        if (separator == ' ') continue;
        if (p == end || *p != separator) return false;
        p++;
    }
    if (r->l.end_separator && p < end && *p == separator) p++;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    return p == end;
}

static Status split_line(CsvReader *r, const TextLine *line)
{
    int64_t n = text_split(line, r->l.separator, r->field, r->l.n_fields + 2);
    if (n == r->l.n_fields + 1 && r->l.end_separator && !r->field[n - 1].n) n--;
    return n == r->l.n_fields ? OK : bad_count(r, line, n);
}

static Status careful_values(CsvReader *r, const TextLine *line, float *x)
{
    for (int64_t k = 0; k < r->l.n_values; k++) {
        const TextField f = r->field[r->l.lead + k];
        double v = NAN;
        if (!text_missing(f) && !text_number(f, r->l.point, &v))
            return ERROR("%s:%lld: want a number in field %lld, got '%.*s'", r->path, (long long)line->number,
                         (long long)(r->l.lead + k + 1), TEXT_SHOW(f));
        x[k] = (float)v;
    }
    return OK;
}

// Where the values of the line begin; the fields before them in r->field.  NULL: quotes, look again.
static const char *behind_lead(CsvReader *r, const TextLine *line)
{
    const char *p = line->p;
    for (int64_t i = 0; i < r->l.lead; i++) {
        while (p < line->end && (*p == ' ' || (*p == '\t' && r->l.separator != '\t'))) p++;
        const char *q = p;
        while (q < line->end && *q != r->l.separator && *q != '"' && *q != '\'' &&
               !(r->l.separator == ' ' && *q == '\t')) q++;
        if (q == line->end || *q == '"' || *q == '\'') return NULL;
        r->field[i] = (TextField){p, (size_t)(q - p)};
        p = q + 1;
    }
    return p;
}

static Status read_line(CsvReader *r, const TextLine *line, float *x, int64_t *time)
{
    const char *p = behind_lead(r, line);
    float *to = r->row ? r->row : x;
    if (!p || !plain_values(r, p, line->end, to)) {
        TRY(split_line(r, line));
        TRY(careful_values(r, line, to));
    }
    for (int64_t k = 0; r->row && k < r->l.n_values; k++) x[r->l.cell[k]] = r->row[k];
    return time ? read_time(r, line, r->field + r->l.time_field, time) : OK;
}

// ---- a unit in the comments ----------------------------------------------------------------------------------------

// The unit that comments at the beginning name, "# traffic, kbit/s"; NULL: none, or two.
static const char *unit_of_comments(Arena *a, const TextSource *s)
{
    static const char between[] = "# \t,;:()[]=\r";
    TextField found = {0};
    const char *end = s->bytes + (s->size < 4096 ? s->size : 4096), *stop;
    for (const char *line = s->bytes; line < end; line = stop + 1) {
        stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        for (const char *p = line, *q; *line == '#' && p < stop; p = q) {
            while (p < stop && strchr(between, *p)) p++;
            for (q = p; q < stop && !strchr(between, *q); ) q++;
            TrafficUnit u;
            if (q == p || !unit_parse(p, (size_t)(q - p), &u)) continue;
            if (found.n && (found.n != (size_t)(q - p) || memcmp(found.p, p, found.n))) return NULL;
            found = (TextField){p, (size_t)(q - p)};
        }
    }
    return found.n ? text_copy(a, found) : NULL;
}

// ---- one matrix with names above and before it ---------------------------------------------------------------------

// *is: the text is N+1 lines, of which the first names the columns and the others begin with the same names.
static Status read_matrix(bool *is, TrafficTable *out, Arena *a, const TextSource *s)
{
    static const char separators[] = {',', ';', '\t', ' '};
    TextLines lines = text_lines(s);
    TextLine head, line;
    *is = false;
    if (!text_next(&lines, &head)) return OK;
    for (size_t i = 0; i < sizeof separators && !*is; i++) {
        const char separator = separators[i];
        TextLines rest = lines;
        const int64_t n = text_split(&head, separator, NULL, 0);
        if (n < 2 || n > 4097 || !text_next(&rest, &line)) continue;
        const int64_t N = text_split(&line, separator, NULL, 0) - 1, corner = n - N;
        if (N < 2 || corner < 0 || corner > 1) continue;
        TextField *name = arena_alloc(a, (size_t)n * sizeof *name), *f = arena_alloc(a, (size_t)(N + 1) * sizeof *f);
        text_split(&head, separator, name, n);
        float *x = arena_alloc(a, (size_t)(N * N) * sizeof *x);
        const char **node = arena_alloc(a, (size_t)N * sizeof *node);
        int64_t row = 0;
        for (bool more = true; more; more = text_next(&rest, &line), row++) {
            if (row == N || text_split(&line, separator, f, N + 1) != N + 1) break;
            const TextField above = name[corner + row];
            if (!above.n || above.n != f[0].n || memcmp(above.p, f[0].p, above.n)) break;
            node[row] = text_copy(a, text_name(a, above));
            for (int64_t j = 0; j < N; j++) {
                double v = NAN;
                if (!text_missing(f[j + 1]) && !text_number(f[j + 1], '.', &v))
                    return ERROR("%s:%lld: want a number in field %lld, got '%.*s'", s->path, (long long)line.number,
                                 (long long)j + 2, TEXT_SHOW(f[j + 1]));
                x[row * N + j] = (float)v;
            }
        }
        *is = row == N && !text_next(&rest, &line);
        if (*is) *out = (TrafficTable){.format = "CSV matrix", .N = (int)N, .T = 1, .node = node, .x = x};
    }
    return OK;
}

// ---- the whole file ------------------------------------------------------------------------------------------------

static Status open_reader(CsvReader *r, Arena *a, const TextSource *s, const TrafficReadOptions *o, TrafficNotes *notes)
{
    *r = (CsvReader){.source = s, .path = s->path};
    TRY(csv_layout(&r->l, a, s, notes));
    TRY(time_zone_open(&r->zone, o->tz));
    r->field = arena_alloc(a, (size_t)(r->l.n_fields + 2) * sizeof *r->field);
    if (r->l.cell) r->row = arena_alloc(a, (size_t)r->l.n_values * sizeof *r->row);
    return OK;
}

Status csv_read(TrafficTable *out, Arena *a, const TextSource *s, const TrafficReadOptions *o, TrafficNotes *notes)
{
    CsvReader r;
    bool matrix;
    int64_t rows;
    TRY(text_source_check(s, &rows));
    TRY(read_matrix(&matrix, out, a, s));
    if (matrix) return OK;
    TRY(open_reader(&r, a, s, o, notes));
    const int64_t F = (int64_t)r.l.N * r.l.N, room = ((int64_t)s->size + (1 << 20)) * 64;
    if (rows > (int64_t)s->size / r.l.n_values + 2) rows = (int64_t)s->size / r.l.n_values + 2;   // every value: 1 byte
    if (F * 4 > room / rows)
        return ERROR("%s: %lld columns name %d nodes: want more of their %lld pairs", s->path, (long long)r.l.n_values,
                     r.l.N, (long long)F);
    *out = (TrafficTable){.format = "CSV", .N = r.l.N, .node = r.l.node, .unit = unit_of_comments(a, s)};
    const size_t length = strlen(s->path);
    if (!out->unit && length > 5 && !strcmp(s->path + length - 5, ".hist")) out->unit = "bit/s";   // of DOTE and FIGRET
    out->x = arena_alloc(a, (size_t)(rows * F) * sizeof *out->x);
    if (r.l.time_field >= 0) out->time = arena_alloc(a, (size_t)rows * sizeof *out->time);
    TextLines lines = text_lines(s);
    TextLine line;
    if (r.l.header) text_next(&lines, &line);
    for (; text_next(&lines, &line); out->T++) {
        float *x = out->x + out->T * F;
        if (out->T == rows) return bad_count(&r, &line, text_split(&line, r.l.separator, NULL, 0));
        if (r.l.cell && r.l.n_values < F) memset(x, 0, (size_t)F * sizeof *x);
        TRY(read_line(&r, &line, x, out->time ? &out->time[out->T] : NULL));
    }
    if (!out->T) return ERROR("%s: want a line of %d x %d values below the header, got none", s->path, r.l.N, r.l.N);
    if (r.local) traffic_note(notes, a, "times without a zone are taken as %s (--tz)", r.zone.name);
    return OK;
}
