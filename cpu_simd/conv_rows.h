// Convolution without copies of windows (gemm.h's fetch_a).  A register tile reads windows where they are:
//   forward   a tile = the same pixel of up to MR images x 2 vectors of outputs; terms: what of the window lies inside
//             the image.  With few images: up to MR pixels of an output row, from a copy of a band with its zeros
//   dw        a tile = up to MR weights of one column of the kernel x 2 vectors of outputs; terms: the pixels whose tap
//             lies inside the image
// Zeros around an image are not multiplied (5x5, pad 2, 12x12 pixels: a fifth of all products).  Both kinds of forward
// tile add in the same order, so a sample does not depend on its batch.
// Measured, also for the prefetch below: bench/RESULTS.md, 2026-11-21, What single kernels gained.
#ifndef LEAD_CPU_SIMD_CONV_ROWS_H
#define LEAD_CPU_SIMD_CONV_ROWS_H

#include "cpu_simd/gemm.h"
#include "cpu_simd/range.h"

// Image [..,H,W,C]; pixel (i,j) of a grid Ho x Wo sees rows i s + top + a, columns j s + left + e, a < KH, e < KW.
typedef struct Window {
    const float *x;
    int64_t H, W, C, KH, KW, Ho, Wo, s, top, left;
} Window;

typedef struct Span { int64_t from, to; } Span;

// The numbers t < n for which 0 <= at + t step < size.
static inline Span inside_span(int64_t at, int64_t step, int64_t size, int64_t n)
{
    const Span v = {.from = at < 0 ? ceil_div(-at, step) : 0, .to = at < size ? ceil_div(size - at, step) : 0};
    return (Span){min_i64(v.from, n), min_i64(v.to, n)};
}

// The sums of a tile run over blocks x runs x run terms; A and B skip so many floats after a run and after a block.
// Row r of A lies r / 3 times `group` and r % 3 times `ra` floats after its start, that of C alike.
typedef struct RowTile {
    int64_t blocks, runs, run;
    int64_t skip_a, skip_b, hop_a, hop_b;
    int64_t ra, group, ca, ldb;   // ca, ldb: from term to term
    float *c;
    int64_t ldc, group_c;
    int64_t n;                    // columns of the tile
    const float *bias;
    bool add;
} RowTile;

typedef void RowTileFn(const RowTile *q, const float *a, const float *b);

// One branch for all rows: a branch for each value took a tenth of the time of a 3x3 window of 3 channels.
static inline __attribute__((always_inline)) void row_tile_end(const int rows, const int nv, bool whole,
                                                               const RowTile *q, vf acc[MR][NV])
{
    const vmask last = vhead(q->n - (nv - 1) * VW);
    vf bias[NV];
#pragma GCC unroll 2
    for (int j = 0; j < nv; j++) bias[j] = q->bias ? vload_n(q->bias + j * VW, q->n - j * VW) : vzero();
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) acc[i][j] = vadd(acc[i][j], bias[j]);
    float *const c = q->c;
    const int64_t ldc = q->ldc, group = q->group_c;
#define AT(i, j) (c + (i) / 3 * group + (i) % 3 * ldc + (j) * VW)
#define VALUES _Pragma("GCC unroll 12") for (int i = 0; i < rows; i++) \
    _Pragma("GCC unroll 2") for (int j = 0; j < nv; j++)
    if (!whole) {
        VALUES {
            const vmask m = j == nv - 1 ? last : vhead(VW);
            if (q->add) acc[i][j] = vadd(vload_m(AT(i, j), m), acc[i][j]);
            vstore_m(AT(i, j), m, acc[i][j]);
        }
        return;
    }
    if (q->add) {
        VALUES acc[i][j] = vadd(vload(AT(i, j)), acc[i][j]);
    }
    VALUES vstore(AT(i, j), acc[i][j]);
#undef VALUES
#undef AT
}

