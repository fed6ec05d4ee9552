// attention in tiles (formulas: src/tensor/ref/attention.inl).  A tile is AQ queries x AK keys: its scores stay in the
// cache, the softmax is the online one (running maximum and sum; Milakov, Gimelshein 2018; Dao et al. 2022).
//
//   forward, for each (n, head, AQ queries)          backward, for each (n, head), AQ_BWD queries
//     S  = Q K^T     (K copied and transposed before)  P  = exp(S / sqrt(E) - lse)        dv += P^T dO
//     S -> P, o scaled to the new maximum              dP = dO V^T                        G = P (dP - delta) / sqrt(E)
//     o += P V                                         dq += G K                          dk += G^T Q
//
// With AVX-512 four queries' products with 64 keys are 16 registers, which become P (or G) before they are stored.  The
// other products, and all of AVX2, are att_product over the register tiles of gemm.h: B's rows are contiguous, A is
// read by broadcasts, so A may be a transposed tile.  While a head is computed the next one's rows are prefetched: they
// are D apart, which the hardware does not foresee.  What no query of a few rows sees is not computed.
// The schedule of a (n, head) does not depend on the number of threads, nor do its results.
// A query's bits depend neither on its place in a tile nor on the queries beside it: a cache fed token by token gives
// those of the whole window (tests/test_gpt2_cache.c).
#include <omp.h>

#include "cpu_simd/gemm.h"
#include "cpu_simd/range.h"

enum {
    AQ = 24,                        // queries in a tile, forward: a multiple of MR
    AQ_BWD = 72,                    // backward: the sums of dk and dv run over so many
    AK = 64,                        // keys in a tile: a multiple of NR and of VECTORS_MAX vectors
    AKV = AK / VW,
    LOT = 4,                        // most queries whose scores are in registers
    ATT_FEW = 4,                    // for so many queries or fewer a copy of the values does not pay
    ATT_SPLIT = 8 * AQ,             // queries of a piece of work where heads are few
    ATT_PAR_MIN = 1 << 18           // multiply-adds below which waking the other threads costs more than it saves
};

#define LOG2E 1.44269504088896341f

// C[m][n] (+)= sum_k A[m * a_row + k * a_step] B[k * b_row + n], k upwards
typedef struct AttProduct {
    const float *a, *b;
    float *c;
    int64_t a_row, a_step, b_row, c_row, M, N, K;
    bool add;
} AttProduct;

static void att_product(const AttProduct p)
{
    for (int64_t n = 0; n < p.N; n += NR) {
        const int64_t left = min_i64(NR, p.N - n);
        const int width = left <= VW ? 0 : left < NR ? 1 : 2;
        for (int64_t m = 0; m < p.M; m += MR) {
            const Store s = {.c = p.c + m * p.c_row + n, .ldc = p.c_row, .alpha = 1, .add = p.add, .run = p.K};
            tiles[min_i64(MR, p.M - m)][width](p.K, p.a + m * p.a_row, p.a_row, p.a_step, p.b + n, p.b_row, left, &s);
        }
    }
}

typedef struct AttDims {
    int64_t N, Tq, Tk, D, heads, E;
    int64_t L;                      // rows of k and v in a sample, of which the first Tk count
    int64_t t_size;                 // floats of a head's transposed keys (or values): whole tiles
    bool causal;
    float scale, scale2;            // 1 / sqrt E, the same times log2 e
} AttDims;

static AttDims att_dims(const OpCall *c)
{
    const int64_t *q = c->in[0]->shape.d, L = c->in[1]->shape.d[1];
    const AttentionParams *p = c->p;
    const int64_t Tk = p->keys ? p->keys : L;
    const int64_t E = q[2] / p->heads;
    const float scale = 1 / sqrtf((float)E);
    return (AttDims){.N = q[0], .Tq = q[1], .Tk = Tk, .D = q[2], .heads = p->heads, .E = E, .L = L,
                     .t_size = ceil_div(Tk, AK) * AK * E, .causal = p->causal, .scale = scale, .scale2 = scale * LOG2E};
}

static inline int64_t att_seen(const AttDims *d, int64_t i) { return d->causal ? i + 1 + d->Tk - d->Tq : d->Tk; }

