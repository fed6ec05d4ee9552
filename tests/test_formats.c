// The published formats of traffic matrices: each read from small files and from the real samples, every refusal, many
// files joined into one table, the writers read back.
#include "traffic/formats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"
#include "tests/run_lead.h"
#include "tests/texts.h"
#include "traffic_world.h"

// ---- small files ---------------------------------------------------------------------------------------------------

#define XML_HEAD "<?xml version='1.0'?>\n"
#define SNDLIB(meta, nodes, demands)                                                                                  \
    XML_HEAD "<network xmlns='http://sndlib.zib.de/network' version='1.0'>" meta "<networkStructure><nodes>" nodes     \
             "</nodes><links><link id='l'><source>A</source></link></links></networkStructure><demands>" demands       \
             "</demands></network>"
#define META "<meta><granularity>5min</granularity><time>20040301-0005</time><unit>MBITPERSEC</unit></meta>"
#define NODES "<node id='A'><coordinates><x>1</x><y>2</y></coordinates></node><node id='B'/><node id='C'/>"
#define DEMAND(s, t, v)                                                                                               \
    "<demand id='" s "_" t "'><source>" s "</source><target>" t "</target><demandValue> " v " </demandValue></demand>"
#define NATIVE(meta, nodes, demands)                                                                                  \
    "?SNDlib native format; type: network; version: 1.0\n# remark\nMETA (\n" meta ")\nNODES (\n" nodes ")\n"           \
    "LINKS (\n A_B ( A B ) 1.0 0.0 0.0 0.0 ( 40.0 1.0 )\n)\nDEMANDS (\n" demands ")\n"
#define NATIVE_META " granularity = 15min # remark\n time = 20040301-0005\n unit = KBITPERSEC\n"
#define NATIVE_NODES " A ( 1.0 -2.0 )\n B ( 1 2 ) ( ) ( )\n C\n"
#define TOTEM(info, intra)                                                                                            \
    XML_HEAD "<TrafficMatrixFile>" info "<IntraTM ASID='1'>" intra "</IntraTM></TrafficMatrixFile>"
#define INFO                                                                                                          \
    "<info><title>t</title><date>2005-01-01T00:30:00</date><duration>900</duration><units>"                           \
    "<unit type='delay' value='ms'/><unit type='bandwidth' value='mbps'/></units></info>"
#define DAT(keys, rows) "# created by = TrafficMatrix::write, version 1\n" keys rows
#define DAT_KEYS "# time interval = 5 minutes\n# date = 2004-09-09\n# time = 00-45-00\n# units = Gbytes / second\n"

typedef struct Small {
    const char *name, *text, *format;
    int N;
    int64_t T;
    const char *nodes;           // joined by blanks; "": none
    int64_t time;                // of the first matrix; 0: none
    int slot;
    double kbps;
    double x[9];                 // the first values; -1: missing
    int n_x;
} Small;

static const Small small[] = {
    {"s.xml", SNDLIB(META, NODES, DEMAND("A", "C", "1.5") DEMAND("C", "B", "2e1")), "SNDlib XML", 3, 1, "A B C",
     1078099500, 300, 1000, {0, 0, 1.5, 0, 0, 0, 0, 20, 0}, 9},
    {"two demands of a pair", SNDLIB(META, NODES, DEMAND("A", "C", "1.5") DEMAND("A", "C", "2")), "SNDlib XML", 3, 1,
     "A B C", 1078099500, 300, 1000, {0, 0, 3.5}, 3},
    {"routing unit", SNDLIB("", NODES, "<demand><source>A</source><target>B</target><routingUnit>2.5</routingUnit>"
     "<demandValue>4</demandValue></demand>"), "SNDlib XML", 3, 1, "A B C", 0, 0, 0, {0, 10}, 2},
    {"demandMatrix-x-5min-20040301-0005.xml", SNDLIB("", NODES, DEMAND("A", "B", "1")), "SNDlib XML", 3, 1, "A B C",
     1078099500, 0, 0, {0, 1}, 2},
    {"empty", SNDLIB(META, NODES, ""), "SNDlib XML", 3, 1, "A B C", 1078099500, 300, 1000, {-1, -1, -1}, 3},
    {"n.txt", NATIVE(NATIVE_META, NATIVE_NODES, " x ( B A ) 1 2.5 UNLIMITED\n y(A C)2 3 4 # c\n"),
     "SNDlib native", 3, 1, "A B C", 1078099500, 900, 1, {0, 0, 6, 2.5, 0, 0, 0, 0, 0}, 9},
    {"TM-2004-03-01-0005.xml",
     TOTEM("", "<src id='b'><dst id='a'>7</dst></src><src id='a'><dst id='a'>1.25</dst></src>"),
     "TOTEM XML", 2, 1, "a b", 1078099500, 0, 1, {1.25, 0, 7, 0}, 4},
    {"f2004030100051.xml", TOTEM("", "<src id='b'><dst id='a'>7</dst></src>"), "TOTEM XML", 2, 1, "a b", 0, 0, 1,
     {0, 0, 7, 0}, 4},
    {"f20040301.xml", TOTEM("", "<src id='b'><dst id='a'>7</dst></src>"), "TOTEM XML", 2, 1, "a b", 1078099200, 0, 1,
     {0, 0, 7, 0}, 4},
    {"info", TOTEM(INFO, "<src id='10'><dst id='9'>2</dst></src><src id='9'/>"), "TOTEM XML", 2, 1, "9 10", 1104539400,
     900, 1000, {0, 0, 2, 0}, 4},
    {"X", " 1.0e+00 9 9 9 9 2.0 9 9 9 9 3 9 9 9 9 4 9 9 9 9 5 9 9 9 9 6 9 9 9 9 7 9 9 9 9 8 9 9 9 9 0 9 9 9 9\n",
     "Abilene X file", 3, 1, "", 0, 300, 8.0 / 3000, {1, 2, 3, 4, 5, 6, 7, 8, 0}, 9},
    {"x02.gz", " 1.0e+00 9 9 9 9 2.0 9 9 9 9 3 9 9 9 9 4 9 9 9 9 5 9 9 9 9 6 9 9 9 9 7 9 9 9 9 8 9 9 9 9 0 9 9 9 9",
     "Abilene X file", 3, 1, "", 1078704000, 300, 8.0 / 3000, {1, 2}, 2},
    {"1.hist", "0 1 2 3 0 5 6 7 0\r\n0 1.5 2e3 nan 0 5 6 7 0\r\n", "matrix text", 3, 2, "", 0, 0, 1e-3,
     {0, 1, 2, 3, 0, 5, 6, 7, 0}, 9},
    {"savetxt", "# head\n# more\n1.000000000000000056e-01 2 3 4 5 6 7 8 1.797693134862315708e+05\n", "matrix text",
     3, 1, "", 0, 0, 0, {0.1, 2, 3, 4, 5, 6, 7, 8, 179769.3134862315708}, 9},
    {"tm-20040301-0005.txt", "1 2 3 4 5 6 7 8 0\n", "matrix text", 3, 1, "", 1078099500, 0, 0, {1, 2, 3, 4}, 4},
    {"tm-20040301-0005", "1 2 3 4 5 6\n7 8 9 0 0 0\n0 0 0 0 0 0\n0 0 0 0 0 0\n0 0 0 0 0 0\n0 0 0 0 0 nan\n",
     "matrix text", 6, 1, "", 1078099500, 0, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9}, 9},
    {"of others", "\n#date=2004-09-09\n#time=00-45-00\n1,2\n3,4\n", "Roughan .dat", 2, 1, "", 1094690700, 0, 0,
     {1, 2, 3, 4}, 4},
    {"\n\n?", "\n\n" NATIVE("", NATIVE_NODES, ""), "SNDlib native", 3, 1, "A B C", 0, 0, 0, {-1}, 1},
    {"r.dat", DAT(DAT_KEYS, "1e-05,2,3\n4,NaN,6\n7,8,9\n"), "Roughan .dat", 3, 1, "", 1094690700, 300, 8e6,
     {1e-5, 2, 3, 4, -1, 6, 7, 8, 9}, 9},
    {"tm.2004-09-09.00-45-00.dat", DAT("# units = bits/s\n", "1,2\n3,4\n"), "Roughan .dat", 2, 1, "", 1094690700, 0,
     1e-3, {1, 2, 3, 4}, 4},
    {"d", "DEMANDS 3\nlabel src dest bw\nd0 0 2 10\nd1 1 0 20\nd2 0 2 5\n", "REPETITA demands", 3, 1, "0 1 2", 0, 0, 1,
     {0, 0, 15, 20, 0, 0, 0, 0, 0}, 9},
    {"demand", "#DemandID NodeA NodeZ bw Type_field Pri,Pre\nR1 NYC DEN 128000 R,A2Z,voice 02,02\n"
     "R2 NYC DEN 2K R,Z2A 02,02 NYC-DEN\nR3 DEN NYC 1.5M R 1,2\n", "Paragon demands", 2, 1, "DEN NYC", 0, 0, 1e-3,
     {0, 1502000, 128000, 0}, 4}};

