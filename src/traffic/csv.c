#include "traffic/csv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

// Days from 1970-01-01 to year-month-day of the Gregorian calendar (years are counted from March).
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool csv_parse_time(const char *text, int64_t *seconds)
{
    int y, mo, d, h, mi, sec = 0, n = 0;
    if (sscanf(text, "%4d-%2d-%2d-%2d-%2d%n", &y, &mo, &d, &h, &mi, &n) == 5 && n > 0) {
        // the compact form has no seconds
    } else if (n = 0, sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d%n", &y, &mo, &d, &h, &mi, &n) == 5 && n > 0) {
        int more = 0;
        if (sscanf(text + n, ":%2d%n", &sec, &more) == 1) n += more;
        if (text[n] == 'Z') n++;
    } else {
        char *end;
        errno = 0;
        long long v = strtoll(text, &end, 10);
        while (*end == ' ') end++;
        *seconds = v;
        return end != text && !*end && !errno && v >= 0;
    }
    while (text[n] == ' ' || text[n] == '"') n++;
    if (text[n] || y < 1970 || mo < 1 || mo > 12 || d < 1 || d > 31 || h < 0 || h > 23 || mi < 0 || mi > 59 ||
        sec < 0 || sec > 60) return false;
    *seconds = days_from_date(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec;
    return true;
}

static bool parse_value(const char *text, float *value)
{
    char *end;
    double v = strtod(text, &end);
    while (*end == ' ') end++;
    *value = (float)v;
    return end != text && !*end;
}

// Cuts the line in place; fields[i] = start of field i.  Returns the number of fields, an empty last one dropped.
static int64_t split_fields(char *line, char sep, char **fields, int64_t max)
{
    int64_t n = 0;
    for (char *p = line; p; ) {
        while (*p == ' ') p++;
        if (n < max) fields[n] = p;
        n++;
        p = strchr(p, sep);
        if (p) *p++ = 0;
    }
    if (n > 1 && n <= max && !*fields[n - 1]) n--;
    return n;
}

static int64_t count_char(const char *p, char c)
{
    int64_t n = 0;
    for (; *p; p++) n += *p == c;
    return n;
}

static char *next_line(char **cursor)
{
    char *line = *cursor;
    if (!line || !*line) return NULL;
    char *end = strchr(line, '\n');
    *cursor = end ? end + 1 : NULL;
    if (end) *end = 0;
    size_t len = strlen(line);
    if (len && line[len - 1] == '\r') line[len - 1] = 0;
    return line;
}

static int64_t square_root(int64_t n)
{
    int64_t r = (int64_t)llround(sqrt((double)n));
    return r * r == n ? r : 0;
}

typedef struct CsvLayout { char sep; int64_t n_fields; int N; bool has_time, has_header; } CsvLayout;

// Looks at the first line (a copy of it): separator, number of fields, time column, header.
static Status find_layout(CsvLayout *l, Arena *a, const char *first, const char *path)
{
    char *line = arena_printf(a, "%s", first);
    l->sep = strchr(line, ',') ? ',' : strchr(line, ';') ? ';' : '\t';
    int64_t max = count_char(line, l->sep) + 1;
    char **fields = arena_alloc(a, (size_t)max * sizeof *fields);
    l->n_fields = split_fields(line, l->sep, fields, max);
    int64_t plain = square_root(l->n_fields), timed = square_root(l->n_fields - 1);
    l->has_time = plain == 0 && timed > 0;
    l->N = (int)(plain ? plain : timed);
    float v;
    int64_t t;
    l->has_header = !parse_value(fields[l->n_fields - 1], &v) ||
                    (l->has_time && !csv_parse_time(fields[0], &t)) || (!l->has_time && !parse_value(fields[0], &v));
    if (l->N < 2)
        return ERROR("%s:1: want N*N values, or a time and N*N values, N >= 2; got %lld fields", path,
                     (long long)l->n_fields);
    return OK;
}

Status csv_read(int *N, int64_t *T, float **x, int64_t **time, Arena *a, const char *path)
{
    char *text;
    size_t size;
    TRY(file_read(&text, &size, a, path, SIZE_MAX / 2));
    if (strlen(text) != size) return ERROR("%s: want text, got a NUL byte after %zu bytes", path, strlen(text));
    if (!strncmp(text, "\xef\xbb\xbf", 3)) text += 3;   // byte order mark
    int64_t lines = count_char(text, '\n') + 1, line_no = 0, rows = 0;
    char *cursor = text, *line = next_line(&cursor);
    CsvLayout l;
    TRY(find_layout(&l, a, line, path));
    *N = l.N;
    int64_t F = (int64_t)l.N * l.N;
    // Every value takes two characters, so the table is never larger than twice the file: a short line is found below.
    if (lines > (int64_t)size / F + 2) lines = (int64_t)size / F + 2;
    *x = arena_alloc(a, (size_t)(lines * F) * sizeof **x);
    *time = l.has_time ? arena_alloc(a, (size_t)lines * sizeof **time) : NULL;
    char **fields = arena_alloc(a, (size_t)(l.n_fields + 1) * sizeof *fields);   // one more: a separator at the end
    for (; line; line = next_line(&cursor)) {
        line_no++;
        if (!*line || (line_no == 1 && l.has_header)) continue;
        int64_t n = split_fields(line, l.sep, fields, l.n_fields + 1);
        if (n != l.n_fields || rows == lines)
            return ERROR("%s:%lld: want %lld fields as in line 1, got %lld", path, (long long)line_no,
                         (long long)l.n_fields, (long long)n);
        if (l.has_time && !csv_parse_time(fields[0], &(*time)[rows]))
            return ERROR("%s:%lld: want a time such as 2005-01-31-23-45, got '%.30s'", path, (long long)line_no,
                         fields[0]);
        for (int64_t f = 0; f < F; f++) {
            const char *field = fields[f + l.has_time];
            if (!parse_value(field, &(*x)[rows * F + f]))
                return ERROR("%s:%lld: want a number in kbit/s in field %lld, got '%.20s'", path, (long long)line_no,
                             (long long)(f + l.has_time + 1), field);
        }
        rows++;
    }
    *T = rows;
    return OK;
}
