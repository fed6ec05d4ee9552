// Which share of each flow crosses which link.  A flow goes from one of the first n nodes of a topology to another, n =
// nodes of the traffic matrices; flow f = origin * n + destination, as in a series.
//   Shortest paths by weight with ECMP: at every node, the traffic to a destination is split equally over all links
//   that begin a shortest path to it (so over next hops, not over whole paths), as routers do.  Parallel links of equal
//   weight share too.  Distances that differ by less than 1e-9 of their size are equal.
#ifndef LEAD_LINKS_ROUTING_H
#define LEAD_LINKS_ROUTING_H

#include "links/topology.h"

typedef struct RoutingShare { int link; double share; } RoutingShare;   // 0 < share

typedef struct Routing {
    int n, L;
    int64_t *begin;              // [n*n + 1]: flow f has the entries begin[f] .. begin[f+1]-1
    RoutingShare *entry;
    uint8_t *lost;               // [n*n] 1: no path from origin to destination (never for i -> i)
} Routing;

// down [t->L] (or NULL): links that do not forward.  node_down: one node whose links all do not; -1: none.
void routing_shortest(Routing *r, Arena *a, const Topology *t, int n, const uint8_t *down, int node_down);

// A routing that is given: .npy ('<f4' or '<f8') or CSV of numbers without a header, one row for each flow and one
// column for each link, or the other way round; shares 0..1.  t has been matched to the series (topology_match):
//   - columns that a flow from a node to itself uses are ingress and egress, not links, and are left out
//   - columns are links in the order of t, and rows nodes in the order of the topology's file or of the data, whichever
//     makes every flow a path (what enters a node leaves it); where neither does, the column of a link is the one that
//     alone carries the traffic between its ends
// A t without links (t->L = 0) gets one link for each column, of unknown ends and capacity.  *how says what was found,
// for printing.  Errors, which name the file: neither dimension is n*n; values outside 0..1; another number of links;
// no order makes the flows paths.
Status routing_read(Routing *r, Arena *a, const char *path, Topology *t, int n, const char **how);

// The routing whose shares are A [L][n*n].  Shares below 1e-12 count as 0; a flow without any is lost.
void routing_from_matrix(Routing *r, Arena *a, const double *A, int n, int L);
// The shares as a matrix [L][n*n], for those that need the matrix.
double *routing_matrix(const Routing *r, Arena *a);

// load [L] += of x [n*n]: load[l] = sum_f share[f][l] x[f].
void routing_add(const Routing *r, const float *x, double *load);

#endif
