// What the first lines of a CSV file say about the others.
#include <math.h>
#include <string.h>

#include "traffic/csv.h"
#include "traffic/times.h"

enum { MOST_FIELDS = 4096 * 4096 + 3 };

typedef struct Probe {
    const TextSource *source;
    Arena *a;
    TextLine line[CSV_PROBE];
    int n;
} Probe;

// The fields of one line.
typedef struct Row { TextField *f; int64_t n; } Row;

static Row split(const Probe *p, int i, char separator)
{
    Row r = {.n = text_split(&p->line[i], separator, NULL, 0)};
    r.f = arena_alloc(p->a, (size_t)r.n * sizeof *r.f);
    text_split(&p->line[i], separator, r.f, r.n);
    return r;
}

static int64_t square_root(int64_t n)
{
    const int64_t r = (int64_t)llround(sqrt((double)n));
    return n >= 4 && r * r == n ? r : 0;
}

// Fields before N*N values: 0, 1 or 2; -1 when n fits none of them.  (No two fit: squares are further apart.)
static int lead_of(int64_t n)
{
    for (int lead = 0; lead <= 2; lead++)
        if (square_root(n - lead)) return lead;
    return -1;
}

static bool is_time(TextField f)
{
    int64_t t;
    return time_parse(f.p, f.n, &t) != TIME_NONE;
}

static bool is_value(TextField f, char point)
{
    double v;
    return text_missing(f) || text_number(f, point, &v);
}

// 0, 1, 2, ..: what pandas writes above columns, and before rows.
static bool counts_from_zero(const TextField *f, int64_t n)
{
    double v;
    for (int64_t i = 0; i < n; i++)
        if (!text_number(f[i], '.', &v) || v != (double)i) return false;
    return true;
}

static bool names_only(const TextField *f, int64_t n, char point)
{
    for (int64_t i = 0; i < n; i++)
        if (!f[i].n || is_value(f[i], point) || is_time(f[i])) return false;
    return n > 0;
}

// ---- the separator -------------------------------------------------------------------------------------------------

// Number of fields that the lines below the first have in common (of the first, when it is alone); 0: they differ.
static int64_t common_fields(const Probe *p, char separator)
{
    int64_t n = 0;
    for (int i = p->n > 1; i < p->n; i++) {
        const int64_t here = text_split(&p->line[i], separator, NULL, 0);
        if (n && here != n) return 0;
        n = here;
    }
    return n;
}

static char choose_separator(const Probe *p)
{
    static const char candidate[] = {';', '\t', ',', ' '};
    char best = ',';
    int64_t most = 0;
    for (size_t i = 0; i < sizeof candidate; i++) {
        const int64_t n = common_fields(p, candidate[i]);
        if (n > 1 && (lead_of(n) >= 0 || lead_of(n - 1) >= 0)) return candidate[i];
        const int64_t first = text_split(&p->line[0], candidate[i], NULL, 0);
        if (first > most + (candidate[i] == ' ' && most > 1 ? first : 0)) {
            most = first;
            best = candidate[i];
        }
    }
    return best;
}

// ---- header --------------------------------------------------------------------------------------------------------

// A first line of names; one of names and values is an error, since a mistyped value must not make a line a header.
static Status find_header(CsvLayout *l, const Probe *p, const Row *first, int64_t lead, TrafficNotes *notes)
{
    const TextField *f = first->f + lead;
    const int64_t n = first->n - lead;
    l->header = names_only(f, n, l->point);
    if (l->header) return OK;
    if (counts_from_zero(f, n) && (lead == 0 || !is_time(first->f[0]))) {
        l->header = true;
        traffic_note(notes, p->a, "the first line, %.*s .. %.*s, counts the columns: taken as a header",
                     TEXT_SHOW(f[0]), TEXT_SHOW(f[n - 1]));
        return OK;
    }
    for (int64_t i = 0; i < n; i++)
        if (!is_value(f[i], l->point))
            return ERROR("%s:%lld: want a number in field %lld, or a header with a name in every field, got '%.*s'",
                         p->source->path, (long long)p->line[0].number, (long long)(i + lead + 1), TEXT_SHOW(f[i]));
    return OK;
}

