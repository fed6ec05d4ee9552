// concat, slice, pad2d, crop2d, permute, embedding: copies, bound by memory.
// Runs of values move in 16-byte packs when they are multiples of 4.  Expected: 0.85 of a device copy; permute across
// the last axis 0.75 (tiles of 32 x 32 through shared memory, 4-byte accesses, 128 bytes a warp on both sides).
#include "kernel.h"

static int64_t run_of(Shape s, int axis)   // values from the axis on
{
    int64_t n = 1;
    for (int k = axis; k < s.n; k++) n *= s.d[k];
    return n;
}

CUDA_KERNEL(concat, fwd)
{
    const int axis = params<ConcatParams>(c)->axis;
    int64_t first = 0;
    for (int j = 0; j < c->n_in; j++) {
        const Runs r = {run_of(c->in[j]->shape, axis), run_of(c->out[0]->shape, axis), first};
        place<false, false>(c, numel(c->in[j]), in_x(c, j), out_x(c, 0), r);
        first += r.part;
    }
}

CUDA_KERNEL(concat, bwd)
{
    const int axis = params<ConcatParams>(c)->axis;
    int64_t first = 0;
    for (int j = 0; j < c->n_in; j++) {
        const Runs r = {run_of(c->in[j]->shape, axis), run_of(c->out[0]->shape, axis), first};
        if (in_g(c, j)) place<true, true>(c, numel(c->in[j]), out_g(c, 0), in_g(c, j), r);
        first += r.part;
    }
}

static Runs slice_runs(const OpCall *c)
{
    const SliceParams *p = params<SliceParams>(c);
    const int64_t inner = run_of(c->in[0]->shape, p->axis + 1);
    return Runs{run_of(c->out[0]->shape, p->axis), run_of(c->in[0]->shape, p->axis), p->start * inner};
}

CUDA_KERNEL(slice, fwd) { place<false, true>(c, numel(c->out[0]), in_x(c, 0), out_x(c, 0), slice_runs(c)); }

CUDA_KERNEL(slice, bwd)
{
    if (in_g(c, 0)) place<true, false>(c, numel(c->out[0]), out_g(c, 0), in_g(c, 0), slice_runs(c));
}

// The inner image [N,H,row / C,C] of an outer one; rows of values, so that columns and channels are one index.
struct Inner {
    int64_t H, row, outer_h, outer_row, top, left, C;
    __device__ int64_t at(int64_t i) const
    {
        const int64_t line = quotient(i, row), n = quotient(line, H), h = line - n * H;
        return (n * outer_h + top + h) * outer_row + left + (i - line * row);
    }
    // where value i of the outer image is in the inner one, -1: in the border
    __device__ int64_t find(int64_t i) const
    {
        const int64_t line = quotient(i, outer_row), n = quotient(line, outer_h);
        const int64_t h = line - n * outer_h - top, r = i - line * outer_row - left;
        return h >= 0 && h < H && r >= 0 && r < row ? (n * H + h) * row + r : -1;
    }
    bool wide() const { return C % 4 == 0; }
};

static Inner inner_of(const OpCall *c, Shape inner, Shape outer)
{
    const Pad2dParams *p = params<Pad2dParams>(c);
    const int64_t C = inner.d[3];
    return Inner{inner.d[1], inner.d[2] * C, outer.d[1], outer.d[2] * C, p->top, p->left * C, C};
}

struct Bordered {   // the outer image: x, or 0 in the border
    const float *x;
    Inner m;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t k = m.find(i);
        if (k >= 0) return load<W>(x + k);
        return Pack<W>{};
    }
};

CUDA_KERNEL(pad2d, fwd)
{
    const Bordered f = {in_x(c, 0), inner_of(c, c->in[0]->shape, c->out[0]->shape)};
    map<false>(c, numel(c->out[0]), out_x(c, 0), f, f.m.wide() && aligned16(f.x));
}

CUDA_KERNEL(pad2d, bwd)
{
    const Inner m = inner_of(c, c->in[0]->shape, c->out[0]->shape);
    if (in_g(c, 0)) place<true, true>(c, numel(c->in[0]), out_g(c, 0), in_g(c, 0), m);
}

CUDA_KERNEL(crop2d, fwd)
{
    const Inner m = inner_of(c, c->out[0]->shape, c->in[0]->shape);
    place<false, true>(c, numel(c->out[0]), in_x(c, 0), out_x(c, 0), m);
}

CUDA_KERNEL(crop2d, bwd)
{
    const Inner m = inner_of(c, c->out[0]->shape, c->in[0]->shape);
    if (in_g(c, 0)) place<true, false>(c, numel(c->out[0]), out_g(c, 0), in_g(c, 0), m);
}

// ---- permute.  Axes that stay neighbours are one axis; then either the last axis stays last (runs), or tiles of the
// two axes that are last on either side are transposed in shared memory.

struct Axes {
    int n;
    int64_t dim[MAX_DIMS], step[MAX_DIMS];   // of the result, first axis first; step: in the source
};

