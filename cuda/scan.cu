// selective_scan.  Semantics: src/tensor/ref/selective_scan.inl.
//
// forward: a thread for each channel of a sequence walks through time with up to 16 states in registers; more states
// take more passes, which add to y.  Neighbouring threads are neighbouring channels: x, Delta and y are read and
// written in whole lines, B and C once for a warp.  Bound by the exponentials: N T W S at 16 a cycle and SM.
// backward: a thread for each state writes all its h_t and then all its g_t = dL/dh_t; every gradient is a map or a
// column sum over the two (kernel.h).  They take 8 T W N bytes a sequence; a batch is cut into slices
// of 256 KiB an SM, which the L2 cache of an H200 (50 MB) holds.
#include "kernel.h"

struct Scan {   // the pointers: of some sequence and those behind it
    const float *x, *delta, *A, *B, *C, *D, *dy;
    int64_t T, W, N;
};

static Scan scan_of(const OpCall *c, int64_t first, const float *dy)   // from sequence `first` on
{
    const int64_t T = c->in[0]->shape.d[1], W = c->in[0]->shape.d[2], N = c->in[2]->shape.d[1];
    const int64_t wide = first * T * W, narrow = first * T * N;
    return Scan{in_x(c, 0) + wide, in_x(c, 1) + wide, in_x(c, 2), in_x(c, 3) + narrow, in_x(c, 4) + narrow, in_x(c, 5),
                dy ? dy + wide : NULL, T, W, N};
}

static constexpr int64_t STATES = 16;

static __global__ void scan_kernel(int64_t count, Scan s, float *y)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (i >= count) return;
    const int64_t w = remainder_of(i, s.W), first = quotient(i, s.W) * s.T;
    const float D = s.D[w];
    for (int64_t n0 = 0; n0 < s.N; n0 += STATES) {
        const int64_t live = s.N - n0 < STATES ? s.N - n0 : STATES;
        float a[STATES], h[STATES];
#pragma unroll
        for (int k = 0; k < STATES; k++) a[k] = k < live ? s.A[w * s.N + n0 + k] : 0.0f, h[k] = 0.0f;
        for (int64_t r = first; r < first + s.T; r++) {
            const float step = s.delta[r * s.W + w], x = s.x[r * s.W + w];
            float sum = n0 ? y[r * s.W + w] : D * x;
#pragma unroll
            for (int k = 0; k < STATES; k++) {
                if (k >= live) break;
                h[k] = expf(step * a[k]) * h[k] + step * x * s.B[r * s.N + n0 + k];
                sum += s.C[r * s.N + n0 + k] * h[k];
            }
            y[r * s.W + w] = sum;
        }
    }
}

CUDA_KERNEL(selective_scan, fwd)
{
    const int64_t count = c->in[0]->shape.d[0] * c->in[0]->shape.d[2];
    launch(c, scan_kernel, grid_of(count, MAP_BLOCK), MAP_BLOCK, 0, count, scan_of(c, 0, NULL), out_x(c, 0));
}

// h and g [rows][W N] of `count` states
static __global__ void scan_states_kernel(int64_t count, Scan s, float *h, float *g)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x, Q = s.W * s.N;
    if (i >= count) return;
    const int64_t first = quotient(i, Q) * s.T, q = remainder_of(i, Q), w = quotient(q, s.N), n = q - w * s.N;
    const float a = s.A[q];
    float state = 0, after = 0;
    for (int64_t r = first; r < first + s.T; r++) {
        const float step = s.delta[r * s.W + w];
        state = expf(step * a) * state + step * s.x[r * s.W + w] * s.B[r * s.N + n];
        h[r * Q + q] = state;
    }
    for (int64_t r = first + s.T - 1; r >= first; r--) {
        const float grad = s.C[r * s.N + n] * s.dy[r * s.W + w] + after;
        g[r * Q + q] = grad;
        after = expf(s.delta[r * s.W + w] * a) * grad;
    }
}

