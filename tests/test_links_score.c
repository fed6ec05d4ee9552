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

// How far v [F] is from a sum of what is measured, A' lambda: what is left when its part along each row is taken away
// (Kaczmarz 1937).  v is overwritten.
static double beside_rows(const Measurement *m, double *v, int F)
{
    double most = 0;
    for (int sweep = 0; sweep < 20000; sweep++)
        for (int i = 0; i < m->rows; i++) {
            double dot = 0, square = 0;
            for (int64_t k = m->begin[i]; k < m->begin[i + 1]; k++) {
                dot += m->share[k] * v[m->flow[k]];
                square += m->share[k] * m->share[k];
            }
            for (int64_t k = m->begin[i]; k < m->begin[i + 1] && square > 0; k++)
                v[m->flow[k]] -= m->share[k] * dot / square;
        }
    for (int f = 0; f < F; f++) most = fmax(most, fabs(v[f]));
    return most;
}

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
    const Measurement m = measurement_new(a, &r, NULL), dense = measurement_new(a, &mesh, NULL);
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
    double g[F], off_rows[F];
    estimate_gravity(&dense, y, g);
    for (int f = 0; f < F; f++) off_rows[f] = log_of(x[f] / g[f]);
    const double most_left = beside_rows(&dense, off_rows, F);
    TEST(log, most_left < 1e-6, "log(x / g) is %g off a sum of what was measured", most_left);
    // flows that are measured by themselves come back, from a guess of 0 too, and the others move with them
    bool known[F] = {false};
    known[7] = known[13] = true;
    const Measurement some = measurement_new(a, &mesh, known);
    double z[64], helped[2] = {0};
    measurement_of(&some, truth, z);
    TEST(log, some.rows == dense.rows + 2 && !memcmp(z, y, (size_t)dense.rows * sizeof *y) &&
              z[dense.rows] == truth[7] && z[dense.rows + 1] == truth[13],
         "want what was measured without them, then the two flows");
    estimate_gravity(&some, z, g);
    g[7] = 0;
    measurement_set_known(&some, z, g);
    TEST(log, g[7] == truth[7] && g[13] == truth[13], "the guess is not set to the flows that are measured");
    estimate_fit(&some, z, g, NULL, 500);
    for (int f = 0; f < F; f++)
        if (!known[f]) helped[0] += fabs(x[f] - truth[f]), helped[1] += fabs(g[f] - truth[f]);
    TEST(log, fabs(g[7] / truth[7] - 1) < 1e-3 && helped[1] < helped[0], "flow 7 is %g, want %g; errors %g after %g",
         g[7], truth[7], helped[1], helped[0]);
    int split = 0;
    for (int64_t i = 0; i < mesh.begin[F]; i++) split += mesh.entry[i].share < 1;
    measurement_of(&dense, x, again);
    double misfit = 0;
    for (int i = 0; i < dense.rows; i++) misfit = fmax(misfit, fabs(again[i] / y[i] - 1) * (y[i] > 0));
    TEST(log, split > 0 && misfit < 1e-3, "%d shares below 1; loads are missed by %g", split, misfit);
    TEST(log, errors[1] < errors[0], "links do not help: %g after %g", errors[1], errors[0]);
}

// ---- estimates guided by draws

enum { GN = 5, GF = GN * GN };

// A number around 0 of variance 1: twelve dice.
static double bell(uint64_t seed, uint64_t i)
{
    double sum = -6;
    for (uint64_t k = 0; k < 12; k++) sum += (dice(seed, 12 * i + k, 1 << 20) + 0.5) / (1 << 20);
    return sum;
}

// Nearest with weights: loads are met, and log(x / p) / w is a sum of what was measured.  No load: no traffic.
static void check_weights(TestLog *log, const Measurement *m)
{
    double p[GF], w[GF], x[GF], truth[GF], y[64], again[64], worst = 0;
    for (int f = 0; f < GF; f++) {
        truth[f] = 1 + dice(15, (uint64_t)f, 100);
        p[f] = x[f] = 1 + dice(16, (uint64_t)f, 100);
        w[f] = 1e3 * (0.02 + dice(17, (uint64_t)f, 100) / 100.0);
    }
    measurement_of(m, truth, y);
    const double left = estimate_fit(m, y, x, w, 5000);
    measurement_of(m, x, again);
    for (int i = 0; i < m->rows; i++) worst = fmax(worst, fabs(again[i] - y[i]));
    TEST(log, left < 1e-5 && worst < 1e-2, "with weights %g of the loads are left (%g)", left, worst);
    for (int f = 0; f < GF; f++) x[f] = 1e3 * log_of(x[f] / p[f]) / w[f];
    worst = beside_rows(m, x, GF);
    TEST(log, worst < 1e-5, "log(x / p) / w is %g off a sum of what was measured", worst);
    for (int f = 0; f < GF; f++) truth[f] = f / GN == 2 || f % GN == 2 ? 0 : 7, x[f] = p[f];
    measurement_of(m, truth, y);
    estimate_fit(m, y, x, w, 2000);
    TEST(log, x[2 * GN + 1] == 0 && x[1 * GN + 2] == 0 && x[1 * GN + 3] > 0, "a silent node sends %g", x[2 * GN + 1]);
}

