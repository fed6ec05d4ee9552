#include "llm/tokens.h"

#include <string.h>

#include "io/sha256.h"
#include "io/file.h"

enum { BIN_MAGIC = 20240520, BIN_MAGIC_LLAMA = 20240801, BIN_VERSION = 1, BIN_HEADER = 256 * 4, END_BYTE_ID = 256 };
static const char marker[] = "<|endoftext|>";

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool tokens_is_bin(const char *path)
{
    FileMap m;
    if (file_map(&m, path).code) return false;       // a pipe too: it must not wait for a writer
    const bool bin = m.size >= 4 && u32_at(m.data) == BIN_MAGIC;
    file_unmap(&m);
    return bin;
}

// What a file that begins like this is, when it is surely no text; NULL: not known.
static const char *kind_of(const unsigned char *p, size_t n)
{
    static const struct { const char *begin; size_t n; const char *is; } kinds[] = {
        {"\x93NUMPY", 6, "a .npy array"},
        {"PK\3\4", 4, "a zip archive (weights of PyTorch are one too)"},
        {"\x1F\x8B", 2, "a gzip archive: unpack it first"},
        {"\x28\xB5\x2F\xFD", 4, "a zstd archive: unpack it first"},
        {"BZh", 3, "a bzip2 archive: unpack it first"},
        {"\xFD" "7zXZ", 5, "an xz archive: unpack it first"},
        {"%PDF-", 5, "a PDF document"},
        {"\xFF\xFE", 2, "text in UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"},
        {"\xFE\xFF", 2, "text in UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"}};
    if (n >= 4 && u32_at(p) == BIN_MAGIC_LLAMA) return "a token file of llm.c for Llama 3";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (n >= kinds[i].n && !memcmp(p, kinds[i].begin, kinds[i].n)) return kinds[i].is;
    return NULL;
}

static bool is_odd_control(unsigned char c)
{
    return (c < 0x20 && !(c >= '\b' && c <= '\r') && c != 0x1B) || c == 0x7F;
}

Status tokens_check_text(const unsigned char *p, size_t n, const char *path)
{
    const char *kind = kind_of(p, n);
    if (kind) return ERROR("%s: want text, got %s", path, kind);
    const unsigned char *zero = memchr(p, 0, n);
    size_t odd = 0;
    for (size_t i = 0; i < n; i++) odd += is_odd_control(p[i]);
    if (zero)
        return ERROR("%s: want text, got binary data (byte %zu is zero).  Token ids are read from llm.c's files, not "
                     "as bare numbers, as in nanoGPT's .bin", path, (size_t)(zero - p));
    if (odd > n / 32)
        return ERROR("%s: want text, got binary data (%zu of %zu bytes are control characters)", path, odd, n);
    return OK;
}

static Status check_ids(Tokens t, int64_t n_vocab, const char *path)
{
    for (int64_t i = 0; i < t.n; i++)
        if (t.id[i] < 0 || t.id[i] >= n_vocab)
            return ERROR("%s: token %lld: want an id in 0..%lld, got %d", path, (long long)i, (long long)n_vocab - 1,
                         t.id[i]);
    return OK;
}

static Status from_bin(Tokens *out, Arena *a, const FileMap *m, const char *path)
{
    if (m->size < BIN_HEADER)
        return ERROR("%s: want a header of %d bytes, got a file of %zu", path, BIN_HEADER, m->size);
    const uint32_t version = u32_at(m->data + 4), count = u32_at(m->data + 8);
    if (version != BIN_VERSION) return ERROR("%s: want a token file of version %d, got %u", path, BIN_VERSION, version);
    if (m->size != BIN_HEADER + 2 * (size_t)count)
        return ERROR("%s: want %zu bytes for the %u tokens that the header states, got %zu", path,
                     BIN_HEADER + 2 * (size_t)count, count, m->size);
    int32_t *id = arena_alloc(a, (size_t)count * sizeof *id);
    const unsigned char *p = m->data + BIN_HEADER;
    for (size_t i = 0; i < count; i++) id[i] = p[2 * i] | p[2 * i + 1] << 8;
    *out = (Tokens){id, count};
    return OK;
}

static Tokens from_bytes(Arena *a, const char *text, size_t n, int64_t n_vocab)
{
    int32_t *id = arena_alloc(a, (n + 1) * sizeof *id);
    int64_t at = 0;
    const size_t len = sizeof marker - 1;
    for (size_t i = 0; i < n;) {
        if (n_vocab > END_BYTE_ID && n - i >= len && !memcmp(text + i, marker, len)) {
            id[at++] = END_BYTE_ID;
            i += len;
        } else id[at++] = (unsigned char)text[i++];
    }
    return (Tokens){id, at};
}

Status tokens_read(Tokens *out, Arena *a, Arena *scratch, const char *path, const Bpe *bpe, int64_t n_vocab)
{
    const size_t mark = arena_mark(scratch);
    FileMap m;
    TRY(file_map(&m, path));
    Status s = OK;
    if (m.size >= 4 && u32_at(m.data) == BIN_MAGIC) s = from_bin(out, a, &m, path);
    else if ((s = tokens_check_text(m.data, m.size, path)).code == 0 && bpe) {
        int32_t *id;
        int64_t n;
        s = bpe_encode(&id, &n, bpe, a, (const char *)m.data, m.size, true);
        if (!s.code) *out = (Tokens){id, n};
    } else if (!s.code) *out = from_bytes(a, (const char *)m.data, m.size, n_vocab);
    file_unmap(&m);
    arena_rewind(scratch, mark);
    return s.code ? s : check_ids(*out, n_vocab, path);
}

const char *tokens_hash(Tokens t, Arena *a)
{
    return arena_printf(a, "%s", sha256_hex_of(t.id, (size_t)t.n * sizeof *t.id).s);
}
