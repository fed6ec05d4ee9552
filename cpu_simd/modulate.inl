// group_norm, adagn, film: [N,S,C] normalised in groups (not film), scaled and shifted by channel, optionally SiLU.
// Formulas: src/tensor/ref/modulate.h, film.inl.
// A unit of work is one sample and a span of channels: whole groups, whole vectors where that can be, 64 channels or
// more.  It is S rows of some 256 bytes, so the passes after the first find it in the cache.  Lanes are channels; a
// group's sums are the sums of its channels.  film is a group_norm whose mean is 0 and whose rstd is 1.

#include <omp.h>

#include "cpu_simd/range.inl"

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

// The unit's part of mean, rstd (as forward saved them by group; 0 and 1 for film) and scale.
static void recall(const OpCall *c, const Modulation *m, Unit u)
{
    const int64_t at = u.n * m->C + u.c0;
    const float *gamma = m->gamma + u.n * m->step + u.c0;
    for (int64_t g = 0; g < u.w; g += m->M)
        for (int64_t i = g; i < g + m->M; i++) {
            m->mean[at + i] = m->norm ? out_x(c, 1)[(at + g) / m->M] : 0;
            m->rstd[at + i] = m->norm ? out_x(c, 2)[(at + g) / m->M] : 1;
            m->scale[at + i] = m->one + gamma[i];
        }
}

// Passes over the S rows of nv vectors of channels, rows ld apart.  n: channels left, fewer than VW only when nv = 1.
#define PASS static inline __attribute__((always_inline)) void

PASS sums_pass(const int nv, const float *x, int64_t S, int64_t ld, int64_t n, float *sum)
{
    vf s[4];
    for (int v = 0; v < nv; v++) s[v] = vzero();
    for (int64_t i = 0; i < S; i++)
        for (int v = 0; v < nv; v++) s[v] = vadd(s[v], vload_n(x + i * ld + v * VW, n));
    for (int v = 0; v < nv; v++) vstore_n(sum + v * VW, n, s[v]);
}

PASS squares_pass(const int nv, const float *x, int64_t S, int64_t ld, int64_t n, const float *mean, float *sum)
{
    vf s[4], m[4];
    for (int v = 0; v < nv; v++) {
        s[v] = vzero();
        m[v] = vload_n(mean + v * VW, n);
    }
    for (int64_t i = 0; i < S; i++)
        for (int v = 0; v < nv; v++) {
            const vf d = vsub(vload_n(x + i * ld + v * VW, n), m[v]);
            s[v] = vfma(d, d, s[v]);
        }
    for (int v = 0; v < nv; v++) vstore_n(sum + v * VW, n, s[v]);
}

// y = f((x - mean) rstd scale + beta)
PASS apply_pass(const int nv, const Modulation *m, const float *x, int64_t n, int64_t at, const float *beta, float *y)
{
    vf mean[4], scale[4], shift[4];
    for (int v = 0; v < nv; v++) {
        mean[v] = vload_n(m->mean + at + v * VW, n);
        scale[v] = vmul(vload_n(m->rstd + at + v * VW, n), vload_n(m->scale + at + v * VW, n));
        shift[v] = vload_n(beta + v * VW, n);
    }
    for (int64_t i = 0; i < m->S; i++) {
        vf z[4];
        for (int v = 0; v < nv; v++)
            z[v] = vfma(vsub(vload_n(x + i * m->C + v * VW, n), mean[v]), scale[v], shift[v]);
        if (m->silu) vsilus(z, nv);
        for (int v = 0; v < nv; v++) vstore_n(y + i * m->C + v * VW, n, z[v]);
    }
}

// Group values from channel sums: each channel's becomes the sum of its group, divided by the group's values.
static void spread_groups(const Modulation *m, float *sum, int64_t w)
{
    for (int64_t g = 0; g < w; g += m->M) {
        double s = 0;
        for (int64_t i = g; i < g + m->M; i++) s += (double)sum[i];
        for (int64_t i = g; i < g + m->M; i++) sum[i] = (float)(s / (double)(m->S * m->M));
    }
}

static void statistics(const Modulation *m, Unit u, float eps, float *out_mean, float *out_rstd)
{
    float *mean = m->mean + u.n * m->C + u.c0, *rstd = m->rstd + u.n * m->C + u.c0;
    const float *x = m->x + u.at;
    int64_t i = 0;
    for (; i + 4 * VW <= u.w; i += 4 * VW) sums_pass(4, x + i, m->S, m->C, VW, mean + i);
    for (; i < u.w; i += VW) sums_pass(1, x + i, m->S, m->C, u.w - i, mean + i);
    spread_groups(m, mean, u.w);
    for (i = 0; i + 4 * VW <= u.w; i += 4 * VW) squares_pass(4, x + i, m->S, m->C, VW, mean + i, rstd + i);
    for (; i < u.w; i += VW) squares_pass(1, x + i, m->S, m->C, u.w - i, mean + i, rstd + i);
    spread_groups(m, rstd, u.w);
    for (i = 0; i < u.w; i++) rstd[i] = 1 / sqrtf(rstd[i] + eps);
    for (i = 0; i < u.w; i += m->M) {
        const int64_t ng = (u.n * m->C + u.c0 + i) / m->M;
        out_mean[ng] = mean[i];
        out_rstd[ng] = rstd[i];
    }
}

