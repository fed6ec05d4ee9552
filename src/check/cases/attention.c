#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    if (c->i[2]) tape_attention_cached(t, in[0], in[1], in[2], (int)c->i[0], c->i[2]);
    else tape_attention(t, in[0], in[1], in[2], (int)c->i[0], c->i[1] != 0);
}

static void shape(CaseList *list, const char *label, int64_t N, int64_t Tq, int64_t Tk, int64_t heads, int64_t size,
                  bool causal, bool large)
{
    const Shape q = SHAPE(N, Tq, heads * size), k = SHAPE(N, Tk, heads * size);
    case_add(list, (Case){.op = OP_attention, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = q}, {.shape = k}, {.shape = k}}, .i = {heads, causal}});
}

// A cache of L rows, of which `keys` are filled.
static void cache(CaseList *list, const char *label, int64_t N, int64_t Tq, int64_t keys, int64_t L, int64_t heads,
                  int64_t size, bool large)
{
    const Shape q = SHAPE(N, Tq, heads * size), k = SHAPE(N, L, heads * size);
    case_add(list, (Case){.op = OP_attention, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = q}, {.shape = k}, {.shape = k}}, .i = {heads, true, keys}});
}

void attention_cases(CaseList *list)
{
    shape(list, "one value", 1, 1, 1, 1, 1, false, false);
    shape(list, "one key", 2, 3, 1, 2, 3, false, false);
    shape(list, "one query", 2, 1, 5, 2, 4, false, false);
    shape(list, "self", 2, 5, 5, 3, 4, false, false);
    shape(list, "self, causal", 2, 5, 5, 3, 4, true, false);
    shape(list, "T = 1, causal", 2, 1, 1, 2, 3, true, false);
    shape(list, "one query after the others, causal", 2, 1, 7, 2, 3, true, false);
    shape(list, "more queries than keys", 1, 9, 4, 2, 5, false, false);
    shape(list, "fewer queries than keys", 1, 3, 11, 2, 5, false, false);
    shape(list, "fewer queries than keys, causal", 1, 3, 11, 2, 5, true, false);
    const int64_t head[] = {1, 3, 7, 8, 9, 12, 16, 17};
    for (int i = 0; i < (int)(sizeof head / sizeof *head); i++) {
        shape(list, "head size", 1, 4, 5, 2, head[i], false, false);
        shape(list, "head size, causal", 1, 4, 4, 1, head[i], true, false);
    }
    shape(list, "head size 64", 1, 2, 3, 1, 64, false, false);
    const int64_t keys[] = {7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof keys / sizeof *keys); i++) {
        shape(list, "keys at the vector edge", 1, 2, keys[i], 1, 3, false, false);
        shape(list, "keys at the vector edge, causal", 1, 5, keys[i], 1, 2, true, false);
    }
    // Scores in the thousands, each one product: exp overflows without the shift by the maximum, also in double.
    const CaseInput wide = {.shape = SHAPE(1, 13, 2), .fill = FILL_WIDE, .no_grad = true};
    case_add(list, (Case){.op = OP_attention, .label = "overflows without the shift", .n_in = 3, .build = build,
                          .i = {2}, .in = {wide, wide, {.shape = SHAPE(1, 13, 2)}}});
    const CaseInput four = {.shape = SHAPE(1, 13, 4), .fill = FILL_WIDE, .no_grad = true};
    case_add(list, (Case){.op = OP_attention, .label = "vanishes with a shift too large", .n_in = 3, .build = build,
                          .i = {1}, .in = {four, four, {.shape = SHAPE(1, 13, 4)}}});
    // One query: the CUDA kernel splits the keys from 65 on.
    shape(list, "one query, 150 keys, causal", 1, 1, 150, 1, 20, true, false);
    shape(list, "one query, 200 keys", 1, 1, 200, 2, 3, false, false);
    // More than a tile of the CUDA kernels: 64 queries, 64 or 32 keys.
    shape(list, "two tiles of keys, causal", 1, 19, 70, 1, 16, true, false);
    shape(list, "two tiles of queries", 1, 90, 5, 3, 16, false, false);
    shape(list, "two tiles of keys, head size 68", 1, 4, 37, 1, 68, false, false);
    shape(list, "LEAD pixels to condition", 2, 144, 64, 1, 64, false, true);
    shape(list, "LEAD pixels to condition, 4 heads of 16", 2, 144, 16, 4, 16, false, true);
    shape(list, "LEAD 23x23 pixels to condition", 1, 529, 64, 2, 32, false, true);
    shape(list, "LEAD self-attention of 9 pixels", 4, 9, 9, 8, 64, false, true);
    shape(list, "LEAD temporal encoder", 4, 16, 16, 8, 64, true, true);
    shape(list, "GPT-2, 64 tokens", 1, 64, 64, 12, 64, true, true);
    shape(list, "GPT-2, 301 tokens", 1, 301, 301, 2, 64, true, true);
    shape(list, "GPT-2, cached keys", 1, 3, 261, 12, 64, true, true);
    cache(list, "cache, one token", 2, 1, 3, 7, 2, 3, false);
    cache(list, "cache, some tokens", 2, 3, 5, 9, 1, 4, false);
    cache(list, "cache, the first tokens", 3, 4, 4, 5, 2, 2, false);
    cache(list, "cache, full", 2, 2, 6, 6, 2, 2, false);
    cache(list, "GPT-2, cache of two rows", 2, 1, 199, 300, 12, 64, true);
    cache(list, "GPT-2, prefill into a cache", 2, 70, 139, 150, 3, 64, true);
    shape(list, "odd everywhere", 3, 37, 131, 3, 29, true, true);
}
