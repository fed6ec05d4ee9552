#include "llm/bpe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "llm/bpe_files.h"
#include "llm/unicode.h"
#include "io/file.h"
#include "io/json.h"

static const char endoftext[] = "<|endoftext|>";

enum { MAX_TEXT = 1 << 29 };   // bytes of a text to learn from

// ---- Bytes as printable characters --------------------------------------------------------------------------------

static bool is_printable(uint32_t byte)
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
        m.to_char[b] = is_printable(b) ? b : next++;
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

// ---- Hash tables: open addressing, at most half full --------------------------------------------------------------

static int table_bits(size_t n)
{
    int bits = 4;
    while ((size_t)1 << bits < 2 * n) bits++;
    return bits;
}

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 14695981039346656037u;   // FNV-1a
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h * 0x9E3779B97F4A7C15u;
}

static uint64_t hash_pair(int32_t left, int32_t right)
{
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
}

// The slot of a pair: its own, or the free one where it belongs.
static BpePair *pair_slot(BpePair *pairs, int bits, int32_t left, int32_t right)
{
    size_t mask = ((size_t)1 << bits) - 1, i = (size_t)(hash_pair(left, right) >> (64 - bits));
    while (pairs[i].rank >= 0 && (pairs[i].left != left || pairs[i].right != right)) i = (i + 1) & mask;
    return &pairs[i];
}

static BpePair *new_pairs(Arena *a, int bits)
{
    size_t bytes = sizeof(BpePair) << bits;
    return memset(arena_alloc(a, bytes), -1, bytes);
}

static int32_t *token_slot(const Bpe *b, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << b->token_bits) - 1, i = (size_t)(hash_bytes(s, n) >> (64 - b->token_bits));
    for (; b->tokens[i] >= 0; i = (i + 1) & mask) {
        const uint32_t *start = &b->start[b->tokens[i]];
        if (start[1] - start[0] == n && memcmp(b->bytes + start[0], s, n) == 0) break;
    }
    return &b->tokens[i];
}

int32_t bpe_find(const Bpe *b, const char *bytes, size_t n) { return *token_slot(b, bytes, n); }

static void new_tokens(Bpe *b, Arena *a, int32_t n_max)
{
    b->token_bits = table_bits((size_t)n_max);
    size_t bytes = sizeof(int32_t) << b->token_bits;
    b->tokens = memset(arena_alloc(a, bytes), -1, bytes);
}

