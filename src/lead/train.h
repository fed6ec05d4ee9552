// Training LEAD (E7) in a run directory (nn/run_directory.h), in up to two fits:
//   train   on the rows `train`, validated about 40 times on the rows `val`; best.safetensors gets the weights of the
//           lowest validation loss, and the stretch of samples that suits them (lead/calibrate.h).  Ends after
//           cfg.steps; after `patience` validations in a row without a better one; or when the time is over.
//   final   where TrainOptions.final names rows: from the same start, as many steps as the best of the first fit had,
//           with their own complete schedule, on those rows, statistics included; samples are stretched as the best's.
//           Nothing is validated, so final.safetensors is for forecasting only.
// One process at a time trains in a directory; it holds its lock.  checkpoint.safetensors is what an unfinished run is
// resumed from, and goes when the run has finished.  log.jsonl has one line per report, config.json the configuration.
//
// The state of a run: parameters, moments, averages, step, the plan (total steps, how the schedule is bent), best
// validation and validations since.  All of it is in the checkpoint, and every random number has an address that
// depends on (seed, step) alone, so k steps, a kill and N-k steps give the same bits, and end at the same step, as N
// steps.
//
// cfg.minutes > 0 limits the time from the call of lead_train to its end, final fit included.  cfg.steps is then only
// the most.  The number of steps is planned after 12 of them and planned anew as the run goes on (lead/pace.h); the
// learning rate follows without a jump (nn/optim.h).  Plans depend on the clock, so the checkpoint and the log hold
// them, and a resumed run keeps the plan that it was stopped with instead of making a new one.
#ifndef LEAD_LEAD_TRAIN_H
#define LEAD_LEAD_TRAIN_H

#include <signal.h>

#include "autograd/profile.h"
#include "lead/calibrate.h"
#include "lead/record.h"
#include "nn/optim.h"

typedef struct TrainReport {
    bool final;                                // of the final fit
    int64_t step, total;
    double loss, smooth_loss, val_loss;        // val_loss NaN when not measured at this step
    double grad_norm, lr, seconds;
    double eta_seconds;                        // of this fit; NaN as long as it is not known
} TrainReport;

typedef enum TrainWhy { TRAIN_COMPLETE, TRAIN_PATIENCE, TRAIN_TIME, TRAIN_ASKED } TrainWhy;

// How a fit ended.
typedef struct TrainEnd {
    bool final;
    TrainWhy why;
    int64_t step, total;                       // done, planned
    int64_t best_step, since;                  // step of the lowest validation loss; validations since then
    double best_val;                           // infinite when there is no validation: the last step is then the best
    TrafficRange rows;                         // that it was fitted on
} TrainEnd;

typedef struct TrainOptions {
    const char *out;                           // run directory; made when missing
    bool resume;                               // continue from out/checkpoint.safetensors
    bool other_bits;                           // .. although compiler, instruction set or `exact` are others than
                                               // before, so that the bits will be others too
    const char *start;                         // weights to begin with: a run directory or a file, copied so that a
                                               // resumed run needs nothing but its directory; NULL = from nothing
    const char *manifest;                      // JSON text stored in every checkpoint; may be NULL
    const char *data_path;                     // recorded, so that forecast and eval can say what it was trained on
    TrafficRange train, val;                   // rows
    TrafficRange final;                        // rows of the final fit; empty = none
    double checkpoint_seconds;                 // between checkpoints; 0 = 120
    void (*report)(void *ctx, const TrainReport *r);   // called for every step, in order; may be NULL
    void (*note)(void *ctx, const char *text);         // one line for people, now and then; may be NULL
    void (*ended)(void *ctx, const TrainEnd *e);       // called at the end of each fit; may be NULL
    void *ctx;
    void (*calibrated)(void *ctx, const Calibration *c);   // at the end of the first fit; may be NULL
    const volatile sig_atomic_t *stop;         // set by a signal: finish the step, save, return
    Profile *profile;                          // may be NULL
    double (*clock)(void);                     // seconds; NULL = clock_seconds
} TrainOptions;

// Trains cfg on the series.  Errors: another process trains in o->out; it holds a run and resume is false (nothing is
// overwritten), or holds none to resume and resume is true; a checkpoint of another configuration (cfg.llm may be
// another path to the same weights), rows or series, one that gives other bits here (other_bits), one with a value that
// no run writes; start weights of other nodes, slots, sizes or LLM; too few windows; a loss or gradient that is not
// finite, with its step; a file that cannot be written.
Status lead_train(const LeadConfig *cfg, const TrafficSeries *s, const TrainOptions *o, const Device *dev, Arena *perm,
                  Arena *step, Arena *scratch);

#endif
