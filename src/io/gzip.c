#include "io/gzip.h"

#include <string.h>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_ZLIB
#define STBI_SUPPORT_ZLIB
#define STBI_NO_STDIO
#pragma GCC diagnostic ignored "-Wunused-function"    // STBI_ONLY_ZLIB leaves out most of what is declared
#include <stb/stb_image.h>

enum { TEXT = 1, HEADER_CRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16, TRAILER = 8 };

uint32_t crc32_of(const void *bytes, size_t n) { return crc32_more(0, bytes, n); }

uint32_t crc32_more(uint32_t before, const void *bytes, size_t n)
{
    uint32_t table[256], crc = ~before;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++) table[i] = table[i] & 1 ? 0xEDB88320 ^ table[i] >> 1 : table[i] >> 1;
    }
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) crc = table[(crc ^ p[i]) & 0xFF] ^ crc >> 8;
    return ~crc;
}

static uint32_t little_endian(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// stb's own buffer, since its calls do not say where the stream ended.
InflateResult inflate_raw(unsigned char *out, size_t cap, size_t *written, const unsigned char *in, size_t n,
                          size_t *used)
{
    stbi__zbuf z = {.zbuffer = (stbi_uc *)in, .zbuffer_end = (stbi_uc *)in + n, .zout_start = (char *)out,
                    .zout = (char *)out, .zout_end = (char *)out + cap};
    if (!stbi__parse_zlib(&z, 0)) {
        const char *why = stbi_failure_reason();
        return why && !strcmp(why, "output buffer limit") ? INFLATE_FULL : INFLATE_DAMAGED;
    }
    *written = (size_t)(z.zout - z.zout_start);
    const size_t taken = (size_t)(z.zbuffer - in), ahead = (size_t)z.num_bits / 8;   // bytes read but not needed
    if (z.num_bits < 0 || ahead > taken) return INFLATE_DAMAGED;
    *used = taken - ahead;
    return INFLATE_OK;
}

bool gzip_is(const void *bytes, size_t n)
{
    return n >= 3 && !memcmp(bytes, "\x1f\x8b\x08", 3);
}

// *at goes behind the NUL that ends a name or comment; false when there is none.
static bool skip_string(const unsigned char *p, size_t n, size_t *at)
{
    const unsigned char *end = *at < n ? memchr(p + *at, 0, n - *at) : NULL;
    if (end) *at = (size_t)(end - p) + 1;
    return end != NULL;
}

// Length of the header at p, of which n bytes are left.
static Status read_header(size_t *length, const unsigned char *p, size_t n, const char *name)
{
    if (!gzip_is(p, n) || n < 10) return ERROR("%s: want a gzip header, got other bytes or too few", name);
    if (p[3] & ~(TEXT | HEADER_CRC | EXTRA | NAME | COMMENT))
        return ERROR("%s: want known flags in the gzip header, got 0x%02x", name, p[3]);
    size_t at = 10;
    if (p[3] & EXTRA) at += n < at + 2 ? n : 2 + (size_t)(p[at] | p[at + 1] << 8);
    const bool strings = (!(p[3] & NAME) || skip_string(p, n, &at)) && (!(p[3] & COMMENT) || skip_string(p, n, &at));
    const size_t crc = p[3] & HEADER_CRC ? 2 : 0;
    if (!strings || at + crc > n) return ERROR("%s: the gzip header is cut short", name);
    if (crc && (crc32_of(p, at) & 0xFFFF) != (uint32_t)(p[at] | p[at + 1] << 8))
        return ERROR("%s: the gzip header does not match its checksum", name);
    *length = at + crc;
    return OK;
}

typedef struct Output { unsigned char *x; size_t n, cap, max; } Output;

static void grow(Output *o, Arena *a)
{
    Output more = *o;
    more.cap = o->cap > o->max / 2 ? o->max : 2 * o->cap;
    more.x = arena_alloc(a, more.cap + 1);
    memcpy(more.x, o->x, o->n);
    memory_unused(o->x, o->cap);
    *o = more;
}

static Status read_member(Output *o, Arena *a, const unsigned char *p, size_t n, size_t *used, const char *name)
{
    size_t head = 0, stream = 0, written = 0;
    TRY(read_header(&head, p, n, name));
    for (InflateResult r; ; grow(o, a)) {
        r = inflate_raw(o->x + o->n, o->cap - o->n, &written, p + head, n - head, &stream);
        if (r == INFLATE_OK) break;
        if (r == INFLATE_DAMAGED) return ERROR("%s: the gzip stream is damaged or cut short", name);
        if (o->cap == o->max)
            return ERROR("%s: want at most %zu bytes after decompression, got more", name, o->max);
    }
    const unsigned char *trailer = p + head + stream;
    if (n - head - stream < TRAILER) return ERROR("%s: the gzip file ends before its checksum", name);
    const uint32_t crc = crc32_of(o->x + o->n, written);
    if (crc != little_endian(trailer))
        return ERROR("%s: want CRC-32 %08x, got %08x: the gzip file is damaged", name, little_endian(trailer), crc);
    if ((uint32_t)written != little_endian(trailer + 4))
        return ERROR("%s: want %u bytes after decompression, got %zu", name, little_endian(trailer + 4), written);
    o->n += written;
    *used = head + stream + TRAILER;
    return OK;
}

// A first guess at the size: what the end of the file claims, within what deflate can make of n bytes (1032 of each).
static size_t first_capacity(const unsigned char *p, size_t n, size_t max)
{
    size_t cap = n >= 4 ? little_endian(p + n - 4) : 0;
    if (cap > 1032 * n) cap = 1032 * n;
    if (cap < 256) cap = 256;
    return cap < max ? cap : max;
}

Status gzip_inflate(char **out, size_t *size, Arena *a, const void *bytes, size_t n, size_t max_bytes,
                    const char *name)
{
    const unsigned char *p = bytes;
    Output o = {.cap = first_capacity(p, n, max_bytes), .max = max_bytes};
    o.x = arena_alloc(a, o.cap + 1);
    for (size_t at = 0, used = 0; at < n; at += used) {
        while (at && at < n && !p[at]) at++;    // padding
        if (at == n) break;
        TRY(read_member(&o, a, p + at, n - at, &used, name));
    }
    if (!n) return ERROR("%s: want a gzip file, got no bytes", name);
    o.x[o.n] = 0;
    *out = (char *)o.x;
    *size = o.n;
    return OK;
}
