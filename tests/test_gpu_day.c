// The script of a day with a GPU (tests/tools/gpu_day.sh), run with programs that stand in for GPU, compiler and bench.
#include <stdio.h>
#include <stdlib.h>

#include "tests/test.h"

void test_gpu_day(TestLog *log)
{
    char cmd[4096];
    snprintf(cmd, sizeof cmd, "sh tests/tools/gpu_day_test.sh '%s'", log->tmp);
    fflush(stdout);
    TEST(log, system(cmd) == 0, "gpu_day.sh does not do what its head says");
}