static void add_token(Bpe *b, int32_t id)
{
    *token_slot(b, b->bytes + b->start[id], b->start[id + 1] - b->start[id]) = id;
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

static int by_first_byte(const void *pa, const void *pb)
{
    const BpeAdded *a = pa, *b = pb;
    const int x = (unsigned char)*a->text, y = (unsigned char)*b->text;
    return x != y ? (x > y) - (x < y) : (a->len < b->len) - (a->len > b->len);
}

// Added tokens by first byte, long ones first: the first that matches is the longest.  <|endoftext|> is special whether
// a file says so or not.
static void index_added(Bpe *b, Arena *a, const BpeAdded *added, int64_t n)
{
    const size_t end_len = sizeof endoftext - 1;
    BpeAdded *list = arena_alloc(a, (size_t)(n + 1) * sizeof *list);
    if (n) memcpy(list, added, (size_t)n * sizeof *list);
    b->endoftext = bpe_find(b, endoftext, end_len);
    bool listed = false;
    for (int64_t i = 0; i < n; i++)
        if (list[i].len == end_len && !memcmp(list[i].text, endoftext, end_len)) {
            b->endoftext = list[i].id;
            listed = true;
        }
    if (b->endoftext >= 0 && !listed) list[n++] = (BpeAdded){.len = (uint32_t)end_len, .id = b->endoftext};
    for (int64_t i = 0; i < n; i++) list[i].text = b->bytes + b->start[list[i].id];
    qsort(list, (size_t)n, sizeof *list, by_first_byte);
    b->added = list;
    b->n_added = (int32_t)n;
    memset(b->added_at, 0, sizeof b->added_at);
    for (int64_t i = 0; i < n; i++) b->added_at[(unsigned char)*list[i].text + 1]++;
    for (int i = 0; i < 256; i++) b->added_at[i + 1] += b->added_at[i];
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
        if (by_id[id] && !text && (!added[id] || bpe_find(b, to, (size_t)n) < 0)) add_token(b, id);
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
    new_tokens(b, a, b->n_vocab);
    TRY(fill_tokens(b, &map, by_id, added_by_id, path));
    TRY(find_bytes(b, path));
    index_added(b, a, added, n_added);
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
    BpePair *p = pair_slot(b->pairs, b->pair_bits, id[0], id[1]);
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
    b->pair_bits = table_bits(lines);
    b->pairs = new_pairs(a, b->pair_bits);
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

// ---- Pieces -------------------------------------------------------------------------------------------------------

// Class and length of the character at s, n > 0 bytes left; a byte that is no valid UTF-8 is "other".
static UnicodeClass class_at(const unsigned char *s, size_t n, size_t *len)
{
    uint32_t cp;
    int step = utf8_decode(s, n, &cp);
    *len = step ? (size_t)step : 1;
    return step ? unicode_class(cp) : UNICODE_OTHER;
}

// Length of 's 't 're 've 'm 'll 'd at s, else 0.
static size_t contraction(const unsigned char *s, size_t n)
{
    if (n >= 2 && (s[1] == 's' || s[1] == 't' || s[1] == 'm' || s[1] == 'd')) return 2;
    if (n >= 3 && ((s[2] == 'e' && (s[1] == 'r' || s[1] == 'v')) || (s[1] == 'l' && s[2] == 'l'))) return 3;
    return 0;
}

size_t bpe_piece(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t len = s[0] == '\'' ? contraction(s, n) : 0;
    if (len) return len;
    size_t at = s[0] == ' ' && n > 1, last = 0;
    UnicodeClass class = class_at(s + at, n - at, &len);
    if (class == UNICODE_SPACE) class = class_at(s, n, &len), at = 0;   // " ?" helps only before another class
    while (at < n && class_at(s + at, n - at, &len) == class) at += last = len;
    if (class != UNICODE_SPACE || at == n || at == last) return at;
    return at - last;          // \s+(?!\S): the last space belongs to the next piece, unless it is the only one
}

// ---- Encoding -----------------------------------------------------------------------------------------------------

enum { SHORT = 128, NO_RANK = INT32_MAX, UNKNOWN = -1 };

static int32_t rank_of(const Bpe *b, int32_t left, int32_t right)
{
    int32_t rank = pair_slot(b->pairs, b->pair_bits, left, right)->rank;
    return rank < 0 ? NO_RANK : rank;
}

// Merges id[n] in place by scanning, n <= SHORT; the number left.
static int32_t merge_short(const Bpe *b, int32_t *id, int32_t n)
{
    int32_t rank[SHORT];       // of the pair (i, i+1)
    for (int32_t i = 0; i < n; i++) rank[i] = UNKNOWN;
    for (;;) {
        int32_t best = NO_RANK;
        for (int32_t i = 0; i + 1 < n; i++) {
            if (rank[i] == UNKNOWN) rank[i] = rank_of(b, id[i], id[i + 1]);
            if (rank[i] < best) best = rank[i];
        }
        if (best == NO_RANK) return n;
        int32_t out = 0;
        for (int32_t i = 0; i < n; out++) {
            bool hit = i + 1 < n && rank[i] == best;
            id[out] = hit ? b->merge[best].result : id[i];
            rank[out] = hit ? UNKNOWN : rank[i];
            if (hit && out) rank[out - 1] = UNKNOWN;
            i += hit ? 2 : 1;
        }
        n = out;
    }
}

// A binary heap of rank << 32 | position, smallest first.
typedef struct Heap {
    uint64_t *item;
    size_t n;
} Heap;

static void heap_push(Heap *h, uint64_t x)
{
    size_t i = h->n++;
    for (; i && h->item[(i - 1) / 2] > x; i = (i - 1) / 2) h->item[i] = h->item[(i - 1) / 2];
    h->item[i] = x;
}

static uint64_t heap_pop(Heap *h)
{
    uint64_t top = h->item[0], x = h->item[--h->n];
    size_t i = 0;
    for (size_t c; (c = 2 * i + 1) < h->n; i = c) {
        if (c + 1 < h->n && h->item[c + 1] < h->item[c]) c++;
        if (h->item[c] >= x) break;
        h->item[i] = h->item[c];
    }
    h->item[i] = x;
    return top;
}

// The same result as merge_short in O(n log n), for pieces without end (a hostile file of one letter).
// A linked list of tokens; rank[i] is that of the pair that starts at i.  Pairs that appear while those of one rank
// are merged wait in `fresh`, so that all occurrences of a rank are merged before any new pair.
static int32_t merge_long(const Bpe *b, int32_t *id, int32_t n, Arena *scratch)
{
    size_t mark = arena_mark(scratch), count = (size_t)n;
    int32_t *next = arena_alloc(scratch, count * sizeof *next), *prev = arena_alloc(scratch, count * sizeof *prev);
    int32_t *rank = arena_alloc(scratch, count * sizeof *rank);
    int32_t *fresh = arena_alloc(scratch, 2 * count * sizeof *fresh);
    Heap heap = {.item = arena_alloc(scratch, 3 * count * sizeof(uint64_t))};   // n pairs, and two new ones a merge
    for (int32_t i = 0; i < n; i++) {
        next[i] = i + 1;
        prev[i] = i - 1;
        rank[i] = i + 1 < n ? rank_of(b, id[i], id[i + 1]) : NO_RANK;
        if (rank[i] != NO_RANK) heap_push(&heap, (uint64_t)rank[i] << 32 | (uint32_t)i);
    }
    while (heap.n) {
        int32_t best = (int32_t)(heap.item[0] >> 32), n_fresh = 0;
        while (heap.n && (int32_t)(heap.item[0] >> 32) == best) {
            int32_t i = (int32_t)(heap_pop(&heap) & UINT32_MAX);
            if (rank[i] != best) continue;          // merged meanwhile, or its neighbour was
            int32_t gone = next[i];
            id[i] = b->merge[best].result;
            rank[gone] = NO_RANK;
            next[i] = next[gone];
            if (next[i] < n) prev[next[i]] = i;
            rank[i] = next[i] < n ? rank_of(b, id[i], id[next[i]]) : NO_RANK;
            fresh[n_fresh++] = i;
            if (prev[i] < 0) continue;
            rank[prev[i]] = rank_of(b, id[prev[i]], id[i]);
            fresh[n_fresh++] = prev[i];
        }
        for (int32_t k = 0; k < n_fresh; k++)
            if (rank[fresh[k]] != NO_RANK) heap_push(&heap, (uint64_t)rank[fresh[k]] << 32 | (uint32_t)fresh[k]);
    }
    int32_t out = 0;
    for (int32_t i = 0; i < n; i = next[i]) id[out++] = id[i];
    arena_rewind(scratch, mark);
    return out;
}

// Appends the tokens of a text without special tokens; ids has room for n.
static int64_t encode_plain(const Bpe *b, int32_t *ids, Arena *scratch, const char *text, size_t n)
{
    int64_t count = 0;
    for (size_t at = 0, len; at < n; at += len) {
        len = bpe_piece(text + at, n - at);
        int32_t *id = ids + count;
        for (size_t i = 0; i < len; i++) id[i] = b->byte_id[(unsigned char)text[at + i]];
        count += len <= SHORT ? merge_short(b, id, (int32_t)len) : merge_long(b, id, (int32_t)len, scratch);
    }
    return count;
}

// Like encode_plain; a space goes before a text that begins with none where the tokeniser says so.
static int64_t encode_section(const Bpe *b, int32_t *ids, Arena *scratch, const char *text, size_t n)
{
    if (!n || !b->prefix_space || *text == ' ') return encode_plain(b, ids, scratch, text, n);
    const size_t mark = arena_mark(scratch);
    char *longer = arena_alloc(scratch, n + 1);
    *longer = ' ';
    memcpy(longer + 1, text, n);
    const int64_t count = encode_plain(b, ids, scratch, longer, n + 1);
    arena_rewind(scratch, mark);
    return count;
}

// The longest added token at s, NULL: none.
static const BpeAdded *added_at(const Bpe *b, const char *s, size_t n)
{
    const int first = (unsigned char)*s;
    for (int32_t i = b->added_at[first]; i < b->added_at[first + 1]; i++)
        if (b->added[i].len <= n && !memcmp(b->added[i].text, s, b->added[i].len)) return &b->added[i];
    return NULL;
}

// The added token that comes first in text[at..n), and where; NULL: none.
static const BpeAdded *next_added(const Bpe *b, const char *text, size_t at, size_t n, size_t *where)
{
    for (; b->n_added && at < n; at++) {
        const BpeAdded *t = added_at(b, text + at, n - at);
        *where = at;
        if (t) return t;
    }
    *where = n;
    return NULL;
}

// The end of the white space that begins at text[at], and the beginning of that which ends there.
static size_t space_end(const char *text, size_t at, size_t n)
{
    size_t len;
    while (at < n && class_at((const unsigned char *)text + at, n - at, &len) == UNICODE_SPACE) at += len;
    return at;
}

static size_t space_begin(const char *text, size_t from, size_t at)
{
    size_t begin = at, len;
    for (size_t i = from; i < at; i += len) {
        const bool space = class_at((const unsigned char *)text + i, at - i, &len) == UNICODE_SPACE;
        if (!space) begin = at;
        else if (begin == at) begin = i;
    }
    return begin;
}

Status bpe_encode(int32_t **ids, int64_t *n_ids, const Bpe *b, Arena *a, const char *text, size_t n, bool special)
{
    if (n > INT32_MAX) return ERROR("want a text of at most %d bytes, got %zu", INT32_MAX, n);
    size_t mark = arena_mark(a);
    int32_t *out = arena_alloc(a, (b->prefix_space ? 2 * n : n) * sizeof *out);
    int64_t count = 0;
    for (size_t at = 0, where = n; at < n;) {
        const BpeAdded *hit = special ? next_added(b, text, at, n, &where) : NULL;
        const size_t end = hit && hit->left ? space_begin(text, at, where) : where;
        count += encode_section(b, out + count, a, text + at, end - at);
        if (hit) out[count++] = hit->id;
        at = hit ? where + hit->len : n;
        if (hit && hit->right) at = space_end(text, at, n);
    }
    arena_rewind(a, mark);
    *ids = arena_alloc(a, (size_t)count * sizeof *out);   // the same place, without the unused end
    *n_ids = count;
    return OK;
}

Status bpe_decode(char **text, size_t *len, const Bpe *b, Arena *a, const int32_t *ids, int64_t n)
{
    size_t total = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= b->n_vocab)
            return ERROR("token %" PRId64 ": want an id in 0..%d, got %d", i, b->n_vocab - 1, ids[i]);
        if (b->start[ids[i]] == b->start[ids[i] + 1])
            return ERROR("token %" PRId64 ": want an id that a token has, got %d, which none has", i, ids[i]);
        total += b->start[ids[i] + 1] - b->start[ids[i]];
    }
    char *out = arena_alloc(a, total + 1);
    *text = out;
    *len = total;
    for (int64_t i = 0; i < n; i++) {
        uint32_t start = b->start[ids[i]], size = b->start[ids[i] + 1] - start;
        memcpy(out, b->bytes + start, size);
        out += size;
    }
    *out = 0;
    return OK;
}

