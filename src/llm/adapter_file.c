#include "llm/adapter_file.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "io/json.h"
#include "io/safetensors.h"

enum { CONFIG_MAX_BYTES = 1 << 20, MAX_RANK = 1 << 16 };
static const char *const peft_prefix = "base_model.model.transformer.";

static const float *values_f32(const Tensor *t, Arena *a)
{
    float *x = arena_alloc(a, (size_t)numel(t) * sizeof *x);
    tensor_get_f32(t, x, numel(t));
    return x;
}

static float *transposed(const float *x, int64_t rows, int64_t cols, Arena *a)
{
    float *y = arena_alloc(a, (size_t)(rows * cols) * sizeof *y);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) y[c * rows + r] = x[r * cols + c];
    return y;
}

static const int64_t *dims(int64_t a, int64_t b, Arena *arena)
{
    int64_t *d = arena_alloc(arena, 2 * sizeof *d);
    d[0] = a;
    d[1] = b;
    return d;
}

// ---- LoRA -----------------------------------------------------------------------------------------------------------

// PEFT matches a module whose name ends in ".<entry>": "c_proj" alone would be both, hence "attn.c_proj".
static const char *const peft_target[LORA_TARGETS] = {"c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"};

static Status lora_config_write(const LoraConfig *c, const char *dir, const char *base, Arena *scratch)
{
    JsonWriter w = json_writer(scratch, 2);
    json_object(&w, NULL);
    json_string(&w, "base_model_name_or_path", base ? base : "");
    json_string(&w, "bias", "none");
    json_bool(&w, "fan_in_fan_out", true);
    json_bool(&w, "inference_mode", true);
    json_bool(&w, "init_lora_weights", true);
    json_double(&w, "lora_alpha", c->alpha);
    json_double(&w, "lora_dropout", 0);
    json_string(&w, "peft_type", "LORA");
    json_int(&w, "r", c->rank);
    json_array(&w, "target_modules");
    for (int i = 0; i < LORA_TARGETS; i++)
        if (c->targets & 1u << i) json_string(&w, NULL, peft_target[i]);
    json_end(&w);
    json_string(&w, "task_type", "CAUSAL_LM");
    json_end(&w);
    size_t len;
    const char *text = json_text(&w, &len);
    return file_write(arena_printf(scratch, "%s/adapter_config.json", dir), text, len);
}

// The two tensors of a projection as PEFT has them.
static void lora_tensors(SafeTensor out[2], const Gpt2Projection *p, int layer, const char *name, Arena *a)
{
    const Tensor *part[2] = {p->lora_a, p->lora_b};
    for (int k = 0; k < 2; k++) {
        const int64_t rows = part[k]->shape.d[0], cols = part[k]->shape.d[1];
        out[k] = (SafeTensor){.name = arena_printf(a, "%sh.%d.%s.lora_%c.weight", peft_prefix, layer, name, 'A' + k),
                              .type = SAFE_F32,
                              .n_dim = 2,
                              .shape = dims(cols, rows, a),
                              .data = transposed(values_f32(part[k], a), rows, cols, a)};
    }
}

Status lora_save(const Gpt2 *m, const LoraConfig *c, const char *dir, const char *base, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    TRY(directory_make(dir));
    SafeTensor *list = arena_alloc(scratch, (size_t)(2 * LORA_TARGETS * m->c.layers) * sizeof *list);
    int64_t n = 0;
    for (int l = 0; l < m->c.layers; l++)
        for (int i = 0; i < LORA_TARGETS; i++) {
            const char *name;
            LoraTarget target;
            const Gpt2Projection *p = lora_projection(m, l, i, &name, &target);
            if (!p->lora_a) continue;
            lora_tensors(list + n, p, l, name, scratch);
            n += 2;
        }
    CHECK(n, "lora_save: the model has no LoRA");
    const SafeMeta meta = {"format", "pt"};
    TRY(lora_config_write(c, dir, base, scratch));
    const char *path = arena_printf(scratch, "%s/adapter_model.safetensors", dir);
    TRY(safetensors_write(path, list, n, &meta, 1, false, scratch));
    arena_rewind(scratch, mark);
    return OK;
}

