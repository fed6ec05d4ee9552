// Scores of link loads (links/score.h) against the formulas of E9 in plain loops; traffic matrices from loads
// (links/estimate.h): what is measured comes back, what is free stays as in the guess.
#include <stdio.h>

#include "io/npy.h"
#include "links/estimate.h"
#include "links/score.h"
#include "links_world.h"
#include "run_lead.h"
#include "tensor/sort.h"

// ---- scores

static void check_scores(TestLog *log, Arena *a)
{
    enum { N = 4, F = N * N, K = 2, S = 11, W = 6 };
    const Topology t = random_network(a, N, 10, 4);
    Routing r;
    LinkScore s;
    routing_shortest(&r, a, &t, N, NULL, -1);
    CHECK(!link_score_new(&s, a, &t, &r, K, 2, S).code, "score");
    const double *A = routing_matrix(&r, a);
    double square[2][K] = {{0}}, crps[2][K] = {{0}}, in90[2][K] = {{0}};
    for (int w = 0; w < W; w++) {
        const float *x = random_matrices(a, S * K * F, 20 + (uint64_t)w),
                    *y = random_matrices(a, K * F, 60 + (uint64_t)w);
        const float *point = random_matrices(a, K * F, 80 + (uint64_t)w);
        link_score_add(&s, "paths", DIST_SAMPLES, S, x, point, y);
        link_score_add(&s, "points", DIST_NONE, 0, NULL, point, y);
        for (int k = 0; k < K; k++) {
            double largest[S + 1] = {0};
            for (int l = 0; l <= t.L; l++) {         // the last is the largest of all
                double v[S + 1] = {0}, p = 0, spread = 0, distance = 0;
                float sorted[S];
                for (int i = 0; i <= S; i++) {       // v[S]: the truth
                    for (int f = 0; f < F && l < t.L; f++)
                        v[i] += A[l * F + f] * (double)(i < S ? x[(i * K + k) * F + f] : y[k * F + f]) /
                                t.link[l].capacity_kbps * 100;
                    if (l == t.L) v[i] = largest[i];
                    largest[i] = fmax(largest[i], v[i]);
                }
                for (int f = 0; f < F && l < t.L; f++)
                    p += A[l * F + f] * (double)point[k * F + f] / t.link[l].capacity_kbps * 100;
                for (int i = 0; i < S && l == t.L; i++) p += v[i] / S;
                for (int i = 0; i < S; i++) {
                    distance += fabs(v[i] - v[S]) / S;
                    for (int j = 0; j < S; j++) spread += fabs(v[i] - v[j]) / (2.0 * S * (S - 1));
                    sorted[i] = (float)v[i];
                }
                sort_f32(sorted, S);
                square[l == t.L][k] += (p - v[S]) * (p - v[S]);
                crps[l == t.L][k] += distance - spread;
                in90[l == t.L][k] += v[S] >= metric_quantile(sorted, S, 0.05, 6) - 1e-6 &&
                                     v[S] <= metric_quantile(sorted, S, 0.95, 6) + 1e-6;
            }
        }
    }
    double worst = 0;
    for (int space = 0; space < 2; space++)
        for (int k = 0; k < K; k++) {
            const double n = W * (space ? 1 : t.L);
            const MetricResult m = link_score_result(&s, 0, space, k + 1), p = link_score_result(&s, 1, space, k + 1);
            worst = fmax(worst, fabs(m.rmse / sqrt(square[space][k] / n) - 1));
            worst = fmax(worst, fabs(m.crps / (crps[space][k] / n) - 1));
            worst = fmax(worst, fabs(m.cover90 - in90[space][k] / n));
            TEST(log, isnan(p.crps) && isfinite(p.rmse) && m.windows == W, "points have a CRPS of %g", p.crps);
        }
    TEST(log, worst < 1e-4, "scores are %g off the formulas", worst);
    const MetricResult all = link_score_result(&s, 0, 0, 0);
    TEST(log, fabs(all.rmse - sqrt((square[0][0] + square[0][1]) / (2.0 * W * t.L))) < 1e-4 * all.rmse, "all steps: %g",
         all.rmse);
    Topology none = t;
    none.link = arena_zalloc(a, (size_t)t.L * sizeof *none.link);
    TEST(log, link_score_new(&s, a, &none, &r, K, 2, S).code == 1, "loads are scored in per cent of nothing");
}

// ---- estimates

