// Kernels that only move values: embedding, concat, slice, permute, pad2d, crop2d.  Formulas: src/tensor/ref/<op>.inl.
// Bound by memory.  Forward copies runs, backward adds them; work is cut so that both threads have some.
#include "cpu_simd/gemm.h"   // transpose_block
#include "cpu_simd/range.h"

// ---- runs of values at fixed distances

typedef struct { const float *from; float *to; int64_t ld_from, ld_to, run; } Runs;   // from, to NULL: nothing to do

static inline void move_run(const float *from, float *to, int64_t n, bool add)
{
    if (add) add_run(from, to, n);
    else memcpy(to, from, (size_t)n * sizeof *to);
}

// For each of `outer` steps one run of each r[0..n): side by side in memory, so they are moved side by side.
static void move_runs(const Runs *r, int n, int64_t outer, bool add)
{
    int64_t all = 0, longest = 1;
    for (int j = 0; j < n; j++) {
        all += r[j].run;
        if (r[j].run > longest) longest = r[j].run;
    }
    const int64_t rows = all < RANGE ? (RANGE + all) / (all + 1) : 1;
#pragma omp parallel for collapse(2) schedule(static) if (outer * all > PAR_VALUES)
    for (int64_t o0 = 0; o0 < outer; o0 += rows)
        for (int64_t q = 0; q < longest; q += RANGE)
            for (int64_t o = o0; o < min_i64(outer, o0 + rows); o++)
                for (int j = 0; j < n; j++)
                    if (r[j].to && q < r[j].run)
                        move_run(r[j].from + o * r[j].ld_from + q, r[j].to + o * r[j].ld_to + q,
                                 min_i64(RANGE, r[j].run - q), add);
}

static int64_t values_from(Shape s, int axis)   // of the axis and those after it
{
    int64_t n = 1;
    for (int k = axis; k < s.n; k++) n *= s.d[k];
    return n;
}

static void concat_runs(const OpCall *c, bool back)
{
    const int axis = ((const ConcatParams *)c->p)->axis;
    const int64_t all = values_from(c->out[0]->shape, axis), outer = all ? numel(c->out[0]) / all : 0;
    Runs r[OP_MAX_IN];
    int64_t at = 0;
    for (int j = 0; j < c->n_in; j++) {
        const int64_t run = values_from(c->in[j]->shape, axis);
        r[j] = back ? (Runs){out_g(c, 0) + at, in_g(c, j), all, run, run}
                    : (Runs){in_x(c, j), out_x(c, 0) + at, run, all, run};
        at += run;
    }
    move_runs(r, c->n_in, outer, back);
}

KERNEL(concat, fwd) { concat_runs(c, false); }
KERNEL(concat, bwd) { concat_runs(c, true); }

static void slice_runs(const OpCall *c, bool back)
{
    const SliceParams *p = c->p;
    const Shape x = c->in[0]->shape;
    const int64_t inner = values_from(x, p->axis + 1), from = x.d[p->axis] * inner, first = p->start * inner;
    const int64_t run = c->out[0]->shape.d[p->axis] * inner, outer = from ? numel(c->in[0]) / from : 0;
    float *dx = in_g(c, 0);
    const Runs r = back ? (Runs){out_g(c, 0), dx + first, run, from, run}
                        : (Runs){in_x(c, 0) + first, out_x(c, 0), from, run, run};
    move_runs(&r, 1, outer, back);
}

KERNEL(slice, fwd) { slice_runs(c, false); }
KERNEL(slice, bwd)
{
    if (in_g(c, 0)) slice_runs(c, true);
}

// ---- an image within a larger one

typedef struct { int64_t N, h, row, H, wide, top, left; } Frame;   // h rows within H, row values within wide

static Frame frame_of(const OpCall *c, const Tensor *inner, const Tensor *outer)
{
    const Pad2dParams *p = c->p;
    const int64_t *s = inner->shape.d, *l = outer->shape.d;
    return (Frame){s[0], s[1], s[2] * s[3], l[1], l[2] * s[3], p->top, p->left * s[3]};
}

