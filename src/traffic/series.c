#include "traffic/series.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/series_rows.h"
#include "traffic/times.h"

static const int64_t UNKNOWN_GAP_SLOTS = (int64_t)1 << 32;   // no lag looks across a gap of unknown length

// ---- making a series -----------------------------------------------------------------------------------------------

static bool usable(float v) { return v >= 0 && v <= 3.402823466e38f; }   // false for NaN

static Status check_values(const TrafficSeries *s, const char *name)
{
    int64_t F = (int64_t)s->N * s->N;
    for (int64_t k = 0; k < s->T * F; k++) {
        float v = s->x[k];
        if (usable(v) || isnan(v)) continue;
        int64_t t = k / F, f = k % F;
        if (!s->valid[t]) continue;
        return ERROR("%s: want finite values >= 0 kbit/s, got %g in snapshot %lld, flow %lld -> %lld", name, (double)v,
                     (long long)t, (long long)(f / s->N), (long long)(f % s->N));
    }
    return OK;
}

static Status check_times(const TrafficSeries *s, const char *name)
{
    for (int64_t t = 0; t < s->T; t++) {
        if (s->time[t] < 0 || s->time[t] > (int64_t)1 << 40)
            return ERROR("%s: want times in Unix seconds (0 .. 2^40), got %lld in snapshot %lld", name,
                         (long long)s->time[t], (long long)t);
        if (t && s->time[t] <= s->time[t - 1])
            return ERROR("%s: want increasing times, got %lld s after %lld s in snapshot %lld", name,
                         (long long)s->time[t], (long long)s->time[t - 1], (long long)t);
    }
    return OK;
}

static Status place_slots(TrafficSeries *s, const char *name, const uint8_t *mark)
{
    int64_t shift = 0;
    for (int64_t t = 0; t < s->T; t++) {
        if (!s->time && mark && mark[t] & ROW_BORDER) shift += UNKNOWN_GAP_SLOTS;   // times know the length of a gap
        s->slot[t] = s->time ? (s->time[t] - s->time[0] + s->slot_seconds / 2) / s->slot_seconds : t + shift;
        if (t && s->slot[t] <= s->slot[t - 1])
            return ERROR("%s: want at most one snapshot per %d s, got %lld s and %lld s (snapshot %lld)", name,
                         s->slot_seconds, (long long)s->time[t - 1], (long long)s->time[t], (long long)t);
    }
    return OK;
}

static void find_runs(TrafficSeries *s, Arena *a, const uint8_t *mark)
{
    s->runs = arena_alloc(a, (size_t)s->T * sizeof *s->runs);
    s->n_runs = 0;
    for (int64_t t = 0; t < s->T; t++) {
        const bool asked = mark && mark[t] & ROW_BORDER;
        if (t == 0 || asked || s->slot[t] != s->slot[t - 1] + 1) s->runs[s->n_runs++].begin = t;
        s->runs[s->n_runs - 1].end = t + 1;
    }
}

Status series_marks(uint8_t **mark, Arena *a, const char *name, int64_t T, const TrafficReadOptions *o)
{
    *mark = o->n_gaps || o->n_invalid ? arena_zalloc(a, (size_t)T) : NULL;
    for (int64_t g = 0; g < o->n_gaps; g++) {
        if (o->gaps[g] < 1 || o->gaps[g] >= T || (g && o->gaps[g] <= o->gaps[g - 1]))
            return ERROR("%s: gaps: want increasing rows in 1 .. %lld, got %lld", name, (long long)T - 1,
                         (long long)o->gaps[g]);
        (*mark)[o->gaps[g]] |= ROW_BORDER;
    }
    for (int64_t i = 0; i < o->n_invalid; i++) {
        if (o->invalid[i] < 0 || o->invalid[i] >= T)
            return ERROR("invalid snapshots: want rows in 0 .. %lld, got %lld", (long long)T - 1,
                         (long long)o->invalid[i]);
        (*mark)[o->invalid[i]] |= ROW_INVALID;
    }
    return OK;
}

