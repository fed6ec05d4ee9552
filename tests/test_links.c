// Topologies, routing and link loads (src/links): the readers of all formats, shortest paths against enumeration, loads
// against plain loops, what quantiles of sums are, and the published routing matrices of Abilene and GEANT.
#include <stdio.h>

#include "links/loads.h"
#include "links_world.h"
#include "run_lead.h"
#include "tensor/sort.h"

// ---- routing

static void check_shortest(TestLog *log, Arena *a)
{
    double worst = 0;
    int split = 0, lost = 0, differ = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        enum { N = 6 };
        const Topology t = random_network(a, N, 16, seed);
        Routing r;
        const uint8_t *down = NULL;
        uint8_t off[16] = {0};
        off[seed % 16] = 1;
        if (seed % 2) down = off;
        routing_shortest(&r, a, &t, N, down, -1);
        for (int f = 0; f < N * N; f++) {
            double want[16] = {0}, got[16] = {0};
            spread_by_trying(&t, down, f / N, f % N, 1, want);
            for (int64_t i = r.begin[f]; i < r.begin[f + 1]; i++) {
                got[r.entry[i].link] += r.entry[i].share;
                split += r.entry[i].share < 1;
            }
            for (int l = 0; l < t.L; l++) worst = fmax(worst, fabs(got[l] - want[l]));
            const bool away = !isfinite(shortest_by_trying(&t, down, f / N, f % N, 1u << f / N));
            differ += away != r.lost[f];
            lost += away;
        }
    }
    TEST(log, worst < 1e-12, "shares are %g off those of all shortest paths", worst);
    TEST(log, differ == 0 && lost > 50 && split > 100, "%d flows lost and not so; %d lost, %d shares below 1", differ,
         lost, split);
}

// What enters a node leaves it, but at origin and destination; and a node that is down forwards nothing.
static void check_conservation(TestLog *log, Arena *a)
{
    enum { N = 30 };
    const Topology t = random_network(a, N, 150, 5);
    double worst = 0, into_down = 0;
    for (int down = -1; down < 2; down++) {
        Routing r;
        routing_shortest(&r, a, &t, N, NULL, down);
        for (int f = 0; f < N * N; f++) {
            double net[N] = {0};
            if (r.lost[f] || f / N == f % N) continue;
            for (int64_t i = r.begin[f]; i < r.begin[f + 1]; i++) {
                const TopologyLink *k = &t.link[r.entry[i].link];
                net[k->from] += r.entry[i].share, net[k->to] -= r.entry[i].share;
                if (k->to == down) into_down += r.entry[i].share;
            }
            net[f / N] -= 1, net[f % N] += 1;
            for (int v = 0; v < N; v++) worst = fmax(worst, fabs(net[v]));
        }
    }
    TEST(log, worst < 1e-12 && into_down == 0, "%g of a flow is lost or made at a node; %g into a node that is down",
         worst, into_down);
}

// ---- loads