static Axes axes_of(Shape x, const int *perm)
{
    int64_t step[MAX_DIMS];
    for (int64_t k = x.n - 1, s = 1; k >= 0; s *= x.d[k--]) step[k] = s;
    Axes a = {};
    for (int k = 0; k < x.n; k++) {
        const int64_t d = x.d[perm[k]], s = step[perm[k]];
        if (d == 1) continue;
        if (a.n && a.step[a.n - 1] == d * s) {   // the axis before is the one before it in the source too
            a.dim[a.n - 1] *= d;
            a.step[a.n - 1] = s;
        } else {
            a.dim[a.n] = d;
            a.step[a.n++] = s;
        }
    }
    if (!a.n) a.dim[a.n] = 1, a.step[a.n++] = 1;
    return a;
}

struct Gathered {
    const float *x;
    Axes a;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        int64_t from = 0;
#pragma unroll
        for (int k = MAX_DIMS - 1; k >= 0; k--)
            if (k < a.n) {
                const int64_t rest = quotient(i, a.dim[k]);
                from += (i - rest * a.dim[k]) * a.step[k];
                i = rest;
            }
        return load<W>(x + from);
    }
};

enum { TILE = 32 };

// Axis u of the result has step 1 in the source.  A block: one tile of (u, last axis), 8 lines of 32 threads.
template <bool ADD> static __global__ void transpose_kernel(Axes a, int u, const float *x, float *y)
{
    SHARED(float, tile, [TILE][TILE + 1]);
    const int last = a.n - 1, tx = threadIdx.x % TILE, ty = threadIdx.x / TILE;
    const int64_t L = a.dim[last], U = a.dim[u], tiles_l = (L + TILE - 1) / TILE, tiles_u = (U + TILE - 1) / TILE;
    int64_t rest = quotient(blockIdx.x, tiles_l), from = 0, to = 0, ystep = L, ustep = 0;
    const int64_t l0 = remainder_of(blockIdx.x, tiles_l) * TILE, u0 = remainder_of(rest, tiles_u) * TILE;
    rest = quotient(rest, tiles_u);
#pragma unroll
    for (int k = MAX_DIMS - 2; k >= 0; k--) {
        if (k >= last) continue;
        if (k == u) {
            ustep = ystep;
        } else {
            const int64_t next = quotient(rest, a.dim[k]), i = rest - next * a.dim[k];
            from += i * a.step[k];
            to += i * ystep;
            rest = next;
        }
        ystep *= a.dim[k];
    }
    for (int r = ty; r < TILE; r += 8)
        if (l0 + r < L && u0 + tx < U) tile[r][tx] = x[from + (l0 + r) * a.step[last] + u0 + tx];
    __syncthreads();
    for (int r = ty; r < TILE; r += 8)
        if (u0 + r < U && l0 + tx < L) {
            float *dst = y + to + (u0 + r) * ustep + l0 + tx;
            *dst = (ADD ? *dst : 0.0f) + tile[tx][r];
        }
}

template <bool ADD> static void permuted(const OpCall *c, Shape source, const int *perm, const float *x, float *y)
{
    const int64_t n = shape_numel(source);
    if (n == 0) return;
    const Axes a = axes_of(source, perm);
    if (a.step[a.n - 1] == 1) {
        bool wide = aligned16(x) && a.dim[a.n - 1] % 4 == 0;
        map<ADD>(c, n, y, Gathered{x, a}, wide);
        return;
    }
    int u = 0;
    while (a.step[u] != 1) u++;
    const int64_t L = a.dim[a.n - 1], U = a.dim[u];
    auto *kernel = transpose_kernel<ADD>;
    launch(c, kernel, blocks_of(n / (L * U) * div_up(L, TILE) * div_up(U, TILE)), 256, 0, a, u, x, y);
}

CUDA_KERNEL(permute, fwd)
{
    permuted<false>(c, c->in[0]->shape, params<PermuteParams>(c)->perm, in_x(c, 0), out_x(c, 0));
}

CUDA_KERNEL(permute, bwd)
{
    int back[MAX_DIMS];
    for (int k = 0; k < c->in[0]->shape.n; k++) back[params<PermuteParams>(c)->perm[k]] = k;
    if (in_g(c, 0)) permuted<true>(c, c->out[0]->shape, back, out_g(c, 0), in_g(c, 0));
}

// ---- embedding.  An index outside the table gives a row of NaN (the CPU stops; a kernel cannot) and no gradient.

struct TableRows {
    const float *table;
    const int32_t *idx;
    int64_t V, D;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const int64_t k = quotient(i, D);
        const int32_t v = idx[k];
        if (v >= 0 && v < V) return load<W>(table + v * D + (i - k * D));
        Pack<W> r;
#pragma unroll
        for (int j = 0; j < W; j++) r.v[j] = NAN;
        return r;
    }
};

