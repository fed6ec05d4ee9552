// What the tests of the rivals share: a model on a batch of a short synthetic series, in f64.
#ifndef LEAD_TESTS_RIVALS_WORLD_H
#define LEAD_TESTS_RIVALS_WORLD_H

#include "lead/rival.h"
#include "lead_world.h"

enum { RN = 2, RF = RN * RN, RB = 2, RL = 12, RK = 2 };

typedef struct RivalWorld {
    World *w;
    LeadConfig cfg;
    TrafficSeries s;
    LeadStats st;
    LeadData data;
    LeadModel *m;
    LeadBatch b;
    Tape keep;               // its step arena holds the batch
} RivalWorld;

static inline LeadConfig rival_config(const char *name, const char *llm, RivalTarget target)
{
    LeadConfig c = tiny_lead(llm);
    const Status s = config_model(&c, name);
    CHECK(!s.code, "%s", s.msg);
    c.history = RL, c.horizon = RK, c.batch = RB, c.dropout = 0.1, c.lora_rank = 1, c.rival_target = target;
    if (rival_at(c.model)->width) c.rival_width = 4;
    return c;
}

// seen: every third value of the history was not measured, as if.
static inline RivalWorld *rival_world(TestLog *log, const char *name, RivalTarget target, bool gaps)
{
    World *w = world_new(device_cpu_f64(), false);
    RivalWorld *x = arena_zalloc(w->perm, sizeof *x);
    *x = (RivalWorld){.w = w, .cfg = rival_config(name, tiny_llm(log, w->perm), target),
                      .s = synth_series(log, w->perm, RN, 60, 21600)};
    x->st = fitted(log, w->perm, &x->s, &x->cfg);
    x->m = lead_world_model(w, &x->cfg, lead_stats_shape(&x->st, &x->cfg), 0.3);
    tape_init(&x->keep, &w->dev, w->step, w->scratch);
    x->data = data_of(log, &x->keep, w->perm, &x->st, &x->cfg, &x->s);
    x->b = lead_data_batch(&x->keep, &x->data, lead_data_rows(&x->data, w->step, (int64_t[]){47, 83}, RB), NULL, true);
    if (gaps) {
        Tensor *in = x->b.rival.x;
        x->b.rival.seen = tensor_new(w->perm, &w->dev, REAL, in->shape, "seen");
        double *v = x->b.rival.seen->x;
        for (int64_t i = 0; i < numel(in); i++) v[i] = i % 3 != 1;
    }
    return x;
}

#endif
