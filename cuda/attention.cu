// attention in f32, all heads, online softmax (Dao et al. 2022), forward and backward without a T x T matrix and
// without atomics: one launch owns the queries (forward, dq), one the keys (dk, dv).
//
// Tiling: blocks of 256 threads (16 x 16) take 64 queries (keys) and walk over the others in tiles of 64; a thread
// holds 4 x 4 scores and 4 x E/16 results.  Head sizes up to 128, padded with zeros to 32, 64 or 128 in shared memory.
//   forward, E = 64: 70 KiB of shared memory (3 blocks an SM); a tile of keys: 32 KiB read, 1 Mflop
//   backward: 87 KiB (152 KiB at E = 128); the scores are computed twice, so 7 products instead of 5
//   registers (sm_90, ptxas 13.0): forward 118, dq 128, dk and dv 128, no spills
// Bound by FFMA and by shared memory (1 LDS.128 for 8 FFMA).  Expected: 0.45 of 67 TFLOP/s at T = 1024, E = 64 (tiles
// above the diagonal are skipped); at LEAD's T of 9 to 144 the launch and one pass over the tiles: about 10 us.
// softmax and cache_put, bound by memory (0.80 of a device copy), at the end of the file.
#include "attention.h"

enum { ROWS = 64, ATT_BLOCK = 256, SCORE_LD = ROWS + 4 };

// Rows row0.. of one head of x [T, D] into s [64][EP + 4]; zeros beyond T and E.
template <int EP>
static __device__ __forceinline__ void load_tile(float *s, const float *x, int64_t row0, int64_t T, const Heads &h)
{
    for (int i = (int)threadIdx.x; i < ROWS * EP / 4; i += ATT_BLOCK) {
        const int row = i / (EP / 4), e = i % (EP / 4) * 4;
        Pack<4> v = {};
        if (row0 + row < T) {
            const float *from = x + (row0 + row) * h.D + e;
            if (h.wide && e < h.E) {
                v = load<4>(from);
            } else {
#pragma unroll
                for (int k = 0; k < 4; k++)
                    if (e + k < h.E) v.v[k] = from[k];
            }
        }
        store<4>(s + row * (EP + 4) + e, v);
    }
}

// s[a][b] = x[ty + 16 a] . y[tx + 16 b], tiles of [64][EP + 4]
// UNROLL: 2 in forward; 1 in backward, where the loads of a second step would spill 16 to 48 bytes.
template <int EP, int UNROLL>
static __device__ __forceinline__ void dots(const float *x, const float *y, int ty, int tx, float (&s)[4][4])
{
#pragma unroll
    for (int a = 0; a < 4; a++)
#pragma unroll
        for (int b = 0; b < 4; b++) s[a][b] = 0;
#pragma unroll UNROLL
    for (int e = 0; e < EP; e += 4) {
        Pack<4> u[4], v[4];
#pragma unroll
        for (int a = 0; a < 4; a++) {
            u[a] = load<4>(x + (ty + 16 * a) * (EP + 4) + e);
            v[a] = load<4>(y + (tx + 16 * a) * (EP + 4) + e);
        }
#pragma unroll
        for (int a = 0; a < 4; a++)
#pragma unroll
            for (int b = 0; b < 4; b++)
#pragma unroll
                for (int k = 0; k < 4; k++) s[a][b] += u[a].v[k] * v[b].v[k];
    }
}

// A thread's EP / 16 columns of a result: packs of P neighbours.
template <int EP> struct Part {
    enum { COUNT = EP / 16, P = COUNT < 4 ? COUNT : 4 };
    static __device__ __forceinline__ int column(int tx, int k) { return k / P * 16 * P + tx * P + k % P; }
    static __device__ __forceinline__ void row(const float *y, int tx, float (&v)[COUNT])   // of one row of a tile
    {
#pragma unroll
        for (int k = 0; k < COUNT; k++) v[k] = y[column(tx, k)];
    }
};

