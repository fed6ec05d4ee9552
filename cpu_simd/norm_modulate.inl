// group_norm, adagn, film: [N,S,C] normalised in groups (not film), scaled and shifted by channel, optionally SiLU.
// Formulas: src/tensor/ref/modulate.h, film.inl.
// A unit of work is one sample and a span of channels: whole groups, whole vectors where that can be, 64 channels or
// more, so many as the second-level cache holds for all passes.  A pass goes through a unit in tiles of some rows and
// four vectors: in memory's order, near enough, with its sums in registers.  Lanes are channels; a group's sums are the
// sums of its channels.  No sum depends on the span.  film is a group_norm whose mean is 0 and whose rstd is 1.
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.

#include <omp.h>

#include "cpu_simd/range.h"

enum { TILE_ROWS = 16, UNIT_VALUES = 49152 };

typedef struct Modulation {
    const float *x, *gamma, *beta;    // affine part of channel i of sample n at [n * step + i]
    float one;                        // 1: the factor is 1 + gamma
    bool silu, norm;                  // norm: has statistics (not film)
    int64_t step, N, S, C, M;         // M channels a group
    int64_t span, spans;              // channels of a unit (but the last), units of a sample
    float *mean, *rstd, *scale;       // scratch [N,C]: of the channel's group; one + gamma
} Modulation;

static Modulation modulation_of(const OpCall *c, int64_t groups, bool silu)
{
    const int64_t N = c->in[0]->shape.d[0], C = shape_last(c->in[0]->shape);
    Modulation m = {.x = in_x(c, 0), .gamma = in_x(c, 1), .beta = in_x(c, 2), .silu = silu, .norm = groups > 0,
                    .N = N, .C = C, .S = numel(c->in[0]) / (N * C), .M = groups ? C / groups : 1};
    if (!m.beta) {   // one tensor s [N,2C] holds both
        m.beta = m.gamma + C;
        m.one = 1;
        m.step = 2 * C;
    }
    int64_t atom = m.M;   // channels that stay together
    while (atom % 16 && atom <= 128) atom *= 2;
    if (atom % 16) atom = m.M;
    m.span = (64 + atom - 1) / atom * atom;
    while (m.span < C && m.S * 2 * m.span <= UNIT_VALUES && N * C >= 16 * 2 * m.span) m.span *= 2;
    m.spans = (C + m.span - 1) / m.span;
    m.mean = arena_alloc(c->scratch, (size_t)(N * C) * sizeof(float));
    m.rstd = arena_alloc(c->scratch, (size_t)(N * C) * sizeof(float));
    m.scale = arena_alloc(c->scratch, (size_t)(N * C) * sizeof(float));
    return m;
}

typedef struct Unit { int64_t n, c0, w, at; } Unit;   // sample, first channel, channels, offset of its first value in x

static Unit unit_of(const Modulation *m, int64_t u)
{
    const int64_t n = u / m->spans, c0 = u % m->spans * m->span;
    return (Unit){n, c0, min_i64(m->span, m->C - c0), n * m->S * m->C + c0};
}

static void fill_run(float *y, int64_t n, float value)
{
    for (int64_t i = 0; i < n; i += VW) vstore_n(y + i, n - i, vset1(value));
}

// The unit's part of scale.
static void recall_scale(const Modulation *m, Unit u)
{
    const float *gamma = m->gamma + u.n * m->step + u.c0;
    float *scale = m->scale + u.n * m->C + u.c0;
    for (int64_t i = 0; i < u.w; i += VW)
        vstore_n(scale + i, u.w - i, vadd(vset1(m->one), vload_n(gamma + i, u.w - i)));
}

// The unit's part of mean and rstd, as forward saved them by group; 0 and 1 for film.
static void recall_statistics(const OpCall *c, const Modulation *m, Unit u)
{
    const int64_t at = u.n * m->C + u.c0, run = m->norm ? m->M : u.w;
    for (int64_t g = at; g < at + u.w; g += run) {
        fill_run(m->mean + g, run, m->norm ? out_x(c, 1)[g / m->M] : 0);
        fill_run(m->rstd + g, run, m->norm ? out_x(c, 2)[g / m->M] : 1);
    }
}

