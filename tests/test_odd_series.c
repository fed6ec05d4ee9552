// lead forecast on series that nobody would choose: too short, silent, constant, huge, tiny, broken at the end.  Each
// gets a forecast, with its fall-back stated where it has one, or one line that says what is wrong; no value that is
// not a number, and no crash.
#include <math.h>
#include <string.h>

#include "io/npy.h"
#include "run_lead.h"
#include "tensor/philox.h"

enum { MOST_ROWS = 400, STEPS = 20 };

typedef double Value(int64_t t, int64_t flow, int64_t rows);

static double usual(int64_t t, int64_t flow)
{
    const double noise = (double)philox_normal(5, philox_subsequence(SITE_TEST, (uint32_t)flow), (uint64_t)t);
    return (double)(1000 * (flow + 1)) * (1 + 0.5 * sin(0.02 * (double)t + (double)flow)) * exp(0.2 * noise);
}

static double plain(int64_t t, int64_t f, int64_t rows) { (void)rows; return usual(t, f); }
static double silent(int64_t t, int64_t f, int64_t rows) { (void)t, (void)f, (void)rows; return 0; }
static double constant(int64_t t, int64_t f, int64_t rows) { (void)t, (void)rows; return (double)(55 + f); }
static double partly_silent(int64_t t, int64_t f, int64_t rows) { (void)rows; return f % 2 ? 0 : usual(t, f); }
static double partly_constant(int64_t t, int64_t f, int64_t rows) { (void)rows; return f % 2 ? 7 : usual(t, f); }
static double huge(int64_t t, int64_t f, int64_t rows) { (void)rows; return 1e30 * usual(t, f) / 1000; }
static double too_huge(int64_t t, int64_t f, int64_t rows) { (void)rows; return 1e38 * (1 + 1e-4 * usual(t, f)); }
static double tiny(int64_t t, int64_t f, int64_t rows) { (void)rows; return 1e-30 * usual(t, f) / 1000; }
static double below_normal(int64_t t, int64_t f, int64_t rows) { (void)rows; return 1e-40 * usual(t, f) / 1000; }
static double wide(int64_t t, int64_t f, int64_t rows) { (void)rows; return usual(t, f) * (f ? 1 : 1e20); }
static double late(int64_t t, int64_t f, int64_t rows) { return t < rows - 20 ? 0 : usual(t, f); }
static double ends_early(int64_t t, int64_t f, int64_t rows) { return t < rows - 5 ? usual(t, f) : NAN; }
static double ended_long_ago(int64_t t, int64_t f, int64_t rows) { return t < rows - 50 ? usual(t, f) : NAN; }
static double no_number(int64_t t, int64_t f, int64_t rows) { (void)t, (void)f, (void)rows; return NAN; }
static double negative(int64_t t, int64_t f, int64_t rows) { (void)rows; return t == 40 && f == 1 ? -5 : usual(t, f); }
static double infinite(int64_t t, int64_t f, int64_t rows)
{
    (void)rows;
    return t == 40 && f == 1 ? INFINITY : usual(t, f);
}
static double spike(int64_t t, int64_t f, int64_t rows) { return usual(t, f) * (t == rows / 2 && f == 1 ? 1e6 : 1); }
static double burst(int64_t t, int64_t f, int64_t rows) { return usual(t, f) * (t == rows / 2 ? 20 : 1); }
static double spike_last(int64_t t, int64_t f, int64_t rows)
{
    return usual(t, f) * (t == rows - 1 && f == 1 ? 1e6 : 1);
}

// says: what stderr must hold.  ends: the error line must hold it (exit 1, no output); else there is a forecast.
typedef struct Odd { const char *name; int64_t rows, nodes; Value *value; const char *says, *ends; } Odd;

