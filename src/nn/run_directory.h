// A run directory: the files that a training run writes and resumes from.
//   checkpoint.safetensors   the last state (and .prev, the one before): see checkpoint.h
//   log.jsonl                one line per report; a resumed run appends
// Its other files: lead/train.h and llm/train_run.h.
#ifndef LEAD_NN_RUN_DIRECTORY_H
#define LEAD_NN_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stdio.h>

#include "tensor/arena.h"
#include "tensor/status.h"

#define RUN_CHECKPOINT "checkpoint.safetensors"

// Makes dir when it is missing.  Errors: dir holds a checkpoint and resume is false; it holds none and resume is true.
Status run_directory_prepare(const char *dir, bool resume, Arena *scratch);

// Opens dir/log.jsonl, and empties it unless resume.  run_log_close is an error when a write failed.
typedef struct RunLog { FILE *f; const char *path; } RunLog;
Status run_log_open(RunLog *log, const char *dir, bool resume, Arena *a);
Status run_log_close(RunLog *log);

#endif
