// From traffic to the network's numbers and back: decoding a target returns the truth, invalid rows and rows after the
// moment are never looked at, statistics come from training rows only, a path that equals the truth is the truth.
#include "lead_world.h"
#include "nn/sha256.h"

enum { N = 4, F = N * N, B = 6 };

typedef struct Choice { const char *name; int target, base, horizons, encoding, history; } Choice;

static const Choice choices[] = {
    {"residual from the last, direct", TARGET_RESIDUAL, BASE_LAST, HORIZON_DIRECT, ENCODING_RGB, 4},
    {"residual from ridge, direct", TARGET_RESIDUAL, BASE_RIDGE, HORIZON_DIRECT, ENCODING_RGB, 12},
    {"residual, rollout, grey", TARGET_RESIDUAL, BASE_LAST, HORIZON_ROLLOUT, ENCODING_GREY, 4},
    {"level, RGB", TARGET_LEVEL, BASE_LAST, HORIZON_DIRECT, ENCODING_RGB, 4},
    {"level, grey, a base that it does not use", TARGET_LEVEL, BASE_RIDGE, HORIZON_DIRECT, ENCODING_GREY, 4},
};
enum { N_CHOICES = sizeof choices / sizeof *choices };

static LeadConfig choice_config(const Choice *c)
{
    LeadConfig cfg = tiny_lead("");
    cfg.target = c->target, cfg.base = c->base, cfg.horizons = c->horizons, cfg.encoding = c->encoding, cfg.history = c->history;
    cfg.horizon = 3;
    return cfg;
}

static TrafficSeries series_copy(Arena *a, const TrafficSeries *s)
{
    TrafficSeries c = *s;
    c.x = arena_alloc(a, (size_t)(s->T * F) * sizeof *c.x);
    memcpy(c.x, s->x, (size_t)(s->T * F) * sizeof *c.x);
    c.valid = arena_alloc(a, (size_t)s->T);
    memcpy(c.valid, s->valid, (size_t)s->T);
    return c;
}

static Sha256Hex batch_hash(World *w, const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, const Moment *at, int n,
                            bool with_target)
{
    tape_reset(&w->t);
    const LeadBatch b = features_batch(&w->t, st, cfg, s, at, n, with_target);
    Tensor *part[] = {b.frames, b.slot, b.dow, b.context, b.target, b.weight};
    Sha256 h = sha256_new();
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i]) sha256_add(&h, part[i]->x, tensor_bytes(part[i]));
    return sha256_hex(&h);
}

static Sha256Hex stats_hash(Arena *a, const LeadStats *st)
{
    StatArray array[STATS_MAX_ARRAYS];
    const size_t mark = arena_mark(a);
    const int n = stats_pack(st, a, array);
    Sha256 h = sha256_new();
    for (int i = 0; i < n; i++) sha256_add(&h, array[i].x, (size_t)array[i].n * sizeof(double));
    arena_rewind(a, mark);
    return sha256_hex(&h);
}

static bool same_hash(Sha256Hex a, Sha256Hex b) { return strcmp(a.s, b.s) == 0; }

// Decoding the target of a window gives its true matrices, to float precision.
static void check_decode(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch, ScaleKind scale)
{
    LeadConfig cfg = choice_config(ch);
    cfg.scale = (int)scale;
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    Moment at[B];
    for (int b = 0; b < B; b++) at[b] = (Moment){.t = 20 + 30 * b};
    tape_reset(&w->t);
    const LeadBatch batch = features_batch(&w->t, &st, &cfg, s, at, B, true);
    float *out = arena_alloc(w->step, (size_t)(B * st.Kt * F) * sizeof *out);
    features_decode(&st, &cfg, s, at, B, 1, batch.target->x, out, w->scratch);
    double worst = 0;
    for (int b = 0; b < B; b++)
        for (int j = 0; j < st.Kt * F; j++) {
            const double truth = (double)s->x[(at[b].t + 1) * F + j], got = (double)out[b * st.Kt * F + j];
            const double unit = truth + 1e-3 * (double)st.scale.max_kbps;
            worst = check_fold(worst, fabs(got - truth) / unit);
        }
    TEST(log, worst < 1e-4, "%s, scale %s: decoding the target misses the truth by %.2g of its size", ch->name, scale_kind_names[scale], worst);
    TEST(log, worst > 0 || scale == SCALE_MAX, "%s: nothing was compared", ch->name);
}

