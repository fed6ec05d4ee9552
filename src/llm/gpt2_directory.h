// The files of a GPT-2 that are not its weights.
#ifndef LEAD_LLM_GPT2_DIRECTORY_H
#define LEAD_LLM_GPT2_DIRECTORY_H

#include <stdbool.h>

#include "tensor/arena.h"
#include "tensor/status.h"

#define GPT2_BUNDLED "data/gpt2-small"

// Where a model is: dir itself, but for the bundled model, which file_bundled (io/file.h) looks for.
const char *gpt2_directory(const char *dir, Arena *a);

// Whether dir holds a tokeniser, or a part of one.
bool gpt2_has_tokenizer(const char *dir, Arena *scratch);

// Copies the tokeniser's files from one directory to the other, each whole or not at all; `from` may also be a
// tokenizer.json itself.  Nothing happens when both are the same directory.  all: also config.json,
// generation_config.json and the model's card, for the same model with other weights.
// Error: `to` holds one that `from` does not, which would be read as part of this model.
Status gpt2_side_files_copy(const char *from, const char *to, bool all, Arena *scratch);

#endif