static Topology star(Arena *a, int N)
{
    Topology t = topology_new(a, "star", "star", N, 2 * N);
    for (int i = 0; i < N; i++) CHECK(!topology_add_node(&t, a, arena_printf(a, "%d", i), 0).code, "node");
    for (int i = 1; i < N; i++)
        CHECK(!topology_add_link(&t, a, (TopologyLink){.from = 0, .to = i, .weight = 1}, true, 0).code, "link");
    return t;
}

// A ring of four, over which opposite nodes have two ways, and a fifth node at its first.
static Topology ring(Arena *a)
{
    static const int end[5][2] = {{0, 1}, {1, 2}, {2, 3}, {3, 0}, {0, 4}};
    Topology t = topology_new(a, "ring", "ring", 5, 10);
    for (int i = 0; i < 5; i++) CHECK(!topology_add_node(&t, a, arena_printf(a, "%d", i), 0).code, "node");
    for (int i = 0; i < 5; i++) {
        const TopologyLink link = {.from = end[i][0], .to = end[i][1], .weight = 1};
        CHECK(!topology_add_link(&t, a, link, true, 0).code, "link");
    }
    return t;
}

static double log_of(double x) { return log(x); }   // a test's log is its TestLog

static void check_estimate(TestLog *log, Arena *a)
{
    enum { N = 5, F = N * N };
    Routing r, mesh;
    const Topology s = star(a, N), t = ring(a);
    routing_shortest(&r, a, &s, N, NULL, -1);
    routing_shortest(&mesh, a, &t, N, NULL, -1);
    double x[F], truth[F], y[64], again[64], rank1[F];
    for (int f = 0; f < F; f++) {
        truth[f] = 1 + dice(5, (uint64_t)f, 100);
        rank1[f] = (1 + f / N) * (3 + f % N);
    }
    const Measurement m = measurement_new(a, &r), dense = measurement_new(a, &mesh);
    measurement_of(&dense, truth, y);
    double off = 0;
    const double *A = routing_matrix(&mesh, a);
    for (int i = 0; i < dense.rows; i++) {
        double want = 0;
        for (int f = 0; f < F; f++)
            want += truth[f] * (i < t.L ? A[i * F + f] : i < t.L + N ? f / N == i - t.L : f % N == i - t.L - N);
        off = fmax(off, fabs(want - y[i]));
    }
    TEST(log, off < 1e-9, "y = A x is %g off", off);
    measurement_of(&m, rank1, y);
    estimate_gravity(&m, y, x);
    double worst = 0;
    for (int f = 0; f < F; f++) worst = fmax(worst, fabs(x[f] - rank1[f]));
    TEST(log, worst < 1e-9, "gravity is %g off a matrix that is one", worst);
    // On a star, the links say no more than the nodes: cross ratios of the guess stay, which is what nearest means.
    for (int f = 0; f < F; f++) x[f] = 1 + dice(6, (uint64_t)f, 50);
    const double before = x[1 * N + 2] * x[3 * N + 4] / (x[1 * N + 4] * x[3 * N + 2]);
    measurement_of(&m, truth, y);
    const double left = estimate_fit(&m, y, x, NULL, 2000);
    measurement_of(&m, x, again);
    for (int i = 0; i < m.rows; i++) worst = fmax(worst, fabs(again[i] - y[i]));
    TEST(log, left < 1e-5 && worst < 1e-2, "fitted to the loads, but %g of them is left (%g)", left, worst);
    TEST(log, fabs(x[1 * N + 2] * x[3 * N + 4] / (x[1 * N + 4] * x[3 * N + 2]) / before - 1) < 1e-6,
         "what no load says has changed");
    measurement_of(&dense, truth, y);
    double errors[2] = {0};
    for (int k = 0; k < 2; k++) {
        estimate_gravity(&dense, y, x);
        if (k) estimate_fit(&dense, y, x, NULL, 500);
        for (int f = 0; f < F; f++) errors[k] += fabs(x[f] - truth[f]);
    }
    // nearest to the guess: log(x / g) is a sum of what was measured, A' lambda, here by least squares
    double g[F], left_over[F], most_left = 0;
    estimate_gravity(&dense, y, g);
    for (int f = 0; f < F; f++) left_over[f] = log_of(x[f] / g[f]);
    for (int sweep = 0; sweep < 20000; sweep++)
        for (int i = 0; i < dense.rows; i++) {
            double dot = 0, square = 0;
            for (int64_t k = dense.begin[i]; k < dense.begin[i + 1]; k++) {
                dot += dense.share[k] * left_over[dense.flow[k]];
                square += dense.share[k] * dense.share[k];
            }
            for (int64_t k = dense.begin[i]; k < dense.begin[i + 1] && square > 0; k++)
                left_over[dense.flow[k]] -= dense.share[k] * dot / square;
        }
    for (int f = 0; f < F; f++) most_left = fmax(most_left, fabs(left_over[f]));
    TEST(log, most_left < 1e-6, "log(x / g) is %g off a sum of what was measured", most_left);
    int split = 0;
    for (int64_t i = 0; i < mesh.begin[F]; i++) split += mesh.entry[i].share < 1;
    measurement_of(&dense, x, again);
    double misfit = 0;
    for (int i = 0; i < dense.rows; i++) misfit = fmax(misfit, fabs(again[i] / y[i] - 1) * (y[i] > 0));
    TEST(log, split > 0 && misfit < 1e-3, "%d shares below 1; loads are missed by %g", split, misfit);
    TEST(log, errors[1] < errors[0], "links do not help: %g after %g", errors[1], errors[0]);
}

