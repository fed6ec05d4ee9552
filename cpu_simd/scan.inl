// selective_scan.  Formulas and shapes: src/tensor/ref/selective_scan.inl.
//
// A vector holds neighbouring channels; its N states stay in the L1 cache from step to step.  Bound by the N
// exponentials of a value: they are taken four vectors at once.  Backward keeps exp(Delta A) and h of one sequence and
// one vector of channels (2 T N vectors) instead of computing the exponentials again.
// Sums over channels (dB, dC) are added up in vectors of T N lanes each before the lanes are; sums over sequences (dA,
// dD) in PIECES parts whose borders depend on the number of sequences alone, so that threads change no bit.  Backward
// runs on as many threads as there are pieces: one sequence alone on one.
#include <omp.h>

#include "cpu_simd/range.h"

enum { PIECES = 32 };

typedef struct Scan {
    const float *x, *delta, *B, *C, *D;
    const float *A;                // [N][ld]: transposed, zeros behind the channels
    int64_t S, T, W, N, ld;
} Scan;

// A^T as [N][ld]
static const float *scan_decay(const OpCall *c, int64_t W, int64_t N, int64_t ld)
{
    const float *A = in_x(c, 2);
    float *t = arena_zalloc(c->scratch, (size_t)(N * ld) * sizeof *t);
    for (int64_t w = 0; w < W; w++)
        for (int64_t n = 0; n < N; n++) t[n * ld + w] = A[w * N + n];
    return t;
}

static Scan scan_of(const OpCall *c)
{
    const int64_t *d = c->in[0]->shape.d, W = d[2], N = c->in[2]->shape.d[1], ld = (W + VW - 1) / VW * VW;
    return (Scan){in_x(c, 0), in_x(c, 1), in_x(c, 3), in_x(c, 4), in_x(c, 5), scan_decay(c, W, N, ld), d[0], d[1], W, N,
                  ld};
}

// e[k] = exp(step A) of states n .. n+many-1
VECTORS scan_keep(const Scan *s, vf step, int64_t n, int64_t w, const int many, vf *e)
{
    for (int k = 0; k < many; k++) e[k] = vmul(step, vload(s->A + (n + k) * s->ld + w));
    vexps(e, many);
}

// States n .. n+many-1 of step r: h = exp(step A) h + B put, kept in keep where that is wanted; returns y + C h.
static inline __attribute__((always_inline)) vf scan_step(const Scan *s, int64_t r, int64_t w, int64_t n,
                                                          const int many, vf step, vf put, const float *before,
                                                          float *keep, float *h, vf y)
{
    vf e[VECTORS_MAX];
    scan_keep(s, step, n, w, many, e);
    for (int k = 0; k < many; k++) {
        const int64_t at = (n + k) * VW;
        const vf old = before ? vmul(e[k], vload(before + at)) : vzero();
        const vf now = vfma(vset1(s->B[r * s->N + n + k]), put, old);
        if (keep) vstore(keep + at, e[k]);
        vstore(h + at, now);
        y = vfma(vset1(s->C[r * s->N + n + k]), now, y);
    }
    return y;
}

// All states of step r of the channels w .. w+VW-1; before: those of the step before, NULL at the first.
static vf scan_states(const Scan *s, int64_t r, int64_t w, const float *before, float *keep, float *h)
{
    const vf step = vload_n(s->delta + r * s->W + w, s->W - w), x = vload_n(s->x + r * s->W + w, s->W - w);
    const vf put = vmul(step, x);
    vf y = vmul(vload_n(s->D + w, s->W - w), x);
    int64_t n = 0;
    for (; n + 4 <= s->N; n += 4) y = scan_step(s, r, w, n, 4, step, put, before, keep, h, y);
    for (; n < s->N; n++) y = scan_step(s, r, w, n, 1, step, put, before, keep, h, y);
    return y;
}

KERNEL(selective_scan, fwd)
{
    const Scan s = scan_of(c);
    float *y = out_x(c, 0);
    const int64_t blocks = s.ld / VW, room = s.N * VW;
    float *rooms = arena_alloc(c->scratch, (size_t)(omp_get_max_threads() * room) * sizeof *rooms);
#pragma omp parallel for schedule(static) if (numel(c->in[0]) * s.N > PAR_VALUES)
    for (int64_t i = 0; i < s.S * blocks; i++) {
        float *h = rooms + omp_get_thread_num() * room;
        const int64_t w = i % blocks * VW, first = i / blocks * s.T;
        for (int64_t r = first; r < first + s.T; r++)
            vstore_n(y + r * s.W + w, s.W - w, scan_states(&s, r, w, r > first ? h : NULL, NULL, h));
    }
}

// ---- backward

