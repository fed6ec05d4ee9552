// Contract: gpu_peers.h.  Nothing here ends the program: an error makes a peer's row NAN.
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <functional>
#include <string>

#if __has_include(<cublas_v2.h>) && __has_include(<cublasLt.h>)
#define HAVE_CUBLAS 1
#include <cublasLt.h>
#include <cublas_v2.h>
#endif
#if __has_include(<cudnn.h>)
#define HAVE_CUDNN 1
#include <cudnn.h>
#endif

#include "bench/gpu_peers.h"
extern "C" {
#include "tensor/clock.h"
}

#define CUBLAS_FUNCTIONS(X) \
    X(cublasCreate_v2) X(cublasSetStream_v2) X(cublasSetMathMode) X(cublasGetVersion_v2) X(cublasSetWorkspace_v2)
#define CUBLASLT_FUNCTIONS(X) \
    X(cublasLtCreate) X(cublasLtGetVersion) X(cublasLtMatmul) X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy) \
    X(cublasLtMatmulDescSetAttribute) X(cublasLtMatrixLayoutCreate) X(cublasLtMatrixLayoutDestroy) \
    X(cublasLtMatrixLayoutSetAttribute) X(cublasLtMatmulPreferenceCreate) X(cublasLtMatmulPreferenceDestroy) \
    X(cublasLtMatmulPreferenceSetAttribute) X(cublasLtMatmulAlgoGetHeuristic)
#define CUDNN_FUNCTIONS(X) \
    X(cudnnCreate) X(cudnnSetStream) X(cudnnGetVersion) X(cudnnCreateTensorDescriptor) X(cudnnDestroyTensorDescriptor) \
    X(cudnnSetTensor4dDescriptor) X(cudnnCreateFilterDescriptor) X(cudnnDestroyFilterDescriptor) \
    X(cudnnSetFilter4dDescriptor) X(cudnnCreateConvolutionDescriptor) X(cudnnDestroyConvolutionDescriptor) \
    X(cudnnSetConvolution2dDescriptor) X(cudnnSetConvolutionMathType) X(cudnnFindConvolutionForwardAlgorithm) \
    X(cudnnFindConvolutionBackwardDataAlgorithm) X(cudnnFindConvolutionBackwardFilterAlgorithm) \
    X(cudnnConvolutionForward) X(cudnnConvolutionBackwardData) X(cudnnConvolutionBackwardFilter)
#define MEMBER(name) decltype(&::name) name;

enum { WORKSPACE = 64 << 20 };

struct Buffer { void *at; size_t bytes; };

struct GpuPeers {
    Math math;
    cudaStream_t stream;
    bool there[GPU_PEERS];
    std::string about[GPU_PEERS];
    Buffer operand[2], result, workspace, bias;
#ifdef HAVE_CUBLAS
    struct {
        CUBLAS_FUNCTIONS(MEMBER)
        // overloaded in the header, so that its type is written out
        cublasStatus_t (*cublasGemmStridedBatchedEx)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int,
                                                     int, const void *, const void *, cudaDataType, int, long long,
                                                     const void *, cudaDataType, int, long long, const void *, void *,
                                                     cudaDataType, int, long long, int, cublasComputeType_t,
                                                     cublasGemmAlgo_t);
    } blas;
    struct { CUBLASLT_FUNCTIONS(MEMBER) } lt;
    cublasHandle_t blas_handle;
    cublasLtHandle_t lt_handle;
#endif
#ifdef HAVE_CUDNN
    struct { CUDNN_FUNCTIONS(MEMBER) } dnn;
    cudnnHandle_t dnn_handle;
#endif
};

// ---- memory and time

static __global__ void fill_kernel(size_t n, float *f, unsigned short *half, unsigned seed)
{
    const size_t i = (size_t)blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    unsigned h = (unsigned)i * 2654435761u + seed;
    h = (h ^ h >> 15) * 2246822519u;
    const float x = (float)(int)(h ^ h >> 13) * 0x1p-31f;
    if (half) half[i] = (unsigned short)(__float_as_uint(x) >> 16);
    else f[i] = x;
}

// At least n values of random numbers of either sign, f32 or bf16.
static bool room(GpuPeers *p, Buffer *b, size_t n, bool bf16)
{
    const size_t bytes = n * (bf16 ? 2 : 4);
    if (b->bytes < bytes) {
        cudaFree(b->at);
        *b = Buffer{NULL, 0};
        if (cudaMalloc(&b->at, bytes) != cudaSuccess) return cudaGetLastError(), false;
        b->bytes = bytes;
    }
    fill_kernel<<<(unsigned)((n + 255) / 256), 256, 0, p->stream>>>(n, (float *)b->at,
                                                                    bf16 ? (unsigned short *)b->at : NULL, (unsigned)n);
    return cudaGetLastError() == cudaSuccess;
}

