// Token streams for training, read from a file:
//   llm.c's token file (github.com/karpathy/llm.c): 256 int32 of header {20240520, 1, count, 0 ...}, then count uint16,
//   little endian;
//   or text: through a BPE tokeniser, or as bytes (ids 0..255) when bpe is NULL.  "<|endoftext|>" in the text becomes
//   the end-of-text token (bytes: id 256, when n_vocab has it).
#ifndef LEAD_LLM_TOKENS_H
#define LEAD_LLM_TOKENS_H

#include "llm/bpe.h"
#include "llm/train.h"

// Checks that every id is below n_vocab.  The tokens live in a; scratch is rewound.
// Errors: a file that cannot be read or is not as long as its header says, an id out of range, a token file of another
// version, a file that is neither tokens nor text.
Status tokens_read(Tokens *out, Arena *a, Arena *scratch, const char *path, const Bpe *bpe, int64_t n_vocab);
// Whether path is a token file of llm.c, judged by its first four bytes; false when it cannot be read.
bool tokens_is_bin(const char *path);
// Error: n bytes that are no text: another kind of file, by name, or one with zero bytes or many control characters.
Status tokens_check_text(const unsigned char *p, size_t n, const char *path);
const char *tokens_hash(Tokens t, Arena *a);     // SHA-256 of the ids, as hex

#endif
