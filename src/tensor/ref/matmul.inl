// matmul: Y = alpha op(A) op(B).   A [M,K], B [K,N] -> Y [M,N]; batched [B,M,K] [B,K,N] -> [B,M,N]
//   trans_a: A is stored [K,M]; trans_b: B is stored [N,K]; MatmulParams
//   dA[m,k] += alpha sum_n dY[m,n] B[k,n]     dB[k,n] += alpha sum_m A[m,k] dY[m,n]
#include "tensor/ref.h"

typedef struct { int64_t row, col, batch; } Step;   // distance in memory from one row, column, batch to the next

// y[r,i,j] += alpha sum_k a[r,i,k] b[r,k,j]
static void product(int64_t batch, int64_t I, int64_t J, int64_t K, real alpha, const real *a, Step sa, const real *b,
                    Step sb, real *y, Step sy)
{
#pragma omp parallel for collapse(2) if (batch * I * J * K > PAR_MIN)
    for (int64_t r = 0; r < batch; r++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t j = 0; j < J; j++) {
                const real *ai = a + r * sa.batch + i * sa.row, *bj = b + r * sb.batch + j * sb.col;
                real sum = 0;
                for (int64_t k = 0; k < K; k++) sum += ai[k * sa.col] * bj[k * sb.row];
                y[r * sy.batch + i * sy.row + j * sy.col] += alpha * sum;
            }
}

static Step transposed(Step s) { return (Step){s.col, s.row, s.batch}; }

typedef struct { int64_t batch, M, N, K; Step a, b, y; } Sizes;

static Sizes sizes_of(const OpCall *c)
{
    const MatmulParams *p = c->p;
    const Shape a = c->in[0]->shape, y = c->out[0]->shape;
    Sizes s = {.batch = y.n == 3 ? y.d[0] : 1, .M = y.d[y.n - 2], .N = y.d[y.n - 1],
               .K = a.d[p->trans_a ? a.n - 2 : a.n - 1]};
    s.a = p->trans_a ? (Step){1, s.M, s.M * s.K} : (Step){s.K, 1, s.M * s.K};
    s.b = p->trans_b ? (Step){1, s.K, s.K * s.N} : (Step){s.N, 1, s.K * s.N};
    s.y = (Step){s.N, 1, s.M * s.N};
    return s;
}

KERNEL(matmul, fwd)
{
    const MatmulParams *p = c->p;
    const Sizes s = sizes_of(c);
    real *y = out_x(c, 0);
    memset(y, 0, (size_t)(s.batch * s.M * s.N) * sizeof *y);
    product(s.batch, s.M, s.N, s.K, (real)p->alpha, in_x(c, 0), s.a, in_x(c, 1), s.b, y, s.y);
}

KERNEL(matmul, bwd)
{
    const MatmulParams *p = c->p;
    const Sizes s = sizes_of(c);
    const real alpha = (real)p->alpha;
    if (in_g(c, 0))
        product(s.batch, s.M, s.K, s.N, alpha, out_g(c, 0), s.y, in_x(c, 1), transposed(s.b), in_g(c, 0), s.a);
    if (in_g(c, 1))
        product(s.batch, s.K, s.N, s.M, alpha, in_x(c, 0), transposed(s.a), out_g(c, 0), s.y, in_g(c, 1), s.b);
}
