// What each idea of LEAD is worth: trains variants of one configuration under the same budget, scores them on the same
// windows, and prints the difference of each to its reference with a day-block bootstrap interval.
//   build/bench/ablate DATA.npy DIR [--seeds 3] [--steps 300] [--stride 13] [--split val|test] [--only TEXT]
//                      [--calendar-shift SECONDS]
// Runs and scores are kept in DIR (NAME.SEED/, NAME.SEED.scores) and not made again, so an interrupted ablation goes on
// where it was.  --only makes and prints the variants whose name contains TEXT, and the references.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"
#include "lead/train.h"
#include "nn/run_directory.h"
#include "traffic/protocol.h"

enum { MOST_SEEDS = 16, MOST_SET = 400 };
static const int shown[] = {1, 5, 20};   // steps ahead

// ---- variants

// Settings are "key=value key=value" on top of those of the reference.  A variant without training settings of its own
// (trained: another's name) is scored from that run with other sampling.  A variant is scored as it is: no run falls
// back to a naive forecast here.
typedef struct Variant { const char *name, *reference, *trained, *set; } Variant;

#define FLOWS "flow_context=true mean_head=true scale_head=true denoiser=flow point=head "
static const Variant variants[] = {
    {"flows", NULL, NULL, FLOWS "conditions=none"},
    {"plain context planes", "flows", NULL, "flow_context=false"},
    {"no mean head", "flows", NULL, "mean_head=false point=samples"},
    {"no scale head", "flows", NULL, "scale_head=false"},
    {"no heads", "flows", NULL, "mean_head=false scale_head=false point=samples"},
    {"point: mean of samples", "flows", "flows", "point=samples"},
    {"point: half and half", "flows", "flows", "point=mix"},
    {"no spread factor", "flows", "flows", "calibrate=false"},
    {"independent samples", "flows", "flows", "antithetic=false"},
    {"8 samples", "flows", "flows", "samples=8"},
    {"16 samples", "flows", "flows", "samples=16"},
    {"128 samples", "flows", "flows", "samples=128"},
    {"2 network calls", "flows", "flows", "sample_steps=2"},
    {"4 network calls", "flows", "flows", "sample_steps=4"},
    {"20 network calls", "flows", "flows", "sample_steps=20"},
    {"50 network calls", "flows", "flows", "sample_steps=50"},
    {"with g", "flows", NULL, "conditions=global"},
    {"with g: grey images", "with g", NULL, "encoding=grey"},
    {"with g: no image", "with g", NULL, "vision=none"},
    {"with g: single-scale stem", "with g", NULL, "vision=single"},
    {"with g: no vision encoder", "with g", NULL, "vision=linear"},
    {"with g: LoRA, no adapters", "with g", NULL, "adapter_width=0 lora_rank=8"},
    {"with g: random GPT-2", "with g", NULL, "llm_kind=random"},
    {"with g: attention layer", "with g", NULL, "llm_kind=attention"},
    {"with g: no LLM", "with g", NULL, "llm_kind=none"},
    {"U-Net", "flows", NULL, "denoiser=unet conditions=dual lr=6e-4"},
    {"U-Net and flows", "flows", NULL, "denoiser=both conditions=dual lr=6e-4"},
    {"U-Net: g alone", "U-Net", NULL, "conditions=global"},
    {"U-Net: S alone", "U-Net", NULL, "conditions=sequence"},
    {"U-Net: no conditions", "U-Net", NULL, "conditions=none"},
    {"U-Net: plain planes, no heads", "U-Net", NULL,
     "flow_context=false mean_head=false scale_head=false point=samples"},
};
enum { VARIANTS = (int)(sizeof variants / sizeof *variants) };

static const Variant *variant_find(const char *name)
{
    for (int i = 0; i < VARIANTS; i++)
        if (strcmp(variants[i].name, name) == 0) return &variants[i];
    CHECK(0, "no variant '%s'", name);
    return NULL;
}

