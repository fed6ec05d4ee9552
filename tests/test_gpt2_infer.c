// Inference around the forward pass: generation with and without the cache, several rows, top-p, strided text loss,
// loading in place, llm.c checkpoints, published hashes.
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "llm/generate.h"
#include "llm/gpt2_llmc.h"
#include "llm/gpt2_published.h"
#include "io/file.h"
#include "tests/llm_world.h"
#include "tests/test.h"

// ---- generation -----------------------------------------------------------------------------------------------------

static Tensor *same(void *arg, Tape *t, int layer, Tensor *h)
{
    (void)arg, (void)t, (void)layer;
    return h;
}

// A hook that could look at any position: generation then runs the whole window for each token.
static void cache_or_window(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    const Gpt2Hook any = {.after_block = same, .reach = REACH_ALL}, none = {.after_block = same};
    const Gpt2Sampling s = {.temperature = 1, .top_p = 0.9, .seed = 5};
    int32_t x[3][16] = {{3, 1}, {3, 1}, {3, 1}};
    int64_t n[3];
    gpt2_generate(&w->t, m, &any, x[0], 2, 14, &s, &n[0], NULL, NULL);
    gpt2_generate(&w->t, m, &none, x[1], 2, 14, &s, &n[1], NULL, NULL);
    gpt2_generate(&w->t, m, NULL, x[2], 2, 14, &s, &n[2], NULL, NULL);
    TEST(log, n[0] == 16 && !memcmp(x[0], x[1], sizeof x[0]) && !memcmp(x[0], x[2], sizeof x[0]),
         "tokens depend on whether there is a cache");
    world_delete(w);
}

// Row r of a batch is what stream r alone gives; a row that ended keeps its length.
static void rows(TestLog *log)
{
    enum { ROWS = 8, PROMPT = 3, NEW = 6, STRIDE = PROMPT + NEW };
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    int32_t batch[ROWS][STRIDE], one[STRIDE];
    int64_t n[ROWS], n_one;
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < PROMPT; i++) batch[r][i] = (3 * r + 5 * i + 1) % 10;
    int32_t prompts[ROWS][STRIDE];
    memcpy(prompts, batch, sizeof batch);
    const Gpt2Sampling s = {.temperature = 1.5, .seed = 4, .stop_at_end = true};
    Gpt2Speed speed;
    Status ok = gpt2_generate_rows(&w->t, m, NULL, &batch[0][0], ROWS, PROMPT, NEW, &s, n, NULL, NULL, &speed);
    TEST(log, !ok.code && speed.prefill_tokens == ROWS * PROMPT && speed.decode_tokens > 0 && speed.decode_seconds > 0,
         "%s; %lld tokens of prompt, %lld decoded", ok.msg, (long long)speed.prefill_tokens,
         (long long)speed.decode_tokens);
    int short_rows = 0;
    for (int r = 0; r < ROWS; r++) {
        memcpy(one, prompts[r], sizeof one);
        Gpt2Sampling mine = s;
        mine.stream = (uint32_t)r;
        ok = gpt2_generate(&w->t, m, NULL, one, PROMPT, NEW, &mine, &n_one, NULL, NULL);
        TEST(log, !ok.code && n_one == n[r] && !memcmp(one, batch[r], (size_t)n_one * sizeof *one),
             "row %d: %lld tokens in the batch, %lld alone, or others", r, (long long)n[r], (long long)n_one);
        short_rows += n[r] < STRIDE;
    }
    TEST(log, short_rows > 0 && short_rows < ROWS, "%d of %d rows ended early: the seed shows nothing", short_rows,
         ROWS);
    world_delete(w);
}

// ln p of token[from..n) given what is before.
static double text_score(World *w, Gpt2 *m, const int32_t *token, int64_t from, int64_t n)
{
    tape_reset(&w->t);
    Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, n - 1), token), NULL);
    float y[16 * 11];
    tensor_get_f32(gpt2_logits(&w->t, m, h), y, (n - 1) * 11);
    double sum = 0;
    for (int64_t i = from; i < n; i++) {
        double total = 0;
        for (int k = 0; k < 11; k++) total += exp((double)y[(i - 1) * 11 + k]);
        sum += (double)y[(i - 1) * 11 + token[i]] - log(total);
    }
    return sum;
}

