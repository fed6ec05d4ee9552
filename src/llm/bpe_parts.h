// What the files bpe*.c share; other callers use a tokeniser by the functions of bpe.h.
#ifndef LEAD_LLM_BPE_PARTS_H
#define LEAD_LLM_BPE_PARTS_H

#include "llm/bpe.h"
#include "io/json.h"

#define BPE_ENDOFTEXT "<|endoftext|>"

// Hash tables with open addressing, at most half full: 2^bits slots for n entries.
int bpe_table_bits(size_t n);
uint64_t bpe_hash(const char *s, size_t n);
// A table of pairs, and the slot of one: its own, or the free one where it belongs.
BpePair *bpe_pairs_new(Arena *a, int bits);
BpePair *bpe_pair_slot(BpePair *pairs, int bits, int32_t left, int32_t right);
// The table of b's tokens by their bytes, for at most n_max of them; enters token id.
void bpe_tokens_new(Bpe *b, Arena *a, int32_t n_max);
void bpe_token_add(Bpe *b, int32_t id);
// Whether a vocabulary writes the byte as itself.
bool bpe_byte_is_printable(uint32_t byte);
// Sets b->added, b->added_at and b->endoftext: these tokens and <|endoftext|>, if there is one.
void bpe_added_index(Bpe *b, Arena *a, const BpeAdded *added, int64_t n);

// Fills everything but the merges from the vocabulary {"token": id, ..} and the added tokens, whose text need not live
// on.  Errors: ids beyond the number of tokens, or twice; an added token with the id of another token; a byte without a
// token; a token without characters.  scratch is not rewound.
Status bpe_load_tokens(Bpe *b, Arena *a, Arena *scratch, const Json *root, const BpeAdded *added, int64_t n_added,
                       const char *path);

#endif