static const char *node_list(Arena *a, const TrafficTable *t)
{
    const char *all = "";
    for (int i = 0; t->node && i < t->N; i++) all = arena_printf(a, "%s%s%s", all, i ? " " : "", t->node[i]);
    return all;
}

static bool same_value(double got, double want)    // to the precision of a float; -1: missing
{
    return want < 0 ? isnan(got) : fabs(got - want) <= 6e-8 * fabs(want);
}

static void small_files(TestLog *log, Arena *a, Arena *scratch)
{
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        const Small *s = &small[i];
        TrafficTable t;
        const Status st = traffic_table_parse(&t, NULL, a, scratch, s->name, s->text, strlen(s->text));
        if (!TEST(log, !st.code, "%s: %s", s->name, st.msg)) continue;
        TEST(log, !strcmp(t.format, s->format) && t.N == s->N && t.T == s->T && !strcmp(node_list(a, &t), s->nodes),
             "%s: %s of %d nodes %s, %lld matrices", s->name, t.format, t.N, node_list(a, &t), (long long)t.T);
        const int64_t time = t.time ? t.time[0] : 0;
        TEST(log, time == s->time && t.slot_seconds == s->slot && near(t.kbps, s->kbps, 1e-12 * s->kbps),
             "%s: time %lld, slot %d, unit %g", s->name, (long long)time, t.slot_seconds, t.kbps);
        for (int f = 0; f < s->n_x; f++)
            TEST(log, same_value((double)t.x[f], s->x[f]), "%s: want %g in %d, got %g", s->name, s->x[f], f,
                 (double)t.x[f]);
    }
}

// ---- every refusal -------------------------------------------------------------------------------------------------