// Guess and weights by their definitions; flows move by how unsure they are, which is nearer to the truth.
static void check_draws(TestLog *log, const Measurement *m)
{
    enum { S = 32, TRIALS = 40 };
    float x[S * 2 * GF], point[GF];
    double least[GF], guess[GF], give[GF], errors[2] = {0}, y[64], truth[GF], plain[GF];
    for (int trial = 0; trial < TRIALS; trial++) {
        for (int f = 0; f < GF; f++) {
            const uint64_t at = (uint64_t)(trial * GF + f);
            const double sd = f % 3 ? 2 : 40;
            least[f] = f == 7 ? 500 : 0.1;
            point[f] = 100 + (float)dice(21, at, 100);
            truth[f] = fmax(1, (double)point[f] + sd * bell(22, at));
            for (int s = 0; s < S; s++) x[s * 2 * GF + f] = point[f] + (float)(sd * bell(23, at * S + (uint64_t)s));
        }
        estimate_from_draws(&(EstimateDraws){S, 2 * GF, x, point}, least, GF, guess, give);
        double mean = 0, square = 0;
        for (int s = 0; s < S; s++) mean += (double)x[s * 2 * GF + 4] / S;
        for (int s = 0; s < S; s++) square += pow((double)x[s * 2 * GF + 4] - mean, 2) / (S - 1);
        const double want = (square + 1e-4 * pow((double)point[4], 2)) / (double)point[4];
        TEST(log, guess[4] == (double)point[4] && guess[7] == 500 && fabs(give[4] / want - 1) < 1e-4,
             "guess %g, %g; gives way by %g, want %g", guess[4], guess[7], give[4], want);
        double one[GF], alone[GF];   // a single draw has no variance: the floor alone
        estimate_from_draws(&(EstimateDraws){1, 2 * GF, x, point}, least, GF, one, alone);
        TEST(log, one[4] == guess[4] && fabs(alone[4] / (1e-4 * one[4]) - 1) < 1e-6, "one draw gives way by %g",
             alone[4]);
        guess[7] = (double)point[7];
        measurement_of(m, truth, y);
        memcpy(plain, guess, sizeof plain);
        estimate_fit(m, y, guess, give, 500);
        estimate_fit(m, y, plain, NULL, 500);
        for (int f = 0; f < GF; f++) errors[0] += fabs(guess[f] - truth[f]), errors[1] += fabs(plain[f] - truth[f]);
    }
    TEST(log, errors[0] < 0.8 * errors[1], "guided by the draws: error %g, all flows alike: %g", errors[0], errors[1]);
}

static void check_guided(TestLog *log, Arena *a)
{
    const Topology t = ring(a);
    Routing r;
    routing_shortest(&r, a, &t, GN, NULL, -1);
    const Measurement m = measurement_new(a, &r, NULL);
    check_weights(log, &m);
    check_draws(log, &m);
}

// ---- commands

// A field of the line of lead estimate's table that begins with these words; NaN: no such line.
static double scored(const char *table, const char *method, int column)
{
    const char *line = strstr(table, method);
    for (; line && column > 0; column--) line = strchr(line, '\t') ? strchr(line, '\t') + 1 : NULL;
    return line ? strtod(line, NULL) : NAN;
}

