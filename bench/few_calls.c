// Samplers and distilled runs side by side, on validation windows.
//   build/bench/few_calls DATA.npy STRIDE SAMPLES [shift=SECONDS] RUN[@SAMPLER@CALLS] ..   RUN alone: as it says itself
// RUN: a run directory; or a file of weights that suit any network, fitted and calibrated as lead eval does it.  shift:
// as --calendar-shift.  Every STRIDE-th window, one at a time.  Columns, over all steps:
//   crps energy   in scale s;  cover90   of the live flows, per cent;  rmse   of the point forecast, in scale s
//   total         CRPS of the total of a matrix, kbit/s
//   lag1          correlation, among the samples of a window, of what a flow does at steps k and k+1 (about the mean of
//                 the samples), mean over windows and the flows that vary: whether paths hang together in time
//   ms            median time of the forecast of a window but the first, on OMP_NUM_THREADS threads
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lead/general.h"
#include "tensor/clock.h"
#include "tensor/sort.h"
#include "traffic/protocol.h"

typedef struct Few { Device dev; Arena *perm, *step, *scratch; TrafficSeries s; int stride, samples; } Few;

// x [S][K][F] -> the mean correlation of neighbouring steps over the flows that vary.
static double lag1(const float *x, int S, int K, int F)
{
    double sum = 0;
    int n = 0;
    for (int f = 0; f < F; f++) {
        double both = 0, one = 0, two = 0;
        for (int k = 0; k + 1 < K; k++) {
            double m[2] = {0};
            for (int i = 0; i < S; i++)
                for (int j = 0; j < 2; j++) m[j] += (double)x[((int64_t)i * K + k + j) * F + f] / S;
            for (int i = 0; i < S; i++) {
                const float *at = x + ((int64_t)i * K + k) * F + f;
                const double a = (double)at[0] - m[0], b = (double)at[F] - m[1];
                both += a * b, one += a * a, two += b * b;
            }
        }
        if (one > 0 && two > 0) sum += both / sqrt(one * two), n++;
    }
    return n ? sum / n : NAN;
}

// A run as a forecaster that is timed.
typedef struct Timed { LeadRun *run; float *ms; int n; double lag1; } Timed;

static Status forecast(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    Timed *w = ctx;
    (void)s;
    const double t0 = clock_seconds();
    TRY(lead_forecast(w->run, b->last, b->n, b->dist, b->point));
    w->ms[w->n++] = (float)(1e3 * (clock_seconds() - t0));
    w->lag1 += lag1(b->dist, w->run->cfg.samples, w->run->cfg.horizon, w->run->stats.F);
    return OK;
}

static Status plan_windows(const Few *w, const LeadConfig *cfg, EvalPlan *plan)
{
    const EvalPlanOptions o = {.protocol = PROTOCOL_CLEAN, .validation = true, .stride = w->stride,
                               .history = cfg->history, .K = cfg->horizon};
    return eval_plan(plan, w->perm, &w->s, &o);
}

// The run with the series attached.
static Status open_run(const Few *w, LeadRun *r, const char *path, EvalPlan *plan)
{
    struct stat sb;
    if (stat(path, &sb) || S_ISDIR(sb.st_mode)) {
        TRY(lead_run_load(r, path, LEAD_BEST, NULL, &w->dev, w->perm, w->step, w->scratch));
        TRY(plan_windows(w, &r->cfg, plan));
        return lead_run_attach(r, plan->task.series);
    }
    LeadConfig cfg;
    Calibration c;
    TRY(lead_general_config(&cfg, NULL, path, w->scratch));
    TRY(plan_windows(w, &cfg, plan));
    const int64_t end = plan->split.train.end;
    return lead_general_load(r, path, plan->task.series, (TrafficRange){lead_general_first(end), end}, plan->split.val,
                             0, &w->dev, w->perm, w->step, w->scratch, &c);
}

static Status measure(const Few *w, LeadRun *r, const EvalPlan *of, const char *name)
{
    const EvalPlan plan = *of;
    EvalTable t = eval_table_new(w->perm, &plan.task, 1);
    Timed timed = {.run = r, .ms = arena_alloc(w->perm, (size_t)plan.task.n_windows * sizeof *timed.ms)};
    Forecaster f = lead_forecaster(r, 1);
    f.run = forecast, f.ctx = &timed;
    TRY(evaluate(&t, w->perm, &plan.task, &f));
    eval_compare(&t, w->perm);
    const EvalRow *scaled = eval_table_find(&t, f.name, "scaled", 0), *total = eval_table_find(&t, f.name, "total", 0);
    sort_f32(timed.ms + 1, timed.n - 1);
    printf("%s\t%s\t%d\t%d\t%d\t%.6g\t%.2f\t%.6g\t%.6g\t%.6g\t%.4f\t%d\t%.1f\n", name,
           config_choice(&r->cfg, "sampler"), r->cfg.sample_steps, r->cfg.samples, timed.n, scaled->r.crps,
           100 * scaled->beside.cover90_live, scaled->r.energy, scaled->r.rmse, total->r.crps, timed.lag1 / timed.n,
           omp_get_max_threads(), (double)timed.ms[timed.n / 2]);
    fflush(stdout);
    return OK;
}

static Status one(const Few *w, char *word)
{
    const size_t perm = arena_mark(w->perm), step = arena_mark(w->step);
    LeadRun r;
    EvalPlan plan;
    const char *name = arena_printf(w->perm, "%s", word);
    char *sampler = strchr(word, '@'), *calls = sampler ? strchr(sampler + 1, '@') : NULL;
    if (sampler) *sampler++ = 0;
    if (calls) *calls++ = 0;
    TRY(open_run(w, &r, word, &plan));
    if (sampler) TRY(config_set(&r.cfg, "sampler", sampler));
    if (calls) TRY(config_set(&r.cfg, "sample_steps", calls));
    r.cfg.samples = w->samples;
    TRY(measure(w, &r, &plan, name));
    tape_reset(&r.tape);
    arena_rewind(w->perm, perm);
    arena_rewind(w->step, step);
    return OK;
}

static Status run(Few *w, int n, char **word)
{
    const bool shift = n > 3 && strncmp(word[3], "shift=", 6) == 0;
    const TrafficReadOptions read = {.calendar_shift_s = shift ? atoll(word[3] + 6) : 0};
    TRY(traffic_series_read(&w->s, w->perm, word[0], &read));
    traffic_suspects_mark(&w->s, w->perm);
    w->stride = atoi(word[1]), w->samples = atoi(word[2]);
    if (w->stride < 1 || w->samples < 2) return USAGE_ERROR("want a stride >= 1 and samples >= 2");
    printf("run\tsampler\tcalls\tsamples\twindows\tcrps\tcover90\tenergy\trmse\ttotal\tlag1\tthreads\tms\n");
    for (int i = 3 + shift; i < n; i++) TRY(one(w, word[i]));
    return OK;
}

int main(int argc, char **argv)
{
    Few w = {.dev = device_cpu_f32(isa_detect()), .perm = arena_new("perm", (size_t)1 << 36, NULL),
             .step = arena_new("step", (size_t)1 << 36, NULL), .scratch = arena_new("scratch", (size_t)1 << 34, NULL)};
    if (argc < 5) {
        fprintf(stderr, "usage: few_calls DATA.npy STRIDE SAMPLES [shift=SECONDS] RUN[@SAMPLER@CALLS] ..\n");
        return 2;
    }
    const Status s = run(&w, argc - 1, argv + 1);
    if (s.code) fprintf(stderr, "few_calls: %s\n", s.msg);
    return s.code;
}
