// Link loads and utilisations of a forecast: computed within each sample path, then summarised over paths.
//   load[l] = sum over flows f of share[f][l] x[f], in double          kbit/s
//   utilisation[l] = load[l] / capacity[l]; the largest one over all links of known capacity is that of a matrix
// Adding up quantiles of flows instead would overstate the tail: flows do not all peak at once.
#ifndef LEAD_LINKS_LOADS_H
#define LEAD_LINKS_LOADS_H

#include "links/routing.h"
#include "traffic/paths.h"

typedef struct LoadOptions {
    const double *level;         // [levels] quantile levels
    int levels;
    const double *above;         // [thresholds] utilisations, 0.8 = 80 %
    int thresholds;
} LoadOptions;

// A load, or the largest utilisation, of one step over all paths.
typedef struct LoadSummary {
    double mean;                 // loads: of the point forecast; the largest utilisation: the mean over paths
    double *quantile;            // [levels]
    double *probability;         // [thresholds] share of the paths above; NaN: capacity unknown
} LoadSummary;

typedef struct LoadStep {
    LoadSummary *link;           // [L] kbit/s
    LoadSummary largest;         // utilisation; NaN where no capacity is known
    int most_often;              // the link that is the largest in most paths; -1: no capacity is known
    double most_often_share;     // .. in that share of the paths
} LoadStep;

// load [L] kbit/s of the matrix x [n*n].
void loads_of(const Routing *r, const float *x, double *load);
// The largest utilisation; *link (may be NULL): where.  NaN and -1 when no capacity is known.
double loads_largest(const Topology *t, const double *load, int *link);

// Step k (from 0) of the paths.  Scratch memory comes from a and is given back; *out stays in `keep`.
void loads_step(LoadStep *out, Arena *keep, Arena *scratch, const Topology *t, const Routing *r, const TrafficPaths *p,
                int k, const LoadOptions *o);

// kbit/s that have no path, in matrix x.
double loads_lost(const Routing *r, const float *x);

#endif
