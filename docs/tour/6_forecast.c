// Chapter 6: forecasting with the library: traffic, a trained run, samples of the future, their quantiles.
//   6_forecast [DIR]     the run directory becomes DIR/6_run (default: here).  Run it at the root of the repository.
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "lead/forecast.h"
#include "lead/train.h"
#include "nn/run_directory.h"
#include "traffic/synth.h"

typedef struct User { Device dev; Arena *perm, *step, *scratch; } User;

// Makes a run directory: a small configuration, two hundred steps.
static Status train(const User *u, const TrafficSeries *s, const char *dir)
{
    LeadConfig cfg;
    TRY(config_preset(&cfg, "tiny"));
    TRY(config_set(&cfg, "horizon", "3"));
    TRY(config_set(&cfg, "steps", "200"));
    const TrafficSplits split = traffic_splits(s->T, PROTOCOL_CLEAN);
    const TrainOptions o = {.out = dir, .train = split.train, .val = split.val};
    TRY(run_directory_remove(dir, u->scratch));   // lead_train overwrites no run
    return lead_train(&cfg, s, &o, &u->dev, u->perm, u->step, u->scratch);
}

// Mean and quantiles of one flow at each step, beside what came.
static void print_flow(const LeadRun *r, const float *samples, int64_t t, int from, int to)
{
    const int S = r->cfg.samples, K = r->cfg.horizon, F = r->stats.F, f = from * r->stats.N + to;
    const int type = metric_quantile_type(lead_dist(r));
    float *z = arena_alloc(r->perm, (size_t)S * sizeof *z);
    printf("node %d to node %d, now %.4g Mbit/s\n", from, to, r->series->x[t * F + f] / 1000);
    printf("step     mean      10%%      50%%      90%%     came\n");
    for (int k = 0; k < K; k++) {
        for (int i = 0; i < S; i++) z[i] = samples[(i * K + k) * F + f] / 1000;
        printf("%4d %#8.4g", k + 1, forecast_mean(z, S));
        forecast_sort(z, S);
        for (int q = 1; q <= 9; q += 4) printf(" %#8.4g", metric_quantile(z, S, q / 10.0, type));
        printf(" %#8.4g\n", r->series->x[(t + k + 1) * F + f] / 1000);
    }
}

static Status forecast(User *u, const char *dir)
{
    SynthOptions o = synth_defaults();
    o.N = 5, o.slot_seconds = 900, o.T = 28 * 96;   // four weeks of quarters of an hour
    TrafficSeries s;
    TRY(synth_generate(&s, u->perm, &o));   // a file: TRY(traffic_series_read(&s, u->perm, "traffic.npy", NULL));
    TRY(train(u, &s, dir));

    LeadRun r;
    TRY(lead_run_load(&r, dir, LEAD_BEST, NULL, &u->dev, u->perm, u->step, u->scratch));
    TRY(lead_run_attach(&r, &s));
    r.cfg.samples = 100;   // sampling may be changed after training
    const int64_t t = s.T - 1 - r.cfg.horizon;
    float *samples = arena_alloc(u->perm, (size_t)(r.cfg.samples * r.cfg.horizon * r.stats.F) * sizeof *samples);
    TRY(lead_forecast(&r, &t, 1, samples, NULL));
    printf("%lld steps of training; %d samples of %d matrices\n", (long long)r.step, r.cfg.samples, r.cfg.horizon);
    print_flow(&r, samples, t, 4, 3);

    const Status early = lead_forecast(&r, &(int64_t){1}, 1, samples, NULL);
    printf("error %d: %s\n", early.code, early.msg);
    return OK;
}

int main(int argc, char **argv)
{
    omp_set_num_threads(1);   // the model is tiny: two threads would only wait for each other
    User u = {.perm = arena_new("perm", 1 << 30, NULL), .step = arena_new("step", 1 << 30, NULL),
              .scratch = arena_new("scratch", 1 << 30, NULL)};
    Isa isa = ISA_AVX512;   // the most; lowered to what this machine has
    Status s = getenv("LEAD_ISA") ? isa_parse(getenv("LEAD_ISA"), &isa) : OK;
    u.dev = device_cpu_f32(isa);
    if (!s.code) s = forecast(&u, arena_printf(u.perm, "%s/6_run", argc > 1 ? argv[1] : "."));
    if (s.code) fprintf(stderr, "%s\n", s.msg);
    return s.code;
}
