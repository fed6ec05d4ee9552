// Text that holds traffic: times, separators, headers, names, long tables, JSON lines.
#include <inttypes.h>
#include <string.h>

#include "tests/test.h"
#include "traffic/long.h"
#include "traffic/series.h"
#include "traffic/series_export.h"
#include "traffic/series_file.h"
#include "traffic/times.h"
#include "traffic/unit.h"
#include "traffic_world.h"

static Status read_text(TestLog *log, Arena *a, TrafficSeries *s, const char *text, const TrafficReadOptions *o)
{
    return traffic_series_read(s, a, scratch_write(log, a, "table.txt", text, strlen(text)), o);
}

static void refused(TestLog *log, Arena *a, const char *text, const TrafficReadOptions *o, const char *want)
{
    TrafficSeries s;
    const Status st = read_text(log, a, &s, text, o);
    TEST(log, st.code && strstr(st.msg, want), "'%.40s': want an error with '%s', got %d '%s'", text, want, st.code,
         st.msg);
}

static bool noted(const TrafficSeries *s, const char *what)
{
    for (int i = 0; i < s->reading.notes.n; i++)
        if (strstr(s->reading.notes.line[i], what)) return true;
    return false;
}

// ---- times ---------------------------------------------------------------------------------------------------------

static void times(TestLog *log)
{
    static const struct { const char *text; TimeForm form; int64_t want; } t[] = {
        {"202301010005", TIME_LOCAL, 1672531500}, {"20230101", TIME_LOCAL, 1672531200},
        {"20230101000530", TIME_LOCAL, 1672531530}, {"20230101-0005", TIME_LOCAL, 1672531500},
        {"20230101T000530Z", TIME_ZONED, 1672531530}, {"1078099200000", TIME_ZONED, 1078099200},
        {"1078099200000000", TIME_ZONED, 1078099200}, {"1078099200000000000", TIME_ZONED, 1078099200},
        {"1.078099200000000000e+09", TIME_ZONED, 1078099200}, {"1104537600.75", TIME_ZONED, 1104537601},
        {"2005-01-31", TIME_LOCAL, 1107129600}, {"31.01.2005 23:45", TIME_LOCAL, 1107215100},
        {"2005/01/31 23:45:10", TIME_LOCAL, 1107215110}, {"2005-01-31T23:45:10.250Z", TIME_ZONED, 1107215110},
        {"2005-01-31T23:45:10,750+01:00", TIME_ZONED, 1107211511}, {"2005-01-31 23:45-0500", TIME_ZONED, 1107233100},
        {"2005-01-31 23:45 UTC", TIME_ZONED, 1107215100}, {" \"2005-01-31 23:45\" ", TIME_LOCAL, 1107215100},
        {"2005-02-29", TIME_NONE, 0}, {"2005-02-30 00:00", TIME_NONE, 0}, {"2005-01-31 24:00", TIME_NONE, 0},
        {"1989-12-31", TIME_NONE, 0}, {"2101-01-01", TIME_NONE, 0}, {"0", TIME_NONE, 0}, {"300", TIME_NONE, 0},
        {"631151999", TIME_NONE, 0}, {"4102444800", TIME_NONE, 0}, {"5000000000", TIME_NONE, 0},
        {"20231301", TIME_NONE, 0}, {"2005-01-31 23:45 CET", TIME_NONE, 0}, {"2005-01-31x", TIME_NONE, 0},
        {"01/02/2005", TIME_NONE, 0}, {"10.0.0.1", TIME_NONE, 0}, {"", TIME_NONE, 0}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t got = 0;
        const TimeForm form = time_parse(t[i].text, strlen(t[i].text), &got);
        TEST(log, form == t[i].form && (!form || got == t[i].want), "'%s': form %d, %" PRId64, t[i].text, form, got);
    }
}

