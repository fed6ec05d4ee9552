// M. Roughan's .dat: lines '# key = value' (date, time, time interval, units), then N lines of N numbers with commas, a
// line for each origin.
#include <math.h>
#include <string.h>

#include "traffic/formats/internal.h"

typedef struct Header { Slice date, time, interval, units; } Header;

static Slice *header_key(Header *h, Slice key)
{
    if (slice_is(key, "date")) return &h->date;
    if (slice_is(key, "time")) return &h->time;
    if (slice_is(key, "time interval")) return &h->interval;
    if (slice_is(key, "units")) return &h->units;
    return NULL;
}

static void read_header(Header *h, const FormatFile *f)
{
    Lines lines = lines_of(f->bytes, f->size);
    for (Slice line; lines_next(&line, &lines); ) {
        const char *equals = line.n && *line.s == '#' ? memchr(line.s, '=', line.n) : NULL;
        if (!equals) continue;
        Slice *to = header_key(h, slice_trim((Slice){line.s + 1, (size_t)(equals - line.s - 1)}));
        if (to) *to = slice_trim((Slice){equals + 1, line.n - (size_t)(equals + 1 - line.s)});
    }
}

static Status take_header(FileHead *head, Stamp *time, const FormatFile *f, Arena *a)
{
    Header h = {0};
    read_header(&h, f);
    *head = (FileHead){.format = FORMAT_ROUGHAN, .slot_seconds = duration_read(h.interval)};
    if (h.units.n) {
        head->unit = arena_printf(a, "%.*s", SLICE(h.units));
        head->kbps = unit_read(head->unit);
        if (!(head->kbps > 0))
            return ERROR("%s: want units such as Gbytes / second, got '%.*s'", f->path, SLICE(h.units));
    }
    if (!h.date.n) {
        time_in_name(time, f->path);
        return OK;
    }
    const char *stamp = arena_printf(a, "%.*s-%.*s", SLICE(h.date), SLICE(h.time));
    if (time_read(time, h.time.n ? slice_of(stamp) : h.date)) return OK;
    return ERROR("%s: want a date and time such as 2004-09-09 and 00-45-00, got '%.*s' and '%.*s'", f->path,
                 SLICE(h.date), SLICE(h.time));
}

static Status read_row(float *x, const FormatFile *f, Slice line, int64_t line_no, int N)
{
    for (int j = 0; ; j++) {
        const char *comma = memchr(line.s, ',', line.n);
        const Slice field = slice_trim((Slice){line.s, comma ? (size_t)(comma - line.s) : line.n});
        if (j == N) return ERROR("%s:%lld: want %d values, got more", f->path, (long long)line_no, N);
        double v = NAN;
        if (!slice_number(&v, field) && !slice_is(field, "NaN") && !slice_is(field, "nan"))
            return ERROR("%s:%lld: want a number in field %d, got '%.*s'", f->path, (long long)line_no, j + 1,
                         SLICE(field));
        if (v < 0 || v > 3e38)
            return ERROR("%s:%lld: want a value >= 0 in field %d, got %g", f->path, (long long)line_no, j + 1, v);
        x[j] = (float)v;
        if (!comma && j == N - 1) return OK;
        if (!comma) return ERROR("%s:%lld: want %d values, got %d", f->path, (long long)line_no, N, j + 1);
        line = (Slice){comma + 1, line.n - (size_t)(comma + 1 - line.s)};
    }
}

static int count_values(Slice line)
{
    int n = 1;
    for (size_t i = 0; i < line.n; i++) n += line.s[i] == ',';
    return n;
}

Status read_roughan(TableBuilder *b, const FormatFile *f)
{
    FileHead head;
    Stamp time;
    TRY(take_header(&head, &time, f, builder_scratch(b)));
    TRY(builder_head(b, &head));
    Lines lines = lines_of(f->bytes, f->size);
    float *x = NULL;
    int N = 0, rows = 0;
    for (Slice line; lines_next_data(&line, &lines); rows++) {
        if (!rows) {
            N = count_values(line);
            TRY(builder_dense(&x, b, N, time));
        }
        if (rows == N) return ERROR("%s:%lld: want %d lines of values, got more", f->path, (long long)lines.line, N);
        TRY(read_row(x + (int64_t)rows * N, f, line, lines.line, N));
    }
    if (!rows || rows < N) return ERROR("%s: want %d lines of values, got %d", f->path, N, rows);
    builder_scale(b, x, (int64_t)N * N);
    return OK;
}