static void modulate_fwd(const OpCall *c, const Modulation *m, double eps)
{
    float *y = out_x(c, 0);
#pragma omp parallel for schedule(static) if (m->N * m->S * m->C > PAR_VALUES / 4)
    for (int64_t k = 0; k < m->N * m->spans; k++) {
        const Unit u = unit_of(m, k);
        const int64_t at = u.n * m->C + u.c0;
        const float *x = m->x + u.at, *beta = m->beta + u.n * m->step + u.c0;
        if (m->norm) statistics(m, u, (float)eps, out_x(c, 1), out_x(c, 2));
        recall(c, m, u);
        int64_t i = 0;
        for (; i + 4 * VW <= u.w; i += 4 * VW) apply_pass(4, m, x + i, VW, at + i, beta + i, y + u.at + i);
        for (; i < u.w; i += VW) apply_pass(1, m, x + i, u.w - i, at + i, beta + i, y + u.at + i);
    }
}

// ---- backward: first dz and its sums by channel, then dx

// dz = dy or dy silu'(z), kept in dz (rows ldz apart) when SiLU made it differ from dy; sums by channel of dz, dz xhat.
PASS slopes_pass(const int nv, const bool silu, const Modulation *m, const float *x, const float *dy, int64_t n,
                 int64_t at, const float *beta, float *dz, int64_t ldz, float *sum_z, float *sum_zx)
{
    vf mean[4], rstd[4], sz[4], szx[4];
    for (int v = 0; v < nv; v++) {
        mean[v] = vload_n(m->mean + at + v * VW, n);
        rstd[v] = vload_n(m->rstd + at + v * VW, n);
        sz[v] = szx[v] = vzero();
    }
    for (int64_t i = 0; i < m->S; i++) {
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
        vstore_n(sum_z + v * VW, n, sz[v]);
        vstore_n(sum_zx + v * VW, n, szx[v]);
    }
}

// dx += rstd (dz scale - mh - xhat mhx)
PASS inputs_pass(const int nv, const Modulation *m, const float *x, const float *dz, int64_t ldz, int64_t n, int64_t at,
                 const float *mh, const float *mhx, float *dx)
{
    vf mean[4], rstd[4], scale[4], vmh[4], vmhx[4];
    for (int v = 0; v < nv; v++) {
        mean[v] = vload_n(m->mean + at + v * VW, n);
        rstd[v] = vload_n(m->rstd + at + v * VW, n);
        scale[v] = vload_n(m->scale + at + v * VW, n);
        vmh[v] = vload_n(mh + v * VW, n);
        vmhx[v] = vload_n(mhx + v * VW, n);
    }
    for (int64_t i = 0; i < m->S; i++)
        for (int v = 0; v < nv; v++) {
            const vf xhat = vmul(vsub(vload_n(x + i * m->C + v * VW, n), mean[v]), rstd[v]);
            const vf h = vsub(vmul(vload_n(dz + i * ldz + v * VW, n), scale[v]), vmh[v]);
            float *to = dx + i * m->C + v * VW;
            vstore_n(to, n, vfma(rstd[v], vfnma(xhat, vmhx[v], h), vload_n(to, n)));
        }
}

// slopes_pass over the unit.
PASS slopes(const bool silu, const Modulation *m, Unit u, const float *dy, const float *beta, float *dz, float *sum_z,
            float *sum_zx)
{
    const int64_t at = u.n * m->C + u.c0;
    const float *x = m->x + u.at;
    int64_t i = 0;
    for (; i + 4 * VW <= u.w; i += 4 * VW)
        slopes_pass(4, silu, m, x + i, dy + i, VW, at + i, beta + i, dz + i, m->span, sum_z + at + i, sum_zx + at + i);
    for (; i < u.w; i += VW)
        slopes_pass(1, silu, m, x + i, dy + i, u.w - i, at + i, beta + i, dz + i, m->span, sum_z + at + i,
                    sum_zx + at + i);
}

typedef struct { float *sum_z, *sum_zx, *mh, *mhx, *dz; } Slopes;   // [N,C] each; dz: room for one unit a thread

static void unit_bwd(const OpCall *c, const Modulation *m, Unit u, Slopes s, float *dz)
{
    const int64_t at = u.n * m->C + u.c0;
    const float *x = m->x + u.at, *dy = out_g(c, 0) + u.at, *beta = m->beta + u.n * m->step + u.c0;
    recall(c, m, u);
    if (m->silu) slopes(true, m, u, dy, beta, dz, s.sum_z, s.sum_zx);
    else slopes(false, m, u, dy, beta, dz, s.sum_z, s.sum_zx);
    float *dx = in_g(c, 0);
    int64_t i;
    if (!dx) return;
    if (m->norm) {
        for (i = at; i < at + u.w; i++) {
            s.mh[i] = m->scale[i] * s.sum_z[i];
            s.mhx[i] = m->scale[i] * s.sum_zx[i];
        }
        spread_groups(m, s.mh + at, u.w);
        spread_groups(m, s.mhx + at, u.w);
    }
    const float *d = m->silu ? dz : dy;
    const int64_t ld = m->silu ? m->span : m->C;
    for (i = 0; i + 4 * VW <= u.w; i += 4 * VW)
        inputs_pass(4, m, x + i, d + i, ld, VW, at + i, s.mh + at + i, s.mhx + at + i, dx + u.at + i);
    for (; i < u.w; i += VW)
        inputs_pass(1, m, x + i, d + i, ld, u.w - i, at + i, s.mh + at + i, s.mhx + at + i, dx + u.at + i);
}

// dgamma[n * step + i] += sum over the samples that share it of dz xhat; dbeta the same of dz.  Either may be NULL.
static void modulate_bwd(const OpCall *c, const Modulation *m, float *dgamma, float *dbeta)
{
    const size_t floats = (size_t)(m->N * m->C) * sizeof(float);
    const Slopes s = {.sum_z = arena_alloc(c->scratch, floats), .sum_zx = arena_alloc(c->scratch, floats),
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
