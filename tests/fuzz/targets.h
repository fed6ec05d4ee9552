// What is fuzzed: the readers of foreign files, on bytes in memory.  A target returns when the reader accepts or
// refuses; any other end (crash, sanitizer, CHECK, time) is a finding.
//   make fuzz                    one libFuzzer program for each target, build/fuzz/<target>, and its seeds
//   make fuzz-run TARGET=json    runs it; RUNS=10000000
// `make test` replays the seeds, cut and damaged (tests/test_fuzz.c).
#ifndef LEAD_TESTS_FUZZ_TARGETS_H
#define LEAD_TESTS_FUZZ_TARGETS_H

#include "llm/bpe.h"

enum { FUZZ_VOCABULARIES = 3 };
typedef struct FuzzWorld {
    Arena *a, *scratch;                    // rewound by the caller after each input
    Bpe vocabulary[FUZZ_VOCABULARIES];     // that merges are read for
} FuzzWorld;
FuzzWorld fuzz_world(void);

// `data` has exactly `size` bytes: the address sanitizer sees the next one read.
typedef void FuzzTarget(FuzzWorld *w, const unsigned char *data, size_t size);
FuzzTarget fuzz_safetensors, fuzz_json, fuzz_vocab, fuzz_merges, fuzz_tokenizer, fuzz_config, fuzz_llmc;
FuzzTarget fuzz_xml, fuzz_gzip, fuzz_sndlib, fuzz_totem, fuzz_matrix_text, fuzz_repetita, fuzz_paragon;
FuzzTarget fuzz_npy, fuzz_npz, fuzz_table, fuzz_map, fuzz_topology, fuzz_record;

typedef void FuzzSeed(void *arg, const void *data, size_t size);
typedef struct FuzzKind {
    const char *name;
    FuzzTarget *target;
    void (*seeds)(FuzzWorld *w, FuzzSeed *put, void *arg);      // valid files and near misses, made by our own writers
} FuzzKind;

enum { FUZZ_KINDS = 20 };
const FuzzKind *fuzz_kinds(void);

#endif
