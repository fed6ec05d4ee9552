#include "links/whatif.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const failure_kinds[] = {"none", "link", "node", "group", "several"};

// ---- the list

static Failure *add(FailureList *list, Arena *a, const Topology *t, const char *name, FailureKind kind)
{
    if (list->n == list->room) {
        list->room = 2 * list->room + 64;
        Failure *more = arena_alloc(a, (size_t)list->room * sizeof *more);
        if (list->n) memcpy(more, list->failure, (size_t)list->n * sizeof *more);
        list->failure = more;
    }
    Failure *f = &list->failure[list->n++];
    *f = (Failure){name, kind, arena_zalloc(a, (size_t)t->L), -1};
    return f;
}

// How many links before l go the same way (or, back, the other way).
static int which_parallel(const Topology *t, int l, int before, bool back)
{
    int n = 0;
    for (int k = 0; k < before; k++)
        n += t->link[k].from == (back ? t->link[l].to : t->link[l].from) &&
             t->link[k].to == (back ? t->link[l].from : t->link[l].to);
    return n;
}

// The opposite direction of link l; -1: it has none.
static int opposite(const Topology *t, int l)
{
    const int want = which_parallel(t, l, l, false);
    for (int k = 0; k < t->L; k++)
        if (t->link[k].from == t->link[l].to && t->link[k].to == t->link[l].from &&
            which_parallel(t, k, k, false) == want) return k;
    return -1;
}

static const char *pair_name(const Topology *t, Arena *a, int l, bool back)
{
    const TopologyLink *k = &t->link[l];
    const int nth = which_parallel(t, l, l, false);
    const bool alone = which_parallel(t, l, t->L, false) == 1;
    const char *from = t->node[back ? k->to : k->from], *to = t->node[back ? k->from : k->to];
    return alone ? arena_printf(a, "%s-%s", from, to) : arena_printf(a, "%s-%s#%d", from, to, nth + 1);
}

static void all_links(FailureList *list, Arena *a, const Topology *t)
{
    for (int l = 0; l < t->L; l++) {
        const int back = opposite(t, l);
        if (back >= 0 && back < l) continue;
        Failure *f = add(list, a, t, pair_name(t, a, l, false), FAIL_LINK);
        f->down[l] = 1;
        if (back >= 0) f->down[back] = 1;
    }
}

static void all_nodes(FailureList *list, Arena *a, const Topology *t)
{
    for (int v = 0; v < t->N; v++) add(list, a, t, t->node[v], FAIL_NODE)->node = v;
}

static void all_groups(FailureList *list, Arena *a, const Topology *t)
{
    for (int l = 0; l < t->L; l++) {
        bool seen = !t->link[l].group;
        for (int k = 0; k < l && !seen; k++) seen = t->link[k].group && !strcmp(t->link[k].group, t->link[l].group);
        if (seen) continue;
        Failure *f = add(list, a, t, t->link[l].group, FAIL_GROUP);
        for (int k = l; k < t->L; k++) f->down[k] = t->link[k].group && !strcmp(t->link[k].group, f->name);
    }
}

static int mark_group(const Topology *t, const char *word, uint8_t *down)
{
    int n = 0;
    for (int l = 0; l < t->L; l++)
        if (t->link[l].group && !strcmp(t->link[l].group, word)) down[l] = 1, n++;
    return n;
}

static int mark_node(const Topology *t, const char *word, uint8_t *down)
{
    const int v = topology_node(t, word);
    for (int l = 0; l < t->L && v >= 0; l++) down[l] |= t->link[l].from == v || t->link[l].to == v;
    return v >= 0;
}

static int mark_links(const Topology *t, Arena *a, const char *word, uint8_t *down)
{
    int n = 0;
    for (int l = 0; l < t->L; l++) {
        const TopologyLink *k = &t->link[l];
        const char *from = t->node[k->from], *to = t->node[k->to];
        const bool one = !strcmp(k->name, word) || !strcmp(arena_printf(a, "%s>%s", from, to), word);
        const bool both = !strcmp(arena_printf(a, "%s-%s", from, to), word) ||
                          !strcmp(arena_printf(a, "%s-%s", to, from), word) ||
                          !strcmp(pair_name(t, a, l, false), word) || !strcmp(pair_name(t, a, l, true), word);
        if (one || both) down[l] = 1, n++;
    }
    return n;
}

