// Attention from plain to fast, one head:   o [T,E] = softmax(q k^T / sqrt(E)) v   in six rungs, one thread.
//   rung          what is new                                  what it saves
//   materialised  the formula, step by step
//   rows          the scores of one query at a time            memory: T floats of scores, not T x T
//   online        maximum and sum run along with the scores    the row of scores, and the second pass over it
//   tiles         24 queries x 64 keys at a time               waiting for dot products; reads of k and v
//   exps          2^x of whole vectors                         calls of exp
//   registers     both products by the tile of SGEMM           loads and stores: 3 a multiply-add become 0.6
// From rung 3 on no row of T scores is kept (Milakov, Gimelshein 2018; Dao et al. 2022).  The last rung does the
// arithmetic of the product's kernel (cpu_simd/attention), in its order, and has its bits.
#include "bench/ladder/ladder.h"
#include "bench/ladder/tile.h"

static float dot(const float *x, const float *y, int64_t E)
{
    float sum = 0;
    for (int64_t e = 0; e < E; e++) sum = fmaf(x[e], y[e], sum);
    return sum;
}

// s -> e^((s - max) / sqrt(E)); returns their sum.  Subtracting the row's maximum changes no quotient, and no exp
// overflows.
static float softmax_row(float *s, int64_t T, int64_t E)
{
    float max = -INFINITY, sum = 0;
    const float scale = 1 / sqrtf((float)E);
    for (int64_t j = 0; j < T; j++) max = s[j] > max ? s[j] : max;
    for (int64_t j = 0; j < T; j++) sum += s[j] = expf((s[j] - max) * scale);
    return sum;
}

// o [E] = s [T] v / sum
static void average(const float *s, float sum, int64_t T, int64_t E, int64_t D, const float *v, float *o)
{
    for (int64_t e = 0; e < E; e++) o[e] = 0;
    for (int64_t j = 0; j < T; j++)
        for (int64_t e = 0; e < E; e++) o[e] = fmaf(s[j], v[j * D + e], o[e]);
    for (int64_t e = 0; e < E; e++) o[e] /= sum;
}

// ---- 1. materialised
// All scores, all softmaxes, all averages, as the formula says.  T x T floats are written and read: 4 MiB for T = 1024.
static void materialised(int64_t T, int64_t E, int64_t D, const float *q, const float *k, const float *v, float *o,
                         float *room)
{
    float *s = room, *sum = room + T * T;
    for (int64_t i = 0; i < T; i++)
        for (int64_t j = 0; j < T; j++) s[i * T + j] = dot(q + i * D, k + j * D, E);
    for (int64_t i = 0; i < T; i++) sum[i] = softmax_row(s + i * T, T, E);
    for (int64_t i = 0; i < T; i++) average(s + i * T, sum[i], T, E, D, v, o + i * D);
}

// ---- 2. rows
// A query's result wants its own row of scores only: the same floats are used again for the next query.
static void rows(int64_t T, int64_t E, int64_t D, const float *q, const float *k, const float *v, float *o, float *room)
{
    for (int64_t i = 0; i < T; i++) {
        for (int64_t j = 0; j < T; j++) room[j] = dot(q + i * D, k + j * D, E);
        const float sum = softmax_row(room, T, E);
        average(room, sum, T, E, D, v, o + i * D);
    }
}

// ---- 3. online
// The maximum so far serves as well as the final one: when it grows, what was summed with the old one is multiplied by
// e^(old - new).  One pass over the keys, and no score is kept.  It is no faster; what it buys is the freedom to take
// the keys in portions, which the next rung uses.
static void online(int64_t T, int64_t E, int64_t D, const float *q, const float *k, const float *v, float *o,
                   float *room)
{
    (void)room;
    const float scale = 1 / sqrtf((float)E);
    for (int64_t i = 0; i < T; i++) {
        float max = -INFINITY, sum = 0, *oi = o + i * D;
        for (int64_t e = 0; e < E; e++) oi[e] = 0;
        for (int64_t j = 0; j < T; j++) {
            const float s = dot(q + i * D, k + j * D, E);
            if (s > max) {
                const float fade = expf((max - s) * scale);
                for (int64_t e = 0; e < E; e++) oi[e] *= fade;
                sum *= fade;
                max = s;
            }
            const float p = expf((s - max) * scale);
            sum += p;
            for (int64_t e = 0; e < E; e++) oi[e] = fmaf(p, v[j * D + e], oi[e]);
        }
        for (int64_t e = 0; e < E; e++) oi[e] /= sum;
    }
}

