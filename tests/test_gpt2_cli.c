// The gpt2 verbs from the command line: what they print, and bad input: one clear line, exit 1.
#include <sys/stat.h>

#include "llm/bpe.h"
#include "io/file.h"
#include "tests/llm_world.h"
#include "tests/run_lead.h"

typedef struct Bench { TestLog *log; World *w; const char *model, *vocab; } Bench;

static const char *place(const Bench *b, const char *name)
{
    return arena_printf(b->w->perm, "%s/%s", b->log->tmp, name);
}

static void put(const Bench *b, const char *name, const void *bytes, size_t n)
{
    const Status s = file_write(place(b, name), bytes, n);
    TEST(b->log, !s.code, "%s", s.msg);
}

// Exit 1, one line on stderr that begins "lead: " and holds `want`.
static void refused(const Bench *b, const char *want, const char *args)
{
    const Ran r = lead_run(b->log, b->w->perm, "%s", args);
    const char *end = strchr(r.err, '\n');
    TEST(b->log, r.code == 1 && !strncmp(r.err, "lead: ", 6) && end && !end[1], "lead %.200s: exit %d: '%s'", args,
         r.code, r.err);
    TEST(b->log, strstr(r.err, want), "lead %.200s: want '%s' in '%s'", args, want, r.err);
}

// ---- tokens ---------------------------------------------------------------------------------------------------------

static void round_trip(const Bench *b, const char *vocab, const void *bytes, size_t n, const char *what)
{
    Arena *a = b->w->perm;
    const char *in = place(b, "bytes"), *ids = place(b, "ids"), *back = place(b, "back");
    FILE *f = fopen(in, "wb");
    TEST(b->log, f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "cannot write %s", in);
    const char *err = place(b, "err");
    int code = lead_wait(lead_start(b->log, a, ids, err, arena_printf(a, "gpt2 encode --tokenizer %s %s", vocab, in)));
    const char *line = slurp(a, ids), *end = strchr(line, '\n');
    TEST(b->log, code == 0 && end && !end[1] && !*slurp(a, err), "encode %s: exit %d, '%.60s': %s", what, code, line,
         slurp(a, err));
    code = lead_wait(lead_start(b->log, a, back, err, arena_printf(a, "gpt2 decode --tokenizer %s %s", vocab, ids)));
    struct stat st;
    const bool size = !stat(back, &st) && (size_t)st.st_size == n;
    TEST(b->log, code == 0 && size && !memcmp(slurp(a, back), bytes, n), "decode %s: exit %d, %s", what, code,
         slurp(a, err));
}

static void tokens(const Bench *b)
{
    char all[2048];
    for (int i = 0; i < 2048; i++) all[i] = (char)(philox_u32(1, philox_subsequence(SITE_TEST, 3), (uint64_t)i) % 256);
    round_trip(b, b->vocab, all, sizeof all, "random bytes");
    round_trip(b, b->vocab, "", 0, "nothing");
    round_trip(b, b->vocab, "ab<|endoftext|>\nab\0x", 20, "a special token");
    Ran r = lead_run(b->log, b->w->perm, "gpt2 encode --tokenizer %s", b->vocab);
    TEST(b->log, r.code == 0 && !strcmp(r.out, "\n"), "encode of an empty stdin: '%s'", r.out);
    if (b->log->shared) {
        const char *vocab = arena_printf(b->w->perm, "%s/gpt2/tokenizer", b->log->shared);
        round_trip(b, vocab, all, sizeof all, "random bytes, OpenAI's vocabulary");
        put(b, "hello", "hello <|endoftext|>", 19);
        r = lead_run(b->log, b->w->perm, "gpt2 encode --stats --tokenizer %s %s", vocab, place(b, "hello"));
        TEST(b->log, r.code == 0 && !strcmp(r.out, "31373 220 50256\n"), "encode: '%s'", r.out);
        TEST(b->log, strstr(r.err, "encoded 19 bytes, 3 tokens in") && strstr(r.err, "MB/s"), "--stats: '%s'", r.err);
    } else test_skip(b->log, "skipped: no ../shared/gpt2/tokenizer");
    put(b, "bad-id", "1 2 x", 5);
    refused(b, "id 2: want a number in 0..2147483647, got 'x'",
            arena_printf(b->w->perm, "gpt2 decode --tokenizer %s %s", b->vocab, place(b, "bad-id")));
    put(b, "far-id", "1, 999999", 9);
    refused(b, "token 1: want an id in 0..",
            arena_printf(b->w->perm, "gpt2 decode --tokenizer %s %s", b->vocab, place(b, "far-id")));
    put(b, "zero-id", "1 \0 2", 5);
    refused(b, "want token ids, got a zero byte",
            arena_printf(b->w->perm, "gpt2 decode --tokenizer %s %s", b->vocab, place(b, "zero-id")));
    refused(b, "No such file", arena_printf(b->w->perm, "gpt2 encode --tokenizer %s %s", b->vocab, place(b, "none")));
}

