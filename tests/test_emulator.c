// The emulation of the CUDA execution model (tests/emulate) on kernels whose result is known, and on planted faults, each
// of which must be noticed: by the values in one of the orders of threads, or by a message and abort.
#include <math.h>
#include <omp.h>
#include <signal.h>
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
    if (f == FAULT_UNWRITTEN) return 1;
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

static bool aborts(Fault f, const char *log_path)
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        float y[N];
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (!freopen(log_path, "w", stderr)) _exit(2);
        fault_run(f, y);
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

void test_emulator(TestLog *log)
{
    static const Fault right[] = {FAULT_NONE_MIRROR, FAULT_NONE_ASYNC, FAULT_NONE_WARPS, FAULT_NONE_PRODUCTS};
    for (int i = 0; i < 4; i++)
        TEST(log, right_orders(right[i]) == 4, "kernel %d is right in %d of 4 orders", right[i], right_orders(right[i]));
    static const Fault wrong[] = {FAULT_NO_BARRIER, FAULT_UNWRITTEN, FAULT_NO_WAIT};
    for (int i = 0; i < 3; i++)
        TEST(log, right_orders(wrong[i]) < 4, "planted fault %d shows in no order", wrong[i]);
    static const struct { Fault f; const char *words; } fatal[] = {
        {FAULT_DIVERGENT, "has ended"}, {FAULT_TWO_BARRIERS, "others at"}, {FAULT_MISSING_LANE, "lane 7 of the mask has ended"},
        {FAULT_OVERRUN, "wrote behind"}, {FAULT_LARGE_BLOCK, "want a block"}, {FAULT_LARGE_GRID, "too large"},
    };
    char path[600];
    snprintf(path, sizeof path, "%s/emulator.log", log->tmp);
#ifdef __SANITIZE_ADDRESS__
    const bool asan = true;
#else
    const bool asan = false;
#endif
    for (int i = 0; i < 6; i++) {
        const bool dies = aborts(fatal[i].f, path);
        // a sanitizer stops an overrun before the red zones are looked at, with its own message and exit
        if (asan && fatal[i].f == FAULT_OVERRUN)
            TEST(log, says(path, "AddressSanitizer") || says(path, "out of bounds"), "an overrun was not noticed");
        else TEST(log, dies && says(path, fatal[i].words), "planted fault %d: no abort that says '%s'", fatal[i].f, fatal[i].words);
    }
}