// Floats of a copy of so many rows, with what att_pack writes after them.
static inline int64_t att_room(const AttDims *d, int64_t rows) { return ceil_div(rows * d->E + VW, 16) * 16; }

// The head's own copies: rows D apart fall into few sets of the first-level cache.
static void att_pack(const AttDims *d, const float *x, int64_t rows, float *to)   // x [rows,E of D] -> to [rows,E]
{
    for (int64_t r = 0; r < rows; r++) copy_floats(to + r * d->E, x + r * d->D, d->E);
}

// x, n <= AK rows -> xt [E,AK], after n zero up to whole vectors of 16: 0 times a key that is none must be 0.
static void att_transpose(const AttDims *d, const float *x, int64_t n, float *xt)
{
    const int64_t E = d->E, whole = E / VW * VW;
    for (int64_t i = 0; i < n || i % 16; i += VW)
        for (int64_t e = 0; e < whole; e += VW) {
            vf r[VW];
#pragma GCC unroll 16
            for (int q = 0; q < VW; q++) r[q] = i + q < n ? vload(x + (i + q) * d->D + e) : vzero();
            transpose_vectors(r);
#pragma GCC unroll 16
            for (int q = 0; q < VW; q++) vstore(xt + (e + q) * AK + i, r[q]);
        }
    for (int64_t e = whole; e < E; e++)
        for (int64_t i = 0; i < n || i % 16; i++) xt[e * AK + i] = i < n ? x[i * d->D + e] : 0;
}

// What will be read next, prefetched meanwhile: a stack of rows, D apart, E floats each.
typedef struct AttPrefetch {
    struct { const float *at; int64_t rows; } left[8];
    int n;
} AttPrefetch;

enum { PREFETCH_ROWS = 16 };   // rows at a time

static void att_prefetch(AttPrefetch *a, const float *at, int64_t rows)
{
    a->left[a->n].at = at;
    a->left[a->n++].rows = at ? rows : 0;
}

// Where the next PREFETCH_ROWS rows begin; NULL: all are prefetched.
static const float *att_prefetch_next(AttPrefetch *a, int64_t D)
{
    while (a->n && a->left[a->n - 1].rows <= 0) a->n--;
    if (!a->n) return NULL;
    const float *at = a->left[a->n - 1].at;
    a->left[a->n - 1].at += PREFETCH_ROWS * D;
    a->left[a->n - 1].rows -= PREFETCH_ROWS;
    return at;
}

// The keys of a head, copied tile by tile when a query first sees one of them.  Tiles, not [E,Tk]: with Tk = 1024 all
// rows of a tile would fall into the same cache sets.
typedef struct AttKeys {
    const float *k, *v, *rows;      // rows: v or k, whichever is copied
    const float *dk, *dv;           // backward, or NULL
    float *kt, *vt, *copy;          // k in tiles [E,AK]; v likewise, or NULL; rows [Tk,E], or NULL
    int64_t done;                   // keys of the tiles copied so far
    int64_t next;                   // floats to the next head's k
    AttPrefetch prefetch;
} AttKeys;

enum { KEY_ROWS = 4 };   // of the stack

static void att_keys(const AttDims *d, AttKeys *h, int64_t seen)
{
    if (h->done >= seen) return;
    for (; h->done < seen; h->done += AK) {
        const int64_t n = min_i64(AK, d->Tk - h->done), from = h->done * d->D, to = h->done * d->E;
        att_transpose(d, h->k + from, n, h->kt + to);
        if (h->vt) att_transpose(d, h->v + from, n, h->vt + to);
        if (h->copy) att_pack(d, h->rows + from, n, h->copy + to);
    }
    const int64_t from = h->done < d->Tk ? h->done * d->D : h->next;
    const int64_t n = min_i64(AK, h->done < d->Tk ? d->Tk - h->done : d->Tk);
    h->prefetch.n = 0;
    const float *const x[KEY_ROWS] = {h->dv, h->dk, h->v, h->k};
    for (int i = 0; i < KEY_ROWS; i++) att_prefetch(&h->prefetch, x[i] ? x[i] + from : NULL, n);
}

