#include "links/routing.h"

#include <math.h>
#include <string.h>

// Links in and out of each node, as lists: links of node v are item[begin[v] .. begin[v+1]).
typedef struct Star { int *begin, *item; } Star;

static Star star_new(Arena *a, const Topology *t, bool in, const uint8_t *down, int node_down)
{
    Star s = {arena_zalloc(a, ((size_t)t->N + 2) * sizeof(int)), arena_alloc(a, (size_t)t->L * sizeof(int))};
    for (int pass = 0; pass < 2; pass++) {
        for (int l = 0; l < t->L; l++) {
            const TopologyLink *k = &t->link[l];
            if ((down && down[l]) || k->from == node_down || k->to == node_down) continue;
            const int v = in ? k->to : k->from;
            if (pass) s.item[s.begin[v + 1]++] = l;
            else s.begin[v + 2]++;
        }
        for (int v = 0; !pass && v < t->N; v++) s.begin[v + 2] += s.begin[v + 1];
    }
    return s;
}

// Nodes in a heap of one destination: by distance, then by number.
typedef struct Heap { int n; int *node, *place; double *distance; } Heap;

static bool before(const Heap *h, int u, int v)
{
    return h->distance[u] < h->distance[v] || (h->distance[u] <= h->distance[v] && u < v);
}

static void put(Heap *h, int place, int node)
{
    h->node[place] = node;
    h->place[node] = place;
}

static void rise(Heap *h, int node)
{
    int i = h->place[node];
    for (; i > 0 && before(h, node, h->node[(i - 1) / 2]); i = (i - 1) / 2) put(h, i, h->node[(i - 1) / 2]);
    put(h, i, node);
}

static int take_first(Heap *h)
{
    const int first = h->node[0], last = h->node[--h->n];
    int i = 0;
    for (int child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && before(h, h->node[child + 1], h->node[child])) child++;
        if (!before(h, h->node[child], last)) break;
        put(h, i, h->node[child]);
    }
    if (h->n) put(h, i, last);
    h->place[first] = -2;   // done
    return first;
}

// Distances to `to` (INFINITY: no path) -> h->distance, and the nodes that reach it, nearest first -> order; their
// number.
static int distances(Heap *h, const Topology *t, const Star *in, int to, int *order)
{
    for (int v = 0; v < t->N; v++) h->distance[v] = INFINITY, h->place[v] = -1;
    h->distance[to] = 0;
    h->n = 1;
    put(h, 0, to);
    int reached = 0;
    while (h->n) {
        const int v = take_first(h);
        order[reached++] = v;
        for (int i = in->begin[v]; i < in->begin[v + 1]; i++) {
            const TopologyLink *k = &t->link[in->item[i]];
            const double d = h->distance[v] + k->weight;
            if (!(d < h->distance[k->from])) continue;
            h->distance[k->from] = d;
            if (h->place[k->from] < 0) h->place[k->from] = h->n++;
            rise(h, k->from);
        }
    }
    return reached;
}

static bool is_next_hop(const TopologyLink *k, const double *distance)
{
    const double over = distance[k->to] + k->weight - distance[k->from];
    return isfinite(distance[k->to]) && over <= 1e-9 * distance[k->from] && distance[k->to] < distance[k->from];
}

// The traffic of origin `from`, one unit, to a destination: share [L] of the links, through [N] work space.
static void spread(const Topology *t, const Star *out, const double *distance, const int *order, int reached, int from,
                   double *through, double *share)
{
    memset(through, 0, (size_t)t->N * sizeof *through);
    memset(share, 0, (size_t)t->L * sizeof *share);
    through[from] = 1;
    for (int j = reached - 1; j > 0; j--) {      // farthest first; order[0] is the destination
        const int v = order[j];
        int hops = 0;
        if (!(through[v] > 0)) continue;
        for (int i = out->begin[v]; i < out->begin[v + 1]; i++) hops += is_next_hop(&t->link[out->item[i]], distance);
        for (int i = out->begin[v]; i < out->begin[v + 1]; i++) {
            const int l = out->item[i];
            if (!is_next_hop(&t->link[l], distance)) continue;
            share[l] += through[v] / hops;
            through[t->link[l].to] += through[v] / hops;
        }
    }
}

