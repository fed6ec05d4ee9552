// Convolutions of few input channels by several windows in one pass over the image: conv2d_multi, and conv2d where it
// is such a stem of one branch, but for its dx.  Formula: src/tensor/ref/conv2d_multi.inl
//   forward   the images are copied once, in groups of up to MR: one value of each image of the group side by side.  A
//             register tile = a pixel of all images of a group x 2 vectors of outputs of one branch; terms: what of the
//             window lies inside the image, MR broadcasts from neighbouring addresses each
//   dx        a tile = the same pixel of DX_IMAGES images x the channels of x; vectors run along the outputs.  Windows
//             ascend, so the branches that see a tap are the last ones: one run of outputs at each tap for all of them
//   dw        a tile = one row of a window (AVX2: two taps of it) x 16 outputs; terms: the pixels of a few images, at
//             both edges with the taps that lie inside.  dy of these images stays in the L2 cache for all branches
// An element's sum has the same order whatever the batch, the threads, or the branches beside its own, except in dx,
// which adds all branches of a tap.
// Sums of all branches side by side in one tile would save broadcasts alone, which are not what bounds these tiles.
// The images are copied first, so that one pointer and its lines replace twelve.  All branches of a pixel come before
// the next pixel, so that y is written in order.
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
#ifndef LEAD_CPU_SIMD_CONV_MULTI_H
#define LEAD_CPU_SIMD_CONV_MULTI_H

#include "cpu_simd/conv_rows.h"

enum { MULTI_BRANCHES = (OP_MAX_IN - 1) / 2 };

typedef struct Branch {
    const float *w, *bias;
    float *dw, *db;
    int64_t k, p, first, O;          // k x k taps, p = k / 2; outputs first .. first + O - 1
} Branch;

typedef struct Multi {
    int64_t N, H, W, C, O;           // O: outputs of all branches
    const float *x, *dy;
    float *y, *dx;
    int n;
    Branch b[MULTI_BRANCHES];
} Multi;

static Multi multi_of(const OpCall *c)
{
    const int64_t *d = c->in[0]->shape.d;
    Multi q = {.N = d[0], .H = d[1], .W = d[2], .C = d[3], .x = in_x(c, 0), .dx = in_g(c, 0), .y = out_x(c, 0),
               .dy = out_g(c, 0)};
    for (int i = 1; i < c->n_in && c->in[i]; i += 2) {
        const int64_t *w = c->in[i]->shape.d;
        q.b[q.n++] = (Branch){.w = in_x(c, i), .bias = in_x(c, i + 1), .dw = in_g(c, i), .db = in_g(c, i + 1),
                              .k = w[0], .p = w[0] / 2, .first = q.O, .O = w[3]};
        q.O += w[3];
    }
    return q;
}

static int64_t multi_work(const Multi *q)
{
    int64_t weights = 0;
    for (int m = 0; m < q->n; m++) weights += q->b[m].k * q->b[m].k * q->b[m].O;
    return q->N * q->H * q->W * q->C * weights;
}

// ---- forward

// Terms: `rows` rows of `run` values, those of A `skip_a`, of B `skip_b` floats after the row before.
typedef struct MultiTile {
    int64_t rows, run, skip_a, skip_b, ldb;
    float *y;
    int64_t image;                   // floats from image to image of y
    int64_t n;                       // outputs of the tile
    const float *bias;
} MultiTile;

typedef void MultiTileFn(const MultiTile *q, const float *a, const float *b);

