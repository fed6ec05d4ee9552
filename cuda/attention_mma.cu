// attention with --math tf32 and bf16: products on the tensor cores, m16n8k8 and m16n8k16; softmax and all sums in f32.
// Online softmax, forward and backward as in attention.cu: no T x T matrix, no atomics, P computed again in backward
// (FlashAttention-2, Dao 2023).  For heads of 16 to 128 values in whole runs of 4 and 16-byte aligned tensors; other
// calls take the f32 kernels.
//
// A block of 4 warps owns 64 MT rows (queries in forward and dq, keys in dk and dv), a warp 16 MT of them, and walks
// over the others in tiles of COLUMNS.  What is owned stays in shared memory, rounded once.  A tile arrives by cp.async
// in f32 while the tile before is in use; then each thread rounds the pieces that it copied itself into the tile that
// the fragments are read from.  Scores never leave registers: an accumulator's layout is that of the A operand of the
// next product, for tf32 after the terms of the sum are renumbered (key 2t stands in column t, key 2t + 1 in column
// t + 4).  Tiles above the diagonal are skipped, also by single warps.  exp(x) is exp2(x log2 e), one FMA and one MUFU.
//
// Counted, for a tile of 64 keys, 64 queries, E = 64, bf16 (MT = 1; 2): 256 (512) mma; shared memory: 32 KiB arrive, 48
// KiB to round them, 72 (80) KiB of fragments.  At 128 bytes a cycle that is 1,216 (1,280) cycles beside mma's 410
// (820): bound by shared memory.  Expected: 150 (250) TFLOP/s at T = 1024.
// Registers (sm_90, ptxas 13.0): forward 142 to 176, 196 to 251 with MT = 2; dq 132 to 164; dk and dv 180 to 244; no
// spills.
#include "attention.h"
#include "mma.h"

enum { MMA_BLOCK = 128 };
static const float LOG2E = 1.44269504088896341f;

template <bool BF16> struct Word { typedef uint16_t Type; };
template <> struct Word<false> { typedef uint32_t Type; };

// Tiles in shared memory: rows of EP values T, zeros beyond E, and 16 bytes more, so that fragments meet no bank
// conflict.
template <bool BF16_, int EP_> struct Form {
    typedef typename Word<BF16_>::Type T;
    enum {
        BF16 = BF16_, EP = EP_, V = 16 / (int)sizeof(T), DEPTH = 2 * V, LD = EP + V,   // V: values in 16 bytes
        COLUMNS = EP <= 64 ? 64 : 32, RAW = COLUMNS * EP, TILE = COLUMNS * LD,
    };
    static __device__ __forceinline__ void put(T *to, const Pack<4> &x)
    {
        if constexpr (BF16) {
            *reinterpret_cast<uint2 *>(to) = make_uint2(bf16_pair(x.v[0], x.v[1]), bf16_pair(x.v[2], x.v[3]));
        } else {
            *reinterpret_cast<uint4 *>(to) = make_uint4(to_tf32(x.v[0]), to_tf32(x.v[1]), to_tf32(x.v[2]),
                                                        to_tf32(x.v[3]));
        }
    }
};

// ---- tiles

// Rows row0.. of one head of x, straight into a tile of ROWS rows.
template <class F, int ROWS>
static __device__ __forceinline__ void load_rows(typename F::T *tile, const float *x, int64_t row0, int64_t T,
                                                 const Heads &d)
{
#pragma unroll 4
    for (int i = (int)threadIdx.x; i < ROWS * F::EP / 4; i += MMA_BLOCK) {
        const int row = i / (F::EP / 4), e = i % (F::EP / 4) * 4;
        Pack<4> v = {};
        if (row0 + row < T && e < d.E) v = load<4>(x + (row0 + row) * d.D + e);
        F::put(tile + row * F::LD + e, v);
    }
}

// The same of a tile of COLUMNS rows in two steps: on its way in f32, and, by the same thread, rounded.
template <class F>
static __device__ __forceinline__ void send_tile(float *raw, const float *x, int64_t row0, int64_t T, const Heads &d)
{
#pragma unroll
    for (int i = (int)threadIdx.x; i < F::RAW / 4; i += MMA_BLOCK) {
        const int row = i / (F::EP / 4), e = i % (F::EP / 4) * 4;
        const bool there = row0 + row < T && e < d.E;
        copy_async16(raw + 4 * i, there ? x + (row0 + row) * d.D + e : x, there);
    }
}

