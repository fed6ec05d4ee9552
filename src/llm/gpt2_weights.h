// Functions that gpt2_weights.c and gpt2_file.c share (and a test calls); not for other callers.
#ifndef LEAD_LLM_GPT2_WEIGHTS_H
#define LEAD_LLM_GPT2_WEIGHTS_H

#include "llm/gpt2.h"

// A Gpt2 whose weight list is complete and whose parameters are not there yet (all slots NULL).
Gpt2 *gpt2_weights_list(const Gpt2Config *c, Arena *a);
// gpt2_new, except that weight i takes the values at values[i] where that is not NULL (only with GPT2_FROZEN).
Gpt2 *gpt2_new_on(ParamSet *ps, const char *prefix, const Gpt2Config *c, Gpt2Flags flags, void *const *values);
// Writes DIR/config.json, as gpt2_save does.
Status gpt2_config_write(const Gpt2Config *c, const char *dir, Arena *scratch);

#endif