// Rows of queries, of four tensors or NULL.
static void att_prefetch_queries(AttKeys *h, const float *const x[4], int64_t from, int64_t rows)
{
    h->prefetch.n = (int)min_i64(h->prefetch.n, KEY_ROWS);
    for (int i = 0; i < 4; i++) att_prefetch(&h->prefetch, x[i] ? x[i] + from : NULL, rows);
}

// Some queries against a tile of keys.
typedef struct AttTile {
    const float *q, *kt;                  // [.,E]; the tile [E,AK]
    float *s;                             // [.,AK] P
    float *max, *sum;                     // forward, of each query: att_softmax
    const float *go, *vt, *lse;           // backward; vt NULL: no g
    const float *delta;                   // do.o of each query; NULL: the tile holds all keys
    float *g;                             // [.,AK] d loss / d (q.k)
    AttPrefetch *prefetch;
} AttTile;

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

// x[r][j] = rows r of a times nv vectors of a transposed tile, upwards in e.  With AVX-512 the sums stay in registers
// until they are probabilities; AVX2 has too few: att_product left them in y.
INLINE void att_dots(const int rows, const int nv, const AttDims *d, const float *a, const float *bt, const float *y,
                     AttPrefetch *prefetch, vf x[LOT][AKV])
{
    const int64_t E = d->E;
    const float *next = att_prefetch_next(prefetch, d->D);
#if defined(__AVX512F__)
    (void)y;
    const int64_t step = next ? d->D : 0;   // nothing left: the same line again
    if (!next) next = a;
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int j = 0; j < nv; j++) x[r][j] = vzero();
    for (int64_t e = 0; e < E; e++, bt += AK) {
        __builtin_prefetch(next + e % PREFETCH_ROWS * step + e / 16 * 16, 0, 2);   // a line
        vf va[LOT];
        UNROLL
        for (int r = 0; r < rows; r++) va[r] = vset1(a[r * E + e]);
        UNROLL
        for (int j = 0; j < nv; j++) {
            const vf b = vload(bt + j * VW);
            UNROLL
            for (int r = 0; r < rows; r++) x[r][j] = vfma(va[r], b, x[r][j]);
        }
    }
#else
    (void)a, (void)bt;
    for (int64_t e = 0; next && e < E; e += 16)
        for (int i = 0; i < PREFETCH_ROWS; i++) __builtin_prefetch(next + i * d->D + e, 0, 2);
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int j = 0; j < nv; j++) x[r][j] = vload(y + r * AK + j * VW);
#endif
}

// 2^x of nv vectors; returns their sum, whose bits do not depend on nv.
INLINE float att_exps(vf *x, const int nv)
{
    UNROLL
    for (int j = 0; j < nv; j += VECTORS_MAX) vexp2s_to127(x + j, nv - j < VECTORS_MAX ? nv - j : VECTORS_MAX);
    vf total = x[0];
    UNROLL
    for (int j = 1; j < nv; j++) total = vadd(total, x[j]);
    return vsum(total);
}

// x to a row of a tile, 0 after it
INLINE void att_store(const vf *x, const int nv, float *p)
{
    UNROLL
    for (int j = 0; j < AKV; j++) vstore(p + j * VW, j < nv ? x[j] : vzero());
}

// Columns from n on become -inf.
INLINE void att_mask(vf *x, const int nv, int64_t n)
{
    if (n >= nv * VW) return;
    UNROLL
    for (int j = 0; j < nv; j++) x[j] = vsel(vhead(n > j * VW ? n - j * VW : 0), x[j], vset1(-INFINITY));
}

// The row's maximum from *max and x on, and x -> (x - maximum) scale2.
INLINE void att_shift(vf *x, const int nv, float scale2, float *max)
{
    vf top = vset1(*max);
    UNROLL
    for (int j = 0; j < nv; j++) top = vmax(top, x[j]);
    *max = vmaxall(top);
    const vf m = vset1(*max);
    UNROLL
    for (int j = 0; j < nv; j++) x[j] = vmul(vsub(x[j], m), vset1(scale2));
}