template <class F> static __device__ __forceinline__ void round_tile(typename F::T *tile, const float *raw)
{
#pragma unroll
    for (int i = (int)threadIdx.x; i < F::RAW / 4; i += MMA_BLOCK)
        F::put(tile + i / (F::EP / 4) * F::LD + i % (F::EP / 4) * 4, load<4>(raw + 4 * i));
}

// ---- products of a warp

template <class F> static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t *a, const uint32_t *b)
{
    if constexpr (F::BF16) mma_bf16(d, a, b);
    else mma_tf32(d, a, b);
}

// s[m][n] = rows row0 + 16 m.. of x times rows 8 n.. of y, transposed: fragments of [16 MT, 8 NT].
template <class F, int MT, int NT>
static __device__ __forceinline__ void dots(const typename F::T *x, int row0, const typename F::T *y,
                                            float (&s)[MT][NT][4])
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < NT; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) s[m][n][i] = 0;
#pragma unroll
    for (int e = 0; e < F::EP; e += F::DEPTH) {
        uint32_t a[MT][4], b[4];
#pragma unroll
        for (int m = 0; m < MT; m++) load_matrix4(a[m], x + (row0 + 16 * m + lane % 16) * F::LD + e + lane / 16 * F::V);
#pragma unroll
        for (int n = 0; n < NT; n += 2) {   // b: both halves of the depth of rows 8 n.., then of the 8 rows after
            load_matrix4(b, y + (8 * n + lane % 8 + lane / 16 * 8) * F::LD + e + lane / 8 % 2 * F::V);
#pragma unroll
            for (int m = 0; m < MT; m++) {
                multiply<F>(s[m][n], a[m], b);
                multiply<F>(s[m][n + 1], a[m], b + 2);
            }
        }
    }
}

// r[m] += p[m] y: p as it was accumulated, [16 MT, 8 NT], rounded; y [8 NT, EP].
template <class F, int MT, int NT>
static __device__ __forceinline__ void add_product(const float (&p)[MT][NT][4], const typename F::T *y,
                                                   float (&r)[MT][F::EP / 8][4])
{
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int j = 0; j < 8 * NT; j += F::DEPTH) {
        uint32_t a[MT][4], b[4];
#pragma unroll
        for (int m = 0; m < MT; m++) {
            if constexpr (F::BF16) {
                a[m][0] = bf16_pair(p[m][j / 8][0], p[m][j / 8][1]);
                a[m][1] = bf16_pair(p[m][j / 8][2], p[m][j / 8][3]);
                a[m][2] = bf16_pair(p[m][j / 8 + 1][0], p[m][j / 8 + 1][1]);
                a[m][3] = bf16_pair(p[m][j / 8 + 1][2], p[m][j / 8 + 1][3]);
            } else {   // columns t and t + 4 are the terms 2 t and 2 t + 1
                a[m][0] = to_tf32(p[m][j / 8][0]);
                a[m][1] = to_tf32(p[m][j / 8][2]);
                a[m][2] = to_tf32(p[m][j / 8][1]);
                a[m][3] = to_tf32(p[m][j / 8][3]);
            }
        }
#pragma unroll
        for (int e = 0; e < F::EP / 8; e += 2) {
            if constexpr (F::BF16) {
                load_matrix4<true>(b, y + (j + lane % 16) * F::LD + 8 * e + lane / 16 * 8);
            } else {
#pragma unroll
                for (int i = 0; i < 4; i++) b[i] = y[(j + 2 * t + i % 2) * F::LD + 8 * (e + i / 2) + g];
            }
#pragma unroll
            for (int m = 0; m < MT; m++) {
                multiply<F>(r[m][e], a[m], b);
                multiply<F>(r[m][e + 1], a[m], b + 2);
            }
        }
    }
}

// ---- forward

// Over the 4 threads that share a row.
static __device__ __forceinline__ float quad_sum(float v)
{
    v += __shfl_xor_sync(0xFFFFFFFFu, v, 1);
    return v + __shfl_xor_sync(0xFFFFFFFFu, v, 2);
}
static __device__ __forceinline__ float quad_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, 1));   // NaN comes back through exp2
    return fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, 2));
}

