// The vector ABC of the fast CPU kernels: one source for AVX2 (8 floats) and AVX-512 (16 floats).
// A kernel body is written once, in cpu_simd/<family>.inl; avx2.c and avx512.c include all families, each with its own
// -m flags and its own SYMBOL suffix.  All is static inline here: no object may hold an instruction that its CPU lacks.
//
//   VW                   floats in a vector
//   vf, vi, vmask        a vector of floats, of 32-bit integers, a set of lanes
//   vload/vstore         unaligned; the _m forms touch only the lanes of the mask (load: 0 in the others)
//   vhead(n)             the first n lanes, 0 <= n <= VW (n above VW: all)
//   vload_n/vstore_n     the first n floats, all when n >= VW: one loop body serves the tail too, for a branch
//   vpad_n(v,n,o)        v in the first n lanes, o in the others
//   vfma(a,b,c)          a b + c, rounded once;  vfnma(a,b,c)  c - a b
//   vmin, vmax           yield the second operand when either is NaN
//   vsum, vsum_wide, vmaxall   over the lanes, in a fixed order; wide: in double
//   vsel(m,a,b)          a in the lanes of m, else b
//   vsilu, vgelu_tanh    and their derivatives, _grad
//   vexp, vtanh, vsigmoid, vsoftplus, vnormal_cdf   error bounds in ulp at their definitions; measured by
//                        tests/test_vec.c
//   vd                   VW / 2 doubles; vd_low, vd_high: the halves of a vf as such
#ifndef LEAD_CPU_SIMD_VEC_H
#define LEAD_CPU_SIMD_VEC_H

#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "tensor/device.h"

#define KERNEL(name, dir) void SYMBOL(name, dir)(const OpCall *c)

static inline const float *in_x(const OpCall *c, int i) { return i < c->n_in && c->in[i] ? c->in[i]->x : NULL; }
static inline float *in_g(const OpCall *c, int i) { return i < c->n_in && c->in[i] ? c->in[i]->g : NULL; }
static inline float *out_x(const OpCall *c, int j) { return c->out[j]->x; }
static inline const float *out_g(const OpCall *c, int j) { return c->out[j]->g; }

static inline int64_t min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

#if defined(__AVX512F__)

enum { VW = 16 };
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vmask;

static inline vf vload(const float *p) { return _mm512_loadu_ps(p); }
static inline void vstore(float *p, vf v) { _mm512_storeu_ps(p, v); }
static inline vmask vhead(int64_t n) { return (vmask)(n >= VW ? 0xFFFFu : (1u << n) - 1); }
static inline vf vload_m(const float *p, vmask m) { return _mm512_maskz_loadu_ps(m, p); }
static inline void vstore_m(float *p, vmask m, vf v) { _mm512_mask_storeu_ps(p, m, v); }
static inline vf vset1(float x) { return _mm512_set1_ps(x); }
static inline vf vzero(void) { return _mm512_setzero_ps(); }
static inline vf vadd(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vsub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vmul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vdiv(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vfnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vsqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf vabs(vf a) { return _mm512_abs_ps(a); }
static inline vmask vlt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }   // false when either is NaN
static inline vf vsel(vmask m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline vf vround(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vscale2(vf a, vf n) { return _mm512_scalef_ps(a, n); }               // a 2^n, n whole

static inline __m256 vlow(vf v) { return _mm512_castps512_ps256(v); }
static inline __m256 vhigh(vf v) { return _mm512_extractf32x8_ps(v, 1); }

static inline float vmaxall(vf v) { return _mm512_reduce_max_ps(v); }

typedef __m512d vd;
static inline vd vd_low(vf v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v)); }
static inline vd vd_high(vf v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)); }
static inline vd vd_set1(double x) { return _mm512_set1_pd(x); }
static inline vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
static inline vd vd_sub(vd a, vd b) { return _mm512_sub_pd(a, b); }
static inline vd vd_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
static inline vd vd_min(vd a, vd b) { return _mm512_min_pd(a, b); }
static inline vd vd_abs(vd a) { return _mm512_abs_pd(a); }
static inline __m256d vd_fold(vd v) { return _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1)); }

#else