// What is scored without --lag is what --loads writes, which never sees the matrices: the error over its file is the
// one that the score prints.
static void check_walk(TestLog *log, Arena *a, const char *dir, const char *net, const char *model)
{
    enum { N = 4, F = N * N };
    NpyArray all, out;
    Topology t;
    Routing r;
    const char *how;
    CHECK(!npy_read(&all, a, arena_printf(a, "%s/x.npy", dir)).code && !topology_read(&t, a, net, 0).code &&
          !topology_match(&t, a, N, NULL, &how).code, "no data");
    routing_shortest(&r, a, &t, N, NULL, -1);
    const Measurement m = measurement_new(a, &r, NULL);
    const int64_t T = all.dims[0], begin = T * 7 / 10, end = T * 85 / 100, n = end - begin;
    const float *x = all.data;
    double *y = arena_alloc(a, (size_t)(n * m.rows) * sizeof *y), truth[F], off = 0, sum = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int f = 0; f < F; f++) truth[f] = (double)x[(begin + i) * F + f];
        measurement_of(&m, truth, y + i * m.rows);
    }
    NpyArray times;
    CHECK(!npy_read(&times, a, arena_printf(a, "%s/times.npy", dir)).code &&
          !npy_write(arena_printf(a, "%s/known_times.npy", dir), "<i8", (int64_t[]){begin}, 1, times.data).code &&
          !npy_write(arena_printf(a, "%s/y.npy", dir), "<f8", (int64_t[]){n, m.rows}, 2, y).code &&
          !npy_write(arena_printf(a, "%s/known.npy", dir), "<f4", (int64_t[]){begin, N, N}, 3, x).code, "y");
    const Ran score = lead_run(log, a, "estimate --data %s/x.npy --topology %s --model %s "
                               "--samples 8", dir, net, model);
    const Ran ran = lead_run(log, a, "estimate --data %s/known.npy --times %s/known_times.npy --loads "
                             "%s/y.npy --topology %s --model %s --samples 8 --out %s/tm.npy --paths %s/p.npy", dir, dir,
                             dir, net, model, dir, dir);
    if (!TEST(log, score.code == 0 && ran.code == 0 && !npy_read(&out, a, arena_printf(a, "%s/tm.npy", dir)).code,
              "%s: %s%s", model, score.err, ran.err)) return;
    const float *made = out.data;
    for (int64_t i = 0; i < n; i++) {
        double again[64];
        for (int f = 0; f < F; f++) {
            truth[f] = (double)made[i * F + f];
            if (f / N == f % N) continue;
            off += fabs(truth[f] - (double)x[(begin + i) * F + f]);
            sum += (double)x[(begin + i) * F + f];
        }
        measurement_of(&m, truth, again);
        for (int k = 0; k < m.rows; k++) worst = fmax(worst, fabs(again[k] - y[i * m.rows + k]) / y[i * m.rows + m.L]);
    }
    const char *name = strcmp(model, "pretrained") ? model : "lead";
    const double want = scored(score.out, arena_printf(a, "\n%s guided\toff-diagonal", name), 3);
    TEST(log, out.dims[0] == n && fabs(off / sum - want) < 1e-4, "%s: the score says %g, its matrices have %g", model,
         want, off / sum);
    TEST(log, worst < 1e-2, "%s: loads are missed by %g", model, worst);
    CHECK(!npy_read(&out, a, arena_printf(a, "%s/p.npy", dir)).code, "no paths");
    TEST(log, out.n_dims == 4 && out.dims[0] == 8 && out.dims[1] == n, "--paths: %lld paths", (long long)out.dims[0]);
    double apart = 0, path_off = 0;
    made = out.data;
    for (int f = 0; f < F; f++) apart += fabs((double)made[f] - (double)made[n * F + f]);
    for (int f = 0; f < N; f++) path_off += (double)made[f];
    TEST(log, apart > 0 && fabs(path_off / y[m.L] - 1) < 0.02, "draws differ by %g; node 0 sends %g of %g", apart,
         path_off, y[m.L]);
}

static void check_guided_commands(TestLog *log, Arena *a, const char *dir, const char *net)
{
    Ran r = lead_run(log, a, "estimate --data %s/x.npy --topology %s --model ridge-scale --lag 1 --stride 4", dir, net);
    const double guided = scored(r.out, "\nridge-scale guided\toff", 3),
                 plain = scored(r.out, "\nridge-scale+links\toff", 3),
                 mean = scored(r.out, "\nmean+links\toff", 3);
    TEST(log, r.code == 0 && guided < plain && guided < mean, "errors: guided %g, with links %g, of the mean %g: %s",
         guided, plain, mean, r.err);
    check_walk(log, a, dir, net, "ridge");
    check_walk(log, a, dir, net, "pretrained");
    const struct { const char *args, *want; int code; } bad[] = {
        {"--lag 1", "--lag: wants --model", 2},
        {"--model ridge --lag 21", "at most the 20 steps", 2},
        {"--model ridge --sampler ddim --lag 1", "no use for", 2},
        {"--model ridge --prior mean", "got both", 2},
        {"--paths p.npy --model ridge", "--paths: wants", 2},
        {"--known 100%", "want 0% .. 99%", 2},
        {"--known 0:9", "--known: want a node's number", 2},
        {"--model no_such_run", "no_such_run", 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = lead_run(log, a, "estimate --data %s/x.npy --topology %s %s", dir, net, bad[i].args);
        TEST(log, r.code == bad[i].code && strstr(r.err, bad[i].want), "%s: exit %d, %s", bad[i].args, r.code, r.err);
    }
}

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
    const double unknown = scored(r.out, "\ntomogravity\toff-diagonal", 3);
    r = lead_run(log, a, "estimate --data %s/x.npy --topology %s --known 50%%", dir, net);
    TEST(log, r.code == 0 && strstr(r.err, "6 flows are measured by themselves") &&
              scored(r.out, "\ntomogravity\toff-diagonal", 3) < unknown, "--known 50%%: %s%s", r.err, r.out);
    r = lead_run(log, a, "estimate --data %s/x.npy --topology %s --model ridge --lag 1 --stride 20 --known 0:1,3:2",
                 dir, net);
    TEST(log, r.code == 0 && strstr(r.err, "2 flows are measured by themselves"), "--known LIST: %s", r.err);
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
    check_guided_commands(log, a, dir, net);
}

void test_links_score(TestLog *log)
{
    Arena *a = arena_new("score", (size_t)1 << 32, NULL);
    CHECK(a, "no address space");
    check_scores(log, a);
    check_estimate(log, a);
    if (!log->quick) check_guided(log, a);
    check_commands(log, a);
    arena_delete(a);
}
