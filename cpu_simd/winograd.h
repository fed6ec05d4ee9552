// Winograd's convolution F(m x m, 3 x 3), m = 4 or 3, for 3x3 kernels of stride 1: forward and both gradients.
//   y = A^T [ sum_c (G w_c G^T) . (B^T d_c B) ] A        d: (m+2) x (m+2) pixels -> y: m x m pixels
//   dw = G^T [ sum_tiles (B^T d B) . (A dy A^T) ] G      dx: the forward pass over dy with w rotated by 180 degrees
// (m+2)^2 products for each channel pair and tile instead of 9 m^2: 4 times fewer for m = 4, 3.24 for m = 3, when the
// tiles fill the image.  The products are (m+2)^2 matrix products  tiles x C  times  C x O; the transforms work on
// vectors of channels, tiles in chunks whose matrices stay near the L2 cache.
// A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015; the matrices are those of the points
//   m = 4: 0, +-3/4, +-3/2, infinity      m = 3: 0, 1/2, -1, 2, infinity
// chosen for their error (B. Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution",
// 2018): with N(0,1) inputs and C = 128 its rms is 0.8e-6 of the result's (0.6e-6 for the plain sum), against 1.7e-6
// for the usual points 0, +-1, +-2.  The price: 1/3 is no float, so results of integers are not exact; a device
// with `exact` set takes the direct way.
//
// Order of sums: a tile depends on its own pixels alone, its sums run over channels upwards in runs of WINO_RUN.  dw is
// summed tile by tile in chunks that the shape fixes.  Neither depends on the number of threads.
#ifndef LEAD_CPU_SIMD_WINOGRAD_H
#define LEAD_CPU_SIMD_WINOGRAD_H

#include "cpu_simd/gemm.h"

#define INLINE static inline __attribute__((always_inline))

enum { WINO_SIDE = 6, WINO_RUN = 64 };   // largest m + 2; terms of a sum before it is rounded into the next

typedef struct Points { float bt[6][6], g[6][3], at[4][6]; } Points;

// Row of point p: bt = coefficients of the product of (x - q) over the other finite points q, at = powers of p,
// g = 1, p, p^2 over the value of that product at p.  Last row: infinity.
#define PER_81(x) ((float)((x) / 81.0))
static const Points points4 = {
    .bt = {{81 / 64.f, 0, -45 / 16.f, 0, 1, 0},
           {0, -27 / 16.f, -9 / 4.f, 3 / 4.f, 1, 0}, {0, 27 / 16.f, -9 / 4.f, -3 / 4.f, 1, 0},
           {0, -27 / 32.f, -9 / 16.f, 3 / 2.f, 1, 0}, {0, 27 / 32.f, -9 / 16.f, -3 / 2.f, 1, 0},
           {0, 81 / 64.f, 0, -45 / 16.f, 0, 1}},
    .g = {{PER_81(64.0), 0, 0},
          {PER_81(-128 / 3.0), PER_81(-32.0), PER_81(-24.0)}, {PER_81(-128 / 3.0), PER_81(32.0), PER_81(-24.0)},
          {PER_81(32 / 3.0), PER_81(16.0), PER_81(24.0)}, {PER_81(32 / 3.0), PER_81(-16.0), PER_81(24.0)},
          {0, 0, 1}},
    .at = {{1, 1, 1, 1, 1, 0}, {0, 3 / 4.f, -3 / 4.f, 3 / 2.f, -3 / 2.f, 0},
           {0, 9 / 16.f, 9 / 16.f, 9 / 4.f, 9 / 4.f, 0},
           {0, 27 / 64.f, -27 / 64.f, 27 / 8.f, -27 / 8.f, 1}},
};
static const Points points3 = {
    .bt = {{1, -3 / 2.f, -3 / 2.f, 1, 0}, {0, -2, -1, 1, 0}, {0, 1, -5 / 2.f, 1, 0}, {0, -1 / 2.f, 1 / 2.f, 1, 0},
           {0, 1, -3 / 2.f, -3 / 2.f, 1}},
    .g = {{1, 0, 0}, {PER_81(-72.0), PER_81(-36.0), PER_81(-18.0)}, {PER_81(-18.0), PER_81(18.0), PER_81(-18.0)},
          {PER_81(9.0), PER_81(18.0), PER_81(36.0)}, {0, 0, 1}},
    .at = {{1, 1, 1, 1, 0}, {0, 1 / 2.f, -1, 2, 0}, {0, 1 / 4.f, 1, 4, 1}},
};
#undef PER_81