// A warp's rows of a tile of scores become exp2(scale (s - max)); what was summed before shrinks to the new maximum.
// Row of (m, h): g + 8 h + 16 m; seen[m][h]: its keys of this tile.
template <int MT, int NT, int ET>
static __device__ __forceinline__ void soften(float (&s)[MT][NT][4], const int (&seen)[MT][2], bool all, float scale,
                                              float (&max)[MT][2], float (&sum)[MT][2], float (&r)[MT][ET][4])
{
    const int t = (int)threadIdx.x % 4;
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float top = max[m][h];
#pragma unroll
            for (int n = 0; n < NT; n++)
#pragma unroll
                for (int i = 2 * h; i < 2 * h + 2; i++) {
                    if (!all && 8 * n + 2 * t + i % 2 >= seen[m][h]) s[m][n][i] = -INFINITY;
                    top = fmaxf(top, s[m][n][i]);
                }
            top = quad_max(top);
            const float shift = top == -INFINITY ? 0 : top * scale;   // nothing seen yet: exp2(-infinity - 0) = 0
            const float shrink = exp2f(max[m][h] * scale - shift);
            max[m][h] = top;
            sum[m][h] *= shrink;
#pragma unroll
            for (int n = 0; n < NT; n++)
#pragma unroll
                for (int i = 2 * h; i < 2 * h + 2; i++) {
                    s[m][n][i] = exp2f(s[m][n][i] * scale - shift);
                    sum[m][h] += s[m][n][i];
                }
#pragma unroll
            for (int e = 0; e < ET; e++)
#pragma unroll
                for (int i = 2 * h; i < 2 * h + 2; i++) r[m][e][i] *= shrink;
        }
}

// Keys of a tile from k0 on that row i sees, at most COLUMNS.
template <int COLUMNS> static __device__ __forceinline__ int seen_of(const Heads &d, int64_t i, int64_t k0)
{
    const int64_t all = d.seen(i) < d.Tk ? d.seen(i) : d.Tk;
    return all - k0 > COLUMNS ? (int)COLUMNS : all > k0 ? (int)(all - k0) : 0;
}

template <class F, int MT>
static __global__ void __launch_bounds__(MMA_BLOCK, MT == 1 && F::EP <= 64 ? 3 : 2)
attention_mma_kernel(Heads d, const float *q, const float *k, const float *v, float *o, float *lse)
{
    enum { ROWS = 64 * MT, NT = F::COLUMNS / 8, ET = F::EP / 8 };
    typedef typename F::T T;
    SHARED_DYNAMIC(float, raw_k);
    float *raw_v = raw_k + F::RAW;
    T *tq = reinterpret_cast<T *>(raw_v + F::RAW), *tk = tq + ROWS * F::LD, *tv = tk + F::TILE;
    const Place at = place_of<ROWS>(d, d.Tq);
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4, row0 = (int)threadIdx.x / 32 * 16 * MT;
    const int64_t qbase = at.n * d.Tq * d.D + at.h * d.E, kbase = at.n * d.L * d.D + at.h * d.E;
    const int64_t last = at.row0 + ROWS - 1 < d.Tq ? at.row0 + ROWS - 1 : d.Tq - 1, keys = d.seen(last);
    const float scale = d.scale * LOG2E;
    float max[MT][2], sum[MT][2], r[MT][ET][4] = {};
#pragma unroll
    for (int i = 0; i < 2 * MT; i++) {
        max[i / 2][i % 2] = -INFINITY;
        sum[i / 2][i % 2] = 0;
    }
    send_tile<F>(raw_k, k + kbase, 0, d.Tk, d);
    send_tile<F>(raw_v, v + kbase, 0, d.Tk, d);
    copy_async_commit();
    load_rows<F, ROWS>(tq, q + qbase, at.row0, d.Tq, d);
    for (int64_t k0 = 0; k0 < keys; k0 += F::COLUMNS) {
        copy_async_wait<0>();
        __syncthreads();   // the tile before is used up
        round_tile<F>(tk, raw_k);
        round_tile<F>(tv, raw_v);
        __syncthreads();
        if (k0 + F::COLUMNS < keys) {
            send_tile<F>(raw_k, k + kbase, k0 + F::COLUMNS, d.Tk, d);
            send_tile<F>(raw_v, v + kbase, k0 + F::COLUMNS, d.Tk, d);
            copy_async_commit();
        }
        const int64_t i0 = at.row0 + row0;   // of the warp
        if (seen_of<F::COLUMNS>(d, i0 + 16 * MT - 1, k0) == 0) continue;
        int seen[MT][2];
#pragma unroll
        for (int i = 0; i < 2 * MT; i++) seen[i / 2][i % 2] = seen_of<F::COLUMNS>(d, i0 + g + 8 * i, k0);
        float s[MT][NT][4];
        dots<F, MT, NT>(tq, row0, tk, s);
        soften<MT, NT, ET>(s, seen, seen_of<F::COLUMNS>(d, i0, k0) == F::COLUMNS, scale, max, sum, r);
        add_product<F, MT, NT>(s, tv, r);
    }
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int64_t i = at.row0 + row0 + 16 * m + 8 * h + g;
            const float all = quad_sum(sum[m][h]);
            if (i >= d.Tq) continue;
#pragma unroll
            for (int e = 0; e < ET; e++)
                if (8 * e + 2 * t < d.E)
                    *reinterpret_cast<float2 *>(o + qbase + i * d.D + 8 * e + 2 * t) =
                        make_float2(r[m][e][2 * h] / all, r[m][e][2 * h + 1] / all);
            if (t == 0) lse[at.nh * d.Tq + i] = max[m][h] * d.scale + logf(all);
        }
}

