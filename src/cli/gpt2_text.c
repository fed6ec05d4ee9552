// lead gpt2 eval, lead gpt2 encode, lead gpt2 decode
#include <math.h>
#include <string.h>

#include "cli/gpt2.h"
#include "cli/verbs.h"
#include "llm/generate.h"
#include "llm/gpt2_directory.h"
#include "llm/tokens.h"
#include "tensor/clock.h"

// ---- eval

typedef struct EvalValues { ModelOptions model; int64_t context, stride; } EvalValues;

static const Option eval_table[] = {
    MODEL_OPTIONS(EvalValues),
    {"context", OPT_INT, offsetof(EvalValues, context), "N", "tokens per window [the model's positions]", 1, 1 << 20},
    {"stride", OPT_INT, offsetof(EvalValues, stride), "N",
     "windows begin N tokens apart: a smaller N is slower and gives each token more context [half the window]", 1,
     1 << 20},
};

static void eval_defaults(void *values) { *(EvalValues *)values = (EvalValues){.model.llm = GPT2_BUNDLED}; }

// Bytes of the text that tokens 1 .. n-1 stand for.
static int64_t predicted_bytes(const Bpe *b, const int32_t *id, int64_t n)
{
    int64_t bytes = 0;
    for (int64_t i = 1; i < n; i++) bytes += b ? b->start[id[i] + 1] - b->start[id[i]] : id[i] < 256 ? 1 : 13;
    return bytes;
}

typedef struct EvalWatch { Progress bar; double t0; int64_t n; const volatile sig_atomic_t *stop; } EvalWatch;

static bool eval_window(void *arg, int64_t tokens)
{
    EvalWatch *w = arg;
    const double seconds = clock_seconds() - w->t0;
    char text[80];
    snprintf(text, sizeof text, "%.1f tokens/s", (double)tokens / seconds);
    progress_show(&w->bar, tokens, w->n, seconds / (double)tokens * (double)(w->n - tokens), text, tokens == w->n);
    return !*w->stop;
}

static Status eval_run(Cli *cli, void *values)
{
    const EvalValues *v = values;
    if (!cli->positional) return USAGE_ERROR("gpt2 eval: wants the name of a text file");
    Model m;
    TRY(model_open(cli, &v->model, &m));
    const int64_t V = m.m->c.vocab, context = v->context ? v->context : m.m->c.positions;
    const int64_t stride = v->stride ? v->stride : (context + 1) / 2;
    if (!tokens_is_bin(cli->positional)) TRY(text_check(m.bpe, m.no_bpe, v->model.llm, V));
    else if (m.no_bpe.code) cli_say("note: tokens stay numbers: %s", m.no_bpe.msg);
    Tokens x;
    TRY(tokens_read(&x, cli->perm, cli->scratch, cli->positional, m.bpe, V));
    EvalWatch w = {progress_new(), clock_seconds(), x.n - 1, cli->stop};
    Gpt2TextLoss loss;
    TRY(gpt2_text_score(&loss, &m.tape, m.m, &m.hook, x.id, x.n, context, stride, eval_window, &w));
    const double nats = loss.nats / (double)loss.tokens;
    printf("tokens\tnats_per_token\tperplexity\tbytes\tnats_per_byte\tbits_per_byte\tcontext\tstride\n");
    printf("%lld\t%.6f\t%.6g\t", (long long)loss.tokens, nats, exp(nats));
    if (m.bpe || V <= 257) {
        const int64_t bytes = predicted_bytes(m.bpe, x.id, loss.tokens + 1);
        printf("%lld\t%.6f\t%.6f", (long long)bytes, loss.nats / (double)bytes, loss.nats / (double)bytes / log(2));
    } else printf("nan\tnan\tnan");    // a token file without its vocabulary
    printf("\t%lld\t%lld\n", (long long)context, (long long)stride);
    return OK;
}

