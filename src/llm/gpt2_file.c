// GPT-2 in files: config.json, model.safetensors.  Contract: gpt2.h.
#include <string.h>

#include "llm/gpt2.h"
#include "llm/gpt2_llmc.h"
#include "llm/gpt2_weights.h"
#include "io/file.h"
#include "io/json.h"
#include "nn/checkpoint.h"

enum { CONFIG_MAX_BYTES = 1 << 20 };

// ---- config.json ----------------------------------------------------------------------------------------------------

// A flag of GPT-2 variants that changes the mathematics: only `want` runs.  Absent = the library's default = want.
static Status want_flag(const Json *root, const char *key, bool want, const char *where)
{
    const Json *v = json_find(root, key);
    if (!v || v->type == JSON_NULL || (v->type == JSON_BOOL && v->boolean == want)) return OK;
    return ERROR("%s: %s: want %s, got %s", where, key, want ? "true" : "false", json_describe(v).s);
}

static Status optional_bool(bool *out, const Json *root, const char *key, bool absent, const char *where)
{
    *out = absent;
    return json_find(root, key) ? json_get_bool(out, root, key, where) : OK;
}

// Accepts the keys that are read below, and keys that say nothing about the forward pass: training, generation, sizes
// of other heads, bookkeeping of transformers.  Any other key may change the mathematics and is an error.
static Status check_keys(const Json *root, const char *where)
{
    static const char *const known[] = {
        "vocab_size", "n_positions", "n_ctx", "n_embd", "n_layer", "n_head", "n_inner", "eos_token_id",
        "layer_norm_epsilon", "tie_word_embeddings", "model_type", "activation_function", "scale_attn_weights",
        "scale_attn_by_inverse_layer_idx", "add_cross_attention", "is_encoder_decoder", "reorder_and_upcast_attn",
        "attn_pdrop", "embd_pdrop", "resid_pdrop", "initializer_range", "gradient_checkpointing", "bos_token_id",
        "pad_token_id", "task_specific_params", "use_cache", "output_past", "output_attentions",
        "output_hidden_states", "return_dict", "return_dict_in_generate", "chunk_size_feed_forward", "problem_type",
        "num_labels", "id2label", "label2id", "summary_activation", "summary_first_dropout", "summary_proj_to_labels",
        "summary_type", "summary_use_proj", "predict_special_tokens", "n_special", "keys_to_ignore_at_inference",
        "architectures", "torch_dtype", "dtype", "transformers_version", "_name_or_path",
        "_attn_implementation_autoset", "attn_implementation", "tokenizer_class", "finetuning_task", "max_length",
        "do_sample", "early_stopping", "num_beams", "temperature", "top_k", "top_p"};
    for (const Json *m = root->child; m; m = m->next) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known &&
               (strlen(known[i]) != m->key_len || memcmp(known[i], m->key, m->key_len)))
            i++;
        if (i == sizeof known / sizeof *known)
            return ERROR("%s: %.100s: want options of GPT-2 that are known here, got %s", where, m->key,
                         json_describe(m).s);
    }
    return OK;
}

static Status check_kind(const Json *root, const char *where)
{
    const char *s;
    TRY(check_keys(root, where));
    if (json_find(root, "model_type")) {
        TRY(json_get_string(&s, root, "model_type", where));
        if (strcmp(s, "gpt2")) return ERROR("%s: model_type: want \"gpt2\", got \"%s\"", where, s);
    }
    if (json_find(root, "activation_function")) {
        TRY(json_get_string(&s, root, "activation_function", where));
        if (strcmp(s, "gelu_new") && strcmp(s, "gelu_pytorch_tanh"))
            return ERROR("%s: activation_function: want \"gelu_new\" or \"gelu_pytorch_tanh\", got \"%s\"", where, s);
    }
    TRY(want_flag(root, "scale_attn_weights", true, where));
    TRY(want_flag(root, "scale_attn_by_inverse_layer_idx", false, where));
    TRY(want_flag(root, "add_cross_attention", false, where));
    TRY(want_flag(root, "is_encoder_decoder", false, where));
    return OK;    // reorder_and_upcast_attn is the same mathematics
}

