// The tape: an eager record of op calls.  Program order is the topological order, backward is a reverse loop.
//
//   Tape t; tape_init(&t, &device, step_arena, scratch_arena);
//   for each step:  tape_reset(&t);  y = tape_linear(&t, x, w, b);  loss = ...;  tape_backward(&t, loss);
//
// Every tape_<op> checks its shapes (a mismatch is a bug: CHECK), allocates outputs in the step arena, runs the
// device's forward kernel and, when some input needs a gradient, records the call.  Values live until tape_backward.
// Gradients: a tensor that needs none has g = NULL and costs nothing.  tape_backward gives each activation a zeroed g
// and takes it back, and its values, once every call that reads them has run, for later gradients.  Leaves (data,
// parameters) and the tensor that backward starts from keep theirs.  Parameters bring their own g buffer, to which
// backward ADDS: zero it before each step.
#ifndef LEAD_AUTOGRAD_TAPE_H
#define LEAD_AUTOGRAD_TAPE_H

#include "tensor/device.h"
#include "tensor/ops.h"
#include "tensor/philox.h"
#include "tensor/ranks.h"

typedef struct Tape {
    const Device *dev;
    Arena *step, *scratch;
    OpCall **node;           // recorded calls, in program order; grows in the step arena
    int n_nodes, cap;
    bool record;             // false: inference, nothing is kept for backward
    bool training;           // dropout is on
    uint64_t seed;           // with the clock and a per-call counter: the address of dropout's random numbers
    uint32_t rng_step;       // the clock's value; tape_set_step sets both
    Tensor *clock;           // I32 [1] in the step arena, kept by tape_reset: the step, where kernels find it
    void *one;               // the real number 1 on the device: backward starts from it
    RowPart part;            // of a batch that is divided among ranks: this tape's rows; of = 0: it has all of them.
                             // What is drawn for a row has the address that it has in the whole batch
    uint32_t n_dropout;      // dropout calls since tape_reset: the per-call counter of their addresses
    struct Spare *spare;     // during backward: memory of gradients that nobody reads again, for new ones
    unsigned char *zeros;    // and, on a GPU, n_zeros bytes that were cleared at once
    size_t n_zeros;
    int n_spare;
    size_t step_mark;        // tape_reset rewinds the step arena to here
    struct Profile *profile; // measures every kernel of training (autograd/profile.h); NULL: off
} Tape;

void tape_init(Tape *t, const Device *dev, Arena *step, Arena *scratch);
void tape_reset(Tape *t);                       // forgets nodes, rewinds the step arena to where tape_init found it
void tape_backward(Tape *t, Tensor *loss);      // loss has one value; d loss / d loss = 1
void tape_backward_from(Tape *t, Tensor *y);    // y->g was set by the caller (tape_grad): any shape
void *tape_grad(Tape *t, Tensor *y);            // y's gradient buffer, allocated and zeroed when it has none

// y = fn(arg, t, x) without keeping the activations between x and y: backward computes them again and drops them again
// (activation checkpointing).  Dropout draws the same numbers the second time, so values and gradients are those of fn
// alone, bit for bit.  fn depends on x and on leaves (parameters) only, y has x's shape, arg lives until tape_reset.
typedef Tensor *TapeSegmentFn(void *arg, Tape *t, Tensor *x);
Tensor *tape_segment(Tape *t, TapeSegmentFn *fn, void *arg, Tensor *x);

// A scope: a part of a forward pass of which only one tensor is read later.  While the tape records, both calls do
// nothing, as backward reads what the part computed.  Otherwise begin makes room for the result, of the shape that end
// will be given, and end copies it there and rewinds the step arena: everything else that was made since begin is gone,
// addresses repeat, and under the address sanitizer reading it is an error.  end may be called again, with a later
// result of the same shape that takes the place of the first: the state that goes through the blocks of a network.
typedef struct TapeScope { Tensor *y; size_t mark; } TapeScope;   // y NULL: the tape records
TapeScope tape_scope_begin(Tape *t, Shape result);
Tensor *tape_scope_end(Tape *t, const TapeScope *s, Tensor *y);

// Sets the step of the random addresses from here on: rng_step, and its copy on the device, the clock.  Ops that draw
// random numbers take the clock as their last input and read it when they run (tensor/ops.h), so setting it is all that
// a recorded step needs to run as another step.
void tape_set_step(Tape *t, uint32_t step);

// Data of one step: a tensor in the step arena that needs no gradient.
Tensor *tape_tensor(Tape *t, Shape s);
Tensor *tape_from_f32(Tape *t, Shape s, const float *src);
Tensor *tape_from_i32(Tape *t, Shape s, const int32_t *src);
Tensor *tape_zeros(Tape *t, Shape s);

// Generic call: outputs as given by shapes, params copied.  The checked calls below are built on it.
OpCall *tape_op(Tape *t, OpId op, int n_in, Tensor *const *in, int n_out, const Shape *out, const void *p,
                size_t p_size);
