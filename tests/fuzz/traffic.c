// Fuzz targets of the readers of traffic, with their seeds: XML, gzip, the formats of traffic/formats.h.
#include <math.h>
#include <string.h>

#include "io/gzip.h"
#include "io/xml.h"
#include "tests/fuzz/seeds.h"
#include "traffic/formats/internal.h"

#define PUT(texts) fuzz_put_texts(texts, sizeof texts / sizeof *texts, put, arg)

// ---- XML: every string that is handed out is UTF-8 without control characters; depth returns to 0

static void check_string(const char *s)
{
    for (; *s; s++) CHECK((unsigned char)*s >= 0x20 || strchr("\t\n\r", *s), "control character %d", *s);
}

void fuzz_xml(FuzzWorld *w, const unsigned char *data, size_t size)
{
    XmlReader r;
    if (xml_begin(&r, w->a, (const char *)data, size, "fuzz").code) return;
    for (XmlEvent e = XML_OPEN; e != XML_END; ) {
        if (xml_next(&e, &r).code) return;
        CHECK(r.depth >= 0 && r.depth <= XML_MAX_DEPTH && strlen(r.name) <= XML_MAX_NAME, "depth %d", r.depth);
        if (e == XML_TEXT) check_string(r.text);
        for (int i = 0; e == XML_OPEN && i < r.n_attributes; i++) check_string(r.attribute[i].value);
        const char *text;
        if (e == XML_OPEN && r.name[0] == 'c' && xml_content(&text, &r).code) return;
        if (e == XML_OPEN && r.name[0] == 's' && xml_skip(&r).code) return;
    }
    CHECK(!r.depth, "%d elements are open at the end", r.depth);
}

void seeds_xml(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "<a/>",
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<n:a xmlns:n='u' id=\"\xe9\">\xfc<b/></n:a>",
        "<!DOCTYPE a SYSTEM 'x.dtd'><a>&lt;&#65;&#xe9;<!-- c --><![CDATA[<]]></a>",
        "<!DOCTYPE a [<!ENTITY e '&e;&e;'>]><a>&e;</a>",
        "<r><content> 1 <!----> 2 </content><skip><x y='1'/></skip></r>",
        "\xef\xbb\xbf<a b='1' c=\"2\">\r\n<?pi ?></a>\n",
        "<a><b></a></b>",
        "<a b=1/>",
    };
    PUT(texts);
}

// ---- gzip: what comes out has the length that is said

void fuzz_gzip(FuzzWorld *w, const unsigned char *data, size_t size)
{
    char *out;
    size_t n;
    if (gzip_inflate(&out, &n, w->a, data, size, 1 << 14, "fuzz").code) return;
    CHECK(n <= 1 << 14 && !out[n], "%zu bytes", n);
}

void seeds_gzip(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const unsigned char seed[][64] = {
        {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0x4b, 0xcc, 0x29, 0xc8, 0x48, 0x54, 0x48, 0x4a, 0x2d, 0x49, 0x54, 0x48,
         0x4f, 0xcc, 0xcd, 0x4d, 0x54, 0x48, 0x44, 0x17, 0x48, 0x49, 0xcd, 0x29, 0xc1, 0x22, 0x4c, 0xa1, 0xba, 0xd4,
         0xbc, 0x14, 0x2e, 0, 0x25, 0x9f, 8, 0x7f, 0x7c, 0, 0, 0},
        {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0},
        {0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255, 'n', 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {0x1f, 0x8b, 8, 31, 0, 0, 0, 0, 0, 255, 1, 0, 'x', 'n', 0, 'c', 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 5, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf, 0xee, 8, 0},
        {0x1f, 0x8b, 8, 0xe0, 0, 0, 0, 0, 0, 255}};
    static const size_t size[] = {52, 23, 22, 29, 24, 10};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) put(arg, seed[i], size[i]);
}

// ---- the formats: what is accepted is a table that keeps its promises

static void check_table(const TrafficTable *t)
{
    CHECK(t->N >= 2 && t->T >= 1 && t->format, "%d nodes, %lld matrices", t->N, (long long)t->T);
    for (int64_t k = 0; k < t->T * t->N * t->N; k++) CHECK(t->x[k] >= 0 || isnan(t->x[k]), "value %g", (double)t->x[k]);
    for (int64_t k = 1; t->time && k < t->T; k++) CHECK(t->time[k] > t->time[k - 1], "times %lld", (long long)k);
    for (int i = 0; t->node && i < t->N; i++)
        for (int j = 0; j < i; j++) CHECK(strcmp(t->node[i], t->node[j]), "node %s twice", t->node[i]);
}

