// matmul, linear and its fused forms: products of matrices.  The engine and its tiling: gemm.h; skinny products
// (decoding): below.
#include "gemm_sm90.h"

// ---- at most 8 rows m: every element of B is read once, so the product is bound by memory.
// Expected: 0.8 of the read rate for the 154 MB of GPT-2's output layer.

enum { SKINNY = 8, SKINNY_BLOCK = 256, SKINNY_WARPS = SKINNY_BLOCK / 32 };

// B rows along n: a block takes 32 W columns and one split of k; its 8 warps take every eighth k.
template <int ROWS, int W>
static __global__ void skinny_kernel(GemmSizes s, Matrix<true> a, Matrix<false> b, Epilogue e)
{
    SHARED(float, shared, [SKINNY_WARPS][ROWS][32 * W]);
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int64_t strips = (s.N + 32 * W - 1) / (32 * W), piece = quotient(blockIdx.x, strips);
    const int64_t batch = quotient(piece, s.splits), split = piece - batch * s.splits;
    const int64_t n = ((blockIdx.x - piece * strips) * 32 + lane) * W, k0 = split * s.k_each;
    const int64_t end = k0 + s.k_each < s.K ? k0 + s.k_each : s.K;
    float sum[ROWS][W] = {};
    if (n < s.N) {
#pragma unroll 4
        for (int64_t k = k0 + warp; k < end; k += SKINNY_WARPS) {
            const Pack<W> v = load<W>(b.at(batch, n, k));
#pragma unroll
            for (int m = 0; m < ROWS; m++) {
                const float x = m < s.M ? *a.at(batch, m, k) : 0.0f;
#pragma unroll
                for (int j = 0; j < W; j++) sum[m][j] += x * v.v[j];
            }
        }
    }
#pragma unroll
    for (int m = 0; m < ROWS; m++)
#pragma unroll
        for (int j = 0; j < W; j++) shared[warp][m][lane * W + j] = sum[m][j];
    __syncthreads();
    if (warp > 0 || n >= s.N) return;
    if (s.splits > 1) e.y += split * s.batch * s.M * s.N;
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
        Pack<W> v = {};
        for (int w = 0; w < SKINNY_WARPS; w++)
#pragma unroll
            for (int j = 0; j < W; j++) v.v[j] += shared[w][m][lane * W + j];
        if (m < s.M) e.put<W>(batch, m, n, v);
    }
}

// B stored [N,K]: a warp takes one column n, its lanes run along k.
template <int ROWS, int W>
static __global__ void skinny_dot_kernel(GemmSizes s, Matrix<true> a, Matrix<true> b, Epilogue e)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t job = (int64_t)blockIdx.x * SKINNY_WARPS + threadIdx.x / 32, batch = quotient(job, s.N),
                  n = job - batch * s.N;
    float sum[ROWS] = {};
    if (batch < s.batch) {
#pragma unroll 2
        for (int64_t k = lane * W; k < s.K; k += 32 * W) {
            const Pack<W> v = load<W>(b.at(batch, n, k));
#pragma unroll
            for (int m = 0; m < ROWS; m++) {
                if (m >= s.M) continue;
                const Pack<W> x = load<W>(a.at(batch, m, k));
#pragma unroll
                for (int j = 0; j < W; j++) sum[m] += x.v[j] * v.v[j];
            }
        }
    }
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
        const float total = warp_sum(sum[m]);
        if (lane == 0 && m < s.M && batch < s.batch) e.put<1>(batch, m, n, Pack<1>{{total}});
    }
}

template <int ROWS, int W>
static void skinny(const OpCall *c, GemmSizes s, const Matrix<true> &a, const Matrix<false> &b, const Epilogue &e)
{
    const int64_t strips = s.batch * div_up(s.N, 32 * W);
    gemm_split(&s, strips, SKINNY_WARPS);
    float *part = s.splits > 1 ? scratch_of<float>(c, (size_t)(s.splits * s.batch * s.M * s.N)) : NULL;
    const Epilogue first = e.of_splits(part, s.N);
    auto *kernel = skinny_kernel<ROWS, W>;
    launch(c, kernel, blocks_of(strips * s.splits), SKINNY_BLOCK, 0, s, a, b, first);
    if (part) gemm_reduce(c, s, part, e);
}

// ---- any number of rows