// A setting of PEFT that is on would change the mathematics: null, false, {} and [] are off.
static Status want_off(const Json *root, const char *key, const char *path)
{
    const Json *v = json_find(root, key);
    if (!v || v->type == JSON_NULL || (v->type == JSON_BOOL && !v->boolean)) return OK;
    if ((v->type == JSON_OBJECT || v->type == JSON_ARRAY) && v->n == 0) return OK;
    return ERROR("%s: %s: want none, got %s", path, key, json_describe(v).s);
}

static Status lora_config_read(LoraConfig *c, const char *path, Arena *a)
{
    static const char *const off[] = {"use_dora", "use_qalora", "use_bdlora", "lora_bias", "rank_pattern",
                                      "alpha_pattern", "modules_to_save", "layers_to_transform", "layer_replication",
                                      "trainable_token_indices", "target_parameters", "alora_invocation_tokens"};
    const Json *root;
    const char *text;
    TRY(json_read(&root, a, path, CONFIG_MAX_BYTES));
    TRY(json_get_string(&text, root, "peft_type", path));
    if (strcmp(text, "LORA")) return ERROR("%s: peft_type: want \"LORA\", got \"%s\"", path, text);
    if (json_find(root, "bias")) {
        TRY(json_get_string(&text, root, "bias", path));
        if (strcmp(text, "none")) return ERROR("%s: bias: want \"none\", got \"%s\"", path, text);
    }
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) TRY(want_off(root, off[i], path));
    TRY(json_get_int(&c->rank, root, "r", 1, MAX_RANK, path));
    TRY(json_get_number(&c->alpha, root, "lora_alpha", path));
    bool rank_stabilised = false;
    if (json_find(root, "use_rslora")) TRY(json_get_bool(&rank_stabilised, root, "use_rslora", path));
    if (rank_stabilised) c->alpha *= sqrt((double)c->rank);    // alpha / sqrt(r) as alpha' / r
    return OK;
}

static const SafeTensor *lora_find(const SafeFile *f, int layer, const char *name, int k, Arena *a)
{
    // saved from a GPT2LMHeadModel, or from a bare GPT2Model
    const char *const prefix[] = {peft_prefix, "base_model.model."};
    const SafeTensor *t = NULL;
    for (int i = 0; i < 2 && !t; i++)
        t = safetensors_find(f, arena_printf(a, "%sh.%d.%s.lora_%c.weight", prefix[i], layer, name, 'A' + k));
    return t;
}

// Which targets the file has; every one of them must have both tensors in every layer, in the right shapes.
static Status lora_check(LoraConfig *c, const Gpt2 *m, const SafeFile *f, Arena *a)
{
    int64_t used = 0;
    c->targets = 0;
    for (int i = 0; i < LORA_TARGETS; i++)
        for (int l = 0; l < m->c.layers; l++) {
            const char *name;
            LoraTarget target;
            const Gpt2Projection *p = lora_projection(m, l, i, &name, &target);
            const SafeTensor *part[2] = {lora_find(f, l, name, 0, a), lora_find(f, l, name, 1, a)};
            if (l == 0 && part[0]) c->targets |= target;
            if (!(c->targets & target)) continue;
            for (int k = 0; k < 2; k++) {
                const Shape want = k ? SHAPE(p->w->shape.d[1], c->rank) : SHAPE(c->rank, p->w->shape.d[0]);
                char buf[96], buf2[96];
                if (!part[k])
                    return ERROR("h.%d.%s.lora_%c.weight: want %s, got no such tensor in %s", l, name, 'A' + k,
                                 shape_text(want, buf), f->path);
                if (part[k]->n_dim != 2 || !shape_equal(want, shape_make(2, part[k]->shape)))
                    return ERROR("%s: want %s, got %s in %s", part[k]->name, shape_text(want, buf),
                                 part[k]->n_dim == 2 ? shape_text(shape_make(2, part[k]->shape), buf2)
                                                     : "other dimensions", f->path);
                used++;
            }
        }
    if (!c->targets) return ERROR("%s: want LoRA of c_attn, c_proj or c_fc, found none", f->path);
    if (used != f->n_tensor)
        return ERROR("%s: want the %lld tensors of these targets, got %lld", f->path, (long long)used,
                     (long long)f->n_tensor);
    return OK;
}

