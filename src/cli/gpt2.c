// lead gpt2 logits, lead gpt2 generate
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/gpt2.h"
#include "cli/verbs.h"
#include "llm/adapter_file.h"
#include "llm/generate.h"

typedef struct Gpt2Values {
    const char *llm, *tokens, *text, *tokenizer, *adapter;
    int64_t n_new, top_k, seed, top;
    double temperature;
} Gpt2Values;

#define PROMPT_OPTIONS \
    {"llm", OPT_TEXT, offsetof(Gpt2Values, llm), "DIR", "config.json and model.safetensors [data/gpt2-small]", 0, 0}, \
    {"tokens", OPT_TEXT, offsetof(Gpt2Values, tokens), "IDS", "prompt as token ids: 12,7,..", 0, 0}, \
    {"text", OPT_TEXT, offsetof(Gpt2Values, text), "TEXT", "prompt as text", 0, 0}, \
    {"tokenizer", OPT_TEXT, offsetof(Gpt2Values, tokenizer), "DIR", \
     "vocab.json and merges.txt, or GPT-2's names (default: those in the --llm DIR, else bytes)", 0, 0}, \
    {"adapter", OPT_TEXT, offsetof(Gpt2Values, adapter), "DIR", "LoRA or adapters on the model, from `gpt2 train` or PEFT", 0, 0}

static const Option logits_table[] = {
    PROMPT_OPTIONS,
    {"top", OPT_INT, offsetof(Gpt2Values, top), "N",
     "print the N largest logits of the last position [10]; 0 = all of every position", 0, 1e9},
};

static const Option generate_table[] = {
    PROMPT_OPTIONS,
    {"n", OPT_INT, offsetof(Gpt2Values, n_new), "N", "tokens to append [64]", 1, 1e6},
    {"temperature", OPT_NUMBER, offsetof(Gpt2Values, temperature), "X", "0 = greedy [0]", 0, 100},
    {"top-k", OPT_INT, offsetof(Gpt2Values, top_k), "K", "among the K most likely; 0 = all [0]", 0, 1e9},
    {"seed", OPT_INT, offsetof(Gpt2Values, seed), "N", "seed [1]", 0, 9e15},
};

static void defaults(void *values)
{
    *(Gpt2Values *)values = (Gpt2Values){.llm = "data/gpt2-small", .n_new = 64, .seed = 1, .top = 10};
}

static Status parse_ids(const char *text, Arena *a, int32_t **ids, int64_t *n)
{
    int32_t *out = arena_alloc(a, (strlen(text) + 1) * sizeof *out);
    *n = 0;
    for (const char *p = text; *p;) {
        char *end;
        const long long v = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || v < 0 || v > INT32_MAX)
            return USAGE_ERROR("--tokens: want ids such as 12,7, got '%s'", text);
        out[(*n)++] = (int32_t)v;
        p = *end ? end + 1 : end;
    }
    *ids = out;
    return OK;
}

typedef struct Prompt {
    Arena *a;
    Gpt2 *m;
    ParamSet ps;
    Tape tape;
    Bpe *bpe;
    Gpt2Hook hook;           // the bottleneck adapters, or nothing
    int32_t *ids;
    int64_t n;
} Prompt;

Status gpt2_tokenizer(Cli *cli, const char *dir, const char *llm, Bpe **b)
{
    static const char *const names[] = {"encoder.json", "vocab.json"};
    *b = NULL;
    for (int i = 0; i < 2 && !dir && llm; i++)
        if (access(arena_printf(cli->perm, "%s/%s", llm, names[i]), F_OK) == 0) dir = llm;
    if (!dir) return OK;
    *b = arena_alloc(cli->perm, sizeof **b);
    return bpe_load_dir(*b, cli->perm, cli->scratch, dir);
}

static Status open_adapter(Cli *cli, const char *dir, Prompt *p)
{
    AdapterSet *s;
    TRY(gpt2_adapters_load(&s, NULL, &p->ps, p->m, dir, cli->scratch));
    if (s) p->hook = adapter_hook(s);
    return OK;
}