template <bool A_RUNS, bool B_RUNS>
static void many_rows(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const Matrix<A_RUNS> &a,
                      const Matrix<B_RUNS> &b, const Epilogue &e)
{
    if (!gemm_sm90(c, batch, M, N, K, operand_of(a), operand_of(b), e)) gemm(c, batch, M, N, K, a, b, e);
}

static void product(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const Matrix<true> &a,
                    const Matrix<false> &b, const Epilogue &e)
{
    const GemmSizes s = {M, N, K, batch, 1, K};
    const bool wide = b.wide() && e.wide(s.N);
    if (M > SKINNY || N == 0) many_rows(c, batch, M, N, K, a, b, e);
    else if (wide) (M == 1 ? skinny<1, 4> : skinny<SKINNY, 4>)(c, s, a, b, e);
    else (M == 1 ? skinny<1, 1> : skinny<SKINNY, 1>)(c, s, a, b, e);
}

static void product(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const Matrix<true> &a,
                    const Matrix<true> &b, const Epilogue &e)
{
    const GemmSizes s = {M, N, K, batch, 1, K};
    const bool wide = a.wide() && b.wide();
    auto *kernel = wide ? (M == 1 ? skinny_dot_kernel<1, 4> : skinny_dot_kernel<SKINNY, 4>)
                        : (M == 1 ? skinny_dot_kernel<1, 1> : skinny_dot_kernel<SKINNY, 1>);
    if (M > SKINNY) many_rows(c, batch, M, N, K, a, b, e);
    else launch(c, kernel, grid_of(batch * N, SKINNY_WARPS), SKINNY_BLOCK, 0, s, a, b, e);
}

template <bool RUNS>
static void product(const OpCall *c, int64_t batch, int64_t M, int64_t N, int64_t K, const Matrix<false> &a,
                    const Matrix<RUNS> &b, const Epilogue &e)
{
    many_rows(c, batch, M, N, K, a, b, e);
}

// ---- matmul

// op(x) of `rows` rows and K columns as an operand whose sum runs over the columns; stored [rows,K], or [K,rows].
struct Side { const float *x; int64_t rows, K; bool across; };   // across: stored [K,rows]

template <class A> static void with_right(const OpCall *c, int64_t batch, const A &a, Side b, const Epilogue &e)
{
    const int64_t size = b.rows * b.K;
    if (b.across) product(c, batch, a.rows, b.rows, b.K, a, Matrix<false>{b.x, b.rows, size, b.rows, b.K}, e);
    else product(c, batch, a.rows, b.rows, b.K, a, Matrix<true>{b.x, b.K, size, b.rows, b.K}, e);
}

// y[i,j] (=, +=) alpha sum_k a[i,k] b[j,k]
static void contract(const OpCall *c, int64_t batch, Side a, Side b, float *y, float alpha, bool add)
{
    const Epilogue e = {y, NULL, NULL, alpha, add, a.rows, b.rows, NULL, ACT_NONE};
    const int64_t size = a.rows * a.K;
    if (a.across) with_right(c, batch, Matrix<false>{a.x, a.rows, size, a.rows, a.K}, b, e);
    else with_right(c, batch, Matrix<true>{a.x, a.K, size, a.rows, a.K}, b, e);
}

struct MatmulSizes { int64_t batch, M, N, K; };

static MatmulSizes sizes_of(const OpCall *c)
{
    const Shape a = c->in[0]->shape, y = c->out[0]->shape;
    const int k_axis = params<MatmulParams>(c)->trans_a ? a.n - 2 : a.n - 1;
    return MatmulSizes{y.n == 3 ? y.d[0] : 1, y.d[y.n - 2], y.d[y.n - 1], a.d[k_axis]};
}

CUDA_KERNEL(matmul, fwd)
{
    const MatmulParams *p = params<MatmulParams>(c);
    const MatmulSizes s = sizes_of(c);
    contract(c, s.batch, Side{in_x(c, 0), s.M, s.K, p->trans_a}, Side{in_x(c, 1), s.N, s.K, !p->trans_b}, out_x(c, 0),
             (float)p->alpha, false);
}

