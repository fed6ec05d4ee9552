// Golden runs: for each way to put the model together, a few steps of training with the plain f32 kernels, validation,
// calibration, forecasts by every sampler, and scores, beside the numbers of tests/golden/runs.txt.  They notice a
// change of anything that composes, meant or not; that the numbers are right is for the other areas to say.
#include <omp.h>
#include <signal.h>

#include "check/check.h"
#include "golden.h"
#include "io/file.h"
#include "io/json.h"
#include "io/sha256.h"
#include "lead/calibrate.h"
#include "lead/forecast.h"
#include "lead/general.h"
#include "lead/pretrain.h"
#include "lead/train.h"
#include "lead_world.h"
#include "nn/run_directory.h"
#include "rig.h"
#include "run_lead.h"
#include "traffic/protocol.h"

enum { NODES = 5, STEPS = 6, SILENT = 7, SELDOM = 13 };   // flows that carry nothing, and something in each third row

static const double RELATIVE = 2e-6, ABSOLUTE = 1e-9;   // by which numbers may differ

#define FLOWS "base=ridge history=13 horizon=3 flow_context=true mean_head=true scale_head=true denoiser=flow " \
              "conditions=none point=head flow_width=12 flow_hidden=10 lr=0.002 "
static const struct { const char *name, *set; } variants[] = {
    {"tiny", ""},
    {"flows", FLOWS},
    {"flows-statistics", FLOWS "flow_identity=statistics level_jitter=0.4 batch=8 batch_flows=100 point=mix"},
    {"flows-no-heads", FLOWS "mean_head=false scale_head=false point=samples prediction=x0 min_snr_gamma=0"},
    {"flows-global", FLOWS "conditions=global cond_drop=0.3 guidance=1.5 ema=0.9 clip=0.1 decay=6"},
    {"flows-online", FLOWS "base=ridge-online ridge_half_life=5 scale_head=false horizon=5"},
    {"both", FLOWS "denoiser=both conditions=dual unet_levels=2 history=16 loss_traffic=0.3"},
    {"unet-ridge", "base=ridge history=12 horizon=4 lora_rank=2 lora_targets=attention lora_alpha=4 unet_blocks=2"},
    {"level-losses", "target=level loss_traffic=0.1 loss_pool=0.2 loss_sobel=0.3 dropout=0.1 cond_drop=0.5 seed=5"},
    {"grey-log", "encoding=grey scale=log schedule=linear prediction=epsilon vision=single conditions=sequence "
                 "loss_pool=0.5"},
    {"max-random", "scale=max schedule=scaled-linear prediction=x0 sampler=ddim eta=0.5 llm_kind=random vision=linear"},
    {"rollout", "scale=quantile horizons=rollout llm_kind=attention lr=0.1 horizon=3 conditions=global "
                "antithetic=false"},
    {"nothing", "llm_kind=none vision=none pixel_condition=false calibrate=false samples=5 sample_clip=1.5"},
    {"no-conditions", "conditions=none adapter_width=0 unet_levels=1 sampler=ddpm lora_rank=1 lora_targets=all lr=0.3"},
    {"lora-all", "adapter_width=0 lora_rank=2 lora_targets=all agg_layers=2 enc_stages=3 unet_levels=3 tokens=2"},
};

typedef struct Bench {
    TestLog *log;
    Golden g;
    TrafficSeries s;
    LeadConfig cfg;
    Rig *rig;
    const char *out;
    volatile sig_atomic_t stop;
} Bench;

static LeadConfig config_of(const char *llm, const char *set)
{
    LeadConfig c = tiny_lead(llm);
    c.steps = STEPS;
    char text[400], *save = NULL;
    snprintf(text, sizeof text, "%s", set);
    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        char *value = strchr(w, '=');
        *value++ = 0;
        const Status s = config_set(&c, w, value);
        CHECK(!s.code, "%s", s.msg);
    }
    return c;
}

static void put_step(void *ctx, const TrainReport *r)
{
    Bench *b = ctx;
    golden_put(&b->g, "%s %lld loss %.10g smooth %.10g val %.10g gradient %.10g lr %.10g\n",
               r->final ? "final" : "step", (long long)r->step, r->loss, r->smooth_loss, r->val_loss, r->grad_norm,
               r->lr);
}