// out: from the small image into the large one, else the other way
static void move_frame(Frame f, const float *from, float *to, bool out, bool add)
{
#pragma omp parallel for collapse(2) schedule(static) if (f.N * f.h * f.row > PAR_VALUES)
    for (int64_t n = 0; n < f.N; n++)
        for (int64_t h = 0; h < f.h; h++) {
            const int64_t small = (n * f.h + h) * f.row, large = (n * f.H + f.top + h) * f.wide + f.left;
            move_run(from + (out ? small : large), to + (out ? large : small), f.row, add);
        }
}

KERNEL(pad2d, fwd)
{
    memset(out_x(c, 0), 0, (size_t)numel(c->out[0]) * sizeof(float));
    move_frame(frame_of(c, c->in[0], c->out[0]), in_x(c, 0), out_x(c, 0), true, false);
}

KERNEL(pad2d, bwd)
{
    if (in_g(c, 0)) move_frame(frame_of(c, c->in[0], c->out[0]), out_g(c, 0), in_g(c, 0), false, true);
}

KERNEL(crop2d, fwd) { move_frame(frame_of(c, c->out[0], c->in[0]), in_x(c, 0), out_x(c, 0), false, false); }

KERNEL(crop2d, bwd)
{
    if (in_g(c, 0)) move_frame(frame_of(c, c->out[0], c->in[0]), out_g(c, 0), in_g(c, 0), true, true);
}

// ---- permute: axes that stay neighbours become one.  Where x's last axis stays last, runs are left; else for each
// index of the other axes a transposed matrix, y [cols, rows] of x [rows, cols], moved VW x VW values at a time in
// registers

enum { PERMUTE_ROWS = 32 };

// count indices over n axes of y, with each axis' step in x and in y.
typedef struct { int n; int64_t count, dim[MAX_DIMS], x[MAX_DIMS], y[MAX_DIMS]; } Walk;
typedef struct { Walk w; int64_t rows, cols, ld_x, ld_y; } Permute;   // cols = 1: runs of `rows` values

static Permute permute_of(const OpCall *c)
{
    const int *perm = ((const PermuteParams *)c->p)->perm;
    const Shape x = c->in[0]->shape, y = c->out[0]->shape;
    int64_t dim[MAX_DIMS] = {1}, step[MAX_DIMS] = {1};   // of y's axes: length, step in x
    int n = 0;
    for (int k = 0; k < y.n; k++) {
        const int64_t xs = values_from(x, perm[k] + 1);
        if (y.d[k] == 1) continue;
        if (n && step[n - 1] == xs * y.d[k]) dim[n - 1] *= y.d[k];
        else dim[n++] = y.d[k];
        step[n - 1] = xs;
    }
    const int last = n ? n - 1 : 0;
    Permute p = {.w = {.count = 1}, .rows = dim[last], .cols = 1, .ld_x = step[last]};
    int64_t ys = dim[last];
    for (int k = last - 1; k >= 0; ys *= dim[k--]) {
        if (step[k] == 1) {
            p.cols = dim[k];
            p.ld_y = ys;
        } else {
            p.w.dim[p.w.n] = dim[k];
            p.w.x[p.w.n] = step[k];
            p.w.y[p.w.n++] = ys;
            p.w.count *= dim[k];
        }
    }
    return p;
}

static void walk_to(const Walk *w, int64_t index, int64_t *x, int64_t *y)
{
    *x = *y = 0;
    for (int k = 0; k < w->n; k++) {
        *x += index % w->dim[k] * w->x[k];
        *y += index % w->dim[k] * w->y[k];
        index /= w->dim[k];
    }
}

#define INLINE static inline __attribute__((always_inline))

// to [n,m] (+)= from [m,n] transposed: what the vectors of transpose leave over.
INLINE void transpose_rest(const float *from, int64_t ld_from, int64_t m, int64_t n, float *to, int64_t ld_to,
                           const bool add)
{
    for (int64_t i = 0; i < m; i += 4)
        for (int64_t j = 0; j < n; j += 4) {
            const float *f = from + i * ld_from + j;
            float *t = to + j * ld_to + i;
            if (i + 4 <= m && j + 4 <= n) {
                __m128 r[4];
                for (int q = 0; q < 4; q++) r[q] = _mm_loadu_ps(f + q * ld_from);
                _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
                for (int q = 0; q < 4; q++)
                    _mm_storeu_ps(t + q * ld_to, add ? _mm_add_ps(_mm_loadu_ps(t + q * ld_to), r[q]) : r[q]);
                continue;
            }
            for (int64_t k = 0; k < min_i64(4, m - i); k++)
                for (int64_t q = 0; q < min_i64(4, n - j); q++)
                    t[q * ld_to + k] = add ? t[q * ld_to + k] + f[k * ld_from + q] : f[k * ld_from + q];
        }
}

