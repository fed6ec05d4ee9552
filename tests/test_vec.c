// The vector functions of cpu_simd/vec.h: exp, sigmoid, tanh, softplus, the normal cdf hold their stated error bounds over every exponent of a
// float (here in their AVX2 build, and through the sigmoid and tanh kernels of each instruction set), infinities and
// NaN included; masked heads touch what they should; randn draws the reference's very bits at every instruction set.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tensor/device.h"
#include "tests/test.h"

// |got - want| in float ulps of want, at least those of the smallest normal number.
static double ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    const double error = fabs((double)got - want) / ldexp(1, (e < -125 ? -125 : e) - FLT_MANT_DIG);
    return isnan(error) ? INFINITY : error;
}

enum { MANTISSAS = 601, INPUTS = 512 * MANTISSAS };   // of each of the 512 signs and exponents, infinities and NaN too

// Floats of every sign and exponent, the ends of each binade included.
static void all_exponents(float *x)
{
    for (uint32_t s = 0; s < 512; s++)
        for (uint32_t m = 0; m < MANTISSAS; m++) {
            const uint32_t bits = s << 23 | (m == MANTISSAS - 1 ? 0x7FFFFF : m * 13957);
            memcpy(&x[s * MANTISSAS + m], &bits, 4);
        }
}

typedef double Truth(double);
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double normal_cdf(double x) { return 0.5 * erfc(x * -0.70710678118654752440); }

// Largest error over x; where want is too large for a float, got must be infinite.  Below x = -87 a sigmoid is held to
// an absolute error of 2^-127 instead: its e^-x overflows.
static double worst_error(const float *x, const float *got, int n, Truth *truth)
{
    double worst = 0;
    for (int i = 0; i < n; i++) {
        const double want = truth((double)x[i]);
        if (isnan(x[i]) && !isnan(got[i])) return INFINITY;
        if (isnan(x[i]) || (want > (double)FLT_MAX && isinf(got[i]))) continue;
        if (truth == sigmoid && x[i] <= -87 && fabs((double)got[i] - want) <= 0x1p-127) continue;
        worst = fmax(worst, ulps(got[i], want));
    }
    return worst;
}

