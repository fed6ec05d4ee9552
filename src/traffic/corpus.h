// The text that the bundled small GPT-2 is trained on: generated, deterministic, written by this project.  It consists
// of short documents about networks: daily cycles as numbers with their continuation, slot-by-slot reports, traffic
// matrices, utilisation, paths and their delay, prefixes, interface logs, forecasts and their errors, summaries, units,
// times of day, arithmetic, number sequences, incidents, glossary sentences.  Where a document says that a number
// follows from earlier ones, it does.
#ifndef LEAD_TRAFFIC_CORPUS_H
#define LEAD_TRAFFIC_CORPUS_H

#include <stddef.h>
#include <stdint.h>

// The parts draw from different random addresses, so they share no document, except that two short ones may happen to
// be equal.
typedef enum CorpusPart { CORPUS_TRAIN, CORPUS_HELD_OUT } CorpusPart;

// Document `index` as text: at most size - 1 bytes and a NUL; returns its length.
enum { CORPUS_DOCUMENT_MAX = 2048 };
size_t corpus_document(char text[CORPUS_DOCUMENT_MAX], uint64_t seed, CorpusPart part, uint64_t index);

#endif