// Vocabularies that lie: each file of the pair is replaced in turn.
static void vocabularies(const Bench *b)
{
    static const struct { const char *vocab, *merges, *want; } bad[] = {
        {NULL, "a b\nab ab\nb a\nab ab\n", "is not a token"},
        {NULL, "", "is empty"},
        {NULL, "ab ab\n", "no earlier line makes it"},
        {NULL, "a b c\n", "two tokens with a space"},
        {NULL, "\xFF \xFE\n", "is not a token"},
        {NULL, NULL, "found only the vocabulary"},
        {"{\"a\":0", "a b\n", "want ',' or '}'"},
        {"{\"\xFF\":0}", "a b\n", "UTF-8"},
        {"{\"a\":0,\"a\":1}", "a b\n", "\"a\" twice"},
        {"{\"a\":9223372036854775807}", "a b\n", "got 9223372036854775807"},
        {"{\"a\":9223372036854775808}", "a b\n", "want an id in 0..0"},
        {"{\"a\":0}", "a b\n", "want a token for each byte"},
        {"[]", "a b\n", "want an object"}};
    const char *dir = place(b, "badvocab"),
               *good = slurp(b->w->perm, arena_printf(b->w->perm, "%s/vocab.json", b->vocab));
    mkdir(dir, 0777);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *v = bad[i].vocab ? bad[i].vocab : good;
        file_write(arena_printf(b->w->perm, "%s/vocab.json", dir), v, strlen(v));
        unlink(arena_printf(b->w->perm, "%s/merges.txt", dir));
        FILE *f = bad[i].merges ? fopen(arena_printf(b->w->perm, "%s/merges.txt", dir), "wb") : NULL;
        if (f) {
            fputs(bad[i].merges, f);
            fclose(f);
        }
        refused(b, bad[i].want, arena_printf(b->w->perm, "gpt2 encode --tokenizer %s", dir));
    }
}

// ---- models ---------------------------------------------------------------------------------------------------------

static void prompts(const Bench *b)
{
    Arena *a = b->w->perm;
    refused(b, "prompt: want at least 1 token, got none",
            arena_printf(a, "gpt2 generate --llm %s --tokens=", b->model));
    refused(b, "prompt: token 1: want an id in 0..10, got 11",
            arena_printf(a, "gpt2 logits --llm %s --tokens 1,11", b->model));
    refused(b, "prompt: want at most 16 tokens (n_positions), got 17",
            arena_printf(a, "gpt2 logits --llm %s --tokens 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", b->model));
    refused(b, "none/config.json", arena_printf(a, "gpt2 generate --llm %s/none --tokens 1", b->model));
    refused(b, "the model's 11 tokens, got",
            arena_printf(a, "gpt2 generate --llm %s --tokenizer %s --tokens 1", b->model, b->vocab));
    refused(b, "want --tokenizer DIR",
            arena_printf(a, "gpt2 eval --llm %s %s", place(b, "wide"), place(b, "hello.txt")));
    refused(b, "want at least 2 tokens", arena_printf(a, "gpt2 eval %s", place(b, "one.txt")));
    refused(b, "is empty", arena_printf(a, "gpt2 eval %s", place(b, "empty.txt")));
}

