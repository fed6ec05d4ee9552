// embedding: y[i,:] = table[idx[i],:].   table [V,D], idx I32 [..] in [0,V) -> y [..,D]
//   dtable[idx[i],:] += dy[i,:], in the order of i
#include "tensor/ref.h"

static int64_t row_of(const OpCall *c, int64_t i)
{
    const int32_t v = ((const int32_t *)c->in[1]->x)[i];
    CHECK(v >= 0 && v < c->in[0]->shape.d[0], "embedding: want an index in [0,%lld), got %d",
          (long long)c->in[0]->shape.d[0], v);
    return v;
}

KERNEL(embedding, fwd)
{
    const real *table = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->in[1]), D = c->in[0]->shape.d[1];
    for (int64_t i = 0; i < n; i++) memcpy(y + i * D, table + row_of(c, i) * D, (size_t)D * sizeof *y);
}

KERNEL(embedding, bwd)
{
    const real *dy = out_g(c, 0);
    real *dtable = in_g(c, 0);
    if (!dtable) return;
    const int64_t n = numel(c->in[1]), D = c->in[0]->shape.d[1];
    for (int64_t i = 0; i < n; i++) {
        real *row = dtable + row_of(c, i) * D;
        for (int64_t d = 0; d < D; d++) row[d] += dy[i * D + d];
    }
}
