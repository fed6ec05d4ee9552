// NumPy .npz files: a zip of .npy arrays, stored or deflated (inflate of stb_image.h, deflate of stb_image_write.h).
// Refused by name: other methods, encryption, several disks, ZIP64 (members of 4 GiB and more).
#ifndef LEAD_IO_NPZ_H
#define LEAD_IO_NPZ_H

#include "io/npy.h"

typedef struct NpzMember {
    const char *name;            // without ".npy"
    const unsigned char *data;   // as it lies in the file
    size_t packed, size;
    uint32_t crc;
    bool deflated;
} NpzMember;

typedef struct NpzFile {
    const char *path;
    const unsigned char *end;    // of the file
    int n;
    NpzMember *member;           // [n], those whose name ends in .npy
} NpzFile;

// Reads the directory at the end of bytes[0..size).  Errors: none there, damaged, what is refused above; a member that
// claims more than deflate can make of its bytes.
Status npz_open(NpzFile *f, Arena *a, const void *bytes, size_t size, const char *path);
const NpzMember *npz_find(const NpzFile *f, const char *name);     // NULL: there is none
// Inflates one into the arena; v->data lies there, or in the file when it is stored.  Errors: damaged (CRC-32), longer
// or shorter than the directory says; those of npy_parse.
Status npz_read(NpyView *v, Arena *a, const NpzFile *f, const NpzMember *m);

// ---- writing: npz_begin, npz_put for each array, npz_end -----------------------------------------------------------

enum { NPZ_MOST = 16 };

typedef struct NpzWriter {
    FileWriter file;
    Arena *arena;
    uint64_t at;
    int n;
    struct NpzEntry { char name[64]; uint32_t crc; uint64_t packed, size, at; bool deflated; } entry[NPZ_MOST];
    Status error;
} NpzWriter;

// a: for the memory of npz_put, which gives it back.
Status npz_begin(NpzWriter *w, Arena *a, const char *path);
// Deflated where that saves anything and the array is below 256 MiB.  Errors are kept for npz_end.
void npz_put(NpzWriter *w, const char *name, const char *type, const int64_t *dims, int n_dims, const void *data,
             size_t bytes);
// Writes the directory and commits the file; after an error nothing is left of it.
Status npz_end(NpzWriter *w);

#endif