// out = coefficient times v, added to sum when there is one; the coefficients are constants after inlining.
INLINE vf term(float k, vf v, bool first, vf sum)
{
    if (first) return k == 1 ? v : vmul(vset1(k), v);
    return k == 1 ? vadd(sum, v) : k == -1 ? vsub(sum, v) : vfma(vset1(k), v, sum);
}

// out[i] = sum_k M[i,k] in[k], or M[k,i] with `transposed`; ld: columns of M in memory.
INLINE void transform(const float *M, const int ld, const bool transposed, const int rows, const int cols, const vf *in,
                      vf *out)
{
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        vf sum = vzero();
        bool first = true;
#pragma GCC unroll 6
        for (int k = 0; k < cols; k++) {
            const float c = transposed ? M[k * ld + i] : M[i * ld + k];
            if (c == 0) continue;
            sum = term(c, in[k], first, sum);
            first = false;
        }
        out[i] = sum;
    }
}

INLINE void input_points(const int m, const vf *d, vf *v)
{
    if (m == 4) transform(&points4.bt[0][0], 6, false, 6, 6, d, v);
    else transform(&points3.bt[0][0], 6, false, 5, 5, d, v);
}

INLINE void output_points(const int m, const vf *v, vf *y)
{
    if (m == 4) transform(&points4.at[0][0], 6, false, 4, 6, v, y);
    else transform(&points3.at[0][0], 6, false, 3, 5, v, y);
}

INLINE void weight_points(const int m, const vf *g, vf *u)
{
    if (m == 4) transform(&points4.g[0][0], 3, false, 6, 3, g, u);
    else transform(&points3.g[0][0], 3, false, 5, 3, g, u);
}

INLINE void gradient_points(const int m, const vf *dy, vf *z)   // A dy
{
    if (m == 4) transform(&points4.at[0][0], 6, true, 6, 4, dy, z);
    else transform(&points3.at[0][0], 6, true, 5, 3, dy, z);
}

INLINE void weight_sums(const int m, const vf *u, vf *g)   // G^T u
{
    if (m == 4) transform(&points4.g[0][0], 3, true, 3, 6, u, g);
    else transform(&points3.g[0][0], 3, true, 3, 5, u, g);
}

// ---- geometry

// Images x [N,H,W,C] seen through tiles of an output [N,Ho,Wo,O]; tile (i,j) makes rows m i.., columns m j.. of it from
// rows m i - pad.., columns m j - pad.. of x.
typedef struct Wino {
    int m, side;                       // side = m + 2
    int64_t N, H, W, C, Ho, Wo, O, pad;
    int64_t high, wide, tiles;         // tiles of an image, of all
} Wino;

static int64_t wino_products(int64_t m, int64_t Ho, int64_t Wo)
{
    return (m + 2) * (m + 2) * ceil_div(Ho, m) * ceil_div(Wo, m);
}

static Wino wino_of(int64_t N, int64_t H, int64_t W, int64_t C, int64_t Ho, int64_t Wo, int64_t O, int64_t pad, int m)
{
    Wino w = {.m = m, .side = m + 2, .N = N, .H = H, .W = W, .C = C, .Ho = Ho, .Wo = Wo, .O = O, .pad = pad};
    w.high = ceil_div(Ho, w.m), w.wide = ceil_div(Wo, w.m), w.tiles = N * w.high * w.wide;
    return w;
}

// Where the n x n pixels from (h0,v0) on are in image `base` [H,W,C]; outside: `zero`.
INLINE void pixels_of(const float *base, int64_t H, int64_t W, int64_t C, int64_t h0, int64_t v0, const int n,
                      const float *zero, const float **at)
{
    bool inside[WINO_SIDE];
    for (int c = 0; c < n; c++) inside[c] = v0 + c >= 0 && v0 + c < W;
    for (int r = 0; r < n; r++) {
        const bool row = h0 + r >= 0 && h0 + r < H;
        const float *p = base + ((h0 + r) * W + v0) * C;
        for (int c = 0; c < n; c++) at[r * n + c] = row && inside[c] ? p + c * C : zero;
    }
}

typedef struct TileAt { int64_t n, i, j; } TileAt;

static inline TileAt tile_at(const Wino *w, int64_t tile)
{
    return (TileAt){tile / (w->high * w->wide), tile / w->wide % w->high, tile % w->wide};
}

