// The text that the bundled small GPT-2 is trained on: generated, deterministic, written by this project.  Short
// documents about networks: daily cycles as numbers with their continuation, slot-by-slot reports, statements about
// time of day, arithmetic, comparisons, number sequences, incidents, glossary sentences.  Bytes, and one end-of-text token.
#ifndef LEAD_LLM_CORPUS_H
#define LEAD_LLM_CORPUS_H

#include <stddef.h>
#include <stdint.h>

enum { CORPUS_END = 256, CORPUS_VOCAB = 257 };

// Parts draw from different random addresses: no document of one is in another, save for short ones by chance.
typedef enum CorpusPart { CORPUS_TRAIN, CORPUS_HELD_OUT } CorpusPart;

// Fills token[0..n) with documents 0, 1, 2, ... of the part, each followed by CORPUS_END; the last may be cut.
// The values depend on (seed, part) only, so a longer call begins with a shorter one's tokens.
void corpus_generate(int32_t *token, int64_t n, uint64_t seed, CorpusPart part);

// Document `index` as text: at most size - 1 bytes and a NUL; returns its length.
enum { CORPUS_DOCUMENT_MAX = 2048 };
size_t corpus_document(char text[CORPUS_DOCUMENT_MAX], uint64_t seed, CorpusPart part, uint64_t index);

#endif
