// What a kernel is called with, the parameter struct of each op that has one, and the kernel prototypes that
// expanding ops.def yields.  Shapes of inputs and outputs are given in the op's ref/<op>.inl.
#ifndef LEAD_TENSOR_OPS_H
#define LEAD_TENSOR_OPS_H

#include "tensor/tensor.h"

enum { OP_MAX_IN = 9, OP_MAX_OUT = 4 };

typedef enum OpId {
#define OP(name, ...) OP_##name,
#include "tensor/ops.def"
#undef OP
    OP_COUNT
} OpId;

// Forward reads in[i]->x and writes out[j]->x.  Backward reads in[i]->x, out[j]->x and out[0]->g, and ADDS to
// in[i]->g of every input whose g is not NULL.  Optional inputs are NULL.  Kernels allocate nothing but scratch.
typedef struct OpCall {
    OpId op;
    int n_in, n_out;
    Tensor *in[OP_MAX_IN];
    Tensor *out[OP_MAX_OUT];
    const void *p;           // the op's parameter struct below, or NULL
    Arena *scratch;          // rewound by the caller of the kernel
} OpCall;

typedef void Kernel(const OpCall *c);

typedef struct { double alpha, beta; } ScaleParams;                      // y = alpha x + beta
typedef struct { double limit; } ClampParams;
typedef struct { bool trans_a, trans_b; double alpha; } MatmulParams;    // alpha multiplies the product
typedef struct { int stride, pad; } Conv2dParams;
typedef struct { double eps; } LayerNormParams;
typedef struct { int groups; bool silu; double eps; } GroupNormParams;   // also adagn; silu: SiLU after the affine part
typedef struct { bool silu; } FilmParams;
typedef struct { int heads; bool causal; int64_t keys; } AttentionParams;   // keys: the first so many of k, v; 0 = all
typedef struct { int64_t start; } CachePutParams;                        // row of the cache that takes the first of x
typedef struct { int axis; } ConcatParams;
typedef struct { int axis; int64_t start; } SliceParams;                 // length: out's shape
typedef struct { int perm[MAX_DIMS]; } PermuteParams;                    // out axis i = in axis perm[i]
typedef struct { int top, bottom, left, right; } Pad2dParams;            // also crop2d
typedef struct { double delta; } HuberParams;
typedef struct { double fair; } CrpsPairParams;   // 1 fair, 0 of the pair as an ensemble, or between
typedef enum ConvertKind {        // E7; a = first input, b = second, ab = alpha_bar of each row
    V_FROM_X0_EPS,                // a = x0, b = eps:   v   = sqrt(ab) b - sqrt(1-ab) a
    X0_FROM_XT_V,                 // a = x_t, b = v:    x0  = sqrt(ab) a - sqrt(1-ab) b
    EPS_FROM_XT_V,                // a = x_t, b = v:    eps = sqrt(ab) b + sqrt(1-ab) a
    X0_FROM_XT_EPS,               // a = x_t, b = eps:  x0  = (a - sqrt(1-ab) b) / sqrt(ab)
    EPS_FROM_XT_X0,               // a = x_t, b = x0:   eps = (a - sqrt(ab) b) / sqrt(1-ab)
} ConvertKind;
typedef struct { ConvertKind kind; } ConvertParams;
typedef struct { double max_period; } TimestepEmbedParams;
// what the network is to predict (E7)
typedef enum DiffuseTarget { DIFFUSE_EPS, DIFFUSE_V, DIFFUSE_X0 } DiffuseTarget;
typedef struct { double a, b, c; } SamplerStepParams;                    // y = a x + b d + c z
// The address of random numbers: philox(seed, subsequence = site<<32 | step, draw offset); see philox.h.
// An op that draws has an optional last input, a clock: I32 [1], 32 bits that kernels add to step (modulo 2^32).  Work
// that is recorded once (tensor/graph.h) draws other numbers each time, since the clock is read when the kernel runs.
typedef struct { uint64_t seed; uint32_t site, step; uint64_t offset; } RandomAddress;
// The address under the clock that input i of c is, if it is there.  For kernels that may read c's values: the CPU's.
static inline RandomAddress random_address(RandomAddress at, const OpCall *c, int i)
{
    if (i < c->n_in && c->in[i]) at.step += *(const uint32_t *)c->in[i]->x;
    return at;
}
typedef struct { RandomAddress at; double p; } DropoutParams;
typedef struct { RandomAddress at; int64_t row0; } RandnParams;          // row r is draws of row row0+r
typedef struct { RandomAddress at; DiffuseTarget target; } DiffuseParams;
typedef struct { RandomAddress at; int64_t parts; double drop; } DiffusionTimesParams;  // at.site is not used
typedef struct { double beta1, beta2, eps, decay, clip; int64_t decayed; } AdamwParams;   // decay: of the first values

#define KERNEL_DECL_Y(sym) Kernel sym;
#define KERNEL_DECL_N(sym)
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops)                             \
    Kernel name##_fwd_f32, name##_fwd_f64;                                              \
    KERNEL_DECL_##diff(name##_bwd_f32) KERNEL_DECL_##diff(name##_bwd_f64)               \
    KERNEL_DECL_##sf(name##_fwd_avx2) KERNEL_DECL_##sf(name##_fwd_avx512)               \
    KERNEL_DECL_##sb(name##_bwd_avx2) KERNEL_DECL_##sb(name##_bwd_avx512)               \
    KERNEL_DECL_##cf(name##_fwd_cuda) KERNEL_DECL_##cb(name##_bwd_cuda)
#include "tensor/ops.def"
#undef OP
// cpu_simd/linear_bf16.h
Kernel linear_fwd_avx512bf16, linear_gelu_fwd_avx512bf16, linear_silu_fwd_avx512bf16, linear_add_fwd_avx512bf16;

typedef struct OpInfo {
    const char *name;
    bool diff;
    double ulps;
} OpInfo;

const OpInfo *op_info(OpId op);
bool op_is_linear(OpId op);          // linear, linear_gelu, ..: input 1 is a weight, perhaps packed (tensor/pack.h)
DType op_out_type(OpId op);          // of all outputs
double op_flops(const OpCall *c);    // of the forward pass, by the row's formula

// What one kernel call does, for the profile and the benchmarks.
typedef struct OpWork {
    double flops;      // forward: op_flops; backward: that for each product gradient wanted, attention 2 x, others 1 x
    double needed;     // of them: those that the result needs (of causal attention the triangle of the scores)
    double bytes;      // operands read once, results written once; a gradient is read and written, since it is added to
    double written;    // of bytes
} OpWork;

// Backward: of the inputs whose g is not NULL.
OpWork op_work(const OpCall *c, bool backward);

#endif
