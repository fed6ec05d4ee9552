// From tables to series: missing values, filling, jitter, resampling, .npy of every type, .npz, names of nodes.
#include "traffic/series.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/npz.h"
#include "io/number.h"
#include "tests/test.h"
#include "traffic/series_export.h"
#include "traffic/series_file.h"
#include "traffic_world.h"

enum { START = 1078099200, SLOT = 3600, DAY = 24 };      // Monday 2004-03-01

// T rows of 2 x 2 nodes; value 10 (f + 1) (1 + hour of the day) + day.
static TrafficTable made(Arena *a, int64_t T)
{
    TrafficTable t = {.format = "test", .N = 2, .T = T};
    t.x = arena_alloc(a, (size_t)T * 4 * sizeof *t.x);
    t.time = arena_alloc(a, (size_t)T * sizeof *t.time);
    for (int64_t k = 0; k < T; k++) {
        t.time[k] = START + k * SLOT;
        for (int f = 0; f < 4; f++) t.x[4 * k + f] = (float)(10 * (f + 1) * (1 + k % DAY) + k / DAY);
    }
    return t;
}

static void remove_rows(TrafficTable *t, int64_t begin, int64_t n)
{
    memmove(t->x + 4 * begin, t->x + 4 * (begin + n), (size_t)(t->T - begin - n) * 4 * sizeof *t->x);
    memmove(t->time + begin, t->time + begin + n, (size_t)(t->T - begin - n) * sizeof *t->time);
    t->T -= n;
}

// ---- missing values ------------------------------------------------------------------------------------------------

static void fills(TestLog *log, Arena *a)
{
    TrafficTable t = made(a, 3 * DAY);
    TrafficSeries s;
    t.x[4 * 5 + 1] = NAN;                                                // no day before: a straight line
    t.x[4 * 40 + 2] = t.x[4 * 41 + 2] = NAN;                             // yesterday, to the level of today
    for (int64_t k = 50; k < 54; k++) t.x[4 * k] = NAN;                  // too long
    t.x[4 * 71 + 3] = NAN;                                               // at the end
    const float *y = t.x;
    const double now = (double)y[4 * 39 + 2] + (double)y[4 * 42 + 2];
    const double ratio = now / ((double)y[4 * 15 + 2] + (double)y[4 * 18 + 2]);
    const float line = (y[4 * 4 + 1] + y[4 * 6 + 1]) / 2, season = (float)(ratio * (double)y[4 * 16 + 2]);
    const float last = (float)((double)y[4 * 70 + 3] / (double)y[4 * 46 + 3] * (double)y[4 * 47 + 3]);
    Status st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.fill = 3});
    if (!TEST(log, !st.code && s.seen, "%s", st.msg)) return;
    TEST(log, s.x[4 * 5 + 1] == line && !s.seen[4 * 5 + 1] && s.valid[5], "line %g", (double)s.x[4 * 5 + 1]);
    TEST(log, s.x[4 * 40 + 2] == season && s.valid[40] && s.valid[41], "season %g want %g", (double)s.x[4 * 40 + 2],
         (double)season);
    TEST(log, s.x[4 * 71 + 3] == last && s.valid[71], "the end %g want %g", (double)s.x[4 * 71 + 3], (double)last);
    TEST(log, s.valid[50] && s.valid[53] && !s.seen[4 * 51] && s.x[4 * 51] > 0, "a long hole is not estimated");
    TEST(log, s.reading.cells_missing == 8 && s.reading.cells_filled == 4 && s.reading.cells_estimated == 4,
         "%" PRId64 " missing, %" PRId64 " filled", s.reading.cells_missing, s.reading.cells_filled);
    t = made(a, 3 * DAY);
    for (int64_t k = 50; k < 54; k++)
        for (int f = 0; f < 4; f++) t.x[4 * k + f] = NAN;
    st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.fill = 3});
    TEST(log, !st.code && !s.valid[50] && !s.valid[53] && s.valid[54] && s.x[4 * 51] == 0, "an empty row is used");
    int64_t *start, n = traffic_windows(&s, a, (TrafficRange){0, s.T}, 4, 2, 1, &start);
    TEST(log, n == 72 - 5 - 9, "%" PRId64 " windows", n);                // none that holds a row of 50 .. 53
    TrafficSeries flat = traffic_series_flatten(&s, a);
    TEST(log, !flat.valid[50] && flat.valid[49], "flattened: a row without values is valid");
}

