// SHA-256 (FIPS 180-4) of bytes, given in any number of pieces.
#ifndef LEAD_IO_SHA256_H
#define LEAD_IO_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct Sha256 {
    uint32_t h[8];
    uint64_t bytes;              // added so far
    unsigned char block[64];     // the first bytes % 64 wait for a full block
} Sha256;

typedef struct Sha256Hex { char s[65]; } Sha256Hex;   // 64 lower-case hex digits and a NUL

Sha256 sha256_new(void);
void sha256_add(Sha256 *s, const void *data, size_t n);
Sha256Hex sha256_hex(const Sha256 *s);                // of all bytes so far; more may be added to s afterwards
Sha256Hex sha256_hex_of(const void *data, size_t n);

#endif