static void check_loads(TestLog *log, Arena *a, Arena *scratch)
{
    enum { N = 5, S = 40, K = 2, F = N * N };
    const Topology t = random_network(a, N, 14, 3);
    Routing r;
    routing_shortest(&r, a, &t, N, NULL, -1);
    const double *A = routing_matrix(&r, a);
    const double level[3] = {0.05, 0.5, 0.95}, above[2] = {0.3, 0.6};
    const LoadOptions o = {level, 3, above, 2};
    TrafficPaths p = {S, K, N, DIST_SAMPLES, random_matrices(a, S * K * F, 9), random_matrices(a, K * F, 10)};
    double worst = 0, off = 0;
    int sub = 0, strict = 0, miscounted = 0;
    for (int k = 0; k < K; k++) {
        LoadStep got;
        loads_step(&got, a, scratch, &t, &r, &p, k, &o);
        double largest[S] = {0}, mean = 0;
        for (int l = 0; l < t.L; l++) {
            float v[S];
            double point = 0, of_quantiles = 0;
            int count[2] = {0};
            for (int s = 0; s < S; s++) {
                double load = 0;
                for (int f = 0; f < F; f++) load += A[l * F + f] * (double)p.x[(s * K + k) * F + f];
                v[s] = (float)load;
                largest[s] = fmax(largest[s], load / t.link[l].capacity_kbps);
                for (int i = 0; i < 2; i++) count[i] += load > above[i] * t.link[l].capacity_kbps;
            }
            for (int f = 0; f < F; f++) {
                float one[S];
                double q;
                for (int s = 0; s < S; s++) one[s] = p.x[(s * K + k) * F + f];
                paths_quantiles(one, S, DIST_SAMPLES, &level[2], 1, &q);
                of_quantiles += A[l * F + f] * q;
                point += A[l * F + f] * (double)p.point[k * F + f];
            }
            worst = fmax(worst, fabs(got.link[l].mean - point) / (point + 1));
            sort_f32(v, S);
            for (int i = 0; i < 3; i++)
                worst = fmax(worst, fabs(got.link[l].quantile[i] - metric_quantile(v, S, level[i], 6)));
            for (int i = 0; i < 2; i++) miscounted += fabs(got.link[l].probability[i] - count[i] / (double)S) > 1e-12;
            sub += got.link[l].quantile[2] > of_quantiles * (1 + 1e-6);
            strict += got.link[l].quantile[2] < of_quantiles * 0.95;
        }
        for (int s = 0; s < S; s++) mean += largest[s] / S;
        off = fmax(off, fabs(got.largest.mean - mean));
    }
    TEST(log, worst < 1e-3, "loads are %g off the plain sums", worst);   // values up to 1e4, in float
    TEST(log, miscounted == 0 && off < 1e-9, "%d probabilities are wrong; the largest utilisation by %g", miscounted,
         off);
    TEST(log, sub == 0 && strict > 0, "the 95 %% quantile of %d loads is above the sum of the flows' ones, of %d below",
         sub, strict);
}

// Capacities that nobody knows give loads, and no utilisation.
static void check_unknown(TestLog *log, Arena *a, Arena *scratch)
{
    Topology t = random_network(a, 4, 9, 8);
    for (int l = 0; l < t.L; l++) t.link[l].capacity_kbps = 0;
    Routing r;
    routing_shortest(&r, a, &t, 4, NULL, -1);
    const double level = 0.5, above = 0.8;
    const float *x = random_matrices(a, 2 * 16, 1);
    const TrafficPaths p = {2, 1, 4, DIST_SAMPLES, x, x};
    LoadStep got;
    loads_step(&got, a, scratch, &t, &r, &p, 0, &(LoadOptions){&level, 1, &above, 1});
    TEST(log, got.most_often == -1 && isnan(got.largest.mean) && isnan(got.link[0].probability[0]) &&
         isnan(got.largest.probability[0]), "utilisation of unknown capacities: %g", got.largest.mean);
}

// ---- readers

static const char *put(TestLog *log, Arena *a, const char *name, const char *text)
{
    const char *path = arena_printf(a, "%s/%s", log->tmp, name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "cannot write %s", path);
    return path;
}

#define REPETITA "NODES 3\nlabel x y\nA 0 0\nB 1 0\nC 1 1\n\nEDGES 4\nlabel src dest weight bw delay\n" \
    "e0 0 1 5 1000 1\ne1 1 0 5 1000 1\ne2 1 2 7 2500 1\ne3 2 1 7 2500 1\n"
#define NATIVE "?SNDlib native format; type: network; version: 1.0\n# x\nMETA (\n unit = MBITPERSEC\n)\nNODES (\n" \
    "  A ( 0 0 )\n  B ( 1 0 )\n  C ( 1 1 )\n)\nLINKS (\n  l1 ( A B ) 1.00 0.00 5.00 0.00 ( 40.00 1.00 )\n" \
    "  l2 ( B C ) 0.00 0.00 7.00 0.00 ( 1.00 1.00 2.50 3.00 )\n)\nDEMANDS (\n  d ( A B ) 1 2.00 UNLIMITED\n)\n"
