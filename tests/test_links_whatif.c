// What if (links/whatif.h) and the best routing (links/optimal.h): failures against networks without the links, optima
// that are known by hand, and the bound that proves the others.
#include <stdio.h>

#include "links/optimal.h"
#include "links/whatif.h"
#include "links_world.h"
#include "tensor/sort.h"
#include "traffic/metrics.h"
#include "run_lead.h"

static Topology network(Arena *a, int N, const TopologyLink *link, int L, bool both)
{
    Topology t = topology_new(a, "by hand", "by hand", N, 2 * L);
    for (int i = 0; i < N; i++) CHECK(!topology_add_node(&t, a, arena_printf(a, "%c", 'A' + i), 0).code, "node");
    for (int i = 0; i < L; i++) CHECK(!topology_add_link(&t, a, link[i], both, 0).code, "link");
    return t;
}

// ---- optima

static Optimum best(TestLog *log, Arena *a, Arena *scratch, const Topology *t, int n, const float *x, int M)
{
    Routing r;
    Optimum o = {.largest = NAN};
    routing_shortest(&r, a, t, n, NULL, -1);
    const Status s = optimal_routing(&o, a, scratch, t, &r, x, M, 0.001);
    TEST(log, !s.code, "%s", s.msg);
    return o;
}

// A network whose optimum is a sentence: all that leaves A, over links of 1 and 3; a ring; two matrices that want
// opposite halves of the same links.
static void check_by_hand(TestLog *log, Arena *a, Arena *scratch)
{
    const TopologyLink two[] = {{0, 1, 1e3, 1, NULL, NULL}, {0, 2, 3e3, 1, NULL, NULL}, {2, 1, 9e3, 1, NULL, NULL}};
    const Topology t = network(a, 3, two, 3, false);
    float x[18] = {0};
    x[1] = 2000;                                      // A to B
    Optimum o = best(log, a, scratch, &t, 3, x, 1);
    TEST(log, fabs(o.largest - 0.5) < 0.0006 && o.bound <= o.largest + 1e-12 && o.bound > 0.499,
         "2 over links of 1 and 3: %g, at least %g", o.largest, o.bound);
    x[2] = 1000;                                      // and A to C, which has one way
    o = best(log, a, scratch, &t, 3, x, 1);
    TEST(log, fabs(o.largest - 0.75) < 0.0008, "3 over links of 1 and 3: %g", o.largest);
    const TopologyLink ring[] = {{0, 1, 1e3, 1, NULL, NULL}, {1, 2, 1e3, 1, NULL, NULL}, {2, 3, 1e3, 1, NULL, NULL},
                                 {3, 0, 1e3, 1, NULL, NULL}};
    const Topology r = network(a, 4, ring, 4, true);
    float y[32] = {0};
    y[2] = 1000, y[16 + 2] = 500;                     // A to C alone: half each way; as a second matrix half of it
    o = best(log, a, scratch, &r, 4, y, 2);
    TEST(log, fabs(o.largest - 0.5) < 0.0006, "a ring: %g", o.largest);
    // A to B fills A>B or A>D>C>B; D to C in the second matrix fills D>C: both directions of one sharing
    y[2] = 0, y[16 + 2] = 0, y[1] = 1000, y[16 + 3 * 4 + 2] = 1000;
    o = best(log, a, scratch, &r, 4, y, 2);
    TEST(log, fabs(o.largest - 0.5) < 0.0006, "two matrices on a ring: %g", o.largest);
}

// The largest flow from one node to another by augmenting paths (capacities are whole numbers of Mbit/s).
static double max_flow(const Topology *t, int from, int to)
{
    double left[256], back[256], all = 0;
    for (int l = 0; l < t->L; l++) left[l] = t->link[l].capacity_kbps, back[l] = 0;
    for (;;) {
        int via[64], queue[64], n = 0;
        for (int v = 0; v < t->N; v++) via[v] = -1;
        queue[n++] = from;
        for (int i = 0; i < n; i++)
            for (int l = 0; l < t->L; l++) {
                const TopologyLink *k = &t->link[l];
                if (k->from == queue[i] && left[l] > 0 && via[k->to] < 0 && k->to != from)
                    via[k->to] = l, queue[n++] = k->to;
                if (k->to == queue[i] && back[l] > 0 && via[k->from] < 0 && k->from != from)
                    via[k->from] = t->L + l, queue[n++] = k->from;
            }
        if (via[to] < 0) return all;
        for (int v = to; v != from;) {               // one Mbit/s at a time
            const int l = via[v] % t->L, forward = via[v] < t->L;
            left[l] += forward ? -1e3 : 1e3;
            back[l] += forward ? 1e3 : -1e3;
            v = forward ? t->link[l].from : t->link[l].to;
        }
        all += 1e3;
    }
}