// Median of 5 of the time of a call, as gpu.c times ours: 8 calls recorded, replayed for 5 ms; where recording is
// refused, launched one by one.
static double seconds_of(GpuPeers *p, const std::function<bool()> &call)
{
    enum { ROUNDS = 5, RECORDED = 8 };
    if (!call() || cudaStreamSynchronize(p->stream) != cudaSuccess) return cudaGetLastError(), NAN;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    bool ok = cudaStreamBeginCapture(p->stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    for (int i = 0; i < RECORDED; i++) ok = ok && call();
    ok = cudaStreamEndCapture(p->stream, &graph) == cudaSuccess && ok &&
         cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess;
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    const auto eight = [&] {
        if (ok) return cudaGraphLaunch(exec, p->stream) == cudaSuccess;
        bool good = true;
        for (int i = 0; i < RECORDED; i++) good = good && call();
        return good;
    };
    bool good = eight() && cudaStreamSynchronize(p->stream) == cudaSuccess;
    double start = clock_seconds(), time[ROUNDS];
    good = good && eight() && cudaStreamSynchronize(p->stream) == cudaSuccess;
    const double once = clock_seconds() - start;
    const int n = once > 5e-3 ? 1 : (int)(5e-3 / once) + 1;
    for (int r = 0; r < ROUNDS && good; r++) {
        start = clock_seconds();
        for (int i = 0; i < n; i++) good = good && eight();
        good = good && cudaStreamSynchronize(p->stream) == cudaSuccess;
        time[r] = (clock_seconds() - start) / (n * RECORDED);
    }
    if (exec) cudaGraphExecDestroy(exec);
    if (!good) return cudaGetLastError(), NAN;
    std::sort(time, time + ROUNDS);
    return time[ROUNDS / 2];
}

// ---- opening

static void *open_any(const char *const *names, std::string *why)
{
    for (; *names; names++) {
        if (void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL)) return library;
        *why = dlerror();
    }
    return NULL;
}

#define LOAD(name) \
    f.name = (decltype(f.name))dlsym(library, #name); \
    if (!f.name) return p->about[which] += ": missing: no " #name, false;

#ifdef HAVE_CUBLAS
static bool open_cublas(GpuPeers *p)
{
    static const char *const names[] = {"libcublas.so", "libcublas.so.13", "libcublas.so.12", NULL};
    const GpuPeer which = PEER_CUBLAS;
    auto &f = p->blas;
    std::string why;
    int version = 0;
    void *library = open_any(names, &why);
    if (!library) return p->about[which] += ": missing: " + why, false;
    CUBLAS_FUNCTIONS(LOAD)
    LOAD(cublasGemmStridedBatchedEx)
    if (f.cublasCreate_v2(&p->blas_handle) || f.cublasSetStream_v2(p->blas_handle, p->stream) ||
        f.cublasSetWorkspace_v2(p->blas_handle, p->workspace.at, WORKSPACE))
        return p->about[which] += ": missing: it finds no usable GPU", false;
    f.cublasSetMathMode(p->blas_handle, p->math == MATH_TF32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH);
    f.cublasGetVersion_v2(p->blas_handle, &version);
    p->about[which] += " " + std::to_string(version);
    return true;
}

static bool open_cublaslt(GpuPeers *p)
{
    static const char *const names[] = {"libcublasLt.so", "libcublasLt.so.13", "libcublasLt.so.12", NULL};
    const GpuPeer which = PEER_CUBLASLT;
    auto &f = p->lt;
    std::string why;
    void *library = open_any(names, &why);
    if (!library) return p->about[which] += ": missing: " + why, false;
    CUBLASLT_FUNCTIONS(LOAD)
    if (f.cublasLtCreate(&p->lt_handle)) return p->about[which] += ": missing: it finds no usable GPU", false;
    p->about[which] += " " + std::to_string(f.cublasLtGetVersion());
    return true;
}
#endif

#ifdef HAVE_CUDNN
static bool open_cudnn(GpuPeers *p)
{
    static const char *const names[] = {"libcudnn.so", "libcudnn.so.9", NULL};
    const GpuPeer which = PEER_CUDNN;
    auto &f = p->dnn;
    std::string why;
    void *library = open_any(names, &why);
    if (!library) return p->about[which] += ": missing: " + why, false;
    CUDNN_FUNCTIONS(LOAD)
    if (f.cudnnCreate(&p->dnn_handle) || f.cudnnSetStream(p->dnn_handle, p->stream))
        return p->about[which] += ": missing: it finds no usable GPU", false;
    p->about[which] += " " + std::to_string(f.cudnnGetVersion());
    return true;
}
#endif

extern "C" GpuPeers *gpu_peers_open(Math math)
{
    GpuPeers *p = new GpuPeers();
    p->math = math;
    p->about[PEER_CUBLAS] = "cuBLAS";
    p->about[PEER_CUBLASLT] = "cuBLASLt";
    p->about[PEER_CUDNN] = "cuDNN";
    const bool stream = cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking) == cudaSuccess &&
                        cudaMalloc(&p->workspace.at, WORKSPACE) == cudaSuccess;
    if (!stream) cudaGetLastError();
#ifdef HAVE_CUBLAS
    p->there[PEER_CUBLAS] = open_cublas(p) && stream;
    p->there[PEER_CUBLASLT] = open_cublaslt(p) && stream;
#else
    for (GpuPeer w : {PEER_CUBLAS, PEER_CUBLASLT}) p->about[w] += ": missing: built without cublas_v2.h and cublasLt.h";
#endif
#ifdef HAVE_CUDNN
    p->there[PEER_CUDNN] = open_cudnn(p) && stream;
#else
    p->about[PEER_CUDNN] += ": missing: built without cudnn.h";
#endif
    return p;
}

