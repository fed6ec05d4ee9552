#include "links/optimal.h"

#include <math.h>
#include <string.h>

enum { MOST_PATHS = 40, MOST_HOPS = 4096 };
typedef struct Path { double share; int hops, *link; } Path;
typedef struct PathSet { int n; Path *path; } PathSet;

typedef struct Solver {
    const Topology *t;
    const uint8_t *lost;         // [F]
    int N, L, M, F, n;
    const float *x;              // [M][F]
    double *per_capacity;        // [L] 1 / capacity, 0: unlimited
    double *share;               // [F][L], the sum of the paths
    PathSet *set;                // [F]
    double *by;                  // [L] work space
    Arena *scratch;
    double *u, *w;               // [M][L]
    double alpha, reference;     // w = exp(alpha (u - reference))
    double *length, *distance;   // [L], [N]
    int *via;                    // [N] the link into each node on the shortest path, -1
    uint8_t *done;               // [N]
    int *out_begin, *out_link;   // links out of each node
} Solver;

static double *doubles(Arena *a, int64_t n) { return arena_zalloc(a, (size_t)n * sizeof(double)); }

static void list_links(Solver *s, Arena *a)
{
    s->out_begin = arena_zalloc(a, ((size_t)s->N + 1) * sizeof(int));
    s->out_link = arena_alloc(a, (size_t)s->L * sizeof(int));
    int at = 0;
    for (int v = 0; v < s->N; v++) {
        s->out_begin[v] = at;
        for (int l = 0; l < s->L; l++)
            if (s->t->link[l].from == v) s->out_link[at++] = l;
    }
    s->out_begin[s->N] = at;
}

// Dijkstra in rows (networks are small): distances by s->length from a node.
static void shortest_from(Solver *s, int from)
{
    for (int v = 0; v < s->N; v++) s->distance[v] = INFINITY, s->via[v] = -1, s->done[v] = 0;
    s->distance[from] = 0;
    for (;;) {
        int v = -1;
        for (int i = 0; i < s->N; i++)
            if (!s->done[i] && isfinite(s->distance[i]) && (v < 0 || s->distance[i] < s->distance[v])) v = i;
        if (v < 0) return;
        s->done[v] = 1;
        for (int i = s->out_begin[v]; i < s->out_begin[v + 1]; i++) {
            const int l = s->out_link[i], to = s->t->link[l].to;
            const double d = s->distance[v] + s->length[l];
            if (d < s->distance[to]) s->distance[to] = d, s->via[to] = l;
        }
    }
}

static void utilisations(Solver *s)
{
    memset(s->u, 0, (size_t)(s->M * s->L) * sizeof *s->u);
    for (int f = 0; f < s->F; f++)
        for (int l = 0; l < s->L; l++) {
            const double share = s->share[(int64_t)f * s->L + l] * s->per_capacity[l];
            for (int m = 0; m < s->M && share > 0; m++)
                s->u[m * s->L + l] += share * (double)s->x[(int64_t)m * s->F + f];
        }
}

static double largest(const Solver *s)
{
    double most = 0;
    for (int i = 0; i < s->M * s->L; i++) most = fmax(most, s->u[i]);
    return most;
}

static void weigh(Solver *s)
{
    s->reference = largest(s);
    for (int i = 0; i < s->M * s->L; i++) s->w[i] = exp(s->alpha * (s->u[i] - s->reference));
}

// Lengths of flow f; false when it has no traffic.
static bool lengths(Solver *s, int f)
{
    double all = 0;
    memset(s->length, 0, (size_t)s->L * sizeof *s->length);
    for (int m = 0; m < s->M; m++) {
        const double x = (double)s->x[(int64_t)m * s->F + f];
        all += x;
        for (int l = 0; l < s->L && x > 0; l++) s->length[l] += s->w[m * s->L + l] * x * s->per_capacity[l];
    }
    return all > 0;
}

static bool is_routed(const Solver *s, int f) { return f / s->n != f % s->n && !s->lost[f]; }

