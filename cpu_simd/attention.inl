// attention in tiles (formulas: src/tensor/ref/attention.inl).  A tile is AQ queries x AK keys: its scores stay in the
// cache, the softmax is the online one (running maximum and sum; Milakov, Gimelshein 2018; Dao et al. 2022).
//
//   forward, for each (n, head, AQ queries)          backward, for each (n, head): its channels of dq, dk, dv
//     S  = Q K^T     (K copied and transposed before)  P  = exp(S / sqrt(E) - lse)        dv += P^T dO
//     S -> P, o scaled to the new maximum              dP = dO V^T                        G = P (dP - delta) / sqrt(E)
//     o += P V                                         dq += G K                          dk += G^T Q
//
// All products are one routine, att_product, over the register tiles of gemm.inl: B's rows are contiguous, A is read by
// broadcasts, so A may be a transposed tile.  The schedule of a (n, head) does not depend on the number of threads, nor
// do its results.
// A query's bits depend neither on its place in a tile nor on the queries beside it: a cache fed token by token gives
// those of the whole window (tests/test_gpt2_cache.c).
// Measured, one thread of a Zen 4, share of the multiply-add peak, AVX2 / AVX-512, forward and backward: 256 x 256
// causal, 12 heads of 64: 0.57 / 0.68, 0.60 / 0.67 (keys not seen do not count).  Copies of k and v in place of rows
// that are far apart, and exponentials four vectors at a time, made most shapes 1.02 to 1.14 times as fast.
#include <omp.h>

#include "cpu_simd/gemm.inl"

enum {
    AQ = 24,                        // queries in a tile: a multiple of MR
    AK = 64,                        // keys in a tile: a multiple of NR and of VECTORS_MAX vectors
    ATT_FEW = 4,                    // for so many queries or fewer a copy of the values does not pay
    ATT_SPLIT = 8 * AQ,             // queries of a piece of work where heads are few
    ATT_PAR_MIN = 1 << 18           // multiply-adds below which waking the other threads costs more than it saves
};

// C[m][n] (+)= alpha sum_k A[m * a_row + k * a_step] B[k * b_row + n], k upwards
typedef struct AttProduct {
    const float *a, *b;
    float *c;
    int64_t a_row, a_step, b_row, c_row, M, N, K;
    float alpha;
    bool add;
} AttProduct;

static void att_product(const AttProduct p)
{
    for (int64_t n = 0; n < p.N; n += NR) {
        const int64_t left = min_i64(NR, p.N - n);
        const int width = left <= VW ? 0 : left < NR ? 1 : 2;
        for (int64_t m = 0; m < p.M; m += MR) {
            const Store s = {.c = p.c + m * p.c_row + n, .ldc = p.c_row, .alpha = p.alpha, .add = p.add, .run = p.K};
            tiles[min_i64(MR, p.M - m)][width](p.K, p.a + m * p.a_row, p.a_row, p.a_step, p.b + n, p.b_row, left, &s);
        }
    }
}

typedef struct AttDims {
    int64_t N, Tq, Tk, D, heads, E;
    int64_t L;                      // rows of k and v in a sample, of which the first Tk count
    int64_t t_size;                 // floats of a head's transposed keys (or values): whole tiles
    bool causal;
    float scale;
} AttDims;

static AttDims att_dims(const OpCall *c)
{
    const int64_t *q = c->in[0]->shape.d, L = c->in[1]->shape.d[1];
    const AttentionParams *p = c->p;
    const int64_t Tk = p->keys ? p->keys : L;
    const int64_t E = q[2] / p->heads;
    return (AttDims){.N = q[0], .Tq = q[1], .Tk = Tk, .D = q[2], .heads = p->heads, .E = E, .L = L,
                     .t_size = ceil_div(Tk, AK) * AK * E, .causal = p->causal, .scale = 1 / sqrtf((float)E)};
}

static inline int64_t att_seen(const AttDims *d, int64_t i) { return d->causal ? i + 1 + d->Tk - d->Tq : d->Tk; }

