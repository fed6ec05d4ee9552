// The vector ABC of the fast CPU kernels: one source for AVX2 (8 floats) and AVX-512 (16 floats).
// A kernel body is written once, in cpu_simd/<family>.inl, and compiled twice (Makefile), each time with its own -m
// flags and its own SYMBOL suffix.  Called only after isa_detect has seen the instructions (src/tensor/device.c).
// All is static inline here: no object may hold an instruction that its CPU lacks.
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
//   vsel(m,a,b)          a in the lanes of m, else b;  vnan(a)  the lanes that hold a NaN
//   vrecip(a)            1 / a within 1.5 ulp
//   vcopysign(a,s)       a >= 0 with the sign of s
//   vsilu, vgelu_tanh    and their derivatives, _grad
//   vexp, vtanh, vsigmoid, vsoftplus, vnormal_cdfs   error bounds in ulp at their definitions; measured by
//                        tests/test_vec.c
//   vbook, vbook_at(b,i) 16 floats, and those of the indices i; vbytes: VW bytes as indices; vshift4; vfloat
//   vd                   VW / 2 doubles; vd_low, vd_high: the halves of a vf as such; vd_load: VW / 2 floats
#ifndef LEAD_CPU_SIMD_VEC_H
#define LEAD_CPU_SIMD_VEC_H

#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "tensor/device.h"

#if defined(SYMBOL)   // the tests' own
#elif defined(__AVX512F__)
#define SYMBOL(name, dir) name##_##dir##_avx512
#else
#define SYMBOL(name, dir) name##_##dir##_avx2
#endif
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
static inline vf vcopysign(vf a, vf s)   // a >= 0
{
    return _mm512_or_ps(a, _mm512_and_ps(s, _mm512_set1_ps(-0.0f)));
}
static inline vf vabs(vf a) { return _mm512_abs_ps(a); }
static inline vmask vlt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }   // false when either is NaN
static inline vmask vnan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
static inline vf vsel(vmask m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline vf vround(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vscale2(vf a, vf n) { return _mm512_scalef_ps(a, n); }               // a 2^n, n whole

static inline __m256 vlow(vf v) { return _mm512_castps512_ps256(v); }
static inline __m256 vhigh(vf v) { return _mm512_extractf32x8_ps(v, 1); }

static inline float vmaxall(vf v) { return _mm512_reduce_max_ps(v); }

// 1 / a within 1.5 ulp for normal a and 1 / a: one step of Newton's on the 14 bits that the CPU gives.  A division
// keeps the multiplier of a Zen 4 busy for ten cycles.
static inline vf vrecip(vf a)
{
    const vf r = _mm512_rcp14_ps(a);
    return vfma(vfnma(a, r, vset1(1.0f)), r, r);
}

// 16 floats to choose from; of an index the lower 4 bits count.
typedef vf vbook;
static inline vbook vbook_load(const float *p) { return vload(p); }
static inline vf vbook_at(vbook b, vi i) { return _mm512_permutexvar_ps(i, b); }
static inline vi vbytes(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
static inline vi vshift4(vi a) { return _mm512_srli_epi32(a, 4); }
static inline vf vfloat(vi a) { return _mm512_cvtepi32_ps(a); }

typedef __m512d vd;
static inline vd vd_low(vf v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v)); }
static inline vd vd_high(vf v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)); }
static inline vd vd_load(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
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
static inline vf vcopysign(vf a, vf s) { return _mm256_or_ps(a, _mm256_and_ps(s, _mm256_set1_ps(-0.0f))); }   // a >= 0
static inline vf vabs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vmask vlt(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
static inline vmask vnan(vf a) { return _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)); }
static inline vf vsel(vmask m, vf a, vf b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m)); }
static inline vf vround(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

static inline vf vscale2(vf a, vf n)   // a 2^n, n whole, |n| <= 252: in two factors, since 2^n alone may overflow
{
    const __m256i i = _mm256_cvtps_epi32(n), h = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
    const __m256i f0 = _mm256_slli_epi32(_mm256_add_epi32(h, bias), 23);
    const __m256i f1 = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, h), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(f0)), _mm256_castsi256_ps(f1));
}