// Runs a kernel in place on tensors that exist (optimiser ops); never recorded.
void tape_run(Tape *t, OpId op, int n_in, Tensor *const *in, int n_out, Tensor *const *out, const void *p);

// ---- elementwise.c
Tensor *tape_add(Tape *t, Tensor *a, Tensor *b);          // b's shape is a's, or a suffix of it (bias, position)
Tensor *tape_mul(Tape *t, Tensor *a, Tensor *b);          // the same
Tensor *tape_mul_rows(Tape *t, Tensor *a, Tensor *s);     // a [P.., R..] * s [P.., (1)]: one factor for each row
Tensor *tape_scale(Tape *t, Tensor *a, double alpha, double beta);   // alpha a + beta
Tensor *tape_relu(Tape *t, Tensor *a);
Tensor *tape_silu(Tape *t, Tensor *a);
Tensor *tape_gelu_tanh(Tape *t, Tensor *a);
Tensor *tape_gelu_erf(Tape *t, Tensor *a);
Tensor *tape_sigmoid(Tape *t, Tensor *a);
Tensor *tape_tanh(Tape *t, Tensor *a);
Tensor *tape_softplus(Tape *t, Tensor *a);
Tensor *tape_clamp(Tape *t, Tensor *a, double limit);     // into [-limit, limit]; no gradient
// a itself when not training or p = 0.  With a part, the values belong to its rows, equally many to each, in order
Tensor *tape_dropout(Tape *t, Tensor *a, double p);

// ---- linear.c
// [M,K][K,N] or batched [B,M,K][B,K,N]
Tensor *tape_matmul(Tape *t, Tensor *a, Tensor *b, bool trans_a, bool trans_b);
Tensor *tape_linear(Tape *t, Tensor *x, Tensor *w, Tensor *b);        // [..,K] [K,N] [N] or NULL -> [..,N]
Tensor *tape_linear_gelu(Tape *t, Tensor *x, Tensor *w, Tensor *b);   // gelu_tanh(x w + b)
Tensor *tape_linear_silu(Tape *t, Tensor *x, Tensor *w, Tensor *b);   // silu(x w + b)
// (x w + b) + r, r [..,N] like the result.  On the CPU these three fused ops give the same bits as two calls: linear,
// then the other op.
Tensor *tape_linear_add(Tape *t, Tensor *x, Tensor *w, Tensor *b, Tensor *r);

// ---- conv.c
Tensor *tape_conv2d(Tape *t, Tensor *x, Tensor *w, Tensor *b, int stride, int pad);   // [N,H,W,C] [KH,KW,C,O] [O]|NULL
// Several convolutions of one image.  x [N,H,W,C]; branch m: w[m] [k,k,C,O_m], k odd and at least the previous branch's
// k, b[m] [O_m] or NULL; stride 1, pad k/2.  -> [N,H,W,O_0 + ..], branches side by side; 1 <= n <= CONV_BRANCHES
enum { CONV_BRANCHES = (OP_MAX_IN - 1) / 2 };
Tensor *tape_conv2d_multi(Tape *t, Tensor *x, int n, Tensor *const *w, Tensor *const *b);
Tensor *tape_dwconv1d(Tape *t, Tensor *x, Tensor *w, Tensor *b);      // [N,T,C] [K,C] [C]|NULL, K odd, same length
Tensor *tape_upsample2(Tape *t, Tensor *x);                           // nearest, [N,H,W,C] -> [N,2H,2W,C]
Tensor *tape_avgpool2(Tape *t, Tensor *x);                            // 2x2, H and W even
Tensor *tape_global_avgpool(Tape *t, Tensor *x);                      // [N,..,C] -> [N,C]
Tensor *tape_global_maxpool(Tape *t, Tensor *x);

// ---- norm.c    (S = everything between the first and the last dimension)
Tensor *tape_layer_norm(Tape *t, Tensor *x, Tensor *gamma, Tensor *beta, double eps);               // over the last dim
// [N,S..,C], eps 1e-5
Tensor *tape_group_norm(Tape *t, Tensor *x, Tensor *gamma, Tensor *beta, int groups, bool silu);
// s [N,2C] = (gamma, beta): (1+gamma) GN(x) + beta
Tensor *tape_adagn(Tape *t, Tensor *x, Tensor *s, int groups, bool silu);
Tensor *tape_film(Tape *t, Tensor *x, Tensor *s, bool silu);                // (1+gamma) x + beta

// ---- attention.c
Tensor *tape_softmax(Tape *t, Tensor *x);                                   // over the last dim
// [N,Tq,D] [N,Tk,D] [N,Tk,D]
Tensor *tape_attention(Tape *t, Tensor *q, Tensor *k, Tensor *v, int heads, bool causal);
// Causal, over the first `keys` rows of k and v [N,L,D]; query i of Tq is the one at position keys - Tq + i.
Tensor *tape_attention_cached(Tape *t, Tensor *q, Tensor *k, Tensor *v, int heads, int64_t keys);
// cache[:, start : start + T] = x, in place: cache [N,L,D], x [N,T,D].  Never recorded.
void tape_cache_put(Tape *t, Tensor *cache, Tensor *x, int64_t start);

