// clamp: into [-limit, limit]; NaN stays.
#include "launch.h"

enum { THREADS = 256 };

static __global__ void clamp_forward(const float *x, float *y, float limit, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n) y[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
}

extern "C" void clamp_fwd_cuda(const OpCall *c)
{
    const ClampParams *p = static_cast<const ClampParams *>(c->p);
    const int64_t n = numel(c->in[0]);
    launch(c, clamp_forward, grid_of(n, THREADS), THREADS, 0, in_x(c, 0), out_x(c, 0), (float)p->limit, n);
}