// Only the formats begin..end count: the others have targets of their own.
static void parse(FuzzWorld *w, const unsigned char *data, size_t size, TrafficFormat begin, TrafficFormat end)
{
    char *text = arena_alloc(w->a, size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    const TrafficFormat f = traffic_format_detect(text, size);
    CHECK(f >= 0 && f < FORMAT_COUNT && traffic_format_name(f), "format %d", (int)f);
    TrafficTable t;
    TableNotes notes;
    if (f < begin || f > end) return;
    if (!traffic_table_parse(&t, &notes, w->a, w->scratch, "TM-2004-03-01-0005.hist", text, size).code) check_table(&t);
}

void fuzz_sndlib(FuzzWorld *w, const unsigned char *data, size_t size)
{
    parse(w, data, size, FORMAT_SNDLIB_XML, FORMAT_SNDLIB_NATIVE);
}

void seeds_sndlib(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "<network xmlns='http://sndlib.zib.de/network'><meta><granularity>5min</granularity><time>20040301-0000</time>"
        "<unit>MBITPERSEC</unit></meta><networkStructure><nodes><node id='A'/><node id='B'/></nodes><links/>"
        "</networkStructure><demands><demand id='A_B'><source>A</source><target>B</target><demandValue> 1.5 "
        "</demandValue></demand></demands></network>",
        "<network><nodes><node id='A'/><node id='B'/></nodes><demands/></network>",
        "<network><nodes><node id='A'/></nodes><demands><demand><source>A</source><target>Z</target>"
        "<routingUnit>2</routingUnit><demandValue>1</demandValue></demand></demands></network>",
        "?SNDlib native format; type: network; version: 1.0\nMETA (\n unit = MBITPERSEC\n time = 20040301\n)\n"
        "NODES (\n A ( 1 2 )\n B ( 1 2 ) ( ) ( )\n)\nLINKS ( )\nDEMANDS (\n A_B ( A B ) 1 2.5 UNLIMITED\n)\n",
        "?SNDlib native format; type: network; version: 1.0\nNODES (A B(1 2)) DEMANDS (D(A B)2 1e3 3)#",
        "?SNDlib native format; type: network; version: 1.0\nNODES ( A ( ( ) ) ) LINKS ( l ( A B ) 1 ( 2 3 ) )\n",
    };
    PUT(texts);
}

void fuzz_totem(FuzzWorld *w, const unsigned char *data, size_t size)
{
    parse(w, data, size, FORMAT_TOTEM, FORMAT_TOTEM);
}

void seeds_totem(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "<TrafficMatrixFile><info><date>2005-01-01T00:30:00</date><duration>900</duration><units><unit "
        "type='bandwidth' value='kbps'/></units></info><IntraTM ASID='1'><src id='1'><dst id='2'>1.5</dst>"
        "</src><src id='2'/></IntraTM>"
        "</TrafficMatrixFile>",
        "<TrafficMatrixFile><IntraTM><src id='a'><dst id='b'>1</dst><dst id='b'>2</dst></src></IntraTM>"
        "</TrafficMatrixFile>",
        "<TrafficMatrixFile><IntraTM><src id='a'/><src id='b'/></IntraTM></TrafficMatrixFile>",
        "<TrafficMatrixFile><InterTM/></TrafficMatrixFile>",
        "<TrafficMatrixFile><IntraTM/><IntraTM/></TrafficMatrixFile>",
        "<x:TrafficMatrixFile xmlns:x='u'><x:IntraTM><x:src id='&#65;'><x:dst id=' b '>1e2</x:dst></x:src></x:IntraTM>"
        "</x:TrafficMatrixFile>",
    };
    PUT(texts);
}

void fuzz_matrix_text(FuzzWorld *w, const unsigned char *data, size_t size)
{
    parse(w, data, size, FORMAT_X, FORMAT_ROUGHAN);
}