static Status config_of(Gpt2Config *c, const Json *root, const char *path)
{
    if (root->type != JSON_OBJECT) return ERROR("%s: want an object, got %s", path, json_describe(root).s);
    TRY(check_kind(root, path));
    *c = (Gpt2Config){.eps = 1e-5, .end_token = -1};
    TRY(json_get_int(&c->vocab, root, "vocab_size", 1, GPT2_MAX_VOCAB, path));
    TRY(json_get_int(&c->positions, root, json_find(root, "n_positions") ? "n_positions" : "n_ctx", 1, GPT2_MAX_WIDTH,
                     path));
    TRY(json_get_int(&c->width, root, "n_embd", 1, GPT2_MAX_WIDTH, path));
    TRY(json_get_int(&c->layers, root, "n_layer", 1, GPT2_MAX_LAYERS, path));
    TRY(json_get_int(&c->heads, root, "n_head", 1, GPT2_MAX_WIDTH, path));
    c->inner = 4 * c->width;
    const Json *inner = json_find(root, "n_inner"), *end = json_find(root, "eos_token_id");
    if (inner && inner->type != JSON_NULL) TRY(json_get_int(&c->inner, root, "n_inner", 1, GPT2_MAX_WIDTH, path));
    if (end && end->type != JSON_NULL) TRY(json_get_int(&c->end_token, root, "eos_token_id", 0, INT32_MAX, path));
    if (json_find(root, "layer_norm_epsilon")) TRY(json_get_number(&c->eps, root, "layer_norm_epsilon", path));
    TRY(optional_bool(&c->tied, root, "tie_word_embeddings", true, path));
    return gpt2_config_check(c, path);
}

Status gpt2_config_parse(Gpt2Config *c, const char *text, size_t len, const char *name, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const Json *root;
    Status s = json_parse(&root, scratch, text, len, name);
    if (!s.code) s = config_of(c, root, name);
    arena_rewind(scratch, mark);
    return s;
}

Status gpt2_config_read(Gpt2Config *c, const char *dir, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const char *path = arena_printf(scratch, "%s/config.json", dir);
    char *text;
    size_t len;
    Status s = file_read(&text, &len, scratch, path, CONFIG_MAX_BYTES);
    if (!s.code) s = gpt2_config_parse(c, text, len, path, scratch);
    arena_rewind(scratch, mark);
    return s;
}

static Status config_write(const Gpt2Config *c, const char *dir, Arena *scratch)
{
    JsonWriter w = json_writer(scratch, 2);
    json_object(&w, NULL);
    json_string(&w, "model_type", "gpt2");
    json_array(&w, "architectures");
    json_string(&w, NULL, "GPT2LMHeadModel");
    json_end(&w);
    json_string(&w, "activation_function", "gelu_new");
    json_double(&w, "layer_norm_epsilon", c->eps);
    json_int(&w, "n_embd", c->width);
    json_int(&w, "n_head", c->heads);
    json_int(&w, "n_inner", c->inner);
    json_int(&w, "n_layer", c->layers);
    json_int(&w, "n_positions", c->positions);
    json_int(&w, "vocab_size", c->vocab);
    if (c->end_token >= 0) json_int(&w, "eos_token_id", c->end_token);
    json_bool(&w, "tie_word_embeddings", c->tied);
    json_end(&w);
    size_t len;
    const char *text = json_text(&w, &len);
    return file_write(arena_printf(scratch, "%s/config.json", dir), text, len);
}

// ---- model.safetensors ----------------------------------------------------------------------------------------------

static const char *plain_name(const char *name)
{
    static const char prefix[] = "transformer.";
    return strncmp(name, prefix, sizeof prefix - 1) ? name : name + sizeof prefix - 1;
}

// h.<l>.attn.bias and h.<l>.attn.masked_bias: the causal mask that old files carry.
static bool is_mask(const char *name)
{
    if (strncmp(name, "h.", 2)) return false;
    const char *rest = name + 2 + strspn(name + 2, "0123456789");
    return !strcmp(rest, ".attn.bias") || !strcmp(rest, ".attn.masked_bias");
}