// Rows marked invalid hold other garbage: nothing may change.
static void check_invalid(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    static const int64_t bad[] = {7, 60, 61, 62, 150};
    const LeadConfig cfg = choice_config(ch);
    const size_t mark = arena_mark(w->perm);
    Sha256Hex stats[2], batch[2];
    int64_t windows[2];
    for (int k = 0; k < 2; k++) {
        TrafficSeries c = series_copy(w->perm, s);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            for (int f = 0; f < F; f++) c.x[bad[i] * F + f] = k ? NAN : 1e9f + (float)f;
        const Status r = traffic_series_mark_invalid(&c, bad, sizeof bad / sizeof *bad);
        CHECK(!r.code, "%s", r.msg);
        const LeadStats st = fitted(log, w->perm, &c, &cfg);
        stats[k] = stats_hash(w->perm, &st);
        int64_t *start;
        windows[k] = traffic_windows(&c, w->perm, (TrafficRange){0, c.T}, cfg.history, st.Kt, 1, &start);
        Moment *at = arena_alloc(w->perm, (size_t)windows[k] * sizeof *at);
        for (int64_t i = 0; i < windows[k]; i++) at[i] = (Moment){.t = start[i] + cfg.history - 1};
        batch[k] = batch_hash(w, &st, &cfg, &c, at, (int)windows[k], true);
    }
    TEST(log, windows[0] > 100 && windows[0] == windows[1], "%s: %lld windows", ch->name, (long long)windows[0]);
    TEST(log, same_hash(stats[0], stats[1]), "%s: statistics depend on the values of invalid rows", ch->name);
    TEST(log, same_hash(batch[0], batch[1]), "%s: a batch depends on the values of invalid rows", ch->name);
    arena_rewind(w->perm, mark);
}

// Rows after the moment, or after the training split, hold something else: the batch, or the statistics, are the same.
static void check_future(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    const LeadConfig cfg = choice_config(ch);
    const size_t mark = arena_mark(w->perm);
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    TrafficSeries c = series_copy(w->perm, s);
    const int64_t end = traffic_splits(s->T, PROTOCOL_CLEAN).train.end;
    for (int64_t i = end * F; i < s->T * F; i++) c.x[i] = 3 * c.x[i] + 1000;
    const LeadStats again = fitted(log, w->perm, &c, &cfg);
    TEST(log, same_hash(stats_hash(w->perm, &st), stats_hash(w->perm, &again)), "%s: statistics depend on validation or test rows", ch->name);
    for (int64_t t = 12; t + 1 < s->T; t += 37) {
        TrafficSeries other = series_copy(w->perm, s);
        for (int64_t i = (t + 1) * F; i < s->T * F; i++) other.x[i] = 5 * other.x[i] + 777;
        const Moment at = {.t = t};
        TEST(log, same_hash(batch_hash(w, &st, &cfg, s, &at, 1, false), batch_hash(w, &st, &cfg, &other, &at, 1, false)),
             "%s: the batch of moment %lld depends on later rows", ch->name, (long long)t);
        other = series_copy(w->perm, s);
        other.x[t * F] *= 1.5f;   // the comparison itself can fail
        TEST(log, !same_hash(batch_hash(w, &st, &cfg, s, &at, 1, false), batch_hash(w, &st, &cfg, &other, &at, 1, false)),
             "%s: the batch of moment %lld does not depend on row %lld", ch->name, (long long)t, (long long)t);
    }
    arena_rewind(w->perm, mark);
}