// 02:00 .. 02:45 comes twice in October and never in March.
static void summer_time(TestLog *log, Arena *a)
{
    TimeZone z;
    if (time_zone_open(&z, "Europe/Berlin").code) {
        test_skip(log, "skipped: no time zones (package tzdata)");
        return;
    }
    const int64_t midnight = 1729987200;                       // 2024-10-27 00:00 as if UTC
    for (int k = 0; k < 20; k++) {                             // 00:00, .. 02:45, 02:00, .. 03:45
        const int64_t local = midnight + 900 * (k < 12 ? k : k - 4), want = midnight - 7200 + 900 * k;
        int64_t got;
        const Status st = time_zone_utc(&z, local, &got);
        TEST(log, !st.code && got == want, "quarter %d: %s, %" PRId64 " want %" PRId64, k, st.msg, got, want);
    }
    int64_t got;
    Status st = time_zone_utc(&z, 1711852200, &got);           // 2024-03-31 02:30
    TEST(log, st.code && strstr(st.msg, "does not exist"), "a time that the clock skips: %s", st.msg);
    st = time_zone_utc(&z, 1711855800, &got);                  // 03:30 is 01:30 UTC
    TEST(log, !st.code && got == 1711848600, "%s, %" PRId64, st.msg, got);
    TEST(log, time_zone_open(&z, "Mars/Olympus").code == 2 && time_zone_open(&z, "../../etc/passwd").code == 2,
         "zones");
    st = time_zone_open(&z, "+02:00");
    TEST(log, !st.code && !time_zone_utc(&z, 7200, &got).code && got == 0, "an offset: %s", st.msg);
    TrafficSeries s;
    const TrafficReadOptions o = {.tz = "Europe/Berlin"};
    st = read_text(log, a, &s, "2024-10-27 02:30,1,2,3,4\n2024-10-27 02:45,1,2,3,4\n2024-10-27 02:00,5,2,3,4\n", &o);
    TEST(log, !st.code && s.n_runs == 1 && s.slot_seconds == 900 && s.time[0] == 1729989000, "%s", st.msg);
    refused(log, a, "2024-03-31 01:45,1,2,3,4\n2024-03-31 02:00,1,2,3,4\n", &o, ":2: 2024-03-31 02:00 does not exist");
}

// Hours of a zone: 08:00 is one slot of the day before and after a change of the clock, kept through .npz and rows cut
// off; without a zone it moves.
static void local_hours(TestLog *log, Arena *a)
{
    enum { DAYS = 4, HOURS = 24 };
    const TrafficReadOptions o = {.tz = "Europe/Berlin"};
    TimeZone z;
    if (time_zone_open(&z, o.tz).code) {
        test_skip(log, "skipped: no time zones (package tzdata)");
        return;
    }
    char *text = arena_zalloc(a, DAYS * HOURS * 64);
    const int64_t first = 1711666800;                          // 2024-03-29 00:00 in Berlin, a Friday; 31 has 23 hours
    int64_t eight[DAYS], n = 0;
    for (int64_t k = 0; k < DAYS * HOURS - 1; k++) {
        sprintf(text + strlen(text), "%" PRId64 ",1,2,3,4\n", first + 3600 * k);
        if ((k + (k >= 50)) % HOURS == 8) eight[n++] = k;      // 02:00 of March 31 is left out: hour 50
    }
    TrafficSeries s, utc, back;
    Status st = read_text(log, a, &s, text, &o);
    if (!st.code) st = read_text(log, a, &utc, text, NULL);
    const char *path = arena_printf(a, "%s/zone.npz", log->tmp);
    if (!st.code) st = traffic_npz_write(&s, a, path);
    if (!st.code) st = traffic_series_read(&back, a, path, NULL);
    TEST(log, !st.code && s.zone && back.zone && !strcmp(back.zone, "Europe/Berlin") && !utc.zone, "zones: %s", st.msg);
    if (st.code) return;
    const TrafficSeries cut = traffic_series_newest(&back, a, eight[1]);
    for (int i = 0; i < DAYS; i++) {
        int slot[3], day[3];
        traffic_calendar(&s, eight[i], 0, &slot[0], &day[0]);
        traffic_calendar(&utc, eight[i], 0, &slot[1], &day[1]);
        traffic_calendar(i ? &cut : &back, i ? eight[i] - eight[1] : eight[0], 0, &slot[2], &day[2]);
        TEST(log, slot[0] == 8 && day[0] == (4 + i) % 7 && slot[1] == (i < 2 ? 7 : 6), "day %d: hours %d, in UTC %d",
             i, slot[0], slot[1]);
        TEST(log, slot[2] == 8 && day[2] == day[0], "day %d of .npz: hour %d of day %d", i, slot[2], day[2]);
    }
    st = traffic_series_set_zone(&back, a, "");
    int slot, day;
    traffic_calendar(&back, eight[3], 0, &slot, &day);
    TEST(log, !st.code && !back.zone && slot == 6, "another zone: hour %d", slot);
    TEST(log, traffic_series_set_zone(&back, a, "Mars/Olympus").code == 2, "no such zone");
}

