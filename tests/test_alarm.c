// Alarms (traffic/alarm.h): scores from their definition, limits that keep the wanted rate, and lead alarm on a matrix
// with a flow that is 30 times too large.
#include <stdio.h>

#include "io/npy.h"
#include "run_lead.h"
#include "tensor/philox.h"
#include "tensor/sort.h"
#include "traffic/alarm.h"
#include "traffic_world.h"

enum { N = 3, F = N * N, E = F + 2 * N + 1 };

static float uniform(uint64_t seed, uint64_t i)
{
    return philox_unit(philox_u32(seed, philox_subsequence(SITE_TEST, 5), i));
}

// The sum that value e stands for, in plain loops.
static double sum_of(const float *x, int e)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum += e < F ? (e == i * N + j ? (double)x[i * N + j] : 0)
                 : e < F + N ? (e - F == i ? (double)x[i * N + j] : 0)
                 : e < F + 2 * N ? (e - F - N == j ? (double)x[i * N + j] : 0) : (double)x[i * N + j];
    return sum;
}

static void check_scores(TestLog *log, Arena *a, Arena *scratch)
{
    enum { S = 19 };
    float paths[S * F], y[F], past[4 * F], floor[E];
    for (int i = 0; i < S * F; i++) paths[i] = 100 * uniform(1, (uint64_t)i);
    for (int i = 0; i < F; i++) y[i] = 150 * uniform(2, (uint64_t)i);
    for (int i = 0; i < 4 * F; i++) past[i] = 100 * uniform(3, (uint64_t)i);
    for (int s = 0; s < S; s++) paths[s * F] = 7;      // a flow that does not vary: its floor counts
    alarm_floors(floor, N, past, 4, scratch);
    AlarmRow row = {.value = arena_alloc(a, E * sizeof(AlarmValue))};
    alarm_score(&row, floor, N, y, paths, S, DIST_SAMPLES, scratch);
    double worst = 0, matrix = 0;
    for (int e = 0; e < E; e++) {
        float v[S];
        double below = 0, mean = 0, total = 0;
        for (int s = 0; s < S; s++) {
            v[s] = (float)sum_of(paths + s * F, e);
            below += v[s] < (float)sum_of(y, e);
        }
        for (int t = 0; t < 4; t++) mean += sum_of(past + t * F, e) / 4, total += sum_of(past + t * F, E - 1) / 4;
        sort_f32(v, S);
        const double q05 = (double)v[0], q50 = (double)v[9], q95 = (double)v[18],
                     at = sum_of(y, e);   // type 6, 19 values
        const double width = fmax(at > q50 ? q95 - q50 : q50 - q05, 0.01 * mean + 1e-6 * total);
        const double want = fabs(at - q50) / width;
        worst = fmax(worst, fabs((double)row.value[e].surprise - want) / (want + 1));
        worst = fmax(worst, fabs((double)row.value[e].pit - below / S));
        if (e < F) matrix += log1p(want * want) / F;
    }
    TEST(log, worst < 1e-4 && fabs(row.matrix - matrix) < 1e-4, "scores are %g off, the matrix' by %g", worst,
         row.matrix - matrix);
    TEST(log, row.value[0].surprise > 5, "the flow that never varies surprises by %g", (double)row.value[0].surprise);
}

static AlarmRow *make_rows(Arena *a, int64_t n, uint64_t seed)
{
    AlarmRow *row = arena_alloc(a, (size_t)n * sizeof *row);
    for (int64_t t = 0; t < n; t++) {
        row[t] = (AlarmRow){arena_zalloc(a, E * sizeof(AlarmValue)), -log((double)uniform(seed, (uint64_t)t * 32))};
        for (int e = 0; e < E; e++)                    // each value of a size of its own
            row[t].value[e].surprise = -(float)(e + 1) * logf(uniform(seed, (uint64_t)(t * 32 + e + 1)));
    }
    return row;
}

