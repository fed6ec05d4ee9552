// NF4 weights (src/tensor/nf4.h): the code book from its definition; scales and codes by a second quantiser, in double;
// errors within the bound; the same values on every device; products, forward and backward, with the bits of plain rows
// that hold those values; LoRA on a quantised GPT-2 with the gradients of LoRA on the rounded one; the program.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "llm/lora.h"
#include "tensor/nf4.h"
#include "tests/emulate/emulated.h"
#include "tests/pack_world.h"
#include "tests/run_lead.h"

static const float book[16] = NF4_VALUES;

// Where the normal distribution reaches p, by bisection.
static double quantile(double p)
{
    double low = -10, high = 10;
    for (int i = 0; i < 100; i++) {
        const double mid = (low + high) / 2;
        if (erfc(-mid / sqrt(2)) / 2 < p) low = mid;
        else high = mid;
    }
    return low;
}

static void test_book(TestLog *log)
{
    const double c = 0.9677083, largest = quantile(c);
    double worst = 0;
    for (int i = 0; i < 16; i++) {
        const double below = -quantile(c + (0.5 - c) * i / 7), above = quantile(c + (0.5 - c) * (15 - i) / 8);
        const double want = i < 7 ? below : i == 7 ? 0 : above;
        worst = check_fold(worst, fabs((double)book[i] - want / largest));
    }
    TEST(log, worst < 1e-6, "the code book is off by %g", worst);
}

// ---- a second quantiser: what value [k,n] of x [K,N] should become

typedef struct Plain { const float *x; int64_t K, N; } Plain;

static double block_largest(Plain p, int64_t block, int64_t n)
{
    double most = 0;
    for (int64_t k = block * 64; k < block * 64 + 64 && k < p.K; k++) most = fmax(most, fabs((double)p.x[k * p.N + n]));
    return most;
}

// The scale of a block, from the 8 blocks of 32 columns that share their range; *bound: of the error of its weights.
// NAN where a rounding decides between two scales.
static double plain_scale(Plain p, int64_t block, int64_t n, double *bound)
{
    double least = INFINITY, most = 0;
    for (int64_t b = block / 8 * 8; b < block / 8 * 8 + 8 && b * 64 < p.K; b++)
        for (int64_t j = n / 32 * 32; j < n / 32 * 32 + 32 && j < p.N; j++) {
            least = fmin(least, block_largest(p, b, j));
            most = fmax(most, block_largest(p, b, j));
        }
    const double step = (most - least) / 255, s = block_largest(p, block, n);
    *bound = (0.5 * (1 - 0.6961928) + 0x1p-22) * (s + 1.001 * step);
    const double q = step > 0 ? (s - least) / step : 0;
    if (s > least && s < most && fabs(q - nearbyint(q)) < 1e-4) return NAN;
    return least + ceil(q - 1e-4) * step;
}

// got against x: beyond the bound, and not the nearest value that the scale allows.
static void test_values(TestLog *log, const char *name, Plain p, const float *got)
{
    double beyond = 0, farther = 0, largest = 0;
    double bound = 0, scale = 0;
    for (int64_t j = 0; j < p.K * p.N; j++) {   // column by column
        const int64_t k = j % p.K, i = k * p.N + j / p.K;
        if (k % 64 == 0) scale = plain_scale(p, k / 64, j / p.K, &bound);
        const double x = (double)p.x[i];
        double nearest = INFINITY;
        for (int c = 0; c < 16; c++) nearest = fmin(nearest, fabs(x - (double)book[c] * scale));
        const double error = fabs(x - (double)got[i]);
        beyond = check_fold(beyond, error / bound);
        if (isnan(scale)) continue;
        farther = check_fold(farther, fabs(error - nearest) / scale);
        largest = check_fold(largest, error / scale);
    }
    TEST(log, beyond <= 1, "%s [%lld,%lld]: an error of %.3g of its bound", name, (long long)p.K, (long long)p.N,
         beyond);
    TEST(log, farther < 1e-4, "%s [%lld,%lld]: %.3g of the scale farther than the nearest value", name, (long long)p.K,
         (long long)p.N, farther);
    TEST(log, p.K * p.N < 10000 || largest > 0.14, "%s: no error above %.3g of its scale", name, largest);
}

// ---- one matrix on one device

