#include "traffic/synth.h"

#include <math.h>
#include <stdlib.h>

#include "tensor/philox.h"

// Streams of random numbers: the `step` of the Philox subsequence.
enum { STREAM_LEVEL, STREAM_AFFINITY, STREAM_PHASE, STREAM_FLOW_PHASE, STREAM_BURST, STREAM_BURST_SIZE, STREAM_OUTAGE,
       STREAM_GLOBAL = 16, STREAM_NODE = 32, STREAM_FLOW = 48, STREAM_SHIFT = 64, STREAM_SHIFT_SIZE, STREAM_SILENT,
       STREAM_VARIETY };

enum { MEMORIES = 4 };
static const double memory_s[MEMORIES] = {20 * 86400.0, 5 * 3600.0, 2400.0, 0};
// Standard deviations of the logarithm, by memory.
static const double global_std[MEMORIES] = {0.26, 0.19, 0.11, 0.05};
static const double node_std[MEMORIES] = {0.10, 0.12, 0.06, 0};
static const double flow_std[MEMORIES] = {0.52, 0.26, 0.20, 0.09};

static const double DAY_WAVE = 0.20, FLOW_WAVE = 0.42, WEEKEND_LOG = -0.2876820724517809;   // log(3/4)
static const double DIAGONAL_SHARE = 0.186, PEAK_HOUR = 19;
static const double BURST_EVERY_S = 28 * 86400.0, BURST_MEAN_S = 7200, BURST_LEAST = 2, BURST_POWER = 1 / 1.2;
static const double OUTAGE_EVERY_S = 90 * 86400.0, SHIFT_EVERY_S = 90 * 86400.0, SHIFT_STD = 0.5;

// e^v from sums and products alone (argument reduction by ln 2 in two parts, Taylor to 13 terms): the same bits
// everywhere, which libm does not promise.
static double plain_exp(double v)
{
    double k = floor(v * 1.4426950408889634 + 0.5), r = (v - k * 0.693145751953125) - k * 1.42860682030941723e-6, e = 1;
    for (int i = 13; i >= 1; i--) e = 1 + e * r / i;
    return ldexp(e, (int)k);
}

static double uniform(uint64_t seed, uint32_t stream, int64_t offset)
{
    return (double)philox_unit(philox_u32(seed, philox_subsequence(SITE_SYNTH, stream), (uint64_t)offset));
}

static double normal(uint64_t seed, uint32_t stream, int64_t offset)
{
    return (double)philox_normal(seed, philox_subsequence(SITE_SYNTH, stream), (uint64_t)offset);
}

// n normals at offsets from, from+1, ...; from is a multiple of 4.
static void normals(uint64_t seed, uint32_t stream, int64_t from, int n, float *out)
{
    for (int i = 0; i < n; i += 4) {
        Philox4 q = philox_quad(seed, philox_subsequence(SITE_SYNTH, stream), (uint64_t)(from + i) / 4);
        float z[4];
        philox_normal2(q.v[0], q.v[1], &z[0], &z[1]);
        philox_normal2(q.v[2], q.v[3], &z[2], &z[3]);
        for (int j = 0; j < 4 && i + j < n; j++) out[i + j] = z[j];
    }
}

// ---- levels --------------------------------------------------------------------------------------------------------

typedef struct Rank { double score; int flow; } Rank;

static int compare_rank(const void *p, const void *q)
{
    const Rank *a = p, *b = q;
    if (a->score < b->score || a->score > b->score) return a->score < b->score ? -1 : 1;
    return a->flow - b->flow;
}

// Level of the flow at share p of the ranks, relative to the median flow: Abilene's curve, straight in log p/(1-p) near
// the middle and flatter towards both ends.
static double level_curve(double p)
{
    double l = (double)philox_log((float)p) - (double)philox_log((float)(1 - p));
    return plain_exp(l > 0 ? 0.72 * l / (1 + 0.1 * l) : 2 * l / (1 - 0.08 * l));
}

// Ranks the flows of one kind (diagonal or not) and writes their levels, with the given sum.
static void assign_levels(Arena *a, const SynthOptions *o, bool diagonal, double sum, double *level)
{
    const int N = o->N;
    int n = 0;
    double total = 0;
    Rank *r = arena_alloc(a, (size_t)N * (size_t)N * sizeof *r);
    for (int f = 0; f < N * N; f++) {
        int i = f / N, j = f % N;
        if ((i == j) != diagonal) continue;
        r[n++] = (Rank){normal(o->seed, STREAM_LEVEL, i) + normal(o->seed, STREAM_LEVEL, N + j) +
                        0.7 * normal(o->seed, STREAM_AFFINITY, f), f};
    }
    qsort(r, (size_t)n, sizeof *r, compare_rank);
    for (int i = 0; i < n; i++) total += level[r[i].flow] = level_curve((i + 0.5) / n);
    for (int i = 0; i < n; i++) level[r[i].flow] *= sum / total;
}

