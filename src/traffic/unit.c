#include "traffic/unit.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "io/number.h"
#include "traffic/times.h"

typedef struct Words { const char *p, *end; } Words;

static void skip_blanks(Words *w)
{
    while (w->p < w->end && (*w->p == ' ' || *w->p == '_')) w->p++;
}

static bool take(Words *w, const char *word, bool exact)
{
    const size_t n = strlen(word);
    if ((size_t)(w->end - w->p) < n || (exact ? strncmp(w->p, word, n) : strncasecmp(w->p, word, n))) return false;
    w->p += n;
    return true;
}

static double take_prefix(Words *w)
{
    static const struct { const char *name; double factor; } prefix[] = {
        {"kilo", 1e3}, {"mega", 1e6}, {"giga", 1e9}, {"tera", 1e12}, {"Ki", 1024}, {"Mi", 1048576}, {"Gi", 1073741824},
        {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12}};
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++) {
        const Words before = *w;
        if (!take(w, prefix[i].name, prefix[i].factor == 1024 || (i > 4 && i < 7))) continue;
        if (w->p < w->end && strchr("bBoO", *w->p)) return prefix[i].factor;
        *w = before;
    }
    return 1;
}

// Bits of the word at w; 0: none.  *rate: the word means "per second" as well.
static double take_bits(Words *w, bool *rate)
{
    static const struct { const char *name; bool exact; double bits; bool rate; } word[] = {
        {"bitpersec", false, 1, true}, {"bits", false, 1, false}, {"bit", false, 1, false}, {"bytes", false, 8, false},
        {"byte", false, 8, false}, {"octets", false, 8, false}, {"octet", false, 8, false}, {"BPS", true, 1, true},
        {"Bps", true, 8, true}, {"bps", false, 1, true}, {"b", true, 1, false}, {"B", true, 8, false}};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (take(w, word[i].name, word[i].exact)) {
            *rate = word[i].rate;
            return word[i].bits;
        }
    return 0;
}

static bool take_period(Words *w, TrafficUnit *u)
{
    skip_blanks(w);
    if (!take(w, "/", true) && !take(w, "per", false)) return false;
    skip_blanks(w);
    int64_t seconds;
    if (w->end - w->p == 4 && !strncasecmp(w->p, "slot", 4)) u->seconds = 0;
    else if (duration_parse(w->p, (size_t)(w->end - w->p), &seconds)) u->seconds = (double)seconds;
    else return false;
    w->p = w->end;
    return true;
}

bool unit_parse(const char *text, size_t n, TrafficUnit *u)
{
    Words w = {text, text + n};
    double number = 1;
    bool rate = false;
    skip_blanks(&w);
    while (w.end > w.p && w.end[-1] == ' ') w.end--;
    const char *behind = number_parse(w.p, w.end, '.', &number);
    if (behind) w.p = behind;
    else number = 1;
    skip_blanks(&w);
    const double factor = take_prefix(&w), bits = take_bits(&w, &rate);
    if (!(number > 0 && number < 1e18) || bits == 0) return false;
    *u = (TrafficUnit){.kbit = number * factor * bits / 1000, .seconds = 1};
    return rate ? w.p == w.end : take_period(&w, u) && w.p == w.end;
}

bool unit_of_column(const char *name, TrafficUnit *u)
{
    const char *end = name + strlen(name);
    if (end > name && strchr(")]", end[-1])) end--;
    for (const char *p = name; p < end; p++) {
        if (p > name && !strchr("_ ([,-.", p[-1])) continue;
        if (unit_parse(p, (size_t)(end - p), u)) return true;
        const size_t n = (size_t)(end - p);
        if ((n == 5 && !strncasecmp(p, "bytes", n)) || (n == 6 && !strncasecmp(p, "octets", n)) ||
            (n == 4 && !strncasecmp(p, "ibyt", n))) {
            *u = (TrafficUnit){.kbit = 0.008};
            return true;
        }
    }
    return false;
}

double unit_kbps(const TrafficUnit *u, double slot_seconds)
{
    return u->kbit / (u->seconds > 0 ? u->seconds : slot_seconds);
}
