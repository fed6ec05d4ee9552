// lead estimate
#include <math.h>
#include <string.h>

#include "cli/network.h"
#include "cli/verbs.h"
#include "io/npy.h"
#include "links/estimate.h"
#include "traffic/protocol.h"

typedef struct Values {
    DataOptions data;
    NetworkOptions net;
    const char *loads, *out, *prior, *split;
    int64_t stride, nodes;
} Values;

#define AT(field) offsetof(Values, field)
static const Option table[] = {
    NETWORK_OPTIONS(Values),
    DATA_OPTIONS(Values),
    {"loads", OPT_TEXT, AT(loads), "FILE",
     "what was measured: .npy [T, L + 2N], kbit/s: links in the topology's order, ingress, egress of the nodes", 0, 0},
    {"nodes", OPT_INT, AT(nodes), "N", "with --loads: nodes of the matrices (default: the topology's)", 2, 4096},
    {"prior", OPT_TEXT, AT(prior), "NAME", "with --loads: gravity, or mean (the mean matrix of --data) [gravity]", 0,
     0},
    {"out", OPT_TEXT, AT(out), "FILE", "with --loads: the matrices, .npy [T,N,N] float32, kbit/s", 0, 0},
    {"split", OPT_TEXT, AT(split), "NAME", "without --loads: score on the rows of val or test [val]", 0, 0},
    {"stride", OPT_INT, AT(stride), "N", "score every N-th row [1]", 1, 1e9},
};

static void defaults(void *values)
{
    Values *v = values;
    v->prior = "gravity";
    v->split = "val";
    v->stride = 1;
}

enum { SWEEPS = 300 };

// The mean matrix of the valid rows of a range, [F].
static void mean_matrix(const TrafficSeries *s, TrafficRange rows, double *mean)
{
    const int64_t F = (int64_t)s->N * s->N;
    int64_t n = 0;
    memset(mean, 0, (size_t)F * sizeof *mean);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        if (!s->valid[t]) continue;
        n++;
        for (int64_t f = 0; f < F; f++) mean[f] += (double)s->x[t * F + f];
    }
    for (int64_t f = 0; f < F && n; f++) mean[f] /= (double)n;
}

// ---- scored against known matrices

typedef enum Method { GRAVITY, TOMOGRAVITY, MEAN, MEAN_FITTED, METHODS } Method;
static const char *const method_names[METHODS] = {"gravity", "tomogravity", "mean", "mean+links"};

typedef struct Errors { double absolute, square, truth, residual; int64_t n; } Errors;

static void add_errors(Errors *e, const TrafficSeries *s, int64_t t, const double *x, bool all)
{
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t f = 0; f < F; f++) {
        if (!all && f / s->N == f % s->N) continue;
        const double truth = (double)s->x[t * F + f], d = x[f] - truth;
        e->absolute += fabs(d);
        e->square += d * d;
        e->truth += truth;
        e->n++;
    }
}

static void print_errors(const Errors e[METHODS][2], int64_t rows)
{
    printf("method\tflows\trows\tnmae\tnrmse\trmse_kbps\tmisfit\n");
    for (int m = 0; m < METHODS; m++)
        for (int all = 0; all < 2; all++) {
            const Errors *k = &e[m][all];
            const double rmse = sqrt(k->square / (double)k->n);
            printf("%s\t%s\t%lld\t%.4f\t%.4f\t%.6g\t", method_names[m], all ? "all" : "off-diagonal", (long long)rows,
                   k->absolute / k->truth, rmse / (k->truth / (double)k->n), rmse);
            if (m == TOMOGRAVITY || m == MEAN_FITTED) printf("%.2g\n", k->residual);
            else printf("\n");
        }
}

static Status score(Cli *cli, const Values *v, const TrafficSeries *s, const Measurement *m)
{
    if (strcmp(v->split, "val") && strcmp(v->split, "test"))
        return USAGE_ERROR("--split: want val or test, got '%s'", v->split);
    const TrafficSplits split = traffic_splits(s->T, PROTOCOL_CLEAN);
    const TrafficRange rows = strcmp(v->split, "val") ? split.test : split.val;
    const int64_t F = (int64_t)s->N * s->N;
    double *x = arena_alloc(cli->perm, 3 * (size_t)F * sizeof *x), *truth = x + F, *mean = truth + F;
    double *y = arena_alloc(cli->perm, (size_t)m->rows * sizeof *y);
    Errors e[METHODS][2] = {0};
    int64_t n = 0;
    mean_matrix(s, split.train, mean);
    for (int64_t t = rows.begin; t < rows.end; t += v->stride) {
        if (!s->valid[t]) continue;
        n++;
        for (int64_t f = 0; f < F; f++) truth[f] = (double)s->x[t * F + f];
        measurement_of(m, truth, y);
        for (int k = 0; k < METHODS; k++) {
            if (k == GRAVITY || k == TOMOGRAVITY) estimate_gravity(m, y, x);
            else memcpy(x, mean, (size_t)F * sizeof *x);
            const double left = k == TOMOGRAVITY || k == MEAN_FITTED ? estimate_fit(m, y, x, SWEEPS) : NAN;
            for (int all = 0; all < 2; all++) {
                add_errors(&e[k][all], s, t, x, all);
                e[k][all].residual = fmax(e[k][all].residual, left);
            }
        }
    }
    if (!n) return ERROR("%s: want valid rows in the split %s, got none", v->data.data, v->split);
    fprintf(stderr,
            "rows %lld..%lld, every %lld-th; what is measured is computed from them, without noise; the mean is "
            "that of rows 0..%lld\n",
            (long long)rows.begin, (long long)rows.end - 1, (long long)v->stride, (long long)split.train.end - 1);
    print_errors((const Errors(*)[2])e, n);
    return OK;
}

