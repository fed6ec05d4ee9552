// LoRA in the files of PEFT.  Contract: adapter_file.h, lora_file.h.
#include "llm/lora_file.h"

#include <math.h>
#include <string.h>

#include "llm/adapter_file.h"
#include "io/file.h"
#include "io/json.h"
#include "io/safetensors.h"

enum { CONFIG_MAX_BYTES = 1 << 20, MAX_RANK = 1 << 16 };
static const char *const peft_prefix = "base_model.model.transformer.";

const float *lora_values(const Tensor *t, Arena *a)
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

// ---- writing --------------------------------------------------------------------------------------------------------

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
                              .data = transposed(lora_values(part[k], a), rows, cols, a)};
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

// ---- adapter_config.json --------------------------------------------------------------------------------------------

// What adapter_config.json says; `root` and the strings live in the arena that it was read into.
typedef struct PeftConfig {
    const Json *root;
    const char *path;
    int64_t rank;
    double alpha;
    bool rank_stabilised;        // use_rslora: alpha / sqrt(r) in place of alpha / r
} PeftConfig;

// Settings that are read here, or that say nothing about y = x W + b + scale (x A) B.  Any other that is on would
// change the mathematics (use_dora, lora_bias, modules_to_save, layer_replication, ..).
static Status check_settings(const Json *root, const char *path)
{
    static const char *const fine[] = {
        "peft_type", "bias", "r", "lora_alpha", "use_rslora", "init_lora_weights", "rank_pattern", "alpha_pattern",
        "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "auto_mapping",
        "base_model_name_or_path", "fan_in_fan_out", "inference_mode", "lora_dropout", "megatron_config",
        "megatron_core", "peft_version", "qalora_group_size", "revision", "task_type", "eva_config", "runtime_config",
        "ensure_weight_tying"};
    for (const Json *v = root->child; v; v = v->next) {
        size_t i = 0;
        while (i < sizeof fine / sizeof *fine && strcmp(fine[i], v->key)) i++;
        if (i == sizeof fine / sizeof *fine && !json_is_off(v))
            return ERROR("%s: %.60s: want none, got %s: lead does not compute it", path, v->key, json_describe(v).s);
    }
    return OK;
}

// PiSSA, CorDA, LoftQ, OLoRA change the base weights as well, when the adapter is made and each time it is loaded.
static Status check_init(const Json *root, const char *path)
{
    static const char *const fine[] = {"gaussian", "orthogonal", "eva"};
    const Json *v = json_find(root, "init_lora_weights");
    if (!v || v->type == JSON_NULL || v->type == JSON_BOOL) return OK;
    for (size_t i = 0; v->type == JSON_STRING && i < sizeof fine / sizeof *fine; i++)
        if (!strcmp(v->string, fine[i])) return OK;
    return ERROR("%s: init_lora_weights: want true, false, gaussian, orthogonal or eva, got %s, which changes the base "
                 "weights too.  PEFT makes plain LoRA of it: "
                 "save_pretrained(NEW, path_initial_model_for_weight_conversion=OLD)", path, json_describe(v).s);
}

static Status peft_read(PeftConfig *c, const char *path, Arena *a)
{
    const char *text;
    *c = (PeftConfig){.path = path};
    TRY(json_read(&c->root, a, path, CONFIG_MAX_BYTES));
    TRY(json_get_string(&text, c->root, "peft_type", path));
    if (strcmp(text, "LORA")) return ERROR("%s: peft_type: want \"LORA\", got \"%.60s\"", path, text);
    if (json_find(c->root, "bias")) {
        TRY(json_get_string(&text, c->root, "bias", path));
        if (strcmp(text, "none")) return ERROR("%s: bias: want \"none\", got \"%.60s\"", path, text);
    }
    TRY(check_settings(c->root, path));
    TRY(check_init(c->root, path));
    TRY(json_get_int(&c->rank, c->root, "r", 1, MAX_RANK, path));
    TRY(json_get_number(&c->alpha, c->root, "lora_alpha", path));
    if (json_find(c->root, "use_rslora")) TRY(json_get_bool(&c->rank_stabilised, c->root, "use_rslora", path));
    return OK;
}

// Whether `entry` names the module: all of it, or its last parts.
static bool names_module(const char *entry, const char *module)
{
    const size_t n = strlen(entry), m = strlen(module);
    return n <= m && !strcmp(module + m - n, entry) && (n == m || module[m - n - 1] == '.');
}

