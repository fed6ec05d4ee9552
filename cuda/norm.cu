// layer_norm, group_norm, adagn (+ SiLU), film (+ SiLU).
// A team of threads owns a row (a group): a warp up to 2,048 values, else a block of 256.  The row is read from device
// memory once; the second and third pass find it in L1 (8 rows of 768 floats a block: 24 KiB).  Two-pass variance as in
// the reference, sums in double.  About 10 flops and 8 bytes a value forward: bound by memory; at most 60 registers.
// Expected: 0.80-0.85 of a device copy on 64 MB and more, forward; backward 0.75 (dx, and the affine sums read x and dy
// once more).
#include "kernel.h"

// ---- layer_norm: rows of the last dimension

template <int TEAM>
static __global__ void layer_norm_kernel(int64_t rows, int64_t C, float eps, const float *x, const float *gamma,
                                         const float *beta, float *y, float *mean, float *rstd)
{
    SHARED(double, shared, [ROW_BLOCK / 32]);
    const TeamRow t = team_row<TEAM>();
    const bool mine = t.row < rows;
    const int64_t n = mine ? C : 0;
    const float *xr = x + (mine ? t.row : 0) * C;
    double total = 0, var = 0;
    for (int64_t i = t.lane; i < n; i += TEAM) total += (double)xr[i];
    const float m = (float)(team_sum<TEAM>(total, shared) / (double)C);
    for (int64_t i = t.lane; i < n; i += TEAM) var += (double)((xr[i] - m) * (xr[i] - m));
    const float s = (float)(1 / sqrt(team_sum<TEAM>(var, shared) / (double)C + (double)eps));
    for (int64_t i = t.lane; i < n; i += TEAM) y[t.row * C + i] = gamma[i] * ((xr[i] - m) * s) + beta[i];
    if (mine && t.lane == 0) {
        mean[t.row] = m;
        rstd[t.row] = s;
    }
}

// h is rounded by itself (__fmul_rn): contracted into h - mh it would be exact there and rounded in mh, and rstd, up to
// eps^-1/2 = 316, would multiply the difference where rows have one value.  The same below in group_norm_dx_kernel.
template <int TEAM>
static __global__ void layer_norm_dx_kernel(int64_t rows, int64_t C, const float *x, const float *gamma,
                                            const float *mean, const float *rstd, const float *dy, float *dx)
{
    SHARED(float, shared, [ROW_BLOCK / 32]);
    const TeamRow t = team_row<TEAM>();
    const bool mine = t.row < rows;
    const int64_t n = mine ? C : 0, at = (mine ? t.row : 0) * C;
    const float m = mine ? mean[t.row] : 0, s = mine ? rstd[t.row] : 0;
    float mh = 0, mhx = 0;
    for (int64_t i = t.lane; i < n; i += TEAM) {
        const float h = __fmul_rn(dy[at + i], gamma[i]);
        mh += h;
        mhx += h * ((x[at + i] - m) * s);
    }
    mh = team_sum<TEAM>(mh, shared) / (float)C;
    mhx = team_sum<TEAM>(mhx, shared) / (float)C;
    for (int64_t i = t.lane; i < n; i += TEAM)
        dx[at + i] += s * (__fmul_rn(dy[at + i], gamma[i]) - mh - (x[at + i] - m) * s * mhx);
}

struct LayerNormAffine {   // dy xhat, dy
    const float *x, *dy, *mean, *rstd;
    int64_t C;
    __device__ void operator()(int64_t r, int64_t i, float (&v)[2]) const
    {
        v[1] = dy[r * C + i];
        v[0] = v[1] * ((x[r * C + i] - mean[r]) * rstd[r]);
    }
};

CUDA_KERNEL(layer_norm, fwd)
{
    launch_rows(c, layer_norm_kernel<32>, layer_norm_kernel<ROW_BLOCK>, shape_rows(c->in[0]->shape),
                shape_last(c->in[0]->shape), (float)params<LayerNormParams>(c)->eps, in_x(c, 0), in_x(c, 1), in_x(c, 2),
                out_x(c, 0), out_x(c, 1), out_x(c, 2));
}