static inline void tile_next(const Wino *w, TileAt *t)
{
    if (++t->j < w->wide) return;
    t->j = 0;
    if (++t->i < w->high) return;
    t->i = 0, t->n++;
}

// Channels begin.. of the pixels that tile t reads in x.
INLINE void tile_pixels(const int m, const Wino *w, const float *x, TileAt t, int64_t begin, const float *zero,
                        const float **at)
{
    pixels_of(x + t.n * w->H * w->W * w->C + begin, w->H, w->W, w->C, m * t.i - w->pad, m * t.j - w->pad, m + 2, zero,
              at);
}

// An odd number of cache lines: what is this far apart does not meet in one set.
static inline int64_t odd_lines(int64_t floats) { return (ceil_div(floats, 16) | 1) * 16; }

// Prefetches the next image in order, a share at each tile of this one, which itself is read in short rows.
// Saves a sixth of the forward pass where C is 16; no gain for dw.
INLINE void prefetch_image(const float *x, int64_t image, int64_t tiles_of_image, int64_t tile)
{
    const int64_t share = image / tiles_of_image;
    const float *p = x + tile * share + image;
    for (int64_t i = 0; i < share; i += 16) __builtin_prefetch(p + i);
}

// ---- transforms of whole tiles
// Those of one vector are functions of their own: inlined into the loop over tiles, gcc keeps the addresses of all 36
// matrices as variables of that loop, in memory.  With 16 channels that took half of the time.
#define PER_M(name, params, args)                                                     \
    static __attribute__((noinline)) void name##_4 params { name(4, args); }          \
    static __attribute__((noinline)) void name##_3 params { name(3, args); }
#define ARGS(...) __VA_ARGS__

// All lanes, or those of k: masked loads and stores of AVX2 cost several plain ones.
INLINE vf load_lanes(const float *p, const bool full, vmask k) { return full ? vload(p) : vload_m(p, k); }

// B^T d B of one vector of channels, point (r,c) to v[(r side + c) step].
INLINE void tile_in(const int m, const bool full, const float *const *at, int64_t i, int64_t n, float *v, int64_t step)
{
    const int side = m + 2;
    const vmask k = vhead(n);
    vf t[WINO_SIDE][WINO_SIDE];
#pragma GCC unroll 6
    for (int c = 0; c < side; c++) {
        vf d[WINO_SIDE], p[WINO_SIDE];
#pragma GCC unroll 6
        for (int r = 0; r < side; r++) d[r] = load_lanes(at[r * side + c] + i, full, k);
        input_points(m, d, p);
#pragma GCC unroll 6
        for (int r = 0; r < side; r++) t[r][c] = p[r];
    }
#pragma GCC unroll 6
    for (int r = 0; r < side; r++) {
        vf p[WINO_SIDE];
        input_points(m, t[r], p);
#pragma GCC unroll 6
        for (int c = 0; c < side; c++) vstore(v + (r * side + c) * step + i, p[c]);
    }
}

INLINE void tile_in_n(const int m, const float *const *at, int64_t i, int64_t n, float *v, int64_t step)
{
    if (n >= VW) tile_in(m, true, at, i, n, v, step);
    else tile_in(m, false, at, i, n, v, step);
}

#define PARAMS (const float *const *at, int64_t i, int64_t n, float *v, int64_t step)
PER_M(tile_in_n, PARAMS, ARGS(at, i, n, v, step))
#undef PARAMS

// Tiles tile0.. to V [side^2][count][ld], matrices `step` floats apart.
INLINE void tiles_in(const int m, const Wino *w, const float *x, const float *zero, int64_t tile0, int64_t count,
                     float *V, int64_t ld, int64_t step)
{
    const float *at[WINO_SIDE * WINO_SIDE];
    TileAt tile = tile_at(w, tile0);
    for (int64_t t = 0; t < count; t++, tile_next(w, &tile)) {
        prefetch_image(x, w->H * w->W * w->C, w->high * w->wide, tile0 + t);
        tile_pixels(m, w, x, tile, 0, zero, at);
        for (int64_t i = 0; i < w->C; i += VW)
            (m == 4 ? tile_in_n_4 : tile_in_n_3)(at, i, w->C - i, V + t * ld, step);
    }
}

// A^T M A of one vector of channels; row by row, so that what is outside the image is never stored.
typedef struct TileOut {
    bool add;                  // y +=
    int64_t rows, cols;        // of the tile that are inside the image
    int64_t W, O;              // of the image
} TileOut;