static inline __attribute__((always_inline)) void multi_tile(const int images, const int nv, const MultiTile *q,
                                                             const float *a, const float *b)
{
    vf acc[MR][NV];
    const bool whole = q->n >= nv * VW;
    const vmask last = vhead(q->n - (nv - 1) * VW);
    const int64_t ldb = q->ldb, run = q->run;
#define VALUES _Pragma("GCC unroll 12") for (int i = 0; i < images; i++) \
    _Pragma("GCC unroll 2") for (int j = 0; j < nv; j++)
    VALUES acc[i][j] = vzero();
    for (int64_t r = 0; r < q->rows; r++) {
        for (int64_t k = 0; k < run; k++) {
            vf vb[NV];
#pragma GCC unroll 2
            for (int j = 0; j < nv; j++) vb[j] = j == nv - 1 ? vload_m(b + j * VW, last) : vload(b + j * VW);
#pragma GCC unroll 12
            for (int i = 0; i < images; i++) {
                const vf va = vset1(a[i]);
#pragma GCC unroll 2
                for (int j = 0; j < nv; j++) acc[i][j] = vfma(va, vb[j], acc[i][j]);
            }
            a += images, b += ldb;
        }
        a += q->skip_a, b += q->skip_b;
    }
    vf bias[NV];
#pragma GCC unroll 2
    for (int j = 0; j < nv; j++) bias[j] = q->bias ? vload_n(q->bias + j * VW, q->n - j * VW) : vzero();
    VALUES acc[i][j] = vadd(acc[i][j], bias[j]);
    if (whole) {
        VALUES vstore(q->y + i * q->image + j * VW, acc[i][j]);
    } else {
        VALUES vstore_m(q->y + i * q->image + j * VW, j == nv - 1 ? last : vhead(VW), acc[i][j]);
    }
#undef VALUES
}

#define TILE(images)                                                                                              \
    static void multi_tile_##images##_1(const MultiTile *q, const float *a, const float *b)                       \
    {                                                                                                             \
        multi_tile(images, 1, q, a, b);                                                                           \
    }                                                                                                             \
    static void multi_tile_##images##_2(const MultiTile *q, const float *a, const float *b)                       \
    {                                                                                                             \
        multi_tile(images, 2, q, a, b);                                                                           \
    }
#define NAMES(images) {multi_tile_##images##_1, multi_tile_##images##_2}
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if defined(__AVX512F__)
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
static MultiTileFn *const multi_tiles[MR + 1][NV] = {   // [images][outputs > VW]
    {NULL, NULL}, NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if defined(__AVX512F__)
    NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12),
#endif
};
#undef TILE
#undef NAMES

// n floats of each of `images` images, side by side to dst.
static void pack_images(const float *x, int64_t image, int64_t images, int64_t n, float *dst)
{
    int64_t k = 0;
    for (; k + VW <= n; k += VW) {
        vf r[VW];
#pragma GCC unroll 16
        for (int i = 0; i < VW; i++) r[i] = i < images ? vload(x + i * image + k) : vzero();
        transpose_vectors(r);
        const vmask m = vhead(images);
#pragma GCC unroll 16
        for (int i = 0; i < VW; i++) vstore_m(dst + (k + i) * images, m, r[i]);
    }
    for (; k < n; k++)
        for (int64_t i = 0; i < images; i++) dst[k * images + i] = x[i * image + k];
}

// Output row i of images n0.., packed in a.
static void multi_row(const Multi *q, const float *a, int64_t n0, int64_t images, int64_t i)
{
    const int64_t line = q->W * q->C * images;
    MultiTile t = {.image = q->H * q->W * q->O};
    for (int64_t j = 0; j < q->W; j++)
        for (int m = 0; m < q->n; m++) {
            const Branch *b = &q->b[m];
            const Span v = inside_span(i - b->p, 1, q->H, b->k), h = inside_span(j - b->p, 1, q->W, b->k);
            t.rows = v.to - v.from, t.run = (h.to - h.from) * q->C, t.ldb = b->O;
            t.skip_a = line - t.run * images, t.skip_b = (b->k * q->C - t.run) * b->O;
            for (int64_t o = 0; o < b->O; o += NR) {
                t.n = min_i64(NR, b->O - o);
                t.bias = b->bias ? b->bias + o : NULL;
                t.y = q->y + ((n0 * q->H + i) * q->W + j) * q->O + b->first + o;
                multi_tiles[images][t.n > VW](
                    &t, a + (i - b->p + v.from) * line + (j - b->p + h.from) * q->C * images,
                    b->w + (v.from * b->k + h.from) * q->C * b->O + o);
            }
        }
}

