// Few-step forecasts [D]: a run whose sampler needs 4, 2 or 1 network calls, made from a trained one.
//
// Progressive distillation (Salimans, Ho 2022, arXiv 2202.00512).  One DDIM step of the student is trained to lead
// where m steps of the teacher lead.  t = t_0 > t_1 > .. > t_m: the teacher's times within one of the student's steps,
// both where sampler_times puts them; alpha = sqrt(ab), s = sqrt(1 - ab); z_0 = alpha x0 + s e of a training window.
//   z_i  = alpha_i x0hat + (s_i/s_{i-1}) (z_{i-1} - alpha_{i-1} x0hat),  x0hat the teacher's estimate at z_{i-1}
//   x~   = (z_m - (s_m/s_0) z_0) / (alpha_m - (s_m/s_0) alpha_0): one step from z_0 with this estimate ends in z_m
//   loss = mean (SNR + 1) (x0hat_student(z_0) - x~)^2: the squared error of v.  Where t_m = 0, x~ = z_m.
// Fine-tuning on the score (crps_pair; Lang et al. 2024, arXiv 2412.15832): two independent samples are drawn through
// all calls of the student, with their gradients, and decoded into scale s, where forecasts are scored; a share
// DISTILL_FAIR of the score is the fair one.  Antithetic samples depend on each other, so they take no part in it; when
// forecasts are drawn they may.
//
// The heads (lead/flow.h) take no part either: point forecasts by the mean head keep their bits.
#ifndef LEAD_LEAD_DISTILL_H
#define LEAD_LEAD_DISTILL_H

#include <signal.h>

#include "lead/calibrate.h"

#define DISTILL_FAIR 0.95
enum { DISTILL_STAGES = 16, DISTILL_TUNED = 2 };   // stages at most; students of so many calls or fewer are tuned

// Where the teacher's steps lie: time[0 .. n) of sampler_times, time[n] = 0; `each` of them make one of the student's.
typedef struct DistillPath { const Schedule *schedule; const int *time; int n, each; } DistillPath;

// before: network calls of the teacher, a multiple of calls, at most schedule->T.
DistillPath distill_path(const Schedule *schedule, int before, int calls, Arena *a);

// x~ like xt [R,..], whose row r is at the beginning of step call[r] of the student.  k: what the teacher is told.  As
// data: the tape does not record meanwhile.
Tensor *distill_target(Tape *t, const LeadModel *teacher, const Known *k, Tensor *xt, const DistillPath *p,
                       const int *call);

// The loss of a batch; times and noise are drawn at the addresses (seed, SITE_DISTILL, step of the tape).
Tensor *distill_loss(Tape *t, const LeadModel *teacher, const LeadModel *student, const LeadBatch *b,
                     const DistillPath *p);
// The score of two samples of each window, drawn by `calls` steps of ddim.  b: with target.
Tensor *distill_crps(Tape *t, const LeadModel *student, const LeadBatch *b, int calls);

typedef struct DistillReport {
    bool final, tuning;
    int calls;
    int64_t step, total;                       // of this stage
    double loss, smooth_loss;
} DistillReport;

typedef struct DistillOptions {
    const char *model, *llm, *out;             // run directories; llm: as in lead_run_load
    int teacher_calls, n_calls, calls[DISTILL_STAGES];   // falling, each a divisor of the one before
    int steps, tune_steps, batch;              // training steps of a stage; of tuning after it; windows of a step
    double lr;                                 // peak learning rate of both
    bool final;                                // distil the final fit too, if the run has one
    const char *manifest;                      // JSON text stored in the files; may be NULL
    void (*report)(void *ctx, const DistillReport *r);     // after each step; may be NULL
    void (*calibrated)(void *ctx, int calls, const Calibration *c);   // may be NULL
    void *ctx;
    const volatile sig_atomic_t *stop;         // set by a signal: give up the stage
} DistillOptions;

// Error: calls of which one is no smaller divisor of the one before; a teacher of `own` calls (0: not distilled itself)
// or of so many diffusion times that cannot take o->teacher_calls.
Status distill_check_calls(const DistillOptions *o, const char *file, int own, int diffusion_steps);

// Distils the run o->model, trained on s, in stages; each begins with the moving average of the one before.  The last
// stage is written to o->out, the others to o->out/calls-N; each is a complete run directory, calibrated anew (on 64
// windows, 16 antithetic samples each).
// Errors: a run that is unfinished, of other traffic, or without what this needs (target residual, horizons direct,
// prediction v or x0, guidance 1); calls that do not divide; a directory that holds a run; a loss that is not finite.
Status lead_distill(const DistillOptions *o, const TrafficSeries *s, const Device *dev, Arena *perm, Arena *step,
                    Arena *scratch);

#endif
