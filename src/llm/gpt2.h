// GPT-2 (Radford et al. 2019), any size, from Hugging Face's config.json + model.safetensors.  E5: the frozen LLM.
//   h0 = wte[token] + wpe[position]                                      [N,T,D]
//   h <- h + c_proj(attention(c_attn(ln_1 h)))       causal, heads of D/heads, scores / sqrt(D/heads)
//   h <- h + mlp.c_proj(act(mlp.c_fc(ln_2 h)))       act: gelu_tanh in the release
//   logits = ln_f(h) wte^T   (tied head), or ln_f(h) lm_head^T (+ lm_head.bias)
// Pre-norm; weights are [in,out] as in OpenAI's release.
// Dropout (training tapes only) at GPT-2's places: h0, what each block adds to h, and the attention probabilities.
// Frozen weights (PARAM_FROZEN) get no gradient buffer and no dW, while dx flows through every block.
// Parameters are owned by the ParamSet; the Gpt2 struct lives in its arena.
#ifndef LEAD_LLM_GPT2_H
#define LEAD_LLM_GPT2_H

#include "autograd/tape.h"
#include "nn/params.h"
#include "io/safetensors.h"
#include "io/file.h"

typedef enum Gpt2Activation {    // transformers' names: gelu_new, gelu, quick_gelu: x sigmoid(1.702 x), ..
    GPT2_GELU_TANH, GPT2_GELU_ERF, GPT2_QUICK_GELU, GPT2_RELU, GPT2_SILU, GPT2_TANH, GPT2_SIGMOID, GPT2_LINEAR
} Gpt2Activation;

enum { GPT2_MORE_ENDS = 15 };

// Zeros in the members after `heads` are what the release has, but for eps and tied.
typedef struct Gpt2Config {
    int64_t vocab, positions, width, inner, layers, heads;   // inner: hidden width of the MLP, 4 * width in the release
    double eps;                                              // of every layer norm
    bool tied;                                               // the head is wte
    bool head_bias;                                          // lm_head.bias exists (never in OpenAI's release)
    int64_t end_token;                                       // eos_token_id; -1 = none
    int n_more_ends;                                         // eos_token_id may be a list: the others, which end a text
    int32_t more_end[GPT2_MORE_ENDS];                        // as well
    Gpt2Activation activation;                               // of the MLP
    bool plain_scores;                                       // scale_attn_weights false: no division by sqrt(D/heads)
    bool scores_by_layer;                                    // scale_attn_by_inverse_layer_idx: scores / (layer + 1)
    char unknown[200];           // keys of config.json that nobody here knows, for a note; "" = none
} Gpt2Config;

// y = x w + b, plus lora_scale * (x lora_a) lora_b when lora.h attached a low-rank term.
typedef struct Gpt2Projection {
    Tensor *w, *b;               // [in,out] [out]
    Tensor *lora_a, *lora_b;     // [in,r] [r,out], or NULL
    double lora_scale;
} Gpt2Projection;

typedef struct Gpt2Block {
    Tensor *ln_1_w, *ln_1_b, *ln_2_w, *ln_2_b;
    Gpt2Projection c_attn, c_proj, mlp_fc, mlp_proj;
} Gpt2Block;

// One row per tensor of the model: Hugging Face's name without "transformer.", shape, and the parameter.
typedef struct Gpt2Weight {
    const char *name;
    Shape shape;
    Init init;                   // of a model that is trained from nothing
    Tensor **slot;
} Gpt2Weight;

