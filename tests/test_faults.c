// Faults of measurement: each kind is named where a test put it; clean series, a nightly backup among them, have none.
#include "traffic/faults.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tensor/philox.h"
#include "traffic_world.h"

enum { N = 5, F = N * N, D = 96, DAYS = 14, T = DAYS * D, SLOT = 900, START = 1704067200 };   // Monday 2024-01-01

// Traffic with a day, a weekend and noise of 10 %; flow f is of size f + 1; backup: flow 1:2 carries 30 times its
// traffic each night, so that all matrices of that hour have six times their total.
static TrafficSeries made(Arena *a, bool backup)
{
    float *x = arena_alloc(a, T * F * sizeof *x);
    int64_t *time = arena_alloc(a, T * sizeof *time);
    for (int64_t t = 0; t < T; t++) {
        const double hour = (double)(t % D) / D, weekend = t / D % 7 >= 5 ? 0.7 : 1;
        double total = 0;
        time[t] = START + t * SLOT;
        for (int f = 0; f < F; f++) {
            double noise = -6;
            for (int i = 0; i < 12; i++)
                noise += (double)philox_u32(5, (uint64_t)i, (uint64_t)(t * F + f)) / 4294967296.0;
            const double v = 1000 * (f + 1) * weekend * (1 + 0.6 * sin(6.2831853 * hour)) * exp(0.1 * noise);
            x[t * F + f] = (float)v;
            total += v;
        }
        if (backup && t % D >= 8 && t % D < 12) x[t * F + 7] += (float)(5 * total);
    }
    TrafficSeries s;
    const Status st = traffic_series_init(&s, a, "made", N, T, x, time, NULL);
    CHECK(!st.code, "%s", st.msg);
    return s;
}

static void multiply(TrafficSeries *s, int64_t begin, int64_t end, int flow, float by)
{
    for (int64_t t = begin; t < end; t++)
        for (int f = flow < 0 ? 0 : flow; f < (flow < 0 ? F : flow + 1); f++) s->x[t * F + f] *= by;
}

// The faults of s, all of which must be of that kind.
static int64_t find(TestLog *log, Arena *a, const TrafficSeries *s, FaultKind kind, TrafficFault **fault)
{
    const int64_t n = traffic_faults_find(s, a, fault);
    for (int64_t i = 0; i < n; i++)
        TEST(log, (*fault)[i].kind == kind, "want %s alone, got %s in rows %" PRId64 " .. %" PRId64 " of flow %d, x %g",
             fault_names[kind], fault_names[(*fault)[i].kind], (*fault)[i].rows.begin, (*fault)[i].rows.end,
             (*fault)[i].flow, (*fault)[i].factor);
    return n;
}

static void one(TestLog *log, Arena *a, const TrafficSeries *s, FaultKind kind, TrafficRange rows, int flows, int flow,
                double factor)
{
    TrafficFault *f;
    const int64_t n = find(log, a, s, kind, &f);
    if (!TEST(log, n == 1, "%s: found %" PRId64, fault_names[kind], n)) return;
    TEST(log, f->rows.begin == rows.begin && f->rows.end == rows.end, "%s: rows %" PRId64 " .. %" PRId64,
         fault_names[kind], f->rows.begin, f->rows.end);
    TEST(log, f->flows == flows && f->flow == flow, "%s: %d flows, the first %d", fault_names[kind], f->flows, f->flow);
    TEST(log, factor == 0 || (f->factor > 0.7 * factor && f->factor < 1.4 * factor), "%s: x %g, want %g",
         fault_names[kind], f->factor, factor);
}

static void clean(TestLog *log, Arena *a)
{
    for (int backup = 0; backup < 2; backup++) {
        const TrafficSeries s = made(a, backup);
        TrafficFault *f;
        TrafficSuspect *u;
        TEST(log, find(log, a, &s, FAULT_REPEATED, &f) == 0, "faults of a clean series, backup %d", backup);
        const int64_t n = traffic_suspects_find(&s, a, &u);
        TEST(log, n == 0, "%" PRId64 " suspicious rows of a clean series, backup %d", n, backup);
    }
    for (uint64_t seed = 1; seed <= 4; seed++) {
        SynthOptions o = synth_defaults();
        o.N = 4, o.T = 21 * 96, o.slot_seconds = 900, o.seed = seed;
        o.traits.bursts = o.traits.outages = 0;      // which are what is looked for
        TrafficSeries s;
        const Status st = synth_generate(&s, a, &o);
        TrafficFault *f;
        const int64_t n = st.code ? -1 : traffic_faults_find(&s, a, &f);
        TEST(log, n == 0, "seed %d: %" PRId64 " faults, the first %s of flow %d in row %" PRId64 ", x %g", (int)seed, n,
             n > 0 ? fault_names[f->kind] : "", n > 0 ? f->flow : 0, n > 0 ? f->rows.begin : 0, n > 0 ? f->factor : 0);
    }
    TrafficSeries busy = made(a, true);      // a row with six times the load at another hour is still suspicious
    TrafficSuspect *u;
    multiply(&busy, 5 * D + 50, 5 * D + 51, -1, 8);
    TEST(log, traffic_suspects_find(&busy, a, &u) == 1 && u->row == 5 * D + 50 && u->high,
         "a corrupt row beside backups");
}