static inline vf vrecip(vf a) { return vdiv(vset1(1.0f), a); }

static inline __m256 vlow(vf v) { return v; }
static inline __m256 vhigh(vf v) { (void)v; return _mm256_setzero_ps(); }

static inline float vmaxall(vf v)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

typedef struct { vf low, high; } vbook;
static inline vbook vbook_load(const float *p) { return (vbook){vload(p), vload(p + 8)}; }
static inline vf vbook_at(vbook b, vi i)   // bit 3 becomes the sign, by which blendv chooses
{
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(b.low, i), _mm256_permutevar8x32_ps(b.high, i),
                            _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}
static inline vi vbytes(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
static inline vi vshift4(vi a) { return _mm256_srli_epi32(a, 4); }
static inline vf vfloat(vi a) { return _mm256_cvtepi32_ps(a); }

typedef __m256d vd;
static inline vd vd_low(vf v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
static inline vd vd_high(vf v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }
static inline vd vd_load(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
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

// The functions below come twice: of one vector, and (with an s) of n vectors at once, in place, step by step side by
// side.  One vector is a chain of some 20 operations that each wait for the one before; four chains fill the gaps.
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.
#define VECTORS static inline __attribute__((always_inline)) void
#define EACH for (int k = 0; k < n; k++)
enum { VECTORS_MAX = 4 };

// e^r for |r| <= ln 2 / 2: 1 + r + r^2 q(r), q by minimax (error of all 0.05 ulp before rounding).
VECTORS vexp_reduced(vf *r, const int n)
{
    vf p[VECTORS_MAX];
    EACH p[k] = vfma(vset1(1.3814466740e-3f), r[k], vset1(8.3687804291e-3f));
    EACH p[k] = vfma(p[k], r[k], vset1(4.1668394217e-2f));
    EACH p[k] = vfma(p[k], r[k], vset1(1.6666520108e-1f));
    EACH p[k] = vfma(p[k], r[k], vset1(4.9999993412e-1f));
    EACH p[k] = vfma(p[k], r[k], vset1(1.0f));
    EACH r[k] = vfma(p[k], r[k], vset1(1.0f));
}

// x - m ln 2, ln 2 in two parts: the first has few digits, its product with a whole m is exact.
VECTORS vexp_rest(vf *x, const vf *m, const int n)
{
    EACH x[k] = vfnma(m[k], vset1(0.693359375f), x[k]);
    EACH x[k] = vfnma(m[k], vset1(-2.12194440e-4f), x[k]);
}

// e^x = 2^m e^r, m = round(x log2 e), r = x - m ln 2.
// Error below 1.1 ulp where the result is a normal number; inf above 88.73, 0 below -104, NaN stays NaN.
VECTORS vexps(vf *x, const int n)
{
    vf m[VECTORS_MAX];
    EACH x[k] = vmax(vset1(-104.0f), vmin(vset1(89.0f), x[k]));   // in this operand order a NaN passes
    EACH m[k] = vround(vmul(x[k], vset1(1.44269504088896341f)));
    vexp_rest(x, m, n);
    vexp_reduced(x, n);
    EACH x[k] = vscale2(x[k], m[k]);
}

// The same for x <= 88.3 with less to do: what lies below e^-87.3 may become 0.
VECTORS vexps_to88(vf *x, const int n)
{
    vf m[VECTORS_MAX];
#if defined(__AVX512F__)
    EACH x[k] = vmax(vset1(-104.0f), x[k]);
    EACH m[k] = vround(vmul(x[k], vset1(1.44269504088896341f)));
    vexp_rest(x, m, n);
    vexp_reduced(x, n);
    EACH x[k] = vscale2(x[k], m[k]);
#else
    // Added to 1.5 2^23 + 127, m + 127 becomes the low bits of the sum: shifted to the exponent they are 2^m.
    const vf magic = vset1(12583039.0f), least = vset1(-87.3f);
    vf power[VECTORS_MAX], seen[VECTORS_MAX];
    EACH seen[k] = _mm256_cmp_ps(x[k], least, _CMP_NLT_UQ);
    EACH x[k] = vmax(least, x[k]);
    EACH m[k] = vfma(x[k], vset1(1.44269504088896341f), magic);
    EACH power[k] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(m[k]), 23));
    EACH m[k] = vsub(m[k], magic);
    vexp_rest(x, m, n);
    vexp_reduced(x, n);
    EACH x[k] = vmul(x[k], _mm256_and_ps(power[k], seen[k]));
#endif
}

// 2^x for x <= 127: what lies below 2^-126 may become 0, NaN stays NaN.  Error below 1.1 ulp.  x - round(x) is exact,
// so this is five operations less than e^x.  The polynomial is that of vexp_reduced in r ln 2.
VECTORS vexp2s_to127(vf *x, const int n)
{
    vf m[VECTORS_MAX], p[VECTORS_MAX];
#if defined(__AVX512F__)
    EACH x[k] = vmax(vset1(-160.0f), x[k]);   // in this operand order a NaN passes
    EACH m[k] = vround(x[k]);
#else
    // Added to 1.5 2^23 + 127, m + 127 becomes the low bits of the sum: shifted to the exponent they are 2^m.
    const vf magic = vset1(12583039.0f), least = vset1(-126.0f);
    vf power[VECTORS_MAX];
    EACH p[k] = _mm256_cmp_ps(x[k], least, _CMP_NLT_UQ);
    EACH x[k] = vmax(least, x[k]);
    EACH m[k] = vadd(x[k], magic);
    EACH power[k] = _mm256_and_ps(p[k], _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(m[k]), 23)));
    EACH m[k] = vsub(m[k], magic);