#define SNDLIB "<?xml version=\"1.0\"?>\n<network xmlns=\"http://sndlib.zib.de/network\" version=\"1.0\"><meta>" \
    "<unit>MBITPERSEC</unit></meta><networkStructure><nodes><node id=\"A\"/><node id=\"B\"/><node id=\"C\"/></nodes>" \
    "<links><link id=\"l1\"><source>A</source><target>B</target><preInstalledModule><capacity>1.0</capacity><cost>0" \
    "</cost></preInstalledModule><routingCost>5.0</routingCost></link><link id=\"l2\"><source>B</source><target>C" \
    "</target><routingCost>7</routingCost><additionalModules><addModule><capacity>2.5</capacity><cost>1</cost>" \
    "</addModule><addModule><capacity>1</capacity><cost>1</cost></addModule></additionalModules></link></links>" \
    "</networkStructure><demands><demand id=\"d\"><source>A</source><target>B</target></demand></demands></network>\n"
#define TOTEM                                                                                                          \
    "<?xml version=\"1.0\"?><domain ASID=\"1\"><info><units><unit type=\"bandwidth\" value=\"mbps\"/>"                 \
    "<unit type=\"delay\" value=\"ms\"/></units></info><topology><nodes><node id=\"A\"><interfaces><interface "        \
    "id=\"x\"/>"                                                                                                       \
    "</interfaces></node><node id=\"B\"/><node id=\"C\"/></nodes><links>"                                              \
    "<link id=\"1\"><from node=\"A\"/><to node=\"B\"/><bw>1</bw></link>"                                               \
    "<link id=\"2\"><from node=\"B\"/><to node=\"A\"/><bw>1</bw></link>"                                               \
    "<link id=\"3\"><from node=\"B\"/><to node=\"C\"/><capacity value=\"2.5\"/></link>"                                \
    "<link id=\"4\"><from node=\"C\"/><to node=\"B\"/><capacity value=\"2.5\"/></link></links></topology>"             \
    "<igp><links><link id=\"3\"><static><metric>7</metric></static></link><link id=\"4\"><static><metric>7</metric>"   \
    "</static></link><link id=\"1\"><static><metric>5</metric></static></link><link "                                  \
    "id=\"2\"><static><metric>5</metric>"                                                                              \
    "</static></link></links></igp></domain>\n"
#define CSV                                                                                                            \
    "\xef\xbb\xbfweight;Source;destination;Capacity_Mbps;group\n5;A;B;1;trench\n5;B;A;1;trench\r\n\n7;B;C;2.5;\n7;C;"  \
    "B;2.5;\n"

static bool is_the_network(const Topology *t)
{
    bool good = t->N == 3 && t->L == 4;
    for (int l = 0; l < t->L && good; l++) {
        const TopologyLink *k = &t->link[l];
        const bool ab = k->from + k->to == 1;
        good = k->from + k->to == (ab ? 1 : 3) && fabs(k->capacity_kbps - (ab ? 1000 : 2500)) < 1e-9 &&
               fabs(k->weight - (ab ? 5 : 7)) < 1e-9;
    }
    return good;
}

