// Holes of single flows: the short ones are filled, what is missing still is estimated.  The rules are in series.h.
#include <math.h>
#include <string.h>

#include "traffic/series.h"

static bool known(const TrafficSeries *s, int64_t row, int64_t f)
{
    const int64_t k = row * s->N * s->N + f;
    return row >= 0 && s->valid[row] && !isnan(s->x[k]) && s->seen[k];
}

static double value(const TrafficSeries *s, int64_t row, int64_t f) { return (double)s->x[row * s->N * s->N + f]; }

// Rows left and right (-1: none) bound the hole.  The level there over the level of the day before; NaN: not known.
static double level_ratio(const TrafficSeries *s, int64_t left, int64_t right, int64_t f)
{
    const int64_t D = traffic_slots_per_day(s);
    double now = 0, before = 0;
    for (int side = 0; side < 2; side++) {
        const int64_t row = side ? right : left;
        if (row < 0) continue;
        const int64_t day_before = traffic_row_at(s, row, -D);
        if (!known(s, day_before, f)) return NAN;
        now += value(s, row, f);
        before += value(s, day_before, f);
    }
    return before > 0 ? now / before : NAN;
}

static double straight_line(const TrafficSeries *s, int64_t left, int64_t right, int64_t t, int64_t f)
{
    if (left < 0) return value(s, right, f);
    if (right < 0) return value(s, left, f);
    const double w = (double)(t - left) / (double)(right - left);
    return (1 - w) * value(s, left, f) + w * value(s, right, f);
}

static void fill_hole(TrafficSeries *s, int64_t left, int64_t right, TrafficRange hole, int64_t f)
{
    enum { LIMIT = 4 };                              // a day that is so unlike the one before says nothing
    const int64_t F = (int64_t)s->N * s->N, D = traffic_slots_per_day(s);
    const double ratio = level_ratio(s, left, right, f);
    for (int64_t t = hole.begin; t < hole.end; t++) {
        if (!isnan(s->x[t * F + f]) || !s->valid[t]) continue;
        const int64_t day_before = traffic_row_at(s, t, -D);
        const bool seasonal = ratio >= 1.0 / LIMIT && ratio <= LIMIT && known(s, day_before, f);
        s->x[t * F + f] = (float)(seasonal ? ratio * value(s, day_before, f) : straight_line(s, left, right, t, f));
        s->reading.cells_filled++;
    }
}

// last[f]: the last row of the run in which flow f is known, -1: none.
static void fill_run(TrafficSeries *s, TrafficRange run, int most, int64_t *last)
{
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t f = 0; f < F; f++) last[f] = -1;
    for (int64_t t = run.begin; t <= run.end; t++)
        for (int64_t f = 0; f < F; f++) {
            const int64_t from = last[f] < 0 ? run.begin : last[f] + 1;
            if (t < run.end && !known(s, t, f)) continue;
            if (t < run.end) last[f] = t;
            if (t == from || t - from > most || (t == run.end && from == run.begin)) continue;
            fill_hole(s, from == run.begin ? -1 : from - 1, t < run.end ? t : -1, (TrafficRange){from, t}, f);
        }
}

void traffic_series_fill(TrafficSeries *s, Arena *a, int most)
{
    if (!s->seen) return;
    const size_t mark = arena_mark(a);
    int64_t *last = arena_alloc(a, (size_t)s->N * (size_t)s->N * sizeof *last);
    for (int64_t r = 0; r < s->n_runs; r++) fill_run(s, s->runs[r], most, last);
    arena_rewind(a, mark);
}

// ---- estimates -----------------------------------------------------------------------------------------------------

static const double HALF_LIFE_S = 4 * 3600;

bool traffic_row_seen(const TrafficSeries *s, int64_t t)
{
    const int64_t F = (int64_t)s->N * s->N;
    return !s->seen || !memchr(s->seen + t * F, 0, (size_t)F);
}

int64_t traffic_missing_count(const TrafficSeries *s, TrafficRange rows)
{
    const int64_t F = (int64_t)s->N * s->N;
    int64_t n = 0;
    for (int64_t k = rows.begin * F; s->seen && k < rows.end * F; k++) n += !s->seen[k];
    return n;
}

// Whether enough of row t is known to look at it.
static bool says_enough(const TrafficSeries *s, int64_t t)
{
    const int N = s->N;
    const float *x = s->x + t * N * N;
    int64_t known = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) known += i != j && !isnan(x[i * N + j]);
    return 10 * known >= (int64_t)N * (N - 1);
}

// The row one day before t, or of the least number of days, up to a week, that has one; -1: none.
static int64_t days_before(const TrafficSeries *s, int64_t t)
{
    const int64_t D = traffic_slots_per_day(s);
    int64_t row = -1;
    for (int day = 1; day <= 7 && row < 0; day++) row = traffic_row_at(s, t, -day * D);
    return row;
}

// last: the row in which the flow was measured before, -1: none.
static float estimate(const TrafficSeries *s, int64_t t, int64_t day, int64_t f, int64_t last)
{
    if (last < 0) return 0;
    if (day < 0) return (float)value(s, last, f);
    const double w = exp2(-(double)(s->slot[t] - s->slot[last]) * s->slot_seconds / HALF_LIFE_S);
    return (float)(w * value(s, last, f) + (1 - w) * value(s, day, f));
}

void traffic_series_estimate(TrafficSeries *s, Arena *a)
{
    if (!s->seen) return;
    const size_t mark = arena_mark(a);
    const int64_t F = (int64_t)s->N * s->N;
    int64_t *last = arena_alloc(a, 2 * (size_t)F * sizeof *last), *first = last + F;   // rows that measured the flow
    for (int64_t f = 0; f < F; f++) last[f] = first[f] = -1;
    for (int64_t t = 0; t < s->T; t++) {
        const bool whole = traffic_row_seen(s, t);
        if (!whole && !says_enough(s, t)) s->valid[t] = 0;
        const int64_t day = whole ? -1 : days_before(s, t);
        for (int64_t f = 0; f < F; f++) {
            float *x = &s->x[t * F + f];
            if (s->seen[t * F + f]) {
                if (s->valid[t]) last[f] = t;
                if (first[f] < 0) first[f] = last[f];
            } else if (isnan(*x)) {
                *x = s->valid[t] ? estimate(s, t, day >= first[f] ? day : -1, f, last[f]) : 0;
                s->reading.cells_estimated += s->valid[t];
            }
        }
    }
    arena_rewind(a, mark);
}
