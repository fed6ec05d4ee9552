// A checkpoint is one safetensors file.  It holds
//   <name>                          every trainable parameter, F32
//   <name>#m, <name>#v, <name>#ema  its Adam moments and its moving average (no #ema when ps->no_ema)
//   stat.<name>                     named arrays of statistics [n]: F32 when that loses nothing, else F64
//   metadata                        a map of strings: configuration, manifest, step
// Frozen parameters are not stored: the metadata name their file and its hash.  The metadata also hold the SHA-256 of
// all the rest (lead.sha256, safetensors_digest): a file in which one bit has changed is refused.
// Written whole or not at all; the previous file stays as <path>.prev, and is read where the newest is damaged or gone.
// A file of weights is a checkpoint that inference needs and no more: of each parameter only <name>#ema (<name> when
// ps->no_ema).  It is a quarter as large, and training cannot be resumed from it.
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

// Error: what such a save would refuse before it has written a byte: a name or metadata that are not UTF-8, a path that
// is too long or cannot be written.  For the time before a long work.
Status checkpoint_try(const char *path, const SafeMeta *meta, int n_meta);

// To read one: open it, build the model from its metadata and statistics, load the parameters, close it
// (safetensors_close).  A file that is missing or damaged, with a whole <path>.prev beside it: that one is opened
// instead.  f->note says so, or that the file is of a version that stored no SHA-256; the caller passes it to people.
// Errors: those of safetensors_open; content that is not what its SHA-256 says; not a checkpoint of this program.
Status checkpoint_open(SafeFile *f, Arena *a, const char *path);
// Whether f is the previous version of what was asked for.
bool checkpoint_is_previous(const SafeFile *f);
// A metadata string; an array of statistics, copied to the arena: *x [*n].  Error: no such key or array, by name.
Status checkpoint_meta(const SafeFile *f, const char *key, const char **value);
// A metadata string of exactly n whole numbers in least .. most, separated by blanks; of exactly one real number, which
// may be infinite but not NaN.  Errors: no such key; anything else, with what was wanted.
Status checkpoint_numbers(const SafeFile *f, const char *key, int n, int64_t least, int64_t most, int64_t *out);
Status checkpoint_real(const SafeFile *f, const char *key, double *out);
Status checkpoint_stat(const SafeFile *f, const char *name, Arena *a, const double **x, int64_t *n);
// Reads every trainable parameter of ps by name and shape, and the optimiser's state.  With ps->inference it reads no
// state, and the parameters get their EMA values (unless ps->no_ema): a file of weights will do.  Errors: a parameter
// that is missing or has another shape; a value that is not finite; a tensor in the file that ps does not have.
Status checkpoint_load(const SafeFile *f, ParamSet *ps);
// For training that starts from those weights: every trainable parameter and its average get the EMA value in the file,
// the moments stay as they are.  Errors: as above.
Status checkpoint_load_start(const SafeFile *f, ParamSet *ps);

// What the bits of a training depend on beside its options: compiler, device with its instruction set, kinds of
// products.  A checkpoint holds it; threads do not matter.
const char *checkpoint_bits(const Device *dev, Arena *a);

// Converts the t->count values of a tensor in the file to real numbers of dev and writes them to x on that device.
void checkpoint_read(const Device *dev, void *x, const SafeTensor *t, Arena *scratch);

#endif