// ---- Training -----------------------------------------------------------------------------------------------------

// A distinct piece of the text, its tokens so far, and how often it comes.
typedef struct Word {
    const char *text;
    int32_t len, n, *id;
    int64_t count;
} Word;

typedef struct Corpus {
    Word *word;
    int64_t n_word, n_id;      // n_id: tokens of all words at the start
} Corpus;

// How often each pair of neighbours comes; slot.rank is the index of its item.
typedef struct PairCounts {
    BpePair *slots;
    int bits;
    struct { int32_t left, right; int64_t count; } *item;
    int32_t n;
} PairCounts;

static Corpus split_words(const Bpe *b, Arena *scratch, const char *text, size_t n)
{
    size_t pieces = 0;
    for (size_t at = 0; at < n; at += bpe_piece(text + at, n - at)) pieces++;
    int bits = table_bits(pieces);
    size_t mask = ((size_t)1 << bits) - 1;
    int64_t *slots = arena_zalloc(scratch, sizeof *slots << bits);    // index + 1, 0 = free
    Corpus c = {.word = arena_alloc(scratch, pieces * sizeof *c.word)};
    for (size_t at = 0, len; at < n; at += len) {
        const char *p = text + at;
        len = bpe_piece(p, n - at);
        size_t i = (size_t)(hash_bytes(p, len) >> (64 - bits));
        while (slots[i] && ((size_t)c.word[slots[i] - 1].len != len || memcmp(c.word[slots[i] - 1].text, p, len) != 0))
            i = (i + 1) & mask;
        if (!slots[i]) {
            c.word[c.n_word++] = (Word){.text = p, .len = (int32_t)len, .n = (int32_t)len};
            c.n_id += (int64_t)len;
            slots[i] = c.n_word;
        }
        c.word[slots[i] - 1].count++;
    }
    int32_t *id = arena_alloc(scratch, (size_t)c.n_id * sizeof *id);
    for (Word *w = c.word; w < c.word + c.n_word; id += w->len, w++) {
        w->id = id;
        for (int32_t i = 0; i < w->len; i++) id[i] = b->byte_id[(unsigned char)w->text[i]];
    }
    return c;
}

