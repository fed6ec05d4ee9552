// D0: the same binary on the same device gives identical bits for any number of threads and any sample batch size.
// A small network with every kind of kernel that works in parallel is trained for three steps; test_ops checks the same
// op by op.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "autograd/tape.h"
#include "tests/test.h"

enum { PARAMS = 9, STEPS = 3 };

typedef struct Net {
    Tape t;
    Arena *perm, *step, *scratch;
    Tensor *w[PARAMS], *m[PARAMS], *v[PARAMS];
} Net;

static void fill(Tensor *x, uint32_t id, double scale)
{
    for (int64_t i = 0; i < numel(x); i++)
        ((float *)x->x)[i] = (float)scale * philox_normal(11, philox_subsequence(SITE_TEST, id), (uint64_t)i);
}

static void net_open(Net *n, const Device *dev)
{
    const Shape shape[PARAMS] = {SHAPE(3, 3, 3, 32), SHAPE(32), SHAPE(32), SHAPE(32), SHAPE(32, 96), SHAPE(96),
                                 SHAPE(32, 64), SHAPE(64), SHAPE(64, 3)};
    n->perm = arena_new("perm", (size_t)64 << 20, NULL);
    n->step = arena_new("step", (size_t)512 << 20, NULL);
    n->scratch = arena_new("scratch", (size_t)512 << 20, NULL);
    tape_init(&n->t, dev, n->step, n->scratch);
    for (int i = 0; i < PARAMS; i++) {
        n->w[i] = tensor_new(n->perm, dev, REAL, shape[i], "w");
        fill(n->w[i], (uint32_t)i, 0.2);
        n->w[i]->needs_grad = true;
        n->w[i]->g = arena_zalloc(n->perm, tensor_bytes(n->w[i]));
        n->m[i] = tensor_new(n->perm, dev, REAL, shape[i], "m");
        n->v[i] = tensor_new(n->perm, dev, REAL, shape[i], "v");
        tensor_fill(n->m[i], 0);
        tensor_fill(n->v[i], 0);
    }
}

static Tensor *net_loss(Net *n, int64_t N, int64_t H)
{
    Tape *t = &n->t;
    Tensor **w = n->w, *x = tape_tensor(t, SHAPE(N, H, H, 3));
    fill(x, 100, 1);
    Tensor *h = tape_conv2d(t, x, w[0], w[1], 1, 1);
    h = tape_group_norm(t, h, w[2], w[3], 8, true);
    h = tape_avgpool2(t, h);
    h = tape_reshape(t, h, SHAPE(N, H / 2 * (H / 2), 32));
    Tensor *qkv = tape_linear(t, h, w[4], w[5]);
    Tensor *a = tape_attention(t, tape_slice(t, qkv, 2, 0, 32), tape_slice(t, qkv, 2, 32, 32),
                               tape_slice(t, qkv, 2, 64, 32), 4, false);
    h = tape_dropout(t, tape_add(t, h, a), 0.1);
    h = tape_linear(t, tape_linear_gelu(t, h, w[6], w[7]), w[8], NULL);
    return tape_mse(t, h, tape_reshape(t, tape_avgpool2(t, x), h->shape));
}

// Trains and returns all parameters in out.
static int64_t train(const Device *dev, int threads, bool quick, float *out)
{
    Net n;
    net_open(&n, dev);
    omp_set_num_threads(threads);
    for (int step = 1; step <= STEPS; step++) {
        tape_set_step(&n.t, (uint32_t)step);
        tape_backward(&n.t, net_loss(&n, quick ? 2 : 5, quick ? 6 : 12));
        for (int i = 0; i < PARAMS; i++) {
            Tensor g = *n.w[i];
            g.x = g.g;
            const AdamwParams p = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.01, .decayed = INT64_MAX};
            Tensor *rates = tape_from_f32(&n.t, SHAPE(4),
                                          (float[]){0.01f, (float)(1 / (1 - pow(0.9, step))),
                                                    (float)(1 / (1 - pow(0.99, step))), 0});
            tape_run(&n.t, OP_adamw, 5, (Tensor *[]){n.w[i], &g, n.m[i], n.v[i], rates}, 3,
                     (Tensor *[]){n.w[i], n.m[i], n.v[i]}, &p);
            memset(n.w[i]->g, 0, tensor_bytes(n.w[i]));
        }
        tape_reset(&n.t);
    }
    int64_t count = 0;
    for (int i = 0; i < PARAMS; i++) {
        tensor_get_f32(n.w[i], out + count, numel(n.w[i]));
        count += numel(n.w[i]);
    }
    arena_delete(n.scratch);
    arena_delete(n.step);
    arena_delete(n.perm);
    return count;
}