static void absent_rows(TestLog *log, Arena *a)
{
    TrafficTable t = made(a, 3 * DAY);
    TrafficSeries s;
    const float whole = t.x[4 * 31];
    remove_rows(&t, 60, 5);                                              // too long: a border
    remove_rows(&t, 30, 2);
    TrafficTable copy = t;
    copy.x = memcpy(arena_alloc(a, (size_t)t.T * 16), t.x, (size_t)t.T * 16);
    copy.time = memcpy(arena_alloc(a, (size_t)t.T * 8), t.time, (size_t)t.T * 8);
    Status st = traffic_series_from_table(&s, a, "t", &copy, &(TrafficReadOptions){.fill = 3});
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    TEST(log, s.T == 72 - 5 && s.n_runs == 2 && s.reading.rows_filled == 2 && s.time[31] == START + 31 * SLOT,
         "T %" PRId64
         ", %" PRId64 " runs", s.T, s.n_runs);
    TEST(log, s.valid[30] && near((double)s.x[4 * 31], (double)whole, 0.1) && s.measured && !s.measured[30] &&
         s.measured[29],
         "%g want %g", (double)s.x[4 * 31], (double)whole);
    int64_t *start, n = traffic_windows(&s, a, (TrafficRange){20, 50}, 4, 2, 1, &start);
    for (int64_t i = 0; i < n; i++)                                      // targets: the two rows from start + 4 on
        TEST(log, start[i] + 5 < 30 || start[i] + 4 > 31, "window %" PRId64 " has a target that nobody measured",
             start[i]);
    TEST(log, n == 30 - 5 - 3, "%" PRId64 " windows", n);
    copy = t;
    st = traffic_series_from_table(&s, a, "t", &copy, &(TrafficReadOptions){.fill = 0});
    TEST(log, !st.code && s.T == 65 && s.n_runs == 3 && !s.measured, "without filling: %s", st.msg);
    st = traffic_series_from_table(&s, a, "t", &copy, &(TrafficReadOptions){.fill = 3, .gaps = (int64_t[]){30},
        .n_gaps = 1});
    TEST(log, !st.code && s.T == 65 && s.n_runs == 3, "a gap that was asked for is filled: %s", st.msg);
}

static void invalid_rows(TestLog *log, Arena *a)
{
    TrafficTable t = made(a, DAY);
    TrafficSeries s;
    t.x[4 * 7] = NAN;
    t.x[4 * 7 + 1] = -5;
    t.x[4 * 7 + 2] = INFINITY;
    TrafficReadOptions o = {.fill = 3, .invalid = (int64_t[]){7}, .n_invalid = 1};
    Status st = traffic_series_from_table(&s, a, "t", &t, &o);
    TEST(log, !st.code && !s.valid[7] && s.valid[6] && s.x[4 * 7] == 0 && s.x[4 * 7 + 2] == 0 && s.T == DAY, "%s",
         st.msg);
    t = made(a, DAY);
    t.x[4 * 7 + 1] = -5;
    o.invalid = (int64_t[]){8};
    st = traffic_series_from_table(&s, a, "t", &t, &o);
    TEST(log, st.code && strstr(st.msg, "got -5 in snapshot 7"), "%s", st.msg);
    o.invalid = (int64_t[]){DAY};
    t = made(a, DAY);
    st = traffic_series_from_table(&s, a, "t", &t, &o);
    TEST(log, st.code && strstr(st.msg, "want rows in 0 .. 23, got 24"), "%s", st.msg);
}

// ---- slots ---------------------------------------------------------------------------------------------------------

