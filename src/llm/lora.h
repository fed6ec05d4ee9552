// LoRA (Hu et al. 2021) on the projections of a frozen GPT-2: E5 names it as the alternative to the adapters.
//   y = x W + b + (alpha / r) (x A) B      A [in,r] uniform +-1/sqrt(in), B [r,out] zero: starts as plain GPT-2
// A and B are stored [in,out] like all weights here; PEFT's lora_A.weight and lora_B.weight are their transposes.
#ifndef LEAD_LLM_LORA_H
#define LEAD_LLM_LORA_H

#include "llm/gpt2.h"

typedef enum LoraTarget {        // which projections of every block
    LORA_C_ATTN = 1, LORA_C_PROJ = 2, LORA_MLP_FC = 4, LORA_MLP_PROJ = 8, LORA_ALL = 15
} LoraTarget;

typedef struct LoraConfig {
    int64_t rank;                // r >= 1
    double alpha;
    unsigned targets;            // LoraTarget values, or'ed
} LoraConfig;

// Parses "c_attn,c_proj,mlp.c_fc,mlp.c_proj" (any non-empty subset; "all") into targets.
Status lora_targets_parse(const char *text, unsigned *targets);
// Registers "<prefix>.h.0.attn.c_attn.lora_A.weight", ... and attaches them to m: every forward pass uses them.
void lora_attach(ParamSet *ps, const char *prefix, Gpt2 *m, const LoraConfig *c);
// The same on one projection: "<prefix>.<name>.lora_A.weight" [in,rank], lora_B.weight [rank,out]; scale is what
// alpha / r is above.
void lora_attach_one(ParamSet *ps, const char *prefix, Gpt2Projection *p, const char *name, int64_t rank, double scale);
// W <- W + (alpha / r) A B in every projection that carries LoRA, rounded once; then takes LoRA off m.  The logits stay
// the same up to rounding.
void lora_merge(Gpt2 *m, Arena *scratch);

// The projections that can carry LoRA: target i of LORA_TARGETS, its name as in "h.0.<name>", and its LoraTarget.
enum { LORA_TARGETS = 4 };
Gpt2Projection *lora_projection(const Gpt2 *m, int layer, int i, const char **name, LoraTarget *target);

#endif