// Entries grow in an array that doubles.
typedef struct Growing { RoutingShare *entry; int64_t n, room; } Growing;

static void grow(Growing *g, Arena *a, int link, double share)
{
    if (g->n == g->room) {
        g->room = g->room ? 2 * g->room : 256;
        RoutingShare *more = arena_alloc(a, (size_t)g->room * sizeof *more);
        if (g->n) memcpy(more, g->entry, (size_t)g->n * sizeof *more);
        g->entry = more;
    }
    g->entry[g->n++] = (RoutingShare){link, share};
}

static Routing routing_new(Arena *a, int n, int L)
{
    const size_t F = (size_t)n * (size_t)n;
    return (Routing){.n = n, .L = L, .begin = arena_zalloc(a, (F + 1) * sizeof(int64_t)), .lost = arena_zalloc(a, F)};
}

void routing_shortest(Routing *r, Arena *a, const Topology *t, int n, const uint8_t *down, int node_down)
{
    *r = routing_new(a, n, t->L);
    const Star in = star_new(a, t, true, down, node_down), out = star_new(a, t, false, down, node_down);
    const size_t N = (size_t)t->N;
    double *distance = arena_alloc(a, N * N * sizeof *distance), *through = arena_alloc(a, N * sizeof *through);
    double *share = arena_alloc(a, (size_t)t->L * sizeof *share);
    int *order = arena_alloc(a, N * N * sizeof *order), *reached = arena_alloc(a, N * sizeof *reached);
    Heap h = {.node = arena_alloc(a, N * sizeof(int)), .place = arena_alloc(a, N * sizeof(int))};
    for (int to = 0; to < n; to++) {
        h.distance = distance + (size_t)to * N;
        reached[to] = distances(&h, t, &in, to, order + (size_t)to * N);
    }
    Growing g = {0};
    for (int64_t f = 0; f < (int64_t)n * n; f++) {
        const int from = (int)(f / n), to = (int)(f % n);
        const double *d = distance + (size_t)to * N;
        r->lost[f] = from != to && !isfinite(d[from]);
        if (from != to && !r->lost[f]) {
            spread(t, &out, d, order + (size_t)to * N, reached[to], from, through, share);
            for (int l = 0; l < t->L; l++)
                if (share[l] > 0) grow(&g, a, l, share[l]);
        }
        r->begin[f + 1] = g.n;
    }
    r->entry = g.entry;
}

void routing_from_matrix(Routing *r, Arena *a, const double *A, int n, int L)
{
    const int64_t F = (int64_t)n * n;
    *r = routing_new(a, n, L);
    Growing g = {0};
    for (int64_t f = 0; f < F; f++) {
        const int64_t first = g.n;
        for (int l = 0; l < L; l++)
            if (A[l * F + f] > 1e-12) grow(&g, a, l, A[l * F + f]);
        r->lost[f] = f / n != f % n && g.n == first;
        r->begin[f + 1] = g.n;
    }
    r->entry = g.entry;
}

double *routing_matrix(const Routing *r, Arena *a)
{
    const int64_t F = (int64_t)r->n * r->n;
    double *A = arena_zalloc(a, (size_t)(r->L * F) * sizeof *A);
    for (int64_t f = 0; f < F; f++)
        for (int64_t i = r->begin[f]; i < r->begin[f + 1]; i++) A[r->entry[i].link * F + f] += r->entry[i].share;
    return A;
}

void routing_add(const Routing *r, const float *x, double *load)
{
    for (int64_t f = 0; f < (int64_t)r->n * r->n; f++)
        for (int64_t i = r->begin[f]; i < r->begin[f + 1]; i++)
            load[r->entry[i].link] += r->entry[i].share * (double)x[f];
}