// r[a] += sum_j p[ty + 16 a][j] y[j]
template <int EP>
static __device__ __forceinline__ void add_product(const float *p, const float *y, int ty, int tx,
                                                   float (&r)[4][Part<EP>::COUNT])
{
#pragma unroll 2
    for (int j = 0; j < ROWS; j += 4) {
        Pack<4> f[4];
#pragma unroll
        for (int a = 0; a < 4; a++) f[a] = load<4>(p + (ty + 16 * a) * SCORE_LD + j);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            float v[Part<EP>::COUNT];
            Part<EP>::row(y + (j + k) * (EP + 4), tx, v);
#pragma unroll
            for (int a = 0; a < 4; a++)
#pragma unroll
                for (int e = 0; e < Part<EP>::COUNT; e++) r[a][e] += f[a].v[k] * v[e];
        }
    }
}

// r[a] += sum_i p[i][4 ty + a] y[i]
template <int EP>
static __device__ __forceinline__ void add_transposed(const float *p, const float *y, int ty, int tx,
                                                      float (&r)[4][Part<EP>::COUNT])
{
#pragma unroll 4
    for (int i = 0; i < ROWS; i++) {
        const Pack<4> f = load<4>(p + i * SCORE_LD + 4 * ty);
        float v[Part<EP>::COUNT];
        Part<EP>::row(y + i * (EP + 4), tx, v);
#pragma unroll
        for (int a = 0; a < 4; a++)
#pragma unroll
            for (int e = 0; e < Part<EP>::COUNT; e++) r[a][e] += f.v[a] * v[e];
    }
}

// Over the 16 threads that share a row.
static __device__ __forceinline__ float row_sum(float v)
{
#pragma unroll
    for (int d = 8; d > 0; d >>= 1) v += __shfl_xor_sync(0xFFFFFFFFu, v, d);
    return v;
}
static __device__ __forceinline__ float row_max(float v)
{
#pragma unroll
    for (int d = 8; d > 0; d >>= 1) v = fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, d));   // NaN comes back through exp
    return v;
}

template <int EP>
static __global__ void __launch_bounds__(ATT_BLOCK)
attention_kernel(Heads d, const float *q, const float *k, const float *v, float *o, float *lse)
{
    SHARED_DYNAMIC(float, sq);
    float *sk = sq + ROWS * (EP + 4), *sv = sk + ROWS * (EP + 4), *sp = sv + ROWS * (EP + 4);
    const Place at = place_of<ROWS>(d, d.Tq);
    const int ty = (int)threadIdx.x / 16, tx = (int)threadIdx.x % 16;
    const int64_t qbase = at.n * d.Tq * d.D + at.h * d.E, kbase = at.n * d.L * d.D + at.h * d.E;
    const int64_t last = at.row0 + ROWS - 1 < d.Tq ? at.row0 + ROWS - 1 : d.Tq - 1, keys = d.seen(last);
    float max[4], sum[4], r[4][Part<EP>::COUNT] = {};
#pragma unroll
    for (int a = 0; a < 4; a++) {
        max[a] = -INFINITY;
        sum[a] = 0;
    }
    load_tile<EP>(sq, q + qbase, at.row0, d.Tq, d);
    for (int64_t k0 = 0; k0 < keys; k0 += ROWS) {
        __syncthreads();   // the last tile is used up
        load_tile<EP>(sk, k + kbase, k0, d.Tk, d);
        load_tile<EP>(sv, v + kbase, k0, d.Tk, d);
        __syncthreads();
        float s[4][4];
        dots<EP, 2>(sq, sk, ty, tx, s);
#pragma unroll
        for (int a = 0; a < 4; a++) {
            const int64_t seen = d.seen(at.row0 + ty + 16 * a) < d.Tk ? d.seen(at.row0 + ty + 16 * a) : d.Tk;
            float m = max[a];
#pragma unroll
            for (int b = 0; b < 4; b++) {
                s[a][b] = k0 + tx + 16 * b < seen ? s[a][b] * d.scale : -INFINITY;
                m = fmaxf(m, s[a][b]);
            }
            m = row_max(m);
            const float shift = m == -INFINITY ? 0 : m;   // nothing seen yet: exp(-infinity - 0) = 0
            const float shrink = expf(max[a] - shift);
            float part = 0;
#pragma unroll
            for (int b = 0; b < 4; b++) {
                s[a][b] = expf(s[a][b] - shift);
                part += s[a][b];
                sp[(ty + 16 * a) * SCORE_LD + tx + 16 * b] = s[a][b];
            }
            sum[a] = sum[a] * shrink + row_sum(part);
            max[a] = m;
#pragma unroll
            for (int e = 0; e < Part<EP>::COUNT; e++) r[a][e] *= shrink;
        }
        __syncthreads();
        add_product<EP>(sp, sv, ty, tx, r);
    }
#pragma unroll
    for (int a = 0; a < 4; a++) {
        const int64_t i = at.row0 + ty + 16 * a;
        if (i >= d.Tq) continue;
#pragma unroll
        for (int e = 0; e < Part<EP>::COUNT; e++) {
            const int col = Part<EP>::column(tx, e);
            if (col < d.E) o[qbase + i * d.D + col] = r[a][e] / sum[a];
        }
        if (tx == 0) lse[at.nh * d.Tq + i] = max[a] + logf(sum[a]);
    }
}

