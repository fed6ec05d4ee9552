#include "llm/tokens.h"

#include <string.h>

#include "io/sha256.h"
#include "io/file.h"

enum { BIN_MAGIC = 20240520, BIN_VERSION = 1, BIN_HEADER = 256 * 4, END_BYTE_ID = 256 };
static const char marker[] = "<|endoftext|>";

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool tokens_is_bin(const char *path)
{
    unsigned char head[4];
    FILE *f = fopen(path, "rb");
    const bool bin = f && fread(head, 1, 4, f) == 4 && u32_at(head) == BIN_MAGIC;
    if (f) fclose(f);
    return bin;
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
    else if (bpe) {
        int32_t *id;
        int64_t n;
        s = bpe_encode(&id, &n, bpe, a, (const char *)m.data, m.size, true);
        if (!s.code) *out = (Tokens){id, n};
    } else *out = from_bytes(a, (const char *)m.data, m.size, n_vocab);
    file_unmap(&m);
    arena_rewind(scratch, mark);
    return s.code ? s : check_ids(*out, n_vocab, path);
}

const char *tokens_hash(Tokens t, Arena *a)
{
    return arena_printf(a, "%s", sha256_hex_of(t.id, (size_t)t.n * sizeof *t.id).s);
}
