// lead gpt2 logits, lead gpt2 generate, and what the other verbs of GPT-2 share
#include "cli/gpt2.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "llm/adapter_file.h"
#include "llm/generate.h"
#include "llm/gpt2_directory.h"
#include "tensor/clock.h"
#include "tensor/utf8.h"

enum { BYTE_TOKENS = 256 };      // and one that ends a text

// ---- shared

Status gpt2_tokenizer(Cli *cli, const char *dir, const char *llm, Bpe **b, const char **from)
{
    if (llm) llm = gpt2_directory(llm, cli->perm);
    if (!dir && llm && gpt2_has_tokenizer(llm, cli->scratch)) dir = llm;
    *b = NULL;
    if (from) *from = dir;
    if (!dir) return OK;
    Bpe *loaded = arena_alloc(cli->perm, sizeof *loaded);
    TRY(bpe_load_dir(loaded, cli->perm, cli->scratch, dir));
    if (loaded->note) cli_say("note: %s", loaded->note);
    *b = loaded;
    return OK;
}

Status tokenizer_check(const Bpe *b, int64_t n_vocab)
{
    int beyond = 0;
    for (int32_t i = 0; i < b->n_added; i++) beyond += b->added[i].id >= n_vocab;
    int64_t tokens = 0;
    for (int64_t id = n_vocab; id < b->n_vocab; id++) tokens += b->start[id] != b->start[id + 1];
    if (tokens > beyond)
        return ERROR("tokenizer: want at most the model's %lld tokens, got %d", (long long)n_vocab, b->n_vocab);
    if (beyond)
        cli_say("note: %d added tokens of the tokeniser have ids beyond the model's %lld", beyond, (long long)n_vocab);
    return OK;
}

Status text_check(const Bpe *b, Status no_bpe, const char *llm, int64_t n_vocab)
{
    TRY(no_bpe);
    if (b) return OK;
    if (n_vocab != BYTE_TOKENS && n_vocab != BYTE_TOKENS + 1)
        return ERROR("%s: want --tokenizer DIR to read text for a model of %lld tokens, got none: there is neither "
                     "tokenizer.json nor vocab.json and merges.txt", llm, (long long)n_vocab);
    cli_say("note: no tokeniser, and a model of %lld tokens: they are taken as bytes", (long long)n_vocab);
    return OK;
}

// The tokeniser that --tokenizer names must be right.  One that lies beside the model matters only where text is read.
static Status open_tokenizer(Cli *cli, const ModelOptions *o, Model *m)
{
    Status s = gpt2_tokenizer(cli, o->tokenizer, o->llm, &m->bpe, NULL);
    if (!s.code && m->bpe) s = tokenizer_check(m->bpe, m->m->c.vocab);
    if (!s.code || o->tokenizer) return s;
    m->bpe = NULL;
    m->no_bpe = s;
    return OK;
}

void nf4_say(const Gpt2 *m)
{
    double bytes = 0, weights = 0;
    for (int l = 0; l < m->c.layers; l++) {
        const Gpt2Block *b = &m->block[l];
        const Tensor *const w[] = {b->c_attn.w, b->c_proj.w, b->mlp_fc.w, b->mlp_proj.w};
        for (int i = 0; i < 4; i++) {
            bytes += (double)tensor_bytes(w[i]);
            weights += (double)numel(w[i]);
        }
    }
    const bool packed = m->block[0].c_attn.w->layout == LAYOUT_NF4;
    fprintf(stderr, "weights: projections rounded to NF4, %.2f MB for %.0f weights, %.2f bits each%s\n", bytes * 1e-6,
            weights, 8 * bytes / weights, packed ? "" : ": this device's kernels want whole floats");
}

