// Mutants, a fixed sample: each 60th of those of `make mutants`, some of the CUDA kernels' sums and barriers, all of
// those of the harness itself, and some of what is composed of the kernels.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/device.h"
#include "tests/test.h"

// Runs a script of tests/mutants; shows what it said when it failed.
static bool script(TestLog *log, const char *command)
{
    char cmd[8192];
    snprintf(cmd, sizeof cmd, "TMPDIR='%s' %s > '%s/mutants.log' 2>&1 || { cat '%s/mutants.log'; exit 1; }", log->tmp,
             command, log->tmp, log->tmp);
    fflush(stdout);
    return system(cmd) == 0;
}

void test_mutants(TestLog *log)
{
    char build[1024], cmd[4096];
    snprintf(build, sizeof build, "%s", log->lead);
    char *slash = strrchr(build, '/');
    if (slash) *slash = '\0';
    if (log->quick) {
        test_skip(log, "skipped: mutants are compiled and run without sanitizers, in the full suite");
        return;
    }
    snprintf(cmd, sizeof cmd, "sh tests/mutants/harness.sh '%s'", build);
    TEST(log, script(log, cmd), "a mutant of the harness lives");
    snprintf(cmd, sizeof cmd, "sh tests/mutants/run.sh '%s/tests/checker' 60", build);
    TEST(log, script(log, cmd), "a mutant of a kernel lives");
    snprintf(cmd, sizeof cmd, "sh tests/mutants/listed.sh cuda '%s/tests/checker' 3 kernel.h", build);
    TEST(log, script(log, cmd), "a mutant of a CUDA kernel lives");
    static const char *const above[] = {"12 golden_llm", "28 golden_traffic", "40 whole"};
    for (int i = 0; i < 3; i++) {
        snprintf(cmd, sizeof cmd, "sh tests/mutants/listed.sh model '%s/tests/run' %s", build, above[i]);
        TEST(log, script(log, cmd), "a mutant above the kernels lives");
    }
    if (isa_detect() == ISA_AVX512) {
        snprintf(cmd, sizeof cmd, "sh tests/mutants/listed.sh simd '%s/tests/checker' 12", build);
        TEST(log, script(log, cmd), "a mutant of a SIMD kernel lives");
    } else {
        test_skip(log, "skipped: mutants of SIMD kernels want a CPU with AVX-512");
    }
}