extern "C" const char *gpu_peer_about(const GpuPeers *p, GpuPeer which) { return p->about[which].c_str(); }

// ---- products.  Column-major: C [m,n] = op(A) op(B) + beta C, so that the row-major result is its transpose.

struct Product {
    int m, n, k, lda, ldb, batch;
    bool ta, tb, add, bias, gelu;   // bias: of m values
};

static bool product_of(const OpCall *c, Pass pass, Product *g)
{
    const bool matmul = c->op == OP_matmul, gelu = c->op == OP_linear_gelu, residual = c->op == OP_linear_add;
    if (!(matmul || gelu || residual || c->op == OP_linear)) return false;
    if (pass == BWD || ((gelu || residual) && pass != FWD)) return false;
    if (matmul && ((const MatmulParams *)c->p)->trans_a) return false;
    const bool transposed = matmul && ((const MatmulParams *)c->p)->trans_b;   // W is stored [N,K]
    const Shape x = c->in[0]->shape, w = c->in[1]->shape;
    const int batch = matmul && x.n == 3 ? (int)x.d[0] : 1, K = (int)x.d[x.n - 1];
    const int N = (int)(transposed ? w.d[w.n - 2] : w.d[w.n - 1]), M = (int)(shape_numel(x) / batch / K);
    const int ldw = transposed ? K : N;
    if (pass == FWD) *g = Product{N, M, K, ldw, K, batch, transposed, false, residual, gelu || residual, gelu};
    else if (pass == DX) *g = Product{K, M, N, ldw, N, batch, !transposed, false, true, false, false};
    else if (transposed) *g = Product{K, N, M, K, N, batch, false, true, true, false, false};
    else *g = Product{N, K, M, N, K, batch, false, true, true, false, false};
    return true;
}

static bool room_for(GpuPeers *p, const Product &g)
{
    const bool bf16 = p->math == MATH_BF16;
    const size_t batch = (size_t)g.batch, m = (size_t)g.m, n = (size_t)g.n, k = (size_t)g.k;
    return room(p, &p->operand[0], batch * m * k, bf16) && room(p, &p->operand[1], batch * n * k, bf16) &&
           room(p, &p->result, batch * m * n, false) && room(p, &p->bias, m, false);
}

#ifdef HAVE_CUBLAS
static double cublas_seconds(GpuPeers *p, const Product &g)
{
    const float one = 1, beta = g.add ? 1.0f : 0.0f;
    const cudaDataType type = p->math == MATH_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const cublasComputeType_t compute = p->math == MATH_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    if (g.bias) return NAN;
    return seconds_of(p, [&] {
        return p->blas.cublasGemmStridedBatchedEx(
                   p->blas_handle, g.ta ? CUBLAS_OP_T : CUBLAS_OP_N, g.tb ? CUBLAS_OP_T : CUBLAS_OP_N, g.m, g.n, g.k,
                   &one, p->operand[0].at, type, g.lda, (long long)g.m * g.k, p->operand[1].at, type, g.ldb,
                   (long long)g.n * g.k, &beta, p->result.at, CUDA_R_32F, g.m, (long long)g.m * g.n, g.batch, compute,
                   CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS;
    });
}

static bool layout(GpuPeers *p, cublasLtMatrixLayout_t *l, cudaDataType type, bool transposed, int rows, int columns,
                   int ld, int batch)
{
    const int64_t stride = (int64_t)rows * columns;
    return !p->lt.cublasLtMatrixLayoutCreate(l, type, (uint64_t)(transposed ? columns : rows),
                                             (uint64_t)(transposed ? rows : columns), ld) &&
           !p->lt.cublasLtMatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch) &&
           !p->lt.cublasLtMatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                                   sizeof stride);
}

