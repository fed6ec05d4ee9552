// The vector functions of cpu_simd/vec.h: exp, sigmoid, tanh, softplus, silu, gelu_tanh, the normal cdf hold their
// stated error bounds over every exponent of a float (here in their AVX2 build, and through the kernels of each
// instruction set), infinities and NaN included; masked heads touch what they should; zeros, denormals, the largest,
// infinities and NaN go through activations, softmax, norms, modulation, add, mul, clamp as through the plain kernels;
// randn draws the reference's bits at every instruction set, and all its radii and angles are philox.h's.
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
static double exp2_to127(double x) { return x < -126 ? 0 : exp2(fmin(x, 127)); }
static double silu(double x) { return x * sigmoid(x); }
static double gelu_twice_u(double x) { return 1.5957691216057308 * (x + 0.044715 * x * x * x); }
static double gelu_tanh(double x) { return x * sigmoid(gelu_twice_u(x)); }
static double normal_cdf(double x) { return 0.5 * erfc(x * -0.70710678118654752440); }

// Largest error over x; where want is too large for a float, got must be infinite.  A sigmoid's e^-v overflows below
// v = -87: there it is held to an absolute error of 2^-127, silu and gelu_tanh to |x| times that.  gelu_tanh's v = 2u
// is a rounded number and e^v multiplies its error by |v|: below v = 0 a bound is one of error / (1 + |v|).
static double worst_error(const float *x, const float *got, int n, Truth *truth)
{
    double worst = 0;
    for (int i = 0; i < n; i++) {
        const double at = (double)x[i], want = truth(at);
        const bool nan = isnan(at) || isnan(want);
        if (nan != isnan(got[i])) return INFINITY;
        if (nan || (want > (double)FLT_MAX && isinf(got[i]))) continue;
        const double v = truth == gelu_tanh ? gelu_twice_u(at) : truth == sigmoid || truth == silu ? at : 0;
        if (v <= -87 && fabs((double)got[i] - want) <= 0x1p-127 * (truth == sigmoid ? 1 : fabs(at))) continue;
        worst = fmax(worst, ulps(got[i], want) / (truth == gelu_tanh && v < 0 ? 1 - v : 1));
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
KERNEL(randn, fwd);
KERNEL(diffuse, fwd);
KERNEL(dropout, fwd);
KERNEL(dropout, bwd);
#include "cpu_simd/random.inl"

__attribute__((noinline)) static void map_avx2(const float *x, float *y, int n, int which)
{
    for (int i = 0; i < n; i += VW) {
        const vf v = vload_n(x + i, n - i);
        vf r;
        if (which == 0) r = vexp(v);
        else if (which == 1) r = vsigmoid(v);
        else if (which == 2) r = vtanh(v);
        else if (which == 3) r = vsoftplus(v);
        else if (which == 4) r = vexp2_to127(vmin(vset1(127.0f), v));   // in this operand order a NaN passes
        else if (which == 5) r = vsilu(v);
        else if (which == 6) r = vgelu_tanh(v);
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

// Bits of all 2^24 radii and angles, those of zeros too.
__attribute__((noinline)) static void test_normals(TestLog *log)
{
    enum { n = VECTORS_MAX };
    int64_t other = 0;
    for (uint32_t at = 0; at < 1u << 24; at += n * VW) {
        uint32_t d[n][VW];
        float radius[n][VW], sine[n][VW], cosine[n][VW];
        vi draw[n], q[n];
        vf r[n], s[n], c[n];
        for (uint32_t i = 0; i < n * VW; i++) d[i / VW][i % VW] = (at + i) << 8 | (at >> 5 & 0xFF);
        memcpy(draw, d, sizeof d);
        EACH r[k] = vi_unit(draw[k]);
        v_radius2(r, n);
        v_sincos(draw, q, s, c, n);
        EACH {
            vstore(radius[k], vsqrt(r[k]));
            vstore(sine[k], vmul(vi_flip(q[k], vset1(1)), s[k]));
            vstore(cosine[k], vmul(vi_flip(q[k], vset1(1)), c[k]));
        }
        for (int i = 0; i < n * VW; i++) {
            const int k = i / VW, l = i % VW;
            const float want = sqrtf(-2.0f * philox_log(philox_unit(d[k][l])));
            float ws, wc;
            philox_sincos(d[k][l] >> 8, &ws, &wc);
            other += memcmp(&want, &radius[k][l], 4) != 0 || memcmp(&ws, &sine[k][l], 4) != 0 ||
                     memcmp(&wc, &cosine[k][l], 4) != 0;
        }
    }
    TEST(log, other == 0, "%lld of 2^24 radii and angles have other bits", (long long)other);
}
#pragma GCC pop_options

static void test_functions(TestLog *log, const float *x, float *y)
{
    static const struct { const char *name; Truth *truth; double bound; } fn[] = {
        {"vexp", exp, 1.1}, {"vsigmoid", sigmoid, 2.6}, {"vtanh", tanh, 1.5},
        {"vsoftplus", softplus, 2.5}, {"vexp2_to127", exp2_to127, 1.1}, {"vsilu", silu, 2.6},
        {"vgelu_tanh", gelu_tanh, 2.6}, {"vnormal_cdfs", normal_cdf, 6.0}};
    for (int f = 0; f < 8; f++) {
        map_avx2(x, y, INPUTS, f);
        expect_bound(log, fn[f].name, worst_error(x, y, INPUTS, fn[f].truth), fn[f].bound);
    }
    test_heads(log);
    test_normals(log);
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
                                                                        {OP_softplus, softplus, 2.5},
                                                                        {OP_silu, silu, 2.6},
                                                                        {OP_gelu_tanh, gelu_tanh, 2.6}};
    Tensor in = {.shape = SHAPE(INPUTS), .x = x, .dev = dev}, out = {.shape = SHAPE(INPUTS), .x = y, .dev = dev};
    for (int f = 0; f < 5; f++) {
        dev->fwd[fn[f].op](&(OpCall){.op = fn[f].op, .n_in = 1, .n_out = 1, .in = {&in}, .out = {&out}});
        char what[64];
        snprintf(what, sizeof what, "%s of %s", op_info(fn[f].op)->name, dev->name);
        expect_bound(log, what, worst_error(x, y, INPUTS, fn[f].truth), fn[f].bound);
    }
}

// Odd lengths, first rows and offsets up to the carry out of the counter's low word.
static void test_randn(TestLog *log, const Device *ref, const Device *dev, Arena *mem)
{
    const size_t mark = arena_mark(mem);
    float *want = arena_alloc(mem, 4000 * sizeof *want), *got = arena_alloc(mem, 4000 * sizeof *got);
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
    const RandnParams p = {.at = {.seed = 5, .site = 3}};   // 1/16 of all radii and angles
    const int64_t n = 1 << 21;
    Tensor a = {.shape = SHAPE(1, n), .x = arena_alloc(mem, 4 * (size_t)n), .dev = ref};
    Tensor b = {.shape = SHAPE(1, n), .x = arena_alloc(mem, 4 * (size_t)n), .dev = dev};
    ref->fwd[OP_randn](&(OpCall){.op = OP_randn, .n_out = 1, .out = {&a}, .p = &p});
    dev->fwd[OP_randn](&(OpCall){.op = OP_randn, .n_out = 1, .out = {&b}, .p = &p});
    TEST(log, memcmp(a.x, b.x, tensor_bytes(&a)) == 0, "%s: other bits among %d normals", dev->name, (int)n);
    arena_rewind(mem, mark);
}

// ---- zeros, denormals, the largest, infinities, NaN

// In each row either one value is special, or all are.  A variant's result must be of the plain kernel's kind: NaN
// where that is NaN, the same infinity, and else near it for the size of its row.
enum { SPECIALS = 24, ROWS = 2 * SPECIALS, WIDTH = 40, MOST = ROWS * WIDTH };

static const float special[SPECIALS] = {
    0, -0.0f, 1e-45f, -1e-45f, 1.1e-38f, -1.1e-38f, FLT_MIN, 1e-30f, -1e-30f, 1e-12f, -17, 17, -60, 60, -88, 89, -104,
    3e4f, -1e15f, 1e30f, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY};

// least: size of a row at least, where small values are differences of larger ones, or sigmoids that may become 0.
typedef struct SpecialOp { OpId op; int n_in, n_out; const void *p; float least; } SpecialOp;

// y and dx of one op on one device; x with NaN in place of the last special value where `nan`.
static void run_special(const Device *dev, SpecialOp o, bool nan, Arena *mem, float *y, float *dx)
{
    Tensor t[6];
    const bool affine = o.op == OP_adagn || o.op == OP_film, image = affine || o.op == OP_group_norm;
    const bool pair = o.op == OP_add || o.op == OP_mul;
    const Shape rows = image ? SHAPE(ROWS, 2, WIDTH / 2) : SHAPE(ROWS, WIDTH), last = SHAPE(rows.d[rows.n - 1]);
    const Shape saved = image ? SHAPE(ROWS, 5) : SHAPE(ROWS);
    for (int i = 0; i < 6; i++) {
        t[i] = (Tensor){.shape = i % 3 == 0 || (i == 1 && pair) ? rows : i < 3 ? last : saved, .dev = dev};
        if (i == 1 && affine) t[i].shape = SHAPE(ROWS, WIDTH);
        t[i].x = arena_zalloc(mem, tensor_bytes(&t[i]));
        t[i].g = arena_zalloc(mem, tensor_bytes(&t[i]));
    }
    float *x = t[0].x, *dy = t[3].g;
    for (int i = 0; i < MOST; i++) {
        const int r = i / WIDTH, k = r % SPECIALS;
        const float v = nan && k == SPECIALS - 1 ? NAN : special[k];
        x[i] = r >= SPECIALS || i % WIDTH == (7 * r + 3) % WIDTH ? v : sinf((float)i);
        dy[i] = cosf((float)i);
    }
    float *second = t[1].x;   // of a pair: special values meet others
    for (int64_t i = 0; i < numel(&t[1]); i++)
        second[i] = pair ? x[(i + 5 * WIDTH + 1) % MOST] : 1 + 0.01f * (float)(i % WIDTH);
    const OpCall c = {.op = o.op, .n_in = o.n_in, .n_out = o.n_out, .in = {&t[0], &t[1], &t[2]},
                      .out = {&t[3], &t[4], &t[5]}, .p = o.p, .scratch = mem};
    dev->fwd[o.op](&c);
    dev->bwd[o.op](&c);
    memcpy(y, t[3].x, MOST * sizeof *y);
    memcpy(dx, t[0].g, MOST * sizeof *dx);
}

// The first value of another kind, or -1.  A row that is 1e15 everywhere has a variance of roundings alone.
static int other_kind(SpecialOp o, const float *want, const float *got)
{
    for (int r = 0; r < ROWS; r++) {
        const float v = special[r % SPECIALS];
        if (o.n_out > 1 && r >= SPECIALS && isfinite(v) && fabsf(v) > 1e3f) continue;
        float size = o.least;
        for (int i = r * WIDTH; i < (r + 1) * WIDTH; i++)
            if (isfinite(want[i])) size = fmaxf(size, fabsf(want[i]));
        for (int i = r * WIDTH; i < (r + 1) * WIDTH; i++) {
            if (isnan(want[i]) ? isnan(got[i]) : isinf(want[i]) ? got[i] == want[i] : false) continue;
            if (!(isfinite(want[i]) && fabsf(got[i] - want[i]) <= 1e-5f * size)) return i;
        }
    }
    return -1;
}

static void test_special(TestLog *log, const Device *ref, const Device *dev, Arena *mem)
{
    static const ScaleParams scale = {-2, 0.5};
    static const FilmParams film = {false}, film_silu = {true};
    static const LayerNormParams ln = {1e-5};
    static const GroupNormParams gn = {5, false, 1e-5}, gn_silu = {5, true, 1e-5};
    static const SpecialOp ops[] = {
        {OP_relu, 1, 1, NULL, 1e-31f}, {OP_silu, 1, 1, NULL, 1e-31f}, {OP_gelu_tanh, 1, 1, NULL, 1e-31f},
        {OP_gelu_erf, 1, 1, NULL, 1e-31f}, {OP_sigmoid, 1, 1, NULL, 1e-31f}, {OP_tanh, 1, 1, NULL, 1e-31f},
        {OP_softplus, 1, 1, NULL, 1e-31f}, {OP_scale, 1, 1, &scale, 1e-31f}, {OP_softmax, 1, 1, NULL, 0.1f},
        {OP_layer_norm, 3, 3, &ln, 1e-10f}, {OP_group_norm, 3, 3, &gn, 1e-10f},
        {OP_group_norm, 3, 3, &gn_silu, 1e-10f}, {OP_adagn, 2, 3, &gn, 1e-10f}, {OP_adagn, 2, 3, &gn_silu, 1e-10f},
        {OP_film, 2, 1, &film, 1e-31f}, {OP_film, 2, 1, &film_silu, 1e-31f}, {OP_add, 2, 1, NULL, 1e-44f},
        {OP_mul, 2, 1, NULL, 1e-44f}};
    float *v = arena_alloc(mem, 4 * MOST * sizeof *v);
    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
        for (int nan = 0; nan < 2; nan++) {
            const size_t mark = arena_mark(mem);
            run_special(ref, ops[o], nan, mem, v, v + MOST);
            run_special(dev, ops[o], nan, mem, v + 2 * MOST, v + 3 * MOST);
            for (int b = 0; b < 2; b++) {
                const float *want = v + b * MOST, *got = want + 2 * MOST;
                const int i = other_kind(ops[o], want, got);
                TEST(log, i < 0, "%s %s of %s: row of %g, place %d: want %g, got %g", op_info(ops[o].op)->name,
                     b ? "backward" : "forward", dev->name, (double)(nan && i / WIDTH % SPECIALS == SPECIALS - 1 ? NAN
                     : special[i / WIDTH % SPECIALS]), i, (double)want[i < 0 ? 0 : i], (double)got[i < 0 ? 0 : i]);
            }
            arena_rewind(mem, mark);
        }
}

// Only values beyond the limit change: not a bit of zeros and denormals, and NaN stays.
static void test_clamp(TestLog *log, const Device *dev)
{
    static const ClampParams p = {3};
    enum { n = SPECIALS + 1 };
    float x[n], y[n];
    memcpy(x, special, sizeof special);
    x[SPECIALS] = NAN;
    Tensor in = {.shape = SHAPE(n), .x = x, .dev = dev}, out = {.shape = SHAPE(n), .x = y, .dev = dev};
    dev->fwd[OP_clamp](&(OpCall){.op = OP_clamp, .n_in = 1, .n_out = 1, .in = {&in}, .out = {&out}, .p = &p});
    for (int i = 0; i < n; i++) {
        const float want = fabsf(x[i]) > 3 ? copysignf(3, x[i]) : x[i];
        TEST(log, memcmp(&y[i], &want, sizeof want) == 0, "clamp of %g on %s: %g", (double)x[i], dev->name,
             (double)y[i]);
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
    test_clamp(log, &ref);
    for (Isa i = ISA_AVX2; i <= isa; i++) {
        const Device dev = device_cpu_f32(i);
        test_kernels(log, &dev, x, y);
        all_exponents(x);
        test_special(log, &ref, &dev, mem);
        test_clamp(log, &dev);
        test_randn(log, &ref, &dev, mem);
    }
    arena_delete(mem);
}
