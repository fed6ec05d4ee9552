// sum, mean, mse, wmse, huber, sumsq, crps_pair, cross_entropy.  Sums in double: fixed chunks, then one block over
// their sums.
// Reading 4-byte values, 128 bytes a warp, four in flight a thread: bound by memory.  Expected: 0.85 of the read rate
// on 64 MB and more (double additions: 1 a value, a quarter of an SM's rate at 4.8 TB/s).  Below 1 MB: two launches.
#include "kernel.h"

// ---- y = scale sum_i t(i): T gives the terms

struct Identity {
    const float *x;
    __device__ double operator()(int64_t i) const { return (double)x[i]; }
};

struct Square {
    const float *x;
    __device__ double operator()(int64_t i) const { return (double)x[i] * (double)x[i]; }
};

struct SquaredDifference {
    const float *a, *b;
    __device__ double operator()(int64_t i) const
    {
        const double d = (double)a[i] - (double)b[i];
        return d * d;
    }
};

struct WeightedSquare {
    const float *a, *b, *w;
    int64_t R;
    __device__ double operator()(int64_t i) const
    {
        const double d = (double)a[i] - (double)b[i];
        return (double)w[quotient(i, R)] * d * d;
    }
};

struct HuberTerm {
    const float *a, *b;
    double delta;
    __device__ double operator()(int64_t i) const
    {
        const double d = fabs((double)a[i] - (double)b[i]);
        return d <= delta ? 0.5 * d * d : delta * (d - 0.5 * delta);
    }
};

template <class T> struct Total : T {
    float *y;
    double n;   // the sum is divided by it
    __device__ void put(double sum) const { *y = (float)(sum / n); }
};

template <class T> static void total(const OpCall *c, int64_t n, T t, double divisor)
{
    sum_all(c, n, Total<T>{t, out_x(c, 0), divisor});
}

// ---- gradients: dx[i] += dy[0] * ..; dy lies in device memory

struct Constant {
    const float *dy;
    float n;
    template <int W> __device__ Pack<W> at(int64_t) const
    {
        Pack<W> r;
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] = *dy / n;
        return r;
    }
};

// sign * clamp(a - b, -delta, delta) * (w[row] *) dy * factor / n
struct Difference {
    const float *a, *b, *w, *dy;
    int64_t R;
    float n, factor, delta;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> r = load<W>(a + i);
        const Pack<W> s = load<W>(b + i);
        const float f = factor * *dy / n * (w ? w[quotient(i, R)] : 1.0f);
#pragma unroll
        for (int k = 0; k < W; k++) {
            float d = r.v[k] - s.v[k];
            if (d > delta) d = delta;
            if (d < -delta) d = -delta;
            r.v[k] = f * d;
        }
        return r;
    }
    bool wide() const { return aligned16(a) && aligned16(b) && R % 4 == 0; }
};

static void difference_bwd(const OpCall *c, float factor, const float *w, int64_t R, float delta)
{
    const int64_t n = numel(c->in[0]);
    Difference f = {in_x(c, 0), in_x(c, 1), w, out_g(c, 0), R, (float)n, factor, delta};
    if (in_g(c, 0)) map<true>(c, n, in_g(c, 0), f, f.wide());
    f.factor = -factor;
    if (in_g(c, 1)) map<true>(c, n, in_g(c, 1), f, f.wide());
}

CUDA_KERNEL(sum, fwd) { total(c, numel(c->in[0]), Identity{in_x(c, 0)}, 1); }

CUDA_KERNEL(sum, bwd)
{
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), Constant{out_g(c, 0), 1}, true);
}

CUDA_KERNEL(mean, fwd) { total(c, numel(c->in[0]), Identity{in_x(c, 0)}, (double)numel(c->in[0])); }

CUDA_KERNEL(mean, bwd)
{
    const int64_t n = numel(c->in[0]);
    if (in_g(c, 0)) map<true>(c, n, in_g(c, 0), Constant{out_g(c, 0), (float)n}, true);
}

CUDA_KERNEL(sumsq, fwd) { total(c, numel(c->in[0]), Square{in_x(c, 0)}, 1); }

CUDA_KERNEL(mse, fwd)
{
    const int64_t n = numel(c->in[0]);
    total(c, n, SquaredDifference{in_x(c, 0), in_x(c, 1)}, (double)n);
}