INLINE void tile_out(const int m, const float *M, int64_t step, int64_t n, vf bias, const TileOut *q, float *y)
{
    const int side = m + 2;
    vf t[4][WINO_SIDE];
#pragma GCC unroll 6
    for (int c = 0; c < side; c++) {
        vf p[WINO_SIDE], s[4];
#pragma GCC unroll 6
        for (int r = 0; r < side; r++) p[r] = vload(M + (r * side + c) * step);
        output_points(m, p, s);
#pragma GCC unroll 4
        for (int r = 0; r < m; r++) t[r][c] = s[r];
    }
#pragma GCC unroll 4
    for (int r = 0; r < m; r++) {
        vf s[4];
        output_points(m, t[r], s);
        if (r >= q->rows) continue;
#pragma GCC unroll 4
        for (int c = 0; c < m; c++) {
            if (c >= q->cols) continue;
            float *to = y + (r * q->W + c) * q->O;
            const vf v = vadd(s[c], bias);
            vstore_n(to, n, q->add ? vadd(vload_n(to, n), v) : v);
        }
    }
}

#define PARAMS (const float *M, int64_t step, int64_t n, vf bias, const TileOut *q, float *y)
PER_M(tile_out, PARAMS, ARGS(M, step, n, bias, q, y))
#undef PARAMS

// Channels o0..o1 of tiles tile0.. from M [side^2][count][ld], which holds these channels alone.
INLINE void tiles_out(const int m, const Wino *w, const float *M, int64_t ld, int64_t step, int64_t tile0,
                      int64_t count, int64_t o0, int64_t o1, const float *bias, bool add, float *y)
{
    TileAt tile = tile_at(w, tile0);
    for (int64_t t = 0; t < count; t++, tile_next(w, &tile)) {
        const int64_t h = m * tile.i, v = m * tile.j;
        const TileOut q = {.add = add, .rows = w->Ho - h, .cols = w->Wo - v, .W = w->Wo, .O = w->O};
        float *to = y + ((tile.n * w->Ho + h) * w->Wo + v) * w->O;
        for (int64_t i = o0; i < o1; i += VW) {
            const vf b = bias ? vload_n(bias + i, o1 - i) : vzero();
            (m == 4 ? tile_out_4 : tile_out_3)(M + t * ld + i - o0, step, o1 - i, b, &q, to + i);
        }
    }
}

// ---- weights

// G w G^T of one vector of outputs; w: the 9 taps, `tap` floats apart.  With `flipped` tap 8 comes first.
INLINE void weight_vector(const int m, const float *w, int64_t tap, vmask k, bool flipped, float *U, int64_t step)
{
    const int side = m + 2;
    vf t[WINO_SIDE][3];
#pragma GCC unroll 3
    for (int e = 0; e < 3; e++) {
        vf g[3], p[WINO_SIDE];
#pragma GCC unroll 3
        for (int a = 0; a < 3; a++) g[a] = vload_m(w + (flipped ? 8 - (3 * a + e) : 3 * a + e) * tap, k);
        weight_points(m, g, p);
#pragma GCC unroll 6
        for (int r = 0; r < side; r++) t[r][e] = p[r];
    }
#pragma GCC unroll 6
    for (int r = 0; r < side; r++) {
        vf p[WINO_SIDE];
        weight_points(m, t[r], p);
#pragma GCC unroll 6
        for (int c = 0; c < side; c++) vstore(U + (r * side + c) * step, p[c]);
    }
}

// Rows k0..k1 of panels p0..p1 of U [side^2][p1-p0][K][NR], zero beyond the outputs, matrices `step` floats apart.
// Forward: K = C inputs, w [9][K][n].  flipped (for dx): w [9][n][K] is transposed in blocks.
INLINE void weights_in(const int m, const float *w, int64_t K, int64_t n, bool flipped, int64_t k0, int64_t k1,
                       int64_t p0, int64_t p1, float *U, int64_t step)
{
    enum { ROWS = 16 };
    float block[9 * ROWS * NR] __attribute__((aligned(64)));
    for (int64_t k = k0; k < k1; k += ROWS) {
        const int64_t rows = min_i64(ROWS, k1 - k);
        for (int64_t p = p0; p < p1; p++) {
            const int64_t o = p * NR, width = min_i64(NR, n - o);
            if (flipped)
                for (int tap = 0; tap < 9; tap++)
                    transpose_block(w + (tap * n + o) * K + k, K, width, rows, block + tap * ROWS * NR, NR);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t j = 0; j < NR; j += VW) {
                    const vmask mask = vhead(width > j ? width - j : 0);
                    float *to = U + ((p - p0) * K + k + r) * NR + j;
                    if (flipped) weight_vector(m, block + r * NR + j, ROWS * NR, mask, true, to, step);
                    else weight_vector(m, w + (k + r) * n + o + j, K * n, mask, false, to, step);
                }
        }
    }
}

