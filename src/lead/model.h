// LEAD composed: frames -> vision encoder (E3) -> aggregator (E4) -> frozen GPT-2 with adapters (E5) -> conditions g
// and S (E6) -> conditional diffusion (E7).
#ifndef LEAD_LEAD_MODEL_H
#define LEAD_LEAD_MODEL_H

#include "lead/config.h"
#include "lead/flow.h"
#include "lead/vision.h"
#include "llm/adapter.h"
#include "llm/gpt2.h"
#include "tensor/graph.h"

// The sizes of the networks that the data set determines.
typedef struct LeadShape {
    int N, slots_per_day;
    int image_channels;       // 3 or 1 (E2)
    int target_channels;      // channels that the diffusion draws
    int context_channels;     // per-pixel context planes; 0 = none
} LeadShape;

typedef struct LeadModel {
    LeadConfig cfg;
    LeadShape shape;
    ParamSet *ps;
    Schedule schedule;
    Tensor *ab, *min_snr;             // [T+1] the schedule and the weights of the loss, on the device
    Tensor *sobel;                    // [3,3,1,2]
    Vision vision;
    Aggregator agg;
    Norm in_norm, out_norm, s_norm;
    Linear in1, in2, pool, g1, g2, s_proj;
    Gpt2 *llm;                        // NULL: another cfg.llm_kind stands for it, of its width
    int llm_width, llm_heads;
    Norm instead_norm;                // LLM_ATTENTION
    Attention instead;
    AdapterSet *adapters;             // NULL: none
    Tensor *null_g, *null_s;          // [cond_width], [M,cond_width]: the dropped conditions
    Tensor *pixel;                    // [N,N,P] learned embedding of each origin-destination pair
    UNet unet;
    FlowHeads heads;
    FlowDenoiser flow;
    const Rival *rival;               // another model in place of all that: NULL: LEAD
    RivalNet net;
    int64_t most_rows;                // samples of all windows that are drawn at once; 0: all.  Changes no bit
} LeadModel;

typedef struct Condition { Tensor *g, *s; } Condition;   // [B,cond_width], [B,M,cond_width]; NULL: there is none

// All that the denoiser is told beside x_t and t.  planes [R,N,N,C], of the U-Net; flows [R,F,flow_hidden], of the flow
// denoiser (flow_condition); NULL where there is none.
typedef struct Known { Condition c; Tensor *planes, *flows; } Known;

// One batch on the tape.  frames [B,H,N,N,image]; slot and dow (day of the week) I32 [B,H]; context [B,N,N,context] or
// NULL; target [B,N,N,target], in training only; weight [B,N,N,target], the root of each pixel's traffic share, NULL
// when loss_traffic = 0; seen [B,F,Kt], in training only: 0 where the target was not measured, else 1; NULL: all 1.
// For decoding: window [B,W,F], the matrices in scale s; base [B,K,F], the cheap forecast, NULL: the last matrix; units
// of the residual.  With heads: trust [F,K], what location and log scale are multiplied by (0: a flow keeps its base);
// moments of lead_moments.  rival: what another model sees, which sees nothing else; frames, target are
// then NULL; levels [B,F,K]: its target where that is not the residual.
typedef struct LeadBatch {
    Tensor *frames, *slot, *dow, *context, *target, *weight, *seen, *window, *base, *trust;
    const ResidualUnits *units;
    ResidualMoments moments;
    RivalInput rival;
    Tensor *levels;
} LeadBatch;

// Registers all parameters in ps and reads the LLM from cfg.llm.  Errors: those of gpt2_load; more tokens than the LLM
// has positions.
Status lead_model_new(LeadModel *m, ParamSet *ps, const LeadConfig *cfg, const LeadShape *shape, Arena *scratch);

// Location and log scale of a batch's residuals, as constants; both NULL without heads.  b->moments takes them before
// lead_sample and lead_data_decode.
ResidualMoments lead_moments(Tape *t, const LeadModel *m, const LeadBatch *b);

// The conditions g and S of a batch (E3..E6), those of cfg.conditions.
Condition lead_condition(Tape *t, const LeadModel *m, const LeadBatch *b);
// Replaces the conditions of the rows with keep[i] = 0 (others: 1) by the learned null condition (classifier-free
// guidance).  keep [B]
Condition lead_condition_drop(Tape *t, const LeadModel *m, Condition c, Tensor *keep);
// What the denoiser is told of a batch: conditions c, planes, the flow denoiser's condition.
Known lead_known(Tape *t, const LeadModel *m, const LeadBatch *b, Condition c);
// The network's output (eps, v or x0) at x [R,N,N,target], time [R] -> like x.  With the flow denoiser alone time may
// be [R F]: one for each flow.
Tensor *lead_denoise(Tape *t, const LeadModel *m, Tensor *x, Tensor *time, const Known *k);

// The estimate of x0 that the network's output at xt means.  ab: one for each row of xt
Tensor *lead_implied_x0(Tape *t, const LeadModel *m, Tensor *xt, Tensor *out, Tensor *ab);
// What the diffusion draws of a batch with b->moments: its target; with heads what they leave of the residual.
Tensor *lead_shape_target(Tape *t, const LeadModel *m, const LeadBatch *b);

// Training loss of a batch (E7), one value.  Times, noise and condition dropout are drawn at the addresses (seed, site,
// step of the tape: tape_set_step).
Tensor *lead_loss(Tape *t, const LeadModel *m, const LeadBatch *b);

// Whether samples are drawn in antithetic pairs: cfg.antithetic, and an even number of samples.
bool lead_antithetic(const LeadConfig *cfg);

// A recorded sampling and its key: the values that are fixed in the record, which may be run again only when they are
// the same.
typedef struct LeadSamplingKey { int B, S; double guidance; Sampler sampler; const void *at[7]; } LeadSamplingKey;
typedef struct LeadSampling { LeadSamplingKey key; Repeated work; } LeadSampling;

// Draws S samples for each of the B windows -> [B*S,N,N,target], row b*S + s.  Sample s of window b draws its random
// numbers from row (window[b] * S + s) of the address (seed, SITE_SAMPLE), so it depends neither on how windows are
// batched nor on how many ranks share the rows.  With cfg.antithetic and S even, samples 2 i and 2 i + 1 are antithetic
// (diffusion/sampler.h).
// again: {0} at first.  Samplings that share it run from one recorded graph, where the device can record and as long as
// sizes, sampler and the addresses of the batch stay the same.  NULL: not recorded; nor is one of more than most_rows.
Tensor *lead_sample(Tape *t, const LeadModel *m, const LeadBatch *b, int B, int S, const int64_t *window,
                    LeadSampling *again);

#endif
