// The options of the verbs that put traffic on a network, and the reading of topology and routing.
#ifndef LEAD_CLI_NETWORK_H
#define LEAD_CLI_NETWORK_H

#include "cli/paths.h"
#include "links/loads.h"
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

// The options of the verbs that print the loads of a forecast; out NULL: stdout.
typedef struct LoadsOptions {
    PathsOptions from;
    NetworkOptions net;
    const char *quantiles, *above, *format, *out;
} LoadsOptions;

// Their rows of a table; of the values, S.loads is a LoadsOptions that comes first.
#define LOADS_OPTIONS(above_help, formats) \
    NETWORK_OPTIONS(LoadsOptions), \
    PATHS_OPTIONS(PathsOptions), \
    PATHS_FILE_OPTION(PathsOptions), \
    {"quantiles", OPT_TEXT, offsetof(LoadsOptions, quantiles), "LIST", "quantile levels to print [0.05,0.5,0.95]", 0, \
     0}, \
    {"above", OPT_TEXT, offsetof(LoadsOptions, above), "LIST", above_help, 0, 0}, \
    {"format", OPT_TEXT, offsetof(LoadsOptions, format), "NAME", formats " [tsv]", 0, 0}, \
    {"out", OPT_TEXT, offsetof(LoadsOptions, out), "FILE", "the table (default, and -: stdout)", 0, 0}

void loads_defaults(LoadsOptions *o, const char *above);

// A forecast, the network that it is put on, and what is to be printed of the loads.
typedef struct LoadsForecast {
    PathsForecast f;
    Network net;
    LoadOptions show;
    double q[PATHS_LEVELS], above[PATHS_LEVELS];   // of show
} LoadsForecast;

// The lists of the options first, then forecast, topology and routing.  out must not move: show points into it.
// Errors: of usage; those of paths_forecast and network_open.
Status loads_open(LoadsForecast *out, Cli *cli, const LoadsOptions *o);

// Says the distribution of a largest utilisation on stderr: " q0.05 1.5 %, q0.5 11.4 %, q0.95 51.4 %, mean 15.0 %".
// The mean comes last: one wild path can be most of it.
void loads_say_largest(const LoadOptions *o, const double *quantile, double mean);

#endif
