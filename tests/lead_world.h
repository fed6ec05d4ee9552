// What tests of the composed model share: a tiny frozen GPT-2 on disk, a short synthetic series with statistics, the
// tiny configuration, and models built from them.
#ifndef LEAD_TESTS_LEAD_WORLD_H
#define LEAD_TESTS_LEAD_WORLD_H

#include <stdio.h>

#include "lead/data.h"
#include "llm_world.h"
#include "tests/test.h"
#include "traffic/synth.h"

// A random GPT-2 of 2 layers, width 8, saved below log->tmp; returns its directory.
static inline const char *tiny_llm(TestLog *log, Arena *a)
{
    const char *dir = arena_printf(a, "%s/tiny-llm", log->tmp);
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    const Gpt2Config c = tiny_config();
    const Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_TRAINABLE);
    world_randomise(w, 0.2);
    const Status s = gpt2_save(m, dir, w->scratch);
    TEST(log, !s.code, "%s", s.msg);
    world_delete(w);
    return dir;
}

// Preset tiny with that LLM.
static inline LeadConfig tiny_lead(const char *llm)
{
    LeadConfig c;
    const Status s = config_preset(&c, "tiny");
    CHECK(!s.code, "%s", s.msg);
    snprintf(c.llm, sizeof c.llm, "%s", llm);
    return c;
}

// Synthetic traffic of `days` days in slots of slot_seconds.
static inline TrafficSeries synth_series(TestLog *log, Arena *a, int N, int64_t days, int slot_seconds)
{
    SynthOptions o = synth_defaults();
    o.N = N;
    o.slot_seconds = slot_seconds;
    o.T = days * 86400 / slot_seconds;
    TrafficSeries s = {0};
    const Status st = synth_generate(&s, a, &o);
    TEST(log, !st.code, "%s", st.msg);
    CHECK(!st.code, "no series");
    return s;
}

static inline LeadStats fitted(TestLog *log, Arena *a, const TrafficSeries *s, const LeadConfig *cfg)
{
    LeadStats st;
    const Status r = lead_stats_fit(&st, a, s, traffic_splits(s->T, PROTOCOL_CLEAN).train, cfg);
    TEST(log, !r.code, "%s", r.msg);
    CHECK(!r.code, "no statistics");
    return st;
}

static inline LeadData data_of(TestLog *log, Tape *t, Arena *a, const LeadStats *st, const LeadConfig *cfg,
                               const TrafficSeries *s)
{
    LeadData d;
    const Status r = lead_data_new(&d, t, a, st, cfg, s);
    TEST(log, !r.code, "%s", r.msg);
    CHECK(!r.code, "no data");
    return d;
}

// A model in w->ps; randomise > 0 adds that much noise to every parameter, so that nothing is zero by construction.
static inline LeadModel *lead_world_model(World *w, const LeadConfig *cfg, LeadShape shape, double randomise)
{
    LeadModel *m = arena_alloc(w->perm, sizeof *m);
    const Status s = lead_model_new(m, &w->ps, cfg, &shape, w->scratch);
    CHECK(!s.code, "%s", s.msg);
    if (randomise > 0) world_randomise(w, randomise);
    return m;
}

// A tensor of standard normal numbers that outlives tape_reset.
static inline Tensor *normal_tensor(World *w, Shape shape, uint32_t id)
{
    Tensor *x = tensor_new(w->perm, &w->dev, REAL, shape, "input");
    float *v = arena_alloc(w->perm, (size_t)numel(x) * sizeof *v);
    random_f32(v, numel(x), id);
    tensor_set_f32(x, v, numel(x));
    return x;
}

// A small LEAD on a batch of n windows.  Flow 5 is silent in most rows; missing: every seventh value was not measured.
typedef struct SmallLead {
    World *w;
    LeadConfig cfg;
    TrafficSeries s;
    LeadStats st;
    LeadModel *m;
    LeadData data;
    LeadBatch b;
    Tape keep;           // its step arena holds the batch
} SmallLead;

static inline SmallLead *small_lead_new(TestLog *log, const Device *dev, const LeadConfig *cfg, int N,
                                        const int64_t *at, int n, bool missing)
{
    World *w = world_new(*dev, false);
    SmallLead *x = arena_zalloc(w->perm, sizeof *x);
    const int64_t F = (int64_t)N * N;
    x->w = w;
    x->cfg = *cfg;
    x->s = synth_series(log, w->perm, N, 40, 21600);
    for (int64_t t = 0; t < x->s.T; t++) x->s.x[t * F + 5] = t % 3 == 0 ? 1 : 0;
    if (missing) x->s.seen = arena_alloc(w->perm, (size_t)(x->s.T * F));
    for (int64_t i = 0; missing && i < x->s.T * F; i++) x->s.seen[i] = i % 7 != 0;
    x->st = fitted(log, w->perm, &x->s, &x->cfg);
    x->m = lead_world_model(w, &x->cfg, lead_stats_shape(&x->st, &x->cfg), 0.3);
    tape_init(&x->keep, &w->dev, w->step, w->scratch);
    x->data = data_of(log, &x->keep, w->perm, &x->st, &x->cfg, &x->s);
    x->b = lead_data_batch(&x->keep, &x->data, lead_data_rows(&x->data, w->step, at, n), NULL, true);
    tape_init(&w->t, &w->dev, w->step, w->scratch);   // resets leave the batch alone
    return x;
}

static inline bool same_bits(const Tensor *a, const Tensor *b)
{
    return shape_equal(a->shape, b->shape) && memcmp(a->x, b->x, tensor_bytes(a)) == 0;
}

#endif
