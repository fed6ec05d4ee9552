#include "traffic/corpus.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tensor/philox.h"
#include "tensor/status.h"

// Trap: C leaves the order open in which arguments and initialiser lists are evaluated, so every draw has a statement
// or a declarator of its own.  Cosines are philox.h's, not libm's: the same text on every machine.

// A document in the making and its random numbers: document d of a part draws philox(seed, SITE_SYNTH << 32 | CORPUS
// << 16 | part) at offsets d * 4096, d * 4096 + 1, ...  (a document takes a few hundred draws).
typedef struct Doc {
    char *text;
    size_t len;
    uint64_t seed, subsequence, offset, end;
} Doc;

enum { CORPUS_SITE_STEP = 0xC0, DRAWS = 4096 };

__attribute__((format(printf, 2, 3))) static void put(Doc *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(d->text + d->len, CORPUS_DOCUMENT_MAX - d->len, fmt, ap);
    va_end(ap);
    CHECK(n >= 0 && (size_t)n < CORPUS_DOCUMENT_MAX - d->len, "corpus: a document is longer than %d bytes",
          CORPUS_DOCUMENT_MAX);
    d->len += (size_t)n;
}

static uint32_t draw(Doc *d)
{
    CHECK(d->offset < d->end, "corpus: a document draws more than %d numbers", DRAWS);
    return philox_u32(d->seed, d->subsequence, d->offset++);
}

// Uniform in lo..hi.
static int range(Doc *d, int lo, int hi) { return lo + (int)((uint64_t)draw(d) * (uint64_t)(hi - lo + 1) >> 32); }
static double uniform(Doc *d) { return (double)philox_unit(draw(d)); }

#define PICK(d, list) (list)[range((d), 0, (int)(sizeof(list) / sizeof *(list)) - 1)]

static const char *const cities[] = {
    "Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Haven", "Inlet", "Juniper", "Kestrel", "Larch",
    "Maple", "North", "Orchid", "Poplar", "Quarry", "River", "Summit", "Tundra", "Upland", "Valley", "Willow", "Yarrow",
};
static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

typedef struct Pair { const char *from, *to; } Pair;

static Pair two_cities(Doc *d)
{
    enum { N = sizeof cities / sizeof *cities };
    const int a = range(d, 0, N - 1), b = range(d, 1, N - 1);
    return (Pair){cities[a], cities[(a + b) % N]};
}

// ---- a day of traffic -----------------------------------------------------------------------------------------------

// Share of the peak at an hour: lowest near 4:00, highest near the peak hour; weekends are flatter and lower.
static double daily(double hour, double peak_hour, double night, bool weekend)
{
    float sine, cosine;
    philox_sincos((uint32_t)((hour - peak_hour + 240) / 24 * 0x1p24) & 0xFFFFFF, &sine, &cosine);
    const double c = 0.5 + 0.5 * (double)cosine;
    return weekend ? night + 0.6 * (1 - night) * c : night + (1 - night) * c * (0.6 + 0.4 * c);
}

static const char *period(int hour)
{
    return hour < 6 ? "night" : hour < 9 ? "early morning" : hour < 12 ? "morning" : hour < 14 ? "midday" :
           hour < 18 ? "afternoon" : hour < 22 ? "evening" : "late evening";
}

static const char *level(double share)
{
    return share < 0.4 ? "low" : share < 0.6 ? "moderate" : share < 0.8 ? "high" : "very high";
}

typedef struct Day { double peak, peak_hour, night, noise; int weekday; } Day;

static Day day_draw(Doc *d)
{
    Day day;
    day.peak = range(d, 20, 980);
    day.peak_hour = range(d, 13, 20);
    day.night = 0.1 + 0.3 * uniform(d);
    day.noise = 0.06 * uniform(d);
    day.weekday = range(d, 0, 6);
    return day;
}

static int value_at(Doc *d, const Day *day, double hour)
{
    const double share = daily(hour, day->peak_hour, day->night, day->weekday >= 5);
    return (int)(day->peak * share * (1 + day->noise * (2 * uniform(d) - 1)) + 0.5);
}

static void hourly_series(Doc *d)
{
    const Day day = day_draw(d);
    const Pair p = two_cities(d);
    const int first = range(d, 0, 23), known = range(d, 6, 24), next = range(d, 3, 8);
    put(d, "Link %s-%s, %s, Mbit/s by hour from %02d:00:", p.from, p.to, days[day.weekday], first);
    for (int i = 0; i < known; i++) put(d, " %d", value_at(d, &day, first + i));
    put(d, "\nThe next %d hours:", next);
    for (int i = 0; i < next; i++) put(d, " %d", value_at(d, &day, first + known + i));
    put(d, "\n");
}

