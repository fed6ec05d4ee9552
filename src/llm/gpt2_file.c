// GPT-2 in files: model.safetensors, whole or in shards.  Contract: gpt2.h.
#include <string.h>

#include "llm/gpt2.h"
#include "llm/gpt2_directory.h"
#include "llm/gpt2_llmc.h"
#include "llm/gpt2_weights.h"
#include "io/file.h"
#include "io/json.h"
#include "nn/checkpoint.h"

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

// The tensors of a model: of one file, or of several that an index lists.
typedef struct Source {
    const char *name;            // of the file, or of the index
    SafeFile *file;
    int n_files;
    const SafeTensor **tensor;   // [n_weights]
    const char *aside;           // names that are no part of a GPT-2 with this head, for a note; NULL = none
} Source;

// Only what begins like a part of the blocks, the embeddings or the last norm can change what they compute.
static bool is_body(const char *name)
{
    static const char *const parts[] = {"h.", "wte.", "wpe.", "ln_f.", "lm_head."};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strncmp(name, parts[i], strlen(parts[i]))) return true;
    return false;
}

static void put_aside(Source *src, const char *name, Arena *scratch)
{
    if (src->aside && strlen(src->aside) > 200) return;
    const char *before = src->aside ? src->aside : "", *comma = src->aside ? ", " : "";
    src->aside = arena_printf(scratch, "%s%s%.80s", before, comma, name);
}

static Status place_tensor(Source *src, const Gpt2 *m, const SafeTensor *s, const SafeFile *f,
                           const SafeTensor **spare_head, Arena *scratch)
{
    const char *name = plain_name(s->name);
    const int i = find_weight(m, name);
    if (i < 0 && m->c.tied && !strcmp(name, "lm_head.weight")) *spare_head = s;
    else if (i < 0 && !is_mask(name) && is_body(name))
        return ERROR("%s: want a tensor of GPT-2 with %lld layers, got an unknown one in %s", s->name,
                     (long long)m->c.layers, f->path);
    else if (i < 0 && !is_mask(name)) put_aside(src, s->name, scratch);
    else if (i >= 0 && src->tensor[i])
        return ERROR("%s: want it once, got it %s in %s", name,
                     src->n_files > 1 ? "twice" : "with and without \"transformer.\"", f->path);
    else if (i >= 0) src->tensor[i] = s;
    return OK;
}

// src->tensor[i] = the tensor for m->weight[i].  Every place must have its tensor; a tensor without a place is an error
// in the body of the model and set aside elsewhere: heads for other tasks.
static Status match_tensors(Source *src, const Gpt2 *m, Arena *scratch)
{
    const SafeTensor *spare_head = NULL;
    src->tensor = arena_zalloc(scratch, (size_t)m->n_weights * sizeof *src->tensor);
    for (int k = 0; k < src->n_files; k++)
        for (int64_t j = 0; j < src->file[k].n_tensor; j++)
            TRY(place_tensor(src, m, &src->file[k].tensor[j], &src->file[k], &spare_head, scratch));
    for (int i = 0; i < m->n_weights; i++) {
        char buf[96];
        if (!src->tensor[i])
            return ERROR("%s: want %s, got no such tensor in %s%s%s", m->weight[i].name,
                         shape_text(m->weight[i].shape, buf), src->name, src->aside ? "; it holds " : "",
                         src->aside ? src->aside : "");
        TRY(check_shape(src->tensor[i], m->weight[i].shape, src->name));
    }
    if (spare_head) TRY(check_tied_head(spare_head, src->tensor[0], m->weight[0].shape, src->name));
    return OK;
}

// Frozen f32 weights are used where they are in the mapped file: loading copies nothing.
static bool usable_in_place(const SafeTensor *s, const Device *dev, Gpt2Flags flags)
{
    return flags & GPT2_FROZEN && dev->real_size == sizeof(float) && !dev->memory && s->type == SAFE_F32 &&
           (uintptr_t)s->data % sizeof(float) == 0;
}