// Adds `times` occurrences for each pair of the word.
static void count_pairs(PairCounts *pc, const Word *w, int64_t times)
{
    for (int32_t i = 0; i + 1 < w->n; i++) {
        BpePair *slot = pair_slot(pc->slots, pc->bits, w->id[i], w->id[i + 1]);
        if (slot->rank < 0) {
            *slot = (BpePair){w->id[i], w->id[i + 1], pc->n++};
            pc->item[slot->rank].left = slot->left;
            pc->item[slot->rank].right = slot->right;
            pc->item[slot->rank].count = 0;
        }
        pc->item[slot->rank].count += times;
    }
}

// Replaces the pair by its result in every word and keeps the counts right.
static void merge_words(Corpus *c, PairCounts *pc, BpeMerge m)
{
    for (Word *w = c->word; w < c->word + c->n_word; w++) {
        int32_t i = 0;
        while (i + 1 < w->n && (w->id[i] != m.left || w->id[i + 1] != m.right)) i++;
        if (i + 1 >= w->n) continue;
        count_pairs(pc, w, -w->count);
        int32_t out = i;
        for (; i < w->n; out++) {
            bool hit = i + 1 < w->n && w->id[i] == m.left && w->id[i + 1] == m.right;
            w->id[out] = hit ? m.result : w->id[i];
            i += hit ? 2 : 1;
        }
        w->n = out;
        count_pairs(pc, w, w->count);
    }
}