static void two_days(Doc *d)
{
    const Day day = day_draw(d);
    const Pair p = two_cities(d);
    const int step = range(d, 2, 4);
    put(d, "Flow %s to %s, one value every %d hours.\n", p.from, p.to, step);
    for (int k = 0; k < 2; k++) {
        put(d, "Day %d:", k + 1);
        for (int h = 0; h < 24; h += step) put(d, " %d", value_at(d, &day, h));
        put(d, "\n");
    }
    put(d, "Day 2 is much like day 1: the cycle repeats.\n");
}

static void slot_report(Doc *d)
{
    const Day day = day_draw(d);
    const Pair p = two_cities(d);
    const int hour = range(d, 0, 23), minute = 5 * range(d, 0, 11), lines = range(d, 2, 5);
    int before = value_at(d, &day, hour - 1);
    for (int i = 0; i < lines; i++) {
        const int h = (hour + i) % 24, now = value_at(d, &day, hour + i);
        const double share = (double)now / day.peak;
        put(d, "%s %02d:%02d (%s): traffic from %s to %s is %d Mbit/s, ", days[(day.weekday + (hour + i) / 24) % 7], h,
            minute, period(h), p.from, p.to, now);
        if (now > before) put(d, "up %d from %d. ", now - before, before);
        else if (now < before) put(d, "down %d from %d. ", before - now, before);
        else put(d, "unchanged. ");
        put(d, "The load is %s.\n", level(share));
        before = now;
    }
}

static void matrix_report(Doc *d)
{
    const int n = range(d, 2, 4);
    const int base = range(d, 5, 60);
    int out[4], at = range(d, -1, 14), total = 0, best = -1, from = 0, to = 0;
    for (int i = 0; i < n; i++) out[i] = at += range(d, 1, 2);
    put(d, "Traffic matrix, %d nodes, Mbit/s. Rows send, columns receive.\n", n);
    for (int i = 0; i < n; i++) {
        put(d, "%s:", cities[out[i]]);
        for (int j = 0; j < n; j++) {
            const int v = i == j ? 0 : range(d, 1, base);
            total += v;
            if (v > best) best = v, from = i, to = j;
            put(d, " %d", v);
        }
        put(d, "\n");
    }
    put(d, "The total is %d. The largest flow is %s to %s with %d.\n", total, cities[out[from]], cities[out[to]], best);
}

// ---- time, numbers --------------------------------------------------------------------------------------------------

static void clock_sums(Doc *d)
{
    static const int steps[] = {5, 10, 15, 20, 30, 45, 60, 90, 120};
    const int lines = range(d, 3, 6);
    for (int i = 0; i < lines; i++) {
        const int m = 5 * range(d, 0, 287), add = PICK(d, steps), s = (m + add) % 1440;
        put(d, "%d minutes after %02d:%02d it is %02d:%02d.\n", add, m / 60, m % 60, s / 60, s % 60);
    }
}

static void time_facts(Doc *d)
{
    const int lines = range(d, 3, 6);
    for (int i = 0; i < lines; i++) {
        const int hour = range(d, 0, 23), w = range(d, 0, 6);
        switch (range(d, 0, 3)) {
        case 0: put(d, "At %02d:00 it is %s.\n", hour, period(hour)); break;
        case 1: put(d, "After %s comes %s.\n", days[w], days[(w + 1) % 7]); break;
        case 2:
            put(d, "%s is a %s.\n", days[w],
                w < 5 ? "working day: the network is busy" : "weekend day: the network is quieter");
            break;
        default: put(d, "At %02d:00 the load is usually %s.\n", hour, level(daily(hour, 15, 0.2, false)));
        }
    }
}

static void arithmetic(Doc *d)
{
    static const int bounds[] = {9, 20, 99, 500};
    const int lines = range(d, 4, 9);
    for (int i = 0; i < lines; i++) {
        const int big = PICK(d, bounds), a = range(d, 0, big), b = range(d, 0, big), c = range(d, 2, 12);
        switch (range(d, 0, 4)) {
        case 0: put(d, "%d + %d = %d\n", a, b, a + b); break;
        case 1: put(d, "%d - %d = %d\n", a + b, a, b); break;
        case 2: put(d, "%d * %d = %d\n", c, a % 13, c * (a % 13)); break;
        case 3: put(d, "half of %d is %d\n", 2 * a, a); break;
        default: put(d, "%d is %s %d\n", a, a < b ? "less than" : a > b ? "more than" : "equal to", b);
        }
    }
}