// The head's own copies: rows D apart fall into few sets of the first-level cache.
static void att_pack(const AttDims *d, const float *x, int64_t rows, float *to)   // x [rows,E of D] -> to [rows,E]
{
    for (int64_t r = 0; r < rows; r++) copy_floats(to + r * d->E, x + r * d->D, d->E);
}

// x [n, row stride ld], E channels -> xt: for each AK keys a tile [E,AK], undefined after n.  Tiles, not [E,n]: with
// n = 1024 all rows of a tile would fall into the same cache sets.
static void att_transpose(const AttDims *d, const float *x, int64_t ld, int64_t n, float *xt)
{
    for (int64_t j = 0; j < n; j += AK)
        transpose_block(x + j * ld, ld, min_i64(AK, n - j), d->E, xt + j * d->E, AK);
}

// s[0..AK) -> exp(s - shift), 4 vectors at a time; returns their sum by lanes.
static inline vf att_exp_row(float *s, float shift)
{
    vf total = vzero(), e[VECTORS_MAX];
    for (int64_t j = 0; j < AK; j += VECTORS_MAX * VW) {
        for (int k = 0; k < VECTORS_MAX; k++) e[k] = vsub(vload(s + j + k * VW), vset1(shift));
        vexps_to88(e, VECTORS_MAX);
        for (int k = 0; k < VECTORS_MAX; k++) vstore(s + j + k * VW, e[k]);
        total = vadd(total, vadd(vadd(e[0], e[1]), vadd(e[2], e[3])));
    }
    return total;
}

// One row of a tile: scores s[0..cols) of which the first n are seen -> exp(score - maximum), 0 where not seen.
// *max and *sum run over all tiles so far; returns what the earlier ones are to be multiplied by.
static float att_online(float *s, int64_t n, int64_t cols, float *max, float *sum)
{
    vf top = vset1(*max), total = vzero();
    for (int64_t j = 0; j < n; j += VW) {
        const vf v = vsel(vhead(n - j), vload(s + j), vset1(-INFINITY));
        top = vmax(top, v);
    }
    const float before = *max;
    *max = vmaxall(top);
    if (n == AK) total = att_exp_row(s, *max);
    else
        for (int64_t j = 0; j < n; j += VW) {
            const vf e = vsel(vhead(n - j), vexp_to88(vsub(vload(s + j), vset1(*max))), vzero());
            vstore(s + j, e);
            total = vadd(total, e);
        }
    for (int64_t j = n > 0 ? (n + VW - 1) / VW * VW : 0; j < cols; j += VW) vstore(s + j, vzero());
    const float fade = before == *max ? 1 : expf(before - *max);
    *sum = *sum * fade + vsum(total);
    return fade;
}

static void att_scale_row(float *o, int64_t E, float factor)
{
    for (int64_t e = 0; e < E; e += VW) {
        const vmask m = vhead(E - e);
        vstore_m(o + e, m, vmul(vload_m(o + e, m), vset1(factor)));
    }
}

// Queries i0..i0+rows of one head.  q, o: at the head's first channel of its sample; kt: its keys in tiles;
// v: its values, rows v_row apart.
static void att_fwd_block(const AttDims *d, const float *q, const float *kt, const float *v, int64_t v_row, float *o,
                          float *lse, int64_t i0, int64_t rows)
{
    _Alignas(64) float s[AQ * AK];
    float max[AQ], sum[AQ];
    const int64_t seen = att_seen(d, i0 + rows - 1), D = d->D, E = d->E;
    for (int64_t r = 0; r < rows; r++) {
        max[r] = -INFINITY;
        sum[r] = 0;
    }
    for (int64_t j = 0; j < seen; j += AK) {
        const int64_t cols = min_i64(AK, seen - j);
        att_product((AttProduct){.a = q + i0 * D, .a_row = D, .a_step = 1, .b = kt + j * E, .b_row = AK,
                                 .c = s, .c_row = AK, .M = rows, .N = cols, .K = E, .alpha = d->scale});
        for (int64_t r = 0; r < rows; r++) {
            const float fade = att_online(s + r * AK, min_i64(cols, att_seen(d, i0 + r) - j), cols, &max[r], &sum[r]);
            if (j > 0 && fade != 1) att_scale_row(o + (i0 + r) * D, E, fade);
        }
        att_product((AttProduct){.a = s, .a_row = AK, .a_step = 1, .b = v + j * v_row, .b_row = v_row, .c = o + i0 * D,
                                 .c_row = D, .M = rows, .N = E, .K = cols, .alpha = 1, .add = j > 0});
    }
    for (int64_t r = 0; r < rows; r++) {
        att_scale_row(o + (i0 + r) * D, E, 1 / sum[r]);
        lse[i0 + r] = max[r] + logf(sum[r]);
    }
}

