// Shared by gpt2_weights.c and gpt2_file.c (config, reading, writing); not for others.
#ifndef LEAD_LLM_GPT2_WEIGHTS_H
#define LEAD_LLM_GPT2_WEIGHTS_H

#include "llm/gpt2.h"

// A Gpt2 whose weight list is complete and whose parameters are not there yet (all slots NULL).
Gpt2 *gpt2_weights_list(const Gpt2Config *c, Arena *a);

#endif
