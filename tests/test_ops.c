// Every op of ops.def: gradient check, oracle, parity of each variant, contract, threads (src/check/check.h).
// LEAD_ISA=scalar|avx2|avx512 caps the variants.
#include <stdio.h>
#include <stdlib.h>

#include "check/check.h"
#include "tests/test.h"

static void say(void *ctx, const char *message)
{
    int *said = ctx;
    if ((*said)++ < 40) printf("  %s\n", message);
}

void test_ops(TestLog *log)
{
    Devices devices;
    CheckOptions o;
    CheckReport report;
    int said = 0;
    Isa cap = ISA_AVX512;
    const char *isa = getenv("LEAD_ISA");
    if (isa) TEST(log, isa_parse(isa, &cap).code == 0, "LEAD_ISA=%s", isa);
    check_devices(&devices, &o, cap);
    o.quick = log->quick;
    o.say = say;
    o.ctx = &said;
    check_run(&report, &o, NULL);
    check_print(stdout, &report);
    for (int i = 0; i < OP_COUNT; i++) {
        const CheckRow *r = &report.row[i];
        log->passed += r->checks - r->failures - 1;
        TEST(log, r->op && r->cases > 0 && r->failures == 0, "%d failures in %d cases; first: %s", r->failures,
             r->cases, r->first);
    }
}
