#include "io/npz.h"

#include <stdlib.h>
#include <string.h>

#include "io/gzip.h"
#include "io/stb.h"

enum {
    LOCAL_SIZE = 30, ENTRY_SIZE = 46, END_SIZE = 22, MAX_COMMENT = 65535, STORED = 0, DEFLATED = 8, ENCRYPTED = 1,
    MAX_MEMBERS = 4096, DEFLATE_MOST = 1032      // times its input that deflate can make
};
static const uint32_t LOCAL = 0x04034b50, ENTRY = 0x02014b50, END = 0x06054b50, ZIP64 = 0xFFFFFFFF;

static uint32_t u16(const unsigned char *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t u32(const unsigned char *p) { return u16(p) | u16(p + 2) << 16; }

// ---- reading -------------------------------------------------------------------------------------------------------

static const unsigned char *find_end(const unsigned char *bytes, size_t size)
{
    for (size_t back = END_SIZE; back <= size && back <= END_SIZE + MAX_COMMENT; back++) {
        const unsigned char *p = bytes + size - back;
        if (u32(p) == END && u16(p + 20) + END_SIZE <= back) return p;
    }
    return NULL;
}

// One entry of the directory at p.
static Status read_entry(NpzMember *m, Arena *a, const unsigned char *bytes, size_t size, const unsigned char *p,
                         const char *path)
{
    const uint32_t method = u16(p + 10), name = u16(p + 28);
    const uint64_t packed = u32(p + 20), whole = u32(p + 24), at = u32(p + 42);
    *m = (NpzMember){.name = arena_printf(a, "%.*s", (int)name, (const char *)p + ENTRY_SIZE), .crc = u32(p + 16),
                     .packed = packed, .size = whole, .deflated = method == DEFLATED};
    if (packed == ZIP64 || whole == ZIP64 || at == ZIP64)
        return ERROR("%s: %.60s: want members below 4 GiB, got ZIP64: save it as .npy", path, m->name);
    if (method != STORED && method != DEFLATED)
        return ERROR("%s: %.60s: want members stored or deflated, got method %u", path, m->name, method);
    if (u16(p + 8) & ENCRYPTED) return ERROR("%s: %.60s: want no encryption", path, m->name);
    if (at + LOCAL_SIZE > size || u32(bytes + at) != LOCAL)
        return ERROR("%s: %.60s: damaged: no member where the directory says", path, m->name);
    const uint64_t data = at + LOCAL_SIZE + u16(bytes + at + 26) + u16(bytes + at + 28);
    if (data + packed > size) return ERROR("%s: %.60s: truncated", path, m->name);
    if (m->deflated ? whole > packed * DEFLATE_MOST + 1024 : whole != packed)
        return ERROR("%s: %.60s: damaged: %llu bytes cannot hold %llu", path, m->name, (unsigned long long)packed,
                     (unsigned long long)whole);
    m->data = bytes + data;
    return OK;
}

Status npz_open(NpzFile *f, Arena *a, const void *bytes, size_t size, const char *path)
{
    const unsigned char *b = bytes, *end = find_end(b, size);
    *f = (NpzFile){.path = path, .end = b + size};
    if (!end) return ERROR("%s: want a zip file (.npz), found no directory at its end", path);
    const uint32_t n = u16(end + 10), at = u32(end + 16);
    if (u16(end + 4) || u16(end + 8) != n) return ERROR("%s: want a zip file of one disk", path);
    if (n == 0xFFFF || at == ZIP64) return ERROR("%s: want members below 4 GiB, got ZIP64: save it as .npy", path);
    if (n > MAX_MEMBERS) return ERROR("%s: want at most %d members, got %u", path, MAX_MEMBERS, n);
    f->member = arena_alloc(a, (n + 1) * sizeof *f->member);
    const unsigned char *p = at <= size ? b + at : end;
    for (uint32_t i = 0; i < n; i++) {
        if (end - p < ENTRY_SIZE || u32(p) != ENTRY) return ERROR("%s: the zip directory is damaged", path);
        const size_t length = ENTRY_SIZE + u16(p + 28) + u16(p + 30) + u16(p + 32);
        if ((size_t)(end - p) < length) return ERROR("%s: the zip directory is damaged", path);
        NpzMember *m = &f->member[f->n];
        TRY(read_entry(m, a, b, size, p, path));
        const size_t name = strlen(m->name);
        p += length;
        if (name < 5 || strcmp(m->name + name - 4, ".npy")) continue;
        m->name = arena_printf(a, "%.*s", (int)name - 4, m->name);
        f->n++;
    }
    return f->n ? OK : ERROR("%s: want arrays (members NAME.npy), found none", path);
}

const NpzMember *npz_find(const NpzFile *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->member[i].name, name)) return &f->member[i];
    return NULL;
}

Status npz_read(NpyView *v, Arena *a, const NpzFile *f, const NpzMember *m)
{
    const char *name = arena_printf(a, "%s: %.60s", f->path, m->name);
    const unsigned char *data = m->data;
    if (m->deflated) {
        unsigned char *out = arena_alloc(a, m->size + 1);
        size_t written = 0, used = 0;
        // stb reads up to two bytes ahead of what it needs, and finds the stream damaged where they are missing
        const size_t behind = (size_t)(f->end - (m->data + m->packed)), n = m->packed + (behind < 2 ? behind : 2);
        const InflateResult r = inflate_raw(out, m->size, &written, m->data, n, &used);
        if (r == INFLATE_FULL || (r == INFLATE_OK && written != m->size))
            return ERROR("%s: damaged: want %zu bytes, got %s", name, m->size, r == INFLATE_OK ? "fewer" : "more");
        if (r != INFLATE_OK) return ERROR("%s: the deflate stream is damaged", name);
        data = out;
    }
    const uint32_t crc = crc32_of(data, m->size);
    if (crc != m->crc) return ERROR("%s: damaged: want CRC-32 %08x, got %08x", name, m->crc, crc);
    return npy_parse(v, data, m->size, name);
}

