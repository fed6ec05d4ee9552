// conv2d, conv2d_multi and dwconv1d.  Formulas and shapes: src/tensor/ref/{conv2d,conv2d_multi,dwconv1d}.inl
//
// conv2d is three matrix products over a matrix P that never exists as a whole: row = a pixel, columns = the values of
// the KH x KW x C window at this pixel (channels last: each kernel row is one run of KW C floats in the image).
//   forward           y  = P(x) w                     pixels of y    x  O        sum over the window
//   backward, data    dx = P(dy) w', w' = w flipped   pixels of dx   x  C        sum over the taps that reach the pixel
//   backward, weights dw = P(x)^T dy                  window         x  O        sum over pixels, in blocks of gemm_kc
// gemm fetches P block by block (window_fetch), as large as the L2 cache likes.  With stride s, dx splits in s x s
// classes of pixels; each class is reached by its own subset of taps and is a product of its own, free of zeros.
#include "cpu_simd/gemm.h"
#include "cpu_simd/conv_skinny.h"
#include "cpu_simd/conv_multi.h"
#include "cpu_simd/conv_rows.h"
#include "cpu_simd/winograd.h"

// Rows row0.. of P, columns begin..end of kernel row a (0 <= begin < end <= KW C), to dst, ld floats from row to row.
static void window_run(const Window *w, int64_t row0, int64_t rows, int64_t a, int64_t begin, int64_t end, float *dst,
                       int64_t ld)
{
    int64_t n = row0 / (w->Ho * w->Wo), i = row0 / w->Wo % w->Ho, j = row0 % w->Wo;
    for (int64_t r = 0; r < rows; r++, dst += ld) {
        const int64_t h = i * w->s + w->top + a, v = j * w->s + w->left;
        const float *x = w->x + ((n * w->H + h) * w->W + v) * w->C;
        if (h < 0 || h >= w->H) {
            zero_floats(dst, end - begin);
        } else if (v >= 0 && v + w->KW <= w->W) {
            copy_floats(dst, x + begin, end - begin);
        } else {
            int64_t from = v < 0 ? -v * w->C : 0, to = (w->W - v) * w->C;   // what of the run is inside the image
            from = from < begin ? begin : min_i64(from, end);
            to = to < from ? from : min_i64(to, end);
            zero_floats(dst, from - begin);
            copy_floats(dst + from - begin, x + from, to - from);
            zero_floats(dst + to - begin, end - to);
        }
        if (++j == w->Wo) {
            j = 0;
            if (++i == w->Ho) i = 0, n++;
        }
    }
}

static void window_fetch(const Gemm *g, int64_t row0, int64_t rows, int64_t col0, int64_t cols, float *dst, int64_t ld)
{
    const Window *w = g->ctx;
    const int64_t run = w->KW * w->C;
    for (int64_t col = col0; col < col0 + cols;) {
        const int64_t a = col / run, begin = col % run, end = min_i64(run, begin + col0 + cols - col);
        window_run(w, row0, rows, a, begin, end, dst + col - col0, ld);
        col += end - begin;
    }
}

typedef struct ConvDims { int64_t N, H, W, C, KH, KW, O, Ho, Wo, s, p; } ConvDims;

static ConvDims conv_dims(const OpCall *c)
{
    const int64_t *x = c->in[0]->shape.d, *w = c->in[1]->shape.d, *y = c->out[0]->shape.d;
    const Conv2dParams *p = c->p;
    return (ConvDims){.N = x[0], .H = x[1], .W = x[2], .C = x[3], .KH = w[0], .KW = w[1], .O = w[3],
                      .Ho = y[1], .Wo = y[2], .s = p->stride, .p = p->pad};
}

static Window window_of(const ConvDims *d, const float *x)
{
    return (Window){.x = x, .H = d->H, .W = d->W, .C = d->C, .KH = d->KH, .KW = d->KW, .Ho = d->Ho, .Wo = d->Wo,
                    .s = d->s, .top = -d->p, .left = -d->p};
}

// A 1x1 convolution of every pixel is a linear layer: x itself is P.
static inline bool is_linear(const ConvDims *d) { return d->KH == 1 && d->KW == 1 && d->s == 1 && d->p == 0; }

