// The key/value cache: tokens fed in pieces give the bits of the whole window, on every device, for several rows, with
// LoRA and causal adapters; generation with and without it.
#include <math.h>

#include "llm/adapter.h"
#include "llm/generate.h"
#include "llm/lora.h"
#include "tests/llm_world.h"
#include "tests/test.h"

enum { T_MAX = 53, ROWS_MAX = 3 };

static Gpt2Config window_config(void)
{
    Gpt2Config c = tiny_config();
    c.positions = 64;
    c.width = 24;
    c.inner = 40;
    c.heads = 3;
    return c;
}

typedef struct Extras { bool lora, adapter; } Extras;

static Gpt2 *model(World *w, Extras e, Gpt2Hook *hook)
{
    const Gpt2Config c = window_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    if (e.lora) lora_attach(&w->ps, "lora", m, &(LoraConfig){.rank = 2, .alpha = 3, .targets = LORA_ALL});
    *hook = (Gpt2Hook){0};
    if (e.adapter)
        *hook = adapter_hook(adapter_new(&w->ps, "adapter", (int)c.layers, c.width,
                                         &(AdapterConfig){.bottleneck = 6, .up_std = 0.1, .causal = true}));
    world_randomise(w, 0.3);
    return m;
}

static void tokens(int32_t *id, int64_t rows, int64_t T)
{
    for (int64_t i = 0; i < rows * T; i++)
        id[i] = (int32_t)(philox_u32(3, philox_subsequence(SITE_TEST, 9), (uint64_t)i) % 11);
}

// Feeds id[rows][T] to a cache, `first` tokens and then `step` at a time; hidden[rows][T][D] gets what comes out.
static void feed(World *w, Gpt2 *m, const Gpt2Hook *hook, Gpt2Cache *cache, const int32_t *id, int64_t T, int64_t first,
                 int64_t step, double *hidden)
{
    const int64_t rows = cache->rows, D = m->c.width;
    cache->n = 0;
    while (cache->n < T) {
        const int64_t at = cache->n, want = at ? step : first, n = at + want > T ? T - at : want;
        int32_t piece[ROWS_MAX * T_MAX];
        for (int64_t r = 0; r < rows; r++) memcpy(piece + r * n, id + r * T + at, (size_t)n * sizeof *id);
        tape_reset(&w->t);
        Tensor *h = gpt2_forward_cached(&w->t, m, cache, tape_from_i32(&w->t, SHAPE(rows, n), piece), hook);
        double *x = arena_alloc(w->scratch, (size_t)numel(h) * sizeof *x);
        tensor_get_f64(h, x, numel(h));
        for (int64_t r = 0; r < rows; r++)
            memcpy(hidden + (r * T + at) * D, x + r * n * D, (size_t)(n * D) * sizeof *x);
    }
}

static void pieces(TestLog *log, Device dev, Extras e, const char *what)
{
    static const int64_t length[] = {1, 2, 7, 24, 25, T_MAX}, split[][2] = {{1, 1}, {5, 1}, {24, 3}, {T_MAX, 1}};
    World *w = world_new(dev, true);
    Gpt2Hook hook;
    Gpt2 *m = model(w, e, &hook);
    long compared = 0, equal = 0;
    for (int64_t rows = 1; rows <= ROWS_MAX; rows++)
        for (size_t l = 0; l < sizeof length / sizeof *length; l++)
            for (size_t s = 0; s < sizeof split / sizeof *split; s++) {
                const int64_t T = length[l], n = rows * T * m->c.width;
                const size_t mark = arena_mark(w->scratch), perm = arena_mark(w->perm);
                int32_t id[ROWS_MAX * T_MAX];
                tokens(id, rows, T);
                double *want = arena_alloc(w->scratch, (size_t)n * sizeof *want);
                double *got = arena_zalloc(w->scratch, (size_t)n * sizeof *got);
                tape_reset(&w->t);
                tensor_get_f64(gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(rows, T), id), &hook), want, n);
                Gpt2Cache *cache = gpt2_cache_new(w->perm, m, rows, T, &hook);
                for (int64_t i = 0; i < m->c.layers; i++) {    // what is not filled must not be read
                    tensor_fill(cache->k[i], NAN);
                    tensor_fill(cache->v[i], NAN);
                }
                feed(w, m, &hook, cache, id, T, split[s][0], split[s][1], got);
                equal += !memcmp(want, got, (size_t)n * sizeof *got) && isfinite(want[0]);
                compared++;
                arena_rewind(w->scratch, mark);
                arena_rewind(w->perm, perm);
            }
    TEST(log, compared == 72 && equal == compared, "%s, %s: %ld of %ld windows have the bits of the whole window",
         w->dev.name, what, equal, compared);
    world_delete(w);
}