CUDA_KERNEL(matmul, bwd)
{
    const MatmulParams *p = params<MatmulParams>(c);
    const MatmulSizes s = sizes_of(c);
    const float alpha = (float)p->alpha;
    // dA[m,k] = sum_n dY[m,n] B[k,n],  dB[k,n] = sum_m A[m,k] dY[m,n], each stored as A and B are
    const Side dy_m = {out_g(c, 0), s.M, s.N, false}, dy_n = {out_g(c, 0), s.N, s.M, true};
    const Side b_k = {in_x(c, 1), s.K, s.N, p->trans_b}, a_k = {in_x(c, 0), s.K, s.M, !p->trans_a};
    if (in_g(c, 0)) {
        if (p->trans_a) contract(c, s.batch, b_k, dy_m, in_g(c, 0), alpha, true);
        else contract(c, s.batch, dy_m, b_k, in_g(c, 0), alpha, true);
    }
    if (in_g(c, 1)) {
        if (p->trans_b) contract(c, s.batch, dy_n, a_k, in_g(c, 1), alpha, true);
        else contract(c, s.batch, a_k, dy_n, in_g(c, 1), alpha, true);
    }
}

// ---- linear and its fused forms

// cuda/linear_bf16.cu; false: the weight is not in bf16.
bool linear_bf16(const OpCall *c, const Epilogue &e);
// cuda/linear_nf4.cu: the weight in rows.
const float *linear_weight(const OpCall *c);

// r: NULL, or what is added; h: NULL, or where x w + b goes when y is an activation of it.
static void linear_fwd(const OpCall *c, float *h, const float *r, Act act)
{
    const int64_t K = c->in[1]->shape.d[0], N = c->in[1]->shape.d[1], M = numel(c->in[0]) / K;
    const Epilogue e = {out_x(c, 0), h, in_x(c, 2), 1, false, M, N, r, act};
    if (linear_bf16(c, e)) return;
    product(c, 1, M, N, K, Matrix<true>{in_x(c, 0), K, 0, M, K}, Matrix<false>{linear_weight(c), N, 0, N, K}, e);
}

struct Columns {
    const float *dy;
    int64_t N;
    __device__ void operator()(int64_t m, int64_t n, float (&v)[1]) const { v[0] = dy[m * N + n]; }
};

static void linear_bwd(const OpCall *c, const float *dy)
{
    const int64_t K = c->in[1]->shape.d[0], N = c->in[1]->shape.d[1], M = numel(c->in[0]) / K;
    const float *x = in_x(c, 0);
    CHECK(c->in[1]->layout != LAYOUT_COLUMNS_BF16, "linear: no gradient through bf16 weights");
    if (in_g(c, 0)) contract(c, 1, Side{dy, M, N, false}, Side{linear_weight(c), K, N, false}, in_g(c, 0), 1, true);
    if (in_g(c, 1)) contract(c, 1, Side{x, K, M, true}, Side{dy, N, M, true}, in_g(c, 1), 1, true);
    if (in_g(c, 2)) sum_columns<1>(c, 1, M, N, Columns{dy, N}, {{in_g(c, 2)}, 0, 1, false});
}

template <class A> static void linear_act_bwd(const OpCall *c)
{
    const int64_t n = numel(c->out[0]);
    float *dh = scratch_of<float>(c, (size_t)n);
    const Backward<A> f = {out_x(c, 1), out_g(c, 0)};
    map<false>(c, n, dh, f, aligned16(f.x) && aligned16(f.dy));
    linear_bwd(c, dh);
}

CUDA_KERNEL(linear, fwd) { linear_fwd(c, NULL, NULL, ACT_NONE); }
CUDA_KERNEL(linear, bwd) { linear_bwd(c, out_g(c, 0)); }
CUDA_KERNEL(linear_gelu, fwd) { linear_fwd(c, out_x(c, 1), NULL, ACT_GELU); }
CUDA_KERNEL(linear_gelu, bwd) { linear_act_bwd<GeluTanh>(c); }
CUDA_KERNEL(linear_silu, fwd) { linear_fwd(c, out_x(c, 1), NULL, ACT_SILU); }
CUDA_KERNEL(linear_silu, bwd) { linear_act_bwd<Silu>(c); }
CUDA_KERNEL(linear_add, fwd) { linear_fwd(c, NULL, in_x(c, 3), ACT_NONE); }

struct Same {
    const float *x;
    template <int W> __device__ Pack<W> at(int64_t i) const { return load<W>(x + i); }
};

CUDA_KERNEL(linear_add, bwd)
{
    const Same dy = {out_g(c, 0)};
    if (in_g(c, 3)) map<true>(c, numel(c->out[0]), in_g(c, 3), dy, aligned16(dy.x));
    linear_bwd(c, dy.x);
}
