// What `lead eval` prints, against an independent script's numbers: tests/tools/eval_fixture.py derives splits,
// windows, naive forecasts, ridge and every score of E9 in numpy, and wrote them to tests/eval_fixture.tsv.  Traffic
// with a hole and invalid rows, and the forecasts of three models a, b (samples) and c (points), are whole numbers of a
// hash, made here again.
#include <math.h>

#include "io/npy.h"
#include "run_lead.h"

enum { N = 3, F = N * N, DAY = 16, ROWS = 60 * DAY, K = 20, SAMPLES = 6, STRIDE = 3 };

static uint32_t mix(int n, const int64_t *key)
{
    uint32_t h = 0;
    for (int i = 0; i < n; i++) {
        h = (h ^ (uint32_t)key[i]) * 2654435761U + 974711U;
        h ^= h >> 15;
    }
    return h;
}

#define MIX(...) (int64_t) mix(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static int64_t traffic(int64_t t, int64_t f)
{
    const int64_t hour = t % DAY, wander = MIX(1, t / 7, f) % 60;
    if ((f == 8 && t % 3) || (f == 7 && t >= 700) || (f == 6 && t < 680)) return 0;
    if (f == 5) return 900 + 24 * llabs(t % 100 - 50) + MIX(2, t, f) % 4;
    return 3 * (40 + 30 * f + (12 - llabs(hour - 9)) * (8 + f) + wander * (1 + f % 3) + MIX(2, t, f) % 40);
}

static int64_t forecast(int64_t model, int64_t window, int64_t s, int64_t h, int64_t f, int64_t truth)
{
    const int64_t away = MIX(model, window, h, f) % 41 - 20 + MIX(model, window, s, h, f) % (21 + 4 * h) - 2 * h;
    return truth + 3 * away > 0 ? truth + 3 * away : 0;
}

static const char *put_traffic(TestLog *log, Arena *a)
{
    const char *path = arena_printf(a, "%s/traffic.npy", log->tmp), *times = arena_printf(a, "%s/times.txt", log->tmp);
    float *x = arena_alloc(a, ROWS * F * sizeof *x);
    for (int64_t i = 0; i < ROWS * F; i++) x[i] = (float)traffic(i / F, i % F);
    const Status s = npy_write(path, "<f4", (const int64_t[]){ROWS, N, N}, 3, x);
    TEST(log, !s.code, "%s", s.msg);
    FILE *f = fopen(times, "w");
    for (int64_t t = 0; f && t < ROWS; t++)
        fprintf(f, "%lld\n", (long long)(1700438400 + 5400 * (t + (t >= 500 ? 30 : 0))));
    TEST(log, f && fclose(f) == 0, "cannot write %s", times);
    return arena_printf(a, "--data %s --times %s --invalid 200-201,905", path, times);
}

// One file of forecasts for the windows after rows last[0..n): samples [n,S,K,N,N], or points [n,K,N,N] of sample 0.
static const char *put_forecasts(TestLog *log, Arena *a, char name, int64_t model, const int64_t *last, int n, int S)
{
    const char *path = arena_printf(a, "%s/%c.npy", log->tmp, name);
    float *x = arena_alloc(a, (size_t)(n * S * K * F) * sizeof *x), *to = x;
    for (int w = 0; w < n; w++)
        for (int s = 0; s < S; s++)
            for (int h = 1; h <= K; h++)
                for (int f = 0; f < F; f++) *to++ = (float)forecast(model, w, s, h, f, traffic(last[w] + h, f));
    const int64_t with[] = {n, S, K, N, N}, without[] = {n, K, N, N};
    const Status st = S > 1 ? npy_write(path, "<f4", with, 5, x) : npy_write(path, "<f4", without, 4, x);
    TEST(log, !st.code, "%s", st.msg);
    return arena_printf(a, "%c=%s", name, path);
}

// Field `i` of a line of words between tabs -> word; false: there is none.
static bool field(const char *line, int i, char word[32])
{
    for (; i > 0; i--) {
        line += strcspn(line, "\t\n");
        if (*line++ != '\t') return false;
    }
    const size_t n = strcspn(line, "\t\n");
    if (n >= 32) return false;
    memcpy(word, line, n);
    word[n] = 0;
    return true;
}

// The last known rows of the scored windows, as --windows-out writes them.
static int read_windows(TestLog *log, const char *text, int64_t *last, int most)
{
    int n = 0;
    char row[32];
    for (const char *p = strchr(text, '\n'); p && n < most && field(p + 1, 1, row); p = strchr(p + 1, '\n'))
        last[n++] = strtoll(row, NULL, 10);
    TEST(log, n > 10 && n < most, "%d windows", n);
    return n;
}

// The value of column `metric` in the row of a model, space and horizon; NAN: there is none.
static double table_value(const char *table, const char *model, const char *space, const char *h, const char *metric)
{
    char word[32], m[32], s[32], k[32];
    int column = 0;
    while (field(table, column, word) && strcmp(word, metric)) column++;
    for (const char *line = table; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (field(line, 0, m) && field(line, 1, s) && field(line, 2, k) && !strcmp(m, model) && !strcmp(s, space) &&
            !strcmp(k, h))
            return field(line, column, word) ? strtod(word, NULL) : (double)NAN;
    return (double)NAN;
}

static void compare(TestLog *log, const char *fixture, const char *table, const char *split)
{
    int n = 0;
    for (const char *line = fixture; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        char of[32], model[32], space[32], h[32], metric[32], value[32];
        if (!field(line, 0, of) || strcmp(of, split) || !field(line, 5, value)) continue;
        field(line, 1, model), field(line, 2, space), field(line, 3, h), field(line, 4, metric);
        const double want = strtod(value, NULL), got = table_value(table, model, space, h, metric);
        TEST(log, fabs(got - want) <= 1e-5 * fabs(want) + 1e-8, "%s, %s, %s, step %s: %s is %.9g, the script says %.9g",
             split, model, space, h, metric, got, want);
        n++;
    }
    TEST(log, n > 300, "%d numbers of split %s", n, split);
}

void test_protocol(TestLog *log)
{
    Arena *a = arena_new("test_protocol", (size_t)1 << 30, NULL);
    static const char *const splits[] = {"test", "val"};
    const char *fixture = slurp(a, "tests/eval_fixture.tsv"), *data = put_traffic(log, a);
    for (int i = 0; i < 2; i++) {
        int64_t last[200];
        const char *out = arena_printf(a, "%s/out.tsv", log->tmp), *list = arena_printf(a, "%s/windows.tsv", log->tmp);
        const char *what = arena_printf(a, "eval %s --naive-only --split %s --stride %d --threads 1", data, splits[i],
                                        STRIDE);
        Ran r = lead_run(log, a, "%s --windows-out %s", what, list);
        TEST(log, r.code == 0, "%s", r.err);
        const int n = read_windows(log, slurp(a, list), last, 200);
        r = lead_run(log, a, "%s --details --out %s --also %s,%s,%s", what, out,
                     put_forecasts(log, a, 'a', 11, last, n, SAMPLES), put_forecasts(log, a, 'b', 12, last, n, SAMPLES),
                     put_forecasts(log, a, 'c', 13, last, n, 1));
        TEST(log, r.code == 0, "%s", r.err);
        const char *table = slurp(a, out);
        while (*table == '#') table = strchr(table, '\n') + 1;
        compare(log, fixture, table, splits[i]);
    }
    arena_delete(a);
}
