// What bpe_files.c takes from bpe.c; other callers read a tokeniser by the functions of bpe.h.
#ifndef LEAD_LLM_BPE_FILES_H
#define LEAD_LLM_BPE_FILES_H

#include "llm/bpe.h"
#include "io/json.h"

// Fills everything but the merges from the vocabulary {"token": id, ..} and the added tokens, whose text need not live
// on.  Errors: ids beyond the number of tokens, or twice; an added token with the id of another token; a byte without a
// token; a token without characters.  scratch is not rewound.
Status bpe_load_tokens(Bpe *b, Arena *a, Arena *scratch, const Json *root, const BpeAdded *added, int64_t n_added,
                       const char *path);

#endif
