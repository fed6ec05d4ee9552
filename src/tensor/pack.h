// Frozen matrices [K,N] in the order in which the products of cpu_simd read them, so that no product copies them:
//   LAYOUT_PANELS  [N/PANEL][K][PANEL] floats: a tile reads one stream, and a product of few rows reads the matrix once, in order
// The packed values are the only ones.  There is no second copy that could be stale: tensor_set_* writes and tensor_get_*
// reads through the layout, ops other than linear and linear_gelu refuse such a tensor (tape.c), and what has a gradient
// is never packed, so no optimiser meets one.  Products have the same bits as with plain rows.
#ifndef LEAD_TENSOR_PACK_H
#define LEAD_TENSOR_PACK_H

#include "tensor/tensor.h"

enum { PANEL = 32 };

// Moves w's values, [K,N], into arena a as panels; the pages of the old place go back to the system.  Left as it is: on a
// device whose kernels read rows only (scalar, f64, memory of its own), and when N is no multiple of PANEL.
// w is a leaf without gradient that owns its values: else a bug.
void tensor_pack(Tensor *w, Arena *a);

// Where value i, in row order, of a matrix in panels is.
static inline int64_t panel_place(const Tensor *w, int64_t i)
{
    const int64_t K = w->shape.d[0], N = w->shape.d[1], k = i / N, n = i % N;
    return (n / PANEL * K + k) * PANEL + n % PANEL;
}

#endif