// An image of 3 channels under an odd window: a stem of one branch (conv_multi.h).
static bool is_stem(const ConvDims *d)
{
    return d->C == 3 && d->KH == d->KW && d->KH % 2 == 1 && d->KH <= 7 && d->s == 1 && d->p == d->KH / 2 &&
           d->W >= d->KW - 1;
}

// m of Winograd's F(m x m, 3 x 3) for an output of Ho x Wo, or 0 for the direct way.  From the shapes of one sample and
// of the weights alone: a sample must not depend on its batch.
static int winograd_tile(const OpCall *c, const ConvDims *d, int64_t Ho, int64_t Wo)
{
    const Device *dev = c->out[0]->dev;
    if (d->KH != 3 || d->KW != 3 || d->s != 1 || d->p > 2 || d->C < 16 || d->O < 16) return 0;
    if (dev && dev->exact) return 0;
    const int64_t four = wino_products(4, Ho, Wo), three = wino_products(3, Ho, Wo);
    if (2 * min_i64(four, three) > 9 * Ho * Wo) return 0;
    return three < four ? 3 : 4;
}

static void winograd_forward(const OpCall *c, const ConvDims *d, int m)
{
    WinoCall call = {.w = wino_of(d->N, d->H, d->W, d->C, d->Ho, d->Wo, d->O, d->p, m), .x = in_x(c, 0),
                     .weights = in_x(c, 1), .bias = in_x(c, 2), .y = out_x(c, 0)};
    wino_run(&call, c->scratch);
}

static void winograd_backward_x(const OpCall *c, const ConvDims *d, int m)
{
    WinoCall call = {.w = wino_of(d->N, d->Ho, d->Wo, d->O, d->H, d->W, d->C, 2 - d->p, m), .x = out_g(c, 0),
                     .weights = in_x(c, 1), .y = in_g(c, 0), .flipped = true, .add = true};
    wino_run(&call, c->scratch);
}

// Where copies of windows would cost much of what their products do, and the weights stay in the L2 cache.
static bool by_rows(const Window *w) { return w->KW * w->C <= 1536; }

// The weights of a product, as gemm would pack them, in panels [K][NR].
static float *weight_panels(const Gemm *g, Arena *scratch)
{
    const int64_t panels = ceil_div(g->N, NR);
    float *p = arena_alloc(scratch, padded(panels * NR * g->K + VW) * sizeof *p);
    for (int64_t n = 0; n < panels; n++) pack_panel(g, 0, g->K, n * NR, p + n * NR * g->K);
    return p;
}

// The same as [N][K].
static float *weight_rows(const Gemm *g, Arena *scratch)
{
    float *rows = arena_alloc(scratch, padded(g->N * g->K + VW) * sizeof *rows);
    float *transposed = arena_alloc(scratch, padded(g->N * g->K + VW) * sizeof *transposed);
    if (g->fetch_b) g->fetch_b(g, 0, g->K, 0, g->N, rows, g->N);
    const float *from = g->fetch_b ? rows : g->b;
    for (int64_t n = 0; n < g->N; n++)
        for (int64_t k = 0; k < g->K; k++) transposed[n * g->K + k] = from[k * g->N + n];
    return transposed;
}

// q: all but its weights, which are those of g.
static void direct_forward(RowConv *q, const Gemm *g, Arena *scratch)
{
    if (q->O <= SKINNY && q->w.KW * q->w.C >= 2 * VW) {
        q->panels = weight_rows(g, scratch);
        skinny_forward(q);
    } else {
        q->panels = weight_panels(g, scratch);
        rows_forward(q, scratch);
    }
}