// ---- backward

// to[row] += scale r, rows of fragment m of a warp.
template <class F, int MT>
static __device__ __forceinline__ void add_rows(float *to, int64_t row0, int64_t T, const Heads &d, float scale,
                                                const float (&r)[MT][F::EP / 8][4])
{
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int64_t i = row0 + 16 * m + 8 * h + g;
            if (i >= T) continue;
#pragma unroll
            for (int e = 0; e < F::EP / 8; e++) {
                if (8 * e + 2 * t >= d.E) continue;
                float2 *at = reinterpret_cast<float2 *>(to + i * d.D + 8 * e + 2 * t);
                const float2 old = *at;
                *at = make_float2(old.x + scale * r[m][e][2 * h], old.y + scale * r[m][e][2 * h + 1]);
            }
        }
}

// g = P (do.v - delta); the factor 1 / sqrt(E) comes at the end.
template <class F, int MT> static __global__ void __launch_bounds__(MMA_BLOCK)
attention_mma_dq_kernel(Heads d, Saved x, float *dq)
{
    enum { ROWS = 64 * MT, NT = F::COLUMNS / 8 };
    typedef typename F::T T;
    SHARED_DYNAMIC(float, raw_k);
    float *raw_v = raw_k + F::RAW;
    T *tq = reinterpret_cast<T *>(raw_v + F::RAW), *tgo = tq + ROWS * F::LD, *tk = tgo + ROWS * F::LD,
      *tv = tk + F::TILE;
    const Place at = place_of<ROWS>(d, d.Tq);
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4, row0 = (int)threadIdx.x / 32 * 16 * MT;
    const int64_t qbase = at.n * d.Tq * d.D + at.h * d.E, kbase = at.n * d.L * d.D + at.h * d.E, i0 = at.row0 + row0;
    const int64_t last = at.row0 + ROWS - 1 < d.Tq ? at.row0 + ROWS - 1 : d.Tq - 1, keys = d.seen(last);
    const float scale = d.scale * LOG2E;
    float lse[MT][2], delta[MT][2], r[MT][F::EP / 8][4] = {};
    send_tile<F>(raw_k, x.k + kbase, 0, d.Tk, d);
    send_tile<F>(raw_v, x.v + kbase, 0, d.Tk, d);
    copy_async_commit();
    load_rows<F, ROWS>(tq, x.q + qbase, at.row0, d.Tq, d);
    load_rows<F, ROWS>(tgo, x.go + qbase, at.row0, d.Tq, d);
#pragma unroll
    for (int i = 0; i < 2 * MT; i++) {
        const int64_t row = i0 + g + 8 * i;
        lse[i / 2][i % 2] = row < d.Tq ? x.lse[at.nh * d.Tq + row] * LOG2E : 0;
        delta[i / 2][i % 2] = row < d.Tq ? x.delta[at.nh * d.Tq + row] : 0;
    }
    for (int64_t k0 = 0; k0 < keys; k0 += F::COLUMNS) {
        copy_async_wait<0>();
        __syncthreads();
        round_tile<F>(tk, raw_k);
        round_tile<F>(tv, raw_v);
        __syncthreads();
        if (k0 + F::COLUMNS < keys) {
            send_tile<F>(raw_k, x.k + kbase, k0 + F::COLUMNS, d.Tk, d);
            send_tile<F>(raw_v, x.v + kbase, k0 + F::COLUMNS, d.Tk, d);
            copy_async_commit();
        }
        if (seen_of<F::COLUMNS>(d, i0 + 16 * MT - 1, k0) == 0) continue;
        const bool all = seen_of<F::COLUMNS>(d, i0, k0) == F::COLUMNS;
        float p[MT][NT][4], dp[MT][NT][4];
        dots<F, MT, NT>(tq, row0, tk, p);
        dots<F, MT, NT>(tgo, row0, tv, dp);
#pragma unroll
        for (int m = 0; m < MT; m++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const int seen = seen_of<F::COLUMNS>(d, i0 + g + 16 * m + 8 * h, k0);
#pragma unroll
                for (int n = 0; n < NT; n++)
#pragma unroll
                    for (int i = 2 * h; i < 2 * h + 2; i++) {
                        p[m][n][i] = exp2f(p[m][n][i] * scale - lse[m][h]) * (dp[m][n][i] - delta[m][h]);
                        if (!all && 8 * n + 2 * t + i % 2 >= seen) p[m][n][i] = 0;
                    }
            }
        add_product<F, MT, NT>(p, tk, r);
    }
    add_rows<F, MT>(dq + qbase, i0, d.Tq, d, d.scale, r);
}

