// A network: nodes and directed links with capacities and weights, read from the files that planners have.
//   REPETITA .graph    NODES n / label x y; EDGES m / label src dest weight bw delay; bw in kbit/s
//   SNDlib native, XML undirected links: one in each direction, with the full capacity each; capacity = what is
//   installed,
//                      else the largest module; weight = routing cost, or 1 where all of these are 0
//   TOTEM XML          directed links; capacity from <capacity value=..> or <bw>; weight from <metric>, else 1
//   CSV                a header with source, destination and any of capacity, weight, name, group (SRLG), in any order;
//                      directed, unless the header says node_a,node_b
// What a file leaves open is chosen as above and told by `note`, which callers print.
#ifndef LEAD_LINKS_TOPOLOGY_H
#define LEAD_LINKS_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

typedef struct TopologyLink {
    int from, to;                // nodes
    double capacity_kbps;        // 0: unknown
    double weight;               // > 0
    const char *name;            // "ATLAng>HSTNng" where the file has none
    const char *group;           // shared risk group; NULL: none
} TopologyLink;

typedef struct Topology {
    const char *path, *format;
    const char *note;            // what was assumed, one line; "" = nothing
    int N, L;
    const char **node;           // [N]
    TopologyLink *link;          // [L]
    const int *order;            // [N], after topology_match: which node stood at each place of the file
} Topology;

// Which weights shortest paths go by.
typedef enum TopologyWeights { WEIGHTS_FILE, WEIGHTS_HOPS, WEIGHTS_INVERSE } TopologyWeights;

// Reads a file; its format is recognised by its content.  unit_kbps: one unit of the file's capacities in kbit/s; 0:
// what the format or the file says.  Errors name file and line: no known format, a link to an unknown node, a node
// twice, a capacity below 0, a weight that is not above 0, no links.
Status topology_read(Topology *t, Arena *a, const char *path, double unit_kbps);

// The parsers that topology_read chooses from: text is NUL-terminated and may be changed.
Status topology_parse_repetita(Topology *t, Arena *a, char *text, double unit_kbps);
Status topology_parse_native(Topology *t, Arena *a, char *text, double unit_kbps);
Status topology_parse_csv(Topology *t, Arena *a, char *text, double unit_kbps);

// kbit/s of the unit called bps, kbps, mbps, gbps (also kbit/s, Mbit/s, MBITPERSEC ..); 0: no such name.
double topology_unit_kbps(const char *name);

// Weights 1, or the largest capacity of the network / a link's capacity.  Error: inverse, and a capacity is unknown.
Status topology_set_weights(Topology *t, TopologyWeights which);

// Puts the nodes into the order of a series of n nodes: afterwards node i is row i of the matrices.  names [n]: by
// name; NULL: by the numbers when the nodes are called 0..n-1 or 1..n, else by the order of the file.  *how says which,
// for printing.  With names, nodes that the series lacks follow after its own: transit alone. Errors: a node of the
// series that is not in the topology; without names, another number of nodes.
Status topology_match(Topology *t, Arena *a, int n, const char *const *names, const char **how);

// The node of that name; -1: none.
int topology_node(const Topology *t, const char *name);

// ---- for parsers: how a topology grows.  Room for N nodes and L links is taken by topology_new.
Topology topology_new(Arena *a, const char *path, const char *format, int most_nodes, int most_links);
Status topology_add_node(Topology *t, Arena *a, const char *name, int line);
// name NULL: made of the nodes.  both: one link in each direction.
Status topology_add_link(Topology *t, Arena *a, TopologyLink link, bool both, int line);
// Adds a sentence to the note.
void topology_say(Topology *t, Arena *a, const char *sentence);

#endif
