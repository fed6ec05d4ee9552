// GPT-2 on the emulated GPU (tests/emulate), whose memory the host may not touch: the program's generation against the
// published tokens and the CPU's, and what a key/value cache promises there.
//   On the CPU a token has the same bits with and without the cache.  On the GPU it has not: products of at most 8 rows and
//   attention of one query split their sums otherwise than those of a whole window.  What holds: the same bits each time,
//   and hidden states within rounding of the whole window's.
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
        tensor_get_f32(gpt2_forward_cached(&t, m, cache, tape_from_i32(&t, SHAPE(1, n), token + at), NULL), h + at * D, n * D);
    }
    tape_reset(&t);
    arena_rewind(r->perm, mark);
}

static void test_cache(TestLog *log)
{
    Rig *r = rig_new(fence_cuda());
    ParamSet ps;
    Gpt2 *m;
    paramset_init(&ps, r->perm, &r->dev, 0, true);
    const char *dir = arena_printf(r->perm, "%s/gpt2/tiny-random-gpt2", log->shared);
    const Status s = gpt2_load(&m, &ps, "", dir, GPT2_FROZEN | GPT2_BLANK, r->scratch);
    if (!TEST(log, !s.code && m->c.width <= D_MAX, "%s", s.msg)) return;
    int32_t token[T];
    for (int i = 0; i < T; i++) token[i] = (int32_t)((i * i * 7 + 11 * i) % m->c.vocab);
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

void test_gpt2_device(TestLog *log)
{
    Arena *a = arena_new("test", (size_t)1 << 30, NULL);
    CHECK(a, "no address space");
    TestLog emulated = *log;
    emulated.lead = arena_printf(a, "%.*s/tests/lead-emulated", (int)(strlen(log->lead) - strlen("/lead")), log->lead);
    published_greedy(log, &emulated, a, "--device cuda");
    if (log->shared) {
        const char *beams = arena_printf(a, "gpt2 generate --llm %s/gpt2/tiny-random-gpt2 --tokens 41,554,74 --n 5 --beams 3", log->shared);
        const Ran cpu = lead_run(log, a, "%s", beams), gpu = lead_run(&emulated, a, "%s --device cuda", beams);
        TEST(log, cpu.code == 0 && gpu.code == 0 && strcmp(cpu.out, gpu.out) == 0, "beam search: CPU %s, GPU %s%s", cpu.out, gpu.out,
             gpu.err);
        test_cache(log);
    }
    arena_delete(a);
}
