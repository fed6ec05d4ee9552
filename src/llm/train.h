// Training GPT-2, all of it or only the adapters on it, on a stream of tokens: windows of `context` tokens from random
// places, cross entropy of each next token, AdamW with clipping, warm-up and cosine decay (nn/optim.h).
// Randomness has an address: window i of step s starts at philox(seed, SITE_SHUFFLE << 32 | s, i), however the step is
// divided into micro-batches; dropout of micro-batch k draws at step s * accumulate + k.  So k steps, a checkpoint and
// N - k steps give the same bits as N steps.
#ifndef LEAD_LLM_TRAIN_H
#define LEAD_LLM_TRAIN_H

#include "llm/gpt2.h"
#include "nn/optim.h"
#include "tensor/graph.h"

typedef struct Tokens { const int32_t *id; int64_t n; } Tokens;

typedef struct Gpt2TrainOptions {
    int64_t batch, context;      // windows per micro-batch, tokens per window (<= positions)
    int64_t accumulate;          // micro-batches per step, 1 or more; their gradients are averaged
    bool in_order;               // every step takes the first windows of the data, in order: llm.c's overfitting check
    uint64_t seed;
} Gpt2TrainOptions;

typedef struct Gpt2TrainProgress {
    int64_t step, steps;         // steps done, and in total
    double loss;                 // of this step's windows, nats per token
    double grad_norm, lr;        // of this step; the norm before clipping
    double seconds;              // since the training began
} Gpt2TrainProgress;

// Called after each step; returning false ends the training early (Ctrl-C) and keeps the state that it has reached.
typedef bool Gpt2TrainFn(void *arg, const Gpt2TrainProgress *p);

// A micro-batch, recorded as a graph where the device can record; {0} at first.  loss: where the graph leaves its loss.
typedef struct Gpt2Recorded { Repeated work; Tensor loss; } Gpt2Recorded;

// One step.  Of several ranks each takes its part of every micro-batch and updates its part of the parameters
// (Optim.sharded); all get the same bits, which depend on the number of ranks.
// hook: adapters, or NULL.  again: shared by steps with the same arguments; NULL: nothing is recorded.
// Errors: data of context tokens or fewer; a loss or gradient that is not finite (the parameters then stay as before).
// Fills *p except for seconds.
Status gpt2_train_step(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, ParamSet *ps, Optim *o, Tokens data,
                       const Gpt2TrainOptions *opt, Gpt2Recorded *again, Gpt2TrainProgress *p);

// Runs steps until o->step == o->total, or until progress returns false.  Errors: those of gpt2_train_step.
Status gpt2_train(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, ParamSet *ps, Optim *o, Tokens data,
                  const Gpt2TrainOptions *opt, Gpt2TrainFn *progress, void *arg);

// Mean loss in nats per token over the first `windows` consecutive windows of `context` tokens in data (0 = all of
// them); each token but a window's first is predicted from those before it in the window.  data.n > context.
double gpt2_text_loss(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, Tokens data, int64_t context, int64_t windows);

#endif
