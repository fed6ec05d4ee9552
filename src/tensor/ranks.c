// One rank: what build/lead links.  build/lead-mpi links mpi/ranks_mpi.c in front of the library, so that this object
// is not taken from it.
#include "tensor/ranks.h"

int ranks_count(void) { return 1; }
int ranks_self(void) { return 0; }

void ranks_reduce(const Device *d, void *x, int64_t n, int64_t width, Arena *scratch)
{
    (void)d, (void)x, (void)n, (void)width, (void)scratch;
}

void ranks_gather(const Device *d, void *x, int64_t n, size_t bytes, Arena *scratch)
{
    (void)d, (void)x, (void)n, (void)bytes, (void)scratch;
}

void ranks_gather_first(const Device *d, void *x, int64_t n, size_t bytes, Arena *scratch)
{
    (void)d, (void)x, (void)n, (void)bytes, (void)scratch;
}

void ranks_sum(const Device *d, void *x, int64_t n, Arena *scratch) { (void)d, (void)x, (void)n, (void)scratch; }

double ranks_same(double x) { return x; }
bool ranks_any(bool x) { return x; }

Status ranks_check_alike(const void *bytes, size_t n, const char *what)
{
    (void)bytes, (void)n, (void)what;
    return OK;
}

Status ranks_agree(Status s) { return s; }
void ranks_alone(bool on) { (void)on; }
void ranks_begin(int *argc, char ***argv) { (void)argc, (void)argv; }
int ranks_end(int code) { return code; }
void ranks_abort(int code) { (void)code; }