static void sequence(Doc *d)
{
    static const char *const names[] = {"Rising", "Falling", "Repeating", "Doubling"};
    const int lines = range(d, 2, 4);
    for (int i = 0; i < lines; i++) {
        const int kind = range(d, 0, 3), a = range(d, 0, 60), step = range(d, 1, 12);
        const int n = range(d, 8, 14), length = range(d, 2, 5);
        int cycle[5];
        for (int k = 0; k < 5; k++) cycle[k] = range(d, 1, 99);
        put(d, "%s:", names[kind]);
        for (int k = 0; k < (kind == 3 ? 8 : n); k++) {
            const int term[] = {a + k * step, a + (n - k) * step, cycle[k % length], (a % 9 + 1) << (k & 7)};
            put(d, " %d", term[kind]);
        }
        put(d, "\n");
    }
}

// ---- links, routes, addresses ---------------------------------------------------------------------------------------

static const char *load_word(int percent)
{
    return percent < 30 ? "lightly loaded" : percent < 60 ? "moderately loaded" : percent < 85 ? "heavily loaded" :
           "close to full";
}

static void utilisation(Doc *d)
{
    static const int capacities[] = {100, 200, 400, 1000, 2000, 10000};
    const int lines = range(d, 2, 5);
    put(d, "Utilisation, %s:\n", PICK(d, days));
    for (int i = 0; i < lines; i++) {
        const Pair p = two_cities(d);
        const int capacity = PICK(d, capacities), percent = range(d, 2, 98);
        put(d, "%s-%s carries %d of %d Mbit/s, %d %%: %s.\n", p.from, p.to, capacity / 100 * percent, capacity, percent,
            load_word(percent));
    }
}

static void headroom(Doc *d)
{
    static const int capacities[] = {100, 200, 400, 500, 1000};
    const Pair p = two_cities(d);
    const int capacity = PICK(d, capacities), now = range(d, 10, capacity - 5), growth = range(d, 1, 90);
    const int months = (capacity - now) / growth;
    put(d, "Link %s-%s: capacity %d Mbit/s, busy hour %d Mbit/s, free %d Mbit/s.\n", p.from, p.to, capacity, now,
        capacity - now);
    put(d, "The busy hour grows by %d Mbit/s a month: ", growth);
    if (months == 0) put(d, "the link is full within a month. Upgrade it now.\n");
    else put(d, "after %d month%s it will be at %d Mbit/s.%s\n", months, months == 1 ? "" : "s", now + months * growth,
             months < 6 ? " Plan an upgrade." : " There is time.");
}

static void path(Doc *d)
{
    enum { MOST = 5 };
    const int hops = range(d, 2, MOST);
    int at = range(d, 0, 3), node[MOST + 1], delay[MOST], total = 0;
    for (int i = 0; i <= hops; i++) {
        node[i] = at;
        at += range(d, 1, 4);
    }
    for (int i = 0; i < hops; i++) total += delay[i] = range(d, 1, 15);
    put(d, "Path from %s to %s: %s", cities[node[0]], cities[node[hops]], cities[node[0]]);
    for (int i = 1; i <= hops; i++) put(d, ", %s", cities[node[i]]);
    put(d, ". %d hops. Delay", hops);
    for (int i = 0; i < hops; i++) put(d, "%s %d", i ? " +" : "", delay[i]);
    put(d, " = %d ms, %d ms there and back.\n", total, 2 * total);
}

static void failover(Doc *d)
{
    const Pair p = two_cities(d);
    const int before = range(d, 20, 500), moved = range(d, 10, 400), m = 5 * range(d, 0, 287);
    const char *via = PICK(d, cities);
    put(d, "%02d:%02d link %s-%s down, %d Mbit/s affected.\n", m / 60, m % 60, p.from, p.to, moved);
    put(d, "Traffic takes the way through %s: its link carried %d Mbit/s, now it carries %d + %d = %d Mbit/s.\n", via,
        before, before, moved, before + moved);
}