// ---- noise ---------------------------------------------------------------------------------------------------------

// A bank of AR(1) processes of unit variance: n of each memory.
typedef struct Bank {
    int n;
    uint32_t stream;
    float *state, *fresh;     // [MEMORIES][n], [n]
} Bank;

static Bank bank_new(Arena *a, int n, uint32_t stream)
{
    return (Bank){n, stream, arena_zalloc(a, (size_t)(MEMORIES * n) * sizeof(float)),
                  arena_alloc(a, (size_t)n * sizeof(float))};
}

// One step; out[i] = sum over memories of std * state.
static void bank_step(Bank *b, const SynthOptions *o, int64_t t, const double std[MEMORIES], double *out)
{
    int64_t row = (int64_t)(b->n + 3) / 4 * 4;
    for (int i = 0; i < b->n; i++) out[i] = 0;
    for (int m = 0; m < MEMORIES; m++) {
        double memory = memory_s[m] * o->traits.memory, scale = o->traits.noise * (m >= 2 ? o->traits.fast : 1);
        double keep = t && memory > 0 ? plain_exp(-o->slot_seconds / memory) : 0, add = sqrt(1 - keep * keep);
        if (!(std[m] > 0)) continue;
        normals(o->seed, b->stream + (uint32_t)m, t * row, b->n, b->fresh);
        for (int i = 0; i < b->n; i++) {
            float *s = &b->state[m * b->n + i];
            *s = (float)(keep * (double)*s + add * (double)b->fresh[i]);
            out[i] += scale * std[m] * (double)*s;
        }
    }
}

static double variance(const SynthTraits *traits, const double std[MEMORIES])
{
    double v = 0;
    for (int m = 0; m < MEMORIES; m++) {
        const double scaled = traits->noise * (m >= 2 ? traits->fast : 1) * std[m];
        v += scaled * scaled;
    }
    return v;
}

// cos(2 pi v)
static double turn_cos(double v)
{
    float s, c;
    philox_sincos((uint32_t)((v - floor(v)) * 16777216.0) & 0xFFFFFF, &s, &c);
    return (double)c;
}

// ---- the generator -------------------------------------------------------------------------------------------------

typedef struct Synth {
    const SynthOptions *o;
    double *level;                    // [F] kbit/s
    double *phase, *flow_phase;       // [N], [F] share of a day
    double *burst;                    // [F] kbit/s now
    double *shift;                    // [F] factor of the level now; 0: a silent flow
    int *out_for;                     // [N] slots left of an outage
    double burst_cap;                 // kbit/s
} Synth;

static void step_events(Synth *y, int64_t t)
{
    const SynthOptions *o = y->o;
    const int N = o->N, F = N * N;
    for (int f = 0; f < F; f++) {
        double u = uniform(o->seed, STREAM_BURST, t * F + f);
        if (y->burst[f] > 0 && u > 1 - o->slot_seconds / BURST_MEAN_S) y->burst[f] = 0;
        else if (!(y->burst[f] > 0) && u < o->traits.bursts * o->slot_seconds / BURST_EVERY_S) {
            double p = uniform(o->seed, STREAM_BURST_SIZE, t * F + f), power = BURST_POWER * o->traits.tail;
            double height = BURST_LEAST * plain_exp(-power * (double)philox_log((float)p)) * y->level[f];
            y->burst[f] = height < y->burst_cap ? height : y->burst_cap;
        }
        if (o->traits.shifts > 0 &&
            uniform(o->seed, STREAM_SHIFT, t * F + f) < o->traits.shifts * o->slot_seconds / SHIFT_EVERY_S)
            y->shift[f] = y->shift[f] > 0 ? plain_exp(SHIFT_STD * normal(o->seed, STREAM_SHIFT_SIZE, t * F + f)) : 0;
    }
    for (int i = 0; i < N; i++) {
        if (!(o->traits.outages > 0)) continue;
        double u = uniform(o->seed, STREAM_OUTAGE, t * N + i) * OUTAGE_EVERY_S / o->slot_seconds / o->traits.outages;
        if (y->out_for[i] > 0) y->out_for[i]--;
        else if (u < 1) y->out_for[i] = 10 + (int)(u * 16);
    }
}