static void multi_forward(const Multi *q, Arena *scratch)
{
    enum { PIECE = 16 * VW };   // floats of each image that are copied at once
    const size_t mark = arena_mark(scratch);
    const int64_t groups = ceil_div(q->N, MR), image = q->H * q->W * q->C, pieces = ceil_div(image, PIECE);
    const int threads = multi_work(q) > PAR_WORK ? omp_get_max_threads() : 1;
    float *a = arena_alloc(scratch, padded(q->N * image) * sizeof *a);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (int64_t task = 0; task < groups * pieces; task++) {
            const int64_t g = task / pieces, k = task % pieces * PIECE, n0 = g * q->N / groups;
            const int64_t images = (g + 1) * q->N / groups - n0;
            pack_images(q->x + n0 * image + k, image, images, min_i64(PIECE, image - k), a + n0 * image + k * images);
        }
#pragma omp for schedule(static)
        for (int64_t task = 0; task < groups * q->H; task++) {
            const int64_t g = task / q->H, n0 = g * q->N / groups, n1 = (g + 1) * q->N / groups;
            multi_row(q, a + n0 * image, n0, n1 - n0, task % q->H);
        }
    }
    arena_rewind(scratch, mark);
}

// ---- dx

#if defined(__AVX512F__)
enum { DX_IMAGES = 6 };
#else
enum { DX_IMAGES = 3 };
#endif

// Taps v x h of the largest window at a pixel; p, K: of that window.
typedef struct MultiBack {
    Span v, h;
    int64_t K, p, line, image, O, plane;   // floats of dy from line to line, image to image; of w between channels
    const int64_t *from;                   // [p+1] the first output that sees a tap so far from the middle
    const float *w;                        // [C][K][K][O], taps counted backwards
    float *dx;
    int64_t dx_image;
} MultiBack;

typedef void MultiBackFn(const MultiBack *q, const float *dy);   // dy: of tap (0,0)

static inline __attribute__((always_inline)) void multi_back(const int images, const int channels, const MultiBack *q,
                                                             const float *dy)
{
    vf acc[DX_IMAGES][SKINNY];
    for (int i = 0; i < images; i++)
        for (int c = 0; c < channels; c++) acc[i][c] = vzero();
    for (int64_t a = q->v.from; a < q->v.to; a++)
        for (int64_t e = q->h.from; e < q->h.to; e++) {
            const int64_t down = a < q->p ? q->p - a : a - q->p, right = e < q->p ? q->p - e : e - q->p;
            const float *w = q->w + (a * q->K + e) * q->O, *d = dy + a * q->line + e * q->O;
            for (int64_t o = q->from[down > right ? down : right]; o < q->O; o += VW) {
                const vmask m = vhead(q->O - o);
                vf vw[SKINNY];
#pragma GCC unroll 4
                for (int c = 0; c < channels; c++) vw[c] = vload_m(w + c * q->plane + o, m);
#pragma GCC unroll 6
                for (int i = 0; i < images; i++) {
                    const vf v = vload_m(d + i * q->image + o, m);
#pragma GCC unroll 4
                    for (int c = 0; c < channels; c++) acc[i][c] = vfma(v, vw[c], acc[i][c]);
                }
            }
        }
    for (int i = 0; i < images; i++)
        for (int c = 0; c < channels; c++) q->dx[i * q->dx_image + c] += vsum(acc[i][c]);
}

#define BACK(c)                                                                                               \
    static void multi_back_1_##c(const MultiBack *q, const float *dy) { multi_back(1, c, q, dy); }            \
    static void multi_back_n_##c(const MultiBack *q, const float *dy) { multi_back(DX_IMAGES, c, q, dy); }
BACK(1) BACK(2) BACK(3) BACK(4)
#undef BACK
static MultiBackFn *const multi_backs[SKINNY + 1][2] = {
    {NULL, NULL}, {multi_back_1_1, multi_back_n_1}, {multi_back_1_2, multi_back_n_2},
    {multi_back_1_3, multi_back_n_3}, {multi_back_1_4, multi_back_n_4}};

// w of MultiBack, and its `from`.
static float *flipped_taps(const Multi *q, int64_t *from, Arena *scratch)
{
    const Branch *top = &q->b[q->n - 1];
    float *w = arena_zalloc(scratch, padded(q->C * top->k * top->k * q->O + VW) * sizeof *w);
    for (int m = q->n - 1; m >= 0; m--) {
        const Branch *b = &q->b[m];
        for (int64_t r = 0; r <= b->p; r++) from[r] = b->first;
        for (int64_t t = 0; t < b->k * b->k; t++)
            for (int64_t c = 0; c < q->C; c++) {
                const int64_t a = top->p + b->p - t / b->k, e = top->p + b->p - t % b->k;
                memcpy(w + ((c * top->k + a) * top->k + e) * q->O + b->first, b->w + (t * q->C + c) * b->O,
                       (size_t)b->O * sizeof *w);
            }
    }
    return w;
}