// What one thread works on: keep, h [T][N][VW] of a sequence and a vector of channels; db, dc [T][N][VW]: dB and dC of
// the sequence, lane by lane; g [N][VW]; da [N][ld], dd [ld]: of the piece.
typedef struct ScanRoom { float *keep, *h, *db, *dc, *g, *da, *dd; } ScanRoom;

// Step r, the t-th of its sequence, of the channels w ..: g holds exp(Delta_{t+1} A) g_{t+1}, and then the same of t.
static void scan_back(const Scan *s, const OpCall *c, ScanRoom m, int64_t r, int64_t t, int64_t w)
{
    float *dx = in_g(c, 0), *ddelta = in_g(c, 1);
    const int64_t left = s->W - w, at = r * s->W + w, states = s->N * VW;
    const vf step = vload_n(s->delta + at, left), x = vload_n(s->x + at, left), dy = vload_n(out_g(c, 0) + at, left);
    const vf put = vmul(step, x);
    vf gb = vzero(), gau = vzero();
    for (int64_t n = 0; n < s->N; n++) {
        const int64_t i = t * states + n * VW;
        const vf keep = vload(m.keep + i);
        const vf u = t ? vmul(keep, vload(m.h + i - states)) : vzero();
        const vf g = vfma(vset1(s->C[r * s->N + n]), dy, vload(m.g + n * VW)), gu = vmul(g, u);
        vstore(m.g + n * VW, vmul(keep, g));
        gb = vfma(vset1(s->B[r * s->N + n]), g, gb);
        gau = vfma(vload(s->A + n * s->ld + w), gu, gau);
        vstore(m.da + n * s->ld + w, vfma(gu, step, vload(m.da + n * s->ld + w)));
        vstore(m.db + i, vfma(g, put, vload(m.db + i)));
        vstore(m.dc + i, vfma(vload(m.h + i), dy, vload(m.dc + i)));
    }
    vstore(m.dd + w, vfma(x, dy, vload(m.dd + w)));
    if (dx) vstore_n(dx + at, left, vadd(vload_n(dx + at, left), vfma(step, gb, vmul(vload_n(s->D + w, left), dy))));
    if (ddelta) vstore_n(ddelta + at, left, vadd(vload_n(ddelta + at, left), vfma(x, gb, gau)));
}

static void scan_sequence(const Scan *s, const OpCall *c, ScanRoom m, int64_t sequence)
{
    const int64_t states = s->N * VW, first = sequence * s->T;
    memset(m.db, 0, (size_t)(2 * s->T * states) * sizeof *m.db);
    for (int64_t w = 0; w < s->W; w += VW) {
        for (int64_t t = 0; t < s->T; t++)
            scan_states(s, first + t, w, t ? m.h + (t - 1) * states : NULL, m.keep + t * states, m.h + t * states);
        memset(m.g, 0, (size_t)states * sizeof *m.g);
        for (int64_t t = s->T - 1; t >= 0; t--) scan_back(s, c, m, first + t, t, w);
    }
    float *dB = in_g(c, 3), *dC = in_g(c, 4);
    for (int64_t i = 0; i < s->T * s->N; i++) {
        if (dB) dB[first * s->N + i] += vsum(vload(m.db + i * VW));
        if (dC) dC[first * s->N + i] += vsum(vload(m.dc + i * VW));
    }
}

KERNEL(selective_scan, bwd)
{
    const Scan s = scan_of(c);
    const int64_t states = s.N * VW, all = s.T * states, sums = (s.N + 1) * s.ld, room = 4 * all + states;
    const int64_t pieces = min_i64(s.S, PIECES);
    float *rooms = arena_alloc(c->scratch, (size_t)(omp_get_max_threads() * room) * sizeof *rooms);
    float *parts = arena_zalloc(c->scratch, (size_t)(pieces * sums) * sizeof *parts);
#pragma omp parallel for schedule(dynamic) if (numel(c->in[0]) * s.N > PAR_VALUES)
    for (int64_t p = 0; p < pieces; p++) {
        float *a = rooms + omp_get_thread_num() * room, *da = parts + p * sums;
        const ScanRoom m = {a, a + all, a + 2 * all, a + 3 * all, a + 4 * all, da, da + s.N * s.ld};
        for (int64_t i = s.S * p / pieces; i < s.S * (p + 1) / pieces; i++) scan_sequence(&s, c, m, i);
    }
    float *dA = in_g(c, 2), *dD = in_g(c, 5);
    for (int64_t p = 0; p < pieces; p++)
        for (int64_t w = 0; w < s.W; w++) {
            for (int64_t n = 0; dA && n < s.N; n++) dA[w * s.N + n] += parts[p * sums + n * s.ld + w];
            if (dD) dD[w] += parts[p * sums + s.N * s.ld + w];
        }
}