// ---- commands

static void check_commands(TestLog *log, Arena *a)
{
    const char *dir = log->tmp, *net = arena_printf(a, "%s/net.csv", dir);
    FILE *f = fopen(net, "w");
    CHECK(f && fputs("node_a,node_b,capacity_mbps\n0,1,900\n1,2,900\n2,0,900\n2,3,900\n", f) >= 0 && !fclose(f), "net");
    Ran r = lead_run(log, a, "data synth --nodes 4 --days 15 --slot-seconds 1800 --out %s/x.npy", dir);
    CHECK(r.code == 0, "%s", r.err);
    r = lead_run(log, a, "eval --naive-only --split val --stride 20 --data %s/x.npy --topology %s --out %s/e.tsv", dir,
                 net, dir);
    const char *file = r.code ? "" : slurp(a, arena_printf(a, "%s/e.tsv", dir));
    const char *table =
        strstr(file, "\nmodel\tspace\thorizon\twindows\trmse\tmae\tcrps\tcover50\tcover90\nridge\tlinks\t1\t");
    TEST(log, r.code == 0 && table && strstr(table, "\npersistence\tlargest\tall\t"), "eval --topology: exit %d, %s%s",
         r.code, r.err, file);
    TEST(log, !*r.out, "with --out stdout holds %s", r.out);
    r = lead_run(log, a, "eval --naive-only --split val --stride 20 --data %s/x.npy --topology %s", dir, net);
    TEST(log, r.code == 0 && !strcmp(file, r.out), "--out holds something else than stdout");
    r = lead_run(log, a, "eval --naive-only --data %s/x.npy --topology %s --origins 50", dir, net);
    TEST(log, r.code == 2 && strstr(r.err, "--origins"), "eval --topology --origins: %s", r.err);
    r = lead_run(log, a, "estimate --data %s/x.npy --topology %s", dir, net);
    TEST(log, r.code == 0 && strstr(r.out, "\ntomogravity\toff-diagonal\t108\t"), "estimate: %s%s", r.err, r.out);
    // measured loads of zero traffic but one flow, as .npy [1, 8 + 8]
    float y[16] = {0};
    y[0] = 100, y[8] = 100, y[12 + 1] = 100;          // link 0>1, ingress of 0, egress of 1
    CHECK(!npy_write(arena_printf(a, "%s/y.npy", dir), "<f4", (int64_t[]){1, 16}, 2, y).code, "y");
    r = lead_run(log, a, "estimate --loads %s/y.npy --topology %s --out %s/tm.npy", dir, net, dir);
    NpyArray tm = {0};
    const Status s = npy_read(&tm, a, arena_printf(a, "%s/tm.npy", dir));
    TEST(log, r.code == 0 && !s.code && tm.count == 16 && fabs((double)((const float *)tm.data)[1] - 100) < 1e-3,
         "estimate --loads: %s%s", r.err, s.msg);
    r = lead_run(log, a, "estimate --loads %s/x.npy --topology %s --out %s/tm2.npy", dir, net, dir);
    TEST(log, r.code == 1 && strstr(r.err, "[T, 16]"), "loads of another shape: %s", r.err);
}

void test_links_score(TestLog *log)
{
    Arena *a = arena_new("score", (size_t)1 << 32, NULL);
    CHECK(a, "no address space");
    check_scores(log, a);
    check_estimate(log, a);
    check_commands(log, a);
    arena_delete(a);
}
