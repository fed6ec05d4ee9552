// Seeds of the fuzz targets: small valid files of every kind of content, and near misses.
#ifndef LEAD_TESTS_FUZZ_SEEDS_H
#define LEAD_TESTS_FUZZ_SEEDS_H

#include "tests/fuzz/targets.h"

void seeds_safetensors(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_json(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_vocab(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_merges(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_tokenizer(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_config(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_llmc(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_xml(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_npy(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_npz(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_table(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_map(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_topology(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_gzip(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_sndlib(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_totem(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_matrix_text(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_repetita(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_paragon(FuzzWorld *w, FuzzSeed *put, void *arg);
void seeds_record(FuzzWorld *w, FuzzSeed *put, void *arg);

void fuzz_put_texts(const char *const *text, size_t n, FuzzSeed *put, void *arg);

// encoder.json: the 256 bytes and some tokens; i < FUZZ_VOCABULARIES.
const char *fuzz_vocabulary(Arena *a, int i);

#endif