// P and g (see ref/attention.inl) of a tile of queries i0.. and keys k0..: row ty + 16 a, column tx + 16 b.
template <int EP>
static __device__ __forceinline__ void score_gradients(const Heads &d, const Saved &x, int64_t nh, int64_t i0,
                                                       int64_t k0, const float *sq, const float *sgo,
                                                       const float *sk, const float *sv,
                                                       float (&p)[4][4], float (&g)[4][4])
{
    const int ty = (int)threadIdx.x / 16, tx = (int)threadIdx.x % 16;
    dots<EP, 1>(sq, sk, ty, tx, p);
    dots<EP, 1>(sgo, sv, ty, tx, g);
#pragma unroll
    for (int a = 0; a < 4; a++) {
        const int64_t i = i0 + ty + 16 * a;
        const bool there = i < d.Tq;
        const float lse = there ? x.lse[nh * d.Tq + i] : 0, delta = there ? x.delta[nh * d.Tq + i] : 0;
        const int64_t seen = !there ? 0 : d.seen(i) < d.Tk ? d.seen(i) : d.Tk;
#pragma unroll
        for (int b = 0; b < 4; b++) {
            p[a][b] = k0 + tx + 16 * b < seen ? expf(d.scale * p[a][b] - lse) : 0;
            g[a][b] = d.scale * p[a][b] * (g[a][b] - delta);
        }
    }
}

static __device__ __forceinline__ void put_scores(float *s, const float (&v)[4][4])
{
    const int ty = (int)threadIdx.x / 16, tx = (int)threadIdx.x % 16;
#pragma unroll
    for (int a = 0; a < 4; a++)
#pragma unroll
        for (int b = 0; b < 4; b++) s[(ty + 16 * a) * SCORE_LD + tx + 16 * b] = v[a][b];
}

template <int EP>
static __device__ __forceinline__ void add_rows(float *to, int64_t row, int64_t T, int tx, const Heads &d,
                                                const float (&r)[Part<EP>::COUNT])
{
    if (row >= T) return;
#pragma unroll
    for (int e = 0; e < Part<EP>::COUNT; e++) {
        const int col = Part<EP>::column(tx, e);
        if (col < d.E) to[row * d.D + col] += r[e];
    }
}

