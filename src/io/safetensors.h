// safetensors: named arrays in one file.  Format and checks follow https://github.com/huggingface/safetensors:
//   8 bytes    length N of the header, little endian, N <= 100,000,000 and within the file
//   N bytes    JSON {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [begin, end]}, ...,
//              "__metadata__": {"key": "string", ...}}, begins with '{', may end in spaces
//   the rest   the values, little endian, row-major; the tensors tile it from 0 to its end: no gap, no overlap
// The reader maps the file and copies no values until asked.  Values may begin at any byte, aligned or not: read them
// with safetensors_read_*.  The file must not be shortened while it is open (see file.h).
#ifndef LEAD_IO_SAFETENSORS_H
#define LEAD_IO_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/bf16.h"
#include "io/file.h"
#include "io/sha256.h"
#include "tensor/arena.h"
#include "tensor/status.h"

// The types that can be read and written, in the order of the format (the writer sorts by it, largest first).
// A file that holds another type of the format (F8_E4M3, C64, ...) is refused by name.
typedef enum SafeType {
    SAFE_BOOL, SAFE_U8, SAFE_I8, SAFE_I16, SAFE_U16, SAFE_F16, SAFE_BF16,
    SAFE_I32, SAFE_U32, SAFE_F32, SAFE_F64, SAFE_I64, SAFE_U64, SAFE_TYPE_COUNT
} SafeType;

const char *safetensors_type_name(SafeType t);
size_t safetensors_type_size(SafeType t);       // bytes of a value

typedef struct SafeTensor {
    const char *name;
    SafeType type;
    int n_dim;                   // 0 = a scalar, count 1
    const int64_t *shape;
    int64_t count;               // values; filled by the reader, ignored by the writer
    const void *data;            // count values; when read: inside the mapped file, at any alignment
} SafeTensor;

typedef struct SafeMeta { const char *key, *value; } SafeMeta;

typedef struct SafeFile {
    const char *path;
    FileMap map;                 // empty after safetensors_parse
    int64_t n_tensor, n_meta;
    const SafeTensor *tensor;    // sorted by name
    const SafeMeta *meta;        // in the order of the file
    const char *note;            // what its reader should hear about it, one line, or NULL (nn/checkpoint.h)
} SafeFile;

// Opens and checks a file; names, shapes and metadata live in the arena, values in the mapping.  Errors: those of
// file_map; a header or data that break the rules above.  After an error nothing is open.  safetensors_close may be
// called twice.
Status safetensors_open(SafeFile *f, Arena *a, const char *path);
void safetensors_close(SafeFile *f);
// The same from `size` bytes in memory, into which the tensors point; messages begin with `name`.
Status safetensors_parse(SafeFile *f, Arena *a, const void *bytes, size_t size, const char *name);

const SafeTensor *safetensors_find(const SafeFile *f, const char *name);    // NULL when missing
const char *safetensors_meta(const SafeFile *f, const char *key);           // NULL when missing

// The tensor of that name and shape, or "wte: want [50257,768], got [50257,1024] in model.safetensors".
// A dimension of -1 in shape accepts any.
Status safetensors_get(const SafeTensor **out, const SafeFile *f, const char *name, int n_dim, const int64_t *shape);

// Copies all values to out[t->count].  Every type can be read as f64 and as f32 (rounded to nearest even; F16 and BF16
// are exact, 64-bit integers beyond 2^53 are rounded to f64 first).  Only integer types and BOOL can be read as i64;
// errors: another type, a U64 value beyond 2^63 - 1.
void safetensors_read_f32(float *out, const SafeTensor *t);
void safetensors_read_f64(double *out, const SafeTensor *t);
Status safetensors_read_i64(int64_t *out, const SafeTensor *t);

// Writes a file whole or not at all, byte for byte as the reference implementation does: tensors sorted by type
// (largest first) and name, metadata first in the header (sorted by key), header padded with spaces to a multiple of 8.
// keep_previous: an existing file is kept as `path.prev`.  scratch is rewound.
// Errors: a name or key that comes twice, is "__metadata__" or is not UTF-8; the file cannot be written.
Status safetensors_write(const char *path, const SafeTensor *tensor, int64_t n_tensor, const SafeMeta *meta,
                         int64_t n_meta, bool keep_previous, Arena *scratch);

// Error: a key or value that safetensors_write would refuse, after `path`.
Status safetensors_check_meta(const SafeMeta *meta, int64_t n_meta, const char *path);

// SHA-256 of what a file says, whatever its layout: names, types, shapes and values of the tensors and all metadata but
// the key `but`, each in the order of names.  scratch is rewound.
Sha256Hex safetensors_digest(const SafeTensor *tensor, int64_t n_tensor, const SafeMeta *meta, int64_t n_meta,
                             const char *but, Arena *scratch);

// The exact value of an IEEE binary16.  For bfloat16 see tensor/bf16.h.
float f16_to_f32(uint16_t h);

#endif
