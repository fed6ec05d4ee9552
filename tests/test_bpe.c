// GPT-2's byte-pair encoding: published encodings, pieces, any bytes, long pieces against a naive derivation,
// damaged vocabularies, learning.
#include "llm/bpe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/unicode.h"
#include "io/file.h"
#include "io/json.h"
#include "tests/test.h"

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

// A file of ../shared/gpt2/tokenizer.
static Status read_shared(TestLog *log, char **text, size_t *size, Arena *a, const char *name)
{
    return file_read(text, size, a, arena_printf(a, "%s/gpt2/tokenizer/%s", log->shared, name), 1 << 20);
}

// Encodes and compares; decodes and compares.
static void check_encoding(TestLog *log, const Bpe *b, Arena *a, const char *text, size_t n, const int32_t *want,
                           int64_t n_want, bool special)
{
    size_t mark = arena_mark(a), back_len;
    int32_t *ids;
    int64_t n_ids;
    char *back;
    Status s = bpe_encode(&ids, &n_ids, b, a, text, n, special);
    bool same = !s.code && n_ids == n_want && (n_ids == 0 || memcmp(ids, want, (size_t)n_ids * sizeof *ids) == 0);
    TEST(log, same, "%.60s: want %" PRId64 " tokens from %d, got %" PRId64 " from %d %s", text, n_want,
         n_want ? want[0] : -1, n_ids, n_ids ? ids[0] : -1, s.msg);
    s = bpe_decode(&back, &back_len, b, a, want, n_want);
    TEST(log, !s.code && back_len == n && memcmp(back, text, n) == 0, "%.60s: decoded to %.60s %s", text, back, s.msg);
    arena_rewind(a, mark);
}

// ---- Published encodings ------------------------------------------------------------------------------------------

// The 47 cases of llama.cpp: texts between separator lines, one line of ids each.
static void llama_cases(TestLog *log, const Bpe *b, Arena *a)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char *in, *out;
    size_t n_in, n_out;
    int cases = 0;
    Status s = read_shared(log, &in, &n_in, a, "ggml-vocab-gpt-2.gguf.inp");
    if (!s.code)
        s = read_shared(log, &out, &n_out, a, "ggml-vocab-gpt-2.gguf.out");
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    for (char *text = in, *line = out, *end = in; end < in + n_in; text = end + strlen(separator)) {
        int32_t want[300];
        int64_t n = 0;
        char *eol = strchrnul(line, '\n');
        end = strstr(text, separator);
        if (!end) end = in + n_in;    // the last text
        for (char *p = line, *q; n < 300; p = q) {
            long id = strtol(p, &q, 10);
            if (q == p || q > eol) break;
            want[n++] = (int32_t)id;
        }
        check_encoding(log, b, a, text, (size_t)(end - text), want, n, true);
        line = *eol ? eol + 1 : eol;
        cases++;
    }
    TEST(log, cases == 47, "want 47 cases, got %d", cases);
}

static void known_encodings(TestLog *log, const Bpe *b, Arena *a)
{
    char *text;
    size_t size;
    int cases = 0;
    Status s = read_shared(log, &text, &size, a, "known_encodings.jsonl");
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), cases++) {
        const Json *r;
        s = json_parse(&r, a, line, strlen(line), "known_encodings.jsonl");
        const Json *t = s.code ? NULL : json_find(r, "text"), *ids = s.code ? NULL : json_find(r, "ids");
        if (!TEST(log, t && ids && ids->n <= 300, "%s", s.msg)) return;
        int32_t want[300];
        int64_t n = 0;
        for (const Json *v = ids->child; v; v = v->next) want[n++] = (int32_t)v->n;
        check_encoding(log, b, a, t->string, (size_t)t->n, want, n, true);
    }
    TEST(log, cases == 28, "want 28 cases, got %d", cases);
    check_encoding(log, b, a, "<|endoftext|>", 13, (int32_t[]){50256}, 1, true);
    check_encoding(log, b, a, "<|endoftext|>", 13, (int32_t[]){27, 91, 437, 1659, 5239, 91, 29}, 7, false);
}

// ---- Properties ---------------------------------------------------------------------------------------------------

// Step 2 derived otherwise: every merge in turn, over the whole piece.  Right where, as in GPT-2, no two merges make
// the same token.
static int64_t naive_merge(const Bpe *b, int32_t *id, int64_t n)
{
    for (int32_t m = 0; m < b->n_merge; m++) {
        int64_t out = 0;
        for (int64_t i = 0; i < n; out++) {
            bool hit = i + 1 < n && id[i] == b->merge[m].left && id[i + 1] == b->merge[m].right;
            id[out] = hit ? b->merge[m].result : id[i];
            i += hit ? 2 : 1;
        }
        n = out;
    }
    return n;
}

