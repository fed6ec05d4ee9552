// The last step of a product C = x w + b [M,N], a block of C at a time while it lies in the L1 cache:
// y = gelu_tanh(C) or silu(C) beside it, or C += r.  Vectors are those of the ops of their own, so the bits are, too.
//
// What it saves: the passes over memory of gelu_tanh, silu, add.  Measured: docs/design.md.
#ifndef LEAD_CPU_SIMD_EPILOGUE_H
#define LEAD_CPU_SIMD_EPILOGUE_H

#include "cpu_simd/vec.h"

typedef enum EpilogueKind { EPILOGUE_NONE, EPILOGUE_GELU, EPILOGUE_SILU, EPILOGUE_ADD } EpilogueKind;

typedef struct Epilogue {
    EpilogueKind kind;
    float *y;          // [M,N], rows as far apart as those of C; of EPILOGUE_GELU, EPILOGUE_SILU
    const float *r;    // the same; of EPILOGUE_ADD; not C itself
} Epilogue;

// Called with constants from one place each.  Vectors that are whole, and four at a time where the block allows: with
// AVX2, whose masked stores are slow, 1.3 times the speed of one masked vector after the other (8192x96->32, GELU).
typedef void EpilogueMap(vf *x, const int n);   // of n vectors, in place

static inline __attribute__((always_inline)) void epilogue_act(const Epilogue *f, const float *c, int64_t at,
                                                               int64_t ld, int64_t rows, int64_t n, EpilogueMap *act)
{
    int64_t i = 0;
    for (; n == 2 * VW && i + 2 <= rows; i += 2) {
        const float *h = c + at + i * ld;
        float *y = f->y + at + i * ld;
        vf v[4] = {vload(h), vload(h + VW), vload(h + ld), vload(h + ld + VW)};
        act(v, 4);
        vstore(y, v[0]), vstore(y + VW, v[1]), vstore(y + ld, v[2]), vstore(y + ld + VW, v[3]);
    }
    for (; i < rows; i++)
        for (int64_t j = 0; j < n; j += VW) {
            const int64_t k = at + i * ld + j;
            vf v = vload_n(c + k, n - j);
            act(&v, 1);
            vstore_n(f->y + k, n - j, v);
        }
}

static inline void epilogue_add(const Epilogue *f, float *c, int64_t at, int64_t ld, int64_t rows, int64_t n)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j += VW) {
            const int64_t k = at + i * ld + j;
            vstore_n(c + k, n - j, vadd(vload_n(c + k, n - j), vload_n(f->r + k, n - j)));
        }
}

// A block of C whose sums are whole: rows ld apart, the first value c[at].
static inline void epilogue_block(const Epilogue *f, float *c, int64_t at, int64_t ld, int64_t rows, int64_t n)
{
    if (f->kind == EPILOGUE_GELU) epilogue_act(f, c, at, ld, rows, n, vgelu_tanhs);
    else if (f->kind == EPILOGUE_SILU) epilogue_act(f, c, at, ld, rows, n, vsilus);
    else if (f->kind == EPILOGUE_ADD) epilogue_add(f, c, at, ld, rows, n);
}

#endif
