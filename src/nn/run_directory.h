// A run directory: what a training writes and goes on from.
//   checkpoint.safetensors   the last state (and .prev, the one before): see checkpoint.h
//   log.jsonl                one line a report; a resumed run appends
// What else lies in it is said by lead/train.h and llm/train_run.h.
#ifndef LEAD_NN_RUN_DIRECTORY_H
#define LEAD_NN_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stdio.h>

#include "tensor/arena.h"
#include "tensor/status.h"

#define RUN_CHECKPOINT "checkpoint.safetensors"

// Makes dir when it is missing.  Errors: a new run where one lies already, a resumed run where none lies.
Status run_directory_prepare(const char *dir, bool resume, Arena *scratch);

// dir/log.jsonl, emptied unless resumed.  Closing says whether all that was written has arrived.
typedef struct RunLog { FILE *f; const char *path; } RunLog;
Status run_log_open(RunLog *log, const char *dir, bool resume, Arena *a);
Status run_log_close(RunLog *log);

#endif