static void check_readers(TestLog *log, Arena *a)
{
    static const struct { const char *name, *text, *format; } file[] = {
        {"n.graph", REPETITA, "REPETITA"}, {"n.txt", NATIVE, "SNDlib native"}, {"n.xml", SNDLIB, "SNDlib XML"},
        {"t.xml", TOTEM, "TOTEM XML"}, {"n.csv", CSV, "CSV of links"}};
    for (int i = 0; i < 5; i++) {
        Topology t;
        const Status s = topology_read(&t, a, put(log, a, file[i].name, file[i].text), 0);
        TEST(log, !s.code && is_the_network(&t) && !strcmp(t.format, file[i].format), "%s: %s, %d nodes, %d links",
             file[i].name, s.msg, t.N, t.L);
        const Status unit = topology_read(&t, a, put(log, a, file[i].name, file[i].text), 1e6);
        TEST(log, !unit.code && fabs(t.link[0].capacity_kbps / (i ? 1e6 : 1e9) - 1) < 1e-9, "%s: another unit: %g",
             file[i].name, t.link[0].capacity_kbps);
    }
    Topology t;
    CHECK(!topology_read(&t, a, put(log, a, "n.csv", CSV), 0).code, "csv");
    TEST(log, t.link[0].group && !strcmp(t.link[0].group, "trench") && !strcmp(t.link[0].name, "A>B"), "group, name %s",
         t.link[0].name);
}