static void check_rate(TestLog *log, Arena *a)
{
    enum { ROWS = 3000 };
    const AlarmRow *past = make_rows(a, ROWS, 5), *new = make_rows(a, ROWS, 6);
    double before = 0;
    for (int i = 0; i < 2; i++) {
        const double rate = i ? 0.1 : 0.02;
        AlarmLimits l = {.N = N};
        const Status s = alarm_learn(&l, a, past, ROWS, rate);
        double share[2] = {0}, kinds[ALARM_KINDS] = {0};
        for (int64_t t = 0; t < ROWS; t++) {
            share[0] += alarm_raised(&l, &past[t]) / (double)ROWS;
            share[1] += alarm_raised(&l, &new[t]) / (double)ROWS;
            for (int k = 0; k < ALARM_KINDS; k++)
                kinds[k] += (alarm_largest(&l, &past[t], (AlarmKind)k) > l.limit[k]) / (double)ROWS;
        }
        TEST(log, !s.code && fabs(share[0] - l.reached) < 1e-12 && share[0] <= rate + 1e-9 && share[0] > 0.9 * rate,
             "wanted %g, reached %g on the rows learnt from", rate, share[0]);
        TEST(log, share[1] > 0.6 * rate && share[1] < 1.5 * rate, "wanted %g, %g of new rows", rate, share[1]);
        float one[ROWS];
        for (int64_t t = 0; t < ROWS; t++) one[t] = past[t].value[0].surprise;
        sort_f32(one, ROWS);
        TEST(log, fabs((double)l.usual[0] / metric_quantile(one, ROWS, 0.99, 6) - 1) < 1e-6, "usual: %g",
             (double)l.usual[0]);
        for (int k = 1; k < ALARM_KINDS; k++)
            TEST(log, fabs(kinds[k] - kinds[0]) < 1e-9, "%s: raised in %g of the rows, flows in %g", alarm_kinds[k],
                 kinds[k], kinds[0]);
        TEST(log, l.limit[0] < before || i == 0, "a higher rate has a higher limit");
        before = l.limit[0];
    }
    AlarmLimits l = {.N = N};
    TEST(log, alarm_learn(&l, a, past, 19, 0.1).code == 1, "limits from 19 rows");
}

static void check_command(TestLog *log, Arena *a)
{
    const char *dir = log->tmp;
    TrafficSeries s = make_series(a, 4, 15 * 48, 1800, 3);
    TEST(log, !traffic_series_write(&s, arena_printf(a, "%s/x.npy", dir), NULL).code, "cannot write");
    const char *with = arena_printf(a, "alarm --model ridge --keep-all --rate 0.02 --limits %s/limits.json", dir);
    Ran r = lead_run(log, a, "%s --data %s/x.npy", with, dir);
    TEST(log, (r.code == 0 && !*r.out) || (r.code == 3 && *r.out), "alarm: exit %d, %s%s", r.code, r.err, r.out);
    TEST(log, strstr(r.err, "limits learnt from 108 of the rows 504..611"), "what was learnt from: %s", r.err);
    const int64_t T = s.T;
    s.x[(T - 1) * 16 + 6] = 30 * s.x[(T - 1) * 16 + 6] + 1e6F;
    TEST(log, !traffic_series_write(&s, arena_printf(a, "%s/x.npy", dir), NULL).code, "cannot write");
    r = lead_run(log, a, "%s --data %s/x.npy", with, dir);
    TEST(log, r.code == 3 && strstr(r.out, "\"row\":719,\"kind\":\"flow\",\"origin\":1,\"destination\":2,\"kbps\":") &&
         strstr(r.out, "\"kind\":\"total\""), "a flow x 30: exit %d, %s%s", r.code, r.err, r.out);
    TEST(log, strstr(r.err, "limits.json: limits learnt from 108 rows"), "limits are not read: %s", r.err);
    TEST(log, !strstr(r.err, "lead: "), "an alarm is no error: %s", r.err);
    r = lead_run(log, a, "alarm --model persistence --data %s/x.npy --limits %s/limits.json", dir, dir);
    TEST(log, r.code == 1 && strstr(r.err, "those of ridge"), "another model's limits: %s", r.err);
    r = lead_run(log, a, "alarm --model persistence --keep-all --data %s/x.npy --faults", dir);
    TEST(log, r.code == 0 && strstr(r.out, "\nflow x 30\t") && strstr(r.out, "\nnone\t"), "--faults: %s%s", r.err,
         r.out);
    r = lead_run(log, a, "alarm --data %s/x.npy", dir);
    TEST(log, r.code == 2 && strstr(r.err, "--model"), "no model: %s", r.err);
}

void test_alarm(TestLog *log)
{
    Arena *a = arena_new("alarm", (size_t)1 << 32, NULL), *scratch = arena_new("scratch", (size_t)1 << 28, NULL);
    CHECK(a && scratch, "no address space");
    check_scores(log, a, scratch);
    check_rate(log, a);
    check_command(log, a);
    arena_delete(scratch);
    arena_delete(a);
}
