// What tests of packed matrices share: random values and a product of a weight, with its gradient of x.
#ifndef LEAD_TESTS_PACK_WORLD_H
#define LEAD_TESTS_PACK_WORLD_H

#include "tests/llm_world.h"

static inline void fill(float *x, int64_t n, uint32_t id)
{
    for (int64_t i = 0; i < n; i++) x[i] = philox_normal(5, philox_subsequence(SITE_TEST, id), (uint64_t)i);
}

// y, dx of one product of M rows, concatenated in out; returns their number.
static inline int64_t product(World *w, Tensor *weight, int64_t M, bool gelu, float *out)
{
    Tape *t = &w->t;
    const int64_t K = weight->shape.d[0], N = weight->shape.d[1];
    Tensor *x = tape_tensor(t, SHAPE(M, K)), *b = tape_tensor(t, SHAPE(N));
    fill(x->x, M * K, 1);
    fill(b->x, N, 2);
    x->needs_grad = true;
    Tensor *y = gelu ? tape_linear_gelu(t, x, weight, b) : tape_linear(t, x, weight, b);
    fill(tape_grad(t, y), M * N, 3);
    tape_backward_from(t, y);
    memcpy(out, y->x, (size_t)(M * N) * sizeof *out);
    memcpy(out + M * N, x->g, (size_t)(M * K) * sizeof *out);
    tape_reset(t);
    return M * N + M * K;
}

#endif
