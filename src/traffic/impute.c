#include "traffic/impute.h"

#include <math.h>
#include <string.h>

#include "traffic/metrics.h"
#include "traffic/scaling.h"
#include "traffic/series_file.h"
#include "traffic/series_rows.h"

const char *const impute_names[IMPUTE_METHODS] = {"last", "seasonal", "lds", "lds-dropout", "lead"};

ImputeOptions impute_defaults(void)
{
    static const double level[METRIC_QUANTILES] = {.05, .1, .15, .2, .25, .3, .35, .4, .45, .5,
                                                   .55, .6, .65, .7, .75, .8, .85, .9, .95};
    return (ImputeOptions){.method = IMPUTE_LDS, .levels = METRIC_QUANTILES, .level = level, .hidden = 8, .rounds = 15,
                           .window = 4032};
}

// ---- the series ----------------------------------------------------------------------------------------------------

Status impute_open(TrafficSeries *out, Arena *a, const TrafficSeries *s, int64_t most, int64_t *rows)
{
    const int64_t F = (int64_t)s->N * s->N;
    const TrafficReadOptions o = {.calendar_shift_s = s->calendar_shift_s};
    TrafficReading did = s->reading;
    SeriesRows r = {.N = s->N, .T = s->T, .slot_seconds = s->slot_seconds};
    r.x = arena_alloc(a, (size_t)(s->T * F) * sizeof *r.x);
    for (int64_t k = 0; k < s->T * F; k++) r.x[k] = s->valid[k / F] && (!s->seen || s->seen[k]) ? s->x[k] : NAN;
    r.mark = arena_zalloc(a, (size_t)s->T);
    for (int64_t i = 0; i < s->n_runs && !s->time; i++) r.mark[s->runs[i].begin] = i ? ROW_BORDER : 0;
    if (s->time) {
        r.time = arena_alloc(a, (size_t)s->T * sizeof *r.time);
        memcpy(r.time, s->time, (size_t)s->T * sizeof *r.time);
        series_add_rows(&r, a, most, &did);
    }
    *rows = r.T - s->T;
    TRY(series_open(out, a, "impute", &r, &o));
    out->node = s->node;
    out->reading = did;
    return traffic_series_set_zone(out, a, s->zone);
}

// ---- seasonal means ------------------------------------------------------------------------------------------------

int64_t impute_profile_row(const TrafficSeries *s, int64_t t)
{
    int slot, day;
    traffic_calendar(s, t, 0, &slot, &day);
    return slot + (day >= 5) * traffic_slots_per_day(s);
}

float *impute_profile(Arena *a, const TrafficSeries *s, const float *v)
{
    TrafficSeries of = *s;
    of.x = (float *)v;
    return part_means_fit(a, &of, (TrafficRange){0, s->T}, NULL);
}

// ---- results -------------------------------------------------------------------------------------------------------

void impute_put(Imputation *out, const ImputeOptions *o, int64_t i, double mean, float z[NAIVE_LEVELS])
{
    for (int k = 0; k < NAIVE_LEVELS; k++) z[k] = fmaxf(z[k], 0);
    out->mean[i] = (float)mean;
    for (int k = 0; k < o->levels; k++)
        out->quantile[i * o->levels + k] = (float)metric_quantile(z, NAIVE_LEVELS, o->level[k], 6);
}

static void put_around(Imputation *out, const ImputeOptions *o, int64_t i, double point, const float *residual)
{
    float z[NAIVE_LEVELS];
    for (int k = 0; k < NAIVE_LEVELS; k++) z[k] = (float)point + residual[k];
    impute_put(out, o, i, point, z);
}

// ---- last value ----------------------------------------------------------------------------------------------------

enum { AGES = 24, RESIDUALS = 1024, FEWEST = 20 };   // ages of 1, 2..3, 4..7, ..; residuals of each; too few

static int age_class(int64_t age)
{
    int c = 0;
    while (age > 1 && c < AGES - 1) {
        age /= 2;
        c++;
    }
    return c;
}

// Quantiles of x_t - x_{t-lag} of flow f -> out; false where there are too few.
static bool last_residuals(float *out, const TrafficSeries *s, int64_t f, int64_t lag)
{
    const int64_t F = (int64_t)s->N * s->N, step = (s->T - lag) / RESIDUALS + 1;
    float v[RESIDUALS];
    int64_t n = 0;
    for (int64_t t = lag; t < s->T && n < RESIDUALS; t += step) {
        const float d = s->x[t * F + f] - s->x[(t - lag) * F + f];
        if (!isnan(d)) v[n++] = d;
    }
    if (n < FEWEST) return false;
    naive_levels(v, n, out, 1);
    return true;
}

// Residuals for all ages of flow f; an age of which too little is known takes those of the one below.
static void last_tables(float table[AGES][NAIVE_LEVELS], const TrafficSeries *s, int64_t f)
{
    for (int c = 0; c < AGES; c++) {
        const int64_t lag = c ? (int64_t)3 << (c - 1) : 1;               // the middle of the class
        if (lag < s->T && last_residuals(table[c], s, f, lag)) continue;
        for (int k = 0; k < NAIVE_LEVELS; k++) table[c][k] = c ? table[c - 1][k] : 0;
    }
}

