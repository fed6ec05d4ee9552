// Bottleneck adapters in files, and what a directory of adapters holds.  Contract: adapter_file.h.
#include "llm/adapter_file.h"

#include <string.h>

#include "llm/lora_file.h"
#include "io/file.h"
#include "io/safetensors.h"

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
                                     .data = lora_values(x[i].x, scratch)};
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
    const bool has_lora = !file_absent(config), has_bottleneck = !file_absent(bottleneck);
    *s = NULL;
    if (!has_lora && !has_bottleneck)
        return ERROR("%s: want adapter_config.json (LoRA) or bottleneck.safetensors, found neither", dir);
    if (has_lora) TRY(lora_load(&found, ps, m, dir, scratch));
    if (has_bottleneck) TRY(adapter_load(s, ps, m, bottleneck, scratch));
    if (c) *c = found;
    arena_rewind(scratch, mark);
    return OK;
}
