// Frozen matrices in panels (tensor/pack.h): products give the bits of plain rows, values go in and out as before, what
// is written changes the results, and what cannot be packed stays in rows.
// The same matrices in bf16: values are the rounded ones, products within the bound of tensor/pack.h.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "llm/generate.h"
#include "tensor/pack.h"
#include "tests/emulate/emulated.h"
#include "tests/pack_world.h"
#include "tests/test.h"

static void test_bits(TestLog *log, World *w, const Device *dev, int64_t K, int64_t N)
{
    static const int64_t rows[] = {1, 2, 4, 5, 13, 16, 48, 64};
    const size_t mark = arena_mark(w->perm);
    Tensor *plain = tensor_new(w->perm, dev, REAL, SHAPE(K, N), "plain"), packed = *plain;
    fill(plain->x, K * N, 4);
    packed.x = arena_alloc(w->perm, tensor_bytes(plain));
    memcpy(packed.x, plain->x, tensor_bytes(plain));
    tensor_pack(&packed, w->perm);
    TEST(log, (packed.layout == LAYOUT_PANELS) == (N % PANEL == 0 && dev->isa >= ISA_AVX2),
         "%s: [%lld,%lld] has layout %d", dev->name, (long long)K, (long long)N, (int)packed.layout);
    float *a = arena_alloc(w->perm, (size_t)(64 * (N + K)) * sizeof *a),
          *b = arena_alloc(w->perm, (size_t)(64 * (N + K)) * sizeof *b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            omp_set_num_threads(threads);
            const int64_t n = product(w, plain, rows[i], i % 2, a);
            product(w, &packed, rows[i], i % 2, b);
            TEST(log, memcmp(a, b, (size_t)n * sizeof *a) == 0,
                 "%s: %lld rows, [%lld,%lld], %d threads: other bits when packed", dev->name, (long long)rows[i],
                 (long long)K, (long long)N, threads);
        }
    arena_rewind(w->perm, mark);
}

// A packed parameter: its hash and its values are those of the rows, and new values are what the next product uses.
static void test_values(TestLog *log, World *w, const Device *dev)
{
    const int64_t K = 37, N = 64;
    ParamSet ps;
    paramset_init(&ps, w->perm, dev, 7, true);
    Tensor *p = param_add(&ps, "", "w", SHAPE(K, N), (Init){INIT_NORMAL, 1}, PARAM_FROZEN);
    float *x = arena_alloc(w->perm, tensor_bytes(p)), *y = arena_alloc(w->perm, tensor_bytes(p));
    float *before = arena_alloc(w->perm, (size_t)(4 * (N + K)) * sizeof *before),
          *after = arena_alloc(w->perm, (size_t)(4 * (N + K)) * sizeof *after);
    tensor_get_f32(p, x, K * N);
    const char *hash = paramset_frozen_hash(&ps, w->perm);
    tensor_pack(p, w->perm);
    tensor_get_f32(p, y, K * N);
    TEST(log, memcmp(x, y, tensor_bytes(p)) == 0, "%s: other values after packing", dev->name);
    TEST(log, strcmp(hash, paramset_frozen_hash(&ps, w->perm)) == 0, "%s: another hash after packing", dev->name);
    const int64_t n = product(w, p, 4, false, before);
    fill(y, K * N, 8);
    tensor_set_f32(p, y, K * N);
    product(w, p, 4, false, after);
    Tensor *fresh = tensor_new(w->perm, dev, REAL, SHAPE(K, N), "fresh");
    tensor_set_f32(fresh, y, K * N);
    TEST(log, memcmp(before, after, (size_t)n * sizeof *before) != 0, "%s: new weights, old results", dev->name);
    product(w, fresh, 4, false, before);
    TEST(log, memcmp(before, after, (size_t)n * sizeof *before) == 0,
         "%s: set through panels: other results than from rows", dev->name);
    double *wide = arena_alloc(w->perm, (size_t)(K * N) * sizeof *wide);
    tensor_get_f64(p, wide, K * N);
    TEST(log, wide[N + 33] == (double)y[N + 33], "%s: f64 value %g, want %g", dev->name, wide[N + 33],
         (double)y[N + 33]);
    wide[N + 33] = 2.5;
    tensor_set_f64(p, wide, K * N);
    tensor_get_f32(p, x, K * N);
    TEST(log, x[N + 33] == 2.5f && x[N + 34] == y[N + 34], "%s: set from f64: %g", dev->name, (double)x[N + 33]);
}

