// Layers: a few parameters and the tape calls that use them.  Weight layouts: linear [in,out], convolution [KH,KW,C,O].
// Initial values: linear and convolution uniform with half width 1/sqrt(fan in) (PyTorch's default), biases zero;
// `zero` starts a last layer at 0, so that its residual branch begins as the identity.
#ifndef LEAD_NN_LAYERS_H
#define LEAD_NN_LAYERS_H

#include "autograd/tape.h"
#include "nn/params.h"

// Every <layer>_new registers its parameters in ps under "<prefix>."; a duplicate name is a bug.  Every <layer>_apply
// and <layer>_into records tape calls; shapes that do not fit are a bug (CHECK).
typedef struct Linear { Tensor *w, *b; } Linear;
Linear linear_new(ParamSet *ps, const char *prefix, int64_t in, int64_t out, bool zero);
Tensor *linear_apply(Tape *t, const Linear *l, Tensor *x);                  // [..,in] -> [..,out]
// r + dropout(linear(x)), r [..,out]: one fused op when the tape is not training or dropout = 0
Tensor *linear_into(Tape *t, const Linear *l, Tensor *x, Tensor *r, double dropout);

typedef struct Conv { Tensor *w, *b; int stride, pad; } Conv;
// A square kernel [kernel,kernel,in,out]; pad = kernel/2.
Conv conv_new(ParamSet *ps, const char *prefix, int kernel, int64_t in, int64_t out, int stride, bool zero);
Tensor *conv_apply(Tape *t, const Conv *l, Tensor *x);                      // [N,H,W,in] -> [N,H/stride,W/stride,out]

typedef struct Norm { Tensor *gamma, *beta; int groups; } Norm;             // groups = 0: LayerNorm
Norm layernorm_new(ParamSet *ps, const char *prefix, int64_t width);
// 32 groups, or the most <= 32 that divide channels
Norm groupnorm_new(ParamSet *ps, const char *prefix, int64_t channels);
int group_count(int64_t channels);
Tensor *norm_apply(Tape *t, const Norm *l, Tensor *x, bool silu);           // silu only with GroupNorm

// Multi-head attention with its four projections: queries from x [N,Tq,width], keys and values from kv
// [N,Tk,kv_width] (kv = x: self-attention).  -> r + dropout(attention), r [N,Tq,width]
typedef struct Attention { Linear q, k, v, o; int heads; } Attention;
Attention attention_new(ParamSet *ps, const char *prefix, int64_t width, int64_t kv_width, int heads, bool zero_out);
Tensor *attention_into(Tape *t, const Attention *l, Tensor *x, Tensor *kv, bool causal, Tensor *r, double dropout);

// x + dropout(linear(GELU(linear(LN x)))); hidden is the width in between, usually 4 * width.
typedef struct Mlp { Norm ln; Linear fc, proj; } Mlp;
Mlp mlp_new(ParamSet *ps, const char *prefix, int64_t width, int64_t hidden);
Tensor *mlp_into(Tape *t, const Mlp *l, Tensor *x, double dropout);

#endif
