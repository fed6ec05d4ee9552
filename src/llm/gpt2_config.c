// GPT-2's config.json and generation_config.json.  Contract: gpt2.h.
#include <stdio.h>
#include <string.h>

#include "llm/gpt2.h"
#include "llm/gpt2_directory.h"
#include "llm/gpt2_weights.h"
#include "io/file.h"
#include "io/json.h"

enum { CONFIG_MAX_BYTES = 1 << 20 };

// ---- keys -----------------------------------------------------------------------------------------------------------

// Keys that are read below, and keys that say nothing about the forward pass: training, generation, sizes of other
// heads, bookkeeping of transformers.
static const char *const known[] = {
    "vocab_size", "n_positions", "n_ctx", "n_embd", "n_layer", "n_head", "n_inner", "eos_token_id",
    "layer_norm_epsilon", "tie_word_embeddings", "model_type", "activation_function", "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx", "add_cross_attention", "is_encoder_decoder", "reorder_and_upcast_attn",
    "hidden_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers", "pruned_heads",
    "quantization_config", "attn_pdrop", "embd_pdrop", "resid_pdrop", "initializer_range", "gradient_checkpointing",
    "bos_token_id", "pad_token_id", "task_specific_params", "use_cache", "output_past", "output_attentions",
    "output_hidden_states", "return_dict", "return_dict_in_generate", "chunk_size_feed_forward", "problem_type",
    "num_labels", "_num_labels", "id2label", "label2id", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "predict_special_tokens", "n_special",
    "keys_to_ignore_at_inference", "architectures", "torch_dtype", "dtype", "transformers_version", "_name_or_path",
    "_attn_implementation_autoset", "attn_implementation", "tokenizer_class", "finetuning_task", "max_length",
    "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature",
    "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id",
    "forced_eos_token_id", "sep_token_id", "decoder_start_token_id", "is_decoder", "torchscript", "use_bfloat16",
    "tf_legacy_loss", "cross_attention_hidden_size", "prefix"};

static bool is_known(const Json *m)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == m->key_len && !memcmp(known[i], m->key, m->key_len)) return true;
    return false;
}

// The keys that nobody here knows and that are on: transformers' GPT-2 looks at none of them either.
static void list_unknown(Gpt2Config *c, const Json *root)
{
    size_t used = 0;
    for (const Json *m = root->child; m; m = m->next) {
        if (is_known(m) || json_is_off(m)) continue;
        const size_t left = sizeof c->unknown - used;
        const int n = snprintf(c->unknown + used, left, "%s%.40s", used ? ", " : "", m->key);
        if (n >= (int)left) {
            memcpy(c->unknown + sizeof c->unknown - 4, "...", 4);
            return;
        }
        used += (size_t)n;
    }
}

// A setting that changes the mathematics and is not computed here.
static Status want_off(const Json *root, const char *key, const char *where)
{
    const Json *v = json_find(root, key);
    if (json_is_off(v)) return OK;
    return ERROR("%s: %s: want %s, got %s", where, key, v->type == JSON_BOOL ? "false" : "none", json_describe(v).s);
}

// Absent or null: *out stays.
static Status optional_bool(bool *out, const Json *root, const char *key, const char *where)
{
    const Json *v = json_find(root, key);
    return v && v->type != JSON_NULL ? json_get_bool(out, root, key, where) : OK;
}

// A size under its own name, or under the one that transformers gives it in every model.
static Status read_size(int64_t *out, const Json *root, const char *key, const char *alias, int64_t max,
                        const char *where)
{
    int64_t other;
    const bool own = json_find(root, key) != NULL, has_alias = json_find(root, alias) != NULL;
    if (!own && has_alias) return json_get_int(out, root, alias, 1, max, where);
    TRY(json_get_int(out, root, key, 1, max, where));
    if (!has_alias) return OK;
    TRY(json_get_int(&other, root, alias, 1, max, where));
    if (other == *out) return OK;
    return ERROR("%s: %s: want %lld, the value of its other name %s, got %lld", where, alias, (long long)*out, key,
                 (long long)other);
}

// ---- values ---------------------------------------------------------------------------------------------------------

