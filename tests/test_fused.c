// linear_gelu, linear_silu, linear_add beside two calls, linear and then the other op: the same bits of the result and
// of every gradient, on every variant of the CPU and on the emulated GPU; weights in rows, in panels, in bf16; the
// residual a tensor of its own, or the input of the product.
#include <omp.h>
#include <string.h>

#include "tensor/pack.h"
#include "tests/emulate/emulated.h"
#include "tests/llm_world.h"
#include "tests/test.h"

typedef enum Kind { GELU, SILU, ADD, ADD_X, KINDS } Kind;
static const char *const names[KINDS] = {"linear_gelu", "linear_silu", "linear_add", "linear_add to its input"};

typedef struct Product { int64_t M, K, N; bool bias, grad; } Product;

static Tensor *leaf(World *w, Shape s, uint32_t id, bool grad)
{
    Tensor *x = tape_tensor(&w->t, s);
    random_f32(x->x, numel(x), id);
    x->needs_grad = grad;
    return x;
}

static Tensor *fused(Tape *t, Kind kind, Tensor *x, Tensor *w, Tensor *b, Tensor *r)
{
    if (kind == GELU) return tape_linear_gelu(t, x, w, b);
    return kind == SILU ? tape_linear_silu(t, x, w, b) : tape_linear_add(t, x, w, b, r);
}

static Tensor *apart(Tape *t, Kind kind, Tensor *x, Tensor *w, Tensor *b, Tensor *r)
{
    Tensor *h = tape_linear(t, x, w, b);
    return kind == GELU ? tape_gelu_tanh(t, h) : kind == SILU ? tape_silu(t, h) : tape_add(t, h, r);
}

// Result and gradients one behind the other in out; returns their number.
static int64_t run(World *w, Kind kind, bool two, const Product *p, Tensor *weight, float *out)
{
    Tape *t = &w->t;
    Tensor *x = leaf(w, SHAPE(p->M, p->K), 1, p->grad), *b = p->bias ? leaf(w, SHAPE(p->N), 2, p->grad) : NULL;
    Tensor *r = kind == ADD_X ? x : leaf(w, SHAPE(p->M, p->N), 3, p->grad && kind == ADD);
    Tensor copy = *weight;   // its gradient lasts as long as the tape's
    copy.needs_grad = p->grad && weight->layout == LAYOUT_ROWS;
    Tensor *y = (two ? apart : fused)(t, kind, x, &copy, b, r);
    Tensor *from[] = {x, &copy, b, r};
    int64_t n = numel(y);
    memcpy(out, y->x, (size_t)n * sizeof *out);
    if (p->grad) {
        random_f32(tape_grad(t, y), numel(y), 4);
        tape_backward_from(t, y);
    }
    for (int i = 0; i < 4 && p->grad; i++) {
        if (!from[i] || !from[i]->needs_grad) continue;
        memcpy(out + n, from[i]->g, (size_t)numel(from[i]) * sizeof *out);
        n += numel(from[i]);
    }
    tape_reset(t);
    return n;
}

static void test_product(TestLog *log, World *w, Product p)
{
    static const char *const layouts[] = {"rows", "panels", "bf16"};
    const size_t mark = arena_mark(w->perm);
    const int64_t room = 2 * (p.M * (p.N + p.K) + p.K * p.N + p.N) + p.M * p.N;
    float *a = arena_alloc(w->perm, (size_t)room * sizeof *a), *b = arena_alloc(w->perm, (size_t)room * sizeof *b);
    for (int layout = 0; layout < 3; layout++) {
        Tensor *weight = tensor_new(w->perm, &w->dev, REAL, SHAPE(p.K, p.N), "weight");
        random_f32(weight->x, p.K * p.N, 5);
        if (layout == 1) tensor_pack(weight, w->perm);
        if (layout == 2) tensor_pack_bf16(weight, w->perm);
        Product q = p;
        q.grad = p.grad && layout < 2;
        for (Kind kind = GELU; kind < (p.K == p.N ? KINDS : ADD_X); kind++)
            for (int threads = 1; threads <= 3; threads += 2) {
                omp_set_num_threads(threads);
                const int64_t n = run(w, kind, false, &q, weight, a), m = run(w, kind, true, &q, weight, b);
                TEST(log, n == m && memcmp(a, b, (size_t)n * sizeof *a) == 0,
                     "%s: %s, %lldx%lld->%lld, %s, %d threads: other bits than two calls", w->dev.name, names[kind],
                     (long long)p.M, (long long)p.K, (long long)p.N, layouts[layout], threads);
            }
    }
    arena_rewind(w->perm, mark);
}

static void test_device_of(TestLog *log, Device dev, bool all)
{
    const int before = omp_get_max_threads();
    World *w = world_new(dev, false);
    const int64_t rows[] = {1, 3, 5, 13, 70};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_product(log, w, (Product){rows[i], 37, 53, i % 2 == 0, true});
        test_product(log, w, (Product){rows[i], 96, 96, i % 2 == 1, true});
        if (all) test_product(log, w, (Product){rows[i], 600, 160, true, i < 3});          // two blocks of terms
    }
    test_product(log, w, (Product){40, 3, 64, true, true});                                // few terms
    omp_set_num_threads(before);
    world_delete(w);
}

void test_fused(TestLog *log)
{
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        Device dev = device_cpu_f32((Isa)isa);
        if (dev.isa != (Isa)isa) {
            test_skip(log, "skipped: this CPU has no %s", isa_name((Isa)isa));
            continue;
        }
        test_device_of(log, dev, !log->quick);
#if defined(__x86_64__)
        if (dev.fwd[OP_linear] != linear_fwd_avx512bf16) continue;
        dev.fwd[OP_linear] = linear_fwd_avx512;    // a CPU with AVX-512 and without AVX512-BF16
        dev.fwd[OP_linear_gelu] = linear_gelu_fwd_avx512;
        dev.fwd[OP_linear_silu] = linear_silu_fwd_avx512;
        dev.fwd[OP_linear_add] = linear_add_fwd_avx512;
        test_device_of(log, dev, false);
#endif
    }
    test_device_of(log, device_emulated(), false);
}
