// The options of the verbs that put traffic on a network, and the reading of topology and routing.
#ifndef LEAD_CLI_NETWORK_H
#define LEAD_CLI_NETWORK_H

#include "cli/cli.h"
#include "links/routing.h"

typedef struct NetworkOptions { const char *topology, *routing, *weights, *capacity_unit; } NetworkOptions;

#define NETWORK_OPTIONS(S) \
    {"topology", OPT_TEXT, offsetof(S, net.topology), "FILE", \
     "the network: REPETITA .graph, SNDlib, TOTEM, or a CSV of links (source,destination,capacity,weight)", 0, 0}, \
    {"routing", OPT_TEXT, offsetof(S, net.routing), "FILE", \
     "a routing matrix, flows x links, .npy or CSV (default: shortest paths, equal splits)", 0, 0}, \
    {"weights", OPT_TEXT, offsetof(S, net.weights), "NAME", \
     "shortest by: file (its weights), hops, or inverse (of the capacity) [file]", 0, 0}, \
    {"capacity-unit", OPT_TEXT, offsetof(S, net.capacity_unit), "UNIT", \
     "unit of the topology's capacities: bps, kbps, Mbps, Gbps (default: as the file says)", 0, 0}

typedef struct Network { Topology topology; Routing routing; } Network;

// Reads the topology and matches it to a series of n nodes (names NULL: it has none), and makes the routing.  Says on
// stderr what was read and assumed.  Errors: of usage; those of topology.h and routing.h.
Status network_open(Network *net, Cli *cli, const NetworkOptions *o, int n, const char *const *names);

// "50,80": per cent -> fractions above [PATHS_LEVELS] (cli/paths.h), of --above.
Status network_parse_above(const char *text, double *above, int *n);

#endif