// sum_f dist_f / sum w.  With one matrix, lengths differ by a factor alone: one tree for each origin.
static double bound(Solver *s)
{
    double dist = 0, w = 0;
    for (int i = 0; i < s->M * s->L; i++) w += s->w[i];
    for (int f = 0; f < s->F; f++) {
        if (s->M == 1 && f % s->n == 0) {
            for (int l = 0; l < s->L; l++) s->length[l] = s->w[l] * s->per_capacity[l];
            shortest_from(s, f / s->n);
        }
        if (!is_routed(s, f)) continue;
        if (s->M == 1) {
            dist += (double)s->x[f] * s->distance[f % s->n];
        } else if (lengths(s, f)) {
            shortest_from(s, f / s->n);
            dist += s->distance[f % s->n];
        }
    }
    return dist / w;
}

// ---- one flow

// Adds the change of flow f's shares, `by` [L] times g, to utilisations and weights.
static void move(Solver *s, int f, const double *by, double g)
{
    for (int l = 0; l < s->L; l++) {
        if (!(fabs(by[l]) > 0)) continue;
        s->share[(int64_t)f * s->L + l] += g * by[l];
        for (int m = 0; m < s->M; m++) {
            const double d = g * by[l] * s->per_capacity[l] * (double)s->x[(int64_t)m * s->F + f];
            s->u[m * s->L + l] += d;
            s->w[m * s->L + l] *= exp(s->alpha * d);
        }
    }
}

// First and second derivative of sum w / alpha by the step, at step g along `by` [L].
static double slope(const Solver *s, int f, const double *by, double g, double *curvature)
{
    double sum = 0, second = 0;
    for (int l = 0; l < s->L; l++) {
        if (!(fabs(by[l]) > 0) || !(s->per_capacity[l] > 0)) continue;
        for (int m = 0; m < s->M; m++) {
            const double d = by[l] * s->per_capacity[l] * (double)s->x[(int64_t)m * s->F + f];
            const double w = s->w[m * s->L + l] * exp(s->alpha * g * d) * d;
            sum += w;
            second += s->alpha * w * d;
        }
    }
    *curvature = second;
    return sum;
}

// The step in 0..most of the least sum w along `by`: Newton's, kept between what is known to be below and above.
static double best_step(const Solver *s, int f, const double *by, double most)
{
    double low = 0, high = most, g = 0, curvature;
    for (int i = 0; i < 8 && high - low > 1e-9; i++) {
        const double v = slope(s, f, by, g, &curvature);
        if (v < 0) low = g;
        else high = g;
        const double next = g - v / curvature;
        g = next > low && next < high ? next : i == 0 && v < 0 ? high : (low + high) / 2;
    }
    return low;
}

static double path_length(const Solver *s, const Path *p)
{
    double sum = 0;
    for (int i = 0; i < p->hops; i++) sum += s->length[p->link[i]];
    return sum;
}

// The path in s->via as one of flow f's, which keeps at most MOST_PATHS: the least used one makes room.
static Path *shortest_path(Solver *s, int f)
{
    PathSet *set = &s->set[f];
    int link[MOST_HOPS], hops = 0;
    for (int v = f % s->n; v != f / s->n; v = s->t->link[s->via[v]].from) link[hops++] = s->via[v];
    int least = 0;
    for (int i = 0; i < set->n; i++) {
        Path *p = &set->path[i];
        if (p->hops == hops && !memcmp(p->link, link, (size_t)hops * sizeof *link)) return p;
        if (p->share < set->path[least].share) least = i;
    }
    if (set->n == MOST_PATHS && set->path[least].share > 1e-9) return NULL;
    Path *p = &set->path[set->n < MOST_PATHS ? set->n++ : least];
    *p = (Path){0, hops, arena_alloc(s->scratch, (size_t)hops * sizeof *link)};
    memcpy(p->link, link, (size_t)hops * sizeof *link);
    return p;
}

// Moves traffic of flow f from each of its longer paths to its shortest one, as much as pays.
static void improve(Solver *s, int f)
{
    const PathSet *set = &s->set[f];
    Path *to = shortest_path(s, f);
    if (!to) return;
    const double least = path_length(s, to);
    for (int i = 0; i < set->n; i++) {
        Path *from = &set->path[i];
        if (from == to || !(from->share > 0) || !(path_length(s, from) > least)) continue;
        memset(s->by, 0, (size_t)s->L * sizeof *s->by);
        for (int h = 0; h < from->hops; h++) s->by[from->link[h]] -= 1;
        for (int h = 0; h < to->hops; h++) s->by[to->link[h]] += 1;
        const double g = best_step(s, f, s->by, from->share), all = from->share - g < 1e-9 ? from->share : g;
        move(s, f, s->by, all);
        from->share -= all;
        to->share += all;
    }
}

