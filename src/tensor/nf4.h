// NF4: frozen matrices [K,N] in 4 bits (Dettmers et al. 2023, "QLoRA", arXiv 2305.14314).  Each weight is one of the 16
// values below, quantiles of a normal distribution scaled to [-1,1], times the scale of its block: NF4_BLOCK weights
// below each other in one column.  The scales are quantised too: 8 bits each, between the least and the largest of the
// NF4_GROUP blocks of the PANEL columns that lie together (QLoRA's second quantisation has a floating type of 8 bits).
//   scale = least + q step            of 8 bits q; rounded up, so no weight lies beyond the code book
//   value = nf4_values[code] scale    each of the two lines rounds once (fmaf, product): the same float everywhere
//   error <= (h + 2^-22) (s + step)   s the largest |weight| of the block, h = 0.152 half the widest gap of the book
// 4 + 8/64 + 64/16384 = 4.129 bits a weight where K and N are multiples of 512 and 32.
// A weight that is not finite makes its group NaN.
//
// LAYOUT_NF4 (tensor.h): a panel of 32 columns after the other, each [ceil(K/64)] Nf4Block, then
// [ceil(K/64/8)] Nf4Range; what lies behind K and N is zero.  On CPUs and GPUs alike.
#ifndef LEAD_TENSOR_NF4_H
#define LEAD_TENSOR_NF4_H

#include "tensor/pack.h"

enum { NF4_BLOCK = 64, NF4_GROUP = 8, NF4_ZERO = 7 };   // NF4_ZERO: the code of 0

// The quantiles at 8 steps from 1 - c to 1/2 and 9 from 1/2 to c, c = 0.9677083, over the largest: make test AREA=nf4
// computes them.
#define NF4_VALUES {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, \
                    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, \
                    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, \
                    0.7229568362236023f, 1.0f}

typedef struct Nf4Block {
    uint8_t scale[PANEL];
    uint8_t code[NF4_BLOCK / 2][PANEL];   // of an even row in the lower half, of the row below it in the upper one
} Nf4Block;

typedef struct Nf4Range { float least, step; } Nf4Range;

static inline int64_t nf4_blocks(int64_t K) { return (K + NF4_BLOCK - 1) / NF4_BLOCK; }

static inline size_t nf4_panel_bytes(int64_t K)
{
    const int64_t blocks = nf4_blocks(K), groups = (blocks + NF4_GROUP - 1) / NF4_GROUP;
    return (size_t)blocks * sizeof(Nf4Block) + (size_t)groups * sizeof(Nf4Range);
}

// Block b of panel p of a matrix of K rows at x, and its range.
static inline const Nf4Block *nf4_block(const void *x, int64_t K, int64_t p, int64_t b)
{
    return (const Nf4Block *)(const void *)((const char *)x + (size_t)p * nf4_panel_bytes(K)) + b;
}
static inline const Nf4Range *nf4_range(const void *x, int64_t K, int64_t p, int64_t b)
{
    return (const Nf4Range *)(const void *)nf4_block(x, K, p, nf4_blocks(K)) + b / NF4_GROUP;
}

static inline size_t nf4_bytes(Shape s) { return (size_t)((s.d[1] + PANEL - 1) / PANEL) * nf4_panel_bytes(s.d[0]); }

// Whether the device's products read the layout: CPUs with AVX2, GPUs.
bool nf4_read_by(const struct Device *dev);
// Quantises w's values, [K,N], into arena a.  On a device that does not read the layout, the values become the rounded
// ones where they are.  What is in NF4 already stays as it is.  w: as for tensor_pack.
void tensor_pack_nf4(Tensor *w, Arena *a);
// A matrix in NF4 from the start, values undefined: its f32 values never take memory.  The device reads the layout.
Tensor *tensor_new_nf4(Arena *a, const struct Device *dev, Shape shape, const char *name);

// All values, in and out (pack.h, columns_put).
void nf4_put(Tensor *w, ColumnValues from);
void nf4_get(const Tensor *w, ColumnValues to);

#endif