static void interface_log(Doc *d)
{
    static const char *const states[] = {"up", "down"};
    const int lines = range(d, 3, 6);
    int second = range(d, 0, 80000);
    const char *node = PICK(d, cities);
    const int slot = range(d, 0, 3), port = range(d, 0, 9);
    for (int i = 0; i < lines; i++) {
        second += range(d, 5, 600);
        put(d, "%02d:%02d:%02d %s port %d/%d ", second / 3600 % 24, second / 60 % 60, second % 60, node, slot, port);
        switch (range(d, 0, 3)) {
        case 0: put(d, "link %s\n", PICK(d, states)); break;
        case 1: put(d, "input %d Mbit/s, ", range(d, 1, 900)); put(d, "output %d Mbit/s\n", range(d, 1, 900)); break;
        case 2: put(d, "errors %d, ", range(d, 0, 40)); put(d, "drops %d\n", range(d, 0, 40)); break;
        default: put(d, "neighbour %s reachable\n", PICK(d, cities));
        }
    }
}

static void prefixes(Doc *d)
{
    const int lines = range(d, 2, 5);
    for (int i = 0; i < lines; i++) {
        const int a = range(d, 0, 255), b = range(d, 0, 255), host = range(d, 1, 254), bits = range(d, 20, 30);
        switch (range(d, 0, 3)) {
        case 0: put(d, "10.%d.%d.%d lies in 10.%d.%d.0/24, and 10.%d.0.0/16 holds both.\n", a, b, host, a, b, a); break;
        case 1: put(d, "A /%d holds %d addresses.\n", bits, 1 << (32 - bits)); break;
        case 2: put(d, "%s announces 10.%d.0.0/16; 10.%d.%d.0/24 is part of it.\n", PICK(d, cities), a, a, b); break;
        default: put(d, "10.%d.%d.0/24 goes from 10.%d.%d.0 to 10.%d.%d.255.\n", a, b, a, b, a, b);
        }
    }
}

// ---- statistics and forecasts ---------------------------------------------------------------------------------------

static void summary(Doc *d)
{
    enum { MOST = 8 };
    const int n = range(d, 4, MOST), top = range(d, 10, 300);
    const Pair p = two_cities(d);
    int x[MOST], sum = 0, low = 1 << 30, high = 0;
    put(d, "Samples of %s-%s in Mbit/s:", p.from, p.to);
    for (int i = 0; i < n; i++) {
        x[i] = range(d, 1, top);
        if (i == n - 1) x[i] += (n - (sum + x[i]) % n) % n;    // the mean is an integer
        sum += x[i];
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        put(d, " %d", x[i]);
    }
    put(d, "\nSmallest %d, largest %d, sum %d, mean %d / %d = %d.\n", low, high, sum, sum, n, sum / n);
}

static void sorted(Doc *d)
{
    enum { MOST = 7 };
    const int n = 2 * range(d, 1, 3) + 1;
    int x[MOST];
    put(d, "Values:");
    for (int i = 0; i < n; i++) put(d, " %d", x[i] = range(d, 1, 99));
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && x[k] < x[k - 1]; k--) {
            const int swap = x[k];
            x[k] = x[k - 1];
            x[k - 1] = swap;
        }
    put(d, "\nSorted:");
    for (int i = 0; i < n; i++) put(d, " %d", x[i]);
    put(d, "\nThe median is %d.\n", x[n / 2]);
}

static void forecast(Doc *d)
{
    const Pair p = two_cities(d);
    const int hour = range(d, 0, 23), mean = range(d, 30, 900), half = range(d, 2, mean / 3);
    const bool outside = range(d, 0, 9) == 0, above = range(d, 0, 1);
    const int error = outside ? half + range(d, 1, half) : range(d, 0, half);
    const int seen = above ? mean + error : mean - error;
    put(d, "Forecast for %s-%s at %02d:00: %d Mbit/s, nine times in ten between %d and %d.\n", p.from, p.to, hour, mean,
        mean - half, mean + half);
    put(d, "Observed: %d. The error is %d, the value lies %s the interval.\n", seen, error,
        !outside ? "inside" : above ? "above" : "below");
}

static void busiest(Doc *d)
{
    const int n = range(d, 3, 6);
    int best = -1, total = 0;
    Pair busy = {NULL, NULL};
    put(d, "Links and their load in Mbit/s:\n");
    for (int i = 0; i < n; i++) {
        const Pair p = two_cities(d);
        const int v = range(d, 1, 99) * 10 + i;    // no two equal
        put(d, "%s-%s %d\n", p.from, p.to, v);
        total += v;
        if (v > best) best = v, busy = p;
    }
    put(d, "Question: which link is the busiest? Answer: %s-%s with %d Mbit/s.\n", busy.from, busy.to, best);
    put(d, "Question: how much do they carry together? Answer: %d Mbit/s.\n", total);
}