template <int EP> static __global__ void __launch_bounds__(ATT_BLOCK) attention_dq_kernel(Heads d, Saved x, float *dq)
{
    SHARED_DYNAMIC(float, sq);
    float *sgo = sq + ROWS * (EP + 4), *sk = sgo + ROWS * (EP + 4), *sv = sk + ROWS * (EP + 4),
          *sg = sv + ROWS * (EP + 4);
    const Place at = place_of<ROWS>(d, d.Tq);
    const int ty = (int)threadIdx.x / 16, tx = (int)threadIdx.x % 16;
    const int64_t qbase = at.n * d.Tq * d.D + at.h * d.E, kbase = at.n * d.L * d.D + at.h * d.E;
    const int64_t last = at.row0 + ROWS - 1 < d.Tq ? at.row0 + ROWS - 1 : d.Tq - 1, keys = d.seen(last);
    float r[4][Part<EP>::COUNT] = {};
    load_tile<EP>(sq, x.q + qbase, at.row0, d.Tq, d);
    load_tile<EP>(sgo, x.go + qbase, at.row0, d.Tq, d);
    for (int64_t k0 = 0; k0 < keys; k0 += ROWS) {
        __syncthreads();
        load_tile<EP>(sk, x.k + kbase, k0, d.Tk, d);
        load_tile<EP>(sv, x.v + kbase, k0, d.Tk, d);
        __syncthreads();
        float p[4][4], g[4][4];
        score_gradients<EP>(d, x, at.nh, at.row0, k0, sq, sgo, sk, sv, p, g);
        put_scores(sg, g);
        __syncthreads();
        add_product<EP>(sg, sk, ty, tx, r);
    }
#pragma unroll
    for (int a = 0; a < 4; a++) add_rows<EP>(dq + qbase, at.row0 + ty + 16 * a, d.Tq, tx, d, r[a]);
}

template <int EP>
static __global__ void __launch_bounds__(ATT_BLOCK) attention_dkv_kernel(Heads d, Saved x, float *dk, float *dv)
{
    SHARED_DYNAMIC(float, sk);
    float *sv = sk + ROWS * (EP + 4), *sq = sv + ROWS * (EP + 4), *sgo = sq + ROWS * (EP + 4);
    float *scores = sgo + ROWS * (EP + 4);
    const Place at = place_of<ROWS>(d, d.Tk);
    const int ty = (int)threadIdx.x / 16, tx = (int)threadIdx.x % 16;
    const int64_t qbase = at.n * d.Tq * d.D + at.h * d.E, kbase = at.n * d.L * d.D + at.h * d.E;
    // the first query that sees a key of this tile, rounded down to a tile
    int64_t first = d.causal ? at.row0 - (d.Tk - d.Tq) : 0;
    first = first < 0 ? 0 : first / ROWS * ROWS;
    float rk[4][Part<EP>::COUNT] = {}, rv[4][Part<EP>::COUNT] = {};
    load_tile<EP>(sk, x.k + kbase, at.row0, d.Tk, d);
    load_tile<EP>(sv, x.v + kbase, at.row0, d.Tk, d);
    for (int64_t i0 = first; i0 < d.Tq; i0 += ROWS) {
        __syncthreads();
        load_tile<EP>(sq, x.q + qbase, i0, d.Tq, d);
        load_tile<EP>(sgo, x.go + qbase, i0, d.Tq, d);
        __syncthreads();
        float p[4][4], g[4][4];
        score_gradients<EP>(d, x, at.nh, i0, at.row0, sq, sgo, sk, sv, p, g);
        put_scores(scores, p);
        __syncthreads();
        add_transposed<EP>(scores, sgo, ty, tx, rv);
        __syncthreads();   // the same room: E = 128 fits 163 KiB
        put_scores(scores, g);
        __syncthreads();
        add_transposed<EP>(scores, sq, ty, tx, rk);
    }
#pragma unroll
    for (int a = 0; a < 4; a++) {
        if (dk) add_rows<EP>(dk + kbase, at.row0 + 4 * ty + a, d.Tk, tx, d, rk[a]);
        if (dv) add_rows<EP>(dv + kbase, at.row0 + 4 * ty + a, d.Tk, tx, d, rv[a]);
    }
}

template <int EP> static void attention_fwd(const OpCall *c, const Heads &d)
{
    const size_t shared = (3 * ROWS * (EP + 4) + ROWS * SCORE_LD) * sizeof(float);
    auto *kernel = attention_kernel<EP>;
    launch(c, kernel, blocks_of(d.N * d.heads * div_up(d.Tq, ROWS)), ATT_BLOCK, shared, d, in_x(c, 0), in_x(c, 1),
           in_x(c, 2), out_x(c, 0), out_x(c, 1));
}