// Queries r0.., of which the first sees n keys of the tile: scores -> P = e^(score - maximum so far), and its sum.
INLINE void att_fwd_rows(const int rows, const int nv, const AttDims *d, const AttTile *t, int64_t r0, int64_t n)
{
    vf x[LOT][AKV];
    float *s = t->s + r0 * AK;
    att_dots(rows, nv, d, t->q + r0 * d->E, t->kt, s, t->prefetch, x);
    UNROLL
    for (int r = 0; r < rows; r++) {
        att_mask(x[r], nv, n + (d->causal ? r : 0));
        att_shift(x[r], nv, d->scale2, t->max + r0 + r);
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        t->sum[r0 + r] = att_exps(x[r], nv);
        att_store(x[r], nv, s + r * AK);
    }
}

// .. P = e^(score - lse), g = P (do.v - delta) / sqrt E.
// Where a tile holds all keys, P is taken as forward does, so that the rounding of lse does not count, and delta = do.o
// = sum_j P do.v_j from the tile: errors of do.v cancel with themselves.  The checks' closest tensor was at 0.96 of its
// bound with delta from o, and is at 0.63.
INLINE void att_bwd_rows(const int rows, const int nv, const AttDims *d, const AttTile *t, int64_t r0, int64_t n)
{
    vf x[LOT][AKV];
    float *s = t->s + r0 * AK, *g = t->g + r0 * AK;
    const bool whole = !t->delta;
    att_dots(rows, nv, d, t->q + r0 * d->E, t->kt, s, t->prefetch, x);
    UNROLL
    for (int r = 0; r < rows; r++) {
        float max = -INFINITY;
        att_mask(x[r], nv, n + (d->causal ? r : 0));
        if (whole) att_shift(x[r], nv, d->scale2, &max);
        UNROLL
        for (int j = 0; j < nv && !whole; j++)
            x[r][j] = vmul(vsub(vmul(x[r][j], vset1(d->scale)), vset1(t->lse[r0 + r])), vset1(LOG2E));
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        const float sum = att_exps(x[r], nv);
        UNROLL
        for (int j = 0; j < nv && whole; j++) x[r][j] = vmul(x[r][j], vset1(1 / sum));
        att_store(x[r], nv, s + r * AK);
    }
    if (!t->vt) return;
    att_dots(rows, nv, d, t->go + r0 * d->E, t->vt, g, t->prefetch, x);
    UNROLL
    for (int r = 0; r < rows; r++) {
        const float *p = s + r * AK;
        vf dot = vzero();
        UNROLL
        for (int j = 0; j < nv; j++) dot = vfma(vload(p + j * VW), x[r][j], dot);
        const vf delta = vset1(whole ? vsum(dot) : t->delta[r0 + r]);
        UNROLL
        for (int j = 0; j < nv; j++) x[r][j] = vmul(vmul(vload(p + j * VW), vsub(x[r][j], delta)), vset1(d->scale));
        att_store(x[r], nv, g + r * AK);
    }
}

typedef void AttRows(const AttDims *d, const AttTile *t, int64_t r0, int64_t n);
#define ROWS(body, rows, keys)                                                                                     \
    static void body##_##rows##_##keys(const AttDims *d, const AttTile *t, int64_t r0, int64_t n)                  \
    {                                                                                                              \
        body(rows, keys / VW, d, t, r0, n);                                                                        \
    }
#define ROWS_64(body, rows) ROWS(body, rows, 16) ROWS(body, rows, 32) ROWS(body, rows, 48) ROWS(body, rows, 64)
#define NAMES(body, rows) {body##_##rows##_16, body##_##rows##_32, body##_##rows##_48, body##_##rows##_64}
ROWS_64(att_fwd_rows, 1) ROWS_64(att_bwd_rows, 1)
#if defined(__AVX512F__)
ROWS_64(att_fwd_rows, 4) ROWS_64(att_bwd_rows, 4)
static AttRows *const att_fwd_of[2][4] = {NAMES(att_fwd_rows, 1), NAMES(att_fwd_rows, 4)};
static AttRows *const att_bwd_of[2][4] = {NAMES(att_bwd_rows, 1), NAMES(att_bwd_rows, 4)};
#else
static AttRows *const att_fwd_of[1][4] = {NAMES(att_fwd_rows, 1)}, *const att_bwd_of[1][4] = {NAMES(att_bwd_rows, 1)};
#endif
#undef ROWS
#undef ROWS_64
#undef NAMES