// ---- wide tables ---------------------------------------------------------------------------------------------------

static void wide_forms(TestLog *log, Arena *a)
{
    static const char *const same[] = {
        "1,2.5,3,4\n5,6,7,8\n",
        "# a comment\n\n1,2.5,3,4\n\n5,6,7,8\n\n",
        "\n  \n1;2,5;3;4\n5;6;7;8\n",
        "1\t2,5\t3\t4\n5\t6\t7\t8\n",
        "1 2.5 3 4\n5 6 7 8\n",
        "  1.000000000000000000e+00 2.500000000000000000e+00 3e0 +4\n5 6\t7   8  \n",
        "\"1\",\"2.5\",\"3\",\"4\"\n\"5\",6,'7',8\n",
        "0,1,2,3\n1,2.5,3,4\n5,6,7,8\n",
        ",0,1,2,3\n0,1,2.5,3,4\n1,5,6,7,8\n",
        ",f0,f1,f2,f3\n0,1,2.5,3,4\n1,5,6,7,8\n",
        "\"a\",\"b\",\"c\",\"d\"\n1, 2.5 , 3,4\n5,6,7,8",
        "1,2.5,3,4,\n5,6,7,8,\n",
        "\xef\xbb\xbf" "1,2.5,3,4\r\n5,6,7,8\r\n",
    };
    static const float want[8] = {1, 2.5f, 3, 4, 5, 6, 7, 8};
    TrafficSeries s;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const Status st = read_text(log, a, &s, same[i], NULL);
        TEST(log, !st.code && s.T == 2 && s.N == 2 && !s.time && !s.seen && !memcmp(s.x, want, sizeof want),
             "case %zu: %s", i, st.msg);
    }
    static const char *const timed[] = {
        "time,a,b,c,d\n2005-01-01T00:00:00.000Z,1,2.5,3,4\n2005-01-01T00:15:00.000Z,5,6,7,8\n",
        "2005-01-01 01:00:00+01:00,1,2.5,3,4\n2005-01-01 01:15:00+01:00,5,6,7,8\n",
        "2005-01-01 00:00 1 2.5 3 4\n2005-01-01 00:15 5 6 7 8\n",
        "2005-01-01,00:00,1,2.5,3,4\n2005-01-01,00:15,5,6,7,8\n",
        ",time,a,b,c,d\n0,2005-01-01 00:00,1,2.5,3,4\n1,2005-01-01 00:15,5,6,7,8\n",
        "1.104537600000000000e+09 1 2.5 3 4\n1.104538500000000000e+09 5 6 7 8\n",
        "2005-01-01 00:15,5,6,7,8\n2005-01-01 00:00,1,2.5,3,4\n",
        "2005-01-01 00:00,1,2.5,3,4\n2005-01-01 00:00,1,2.5,3,4\n2005-01-01 00:15,5,6,7,8\n",
    };
    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++) {
        const Status st = read_text(log, a, &s, timed[i], NULL);
        TEST(log, !st.code && s.T == 2 && s.time && s.time[0] == 1104537600 && s.slot_seconds == 900 &&
                  !memcmp(s.x, want, sizeof want), "timed case %zu: %s", i, st.msg);
    }
    Status st = read_text(log, a, &s, "# Mbit/s\n1,2,3,4\n5,6,7,8\n", NULL);
    TEST(log, !st.code && s.x[0] == 1000 && !strcmp(s.reading.unit, "Mbit/s"), "the unit of a comment: %s", st.msg);
    st = read_text(log, a, &s, ",f0,f1,f2,f3\n0,1,2,3,4\n1,5,6,7,8\n", NULL);
    TEST(log, !st.code && noted(&s, "row number"), "a dropped column is not named");
}