static const struct { const char *what, *text, *want; } bad[] = {
    {"SNDlib: cut", "<network><nodes><node id='A'>", "got the end of the file"},
    {"SNDlib: unknown node", SNDLIB(META, NODES, DEMAND("A", "Z", "1")), "a node that the file lists, got 'Z'"},
    {"SNDlib: bad number", SNDLIB(META, NODES, DEMAND("A", "B", "1x")), "got '1x'"},
    {"SNDlib: hexadecimal", SNDLIB(META, NODES, DEMAND("A", "B", "0x10")), "got '0x10'"},
    {"SNDlib: negative", SNDLIB(META, NODES, DEMAND("A", "B", "-1")), "want a value >= 0 from A to B"},
    {"SNDlib: infinite", SNDLIB(META, NODES, DEMAND("A", "B", "1e999")), "want the value of a demand"},
    {"SNDlib: no value", SNDLIB(META, NODES, "<demand><source>A</source><target>B</target></demand>"),
     "no demandValue"},
    {"SNDlib: no target", SNDLIB(META, NODES, "<demand><source>A</source></demand>"), "no target"},
    {"SNDlib: node twice", SNDLIB(META, "<node id='A'/><node id='A'/>", ""), "got 'A' again"},
    {"SNDlib: node without id", SNDLIB(META, "<node/>", ""), "a node with an id"},
    {"SNDlib: unit", SNDLIB("<meta><unit>LAMBDA</unit></meta>", NODES, ""), "got 'LAMBDA'"},
    {"SNDlib: time", SNDLIB("<meta><time>20041301</time></meta>", NODES, ""), "got '20041301'"},
    {"SNDlib: 1899", SNDLIB("<meta><time>18990301-0000</time></meta>", NODES, ""), "got '18990301-0000'"},
    {"SNDlib: one node", SNDLIB(META, "<node id='A'/>", DEMAND("A", "A", "1")), "at least 2 nodes"},
    {"SNDlib: no nodes", "<network><demands/></network>", "no nodes"},
    {"SNDlib: no demands", "<network><nodes><node id='A'/><node id='B'/></nodes></network>", "no demands"},
    {"native: cut", "?SNDlib native format; type: network; version: 1.0\nNODES (\n A ( 1 2", "the end of the file"},
    {"native: type", "?SNDlib native format; type: model; version: 1.0\n", "the type network"},
    {"native: unknown node", NATIVE("", NATIVE_NODES, "x ( A Z ) 1 2 3\n"), "got 'Z'"},
    {"native: bad number", NATIVE("", NATIVE_NODES, "x ( A B ) 1 ? 3\n"), "got '?'"},
    {"native: no bracket", NATIVE("", NATIVE_NODES, "x A B 1 2 3\n"), "want (, got 'A'"},
    {"native: META", NATIVE("unit MBITPERSEC\n", NATIVE_NODES, ""), "key = value"},
    {"native: order", "?SNDlib native format; type: network; version: 1.0\nDEMANDS ( )\n", "before DEMANDS"},
    {"native: no demands", "?SNDlib native format; type: network; version: 1.0\nNODES ( A B )\n", "no DEMANDS"},
    {"TOTEM: cut", "<TrafficMatrixFile><IntraTM><src id='1'><dst id='2'>5", "the end of the file"},
    {"TOTEM: attribute without quotes", TOTEM("", "<src id=1/>"), "quotes"},
    {"TOTEM: no id", TOTEM("", "<src/>"), "got no id"},
    {"TOTEM: pair twice", TOTEM("", "<src id='1'><dst id='2'>5</dst><dst id='2'>5</dst></src>"), "got 1 to 2 again"},
    {"TOTEM: bad number", TOTEM("", "<src id='1'><dst id='2'>5,5</dst></src>"), "got '5,5'"},
    {"TOTEM: no number", TOTEM("", "<src id='1'><dst id='2'/></src>"), "got ''"},
    {"TOTEM: other element", TOTEM("", "<source id='1'/>"), "want <src>"},
    {"TOTEM: date", TOTEM("<info><date>yesterday</date></info>", ""), "got 'yesterday'"},
    {"TOTEM: unit", TOTEM("<info><units><unit type='bandwidth' value='cells'/></units></info>", ""), "got 'cells'"},
    {"TOTEM: InterTM", "<TrafficMatrixFile><InterTM/></TrafficMatrixFile>", "got InterTM"},
    {"TOTEM: none", "<TrafficMatrixFile/>", "want an IntraTM"},
    {"TOTEM: two", "<TrafficMatrixFile><IntraTM/><IntraTM/></TrafficMatrixFile>", "one IntraTM"},
    {"XML: a topology", "<domain ASID='1'/>", "got a TOTEM topology"},
    {"XML: another", "<html/>", "another root element"},
    {"XML: a bomb", "<!DOCTYPE network [<!ENTITY a 'b'>]><network>&a;</network>", "t: "},
    {"X: cut", " 1. 9 9 9 9 2. 9 9 9 9 3 9 9 9 9 4 9 9 9 9 5 9 9 9 9 6 9 9 9 9 7 9 9 9 9 8 9 9 9 9 0 9 9 9 9\n 1. 9 9",
     "want 45 numbers as in the lines before, got 3"},
    {"text: another number", "0 1 2 3 0 5 6 7 0\n0 1 2 3 0 5 6 7 0 8\n", "t:2: want 9 numbers"},
    {"text: a word", "0 1 2 3 0 5 6 7 0\n0 1 2 3 x 5 6 7 0\n", "got 'x 5 6 7 0' in field 5"},
    {"text: negative", "0 1 2 3 0 5 6 7 0\n0 1 2 3 0 5 6 7 -1\n", "t:2: want a value >= 0, got -1"},
    {"text: too large", "0 1 2 3 0 5 6 7 0\n0 1 2 3 0 5 6 7 1e39\n", "want a value >= 0, got 1e+39"},
    {"text: a short row of one matrix", "1 2 3 4 5 6\n6 7 8 9 0\n1 2 3 4 5 6\n\n1 2 3 4 5 6\n1 2 3 4 5 6\n1 2 3 4 5 6",
     "t:2: want 6 numbers"},
    {"text: row numbers and four values", "0 1 2 3 4\n1 1 2 3 4\n2 1 2 3 4\n3 1 2 3 4\n4 1 2 3 4\n",
     "want a format of"},
    {"a table with remarks", "# date = 2004-09-09\n# time = 00-45-00\n1,2,3,4\n3,4,5,6\n", "want a format of"},
    {"dat: short row", DAT(DAT_KEYS, "1,2\n3\n"), "want 2 values, got 1"},
    {"dat: long row", DAT(DAT_KEYS, "1,2\n3,4,5\n"), "want 2 values, got more"},
    {"dat: few rows", DAT(DAT_KEYS, "1,2\n"), "want 2 lines of values, got 1"},
    {"dat: many rows", DAT(DAT_KEYS, "1,2\n3,4\n5,6\n"), "want 2 lines of values, got more"},
    {"dat: bad number", DAT(DAT_KEYS, "1,2\n3,?\n"), "got '?'"},
    {"dat: units", DAT("# units = cells\n", "1,2\n3,4\n"), "got 'cells'"},
    {"dat: date", DAT("# units = bit/s\n# date = 2004-13-01\n", "1,2\n3,4\n"), "got '2004-13-01'"},
    {"REPETITA: fewer", "DEMANDS 3\nlabel src dest bw\nd0 0 1 10\n", "want 3 demands as its first line says, got 1"},
    {"REPETITA: more", "DEMANDS 1\nlabel src dest bw\nd0 0 1 10\nd1 1 0 10\n", "want 1 demands"},
    {"REPETITA: node", "DEMANDS 1\nlabel src dest bw\nd0 0 -1 10\n", "got '-1'"},
    {"REPETITA: fields", "DEMANDS 1\nlabel src dest bw\nd0 0 1\n", "want 'label src dest bw'"},
    {"REPETITA: number", "DEMANDS 1\nlabel src dest bw\nd0 0 1 many\n", "got 'many'"},
    {"REPETITA: no labels", "DEMANDS 1\nd0 0 1 10\n", "want 'label src dest bw', got 'd0'"},
    {"REPETITA: a graph", "NODES 2\nlabel x y\nA 1 2\nB 1 2\n", "got REPETITA graph"},
    {"Paragon: bandwidth", "R1 A B 1000 R 02,02\nR2 A B OC3 R 02,02\n", "t:2: want a bandwidth"},
    {"Paragon: cut", "R1 A B 1000 R 02,02\nR2 A B\n", "t:2: want 'DemandID"},
    {"Paragon: twice", "R1 A B 1000 R 02,02\nR1 B A 1000 R 02,02\n", "got 'R1' again"},
    {"Paragon: a load alone", "R1 A2Z - 1 2 3\n", "want the demand file as well"},
    {"Paragon: interface traffic", "#NodeID Interface Direction\nN3 ATM1/0.1 A2Z - 192 204\n", "interface traffic"},
    {"a table", "time,a,b\n1,2,3\n", "want a format of traffic matrices"},
    {"four columns", "0 1 1 55\n1 0 1 66\n", "want a format of traffic matrices"},
    {"nine columns, a time first", "1700000000 1 2 3 4 5 6 7 8\n", "want a format of traffic matrices"},
    {"a long table of numbers", "1700000000 0 1 55\n1700000000 1 0 66\n", "want a format of traffic matrices"},
    {"nothing", "", "want a format of traffic matrices"}};

