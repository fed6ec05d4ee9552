// Checkpoints of llm.c (github.com/karpathy/llm.c, train_gpt2.py write_model).  The format:
//   256 x i32  20240326, version (3: fp32, 5: bf16), positions, vocabulary, layers, heads, width, padded vocabulary,
//              zeros
//   the rest   fp32 or bf16, little endian, all of one kind: wte [Vp,D] (rows from V on are padding), wpe [T,D]; then
//              each of the following for all layers in turn: ln_1.weight, ln_1.bias, attn.c_attn.weight [3D,D], .bias,
//              attn.c_proj.weight [D,D], .bias, ln_2.weight, ln_2.bias, mlp.c_fc.weight [4D,D], .bias,
//              mlp.c_proj.weight [D,4D], .bias; then ln_f.weight, ln_f.bias.  Tied head, no head bias.
// Matrices are [out,in] there and [in,out] here.  The format states neither eps (taken as 1e-5) nor the end of text
// (taken as the last token of OpenAI's vocabulary of 50257).
#ifndef LEAD_LLM_GPT2_LLMC_H
#define LEAD_LLM_GPT2_LLMC_H

#include "llm/gpt2.h"

enum { LLMC_PADDING = 128 };     // llm.c pads the vocabulary to a multiple of this

typedef struct LlmcFile {
    const char *name;            // messages begin with it
    Gpt2Config c;
    int64_t padded_vocab;
    bool bf16;
    const unsigned char *values; // at any alignment
} LlmcFile;

// Checks `size` bytes: magic, version, every number of the header, and that the file is exactly as long as they say.
Status llmc_parse(LlmcFile *f, const void *bytes, size_t size, const char *name);
// Copies the values into m's parameters, which has the configuration f->c.
void llmc_read(Gpt2 *m, const LlmcFile *f, Arena *scratch);

// gpt2_load from one such file.
Status gpt2_load_llmc(Gpt2 **m, ParamSet *ps, const char *prefix, const char *path, Gpt2Flags flags, Arena *scratch);
// Writes version 3 or 5 (bf16: rounded to nearest even), whole or not at all.  Errors: a model that the format cannot
// express: an untied head, a head bias, a hidden width other than 4 D, another eps,
// activation or scaling of scores.
Status gpt2_save_llmc(const Gpt2 *m, const char *path, bool bf16, Arena *scratch);

#endif
