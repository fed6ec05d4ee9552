// A checkpoint = one safetensors file: every parameter under its name, "<name>#m", "<name>#v", "<name>#ema" for the
// optimiser's state, and a string map of metadata (configuration, manifest, step, random address, data cursor).
// Written atomically; the previous file stays as <path>.prev.  Frozen parameters are stored too unless skip_frozen.
#ifndef LEAD_NN_CHECKPOINT_H
#define LEAD_NN_CHECKPOINT_H

#include "nn/params.h"

typedef struct MetaPair { const char *key, *value; } MetaPair;

Status checkpoint_save(const char *path, const ParamSet *ps, const MetaPair *meta, int n_meta, bool with_state, Arena *scratch);
// Loads every parameter of ps by name: a missing name, another shape or an unknown name is an error that says which.
// *step_state tells whether the optimiser's state was there (and loaded, unless ps->inference).
Status checkpoint_load(const char *path, ParamSet *ps, bool *step_state, Arena *scratch);
// Metadata only (to build the model before loading it).  *meta in arena.
Status checkpoint_meta(const char *path, MetaPair **meta, int *n_meta, Arena *arena);
const char *meta_get(const MetaPair *meta, int n_meta, const char *key);   // NULL when missing

#endif
