// A checkpoint = one safetensors file: every trainable parameter under its name, "<name>#m", "<name>#v", "<name>#ema"
// for the optimiser's state (no "#ema" when ps->no_ema), named arrays of statistics ("stat.<name>", F64) and a string map of metadata
// (configuration, manifest, step).  Frozen parameters are not stored: their file is named, and hashed, in the metadata.
// Written whole or not at all; the previous file stays as <path>.prev.
#ifndef LEAD_NN_CHECKPOINT_H
#define LEAD_NN_CHECKPOINT_H

#include "nn/params.h"
#include "io/safetensors.h"

typedef struct StatArray { const char *name; int64_t n; const double *x; } StatArray;

Status checkpoint_save(const char *path, const ParamSet *ps, const SafeMeta *meta, int n_meta, const StatArray *stat,
                       int n_stat, Arena *scratch);

// Reading: open, take metadata and statistics to build the model, load its parameters, close.
Status checkpoint_open(SafeFile *f, Arena *a, const char *path);        // refuses a file that is no checkpoint of ours
// Missing key or array: an error that names it and the file.
Status checkpoint_meta(const SafeFile *f, const char *key, const char **value);
Status checkpoint_stat(const SafeFile *f, const char *name, Arena *a, const double **x, int64_t *n);
// Every trainable parameter of ps by name and shape; also the optimiser's state, unless ps->inference: then the EMA
// values become the parameters' values.  A tensor in the file that ps does not know is an error.
Status checkpoint_load(const SafeFile *f, ParamSet *ps);

// The values of a tensor of the file as real numbers of dev, to x on that device.
void checkpoint_read(const Device *dev, void *x, const SafeTensor *t, Arena *scratch);

#endif
