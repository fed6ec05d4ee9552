// Speed of the products and convolutions, forward and each gradient, at the shapes of LEAD and GPT-2.
//   bench_ops [--threads 1,2] [--reps 9] [--tsv FILE] [--scalar] [op ...]
// For each shape all variants run in turn, round after round (a busy machine then slows all of them alike); reported is
// the median.  One thread: CPU time of the thread, so that other processes disturb little; several: wall time.
//   GFLOP/s        2 x multiply-adds, the row's formula; a gradient (dx or dw) counts like the forward pass
//   GB/s           operands read once, result written once (gradients: also read, since they are added to)
//   % of ceiling   of the fused multiply-add rate measured in the same round, by the variant's instruction set
//   x scalar       times as fast as the plain reference kernel (--scalar: measured, few repetitions)
// Every variant's numbers are checked: <y,dy> = <x,dx> = <w,dw> (exact arithmetic; no bias), sums in double.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/rival.h"
#include "tensor/device.h"

typedef struct BenchShape {
    OpId op;
    const char *label;
    Shape x, w, y;
    Conv2dParams conv;
    MatmulParams matmul;
} BenchShape;

typedef enum Pass { FWD, DX, DW, PASSES } Pass;
static const char *const pass_names[PASSES] = {"fwd", "dx", "dw"};
typedef enum Variant { SCALAR, AVX2, AVX512, RIVAL, VARIANTS } Variant;

typedef struct Bench {
    Device dev[3];            // by Isa
    Isa have;
    Rival rival;
    Arena *mem, *scratch;
    int reps, threads;
    bool scalar;
    FILE *tsv;
} Bench;

// ---- ceiling

#if defined(__x86_64__)
#define FMA_Z(i) "vfmadd231ps %%zmm30,%%zmm31,%%zmm" #i "\n"
#define FMA_Y(i) "vfmadd231ps %%ymm14,%%ymm15,%%ymm" #i "\n"

// n rounds of independent fused multiply-adds (24 of 16 lanes, 12 of 8): enough to hide their latency.
static void fma_loop(Isa isa, long n)
{
    if (isa == ISA_AVX512)
        __asm__ volatile("vxorps %%zmm30,%%zmm30,%%zmm30\nvxorps %%zmm31,%%zmm31,%%zmm31\n1:\n"
                         FMA_Z(0) FMA_Z(1) FMA_Z(2) FMA_Z(3) FMA_Z(4) FMA_Z(5) FMA_Z(6) FMA_Z(7)
                         FMA_Z(8) FMA_Z(9) FMA_Z(10) FMA_Z(11) FMA_Z(12) FMA_Z(13) FMA_Z(14) FMA_Z(15)
                         FMA_Z(16) FMA_Z(17) FMA_Z(18) FMA_Z(19) FMA_Z(20) FMA_Z(21) FMA_Z(22) FMA_Z(23)
                         "dec %0\njnz 1b\nvzeroupper\n" : "+r"(n)::"cc", "memory");
    else
        __asm__ volatile("vxorps %%ymm14,%%ymm14,%%ymm14\nvxorps %%ymm15,%%ymm15,%%ymm15\n1:\n"
                         FMA_Y(0) FMA_Y(1) FMA_Y(2) FMA_Y(3) FMA_Y(4) FMA_Y(5)
                         FMA_Y(6) FMA_Y(7) FMA_Y(8) FMA_Y(9) FMA_Y(10) FMA_Y(11)
                         "dec %0\njnz 1b\nvzeroupper\n" : "+r"(n)::"cc", "memory");
}
#endif

