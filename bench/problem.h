// One row of shapes.c with its memory, ready to be run by any device or peer.
#ifndef LEAD_BENCH_PROBLEM_H
#define LEAD_BENCH_PROBLEM_H

#include "bench/shapes.h"

// Products and convolutions have two backward passes, dx and dw; every other op has one that computes all gradients.
typedef enum Pass { FWD, BWD, DX, DW, PASSES } Pass;
extern const char *const pass_names[PASSES];

typedef struct Problem {
    const BenchRow *row;
    OpCall call;               // out[0]->g is filled; gradients of inputs are attached by problem_run
    void *grad[OP_MAX_IN];     // NULL: index or absent
    Tensor *packed;            // in[1] in panels, for devices that read them; or NULL
    void *memory;              // the tape's device, which outputs point to
} Problem;

// Everything lives in mem; scratch is the kernels' own.
Problem *problem_new(Arena *mem, Arena *scratch, const BenchRow *row);
bool problem_has(const Problem *p, Pass pass);
void problem_run(Problem *p, const Device *dev, Pass pass);
OpWork problem_work(Problem *p, Pass pass);
// Worst difference of dev's results from `plain`'s, relative to the largest value; products, where the plain kernels
// take seconds: of <y,dy> = <x,dx> = <w,dw>, relative to the root of the number of terms.
// Below problem_bound: 1e-3; with weights in bf16 0.2, seven standard deviations of what rounding them costs.
double problem_error(Problem *p, const Device *dev, const Device *plain, Arena *mem);
double problem_bound(const Problem *p);

#endif