static void expect_bound(TestLog *log, const char *what, double worst, double bound)
{
    printf("  %s: %.3f ulp (bound %.1f)\n", what, worst, bound);
    TEST(log, worst <= bound, "%s errs by %.3f ulp, want at most %.1f", what, worst, bound);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// Only these functions hold AVX2; they are called after isa_detect has seen it.
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define SYMBOL(name, dir) name##_##dir##_test
#include "cpu_simd/vec.h"

__attribute__((noinline)) static void map_avx2(const float *x, float *y, int n, int which)
{
    for (int i = 0; i < n; i += VW) {
        const vf v = vload_n(x + i, n - i);
        vf r;
        if (which == 0) r = vexp(v);
        else if (which == 1) r = vsigmoid(v);
        else if (which == 2) r = vtanh(v);
        else if (which == 3) r = vsoftplus(v);
        else {
            vf e;
            r = v;
            vnormal_cdfs(&r, &e, 1);
        }
        vstore_n(y + i, n - i, r);
    }
}

// Every head of a vector: loads 0 behind it, stores nothing behind it, sums only it.
__attribute__((noinline)) static void test_heads(TestLog *log)
{
    float x[VW], y[VW], z[VW];
    for (int i = 0; i < VW; i++) x[i] = (float)(i + 1);
    for (int n = 0; n <= VW; n++) {
        for (int i = 0; i < VW; i++) y[i] = -1;
        vstore_n(y, n, vadd(vload(x), vload(x)));
        vstore(z, vload_n(x, n));
        bool right = true;
        for (int i = 0; i < VW; i++) right &= y[i] == (i < n ? 2 * x[i] : -1) && z[i] == (i < n ? x[i] : 0);
        TEST(log, right, "head of %d lanes", n);
        const float sum = (float)(n * (n + 1)) / 2;
        const vf padded = vpad_n(vload(x), n, vzero());
        TEST(log, vsum(padded) == sum && vsum_wide(padded) == (double)sum, "sum of %d lanes", n);
        TEST(log, vmaxall(vpad_n(vload(x), n, vset1(-5))) == (n ? (float)n : -5), "largest of %d lanes", n);
    }
}
#pragma GCC pop_options

static void test_functions(TestLog *log, const float *x, float *y)
{
    static const struct { const char *name; Truth *truth; double bound; } fn[] = {
        {"vexp", exp, 1.1}, {"vsigmoid", sigmoid, 2.6}, {"vtanh", tanh, 1.5},
        {"vsoftplus", softplus, 2.5}, {"vnormal_cdfs", normal_cdf, 6.0}};
    for (int f = 0; f < 5; f++) {
        map_avx2(x, y, INPUTS, f);
        expect_bound(log, fn[f].name, worst_error(x, y, INPUTS, fn[f].truth), fn[f].bound);
    }
    test_heads(log);
}
#else
static void test_functions(TestLog *log, const float *x, float *y)
{
    (void)x, (void)y;
    test_skip(log, "skipped: vec.h is tested as AVX2 under gcc on x86_64 only");
}
#endif

// The same through the kernels that the device table picked.
static void test_kernels(TestLog *log, const Device *dev, float *x, float *y)
{
    static const struct { OpId op; Truth *truth; double bound; } fn[] = {{OP_sigmoid, sigmoid, 2.6},
                                                                        {OP_tanh, tanh, 1.5},
                                                                        {OP_softplus, softplus, 2.5}};
    Tensor in = {.shape = SHAPE(INPUTS), .x = x, .dev = dev}, out = {.shape = SHAPE(INPUTS), .x = y, .dev = dev};
    for (int f = 0; f < 3; f++) {
        dev->fwd[fn[f].op](&(OpCall){.op = fn[f].op, .n_in = 1, .n_out = 1, .in = {&in}, .out = {&out}});
        char what[64];
        snprintf(what, sizeof what, "%s of %s", op_info(fn[f].op)->name, dev->name);
        expect_bound(log, what, worst_error(x, y, INPUTS, fn[f].truth), fn[f].bound);
    }
}

// Odd lengths, first rows and offsets up to the carry out of the counter's low word.
static void test_randn(TestLog *log, const Device *ref, const Device *dev, float *want, float *got)
{
    static const int64_t length[] = {1, 5, 31, 32, 33, 63, 64, 65, 1000};
    static const uint64_t offset[] = {0, 4, 400, (uint64_t)4 * 0xFFFFFFF0u, (uint64_t)1 << 50};
    for (int l = 0; l < 9; l++)
        for (int o = 0; o < 5; o++) {
            const RandnParams p = {.at = {.seed = 0x9876543210 + offset[o], .site = 3, .step = 77, .offset = offset[o]},
                                   .row0 = 11 * o};
            Tensor a = {.shape = SHAPE(3, length[l]), .x = want, .dev = ref};
            Tensor b = {.shape = SHAPE(3, length[l]), .x = got, .dev = dev};
            ref->fwd[OP_randn](&(OpCall){.op = OP_randn, .n_out = 1, .out = {&a}, .p = &p});
            dev->fwd[OP_randn](&(OpCall){.op = OP_randn, .n_out = 1, .out = {&b}, .p = &p});
            TEST(log, memcmp(want, got, tensor_bytes(&a)) == 0, "%s: other bits at length %d, offset %d", dev->name,
                 (int)length[l], o);
        }
}

void test_vec(TestLog *log)
{
    const Isa isa = isa_detect();
    if (isa == ISA_SCALAR) {
        test_skip(log, "skipped: this CPU has no AVX2");
        return;
    }
    Arena *mem = arena_new("test_vec", (size_t)64 << 20, NULL);
    float *x = arena_alloc(mem, INPUTS * sizeof *x), *y = arena_alloc(mem, INPUTS * sizeof *y);
    all_exponents(x);
    test_functions(log, x, y);
    const Device ref = device_cpu_f32(ISA_SCALAR);
    for (Isa i = ISA_AVX2; i <= isa; i++) {
        const Device dev = device_cpu_f32(i);
        test_kernels(log, &dev, x, y);
        all_exponents(x);
        test_randn(log, &ref, &dev, arena_alloc(mem, 4000 * sizeof(float)), y);
    }
    arena_delete(mem);
}
