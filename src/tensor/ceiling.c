#include "tensor/ceiling.h"
#include "tensor/clock.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <unistd.h>

// One thread: its CPU time, so that other processes disturb little.
static double now_seconds(int threads) { return threads == 1 ? clock_thread_seconds() : clock_seconds(); }

// ---- loops.  Assembly: this file is built without instruction-set flags, and no compiler may drop or change a loop.

#if defined(__x86_64__)
#define FMA_Z(i) "vfmadd231ps %%zmm30,%%zmm31,%%zmm" #i "\n"
#define FMA_Y(i) "vfmadd231ps %%ymm14,%%ymm15,%%ymm" #i "\n"
#define MUL_ADD_X(i, j) "mulps %%xmm14,%%xmm" #i "\naddps %%xmm15,%%xmm" #j "\n"
#define CLOBBERED "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                  "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define EIGHT(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define EIGHT_MORE(op) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)

// n rounds of independent fused multiply-adds, enough of them to hide their latency; returns flops.
static double fma_loop(Isa isa, long n)
{
    const double rounds = (double)n;
    if (isa == ISA_AVX512) {
        __asm__ volatile("vxorps %%zmm30,%%zmm30,%%zmm30\nvxorps %%zmm31,%%zmm31,%%zmm31\n1:\n" EIGHT(FMA_Z)
                         EIGHT_MORE(FMA_Z) FMA_Z(16) FMA_Z(17) FMA_Z(18) FMA_Z(19) FMA_Z(20) FMA_Z(21) FMA_Z(22)
                         FMA_Z(23) "dec %0\njnz 1b\nvzeroupper\n" : "+r"(n)::CLOBBERED);
        return rounds * 24 * 32;
    }
    if (isa == ISA_AVX2) {
        __asm__ volatile("vxorps %%ymm14,%%ymm14,%%ymm14\nvxorps %%ymm15,%%ymm15,%%ymm15\n1:\n" EIGHT(FMA_Y) FMA_Y(8)
                         FMA_Y(9) FMA_Y(10) FMA_Y(11) "dec %0\njnz 1b\nvzeroupper\n" : "+r"(n)::CLOBBERED);
        return rounds * 12 * 16;
    }
    __asm__ volatile("xorps %%xmm14,%%xmm14\nxorps %%xmm15,%%xmm15\n1:\n" MUL_ADD_X(0, 6) MUL_ADD_X(1, 7)
                     MUL_ADD_X(2, 8) MUL_ADD_X(3, 9) MUL_ADD_X(4, 10) MUL_ADD_X(5, 11) "dec %0\njnz 1b\n"
                     : "+r"(n)::CLOBBERED);
    return rounds * 12 * 4;
}

#define LOAD_Z(i) "vmovups " #i "*64(%0),%%zmm" #i "\n"
#define LOAD_Y(i) "vmovups " #i "*32(%0),%%ymm" #i "\n"
#define LOAD_X(i) "movups " #i "*16(%0),%%xmm" #i "\n"

// Reads n bytes (a multiple of 512).
static void read_loop(Isa isa, const char *a, size_t n)
{
    const char *end = a + n;
    if (isa == ISA_AVX512)
        __asm__ volatile("1:\n" EIGHT(LOAD_Z) "add $512,%0\ncmp %1,%0\njb 1b\nvzeroupper\n" : "+r"(a) : "r"(end)
                         : CLOBBERED);
    else if (isa == ISA_AVX2)
        __asm__ volatile("1:\n" EIGHT(LOAD_Y) "add $256,%0\ncmp %1,%0\njb 1b\nvzeroupper\n" : "+r"(a) : "r"(end)
                         : CLOBBERED);
    else
        __asm__ volatile("1:\n" EIGHT(LOAD_X) "add $128,%0\ncmp %1,%0\njb 1b\n" : "+r"(a) : "r"(end)
                         : CLOBBERED);
}

#define TRIAD_Z(i, store) "vmovups " #i "*64(%2,%0),%%zmm0\nvfmadd213ps " #i "*64(%1,%0),%%zmm15,%%zmm0\n" \
                          store " %%zmm0," #i "*64(%3,%0)\n"