static void check_refused(TestLog *log, Arena *a)
{
    static const struct { const char *text, *want;
    } bad[] = {{"x,y\n1,2\n", "source and destination"},
               {"source,destination,weight\nA,B,0\n", ":2: want a weight above 0"},
               {"source,destination,capacity\nA,B,-1\n", ":2: want a capacity"},
               {"source,destination,capacity\nA,B,x\n", "got 'x'"},
               {"source,destination\nA,A\n", ":2: want a link between two nodes"},
               {"source,destination,capacity\nA\n", ":2: want 2 fields"},
               {"source,destination\n", "got 0 nodes"},
               {"NODES 2\nlabel x y\nA 0 0\nA 0 0\nEDGES 1\n", ":4: want each node once"},
               {"NODES 2\nlabel x y\nA 0 0\nB 0 0\nEDGES 1\nlabel src dest weight bw delay\ne 0 7 1 1 1\n",
                ":7: want a node 0..1"},
               {"NODES 2\nlabel x y\nA 0 0\nB 0 0\nEDGES 2\nlabel src dest weight bw delay\ne 0 1 1 1 1\n",
                "want 2 edges, got 1"},
               {"<html></html>", "want <network>"},
               {"<domain><topology><nodes><node id=\"A\"/></nodes><links><link id=\"1\"><from node=\"A\"/><to "
                "node=\"Q\"/></link>"
                "</links></topology></domain>",
                "got 'Q'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Topology t;
        const Status s = topology_read(&t, a, put(log, a, "bad", bad[i].text), 0);
        TEST(log, s.code == 1 && strstr(s.msg, bad[i].want), "%.40s: want '%s', got '%s'", bad[i].text, bad[i].want,
             s.msg);
    }
}

static void check_match(TestLog *log, Arena *a)
{
    Topology t;
    const char *how = "";
    CHECK(!topology_read(&t, a, put(log, a, "n.csv", CSV), 0).code, "csv");
    const char *const names[] = {"C", "A"}, *const other[] = {"C", "Q"};
    Status s = topology_match(&t, a, 2, names, &how);
    TEST(log, !s.code && !strcmp(t.node[0], "C") && !strcmp(t.node[1], "A") && !strcmp(t.node[2], "B") &&
         strstr(how, "1 more"), "matched by name: %s %s", s.msg, how);
    Routing r;
    routing_shortest(&r, a, &t, 2, NULL, -1);
    TEST(log, r.begin[2] - r.begin[1] == 2 && !r.lost[1], "C to A goes over B, which only forwards");
    s = topology_match(&t, a, 2, other, &how);
    TEST(log, s.code == 1 && strstr(s.msg, "'Q'"), "a node that is not there: %s", s.msg);
    CHECK(!topology_read(&t, a, put(log, a, "n.csv", "source,destination\n3,1\n1,2\n2,3\n"), 0).code, "csv");
    s = topology_match(&t, a, 3, NULL, &how);
    TEST(log, !s.code && !strcmp(t.node[0], "1") && !strcmp(t.node[2], "3") && t.link[0].from == 2, "by number: %s",
         how);
    TEST(log, topology_match(&t, a, 4, NULL, &how).code == 1, "another number of nodes is taken");
}

// A routing matrix comes back from a file, whatever its orientation and order; one without paths is refused.
static void check_given(TestLog *log, Arena *a)
{
    enum { N = 3, L = 4 };
    const char *const names[] = {"C", "B", "A"};
    for (int form = 0; form < 4; form++) {
        Topology t;
        const char *how;
        Routing r, got;
        char text[4000] = "";
        CHECK(!topology_read(&t, a, put(log, a, "n.csv", CSV), 0).code, "csv");
        routing_shortest(&r, a, &t, N, NULL, -1);
        const double *A = routing_matrix(&r, a);      // in the order of the file
        for (int i = 0; i < (form == 1 ? L : N * N); i++)
            for (int j = 0; j < (form == 1 ? N * N : L); j++)
                sprintf(text + strlen(text), "%g%s",
                        form == 1 ? A[i * N * N + j] : A[(form == 2 ? 3 - j : j) * N * N + i],
                        j + 1 < (form == 1 ? N * N : L) ? ","
                        : form                          ? ",\n"
                                                        : "\n");
        if (form == 3) *strchr(strchr(strchr(text, '\n') + 1, '\n'), '1') = '0';   // A to C loses one of its two links
        CHECK(!topology_match(&t, a, N, names, &how).code, "match");
        const Status s = routing_read(&got, a, put(log, a, "A.csv", text), &t, N, &how);
        if (form == 3) {
            TEST(log, s.code == 1 && strstr(s.msg, "want paths"), "a matrix without paths: %s", s.msg);
            continue;
        }
        routing_shortest(&r, a, &t, N, NULL, -1);
        TEST(log,
             !s.code && got.begin[N * N] == r.begin[N * N] &&
                 !memcmp(routing_matrix(&got, a), routing_matrix(&r, a), L * N * N * sizeof(double)),
             "form %d: %s %s", form, s.msg, s.code ? "" : how);
    }
}

// ---- the published networks

// Ours against a published matrix: flows with the same shares; flows whose published path is one of our equal ones.
static void compare(TestLog *log, Arena *a, const char *dir, const char *xml, const char *csv, int n, int same_wanted)
{
    Topology t;
    Routing ours, theirs;
    const char *how;
    Status s = topology_read(&t, a, arena_printf(a, "%s/%s", dir, xml), 0);
    if (!s.code) s = topology_match(&t, a, n, NULL, &how);
    if (!s.code) s = routing_read(&theirs, a, arena_printf(a, "%s/%s", dir, csv), &t, n, &how);
    TEST(log, !s.code, "%s", s.msg);
    if (s.code) return;
    routing_shortest(&ours, a, &t, n, NULL, -1);
    const double *A = routing_matrix(&ours, a), *B = routing_matrix(&theirs, a);
    int same = 0, one_of_ours = 0;
    const int F = n * n;
    for (int f = 0; f < F; f++) {
        bool equal = true, within = true;
        for (int l = 0; l < t.L; l++) {
            equal &= fabs(A[l * F + f] - B[l * F + f]) < 1e-9;
            within &= B[l * F + f] < 1e-9 || A[l * F + f] > 1e-9;
        }
        same += equal;
        one_of_ours += within;
    }
    TEST(log, one_of_ours == F && same == same_wanted, "%s: %d of %d flows as published, %d a part of ours; %s", csv,
         same, F, one_of_ours, how);
}

static void check_published(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/data/abilene/topology, ../shared/data/geant/topology");
        return;
    }
    compare(log, a, arena_printf(a, "%s/data/abilene/topology", log->shared), "Abilene-Topo-10-04-2004.xml",
            "abilene_rm.csv", 12, 144);
    // GEANT's file has no metrics: hops.  Of the 506 flows 314 have one shortest path alone; of the others one of
    // several is published, over which ours splits.  337 = 314 + the 23 flows from a node to itself.
    compare(log, a, arena_printf(a, "%s/data/geant/topology", log->shared), "topology-anonymised.xml", "geant_rm.csv",
            23, 337);
    Topology t;
    TEST(log, !topology_read(&t, a, arena_printf(a, "%s/data/formats/sndlib_native/abilene-20040301-0000.txt",
                                                 log->shared), 0).code && t.N == 12 && t.L == 30 &&
         fabs(t.link[0].capacity_kbps - 9920000) < 1, "SNDlib native: %d nodes, %d links", t.N, t.L);
}