static void long_pieces(TestLog *log, const Bpe *b, Arena *a)
{
    static const char *const alphabets[] = {"a", "ab", "aeinrst", "abcdefghijklmnopqrstuvwxyz"};
    uint64_t state = 3;
    for (size_t len = 120; len <= (log->quick ? 130 : 600); len = len < 136 ? len + 2 : len * 2)
        for (size_t k = 0; k < 4; k++) {
            char text[1200];
            int32_t want[1200];
            for (size_t i = 0; i < len; i++) {
                text[i] = alphabets[k][next_random(&state) % strlen(alphabets[k])];
                want[i] = b->byte_id[(unsigned char)text[i]];
            }
            check_encoding(log, b, a, text, len, want, naive_merge(b, want, (int64_t)len), false);
        }
    // A megabyte without a piece boundary must not take quadratic time.
    size_t n = 1 << 20, mark = arena_mark(a);
    char *text = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++) text[i] = (char)('a' + next_random(&state) % 26);
    int32_t *ids;
    int64_t n_ids;
    size_t len;
    Status s = bpe_encode(&ids, &n_ids, b, a, text, n, true);
    TEST(log, !s.code && n_ids > 300000 && n_ids < 700000, "%" PRId64 " tokens", n_ids);
    char *back;
    s = bpe_decode(&back, &len, b, a, ids, n_ids);
    TEST(log, !s.code && len == n && memcmp(back, text, n) == 0, "1 MB of letters did not come back");
    arena_rewind(a, mark);
}

// Random bytes, with runs of valid text between, come back unchanged; each token comes back as its own bytes.
static void any_bytes(TestLog *log, const Bpe *b, Arena *a)
{
    static const char *const parts[] = {"hello", " ", "\n", "'ll", " \xC3\xA9t\xC3\xA9", "\xE4\xB8\xAD",
                                        "\xF0\x9F\xA6\x99", "\xE2\x80\x83", "12", "<|endoftext|>",
                                        "\xED\xA0\x80", "\xC3", "\0"};
    uint64_t state = 5;
    int wrong = 0;
    for (int trial = 0; trial < (log->quick ? 50 : 500); trial++) {
        char text[400], *back;
        size_t n = 0, len, mark = arena_mark(a);
        while (n < 300) {
            uint32_t r = next_random(&state) % 20;
            size_t part = r < 13 ? strlen(parts[r]) : 0;
            if (part) memcpy(text + n, parts[r], part), n += part;
            else text[n++] = (char)next_random(&state);
        }
        int32_t *ids;
        int64_t n_ids;
        Status s = bpe_encode(&ids, &n_ids, b, a, text, n, trial & 1);
        if (!s.code) s = bpe_decode(&back, &len, b, a, ids, n_ids);
        wrong += s.code || len != n || memcmp(back, text, n) != 0;
        arena_rewind(a, mark);
    }
    TEST(log, wrong == 0, "%d texts did not come back", wrong);
    char *back;
    size_t len;
    Status s = bpe_decode(&back, &len, b, a, (int32_t[]){0, b->n_vocab}, 2);
    TEST(log, s.code && strstr(s.msg, "token 1: want an id in 0.."), "%s", s.msg);
    s = bpe_decode(&back, &len, b, a, (int32_t[]){-1}, 1);
    TEST(log, s.code && strstr(s.msg, "got -1"), "%s", s.msg);
    s = bpe_decode(&back, &len, b, a, NULL, 0);
    TEST(log, !s.code && len == 0 && back[0] == 0, "no ids: %s", s.msg);
}

