// What the CUDA kernels share: accessors of a call, 1- and 4-wide loads, one-thread-per-value maps, reductions over
// rows, columns and everything, copies of a part.  Semantics of every op: src/tensor/ref/<op>.inl; values are f32 in
// device memory.
//
// Deterministic: no atomics; every sum has a fixed tree that depends on the shapes alone.
// Wide kernels (W = 4) move 16 bytes an access; they are used when every pointer is 16-byte aligned and the runs are
// whole multiples of 4, else the same source runs 1-wide: coalesced too, at about half the speed.
#ifndef LEAD_CUDA_KERNEL_H
#define LEAD_CUDA_KERNEL_H

#include "launch.h"

#define CUDA_KERNEL(name, dir) extern "C" void name##_##dir##_cuda(const OpCall *c)

template <class P> static inline const P *params(const OpCall *c) { return (const P *)c->p; }

static inline int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static inline unsigned blocks_of(int64_t n)
{
    CHECK(n < INT64_C(1) << 31, "cuda: a grid of %lld blocks", (long long)n);
    return (unsigned)n;
}

static inline bool aligned16(const void *p) { return ((uintptr_t)p & 15) == 0; }   // NULL is

// i / n and i % n; 32-bit arithmetic where it is enough: the 64-bit division costs about four times as much.
static __host__ __device__ __forceinline__ int64_t quotient(int64_t i, int64_t n)
{
    return ((uint64_t)i | (uint64_t)n) >> 32 ? i / n : (int64_t)((uint32_t)i / (uint32_t)n);
}
static __host__ __device__ __forceinline__ int64_t remainder_of(int64_t i, int64_t n)
{
    return ((uint64_t)i | (uint64_t)n) >> 32 ? i % n : (int64_t)((uint32_t)i % (uint32_t)n);
}

// The clock of an op that draws (tensor/ops.h), input i; NULL: none.  Threads add clock_value to the address's step.
static inline const uint32_t *clock_of(const OpCall *c, int i)
{
    return i < c->n_in && c->in[i] ? static_cast<const uint32_t *>(c->in[i]->x) : NULL;
}
static __device__ __forceinline__ uint32_t clock_value(const uint32_t *clock) { return clock ? __ldg(clock) : 0; }

// ---- W neighbouring values

template <int W> struct Pack { float v[W]; };

template <int W> static __device__ __forceinline__ Pack<W> load(const float *p)
{
    Pack<W> r;
    if constexpr (W == 4) {
        const float4 f = *reinterpret_cast<const float4 *>(p);
        r.v[0] = f.x, r.v[1] = f.y, r.v[2] = f.z, r.v[3] = f.w;
    } else {
        r.v[0] = *p;
    }
    return r;
}

template <int W> static __device__ __forceinline__ void store(float *p, const Pack<W> &r)
{
    if constexpr (W == 4) *reinterpret_cast<float4 *>(p) = make_float4(r.v[0], r.v[1], r.v[2], r.v[3]);
    else *p = r.v[0];
}

// ---- maps: y[i] = f(i) or y[i] += f(i); 28 to 42 registers, no spills
// F: at<W>(i) gives values i..i+W-1.  Two packs a thread, both loaded before the first is stored: 2 x 16 bytes in
// flight for each input, 64 KiB an SM at full occupancy, where 4.8 TB/s x 0.7 us / 132 asks for 26.

enum { MAP_BLOCK = 256 };

template <int W, bool ADD, class F> static __global__ void map_kernel(int64_t n, float *y, F f)
{
    const int64_t i = ((int64_t)blockIdx.x * 2 * MAP_BLOCK + threadIdx.x) * W, j = i + MAP_BLOCK * W;
    Pack<W> a = {}, b = {}, old_a = {}, old_b = {};
    if (i < n) a = f.template at<W>(i);
    if (j < n) b = f.template at<W>(j);
    if (ADD) {
        if (i < n) old_a = load<W>(y + i);
        if (j < n) old_b = load<W>(y + j);
#pragma unroll
        for (int k = 0; k < W; k++) {
            a.v[k] += old_a.v[k];
            b.v[k] += old_b.v[k];
        }
    }
    if (i < n) store<W>(y + i, a);
    if (j < n) store<W>(y + j, b);
}