// One beam is greedy; enough beams for every continuation find the best of all, also when some end early.
static void beams(TestLog *log)
{
    enum { PROMPT = 2, NEW = 3 };
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    for (int32_t start = 0; start < 10; start++) {
        int32_t one[PROMPT + NEW] = {start, 4}, greedy[PROMPT + NEW] = {start, 4}, got[PROMPT + NEW] = {start, 4};
        int32_t x[PROMPT + NEW] = {start, 4}, want[PROMPT + NEW] = {0};
        int64_t n_one, n_greedy, n_got, n_want = 0;
        double score, best = -INFINITY;
        Status s = gpt2_beam_search(&w->t, m, NULL, one, PROMPT, NEW, 1, 0, &n_one, NULL);
        if (!s.code)
            s = gpt2_generate(&w->t, m, NULL, greedy, PROMPT, NEW, &(Gpt2Sampling){.stop_at_end = true}, &n_greedy,
                              NULL, NULL);
        TEST(log, !s.code && n_one == n_greedy && !memcmp(one, greedy, (size_t)n_one * sizeof *one),
             "one beam is not greedy %s", s.msg);
        double alone;   // one that did not end: divided by a power of its length, like those that did
        m->c.end_token = -1;
        if (!s.code) s = gpt2_beam_search(&w->t, m, NULL, one, PROMPT, NEW, 1, 0.7, &n_one, &alone);
        m->c.end_token = c.end_token;
        best = text_score(w, m, one, PROMPT, n_one) / pow((double)(n_one - PROMPT), 0.7);
        TEST(log, !s.code && n_one == PROMPT + NEW && fabs(alone - best) < 1e-4,
             "start %d: one beam of %lld tokens has a score of %g, want %g", start, (long long)n_one, alone, best);
        best = -INFINITY;
        for (int i = 0; i < 1331; i++) {
            x[2] = i % 11, x[3] = i / 11 % 11, x[4] = i / 121;
            const int64_t n = x[2] == 10 ? 3 : x[3] == 10 ? 4 : 5;
            if ((n < 5 && x[4]) || (n < 4 && x[3])) continue;    // once each
            const double mine = text_score(w, m, x, PROMPT, n) / (double)(n - PROMPT);
            if (mine > best) {
                best = mine;
                n_want = n;
                memcpy(want, x, sizeof x);
            }
        }
        s = gpt2_beam_search(&w->t, m, NULL, got, PROMPT, NEW, 121, 1, &n_got, &score);
        TEST(log,
             !s.code && n_got == n_want && !memcmp(got, want, (size_t)n_got * sizeof *got) && fabs(score - best) < 1e-4,
             "start %d: want %lld tokens of score %g, got %lld of %g %s", start, (long long)n_want, best,
             (long long)n_got, score, s.msg);
    }
    world_delete(w);
}

typedef struct Path { int32_t x[8]; int64_t n; double sum; } Path;

static int by_sum(const void *a, const void *b)
{
    const Path *p = a, *q = b;
    return (p->sum < q->sum) - (p->sum > q->sum);
}

// Beam search in its own words: of all continuations of the live paths the best 2 B; of these one that ends is kept if
// it is among the best B, and the others live on, B of them.  What lives at the end counts too.
static Path plain_beams(World *w, Gpt2 *m, int32_t start, int B, int n_new, double penalty)
{
    enum { VOCAB = 11 };
    Path live[4] = {{{start, 4}, 2, 0}}, all[4 * VOCAB], best = {.sum = -INFINITY};
    int n = 1;
    for (int step = 1; step <= n_new && n; step++) {
        int many = 0;
        for (int i = 0; i < n; i++)
            for (int32_t token = 0; token < VOCAB; token++) {
                Path p = live[i];
                p.x[p.n++] = token;
                p.sum = text_score(w, m, p.x, 2, p.n);
                all[many++] = p;
            }
        qsort(all, (size_t)many, sizeof *all, by_sum);
        n = 0;
        for (int k = 0; k < 2 * B && n < B; k++) {
            if (all[k].x[all[k].n - 1] != m->c.end_token) live[n++] = all[k];
            else if (k < B && all[k].sum / pow(step, penalty) > best.sum)
                best = all[k], best.sum /= pow(step, penalty);
        }
    }
    for (int i = 0; i < n; i++)
        if (live[i].sum / pow(n_new, penalty) > best.sum) best = live[i], best.sum /= pow(n_new, penalty);
    return best;
}

