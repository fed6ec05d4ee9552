// NumPy .npy files (format 1.0, 2.0, 3.0; https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), as
// far as traffic data needs them: little-endian '<f4', '<f8' and '<i8', C order, regular files.  The file must be
// exactly as long as its header says: the reader refuses a truncated file and one with bytes left over.
#ifndef LEAD_IO_NPY_H
#define LEAD_IO_NPY_H

#include <stdint.h>

#include "tensor/arena.h"
#include "io/file.h"
#include "tensor/status.h"

enum { NPY_MAX_DIMS = 8 };

typedef struct NpyArray {
    char type[4];                   // "<f4", "<f8" or "<i8"
    int n_dims;
    int64_t dims[NPY_MAX_DIMS];
    int64_t count;                  // product of dims, > 0
    const void *data;               // count elements of `type`, in the arena, 64-byte aligned
} NpyArray;

// Reads the whole array into the arena.  Errors: missing, not a regular file, no magic, unknown version, header larger
// than the file or than 64 KiB, header not understood, other dtype, Fortran order, zero or overflowing sizes, a file
// longer or shorter than its header says.
Status npy_read(NpyArray *out, Arena *a, const char *path);

// Puts a header and data (type "<f4" or "<i8", dims[n_dims]) into an open writer.
void npy_put(FileWriter *w, const char *type, const int64_t *dims, int n_dims, const void *data);
// The same as a file, written whole or not at all: temporary file beside it, fsync, rename.
Status npy_write(const char *path, const char *type, const int64_t *dims, int n_dims, const void *data);

#endif
