// Networks over single flows [D]: they see what is known of one flow (its context planes, lead/data.h, and, unless
// these hold its statistics, a learned embedding of its pair of nodes) and share their weights among all flows.
// Without the embedding no weight depends on the nodes, so the same networks serve any traffic.
//   heads       location and log scale of the residual z of E7, for each of the next K steps
//   denoiser    draws the shape that is left, (z - location) exp(-log scale), with the K steps as one vector
// Trunk: linear and SiLU, then residual layers h + silu(W h + b).  All last layers start at 0: untrained heads say that
// the cheap forecast is right.
#ifndef LEAD_LEAD_FLOW_H
#define LEAD_LEAD_FLOW_H

#include "autograd/traffic.h"
#include "nn/layers.h"

enum { FLOW_TRUNK_LAYERS = 2, FLOW_DENOISER_LAYERS = 3, FLOW_PAIR_WIDTH = 16 };

typedef struct FlowSizes {
    int64_t flows, planes, steps;        // F, C, K; flows = 0: no embedding of pairs
    int width, hidden;                   // of the trunks; of the denoiser
    int cond_width;                      // of the condition g; 0: none
} FlowSizes;

typedef struct FlowTrunk { Tensor *pair; Linear in, layer[FLOW_TRUNK_LAYERS]; } FlowTrunk;   // pair [F,16] or NULL
typedef struct FlowHeads { FlowTrunk trunk; Linear location, log_scale; } FlowHeads;
typedef struct FlowDenoiser {
    FlowTrunk trunk;
    Linear condition, in, time, from_t, from_g, layer[FLOW_DENOISER_LAYERS], out;            // from_g.w = NULL: no g
} FlowDenoiser;

// location, log_scale: which of the two there are.
FlowHeads flow_heads_new(ParamSet *ps, const char *prefix, const FlowSizes *s, bool location, bool log_scale);
// planes [B,F,C] -> [B,F,K] each, NULL for a head that is not there.  With gradients.
ResidualMoments flow_heads_apply(Tape *t, const FlowHeads *h, Tensor *planes);

// What the heads are trained on: Huber loss (delta 4) of the location against the residual, and half the squared error
// of the log scale against the logarithm of the residual's distance from the location.  fit: of flow_heads_apply; use:
// the same as constants.  u, base, units, history as in tape_residual_target; seen [B,F,K]: 0 where the residual counts
// nothing, else 1, NULL: all 1 -> one value, the mean over all
Tensor *flow_heads_loss(Tape *t, ResidualMoments fit, ResidualMoments use, Tensor *u, Tensor *base,
                        const ResidualUnits *units, int history, Tensor *seen);

FlowDenoiser flow_denoiser_new(ParamSet *ps, const char *prefix, const FlowSizes *s);
// What the denoiser needs to know of each flow, which is the same for all times and samples.  planes [B,F,C], moments
// [B,F,K] (none: NULL) -> [B,F,hidden]
Tensor *flow_condition(Tape *t, const FlowDenoiser *d, Tensor *planes, ResidualMoments m);
// x [R,P,K] and its times [R], condition [R,P,hidden] -> the network's output, like x.  g [G,cond_width] or NULL: row j
// belongs to the rows j R/G .. of x.
Tensor *flow_denoise(Tape *t, const FlowDenoiser *d, Tensor *x, Tensor *time, Tensor *condition, Tensor *g);

#endif