// ---- 4. tiles
// 24 queries meet 64 keys.  k is transposed, so that the scores of neighbouring keys lie side by side and are summed
// side by side, in vectors, where a dot product waits for each sum before it adds the next term.  A tile of k and of v
// serves 24 queries while it lies in the L1 cache, and old sums fade once in 64 keys.
// Rungs 5 and 6 are the same loops with other parts: a softmax and a product.
enum { AQ = 24, AK = 64 };

// s [keys] -> p = 2^((s - max) scale2).  max, sum: of all keys so far; the return value: what earlier sums fade by.
typedef float Softmax(float *s, int64_t keys, float scale2, float *max, float *sum);

// c [M,N] = or += a b;  a(i,k) = a[i ra + k ca], rows of b and of c ldb and ldc apart
typedef void Product(int64_t M, int64_t N, int64_t K, const float *a, int64_t ra, int64_t ca, const float *b,
                     int64_t ldb, float *c, int64_t ldc, bool add);

// x [n,E], rows D apart -> to [E,width], zeros behind n
static void turn(const float *x, int64_t n, int64_t E, int64_t D, int64_t width, float *to)
{
    for (int64_t e = 0; e < E; e++)
        for (int64_t i = 0; i < width; i++) to[e * width + i] = i < n ? x[i * D + e] : 0;
}

static void scale_row(float *o, int64_t E, float factor)
{
    for (int64_t e = 0; e < E; e++) o[e] *= factor;
}

INLINE void tile_by_tile(Softmax *softmax, Product *product, int64_t T, int64_t E, int64_t D, const float *q,
                         const float *k, const float *v, float *o, float *room)
{
    const float scale2 = 1 / sqrtf((float)E) * 1.44269504088896341f;   // e^x = 2^(x log2 e)
    float s[AQ * AK] __attribute__((aligned(64))), *qt = room, *kt = room + AQ * E;
    for (int64_t j = 0; j < T; j += AK) turn(k + j * D, min_i64(AK, T - j), E, D, AK, kt + j * E);
    for (int64_t i = 0; i < T; i += AQ) {
        const int64_t queries = min_i64(AQ, T - i);
        float max[AQ], sum[AQ] = {0}, *oi = o + i * D;
        for (int r = 0; r < AQ; r++) max[r] = -INFINITY;
        turn(q + i * D, queries, E, D, AQ, qt);
        for (int64_t j = 0; j < T; j += AK) {
            const int64_t keys = min_i64(AK, T - j);
            product(AQ, AK, E, qt, 1, AQ, kt + j * E, AK, s, AK, false);
            for (int64_t r = 0; r < queries; r++) {
                const float fade = softmax(s + r * AK, keys, scale2, &max[r], &sum[r]);
                if (j > 0 && fade != 1) scale_row(oi + r * D, E, fade);
            }
            product(queries, E, keys, s, AK, 1, v + j * D, D, oi, D, j > 0);
        }
        for (int64_t r = 0; r < queries; r++) scale_row(oi + r * D, E, 1 / sum[r]);
    }
}

static float softmax_by_one(float *s, int64_t keys, float scale2, float *max, float *sum)
{
    const float old = *max;
    float part = 0;
    for (int64_t j = 0; j < keys; j++) *max = s[j] > *max ? s[j] : *max;
    for (int64_t j = 0; j < keys; j++) part += s[j] = exp2f((s[j] - *max) * scale2);
    const float fade = exp2f((old - *max) * scale2);   // 0 when nothing came before: max was -infinity
    *sum = fmaf(*sum, fade, part);
    return fade;
}

