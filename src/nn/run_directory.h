// A run directory: the files that a training run writes and resumes from.
//   checkpoint.safetensors   the last state, while the run is unfinished: see checkpoint.h
//   best.safetensors         lead train: the weights of the lowest validation loss
//   final.safetensors        lead train: the weights of the final fit on all rows
//   start.safetensors, start-final.safetensors   lead train --update, while it is unfinished: what it began with
//   log.jsonl                one line per report; a resumed run appends
//   config.json              lead train: the configuration
//   lock                     while a process trains: its number and machine
// Of each .safetensors there may be a .prev, the version before it.  More about them: lead/train.h, llm/train_run.h.
#ifndef LEAD_NN_RUN_DIRECTORY_H
#define LEAD_NN_RUN_DIRECTORY_H

#include "nn/checkpoint.h"

#define RUN_CHECKPOINT "checkpoint.safetensors"
#define RUN_BEST "best.safetensors"
#define RUN_FINAL "final.safetensors"
#define RUN_START "start.safetensors"
#define RUN_START_FINAL "start-final.safetensors"

typedef enum RunState {
    RUN_NONE,          // no run
    RUN_UNFINISHED,    // there is a checkpoint to resume from
    RUN_FINISHED,      // there are weights, and no checkpoint
} RunState;
// A .prev counts as the file itself.  Error: the directory cannot be looked into.
Status run_directory_state(const char *dir, RunState *state, Arena *scratch);

// Whether dir holds the file or its .prev.  Error: as above.
Status run_directory_holds(const char *dir, const char *name, bool *there, Arena *scratch);

// A directory in use by this process.
typedef struct RunDirectory {
    const char *path;
    int lock;            // descriptor
    bool made;           // it was not there before
    const char *note;    // for people: the file system has no locks.  NULL: it has
} RunDirectory;

// Of several ranks (tensor/ranks.h) the first alone makes, locks, writes and removes what is described here; the others
// wait for it, and get its errors.

// Makes dir when it is missing, and locks it until run_directory_close or the end of the process, so that no other
// process writes the same run; readers need no lock.  Then removes temporary files of ours (io/file.h) that processes
// left which are no more.  dir and the note (in a) must outlive d.
// Errors: another process holds the lock, which is named; dir holds a run, or weights of another program, and resume is
// false; it holds no checkpoint and resume is true; a file of the run is a symbolic link; dir cannot be written.
Status run_directory_open(RunDirectory *d, const char *dir, bool resume, Arena *a);
// Removes the lock, and the directory when it was made for this run and is empty.
void run_directory_close(RunDirectory *d);

// Opens the first of the files names[0 .. n) that is in dir, itself or its .prev (checkpoint_open).  Errors: none is
// there; one cannot be looked for; those of checkpoint_open.
Status run_directory_read(SafeFile *f, Arena *a, const char *dir, const char *const *names, int n);

// Removes what a run that has finished does not need: the checkpoint, the start, and the .prev of the best weights
// where there are final ones.  Error: a file that cannot be removed.
Status run_directory_finish(const char *dir, Arena *scratch);
// Removes the files of a `lead train` run from dir: exactly those named above, each with its .prev, and no other.  The
// directory stays.  It is no error when there are none.  Errors: a process trains in dir; a file cannot be removed.
Status run_directory_remove(const char *dir, Arena *scratch);

// Opens dir/log.jsonl, and empties it unless resume; a last line that was cut off goes.  dir must outlive the log.
// On an error the log stays as it was, on all ranks.
typedef struct RunLog { int fd; const char *dir; } RunLog;   // fd 0: closed; -1: the first rank writes it
Status run_log_open(RunLog *log, const char *dir, bool resume, Arena *scratch);
// Adds a line, whole or not at all: a full disk leaves no part of it.  text ends in a newline.
Status run_log_line(RunLog *log, const char *text);
Status run_log_close(RunLog *log);

#endif