// Queries i0.. i0+rows and keys j..j+AK by instances [one or LOT queries][16 to 64 keys].
static void att_rows(const AttDims *d, AttRows *const instance[][4], const AttTile *t, int64_t i0, int64_t rows,
                     int64_t j)
{
    enum { STEP = VW == 16 ? LOT : MR };
    for (int64_t r = 0; r < rows; r += STEP) {
        const int64_t m = min_i64(STEP, rows - r), n = min_i64(AK, att_seen(d, i0 + r + m - 1) - j);
        const int64_t wide = n > 16 ? (n - 1) / 16 : 0;
        if (VW == 16 && m == STEP) {
            instance[1][wide](d, t, r, att_seen(d, i0 + r) - j);
            continue;
        }
        AttProduct p = {.a = t->q + r * d->E, .a_row = d->E, .a_step = 1, .b = t->kt, .b_row = AK, .c = t->s + r * AK,
                        .c_row = AK, .M = m, .N = 16 * (wide + 1), .K = d->E};
        if (VW == 8) att_product(p);
        p.a = t->go + r * d->E, p.b = t->vt, p.c = t->g + r * AK;
        if (VW == 8 && t->vt) att_product(p);
        for (int64_t k = r; k < r + m; k++) instance[0][wide](d, t, k, att_seen(d, i0 + k) - j);
    }
}

// The running maximum grew from before to max: what earlier sums and outputs are to be multiplied by.
static inline vf att_fade(const AttDims *d, vf before, vf max)
{
    return vexp2_to127(vmul(vsub(before, max), vset1(d->scale2)));
}

static void att_scale_row(float *o, int64_t E, float factor)
{
    for (int64_t e = 0; e < E; e += VW) vstore_n(o + e, E - e, vmul(vload_n(o + e, E - e), vset1(factor)));
}

// Queries i0..i0+rows of one head.  q, o: at the head's first channel of its sample; qc: room for AQ queries.
static void att_fwd_block(const AttDims *d, const float *q, AttKeys *h, float *o, float *lse, int64_t i0, int64_t rows,
                          float *qc)
{
    enum { SOME = (AQ + VW - 1) / VW * VW };
    _Alignas(64) float s[AQ * AK];
    float max[SOME], before[SOME], sum[SOME], part[SOME], fade[SOME];
    const int64_t seen = att_seen(d, i0 + rows - 1), D = d->D, E = d->E;
    const float *v = h->copy ? h->copy : h->v;
    const int64_t v_row = h->copy ? E : D;
    att_pack(d, q + i0 * D, rows, qc);
    for (int64_t r = 0; r < SOME; r++) {
        max[r] = -INFINITY;
        part[r] = sum[r] = 0;
    }
    for (int64_t j = 0; j < seen; j += AK) {
        memcpy(before, max, sizeof before);
        const AttTile t = {.q = qc, .kt = h->kt + j * E, .s = s, .max = max, .sum = part, .prefetch = &h->prefetch};
        att_rows(d, att_fwd_of, &t, i0, rows, j);
        for (int64_t r = 0; r < rows; r += VW) {
            const vf f = j > 0 ? att_fade(d, vload(before + r), vload(max + r)) : vzero();
            vstore(fade + r, f);
            vstore(sum + r, vfma(vload(sum + r), f, vload(part + r)));
        }
        for (int64_t r = 0; j > 0 && r < rows; r++)
            if (fade[r] != 1) att_scale_row(o + (i0 + r) * D, E, fade[r]);
        for (int64_t r = 0; r < rows; r += MR) {
            const int64_t m = min_i64(MR, rows - r), cols = min_i64(AK, att_seen(d, i0 + r + m - 1) - j);
            if (cols > 0)
                att_product((AttProduct){.a = s + r * AK, .a_row = AK, .a_step = 1, .b = v + j * v_row, .b_row = v_row,
                                         .c = o + (i0 + r) * D, .c_row = D, .M = m, .N = E, .K = cols, .add = j > 0});
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        att_scale_row(o + (i0 + r) * D, E, 1 / sum[r]);
        lse[i0 + r] = d->scale * max[r] + logf(sum[r]);
    }
}

// ---- one query: the cache is read once.  K is transposed in registers, V read where it lies, and each is prefetched a
// tile before, which rows 3 KB apart need.  Sums, and so bits, are those of att_fwd_block.
// Measured: bench/RESULTS.md, 2026-11-21, What single kernels gained.

// q.k of up to VW keys: sums of one lane run upwards in e, as in att_dots.
static inline vf att_scores(const AttDims *d, const float *q, const float *k, const float *v, int64_t n)
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
    return sum;
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
    _Alignas(64) float p[AK] = {0};
    float max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < d->Tk; j += AK) {
        const int64_t cols = min_i64(AK, d->Tk - j);
        for (int64_t i = 0; i < cols; i += VW)
            vstore(p + i, att_scores(d, q, k + (j + i) * d->D, v + (j + i) * d->D, cols - i));
        vf x[AKV];
        UNROLL
        for (int i = 0; i < AKV; i++) x[i] = vload(p + i * VW);
        const float before = max;
        att_mask(x, AKV, cols);
        att_shift(x, AKV, d->scale2, &max);
        const float part = att_exps(x, AKV);
        att_store(x, AKV, p);
        const float fade = j == 0 ? 0 : before == max ? 1 : vmaxall(att_fade(d, vset1(before), vset1(max)));
        sum = fmaf(sum, fade, part);
        if (j > 0 && fade != 1) att_scale_row(o, d->E, fade);
        const float *vj = v + j * d->D;
        int64_t e = 0;
        for (; e + 4 * VW <= d->E; e += 4 * VW) att_values(d, p, vj + e, cols, o + e, j > 0, 4);
        for (; e < d->E; e += VW) att_values(d, p, vj + e, cols, o + e, j > 0, 1);
    }
    att_scale_row(o, d->E, 1 / sum);
    *lse = d->scale * max + logf(sum);
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
    const int64_t heads = d.N * d.heads, threads = omp_get_max_threads();
    const int64_t split = heads >= 4 * threads ? d.Tq : ATT_SPLIT;   // of the same AQ queries
    const int64_t pieces = ceil_div(d.Tq, split), units = heads * pieces;
    const int64_t room = 2 * d.t_size + att_room(&d, AQ);   // floats of a thread
    float *rooms = arena_alloc(c->scratch, (size_t)(threads * room) * sizeof *rooms);