// ---- forward, and dx

typedef struct WinoCall {
    Wino w;
    const float *x, *bias;
    float *y, *U, *V, *buffers;
    const float *weights, *zero;
    bool flipped, add;                      // dx: y += the product with flipped weights
    int64_t chunk, chunks, panels;          // tiles of a chunk
    int64_t ld_v, ld_m, step_v, step_m, step_u;
} WinoCall;

// The products of one chunk and n outputs: M[q] = V[q] U[q] for each point pair q.
static void wino_products_of(const WinoCall *c, const float *V, const float *U, int64_t count, int64_t n, float *M)
{
    const int64_t K = c->w.C, panels = ceil_div(n, NR), n_tiles = ceil_div(count, MR);
    for (int64_t q = 0; q < c->w.side * c->w.side; q++)
        for (int64_t p = 0; p < panels; p++) {
            const int64_t width = min_i64(NR, n - p * NR);
            const float *b = U + q * c->step_u + p * K * NR;
            for (int64_t t = 0; t < n_tiles; t++) {
                const int64_t i = t * count / n_tiles, rows = (t + 1) * count / n_tiles - i;
                const bool wide = width > VW;
                const Store to = {.c = M + q * c->step_m + i * c->ld_m + p * NR, .ldc = c->ld_m, .alpha = 1,
                                 .run = WINO_RUN};
                tiles[rows][wide ? 2 : 0](K, V + q * c->step_v + i * c->ld_v, c->ld_v, 1, b, NR, wide ? NR : VW, &to);
            }
        }
}

INLINE void wino_member(const int m, const WinoCall *c, int tid, int n)
{
    const int64_t rows = ceil_div(ceil_div(c->w.C, n), 8) * 8, k0 = tid * rows, k1 = min_i64(c->w.C, k0 + rows);
    weights_in(m, c->weights, c->w.C, c->w.O, c->flipped, k0, k1, 0, c->panels, c->U, c->step_u);
    if (n > 1) {
#pragma omp barrier
    }
    const int64_t points = c->w.side * c->w.side;
    float *V = c->buffers + tid * points * (c->step_v + c->step_m), *M = V + points * c->step_v;
    for (int64_t q = tid; q < c->chunks; q += n) {
        const int64_t tile0 = q * c->w.tiles / c->chunks, count = (q + 1) * c->w.tiles / c->chunks - tile0;
        tiles_in(m, &c->w, c->x, c->zero, tile0, count, V, c->ld_v, c->step_v);
        wino_products_of(c, V, c->U, count, c->w.O, M);
        tiles_out(m, &c->w, M, c->ld_m, c->step_m, tile0, count, 0, c->w.O, c->bias, c->add, c->y);
    }
}

// Few tiles and many weights: all tiles at once, panel by panel of outputs, so that U is not written to memory and read
// again.  Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
INLINE void wino_member_by_panels(const int m, const WinoCall *c, int tid, int n)
{
    const Wino *w = &c->w;
    const int64_t points = w->side * w->side, t0 = tid * w->tiles / n, t1 = (tid + 1) * w->tiles / n;
    tiles_in(m, w, c->x, c->zero, t0, t1 - t0, c->V + t0 * c->ld_v, c->ld_v, c->step_v);
    if (n > 1) {
#pragma omp barrier
    }
    float *U = c->buffers + tid * points * (c->step_u + c->step_m), *M = U + points * c->step_u;
    for (int64_t p = tid; p < c->panels; p += n) {
        const int64_t o0 = p * NR, o1 = min_i64(o0 + NR, w->O);
        weights_in(m, c->weights, w->C, w->O, c->flipped, 0, w->C, p, p + 1, U, c->step_u);
        wino_products_of(c, c->V, U, w->tiles, o1 - o0, M);
        tiles_out(m, w, M, c->ld_m, c->step_m, 0, w->tiles, o0, o1, c->bias, c->add, c->y);
    }
}

static void wino_member_n(const WinoCall *c, int tid, int n)
{
    if (c->V) {
        if (c->w.m == 4) wino_member_by_panels(4, c, tid, n);
        else wino_member_by_panels(3, c, tid, n);
    } else {
        if (c->w.m == 4) wino_member(4, c, tid, n);
        else wino_member(3, c, tid, n);
    }
}