static void few_beams(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    static const int32_t ends[] = {10, 0, 3, 7};
    for (int32_t start = 0; start < 10; start++)
        for (int B = 2; B <= 3; B++) {
            m->c.end_token = ends[start % 4];
            int32_t got[5] = {start, 4};
            int64_t n;
            double score;
            const Path want = plain_beams(w, m, start, B, 3, 0.5);
            const Status s = gpt2_beam_search(&w->t, m, NULL, got, 2, 3, B, 0.5, &n, &score);
            TEST(log, !s.code && fabs(score - want.sum) < 1e-4 && n == want.n &&
                          !memcmp(got, want.x, (size_t)n * sizeof *got),
                 "start %d, %d beams: %lld tokens of score %g, in plain words %lld of %g", start, B, (long long)n,
                 score, (long long)want.n, want.sum);
        }
    world_delete(w);
}

static void top_p(TestLog *log)
{
    Arena *a = arena_new("sampling", 1 << 26, NULL);
    const float logits[] = {0, logf(3), logf(6), -50};    // probabilities 0.1, 0.3, 0.6, ~0
    static const struct { double p; int64_t k; int least; } cases[] = {
        {0.5, 0, 2},  {0.6, 0, 2}, {0.61, 0, 1}, {0.95, 0, 0},
        {0.95, 2, 1}, {1, 2, 1},   {0, 0, 0},    {1e-9, 0, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count[4] = {0}, least = 3;
        const Gpt2Sampling s = {.temperature = 1, .top_p = cases[i].p, .top_k = cases[i].k};
        for (int u = 0; u < 1000; u++) count[gpt2_sample(logits, 4, &s, (u + 0.5) / 1000, a)]++;
        for (int t = 0; t < 3; t++)
            if (count[t] && logits[t] < logits[least]) least = t;
        least = count[0] ? 0 : count[1] ? 1 : 2;
        TEST(log, least == cases[i].least && !count[3], "top_p %g top_k %lld: drew %d %d %d %d", cases[i].p,
             (long long)cases[i].k, count[0], count[1], count[2], count[3]);
    }
    arena_delete(a);
}

// Few candidates are found by insertion, many by sorting: the draws are those of the k-th largest found one by one.
static void top_k(TestLog *log)
{
    enum { V = 900, K_MAX = 600 };
    Arena *a = arena_new("sampling", 1 << 26, NULL);
    float x[V], rest[V];
    int order[K_MAX], other = 0;
    random_f32(x, V, 40);
    for (int i = 0; i < V; i += 7) x[i] = x[V - 1 - i];    // equal logits: the lower id first
    memcpy(rest, x, sizeof x);
    for (int k = 0; k < K_MAX; k++) {
        order[k] = 0;
        for (int i = 1; i < V; i++)
            if (rest[i] > rest[order[k]]) order[k] = i;
        rest[order[k]] = -INFINITY;
    }
    static const int ks[] = {2, 40, 512, 513, 600};
    for (int c = 0; c < 5; c++)
        for (int draw = 0; draw < 100; draw++) {
            const double u = (draw + 0.5) / 100;
            double total = 0, sum = 0;
            int want = 0;
            for (int k = 0; k < ks[c]; k++) total += exp((double)x[order[k]]);
            while (want < ks[c] - 1 && (sum += exp((double)x[order[want]])) < u * total) want++;
            other += gpt2_sample(x, V, &(Gpt2Sampling){.temperature = 1, .top_k = ks[c]}, u, a) != order[want];
        }
    TEST(log, other == 0, "%d of 500 draws are others than from the sorted list", other);
    arena_delete(a);
}

// ---- text loss ------------------------------------------------------------------------------------------------------

// -ln p(token[i]) from the window that the contract says predicts it.
static double loss_by_hand(World *w, Gpt2 *m, const int32_t *token, int64_t n, int64_t context, int64_t stride)
{
    double nats = 0;
    for (int64_t i = 1; i < n; i++) {
        int64_t at = 0;
        while (at + context < i) at += stride;
        tape_reset(&w->t);
        Tensor *h = gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, i - at), token + at), NULL);
        float y[11], top = -INFINITY;
        tensor_get_f32(gpt2_logits(&w->t, m, tape_slice(&w->t, h, 1, i - at - 1, 1)), y, 11);
        double sum = 0;
        for (int k = 0; k < 11; k++) top = fmaxf(top, y[k]);
        for (int k = 0; k < 11; k++) sum += exp((double)(y[k] - top));
        nats += log(sum) - (double)(y[token[i]] - top);
    }
    return nats;
}

