// GPT-2's byte-level byte-pair encoding (Radford et al. 2019; Sennrich et al. 2016).
//   1. Text is cut into pieces by the expression
//        's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   2. A piece starts as one token per byte.  As long as two neighbours form a known pair, all occurrences of the pair
//      of lowest rank are merged, from left to right.
// Any bytes can be encoded and come back unchanged; a byte that is not valid UTF-8 counts as "other" in step 1.
// Files: encoder.json (or vocab.json) maps tokens to ids, vocab.bpe (or merges.txt) lists the pairs by rank.  In both,
// a byte is written as a printable character: itself where printable, else U+0100, U+0101, ... in order.
#ifndef LEAD_LLM_BPE_H
#define LEAD_LLM_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

typedef struct BpeMerge { int32_t left, right, result; } BpeMerge;    // ids
// A token that text cannot become by merging: its text is looked for before step 1.  left, right: white space before or
// behind it belongs to it.
typedef struct BpeAdded { const char *text; uint32_t len; int32_t id; bool left, right; } BpeAdded;
typedef struct BpePair { int32_t left, right, rank; } BpePair;        // slot of a hash table; rank < 0 = free

// Const after loading; all arrays live in the arena of the caller.
typedef struct Bpe {
    int32_t n_vocab, n_merge;  // ids 0 .. n_vocab-1; one that no token has is empty
    int32_t endoftext;         // id of <|endoftext|>, -1 when the vocabulary has none
    int32_t n_added;
    const BpeAdded *added;     // special and other added tokens, by first byte, long ones first; <|endoftext|> is one
    int32_t added_at[257];     // where those with each first byte begin
    bool prefix_space;         // a space is put before a text, and after an added token, unless one is there
    const char *note;          // one line for the user, what the files say that is not done; NULL = nothing
    int32_t byte_id[256];      // token of a single byte
    char *bytes;               // of all tokens, one after the other
    uint32_t *start;           // [n_vocab+1] token i is bytes[start[i] .. start[i+1])
    BpeMerge *merge;           // [n_merge] by rank
    int pair_bits, token_bits; // log2 of the table sizes
    BpePair *pairs;            // (left, right) -> rank
    int32_t *tokens;           // bytes -> id; -1 = free
} Bpe;

// Reads a vocabulary; scratch is rewound.  Errors: missing or damaged files; ids that are not 0..n-1, each once; a
// byte that has no token; a merge whose parts no earlier line makes, whose result is not a token, or that comes twice.
Status bpe_load(Bpe *b, Arena *a, Arena *scratch, const char *vocab_path, const char *merges_path);
// The same from text in memory; messages begin with a text's name.
typedef struct BpeText { const char *text; size_t size; const char *name; } BpeText;
Status bpe_parse(Bpe *b, Arena *a, Arena *scratch, BpeText vocab, BpeText merges);
// Its two halves; the second completes the b that the first has filled.  scratch is not rewound.
Status bpe_parse_vocab(Bpe *b, Arena *a, Arena *scratch, BpeText vocab);
Status bpe_parse_merges(Bpe *b, Arena *a, Arena *scratch, BpeText merges);
// The same from a directory: tokenizer.json (bpe_parse_tokenizer), else encoder.json or vocab.json, and vocab.bpe or
// merges.txt; dir may also be a tokenizer.json itself.  Added tokens are those of tokenizer.json, added_tokens.json,
// special_tokens_map.json and tokenizer_config.json.
Status bpe_load_dir(Bpe *b, Arena *a, Arena *scratch, const char *dir);
// A tokenizer.json of Hugging Face's tokenizers.  Errors, by name: a model, normaliser, pre-tokeniser or decoder that
// is not GPT-2's; an added token that is only found between words.  scratch is rewound.
Status bpe_parse_tokenizer(Bpe *b, Arena *a, Arena *scratch, BpeText file);
// Writes vocabulary and merges; scratch is rewound.
Status bpe_save(const Bpe *b, Arena *scratch, const char *vocab_path, const char *merges_path);

// Learns up to n_vocab - 257 merges from a text: the vocabulary is the 256 bytes, the merges, <|endoftext|>.  Each
// merge takes the most frequent pair, on a tie the one with the lowest ids, so the result depends on the text only.
// Learning stops early when no pair comes twice.  Time grows as distinct words x merges: meant for texts of a few MB
// and a few thousand merges.
// Errors: n_vocab < 257, text of more than 2^29 bytes.  scratch is rewound.
Status bpe_train(Bpe *b, Arena *a, Arena *scratch, const char *text, size_t n, int32_t n_vocab);

// ids[n_ids] of a text of n bytes, in the arena.  With special, the text of an added token ("<|endoftext|>") becomes
// that token, the longest where several begin; without, it is encoded like any other text.
// Error: more than 2^31 - 1 bytes.
Status bpe_encode(int32_t **ids, int64_t *n_ids, const Bpe *b, Arena *a, const char *text, size_t n, bool special);
// The bytes of n ids, followed by a NUL.  Error: an id that no token has.
Status bpe_decode(char **text, size_t *len, const Bpe *b, Arena *a, const int32_t *ids, int64_t n);

// Id of the token with exactly these bytes, -1 when there is none.
int32_t bpe_find(const Bpe *b, const char *bytes, size_t n);

// Length of the first piece (step 1) of a text of n > 0 bytes.
size_t bpe_piece(const char *text, size_t n);

#endif