// ---- from measured loads

static Status read_loads(NpyArray *y, Cli *cli, const Values *v, const Measurement *m)
{
    TRY(npy_read(y, cli->perm, v->loads));
    if (strcmp(y->type, "<i8") == 0 || y->n_dims != 2 || y->dims[1] != m->rows)
        return ERROR(
            "%s: want '<f4' or '<f8' of shape [T, %d] (%d links, ingress and egress of %d nodes), got '%s' [%lld%s, "
            "%lld]",
            v->loads, m->rows, m->L, m->n, y->type, (long long)y->dims[0], y->n_dims == 2 ? "" : ", ..",
            (long long)y->dims[y->n_dims - 1]);
    return OK;
}

static Status estimate(Cli *cli, const Values *v, const TrafficSeries *s, const Measurement *m)
{
    NpyArray in;
    const int64_t F = (int64_t)m->n * m->n;
    if (!v->out) return USAGE_ERROR("estimate: --loads wants --out FILE");
    if (strcmp(v->prior, "gravity") && (strcmp(v->prior, "mean") || !s))
        return USAGE_ERROR("--prior: want gravity, or mean and --data; got '%s'", v->prior);
    TRY(read_loads(&in, cli, v, m));
    double *x = arena_alloc(cli->perm, 2 * (size_t)F * sizeof *x), *mean = x + F, worst = 0;
    double *y = arena_alloc(cli->perm, (size_t)m->rows * sizeof *y);
    float *out = arena_alloc(cli->perm, (size_t)(in.dims[0] * F) * sizeof *out);
    if (s) mean_matrix(s, (TrafficRange){0, s->T}, mean);
    for (int64_t t = 0; t < in.dims[0]; t++) {
        for (int i = 0; i < m->rows; i++) {
            const int64_t at = t * m->rows + i;
            y[i] = in.type[2] == '4' ? (double)((const float *)in.data)[at] : ((const double *)in.data)[at];
            if (!(y[i] >= 0 && isfinite(y[i])))
                return ERROR("%s: want finite values >= 0 kbit/s, got %g in row %lld, column %d", v->loads, y[i],
                             (long long)t, i);
        }
        if (strcmp(v->prior, "mean")) estimate_gravity(m, y, x);
        else memcpy(x, mean, (size_t)F * sizeof *x);
        worst = fmax(worst, estimate_fit(m, y, x, SWEEPS));
        for (int64_t f = 0; f < F; f++) out[t * F + f] = (float)x[f];
    }
    fprintf(stderr, "%lld matrices; they miss what was measured by at most %.2g of the largest value\n",
            (long long)in.dims[0], worst);
    TRY(npy_write(v->out, "<f4", (int64_t[]){in.dims[0], m->n, m->n}, 3, out));
    return manifest_write(cli, v->out);
}

static Status run(Cli *cli, void *values)
{
    const Values *v = values;
    TrafficSeries s, *series = v->data.data ? &s : NULL;
    Network net;
    if (!v->loads && !series) return USAGE_ERROR("estimate: wants --loads FILE, or --data FILE to be scored on");
    if (v->loads && !series && !v->nodes && !v->net.topology)
        return USAGE_ERROR("estimate: --routing alone wants --nodes N");
    if (series) TRY(data_read(cli, &v->data, series));
    int n = series ? s.N : (int)v->nodes;
    if (!n) {
        Topology t;
        TRY(topology_read(&t, cli->perm, v->net.topology, 0));
        n = t.N;
    }
    TRY(network_open(&net, cli, &v->net, n, series ? s.node : NULL));
    const Measurement m = measurement_new(cli->perm, &net.routing);
    return v->loads ? estimate(cli, v, series, &m) : score(cli, v, series, &m);
}

const Verb verb_estimate = {
    .name = "estimate",
    .summary = "Estimates traffic matrices from link loads (gravity, tomogravity), or scores that on known ones.",
    .text = "With --loads it writes a matrix for each row of measured loads.  Without, it computes loads from the "
            "matrices of\n"
            "--data, estimates the matrices back, and prints the errors: nmae = sum |error| / sum of traffic, nrmse = "
            "RMSE /\n"
            "mean, misfit = what is left of the loads.  mean+links moves the mean matrix of the training rows to the "
            "loads.",
    OPTIONS(table),
    .size = sizeof(Values),
    .defaults = defaults,
    .run = run,
    .looks = true,
};
