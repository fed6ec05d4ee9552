#include "llm/generate.h"
#include "tensor/clock.h"

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

// The k largest logits, largest first, by insertion into a sorted list: for k far below n_vocab.
static void best_of(Candidate *c, int64_t k, const float *logits, int64_t n_vocab)
{
    int64_t n = 0;
    for (int64_t i = 0; i < n_vocab; i++) {
        if (n == k && logits[i] <= c[k - 1].logit) continue;
        int64_t at = n < k ? n++ : k - 1;
        for (; at > 0 && c[at - 1].logit < logits[i]; at--) c[at] = c[at - 1];
        c[at] = (Candidate){logits[i], (int32_t)i};
    }
}

// Candidates 0..k, largest first -> how many of them top_p keeps; *total = their weights relative to the first.
static int64_t keep_top_p(const Candidate *c, int64_t k, const Gpt2Sampling *s, double *total)
{
    double all = 0, sum = 0;
    for (int64_t i = 0; i < k; i++) all += exp((double)(c[i].logit - c[0].logit) / s->temperature);
    const double want = s->top_p > 0 && s->top_p < 1 ? s->top_p * all : all;
    int64_t n = 0;
    while (n < k && (n == 0 || sum < want)) sum += exp((double)(c[n++].logit - c[0].logit) / s->temperature);
    *total = sum;
    return n;
}