static void check_single_flows(TestLog *log, Arena *a, Arena *scratch)
{
    double worst = 0;
    int flows = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        enum { N = 8 };
        const Topology t = random_network(a, N, 24, 100 + seed);
        float x[N * N] = {0};
        x[N - 1] = 5000;                             // from 0 to 7
        const double most = max_flow(&t, 0, N - 1);
        if (!(most > 0)) continue;
        worst = fmax(worst, fabs(best(log, a, scratch, &t, N, x, 1).largest / (5000 / most) - 1));
        flows++;
    }
    TEST(log, flows >= 8 && worst < 0.0015, "%d single flows are %g off demand / maximum flow", flows, worst);
}

// Whole matrices: the routing is one (flows conserved), its utilisation is what is said, and the bound proves it.
static void check_matrices(TestLog *log, Arena *a, Arena *scratch)
{
    enum { N = 12, M = 8 };
    for (int m = 1; m <= M; m += M - 1) {
        const Topology t = random_network(a, N, 50, 7);
        const float *x = random_matrices(a, M * N * N, 3);
        Routing shortest;
        routing_shortest(&shortest, a, &t, N, NULL, -1);
        const Optimum o = best(log, a, scratch, &t, N, x, m);
        double worst = 0, used = 0, before = 0, load[64];
        for (int f = 0; f < N * N; f++) {
            double net[N] = {0};
            if (shortest.lost[f] || f / N == f % N) continue;
            for (int64_t i = o.routing.begin[f]; i < o.routing.begin[f + 1]; i++) {
                net[t.link[o.routing.entry[i].link].from] += o.routing.entry[i].share;
                net[t.link[o.routing.entry[i].link].to] -= o.routing.entry[i].share;
            }
            net[f / N] -= 1, net[f % N] += 1;
            for (int v = 0; v < N; v++) worst = fmax(worst, fabs(net[v]));
        }
        for (int k = 0; k < m; k++) {
            loads_of(&o.routing, x + k * N * N, load);
            used = fmax(used, loads_largest(&t, load, NULL));
            loads_of(&shortest, x + k * N * N, load);
            before = fmax(before, loads_largest(&t, load, NULL));
        }
        TEST(log, worst < 1e-9, "%d matrices: %g of a flow is lost or made at a node", m, worst);
        TEST(log,
             fabs(used - o.largest) < 1e-6 * used && o.largest <= o.bound * 1.0011 &&
                 o.bound <= o.largest * (1 + 1e-9) && used < before,
             "%d matrices: utilisation %g, said %g, at least %g, shortest paths %g", m, used, o.largest, o.bound,
             before);
    }
}

// ---- failures

static const char *names(const FailureList *list, Arena *a)
{
    const char *text = "";
    for (int i = 1; i < list->n; i++) text = arena_printf(a, "%s%s%s", text, i > 1 ? " " : "", list->failure[i].name);
    return text;
}

static Topology square(Arena *a)
{
    const TopologyLink link[] = {{0, 1, 1e3, 1, NULL, "duct"}, {1, 2, 1e3, 1, NULL, "duct"}, {2, 3, 1e3, 1, NULL, NULL},
                                 {3, 0, 1e3, 1, NULL, NULL}, {0, 1, 1e3, 1, NULL, NULL}};
    return network(a, 4, link, 5, true);
}

static void check_list(TestLog *log, Arena *a)
{
    const Topology t = square(a);
    static const struct { const char *text, *want; int down; } list[] = {
        {"all-links", "A-B#1 B-C C-D D-A A-B#2", 2}, {"all-nodes", "A B C D", 0}, {"all-groups", "duct", 4},
        {"all-single", "A-B#1 B-C C-D D-A A-B#2 A B C D duct", 2}, {"B-A,C>D", "B-A C>D", 4}, {"B-A#2,B", "B-A#2 B", 2},
        {"A-B+C-D", "A-B+C-D", 6}, {"duct", "duct", 4}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        FailureList f;
        const Status s = failures_parse(&f, a, &t, list[i].text);
        int down = 0;
        for (int l = 0; l < t.L && !s.code; l++) down += f.failure[1].down[l];
        TEST(log,
             !s.code && !strcmp(names(&f, a), list[i].want) && down == list[i].down &&
                 f.failure[0].kind == FAIL_NOTHING,
             "--fail %s: %s'%s', %d links down", list[i].text, s.msg, s.code ? "" : names(&f, a), down);
    }
    FailureList f;
    TEST(log, failures_parse(&f, a, &t, "A-D,X").code == 2 && failures_parse(&f, a, &t, "all-of-it").code == 2,
         "a failure of nothing is taken");
}

