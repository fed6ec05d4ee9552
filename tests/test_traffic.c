// Traffic series: readers and every refusal, runs, calendar, suspicious snapshots, windows, writers, data info.
#include "traffic/series.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/test.h"
#include "traffic/csv.h"
#include "traffic/info.h"
#include "io/npy.h"
#include "traffic_world.h"

// ---- scratch files -------------------------------------------------------------------------------------------------

static void refused(TestLog *log, Arena *a, const char *path, const TrafficReadOptions *o, const char *want)
{
    TrafficSeries s;
    Status st = traffic_series_read(&s, a, path, o);
    TEST(log, st.code == 1 && strstr(st.msg, want), "%s: want an error with '%s', got %d '%s'", path, want, st.code,
         st.msg);
}

// ---- .npy ----------------------------------------------------------------------------------------------------------

#define DICT(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"

static void npy_accepted(TestLog *log, Arena *a)
{
    float x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0};
    double d[12];
    for (int i = 0; i < 12; i++) d[i] = (double)x[i];
    static const struct { int version; const char *dict; bool f8; } ok[] = {
        {1, DICT("'<f4'", "False", "(3, 2, 2)"), false}, {2, DICT("'<f4'", "False", "(3, 2, 2)"), false},
        {3, DICT("'<f4'", "False", "(3, 4)"), false},    {1, DICT("'<f8'", "False", "(3, 2, 2)"), true},
        {1, "{\"fortran_order\":False,\"shape\":(3,4),\"descr\":\"<f8\"}", true}};
    for (size_t i = 0; i < sizeof ok / sizeof *ok; i++) {
        const char *path = scratch_npy(log, a, "ok.npy", ok[i].version, ok[i].dict, ok[i].f8 ? (void *)d : (void *)x,
                                       ok[i].f8 ? sizeof d : sizeof x, 0);
        TrafficSeries s;
        Status st = traffic_series_read(&s, a, path, NULL);
        if (!TEST(log, !st.code, "case %zu: %s", i, st.msg)) continue;
        TEST(log,
             s.N == 2 && s.T == 3 && !memcmp(s.x, x, sizeof x) && !s.time && s.n_runs == 1 && s.slot_seconds == 300,
             "case %zu: N %d T %" PRId64 " runs %" PRId64, i, s.N, s.T, s.n_runs);
    }
}

