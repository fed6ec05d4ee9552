// sumsq: y = sum_i x_i^2 (for gradient clipping).   x any shape -> y [1]
//   Added in double: each chunk of CHUNK values in order, then the chunks in order, so that threads change no bit.
#include "tensor/ref.h"

enum { CHUNK = 65536 };

KERNEL(sumsq, fwd)
{
    const real *x = in_x(c, 0);
    const int64_t n = numel(c->in[0]), chunks = (n + CHUNK - 1) / CHUNK;
    double *part = arena_alloc(c->scratch, (size_t)chunks * sizeof *part);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t k = 0; k < chunks; k++) {
        const int64_t end = (k + 1) * CHUNK < n ? (k + 1) * CHUNK : n;
        double sum = 0;
        for (int64_t i = k * CHUNK; i < end; i++) sum += (double)x[i] * (double)x[i];
        part[k] = sum;
    }
    double sum = 0;
    for (int64_t k = 0; k < chunks; k++) sum += part[k];
    out_x(c, 0)[0] = (real)sum;
}