CUDA_KERNEL(mse, bwd) { difference_bwd(c, 2, NULL, 4, INFINITY); }

CUDA_KERNEL(wmse, fwd)
{
    const int64_t n = numel(c->in[0]), P = numel(c->in[2]);
    total(c, n, WeightedSquare{in_x(c, 0), in_x(c, 1), in_x(c, 2), P ? n / P : 1}, (double)n);
}

struct RowSquares {   // dw[p] += dy sum_r (a - b)^2 / n
    const float *a, *b, *dy;
    float *dw;
    int64_t R;
    float n;
    __device__ double operator()(int64_t p, int64_t r) const
    {
        const float d = a[p * R + r] - b[p * R + r];
        return (double)d * (double)d;
    }
    __device__ void put(int64_t p, double sum) const { dw[p] += *dy / n * (float)sum; }
};

CUDA_KERNEL(wmse, bwd)
{
    const int64_t n = numel(c->in[0]), P = numel(c->in[2]), R = P ? n / P : 1;
    difference_bwd(c, 2, in_x(c, 2), R, INFINITY);
    if (in_g(c, 2)) sum_rows(c, P, R, RowSquares{in_x(c, 0), in_x(c, 1), out_g(c, 0), in_g(c, 2), R, (float)n});
}

CUDA_KERNEL(huber, fwd)
{
    const int64_t n = numel(c->in[0]);
    total(c, n, HuberTerm{in_x(c, 0), in_x(c, 1), params<HuberParams>(c)->delta}, (double)n);
}

CUDA_KERNEL(huber, bwd) { difference_bwd(c, 1, NULL, 4, (float)params<HuberParams>(c)->delta); }

// ---- crps_pair

struct PairTerm {
    const float *a, *b, *y;
    double w;
    __device__ double operator()(int64_t i) const
    {
        const double p = (double)a[i], q = (double)b[i], truth = (double)y[i];
        return 0.5 * (fabs(p - truth) + fabs(q - truth)) - w * fabs(p - q);
    }
};

static __device__ __forceinline__ float sgn(float p, float q) { return (float)(p > q) - (float)(p < q); }   // of p - q

// dy (to_y sgn(x - y) + to_z sgn(x - z)) / n
struct PairSlope {
    const float *x, *y, *z, *dy;
    float n, to_y, to_z;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const Pack<W> p = load<W>(x + i), q = load<W>(y + i), r = load<W>(z + i);
        const float f = *dy / n;
        Pack<W> g;
#pragma unroll
        for (int k = 0; k < W; k++) g.v[k] = f * (to_y * sgn(p.v[k], q.v[k]) + to_z * sgn(p.v[k], r.v[k]));
        return g;
    }
    bool wide() const { return aligned16(x) && aligned16(y) && aligned16(z); }
};

static double pair_weight(const OpCall *c) { return (1 + params<CrpsPairParams>(c)->fair) / 4; }

CUDA_KERNEL(crps_pair, fwd)
{
    const int64_t n = numel(c->in[0]);
    total(c, n, PairTerm{in_x(c, 0), in_x(c, 1), in_x(c, 2), pair_weight(c)}, (double)n);
}

CUDA_KERNEL(crps_pair, bwd)
{
    const int64_t n = numel(c->in[0]);
    const float *a = in_x(c, 0), *b = in_x(c, 1), *y = in_x(c, 2), w = (float)pair_weight(c);
    const PairSlope slope[] = {
        {a, y, b, out_g(c, 0), (float)n, 0.5f, -w},
        {b, y, a, out_g(c, 0), (float)n, 0.5f, -w},
        {y, a, b, out_g(c, 0), (float)n, 0.5f, 0.5f},
    };
    for (int j = 0; j < 3; j++)
        if (in_g(c, j)) map<true>(c, n, in_g(c, j), slope[j], slope[j].wide());
}

// ---- cross_entropy.  One block a row; its log-sum-exp in one pass, each thread with its own maximum: V = 50,257
// columns are read once.  A target outside [-1, V) makes loss and gradient NaN (the CPU stops; a kernel cannot).

enum { ENTROPY_BLOCK = 512 };