static void fill_row(const Synth *y, const TrafficSeries *s, int64_t t, double common, const double *node,
                     const double *flow, float *x)
{
    const int N = s->N;
    int of_day, weekday;
    traffic_calendar(s, t, 0, &of_day, &weekday);
    double day = (double)of_day * s->slot_seconds / 86400, silent = 1e-5 * y->o->mean_flow_kbps;
    const SynthTraits *traits = &y->o->traits;
    if (weekday >= 5) common += traits->weekend * WEEKEND_LOG;
    for (int i = 0; i < N; i++) {
        double of_origin = common + node[i] + traits->wave * DAY_WAVE * turn_cos(day - y->phase[i]);
        for (int j = 0; j < N; j++) {
            int f = i * N + j;
            double wave = traits->wave * FLOW_WAVE * turn_cos(day - y->flow_phase[f]);
            double v = y->shift[f] * y->level[f] * plain_exp(of_origin + wave + flow[f]) + y->burst[f];
            x[f] = v > silent && !y->out_for[i] && !y->out_for[j] ? (float)v : 0;
        }
    }
}

SynthOptions synth_defaults(void)
{
    return (SynthOptions){.N = 12, .T = 8 * 2016, .slot_seconds = 300, .seed = 1, .start_s = 1704067200,
                          .mean_flow_kbps = 21500,
                          .traits = {.wave = 1, .weekend = 1, .noise = 1, .fast = 1, .memory = 1, .bursts = 1,
                                     .tail = 1, .outages = 1}};
}

// Draw number `at` of the variety, evenly between the logarithms of least and most.
static double between(uint64_t seed, int at, double least, double most)
{
    const double from = (double)philox_log((float)least), to = (double)philox_log((float)most);
    return plain_exp(from + (to - from) * uniform(seed, STREAM_VARIETY, at));
}

SynthOptions synth_variety(uint64_t seed)
{
    static const int slots[] = {60, 300, 300, 300, 600, 900, 900, 3600};
    SynthOptions o = synth_defaults();
    o.seed = seed;
    o.N = uniform(seed, STREAM_VARIETY, 0) < 0.125 ? (uniform(seed, STREAM_VARIETY, 1) < 0.5 ? 32 : 48)
                                                   : (int)between(seed, 1, 4, 25);
    o.slot_seconds = slots[(int)(8 * uniform(seed, STREAM_VARIETY, 2))];
    const int64_t most = 1200000 / ((int64_t)o.N * o.N), least = 3 * 86400 / o.slot_seconds;
    o.T = (int64_t)between(seed, 3, 3, 70) * 86400 / o.slot_seconds;
    o.T = o.T > most ? most : o.T;
    o.T = o.T < least && least <= most ? least : o.T;
    o.start_s += (int64_t)(7 * 86400 * uniform(seed, STREAM_VARIETY, 4)) / o.slot_seconds * o.slot_seconds;
    o.mean_flow_kbps = between(seed, 5, 1, 1e6);
    o.traits = (SynthTraits){
        .wave = between(seed, 6, 0.1, 3), .weekend = between(seed, 7, 0.1, 2), .noise = between(seed, 8, 0.4, 1.6),
        .fast = between(seed, 9, 0.5, 3), .memory = between(seed, 10, 0.3, 3), .bursts = between(seed, 11, 0.1, 30),
        .tail = between(seed, 12, 0.6, 1.3), .outages = between(seed, 13, 0.1, 10),
        .shifts = uniform(seed, STREAM_VARIETY, 14) < 0.5 ? 0 : between(seed, 15, 0.2, 5),
        .silent = uniform(seed, STREAM_VARIETY, 16) < 0.5 ? 0 : 0.4 * uniform(seed, STREAM_VARIETY, 17)};
    return o;
}

