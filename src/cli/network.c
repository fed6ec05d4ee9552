#include "cli/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/paths.h"

static Status parse_weights(const char *name, TopologyWeights *w)
{
    static const char *const names[] = {
        [WEIGHTS_FILE] = "file", [WEIGHTS_HOPS] = "hops", [WEIGHTS_INVERSE] = "inverse"};
    *w = WEIGHTS_FILE;
    for (int i = 0; name && i < 3; i++) {
        *w = (TopologyWeights)i;
        if (!strcmp(name, names[i])) return OK;
    }
    return name ? USAGE_ERROR("--weights: want file, hops or inverse, got '%s'", name) : OK;
}

// Says how much has no path.
static void say_lost(const Network *net, const char *path)
{
    const int n = net->routing.n;
    int64_t lost = 0, first = -1;
    for (int64_t f = 0; f < (int64_t)n * n; f++)
        if (net->routing.lost[f] && lost++ == 0) first = f;
    if (lost)
        fprintf(stderr, "note: %s: %lld pairs have no path, %s > %s the first; their traffic is on no link\n", path,
                (long long)lost, net->topology.node[first / n], net->topology.node[first % n]);
}

// Some links of unknown capacity would be missing among the fullest without a word.
static void say_unknown(const Topology *t, const char *name)
{
    int unknown = 0, first = 0;
    for (int l = t->L - 1; l >= 0; l--)
        if (!(t->link[l].capacity_kbps > 0)) unknown++, first = l;
    if (unknown && unknown < t->L)
        cli_say("note: %s: %d of %d links have no known capacity, %s for one: loads, but no utilisation", name, unknown,
                t->L, t->link[first].name);
}

static Status read_topology(Topology *t, Cli *cli, const NetworkOptions *o, int n, const char *const *names)
{
    double unit = 0;
    TopologyWeights weights;
    if (o->capacity_unit && !((unit = topology_unit_kbps(o->capacity_unit)) > 0))
        return USAGE_ERROR("--capacity-unit: want bps, kbps, Mbps, Gbps or Tbps, got '%s'", o->capacity_unit);
    TRY(parse_weights(o->weights, &weights));
    const char *how;
    TRY(topology_read(t, cli->perm, o->topology, unit));
    TRY(topology_set_weights(t, weights));
    TRY(topology_match(t, cli->perm, n, names, &how));
    fprintf(stderr, "%s: %s, %d nodes, %d directed links; %s%s%s\n", o->topology, t->format, t->N, t->L, how,
            *t->note ? "; " : "", t->note);
    say_unknown(t, o->topology);
    return OK;
}

// A routing alone: nodes of the data, links to be made of its columns.
static void no_topology(Topology *t, Cli *cli, int n, const char *const *names)
{
    *t = topology_new(cli->perm, "no topology", "", n, 0);
    for (t->N = 0; t->N < n; t->N++)
        t->node[t->N] = names ? names[t->N] : arena_printf(cli->perm, "%d", t->N);
}

Status network_open(Network *net, Cli *cli, const NetworkOptions *o, int n, const char *const *names)
{
    const char *how;
    if (!o->topology && !o->routing) return USAGE_ERROR("%s: wants --topology FILE", cli->verb->name);
    if (o->routing && o->weights) return USAGE_ERROR("--weights: --routing says which paths, so want one of the two");
    if (o->topology) TRY(read_topology(&net->topology, cli, o, n, names));
    else no_topology(&net->topology, cli, n, names);
    if (!o->routing) {
        routing_shortest(&net->routing, cli->perm, &net->topology, n, NULL, -1);
        say_lost(net, o->topology);
        return OK;
    }
    TRY(routing_read(&net->routing, cli->perm, o->routing, &net->topology, n, &how));
    fprintf(stderr, "%s: %s\n", o->routing, how);
    say_lost(net, o->routing);
    return OK;
}

// "50,80": per cent -> fractions above [PATHS_LEVELS].
static Status parse_above(const char *text, double *above, int *n)
{
    *n = 0;
    for (const char *p = text; *p; p = *p == ',' ? p + 1 : p) {
        char *end;
        const double v = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !(v > 0 && v <= 1e6) || *n == PATHS_LEVELS)
            return USAGE_ERROR("--above: want per cent of the capacity such as 50,80, got '%s'", text);
        above[(*n)++] = v / 100;
        p = end;
    }
    return OK;
}

// ---- loads of a forecast

void loads_defaults(LoadsOptions *o, const char *above)
{
    paths_defaults(&o->from);
    o->quantiles = "0.05,0.5,0.95";
    o->above = above;
    o->format = "tsv";
}

Status loads_open(LoadsForecast *out, Cli *cli, const LoadsOptions *o)
{
    PathsForecast *f = &out->f;
    out->show = (LoadOptions){.level = out->q, .above = out->above};
    TRY(paths_parse_levels(o->quantiles, "quantiles", out->q, &out->show.levels));
    TRY(parse_above(o->above, out->above, &out->show.thresholds));
    TRY(paths_forecast(f, cli, &o->from, true));
    return network_open(&out->net, cli, &o->net, f->p.N, f->named ? f->node : NULL);
}

void loads_say_largest(const LoadOptions *o, const double *quantile, double mean)
{
    for (int i = 0; i < o->levels; i++) fprintf(stderr, " q%g %.1f %%,", o->level[i], 100 * quantile[i]);
    fprintf(stderr, " mean %.1f %%", 100 * mean);
}
