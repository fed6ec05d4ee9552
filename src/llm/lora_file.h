// Functions that adapter_file.c takes from lora_file.c; other callers read adapters by gpt2_adapters_load.
#ifndef LEAD_LLM_LORA_FILE_H
#define LEAD_LLM_LORA_FILE_H

#include "llm/lora.h"

// Reads DIR/adapter_config.json and DIR/adapter_model.safetensors and attaches what they hold to m.  Nothing is
// registered in ps before everything is checked.  c->rank and c->alpha are those that adapter_config.json states for
// every projection (alpha as alpha' / r, with use_rslora too); c->targets those that some layer has.
Status lora_load(LoraConfig *c, ParamSet *ps, Gpt2 *m, const char *dir, Arena *scratch);
// The values of a tensor as f32, in arena a.
const float *lora_values(const Tensor *t, Arena *a);

#endif
