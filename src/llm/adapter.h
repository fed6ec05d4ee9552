// Bottleneck adapters after each block of a frozen GPT-2 (E5):
//   h <- h + a_l * Up(LN(GELU(MSConv(LN(Down(h))))))          h [N,T,D], bottleneck width C
//   MSConv(x) = g * conv(x) + (1 - g) * x,   g = sigmoid(Linear_g(x))
//   conv(x)   = Fuse([Point3(DW3(x)), Point5(DW5(x))])        DWk: depthwise temporal convolution of kernel k,
//                                                             Pointk: linear C -> C, Fuse: concat, linear 2C -> C
// a_l: one learned number per layer, starting at 1.  Up starts at zero, so training starts from plain GPT-2, bit for
// bit [D].  The convolutions look both ways in time, as LEAD's M condition tokens have no future to leak.  For text,
// `causal` shifts them so that token t sees only t-k+1..t.
#ifndef LEAD_LLM_ADAPTER_H
#define LEAD_LLM_ADAPTER_H

#include "llm/gpt2.h"
#include "nn/layers.h"

typedef struct AdapterConfig {
    int64_t bottleneck;          // C; 128 in the paper's code
    double up_std;               // initial standard deviation of Up; 0 = exact identity at the start
    bool causal;
} AdapterConfig;

typedef struct AdapterScale { Tensor *w, *b; Linear point; } AdapterScale;   // one kernel size of MSConv

typedef struct Adapter {
    Linear down, up, fuse, gate;
    Norm ln_in, ln_out;
    AdapterScale scale[2];       // kernels 3 and 5
    Tensor *a;                   // a_l, a scalar
} Adapter;

typedef struct AdapterSet {
    AdapterConfig c;
    int layers;
    Adapter *layer;
} AdapterSet;

// Registers "<prefix>.0.down.weight", ... for each of `layers` blocks of width D.  The set lives in ps->perm.
AdapterSet *adapter_new(ParamSet *ps, const char *prefix, int layers, int64_t width, const AdapterConfig *c);
// h [N,T,D] -> [N,T,D]
Tensor *adapter_apply(Tape *t, const AdapterSet *s, int layer, Tensor *h);
// The hook that applies s after each block: hook = adapter_hook(s); gpt2_forward_embeds(t, m, x, &hook).
Gpt2Hook adapter_hook(AdapterSet *s);

#endif