static Shape safe_shape(const SafeTensor *s)
{
    return s->n_dim <= MAX_DIMS ? shape_make(s->n_dim, s->shape) : (Shape){.n = -1};
}

static Status check_shape(const SafeTensor *s, Shape want, const char *path)
{
    char a[96], b[96];
    const Shape got = safe_shape(s);
    if (got.n < 0)
        return ERROR("%s: want %s, got %d dimensions in %s", plain_name(s->name), shape_text(want, a), s->n_dim, path);
    if (!shape_equal(got, want))
        return ERROR("%s: want %s, got %s in %s", plain_name(s->name), shape_text(want, a), shape_text(got, b), path);
    if (s->type != SAFE_F32 && s->type != SAFE_F16 && s->type != SAFE_BF16 && s->type != SAFE_F64)
        return ERROR("%s: want F32, F16, BF16 or F64, got %s in %s", plain_name(s->name),
                     safetensors_type_name(s->type), path);
    return OK;
}

// A tied model whose file carries the head as well: it must be the embedding, else one of them would be ignored.
static Status check_tied_head(const SafeTensor *head, const SafeTensor *wte, Shape want, const char *path)
{
    TRY(check_shape(head, want, path));
    if (!wte || wte->type != head->type ||
        memcmp(wte->data, head->data, (size_t)wte->count * safetensors_type_size(wte->type)))
        return ERROR("lm_head.weight: want the values of wte.weight (tie_word_embeddings is true), got others in %s",
                     path);
    return OK;
}

static int find_weight(const Gpt2 *m, const char *name)
{
    for (int i = 0; i < m->n_weights; i++)
        if (!strcmp(m->weight[i].name, name)) return i;
    return -1;
}

// source[i] = the file's tensor for m->weight[i].  Every tensor of the file must have its place, and every place one.
static Status match_tensors(const SafeTensor **source, const Gpt2 *m, const SafeFile *f)
{
    const SafeTensor *spare_head = NULL;
    for (int64_t j = 0; j < f->n_tensor; j++) {
        const SafeTensor *s = &f->tensor[j];
        const char *name = plain_name(s->name);
        const int i = find_weight(m, name);
        if (i < 0 && m->c.tied && !strcmp(name, "lm_head.weight")) spare_head = s;
        else if (i < 0 && !is_mask(name))
            return ERROR("%s: want a tensor of GPT-2 with %lld layers, got an unknown one in %s", s->name,
                         (long long)m->c.layers, f->path);
        else if (i >= 0 && source[i])
            return ERROR("%s: want it once, got it with and without \"transformer.\" in %s", name, f->path);
        else if (i >= 0) source[i] = s;
    }
    for (int i = 0; i < m->n_weights; i++) {
        char buf[96];
        if (!source[i])
            return ERROR("%s: want %s, got no such tensor in %s", m->weight[i].name,
                         shape_text(m->weight[i].shape, buf), f->path);
        TRY(check_shape(source[i], m->weight[i].shape, f->path));
    }
    if (spare_head) TRY(check_tied_head(spare_head, source[0], m->weight[0].shape, f->path));
    return OK;
}

// Frozen f32 weights are used where they are in the mapped file: loading copies nothing.
static bool usable_in_place(const SafeTensor *s, const Device *dev, Gpt2Flags flags)
{
    return flags & GPT2_FROZEN && dev->real_size == sizeof(float) && !dev->memory && s->type == SAFE_F32 &&
           (uintptr_t)s->data % sizeof(float) == 0;
}


static bool has_head_bias(const SafeFile *f)
{
    return safetensors_find(f, "lm_head.bias") || safetensors_find(f, "transformer.lm_head.bias");
}

static void read_weight(Tensor *w, const SafeTensor *source, Arena *scratch)
{
    if (w->layout == LAYOUT_ROWS) {
        checkpoint_read(w->dev, w->x, source, scratch);
        return;
    }
    const size_t mark = arena_mark(scratch);
    float *x = arena_alloc(scratch, (size_t)source->count * sizeof *x);
    safetensors_read_f32(x, source);
    tensor_set_f32(w, x, source->count);
    arena_rewind(scratch, mark);
}

