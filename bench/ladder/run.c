// Measures the ladder: build/bench/ladder [--quick]
//   each rung       GFLOP/s, % of the ceiling (fused multiply-adds of its instruction set, measured in the same
//                   rounds), times as fast as the rung before, largest error over its bound, what it saves
//   the product     the same of the op table's kernel
// Every rung is held to f64 before its clock starts, and the last one to the product's bits (ladder.h).  One thread,
// its CPU time.  All run in turn, round after round; medians.  What takes long runs fewer rounds.
// --quick: smaller shapes, 3 rounds: a few seconds.  LEAD_ISA caps the instruction set.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/ladder/ladder.h"
#include "tensor/ceiling.h"
#include "tensor/clock.h"

enum { MOST_ROUNDS = 15, SLOW_ROUNDS = 3, RUNNERS = RUNGS + 1 };

typedef struct Runner {
    const Rung *rung;        // NULL: the product
    int calls, rounds;       // calls of one measurement
    double time[MOST_ROUNDS], mid, error;
} Runner;

static void run_once(const LadderProblem *p, const Device *dev, const Runner *r)
{
    if (r->rung) ladder_run(p, r->rung);
    else ladder_product(p, dev);
}

static double measure(const LadderProblem *p, const Device *dev, const Runner *r)
{
    const double start = clock_thread_seconds();
    for (int i = 0; i < r->calls; i++) run_once(p, dev, r);
    return (clock_thread_seconds() - start) / r->calls;
}

// Held to f64; then how often it is to run.  Returns whether it is right.
static bool prepare(const LadderProblem *p, const Device *dev, Runner *r, int rounds)
{
    r->calls = 1;
    memset(p->out, 0xff, (size_t)p->n * sizeof *p->out);
    const double each = measure(p, dev, r);
    r->error = ladder_error(p);
    r->calls = each < 0.02 ? 1 + (int)(0.02 / each) : 1;
    r->rounds = each > 0.5 && rounds > SLOW_ROUNDS ? SLOW_ROUNDS : rounds;
    return r->error <= 1;
}

static void report(const LadderProblem *p, const Runner *r, double ceiling, bool same)
{
    printf("%-13s %8s %10s %9s %9s  saves\n", "rung", "GFLOP/s", "% ceiling", "x before", "error");
    for (int i = 0; i < RUNNERS; i++) {
        const double gflops = ladder_flops(p) / r[i].mid * 1e-9;
        printf("%-13s %8.2f %10.1f ", r[i].rung ? r[i].rung->name : "the product", gflops, 100 * gflops / ceiling);
        if (i > 0) printf("%9.2f ", r[i - 1].mid / r[i].mid);
        else printf("%9s ", "");
        const char *bits = same ? "the same bits as the rung above" : "OTHER BITS than the rung above";
        printf("%9.5f  %s\n", r[i].error, r[i].rung ? r[i].rung->saves : bits);
    }
    printf("\n");
}

// Returns whether all are right.
static bool climb(const LadderProblem *p, const Device *dev, int rounds)
{
    Runner r[RUNNERS] = {0};
    double peak[MOST_ROUNDS];
    const Rung *rungs = ladder_rungs(p, dev->isa);
    bool right = true;
    float *last = arena_alloc(p->scratch, (size_t)p->n * sizeof *last);
    for (int i = 0; i < RUNNERS; i++) {
        if (i == RUNGS) memcpy(last, p->out, (size_t)p->n * sizeof *last);
        r[i].rung = i < RUNGS ? &rungs[i] : NULL;
        right &= prepare(p, dev, &r[i], rounds);
    }
    const bool same = memcmp(last, p->out, (size_t)p->n * sizeof *last) == 0;
    for (int k = 0; k < rounds; k++) {
        peak[k] = ceiling_fma(dev->isa, 1);
        for (int i = 0; i < RUNNERS; i++)
            if (k < r[i].rounds) r[i].time[k] = measure(p, dev, &r[i]);
    }
    for (int i = 0; i < RUNNERS; i++) r[i].mid = ceiling_median(r[i].time, r[i].rounds);
    const double ceiling = ceiling_median(peak, rounds);
    if (p->T) printf("attention: one head, T %d, E %d", (int)p->T, (int)p->E);
    else printf("SGEMM: M %d, N %d, K %d", (int)p->M, (int)p->N, (int)p->K);
    printf("; %s, one thread; ceiling %.1f GFLOP/s; error: worst / bound\n", isa_name(dev->isa), ceiling);
    report(p, r, ceiling, same);
    return right && same;
}

int main(int argc, char **argv)
{
    const bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: ladder [--quick]\n");
        return 2;
    }
    Isa isa = isa_detect(), cap;
    const char *text = getenv("LEAD_ISA");
    if (text && *text && !isa_parse(text, &cap).code && cap < isa) isa = cap;
    if (isa == ISA_SCALAR) {
        printf("ladder: its rungs want AVX2 or AVX-512\n");
        return 0;
    }
    omp_set_num_threads(1);
    const Device dev = device_cpu_f32(isa);
    Arena *mem = arena_new("ladder", (size_t)1 << 30, NULL), *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    CHECK(mem && scratch, "ladder: no memory");
    const int rounds = quick ? 3 : MOST_ROUNDS;
    const int64_t n = quick ? 512 : 1024;
    bool right = climb(ladder_sgemm(mem, scratch, n, n, n), &dev, rounds);
    right &= climb(ladder_attention(mem, scratch, n, 1, 64), &dev, rounds);
    if (!right) fprintf(stderr, "ladder: a rung is wrong\n");
    return !right;
}