#pragma omp parallel for schedule(dynamic) if (d.N * d.Tq * d.Tk * d.D > ATT_PAR_MIN)
    for (int64_t u = 0; u < units; u++) {
        const AttWork w = att_work(&d, u, split, pieces);
        if (d.Tq == 1 && d.E % VW == 0) {
            att_one_query(&d, q + w.at_q, k + w.at_k, v + w.at_k, o + w.at_q, lse + w.nh);
            continue;
        }
        const AttWork next = att_work(&d, min_i64(u + omp_get_num_threads(), units - 1), split, pieces);
        float *kt = rooms + omp_get_thread_num() * room, *copy = kt + d.t_size;
        AttKeys h = {.k = k + w.at_k, .v = v + w.at_k, .rows = v + w.at_k, .kt = kt,
                     .copy = d.Tq > ATT_FEW ? copy : NULL, .next = next.at_k - w.at_k};
        for (int64_t i = w.i0; i < w.i1; i += AQ) {
            const bool last = i + AQ >= w.i1;
            att_keys(&d, &h, att_seen(&d, min_i64(i + AQ, w.i1) - 1));
            att_prefetch_queries(&h, (const float *[4]){q}, last ? next.at_q + next.i0 * d.D : w.at_q + (i + AQ) * d.D,
                                 min_i64(AQ, last ? next.i1 - next.i0 : w.i1 - i - AQ));
            att_fwd_block(&d, q + w.at_q, &h, o + w.at_q, lse + w.nh * d.Tq, i, min_i64(AQ, w.i1 - i), copy + d.t_size);
        }
    }
}

// One head of one sample: pointers at its first channel.  No NULL gradient is computed.
typedef struct AttHead {
    const float *q, *o, *go, *lse;
    float *dq, *dk, *dv;
    AttKeys keys;
    int64_t next_q;                 // floats to the next head's q
    float *room;                    // for AQ_BWD rows of q and of go
} AttHead;