static void impute_last(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o)
{
    const int64_t F = (int64_t)s->N * s->N, T = s->T;
    float (*table)[NAIVE_LEVELS] = arena_alloc(a, sizeof(float[AGES][NAIVE_LEVELS]));
    int64_t *from = arena_alloc(a, (size_t)out->n * sizeof *from), *last = arena_alloc(a, (size_t)F * sizeof *last);
    for (int64_t f = 0; f < F; f++)                                      // before the first known value: that one
        for (last[f] = 0; last[f] < T && isnan(s->x[last[f] * F + f]);) last[f]++;
    for (int64_t k = 0, i = 0; i < out->n; k++) {
        if (!isnan(s->x[k])) last[k % F] = k / F;
        else if (k == out->cell[i]) from[i++] = last[k % F];
    }
    int64_t *next = arena_alloc(a, (size_t)out->n * sizeof *next);
    int64_t *of_flow = arena_alloc(a, (size_t)F * sizeof *of_flow);
    for (int64_t f = 0; f < F; f++) of_flow[f] = -1;                     // the missing values of each flow, as a list
    for (int64_t i = out->n - 1; i >= 0; i--) {
        next[i] = of_flow[out->cell[i] % F];
        of_flow[out->cell[i] % F] = i;
    }
    for (int64_t f = 0; f < F; f++) {
        if (of_flow[f] >= 0) last_tables(table, s, f);
        for (int64_t i = of_flow[f]; i >= 0; i = next[i]) {
            const int64_t age = s->slot[out->cell[i] / F] - s->slot[from[i]];
            put_around(out, o, i, (double)s->x[from[i] * F + f], table[age_class(age < 0 ? -age : age)]);
        }
    }
}

// ---- seasonal ------------------------------------------------------------------------------------------------------

static void impute_seasonal(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o)
{
    const int64_t F = (int64_t)s->N * s->N, step = s->T / RESIDUALS + 1;
    const float *mean = impute_profile(a, s, s->x);
    float *residual = arena_zalloc(a, (size_t)F * NAIVE_LEVELS * sizeof *residual), v[RESIDUALS];
    for (int64_t f = 0; f < F; f++) {
        int64_t n = 0;
        for (int64_t t = 0; t < s->T; t += step)
            if (!isnan(s->x[t * F + f])) v[n++] = s->x[t * F + f] - mean[impute_profile_row(s, t) * F + f];
        if (n >= FEWEST) naive_levels(v, n, residual + f * NAIVE_LEVELS, 1);
    }
    for (int64_t i = 0; i < out->n; i++) {
        const int64_t t = out->cell[i] / F, f = out->cell[i] % F;
        put_around(out, o, i, (double)mean[impute_profile_row(s, t) * F + f], residual + f * NAIVE_LEVELS);
    }
}

// ---- all -----------------------------------------------------------------------------------------------------------

Status traffic_impute(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o)
{
    const int64_t F = (int64_t)s->N * s->N, cells = s->T * F;
    uint8_t *known = arena_zalloc(a, (size_t)F);
    int64_t n = 0;
    *out = (Imputation){.n = 0};
    for (int64_t k = 0; k < cells; k++)
        if (isnan(s->x[k])) n++;
        else known[k % F] = 1;
    out->cell = arena_alloc(a, (size_t)n * sizeof *out->cell);
    for (int64_t k = 0; k < cells; k++) {
        if (!isnan(s->x[k])) continue;
        if (known[k % F]) out->cell[out->n++] = k;
        else out->left++;
    }
    out->mean = arena_alloc(a, (size_t)out->n * sizeof *out->mean);
    out->quantile = arena_alloc(a, (size_t)out->n * (size_t)o->levels * sizeof *out->quantile);
    const size_t mark = arena_mark(a);
    if (!out->n) return OK;
    Status st = OK;
    if (o->method == IMPUTE_LAST) impute_last(out, a, s, o);
    else if (o->method == IMPUTE_SEASONAL) impute_seasonal(out, a, s, o);
    else if (o->method == IMPUTE_LEAD) st = o->lead(out, a, s, o);
    else impute_lds(out, a, s, o);
    arena_rewind(a, mark);
    return st;
}

Status impute_write(TrafficSeries *s, Arena *a, const char *path, const Imputation *m, const ImputeOptions *o)
{
    const int64_t F = (int64_t)s->N * s->N, cells[] = {m->n, 3}, quantiles[] = {m->n, o->levels}, levels = o->levels;
    NpzWriter *w = arena_alloc(a, sizeof *w);
    int64_t *at = arena_alloc(a, (size_t)m->n * 3 * sizeof *at);
    for (int64_t i = 0; i < m->n; i++) {
        s->x[m->cell[i]] = m->mean[i];
        at[3 * i] = m->cell[i] / F;
        at[3 * i + 1] = m->cell[i] % F / s->N;
        at[3 * i + 2] = m->cell[i] % s->N;
    }
    TRY(npz_begin(w, a, path));
    traffic_npz_put(w, s, a);
    if (m->n) {
        npz_put(w, "imputed", "<i8", cells, 2, at, (size_t)m->n * 3 * sizeof *at);
        npz_put(w, "imputed_quantiles", "<f4", quantiles, 2, m->quantile, (size_t)(m->n * levels) * sizeof(float));
        npz_put(w, "imputed_levels", "<f8", &levels, 1, o->level, (size_t)levels * sizeof(double));
    }
    return npz_end(w);
}
