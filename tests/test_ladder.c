// The rungs of bench/ladder at sizes around the edges of vectors, tiles and blocks, for every instruction set that this
// CPU has: each within its bound of f64 (ladder.h), writing nothing beside its result; the last one with the bits of
// the product's kernel, SGEMM's first four with one another's, as sgemm.c says.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/ladder/ladder.h"
#include "tests/test.h"

enum { GUARD = 64, SAME_RUNGS = 4 };   // floats before and behind the result

static bool untouched(const float *guard)
{
    for (int i = 0; i < GUARD; i++)
        if (guard[i] != 12345) return false;
    return true;
}

static void test_problem(TestLog *log, LadderProblem *p, const Device *dev, Arena *mem)
{
    const size_t bytes = (size_t)p->n * sizeof(float);
    char what[96];
    if (p->T) snprintf(what, sizeof what, "attention T %d, %d heads of %d", (int)p->T, (int)p->heads, (int)p->E);
    else snprintf(what, sizeof what, "SGEMM %dx%dx%d", (int)p->M, (int)p->N, (int)p->K);
    float *all = arena_alloc(mem, bytes + 2 * GUARD * sizeof *all), *last = arena_alloc(mem, bytes);
    for (int64_t i = 0; i < p->n + 2 * GUARD; i++) all[i] = 12345;
    p->out = all + GUARD;
    const Rung *rungs = ladder_rungs(p, dev->isa);
    for (int i = 0; i < RUNGS; i++) {
        memset(p->out, 0xff, bytes);
        ladder_run(p, &rungs[i]);
        const double error = ladder_error(p);
        TEST(log, error <= 1, "%s, %s, rung %s: %.3g of its bound from f64", what, isa_name(dev->isa), rungs[i].name,
             error);
        TEST(log, untouched(all) && untouched(p->out + p->n), "%s, %s, rung %s: writes beside its result", what,
             isa_name(dev->isa), rungs[i].name);
        if (!p->T && i > 0 && i < SAME_RUNGS)
            TEST(log, memcmp(last, p->out, bytes) == 0, "%s, %s, rung %s: other bits than the rung before", what,
                 isa_name(dev->isa), rungs[i].name);
        memcpy(last, p->out, bytes);
    }
    ladder_product(p, dev);
    TEST(log, memcmp(last, p->out, bytes) == 0, "%s, %s: the last rung has other bits than the product", what,
         isa_name(dev->isa));
}

// The bound itself: a value that is wrong, or NaN, is seen.
static void test_bound(TestLog *log, const LadderProblem *p, const Device *dev)
{
    ladder_product(p, dev);
    const int64_t i = p->n / 2;
    const float right = p->out[i];
    p->out[i] = (float)(p->truth[i] + 2 * p->bound[i]);
    TEST(log, ladder_error(p) > 1, "twice its bound from f64: not seen");
    p->out[i] = NAN;
    TEST(log, isinf(ladder_error(p)), "NaN: not seen");
    p->out[i] = right;
    TEST(log, ladder_error(p) <= 1, "the product is %.3g of the bound from f64", ladder_error(p));
}

static void test_isa(TestLog *log, const Device *dev, Arena *mem, Arena *scratch)
{
    static const int sgemm[][3] = {{1, 1, 1}, {2, 3, 1}, {1, 33, 7}, {5, 7, 3}, {6, 16, 64}, {7, 15, 17}, {12, 32, 65},
                                   {13, 31, 63}, {25, 9, 5}, {24, 65, 2}, {3, 129, 130}, {289, 17, 33}, {11, 128, 513},
                                   {2, 1, 600}, {14, 34, 1025}, {577, 63, 1000}};
    static const int attention[][3] = {{1, 1, 1}, {1, 2, 16}, {2, 3, 5}, {7, 1, 8}, {15, 2, 15}, {17, 1, 17},
                                       {24, 1, 32}, {25, 2, 33}, {63, 1, 16}, {64, 3, 7}, {65, 1, 64}, {129, 2, 31},
                                       {200, 1, 80}};
    const int n_sgemm = sizeof sgemm / sizeof *sgemm, n_attention = sizeof attention / sizeof *attention;
    for (int i = 0; i < n_sgemm; i++) {
        const size_t mark = arena_mark(mem);
        const int *s = sgemm[i];
        if (!log->quick || i < n_sgemm - 1) test_problem(log, ladder_sgemm(mem, scratch, s[0], s[1], s[2]), dev, mem);
        arena_rewind(mem, mark);
    }
    for (int i = 0; i < n_attention; i++) {
        const size_t mark = arena_mark(mem);
        const int *s = attention[i];
        if (!log->quick || i < n_attention - 1)
            test_problem(log, ladder_attention(mem, scratch, s[0], s[1], s[2]), dev, mem);
        arena_rewind(mem, mark);
    }
    test_bound(log, ladder_sgemm(mem, scratch, 5, 7, 300), dev);
    test_bound(log, ladder_attention(mem, scratch, 30, 2, 8), dev);
}

void test_ladder(TestLog *log)
{
    const Isa isa = isa_detect();
    if (isa < ISA_AVX512)
        test_skip(log, "skipped: %s", isa == ISA_AVX2 ? "this CPU has no AVX-512; the rungs of AVX2 ran"
                                                      : "this CPU has no AVX2: no rungs");
    Arena *mem = arena_new("test_ladder", (size_t)256 << 20, NULL);
    Arena *scratch = arena_new("scratch", (size_t)64 << 20, NULL);
    for (Isa i = ISA_AVX2; i <= isa; i++) {
        const Device dev = device_cpu_f32(i);
        const size_t mark = arena_mark(mem);
        test_isa(log, &dev, mem, scratch);
        arena_rewind(mem, mark);
    }
    arena_delete(mem);
    arena_delete(scratch);
}
