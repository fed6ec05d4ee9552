// Adapters in files of their own, small compared with the model they belong to; the model's files stay as they are.
//   LoRA         DIR/adapter_config.json and DIR/adapter_model.safetensors, as PEFT (github.com/huggingface/peft)
//                writes and reads them: base_model.model.transformer.h.0.attn.c_attn.lora_A.weight [r,in],
//                lora_B.weight [out,r] (transposes of ours), r, lora_alpha, target_modules, fan_in_fan_out true
//   bottleneck   DIR/bottleneck.safetensors: "0.down.weight", ... of each block (adapter.h), F32; metadata "causal"
// A directory may hold either or both.
#ifndef LEAD_LLM_ADAPTER_FILE_H
#define LEAD_LLM_ADAPTER_FILE_H

#include "llm/adapter.h"
#include "llm/lora.h"

// dir is made when missing.  base: the model that the adapter belongs to, for base_model_name_or_path.  scratch is
// rewound.  Errors: dir or a file cannot be written.
Status lora_save(const Gpt2 *m, const LoraConfig *c, const char *dir, const char *base, Arena *scratch);
Status adapter_save(const AdapterSet *s, const char *dir, Arena *scratch);

// Reads the adapters in dir and puts them on m: attaches LoRA, and sets *s to the bottleneck adapters, or to NULL when
// there are none (apply them with adapter_hook).  Parameters are registered as "lora..." and "adapter...", trainable
// unless ps is for inference.  *c (c may be NULL) gets the LoRA that was found, rank 0 = none.
// LoRA may lie on some layers or modules only, with ranks and alphas of their own (rank_pattern, alpha_pattern, plain
// names), and be rank-stabilised.
// Errors: dir holds neither; shapes of another model; a variant that changes more than that (DoRA, biases, PiSSA and
// other initialisations that change the base, modules_to_save, ..), by name; a tensor that has no place in the model,
// or is missing where target_modules puts one.
Status gpt2_adapters_load(AdapterSet **s, LoraConfig *c, ParamSet *ps, Gpt2 *m, const char *dir, Arena *scratch);

#endif