static Status lora_read(LoraConfig *c, ParamSet *ps, Gpt2 *m, const SafeFile *f, Arena *scratch)
{
    TRY(lora_check(c, m, f, scratch));
    lora_attach(ps, "lora", m, c);
    for (int l = 0; l < m->c.layers; l++)
        for (int i = 0; i < LORA_TARGETS; i++) {
            const char *name;
            LoraTarget target;
            const Gpt2Projection *p = lora_projection(m, l, i, &name, &target);
            Tensor *part[2] = {p->lora_a, p->lora_b};
            for (int k = 0; k < 2 && part[0]; k++) {
                const int64_t rows = part[k]->shape.d[0], cols = part[k]->shape.d[1];
                float *x = arena_alloc(scratch, (size_t)(rows * cols) * sizeof *x);
                safetensors_read_f32(x, lora_find(f, l, name, k, scratch));
                tensor_set_f32(part[k], transposed(x, cols, rows, scratch), rows * cols);
            }
        }
    return OK;
}

static Status lora_load(LoraConfig *c, ParamSet *ps, Gpt2 *m, const char *dir, Arena *scratch)
{
    SafeFile f;
    TRY(lora_config_read(c, arena_printf(scratch, "%s/adapter_config.json", dir), scratch));
    TRY(safetensors_open(&f, scratch, arena_printf(scratch, "%s/adapter_model.safetensors", dir)));
    const Status s = lora_read(c, ps, m, &f, scratch);
    safetensors_close(&f);
    return s;
}

// ---- bottleneck -----------------------------------------------------------------------------------------------------

// The tensors of a layer under their names in the file, in the order of adapter.h's Adapter.
enum { LAYER_TENSORS = 21 };
typedef struct Named { const char *name; Tensor *x; } Named;

static void layer_tensors(Named out[LAYER_TENSORS], const Adapter *a)
{
    const Named list[LAYER_TENSORS] = {
        {"down.weight", a->down.w},       {"down.bias", a->down.b},         {"ln_in.weight", a->ln_in.gamma},
        {"ln_in.bias", a->ln_in.beta},    {"dw3.weight", a->scale[0].w},    {"dw3.bias", a->scale[0].b},
        {"point3.weight", a->scale[0].point.w}, {"point3.bias", a->scale[0].point.b}, {"dw5.weight", a->scale[1].w},
        {"dw5.bias", a->scale[1].b},      {"point5.weight", a->scale[1].point.w}, {"point5.bias", a->scale[1].point.b},
        {"fuse.weight", a->fuse.w},       {"fuse.bias", a->fuse.b},         {"gate.weight", a->gate.w},
        {"gate.bias", a->gate.b},         {"ln_out.weight", a->ln_out.gamma}, {"ln_out.bias", a->ln_out.beta},
        {"up.weight", a->up.w},           {"up.bias", a->up.b},             {"scale", a->a},
    };
    memcpy(out, list, sizeof list);
}

