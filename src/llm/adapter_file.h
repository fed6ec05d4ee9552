// Adapters in files of their own, small beside the model they belong to; the model's files are not touched.
//   LoRA         DIR/adapter_config.json and DIR/adapter_model.safetensors, as PEFT (github.com/huggingface/peft)
//                writes and reads them: base_model.model.transformer.h.0.attn.c_attn.lora_A.weight [r,in],
//                lora_B.weight [out,r] (transposes of ours), r, lora_alpha, target_modules, fan_in_fan_out true
//   bottleneck   DIR/bottleneck.safetensors: "0.down.weight", ... of each block (adapter.h), F32; metadata "causal"
// A directory may hold either or both.
#ifndef LEAD_LLM_ADAPTER_FILE_H
#define LEAD_LLM_ADAPTER_FILE_H

#include "llm/adapter.h"
#include "llm/lora.h"

// DIR is made when missing.  base: what the adapter belongs to, for base_model_name_or_path.  scratch is rewound.
Status lora_save(const Gpt2 *m, const LoraConfig *c, const char *dir, const char *base, Arena *scratch);
Status adapter_save(const AdapterSet *s, const char *dir, Arena *scratch);

// Reads what DIR holds and puts it on m: LoRA is attached, *s is the bottleneck adapters or NULL (use adapter_hook).
// Parameters are registered as "lora..." and "adapter...", trainable unless ps is for inference.  *c (may be NULL) says
// what LoRA was found, rank 0 = none.
// Errors: neither is there; shapes of another model; a LoRA variant that would change the mathematics (DoRA, biases,
// ranks by pattern, only some layers, ..), by name; a tensor without a place.
Status gpt2_adapters_load(AdapterSet **s, LoraConfig *c, ParamSet *ps, Gpt2 *m, const char *dir, Arena *scratch);

#endif
