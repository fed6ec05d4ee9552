// Tokenisers in files as people have them, and what the commands make of a model's directory: text without a tokeniser,
// files of other kinds, side files, other working directories.  Every file is made here.
#include <sys/stat.h>
#include <unistd.h>

#include "llm/bpe.h"
#include "tensor/utf8.h"
#include "tests/llm_world.h"
#include "tests/model_files.h"
#include "tests/run_lead.h"

static bool exists(World *w, const char *dir, const char *name)
{
    return access(arena_printf(w->perm, "%s/%s", dir, name), F_OK) == 0;
}

typedef struct Words { World *w; TestLog *log; const char *dir, *vocab; } Words;

// Ids of a text, as "1 2 3"; the message when the tokeniser is refused.
static const char *ids_of(const Words *k, const char *text)
{
    Bpe b;
    int32_t *ids;
    int64_t n;
    World *w = k->w;
    Status s = bpe_load_dir(&b, w->perm, w->scratch, k->dir);
    if (!s.code) s = bpe_encode(&ids, &n, &b, w->perm, text, strlen(text), true);
    const char *out = s.code ? arena_printf(w->perm, "%s", s.msg) : "";
    for (int64_t i = 0; !s.code && i < n; i++) out = arena_printf(w->perm, "%s%s%d", out, i ? " " : "", ids[i]);
    return out;
}

static void want_ids(const Words *k, const char *text, const char *want)
{
    const char *got = ids_of(k, text);
    TEST(k->log, !strcmp(got, want), "'%s': want %s, got %s", text, want, got);
}

// tokenizer.json of the bytes and "th", "the", with these parts.
static void put_tokenizer(const Words *k, const char *added, const char *pre, const char *merges, const char *more)
{
    const char *text = arena_printf(k->w->perm,
                                    "{\"added_tokens\": [%s], \"pre_tokenizer\": %s, %s \"model\": {\"type\": \"BPE\", "
                                    "\"vocab\": %s,\"th\":256,\"the\":257}, \"merges\": [%s]}}",
                                    added, pre, more, k->vocab, merges);
    model_put(k->w, k->dir, "tokenizer.json", text);
}

// {"..": 0, .. of the 256 bytes, without the closing brace; byte ' ' has id 220, 'a' 64, 't' 83.
static const char *byte_vocabulary(World *w, const char *dir)
{
    Bpe b;
    char *text;
    size_t n;
    Status s = bpe_train(&b, w->perm, w->scratch, "", 0, 257);
    const char *v = arena_printf(w->perm, "%s/bytes.json", dir), *m = arena_printf(w->perm, "%s/bytes.txt", dir);
    if (!s.code) s = bpe_save(&b, w->scratch, v, m);
    if (!s.code) s = file_read(&text, &n, w->perm, v, 1 << 20);
    CHECK(!s.code, "%s", s.msg);
    *strstr(text, ",\"<|endoftext|>\"") = 0;
    return text;
}

#define BYTE_LEVEL "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true}"
#define PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+"
#define MERGES "\"t h\", [\"th\", \"e\"]"

