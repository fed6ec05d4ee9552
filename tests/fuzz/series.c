// Fuzz targets of the readers of series: .npy, .npz, tables of text; what they accept becomes a series.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/npz.h"
#include "tests/fuzz/seeds.h"
#include "traffic/series_file.h"

#define PUT(texts) fuzz_put_texts(texts, sizeof texts / sizeof *texts, put, arg)

// A series without NaN, in which every valid row was measured or filled.
static void check_series(const TrafficSeries *s)
{
    const int64_t cells = s->T * s->N * s->N;
    for (int64_t k = 0; k < cells; k++) CHECK(s->x[k] >= 0 && isfinite(s->x[k]), "value %g", (double)s->x[k]);
    for (int64_t t = 1; t < s->T; t++) CHECK(s->slot[t] > s->slot[t - 1], "slot %lld", (long long)s->slot[t]);
}

static void read_source(FuzzWorld *w, const unsigned char *data, size_t size, const char *path)
{
    TrafficTable t;
    TrafficSeries s;
    TrafficNotes notes = {.n = 0};
    const TextSource source = {.path = path, .bytes = (const char *)data, .size = size};
    const TrafficReadOptions o = {.fill = 3};
    if (!size || traffic_source_read(&t, w->a, &source, &o, &notes).code) return;
    if (!traffic_series_from_table(&s, w->a, "fuzz", &t, &o).code) check_series(&s);
}

void fuzz_npy(FuzzWorld *w, const unsigned char *data, size_t size) { read_source(w, data, size, "fuzz.npy"); }
void fuzz_npz(FuzzWorld *w, const unsigned char *data, size_t size) { read_source(w, data, size, "fuzz.npz"); }
void fuzz_table(FuzzWorld *w, const unsigned char *data, size_t size) { read_source(w, data, size, "fuzz.csv"); }

void seeds_npy(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    static const char *const type[] = {"<f4", ">f8", "<i2", "|u1", "<f2", "<M8[s]", "<U3"};
    static const int width[] = {4, 8, 2, 1, 2, 8, 12};
    for (int i = 0; i < 7; i++) {
        char header[NPY_HEADER_MAX];
        const int64_t dims[] = {2, 2, 2};
        const size_t n = (size_t)npy_header(header, type[i], dims, 3), data = 8 * (size_t)width[i];
        char *file = arena_zalloc(w->a, n + data);
        memcpy(file, header, n);
        char *order = memmem(file, n, "False", 5);
        if (i % 2) memcpy(order, "True ", 5);
        put(arg, file, n + data);
    }
}

void seeds_npz(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    static const char *const nodes[] = {"a", "\xc3\xa9"};
    for (int i = 0; i < 6; i++) {
        TrafficTable t = {.format = "fuzz", .N = 2, .T = 3 + 8 * i, .node = i & 1 ? nodes : NULL};
        t.x = arena_zalloc(w->a, (size_t)t.T * 16);
        t.time = arena_alloc(w->a, (size_t)t.T * 8);
        for (int64_t k = 0; k < t.T; k++) t.time[k] = 1078099200 + 300 * k;
        if (i & 2) t.x[5] = NAN;
        if (i & 4) t.time = NULL;
        TrafficSeries s;
        char *bytes, path[] = "/tmp/lead-fuzz-XXXXXX";
        size_t size;
        const int fd = mkstemp(path);
        Status st = traffic_series_from_table(&s, w->a, "fuzz", &t, NULL);
        if (!st.code) st = traffic_npz_write(&s, w->a, path);
        if (!st.code) st = file_read(&bytes, &size, w->a, path, SIZE_MAX / 2);
        CHECK(fd >= 0 && !st.code, "%s", st.msg);
        close(fd);
        unlink(path);
        put(arg, bytes, size);
    }
}

void seeds_table(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "1,2,3,4\n5,6,7,8\n",
        "# kbit/s\n\ntime;A-A;A-B;B-A;B-B\n2005-01-01 00:00;1,5;;NA;4\n2005-01-01 00:15;1;2;3;4;\n",
        "\xef\xbb\xbf,0,1,2,3\r\n0,1,2,3,4\r\n1,5,6,7,8\r\n",
        "2005-01-01 00:00 1 2 3 4\n2005-01-01 00:05 1e3 2 3 inf\n",
        "time,A_B,B_A,C_A,A_C\n20050101,1,3,2,4\n20050102,5,7,6,8\n",
        "timestamp,src,dst,kbps\n1104537600,0,1,876\n1104537600,1,0,530\n1104538500,0,1,7\n",
        "PEER_SRC_IP\tPEER_DST_IP\tSTAMP_INSERTED\tBYTES\n10.0.0.1\t10.0.0.2\t2005-01-01 00:00:00\t37\n",
        "{\"time\":1104537600,\"src\":\"a\",\"dst\":\"b\",\"bytes\":1}\n"
        "{\"time\":1104537900,\"src\":\"b\",\"dst\":\"a\","
        "\"bytes\":\"2\",\"sampling_rate\":100}\n",
        ",A,B\nA,1,2\nB,3,4\n",
        "\"a\"\"b\",'c',d,e\n\"1\",2,'3',4\n",
    };
    PUT(texts);
}