CUDA_KERNEL(layer_norm, bwd)
{
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
    const float *x = in_x(c, 0), *dy = out_g(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    if (in_g(c, 0))
        launch_rows(c, layer_norm_dx_kernel<32>, layer_norm_dx_kernel<ROW_BLOCK>, rows, C, x, in_x(c, 1), mean, rstd,
                    dy, in_g(c, 0));
    if (in_g(c, 1) || in_g(c, 2))
        sum_columns<2>(c, 1, rows, C, LayerNormAffine{x, dy, mean, rstd, C}, {{in_g(c, 1), in_g(c, 2)}, 0, 1, false});
}

// ---- group norms and film: an affine part, shared by all samples (step 0) or each sample's own, and SiLU

struct Affine {
    const float *gamma, *beta;
    float one;
    int64_t step;
    bool silu;
    __device__ float factor(int64_t n, int64_t i) const { return one + gamma[n * step + i]; }
    __device__ float z(int64_t n, int64_t i, float v) const { return __fmaf_rn(factor(n, i), v, beta[n * step + i]); }
    __device__ float y(int64_t n, int64_t i, float v) const
    {
        const float a = z(n, i, v);
        return silu ? a / (1 + expf(-a)) : a;
    }
    __device__ float dz(int64_t n, int64_t i, float v, float dy) const
    {
        if (!silu) return dy;
        const float a = z(n, i, v), s = 1 / (1 + expf(-a));
        return dy * __fmaf_rn(a * (1 - s), s, s);
    }
};

static Affine affine_of_sample(const OpCall *c, bool silu)
{
    const int64_t C = shape_last(c->in[0]->shape);
    return Affine{in_x(c, 1), in_x(c, 1) + C, 1, 2 * C, silu};
}

struct Groups { int64_t N, S, C, G, M; };   // M = C / G channels a group

static Groups groups_of(const OpCall *c)
{
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape), G = params<GroupNormParams>(c)->groups;
    return Groups{N, N * C > 0 ? numel(c->in[0]) / (N * C) : 0, C, G, C / G};
}

// Value j of group (n, g): j / M is the place, j % M the channel.  Neighbouring threads read neighbouring channels: M
// values in a row, 32-byte sectors from M = 8 on.
struct Group {
    int64_t n, c0, start, C, M;
    __device__ Group(const Groups &d, int64_t ng)
        : n(quotient(ng, d.G)), c0((ng - n * d.G) * d.M), start(n * d.S * d.C + c0), C(d.C), M(d.M) {}
    __device__ int64_t at(int64_t j, int64_t *i) const
    {
        const int64_t s = quotient(j, M), m = j - s * M;
        *i = c0 + m;
        return start + s * C + m;
    }
};

template <int TEAM>
static __global__ void group_norm_kernel(int64_t groups, int64_t size, Groups d, Affine a, float eps, const float *x,
                                         float *y, float *mean, float *rstd)
{
    SHARED(double, shared, [ROW_BLOCK / 32]);
    const TeamRow t = team_row<TEAM>();
    const bool mine = t.row < groups;
    const int64_t n = mine ? size : 0;
    const Group g(d, mine ? t.row : 0);
    double total = 0, var = 0;
    int64_t i;
    for (int64_t j = t.lane; j < n; j += TEAM) total += (double)x[g.at(j, &i)];
    const float m = (float)(team_sum<TEAM>(total, shared) / (double)size);
    for (int64_t j = t.lane; j < n; j += TEAM) {
        const float v = x[g.at(j, &i)] - m;
        var += (double)(v * v);
    }
    const float s = (float)(1 / sqrt(team_sum<TEAM>(var, shared) / (double)size + (double)eps));
    for (int64_t j = t.lane; j < n; j += TEAM) {
        const int64_t at = g.at(j, &i);
        y[at] = a.y(g.n, i, (x[at] - m) * s);
    }
    if (mine && t.lane == 0) {
        mean[t.row] = m;
        rstd[t.row] = s;
    }
}

template <int TEAM>
static __global__ void group_norm_dx_kernel(int64_t groups, int64_t size, Groups d, Affine a, const float *x,
                                            const float *mean, const float *rstd, const float *dy, float *dx)
{
    SHARED(float, shared, [ROW_BLOCK / 32]);
    const TeamRow t = team_row<TEAM>();
    const bool mine = t.row < groups;
    const int64_t n = mine ? size : 0;
    const Group g(d, mine ? t.row : 0);
    const float m = mine ? mean[t.row] : 0, s = mine ? rstd[t.row] : 0;
    float mh = 0, mhx = 0;
    int64_t i;
    for (int64_t j = t.lane; j < n; j += TEAM) {
        const int64_t at = g.at(j, &i);
        const float xhat = (x[at] - m) * s, h = __fmul_rn(a.dz(g.n, i, xhat, dy[at]), a.factor(g.n, i));
        mh += h;
        mhx += h * xhat;
    }
    mh = team_sum<TEAM>(mh, shared) / (float)size;
    mhx = team_sum<TEAM>(mhx, shared) / (float)size;
    for (int64_t j = t.lane; j < n; j += TEAM) {
        const int64_t at = g.at(j, &i);
        const float xhat = (x[at] - m) * s, h = __fmul_rn(a.dz(g.n, i, xhat, dy[at]), a.factor(g.n, i));
        dx[at] += s * (h - mh - xhat * mhx);
    }
}