enum { VW = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vmask;

static inline vf vload(const float *p) { return _mm256_loadu_ps(p); }
static inline void vstore(float *p, vf v) { _mm256_storeu_ps(p, v); }
static inline vmask vhead(int64_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)min_i64(n, VW)), lane);
}
static inline vf vload_m(const float *p, vmask m) { return _mm256_maskload_ps(p, m); }
static inline void vstore_m(float *p, vmask m, vf v) { _mm256_maskstore_ps(p, m, v); }
static inline vf vset1(float x) { return _mm256_set1_ps(x); }
static inline vf vzero(void) { return _mm256_setzero_ps(); }
static inline vf vadd(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vsub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vmul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vdiv(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vfnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf vmin(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vsqrt(vf a) { return _mm256_sqrt_ps(a); }
static inline vf vabs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vmask vlt(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
static inline vf vsel(vmask m, vf a, vf b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m)); }
static inline vf vround(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

static inline vf vscale2(vf a, vf n)   // a 2^n, n whole, |n| <= 252: in two factors, since 2^n alone may overflow
{
    const __m256i i = _mm256_cvtps_epi32(n), h = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
    const __m256i f0 = _mm256_slli_epi32(_mm256_add_epi32(h, bias), 23);
    const __m256i f1 = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, h), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(f0)), _mm256_castsi256_ps(f1));
}

static inline __m256 vlow(vf v) { return v; }
static inline __m256 vhigh(vf v) { (void)v; return _mm256_setzero_ps(); }

static inline float vmaxall(vf v)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