static void refusals(TestLog *log, Arena *a, Arena *scratch)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        TrafficTable t;
        const Status s = traffic_table_parse(&t, NULL, a, scratch, "t", bad[i].text, strlen(bad[i].text));
        TEST(log, s.code == 1 && strstr(s.msg, bad[i].want) && !strncmp(s.msg, "t:", 2), "%s: want '%s', got %d '%s'",
             bad[i].what, bad[i].want, s.code, s.msg);
    }
}

// What needs long lines, many lines or a byte that no string holds.
static void long_files(TestLog *log, Arena *a, Arena *scratch)
{
    TrafficTable t;
    const char *week = repeated(a, "", repeated(a, "1. 9 9 9 9", " 2 9 9 9 9", 8, "\n"), 2016, "");
    Status s = traffic_table_parse(&t, NULL, a, scratch, "X24", week, strlen(week));
    TEST(log, !s.code && t.T == 2016 && t.time[2015] == t.time[0] + 2015 * 300 && t.time[0] == 1094256000, "%s", s.msg);
    const char *more = arena_printf(a, "%s1. 9 9 9 9\n", week);
    s = traffic_table_parse(&t, NULL, a, scratch, "X24", more, strlen(more));
    TEST(log, s.code && strstr(s.msg, "X24:2017: want the 2016 lines of a week"), "%s", s.msg);
    const char *x = repeated(a, "1.0", " 2", 5 * 17 * 17 - 1, "\n");         // 38 * 38 + 1 numbers as well
    s = traffic_table_parse(&t, NULL, a, scratch, "t", x, strlen(x));
    TEST(log, !s.code && t.N == 17, "%s", s.msg);
    const char *timed = repeated(a, "1", " 2", 5 * 17 * 17 - 1, "\n");
    s = traffic_table_parse(&t, NULL, a, scratch, "t", timed, strlen(timed));
    TEST(log, s.code && strstr(s.msg, "want a format"), "%s", s.msg);
    TableNotes notes;
    const char *sixteen = repeated(a, "", repeated(a, "1", " 2", 15, "\n"), 16, "");       // 16 of 4 x 4, or one
    s = traffic_table_parse(&t, &notes, a, scratch, "t", sixteen, strlen(sixteen));
    TEST(log, !s.code && t.N == 4 && t.T == 16 && strstr(notes.line[0], "taken as a matrix each"), "%s", s.msg);
    const char *times = repeated(a, "", repeated(a, "1700000000", " 2", 19, "\n"), 20, "");       // 20 lines
    s = traffic_table_parse(&t, NULL, a, scratch, "t", times, strlen(times));
    TEST(log, s.code && strstr(s.msg, "want a format"), "%s", s.msg);
    s = traffic_table_parse(&t, NULL, a, scratch, "t", "DEMANDS 1\nlabel src dest bw\nd\0 0 1 10\n", 40);
    TEST(log, s.code && strstr(s.msg, "want a format"), "%s", s.msg);
}

// ---- many files ----------------------------------------------------------------------------------------------------

typedef struct World { TestLog *log; Arena *a; const char *dir; TrafficTable t; TableNotes notes; } World;

static World world_in(TestLog *log, Arena *a, const char *name)
{
    World w = {.log = log, .a = a, .dir = arena_printf(a, "%s/%s", log->tmp, name)};
    const Status s = directory_make_all(w.dir);
    TEST(log, !s.code, "%s", s.msg);
    return w;
}

static void put_file(World *w, const char *name, const char *text)
{
    const Status s = file_write(arena_printf(w->a, "%s/%s", w->dir, name), text, strlen(text));
    TEST(w->log, !s.code, "%s", s.msg);
}

// Reads one or two paths below the directory, "" is the directory itself.
static Status read_paths(World *w, const char *first, const char *second)
{
    const char *paths[] = {arena_printf(w->a, "%s/%s", w->dir, first),
                           second ? arena_printf(w->a, "%s/%s", w->dir, second) : NULL};
    return traffic_table_read(&w->t, &w->notes, w->a, paths, second ? 2 : 1, NULL);
}

static bool noted(const World *w, const char *what)
{
    for (int i = 0; i < w->notes.n; i++)
        if (strstr(w->notes.line[i], what)) return true;
    return false;
}

static void expect_error(World *w, const char *first, const char *second, const char *want)
{
    const Status s = read_paths(w, first, second);
    TEST(w->log, s.code == 1 && strstr(s.msg, want), "%s %s: want '%s', got %d '%s'", first, second ? second : "", want,
         s.code, s.msg);
}

#define TM(value) TOTEM("", "<src id='a'><dst id='b'>" value "</dst></src><src id='b'/>")

static void joined_by_time(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "join/deep");
    put_file(&w, "TM-2004-03-01-0010.xml", TM("2"));
    w = world_in(log, a, "join");
    put_file(&w, "TM-2004-03-01-0005.xml", TM("1"));
    put_file(&w, "z-TM-2004-03-01-0000.xml", TM("0.5"));
    put_file(&w, ".hidden", "x");
    put_file(&w, "topology.xml", "<domain/>");
    put_file(&w, "README", "Traffic of three slots.\n");
    Status s = read_paths(&w, "", NULL);
    TEST(log, !s.code && w.t.T == 3 && w.t.time[0] == 1078099200 && w.t.time[2] == 1078099800 && w.t.x[1] == 0.5f &&
         w.t.x[5] == 1 && w.t.x[9] == 2, "%s: %lld matrices", s.msg, (long long)w.t.T);
    TEST(log, noted(&w, "topology.xml is a topology") &&
         noted(&w, "README is of no format") &&
         noted(&w, "3 files, 3 matrices") && noted(&w, "taken as UTC"),
         "%d notes", w.notes.n);
    s = read_paths(&w, "*TM*.xml", NULL);
    TEST(log, !s.code && w.t.T == 2 && w.t.x[1] == 0.5f, "pattern: %s", s.msg);
    s = read_paths(&w, "TM-2004-03-01-0005.xml", "TM-2004-03-01-0005.xml");
    TEST(log, !s.code && w.t.T == 1 && noted(&w, "left out"), "the same twice: %s", s.msg);
    expect_error(&w, "none*.xml", NULL, "found nothing");
    put_file(&w, "t.bz2", "BZh91AY");
    expect_error(&w, "t.bz2", NULL, "is compressed by bzip2: unpack it");
    remove(arena_printf(a, "%s/t.bz2", w.dir));
    expect_error(&w, "none.xml", NULL, "none.xml: cannot open");
    expect_error(&w, "topology.xml", NULL, "got a TOTEM topology");
    put_file(&w, "other-2004-03-01-0005.xml", TM("9"));
    expect_error(&w, "", NULL, "want one matrix for 2004-03-01 00:05, got other values in");
    put_file(&w, "other-2004-03-01-0005.xml", TM("1"));
    put_file(&w, "no-time.xml", TM("1"));
    expect_error(&w, "", NULL, "no-time.xml: want a time");
    expect_error(&w, "TM-2004-03-01-0005.xml", "no-time.xml", "no-time.xml: want a time");
    expect_error(&w, "no-time.xml", "TM-2004-03-01-0005.xml", "no-time.xml: want a time");
}

