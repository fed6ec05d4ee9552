// Frozen matrices [K,N] in the order in which the products of cpu_simd read them, so that no product copies them:
//   LAYOUT_PANELS       [N/PANEL][K][PANEL] floats: a tile reads one stream, and a product of few rows reads the matrix
//                       once, in order
//   LAYOUT_PANELS_BF16  [ceil(N/PANEL)][ceil(K/2)][PANEL][2] bf16, zeros beyond K and N: half the bytes; two terms lie
//                       together as the dot products of AVX512-BF16 take them.  Rounded to nearest even
// The packed values are the only ones.  There is no second copy that could be stale: tensor_set_* writes and tensor_get_*
// reads through the layout, ops other than linear and linear_gelu refuse such a tensor (tape.c), and what has a gradient
// is never packed, so no optimiser meets one.  Products with LAYOUT_PANELS have the same bits as with plain rows.
//
// Products with LAYOUT_PANELS_BF16 are for inference: no gradient flows through them (tape_linear records none: a bug).
// With u = 2^-8 and S = sum over k of |x_k w_k|, y differs from that of the unrounded w by at most
//   u S           x in f32: CPUs without AVX512-BF16
//   (2u + u^2) S  AVX512-BF16: x is rounded as well (and subnormals are zero)
// plus the error of a sum in f32.  So the two kinds of CPU differ in bits; on one CPU the bits of a row depend neither
// on the other rows nor on the threads.
#ifndef LEAD_TENSOR_PACK_H
#define LEAD_TENSOR_PACK_H

#include "tensor/bf16.h"
#include "tensor/tensor.h"

enum { PANEL = 32 };

// Moves w's values, [K,N], into arena a as panels; the pages of the old place go back to the system.  Left as it is: on a
// device whose kernels read rows only (scalar, f64, memory of its own), and when N is no multiple of PANEL.
// w is a leaf without gradient that owns its values: else a bug.
void tensor_pack(Tensor *w, Arena *a);

// The same as bf16 panels, any N.  On a device whose kernels read rows only, the values are rounded where they are.
void tensor_pack_bf16(Tensor *w, Arena *a);
// x^T [K,N] in arena a, of x [N,K] in rows, as bf16 panels; rounded rows on a device whose kernels read rows only.
Tensor *tensor_turned_bf16(const Tensor *x, Arena *a);

static inline size_t bf16_panel_bytes(Shape s)
{
    return (size_t)((s.d[1] + PANEL - 1) / PANEL * ((s.d[0] + 1) / 2) * 2 * PANEL) * sizeof(uint16_t);
}

// Where value i, in row order, of a matrix in panels is.
static inline int64_t panel_place(const Tensor *w, int64_t i)
{
    const int64_t K = w->shape.d[0], N = w->shape.d[1], k = i / N, n = i % N;
    if (w->layout == LAYOUT_PANELS) return (n / PANEL * K + k) * PANEL + n % PANEL;
    return ((n / PANEL * ((K + 1) / 2) + k / 2) * PANEL + n % PANEL) * 2 + k % 2;
}

static inline float packed_get(const Tensor *w, int64_t i)
{
    const int64_t at = panel_place(w, i);
    return w->layout == LAYOUT_PANELS ? ((const float *)w->x)[at] : bf16_to_f32(((const uint16_t *)w->x)[at]);
}

static inline void packed_set(Tensor *w, int64_t i, float v)
{
    const int64_t at = panel_place(w, i);
    if (w->layout == LAYOUT_PANELS) ((float *)w->x)[at] = v;
    else ((uint16_t *)w->x)[at] = f32_to_bf16(v);
}

#endif
