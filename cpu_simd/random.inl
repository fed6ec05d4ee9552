// randn, diffuse, dropout: the bits of src/tensor/philox.h, a batch of quads at a time.  Formulas: ref/<op>.inl.
// Philox multiplies 32 x 32 -> 64 bits, so its words sit in the low halves of 64-bit lanes; the last round puts two of
// a quad's words into each lane.  Every rounding is the one in philox.h, or that of a number 2^k times as large; for
// each of the 2^24 radii and 2^24 angles the bits were compared with philox.h's, on AVX2 and AVX-512.
#include "cpu_simd/range.h"
#include "tensor/philox.h"

#if defined(__AVX512F__)
static inline vi vi_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
static inline vi vi_set64(uint64_t x) { return _mm512_set1_epi64((long long)x); }
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_add64(vi a, vi b) { return _mm512_add_epi64(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
static inline vi vi_xor3(vi a, vi b, vi c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
static inline vi vi_shl(vi a, unsigned n) { return _mm512_slli_epi32(a, n); }
static inline vi vi_hi64(vi a) { return _mm512_srli_epi64(a, 32); }
static inline vi vi_mul64(vi a, vi b) { return _mm512_mul_epu32(a, b); }         // low words of the 64-bit lanes
static inline vf vi_float(vi a) { return _mm512_cvtepi32_ps(a); }
static inline vf vi_as_vf(vi a) { return _mm512_castsi512_ps(a); }
static inline vi vf_as_vi(vf a) { return _mm512_castps_si512(a); }
// 64-bit lanes: the high words of a and b, the low words of a and b
static inline vi vi_highs(vi a, vi b) { return _mm512_mask_shuffle_epi32(b, 0x5555, a, _MM_PERM_DDBB); }
static inline vi vi_lows(vi a, vi b) { return _mm512_mask_shuffle_epi32(a, 0xAAAA, b, _MM_PERM_CCAA); }
// 2^32 (k + 1/2) / 2^24, rounded once, of the upper 24 bits k
static inline vf vi_unit(vi a)
{
    return _mm512_cvtepu32_ps(_mm512_ternarylogic_epi32(a, vi_set1(0xFFFFFF00u), vi_set1(0x80u), 0xEA));
}
// -a where bit 31 of q is set, else a
static inline vf vi_flip(vi q, vf a)
{
    return vi_as_vf(_mm512_ternarylogic_epi32(vf_as_vi(a), q, vi_set1(0x80000000u), 0x78));
}
// (s, c) becomes (c, -s) where bit 30 of q is set
static inline void vi_turn(vi q, vf *s, vf *c)
{
    const __mmask16 odd = _mm512_test_epi32_mask(q, vi_set1(0x40000000u));
    const vf t = *s;
    *s = _mm512_mask_blend_ps(odd, t, *c);
    *c = _mm512_mask_xor_ps(*c, odd, t, vset1(-0.0f));
}
static inline vf vfnms(vf a, vf b, vf c) { return _mm512_fnmsub_ps(a, b, c); }   // -(a b) - c
static inline vf vf_unpack_lo(vf a, vf b) { return _mm512_unpacklo_ps(a, b); }
static inline vf vf_unpack_hi(vf a, vf b) { return _mm512_unpackhi_ps(a, b); }
// m times the number of each 64-bit lane's quad.  Lane 2 i + j holds quad i + j HALF / 2: vf_unpack puts them in order.
static inline vi vi_lanes(uint64_t m)
{
    return _mm512_mullo_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), vi_set64(m));
}
#else
static inline vi vi_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
static inline vi vi_set64(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_add64(vi a, vi b) { return _mm256_add_epi64(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
static inline vi vi_xor3(vi a, vi b, vi c) { return vi_xor(a, vi_xor(b, c)); }
static inline vi vi_shl(vi a, int n) { return _mm256_slli_epi32(a, n); }
static inline vi vi_hi64(vi a) { return _mm256_srli_epi64(a, 32); }
static inline vi vi_mul64(vi a, vi b) { return _mm256_mul_epu32(a, b); }
static inline vf vi_float(vi a) { return _mm256_cvtepi32_ps(a); }
static inline vf vi_as_vf(vi a) { return _mm256_castsi256_ps(a); }
static inline vi vf_as_vi(vf a) { return _mm256_castps_si256(a); }
static inline vi vi_highs(vi a, vi b) { return _mm256_blend_epi32(vi_hi64(a), b, 0xAA); }
static inline vi vi_lows(vi a, vi b) { return _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xAA); }
static inline vf vi_unit(vi a) { return vfma(vi_float(_mm256_srli_epi32(a, 8)), vset1(0x1p8f), vset1(0x1p7f)); }
static inline vf vi_flip(vi q, vf a) { return vi_as_vf(vi_xor(vf_as_vi(a), vi_and(q, vi_set1(0x80000000u)))); }
static inline void vi_turn(vi q, vf *s, vf *c)
{
    const vf odd = vi_as_vf(vi_shl(q, 1)), t = *s;
    *s = _mm256_blendv_ps(t, *c, odd);
    *c = _mm256_blendv_ps(*c, _mm256_xor_ps(t, vset1(-0.0f)), odd);
}
static inline vf vfnms(vf a, vf b, vf c) { return _mm256_fnmsub_ps(a, b, c); }
static inline vf vf_unpack_lo(vf a, vf b) { return _mm256_unpacklo_ps(a, b); }
static inline vf vf_unpack_hi(vf a, vf b) { return _mm256_unpackhi_ps(a, b); }
static inline vi vi_lanes(uint64_t m)
{
    return _mm256_setr_epi64x(0, (long long)(2 * m), (long long)m, (long long)(3 * m));
}
#endif

enum { HALF = VW / 2, QUADS = HALF * VECTORS_MAX, DRAWS = 4 * QUADS };   // quads in a vector and in a batch; its draws
#define M0 0xD2511F53u
#define M1 0xCD9E8D57u

// What the rounds of a call need in every lane: their keys; both keys of the last round in each 64-bit lane.
typedef struct { uint64_t seed, subsequence; vi k0[10], k1[10], last; } PhiloxKeys;

static inline PhiloxKeys philox_keys(RandomAddress at)
{
    PhiloxKeys p = {.seed = at.seed, .subsequence = philox_subsequence(at.site, at.step)};
    uint32_t k0 = (uint32_t)at.seed, k1 = (uint32_t)(at.seed >> 32);
    for (int round = 0; round < 10; round++) {
        p.k0[round] = vi_set1(k0);
        p.k1[round] = vi_set1(k1);
        p.last = vi_set64((uint64_t)k1 << 32 | k0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return p;
}

enum { RUN = 2048 };   // draws in a piece of work, a multiple of DRAWS

// Whether the counter's second word changes within the run of quads that begins here: then the scalar code draws it.
static inline bool run_carries(uint64_t quad) { return (uint32_t)quad > UINT32_MAX - RUN / 4; }

// A run of batches whose quads share the counter's words 1 to 3.  The first round multiplies only the low word, so
// `product`, M0 times it, advances by steps; one product of the second round is the same in every quad too.
typedef struct {
    vi product, lanes[VECTORS_MAX], batch;   // of the batch's first quad; what its others, the next batch's add to it
    vi c2, c0, d2, d3;                       // same in all quads: their part of c2 of round 1, c0 and c2 of 2; its c3
} PhiloxRun;

static inline PhiloxRun philox_run(const PhiloxKeys *key, uint64_t quad)
{
    const uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32);
    const uint64_t p1 = (uint64_t)M1 * (uint32_t)key->subsequence;
    const uint64_t p0 = (uint64_t)M0 * ((uint32_t)(p1 >> 32) ^ (uint32_t)(quad >> 32) ^ k0);
    PhiloxRun r = {.product = vi_set64((uint64_t)M0 * (uint32_t)quad), .batch = vi_set64((uint64_t)M0 * QUADS),
                   .c2 = vi_set1((uint32_t)(key->subsequence >> 32) ^ k1),
                   .c0 = vi_xor(vi_set1((uint32_t)p1), key->k0[1]),
                   .d2 = vi_xor(vi_set1((uint32_t)(p0 >> 32)), key->k1[1]), .d3 = vi_set1((uint32_t)p0)};
    for (uint64_t k = 0; k < VECTORS_MAX; k++)
        r.lanes[k] = vi_add64(vi_lanes(M0), vi_set64(M0 * (uint64_t)HALF * k));
    return r;
}

// The words of the run's next batch: first and third of a quad in a 64-bit lane of a, the others in b.  The rounds are
// a chain of latencies; four vectors take turns.  With what a run shares and fewer steps in v_radius2 and v_sincos than
// in philox.h, randn of a Zen 4 went from 1.33 to 1.67 G/s (AVX2: 0.88 to 1.05).
VECTORS next_words(const PhiloxKeys *key, PhiloxRun *run, vi *a, vi *b)
{
    const int n = VECTORS_MAX;
    vi c0[VECTORS_MAX], c1[VECTORS_MAX], c2[VECTORS_MAX], c3[VECTORS_MAX];
    EACH c3[k] = vi_add64(run->product, run->lanes[k]);
    EACH c2[k] = vi_xor(vi_hi64(c3[k]), run->c2);
    EACH c1[k] = vi_mul64(c2[k], vi_set1(M1));
    EACH c0[k] = vi_xor(vi_hi64(c1[k]), run->c0);
    EACH c2[k] = vi_xor(c3[k], run->d2);
    EACH c3[k] = run->d3;
    for (int round = 2; round < 9; round++) {
        vi p0[VECTORS_MAX], p1[VECTORS_MAX];
        EACH p0[k] = vi_mul64(c0[k], vi_set1(M0));
        EACH p1[k] = vi_mul64(c2[k], vi_set1(M1));
        EACH c0[k] = vi_xor3(vi_hi64(p1[k]), c1[k], key->k0[round]);
        EACH c2[k] = vi_xor3(vi_hi64(p0[k]), c3[k], key->k1[round]);
        EACH c1[k] = p1[k];   // the high halves hold rubbish from here on; nothing reads them
        EACH c3[k] = p0[k];
    }
    EACH {
        const vi p0 = vi_mul64(c0[k], vi_set1(M0)), p1 = vi_mul64(c2[k], vi_set1(M1));
        a[k] = vi_xor3(vi_highs(p1, p0), vi_lows(c1[k], c3[k]), key->last);
        b[k] = vi_lows(p1, p0);
    }
    run->product = vi_add64(run->product, run->batch);
}

// x = -2 log(x / 2^32): philox_log, every term and the sum times a power of two.
VECTORS v_radius2(vf *x, const int n)
{
    vf z[VECTORS_MAX], ef[VECTORS_MAX], p[VECTORS_MAX];
    EACH {
        const vi bits = vf_as_vi(x[k]), above = vi_sub(bits, vi_set1(0x3F3504F3 + (32 << 23)));
        const vi e = vi_and(above, vi_set1(0xFF800000u));
        x[k] = vfma(vi_as_vf(vi_sub(bits, e)), vset1(0x1p-32f), vset1(-1.0f));
        ef[k] = vi_float(e);   // 2^23 e
    }
    EACH z[k] = vmul(x[k], x[k]);
    EACH p[k] = vfma(vset1(2 * 7.0376836292e-2f), x[k], vset1(2 * -1.1514610310e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2 * 1.1676998740e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2 * -1.2420140846e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2 * 1.4249322787e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2 * -1.6668057665e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2 * 2.0000714765e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2 * -2.4999993993e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2 * 3.3333331174e-1f));
    EACH p[k] = vmul(vmul(p[k], x[k]), z[k]);
    EACH p[k] = vfma(ef[k], vset1(0x1p-22f * -2.12194440e-4f), p[k]);
    EACH p[k] = vsub(p[k], z[k]);
    EACH x[k] = vfnms(ef[k], vset1(0x1p-22f * 0.693359375f), vfma(vset1(2), x[k], p[k]));
}

// (s, c) = (sin, cos) of 2 pi (d >> 8) / 2^24: philox_sincos.  Both still lack a minus where bit 31 of q is set.
VECTORS v_sincos(const vi *d, vi *q, vf *s, vf *c, const int n)
{
    vf a[VECTORS_MAX], z[VECTORS_MAX];
    // The two uppermost bits count quarter turns, the 22 below them, signed, are what is left (here times 2^10).
    EACH q[k] = vi_add(d[k], vi_set1(0x20000000u));
    EACH a[k] = vi_float(vi_and(vi_shl(d[k], 2), vi_set1(0xFFFFFC00u)));
    EACH a[k] = vmul(a[k], vset1(0x1p-10f * 3.7450704e-7f));
    EACH z[k] = vmul(a[k], a[k]);
    EACH s[k] = vfma(vset1(-1.9515295891e-4f), z[k], vset1(8.3321608736e-3f));
    EACH c[k] = vfma(vset1(2.443315711809948e-5f), z[k], vset1(-1.388731625493765e-3f));
    EACH s[k] = vfma(s[k], z[k], vset1(-1.6666654611e-1f));
    EACH c[k] = vfma(c[k], z[k], vset1(4.166664568298827e-2f));
    EACH s[k] = vfma(vmul(s[k], z[k]), a[k], a[k]);
    EACH c[k] = vfma(vmul(c[k], z[k]), z[k], vfma(vset1(-0.5f), z[k], vset1(1.0f)));
    EACH vi_turn(q[k], &s[k], &c[k]);
}

// y[2 i] = even lane i, y[2 i + 1] = odd lane i; lanes as in vi_lanes.
static inline void vstore_words(float *y, vf even, vf odd)
{
    vstore(y, vf_unpack_lo(even, odd));
    vstore(y + VW, vf_unpack_hi(even, odd));
}

// y[0 .. len) = normals, len <= RUN, of the quads from `quad` on: philox_normal2 of each pair of words.
static __attribute__((noinline)) void normals(const PhiloxKeys *key, uint64_t quad, float *y, int64_t len)
{
    const int n = VECTORS_MAX;
    if (run_carries(quad)) {
        for (int64_t i = 0; i < len; i++) y[i] = philox_normal(key->seed, key->subsequence, 4 * quad + (uint64_t)i);
        return;
    }
    PhiloxRun run = philox_run(key, quad);
    float last[DRAWS];
    for (int64_t i = 0; i < len; i += DRAWS) {
        vi a[VECTORS_MAX], b[VECTORS_MAX], q[VECTORS_MAX];
        vf r[VECTORS_MAX], s[VECTORS_MAX], c[VECTORS_MAX];
        next_words(key, &run, a, b);
        EACH r[k] = vi_unit(a[k]);
        v_radius2(r, n);
        EACH r[k] = vsqrt(r[k]);
        v_sincos(b, q, s, c, n);
        EACH r[k] = vi_flip(q[k], r[k]);
        float *to = len - i < DRAWS ? last : y + i;
        EACH vstore_words(to + 2 * VW * k, vmul(r[k], c[k]), vmul(r[k], s[k]));
    }
    memcpy(y + len - len % DRAWS, last, (size_t)(len % DRAWS) * sizeof *y);
}

KERNEL(randn, fwd)
{
    const RandnParams *p = c->p;
    const PhiloxKeys key = philox_keys(random_address(p->at, c, 0));
    float *y = out_x(c, 0);
    const int64_t rows = c->out[0]->shape.n ? c->out[0]->shape.d[0] : 1, len = rows ? numel(c->out[0]) / rows : 0;
    const int64_t quads = (len + 3) / 4;
    const uint32_t *row = c->n_in > 1 ? c->in[1]->x : NULL;
#pragma omp parallel for collapse(2) schedule(static) if (rows * len > PAR_VALUES / 4)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t at = 0; at < len; at += RUN) {
            const uint64_t from = row ? row[2 * r] | (uint64_t)row[2 * r + 1] << 32 : (uint64_t)(p->row0 + r);
            normals(&key, p->at.offset / 4 + from * (uint64_t)quads + (uint64_t)(at / 4), y + r * len + at,
                    min_i64(RUN, len - at));
        }
}

// ---- diffuse: the noise of a batch of quads stays in L1; roundings as in q_sample and convert (diffusion.inl).
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.

// x_t = s x0 + e eps, target = s eps - e x0 (V) or eps, n values; target may be NULL
static inline void diffuse_run(float s, float e, const float *x0, const float *eps, float *xt, float *target, bool v,
                               int64_t n)
{
    const vf vs = vset1(s), ve = vset1(e), minus = vset1(-e);
    for (int64_t i = 0; i < n; i += VW) {
        const int64_t left = n - i;
        const vf x = vload_n(x0 + i, left), z = vload_n(eps + i, left);
        vstore_n(xt + i, left, vfma(vs, x, vmul(ve, z)));
        if (target) vstore_n(target + i, left, v ? vfma(minus, x, vmul(vs, z)) : z);
    }
}

KERNEL(diffuse, fwd)
{
    const DiffuseParams *p = c->p;
    const PhiloxKeys key = philox_keys(random_address(p->at, c, 2));
    const float *x0 = in_x(c, 0), *ab = in_x(c, 1);
    float *xt = out_x(c, 0), *target = c->n_out > 1 ? out_x(c, 1) : NULL;
    const int64_t rows = numel(c->in[1]), len = rows ? numel(c->in[0]) / rows : 0, quads = (len + 3) / 4;
#pragma omp parallel for collapse(2) schedule(static) if (rows * len > PAR_VALUES / 4)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t at = 0; at < len; at += RUN) {
            float eps[RUN];
            const int64_t i = r * len + at, n = min_i64(RUN, len - at);
            normals(&key, p->at.offset / 4 + (uint64_t)(r * quads + at / 4), eps, n);
            diffuse_run(sqrtf(ab[r]), sqrtf(1 - ab[r]), x0 + i, eps, xt + i, target ? target + i : NULL,
                        p->target == DIFFUSE_V, n);
        }
}

// ---- dropout: y (+)= x keep / (1 - p)

// A draw of at least `least` keeps its value, times `keep`.  In float, u >= p is u >= the smallest float not below p.
typedef struct { float least, keep; } Keeping;

static inline Keeping keeping(double p)
{
    const float f = (float)p;
    return (Keeping){(double)f < p ? nextafterf(f, 2) : f, (float)(1 / (1 - p))};
}

// f[0 .. DRAWS) = 0 or keep for the run's next batch
VECTORS next_factors(Keeping p, const PhiloxKeys *key, PhiloxRun *run, float *f)
{
    const int n = VECTORS_MAX;
    const vf least = vset1(0x1p32f * p.least), keep = vset1(p.keep);
    vi a[VECTORS_MAX], b[VECTORS_MAX];
    next_words(key, run, a, b);
    EACH vstore_words(f + 2 * VW * k, vsel(vlt(vi_unit(a[k]), least), vzero(), keep),
                      vsel(vlt(vi_unit(b[k]), least), vzero(), keep));
}

// The same of the draws from `draw` on, where the counter's second word changes.
static __attribute__((noinline)) void carried_factors(Keeping p, const PhiloxKeys *key, uint64_t draw, float *f)
{
    for (uint64_t i = 0; i < DRAWS; i++)
        f[i] = philox_unit(philox_u32(key->seed, key->subsequence, draw + i)) >= p.least ? p.keep : 0;
}

static void masked(const OpCall *c, const float *x, float *y, bool add)
{
    const DropoutParams *params = c->p;
    const Keeping p = keeping(params->p);
    const RandomAddress address = params->at;
    const int64_t n = numel(c->in[0]), lead = (int64_t)(address.offset % 4);   // draws that come before x[0]
    const PhiloxKeys key = philox_keys(random_address(address, c, 1));
#pragma omp parallel for schedule(static) if (n > PAR_VALUES / 4)
    for (int64_t from = 0; from < lead + n; from += RUN) {
        const uint64_t quad = address.offset / 4 + (uint64_t)(from / 4);
        const bool carries = run_carries(quad);
        PhiloxRun run = philox_run(&key, quad);
        for (int64_t at = from; at < min_i64(from + RUN, lead + n); at += DRAWS) {
            float f[DRAWS];
            if (carries) carried_factors(p, &key, 4 * quad + (uint64_t)(at - from), f);
            else next_factors(p, &key, &run, f);
            const int64_t first = at > lead ? at - lead : 0, end = min_i64(n, at - lead + DRAWS);
            for (int64_t i = first; i < end; i += VW) {
                const int64_t left = end - i;
                const vf xf = vload_n(x + i, left), ff = vload_n(f + i + lead - at, left);
                vstore_n(y + i, left, add ? vfma(xf, ff, vload_n(y + i, left)) : vmul(xf, ff));
            }
        }
    }
}

KERNEL(dropout, fwd) { masked(c, in_x(c, 0), out_x(c, 0), false); }

KERNEL(dropout, bwd)
{
    if (in_g(c, 0)) masked(c, out_g(c, 0), in_g(c, 0), true);
}