static void missing_values(TestLog *log, Arena *a)
{
    TrafficSeries s;
    Status st = read_text(log, a, &s, "1,2,3,NA\n5,,null,8\n-,nan,N/A,\n9,10,11,12\n", NULL);
    if (!TEST(log, !st.code && s.T == 4 && s.seen, "%s", st.msg)) return;
    static const uint8_t seen[16] = {1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1};
    TEST(log, !memcmp(s.seen, seen, sizeof seen) && s.reading.cells_missing == 7, "mask");
    TEST(log, s.valid[0] && !s.valid[1] && !s.valid[2] && s.valid[3], "which rows are used");
    st = read_text(log, a, &s, "1,2,3,\n5,6,7,8\n", NULL);
    TEST(log, !st.code && s.N == 2 && !s.seen == 0 && !s.seen[3], "an empty last value: %s", st.msg);
}

static void wide_refused(TestLog *log, Arena *a)
{
    refused(log, a, "1,2,x,4\n5,6,7,8\n", NULL, ":1: want a number in field 3, or a header");
    refused(log, a, "1,2,3,4\n5,6,7.7.7,8\n", NULL, ":2: want a number in field 3");
    refused(log, a, "1;2;3;4\n5;6;1.234,5;8\n", NULL, ":2: want a number in field 3");
    refused(log, a, "a,b,c,d\n5,6,7\n", NULL, "fields");
    refused(log, a, "# nothing\n\n", NULL, "nothing but blank lines");
    refused(log, a, "1104537600,0,1,876\n1104537600,0,2,5\n", NULL, "at least 2 snapshots, got 1");   // a long table
    refused(log, a, "w,x,y,z\n1104537600,0,1,876\n1104537600,0,2,5\n", NULL, "--columns");
    refused(log, a, "2005-02-28,1,2,3,4\n2005-02-29,1,2,3,4\n", NULL, ":2: want a time");
}

static bool named(const TrafficSeries *s, const char *const *want)
{
    for (int i = 0; i < s->N; i++)
        if (!s->node || strcmp(s->node[i], want[i])) return false;
    return true;
}

static void pair_names(TestLog *log, Arena *a)
{
    static const char *const ab[] = {"A", "B"}, *const dashes[] = {"A-1", "B-1"};
    TrafficSeries s;
    Status st = read_text(log, a, &s, "A-A,A-B,B-A,B-B\n1,2,3,4\n5,6,7,8\n", NULL);
    TEST(log, !st.code && named(&s, ab) && s.x[1] == 2, "%s", st.msg);
    st = read_text(log, a, &s, "A-1-A-1,A-1-B-1,B-1-A-1,B-1-B-1\n1,2,3,4\n5,6,7,8\n", NULL);
    TEST(log, !st.code && named(&s, dashes) && s.x[1] == 2, "%s", st.msg);
    st = read_text(log, a, &s, "time,A->A,B->A,A->B,B->B\n2005-01-01,1,3,2,4\n2005-01-02,5,7,6,8\n", NULL);
    TEST(log, !st.code && named(&s, ab) && s.x[1] == 2 && s.x[2] == 3 && s.x[5] == 6, "another order: %s", st.msg);
    st = read_text(log, a, &s, "time,A_B,B_A,C_A,A_C\n2005-01-01,1,3,2,4\n2005-01-02,5,7,6,8\n", NULL);
    TEST(log, !st.code && s.N == 3 && s.x[1] == 1 && s.x[6] == 2 && s.x[0] == 0 && s.x[5] == 0 && 
              noted(&s, "4 of 3 x 3"),
         "pairs that are not listed: N %d, %s", s.N, st.msg);
    st = read_text(log, a, &s, "flow 0-0,flow 0-1,flow 1-0,flow 1-1\n1,2,3,4\n5,6,7,8\n", NULL);
    TEST(log, !st.code && s.N == 2 && s.x[2] == 3, "names whose sides differ: %s, N %d", st.msg, s.N);
    st = read_text(log, a, &s, "up-time,a,b,c\n1,2,3,4\n5,6,7,8\n", NULL);
    TEST(log, !st.code && s.N == 2 && !s.node, "names that are no pairs: %s", st.msg);
}