static double cublaslt_seconds(GpuPeers *p, const Product &g)
{
    enum { PROPOSALS = 3 };
    const float one = 1, beta = g.add ? 1.0f : 0.0f;
    const cudaDataType type = p->math == MATH_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const cublasComputeType_t compute = p->math == MATH_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t op_a = g.ta ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = g.tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue = g.gelu ? CUBLASLT_EPILOGUE_GELU_BIAS : g.bias ? CUBLASLT_EPILOGUE_BIAS
                                                                                      : CUBLASLT_EPILOGUE_DEFAULT;
    const size_t workspace = WORKSPACE;
    cublasLtMatmulDesc_t d = NULL;
    cublasLtMatrixLayout_t a = NULL, b = NULL, c = NULL;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found[PROPOSALS];
    int n = 0;
    auto &f = p->lt;
    double best = NAN;
    const bool ready = !f.cublasLtMatmulDescCreate(&d, compute, CUDA_R_32F) &&
                       !f.cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a) &&
                       !f.cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b) &&
                       !f.cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                                         sizeof epilogue) &&
                       (!g.bias || !f.cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias.at,
                                                                     sizeof p->bias.at)) &&
                       layout(p, &a, type, g.ta, g.m, g.k, g.lda, g.batch) &&
                       layout(p, &b, type, g.tb, g.k, g.n, g.ldb, g.batch) &&
                       layout(p, &c, CUDA_R_32F, false, g.m, g.n, g.m, g.batch) &&
                       !f.cublasLtMatmulPreferenceCreate(&preference) &&
                       !f.cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                               &workspace, sizeof workspace) &&
                       !f.cublasLtMatmulAlgoGetHeuristic(p->lt_handle, d, a, b, c, c, preference, PROPOSALS, found, &n);
    for (int i = 0; i < n && ready; i++) {
        const double t = seconds_of(p, [&] {
            return f.cublasLtMatmul(p->lt_handle, d, &one, p->operand[0].at, a, p->operand[1].at, b, &beta,
                                    p->result.at, c, p->result.at, c, &found[i].algo, p->workspace.at, workspace,
                                    p->stream) == CUBLAS_STATUS_SUCCESS;
        });
        if (!(best <= t) && !isnan(t)) best = t;
    }
    if (preference) f.cublasLtMatmulPreferenceDestroy(preference);
    for (cublasLtMatrixLayout_t l : {a, b, c})
        if (l) f.cublasLtMatrixLayoutDestroy(l);
    if (d) f.cublasLtMatmulDescDestroy(d);
    return best;
}
#endif

// ---- convolutions