struct GroupAffine {   // dz xhat, dz of line n S + s
    const float *x, *dy, *mean, *rstd;
    Groups d;
    Affine a;
    __device__ void operator()(int64_t line, int64_t i, float (&v)[2]) const
    {
        const int64_t n = quotient(line, d.S), ng = n * d.G + quotient(i, d.M), at = line * d.C + i;
        const float xhat = (x[at] - mean[ng]) * rstd[ng];
        v[1] = a.dz(n, i, xhat, dy[at]);
        v[0] = v[1] * xhat;
    }
};

static void group_fwd(const OpCall *c, const Affine &a)
{
    const Groups d = groups_of(c);
    launch_rows(c, group_norm_kernel<32>, group_norm_kernel<ROW_BLOCK>, d.N * d.G, d.S * d.M, d, a,
                (float)params<GroupNormParams>(c)->eps, in_x(c, 0), out_x(c, 0), out_x(c, 1), out_x(c, 2));
}

// dgamma, dbeta: laid out as a.gamma and a.beta
static void group_bwd(const OpCall *c, const Affine &a, float *dgamma, float *dbeta)
{
    const Groups d = groups_of(c);
    const float *x = in_x(c, 0), *dy = out_g(c, 0), *mean = out_x(c, 1), *rstd = out_x(c, 2);
    if (in_g(c, 0))
        launch_rows(c, group_norm_dx_kernel<32>, group_norm_dx_kernel<ROW_BLOCK>, d.N * d.G, d.S * d.M, d, a, x, mean,
                    rstd, dy, in_g(c, 0));
    if (!dgamma && !dbeta) return;
    const int64_t batch = a.step ? d.N : 1;
    sum_columns<2>(c, batch, d.N * d.S / batch, d.C, GroupAffine{x, dy, mean, rstd, d, a},
                   {{dgamma, dbeta}, a.step, 1, false});
}

CUDA_KERNEL(group_norm, fwd) { group_fwd(c, Affine{in_x(c, 1), in_x(c, 2), 0, 0, params<GroupNormParams>(c)->silu}); }

CUDA_KERNEL(group_norm, bwd)
{
    group_bwd(c, Affine{in_x(c, 1), in_x(c, 2), 0, 0, params<GroupNormParams>(c)->silu}, in_g(c, 1), in_g(c, 2));
}

CUDA_KERNEL(adagn, fwd) { group_fwd(c, affine_of_sample(c, params<GroupNormParams>(c)->silu)); }

CUDA_KERNEL(adagn, bwd)
{
    float *ds = in_g(c, 1);
    group_bwd(c, affine_of_sample(c, params<GroupNormParams>(c)->silu), ds,
              ds ? ds + shape_last(c->in[0]->shape) : NULL);
}

struct FilmOf {
    const float *x, *dy;   // dy NULL: y, else dz (1 + gamma)
    Affine a;
    int64_t S, C;
    template <int W> __device__ Pack<W> at(int64_t p) const
    {
        const int64_t line = quotient(p, C), i = p - line * C, n = quotient(line, S);
        Pack<W> r = load<W>(x + p), d = {};
        if (dy) d = load<W>(dy + p);
#pragma unroll
        for (int k = 0; k < W; k++)
            r.v[k] = dy ? a.dz(n, i + k, r.v[k], d.v[k]) * a.factor(n, i + k) : a.y(n, i + k, r.v[k]);
        return r;
    }
    bool wide() const { return C % 4 == 0 && aligned16(x) && aligned16(dy); }
};

struct FilmAffine {   // dz x, dz
    const float *x, *dy;
    Affine a;
    int64_t S, C;
    __device__ void operator()(int64_t line, int64_t i, float (&v)[2]) const
    {
        const float xi = x[line * C + i];
        v[1] = a.dz(quotient(line, S), i, xi, dy[line * C + i]);
        v[0] = v[1] * xi;
    }
};

CUDA_KERNEL(film, fwd)
{
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape);
    const int64_t S = N * C > 0 ? numel(c->in[0]) / (N * C) : 1;
    const FilmOf f = {in_x(c, 0), NULL, affine_of_sample(c, params<FilmParams>(c)->silu), S, C};
    map<false>(c, numel(c->in[0]), out_x(c, 0), f, f.wide());
}

CUDA_KERNEL(film, bwd)
{
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape);
    const int64_t S = N * C > 0 ? numel(c->in[0]) / (N * C) : 1;
    const Affine a = affine_of_sample(c, params<FilmParams>(c)->silu);
    const FilmOf f = {in_x(c, 0), out_g(c, 0), a, S, C};
    float *ds = in_g(c, 1);
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), f, f.wide());
    if (ds) sum_columns<2>(c, N, S, C, FilmAffine{f.x, f.dy, a, S, C}, {{ds, ds + C}, 2 * C, 1, false});
}