static void text_loss(TestLog *log)
{
    enum { N = 53 };
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    int32_t x[N];
    for (int i = 0; i < N; i++) x[i] = (i * i + 3 * i) % 11;
    static const int64_t windows[][3] = {{N, 16, 8}, {N, 16, 16}, {N, 16, 1},  {N, 7, 3},
                                         {2, 16, 4}, {16, 16, 5}, {17, 16, 5}, {18, 16, 16}};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        const int64_t n = windows[i][0], context = windows[i][1], stride = windows[i][2];
        const double want = loss_by_hand(w, m, x, n, context, stride);
        Gpt2TextLoss got;
        const Status s = gpt2_text_score(&got, &w->t, m, NULL, x, n, context, stride, NULL, NULL);
        TEST(log, !s.code && got.tokens == n - 1 && fabs(got.nats - want) <= 1e-5 * want,
             "%lld tokens, context %lld, stride %lld: want %g nats, got %g of %lld tokens", (long long)n,
             (long long)context, (long long)stride, want, got.nats, (long long)got.tokens);
    }
    Gpt2TextLoss got;
    Status s = gpt2_text_score(&got, &w->t, m, NULL, x, 1, 16, 8, NULL, NULL);
    TEST(log, s.code == 1 && strstr(s.msg, "want at least 2 tokens"), "'%s'", s.msg);
    s = gpt2_text_score(&got, &w->t, m, NULL, x, N, 17, 8, NULL, NULL);
    TEST(log, s.code == 2 && strstr(s.msg, "stride 8, context 17"), "'%s'", s.msg);
    x[9] = 11;
    s = gpt2_text_score(&got, &w->t, m, NULL, x, N, 16, 8, NULL, NULL);
    TEST(log, s.code == 1 && strstr(s.msg, "text: token 9: want an id in 0..10, got 11"), "'%s'", s.msg);
    world_delete(w);
}

// ---- files ----------------------------------------------------------------------------------------------------------

static const char *temp_dir(TestLog *log, Arena *a, const char *name)
{
    const char *dir = arena_printf(a, "%s/%s", log->tmp, name);
    mkdir(dir, 0777);
    return dir;
}

static bool inside(const void *p, const FileMap *f)
{
    return (const unsigned char *)p >= f->data && (const unsigned char *)p < f->data + f->size;
}