// max and sum of exp(x - max) of two parts become those of both.
static __device__ __forceinline__ void merge(float *max, double *sum, float max2, double sum2)
{
    const float m = max_nan(*max, max2);
    *sum = *sum * (double)expf(*max - m) + sum2 * (double)expf(max2 - m);
    *max = m;
}

static __global__ void lse_kernel(int64_t V, const float *x, float *lse)
{
    SHARED(float, maxima, [ENTROPY_BLOCK / 32]);
    SHARED(double, sums, [ENTROPY_BLOCK / 32]);
    const float *row = x + (int64_t)blockIdx.x * V;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    float max = -3.402823466e38f;   // not -infinity: infinity - infinity is NaN
    double sum = 0;
#pragma unroll 4
    for (int64_t v = threadIdx.x; v < V; v += ENTROPY_BLOCK) {
        const float a = row[v];
        if (!(a <= max)) {
            sum *= (double)expf(max - a);
            max = a;
        }
        sum += (double)expf(a - max);
    }
#pragma unroll
    for (int d = 16; d > 0; d >>= 1) {
        const float max2 = __shfl_xor_sync(0xFFFFFFFFu, max, d);
        const double sum2 = __shfl_xor_sync(0xFFFFFFFFu, sum, d);
        merge(&max, &sum, max2, sum2);
    }
    if (lane == 0) {
        maxima[warp] = max;
        sums[warp] = sum;
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int w = 1; w < ENTROPY_BLOCK / 32; w++) merge(&max, &sum, maxima[w], sums[w]);
    lse[blockIdx.x] = max + (float)log(sum);
}

// Mean of the rows' losses and the number of rows that count, by one block; y or rows may be NULL.
static __global__ void entropy_mean_kernel(int64_t R, int64_t V, const float *x, const int32_t *target,
                                           const float *lse, float *y, float *rows)
{
    SHARED(double, shared, [33]);
    double loss = 0, count = 0;
    for (int64_t r = threadIdx.x; r < R; r += ENTROPY_BLOCK) {
        const int64_t t = target[r];
        if (t == -1) continue;
        count += 1;
        if (t < -1 || t >= V) loss = NAN;
        else if (y) loss += (double)lse[r] - (double)x[r * V + t];
    }
    loss = block_sum(loss, shared);
    count = block_sum(count, shared);
    if (threadIdx.x > 0) return;
    if (y) *y = count > 0 ? (float)(loss / count) : 0.0f;
    if (rows) *rows = (float)(count + 0 * loss);   // NaN when a target is
}

struct EntropyGrad {
    const float *x, *lse, *dy, *rows;
    const int32_t *target;
    int64_t V;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t r = quotient(i, V), v = i - r * V, t = target[r];
        Pack<W> g = {};
        if (t == -1) return g;
        const float f = *dy / *rows, l = lse[r];
        g = load<W>(x + i);
#pragma unroll
        for (int k = 0; k < W; k++) g.v[k] = f * (expf(g.v[k] - l) - (v + k == t ? 1.0f : 0.0f));
        return g;
    }
};

CUDA_KERNEL(cross_entropy, fwd)
{
    const int64_t V = shape_last(c->in[0]->shape), R = numel(c->in[1]);
    const float *x = in_x(c, 0);
    float *lse = out_x(c, 1);
    launch(c, lse_kernel, blocks_of(R), ENTROPY_BLOCK, 0, V, x, lse);
    launch(c, entropy_mean_kernel, 1, ENTROPY_BLOCK, 0, R, V, x, in_i32(c, 1), lse, out_x(c, 0), NULL);
}

CUDA_KERNEL(cross_entropy, bwd)
{
    const int64_t V = shape_last(c->in[0]->shape), R = numel(c->in[1]);
    const float *x = in_x(c, 0);
    if (!in_g(c, 0)) return;
    float *rows = scratch_of<float>(c, 1);
    launch(c, entropy_mean_kernel, 1, ENTROPY_BLOCK, 0, R, V, x, in_i32(c, 1), out_x(c, 1), NULL, rows);
    const EntropyGrad f = {x, out_x(c, 1), out_g(c, 0), rows, in_i32(c, 1), V};
    map<true>(c, R * V, in_g(c, 0), f, aligned16(x) && V % 4 == 0);
}