static bool is_plain_name(const char *s) { return s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
                                                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")] == 0; }

// The number that rank_pattern or alpha_pattern states for the module: the first entry that names it; else *out stays.
// Entries are regular expressions in PEFT.  Plain names are read here, others refused.
static Status pattern_value(double *out, const PeftConfig *c, const char *key, const char *module)
{
    const Json *map = json_find(c->root, key);
    if (json_is_off(map)) return OK;
    if (map->type != JSON_OBJECT)
        return ERROR("%s: %s: want {\"module\": number, ..}, got %s", c->path, key, json_describe(map).s);
    bool found = false;
    for (const Json *v = map->child; v; v = v->next) {
        const char *name = *v->key == '^' ? v->key + 1 : v->key;
        if (!is_plain_name(name))
            return ERROR("%s: %s: want plain names of modules, got the expression \"%.60s\"", c->path, key, v->key);
        if (v->type != JSON_NUMBER)
            return ERROR("%s: %s: \"%.60s\": want a number, got %s", c->path, key, v->key, json_describe(v).s);
        if (found || (*v->key == '^' ? strcmp(name, module) : !names_module(name, module))) continue;
        *out = v->number;
        found = true;
    }
    return OK;
}

// Does a value of the configuration (NULL, a number, a list) hold n?  Absent holds all.
static Status holds_layer(bool *out, const PeftConfig *c, int64_t n)
{
    const Json *v = json_find(c->root, "layers_to_transform");
    *out = json_is_off(v);
    if (*out) return OK;
    const Json *first = v->type == JSON_ARRAY ? v->child : v;
    for (const Json *e = first; e; e = v->type == JSON_ARRAY ? e->next : NULL) {
        if (e->type != JSON_NUMBER || !e->is_int)
            return ERROR("%s: layers_to_transform: want numbers of layers, got %s", c->path, json_describe(e).s);
        *out |= e->n == n;
    }
    return OK;
}

typedef enum Wanted { WANTED_NO, WANTED_YES, WANTED_UNKNOWN } Wanted;

// Whether the configuration puts LoRA on the module.  A list of names says so; an expression is left to the file.
static Status is_wanted(Wanted *out, const PeftConfig *c, const char *module, int layer)
{
    const Json *list = json_find(c->root, "target_modules"), *without = json_find(c->root, "exclude_modules");
    bool here;
    TRY(holds_layer(&here, c, layer));
    *out = here ? WANTED_UNKNOWN : WANTED_NO;
    if (!here || json_is_off(list) || list->type != JSON_ARRAY || !json_is_off(without)) return OK;
    *out = WANTED_NO;
    for (const Json *e = list->child; e; e = e->next)
        if (e->type == JSON_STRING && names_module(e->string, module)) *out = WANTED_YES;
    return OK;
}

// ---- reading --------------------------------------------------------------------------------------------------------

// LoRA of one projection in the file; part[0] NULL: none.
typedef struct Placed { const SafeTensor *part[2]; int64_t rank; double scale; } Placed;

static const SafeTensor *find_part(const SafeFile *f, int layer, const char *name, int k, Arena *a)
{
    // saved from a GPT2LMHeadModel, or from a bare GPT2Model
    const char *const prefix[] = {peft_prefix, "base_model.model."};
    const SafeTensor *t = NULL;
    for (int i = 0; i < 2 && !t; i++)
        t = safetensors_find(f, arena_printf(a, "%sh.%d.%s.lora_%c.weight", prefix[i], layer, name, 'A' + k));
    return t;
}

static Status check_part(const SafeTensor *t, Shape want, const char *path)
{
    char a[96], b[96];
    if (t->type != SAFE_F32 && t->type != SAFE_F16 && t->type != SAFE_BF16 && t->type != SAFE_F64)
        return ERROR("%s: want F32, F16, BF16 or F64, got %s in %s", t->name, safetensors_type_name(t->type), path);
    if (t->n_dim != 2 || !shape_equal(want, shape_make(2, t->shape)))
        return ERROR("%s: want %s, got %s in %s", t->name, shape_text(want, a),
                     t->n_dim == 2 ? shape_text(shape_make(2, t->shape), b) : "other dimensions", path);
    return OK;
}

static Status place(Placed *p, const PeftConfig *c, const SafeFile *f, const Gpt2Projection *on, int layer,
                    const char *name, Arena *a)
{
    const char *module = arena_printf(a, "transformer.h.%d.%s", layer, name);
    Wanted wanted;
    TRY(is_wanted(&wanted, c, module, layer));
    for (int k = 0; k < 2; k++) p->part[k] = find_part(f, layer, name, k, a);
    const bool any = p->part[0] || p->part[1];
    if (any && wanted == WANTED_NO)
        return ERROR("%s: want LoRA where %s puts it, got it on %s as well", f->path, c->path, module);
    double rank = (double)c->rank, alpha = c->alpha;
    TRY(pattern_value(&rank, c, "rank_pattern", module));
    TRY(pattern_value(&alpha, c, "alpha_pattern", module));
    if (!(rank >= 1 && rank <= MAX_RANK && rank == floor(rank)))
        return ERROR("%s: rank_pattern: want a rank in 1..%d, got %g", c->path, MAX_RANK, rank);
    p->rank = (int64_t)rank;
    p->scale = alpha / (c->rank_stabilised ? sqrt(rank) : rank);
    if (!any && wanted != WANTED_YES) return OK;
    for (int k = 0; k < 2; k++) {
        const Shape want = k ? SHAPE(on->w->shape.d[1], p->rank) : SHAPE(p->rank, on->w->shape.d[0]);
        char buf[96];
        if (!p->part[k])
            return ERROR("h.%d.%s.lora_%c.weight: want %s, got no such tensor in %s", layer, name, 'A' + k,
                         shape_text(want, buf), f->path);
        TRY(check_part(p->part[k], want, f->path));
    }
    return OK;
}

// A tensor of the file that is no LoRA of a projection: an embedding or a head that was trained as well.
static Status refuse_others(const SafeFile *f, const Placed *p, int64_t n)
{
    for (int64_t j = 0; j < f->n_tensor; j++) {
        bool used = false;
        for (int64_t i = 0; i < n && !used; i++) used = p[i].part[0] == &f->tensor[j] || p[i].part[1] == &f->tensor[j];
        if (!used)
            return ERROR("%s: want LoRA of c_attn, c_proj or c_fc only, got %s", f->path, f->tensor[j].name);
    }
    return OK;
}

// placed[layer * LORA_TARGETS + i]
static Status place_all(Placed *placed, LoraConfig *c, const PeftConfig *peft, const Gpt2 *m, const SafeFile *f,
                        Arena *a)
{
    *c = (LoraConfig){.rank = peft->rank, .alpha = peft->alpha};
    if (peft->rank_stabilised) c->alpha *= sqrt((double)c->rank);
    for (int l = 0; l < m->c.layers; l++)
        for (int i = 0; i < LORA_TARGETS; i++) {
            const char *name;
            LoraTarget target;
            const Gpt2Projection *on = lora_projection(m, l, i, &name, &target);
            Placed *p = &placed[l * LORA_TARGETS + i];
            TRY(place(p, peft, f, on, l, name, a));
            if (p->part[0]) c->targets |= target;
        }
    if (!c->targets) return ERROR("%s: want LoRA of c_attn, c_proj or c_fc, found none", f->path);
    return refuse_others(f, placed, LORA_TARGETS * m->c.layers);
}

static void fill(Tensor *x, const SafeTensor *from, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const int64_t rows = x->shape.d[0], cols = x->shape.d[1];
    float *v = arena_alloc(scratch, (size_t)(rows * cols) * sizeof *v);
    safetensors_read_f32(v, from);
    tensor_set_f32(x, transposed(v, cols, rows, scratch), rows * cols);
    arena_rewind(scratch, mark);
}

static Status lora_read(LoraConfig *c, const PeftConfig *peft, ParamSet *ps, Gpt2 *m, const SafeFile *f,
                        Arena *scratch)
{
    Placed *placed = arena_zalloc(scratch, (size_t)(LORA_TARGETS * m->c.layers) * sizeof *placed);
    TRY(place_all(placed, c, peft, m, f, scratch));
    for (int l = 0; l < m->c.layers; l++)
        for (int i = 0; i < LORA_TARGETS; i++) {
            const char *name;
            LoraTarget target;
            Gpt2Projection *on = lora_projection(m, l, i, &name, &target);
            const Placed *p = &placed[l * LORA_TARGETS + i];
            if (!p->part[0]) continue;
            lora_attach_one(ps, "lora", on, arena_printf(ps->perm, "h.%d.%s", l, name), p->rank, p->scale);
            fill(on->lora_a, p->part[0], scratch);
            fill(on->lora_b, p->part[1], scratch);
        }
    return OK;
}

Status lora_load(LoraConfig *c, ParamSet *ps, Gpt2 *m, const char *dir, Arena *scratch)
{
    PeftConfig peft;
    SafeFile f;
    TRY(peft_read(&peft, arena_printf(scratch, "%s/adapter_config.json", dir), scratch));
    const char *weights = arena_printf(scratch, "%s/adapter_model.safetensors", dir);
    if (file_absent(weights) && !file_absent(arena_printf(scratch, "%s/adapter_model.bin", dir)))
        return ERROR("%s: want adapter_model.safetensors, got adapter_model.bin, pickled weights of PyTorch, which "
                     "lead does not read: save the adapter again with PEFT's save_pretrained", dir);
    TRY(safetensors_open(&f, scratch, weights));
    const Status s = lora_read(c, &peft, ps, m, &f, scratch);
    safetensors_close(&f);
    return s;
}