Status model_open(Cli *cli, const ModelOptions *o, Model *m)
{
    *m = (Model){0};
    const bool bf16 = o->weights && !strcmp(o->weights, "bf16"), nf4 = o->weights && !strcmp(o->weights, "nf4");
    if (o->weights && !bf16 && !nf4 && strcmp(o->weights, "f32"))
        return USAGE_ERROR("--llm-weights: want f32, bf16 or nf4, got '%s'", o->weights);
    const Gpt2Flags packed = bf16 ? GPT2_BF16 : nf4 ? GPT2_NF4 : 0;
    const double t0 = clock_seconds();
    paramset_init(&m->ps, cli->perm, &cli->device, 0, true);
    TRY(gpt2_load(&m->m, &m->ps, "", o->llm, GPT2_FROZEN | GPT2_BLANK | packed, cli->scratch));
    if (m->m->note) cli_say("note: %s", m->m->note);
    if (o->adapter) {
        AdapterSet *s;
        TRY(gpt2_adapters_load(&s, NULL, &m->ps, m->m, o->adapter, cli->scratch));
        if (s) m->hook = adapter_hook(s);
    }
    if (bf16) gpt2_pack_bf16(m->m, cli->perm);
    else if (nf4) gpt2_pack_nf4(m->m, cli->perm);
    else gpt2_pack(m->m, cli->perm);
    if (nf4) nf4_say(m->m);
    if (bf16) fprintf(stderr, "weights: projections and head rounded to bf16\n");
    m->load_seconds = clock_seconds() - t0;
    TRY(open_tokenizer(cli, o, m));
    tape_init(&m->tape, &cli->device, cli->step, cli->scratch);
    m->tape.record = m->tape.training = false;
    return OK;
}

Status text_to_ids(Cli *cli, const Model *m, const char *llm, const char *text, size_t n, int32_t **ids,
                   int64_t *n_ids)
{
    static const char marker[] = "<|endoftext|>";
    const size_t word = sizeof marker - 1;
    TRY(text_check(m->bpe, m->no_bpe, llm, m->m->c.vocab));
    if (m->bpe) return bpe_encode(ids, n_ids, m->bpe, cli->perm, text, n, true);
    int32_t *out = arena_alloc(cli->perm, n * sizeof *out);
    *n_ids = 0;
    for (size_t i = 0; i < n;) {
        const bool end = n - i >= word && !memcmp(text + i, marker, word);
        out[(*n_ids)++] = end ? BYTE_TOKENS : (unsigned char)text[i];
        i += end ? word : 1;
    }
    *ids = out;
    return OK;
}

void print_text(const char *text, size_t n)
{
    if (!isatty(1)) {
        fwrite(text, 1, n, stdout);
        return;
    }
    enum { PIECE = 64 };
    for (size_t i = 0, len; i < n; i += len) {
        char safe[4 * PIECE + 1];
        const bool plain = text[i] == '\n' || text[i] == '\t';
        for (len = 1; !plain && len < PIECE && i + len < n && text[i + len] != '\n' && text[i + len] != '\t';) len++;
        for (int back = 0; back < 3 && len > 3 && i + len < n && (text[i + len] & 0xC0) == 0x80; back++) len--;
        if (plain) fputc(text[i], stdout);
        else fwrite(safe, 1, text_clean(safe, sizeof safe, text + i, len), stdout);
    }
}

Status read_all(Arena *a, const char *path, char **text, size_t *n)
{
    const bool standard = !path || !strcmp(path, "-");
    FILE *f = standard ? stdin : fopen(path, "rb");
    if (!f) return ERROR("%s: cannot open: %s", path, strerror(errno));
    size_t cap = 1 << 20, used = 0, got;
    char *buf = arena_alloc(a, cap);
    while ((got = fread(buf + used, 1, cap - used, f)) > 0) {
        used += got;
        if (used < cap) continue;
        char *grown = arena_alloc(a, 2 * cap);
        memcpy(grown, buf, used);
        buf = grown;
        cap *= 2;
    }
    const int err = ferror(f) ? errno : 0;
    if (!standard) fclose(f);
    *text = buf;
    *n = used;
    return err ? ERROR("%s: cannot read: %s", standard ? "stdin" : path, strerror(err)) : OK;
}

Status parse_ids(const char *text, const char *what, Arena *a, int32_t **ids, int64_t *n)
{
    int32_t *out = arena_alloc(a, (strlen(text) / 2 + 1) * sizeof *out);
    *n = 0;
    for (const char *p = text + strspn(text, " \t\r\n"); *p;) {
        char *end;
        errno = 0;
        const long long v = strtoll(p, &end, 10);
        if (end == p || errno || v < 0 || v > INT32_MAX || (*end && !strchr(", \t\r\n", *end)))
            return ERROR("%s: id %lld: want a number in 0..%d, got '%.20s'", what, (long long)*n, INT32_MAX, p);
        out[(*n)++] = (int32_t)v;
        p = end + (*end == ',');
        p += strspn(p, " \t\r\n");
    }
    *ids = out;
    return OK;
}