static void refused_tokenizers(const Words *k)
{
    static const struct { const char *added, *pre, *merges, *more, *want; } bad[] = {
        {"", "{\"type\": \"Metaspace\"}", MERGES, "", "want ByteLevel alone, GPT-2's, got \"Metaspace\""},
        {"", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\"}, " BYTE_LEVEL "]}", MERGES, "",
         "got \"Digits\""},
        {"", "{\"type\": \"Sequence\", \"pretokenizers\": [" BYTE_LEVEL ", {\"type\": \"Digits\"}]}", MERGES, "",
         "got \"Digits\""},
        {"", "{\"type\": \"ByteLevel\", \"use_regex\": false}", MERGES, "", "use_regex false"},
        {"", "null", MERGES, "", "pre_tokenizer: want ByteLevel alone"},
        {"", BYTE_LEVEL, MERGES, "\"normalizer\": {\"type\": \"NFC\"},", "normalizer: want none, got \"NFC\""},
        {"", BYTE_LEVEL, MERGES, "\"decoder\": {\"type\": \"WordPiece\"},", "decoder: want ByteLevel, got"},
        {"", BYTE_LEVEL, "[\"t\"]", "", "model.merges: want"},
        {"{\"id\": 258}", BYTE_LEVEL, MERGES, "", "added token: want {\"id\": number"},
        {"{\"id\": 257, \"content\": \"<s>\"}", BYTE_LEVEL, MERGES, "", "own, got 257, which \"the\" has"},
        {"{\"id\": 258, \"content\": \"<s>\", \"single_word\": true}", BYTE_LEVEL, MERGES, "", "single_word: want"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_tokenizer(k, bad[i].added, bad[i].pre, bad[i].merges, bad[i].more);
        const char *got = ids_of(k, "the");
        TEST(k->log, strstr(got, bad[i].want), "want '%s', got '%s'", bad[i].want, got);
    }
    static const struct { const char *model, *want; } models[] = {
        {"\"type\": \"WordPiece\"", "model: want \"BPE\", got \"WordPiece\""},
        {"\"ignore_merges\": true", "model.ignore_merges: want false, got true"},
        {"\"dropout\": 0.1", "model.dropout: want none, got 0.1"},
        {"\"end_of_word_suffix\": \"</w>\"", "model.end_of_word_suffix: want none"},
        {"\"dropout\": 0, \"continuing_subword_prefix\": \"\"", "model.vocab: want an object"}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        model_put(k->w, k->dir, "tokenizer.json",
            arena_printf(k->w->perm, "{\"pre_tokenizer\": " BYTE_LEVEL ", \"model\": {%s}}", models[i].model));
        const char *got = ids_of(k, "the");
        TEST(k->log, strstr(got, models[i].want), "want '%s', got '%s'", models[i].want, got);
    }
}

static void tokenizers(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    Words k = {w, log, model_directory(log, w, "tokenizer"), NULL};
    k.vocab = byte_vocabulary(w, k.dir);
    put_tokenizer(&k, "{\"id\": 258, \"content\": \"<|endoftext|>\"}, {\"id\": 260, \"content\": \"<s>\"}, "
                  "{\"id\": 261, \"content\": \"<s><s>\"}, {\"id\": 262, \"content\": \"<m>\", \"lstrip\": true}, "
                  "{\"id\": 263, \"content\": \"<r>\", \"rstrip\": true}", BYTE_LEVEL, MERGES, "");
    want_ids(&k, "the", "257");
    want_ids(&k, "the<|endoftext|> th", "257 258 220 256");
    want_ids(&k, "<s>the<s><s>", "260 257 261");                     // the longest
    want_ids(&k, "a \n<m> a", "64 262 220 64");                     // takes the space before it
    want_ids(&k, "<r> \n a", "263 64");                             // and behind it
    want_ids(&k, "<s", "27 82");
    Bpe b;
    char *text;
    size_t len;
    Status s = bpe_load_dir(&b, w->perm, w->scratch, k.dir);
    if (!s.code) s = bpe_decode(&text, &len, &b, w->perm, (int32_t[]){260, 257, 262}, 3);
    TEST(log, !s.code && !strcmp(text, "<s>the<m>"), "%s", s.msg);
    s = bpe_decode(&text, &len, &b, w->perm, (int32_t[]){259}, 1);
    TEST(log, s.code == 1 && strstr(s.msg, "got 259, which none has"), "'%s'", s.msg);
    put_tokenizer(&k, "", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
                  "{\"Regex\": \"" PATTERN "\"}, \"behavior\": \"Isolated\"}, {\"type\": \"ByteLevel\", "
                  "\"add_prefix_space\": true, \"use_regex\": false}]}", MERGES, "");
    want_ids(&k, "the the", "220 257 220 257");                     // a space is put in front
    refused_tokenizers(&k);
    unlink(arena_printf(w->perm, "%s/tokenizer.json", k.dir));
    model_put(w, k.dir, "vocab.json", arena_printf(w->perm, "%s,\"th\":256,\"the\":257,\"<s>\":258}", k.vocab));
    model_put(w, k.dir, "merges.txt", "#version: 0.2\r\nt h\r\nth e\r\n");
    want_ids(&k, "<s>the<u>", "27 82 29 257 27 84 29");
    model_put(w, k.dir, "tokenizer_config.json",
              "{\"additional_special_tokens\": [\"<s>\"], \"add_prefix_space\": true}");
    want_ids(&k, "<s>the", "258 220 257");
    unlink(arena_printf(w->perm, "%s/tokenizer_config.json", k.dir));
    model_put(w, k.dir, "added_tokens.json", "{\"<u>\": 259}");
    model_put(w, k.dir, "special_tokens_map.json", "{\"bos_token\": \"<s>\", \"pad_token\": {\"content\": \"<pad>\"}}");
    want_ids(&k, "<s>the<u>", "258 257 259");
    s = bpe_load_dir(&b, w->perm, w->scratch, k.dir);
    TEST(log, !s.code && b.note && strstr(b.note, "without an id are read as text: <pad>"), "note '%s'", b.note);
    model_put(w, k.dir, "tokenizer_config.json", "{\"added_tokens_decoder\": {\"260\": {\"content\": \"<pad>\"}}}");
    want_ids(&k, "<pad>", "260");
    model_put(w, k.dir, "tokenizer_config.json", "{\"added_tokens_decoder\": {\"261\": {\"content\": \"<u>\"}}}");
    const char *got = ids_of(&k, "a");
    TEST(log, strstr(got, "added token \"<u>\": want the id 259 that another place gives it, got 261"), "'%s'", got);
    world_delete(w);
}

// ---- the commands ---------------------------------------------------------------------------------------------------

static void says(TestLog *log, const Ran *r, int code, const char *want)
{
    TEST(log, r->code == code && (strstr(r->err, want) || strstr(r->out, want)),
         "want '%s', exit %d, got %d: '%s' '%s'", want, code, r->code, r->err, r->out);
}

// A model of 259 tokens with a tokeniser of added tokens.
static const char *put_family(TestLog *log, World *w, bool with_tokenizer, const char *name)
{
    Words k = {w, log, model_directory(log, w, name), NULL};
    k.vocab = byte_vocabulary(w, model_directory(log, w, "scratch"));
    world_put_model(w, k.dir, "{\"vocab_size\": 259, \"n_positions\": 8, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 2, "
              "\"id2label\": {\"0\": \"kept\"}}");
    if (with_tokenizer)
        put_tokenizer(&k, "{\"id\": 258, \"content\": \"<|endoftext|>\"}", BYTE_LEVEL, MERGES, "");
    return k.dir;
}

static void commands(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    Arena *a = w->perm;
    const char *m = put_family(log, w, true, "m"), *bare = put_family(log, w, false, "bare");
    const Ran text = lead_run(log, a, "gpt2 logits --llm %s --text the<|endoftext|> --top 1", m),
              ids = lead_run(log, a, "gpt2 logits --llm %s --tokens 257,258 --top 1", m);
    TEST(log, text.code == 0 && !strcmp(text.out, ids.out) && *ids.out, "text '%s' %s, ids '%s'", text.out, text.err,
         ids.out);
    Ran r = lead_run(log, a, "gpt2 logits --llm %s --text the", bare);
    says(log, &r, 1, "want --tokenizer DIR to read text for a model of 259 tokens, got none");
    model_put(w, bare, "text", "the low the low the low the low");
    r = lead_run(log, a, "gpt2 train --llm %s --data %s/text --steps 1 --context 4 --out %s/run", bare, bare, bare);
    says(log, &r, 1, "want --tokenizer DIR to read text");
    r = lead_run(log, a, "gpt2 logits --llm %s --tokenizer %s/tokenizer.json --text the --top 1", bare, m);
    says(log, &r, 0, "position");
    model_put(w, bare, "tokenizer.json", "{\"model\": {\"type\": \"Unigram\"}}");     // only text needs it
    r = lead_run(log, a, "gpt2 logits --llm %s --tokens 1 --top 1", bare);
    says(log, &r, 0, "note: tokens stay numbers: ");
    r = lead_run(log, a, "gpt2 logits --llm %s --text a --top 1", bare);
    says(log, &r, 1, "tokenizer.json: model: want \"BPE\", got \"Unigram\"");
    r = lead_run(log, a, "gpt2 generate --llm %s --text the --n 20", m);
    says(log, &r, 0, "beyond the model's 8 positions");
    // files of other kinds
    const char *fifo = arena_printf(a, "%s/fifo", bare);
    TEST(log, mkfifo(fifo, 0666) == 0, "no FIFO");
    r = lead_run(log, a, "gpt2 eval %s --llm %s", fifo, m);          // a test that hangs without the fix
    says(log, &r, 1, "want a regular file, got a pipe");
    r = lead_run(log, a, "gpt2 eval %s --llm %s", bare, m);
    says(log, &r, 1, "want a regular file, got a directory");
    const Status s = file_write(arena_printf(a, "%s/ids", bare), "a\0b\0c\0\1\1", 8);
    r = lead_run(log, a, "gpt2 eval %s/ids --llm %s", bare, m);
    TEST(log, !s.code, "%s", s.msg);
    says(log, &r, 1, "want text, got binary data (byte 1 is zero)");
    model_put(w, bare, "control", "\1\2\3 the low \4\5 the low");
    r = lead_run(log, a, "gpt2 eval %s/control --llm %s", bare, m);
    says(log, &r, 1, "want text, got binary data (5 of 22 bytes are control characters)");
    model_put(w, bare, "npy", "\x93NUMPY......");
    r = lead_run(log, a, "gpt2 train --llm %s --data %s/npy --out %s/run", m, bare, bare);
    says(log, &r, 1, "want text, got a .npy array");
    r = lead_run(log, a, "gpt2 eval %s/\033[31mx --llm %s", bare, m);
    TEST(log, r.code == 1 && strstr(r.err, "\\x1B[31mx") && !strchr(r.err, '\033'), "an escape sequence: '%s'", r.err);
    world_delete(w);
}

// convert, merge and fine-tuning keep the tokeniser; the first two config.json, too.
static void side_files(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    Arena *a = w->perm;
    const char *m = put_family(log, w, true, "source"), *out = arena_printf(a, "%s/tokenizer-out", log->tmp);
    model_put(w, m, "special_tokens_map.json", "{\"eos_token\": \"<|endoftext|>\"}");
    model_put(w, m, "text", "the the the the the the the the the the the the the the the the the the the the");
    Ran r = lead_run(log, a, "gpt2 convert %s %s-1", m, out);
    says(log, &r, 0, "");
    r = lead_run(log, a, "gpt2 train --llm %s --data %s/text --lora 1 --steps 1 --context 4 --out %s-2", m, m, out);
    says(log, &r, 0, "");
    r = lead_run(log, a, "gpt2 merge --llm %s --adapter %s-2 --out %s-3", m, out, out);
    says(log, &r, 0, "");
    r = lead_run(log, a, "gpt2 train --llm %s --data %s/text --steps 1 --context 4 --out %s-4", m, m, out);
    says(log, &r, 0, "");
    r = lead_run(log, a, "gpt2 train --layers 1 --tokenizer %s/tokenizer.json --data %s/text --steps 1 --context 4 "
                 "--out %s-5", m, m, out);
    says(log, &r, 0, "");
    TEST(log, exists(w, arena_printf(a, "%s-5", out), "tokenizer.json"), "a tokenizer.json by its name is not kept");
    for (int i = 1; i <= 4; i++) {
        const char *dir = arena_printf(a, "%s-%d", out, i);
        TEST(log, exists(w, dir, "tokenizer.json") && exists(w, dir, "special_tokens_map.json"), "%s: no tokeniser",
             dir);
        const char *config = slurp(a, arena_printf(a, "%s/config.json", dir));
        TEST(log, (i == 1 || i == 3) == (strstr(config, "kept") != NULL), "%s: config.json '%s'", dir, config);
    }
    r = lead_run(log, a, "gpt2 convert --dtype bf16 %s %s/../model-source", m, m);
    says(log, &r, 1, "want another place than the model's own");
    model_put(w, arena_printf(a, "%s-1", out), "merges.txt", "x");
    r = lead_run(log, a, "gpt2 convert %s %s-1", m, out);
    says(log, &r, 1, "merges.txt: belongs to another model");
    world_delete(w);
}

// The bundled model is found beside the program, whatever the working directory.
static void anywhere(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    char here[4096];
    if (!getcwd(here, sizeof here)) return;
    const char *lead = *log->lead == '/' ? log->lead : arena_printf(w->perm, "%s/%s", here, log->lead);
    TestLog there = *log;
    there.lead = lead;
    const bool moved = chdir(log->tmp) == 0;
    const Ran r = lead_run(&there, w->perm, "gpt2 generate --text the --n 2");
    TEST(log, moved && chdir(here) == 0 && r.code == 0 && strstr(r.err, "data/gpt2-small is read beside the program"),
         "exit %d: %s", r.code, r.err);
    world_delete(w);
}

static void safe_text(TestLog *log)
{
    static const struct { const char *text, *safe; } cases[] = {
        {"plain \xC3\xA9 \xE4\xB8\xAD", "plain \xC3\xA9 \xE4\xB8\xAD"},
        {"\033[2J\a\r\n\t\x7F", "\\x1B[2J\\x07\\x0D\\x0A\\x09\\x7F"},
        {"\x9B" "31m \xC2\x9B \xFF", "\\x9B31m \\xC2\\x9B \\xFF"},                  // C1 controls, no UTF-8
        {"a\xE2\x80\xAEz", "a\\xE2\\x80\\xAEz"}};                                     // right to left
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_clean(out, sizeof out, cases[i].text, strlen(cases[i].text));
        TEST(log, !strcmp(out, cases[i].safe), "want '%s', got '%s'", cases[i].safe, out);
    }
    TEST(log, text_clean(out, 6, "ab\xC3\xA9\033", 5) == 4 && !strcmp(out, "ab\xC3\xA9"), "cut: '%s'", out);
    const Status s = ERROR("%s: no", "\033]0;x\a");
    TEST(log, !strcmp(s.msg, "\\x1B]0;x\\x07: no"), "a Status: '%s'", s.msg);
}