static void week(Doc *d)
{
    const int base = 10 * range(d, 10, 80), step = range(d, 1, 9), low = 10 * range(d, 3, 6);
    const Pair p = two_cities(d);
    put(d, "%s to %s, mean load of each day in Mbit/s:\n", p.from, p.to);
    for (int i = 0; i < 7; i++) {
        const int v = i < 5 ? base + i * step : base * low / 100;
        put(d, "%s %d\n", days[i], v);
    }
    put(d, "From Monday to Friday it grew by %d. On Saturday it fell to %d %% of Monday.\n", 4 * step, low);
}

// ---- units ----------------------------------------------------------------------------------------------------------

static void units(Doc *d)
{
    const int lines = range(d, 3, 6);
    for (int i = 0; i < lines; i++) {
        const int n = range(d, 1, 99), tenth = range(d, 1, 9), percent = 10 * range(d, 1, 9);
        const int minutes = range(d, 1, 60);
        switch (range(d, 0, 6)) {
        case 0: put(d, "%d.%d Gbit/s are %d Mbit/s.\n", n % 10, tenth, 1000 * (n % 10) + 100 * tenth); break;
        case 1: put(d, "%d kbit/s are %d.%d Mbit/s.\n", 1000 * n + 100 * tenth, n, tenth); break;
        case 2: put(d, "%d bytes are %d bits.\n", n, 8 * n); break;
        case 3: put(d, "%d Mbit/s are %d megabytes a second.\n", 8 * n, n); break;
        case 4: put(d, "%d %% of %d is %d.\n", percent, 10 * n, percent * n / 10); break;
        case 5: put(d, "%d minutes at %d megabytes a second are %d megabytes.\n", minutes, n, 60 * minutes * n); break;
        default: put(d, "%d minutes are %d seconds.\n", minutes, 60 * minutes);
        }
    }
}

static void durations(Doc *d)
{
    const int lines = range(d, 2, 5);
    for (int i = 0; i < lines; i++) {
        const int m = 5 * range(d, 0, 200), lasts = 5 * range(d, 1, 80), end = m + lasts;
        put(d, "From %02d:%02d to %02d:%02d%s: ", m / 60, m % 60, end / 60 % 24, end % 60,
            end >= 1440 ? " of the next day" : "");
        if (lasts >= 60) put(d, "%d hour%s ", lasts / 60, lasts / 60 == 1 ? "" : "s");
        put(d, "%d minutes.\n", lasts % 60);
    }
}

// ---- words ----------------------------------------------------------------------------------------------------------

static void incident(Doc *d)
{
    static const char *const causes[] = {"a fibre cut", "a power failure", "a failed line card", "planned maintenance",
                                         "a routing error"};
    const Pair p = two_cities(d);
    const char *day = PICK(d, days), *cause = PICK(d, causes);
    const int m = 5 * range(d, 0, 287), lost = 5 * range(d, 1, 24), end = (m + lost) % 1440;
    const int more = range(d, 20, 900), percent = range(d, 10, 90);
    put(d, "Incident on %s: at %02d:%02d the node %s went down after %s.\n", day, m / 60, m % 60, p.from, cause);
    put(d, "Its flows fell to 0, and the link to %s carried %d Mbit/s more, up %d %%.\n", p.to, more, percent);
    put(d, "After %d minutes, at %02d:%02d, %s was back and traffic returned to normal.\n", lost, end / 60, end % 60,
        p.from);
}

static void burst(Doc *d)
{
    const Pair p = two_cities(d);
    const int v = range(d, 20, 400), times = range(d, 2, 6), m = 5 * range(d, 0, 287), minutes = 5 * range(d, 1, 6);
    put(d, "At %02d:%02d a burst from %s to %s took the flow from %d to %d Mbit/s, %d times its usual level. ", m / 60,
        m % 60, p.from, p.to, v, v * times, times);
    put(d, "It lasted %d minutes; then the flow was back at %d.\n", minutes, v);
}