static double now_s(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// GFLOP/s of all threads together.
static double fma_peak(Isa isa, int threads)
{
#if defined(__x86_64__)
    const long n = isa == ISA_AVX512 ? 100000 : 200000;
    const double start = now_s(threads);
#pragma omp parallel num_threads(threads)
    fma_loop(isa, n);
    return (double)threads * (double)n * (isa == ISA_AVX512 ? 24 * 32 : 12 * 16) / (now_s(threads) - start) * 1e-9;
#else
    (void)isa, (void)threads;
    return NAN;
#endif
}

// ---- one call

typedef struct Problem {
    const BenchShape *s;
    Tensor x, w, y;
    float *dx, *dw;
    OpCall call;
} Problem;

static float *numbers(Arena *a, Shape s, uint32_t seed)
{
    const int64_t n = shape_numel(s);
    float *v = arena_alloc(a, (size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    return v;
}

static Problem *problem_new(Arena *a, Arena *scratch, const BenchShape *s)
{
    Problem *p = arena_zalloc(a, sizeof *p);
    p->s = s;
    p->x = (Tensor){.shape = s->x, .x = numbers(a, s->x, 1)};
    p->w = (Tensor){.shape = s->w, .x = numbers(a, s->w, 2)};
    p->y = (Tensor){.shape = s->y, .x = numbers(a, s->y, 3), .g = numbers(a, s->y, 4)};
    p->dx = numbers(a, s->x, 5);
    p->dw = numbers(a, s->w, 6);
    p->call = (OpCall){.op = s->op, .n_in = 2, .n_out = 1, .in = {&p->x, &p->w}, .out = {&p->y}, .scratch = scratch,
                       .p = s->op == OP_conv2d ? (const void *)&s->conv : &s->matmul};
    return p;
}

static void call_device(Problem *p, const Device *dev, Pass pass)
{
    p->x.g = pass == DX ? p->dx : NULL;
    p->w.g = pass == DW ? p->dw : NULL;
    (pass == FWD ? dev->fwd : dev->bwd)[p->s->op](&p->call);
}

static void call_rival(Problem *p, const Rival *r, Pass pass)
{
    const MatmulParams *t = &p->s->matmul;
    const int64_t *x = p->s->x.d, *w = p->s->w.d;
    const int K = (int)x[t->trans_a ? 0 : 1], M = (int)x[t->trans_a ? 1 : 0], N = (int)w[t->trans_b ? 0 : 1];
    const int ta = t->trans_a ? CBLAS_TRANS : CBLAS_NO_TRANS, tb = t->trans_b ? CBLAS_TRANS : CBLAS_NO_TRANS;
    if (pass == FWD)
        r->sgemm(CBLAS_ROW_MAJOR, ta, tb, M, N, K, 1, p->x.x, (int)x[1], p->w.x, (int)w[1], 0, p->y.x, N);
    else if (pass == DX)   // dX += dY W^T
        r->sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, t->trans_b ? CBLAS_NO_TRANS : CBLAS_TRANS, M, K, N, 1, p->y.g, N,
                 p->w.x, (int)w[1], 1, p->dx, K);
    else if (t->trans_b)   // dW [N,K] += dY^T X
        r->sgemm(CBLAS_ROW_MAJOR, CBLAS_TRANS, CBLAS_NO_TRANS, N, K, M, 1, p->y.g, N, p->x.x, K, 1, p->dw, K);
    else                   // dW [K,N] += X^T dY
        r->sgemm(CBLAS_ROW_MAJOR, CBLAS_TRANS, CBLAS_NO_TRANS, K, N, M, 1, p->x.x, K, p->y.g, N, 1, p->dw, N);
}

static void call_variant(const Bench *b, Problem *p, Variant v, Pass pass)
{
    const size_t mark = arena_mark(b->scratch);
    if (v == RIVAL) call_rival(p, &b->rival, pass);
    else call_device(p, &b->dev[v], pass);
    arena_rewind(b->scratch, mark);
}

static bool runs(const Bench *b, const BenchShape *s, Variant v)
{
    if (v == RIVAL) return b->rival.sgemm && s->op != OP_conv2d && s->x.n == 2 && !s->matmul.trans_a;
    if (v == SCALAR) return b->scalar;
    return (Isa)v <= b->have;
}

// ---- check

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

// Largest difference of the three inner products, relative to the root of the number of terms.
static double adjoint_error(const Bench *b, Problem *p, Variant v)
{
    const int64_t nx = numel(&p->x), nw = numel(&p->w), ny = numel(&p->y);
    memset(p->dx, 0, (size_t)nx * sizeof(float));
    memset(p->dw, 0, (size_t)nw * sizeof(float));
    memset(p->y.x, 0x7f, (size_t)ny * sizeof(float));
    for (Pass pass = FWD; pass < PASSES; pass++) call_variant(b, p, v, pass);
    const double y = dot(p->y.x, p->y.g, ny), dx = dot(p->x.x, p->dx, nx), dw = dot(p->w.x, p->dw, nw);
    return (fabs(y - dx) + fabs(y - dw)) / sqrt((double)ny);
}

// ---- measurement

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

static double call_bytes(const Problem *p, Pass pass)
{
    const double x = (double)numel(&p->x), w = (double)numel(&p->w), y = (double)numel(&p->y);
    return 4 * (x + w + y + (pass == DX ? x : pass == DW ? w : 0));
}

static void measure_pass(const Bench *b, Problem *p, Pass pass)
{
    enum { MAX_REPS = 101 };
    double time[VARIANTS][MAX_REPS], peak[VARIANTS][MAX_REPS];
    const double flops = op_flops(&p->call);
    const int inner = 1 + (int)(1e8 * b->threads / flops);
    int reps[VARIANTS] = {0};
    for (int r = 0; r < b->reps; r++)
        for (Variant v = SCALAR; v < VARIANTS; v++) {
            if (!runs(b, p->s, v) || (v == SCALAR && r > 2)) continue;
            const Isa isa = v == RIVAL ? b->have : v == SCALAR ? ISA_AVX2 : (Isa)v;
            const int n = v == SCALAR ? 1 : inner;
            if (v == RIVAL && b->rival.set_threads) b->rival.set_threads(b->threads);
            peak[v][r] = fma_peak(isa, b->threads);
            if (r == 0) call_variant(b, p, v, pass);
            const double start = now_s(b->threads);
            for (int i = 0; i < n; i++) call_variant(b, p, v, pass);
            time[v][r] = (now_s(b->threads) - start) / n;
            reps[v]++;
        }
    double mid[VARIANTS] = {0};
    for (Variant v = SCALAR; v < VARIANTS; v++)
        if (reps[v]) mid[v] = median(time[v], reps[v]);
    printf("%-8s %-34s %-3s", op_info(p->s->op)->name, p->s->label, pass_names[pass]);
    for (Variant v = SCALAR; v < VARIANTS; v++) {
        if (!reps[v]) continue;
        const char *name = v == RIVAL ? b->rival.name : isa_name((Isa)v);
        const double gflops = flops / mid[v] * 1e-9, ceiling = gflops / median(peak[v], reps[v]);
        printf("  %s %7.1f us %6.1f (%3.0f%%)", v == RIVAL ? "openblas" : name, mid[v] * 1e6, gflops, 100 * ceiling);
        if (!b->tsv) continue;
        fprintf(b->tsv, "%s_%s\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t", op_info(p->s->op)->name, pass_names[pass], name,
                p->s->label, b->threads, mid[v] * 1e6, gflops, call_bytes(p, pass) / mid[v] * 1e-9, 100 * ceiling);
        fprintf(b->tsv, reps[SCALAR] ? "%.2f\n" : "NA\n", mid[SCALAR] / mid[v]);
    }
    if (reps[RIVAL] && reps[b->have]) printf("  x openblas %.2f", mid[RIVAL] / mid[b->have]);
    printf("\n");
    fflush(stdout);
}

static bool measure_shape(Bench *b, const BenchShape *s)
{
    const size_t mark = arena_mark(b->mem);
    Problem *p = problem_new(b->mem, b->scratch, s);
    bool good = true;
    for (Variant v = AVX2; v < VARIANTS; v++) {
        if (!runs(b, s, v)) continue;
        const double err = adjoint_error(b, p, v);
        if (err < 1e-3) continue;
        fprintf(stderr, "bench_ops: %s: variant %d: gradients and values disagree by %g\n", s->label, (int)v, err);
        good = false;
    }
    for (Pass pass = FWD; pass < PASSES; pass++) measure_pass(b, p, pass);
    arena_rewind(b->mem, mark);
    return good;
}

// ---- shapes

#define LINEAR(M, K, N, why) {.op = OP_linear, .label = #M "x" #K "->" #N " " why, .x = SHAPE(M, K), .w = SHAPE(K, N), \
                              .y = SHAPE(M, N)}
#define CONV(n, h, c, k, o, s, p, why) {.op = OP_conv2d,                                                               \
    .label = #n "x" #h "x" #h " C" #c " k" #k " O" #o " s" #s " " why,                                                \
    .x = SHAPE(n, h, h, c), .w = SHAPE(k, k, c, o), .conv = {s, p},                                                   \
    .y = SHAPE(n, (h + 2 * p - k) / s + 1, (h + 2 * p - k) / s + 1, o)}
