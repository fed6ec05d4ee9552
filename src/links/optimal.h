// The routing that minimises the largest utilisation of a link, for one traffic matrix or for several at once:
//   U* = min over routings of  max over matrices m and links l of  u[m][l] = sum_f share[f][l] x[m][f] / capacity[l]
// Each flow may be split over any paths, the same way for all matrices.  Multiplicative weights (Garg & Koenemann 1998,
// Fleischer 2000) in their potential-reduction form (Bienstock 2002): the weight of a link grows exponentially with its
// utilisation, w[m][l] = exp(alpha u[m][l]); one flow after the other moves from its longer paths to its path of the
// least weight, by the step that minimises sum w; alpha grows as that stops paying.  Any weights bound the optimum from
// below (LP duality):
//   U* >= sum_f dist_f / sum w,   dist_f = shortest path of flow f by lengths  sum_m w[m][l] x[m][f] / capacity[l]
// so the loop ends when the routing in hand is proved to be within `within` of the optimum.
#ifndef LEAD_LINKS_OPTIMAL_H
#define LEAD_LINKS_OPTIMAL_H

#include "links/routing.h"

typedef struct Optimum {
    Routing routing;
    double largest;              // its largest utilisation over matrices and links
    double bound;                // no routing has a smaller one
    int rounds;
} Optimum;

// x [M][n*n] kbit/s.  start says which flows have a path.  within: 0.01 = 1 %.  Links of unknown capacity count as
// unlimited.  Scratch memory comes from `scratch` and is given back.  Stops after 100 rounds in any case: callers
// compare largest with bound, and tell (many matrices at once can leave 1 or 2 %).  Error: no link has a capacity.
Status optimal_routing(Optimum *o, Arena *keep, Arena *scratch, const Topology *t, const Routing *start, const float *x,
                       int M, double within);

#endif