static void product_in_memory(int64_t M, int64_t N, int64_t K, const float *a, int64_t ra, int64_t ca, const float *b,
                              int64_t ldb, float *c, int64_t ldc, bool add)
{
    for (int64_t m = 0; m < M; m++) {
        for (int64_t n = 0; n < N && !add; n++) c[m * ldc + n] = 0;
        for (int64_t k = 0; k < K; k++)
            for (int64_t n = 0; n < N; n++) c[m * ldc + n] = fmaf(a[m * ra + k * ca], b[k * ldb + n], c[m * ldc + n]);
    }
}

static void tiles(int64_t T, int64_t E, int64_t D, const float *q, const float *k, const float *v, float *o,
                  float *room)
{
    tile_by_tile(softmax_by_one, product_in_memory, T, E, D, q, k, v, o, room);
}

// ---- 5. exps
// T x T exponentials are left, one call of libm each.  vec.h makes 2^x of VW floats in some fifteen instructions; its
// error is below 1.1 ulp.  Four vectors run side by side, since each step of one waits for the step before.
static float softmax_by_vector(float *s, int64_t keys, float scale2, float *max, float *sum)
{
    enum { V = AK / VW };
    const vf none = vset1(-INFINITY);
    vf x[V], top = vset1(*max), total = vzero();
    UNROLL
    for (int i = 0; i < V; i++) {
        const int64_t left = keys > i * VW ? keys - i * VW : 0;
        x[i] = vpad_n(vload(s + i * VW), left, none);
        top = vmax(top, x[i]);
    }
    const float old = *max;
    *max = vmaxall(top);
    UNROLL
    for (int i = 0; i < V; i++) x[i] = vmul(vsub(x[i], vset1(*max)), vset1(scale2));
    for (int i = 0; i < V; i += VECTORS_MAX) vexp2s_to127(x + i, VECTORS_MAX);
    UNROLL
    for (int i = 0; i < V; i++) {
        total = vadd(total, x[i]);
        vstore(s + i * VW, x[i]);
    }
    const float fade = vmaxall(vexp2_to127(vset1((old - *max) * scale2)));
    *sum = fmaf(*sum, fade, vsum(total));
    return fade;
}

static void exps(int64_t T, int64_t E, int64_t D, const float *q, const float *k, const float *v, float *o, float *room)
{
    tile_by_tile(softmax_by_vector, product_in_memory, T, E, D, q, k, v, o, room);
}

// ---- 6. registers
// Both products by the register tile of SGEMM's rung 5: a sum is loaded and stored once, not once for each term.
static void product_in_registers(int64_t M, int64_t N, int64_t K, const float *a, int64_t ra, int64_t ca,
                                 const float *b, int64_t ldb, float *c, int64_t ldc, bool add)
{
    for (int64_t m = 0; m < M; m += MR)
        for (int64_t n = 0; n < N; n += NR)
            tile(K, a + m * ra, ra, ca, b + n, ldb, c + m * ldc + n, ldc, min_i64(MR, M - m), min_i64(NR, N - n),
                 add);
}

static void registers(int64_t T, int64_t E, int64_t D, const float *q, const float *k, const float *v, float *o,
                      float *room)
{
    tile_by_tile(softmax_by_vector, product_in_registers, T, E, D, q, k, v, o, room);
}

#if defined(__AVX512F__)
const Rung attention_rungs_avx512[RUNGS] = {
#else
const Rung attention_rungs_avx2[RUNGS] = {
#endif
    {"materialised", NULL, materialised, "-"},
    {"rows", NULL, rows, "memory: T floats of scores, not T x T"},
    {"online", NULL, online, "the row of scores and the second pass over it"},
    {"tiles", NULL, tiles, "waiting for dot products; reads of k and v: T / 24, not T"},
    {"exps", NULL, exps, "calls of exp: one for a vector of scores"},
    {"registers", NULL, registers, "loads and stores: 3 a multiply-add become 0.6"},
};