static Status check_options(const SynthOptions *o)
{
    if (o->N < 2 || o->N > 4096) return USAGE_ERROR("synth: want 2 .. 4096 nodes, got %d", o->N);
    if (o->T < 2 || o->T > ((int64_t)1 << 36) / ((int64_t)o->N * o->N))
        return USAGE_ERROR("synth: want 2 snapshots and at most 2^36 values, got %lld snapshots of %d x %d",
                           (long long)o->T, o->N, o->N);
    if (o->slot_seconds < 1 || o->slot_seconds > 86400 || 86400 % o->slot_seconds)
        return USAGE_ERROR("synth: want a slot that divides a day (86400 s), got %d s", o->slot_seconds);
    if (!(o->mean_flow_kbps > 0 && o->mean_flow_kbps < 1e15))
        return USAGE_ERROR("synth: want a mean flow above 0 kbit/s, got %g", o->mean_flow_kbps);
    const SynthTraits *k = &o->traits;
    const double trait[] = {k->wave, k->weekend, k->noise, k->fast, k->bursts, k->outages, k->shifts, k->silent};
    for (size_t i = 0; i < sizeof trait / sizeof *trait; i++)
        if (!(trait[i] >= 0 && trait[i] <= 1000))
            return USAGE_ERROR("synth: want traits in 0 .. 1000, got %g", trait[i]);
    if (!(k->tail > 0 && k->tail <= 2 && k->memory > 0 && k->memory <= 1000))
        return USAGE_ERROR("synth: want a tail in 0 .. 2 and a memory in 0 .. 1000, both above 0, got %g and %g",
                           k->tail, k->memory);
    if (o->start_s < 0 || o->start_s > (int64_t)1 << 40)
        return USAGE_ERROR("synth: want a start in Unix seconds (0 .. 2^40), got %lld", (long long)o->start_s);
    return OK;
}

Status synth_generate(TrafficSeries *s, Arena *a, const SynthOptions *o)
{
    TRY(check_options(o));
    const int N = o->N, F = N * N;
    float *x = arena_alloc(a, (size_t)(o->T * F) * sizeof *x);
    int64_t *time = arena_alloc(a, (size_t)o->T * sizeof *time);
    for (int64_t t = 0; t < o->T; t++) time[t] = o->start_s + t * o->slot_seconds;
    for (int64_t k = 0; k < o->T * F; k++) x[k] = 0;   // init checks the values; they come below
    TrafficReadOptions read = {.slot_seconds = o->slot_seconds};
    TRY(traffic_series_init(s, a, "synthetic series", N, o->T, x, time, &read));
    size_t mark = arena_mark(a);
    double off = o->mean_flow_kbps * (F - N);
    Synth y = {.o = o,
               .level = arena_alloc(a, (size_t)F * sizeof(double)),
               .phase = arena_alloc(a, (size_t)N * sizeof(double)),
               .flow_phase = arena_alloc(a, (size_t)F * sizeof(double)),
               .burst = arena_zalloc(a, (size_t)F * sizeof(double)),
               .shift = arena_alloc(a, (size_t)F * sizeof(double)),
               .out_for = arena_zalloc(a, (size_t)N * sizeof(int)),
               .burst_cap = off};
    // exp of a normal has mean exp(variance/2): taken off, so that the levels are means
    const double waves = o->traits.wave * o->traits.wave * (DAY_WAVE * DAY_WAVE + FLOW_WAVE * FLOW_WAVE);
    double bias = (variance(&o->traits, global_std) + variance(&o->traits, node_std) +
                   variance(&o->traits, flow_std) + waves / 2) / 2;
    assign_levels(a, o, false, off * plain_exp(-bias), y.level);
    assign_levels(a, o, true, off * plain_exp(-bias) * DIAGONAL_SHARE / (1 - DIAGONAL_SHARE), y.level);
    for (int i = 0; i < N; i++) y.phase[i] = (PEAK_HOUR + 2 * uniform(o->seed, STREAM_PHASE, i) - 1) / 24;
    for (int f = 0; f < F; f++) y.flow_phase[f] = uniform(o->seed, STREAM_FLOW_PHASE, f);
    for (int f = 0; f < F; f++) y.shift[f] = uniform(o->seed, STREAM_SILENT, f) < o->traits.silent ? 0 : 1;
    Bank global = bank_new(a, 1, STREAM_GLOBAL), nodes = bank_new(a, N, STREAM_NODE),
         flows = bank_new(a, F, STREAM_FLOW);
    double common, *node = arena_alloc(a, (size_t)N * sizeof *node), *flow = arena_alloc(a, (size_t)F * sizeof *flow);
    for (int64_t t = 0; t < o->T; t++) {
        bank_step(&global, o, t, global_std, &common);
        bank_step(&nodes, o, t, node_std, node);
        bank_step(&flows, o, t, flow_std, flow);
        step_events(&y, t);
        fill_row(&y, s, t, common, node, flow, x + t * F);
    }
    arena_rewind(a, mark);
    return OK;
}
