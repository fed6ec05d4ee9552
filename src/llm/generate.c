#include "llm/generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Candidate { float logit; int32_t id; } Candidate;

static int by_logit(const void *pa, const void *pb)
{
    const Candidate *a = pa, *b = pb;
    if (a->logit != b->logit) return a->logit > b->logit ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

static int32_t argmax(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

int32_t gpt2_sample(const float *logits, int64_t n_vocab, const Gpt2Sampling *s, double u, Arena *scratch)
{
    if (s->temperature <= 0 || s->top_k == 1) return argmax(logits, n_vocab);
    const size_t mark = arena_mark(scratch);
    Candidate *c = arena_alloc(scratch, (size_t)n_vocab * sizeof *c);
    for (int64_t i = 0; i < n_vocab; i++) c[i] = (Candidate){logits[i], (int32_t)i};
    qsort(c, (size_t)n_vocab, sizeof *c, by_logit);
    const int64_t k = s->top_k > 0 && s->top_k < n_vocab ? s->top_k : n_vocab;
    double total = 0;
    for (int64_t i = 0; i < k; i++) total += exp((double)(c[i].logit - c[0].logit) / s->temperature);
    double left = u * total;
    int64_t pick = 0;
    while (pick < k - 1 && (left -= exp((double)(c[pick].logit - c[0].logit) / s->temperature)) > 0) pick++;
    const int32_t id = c[pick].id;
    arena_rewind(scratch, mark);
    return id;
}

Status gpt2_tokens_check(const Gpt2 *m, const int32_t *token, int64_t n)
{
    if (n < 1) return ERROR("prompt: want at least 1 token, got none");
    if (n > m->c.positions)
        return ERROR("prompt: want at most %lld tokens (n_positions), got %lld", (long long)m->c.positions,
                     (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (token[i] < 0 || token[i] >= m->c.vocab)
            return ERROR("prompt: token %lld: want an id in 0..%lld, got %d", (long long)i, (long long)m->c.vocab - 1,
                         token[i]);
    return OK;
}

// Logits after the last of n tokens, to logits[vocab].
static Status last_logits(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, const int32_t *token, int64_t n, float *logits)
{
    tape_reset(t);
    Tensor *h = gpt2_forward_tokens(t, m, tape_from_i32(t, SHAPE(1, n), token), hook);
    tensor_get_f32(gpt2_logits(t, m, tape_slice(t, h, 1, n - 1, 1)), logits, m->c.vocab);
    for (int64_t i = 0; i < m->c.vocab; i++)
        if (!isfinite(logits[i]))
            return ERROR("logits after %lld tokens: want finite values, got %g for token %lld", (long long)n,
                         (double)logits[i], (long long)i);
    return OK;
}

static Status extend(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t n_new, const Gpt2Sampling *s,
                     int64_t *n_out, Gpt2TokenFn *on_token, void *arg)
{
    float *logits = arena_alloc(t->scratch, (size_t)m->c.vocab * sizeof *logits);
    const uint64_t sub = philox_subsequence(SITE_TOKEN, s->stream);
    for (int64_t i = 0; i < n_new; i++) {
        TRY(last_logits(t, m, hook, out, *n_out, logits));
        const double u = (double)philox_unit(philox_u32(s->seed, sub, (uint64_t)*n_out));
        const int32_t token = gpt2_sample(logits, m->c.vocab, s, u, t->scratch);
        out[(*n_out)++] = token;
        if (on_token && !on_token(arg, token)) break;
        if (s->stop_at_end && token == m->c.end_token) break;
    }
    return OK;
}

Status gpt2_generate(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t n_prompt, int64_t n_new,
                     const Gpt2Sampling *s, int64_t *n_out, Gpt2TokenFn *on_token, void *arg)
{
    *n_out = n_prompt;
    TRY(gpt2_tokens_check(m, out, n_prompt));
    if (n_new > m->c.positions - n_prompt)
        return ERROR("generate: want prompt + new tokens <= %lld (n_positions), got %lld + %lld",
                     (long long)m->c.positions, (long long)n_prompt, (long long)n_new);
    const bool record = t->record, training = t->training;
    const size_t mark = arena_mark(t->scratch);
    t->record = t->training = false;
    const Status status = extend(t, m, hook, out, n_new, s, n_out, on_token, arg);
    t->record = record;
    t->training = training;
    arena_rewind(t->scratch, mark);
    return status;
}
