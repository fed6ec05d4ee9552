// The published hashes of GPT-2 124M: says of a tensor whether its values are OpenAI's.
#ifndef LEAD_LLM_GPT2_PUBLISHED_H
#define LEAD_LLM_GPT2_PUBLISHED_H

#include "io/safetensors.h"
#include "io/sha256.h"

typedef enum Published {
    PUBLISHED_SAME,              // the hash is the published one
    PUBLISHED_TRANSPOSED,        // that of the transpose
    PUBLISHED_OTHER,             // a tensor of 124M with other values
    PUBLISHED_UNKNOWN,           // no tensor of that name
} Published;

// The hash of t's values as they lie in the file, and what it says.  again (may be NULL): the published hash was
// computed again from another copy.  Names with or without "transformer.".
Published gpt2_published(const SafeTensor *t, Sha256Hex *hash, bool *again);
// Name of the i-th published tensor, without "transformer."; NULL behind the last.
const char *gpt2_published_name(int i);

#endif
