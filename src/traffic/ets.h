// Exponential smoothing with a damped trend and a daily season, additive (Holt 1957, Winters 1960, Gardner and McKenzie
// 1985; ETS(A,Ad,A) in the names of Hyndman), for each flow on its own:
//   one step ahead, from slot t to t+1:   y = l + phi b + s[slot],   e = x - y
//   l <- l + phi b + alpha e      b <- phi b + alpha beta e      s[slot] <- s[slot] + gamma e
//   h steps ahead:   l + (phi + .. + phi^h) b + s[slot of t+h], at least 0
// A gap of g slots is passed as g steps without an observation, a value that was not measured as one.  It
// begins at the first valid row, with l = x - s, b = 0, and s = the training means of the slots of the day minus their
// mean; with fewer than two days of training rows there is no season (s = 0, gamma = 0).
// alpha, beta, gamma, phi: the least sum of e^2 over the last ETS_SEARCH_ROWS valid training rows, by going through the
// four in turn, each over the grid of ets.c, from alpha 0.5, beta 0, gamma 0.01, phi 0.9, until none changes.
#ifndef LEAD_TRAFFIC_ETS_H
#define LEAD_TRAFFIC_ETS_H

#include "traffic/series.h"

enum { ETS_SEARCH_ROWS = 8192 };
typedef enum EtsParameter { ETS_ALPHA, ETS_BETA, ETS_GAMMA, ETS_PHI, ETS_PARAMETERS } EtsParameter;

typedef struct EtsModel {
    int F, per_day;
    bool season;
    double (*parameter)[ETS_PARAMETERS];   // [F]
    double *start;               // [per_day][F] kbit/s: s at the beginning
    // after row t; -1 = nothing yet
    int64_t t;
    double *level, *trend;       // [F] kbit/s
    double *now;                 // [per_day][F]: s
} EtsModel;

void ets_fit(EtsModel *m, Arena *a, const TrafficSeries *s, TrafficRange train);

// Forecast of the K slots after row t, which is valid -> out [K][F] kbit/s.  Quick when t is above that of the call
// before, else it begins anew at row 0; the result is the same.
void ets_predict(EtsModel *m, const TrafficSeries *s, int64_t t, int K, float *out);

#endif