// wide: f's pointers are aligned and its runs are multiples of 4.
template <bool ADD, class F> static void map(const OpCall *c, int64_t n, float *y, F f, bool wide)
{
    if (n == 0) return;
    if (wide && n % 4 == 0 && aligned16(y)) {
        auto *kernel = map_kernel<4, ADD, F>;
        launch(c, kernel, grid_of(n, 8 * MAP_BLOCK), MAP_BLOCK, 0, n, y, f);
    } else {
        auto *kernel = map_kernel<1, ADD, F>;
        launch(c, kernel, grid_of(n, 2 * MAP_BLOCK), MAP_BLOCK, 0, n, y, f);
    }
}

// ---- sums within a block

// Sum over a team of TEAM consecutive threads, known to each of them.  TEAM 32: shared is not used.  TEAM > 32: the
// whole block; every thread must call; shared holds TEAM / 32 values and may be used again at once.
template <int TEAM, class T> static __device__ __forceinline__ T team_sum(T v, T *shared)
{
    v = warp_sum(v);
    if constexpr (TEAM > 32) {
        __syncthreads();   // the last use of shared is over
        if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
        __syncthreads();
        v = 0;
#pragma unroll
        for (int w = 0; w < TEAM / 32; w++) v += shared[w];
    }
    return v;
}

template <int TEAM> static __device__ __forceinline__ float team_max(float v, float *shared)
{
    v = warp_max(v);
    if constexpr (TEAM > 32) {
        __syncthreads();
        if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
        __syncthreads();
        v = shared[0];
#pragma unroll
        for (int w = 1; w < TEAM / 32; w++) v = max_nan(v, shared[w]);
    }
    return v;
}

// Rows are worked on by a warp each (8 in a block of 256), wide ones by a whole block.
enum { ROW_BLOCK = 256, ROW_WARP_MAX = 2048 };

struct TeamRow { int64_t row; int lane; };
template <int TEAM> static __device__ __forceinline__ TeamRow team_row()
{
    return TeamRow{(int64_t)blockIdx.x * (ROW_BLOCK / TEAM) + threadIdx.x / TEAM, (int)(threadIdx.x % TEAM)};
}

// Launches kernel32 or kernel256, instances of one template, over rows.
template <class K, class... A>
static void launch_rows(const OpCall *c, K *warp, K *block, int64_t rows, int64_t width, A... a)
{
    if (width <= ROW_WARP_MAX) launch(c, warp, grid_of(rows, ROW_BLOCK / 32), ROW_BLOCK, 0, rows, width, a...);
    else launch(c, block, blocks_of(rows), ROW_BLOCK, 0, rows, width, a...);
}

// ---- row sums: f.put(p, sum_r f(p, r)), added in double

template <int TEAM, class F> static __device__ void row_sums(int64_t rows, int64_t R, const F &f)
{
    SHARED(double, shared, [TEAM / 32]);
    const int64_t p = (int64_t)blockIdx.x * (ROW_BLOCK / TEAM) + threadIdx.x / TEAM;
    double sum = 0;
    if (p < rows)
        for (int64_t r = threadIdx.x % TEAM; r < R; r += TEAM) sum += f(p, r);
    sum = team_sum<TEAM>(sum, shared);
    if (p < rows && threadIdx.x % TEAM == 0) f.put(p, sum);
}

template <int TEAM, class F> static __global__ void row_sums_kernel(int64_t rows, int64_t R, F f)
{
    row_sums<TEAM>(rows, R, f);
}