// Transposed: rows are keys, columns queries.
template <class F, int MT> static __global__ void __launch_bounds__(MMA_BLOCK, 2)
attention_mma_dkv_kernel(Heads d, Saved x, float *dk, float *dv)
{
    enum { ROWS = 64 * MT, NT = F::COLUMNS / 8 };
    typedef typename F::T T;
    SHARED_DYNAMIC(float, raw_q);
    float *raw_go = raw_q + F::RAW, *raw_lse = raw_go + F::RAW, *raw_delta = raw_lse + F::COLUMNS;
    float *lse = raw_delta + F::COLUMNS, *delta = lse + F::COLUMNS;
    T *tk = reinterpret_cast<T *>(delta + F::COLUMNS), *tv = tk + ROWS * F::LD, *tq = tv + ROWS * F::LD,
      *tgo = tq + F::TILE;
    const Place at = place_of<ROWS>(d, d.Tk);
    const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4, row0 = (int)threadIdx.x / 32 * 16 * MT;
    const int64_t qbase = at.n * d.Tq * d.D + at.h * d.E, kbase = at.n * d.L * d.D + at.h * d.E, j0 = at.row0 + row0;
    const float scale = d.scale * LOG2E;
    // the first query that sees a key of these, rounded down to a tile
    int64_t first = d.causal ? at.row0 - (d.Tk - d.Tq) : 0;
    first = first < 0 ? 0 : first / F::COLUMNS * F::COLUMNS;
    float rk[MT][F::EP / 8][4] = {}, rv[MT][F::EP / 8][4] = {};
    const auto send = [&](int64_t i0) {
        send_tile<F>(raw_q, x.q + qbase, i0, d.Tq, d);
        send_tile<F>(raw_go, x.go + qbase, i0, d.Tq, d);
        const int64_t i = i0 + threadIdx.x, from = at.nh * d.Tq + (i < d.Tq ? i : 0);
        if (threadIdx.x < F::COLUMNS) {
            copy_async4(raw_lse + threadIdx.x, x.lse + from, i < d.Tq);
            copy_async4(raw_delta + threadIdx.x, x.delta + from, i < d.Tq);
        }
        copy_async_commit();
    };
    send(first);
    load_rows<F, ROWS>(tk, x.k + kbase, at.row0, d.Tk, d);
    load_rows<F, ROWS>(tv, x.v + kbase, at.row0, d.Tk, d);
    for (int64_t i0 = first; i0 < d.Tq; i0 += F::COLUMNS) {
        copy_async_wait<0>();
        __syncthreads();
        round_tile<F>(tq, raw_q);
        round_tile<F>(tgo, raw_go);
        if (threadIdx.x < F::COLUMNS) {
            lse[threadIdx.x] = raw_lse[threadIdx.x] * LOG2E;
            delta[threadIdx.x] = raw_delta[threadIdx.x];
        }
        __syncthreads();
        if (i0 + F::COLUMNS < d.Tq) send(i0 + F::COLUMNS);
        // column i of the tile sees row j of the warp when j + ahead <= i
        const int64_t distance = j0 - (i0 + d.Tk - d.Tq);
        if (d.causal && distance >= F::COLUMNS) continue;
        const bool all = !d.causal || distance + 16 * MT - 1 <= 0;
        const int ahead = all ? 0 : (int)distance;
        float p[MT][NT][4], dp[MT][NT][4];
        dots<F, MT, NT>(tk, row0, tq, p);
#pragma unroll
        for (int m = 0; m < MT; m++)
#pragma unroll
            for (int n = 0; n < NT; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int column = 8 * n + 2 * t + i % 2;
                    p[m][n][i] = exp2f(p[m][n][i] * scale - lse[column]);
                    if (!all && 16 * m + g + i / 2 * 8 + ahead > column) p[m][n][i] = 0;
                }
        add_product<F, MT, NT>(p, tgo, rv);
        dots<F, MT, NT>(tv, row0, tgo, dp);
#pragma unroll
        for (int m = 0; m < MT; m++)
#pragma unroll
            for (int n = 0; n < NT; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) p[m][n][i] *= dp[m][n][i] - delta[8 * n + 2 * t + i % 2];
        add_product<F, MT, NT>(p, tq, rk);
    }
    if (dk) add_rows<F, MT>(dk + kbase, j0, d.Tk, d, d.scale, rk);
    if (dv) add_rows<F, MT>(dv + kbase, j0, d.Tk, d, 1, rv);
}

