// attention: scaled dot products (Vaswani et al. 2017), all heads, no T x T matrix kept (Dao et al. 2022).
//   q [N,Tq,D], k [N,L,D], v [N,L,D], heads (each owns E = D / heads neighbouring channels), causal, keys
//   -> o [N,Tq,D], lse [N,heads,Tq] (log of the sum of exp(score), saved for backward)
//   The first Tk = keys rows of each sample of k and v count (a cache that is not full), all L of them when keys = 0.
//   score[i,j] = sum_e q[i,e] k[j,e] / sqrt(E);   P[i,j] = exp(score[i,j] - lse[i]);   o[i] = sum_j P[i,j] v[j]
//   causal: query i sees keys j <= i + (Tk - Tq), Tk >= Tq: the last query sees all.  Else every query sees all keys.
//   backward, P computed again from lse:   dv[j] += sum_i P[i,j] do[i]
//     g[i,j] = P[i,j] (do[i].v[j] - do[i].o[i]) / sqrt(E) = d loss / d (q[i].k[j])
//     dq[i] += sum_j g[i,j] k[j],   dk[j] += sum_i g[i,j] q[i]
#include "tensor/ref.h"

typedef struct { int64_t N, Tq, Tk, L, D, heads, E; bool causal; real scale; } Dims;

static Dims dims(const OpCall *c)
{
    const int64_t *q = c->in[0]->shape.d;
    const int64_t L = c->in[1]->shape.d[1];
    const AttentionParams *p = c->p;
    return (Dims){.N = q[0], .Tq = q[1], .Tk = p->keys ? p->keys : L, .L = L, .D = q[2], .heads = p->heads,
                  .E = q[2] / p->heads, .causal = p->causal, .scale = 1 / R(sqrt)((real)(q[2] / p->heads))};
}

static int64_t keys_seen(const Dims *d, int64_t i) { return d->causal ? i + 1 + d->Tk - d->Tq : d->Tk; }

static real dot(const real *a, const real *b, int64_t E)
{
    real sum = 0;
    for (int64_t e = 0; e < E; e++) sum += a[e] * b[e];
    return sum;
}

KERNEL(attention, fwd)
{
    const real *q = in_x(c, 0), *k = in_x(c, 1), *v = in_x(c, 2);
    real *o = out_x(c, 0), *lse = out_x(c, 1);
    const Dims d = dims(c);
#pragma omp parallel for if (d.N * d.Tq * d.Tk * d.D > PAR_MIN)
    for (int64_t nh = 0; nh < d.N * d.heads; nh++) {
        const int64_t n = nh / d.heads, e0 = nh % d.heads * d.E;
        const real *kh = k + n * d.L * d.D + e0, *vh = v + n * d.L * d.D + e0;
        for (int64_t i = 0; i < d.Tq; i++) {
            const int64_t at = (n * d.Tq + i) * d.D + e0, seen = keys_seen(&d, i);
            real max = -INFINITY, sum = 0;
            // pass 1 over the keys: the largest score, so that no exp overflows
            for (int64_t j = 0; j < seen; j++) {
                const real score = d.scale * dot(q + at, kh + j * d.D, d.E);
                if (score > max) max = score;
            }
            // pass 2 over the keys: the scores again, exp(score - max), its sum and the sum of v weighted with it
            for (int64_t e = 0; e < d.E; e++) o[at + e] = 0;
            for (int64_t j = 0; j < seen; j++) {
                const real p = R(exp)(d.scale * dot(q + at, kh + j * d.D, d.E) - max);
                sum += p;
                for (int64_t e = 0; e < d.E; e++) o[at + e] += p * vh[j * d.D + e];
            }
            // pass 3, over the channels: divide by the sum
            for (int64_t e = 0; e < d.E; e++) o[at + e] /= sum;
            lse[nh * d.Tq + i] = max + R(log)(sum);
        }
    }
}

KERNEL(attention, bwd)
{
    const real *q = in_x(c, 0), *k = in_x(c, 1), *v = in_x(c, 2), *o = out_x(c, 0), *lse = out_x(c, 1);
    const real *go = out_g(c, 0);
    real *dq = in_g(c, 0), *dk = in_g(c, 1), *dv = in_g(c, 2);
    const Dims d = dims(c);
#pragma omp parallel for if (d.N * d.Tq * d.Tk * d.D > PAR_MIN)
    for (int64_t nh = 0; nh < d.N * d.heads; nh++) {     // a head of a sample owns its channels of dq, dk and dv
        const int64_t n = nh / d.heads, e0 = nh % d.heads * d.E;
        for (int64_t i = 0; i < d.Tq; i++) {
            const int64_t at = (n * d.Tq + i) * d.D + e0, seen = keys_seen(&d, i);
            // pass 1, over the channels: delta = do.o = sum_j P do.v[j], what the softmax takes from each g
            const real delta = dot(go + at, o + at, d.E);
            // pass 2 over the keys: P again from lse, no maximum needed, and its shares of dv, dq, dk
            for (int64_t j = 0; j < seen; j++) {
                const int64_t kt = (n * d.L + j) * d.D + e0;
                const real p = R(exp)(d.scale * dot(q + at, k + kt, d.E) - lse[nh * d.Tq + i]);
                if (dv)
                    for (int64_t e = 0; e < d.E; e++) dv[kt + e] += p * go[at + e];
                if (!dq && !dk) continue;
                const real g = d.scale * p * (dot(go + at, v + kt, d.E) - delta);
                if (dq)
                    for (int64_t e = 0; e < d.E; e++) dq[at + e] += g * k[kt + e];
                if (dk)
                    for (int64_t e = 0; e < d.E; e++) dk[kt + e] += g * q[at + e];
            }
        }
    }
}
