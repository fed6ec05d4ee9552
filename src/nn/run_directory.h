// A run directory: the files that a training run writes and resumes from.
//   checkpoint.safetensors   the last state (and .prev, the one before), while the run is unfinished: see checkpoint.h
//   best.safetensors         lead train: the weights of the lowest validation loss
//   final.safetensors        lead train: the weights of the final fit on all rows
//   log.jsonl                one line per report; a resumed run appends
//   config.json              lead train: the configuration
// More about them: lead/train.h and llm/train_run.h.
#ifndef LEAD_NN_RUN_DIRECTORY_H
#define LEAD_NN_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stdio.h>

#include "tensor/arena.h"
#include "tensor/status.h"

#define RUN_CHECKPOINT "checkpoint.safetensors"
#define RUN_BEST "best.safetensors"
#define RUN_FINAL "final.safetensors"

typedef enum RunState {
    RUN_NONE,          // no run
    RUN_UNFINISHED,    // there is a checkpoint to resume from
    RUN_FINISHED,      // there are weights, and no checkpoint
} RunState;
RunState run_directory_state(const char *dir, Arena *scratch);

// Makes dir when it is missing.  Errors: dir holds a run and resume is false; it holds no checkpoint and resume is
// true.
Status run_directory_prepare(const char *dir, bool resume, Arena *scratch);

// Removes the checkpoint of a run that has finished.  Error: a file that cannot be removed.
Status run_directory_finish(const char *dir, Arena *scratch);
// Removes the files of a `lead train` run from dir: exactly those named above, each with its .prev, and no other.  The
// directory stays.  It is no error when there are none.  Error: a file that cannot be removed.
Status run_directory_remove(const char *dir, Arena *scratch);

// Opens dir/log.jsonl, and empties it unless resume; dir must outlive the log.  run_log_close is an error when a write
// failed.
typedef struct RunLog { FILE *f; const char *dir; } RunLog;
Status run_log_open(RunLog *log, const char *dir, bool resume, Arena *scratch);
Status run_log_close(RunLog *log);

#endif
