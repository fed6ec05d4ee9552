// Verification cases.  src/check/cases/<op>.c defines `void <op>_cases(CaseList *list)` for each row of ops.def (a row
// without it does not link) and adds the op's cases: small odd shapes, every parameter, every optional input, edges.
// One case serves every check: gradient check in f64, parity of each fast variant, canaries, accumulation, skipping,
// determinism over threads, mutants, benchmark of its speed.  A case runs its op through the tape's checked call, so
// the shape checks are part of what is verified.
#ifndef LEAD_CHECK_CASE_H
#define LEAD_CHECK_CASE_H

#include "autograd/tape.h"

typedef enum Fill {
    FILL_NORMAL,      // standard normal
    FILL_WIDE,        // 30 times that: saturates sigmoid and tanh, overflows a careless exp
    FILL_UNIT,        // uniform in (0.02, 0.98): alpha_bar, probabilities
    FILL_POSITIVE,    // uniform in (0.5, 2): second moments, weights
    FILL_NEGATIVE,    // uniform in (-2, -0.5): rates of decay
    FILL_DISTINCT,    // a shuffled grid with gaps >> 1e-5: maxima and kinks (relu, huber, max pooling) stay in place
    FILL_INDEX,       // I32, uniform in [0, limit)
    FILL_STEPS,       // integers in [0, 1000): diffusion times
} Fill;

typedef struct CaseInput {
    Shape shape;
    Fill fill;
    int64_t limit;    // FILL_INDEX
    bool absent;      // an optional input that is NULL
    bool no_grad;     // data: no gradient is asked for
} CaseInput;

typedef struct Case {
    OpId op;
    const char *label;                 // what is special: "pad 2 stride 2 odd size"
    int n_in;
    CaseInput in[OP_MAX_IN];
    int64_t i[8];                      // passed to build
    double f[4];
    // Calls the op once on the tape.  in[j] is NULL where absent.
    void (*build)(Tape *t, Tensor *const *in, const struct Case *c);
    bool large;                        // parity only: too many elements for a gradient check
} Case;

typedef struct CaseList {
    Case *c;
    int n, cap;
    Arena *arena;
} CaseList;

void case_add(CaseList *list, Case c);

#define OP(name, ...) void name##_cases(CaseList *list);
#include "tensor/ops.def"
#undef OP

#endif
