// The ladder from plain loops to the product's kernels: SGEMM (sgemm.c) and attention (attention.c) in six rungs each.
// A rung differs from the one before in one idea, and says which one resource that saves.  docs/tour/8_ladder.md walks
// through them; `make ladder` measures them (run.c), tests/test_ladder.c holds them to f64 and the last ones to the
// bits of the product's kernels.
//
// The rungs are compiled twice, as the fast kernels are: for AVX2 and for AVX-512.
#ifndef LEAD_BENCH_LADDER_LADDER_H
#define LEAD_BENCH_LADDER_LADDER_H

#include "tensor/device.h"

// c [M,N] = a [M,K] b [K,N], all row-major and dense.
typedef void SgemmRung(int64_t M, int64_t N, int64_t K, const float *a, const float *b, float *c);

// One head: o [T,E] = softmax(q k^T / sqrt(E)) v, every query sees all T keys.  Rows are D floats apart.
// room: attention_room(T, E) floats to write in.
typedef void AttentionRung(int64_t T, int64_t E, int64_t D, const float *q, const float *k, const float *v, float *o,
                           float *room);

static inline int64_t attention_room(int64_t T, int64_t E) { return T * T + (T + 128) * E; }

typedef struct Rung {
    const char *name;
    SgemmRung *sgemm;            // one of these two, the other NULL
    AttentionRung *attention;
    const char *saves;           // against the rung before
} Rung;

enum { RUNGS = 6 };              // of each ladder; the last one has the product's bits
extern const Rung sgemm_rungs_avx2[RUNGS], attention_rungs_avx2[RUNGS];
extern const Rung sgemm_rungs_avx512[RUNGS], attention_rungs_avx512[RUNGS];

// ---- a problem to run them on (check.c)

typedef struct LadderProblem {
    int64_t M, N, K;             // of SGEMM
    int64_t T, heads, E;         // of attention; T = 0: SGEMM
    float *in[3];                // a, b or q, k, v
    float *out, *room;
    int64_t n;                   // values of out
    const double *truth, *bound; // of each value of out: in f64, and how far a correct rung may be from it
    Arena *scratch;              // of the product's kernels
} LadderProblem;

// Inputs from a fixed seed, truth from the plain kernels in f64.
// SGEMM: |c - truth| <= (K + 2) u |a_m| |b_n|, u = 2^-24: a sum of K products errs by at most K u sum_k |a b|, whatever
// its order, and sum_k |a b| <= |a_m| |b_n| (Cauchy, Schwarz).
// Attention: |o - truth| <= u (2 (E + 8) s + 2 T + 64) max |v|, s = max |q_i| max |k_j| / sqrt(E).  A score errs by at
// most (E + 8) u s on its way into exp, the sums over T keys by T u; both count above and below the fraction line.
// 64 u are for exp itself and for the fading of old sums.
LadderProblem *ladder_sgemm(Arena *mem, Arena *scratch, int64_t M, int64_t N, int64_t K);
LadderProblem *ladder_attention(Arena *mem, Arena *scratch, int64_t T, int64_t heads, int64_t E);
double ladder_flops(const LadderProblem *p);
// One call, result in p->out.
void ladder_run(const LadderProblem *p, const Rung *r);
void ladder_product(const LadderProblem *p, const Device *dev);
// Worst |out - truth| / bound: at most 1 where all is right, infinity where a value is NaN.
double ladder_error(const LadderProblem *p);

// The rungs of an instruction set, RUNGS of them; NULL where there are none (scalar, other CPUs).
const Rung *ladder_rungs(const LadderProblem *p, Isa isa);

#endif
