// The last step of a product C = x w + b [M,N], a block of C at a time while it lies in the L1 cache: y = gelu_tanh(C) or
// silu(C) beside it, or C += r.  Vectors are those of the ops of their own, so the bits are theirs, too.
//
// What it saves: the passes over memory of gelu_tanh, silu, add.  Measured: docs/design.md.
#ifndef LEAD_CPU_SIMD_FINISH_INL
#define LEAD_CPU_SIMD_FINISH_INL

#include "cpu_simd/vec.h"

typedef enum FinishKind { FINISH_NONE, FINISH_GELU, FINISH_SILU, FINISH_ADD } FinishKind;

typedef struct Finish {
    FinishKind kind;
    float *y;          // [M,N], rows as far apart as those of C; of FINISH_GELU, FINISH_SILU
    const float *r;    // the same; of FINISH_ADD; not C itself
} Finish;

static inline __attribute__((always_inline)) void finish_body(const FinishKind kind, const Finish *f, float *c, int64_t at,
                                                              int64_t ld, int64_t rows, int64_t n)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j += VW) {
            const int64_t k = i * ld + j;
            const vmask m = vhead(n - j);
            const vf v = vload_m(c + at + k, m);
            if (kind == FINISH_ADD) vstore_m(c + at + k, m, vadd(v, vload_m(f->r + at + k, m)));
            else vstore_m(f->y + at + k, m, kind == FINISH_SILU ? vsilu(v) : vgelu_tanh(v));
        }
}

// A block of C whose sums are whole: rows ld apart, the first value c[at].
static inline void finish_block(const Finish *f, float *c, int64_t at, int64_t ld, int64_t rows, int64_t n)
{
    if (f->kind == FINISH_GELU) finish_body(FINISH_GELU, f, c, at, ld, rows, n);
    else if (f->kind == FINISH_SILU) finish_body(FINISH_SILU, f, c, at, ld, rows, n);
    else if (f->kind == FINISH_ADD) finish_body(FINISH_ADD, f, c, at, ld, rows, n);
}

// Asks for what finish_block will read beside C, while the sums are made.
static inline void finish_ask(const Finish *f, int64_t at, int64_t ld, int64_t rows, int64_t n)
{
    if (f->kind != FINISH_ADD) return;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j += 16) __builtin_prefetch(f->r + at + i * ld + j, 0, 2);
}

#endif