// One word without commas: parts joined by +.
static Status add_word(FailureList *list, Arena *a, const Topology *t, const char *word)
{
    if (!strcmp(word, "all-links") || !strcmp(word, "all-single")) all_links(list, a, t);
    if (!strcmp(word, "all-nodes") || !strcmp(word, "all-single")) all_nodes(list, a, t);
    if (!strcmp(word, "all-groups") || !strcmp(word, "all-single")) all_groups(list, a, t);
    if (!strncmp(word, "all-", 4) && topology_node(t, word) < 0)
        return !strcmp(word, "all-links") || !strcmp(word, "all-nodes") || !strcmp(word, "all-groups") ||
                       !strcmp(word, "all-single")
                   ? OK
                   : USAGE_ERROR("--fail: want all-links, all-nodes, all-groups or all-single, got '%s'", word);
    Failure *f = add(list, a, t, word, FAIL_SEVERAL);
    char *rest = arena_printf(a, "%s", word);
    for (char *part = rest; part; part = rest) {
        rest = strchr(part, '+');
        if (rest) *rest++ = 0;
        const FailureKind kind = mark_group(t, part, f->down)        ? FAIL_GROUP
                                 : mark_node(t, part, f->down)       ? FAIL_NODE
                                 : mark_links(t, a, part, f->down) ? FAIL_LINK
                                                                     : FAIL_NOTHING;
        if (kind == FAIL_NOTHING)
            return USAGE_ERROR("--fail: want a link such as %s-%s, a node, a group or all-single, got '%s'",
                               t->node[t->link[0].from], t->node[t->link[0].to], part);
        if (!strchr(word, '+')) f->kind = kind;
        if (f->kind == FAIL_NODE) f->node = topology_node(t, part);
    }
    return OK;
}

Status failures_parse(FailureList *out, Arena *a, const Topology *t, const char *text)
{
    *out = (FailureList){0};
    add(out, a, t, "none", FAIL_NOTHING);
    char *copy = arena_printf(a, "%s", text);
    for (char *word = copy, *next; word && *word; word = next) {
        next = strchr(word, ',');
        if (next) *next++ = 0;
        TRY(add_word(out, a, t, word));
    }
    return OK;
}

// ---- what a failure does

static int by_demand(const void *p, const void *q, void *demand)
{
    const double *d = demand, a = d[*(const int64_t *)p], b = d[*(const int64_t *)q];
    return (a < b) - (a > b);
}

static void find_lost(FailureResult *out, Arena *keep, Arena *scratch, const Routing *r, const TrafficPaths *p,
                      int steps)
{
    const int64_t F = (int64_t)p->N * p->N;
    double *demand = arena_zalloc(scratch, (size_t)F * sizeof *demand);
    out->lost = arena_alloc(keep, (size_t)F * sizeof *out->lost);
    for (int64_t f = 0; f < F; f++) {
        if (!r->lost[f]) continue;
        for (int k = 0; k < steps; k++) demand[f] += (double)p->point[k * F + f] / steps;
        out->lost_kbps += demand[f];
        out->lost[out->n_lost++] = f;
    }
    qsort_r(out->lost, (size_t)out->n_lost, sizeof *out->lost, by_demand, demand);
}

