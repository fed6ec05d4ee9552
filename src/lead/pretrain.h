// Pretraining [D]: networks over flows that know no particular network of nodes, fitted on synthetic traffic of many
// kinds (synth_variety).  Each network of nodes is generated, its statistics and ridge are fitted on its first rows,
// and a few steps are trained on windows of the rows after them, so the weights learn what forecasts are like that
// were fitted on other rows, and on how many.  The loss, the optimiser and the moving average are those of training.
// No measured traffic takes part.
#ifndef LEAD_LEAD_PRETRAIN_H
#define LEAD_LEAD_PRETRAIN_H

#include <signal.h>

#include "lead/data.h"
#include "nn/optim.h"

typedef struct PretrainReport {
    int64_t network, networks, step;
    int N, slot_seconds;                       // of the network just trained on
    int64_t rows;
    double loss, smooth_loss;                  // mean over its steps; smoothed over networks
    double seconds;
} PretrainReport;

// What is trained instead: to draw in `calls` network calls what the weights in `file` draw in `before`; with tuning,
// to draw forecasts of less CRPS in `calls`, beginning with `file` (lead/distill.h).
typedef struct PretrainTeacher {
    const char *file;
    int before, calls;
    bool tuning;
    int steps, tune_steps;                     // recorded in the file
    const char *manifest;                      // JSON text of the distillation, stored in the file
} PretrainTeacher;

typedef struct PretrainOptions {
    const char *out;                           // file of weights; <out>.unfinished holds what is resumed from
    bool resume;
    const char *manifest;                      // JSON text stored in the file; may be NULL
    const PretrainTeacher *teacher;            // or NULL.  With one a stopped run is given up, not saved
    int64_t first;                             // number of the first network and step: others draw other numbers
    int64_t networks;
    int steps_each;                            // training steps on each
    double checkpoint_seconds;                 // between those; 0 = 120
    void (*report)(void *ctx, const PretrainReport *r);   // after each network; may be NULL
    void (*note)(void *ctx, const char *text); // something that people should know; may be NULL
    void *ctx;
    const volatile sig_atomic_t *stop;         // set by a signal: finish the network, save, return
} PretrainOptions;

// Pretrains cfg, which has flow_identity statistics, denoiser flow and no conditions.  Networks with too little traffic
// for a fit are passed over.  perm: parameters; network: one network at a time; step, scratch: as elsewhere.
// Errors: another cfg; <out>.unfinished is there and resume is not wanted; a file to resume from that is missing,
// damaged or of other options; a loss that is not finite; a file that cannot be written.
Status lead_pretrain(const LeadConfig *cfg, const PretrainOptions *o, const Device *dev, Arena *perm, Arena *network,
                     Arena *step, Arena *scratch);

#endif