int32_t gpt2_sample(const float *logits, int64_t n_vocab, const Gpt2Sampling *s, double u, Arena *scratch)
{
    enum { FEW = 512 };          // more of them are sorted faster than inserted
    if (s->temperature <= 0 || s->top_k == 1) return argmax(logits, n_vocab);
    const size_t mark = arena_mark(scratch);
    const int64_t k = s->top_k > 0 && s->top_k < n_vocab ? s->top_k : n_vocab;
    Candidate *c = arena_alloc(scratch, (size_t)n_vocab * sizeof *c);
    if (k <= FEW) best_of(c, k, logits, n_vocab);
    else {
        for (int64_t i = 0; i < n_vocab; i++) c[i] = (Candidate){logits[i], (int32_t)i};
        qsort(c, (size_t)n_vocab, sizeof *c, by_logit);
    }
    double total;
    const int64_t n = keep_top_p(c, k, s, &total);
    double left = u * total;
    int64_t pick = 0;
    while (pick < n - 1 && (left -= exp((double)(c[pick].logit - c[0].logit) / s->temperature)) > 0) pick++;
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

// ---- generation -----------------------------------------------------------------------------------------------------

// State of one call.  Rows are `stride` tokens apart; the first n tokens of every row are known.  The window begins at
// token `base`: when it has grown to all positions, it moves on by half of them.
typedef struct Run {
    Tape *t;
    const Gpt2 *m;
    const Gpt2Hook *hook;
    Gpt2Cache *cache;            // NULL: the whole window each time
    int32_t *out;
    int64_t rows, stride, n, base;
    float *logits;               // [rows,vocab]
    int32_t *piece;              // [rows,stride]
    size_t scratch_mark;
} Run;

// Runs tokens from .. n of each row through the blocks, PREFILL at a time -> h of the last of them.
static Tensor *hidden_after(Run *r, int64_t from)
{
    // Tokens of all rows together.  256 and 512 are no faster and take more memory (124M, one Zen 4 thread).
    enum { PREFILL = 128 };
    const int64_t step = r->cache ? (PREFILL + r->rows - 1) / r->rows : r->stride;
    Tensor *h = NULL;
    int64_t len = 0;
    for (; from < r->n; from += len) {
        len = r->n - from < step ? r->n - from : step;
        for (int64_t row = 0; row < r->rows; row++)
            memcpy(r->piece + row * len, r->out + row * r->stride + from, (size_t)len * sizeof *r->piece);
        tape_reset(r->t);
        Tensor *token = tape_from_i32(r->t, SHAPE(r->rows, len), r->piece);
        h = r->cache ? gpt2_forward_cached(r->t, r->m, r->cache, token, r->hook)
                     : gpt2_forward_tokens(r->t, r->m, token, r->hook);
    }
    return tape_slice(r->t, h, 1, len - 1, 1);
}

// The first token that has not gone through the blocks, as part of this window.
static int64_t unseen(const Run *r) { return r->base + (r->cache ? r->cache->n : 0); }

static void slide(Run *r)
{
    const int64_t P = r->m->c.positions;
    if (r->n - r->base <= P) return;
    r->base = r->n - (P + 1) / 2;
    if (r->cache) r->cache->n = 0;
}

static Status last_logits(Run *r)
{
    const int64_t V = r->m->c.vocab;
    tensor_get_f32(gpt2_logits(r->t, r->m, hidden_after(r, unseen(r))), r->logits, r->rows * V);
    for (int64_t i = 0; i < r->rows * V; i++)
        if (!isfinite(r->logits[i]))
            return ERROR("logits after %lld tokens: want finite values, got %g for token %lld", (long long)r->n,
                         (double)r->logits[i], (long long)(i % V));
    return OK;
}

// Token n of every row.  Rows that are done repeat their last token, which nobody sees.  false: stop.
static bool next_tokens(Run *r, const Gpt2Sampling *s, bool *done, int64_t *n_out, Gpt2TokenFn *on_token, void *arg)
{
    bool any = false;
    for (int64_t row = 0; row < r->rows; row++) {
        int32_t *at = r->out + row * r->stride + r->n;
        if (done[row]) {
            *at = at[-1];
            continue;
        }
        const uint64_t sub = philox_subsequence(SITE_TOKEN, s->stream + (uint32_t)row);
        const double u = (double)philox_unit(philox_u32(s->seed, sub, (uint64_t)r->n));
        *at = gpt2_sample(r->logits + row * r->m->c.vocab, r->m->c.vocab, s, u, r->t->scratch);
        n_out[row] = r->n + 1;
        if (on_token && !on_token(arg, row, *at)) return false;
        done[row] = s->stop_at_end && gpt2_is_end(&r->m->c, *at);
        any |= !done[row];
    }
    return any;
}

static Status extend(Run *r, const Gpt2Sampling *s, int64_t *n_out, Gpt2TokenFn *on_token, void *arg, Gpt2Speed *speed)
{
    bool *done = arena_zalloc(r->t->scratch, (size_t)r->rows * sizeof *done);
    const int64_t n_prompt = r->n;
    double t0 = clock_seconds();
    bool more = r->n < r->stride;
    for (; more; r->n++) {
        const bool first = r->n == n_prompt;
        slide(r);
        const int64_t fed = r->rows * (r->n - unseen(r));
        TRY(last_logits(r));
        more = next_tokens(r, s, done, n_out, on_token, arg) && r->n + 1 < r->stride;
        const double t1 = clock_seconds();
        if (speed) {
            *(first ? &speed->prefill_seconds : &speed->decode_seconds) += t1 - t0;
            *(first ? &speed->prefill_tokens : &speed->decode_tokens) += fed;
        }
        t0 = t1;
    }
    return OK;
}

// Checks a request and prepares *r for it; what it allocates lives until run_end.  *saved: the tape as it was before.
static Status run_begin(Run *r, Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t rows,
                        int64_t n_prompt, int64_t n_new, Tape *saved)
{
    const int64_t stride = n_prompt + n_new;
    for (int64_t row = 0; row < rows; row++) TRY(gpt2_tokens_check(m, out + row * stride, n_prompt));
    *saved = *t;
    tape_reset(t);
    t->record = t->training = false;
    *r = (Run){.t = t, .m = m, .hook = hook, .out = out, .rows = rows, .stride = stride, .n = n_prompt,
               .scratch_mark = arena_mark(t->scratch)};
    r->logits = arena_alloc(t->scratch, (size_t)(rows * m->c.vocab) * sizeof *r->logits);
    r->piece = arena_alloc(t->scratch, (size_t)(rows * stride) * sizeof *r->piece);
    if (!hook || !hook->after_block || hook->reach != REACH_ALL)
        r->cache = gpt2_cache_new(t->step, m, rows, stride < m->c.positions ? stride : m->c.positions, hook);
    t->step_mark = arena_mark(t->step);      // the cache survives tape_reset
    return OK;
}

static void run_end(Run *r, const Tape *saved)
{
    r->t->record = saved->record;
    r->t->training = saved->training;
    r->t->step_mark = saved->step_mark;
    tape_reset(r->t);
    arena_rewind(r->t->scratch, r->scratch_mark);
}

Status gpt2_generate_rows(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t rows, int64_t n_prompt,
                          int64_t n_new, const Gpt2Sampling *s, int64_t *n_out, Gpt2TokenFn *on_token, void *arg,
                          Gpt2Speed *speed)
{
    Run r;
    Tape saved;
    if (speed) *speed = (Gpt2Speed){0};
    for (int64_t row = 0; row < rows; row++) n_out[row] = n_prompt;
    TRY(run_begin(&r, t, m, hook, out, rows, n_prompt, n_new, &saved));
    const Status status = extend(&r, s, n_out, on_token, arg, speed);
    run_end(&r, &saved);
    return status;
}

Status gpt2_generate(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t n_prompt, int64_t n_new,
                     const Gpt2Sampling *s, int64_t *n_out, Gpt2TokenFn *on_token, void *arg)
{
    return gpt2_generate_rows(t, m, hook, out, 1, n_prompt, n_new, s, n_out, on_token, arg, NULL);
}

// ---- beam search ----------------------------------------------------------------------------------------------------

typedef struct Beam { double sum; int32_t row, token; } Beam;    // row extended by token; sum of ln p

// The n best extensions of all live rows, best first: equal sums in order of row and token.
static int64_t best_extensions(const Run *r, const double *sum, int64_t live, Beam *best, int64_t n)
{
    const int64_t V = r->m->c.vocab;
    int64_t found = 0;
    for (int64_t row = 0; row < live; row++) {
        const float *x = r->logits + row * V;
        const float top = x[argmax(x, V)];
        double total = 0;
        for (int64_t i = 0; i < V; i++) total += exp((double)(x[i] - top));
        const double base = sum[row] - (double)top - log(total);
        for (int64_t i = 0; i < V; i++) {
            const double s = base + (double)x[i];
            if (found == n && s <= best[n - 1].sum) continue;
            int64_t at = found < n ? found++ : n - 1;
            for (; at > 0 && best[at - 1].sum < s; at--) best[at] = best[at - 1];
            best[at] = (Beam){s, (int32_t)row, (int32_t)i};
        }
    }
    return found;
}

// The continuations that ended: the best of them, and the scores of the `beams` best.
typedef struct Ended { int64_t n, max; double *score; int32_t *best; int64_t best_len; } Ended;

static void keep_ended(Ended *e, const int32_t *token, int64_t len, double score)
{
    if (e->n == 0 || score > e->score[0]) {
        memcpy(e->best, token, (size_t)len * sizeof *token);
        e->best_len = len;
    }
    if (e->n == e->max && score <= e->score[e->n - 1]) return;
    int64_t at = e->n < e->max ? e->n++ : e->n - 1;
    for (; at > 0 && e->score[at - 1] < score; at--) e->score[at] = e->score[at - 1];
    e->score[at] = score;
}

static Status search(Run *r, double length_penalty, Ended *e)
{
    const int64_t B = r->rows, n_prompt = r->n;
    Arena *a = r->t->scratch;
    double *sum = arena_zalloc(a, (size_t)B * sizeof *sum);
    Beam *best = arena_alloc(a, (size_t)(2 * B) * sizeof *best);
    int32_t *rows = arena_alloc(a, (size_t)(B * r->stride) * sizeof *rows),
            *from = arena_zalloc(a, (size_t)B * sizeof *from);
    int64_t live = 1;            // the first step: all rows are the same prompt
    for (; r->n < r->stride && live; r->n++) {
        slide(r);
        TRY(last_logits(r));
        const int64_t n = best_extensions(r, sum, live, best, 2 * B);
        const double scale = pow((double)(r->n + 1 - n_prompt), length_penalty);
        memcpy(rows, r->out, (size_t)(B * r->stride) * sizeof *rows);
        live = 0;
        for (int64_t k = 0; k < n && live < B; k++) {
            int32_t *to = r->out + live * r->stride;
            memcpy(to, rows + best[k].row * r->stride, (size_t)r->n * sizeof *to);
            to[r->n] = best[k].token;
            if (gpt2_is_end(&r->m->c, best[k].token)) {
                if (k < B) keep_ended(e, to, r->n + 1, best[k].sum / scale);
                continue;
            }
            sum[live] = best[k].sum;
            from[live++] = best[k].row;
        }
        if (live && e->n == e->max && sum[0] / scale <= e->score[e->n - 1]) live = 0;
        if (r->cache && live) gpt2_cache_select(r->t, r->cache, from);
    }
    for (int64_t row = 0; row < live; row++)
        keep_ended(e, r->out + row * r->stride, r->n, sum[row] / pow((double)(r->n - n_prompt), length_penalty));
    return OK;
}

Status gpt2_beam_search(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, int32_t *out, int64_t n_prompt, int64_t n_new,
                        int64_t beams, double length_penalty, int64_t *n_out, double *score)
{
    if (beams < 1) return USAGE_ERROR("beams: want at least 1, got %lld", (long long)beams);
    const size_t mark = arena_mark(t->scratch);
    const int64_t stride = n_prompt + n_new;
    int32_t *rows = arena_zalloc(t->scratch, (size_t)(beams * stride) * sizeof *rows);
    for (int64_t b = 0; b < beams; b++) memcpy(rows + b * stride, out, (size_t)n_prompt * sizeof *rows);
    Ended e = {.max = beams, .score = arena_alloc(t->scratch, (size_t)beams * sizeof *e.score), .best = out};
    Run r;
    Tape saved;
    Status s = run_begin(&r, t, m, hook, rows, beams, n_prompt, n_new, &saved);
    if (!s.code) {
        s = search(&r, length_penalty, &e);
        run_end(&r, &saved);
    }
    *n_out = s.code ? n_prompt : e.best_len;
    if (score && !s.code) *score = e.score[0];
    arena_rewind(t->scratch, mark);
    return s;
}

// ---- the loss of a text ---------------------------------------------------------------------------------------------

// -ln p(token[i+1]) summed over i = from .. n-1, from the hidden states h [1,n,D] of token[0..n).  It takes some rows
// at a time, so that the logits of a large vocabulary stay small.
static double window_nats(Tape *t, const Gpt2 *m, Tensor *h, const int32_t *token, int64_t from, int64_t n)
{
    enum { ROWS = 128 };
    double nats = 0;
    const size_t mark = arena_mark(t->step);
    for (int64_t i = from; i < n; i += ROWS) {
        const int64_t rows = n - i < ROWS ? n - i : ROWS;
        Tensor *y = gpt2_logits(t, m, tape_slice(t, h, 1, i, rows));
        double loss;
        tensor_get_f64(tape_cross_entropy(t, y, tape_from_i32(t, SHAPE(rows), token + i + 1)), &loss, 1);
        nats += loss * (double)rows;
        arena_rewind(t->step, mark);
    }
    return nats;
}

static Status score(Gpt2TextLoss *out, Tape *t, const Gpt2 *m, const Gpt2Hook *hook, const int32_t *token, int64_t n,
                    int64_t context, int64_t stride, Gpt2WindowFn *on_window, void *arg)
{
    const bool cached = !hook || !hook->after_block || hook->reach != REACH_ALL;
    Gpt2Cache *cache = cached ? gpt2_cache_new(t->step, m, 1, context, hook) : NULL;
    t->step_mark = arena_mark(t->step);
    int64_t predicted = 1;       // tokens 0 .. predicted-1 are done; the first is given
    for (int64_t at = 0; predicted < n; at += stride) {
        const int64_t len = n - 1 - at < context ? n - 1 - at : context;
        tape_reset(t);
        Tensor *x = tape_from_i32(t, SHAPE(1, len), token + at);
        if (cached) cache->n = 0;    // the same mathematics in less memory: one block's activations
        Tensor *h = cached ? gpt2_forward_cached(t, m, cache, x, hook) : gpt2_forward_tokens(t, m, x, hook);
        out->nats += window_nats(t, m, h, token + at, predicted - 1 - at, len);
        if (!isfinite(out->nats))
            return ERROR("loss after %lld tokens: want a finite value, got %g", (long long)(at + len), out->nats);
        predicted = at + len + 1;
        out->tokens = predicted - 1;
        if (on_window && !on_window(arg, out->tokens)) break;
    }
    return OK;
}

Status gpt2_text_score(Gpt2TextLoss *out, Tape *t, const Gpt2 *m, const Gpt2Hook *hook, const int32_t *token, int64_t n,
                       int64_t context, int64_t stride, Gpt2WindowFn *on_window, void *arg)
{
    *out = (Gpt2TextLoss){0};
    if (context < 1 || context > m->c.positions || stride < 1 || stride > context)
        return USAGE_ERROR("want 1 <= stride <= context <= %lld (n_positions), got stride %lld, context %lld",
                           (long long)m->c.positions, (long long)stride, (long long)context);
    if (n < 2)
        return ERROR("text: want at least 2 tokens, of which the second can be predicted, got %lld", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (token[i] < 0 || token[i] >= m->c.vocab)
            return ERROR("text: token %lld: want an id in 0..%lld, got %d", (long long)i, (long long)m->c.vocab - 1,
                         token[i]);
    const Tape saved = *t;
    tape_reset(t);
    t->record = t->training = false;
    const Status s = score(out, t, m, hook, token, n, context, stride, on_window, arg);
    t->record = saved.record;
    t->training = saved.training;
    t->step_mark = saved.step_mark;
    tape_reset(t);
    return s;
}
