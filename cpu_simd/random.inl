// randn, dropout: the bits of src/tensor/philox.h, VW quads at a time.  Formulas: src/tensor/ref/<op>.inl.
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

typedef struct { vi c0, c1, c2, c3; } QuadHalf;   // VW / 2 quads: words in the low halves of 64-bit lanes

static inline QuadHalf philox_half(uint64_t seed, uint64_t subsequence, vi quad)
{
    QuadHalf h = {quad, vi_hi64(quad), vi_set1((uint32_t)subsequence), vi_set1((uint32_t)(subsequence >> 32))};
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const vi p0 = vi_mul64(h.c0, vi_set1(0xD2511F53u)), p1 = vi_mul64(h.c2, vi_set1(0xCD9E8D57u));
        h.c0 = vi_xor(vi_xor(vi_hi64(p1), h.c1), vi_set1(k0));
        h.c2 = vi_xor(vi_xor(vi_hi64(p0), h.c3), vi_set1(k1));
        h.c1 = p1;   // the high halves hold rubbish from here on; nothing reads them
        h.c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return h;
}

static inline vf v_philox_log(vf u)
{
    vi bits = vf_as_vi(u);
    const vi e = vi_sar(vi_sub(bits, vi_set1(0x3F3504F3)), 23);
    bits = vi_sub(bits, vi_shl(e, 23));
    const vf x = vsub(vi_as_vf(bits), vset1(1.0f)), z = vmul(x, x), ef = vi_float(e);
    vf p = vset1(7.0376836292e-2f);
    p = vfma(p, x, vset1(-1.1514610310e-1f));
    p = vfma(p, x, vset1(1.1676998740e-1f));
    p = vfma(p, x, vset1(-1.2420140846e-1f));
    p = vfma(p, x, vset1(1.4249322787e-1f));
    p = vfma(p, x, vset1(-1.6668057665e-1f));
    p = vfma(p, x, vset1(2.0000714765e-1f));
    p = vfma(p, x, vset1(-2.4999993993e-1f));
    p = vfma(p, x, vset1(3.3333331174e-1f));
    vf y = vmul(vmul(p, x), z);
    y = vfma(ef, vset1(-2.12194440e-4f), y);
    y = vfma(vset1(-0.5f), z, y);
    return vfma(ef, vset1(0.693359375f), vadd(x, y));
}

// Normals of the draws d0 (radius) and d1 (angle): philox_unit, philox_log, philox_sincos, philox_normal2.
static inline void v_philox_normal2(vi d0, vi d1, vf *n0, vf *n1)
{
    const vf u = vfma(vi_float(vi_shr(d0, 8)), vset1(0x1p-24f), vset1(0x1p-25f));
    const vf r = vsqrt(vmul(vset1(-2.0f), v_philox_log(u)));
    const vi k = vi_shr(d1, 8), q = vi_shr(vi_add(k, vi_set1(0x200000u)), 22);
    const vf a = vmul(vi_float(vi_sub(k, vi_shl(q, 22))), vset1(3.7450704e-7f)), z = vmul(a, a);
    vf ps = vset1(-1.9515295891e-4f);
    ps = vfma(ps, z, vset1(8.3321608736e-3f));
    ps = vfma(ps, z, vset1(-1.6666654611e-1f));
    const vf sn = vfma(vmul(ps, z), a, a);
    vf pc = vset1(2.443315711809948e-5f);
    pc = vfma(pc, z, vset1(-1.388731625493765e-3f));
    pc = vfma(pc, z, vset1(4.166664568298827e-2f));
    const vf cs = vfma(vmul(pc, z), z, vfma(vset1(-0.5f), z, vset1(1.0f)));
    const vi two = vi_set1(2);   // bit 1 of q (of q + 1), moved to the sign
    const vi ss = vi_shl(vi_and(q, two), 30), sc = vi_shl(vi_and(vi_add(q, vi_set1(1)), two), 30);
    *n0 = vmul(r, vi_as_vf(vi_xor(vf_as_vi(vi_pick(q, sn, cs)), sc)));
    *n1 = vmul(r, vi_as_vf(vi_xor(vf_as_vi(vi_pick(q, cs, sn)), ss)));
}

// y[4 q + j] = w[j] of quad q, for the VW quads that quad_even and quad_odd count.
static inline void vstore_quads(float *y, const vf w[4])
{
    const vf l01 = vf_unpack_lo(w[0], w[1]), h01 = vf_unpack_hi(w[0], w[1]);
    const vf l23 = vf_unpack_lo(w[2], w[3]), h23 = vf_unpack_hi(w[2], w[3]);
    vstore(y, vf_pairs_lo(l01, l23));
    vstore(y + VW, vf_pairs_hi(l01, l23));
    vstore(y + 2 * VW, vf_pairs_lo(h01, h23));
    vstore(y + 3 * VW, vf_pairs_hi(h01, h23));
}