// ---- fields before the values --------------------------------------------------------------------------------------

static bool row_numbers(const Row *rows, int n, int64_t field)
{
    double first = 0, second = 0, v;
    for (int i = 0; i < n; i++) {
        if (!text_number(rows[i].f[field], '.', &v) || v != floor(v)) return false;
        if (i == 0) first = v;
        else if (i == 1) second = v;
        else if (v != first + i * (second - first)) return false;
    }
    return n < 2 || second > first;
}

static bool all_times(const Row *rows, int n, int64_t field)
{
    for (int i = 0; i < n; i++)
        if (!is_time(rows[i].f[field])) return false;
    return n > 0;
}

// A date and a time of day in two fields.
static bool split_times(const Row *rows, int n, int64_t field)
{
    for (int i = 0; i < n; i++) {
        char text[64];
        const TextField d = rows[i].f[field], t = rows[i].f[field + 1];
        if (d.n + t.n + 1 >= sizeof text || !t.n || !memchr(t.p, ':', t.n)) return false;
        const int m = snprintf(text, sizeof text, "%.*s %.*s", (int)d.n, d.p, (int)t.n, t.p);
        int64_t at;
        if (time_parse(text, (size_t)m, &at) == TIME_NONE) return false;
    }
    return n > 0;
}

static Status find_lead(CsvLayout *l, const Probe *p, const Row *rows, int n, int first_line, TrafficNotes *notes)
{
    const char *path = p->source->path;
    const long long line = (long long)p->line[0].number;
    l->time_field = -1;
    if (l->lead == 0) return OK;
    if (n == 0)
        return ERROR("%s: want a line of %lld fields below the header, got none", path, (long long)l->n_fields);
    if (l->lead == 2 && split_times(rows, n, 0)) {
        l->time_field = 0;
        l->time_fields = 2;
        return OK;
    }
    for (int64_t i = 0; i < l->lead; i++) {
        const TextField f = rows[0].f[i];
        if (l->time_field < 0 && all_times(rows, n, i)) {
            l->time_field = (int)i;
            l->time_fields = 1;
        } else if (row_numbers(rows, n, i)) {
            traffic_note(notes, p->a, "column %lld, %.*s .. %.*s, is a row number and no time (1990 .. 2100): dropped",
                         (long long)i + 1, TEXT_SHOW(f), TEXT_SHOW(rows[n - 1].f[i]));
        } else {
            for (int r = 0; r < n; r++)
                if (!is_time(rows[r].f[i]))
                    return ERROR("%s:%lld: want a time such as 2005-01-31-23-45 or a row number before %d x %d values, "
                                 "got '%.*s'", path, (long long)p->line[first_line + r].number, l->N, l->N,
                                 TEXT_SHOW(rows[r].f[i]));
            return ERROR("%s:%lld: want one time before %d x %d values, got two", path, line, l->N, l->N);
        }
    }
    return OK;
}

// ---- the whole -----------------------------------------------------------------------------------------------------

// Every line of the probe ends in an empty field, and what is left fits.
static bool ends_in_separator(const Row *rows, int n, int64_t n_fields)
{
    for (int i = 0; i < n; i++)
        if (rows[i].n != n_fields || rows[i].f[n_fields - 1].n) return false;
    const int without = lead_of(n_fields - 1);
    if (without < 0 || n == 0) return false;
    return lead_of(n_fields) < 0 || !all_times(rows, n, 0) || without == 1;
}

// Columns named by pairs, fewer than N*N: behind `lead` other columns.
static bool partial_names(CsvLayout *l, const Probe *p, const Row *first)
{
    for (int64_t lead = 0; lead <= 2 && lead < first->n; lead++)
        if (first->n - lead >= 2 && csv_pair_names(l, p->a, first->f + lead, first->n - lead)) {
            l->lead = lead;
            l->n_values = first->n - lead;
            l->header = true;
            return true;
        }
    return false;
}