template <int EP> static void attention_bwd(const OpCall *c, const Heads &d)
{
    const size_t tiles = 4 * ROWS * (EP + 4) * sizeof(float), scores = ROWS * SCORE_LD * sizeof(float);
    const Saved x = saved_of(c, d);
    auto *dq = attention_dq_kernel<EP>;
    auto *dkv = attention_dkv_kernel<EP>;
    if (in_g(c, 0))
        launch(c, dq, blocks_of(d.N * d.heads * div_up(d.Tq, ROWS)), ATT_BLOCK, tiles + scores, d, x, in_g(c, 0));
    if (in_g(c, 1) || in_g(c, 2))
        launch(c, dkv, blocks_of(d.N * d.heads * div_up(d.Tk, ROWS)), ATT_BLOCK, tiles + scores, d, x, in_g(c, 1),
               in_g(c, 2));
}

CUDA_KERNEL(attention, fwd)
{
    const Heads d = heads_of(c);
    if (attention_decode(c, d) || attention_mma_fwd(c, d)) return;
    (d.E <= 32 ? attention_fwd<32> : d.E <= 64 ? attention_fwd<64> : attention_fwd<128>)(c, d);
}

CUDA_KERNEL(attention, bwd)
{
    Heads d = heads_of(c);
    if (attention_mma_bwd(c, d)) return;
    d.wide = d.wide && aligned16(out_g(c, 0));
    (d.E <= 32 ? attention_bwd<32> : d.E <= 64 ? attention_bwd<64> : attention_bwd<128>)(c, d);
}

// ---- softmax: rows of the last dimension, a team each (kernel.h)

template <int TEAM> static __global__ void softmax_kernel(int64_t rows, int64_t C, const float *x, float *y)
{
    SHARED(float, shared, [ROW_BLOCK / 32]);
    const TeamRow t = team_row<TEAM>();
    const bool mine = t.row < rows;
    const int64_t n = mine ? C : 0, at = (mine ? t.row : 0) * C;
    float max = -INFINITY, sum = 0;
    for (int64_t i = t.lane; i < n; i += TEAM) max = max_nan(max, x[at + i]);
    max = team_max<TEAM>(max, shared);
    for (int64_t i = t.lane; i < n; i += TEAM) {
        const float e = expf(x[at + i] - max);
        y[at + i] = e;
        sum += e;
    }
    sum = team_sum<TEAM>(sum, shared);
    for (int64_t i = t.lane; i < n; i += TEAM) y[at + i] /= sum;
}

template <int TEAM>
static __global__ void softmax_dx_kernel(int64_t rows, int64_t C, const float *y, const float *dy, float *dx)
{
    SHARED(float, shared, [ROW_BLOCK / 32]);
    const TeamRow t = team_row<TEAM>();
    const bool mine = t.row < rows;
    const int64_t n = mine ? C : 0, at = (mine ? t.row : 0) * C;
    float dot = 0;
    for (int64_t i = t.lane; i < n; i += TEAM) dot += dy[at + i] * y[at + i];
    dot = team_sum<TEAM>(dot, shared);
    for (int64_t i = t.lane; i < n; i += TEAM) dx[at + i] += y[at + i] * (dy[at + i] - dot);
}

CUDA_KERNEL(softmax, fwd)
{
    launch_rows(c, softmax_kernel<32>, softmax_kernel<ROW_BLOCK>, shape_rows(c->in[0]->shape),
                shape_last(c->in[0]->shape), in_x(c, 0), out_x(c, 0));
}

CUDA_KERNEL(softmax, bwd)
{
    if (!in_g(c, 0)) return;
    launch_rows(c, softmax_dx_kernel<32>, softmax_dx_kernel<ROW_BLOCK>, shape_rows(c->in[0]->shape),
                shape_last(c->in[0]->shape), (const float *)out_x(c, 0), out_g(c, 0), in_g(c, 0));
}

// ---- cache_put

// In place (out is the cache) only the new rows are written.
CUDA_KERNEL(cache_put, fwd)
{
    const int64_t *s = c->in[0]->shape.d, D = s[2], start = params<CachePutParams>(c)->start;
    const Runs rows = {c->in[1]->shape.d[1] * D, s[1] * D, start * D};
    if (out_x(c, 0) != in_x(c, 0)) copy(c, out_x(c, 0), in_x(c, 0), tensor_bytes(c->in[0]));
    place<false, false>(c, numel(c->in[1]), in_x(c, 1), out_x(c, 0), rows);
}