static bool has_head_bias(const Source *src)
{
    for (int k = 0; k < src->n_files; k++)
        if (safetensors_find(&src->file[k], "lm_head.bias") ||
            safetensors_find(&src->file[k], "transformer.lm_head.bias"))
            return true;
    return false;
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

// Where the values of a tensor lie in a file that is mapped for writing: the mapping is private.
static void *mapped_values(const Source *src, const SafeTensor *t)
{
    const unsigned char *p = t->data;
    for (int k = 0; k < src->n_files; k++) {
        const FileMap *map = &src->file[k].map;
        if (p >= map->data && p < map->data + map->size) return map->data + (p - map->data);
    }
    return NULL;
}

static const char *note_text(const Gpt2Config *c, const Source *src, Arena *perm)
{
    if (!*c->unknown && !src->aside) return NULL;
    const char *keys = *c->unknown ? arena_printf(perm, "config.json: %s: not known, left aside", c->unknown) : "";
    return arena_printf(perm, "%s%s%s%s", keys, *keys && src->aside ? "; " : "", src->aside ? src->aside : "",
                        src->aside ? ": no part of a language model, left aside" : "");
}

static void load_matched(Gpt2 **out, ParamSet *ps, const char *prefix, const Gpt2Config *c, Source *src,
                         Gpt2Flags flags, int n_weights, Arena *scratch)
{
    void **values = arena_zalloc(scratch, (size_t)n_weights * sizeof *values);
    int in_place = 0;
    for (int i = 0; i < n_weights; i++) {
        if (!usable_in_place(src->tensor[i], ps->dev, flags)) continue;
        values[i] = mapped_values(src, src->tensor[i]);
        in_place += values[i] != NULL;
    }
    Gpt2 *m = gpt2_new_on(ps, prefix, c, flags | GPT2_BLANK, values);
    for (int i = 0; i < m->n_weights; i++)
        if (!values[i]) read_weight(*m->weight[i].slot, src->tensor[i], scratch);
    m->note = note_text(c, src, ps->perm);
    *out = m;
    if (!in_place) return;
    m->n_files = src->n_files;
    m->file = arena_zalloc(ps->perm, (size_t)src->n_files * sizeof *m->file);
    for (int k = 0; k < src->n_files; k++) {
        m->file[k] = src->file[k].map;
        src->file[k].map = (FileMap){0};    // the model's now
    }
}

// ---- which files ----------------------------------------------------------------------------------------------------

// Neither model.safetensors nor its index: says what there is instead.
static Status no_weights(const char *dir, Arena *scratch)
{
    static const struct { const char *file, *what; } other[] = {
        {"pytorch_model.bin", "pickled weights of PyTorch"},
        {"pytorch_model.bin.index.json", "pickled weights of PyTorch in parts"},
        {"tf_model.h5", "weights of TensorFlow"},
        {"flax_model.msgpack", "weights of Flax"},
        {"adapter_config.json", "a LoRA adapter: give its base with --llm and this directory with --adapter"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        if (file_absent(arena_printf(scratch, "%s/%s", dir, other[i].file))) continue;
        if (!strcmp(other[i].file, "adapter_config.json"))
            return ERROR("%s: want model.safetensors, got adapter_config.json, %s", dir, other[i].what);
        return ERROR("%s: want model.safetensors, got %s, %s, which lead does not read.  Convert with transformers: "
                     "AutoModelForCausalLM.from_pretrained(\"%.80s\").save_pretrained(\"NEW\")", dir, other[i].file,
                     other[i].what, dir);
    }
    return OK;
}

// A shard's name comes from the index, which anybody may have written: it must be the plain name of a file beside it.
static Status check_shard_name(const Json *v, const char *index)
{
    if (v->type != JSON_STRING || v->n == 0 || strlen(v->string) != (size_t)v->n || strchr(v->string, '/') ||
        *v->string == '.')
        return ERROR("%s: \"%.100s\": want the name of a file beside it, got %s", index, v->key, json_describe(v).s);
    return OK;
}

static int find_file(const Source *src, const char *path)
{
    for (int k = 0; k < src->n_files; k++)
        if (!strcmp(src->file[k].path, path)) return k;
    return -1;
}

// Opens every file that weight_map names, once; every tensor must be where the map says.
static Status open_shards(Source *src, const char *dir, Arena *scratch)
{
    enum { MAX_INDEX = 1 << 26, MAX_SHARDS = 1024 };
    const Json *root;
    TRY(json_read(&root, scratch, src->name, MAX_INDEX));
    const Json *map = json_find(root, "weight_map");
    if (!map || map->type != JSON_OBJECT || map->n == 0)
        return ERROR("%s: weight_map: want {\"tensor\": \"file\", ..}, got %s", src->name, json_describe(map).s);
    src->file = arena_zalloc(scratch, MAX_SHARDS * sizeof *src->file);
    for (const Json *v = map->child; v; v = v->next) {
        TRY(check_shard_name(v, src->name));
        const char *path = arena_printf(scratch, "%s/%s", dir, v->string);
        int k = find_file(src, path);
        if (k < 0) {
            if (src->n_files == MAX_SHARDS) return ERROR("%s: want at most %d files, got more", src->name, MAX_SHARDS);
            TRY(safetensors_open(&src->file[src->n_files], scratch, path));
            k = src->n_files++;
        }
        if (!safetensors_find(&src->file[k], v->key))
            return ERROR("%s: want %.100s in %s, got no such tensor there", src->name, v->key, path);
    }
    return OK;
}

static Status open_weights(Source *src, const char *dir, Arena *scratch)
{
    const char *one = arena_printf(scratch, "%s/model.safetensors", dir),
               *index = arena_printf(scratch, "%s/model.safetensors.index.json", dir);
    *src = (Source){.name = one};
    if (file_absent(one)) {
        if (!file_absent(index)) {
            src->name = index;
            return open_shards(src, dir, scratch);
        }
        TRY(no_weights(dir, scratch));
    }
    src->file = arena_zalloc(scratch, sizeof *src->file);
    TRY(safetensors_open(src->file, scratch, one));
    src->n_files = 1;
    return OK;
}

static Status load_directory(Gpt2 **m, ParamSet *ps, const char *prefix, const char *dir, Gpt2Flags flags, Source *src,
                             Arena *scratch)
{
    Gpt2Config c;
    TRY(gpt2_config_read(&c, dir, scratch));
    TRY(open_weights(src, dir, scratch));
    c.head_bias = has_head_bias(src);
    const Gpt2 *wanted = gpt2_weights_list(&c, scratch);
    TRY(match_tensors(src, wanted, scratch));
    load_matched(m, ps, prefix, &c, src, flags, wanted->n_weights, scratch);
    return OK;
}

Status gpt2_load(Gpt2 **m, ParamSet *ps, const char *prefix, const char *dir, Gpt2Flags flags, Arena *scratch)
{
    const size_t mark = arena_mark(scratch), len = strlen(dir);
    if (len > 4 && !strcmp(dir + len - 4, ".bin")) return gpt2_load_llmc(m, ps, prefix, dir, flags, scratch);
    Source src = {0};
    const char *at = gpt2_directory(dir, scratch);
    const Status s = load_directory(m, ps, prefix, at, flags, &src, scratch);
    if (!s.code && strcmp(at, dir)) (*m)->note = arena_printf(ps->perm, "%s is read beside the program: %s", dir, at);
    for (int k = 0; k < src.n_files; k++) safetensors_close(&src.file[k]);
    arena_rewind(scratch, mark);
    return s;
}

void gpt2_close(Gpt2 *m)
{
    for (int k = 0; k < m->n_files; k++) file_unmap(&m->file[k]);
}

// ---- writing --------------------------------------------------------------------------------------------------------

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
    TRY(directory_make(dir));
    TRY(gpt2_config_write(&m->c, dir, scratch));
    return gpt2_save_weights(m, dir, type, scratch);
}

Status gpt2_save_weights(const Gpt2 *m, const char *dir, SafeType type, Arena *scratch)
{
    CHECK(type == SAFE_F32 || type == SAFE_BF16, "gpt2_save_weights: type %s", safetensors_type_name(type));
    const size_t mark = arena_mark(scratch);
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
    TRY(safetensors_write(arena_printf(scratch, "%s/model.safetensors", dir), list, m->n_weights, &meta, 1, false,
                          scratch));
    arena_rewind(scratch, mark);
    return OK;
}
