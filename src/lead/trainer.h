// What lead/train.c and lead/train_state.c share; for no one else.
#ifndef LEAD_LEAD_TRAINER_H
#define LEAD_LEAD_TRAINER_H

#include "lead/pace.h"
#include "lead/train.h"
#include "nn/run_directory.h"

// LOG_STEPS: where steps are recorded, the host reads the losses once in this many steps.
// SPEED_STEPS: the first plan of a run with a time limit.
enum { SPEED_STEPS = 12, VAL_BATCHES = 6, VALIDATIONS = 40, LOG_STEPS = 10, WARMUP_PARTS = 20 };

typedef struct Trainer {
    const LeadConfig *cfg;
    const TrafficSeries *s;
    const TrainOptions *o;
    const Device *dev;
    Arena *perm, *step, *scratch;
    const char *config_json, *data_hash, *series, *start, *bits;
    RunLog log;
    // the time
    double began, save_every;
    double looked, saved;               // when the host last saw losses and had reported them, last saved
    double fit_seconds, calibration_seconds;   // that the statistics took, that the calibration will take
    Pace pace;
    int64_t next_plan;                  // step; -1 = the plan stays as it is
    bool out_of_time;
    // the state of validation
    double best_val, smooth;
    int64_t best_step, since, validated;   // since: validations; validated: step of the last one
    // this fit
    bool final;
    TrafficRange rows;
    LeadStats stats;
    LeadModel model;
    ParamSet ps;
    Optim optim;
    Tape tape;
    LeadData data;
    RowPart part;                       // this rank's rows of the batch
    Repeated work;                      // the step on the device
    Tensor *losses;                     // [LOG_STEPS,2]: loss and the gradient's sum of squares of the last steps
    int64_t read;                       // steps whose losses the host has seen
    Tensor *train, *val[VAL_BATCHES];   // I32: rows of "now" of the training windows, of the validation batches
    int64_t n_train, n_val;
    const char *llm_hash;
} Trainer;

double trainer_now(const Trainer *tr);                       // seconds of the run's clock
void trainer_note(const Trainer *tr, const char *text);      // NULL: nothing to say
bool trainer_final_wanted(const Trainer *tr);
int64_t trainer_most_steps(const Trainer *tr);               // that this fit may have
const char *trainer_path(const Trainer *tr, const char *name);   // of a file of the run, in tr->scratch

// Everything that a resumed run needs (weights: that a forecast needs) to the file `name` of the run.
Status trainer_save(Trainer *tr, const char *name, bool weights);
Status trainer_save_checkpoint(Trainer *tr);
// Before the first step.  Error: a path or a name that no checkpoint could be written with.
Status trainer_try_saving(Trainer *tr);

// Whether the run in the directory is the one that is wanted, and gives the bits here that it gave.
Status trainer_check_same(const Trainer *tr, const LeadRecord *r);
// The run that an update begins with: whether it suits the data, before the long work of the statistics; a copy in the
// directory, so that the other may move or go.
Status trainer_check_start(const Trainer *tr);
Status trainer_copy_start(Trainer *tr);
// What a fit begins with: a checkpoint, another run's weights, or the initial values.  Errors: a file that is not what
// a run writes, in any of its numbers.
Status trainer_load(Trainer *tr, bool resume);

// Opens the best weights so far, whichever version is whole.  Errors: those of checkpoint_open.
Status trainer_open_best(Trainer *tr, SafeFile *f);

#endif