// The last query alone against the first t keys of a cache: the bits that it has among all queries.
static void one_query(TestLog *log, Isa isa)
{
    enum { N = 2, HEADS = 3, T = 203 };
    static const int64_t width[] = {16, 40, 64, 80};
    const Device dev = device_cpu_f32(isa);
    Arena *mem = arena_new("one_query", (size_t)256 << 20, NULL);
    for (int w = 0; w < 4; w++) {
        const int64_t D = HEADS * width[w];
        const AttentionParams all = {.heads = HEADS, .causal = true};
        Tensor x[3], o = {.shape = SHAPE(N, T, D), .dev = &dev}, lse = {.shape = SHAPE(N, HEADS, T), .dev = &dev};
        for (int i = 0; i < 3; i++) {
            x[i] = (Tensor){.shape = o.shape, .dev = &dev};
            x[i].x = arena_alloc(mem, tensor_bytes(&x[i]));
            const uint64_t from = philox_subsequence(SITE_TEST, (uint32_t)(3 * w + i));
            for (int64_t k = 0; k < numel(&o); k++)
                ((float *)x[i].x)[k] = (float)(int32_t)philox_u32(5, from, (uint64_t)k) * 0x1p-30f;
        }
        o.x = arena_alloc(mem, tensor_bytes(&o));
        lse.x = arena_alloc(mem, tensor_bytes(&lse));
        dev.fwd[OP_attention](&(OpCall){.op = OP_attention, .n_in = 3, .n_out = 2, .in = {&x[0], &x[1], &x[2]},
                                        .out = {&o, &lse}, .p = &all, .scratch = mem});
        Tensor q = {.shape = SHAPE(N, 1, D), .dev = &dev}, y = q, l = {.shape = SHAPE(N, HEADS, 1), .dev = &dev};
        q.x = arena_alloc(mem, tensor_bytes(&q));
        y.x = arena_alloc(mem, tensor_bytes(&y));
        l.x = arena_alloc(mem, tensor_bytes(&l));
        const size_t row = (size_t)D * sizeof(float);
        int equal = 0;
        for (int64_t t = 1; t <= T; t++) {
            const AttentionParams some = {.heads = HEADS, .causal = true, .keys = t};
            for (int64_t n = 0; n < N; n++)
                memcpy((float *)q.x + n * D, (float *)x[0].x + (n * T + t - 1) * D, row);
            const size_t mark = arena_mark(mem);
            dev.fwd[OP_attention](&(OpCall){.op = OP_attention, .n_in = 3, .n_out = 2, .in = {&q, &x[1], &x[2]},
                                            .out = {&y, &l}, .p = &some, .scratch = mem});
            arena_rewind(mem, mark);
            bool same = true;
            for (int64_t n = 0; n < N; n++) {
                same &= !memcmp((float *)y.x + n * D, (float *)o.x + (n * T + t - 1) * D, row);
                for (int64_t h = 0; h < HEADS; h++)
                    same &= ((float *)l.x)[n * HEADS + h] == ((float *)lse.x)[(n * HEADS + h) * T + t - 1];
            }
            equal += same;
        }
        TEST(log, equal == T, "%s, heads of %lld: %d of %d queries have their bits among all queries", dev.name,
             (long long)width[w], equal, T);
    }
    arena_delete(mem);
}

void test_gpt2_cache(TestLog *log)
{
    const Device dev[] = {device_cpu_f64(), device_cpu_f32(ISA_SCALAR), world_f32()};
    for (int i = 0; i < 3; i++) {
        pieces(log, dev[i], (Extras){0}, "plain");
        pieces(log, dev[i], (Extras){.lora = true}, "LoRA");
        pieces(log, dev[i], (Extras){.adapter = true}, "causal adapters");
        pieces(log, dev[i], (Extras){true, true}, "both");
    }
    for (Isa isa = ISA_SCALAR; isa <= isa_detect(); isa++) one_query(log, isa);
}