static float *zero_vector(Arena *scratch, int64_t n)
{
    float *z = arena_alloc(scratch, padded(n + VW) * sizeof *z);
    zero_floats(z, n);
    return z;
}

// Tiles of a chunk: V and M near the L2 cache; where U is beyond all caches, enough rows for each visit of it.
static int64_t wino_chunk(const Wino *w) { return w->C * w->O > 65536 ? 144 : 48; }

// c: everything but buffers and chunks is given.
static void wino_run(WinoCall *c, Arena *scratch)
{
    const Wino *w = &c->w;
    const size_t mark = arena_mark(scratch);
    const int64_t points = w->side * w->side;
    const int threads = points * w->tiles * w->C * w->O > PAR_WORK ? omp_get_max_threads() : 1;
    const int64_t most = wino_chunk(w);
    const bool by_panels = w->C * w->O > 65536 && w->tiles <= most;
    c->panels = ceil_div(w->O, NR);
    c->chunks = by_panels ? 1 : ceil_div(ceil_div(w->tiles, most), threads) * threads;
    if (c->chunks > w->tiles) c->chunks = w->tiles;
    c->chunk = ceil_div(w->tiles, c->chunks);
    c->ld_v = odd_lines(w->C), c->ld_m = odd_lines(by_panels ? NR : c->panels * NR);
    c->step_v = odd_lines(c->chunk * c->ld_v), c->step_m = odd_lines(c->chunk * c->ld_m);
    c->step_u = odd_lines((by_panels ? 1 : c->panels) * w->C * NR);
    c->zero = zero_vector(scratch, w->C);
    // Shared by the threads: V or U; each thread's own: U or V, and M.
    float *shared = arena_alloc(scratch, (size_t)(points * (by_panels ? c->step_v : c->step_u)) * sizeof(float));
    const int64_t own = points * ((by_panels ? c->step_u : c->step_v) + c->step_m);
    *(by_panels ? &c->V : &c->U) = shared;
    c->buffers = arena_alloc(scratch, (size_t)(threads * own) * sizeof(float));
    if (threads == 1) {
        wino_member_n(c, 0, 1);
    } else {
#pragma omp parallel num_threads(threads)
        wino_member_n(c, omp_get_thread_num(), omp_get_num_threads());
    }
    arena_rewind(scratch, mark);
}

// ---- dw

// Task (r, block of C, block of O) makes row r of points of dU = sum_tiles V^T Z, chunk by chunk of tiles, and applies
// G^T along the columns: S [side][3][cb][ld_z].  The transforms of V and Z are made again by each task that wants them:
// nothing is shared, and all of a task stays in the L2 cache.
typedef struct WinoWeights {
    Wino w;
    const float *x, *dy, *zero;
    float *dw, *S, *buffers;
    bool whole;                 // a thread makes all of a block
    int64_t cb, ob, c_blocks, o_blocks;
    int64_t chunk, chunks, ld_v, ld_z, step_v, step_z, floats;   // floats: buffers of one thread
} WinoWeights;

// Row r of the points of a tile, of one vector of channels: coef = row r of the matrix, n x n pixels.
INLINE void row_points(const int m, const bool gradient, const bool full, const float *coef, const float *const *at,
                       int64_t i, int64_t channels, float *to, int64_t step)
{
    const vmask k = vhead(channels);
    const int n = gradient ? m : m + 2;
    vf t[WINO_SIDE], p[WINO_SIDE];
#pragma GCC unroll 6
    for (int c = 0; c < n; c++) t[c] = vzero();
#pragma GCC unroll 1
    for (int r = 0; r < n; r++) {
        if (coef[r] == 0) continue;
        const vf f = vset1(coef[r]);
#pragma GCC unroll 6
        for (int c = 0; c < n; c++) t[c] = vfma(f, load_lanes(at[r * n + c] + i, full, k), t[c]);
    }
    if (gradient) gradient_points(m, t, p);
    else input_points(m, t, p);
#pragma GCC unroll 6
    for (int c = 0; c < m + 2; c++) vstore(to + c * step + i, p[c]);
}

INLINE void row_points_n(const int m, const bool gradient, const float *coef, const float *const *at, int64_t i,
                         int64_t n, float *to, int64_t step)
{
    if (n >= VW) row_points(m, gradient, true, coef, at, i, n, to, step);
    else row_points(m, gradient, false, coef, at, i, n, to, step);
}