static void flows(TestLog *log, Arena *a)
{
    TrafficSeries s = made(a, false);
    multiply(&s, 700, 701, 7, 4e6f);                                            // a counter wrapped
    one(log, a, &s, FAULT_SPIKE, (TrafficRange){700, 701}, 1, 7, 4e6);
    s = made(a, false);
    s.x[700 * F + 7] = 0;                                                       // .. or began anew
    one(log, a, &s, FAULT_DROP, (TrafficRange){700, 701}, 1, 7, 0);
    s = made(a, false);
    multiply(&s, 250, 280, 8, 30);                                              // for some hours
    one(log, a, &s, FAULT_SPIKE, (TrafficRange){250, 280}, 1, 8, 30);
    s = made(a, false);
    multiply(&s, 600, 600 + D, 8, 30);                                          // for a day
    one(log, a, &s, FAULT_LEVEL, (TrafficRange){600, 600 + D}, 1, 8, 30);
    s = made(a, false);
    for (int j = 0; j < N; j++) multiply(&s, 800, 801, 3 * N + j, 1000);        // a router's counters
    one(log, a, &s, FAULT_SPIKE, (TrafficRange){800, 801}, N, 3 * N, 1000);
    TrafficFault *f;
    TEST(log, traffic_faults_find(&s, a, &f) == 1 && f->node == 3, "the router is not named");
}

static void collectors(TestLog *log, Arena *a)
{
    TrafficSeries s = made(a, false);
    for (int64_t t = 501; t < 520; t++) s.x[t * F + 9] = s.x[500 * F + 9];
    one(log, a, &s, FAULT_STUCK, (TrafficRange){500, 520}, 1, 9, 0);
    s = made(a, false);
    for (int64_t t = 501; t < 508; t++) memcpy(s.x + t * F, s.x + 500 * F, F * sizeof *s.x);
    one(log, a, &s, FAULT_STUCK, (TrafficRange){500, 508}, F, 0, 0);
    s = made(a, false);
    for (int64_t t = 0; t < T; t++) s.x[t * F + 9] = (float)(int)(s.x[t * F + 9] / 5000) * 5000;   // coarse counters
    TrafficFault *f;
    TEST(log, find(log, a, &s, FAULT_STUCK, &f) == 0, "coarse values are stuck");
    s = made(a, false);
    for (int64_t t = 0; t < T; t++) s.x[t * F + 9] = 77;                        // a flow that never changes
    TEST(log, find(log, a, &s, FAULT_STUCK, &f) == 0, "a constant flow is stuck");
    s = made(a, false);
    memcpy(s.x + 9 * D * F, s.x + 6 * D * F, (size_t)D * F * sizeof *s.x);      // a day read twice
    one(log, a, &s, FAULT_REPEATED, (TrafficRange){9 * D, 10 * D}, 0, -1, 0);
    TEST(log, traffic_faults_find(&s, a, &f) == 1 && f->from == 6 * D, "repeated from another row");
}

static void nodes(TestLog *log, Arena *a)
{
    for (int missing = 0; missing < 2; missing++) {
        TrafficSeries s = made(a, false);
        for (int64_t t = 400; t < 450; t++)
            for (int i = 0; i < N; i++) s.x[t * F + 2 * N + i] = s.x[t * F + i * N + 2] = missing ? NAN : 0;
        if (missing) {
            TrafficTable in = {.format = "test", .N = N, .T = T, .x = s.x, .time = s.time};
            const Status st = traffic_series_from_table(&s, a, "made", &in, NULL);
            TEST(log, !st.code, "%s", st.msg);
        }
        TrafficFault *f;
        const int64_t n = find(log, a, &s, FAULT_DARK, &f);
        TEST(log, n == 1 && f->node == 2 && f->rows.begin == 400 && f->rows.end == 450, "dark, missing %d: %" PRId64
             " found", missing, n);
    }
}

static void units(TestLog *log, Arena *a)
{
    static const float factor[] = {8, 0.125f, 1000, 300, 1 / 300.0f};
    for (int i = 0; i < 5; i++)
        for (int back = 0; back < 2; back++) {
            TrafficSeries s = made(a, i % 2);
            const int64_t end = back ? 9 * D + 30 : T;
            multiply(&s, 6 * D + 17, end, -1, factor[i]);
            one(log, a, &s, FAULT_UNIT, (TrafficRange){6 * D + 17, end}, F, 0, (double)factor[i]);
        }
}

static void words(TestLog *log, Arena *a)
{
    TrafficSeries s = made(a, false);
    multiply(&s, 6 * D, T, -1, 8);
    multiply(&s, 300, 301, 7, 4e6f);
    for (int64_t t = 100; t < 150; t++)
        for (int i = 0; i < N; i++) s.x[t * F + 2 * N + i] = s.x[t * F + i * N + 2] = 0;
    TrafficFault *f;
    const int64_t n = traffic_faults_find(&s, a, &f);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!TEST(log, out != NULL, "no memory")) return;
    traffic_faults_print(&s, f, n, 20, out);
    fclose(out);
    TEST(log, strstr(text, "flow 1:2: ") && strstr(text, "reset or wrapped?") &&
                  strstr(text, "node 2: missing or silent") && strstr(text, "(bits for bytes)?") &&
                  strstr(text, "     300 -      300"), "%s", text);
    free(text);
}

void test_faults(TestLog *log)
{
    Arena *a = arena_new("test_faults", (size_t)16 << 30, NULL);
    clean(log, a);
    flows(log, a);
    collectors(log, a);
    nodes(log, a);
    units(log, a);
    words(log, a);
    arena_delete(a);
}