static void jitter(TestLog *log, Arena *a)
{
    TrafficTable t = made(a, 300);
    TrafficSeries s;
    uint64_t random = 1;
    for (int64_t k = 0; k < t.T; k++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        t.time[k] = START + 300 * k + (int64_t)(random >> 40) % 41 - 20;
    }
    Status st = traffic_series_from_table(&s, a, "t", &t, NULL);
    TEST(log, !st.code && s.slot_seconds == 300 && s.T == 300 && s.n_runs == 1 && s.time[0] == START &&
              s.time[299] == START + 299 * 300, "%s: %d s, %" PRId64 " runs", st.msg, s.slot_seconds, s.n_runs);
    TEST(log, s.reading.rows_shifted > 250 && s.reading.shift_max_s == 20, "%" PRId64 " shifted by up to %" PRId64,
         s.reading.rows_shifted, s.reading.shift_max_s);
    t = made(a, 800);                                                    // a poller every 34 or 35 s
    for (int64_t k = 0; k < t.T; k++) t.time[k] = START + 69 * k / 2;
    st = traffic_series_from_table(&s, a, "t", &t, NULL);
    TEST(log, !st.code && s.slot_seconds == 36 && s.n_runs == 1 && s.T == (799 * 69 / 2 + 18) / 36 + 1,
         "%s: %d s, %" PRId64
         " rows, %" PRId64 " runs", st.msg, s.slot_seconds, s.T, s.n_runs);
    t = made(a, 500);                                                    // exactly 7 minutes: no divisor of a day
    for (int64_t k = 0; k < t.T; k++) t.time[k] = START + 420 * k;
    st = traffic_series_from_table(&s, a, "t", &t, NULL);
    TEST(log, !st.code && s.slot_seconds == 420 && s.n_runs == 1 && !s.reading.rows_shifted, "%s: %d s", st.msg,
         s.slot_seconds);
    for (int64_t k = 0; !st.code && k < s.T; k++) {
        int slot, day;
        traffic_calendar(&s, k, 0, &slot, &day);
        TEST(log, slot >= 0 && slot < traffic_slots_per_day(&s), "slot %d of the day", slot);
    }
    TEST(log, traffic_season_offset(&s, 1, true, 0) == 1 - 1440, "a week is %" PRId64,
         traffic_season_offset(&s, 1, true, 0));
    t = made(a, 100);
    st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.slot_seconds = 2 * SLOT});
    TEST(log, st.code && strstr(st.msg, "--slot 7200 resamples"), "%s", st.msg);
}

static void resample(TestLog *log, Arena *a)
{
    TrafficTable t = made(a, 2 * DAY);
    TrafficSeries s;
    t.x[0] = t.x[4] = t.x[8] = NAN;                                      // 3 of the first 4
    t.x[1] = NAN;                                                        // 1 of 4
    Status st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.resample_seconds = 4 * SLOT});
    if (!TEST(log, !st.code && s.T == 12 && s.slot_seconds == 4 * SLOT, "%s", st.msg)) return;
    TEST(log, !s.seen[0] && s.seen[1] && s.x[1] == (40 + 60 + 80) / 3.0f && s.x[2] == 30 * 2.5f, "mean %g %g",
         (double)s.x[1], (double)s.x[2]);
    t = made(a, 2 * DAY);
    st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.resample_seconds = DAY * SLOT,
                                                                         .aggregate = AGGREGATE_MAX});
    TEST(log, !st.code && s.T == 2 && s.x[0] == 240 && s.x[4] == 241, "max %g", (double)s.x[0]);
    t = made(a, 2 * DAY);
    st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.resample_seconds = DAY * SLOT,
                                                                         .aggregate = AGGREGATE_P95});
    TEST(log, !st.code && near((double)s.x[0], 10 * (1 + 0.95 * 23), 1e-4), "p95 %g", (double)s.x[0]);
    t = made(a, 2 * DAY);
    st = traffic_series_from_table(&s, a, "t", &t, &(TrafficReadOptions){.resample_seconds = 60});
    TEST(log, st.code && strstr(st.msg, "--slot"), "%s", st.msg);
}