#define row_in(m, ...) row_points_n(m, false, __VA_ARGS__)
#define row_gradient(m, ...) row_points_n(m, true, __VA_ARGS__)
#define PARAMS (const float *coef, const float *const *at, int64_t i, int64_t n, float *to, int64_t step)
PER_M(row_in, PARAMS, ARGS(coef, at, i, n, to, step))
PER_M(row_gradient, PARAMS, ARGS(coef, at, i, n, to, step))
#undef PARAMS
#undef row_in
#undef row_gradient

// V of row r of the points for tiles tile0.., channels c0..c0+cb; Z alike.
INLINE void row_of_tiles(const int m, const WinoWeights *g, int r, int64_t tile0, int64_t count, int64_t c0, int64_t cb,
                         int64_t o0, int64_t ob, float *V, float *Z)
{
    const Wino *w = &g->w;
    const Points *points = m == 4 ? &points4 : &points3;
    float column[4];
    for (int k = 0; k < m; k++) column[k] = points->at[k][r];
    const float *at[WINO_SIDE * WINO_SIDE];
    TileAt q = tile_at(w, tile0);
    for (int64_t t = 0; t < count; t++, tile_next(w, &q)) {
        tile_pixels(m, w, g->x, q, c0, g->zero, at);
        for (int64_t i = 0; i < cb; i += VW)
            (m == 4 ? row_in_4 : row_in_3)(points->bt[r], at, i, cb - i, V + t * g->ld_v, g->step_v);
        pixels_of(g->dy + q.n * w->Ho * w->Wo * w->O + o0, w->Ho, w->Wo, w->O, m * q.i, m * q.j, m, g->zero, at);
        for (int64_t i = 0; i < ob; i += VW)
            (m == 4 ? row_gradient_4 : row_gradient_3)(column, at, i, ob - i, Z + t * g->ld_z, g->step_z);
    }
}

// Row r of points of a block: sums to S [side][3][cb][ld_z].
INLINE void weight_task(const int m, const WinoWeights *g, int64_t block, int r, float *buffer, float *S)
{
    const int side = m + 2;
    const int64_t c0 = block % g->c_blocks * g->cb, o0 = block / g->c_blocks * g->ob;
    const int64_t cb = min_i64(g->cb, g->w.C - c0), ob = min_i64(g->ob, g->w.O - o0), c_tiles = ceil_div(cb, MR);
    float *V = buffer, *Z = V + side * g->step_v, *dU = Z + side * g->step_z;
    for (int64_t q = 0; q < g->chunks; q++) {
        const int64_t tile0 = q * g->w.tiles / g->chunks, count = (q + 1) * g->w.tiles / g->chunks - tile0;
        row_of_tiles(m, g, r, tile0, count, c0, cb, o0, ob, V, Z);
        for (int64_t j = 0; j < side; j++)
            for (int64_t o = 0; o < ob; o += NR)
                for (int64_t t = 0; t < c_tiles; t++) {
                    const int64_t i = t * cb / c_tiles, rows = (t + 1) * cb / c_tiles - i;
                    const bool wide = ob - o > VW;
                    const Store to = {.c = dU + (j * cb + i) * g->ld_z + o, .ldc = g->ld_z, .alpha = 1, .add = q > 0,
                                     .run = count};
                    tiles[rows][wide ? 2 : 0](count, V + j * g->step_v + i, 1, g->ld_v, Z + j * g->step_z + o,
                                              g->ld_z, wide ? NR : VW, &to);
                }
    }
    for (int64_t c = 0; c < cb; c++)
        for (int64_t o = 0; o < ob; o += VW) {
            vf u[WINO_SIDE], s[3];
            for (int j = 0; j < side; j++) u[j] = vload(dU + (j * cb + c) * g->ld_z + o);
            weight_sums(m, u, s);
            for (int e = 0; e < 3; e++) vstore(S + ((r * 3 + e) * g->cb + c) * g->ld_z + o, s[e]);
        }
}

