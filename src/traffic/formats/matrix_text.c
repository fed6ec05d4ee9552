// Matrices as numbers alone.
//   X01 .. X24 of Y. Zhang's Abilene data: a line for 5 minutes, N*N times 5 numbers (realOD, simpleGravity,
//     simpleTomogravity, generalGravity, generalTomogravity); realOD of flow k is number 5k; 100 bytes per 5 minutes
//   .hist of DOTE and FIGRET, np.savetxt, realOD columns: N*N numbers a line, origin-major, or one matrix of N lines
//     of N numbers; bit/s in .hist
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/number.h"
#include "traffic/formats/internal.h"

enum { ESTIMATES = 5, X_SLOT = 300, X_LINES_A_WEEK = 2016 };

// Takes every step-th number of a line of n numbers.
static Status read_numbers(float *x, const FormatFile *f, Slice line, int64_t line_no, int64_t n, int step)
{
    const char *p = line.s, *end = line.s + line.n;
    int64_t got = 0;
    for (; ; got++) {
        while (p < end && (*p == ' ' || *p == '\t')) p++;
        if (p == end) break;
        double v;
        const char *q = number_parse(p, end, '.', &v);
        if (!q || (q < end && *q != ' ' && *q != '\t'))
            return ERROR("%s:%lld: want a number, got '%.*s' in field %lld", f->path, (long long)line_no,
                         end - p > 20 ? 20 : (int)(end - p), p, (long long)got + 1);
        if (v < 0 || fabs(v) > 3e38)
            return ERROR("%s:%lld: want a value >= 0, got %g in field %lld", f->path, (long long)line_no, v,
                         (long long)got + 1);
        if (got < n && got % step == 0) x[got / step] = (float)v;
        p = q;
    }
    if (got == n) return OK;
    return ERROR("%s:%lld: want %lld numbers as in the lines before, got %lld", f->path, (long long)line_no,
                 (long long)n, (long long)got);
}

static int64_t count_fields(Slice line)
{
    int64_t n = 0;
    for (Slice field; field_next(&field, &line); n++) continue;
    return n;
}

static int square_root(int64_t n)
{
    const int r = (int)lround(sqrt((double)n));
    return (int64_t)r * r == n ? r : 0;
}

// The day on which X<week> begins, Unix s; the files say nothing of time.
static bool week_of(Stamp *start, const char *path)
{
    static const char *const first_day[] = {
        "2004-03-01", "2004-03-08", "2004-04-02", "2004-04-09", "2004-04-22", "2004-05-01", "2004-05-08", "2004-05-15",
        "2004-05-22", "2004-05-29", "2004-06-05", "2004-06-12", "2004-06-19", "2004-06-26", "2004-07-03", "2004-07-10",
        "2004-07-17", "2004-07-24", "2004-07-31", "2004-08-07", "2004-08-13", "2004-08-21", "2004-08-28", "2004-09-04"};
    const char *name = base_name(path);
    if ((*name | 32) != 'x' || !strchr("0123456789", name[1]) || !name[1] || !name[2] ||
        !strchr("0123456789", name[2]) || (name[3] && strchr("0123456789", name[3]))) return false;
    const int week = 10 * (name[1] - '0') + name[2] - '0';
    return week >= 1 && week <= 24 && time_read(start, slice_of(first_day[week - 1]));
}

static Lines lines_once(const FormatFile *f)
{
    Lines lines = lines_of(f->bytes, f->size);
    lines.unused = f->mapped ? f->bytes : NULL;
    return lines;
}

static Status read_lines(TableBuilder *b, const FormatFile *f, int step, Stamp time)
{
    Lines lines = lines_once(f);
    int64_t n = 0, rows = 0;
    int N = 0;
    for (Slice line; lines_next_data(&line, &lines); rows++) {
        if (!n) {
            n = count_fields(line);
            N = square_root(n / step);
            if (n % step || !N)
                return ERROR("%s:%lld: want N*N numbers, got %lld", f->path, (long long)lines.line, (long long)n);
        }
        float *x;
        if (time.known && rows == X_LINES_A_WEEK)
            return ERROR("%s:%lld: want the %d lines of a week, got more", f->path, (long long)lines.line,
                         X_LINES_A_WEEK);
        TRY(builder_dense(&x, b, N, time));
        TRY(read_numbers(x, f, line, lines.line, n, step));
        builder_scale(b, x, (int64_t)N * N);
        time.seconds += X_SLOT;
    }
    return rows ? OK : ERROR("%s: want lines of numbers, got none", f->path);
}

Status read_x(TableBuilder *b, const FormatFile *f)
{
    const FileHead head = {.format = FORMAT_X, .kbps = 100 * 8 / 300e3, .unit = "100 bytes per 5 minutes",
                           .slot_seconds = X_SLOT};
    TRY(builder_head(b, &head));
    Stamp start = {.known = false};
    if (week_of(&start, f->path)) builder_note(b, "%s: time from its name", f->path);
    return read_lines(b, f, ESTIMATES, start);
}

// Lines of the matrices, and numbers on the first of them.
static int64_t count_lines(int64_t *fields, const FormatFile *f)
{
    Lines lines = lines_once(f);
    int64_t n = 0;
    for (Slice line; lines_next_data(&line, &lines); n++)
        if (!n) *fields = count_fields(line);
    return n;
}

// One matrix, a line for each origin.
static Status read_square(TableBuilder *b, const FormatFile *f, int N)
{
    Lines lines = lines_of(f->bytes, f->size);
    Stamp time;
    float *x;
    time_in_name(&time, f->path);
    TRY(builder_dense(&x, b, N, time));
    for (Slice line; lines_next_data(&line, &lines); x += N) {
        TRY(read_numbers(x, f, line, lines.line, N, 1));
        builder_scale(b, x, N);
    }
    return OK;
}

static bool ends_in(const char *path, const char *suffix)
{
    const size_t n = strlen(path), m = strlen(suffix);
    return n >= m && !strcasecmp(path + n - m, suffix);
}

Status read_matrix_text(TableBuilder *b, const FormatFile *f)
{
    FileHead head = {.format = FORMAT_TEXT};
    if (ends_in(f->path, ".hist") || ends_in(f->path, ".hist.gz")) {
        head.kbps = 1e-3;
        head.unit = "bit/s";
        builder_note(b, "%s: unit bit/s, as in files named .hist", f->path);
    }
    TRY(builder_head(b, &head));
    int64_t fields = 0;
    const int64_t lines = count_lines(&fields, f);
    if (lines == fields && !square_root(fields)) return read_square(b, f, (int)fields);
    if (lines == fields)
        builder_note(b, "%s: %lld lines of %lld numbers are taken as a matrix each, not as one matrix", f->path,
                     (long long)lines, (long long)fields);
    Stamp time = {.known = false};
    if (lines == 1) time_in_name(&time, f->path);
    return read_lines(b, f, 1, time);
}
