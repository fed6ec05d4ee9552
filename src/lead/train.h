// Training: a run directory with checkpoint.safetensors (the last state, resumable bit by bit), best.safetensors (the
// lowest validation loss), log.jsonl (one line a report) and config.json.
// State of a run = parameters, moments, EMA, step, total steps.  Everything random has an address that depends on
// (seed, step) alone, so N steps equal k steps, a kill and N-k steps, bit by bit.
#ifndef LEAD_LEAD_TRAIN_H
#define LEAD_LEAD_TRAIN_H

#include <signal.h>

#include "autograd/profile.h"
#include "lead/data.h"
#include "nn/optim.h"

typedef struct TrainReport {
    int64_t step, total;
    double loss, smooth_loss, val_loss;        // val_loss NaN when not measured at this step
    double grad_norm, lr, seconds, eta_seconds;
} TrainReport;

typedef struct TrainOptions {
    const char *out;                           // run directory; made when missing
    bool resume;                               // go on from out/checkpoint.safetensors
    const char *manifest;                      // JSON text stored in every checkpoint; may be NULL
    const char *data_path;                     // recorded, so that forecast and eval can say what it was trained on
    TrafficRange train, val;                   // rows
    double checkpoint_seconds;                 // 0 = 120
    void (*report)(void *ctx, const TrainReport *r);   // for every step; may be NULL
    void *ctx;
    const volatile sig_atomic_t *stop;         // set by a signal: finish the step, save, return
    Profile *profile;                          // may be NULL
} TrainOptions;

// Trains cfg on the series.  Loss that is not finite is an error that names the step.  An existing run without
// `resume` is an error: nothing is overwritten.
Status lead_train(const LeadConfig *cfg, const TrafficSeries *s, const TrainOptions *o, const Device *dev, Arena *perm,
                  Arena *step, Arena *scratch);

#endif