static void order_and_unit(TestLog *log, Arena *a)
{
    TrafficTable t = made(a, 40), u = made(a, 40);
    TrafficSeries s;
    for (int64_t k = 0; k < 40; k++) {                                   // 17 and 40 have no common divisor
        t.time[k] = u.time[17 * k % 40];
        memcpy(t.x + 4 * k, u.x + 4 * (17 * k % 40), 16);
    }
    t.unit = "bytes per slot";
    const TrafficReadOptions o = {.invalid = (int64_t[]){1}, .n_invalid = 1};
    Status st = traffic_series_from_table(&s, a, "t", &t, &o);
    TEST(log, !st.code && !memcmp(s.time, u.time, 40 * 8) && !s.valid[17] && s.valid[1] && s.reading.rows_moved == 16,
         "%s: %" PRId64 " moved", st.msg, s.reading.rows_moved);
    for (int64_t k = 0; k < 160; k++)
        TEST(log, near((double)s.x[k], (double)u.x[k] * 0.008 / SLOT, 1e-6), "value %" PRId64, k);
    st = traffic_series_from_table(&s, a, "t", &u, &(TrafficReadOptions){.unit = "Gbit/s"});
    TEST(log, !st.code && s.x[0] == 1e7f, "%s", st.msg);
    st = traffic_series_from_table(&s, a, "t", &u, &(TrafficReadOptions){.unit = "ells"});
    TEST(log, st.code == 2 && strstr(st.msg, "--unit"), "%s", st.msg);
}

// ---- .npy ----------------------------------------------------------------------------------------------------------

// The bytes of v as an element of that type.
static void element(unsigned char *p, const char *type, double v)
{
    const int width = type[2] - '0';
    uint64_t bits = (uint64_t)(int64_t)v;
    const float f = (float)v;
    uint32_t low;
    memcpy(&low, &f, sizeof low);
    if (type[1] == 'f' && width == 8) memcpy(&bits, &v, sizeof bits);
    if (type[1] == 'f' && width == 4) bits = low;
    if (type[1] == 'f' && width == 2) bits = v == 0 ? 0 : ((low >> 23 & 255) - 112) << 10 | (low >> 13 & 1023);
    for (int b = 0; b < width; b++) p[type[0] == '>' ? width - 1 - b : b] = (unsigned char)(bits >> 8 * b);
}

static void npy_types(TestLog *log, Arena *a)
{
    static const char *const type[] = {"<i1", "|u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8",
        ">i8",
                                       "<u8", ">u8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8"};
    for (size_t i = 0; i < sizeof type / sizeof *type; i++)
        for (int fortran = 0; fortran < 2; fortran++) {
            unsigned char data[27 * 8];
            for (int k = 0; k < 27; k++) {                               // element [t][i][j] is 9 t + 3 i + j
                const int at = fortran ? k / 9 + k / 3 % 3 * 3 + k % 3 * 9 : k;
                element(data + at * (type[i][2] - '0'), type[i], k);
            }
            const char *dict = arena_printf(a, "{'descr': '%s', 'fortran_order': %s, 'shape': (3L, 3L, 3L), }\n",
                                            type[i],
                                            fortran ? "True" : "False");
            const char *path = scratch_npy(log, a, "type.npy", 1, dict, data, (size_t)(27 * (type[i][2] - '0')), 0);
            TrafficSeries s;
            const Status st = traffic_series_read(&s, a, path, NULL);
            if (!TEST(log, !st.code && s.T == 3, "%s: %s", type[i], st.msg)) continue;
            for (int k = 0; k < 27; k++) TEST(log, s.x[k] == (float)k, "%s fortran %d: element %d is %g", type[i],
                                              fortran, k,
                                              (double)s.x[k]);
        }
}