// ---- one query: the cache is read once.  K is turned in registers, V read where it lies, and each is asked for a tile
// ahead, which rows 3 KB apart need.  Sums, and so bits, are those of att_fwd_block.
// 12 heads of 64, 1024 keys in the L3 cache, one thread: AVX2 308 -> 171, AVX-512 214 -> 137 us.

// s[0..VW) = scale q.k of up to VW keys: sums of one lane run upwards in e, as in att_product.
static inline void att_scores(const AttDims *d, const float *q, const float *k, const float *v, int64_t n, float *s)
{
    vf sum = vzero();
    for (int64_t e = 0; e < d->E; e += VW) {
        vf r[VW];
#pragma GCC unroll 16
        for (int i = 0; i < VW; i++) {
            r[i] = i < n ? vload(k + i * d->D + e) : vzero();
            if (e % 16) continue;   // a line of 64 bytes
            __builtin_prefetch(k + (AK + i) * d->D + e);
            __builtin_prefetch(v + i * d->D + e);
        }
        transpose_vectors(r);
#pragma GCC unroll 16
        for (int i = 0; i < VW; i++) sum = vfma(vset1(q[e + i]), r[i], sum);
    }
    vstore(s, vmul(vset1(d->scale), sum));
}

// o (+)= p V, nv vectors of channels
static inline __attribute__((always_inline)) void att_values(const AttDims *d, const float *p, const float *v,
                                                             int64_t n, float *o, bool add, const int nv)
{
    vf sum[4];
    for (int i = 0; i < nv; i++) sum[i] = vzero();
    for (int64_t j = 0; j < n; j++)
        for (int i = 0; i < nv; i++) sum[i] = vfma(vset1(p[j]), vload(v + j * d->D + i * VW), sum[i]);
    for (int i = 0; i < nv; i++) vstore(o + i * VW, add ? vadd(vload(o + i * VW), sum[i]) : sum[i]);
}

static void att_one_query(const AttDims *d, const float *q, const float *k, const float *v, float *o, float *lse)
{
    _Alignas(64) float s[AK];
    float max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < d->Tk; j += AK) {
        const int64_t cols = min_i64(AK, d->Tk - j);
        for (int64_t i = 0; i < cols; i += VW)
            att_scores(d, q, k + (j + i) * d->D, v + (j + i) * d->D, cols - i, s + i);
        const float fade = att_online(s, cols, cols, &max, &sum);
        if (j > 0 && fade != 1) att_scale_row(o, d->E, fade);
        const float *vj = v + j * d->D;
        int64_t e = 0;
        for (; e + 4 * VW <= d->E; e += 4 * VW) att_values(d, s, vj + e, cols, o + e, j > 0, 4);
        for (; e < d->E; e += VW) att_values(d, s, vj + e, cols, o + e, j > 0, 1);
    }
    att_scale_row(o, d->E, 1 / sum);
    *lse = max + logf(sum);
}

typedef struct AttWork { int64_t nh, at_q, at_k, i0, i1; } AttWork;   // head, where its q and k begin, queries

