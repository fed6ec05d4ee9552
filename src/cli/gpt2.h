// Code that the verbs of GPT-2 share: model, adapters, tokeniser, input text.
#ifndef LEAD_CLI_GPT2_H
#define LEAD_CLI_GPT2_H

#include "cli/cli.h"
#include "llm/bpe.h"
#include "llm/gpt2.h"

typedef struct ModelOptions { const char *llm, *adapter, *tokenizer, *weights; } ModelOptions;
#define MODEL_OPTIONS(S) \
    {"llm", OPT_TEXT, offsetof(S, model.llm), "DIR", \
     "config.json and model.safetensors, or a checkpoint of llm.c, FILE.bin [data/gpt2-small]", 0, 0}, \
    {"adapter", OPT_TEXT, offsetof(S, model.adapter), "DIR", \
     "LoRA or adapters to put on the model (lead gpt2 train)", 0, 0}, \
    {"tokenizer", OPT_TEXT, offsetof(S, model.tokenizer), "DIR", \
     "encoder.json or vocab.json, and vocab.bpe or merges.txt [those in the --llm DIR, else bytes]", 0, 0}, \
    {"llm-weights", OPT_TEXT, offsetof(S, model.weights), "TYPE", \
     "f32, or bf16 (projections and head rounded to 8 bits: half the memory, faster) [f32]", 0, 0}

typedef struct Model {
    ParamSet ps;
    Gpt2 *m;
    Gpt2Hook hook;               // of the adapters; all members NULL when there are none
    Bpe *bpe;                    // NULL: tokens are bytes
    Tape tape;                   // for inference
    double load_seconds;
} Model;

// Loads the model, its adapters and its vocabulary for inference.
Status model_open(Cli *cli, const ModelOptions *o, Model *m);
// Loads the vocabulary in `dir`.  With dir NULL it takes the one in the model's directory llm; if there is none,
// *b = NULL.
Status gpt2_tokenizer(Cli *cli, const char *dir, const char *llm, Bpe **b);
// Text to ids in cli->perm; "<|endoftext|>" becomes its token.  Without a vocabulary, bytes (end of text: 256).
Status text_to_ids(Cli *cli, const Bpe *b, const char *text, size_t n, int32_t **ids, int64_t *n_ids);
// Reads all bytes of a file, or of stdin when path is NULL or "-"; there may be none.
Status read_all(Arena *a, const char *path, char **text, size_t *n);
// Parses "1,2,3" or "1 2 3"; messages begin with `what`.
Status parse_ids(const char *text, const char *what, Arena *a, int32_t **ids, int64_t *n);

#endif