void failure_assess(FailureResult *out, Arena *keep, Arena *scratch, const Topology *t, const Failure *f,
                    const TrafficPaths *p, int steps, const LoadOptions *o)
{
    *out = (FailureResult){.failure = f, .link = -1, .quantile = arena_alloc(keep, sizeof(double) * (size_t)o->levels),
                           .probability = arena_alloc(keep, sizeof(double) * ((size_t)o->thresholds + 1))};
    const size_t mark = arena_mark(scratch);
    Routing r;
    routing_shortest(&r, scratch, t, p->N, f->down, f->node);
    double *load = arena_alloc(scratch, (size_t)t->L * sizeof *load);
    int *count = arena_zalloc(scratch, (size_t)t->L * sizeof *count);
    float *v = arena_alloc(scratch, (size_t)p->S * sizeof *v);
    for (int i = 0; i < o->thresholds; i++) out->probability[i] = 0;
    for (int s = 0; s < p->S; s++) {
        double most = NAN;
        int at = -1, link;
        for (int k = 0; k < steps; k++) {
            loads_of(&r, paths_at(p, s, k), load);
            const double u = loads_largest(t, load, &link);
            if (at < 0 || u > most) most = u, at = link;
        }
        v[s] = (float)most;
        out->mean += most / p->S;
        for (int i = 0; i < o->thresholds; i++) out->probability[i] += (most > o->above[i]) / (double)p->S;
        if (at >= 0 && ++count[at] > (out->link < 0 ? 0 : count[out->link])) out->link = at;
    }
    for (int i = 0; i < o->thresholds && out->link < 0; i++) out->probability[i] = NAN;
    out->link_share = out->link < 0 ? NAN : (double)count[out->link] / p->S;
    paths_quantiles(v, p->S, DIST_SAMPLES, o->level, o->levels, out->quantile);   // a largest of mirrored paths is none
    find_lost(out, keep, scratch, &r, p, steps);
    arena_rewind(scratch, mark);
}

static int worse(const void *p, const void *q, void *levels)
{
    const FailureResult *a = p, *b = q;
    const int last = *(const int *)levels - 1;
    const double x = a->quantile[last], y = b->quantile[last];
    if (x < y || x > y) return (x < y) - (x > y);
    return (a->lost_kbps < b->lost_kbps) - (a->lost_kbps > b->lost_kbps);
}

void failures_sort(FailureResult *r, int n, int levels) { qsort_r(r, (size_t)n, sizeof *r, worse, &levels); }

// ---- other traffic

static TrafficPaths copy_paths(const TrafficPaths *p, Arena *a, float **x, float **point)
{
    const size_t KF = (size_t)p->K * (size_t)p->N * (size_t)p->N;
    *x = arena_alloc(a, (size_t)p->S * KF * sizeof **x);
    *point = arena_alloc(a, KF * sizeof **point);
    memcpy(*x, p->x, (size_t)p->S * KF * sizeof **x);
    memcpy(*point, p->point, KF * sizeof **point);
    TrafficPaths q = *p;
    q.x = *x;
    q.point = *point;
    return q;
}

TrafficPaths whatif_grow(const TrafficPaths *p, Arena *a, double factor)
{
    float *x, *point;
    const TrafficPaths q = copy_paths(p, a, &x, &point);
    const int64_t KF = (int64_t)p->K * p->N * p->N;
    for (int64_t i = 0; i < p->S * KF; i++) x[i] = (float)((double)x[i] * factor);
    for (int64_t i = 0; i < KF; i++) point[i] = (float)((double)point[i] * factor);
    return q;
}

// X <- M' X M, M = the identity with a part of row `from` moved to column `to`.
static void move_matrix(float *x, int N, int from, int to, double part)
{
    for (int side = 0; side < 2; side++)          // origins, then destinations
        for (int i = 0; i < N; i++) {
            float *a = x + (side ? i * N + from : from * N + i), *b = x + (side ? i * N + to : to * N + i);
            const double moved = part * (double)*a;
            *b = (float)((double)*b + moved);
            *a = (float)((double)*a - moved);
        }
}

TrafficPaths whatif_move(const TrafficPaths *p, Arena *a, int from, int to, double part)
{
    float *x, *point;
    const TrafficPaths q = copy_paths(p, a, &x, &point);
    const int64_t F = (int64_t)p->N * p->N;
    for (int64_t m = 0; m < (int64_t)p->S * p->K; m++) move_matrix(x + m * F, p->N, from, to, part);
    for (int64_t k = 0; k < p->K; k++) move_matrix(point + k * F, p->N, from, to, part);
    return q;
}