static const char weights[] = "weights that suit any network", falls[] = "falls back to row";
static const Odd table[] = {
    {"one-row", 1, 3, plain, "", "want at least 2 snapshots, got 1"},
    {"two-rows", 2, 3, plain, falls, NULL},
    {"fewer-than-the-history", 10, 3, plain, "the data begin at row 0", NULL},
    {"as-many-as-the-history", 16, 3, plain, falls, NULL},
    {"a-window-less", 64, 3, plain, "33 windows", NULL},
    {"just-enough", 65, 3, plain, weights, NULL},
    {"enough-to-split", 80, 3, plain, weights, NULL},
    {"silent", 100, 3, silent, "hold no traffic: falls back", NULL},
    {"short-and-silent", 17, 3, silent, falls, NULL},
    {"constant", MOST_ROWS, 3, constant, weights, NULL},
    {"short-and-constant", 30, 3, constant, falls, NULL},
    {"partly-silent", MOST_ROWS, 3, partly_silent, weights, NULL},
    {"partly-constant", MOST_ROWS, 3, partly_constant, weights, NULL},
    {"traffic-at-the-end-alone", 200, 3, late, weights, NULL},
    {"one-node", 100, 1, plain, "", "at least 2 x 2 nodes"},
    {"two-nodes", 100, 2, plain, weights, NULL},
    {"more-nodes-than-learnt", 66, 66, plain, weights, NULL},
    {"huge", MOST_ROWS, 3, huge, weights, NULL},
    {"short-and-huge", 30, 3, huge, falls, NULL},
    {"sums-that-overflow", 30, 3, too_huge, "", "--unit"},
    {"tiny", MOST_ROWS, 3, tiny, weights, NULL},
    {"below-normal-numbers", MOST_ROWS, 3, below_normal, weights, NULL},
    {"one-flow-huge", 200, 3, wide, weights, NULL},
    {"nothing-measured-at-the-end", 100, 3, ends_early, "the forecast is of what comes after row 94", NULL},
    {"ended-long-ago", 100, 3, ended_long_ago, "rows 50..99 are left out", NULL},
    {"nothing-measured", 100, 3, no_number, "", "want at least 2 valid snapshots up to row 0, got 0"},
    {"negative", 100, 3, negative, "", "want finite values >= 0"},
    {"infinite", 100, 3, infinite, "", "want finite values >= 0"},
    {"spike", 200, 3, spike, weights, NULL},
    {"burst", 200, 3, burst, "(rows 100) kept (--drop-suspicious leaves them out)", NULL},
    {"spike-at-the-end", 200, 3, spike_last, "(rows 199) of more than 100 times the usual total left out", NULL},
};

static const char *write_odd(TestLog *log, Arena *a, const Odd *o)
{
    const int64_t F = o->nodes * o->nodes;
    double *x = arena_alloc(a, (size_t)(o->rows * F) * sizeof *x);
    for (int64_t i = 0; i < o->rows * F; i++) x[i] = o->value(i / F, i % F, o->rows);
    const char *path = arena_printf(a, "%s/%s.npy", log->tmp, o->name);
    const Status st = npy_write(path, "<f8", (int64_t[]){o->rows, o->nodes, o->nodes}, 3, x);
    TEST(log, !st.code, "%s", st.msg);
    return path;
}

// The lines of the table whose numbers, from the fifth column on, are all finite and not below 0, and do not fall from
// one quantile to the next; -1: one that is not so.
static int64_t good_lines(const char *csv)
{
    int64_t n = 0;
    for (const char *line = strchr(csv, '\n'); line && line[1]; line = strchr(line + 1, '\n'), n++) {
        const char *p = line;
        double before = 0, mean;
        for (int k = 0; k < 4 && p; k++) p = strchr(p + 1, ',');
        if (!p || sscanf(p, ",%lf", &mean) != 1 || !(mean >= 0 && mean < (double)INFINITY)) return -1;
        while ((p = strchr(p + 1, ',')) && memchr(line + 1, '\n', (size_t)(p - line)) == NULL) {
            char *end;
            const double v = strtod(p + 1, &end);
            if (end == p + 1 || !(v >= before && v < (double)INFINITY)) return -1;
            before = v;
        }
    }
    return n;
}

static void check_odd(TestLog *log, Arena *a, const Odd *o)
{
    const char *data = write_odd(log, a, o), *out = arena_printf(a, "%s/%s.csv", log->tmp, o->name);
    const Ran r = lead_run(log, a, "forecast --data %s --samples 4 --sample-steps 2 --out %s", data, out);
    const char *csv = slurp(a, out), *error = strstr(r.err, "lead: ");
    TEST(log, strstr(r.err, o->says), "%s: want '%s' on stderr, got %s", o->name, o->says, r.err);
    if (o->ends) {
        TEST(log, r.code == 1 && error && strstr(error, o->ends), "%s: exit %d, want '%s', got %s", o->name, r.code,
             o->ends, r.err);
        TEST(log, error && !strchr(error, '\n')[1] && !*csv, "%s: more than one line, or output: %s", o->name, r.err);
        return;
    }
    const int64_t lines = STEPS * o->nodes * o->nodes, got = good_lines(csv);
    TEST(log, r.code == 0 && !error && got == lines, "%s: exit %d, %lld good lines of %lld; %s", o->name, r.code,
         (long long)got, (long long)lines, r.err);
}

void test_odd_series(TestLog *log)
{
    Arena *a = arena_new("files", (size_t)1 << 30, NULL);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (log->quick && table[i].rows > 100) continue;
        const size_t mark = arena_mark(a);
        check_odd(log, a, &table[i]);
        arena_rewind(a, mark);
    }
    arena_delete(a);
}
