// linear, linear_gelu, linear_silu, linear_add, matmul on the product of gemm.h.
// Formulas and shapes: src/tensor/ref/<op>.inl
#include "cpu_simd/gemm.h"
#include "cpu_simd/linear_bf16.h"
#include "cpu_simd/linear_nf4.h"
#include "cpu_simd/range.h"

typedef struct LinearDims { int64_t M, K, N; } LinearDims;

static LinearDims linear_dims(const OpCall *c)
{
    const int64_t *w = c->in[1]->shape.d;
    return (LinearDims){numel(c->in[0]) / w[0], w[0], w[1]};
}

static void linear_product(const OpCall *c, float *y, Epilogue epilogue)
{
    if (c->in[1]->layout == LAYOUT_PANELS_BF16) {
        linear_bf16(c, y, epilogue);
        return;
    }
    const LinearDims d = linear_dims(c);
    const bool nf4 = c->in[1]->layout == LAYOUT_NF4;
    const Gemm g = {.M = d.M, .N = d.N, .K = d.K, .a = in_x(c, 0), .ra = d.K, .ca = 1,
                    .b = nf4 ? NULL : in_x(c, 1), .rb = d.N, .cb = 1,
                    .fetch_b = nf4 ? nf4_fetch : NULL, .ctx = c->in[1],
                    .packed = c->in[1]->layout == LAYOUT_PANELS ? in_x(c, 1) : NULL, .c = y, .rc = d.N, .cc = 1,
                    .alpha = 1, .bias = in_x(c, 2), .epilogue = epilogue};
    gemm(&g, c->scratch);
}

static void linear_gradients(const OpCall *c, const float *dy)
{
    const LinearDims d = linear_dims(c);
    CHECK(c->in[1]->layout != LAYOUT_PANELS_BF16, "linear: no gradient through bf16 weights");
    if (in_g(c, 0) && c->in[1]->layout == LAYOUT_NF4) {
        const Gemm g = {.M = d.M, .N = d.K, .K = d.N, .a = dy, .ra = d.N, .ca = 1, .rb = d.K, .cb = 1,
                        .fetch_b = nf4_fetch_transposed, .ctx = c->in[1],
                        .c = in_g(c, 0), .rc = d.K, .cc = 1, .alpha = 1, .add = true};
        gemm(&g, c->scratch);
    } else if (in_g(c, 0)) {   // dX += dY W^T
        const Gemm g = {.M = d.M, .N = d.K, .K = d.N, .a = dy, .ra = d.N, .ca = 1, .b = in_x(c, 1), .rb = 1, .cb = d.N,
                        .transposed = c->in[1]->layout == LAYOUT_PANELS ? in_x(c, 1) : NULL,
                        .c = in_g(c, 0), .rc = d.K, .cc = 1, .alpha = 1, .add = true};
        gemm(&g, c->scratch);
    }
    if (in_g(c, 1)) {   // dW += X^T dY
        const Gemm g = {.M = d.K, .N = d.N, .K = d.M, .a = in_x(c, 0), .ra = 1, .ca = d.K, .b = dy, .rb = d.N, .cb = 1,
                        .c = in_g(c, 1), .rc = d.N, .cc = 1, .alpha = 1, .add = true};
        gemm(&g, c->scratch);
    }
    if (in_g(c, 2)) column_sums(dy, d.M, d.N, in_g(c, 2));
}

KERNEL(linear, fwd) { linear_product(c, out_x(c, 0), (Epilogue){EPILOGUE_NONE}); }

KERNEL(linear, bwd) { linear_gradients(c, out_g(c, 0)); }

// ---- linear and more

KERNEL(linear_gelu, fwd) { linear_product(c, out_x(c, 1), (Epilogue){EPILOGUE_GELU, .y = out_x(c, 0)}); }
KERNEL(linear_silu, fwd) { linear_product(c, out_x(c, 1), (Epilogue){EPILOGUE_SILU, .y = out_x(c, 0)}); }
KERNEL(linear_add, fwd) { linear_product(c, out_x(c, 0), (Epilogue){EPILOGUE_ADD, .r = in_x(c, 3)}); }

// dh = dy act'(h), n values.  Called with a constant from one place each.
static inline __attribute__((always_inline)) void slope_piece(const float *h, const float *dy, float *dh, int64_t n,
                                                              EpilogueMap *slope)
{
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW) {
        vf v[4];
        for (int k = 0; k < 4; k++) v[k] = vload(h + i + k * VW);
        slope(v, 4);
        for (int k = 0; k < 4; k++) vstore(dh + i + k * VW, vmul(vload(dy + i + k * VW), v[k]));
    }
    for (; i < n; i += VW) {
        vf v = vload_n(h + i, n - i);
        slope(&v, 1);
        vstore_n(dh + i, n - i, vmul(vload_n(dy + i, n - i), v));
    }
}

