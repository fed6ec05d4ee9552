// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): stateless random
// numbers.  Randomness has an address, not a history: draw `offset` of `subsequence` under `seed` is what cuRAND's
// curand_init(seed, subsequence, offset) yields.  Counter words: (quad lo, quad hi, subsequence lo, subsequence hi).
// subsequence = site << 32 | step, so a draw added at one site never shifts another.
// Plain C that nvcc compiles too; every rounding is explicit (fmaf), so host and device give the same bits.
#ifndef LEAD_TENSOR_PHILOX_H
#define LEAD_TENSOR_PHILOX_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define PHILOX_FN static __host__ __device__ __forceinline__
#else
#define PHILOX_FN static inline
#endif

// Who draws.  Part of every checkpoint's meaning: append, never renumber.
enum { SITE_INIT = 1, SITE_TIMESTEP, SITE_NOISE, SITE_DROPOUT, SITE_COND_DROP, SITE_SHUFFLE, SITE_SAMPLE, SITE_SYNTH,
       SITE_TOKEN, SITE_TEST, SITE_BOOTSTRAP, SITE_LEVEL, SITE_DISTILL };

typedef struct { uint32_t v[4]; } Philox4;

PHILOX_FN Philox4 philox_quad(uint64_t seed, uint64_t subsequence, uint64_t quad)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)quad, c1 = (uint32_t)(quad >> 32);
    uint32_t c2 = (uint32_t)subsequence, c3 = (uint32_t)(subsequence >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (Philox4){{c0, c1, c2, c3}};
}

PHILOX_FN uint64_t philox_subsequence(uint32_t site, uint32_t step) { return (uint64_t)site << 32 | step; }

// One 32-bit draw at an address.
PHILOX_FN uint32_t philox_u32(uint64_t seed, uint64_t subsequence, uint64_t offset)
{
    return philox_quad(seed, subsequence, offset / 4).v[offset % 4];
}

// (0,1), 24 significant bits, never 0: (k + 1/2) / 2^24, rounded once.
PHILOX_FN float philox_unit(uint32_t draw) { return fmaf((float)(draw >> 8), 0x1p-24f, 0x1p-25f); }

// Natural logarithm of u in (0,1], polynomial of Cephes' logf (S. Moshier); error below 1.5 ulp.
PHILOX_FN float philox_log(float u)
{
    int32_t bits;
    memcpy(&bits, &u, 4);
    // exponent such that the mantissa m lies in [sqrt(1/2), sqrt(2))
    const int32_t e = (bits - 0x3F3504F3) >> 23;
    bits -= (int32_t)((uint32_t)e << 23);
    float m;
    memcpy(&m, &bits, 4);
    const float x = m - 1.0f, z = x * x, ef = (float)e;
    float p = 7.0376836292e-2f;
    p = fmaf(p, x, -1.1514610310e-1f);
    p = fmaf(p, x, 1.1676998740e-1f);
    p = fmaf(p, x, -1.2420140846e-1f);
    p = fmaf(p, x, 1.4249322787e-1f);
    p = fmaf(p, x, -1.6668057665e-1f);
    p = fmaf(p, x, 2.0000714765e-1f);
    p = fmaf(p, x, -2.4999993993e-1f);
    p = fmaf(p, x, 3.3333331174e-1f);
    float y = p * x * z;
    y = fmaf(ef, -2.12194440e-4f, y);
    y = fmaf(-0.5f, z, y);
    return fmaf(ef, 0.693359375f, x + y);
}

// sin and cos of 2 pi k / 2^24 for the 24-bit integer k: exact reduction to [-pi/4, pi/4] in integers,
// Cephes polynomials.
PHILOX_FN void philox_sincos(uint32_t k, float *s, float *c)
{
    const int32_t q = (int32_t)((k + 0x200000u) >> 22);               // nearest quarter turn, 0..4
    const float a = (float)((int32_t)k - q * 0x400000) * 3.7450704e-7f;   // 2 pi / 2^24
    const float z = a * a;
    float ps = -1.9515295891e-4f;
    ps = fmaf(ps, z, 8.3321608736e-3f);
    ps = fmaf(ps, z, -1.6666654611e-1f);
    const float sn = fmaf(ps * z, a, a);
    float pc = 2.443315711809948e-5f;
    pc = fmaf(pc, z, -1.388731625493765e-3f);
    pc = fmaf(pc, z, 4.166664568298827e-2f);
    const float cs = fmaf(pc * z, z, fmaf(-0.5f, z, 1.0f));
    const float ss = (q & 1) ? cs : sn, cc = (q & 1) ? sn : cs;       // turn by q quarters
    *s = (q & 2) ? -ss : ss;
    *c = ((q + 1) & 2) ? -cc : cc;
}

// Box-Muller: two standard normals from two draws.
PHILOX_FN void philox_normal2(uint32_t d0, uint32_t d1, float *n0, float *n1)
{
    const float r = sqrtf(-2.0f * philox_log(philox_unit(d0)));
    float s, c;
    philox_sincos(d1 >> 8, &s, &c);
    *n0 = r * c;
    *n1 = r * s;
}

// Normal number `offset` of a subsequence: quad offset/4 holds normals (d0,d1) -> 0,1 and (d2,d3) -> 2,3.
PHILOX_FN float philox_normal(uint64_t seed, uint64_t subsequence, uint64_t offset)
{
    const Philox4 q = philox_quad(seed, subsequence, offset / 4);
    float n0, n1;
    philox_normal2(q.v[offset % 4 & 2], q.v[(offset % 4 & 2) + 1], &n0, &n1);
    return offset & 1 ? n1 : n0;
}

#endif