// ---- bf16

static float rounded(float x) { return bf16_to_f32(f32_to_bf16(x)); }

static bool rounds_x(const Device *dev)   // multiplies pairs of bf16
{
#if defined(__x86_64__)
    return dev->fwd[OP_linear] == linear_fwd_avx512bf16;
#else
    (void)dev;
    return false;
#endif
}

static void bf16_product(World *w, Tensor *weight, int64_t M, bool gelu, float *y)
{
    Tape *t = &w->t;
    const int64_t K = weight->shape.d[0], N = weight->shape.d[1];
    Tensor *x = tape_tensor(t, SHAPE(M, K)), *b = tape_tensor(t, SHAPE(N));
    fill(x->x, M * K, 1);
    fill(b->x, N, 2);
    Tensor *out = gelu ? tape_linear_gelu(t, x, weight, b) : tape_linear(t, x, weight, b);
    tensor_get_f32(out, y, M * N);
    tape_reset(t);
}

// Largest error of y over its bound: [0] against sums of the rounded values in double, [1] against the unrounded ones.
// both: x is rounded too.
// Measured, [37,75] and [128,288]: [0] 0.06 and 0.02 with AVX512-BF16, 0.09 and 0.03 without; [1] 0.31 and 0.16, 0.37
// and 0.26.
static void bf16_errors(World *w, bool both, const float *weight, const float *y, int64_t M, int64_t K, int64_t N,
                        double worst[2])
{
    const double u = 0x1p-8, of_rounding = both ? 2 * u + u * u : u, of_sum = (double)(K + 2) * 0x1p-24;
    float *x = arena_alloc(w->scratch, (size_t)(M * K) * sizeof *x);
    float *b = arena_alloc(w->scratch, (size_t)N * sizeof *b);
    fill(x, M * K, 1);
    fill(b, N, 2);
    worst[0] = worst[1] = 0;
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            double near = (double)b[n], plain = near, size = fabs(near);
            for (int64_t k = 0; k < K; k++) {
                const double v = (double)x[m * K + k], z = (double)weight[k * N + n];
                near += (both ? (double)rounded(x[m * K + k]) : v) * (double)rounded(weight[k * N + n]);
                plain += v * z;
                size += fabs(v * z);
            }
            const double e[2] = {fabs((double)y[m * N + n] - near) / (1.01 * of_sum * size),
                                 fabs((double)y[m * N + n] - plain) / ((of_rounding + 1.01 * of_sum) * size)};
            for (int i = 0; i < 2; i++) worst[i] = e[i] <= worst[i] ? worst[i] : isnan(e[i]) ? INFINITY : e[i];
        }
}

// Of y = gelu(h), n values.
static double gelu_error(const float *h, const float *y, int64_t n)
{
    double off = 0;
    for (int64_t j = 0; j < n; j++) {
        const double x = (double)h[j], inner = 0.7978845608028654 * (x + 0.044715 * x * x * x);
        const double e = fabs((double)y[j] - 0.5 * x * (1 + tanh(inner))) / (1 + fabs(x));
        off = e <= off ? off : isnan(e) ? INFINITY : e;
    }
    return off;
}