// ---- scan.c
// Mamba's state space of N states a channel: x, delta [B,T,C], decay [C,N] (negative: states fade), in, out [B,T,N],
// skip [C] -> [B,T,C].   h_t = exp(delta_t decay) h_{t-1} + delta_t in_t x_t,  y_t = out_t h_t + skip x_t
Tensor *tape_selective_scan(Tape *t, Tensor *x, Tensor *delta, Tensor *decay, Tensor *in, Tensor *out, Tensor *skip);

// ---- shape.c
Tensor *tape_reshape(Tape *t, Tensor *x, Shape s);                          // a view: same numel, shares x and g
Tensor *tape_embedding(Tape *t, Tensor *table, Tensor *idx);                // [V,D], I32 [..] -> [..,D]
Tensor *tape_concat(Tape *t, Tensor *const *in, int n, int axis);           // 1 <= n <= OP_MAX_IN
Tensor *tape_slice(Tape *t, Tensor *x, int axis, int64_t start, int64_t len);
Tensor *tape_permute(Tape *t, Tensor *x, const int *perm);                  // out axis i = in axis perm[i]
Tensor *tape_pad2d(Tape *t, Tensor *x, int top, int bottom, int left, int right);   // zeros around [N,H,W,C]
Tensor *tape_crop2d(Tape *t, Tensor *x, int top, int bottom, int left, int right);

// ---- loss.c    (all return one value, shape [1]; mean over all elements unless said)
Tensor *tape_sum(Tape *t, Tensor *x);
Tensor *tape_mean(Tape *t, Tensor *x);
Tensor *tape_mse(Tape *t, Tensor *a, Tensor *b);
// w [P]: weight of each row; sum w (a-b)^2 / numel
Tensor *tape_wmse(Tape *t, Tensor *a, Tensor *b, Tensor *w);
Tensor *tape_huber(Tape *t, Tensor *a, Tensor *b, double delta);
// CRPS of two independent draws a, b against y; fair: 1 the fair score, 0 that of the two as an ensemble, or between
Tensor *tape_crps_pair(Tape *t, Tensor *a, Tensor *b, Tensor *y, double fair);
// [R,V], I32 [R], mean over rows; target -1 = ignored
Tensor *tape_cross_entropy(Tape *t, Tensor *logits, Tensor *target);

// ---- diffusion.c (E7; ab = alpha_bar of each row, [N])
// [N] -> [N,dim], sin then cos, max period 10000
Tensor *tape_timestep_embed(Tape *t, Tensor *time, int dim);
Tensor *tape_q_sample(Tape *t, Tensor *x0, Tensor *eps, Tensor *ab);        // sqrt(ab) x0 + sqrt(1-ab) eps
// Between eps, v and x0: a, b [N,..] as kind names them (tensor/ops.h) -> like a
Tensor *tape_convert(Tape *t, Tensor *a, Tensor *b, Tensor *ab, ConvertKind kind);
// a x + b d + c z; z may be NULL
Tensor *tape_sampler_step(Tape *t, Tensor *x, Tensor *d, Tensor *z, double a, double b, double c);
// Standard normals.  Row r holds the draws of row row0 + r of the address; with row, I32 [R,2] = (lo, hi), those of row
// lo[r] + 2^32 hi[r].
Tensor *tape_randn(Tape *t, Shape s, RandomAddress at, int64_t row0);
Tensor *tape_randn_clock(Tape *t, Shape s, RandomAddress at, int64_t row0);   // the clock is added to at.step
Tensor *tape_randn_rows(Tape *t, Shape s, RandomAddress at, Tensor *row);
// The times of a training batch.  clock: I32 [1] that is added to at.step, or NULL.  ab (alpha_bar) and weight (of the
// loss) [T+1] -> time, and ab and weight at it, and keep (0 in a share `drop` of the rows, else 1), [B] each.  Row b
// draws from part b mod parts of that many equal parts of all times.  at.offset: rows of the whole batch before row 0.
typedef struct DiffusionTimes { Tensor *time, *ab, *weight, *keep; } DiffusionTimes;
DiffusionTimes tape_diffusion_times(Tape *t, Tensor *ab, Tensor *weight, int64_t B, int64_t parts, RandomAddress at,
                                    double drop, Tensor *clock);
// x0 [N,..], ab [N] -> x_t, and the target that the network is to predict, like x0.  The noise is drawn at `at`.
typedef struct Diffused { Tensor *xt, *target; } Diffused;
Diffused tape_diffuse(Tape *t, Tensor *x0, Tensor *ab, RandomAddress at, DiffuseTarget target, Tensor *clock);

// ---- optim.c
// log[step mod K] = x[0..n): keeps n values of this step for the host, which reads them some steps later.  log [K,n],
// x [1] each.  Never recorded.
void tape_log_put(Tape *t, Tensor *log, Tensor *const *x, int n);

#endif
