// Golden texts: what a test wrote once and must write again.  tests/golden/NAME.txt holds it; words that are numbers
// may differ by a tolerance, all others not at all.  GOLDEN=write makes the file anew: do that only for a change that
// is meant to move these numbers, and say so in its commit.
#ifndef LEAD_TESTS_GOLDEN_H
#define LEAD_TESTS_GOLDEN_H

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/status.h"
#include "tests/test.h"

typedef struct Golden { char *text; size_t size; FILE *f; } Golden;

static inline void golden_begin(Golden *g)
{
    g->f = open_memstream(&g->text, &g->size);
    CHECK(g->f, "no memory");
}

static inline void golden_put(Golden *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void golden_put(Golden *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(g->f, format, args);
    va_end(args);
}

static inline const char *golden_word(const char *p, size_t *n)
{
    while (isspace((unsigned char)*p) || *p == ',') p++;
    *n = strcspn(p, " \t\r\n,");
    return p;
}

// Whether two words of n and m bytes agree.
static inline bool golden_same(const char *a, size_t n, const char *b, size_t m, double relative, double absolute)
{
    if (n == m && memcmp(a, b, n) == 0) return true;
    char one[64], two[64], *end1, *end2;
    if (n >= sizeof one || m >= sizeof two || n == 0 || m == 0) return false;
    memcpy(one, a, n), memcpy(two, b, m), one[n] = two[m] = 0;
    const double x = strtod(one, &end1), y = strtod(two, &end2);
    return !*end1 && !*end2 && fabs(x - y) <= absolute + relative * fmax(fabs(x), fabs(y));
}

// Compares line by line, and names the first few that differ.
static inline void golden_compare(TestLog *log, const char *path, const char *got, const char *want, double relative,
                                  double absolute)
{
    int line = 1, bad = 0;
    while (*got || *want) {
        const size_t g = strcspn(got, "\n"), w = strcspn(want, "\n");
        const char *p = got, *q = want;
        for (bool same = true; same;) {
            size_t n, m;
            p = golden_word(p, &n), q = golden_word(q, &m);
            const bool p_ends = p >= got + g, q_ends = q >= want + w;
            if (p_ends && q_ends) break;
            same = p_ends == q_ends && golden_same(p, n, q, m, relative, absolute);
            if (!same && bad++ < 4)
                TEST(log, false, "%s:%d: want %.*s\n    got  %.*s", path, line, (int)w, want, (int)g, got);
            p += n, q += m;
        }
        got += g + (got[g] == '\n'), want += w + (want[w] == '\n'), line++;
    }
    TEST(log, bad == 0, "%s: %d lines of %d differ; GOLDEN=write where that is meant", path, bad, line - 1);
}

// GOLDEN=first, where only whether the text differs matters: whether what is put so far does, and so the rest is in
// vain.
static inline bool golden_in_vain(Golden *g, const char *name, double relative, double absolute)
{
    const char *mode = getenv("GOLDEN");
    char path[256];
    snprintf(path, sizeof path, "tests/golden/%s.txt", name);
    FILE *f = mode && strcmp(mode, "first") == 0 ? fopen(path, "rb") : NULL;
    if (!f) return false;
    fflush(g->f);
    char *want = calloc(1, g->size + (1 << 16));
    CHECK(want, "no memory");
    bool same = fread(want, 1, g->size + (1 << 16) - 1, f) > 0;
    fclose(f);
    for (const char *p = g->text, *q = want; same && *p;) {
        size_t n, m;
        p = golden_word(p, &n), q = golden_word(q, &m);
        same = golden_same(p, n, q, m, relative, absolute);
        p += n, q += m;
        p += strspn(p, " \t\r\n,"), q += strspn(q, " \t\r\n,");
    }
    free(want);
    return !same;
}

// Compares the text with tests/golden/NAME.txt, and frees it.
static inline void golden_end(TestLog *log, Golden *g, const char *name, double relative, double absolute)
{
    fclose(g->f);
    char path[256];
    snprintf(path, sizeof path, "tests/golden/%s.txt", name);
    const char *mode = getenv("GOLDEN");
    const bool write = mode && strcmp(mode, "write") == 0;
    FILE *f = fopen(path, write ? "wb" : "rb");
    TEST(log, f != NULL, "%s: want the golden numbers, got no file", path);
    if (f && write) {
        TEST(log, fwrite(g->text, 1, g->size, f) == g->size, "%s: not written", path);
        test_skip(log, "written anew, nothing compared");
    } else if (f) {
        char *want = calloc(1, 1 << 22);
        const size_t n = fread(want, 1, (1 << 22) - 1, f);
        TEST(log, n > 0, "%s is empty", path);
        golden_compare(log, path, g->text, want, relative, absolute);
        free(want);
    }
    if (f) fclose(f);
    free(g->text);
}

#endif