// What decode writes to a terminal is safe to show; to a file it is the bytes.
static void terminal(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    Arena *a = w->perm;
    const char *dir = put_family(log, w, true, "terminal"), *ids = arena_printf(a, "%s/ids", dir);
    char text[256] = "\033[31mred\n\tx ", shown[1024] = "";
    for (int i = 0; i < 40; i++) strcat(text, i % 3 ? "\xC3\xA9" : "\xE4\xB8\xAD");
    model_put(w, dir, "text", text);
    const char *encode = arena_printf(a, "gpt2 encode --tokenizer %s %s/text", dir, dir),
               *decode = arena_printf(a, "gpt2 decode --tokenizer %s %s", dir, ids);
    const int encoded = lead_wait(lead_start(log, a, ids, "/dev/null", encode));
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    TEST(log, encoded == 0 && master >= 0 && !grantpt(master) && !unlockpt(master), "no terminal");
    const pid_t pid = lead_start(log, a, ptsname(master), "/dev/null", decode);
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY), code = lead_wait(pid);    // or its end closes it
    const ssize_t n = read(master, shown, sizeof shown - 1);
    TEST(log, code == 0 && n > 0 && !strncmp(shown, "\\x1B[31mred\r\n", 12) && strstr(shown, text + 9) &&
                  !strchr(shown, 033), "on a terminal: exit %d, '%s'", code, shown);
    close(slave);
    close(master);
    world_delete(w);
}

void test_tokenizer(TestLog *log)
{
    tokenizers(log);
    commands(log);
    side_files(log);
    anywhere(log);
    safe_text(log);
    terminal(log);
}