// The most frequent pair, on a tie the one of lowest ids; -1 when none comes twice.
static int32_t best_pair(const PairCounts *pc)
{
    int32_t best = -1;
    for (int32_t i = 0; i < pc->n; i++) {
        int64_t more = pc->item[i].count - (best < 0 ? 1 : pc->item[best].count);
        bool lower = best >= 0 && (pc->item[i].left < pc->item[best].left
                     || (pc->item[i].left == pc->item[best].left && pc->item[i].right < pc->item[best].right));
        if (more > 0 || (more == 0 && lower)) best = i;
    }
    return best;
}

// Token bytes that grow while training; the old buffer stays in the arena.
static char *grow(char *bytes, size_t used, size_t want, size_t *cap, Arena *a)
{
    if (want <= *cap) return bytes;
    *cap = 2 * want;
    char *p = arena_alloc(a, *cap);
    memcpy(p, bytes, used);
    return p;
}

// The token made of two, new or known; -1 when all tokens together would pass 2^32 bytes.
static int32_t join_tokens(Bpe *b, int32_t left, int32_t right, size_t *cap, Arena *scratch)
{
    uint32_t l = b->start[left + 1] - b->start[left], r = b->start[right + 1] - b->start[right];
    uint32_t end = b->start[b->n_vocab];
    if ((uint64_t)end + l + r > UINT32_MAX) return -1;
    b->bytes = grow(b->bytes, end, (size_t)end + l + r, cap, scratch);
    memcpy(b->bytes + end, b->bytes + b->start[left], l);
    memcpy(b->bytes + end + l, b->bytes + b->start[right], r);
    int32_t known = bpe_find(b, b->bytes + end, (size_t)l + r);
    if (known >= 0) return known;
    b->start[b->n_vocab + 1] = end + l + r;
    add_token(b, b->n_vocab);
    return b->n_vocab++;
}

