// Winograd's convolution at LEAD's sizes: images of 12x12, 6x6, 3x3 and 23x23 pixels, 128, 256 and 512 channels.  The
// rms error of y, dx and dw is at most 2e-6 of the rms of the plain sums in double; an exact device, which takes the
// direct way, gives small integers exactly.  Sums of 2,000 addresses of each tensor are compared.
// Of every path of conv2d, and of conv2d_multi: y and dx of a sample have the same bits in any batch.
// conv2d_multi: y, dw and db have the bits of conv2d of each branch and concat.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/llm_world.h"
#include "tests/test.h"

enum { KERNEL = 3, SAMPLES = 2000 };

typedef struct Conv {
    int64_t N, H, C;                   // images [N,H,H,C], C -> C channels, 3x3, pad 1
    Tensor *x, *w, *y;
} Conv;

// Normal numbers, or whole ones of -2 .. 2, whose sums stay whole in float.
static void fill(float *v, int64_t n, uint32_t id, bool whole)
{
    const uint64_t address = philox_subsequence(SITE_TEST, id);
    for (int64_t i = 0; i < n; i++)
        v[i] = whole ? (float)(philox_u32(3, address, (uint64_t)i) % 5) - 2 : philox_normal(3, address, (uint64_t)i);
}

static float *grad(const Tensor *t) { return t->g; }
static const float *values(const Tensor *t) { return t->x; }

static Conv convolve(World *w, int64_t N, int64_t H, int64_t C, bool whole)
{
    Tape *t = &w->t;
    Conv q = {.N = N, .H = H, .C = C, .x = tape_tensor(t, SHAPE(N, H, H, C)),
              .w = tape_tensor(t, SHAPE(KERNEL, KERNEL, C, C))};
    fill(q.x->x, numel(q.x), 1, whole);
    fill(q.w->x, numel(q.w), 2, whole);
    q.x->needs_grad = q.w->needs_grad = true;
    q.y = tape_conv2d(t, q.x, q.w, NULL, 1, 1);
    fill(tape_grad(t, q.y), numel(q.y), 3, whole);
    tape_backward_from(t, q.y);
    return q;
}

static bool inside(const Conv *q, int64_t i, int64_t j) { return i >= 0 && i < q->H && j >= 0 && j < q->H; }

// The plain sums at element i of y, dx and dw.
static double y_at(const Conv *q, int64_t i)
{
    const int64_t o = i % q->C, c = i / q->C % q->H, r = i / q->C / q->H % q->H, n = i / q->C / q->H / q->H;
    double sum = 0;
    for (int64_t a = 0; a < KERNEL; a++)
        for (int64_t e = 0; e < KERNEL; e++) {
            if (!inside(q, r + a - 1, c + e - 1)) continue;
            const float *x = values(q->x) + ((n * q->H + r + a - 1) * q->H + c + e - 1) * q->C;
            const float *w = values(q->w) + (a * KERNEL + e) * q->C * q->C + o;
            for (int64_t k = 0; k < q->C; k++) sum += (double)x[k] * (double)w[k * q->C];
        }
    return sum;
}

static double dx_at(const Conv *q, int64_t i)
{
    const int64_t k = i % q->C, c = i / q->C % q->H, r = i / q->C / q->H % q->H, n = i / q->C / q->H / q->H;
    double sum = 0;
    for (int64_t a = 0; a < KERNEL; a++)
        for (int64_t e = 0; e < KERNEL; e++) {
            if (!inside(q, r - a + 1, c - e + 1)) continue;
            const float *dy = grad(q->y) + ((n * q->H + r - a + 1) * q->H + c - e + 1) * q->C;
            const float *w = values(q->w) + ((a * KERNEL + e) * q->C + k) * q->C;
            for (int64_t o = 0; o < q->C; o++) sum += (double)dy[o] * (double)w[o];
        }
    return sum;
}

static double dw_at(const Conv *q, int64_t i)
{
    const int64_t o = i % q->C, k = i / q->C % q->C, e = i / q->C / q->C % KERNEL, a = i / q->C / q->C / KERNEL;
    double sum = 0;
    for (int64_t n = 0; n < q->N; n++)
        for (int64_t r = 0; r < q->H; r++)
            for (int64_t c = 0; c < q->H; c++) {
                if (!inside(q, r + a - 1, c + e - 1)) continue;
                const int64_t at = ((n * q->H + r + a - 1) * q->H + c + e - 1) * q->C + k;
                sum += (double)values(q->x)[at] * (double)grad(q->y)[((n * q->H + r) * q->H + c) * q->C + o];
            }
    return sum;
}

typedef double Sum(const Conv *q, int64_t i);