// delta[r] = go[r] . o[r], summed in att_dots' order: where a query attends to one key only, o = v,
// and do.v - do.o is then exactly 0.  Another order leaves a rounding error where there should be nothing.
static void att_delta(const float *go, const float *o, int64_t D, int64_t E, int64_t rows, float *delta)
{
    enum { SOME = 8 };   // chains side by side
    int64_t r = 0;
    for (; r + SOME <= rows; r += SOME) {
        float sum[SOME] = {0};
        for (int64_t e = 0; e < E; e++)
            UNROLL
            for (int k = 0; k < SOME; k++) sum[k] = fmaf(go[(r + k) * E + e], o[(r + k) * D + e], sum[k]);
        memcpy(delta + r, sum, sizeof sum);
    }
    for (; r < rows; r++) {
        delta[r] = 0;
        for (int64_t e = 0; e < E; e++) delta[r] = fmaf(go[r * E + e], o[r * D + e], delta[r]);
    }
}

// Tile of queries i0.. and keys j..: adds its share to dq, dk, dv.
static void att_bwd_tile(const AttDims *d, const AttHead *h, const AttTile *t, int64_t i0, int64_t rows, int64_t j,
                         int64_t cols)
{
    const int64_t D = d->D, E = d->E;
    att_rows(d, att_bwd_of, t, i0, rows, j);
    for (int64_t m = 0; m < cols; m += MR) {   // keys; the first query that sees one of them: r
        const int64_t r = d->causal && d->Tq - d->Tk + j + m > i0 ? d->Tq - d->Tk + j + m - i0 : 0;
        AttProduct p = {.a_row = 1, .a_step = AK, .b_row = E, .c_row = D, .M = min_i64(MR, cols - m), .N = E,
                        .K = rows - r, .add = true};
        if (h->dv) {
            p.a = t->s + r * AK + m, p.b = t->go + r * E, p.c = h->dv + (j + m) * D;
            att_product(p);
        }
        if (h->dk) {
            p.a = t->g + r * AK + m, p.b = t->q + r * E, p.c = h->dk + (j + m) * D;
            att_product(p);
        }
    }
    if (!h->dq) return;
    for (int64_t r = 0; r < rows; r += MR) {
        const int64_t m = min_i64(MR, rows - r), seen = min_i64(AK, att_seen(d, i0 + r + m - 1) - j);
        if (seen > 0)
            att_product((AttProduct){.a = t->g + r * AK, .a_row = AK, .a_step = 1, .b = h->keys.copy + j * E,
                                     .b_row = E, .c = h->dq + (i0 + r) * D, .c_row = D, .M = m, .N = E, .K = seen,
                                     .add = true});
    }
}

static void att_bwd_head(const AttDims *d, AttHead *h)
{
    _Alignas(64) float s[AQ_BWD * AK], g[AQ_BWD * AK];
    const int64_t D = d->D, E = d->E;
    const bool one_tile = d->Tk <= AK;
    float delta[AQ_BWD], *q = h->room, *go = q + att_room(d, AQ_BWD);
    for (int64_t i0 = 0; i0 < d->Tq; i0 += AQ_BWD) {
        const int64_t rows = min_i64(AQ_BWD, d->Tq - i0), seen = att_seen(d, i0 + rows - 1);
        const bool last = i0 + AQ_BWD >= d->Tq;
        att_keys(d, &h->keys, seen);
        att_prefetch_queries(&h->keys, (const float *[4]){h->dq, one_tile ? NULL : h->o, h->go, h->q},
                             last ? h->next_q : (i0 + AQ_BWD) * D, min_i64(AQ_BWD, last ? d->Tq : d->Tq - i0 - AQ_BWD));
        att_pack(d, h->q + i0 * D, rows, q);
        att_pack(d, h->go + i0 * D, rows, go);
        if (!one_tile) att_delta(go, h->o + i0 * D, D, E, rows, delta);
        for (int64_t j = 0; j < seen; j += AK) {
            const AttTile t = {.q = q, .kt = h->keys.kt + j * E, .s = s, .go = go, .lse = h->lse + i0, .g = g,
                               .delta = one_tile ? NULL : delta, .vt = h->keys.vt ? h->keys.vt + j * E : NULL,
                               .prefetch = &h->keys.prefetch};
            att_bwd_tile(d, h, &t, i0, rows, j, min_i64(AK, seen - j));
        }
    }
}