// ---- prompt

typedef struct PromptValues {
    ModelOptions model;
    const char *tokens, *text;
    int64_t n_new, top_k, seed, top, samples, beams;
    double temperature, top_p, length_penalty;
} PromptValues;

#define PROMPT_OPTIONS \
    MODEL_OPTIONS(PromptValues), \
    {"text", OPT_TEXT, offsetof(PromptValues, text), "TEXT", \
     "prompt as text; <|endoftext|> and other added tokens become themselves", 0, 0}, \
    {"tokens", OPT_TEXT, offsetof(PromptValues, tokens), "IDS", "prompt as token ids: 12,7,..", 0, 0}

static void defaults(void *values)
{
    *(PromptValues *)values = (PromptValues){.model.llm = GPT2_BUNDLED, .n_new = 64, .seed = 1, .top = 10,
                                             .samples = 1, .top_p = 1, .beams = 1, .length_penalty = 1};
}

typedef struct Prompt { Model model; int32_t *ids; int64_t n; } Prompt;

static Status open_prompt(Cli *cli, const PromptValues *v, Prompt *p)
{
    if (!v->tokens == !v->text)
        return USAGE_ERROR("%s: wants either --tokens IDS or --text TEXT", cli->verb->name);
    TRY(model_open(cli, &v->model, &p->model));
    if (v->tokens) {
        if (p->model.no_bpe.code) cli_say("note: tokens stay numbers: %s", p->model.no_bpe.msg);
        if (parse_ids(v->tokens, "--tokens", cli->perm, &p->ids, &p->n).code)
            return USAGE_ERROR("--tokens: want ids such as 12,7, got '%s'", v->tokens);
    } else TRY(text_to_ids(cli, &p->model, v->model.llm, v->text, strlen(v->text), &p->ids, &p->n));
    return gpt2_tokens_check(p->model.m, p->ids, p->n);
}

// ---- logits

static const Option logits_table[] = {
    PROMPT_OPTIONS,
    {"top", OPT_INT, offsetof(PromptValues, top), "N",
     "print the N largest logits of the last position; 0 = all logits of every position [10]", 0, 1e9},
};

static void print_largest(float *last, int64_t V, int64_t position, int64_t top)
{
    for (int64_t k = 0; k < top && k < V; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < V; i++) best = last[i] > last[best] ? i : best;
        printf("%lld\t%lld\t%.9g\n", (long long)position, (long long)best, (double)last[best]);
        last[best] = -INFINITY;
    }
}

static Status logits_run(Cli *cli, void *values)
{
    const PromptValues *v = values;
    Prompt p = {0};
    TRY(open_prompt(cli, v, &p));
    Tape *t = &p.model.tape;
    Tensor *h = gpt2_forward_tokens(t, p.model.m, tape_from_i32(t, SHAPE(1, p.n), p.ids), &p.model.hook);
    const int64_t V = p.model.m->c.vocab;
    float *x = arena_alloc(cli->perm, (size_t)V * sizeof *x);
    printf("position\ttoken\tlogit\n");
    for (int64_t i = v->top ? p.n - 1 : 0; i < p.n; i++) {
        const size_t mark = arena_mark(cli->step);
        tensor_get_f32(gpt2_logits(t, p.model.m, tape_slice(t, h, 1, i, 1)), x, V);
        if (v->top) print_largest(x, V, i, v->top);
        else
            for (int64_t k = 0; k < V; k++) printf("%lld\t%lld\t%.9g\n", (long long)i, (long long)k, (double)x[k]);
        arena_rewind(cli->step, mark);
    }
    return OK;
}

const Verb verb_gpt2_logits = {
    .name = "gpt2 logits", .summary = "Prints GPT-2's logits after a prompt.",
    .text = "stdout: TSV, one line per logit: position, token id, logit.\n"
            "Example: lead gpt2 logits --llm gpt2 --text \"The dog\" --top 5",
    OPTIONS(logits_table), .size = sizeof(PromptValues), .defaults = defaults, .run = logits_run,
};

