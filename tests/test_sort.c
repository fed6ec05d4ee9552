// sort_f32 against qsort, on both sides of the sizes at which it changes its way.
#include <stdlib.h>
#include <string.h>

#include "tensor/philox.h"
#include "tensor/sort.h"
#include "tests/test.h"

static int by_value(const void *p, const void *q)
{
    const float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

// Kinds of values: all bits at random but no NaN; few values many times; ascending; descending; infinities among them.
static float value(int kind, int64_t i, int64_t n)
{
    uint32_t bits = philox_u32(3, philox_subsequence(SITE_TEST, (uint32_t)kind), (uint64_t)i);
    float x;
    if (kind == 1) return (float)(bits % 7) - 3;
    if (kind == 2) return (float)i;
    if (kind == 3) return (float)(n - i);
    if (kind == 4 && bits % 5 == 0) return bits % 2 ? 1.0f / 0.0f : -1.0f / 0.0f;
    if ((bits & 0x7F800000u) == 0x7F800000u || (bits & 0x7FFFFFFFu) == 0) bits ^= 0x40000001u;   // NaN, infinity, -0
    memcpy(&x, &bits, sizeof x);
    return x;
}

void test_sort(TestLog *log)
{
    static const int64_t sizes[] = {0, 1, 2, 31, 32, 33, 34, 200, 4095, 4096, 4097, 9000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int kind = 0; kind < 5; kind++) {
            const int64_t n = sizes[k];
            float *got = malloc((size_t)(n + 2) * sizeof *got), *want = malloc((size_t)(n + 2) * sizeof *want);
            for (int64_t i = 0; i < n + 2; i++) got[i] = want[i] = value(kind, i, n);
            sort_f32(got, n);
            qsort(want, (size_t)n, sizeof *want, by_value);
            TEST(log, memcmp(got, want, (size_t)(n + 2) * sizeof *got) == 0, "%lld values of kind %d", (long long)n,
                 kind);
            free(got);
            free(want);
        }
}