#define MATMUL(m, k, n) {.op = OP_matmul, .label = #m "x" #k "x" #n, .x = SHAPE(m, k), .w = SHAPE(k, n), \
                         .y = SHAPE(m, n), .matmul = {.alpha = 1}}

static int run_all(Bench *b, const char *const *ops, int n_ops)
{
    const BenchShape shapes[] = {
        MATMUL(512, 512, 512), MATMUL(1024, 1024, 1024),
        {.op = OP_matmul, .label = "64x768x50257 NT lm-head", .x = SHAPE(64, 768), .w = SHAPE(50257, 768),
         .y = SHAPE(64, 50257), .matmul = {.trans_b = true, .alpha = 1}},
        {.op = OP_matmul, .label = "96 x 64x64x64 NT scores", .x = SHAPE(96, 64, 64), .w = SHAPE(96, 64, 64),
         .y = SHAPE(96, 64, 64), .matmul = {.trans_b = true, .alpha = 1}},
        LINEAR(64, 768, 768, "GPT-2"), LINEAR(64, 768, 2304, "GPT-2"), LINEAR(64, 768, 3072, "GPT-2"),
        LINEAR(64, 3072, 768, "GPT-2"), LINEAR(512, 768, 2304, "GPT-2"), LINEAR(512, 768, 3072, "GPT-2"),
        LINEAR(512, 3072, 768, "GPT-2"), LINEAR(512, 768, 128, "adapter"), LINEAR(512, 128, 768, "adapter"),
        LINEAR(1, 768, 3072, "decode"), LINEAR(16, 512, 512, "small"), LINEAR(32, 64, 64, "small"),
        LINEAR(64, 128, 128, "small"), LINEAR(4608, 128, 128, "pixels"), LINEAR(1152, 256, 256, "pixels"),
        LINEAR(288, 512, 512, "pixels"),
        CONV(32, 12, 128, 3, 128, 1, 1, "U-Net"), CONV(32, 12, 256, 3, 128, 1, 1, "U-Net"),
        CONV(32, 6, 256, 3, 256, 1, 1, "U-Net"), CONV(32, 3, 512, 3, 512, 1, 1, "U-Net"),
        CONV(8, 23, 128, 3, 128, 1, 1, "U-Net"), CONV(32, 12, 32, 3, 32, 1, 1, "encoder"),
        CONV(32, 12, 64, 3, 64, 1, 1, "encoder"), CONV(32, 12, 3, 3, 32, 1, 1, "stem"),
        CONV(32, 12, 3, 5, 32, 1, 2, "stem"), CONV(8, 23, 3, 7, 32, 1, 3, "stem"),
        CONV(32, 12, 40, 3, 128, 1, 1, "first"), CONV(32, 12, 128, 3, 256, 2, 1, "down"),
        CONV(32, 12, 128, 3, 3, 1, 1, "last"), CONV(32, 12, 256, 1, 128, 1, 0, "1x1"),
    };
    bool good = true;
    int done = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bool wanted = n_ops == 0;
        for (int j = 0; j < n_ops; j++) wanted |= strcmp(ops[j], op_info(shapes[i].op)->name) == 0;
        if (!wanted) continue;
        good &= measure_shape(b, &shapes[i]);
        done++;
    }
    if (done == 0) fprintf(stderr, "bench_ops: no shape of these ops; there are matmul, linear, conv2d\n");
    return good && done ? 0 : 1;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_ops [--threads 1,2] [--reps 1..101] [--tsv FILE] [--scalar] "
                    "[matmul|linear|conv2d ...]\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (!getenv("OMP_PROC_BIND")) {   // read before main: set it and start again
        setenv("OMP_PROC_BIND", "true", 1);
        setenv("GOMP_SPINCOUNT", "20000", 0);   // spin through the gap between two calls, not beside the rival
        execv("/proc/self/exe", argv);
    }
    Bench b = {.reps = 9};
    const char *threads = "1,2", *tsv = NULL;
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; first++) {
        const bool more = first + 1 < argc;
        if (strcmp(argv[first], "--scalar") == 0) b.scalar = true;
        else if (strcmp(argv[first], "--threads") == 0 && more) threads = argv[++first];
        else if (strcmp(argv[first], "--reps") == 0 && more) b.reps = atoi(argv[++first]);
        else if (strcmp(argv[first], "--tsv") == 0 && more) tsv = argv[++first];
        else return usage();
    }
    if (b.reps < 1 || b.reps > 101) return usage();
    b.have = isa_detect();
    for (Isa isa = ISA_SCALAR; isa <= b.have; isa++) b.dev[isa] = device_cpu_f32(isa);
    b.rival = rival_load(b.have == ISA_AVX512, omp_get_num_procs());
    b.mem = arena_new("bench", (size_t)4 << 30, NULL);
    b.scratch = arena_new("scratch", (size_t)4 << 30, NULL);
    CHECK(b.mem && b.scratch, "bench_ops: no memory");
    if (tsv && !(b.tsv = fopen(tsv, "w"))) {
        perror(tsv);
        return 1;
    }
    if (b.tsv) fprintf(b.tsv, "op\tvariant\tshape\tthreads\ttime_us\tgflops\tgbps\tpct_ceiling\tx_scalar\n");
    int rc = 0;
    for (const char *t = threads; *t; t += strcspn(t, ","), t += *t == ',') {
        b.threads = atoi(t);
        if (b.threads < 1 || b.threads > omp_get_num_procs()) return usage();
        omp_set_num_threads(b.threads);
        double peak[2][15];
        for (int i = 0; i < 15; i++)
            for (Isa isa = ISA_AVX2; isa <= ISA_AVX512; isa++)
                peak[isa - 1][i] = isa <= b.have ? fma_peak(isa, b.threads) : NAN;
        printf("threads %d: FMA ceiling avx2 %.1f, avx512 %.1f GFLOP/s; rival: %s\n", b.threads, median(peak[0], 15),
               median(peak[1], 15), b.rival.sgemm ? b.rival.name : "none (libopenblas.so.0 not found)");
        rc |= run_all(&b, (const char *const *)argv + first, argc - first);
    }
    if (b.tsv && fclose(b.tsv) != 0) rc = 1;
    return rc;
}