static Status load_open(Gpt2 **out, ParamSet *ps, const char *prefix, Gpt2Config *c, SafeFile *f, Gpt2Flags flags,
                        Arena *scratch)
{
    c->head_bias = has_head_bias(f);
    const Gpt2 *wanted = gpt2_weights_list(c, scratch);
    const SafeTensor **source = arena_zalloc(scratch, (size_t)wanted->n_weights * sizeof *source);
    TRY(match_tensors(source, wanted, f));
    void **values = arena_zalloc(scratch, (size_t)wanted->n_weights * sizeof *values);
    int in_place = 0;
    for (int i = 0; i < wanted->n_weights; i++)
        if (usable_in_place(source[i], ps->dev, flags)) {
            values[i] = f->map.data + ((const unsigned char *)source[i]->data - f->map.data);
            in_place++;
        }
    Gpt2 *m = gpt2_new_on(ps, prefix, c, flags | GPT2_BLANK, values);
    for (int i = 0; i < m->n_weights; i++)
        if (!values[i]) read_weight(*m->weight[i].slot, source[i], scratch);
    if (in_place) {
        m->file = f->map;
        f->map = (FileMap){0};    // the model's now
    }
    *out = m;
    return OK;
}

Status gpt2_load(Gpt2 **m, ParamSet *ps, const char *prefix, const char *dir, Gpt2Flags flags, Arena *scratch)
{
    const size_t mark = arena_mark(scratch), len = strlen(dir);
    if (len > 4 && !strcmp(dir + len - 4, ".bin")) return gpt2_load_llmc(m, ps, prefix, dir, flags, scratch);
    Gpt2Config c;
    TRY(gpt2_config_read(&c, dir, scratch));
    SafeFile f;
    TRY(safetensors_open(&f, scratch, arena_printf(scratch, "%s/model.safetensors", dir)));
    const Status s = load_open(m, ps, prefix, &c, &f, flags, scratch);
    safetensors_close(&f);
    arena_rewind(scratch, mark);
    return s;
}

void gpt2_close(Gpt2 *m)
{
    file_unmap(&m->file);
}

static const void *values_as(SafeType type, const Tensor *t, Arena *scratch)
{
    const int64_t n = numel(t);
    float *x = t->x;
    if (t->dev->real_size != sizeof(float) || t->dev->memory || t->layout != LAYOUT_ROWS) {
        x = arena_alloc(scratch, (size_t)n * sizeof *x);
        tensor_get_f32(t, x, n);
    }
    if (type == SAFE_F32) return x;
    uint16_t *h = arena_alloc(scratch, (size_t)n * sizeof *h);
    for (int64_t i = 0; i < n; i++) h[i] = f32_to_bf16(x[i]);
    return h;
}

Status gpt2_save(const Gpt2 *m, const char *dir, Arena *scratch) { return gpt2_save_as(m, dir, SAFE_F32, scratch); }

Status gpt2_save_as(const Gpt2 *m, const char *dir, SafeType type, Arena *scratch)
{
    CHECK(type == SAFE_F32 || type == SAFE_BF16, "gpt2_save_as: type %s", safetensors_type_name(type));
    const size_t mark = arena_mark(scratch);
    TRY(directory_make(dir));
    SafeTensor *list = arena_zalloc(scratch, (size_t)m->n_weights * sizeof *list);
    for (int i = 0; i < m->n_weights; i++) {
        const Gpt2Weight *w = &m->weight[i];
        const bool head = !strncmp(w->name, "lm_head.", 8);
        list[i] = (SafeTensor){.name = head ? w->name : arena_printf(scratch, "transformer.%s", w->name),
                               .type = type,
                               .n_dim = w->shape.n,
                               .shape = w->shape.d,
                               .data = values_as(type, *w->slot, scratch)};
    }
    const SafeMeta meta = {"format", "pt"};    // what transformers asks for
    TRY(config_write(&m->c, dir, scratch));
    TRY(safetensors_write(arena_printf(scratch, "%s/model.safetensors", dir), list, m->n_weights, &meta, 1, false,
                          scratch));
    arena_rewind(scratch, mark);
    return OK;
}