// Passes over a tile: some rows of nv vectors of channels, rows ld apart.  n: channels left, fewer than VW only when
// nv = 1.  A tile's own sums are added to those before it: chains stay short, and so does their error.
#define PASS static inline __attribute__((always_inline)) void
#define EACH_TILE(m, w, pass)                                            \
    for (int64_t s = 0; s < (m)->S; s += TILE_ROWS) {                    \
        const int64_t rows = min_i64(TILE_ROWS, (m)->S - s);             \
        int64_t i = 0, n = VW;                                           \
        for (; i + 4 * VW <= (w); i += 4 * VW) {                         \
            enum { nv = 4 };                                             \
            pass;                                                        \
        }                                                                \
        for (; i < (w); i += VW) {                                       \
            enum { nv = 1 };                                             \
            n = (w) - i;                                                 \
            pass;                                                        \
        }                                                                \
    }

// to += v, n of its lanes
static inline void vadd_to(float *to, int64_t n, vf v) { vstore_n(to, n, vadd(vload_n(to, n), v)); }

PASS sums_pass(const int nv, const float *x, int64_t rows, int64_t ld, int64_t n, float *sum)
{
    vf s[4];
    for (int v = 0; v < nv; v++) s[v] = vset1(0);
    for (int64_t i = 0; i < rows; i++)
        for (int v = 0; v < nv; v++) s[v] = vadd(s[v], vload_n(x + i * ld + v * VW, n));
    for (int v = 0; v < nv; v++) vadd_to(sum + v * VW, n, s[v]);
}

PASS squares_pass(const int nv, const float *x, int64_t rows, int64_t ld, int64_t n, const float *mean, float *sum)
{
    vf s[4], m[4];
    for (int v = 0; v < nv; v++) {
        s[v] = vset1(0);
        m[v] = vload_n(mean + v * VW, n);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int v = 0; v < nv; v++) {
            const vf d = vsub(vload_n(x + i * ld + v * VW, n), m[v]);
            s[v] = vfma(d, d, s[v]);
        }
    for (int v = 0; v < nv; v++) vadd_to(sum + v * VW, n, s[v]);
}

// y = f((x - mean) rstd scale + beta)
PASS apply_pass(const int nv, const Modulation *m, const float *x, int64_t rows, int64_t n, int64_t at,
                const float *beta, float *y)
{
    vf mean[4], scale[4], shift[4];
    for (int v = 0; v < nv; v++) {
        mean[v] = vload_n(m->mean + at + v * VW, n);
        scale[v] = vmul(vload_n(m->rstd + at + v * VW, n), vload_n(m->scale + at + v * VW, n));
        shift[v] = vload_n(beta + v * VW, n);
    }
    for (int64_t i = 0; i < rows; i++) {
        vf z[4];
        for (int v = 0; v < nv; v++)
            z[v] = vfma(vsub(vload_n(x + i * m->C + v * VW, n), mean[v]), scale[v], shift[v]);
        if (m->silu) vsilus(z, nv);
        for (int v = 0; v < nv; v++) vstore_n(y + i * m->C + v * VW, n, z[v]);
    }
}

// Mean over the values of a group, from its channels' sums.
static float group_mean(const Modulation *m, const float *sum)
{
    double s = 0;
    for (int64_t i = 0; i < m->M; i += VW) s += vsum_wide(vload_n(sum + i, m->M - i));
    return (float)(s / (double)(m->S * m->M));
}

static void statistics(const Modulation *m, Unit u, float eps, float *out_mean, float *out_rstd)
{
    const int64_t at = u.n * m->C + u.c0;
    float *mean = m->mean + at, *rstd = m->rstd + at;
    const float *x = m->x + u.at;
    fill_run(mean, u.w, 0);
    fill_run(rstd, u.w, 0);
    EACH_TILE(m, u.w, sums_pass(nv, x + s * m->C + i, rows, m->C, n, mean + i))
    for (int64_t g = 0; g < u.w; g += m->M) {
        const float a = group_mean(m, mean + g);
        out_mean[(at + g) / m->M] = a;
        fill_run(mean + g, m->M, a);
    }
    EACH_TILE(m, u.w, squares_pass(nv, x + s * m->C + i, rows, m->C, n, mean + i, rstd + i))
    for (int64_t g = 0; g < u.w; g += m->M) {
        const float r = 1 / sqrtf(group_mean(m, rstd + g) + eps);
        out_rstd[(at + g) / m->M] = r;
        fill_run(rstd + g, m->M, r);
    }
}

