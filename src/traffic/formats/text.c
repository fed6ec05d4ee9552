#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "traffic/csv.h"
#include "traffic/formats/internal.h"

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
    if (l->p == l->end) return false;
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

// m * 10^e.  Up to 2^53 and 10^22 one rounding makes it exact; beyond, long double keeps 64 bits where it has them.
static double scale_decimal(uint64_t m, int e, const char *text)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (m <= (uint64_t)1 << 53 && e >= -22 && e <= 22) return e < 0 ? (double)m / ten[-e] : (double)m * ten[e];
    if (LDBL_MANT_DIG < 64 || e < -27 || e > 27) return strtod(text, NULL);
    long double p = (long double)ten[abs(e) > 22 ? 22 : abs(e)];
    for (int k = 22; k < abs(e); k++) p *= 10;
    return (double)(e < 0 ? (long double)m / p : (long double)m * p);
}

// The exponent at p, e-05; *p stays where it is when there is none.
static int exponent_scan(const char **p, const char *end)
{
    if (*p == end || (**p | 32) != 'e') return 0;
    const char *q = *p + 1;
    const bool down = q < end && *q == '-';
    if (q < end && (*q == '-' || *q == '+')) q++;
    if (q == end || !is_digit(*q)) return 0;
    int power = 0;
    for (; q < end && is_digit(*q); q++)
        if (power < 100000) power = 10 * power + (*q - '0');
    *p = q;
    return down ? -power : power;
}