// Each failure against the network built without the links, by the same largest utilisation in plain loops.
static void check_failures(TestLog *log, Arena *a, Arena *scratch)
{
    enum { N = 4, S = 9, K = 3, F = N * N };
    const Topology t = square(a);
    const double level[] = {0.5, 0.9}, above[] = {1.5};
    const LoadOptions o = {level, 2, above, 1};
    const TrafficPaths p = {S, K, N, DIST_SAMPLES, random_matrices(a, S * K * F, 2), random_matrices(a, K * F, 4)};
    FailureList list;
    CHECK(!failures_parse(&list, a, &t, "all-single,A-B+D-A").code, "list");
    double worst = 0, lost = 0, chance = 0, some = 0;
    FailureResult *r = arena_alloc(a, (size_t)list.n * sizeof *r);
    for (int i = 0; i < list.n; i++) {
        const Failure *f = &list.failure[i];
        failure_assess(&r[i], a, scratch, &t, f, &p, K, &o);
        double mean = 0, want_lost = 0, beyond = 0;
        float sorted[S];
        uint8_t down[16];
        for (int l = 0; l < t.L; l++) down[l] = f->down[l] || t.link[l].from == f->node || t.link[l].to == f->node;
        for (int s = 0; s < S; s++) {
            double most = 0;
            for (int k = 0; k < K; k++) {
                double load[16] = {0};
                for (int j = 0; j < F; j++)
                    spread_by_trying(&t, down, j / N, j % N, (double)p.x[(s * K + k) * F + j], load);
                for (int l = 0; l < t.L; l++) most = fmax(most, load[l] / t.link[l].capacity_kbps);
            }
            mean += most / S;
            beyond += most > above[0] ? 1.0 / S : 0;
            sorted[s] = (float)most;
        }
        sort_f32(sorted, S);
        chance = fmax(chance, fabs(r[i].probability[0] - beyond));
        some += beyond > 0 && beyond < 1;
        for (int q = 0; q < 2; q++)
            worst = fmax(worst, fabs(r[i].quantile[q] - metric_quantile(sorted, S, level[q], 6)));
        for (int j = 0; j < F; j++)
            if (!isfinite(shortest_by_trying(&t, down, j / N, j % N, 1u << j / N)))
                for (int k = 0; k < K; k++) want_lost += (double)p.point[k * F + j] / K;
        worst = fmax(worst, fabs(r[i].mean - mean));
        lost = fmax(lost, fabs(r[i].lost_kbps - want_lost));
    }
    TEST(log, worst < 1e-6 && lost < 1e-6, "failures are %g off the network without the links, lost demand by %g",
         worst, lost);
    TEST(log, chance < 1e-12 && some > 0, "chances of more than 150 %% are off by %g; %g of them are neither 0 nor 1",
         chance, some);
    const FailureResult last = r[list.n - 1];
    TEST(log, last.n_lost == 6 && last.lost_kbps > 0 && last.lost[0] / N != last.lost[0] % N,
         "A cut off: %d pairs lost", last.n_lost);
    double before = INFINITY;
    for (int i = 0; i < last.n_lost; i++) {
        double demand = 0;
        for (int k = 0; k < K; k++) demand += (double)p.point[k * F + last.lost[i]];
        TEST(log, demand <= before, "lost pair %d is larger than the one before", i);
        before = demand;
    }
    failures_sort(r, list.n, 2);
    int wrong = 0;
    for (int i = 1; i < list.n; i++) wrong += r[i].quantile[1] > r[i - 1].quantile[1];
    TEST(log, wrong == 0 && r[0].quantile[1] > r[list.n - 1].quantile[1], "not sorted, worst first");
}