static void test_threads(TestLog *log, const Device *dev)
{
    static const int threads[] = {2, 3, 7};
    Arena *a = arena_new("results", (size_t)64 << 20, NULL);
    float *one = arena_alloc(a, 8192 * sizeof *one), *many = arena_alloc(a, 8192 * sizeof *many);
    const int before = omp_get_max_threads();
    const int64_t n = train(dev, 1, log->quick, one);
    TEST(log, n <= 8192 && n > 6000, "%lld parameters", (long long)n);
    for (int i = 0; i < 3; i++) {
        train(dev, threads[i], log->quick, many);
        TEST(log, memcmp(one, many, (size_t)n * sizeof *one) == 0, "%s: %d threads train to other bits than one",
             dev->name, threads[i]);
    }
    omp_set_num_threads(before);
    arena_delete(a);
}

// Samples 0..7 drawn together, and as 3 + 5: the noise of a sample does not depend on its batch.
static void test_batches(TestLog *log, const Device *dev)
{
    Arena *a = arena_new("step", (size_t)64 << 20, NULL), *scratch = arena_new("scratch", (size_t)64 << 20, NULL);
    Tape t;
    tape_init(&t, dev, a, scratch);
    const RandomAddress address = {.seed = 3, .site = SITE_SAMPLE, .step = 9};
    const Tensor *all = tape_randn(&t, SHAPE(8, 5, 3), address, 0);
    const Tensor *head = tape_randn(&t, SHAPE(3, 5, 3), address, 0), *tail = tape_randn(&t, SHAPE(5, 5, 3), address, 3);
    TEST(log, memcmp(all->x, head->x, tensor_bytes(head)) == 0, "%s: samples 0..2 depend on their batch", dev->name);
    TEST(log, memcmp((const char *)all->x + tensor_bytes(head), tail->x, tensor_bytes(tail)) == 0,
         "%s: samples 3..7 depend on their batch", dev->name);
    arena_delete(scratch);
    arena_delete(a);
}

// The convolution of samples 0..4 together, and as 2 + 3: tiles of Winograd's algorithm meet other neighbours.
static void test_conv_batches(TestLog *log, const Device *dev)
{
    Arena *a = arena_new("step", (size_t)64 << 20, NULL), *scratch = arena_new("scratch", (size_t)64 << 20, NULL);
    static const int64_t side[] = {3, 6, 12, 23};
    for (int i = 0; i < 4; i++) {
        Tape t;
        tape_init(&t, dev, a, scratch);
        Tensor *x = tape_tensor(&t, SHAPE(5, side[i], side[i], 24)), *w = tape_tensor(&t, SHAPE(3, 3, 24, 40));
        fill(x, 200, 1);
        fill(w, 201, 1);
        const Tensor *all = tape_conv2d(&t, x, w, NULL, 1, 1);
        Tensor *head = tape_slice(&t, x, 0, 0, 2), *tail = tape_slice(&t, x, 0, 2, 3);
        head = tape_conv2d(&t, head, w, NULL, 1, 1);
        tail = tape_conv2d(&t, tail, w, NULL, 1, 1);
        const bool same = memcmp(all->x, head->x, tensor_bytes(head)) == 0 &&
                          memcmp((const char *)all->x + tensor_bytes(head), tail->x, tensor_bytes(tail)) == 0;
        TEST(log, same, "%s: a convolution of %lld pixels depends on the batch", dev->name, (long long)side[i]);
        tape_reset(&t);
    }
    arena_delete(scratch);
    arena_delete(a);
}

void test_determinism(TestLog *log)
{
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Device dev = device_cpu_f32((Isa)isa);
        if (dev.isa != (Isa)isa) {
            test_skip(log, "skipped: this CPU has no %s", isa_name((Isa)isa));
            continue;
        }
        test_threads(log, &dev);
        test_batches(log, &dev);
        test_conv_batches(log, &dev);
    }
}