static void in_place(TestLog *log)
{
    World *w = world_new(world_f32(), true), *v = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN), *n, *again;
    world_randomise(w, 0.5);
    const char *dir = temp_dir(log, w->perm, "place"), *path = arena_printf(w->perm, "%s/model.safetensors", dir);
    Status s = gpt2_save(m, dir, w->scratch);
    if (!s.code) s = gpt2_load(&n, &v->ps, "a", dir, GPT2_FROZEN, v->scratch);
    if (!s.code) s = gpt2_load(&again, &v->ps, "b", dir, GPT2_TRAINABLE, v->scratch);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    int where = 0, copies = 0, equal = 0;
    for (int i = 0; i < m->n_weights; i++) {
        where += inside((*n->weight[i].slot)->x, n->file);
        copies += !again->n_files && !inside((*again->weight[i].slot)->x, n->file);
        equal += !memcmp((*n->weight[i].slot)->x, (*m->weight[i].slot)->x, tensor_bytes(*m->weight[i].slot));
    }
    TEST(log, where == m->n_weights && equal == m->n_weights && copies == m->n_weights,
         "of %d tensors %d are in the file, %d equal, %d trainable ones copied", m->n_weights, where, equal, copies);
    // A changed weight is a changed page of this process: the file keeps its bytes.
    Sha256Hex before, after;
    FileMap f;
    file_map(&f, path);
    before = sha256_hex_of(f.data, f.size);
    file_unmap(&f);
    tensor_fill(n->wte, 3);
    file_map(&f, path);
    after = sha256_hex_of(f.data, f.size);
    TEST(log, !strcmp(before.s, after.s) && ((float *)n->wte->x)[5] == 3,
         "writing to a mapped weight changed the file");
    // One more space in the header: values at odd addresses are copied.
    const uint64_t header = (uint64_t)f.data[0] + 256 * f.data[1] + 1;
    char *odd = arena_alloc(w->scratch, f.size + 1);
    memcpy(odd, &header, 8);
    memcpy(odd + 8, f.data + 8, (size_t)header - 1);
    odd[8 + header - 1] = ' ';
    memcpy(odd + 8 + header, f.data + 8 + header - 1, f.size - 8 - (size_t)header + 1);
    s = file_write(path, odd, f.size + 1);
    file_unmap(&f);
    Gpt2 *u;
    if (!s.code) s = gpt2_load(&u, &v->ps, "c", dir, GPT2_FROZEN, v->scratch);
    TEST(log, !s.code && !u->n_files && !memcmp(u->wte->x, m->wte->x, tensor_bytes(m->wte)), "unaligned file: %s",
         s.msg);
    gpt2_close(n);
    gpt2_close(n);
    gpt2_close(u);
    world_delete(w);
    world_delete(v);
}

static void llmc(TestLog *log, bool bf16)
{
    World *w = world_new(world_f32(), true), *v = world_new(world_f32(), true);
    Gpt2Config c = tiny_config();
    c.end_token = -1;
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN), *n;
    world_randomise(w, 0.5);
    const char *path = arena_printf(w->perm, "%s/model%d.bin", log->tmp, bf16);
    Status s = gpt2_save_llmc(m, path, bf16, w->scratch);
    if (!s.code) s = gpt2_load(&n, &v->ps, "", path, GPT2_FROZEN, v->scratch);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    TEST(log, !memcmp(&n->c, &c, sizeof c), "the config is another after save and load");
    double worst = 0;
    for (int i = 0; i < m->n_weights; i++) {
        const float *x = (*m->weight[i].slot)->x, *y = (*n->weight[i].slot)->x;
        for (int64_t k = 0; k < numel(*m->weight[i].slot); k++)
            worst = check_fold(worst, fabs((double)x[k] - (double)y[k]) / fmax(fabs((double)x[k]), 1e-30));
    }
    TEST(log, worst <= (bf16 ? 0x1p-8 : 0), "%s: values change by %g of themselves", path, worst);
    const int32_t id[] = {1, 2, 3, 4, 5, 6, 7};
    double y[77], largest = 0;
    tensor_get_f64(gpt2_logits(&w->t, m, gpt2_forward_tokens(&w->t, m, tape_from_i32(&w->t, SHAPE(1, 7), id), NULL)), y,
                   77);
    for (int i = 0; i < 77; i++) largest = fmax(largest, fabs(y[i]));
    const double off =
        max_error(gpt2_logits(&v->t, n, gpt2_forward_tokens(&v->t, n, tape_from_i32(&v->t, SHAPE(1, 7), id), NULL)), y,
                  77, v->scratch);
    TEST(log, largest > 1 && off <= (bf16 ? 0.03 : 0) * largest, "%s: logits change by %g, the largest is %g", path,
         off, largest);
    // The file by hand: header, size, the padding of wte, and one value of a transposed matrix of the second layer.
    FileMap f;
    file_map(&f, path);
    const int32_t *h = (const int32_t *)(const void *)f.data;
    const int64_t D = 8, L = 2, V = 128, P = 16, value = bf16 ? 2 : 4;
    const size_t size = 1024 + (size_t)(((V + P) * D + L * (12 * D * D + 13 * D) + 2 * D) * value);
    TEST(log,
         h[0] == 20240326 && h[1] == (bf16 ? 5 : 3) && h[2] == 16 && h[3] == 11 && h[4] == 2 && h[5] == 2 &&
             h[6] == 8 && h[7] == 128 && h[8] == 0 && f.size == size,
         "header %d %d %d .. %d, %zu bytes", h[0], h[1], h[2], h[7], f.size);
    const int64_t padding = 11 * D, fc = (V + P) * D + 2 * L * D + L * (3 * D * D + 3 * D + D * D + D) + 2 * L * D;
    const int64_t at[2] = {padding, fc + 4 * D * D + 5 * D + 3};    // c_fc of layer 1: row 5 (out), column 3 (in)
    const double want[2] = {0, (double)((const float *)m->block[1].mlp_fc.w->x)[3 * 4 * D + 5]};
    for (int i = 0; i < 2; i++) {
        const unsigned char *p = f.data + 1024 + at[i] * value;
        float got;
        uint16_t half;
        memcpy(&got, p, 4);
        memcpy(&half, p, 2);
        if (bf16) got = bf16_to_f32(half);
        TEST(log, fabs((double)got - want[i]) <= (bf16 ? 0x1p-8 : 0) * fabs(want[i]), "value %d: want %g, got %g", i,
             want[i], (double)got);
    }
    file_unmap(&f);
    world_delete(w);
    world_delete(v);
}