#define TRIAD_Y(i, store) "vmovups " #i "*32(%2,%0),%%ymm0\nvfmadd213ps " #i "*32(%1,%0),%%ymm15,%%ymm0\n" \
                          store " %%ymm0," #i "*32(%3,%0)\n"
#define TRIAD_X(i, store) "movups " #i "*16(%2,%0),%%xmm0\nmulps %%xmm15,%%xmm0\naddps " #i "*16(%1,%0),%%xmm0\n" \
                          store " %%xmm0," #i "*16(%3,%0)\n"
#define TRIAD_LOOP(clear, step, store, bytes)                                                                       \
    __asm__ volatile(clear "1:\n" step(0, store) step(1, store) step(2, store) step(3, store)                       \
                     "add $" bytes ",%0\njnz 1b\nsfence\n"                                                          \
                     : "+r"(at) : "r"(b + n), "r"(c + n), "r"(a + n) : CLOBBERED)

// a = b + s c over n bytes (a multiple of 256), all aligned to 64.
static void triad_loop(Isa isa, bool stream, char *a, const char *b, const char *c, size_t n)
{
    long at = -(long)n;
    if (isa == ISA_AVX512 && stream)
        TRIAD_LOOP("vxorps %%zmm15,%%zmm15,%%zmm15\n", TRIAD_Z, "vmovntps", "256");
    else if (isa == ISA_AVX512)
        TRIAD_LOOP("vxorps %%zmm15,%%zmm15,%%zmm15\n", TRIAD_Z, "vmovups", "256");
    else if (isa == ISA_AVX2 && stream)
        TRIAD_LOOP("vxorps %%ymm15,%%ymm15,%%ymm15\n", TRIAD_Y, "vmovntps", "128");
    else if (isa == ISA_AVX2)
        TRIAD_LOOP("vxorps %%ymm15,%%ymm15,%%ymm15\n", TRIAD_Y, "vmovups", "128");
    else if (stream)
        TRIAD_LOOP("xorps %%xmm15,%%xmm15\n", TRIAD_X, "movntps", "64");
    else
        TRIAD_LOOP("xorps %%xmm15,%%xmm15\n", TRIAD_X, "movups", "64");
    if (isa != ISA_SCALAR) __asm__ volatile("vzeroupper" ::: "memory");
}
#else
static double fma_loop(Isa isa, long n) { return (void)isa, (void)n, NAN; }
static void read_loop(Isa isa, const char *a, size_t n) { (void)isa, (void)a, (void)n; }
static void triad_loop(Isa isa, bool stream, char *a, const char *b, const char *c, size_t n)
{
    (void)isa, (void)stream, (void)a, (void)b, (void)c, (void)n;
}
#endif

// ---- measurement

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ceiling_median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

double ceiling_fma(Isa isa, int threads)
{
    const long n = isa == ISA_AVX512 ? 100000 : 200000;
    double flops = 0;
    const double start = now_seconds(threads);
#pragma omp parallel num_threads(threads) reduction(+ : flops)
    flops += fma_loop(isa, n);
    return flops / (now_seconds(threads) - start) * 1e-9;
}

enum { DRAM_BYTES = 64 << 20 };

static size_t arrays_of(MemoryAccess access) { return access == ACCESS_READ ? 1 : access == ACCESS_UPDATE ? 2 : 3; }

// Bytes of each thread's part of one array: a half of L1, half of L2, an eighth of L3 or its share of DRAM_BYTES.
static size_t part_bytes(const Ceiling *c, MemoryLevel m, MemoryAccess access)
{
    const size_t arrays = arrays_of(access), share = (size_t)c->threads * arrays;
    const size_t bytes = m == MEMORY_L1 ? c->size[m] / 2 / arrays : m == MEMORY_L2 ? c->size[m] / 2 / arrays
                         : m == MEMORY_L3 ? c->size[m] / 4 / share : (size_t)3 * DRAM_BYTES / share;
    return bytes / 512 * 512;
}

