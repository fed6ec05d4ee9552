// Philox and what is drawn from it: Random123's known answers, the accuracy of our log and sin/cos, the distribution of
// normals, independence of addresses; against real cuRAND's host generator where nvcc is installed (tests/curand/).
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/arena.h"
#include "tensor/philox.h"
#include "tests/test.h"

// kat_vectors of Random123 1.09: philox4x32 10 rounds.
static void test_known_answers(TestLog *log)
{
    static const struct { uint64_t quad, subsequence, seed; uint32_t want[4]; } kat[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        const Philox4 q = philox_quad(kat[i].seed, kat[i].subsequence, kat[i].quad);
        for (int j = 0; j < 4; j++)
            TEST(log, q.v[j] == kat[i].want[j], "vector %d word %d: want %08x, got %08x", i, j, kat[i].want[j], q.v[j]);
    }
    for (uint64_t i = 0; i < 9; i++)
        TEST(log, philox_u32(5, 6, i) == philox_quad(5, 6, i / 4).v[i % 4], "draw %d is not word %d of its quad",
             (int)i, (int)i % 4);
    TEST(log, philox_subsequence(2, 3) == 0x200000003u, "subsequence is not site << 32 | step");
}

// |got - want| in float ulps of want.
static double ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    const double error = fabs((double)got - want) / ldexp(1, (e < -125 ? -125 : e) - FLT_MANT_DIG);
    return isnan(error) ? INFINITY : error;
}

static void test_accuracy(TestLog *log)
{
    const uint32_t step = log->quick ? 1009 : 13;   // odd: every residue of the tables of quarter turns is met
    double worst_log = 0, worst_sin = 0;
    for (uint32_t k = 0; k < 1u << 24; k += step) {
        const float u = philox_unit(k << 8);
        worst_log = fmax(worst_log, ulps(philox_log(u), log1p((double)u - 1)));
        float s, c;
        philox_sincos(k, &s, &c);
        const double angle = 2 * 3.14159265358979323846 * (double)k / 0x1p24;
        worst_sin = fmax(worst_sin, fmax(fabs((double)s - sin(angle)), fabs((double)c - cos(angle))));
    }
    TEST(log, worst_log <= 1.5, "philox_log errs by %.3f ulp, want at most 1.5", worst_log);
    TEST(log, worst_sin <= 1.2e-7, "philox_sincos errs by %.3g, want at most 1.2e-7 (one ulp of 1)", worst_sin);
    printf("  log: %.3f ulp (bound 1.5); sin, cos: %.3g (bound 1.2e-7)\n", worst_log, worst_sin);
    const float low = philox_unit(0), high = philox_unit(UINT32_MAX);
    TEST(log, low == 0x1p-25f && low > 0 && high <= 1 && philox_log(high) <= 0, "unit range: %g .. %g", (double)low,
         (double)high);
    TEST(log, isfinite(sqrtf(-2 * philox_log(low))) && isfinite(sqrtf(-2 * philox_log(high))),
         "radius at the ends of the range");
    for (uint32_t q = 0; q < 4; q++) {   // the axes are exact
        float s, c;
        philox_sincos(q << 22, &s, &c);
        const float want_s[] = {0, 1, 0, -1}, want_c[] = {1, 0, -1, 0};
        TEST(log, s == want_s[q] && c == want_c[q], "quarter turn %u: sin %g cos %g", q, (double)s, (double)c);
    }
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Moments within 5 standard errors; Kolmogorov-Smirnov distance below 1.95 / sqrt(n) (p = 0.001).  The draws are fixed,
// so this either always passes or always fails.
static void test_normals(TestLog *log)
{
    const int64_t n = log->quick ? 1 << 16 : 1 << 20;
    Arena *a = arena_new("normals", (size_t)64 << 20, NULL);
    float *x = arena_alloc(a, (size_t)n * sizeof *x);
    double m[5] = {0}, lag = 0, cross = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = philox_normal(42, philox_subsequence(SITE_TEST, 1), (uint64_t)i);
        for (int k = 1; k <= 4; k++) m[k] += pow((double)x[i], k) / (double)n;
        if (i) lag += (double)x[i] * (double)x[i - 1] / (double)n;
        cross += (double)x[i] * (double)philox_normal(42, philox_subsequence(SITE_TEST, 2), (uint64_t)i) / (double)n;
    }
    const double se = 1 / sqrt((double)n);
    TEST(log, fabs(m[1]) < 5 * se, "mean %.5f, standard error %.5f", m[1], se);
    TEST(log, fabs(m[2] - 1) < 5 * sqrt(2) * se, "variance %.5f, standard error %.5f", m[2], sqrt(2) * se);
    TEST(log, fabs(m[3]) < 5 * sqrt(15) * se, "third moment %.5f, standard error %.5f", m[3], sqrt(15) * se);
    TEST(log, fabs(m[4] - 3) < 5 * sqrt(96) * se, "fourth moment %.5f, standard error %.5f", m[4], sqrt(96) * se);
    TEST(log, fabs(lag) < 5 * se, "correlation of neighbours %.5f", lag);
    TEST(log, fabs(cross) < 5 * se, "correlation of neighbouring steps %.5f", cross);
    qsort(x, (size_t)n, sizeof *x, compare_floats);
    double distance = 0;
    for (int64_t i = 0; i < n; i++) {
        const double cdf = 0.5 * erfc(-(double)x[i] / sqrt(2));
        const double d = fmax(fabs(cdf - (double)i / (double)n), fabs(cdf - (double)(i + 1) / (double)n));
        distance = isnan(d) ? INFINITY : fmax(distance, d);
    }
    TEST(log, distance < 1.95 * se, "Kolmogorov-Smirnov distance %.6f, want below %.6f", distance, 1.95 * se);
    printf("  %lld normals: mean %.5f variance %.5f KS %.2g (bound %.2g)\n", (long long)n, m[1], m[2], distance,
           1.95 * se);
    arena_delete(a);
}

// The same source as the kernels' against cuRAND's host generator and its device functions run on the host, several
// seeds, subsequences and offsets: tests/curand/compare.cu, which also says how the addresses map.
static void test_curand(TestLog *log)
{
    char cmd[8192];
    if (system("command -v nvcc >/dev/null 2>&1") != 0) {
        test_skip(log, "skipped: no nvcc on PATH, Philox was not compared with cuRAND");
        return;
    }
    snprintf(cmd, sizeof cmd,
             "sh tests/curand/build.sh '%s/curand' >'%s/curand.log' 2>&1 || { cat '%s/curand.log'; exit 1; }", log->tmp,
             log->tmp, log->tmp);
    if (!TEST(log, system(cmd) == 0, "cuRAND's side does not compile; see tests/curand/build.sh")) return;
    snprintf(cmd, sizeof cmd, "'%s/curand'", log->tmp);
    fflush(stdout);
    TEST(log, system(cmd) == 0, "a draw differs from cuRAND's");
}

void test_philox(TestLog *log)
{
    test_known_answers(log);
    test_accuracy(log);
    test_normals(log);
    if (!log->quick) test_curand(log);
}