// ---- calls

static bool fits(const OpCall *c, const Heads &d)
{
    return math_of(c) != MATH_FP32 && d.wide && d.E >= 16 && aligned16(out_x(c, 0));
}

// Bytes of two tiles on their way and two in use, and `owned` rows.
template <class F> static size_t room_of(int owned)
{
    return 2 * F::RAW * sizeof(float) + (2 * F::TILE + (size_t)owned * F::LD) * sizeof(typename F::T);
}

template <class F, int MT> static void forward(const OpCall *c, const Heads &d)
{
    auto *kernel = attention_mma_kernel<F, MT>;
    launch(c, kernel, blocks_of(d.N * d.heads * div_up(d.Tq, 64 * MT)), MMA_BLOCK, room_of<F>(64 * MT), d, in_x(c, 0),
           in_x(c, 1), in_x(c, 2), out_x(c, 0), out_x(c, 1));
}

template <class F> static void backward(const OpCall *c, const Heads &d)
{
    const Saved x = saved_of(c, d);
    const size_t room = room_of<F>(128);
    auto *dq = attention_mma_dq_kernel<F, 1>;
    auto *dkv = attention_mma_dkv_kernel<F, 1>;
    if (in_g(c, 0)) launch(c, dq, blocks_of(d.N * d.heads * div_up(d.Tq, 64)), MMA_BLOCK, room, d, x, in_g(c, 0));
    if (in_g(c, 1) || in_g(c, 2))
        launch(c, dkv, blocks_of(d.N * d.heads * div_up(d.Tk, 64)), MMA_BLOCK, room + 4 * F::COLUMNS * sizeof(float), d,
               x, in_g(c, 1), in_g(c, 2));
}

template <bool BF16> static void forward_sized(const OpCall *c, const Heads &d)
{
    // blocks of 128 rows once they fill the device; a row's bits do not depend on it
    const bool large = d.N * d.heads * div_up(d.Tq, 128) >= multiprocessors(c);
    if (d.E <= 32) (large ? forward<Form<BF16, 32>, 2> : forward<Form<BF16, 32>, 1>)(c, d);
    else if (d.E <= 64) (large ? forward<Form<BF16, 64>, 2> : forward<Form<BF16, 64>, 1>)(c, d);
    else forward<Form<BF16, 128>, 1>(c, d);
}

template <bool BF16> static void backward_sized(const OpCall *c, const Heads &d)
{
    (d.E <= 32 ? backward<Form<BF16, 32>> : d.E <= 64 ? backward<Form<BF16, 64>> : backward<Form<BF16, 128>>)(c, d);
}

bool attention_mma_fwd(const OpCall *c, const Heads &d)
{
    if (!fits(c, d)) return false;
    (math_of(c) == MATH_BF16 ? forward_sized<true> : forward_sized<false>)(c, d);
    return true;
}

bool attention_mma_bwd(const OpCall *c, const Heads &d)
{
    bool aligned = fits(c, d) && aligned16(out_g(c, 0));
    for (int i = 0; i < 3; i++) aligned = aligned && aligned16(in_g(c, i));
    if (!aligned) return false;
    (math_of(c) == MATH_BF16 ? backward_sized<true> : backward_sized<false>)(c, d);
    return true;
}
