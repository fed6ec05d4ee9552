#include "traffic/series.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "traffic/csv.h"
#include "io/npy.h"

enum { DAY_S = 86400, DEFAULT_SLOT_S = 300 };
static const int64_t UNKNOWN_GAP_SLOTS = (int64_t)1 << 32;   // no lag looks across a gap of unknown length

// ---- making a series -----------------------------------------------------------------------------------------------

static Status check_values(const TrafficSeries *s, const char *name)
{
    int64_t F = (int64_t)s->N * s->N;
    for (int64_t k = 0; k < s->T * F; k++) {
        float v = s->x[k];
        if (v >= 0 && v <= 3.402823466e38f) continue;   // NaN fails both
        int64_t t = k / F, f = k % F;
        return ERROR("%s: want finite values >= 0 kbit/s, got %g in snapshot %lld, flow %lld -> %lld", name, (double)v,
                     (long long)t, (long long)(f / s->N), (long long)(f % s->N));
    }
    return OK;
}

static int compare_i64(const void *p, const void *q)
{
    int64_t a = *(const int64_t *)p, b = *(const int64_t *)q;
    return (a > b) - (a < b);
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

static int median_step(const TrafficSeries *s, Arena *a)
{
    size_t mark = arena_mark(a);
    int64_t *step = arena_alloc(a, (size_t)s->T * sizeof *step);
    for (int64_t t = 1; t < s->T; t++) step[t - 1] = s->time[t] - s->time[t - 1];
    qsort(step, (size_t)(s->T - 1), sizeof *step, compare_i64);
    int64_t m = step[(s->T - 1) / 2];
    arena_rewind(a, mark);
    return m > DAY_S ? DAY_S : (int)m;
}

static Status place_slots(TrafficSeries *s, const char *name, const TrafficReadOptions *o)
{
    for (int64_t t = 0; t < s->T; t++) {
        s->slot[t] = s->time ? (s->time[t] - s->time[0] + s->slot_seconds / 2) / s->slot_seconds : t;
        if (t && s->slot[t] <= s->slot[t - 1])
            return ERROR("%s: want at most one snapshot per %d s, got %lld s and %lld s (snapshot %lld)", name,
                         s->slot_seconds, (long long)s->time[t - 1], (long long)s->time[t], (long long)t);
    }
    for (int64_t g = 0; g < o->n_gaps; g++) {
        if (o->gaps[g] < 1 || o->gaps[g] >= s->T || (g && o->gaps[g] <= o->gaps[g - 1]))
            return ERROR("%s: gaps: want increasing rows in 1 .. %lld, got %lld", name, (long long)s->T - 1,
                         (long long)o->gaps[g]);
        if (s->time) continue;   // the times know the length of the gap
        for (int64_t t = o->gaps[g]; t < s->T; t++) s->slot[t] += UNKNOWN_GAP_SLOTS;
    }
    return OK;
}

static void find_runs(TrafficSeries *s, Arena *a, const TrafficReadOptions *o)
{
    int64_t next = 0;
    s->runs = arena_alloc(a, (size_t)s->T * sizeof *s->runs);
    s->n_runs = 0;
    for (int64_t t = 0; t < s->T; t++) {
        bool asked = next < o->n_gaps && o->gaps[next] == t;
        if (asked) next++;
        if (t == 0 || asked || s->slot[t] != s->slot[t - 1] + 1) s->runs[s->n_runs++].begin = t;
        s->runs[s->n_runs - 1].end = t + 1;
    }
}

Status traffic_series_init(TrafficSeries *s, Arena *a, const char *name, int N, int64_t T, float *x, int64_t *time,
                           const TrafficReadOptions *o)
{
    TrafficReadOptions none = {.times_path = NULL};
    if (!o) o = &none;
    if (N < 2) return ERROR("%s: want matrices of at least 2 x 2 nodes, got %d x %d", name, N, N);
    if (T < 2) return ERROR("%s: want at least 2 snapshots, got %lld", name, (long long)T);
    *s = (TrafficSeries){.N = N, .T = T, .x = x, .time = time, .slot_seconds = o->slot_seconds,
                         .calendar_shift_s = o->calendar_shift_s};
    TRY(check_values(s, name));
    if (time) TRY(check_times(s, name));
    if (!s->slot_seconds) s->slot_seconds = time ? median_step(s, a) : DEFAULT_SLOT_S;
    if (s->slot_seconds < 1 || s->slot_seconds > DAY_S || DAY_S % s->slot_seconds)
        return ERROR("%s: want a slot that divides a day (86400 s), got %d s", name, s->slot_seconds);
    s->slot = arena_alloc(a, (size_t)T * sizeof *s->slot);
    s->valid = arena_alloc(a, (size_t)T);
    memset(s->valid, 1, (size_t)T);
    TRY(place_slots(s, name, o));
    find_runs(s, a, o);
    return OK;
}

// ---- files ---------------------------------------------------------------------------------------------------------

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

static const char *times_beside(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_printf(a, "%.*s/times.npy", (int)(slash - path), path) : "times.npy";
}

static Status read_times(int64_t **time, int64_t T, Arena *a, const char *times_path, const char *path)
{
    NpyArray n;
    TRY(npy_read(&n, a, times_path));
    if (strcmp(n.type, "<i8") || n.n_dims != 1)
        return ERROR("%s: want times '<i8' of one dimension, got '%s' of %d", times_path, n.type, n.n_dims);
    if (n.count != T)
        return ERROR("%s: want %lld times, one for each snapshot of %s, got %lld", times_path, (long long)T, path,
                     (long long)n.count);
    *time = arena_alloc(a, (size_t)T * sizeof **time);
    memcpy(*time, n.data, (size_t)T * sizeof **time);
    return OK;
}

static Status read_npy_matrices(int *N, int64_t *T, float **x, Arena *a, const char *path)
{
    NpyArray n;
    TRY(npy_read(&n, a, path));
    if (!strcmp(n.type, "<i8")) return ERROR("%s: want dtype '<f4' or '<f8', got '<i8'", path);
    if (n.n_dims != 2 && n.n_dims != 3)
        return ERROR("%s: want shape [T,N,N] or [T,N*N], got %d dimensions", path, n.n_dims);
    if (n.n_dims == 3 && n.dims[1] != n.dims[2])
        return ERROR("%s: want square matrices, got %lld x %lld", path, (long long)n.dims[1], (long long)n.dims[2]);
    int64_t side = n.n_dims == 3 ? n.dims[1] : (int64_t)llround(sqrt((double)n.dims[1]));
    if (n.n_dims == 2 && side * side != n.dims[1])
        return ERROR("%s: want N*N values per snapshot, got %lld, which is no square", path, (long long)n.dims[1]);
    if (side > 4096) return ERROR("%s: want at most 4096 nodes, got %lld", path, (long long)side);
    *N = (int)side;
    *T = n.dims[0];
    *x = arena_alloc(a, (size_t)n.count * sizeof **x);
    if (n.type[2] == '4') memcpy(*x, n.data, (size_t)n.count * sizeof **x);
    else for (int64_t k = 0; k < n.count; k++) (*x)[k] = (float)((const double *)n.data)[k];
    return OK;
}

Status traffic_series_read(TrafficSeries *s, Arena *a, const char *path, const TrafficReadOptions *o)
{
    int N;
    int64_t T, *time = NULL;
    float *x;
    if (!has_suffix(path, ".npy")) {
        TRY(csv_read(&N, &T, &x, &time, a, path));
        return traffic_series_init(s, a, path, N, T, x, time, o);
    }
    TRY(read_npy_matrices(&N, &T, &x, a, path));
    const char *times_path = o ? o->times_path : NULL;
    if (!times_path && access(times_beside(a, path), F_OK) == 0) times_path = times_beside(a, path);
    if (times_path) TRY(read_times(&time, T, a, times_path, path));
    return traffic_series_init(s, a, path, N, T, x, time, o);
}

Status traffic_series_write(const TrafficSeries *s, const char *path, const char *times_path)
{
    char beside[PATH_MAX];
    if (s->time && !times_path) {
        const char *slash = strrchr(path, '/');
        snprintf(beside, sizeof beside, "%.*s%stimes.npy", slash ? (int)(slash - path) : 0, path, slash ? "/" : "");
        times_path = beside;
    }
    FileWriter x, times;
    TRY(file_open(&x, path));
    npy_put(&x, "<f4", (int64_t[]){s->T, s->N, s->N}, 3, s->x);
    if (!s->time) return file_commit(&x, false);
    Status st = file_open(&times, times_path);
    if (st.code) {
        file_abort(&x);
        return st;
    }
    npy_put(&times, "<i8", &s->T, 1, s->time);
    st = file_sync(&x);                      // both are on the disk before either takes its name
    if (!st.code) st = file_sync(&times);
    if (!st.code) st = file_commit(&times, false);
    if (!st.code) return file_commit(&x, false);
    file_abort(&times);
    file_abort(&x);
    return st;
}

// ---- places in time ------------------------------------------------------------------------------------------------

TrafficSeries traffic_series_flatten(const TrafficSeries *s, Arena *a)
{
    TrafficSeries flat = *s;
    flat.slot = arena_alloc(a, (size_t)s->T * sizeof *flat.slot);
    for (int64_t t = 0; t < s->T; t++) flat.slot[t] = t;
    flat.valid = arena_alloc(a, (size_t)s->T);
    memset(flat.valid, 1, (size_t)s->T);
    flat.n_runs = 1;
    flat.runs = arena_alloc(a, sizeof *flat.runs);
    flat.runs[0] = (TrafficRange){0, s->T};
    return flat;
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
    return DAY_S / s->slot_seconds;
}

int64_t traffic_season_offset(const TrafficSeries *s, int h, bool week, int margin)
{
    int64_t period = traffic_slots_per_day(s) * (week ? 7 : 1);
    return h - (h + margin + period - 1) / period * period;
}

void traffic_calendar(const TrafficSeries *s, int64_t t, int64_t ahead, int *slot_of_day, int *day_of_week)
{
    int64_t sec = s->time ? s->time[t] + s->calendar_shift_s : t * s->slot_seconds + 4 * (int64_t)DAY_S;
    sec += ahead * s->slot_seconds;
    int64_t day = sec / DAY_S - (sec % DAY_S < 0);
    *slot_of_day = (int)((sec - day * DAY_S) / s->slot_seconds);
    *day_of_week = (int)(((day + 3) % 7 + 7) % 7);   // 1970-01-01 was a Thursday
}

int64_t traffic_day(const TrafficSeries *s, int64_t t)
{
    int first_slot, day_of_week;
    traffic_calendar(s, 0, 0, &first_slot, &day_of_week);
    return (s->slot[t] - s->slot[0] + first_slot) / traffic_slots_per_day(s);
}

// ---- suspicious snapshots ------------------------------------------------------------------------------------------

static void sorted_insert(double *v, int64_t *n, double x)
{
    int64_t i = *n;
    for (; i > 0 && v[i - 1] > x; i--) v[i] = v[i - 1];
    v[i] = x;
    ++*n;
}

static void sorted_remove(double *v, int64_t *n, double x)
{
    int64_t i = 0;
    while (v[i] < x) i++;
    memmove(v + i, v + i + 1, (size_t)(*n - i - 1) * sizeof *v);
    --*n;
}

static void centred_ratios(const TrafficSeries *s, Arena *a, double *ratio)
{
    int64_t F = (int64_t)s->N * s->N, D = traffic_slots_per_day(s), n = 0;
    double *total = arena_zalloc(a, (size_t)s->T * sizeof *total);
    double *window = arena_alloc(a, (size_t)(2 * D + 2) * sizeof *window);
    for (int64_t t = 0; t < s->T; t++)
        for (int64_t f = 0; f < F; f++) total[t] += (double)s->x[t * F + f];
    for (int64_t t = 0; t < D && t < s->T; t++) sorted_insert(window, &n, total[t]);
    for (int64_t t = 0; t < s->T; t++) {
        if (t + D < s->T) sorted_insert(window, &n, total[t + D]);
        if (t - D - 1 >= 0) sorted_remove(window, &n, total[t - D - 1]);
        double median = n % 2 ? window[n / 2] : 0.5 * (window[n / 2 - 1] + window[n / 2]);
        ratio[t] = median > 0 ? total[t] / median : 1;
    }
}

int64_t traffic_suspects_find(const TrafficSeries *s, Arena *a, TrafficSuspect **out)
{
    enum { BRIDGE = 3 };
    *out = arena_alloc(a, (size_t)s->T * sizeof **out);
    size_t mark = arena_mark(a);
    double *ratio = arena_alloc(a, (size_t)s->T * sizeof *ratio);
    centred_ratios(s, a, ratio);
    int64_t n = 0, last_high = -1;
    for (int64_t t = 0; t < s->T; t++) {
        bool high = ratio[t] > 5, low = ratio[t] < 1.0 / 3;
        if (high && last_high >= 0 && s->slot[t] - s->slot[last_high] <= BRIDGE + 1) {
            while (n && (*out)[n - 1].row > last_high) n--;   // a low one inside is listed again as part of the block
            for (int64_t u = last_high + 1; u < t; u++) (*out)[n++] = (TrafficSuspect){u, ratio[u], true};
        }
        if (high) last_high = t;
        if (high || low) (*out)[n++] = (TrafficSuspect){t, ratio[t], high};
    }
    arena_rewind(a, mark);
    return n;
}

int64_t traffic_suspects_mark(TrafficSeries *s, Arena *a)
{
    size_t mark = arena_mark(a);
    TrafficSuspect *list;
    int64_t n = traffic_suspects_find(s, a, &list);
    for (int64_t i = 0; i < n; i++) s->valid[list[i].row] = 0;
    arena_rewind(a, mark);
    return n;
}

int64_t traffic_duplicates_find(const TrafficSeries *s, Arena *a, TrafficRange **out)
{
    int64_t F = (int64_t)s->N * s->N, D = traffic_slots_per_day(s), n = 0, begin = -1;
    *out = arena_alloc(a, (size_t)(2 * s->T / (D + 1) + 2) * sizeof **out);
    for (int64_t t = D; t <= s->T; t++) {
        bool same = t < s->T && !memcmp(s->x + t * F, s->x + (t - D) * F, (size_t)F * sizeof *s->x);
        if (same && begin < 0) begin = t;
        if (!same && begin >= 0 && 2 * (t - begin) >= D) (*out)[n++] = (TrafficRange){begin, t};
        if (!same) begin = -1;
    }
    return n;
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
    int64_t run = 0;
    for (int64_t t = rows.begin; t < rows.end; t++) {
        while (s->runs[run].end <= t) run++;
        if (t == s->runs[run].begin) good = 0;
        good = s->valid[t] ? good + 1 : 0;   // valid snapshots in a row that end with t
        if (good >= need && seen++ % stride == 0) (*starts)[n++] = t + 1 - need;
    }
    return n;
}