static void put_end(void *ctx, const TrainEnd *e)
{
    Bench *b = ctx;
    golden_put(&b->g, "end %d step %lld best %lld val %.10g\n", (int)e->why, (long long)e->step,
               (long long)e->best_step, e->final ? 0 : e->best_val);
}

static void put_calibration(void *ctx, const Calibration *c)
{
    Bench *b = ctx;
    golden_put(&b->g, "calibrated %d stretch %.10g %.10g weight %.10g %.10g crps %.10g %.10g naive %s %.10g %d\n",
               c->windows, c->least, c->most, c->least_weight, c->most_weight, c->before, c->after,
               c->naive ? c->naive : "-", c->naive_crps, c->fallback);
}

static void ok(const Bench *b, Status s) { TEST(b->log, !s.code, "%s: %s", b->out, s.msg); }

static void train(Bench *b, const char *start)
{
    const TrafficSplits split = traffic_splits(b->s.T, PROTOCOL_CLEAN);
    const TrainOptions o = {.out = b->out, .start = start, .data_path = "synthetic", .train = split.train,
                            .val = split.val, .final = {0, split.val.end}, .report = put_step, .ended = put_end,
                            .calibrated = put_calibration, .ctx = b};
    ok(b, lead_train(&b->cfg, &b->s, &o, &b->rig->dev, b->rig->perm, b->rig->step, b->rig->scratch));
}

// Mean, mean square, three values of each step: of the first, second and last sample and of the point forecast.
static void put_forecast(Bench *b, LeadRun *r, const char *what, int64_t row)
{
    const int F = NODES * NODES, K = r->cfg.horizon, S = r->cfg.samples;
    float *x = arena_alloc(b->rig->perm, (size_t)(S * K * F) * sizeof *x);
    float *point = arena_alloc(b->rig->perm, (size_t)(K * F) * sizeof *x);
    ok(b, lead_forecast(r, &row, 1, x, point));
    for (int i = 0; i < S * K + K; i++) {
        if (i >= 2 * K && i < (S - 1) * K) continue;
        const float *v = i < S * K ? x + i * F : point + (i - S * K) * F;
        double sum = 0, square = 0;
        for (int f = 0; f < F; f++) sum += v[f], square += (double)v[f] * v[f];
        golden_put(&b->g, "%s %lld %d mean %.7g square %.7g flows %.7g %.7g %.7g\n", what, (long long)row, i, sum / F,
                   square / F, (double)v[2], (double)v[11], (double)v[SILENT]);
    }
}

static void put_scores(Bench *b, LeadRun *r)
{
    EvalPlan plan;
    const EvalPlanOptions o = {.history = r->cfg.history, .K = r->cfg.horizon, .stride = 9};
    ok(b, eval_plan(&plan, b->rig->perm, &b->s, &o));
    EvalTable t = eval_table_new(b->rig->perm, &plan.task, 1);
    const Forecaster f = lead_forecaster(r, 3);
    ok(b, evaluate(&t, b->rig->perm, &plan.task, &f));
    for (int64_t i = 0; i < t.n; i++) {
        const MetricResult *m = &t.row[i].r;
        if (t.row[i].horizon > 1) continue;
        golden_put(&b->g, "%s %d rmse %.7g mae %.7g %.7g crps %.7g %.7g %.7g cover %.7g %.7g energy %.7g\n",
                   t.row[i].space, t.row[i].horizon, m->rmse, m->mae, m->mae_median, m->crps, m->crps_ensemble,
                   m->crps_quantile, m->cover50, m->cover90, m->energy);
    }
}

// The run's other ways to sample, one after another.
static void put_samplers(Bench *b, LeadRun *r, int64_t row)
{
    static const char *const sampler[] = {"ddpm", "ddim", "dpm++2m"};
    for (int i = 0; i < 3; i++) {
        r->cfg.sampler = i, r->cfg.samples = 3, r->cfg.sample_steps = 2, r->cfg.eta = 0.7;
        put_forecast(b, r, sampler[i], row);
    }
}

