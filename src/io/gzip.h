// gzip files (RFC 1952), decompressed in memory: header and CRC-32 are ours, the inflate is that of stb_image.h.
#ifndef LEAD_IO_GZIP_H
#define LEAD_IO_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

// Whether the bytes begin as a gzip file does.
bool gzip_is(const void *bytes, size_t n);

// The content of all members, one after the other, in the arena; (*out)[*size] is a NUL that *size does not count.
// Zero bytes after the last member are padding.  Errors: not gzip, an unknown flag, a damaged header or stream, a
// CRC-32 or length that does not match, a file cut short, other bytes after the last member, more than max_bytes.
Status gzip_inflate(char **out, size_t *size, Arena *a, const void *bytes, size_t n, size_t max_bytes,
                    const char *name);

typedef enum InflateResult { INFLATE_OK, INFLATE_DAMAGED, INFLATE_FULL } InflateResult;

// One deflate stream (RFC 1951) at the start of in[n] to out[cap]: how many bytes were written, how many were used.
// At least one byte must follow the stream in `in` (a checksum does).  INFLATE_FULL: cap is too small.
InflateResult inflate_raw(unsigned char *out, size_t cap, size_t *written, const unsigned char *in, size_t n,
                          size_t *used);

uint32_t crc32_of(const void *bytes, size_t n);   // as gzip, zip and PNG have it
// That of the bytes behind others, whose own is `before`.
uint32_t crc32_more(uint32_t before, const void *bytes, size_t n);

#endif