#endif
    EACH x[k] = vsub(x[k], m[k]);
    EACH p[k] = vfma(vset1(1.5320992197e-04f), x[k], vset1(1.3390274456e-03f));
    EACH p[k] = vfma(p[k], x[k], vset1(9.6185278869e-03f));
    EACH p[k] = vfma(p[k], x[k], vset1(5.5503620588e-02f));
    EACH p[k] = vfma(p[k], x[k], vset1(2.4022647531e-01f));
    EACH p[k] = vfma(p[k], x[k], vset1(6.9314718056e-01f));
    EACH p[k] = vfma(p[k], x[k], vset1(1.0f));
#if defined(__AVX512F__)
    EACH x[k] = vscale2(p[k], m[k]);
#else
    EACH x[k] = vmul(p[k], power[k]);
#endif
}

// 1 / (1 + e^-x), 0 below -88.3.  Error below 2.6 ulp for x > -87; below that within 2^-127 of the truth.
VECTORS vsigmoids(vf *x, const int n)
{
    vf e[VECTORS_MAX];
    EACH e[k] = vmin(vset1(88.3f), vsub(vzero(), x[k]));
    vexps_to88(e, n);
    EACH e[k] = vrecip(vadd(vset1(1.0f), e[k]));
    EACH x[k] = vsel(vlt(x[k], vset1(-88.3f)), vzero(), e[k]);
}