Status series_open(TrafficSeries *s, Arena *a, const char *name, const SeriesRows *r, const TrafficReadOptions *o)
{
    if (r->N < 2) return ERROR("%s: want matrices of at least 2 x 2 nodes, got %d x %d", name, r->N, r->N);
    if (r->T < 2) return ERROR("%s: want at least 2 snapshots, got %lld", name, (long long)r->T);
    *s = (TrafficSeries){.N = r->N, .T = r->T, .x = r->x, .time = r->time, .slot_seconds = r->slot_seconds,
                         .calendar_shift_s = o->calendar_shift_s};
    TRY(series_check_slot(name, r->slot_seconds));
    if (s->time) TRY(check_times(s, name));
    s->slot = arena_alloc(a, (size_t)s->T * sizeof *s->slot);
    s->valid = arena_alloc(a, (size_t)s->T);
    for (int64_t t = 0; t < s->T; t++) {
        s->valid[t] = !r->mark || !(r->mark[t] & ROW_INVALID);
        if (!r->mark || !(r->mark[t] & ROW_ADDED)) continue;
        if (!s->measured) s->measured = memset(arena_alloc(a, (size_t)s->T), 1, (size_t)s->T);
        s->measured[t] = 0;
    }
    TRY(check_values(s, name));
    TRY(place_slots(s, name, r->mark));
    find_runs(s, a, r->mark);
    return OK;
}

void series_mask(TrafficSeries *s, Arena *a)
{
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t k = 0; k < s->T * F; k++) {
        if (usable(s->x[k])) continue;
        if (!s->seen) s->seen = memset(arena_alloc(a, (size_t)(s->T * F)), 1, (size_t)(s->T * F));
        s->seen[k] = 0;
        s->x[k] = NAN;
        s->reading.cells_missing++;
    }
}

Status traffic_series_init(TrafficSeries *s, Arena *a, const char *name, int N, int64_t T, float *x, int64_t *time,
                           const TrafficReadOptions *o)
{
    const TrafficReadOptions none = {.times_path = NULL};
    if (!o) o = &none;
    SeriesRows r = {.N = N, .T = T, .x = x, .time = time, .slot_seconds = o->slot_seconds};
    if (!r.slot_seconds) r.slot_seconds = series_usual_slot(time, T, a);
    TRY(series_marks(&r.mark, a, name, T, o));
    TRY(series_open(s, a, name, &r, o));
    series_mask(s, a);
    traffic_series_estimate(s, a);
    return OK;
}

void traffic_note(TrafficNotes *notes, Arena *a, const char *format, ...)
{
    if (!notes || notes->n == TRAFFIC_MAX_NOTES) return;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    notes->line[notes->n++] = arena_printf(a, "%s", text);
}

// ---- places in time ------------------------------------------------------------------------------------------------

TrafficSeries traffic_series_flatten(const TrafficSeries *s, Arena *a)
{
    TrafficSeries flat = *s;
    flat.slot = arena_alloc(a, (size_t)s->T * sizeof *flat.slot);
    for (int64_t t = 0; t < s->T; t++) flat.slot[t] = t;
    flat.valid = arena_alloc(a, (size_t)s->T);
    for (int64_t t = 0; t < s->T; t++)               // a row that has nothing to look at stays out
        flat.valid[t] = s->valid[t] || traffic_row_seen(s, t);
    flat.n_runs = 1;
    flat.runs = arena_alloc(a, sizeof *flat.runs);
    flat.runs[0] = (TrafficRange){0, s->T};
    return flat;
}

TrafficSeries traffic_series_newest(const TrafficSeries *s, Arena *a, int64_t first)
{
    CHECK(first >= 0 && first <= s->T - 2, "series: rows from %lld of %lld", (long long)first, (long long)s->T);
    TrafficSeries c = *s;
    const int64_t F = (int64_t)s->N * s->N;
    c.T -= first;
    c.x += first * F;
    c.slot += first;
    c.valid += first;
    if (s->time) c.time += first;
    if (s->east) c.east += first;
    if (s->seen) c.seen += first * F;
    if (s->measured) c.measured += first;
    c.n_runs = 0;
    c.runs = arena_alloc(a, (size_t)s->n_runs * sizeof *c.runs);
    for (int64_t i = 0; i < s->n_runs; i++) {
        const TrafficRange r = s->runs[i];
        const int64_t begin = r.begin > first ? r.begin - first : 0;
        if (r.end > first) c.runs[c.n_runs++] = (TrafficRange){begin, r.end - first};
    }
    return c;
}

Status traffic_series_mark_invalid(TrafficSeries *s, const int64_t *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= s->T)
            return ERROR("invalid snapshots: want rows in 0 .. %lld, got %lld", (long long)s->T - 1,
                         (long long)rows[i]);
    for (int64_t i = 0; i < n; i++) s->valid[rows[i]] = 0;
    return OK;
}

