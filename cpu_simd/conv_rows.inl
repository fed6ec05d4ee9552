// Convolution row by row, for products too small to pay for a copy of every window (gemm.inl's fetch_a): few channels.
// A band of an image is copied once, with its zeros around it; in that copy the windows of neighbouring pixels overlap,
// and a register tile reads them where they are:
//   forward   a tile = up to MR pixels of an output row x 2 vectors of outputs; terms: KH runs of KW C floats
//   dw        a tile = up to MR of the KW C weights of a kernel row x 2 vectors of outputs; terms: Ho runs of Wo pixels
// Measured on one Zen 4 core, share of the multiply-add peak with copied windows -> here: 5x5 of 3 channels, 12x12
// pixels, forward 0.46 -> 0.91, dw 0.32 -> 0.91; 3x3 stride 2, 16 -> 32 channels, forward 0.60 -> 0.78, dx 0.48 -> 0.79.
#ifndef LEAD_CPU_SIMD_CONV_ROWS_INL
#define LEAD_CPU_SIMD_CONV_ROWS_INL

#include "cpu_simd/gemm.inl"
#include "cpu_simd/range.inl"

// Image [..,H,W,C]; pixel (i,j) of a grid Ho x Wo sees rows i s + top + a, columns j s + left + e, a < KH, e < KW.
typedef struct Window {
    const float *x;
    int64_t H, W, C, KH, KW, Ho, Wo, s, top, left;
} Window;

// The sums of a tile run over `runs` times `run` terms; between two runs A skips `skip` floats.
typedef struct RowTile {
    int64_t runs, run, skip;
    int64_t ra, ca, ldb;       // A: floats from row to row, from term to term; B: from term to term
    float *c;
    int64_t ldc, n;            // columns of the tile
    const float *bias;
    bool add;
} RowTile;

typedef void RowTileFn(const RowTile *q, const float *a, const float *b);

static inline __attribute__((always_inline)) void row_tile(const int rows, const int nv, const RowTile *q,
                                                           const float *a, const float *b)
{
    vf acc[MR][NV];
    const float *pa[4];
    const vmask last = vhead(q->n - (nv - 1) * VW);
    const int64_t ra = q->ra, ca = q->ca, ldb = q->ldb;
#pragma GCC unroll 4
    for (int i = 0; i < (rows + 2) / 3; i++) pa[i] = a + 3 * i * ra;
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) acc[i][j] = vzero();
    for (int64_t r = 0; r < q->runs; r++) {
        for (int64_t k = 0; k < q->run; k++) {
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
        for (int i = 0; i < (rows + 2) / 3; i++) pa[i] += q->skip;
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) {
            const int64_t n = q->n - j * VW;
            float *c = q->c + i * q->ldc + j * VW;
            vf v = acc[i][j];
            if (q->bias) v = vadd(v, vload_n(q->bias + j * VW, n));
            vstore_n(c, n, q->add ? vadd(vload_n(c, n), v) : v);
        }
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
} RowConv;

static void rows_of_band(const RowConv *q, const float *band, int64_t n, int64_t i0, int64_t rows)
{
    const Window *w = &q->w;
    const int64_t K = w->KH * w->KW * w->C, pitch = band_pitch(w), n_tiles = ceil_div(w->Wo, MR);
    RowTile tile = {.runs = w->KH, .run = w->KW * w->C, .skip = pitch - w->KW * w->C, .ra = w->s * w->C, .ca = 1,
                    .ldb = NR, .ldc = q->pixel, .add = q->add};
    for (int64_t o = 0; o < q->O; o += NR) {
        tile.n = min_i64(NR, q->O - o);
        tile.bias = q->bias ? q->bias + o : NULL;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t t = 0; t < n_tiles; t++) {
                const int64_t j = t * w->Wo / n_tiles, pixels = (t + 1) * w->Wo / n_tiles - j;
                tile.c = q->y + n * q->image + (i0 + i) * q->row + j * q->pixel + o;
                row_tiles[pixels][tile.n > VW](&tile, band + i * w->s * pitch + j * tile.ra, q->panels + o * K);
            }
    }
}

// y = or += the convolution; every band on its own.
static void rows_forward(const RowConv *q, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const Window *w = &q->w;
    const int64_t bands = ceil_div(w->Ho, BAND), work = q->N * w->Ho * w->Wo * w->KH * w->KW * w->C * q->O;
    const int threads = work > PAR_WORK ? omp_get_max_threads() : 1;
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

// ---- dw

// dw [KH][KW C][O] += of one band.
static void weights_of_band(const Window *w, const float *band, const float *dy, int64_t rows, int64_t O, float *dw)
{
    const int64_t pitch = band_pitch(w), run = w->KW * w->C, n_tiles = ceil_div(run, MR);
    RowTile tile = {.runs = rows, .run = w->Wo, .skip = w->s * (pitch - w->Wo * w->C), .ra = 1, .ca = w->s * w->C,
                    .ldb = O, .ldc = O, .add = true};
    for (int64_t o = 0; o < O; o += NR) {
        tile.n = min_i64(NR, O - o);
        for (int64_t a = 0; a < w->KH; a++)
            for (int64_t t = 0; t < n_tiles; t++) {
                const int64_t k = t * run / n_tiles, height = (t + 1) * run / n_tiles - k;
                tile.c = dw + (a * run + k) * O + o;
                row_tiles[height][tile.n > VW](&tile, band + a * pitch + k, dy + o);
            }
    }
}

// dw += over N images, in slices of images that each have a sum of their own: as many whatever the threads.
static void rows_weights(const Window *w, const float *dy, int64_t N, int64_t O, float *dw, Arena *scratch)
{
    enum { SLICES = 16 };
    const size_t mark = arena_mark(scratch);
    const int64_t bands = ceil_div(w->Ho, BAND), slices = min_i64(SLICES, N), floats = w->KH * w->KW * w->C * O;
    const int threads = N * w->Ho * w->Wo * floats > PAR_WORK ? omp_get_max_threads() : 1;
    float *copies = arena_alloc(scratch, band_floats(w) * (size_t)threads * sizeof *copies);
    float *sums = arena_alloc(scratch, (size_t)(slices * floats) * sizeof *sums);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t s = 0; s < slices; s++) {
        float *band = copies + band_floats(w) * (size_t)omp_get_thread_num(), *sum = sums + s * floats;
        memset(sum, 0, (size_t)floats * sizeof *sum);
        for (int64_t n = s * N / slices; n < (s + 1) * N / slices; n++)
            for (int64_t b = 0; b < bands; b++) {
                const int64_t i0 = b * w->Ho / bands, i1 = (b + 1) * w->Ho / bands;
                band_copy(w, n, i0, i1 - i0, band);
                weights_of_band(w, band, dy + (n * w->Ho + i0) * w->Wo * O, i1 - i0, O, sum);
            }
    }
    add_rows(dw, sums, slices, floats);
    arena_rewind(scratch, mark);
}

#endif