Status adapter_save(const AdapterSet *s, const char *dir, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    TRY(directory_make(dir));
    SafeTensor *list = arena_alloc(scratch, (size_t)(LAYER_TENSORS * s->layers) * sizeof *list);
    int64_t n = 0;
    for (int l = 0; l < s->layers; l++) {
        Named x[LAYER_TENSORS];
        layer_tensors(x, &s->layer[l]);
        for (int i = 0; i < LAYER_TENSORS; i++)
            list[n++] = (SafeTensor){.name = arena_printf(scratch, "%d.%s", l, x[i].name),
                                     .type = SAFE_F32,
                                     .n_dim = x[i].x->shape.n,
                                     .shape = x[i].x->shape.d,
                                     .data = values_f32(x[i].x, scratch)};
    }
    const SafeMeta meta = {"causal", s->c.causal ? "true" : "false"};
    TRY(safetensors_write(arena_printf(scratch, "%s/bottleneck.safetensors", dir), list, n, &meta, 1, false, scratch));
    arena_rewind(scratch, mark);
    return OK;
}

static Status adapter_fill(const AdapterSet *s, const SafeFile *f, Arena *scratch)
{
    for (int l = 0; l < s->layers; l++) {
        Named x[LAYER_TENSORS];
        layer_tensors(x, &s->layer[l]);
        for (int i = 0; i < LAYER_TENSORS; i++) {
            const SafeTensor *t;
            TRY(safetensors_get(&t, f, arena_printf(scratch, "%d.%s", l, x[i].name), x[i].x->shape.n, x[i].x->shape.d));
            float *v = arena_alloc(scratch, (size_t)t->count * sizeof *v);
            safetensors_read_f32(v, t);
            tensor_set_f32(x[i].x, v, t->count);
        }
    }
    return OK;
}

static Status adapter_read(AdapterSet **s, ParamSet *ps, const Gpt2 *m, const SafeFile *f, Arena *scratch)
{
    const SafeTensor *down;
    const char *causal = safetensors_meta(f, "causal");
    if (!causal || (strcmp(causal, "true") && strcmp(causal, "false")))
        return ERROR("%s: want metadata causal = true or false, got %s", f->path, causal ? causal : "none");
    TRY(safetensors_get(&down, f, "0.down.weight", 2, (int64_t[]){m->c.width, -1}));
    if (f->n_tensor != LAYER_TENSORS * m->c.layers || down->shape[1] < 1)
        return ERROR("%s: want %lld tensors of adapters on %lld layers, got %lld", f->path,
                     (long long)(LAYER_TENSORS * m->c.layers), (long long)m->c.layers, (long long)f->n_tensor);
    const AdapterConfig c = {.bottleneck = down->shape[1], .causal = !strcmp(causal, "true")};
    *s = adapter_new(ps, "adapter", (int)m->c.layers, m->c.width, &c);
    return adapter_fill(*s, f, scratch);
}

static Status adapter_load(AdapterSet **s, ParamSet *ps, const Gpt2 *m, const char *path, Arena *scratch)
{
    SafeFile f;
    TRY(safetensors_open(&f, scratch, path));
    const Status st = adapter_read(s, ps, m, &f, scratch);
    safetensors_close(&f);
    return st;
}

// ---- both -----------------------------------------------------------------------------------------------------------

Status gpt2_adapters_load(AdapterSet **s, LoraConfig *c, ParamSet *ps, Gpt2 *m, const char *dir, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    LoraConfig found = {0};
    const char *config = arena_printf(scratch, "%s/adapter_config.json", dir),
               *bottleneck = arena_printf(scratch, "%s/bottleneck.safetensors", dir);
    const bool has_lora = access(config, F_OK) == 0, has_bottleneck = access(bottleneck, F_OK) == 0;
    *s = NULL;
    if (!has_lora && !has_bottleneck)
        return ERROR("%s: want adapter_config.json (LoRA) or bottleneck.safetensors, found neither", dir);
    if (has_lora) TRY(lora_load(&found, ps, m, dir, scratch));
    if (has_bottleneck) TRY(adapter_load(s, ps, m, bottleneck, scratch));
    if (c) *c = found;
    arena_rewind(scratch, mark);
    return OK;
}