template <class F> static void sum_rows(const OpCall *c, int64_t rows, int64_t R, F f)
{
    if (rows == 0) return;
    if (R <= ROW_WARP_MAX) {
        auto *kernel = row_sums_kernel<32, F>;
        launch(c, kernel, grid_of(rows, ROW_BLOCK / 32), ROW_BLOCK, 0, rows, R, f);
    } else {
        auto *kernel = row_sums_kernel<ROW_BLOCK, F>;
        launch(c, kernel, blocks_of(rows), ROW_BLOCK, 0, rows, R, f);
    }
}

// ---- column sums: out[j][b * step + q] += sum_p f(b P + p, q)[j] / divisor, added in double, for
// b < batch, p < P, q < Q, j < N.  A block has 32 columns x 8 lines of threads; tall columns are cut into chunks of
// rows whose partial sums a second launch adds in order.  Reads are 128 bytes a warp and independent: bound by memory.

template <int N> struct ColumnOut {
    float *out[N];      // NULL: not wanted
    int64_t step;       // from one b to the next
    double divisor;
    bool set;           // out = instead of out +=
};

template <int N>
static __device__ __forceinline__ void column_put(const ColumnOut<N> &o, int64_t at, const double (&sum)[N])
{
#pragma unroll
    for (int j = 0; j < N; j++)
        if (o.out[j]) o.out[j][at] = (float)((o.set ? 0.0 : (double)o.out[j][at]) + sum[j] / o.divisor);
}

template <int N, class F>
static __global__ void column_kernel(int64_t P, int64_t Q, int64_t rows, F f, ColumnOut<N> o, double *part,
                                     int64_t batch)
{
    SHARED(double, shared, [N][8][32]);
    const int64_t strips = (Q + 31) / 32, b = quotient(blockIdx.x, strips);
    const int64_t x = threadIdx.x % 32, line = threadIdx.x / 32;
    const int64_t q = remainder_of(blockIdx.x, strips) * 32 + x, p0 = (int64_t)blockIdx.y * rows;
    const int64_t end = p0 + rows < P ? p0 + rows : P;
    double sum[N] = {};
    if (q < Q) {
#pragma unroll 4
        for (int64_t p = p0 + line; p < end; p += 8) {
            float v[N];
            f(b * P + p, q, v);
#pragma unroll
            for (int j = 0; j < N; j++) sum[j] += v[j];
        }
    }
#pragma unroll
    for (int j = 0; j < N; j++) shared[j][line][x] = sum[j];
    __syncthreads();
    if (line > 0 || q >= Q) return;
#pragma unroll
    for (int j = 0; j < N; j++) {
        sum[j] = 0;
#pragma unroll
        for (int l = 0; l < 8; l++) sum[j] += shared[j][l][x];
    }
    if (!part) {
        column_put<N>(o, b * o.step + q, sum);
    } else {
#pragma unroll
        for (int j = 0; j < N; j++) part[((blockIdx.y * N + j) * batch + b) * Q + q] = sum[j];
    }
}

template <int N>
static __global__ void column_reduce_kernel(int64_t Q, int64_t batch, int64_t chunks, ColumnOut<N> o,
                                            const double *part)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (i >= batch * Q) return;
    double sum[N] = {};
    for (int64_t k = 0; k < chunks; k++)
#pragma unroll
        for (int j = 0; j < N; j++) sum[j] += part[(k * N + j) * batch * Q + i];
    column_put<N>(o, quotient(i, Q) * o.step + remainder_of(i, Q), sum);
}

template <int N, class F>
static void sum_columns(const OpCall *c, int64_t batch, int64_t P, int64_t Q, F f, ColumnOut<N> o)
{
    enum { BLOCKS = 4 * 132, CHUNK_MIN = 64 };   // four blocks an SM of an H200
    if (batch * Q == 0) return;
    const int64_t strips = batch * div_up(Q, 32), most = div_up(P > 0 ? P : 1, CHUNK_MIN);
    int64_t chunks = div_up(BLOCKS, strips);
    if (chunks > most) chunks = most;
    const int64_t rows = div_up(P > 0 ? P : 1, chunks);
    double *part = chunks > 1 ? scratch_of<double>(c, (size_t)(chunks * N * batch * Q)) : NULL;
    auto *kernel = column_kernel<N, F>;
    launch(c, kernel, dim3(blocks_of(strips), blocks_of(chunks)), 256, 0, P, Q, rows, f, o, part, batch);
    if (!part) return;
    auto *reduce = column_reduce_kernel<N>;
    launch(c, reduce, grid_of(batch * Q, MAP_BLOCK), MAP_BLOCK, 0, Q, batch, chunks, o, part);
}