// ---- writing -------------------------------------------------------------------------------------------------------

static void put16(unsigned char *p, uint64_t v) { p[0] = (unsigned char)v, p[1] = (unsigned char)(v >> 8); }
static void put32(unsigned char *p, uint64_t v) { put16(p, v), put16(p + 2, v >> 16); }

Status npz_begin(NpzWriter *w, Arena *a, const char *path)
{
    *w = (NpzWriter){.n = 0, .arena = a, .error = OK};
    return file_open(&w->file, path);
}

static void put(NpzWriter *w, const void *data, size_t bytes)
{
    file_put(&w->file, data, bytes);
    w->at += bytes;
}

// The fields that the local header (from byte 4) and the entry of the directory (from byte 6) share.
static void put_fields(unsigned char *p, const struct NpzEntry *e)
{
    put16(p, 20);                                         // version 2.0
    put16(p + 4, e->deflated ? DEFLATED : STORED);
    put16(p + 8, 1 << 5 | 1);                             // 1980-01-01: the same series gives the same file
    put32(p + 10, e->crc);
    put32(p + 14, e->packed);
    put32(p + 18, e->size);
    put16(p + 22, strlen(e->name));
}

// Whether a piece from the middle shrinks to four fifths: noise is stored as it is, and takes no memory besides.
static bool shrinks(const unsigned char *data, size_t bytes, Arena *a)
{
    enum { PIECE = 1 << 20 };
    if (bytes <= 2 * PIECE) return true;
    const size_t mark = arena_mark(a);
    size_t length;
    stb_zlib(data + bytes / 2, PIECE, &length, a);
    arena_rewind(a, mark);
    return length < PIECE / 5 * 4;
}

void npz_put(NpzWriter *w, const char *name, const char *type, const int64_t *dims, int n_dims, const void *data,
             size_t bytes)
{
    enum { DEFLATE_BELOW = 256 << 20, ZLIB_HEAD = 2, ZLIB_TAIL = 4 };
    char header[NPY_HEADER_MAX];
    const size_t head = (size_t)npy_header(header, type, dims, n_dims);
    CHECK(w->n < NPZ_MOST, "npz_put: more than %d arrays", NPZ_MOST);
    struct NpzEntry *e = &w->entry[w->n++];
    *e = (struct NpzEntry){.size = head + bytes, .at = w->at};
    snprintf(e->name, sizeof e->name, "%s.npy", name);
    e->crc = crc32_more(crc32_of(header, head), data, bytes);
    const size_t mark = arena_mark(w->arena);
    size_t length = 0;
    const bool deflate = bytes && bytes < DEFLATE_BELOW && shrinks(data, bytes, w->arena);
    const unsigned char *zlib = deflate ? stb_zlib(data, bytes, &length, w->arena) : NULL;
    // The header goes into a stored block, which ends on a byte; the stream that zlib's wrapping is taken off follows.
    unsigned char block[5] = {0};
    put16(block + 1, head);
    put16(block + 3, ~head);
    const size_t stream = zlib ? length - ZLIB_HEAD - ZLIB_TAIL : 0;
    e->deflated = zlib && sizeof block + head + stream < e->size;
    e->packed = e->deflated ? sizeof block + head + stream : e->size;
    if (e->size >= ZIP64 || e->at + e->packed >= ZIP64)
        w->error = ERROR("%s: %s: want less than 4 GiB in a .npz, got %llu bytes: write a .npy", w->file.path, name,
                         (unsigned long long)e->size);
    unsigned char local[LOCAL_SIZE] = {0};
    put32(local, LOCAL);
    put_fields(local + 4, e);
    put(w, local, sizeof local);
    put(w, e->name, strlen(e->name));
    if (e->deflated) put(w, block, sizeof block);
    put(w, header, head);
    if (e->deflated) put(w, zlib + ZLIB_HEAD, stream);
    else put(w, data, bytes);
    arena_rewind(w->arena, mark);
}

Status npz_end(NpzWriter *w)
{
    const uint64_t from = w->at;
    for (int i = 0; i < w->n; i++) {
        unsigned char entry[ENTRY_SIZE] = {0};
        put32(entry, ENTRY);
        put16(entry + 4, 20);
        put_fields(entry + 6, &w->entry[i]);
        put32(entry + 42, w->entry[i].at);
        put(w, entry, sizeof entry);
        put(w, w->entry[i].name, strlen(w->entry[i].name));
    }
    unsigned char end[END_SIZE] = {0};
    put32(end, END);
    put16(end + 8, (uint64_t)w->n);
    put16(end + 10, (uint64_t)w->n);
    put32(end + 12, w->at - from);
    put32(end + 16, from);
    put(w, end, sizeof end);
    if (w->error.code) {
        file_abort(&w->file);
        return w->error;
    }
    return file_commit(&w->file, false);
}