typedef struct Gpt2 {
    Gpt2Config c;
    Tensor *wte, *wpe, *ln_f_w, *ln_f_b;
    Tensor *head_w, *head_b;     // head_w NULL: tied; head_b NULL: no bias
    Tensor *head_bf16;           // gpt2_pack_bf16: [D,V], what gpt2_logits then reads; else NULL
    Gpt2Block *block;            // c.layers of them
    Gpt2Weight *weight;
    int n_weights;
    FileMap *file;               // gpt2_load: n_files that hold the values of frozen weights; 0: none
    int n_files;
    const char *note;            // gpt2_load: one line for the user, what was left aside; NULL = nothing
    // for training; gpt2_new and gpt2_load set 0, 0 and false
    double dropout;              // of h0 and of what blocks add to h; 0.1 in the release
    double attention_dropout;    // 0.1 in the release; > 0 keeps the [T,T] probabilities instead of fused attention
    bool recompute;              // keep only each block's input, run the block again in backward (tape_segment)
} Gpt2;

typedef enum Gpt2Flags {
    GPT2_TRAINABLE = 0,
    GPT2_FROZEN = 1,
    GPT2_BLANK = 2,              // zeros instead of random initial values: the weights come from a file or checkpoint
    GPT2_BF16 = 4,               // for gpt2_pack_bf16 later: frozen projections are made bf16 where the device reads it
    GPT2_NF4 = 8,                // the same for gpt2_pack_nf4
} Gpt2Flags;

enum { GPT2_MAX_LAYERS = 4096, GPT2_MAX_WIDTH = 1 << 20, GPT2_MAX_VOCAB = 1 << 28 };

// Error: names the setting that this implementation cannot run, what it wants and what it got; begins with `where`.
Status gpt2_config_check(const Gpt2Config *c, const char *where);
// Reads DIR/config.json, and the end tokens of DIR/generation_config.json where there is one.  Errors name the setting:
// one that would change the mathematics and is not computed here (another activation, cross-attention, pruned heads,
// quantisation).  Keys that are not known are listed in c->unknown; transformers' GPT-2 does not look at them either.
// tied and head_bias are what config.json says; gpt2_load looks for lm_head.bias itself.
Status gpt2_config_read(Gpt2Config *c, const char *dir, Arena *scratch);
// The same from text in memory; messages begin with `name`.
Status gpt2_config_parse(Gpt2Config *c, const char *text, size_t len, const char *name, Arena *scratch);
// Whether the token ends a text.
bool gpt2_is_end(const Gpt2Config *c, int64_t token);

// Registers the parameters as "<prefix>.wte.weight", "<prefix>.h.0.attn.c_attn.weight", ...  c must have passed
// gpt2_config_check.  Random values as in the release: normal 0.02, projections into the residual 0.02/sqrt(2 layers).
Gpt2 *gpt2_new(ParamSet *ps, const char *prefix, const Gpt2Config *c, Gpt2Flags flags);

// Reads DIR/config.json and DIR/model.safetensors, or the files that DIR/model.safetensors.index.json lists (F32, F16,
// BF16 or F64; names with or without "transformer."; attn.bias and attn.masked_bias are skipped; a tied model may carry
// lm_head.weight when it equals wte.weight).  Heads for other tasks are left aside and named in (*m)->note.
// Frozen F32 weights stay in the mapped file (MAP_PRIVATE) and are used there; all others are copied.
// The file is checked against the configuration before any parameter is registered: after an error ps is unchanged.
// dir may also name a checkpoint of llm.c, FILE.bin: gpt2_llmc.h.
Status gpt2_load(Gpt2 **m, ParamSet *ps, const char *prefix, const char *dir, Gpt2Flags flags, Arena *scratch);
// Unmaps the file of a loaded model; its frozen weights are gone with it.  A model that lives as long as the program
// need not be closed.
void gpt2_close(Gpt2 *m);
// Copies the frozen projections of the blocks into panels in arena a (tensor/pack.h), which linear reads faster; the
// weights must not change afterwards.  The embeddings stay in the mapped file.
void gpt2_pack(Gpt2 *m, Arena *a);
// The same rounded to bf16 (tensor/pack.h), and a bf16 copy of the head as well; the lookup of token embeddings still
// reads wte.  For inference only: no gradient flows through such a model.
void gpt2_pack_bf16(Gpt2 *m, Arena *a);
// The frozen projections in NF4 (tensor/nf4.h): 4.13 bits a weight.  Gradients flow through them, to LoRA and adapters.
// The embeddings and the head stay as they are.
void gpt2_pack_nf4(Gpt2 *m, Arena *a);
// Writes DIR/config.json and DIR/model.safetensors (F32, names with "transformer."), each whole or not at all.
// DIR is made when it is missing.  Errors: those of directory_make and safetensors_write.
Status gpt2_save(const Gpt2 *m, const char *dir, Arena *scratch);
// The same as SAFE_F32 or SAFE_BF16 (rounded to nearest even).
Status gpt2_save_as(const Gpt2 *m, const char *dir, SafeType type, Arena *scratch);
// The weights alone, into a directory that exists.
Status gpt2_save_weights(const Gpt2 *m, const char *dir, SafeType type, Arena *scratch);

