#include "llm/lora.h"

#include <math.h>
#include <string.h>

static const struct { const char *option, *name; LoraTarget target; } known[] = {
    {"c_attn", "attn.c_attn", LORA_C_ATTN},
    {"c_proj", "attn.c_proj", LORA_C_PROJ},
    {"mlp.c_fc", "mlp.c_fc", LORA_MLP_FC},
    {"mlp.c_proj", "mlp.c_proj", LORA_MLP_PROJ},
    {"all", NULL, LORA_ALL},
};
enum { N_KNOWN = sizeof known / sizeof *known };

Status lora_targets_parse(const char *text, unsigned *targets)
{
    unsigned all = 0;
    for (const char *at = text;; ) {
        const size_t len = strcspn(at, ",");
        unsigned found = 0;
        for (int i = 0; i < N_KNOWN; i++)
            if (strlen(known[i].option) == len && !strncmp(at, known[i].option, len)) found = known[i].target;
        if (!found)
            return USAGE_ERROR("LoRA targets: want all, or some of c_attn,c_proj,mlp.c_fc,mlp.c_proj, got '%.*s'",
                               (int)len, at);
        all |= found;
        if (!at[len]) break;
        at += len + 1;
    }
    *targets = all;
    return OK;
}

Gpt2Projection *lora_projection(const Gpt2 *m, int layer, int i, const char **name, LoraTarget *target)
{
    Gpt2Block *b = &m->block[layer];
    Gpt2Projection *const list[LORA_TARGETS] = {&b->c_attn, &b->c_proj, &b->mlp_fc, &b->mlp_proj};
    *name = known[i].name;
    *target = known[i].target;
    return list[i];
}

void lora_attach_one(ParamSet *ps, const char *prefix, Gpt2Projection *p, const char *name, int64_t rank, double scale)
{
    const int64_t in = p->w->shape.d[0], out = p->w->shape.d[1];
    p->lora_a = param_add(ps, prefix, arena_printf(ps->perm, "%s.lora_A.weight", name), SHAPE(in, rank),
                          (Init){INIT_UNIFORM, 1.0 / sqrt((double)in)}, PARAM_PLAIN);
    p->lora_b = param_add(ps, prefix, arena_printf(ps->perm, "%s.lora_B.weight", name), SHAPE(rank, out),
                          (Init){INIT_ZERO, 0}, PARAM_PLAIN);
    p->lora_scale = scale;
}

void lora_attach(ParamSet *ps, const char *prefix, Gpt2 *m, const LoraConfig *c)
{
    CHECK(c->rank >= 1 && c->targets && !(c->targets & ~(unsigned)LORA_ALL), "lora: rank %lld, targets %u",
          (long long)c->rank, c->targets);
    for (int l = 0; l < m->c.layers; l++)
        for (int i = 0; i < LORA_TARGETS; i++) {
            const char *name;
            LoraTarget target;
            Gpt2Projection *p = lora_projection(m, l, i, &name, &target);
            if (c->targets & target)
                lora_attach_one(ps, prefix, p, arena_printf(ps->perm, "h.%d.%s", l, name), c->rank,
                                c->alpha / (double)c->rank);
        }
}

static double *values(const Tensor *x, Arena *a)
{
    double *v = arena_alloc(a, (size_t)numel(x) * sizeof *v);
    tensor_get_f64(x, v, numel(x));
    return v;
}

static void merge(Gpt2Projection *p, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    double *w = values(p->w, scratch);
    const double *a = values(p->lora_a, scratch), *b = values(p->lora_b, scratch);
    const int64_t in = p->w->shape.d[0], out = p->w->shape.d[1], r = p->lora_a->shape.d[1];
    for (int64_t i = 0; i < in; i++)
        for (int64_t o = 0; o < out; o++) {
            double sum = 0;
            for (int64_t k = 0; k < r; k++) sum += a[i * r + k] * b[k * out + o];
            w[i * out + o] += p->lora_scale * sum;
        }
    tensor_set_f64(p->w, w, numel(p->w));
    arena_rewind(scratch, mark);
    p->lora_a = p->lora_b = NULL;
}

void lora_merge(Gpt2 *m, Arena *scratch)
{
    for (int l = 0; l < m->c.layers; l++)
        for (int i = 0; i < LORA_TARGETS; i++) {
            const char *name;
            LoraTarget target;
            Gpt2Projection *p = lora_projection(m, l, i, &name, &target);
            if (p->lora_a) merge(p, scratch);
        }
}