typedef __m256d vd;
static inline vd vd_low(vf v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
static inline vd vd_high(vf v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }
static inline vd vd_set1(double x) { return _mm256_set1_pd(x); }
static inline vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
static inline vd vd_sub(vd a, vd b) { return _mm256_sub_pd(a, b); }
static inline vd vd_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
static inline vd vd_min(vd a, vd b) { return _mm256_min_pd(a, b); }
static inline vd vd_abs(vd a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
static inline __m256d vd_fold(vd v) { return v; }

#endif

// v in the first n lanes, `other` in the rest.
static inline vf vpad_n(vf v, int64_t n, vf other) { return n >= VW ? v : vsel(vhead(n), v, other); }

// Masked stores are slow on some CPUs, so full vectors do without.
static inline vf vload_n(const float *p, int64_t n) { return n >= VW ? vload(p) : vload_m(p, vhead(n)); }
static inline void vstore_n(float *p, int64_t n, vf v)
{
    if (n >= VW) vstore(p, v);
    else vstore_m(p, vhead(n), v);
}

static inline float vsum(vf v)
{
    const __m256 a = VW == 8 ? vlow(v) : _mm256_add_ps(vlow(v), vhigh(v));
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

static inline double vd_sum(vd v)
{
    const __m256d s = vd_fold(v);
    const __m128d t = _mm_add_pd(_mm256_castpd256_pd128(s), _mm256_extractf128_pd(s, 1));
    return _mm_cvtsd_f64(_mm_add_sd(t, _mm_unpackhi_pd(t, t)));
}

// The lanes are added in double, in a fixed order.
static inline double vsum_wide(vf v) { return vd_sum(vd_add(vd_low(v), vd_high(v))); }

// e^x: n = round(x log2 e), r = x - n ln 2 in two parts, polynomial of Cephes' expf (S. Moshier), times 2^n.
// Error below 1.1 ulp where the result is a normal number; inf above 88.73, 0 below -104, NaN stays NaN.
static inline vf vexp(vf x)
{
    x = vmax(vset1(-104.0f), vmin(vset1(89.0f), x));   // in this operand order a NaN passes
    const vf n = vround(vmul(x, vset1(1.44269504088896341f)));
    vf r = vfnma(n, vset1(0.693359375f), x);
    r = vfnma(n, vset1(-2.12194440e-4f), r);
    vf p = vset1(1.9875691500e-4f);
    p = vfma(p, r, vset1(1.3981999507e-3f));
    p = vfma(p, r, vset1(8.3334519073e-3f));
    p = vfma(p, r, vset1(4.1665795894e-2f));
    p = vfma(p, r, vset1(1.6666665459e-1f));
    p = vfma(p, r, vset1(5.0000001201e-1f));
    p = vadd(vfma(p, vmul(r, r), r), vset1(1.0f));
    return vscale2(p, n);
}

// 1 / (1 + e^-x).  Error below 2.6 ulp for x > -87; below that within 2^-127 of the truth.
static inline vf vsigmoid(vf x) { return vdiv(vset1(1.0f), vadd(vset1(1.0f), vexp(vsub(vzero(), x)))); }

// tanh x: below 0.625 the odd polynomial of Cephes' tanhf, above 1 - 2 / (e^2|x| + 1).  Error below 1.5 ulp.
static inline vf vtanh(vf x)
{
    const vf a = vabs(x), z = vmul(x, x);
    vf p = vset1(-5.70498872745e-3f);
    p = vfma(p, z, vset1(2.06390887954e-2f));
    p = vfma(p, z, vset1(-5.37397155531e-2f));
    p = vfma(p, z, vset1(1.33314422036e-1f));
    p = vfma(p, z, vset1(-3.33332819422e-1f));
    const vf small = vfma(vmul(p, z), x, x);
    const vf e = vexp(vadd(a, a));
    const vf big = vsub(vset1(1.0f), vdiv(vset1(2.0f), vadd(e, vset1(1.0f))));
    const vf signed_big = vsel(vlt(x, vzero()), vsub(vzero(), big), big);
    return vsel(vlt(a, vset1(0.625f)), small, signed_big);
}

// Activations and their derivatives: src/tensor/ref/act.h.
static inline vf vsilu(vf x) { return vmul(x, vsigmoid(x)); }

// s = sigmoid(x) and s (1 - s), from e = exp(-|x|): s = 1/(1+e) or e/(1+e), s (1 - s) = e/(1+e)^2 without cancellation.
static inline vf vsigmoid_grad(vf x, vf *ds)
{
    const vf e = vexp(vsub(vzero(), vabs(x))), r = vdiv(vset1(1.0f), vadd(vset1(1.0f), e)), er = vmul(e, r);
    *ds = vmul(er, r);
    return vsel(vlt(x, vzero()), er, r);
}

static inline vf vsilu_grad(vf x)
{
    vf ds;
    const vf s = vsigmoid_grad(x, &ds);
    return vfma(x, ds, s);
}

// log(1 + e^x) = max(x, 0) + log1p(e), e = e^-|x|; log1p(e) = 2 artanh(s), s = e / (2 + e) <= 1/3.
// Error below 2.5 ulp where the result is a normal number.
static inline vf vsoftplus(vf x)
{
    const vf e = vexp(vsub(vzero(), vabs(x))), s = vdiv(e, vadd(e, vset1(2.0f))), z = vmul(s, s);
    vf p = vset1(1.2206529827e-1f);
    p = vfma(p, z, vset1(1.0696626491e-1f));
    p = vfma(p, z, vset1(1.4310360941e-1f));
    p = vfma(p, z, vset1(1.9999345456e-1f));
    p = vfma(p, z, vset1(3.3333339654e-1f));
    const vf s2 = vadd(s, s);
    return vadd(vmax(vzero(), x), vfma(vmul(p, z), s2, s2));   // in this operand order a NaN passes
}

// *cdf = (1 + erf(x / sqrt 2)) / 2 and e^(-x^2/2), the normal density times sqrt(2 pi).  With a = |x| / sqrt 2:
// erfc(a) e^(a^2) / 2 = t P(t), t = 1 / (1 + 0.4 a), a minimax polynomial for a <= 11 (relative error 1e-8, fitted by
// Lawson's iteration); x^2 is kept in two parts, or e^(-x^2/2) would lose a digit far out.
// Error of the cdf below 6 ulp where it is a normal number.
static inline vf vnormal_cdf(vf x, vf *cdf)
{
    const vf a = vmin(vset1(16.0f), vabs(x)), h = vmul(a, a), low = vfma(a, a, vsub(vzero(), h));   // a NaN passes
    const vf e = vexp(vmul(vset1(-0.5f), h)), e2 = vfnma(vmul(vset1(0.5f), low), e, e);
    const vf t = vdiv(vset1(1.0f), vfma(vset1(0.282842712474619f), a, vset1(1.0f)));
    vf p = vset1(-1.3862049563e-2f);
    p = vfma(p, t, vset1(9.3951422224e-2f));
    p = vfma(p, t, vset1(-2.3758133723e-1f));
    p = vfma(p, t, vset1(2.5804480246e-1f));
    p = vfma(p, t, vset1(-1.2923952936e-1f));
    p = vfma(p, t, vset1(1.2914162675e-1f));
    p = vfma(p, t, vset1(6.7199904047e-2f));
    p = vfma(p, t, vset1(1.0695924906e-1f));
    p = vfma(p, t, vset1(1.1253547838e-1f));
    p = vfma(p, t, vset1(1.1285043838e-1f));
    const vf tail = vmul(vmul(p, t), e2);
    *cdf = vsel(vlt(x, vzero()), tail, vsub(vset1(1.0f), tail));
    return e2;
}

// gelu_tanh(x) = x (1 + tanh u)/2 = x sigmoid(2u), u = r (x + k x^3): one exponential, and no cancellation for u < 0.
#define GELU_2R 1.5957691216057308f    // 2 sqrt(2/pi)
#define GELU_2RK 0.07135481282608978f  // the same times 0.044715

static inline vf vgelu_2u(vf x) { return vmul(x, vfma(vmul(x, x), vset1(GELU_2RK), vset1(GELU_2R))); }
static inline vf vgelu_tanh(vf x) { return vmul(x, vsigmoid(vgelu_2u(x))); }

static inline vf vgelu_tanh_grad(vf x)   // s + x s (1 - s) 2u'
{
    vf ds;
    const vf s = vsigmoid_grad(vgelu_2u(x), &ds), du = vfma(vmul(x, x), vset1(3 * GELU_2RK), vset1(GELU_2R));
    return vfma(vmul(x, ds), du, s);
}

#endif