static void test_matrix(TestLog *log, World *w, int64_t K, int64_t N)
{
    static const int64_t rows[] = {1, 2, 5, 16, 64};
    const Device *dev = &w->dev;
    const size_t mark = arena_mark(w->perm), size = (size_t)(K * N) * sizeof(float);
    Tensor *packed = tensor_new(w->perm, dev, REAL, SHAPE(K, N), "packed");
    Tensor *plain = tensor_new(w->perm, dev, REAL, SHAPE(K, N), "plain");
    float *x = arena_alloc(w->perm, size), *back = arena_alloc(w->perm, size), *again = arena_alloc(w->perm, size);
    fill(x, K * N, 4);
    for (int64_t i = 0; i < K * N; i++) x[i] *= 0.02f * (float)(1 + i % N % 5);
    tensor_set_f32(packed, x, K * N);
    tensor_pack_nf4(packed, w->perm);
    tensor_get_f32(packed, back, K * N);
    test_values(log, dev->name, (Plain){x, K, N}, back);
    const bool reads = dev->nf4 || dev->isa >= ISA_AVX2;
    TEST(log, (packed->layout == LAYOUT_NF4) == reads, "%s: layout %d", dev->name, (int)packed->layout);
    const int64_t blocks = (K + 63) / 64, bytes = (N + 31) / 32 * (blocks * 33 * 32 + (blocks + 7) / 8 * 8);
    TEST(log, !reads || (int64_t)tensor_bytes(packed) == bytes, "%s: %zu bytes, want %lld", dev->name,
         tensor_bytes(packed), (long long)bytes);
    Tensor *fresh = reads ? tensor_new_nf4(w->perm, dev, SHAPE(K, N), "fresh") : packed;
    tensor_set_f32(fresh, x, K * N);
    if (!reads) tensor_set_f32(fresh, back, K * N);
    tensor_get_f32(fresh, again, K * N);
    TEST(log, !memcmp(back, again, size), "%s: set through the layout: other values", dev->name);

    tensor_set_f32(plain, back, K * N);
    float *a = arena_alloc(w->perm, (size_t)(64 * (N + K)) * sizeof *a);
    float *b = arena_alloc(w->perm, (size_t)(64 * (N + K)) * sizeof *b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            omp_set_num_threads(threads);
            const int64_t n = product(w, plain, rows[i], i % 2, a);
            product(w, packed, rows[i], i % 2, b);
            TEST(log, !memcmp(a, b, (size_t)n * sizeof *a),
                 "%s: %lld rows, [%lld,%lld], %d threads: other bits than the rounded rows", dev->name,
                 (long long)rows[i], (long long)K, (long long)N, threads);
        }
    arena_rewind(w->perm, mark);
}

// What is no number makes its group no number; zeros stay zeros beside 3e38, and what is far below a step becomes 0.
static void test_extremes(TestLog *log, World *w)
{
    enum { K = 64, N = 64 };
    Tensor *x = tensor_new(w->perm, &w->dev, REAL, SHAPE(K, N), "x");
    float v[K * N] = {0};
    v[5 * N + 3] = NAN, v[7 * N + 40] = 3e38f, v[8 * N + 41] = 1e-42f;
    tensor_set_f32(x, v, K * N);
    tensor_pack_nf4(x, w->perm);
    tensor_get_f32(x, v, K * N);
    TEST(log, isnan(v[5 * N + 3]) && isnan(v[0]) && isnan(v[63 * N + 31]), "a NaN became %g", (double)v[5 * N + 3]);
    TEST(log, fabs((double)v[7 * N + 40] - 3e38) < 1e33 && v[6 * N + 40] == 0 && v[63] == 0,
         "3e38 became %g, 0 %g and %g", (double)v[7 * N + 40], (double)v[6 * N + 40], (double)v[63]);
    TEST(log, v[8 * N + 41] == 0, "1e-42 beside 3e38 became %g", (double)v[8 * N + 41]);
}

// ---- LoRA on a quantised model

// The gradients of LoRA on a tiny model, one after the other in g; returns their number.
static int64_t lora_gradients(Device dev, bool packed, double *g, double *loss)
{
    World *w = world_new(dev, false);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.4);
    if (packed) gpt2_pack_nf4(m, w->perm);
    else
        for (int l = 0; l < m->c.layers; l++)
            for (int i = 0; i < LORA_TARGETS; i++) {
                const char *name;
                LoraTarget target;
                Tensor *x = lora_projection(m, l, i, &name, &target)->w, copy = *x;
                copy.x = arena_alloc(w->perm, tensor_bytes(x));
                memcpy(copy.x, x->x, tensor_bytes(x));
                tensor_pack_nf4(&copy, w->perm);
                tensor_get_f32(&copy, x->x, numel(x));
            }
    const int frozen = w->ps.n;
    lora_attach(&w->ps, "lora", m, &(LoraConfig){2, 4, LORA_ALL});
    for (int i = frozen; i < w->ps.n; i++) fill(w->ps.p[i]->t.x, numel(&w->ps.p[i]->t), (uint32_t)(20 + i));
    const int32_t id[] = {1, 2, 3, 5, 8, 10, 9, 7}, next[] = {2, 3, 5, 8, 10, 9, 7, 1};
    Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, 8), id), NULL);
    Tensor *y = tape_cross_entropy(&w->t, gpt2_logits(&w->t, m, h), tape_from_i32(&w->t, SHAPE(8), next));
    tensor_get_f64(y, loss, 1);
    tape_backward(&w->t, y);
    int64_t n = 0;
    for (int i = frozen; i < w->ps.n; i++) {
        tensor_get_grad_f64(&w->ps.p[i]->t, g + n, numel(&w->ps.p[i]->t));
        n += numel(&w->ps.p[i]->t);
    }
    world_delete(w);
    return n;
}

