// The products of gemm_sm90.cu (wgmma, TMA) on the emulated Hopper GPU: every tile on every case of matmul, linear,
// linear_gelu and linear_add, held to the tolerance of bf16 or tf32 operands and, with integers, to exact results.
#include <stdio.h>
#include <stdlib.h>

#include "check/check.h"
#include "tests/emulate/emulated.h"
#include "tests/test.h"

long emulate_wgmma_count(void);

static void say(void *ctx, const char *message)
{
    int *said = ctx;
    if ((*said)++ < 20) printf("  %s\n", message);
}

// One op with one tile: the cases pass, wgmma has been used, and the errors are those of rounded operands.
static void test_tile(TestLog *log, const CheckOptions *o, Math math, const char *tile, OpId op)
{
    static CheckReport report;
    const long before = emulate_wgmma_count();
    setenv("LEAD_WGMMA", tile, 1);
    check_run(&report, o, op_info(op)->name);
    unsetenv("LEAD_WGMMA");
    const CheckRow *r = &report.row[op];
    const char *name = math == MATH_BF16 ? "bf16" : "tf32";
    log->passed += r->checks - r->failures - 1;
    TEST(log, r->variants == 1 && r->failures == 0, "%s %s %s: %d failures in %d cases; first: %s", r->op, name, tile,
         r->failures, r->cases, r->first);
    TEST(log, r->parity > 100, "%s %s %s errs by %g ulps: as plain f32 does", r->op, name, tile, r->parity);
    TEST(log, emulate_wgmma_count() > before, "%s %s %s did not use wgmma", r->op, name, tile);
}

void test_wgmma(TestLog *log)
{
    // each tile, each op, both kinds of values; matmul has all four ways in which operands lie, linear three.  (All
    // eighteen together take a minute.)
    static const struct { Math math; const char *tile; OpId op; } run[] = {
        {MATH_BF16, "64x128", OP_matmul}, {MATH_TF32, "128x128", OP_linear_gelu}, {MATH_BF16, "128x256", OP_linear},
        {MATH_BF16, "128x128", OP_linear}, {MATH_TF32, "64x128", OP_linear}, {MATH_TF32, "128x256", OP_linear_add},
    };
    Devices devices;
    CheckOptions o;
    int said = 0;
    Device emulated = device_emulated();
    check_devices(&devices, &o, ISA_SCALAR);
    o.f32[o.n_f32++] = &emulated;
    o.variants_only = o.quick = true;
    o.say = say;
    o.ctx = &said;
    for (int i = 0; i < (log->quick ? 3 : (int)(sizeof run / sizeof *run)); i++) {
        emulated.math = run[i].math;
        test_tile(log, &o, run[i].math, run[i].tile, run[i].op);
    }
    const long before = emulate_wgmma_count();
    static CheckReport off;
    check_run(&off, &o, "linear");
    TEST(log, emulate_wgmma_count() == before, "wgmma was used without LEAD_WGMMA");
}