// ---- generate

static const Option generate_table[] = {
    PROMPT_OPTIONS,
    {"n", OPT_INT, offsetof(PromptValues, n_new), "N",
     "append at most N tokens; an end token stops earlier; beyond n_positions the window slides [64]", 1, 1e6},
    {"temperature", OPT_NUMBER, offsetof(PromptValues, temperature), "X",
     "divide the logits by X before sampling; 0 = greedy [0]", 0, 100},
    {"top-k", OPT_INT, offsetof(PromptValues, top_k), "K", "sample from the K most likely tokens; 0 = from all [0]", 0,
     1e9},
    {"top-p", OPT_NUMBER, offsetof(PromptValues, top_p), "P",
     "sample from the fewest tokens whose probabilities reach P together; 1 = from all [1]", 0, 1},
    {"seed", OPT_INT, offsetof(PromptValues, seed), "N", "seed of the draws [1]", 0, 9e15},
    {"samples", OPT_INT, offsetof(PromptValues, samples), "N",
     "draw N continuations side by side; if N > 1 they are printed when all are done [1]", 1, 4096},
    {"beams", OPT_INT, offsetof(PromptValues, beams), "B",
     "B > 1: search for the most likely text with B beams instead of sampling [1]", 1, 4096},
    {"length-penalty", OPT_NUMBER, offsetof(PromptValues, length_penalty), "X",
     "beam search divides a text's ln p by (new tokens)^X [1]", -10, 10},
};

// Text on its way out: bytes of a character that is not complete yet wait for the next token.
typedef struct Stream { const Model *model; Arena *a; bool live; char wait[4]; int n_wait; } Stream;

// Length of the part of s that ends between characters; the rest is the beginning of one.
static size_t whole_characters(const unsigned char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char c = s[n - back];
        if (c < 0x80) return n;
        if (c < 0xC0) continue;
        const size_t want = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        return c < 0xF8 && want > back ? n - back : n;
    }
    return n;
}

static void write_text(Stream *s, const char *text, size_t len)
{
    char *all = arena_alloc(s->a, (size_t)s->n_wait + len);
    memcpy(all, s->wait, (size_t)s->n_wait);
    memcpy(all + s->n_wait, text, len);
    const size_t n = (size_t)s->n_wait + len, ready = whole_characters((unsigned char *)all, n);
    print_text(all, ready);
    s->n_wait = (int)(n - ready);
    memcpy(s->wait, all + ready, (size_t)s->n_wait);
}

static bool is_byte_model(const Model *m)
{
    return !m->no_bpe.code && (m->m->c.vocab == BYTE_TOKENS || m->m->c.vocab == BYTE_TOKENS + 1);
}

static void write_token(Stream *s, int32_t token)
{
    const size_t mark = arena_mark(s->a);
    const Model *m = s->model;
    char *text, byte = (char)token;
    size_t len;
    if (m->bpe && !bpe_decode(&text, &len, m->bpe, s->a, &token, 1).code) write_text(s, text, len);
    else if (!m->bpe && token < BYTE_TOKENS && is_byte_model(m)) write_text(s, &byte, 1);
    else printf("%d ", token);
    arena_rewind(s->a, mark);
}

static void write_rest(Stream *s)
{
    print_text(s->wait, (size_t)s->n_wait);
    s->n_wait = 0;
    fputc('\n', stdout);
}

static bool print_token(void *arg, int64_t row, int32_t token)
{
    (void)row;
    Stream *s = arg;
    if (!s->live || gpt2_is_end(&s->model->m->c, token)) return true;
    write_token(s, token);
    fflush(stdout);
    return true;
}

