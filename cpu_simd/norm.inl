// layer_norm.  Formula: src/tensor/ref/layer_norm.inl.
// A row is read two or three times, from the first-level cache after the first; sums run in four vectors of
// lanes, which are added in double.
#include "cpu_simd/range.h"

static double row_squares(const float *x, int64_t n, float mean)   // sum (x - mean)^2
{
    const vf m = vset1(mean);
    vf s[4] = {vzero(), vzero(), vzero(), vzero()};
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int v = 0; v < 4; v++) {
            const vf d = vsub(vload(x + i + v * VW), m);
            s[v] = vfma(d, d, s[v]);
        }
    for (; i < n; i += VW) {
        const vf d = vpad_n(vsub(vload_n(x + i, n - i), m), n - i, vzero());
        s[0] = vfma(d, d, s[0]);
    }
    return lanes4(s);
}

// ---- layer_norm

// One row's sums end in a chain of some 50 cycles: rows that take the same step in turn hide each other's, and gamma
// and beta are loaded once for all.
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
enum { LN_ROWS = 4, LN_BYTES = 16 << 10 };   // where they fit the first-level cache together

static inline __attribute__((always_inline)) void layer_norm_rows(const OpCall *c, int64_t r0, int64_t C,
                                                                  const int rows)
{
    const float *x = in_x(c, 0) + r0 * C, *gamma = in_x(c, 1), *beta = in_x(c, 2);
    float *y = out_x(c, 0) + r0 * C, *mean = out_x(c, 1) + r0, *rstd = out_x(c, 2) + r0;
    const double eps = ((const LayerNormParams *)c->p)->eps;
    vf m[LN_ROWS], s[LN_ROWS];
    for (int r = 0; r < rows; r++) mean[r] = (float)(row_sum(x + r * C, C) / (double)C);
    for (int r = 0; r < rows; r++) rstd[r] = (float)(1 / sqrt(row_squares(x + r * C, C, mean[r]) / (double)C + eps));
    for (int r = 0; r < rows; r++) {
        m[r] = vset1(mean[r]);
        s[r] = vset1(rstd[r]);
    }
    for (int64_t i = 0; i < C; i += VW) {
        const int64_t n = C - i;
        const vf g = vload_n(gamma + i, n), b = vload_n(beta + i, n);
        for (int r = 0; r < rows; r++) {
            const vf xhat = vmul(vsub(vload_n(x + r * C + i, n), m[r]), s[r]);
            vstore_n(y + r * C + i, n, vfma(xhat, g, b));
        }
    }
}

KERNEL(layer_norm, fwd)
{
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
    const int64_t few = C * (int64_t)sizeof(float) * LN_ROWS > LN_BYTES ? 1 : LN_ROWS;
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t r0 = 0; r0 < rows; r0 += few) {
        if (few == LN_ROWS && r0 + few <= rows) layer_norm_rows(c, r0, C, LN_ROWS);
        else
            for (int64_t r = r0; r < min_i64(rows, r0 + few); r++) layer_norm_rows(c, r, C, 1);
    }
}

// part [2][C]: the piece's dgamma and dbeta, or NULL.
static inline __attribute__((always_inline)) void layer_norm_back(const OpCall *c, int64_t r0, int64_t C, float *dgamma,
                                                                  float *dbeta, const int rows)
{
    const float *x = in_x(c, 0) + r0 * C, *dy = out_g(c, 0) + r0 * C, *gamma = in_x(c, 1);
    float *dx = in_g(c, 0) ? in_g(c, 0) + r0 * C : NULL;
    vf m[LN_ROWS], s[LN_ROWS], mh[LN_ROWS], mhx[LN_ROWS];
    for (int r = 0; r < rows; r++) {
        m[r] = vset1(out_x(c, 1)[r0 + r]);
        s[r] = vset1(out_x(c, 2)[r0 + r]);
    }
    vf sh[LN_ROWS] = {vzero(), vzero(), vzero(), vzero()}, shx[LN_ROWS] = {vzero(), vzero(), vzero(), vzero()};
    for (int64_t i = 0; i < C && dx; i += VW) {
        const int64_t n = C - i;
        const vf g = vload_n(gamma + i, n);   // 0 in the lanes past the row, and h with it
        for (int r = 0; r < rows; r++) {
            const vf h = vmul(vload_n(dy + r * C + i, n), g);
            sh[r] = vadd(sh[r], h);
            shx[r] = vfma(h, vmul(vsub(vload_n(x + r * C + i, n), m[r]), s[r]), shx[r]);
        }
    }
    for (int r = 0; r < rows; r++) {
        mh[r] = vset1((float)(vsum_wide(sh[r]) / (double)C));
        mhx[r] = vset1((float)(vsum_wide(shx[r]) / (double)C));
    }
    for (int64_t i = 0; i < C; i += VW) {
        const int64_t n = C - i;
        const vf g = vload_n(gamma + i, n);
        vf dg = dgamma ? vload_n(dgamma + i, n) : vzero(), db = dgamma ? vload_n(dbeta + i, n) : vzero();
        for (int r = 0; r < rows; r++) {
            const vf d = vload_n(dy + r * C + i, n), xhat = vmul(vsub(vload_n(x + r * C + i, n), m[r]), s[r]);
            dg = vfma(d, xhat, dg);
            db = vadd(d, db);
            if (!dx) continue;
            float *to = dx + r * C + i;
            vstore_n(to, n, vfma(s[r], vfnma(xhat, mhx[r], vsub(vmul(d, g), mh[r])), vload_n(to, n)));
        }
        if (!dgamma) continue;
        vstore_n(dgamma + i, n, dg);
        vstore_n(dbeta + i, n, db);
    }
}

KERNEL(layer_norm, bwd)
{
    float *dgamma = in_g(c, 1), *dbeta = in_g(c, 2);
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
    const int64_t piece = 32, pieces = (rows + piece - 1) / piece;   // of rows, each with its own dgamma and dbeta
    float *part = dgamma || dbeta ? arena_zalloc(c->scratch, (size_t)(2 * pieces * C) * sizeof *part) : NULL;
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t k = 0; k < pieces; k++) {
        float *g = part ? part + k * C : NULL, *b = part ? part + (pieces + k) * C : NULL;
        int64_t r = k * piece;
        for (; r + LN_ROWS <= min_i64(rows, (k + 1) * piece); r += LN_ROWS) layer_norm_back(c, r, C, g, b, LN_ROWS);
        for (; r < min_i64(rows, (k + 1) * piece); r++) layer_norm_back(c, r, C, g, b, 1);
    }
    if (dgamma) add_rows(dgamma, part, pieces, C);
    if (dbeta) add_rows(dbeta, part + pieces * C, pieces, C);
}