// The same of any m and n.
INLINE void transpose(const float *from, int64_t ld_from, int64_t m, int64_t n, float *to, int64_t ld_to,
                      const bool add)
{
    const int64_t mv = m / VW * VW, nv = n / VW * VW;
    for (int64_t i = 0; i < mv; i += VW)
        for (int64_t j = 0; j < nv; j += VW) {
            const float *f = from + i * ld_from + j;
            float *t = to + j * ld_to + i;
            vf r[VW];
#pragma GCC unroll 16
            for (int q = 0; q < VW; q++) r[q] = vload(f + q * ld_from);
            transpose_vectors(r);
#pragma GCC unroll 16
            for (int q = 0; q < VW; q++) vstore(t + q * ld_to, add ? vadd(vload(t + q * ld_to), r[q]) : r[q]);
        }
    transpose_rest(from + nv, ld_from, mv, n - nv, to + nv * ld_to, ld_to, add);
    transpose_rest(from + mv * ld_from, ld_from, m - mv, n, to + mv, ld_to, add);
}

static void permute_all(const OpCall *c, float *x, float *y, bool back)
{
    const Permute p = permute_of(c);
    const bool runs = p.ld_x == 1;
    const int64_t cut = runs ? p.rows : PERMUTE_ROWS;
#pragma omp parallel for collapse(2) schedule(static) if (numel(c->in[0]) > PAR_VALUES)
    for (int64_t k = 0; k < p.w.count; k++)
        for (int64_t i = 0; i < p.rows; i += cut) {
            int64_t ax, ay;
            walk_to(&p.w, k, &ax, &ay);
            float *xi = x + ax + i * p.ld_x, *yi = y + ay + i;
            const int64_t m = min_i64(cut, p.rows - i);
            if (runs) move_run(back ? yi : xi, back ? xi : yi, p.rows, back);
            else if (back) transpose(yi, p.ld_y, p.cols, m, xi, p.ld_x, true);
            else transpose(xi, p.ld_x, m, p.cols, yi, p.ld_y, false);
        }
}

KERNEL(permute, fwd) { permute_all(c, c->in[0]->x, c->out[0]->x, false); }
KERNEL(permute, bwd)
{
    if (in_g(c, 0)) permute_all(c, in_g(c, 0), c->out[0]->g, true);
}

// ---- embedding

static int64_t table_row(const OpCall *c, int64_t i)
{
    const int32_t v = ((const int32_t *)c->in[1]->x)[i];
    CHECK(v >= 0 && v < c->in[0]->shape.d[0], "embedding: want an index in [0,%lld), got %d",
          (long long)c->in[0]->shape.d[0], v);
    return v;
}

KERNEL(embedding, fwd)
{
    const float *table = in_x(c, 0);
    float *y = out_x(c, 0);
    const int64_t n = numel(c->in[1]), D = c->in[0]->shape.d[1];
#pragma omp parallel for schedule(static) if (n * D > PAR_VALUES)
    for (int64_t i = 0; i < n; i++) move_run(table + table_row(c, i) * D, y + i * D, D, false);
}

// Columns in parallel: every row of the table is added to in the order of i.
KERNEL(embedding, bwd)
{
    const float *dy = out_g(c, 0);
    float *dtable = in_g(c, 0);
    if (!dtable) return;
    const int64_t n = numel(c->in[1]), D = c->in[0]->shape.d[1];
#pragma omp parallel for schedule(static) if (n * D > PAR_VALUES)
    for (int64_t d = 0; d < D; d += 128)
        for (int64_t i = 0; i < n; i++)
            move_run(dy + i * D + d, dtable + table_row(c, i) * D + d, min_i64(128, D - d), true);
}
