// What this machine can do at most, measured in milliseconds: the rate of fused multiply-adds by instruction set and
// the bandwidth of each level of memory.  Yardstick of `lead train --profile` and of bench/.  x86-64; elsewhere NaN.
#ifndef LEAD_TENSOR_CEILING_H
#define LEAD_TENSOR_CEILING_H

#include "tensor/arena.h"
#include "tensor/device.h"

typedef enum MemoryLevel { MEMORY_L1, MEMORY_L2, MEMORY_L3, MEMORY_DRAM, MEMORY_LEVELS } MemoryLevel;
typedef enum MemoryAccess {
    ACCESS_READ,               // a[i]
    ACCESS_TRIAD,              // a[i] = b[i] + s c[i]: 12 bytes counted, the line read before it is written is not
    ACCESS_TRIAD_STREAM,       // the same with stores that pass the caches by
    ACCESS_UPDATE,             // a[i] = b[i] + s a[i]: 12 bytes too, nothing hidden
    MEMORY_ACCESSES
} MemoryAccess;

typedef struct Ceiling {
    Isa isa;                   // that bandwidths were measured with
    int threads;
    double gflops[ISA_COUNT];  // of all threads together; scalar: 4-lane multiplications and additions (SSE2)
    size_t size[MEMORY_LEVELS];                      // bytes that fit a level: of one core for L1 and L2, DRAM: 0
    double gbps[MEMORY_LEVELS][MEMORY_ACCESSES];     // of all threads together
} Ceiling;

const char *memory_level_name(MemoryLevel m);

// Of n values, which are sorted in place.  What every table of times shows.
double ceiling_median(double *v, int n);

// GFLOP/s of all threads.  A run takes about a millisecond.
double ceiling_fma(Isa isa, int threads);
// Median of `reps` rounds for everything; memory of the DRAM arrays (3 x 64 MiB) comes from scratch and is given back.
Ceiling ceiling_measure(Isa isa, int threads, int reps, Arena *scratch);

// The roofline: shortest time of that much work, s.  `bytes` decides the level; `written` of them are written, and
// where that is a fifth or more the best bandwidth with writing counts, else that of reading.  in_place: what is
// written was read (ACCESS_UPDATE); elsewhere the cache reads each line before it is written, or the store passes it
// by.
double ceiling_seconds(const Ceiling *c, Isa isa, double flops, double bytes, double written, bool in_place);
// The level that `bytes` fit, all threads together.
MemoryLevel ceiling_level(const Ceiling *c, double bytes);

#endif