static void llmc_refusals(TestLog *log)
{
    World *w = world_new(world_f32(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    const char *path = arena_printf(w->perm, "%s/bad.bin", log->tmp);
    Status s = gpt2_save_llmc(m, path, false, w->scratch);
    char *bytes;
    size_t size;
    if (!s.code) s = file_read(&bytes, &size, w->perm, path, 1 << 20);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    static const struct { int at; int32_t value; const char *says; } bad[] = {
        {0, 20240327, "want an llm.c checkpoint, magic number 20240326, got 20240327"},
        {1, 1, "version: want 3 (fp32) or 5 (bf16), got 1"},
        {3, 0, "vocab_size: want 1.."},
        {4, -1, "n_layer: want 1.."},
        {5, 3, "n_head: want a divisor of n_embd = 8, got 3"},
        {6, 2147483647, "n_embd: want 1.."},
        {7, 10, "padded vocabulary: want 11.."},
        {7, 129, "bytes for this header, got"},
        {1, 5, "bytes for this header, got"},
        {4, 3, "bytes for this header, got"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        LlmcFile f;
        char *copy = arena_alloc(w->scratch, size);
        memcpy(copy, bytes, size);
        memcpy(copy + 4 * bad[i].at, &bad[i].value, 4);
        s = llmc_parse(&f, copy, size, "x.bin");
        TEST(log, s.code == 1 && strstr(s.msg, bad[i].says) && !strncmp(s.msg, "x.bin: ", 7), "want '%s', got '%s'",
             bad[i].says, s.msg);
    }
    LlmcFile f;
    s = llmc_parse(&f, bytes, size - 1, "x.bin");
    TEST(log, s.code == 1 && strstr(s.msg, "bytes for this header, got"), "'%s'", s.msg);
    s = llmc_parse(&f, bytes, 1000, "x.bin");
    TEST(log, s.code == 1 && strstr(s.msg, "want a header of 1024 bytes, got 1000"), "'%s'", s.msg);
    Gpt2 odd = *m;
    odd.c.tied = false;
    s = gpt2_save_llmc(&odd, path, false, w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "wants a tied head without bias, got a head of its own"), "'%s'", s.msg);
    odd = *m;
    odd.c.inner = 40;
    s = gpt2_save_llmc(&odd, path, false, w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "wants a hidden width of 32, got 40"), "'%s'", s.msg);
    odd = *m;
    odd.c.eps = 1e-6;
    s = gpt2_save_llmc(&odd, path, false, w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "layer_norm_epsilon 1e-5"), "'%s'", s.msg);
    world_delete(w);
}

