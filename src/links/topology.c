#include "links/topology.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/file.h"
#include "tensor/utf8.h"
#include "traffic/text.h"

// ---- growing

Topology topology_new(Arena *a, const char *path, const char *format, int most_nodes, int most_links)
{
    return (Topology){.path = path, .format = format, .note = "",
                      .node = arena_alloc(a, ((size_t)most_nodes + 1) * sizeof(char *)),
                      .link = arena_alloc(a, ((size_t)most_links + 1) * sizeof(TopologyLink))};
}

void topology_say(Topology *t, Arena *a, const char *sentence)
{
    t->note = arena_printf(a, "%s%s%s", t->note, *t->note ? "; " : "", sentence);
}

int topology_node(const Topology *t, const char *name)
{
    char safe[1024];   // as topology_add_node keeps them
    text_clean(safe, sizeof safe, name, strlen(name));
    for (int i = 0; i < t->N; i++)
        if (!strcmp(t->node[i], name) || !strcmp(t->node[i], safe)) return i;
    return -1;
}

Status topology_add_node(Topology *t, Arena *a, const char *name, int line)
{
    if (!*name) return ERROR("%s:%d: want the name of a node, got nothing", t->path, line);
    if (topology_node(t, name) >= 0)
        return ERROR("%s:%d: want each node once, got '%s' again", t->path, line, name);
    t->node[t->N++] = text_safe(a, arena_printf(a, "%s", name));
    return OK;
}

Status topology_add_link(Topology *t, Arena *a, TopologyLink link, bool both, int line)
{
    if (link.from == link.to)
        return ERROR("%s:%d: want a link between two nodes, got one from %s to itself", t->path, line,
                     t->node[link.from]);
    if (!(link.capacity_kbps >= 0 && isfinite(link.capacity_kbps)))
        return ERROR("%s:%d: want a capacity of 0 (unknown) or more, got %g kbit/s", t->path, line,
                     link.capacity_kbps);
    if (!(link.weight > 0 && isfinite(link.weight)))
        return ERROR("%s:%d: want a weight above 0, got %g", t->path, line, link.weight);
    for (int i = 0; i < (both ? 2 : 1); i++) {
        TopologyLink *l = &t->link[t->L++];
        *l = link;
        if (i) l->from = link.to, l->to = link.from;
        if (link.group) l->group = text_safe(a, link.group);
        l->name = link.name && !both ? text_safe(a, arena_printf(a, "%s", link.name))
                                     : arena_printf(a, "%s>%s", t->node[l->from], t->node[l->to]);
    }
    return OK;
}

double topology_unit_kbps(const char *name)
{
    static const struct { const char *name; double kbps; } unit[] = {
        {"bps", 1e-3}, {"bit/s", 1e-3}, {"bits/s", 1e-3}, {"kbps", 1}, {"kbit/s", 1}, {"kbitpersec", 1},
        {"kb/s", 1}, {"mbps", 1e3}, {"mbit/s", 1e3}, {"mbitpersec", 1e3}, {"mb/s", 1e3}, {"gbps", 1e6},
        {"gbit/s", 1e6}, {"gbitpersec", 1e6}, {"gb/s", 1e6}, {"tbps", 1e9}, {"tbit/s", 1e9}};
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
        if (!strcasecmp(name, unit[i].name)) return unit[i].kbps;
    return 0;
}

Status topology_set_weights(Topology *t, TopologyWeights which)
{
    if (which == WEIGHTS_FILE) return OK;
    double most = 0;
    for (int l = 0; l < t->L; l++) most = fmax(most, t->link[l].capacity_kbps);
    for (int l = 0; l < t->L; l++) {
        TopologyLink *k = &t->link[l];
        if (which == WEIGHTS_INVERSE && !(k->capacity_kbps > 0))
            return ERROR("%s: link %s: want a capacity for weights by inverse capacity, got none", t->path, k->name);
        k->weight = which == WEIGHTS_HOPS ? 1 : most / k->capacity_kbps;
    }
    return OK;
}

// ---- matching the nodes of a series

// The nodes' names are the numbers first .. first + N - 1: place[node] = number - first.
static bool are_numbers(const Topology *t, int first, int *place)
{
    for (int i = 0; i < t->N; i++) {
        char *end;
        const long v = strtol(t->node[i], &end, 10);
        if (end == t->node[i] || *end || v < first || v >= first + t->N) return false;
        place[i] = (int)v - first;
    }
    return true;   // names differ, so numbers could repeat only as 01 and 1
}

static bool is_permutation(const int *place, int N, Arena *a)
{
    char *seen = arena_zalloc(a, (size_t)N);
    for (int i = 0; i < N; i++) {
        if (seen[place[i]]) return false;
        seen[place[i]] = 1;
    }
    return true;
}

static Status place_by_name(const Topology *t, int n, const char *const *names, int *place)
{
    for (int i = 0; i < t->N; i++) place[i] = -1;
    for (int i = 0; i < n; i++) {
        const int at = topology_node(t, names[i]);
        if (at < 0)
            return ERROR("%s: want every node of the data, got no '%s' among its %d nodes (%s, %s, ..)", t->path,
                         names[i], t->N, t->node[0], t->N > 1 ? t->node[1] : "");
        place[at] = i;
    }
    int next = n;
    for (int i = 0; i < t->N; i++)
        if (place[i] < 0) place[i] = next++;
    return OK;
}

static void permute(Topology *t, Arena *a, const int *place)
{
    const char **node = arena_alloc(a, (size_t)t->N * sizeof *node);
    for (int i = 0; i < t->N; i++) node[place[i]] = t->node[i];
    t->node = node;
    t->order = place;
    for (int l = 0; l < t->L; l++) {
        t->link[l].from = place[t->link[l].from];
        t->link[l].to = place[t->link[l].to];
    }
}

Status topology_match(Topology *t, Arena *a, int n, const char *const *names, const char **how)
{
    int *place = arena_alloc(a, (size_t)t->N * sizeof *place);
    if (names) {
        TRY(place_by_name(t, n, names, place));
        permute(t, a, place);
        *how = t->N == n ? "nodes matched by name"
                         : arena_printf(a, "nodes matched by name; %d more of the topology only forward", t->N - n);
        return OK;
    }
    if (t->N != n)
        return ERROR("%s: want %d nodes as the data have (which have no names), got %d", t->path, n, t->N);
    for (int first = 0; first <= 1; first++)
        if (are_numbers(t, first, place) && is_permutation(place, n, a)) {
            permute(t, a, place);
            *how = arena_printf(a, "the data have no node names: node k of the topology is number k%s of the data",
                                first ? " - 1" : "");
            return OK;
        }
    for (int i = 0; i < n; i++) place[i] = i;
    permute(t, a, place);
    *how =
        arena_printf(a, "the data have no node names: the topology's nodes are taken in its order, %s = 0, %s = 1, ..",
                     t->node[0], t->node[1]);
    return OK;
}
