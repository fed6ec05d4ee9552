// A dropout channel for a linear dynamical system: whether a value is missing says something about it.
//   P(y missing) = s(g),  s(g) = 1 / (1 + exp(-g)),  g = a + b (offset + y)
// The logistic function is bounded from below by a Gaussian in g that touches it at +-xi (Jaakkola, Jordan 2000):
//   log s(g) >= log s(xi) + (g - xi)/2 - l (g^2 - xi^2),   l = tanh(xi/2) / (4 xi)
// so a missing value acts as if it had been measured as y* = (1/(4 l) - a - b offset) / b with precision tau = 2 l b^2.
// EM then climbs the bound: E step with these, M step of the system, of a and b (a 2 x 2 system), then xi^2 = E[g^2].
#ifndef LEAD_TRAFFIC_LDS_CHANNEL_H
#define LEAD_TRAFFIC_LDS_CHANNEL_H

#include "traffic/lds.h"

typedef struct LdsChannel {
    double a, b;
    const double *offset;    // [T][F]
    const uint8_t *applies;  // [T][F] 1: missing, and the channel may be why
    double *y, *tau;         // [T][F] of the LdsData: y measured, or y*; tau as there; written where it applies
    double *xi;              // [T][F] where it applies
} LdsChannel;

// b = 0, a = the log odds of missing; y and tau where it applies become those of knowing nothing.
void channel_start(LdsChannel *c, int64_t cells);
// The M step of a, b and xi, from a smoothed path; then y and tau.
void channel_maximise(LdsChannel *c, const Lds *m, const LdsData *d, const LdsPath *p);
// What the bound has beside the log-likelihood that lds_filter returns with y and tau as they are.
double channel_bound(const LdsChannel *c, const LdsData *d, int F);
// EM of both; afterwards p is smoothed.  Returns the bound, which never falls.
double channel_fit(LdsChannel *c, Lds *m, Arena *a, const LdsData *d, LdsPath *p, int rounds);

#endif