struct ScanGrad {   // of what h and g are made from
    Scan s;
    const float *h, *g;
    // exp(Delta A) h of the step before; i: a channel of a row, q: its state n
    __device__ float kept(int64_t row, int64_t w, int64_t n) const
    {
        if (remainder_of(row, s.T) == 0) return 0;
        return expf(s.delta[row * s.W + w] * s.A[w * s.N + n]) * h[((row - 1) * s.W + w) * s.N + n];
    }
};

struct ScanData : ScanGrad {    // dx
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t row = quotient(i, s.W);
        float sum = 0;
        for (int64_t n = 0; n < s.N; n++) sum += g[i * s.N + n] * s.B[row * s.N + n];
        return Pack<W>{{s.delta[i] * sum + s.D[i - row * s.W] * s.dy[i]}};
    }
};

struct ScanStep : ScanGrad {    // dDelta
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t row = quotient(i, s.W), w = i - row * s.W;
        float sum = 0;
        for (int64_t n = 0; n < s.N; n++)
            sum += g[i * s.N + n] * (s.A[w * s.N + n] * kept(row, w, n) + s.B[row * s.N + n] * s.x[i]);
        return Pack<W>{{sum}};
    }
};

struct ScanDecay : ScanGrad {   // dA: rows x states
    __device__ void operator()(int64_t row, int64_t q, float (&v)[1]) const
    {
        const int64_t w = quotient(q, s.N), n = q - w * s.N;
        v[0] = g[row * s.W * s.N + q] * s.delta[row * s.W + w] * kept(row, w, n);
    }
};

struct ScanInOut : ScanGrad {   // dB and dC: channels x N, for each row; line = row W + channel
    __device__ void operator()(int64_t line, int64_t n, float (&v)[2]) const
    {
        v[0] = g[line * s.N + n] * s.delta[line] * s.x[line];
        v[1] = h[line * s.N + n] * s.dy[line];
    }
};

struct ScanSkip : ScanGrad {    // dD: rows x channels
    __device__ void operator()(int64_t row, int64_t w, float (&v)[1]) const
    {
        v[0] = s.x[row * s.W + w] * s.dy[row * s.W + w];
    }
};

CUDA_KERNEL(selective_scan, bwd)
{
    const int64_t S = c->in[0]->shape.d[0], T = c->in[0]->shape.d[1], W = c->in[0]->shape.d[2];
    const int64_t N = c->in[2]->shape.d[1], one = T * W * N;
    const int64_t slice = (int64_t)multiprocessors(c) * (256 << 10) / (2 * (int64_t)sizeof(float));
    const int64_t fit = slice / (one > 0 ? one : 1), most = fit > 1 ? fit : 1;
    float *h = scratch_of<float>(c, (size_t)((S < most ? S : most) * one));
    float *g = scratch_of<float>(c, (size_t)((S < most ? S : most) * one));
    for (int64_t first = 0; first < S; first += most) {
        const int64_t sequences = S - first < most ? S - first : most, rows = sequences * T, count = sequences * W * N;
        const ScanGrad f = {scan_of(c, first, out_g(c, 0)), h, g};
        launch(c, scan_states_kernel, grid_of(count, MAP_BLOCK), MAP_BLOCK, 0, count, f.s, h, g);
        const int64_t wide = first * T * W, narrow = first * T * N;
        float *dB = in_g(c, 3) ? in_g(c, 3) + narrow : NULL, *dC = in_g(c, 4) ? in_g(c, 4) + narrow : NULL;
        if (in_g(c, 0)) map<true>(c, rows * W, in_g(c, 0) + wide, ScanData{f}, false);
        if (in_g(c, 1)) map<true>(c, rows * W, in_g(c, 1) + wide, ScanStep{f}, false);
        if (in_g(c, 2)) sum_columns<1>(c, 1, rows, W * N, ScanDecay{f}, {{in_g(c, 2)}, 0, 1, false});
        if (dB || dC) sum_columns<2>(c, rows, W, N, ScanInOut{f}, {{dB, dC}, N, 1, false});
        if (in_g(c, 5)) sum_columns<1>(c, 1, rows, W, ScanSkip{f}, {{in_g(c, 5)}, 0, 1, false});
    }
}