int64_t traffic_row_at(const TrafficSeries *s, int64_t t, int64_t offset)
{
    int64_t want = s->slot[t] + offset, low = 0, high = s->T - 1, guess = t + offset;
    if (guess >= 0 && guess < s->T && s->slot[guess] == want) return s->valid[guess] ? guess : -1;
    while (low < high) {
        int64_t mid = (low + high) / 2;
        if (s->slot[mid] < want) low = mid + 1;
        else high = mid;
    }
    return s->slot[low] == want && s->valid[low] ? low : -1;
}

int64_t traffic_slots_per_day(const TrafficSeries *s)
{
    const int64_t n = (DAY_SECONDS + s->slot_seconds / 2) / s->slot_seconds;
    return n ? n : 1;
}

int64_t traffic_season_offset(const TrafficSeries *s, int h, bool week, int margin)
{
    const int64_t weekly = (7 * (int64_t)DAY_SECONDS + s->slot_seconds / 2) / s->slot_seconds;
    int64_t period = week ? weekly : traffic_slots_per_day(s);
    return h - (h + margin + period - 1) / period * period;
}

Status traffic_series_set_zone(TrafficSeries *s, Arena *a, const char *zone)
{
    TimeZone z;
    s->zone = NULL;
    s->east = NULL;
    TRY(time_zone_open(&z, zone && *zone ? zone : NULL));
    if (!s->time || (!z.named && !z.offset)) return OK;
    s->zone = z.name;
    s->east = arena_alloc(a, (size_t)s->T * sizeof *s->east);
    for (int64_t t = 0; t < s->T; t++) s->east[t] = (int32_t)time_zone_east(&z, s->time[t]);
    return OK;
}

int64_t traffic_clock(const TrafficSeries *s, int64_t t)
{
    if (!s->time) return t * s->slot_seconds + 4 * (int64_t)DAY_SECONDS;       // 1970-01-05 was a Monday
    return s->time[t] + s->calendar_shift_s + (s->east ? s->east[t] : 0);
}

void traffic_calendar(const TrafficSeries *s, int64_t t, int64_t ahead, int *slot_of_day, int *day_of_week)
{
    const int64_t sec = traffic_clock(s, t) + ahead * s->slot_seconds;
    int64_t day = sec / DAY_SECONDS - (sec % DAY_SECONDS < 0), last = traffic_slots_per_day(s) - 1;
    int64_t slot = (sec - day * DAY_SECONDS) / s->slot_seconds;
    *slot_of_day = (int)(slot < last ? slot : last);   // where a day is no whole number of slots, the last is longer
    *day_of_week = (int)(((day + 3) % 7 + 7) % 7);     // 1970-01-01 was a Thursday
}

int64_t traffic_day(const TrafficSeries *s, int64_t t)
{
    int first_slot, day_of_week;
    traffic_calendar(s, 0, 0, &first_slot, &day_of_week);
    return (s->slot[t] - s->slot[0] + first_slot) / traffic_slots_per_day(s);
}

// ---- splits and windows --------------------------------------------------------------------------------------------

TrafficSplits traffic_splits(int64_t T, TrafficProtocol protocol)
{
    int64_t a = T * 7 / 10, b = protocol == PROTOCOL_FLOW_BY_FLOW ? T * 8 / 10 : T * 85 / 100;
    return (TrafficSplits){{0, a}, {a, b}, {b, T}};
}

int64_t traffic_windows(const TrafficSeries *s, Arena *a, TrafficRange rows, int history, int horizon, int64_t stride,
                        int64_t **starts)
{
    CHECK(rows.begin >= 0 && rows.end <= s->T && history >= 1 && horizon >= 0 && stride >= 1,
          "traffic_windows: rows %lld..%lld of %lld, history %d, horizon %d", (long long)rows.begin,
          (long long)rows.end, (long long)s->T, history, horizon);
    int64_t n = 0, seen = 0, need = history + horizon, good = 0,
            span = rows.end > rows.begin ? rows.end - rows.begin : 1;
    *starts = arena_alloc(a, (size_t)span * sizeof **starts);
    int64_t run = 0, measured = 0;
    for (int64_t t = rows.begin; t < rows.end; t++) {
        while (s->runs[run].end <= t) run++;
        if (t == s->runs[run].begin) good = 0;
        good = s->valid[t] ? good + 1 : 0;   // valid snapshots in a row that end with t
        measured = !s->measured || s->measured[t] ? measured + 1 : 0;
        if (good >= need && measured >= horizon && seen++ % stride == 0) (*starts)[n++] = t + 1 - need;
    }
    return n;
}