// ---- long tables ---------------------------------------------------------------------------------------------------

static void long_tables(TestLog *log, Arena *a)
{
    static const float want[8] = {0, 2, 3, 0, 0, 6, 7, 0};
    static const char *const same[] = {
        "timestamp,src,dst,kbps\n1104537600,A,B,2\n1104537600,B,A,3\n1104538500,A,B,6\n1104538500,B,A,7\n",
        "kbps;dst;src;time\n2;B;A;1104537600\n3;A;B;1104537600\n6;B;A;1104538500\n7;A;B;1104538500\n",
        "1104537600,A,B,2\n1104537600,B,A,3\n1104538500,A,B,6\n1104538500,B,A,7\n",
        "2005-01-01T00:00Z A B 2\n2005-01-01T00:00Z B A 3\n2005-01-01T00:15Z A B 6\n2005-01-01T00:15Z B A 7\n",
        "{\"time\": 1104537600, \"source\": \"A\", \"destination\": \"B\", \"kbps\": 2}\n"
        "{\"time\": 1104537600, \"source\": \"B\", \"destination\": \"A\", \"kbps\": \"3\", \"x\": null}\n"
        "{\"kbps\": 7, \"time\": 1104538500, \"source\": \"B\", \"destination\": \"A\"}\n"
        "{\"time\": 1104538500, \"source\": \"A\", \"destination\": \"B\", \"kbps\": 6.0}\n",
        "time;source;destination;kbps\n1104537600;A;B;2,0\n1104537600;B;A;3\n1104538500;A;B;6,0e0\n1104538500;B;A;7\n",
        "1104537600\tA\tB\t2,0\n1104537600\tB\tA\t3\n1104538500\tA\tB\t6\n1104538500\tB\tA\t7,00\n",
        "time,source,destination,kbps\n1104538500,B,A,7\n1104537600,A,B,1.5\n1104537600,B,A,3\n1104538500,A,B,6\n"
        "1104537600,A,B,0.5\n",
        "[{\"time\":1104537600,\"src\":\"A\",\"dst\":\"B\",\"kbps\":2},{\"time\":1104537600,\"src\":\"B\","
        "\"dst\":\"A\",\"kbps\":3},"
        "{\"time\":1104538500,\"src\":\"A\",\"dst\":\"B\",\"kbps\":6},{\"time\":1104538500,\"src\":\"B\","
        "\"dst\":\"A\",\"kbps\":7}]",
        " [\n  {\n    \"time\": \"2005-01-01T00:00:00Z\",\n    \"src\": \"A\",\n    \"dst\": \"B\",\n"
        "    \"kbps\": 2\n  },\n\n"
        "  { \"time\": 1104537600, \"src\": \"B\", \"dst\": \"A\", \"kbps\": 3,\n"
        " \"tag\": [\"}\\\"{\", {\"x\": 1}] }\n,"
        "{\"time\": 1104538500, \"src\": \"A\", \"dst\": \"B\", \"kbps\": 6},\n{\"time\": 1104538500, \"src\": \"B\", "
        "\"dst\": \"A\", \"kbps\": 7}\n]\n\n",
        "{\n\"time\": 1104537600,\n\"src\": \"A\", \"dst\": \"B\", \"kbps\": 2\n}\n{\n"
        "\"time\": 1104537600,\n\"src\": \"B\", "
        "\"dst\": \"A\", \"kbps\": 3\n} {\"time\": 1104538500, \"src\": \"A\", \"dst\": \"B\", \"kbps\": 6}\n"
        "{\"time\": 1104538500, \"src\": \"B\", \"dst\": \"A\", \"kbps\": 7}"};
    TrafficSeries s;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const Status st = read_text(log, a, &s, same[i], NULL);
        TEST(log, !st.code && s.T == 2 && s.N == 2 && s.slot_seconds == 900 && !memcmp(s.x, want, sizeof want) &&
                  !strcmp(s.node[1], "B"), "case %zu: %s", i, st.msg);
    }
    const TrafficReadOptions columns = {.columns = "time=when,source=x,destination=y,value=4"};
    Status st = read_text(log, a, &s, "x,y,when,what\nA,B,1104537600,2\nB,A,1104537600,3\nA,B,1104538500,6\n"
                          "B,A,1104538500,7\n", &columns);
    TEST(log, !st.code && !memcmp(s.x, want, sizeof want), "--columns: %s", st.msg);
    refused(log, a, "x,y,when,what\nA,B,1104537600,2\n", &(TrafficReadOptions){.columns = "source=q"}, "column 'q'");
    refused(log, a, "x,y,when,what\nA,B,1104537600,2\n", &(TrafficReadOptions){.columns = "source=x"}, "destination=");
    refused(log, a, "time,src,dst,kbps\nsoon,A,B,2\n", NULL, ":2: want a time");
    refused(log, a, "time,src,dst,kbps\n1104537600,A,B,much\n", NULL, ":2: want a number");
    refused(log, a, "time,src,dst,kbps\n1104537600,A,B\n", NULL, ":2: want 4 fields");
    refused(log, a, "{\"time\":1104537600,\"src\":\"A\",\"dst\":\"B\",\"bytes\":1}\n{\"time\":\n", NULL,
            ":2: want a JSON");
    refused(log, a, "{\"a\":1}\n", NULL, "by the usual names");
    TrafficSeries wide;
    static const char utf16[2][12] = {"\xff\xfe" "1\0,\0002\0,\0", "\0001\0,\0002\0,\0003"};
    for (int i = 0; i < 2; i++) {
        st = traffic_series_read(&wide, a, scratch_write(log, a, "wide.csv", utf16[i], 10), NULL);
        TEST(log, st.code && strstr(st.msg, "UTF-16"), "UTF-16: %s", st.msg);
    }
}