const char *number_scan(double *v, const char *p, const char *end)
{
    const bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    const char *from = p;
    uint64_t m = 0;
    int e = 0, significant = 0, digits = 0;
    for (bool point = false; p < end && (is_digit(*p) || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        digits = 1;
        if (significant < 19) {
            m = 10 * m + (uint64_t)(*p - '0');
            significant += m > 0;
            e -= point && e > -100000;
        } else {
            e += !point && e < 100000;
        }
    }
    if (!digits) return NULL;
    e += exponent_scan(&p, end);
    *v = m ? scale_decimal(m, e, from) : 0;
    if (minus) *v = -*v;
    return p;
}

bool slice_number(double *v, Slice s)
{
    return s.n && number_scan(v, s.s, s.s + s.n) == s.s + s.n && isfinite(*v);
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

enum { Y1990 = 631152000, DAY = 86400 };
static const int64_t Y2100 = 4102444800;

static bool plausible(int64_t seconds) { return seconds >= Y1990 && seconds < Y2100; }

// The next n digits as a number; -1 when there are fewer.
static int digits_at(const char **p, const char *end, int n)
{
    int v = 0;
    if (end - *p < n) return -1;
    for (int i = 0; i < n; i++, (*p)++) {
        if (!is_digit(**p)) return -1;
        v = 10 * v + **p - '0';
    }
    return v;
}

static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool time_of(int64_t *seconds, int y, int mo, int d, int h, int mi, int s)
{
    if (mo < 1 || mo > 12 || d < 1 || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59) return false;
    const bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    char text[64];
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", y, mo, d, h, mi, s);
    return d <= month_days[mo - 1] + (mo == 2 && leap) && csv_parse_time(text, seconds) && plausible(*seconds);
}

// A date at p, 20040301 or 2004-03-01, with a time behind it (0005, 00-05, 00:05:00 after one of "-_.T ") or, when
// day_alone, without.  Returns the place behind it, NULL when there is none.
static const char *stamp_at(int64_t *seconds, const char *p, const char *end, bool day_alone)
{
    const int y = digits_at(&p, end, 4);
    const bool dashed = y >= 0 && p < end && *p == '-';
    p += dashed;
    const int mo = y < 0 ? -1 : digits_at(&p, end, 2);
    if (mo < 0 || (dashed && (p == end || *p++ != '-'))) return NULL;
    const int d = digits_at(&p, end, 2);
    const char *day = p;
    if (p < end && strchr("-_.T ", *p)) p++;
    const int h = digits_at(&p, end, 2);
    const char colon = p < end && (*p == ':' || *p == '-') ? *p++ : 0;
    const int mi = h < 0 ? -1 : digits_at(&p, end, 2);
    if (mi < 0) return day_alone && time_of(seconds, y, mo, d, 0, 0, 0) && (day == end || !is_digit(*day)) ? day : NULL;
    const char *minute = p;
    p += colon && p < end && *p == colon;
    int s = digits_at(&p, end, 2);
    if (s < 0) s = 0, p = minute;
    return time_of(seconds, y, mo, d, h, mi, s) && (p == end || !is_digit(*p)) ? p : NULL;
}

bool time_read(int64_t *seconds, Slice s)
{
    s = slice_trim(s);
    if (!s.n) return false;
    const char *p = s.s, *end = s.s + s.n;
    if (s.n == 4 || s.n == 6) {
        const int y = digits_at(&p, end, 4), mo = s.n == 6 ? digits_at(&p, end, 2) : 1;
        return y >= 0 && time_of(seconds, y, mo, 1, 0, 0, 0);
    }
    if (s.n && s.s[s.n - 1] == 'Z') end--;
    return stamp_at(seconds, p, end, true) == end;
}

bool time_in_name(int64_t *seconds, const char *path)
{
    const char *name = base_name(path), *end = name + strlen(name);
    for (int day_alone = 0; day_alone < 2; day_alone++)
        for (const char *p = name; p < end; p++)
            if ((p == name || !is_digit(p[-1])) && stamp_at(seconds, p, end, day_alone)) return true;
    return false;
}

int duration_read(Slice s)
{
    static const struct { const char *name; int seconds; } units[] = {
        {"", 1}, {"s", 1}, {"sec", 1}, {"second", 1}, {"min", 60}, {"minute", 60}, {"h", 3600}, {"hour", 3600},
        {"day", DAY}, {"d", DAY}};
    s = slice_trim(s);
    double v;
    const char *p = s.n ? number_scan(&v, s.s, s.s + s.n) : NULL;
    if (!p) return 0;
    Slice unit = slice_trim((Slice){p, (size_t)(s.s + s.n - p)});
    if (unit.n > 1 && unit.s[unit.n - 1] == 's') unit.n--;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (slice_is(unit, units[i].name)) {
            const double seconds = v * units[i].seconds;
            return seconds >= 1 && seconds <= 31 * DAY && seconds == floor(seconds) ? (int)seconds : 0;
        }
    return 0;
}

static bool word_at(const char **p, const char *word)
{
    if (strncasecmp(*p, word, strlen(word))) return false;
    *p += strlen(word);
    return true;
}

double unit_read(const char *text)
{
    char packed[64];
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (is_blank(*p)) continue;
        if (n == sizeof packed - 1) return 0;
        packed[n++] = *p;
    }
    packed[n] = 0;
    const char *p = packed;
    double kbps = 1e-3;
    static const char prefix[] = "kmgt";
    const char *power = *p ? strchr(prefix, *p | 32) : NULL;
    for (const char *k = prefix; power && k <= power; k++) kbps *= 1000;
    p += power != NULL;
    if (word_at(&p, "bytes") || word_at(&p, "byte") || word_at(&p, "octets")) kbps *= 8;
    else if (!word_at(&p, "bits") && !word_at(&p, "bit")) {
        if (*p != 'b' && (*p != 'B' || !strpbrk(packed, "abcdefghijklmnopqrstuvwxyz"))) return 0;    // MBPS: which?
        if (*p++ == 'B') kbps *= 8;
    }
    if (!word_at(&p, "per") && !word_at(&p, "/") && !word_at(&p, "p")) return 0;
    if (!word_at(&p, "seconds") && !word_at(&p, "second") && !word_at(&p, "sec") && !word_at(&p, "s")) return 0;
    return *p ? 0 : kbps;
}
