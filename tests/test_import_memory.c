// Memory of `lead data import`: for large files of text at most twice the series, beyond what a file of two rows takes.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tensor/status.h"
#include "tests/run_lead.h"

// The most memory that the program takes, KiB.
static long peak_of(TestLog *log, Arena *a, const char *args)
{
    struct rusage usage;
    int status;
    const char *none = arena_printf(a, "%s/none", log->tmp);
    const pid_t pid = lead_start(log, a, none, none, args);
    const bool ran = wait4(pid, &status, 0, &usage) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
    TEST(log, ran, "%s: %s", args, slurp(a, none));
    return usage.ru_maxrss;
}

// T rows of 12 x 12: a .hist, an X file, JSON lines, or CSV of noise, which a .npz cannot make smaller.
static void put_large(FILE *f, int kind, int T)
{
    uint32_t noise = 1;
    for (int t = 0; t < T; t++)
        for (int k = 0; k < 144; k++) {
            noise = noise * 1664525 + 1013904223;
            if (kind == 3) fprintf(f, "%u.%u%c", noise >> 16, noise >> 8 & 255, k < 143 ? ',' : '\n');
            const int v = 1000 + (37 * t + 11 * k) % 9000;
            if (kind == 0) fprintf(f, "%d%c", v, k < 143 ? ' ' : '\n');
            if (kind == 1) fprintf(f, "%d.5 %d %d %d %d%c", v, v, v, v, v, k < 143 ? ' ' : '\n');
            if (kind == 2)
                fprintf(f, "{\"time\":%d,\"src\":\"n%d\",\"dst\":\"n%d\",\"kbps\":%d}\n", 1078099200 + 300 * t,
                        k / 12, k % 12, v);
        }
}

// Beyond what a file of two rows takes: twice the series, and some pieces of what is read.
void test_import_memory(TestLog *log)
{
    if (log->quick) {
        test_skip(log, "skipped: sanitizers take memory of their own");
        return;
    }
    Arena *a = arena_new("import memory", (size_t)1 << 28, NULL);
    CHECK(a, "no address space");
    enum { KINDS = 4, PIECES = 3072 };
    static const char *const name[KINDS] = {"large.hist", "X", "large.jsonl", "noise.csv"};
    static const int rows[KINDS] = {12000, 2500, 2500, 12000};
    for (int kind = 0; kind < KINDS; kind++) {
        long peak[2];
        for (int large = 0; large < 2; large++) {
            const char *path = arena_printf(a, "%s/%s", log->tmp, name[kind]);
            FILE *f = fopen(path, "w");
            if (!TEST(log, f, "cannot write %s", path)) return;
            put_large(f, kind, large ? rows[kind] : 2);
            fclose(f);
            peak[large] = peak_of(log, a, arena_printf(a, "data import %s --out %s/m.npz", path, log->tmp));
        }
        const long series = rows[kind] * 144L * 4 / 1024, bound = 2 * series + PIECES;
        TEST(log, peak[1] - peak[0] <= bound, "%s: %ld KiB above %ld for a series of %ld, want %ld", name[kind],
             peak[1] - peak[0], peak[0], series, bound);
    }
    arena_delete(a);
}
