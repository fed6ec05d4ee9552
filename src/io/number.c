#include "io/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 1000 };      // characters of a number that strtod is asked for

static bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

// A word for a number that is none, without regard to case.
static const char *word_parse(const char *p, const char *end, double *v)
{
    static const struct { const char *name; double value; } words[] = {
        {"infinity", INFINITY}, {"inf", INFINITY}, {"nan", NAN}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i].name);
        if ((size_t)(end - p) < n || strncasecmp(p, words[i].name, n)) continue;
        *v = words[i].value;
        return p + n;
    }
    return NULL;
}

// What is too long or too large for exact steps of a double.
static double hard_value(const char *p, const char *end, char point)
{
    char text[LONGEST + 1];
    const size_t n = end - p < LONGEST ? (size_t)(end - p) : LONGEST;
    memcpy(text, p, n);
    text[n] = 0;
    char *comma = point == ',' ? memchr(text, ',', n) : NULL;
    if (comma) *comma = '.';
    return strtod(text, NULL);
}

const char *number_parse(const char *p, const char *end, char point, double *v)
{
    // Exact: an integer below 2^53 times or divided by one of these is rounded once (Clinger 1990).
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *from = p;
    const bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    uint64_t m = 0;
    const char *first = p;
    for (; p < end && is_digit(*p); p++) m = 10 * m + (uint64_t)(*p - '0');
    int64_t n = p - first, e = 0;
    if (p < end && *p == point) {
        const char *behind = ++p;
        for (; p < end && is_digit(*p); p++) m = 10 * m + (uint64_t)(*p - '0');
        e = behind - p;
        n -= e;
    }
    if (n == 0) {
        const char *word = p == first ? word_parse(p, end, v) : NULL;
        if (word && minus) *v = -*v;
        return word;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        const bool down = q < end && *q == '-';
        if (q < end && (*q == '-' || *q == '+')) q++;
        if (q < end && is_digit(*q)) {
            int64_t x = 0;
            for (; q < end && is_digit(*q); q++) x = x < 100000 ? 10 * x + (*q - '0') : x;
            e += down ? -x : x;
            p = q;
        }
    }
    if (n > 19 || m >= (uint64_t)1 << 53 || e < -22 || e > 22) {
        *v = hard_value(from, p, point);
        return p;
    }
    const double d = e < 0 ? (double)m / power[-e] : (double)m * power[e];
    *v = minus ? -d : d;
    return p;
}
