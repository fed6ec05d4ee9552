// randn: y = standard normals at an address (philox.h).   no input, or clock I32 [1], which is added to the address's
// step
//   or NULL, row I32 [R,2] or NULL -> y [R,..]; the first dimension counts rows.
//   row r of y holds normals offset + (row0 + r) * ceil4(row length) + (0, 1, 2, ..), with row: (lo + 2^32 hi) for
//   (row0 + r), of the pair (lo, hi) that row has for r.  A row's numbers do not depend on
//   how many rows the call draws, so a sample does not depend on its batch.  The f64 twin gives the same (float)
//   values.
#include "tensor/philox.h"
#include "tensor/ref.h"

KERNEL(randn, fwd)
{
    const RandnParams *p = c->p;
    const RandomAddress at = random_address(p->at, c, 0);
    const uint64_t sub = philox_subsequence(at.site, at.step);
    real *y = out_x(c, 0);
    const int64_t rows = c->out[0]->shape.n ? c->out[0]->shape.d[0] : 1, len = rows ? numel(c->out[0]) / rows : 0;
    const int64_t quads = (len + 3) / 4;
    const uint32_t *row = c->n_in > 1 ? c->in[1]->x : NULL;
#pragma omp parallel for if (rows * len > PAR_MIN)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < quads; q++) {
            const uint64_t from = row ? row[2 * r] | (uint64_t)row[2 * r + 1] << 32 : (uint64_t)(p->row0 + r);
            const Philox4 d = philox_quad(at.seed, sub, at.offset / 4 + from * (uint64_t)quads + (uint64_t)q);
            float n[4];
            philox_normal2(d.v[0], d.v[1], &n[0], &n[1]);
            philox_normal2(d.v[2], d.v[3], &n[2], &n[3]);
            for (int64_t i = 0; i < 4 && 4 * q + i < len; i++) y[r * len + 4 * q + i] = (real)n[i];
        }
}
