// sum: in double; each block adds a stretch of CHUNK values, the last kernel adds the blocks' sums.
#include "launch.h"

enum { THREADS = 256, CHUNK = 16384 };

static __global__ void sum_chunks(const float *x, double *part, int64_t n)
{
    SHARED(double, room, [33]);
    const int64_t begin = (int64_t)blockIdx.x * CHUNK, end = begin + CHUNK < n ? begin + CHUNK : n;
    double sum = 0;
    for (int64_t i = begin + threadIdx.x; i < end; i += THREADS) sum += (double)x[i];
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

static __global__ void sum_parts(const double *part, float *y, int64_t n)
{
    SHARED(double, room, [33]);
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += THREADS) sum += part[i];
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) y[0] = (float)sum;
}

static __global__ void sum_backward(float *dx, const float *dy, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) dx[i] += dy[0];
}

extern "C" void sum_fwd_cuda(const OpCall *c)
{
    const int64_t n = numel(c->in[0]), chunks = (n + CHUNK - 1) / CHUNK;
    double *part = scratch_of<double>(c, (size_t)chunks);
    launch(c, sum_chunks, grid_of(n, CHUNK), THREADS, 0, in_x(c, 0), part, n);
    launch(c, sum_parts, 1, THREADS, 0, part, out_x(c, 0), chunks);
}

extern "C" void sum_bwd_cuda(const OpCall *c)
{
    const int64_t n = numel(c->in[0]);
    if (in_g(c, 0)) launch(c, sum_backward, grid_of(n, THREADS), THREADS, 0, in_g(c, 0), out_g(c, 0), n);
}
