// NumPy .npy files (format 1.0, 2.0, 3.0; https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
// whole numbers and floats of every width, dates (datetime64), both byte orders, both memory orders, headers as
// Python 2 wrote them (20L).  The file must be exactly as long as its header says: the reader refuses a truncated file
// and one with bytes left over.
#ifndef LEAD_IO_NPY_H
#define LEAD_IO_NPY_H

#include <stdint.h>

#include "tensor/arena.h"
#include "io/file.h"
#include "tensor/status.h"

enum { NPY_MAX_DIMS = 8 };

// An array that lies in memory as its file has it.
typedef struct NpyView {
    char kind;                      // 'f' float, 'i' 'u' whole, 'M' datetime64, 'U' text of UTF-32, 'S' text of bytes
    int width;                      // bytes of an element
    bool big_endian;
    bool fortran;                   // the first index runs fastest
    double seconds;                 // kind M: one unit in seconds
    int n_dims;                     // 0: a single value
    int64_t dims[NPY_MAX_DIMS];
    int64_t count;                  // product of dims, > 0
    const unsigned char *data;      // count elements of width bytes, in no particular alignment
} NpyView;

// What the header at bytes[0..size) describes; nothing is copied.  Errors begin with `name`: no magic, unknown version,
// header larger than the file or than 64 KiB, header not understood, other dtype (its name is printed), zero or
// overflowing sizes, more or fewer bytes than the header says.
Status npy_parse(NpyView *v, const void *bytes, size_t size, const char *name);
// All elements in C order, rounded to float; a NaN stays one.  v is of kind f, i or u.
void npy_floats(float *out, const NpyView *v);
// Element i in the order of the file, as a double.  v is of kind f, i, u or M (in its unit; NaT is NaN).
double npy_number(const NpyView *v, int64_t i);
// The same as an integer; false when it is no whole number of 64 bits.
bool npy_integer(int64_t *out, const NpyView *v, int64_t i);

typedef struct NpyArray {
    char type[4];                   // "<f4", "<f8" or "<i8"
    int n_dims;
    int64_t dims[NPY_MAX_DIMS];
    int64_t count;                  // product of dims, > 0
    const void *data;               // count elements of `type`, in C order, in the arena, 64-byte aligned
} NpyArray;

// Reads the whole array into the arena: whole numbers of 64 bits and dates as "<i8", doubles as "<f8", every other type
// rounded to "<f4".  Errors: those of npy_parse; missing, not a regular file.
Status npy_read(NpyArray *out, Arena *a, const char *path);

// The header of an array of that type ("<f4", "<i8", "|u1", "<U12", ..), the data of which follow; returns its length.
enum { NPY_HEADER_MAX = 512 };
int npy_header(char header[NPY_HEADER_MAX], const char *type, const int64_t *dims, int n_dims);
// Puts a header and data (type "<f4" or "<i8", dims[n_dims]) into an open writer.
void npy_put(FileWriter *w, const char *type, const int64_t *dims, int n_dims, const void *data);
// The same as a file, written whole or not at all: temporary file beside it, fsync, rename.
Status npy_write(const char *path, const char *type, const int64_t *dims, int n_dims, const void *data);

#endif