// tanh x: below 0.625 the odd polynomial of Cephes' tanhf, above 1 - 2 / (e^2|x| + 1).  Error below 1.5 ulp.
VECTORS vtanhs(vf *x, const int n)
{
    vf e[VECTORS_MAX], z[VECTORS_MAX], p[VECTORS_MAX];
    EACH e[k] = vmin(vset1(44.0f), vabs(x[k]));
    EACH e[k] = vadd(e[k], e[k]);
    vexps_to88(e, n);
    EACH e[k] = vfnma(vset1(2.0f), vrecip(vadd(e[k], vset1(1.0f))), vset1(1.0f));
    EACH e[k] = vcopysign(e[k], x[k]);
    EACH z[k] = vmul(x[k], x[k]);
    EACH p[k] = vfma(vset1(-5.70498872745e-3f), z[k], vset1(2.06390887954e-2f));
    EACH p[k] = vfma(p[k], z[k], vset1(-5.37397155531e-2f));
    EACH p[k] = vfma(p[k], z[k], vset1(1.33314422036e-1f));
    EACH p[k] = vfma(p[k], z[k], vset1(-3.33332819422e-1f));
    EACH p[k] = vfma(vmul(p[k], z[k]), x[k], x[k]);
    EACH x[k] = vsel(vlt(vabs(x[k]), vset1(0.625f)), p[k], e[k]);
}

// Activations (src/tensor/ref/act.h), derivatives.  silu: below 2.6 ulp for x > -87, then |x| 2^-127 from truth.
VECTORS vsilus(vf *x, const int n)
{
    vf s[VECTORS_MAX];
    EACH s[k] = x[k];
    vsigmoids(s, n);
    EACH x[k] = vmul(x[k], s[k]);
}

// s = sigmoid(x), into x, and ds = s (1 - s), from e = exp(-|x|): s = 1/(1+e) or e/(1+e), ds = e/(1+e)^2 without
// cancellation.
VECTORS vsigmoids_grad(vf *x, vf *ds, const int n)
{
    vf e[VECTORS_MAX], r[VECTORS_MAX];
    EACH e[k] = vsub(vzero(), vabs(x[k]));
    vexps_to88(e, n);
    EACH r[k] = vrecip(vadd(vset1(1.0f), e[k]));
    EACH e[k] = vmul(e[k], r[k]);
    EACH ds[k] = vmul(e[k], r[k]);
    EACH x[k] = vsel(vlt(x[k], vzero()), e[k], r[k]);
}

VECTORS vsilus_grad(vf *x, const int n)
{
    vf s[VECTORS_MAX], ds[VECTORS_MAX];
    EACH s[k] = x[k];
    vsigmoids_grad(s, ds, n);
    EACH x[k] = vfma(x[k], ds[k], s[k]);
}

// log(1 + e^x) = max(x, 0) + log1p(e), e = e^-|x|; log1p(e) = 2 artanh(s), s = e / (2 + e) <= 1/3.
// Error below 2.5 ulp where the result is a normal number.
VECTORS vsoftpluses(vf *x, const int n)
{
    vf s[VECTORS_MAX], z[VECTORS_MAX], p[VECTORS_MAX];
    EACH s[k] = vsub(vzero(), vabs(x[k]));
    vexps(s, n);
    EACH s[k] = vdiv(s[k], vadd(s[k], vset1(2.0f)));
    EACH z[k] = vmul(s[k], s[k]);
    EACH p[k] = vfma(vset1(1.2206529827e-1f), z[k], vset1(1.0696626491e-1f));
    EACH p[k] = vfma(p[k], z[k], vset1(1.4310360941e-1f));
    EACH p[k] = vfma(p[k], z[k], vset1(1.9999345456e-1f));
    EACH p[k] = vfma(p[k], z[k], vset1(3.3333339654e-1f));
    EACH s[k] = vadd(s[k], s[k]);
    EACH x[k] = vadd(vmax(vzero(), x[k]), vfma(vmul(p[k], z[k]), s[k], s[k]));   // in this operand order a NaN passes
}

