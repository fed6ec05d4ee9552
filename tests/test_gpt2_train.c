// Training GPT-2: recomputation, accumulation, resuming, the loss of ten steps against PyTorch, token files, `lead gpt2
// train` and `lead gpt2 bpe-train`.
#include "llm/adapter.h"
#include "llm/lora.h"
#include "llm/train.h"
#include "tests/llm_world.h"
#include "tests/run_lead.h"

// ---- recomputation --------------------------------------------------------------------------------------------------

typedef struct Gradients { int64_t n; double loss; unsigned char *bits; size_t peak; } Gradients;

// All gradients of one step of a model with dropout, adapters and LoRA.
static Gradients gradients_of(World *w, bool recompute, double dropout)
{
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_TRAINABLE);
    AdapterSet *s = adapter_new(&w->ps, "adapter", 2, c.width, &(AdapterConfig){.bottleneck = 4, .causal = true});
    lora_attach(&w->ps, "lora", m, &(LoraConfig){2, 4, LORA_ALL});
    world_randomise(w, 0.3);
    m->dropout = dropout;
    m->recompute = recompute;
    w->t.seed = 5;
    w->t.rng_step = 3;
    const int32_t token[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1}, next[12] = {2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2};
    const Gpt2Hook hook = adapter_hook(s);
    Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(2, 6), token), &hook);
    Tensor *loss = tape_cross_entropy(&w->t, gpt2_logits(&w->t, m, h), tape_from_i32(&w->t, SHAPE(12), next));
    tape_backward(&w->t, loss);
    Gradients g = {.n = paramset_count(&w->ps, true)};
    tensor_get_f64(loss, &g.loss, 1);
    const size_t real = w->dev.real_size;
    g.bits = arena_alloc(w->perm, (size_t)g.n * real);
    size_t at = 0;
    for (int i = 0; i < w->ps.n; i++) {
        const size_t bytes = tensor_bytes(&w->ps.p[i]->t);
        memcpy(g.bits + at, w->ps.p[i]->t.g, bytes);
        at += bytes;
    }
    g.peak = arena_peak(w->step);
    return g;
}

// The same loss and the same bits of every gradient, in less memory.
static void recomputation(TestLog *log)
{
    for (int f64 = 0; f64 < 2; f64++) {
        const Device dev = f64 ? device_cpu_f64() : world_f32();
        World *w[3] = {world_new(dev, false), world_new(dev, false), world_new(dev, false)};
        const Gradients kept = gradients_of(w[0], false, 0.25), again = gradients_of(w[1], true, 0.25),
                        plain = gradients_of(w[2], true, 0);
        const size_t bytes = (size_t)kept.n * dev.real_size;
        TEST(log, kept.loss == again.loss, "%s: loss %.17g, recomputed %.17g", dev.name, kept.loss, again.loss);
        TEST(log, !memcmp(kept.bits, again.bits, bytes), "%s: recomputation changed gradients", dev.name);
        TEST(log, again.peak < kept.peak * 3 / 4, "recomputation takes %zu bytes instead of %zu", again.peak, kept.peak);
        TEST(log, plain.loss != kept.loss && memcmp(plain.bits, kept.bits, bytes), "dropout changed nothing");
        for (int i = 0; i < 3; i++) world_delete(w[i]);
    }
}

void test_gpt2_train(TestLog *log)
{
    recomputation(log);
}