static void test_bf16(TestLog *log, World *w, const Device *dev, int64_t K, int64_t N)
{
    enum { MOST = 70 };
    static const int64_t rows[] = {1, 2, 3, 5, 7, 13, MOST};
    const size_t mark = arena_mark(w->perm), scratch = arena_mark(w->scratch), size = (size_t)(K * N) * sizeof(float);
    Tensor *packed = tensor_new(w->perm, dev, REAL, SHAPE(K, N), "packed");
    Tensor *flat = tensor_new(w->perm, dev, REAL, SHAPE(N, K), "flat");
    float *x = arena_alloc(w->perm, size), *back = arena_alloc(w->perm, size), *transpose = arena_alloc(w->perm, size);
    fill(x, K * N, 4);
    for (int64_t i = 0; i < K * N; i++) transpose[i % N * K + i / N] = x[i];
    tensor_set_f32(packed, x, K * N);
    tensor_set_f32(flat, transpose, K * N);
    tensor_pack_bf16(packed, w->perm);
    const Tensor *transposed = tensor_transposed_bf16(flat, w->perm);
    TEST(log, (packed->layout == LAYOUT_PANELS_BF16) == (dev->isa >= ISA_AVX2), "%s: layout %d", dev->name,
         (int)packed->layout);
    const size_t bytes = tensor_bytes(packed);
    TEST(log, bytes == tensor_bytes(transposed) && !memcmp(packed->x, transposed->x, bytes),
         "%s: [%lld,%lld] transposed differs", dev->name, (long long)K, (long long)N);
    int64_t wrong = 0;
    tensor_get_f32(packed, back, K * N);
    for (int64_t i = 0; i < K * N; i++) wrong += back[i] != rounded(x[i]);
    TEST(log, wrong == 0, "%s: %lld values are not the rounded ones", dev->name, (long long)wrong);

    float *all = arena_alloc(w->perm, (size_t)(MOST * N) * sizeof *all);
    float *y = arena_alloc(w->perm, (size_t)(MOST * N) * sizeof *y);
    omp_set_num_threads(1);
    bf16_product(w, packed, MOST, false, all);
    double worst[2];
    bf16_errors(w, rounds_x(dev), x, all, MOST, K, N, worst);
    TEST(log, worst[0] <= 1 && worst[1] <= 1, "%s: [%lld,%lld]: %.3g of the bound of rounded values, %.3g of plain",
         dev->name, (long long)K, (long long)N, worst[0], worst[1]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && dev->isa >= ISA_AVX2; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            omp_set_num_threads(threads);
            bf16_product(w, packed, rows[i], false, y);
            TEST(log, memcmp(all, y, (size_t)(rows[i] * N) * sizeof *y) == 0,
                 "%s: [%lld,%lld]: %lld rows, %d threads: other bits", dev->name, (long long)K, (long long)N,
                 (long long)rows[i], threads);
            bf16_product(w, packed, rows[i], true, y);
            const double off = gelu_error(all, y, rows[i] * N);
            TEST(log, off < 1e-6, "%s: gelu differs by %.3g", dev->name, off);
        }
    tensor_fill(packed, 1.00390625);         // 1 + 2^-8: a tie, goes to the even 1
    tensor_get_f32(packed, back, K * N);
    TEST(log, back[0] == (packed->layout == LAYOUT_ROWS ? 1.00390625f : 1) && back[K * N - 1] == back[0],
         "%s: filled with %a", dev->name, (double)back[0]);
    arena_rewind(w->perm, mark);
    arena_rewind(w->scratch, scratch);
}

