// U-Net, vision encoder and GPT-2 give the same bits with scopes (no gradient) as without, in a third of the memory.
#include <string.h>

#include "diffusion/unet.h"
#include "lead/vision.h"
#include "llm/gpt2.h"
#include "tests/test.h"

static void fill(ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        float *x = ps->p[i]->t.x;
        for (int64_t j = 0, n = numel(&ps->p[i]->t); j < n; j++)
            x[j] = 0.1f * philox_normal(1, philox_subsequence(SITE_TEST, (uint32_t)i), (uint64_t)j);
    }
}

static Tensor *draw(Tape *t, Shape s, uint32_t step)
{
    return tape_randn(t, s, (RandomAddress){.site = SITE_TEST, .step = step}, 0);
}

void test_scope(TestLog *log)
{
    const Device d = device_cpu_f32(isa_detect());
    Arena *perm = arena_new("perm", (size_t)1 << 30, NULL), *step = arena_new("step", (size_t)1 << 30, NULL);
    Arena *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    ParamSet ps;
    paramset_init(&ps, perm, &d, 1, false);
    const UNet u = unet_new(&ps, "u", (UNetConfig){.in_channels = 5, .out_channels = 4, .base = 16, .levels = 3,
                                                   .mult = {1, 2, 4}, .blocks = 2, .cond_width = 8, .seq_width = 8,
                                                   .heads = 4});
    const Vision v = vision_new(&ps, "v", VISION_MULTI, 9, 3, 8, 3, 16);
    const Gpt2Config c = {.vocab = 64, .positions = 32, .width = 32, .inner = 128, .layers = 3, .heads = 4,
                          .eps = 1e-5, .tied = true};
    const Gpt2 *g = gpt2_new(&ps, "g", &c, GPT2_TRAINABLE);
    fill(&ps);
    Tape t;
    tape_init(&t, &d, step, scratch);
    t.training = false;
    static float keep[3][8192];
    size_t most = 0;
    for (int r = 1; r >= 0; r--) {
        tape_reset(&t);
        t.record = r;
        arena_reset_peak(step);
        Tensor *time = tape_scale(&t, tape_zeros(&t, SHAPE(3)), 0, 500);
        Tensor *x = draw(&t, SHAPE(3, 9, 9, 5), 0), *s = draw(&t, SHAPE(3, 6, 8), 1), *cond = draw(&t, SHAPE(3, 8), 2);
        Tensor *y[] = {unet_apply(&t, &u, x, time, cond, s), vision_apply(&t, &v, draw(&t, SHAPE(4, 9, 9, 3), 3)),
                       gpt2_forward_embeds(&t, g, draw(&t, SHAPE(2, 20, 32), 4), NULL)};
        for (int k = 0; k < 3; k++) {
            if (r) memcpy(keep[k], y[k]->x, tensor_bytes(y[k]));
            else TEST(log, !memcmp(keep[k], y[k]->x, tensor_bytes(y[k])), "part %d: other bits without gradient", k);
        }
        if (r) most = arena_peak(step);
        else TEST(log, 3 * arena_peak(step) < most, "peak %zu without gradient, %zu with", arena_peak(step), most);
    }
    arena_delete(scratch);
    arena_delete(step);
    arena_delete(perm);
}
