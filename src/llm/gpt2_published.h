// The published hashes of GPT-2 124M (gpt2_hashes.inl), which tell whether a tensor's values are OpenAI's.
#ifndef LEAD_LLM_GPT2_PUBLISHED_H
#define LEAD_LLM_GPT2_PUBLISHED_H

#include "io/safetensors.h"
#include "io/sha256.h"

typedef enum Published {
    PUBLISHED_SAME,              // the hash is the published one
    PUBLISHED_TRANSPOSED,        // the hash is that of the published tensor's transpose
    PUBLISHED_OTHER,             // 124M has a tensor of that name, with other values
    PUBLISHED_UNKNOWN,           // 124M has no tensor of that name
} Published;

// Hashes t's values as they lie in the file, and compares the hash with the published one.  *again (again may be NULL):
// the published hash was also computed from another copy.  Names may begin with "transformer." or not.
Published gpt2_published(const SafeTensor *t, Sha256Hex *hash, bool *again);
// The name of the i-th published tensor, without "transformer."; NULL after the last.
const char *gpt2_published_name(int i);

#endif