// dw += G^T of the sums of a block, rows from..to of its 3 cb rows (e,c).
INLINE void weight_end(const int m, const WinoWeights *g, int64_t block, int64_t from, int64_t to, const float *S)
{
    const int64_t c0 = block % g->c_blocks * g->cb, o0 = block / g->c_blocks * g->ob, C = g->w.C, O = g->w.O;
    const int64_t ob = min_i64(g->ob, O - o0), plane = g->cb * g->ld_z;
    for (int64_t row = from; row < to; row++) {
        const int64_t e = row / g->cb, c = row % g->cb;
        for (int64_t o = 0; c0 + c < C && o < ob; o += VW) {
            vf u[WINO_SIDE], s[3];
            for (int r = 0; r < m + 2; r++) u[r] = vload(S + (r * 3 + e) * plane + c * g->ld_z + o);
            weight_sums(m, u, s);
            for (int a = 0; a < 3; a++) {
                float *at = g->dw + ((a * 3 + e) * C + c0 + c) * O + o0 + o;
                vstore_n(at, ob - o, vadd(vload_n(at, ob - o), s[a]));
            }
        }
    }
}

// Blocks enough: each thread makes whole blocks, whose sums stay in its caches.  Else the rows of points are shared.
INLINE void weight_member(const int m, const WinoWeights *g, int tid, int n)
{
    const int64_t blocks = g->c_blocks * g->o_blocks, rows = 3 * g->cb, sums = (m + 2) * rows * g->ld_z;
    float *buffer = g->buffers + tid * g->floats;
    if (g->whole) {
        for (int64_t b = tid; b < blocks; b += n) {
            for (int r = 0; r < m + 2; r++) weight_task(m, g, b, r, buffer, g->S + tid * sums);
            weight_end(m, g, b, 0, rows, g->S + tid * sums);
        }
        return;
    }
    for (int64_t task = tid; task < (m + 2) * blocks; task += n)
        weight_task(m, g, task / (m + 2), (int)(task % (m + 2)), buffer, g->S + task / (m + 2) * sums);
#pragma omp barrier
    for (int64_t b = 0; b < blocks; b++)
        weight_end(m, g, b, tid * rows / n, (tid + 1) * rows / n, g->S + b * sums);
}

static void weight_member_4(const WinoWeights *g, int tid, int n) { weight_member(4, g, tid, n); }
static void weight_member_3(const WinoWeights *g, int tid, int n) { weight_member(3, g, tid, n); }

// dw += of the convolution w says.
static void wino_weights(const Wino *w, const float *x, const float *dy, float *dw, Arena *scratch)
{
    enum { BLOCK = 128, CHUNK = 72 };
    const size_t mark = arena_mark(scratch);
    WinoWeights g = {.w = *w, .x = x, .dy = dy, .dw = dw};
    g.c_blocks = ceil_div(w->C, BLOCK), g.o_blocks = ceil_div(w->O, BLOCK);
    if (w->side == 5 && g.c_blocks * g.o_blocks == 1 && w->O >= 2 * NR) g.o_blocks = 2;   // five tasks share badly
    g.cb = ceil_div(ceil_div(w->C, g.c_blocks), 16) * 16, g.ob = ceil_div(ceil_div(w->O, g.o_blocks), 32) * 32;
    g.c_blocks = ceil_div(w->C, g.cb), g.o_blocks = ceil_div(w->O, g.ob);
    g.chunks = ceil_div(w->tiles, CHUNK), g.chunk = ceil_div(w->tiles, g.chunks);
    g.ld_v = odd_lines(g.cb), g.ld_z = odd_lines(ceil_div(g.ob, NR) * NR);
    g.step_v = odd_lines(g.chunk * g.ld_v), g.step_z = odd_lines(g.chunk * g.ld_z);
    g.floats = w->side * (g.step_v + g.step_z + g.cb * g.ld_z);
    const int threads = w->side * w->side * w->tiles * w->C * w->O > PAR_WORK ? omp_get_max_threads() : 1;
    g.zero = zero_vector(scratch, w->C > w->O ? w->C : w->O);
    const int64_t blocks = g.c_blocks * g.o_blocks;
    g.whole = threads == 1 || blocks >= 4 * threads;
    g.S = arena_alloc(scratch, (size_t)((g.whole ? threads : blocks) * w->side * 3 * g.cb * g.ld_z) * sizeof(float));
    g.buffers = arena_alloc(scratch, (size_t)(threads * g.floats) * sizeof(float));
    if (threads == 1) {
        if (w->m == 4) weight_member_4(&g, 0, 1);
        else weight_member_3(&g, 0, 1);
    } else {
#pragma omp parallel num_threads(threads)
        if (w->m == 4) weight_member_4(&g, omp_get_thread_num(), omp_get_num_threads());
        else weight_member_3(&g, omp_get_thread_num(), omp_get_num_threads());
    }
    arena_rewind(scratch, mark);
}

#endif
