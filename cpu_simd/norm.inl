// Row kernels: layer_norm, softmax.  Formulas: src/tensor/ref/{layer_norm,softmax}.inl.
// A row is read two or three times, from the first-level cache after the first; sums run in four vectors of
// lanes, which are added in double.
#include "cpu_simd/range.inl"

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

KERNEL(layer_norm, fwd)
{
    const float *x = in_x(c, 0), *gamma = in_x(c, 1), *beta = in_x(c, 2);
    float *y = out_x(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    const double eps = ((const LayerNormParams *)c->p)->eps;
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t r = 0; r < rows; r++) {
        const float *xr = x + r * C;
        mean[r] = (float)(row_sum(xr, C) / (double)C);
        rstd[r] = (float)(1 / sqrt(row_squares(xr, C, mean[r]) / (double)C + eps));
        const vf m = vset1(mean[r]), s = vset1(rstd[r]);
        for (int64_t i = 0; i < C; i += VW) {
            const int64_t n = C - i;
            const vf xhat = vmul(vsub(vload_n(xr + i, n), m), s);
            vstore_n(y + r * C + i, n, vfma(xhat, vload_n(gamma + i, n), vload_n(beta + i, n)));
        }
    }
}

typedef struct { const float *x, *dy, *gamma; int64_t C; float mean, rstd; } LnRow;

static void layer_norm_dx(LnRow r, float *dx)
{
    const vf m = vset1(r.mean), s = vset1(r.rstd);
    vf sh = vzero(), shx = vzero();
    for (int64_t i = 0; i < r.C; i += VW) {
        const int64_t n = r.C - i;
        const vf h = vmul(vload_n(r.dy + i, n), vload_n(r.gamma + i, n));
        sh = vadd(sh, h);
        shx = vfma(h, vmul(vsub(vload_n(r.x + i, n), m), s), shx);   // h is 0 in the lanes behind the row
    }
    const vf mh = vset1((float)(vsum_wide(sh) / (double)r.C)), mhx = vset1((float)(vsum_wide(shx) / (double)r.C));
    for (int64_t i = 0; i < r.C; i += VW) {
        const int64_t n = r.C - i;
        const vf h = vmul(vload_n(r.dy + i, n), vload_n(r.gamma + i, n));
        const vf xhat = vmul(vsub(vload_n(r.x + i, n), m), s);
        vstore_n(dx + i, n, vfma(s, vfnma(xhat, mhx, vsub(h, mh)), vload_n(dx + i, n)));
    }
}

static void layer_norm_dgamma(LnRow r, float *dgamma, float *dbeta)
{
    const vf m = vset1(r.mean), s = vset1(r.rstd);
    for (int64_t i = 0; i < r.C; i += VW) {
        const int64_t n = r.C - i;
        const vf dy = vload_n(r.dy + i, n), xhat = vmul(vsub(vload_n(r.x + i, n), m), s);
        vstore_n(dgamma + i, n, vfma(dy, xhat, vload_n(dgamma + i, n)));
        vstore_n(dbeta + i, n, vadd(dy, vload_n(dbeta + i, n)));
    }
}

KERNEL(layer_norm, bwd)
{
    const float *x = in_x(c, 0), *gamma = in_x(c, 1), *dy = out_g(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    float *dx = in_g(c, 0), *dgamma = in_g(c, 1), *dbeta = in_g(c, 2);
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
    const int64_t piece = 32, pieces = (rows + piece - 1) / piece;   // of rows, each with its own dgamma and dbeta
    const bool affine = dgamma || dbeta;
    float *part = affine ? arena_zalloc(c->scratch, (size_t)(2 * pieces * C) * sizeof *part) : NULL;
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t k = 0; k < pieces; k++)
        for (int64_t r = k * piece; r < min_i64(rows, (k + 1) * piece); r++) {
            const LnRow row = {x + r * C, dy + r * C, gamma, C, mean[r], rstd[r]};
            if (dx) layer_norm_dx(row, dx + r * C);
            if (affine) layer_norm_dgamma(row, part + k * C, part + (pieces + k) * C);
        }
    if (dgamma) add_rows(dgamma, part, pieces, C);
    if (dbeta) add_rows(dbeta, part + pieces * C, pieces, C);
}

// ---- softmax

KERNEL(softmax, fwd)
{
    const float *x = in_x(c, 0);
    float *y = out_x(c, 0);
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t r = 0; r < rows; r++) {
        const float *xr = x + r * C;
        float *yr = y + r * C;
        const vf max = vset1(row_max(xr, C));
        vf sum = vzero(), e[VECTORS_MAX];
        int64_t i = 0;
        for (; i + VECTORS_MAX * VW <= C; i += VECTORS_MAX * VW) {
            for (int k = 0; k < VECTORS_MAX; k++) e[k] = vsub(vload(xr + i + k * VW), max);
            vexps_to88(e, VECTORS_MAX);
            for (int k = 0; k < VECTORS_MAX; k++) vstore(yr + i + k * VW, e[k]);
            sum = vadd(sum, vadd(vadd(e[0], e[1]), vadd(e[2], e[3])));
        }
        for (; i < C; i += VW) {
            e[0] = vexp_to88(vsub(vload_n(xr + i, C - i), max));
            vstore_n(yr + i, C - i, e[0]);
            sum = vadd(sum, vpad_n(e[0], C - i, vzero()));
        }
        const vf f = vset1(1 / vsum(sum));
        for (i = 0; i < C; i += VW) vstore_n(yr + i, C - i, vmul(vload_n(yr + i, C - i), f));
    }
}

KERNEL(softmax, bwd)
{
    const float *y = out_x(c, 0), *dy = out_g(c, 0);
    float *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t r = 0; r < rows; r++) {
        const float *yr = y + r * C, *dyr = dy + r * C;
        float *dxr = dx + r * C;
        const vf dot = vset1((float)row_dot(yr, dyr, C));
        for (int64_t i = 0; i < C; i += VW) {
            const int64_t n = C - i;
            vstore_n(dxr + i, n, vfma(vload_n(yr + i, n), vsub(vload_n(dyr + i, n), dot), vload_n(dxr + i, n)));
        }
    }
}
