// attention of one query a sample (decoding with a cache), forward, f32: every key and value is read once, so it is
// bound by memory (flash-decoding, Dao et al. 2023).  The keys of a head are cut into splits, a function of the sizes
// alone, until the device is full; a second launch joins the splits in order.  Same bits every time; they are not those
// of the kernels for many queries, which add in another order.
//
// A block of 4 warps takes one split of one head.  G lanes share a key (16 bytes each), the block's 128 / G groups take
// every 128 / G-th key, four at a time, so that 8 loads of 16 bytes a thread are in flight: 16 KiB a block.
// Expected: 12 heads of 64, 1,000 keys (6 MB): 0.5 of the copy rate, since two launches of 3 us weigh as much as the
// reading.
#include "attention.h"

enum { DECODE_BLOCK = 128, AT_ONCE = 4 };

// A partial result: the largest score, the sum of exp(score - largest), and E sums of values, weighted with these.
// Joins n of them, in order -> value e; *max and *sum of all.
static __device__ __forceinline__ float join(const float *part, int64_t stride, int n, int e, float *max, float *sum)
{
    float top = -INFINITY, total = 0, y = 0;
    for (int i = 0; i < n; i++) top = fmaxf(top, part[i * stride]);
    const float shift = top == -INFINITY ? 0 : top;
    for (int i = 0; i < n; i++) {
        const float weight = expf(part[i * stride] - shift);
        total += weight * part[i * stride + 1];
        y += weight * part[i * stride + 2 + e];
    }
    *max = top;
    *sum = total;
    return y;
}

static __device__ __forceinline__ void put(const Heads &d, int64_t nh, int e, float y, float max, float sum, float *o,
                                           float *lse)
{
    o[nh * d.E + e] = y / sum;   // [N,1,heads,E]
    if (e == 0) lse[nh] = max + logf(sum);
}

// C runs of W values a lane: C W G >= E.
template <int W, int G, int C>
static __global__ void __launch_bounds__(DECODE_BLOCK)
decode_kernel(Heads d, const float *q, const float *k, const float *v, int64_t each, int splits, float *o, float *lse,
              float *part)
{
    enum { GROUPS = DECODE_BLOCK / G };
    SHARED(float, record, [GROUPS][W * G * C + 2]);
    const int group = (int)threadIdx.x / G, lane = (int)threadIdx.x % G;
    const int64_t nh = quotient(blockIdx.x, splits), n = quotient(nh, d.heads);
    const int64_t first = (blockIdx.x - nh * splits) * each;
    const int64_t end = first + each < d.Tk ? first + each : d.Tk, base = n * d.L * d.D + (nh - n * d.heads) * d.E;
    Pack<W> x[C], r[C] = {};
    float max = -INFINITY, sum = 0;
#pragma unroll
    for (int c = 0; c < C; c++) {
        const int e = (c * G + lane) * W;
        x[c] = e < d.E ? load<W>(q + nh * d.E + e) : Pack<W>{};
    }
    for (int64_t j0 = first; j0 < end; j0 += AT_ONCE * GROUPS) {
        Pack<W> a[AT_ONCE][C], b[AT_ONCE][C];
        float s[AT_ONCE], top = max;
#pragma unroll
        for (int u = 0; u < AT_ONCE; u++) {
            const int64_t j = j0 + u * GROUPS + group;
#pragma unroll
            for (int c = 0; c < C; c++) {
                const int e = (c * G + lane) * W;
                const bool there = j < end && e < d.E;
                a[u][c] = there ? load<W>(k + base + j * d.D + e) : Pack<W>{};
                b[u][c] = there ? load<W>(v + base + j * d.D + e) : Pack<W>{};
            }
        }
#pragma unroll
        for (int u = 0; u < AT_ONCE; u++) {
            s[u] = 0;
#pragma unroll
            for (int c = 0; c < C; c++)
#pragma unroll
                for (int i = 0; i < W; i++) s[u] += x[c].v[i] * a[u][c].v[i];
#pragma unroll
            for (int m = G / 2; m > 0; m >>= 1) s[u] += __shfl_xor_sync(0xFFFFFFFFu, s[u], m);
            s[u] = j0 + u * GROUPS + group < end ? s[u] * d.scale : -INFINITY;
            top = fmaxf(top, s[u]);   // NaN comes back through exp
        }
        const float shift = top == -INFINITY ? 0 : top, shrink = expf(max - shift);
        max = top;
        sum *= shrink;
#pragma unroll
        for (int c = 0; c < C; c++)
#pragma unroll
            for (int i = 0; i < W; i++) r[c].v[i] *= shrink;
#pragma unroll
        for (int u = 0; u < AT_ONCE; u++) {
            const float p = expf(s[u] - shift);
            sum += p;
#pragma unroll
            for (int c = 0; c < C; c++)
#pragma unroll
                for (int i = 0; i < W; i++) r[c].v[i] += p * b[u][c].v[i];
        }
    }
    if (lane == 0) {
        record[group][0] = max;
        record[group][1] = sum;
    }
#pragma unroll
    for (int c = 0; c < C; c++)
#pragma unroll
        for (int i = 0; i < W; i++) record[group][2 + (c * G + lane) * W + i] = r[c].v[i];
    __syncthreads();
    const int e = (int)threadIdx.x;
    if (e >= d.E) return;
    const float y = join(record[0], W * G * C + 2, GROUPS, e, &max, &sum);
    if (splits == 1) return put(d, nh, e, y, max, sum, o, lse);
    float *to = part + (int64_t)blockIdx.x * (d.E + 2);
    to[2 + e] = y;
    if (e == 0) {
        to[0] = max;
        to[1] = sum;
    }
}

static __global__ void decode_join_kernel(Heads d, const float *part, int splits, float *o, float *lse)
{
    const int64_t nh = blockIdx.x;
    const int e = (int)threadIdx.x;
    if (e >= d.E) return;
    float max, sum;
    const float y = join(part + nh * splits * (d.E + 2), d.E + 2, splits, e, &max, &sum);
    put(d, nh, e, y, max, sum, o, lse);
}

bool attention_decode(const OpCall *c, const Heads &d)
{
    enum { WANTED = 2 * 132, KEYS_MIN = 64 };   // blocks: two for each SM of an H200
    if (d.Tq != 1) return false;
    const int64_t pairs = d.N * d.heads, most = div_up(d.Tk, KEYS_MIN);
    int64_t splits = pairs > 0 ? div_up(WANTED, pairs) : 1;
    if (splits > most) splits = most;
    const int64_t each = div_up(d.Tk, splits);
    splits = div_up(d.Tk, each);
    float *part = splits > 1 ? scratch_of<float>(c, (size_t)(pairs * splits * (d.E + 2))) : NULL;
    auto *kernel = !d.wide ? decode_kernel<1, 32, 4> : d.E <= 32 ? decode_kernel<4, 8, 1>
                   : d.E <= 64 ? decode_kernel<4, 16, 1> : decode_kernel<4, 32, 1>;
    launch(c, kernel, blocks_of(pairs * splits), DECODE_BLOCK, 0, d, in_x(c, 0), in_x(c, 1), in_x(c, 2), each,
           (int)splits, out_x(c, 0), out_x(c, 1), part);
    if (!part) return true;
    launch(c, decode_join_kernel, blocks_of(pairs), DECODE_BLOCK, 0, d, part, (int)splits, out_x(c, 0), out_x(c, 1));
    return true;
}