static void multi_backward_x(const Multi *q, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const int64_t K = q->b[q->n - 1].k, p = K / 2, whole = q->N / DX_IMAGES, groups = whole + q->N % DX_IMAGES;
    int64_t *from = arena_alloc(scratch, (size_t)(p + 1) * sizeof *from);
    const float *w = flipped_taps(q, from, scratch);
#pragma omp parallel for schedule(static) if (multi_work(q) > PAR_WORK)
    for (int64_t task = 0; task < groups * q->H; task++) {
        const int64_t g = task / q->H, i = task % q->H, n0 = g < whole ? g * DX_IMAGES : g - whole + whole * DX_IMAGES;
        MultiBack t = {.v = inside_span(i - p, 1, q->H, K), .K = K, .p = p, .line = q->W * q->O,
                       .image = q->H * q->W * q->O, .O = q->O, .plane = K * K * q->O, .from = from,
                       .dx_image = q->H * q->W * q->C};
        for (int64_t j = 0; j < q->W; j++) {
            t.h = inside_span(j - p, 1, q->W, K);
            for (int64_t c = 0; c < q->C; c += SKINNY) {
                t.w = w + c * t.plane;
                t.dx = q->dx + ((n0 * q->H + i) * q->W + j) * q->C + c;
                MultiBackFn *const fn = multi_backs[min_i64(SKINNY, q->C - c)][g < whole];
                fn(&t, q->dy + n0 * t.image + (i - p) * t.line + (j - p) * q->O);
            }
        }
    }
    arena_rewind(scratch, mark);
}

// ---- dw, db

// Row a of a window over images: dw [k C][O] += sum x dy, pixels of rows i.
typedef struct MultiRow {
    const float *x, *dy;             // x: under tap 0 of that row at column 0 of the first of rows i
    int64_t images, rows, W, C, k;
    int64_t line, image, ld, dy_image;   // floats of x from line to line, image to image; of dy from pixel to pixel
    float *dw;
    int64_t O, n;                    // floats from weight to weight; outputs of the tile, at most DW_NV vectors
    const float *prefetch;           // dy of images to come, of which each row fetches so many cache lines
    int64_t prefetch_lines;
} MultiRow;

typedef void MultiRowFn(const MultiRow *q);

enum { LINE = 16, DW_NV = 16 / VW };   // floats of a cache line; vectors of outputs of a tile

// What the next images need is brought from memory in between, `each` lines at a row of a tile.
typedef struct Coming { const float *dy, *end; int64_t each; } Coming;

static inline void add_vector(float *to, vmask m, vf v) { vstore_m(to, m, vadd(vload_m(to, m), v)); }

