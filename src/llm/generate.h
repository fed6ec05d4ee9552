// Text generation: greedy, or sampled with temperature and top-k.  No key/value cache yet: each new token runs the
// whole window again.
#ifndef LEAD_LLM_GENERATE_H
#define LEAD_LLM_GENERATE_H

#include "llm/gpt2.h"

typedef struct Gpt2Sampling {
    double temperature;          // 0 = greedy (the lowest id among equals)
    int64_t top_k;               // only the k most likely tokens; 0 = all
    uint64_t seed;               // token at position i: philox(seed, SITE_TOKEN << 32 | stream, i)
    uint32_t stream;
    bool stop_at_end;            // stop after c.end_token
} Gpt2Sampling;

// Called with each new token as it is found; false stops.
typedef bool Gpt2TokenFn(void *arg, int32_t token);

// One token from logits[0..n_vocab) (finite).  u in (0,1) decides; unused when greedy.
int32_t gpt2_sample(const float *logits, int64_t n_vocab, const Gpt2Sampling *s, double u, Arena *scratch);

// Appends up to n_new tokens to out[0..n_prompt), which holds the prompt; *n_out = tokens in out afterwards.
// Resets the tape before each token.  hook and on_token may be NULL.
// Errors: empty prompt, a token outside the vocabulary, n_prompt + n_new > positions, logits that are not finite.
Status gpt2_generate(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t n_prompt, int64_t n_new,
                     const Gpt2Sampling *s, int64_t *n_out, Gpt2TokenFn *on_token, void *arg);
// The same checks for any use of token ids: 1 <= n <= positions, ids in the vocabulary.
Status gpt2_tokens_check(const Gpt2 *m, const int32_t *token, int64_t n);

#endif
