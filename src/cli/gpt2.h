// Code that the verbs of GPT-2 share: model, adapters, tokeniser, input text.
#ifndef LEAD_CLI_GPT2_H
#define LEAD_CLI_GPT2_H

#include "cli/cli.h"
#include "llm/bpe.h"
#include "llm/gpt2.h"

typedef struct ModelOptions { const char *llm, *adapter, *tokenizer, *weights; } ModelOptions;
#define MODEL_OPTIONS(S) \
    {"llm", OPT_TEXT, offsetof(S, model.llm), "DIR", \
     "config.json and model.safetensors (or its shards), or a checkpoint of llm.c, FILE.bin [data/gpt2-small]", 0, 0}, \
    {"adapter", OPT_TEXT, offsetof(S, model.adapter), "DIR", \
     "LoRA or adapters to put on the model (lead gpt2 train)", 0, 0}, \
    {"tokenizer", OPT_TEXT, offsetof(S, model.tokenizer), "DIR", \
     "tokenizer.json, or vocab.json (encoder.json) and merges.txt (vocab.bpe) [those in the --llm DIR]", 0, 0}, \
    {"llm-weights", OPT_TEXT, offsetof(S, model.weights), "TYPE", \
     "f32, bf16 (projections and head rounded to 8 bits: half the memory, faster) or nf4 (projections rounded to 4 " \
     "bits) [f32]", 0, 0}

typedef struct Model {
    ParamSet ps;
    Gpt2 *m;
    Gpt2Hook hook;               // of the adapters; all members NULL when there are none
    Bpe *bpe;                    // NULL: none, tokens are bytes if the model has 256 or 257 of them
    Status no_bpe;               // why the tokeniser beside the model cannot be used, or OK
    Tape tape;                   // for inference
    double load_seconds;
} Model;

// Says how many bits a weight of the projections in NF4 takes.
void nf4_say(const Gpt2 *m);
// Loads the model, its adapters and its vocabulary for inference.
Status model_open(Cli *cli, const ModelOptions *o, Model *m);
// Loads the tokeniser in `dir`.  With dir NULL it takes the one in the model's directory llm; if there is none,
// *b = NULL.  *from (from may be NULL): where it was read, or NULL.
Status gpt2_tokenizer(Cli *cli, const char *dir, const char *llm, Bpe **b, const char **from);
// Whether text can be read for a model of n_vocab tokens: through b, or as bytes, which is then said.  Error: neither;
// no_bpe is the reason when it is not OK.
Status text_check(const Bpe *b, Status no_bpe, const char *llm, int64_t n_vocab);
// Whether every token that text can become is one of the model's; added tokens beyond them are said.
Status tokenizer_check(const Bpe *b, int64_t n_vocab);
// Text to ids in cli->perm; added tokens such as "<|endoftext|>" become themselves.  Bytes where text_check says so.
Status text_to_ids(Cli *cli, const Model *m, const char *llm, const char *text, size_t n, int32_t **ids,
                   int64_t *n_ids);
// Writes text to stdout; on a terminal, made safe to show but for line ends and tabs.
void print_text(const char *text, size_t n);
// Writes m to a directory, with the files beside its weights that its source `from` has: config.json, tokeniser, card.
Status gpt2_save_beside(Cli *cli, const Gpt2 *m, const char *from, const char *to, SafeType type);
// Reads all bytes of a file, or of stdin when path is NULL or "-"; there may be none.
Status read_all(Arena *a, const char *path, char **text, size_t *n);
// Parses "1,2,3" or "1 2 3"; messages begin with `what`.
Status parse_ids(const char *text, const char *what, Arena *a, int32_t **ids, int64_t *n);

#endif