static void questions(Doc *d)
{
    static const struct { const char *ask, *answer; } list[] = {
        {"What is a traffic matrix", "a table of how much each node sends to each other node in a slot of time"},
        {"What is a flow", "the traffic from one node to another"},
        {"What is the busy hour", "the hour of the day with the highest load"},
        {"What is utilisation", "load divided by capacity"},
        {"When is the load lowest", "at night, near four in the morning"},
        {"When is the load highest", "in the afternoon or in the evening"},
        {"Which days are quiet", "Saturday and Sunday"},
        {"What does a row of the matrix hold", "what one node sends"},
        {"What does a column of the matrix hold", "what one node receives"},
        {"What is a burst", "a short rise of a flow far above its usual level"},
        {"What is an outage", "a time in which a node or a link carries nothing"},
        {"What is the simplest forecast", "the last matrix again"},
        {"How many slots of five minutes has a day", "288"},
        {"How many flows have 12 nodes", "144 with the diagonal, 132 without"},
        {"How many bits has a byte", "8"},
        {"What is a quantile", "the value below which a given share of the samples lies"},
        {"What is the median", "the value in the middle of the sorted samples"},
        {"Why keep free capacity", "to carry the traffic of a link that fails, and bursts"},
    };
    const int n = range(d, 2, 4);
    for (int i = 0; i < n; i++) {
        const int k = range(d, 0, (int)(sizeof list / sizeof *list) - 1);
        put(d, "Question: %s? Answer: %s.\n", list[k].ask, list[k].answer);
    }
}

static void glossary(Doc *d)
{
    static const char *const lines[] = {
        "A traffic matrix holds, for every pair of nodes, how much one sends to the other in a slot of time.",
        "The row of a traffic matrix is the sender, the column is the receiver, and the diagonal is often small.",
        "Traffic follows the day: it is low at night, rises in the morning, and is highest in the afternoon or "
        "evening.",
        "Traffic follows the week: Saturday and Sunday carry less than the working days.",
        "A forecast says what the next matrices will hold; a good one also says how sure it is.",
        "The simplest forecast repeats the last matrix; another repeats the matrix of the same time yesterday.",
        "A few large flows carry most of the traffic, and many small flows carry the rest.",
        "A burst is a short rise of a flow far above its usual level; it is hard to foresee.",
        "When a node fails, its row and its column fall to zero, and other links take over its traffic.",
        "The gravity model says that the flow between two nodes grows with what each of them sends and receives.",
        "The interval between the 5 % and the 95 % quantile should hold nine of ten observations.",
        "If the errors of a forecast are large in the afternoon, that is because the traffic is large then.",
        "A packet that waits too long in a queue is dropped; drops grow quickly when a link is close to full.",
        "Delay is the time that a packet takes; jitter is how much that time varies.",
        "A router sends a packet to the neighbour that is next on the shortest path to its destination.",
        "When a link fails, the routers agree on new shortest paths, and the traffic moves within seconds.",
        "The longest matching prefix decides: a /24 wins over a /16 that holds it.",
        "Utilisation is the load of a link divided by its capacity.",
        "A link that is half full on average may be quite full for a second.",
        "Capacity is planned for the busy hour, not for the mean of the day.",
        "A backbone keeps enough free capacity to carry the traffic of any one link that fails.",
        "A counter that stops rising means a dead link or a dead collector; look at both.",
        "Missing samples are not zeros: a gap in the data says nothing about the traffic.",
        "Maintenance is done at night, when the load is lowest.",
        "The mean follows the large flows; the median does not.",
        "Nine samples in ten lie below the 90 % quantile.",
        "A forecast for the next slot is easy; one for tomorrow leans on the daily cycle.",
        "An interval that is too narrow is wrong too often; one that is too wide says little.",
    };
    const int n = range(d, 2, 4);
    for (int i = 0; i < n; i++) put(d, "%s%c", PICK(d, lines), i + 1 < n ? ' ' : '\n');
}

size_t corpus_document(char text[CORPUS_DOCUMENT_MAX], uint64_t seed, CorpusPart part, uint64_t index)
{
    static void (*const kinds[])(Doc *) = {
        hourly_series, hourly_series, hourly_series, two_days, two_days, slot_report, slot_report, matrix_report,
        matrix_report, clock_sums, time_facts, arithmetic, arithmetic, sequence, sequence, incident, incident, burst,
        glossary, utilisation, headroom, path, failover, interface_log, prefixes, summary, sorted, forecast, forecast,
        busiest, week, units, durations, questions,
    };
    Doc d = {.text = text,
             .seed = seed,
             .subsequence = philox_subsequence(SITE_SYNTH, (uint32_t)CORPUS_SITE_STEP << 16 | (uint32_t)part),
             .offset = index * DRAWS,
             .end = (index + 1) * DRAWS};
    text[0] = 0;
    PICK(&d, kinds)(&d);
    return d.len;
}
