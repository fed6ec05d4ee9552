// What is timed: every op of ops.def at shapes of LEAD and GPT-2, called through its checked call on a tape.
#ifndef LEAD_BENCH_SHAPES_H
#define LEAD_BENCH_SHAPES_H

#include "autograd/tape.h"

enum { BENCH_MAX_IN = 6 };

// in: shapes of the inputs; n = 0: there is none.  i, d: the call's own numbers, see bench_call.
typedef struct BenchRow {
    OpId op;
    const char *label;
    Shape in[BENCH_MAX_IN];
    int i[4];
    double d;
} BenchRow;

const BenchRow *bench_rows(Arena *a, int *n);
const BenchRow *bench_rows_gpu(Arena *a, int *n);   // more of them, that fill a GPU: gigabytes, 1e12 operations
// Makes the row's one call; in[k] are its inputs (NULL where the row has none).
void bench_call(Tape *t, const BenchRow *r, Tensor **in);
// How input k is filled: small numbers of either sign, or what the op asks for.
typedef enum BenchFill { FILL_SIGNED, FILL_UNIT, FILL_TIME, FILL_INDEX } BenchFill;
BenchFill bench_fill(const BenchRow *r, int k, int *below);   // *below: indices are 0 .. below-1

#endif