KERNEL(conv2d, fwd)
{
    const ConvDims d = conv_dims(c);
    if (is_stem(&d)) {
        const Multi q = multi_of(c);
        multi_forward(&q, c->scratch);
        return;
    }
    const int m = winograd_tile(c, &d, d.Ho, d.Wo);
    if (m) {
        winograd_forward(c, &d, m);
        return;
    }
    const int64_t K = d.KH * d.KW * d.C;
    const Window w = window_of(&d, in_x(c, 0));
    const Gemm g = {.M = d.N * d.Ho * d.Wo, .N = d.O, .K = K, .a = in_x(c, 0), .ra = is_linear(&d) ? K : 0, .ca = 1,
                    .fetch_a = is_linear(&d) ? NULL : window_fetch, .ctx = &w, .b = in_x(c, 1), .rb = d.O, .cb = 1,
                    .c = out_x(c, 0), .rc = d.O, .cc = 1, .alpha = 1, .bias = in_x(c, 2)};
    if (!is_linear(&d) && by_rows(&w)) {
        RowConv q = {.w = w, .N = d.N, .O = d.O, .bias = in_x(c, 2), .y = out_x(c, 0), .image = d.Ho * d.Wo * d.O,
                     .row = d.Wo * d.O, .pixel = d.O, .chain = 640};
        direct_forward(&q, &g, c->scratch);
        return;
    }
    gemm(&g, c->scratch);
}

// dw for 3 outputs with the roles of x and dy exchanged: x has the channels that fill vectors.  Tap (a,e) of dw is tap
// (KH-1-a, KW-1-e) of the gradient of a convolution of dy.
static void swapped_weights(const OpCall *c, const ConvDims *d)
{
    const size_t mark = arena_mark(c->scratch);
    const int64_t taps = d->KH * d->KW, CO = d->C * d->O;
    const Window w = {.x = out_g(c, 0), .H = d->Ho, .W = d->Wo, .C = d->O, .KH = d->KH, .KW = d->KW, .Ho = d->H,
                      .Wo = d->W, .s = 1, .top = d->p - d->KH + 1, .left = d->p - d->KW + 1};
    float *flipped = arena_zalloc(c->scratch, (size_t)(taps * CO) * sizeof *flipped), *dw = in_g(c, 1);
    rows_weights(&w, in_x(c, 0), d->N, d->C, flipped, c->scratch);
    for (int64_t t = 0; t < taps; t++)
        for (int64_t k = 0; k < d->C; k++)
            for (int64_t o = 0; o < d->O; o++)
                dw[(t * d->C + k) * d->O + o] += flipped[(taps - 1 - t) * CO + o * d->C + k];
    arena_rewind(c->scratch, mark);
}

static void conv_backward_w(const OpCall *c, const ConvDims *d)
{
    const int m = winograd_tile(c, d, d->Ho, d->Wo);
    if (m) {
        const Wino grid = wino_of(d->N, d->H, d->W, d->C, d->Ho, d->Wo, d->O, d->p, m);
        wino_weights(&grid, in_x(c, 0), out_g(c, 0), in_g(c, 1), c->scratch);
        return;
    }
    const int64_t K = d->KH * d->KW * d->C;
    const Window w = window_of(d, in_x(c, 0));
    if (d->O == 3 && d->C > 3 && d->s == 1) {
        swapped_weights(c, d);
        return;
    }
    if (!is_linear(d) && w.KW * w.C <= 96 && w.Ho * w.Wo >= 36) {   // few sums of many terms
        rows_weights(&w, out_g(c, 0), d->N, d->O, in_g(c, 1), c->scratch);
        return;
    }
    const Gemm g = {.M = K, .N = d->O, .K = d->N * d->Ho * d->Wo, .a = in_x(c, 0), .ra = 1, .ca = K,
                    .fetch_a = is_linear(d) ? NULL : window_fetch, .ctx = &w, .b = out_g(c, 0), .rb = d->O, .cb = 1,
                    .c = in_g(c, 1), .rc = d->O, .cc = 1, .alpha = 1, .add = true};
    gemm(&g, c->scratch);
}

// ---- gradient of the image

// Along one axis, pixels h = s u + phase are reached by taps a = first + s t, t < taps, at output i = u + shift - t.
typedef struct Axis { int64_t phase, pixels, first, taps, shift; } Axis;

static Axis axis_of(int64_t phase, int64_t size, int64_t kernel, int64_t s, int64_t p)
{
    const int64_t first = (phase + p) % s;
    return (Axis){.phase = phase, .pixels = size > phase ? (size - phase + s - 1) / s : 0, .first = first,
                  .taps = kernel > first ? (kernel - first + s - 1) / s : 0, .shift = (phase + p - first) / s};
}

