// Training GPT-2, all of it or only the adapters on it, on a stream of tokens: windows of `context` tokens from random
// places, cross entropy of each next token, AdamW with clipping, warm-up and cosine decay (nn/optim.h).
// Randomness has an address: window i of step s starts at philox(seed, SITE_SHUFFLE << 32 | s, i), whatever the
// micro-batches; dropout of micro-batch k draws step s * accumulate + k.  So N steps = k steps, a checkpoint, N - k
// steps, bit by bit.
#ifndef LEAD_LLM_TRAIN_H
#define LEAD_LLM_TRAIN_H

#include "llm/gpt2.h"
#include "nn/optim.h"
#include "tensor/graph.h"

typedef struct Tokens { const int32_t *id; int64_t n; } Tokens;

typedef struct Gpt2TrainOptions {
    int64_t batch, context;      // windows a micro-batch, tokens a window (<= positions)
    int64_t accumulate;          // micro-batches a step, 1 or more: their gradients are averaged
    bool in_order;               // every step takes the first windows of the data in order: llm.c's overfitting check
    uint64_t seed;
} Gpt2TrainOptions;

typedef struct Gpt2TrainProgress {
    int64_t step, steps;         // steps done, of
    double loss;                 // of this step's windows, nats a token
    double grad_norm, lr;        // before clipping; of this step
    double seconds;              // since the training began
} Gpt2TrainProgress;

// After each step; false stops the training early (a Ctrl-C): what was reached is kept.
typedef bool Gpt2TrainFn(void *arg, const Gpt2TrainProgress *p);

// A micro-batch recorded as a graph, where the device can; {0} at first.  loss: where it is.
typedef struct Gpt2Recorded { Repeated work; Tensor loss; } Gpt2Recorded;

// One step.  hook: adapters, or NULL.  again: steps of the same arguments share it; NULL: nothing is recorded.  Errors:
// data of context tokens or fewer; a loss or gradient that is not finite (the parameters are then as before).  p gets
// everything but seconds.
Status gpt2_train_step(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, ParamSet *ps, Optim *o, Tokens data,
                       const Gpt2TrainOptions *opt, Gpt2Recorded *again, Gpt2TrainProgress *p);

// Steps until o->step == o->total, or until progress says stop.
Status gpt2_train(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, ParamSet *ps, Optim *o, Tokens data,
                  const Gpt2TrainOptions *opt, Gpt2TrainFn *progress, void *arg);

// Mean loss in nats a token over the first `windows` consecutive windows of `context` tokens in data (0 = all of them);
// each token but a window's first is predicted from those before it in the window.  data.n > context.
double gpt2_text_loss(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, Tokens data, int64_t context, int64_t windows);

#endif
