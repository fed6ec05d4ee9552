// Training GPT-2 on a stream of tokens: windows of `context` tokens from random places, cross entropy of each next
// token, AdamW with clipping and cosine decay.  And the one command that makes the bundled model, data/gpt2-small.
#ifndef LEAD_LLM_TRAIN_H
#define LEAD_LLM_TRAIN_H

#include "llm/gpt2.h"
#include "nn/optim.h"

typedef struct Gpt2TrainOptions {
    int64_t batch, context;      // windows a step, tokens a window (<= positions)
    uint64_t seed;               // window i of step s starts at philox(seed, SITE_SHUFFLE << 32 | s, i)
} Gpt2TrainOptions;

typedef struct Gpt2TrainProgress {
    int64_t step, steps;         // steps done, of
    double loss;                 // of this step's windows, nats a token
    double grad_norm, lr, seconds;
} Gpt2TrainProgress;

// After each step; false stops the training early (a Ctrl-C): what was reached is kept.
typedef bool Gpt2TrainFn(void *arg, const Gpt2TrainProgress *p);

// Steps until o->step == o->total.  token[0..n): n > context.  Errors: n too small, a loss that is not finite.
Status gpt2_train(Tape *t, const Gpt2 *m, ParamSet *ps, Optim *o, const int32_t *token, int64_t n,
                  const Gpt2TrainOptions *opt, Gpt2TrainFn *progress, void *arg);

// Mean loss in nats a token over the consecutive windows of `context` tokens in token[0..n); each token but a window's
// first is predicted from those before it in the window.
double gpt2_text_loss(Tape *t, const Gpt2 *m, const int32_t *token, int64_t n, int64_t context);

// Trains the bundled model (4 layers, 4 heads, width 128, 128 positions, bytes + end of text) on corpus.h's text and
// writes out_dir/{config.json, model.safetensors, MODEL_CARD.md}.  The card states what was measured in this run.
// Stopped early by progress, it writes what was reached and says so.
// `command` goes into the card: the line that reproduces the model.
Status gpt2_train_bundled(const Device *dev, const char *out_dir, int64_t steps, uint64_t seed, const char *command,
                          Gpt2TrainFn *progress, void *arg);

#endif