// Times that name no zone are in that of the options, and others stay as they are.
static void zones(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "zones");
    put_file(&w, "TM-2004-07-01-0200.xml", TM("1"));
    put_file(&w, "TM-2004-03-01-0200.xml", TM("2"));
    put_file(&w, "z.xml", TOTEM("<info><date>2004-03-01T02:00:00Z</date></info>",
                             "<src id='a'><dst id='b'>3</dst></src>"));
    const TableReadOptions o = {.tz = "+02:00"}, wrong = {.tz = "+2x"};
    Status s = traffic_table_read(&w.t, &w.notes, a, &w.dir, 1, &o);
    TEST(log, !s.code && w.t.T == 3 && w.t.time[0] == 1078099200 && w.t.time[1] == 1078106400 && w.t.x[5] == 3 &&
         w.t.time[2] == 1088640000 && !noted(&w, "taken as UTC"), "%s", s.msg);
    s = traffic_table_read(&w.t, &w.notes, a, &w.dir, 1, &wrong);
    TEST(log, s.code && strstr(s.msg, "--tz"), "%s", s.msg);
    expect_error(&w, "", NULL, "want one matrix for 2004-03-01 02:00");      // in UTC two of them are the same
}

static void joined_nodes(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "nodes");
    put_file(&w, "1-20040301-0000.xml", SNDLIB("", "<node id='C'/><node id='A'/>", DEMAND("A", "C", "1")));
    put_file(&w, "2-20040301-0005.xml", SNDLIB("", "<node id='B'/><node id='A'/>", DEMAND("B", "A", "2")));
    put_file(&w, "3-20040301-0010.xml", SNDLIB("", "<node id='A'/><node id='B'/><node id='C'/>", ""));
    Status s = read_paths(&w, "", NULL);
    static const double want[3][9] = {{0, -1, 1, -1, -1, -1, 0, -1, 0}, {0, 0, -1, 2, 0, -1, -1, -1, -1},
                                      {-1, -1, -1, -1, -1, -1, -1, -1, -1}};
    TEST(log, !s.code && w.t.T == 3 && !strcmp(node_list(a, &w.t), "A B C"), "%s %s", s.msg, node_list(a, &w.t));
    for (int k = 0; !s.code && k < 27; k++)
        TEST(log, same_value((double)w.t.x[k], want[k / 9][k % 9]), "want %g in %d, got %g", want[k / 9][k % 9], k,
             (double)w.t.x[k]);
    TEST(log, noted(&w, "1-20040301-0000.xml does not list the node B") && noted(&w, "2 matrices are of files") &&
         noted(&w, "1 file lists no demand"), "%d notes", w.notes.n);
    w = world_in(log, a, "sparse");       // lists of demands list no nodes: what is not there is 0
    put_file(&w, "a-20040301-0000", "R1 A B 1000 R 02,02\n");
    put_file(&w, "b-20040301-0005", "R2 C A 3000 R 02,02\n");
    s = read_paths(&w, "", NULL);
    TEST(log, !s.code && w.t.N == 3 && w.t.x[1] == 1000 && w.t.x[2] == 0 && w.t.x[9 + 6] == 3000 &&
         w.t.x[9 + 1] == 0, "%s", s.msg);
    w = world_in(log, a, "silent");         // no demand at all: nothing is known, of nodes that come later either
    put_file(&w, "1.demands", "DEMANDS 0\nlabel src dest bw\n");
    put_file(&w, "2.demands", "DEMANDS 1\nlabel src dest bw\nd0 1 0 5\n");
    put_file(&w, "3.demands", "DEMANDS 0\nlabel src dest bw\n");
    put_file(&w, "4.demands", "DEMANDS 1\nlabel src dest bw\nd0 2 0 5\n");
    s = read_paths(&w, "", NULL);
    TEST(log, !s.code && w.t.T == 4 && w.t.N == 3, "%s", s.msg);
    for (int f = 0; !s.code && f < 9; f++)
        TEST(log, isnan(w.t.x[f]) && isnan(w.t.x[18 + f]) && w.t.x[9 + f] == (f == 3 ? 5 : 0) &&
             w.t.x[27 + f] == (f == 6 ? 5 : 0), "flow %d", f);
}

static void joined_units(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "units");
    put_file(&w, "a-20040301-0000.dat", DAT("# units = bit/s\n", "1000,2\n3,4\n"));
    put_file(&w, "b-20040301-0005.dat", DAT("# units = kbit/s\n", "5,6\n7,8\n"));
    put_file(&w, "c-20040301-0010.dat", "# type = t\n# time interval = 5 minutes\n# date = 2004-03-01\n1,2\n3,4\n");
    put_file(&w, "d-20040301-0015.dat", DAT("# units = bit/s\n", "1,2,3\n4,5,6\n7,8,9\n"));
    Status s = read_paths(&w, "a-20040301-0000.dat", "b-20040301-0005.dat");
    TEST(log, !s.code && w.t.kbps == 1e-3 && w.t.x[0] == 1000 && w.t.x[4] == 5000, "%s: %g", s.msg, (double)w.t.x[4]);
    expect_error(&w, "a-20040301-0000.dat", "c-20040301-0010.dat", "want a unit in all files or in none, got 'none'");
    expect_error(&w, "a-20040301-0000.dat", "d-20040301-0015.dat", "want matrices of 2 x 2");
    put_file(&w, "e.hist", "0 1 2 3 0 5 6 7 0\n");
    expect_error(&w, "a-20040301-0000.dat", "e.hist", "want Roughan .dat as in");
    put_file(&w, "10.hist", "0 3 2 3 0 5 6 7 0\n");
    put_file(&w, "9.hist", "0 2 2 3 0 5 6 7 0\n0 2.5 2 3 0 5 6 7 0\n");
    s = read_paths(&w, "[0-9]*.hist", NULL);
    TEST(log, !s.code && w.t.T == 3 && w.t.x[1] == 2 && w.t.x[9 + 1] == 2.5f && w.t.x[18 + 1] == 3 &&
         noted(&w, "in the order of the files, first"), "9 before 10: %s", s.msg);
    put_file(&w, "f-20040301-0000.xml", TOTEM(INFO, "<src id='a'><dst id='b'>1</dst></src>"));
    put_file(&w, "g.xml", TOTEM("<info><date>2005-01-01T00:45:00</date><duration>300</duration></info>", ""));
    expect_error(&w, "f-20040301-0000.xml", "g.xml", "want slots of 900 s as in the files before, got 300 s");
}