static AttWork att_work(const AttDims *d, int64_t unit, int64_t split, int64_t pieces)
{
    const int64_t nh = unit / pieces, n = nh / d->heads, e0 = nh % d->heads * d->E, i0 = unit % pieces * split;
    return (AttWork){nh, n * d->Tq * d->D + e0, n * d->L * d->D + e0, i0, min_i64(d->Tq, i0 + split)};
}

KERNEL(attention, fwd)
{
    const float *q = in_x(c, 0), *k = in_x(c, 1), *v = in_x(c, 2);
    float *o = out_x(c, 0), *lse = out_x(c, 1);
    const AttDims d = att_dims(c);
    const int64_t units = d.N * d.heads, split = units >= 16 ? d.Tq : ATT_SPLIT, pieces = ceil_div(d.Tq, split);
    const bool few = d.Tq <= ATT_FEW;
    const int64_t room = 2 * d.t_size + VW;   // floats of a thread
    float *rooms = arena_alloc(c->scratch, (size_t)(omp_get_max_threads() * room) * sizeof *rooms);
#pragma omp parallel for schedule(dynamic) if (d.N * d.Tq * d.Tk * d.D > ATT_PAR_MIN)
    for (int64_t u = 0; u < units * pieces; u++) {
        const AttWork w = att_work(&d, u, split, pieces);
        float *kt = rooms + omp_get_thread_num() * room, *copy = kt + d.t_size;
        const int64_t seen = att_seen(&d, w.i1 - 1);
        if (d.Tq == 1 && d.E % VW == 0) {
            att_one_query(&d, q + w.at_q, k + w.at_k, v + w.at_k, o + w.at_q, lse + w.nh);
            continue;
        }
        if (few) {
            att_transpose(&d, k + w.at_k, d.D, seen, kt);
        } else {
            att_pack(&d, k + w.at_k, seen, copy);
            att_transpose(&d, copy, d.E, seen, kt);
            att_pack(&d, v + w.at_k, seen, copy);
        }
        for (int64_t i = w.i0; i < w.i1; i += AQ)
            att_fwd_block(&d, q + w.at_q, kt, few ? v + w.at_k : copy, few ? d.D : d.E, o + w.at_q,
                          lse + w.nh * d.Tq, i, min_i64(AQ, w.i1 - i));
    }
}

// One head of one sample: pointers at its first channel; k [Tk,E], kt, vt: its copies.  No NULL gradient is computed.
typedef struct AttHead {
    const float *q, *k, *o, *go, *lse, *kt, *vt;
    float *dq, *dk, *dv;
} AttHead;

// s: scores -> P.   n of the columns are seen, the others become 0.
static void att_probabilities(float *s, int64_t n, int64_t cols, float lse)
{
    if (n >= AK && cols == AK) {
        att_exp_row(s, lse);
        return;
    }
    for (int64_t j = 0; j < cols; j += VW) {
        const vf p = vexp_to88(vsub(vload(s + j), vset1(lse)));
        vstore(s + j, vsel(vhead(n > j ? n - j : 0), p, vzero()));
    }
}

// delta[r] = do[r] . o[r], summed in att_product's order: where a query attends to one key only, o = v,
// and do.v - do.o is then exactly 0.  Another order leaves a rounding error where there should be nothing.
static void att_delta(const float *go, const float *o, int64_t D, int64_t E, int64_t rows, float *delta)
{
    for (int64_t r = 0; r < rows; r++) delta[r] = 0;
    for (int64_t e = 0; e < E; e++)
        for (int64_t r = 0; r < rows; r++) delta[r] = fmaf(go[r * D + e], o[r * D + e], delta[r]);
}

