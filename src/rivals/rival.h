// Rivals: published forecasters as presets of `lead train --model NAME`, on the same tape, windows and scores as LEAD.
// Each is a point model: it reads a window and names one value for each flow and step.  The training loop, the data and
// the distribution around that value belong to src/lead; a rival is three things, one row of rival_table (rival.c):
//   build      registers its parameters
//   forecast   the network, composed of tape calls
//   training   what its authors trained it with: learning rate, weight decay, batch, dropout, loss
// The heads of the files give equations, sizes, sources and what differs; docs/rivals.md has them in one place.
//
// Input, the same for all: x [B,T,F], each flow in units of its training rows' standard deviation about their mean.
// With target `levels` (as published) T = L, the history.  With target `residual` T = L + K: ridge's forecast of the K
// steps ahead continues the history, since what is left of ridge's error cannot be told from the history alone.
#ifndef LEAD_RIVALS_RIVAL_H
#define LEAD_RIVALS_RIVAL_H

#include "autograd/tape.h"
#include "nn/params.h"

typedef enum RivalTarget { RIVAL_RESIDUAL, RIVAL_LEVELS, RIVAL_TARGETS } RivalTarget;
typedef enum RivalLoss { RIVAL_AUTO, RIVAL_HUBER, RIVAL_MAE, RIVAL_MSE, RIVAL_LOSSES } RivalLoss;
extern const char *const rival_targets[RIVAL_TARGETS + 1], *const rival_losses[RIVAL_LOSSES + 1];   // NULL-terminated

typedef struct RivalSizes {
    int64_t N, F;                // nodes; flows, N N
    int64_t L, K, T;             // history, steps ahead, columns of x
    int slots_per_day;
    RivalTarget target;
    int64_t width;               // hidden width
    double dropout;
    const char *llm;             // directory of a GPT-2
    int lora_rank;
    double lora_alpha;
} RivalSizes;

// x [B,T,F]; slot of the day and day of the week of the columns of x, I32 [B,T], and of the K steps ahead, I32 [B,K];
// seen [B,T,F]: 0 where the value was not measured but filled, else 1, NULL: all 1.
typedef struct RivalInput { Tensor *x, *slot, *day, *next_slot, *next_day, *seen; } RivalInput;

typedef struct RivalNet {
    const char *name;
    RivalSizes size;
    ParamSet *ps;
    void *part;                  // what the model keeps of its parameters, in ps->perm
} RivalNet;

typedef struct Rival {
    const char *name, *what;
    Status (*build)(RivalNet *n, Arena *scratch);
    Tensor *(*forecast)(Tape *t, const RivalNet *n, const RivalInput *in);   // -> [B,F,K]
    int width;                   // as published, a multiple of 4; 0: none that could be chosen
    double lr, decay, clip, dropout;
    int batch;
    RivalLoss loss;              // as published: RIVAL_MAE or RIVAL_MSE
} Rival;

// Names of the models, NULL-terminated: "lead", which is no rival, and then every row of the table.
extern const char *const rival_names[];
// The rival of that place in rival_names; NULL: 0, LEAD itself.
const Rival *rival_at(int place);

// Registers the parameters of rival r, names of which begin with its name.  Errors: those of gpt2_load (netllm).
Status rival_new(RivalNet *n, const Rival *r, ParamSet *ps, const RivalSizes *size, Arena *scratch);
// The loss of forecasts y against target [B,F,K]; seen [B,F,K]: 0 where the target was not measured, else 1, NULL:
// all 1.  huber: delta 4, as LEAD's mean head; mae: Huber's with delta 1/1024, over delta: |r| - delta/2, rounded off
// where |r| < delta.  -> one value, the mean over all
Tensor *rival_loss(Tape *t, RivalLoss kind, Tensor *y, Tensor *target, Tensor *seen);

#endif
