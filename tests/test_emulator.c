// The emulation of the CUDA execution model (tests/emulate) on kernels whose result is known, and on planted faults,
// each of which must be noticed: by the values in one of the orders of threads, or by a message and abort.
#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/emulate/faults.h"
#include "tests/test.h"

enum { N = FAULT_THREADS };

static float expected(Fault f, int i)
{
    static const float source[N] = {3, 1, 0, 1, 5};   // the third copy was not valid: zero
    if (f == FAULT_NONE_MIRROR || f == FAULT_NO_BARRIER) return (float)(N - 1 - i);
    if (f == FAULT_NONE_ASYNC || f == FAULT_NO_WAIT) return source[(i + 1) % N];
    if (f == FAULT_NONE_WARPS) return 496 + 11 + (float)(i % 8 ? i % 32 - 1 : i % 32);
    if (f == FAULT_UNWRITTEN || f == FAULT_NONE_SHARED) return 1;
    float sum = 0;   // products
    for (int k = 0; k < 16; k++) sum += (float)(i / 8 - k) * (float)(k + 2 * (i % 8));
    return sum;
}

// In how many of the four orders the values are as expected.
static int right_orders(Fault f)
{
    static const int orders[] = {1, 2, 3, 7};
    const int before = omp_get_max_threads();
    int right = 0;
    for (int k = 0; k < 4; k++) {
        float y[N];
        bool same = true;
        memset(y, 0x7f, sizeof y);
        omp_set_num_threads(orders[k]);
        fault_run(f, y);
        for (int i = 0; i < N; i++) same &= y[i] == expected(f, i);
        right += same;
    }
    omp_set_num_threads(before);
    return right;
}

// ---- cuda/hopper.h: a product of tiles that come by copies, and its faults

enum { M = 64, NB = 128, K_MAX = 64 };

static void hopper_product(HopperFault f, bool bf16, bool across_a, bool across_b, float *y)
{
    static _Alignas(16) uint16_t a16[M * K_MAX], b16[NB * K_MAX];
    static _Alignas(16) float a32[M * 32], b32[NB * 32];
    const int K = bf16 ? 64 : 32;
    for (int k = 0; k < K; k++) {
        for (int m = 0; m < M; m++) {    // integers up to 7: bf16 and every sum are exact
            const float v = (float)((m * 5 + k * 3) % 15 - 7);
            if (bf16) memcpy(&a16[across_a ? k * M + m : m * K + k], (const char *)&v + 2, 2);
            else a32[m * K + k] = v;
        }
        for (int n = 0; n < NB; n++) {
            const float v = (float)((n * 7 + k * 11) % 13 - 6);
            if (bf16) memcpy(&b16[across_b ? k * NB + n : n * K + k], (const char *)&v + 2, 2);
            else b32[n * K + k] = v;
        }
    }
    const HopperProduct p = {bf16 ? (void *)a16 : a32, bf16 ? (void *)b16 : b32, bf16, across_a, across_b, y};
    hopper_run(f, &p);
}

static bool hopper_right(bool bf16, bool across_a, bool across_b)
{
    static float y[M * NB];
    memset(y, 0x7f, sizeof y);
    hopper_product(HOPPER_NONE, bf16, across_a, across_b, y);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < NB; n++) {
            int sum = 0;
            for (int k = 0; k < (bf16 ? 64 : 32); k++) sum += ((m * 5 + k * 3) % 15 - 7) * ((n * 7 + k * 11) % 13 - 6);
            if (y[m * NB + n] != (float)sum) return false;
        }
    return true;
}

static void fault(int f, bool hopper)
{
    static float y[M * NB];
    if (hopper) hopper_product((HopperFault)f, true, false, true, y);
    else fault_run((Fault)f, y);
}

static bool aborts(int f, bool hopper, const char *log_path)
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (!freopen(log_path, "w", stderr)) _exit(2);
        fault(f, hopper);
        _exit(0);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static bool says(const char *path, const char *words)
{
    char text[1000] = "";
    FILE *f = fopen(path, "r");
    if (!f) return false;
    const size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    return strstr(text, words) != NULL;
}

static void test_hopper(TestLog *log, const char *path)
{
    static const char *const words[] = {
#define F(name, words) words,
        HOPPER_FAULTS
#undef F
    };
    const int before = omp_get_max_threads();
    int noticed[HOPPER_FAULT_COUNT] = {0};
    for (int order = 1; order <= 4; order++) {
        omp_set_num_threads(order);
        for (int way = 0; way < 5; way++)
            TEST(log, hopper_right(way < 4, way & 1, way & 2), "order %d: a product of tiles, way %d, is wrong", order,
                 way);
        for (int f = 1; f < HOPPER_FAULT_COUNT; f++) noticed[f] += aborts(f, true, path) && says(path, words[f]);
    }
    omp_set_num_threads(before);
    // With order 1 copies land at once, too early for some faults to show.
    for (int f = 1; f < HOPPER_FAULT_COUNT; f++) {
        const bool timing = f == HOPPER_NO_FULL_WAIT || f == HOPPER_WRONG_PARITY || f == HOPPER_EARLY_REUSE;
        TEST(log, noticed[f] >= (timing ? 1 : 4), "fault %d: in %d of 4 orders an abort that says '%s'", f, noticed[f],
             words[f]);
    }
}

void test_emulator(TestLog *log)
{
    static const Fault right[] = {FAULT_NONE_MIRROR, FAULT_NONE_ASYNC, FAULT_NONE_WARPS, FAULT_NONE_PRODUCTS,
                                  FAULT_NONE_SHARED};
    for (int i = 0; i < 5; i++)
        TEST(log, right_orders(right[i]) == 4, "kernel %d is right in %d of 4 orders", right[i],
             right_orders(right[i]));
    static const Fault wrong[] = {FAULT_NO_BARRIER, FAULT_UNWRITTEN, FAULT_NO_WAIT};
    for (int i = 0; i < 3; i++)
        TEST(log, right_orders(wrong[i]) < 4, "planted fault %d shows in no order", wrong[i]);
    static const struct { Fault f; const char *words; } fatal[] = {
        {FAULT_DIVERGENT, "has ended"},
        {FAULT_TWO_BARRIERS, "others at"},
        {FAULT_MISSING_LANE, "lane 7 of the mask has ended"},
        {FAULT_OVERRUN, "wrote behind"},
        {FAULT_LARGE_BLOCK, "want a block"},
        {FAULT_LARGE_GRID, "too large"},
        {FAULT_NOT_ALLOWED, "must be allowed"},
    };
    char path[600];
    snprintf(path, sizeof path, "%s/emulator.log", log->tmp);
#ifdef __SANITIZE_ADDRESS__
    const bool asan = true;
#else
    const bool asan = false;
#endif
    for (int i = 0; i < 7; i++) {
        const bool dies = aborts(fatal[i].f, false, path);
        // a sanitizer stops an overrun before the red zones are looked at, with its own message and exit
        if (asan && fatal[i].f == FAULT_OVERRUN)
            TEST(log, says(path, "AddressSanitizer") || says(path, "out of bounds"), "an overrun was not noticed");
        else
            TEST(log, dies && says(path, fatal[i].words), "planted fault %d: no abort that says '%s'", fatal[i].f,
                 fatal[i].words);
    }
    test_hopper(log, path);
}
