// Learning merges from a text.  Contract: bpe.h.
#include <string.h>

#include "llm/bpe_parts.h"

enum { MAX_TEXT = 1 << 29 };   // bytes of a text to learn from
static const char endoftext[] = BPE_ENDOFTEXT;

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
    int bits = bpe_table_bits(pieces);
    size_t mask = ((size_t)1 << bits) - 1;
    int64_t *slots = arena_zalloc(scratch, sizeof *slots << bits);    // index + 1, 0 = free
    Corpus c = {.word = arena_alloc(scratch, pieces * sizeof *c.word)};
    for (size_t at = 0, len; at < n; at += len) {
        const char *p = text + at;
        len = bpe_piece(p, n - at);
        size_t i = (size_t)(bpe_hash(p, len) >> (64 - bits));
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
        BpePair *slot = bpe_pair_slot(pc->slots, pc->bits, w->id[i], w->id[i + 1]);
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
    bpe_token_add(b, b->n_vocab);
    return b->n_vocab++;
}

static Status train(Bpe *b, Arena *a, Arena *scratch, const char *text, size_t n, int32_t n_vocab)
{
    size_t cap = 1 << 16;
    b->bytes = arena_alloc(scratch, cap);
    b->start = arena_alloc(a, ((size_t)n_vocab + 1) * sizeof *b->start);
    b->start[0] = 0;
    bpe_tokens_new(b, a, n_vocab);
    for (int printable = 1; printable >= 0; printable--)     // GPT-2's order: printable bytes first
        for (int i = 0; i < 256; i++)
            if (bpe_byte_is_printable((uint32_t)i) == printable) {
                b->bytes[b->n_vocab] = (char)i;
                b->byte_id[i] = b->n_vocab;
                b->start[b->n_vocab + 1] = (uint32_t)b->n_vocab + 1;
                bpe_token_add(b, b->n_vocab++);
            }
    int32_t max_merge = n_vocab - 257;
    b->merge = arena_alloc(a, (size_t)max_merge * sizeof *b->merge);
    b->pair_bits = bpe_table_bits((size_t)max_merge);
    b->pairs = bpe_pairs_new(a, b->pair_bits);

    Corpus c = split_words(b, scratch, text, n);
    size_t max_pairs = 3 * (size_t)c.n_id + 1;               // each merge in a word takes a token and makes two pairs
    PairCounts pc = {.bits = bpe_table_bits(max_pairs)};
    pc.slots = bpe_pairs_new(scratch, pc.bits);
    pc.item = arena_alloc(scratch, max_pairs * sizeof *pc.item);
    for (Word *w = c.word; w < c.word + c.n_word; w++) count_pairs(&pc, w, w->count);
    while (b->n_merge < max_merge) {
        int32_t best = best_pair(&pc);
        if (best < 0) break;
        BpeMerge m = {pc.item[best].left, pc.item[best].right, 0};
        BpePair *slot = bpe_pair_slot(b->pairs, b->pair_bits, m.left, m.right);
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
    bpe_token_add(b, b->n_vocab++);
    bpe_added_index(b, a, NULL, 0);
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