// model.safetensors and config.json with one thing wrong.
static void models(const Bench *b)
{
    Arena *a = b->w->perm;
    char *config, *file;
    size_t n_config, n_file;
    const char *dir = place(b, "badmodel"), *run = arena_printf(a, "gpt2 logits --tokens 1 --llm %s", dir);
    mkdir(dir, 0777);
    Status s = file_read(&config, &n_config, a, arena_printf(a, "%s/config.json", b->model), 1 << 20);
    if (!s.code) s = file_read(&file, &n_file, a, arena_printf(a, "%s/model.safetensors", b->model), 1 << 20);
    if (!TEST(b->log, !s.code, "%s", s.msg)) return;
    const char *c = arena_printf(a, "%s/config.json", dir), *m = arena_printf(a, "%s/model.safetensors", dir);
    file_write(c, config, n_config);
    static const double cuts[] = {0.001, 0.5, 0.999};
    for (int i = 0; i < 3; i++) {
        file_write(m, file, (size_t)(cuts[i] * (double)n_file) + 1);
        refused(b, "model.safetensors: ", run);
    }
    char *longer = arena_zalloc(a, n_file + 8);
    memcpy(longer, file, n_file);
    file_write(m, longer, n_file + 8);
    refused(b, "bytes of data, got", run);
    memcpy(longer, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 8);
    file_write(m, longer, n_file);
    refused(b, "want a header of at most 100000000 bytes, got 9223372036854775807", run);
    file_write(m, file, n_file);
    static const struct { const char *from, *to, *want; } bad[] = {
        {"\"n_embd\": 8", "\"n_embd\": 9", "n_head: want a divisor"},
        {"\"n_layer\": 2", "\"n_layer\": 3", "h.2.ln_1.weight: want [8], got no such tensor"},
        {"\"vocab_size\": 11", "\"vocab_size\": 12", "wte.weight: want [12,8], got [11,8]"},
        {"gelu_new", "gelu_now", "activation_function: want"},
        {"\"n_inner\": 32", "\"n_inner\": 9223372036854775808", "n_inner: want"},
        {"\"n_positions\": 16", "\"n_positions\": 15", "wpe.weight: want [15,8], got [16,8]"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *at = strstr(config, bad[i].from);
        if (!TEST(b->log, at, "config.json holds no %s", bad[i].from)) continue;
        const char *text = arena_printf(a, "%.*s%s%s", (int)(at - config), config, bad[i].to, at + strlen(bad[i].from));
        file_write(c, text, strlen(text));
        refused(b, bad[i].want, run);
    }
    unlink(m);
    file_write(c, config, n_config);
    refused(b, "model.safetensors: cannot open", run);
}

static void verbs(const Bench *b)
{
    Arena *a = b->w->perm;
    const char *bin = place(b, "m.bin"), *dir = place(b, "again");
    Ran r = lead_run(b->log, a, "gpt2 convert %s %s", b->model, bin);
    TEST(b->log, r.code == 0 && !*r.out, "convert to llm.c: %s", r.err);
    r = lead_run(b->log, a, "gpt2 convert %s %s", bin, dir);
    TEST(b->log, r.code == 0 && !*r.out, "convert from llm.c: %s", r.err);
    const char *same = slurp(a, arena_printf(a, "%s/model.safetensors", dir)),
               *want = slurp(a, arena_printf(a, "%s/model.safetensors", b->model));
    uint64_t header;
    memcpy(&header, want, 8);
    TEST(b->log, !memcmp(same, want, (size_t)header + 8 + 11 * 8 * 4), "convert there and back changes the file");
    refused(b, "m.bin/x: cannot", arena_printf(a, "gpt2 convert %s %s/x", b->model, bin));
    r = lead_run(b->log, a, "gpt2 convert --dtype f16 %s %s", b->model, dir);
    TEST(b->log, r.code == 2 && strstr(r.err, "want f32 or bf16, got 'f16'"), "exit %d: %s", r.code, r.err);
    r = lead_run(b->log, a, "gpt2 convert --dtype bf16 %s %s", b->model, dir);
    TEST(b->log, r.code == 0, "%s", r.err);
    r = lead_run(b->log, a, "gpt2 verify %s", dir);
    TEST(b->log,
         r.code == 1 && strstr(r.out, "transformer.wte.weight\tBF16\t88\t") && strstr(r.out, "\tother values\n") &&
             strstr(r.out, "h.11.ln_2.bias\t-\t-\t-\tmissing"),
         "verify: exit %d: %.200s", r.code, r.out);
    // greedy by hand from logits, as text and as ids
    char ids[64] = "1,2";
    r = lead_run(b->log, a, "gpt2 generate --llm %s --tokens 1,2 --n 3", b->model);
    TEST(b->log, r.code == 0 && strstr(r.err, "prefill 2 tokens") && strstr(r.err, "tokens/s; peak memory"),
         "generate: %s", r.err);
    const char *text = r.out;
    for (int i = 0; i < 3; i++) {
        const Ran l = lead_run(b->log, a, "gpt2 logits --llm %s --tokens %s --top 1", b->model, ids);
        long long position, token;
        if (!TEST(b->log,
                  sscanf(l.out, "position\ttoken\tlogit\n%lld\t%lld\t", &position, &token) == 2 && position == i + 1,
                  "logits: '%s'", l.out))
            return;
        if (token == 10) break;
        TEST(b->log, text[i] == (char)token, "token %d: logits say %lld, generate wrote %d", i, token, text[i]);
        snprintf(ids + strlen(ids), sizeof ids - strlen(ids), ",%lld", token);
    }
    r = lead_run(b->log, a, "gpt2 generate --llm %s --tokens 1 --llm-weights f16", b->model);
    TEST(b->log, r.code == 2 && strstr(r.err, "--llm-weights: want f32, bf16 or nf4, got 'f16'"), "exit %d: %s", r.code,
         r.err);
    const Ran half = lead_run(b->log, a, "gpt2 generate --llm %s --tokens 1,2 --n 3 --llm-weights bf16", b->model);
    TEST(b->log, half.code == 0 && strstr(half.err, "rounded to bf16") && strstr(half.err, "(bf16)"),
         "bf16: exit %d: %s", half.code, half.err);
    r = lead_run(b->log, a, "gpt2 generate --text 06: --n 8 --samples 3 --temperature 1");
    TEST(b->log, r.code == 0 && strstr(r.out, "--- 1\n") && strstr(r.out, "\n--- 3\n"), "samples: '%s'", r.out);
    r = lead_run(b->log, a, "gpt2 eval %s --context 32 --stride 16", place(b, "hello.txt"));
    double nats = 0, ppl = 0, per_byte = 0, bits = 0;
    long long n = 0, bytes = 0, context = 0, stride = 0;
    const char *row = strchr(r.out, '\n');
    const int fields = row ? sscanf(row + 1, "%lld\t%lf\t%lf\t%lld\t%lf\t%lf\t%lld\t%lld", &n, &nats, &ppl, &bytes,
                                    &per_byte, &bits, &context, &stride)
                           : 0;
    TEST(b->log,
         r.code == 0 && fields == 8 && n > 0 && n < 59 && bytes == 59 && context == 32 && stride == 16 &&
             fabs(ppl - exp(nats)) < 1e-4 * ppl && fabs(bits * log(2) - per_byte) < 1e-5 &&
             fabs(per_byte * 59 - nats * (double)n) < 1e-3,
         "eval: exit %d: %s %s", r.code, r.out, r.err);
}

void test_gpt2_cli(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    Bench b = {.log = log, .w = w};
    b.model = place(&b, "tiny");
    b.vocab = place(&b, "vocab");
    mkdir(b.vocab, 0777);
    Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.5);
    Status s = gpt2_save(m, b.model, w->scratch);
    c.vocab = 300;
    if (!s.code) s = gpt2_save(gpt2_new(&w->ps, "wide", &c, GPT2_FROZEN), place(&b, "wide"), w->scratch);
    Bpe bpe;
    if (!s.code) s = bpe_train(&bpe, w->perm, w->scratch, "ab ab ab abc abc", 16, 260);
    if (!s.code)
        s = bpe_save(&bpe, w->scratch, arena_printf(w->perm, "%s/vocab.json", b.vocab),
                     arena_printf(w->perm, "%s/merges.txt", b.vocab));
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    put(&b, "hello.txt", "the link is busy. the link is idle. the link is busy again.\n", 60);
    put(&b, "one.txt", "x", 1);
    put(&b, "empty.txt", "", 0);
    tokens(&b);
    vocabularies(&b);
    prompts(&b);
    models(&b);
    verbs(&b);
    world_delete(w);
}