#ifdef HAVE_CUDNN
static double cudnn_seconds(GpuPeers *p, const OpCall *c, Pass pass)
{
    const int64_t *x = c->in[0]->shape.d, *w = c->in[1]->shape.d, *y = c->out[0]->shape.d;
    const Conv2dParams *cp = (const Conv2dParams *)c->p;
    const bool bf16 = p->math == MATH_BF16;
    const cudnnDataType_t type = bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const float one = 1, zero = 0;
    auto &f = p->dnn;
    cudnnTensorDescriptor_t dx = NULL, dy = NULL;
    cudnnFilterDescriptor_t dw = NULL;
    cudnnConvolutionDescriptor_t dc = NULL;
    int n = 0;
    double t = NAN;
    const bool ready = !f.cudnnCreateTensorDescriptor(&dx) && !f.cudnnCreateTensorDescriptor(&dy) &&
                       !f.cudnnCreateFilterDescriptor(&dw) && !f.cudnnCreateConvolutionDescriptor(&dc) &&
                       !f.cudnnSetTensor4dDescriptor(dx, CUDNN_TENSOR_NHWC, type, (int)x[0], (int)x[3], (int)x[1],
                                                     (int)x[2]) &&
                       !f.cudnnSetTensor4dDescriptor(dy, CUDNN_TENSOR_NHWC, type, (int)y[0], (int)y[3], (int)y[1],
                                                     (int)y[2]) &&
                       !f.cudnnSetFilter4dDescriptor(dw, type, CUDNN_TENSOR_NHWC, (int)w[3], (int)w[2], (int)w[0],
                                                     (int)w[1]) &&
                       !f.cudnnSetConvolution2dDescriptor(dc, cp->pad, cp->pad, cp->stride, cp->stride, 1, 1,
                                                          CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT) &&
                       !f.cudnnSetConvolutionMathType(dc,
                                                      p->math == MATH_FP32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH) &&
                       room(p, &p->operand[0], (size_t)shape_numel(c->in[0]->shape), bf16) &&
                       room(p, &p->operand[1], (size_t)shape_numel(c->in[1]->shape), bf16) &&
                       room(p, &p->result, (size_t)shape_numel(c->out[0]->shape), bf16);
    Buffer work = {NULL, 0};
    void *px = p->operand[0].at, *pw = p->operand[1].at, *py = p->result.at;
    if (ready && pass == FWD) {
        cudnnConvolutionFwdAlgoPerf_t a;
        if (!f.cudnnFindConvolutionForwardAlgorithm(p->dnn_handle, dx, dw, dc, dy, 1, &n, &a) && n == 1 && !a.status &&
            !f.cudnnSetConvolutionMathType(dc, a.mathType) && room(p, &work, a.memory / 4 + 1, false))
            t = seconds_of(p, [&] {
                return !f.cudnnConvolutionForward(p->dnn_handle, &one, dx, px, dw, pw, dc, a.algo, work.at, a.memory,
                                                  &zero, dy, py);
            });
    } else if (ready && pass == DX) {
        cudnnConvolutionBwdDataAlgoPerf_t a;
        if (!f.cudnnFindConvolutionBackwardDataAlgorithm(p->dnn_handle, dw, dy, dc, dx, 1, &n, &a) && n == 1 &&
            !a.status && !f.cudnnSetConvolutionMathType(dc, a.mathType) && room(p, &work, a.memory / 4 + 1, false))
            t = seconds_of(p, [&] {
                return !f.cudnnConvolutionBackwardData(p->dnn_handle, &one, dw, pw, dy, py, dc, a.algo, work.at,
                                                       a.memory, &one, dx, px);
            });
    } else if (ready && pass == DW) {
        cudnnConvolutionBwdFilterAlgoPerf_t a;
        if (!f.cudnnFindConvolutionBackwardFilterAlgorithm(p->dnn_handle, dx, dy, dc, dw, 1, &n, &a) && n == 1 &&
            !a.status && !f.cudnnSetConvolutionMathType(dc, a.mathType) && room(p, &work, a.memory / 4 + 1, false))
            t = seconds_of(p, [&] {
                return !f.cudnnConvolutionBackwardFilter(p->dnn_handle, &one, dx, px, dy, py, dc, a.algo, work.at,
                                                         a.memory, &one, dw, pw);
            });
    }
    cudaFree(work.at);
    if (dx) f.cudnnDestroyTensorDescriptor(dx);
    if (dy) f.cudnnDestroyTensorDescriptor(dy);
    if (dw) f.cudnnDestroyFilterDescriptor(dw);
    if (dc) f.cudnnDestroyConvolutionDescriptor(dc);
    cudaGetLastError();
    return t;
}
#endif

static double product_seconds(GpuPeers *p, GpuPeer which, const Product &g)
{
    if (!room_for(p, g)) return NAN;
#ifdef HAVE_CUBLAS
    return which == PEER_CUBLAS ? cublas_seconds(p, g) : cublaslt_seconds(p, g);
#else
    return (void)which, NAN;
#endif
}

extern "C" double gpu_peer_seconds(GpuPeers *p, GpuPeer which, const OpCall *c, Pass pass)
{
    Product g;
    if (!p->there[which]) return NAN;
#ifdef HAVE_CUDNN
    if (which == PEER_CUDNN) return c->op == OP_conv2d ? cudnn_seconds(p, c, pass) : NAN;
#endif
    return product_of(c, pass, &g) ? product_seconds(p, which, g) : NAN;
}

extern "C" double gpu_peers_product(GpuPeers *p, int n)
{
    const Product g = {n, n, n, n, n, 1, false, false, false, false, false};
    double best = NAN;
    for (GpuPeer which : {PEER_CUBLAS, PEER_CUBLASLT}) {
        const double t = p->there[which] ? product_seconds(p, which, g) : NAN;
        if (!isnan(t) && !(best <= t)) best = t;
    }
    return 2.0 * n * n * n / best;
}
