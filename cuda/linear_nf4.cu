// A weight in NF4 (tensor/nf4.h) as rows of floats in scratch, for the products of linear and its fused forms, forward
// and backward.  One thread a pair of codes; a warp reads 32 neighbouring bytes and writes two lines of 128.
// Saves memory, not time: beside the product of few rows the f32 copy costs nine times the traffic of the codes.
#include "kernel.h"
#include "tensor/nf4.h"

struct Nf4Matrix {
    const void *x;
    int64_t K, N;
};

static __global__ void nf4_kernel(Nf4Matrix w, int64_t blocks, int64_t panel_bytes, float *rows)
{
    const float book[16] = NF4_VALUES;
    SHARED(float, values, [16]);
    if (threadIdx.x < 16) values[threadIdx.x] = book[threadIdx.x];
    __syncthreads();
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x, pair = quotient(i, w.N), n = i - pair * w.N;
    if (2 * pair >= w.K) return;
    const int64_t b = pair / (NF4_BLOCK / 2);
    const char *panel = static_cast<const char *>(w.x) + n / PANEL * panel_bytes;
    const Nf4Block *block = reinterpret_cast<const Nf4Block *>(panel) + b;
    const char *behind = panel + blocks * (int64_t)sizeof(Nf4Block);
    const Nf4Range *range = reinterpret_cast<const Nf4Range *>(behind) + b / NF4_GROUP;
    const float scale = __fmaf_rn((float)block->scale[n % PANEL], range->step, range->least);
    const int codes = block->code[pair % (NF4_BLOCK / 2)][n % PANEL];
    rows[2 * pair * w.N + n] = values[codes & 15] * scale;
    if (2 * pair + 1 < w.K) rows[(2 * pair + 1) * w.N + n] = values[codes >> 4] * scale;
}

const float *linear_weight(const OpCall *c)
{
    const Tensor *w = c->in[1];
    if (w->layout != LAYOUT_NF4) return static_cast<const float *>(w->x);
    const int64_t K = w->shape.d[0], N = w->shape.d[1];
    float *rows = scratch_of<float>(c, (size_t)(K * N));
    launch(c, nf4_kernel, grid_of((K + 1) / 2 * N, MAP_BLOCK), MAP_BLOCK, 0, Nf4Matrix{w->x, K, N}, nf4_blocks(K),
           (int64_t)nf4_panel_bytes(K), rows);
    return rows;
}
