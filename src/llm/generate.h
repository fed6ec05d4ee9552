// Text generation: greedy, sampled with temperature, top-k and top-p, or by beam search.  The prompt goes through the
// blocks in pieces (prefill), then each new token alone (decode); a cache holds the keys and values of earlier tokens.
// Only a hook that looks at later positions (REACH_ALL) makes each token run the whole window again.
// A text may grow beyond c.positions: the window of tokens that the model sees then moves on by half of the positions,
// and what is left in it goes through the blocks again.
#ifndef LEAD_LLM_GENERATE_H
#define LEAD_LLM_GENERATE_H

#include "llm/gpt2.h"

typedef struct Gpt2Sampling {
    double temperature;          // 0 = greedy (the lowest id among equals)
    int64_t top_k;               // draw from the k most likely tokens; 0 = from all
    double top_p;                // and of these from the fewest that together have this probability; 0 or 1 = from all
    uint64_t seed;               // token i (its position) of row r draws philox(seed, SITE_TOKEN << 32 | stream + r, i)
    uint32_t stream;
    bool stop_at_end;            // a row stops after a token that gpt2_is_end
} Gpt2Sampling;

// How many tokens of all rows went through the blocks, and how many seconds that took, sampling included.
typedef struct Gpt2Speed { int64_t prefill_tokens, decode_tokens; double prefill_seconds, decode_seconds; } Gpt2Speed;

// Called with each new token as it is found; returning false stops the generation.
typedef bool Gpt2TokenFn(void *arg, int64_t row, int32_t token);

// Draws one token from logits[0..n_vocab), which are finite.  u in (0,1) is the random number; greedy does not use it.
int32_t gpt2_sample(const float *logits, int64_t n_vocab, const Gpt2Sampling *s, double u, Arena *scratch);

// Appends up to n_new tokens to each row of out[rows][n_prompt + n_new], whose first n_prompt tokens are its prompt;
// n_out[row] = tokens in it afterwards.  Resets the tape before each token.  hook, on_token, speed may be NULL.
// Errors: an empty prompt or one of more than c.positions tokens, a token outside the vocabulary, logits that are not
// finite.
Status gpt2_generate_rows(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t rows, int64_t n_prompt,
                          int64_t n_new, const Gpt2Sampling *s, int64_t *n_out, Gpt2TokenFn *on_token, void *arg,
                          Gpt2Speed *speed);
// The same for one row.
Status gpt2_generate(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t n_prompt, int64_t n_new,
                     const Gpt2Sampling *s, int64_t *n_out, Gpt2TokenFn *on_token, void *arg);
// Beam search for the most likely continuation; it keeps the `beams` best beginnings of each length.
//   score = sum of ln p of the new tokens / (their number ^ length_penalty); a continuation ends at an end token (which
//   counts) or after n_new tokens.  The search stops when no beam can still beat the `beams` best that have ended.
// out[0..n_prompt + n_new) holds the prompt and receives the best continuation; score may be NULL.
// Errors: as above; beams < 1.
Status gpt2_beam_search(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t n_prompt, int64_t n_new,
                        int64_t beams, double length_penalty, int64_t *n_out, double *score);
// Checks token ids for any use.  Errors: n outside 1..positions, an id outside the vocabulary.
Status gpt2_tokens_check(const Gpt2 *m, const int32_t *token, int64_t n);

// The loss of a text, each token but the first predicted once.  Windows of `context` tokens begin every `stride`
// tokens; in each, only the tokens that no earlier window predicted count, so every token beyond the first `context` is
// predicted from at least context - stride tokens.  1 <= stride <= context <= positions.
// Errors: fewer than 2 tokens, an id outside the vocabulary.
typedef struct Gpt2TextLoss { int64_t tokens; double nats; } Gpt2TextLoss;     // predicted tokens; sum of -ln p
// on_window(arg, tokens so far) is called after each window and may be NULL; false stops.
typedef bool Gpt2WindowFn(void *arg, int64_t tokens);
Status gpt2_text_score(Gpt2TextLoss *out, Tape *t, const Gpt2 *m, const Gpt2Hook *hook, const int32_t *token, int64_t n,
                       int64_t context, int64_t stride, Gpt2WindowFn *on_window, void *arg);

#endif
