// Training LEAD (E7).  The run directory gets checkpoint.safetensors (the last state, to resume from),
// best.safetensors (the state of the lowest validation loss), log.jsonl (one line per report) and config.json.
// The state of a run is parameters, moments, EMA, step, total steps.  Every random number has an address that depends
// on (seed, step) alone, so k steps, a kill and N-k steps give the same bits as N steps.
#ifndef LEAD_LEAD_TRAIN_H
#define LEAD_LEAD_TRAIN_H

#include <signal.h>

#include "autograd/profile.h"
#include "lead/calibrate.h"
#include "nn/optim.h"

typedef struct TrainReport {
    int64_t step, total;
    double loss, smooth_loss, val_loss;        // val_loss NaN when not measured at this step
    double grad_norm, lr, seconds, eta_seconds;
} TrainReport;

typedef struct TrainOptions {
    const char *out;                           // run directory; made when missing
    bool resume;                               // continue from out/checkpoint.safetensors
    const char *manifest;                      // JSON text stored in every checkpoint; may be NULL
    const char *data_path;                     // recorded, so that forecast and eval can say what it was trained on
    TrafficRange train, val;                   // rows
    double checkpoint_seconds;                 // between checkpoints; 0 = 120
    void (*report)(void *ctx, const TrainReport *r);   // called for every step, in order; may be NULL
    void *ctx;
    void (*calibrated)(void *ctx, const Calibration *c);   // called once at the end; may be NULL
    const volatile sig_atomic_t *stop;         // set by a signal: finish the step, save, return
    Profile *profile;                          // may be NULL
} TrainOptions;

// Trains cfg on the series.  Errors: o->out holds a run and resume is false (nothing is overwritten), or holds none and
// resume is true; a checkpoint of another configuration or series; too few windows; a loss or gradient that is not
// finite, with its step; a file that cannot be written.
Status lead_train(const LeadConfig *cfg, const TrafficSeries *s, const TrainOptions *o, const Device *dev, Arena *perm,
                  Arena *step, Arena *scratch);

#endif
