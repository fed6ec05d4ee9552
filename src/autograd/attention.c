// Checked calls of softmax, attention and its cache.
#include "autograd/check.h"

Tensor *tape_softmax(Tape *t, Tensor *x) { return tape_unary(t, OP_softmax, x, NULL, 0); }

static Tensor *attention(Tape *t, Tensor *q, Tensor *k, Tensor *v, int heads, bool causal, int64_t keys)
{
    check_dims("attention", "q", q, 3);
    check_dims("attention", "k", k, 3);
    const int64_t N = q->shape.d[0], Tq = q->shape.d[1], D = q->shape.d[2], L = k->shape.d[1], Tk = keys ? keys : L;
    check_shape("attention", "k", k, SHAPE(N, L, D));
    check_shape("attention", "v", v, SHAPE(N, L, D));
    CHECK(heads >= 1 && D % heads == 0, "attention: %d heads do not divide width %lld", heads, (long long)D);
    CHECK(keys >= 0 && keys <= L, "attention: %lld keys of %lld", (long long)keys, (long long)L);
    CHECK(!causal || Tk >= Tq, "attention: causal wants Tk >= Tq, got %lld and %lld", (long long)Tk, (long long)Tq);
    const AttentionParams p = {heads, causal, keys};
    return tape_op(t, OP_attention, 3, (Tensor *[]){q, k, v}, 2, (Shape[]){q->shape, SHAPE(N, heads, Tq)}, &p, sizeof p)
        ->out[0];
}

Tensor *tape_attention(Tape *t, Tensor *q, Tensor *k, Tensor *v, int heads, bool causal)
{
    return attention(t, q, k, v, heads, causal, 0);
}

Tensor *tape_attention_cached(Tape *t, Tensor *q, Tensor *k, Tensor *v, int heads, int64_t keys)
{
    CHECK(keys >= 1, "attention: a cache of %lld keys", (long long)keys);
    return attention(t, q, k, v, heads, true, keys);
}

void tape_cache_put(Tape *t, Tensor *cache, Tensor *x, int64_t start)
{
    check_dims("cache_put", "cache", cache, 3);
    check_dims("cache_put", "x", x, 3);
    const int64_t T = x->shape.d[1];
    check_shape("cache_put", "x", x, SHAPE(cache->shape.d[0], T, cache->shape.d[2]));
    CHECK(start >= 0 && start + T <= cache->shape.d[1], "cache_put: rows [%lld,%lld) of %lld", (long long)start,
          (long long)(start + T), (long long)cache->shape.d[1]);
    const CachePutParams p = {start};
    tape_run(t, OP_cache_put, 2, (Tensor *[]){cache, x}, 1, &cache, &p);
}
