// Whole files: read into an arena, mapped read-only, or written whole or not at all.
// Every Status names the file, what was wanted and what was found.
#ifndef LEAD_IO_FILE_H
#define LEAD_IO_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "tensor/arena.h"
#include "tensor/status.h"

// The bytes of a mapped file.  Trap: if another process shortens the file, reading beyond its new end raises SIGBUS.
typedef struct FileMap {
    unsigned char *data;
    size_t size;             // > 0
} FileMap;

// Whether nothing of that name is there.  A name that cannot be looked up (no permission, a broken disk) is not absent:
// opening it will say what is wrong.
bool file_absent(const char *path);

// Where a file that comes with the program is.  path (data/..): itself, where the working directory has it, else beside
// the program: at ../path, ../../path, path or ../share/lead/path without data/, seen from the program's directory.
// path again when it is nowhere.
const char *file_bundled(const char *path, Arena *a);

// Reads a regular file of 1 .. max_bytes bytes into the arena; (*text)[*size] is a NUL that *size does not count.
// Errors: missing, directory, device or pipe, empty, larger than max_bytes, shortened while it was read.
Status file_read(char **text, size_t *size, Arena *a, const char *path, size_t max_bytes);

// Maps a regular, non-empty file.  The owner calls file_unmap, which may be called twice.  Writing to the mapped bytes
// changes a private copy of that page, never the file.  Errors: missing, directory, device or pipe, empty, no address
// space.
Status file_map(FileMap *m, const char *path);
void file_unmap(FileMap *m);

// An output file in the making.  Bytes go to a temporary file in the target's directory; file_commit renames it to the
// target in one step, so that a reader sees the old file or the new one, never a part.
// A symbolic link is followed.  A target that is a device or a pipe (/dev/stdout, /dev/full) is written directly; so is
// stdout, whose name is "-".  Of several ranks only the first writes: in the others what is put goes nowhere.
typedef struct FileWriter {
    FILE *f;                 // for fprintf; NULL when closed
    int saved_errno;         // of the first write that failed
    bool direct;             // target is a device or pipe: no temporary file, no rename
    char path[PATH_MAX];     // the target, links resolved
    char tmp[PATH_MAX + 32];
} FileWriter;

// The order of calls: file_open, file_put any number of times, then file_commit or file_abort.  When file_open,
// file_sync or file_commit returns an error, the writer is closed and leaves no file behind.
Status file_open(FileWriter *w, const char *path);
void file_put(FileWriter *w, const void *data, size_t bytes);   // file_sync and file_commit report its errors
// Flush and fsync: all that was put is on the disk, under the temporary name.  For two files that belong together: sync
// both, then commit both.
Status file_sync(FileWriter *w);
// file_sync, rename, fsync of the directory.  keep_previous: an existing target is kept as `path.prev`.  At no moment
// is there no file at path, or none at path.prev once there was one.
Status file_commit(FileWriter *w, bool keep_previous);
void file_abort(FileWriter *w);                                 // may be called on a closed writer

// A text in the making: what is printed to t->f.  Where there is no memory for it the arena gives up.
typedef struct TextWriter { FILE *f; char *text; size_t n; Arena *a; } TextWriter;
void text_open(TextWriter *t, Arena *a);
const char *text_close(TextWriter *t);   // the text, in the arena; t->n: its length

// Error: what file_open would refuse.  Leaves nothing behind, and what is at path as it was.
Status file_try(const char *path);
// file_open, file_put and file_commit in one call.
Status file_write(const char *path, const void *data, size_t bytes);

// Whether there is anything at path.  Error: that cannot be found out (EIO, EACCES): such a file is not absent.
Status file_exists(const char *path, bool *there);

// Makes a directory; an existing one is not an error.  directory_make_all makes missing parents as well.
Status directory_make(const char *path);
Status directory_make_all(const char *path);

#endif
