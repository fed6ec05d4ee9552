// What the sums over ranks cost (tensor/ranks.h), beside the formula of docs/parallel.md.
//   make bench-ranks          mpirun -n 2; RANKS=4: so many
// ranks_sum of n values: every rank sends, and receives, 2 (R-1)/R n words: first the parts that others add up, then
// the sums.  Columns: R, values, MiB that a rank sends, ms (the least of 15), ms by a line through the first and the
// last row, GB/s that a rank sends, ms that this rank's additions take without a message.
#include <math.h>
#include <stdio.h>

#include "tensor/clock.h"
#include "tensor/ranks.h"

enum { ROUNDS = 15, SIZES = 5 };
static const int64_t sizes[SIZES] = {1, 10000, 1000000, 4000000, 16000000};

static double time_sum(const Device *d, float *x, int64_t n, Arena *scratch)
{
    double least = INFINITY;
    for (int k = 0; k < ROUNDS; k++) {
        for (int64_t i = 0; i < n; i++) x[i] = 1;
        (void)ranks_any(false);   // all begin together
        const double before = clock_seconds();
        ranks_sum(d, x, n, scratch);
        least = fmin(least, 1e3 * (clock_seconds() - before));
        CHECK(x[0] == (float)ranks_count() && x[n - 1] == x[0], "ranks_sum: %g", (double)x[n - 1]);
    }
    return least;
}

// The additions of this rank's part, without a message.
static double time_adding(float *x, int64_t n)
{
    double least = INFINITY;
    const int R = ranks_count();
    const int64_t part = n / R;
    for (int k = 0; k < ROUNDS; k++) {
        const double before = clock_seconds();
        for (int r = 1; r < R; r++)
            for (int64_t i = 0; i < part; i++) x[i] += x[r * part + i];
        least = fmin(least, 1e3 * (clock_seconds() - before));
    }
    return least;
}

int main(int argc, char **argv)
{
    ranks_begin(&argc, &argv);
    Arena *perm = arena_new("perm", (size_t)1 << 30, NULL), *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    CHECK(perm && scratch, "no address space");
    const Device d = device_cpu_f32(ISA_SCALAR);
    float *x = arena_alloc(perm, (size_t)sizes[SIZES - 1] * sizeof *x);
    double mib[SIZES], ms[SIZES], adding[SIZES];
    const double R = ranks_count();
    for (int i = 0; i < SIZES; i++) {
        mib[i] = 2 * (R - 1) / R * (double)sizes[i] * sizeof *x / (1 << 20);
        ms[i] = time_sum(&d, x, sizes[i], scratch);
        adding[i] = time_adding(x, sizes[i]);
    }
    const double each = (ms[SIZES - 1] - ms[0]) / (mib[SIZES - 1] - mib[0]);
    printf("ranks\tvalues\tmib\tms\tms_formula\tgb_s\tms_adding\n");
    for (int i = 0; i < SIZES; i++)
        printf("%d\t%lld\t%.3f\t%.3f\t%.3f\t%.2f\t%.3f\n", ranks_count(), (long long)sizes[i], mib[i], ms[i],
               ms[0] + each * (mib[i] - mib[0]), mib[i] / ms[i] * 1.048576, adding[i]);
    return ranks_end(0);
}