// The same in columns, on the emulated GPU, whose kernels change at 9 rows: bounds of tensor/pack.h; the same bits for
// one row whatever the order of the threads.
static void test_columns(TestLog *log, World *w, int64_t K, int64_t N, int n_rows, const int64_t *rows)
{
    const Device *dev = &w->dev;
    const size_t mark = arena_mark(w->perm), scratch = arena_mark(w->scratch), size = (size_t)(K * N) * sizeof(float);
    Tensor *packed = tensor_new(w->perm, dev, REAL, SHAPE(K, N), "packed");
    Tensor *flat = tensor_new(w->perm, dev, REAL, SHAPE(N, K), "flat");
    float *x = arena_alloc(w->perm, size), *back = arena_alloc(w->perm, size), *transpose = arena_alloc(w->perm, size);
    fill(x, K * N, 4);
    for (int64_t i = 0; i < K * N; i++) transpose[i % N * K + i / N] = x[i];
    tensor_set_f32(packed, x, K * N);
    tensor_set_f32(flat, transpose, K * N);
    tensor_pack_bf16(packed, w->perm);
    const Tensor *transposed = tensor_transposed_bf16(flat, w->perm);
    TEST(log,
         packed->layout == LAYOUT_COLUMNS_BF16 && tensor_bytes(packed) == (size_t)(N * ((K + 7) / 8) * 16) &&
             !memcmp(packed->x, transposed->x, tensor_bytes(packed)),
         "[%lld,%lld]: layout %d, or transposed differs", (long long)K, (long long)N, (int)packed->layout);
    int64_t wrong = 0;
    tensor_get_f32(packed, back, K * N);
    for (int64_t i = 0; i < K * N; i++) wrong += back[i] != rounded(x[i]);
    TEST(log, wrong == 0, "[%lld,%lld]: %lld values are not the rounded ones", (long long)K, (long long)N,
         (long long)wrong);
    for (int i = 0; i < n_rows; i++) {
        float *y[3];
        for (int k = 0; k < 3; k++) {
            y[k] = arena_alloc(w->scratch, (size_t)(rows[i] * N) * sizeof *y[k]);
            omp_set_num_threads(k == 1 ? 3 : 1);
            bf16_product(w, packed, rows[i], k == 2, y[k]);
        }
        double worst[2];
        bf16_errors(w, rows[i] > 8, x, y[0], rows[i], K, N, worst);
        TEST(log, worst[0] <= 1 && worst[1] <= 1,
             "[%lld,%lld], %lld rows: %.3g of the bound of rounded values, %.3g of plain", (long long)K, (long long)N,
             (long long)rows[i], worst[0], worst[1]);
        TEST(log, !memcmp(y[0], y[1], (size_t)(rows[i] * N) * sizeof(float)),
             "%lld rows: other bits in another order of threads", (long long)rows[i]);
        const double off = gelu_error(y[0], y[2], rows[i] * N);
        TEST(log, off < 1e-6, "%lld rows: gelu differs by %.3g", (long long)rows[i], off);
    }
    tensor_fill(packed, 1.00390625);         // 1 + 2^-8: a tie, goes to the even 1
    tensor_get_f32(packed, back, K * N);
    TEST(log, back[0] == 1 && back[K * N - 1] == 1, "filled with %a", (double)back[0]);
    arena_rewind(w->perm, mark);
    arena_rewind(w->scratch, scratch);
}

static void test_cuda(TestLog *log)
{
    static const int64_t rows[] = {1, 2, 8, 9, 70}, nine[] = {9};
    const int before = omp_get_max_threads();
    World *w = world_new(device_emulated(), true);
    test_columns(log, w, 37, 75, 5, rows);
    test_columns(log, w, 1, 1, 5, rows);
    test_columns(log, w, 300, 40, 5, rows);        // in splits
    if (!log->quick) test_columns(log, w, 32, 132 * 128, 1, nine);   // large tiles
    omp_set_num_threads(before);
    world_delete(w);
}

// Recording a product that would want dX is a bug, and stops.
static void test_no_gradient(TestLog *log, World *w, const Device *dev)
{
    Tensor *weight = tensor_new(w->perm, dev, REAL, SHAPE(8, 32), "weight");
    Tensor *x = tensor_new(w->perm, dev, REAL, SHAPE(2, 8), "x");
    tensor_fill(weight, 1);
    tensor_fill(x, 1);
    tensor_pack_bf16(weight, w->perm);
    x->needs_grad = true;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(0);
        tape_linear(&w->t, x, weight, NULL);
        _exit(0);
    }
    int status = 0;
    const bool stopped = pid > 0 && waitpid(pid, &status, 0) == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    TEST(log, stopped == (dev->isa >= ISA_AVX2), "%s: a gradient through bf16 weights is %s", dev->name,
         stopped ? "refused" : "taken");
}

static Tensor *same(void *arg, Tape *t, int layer, Tensor *h)
{
    (void)arg, (void)t, (void)layer;
    return h;
}