static void check_traffic(TestLog *log, Arena *a)
{
    enum { N = 3, F = 9 };
    const float *x = random_matrices(a, 2 * F, 6);
    const TrafficPaths p = {2, 1, N, DIST_SAMPLES, x, x};
    const TrafficPaths grown = whatif_grow(&p, a, 1.5), moved = whatif_move(&p, a, 0, 2, 0.25);
    const double M[N][N] = {{0.75, 0, 0.25}, {0, 1, 0}, {0, 0, 1}};
    double off = 0;
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double want = 0;
                for (int k = 0; k < N; k++)
                    for (int l = 0; l < N; l++) want += M[k][i] * M[l][j] * (double)x[s * F + k * N + l];
                off = fmax(off, fabs((double)moved.x[s * F + i * N + j] - want));
                off = fmax(off, fabs((double)grown.x[s * F + i * N + j] - 1.5 * (double)x[s * F + i * N + j]));
            }
    TEST(log, off < 1e-3, "grown or moved traffic is %g off", off);
    TEST(log, fabs(paths_sum(x, N, PATHS_TOTAL, 0) - paths_sum(moved.x, N, PATHS_TOTAL, 0)) < 0.01F,
         "moving changes the total");
}

// ---- lead whatif

static void check_command(TestLog *log, Arena *a)
{
    const char *dir = log->tmp, *net = arena_printf(a, "%s/net.csv", dir);
    FILE *f = fopen(net, "w");
    CHECK(f && fputs("node_a,node_b,capacity_mbps\n0,1,900\n1,2,900\n2,0,900\n2,3,900\n", f) >= 0 && !fclose(f), "net");
    Ran r = lead_run(log, a, "data synth --nodes 4 --days 15 --slot-seconds 1800 --out %s/x.npy", dir);
    CHECK(r.code == 0, "%s", r.err);
    const char *with =
        arena_printf(a, "whatif --topology %s --model ridge --data %s/x.npy --horizon 2 --samples 20", net, dir);
    r = lead_run(log, a, "%s", with);
    TEST(log,
         r.code == 0 && strstr(r.out, "\n2-3\tlink\t") && strstr(r.out, "\n3\tnode\t") &&
             strstr(r.out, "\nnone\tnone\t"),
         "whatif: %s%s", r.err, r.out);
    const char *cut = strstr(r.out, "\n2-3\tlink\t");
    TEST(log, cut && strstr(cut, "\t6\t") && strstr(cut, "3>"), "the demand that 2-3 cuts off is not named: %s", r.out);
    r = lead_run(log, a, "%s --fail 0-1 --grow 2 --move 0:1:0.5 --format jsonl", with);
    TEST(log, r.code == 0 && strstr(r.out, "{\"failure\":\"0-1\",\"kind\":\"link\","), "jsonl: %s%s", r.err, r.out);
    r = lead_run(log, a, "%s --optimise --routing-out %s/A.npy", with, dir);
    TEST(log, r.code == 0 && strstr(r.out, "\nplanned on the regret\t"), "--optimise: %s%s", r.err, r.out);
    r = lead_run(log, a, "loads --topology %s --routing %s/A.npy --model ridge --data %s/x.npy --horizon 2", net, dir,
                 dir);
    TEST(log, r.code == 0 && strstr(r.out, "\tlargest\t"), "loads --routing: %s", r.err);
    const char *part = arena_printf(a, "%s/part.csv", dir);
    f = fopen(part, "w");
    CHECK(f && fputs("node_a,node_b,capacity_mbps\n0,1,900\n1,2,0\n2,0,900\n2,3,900\n", f) >= 0 && !fclose(f), "net");
    r = lead_run(log, a, "loads --topology %s --model ridge --data %s/x.npy --horizon 2", part, dir);
    TEST(log, r.code == 0 && strstr(r.err, "2 of 8 links have no known capacity, 1>2 for one"), "capacity 0: %s",
         r.err);
    static const struct { const char *args, *want;
    } bad[] = {{"--fail 0-3", "'0-3'"},      {"--move 0:1", "--move"},
               {"--move 0:1:2", "got '0:1:2'"},
               {"--move 0:9:0.5", "0:9"},    {"--optimise --fail 3", "got both"},
               {"--routing x", "--routing"}, {"--routing-out x", "--optimise"},
               {"--grow 0", "--grow"},       {"--weights far", "far"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = lead_run(log, a, "%s %s", with, bad[i].args);
        TEST(log, r.code == 2 && strstr(r.err, bad[i].want) && !*r.out, "%s: exit %d, %s", bad[i].args, r.code, r.err);
    }
}

void test_links_whatif(TestLog *log)
{
    Arena *a = arena_new("whatif", (size_t)1 << 32, NULL), *scratch = arena_new("scratch", (size_t)1 << 30, NULL);
    CHECK(a && scratch, "no address space");
    check_by_hand(log, a, scratch);
    check_single_flows(log, a, scratch);
    check_matrices(log, a, scratch);
    check_list(log, a);
    check_failures(log, a, scratch);
    check_traffic(log, a);
    check_command(log, a);
    arena_delete(scratch);
    arena_delete(a);
}