void seeds_matrix_text(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "0 1 2 3 0 5 6 7 0\n0 1.5 2e3 nan 0 5 6 7 0\n",
        "# head\n 1.0e+00 2.0e+00 3.0e+00 4.0e+00 5.0e+00 6.0e+00 7.0e+00 8.0e+00 9.0e+00\n\n",
        " 1.e0 1 1 1 1 2 1 1 1 1 3 1 1 1 1 4 1 1 1 1 5 1 1 1 1 6 1 1 1 1 7 1 1 1 1 8 1 1 1 1 9 1 1 1 1\n",
        "# date = 2004-09-09\n# time = 00-45-00\n# time interval = 5 minutes\n"
        "# units = Gbytes / second\n1e-05,2\n3,NaN\n",
        "# created by = TrafficMatrix::write\n# units = bit/s\n0,1,2\n3,4,5\n6,7,8\n",
        "0 1 2 3 0 5 6 7\n",
        "1e999 1 2 3 0 5 6 7 0\n",
    };
    PUT(texts);
}

void fuzz_repetita(FuzzWorld *w, const unsigned char *data, size_t size)
{
    parse(w, data, size, FORMAT_REPETITA, FORMAT_REPETITA);
    char *text = arena_alloc(w->a, size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    NodeNames names;
    const FormatFile f = {.path = "fuzz", .bytes = text, .size = size, .alone = true};
    if (traffic_format_detect(text, size) == FORMAT_GRAPH && !read_graph(&names, w->a, &f).code)
        CHECK(names.n >= 2 && names.name[names.n - 1].n, "%d names", names.n);
}

void seeds_repetita(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char *const texts[] = {
        "DEMANDS 2\nlabel src dest bw\nd0 0 1 10\nd1 1 0 20\n",
        "DEMANDS 2\nlabel src dest bw\nd0 0 1 10\nd1 0 1 2.5\n",
        "DEMANDS 1\nlabel src dest bw\nd0 0 4096 10\n",
        "DEMANDS 3\nlabel src dest bw\n",
        "NODES 2\nlabel x y\nA 1.0 2.0\nB -1 0\n\nEDGES 1\nlabel src dest weight bw delay\ne 0 1 1 100 2\n",
        "NODES 3\nlabel x y\nA 1 2\n",
    };
    PUT(texts);
}

// Demands, a zero byte, a trafficload of them.
void fuzz_paragon(FuzzWorld *w, const unsigned char *data, size_t size)
{
    const unsigned char *cut = size ? memchr(data, 0, size) : NULL;
    const size_t n = cut ? (size_t)(cut - data) : size;
    parse(w, data, n, FORMAT_PARAGON_DEMAND, FORMAT_PARAGON_LOAD);
    if (!cut) return;
    char *text = arena_alloc(w->a, size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    const FormatFile f = {.path = "demand", .bytes = text, .size = n};
    const FormatFile g = {.path = "trafficload", .bytes = text + n + 1, .size = size - n - 1};
    ParagonDemands d;
    if (memchr(g.bytes, 0, g.size) || parse_paragon_demands(&d, w->a, &f).code) return;
    TableBuilder *b = builder_new(w->a, w->a, w->scratch, NULL);
    TrafficTable t;
    builder_file(b, g.path);
    if (!read_paragon_load(b, &g, &d).code && !builder_finish(&t, b, NULL).code) check_table(&t);
}

void seeds_paragon(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    (void)w;
    static const char demands[] = "#DemandID NodeA NodeZ bw Type_field Pri,Pre\nRAB A B 128000 R,A2Z,voice 02,02\n"
                                  "RBA B A 2M R 02,02 A-B\n";
    static const char *const loads[] = {
        "#Starting Time : 6/28/07 9:50 PM\n#Interval : 5 minutes\nUNIT=8\nRAB A2Z - 150.0 20 -1\nRBA Z2A - 1K 2 3\n",
        "RAB A2Z - 1\n", "RAB A2Z 0 1\nRAB Z2A - 1 2\n", "RXY A2Z - 1\n", "UNIT=0\n", "RAB A2Z -\n"};
    put(arg, demands, sizeof demands - 1);
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        char *both = arena_zalloc(w->a, sizeof demands + strlen(loads[i]));
        memcpy(both, demands, sizeof demands);
        memcpy(both + sizeof demands, loads[i], strlen(loads[i]));
        put(arg, both, sizeof demands + strlen(loads[i]));
    }
}