// Applies the settings of the references first.
static Status configure(LeadConfig *c, const Variant *v)
{
    if (v->reference) TRY(configure(c, variant_find(v->reference)));
    char text[MOST_SET], *save = NULL;
    snprintf(text, sizeof text, "%s", v->set);
    for (char *s = strtok_r(text, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
        char *value = strchr(s, '=');
        *value++ = 0;
        TRY(config_set(c, s, value));
    }
    return OK;
}

// ---- one run

typedef struct Ablation {
    const char *data, *dir, *only;
    int seeds, steps, stride, calendar_shift;
    bool test;
    Device dev;
    Arena *perm, *step, *scratch;
    TrafficSeries s;
    EvalPlan plan;
    int days;
} Ablation;

static const char *file_name(const Ablation *a, const char *variant, int seed, const char *end)
{
    char *p = arena_printf(a->perm, "%s/%s.%d%s", a->dir, variant, seed, end);
    for (char *q = p + strlen(a->dir) + 1; *q; q++)
        if (*q == ' ' || *q == ':' || *q == ',') *q = '_';
    return p;
}

static bool there(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0;
}

static Status train(const Ablation *a, const Variant *v, int seed)
{
    const char *dir = file_name(a, v->name, seed, "");
    LeadConfig c;
    TRY(config_preset(&c, "small"));
    TRY(configure(&c, v));
    c.seed = seed, c.steps = a->steps, c.minutes = 0;
    const TrafficSplits split = traffic_splits(a->s.T, PROTOCOL_CLEAN);
    RunState state;
    TRY(run_directory_state(dir, &state, a->scratch));
    if (state == RUN_FINISHED) return OK;
    const TrainOptions o = {.out = dir, .resume = state == RUN_UNFINISHED, .data_path = a->data, .train = split.train,
                            .val = split.val};
    return lead_train(&c, &a->s, &o, &a->dev, a->perm, a->step, a->scratch);
}

// Sums over the windows of each day, [K][days], of the variant.
static Status score(const Ablation *a, const Variant *v, int seed, MetricDay *day)
{
    const char *path = file_name(a, v->name, seed, ".scores");
    const size_t bytes = (size_t)(a->plan.task.K * a->days) * sizeof *day;
    if (there(path)) {
        FILE *f = fopen(path, "rb");
        const size_t got = f ? fread(day, 1, bytes, f) : 0;
        if (f) fclose(f);
        return got == bytes ? OK : ERROR("%s: want %zu bytes of scores, got %zu; delete it", path, bytes, got);
    }
    const size_t perm = arena_mark(a->perm), step = arena_mark(a->step);
    const Variant *trained = v->trained ? variant_find(v->trained) : v;
    fprintf(stderr, "%s, seed %d\n", v->name, seed);
    TRY(train(a, trained, seed));
    LeadRun r;
    const char *dir = file_name(a, trained->name, seed, "");
    TRY(lead_run_load(&r, dir, LEAD_BEST, NULL, &a->dev, a->perm, a->step, a->scratch));
    if (v->trained) TRY(configure(&r.cfg, v));
    r.cfg.seed = seed;
    if (!r.cfg.calibrate)
        for (int k = 0; k < r.stats.Kt; k++) r.stats.spread[k] = 1;
    *r.stats.fallback = 0;
    TRY(lead_run_attach(&r, &a->s));
    EvalTable t = eval_table_new(a->perm, &a->plan.task, 1);
    const Forecaster f = lead_forecaster(&r, 8);
    TRY(evaluate(&t, a->perm, &a->plan.task, &f));
    memcpy(day, t.model[0].day, bytes);
    TRY(file_write(path, day, bytes));
    arena_rewind(a->perm, perm);
    arena_rewind(a->step, step);
    return OK;
}

// ---- the table

static void print_gain(const MetricGain *g) { printf(" %+.1f (%+.1f .. %+.1f) |", g->value, g->low, g->high); }

// RMSE and CRPS of `sum` over those of ridge at the steps shown, and the gains over the reference, all steps together.
static void print_row(const Ablation *a, const Variant *v, const MetricDay *sum, const MetricDay *ridge,
                      const MetricDay *reference, const uint16_t *draws)
{
    const int K = a->plan.task.K, days = a->days;
    MetricDay *all[2];
    for (int i = 0; i < 2; i++) {
        const MetricDay *from = i ? reference : sum;
        all[i] = arena_zalloc(a->perm, (size_t)days * sizeof **all);
        for (int k = 0; k < K * days; k++) all[i][k % days].se += from[k].se, all[i][k % days].crps += from[k].crps;
    }
    printf("| %s |", v->name);
    for (int crps = 0; crps < 2; crps++)
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
            double x = 0, y = 0;
            for (int d = 0; d < days && shown[i] <= K; d++) {
                const int at = (shown[i] - 1) * days + d;
                x += crps ? sum[at].crps : sum[at].se, y += crps ? ridge[at].crps : ridge[at].se;
            }
            printf(" %.3f%s", crps ? x / y : sqrt(x / y), i + 1 < sizeof shown / sizeof *shown ? " /" : " |");
        }
    if (!v->reference) {
        printf(" | | |\n");
        return;
    }
    MetricBeside b;
    metric_gains(&b, all[0], all[1], draws, days, true);
    print_gain(&b.rmse);
    print_gain(&b.crps);
    printf(" %s |\n", v->reference);
}

static Status ridge_scores(const Ablation *a, MetricDay *day)
{
    NaiveModel m;
    EvalTable t = eval_table_new(a->perm, &a->plan.task, 1);
    TRY(naive_fit(&m, a->perm, NAIVE_RIDGE, &a->s, a->plan.split.train, a->plan.split.val, a->plan.task.history,
                  a->plan.task.K, NULL));
    const Forecaster f = naive_forecaster(&m);
    TRY(evaluate(&t, a->perm, &a->plan.task, &f));
    memcpy(day, t.model[0].day, (size_t)(a->plan.task.K * a->days) * sizeof *day);
    return OK;
}

