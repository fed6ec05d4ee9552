// Time of a forecast, from a row of the data to 32 samples of 20 steps and the point forecast in kbit/s, by the number
// of network calls that draw a sample.
//   build/bench/draws [ROUNDS] [PRESET ..]      [9 small paper]; OMP_NUM_THREADS threads
// Synthetic traffic of 12 nodes; weights as they are drawn, since the time does not depend on them.  The forecasts of a
// round follow each other, so load falls on all alike.  Columns: least and median wall time, and least processor time
// of all threads, ms; x10: processor time over that of 10 calls.
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/session.h"
#include "lead/forecast.h"
#include "tensor/clock.h"
#include "tensor/sort.h"

enum { SAMPLES = 32, MOST_ROUNDS = 1000, KINDS = 4 };
static const struct { SamplerKind sampler; int calls; } kinds[KINDS] = {
    {SAMPLER_DPMPP2M, 10}, {SAMPLER_DDIM, 4}, {SAMPLER_DDIM, 2}, {SAMPLER_DDIM, 1}};

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// A run that forecasts with the session's weights.
static LeadRun run_of(Session *s)
{
    LeadRun r = {.cfg = s->cfg, .stats = s->stats, .model = s->model, .ps = s->ps, .tape = s->tape, .perm = s->perm,
                 .data = s->data, .series = &s->series, .file = "untrained"};
    r.tape.record = r.tape.training = false;
    r.cfg.samples = SAMPLES;
    return r;
}

static Status measure(Session *s, const char *preset, int rounds)
{
    static float wall[KINDS][MOST_ROUNDS], cpu[KINDS][MOST_ROUNDS];
    LeadRun r = run_of(s);
    const size_t each = (size_t)r.cfg.horizon * (size_t)r.stats.F;
    float *out = arena_alloc(s->perm, (SAMPLES + 1) * each * sizeof *out), *point = out + SAMPLES * each;
    for (int i = -1; i < rounds; i++)   // the first round warms up
        for (int k = 0; k < KINDS; k++) {
            const int64_t t = s->window[(i + 1) % s->n_windows] + s->cfg.history - 1;
            r.cfg.sampler = kinds[k].sampler, r.cfg.sample_steps = kinds[k].calls;
            const double t0 = clock_seconds(), c0 = processor_seconds();
            TRY(lead_forecast(&r, &t, 1, out, point));
            if (i < 0) continue;
            wall[k][i] = (float)(1e3 * (clock_seconds() - t0));
            cpu[k][i] = (float)(1e3 * (processor_seconds() - c0));
        }
    for (int k = 0; k < KINDS; k++) sort_f32(wall[k], rounds), sort_f32(cpu[k], rounds);
    for (int k = 0; k < KINDS; k++)
        printf("%s\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.2f\n", preset, kinds[k].calls, omp_get_max_threads(),
               (double)wall[k][0], (double)wall[k][rounds / 2], (double)cpu[k][0], (double)(cpu[k][0] / cpu[0][0]));
    fflush(stdout);
    return OK;
}

static Status one(const char *preset, int rounds)
{
    static Session s;
    LeadConfig cfg;
    TRY(config_preset(&cfg, preset));
    TRY(session_open(&s, &cfg, &(SessionData){.synth_nodes = 12, .inference = true}, device_cpu_f32(isa_detect())));
    TRY(measure(&s, preset, rounds));
    session_close(&s);
    return OK;
}

int main(int argc, char **argv)
{
    static const char *const presets[] = {"small", "paper"};
    const int rounds = argc > 1 ? atoi(argv[1]) : 9, n = argc > 2 ? argc - 2 : 2;
    Status s = rounds >= 1 && rounds <= MOST_ROUNDS ? OK : USAGE_ERROR("want 1 .. %d rounds", MOST_ROUNDS);
    printf("preset\tcalls\tthreads\tms_least\tms_median\tcpu_ms_least\tx10\n");
    for (int i = 0; i < n && !s.code; i++) s = one(argc > 2 ? argv[2 + i] : presets[i], rounds);
    if (s.code) fprintf(stderr, "draws: %s\n", s.msg);
    return s.code;
}
