#include "nn/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const format_key = "lead.format", *const format_value = "checkpoint 1";
static const char *const suffix[] = {"", "#m", "#v", "#ema"};   // order of the four states of a parameter

static int n_state(const ParamSet *ps) { return ps->no_ema ? 3 : 4; }

static void *state_buffer(const Param *p, int k)
{
    return k == 0 ? p->t.x : k == 1 ? p->m.x : k == 2 ? p->v.x : p->ema.x;
}

// The state that inference reads.
static int weights_state(const ParamSet *ps) { return ps->no_ema ? 0 : 3; }

// The array as F32 when every value is one, else as F64: most statistics are floats.
static SafeTensor stat_tensor(const StatArray *s, Arena *a)
{
    SafeTensor t = {.name = arena_printf(a, "stat.%s", s->name), .type = SAFE_F64, .n_dim = 1, .shape = &s->n,
                    .data = s->x};
    float *narrow = arena_alloc(a, (size_t)s->n * sizeof *narrow);
    for (int64_t i = 0; i < s->n; i++) {
        narrow[i] = (float)s->x[i];
        if (!((double)narrow[i] == s->x[i])) return t;
    }
    t.type = SAFE_F32;
    t.data = narrow;
    return t;
}

// Every state of the trainable parameters, or with weights the one that inference reads; and the statistics.
static Status save(const char *path, const ParamSet *ps, bool weights, const SafeMeta *meta, int n_meta,
                   const StatArray *stat, int n_stat, Arena *scratch)
{
    const int first = weights ? weights_state(ps) : 0, last = weights ? first + 1 : n_state(ps);
    const size_t mark = arena_mark(scratch);
    CHECK(!ps->inference && ps->dev->real_size == sizeof(float),
          "checkpoint_save: wants f32 parameters with their state");
    SafeTensor *t = arena_alloc(scratch, ((size_t)ps->n * (size_t)n_state(ps) + (size_t)n_stat) * sizeof *t);
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++) {
        const Param *p = ps->p[i];
        if (p->frozen) continue;
        for (int k = first; k < last; k++)
            t[n++] = (SafeTensor){.name = arena_printf(scratch, "%s%s", p->t.name, suffix[k]), .type = SAFE_F32,
                                  .n_dim = p->t.shape.n, .shape = p->t.shape.d,
                                  .data = device_view(ps->dev, scratch, state_buffer(p, k), tensor_bytes(&p->t))};
    }
    for (int i = 0; i < n_stat; i++) t[n++] = stat_tensor(&stat[i], scratch);
    SafeMeta *all = arena_alloc(scratch, ((size_t)n_meta + 1) * sizeof *all);
    all[0] = (SafeMeta){format_key, format_value};
    for (int i = 0; i < n_meta; i++) all[i + 1] = meta[i];
    const Status s = safetensors_write(path, t, n, all, n_meta + 1, !weights, scratch);
    arena_rewind(scratch, mark);
    return s;
}

Status checkpoint_save(const char *path, const ParamSet *ps, const SafeMeta *meta, int n_meta, const StatArray *stat,
                       int n_stat, Arena *scratch)
{
    return save(path, ps, false, meta, n_meta, stat, n_stat, scratch);
}

Status checkpoint_save_weights(const char *path, const ParamSet *ps, const SafeMeta *meta, int n_meta,
                               const StatArray *stat, int n_stat, Arena *scratch)
{
    return save(path, ps, true, meta, n_meta, stat, n_stat, scratch);
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

Status checkpoint_numbers(const SafeFile *f, const char *key, int n, int64_t *out)
{
    const char *text;
    TRY(checkpoint_meta(f, key, &text));
    const char *p = text;
    char *end;
    for (int i = 0; i < n; i++, p = end) {
        out[i] = strtoll(p, &end, 10);
        if (end == p) return ERROR("%s: %s: want %d numbers, got '%s'", f->path, key, n, text);
    }
    return OK;
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

// The number of states of p in the file.
static int states_there(const SafeFile *f, const ParamSet *ps, const Param *p)
{
    char name[512];
    int n = 0;
    for (int k = 0; k < n_state(ps); k++) {
        snprintf(name, sizeof name, "%s%s", p->t.name, suffix[k]);
        n += safetensors_find(f, name) != NULL;
    }
    return n;
}

// Every tensor of the file belongs to ps, or is a statistic.
static Status check_known(const SafeFile *f, const ParamSet *ps)
{
    int64_t known = 0;
    for (int i = 0; i < ps->n; i++)
        if (!ps->p[i]->frozen) known += states_there(f, ps, ps->p[i]);
    for (int64_t i = 0; i < f->n_tensor; i++) known += strncmp(f->tensor[i].name, "stat.", 5) == 0;
    if (known != f->n_tensor)
        return ERROR("%s: want the %lld tensors of this configuration, got %lld: made with another configuration",
                     f->path, (long long)known, (long long)f->n_tensor);
    return OK;
}

Status checkpoint_load(const SafeFile *f, ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        const Param *p = ps->p[i];
        if (p->frozen) continue;
        if (ps->inference) TRY(load_state(f, p, weights_state(ps), p->t.x, ps->perm));
        else for (int k = 0; k < n_state(ps); k++) TRY(load_state(f, p, k, state_buffer(p, k), ps->perm));
    }
    return check_known(f, ps);
}

Status checkpoint_load_start(const SafeFile *f, ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        const Param *p = ps->p[i];
        if (p->frozen) continue;
        TRY(load_state(f, p, weights_state(ps), p->t.x, ps->perm));
        if (p->ema.x) device_copy(ps->dev, p->ema.x, p->t.x, tensor_bytes(&p->t));
    }
    return check_known(f, ps);
}