static void npy_times(TestLog *log, Arena *a)
{
    static const struct { const char *type; double unit; } kind[] = {
        {"<M8[s]", 1}, {"<M8[ms]", 1e3}, {">M8[us]", 1e6}, {"<M8[ns]", 1e9}, {"<M8[m]", 1 / 60.0}, {"<M8[5m]",
            1 / 300.0},
        {"<M8[h]", 1 / 3600.0}, {"<f8", 1}, {"<u4", 1}, {"<i8", 1e3}, {"<i8", 1e9}};
    const float x[12] = {0};
    const char *path = scratch_npy(log, a, "dated.npy", 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, "
                                   "4), }", x,
                                   sizeof x, 0);
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        unsigned char data[24];
        const bool date = strchr(kind[i].type, 'M');
        char type[4] = {kind[i].type[0], date ? 'i' : kind[i].type[1], kind[i].type[2], 0};
        const int width = type[2] - '0';
        for (int k = 0; k < 3; k++) element(data + k * width, type, (START + 7200.0 * k) * kind[i].unit);
        const char *dict = arena_printf(a, "{'descr': '%s', 'fortran_order': False, 'shape': (3,), }", kind[i].type);
        const TrafficReadOptions o = {.times_path = scratch_npy(log, a, "dates.npy", 1, dict, data,
                                                                (size_t)(3 * width), 0)};
        TrafficSeries s;
        const Status st = traffic_series_read(&s, a, path, &o);
        TEST(log, !st.code && s.time[0] == START && s.time[2] == START + 14400 && s.slot_seconds == 7200, "%s: %s",
             kind[i].type, st.msg);
    }
    const char *text = "time\n2004-03-01 00:00\n2004-03-01 02:00\n2004-03-01 04:00\n";
    TrafficSeries s;
    const Status st = traffic_series_read(&s, a, path, &(TrafficReadOptions){
        .times_path = scratch_write(log, a, "times.txt", text, strlen(text))});
    TEST(log, !st.code && s.time[1] == START + 7200, "times as text: %s", st.msg);
}

// ---- .npz ----------------------------------------------------------------------------------------------------------

static bool equal(const TrafficSeries *s, const TrafficSeries *r)
{
    const size_t cells = (size_t)s->T * 4;
    bool same = s->T == r->T && s->N == r->N && s->slot_seconds == r->slot_seconds && !s->seen == !r->seen &&
                !memcmp(s->x, r->x, cells * sizeof *s->x) && !memcmp(s->time, r->time, (size_t)s->T * 8) &&
                (!s->seen || !memcmp(s->seen, r->seen, cells)) && !memcmp(s->valid, r->valid, (size_t)s->T);
    for (int i = 0; same && i < s->N; i++) same = r->node && !strcmp(s->node[i], r->node[i]);
    return same;
}

static void npz(TestLog *log, Arena *a)
{
    static const char *const nodes[] = {"Zürich", "東京"};
    TrafficTable t = made(a, 10 * DAY);
    TrafficSeries s, r;
    t.node = nodes;
    t.x[9] = NAN;
    Status st = traffic_series_from_table(&s, a, "t", &t, NULL);
    const char *path = arena_printf(a, "%s/s.npz", log->tmp);
    if (!st.code) st = traffic_npz_write(&s, a, path);
    if (!st.code) st = traffic_series_read(&r, a, path, NULL);
    if (!TEST(log, !st.code && equal(&s, &r), "written and read back: %s", st.msg)) return;
    char *bytes;
    size_t size;
    st = file_read(&bytes, &size, a, path, SIZE_MAX / 2);
    TEST(log, !st.code && size < (size_t)s.T * 24, "%zu bytes: not deflated", size);
    int refused = 0, read = 0, same = 0;
    for (size_t at = 0; at < size; at += log->quick ? 29 : 3) {          // no damaged byte may go unnoticed or crash
        bytes[at] = (char)(bytes[at] ^ 0x55);
        const char *bad = scratch_write(log, a, "bad.npz", bytes, size);
        bytes[at] = (char)(bytes[at] ^ 0x55);
        st = traffic_series_read(&r, a, bad, NULL);
        refused += st.code != 0;
        read += !st.code;
        same += !st.code && r.T == s.T && !memcmp(s.x, r.x, (size_t)s.T * 16);
    }
    TEST(log, refused > read && same == read, "%d refused, %d read, of those %d the same values", refused, read, same);
    for (size_t n = 0; n < size; n += 13) {
        TEST(log, traffic_series_read(&r, a, scratch_write(log, a, "cut.npz", bytes, n ? n : 1), NULL).code,
             "cut at %zu", n);
    }
    for (size_t at = 0; at + 4 < size; at++)                             // ZIP64 in the directory
        if (!memcmp(bytes + at, "PK\1\2", 4)) {
            memset(bytes + at + 20, 0xFF, 8);
            break;
        }
    st = traffic_series_read(&r, a, scratch_write(log, a, "zip64.npz", bytes, size), NULL);
    TEST(log, st.code && strstr(st.msg, "ZIP64"), "%s", st.msg);
}