static Status read_activation(Gpt2Config *c, const Json *root, const char *where)
{
    static const struct { const char *name; Gpt2Activation is; } names[] = {
        {"gelu_new", GPT2_GELU_TANH},   {"gelu_pytorch_tanh", GPT2_GELU_TANH}, {"gelu_fast", GPT2_GELU_TANH},
        {"gelu_accurate", GPT2_GELU_TANH}, {"gelu_python_tanh", GPT2_GELU_TANH}, {"gelu", GPT2_GELU_ERF},
        {"gelu_python", GPT2_GELU_ERF}, {"quick_gelu", GPT2_QUICK_GELU},       {"relu", GPT2_RELU},
        {"silu", GPT2_SILU},            {"swish", GPT2_SILU},                  {"tanh", GPT2_TANH},
        {"sigmoid", GPT2_SIGMOID},      {"linear", GPT2_LINEAR}};
    const char *s;
    if (!json_find(root, "activation_function")) return OK;
    TRY(json_get_string(&s, root, "activation_function", where));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(s, names[i].name)) {
            c->activation = names[i].is;
            return OK;
        }
    return ERROR("%s: activation_function: want gelu_new, gelu, gelu_fast, gelu_pytorch_tanh, quick_gelu, relu, silu, "
                 "tanh, sigmoid or linear, got \"%.100s\"", where, s);
}

// eos_token_id: a number, a list, or null or -1 for none.
static Status read_ends(Gpt2Config *c, const Json *root, const char *where)
{
    const Json *v = json_find(root, "eos_token_id");
    if (!v || v->type == JSON_NULL) return OK;
    c->end_token = -1;
    c->n_more_ends = 0;
    if (v->type == JSON_NUMBER) return json_get_int(&c->end_token, root, "eos_token_id", -1, INT32_MAX, where);
    if (v->type != JSON_ARRAY || v->n > GPT2_MORE_ENDS + 1)
        return ERROR("%s: eos_token_id: want a token id or a list of at most %d, got %s", where, GPT2_MORE_ENDS + 1,
                     json_describe(v).s);
    for (const Json *e = v->child; e; e = e->next) {
        if (e->type != JSON_NUMBER || !e->is_int || e->n < 0 || e->n > INT32_MAX)
            return ERROR("%s: eos_token_id: want token ids in 0..%d, got %s", where, INT32_MAX, json_describe(e).s);
        if (e == v->child) c->end_token = e->n;
        else c->more_end[c->n_more_ends++] = (int32_t)e->n;
    }
    return OK;
}

static Status check_kind(const Json *root, const char *where)
{
    static const char *const off[] = {"add_cross_attention", "is_encoder_decoder", "pruned_heads",
                                      "quantization_config"};
    const char *s;
    if (json_find(root, "model_type")) {
        TRY(json_get_string(&s, root, "model_type", where));
        if (strcmp(s, "gpt2")) return ERROR("%s: model_type: want \"gpt2\", got \"%.100s\"", where, s);
    }
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) TRY(want_off(root, off[i], where));
    return OK;    // reorder_and_upcast_attn is the same mathematics
}