static Status open_prompt(Cli *cli, const Gpt2Values *v, Prompt *p)
{
    Arena *a = cli->perm;
    if (!v->tokens == !v->text)
        return USAGE_ERROR("lead %s: wants either --tokens IDS or --text TEXT", cli->verb->name);
    p->a = a;
    paramset_init(&p->ps, a, &cli->device, 0, true);
    TRY(gpt2_load(&p->m, &p->ps, "", v->llm, GPT2_FROZEN | GPT2_BLANK, cli->scratch));
    if (v->adapter) TRY(open_adapter(cli, v->adapter, p));
    TRY(gpt2_tokenizer(cli, v->tokenizer, v->llm, &p->bpe));
    if (v->tokens) {
        TRY(parse_ids(v->tokens, a, &p->ids, &p->n));
    } else if (p->bpe) {
        TRY(bpe_encode(&p->ids, &p->n, p->bpe, a, v->text, strlen(v->text), true));
    } else {
        p->n = (int64_t)strlen(v->text);
        p->ids = arena_alloc(a, (size_t)(p->n + 1) * sizeof *p->ids);
        for (int64_t i = 0; i < p->n; i++) p->ids[i] = (unsigned char)v->text[i];
    }
    TRY(gpt2_tokens_check(p->m, p->ids, p->n));
    tape_init(&p->tape, &cli->device, cli->step, cli->scratch);
    p->tape.record = p->tape.training = false;
    return OK;
}

// ---- logits

static Status logits_run(Cli *cli, void *values)
{
    const Gpt2Values *v = values;
    Prompt p = {0};
    TRY(open_prompt(cli, v, &p));
    Tensor *h = gpt2_forward_tokens(&p.tape, p.m, tape_from_i32(&p.tape, SHAPE(1, p.n), p.ids), &p.hook);
    Tensor *y = gpt2_logits(&p.tape, p.m, h);
    const int64_t V = y->shape.d[1];
    float *x = arena_alloc(cli->perm, (size_t)numel(y) * sizeof *x);
    tensor_get_f32(y, x, numel(y));
    printf("position\ttoken\tlogit\n");
    if (v->top == 0) {
        for (int64_t i = 0; i < numel(y); i++)
            printf("%lld\t%lld\t%.9g\n", (long long)(i / V), (long long)(i % V), (double)x[i]);
        return OK;
    }
    float *last = x + (p.n - 1) * V;
    for (int64_t k = 0; k < v->top && k < V; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < V; i++) best = last[i] > last[best] ? i : best;
        printf("%lld\t%lld\t%.9g\n", (long long)(p.n - 1), (long long)best, (double)last[best]);
        last[best] = -INFINITY;
    }
    return OK;
}

const Verb verb_gpt2_logits = {
    .name = "gpt2 logits", .summary = "Prints GPT-2's logits after a prompt.",
    OPTIONS(logits_table), .size = sizeof(Gpt2Values), .defaults = defaults, .run = logits_run,
};

// ---- generate

static bool print_token(void *arg, int32_t token)
{
    const Prompt *p = arg;
    if (token == p->m->c.end_token) return true;
    char *text;
    size_t len;
    if (p->bpe && !bpe_decode(&text, &len, p->bpe, p->a, &token, 1).code) fwrite(text, 1, len, stdout);
    else if (token < 256 && p->m->c.vocab <= 257) fputc(token, stdout);
    else printf("%d ", token);
    fflush(stdout);
    return true;
}

static Status generate_run(Cli *cli, void *values)
{
    const Gpt2Values *v = values;
    Prompt p = {0};
    TRY(open_prompt(cli, v, &p));
    int32_t *out = arena_alloc(cli->perm, (size_t)(p.n + v->n_new) * sizeof *out);
    memcpy(out, p.ids, (size_t)p.n * sizeof *out);
    const Gpt2Sampling s = {
        .temperature = v->temperature, .top_k = v->top_k, .seed = (uint64_t)v->seed, .stop_at_end = true};
    int64_t n_out;
    const double t0 = cli_seconds();
    TRY(gpt2_generate(&p.tape, p.m, &p.hook, out, p.n, v->n_new, &s, &n_out, print_token, &p));
    fputc('\n', stdout);
    fprintf(stderr, "%.1f tokens/s\n", (double)(n_out - p.n) / (cli_seconds() - t0));
    return OK;
}

const Verb verb_gpt2_generate = {
    .name = "gpt2 generate", .summary = "Continues a prompt.",
    OPTIONS(generate_table), .size = sizeof(Gpt2Values), .defaults = defaults, .run = generate_run,
};