// A deflated array of any length and content is read back: inflating needs bytes that come behind some streams.
static void npz_lengths(TestLog *log, Arena *a)
{
    enum { LONGEST = 200, SEEDS = 5 };
    int deflated = 0;
    for (int64_t n = 1; n <= LONGEST; n++)
        for (uint32_t seed = 1; seed <= SEEDS; seed++) {
            int32_t x[LONGEST];
            for (uint32_t i = 0, r = seed * 7919 + (uint32_t)n; i < n; i++, r = r * 1664525 + 1013904223)
                x[i] = (int32_t)(r >> 24) % 26 + 97;
            const char *path = arena_printf(a, "%s/n.npz", log->tmp);
            NpzWriter w;
            NpzFile f;
            NpyView v;
            char *bytes;
            size_t size;
            Status st = npz_begin(&w, a, path);
            if (!st.code) npz_put(&w, "x", "<i4", &n, 1, x, (size_t)n * 4);
            if (!st.code) st = npz_end(&w);
            if (!st.code) st = file_read(&bytes, &size, a, path, SIZE_MAX / 2);
            if (!st.code) st = npz_open(&f, a, bytes, size, path);
            if (!st.code) st = npz_read(&v, a, &f, &f.member[0]);
            deflated += !st.code && f.member[0].deflated;
            TEST(log, !st.code && v.count == n && !memcmp(v.data, x, (size_t)n * 4), "%" PRId64 " numbers, seed %u: %s",
                 n, seed, st.msg);
        }
    TEST(log, deflated > LONGEST, "%d were deflated", deflated);
}

static void exports(TestLog *log, Arena *a)
{
    static const char *const nodes[] = {"A,1", "B"};
    static const struct { const char *name; ExportFormat f; bool gaps; } to[] = {
        {"e.csv", EXPORT_CSV, true}, {"e.long.csv", EXPORT_LONG, true}, {"e.npz", EXPORT_NPZ, true},
        {"e.npy", EXPORT_NPY, true}};
    TrafficTable t = made(a, 2 * DAY);
    TrafficSeries s, r;
    for (int64_t k = 0; k < 4 * t.T; k++) t.x[k] *= 1.0123f;
    t.x[9] = NAN;
    t.node = nodes;
    const TrafficReadOptions o = {.keep_missing = true};
    Status st = traffic_series_from_table(&s, a, "t", &t, &o);
    for (size_t i = 0; !st.code && i < sizeof to / sizeof *to; i++) {
        const char *path = arena_printf(a, "%s/%s", log->tmp, to[i].name);
        ExportFormat f;
        TEST(log, export_format_of(&f, path) && f == to[i].f, "%s", path);
        Status done = traffic_series_export(&s, a, path, f, (TrafficRange){0, s.T});
        if (!done.code) done = traffic_series_read(&r, a, path, &o);
        if (f == EXPORT_NPY) r.node = s.node;                            // it has no place for names
        TEST(log, !done.code && equal(&s, &r), "%s: %s", path, done.msg);
    }
    st = traffic_series_export(&s, a, arena_printf(a, "%s/e.hist", log->tmp), EXPORT_HIST, (TrafficRange){0, s.T});
    TEST(log, st.code && strstr(st.msg, "snapshot 2, flow 0 -> 1 is missing"), "%s", st.msg);
    st = traffic_series_export(&s, a, arena_printf(a, "%s/e.hist", log->tmp), EXPORT_HIST, (TrafficRange){3, s.T});
    if (!st.code) st = traffic_series_read(&r, a, arena_printf(a, "%s/e.hist", log->tmp), NULL);
    TEST(log, !st.code && r.T == s.T - 3 && near((double)r.x[1], (double)s.x[13], 1e-3) && r.x[0] == 0, "hist: %s",
         st.msg);
}