static void sweep(Solver *s)
{
    for (int f = 0; f < s->F; f++) {
        if (!is_routed(s, f) || !lengths(s, f)) continue;
        shortest_from(s, f / s->n);
        improve(s, f);
    }
}

static Solver begin(Arena *a, const Topology *t, const Routing *start, const float *x, int M)
{
    const int n = start->n, F = n * n, L = t->L;
    Solver s = {.t = t, .lost = start->lost, .N = t->N, .L = L, .M = M, .F = F, .n = n, .x = x, .scratch = a,
                .per_capacity = doubles(a, L), .share = doubles(a, (int64_t)F * L), .u = doubles(a, (int64_t)M * L),
                .w = doubles(a, (int64_t)M * L), .length = doubles(a, L), .distance = doubles(a, t->N),
                .via = arena_alloc(a, (size_t)t->N * sizeof(int)), .done = arena_alloc(a, (size_t)t->N),
                .set = arena_zalloc(a, (size_t)F * sizeof(PathSet)), .by = doubles(a, L)};
    list_links(&s, a);
    for (int l = 0; l < L; l++) s.per_capacity[l] = t->link[l].capacity_kbps > 0 ? 1 / t->link[l].capacity_kbps : 0;
    return s;
}

// Every flow on its shortest path by 1 / capacity.
static void first_paths(Solver *s)
{
    for (int f = 0; f < s->F; f++) {
        if (f % s->n == 0) {
            for (int l = 0; l < s->L; l++) s->length[l] = s->per_capacity[l];
            shortest_from(s, f / s->n);
        }
        if (!is_routed(s, f)) continue;
        s->set[f].path = arena_zalloc(s->scratch, MOST_PATHS * sizeof(Path));
        Path *p = shortest_path(s, f);
        p->share = 1;
        for (int h = 0; h < p->hops; h++) s->share[(int64_t)f * s->L + p->link[h]] = 1;
    }
}

// Shares [F][L] as a routing.
static Routing routing_of(const double *share, Arena *keep, Arena *scratch, int n, int L)
{
    Routing r;
    const int F = n * n;
    double *A = doubles(scratch, (int64_t)L * F);
    for (int f = 0; f < F; f++)
        for (int l = 0; l < L; l++) A[(int64_t)l * F + f] = share[(int64_t)f * L + l];
    routing_from_matrix(&r, keep, A, n, L);
    return r;
}

Status optimal_routing(Optimum *o, Arena *keep, Arena *scratch, const Topology *t, const Routing *start, const float *x,
                       int M, double within)
{
    enum { MOST_ROUNDS = 100 };
    const size_t mark = arena_mark(scratch);
    Solver s = begin(scratch, t, start, x, M);
    const size_t bytes = (size_t)s.F * (size_t)s.L * sizeof(double);
    double *best = arena_alloc(scratch, bytes), limited = 0;
    for (int l = 0; l < s.L; l++) limited += s.per_capacity[l];
    if (!(limited > 0)) return ERROR("%s: want capacities to route by, got none", t->path);
    first_paths(&s);
    utilisations(&s);
    const double first = largest(&s), spread = log((double)M * s.L + 1);
    *o = (Optimum){.largest = INFINITY};
    s.alpha = first > 0 ? 4 * spread / first : 1;
    for (; o->rounds < MOST_ROUNDS; o->rounds++) {
        utilisations(&s);                              // afresh: rounding does not add up
        weigh(&s);
        if (s.reference < o->largest) o->largest = s.reference, memcpy(best, s.share, bytes);
        o->bound = fmax(o->bound, bound(&s));
        if (o->largest <= o->bound * (1 + within)) break;
        // log(sum w) / alpha is within spread / alpha of the largest: a quarter of the gap that is left
        const double gap = o->bound > 0 ? o->largest / o->bound - 1 : 1;
        s.alpha = 4 * spread / (fmin(gap, 1) * o->largest);
        weigh(&s);
        sweep(&s);
    }
    memcpy(s.share, best, bytes);
    o->routing = routing_of(s.share, keep, scratch, s.n, s.L);
    memcpy(o->routing.lost, start->lost, (size_t)s.F);
    arena_rewind(scratch, mark);
    return OK;
}
