#include "nn/params.h"

#include <string.h>

#include "io/sha256.h"
#include "tensor/nf4.h"
#include "tensor/philox.h"

void paramset_init(ParamSet *ps, Arena *perm, const Device *dev, uint64_t seed, bool inference)
{
    *ps = (ParamSet){.perm = perm, .dev = dev, .seed = seed, .inference = inference};
}

Param *param_find(const ParamSet *ps, const char *full_name)
{
    for (int i = 0; i < ps->n; i++)
        if (strcmp(ps->p[i]->t.name, full_name) == 0) return ps->p[i];
    return NULL;
}

static uint32_t name_hash(const char *s)   // FNV-1a
{
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

static void fill_initial(const ParamSet *ps, Tensor *t, Init init)
{
    if (init.kind == INIT_ZERO || init.kind == INIT_ONE) {
        tensor_fill(t, init.kind == INIT_ONE);
        return;
    }
    const uint64_t sub = philox_subsequence(SITE_INIT, name_hash(t->name));
    const size_t mark = arena_mark(ps->perm);
    float *x = arena_alloc(ps->perm, (size_t)numel(t) * sizeof *x);
    for (int64_t i = 0, n = numel(t); i < n; i++) {
        const uint64_t at = (uint64_t)i;
        const double u = init.kind == INIT_NORMAL ? (double)philox_normal(ps->seed, sub, at)
                                                  : 2.0 * (double)philox_unit(philox_u32(ps->seed, sub, at)) - 1.0;
        x[i] = (float)(u * init.scale);   // the f64 device starts from the same numbers
    }
    tensor_set_f32(t, x, numel(t));
    arena_rewind(ps->perm, mark);
}

static void add_state(ParamSet *ps, Tensor *state, const Tensor *like)
{
    *state = *like;
    state->g = NULL;
    state->needs_grad = false;
    state->x = device_zalloc(ps->dev, ps->perm, tensor_bytes(like));
}

// Appends an empty Param to ps; *full_name is its name with the prefix.
static Param *register_param(ParamSet *ps, const char *prefix, const char *name, const char **full_name)
{
    char *full = arena_printf(ps->perm, "%s%s%s", prefix, *prefix ? "." : "", name);
    CHECK(!param_find(ps, full) && !ps->flat.x.x, "param_add: %s exists, or the parameters are laid out", full);
    if (ps->n == ps->cap) {
        const int cap = ps->cap ? 2 * ps->cap : 256;
        Param **grown = arena_alloc(ps->perm, (size_t)cap * sizeof *grown);
        if (ps->n) memcpy(grown, ps->p, (size_t)ps->n * sizeof *grown);
        ps->p = grown;
        ps->cap = cap;
    }
    Param *p = arena_zalloc(ps->perm, sizeof *p);
    ps->p[ps->n++] = p;
    *full_name = full;
    return p;
}

Tensor *param_add(ParamSet *ps, const char *prefix, const char *name, Shape shape, Init init, ParamFlags flags)
{
    const char *full;
    Param *p = register_param(ps, prefix, name, &full);
    const bool columns = flags & PARAM_BF16 && ps->dev->bf16_columns;
    const bool nf4 = flags & PARAM_NF4 && nf4_read_by(ps->dev);
    p->t = nf4     ? *tensor_new_nf4(ps->perm, ps->dev, shape, full)
         : columns ? *tensor_new_columns(ps->perm, ps->dev, shape, full)
                   : *tensor_new(ps->perm, ps->dev, REAL, shape, full);
    p->frozen = flags & PARAM_FROZEN;
    p->decay = !(flags & PARAM_NO_DECAY);
    fill_initial(ps, &p->t, init);
    if (!p->frozen && !ps->inference) {
        p->t.needs_grad = true;
        p->t.g = device_zalloc(ps->dev, ps->perm, tensor_bytes(&p->t));
        add_state(ps, &p->m, &p->t);
        add_state(ps, &p->v, &p->t);
        if (!ps->no_ema) {
            add_state(ps, &p->ema, &p->t);
            device_copy(ps->dev, p->ema.x, p->t.x, tensor_bytes(&p->t));
        }
    }
    return &p->t;
}

Tensor *param_add_view(ParamSet *ps, const char *prefix, const char *name, Shape shape, void *values)
{
    const char *full;
    Param *p = register_param(ps, prefix, name, &full);
    p->frozen = true;
    p->t = (Tensor){.shape = shape, .x = values, .dev = ps->dev, .dtype = REAL, .name = full};
    return &p->t;
}

int64_t paramset_count(const ParamSet *ps, bool trainable_only)
{
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++)
        if (!trainable_only || !ps->p[i]->frozen) n += numel(&ps->p[i]->t);
    return n;
}

