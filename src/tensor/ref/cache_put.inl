// cache_put: y = cache, with rows start .. start + T of each sample replaced by x; CachePutParams.
//   cache [N,L,D], x [N,T,D], start + T <= L -> y [N,L,D], which may be the same buffer as cache
#include "tensor/ref.h"

KERNEL(cache_put, fwd)
{
    const int64_t *s = c->in[0]->shape.d, N = s[0], row = s[1] * s[2], run = c->in[1]->shape.d[1] * s[2];
    const int64_t first = ((const CachePutParams *)c->p)->start * s[2];
    const real *cache = in_x(c, 0), *x = in_x(c, 1);
    real *y = out_x(c, 0);
    if (y != cache) memcpy(y, cache, (size_t)(N * row) * sizeof *y);
    for (int64_t n = 0; n < N; n++) memcpy(y + n * row + first, x + n * run, (size_t)run * sizeof *y);
}