// rms of the error over that of the sums; *worst: the largest error.
static double relative_error(const Conv *q, const float *got, int64_t n, Sum *sum_at, double *worst)
{
    double error = 0, size = 0;
    *worst = 0;
    for (int64_t s = 0; s < SAMPLES; s++) {
        const uint64_t draw = philox_u32(3, philox_subsequence(SITE_TEST, 4), (uint64_t)s);
        const int64_t i = (int64_t)(draw * (uint64_t)n >> 32);
        const double want = sum_at(q, i), e = (double)got[i] - want;
        error += e * e, size += want * want;
        if (!(fabs(e) <= *worst)) *worst = isnan(e) ? INFINITY : fabs(e);
    }
    return sqrt(error / size);
}

static const struct { const char *name; Sum *at; } sums[] = {{"y", y_at}, {"dx", dx_at}, {"dw", dw_at}};

static const float *result(const Conv *q, int i, int64_t *n)
{
    *n = numel(i == 0 ? q->y : i == 1 ? q->x : q->w);
    return i == 0 ? values(q->y) : grad(i == 1 ? q->x : q->w);
}

// Of one size on one device, plain and exact.
static void test_size(TestLog *log, World *w, int64_t N, int64_t H, int64_t C)
{
    double worst;
    int64_t n;
    w->dev.exact = false;
    tape_reset(&w->t);
    Conv q = convolve(w, N, H, C, false);
    char size[64];
    snprintf(size, sizeof size, "%lldx%lldx%lld C%lld", (long long)N, (long long)H, (long long)H, (long long)C);
    printf("  %s: %s: rms error", w->dev.name, size);
    for (int i = 0; i < 3; i++) {
        const float *got = result(&q, i, &n);
        const double e = relative_error(&q, got, n, sums[i].at, &worst);
        printf("%s %s %.2e", i ? "," : "", sums[i].name, e);
        TEST(log, e <= 2e-6, "%s: %s of %s errs by %.3g of its rms, want at most 2e-6", w->dev.name, sums[i].name, size,
             e);
    }
    printf("\n");
    for (int exact = 0; exact < 2; exact++) {
        w->dev.exact = exact;
        tape_reset(&w->t);
        q = convolve(w, N, H, C, true);
        for (int i = 0; i < 3; i++) {
            const float *got = result(&q, i, &n);
            relative_error(&q, got, n, sums[i].at, &worst);
            if (exact)
                TEST(log, worst == 0, "%s, exact: %s of integers errs by %g", w->dev.name, sums[i].name, worst);
            else   // else the test above did not see Winograd's algorithm
                TEST(log, worst > 0, "%s: %s of %s was computed directly", w->dev.name, sums[i].name, size);
        }
    }
}

// ---- batches

// two: windows K and K + 2, side by side
typedef struct Path { const char *name; int64_t H, C, K, O; int stride, pad; bool two; } Path;

enum { BATCH = 14 };

// y and dx of the first N of BATCH samples, one after the other.
static int64_t first_samples(World *w, const Path *p, int64_t N, float *out)
{
    Tape *t = &w->t;
    tape_reset(t);
    Tensor *x = tape_tensor(t, SHAPE(N, p->H, p->H, p->C)), *k = tape_tensor(t, SHAPE(p->K, p->K, p->C, p->O));
    Tensor *b = tape_tensor(t, SHAPE(p->O));
    fill(x->x, numel(x), 1, false);
    fill(k->x, numel(k), 2, false);
    fill(b->x, numel(b), 5, false);
    x->needs_grad = true;
    Tensor *y = NULL;
    if (p->two) {
        Tensor *k2 = tape_tensor(t, SHAPE(p->K + 2, p->K + 2, p->C, p->O));
        fill(k2->x, numel(k2), 6, false);
        y = tape_conv2d_multi(t, x, 2, (Tensor *[]){k, k2}, (Tensor *[]){b, NULL});
    } else {
        y = tape_conv2d(t, x, k, b, p->stride, p->pad);
    }
    fill(tape_grad(t, y), numel(y), 3, false);
    tape_backward_from(t, y);
    memcpy(out, y->x, tensor_bytes(y));
    memcpy(out + numel(y), x->g, tensor_bytes(x));
    return numel(y);
}

static void test_batches(TestLog *log, World *w, const Path *p)
{
    static const int64_t batches[] = {1, 2, 3, 5, 6, 7, 12, 13};
    const size_t mark = arena_mark(w->perm);
    const int64_t most = BATCH * p->H * p->H * (p->C + 2 * p->O);   // no y is larger than its image
    float *all = arena_alloc(w->perm, (size_t)most * sizeof *all);
    float *some = arena_alloc(w->perm, (size_t)most * sizeof *some);
    const int64_t ny = first_samples(w, p, BATCH, all), nx = BATCH * p->H * p->H * p->C;
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        const int64_t N = batches[i], n = first_samples(w, p, N, some);
        TEST(log, n == ny / BATCH * N && memcmp(all, some, (size_t)n * sizeof *all) == 0,
             "%s, %s: y of %lld samples has other bits than of %d", w->dev.name, p->name, (long long)N, BATCH);
        TEST(log, memcmp(all + ny, some + n, (size_t)(nx / BATCH * N) * sizeof *all) == 0,
             "%s, %s: dx of %lld samples has other bits than of %d", w->dev.name, p->name, (long long)N, BATCH);
    }
    arena_rewind(w->perm, mark);
}