CUDA_KERNEL(embedding, fwd)
{
    const int64_t V = c->in[0]->shape.d[0], D = c->in[0]->shape.d[1];
    const TableRows f = {in_x(c, 0), in_i32(c, 1), V, D};
    map<false>(c, numel(c->out[0]), out_x(c, 0), f, aligned16(f.table) && D % 4 == 0);
}

// Backward without atomics, in the order of i as on the CPU:
//   1. each chunk of 512 indices is sorted by (row, place) in shared memory (bitonic, 45 steps);
//   2. a warp for each table row (and 128 columns) finds the row in every chunk by bisection, 32 chunks at once, and
//      adds its dy in ascending order of place.
// n = 65,536 tokens, V = 50,257: 128 chunks, about 36 dependent loads a row before the sums; reads dy once.
enum { CHUNK = 512, SORT_BLOCK = CHUNK / 2, ROWS_PER_BLOCK = 8 };

static __global__ void sort_kernel(int64_t n, const int32_t *idx, uint64_t *sorted)
{
    SHARED(uint64_t, key, [CHUNK]);
    const int64_t base = (int64_t)blockIdx.x * CHUNK;
    for (int i = (int)threadIdx.x; i < CHUNK; i += SORT_BLOCK)
        key[i] = base + i < n ? (uint64_t)(uint32_t)idx[base + i] << 32 | (uint32_t)(base + i) : UINT64_MAX;
    for (int size = 2; size <= CHUNK; size *= 2)
        for (int gap = size / 2; gap > 0; gap /= 2) {
            __syncthreads();
            const int t = (int)threadIdx.x, lo = t / gap * 2 * gap + t % gap, hi = lo + gap;
            const uint64_t a = key[lo], b = key[hi];
            const bool up = (lo & size) == 0;
            if ((a > b) == up) {
                key[lo] = b;
                key[hi] = a;
            }
        }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < CHUNK; i += SORT_BLOCK) sorted[base + i] = key[i];
}

// First of the chunk's keys that is not below `want`.
static __device__ int lower_bound(const uint64_t *key, uint64_t want)
{
    int lo = 0, hi = CHUNK;
    while (lo < hi) {
        const int mid = (lo + hi) / 2;
        if (key[mid] < want) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

template <int W>
static __global__ void gather_rows_kernel(int64_t V, int64_t D, int chunks, const uint64_t *sorted, const float *dy,
                                          float *dtable)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t strips = (D + 32 * W - 1) / (32 * W), job = (int64_t)blockIdx.x * ROWS_PER_BLOCK + threadIdx.x / 32;
    const int64_t v = quotient(job, strips), col = (remainder_of(job, strips) * 32 + lane) * W;
    const bool mine = v < V && col < D;
    Pack<W> sum = {};
    bool any = false;
    for (int c0 = 0; c0 < chunks; c0 += 32) {
        int first = 0, count = 0;
        if (v < V && c0 + lane < chunks) {
            const uint64_t *key = sorted + (int64_t)(c0 + lane) * CHUNK;
            first = lower_bound(key, (uint64_t)v << 32);
            count = lower_bound(key, (uint64_t)(v + 1) << 32) - first;
        }
        for (int k = 0; k < 32 && c0 + k < chunks; k++) {
            const int m = __shfl_sync(0xFFFFFFFFu, count, k), f = __shfl_sync(0xFFFFFFFFu, first, k);
            if (m && !any && mine) sum = load<W>(dtable + v * D + col);
            any |= m > 0;
            const uint64_t *key = sorted + (int64_t)(c0 + k) * CHUNK + f;
#pragma unroll 4
            for (int i = 0; i < m; i++) {
                if (!mine) continue;
                const Pack<W> d = load<W>(dy + (int64_t)(uint32_t)key[i] * D + col);
#pragma unroll
                for (int j = 0; j < W; j++) sum.v[j] += d.v[j];
            }
        }
    }
    if (any && mine) store<W>(dtable + v * D + col, sum);
}

CUDA_KERNEL(embedding, bwd)
{
    const int64_t n = numel(c->in[1]), V = c->in[0]->shape.d[0], D = c->in[0]->shape.d[1], chunks = div_up(n, CHUNK);
    const float *dy = out_g(c, 0);
    float *dtable = in_g(c, 0);
    if (!dtable || n == 0) return;
    CHECK(n < INT64_C(1) << 31, "embedding: %lld indices, want fewer than 2^31", (long long)n);
    uint64_t *sorted = scratch_of<uint64_t>(c, (size_t)(chunks * CHUNK));
    launch(c, sort_kernel, blocks_of(chunks), SORT_BLOCK, 0, n, in_i32(c, 1), sorted);
    const bool wide = D % 4 == 0 && aligned16(dy) && aligned16(dtable);
    const int64_t jobs = V * div_up(D, wide ? 128 : 32);
    auto *kernel = wide ? gather_rows_kernel<4> : gather_rows_kernel<1>;
    launch(c, kernel, grid_of(jobs, ROWS_PER_BLOCK), ROWS_PER_BLOCK * 32, 0, V, D, (int)chunks,
           (const uint64_t *)sorted, dy, dtable);
}
