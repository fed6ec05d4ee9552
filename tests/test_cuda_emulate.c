// Every CUDA kernel, run on the host (tests/emulate), through the cases of the SIMD variants: parity with f64,
// canaries, edges, integers, NaN, contract, and, in place of thread counts, four orders of threads and blocks.
#include <stdio.h>

#include "autograd/tape.h"
#include "check/check.h"
#include "tests/emulate/emulated.h"
#include "tests/emulate/fence.h"
#include "tests/rig.h"
#include "tests/test.h"

static void say(void *ctx, const char *message)
{
    int *said = ctx;
    if ((*said)++ < 40) printf("  %s\n", message);
}

// The way of a GPU's cases, in memory that the host cannot touch: buffers and canaries go to the device and come back.
static void test_memory(TestLog *log)
{
    Devices devices;
    CheckOptions o;
    CheckReport report;
    int said = 0;
    const Device fenced = fence_cuda();
    check_devices(&devices, &o, ISA_SCALAR);
    o.f32[o.n_f32++] = &fenced;
    o.variants_only = o.quick = true;
    o.say = say;
    o.ctx = &said;
    for (int i = 0; i < 2; i++) {
        check_run(&report, &o, i ? "sum" : "add");
        const CheckRow *r = &report.row[i ? OP_sum : OP_add];
        TEST(log, r->checks > 100 && r->variants == 1 && r->failures == 0, "%d failures in %d cases; first: %s",
             r->failures, r->cases, r->first);
    }
}

long emulate_mma_count(void);
bool emulate_contracts(void);

// Products whose rows do not lie in whole fours (GPT-2's head: 50,257 columns) are the tensor cores' too, in both
// passes and however the operands lie.
static void test_odd_products(TestLog *log)
{
    static float a[33 * 35], b[35 * 37];
    for (int way = 0; way < 8; way++) {
        Rig *r = rig_new(fence_cuda());
        const bool ta = way & 1, tb = way & 2;
        r->dev.math = way & 4 ? MATH_BF16 : MATH_TF32;
        Tape t;
        tape_init(&t, &r->dev, r->step, r->scratch);
        t.record = true;
        Tensor *x = tape_from_f32(&t, ta ? SHAPE(35, 33) : SHAPE(33, 35), a);
        Tensor *w = tape_from_f32(&t, tb ? SHAPE(37, 35) : SHAPE(35, 37), b);
        x->needs_grad = w->needs_grad = true;
        const long start = emulate_mma_count();
        Tensor *y = tape_matmul(&t, x, w, ta, tb);
        const long forward = emulate_mma_count() - start;
        tape_grad(&t, y);
        tape_backward_from(&t, y);
        const long backward = emulate_mma_count() - start - forward;
        TEST(log, forward > 0 && backward >= 2 * forward, "way %d: %ld products of tensor cores, backward %ld", way,
             forward, backward);
        rig_delete(r);
    }
}

// --math tf32 and bf16: the ops on the tensor cores, held to the tolerance of their operands (src/check/check.c) and,
// with integers, which no rounding touches, to exact results.
static void test_math(TestLog *log, CheckOptions o, Device *emulated)
{
    const bool quick = o.quick;
    static const OpId product[] = {OP_matmul, OP_linear, OP_linear_gelu, OP_linear_add, OP_conv2d, OP_attention};
    o.quick = true;
    for (Math math = MATH_TF32; math <= MATH_BF16; math++)
        for (int i = 0; i < (int)(sizeof product / sizeof *product); i++) {
            if (quick && (i + (int)math) % 2) continue;   // under sanitizers each in one of the two
            static CheckReport one;
            const long before = emulate_mma_count();
            emulated->math = math;
            check_run(&one, &o, op_info(product[i])->name);
            const CheckRow *r = &one.row[product[i]];
            TEST(log, r->variants == 1 && r->failures == 0, "math %d: %d failures in %d cases; first: %s", (int)math,
                 r->failures, r->cases, r->first);
            // the row names what came closest to its bound: of attention a tensor that no product rounds
            TEST(log, r->parity > 100 || product[i] == OP_attention, "%s, math %d errs by %g ulps: as plain f32 does",
                 r->op, (int)math, r->parity);
            TEST(log, emulate_mma_count() > before, "%s, math %d: no product of the tensor cores", r->op, (int)math);
        }
}

void test_cuda_emulate(TestLog *log)
{
    test_memory(log);
    test_odd_products(log);
    Devices devices;
    CheckOptions o;
    Device emulated = device_emulated();
    int said = 0, covered = 0;
    check_devices(&devices, &o, ISA_SCALAR);
    o.f32[o.n_f32++] = &emulated;
    o.variants_only = true;
    o.quick = log->quick;
    o.say = say;
    o.ctx = &said;
    static CheckReport all;
    for (int i = 0; i < OP_COUNT; i++) {
        if (emulated.fwd[i] == devices.f32[0].fwd[i] && emulated.bwd[i] == devices.f32[0].bwd[i]) continue;
        CheckReport one;
        check_run(&one, &o, op_info((OpId)i)->name);
        const CheckRow *r = &one.row[i];
        all.row[i] = *r;
        all.checks += one.checks;
        all.failures += one.failures;
        log->passed += r->checks - r->failures - 1;
        TEST(log, r->op && r->cases > 0 && r->variants == 1 && r->failures == 0, "%d failures in %d cases; first: %s",
             r->failures, r->cases, r->first);
        covered++;
    }
    check_print(stdout, &all);
    printf("%d of %d ops have CUDA kernels; %s\n", covered, (int)OP_COUNT,
           emulate_contracts() ? "a b + c rounds once, as nvcc has it" :
                                 "a b + c rounds twice (no fused multiply-add here), unlike what nvcc makes");
    TEST(log, covered > 0, "no CUDA kernel was found");
    test_math(log, o, &emulated);
}
