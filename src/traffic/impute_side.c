// A series seen from one of its ends; the contract is in impute.h.
#include <string.h>

#include "traffic/impute.h"
#include "traffic/times.h"

// Times backwards: a slot that begins at b on the clock of the calendar begins at Q - b - length, Q a number of days
// such that Saturday becomes Sunday.
static void turn_times(TrafficSeries *out, Arena *a, const TrafficSeries *s)
{
    const int64_t T = s->T, first = traffic_clock(s, 0), last = traffic_clock(s, T - 1);
    int64_t days = (first + last + s->slot_seconds) / DAY_SECONDS + 1;
    while (days % 7 != 6) days++;
    out->time = arena_alloc(a, (size_t)T * sizeof *out->time);
    out->east = s->east ? arena_alloc(a, (size_t)T * sizeof *out->east) : NULL;
    for (int64_t t = 0; t < T; t++) {
        const int64_t at = s->time[T - 1 - t] + s->calendar_shift_s;
        out->time[t] = days * DAY_SECONDS - at - s->slot_seconds;
        if (s->east) out->east[t] = -s->east[T - 1 - t];
    }
    out->calendar_shift_s = 0;
}

Status impute_side(TrafficSeries *out, Arena *a, const TrafficSeries *s, bool back)
{
    const int64_t F = (int64_t)s->N * s->N, T = s->T;
    TrafficSeries turned = *s;
    float *x = arena_alloc(a, (size_t)(T * F) * sizeof *x);
    int64_t *gaps = arena_alloc(a, (size_t)s->n_runs * sizeof *gaps), n = 0;
    for (int64_t t = 0; t < T; t++) memcpy(x + t * F, s->x + (back ? T - 1 - t : t) * F, (size_t)F * sizeof *x);
    for (int64_t i = 1; i < s->n_runs; i++)
        gaps[n++] = back ? T - s->runs[s->n_runs - i].begin : s->runs[i].begin;
    if (back && s->time) turn_times(&turned, a, s);
    const TrafficReadOptions o = {.slot_seconds = s->slot_seconds, .calendar_shift_s = turned.calendar_shift_s,
                                  .gaps = gaps, .n_gaps = n};
    TRY(traffic_series_init(out, a, "impute", s->N, T, x, turned.time, &o));
    out->zone = s->zone;
    out->east = turned.east;
    return OK;
}
