// A vocabulary and its merges as text, and writing both.  Contract: bpe.h, bpe_parts.h.
#include <inttypes.h>
#include <string.h>

#include "llm/bpe_parts.h"
#include "io/file.h"

// ---- Bytes as printable characters --------------------------------------------------------------------------------

bool bpe_byte_is_printable(uint32_t byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

typedef struct ByteMap {
    uint32_t to_char[256];      // below 0x144
    int16_t to_byte[0x144];     // -1 = stands for no byte
} ByteMap;

static ByteMap byte_map(void)
{
    ByteMap m;
    memset(m.to_byte, -1, sizeof m.to_byte);
    for (uint32_t b = 0, next = 0x100; b < 256; b++) {
        m.to_char[b] = bpe_byte_is_printable(b) ? b : next++;
        m.to_byte[m.to_char[b]] = (int16_t)b;
    }
    return m;
}

// Bytes of n bytes of UTF-8 text to out (at most n); their number, or -1 when a character stands for no byte.
static int64_t unmap(const ByteMap *m, char *out, const char *text, size_t n)
{
    int64_t len = 0;
    uint32_t cp;
    int step;
    for (size_t i = 0; i < n; i += (size_t)step) {
        step = utf8_decode((const unsigned char *)text + i, n - i, &cp);
        if (step == 0 || cp >= 0x144 || m->to_byte[cp] < 0) return -1;
        out[len++] = (char)m->to_byte[cp];
    }
    return len;
}

// Token id as UTF-8 text to out (at most twice its bytes); its length.
static size_t map_token(const ByteMap *m, char *out, const Bpe *b, int32_t id)
{
    size_t len = 0;
    for (uint32_t i = b->start[id]; i < b->start[id + 1]; i++)
        len += (size_t)utf8_encode((unsigned char *)out + len, m->to_char[(unsigned char)b->bytes[i]]);
    return len;
}

// ---- Loading ------------------------------------------------------------------------------------------------------

enum { MAX_GAP = 1 << 16 };     // ids that no token has

static Status check_id(int64_t id, int64_t n, const char *key, const Json *m, const char *path)
{
    if (id >= 0 && id < n) return OK;
    return ERROR("%s: \"%.100s\": want an id in 0..%" PRId64 ", as there are %" PRId64 " tokens, got %s", path, key,
                 n - 1, n, json_describe(m).s);
}

// by_id[i] = the member of the vocabulary with id i; each at most once.
static Status place_ids(const Json **by_id, int64_t n, const Json *root, const char *path)
{
    for (const Json *m = root->child; m; m = m->next) {
        TRY(check_id(m->type == JSON_NUMBER && m->is_int ? m->n : -1, n, m->key, m, path));
        if (by_id[m->n])
            return ERROR("%s: \"%.100s\" and \"%.100s\" have the same id %" PRId64, path, by_id[m->n]->key, m->key,
                         m->n);
        by_id[m->n] = m;
    }
    return OK;
}

// Ids of added tokens: those that the vocabulary gives the same text, else free ones.
static Status place_added(int64_t *n_ids, const BpeAdded **added_by_id, const Json **by_id, int64_t n_max,
                          const BpeAdded *added, int64_t n_added, const char *path)
{
    for (int64_t i = 0; i < n_added; i++) {
        const BpeAdded *t = &added[i];
        if (t->id < 0 || t->id >= n_max)
            return ERROR("%s: added token \"%.100s\": want an id in 0..%" PRId64 ", got %d", path, t->text, n_max - 1,
                         t->id);
        const Json *m = by_id[t->id];
        if ((m && (m->key_len != t->len || memcmp(m->key, t->text, t->len))) || added_by_id[t->id])
            return ERROR("%s: added token \"%.100s\": want an id of its own, got %d, which \"%.100s\" has", path,
                         t->text, t->id, m ? m->key : added_by_id[t->id]->text);
        added_by_id[t->id] = t;
        if (t->id >= *n_ids) *n_ids = t->id + 1;
    }
    return OK;
}

static Status fill_tokens(Bpe *b, const ByteMap *map, const Json **by_id, const BpeAdded **added, const char *path)
{
    b->start[0] = 0;
    for (int32_t id = 0; id < b->n_vocab; id++) {
        char *to = b->bytes + b->start[id];
        int64_t n = 0;
        if (added[id]) memcpy(to, added[id]->text, (size_t)(n = added[id]->len));
        else if (by_id[id]) {
            n = unmap(map, to, by_id[id]->key, by_id[id]->key_len);
            if (n == 0) return ERROR("%s: \"\": want characters, got none", path);
        }
        const bool text = n < 0;     // no bytes of a text are written so: nothing becomes this token
        if (text) memcpy(to, by_id[id]->key, (size_t)(n = (int64_t)by_id[id]->key_len));
        b->start[id + 1] = b->start[id] + (uint32_t)n;
        if (by_id[id] && !text && (!added[id] || bpe_find(b, to, (size_t)n) < 0)) bpe_token_add(b, id);
    }
    return OK;
}

static Status find_bytes(Bpe *b, const char *path)
{
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        b->byte_id[i] = bpe_find(b, &c, 1);
        if (b->byte_id[i] < 0) return ERROR("%s: want a token for each byte, got none for 0x%02X", path, i);
    }
    return OK;
}

