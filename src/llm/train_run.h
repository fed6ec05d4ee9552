// A training run in a directory: what `lead gpt2 train` does between its options and its exit.
//   DIR/checkpoint.safetensors   every trainable parameter, Adam's moments, step: a resumed run gives the same bits
//   DIR/log.jsonl                step loss grad_norm lr tokens seconds, and val_loss where it was measured
//   DIR/config.json, model.safetensors (all of the model), or the adapters' files (adapter_file.h): at the end
//   DIR/vocab.json, merges.txt   the tokeniser, when there is one
// The run hashes a frozen base at its beginning and end: one changed bit is a bug.
#ifndef LEAD_LLM_TRAIN_RUN_H
#define LEAD_LLM_TRAIN_RUN_H

#include "llm/adapter_file.h"
#include "llm/tokens.h"

typedef struct Gpt2Run {
    const char *out;
    bool resume;                 // go on from DIR/checkpoint.safetensors; else DIR must hold no run and no weights
    bool other_bits;             // .. although compiler, instruction set or --exact are others than before
    ParamSet *ps;                // no_ema; the model, then the adapters
    Gpt2 *m;
    AdapterSet *adapters;        // or NULL
    LoraConfig lora;             // rank 0: none.  With adapters or LoRA the base must be frozen
    const char *base;            // the directory that m was read from, or NULL
    const Bpe *bpe;              // or NULL
    const char *tokenizer;       // where bpe was read, whose files the run keeps; NULL: bpe itself is written
    Tokens train, val;           // val.n <= context: no validation
    Gpt2TrainOptions opt;
    Optim optim;                 // step = 0
    int64_t stop_after;          // stop after this many steps of this call, as Ctrl-C would; 0 = run to the end
    int64_t val_every, val_windows;    // steps between validations (0: only at the end), windows of each (0: all)
    double checkpoint_seconds;   // between checkpoints
    const char *manifest;        // JSON text, stored in every checkpoint
    // val_loss: NAN at steps where it was not measured
    bool (*progress)(void *arg, const Gpt2TrainProgress *p, double val_loss);
    void (*note)(void *arg, const char *text);     // one line for people, now and then; may be NULL
    void *arg;
} Gpt2Run;

// One process at a time trains in a directory (nn/run_directory.h).
// Errors: more ranks than windows in a micro-batch; the directory cannot be used, or another process uses it; its
// checkpoint is of another run (other options, data or base), gives other bits here (other_bits), or holds a value that
// no run writes; a loss or gradient that is not finite; a file cannot be written.
Status gpt2_run(Gpt2Run *r, Tape *t);

#endif