typedef struct BackwardX {
    Window window;       // over dy; must stay first: gemm's ctx is read as a Window too
    ConvDims d;
    Axis v, h;           // vertical, horizontal
    const float *w;
    float *dx;
} BackwardX;

// w' as the product wants it: row (t', t'', o), taps counted backwards so that windows of dy run forwards; column c.
static void flipped_weights(const Gemm *g, int64_t k0, int64_t rows, int64_t c0, int64_t cols, float *dst, int64_t ld)
{
    const BackwardX *b = g->ctx;
    const ConvDims *d = &b->d;
    for (int64_t k = k0; k < k0 + rows;) {
        const int64_t tap = k / d->O, o = k % d->O, n = min_i64(d->O - o, k0 + rows - k);
        const int64_t a = b->v.first + d->s * (b->v.taps - 1 - tap / b->h.taps);
        const int64_t e = b->h.first + d->s * (b->h.taps - 1 - tap % b->h.taps);
        transpose_block(b->w + ((a * d->KW + e) * d->C + c0) * d->O + o, d->O, cols, n, dst + (k - k0) * ld, ld);
        k += n;
    }
}

static float *pixel_of_class(const Gemm *g, int64_t m)
{
    const BackwardX *b = g->ctx;
    const int64_t n = m / (b->v.pixels * b->h.pixels), u = m / b->h.pixels % b->v.pixels, r = m % b->h.pixels;
    return b->dx + ((n * b->d.H + u * b->d.s + b->v.phase) * b->d.W + r * b->d.s + b->h.phase) * b->d.C;
}

static void conv_backward_class(const OpCall *c, const ConvDims *d, int64_t phase_v, int64_t phase_h)
{
    BackwardX b = {.d = *d, .v = axis_of(phase_v, d->H, d->KH, d->s, d->p),
                   .h = axis_of(phase_h, d->W, d->KW, d->s, d->p), .w = in_x(c, 1), .dx = in_g(c, 0)};
    const int64_t pixels = d->N * b.v.pixels * b.h.pixels, K = b.v.taps * b.h.taps * d->O;
    if (pixels == 0 || K == 0) return;
    b.window = (Window){.x = out_g(c, 0), .H = d->Ho, .W = d->Wo, .C = d->O, .KH = b.v.taps, .KW = b.h.taps,
                        .Ho = b.v.pixels, .Wo = b.h.pixels, .s = 1, .top = b.v.shift - b.v.taps + 1,
                        .left = b.h.shift - b.h.taps + 1};
    // The reference adds tap by tap; one chain of more than 256 sums would err more than twice as much.
    const int64_t run = d->O < 64 ? 64 : min_i64(d->O, 128);
    const Gemm g = {.M = pixels, .N = d->C, .K = K, .run = run, .ra = 0, .ca = 1, .fetch_a = window_fetch,
                    .fetch_b = flipped_weights, .ctx = &b, .rb = d->C, .cb = 1, .c = in_g(c, 0), .rc = d->C, .cc = 1,
                    .c_row = d->s == 1 ? NULL : pixel_of_class, .alpha = 1, .add = true};
    if (by_rows(&b.window)) {
        const int64_t row = d->W * d->C;
        RowConv q = {.w = b.window, .N = d->N, .O = d->C, .y = in_g(c, 0) + phase_v * row + phase_h * d->C,
                     .image = d->H * row, .row = d->s * row, .pixel = d->s * d->C, .add = true, .chain = run};
        direct_forward(&q, &g, c->scratch);
        return;
    }
    gemm(&g, c->scratch);
}

static void conv_backward_x(const OpCall *c, const ConvDims *d)
{
    if (is_linear(d)) {
        const Gemm g = {.M = d->N * d->H * d->W, .N = d->C, .K = d->O, .a = out_g(c, 0), .ra = d->O, .ca = 1,
                        .b = in_x(c, 1), .rb = 1, .cb = d->O, .c = in_g(c, 0), .rc = d->C, .cc = 1, .alpha = 1,
                        .add = true};
        gemm(&g, c->scratch);
        return;
    }
    const int m = winograd_tile(c, d, d->H, d->W);
    if (m) {
        winograd_backward_x(c, d, m);
        return;
    }
    for (int64_t v = 0; v < d->s; v++)
        for (int64_t h = 0; h < d->s; h++) conv_backward_class(c, d, v, h);
}