Status bpe_load_tokens(Bpe *b, Arena *a, Arena *scratch, const Json *root, const BpeAdded *added, int64_t n_added,
                       const char *path)
{
    const ByteMap map = byte_map();
    if (root->type != JSON_OBJECT || root->n == 0 || root->n >= INT32_MAX / 4)
        return ERROR("%s: want an object {\"token\": id, ...}, got %s", path, json_describe(root).s);
    const int64_t n = root->n + n_added, n_max = n + (n_added ? MAX_GAP : 0);
    const Json **by_id = arena_zalloc(scratch, (size_t)n_max * sizeof *by_id);
    const BpeAdded **added_by_id = arena_zalloc(scratch, (size_t)n_max * sizeof *added_by_id);
    int64_t n_ids = 0;
    size_t total = 0;
    TRY(place_ids(by_id, n, root, path));
    for (const Json *m = root->child; m; m = m->next) {
        total += m->key_len;
        if (m->n >= n_ids) n_ids = m->n + 1;
    }
    TRY(place_added(&n_ids, added_by_id, by_id, n_max, added, n_added, path));
    for (int64_t i = 0; i < n_added; i++) total += added[i].len;
    b->n_vocab = (int32_t)n_ids;
    b->start = arena_alloc(a, ((size_t)n_ids + 1) * sizeof *b->start);
    b->bytes = arena_alloc(a, total + 1);
    bpe_tokens_new(b, a, b->n_vocab);
    TRY(fill_tokens(b, &map, by_id, added_by_id, path));
    TRY(find_bytes(b, path));
    bpe_added_index(b, a, added, n_added);
    return OK;
}

// A line at the top that begins with '#' and is no pair of tokens: "#version: 0.2".
static bool is_comment(const Bpe *b, const ByteMap *map, char *buf, const char *line, size_t len)
{
    if (b->n_merge || !len || *line != '#') return false;
    const char *space = memchr(line, ' ', len);
    if (!space) return true;
    const int64_t left = unmap(map, buf, line, (size_t)(space - line)),
                  right = unmap(map, buf + len, space + 1, len - (size_t)(space + 1 - line));
    return left <= 0 || right <= 0 || bpe_find(b, buf, (size_t)left) < 0 || bpe_find(b, buf + len, (size_t)right) < 0;
}

// One line "left right" of the merges.  made[id]: a byte or the result of an earlier line.
static Status load_merge(Bpe *b, bool *made, char *buf, const ByteMap *map, const char *line, size_t len,
                         const char *where)
{
    int show = (int)(len < 100 ? len : 100);
    const char *space = memchr(line, ' ', len);
    if (!space || memchr(space + 1, ' ', len - (size_t)(space + 1 - line)))
        return ERROR("%s: want two tokens with a space between, got \"%.*s\"", where, show, line);
    const char *part[2] = {line, space + 1};
    size_t part_len[2] = {(size_t)(space - line), len - (size_t)(space + 1 - line)};
    int32_t id[2];
    size_t used = 0;
    for (int i = 0; i < 2; i++) {
        int64_t n = unmap(map, buf + used, part[i], part_len[i]);
        id[i] = n > 0 ? bpe_find(b, buf + used, (size_t)n) : -1;
        int part_show = (int)(part_len[i] < 100 ? part_len[i] : 100);
        if (id[i] < 0) return ERROR("%s: \"%.*s\" is not a token of the vocabulary", where, part_show, part[i]);
        if (!made[id[i]])
            return ERROR("%s: \"%.*s\" is not a byte and no earlier line makes it", where, part_show, part[i]);
        used += (size_t)n;
    }
    int32_t result = bpe_find(b, buf, used);
    if (result < 0)
        return ERROR("%s: the result of \"%.*s\" is not a token of the vocabulary", where, show, line);
    BpePair *p = bpe_pair_slot(b->pairs, b->pair_bits, id[0], id[1]);
    if (p->rank >= 0) return ERROR("%s: the pair \"%.*s\" comes twice", where, show, line);
    *p = (BpePair){id[0], id[1], b->n_merge};
    b->merge[b->n_merge++] = (BpeMerge){id[0], id[1], result};
    made[result] = true;
    return OK;
}

