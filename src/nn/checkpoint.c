#include "nn/checkpoint.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tensor/ranks.h"

// Version 1 stored no SHA-256.
static const char *const format_key = "lead.format", *const format_value = "checkpoint 2";
static const char *const format_old = "checkpoint 1";
static const char *const digest_key = "lead.sha256";
#define PREV ".prev"
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
static Status write_file(const char *path, const ParamSet *ps, bool weights, const SafeMeta *meta, int n_meta,
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
    SafeMeta *all = arena_alloc(scratch, ((size_t)n_meta + 2) * sizeof *all);
    for (int i = 0; i < n_meta; i++) all[i] = meta[i];
    all[n_meta] = (SafeMeta){format_key, format_value};
    const Sha256Hex digest = safetensors_digest(t, n, all, n_meta + 1, digest_key, scratch);
    all[n_meta + 1] = (SafeMeta){digest_key, digest.s};
    const Status s = safetensors_write(path, t, n, all, n_meta + 2, true, scratch);
    arena_rewind(scratch, mark);
    return s;
}

// All ranks hold the same values: the first writes them.
static Status save(const char *path, const ParamSet *ps, bool weights, const SafeMeta *meta, int n_meta,
                   const StatArray *stat, int n_stat, Arena *scratch)
{
    return ranks_agree(ranks_first() ? write_file(path, ps, weights, meta, n_meta, stat, n_stat, scratch) : OK);
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

Status checkpoint_try(const char *path, const SafeMeta *meta, int n_meta)
{
    char longest[PATH_MAX];
    if (strlen(path) + strlen(PREV) >= sizeof longest)
        return ERROR("%.100s..: want a path of at most %zu bytes, got %zu", path, sizeof longest - strlen(PREV) - 1,
                     strlen(path));
    TRY(safetensors_check_meta(meta, n_meta, path));
    return ranks_agree(file_try(path));
}

static Status check_format(SafeFile *f, Arena *a)
{
    const char *format = safetensors_meta(f, format_key), *want = safetensors_meta(f, digest_key);
    const bool old = format && strcmp(format, format_old) == 0;
    if (!old && !(format && strcmp(format, format_value) == 0))
        return ERROR("%s: want metadata %s = '%s', got %s", f->path, format_key, format_value,
                     format ? format : "none");
    if (!want && !old) return ERROR("%s: want metadata %s, got none of that name", f->path, digest_key);
    if (!want) {
        f->note = arena_printf(a, "%s: written before files of weights stored their SHA-256: whether it is damaged "
                               "cannot be told", f->path);
        return OK;
    }
    const Sha256Hex got = safetensors_digest(f->tensor, f->n_tensor, f->meta, f->n_meta, digest_key, a);
    if (strcmp(want, got.s) == 0) return OK;
    return ERROR("%s: want content of SHA-256 %.12s.. as the file says, got %.12s..: damaged, or changed by hand",
                 f->path, want, got.s);
}

static Status open_whole(SafeFile *f, Arena *a, const char *path)
{
    TRY(safetensors_open(f, a, path));
    const Status s = check_format(f, a);
    if (s.code) safetensors_close(f);
    return s;
}

Status checkpoint_open(SafeFile *f, Arena *a, const char *path)
{
    const char *prev = arena_printf(a, "%s" PREV, path);
    bool there, older;
    TRY(file_exists(path, &there));
    TRY(file_exists(prev, &older));
    const Status s = open_whole(f, a, path);
    if (!s.code || !older || (there && access(path, R_OK))) return s;
    if (open_whole(f, a, prev).code) return s;   // what was asked for is what people know about
    f->note = arena_printf(a, "%s; the version before it is used, %s", s.msg, prev);
    return OK;
}

bool checkpoint_is_previous(const SafeFile *f)
{
    const size_t n = strlen(f->path), m = strlen(PREV);
    return n > m && strcmp(f->path + n - m, PREV) == 0;
}

Status checkpoint_meta(const SafeFile *f, const char *key, const char **value)
{
    *value = safetensors_meta(f, key);
    return *value ? OK : ERROR("%s: want metadata '%s', got none of that name", f->path, key);
}

Status checkpoint_numbers(const SafeFile *f, const char *key, int n, int64_t least, int64_t most, int64_t *out)
{
    const char *text;
    TRY(checkpoint_meta(f, key, &text));
    const char *p = text;
    char *end;
    bool good = true;
    errno = 0;
    for (int i = 0; i < n && good; i++, p = end) {
        out[i] = strtoll(p, &end, 10);
        good = end != p && (*end == ' ' || *end == 0) && out[i] >= least && out[i] <= most && !errno;
    }
    if (good && !*p) return OK;
    return ERROR("%s: %s: want %d whole number%s in %lld..%lld, got '%.100s'", f->path, key, n, n == 1 ? "" : "s",
                 (long long)least, (long long)most, text);
}

Status checkpoint_real(const SafeFile *f, const char *key, double *out)
{
    const char *text;
    TRY(checkpoint_meta(f, key, &text));
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && !isnan(*out) ? OK : ERROR("%s: %s: want a number, got '%.100s'", f->path, key, text);
}

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *checkpoint_bits(const Device *dev, Arena *a)
{
    static const char *const math[] = {[MATH_FP32] = "", [MATH_TF32] = ", tf32", [MATH_BF16] = ", bf16"};
    return arena_printf(a, "%s, %s%s%s", COMPILER, dev->name, math[dev->math], dev->exact ? ", exact" : "");
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

static Status check_finite(const SafeFile *f, const SafeTensor *t)
{
    enum { PIECE = 4096 };
    float x[PIECE];
    SafeTensor part = *t;
    for (int64_t i = 0; i < t->count; i += PIECE) {
        part.count = t->count - i < PIECE ? t->count - i : PIECE;
        part.data = (const char *)t->data + (size_t)i * safetensors_type_size(t->type);
        safetensors_read_f32(x, &part);
        for (int64_t j = 0; j < part.count; j++)
            if (!isfinite(x[j]))
                return ERROR("%s: %s: want finite values, got %g at %lld", f->path, t->name, (double)x[j],
                             (long long)(i + j));
    }
    return OK;
}

static Status load_state(const SafeFile *f, const Param *p, int k, void *into, Arena *scratch)
{
    char name[512];
    const int len = snprintf(name, sizeof name, "%s%s", p->t.name, suffix[k]);
    CHECK(len > 0 && len < (int)sizeof name, "checkpoint: parameter name of %d bytes", len);
    const SafeTensor *t;
    TRY(safetensors_get(&t, f, name, p->t.shape.n, p->t.shape.d));
    TRY(check_finite(f, t));
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