// Functions of the caller that the forward pass calls; every pointer may be NULL.
typedef struct Gpt2Hook {
    // h of block `layer`, after both residuals -> what the next block gets (adapters: adapter.h)
    Tensor *(*after_block)(void *arg, Tape *t, int layer, Tensor *h);
    // sees ln_1 q k v attn c_proj ln_2 fc mlp_proj of each layer, "embedding" and "ln_f" with layer -1
    void (*probe)(void *arg, int layer, const char *what, const Tensor *x);
    void *arg;
    // How many earlier positions after_block looks at: 0 = only its own, REACH_ALL = any, later ones too, so that a
    // cache is of no use.
    int reach;
} Gpt2Hook;
enum { REACH_ALL = -1 };

// Input embeddings x [N,T,D] (positions are added here), or token ids [N,T] (I32, each below c.vocab)
//   -> ln_f(h) [N,T,D].  T <= c.positions: a bug otherwise.  hook may be NULL.
Tensor *gpt2_forward_embeds(Tape *t, const Gpt2 *m, Tensor *x, const Gpt2Hook *hook);
Tensor *gpt2_forward_tokens(Tape *t, const Gpt2 *m, Tensor *token, const Gpt2Hook *hook);

// Keys and values of the tokens so far, so that each token runs through the blocks once.
typedef struct Gpt2Cache {
    int64_t rows, capacity;      // sequences side by side; positions that each has room for
    int64_t n;                   // positions filled, the same in every row; 0 = begin again
    int layers;
    Tensor **k, **v;             // of each layer, [rows,capacity,D]
    int reach;                   // of the hook
    Tensor **past;               // reach > 0: h of the last min(n, reach) positions of each layer, [rows,reach,D]
} Gpt2Cache;

// An empty cache in arena a.  1 <= capacity <= c.positions.  hook: that of the later calls; its reach is not REACH_ALL.
Gpt2Cache *gpt2_cache_new(Arena *a, const Gpt2 *m, int64_t rows, int64_t capacity, const Gpt2Hook *hook);
// Runs the next T tokens of each row, token [rows,T], which follow the cache->n tokens that the cache holds ->
// ln_f(h) [rows,T,D].  On the CPU the bits are those that gpt2_forward_tokens gives for these positions.  Never
// recorded; a tensor that a probe sees is gone when its block is done.  cache->n + T <= capacity: a bug otherwise.
Tensor *gpt2_forward_cached(Tape *t, const Gpt2 *m, Gpt2Cache *cache, Tensor *token, const Gpt2Hook *hook);

// Copies rows of the cache in every layer: row r becomes what row from[r] was.
void gpt2_cache_select(Tape *t, Gpt2Cache *cache, const int32_t *from);

// hidden [N,T,D], after ln_f -> logits [N*T,V]
Tensor *gpt2_logits(Tape *t, const Gpt2 *m, Tensor *hidden);

#endif