// Tile of queries i0.. and keys j..: adds its share to dq, dk, dv.
static void att_bwd_tile(const AttDims *d, const AttHead *h, const float *delta, int64_t i0, int64_t rows, int64_t j,
                         int64_t cols)
{
    _Alignas(64) float s[AQ * AK], g[AQ * AK];
    const int64_t D = d->D, E = d->E;
    const float *q = h->q + i0 * D, *go = h->go + i0 * D;
    att_product((AttProduct){.a = q, .a_row = D, .a_step = 1, .b = h->kt + j * E, .b_row = AK, .c = s, .c_row = AK,
                             .M = rows, .N = cols, .K = E, .alpha = d->scale});
    for (int64_t r = 0; r < rows; r++)
        att_probabilities(s + r * AK, att_seen(d, i0 + r) - j, cols, h->lse[i0 + r]);
    if (h->dv)
        att_product((AttProduct){.a = s, .a_row = 1, .a_step = AK, .b = go, .b_row = D, .c = h->dv + j * D, .c_row = D,
                                 .M = cols, .N = E, .K = rows, .alpha = 1, .add = true});
    if (!h->dq && !h->dk) return;
    att_product((AttProduct){.a = go, .a_row = D, .a_step = 1, .b = h->vt + j * E, .b_row = AK, .c = g, .c_row = AK,
                             .M = rows, .N = cols, .K = E, .alpha = 1});
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = r * AK; i < r * AK + cols; i += VW)
            vstore(g + i, vmul(vmul(vload(s + i), vsub(vload(g + i), vset1(delta[r]))), vset1(d->scale)));
    if (h->dq)
        att_product((AttProduct){.a = g, .a_row = AK, .a_step = 1, .b = h->k + j * E, .b_row = E, .c = h->dq + i0 * D,
                                 .c_row = D, .M = rows, .N = E, .K = cols, .alpha = 1, .add = true});
    if (h->dk)
        att_product((AttProduct){.a = g, .a_row = 1, .a_step = AK, .b = q, .b_row = D, .c = h->dk + j * D, .c_row = D,
                                 .M = cols, .N = E, .K = rows, .alpha = 1, .add = true});
}

static void att_bwd_head(const AttDims *d, const AttHead *h)
{
    for (int64_t i0 = 0; i0 < d->Tq; i0 += AQ) {
        const int64_t rows = min_i64(AQ, d->Tq - i0), seen = att_seen(d, i0 + rows - 1);
        float delta[AQ];
        att_delta(h->go + i0 * d->D, h->o + i0 * d->D, d->D, d->E, rows, delta);
        for (int64_t j = 0; j < seen; j += AK) att_bwd_tile(d, h, delta, i0, rows, j, min_i64(AK, seen - j));
    }
}

KERNEL(attention, bwd)
{
    const AttDims d = att_dims(c);
    const int64_t units = d.N * d.heads, room = 3 * d.t_size + VW;   // floats of a thread
    float *rooms = arena_alloc(c->scratch, (size_t)(omp_get_max_threads() * room) * sizeof *rooms);
    float *dq = in_g(c, 0), *dk = in_g(c, 1), *dv = in_g(c, 2);
#pragma omp parallel for if (d.N * d.Tq * d.Tk * d.D > ATT_PAR_MIN)
    for (int64_t nh = 0; nh < units; nh++) {
        const AttWork w = att_work(&d, nh, d.Tq, 1);
        float *kt = rooms + omp_get_thread_num() * room, *vt = kt + d.t_size, *copy = vt + d.t_size;
        if (dq || dk) {
            att_pack(&d, in_x(c, 2) + w.at_k, d.Tk, copy);
            att_transpose(&d, copy, d.E, d.Tk, vt);
        }
        att_pack(&d, in_x(c, 1) + w.at_k, d.Tk, copy);
        att_transpose(&d, copy, d.E, d.Tk, kt);
        const AttHead h = {.q = in_x(c, 0) + w.at_q, .k = copy, .o = out_x(c, 0) + w.at_q, .go = out_g(c, 0) + w.at_q,
                           .lse = out_x(c, 1) + nh * d.Tq, .kt = kt, .vt = vt, .dq = dq ? dq + w.at_q : NULL,
                           .dk = dk ? dk + w.at_k : NULL, .dv = dv ? dv + w.at_k : NULL};
        att_bwd_head(&d, &h);
    }
}