// x becomes the cdf (1 + erf(x / sqrt 2)) / 2, e the density e^(-x^2/2) without its factor.  With a = |x| / sqrt 2:
// erfc(a) e^(a^2) / 2 = t P(t), t = 1 / (1 + 0.4 a), a minimax polynomial for a <= 11 (relative error 1e-8, fitted by
// Lawson's iteration); x^2 is kept in two parts, or e^(-x^2/2) would lose a digit far out.
// Error of the cdf below 6 ulp where it is a normal number.
VECTORS vnormal_cdfs(vf *x, vf *e, const int n)
{
    vf t[VECTORS_MAX], p[VECTORS_MAX];
    EACH {
        const vf a = vmin(vset1(16.0f), vabs(x[k])), h = vmul(a, a);   // a NaN passes
        p[k] = vmul(vset1(0.5f), vfma(a, a, vsub(vzero(), h)));
        e[k] = vmul(vset1(-0.5f), h);
        t[k] = vrecip(vfma(vset1(0.282842712474619f), a, vset1(1.0f)));
    }
    vexps(e, n);
    EACH e[k] = vfnma(p[k], e[k], e[k]);
    EACH p[k] = vfma(vset1(-1.3862049563e-2f), t[k], vset1(9.3951422224e-2f));
    EACH p[k] = vfma(p[k], t[k], vset1(-2.3758133723e-1f));
    EACH p[k] = vfma(p[k], t[k], vset1(2.5804480246e-1f));
    EACH p[k] = vfma(p[k], t[k], vset1(-1.2923952936e-1f));
    EACH p[k] = vfma(p[k], t[k], vset1(1.2914162675e-1f));
    EACH p[k] = vfma(p[k], t[k], vset1(6.7199904047e-2f));
    EACH p[k] = vfma(p[k], t[k], vset1(1.0695924906e-1f));
    EACH p[k] = vfma(p[k], t[k], vset1(1.1253547838e-1f));
    EACH p[k] = vfma(p[k], t[k], vset1(1.1285043838e-1f));
    EACH t[k] = vmul(vmul(p[k], t[k]), e[k]);
    EACH x[k] = vsel(vlt(x[k], vzero()), t[k], vsub(vset1(1.0f), t[k]));
}

// gelu_tanh(x) = x sigmoid(2u), u = r (x + k x^3).  Error below 2.6 ulp, for u < 0 times 1 + |2u|; 2u < -87: as silu.
#define GELU_2R 1.5957691216057308f    // 2 sqrt(2/pi)
#define GELU_2RK 0.07135481282608978f  // the same times 0.044715

static inline vf vgelu_2u(vf x) { return vmul(x, vfma(vmul(x, x), vset1(GELU_2RK), vset1(GELU_2R))); }

VECTORS vgelu_tanhs(vf *x, const int n)
{
    vf s[VECTORS_MAX];
    EACH s[k] = vgelu_2u(x[k]);
    vsigmoids(s, n);
    EACH x[k] = vmul(x[k], s[k]);
}

VECTORS vgelu_tanhs_grad(vf *x, const int n)   // s + x s (1 - s) 2u'
{
    vf s[VECTORS_MAX], ds[VECTORS_MAX];
    EACH s[k] = vgelu_2u(x[k]);
    vsigmoids_grad(s, ds, n);
    EACH ds[k] = vmul(x[k], ds[k]);
    EACH x[k] = vfma(ds[k], vfma(vmul(x[k], x[k]), vset1(3 * GELU_2RK), vset1(GELU_2R)), s[k]);
}

#define OF_ONE(one, many) static inline vf one(vf x) { many(&x, 1); return x; }
OF_ONE(vexp, vexps)
OF_ONE(vexp_to88, vexps_to88)
OF_ONE(vexp2_to127, vexp2s_to127)
OF_ONE(vsigmoid, vsigmoids)
OF_ONE(vtanh, vtanhs)
OF_ONE(vsilu, vsilus)
OF_ONE(vsilu_grad, vsilus_grad)
OF_ONE(vsoftplus, vsoftpluses)
OF_ONE(vgelu_tanh, vgelu_tanhs)
OF_ONE(vgelu_tanh_grad, vgelu_tanhs_grad)
#undef OF_ONE

#endif