// Pairs without a diagonal, with a time, a row name or nothing before them: six columns are no two and a 2 x 2 matrix.
static void no_diagonal(TestLog *log, Arena *a)
{
    static const char *const text[] = {
        "time,a-b,b-a,a-c,c-a,b-c,c-b\n2024-01-01 00:00,1,2,3,4,5,6\n2024-01-01 00:05,1,2,3,4,5,6\n",
        "a-b,b-a,a-c,c-a,b-c,c-b\n1,2,3,4,5,6\n1,2,3,4,5,6\n",
        ",a-b,b-a,a-c,c-a,b-c,c-b\n0,1,2,3,4,5,6\n1,1,2,3,4,5,6\n"};
    static const float want[9] = {0, 1, 3, 2, 0, 5, 4, 6, 0};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        TrafficSeries s;
        const Status st = read_text(log, a, &s, text[i], NULL);
        TEST(log, !st.code && s.N == 3 && s.T == 2 && !memcmp(s.x, want, sizeof want) &&
                  !memcmp(s.x + 9, want, sizeof want), "case %zu: %s", i, st.msg);
    }
}

// Arrays of JSON that are none, and lines of objects that spread.
static void broken_json(TestLog *log, Arena *a)
{
#define RECORD "{\"time\":1104537600,\"src\":\"A\",\"dst\":\"B\",\"bytes\":1}"
    static const struct { const char *text, *want; } t[] = {
        {"[]", "want objects in the array"}, {"[[1104537600,0,1,2]]", ":1: want an object"},
        {"[\n" RECORD "\n", "want ] at the end"}, {"[" RECORD ",\n", "behind the last comma"},
        {"[\n" RECORD "\n" RECORD "]", ":3: want a comma or ]"}, {"[," RECORD "]", ":1: want an object"},
        {"[" RECORD ",]", ":1: want an object"}, {"[" RECORD "]\n]", ":2: want nothing behind the array"},
        {"[\n" RECORD ",\n{\"time\":\n\"x}\n]", "want } at the end of the object that begins here"},
        {"[\n" RECORD ",\n{\"time\":\n1,,}\n]", ":4: want a JSON object: column 3"},
        {"[" RECORD ",3]", ":1: want an object"}, {"{\n\"src\":\n", "want } at the end"}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) refused(log, a, t[i].text, NULL, t[i].want);
#undef RECORD
}