static void pieces(TestLog *log)
{
    // '|' shows the boundaries; checked with Python's regex module
    static const char *const cases[] = {
        "Hello| world", "a| | b", "it|'s", "'s|x", "I|'ll|'d|'ve|'re|'m|'t", "'|S", "don|'t|!", " '", " '|s", "!'|s",
        "a|1|b", " 12| ab", "   | x", "x|   ", "x| |\n|y", "\n\n|\n|a", "\t|a", "\t| a", " |\t|a", "a|\xC2\xA0|b",
        "\xC3\xA9" "a|\xE2\x85\xA3\xC2\xBD" "3", "$|a", " $#|a", "\xFF|a", " \xFF\xFE", "a|\xCC\x81|b", "\x1C\x1D",
        "\xE3\x80\x80|\xE3\x80\x80|a"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64], got[128];
        size_t n = 0, used = 0;
        for (const char *p = cases[i]; *p; p++)
            if (*p != '|') text[n++] = *p;
        for (size_t at = 0, len; at < n; at += len, used += len) {
            if (at) got[used++] = '|';
            len = bpe_piece(text + at, n - at);
            memcpy(got + used, text + at, len);
        }
        got[used] = 0;
        TEST(log, strcmp(got, cases[i]) == 0, "want %s, got %s", cases[i], got);
    }
    int64_t count[4] = {0};
    for (uint32_t cp = 0; cp < 0x110000; cp++) count[unicode_class(cp)]++;
    TEST(log, count[UNICODE_LETTER] == 131756 && count[UNICODE_NUMBER] == 1791 && count[UNICODE_SPACE] == 25,
         "Unicode 14 has 131756 letters, 1791 numbers, 25 spaces, got %" PRId64 ", %" PRId64 ", %" PRId64,
         count[UNICODE_LETTER], count[UNICODE_NUMBER], count[UNICODE_SPACE]);
}

// ---- Files --------------------------------------------------------------------------------------------------------

static Status load_texts(TestLog *log, Bpe *b, Arena *a, Arena *scratch, const char *vocab, const char *merges)
{
    const char *v = arena_printf(scratch, "%s/v.json", log->tmp), *m = arena_printf(scratch, "%s/m.txt", log->tmp);
    TRY(file_write(v, vocab, strlen(vocab)));
    TRY(file_write(m, merges, strlen(merges)));
    return bpe_load(b, a, scratch, v, m);
}

// encoder.json of the 256 bytes without its closing brace, as bpe_save writes it.
static const char *byte_vocab(TestLog *log, Arena *a, Arena *scratch)
{
    Bpe b;
    char *text;
    size_t n;
    const char *v = arena_printf(a, "%s/bytes.json", log->tmp), *m = arena_printf(a, "%s/bytes.txt", log->tmp);
    Status s = bpe_train(&b, a, scratch, "", 0, 257);
    if (!s.code) s = bpe_save(&b, scratch, v, m);
    if (!s.code) s = file_read(&text, &n, a, v, 1 << 20);
    CHECK(!s.code, "%s", s.msg);
    *strstr(text, ",\"<|endoftext|>\"") = 0;
    return text;
}