static Status train(Bpe *b, Arena *a, Arena *scratch, const char *text, size_t n, int32_t n_vocab)
{
    size_t cap = 1 << 16;
    b->bytes = arena_alloc(scratch, cap);
    b->start = arena_alloc(a, ((size_t)n_vocab + 1) * sizeof *b->start);
    b->start[0] = 0;
    new_tokens(b, a, n_vocab);
    for (int printable = 1; printable >= 0; printable--)     // GPT-2's order: printable bytes first
        for (int i = 0; i < 256; i++)
            if (is_printable((uint32_t)i) == printable) {
                b->bytes[b->n_vocab] = (char)i;
                b->byte_id[i] = b->n_vocab;
                b->start[b->n_vocab + 1] = (uint32_t)b->n_vocab + 1;
                add_token(b, b->n_vocab++);
            }
    int32_t max_merge = n_vocab - 257;
    b->merge = arena_alloc(a, (size_t)max_merge * sizeof *b->merge);
    b->pair_bits = table_bits((size_t)max_merge);
    b->pairs = new_pairs(a, b->pair_bits);

    Corpus c = split_words(b, scratch, text, n);
    size_t max_pairs = 3 * (size_t)c.n_id + 1;               // each merge in a word takes a token and makes two pairs
    PairCounts pc = {.bits = table_bits(max_pairs)};
    pc.slots = new_pairs(scratch, pc.bits);
    pc.item = arena_alloc(scratch, max_pairs * sizeof *pc.item);
    for (Word *w = c.word; w < c.word + c.n_word; w++) count_pairs(&pc, w, w->count);
    while (b->n_merge < max_merge) {
        int32_t best = best_pair(&pc);
        if (best < 0) break;
        BpeMerge m = {pc.item[best].left, pc.item[best].right, 0};
        BpePair *slot = pair_slot(b->pairs, b->pair_bits, m.left, m.right);
        if (slot->rank < 0) {    // else a known pair, which came back because two pairs make the same token
            m.result = join_tokens(b, m.left, m.right, &cap, scratch);
            if (m.result < 0)
                return ERROR("bpe: want tokens of at most 2^32 bytes together, got more after %d merges", b->n_merge);
            *slot = (BpePair){m.left, m.right, b->n_merge};
            b->merge[b->n_merge++] = m;
        }
        merge_words(&c, &pc, b->merge[slot->rank]);
    }
    uint32_t end = b->start[b->n_vocab], word = (uint32_t)strlen(endoftext);
    char *bytes = memcpy(arena_alloc(a, (size_t)end + word), b->bytes, end);
    memcpy(bytes + end, endoftext, word);
    b->bytes = bytes;
    b->start[b->n_vocab + 1] = end + word;
    add_token(b, b->n_vocab++);
    index_added(b, a, NULL, 0);
    return OK;
}

Status bpe_train(Bpe *b, Arena *a, Arena *scratch, const char *text, size_t n, int32_t n_vocab)
{
    CHECK(a != scratch, "bpe_train: want two arenas");
    if (n_vocab < 257) return ERROR("bpe: want a vocabulary of at least 257 tokens, got %d", n_vocab);
    if (n > MAX_TEXT) return ERROR("bpe: want a text of at most %d bytes to learn from, got %zu", MAX_TEXT, n);
    size_t mark = arena_mark(scratch);
    *b = (Bpe){0};
    Status s = train(b, a, scratch, text, n, n_vocab);
    arena_rewind(scratch, mark);
    return s;
}
