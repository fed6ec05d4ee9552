#include "traffic/times.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const int64_t YEAR_1990 = 631152000, YEAR_2100 = 4102444800;

bool time_plausible(int64_t seconds) { return seconds >= YEAR_1990 && seconds < YEAR_2100; }

bool time_from_number(double value, int64_t *seconds)
{
    for (double unit = 1; unit <= 1e9; unit *= 1000) {
        const double v = value / unit;
        if (!(v >= (double)YEAR_1990 && v < (double)YEAR_2100)) continue;
        *seconds = (int64_t)floor(v + 0.5);
        return true;
    }
    return false;
}

// Days from 1970-01-01 to year-month-day of the Gregorian calendar (years are counted from March).
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// ---- reading -------------------------------------------------------------------------------------------------------

typedef struct Clock { int y, mo, d, h, mi, s; double fraction; } Clock;
typedef struct Cursor { const char *p, *end; } Cursor;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static char peek(const Cursor *c) { return c->p < c->end ? *c->p : 0; }

static bool accept(Cursor *c, const char *any)
{
    if (c->p == c->end || !*c->p || !strchr(any, *c->p)) return false;
    c->p++;
    return true;
}

// A number of at least `least` and at most `most` digits.
static bool digits(Cursor *c, int least, int most, int *v)
{
    int n = 0;
    for (*v = 0; n < most && c->p < c->end && is_digit(*c->p); n++) *v = 10 * *v + *c->p++ - '0';
    return n >= least;
}