static inline __attribute__((always_inline)) void row_tile(const int rows, const int nv, const RowTile *q,
                                                           const float *a, const float *b)
{
    vf acc[MR][NV];
    const float *pa[4];
    const vmask last = vhead(q->n - (nv - 1) * VW);
    const int64_t ra = q->ra, ca = q->ca, ldb = q->ldb, run = q->run;
#pragma GCC unroll 4
    for (int i = 0; i < (rows + 2) / 3; i++) pa[i] = a + i * q->group;
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) acc[i][j] = vzero();
    for (int64_t block = 0; block < q->blocks; block++) {
        for (int64_t r = 0; r < q->runs; r++) {
            for (int64_t k = 0; k < run; k++) {
                vf vb[NV];
#pragma GCC unroll 2
                for (int j = 0; j < nv; j++) vb[j] = j == nv - 1 ? vload_m(b + j * VW, last) : vload(b + j * VW);
#pragma GCC unroll 12
                for (int i = 0; i < rows; i++) {
                    const vf va = vset1(pa[i / 3][i % 3 * ra]);
#pragma GCC unroll 2
                    for (int j = 0; j < nv; j++) acc[i][j] = vfma(va, vb[j], acc[i][j]);
                }
#pragma GCC unroll 4
                for (int i = 0; i < (rows + 2) / 3; i++) pa[i] += ca;
                b += ldb;
            }
#pragma GCC unroll 4
            for (int i = 0; i < (rows + 2) / 3; i++) pa[i] += q->skip_a;
            b += q->skip_b;
        }
#pragma GCC unroll 4
        for (int i = 0; i < (rows + 2) / 3; i++) pa[i] += q->hop_a;
        b += q->hop_b;
    }
    row_tile_end(rows, nv, q->n >= nv * VW, q, acc);
}

#define ROW_TILE(rows)                                                                                              \
    static void row_tile_##rows##_1(const RowTile *q, const float *a, const float *b) { row_tile(rows, 1, q, a, b); } \
    static void row_tile_##rows##_2(const RowTile *q, const float *a, const float *b) { row_tile(rows, 2, q, a, b); }
#define NAMES(rows) {row_tile_##rows##_1, row_tile_##rows##_2}
ROW_TILE(1) ROW_TILE(2) ROW_TILE(3) ROW_TILE(4) ROW_TILE(5) ROW_TILE(6)
#if defined(__AVX512F__)
ROW_TILE(7) ROW_TILE(8) ROW_TILE(9) ROW_TILE(10) ROW_TILE(11) ROW_TILE(12)
#endif
static RowTileFn *const row_tiles[MR + 1][NV] = {   // [rows][columns > VW]
    {NULL, NULL}, NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if defined(__AVX512F__)
    NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12),
#endif
};
#undef ROW_TILE
#undef NAMES

// ---- bands

enum { BAND = 24 };   // output rows of a band at most

static inline int64_t band_pitch(const Window *w) { return ((w->Wo - 1) * w->s + w->KW) * w->C; }
static inline int64_t band_rows(const Window *w, int64_t rows) { return (rows - 1) * w->s + w->KH; }
static inline size_t band_floats(const Window *w)
{
    return padded(band_rows(w, min_i64(w->Ho, BAND)) * band_pitch(w) + VW);
}

// What output rows i0.. of image n see, zeros included, to dst.
static void band_copy(const Window *w, int64_t n, int64_t i0, int64_t rows, float *dst)
{
    const int64_t pitch = band_pitch(w), cols = pitch / w->C;
    const int64_t from = w->left < 0 ? min_i64(-w->left, cols) : 0, to = min_i64(cols, w->W - w->left);
    for (int64_t r = 0; r < band_rows(w, rows); r++, dst += pitch) {
        const int64_t h = i0 * w->s + w->top + r;
        if (h < 0 || h >= w->H || to <= from) {
            zero_floats(dst, pitch);
            continue;
        }
        zero_floats(dst, from * w->C);
        copy_floats(dst + from * w->C, w->x + ((n * w->H + h) * w->W + w->left + from) * w->C, (to - from) * w->C);
        zero_floats(dst + to * w->C, (cols - to) * w->C);
    }
}

// ---- forward

typedef struct RowConv {
    Window w;
    int64_t N, O;
    const float *panels, *bias;           // weights [O / NR panels][KH KW C][NR]
    float *y;                             // pixel (n,i,j) at y + n image + i row + j pixel
    int64_t image, row, pixel;
    bool add;
    int64_t chain;                        // terms of a sum before it is added to y
} RowConv;

// One tile: kernel rows v, floats h of each of them; `a`: where the window of the first row of the tile begins, kernel
// rows `pitch` apart.  Pieces of at most `chain` terms, cut at the same places whatever v and h.
static void sum_windows(const RowConv *q, RowTile *t, RowTileFn *fn, const float *a, int64_t pitch, Span v, Span h,
                        const float *b)
{
    const int64_t run = q->w.KW * q->w.C, high = q->chain > run ? q->chain / run : 1, wide = min_i64(run, q->chain);
    bool first = true;
    t->add = q->add;
    for (int64_t a0 = 0; a0 < q->w.KH; a0 += high)
        for (int64_t k0 = 0; k0 < run; k0 += wide) {
            const int64_t top = a0 > v.from ? a0 : v.from, end = min_i64(a0 + high, v.to);
            const int64_t from = k0 > h.from ? k0 : h.from, to = min_i64(k0 + wide, h.to);
            const bool last = a0 + high >= q->w.KH && k0 + wide >= run;
            const bool empty = top >= end || from >= to;
            if (empty && !(first && last)) continue;
            t->runs = empty ? 0 : end - top, t->run = to - from;
            t->skip_a = pitch - t->run, t->skip_b = (run - t->run) * NR;
            fn(t, a + top * pitch + from, b + (top * run + from) * NR);
            t->add = true, t->bias = NULL, first = false;
        }
}