static void npy_refused(TestLog *log, Arena *a)
{
    float x[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const struct { const char *what, *dict; size_t bytes, claims; int version; const char *want; } bad[] = {
        {"truncated data", DICT("'<f4'", "False", "(3, 2, 2)"), 44, 0, 1, "promises 12 values"},
        {"bytes left over", DICT("'<f4'", "False", "(3, 2, 2)"), 52, 0, 1, "promises 12 values"},
        {"header larger than the file", DICT("'<f4'", "False", "(3, 2, 2)"), 48, 5000, 1, "header claims 5000"},
        {"oversized header", DICT("'<f4'", "False", "(3, 2, 2)"), 48, 4000000000u, 2, "at most 65536"},
        {"version 4", DICT("'<f4'", "False", "(3, 2, 2)"), 48, 0, 4, "version 1, 2 or 3"},
        {"structured dtype", DICT("[('a', '<f4')]", "False", "(3, 2, 2)"), 48, 0, 1, "want a dtype of numbers"},
        {"complex", DICT("'<c8'", "False", "(3, 2, 2)"), 96, 0, 1, "want a dtype of numbers"},
        {"no order", DICT("'<f4'", "Maybe", "(3, 2, 2)"), 48, 0, 1, "'fortran_order': True or False"},
        {"dates as traffic", DICT("'<M8[s]'", "False", "(2, 2, 2)"), 64, 0, 1, "want numbers of traffic"},
        {"ends in a key", "{'fortran_order': False, 'shape': (3, 2, 2), 'descr':", 48, 0, 1, "want keys"},
        {"ends in a quote", "{'fortran_order': False, 'shape': (3, 2, 2), 'descr': '", 48, 0, 1, "want a dtype"},
        {"no shape", "{'descr': '<f4', 'fortran_order': False}", 48, 0, 1, "want keys"},
        {"negative size", DICT("'<f4'", "False", "(-3, 2, 2)"), 48, 0, 1, "unreadable shape"},
        {"zero rows", DICT("'<f4'", "False", "(0, 2, 2)"), 0, 0, 1, "empty"},
        {"2^60 rows", DICT("'<f4'", "False", "(1152921504606846976, 1, 1)"), 48, 0, 1, "promises 1152921504606846976"},
        {"2^60 x 2^60", DICT("'<f4'", "False", "(1152921504606846976, 1152921504606846976)"), 48, 0, 1, "2^63"},
        {"2^70", DICT("'<f4'", "False", "(1180591620717411303424, 2, 2)"), 48, 0, 1, "unreadable shape"},
        {"one dimension", DICT("'<f4'", "False", "(12,)"), 48, 0, 1, "got 1 dimensions"},
        {"not square", DICT("'<f4'", "False", "(2, 2, 3)"), 48, 0, 1, "square matrices, got 2 x 3"},
        {"no square number", DICT("'<f4'", "False", "(2, 6)"), 48, 0, 1, "no square"},
        {"one row", DICT("'<f4'", "False", "(1, 2, 2)"), 16, 0, 1, "at least 2 snapshots"},
        {"one node", DICT("'<f4'", "False", "(12, 1, 1)"), 48, 0, 1, "at least 2 x 2"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(log, a, scratch_npy(log, a, "bad.npy", bad[i].version, bad[i].dict, x, bad[i].bytes, bad[i].claims),
                NULL, bad[i].want);
    refused(log, a, arena_printf(a, "%s/none.npy", log->tmp), NULL, "No such file");
    refused(log, a, arena_printf(a, "%s/no*ne", log->tmp), NULL, "found nothing");
    refused(log, a, scratch_write(log, a, "bad.npy", "", 0), NULL, "the file is empty");
    refused(log, a, scratch_write(log, a, "bad.npy", "\x93NUMPY\1", 7), NULL, "truncated");
    refused(log, a, scratch_write(log, a, "bad.npy", "PQ\3\4 a zip file", 15), NULL, "magic");
    refused(log, a, scratch_write(log, a, "bad.npy", "PK\3\4 a zip file", 15), NULL, "no directory at its end");
    const float poison[] = {INFINITY, -INFINITY, -1, -FLT_MIN};
    for (size_t i = 0; i < sizeof poison / sizeof *poison; i++) {
        x[7] = poison[i];
        refused(log, a, scratch_npy(log, a, "bad.npy", 1, DICT("'<f4'", "False", "(3, 2, 2)"), x, 48, 0), NULL,
                "in snapshot 1, flow 1 -> 1");
    }
    double huge[8] = {1e39, 1, 1, 1, 1, 1, 1, 1};
    refused(log, a, scratch_npy(log, a, "bad.npy", 1, DICT("'<f8'", "False", "(2, 2, 2)"), huge, 64, 0), NULL,
            "got inf in snapshot 0");
}

static void times_and_gaps(TestLog *log, Arena *a)
{
    float x[24] = {0};
    const char *path = scratch_npy(log, a, "t.npy", 1, DICT("'<f4'", "False", "(6, 2, 2)"), x, 96, 0);
    int64_t time[6] = {600, 900, 1200, 3000, 3300, 6000};
    for (int i = 0; i < 6; i++) time[i] += 1078099200;   // 2004-03-01
    const char *times = scratch_npy(log, a, "t_times.npy", 1, DICT("'<i8'", "False", "(6,)"), time, 48, 0);
    TrafficReadOptions o = {.times_path = times};
    TrafficSeries s;
    Status st = traffic_series_read(&s, a, path, &o);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    TEST(log, s.slot_seconds == 300 && s.n_runs == 3 && s.runs[1].begin == 3 && s.runs[2].begin == 5 && s.slot[5] == 18,
         "slot %d s, %" PRId64 " runs", s.slot_seconds, s.n_runs);
    TEST(log, traffic_row_at(&s, 5, -10) == 3 && traffic_row_at(&s, 0, 9) == 4 && traffic_row_at(&s, 2, 1) == -1 &&
              traffic_row_at(&s, 0, -1) == -1 && traffic_row_at(&s, 5, 1) == -1, "row_at across gaps");
    s.valid[3] = 0;
    TEST(log, traffic_row_at(&s, 5, -10) == -1, "an invalid snapshot was found");
    o.gaps = (int64_t[]){1};
    o.n_gaps = 1;
    st = traffic_series_read(&s, a, path, &o);
    TEST(log, !st.code && s.n_runs == 4 && s.runs[1].begin == 1 && traffic_row_at(&s, 0, 1) == 1, "gap beside times");
    o.times_path = NULL;
    st = traffic_series_read(&s, a, path, &o);
    TEST(log, !st.code && s.n_runs == 2 && traffic_row_at(&s, 0, 1) == -1 && traffic_row_at(&s, 1, 1) == 2,
         "a gap of unknown length can be looked across");
    o.gaps = (int64_t[]){6};
    refused(log, a, path, &o, "gaps: want increasing rows in 1 .. 5, got 6");
    TrafficReadOptions bad = {.times_path =
                                  scratch_npy(log, a, "b.npy", 1, DICT("'<i8'", "False", "(5,)"), time, 40, 0)};
    refused(log, a, path, &bad, "want 6 times");
    bad.times_path = scratch_npy(log, a, "b.npy", 1, DICT("'<f8'", "False", "(6,)"), time, 48, 0);
    refused(log, a, path, &bad, "want times of 1990 .. 2100");
    bad.times_path = arena_printf(a, "%s/no_times.npy", log->tmp);
    refused(log, a, path, &bad, "No such file");
    time[3] = time[2];
    x[12] = 1;                                           // another snapshot of the same time
    path = scratch_npy(log, a, "t.npy", 1, DICT("'<f4'", "False", "(6, 2, 2)"), x, 96, 0);
    bad.times_path = scratch_npy(log, a, "b.npy", 1, DICT("'<i8'", "False", "(6,)"), time, 48, 0);
    refused(log, a, path, &bad, "increasing times");
    time[3] = time[2] + 1;
    bad.times_path = scratch_npy(log, a, "b.npy", 1, DICT("'<i8'", "False", "(6,)"), time, 48, 0);
    refused(log, a, path, &bad, "at most one snapshot per 300 s");
    time[3] = -5;
    bad.times_path = scratch_npy(log, a, "b.npy", 1, DICT("'<i8'", "False", "(6,)"), time, 48, 0);
    refused(log, a, path, &bad, "Unix seconds");
    bad.times_path = times;
    bad.slot_seconds = 90000;
    refused(log, a, path, &bad, "want a slot of 1 .. 86400 s");
}

// ---- CSV -----------------------------------------------------------------------------------------------------------

static void csv_times(TestLog *log)
{
    static const struct { const char *text; int64_t want; } t[] = {
        {"2005-01-01-00-30", 1104539400}, {"2005-01-01 00:30", 1104539400}, {"2005-01-01T00:30:15Z", 1104539415},
        {"2000-02-29 23:59:59", 951868799}, {"1970-01-01T00:00", -1}, {"1104539400", 1104539400},
        {"2005-13-01-00-30", -1}, {"2005-01-01-24-30", -1}, {"12:30", -1}, {"1.5", -1}, {"", -1}, {"-3", -1},
        {"2005-01-01-00-30x", -1}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t got = -2;
        bool ok = csv_parse_time(t[i].text, &got);
        TEST(log, ok == (t[i].want >= 0) && (!ok || got == t[i].want), "'%s': %d, %" PRId64, t[i].text, ok, got);
    }
}

static void csv_files(TestLog *log, Arena *a)
{
    static const char *const good[] = {
        "1,2,3,4\n5,6,7,8\n9,10,11,0\n",
        "a,b,c,d\n1,2,3,4\n5,6,7,8\n9,10,11,0",
        "1,2,3,4,\r\n5,6,7,8,\r\n9,10,11,0,\r\n",
        "time;a;b;c;d\n2005-01-01-00-30;1;2;3;4\n2005-01-01-00-45;5;6;7;8\n2005-01-01-01-00;9;1e1;11;0\n",
        "2005-01-01 00:30:00\t1\t2\t3\t4\n2005-01-01T00:45:00Z\t5\t6\t7\t8\n\n2005-01-01 01:00\t9\t10\t11\t0\n",
        "\xef\xbb\xbf"
        "1104539400, 1, 2, 3, 4,\n1104540300, 5, 6, 7, 8,\n1104541200, 9, 10, 11, 0,\n"};
    const float x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0};
    TrafficSeries s;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        Status st = traffic_series_read(&s, a, scratch_write(log, a, "g.csv", good[i], strlen(good[i])), NULL);
        if (!TEST(log, !st.code, "case %zu: %s", i, st.msg)) continue;
        TEST(log, s.T == 3 && s.N == 2 && !memcmp(s.x, x, sizeof x) && !s.time == (i < 3), "case %zu", i);
        if (s.time) TEST(log, s.time[0] == 1104539400 && s.slot_seconds == 900, "case %zu: %" PRId64, i, s.time[0]);
    }
    static const struct { const char *text, *want; } bad[] = {
        {"", "empty"}, {"\n", ":1: want N*N values"}, {"1,2,3\n4,5,6\n", ":1: want N*N values"}, {"7\n8\n", ":1: want"},
        {"1,2,3,4\n5,6,7\n", ":2: want 4 fields as in line 1, got 3"}, {"1,2,3,4\n5,6,7,8,9\n", ":2: want 4 fields"},
        {"1,2,3,4\n5,6,seven,8\n", ":2: want a number in field 3, got 'seven'"},
        {"1,2,x3,4\n5,6,7,8\n", ":1: want a number in field 3, or a header"},
        {"1,2,3,4\n5,6,7,-8\n", "got -8 in snapshot 1"}, {"1,2,3,4\n", "at least 2 snapshots, got 1"},
        {"h,h,h,h\n", "below the header, got none"}, {"1104539400,1,2,3,4\nsoon,1,2,3,4\n", ":2: want a time such as"},
        {"1104539400,1,2,3,4\n1104539400,1,2,3,5\n", "increasing times"},
        {"20,1,2,3,4\n10,1,2,3,4\n", "or a row number"}, {"1,2,3,inf\n1,2,3,4\n", "got inf"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(log, a, scratch_write(log, a, "b.csv", bad[i].text, strlen(bad[i].text)), NULL, bad[i].want);
    refused(log, a, scratch_write(log, a, "b.csv", "1,2\0,3,4\n", 9), NULL, "NUL byte");
}

// ---- windows, calendar, rules --------------------------------------------------------------------------------------

static TrafficSeries small_series(Arena *a, int64_t T, int slot_seconds, const int64_t *gaps, int64_t n_gaps)
{
    TrafficSeries s;
    TrafficReadOptions o = {.slot_seconds = slot_seconds, .gaps = gaps, .n_gaps = n_gaps};
    float *x = arena_alloc(a, (size_t)T * 4 * sizeof *x);
    for (int64_t k = 0; k < 4 * T; k++) x[k] = (float)(k % 7 + 1);
    Status st = traffic_series_init(&s, a, "test", 2, T, x, NULL, &o);
    CHECK(!st.code, "%s", st.msg);
    return s;
}

static void windows(TestLog *log, Arena *a)
{
    TrafficSeries s = small_series(a, 40, 300, (int64_t[]){10, 25}, 2);
    s.valid[17] = 0;
    int64_t *got, n = traffic_windows(&s, a, (TrafficRange){2, 38}, 3, 2, 1, &got), want = 0;
    // brute force
    for (int64_t b = 2; b + 5 <= 38; b++) {
        bool ok = true;
        for (int64_t t = b; t < b + 5; t++) ok = ok && s.valid[t] && (t == b || (t != 10 && t != 25));
        if (!ok) continue;
        TEST(log, want < n && got[want] == b, "window %" PRId64 " begins at %" PRId64, want, b);
        want++;
    }
    TEST(log, n == want && n == 4 + 3 + 3 + 9, "%" PRId64 " windows, want %" PRId64, n, want);
    TEST(log, traffic_windows(&s, a, (TrafficRange){2, 38}, 3, 2, 5, &got) == 4, "stride 5");
    TEST(log, traffic_windows(&s, a, (TrafficRange){2, 38}, 16, 2, 1, &got) == 0, "too long windows");
    TrafficSplits c = traffic_splits(48096, PROTOCOL_CLEAN), f = traffic_splits(48096, PROTOCOL_FLOW_BY_FLOW);
    TEST(log, c.train.end == 33667 && c.val.end == 40881 && c.test.end == 48096 && f.val.begin == 33667 &&
              f.test.begin == 38476, "splits");
    Status st = traffic_series_mark_invalid(&s, (int64_t[]){3, 40}, 2);
    TEST(log, st.code && strstr(st.msg, "0 .. 39, got 40") && s.valid[3], "mark: %s", st.msg);
}

static void calendar(TestLog *log, Arena *a)
{
    TrafficSeries s = small_series(a, 2, 300, NULL, 0);
    int slot, day;
    traffic_calendar(&s, 0, 288 * 9 + 5, &slot, &day);
    TEST(log, slot == 5 && day == 2, "without times: slot %d, day %d", slot, day);
    s.time = (int64_t[]){1078099200, 1078099500};   // Monday 2004-03-01 00:00
    s.calendar_shift_s = 3600;
    traffic_calendar(&s, 1, 0, &slot, &day);
    TEST(log, slot == 13 && day == 0, "slot %d, day %d", slot, day);
    traffic_calendar(&s, 1, -14, &slot, &day);
    TEST(log, slot == 287 && day == 6, "slot %d, day %d", slot, day);
}

static void write_and_read_back(TestLog *log, Arena *a)
{
    TrafficSeries s = small_series(a, 50, 300, NULL, 0), r;
    s.time = arena_alloc(a, 50 * sizeof *s.time);
    for (int64_t t = 0; t < 50; t++) s.time[t] = 1078099200 + 300 * (t + 4 * (t >= 20));
    const char *dir = arena_printf(a, "%s/written", log->tmp), *path = arena_printf(a, "%s/x.npy", dir);
    Status st = traffic_series_write(&s, path, NULL);
    TEST(log, st.code, "writing into a directory that is not there succeeded");
    mkdir(dir, 0777);
    st = traffic_series_write(&s, path, NULL);
    TEST(log, !st.code, "%s", st.msg);
    st = traffic_series_read(&r, a, path, NULL);
    TEST(log,
         !st.code && r.T == 50 && !memcmp(r.x, s.x, 800) && r.time && !memcmp(r.time, s.time, 400) && r.n_runs == 2,
         "read back: %s", st.msg);
}

// A third of normal, five times normal, a hole in a corrupt block; bursts of three times are kept.
static void suspects(TestLog *log, Arena *a)
{
    TrafficSeries s = small_series(a, 400, 3600, NULL, 0);
    static const struct {
        int row;
        float factor;
    } change[] = {{100, 3}, {101, 3}, {150, 0.2f}, {200, 9}, {202, 9}, {300, 0}, {303, 9}};
    for (size_t i = 0; i < sizeof change / sizeof *change; i++)
        for (int k = 0; k < 4; k++) s.x[change[i].row * 4 + k] = 4 * change[i].factor;
    TrafficSuspect *list;
    int64_t n = traffic_suspects_find(&s, a, &list);
    const int64_t want[] = {150, 200, 201, 202, 300, 303};
    for (int64_t i = 0; i < n && i < 6; i++)
        TEST(log, list[i].row == want[i], "suspect %" PRId64 ": %" PRId64, i, list[i].row);
    TEST(log, n == 6 && list[2].high && !list[0].high, "%" PRId64 " suspects", n);
    TEST(log, traffic_suspects_mark(&s, a) == 6 && !s.valid[201] && s.valid[203], "marking");
    for (int64_t k = 0; k < 24 * 4; k++) s.x[100 * 4 + k] = s.x[76 * 4 + k] = (float)(k * k % 31);
    TrafficRepeat *same;
    for (int64_t t = 0; t < 76; t++) s.x[4 * t] = (float)t;   // the rest does not repeat itself
    for (int64_t t = 124; t < 400; t++) s.x[4 * t] = (float)t;
    n = traffic_repeats_find(&s, a, &same);
    TEST(log, n == 1 && same[0].rows.begin == 100 && same[0].rows.end == 124 && same[0].from == 76,
         "%" PRId64 " repeated blocks", n);
}

// ---- real data -----------------------------------------------------------------------------------------------------

static void real_abilene(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/data/abilene (real traffic)");
        return;
    }
    TrafficSeries s;
    Status st = traffic_series_read(&s, a, arena_printf(a, "%s/data/abilene/abilene.npy", log->shared), NULL);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    TEST(log, s.N == 12 && s.T == 48096 && s.slot_seconds == 300 && s.n_runs == 5 && s.runs[4].begin == 42048,
         "Abilene");
    TEST(log, near((double)s.x[0], 26.66667, 1e-4) && near((double)s.x[1], 522.208, 1e-2), "first values");
    TrafficSuspect *list;
    int64_t n = traffic_suspects_find(&s, a, &list);
    TEST(log, n == 1 && list[0].row == 47429 && list[0].high, "%" PRId64 " suspects in Abilene", n);
    TrafficRepeat *same;
    n = traffic_repeats_find(&s, a, &same);
    TEST(log,
         n == 3 && same[0].rows.begin == 18144 && same[1].rows.begin == 34272 && same[2].rows.begin == 42048 &&
             same[2].rows.end == 42336 && same[2].from == 41760,
         "%" PRId64 " repeated blocks in Abilene", n);
    if (log->quick) return;
    traffic_suspects_mark(&s, a);
    TrafficStats x;
    traffic_stats(&x, a, &s);   // against the figures of META.txt
    TEST(log, near(x.zero_share_off, 0.0524, 5e-5) && near(x.diag_share, 0.186, 5e-4), "zeros %g diag %g",
         x.zero_share_off, x.diag_share);
    TEST(log, near(x.quantile_kbps[0], 1142.05, 0.1) && near(x.quantile_kbps[4], 153949, 2), "quantiles");
    TEST(log, near(x.acf_total[2], 0.390, 6e-4) && near(x.acf_flow[3], 0.342, 6e-4), "autocorrelation %g %g",
         x.acf_total[2], x.acf_flow[3]);
    TEST(log, near(x.top10_share, 0.361, 6e-4) && near(x.weekend_ratio, 0.75, 6e-3) && x.hour_of_peak == 19, "shares");
}

static void real_geant(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/data/geant (real traffic)");
        return;
    }
    static const int64_t want[24] = {2185, 2187, 2562, 2567, 4079, 4764, 4873, 5136, 5137, 5138, 5139, 5140,
                                     5141, 5142, 5143, 5144, 5145, 5146, 5147, 5148, 5249, 5250, 5251, 7246};
    TrafficSeries s, c;
    TrafficSuspect *list;
    Status st = traffic_series_read(&s, a, arena_printf(a, "%s/data/geant/geant.npy", log->shared), NULL);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    int64_t n = traffic_suspects_find(&s, a, &list);
    TEST(log, s.n_runs == 8 && n == 24, "%" PRId64 " runs, %" PRId64 " suspects in GEANT", s.n_runs, n);
    for (int64_t i = 0; i < n && i < 24; i++) TEST(log, list[i].row == want[i], "suspect %" PRId64, list[i].row);
    st = traffic_series_read(
        &c, a, arena_printf(a, "%s/data/formats/flat_csv/Geant_header_plus_24rows.csv", log->shared), NULL);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    TEST(log, c.T == 24 && c.N == 23 && !memcmp(c.x, s.x, 24 * 529 * sizeof *c.x) && !memcmp(c.time, s.time, 24 * 8),
         "the CSV differs from geant.npy");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    traffic_info_print(&c, "geant.csv", a, out);
    fclose(out);
    TEST(log, strstr(text, "24 snapshots x 23 x 23") && strstr(text, "2005-01-01 00:30 .. 2005-01-01 06:15"), "%s",
         text);
    free(text);
}

// The newest rows as a series: the same windows, values and calendar, counted from its own first row.
static void newest(TestLog *log, Arena *a)
{
    enum { T = 400, FIRST = 130 };
    float *x = arena_alloc(a, T * 4 * sizeof *x);
    int64_t *time = arena_alloc(a, T * sizeof *time), *whole, *part;
    for (int64_t i = 0; i < T * 4; i++) x[i] = (float)i;
    for (int64_t t = 0; t < T; t++) time[t] = 1104537600 + 900 * (t + (t >= 60) * 5 + (t >= 200) * 40);   // two gaps
    TrafficSeries s;
    TEST(log, !traffic_series_init(&s, a, "made", 2, T, x, time, NULL).code, "series");
    s.valid[300] = 0;
    const TrafficSeries c = traffic_series_newest(&s, a, FIRST);
    const int64_t n = traffic_windows(&c, a, (TrafficRange){0, c.T}, 6, 3, 1, &part);
    const int64_t m = traffic_windows(&s, a, (TrafficRange){FIRST, T}, 6, 3, 1, &whole);
    TEST(log, c.T == T - FIRST && c.n_runs == 2 && n == m && n > 200, "%lld rows, %lld runs, %lld windows of %lld",
         (long long)c.T, (long long)c.n_runs, (long long)n, (long long)m);
    for (int64_t i = 0; i < n && i < m; i++)
        TEST(log, part[i] == whole[i] - FIRST, "window %lld", (long long)i);
    for (int64_t t = 0; t < c.T; t += 17) {
        int slot[2], day[2];
        traffic_calendar(&c, t, 5, slot, day);
        traffic_calendar(&s, t + FIRST, 5, slot + 1, day + 1);
        const int64_t before = traffic_row_at(&s, t + FIRST, -96), here = traffic_row_at(&c, t, -96);
        TEST(log, slot[0] == slot[1] && day[0] == day[1] && c.x[4 * t] == s.x[4 * (t + FIRST)], "row %lld",
             (long long)t);
        TEST(log, here == (before < FIRST ? -1 : before - FIRST), "yesterday of row %lld: %lld", (long long)t,
             (long long)here);
    }
}

void test_traffic(TestLog *log)
{
    Arena *a = arena_new("test_traffic", (size_t)4 << 30, NULL);
    npy_accepted(log, a);
    npy_refused(log, a);
    times_and_gaps(log, a);
    csv_times(log);
    csv_files(log, a);
    windows(log, a);
    newest(log, a);
    calendar(log, a);
    write_and_read_back(log, a);
    suspects(log, a);
    real_abilene(log, a);
    real_geant(log, a);
    arena_delete(a);
}