static void move_once(Isa isa, MemoryAccess access, char *a, size_t part)
{
    if (access == ACCESS_READ) read_loop(isa, a, part);
    else triad_loop(isa, access == ACCESS_TRIAD_STREAM, a, a + part, access == ACCESS_UPDATE ? a : a + 2 * part, part);
}

static double bandwidth(const Ceiling *c, MemoryLevel m, MemoryAccess access, char *memory)
{
    const size_t part = part_bytes(c, m, access), arrays = arrays_of(access);
    const size_t counted = part * (access == ACCESS_READ ? 1 : 3);
    const double target = m == MEMORY_DRAM ? 1 : 4e7;   // bytes a thread moves at least
    const int rounds = 1 + (int)(target / (double)counted);
    double start = 0, seconds = 0;
#pragma omp parallel num_threads(c->threads)
    {
        char *a = memory + (size_t)omp_get_thread_num() * (arrays * part + 4096);
        move_once(c->isa, access, a, part);
#pragma omp barrier
#pragma omp master
        start = now_seconds(c->threads);
#pragma omp barrier
        for (int r = 0; r < rounds; r++) move_once(c->isa, access, a, part);
#pragma omp barrier
#pragma omp master
        seconds = now_seconds(c->threads) - start;
    }
    return (double)counted * rounds * c->threads / seconds * 1e-9;
}

static size_t cache_size(int name, size_t otherwise, size_t most)
{
    const long n = sysconf(name);
    if (n <= 0) return otherwise;
    return (size_t)n < most ? (size_t)n : most;   // a virtual machine reports the whole socket's L3
}

const char *memory_level_name(MemoryLevel m)
{
    static const char *const name[MEMORY_LEVELS] = {"L1", "L2", "L3", "DRAM"};
    return name[m];
}

Ceiling ceiling_measure(Isa isa, int threads, int reps, Arena *scratch)
{
    CHECK(reps >= 1 && reps <= 99, "ceiling: %d repetitions", reps);
    Ceiling c = {.isa = isa, .threads = threads};
    c.size[MEMORY_L1] = cache_size(_SC_LEVEL1_DCACHE_SIZE, 32 << 10, 1 << 20);
    c.size[MEMORY_L2] = cache_size(_SC_LEVEL2_CACHE_SIZE, 512 << 10, 8 << 20);
    c.size[MEMORY_L3] = cache_size(_SC_LEVEL3_CACHE_SIZE, 8 << 20, 32 << 20);
    const size_t mark = arena_mark(scratch);
    char *memory = arena_zalloc(scratch, (size_t)3 * DRAM_BYTES + (size_t)threads * 8192);
    double v[99];
    for (Isa i = ISA_SCALAR; i < ISA_COUNT; i++) {
        for (int r = 0; r < reps; r++) v[r] = i <= isa ? ceiling_fma(i, threads) : NAN;
        c.gflops[i] = ceiling_median(v, reps);
    }
    for (MemoryLevel m = 0; m < MEMORY_LEVELS; m++)
        for (MemoryAccess a = 0; a < MEMORY_ACCESSES; a++) {
            for (int r = 0; r < reps; r++) v[r] = bandwidth(&c, m, a, memory);
            c.gbps[m][a] = ceiling_median(v, reps);
        }
    arena_rewind(scratch, mark);
    return c;
}

// ---- roofline

MemoryLevel ceiling_level(const Ceiling *c, double bytes)
{
    for (MemoryLevel m = MEMORY_L1; m < MEMORY_DRAM; m++)
        if (bytes <= (double)c->size[m] * (m == MEMORY_L3 ? 1 : c->threads)) return m;
    return MEMORY_DRAM;
}

double ceiling_seconds(const Ceiling *c, Isa isa, double flops, double bytes, double written, bool in_place)
{
    const double *g = c->gbps[ceiling_level(c, bytes)];
    const double writing = in_place ? g[ACCESS_UPDATE] : fmax(g[ACCESS_TRIAD], g[ACCESS_TRIAD_STREAM]);
    const double gbps = written < 0.2 * bytes ? g[ACCESS_READ] : writing;
    return fmax(flops / c->gflops[isa], bytes / gbps) * 1e-9;
}
