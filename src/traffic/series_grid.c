// Rows of a file to the regular grid of slots: order, the length of a slot, pollers that are not on time, resampling,
// rows that are absent.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/series_rows.h"
#include "traffic/times.h"

enum { DEFAULT_SLOT_S = 300 };
static const double TAU = 6.283185307179586;

static int compare_i64(const void *p, const void *q)
{
    const int64_t a = *(const int64_t *)p, b = *(const int64_t *)q;
    return (a > b) - (a < b);
}

// ---- order ---------------------------------------------------------------------------------------------------------

typedef struct Place { int64_t time, row; } Place;

static int compare_places(const void *p, const void *q)
{
    const Place *a = p, *b = q;
    return a->time != b->time ? (a->time > b->time) - (a->time < b->time) : (a->row > b->row) - (a->row < b->row);
}

static size_t row_bytes(const SeriesRows *r) { return (size_t)r->N * (size_t)r->N * sizeof *r->x; }

static float *row_at(const SeriesRows *r, int64_t t) { return r->x + t * r->N * r->N; }

// Row t becomes what row from[t] was, along the cycles of the permutation: one row of memory.
static void permute_rows(SeriesRows *r, Arena *a, Place *from)
{
    float *kept = arena_alloc(a, row_bytes(r));
    for (int64_t first = 0; first < r->T; first++) {
        if (from[first].row < 0 || from[first].row == first) continue;
        const uint8_t mark = r->mark ? r->mark[first] : 0;
        memcpy(kept, row_at(r, first), row_bytes(r));
        for (int64_t t = first; ; ) {
            const int64_t next = from[t].row;
            from[t].row = -1;
            if (next == first) {
                memcpy(row_at(r, t), kept, row_bytes(r));
                if (r->mark) r->mark[t] = mark;
                break;
            }
            memcpy(row_at(r, t), row_at(r, next), row_bytes(r));
            if (r->mark) r->mark[t] = r->mark[next];
            t = next;
        }
    }
}

static void move_row(SeriesRows *r, int64_t to, int64_t from)
{
    if (to == from) return;
    memcpy(row_at(r, to), row_at(r, from), row_bytes(r));
    r->time[to] = r->time[from];
    if (r->mark) r->mark[to] = r->mark[from];
}

// Of equal rows of one time the first is kept.
static Status drop_repeated(SeriesRows *r, const char *name, TrafficReading *did)
{
    int64_t n = 0;
    for (int64_t t = 0; t < r->T; t++) {
        if (n && r->time[t] == r->time[n - 1]) {
            if (memcmp(row_at(r, t), row_at(r, n - 1), row_bytes(r)))
                return ERROR("%s: want increasing times, got two different snapshots of %s (local times at the end of "
                             "summer time? --tz ZONE)", name, time_text(r->time[t]).s);
            did->rows_repeated++;
            continue;
        }
        move_row(r, n++, t);
    }
    r->T = n;
    return OK;
}

Status series_sort(SeriesRows *r, Arena *a, const char *name, TrafficReading *did)
{
    if (!r->time) return OK;
    bool sorted = true;
    for (int64_t t = 1; t < r->T; t++) sorted = sorted && r->time[t] > r->time[t - 1];
    if (sorted) return OK;
    const size_t mark = arena_mark(a);
    Place *place = arena_alloc(a, (size_t)r->T * sizeof *place);
    for (int64_t t = 0; t < r->T; t++) {
        place[t] = (Place){r->time[t], t};
        did->rows_moved += t && r->time[t] < r->time[t - 1];
    }
    if (did->rows_moved) {
        qsort(place, (size_t)r->T, sizeof *place, compare_places);
        for (int64_t t = 0; t < r->T; t++) r->time[t] = place[t].time;
        permute_rows(r, a, place);
    }
    arena_rewind(a, mark);
    return drop_repeated(r, name, did);
}

// ---- the length of a slot ------------------------------------------------------------------------------------------

// The divisor of a day nearest to p, if within 5 %; else p itself.
static int nearest_slot(double p)
{
    int best = 0;
    for (int d = 1; d <= DAY_SECONDS; d++)
        if (DAY_SECONDS % d == 0 && fabs(d - p) <= 0.05 * p && (!best || fabs(d - p) < fabs(best - p))) best = d;
    return best ? best : (int)floor(p + 0.5);
}