const Verb verb_gpt2_eval = {
    .name = "gpt2 eval", .summary = "Measures the perplexity of a text file, or of a token file of llm.c.",
    .positional = "FILE",
    .text = "Every token but the first is predicted once, in overlapping windows.  stdout: TSV.",
    OPTIONS(eval_table), .size = sizeof(EvalValues), .defaults = eval_defaults, .run = eval_run, .stops = true,
};

// ---- encode, decode

typedef struct TokenValues { const char *tokenizer; bool stats; } TokenValues;

static const Option token_table[] = {
    {"tokenizer", OPT_TEXT, offsetof(TokenValues, tokenizer), "DIR",
     "tokenizer.json, or vocab.json (encoder.json) and merges.txt (vocab.bpe)", 0, 0},
    {"stats", OPT_FLAG, offsetof(TokenValues, stats), NULL, "print bytes, tokens and MB/s on stderr", 0, 0},
};

static Status open_tokens(Cli *cli, const TokenValues *v, Bpe **b, char **text, size_t *n)
{
    if (!v->tokenizer) return USAGE_ERROR("%s: wants --tokenizer DIR", cli->verb->name);
    TRY(gpt2_tokenizer(cli, v->tokenizer, NULL, b, NULL));
    return read_all(cli->perm, cli->positional, text, n);
}

static void report(const char *what, size_t bytes, int64_t tokens, double seconds)
{
    fprintf(stderr, "%s %zu bytes, %lld tokens in %.4f s: %.1f MB/s\n", what, bytes, (long long)tokens, seconds,
            (double)bytes * 1e-6 / seconds);
}

static Status encode_run(Cli *cli, void *values)
{
    const TokenValues *v = values;
    Bpe *b;
    char *text;
    size_t n;
    int32_t *ids;
    int64_t n_ids;
    TRY(open_tokens(cli, v, &b, &text, &n));
    const double t0 = clock_seconds();
    TRY(bpe_encode(&ids, &n_ids, b, cli->perm, text, n, true));
    if (v->stats) report("encoded", n, n_ids, clock_seconds() - t0);
    for (int64_t i = 0; i < n_ids; i++) printf("%s%d", i ? " " : "", ids[i]);
    fputc('\n', stdout);
    return OK;
}

static Status decode_run(Cli *cli, void *values)
{
    const TokenValues *v = values;
    Bpe *b;
    char *text, *list;
    size_t n, len;
    int32_t *ids;
    int64_t n_ids;
    TRY(open_tokens(cli, v, &b, &list, &n));
    if (memchr(list, 0, n))
        return ERROR("%s: want token ids, got a zero byte", cli->positional ? cli->positional : "stdin");
    TRY(parse_ids(arena_printf(cli->perm, "%.*s", (int)n, list), cli->positional ? cli->positional : "stdin", cli->perm,
                  &ids, &n_ids));
    const double t0 = clock_seconds();
    TRY(bpe_decode(&text, &len, b, cli->perm, ids, n_ids));
    if (v->stats) report("decoded", len, n_ids, clock_seconds() - t0);
    print_text(text, len);
    return OK;
}

const Verb verb_gpt2_encode = {
    .name = "gpt2 encode", .summary = "Turns text into token ids, on one line.", .positional = "[FILE|-]",
    .text = "Encodes any bytes; <|endoftext|> and other added tokens become themselves.  Without FILE, or with -,\n"
            "reads stdin.\n"
            "Example: echo -n \"hello world\" | lead gpt2 encode --tokenizer gpt2",
    OPTIONS(token_table), .size = sizeof(TokenValues), .run = encode_run,
};

const Verb verb_gpt2_decode = {
    .name = "gpt2 decode", .summary = "Turns token ids into text: the inverse of gpt2 encode.",
    .positional = "[FILE|-]",
    .text = "Spaces, line ends or commas separate the ids.  Without FILE, or with -, reads stdin.\n"
            "Example: echo 31373 995 | lead gpt2 decode --tokenizer gpt2",
    OPTIONS(token_table), .size = sizeof(TokenValues), .run = decode_run,
};
