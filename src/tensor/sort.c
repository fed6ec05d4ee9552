#include "tensor/sort.h"

#include <stdlib.h>
#include <string.h>

// Few values by insertion.  Some thousands by their bits, least significant digit first: a tenth of qsort's time, which
// counts where every flow and step of a network has its own quantiles.  More do not fit on the stack.
enum { FEW = 32, MANY = 4096, DIGIT = 11, DIGITS = 3, BUCKETS = 1 << DIGIT };

static void insertion(float *v, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const float x = v[i];
        int64_t j = i;
        for (; j > 0 && v[j - 1] > x; j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

// Unsigned numbers in the order of the floats: all bits turned where negative, else the sign alone.
static uint32_t to_key(uint32_t bits) { return bits >> 31 ? ~bits : bits | 0x80000000u; }
static uint32_t from_key(uint32_t key) { return key >> 31 ? key & 0x7FFFFFFFu : ~key; }

static void radix(float *v, int64_t n)
{
    uint32_t one[MANY], two[MANY], *from = one, *to = two;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, v + i, sizeof bits);
        from[i] = to_key(bits);
    }
    for (int digit = 0; digit < DIGITS; digit++) {
        const int shift = digit * DIGIT;
        int32_t place[BUCKETS] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++) place[from[i] >> shift & (BUCKETS - 1)]++;
        for (int b = 0; b < BUCKETS; b++) {
            const int32_t count = place[b];
            place[b] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) to[place[from[i] >> shift & (BUCKETS - 1)]++] = from[i];
        uint32_t *swap = from;
        from = to, to = swap;
    }
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = from_key(from[i]);
        memcpy(v + i, &bits, sizeof bits);
    }
}

static int compare(const void *p, const void *q)
{
    const float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

void sort_f32(float *v, int64_t n)
{
    if (n <= FEW) insertion(v, n);
    else if (n <= MANY) radix(v, n);
    else qsort(v, (size_t)n, sizeof *v, compare);
}