static void rows_of_band(const RowConv *q, const float *band, int64_t n, int64_t i0, int64_t rows)
{
    const Window *w = &q->w;
    const int64_t K = w->KH * w->KW * w->C, pitch = band_pitch(w), n_tiles = ceil_div(w->Wo, MR), ra = w->s * w->C;
    RowTile tile = {.blocks = 1, .ra = ra, .group = 3 * ra, .ca = 1, .ldb = NR, .ldc = q->pixel,
                    .group_c = 3 * q->pixel};
    for (int64_t o = 0; o < q->O; o += NR) {
        tile.n = min_i64(NR, q->O - o);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t t = 0; t < n_tiles; t++) {
                const int64_t j = t * w->Wo / n_tiles, pixels = (t + 1) * w->Wo / n_tiles - j;
                tile.c = q->y + n * q->image + (i0 + i) * q->row + j * q->pixel + o;
                tile.bias = q->bias ? q->bias + o : NULL;
                sum_windows(q, &tile, row_tiles[pixels][tile.n > VW], band + i * w->s * pitch + j * ra, pitch,
                            (Span){0, w->KH}, (Span){0, w->KW * w->C}, q->panels + o * K);
            }
    }
}

// Output row i of images n0.. .  Their pixels of y lie far apart and are prefetched before the sums; the short sums of
// three channels gain nothing from that.
static void row_of_images(const RowConv *q, int64_t n0, int64_t images, int64_t i)
{
    const Window *w = &q->w;
    const int64_t K = w->KH * w->KW * w->C, ra = w->H * w->W * w->C, h = i * w->s + w->top;
    const Span v = inside_span(h, 1, w->H, w->KH);
    RowTile tile = {.blocks = 1, .ra = ra, .group = 3 * ra, .ca = 1, .ldb = NR, .ldc = q->image,
                    .group_c = 3 * q->image};
    for (int64_t o = 0; o < q->O; o += NR) {
        tile.n = min_i64(NR, q->O - o);
        for (int64_t j = 0; j < w->Wo; j++) {
            const int64_t at = j * w->s + w->left;
            const Span e = inside_span(at, 1, w->W, w->KW);
            tile.c = q->y + n0 * q->image + i * q->row + j * q->pixel + o;
            tile.bias = q->bias ? q->bias + o : NULL;
            for (int64_t n = 0; n < images && w->C >= 16; n++)
                for (int64_t k = 0; k < tile.n; k += 16) __builtin_prefetch(tile.c + n * q->image + k, 0, 2);
            sum_windows(q, &tile, row_tiles[images][tile.n > VW], w->x + n0 * ra + (h * w->W + at) * w->C, w->W * w->C,
                        v, (Span){e.from * w->C, e.to * w->C}, q->panels + o * K);
        }
    }
}

static void images_forward(const RowConv *q, int threads)
{
    const int64_t groups = ceil_div(q->N, MR);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t task = 0; task < groups * q->w.Ho; task++) {
        const int64_t g = task / q->w.Ho, n0 = g * q->N / groups, n1 = (g + 1) * q->N / groups;
        row_of_images(q, n0, n1 - n0, task % q->w.Ho);
    }
}

static void bands_forward(const RowConv *q, int threads, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const Window *w = &q->w;
    const int64_t bands = ceil_div(w->Ho, BAND);
    float *copies = arena_alloc(scratch, band_floats(w) * (size_t)threads * sizeof *copies);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t task = 0; task < q->N * bands; task++) {
        float *band = copies + band_floats(w) * (size_t)omp_get_thread_num();
        const int64_t n = task / bands, i0 = task % bands * w->Ho / bands, i1 = (task % bands + 1) * w->Ho / bands;
        band_copy(w, n, i0, i1 - i0, band);
        rows_of_band(q, band, n, i0, i1 - i0);
    }
    arena_rewind(scratch, mark);
}

// y = or += the convolution.
static void rows_forward(const RowConv *q, Arena *scratch)
{
    const int64_t work = q->N * q->w.Ho * q->w.Wo * q->w.KH * q->w.KW * q->w.C * q->O;
    const int threads = work > PAR_WORK ? omp_get_max_threads() : 1;
    if (q->N >= MR / 2) images_forward(q, threads);
    else bands_forward(q, threads, scratch);
}