// The four words of the VW quads from `quad` on.
static inline void words_of_quads(uint64_t seed, uint64_t subsequence, uint64_t quad, vi w[4])
{
    const QuadHalf a = philox_half(seed, subsequence, vi_add64(vi_set64(quad), quad_even()));
    const QuadHalf b = philox_half(seed, subsequence, vi_add64(vi_set64(quad), quad_odd()));
    w[0] = vi_merge(a.c0, b.c0);
    w[1] = vi_merge(a.c1, b.c1);
    w[2] = vi_merge(a.c2, b.c2);
    w[3] = vi_merge(a.c3, b.c3);
}

// y[0 .. 4 VW) = normals of the VW quads from `quad` on.
static inline void normals_of_quads(uint64_t seed, uint64_t subsequence, uint64_t quad, float *y)
{
    vi w[4];
    vf n[4];
    words_of_quads(seed, subsequence, quad, w);
    v_philox_normal2(w[0], w[1], &n[0], &n[1]);
    v_philox_normal2(w[2], w[3], &n[2], &n[3]);
    vstore_quads(y, n);
}

KERNEL(randn, fwd)
{
    const RandnParams *p = c->p;
    const uint64_t sub = philox_subsequence(p->at.site, p->at.step);
    float *y = out_x(c, 0);
    const int64_t rows = c->out[0]->shape.n ? c->out[0]->shape.d[0] : 1, len = rows ? numel(c->out[0]) / rows : 0;
    const int64_t quads = (len + 3) / 4;
#pragma omp parallel for collapse(2) schedule(static) if (rows * len > PAR_VALUES / 4)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t at = 0; at < len; at += 4 * VW) {
            const uint64_t quad = p->at.offset / 4 + (uint64_t)((p->row0 + r) * quads + at / 4);
            float last[4 * VW];
            const bool whole = at + 4 * VW <= len;
            normals_of_quads(p->at.seed, sub, quad, whole ? y + r * len + at : last);
            if (!whole) memcpy(y + r * len + at, last, (size_t)(len - at) * sizeof *y);
        }
}

// ---- dropout: y (+)= x keep / (1 - p)

// f[0 .. 4 VW) = 0 or 1/(1-p) for the draws of the VW quads from `quad` on.  In float, draw >= p is draw >= the
// smallest float that is not below p.
static inline void dropout_factors(const DropoutParams *p, uint64_t quad, float *f)
{
    const float pf = (float)p->p, limit = (double)pf < p->p ? nextafterf(pf, 2) : pf;
    vi w[4];
    vf k[4];
    words_of_quads(p->at.seed, philox_subsequence(p->at.site, p->at.step), quad, w);
    for (int j = 0; j < 4; j++) {
        const vf u = vfma(vi_float(vi_shr(w[j], 8)), vset1(0x1p-24f), vset1(0x1p-25f));
        k[j] = vsel(vlt(u, vset1(limit)), vzero(), vset1((float)(1 / (1 - p->p))));
    }
    vstore_quads(f, k);
}

static void masked(const DropoutParams *p, const float *x, float *y, int64_t n, bool add)
{
    const int64_t lead = (int64_t)(p->at.offset % 4);   // draws of the first quad that come before x[0]
#pragma omp parallel for schedule(static) if (n > PAR_VALUES / 4)
    for (int64_t at = 0; at < lead + n; at += 4 * VW) {
        float f[4 * VW];
        dropout_factors(p, p->at.offset / 4 + (uint64_t)(at / 4), f);
        const int64_t first = at > lead ? at - lead : 0, end = min_i64(n, at - lead + 4 * VW);
        for (int64_t i = first; i < end; i += VW) {
            const int64_t left = end - i;
            const vf xf = vload_n(x + i, left), ff = vload_n(f + i + lead - at, left);
            vstore_n(y + i, left, add ? vfma(xf, ff, vload_n(y + i, left)) : vmul(xf, ff));
        }
    }
}

KERNEL(dropout, fwd) { masked(c->p, in_x(c, 0), out_x(c, 0), numel(c->in[0]), false); }

KERNEL(dropout, bwd)
{
    if (in_g(c, 0)) masked(c->p, out_g(c, 0), in_g(c, 0), numel(c->in[0]), true);
}