// What it forecasts where validation preferred naive forecast number `kind`.
static void put_fallback(Bench *b, LeadRun *r, int kind, int64_t row)
{
    const float before = *r->stats.fallback;
    *r->stats.fallback = (float)(1 + kind);
    put_forecast(b, r, naive_names[kind], row);
    *r->stats.fallback = before;
}

static void put_run(Bench *b, const LeadRun *r)
{
    golden_put(&b->g, "holds step %lld rows %lld %lld %lld %lld fallback %g spread %.7g weight %.7g dist %d\n",
               (long long)r->step, (long long)r->train.begin, (long long)r->train.end, (long long)r->val.begin,
               (long long)r->val.end, (double)*r->stats.fallback, (double)r->stats.spread[0],
               (double)r->stats.head_weight[0], (int)lead_dist(r));
}

static void run(Bench *b, const char *name, const char *start)
{
    golden_put(&b->g, "run %s\n", name);
    train(b, start);
    const int64_t row = b->s.T - 40;
    for (LeadWanted wanted = LEAD_BEST; wanted <= LEAD_NEWEST; wanted++) {
        LeadRun r;
        ok(b, lead_run_load(&r, b->out, wanted, NULL, &b->rig->dev, b->rig->perm, b->rig->step, b->rig->scratch));
        if (b->log->failed) return;
        put_run(b, &r);
        *r.stats.fallback = 0;
        ok(b, lead_run_attach(&r, &b->s));
        put_forecast(b, &r, wanted == LEAD_BEST ? "best" : "newest", row);
        if (wanted == LEAD_NEWEST) continue;
        put_scores(b, &r);
        const int kinds = r.cfg.history < RIDGE_LAGS ? NAIVE_RIDGE : NAIVE_KINDS;
        put_fallback(b, &r, (int)(strlen(name) % (size_t)kinds), 360);
        put_samplers(b, &r, b->s.T - 1);
    }
}

static bool is_text(const Json *object, const char *key, const char *want)
{
    const Json *v = json_find(object, key);
    return v && v->type == JSON_STRING && strcmp(v->string, want) == 0;
}

// The report of lead check: its hashes are those of the files, its runs have this version's bits.
static void check_report(TestLog *log, Arena *a, const char *isa)
{
    const char *path = arena_printf(a, "%s/audit-%s.json", log->tmp, isa);
    const Ran r = lead_run(log, a, "check --op add --isa %s --report %s", isa, path);
    const Json *root = NULL;
    const Status s = json_read(&root, a, path, 1 << 20);
    TEST(log, r.code == 0 && !s.code, "check --report, %s: exit %d, %s %s%s", isa, r.code, s.code ? s.msg : "", r.out,
         r.err);
    if (s.code) return;
    const Json *hash = json_find(root, "sha256"), *ops = json_find(root, "ops"), *made = json_find(root, "made_by");
    FileMap program;
    CHECK(!file_map(&program, log->lead).code, "no program");
    TEST(log, is_text(hash, "program", sha256_hex_of(program.data, program.size).s), "hash of the program");
    file_unmap(&program);
    const char *model = "data/pretrained/model.safetensors";
    CHECK(!file_map(&program, model).code, "no model");
    TEST(log, is_text(hash, model, sha256_hex_of(program.data, program.size).s), "hash of %s", model);
    file_unmap(&program);
    const Json *sources = json_find(hash, "sources");
    TEST(log, sources && sources->type == JSON_STRING && strlen(sources->string) == 64, "no hash of the sources");
    TEST(log, ops && ops->child && is_text(ops->child, "op", "add") && !ops->child->next, "ops: want add alone");
    TEST(log, is_text(made, "verb", "check") && json_find(made, "commit"), "who made it");
    int64_t failures = -1;
    TEST(log, !json_get_int(&failures, root, "failures", 0, 1000, path).code && failures == 0, "failures");
    const Json *golden = json_find(root, "golden_runs");
    int runs = 0;
    for (const Json *g = golden ? golden->child : NULL; g; g = g->next) {
        bool same = false;
        TEST(log, !json_get_bool(&same, g, "same", path).code && same && is_text(g, "instruction_set", isa),
             "golden run %d, %s: other bits; `lead check --golden` prints them", runs, isa);
        runs++;
    }
    TEST(log, runs == 2, "%d golden runs", runs);
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, word)); p += strlen(word)) n++;
    return n;
}

