// Ranks: the processes of one run, started together by mpirun (docs/parallel.md).  Each holds the whole model and takes
// a part of the work; numbers that they all need are exchanged here and nowhere else.  build/lead has one rank and
// links ranks.c, where every call but ranks_part does nothing; build/lead-mpi links mpi/ranks_mpi.c in its place.
// All ranks make the same calls in the same order, so what decides which calls are made (time, a signal, a file that
// could not be written) comes from ranks_same, ranks_any or ranks_agree.
#ifndef LEAD_TENSOR_RANKS_H
#define LEAD_TENSOR_RANKS_H

#include "tensor/device.h"

int ranks_count(void);          // R >= 1
int ranks_self(void);           // 0 .. R-1
static inline bool ranks_first(void) { return ranks_self() == 0; }   // the one that writes files and talks

// begin .. begin + n of `of` rows.  Parts differ by at most one row; with fewer rows than ranks some are empty.
typedef struct RowPart { int64_t begin, n, of; } RowPart;
static inline RowPart row_part(int64_t of, int part, int parts)
{
    const int64_t begin = of / parts * part + (part < of % parts ? part : of % parts);
    return (RowPart){begin, of / parts + (part < of % parts), of};
}
static inline RowPart ranks_part(int64_t of) { return row_part(of, ranks_self(), ranks_count()); }

// x: n rows of `width` real numbers of device d.  Afterwards this rank's part of the rows (ranks_part(n)) is the sum
// over all ranks, added in the order of ranks: the same bits for the same number of ranks, whatever the network does.
// The rest: undefined.
void ranks_reduce(const Device *d, void *x, int64_t n, int64_t width, Arena *scratch);
// x: n rows of `bytes` bytes each, of which each rank has computed its part.  Afterwards all ranks hold all.
void ranks_gather(const Device *d, void *x, int64_t n, size_t bytes, Arena *scratch);
// The same, but rank 0 alone holds all afterwards: the others' memory is not touched.
void ranks_gather_first(const Device *d, void *x, int64_t n, size_t bytes, Arena *scratch);
// x: n real numbers.  They become their sums over all ranks, in that order, with the same bits on every rank.
void ranks_sum(const Device *d, void *x, int64_t n, Arena *scratch);

double ranks_same(double x);    // rank 0's
bool ranks_any(bool x);         // whether it is true on one of them
// Of n bytes, which all ranks must hold alike.  Error: the ones of this and of rank 0 differ; what: names them.
Status ranks_check_alike(const void *bytes, size_t n, const char *what);
// The error of the first rank that has one, on all ranks; waits for all of them.
Status ranks_agree(Status s);

// While on, this process is its only rank: it works on something of its own and writes it.
void ranks_alone(bool on);

// Called first and last by main.  Ranks other than 0 say nothing between them.  ranks_end returns the process's exit
// status.  A rank that failed while others go on says so and ends them all.
void ranks_begin(int *argc, char ***argv);
int ranks_end(int code);
// This rank ends at once, and the others with it; its last words, on stderr, are said.
void ranks_abort(int code);

#endif