// Taps t0 .. t1-1 of a row of k taps, of 3 channels; W >= k - 1.  The empty asm: gcc would else keep what neighbouring
// pixels share in registers, which are full of sums (dw of 5x5 half as fast).
static inline __attribute__((always_inline)) void multi_weights(const int k, const int t0, const int t1,
                                                                const MultiRow *q)
{
    enum { C = 3, MOST = 21 };
    vf acc[MOST][DW_NV];
    vmask outputs[DW_NV];
    const int p = k / 2, n = (t1 - t0) * C;
    const int64_t ld = q->ld;
    const float *prefetch = q->prefetch;
    for (int j = 0; j < DW_NV; j++) outputs[j] = vhead(q->n - j * VW);
#define SUMS _Pragma("GCC unroll 21") for (int i = 0; i < n; i++) \
    _Pragma("GCC unroll 2") for (int j = 0; j < DW_NV; j++)
    SUMS acc[i][j] = vzero();
    for (int64_t image = 0; image < q->images; image++)
        for (int64_t r = 0; r < q->rows; r++) {
            const float *a = q->x + image * q->image + r * q->line + t0 * C;
            const float *dy = q->dy + image * q->dy_image + r * q->W * ld;
            for (int64_t l = 0; l < q->prefetch_lines; l++, prefetch += LINE) __builtin_prefetch(prefetch, 0, 2);
#define PIXEL(from, to)                                                                                      \
    do {                                                                                                     \
        vf v[DW_NV];                                                                                         \
        for (int j = 0; j < DW_NV; j++) v[j] = vload_m(dy + j * VW, outputs[j]);                             \
        SUMS if (t0 + i / C >= (from) && t0 + i / C < (to)) acc[i][j] = vfma(vset1(a[i]), v[j], acc[i][j]);  \
        a += C, dy += ld;                                                                                    \
        __asm__("" : "+r"(a));                                                                               \
    } while (0)
            if (p >= 3) PIXEL(3, k);
            if (p >= 2) PIXEL(2, k);
            if (p >= 1) PIXEL(1, k);
            for (int64_t middle = 2 * p; middle < q->W; middle++) PIXEL(0, k);
            if (p >= 1) PIXEL(0, k - 1);
            if (p >= 2) PIXEL(0, k - 2);
            if (p >= 3) PIXEL(0, k - 3);
#undef PIXEL
        }
    SUMS add_vector(q->dw + (t0 * C + i) * q->O + j * VW, outputs[j], acc[i][j]);
#undef SUMS
}

static void multi_weights_1(const MultiRow *q) { multi_weights(1, 0, 1, q); }
#if defined(__AVX512F__)
static void multi_weights_3(const MultiRow *q) { multi_weights(3, 0, 3, q); }
static void multi_weights_5(const MultiRow *q) { multi_weights(5, 0, 5, q); }
static void multi_weights_7(const MultiRow *q) { multi_weights(7, 0, 7, q); }
#else   // half as many registers, half as wide
static void multi_weights_3(const MultiRow *q) { multi_weights(3, 0, 2, q), multi_weights(3, 2, 3, q); }
static void multi_weights_5(const MultiRow *q)
{
    multi_weights(5, 0, 2, q), multi_weights(5, 2, 4, q), multi_weights(5, 4, 5, q);
}
static void multi_weights_7(const MultiRow *q)
{
    multi_weights(7, 0, 2, q), multi_weights(7, 2, 4, q), multi_weights(7, 4, 6, q), multi_weights(7, 6, 7, q);
}
#endif

// Any number of taps and channels: one weight after the other.
static void multi_weights_any(const MultiRow *q)
{
    for (int64_t t = 0; t < q->k * q->C * DW_NV; t++) {
        const int64_t tap = t / DW_NV, o = t % DW_NV * VW;
        const Span j = inside_span(tap / q->C - q->k / 2, 1, q->W, q->W);
        if (o >= q->n) continue;
        const vmask m = vhead(q->n - o);
        vf sum = vzero();
        for (int64_t r = 0; r < q->images * q->rows; r++) {
            const float *a = q->x + r / q->rows * q->image + r % q->rows * q->line + tap;
            const float *dy = q->dy + r / q->rows * q->dy_image + r % q->rows * q->W * q->ld + o;
            for (int64_t i = j.from; i < j.to; i++) sum = vfma(vset1(a[i * q->C]), vload_m(dy + i * q->ld, m), sum);
        }
        add_vector(q->dw + tap * q->O + o, m, sum);
    }
}

static MultiRowFn *multi_row_fn(const Multi *q, const Branch *b)
{
    static MultiRowFn *const fn[] = {multi_weights_1, multi_weights_3, multi_weights_5, multi_weights_7};
    return q->C == 3 && b->k <= 7 && q->W >= b->k - 1 ? fn[b->p] : multi_weights_any;
}