// Quotes in names, doubled as CSV doubles them, in long and wide tables; written and read again.
static void quoted_names(TestLog *log, Arena *a)
{
    static const char *const text[] = {
        "time,src,dst,kbps\n1104537600,\"a \"\"x\"\"\",'s Hage,2\n1104537600,'s Hage,\"a \"\"x\"\"\",3\n"
        "1104537900,\"a \"\"x\"\"\",'s Hage,6\n1104537900,'s Hage,\"a \"\"x\"\"\",7\n",
        "time,\"a \"\"x\"\"->'s Hage\",\"'s Hage->a \"\"x\"\"\"\n1104537600,2,3\n1104537900,6,7\n"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        TrafficSeries s, back;
        Status st = read_text(log, a, &s, text[i], NULL);
        int f = -1;
        TEST(log, !st.code && s.N == 2 && !traffic_flow_find(&f, &s, "a \"x\":'s Hage", 13).code && s.x[f] == 2 &&
                  s.x[4 + f] == 6, "quotes %zu: %s", i, st.msg);
        if (st.code) continue;
        for (ExportFormat e = EXPORT_CSV; e <= EXPORT_LONG; e++) {
            const char *path = scratch_write(log, a, "quotes.csv", "", 0);
            st = traffic_series_export(&s, a, path, e, (TrafficRange){0, s.T});
            if (!st.code) st = traffic_series_read(&back, a, path, NULL);
            TEST(log, !st.code && !traffic_flow_find(&f, &back, "a \"x\":'s Hage", 13).code && back.x[f] == 2,
                 "written as %s: %s", export_names[e], st.msg);
        }
    }
}

static void absent_pairs(TestLog *log, Arena *a)
{
    static const char bytes[] = "PEER_SRC_IP,PEER_DST_IP,STAMP_INSERTED,PACKETS,BYTES\n"
                                "10.0.0.1,10.0.0.2,2005-01-01 00:00:00,3,37500\n10.0.0.2,10.0.0.1,2005-01-01 "
                                    "00:00:00,3,75000\n"
                                "10.0.0.1,10.0.0.2,2005-01-01 00:05:00,3,37500\n10.0.0.1,10.0.0.2,2005-01-01 "
                                    "00:05:00,3,37500\n";
    TrafficSeries s;
    Status st = read_text(log, a, &s, bytes, NULL);   // 37500 bytes in 300 s: 1 kbit/s
    TEST(log, !st.code && s.N == 2 && s.x[1] == 1 && s.x[2] == 2 && s.x[5] == 2 && s.x[6] == 0 && !s.seen &&
              noted(&s, "1 records of a time and pair that came before"), "pmacct: %s, %g %g", st.msg, (double)s.x[1],
         (double)s.x[5]);
    st = read_text(log, a, &s, bytes, &(TrafficReadOptions){.absent = 2, .sampling = 1000});
    TEST(log, !st.code && s.x[1] == 1000 && s.seen && !s.seen[6] && s.seen[4], "--absent missing, --sampling: %s",
         st.msg);
    static const char rates[] = "time,src,dst,mbps\n1104537600,A,B,2\n1104537600,B,A,3\n1104538500,A,B,6\n";
    st = read_text(log, a, &s, rates, NULL);
    TEST(log, !st.code && s.x[1] == 2000 && s.seen && !s.seen[6] && s.seen[0] && s.valid[1], "a rate: %s", st.msg);
    st = read_text(log, a, &s, rates, &(TrafficReadOptions){.absent = 1});
    TEST(log, !st.code && !s.seen && s.valid[1], "--absent zero: %s", st.msg);
    static const char akvorado[] = "{\"TimeReceived\":\"2005-01-01 00:00:07\",\"SamplingRate\":100,\"Bytes\":375,"
        "\"SrcAddr\":\"10.1.2.3\",\"DstAddr\":\"10.2.0.9\"}\n{\"TimeReceived\":\"2005-01-01 "
            "00:04:59\",\"SamplingRate\":100,"
        "\"Bytes\":375,\"SrcAddr\":\"10.1.9.9\",\"DstAddr\":\"10.2.7.7\"}\n{\"TimeReceived\":\"2005-01-01 00:05:00\","
        "\"SamplingRate\":200,\"Bytes\":375,\"SrcAddr\":\"10.1.2.3\",\"DstAddr\":\"10.2.0.9\"}\n{\"TimeReceived\":"
        "\"2005-01-01 00:05:01\",\"SamplingRate\":1,\"Bytes\":9,\"SrcAddr\":\"9.9.9.9\",\"DstAddr\":\"10.2.0.9\"}\n";
    static const char map[] = "10.0.0.0/8,core\n10.1.0.0/16,west\n10.2.0.0/16,east\n";
    const TrafficReadOptions o = {.slot_seconds = 300, .map_path = scratch_write(log, a, "map.csv", map, strlen(map))};
    st = read_text(log, a, &s, akvorado, &o);
    TEST(log, !st.code && s.N == 2 && s.T == 2 && !strcmp(s.node[0], "east") && s.x[2] == 2 && s.x[6] == 2 &&
              noted(&s, "1 of 4 records left out"), "Akvorado with a map: %s", st.msg);
}

