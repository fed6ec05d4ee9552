// Verification of every op against ops.def's promises; the ground `lead check`, tests/test_ops.c and `make mutants`
// stand on.  Each case (case.h) is run on the f64 device, its op call is captured and replayed on guarded copies:
//
//   gradient   f64, random cotangent r on out[0], every element of every differentiable input, signed:
//              analytic = dL/dx from the backward kernel, numeric = (L(x+h) - L(x-h)) / 2h, L = sum r y, h = 1e-5
//              |analytic - numeric| <= 1e-7 max(1, largest |numeric| of that input)
//   oracle     f64 forward of every output against an independent long double derivation (oracle.h), where one exists
//              |y - oracle| <= ORACLE_TOL max(1, largest |oracle|)
//   parity     plain f32 and each faster variant against f64, forward (all outputs) and backward (all gradients):
//              err(variant) <= 2 err(plain f32) + ulps (of the op's row) float ulps of the largest |f64 value|
//              plain f32: err <= PLAIN_TOL of the largest |f64 value|, or 4 epsilon where all values are tiny
//   integers   products (linear, matmul, convolutions) of small integers: every f32 variant equals f64 exactly
//   contract   canaries around every buffer, buffers aligned and one element off, inputs and saved outputs unchanged,
//              every output element written; backward twice = double; in[i]->g == NULL skips exactly that product
//   NaN        one NaN in the first input shows in the output (elementwise, maxima, softmax, norms, losses)
//   threads    1, 2, 3, 7 threads give the same bits, forward and backward, on every device (the emulated GPU runs its
//              threads and blocks in another order for each)
//   tape       tape_backward gives the gradients of the replay, bit for bit
//
// Errors are folded with check_fold, in which NaN becomes infinity and stays.  An op without a case, or a case that ran
// no check, is a failure.
#ifndef LEAD_CHECK_CHECK_H
#define LEAD_CHECK_CHECK_H

#include <stdio.h>

#include "check/case.h"

#define CHECK_H 1e-5
#define GRADIENT_TOL 1e-7
#define ORACLE_TOL 1e-11
#define PLAIN_TOL 1e-3

enum { CHECK_VARIANTS_MAX = 4, CHECK_DEVICE_BYTES = 1 << 30 };

typedef struct CheckOptions {
    const Device *f64;                             // oracle of the variants, ground of the gradient check
    const Device *f32[CHECK_VARIANTS_MAX];         // f32[0] is plain C; the others are held to its error (at most one
                                                   // of them with memory of its own)
    int n_f32;
    bool variants_only;                            // only f32[1..]: against f64 and plain C, which are taken as checked
    bool quick;                                    // leaves out cases marked large and repeats on small ones
    void (*say)(void *ctx, const char *message);   // each failure, one line; may be NULL
    void *ctx;
} CheckOptions;

// What was found about one op.  Errors are the worst of all cases; infinity stands for NaN.
typedef struct CheckRow {
    const char *op;
    int cases, failures;
    long checks;
    long gradients;                   // input elements whose derivative was compared
    bool has_oracle;
    double gradient, oracle;          // as fractions of the scale that the tolerance refers to
    double plain;                     // plain f32 against f64, in float ulps of the largest value
    double parity, bound;             // of the variant and tensor with the largest parity / bound, in the same ulps
    int variants;                     // faster variants that were compared (0: the op has none on this CPU)
    double seconds;
    char first[360];                  // message of the first failure
} CheckRow;

typedef struct CheckReport {
    CheckRow row[OP_COUNT];
    int failures;
    long checks;
} CheckReport;

typedef void CaseMaker(CaseList *list);
typedef struct Devices { Device f64, f32[ISA_COUNT]; } Devices;

// Devices of this CPU up to `cap`, and the options that check them all.  d must outlive *o.
void check_devices(Devices *d, CheckOptions *o, Isa cap);

// Checks one op with the cases that `make` adds; adds to *row.
void check_op(const CheckOptions *o, OpId op, CaseMaker *make, CheckRow *row);

// Checks all ops of ops.def, or the one named `only`.  An unknown name is a failure.
void check_run(CheckReport *report, const CheckOptions *o, const char *only);

// One line an op: worst errors beside their bounds.
void check_print(FILE *f, const CheckReport *report);

// Largest error so far, given one more: NaN on either side gives infinity.
double check_fold(double worst, double error);

// Whole modules: `build` makes a scalar loss from tensors that it finds through ctx.  Compares backward with central
// differences over every element of every tensor of x[0..n), which must live on an f64 device and have g.
typedef Tensor *ModuleLoss(Tape *t, void *ctx);
typedef struct ModuleReport {
    long elements, wrong;             // compared; beyond tolerance
    double worst;                     // largest error / (GRADIENT_TOL-scaled) as in CheckRow.gradient
    const char *worst_name;           // tensor and element where it is
    int64_t worst_at;
    double analytic, numeric;
} ModuleReport;

ModuleReport check_module_gradient(const Device *f64, ModuleLoss *build, void *ctx, Tensor *const *x, int n);

#endif