// A moment with a path of n matrices that are the true ones equals the moment n rows later.
static void check_path(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    const LeadConfig cfg = choice_config(ch);
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    for (int n = 1; n <= 5; n++) {
        const Moment path = {.t = 50, .n = n, .path = s->x + 51 * F}, direct = {.t = 50 + n};
        TEST(log, same_hash(batch_hash(w, &st, &cfg, s, &path, 1, false), batch_hash(w, &st, &cfg, s, &direct, 1, false)),
             "%s: a true path of %d matrices differs from the rows themselves", ch->name, n);
    }
}

// A moment's numbers do not depend on the other moments of its batch, nor on its place.
static void check_order(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    const LeadConfig cfg = choice_config(ch);
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    const Moment at[3] = {{.t = 90}, {.t = 31}, {.t = 57}}, turned[3] = {{.t = 57}, {.t = 90}, {.t = 31}};
    tape_reset(&w->t);
    const LeadBatch a = features_batch(&w->t, &st, &cfg, s, at, 3, true), b = features_batch(&w->t, &st, &cfg, s, turned, 3, true);
    const Tensor *x[] = {a.frames, a.slot, a.dow, a.context, a.target, a.weight}, *y[] = {b.frames, b.slot, b.dow, b.context, b.target, b.weight};
    for (int i = 0; i < 6; i++) {
        const size_t row = tensor_bytes(x[i]) / 3;
        for (size_t r = 0; r < 3; r++)
            TEST(log, memcmp((char *)x[i]->x + r * row, (char *)y[i]->x + (r + 1) % 3 * row, row) == 0, "%s: part %d of moment %zu moved with its place",
                 ch->name, i, r);
    }
}

// The silent flow and values far beyond what training saw come back finite and in range.
static void check_extremes(TestLog *log, World *w, const TrafficSeries *s)
{
    const LeadConfig cfg = choice_config(&choices[0]);
    TrafficSeries c = series_copy(w->perm, s);
    for (int64_t t = 0; t < c.T; t++) c.x[t * F + 5] = 0;
    for (int f = 0; f < F; f++) c.x[300 * F + f] = f % 2 ? 1e12f : 0;
    const LeadStats st = fitted(log, w->perm, &c, &cfg);
    const Moment at = {.t = 300};
    tape_reset(&w->t);
    const LeadBatch b = features_batch(&w->t, &st, &cfg, &c, &at, 1, true);
    const Tensor *part[] = {b.frames, b.context, b.target, b.weight};
    for (int i = 0; i < 4; i++) {
        bool finite = true;
        for (int64_t k = 0; k < numel(part[i]); k++) finite &= isfinite(((const float *)part[i]->x)[k]) != 0;
        TEST(log, finite, "part %d of a batch with extreme values is not finite", i);
    }
    float *x = arena_alloc(w->step, (size_t)(st.Kt * F) * sizeof *x), *out = arena_alloc(w->step, (size_t)(st.Kt * F) * sizeof *out);
    for (int k = 0; k < 2; k++) {
        for (int j = 0; j < st.Kt * F; j++) x[j] = k ? 1e6f : -1e6f;
        features_decode(&st, &cfg, &c, &at, 1, 1, x, out, w->scratch);
        bool fine = true;
        for (int j = 0; j < st.Kt * F; j++) fine &= isfinite(out[j]) && out[j] >= 0;
        TEST(log, fine, "decoding %g gave a value that is negative or not finite", k ? 1e6 : -1e6);
    }
}

void test_features(TestLog *log)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), true);
    w->t.record = false;
    const TrafficSeries s = synth_series(log, w->perm, N, 45, 10800);
    for (int i = 0; i < N_CHOICES; i++) {
        for (int k = 0; k < SCALE_KINDS; k++) check_decode(log, w, &s, &choices[i], (ScaleKind)k);
        check_invalid(log, w, &s, &choices[i]);
        check_future(log, w, &s, &choices[i]);
        if (choices[i].base != BASE_RIDGE || choices[i].target == TARGET_LEVEL) check_path(log, w, &s, &choices[i]);
        check_order(log, w, &s, &choices[i]);
    }
    check_extremes(log, w, &s);
    world_delete(w);
}
