// What the gpt2 verbs share.
#ifndef LEAD_CLI_GPT2_H
#define LEAD_CLI_GPT2_H

#include "cli/cli.h"
#include "llm/bpe.h"

// The tokeniser in `dir`, or when dir is NULL the one beside the model in `llm` (may be NULL), or *b = NULL: bytes.
Status gpt2_tokenizer(Cli *cli, const char *dir, const char *llm, Bpe **b);

#endif
