// Convolution to at most SKINNY outputs (the last layer: 128 -> 3; dx of an image of 3 channels): vectors run along the
// window instead of the outputs, which would leave most lanes empty.  A tile = the same pixel of PIXELS images x the
// outputs; images + outputs vectors are loaded for images x outputs multiply-adds.  The order of a sum does not depend
// on the tile.
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
#ifndef LEAD_CPU_SIMD_CONV_SKINNY_H
#define LEAD_CPU_SIMD_CONV_SKINNY_H

#include "cpu_simd/conv_rows.h"

#if defined(__AVX512F__)
enum { PIXELS = 6 };
#else
enum { PIXELS = 3 };
#endif

// A window of images n0..: kernel rows v, floats h of each; a: where the window of the first image begins.
typedef struct SkinnyTile {
    const float *a;
    int64_t image, pitch, run;     // floats from image to image, from kernel row to row, in a kernel row
    Span v, h;
    const float *w;                // [outputs][KH run]
    int64_t ld;
} SkinnyTile;

static inline __attribute__((always_inline)) void skinny_tile(const int images, const int outs, const SkinnyTile *q,
                                                              const RowConv *conv, float *y)
{
    vf acc[PIXELS][SKINNY];
    for (int i = 0; i < images; i++)
        for (int o = 0; o < outs; o++) acc[i][o] = vzero();
    for (int64_t r = q->v.from; r < q->v.to; r++) {
        const float *a = q->a + r * q->pitch, *w = q->w + r * q->run;
        for (int64_t k = q->h.from; k < q->h.to; k += VW) {
            const bool full = k + VW <= q->h.to;
            const vmask m = vhead(q->h.to - k);
            vf vw[SKINNY];
#pragma GCC unroll 4
            for (int o = 0; o < outs; o++)
                vw[o] = full ? vload(w + o * q->ld + k) : vload_m(w + o * q->ld + k, m);
#pragma GCC unroll 6
            for (int i = 0; i < images; i++) {
                const vf x = full ? vload(a + i * q->image + k) : vload_m(a + i * q->image + k, m);
#pragma GCC unroll 4
                for (int o = 0; o < outs; o++) acc[i][o] = vfma(x, vw[o], acc[i][o]);
            }
        }
    }
    for (int i = 0; i < images; i++)
        for (int o = 0; o < outs; o++) {
            float *to = y + i * conv->image + o;
            const float sum = vsum(acc[i][o]) + (conv->bias ? conv->bias[o] : 0);
            *to = conv->add ? *to + sum : sum;
        }
}

typedef void SkinnyTileFn(const SkinnyTile *q, const RowConv *conv, float *y);
#define TILES(outs)                                                                                                   \
    static void skinny_tile_1_##outs(const SkinnyTile *q, const RowConv *c, float *y)                                 \
    {                                                                                                                 \
        skinny_tile(1, outs, q, c, y);                                                                                \
    }                                                                                                                 \
    static void skinny_tile_n_##outs(const SkinnyTile *q, const RowConv *c, float *y)                                 \
    {                                                                                                                 \
        skinny_tile(PIXELS, outs, q, c, y);                                                                           \
    }
TILES(1) TILES(2) TILES(3) TILES(4)
#undef TILES
static SkinnyTileFn *const skinny_tiles[SKINNY + 1][2] = {
    {NULL, NULL}, {skinny_tile_1_1, skinny_tile_n_1}, {skinny_tile_1_2, skinny_tile_n_2},
    {skinny_tile_1_3, skinny_tile_n_3}, {skinny_tile_1_4, skinny_tile_n_4}};

// Output row i of images n0.. .
static void skinny_row(const RowConv *q, int64_t n0, int64_t images, int64_t i)
{
    const Window *w = &q->w;
    const int64_t h = i * w->s + w->top;
    SkinnyTile t = {.image = w->H * w->W * w->C, .pitch = w->W * w->C, .run = w->KW * w->C,
                    .v = inside_span(h, 1, w->H, w->KH), .w = q->panels, .ld = w->KH * w->KW * w->C};
    SkinnyTileFn *const fn = skinny_tiles[q->O][images > 1];
    for (int64_t j = 0; j < w->Wo; j++) {
        const int64_t at = j * w->s + w->left;
        const Span e = inside_span(at, 1, w->W, w->KW);
        t.h = (Span){e.from * w->C, e.to * w->C};
        t.a = w->x + n0 * t.image + (h * w->W + at) * w->C;
        fn(&t, q, q->y + n0 * q->image + i * q->row + j * q->pixel);
    }
}

// q->panels: the weights [O][KH KW C]; 1 <= O <= SKINNY.
static void skinny_forward(const RowConv *q)
{
    const int64_t whole = q->N / PIXELS, groups = whole + q->N % PIXELS;
    const int64_t work = q->N * q->w.Ho * q->w.Wo * q->O * q->w.KH * q->w.KW * q->w.C;
#pragma omp parallel for schedule(static) if (work > PAR_WORK)
    for (int64_t task = 0; task < groups * q->w.Ho; task++) {
        const int64_t g = task / q->w.Ho, n0 = g < whole ? g * PIXELS : g - whole + whole * PIXELS;
        skinny_row(q, n0, g < whole ? PIXELS : 1, task % q->w.Ho);
    }
}

#endif