// The same as a page: well-formed, nothing loaded, the hash of the JSON that stands in it.
static void check_page(TestLog *log, Arena *a, const char *isa)
{
    const char *path = arena_printf(a, "%s/audit.html", log->tmp);
    const Ran r = lead_run(log, a, "check --op add --isa %s --report %s", isa, path);
    const char *page = slurp(a, path), *json = strstr(page, "<pre>");
    TEST(log, r.code == 0 && json, "check --report, %s: exit %d, %s%s", isa, r.code, r.out, r.err);
    if (!json) return;
    TEST(log, count(page, ": the bits of this version") == 2 && !strstr(page, "OTHER BITS"), "golden runs of %s", isa);
    TEST(log, strstr(page, "prefers-color-scheme:dark") && strstr(page, "@media print") && !strstr(page, "<script") &&
                  !strstr(page, " src=") && !strstr(page, "href=\"http"), "the page does not stand alone");
    TEST(log, strstr(page, ">add</td>") && strstr(page, "Signature"), "the page has no row of add, or no signature");
    char *text = arena_zalloc(a, strlen(json) + 1), *to = text;
    static const char *const entity[] = {"&quot;\"", "&amp;&", "&lt;<", "&gt;>", "&#39;'"};
    for (const char *p = json + 5; *p && strncmp(p, "</pre>", 6);) {
        size_t i = 0, n = 0;
        for (; i < 5; i++)
            if (n = strlen(entity[i]) - 1, !strncmp(p, entity[i], n)) break;
        *to++ = i < 5 ? entity[i][n] : *p;
        p += i < 5 ? n : 1;
    }
    TEST(log, strstr(page, sha256_hex_of(text, (size_t)(to - text)).s) != NULL, "not the SHA-256 of the JSON");
    const Json *root = NULL;
    const Status s = json_parse(&root, a, text, (size_t)(to - text), path);
    TEST(log, !s.code && is_text(json_find(root, "made_by"), "verb", "check"), "no JSON in the page: %s", s.msg);
}

static void stop_now(void *ctx, const TrainReport *r)
{
    (void)r;
    ((Bench *)ctx)->stop = 1;
}

// The second moments of a checkpoint are squares; what is stored under the names of the first is not.
static void check_moments(Bench *b)
{
    const TrafficSplits split = traffic_splits(b->s.T, PROTOCOL_CLEAN);
    const char *out = arena_printf(b->rig->perm, "%s.stopped", b->out);
    const TrainOptions o = {.out = out, .data_path = "synthetic", .train = split.train, .val = split.val,
                            .report = stop_now, .ctx = b, .stop = &b->stop};
    SafeFile f;
    int64_t below = 0, squares = 0;
    ok(b, lead_train(&b->cfg, &b->s, &o, &b->rig->dev, b->rig->perm, b->rig->step, b->rig->scratch));
    ok(b, checkpoint_open(&f, b->rig->perm, arena_printf(b->rig->perm, "%s/" RUN_CHECKPOINT, out)));
    for (int64_t i = 0; i < f.n_tensor; i++) {
        const SafeTensor *t = &f.tensor[i];
        const size_t n = strlen(t->name);
        const bool first = n > 2 && !strcmp(t->name + n - 2, "#m"), second = n > 2 && !strcmp(t->name + n - 2, "#v");
        for (int64_t k = 0; (first || second) && k < t->count; k++) {
            const float v = ((const float *)t->data)[k];
            below += first && v < 0;
            squares += second && v < 0;
        }
    }
    safetensors_close(&f);
    TEST(b->log, below > 0 && squares == 0, "%lld first moments and %lld second ones are below 0", (long long)below,
         (long long)squares);
}

// ---- pretraining