Status bpe_parse_merges(Bpe *b, Arena *a, Arena *scratch, BpeText merges)
{
    const ByteMap map = byte_map();
    const char *text = merges.text;
    const size_t size = merges.size;
    size_t lines = 1;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    char *buf = arena_alloc(scratch, 2 * size);
    bool *made = arena_zalloc(scratch, (size_t)b->n_vocab);
    for (int i = 0; i < 256; i++) made[b->byte_id[i]] = true;
    b->n_merge = 0;
    b->merge = arena_alloc(a, lines * sizeof *b->merge);
    b->pair_bits = bpe_table_bits(lines);
    b->pairs = bpe_pairs_new(a, b->pair_bits);
    size_t line = 0;
    for (const char *p = text, *end = text + size; p < end;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((eol ? eol : end) - p);
        line++;
        if (len && p[len - 1] == '\r') len--;
        if (len && !(len >= 8 && !memcmp(p, "#version", 8)) && !is_comment(b, &map, buf, p, len)) {
            size_t mark = arena_mark(scratch);
            TRY(load_merge(b, made, buf, &map, p, len, arena_printf(scratch, "%s:%zu", merges.name, line)));
            arena_rewind(scratch, mark);
        }
        if (!eol) break;
        p = eol + 1;
    }
    return OK;
}

Status bpe_parse_vocab(Bpe *b, Arena *a, Arena *scratch, BpeText vocab)
{
    const Json *root;
    *b = (Bpe){0};
    TRY(json_parse(&root, scratch, vocab.text, vocab.size, vocab.name));
    return bpe_load_tokens(b, a, scratch, root, NULL, 0, vocab.name);
}

Status bpe_parse(Bpe *b, Arena *a, Arena *scratch, BpeText vocab, BpeText merges)
{
    CHECK(a != scratch, "bpe_parse: want two arenas");
    const size_t mark = arena_mark(scratch);
    Status s = bpe_parse_vocab(b, a, scratch, vocab);
    if (!s.code) s = bpe_parse_merges(b, a, scratch, merges);
    arena_rewind(scratch, mark);
    return s;
}

Status bpe_save(const Bpe *b, Arena *scratch, const char *vocab_path, const char *merges_path)
{
    ByteMap map = byte_map();
    size_t mark = arena_mark(scratch), len;
    uint32_t longest = 0;
    for (int32_t id = 0; id < b->n_vocab; id++)
        if (b->start[id + 1] - b->start[id] > longest) longest = b->start[id + 1] - b->start[id];
    char *buf = arena_alloc(scratch, 2 * (size_t)longest + 1);
    JsonWriter w = json_writer(scratch, 0);
    json_object(&w, NULL);
    for (int32_t id = 0; id < b->n_vocab; id++) {
        buf[map_token(&map, buf, b, id)] = 0;
        json_int(&w, buf, id);
    }
    json_end(&w);
    const char *text = json_text(&w, &len);
    Status s = file_write(vocab_path, text, len);
    FileWriter f = {.f = NULL};
    if (!s.code) s = file_open(&f, merges_path);
    if (!s.code) {
        file_put(&f, "#version: 0.2\n", 14);
        for (int32_t i = 0; i < b->n_merge; i++) {
            file_put(&f, buf, map_token(&map, buf, b, b->merge[i].left));
            file_put(&f, " ", 1);
            file_put(&f, buf, map_token(&map, buf, b, b->merge[i].right));
            file_put(&f, "\n", 1);
        }
        s = file_commit(&f, false);
    }
    arena_rewind(scratch, mark);
    return s;
}
