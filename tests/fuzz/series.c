// Fuzz targets of the readers of series: .npy, .npz, tables of text; what they accept becomes a series; and of
// what is read beside them: maps of routers, topologies.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/npz.h"
#include "links/topology.h"
#include "links/topology_xml.h"
#include "tests/fuzz/seeds.h"
#include "traffic/long.h"
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
        "[{\"time\":1104537600,\"src\":\"a\",\"dst\":\"b\",\"kbps\":1},\n {\"time\":1104537900,\"src\":\"b\",\n"
        "\"dst\":\"a}\",\"kbps\":2}\n]\n",
        "{\n\"src\":\"a\",\"dst\":\"b\",\n\"kbps\":1}\n{\"src\":\"b\",\"dst\":\"a\",\"kbps\":1}\n",
        ",A,B\nA,1,2\nB,3,4\n",
        "\"a\"\"b\",'c',d,e\n\"1\",2,'3',4\n",
    };
    PUT(texts);
}

// ---- maps of routers: every name of the map is found in it, and so is each word of the text or not

void fuzz_map(FuzzWorld *w, const unsigned char *data, size_t size)
{
    NodeMap *map;
    const TextSource source = {.path = "fuzz", .bytes = (const char *)data, .size = size};
    if (!size || node_map_parse(&map, w->a, &source).code) return;
    TextLines l = text_lines(&source);
    for (TextLine line; text_next(&l, &line);) {
        TextField f[3];
        const size_t n = (size_t)(line.end - line.p);
        const char separator = memchr(line.p, ',', n) ? ',' : memchr(line.p, ';', n) ? ';' : ' ';
        text_split(&line, separator, f, 3);
        CHECK(node_map_find(map, f[0]).n, "%.*s is not found", (int)f[0].n, f[0].p);
        node_map_find(map, f[1]);
    }
}

void seeds_map(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "10.1.0.0/16 A\n10.1.2.0/24 B\n10.1.2.3 C\n", "r1,A\nr2;x,B\n", "2001:db8::/32 A\n2001:db8::1 B\n::/0 C\n",
        "# map\n\n'r 1' \"A B\"\r\n", "0.0.0.0/0 A\n1.2.3.4/33 B\n1.2.3.4/ C\n", "r1 A B\n", "\xef\xbb\xbfr1;A\n"};
    PUT(texts);
}

// ---- topologies: links join nodes, names of nodes differ

static void check_topology(const Topology *t)
{
    for (int i = 0; i < t->L; i++) {
        const TopologyLink *l = &t->link[i];
        CHECK(l->from >= 0 && l->from < t->N && l->to >= 0 && l->to < t->N && l->name, "link %d: %d > %d", i, l->from,
              l->to);
        CHECK(l->capacity_kbps >= 0 && l->weight > 0, "link %d: %g kbit/s, weight %g", i, l->capacity_kbps, l->weight);
    }
    for (int i = 0; i < t->N; i++)
        for (int j = 0; j < i; j++) CHECK(strcmp(t->node[i], t->node[j]), "node %s twice", t->node[i]);
}

void fuzz_topology(FuzzWorld *w, const unsigned char *data, size_t size)
{
    Topology t = {.path = "fuzz", .note = ""};
    char *text = arena_alloc(w->a, size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    if (memchr(text, 0, size)) return;
    Status s;
    if (*text == '<') s = topology_parse_xml(&t, w->a, text, size, 0);
    else if (!strncmp(text, "NODES", 5)) s = topology_parse_repetita(&t, w->a, text, 0);
    else if (*text == '?') s = topology_parse_native(&t, w->a, text, 0);
    else s = topology_parse_csv(&t, w->a, text, 0);
    if (!s.code) check_topology(&t);
}

void seeds_topology(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "NODES 2\nlabel x y\nA 1.0 2.0\nB -1 0\n\nEDGES 1\nlabel src dest weight bw delay\ne 0 1 1 100 2\n",
        "source,destination,capacity,weight,name,group\nA,B,10,1,l1,g\nB,A,10,2,l2,\n",
        "node_a;node_b;capacity_gbps\nA;B;10\nB;C;1e2\n",
        "?SNDlib native format; type: network; version: 1.0\nNODES (\n A ( 1 2 )\n B ( 1 2 )\n)\nLINKS (\n l ( A B ) "
        "1.00 0.00 2.00 0.00 ( 40000.00 1.00 )\n)\n",
        "<network xmlns='http://sndlib.zib.de/network'><networkStructure><nodes><node id='A'/><node id='B'/></nodes>"
        "<links><link id='l'><source>A</source><target>B</target><preInstalledModule><capacity>10</capacity>"
        "<cost>1</cost></preInstalledModule></link></links></networkStructure></network>",
        "<domain><topology><nodes><node id='0'/><node id='1'/></nodes><links><link id='l'><from node='0'/>"
        "<to node='1'/><bw>10</bw></link></links></topology></domain>",
        "NODES 1\nlabel x y\nA 1 2\n",
    };
    PUT(texts);
}