static void modulate_fwd(const OpCall *c, const Modulation *m, double eps)
{
    float *y = out_x(c, 0);
#pragma omp parallel for schedule(static) if (m->N * m->S * m->C > PAR_VALUES / 4)
    for (int64_t k = 0; k < m->N * m->spans; k++) {
        const Unit u = unit_of(m, k);
        const int64_t at = u.n * m->C + u.c0;
        const float *beta = m->beta + u.n * m->step + u.c0;
        if (m->norm) statistics(m, u, (float)eps, out_x(c, 1), out_x(c, 2));
        else recall_statistics(c, m, u);
        recall_scale(m, u);
        EACH_TILE(m, u.w, apply_pass(nv, m, m->x + u.at + s * m->C + i, rows, n, at + i, beta + i,
                                     y + u.at + s * m->C + i))
    }
}

// ---- backward: first dz and its sums by channel, then dx

// dz = dy or dy silu'(z), kept in dz (rows ldz apart) when SiLU made it differ from dy; sums by channel of dz, dz xhat.
PASS slopes_pass(const int nv, const bool silu, const Modulation *m, const float *x, const float *dy, int64_t rows,
                 int64_t n, int64_t at, const float *beta, float *dz, int64_t ldz, float *sum_z, float *sum_zx)
{
    vf mean[4], rstd[4], sz[4], szx[4];
    for (int v = 0; v < nv; v++) {
        mean[v] = vload_n(m->mean + at + v * VW, n);
        rstd[v] = vload_n(m->rstd + at + v * VW, n);
        sz[v] = szx[v] = vset1(0);
    }
    for (int64_t i = 0; i < rows; i++) {
        vf xhat[4], d[4], z[4];
        for (int v = 0; v < nv; v++) {
            xhat[v] = vmul(vsub(vload_n(x + i * m->C + v * VW, n), mean[v]), rstd[v]);
            d[v] = vload_n(dy + i * m->C + v * VW, n);
        }
        if (silu) {
            for (int v = 0; v < nv; v++)
                z[v] = vfma(xhat[v], vload_n(m->scale + at + v * VW, n), vload_n(beta + v * VW, n));
            vsilus_grad(z, nv);
            for (int v = 0; v < nv; v++) d[v] = vmul(d[v], z[v]);
            for (int v = 0; v < nv; v++) vstore_n(dz + i * ldz + v * VW, n, d[v]);
        }
        for (int v = 0; v < nv; v++) {
            sz[v] = vadd(sz[v], d[v]);
            szx[v] = vfma(d[v], xhat[v], szx[v]);
        }
    }
    for (int v = 0; v < nv; v++) {
        vadd_to(sum_z + v * VW, n, sz[v]);
        vadd_to(sum_zx + v * VW, n, szx[v]);
    }
}

// dx += rstd (dz scale - mh - xhat mhx); without a norm dx += dz scale, whatever x is (0 times its infinity is NaN)
PASS inputs_pass(const int nv, const Modulation *m, const float *x, const float *dz, int64_t ldz, int64_t rows,
                 int64_t n, int64_t at, const float *mh, const float *mhx, float *dx)
{
    const bool norm = m->norm;
    vf mean[4], rstd[4], scale[4], vmh[4], vmhx[4];
    for (int v = 0; v < nv; v++) {
        mean[v] = vload_n(m->mean + at + v * VW, n);
        rstd[v] = vload_n(m->rstd + at + v * VW, n);
        scale[v] = vload_n(m->scale + at + v * VW, n);
        vmh[v] = vload_n(mh + v * VW, n);
        vmhx[v] = vload_n(mhx + v * VW, n);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int v = 0; v < nv; v++) {
            vf h = vsub(vmul(vload_n(dz + i * ldz + v * VW, n), scale[v]), vmh[v]);
            if (norm) {
                const vf xhat = vmul(vsub(vload_n(x + i * m->C + v * VW, n), mean[v]), rstd[v]);
                h = vfnma(xhat, vmhx[v], h);
            }
            float *to = dx + i * m->C + v * VW;
            vstore_n(to, n, vfma(rstd[v], h, vload_n(to, n)));
        }
}

// slopes_pass over the unit.
PASS slopes(const bool silu, const Modulation *m, Unit u, const float *dy, const float *beta, float *dz, float *sum_z,
            float *sum_zx)
{
    const int64_t at = u.n * m->C + u.c0;
    EACH_TILE(m, u.w, slopes_pass(nv, silu, m, m->x + u.at + s * m->C + i, dy + s * m->C + i, rows, n, at + i, beta + i,
                                  dz + s * m->span + i, m->span, sum_z + at + i, sum_zx + at + i))
}

