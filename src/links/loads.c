#include "links/loads.h"

#include <math.h>
#include <string.h>

void loads_of(const Routing *r, const float *x, double *load)
{
    memset(load, 0, (size_t)r->L * sizeof *load);
    routing_add(r, x, load);
}

double loads_largest(const Topology *t, const double *load, int *link)
{
    double most = NAN;
    int at = -1;
    for (int l = 0; l < t->L; l++) {
        if (!(t->link[l].capacity_kbps > 0)) continue;
        const double u = load[l] / t->link[l].capacity_kbps;
        if (at < 0 || u > most) most = u, at = l;
    }
    if (link) *link = at;
    return most;
}

double loads_lost(const Routing *r, const float *x)
{
    double sum = 0;
    for (int64_t f = 0; f < (int64_t)r->n * r->n; f++)
        if (r->lost[f]) sum += (double)x[f];
    return sum;
}

// v [S] in the order of the paths; capacity: what utilisation 1 is in the unit of v, 0 = unknown.
static void summarise(LoadSummary *out, Arena *keep, float *v, int S, DistKind kind, double mean, double capacity,
                      const LoadOptions *o)
{
    out->mean = mean;
    out->quantile = arena_alloc(keep, ((size_t)o->levels + 1) * sizeof(double));
    out->probability = arena_alloc(keep, ((size_t)o->thresholds + 1) * sizeof(double));
    for (int i = 0; i < o->thresholds; i++) {
        int above = 0;
        for (int s = 0; s < S; s++) above += (double)v[s] > o->above[i] * capacity;
        out->probability[i] = capacity > 0 ? (double)above / S : NAN;
    }
    paths_quantiles(v, S, kind, o->level, o->levels, out->quantile);
}

static void summarise_largest(LoadStep *out, Arena *keep, const Topology *t, const double *load, int S, float *v,
                              int *count, const LoadOptions *o)
{
    double sum = 0;
    int link = -1;
    memset(count, 0, (size_t)t->L * sizeof *count);
    out->most_often = -1;
    for (int s = 0; s < S; s++) {
        const double u = loads_largest(t, load + (int64_t)s * t->L, &link);
        v[s] = (float)u;
        sum += u;
        if (link >= 0 && (++count[link] > (out->most_often < 0 ? 0 : count[out->most_often]))) out->most_often = link;
    }
    out->most_often_share = out->most_often < 0 ? NAN : (double)count[out->most_often] / S;
    // the largest of mirrored paths does not mirror itself
    summarise(&out->largest, keep, v, S, DIST_SAMPLES, sum / S, 1, o);
    for (int i = 0; i < o->thresholds && link < 0; i++) out->largest.probability[i] = NAN;
}

void loads_step(LoadStep *out, Arena *keep, Arena *scratch, const Topology *t, const Routing *r, const TrafficPaths *p,
                int k, const LoadOptions *o)
{
    const int L = t->L, S = p->S;
    *out = (LoadStep){.link = arena_alloc(keep, (size_t)L * sizeof *out->link)};
    const size_t mark = arena_mark(scratch);
    double *load = arena_alloc(scratch, (size_t)S * (size_t)L * sizeof *load);
    double *point = arena_alloc(scratch, (size_t)L * sizeof *point);
    float *v = arena_alloc(scratch, (size_t)S * sizeof *v);
    int *count = arena_alloc(scratch, (size_t)L * sizeof *count);
    for (int s = 0; s < S; s++) loads_of(r, paths_at(p, s, k), load + (int64_t)s * L);
    loads_of(r, p->point + (int64_t)k * p->N * p->N, point);
    for (int l = 0; l < L; l++) {
        for (int s = 0; s < S; s++) v[s] = (float)load[(int64_t)s * L + l];
        summarise(&out->link[l], keep, v, S, p->kind, point[l], t->link[l].capacity_kbps, o);
    }
    summarise_largest(out, keep, t, load, S, v, count, o);
    arena_rewind(scratch, mark);
}