// The sums of all seeds -> sum.
static Status all_seeds(const Ablation *a, const Variant *v, MetricDay *sum)
{
    const int n = a->plan.task.K * a->days;
    MetricDay *one = arena_alloc(a->perm, (size_t)n * sizeof *one);
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int seed = 1; seed <= a->seeds; seed++) {
        TRY(score(a, v, seed, one));
        for (int i = 0; i < n; i++) sum[i].se += one[i].se / a->seeds, sum[i].crps += one[i].crps / a->seeds;
    }
    return OK;
}

// Whether --only asks for variant v, or for one that refers to it.
static bool wanted(const Ablation *a, const Variant *v)
{
    if (!a->only || strstr(v->name, a->only)) return true;
    for (int i = 0; i < VARIANTS; i++)
        for (const Variant *w = &variants[i]; strstr(variants[i].name, a->only) && w->reference;) {
            w = variant_find(w->reference);
            if (w == v) return true;
        }
    return false;
}

static Status run(Ablation *a)
{
    const TrafficReadOptions read = {.calendar_shift_s = a->calendar_shift};
    TRY(traffic_series_read(&a->s, a->perm, a->data, &read));
    traffic_suspects_mark(&a->s, a->perm);
    const EvalPlanOptions o = {.validation = !a->test, .history = 16, .K = 20, .stride = a->stride};
    TRY(eval_plan(&a->plan, a->perm, &a->s, &o));
    TRY(directory_make_all(a->dir));
    a->days = eval_table_new(a->perm, &a->plan.task, 1).days;
    const size_t n = (size_t)(a->plan.task.K * a->days);
    MetricDay *ridge = arena_alloc(a->perm, n * sizeof *ridge), *sum[VARIANTS];
    uint16_t *draws = arena_alloc(a->perm, (size_t)METRIC_RESAMPLES * (size_t)a->days * sizeof *draws);
    metric_draw_days(draws, a->days);
    TRY(ridge_scores(a, ridge));
    printf("%s, %s split, %lld windows on %d days, %d seeds, %d steps of training\n\n", a->data,
           a->test ? "test" : "val", (long long)a->plan.task.n_windows, a->days, a->seeds, a->steps);
    printf("| variant | RMSE / ridge, steps 1 / 5 / 20 | CRPS / ridge | RMSE below the reference, %% | CRPS, %% | "
           "reference |\n|---|---|---|---|---|---|\n");
    for (int i = 0; i < VARIANTS; i++) {
        const Variant *v = &variants[i];
        if (!wanted(a, v)) continue;
        sum[i] = arena_alloc(a->perm, n * sizeof **sum);
        TRY(all_seeds(a, v, sum[i]));
        print_row(a, v, sum[i], ridge, v->reference ? sum[variant_find(v->reference) - variants] : sum[i], draws);
        fflush(stdout);
    }
    return OK;
}

// The words after DATA and DIR.  False: one that is not known, or has no value that it can have.
static bool options(Ablation *a, int n, char **word)
{
    const struct { const char *name; int *to; int least; } number[] = {
        {"--seeds", &a->seeds, 1}, {"--steps", &a->steps, 1}, {"--stride", &a->stride, 1},
        {"--calendar-shift", &a->calendar_shift, 0}};
    for (int i = 0; i < n; i += 2) {
        bool known = false;
        if (i + 1 == n) return false;
        for (size_t k = 0; k < sizeof number / sizeof *number; k++) {
            char *end;
            if (strcmp(word[i], number[k].name)) continue;
            *number[k].to = (int)strtol(word[i + 1], &end, 10);
            known = *end == 0 && *number[k].to >= number[k].least;
        }
        if (strcmp(word[i], "--only") == 0) a->only = word[i + 1], known = true;
        if (strcmp(word[i], "--split") == 0) {
            a->test = strcmp(word[i + 1], "test") == 0;
            known = a->test || strcmp(word[i + 1], "val") == 0;
        }
        if (!known) return false;
    }
    return a->seeds <= MOST_SEEDS;
}

int main(int argc, char **argv)
{
    Ablation a = {.seeds = 3, .steps = 300, .stride = 13, .dev = device_cpu_f32(isa_detect()),
                  .perm = arena_new("perm", (size_t)1 << 36, NULL), .step = arena_new("step", (size_t)1 << 36, NULL),
                  .scratch = arena_new("scratch", (size_t)1 << 34, NULL)};
    if (argc < 3 || !options(&a, argc - 3, argv + 3)) {
        fprintf(stderr, "usage: ablate DATA.npy DIR [--seeds 1..%d] [--steps 300] [--stride 13] [--split val|test] "
                        "[--only TEXT] [--calendar-shift SECONDS]\n", MOST_SEEDS);
        return 2;
    }
    a.data = argv[1], a.dir = argv[2];
    const Status s = run(&a);
    if (s.code) fprintf(stderr, "ablate: %s\n", s.msg);
    return s.code;
}