typedef void Slope(const float *h, const float *dy, float *dh, int64_t n);
static void gelu_slope(const float *h, const float *dy, float *dh, int64_t n)
{
    slope_piece(h, dy, dh, n, vgelu_tanhs_grad);
}
static void silu_slope(const float *h, const float *dy, float *dh, int64_t n)
{
    slope_piece(h, dy, dh, n, vsilus_grad);
}

static void linear_slope(const OpCall *c, Slope *piece)
{
    const float *h = out_x(c, 1), *dy = out_g(c, 0);
    const int64_t n = numel(c->out[0]);
    float *dh = arena_alloc(c->scratch, (size_t)n * sizeof *dh);
#pragma omp parallel for schedule(static) if (n > PAR_VALUES)
    for (int64_t i = 0; i < n; i += RANGE) piece(h + i, dy + i, dh + i, min_i64(RANGE, n - i));
    linear_gradients(c, dh);
}

KERNEL(linear_gelu, bwd) { linear_slope(c, gelu_slope); }
KERNEL(linear_silu, bwd) { linear_slope(c, silu_slope); }

static void add_to_residual(const OpCall *c, int64_t i0, int64_t i1)
{
    add_run(out_g(c, 0) + i0, in_g(c, 3) + i0, i1 - i0);
}

KERNEL(linear_add, bwd)
{
    if (in_g(c, 3)) run_ranges(c, numel(c->out[0]), add_to_residual);
    linear_gradients(c, out_g(c, 0));
}

// ---- matmul

// A matrix of a batch: element (i,j) of matrix r at x[r batch + i row + j col].
typedef struct MatView { const float *x; int64_t row, col, batch; } MatView;

static MatView mat_view(const float *x, int64_t rows, int64_t cols, bool transposed)
{
    return transposed ? (MatView){x, 1, rows, rows * cols} : (MatView){x, cols, 1, rows * cols};
}

static MatView flipped(MatView v) { return (MatView){v.x, v.col, v.row, v.batch}; }

// y, placed as `at` says, += or = alpha a b, M x N x K, for each of the batch.
static void matmul_views(const OpCall *c, int64_t M, int64_t N, int64_t K, bool add, MatView a, MatView b, float *y,
                         MatView at)
{
    const Shape s = c->out[0]->shape;
    const Gemm g = {.M = M, .N = N, .K = K, .a = a.x, .ra = a.row, .ca = a.col, .a_step = a.batch,
                    .b = b.x, .rb = b.row, .cb = b.col, .b_step = b.batch,
                    .c = y, .rc = at.row, .cc = at.col, .c_step = at.batch,
                    .batch = s.n == 3 ? s.d[0] : 1, .alpha = (float)((const MatmulParams *)c->p)->alpha, .add = add};
    gemm(&g, c->scratch);
}

typedef struct MatmulDims { int64_t M, N, K; MatView a, b; } MatmulDims;

static MatmulDims matmul_dims(const OpCall *c)
{
    const MatmulParams *p = c->p;
    const Shape a = c->in[0]->shape, y = c->out[0]->shape;
    const int64_t M = y.d[y.n - 2], N = y.d[y.n - 1], K = a.d[p->trans_a ? a.n - 2 : a.n - 1];
    return (MatmulDims){M, N, K, mat_view(in_x(c, 0), M, K, p->trans_a), mat_view(in_x(c, 1), K, N, p->trans_b)};
}

KERNEL(matmul, fwd)
{
    const MatmulDims d = matmul_dims(c);
    matmul_views(c, d.M, d.N, d.K, false, d.a, d.b, out_x(c, 0), mat_view(NULL, d.M, d.N, false));
}

KERNEL(matmul, bwd)
{
    const MatmulDims d = matmul_dims(c);
    const MatView dy = mat_view(out_g(c, 0), d.M, d.N, false);
    if (in_g(c, 0)) matmul_views(c, d.M, d.K, d.N, true, dy, flipped(d.b), in_g(c, 0), d.a);
    if (in_g(c, 1)) matmul_views(c, d.K, d.N, d.M, true, flipped(d.a), dy, in_g(c, 1), d.b);
}