static void put_network(void *ctx, const PretrainReport *r)
{
    Bench *b = ctx;
    golden_put(&b->g, "network %lld step %lld nodes %d slot %d rows %lld loss %.10g smooth %.10g\n",
               (long long)r->network, (long long)r->step, r->N, r->slot_seconds, (long long)r->rows, r->loss,
               r->smooth_loss);
}

static void pretrain(Bench *b)
{
    const char *file = b->out;
    LeadRun r;
    Calibration c;
    const TrafficSplits split = traffic_splits(b->s.T, PROTOCOL_CLEAN);
    const PretrainOptions o = {.networks = 3, .steps_each = 2, .out = file, .report = put_network, .ctx = b};
    Arena *network = arena_new("network", (size_t)1 << 32, NULL);
    ok(b, lead_pretrain(&b->cfg, &o, &b->rig->dev, b->rig->perm, network, b->rig->step, b->rig->scratch));
    arena_delete(network);
    arena_rewind(b->rig->step, 0);
    ok(b, lead_general_load(&r, file, &b->s, split.train, split.val, 0, &b->rig->dev, b->rig->perm, b->rig->step,
                            b->rig->scratch, &c));
    if (b->log->failed) return;
    put_calibration(b, &c);
    put_forecast(b, &r, "general", 360);
    ok(b, lead_general_refit(&r, (TrafficRange){0, b->s.T}));
    put_run(b, &r);
    *r.stats.fallback = 0;
    put_forecast(b, &r, "refitted", b->s.T - 1);
    TEST(b->log, lead_general_first(25000) == 5000 && lead_general_first(20000) == 0,
         "weights for any network take other rows than the newest 20000");
}

// ---- schedules, presets, what a configuration may hold

static void put_schedules(Bench *b)
{
    static const int at[] = {1, 2, 10, 250, 500, 750, 990, 999, 1000};
    for (int kind = 0; kind < 3; kind++) {
        const Schedule s = schedule_new(b->rig->perm, (ScheduleKind)kind, 1000),
                       few = schedule_new(b->rig->perm, (ScheduleKind)kind, 20);
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            golden_put(&b->g, "schedule %d %d %.10g %.10g", kind, at[i], s.ab[at[i]], few.ab[1 + (at[i] - 1) % 20]);
            for (int p = 0; p < 3; p++) golden_put(&b->g, " %.10g", schedule_min_snr(&s, (Prediction)p, at[i], 5));
            golden_put(&b->g, " %.10g\n", schedule_min_snr(&s, PREDICT_V, at[i], 0));
        }
    }
}

// How many cases each op is checked with, and how many of them are large.
static void put_cases(Bench *b)
{
    static const struct { const char *name; CaseMaker *make; } op[] = {
#define OP(name, ...) {#name, name##_cases},
#include "tensor/ops.def"
#undef OP
    };
    for (size_t i = 0; i < sizeof op / sizeof *op; i++) {
        const size_t mark = arena_mark(b->rig->scratch);
        CaseList list = {.arena = b->rig->scratch};
        int large = 0;
        op[i].make(&list);
        for (int k = 0; k < list.n; k++) large += list.c[k].large;
        golden_put(&b->g, "cases %s %d %d\n", op[i].name, list.n, large);
        arena_rewind(b->rig->scratch, mark);
    }
}

static void put_presets(Bench *b)
{
    static const char *const names[] = {"paper", "image", "small", "pretrained", "demo", "tiny"};
    int n;
    const ConfigKey *k = config_keys(&n);
    char text[1100];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        LeadConfig c;
        ok(b, config_preset(&c, names[i]));
        golden_put(&b->g, "preset %s batch %d %d", names[i], lead_batch(&c, 144), lead_batch(&c, 10000));
        for (int j = 0; j < n; j++) golden_put(&b->g, " %s %s", k[j].name, config_text(&c, &k[j], text));
        golden_put(&b->g, "\n");
    }
}