// A real checkpoint: logits beside those of f32 (rms of the difference over theirs: 0.0057 with AVX512-BF16, 0.0037
// without), and the same tokens with and without a cache.
static void test_model(TestLog *log, Device dev)
{
    enum { T = 48, PROMPT = 8, NEW = 12 };
    World *w[2];
    Gpt2 *m[2];
    int32_t id[T], text[2][PROMPT + NEW];
    int64_t n[2];
    double *y[2], rms = 0, off = 0;
    for (int i = 0; i < 2; i++) {
        w[i] = world_new(dev, true);
        const char *dir = arena_printf(w[i]->perm, "%s/gpt2/gpt2-basic-463k", log->shared);
        const Status s = gpt2_load(&m[i], &w[i]->ps, "", dir, GPT2_FROZEN | GPT2_BLANK, w[i]->scratch);
        TEST(log, !s.code, "%s", s.msg);
        if (s.code) return;
        if (i) gpt2_pack_bf16(m[i], w[i]->perm);
        else gpt2_pack(m[i], w[i]->perm);
        for (int k = 0; k < T; k++) id[k] = (int32_t)((k * k * 7 + 11 * k) % m[i]->c.vocab);
        w[i]->t.record = w[i]->t.training = false;
        y[i] = arena_alloc(w[i]->perm, (size_t)(T * m[i]->c.vocab) * sizeof *y[i]);
        Tensor *h = gpt2_forward_tokens(&w[i]->t, m[i], tape_from_i32(&w[i]->t, SHAPE(1, T), id), NULL);
        tensor_get_f64(gpt2_logits(&w[i]->t, m[i], h), y[i], T * m[i]->c.vocab);
    }
    for (int64_t k = 0; k < T * m[0]->c.vocab; k++) {
        rms += y[0][k] * y[0][k];
        off += (y[1][k] - y[0][k]) * (y[1][k] - y[0][k]);
    }
    const double relative = sqrt(off / rms);
    TEST(log, relative > 1e-5 && relative < 0x1p-6, "%s: logits differ by %.3g of their rms", dev.name, relative);
    const Gpt2Hook any = {.after_block = same, .reach = REACH_ALL};
    const Gpt2Sampling how = {.temperature = 1, .seed = 5};
    for (int i = 0; i < 2; i++) {
        memcpy(text[i], id, sizeof *id * PROMPT);
        gpt2_generate(&w[1]->t, m[1], i ? &any : NULL, text[i], PROMPT, NEW, &how, &n[i], NULL, NULL);
    }
    TEST(log, n[0] == PROMPT + NEW && n[0] == n[1] && !memcmp(text[0], text[1], sizeof text[0]),
         "%s: tokens depend on the cache", dev.name);
    for (int i = 0; i < 2; i++) {
        gpt2_close(m[i]);
        world_delete(w[i]);
    }
}

static void test_device(TestLog *log, Device dev, bool bf16_alone)
{
    const int before = omp_get_max_threads();
    World *w = world_new(dev, true);
    if (!bf16_alone) {
        test_bits(log, w, &w->dev, 37, 96);
        test_bits(log, w, &w->dev, 530, 544);      // two blocks of terms, forward and backward
        test_bits(log, w, &w->dev, 64, 40);        // no whole panels: stays as it is
        omp_set_num_threads(before);
        test_values(log, w, &w->dev);
    }
    test_bf16(log, w, &w->dev, 37, 75);            // neither whole pairs nor whole panels
    test_bf16(log, w, &w->dev, 1, 1);
    test_bf16(log, w, &w->dev, 128, 288);
    if (!log->quick) test_bf16(log, w, &w->dev, 3074, 160);   // rows in two blocks
    omp_set_num_threads(before);
    test_no_gradient(log, w, &w->dev);
    world_delete(w);
    if (log->shared) test_model(log, dev);
    else test_skip(log, "skipped: no ../shared/gpt2/gpt2-basic-463k");
}

void test_pack(TestLog *log)
{
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        Device dev = device_cpu_f32((Isa)isa);
        if (dev.isa != (Isa)isa) {
            test_skip(log, "skipped: this CPU has no %s", isa_name((Isa)isa));
            continue;
        }
        test_device(log, dev, false);
#if defined(__x86_64__)
        if (!rounds_x(&dev)) continue;
        dev.fwd[OP_linear] = linear_fwd_avx512;    // a CPU with AVX-512 and without AVX512-BF16
        dev.fwd[OP_linear_gelu] = linear_gelu_fwd_avx512;
        test_device(log, dev, true);
#endif
    }
    test_cuda(log);
}