static bool clock_seconds_of(const Clock *k, int64_t *seconds)
{
    static const int of_month[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (k->mo < 1 || k->mo > 12 || k->h > 23 || k->mi > 59 || k->s > 60) return false;
    const bool leap = k->mo == 2 && k->y % 4 == 0 && (k->y % 100 != 0 || k->y % 400 == 0);
    if (k->d < 1 || k->d > of_month[k->mo - 1] + leap) return false;
    *seconds = days_from_date(k->y, k->mo, k->d) * DAY_SECONDS + k->h * 3600 + k->mi * 60 + k->s + (k->fraction >= 0.5);
    return time_plausible(*seconds);
}

static void fraction(Cursor *c, double *v)
{
    const Cursor before = *c;
    if (!accept(c, ".,")) return;
    if (!is_digit(peek(c))) {
        *c = before;
        return;
    }
    for (double place = 0.1; is_digit(peek(c)); place /= 10) *v += place * (*c->p++ - '0');
}

// What may follow a time: nothing, or an offset in *east.  False when there is something else.
static bool zone_suffix(Cursor *c, bool *given, int64_t *east)
{
    while (accept(c, " ")) continue;
    *given = c->p < c->end;
    *east = 0;
    if (!*given || accept(c, "Zz")) return c->p == c->end;
    if (c->end - c->p == 3 && (!strncasecmp(c->p, "UTC", 3) || !strncasecmp(c->p, "GMT", 3))) return true;
    const int sign = peek(c) == '-' ? -1 : 1;
    int h, m = 0;
    if (!accept(c, "+-") || !digits(c, 2, 2, &h) || h > 15) return false;
    if (c->p < c->end && (accept(c, ":"), !digits(c, 2, 2, &m) || m > 59)) return false;
    *east = sign * (h * 3600 + m * 60);
    return c->p == c->end;
}

// hh:mm[:ss[.fraction]], or with another separator, or without any (compact).
static bool time_of_day(Cursor *c, Clock *k, char separator)
{
    const char between[] = {separator, 0};
    if (!digits(c, separator ? 1 : 2, 2, &k->h)) return false;
    if (separator && !accept(c, between)) return false;
    if (!digits(c, 2, 2, &k->mi)) return false;
    const bool more = separator == ':' ? accept(c, ":") : !separator && is_digit(peek(c));
    if (more && !digits(c, 2, 2, &k->s)) return false;
    if (more) fraction(c, &k->fraction);
    return true;
}

// 2005-01-31, 2005/01/31, 31.01.2005.
static bool separated_date(Cursor *c, Clock *k)
{
    int first;
    if (!digits(c, 1, 4, &first)) return false;
    const char separator = peek(c), between[] = {separator, 0};
    if (!separator || !strchr("-/.", separator)) return false;
    c->p++;
    if (!digits(c, 1, 2, &k->mo) || !accept(c, between)) return false;
    if (first > 31) {
        k->y = first;
        return first >= 1000 && digits(c, 1, 2, &k->d);
    }
    k->d = first;
    return separator == '.' && digits(c, 4, 4, &k->y);
}

static bool compact_date(Cursor *c, Clock *k)
{
    return digits(c, 4, 4, &k->y) && digits(c, 2, 2, &k->mo) && digits(c, 2, 2, &k->d);
}

static TimeForm date_parse(Cursor c, bool compact, int64_t *seconds)
{
    Clock k = {0};
    bool given = false;
    int64_t east = 0;
    if (!(compact ? compact_date(&c, &k) : separated_date(&c, &k))) return TIME_NONE;
    if (c.p < c.end) {
        const bool dashes = !compact && peek(&c) == '-', joined = compact && is_digit(peek(&c));
        if (!joined && !accept(&c, compact ? "T -_" : "T -_,")) return TIME_NONE;
        while (accept(&c, " ")) continue;
        const char *colon = memchr(c.p, ':', (size_t)(c.end - c.p));
        if (!time_of_day(&c, &k, dashes ? '-' : colon && !joined && colon - c.p <= 2 ? ':' : 0)) return TIME_NONE;
        if (!zone_suffix(&c, &given, &east)) return TIME_NONE;
    }
    if (!clock_seconds_of(&k, seconds)) return TIME_NONE;
    *seconds -= east;
    return given ? TIME_ZONED : TIME_LOCAL;
}

// 2005-01-31 and the like have a separator among the first five characters; a compact date begins with eight digits.
static int leading_digits(const Cursor *c)
{
    int n = 0;
    while (c->p + n < c->end && is_digit(c->p[n])) n++;
    return n;
}

static TimeForm number_parse(const Cursor *c, int64_t *seconds)
{
    char text[48], *end;
    const size_t n = (size_t)(c->end - c->p);
    if (n >= sizeof text) return TIME_NONE;
    memcpy(text, c->p, n);
    text[n] = 0;
    if (strspn(text, "0123456789.eE+") != n) return TIME_NONE;
    const double v = strtod(text, &end);
    return end != text && !*end && time_from_number(v, seconds) ? TIME_ZONED : TIME_NONE;
}

TimeForm time_parse(const char *text, size_t n, int64_t *seconds)
{
    Cursor c = {text, text + n};
    while (accept(&c, " \t\"'")) continue;
    while (c.end > c.p && strchr(" \t\"'\r", c.end[-1])) c.end--;
    const int lead = leading_digits(&c), all = (int)(c.end - c.p);
    if (!lead) return TIME_NONE;
    if (lead < 8) {
        const TimeForm form = date_parse(c, false, seconds);
        return form != TIME_NONE ? form : number_parse(&c, seconds);
    }
    if (lead == 8 || ((lead == 12 || lead == 14) && (lead == all || !strchr(".eE", c.p[lead])))) {
        const TimeForm form = date_parse(c, true, seconds);
        if (form != TIME_NONE) return form;
    }
    return number_parse(&c, seconds);
}

// ---- zones ---------------------------------------------------------------------------------------------------------

int64_t time_zone_east(const TimeZone *z, int64_t utc)
{
    if (!z->named) return z->offset;
    const time_t at = (time_t)utc;
    struct tm tm;
    localtime_r(&at, &tm);
    return tm.tm_gmtoff;
}

Status time_zone_open(TimeZone *z, const char *name)
{
    *z = (TimeZone){.name = name ? name : "UTC"};
    if (!name || !strcasecmp(name, "UTC") || !strcasecmp(name, "GMT")) return OK;
    Cursor c = {name, name + strlen(name)};
    bool given;
    if (strchr("+-", *name)) return zone_suffix(&c, &given, &z->offset) && given ? OK
        : USAGE_ERROR("--tz: want a zone such as Europe/Berlin, UTC or +02:00, got '%s'", name);
    const char *root = getenv("TZDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root ? root : "/usr/share/zoneinfo", name);
    if (strstr(name, "..") || *name == '/' || access(path, R_OK))
        return USAGE_ERROR("--tz: want a zone such as Europe/Berlin, UTC or +02:00, got '%s': no %s (package tzdata)",
                           name, path);
    z->named = true;
    char value[512];
    snprintf(value, sizeof value, ":%s", name);
    setenv("TZ", value, 1);
    tzset();
    return OK;
}

Status time_zone_utc(TimeZone *z, int64_t local, int64_t *seconds)
{
    if (z->started && local == z->last_local) {
        *seconds = z->last_utc;
        return OK;
    }
    // A change of the clock is seen from a day before and a day after: more than any offset, less than between two.
    const int64_t early = local - time_zone_east(z, local - DAY_SECONDS),
                  late = local - time_zone_east(z, local + DAY_SECONDS);
    const bool early_is = early + time_zone_east(z, early) == local, late_is = late + time_zone_east(z, late) == local;
    if (!early_is && !late_is)
        return ERROR("%s does not exist in %s, where clocks skip it: are the times in another zone (--tz)?",
                     time_text(local).s, z->name);
    const bool second = early_is && late_is && z->started && early <= z->last_utc;
    *seconds = early_is && !second ? early : late;
    z->last_local = local;
    z->last_utc = *seconds;
    z->started = true;
    return OK;
}

// ---- text ----------------------------------------------------------------------------------------------------------

TimeText time_text(int64_t seconds)
{
    TimeText text;
    const time_t at = (time_t)seconds;
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text.s, sizeof text.s, seconds % 60 ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &tm);
    return text;
}

bool duration_parse(const char *text, size_t n, int64_t *seconds)
{
    static const struct { const char *name; int64_t seconds; } unit[] = {
        {"s", 1}, {"sec", 1}, {"second", 1}, {"m", 60}, {"min", 60}, {"minute", 60}, {"h", 3600}, {"hour", 3600},
        {"d", DAY_SECONDS}, {"day", DAY_SECONDS}, {"", 1}};
    Cursor c = {text, text + n};
    while (accept(&c, " ")) continue;
    while (c.end > c.p && c.end[-1] == ' ') c.end--;
    int v = 1;
    if (is_digit(peek(&c)) && !digits(&c, 1, 8, &v)) return false;
    while (accept(&c, " ")) continue;
    size_t left = (size_t)(c.end - c.p);
    if (left > 1 && c.end[-1] == 's') left--;                 // minutes, hours, secs
    if (c.p == text && !left) return false;
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
        if (strlen(unit[i].name) == left && !strncasecmp(c.p, unit[i].name, left)) {
            *seconds = v * unit[i].seconds;
            return v >= 1;
        }
    return false;
}
