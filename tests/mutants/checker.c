// The checks of one or more ops, as a program: `build/tests/checker [--isa scalar|avx2|avx512] [--quick] op...`
// Exit 0: every check passed; 1: one failed; 2: usage.  `make mutants` links it with a mutated kernel in front of the
// library; whoever writes a kernel calls it by hand.
#include <stdio.h>
#include <string.h>

#include "check/check.h"

static void say(void *ctx, const char *message)
{
    (void)ctx;
    printf("%s\n", message);
}

int main(int argc, char **argv)
{
    Isa cap = ISA_AVX512;
    Devices devices;
    CheckOptions o;
    CheckReport report;
    int first = 1, failures = 0;
    bool quick = false;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--quick") == 0) quick = true;
        else if (strcmp(argv[first], "--isa") != 0 || ++first == argc || isa_parse(argv[first], &cap).code) first = argc;
    }
    if (first >= argc) {
        fprintf(stderr, "want [--isa scalar|avx2|avx512] [--quick] op...\n");
        return 2;
    }
    check_devices(&devices, &o, cap);
    o.quick = quick;
    o.say = say;
    for (int i = first; i < argc; i++) {
        check_run(&report, &o, argv[i]);
        check_print(stdout, &report);
        failures += report.failures;
    }
    return failures != 0;
}