static void bf16_rounding(TestLog *log)
{
    static const struct { float x; uint16_t want; } cases[] = {
        {1, 0x3F80},
        {-2, 0xC000},
        {0, 0},
        {0x1.01p0f, 0x3F80},
        {0x1.03p0f, 0x3F82},
        {0x1.010002p0f, 0x3F81},
        {0x1.00fffep0f, 0x3F80},
        {0x1.fffffep127f, 0x7F80},
        {INFINITY, 0x7F80},
        {-INFINITY, 0xFF80},
        {0x1p-149f, 0},
        {0x1p-133f, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        TEST(log, f32_to_bf16(cases[i].x) == cases[i].want, "%a: want %04x, got %04x", (double)cases[i].x,
             cases[i].want, f32_to_bf16(cases[i].x));
    TEST(log, isnan(bf16_to_f32(f32_to_bf16(NAN))), "NaN becomes %g", (double)bf16_to_f32(f32_to_bf16(NAN)));
    int wrong = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        const float x = bf16_to_f32((uint16_t)h);
        wrong += !isnan(x) && f32_to_bf16(x) != h;
    }
    TEST(log, wrong == 0, "%d bf16 values change when written again", wrong);
}

// The table in the project is the one in ../shared, and the partial file holds 101 of OpenAI's tensors.
static void published(TestLog *log)
{
    int rows_in_table = 0;
    while (gpt2_published_name(rows_in_table)) rows_in_table++;
    TEST(log, rows_in_table == 149, "want 149 hashes, got %d", rows_in_table);
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/gpt2/gpt2-124M (OpenAI's tensors)");
        return;
    }
    Arena *a = arena_new("published", 1 << 28, NULL);
    SafeFile f;
    Status s = safetensors_open(&f, a, arena_printf(a, "%s/gpt2/gpt2-124M/partial.safetensors", log->shared));
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    int match = 0, verified = 0, transposed = 0, other = 0;
    for (int64_t i = 0; i < f.n_tensor; i++) {
        Sha256Hex hash;
        bool again = false;
        match += gpt2_published(&f.tensor[i], &hash, &again) == PUBLISHED_SAME;
        verified += again;
        SafeTensor t = f.tensor[i];
        float *x = arena_alloc(a, (size_t)t.count * sizeof *x), *y = arena_alloc(a, (size_t)t.count * sizeof *y);
        safetensors_read_f32(x, &t);
        if (t.n_dim == 2 && strstr(t.name, "attn")) {
            const int64_t R = t.shape[0], C = t.shape[1];
            for (int64_t k = 0; k < R * C; k++) y[k % C * R + k / C] = x[k];
            t.data = y;
            transposed += gpt2_published(&t, &hash, NULL) == PUBLISHED_TRANSPOSED;
        }
        x[0] += 1e-6f;
        t.data = x;
        other += gpt2_published(&t, &hash, NULL) == PUBLISHED_OTHER;
    }
    TEST(log, match == 101 && verified == 101 && transposed == 2 && other == 101,
         "of 101 tensors %d match, %d by two sources, %d transposed, %d when changed do not", match, verified,
         transposed, other);
    SafeTensor unknown = {.name = "h.12.ln_1.bias", .type = SAFE_F32, .count = 0, .data = a};
    Sha256Hex hash;
    TEST(log, gpt2_published(&unknown, &hash, NULL) == PUBLISHED_UNKNOWN, "a thirteenth layer has a hash");
    safetensors_close(&f);
    arena_delete(a);
}

void test_gpt2_infer(TestLog *log)
{
    cache_or_window(log);
    rows(log);
    beams(log);
    few_beams(log);
    top_p(log);
    top_k(log);
    text_loss(log);
    in_place(log);
    llmc(log, false);
    llmc(log, true);
    llmc_refusals(log);
    bf16_rounding(log);
    published(log);
}