// ---- numbers and names ---------------------------------------------------------------------------------------------

static void numbers(TestLog *log)
{
    char text[400];
    uint64_t random = 7;
    for (int i = 0; i < (log->quick ? 20000 : 400000); i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        double v, got;
        uint64_t bits = random ^ random >> 29;
        memcpy(&v, &bits, sizeof v);
        if (i % 3 == 1) v = (double)(int64_t)(random >> 20) / 10000;
        if (!isfinite(v)) continue;
        static const char *const form[] = {"%.17g", "%.4f", "%.7e", "%.18e", "%.3g", "%.0f", "%.25f"};
        const int n = snprintf(text, sizeof text, form[i % 7], v);
        if (n >= (int)sizeof text) continue;
        const char *end = number_parse(text, text + n, '.', &got);
        const double want = strtod(text, NULL);
        TEST(log, end == text + n && !memcmp(&got, &want, sizeof got), "'%s': %.17g, strtod %.17g", text, got, want);
    }
    double v;
    const char *cut = "12345";
    TEST(log, number_parse(cut, cut + 3, '.', &v) == cut + 3 && v == 123, "reads beyond the end");
    TEST(log, !number_parse(cut, cut, '.', &v), "a number in nothing");
    TEST(log, !number_parse(".", &"."[1], '.', &v) && !number_parse("-", &"-"[1], '.', &v), "no digits");
    const char *comma = "1,5";
    TEST(log, number_parse(comma, comma + 3, ',', &v) && v == 1.5, "decimal comma %g", v);
}

static void names(TestLog *log, Arena *a)
{
    static const char *const nodes[] = {"STTLng", "NY:CM"};
    TrafficTable t = made(a, DAY);
    TrafficSeries s;
    bool moved;
    t.node = nodes;
    Status st = traffic_series_from_table(&s, a, "t", &t, NULL);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    TEST(log, !strcmp(traffic_nodes_text(&s, a), "STTLng\nNY:CM"), "'%s'", traffic_nodes_text(&s, a));
    int flow = -1;
    TEST(log, !traffic_flow_find(&flow, &s, "STTLng:NY:CM", 12).code && flow == 1, "flow %d", flow);
    TEST(log, !traffic_flow_find(&flow, &s, "1:STTLng", 8).code && flow == 2, "flow %d", flow);
    TEST(log, traffic_flow_find(&flow, &s, "STTLng:2", 8).code == 2 &&
              traffic_flow_find(&flow, &s, "STTLng", 6).code == 2,
         "no such flow");
    const float x01 = s.x[1], x00 = s.x[0];
    st = traffic_nodes_match(&s, a, "NY:CM\nSTTLng", &moved);
    TEST(log, !st.code && moved && s.x[2] == x01 && s.x[3] == x00 && !strcmp(s.node[0], "NY:CM"), "permuted: %s",
         st.msg);
    st = traffic_nodes_match(&s, a, "NY:CM\nSTTLng", &moved);
    TEST(log, !st.code && !moved, "moved again");
    st = traffic_nodes_match(&s, a, "NY:CM\nLOSAng\nSTTLng", &moved);
    TEST(log, st.code && strstr(st.msg, "missing LOSAng; new none"), "%s", st.msg);
    st = traffic_nodes_match(&s, a, "NY:CM\nLOSAng", &moved);
    TEST(log, st.code && strstr(st.msg, "missing LOSAng; new STTLng"), "%s", st.msg);
    s.node = NULL;
    TEST(log, !traffic_nodes_match(&s, a, "x\ny", &moved).code && !moved, "a series without names");
}

void test_series(TestLog *log)
{
    Arena *a = arena_new("test_series", (size_t)16 << 30, NULL);
    fills(log, a);
    absent_rows(log, a);
    invalid_rows(log, a);
    jitter(log, a);
    resample(log, a);
    order_and_unit(log, a);
    npy_types(log, a);
    npy_times(log, a);
    npz(log, a);
    npz_lengths(log, a);
    exports(log, a);
    numbers(log);
    names(log, a);
    arena_delete(a);
}
