// Parameters: one registry, which the optimiser, the checkpoint and the count of parameters walk through.  Every
// trainable or frozen weight of every module is a Param with a unique dotted name ("unet.down.0.conv1.weight");
// registration order is the order everywhere.
#ifndef LEAD_NN_PARAMS_H
#define LEAD_NN_PARAMS_H

#include "tensor/device.h"

typedef enum InitKind { INIT_ZERO, INIT_ONE, INIT_NORMAL, INIT_UNIFORM } InitKind;
typedef struct Init { InitKind kind; double scale; } Init;   // normal: std; uniform: half width

typedef struct Param {
    Tensor t;            // value and gradient (g = NULL when frozen)
    Tensor m, v;         // Adam's moments; x = NULL when frozen
    Tensor ema;          // exponential moving average of the value; x = NULL when frozen, or without EMA
    bool frozen, decay;  // decay: weight decay applies (matrices and kernels; not biases, norms, embeddings)
} Param;

// The trainable parameters in one piece: those with weight decay first, each beginning at a multiple of PARAM_FLAT_UNIT
// values (256 bytes of f32, so that every parameter stays aligned as arenas align), with zeros in between.
// decayed: the number of values at the front that weight decay applies to.
enum { PARAM_FLAT_UNIT = 64 };
typedef struct ParamFlat { Tensor x, g, m, v, ema; int64_t decayed; } ParamFlat;

typedef struct ParamSet {
    Arena *perm;
    const Device *dev;
    // initial values: philox(seed, SITE_INIT << 32 | hash of the name): no param shifts another's draw
    uint64_t seed;
    bool inference;      // no gradients, moments or EMA are allocated
    bool no_ema;         // no EMA: set after paramset_init, before the first param_add
    bool swapped;        // values and EMA have changed places (paramset_swap_ema)
    ParamFlat flat;      // x.x = NULL before paramset_lay_out
    Param **p;           // [n], room for cap
    int n, cap;
} ParamSet;

typedef enum ParamFlags {
    PARAM_PLAIN = 0,
    PARAM_FROZEN = 1,
    PARAM_NO_DECAY = 2,
    PARAM_BF16 = 4,      // a frozen matrix, stored in bf16 columns where the device reads them (tensor/pack.h)
    PARAM_NF4 = 8,       // the same in NF4 (tensor/nf4.h)
} ParamFlags;

void paramset_init(ParamSet *ps, Arena *perm, const Device *dev, uint64_t seed, bool inference);

// Adds "prefix.name" (or name, when prefix is "") and returns its tensor.  A duplicate name is a bug.
Tensor *param_add(ParamSet *ps, const char *prefix, const char *name, Shape shape, Init init, ParamFlags flags);
// Adds a frozen parameter whose values stay in the caller's memory (a mapped file), which must outlive ps.
Tensor *param_add_view(ParamSet *ps, const char *prefix, const char *name, Shape shape, void *values);
Param *param_find(const ParamSet *ps, const char *full_name);       // NULL when there is none

int64_t paramset_count(const ParamSet *ps, bool trainable_only);    // number of values
void paramset_zero_grad(ParamSet *ps);                              // all gradients to 0
// Moves values, gradients, moments and averages of the trainable parameters into ps->flat, once, before the first
// update; no parameter may be added later.  A parameter's Tensor stays where it is, and its buffers become parts of the
// flat ones.  The pages of the old buffers go back to the system; a device with memory of its own keeps them allocated.
void paramset_lay_out(ParamSet *ps);
// Exchanges values and EMA in place (call again to undo): sampling and evaluation use the EMA weights.
void paramset_swap_ema(ParamSet *ps);

// SHA-256 of the values of all frozen parameters in registration order, as a hex string in arena a.
const char *paramset_frozen_hash(const ParamSet *ps, Arena *a);

#endif