int series_usual_slot(const int64_t *time, int64_t T, Arena *a)
{
    if (!time || T < 2) return DEFAULT_SLOT_S;
    const size_t mark = arena_mark(a);
    int64_t *step = arena_alloc(a, (size_t)T * sizeof *step), exact = 0, near = 0;
    for (int64_t t = 1; t < T; t++) step[t - 1] = time[t] - time[t - 1];
    qsort(step, (size_t)(T - 1), sizeof *step, compare_i64);
    const int64_t median = step[(T - 1) / 2];
    double sum = 0;
    for (int64_t t = 0; t < T - 1 && median > 0; t++) {
        exact += step[t] % median == 0;
        if (2 * step[t] <= median || 2 * step[t] >= 3 * median) continue;
        sum += (double)step[t];
        near++;
    }
    arena_rewind(a, mark);
    if (median <= 0 || median >= DAY_SECONDS) return DAY_SECONDS;
    const bool on_time = 10 * exact >= 9 * (T - 1) || DAY_SECONDS % median == 0;
    return on_time ? (int)median : nearest_slot(sum / (double)near);
}

Status series_check_slot(const char *name, int64_t seconds)
{
    if (seconds >= 1 && seconds <= DAY_SECONDS) return OK;
    return ERROR("%s: want a slot of 1 .. %d s, got %lld s", name, DAY_SECONDS, (long long)seconds);
}

// ---- jitter --------------------------------------------------------------------------------------------------------

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

// Where the grid of a poller that is not on time begins: the mean phase of its times, which is taken for 0 within a
// tenth of a slot, since pollers mean to be on the full slot.
static int64_t grid_phase(const SeriesRows *r)
{
    double c = 0, s = 0;
    for (int64_t t = 0; t < r->T; t++) {
        const double angle = TAU * (double)(r->time[t] % r->slot_seconds) / r->slot_seconds;
        c += cos(angle);
        s += sin(angle);
    }
    const double phase = atan2(s, c) / TAU * r->slot_seconds;
    const bool spread = c * c + s * s < 0.01 * (double)r->T * (double)r->T;      // no phase: the times drift
    return spread || fabs(phase) <= 0.1 * r->slot_seconds ? 0 : (int64_t)floor(phase + 0.5);
}

// The mean of what was measured in rows to and t.
static void merge_rows(SeriesRows *r, int64_t to, int64_t t, int64_t *count)
{
    const int64_t n = ++*count;
    float *x = row_at(r, to);
    const float *y = row_at(r, t);
    for (int64_t f = 0; f < (int64_t)r->N * r->N; f++)
        if (isnan(x[f])) x[f] = y[f];
        else if (!isnan(y[f])) x[f] = (float)((double)x[f] + ((double)y[f] - (double)x[f]) / (double)n);
    if (r->mark) r->mark[to] |= r->mark[t];
}

Status series_to_grid(SeriesRows *r, const char *name, TrafficReading *did)
{
    const int64_t slot = r->slot_seconds;
    bool on_time = true;
    for (int64_t t = 0; r->time && t < r->T; t++) on_time = on_time && (r->time[t] - r->time[0]) % slot == 0;
    if (on_time || !r->time) return OK;
    const int64_t phase = grid_phase(r);
    int64_t n = 0, same = 1;
    for (int64_t t = 0; t < r->T; t++) {
        const int64_t at = floor_div(r->time[t] - phase + slot / 2, slot) * slot + phase, off = llabs(r->time[t] - at);
        did->rows_shifted += off > 0;
        if (off > did->shift_max_s) did->shift_max_s = off;
        if (n && at <= r->time[n - 1]) {
            if (10 * ++did->rows_merged > r->T)
                return ERROR("%s: want at most one snapshot per %lld s, got more in every tenth slot, such as at %s "
                             "(--slot %lld resamples)", name, (long long)slot, time_text(r->time[t]).s,
                             (long long)slot);
            merge_rows(r, n - 1, t, &same);
            continue;
        }
        move_row(r, n, t);
        r->time[n++] = at;
        same = 1;
    }
    r->T = n;
    return OK;
}

// ---- resampling ----------------------------------------------------------------------------------------------------