// Each of these is refused, in words that a program of its own need not keep: only that it is refused counts.
static void check_refusals(const Bench *b)
{
    static const char *const wrong[] = {
        "agg_heads=3", "unet_base=9", "sample_steps=9 diffusion_steps=8", "guidance=2 cond_drop=0",
        "base=ridge history=11", "flow_context=true", FLOWS "flow_context=false flow_identity=statistics",
        "mean_head=true pixel_condition=false", FLOWS "target=level", FLOWS "loss_pool=0.1", FLOWS "loss_sobel=0.1",
        "point=head", "point=mix",
        FLOWS "horizons=rollout", "horizons=rollout base=ridge history=12"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const LeadConfig c = config_of("data/gpt2-small", wrong[i]);
        TEST(b->log, config_check(&c).code != 0, "the configuration %s is accepted", wrong[i]);
    }
    static const char *const value[][2] = {{"history", "0"}, {"history", "1.5"}, {"lr", "2"}, {"cond_drop", "1.1"},
                                           {"antithetic", "yes"}, {"scale", "flow"}, {"samples", "-1"}, {"lr", "nan"},
                                           {"histroy", "4"}, {"lr", ""}};
    for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
        LeadConfig c = b->cfg;
        TEST(b->log, config_set(&c, value[i][0], value[i][1]).code != 0, "%s %s is accepted", value[i][0], value[i][1]);
    }
    TEST(b->log, !forecast_history(&b->s, 343, 13).code && forecast_history(&b->s, 342, 13).code &&
         !forecast_history(&b->s, 12, 13).code && forecast_history(&b->s, 11, 13).code,
         "a forecast looks back further than the rows that are there, or not as far");
    LeadConfig c = b->cfg;
    ok(b, config_set(&c, "antithetic", "false"));
    TEST(b->log, !c.antithetic, "antithetic false is true");
}

// A bench for one run of that name.
static void begin(Bench *b, Arena *a, const char *llm, const char *name, const char *set)
{
    b->rig = rig_new(device_cpu_f32(ISA_SCALAR));
    b->cfg = config_of(llm, set);
    b->out = arena_printf(a, "%s/golden-%s", b->log->tmp, name);
}

// Runs that begin with weights, and weights that suit any network.
static void put_starts(Bench *b, Arena *a, const char *llm)
{
    begin(b, a, llm, "update", "lr=0.003 seed=3");
    run(b, "update", arena_printf(a, "%s/golden-tiny", b->log->tmp));
    rig_delete(b->rig);
    begin(b, a, llm, "general.safetensors", FLOWS "flow_identity=statistics batch_flows=100 samples=8");
    pretrain(b);
    rig_delete(b->rig);
}

void test_golden(TestLog *log)
{
    if (log->quick) {
        test_skip(log, "skipped: golden runs have a file for all of them together, which the full suite compares");
        return;
    }
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    Arena *a = arena_new("golden", (size_t)1 << 30, NULL);
    Bench b = {.log = log, .s = synth_series(log, a, NODES, 21, 3600)};
    for (int64_t t = 0; t < b.s.T; t++) b.s.x[t * NODES * NODES + SILENT] = 0;
    b.s.valid[100] = b.s.valid[101] = b.s.valid[330] = 0;
    for (int64_t t = 0; t < b.s.T; t++)
        if (t % 3) b.s.x[t * NODES * NODES + SELDOM] = 0;
    const char *llm = tiny_llm(log, a);
    golden_begin(&b.g);
    bool vain = false;
    for (size_t i = 0; i < sizeof variants / sizeof *variants && log->failed == 0 && !vain; i++) {
        begin(&b, a, llm, variants[i].name, variants[i].set);
        if (i == 0) put_schedules(&b), put_cases(&b), put_presets(&b), check_refusals(&b);
        run(&b, variants[i].name, NULL);
        if (i == 0) check_moments(&b);
        rig_delete(b.rig);
        vain = golden_in_vain(&b.g, "runs", RELATIVE, ABSOLUTE);
    }
    if (!vain && !log->failed) put_starts(&b, a, llm);
    golden_end(log, &b.g, "runs", RELATIVE, ABSOLUTE);
    if (!vain) check_report(log, a, "scalar");
    if (!vain && isa_detect() != ISA_SCALAR) check_page(log, a, isa_name(isa_detect()));
    arena_delete(a);
    omp_set_num_threads(threads);
}