static void damaged_vocabularies(TestLog *log, Arena *a, Arena *scratch)
{
    const char *bytes = byte_vocab(log, a, scratch);
    // what follows the 256 bytes in the vocabulary, the merges, what the message must say; NULL = fine
    static const struct { const char *vocab, *merges, *says; } cases[] = {
        {",\"ab\":256}", "#version: 0.2\na b\n", NULL},
        {",\"ab\":256}", "a b", NULL},
        {",\"ab\":256,\"abc\":257,\"bc\":258}", "a b\nb c\nab c\na bc\n", NULL},
        {",\"##\":256}", "# #\n", NULL},
        {",\"ab\":256", "a b\n", "want ',' or '}', got the end"},
        {",\"ab\":257}", "a b\n", "\"ab\": want an id in 0..256, as there are 257 tokens, got 257"},
        {",\"ab\":-1}", "a b\n", "got -1"},
        {",\"ab\":\"x\"}", "a b\n", "got \"x\""},
        {",\"ab\":255}", "a b\n", "have the same id 255"},
        {",\"ab\":256,\"a b\":257}", "a b\n", NULL},       // tokens that stand for no bytes: no text becomes them
        {",\"ab\":256,\"\xE4\xB8\xAD\":257}", "a b\n", NULL},
        {",\"ab\":256}", "#version: 0.2\n# learned from a text\n\na b\n\n", NULL},
        {",\"ab\":256}", "#version: 0.2\r\na b\r\n", NULL},
        {",\"\":256}", "a b\n", "\"\": want characters, got none"},
        {"}", "a b\n", "m.txt:1: the result of \"a b\" is not a token"},
        {",\"ab\":256}", "a b\na x y\n", "m.txt:2: want two tokens with a space between"},
        {",\"ab\":256}", "a b\n\na b\n", "m.txt:3: the pair \"a b\" comes twice"},
        {",\"ab\":256}", "ab\n", "m.txt:1: want two tokens"},
        {",\"ab\":256}", " ab\n", "m.txt:1: \"\" is not a token"},
        {",\"ab\":256}", "a b\nab b\n", "m.txt:2: the result of \"ab b\" is not a token"},
        {",\"ab\":256}", "a b\na b\n", "m.txt:2: the pair \"a b\" comes twice"},
        {",\"ab\":256,\"abc\":257}", "ab c\na b\n", "m.txt:1: \"ab\" is not a byte and no earlier line makes it"},
        {",\"ab\":256}", "", "m.txt: the file is empty"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Bpe b;
        size_t mark = arena_mark(a);
        Status s = load_texts(log, &b, a, scratch, arena_printf(a, "%s%s", bytes, cases[i].vocab), cases[i].merges);
        char says[200] = "";
        if (cases[i].says) snprintf(says, sizeof says, "%s", cases[i].says);
        for (char *p = says; *p; p++) if (*p == '\r') *p = ' ';
        TEST(log, says[0] ? s.code && strstr(s.msg, says) : !s.code, "%s %s: want \"%s\", got \"%s\"", cases[i].vocab,
             cases[i].merges, says, s.msg);
        arena_rewind(a, mark);
    }
    Bpe b;
    Status s = load_texts(log, &b, a, scratch, "{\"a\":0}", "a b\n");
    TEST(log, s.code && strstr(s.msg, "want a token for each byte, got none for 0x00"), "%s", s.msg);
    s = load_texts(log, &b, a, scratch, "{}", "a b\n");
    TEST(log, s.code && strstr(s.msg, "want an object {\"token\": id"), "%s", s.msg);
    s = load_texts(log, &b, a, scratch, "[1]", "a b\n");
    TEST(log, s.code && strstr(s.msg, "got an array of 1"), "%s", s.msg);
    s = bpe_load_dir(&b, a, scratch, log->tmp);
    TEST(log, s.code && strstr(s.msg, "found none of them"), "%s", s.msg);

    // Two merges make "abc", and the second has a higher rank than "abc a": still all occurrences of a pair are merged
    // before new pairs are looked at, in short and in long pieces.
    s = load_texts(log, &b, a, scratch, arena_printf(a, "%s,\"bc\":256,\"ab\":257,\"abc\":258,\"abca\":259}", bytes),
                   "b c\na b\nab c\nabc a\na bc\n");
    TEST(log, !s.code && b.n_merge == 5 && b.merge[4].result == 258, "%s", s.msg);
    enum { TIMES = 60 };
    char text[3 * TIMES + 1] = "";
    int32_t want[TIMES];
    for (int i = 0; i < TIMES; i++) {
        memcpy(text + 3 * i, "abc", 4);
        want[i] = 258;
        check_encoding(log, &b, a, text, 3 * (size_t)i + 3, want, i + 1, true);
    }
}

static void learning(TestLog *log, Arena *a, Arena *scratch)
{
    Bpe b;
    Status s = bpe_train(&b, a, scratch, "aaabdaaabac", 11, 300);
    int32_t x = b.byte_id['a'], y = b.byte_id['b'];
    // aa comes 4 times; then "aa a" and "a b" twice each: the lower ids; then "aa ab"
    TEST(log, !s.code && x == 64 && b.n_merge == 3 && b.n_vocab == 260 && b.endoftext == 259, "%s %d merges", s.msg,
         b.n_merge);
    TEST(log, b.merge[0].left == x && b.merge[0].right == x && b.merge[1].left == x && b.merge[1].right == y
         && b.merge[2].left == 256 && b.merge[2].right == 257 && bpe_find(&b, "aaab", 4) == 258, "other merges");
    check_encoding(log, &b, a, "aaabdaaabac", 11, (int32_t[]){258, b.byte_id['d'], 258, x, b.byte_id['c']}, 5, true);
    s = bpe_train(&b, a, scratch, "aaab", 4, 256);
    TEST(log, s.code && strstr(s.msg, "at least 257 tokens, got 256"), "%s", s.msg);

    // Learn from random syllables; what was learned survives its files and encodes every text.
    enum { N = 20000 };
    char *text = arena_alloc(a, N);
    uint64_t state = 9;
    for (int i = 0; i < N; i++) text[i] = "  aaeiou\nnrst\xC3\xA9" "12"[next_random(&state) % 17];
    s = bpe_train(&b, a, scratch, text, N, 600);
    TEST(log, !s.code && b.n_merge == 343 && b.n_vocab <= 600, "%s: %d merges, %d tokens", s.msg, b.n_merge, b.n_vocab);
    const char *v = arena_printf(a, "%s/l.json", log->tmp), *m = arena_printf(a, "%s/l.txt", log->tmp);
    Bpe c;
    s = bpe_save(&b, scratch, v, m);
    if (!s.code) s = bpe_load(&c, a, scratch, v, m);
    bool same = !s.code && c.n_vocab == b.n_vocab && c.n_merge == b.n_merge && c.endoftext == b.endoftext;
    if (!TEST(log, same, "%s", s.msg)) return;
    TEST(log, memcmp(b.merge, c.merge, (size_t)b.n_merge * sizeof *b.merge) == 0, "merges changed in the files");
    int32_t *ids;
    int64_t n_ids;
    s = bpe_encode(&ids, &n_ids, &b, a, text, N, true);
    TEST(log, !s.code && n_ids < N * 7 / 10, "%d bytes became %" PRId64 " tokens", N, n_ids);
    check_encoding(log, &c, a, text, N, ids, n_ids, true);
    any_bytes(log, &b, a);
}

// llm.c's published count of tinyshakespeare: <|endoftext|> before each section, sections end at empty lines.
static void tinyshakespeare(TestLog *log, const Bpe *b, Arena *a)
{
    const char *path = getenv("TINYSHAKESPEARE");
    if (!path) {
        test_skip(log, "skipped: want TINYSHAKESPEARE=input.txt of karpathy/char-rnn (1,115,394 bytes)");
        return;
    }
    char *text;
    size_t size;
    Status s = file_read(&text, &size, a, path, 4 << 20);
    if (!TEST(log, !s.code && size == 1115394, "%s: %zu bytes %s", path, size, s.msg)) return;
    int64_t tokens = 0;
    for (char *from = text, *next; from < text + size; from = next) {
        char *gap = memmem(from, (size_t)(text + size - from), "\n\n", 2);
        next = gap ? gap + 2 : text + size;
        int32_t *ids;
        int64_t n_ids;
        s = bpe_encode(&ids, &n_ids, b, a, from, (size_t)(next - from), false);
        if (!TEST(log, !s.code, "%s", s.msg)) return;
        tokens += 1 + n_ids;
    }
    TEST(log, tokens == 338028, "tinyshakespeare: %" PRId64 " tokens, llm.c publishes 338028", tokens);
}

static void gpt2_vocabulary(TestLog *log, Arena *a, Arena *scratch)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/gpt2/tokenizer (published encodings)");
        return;
    }
    Bpe b;
    const char *dir = arena_printf(a, "%s/gpt2/tokenizer", log->shared);
    Status s = bpe_load_dir(&b, a, scratch, dir);
    if (!TEST(log, !s.code && b.n_vocab == 50257 && b.n_merge == 50000 && b.endoftext == 50256, "%s", s.msg)) return;
    llama_cases(log, &b, a);
    known_encodings(log, &b, a);
    tinyshakespeare(log, &b, a);
    any_bytes(log, &b, a);
    long_pieces(log, &b, a);
    int wrong = 0;
    for (int32_t id = 0; id < b.n_vocab; id++) {
        size_t n = b.start[id + 1] - b.start[id], mark = arena_mark(a);
        int32_t *ids;
        int64_t n_ids;
        if (bpe_piece(b.bytes + b.start[id], n) != n && id != b.endoftext) continue;
        s = bpe_encode(&ids, &n_ids, &b, a, b.bytes + b.start[id], n, true);
        wrong += s.code || n_ids != 1 || ids[0] != id;
        arena_rewind(a, mark);
    }
    TEST(log, wrong == 0, "%d tokens do not encode to themselves", wrong);
    // Our files hold the same vocabulary; the merges are the same bytes.
    const char *v = arena_printf(a, "%s/g.json", log->tmp), *m = arena_printf(a, "%s/g.txt", log->tmp);
    Bpe c;
    s = bpe_save(&b, scratch, v, m);
    if (!s.code) s = bpe_load(&c, a, scratch, v, m);
    TEST(log, !s.code && c.n_vocab == b.n_vocab
         && memcmp(c.start, b.start, ((size_t)b.n_vocab + 1) * sizeof *b.start) == 0
         && memcmp(c.bytes, b.bytes, b.start[b.n_vocab]) == 0, "%s", s.msg);
    char *x, *y;
    size_t nx, ny;
    s = file_read(&x, &nx, a, m, 1 << 30);
    if (!s.code) s = file_read(&y, &ny, a, arena_printf(a, "%s/vocab.bpe", dir), 1 << 30);
    TEST(log, !s.code && nx == ny && memcmp(x, y, nx) == 0, "the merges file differs %s", s.msg);
}

void test_bpe(TestLog *log)
{
    Arena *a = arena_new("test_bpe", (size_t)256 << 20, NULL), *scratch = arena_new("scratch", (size_t)256 << 20, NULL);
    CHECK(a && scratch, "no memory");
    pieces(log);
    damaged_vocabularies(log, a, scratch);
    learning(log, a, scratch);
    gpt2_vocabulary(log, a, scratch);
    arena_delete(a);
    arena_delete(scratch);
}
