#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/number.h"
#include "traffic/formats/internal.h"
#include "traffic/times.h"
#include "traffic/unit.h"

// ---- slices, lines, fields -----------------------------------------------------------------------------------------

Slice slice_of(const char *s) { return (Slice){s, strlen(s)}; }

bool slice_is(Slice s, const char *word) { return s.n == strlen(word) && !memcmp(s.s, word, s.n); }

bool slice_begins(Slice s, const char *word) { return s.n >= strlen(word) && !memcmp(s.s, word, strlen(word)); }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

Slice slice_trim(Slice s)
{
    while (s.n && is_blank(s.s[s.n - 1])) s.n--;
    while (s.n && is_blank(*s.s)) s.s++, s.n--;
    return s;
}

Lines lines_of(const char *bytes, size_t size)
{
    const size_t mark = size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3) ? 3 : 0;
    return (Lines){.p = bytes + mark, .end = bytes + size};
}

bool lines_next(Slice *line, Lines *l)
{
    enum { PIECE = 1 << 20 };
    if (l->p == l->end) return false;
    if (l->unused && l->p - l->unused > PIECE) {
        memory_unused((void *)l->unused, (size_t)(l->p - l->unused));
        l->unused = l->p;
    }
    const char *end = memchr(l->p, '\n', (size_t)(l->end - l->p));
    *line = (Slice){l->p, (size_t)((end ? end : l->end) - l->p)};
    l->p = end ? end + 1 : l->end;
    l->line++;
    if (line->n && line->s[line->n - 1] == '\r') line->n--;
    return true;
}

bool lines_next_data(Slice *line, Lines *l)
{
    while (lines_next(line, l)) {
        *line = slice_trim(*line);
        if (line->n && *line->s != '#') return true;
    }
    return false;
}

bool field_next(Slice *field, Slice *rest)
{
    while (rest->n && is_blank(*rest->s)) rest->s++, rest->n--;
    *field = (Slice){rest->s, 0};
    while (rest->n && !is_blank(*rest->s)) rest->s++, rest->n--, field->n++;
    return field->n > 0;
}

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- numbers -------------------------------------------------------------------------------------------------------

bool slice_number(double *v, Slice s)
{
    return s.n && number_parse(s.s, s.s + s.n, '.', v) == s.s + s.n && isfinite(*v);
}

bool slice_integer(int64_t *v, Slice s, int64_t max)
{
    *v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.s[i])) return false;
        *v = 10 * *v + (s.s[i] - '0');
        if (*v > max) return false;
    }
    return s.n > 0;
}

// ---- times, durations, units ---------------------------------------------------------------------------------------

static bool take_time(Stamp *t, const char *text, size_t n)
{
    const TimeForm form = time_parse(text, n, &t->seconds);
    t->known = form != TIME_NONE;
    t->zoned = form == TIME_ZONED;
    return t->known;
}

bool time_read(Stamp *t, Slice s)
{
    s = slice_trim(s);
    char text[16];
    int64_t number;
    if ((s.n == 4 || s.n == 6) && slice_integer(&number, s, 999999)) {        // a year, a month
        snprintf(text, sizeof text, "%.4s-%.2s-01", s.s, s.n == 6 ? s.s + 4 : "01");
        return take_time(t, text, strlen(text));
    }
    return s.n && take_time(t, s.s, s.n);
}

// The next n digits as a number; -1 when there are fewer.
static int digits_at(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (!is_digit((*p)[i])) return -1;
        v = 10 * v + (*p)[i] - '0';
    }
    *p += n;
    return v;
}

static bool skip_one(const char **p, const char *of)
{
    const bool is = **p && strchr(of, **p);
    *p += is;
    return is;
}

// A date at p, 20040301 or 2004-03-01, with a time behind it (0005, 00-05, 00:05:00 after one of "-_.T ") or, when
// day_alone, without.
static bool stamp_at(Stamp *t, const char *p, bool day_alone)
{
    char text[80];
    const int y = digits_at(&p, 4);
    const bool dashed = y >= 0 && skip_one(&p, "-");
    const int mo = y < 0 ? -1 : digits_at(&p, 2);
    if (mo < 0 || (dashed && !skip_one(&p, "-"))) return false;
    const int d = digits_at(&p, 2);
    if (d < 0) return false;
    const char *day = p;
    skip_one(&p, "-_.T ");
    const int h = digits_at(&p, 2);
    const bool cut = h >= 0 && skip_one(&p, ":-");
    const int mi = h < 0 ? -1 : digits_at(&p, 2);
    const char *minute = p;
    if (cut) skip_one(&p, ":-");
    const int s = mi < 0 ? -1 : digits_at(&p, 2);
    if (s < 0) p = mi < 0 ? day : minute;
    if (is_digit(*p) || (mi < 0 && !day_alone)) return false;
    if (mi < 0) snprintf(text, sizeof text, "%04d-%02d-%02d", y, mo, d);
    else snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d", y, mo, d, h, mi, s < 0 ? 0 : s);
    return take_time(t, text, strlen(text));
}

bool time_in_name(Stamp *t, const char *path)
{
    const char *name = base_name(path);
    for (int day_alone = 0; day_alone < 2; day_alone++)
        for (const char *p = name; *p; p++)
            if ((p == name || !is_digit(p[-1])) && stamp_at(t, p, day_alone)) return true;
    *t = (Stamp){.known = false};
    return false;
}

int duration_read(Slice s)
{
    int64_t seconds;
    return s.n && duration_parse(s.s, s.n, &seconds) && seconds <= INT_MAX ? (int)seconds : 0;
}

double unit_read(const char *text)
{
    TrafficUnit u;
    return unit_parse(text, strlen(text), &u) && u.seconds > 0 ? unit_kbps(&u, u.seconds) : 0;
}