KERNEL(attention, bwd)
{
    const AttDims d = att_dims(c);
    const int64_t units = d.N * d.heads, room = 3 * d.t_size + 2 * att_room(&d, AQ_BWD);   // floats of a thread
    float *rooms = arena_alloc(c->scratch, (size_t)(omp_get_max_threads() * room) * sizeof *rooms);
    float *dq = in_g(c, 0), *dk = in_g(c, 1), *dv = in_g(c, 2);
#pragma omp parallel for if (d.N * d.Tq * d.Tk * d.D > ATT_PAR_MIN)
    for (int64_t nh = 0; nh < units; nh++) {
        const AttWork w = att_work(&d, nh, d.Tq, 1), next = att_work(&d, min_i64(nh + 1, units - 1), d.Tq, 1);
        const float *k = in_x(c, 1) + w.at_k, *v = in_x(c, 2) + w.at_k;
        float *kt = rooms + omp_get_thread_num() * room, *vt = kt + d.t_size, *copy = vt + d.t_size;
        AttHead h = {.q = in_x(c, 0) + w.at_q, .o = out_x(c, 0) + w.at_q, .go = out_g(c, 0) + w.at_q,
                     .lse = out_x(c, 1) + nh * d.Tq, .dq = dq ? dq + w.at_q : NULL, .dk = dk ? dk + w.at_k : NULL,
                     .dv = dv ? dv + w.at_k : NULL, .next_q = next.at_q - w.at_q, .room = copy + d.t_size};
        h.keys = (AttKeys){.k = k, .v = v, .rows = k, .dk = h.dk, .dv = h.dv, .kt = kt, .vt = dq || dk ? vt : NULL,
                           .copy = copy, .next = next.at_k - w.at_k};
        att_bwd_head(&d, &h);
    }
}

// ---- softmax

KERNEL(softmax, fwd)
{
    const float *x = in_x(c, 0);
    float *y = out_x(c, 0);
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t r = 0; r < rows; r++) {
        const float *xr = x + r * C;
        float *yr = y + r * C;
        const vf max = vset1(row_max(xr, C));
        vf sum = vzero(), e[VECTORS_MAX];
        int64_t i = 0;
        for (; i + VECTORS_MAX * VW <= C; i += VECTORS_MAX * VW) {
            for (int k = 0; k < VECTORS_MAX; k++) e[k] = vsub(vload(xr + i + k * VW), max);
            vexps_to88(e, VECTORS_MAX);
            for (int k = 0; k < VECTORS_MAX; k++) vstore(yr + i + k * VW, e[k]);
            sum = vadd(sum, vadd(vadd(e[0], e[1]), vadd(e[2], e[3])));
        }
        for (; i < C; i += VW) {
            e[0] = vexp_to88(vsub(vload_n(xr + i, C - i), max));
            vstore_n(yr + i, C - i, e[0]);
            sum = vadd(sum, vpad_n(e[0], C - i, vzero()));
        }
        const vf f = vset1(1 / vsum(sum));
        for (i = 0; i < C; i += VW) vstore_n(yr + i, C - i, vmul(vload_n(yr + i, C - i), f));
    }
}

KERNEL(softmax, bwd)
{
    const float *y = out_x(c, 0), *dy = out_g(c, 0);
    float *dx = in_g(c, 0);
    if (!dx) return;
    const int64_t C = shape_last(c->in[0]->shape), rows = shape_rows(c->in[0]->shape);
#pragma omp parallel for schedule(static) if (rows * C > PAR_VALUES)
    for (int64_t r = 0; r < rows; r++) {
        const float *yr = y + r * C, *dyr = dy + r * C;
        float *dxr = dx + r * C;
        const vf dot = vset1((float)row_dot(yr, dyr, C));
        for (int64_t i = 0; i < C; i += VW) {
            const int64_t n = C - i;
            vstore_n(dxr + i, n, vfma(vload_n(yr + i, n), vsub(vload_n(dyr + i, n), dot), vload_n(dxr + i, n)));
        }
    }
}