// ---- lead forecast, lead loads

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void check_commands(TestLog *log, Arena *a)
{
    const char *dir = log->tmp, *net = put(log, a, "net.csv",
                                           "node_a,node_b,capacity_mbps,weight\n0,1,900,1\n1,2,900,1\n"
                                           "2,3,900,1\n3,0,900,1\n");
    Ran r = lead_run(log, a, "data synth --nodes 4 --days 15 --slot-seconds 1800 --out %s/x.npy", dir);
    TEST(log, r.code == 0, "%s", r.err);
    const char *forecast = arena_printf(a,
                                        "forecast --model ridge --data %s/x.npy --horizon 3 --samples 30 --quantiles "
                                        "0.05,0.5,0.95 --aggregate total",
                                        dir);
    r = lead_run(log, a, "%s --paths %s/p.npy", forecast, dir);
    TrafficPaths p;
    const Status s = paths_read(&p, a, arena_printf(a, "%s/p.npy", dir));
    TEST(log, r.code == 0 && !s.code && p.S == 30 && p.K == 3 && p.N == 4, "forecast --paths: %s%s", r.err, s.msg);
    TEST(log, lines(r.out) == 4 && strstr(r.out, "\n3,2024-01-16T01:00:00Z,*,*,"), "%s", r.out);
    if (s.code || r.code) return;
    float total[30];
    for (int i = 0; i < 30; i++) total[i] = paths_sum(paths_at(&p, i, 2), 4, PATHS_TOTAL, 0);
    sort_f32(total, 30);
    double got = 0;
    sscanf(strstr(r.out, "\n3,"), "\n3,%*[^,],*,*,%*f,%*f,%*f,%lf", &got);
    TEST(log, fabs(got / metric_quantile(total, 30, 0.95, 6) - 1) < 1e-5, "q0.95 of the total: %g", got);

    const Ran tsv = lead_run(log, a, "loads --topology %s --paths %s/p.npy --out -", net, dir);
    const Ran json = lead_run(log, a, "loads --topology %s --paths %s/p.npy --format json", net, dir);
    TEST(log, tsv.code == 0 && lines(tsv.out) == 1 + 3 * 9 && strstr(tsv.out, "\n1\t\t0>1\t0\t1\t900000\t") &&
         strstr(tsv.out, "\n3\t\tlargest\t"), "loads: %s%.300s", tsv.err, tsv.out);
    TEST(log, json.code == 0 && strstr(json.out, "\"most_often\": "), "loads --format json: %s", json.err);
    const Ran run =
        lead_run(log, a, "loads --topology %s --model ridge --data %s/x.npy --horizon 3 --samples 30", net, dir);
    TEST(log, run.code == 0 && strstr(run.out, "\n1\t2024-01-16T00:00:00Z\t0>1\t"), "loads --model: %s", run.err);

    static const char *const format[] = {"csv-wide", "nixtla", "nixtla-wide", "jsonl"};
    static const char *const begins[] = {"step,time,*>*\n1,2024-",
                                         "unique_id,ds,ridge,ridge-lo-90,ridge-median,ridge-hi-90\n"
                                         "*>*,2024-",
                                         "ds,*>*\n2024-", "{\"step\":1,\"time\":\"2024-01-16T00:00:00Z\""};
    for (int i = 0; i < 4; i++) {
        r = lead_run(log, a, "%s --format %s --value q0.95", forecast, format[i]);
        TEST(log, r.code == 0 && !strncmp(r.out, begins[i], strlen(begins[i])) && lines(r.out) == (i == 3 ? 3 : 4),
             "--format %s: %s%.200s", format[i], r.err, r.out);
    }
    static const struct { const char *args, *begins; int lines; } file[] = {
        {"hist", "0 ", 3}, {"hist --value paths", "0 ", 90}, {"repetita --step 2 --value q0.95", "DEMANDS 12\n", 14},
        {"paragon", "#", -1}, {"trafficload", "#", -1}};
    const char *plain = arena_printf(a, "forecast --model ridge --data %s/x.npy --horizon 3", dir);
    for (int i = 0; i < 5; i++) {
        r = lead_run(log, a, "%s --format %s%s", plain, file[i].args, i == 1 ? " --samples 30" : "");
        TEST(log, r.code == 0 && !strncmp(r.out, file[i].begins, strlen(file[i].begins)) &&
             (file[i].lines < 0 || lines(r.out) == file[i].lines), "--format %s: %s%.300s", file[i].args, r.err, r.out);
    }
    r = lead_run(log, a, "forecast --model ridge --data %s/x.npy --horizon 1 --flow 2:1,0:3", dir);
    TEST(log, r.code == 0 && lines(r.out) == 3 && strstr(r.out, "Z,0,3,") && strstr(r.out, "Z,2,1,"), "--flow: %s%s",
         r.err, r.out);
    r = lead_run(log, a, "forecast --model ridge --data %s/x.npy --horizon 1 --slot 1h --aggregate total,max", dir);
    TEST(log, r.code == 0 && lines(r.out) == 2 && strstr(r.out, "Z,*,*,"), "--aggregate total,max: %s%s", r.err, r.out);
    static const struct { const char *args, *want; int code;
    } bad[] = {{"forecast --model ridge --data %s --format hist --aggregate total", "whole matrices", 2},
               {"forecast --model ridge --data %s --aggregate total,p95,max", "total,p95,max", 2},
               {"loads --topology %s --paths x --model ridge", "got both", 2},
               {"loads --paths %s", "--topology", 2},
               {"loads --topology %s --paths nowhere.npy", "nowhere.npy", 1},
               {"loads --topology %s", "--data", 2},
               {"loads --topology %s --paths x --above 0", "--above", 2},
               {"loads --topology %s --paths x --format xml", "xml", 2},
               {"forecast --model ridge --data %s --aggregate nodes", "nodes", 2},
               {"forecast --model ridge --data %s --value q2", "q2", 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char args[512];
        const char *mark = strstr(bad[i].args, "%s");
        snprintf(args, sizeof args, "%.*s%s%s", (int)(mark - bad[i].args), bad[i].args, net, mark + 2);
        r = lead_run(log, a, "%s", args);
        // --paths of another verb's file name is no file of paths
        TEST(log,
             (r.code == bad[i].code && strstr(r.err, bad[i].want)) || (r.code == 1 && i == 3 && strstr(r.err, net)),
             "%s: exit %d, %s", args, r.code, r.err);
    }
}

void test_links(TestLog *log)
{
    Arena *a = arena_new("links", (size_t)1 << 32, NULL), *scratch = arena_new("scratch", (size_t)1 << 28, NULL);
    CHECK(a && scratch, "no address space");
    check_shortest(log, a);
    check_conservation(log, a);
    check_loads(log, a, scratch);
    check_unknown(log, a, scratch);
    check_readers(log, a);
    check_refused(log, a);
    check_match(log, a);
    check_given(log, a);
    check_published(log, a);
    check_commands(log, a);
    arena_delete(scratch);
    arena_delete(a);
}
