#include "llm/bpe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "llm/bpe_parts.h"
#include "llm/unicode.h"

static const char endoftext[] = BPE_ENDOFTEXT;

// ---- Hash tables: open addressing, at most half full --------------------------------------------------------------

int bpe_table_bits(size_t n)
{
    int bits = 4;
    while ((size_t)1 << bits < 2 * n) bits++;
    return bits;
}

uint64_t bpe_hash(const char *s, size_t n)
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
BpePair *bpe_pair_slot(BpePair *pairs, int bits, int32_t left, int32_t right)
{
    size_t mask = ((size_t)1 << bits) - 1, i = (size_t)(hash_pair(left, right) >> (64 - bits));
    while (pairs[i].rank >= 0 && (pairs[i].left != left || pairs[i].right != right)) i = (i + 1) & mask;
    return &pairs[i];
}

BpePair *bpe_pairs_new(Arena *a, int bits)
{
    size_t bytes = sizeof(BpePair) << bits;
    return memset(arena_alloc(a, bytes), -1, bytes);
}

static int32_t *token_slot(const Bpe *b, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << b->token_bits) - 1, i = (size_t)(bpe_hash(s, n) >> (64 - b->token_bits));
    for (; b->tokens[i] >= 0; i = (i + 1) & mask) {
        const uint32_t *start = &b->start[b->tokens[i]];
        if (start[1] - start[0] == n && memcmp(b->bytes + start[0], s, n) == 0) break;
    }
    return &b->tokens[i];
}

int32_t bpe_find(const Bpe *b, const char *bytes, size_t n) { return *token_slot(b, bytes, n); }

void bpe_tokens_new(Bpe *b, Arena *a, int32_t n_max)
{
    b->token_bits = bpe_table_bits((size_t)n_max);
    size_t bytes = sizeof(int32_t) << b->token_bits;
    b->tokens = memset(arena_alloc(a, bytes), -1, bytes);
}

void bpe_token_add(Bpe *b, int32_t id)
{
    *token_slot(b, b->bytes + b->start[id], b->start[id + 1] - b->start[id]) = id;
}

static int by_first_byte(const void *pa, const void *pb)
{
    const BpeAdded *a = pa, *b = pb;
    const int x = (unsigned char)*a->text, y = (unsigned char)*b->text;
    return x != y ? (x > y) - (x < y) : (a->len < b->len) - (a->len > b->len);
}

// Added tokens by first byte, long ones first: the first that matches is the longest.  <|endoftext|> is special whether
// a file says so or not.
void bpe_added_index(Bpe *b, Arena *a, const BpeAdded *added, int64_t n)
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
    int32_t rank = bpe_pair_slot(b->pairs, b->pair_bits, left, right)->rank;
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