static void companions(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "repetita");
    put_file(&w, "Net.graph", "NODES 3\nlabel x y\nzebra 1 2\nB 3 4\nape 5 6\n\nEDGES 0\n"
             "label src dest weight bw delay\n");
    put_file(&w, "Net.0001.demands", "DEMANDS 1\nlabel src dest bw\nd0 0 2 10\n");
    put_file(&w, "Net.0000.demands", "DEMANDS 1\nlabel src dest bw\nd0 2 1 20\n");
    Status s = read_paths(&w, "Net.0001.demands", NULL);
    TEST(log, !s.code && w.t.N == 3 && !strcmp(node_list(a, &w.t), "zebra B ape") && w.t.x[2] == 10 && w.t.x[1] == 0 &&
         noted(&w, "names of nodes from"), "beside: %s", s.msg);
    s = read_paths(&w, "", NULL);
    TEST(log, !s.code && w.t.T == 2 && w.t.x[7] == 20 && w.t.x[9 + 2] == 10, "directory: %s", s.msg);
    put_file(&w, "Net.0001.demands.manifest.json", "{\n \"lead\": \"data export\",\n \"out\": \"x\"\n}\n");
    s = read_paths(&w, "", NULL);
    TEST(log, !s.code && w.t.T == 2 && !noted(&w, "manifest"), "a directory with a manifest: %s", s.msg);
    expect_error(&w, "Net.graph", NULL, "want demands beside the graph");
    put_file(&w, "Other.graph", "NODES 2\nlabel x y\na 1 2\nb 3 4\n");
    expect_error(&w, "", NULL, "want one .graph");
    put_file(&w, "Net.0002.demands", "DEMANDS 1\nlabel src dest bw\nd0 0 3 10\n");
    expect_error(&w, "Net.0002.demands", NULL, "the number of a node, 0 .. 2, got '3'");
    put_file(&w, "Other.graph", "NODES 3\nlabel x y\na 1 2\nb 3 4\n");
    expect_error(&w, "Other.graph", "Net.0000.demands", "Other.graph:");

    w = world_in(log, a, "paragon");
    put_file(&w, "demand.x", "RAB A B 1 R,A2Z 02,02\nRBC B C 1 R 02,02\nRCA C A 1 R 02,02\n");
    put_file(&w, "trafficload.x", "#Starting Time : 3/1/04 12:05 AM\n#Interval : 5 minutes\nUNIT=8\n"
             "RAB A2Z - 1.5 20\nRAB Z2A - 3 -1\nRBC A2Z 4 1K\n");
    s = read_paths(&w, "trafficload.x", NULL);
    static const double want[2][9] = {{0, 12, 0, 24, 0, 32, -1, 0, 0}, {0, 160, 0, -1, 0, 8000, -1, 0, 0}};
    TEST(log, !s.code && w.t.T == 2 && w.t.time[0] == 1078099500 && w.t.time[1] == 1078099800 &&
         w.t.slot_seconds == 300, "%s", s.msg);
    for (int k = 0; !s.code && k < 18; k++)
        TEST(log, same_value((double)w.t.x[k], want[k / 9][k % 9]), "load: want %g in %d, got %g",
             want[k / 9][k % 9], k, (double)w.t.x[k]);
    TEST(log, noted(&w, "no line for 1 demands"), "%d notes", w.notes.n);
    s = read_paths(&w, "", NULL);
    TEST(log, !s.code && w.t.T == 2, "directory: %s", s.msg);
    static const struct { const char *text, *want; } load[] = {
        {"RXY A2Z - 1\n", "want a demand of"}, {"RAB A2Z - 1 2\nRBC A2Z - 1\n", "want 2 periods"},
        {"RAB A2Z - 1\nRAB A2Z - 1\n", "once in each direction"}, {"RAB A2Z -\n", "want 1 .. 24 periods"},
        {"RAB A2Z - 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25\n", "at most 24"},
        {"RAB A2Z - x\n", "got 'x'"}, {"UNIT=0\nRAB A2Z - 1\n", "want UNIT=1"},
        {"RAB A2Z - 1\nRBC B2B - 1\n", "got 'B2B'"},
        {"#Starting Time : noon\nRAB A2Z - 1\n", "want a time such as"},
        {"#Starting Time : 3/1/04 1:05 PM\nRAB A2Z - 1\n", "want #Interval"}};
    for (size_t i = 0; i < sizeof load / sizeof *load; i++) {
        put_file(&w, "trafficload.x", load[i].text);
        expect_error(&w, "trafficload.x", NULL, load[i].want);
    }
    put_file(&w, "load.x", "RAB A2Z - 1\n");
    expect_error(&w, "load.x", NULL, "want the demand file as well");
    s = read_paths(&w, "load.x", "demand.x");
    TEST(log, !s.code && w.t.x[1] == 1, "%s", s.msg);
}

// ---- tables of another reader --------------------------------------------------------------------------------------

// "name value": a table of one matrix with the nodes name and z, at that time when it is above 0.
static Status toy_reader(TrafficTable *out, Arena *a, const char *path, char *bytes, size_t size, void *arg)
{
    char name[32];
    int value;
    if (size != strlen(bytes) || sscanf(bytes, "%31s %d", name, &value) != 2) return ERROR("%s: no toy", path);
    ++*(int *)arg;
    const char **node = arena_alloc(a, 2 * sizeof *node);
    node[0] = arena_printf(a, "%s", name);
    node[1] = "z";
    *out = (TrafficTable){.format = "toy", .N = 2, .T = 1, .node = node, .kbps = 1,
                          .time = arena_alloc(a, sizeof(int64_t)), .x = arena_zalloc(a, 4 * sizeof(float))};
    out->time[0] = 1078099200 + value;
    out->x[1] = (float)value;
    return OK;
}

static void other_reader(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "toys");
    put_file(&w, "1", "a 2");
    put_file(&w, "2", "b 1");
    int calls = 0;
    const TableReadOptions o = {.other = toy_reader, .other_arg = &calls};
    const char *one = arena_printf(a, "%s/1", w.dir);
    Status s = traffic_table_read(&w.t, &w.notes, a, &one, 1, &o);
    TEST(log, !s.code && calls == 1 && w.t.x[1] == 2 && !strcmp(w.t.format, "toy"), "%s", s.msg);
    s = traffic_table_read(&w.t, &w.notes, a, &w.dir, 1, &o);
    TEST(log, !s.code && w.t.T == 2 && w.t.N == 3 && !strcmp(node_list(a, &w.t), "a b z") && w.t.x[3 + 2] == 1 &&
         w.t.x[9 + 2] == 2 && isnan(w.t.x[0]) && !strcmp(w.t.format, "toy"), "%s %s", s.msg, node_list(a, &w.t));
    put_file(&w, "3", "c");
    s = traffic_table_read(&w.t, &w.notes, a, &w.dir, 1, &o);
    TEST(log, s.code && strstr(s.msg, "no toy"), "%s", s.msg);
}