void paramset_zero_grad(ParamSet *ps)
{
    if (ps->flat.g.x) {
        device_zero(ps->dev, ps->flat.g.x, tensor_bytes(&ps->flat.g));
        return;
    }
    for (int i = 0; i < ps->n; i++)
        if (ps->p[i]->t.g) device_zero(ps->dev, ps->p[i]->t.g, tensor_bytes(&ps->p[i]->t));
}

// ---- paramset_lay_out

static int64_t flat_values(const Param *p)
{
    return (numel(&p->t) + PARAM_FLAT_UNIT - 1) / PARAM_FLAT_UNIT * PARAM_FLAT_UNIT;
}

static Tensor flat_tensor(ParamSet *ps, int64_t n, const char *name)
{
    return *tensor_new(ps->perm, ps->dev, REAL, SHAPE(n), name);
}

// Moves the values of *buffer to their part of `flat`.
static void move_to(const ParamSet *ps, Tensor *flat, int64_t at, const Param *p, void **buffer)
{
    const size_t word = ps->dev->real_size, bytes = tensor_bytes(&p->t), room = (size_t)flat_values(p) * word;
    char *to = (char *)flat->x + (size_t)at * word;
    device_copy(ps->dev, to, *buffer, bytes);
    device_zero(ps->dev, to + bytes, room - bytes);
    if (!ps->dev->memory) memory_unused(*buffer, bytes);
    *buffer = to;
}

void paramset_lay_out(ParamSet *ps)
{
    ParamFlat *f = &ps->flat;
    if (f->x.x) return;
    CHECK(!ps->inference && !ps->swapped,
          "paramset_lay_out: parameters without state, or in the place of their averages");
    int64_t n = 0, at = 0;
    for (int i = 0; i < ps->n; i++) n += ps->p[i]->t.g ? flat_values(ps->p[i]) : 0;
    *f = (ParamFlat){.x = flat_tensor(ps, n, "parameters"), .g = flat_tensor(ps, n, "gradients"),
                     .m = flat_tensor(ps, n, "moments"), .v = flat_tensor(ps, n, "second moments")};
    if (!ps->no_ema) f->ema = flat_tensor(ps, n, "averages");
    for (int decay = 1; decay >= 0; decay--) {
        for (int i = 0; i < ps->n; i++) {
            Param *p = ps->p[i];
            if (!p->t.g || p->decay != decay) continue;
            move_to(ps, &f->x, at, p, &p->t.x);
            move_to(ps, &f->g, at, p, &p->t.g);
            move_to(ps, &f->m, at, p, &p->m.x);
            move_to(ps, &f->v, at, p, &p->v.x);
            if (!ps->no_ema) move_to(ps, &f->ema, at, p, &p->ema.x);
            at += flat_values(p);
        }
        if (decay) f->decayed = at;
    }
}

void paramset_swap_ema(ParamSet *ps)
{
    ps->swapped = !ps->swapped;
    for (int i = 0; i < ps->n; i++) {
        Param *p = ps->p[i];
        if (!p->ema.x) continue;
        void *x = p->t.x;   // only the buffers change places: &p->t stays what every layer points to
        p->t.x = p->ema.x;
        p->ema.x = x;
    }
}

const char *paramset_frozen_hash(const ParamSet *ps, Arena *a)
{
    Sha256 h = sha256_new();
    for (int i = 0; i < ps->n; i++) {
        if (!ps->p[i]->frozen) continue;
        const Tensor *t = &ps->p[i]->t;
        const size_t mark = arena_mark(a), bytes = (size_t)numel(t) * t->dev->real_size;
        if (t->layout == LAYOUT_ROWS) {
            sha256_add(&h, device_view(ps->dev, a, t->x, bytes), bytes);
        } else {
            float *rows = arena_alloc(a, bytes);
            tensor_get_f32(t, rows, numel(t));
            sha256_add(&h, rows, bytes);
        }
        arena_rewind(a, mark);
    }
    return arena_printf(a, "%s", sha256_hex(&h).s);
}
