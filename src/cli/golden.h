// Golden runs: 20 training steps of a preset on synthetic traffic and a forecast, and the bits that this version gives
// on each instruction set.  A change that moves them is either a mistake or says so in its commit (docs/audit.md).
#ifndef LEAD_CLI_GOLDEN_H
#define LEAD_CLI_GOLDEN_H

#include "cli/cli.h"
#include "io/sha256.h"

enum { GOLDEN_STEPS = 20, GOLDEN_RUNS = 2 };

typedef struct GoldenRun {
    const char *preset, *isa;    // tiny, demo; of the kernels
    double loss[GOLDEN_STEPS];
    double mean;                 // of the forecast, kbit/s
    Sha256Hex bits;              // of losses and sample paths
    const char *want;            // the kept ones; NULL: none are kept for this instruction set
    bool same;
} GoldenRun;

// Runs them on the CPU with kernels up to `isa`, in a scratch directory below TMPDIR that is removed again.
// Errors: of training and forecasting; no scratch directory.
Status golden_runs(GoldenRun run[GOLDEN_RUNS], Isa isa, Arena *perm, Arena *step, Arena *scratch);

#endif
