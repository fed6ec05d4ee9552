// What if: failures of links, nodes and shared-risk groups; growth; traffic that moves to another node.
//   A failure takes links away; what is left is routed anew over shortest paths.  The largest utilisation of a path is
//   that over all links and steps.  Demand without a path is lost: its links are not loaded, so it is told apart.
#ifndef LEAD_LINKS_WHATIF_H
#define LEAD_LINKS_WHATIF_H

#include "links/loads.h"

typedef enum FailureKind { FAIL_NOTHING, FAIL_LINK, FAIL_NODE, FAIL_GROUP, FAIL_SEVERAL } FailureKind;
extern const char *const failure_kinds[];

typedef struct Failure {
    const char *name;
    FailureKind kind;
    uint8_t *down;               // [L]
    int node;                    // FAIL_NODE; else -1
} Failure;

typedef struct FailureList { int n, room; Failure *failure; } FailureList;

// The failures that `text` asks for, a list with commas of
//   all-links    every link with its opposite direction: k-th of the links a>b with the k-th of b>a
//   all-nodes, all-groups, all-single (all three)
//   A-B          a link in both directions; of parallel ones all, A-B#2 the second alone.  A>B: one direction
//   the name of a link, of a node, of a group; X+Y: at the same time
// A name can mean several things only by chance; the order is group, node, link.  The first failure is always
// FAIL_NOTHING, to compare with.  Error: a word that is none of these.
Status failures_parse(FailureList *out, Arena *a, const Topology *t, const char *text);

typedef struct FailureResult {
    const Failure *failure;
    double mean, *quantile, *probability;    // of the largest utilisation over links and steps: [levels], [thresholds]
    int link;                    // that is the largest in most paths; -1: none is known
    double link_share;
    double lost_kbps;            // mean over steps of the point forecast of what has no path
    int n_lost;                  // pairs that have none
    int64_t *lost;               // [n_lost] flows, the largest first
} FailureResult;

// Memory of results comes from keep, scratch is given back.
void failure_assess(FailureResult *out, Arena *keep, Arena *scratch, const Topology *t, const Failure *f,
                    const TrafficPaths *p, int steps, const LoadOptions *o);

// Worst first: by the last quantile level of the largest utilisation, then by what is lost.
void failures_sort(FailureResult *r, int n, int levels);

// ---- other traffic; x of the paths is copied

// x *= factor.
TrafficPaths whatif_grow(const TrafficPaths *p, Arena *a, double factor);
// The share `part` of what enters and leaves the network at node `from` does so at node `to` instead.
TrafficPaths whatif_move(const TrafficPaths *p, Arena *a, int from, int to, double part);

#endif
