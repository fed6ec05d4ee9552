// randn, diffuse, dropout: the bits of src/tensor/philox.h, VW quads at a time.  Formulas: src/tensor/ref/<op>.inl.
// Philox multiplies 32 x 32 -> 64 bits, so its words sit in 64-bit lanes: quads of even and of odd lanes go through it
// side by side and are merged into one vector a word.  Every rounding below is the one in philox.h.
#include "cpu_simd/range.inl"
#include "tensor/philox.h"

#if defined(__AVX512F__)
static inline vi vi_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
static inline vi vi_set64(uint64_t x) { return _mm512_set1_epi64((long long)x); }
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_add64(vi a, vi b) { return _mm512_add_epi64(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
static inline vi vi_shl(vi a, unsigned n) { return _mm512_slli_epi32(a, n); }
static inline vi vi_shr(vi a, unsigned n) { return _mm512_srli_epi32(a, n); }
static inline vi vi_sar(vi a, unsigned n) { return _mm512_srai_epi32(a, n); }
static inline vi vi_hi64(vi a) { return _mm512_srli_epi64(a, 32); }
static inline vi vi_mul64(vi a, vi b) { return _mm512_mul_epu32(a, b); }         // low words of the 64-bit lanes
static inline vi vi_merge(vi even, vi odd) { return _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA); }
static inline vf vi_float(vi a) { return _mm512_cvtepi32_ps(a); }
static inline vf vi_as_vf(vi a) { return _mm512_castsi512_ps(a); }
static inline vi vf_as_vi(vf a) { return _mm512_castps_si512(a); }
// a where bit 0 of q is set, else b
static inline vf vi_pick(vi q, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(q, _mm512_set1_epi32(1)), b, a);
}
// Element e counts quad 4 (e % 4) + e / 4: after the 4 x 4 transpose of vstore_quads they lie in order.
static inline vi quad_even(void) { return _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11); }
static inline vi quad_odd(void) { return _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15); }
static inline vf vf_unpack_lo(vf a, vf b) { return _mm512_unpacklo_ps(a, b); }
static inline vf vf_unpack_hi(vf a, vf b) { return _mm512_unpackhi_ps(a, b); }
static inline vf vf_pairs_lo(vf a, vf b)
{
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
static inline vf vf_pairs_hi(vf a, vf b)
{
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
#else
static inline vi vi_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
static inline vi vi_set64(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_add64(vi a, vi b) { return _mm256_add_epi64(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
static inline vi vi_shl(vi a, int n) { return _mm256_slli_epi32(a, n); }
static inline vi vi_shr(vi a, int n) { return _mm256_srli_epi32(a, n); }
static inline vi vi_sar(vi a, int n) { return _mm256_srai_epi32(a, n); }
static inline vi vi_hi64(vi a) { return _mm256_srli_epi64(a, 32); }
static inline vi vi_mul64(vi a, vi b) { return _mm256_mul_epu32(a, b); }
static inline vi vi_merge(vi even, vi odd) { return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA); }
static inline vf vi_float(vi a) { return _mm256_cvtepi32_ps(a); }
static inline vf vi_as_vf(vi a) { return _mm256_castsi256_ps(a); }
static inline vi vf_as_vi(vf a) { return _mm256_castps_si256(a); }
static inline vf vi_pick(vi q, vf a, vf b) { return _mm256_blendv_ps(b, a, vi_as_vf(_mm256_slli_epi32(q, 31))); }
static inline vi quad_even(void) { return _mm256_setr_epi64x(0, 4, 1, 5); }   // element e: quad 2 (e % 4) + e / 4
static inline vi quad_odd(void) { return _mm256_setr_epi64x(2, 6, 3, 7); }
static inline vf vf_unpack_lo(vf a, vf b) { return _mm256_unpacklo_ps(a, b); }
static inline vf vf_unpack_hi(vf a, vf b) { return _mm256_unpackhi_ps(a, b); }
static inline vf vf_pairs_lo(vf a, vf b)
{
    return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
static inline vf vf_pairs_hi(vf a, vf b)
{
    return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
#endif

// The ten rounds' keys and the subsequence in every lane, made once for a call.
typedef struct { vi k0[10], k1[10], s0, s1; } PhiloxKeys;

static inline PhiloxKeys philox_keys(RandomAddress at)
{
    PhiloxKeys p = {.s0 = vi_set1(at.step), .s1 = vi_set1(at.site)};
    uint32_t k0 = (uint32_t)at.seed, k1 = (uint32_t)(at.seed >> 32);
    for (int round = 0; round < 10; round++) {
        p.k0[round] = vi_set1(k0);
        p.k1[round] = vi_set1(k1);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return p;
}

// n halves of VW quads side by side (vec.h: EACH), each with its words in the low halves of 64-bit lanes.  The ten
// rounds are one chain of latencies; four halves that take turns, and keys that are loaded, brought randn of a Zen 4
// from 1.03 to 1.39 G/s (AVX2: 0.63 to 0.94).
VECTORS philox_halves(const PhiloxKeys *key, const vi *quad, vi *c0, vi *c1, vi *c2, vi *c3, const int n)
{
    EACH {
        c0[k] = quad[k];
        c1[k] = vi_hi64(quad[k]);
        c2[k] = key->s0;
        c3[k] = key->s1;
    }
    for (int round = 0; round < 10; round++) {
        vi p0[VECTORS_MAX], p1[VECTORS_MAX];
        EACH p0[k] = vi_mul64(c0[k], vi_set1(0xD2511F53u));
        EACH p1[k] = vi_mul64(c2[k], vi_set1(0xCD9E8D57u));
        EACH c0[k] = vi_xor(vi_xor(vi_hi64(p1[k]), c1[k]), key->k0[round]);
        EACH c2[k] = vi_xor(vi_xor(vi_hi64(p0[k]), c3[k]), key->k1[round]);
        EACH c1[k] = p1[k];   // the high halves hold rubbish from here on; nothing reads them
        EACH c3[k] = p0[k];
    }
}

// x = log(x): philox_log.
VECTORS v_philox_log(vf *x, const int n)
{
    vf z[VECTORS_MAX], ef[VECTORS_MAX], p[VECTORS_MAX];
    EACH {
        const vi bits = vf_as_vi(x[k]), e = vi_sar(vi_sub(bits, vi_set1(0x3F3504F3)), 23);
        x[k] = vsub(vi_as_vf(vi_sub(bits, vi_shl(e, 23))), vset1(1.0f));
        ef[k] = vi_float(e);
    }
    EACH z[k] = vmul(x[k], x[k]);
    EACH p[k] = vfma(vset1(7.0376836292e-2f), x[k], vset1(-1.1514610310e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(1.1676998740e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(-1.2420140846e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(1.4249322787e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(-1.6668057665e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(2.0000714765e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(-2.4999993993e-1f));
    EACH p[k] = vfma(p[k], x[k], vset1(3.3333331174e-1f));
    EACH p[k] = vmul(vmul(p[k], x[k]), z[k]);
    EACH p[k] = vfma(ef[k], vset1(-2.12194440e-4f), p[k]);
    EACH p[k] = vfma(vset1(-0.5f), z[k], p[k]);
    EACH x[k] = vfma(ef[k], vset1(0.693359375f), vadd(x[k], p[k]));
}

// Normals of the draws d0 (radius) and d1 (angle): philox_unit, philox_log, philox_sincos, philox_normal2.
VECTORS v_philox_normals(const vi *d0, const vi *d1, vf *n0, vf *n1, const int n)
{
    vf r[VECTORS_MAX], a[VECTORS_MAX], z[VECTORS_MAX], ps[VECTORS_MAX], pc[VECTORS_MAX];
    vi q[VECTORS_MAX];
    EACH r[k] = vfma(vi_float(vi_shr(d0[k], 8)), vset1(0x1p-24f), vset1(0x1p-25f));
    v_philox_log(r, n);
    EACH r[k] = vsqrt(vmul(vset1(-2.0f), r[k]));
    EACH {
        const vi turn = vi_shr(d1[k], 8);
        q[k] = vi_shr(vi_add(turn, vi_set1(0x200000u)), 22);
        a[k] = vmul(vi_float(vi_sub(turn, vi_shl(q[k], 22))), vset1(3.7450704e-7f));
    }
    EACH z[k] = vmul(a[k], a[k]);
    EACH ps[k] = vfma(vset1(-1.9515295891e-4f), z[k], vset1(8.3321608736e-3f));
    EACH pc[k] = vfma(vset1(2.443315711809948e-5f), z[k], vset1(-1.388731625493765e-3f));
    EACH ps[k] = vfma(ps[k], z[k], vset1(-1.6666654611e-1f));
    EACH pc[k] = vfma(pc[k], z[k], vset1(4.166664568298827e-2f));
    EACH ps[k] = vfma(vmul(ps[k], z[k]), a[k], a[k]);
    EACH pc[k] = vfma(vmul(pc[k], z[k]), z[k], vfma(vset1(-0.5f), z[k], vset1(1.0f)));
    EACH {
        const vi two = vi_set1(2);   // bit 1 of q (of q + 1), moved to the sign
        const vi ss = vi_shl(vi_and(q[k], two), 30), sc = vi_shl(vi_and(vi_add(q[k], vi_set1(1)), two), 30);
        n0[k] = vmul(r[k], vi_as_vf(vi_xor(vf_as_vi(vi_pick(q[k], ps[k], pc[k])), sc)));
        n1[k] = vmul(r[k], vi_as_vf(vi_xor(vf_as_vi(vi_pick(q[k], pc[k], ps[k])), ss)));
    }
}

// y[4 q + j] = w[j] of quad q, for the VW quads that quad_even and quad_odd count.
static inline void vstore_quads(float *y, vf w0, vf w1, vf w2, vf w3)
{
    const vf l01 = vf_unpack_lo(w0, w1), h01 = vf_unpack_hi(w0, w1);
    const vf l23 = vf_unpack_lo(w2, w3), h23 = vf_unpack_hi(w2, w3);
    vstore(y, vf_pairs_lo(l01, l23));
    vstore(y + VW, vf_pairs_hi(l01, l23));
    vstore(y + 2 * VW, vf_pairs_lo(h01, h23));
    vstore(y + 3 * VW, vf_pairs_hi(h01, h23));
}

// The four words of BATCH times VW quads from `quad` on; of batch g: first and third in a[2 g ..], the others in b.
enum { BATCH = VECTORS_MAX / 2 };

static inline __attribute__((always_inline)) void words_of_quads(const PhiloxKeys *key, uint64_t quad, vi *a, vi *b)
{
    vi count[2 * BATCH], c0[2 * BATCH], c1[2 * BATCH], c2[2 * BATCH], c3[2 * BATCH];
    for (int g = 0; g < BATCH; g++) {
        count[2 * g] = vi_add64(vi_set64(quad + (uint64_t)(g * VW)), quad_even());
        count[2 * g + 1] = vi_add64(vi_set64(quad + (uint64_t)(g * VW)), quad_odd());
    }
    philox_halves(key, count, c0, c1, c2, c3, 2 * BATCH);
    for (int g = 0; g < 2 * BATCH; g += 2) {
        a[g] = vi_merge(c0[g], c0[g + 1]);
        b[g] = vi_merge(c1[g], c1[g + 1]);
        a[g + 1] = vi_merge(c2[g], c2[g + 1]);
        b[g + 1] = vi_merge(c3[g], c3[g + 1]);
    }
}

enum { DRAWS = 4 * VW * BATCH };

// y[0 .. DRAWS) = normals of the quads from `quad` on.
static inline void normals_of_quads(const PhiloxKeys *key, uint64_t quad, float *y)
{
    vi a[2 * BATCH], b[2 * BATCH];
    vf n0[2 * BATCH], n1[2 * BATCH];
    words_of_quads(key, quad, a, b);
    v_philox_normals(a, b, n0, n1, 2 * BATCH);
    for (int g = 0; g < BATCH; g++)
        vstore_quads(y + 4 * VW * g, n0[2 * g], n1[2 * g], n0[2 * g + 1], n1[2 * g + 1]);
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
        for (int64_t at = 0; at < len; at += DRAWS) {
            const uint64_t from = row ? row[2 * r] | (uint64_t)row[2 * r + 1] << 32 : (uint64_t)(p->row0 + r);
            const uint64_t quad = p->at.offset / 4 + from * (uint64_t)quads + (uint64_t)(at / 4);
            float last[DRAWS];
            const bool whole = at + DRAWS <= len;
            normals_of_quads(&key, quad, whole ? y + r * len + at : last);
            if (!whole) memcpy(y + r * len + at, last, (size_t)(len - at) * sizeof *y);
        }
}

// ---- diffuse: the noise of a batch of quads stays in L1; roundings as in q_sample and convert (mix.inl).  Beside
// randn, q_sample and convert one after another: 32x12x12x20 94 -> 78 us, 64x65536 6.2 -> 3.5 ms (Zen 4, one thread)

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
        for (int64_t at = 0; at < len; at += DRAWS) {
            float eps[DRAWS];
            const int64_t i = r * len + at;
            normals_of_quads(&key, p->at.offset / 4 + (uint64_t)(r * quads + at / 4), eps);
            diffuse_run(sqrtf(ab[r]), sqrtf(1 - ab[r]), x0 + i, eps, xt + i, target ? target + i : NULL,
                        p->target == DIFFUSE_V, min_i64(DRAWS, len - at));
        }
}

// ---- dropout: y (+)= x keep / (1 - p)

// f[0 .. DRAWS) = 0 or 1/(1-p) for the quads from `quad` on.  In float, draw >= p is draw >= the smallest float that is
// not below p.
static inline void dropout_factors(const DropoutParams *p, const PhiloxKeys *key, uint64_t quad, float *f)
{
    const float pf = (float)p->p, limit = (double)pf < p->p ? nextafterf(pf, 2) : pf;
    const vf keep = vset1((float)(1 / (1 - p->p)));
    vi w[2][2 * BATCH];
    vf v[2][2 * BATCH];
    words_of_quads(key, quad, w[0], w[1]);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2 * BATCH; k++) {
            const vf u = vfma(vi_float(vi_shr(w[i][k], 8)), vset1(0x1p-24f), vset1(0x1p-25f));
            v[i][k] = vsel(vlt(u, vset1(limit)), vzero(), keep);
        }
    for (int g = 0; g < 2 * BATCH; g += 2) vstore_quads(f + 2 * VW * g, v[0][g], v[1][g], v[0][g + 1], v[1][g + 1]);
}

static void masked(const OpCall *c, const float *x, float *y, bool add)
{
    const DropoutParams *p = c->p;
    const int64_t n = numel(c->in[0]), lead = (int64_t)(p->at.offset % 4);   // draws of the first quad that come before x[0]
    const PhiloxKeys key = philox_keys(random_address(p->at, c, 1));
#pragma omp parallel for schedule(static) if (n > PAR_VALUES / 4)
    for (int64_t at = 0; at < lead + n; at += DRAWS) {
        float f[DRAWS];
        dropout_factors(p, &key, p->at.offset / 4 + (uint64_t)(at / 4), f);
        const int64_t first = at > lead ? at - lead : 0, end = min_i64(n, at - lead + DRAWS);
        for (int64_t i = first; i < end; i += VW) {
            const int64_t left = end - i;
            const vf xf = vload_n(x + i, left), ff = vload_n(f + i + lead - at, left);
            vstore_n(y + i, left, add ? vfma(xf, ff, vload_n(y + i, left)) : vmul(xf, ff));
        }
    }
}

KERNEL(dropout, fwd) { masked(c, in_x(c, 0), out_x(c, 0), false); }

KERNEL(dropout, bwd)
{
    if (in_g(c, 0)) masked(c, out_g(c, 0), in_g(c, 0), true);
}
