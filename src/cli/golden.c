// Golden runs
#include "cli/golden.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lead/forecast.h"
#include "lead/train.h"
#include "nn/run_directory.h"
#include "traffic/protocol.h"
#include "traffic/synth.h"

// preset, instruction set, SHA-256 of losses and sample paths.  `lead check --golden` prints the lines.
static const struct { const char *preset, *isa, *bits; } kept[] = {
#include "cli/golden_bits.inl"
};

static void keep_loss(void *ctx, const TrainReport *r)
{
    GoldenRun *g = ctx;
    if (!r->final && r->step <= GOLDEN_STEPS) g->loss[r->step - 1] = r->loss;
}

static Status configure(LeadConfig *c, const char *preset)
{
    TRY(config_preset(c, preset));
    c->steps = GOLDEN_STEPS, c->minutes = 0, c->patience = 0, c->batch = 4, c->samples = 4;
    return OK;
}

static Status train_and_draw(GoldenRun *g, const char *dir, const TrafficSeries *s, const Device *dev, Arena *perm,
                             Arena *step, Arena *scratch)
{
    LeadConfig c;
    TRY(configure(&c, g->preset));
    const TrafficSplits split = traffic_splits(s->T, PROTOCOL_CLEAN);
    const TrainOptions o = {.out = dir, .data_path = "synthetic", .train = split.train, .val = split.val,
                            .report = keep_loss, .ctx = g};
    TRY(lead_train(&c, s, &o, dev, perm, step, scratch));
    LeadRun r;
    TRY(lead_run_load(&r, dir, LEAD_BEST, NULL, dev, perm, step, scratch));
    *r.stats.fallback = 0;
    TRY(lead_run_attach(&r, s));
    const int64_t last = s->T - 1, n = (int64_t)r.cfg.samples * r.cfg.horizon * r.stats.F;
    float *x = arena_alloc(perm, (size_t)n * sizeof *x);
    TRY(lead_forecast(&r, &last, 1, x, NULL));
    Sha256 hash = sha256_new();
    sha256_add(&hash, g->loss, sizeof g->loss);
    sha256_add(&hash, x, (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) g->mean += x[i] / (double)n;
    g->bits = sha256_hex(&hash);
    return OK;
}

static Status run_one(GoldenRun *g, const TrafficSeries *s, const Device *dev, Arena *perm, Arena *step, Arena *scratch)
{
    const char *base = getenv("TMPDIR");
    char *dir = arena_printf(perm, "%s/lead-golden.XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(dir)) return ERROR("%s: no scratch directory: %s", dir, strerror(errno));
    const Status s1 = train_and_draw(g, dir, s, dev, perm, step, scratch);
    const Status s2 = run_directory_remove(dir, scratch);
    rmdir(dir);
    TRY(s1);
    return s2;
}

Status golden_runs(GoldenRun run[GOLDEN_RUNS], Isa isa, Arena *perm, Arena *step, Arena *scratch)
{
    static const char *const preset[GOLDEN_RUNS] = {"tiny", "demo"};
    const Device dev = device_cpu_f32(isa);
    SynthOptions o = synth_defaults();
    o.N = 6, o.slot_seconds = 3600, o.T = 28 * 24;
    TrafficSeries s;
    TRY(synth_generate(&s, perm, &o));
    for (int i = 0; i < GOLDEN_RUNS; i++) {
        run[i] = (GoldenRun){.preset = preset[i], .isa = isa_name(isa)};
        TRY(run_one(&run[i], &s, &dev, perm, step, scratch));
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
            if (!strcmp(kept[k].preset, preset[i]) && !strcmp(kept[k].isa, run[i].isa)) run[i].want = kept[k].bits;
        run[i].same = run[i].want && strcmp(run[i].want, run[i].bits.s) == 0;
    }
    return OK;
}
