// GPT-2 on the emulated GPU (tests/emulate), whose memory the host may not touch: the program's generation against the
// published tokens and the CPU's, and what a key/value cache promises there.
//   On the CPU a token has the same bits with and without the cache.  On the GPU it does not: products of at most 8
//   rows and attention of one query split their sums differently from those of a whole window.  What holds there: the
//   same bits each time, and hidden states within rounding of the whole window's.
#include "llm/generate.h"
#include "tests/emulate/fence.h"
#include "tests/llm_world.h"
#include "tests/published.h"
#include "tests/rig.h"

enum { T = 71, PREFILL = 67, D_MAX = 64 };   // more than 64 keys: their attention is split

// Hidden states of T tokens, `PREFILL` at once and then one by one (cached), or all at once.
static void hidden(Rig *r, const Gpt2 *m, const int32_t *token, bool cached, float *h)
{
    const int64_t D = m->c.width;
    Tape t;
    tape_init(&t, &r->dev, r->step, r->scratch);
    t.record = t.training = false;
    if (!cached) {
        tensor_get_f32(gpt2_forward_tokens(&t, m, tape_from_i32(&t, SHAPE(1, T), token), NULL), h, T * D);
        tape_reset(&t);
        return;
    }
    const size_t mark = arena_mark(r->perm);
    Gpt2Cache *cache = gpt2_cache_new(r->perm, m, 1, T + 3, NULL);
    for (int64_t i = 0; i < m->c.layers; i++) {    // what is not filled must not be read
        tensor_fill(cache->k[i], NAN);
        tensor_fill(cache->v[i], NAN);
    }
    for (int64_t at = 0, n; at < T; at += n) {
        n = at ? 1 : PREFILL;
        tape_reset(&t);
        tensor_get_f32(gpt2_forward_cached(&t, m, cache, tape_from_i32(&t, SHAPE(1, n), token + at), NULL), h + at * D,
                       n * D);
    }
    tape_reset(&t);
    arena_rewind(r->perm, mark);
}

static Gpt2 *load(TestLog *log, Rig *r, bool bf16)
{
    ParamSet ps;
    Gpt2 *m;
    paramset_init(&ps, r->perm, &r->dev, 0, true);
    const char *dir = arena_printf(r->perm, "%s/gpt2/tiny-random-gpt2", log->shared);
    const Status s = gpt2_load(&m, &ps, "", dir, GPT2_FROZEN | GPT2_BLANK | (bf16 ? GPT2_BF16 : 0), r->scratch);
    CHECK(!s.code && m->c.width <= D_MAX, "%s", s.msg);
    if (bf16) gpt2_pack_bf16(m, r->perm);
    return m;
}

static void some_tokens(const Gpt2 *m, int32_t *token)
{
    for (int i = 0; i < T; i++) token[i] = (int32_t)((i * i * 7 + 11 * i) % m->c.vocab);
}

static void test_cache(TestLog *log)
{
    Rig *r = rig_new(fence_cuda());
    const Gpt2 *m = load(log, r, false);
    int32_t token[T];
    some_tokens(m, token);
    static float window[T * D_MAX], cached[T * D_MAX], again[T * D_MAX];
    const size_t n = (size_t)(T * m->c.width);
    hidden(r, m, token, false, window);
    hidden(r, m, token, true, cached);
    hidden(r, m, token, true, again);
    double off = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        off = check_fold(off, fabs((double)window[i] - (double)cached[i]));
        size = check_fold(size, fabs((double)window[i]));
    }
    TEST(log, size > 1 && off <= 1e-5 * size, "with a cache hidden states differ by %g of %g", off, size);
    TEST(log, memcmp(cached, again, n * sizeof *cached) == 0, "a second time, other bits");
    rig_delete(r);
}

// Weights in bf16: hidden states beside those of f32, less device memory.
static void test_bf16(TestLog *log)
{
    static float h[2][T * D_MAX];
    size_t taken[2], n = 0;
    for (int i = 0; i < 2; i++) {
        Rig *r = rig_new(fence_cuda());
        const Gpt2 *m = load(log, r, i);
        int32_t token[T];
        some_tokens(m, token);
        taken[i] = arena_device_used(r->perm);
        n = (size_t)(T * m->c.width);
        hidden(r, m, token, i, h[i]);     // bf16: a prompt and single tokens, so both products
        TEST(log, m->block[0].mlp_fc.w->layout == (i ? LAYOUT_COLUMNS_BF16 : LAYOUT_ROWS), "layout %d",
             (int)m->block[0].mlp_fc.w->layout);
        rig_delete(r);
    }
    double rms = 0, off = 0;
    for (size_t i = 0; i < n; i++) {
        rms += (double)h[0][i] * (double)h[0][i];
        off += ((double)h[1][i] - (double)h[0][i]) * ((double)h[1][i] - (double)h[0][i]);
    }
    const double relative = sqrt(off / rms);
    TEST(log, relative > 1e-5 && relative < 0x1p-6, "hidden states differ by %.3g of their rms", relative);
    TEST(log, taken[1] < taken[0], "bf16 takes %zu bytes, f32 %zu", taken[1], taken[0]);
}

void test_gpt2_device(TestLog *log)
{
    Arena *a = arena_new("test", (size_t)1 << 30, NULL);
    CHECK(a, "no address space");
    TestLog emulated = *log;
    emulated.lead = arena_printf(a, "%.*s/tests/lead-emulated", (int)(strlen(log->lead) - strlen("/lead")), log->lead);
    published_greedy(log, &emulated, a, "--device cuda");
    if (log->shared) {
        const char *beams =
            arena_printf(a, "gpt2 generate --llm %s/gpt2/tiny-random-gpt2 --tokens 41,554,74 --n 5 --beams 3",
                         log->shared);
        const Ran cpu = lead_run(log, a, "%s", beams), gpu = lead_run(&emulated, a, "%s --device cuda", beams);
        TEST(log, cpu.code == 0 && gpu.code == 0 && strcmp(cpu.out, gpu.out) == 0, "beam search: CPU %s, GPU %s%s",
             cpu.out, gpu.out, gpu.err);
        test_cache(log);
        test_bf16(log);
        const Ran half = lead_run(&emulated, a,
                                  "gpt2 generate --llm %s/gpt2/tiny-random-gpt2 --tokens 1,2,3,4,5,6,7,8,9 --n 3 "
                                  "--device cuda --llm-weights bf16",
                                  log->shared);
        TEST(log, half.code == 0 && strstr(half.err, "rounded to bf16") && strstr(half.err, "(bf16)"),
             "bf16: exit %d: %s", half.code, half.err);
    }
    arena_delete(a);
}