// ---- dw

enum { DW_TERMS = 512 };   // terms of a sum before it is added to dw, about

typedef struct RowWeights {
    Window w;
    const float *dy;
    int64_t O;
} RowWeights;

// Column e of the kernel, rows a: dw [KH][KW][C][O] += from output rows i and columns j, all of whose taps lie inside,
// of images n.  A tile takes up to MR channels of one tap, or the 3 channels of up to MR / 3 taps below each other.
static void weights_of_column(const RowWeights *q, Span n, Span i, Span j, Span a, int64_t e, float *dw)
{
    const Window *w = &q->w;
    const bool three = w->C == 3;
    const int64_t line = w->W * w->C, cols = j.to - j.from, rows = i.to - i.from, taps = a.to - a.from;
    const int64_t tiles_down = three ? ceil_div(taps, MR / 3) : taps, parts = three ? 1 : ceil_div(w->C, MR);
    const float *x = w->x + ((n.from * w->H + i.from * w->s + w->top) * w->W + j.from * w->s + w->left + e) * w->C;
    const float *dy = q->dy + ((n.from * w->Ho + i.from) * w->Wo + j.from) * q->O;
    RowTile t = {.blocks = n.to - n.from, .runs = rows, .run = cols, .ra = 1, .group = three ? line : 3,
                 .ca = w->s * w->C, .skip_a = w->s * (line - cols * w->C), .hop_a = (w->H - rows * w->s) * line,
                 .ldb = q->O, .skip_b = (w->Wo - cols) * q->O, .hop_b = (w->Ho - rows) * w->Wo * q->O,
                 .ldc = q->O, .group_c = (three ? w->KW * w->C : 3) * q->O, .add = true};
    for (int64_t o = 0; o < q->O; o += NR) {
        t.n = min_i64(NR, q->O - o);
        for (int64_t d = 0; d < tiles_down; d++)
            for (int64_t p = 0; p < parts; p++) {
                const int64_t a0 = a.from + d * taps / tiles_down, a1 = a.from + (d + 1) * taps / tiles_down;
                const int64_t k = p * w->C / parts, height = three ? 3 * (a1 - a0) : (p + 1) * w->C / parts - k;
                t.c = dw + ((a0 * w->KW + e) * w->C + k) * q->O + o;
                row_tiles[height][t.n > VW](&t, x + a0 * line + k, dy + o);
            }
    }
}

// Output rows that the same kernel rows reach form a group: at the edges of the image fewer rows do.
static void weights_of_images(const RowWeights *q, Span n, float *dw)
{
    const Window *w = &q->w;
    for (Span i = {0, 0}; i.from < w->Ho; i.from = i.to) {
        const Span a = inside_span(i.from * w->s + w->top, 1, w->H, w->KH);
        for (i.to = i.from + 1; i.to < w->Ho && i.to - i.from < ceil_div(DW_TERMS, w->Wo); i.to++) {
            const Span next = inside_span(i.to * w->s + w->top, 1, w->H, w->KH);
            if (next.from != a.from || next.to != a.to) break;
        }
        const int64_t terms = (i.to - i.from) * w->Wo, images = ceil_div(DW_TERMS, terms);
        for (int64_t n0 = n.from; n0 < n.to; n0 += images)
            for (int64_t e = 0; e < w->KW; e++) {
                const Span j = inside_span(w->left + e, w->s, w->W, w->Wo);
                if (a.from < a.to && j.from < j.to)
                    weights_of_column(q, (Span){n0, min_i64(n0 + images, n.to)}, i, j, a, e, dw);
            }
    }
}

// dw += over N images, in slices of images that each have a sum of their own: as many whatever the threads.
static void rows_weights(const Window *w, const float *dy, int64_t N, int64_t O, float *dw, Arena *scratch)
{
    enum { SLICES = 16 };
    const size_t mark = arena_mark(scratch);
    const RowWeights q = {.w = *w, .dy = dy, .O = O};
    const int64_t slices = min_i64(SLICES, N), floats = w->KH * w->KW * w->C * O;
    const int threads = N * w->Ho * w->Wo * floats > PAR_WORK ? omp_get_max_threads() : 1;
    float *sums = arena_zalloc(scratch, (size_t)(slices * floats) * sizeof *sums);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t s = 0; s < slices; s++)
        weights_of_images(&q, (Span){s * N / slices, (s + 1) * N / slices}, sums + s * floats);
    add_rows(dw, sums, slices, floats);
    arena_rewind(scratch, mark);
}

#endif