typedef struct { float *sum_z, *sum_zx, *mh, *mhx, *dz; } Slopes;   // [N,C] each, 0; dz: room for one unit a thread

static void unit_bwd(const OpCall *c, const Modulation *m, Unit u, Slopes t, float *dz)
{
    const int64_t at = u.n * m->C + u.c0;
    const float *dy = out_g(c, 0) + u.at, *beta = m->beta + u.n * m->step + u.c0;
    recall_statistics(c, m, u);
    recall_scale(m, u);
    if (m->silu) slopes(true, m, u, dy, beta, dz, t.sum_z, t.sum_zx);
    else slopes(false, m, u, dy, beta, dz, t.sum_z, t.sum_zx);
    float *dx = in_g(c, 0) ? in_g(c, 0) + u.at : NULL;
    if (!dx) return;
    for (int64_t g = at; m->norm && g < at + u.w; g += m->M) {
        for (int64_t i = g; i < g + m->M; i++) {
            t.mh[i] = m->scale[i] * t.sum_z[i];
            t.mhx[i] = m->scale[i] * t.sum_zx[i];
        }
        fill_run(t.mh + g, m->M, group_mean(m, t.mh + g));
        fill_run(t.mhx + g, m->M, group_mean(m, t.mhx + g));
    }
    const float *d = m->silu ? dz : dy;
    const int64_t ld = m->silu ? m->span : m->C;
    EACH_TILE(m, u.w, inputs_pass(nv, m, m->x + u.at + s * m->C + i, d + s * ld + i, ld, rows, n, at + i, t.mh + at + i,
                                  t.mhx + at + i, dx + s * m->C + i))
}

// dgamma[n * step + i] += sum over the samples that share it of dz xhat; dbeta the same of dz.  Either may be NULL.
static void modulate_bwd(const OpCall *c, const Modulation *m, float *dgamma, float *dbeta)
{
    const size_t floats = (size_t)(m->N * m->C) * sizeof(float);
    const Slopes s = {.sum_z = arena_zalloc(c->scratch, floats), .sum_zx = arena_zalloc(c->scratch, floats),
                      .mh = arena_zalloc(c->scratch, floats), .mhx = arena_zalloc(c->scratch, floats)};
    const int64_t room = m->silu ? m->S * m->span : 0;
    float *dz = arena_alloc(c->scratch, (size_t)(omp_get_max_threads() * room) * sizeof *dz);
#pragma omp parallel for schedule(static) if (m->N * m->S * m->C > PAR_VALUES / 4)
    for (int64_t k = 0; k < m->N * m->spans; k++)
        unit_bwd(c, m, unit_of(m, k), s, dz + omp_get_thread_num() * room);
    const int64_t shared = m->step ? 1 : m->N;   // samples that share a gamma
    for (int64_t n = 0; n < m->N; n += shared) {
        if (dgamma) add_rows(dgamma + n * m->step, s.sum_zx + n * m->C, shared, m->C);
        if (dbeta) add_rows(dbeta + n * m->step, s.sum_z + n * m->C, shared, m->C);
    }
}

// ---- kernels

static Modulation group_modulation(const OpCall *c)
{
    const GroupNormParams *p = c->p;
    return modulation_of(c, p->groups, p->silu);
}

KERNEL(group_norm, fwd)
{
    const Modulation m = group_modulation(c);
    modulate_fwd(c, &m, ((const GroupNormParams *)c->p)->eps);
}

KERNEL(group_norm, bwd)
{
    const Modulation m = group_modulation(c);
    modulate_bwd(c, &m, in_g(c, 1), in_g(c, 2));
}

KERNEL(adagn, fwd)
{
    const Modulation m = group_modulation(c);
    modulate_fwd(c, &m, ((const GroupNormParams *)c->p)->eps);
}

KERNEL(adagn, bwd)
{
    const Modulation m = group_modulation(c);
    float *ds = in_g(c, 1);
    modulate_bwd(c, &m, ds, ds ? ds + m.C : NULL);
}

KERNEL(film, fwd)
{
    const Modulation m = modulation_of(c, 0, ((const FilmParams *)c->p)->silu);
    modulate_fwd(c, &m, 0);
}

KERNEL(film, bwd)
{
    const Modulation m = modulation_of(c, 0, ((const FilmParams *)c->p)->silu);
    float *ds = in_g(c, 1);
    modulate_bwd(c, &m, ds, ds ? ds + m.C : NULL);
}