static Status fit_square(CsvLayout *l, const Probe *p, const Row *rows, int n, const Row *first, TrafficNotes *notes)
{
    const bool data = !names_only(first->f, first->n, l->point) && lead_of(first->n) >= 0;
    l->n_fields = data || !n ? first->n : rows[0].n;
    l->end_separator = ends_in_separator(rows, n, l->n_fields);
    l->n_fields -= l->end_separator;
    l->lead = lead_of(l->n_fields);
    if (l->lead < 0)
        return ERROR("%s:%lld: want N*N values, or a time and N*N values, N >= 2; got %lld fields", p->source->path,
                     (long long)p->line[0].number, (long long)l->n_fields);
    l->N = (int)square_root(l->n_fields - l->lead);
    if (l->N > 4096) return ERROR("%s: want at most 4096 nodes, got %d", p->source->path, l->N);
    l->n_values = (int64_t)l->N * l->N;
    // The header of a table with row names may lack a field above them.
    Row head = *first;
    if (head.n == l->n_fields + l->end_separator) head.n = l->n_fields;
    const int64_t lead = head.n == l->n_fields ? l->lead : head.n - l->n_values;
    if (lead < 0 || lead > l->lead) {
        if (p->n > 1)
            return ERROR("%s:%lld: want %lld fields as in line %lld, got %lld", p->source->path,
                         (long long)p->line[1].number, (long long)head.n, (long long)p->line[0].number,
                         (long long)l->n_fields);
    } else {
        TRY(find_header(l, p, &head, lead, notes));
        if (l->header) csv_pair_names(l, p->a, head.f + lead, l->n_values);    // may say that there are more nodes
    }
    return OK;
}

Status csv_layout(CsvLayout *l, Arena *a, const TextSource *s, TrafficNotes *notes)
{
    Probe p = {.source = s, .a = a};
    TextLines lines = text_lines(s);
    while (p.n < CSV_PROBE && text_next(&lines, &p.line[p.n])) p.n++;
    if (!p.n) return ERROR("%s:1: want N*N values a line, got nothing but blank lines and comments", s->path);
    *l = (CsvLayout){.separator = choose_separator(&p), .time_field = -1};
    if (text_split(&p.line[0], l->separator, NULL, 0) > MOST_FIELDS)
        return ERROR("%s:%lld: want at most 4096 x 4096 values in a line", s->path, (long long)p.line[0].number);
    Row first = split(&p, 0, l->separator), rows[CSV_PROBE];
    l->point = '.';
    for (int i = 0; i < p.n; i++) {
        rows[i] = split(&p, i, l->separator);
        for (int64_t f = 0; f < rows[i].n && l->separator != ',' && l->point == '.'; f++) {
            double v;
            const bool comma = memchr(rows[i].f[f].p, ',', rows[i].f[f].n) && text_number(rows[i].f[f], ',', &v);
            if (comma) l->point = ',';
        }
    }
    if (l->point == ',') traffic_note(notes, a, "the decimal point is a comma");
    const int64_t common = common_fields(&p, l->separator);
    const int below = p.n > 1;
    const int64_t corner = first.n > 1 && !first.f[0].n;      // above row names
    const bool names = names_only(first.f + corner, first.n - corner, l->point);
    if ((names || (lead_of(common) < 0 && lead_of(common - 1) < 0)) && partial_names(l, &p, &first) &&
        l->n_values < (int64_t)l->N * l->N) {
        l->n_fields = l->lead + l->n_values;
    } else {
        TRY(fit_square(l, &p, rows + below, p.n - below, &first, notes));
    }
    if (l->n_values < (int64_t)l->N * l->N)
        traffic_note(notes, a, "%lld of %d x %d pairs are listed; the others are taken as 0", (long long)l->n_values,
                     l->N, l->N);
    const int skip = l->header;
    if (l->lead == 0 && l->N == 2 && p.n > skip && all_times(rows + skip, p.n - skip, 0))
        return ERROR("%s:%lld: four columns of which the first is a time are no 2 x 2 matrices; a long table wants "
                     "--columns time=1,source=2,destination=3,value=4 or the like", s->path,
                     (long long)p.line[0].number);
    int n = 0;
    while (skip + n < p.n && rows[skip + n].n >= l->lead + 1) n++;
    return find_lead(l, &p, rows + skip, n, skip, notes);
}
