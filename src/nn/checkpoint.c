#include "nn/checkpoint.h"

#include <stdio.h>
#include <string.h>

static const char *const format_key = "lead.format", *const format_value = "checkpoint 1";
static const char *const suffix[] = {"", "#m", "#v", "#ema"};   // order of the four states of a parameter

static int n_state(const ParamSet *ps) { return ps->no_ema ? 3 : 4; }

static void *state_buffer(const Param *p, int k)
{
    return k == 0 ? p->t.x : k == 1 ? p->m.x : k == 2 ? p->v.x : p->ema.x;
}

Status checkpoint_save(const char *path, const ParamSet *ps, const SafeMeta *meta, int n_meta, const StatArray *stat,
                       int n_stat, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    CHECK(!ps->inference && ps->dev->real_size == sizeof(float),
          "checkpoint_save: wants f32 parameters with their state");
    SafeTensor *t = arena_alloc(scratch, ((size_t)ps->n * (size_t)n_state(ps) + (size_t)n_stat) * sizeof *t);
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++) {
        const Param *p = ps->p[i];
        if (p->frozen) continue;
        for (int k = 0; k < n_state(ps); k++)
            t[n++] = (SafeTensor){.name = arena_printf(scratch, "%s%s", p->t.name, suffix[k]), .type = SAFE_F32,
                                  .n_dim = p->t.shape.n, .shape = p->t.shape.d,
                                  .data = device_view(ps->dev, scratch, state_buffer(p, k), tensor_bytes(&p->t))};
    }
    for (int i = 0; i < n_stat; i++)
        t[n++] = (SafeTensor){.name = arena_printf(scratch, "stat.%s", stat[i].name), .type = SAFE_F64, .n_dim = 1,
                              .shape = &stat[i].n, .data = stat[i].x};
    SafeMeta *all = arena_alloc(scratch, ((size_t)n_meta + 1) * sizeof *all);
    all[0] = (SafeMeta){format_key, format_value};
    for (int i = 0; i < n_meta; i++) all[i + 1] = meta[i];
    const Status s = safetensors_write(path, t, n, all, n_meta + 1, true, scratch);
    arena_rewind(scratch, mark);
    return s;
}

Status checkpoint_open(SafeFile *f, Arena *a, const char *path)
{
    TRY(safetensors_open(f, a, path));
    const char *format = safetensors_meta(f, format_key);
    if (format && strcmp(format, format_value) == 0) return OK;
    const Status s = ERROR("%s: want metadata %s = '%s', got %s", path, format_key, format_value,
                           format ? format : "none");
    safetensors_close(f);
    return s;
}

Status checkpoint_meta(const SafeFile *f, const char *key, const char **value)
{
    *value = safetensors_meta(f, key);
    return *value ? OK : ERROR("%s: want metadata '%s', got none of that name", f->path, key);
}

Status checkpoint_stat(const SafeFile *f, const char *name, Arena *a, const double **x, int64_t *n)
{
    const SafeTensor *t;
    TRY(safetensors_get(&t, f, arena_printf(a, "stat.%s", name), 1, (int64_t[]){-1}));
    double *out = arena_alloc(a, (size_t)t->count * sizeof *out);
    safetensors_read_f64(out, t);
    *x = out;
    *n = t->count;
    return OK;
}

void checkpoint_read(const Device *dev, void *x, const SafeTensor *t, Arena *scratch)
{
    const size_t mark = arena_mark(scratch), bytes = (size_t)t->count * dev->real_size;
    void *host = dev->memory ? arena_alloc(scratch, bytes) : x;
    if (dev->real_size == sizeof(float)) safetensors_read_f32(host, t);
    else safetensors_read_f64(host, t);
    if (dev->memory) device_put(dev, x, host, bytes);
    arena_rewind(scratch, mark);
}

static Status load_state(const SafeFile *f, const Param *p, int k, void *into, Arena *scratch)
{
    char name[512];
    const int len = snprintf(name, sizeof name, "%s%s", p->t.name, suffix[k]);
    CHECK(len > 0 && len < (int)sizeof name, "checkpoint: parameter name of %d bytes", len);
    const SafeTensor *t;
    TRY(safetensors_get(&t, f, name, p->t.shape.n, p->t.shape.d));
    checkpoint_read(p->t.dev, into, t, scratch);
    return OK;
}

Status checkpoint_load(const SafeFile *f, ParamSet *ps)
{
    int64_t known = 0;
    for (int i = 0; i < ps->n; i++) {
        const Param *p = ps->p[i];
        if (p->frozen) continue;
        known += n_state(ps);
        if (ps->inference) TRY(load_state(f, p, n_state(ps) == 4 ? 3 : 0, p->t.x, ps->perm));
        else for (int k = 0; k < n_state(ps); k++) TRY(load_state(f, p, k, state_buffer(p, k), ps->perm));
    }
    for (int64_t i = 0; i < f->n_tensor; i++) known += strncmp(f->tensor[i].name, "stat.", 5) == 0;
    if (known != f->n_tensor)
        return ERROR("%s: want the %lld tensors of this configuration, got %lld: made with another configuration",
                     f->path, (long long)known, (long long)f->n_tensor);
    return OK;
}
