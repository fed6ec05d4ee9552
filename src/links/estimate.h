// Traffic matrices from what interfaces count (Vardi 1996; Zhang, Roughan, Duffield, Greenberg, SIGMETRICS 2003).
//   measured    y = A x: the load of every link, and what enters and leaves at every node, flows from a node to itself
//               counted: L + 2 n values, links in the order of the topology, then ingress, then egress
//   gravity     g[i][j] = ingress[i] egress[j] / total: fits the nodes, ignores the links
//   tomogravity the x >= 0 with A x = y that is nearest to g by  sum x log(x/g) - x + g  (the information-theoretic
//               form: Zhang, Roughan, Lund, Donoho, SIGCOMM 2003), by iterative scaling (MART; Gordon, Bender, Herman
//               1970): x[f] *= (y[i] / (A x)[i])^A[i][f] for one measured value i after the other
//   Any other guess can take the place of g: the mean matrix of the past, a forecast.
//   guided      a forecast's draws say how sure it is of each flow, so flows give way by their variance v:
//               nearest by  sum (1/w) (x log(x/p) - x + p),  w = v/p, p the forecast;  for small changes that is
//               sum (x - p)^2 / (2 v), the posterior of independent normal draws.  Values i are met by
//               x[f] *= exp(w[f] A[i][f] l), l by Newton's method [D]
#ifndef LEAD_LINKS_ESTIMATE_H
#define LEAD_LINKS_ESTIMATE_H

#include "links/routing.h"

typedef struct Measurement {
    int n, L, rows;              // rows = L + 2 n + flows that are measured by themselves
    int64_t *begin;              // [rows + 1]: value i is the sum over entries begin[i] .. begin[i+1]-1
    int *flow;
    double *share;
} Measurement;

// known [n*n]: flows that are measured by themselves too, such as those that routers sample; their values follow, in
// the order of the flows.  NULL: none.
Measurement measurement_new(Arena *a, const Routing *r, const bool *known);

// y [rows] of the matrix x [n*n].
void measurement_of(const Measurement *m, const double *x, double *y);

// Sets the flows of x [n*n] that are measured by themselves: a guess of 0 could not be moved.
void measurement_set_known(const Measurement *m, const double *y, double *x);

// g [n*n]; zeros where nothing is measured.
void estimate_gravity(const Measurement *m, const double *y, double *g);

// x [n*n]: the guess, which is moved to what was measured.  Flows of 0 stay 0.  give [n*n] >= 0: w above, of which only
// the ratios matter; NULL: all 1.  Returns the largest |A x - y| over the largest y that is left after at most
// `sweeps`; stops early below 1e-6.
double estimate_fit(const Measurement *m, const double *y, double *x, const double *give, int sweeps);

// A forecast's draws.
typedef struct EstimateDraws {
    int S;
    int64_t stride;              // between draws
    const float *x;              // S draws [n*n] kbit/s
    const float *point;          // [n*n] kbit/s: the point forecast
} EstimateDraws;

// What estimate_fit begins with: guess[f] = the point forecast, at least least[f]; give[f] = variance of the draws over
// guess[f], with 1 % of the guess squared added to it, for no forecast is surer; one draw has no variance of its own.
void estimate_from_draws(const EstimateDraws *d, const double *least, int64_t F, double *guess, double *give);

#endif
