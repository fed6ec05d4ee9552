// Frozen matrices in panels (tensor/pack.h): products give the bits of plain rows, values go in and out as before, what
// is written changes the results, and what cannot be packed stays in rows.
#include <omp.h>
#include <string.h>

#include "autograd/tape.h"
#include "nn/params.h"
#include "tensor/pack.h"
#include "tests/test.h"

typedef struct World { Arena *perm, *step, *scratch; Tape t; } World;

static void fill(float *x, int64_t n, uint32_t id)
{
    for (int64_t i = 0; i < n; i++) x[i] = philox_normal(5, philox_subsequence(SITE_TEST, id), (uint64_t)i);
}

// y, dx of one product of M rows, concatenated in out; returns their number.
static int64_t product(World *w, Tensor *weight, int64_t M, bool gelu, float *out)
{
    Tape *t = &w->t;
    const int64_t K = weight->shape.d[0], N = weight->shape.d[1];
    Tensor *x = tape_tensor(t, SHAPE(M, K)), *b = tape_tensor(t, SHAPE(N));
    fill(x->x, M * K, 1);
    fill(b->x, N, 2);
    x->needs_grad = true;
    Tensor *y = gelu ? tape_linear_gelu(t, x, weight, b) : tape_linear(t, x, weight, b);
    fill(tape_grad(t, y), M * N, 3);
    tape_backward_from(t, y);
    memcpy(out, y->x, (size_t)(M * N) * sizeof *out);
    memcpy(out + M * N, x->g, (size_t)(M * K) * sizeof *out);
    tape_reset(t);
    return M * N + M * K;
}

static void test_bits(TestLog *log, World *w, const Device *dev, int64_t K, int64_t N)
{
    static const int64_t rows[] = {1, 2, 4, 5, 13, 64};
    const size_t mark = arena_mark(w->perm);
    Tensor *plain = tensor_new(w->perm, dev, REAL, SHAPE(K, N), "plain"), packed = *plain;
    fill(plain->x, K * N, 4);
    packed.x = arena_alloc(w->perm, tensor_bytes(plain));
    memcpy(packed.x, plain->x, tensor_bytes(plain));
    tensor_pack(&packed, w->perm);
    TEST(log, (packed.layout == LAYOUT_PANELS) == (N % PANEL == 0 && dev->isa >= ISA_AVX2), "%s: [%lld,%lld] has layout %d",
         dev->name, (long long)K, (long long)N, (int)packed.layout);
    float *a = arena_alloc(w->perm, (size_t)(64 * (N + K)) * sizeof *a), *b = arena_alloc(w->perm, (size_t)(64 * (N + K)) * sizeof *b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            omp_set_num_threads(threads);
            const int64_t n = product(w, plain, rows[i], i % 2, a);
            product(w, &packed, rows[i], i % 2, b);
            TEST(log, memcmp(a, b, (size_t)n * sizeof *a) == 0, "%s: %lld rows, [%lld,%lld], %d threads: other bits when packed",
                 dev->name, (long long)rows[i], (long long)K, (long long)N, threads);
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
    float *before = arena_alloc(w->perm, (size_t)(4 * (N + K)) * sizeof *before), *after = arena_alloc(w->perm, (size_t)(4 * (N + K)) * sizeof *after);
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
    TEST(log, memcmp(before, after, (size_t)n * sizeof *before) == 0, "%s: set through panels: other results than from rows", dev->name);
    double *wide = arena_alloc(w->perm, (size_t)(K * N) * sizeof *wide);
    tensor_get_f64(p, wide, K * N);
    TEST(log, wide[N + 33] == (double)y[N + 33], "%s: f64 value %g, want %g", dev->name, wide[N + 33], (double)y[N + 33]);
    wide[N + 33] = 2.5;
    tensor_set_f64(p, wide, K * N);
    tensor_get_f32(p, x, K * N);
    TEST(log, x[N + 33] == 2.5f && x[N + 34] == y[N + 34], "%s: set from f64: %g", dev->name, (double)x[N + 33]);
}

void test_pack(TestLog *log)
{
    const int before = omp_get_max_threads();
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Device dev = device_cpu_f32((Isa)isa);
        if (dev.isa != (Isa)isa) {
            test_skip(log, "skipped: this CPU has no %s", isa_name((Isa)isa));
            continue;
        }
        World w = {.perm = arena_new("perm", (size_t)256 << 20, NULL), .step = arena_new("step", (size_t)256 << 20, NULL),
                   .scratch = arena_new("scratch", (size_t)256 << 20, NULL)};
        tape_init(&w.t, &dev, w.step, w.scratch);
        test_bits(log, &w, &dev, 37, 96);
        test_bits(log, &w, &dev, 530, 544);      // two blocks of terms, forward and backward
        test_bits(log, &w, &dev, 64, 40);        // no whole panels: stays as it is
        omp_set_num_threads(before);
        test_values(log, &w, &dev);
        arena_delete(w.scratch);
        arena_delete(w.step);
        arena_delete(w.perm);
    }
}
