// attention in tiles (formulas: src/tensor/ref/attention.inl).  A tile is AQ queries x AK keys: its scores stay in the
// cache, the softmax is the online one (running maximum and sum; Milakov, Gimelshein 2018; Dao et al. 2022).
//
//   forward, for each (n, head, AQ queries)          backward, for each (n, head): its channels of dq, dk, dv
//     S  = Q K^T     (K transposed once before)        P  = exp(S / sqrt(E) - lse)        dv += P^T dO
//     S -> P, o scaled to the new maximum              dP = dO V^T                        G = P (dP - delta) / sqrt(E)
//     o += P V                                         dq += G K                          dk += G^T Q
//
// All products are one routine, att_product, over the register tiles of gemm.inl: B's rows are contiguous, A is read by
// broadcasts, so A may be a transposed tile.  The schedule of a (n, head) does not depend on the number of threads, nor
// do its results.
// Measured, forward, one thread of a Zen 4, AVX2 / AVX-512: 8 x 144 queries x 64 keys, head size 64: 0.26 / 0.21 ms
// (72 / 90 GFLOP/s); 1024 x 1024 causal, 12 heads of 64: 30 / 19 ms.  Plain C: 20 to 30 times slower.
#include "cpu_simd/gemm.inl"

enum {
    AQ = 24,                        // queries in a tile: a multiple of MR
    AK = 64,                        // keys in a tile: a multiple of NR
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

// x [Tk, row stride D], E channels -> xt: for each AK keys a tile [E,AK], undefined after Tk.  Tiles, not [E,Tk]: with
// Tk = 1024 all rows of a tile would fall into the same cache sets.
static void att_transpose(const AttDims *d, const float *x, float *xt)
{
    for (int64_t j = 0; j < d->Tk; j += AK)
        transpose_block(x + j * d->D, d->D, min_i64(AK, d->Tk - j), d->E, xt + j * d->E, AK);
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
    for (int64_t j = 0; j < n; j += VW) {
        const vf e = vsel(vhead(n - j), vexp(vsub(vload(s + j), vset1(*max))), vzero());
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

// Queries i0..i0+rows of one head; pointers are at the head's first channel of its sample.
static void att_fwd_block(const AttDims *d, const float *q, const float *kt, const float *v, float *o, float *lse,
                          int64_t i0, int64_t rows)
{
    _Alignas(64) float s[AQ * AK];
    float max[AQ], sum[AQ];
    const int64_t seen = att_seen(d, i0 + rows - 1), D = d->D;
    for (int64_t r = 0; r < rows; r++) {
        max[r] = -INFINITY;
        sum[r] = 0;
    }
    for (int64_t j = 0; j < seen; j += AK) {
        const int64_t cols = min_i64(AK, seen - j);
        att_product((AttProduct){.a = q + i0 * D, .a_row = D, .a_step = 1, .b = kt + j * d->E, .b_row = AK,
                                 .c = s, .c_row = AK, .M = rows, .N = cols, .K = d->E, .alpha = d->scale});
        for (int64_t r = 0; r < rows; r++) {
            const float fade = att_online(s + r * AK, min_i64(cols, att_seen(d, i0 + r) - j), cols, &max[r], &sum[r]);
            if (j > 0 && fade != 1) att_scale_row(o + (i0 + r) * D, d->E, fade);
        }
        att_product((AttProduct){.a = s, .a_row = AK, .a_step = 1, .b = v + j * D, .b_row = D, .c = o + i0 * D,
                                 .c_row = D, .M = rows, .N = d->E, .K = cols, .alpha = 1, .add = j > 0});
    }
    for (int64_t r = 0; r < rows; r++) {
        att_scale_row(o + (i0 + r) * D, d->E, 1 / sum[r]);
        lse[i0 + r] = max[r] + logf(sum[r]);
    }
}

KERNEL(attention, fwd)
{
    const float *q = in_x(c, 0), *k = in_x(c, 1), *v = in_x(c, 2);
    float *o = out_x(c, 0), *lse = out_x(c, 1);
    const AttDims d = att_dims(c);
    const int64_t units = d.N * d.heads, blocks = ceil_div(d.Tq, AQ);
    float *kt = arena_alloc(c->scratch, (size_t)(units * d.t_size) * sizeof *kt);
#pragma omp parallel if (d.N * d.Tq * d.Tk * d.D > ATT_PAR_MIN)
    {
#pragma omp for
        for (int64_t nh = 0; nh < units; nh++)
            att_transpose(&d, k + nh / d.heads * d.L * d.D + nh % d.heads * d.E, kt + nh * d.t_size);
#pragma omp for
        for (int64_t u = 0; u < units * blocks; u++) {
            const int64_t nh = u / blocks, n = nh / d.heads, e0 = nh % d.heads * d.E, i0 = u % blocks * AQ;
            const int64_t at_q = n * d.Tq * d.D + e0, at_k = n * d.L * d.D + e0;
            att_fwd_block(&d, q + at_q, kt + nh * d.t_size, v + at_k, o + at_q, lse + nh * d.Tq, i0,
                          min_i64(AQ, d.Tq - i0));
        }
    }
}

// One head of one sample: pointers at its first channel.  NULL gradients are not computed.
typedef struct AttHead {
    const float *q, *k, *v, *o, *go, *lse, *kt, *vt;
    float *dq, *dk, *dv;
} AttHead;

// s: scores -> P.   n of the columns are seen, the others become 0.
static void att_probabilities(float *s, int64_t n, int64_t cols, float lse)
{
    for (int64_t j = 0; j < cols; j += VW) {
        const vf p = vexp(vsub(vload(s + j), vset1(lse)));
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
        att_product((AttProduct){.a = g, .a_row = AK, .a_step = 1, .b = h->k + j * D, .b_row = D, .c = h->dq + i0 * D,
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
    const int64_t units = d.N * d.heads;
    float *t = arena_alloc(c->scratch, (size_t)(2 * units * d.t_size) * sizeof *t);
    float *dq = in_g(c, 0), *dk = in_g(c, 1), *dv = in_g(c, 2);
#pragma omp parallel for if (d.N * d.Tq * d.Tk * d.D > ATT_PAR_MIN)
    for (int64_t nh = 0; nh < units; nh++) {
        const int64_t n = nh / d.heads, e0 = nh % d.heads * d.E;
        const int64_t at_q = n * d.Tq * d.D + e0, at_k = n * d.L * d.D + e0;
        float *kt = t + 2 * nh * d.t_size, *vt = kt + d.t_size;
        att_transpose(&d, in_x(c, 1) + at_k, kt);
        if (dq || dk) att_transpose(&d, in_x(c, 2) + at_k, vt);
        const AttHead h = {.q = in_x(c, 0) + at_q, .k = in_x(c, 1) + at_k, .v = in_x(c, 2) + at_k,
                           .o = out_x(c, 0) + at_q, .go = out_g(c, 0) + at_q, .lse = out_x(c, 1) + nh * d.Tq,
                           .kt = kt, .vt = vt,
                           .dq = dq ? dq + at_q : NULL, .dk = dk ? dk + at_k : NULL, .dv = dv ? dv + at_k : NULL};
        att_bwd_head(&d, &h);
    }
}
