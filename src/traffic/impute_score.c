// Scores of filling on outages that are made; the contract is in impute.h.
#include <math.h>
#include <string.h>

#include "tensor/clock.h"
#include "tensor/philox.h"
#include "traffic/impute.h"
#include "traffic/metrics.h"

const char *const outage_names[OUTAGE_KINDS] = {"cells", "nodes", "blocks", "load"};

enum { OUTAGE_STEP = 0x0D };     // of Philox's site of synthetic data: what no other of them draws

static double draw(uint64_t seed, int what, int64_t k)
{
    const uint64_t subsequence = philox_subsequence(SITE_SYNTH, (uint32_t)OUTAGE_STEP << 16 | (uint32_t)what);
    return (double)philox_unit(philox_u32(seed, subsequence, (uint64_t)k));
}

static int64_t hide_one(float *x, int64_t k)
{
    if (isnan(x[k])) return 0;
    x[k] = NAN;
    return 1;
}

static int64_t hide_cells(float *x, const TrafficSeries *s, uint64_t seed)
{
    static const double SHARE = 0.02;
    int64_t n = 0;
    for (int64_t k = 0; k < s->T * s->N * s->N; k++)
        if (draw(seed, 2, k) < SHARE) n += hide_one(x, k);
    return n;
}

// Every two days one outage, begun anywhere in them, as long as drawn between `least` and `most` rows, evenly in its
// logarithm; node -1: of all.
static int64_t hide_spans(float *x, const TrafficSeries *s, uint64_t seed, int what, int64_t least, int64_t most,
                          bool all)
{
    const int64_t every = 2 * traffic_slots_per_day(s), N = s->N;
    int64_t n = 0;
    for (int64_t i = 0; i * every < s->T; i++) {
        const double ratio = (double)most / (double)least;
        const int64_t length = (int64_t)((double)least * pow(ratio, draw(seed, what, 3 * i))),
                      begin = i * every + (int64_t)(draw(seed, what, 3 * i + 1) * (double)every),
                      node = (int64_t)(draw(seed, what, 3 * i + 2) * (double)N);
        for (int64_t t = begin; t < begin + length && t < s->T; t++)
            for (int64_t f = 0; f < N * N; f++)
                if (all || f / N == node || f % N == node) n += hide_one(x, t * N * N + f);
    }
    return n;
}

static double flow_mean(const float *x, const TrafficSeries *s, int64_t f)
{
    double sum = 0, n = 0;
    for (int64_t t = 0; t < s->T; t++) {
        const double v = (double)x[t * s->N * s->N + f];
        if (isnan(v)) continue;
        sum += v;
        n++;
    }
    return sum > 0 ? sum / n : 1;
}

static int64_t hide_by_load(float *x, const TrafficSeries *s, uint64_t seed)
{
    enum { HOUR = 3600 };
    const int64_t F = (int64_t)s->N * s->N, rows = HOUR / s->slot_seconds > 1 ? HOUR / s->slot_seconds : 1;
    int64_t n = 0;
    for (int64_t f = 0; f < F; f++) {
        const double mean = flow_mean(x, s, f);
        for (int64_t begin = 0; begin < s->T; begin += rows) {
            const int64_t end = begin + rows < s->T ? begin + rows : s->T;
            double load = 0, count = 0;
            for (int64_t t = begin; t < end; t++) {
                if (isnan(x[t * F + f])) continue;
                load += (double)x[t * F + f];
                count++;
            }
            const double g = -4.5 + 2 * asinh(load / fmax(count, 1) / mean);
            if (draw(seed, 5, begin * F + f) >= 1 / (1 + exp(-g))) continue;
            for (int64_t t = begin; t < end; t++) n += hide_one(x, t * F + f);
        }
    }
    return n;
}

int64_t impute_hide(float *x, const TrafficSeries *s, OutageKind kind, uint64_t seed)
{
    const int64_t day = traffic_slots_per_day(s), hour = day / 24 > 1 ? day / 24 : 1;
    if (kind == OUTAGE_CELLS) return hide_cells(x, s, seed);
    if (kind == OUTAGE_NODES) return hide_spans(x, s, seed, 3, hour, day, false);
    if (kind == OUTAGE_BLOCKS) return hide_spans(x, s, seed, 4, 1, 6 * hour, true);
    return hide_by_load(x, s, seed);
}

// The sums of what was filled beside the truth, each flow divided by its largest value; and in kbit/s.
static void add_scores(MetricSums *scaled, MetricSums *kbps, const Imputation *m, const ImputeOptions *o,
                       const TrafficSeries *truth, const float *largest)
{
    const int64_t F = (int64_t)truth->N * truth->N;
    for (int64_t i = 0; i < m->n; i++) {
        const float y = truth->x[m->cell[i]], top = largest[m->cell[i] % F];
        if (isnan(y) || top <= 0) continue;
        const MetricTerms v = metric_terms(y, m->mean[i], m->quantile + i * o->levels, o->levels, DIST_LEVELS, 0);
        metric_sums_add(scaled, &v, 1 / (double)top, 0, DIST_LEVELS);
        metric_sums_add(kbps, &v, 1, 0, DIST_LEVELS);
    }
}

Status impute_score(ImputeScore *out, Arena *a, const TrafficSeries *s, const ImputeOptions *options, OutageKind kind,
                    uint64_t seed)
{
    const int64_t F = (int64_t)s->N * s->N;
    const size_t mark = arena_mark(a), bytes = (size_t)(s->T * F) * sizeof *s->x;
    ImputeOptions o = *options;
    o.levels = impute_defaults().levels;                     // those that scores want
    o.level = impute_defaults().level;
    TrafficSeries holed = *s;
    holed.x = memcpy(arena_alloc(a, bytes), s->x, bytes);
    float *largest = arena_zalloc(a, (size_t)F * sizeof *largest);
    for (int64_t k = 0; k < s->T * F; k++) largest[k % F] = fmaxf(largest[k % F], s->x[k]);
    impute_hide(holed.x, s, kind, seed);
    Imputation m;
    const double begin = clock_seconds();
    TRY(traffic_impute(&m, a, &holed, &o));
    const double seconds = clock_seconds() - begin;
    MetricSums scaled = {0}, kbps = {0};
    add_scores(&scaled, &kbps, &m, &o, s, largest);
    const MetricResult r = metric_sums_result(&scaled), k = metric_sums_result(&kbps);
    arena_rewind(a, mark);
    *out = (ImputeScore){r.values, r.rmse, r.mae, r.crps, k.rmse, r.cover50, r.cover90, seconds};
    return OK;
}