static void test_lora(TestLog *log, Device dev)
{
    static double a[8192], b[8192];
    double loss[2], largest = 0;
    const int64_t n = lora_gradients(dev, false, a, &loss[0]);
    lora_gradients(dev, true, b, &loss[1]);
    for (int64_t i = 0; i < n; i++) largest = check_fold(largest, fabs(a[i]));
    TEST(log, loss[0] == loss[1] && !memcmp(a, b, (size_t)n * sizeof *a), "%s: loss %.9g on rounded rows, %.9g in NF4",
         dev.name, loss[0], loss[1]);
    TEST(log, n > 500 && largest > 1e-3 && isfinite(largest), "%s: %lld gradients of at most %g", dev.name,
         (long long)n, largest);
}

// ---- the program

static double nats_per_token(TestLog *log, Arena *a, const char *weights, const char *text)
{
    const Ran r = lead_run(log, a, "gpt2 eval %s --context 64 --llm-weights %s", text, weights);
    long long n;
    double nats = NAN;
    const char *row = strchr(r.out, '\n');
    TEST(log, r.code == 0 && row && sscanf(row + 1, "%lld\t%lf", &n, &nats) == 2, "exit %d: %s", r.code, r.err);
    TEST(log, !strcmp(weights, "f32") || strstr(r.err, "rounded to NF4"), "%s: %s", weights, r.err);
    return nats;
}

// data/gpt2-small on a text of its kind, beside f32; training LoRA on it; what is refused.
static void test_program(TestLog *log)
{
    Arena *a = arena_new("test", (size_t)1 << 30, NULL);
    const char *text = arena_printf(a, "%s/nf4.txt", log->tmp), *out = arena_printf(a, "%s/nf4-lora", log->tmp);
    Ran r = lead_run(log, a, "gpt2 corpus --out %s --documents 20 --seed 3", text);
    TEST(log, r.code == 0, "exit %d: %s", r.code, r.err);
    const double f32 = nats_per_token(log, a, "f32", text), nf4 = nats_per_token(log, a, "nf4", text);
    TEST(log, fabs(nf4 - f32) < 0.05 * f32 && nf4 != f32, "%.4f nats per token in f32, %.4f in NF4", f32, nf4);
    r = lead_run(log, a, "gpt2 train --llm data/gpt2-small --llm-weights nf4 --lora 4 --lora-targets all --data %s "
                 "--out %s --steps 20 --batch 4 --context 32 --lr 3e-3 --val-every 0", text, out);
    TEST(log, r.code == 0 && strstr(r.err, "bits each"), "exit %d: %s", r.code, r.err);
    const Ran on = lead_run(log, a, "gpt2 eval %s --context 64 --llm-weights nf4 --adapter %s", text, out);
    long long n;
    double after = NAN;
    const char *row = strchr(on.out, '\n');
    TEST(log, on.code == 0 && row && sscanf(row + 1, "%lld\t%lf", &n, &after) == 2 && after < nf4,
         "20 steps of LoRA: %.4f nats per token, before %.4f: %s", after, nf4, on.err);
    r = lead_run(log, a, "gpt2 train --llm data/gpt2-small --llm-weights nf4 --data %s --out %s/x", text, log->tmp);
    TEST(log, r.code == 2 && strstr(r.err, "wants --lora or --adapters"), "exit %d: %s", r.code, r.err);
    r = lead_run(log, a, "gpt2 train --llm data/gpt2-small --llm-weights bf16 --lora 2 --data %s --out %s/x", text,
                 log->tmp);
    TEST(log, r.code == 2 && strstr(r.err, "want f32 or nf4, got 'bf16'"), "exit %d: %s", r.code, r.err);
    arena_delete(a);
}

static void test_device(TestLog *log, Device dev)
{
    const int before = omp_get_max_threads();
    World *w = world_new(dev, true);
    test_matrix(log, w, 1, 1);
    test_matrix(log, w, 37, 75);                              // neither a whole block nor whole panels
    test_matrix(log, w, 200, 32);
    if (w->dev.isa >= ISA_AVX2) test_matrix(log, w, 560, 544);   // two groups, and two blocks of terms both ways
    omp_set_num_threads(before);
    test_extremes(log, w);
    world_delete(w);
    test_lora(log, dev);
}

void test_nf4(TestLog *log)
{
    test_book(log);
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Device dev = device_cpu_f32((Isa)isa);
        if (dev.isa == (Isa)isa) test_device(log, dev);
        else test_skip(log, "skipped: this CPU has no %s", isa_name((Isa)isa));
    }
    test_device(log, device_emulated());
    test_program(log);
}