static int compare_float(const void *p, const void *q)
{
    const float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

static float aggregate_of(float *v, int64_t n, TrafficAggregate how)
{
    double sum = 0;
    float most = v[0];
    for (int64_t i = 0; i < n; i++) {
        sum += (double)v[i];
        most = fmaxf(most, v[i]);
    }
    if (how == AGGREGATE_MEAN) return (float)(sum / (double)n);
    if (how == AGGREGATE_MAX) return most;
    qsort(v, (size_t)n, sizeof *v, compare_float);
    const double at = 0.95 * (double)(n - 1);                  // type 7 of Hyndman and Fan, as NumPy has it
    const int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    return (float)((double)v[low] + (at - (double)low) * ((double)v[high] - (double)v[low]));
}

// Rows begin .. end-1 into row `to`.  A value of which less than half was measured is missing.
static bool aggregate_rows(SeriesRows *r, int64_t to, int64_t begin, int64_t end, int64_t all, TrafficAggregate how,
                           float *v)
{
    bool any = false;
    uint8_t border = 0;
    for (int64_t t = begin; r->mark && t < end; t++) border |= r->mark[t] & ROW_BORDER;
    for (int64_t f = 0; f < (int64_t)r->N * r->N; f++) {
        int64_t n = 0;
        for (int64_t t = begin; t < end; t++) {
            const float x = row_at(r, t)[f];
            if (isnan(x) || (r->mark && r->mark[t] & ROW_INVALID)) continue;
            v[n++] = x;
        }
        const bool enough = 2 * n >= all && n > 0;
        row_at(r, to)[f] = enough ? aggregate_of(v, n, how) : NAN;
        any = any || enough;
    }
    if (r->mark) r->mark[to] = border;
    return any;
}

Status series_resample(SeriesRows *r, Arena *a, const char *name, const TrafficReadOptions *o, TrafficReading *did)
{
    const int64_t slot = o->resample_seconds;
    if (!slot || slot == r->slot_seconds) return OK;
    TRY(series_check_slot(name, slot));
    if (slot < r->slot_seconds)
        return ERROR("%s: --slot: want a multiple of the data's slot of %d s, got %lld s", name, r->slot_seconds,
                     (long long)slot);
    const int64_t all = slot / r->slot_seconds;
    float *v = arena_alloc(a, (size_t)r->T * sizeof *v);
    int64_t n = 0;
    for (int64_t begin = 0, end; begin < r->T; begin = end) {
        const int64_t from = r->time ? floor_div(r->time[begin] + o->calendar_shift_s, slot) : begin / all;
        for (end = begin + 1; end < r->T; end++)
            if ((r->time ? floor_div(r->time[end] + o->calendar_shift_s, slot) : end / all) != from) break;
        if (!aggregate_rows(r, n, begin, end, all, o->aggregate, v) && r->time) continue;   // an absent row
        if (r->time) r->time[n] = from * slot - o->calendar_shift_s;
        n++;
    }
    did->resampled_from = r->slot_seconds;
    r->T = n;
    r->slot_seconds = (int)slot;
    return OK;
}

// ---- absent rows ---------------------------------------------------------------------------------------------------

static int64_t absent_before(const SeriesRows *r, int64_t t, int64_t most)
{
    if (t == 0 || (r->mark && r->mark[t] & ROW_BORDER)) return 0;
    const int64_t n = (r->time[t] - r->time[t - 1] + r->slot_seconds / 2) / r->slot_seconds - 1;
    return n <= most ? n : 0;
}

void series_add_rows(SeriesRows *r, Arena *a, int64_t most, TrafficReading *did)
{
    int64_t add = 0;
    for (int64_t t = 0; r->time && t < r->T; t++) add += absent_before(r, t, most);
    if (!add) return;
    const int64_t T = r->T + add, F = (int64_t)r->N * r->N;
    float *x = arena_alloc(a, (size_t)(T * F) * sizeof *x);
    int64_t *time = arena_alloc(a, (size_t)T * sizeof *time), n = 0;
    uint8_t *mark = arena_zalloc(a, (size_t)T);
    for (int64_t t = 0; t < r->T; t++) {
        for (int64_t gap = absent_before(r, t, most), i = gap; i > 0; i--, n++) {
            for (int64_t f = 0; f < F; f++) x[n * F + f] = NAN;
            time[n] = r->time[t] - i * r->slot_seconds;
            mark[n] = ROW_ADDED;
        }
        memcpy(x + n * F, row_at(r, t), row_bytes(r));
        time[n] = r->time[t];
        mark[n++] = r->mark ? r->mark[t] : 0;
    }
    memory_unused(r->x, (size_t)(r->T * F) * sizeof *x);
    *r = (SeriesRows){.N = r->N, .T = T, .x = x, .time = time, .mark = mark, .slot_seconds = r->slot_seconds};
    did->rows_filled = add;
}
