// The engine's side of compare_transformers.py: makes a GPT-2 of random weights from a seed and dumps what it computes.
//   gpt2_twin SHAPE SEED DIR            DIR/config.json and DIR/model.safetensors: biases and norms are random too
//   gpt2_twin SHAPE SEED DIR TOKENS     also DIR/ours.safetensors: logits [T,V] after TOKENS (12,7,..), loss (the mean
//                                       of -ln p of tokens 1 .. T-1) and grad.<name> = d loss / d <name>
// SHAPE: 124M, 355M, 774M, 1558M, or layers,width,heads,positions,vocab.   make build/tests/gpt2_twin
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/gpt2.h"

static int fail(Status s)
{
    fprintf(stderr, "gpt2_twin: %s\n", s.msg);
    return 1;
}

static bool parse_shape(const char *text, Gpt2Config *c)
{
    static const struct { const char *name, *shape; } known[] = {{"124M", "12,768,12,1024,50257"},
                                                                 {"355M", "24,1024,16,1024,50257"},
                                                                 {"774M", "36,1280,20,1024,50257"},
                                                                 {"1558M", "48,1600,25,1024,50257"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(text, known[i].name)) text = known[i].shape;
    long long v[5];
    if (sscanf(text, "%lld,%lld,%lld,%lld,%lld", &v[0], &v[1], &v[2], &v[3], &v[4]) != 5) return false;
    *c = (Gpt2Config){.layers = v[0], .width = v[1], .heads = v[2], .positions = v[3], .vocab = v[4], .inner = 4 * v[1],
                      .eps = 1e-5, .tied = true, .end_token = -1};
    return gpt2_config_check(c, "shape").code == 0;
}

// 0.02 of noise on what starts as 0 or 1, so that no term of a norm or bias is hidden.
static void randomise(ParamSet *ps, Arena *scratch)
{
    for (int i = 0; i < ps->n; i++) {
        Tensor *x = &ps->p[i]->t;
        if (x->shape.n != 1) continue;
        const size_t mark = arena_mark(scratch);
        const int64_t n = numel(x);
        float *v = arena_alloc(scratch, (size_t)n * sizeof *v);
        tensor_get_f32(x, v, n);
        for (int64_t k = 0; k < n; k++)
            v[k] += 0.02f * philox_normal(ps->seed, philox_subsequence(SITE_TEST, (uint32_t)i), (uint64_t)k);
        tensor_set_f32(x, v, n);
        arena_rewind(scratch, mark);
    }
}

static Status dump(Gpt2 *m, ParamSet *ps, const char *dir, const int32_t *id, int64_t T, Tape *t)
{
    Tensor *h = gpt2_forward_tokens(t, m, tape_from_i32(t, SHAPE(1, T), id), NULL);
    Tensor *y = gpt2_logits(t, m, h);
    int32_t *next = arena_alloc(t->step, (size_t)T * sizeof *next);
    for (int64_t i = 0; i < T; i++) next[i] = i + 1 < T ? id[i + 1] : -1;
    Tensor *loss = tape_cross_entropy(t, y, tape_from_i32(t, SHAPE(T), next));
    tape_backward(t, loss);
    SafeTensor *list = arena_alloc(t->scratch, (size_t)(ps->n + 2) * sizeof *list);
    list[0] = (SafeTensor){.name = "logits", .type = SAFE_F32, .n_dim = 2, .shape = y->shape.d, .data = y->x};
    list[1] = (SafeTensor){.name = "loss", .type = SAFE_F32, .n_dim = 1, .shape = loss->shape.d, .data = loss->x};
    for (int i = 0; i < ps->n; i++)
        list[i + 2] = (SafeTensor){.name = arena_printf(t->scratch, "grad.transformer.%s", ps->p[i]->t.name),
                                   .type = SAFE_F32, .n_dim = ps->p[i]->t.shape.n, .shape = ps->p[i]->t.shape.d,
                                   .data = ps->p[i]->t.g};
    return safetensors_write(arena_printf(t->scratch, "%s/ours.safetensors", dir), list, ps->n + 2, NULL, 0, false,
                             t->scratch);
}

// Gradients, but none of the optimiser's state, which would be twice the weights again.
static void with_gradients(ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        ps->p[i]->t.needs_grad = true;
        ps->p[i]->t.g = arena_zalloc(ps->perm, tensor_bytes(&ps->p[i]->t));
    }
}

int main(int argc, char **argv)
{
    Gpt2Config c;
    if (argc < 4 || argc > 5 || !parse_shape(argv[1], &c)) return fail(ERROR("want SHAPE SEED DIR [TOKENS]"));
    Arena *perm = arena_new("perm", (size_t)64 << 30, NULL), *step = arena_new("step", (size_t)64 << 30, NULL),
          *scratch = arena_new("scratch", (size_t)32 << 30, NULL);
    if (!perm || !step || !scratch) return fail(ERROR("no address space"));
    const Device dev = device_cpu_f32(ISA_AVX512);
    ParamSet ps;
    paramset_init(&ps, perm, &dev, strtoull(argv[2], NULL, 10), true);
    Gpt2 *m = gpt2_new(&ps, "", &c, GPT2_TRAINABLE);
    randomise(&ps, scratch);
    Status s = gpt2_save(m, argv[3], scratch);
    if (s.code || argc < 5) return s.code ? fail(s) : 0;
    int32_t id[4096];
    int64_t n = 0;
    for (char *p = argv[4], *end; n < 4096; p = end + 1) {
        id[n++] = (int32_t)strtol(p, &end, 10);
        if (*end != ',') break;
    }
    with_gradients(&ps);
    Tape t;
    tape_init(&t, &dev, step, scratch);
    s = dump(m, &ps, argv[3], id, n, &t);
    return s.code ? fail(s) : 0;
}
