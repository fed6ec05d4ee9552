// add, scale.
#include "launch.h"

enum { THREADS = 256 };

// The element that this thread works on, n being how many there are.
static __device__ __forceinline__ int64_t element() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }

// ---- add: y = a + b, b repeated

static __global__ void add_forward(const float *a, const float *b, float *y, int64_t n, int64_t Q)
{
    const int64_t i = element();
    if (i < n) y[i] = a[i] + b[i % Q];
}

static __global__ void accumulate(float *to, const float *from, int64_t n)
{
    const int64_t i = element();
    if (i < n) to[i] += from[i];
}

// db[q] += sum_p dy[p,q], in order
static __global__ void add_columns(float *db, const float *dy, int64_t P, int64_t Q)
{
    const int64_t q = element();
    if (q >= Q) return;
    double sum = 0;
    for (int64_t p = 0; p < P; p++) sum += (double)dy[p * Q + q];
    db[q] += (float)sum;
}

extern "C" void add_fwd_cuda(const OpCall *c)
{
    const int64_t n = numel(c->in[0]), Q = numel(c->in[1]);
    launch(c, add_forward, grid_of(n, THREADS), THREADS, 0, in_x(c, 0), in_x(c, 1), out_x(c, 0), n, Q);
}

extern "C" void add_bwd_cuda(const OpCall *c)
{
    const int64_t n = numel(c->in[0]), Q = numel(c->in[1]);
    if (in_g(c, 0)) launch(c, accumulate, grid_of(n, THREADS), THREADS, 0, in_g(c, 0), out_g(c, 0), n);
    if (in_g(c, 1)) launch(c, add_columns, grid_of(Q, THREADS), THREADS, 0, in_g(c, 1), out_g(c, 0), n / (Q ? Q : 1), Q);
}

// ---- scale: y = alpha x + beta

static __global__ void scale_forward(const float *x, float *y, float alpha, float beta, int64_t n)
{
    const int64_t i = element();
    if (i < n) y[i] = alpha * x[i] + beta;
}

static __global__ void scale_backward(float *dx, const float *dy, float alpha, int64_t n)
{
    const int64_t i = element();
    if (i < n) dx[i] += alpha * dy[i];
}

extern "C" void scale_fwd_cuda(const OpCall *c)
{
    const ScaleParams *p = static_cast<const ScaleParams *>(c->p);
    const int64_t n = numel(c->in[0]);
    launch(c, scale_forward, grid_of(n, THREADS), THREADS, 0, in_x(c, 0), out_x(c, 0), (float)p->alpha, (float)p->beta, n);
}

extern "C" void scale_bwd_cuda(const OpCall *c)
{
    const ScaleParams *p = static_cast<const ScaleParams *>(c->p);
    const int64_t n = numel(c->in[0]);
    if (in_g(c, 0)) launch(c, scale_backward, grid_of(n, THREADS), THREADS, 0, in_g(c, 0), out_g(c, 0), (float)p->alpha, n);
}