// ---- real samples --------------------------------------------------------------------------------------------------

static const float *npy_row(TestLog *log, Arena *a, const char *set, int64_t row, int N)
{
    const char *path = arena_printf(a, "%s/data/%s/%s.npy", log->shared, set, set);
    float *x = arena_alloc(a, (size_t)(N * N) * sizeof *x);
    FILE *f = fopen(path, "rb");          // header of 128 bytes, '<f4' (META.txt)
    const size_t F = (size_t)(N * N);
    TEST(log, f && !fseek(f, 128 + row * (long)F * 4, SEEK_SET) && fread(x, 4, F, f) == F, "%s", path);
    if (f) fclose(f);
    return x;
}

// Matrix k of a sample against a row of the .npy file, off_diagonal: the format has no diagonal.
static void same_as_row(TestLog *log, Arena *a, const char *sample, int64_t k, const char *set, int64_t row,
                        bool off_diagonal, double tolerance)
{
    const char *path = arena_printf(a, "%s/data/formats/%s", log->shared, sample);
    TrafficTable t;
    const Status s = traffic_table_read(&t, NULL, a, &path, 1, NULL);
    if (!TEST(log, !s.code && k < t.T, "%s: %s", sample, s.msg)) return;
    const float *want = npy_row(log, a, set, row, t.N);
    const double kbps = t.kbps > 0 ? t.kbps : 100 * 8 / 300e3;     // realOD columns do not say it
    double worst = 0;
    for (int f = 0; f < t.N * t.N; f++) {
        const double got = kbps * (double)t.x[k * t.N * t.N + f];
        const bool zero = off_diagonal && f / t.N == f % t.N;
        const double error = fabs(got - (zero ? 0 : (double)want[f])) / (1 + (double)want[f]);
        worst = error > worst || isnan(error) ? error : worst;
    }
    TEST(log, worst <= tolerance, "%s: matrix %lld differs from row %lld of %s by %g", sample, (long long)k,
         (long long)row, set, worst);
}

static void real_samples(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/data/formats");
        return;
    }
    const double f4 = 1.3e-7, micro = 6e-7;      // two roundings to float; SNDlib's 6 decimals of Mbit/s
    same_as_row(log, a, "x_file/X01-12lines", 0, "abilene", 0, false, f4);
    same_as_row(log, a, "x_file/X01-12lines", 11, "abilene", 11, false, f4);
    same_as_row(log, a, "x_file/X01-36lines.gz", 35, "abilene", 35, false, f4);
    same_as_row(log, a, "x_file/realOD_raw_24lines.txt", 23, "abilene", 23, false, f4);
    same_as_row(log, a, "totem_abilene", 0, "abilene", 0, false, f4);
    same_as_row(log, a, "totem_abilene", 1, "abilene", 1, false, f4);
    same_as_row(log, a, "sndlib_xml", 0, "abilene", 0, true, 1e3 * micro);
    same_as_row(log, a, "sndlib_xml", 1, "abilene", 1, true, 1e3 * micro);
    same_as_row(log, a, "sndlib_native/abilene-20040301-0000.txt", 0, "abilene", 0, true, 1e3 * micro);
    same_as_row(log, a, "roughan_dat", 0, "abilene", 47520, false, f4);
    same_as_row(log, a, "roughan_dat", 1, "abilene", 47529, false, f4);
    same_as_row(log, a, "totem_geant", 0, "geant", 0, false, f4);
    same_as_row(log, a, "totem_geant", 2, "geant", 82, false, f4);
    same_as_row(log, a, "totem_geant", 3, "geant", 5251, false, f4);
}

// GEANT's row 82 as SNDlib has it (META.txt): Mbit/s = 6.32601767e-3 kbit/s, nodes renamed, 10 a second demand of 17,
// no diagonal.  Written here, read back and compared with the TOTEM file.
static void geant_in_sndlib(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/data/formats");
        return;
    }
    static const char *const name[] = {"ch1", "uk1", "it1", "ny1", "si1", "lu1", "fr1", "hr1", "hu1", "de1", "gr1",
                                       "se1", "nl1", "il1", "sk1", "at1", "de1", "pt1", "be1", "cz1", "es1",
                                       "pl1", "ie1"};
    const float *row = npy_row(log, a, "geant", 82, 23);
    World w = world_in(log, a, "geant");
    const char *path = arena_printf(a, "%s/demandMatrix-geant-15min-20050504-1200.xml", w.dir);
    FILE *f = fopen(path, "w");
    if (!TEST(log, f, "%s", path)) return;
    fprintf(f, "<network><meta><granularity>15min</granularity><unit>MBITPERSEC</unit></meta><nodes>");
    for (int i = 0; i < 23; i++)
        if (i != 9) fprintf(f, "<node id='%s.x'/>", name[i]);
    fprintf(f, "</nodes><demands>");
    for (int k = 0; k < 529; k++)
        if (row[k] > 0 && strcmp(name[k / 23], name[k % 23]))
            fprintf(f, "<demand><source>%s.x</source><target>%s.x</target><demandValue>%.9g</demandValue></demand>",
                    name[k / 23], name[k % 23], 6.32601767e-3 * (double)row[k]);
    fprintf(f, "</demands></network>");
    fclose(f);
    Status s = traffic_table_read(&w.t, NULL, a, &path, 1, NULL);
    const char *totem_path = arena_printf(a, "%s/data/formats/totem_geant/IntraTM-2005-01-01-21-00.xml", log->shared);
    TrafficTable totem;
    if (!s.code) s = traffic_table_read(&totem, NULL, a, &totem_path, 1, NULL);
    if (!TEST(log, !s.code && w.t.N == 22 && totem.N == 23 && w.t.slot_seconds == 900, "%s", s.msg)) return;
    double merged[22][22] = {{0}}, worst = 0;
    int place[23];
    for (int i = 0; i < 23; i++)
        for (int k = 0; k < 22; k++)
            if (!strncmp(w.t.node[k], name[i], 3)) place[i] = k;
    for (int k = 0; k < 529; k++) merged[place[k / 23]][place[k % 23]] += (double)totem.x[k];
    for (int k = 0; k < 484; k++) {
        const double want = k / 22 == k % 22 ? 0 : merged[k / 22][k % 22];
        worst = fmax(worst, fabs((double)w.t.x[k] / 6.32601767e-3 - want) / (1 + want));
    }
    TEST(log, worst <= 3e-7, "TOTEM and SNDlib differ by %g", worst);
}

// ---- writers -------------------------------------------------------------------------------------------------------

