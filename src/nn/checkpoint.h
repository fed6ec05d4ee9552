// A checkpoint is one safetensors file.  It holds
//   <name>                          every trainable parameter, F32
//   <name>#m, <name>#v, <name>#ema  its Adam moments and its moving average (no #ema when ps->no_ema)
//   stat.<name>                     named arrays of statistics [n]: F32 when that loses nothing, else F64
//   metadata                        a map of strings: configuration, manifest, step
// Frozen parameters are not stored: the metadata name their file and its hash.
// Written whole or not at all; the previous file stays as <path>.prev.
// A file of weights is a checkpoint that inference needs and no more: of each parameter only <name>#ema (<name> when
// ps->no_ema).  It is a quarter as large, training cannot be resumed from it, and no previous file is kept.
#ifndef LEAD_NN_CHECKPOINT_H
#define LEAD_NN_CHECKPOINT_H

#include "nn/params.h"
#include "io/safetensors.h"

typedef struct StatArray { const char *name; int64_t n; const double *x; } StatArray;

// ps: f32 and not for inference (else a bug).  scratch is rewound.  Errors: those of safetensors_write.
Status checkpoint_save(const char *path, const ParamSet *ps, const SafeMeta *meta, int n_meta, const StatArray *stat,
                       int n_stat, Arena *scratch);
// The same as a file of weights.
Status checkpoint_save_weights(const char *path, const ParamSet *ps, const SafeMeta *meta, int n_meta,
                               const StatArray *stat, int n_stat, Arena *scratch);

// To read one: open it, build the model from its metadata and statistics, load the parameters, close it
// (safetensors_close).  Errors: those of safetensors_open; a file that is not a checkpoint of this program.
Status checkpoint_open(SafeFile *f, Arena *a, const char *path);
// A metadata string; an array of statistics, copied to the arena: *x [*n].  Error: no such key or array, by name.
Status checkpoint_meta(const SafeFile *f, const char *key, const char **value);
// The first n whole numbers of a metadata string, separated by blanks.  Error: fewer, or no such key.
Status checkpoint_numbers(const SafeFile *f, const char *key, int n, int64_t *out);
Status checkpoint_stat(const SafeFile *f, const char *name, Arena *a, const double **x, int64_t *n);
// Reads every trainable parameter of ps by name and shape, and the optimiser's state.  With ps->inference it reads no
// state, and the parameters get their EMA values (unless ps->no_ema): a file of weights will do.  Errors: a parameter
// that is missing or has another shape; a tensor in the file that ps does not have.
Status checkpoint_load(const SafeFile *f, ParamSet *ps);
// For training that starts from those weights: every trainable parameter and its average get the EMA value in the file,
// the moments stay as they are.  Errors: as above.
Status checkpoint_load_start(const SafeFile *f, ParamSet *ps);

// Converts the t->count values of a tensor in the file to real numbers of dev and writes them to x on that device.
void checkpoint_read(const Device *dev, void *x, const SafeTensor *t, Arena *scratch);

#endif