KERNEL(conv2d, bwd)
{
    const ConvDims d = conv_dims(c);
    if (in_g(c, 0)) conv_backward_x(c, &d);
    if (is_stem(&d)) {
        Multi q = multi_of(c);
        q.dx = NULL;
        multi_backward(&q, c->scratch);
        return;
    }
    if (in_g(c, 1)) conv_backward_w(c, &d);
    if (in_g(c, 2)) column_sums(out_g(c, 0), d.N * d.Ho * d.Wo, d.O, in_g(c, 2));
}

// ---- conv2d_multi: conv_multi.h

KERNEL(conv2d_multi, fwd)
{
    const Multi q = multi_of(c);
    multi_forward(&q, c->scratch);
}

KERNEL(conv2d_multi, bwd)
{
    const Multi q = multi_of(c);
    multi_backward(&q, c->scratch);
}

// ---- dwconv1d

// y[t,c] = or += bias[c] + sum_k w[k,c] x[t + sign (k - K/2), c] for the rows of one sequence [T,C].
static void dwconv_sequence(const float *x, const float *w, const float *bias, int64_t T, int64_t C, int64_t K,
                            int sign, bool add, float *y)
{
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < C; i += VW) {
            const vmask m = vhead(C - i);
            vf sum = bias ? vload_m(bias + i, m) : vzero();
            for (int64_t k = 0; k < K; k++) {
                const int64_t u = t + sign * (k - K / 2);
                if (u >= 0 && u < T) sum = vfma(vload_m(w + k * C + i, m), vload_m(x + u * C + i, m), sum);
            }
            vstore_m(y + t * C + i, m, add ? vadd(vload_m(y + t * C + i, m), sum) : sum);
        }
}

KERNEL(dwconv1d, fwd)
{
    const int64_t *d = c->in[0]->shape.d, N = d[0], T = d[1], C = d[2], K = c->in[1]->shape.d[0];
    const float *x = in_x(c, 0), *w = in_x(c, 1), *b = in_x(c, 2);
    float *y = out_x(c, 0);
#pragma omp parallel for if (N * T * C * K > 200000)
    for (int64_t n = 0; n < N; n++) dwconv_sequence(x + n * T * C, w, b, T, C, K, 1, false, y + n * T * C);
}

// dw[k,c] for the channels of one vector; sequences are summed one by one, then added.
static void dwconv_weights(const float *x, const float *dy, int64_t N, int64_t T, int64_t C, int64_t K, int64_t i,
                           float *dw)
{
    const vmask m = vhead(C - i);
    for (int64_t k = 0; k < K; k++) {
        const int64_t shift = k - K / 2, t0 = shift < 0 ? -shift : 0, t1 = shift > 0 ? T - shift : T;
        for (int64_t n = 0; n < N; n++) {
            vf sum = vzero();
            for (int64_t t = t0; t < t1; t++)
                sum = vfma(vload_m(x + (n * T + t + shift) * C + i, m), vload_m(dy + (n * T + t) * C + i, m), sum);
            vstore_m(dw + k * C + i, m, vadd(vload_m(dw + k * C + i, m), sum));
        }
    }
}

KERNEL(dwconv1d, bwd)
{
    const int64_t *d = c->in[0]->shape.d, N = d[0], T = d[1], C = d[2], K = c->in[1]->shape.d[0];
    const float *x = in_x(c, 0), *w = in_x(c, 1), *dy = out_g(c, 0);
    float *dx = in_g(c, 0), *dw = in_g(c, 1);
    if (dx) {
#pragma omp parallel for if (N * T * C * K > 200000)
        for (int64_t n = 0; n < N; n++) dwconv_sequence(dy + n * T * C, w, NULL, T, C, K, -1, true, dx + n * T * C);
    }
    if (dw) {
#pragma omp parallel for if (N * T * C * K > 200000)
        for (int64_t i = 0; i < C; i += VW) dwconv_weights(x, dy, N, T, C, K, i, dw);
    }
    if (in_g(c, 2)) column_sums(dy, N * T, C, in_g(c, 2));
}