static void report_speed(const Gpt2Speed *s, const Model *m)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    fprintf(stderr, "load %.3f s; prefill %lld tokens, %.1f tokens/s; ", m->load_seconds, (long long)s->prefill_tokens,
            (double)s->prefill_tokens / s->prefill_seconds);
    if (s->decode_tokens)
        fprintf(stderr, "decode %lld tokens, %.1f tokens/s; ", (long long)s->decode_tokens,
                (double)s->decode_tokens / s->decode_seconds);
    double weights = m->m->head_bf16 ? (double)tensor_bytes(m->m->head_bf16) : 0;
    for (int i = 0; i < m->ps.n; i++) weights += (double)tensor_bytes(&m->ps.p[i]->t);
    fprintf(stderr, "peak memory %.0f MB, weights %.0f MB%s\n", (double)u.ru_maxrss * 1024e-6, weights * 1e-6,
            m->m->head_bf16 ? " (bf16)" : m->m->block[0].c_attn.w->layout == LAYOUT_NF4 ? " (nf4)" : "");
}

static void say_window(const Prompt *p, const int64_t *n_out, int64_t rows)
{
    const int64_t P = p->model.m->c.positions;
    for (int64_t r = 0; r < rows; r++)
        if (n_out[r] > P + 1) {
            cli_say("note: beyond the model's %lld positions its window of tokens moved on by half", (long long)P);
            return;
        }
}

static Status beam_run(Cli *cli, const PromptValues *v, Prompt *p)
{
    int32_t *out = arena_alloc(cli->perm, (size_t)(p->n + v->n_new) * sizeof *out);
    int64_t n_out;
    double score;
    memcpy(out, p->ids, (size_t)p->n * sizeof *out);
    TRY(gpt2_beam_search(&p->model.tape, p->model.m, &p->model.hook, out, p->n, v->n_new, v->beams, v->length_penalty,
                         &n_out, &score));
    say_window(p, &n_out, 1);
    Stream stream = {.model = &p->model, .a = cli->perm};
    for (int64_t i = p->n; i < n_out; i++)
        if (!gpt2_is_end(&p->model.m->c, out[i])) write_token(&stream, out[i]);
    write_rest(&stream);
    fprintf(stderr, "score %.6f\n", score);
    return OK;
}

static Status generate_run(Cli *cli, void *values)
{
    const PromptValues *v = values;
    if (v->beams > 1 && (v->temperature > 0 || v->samples > 1))
        return USAGE_ERROR("gpt2 generate: --beams goes with neither --temperature nor --samples");
    Prompt p = {0};
    TRY(open_prompt(cli, v, &p));
    if (v->beams > 1) return beam_run(cli, v, &p);
    const int64_t stride = p.n + v->n_new, rows = v->samples;
    int32_t *out = arena_alloc(cli->perm, (size_t)(rows * stride) * sizeof *out);
    int64_t *n_out = arena_alloc(cli->perm, (size_t)rows * sizeof *n_out);
    for (int64_t r = 0; r < rows; r++) memcpy(out + r * stride, p.ids, (size_t)p.n * sizeof *out);
    const Gpt2Sampling s = {.temperature = v->temperature, .top_k = v->top_k, .top_p = v->top_p,
                            .seed = (uint64_t)v->seed, .stop_at_end = true};
    Gpt2Speed speed;
    Stream stream = {.model = &p.model, .a = cli->perm, .live = rows == 1};
    TRY(gpt2_generate_rows(&p.model.tape, p.model.m, &p.model.hook, out, rows, p.n, v->n_new, &s, n_out, print_token,
                           &stream, &speed));
    if (rows == 1) write_rest(&stream);
    say_window(&p, n_out, rows);
    for (int64_t r = 0; r < rows && rows > 1; r++) {
        printf("--- %lld\n", (long long)r + 1);
        for (int64_t i = p.n; i < n_out[r]; i++)
            if (!gpt2_is_end(&p.model.m->c, out[r * stride + i])) write_token(&stream, out[r * stride + i]);
        write_rest(&stream);
    }
    report_speed(&speed, &p.model);
    return OK;
}

const Verb verb_gpt2_generate = {
    .name = "gpt2 generate", .summary = "Continues a prompt.",
    .text = "stdout: the new text as it is generated (ids when there is no vocabulary); stderr: tokens per second of\n"
            "the prompt (prefill) and of the new tokens (decode), and peak memory.\n"
            "Example: lead gpt2 generate --llm gpt2 --text \"The dog\" --temperature 0.8 --top-p 0.95 --seed 3",
    OPTIONS(generate_table), .size = sizeof(PromptValues), .defaults = defaults, .run = generate_run,
};