static const Path paths[] = {
    {"stem 3x3", 12, 3, 3, 32, 1, 1, false}, {"stem 5x5", 12, 3, 5, 17, 1, 2, false},
    {"stem 7x7", 9, 3, 7, 16, 1, 3, false}, {"stem, 2 channels", 9, 2, 5, 18, 1, 2, false},
    {"stride 2", 12, 16, 3, 32, 2, 1, false}, {"stride 2, odd", 11, 20, 3, 40, 2, 1, false},
    {"stride 2, wide", 6, 160, 3, 130, 2, 1, false}, {"1x1", 5, 24, 1, 40, 1, 0, false},
    {"last", 6, 70, 3, 3, 1, 1, false}, {"Winograd 4", 12, 20, 3, 24, 1, 1, false},
    {"Winograd 3", 3, 40, 3, 24, 1, 1, false}, {"two branches", 12, 3, 3, 17, 1, 1, true},
    {"two branches, wide", 5, 7, 1, 40, 1, 0, true}};

// ---- branches

typedef struct Stem { int64_t N, H, W, O[4]; int n; } Stem;

enum { STEM_TENSORS = 9 };   // y, dw and db of up to four branches

// Copies of y and of the gradients of q's weights, from one op or from several.
static void stem_results(World *w, const Stem *q, bool together, Tensor out[STEM_TENSORS])
{
    Tape *t = &w->t;
    tape_reset(t);
    Tensor *x = tape_tensor(t, SHAPE(q->N, q->H, q->W, 3)), *k[4], *b[4], *branch[4], *of[STEM_TENSORS] = {0};
    fill(x->x, numel(x), 1, false);
    for (int m = 0; m < q->n; m++) {
        of[1 + 2 * m] = k[m] = tape_tensor(t, SHAPE(2 * m + 1, 2 * m + 1, 3, q->O[m]));
        of[2 + 2 * m] = b[m] = tape_tensor(t, SHAPE(q->O[m]));
        fill(k[m]->x, numel(k[m]), 2, false);
        fill(b[m]->x, numel(b[m]), 5, false);
        k[m]->needs_grad = b[m]->needs_grad = true;
    }
    for (int m = 0; m < q->n && !together; m++) branch[m] = tape_conv2d(t, x, k[m], b[m], 1, m);
    Tensor *y = together ? tape_conv2d_multi(t, x, q->n, k, b) : tape_concat(t, branch, q->n, 3);
    fill(tape_grad(t, y), numel(y), 3, false);
    tape_backward_from(t, y);
    for (int i = 0; i < 2 * q->n + 1; i++) {
        out[i] = i ? *of[i] : *y;
        out[i].x = memcpy(arena_alloc(w->perm, tensor_bytes(&out[i])), i ? of[i]->g : y->x, tensor_bytes(&out[i]));
    }
}

static void test_branches(TestLog *log, World *w, const Stem *q)
{
    const size_t mark = arena_mark(w->perm);
    Tensor one[STEM_TENSORS], several[STEM_TENSORS];
    stem_results(w, q, true, one);
    stem_results(w, q, false, several);
    for (int i = 0; i < 2 * q->n + 1; i++)
        TEST(log, shape_equal(one[i].shape, several[i].shape) &&
                      memcmp(one[i].x, several[i].x, tensor_bytes(&one[i])) == 0,
             "%s: %s %d of conv2d_multi, %lldx%lldx%lld, has other bits than conv2d's", w->dev.name,
             i == 0 ? "y" : i % 2 ? "dw" : "db", (i - 1) / 2, (long long)q->N, (long long)q->H, (long long)q->W);
    arena_rewind(w->perm, mark);
}

static const Stem stems[] = {{29, 12, 12, {16, 16, 16}, 3}, {3, 12, 12, {32, 32, 32}, 3},
                             {2, 23, 23, {32, 32, 32, 32}, 4}, {1, 12, 12, {16, 16, 16}, 3},
                             {13, 9, 6, {5, 17, 33, 7}, 4}};

void test_conv(TestLog *log)
{
    static const struct { int64_t N, H; } image[] = {{2, 12}, {4, 6}, {8, 3}, {1, 23}};
    const Isa most = world_f32().isa;
    if (most == ISA_SCALAR) test_skip(log, "no AVX2 here");
    for (Isa isa = ISA_AVX2; isa <= most; isa++) {
        World *w = world_new(device_cpu_f32(isa), false);
        for (int64_t C = 128; C <= (log->quick ? 128 : 512); C *= 2)
            for (int i = 0; i < 4; i++) test_size(log, w, image[i].N, image[i].H, C);
        for (int exact = 0; exact < 2; exact++)
            for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
                w->dev.exact = exact;
                test_batches(log, w, &paths[i]);
            }
        for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) test_branches(log, w, &stems[i]);
        world_delete(w);
    }
}