static void too_many_times(TestLog *log, Arena *a)
{
    char text[200 * 60] = "ts,sa,da,ibyt\n";
    size_t n = strlen(text);
    for (int i = 0; i < 100; i++) n += (size_t)snprintf(text + n, sizeof text - n, "%d,A,B,100\n", 1104537600 + 7 * i);
    refused(log, a, text, NULL, "want --slot-seconds 300");
    TrafficSeries s;
    const Status st = read_text(log, a, &s, text, &(TrafficReadOptions){.slot_seconds = 300});
    TEST(log, !st.code && s.T == 3 && s.N == 2, "records in slots: %s", st.msg);
}

// ---- units ---------------------------------------------------------------------------------------------------------

static void units(TestLog *log)
{
    static const struct { const char *text; double kbps; } u[] = {
        {"bit/s", 0.001}, {"kbit/s", 1}, {"kbps", 1}, {"Mbit/s", 1000}, {"Mbps", 1000}, {"mbps", 1000}, {"MBPS", 1000},
        {"MBITPERSEC", 1000}, {"Gbit/s", 1e6}, {"Tbit/s", 1e9}, {"B/s", 0.008}, {"kB/s", 8}, {"MBps", 8000},
        {"GB/s", 8e6}, {"GiB/s", 8589934.592}, {"bytes per slot", 0.008 / 300}, {"B/slot", 0.008 / 300},
        {"100 bytes per 5 minutes", 0.8 / 300}, {"800 B per slot", 6.4 / 300}, {"octets per second", 0.008},
        {"kbit per 1 min", 1 / 60.0}, {"furlongs", 0}, {"kbit", 0}, {"", 0}, {"Mbit/fortnight", 0}, {"-1 kbit/s", 0}};
    for (size_t i = 0; i < sizeof u / sizeof *u; i++) {
        TrafficUnit unit;
        const bool ok = unit_parse(u[i].text, strlen(u[i].text), &unit);
        TEST(log, ok == (u[i].kbps > 0) && (!ok || near(unit_kbps(&unit, 300) / u[i].kbps, 1, 1e-12)), "'%s': %g",
             u[i].text, ok ? unit_kbps(&unit, 300) : 0);
    }
}

void test_tables(TestLog *log)
{
    Arena *a = arena_new("test_tables", (size_t)4 << 30, NULL);
    times(log);
    summer_time(log, a);
    local_hours(log, a);
    units(log);
    wide_forms(log, a);
    missing_values(log, a);
    wide_refused(log, a);
    pair_names(log, a);
    long_tables(log, a);
    no_diagonal(log, a);
    broken_json(log, a);
    quoted_names(log, a);
    absent_pairs(log, a);
    too_many_times(log, a);
    arena_delete(a);
}