// ---- the sum of everything, in double: f.put(sum_i f(i))
// At most 1,024 blocks of 256 threads with a stride of the whole grid, then one block over their sums.

template <class F> static __global__ void total_kernel(int64_t n, F f, double *part)
{
    SHARED(double, shared, [ROW_BLOCK / 32]);
    double sum = 0;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * ROW_BLOCK + threadIdx.x; i < n; i += (int64_t)gridDim.x * ROW_BLOCK)
        sum += f(i);
    sum = team_sum<ROW_BLOCK>(sum, shared);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

template <class F> static __global__ void total_reduce_kernel(int parts, F f, const double *part)
{
    SHARED(double, shared, [ROW_BLOCK / 32]);
    double sum = 0;
    for (int i = (int)threadIdx.x; i < parts; i += ROW_BLOCK) sum += part[i];
    sum = team_sum<ROW_BLOCK>(sum, shared);
    if (threadIdx.x == 0) f.put(sum);
}

template <class F> static void sum_all(const OpCall *c, int64_t n, F f)
{
    enum { PARTS_MAX = 1024, EACH = 32 };
    int64_t parts = div_up(n > 0 ? n : 1, EACH * ROW_BLOCK);
    if (parts > PARTS_MAX) parts = PARTS_MAX;
    double *part = scratch_of<double>(c, (size_t)parts);
    auto *kernel = total_kernel<F>;
    launch(c, kernel, blocks_of(parts), ROW_BLOCK, 0, n, f, part);
    auto *reduce = total_reduce_kernel<F>;
    launch(c, reduce, 1, ROW_BLOCK, 0, (int)parts, f, (const double *)part);
}

// ---- a part of a larger tensor: part[i] <-> whole[M::at(i)]

// GATHER: part = whole[..] (or +=);  else whole[..] = part (or +=).
template <int W, bool ADD, bool GATHER, class M>
static __global__ void place_kernel(int64_t n, const float *from, float *to, M m)
{
    const int64_t i = ((int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x) * W;
    if (i >= n) return;
    const int64_t w = m.at(i);
    Pack<W> r = load<W>(from + (GATHER ? w : i));
    float *dst = to + (GATHER ? i : w);
    if (ADD) {
        const Pack<W> old = load<W>(dst);
#pragma unroll
        for (int k = 0; k < W; k++) r.v[k] += old.v[k];
    }
    store<W>(dst, r);
}

template <bool ADD, bool GATHER, class M>
static void place(const OpCall *c, int64_t n, const float *from, float *to, M m)
{
    if (n == 0) return;
    if (m.wide() && aligned16(from) && aligned16(to)) {
        auto *kernel = place_kernel<4, ADD, GATHER, M>;
        launch(c, kernel, grid_of(n, 4 * MAP_BLOCK), MAP_BLOCK, 0, n, from, to, m);
    } else {
        auto *kernel = place_kernel<1, ADD, GATHER, M>;
        launch(c, kernel, grid_of(n, MAP_BLOCK), MAP_BLOCK, 0, n, from, to, m);
    }
}

// Runs of `part` values, one from every `whole` values, `first` values in.
struct Runs {
    int64_t part, whole, first;
    __device__ int64_t at(int64_t i) const { return quotient(i, part) * whole + first + remainder_of(i, part); }
    bool wide() const { return part % 4 == 0 && whole % 4 == 0 && first % 4 == 0; }
};

#endif