static void writers(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "written");
    static const float x[18] = {5, 1.5f, 0.25f, 1e6f, 7, 0, 0.0004f, 12.75f, 3, 5, 2.5f, 0, 2e6f, 7, 0, 0, 0.125f, 3};
    static const char *const node[] = {"NYC", "DEN", "ATL"};
    Status s = traffic_write_hist(arena_printf(a, "%s/1.hist", w.dir), x, 2, 3);
    if (!s.code) s = read_paths(&w, "1.hist", NULL);
    TEST(log, !s.code && w.t.T == 2 && w.t.N == 3, "%s", s.msg);
    for (int k = 0; !s.code && k < 18; k++)
        TEST(log, same_value((double)w.t.x[k], k % 9 % 4 ? 1e3 * (double)x[k] : 0), ".hist: %d is %g", k,
             (double)w.t.x[k]);
    s = traffic_write_repetita(arena_printf(a, "%s/r.demands", w.dir), x, 3);
    if (!s.code) s = read_paths(&w, "r.demands", NULL);
    static const double whole[9] = {0, 2, 0, 1e6, 0, 0, 0, 13, 0};
    for (int k = 0; TEST(log, !s.code, "%s", s.msg) && k < 9; k++)
        TEST(log, same_value((double)w.t.x[k], whole[k]), "REPETITA: %d is %g", k, (double)w.t.x[k]);
    s = traffic_write_paragon_demands(arena_printf(a, "%s/demand.y", w.dir), x, 3, node);
    if (!s.code) s = read_paths(&w, "demand.y", NULL);
    TEST(log, !s.code && w.t.N == 3 && w.t.x[3 * 2 + 1] == 1500 && w.t.x[3 * 1 + 2] == 1e9f && w.t.x[0] == 0,
         "demands: %s", s.msg);
    float most[9];
    for (int f = 0; f < 9; f++) most[f] = fmaxf(x[f], x[9 + f]);
    s = traffic_write_paragon_demands(arena_printf(a, "%s/demand.z", w.dir), most, 3, NULL);
    const char *load = arena_printf(a, "%s/trafficload.z", w.dir);
    if (!s.code) s = traffic_write_paragon_load(load, x, 2, 3, NULL, 1078099500, 300);
    if (!s.code) s = read_paths(&w, "trafficload.z", NULL);
    TEST(log, !s.code && w.t.T == 2 && w.t.slot_seconds == 300 && w.t.time[1] == 1078099800 &&
         !strcmp(node_list(a, &w.t), "n0 n1 n2"), "load: %s", s.msg);
    for (int k = 0; !s.code && k < 18; k++)
        TEST(log, same_value((double)w.t.x[k], k % 9 % 4 ? round(1e3 * (double)x[k]) : 0), "load: %d is %g", k,
             (double)w.t.x[k]);
}

static void writers_refuse(TestLog *log, Arena *a)
{
    const char *path = arena_printf(a, "%s/refused", log->tmp);
    const float bad_values[] = {1, NAN, 2, 3}, negative[] = {1, 2, -3, 4}, good[] = {1, 2, 3, 4};
    static const char *const blank[] = {"New York", "DEN"};
    Status s = traffic_write_hist(path, bad_values, 1, 2);
    TEST(log, s.code && strstr(s.msg, "got nan in matrix 0 from node 0 to node 1"), "%s", s.msg);
    s = traffic_write_repetita(path, negative, 2);
    TEST(log, s.code && strstr(s.msg, "got -3"), "%s", s.msg);
    s = traffic_write_paragon_demands(path, good, 2, blank);
    TEST(log, s.code && strstr(s.msg, "got 'New York'"), "%s", s.msg);
    s = traffic_write_paragon_load(path, good, 25, 2, NULL, -1, 0);
    TEST(log, s.code && strstr(s.msg, "got 25"), "%s", s.msg);
    s = traffic_write_paragon_load(path, good, 1, 2, NULL, 1078099501, 300);
    TEST(log, s.code && strstr(s.msg, "full minute"), "%s", s.msg);
    struct stat st;
    TEST(log, stat(path, &st), "%s is left behind", path);
    s = traffic_write_hist(arena_printf(a, "%s/none/x.hist", log->tmp), good, 1, 2);
    TEST(log, s.code, "a directory that is not there");
}

// The commands take what this file reads: a directory to .npz, that to .hist, and nothing but one line for a bad file.
static void through_the_program(TestLog *log, Arena *a)
{
    World w = world_in(log, a, "program/in");
    w = world_in(log, a, "program");
    for (int k = 0; k < 4; k++) {
        put_file(&w, arena_printf(a, "in/TM-2004-03-01-00%02d.xml", 5 * k),
                 arena_printf(a, TOTEM("", "<src id='a'><dst id='b'>%d.5</dst></src><src id='c'>"
                                       "<dst id='a'>2</dst></src>"), k));
    }
    Ran r = lead_run(log, a, "data import %s/in --out %s/x.npz", w.dir, w.dir);
    const char *said = arena_printf(a, "%s%s", r.out, r.err);
    TEST(log, r.code == 0 && strstr(said, "TOTEM XML") && strstr(said, "4 files, 4 matrices"), "%d %s", r.code, said);
    r = lead_run(log, a, "data export --data %s/x.npz --out %s/y.hist", w.dir, w.dir);
    TEST(log, r.code == 0, "%s", r.err);
    const Status s = read_paths(&w, "y.hist", NULL);
    TEST(log, !s.code && w.t.T == 4 && w.t.N == 3 && w.t.x[1] == 500 && w.t.x[27 + 1] == 3500 && w.t.x[6] == 2000, "%s",
         s.msg);
    put_file(&w, "in/TM-2004-03-01-0010.xml", "<TrafficMatrixFile><IntraTM><src id='a'><dst id='b'>1</dst>");
    r = lead_run(log, a, "data import %s/in --out %s/z.npz", w.dir, w.dir);
    struct stat st;
    TEST(log, r.code == 1 && strstr(r.err, "TM-2004-03-01-0010.xml:1: want the end of 'src'") &&
         strchr(r.err, '\n') == r.err + strlen(r.err) - 1 && stat(arena_printf(a, "%s/z.npz", w.dir), &st),
         "%d %s", r.code, r.err);
}

void test_formats(TestLog *log)
{
    Arena *a = arena_new("test formats", (size_t)1 << 34, NULL), *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    small_files(log, a, scratch);
    refusals(log, a, scratch);
    long_files(log, a, scratch);
    joined_by_time(log, a);
    zones(log, a);
    joined_nodes(log, a);
    joined_units(log, a);
    companions(log, a);
    other_reader(log, a);
    real_samples(log, a);
    geant_in_sndlib(log, a);
    writers(log, a);
    writers_refuse(log, a);
    through_the_program(log, a);
    arena_delete(a);
    arena_delete(scratch);
}