// dw [k][k][C][O] of branch b += images n.
static void multi_weights_of(const Multi *q, const Branch *b, Span n, Coming *next, float *dw)
{
    const int64_t line = q->W * q->C, image = q->H * line;
    MultiRowFn *const fn = multi_row_fn(q, b);
    MultiRow t = {.images = n.to - n.from, .W = q->W, .C = q->C, .k = b->k, .line = line, .image = image, .ld = q->O,
                  .dy_image = q->H * q->W * q->O, .O = b->O};
    for (int64_t o = 0; o < b->O; o += DW_NV * VW) {
        t.n = min_i64(DW_NV * VW, b->O - o);
        for (int64_t a = 0; a < b->k; a++) {
            const Span i = inside_span(a - b->p, 1, q->H, q->H);
            if (i.from >= i.to) continue;
            t.rows = i.to - i.from;
            t.x = q->x + n.from * image + (i.from + a - b->p) * line - b->p * q->C;
            t.dy = q->dy + n.from * t.dy_image + i.from * q->W * q->O + b->first + o;
            t.dw = dw + a * b->k * q->C * b->O + o;
            t.prefetch = next->dy;
            t.prefetch_lines = min_i64(next->each, (next->end - next->dy) / (LINE * t.images * t.rows));
            next->dy += t.prefetch_lines * t.images * t.rows * LINE;
            fn(&t);
        }
    }
}

// db [O] of all branches += so many pixels.
static void multi_biases(const Multi *q, const float *dy, int64_t pixels, float *db)
{
    for (int64_t o = 0; o < q->O; o += VW) {
        const vmask m = vhead(q->O - o);
        vf sum = vzero();
        for (int64_t i = 0; i < pixels; i++) sum = vadd(sum, vload_m(dy + i * q->O + o, m));
        add_vector(db + o, m, sum);
    }
}

// A slice of images, a few at a time, of which dy stays in the L2 cache for all branches: db of all branches and the dw
// of each, one after the other, at at[..] of sum.
static void multi_slice(const Multi *q, Span slice, const int64_t *at, float *sum)
{
    enum { TERMS = 320 };   // of a sum before it is added to the others, about
    const int64_t pixels = q->H * q->W, images = ceil_div(TERMS, pixels);
    int64_t calls = 0;
    bool db = false;
    for (int m = 0; m < q->n; m++) calls += ceil_div(q->b[m].O, DW_NV * VW) * q->b[m].k, db |= q->b[m].db != NULL;
    for (int64_t n0 = slice.from; n0 < slice.to; n0 += images) {
        const Span n = {n0, min_i64(n0 + images, slice.to)};
        Coming next = {.dy = q->dy + n.to * pixels * q->O, .each = ceil_div(pixels * q->O, LINE * calls * q->H) + 1,
                       .end = q->dy + min_i64(n.to + images, slice.to) * pixels * q->O};
        if (db) multi_biases(q, q->dy + n0 * pixels * q->O, (n.to - n0) * pixels, sum);
        for (int m = 0; m < q->n; m++)
            if (q->b[m].dw) multi_weights_of(q, &q->b[m], n, &next, sum + at[m]);
    }
}

// dw, db += over all images, in slices that each have sums of their own: as many whatever the threads.
static void multi_backward_w(const Multi *q, Arena *scratch)
{
    enum { SLICES = 16 };
    const size_t mark = arena_mark(scratch);
    const int64_t slices = min_i64(SLICES, q->N);
    int64_t at[MULTI_BRANCHES + 1] = {q->O};
    for (int m = 0; m < q->n; m++) at[m + 1] = at[m] + q->b[m].k * q->b[m].k * q->C * q->b[m].O;
    const int64_t floats = at[q->n];
    float *sums = arena_zalloc(scratch, (size_t)(slices * floats) * sizeof *sums);
#pragma omp parallel for schedule(static) if (multi_work(q) > PAR_WORK)
    for (int64_t s = 0; s < slices; s++)
        multi_slice(q, (Span){s * q->N / slices, (s + 1) * q->N / slices}, at, sums + s * floats);
    for (int m = 0; m < q->n; m++)
        for (int64_t s = 0; s < slices; s++) {
            if (q->b[m].dw) add_run(sums + s * floats + at[m], q->b[m].dw, at[m + 1] - at[m]);
            if (q->b[m].db) add_run(sums + s * floats + q->b[m].first, q->b[m].db, q->b[m].O);
        }
    arena_rewind(scratch, mark);
}

static void multi_backward(const Multi *q, Arena *scratch)
{
    bool sums = false;
    for (int m = 0; m < q->n; m++) sums |= q->b[m].dw || q->b[m].db;
    if (q->dx) multi_backward_x(q, scratch);
    if (sums) multi_backward_w(q, scratch);
}

#endif