static Status config_of(Gpt2Config *c, const Json *root, const char *path)
{
    if (root->type != JSON_OBJECT) return ERROR("%s: want an object, got %s", path, json_describe(root).s);
    bool scaled = true;
    *c = (Gpt2Config){.eps = 1e-5, .end_token = -1, .tied = true};
    TRY(check_kind(root, path));
    TRY(read_activation(c, root, path));
    TRY(optional_bool(&scaled, root, "scale_attn_weights", path));
    TRY(optional_bool(&c->scores_by_layer, root, "scale_attn_by_inverse_layer_idx", path));
    c->plain_scores = !scaled;
    TRY(json_get_int(&c->vocab, root, "vocab_size", 1, GPT2_MAX_VOCAB, path));
    const bool old = !json_find(root, "n_positions") && !json_find(root, "max_position_embeddings");
    TRY(read_size(&c->positions, root, old ? "n_ctx" : "n_positions", "max_position_embeddings", GPT2_MAX_WIDTH, path));
    TRY(read_size(&c->width, root, "n_embd", "hidden_size", GPT2_MAX_WIDTH, path));
    TRY(read_size(&c->layers, root, "n_layer", "num_hidden_layers", GPT2_MAX_LAYERS, path));
    TRY(read_size(&c->heads, root, "n_head", "num_attention_heads", GPT2_MAX_WIDTH, path));
    c->inner = 4 * c->width;
    const Json *inner = json_find(root, "n_inner");
    if (inner && inner->type != JSON_NULL) TRY(json_get_int(&c->inner, root, "n_inner", 1, GPT2_MAX_WIDTH, path));
    if (json_find(root, "layer_norm_epsilon")) TRY(json_get_number(&c->eps, root, "layer_norm_epsilon", path));
    TRY(read_ends(c, root, path));
    TRY(optional_bool(&c->tied, root, "tie_word_embeddings", path));
    list_unknown(c, root);
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

// transformers stops where generation_config.json says, if there is one.
static Status read_generation(Gpt2Config *c, const char *path, Arena *scratch)
{
    const Json *root;
    if (file_absent(path)) return OK;
    TRY(json_read(&root, scratch, path, CONFIG_MAX_BYTES));
    if (root->type != JSON_OBJECT) return ERROR("%s: want an object, got %s", path, json_describe(root).s);
    return read_ends(c, root, path);
}

Status gpt2_config_read(Gpt2Config *c, const char *dir, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    dir = gpt2_directory(dir, scratch);
    const char *path = arena_printf(scratch, "%s/config.json", dir);
    char *text;
    size_t len;
    if (!strcmp(dir, GPT2_BUNDLED) && file_absent(path))
        return ERROR("%s: the bundled model is neither in this directory nor beside the program: want --llm DIR", dir);
    Status s = file_read(&text, &len, scratch, path, CONFIG_MAX_BYTES);
    if (!s.code) s = gpt2_config_parse(c, text, len, path, scratch);
    if (!s.code) s = read_generation(c, arena_printf(scratch, "%s/generation_config.json", dir), scratch);
    arena_rewind(scratch, mark);
    return s;
}

bool gpt2_is_end(const Gpt2Config *c, int64_t token)
{
    bool is = token == c->end_token;
    for (int i = 0; i < c->n_more_ends; i++) is |= token == c->more_end[i];
    return is;
}

// ---- writing --------------------------------------------------------------------------------------------------------

static void write_ends(JsonWriter *w, const Gpt2Config *c)
{
    if (c->end_token < 0) return;
    if (!c->n_more_ends) {
        json_int(w, "eos_token_id", c->end_token);
        return;
    }
    json_array(w, "eos_token_id");
    json_int(w, NULL, c->end_token);
    for (int i = 0; i < c->n_more_ends; i++) json_int(w, NULL, c->more_end[i]);
    json_end(w);
}

Status gpt2_config_write(const Gpt2Config *c, const char *dir, Arena *scratch)
{
    static const char *const activation[] = {"gelu_new", "gelu", "quick_gelu", "relu", "silu", "tanh", "sigmoid",
                                             "linear"};
    JsonWriter w = json_writer(scratch, 2);
    json_object(&w, NULL);
    json_string(&w, "model_type", "gpt2");
    json_array(&w, "architectures");
    json_string(&w, NULL, "GPT2LMHeadModel");
    json_end(&w);
    json_string(&w, "activation_function", activation[c->activation]);
    json_double(&w, "layer_norm_epsilon", c->eps);
    json_int(&w, "n_embd", c->width);
    json_int(&w, "n_head", c->heads);
    json_int(&w, "n_inner", c->inner);
    json_int(&w, "n_layer", c->layers);
    json_int(&w, "n_positions", c->positions);
    json_int(&w, "vocab_size", c->vocab);
    if (c->scores_by_layer) json_bool(&w, "scale_attn_by_inverse_layer_idx", true);
    if (c->plain_scores) json_bool(&w, "scale_attn_weights", false);
    write_ends(&w, c);
    json_bool(&w, "tie_word_embeddings", c->tied);
    json_end(&w);
    size_t len;
    const char *text = json_text(&w, &len);
    return file_write(arena_printf(scratch, "%s/config.json", dir), text, len);
}
