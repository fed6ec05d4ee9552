// What tests of src/llm share: a device with arenas, parameters and a tape; tiny models; comparisons in which
// NaN fails.
#ifndef LEAD_TESTS_LLM_WORLD_H
#define LEAD_TESTS_LLM_WORLD_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "llm/gpt2.h"
#include "tests/test.h"

typedef struct World {
    Device dev;
    Arena *perm, *step, *scratch;
    ParamSet ps;
    Tape t;
} World;

// LEAD_ISA caps the f32 device, as in the program.
static inline Device world_f32(void)
{
    Isa isa = ISA_AVX512;
    const char *cap = getenv("LEAD_ISA");
    const Status s = cap ? isa_parse(cap, &isa) : OK;
    CHECK(!s.code, "%s", s.msg);
    return device_cpu_f32(isa);
}

static inline World *world_new(Device dev, bool inference)
{
    Arena *perm = arena_new("test perm", (size_t)1 << 32, NULL);    // address space only
    CHECK(perm, "no address space");
    World *w = arena_zalloc(perm, sizeof *w);
    *w = (World){.dev = dev, .perm = perm, .step = arena_new("test step", (size_t)1 << 32, NULL),
                 .scratch = arena_new("test scratch", (size_t)1 << 30, NULL)};
    CHECK(w->step && w->scratch, "no address space");
    paramset_init(&w->ps, perm, &w->dev, 7, inference);
    tape_init(&w->t, &w->dev, w->step, w->scratch);
    return w;
}

static inline void world_delete(World *w)
{
    arena_delete(w->step);
    arena_delete(w->scratch);
    arena_delete(w->perm);
}

// Checks the gradients of a module's loss with respect to x[0..n) against central differences; then none may be zero
// everywhere: that would prove nothing.
static inline void module_gradients(TestLog *log, const char *what, World *w, ModuleLoss *loss, void *ctx,
                                    Tensor *const *x, int n)
{
    const ModuleReport r = check_module_gradient(&w->dev, loss, ctx, x, n);
    TEST(log, n > 0 && r.wrong == 0 && r.worst <= GRADIENT_TOL,
         "%s: %ld of %ld derivatives are wrong, worst %.2g at %s[%lld]: %.12g, want %.12g", what, r.wrong, r.elements,
         r.worst, r.worst_name, (long long)r.worst_at, r.analytic, r.numeric);
    for (int i = 0; i < n; i++) {
        const double *g = x[i]->g;
        double largest = 0;
        for (int64_t k = 0; k < numel(x[i]); k++) largest = check_fold(largest, fabs(g[k]));
        // a bias of the keys or of the pooling scores shifts all scores of a softmax alike: zero by mathematics
        const char *name = x[i]->name, *keys = strstr(name, ".k.bias");
        if ((keys && !keys[7]) || strcmp(name, "cond.pool.bias") == 0) continue;
        TEST(log, largest > 1e-9, "%s: the gradient of %s is zero everywhere", what, name);
    }
}

static inline Gpt2Config tiny_config(void)
{
    return (Gpt2Config){.vocab = 11, .positions = 16, .width = 8, .inner = 32, .layers = 2, .heads = 2, .eps = 1e-5,
                        .tied = true, .end_token = 10};
}

// Random numbers of every parameter, biases and norms too: initial values (0, 1, 0.02) would hide terms.
static inline void world_randomise(World *w, double scale)
{
    for (int i = 0; i < w->ps.n; i++) {
        Tensor *x = &w->ps.p[i]->t;
        const size_t mark = arena_mark(w->scratch);
        double *v = arena_alloc(w->scratch, (size_t)numel(x) * sizeof *v);
        tensor_get_f64(x, v, numel(x));
        for (int64_t k = 0; k < numel(x); k++)
            v[k] += scale * (double)philox_normal(99, philox_subsequence(SITE_TEST, (uint32_t)i), (uint64_t)k);
        tensor_set_f64(x, v, numel(x));
        arena_rewind(w->scratch, mark);
    }
}

// A random model of this configuration in DIR, which holds exactly this config.json.
static inline void world_put_model(World *w, const char *dir, const char *config)
{
    Gpt2Config c;
    Status s = gpt2_config_parse(&c, config, strlen(config), "test", w->scratch);
    CHECK(!s.code, "%s", s.msg);
    ParamSet ps;
    paramset_init(&ps, w->perm, &w->dev, 3, true);
    World made = *w;
    made.ps = ps;
    const Gpt2 *m = gpt2_new(&made.ps, "", &c, GPT2_FROZEN);
    world_randomise(&made, 0.4);
    s = gpt2_save(m, dir, w->scratch);
    CHECK(!s.code, "%s", s.msg);
    s = file_write(arena_printf(w->perm, "%s/config.json", dir), config, strlen(config));
    CHECK(!s.code, "%s", s.msg);
}

// n normal numbers of one address.
static inline void random_f32(float *x, int64_t n, uint32_t step)
{
    for (int64_t i = 0; i < n; i++) x[i] = philox_normal(5, philox_subsequence(SITE_TEST, 1000 + step), (uint64_t)i);
}

// Largest |x - want|, infinity when one is NaN.
static inline double max_error(const Tensor *x, const double *want, int64_t n, Arena *a)
{
    const size_t mark = arena_mark(a);
    double *v = arena_alloc(a, (size_t)n * sizeof *v), worst = 0;
    tensor_get_f64(x, v, n);
    for (int64_t i = 0; i < n; i++) worst = check_fold(worst, fabs(v[i] - want[i]));
    arena_rewind(a, mark);
    return worst;
}

#endif
