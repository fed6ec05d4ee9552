// Frozen matrices [K,N] in the order in which the products read them, so that no product copies them; the first two on
// CPUs, the third on GPUs:
//   LAYOUT_PANELS       [N/PANEL][K][PANEL] floats: a tile reads one stream, and a product of few rows reads the matrix
//                       once, in order
//   LAYOUT_PANELS_BF16  [ceil(N/PANEL)][ceil(K/2)][PANEL][2] bf16, zeros beyond K and N: half the bytes; two terms lie
//                       together as the dot products of AVX512-BF16 take them.  Rounded to nearest even
//   LAYOUT_COLUMNS_BF16 [N][K rounded up to 8] bf16, zeros beyond K: 16 bytes hold 8 terms of one column
//   LAYOUT_NF4          4 bits a weight (tensor/nf4.h), on both
// The packed values are the only ones.  There is no second copy that could be stale: tensor_set_* writes and
// tensor_get_* reads through the layout, ops other than linear and its fused forms refuse such a tensor (tape.c), and
// what has a gradient is never packed, so no optimiser meets one.  Products with LAYOUT_PANELS have the same bits as
// with plain rows.
//
// Products with bf16 weights are for inference: no gradient flows through them (tape_linear records none: a bug).
// With u = 2^-8 and S = sum over k of |x_k w_k|, y differs from that of the unrounded w by at most
//   u S           x in f32: CPUs without AVX512-BF16; GPUs, up to 8 rows
//   (2u + u^2) S  x is rounded as well: AVX512-BF16 (subnormals are zero too); GPUs from 9 rows on, whatever --math
//                 says
// plus the error of a sum in f32.  So the two kinds of CPU differ in bits; on one CPU the bits of a row depend neither
// on the other rows nor on the threads; on a GPU they depend on the number of rows.
#ifndef LEAD_TENSOR_PACK_H
#define LEAD_TENSOR_PACK_H

#include "tensor/bf16.h"
#include "tensor/tensor.h"

enum { PANEL = 32 };

// Moves w's values, [K,N], into arena a as panels; the pages of the old place go back to the system.  Left as it is: on
// a device whose kernels read rows only (scalar, f64, memory of its own), and when N is no multiple of PANEL.
// w is a leaf without gradient that owns its values: else a bug.
void tensor_pack(Tensor *w, Arena *a);

// The same as bf16 panels or columns, any N.  On a device whose kernels read rows only, the values are rounded where
// they are.  What is in bf16 already stays as it is.
void tensor_pack_bf16(Tensor *w, Arena *a);
// x^T [K,N] in arena a, of x [N,K] in rows, as bf16 panels or columns; rounded rows on a device whose kernels read rows
// only.
Tensor *tensor_transposed_bf16(const Tensor *x, Arena *a);
// A matrix that is bf16 columns from the start, values undefined: its f32 values never take device memory.
Tensor *tensor_new_columns(Arena *a, const struct Device *dev, Shape shape, const char *name);

// A bug unless w is what the functions above and tensor_pack_nf4 want; `who` begins the message.
void tensor_check_frozen(const Tensor *w, const char *who);

// Layouts whose values go in and out all at once.
static inline bool moves_whole(const Tensor *w) { return w->layout == LAYOUT_COLUMNS_BF16 || w->layout == LAYOUT_NF4; }
// All values of such a w from host memory, and back: value (k,n) at x[k rk + n rn], float or, when wide, double.
typedef struct ColumnValues { void *x; bool wide; int64_t rk, rn; } ColumnValues;
void columns_put(Tensor *w, ColumnValues from);
void columns_get(const Tensor *w, ColumnValues to);

static inline bool is_bf16(const Tensor *w)
{
    return w->layout == LAYOUT_PANELS_BF16 || w->layout == LAYOUT_COLUMNS_BF16;
}

static inline int64_t column_length(int64_t K) { return (K + 7) / 8 * 8; }

static inline size_t bf16_column_bytes(Shape s) { return (size_t)(s.d[1] * column_length(s.d[0])) * sizeof(uint16_t); }

static inline size_t bf16_panel_bytes(Shape s)
{
    return (size_t)((s.d[1] + PANEL - 1) / PANEL * ((s.d[0] + 1) / 2) * 2 * PANEL) * sizeof(uint16_t);
}

// Where value i, in row order, of a matrix in panels (host memory) is.
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
