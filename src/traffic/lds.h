// A linear dynamical system of K hidden values with Gaussian noise, for F measured series; all in double:
//   z_t = A z_{t-1} + w,  w ~ N(0, Q);      y_t = C z_t + v,  v ~ N(0, diag R);      z of a first row ~ N(0, P0)
// Rauch, Tung, Striebel 1965 (smoother); Shumway, Stoffer 1982 (EM, values missing).  A row is taken in through the
// information of its known values, so a missing one costs nothing and is nowhere made up.
//
// A missing value may carry information all the same, when high values go missing more often (lds_channel.h): then
// tau > 0 is the precision with which it is known to lie around y, and y ~ N(C z, R) itself remains unknown.
#ifndef LEAD_TRAFFIC_LDS_H
#define LEAD_TRAFFIC_LDS_H

#include <stdint.h>

#include "tensor/arena.h"

enum { LDS_MOST = 16 };      // K

typedef struct Lds {
    int K, F;
    double *A, *Q, *P0;      // [K][K]
    double *C;               // [F][K]
    double *R;               // [F] > 0
} Lds;

typedef struct LdsData {
    int64_t T;
    const double *y;         // [T][F]; NaN: missing
    const double *tau;       // [T][F] INFINITY: measured; else how precisely it is known, 0: not at all.  NULL: y says
    const uint8_t *first;    // [T] 1: the row does not follow the one before; row 0 is one in any case
} LdsData;

// What is known of z: after lds_filter given the rows up to t, after lds_smooth given all.
typedef struct LdsPath {
    double *m, *P;           // [T][K], [T][K][K] mean and covariance of z_t
    double *m_next, *P_next; // the same before row t was looked at
    double *cross;           // [T][K][K] covariance of z_t and z_{t-1}, of lds_smooth; 0 in a first row
} LdsPath;

LdsPath lds_path_new(Arena *a, int K, int64_t T);
Lds lds_new(Arena *a, int K, int F);                 // all zero
// A start for EM: C by a few rounds of least squares (missing = 0) from drawn numbers, z of unit variance.
void lds_start(Lds *m, Arena *a, const LdsData *d, uint64_t seed);

// Returns the log-likelihood of the values that are known.
double lds_filter(const Lds *m, const LdsData *d, LdsPath *p);
void lds_smooth(const Lds *m, const LdsData *d, LdsPath *p);   // after lds_filter

// The M step: A, Q, C, R from a smoothed path.  A series with fewer than 2 K values keeps its C and R.  A and Q, which
// lds_start makes diagonal, stay so: a full A scored the same on traffic.
void lds_maximise(Lds *m, Arena *a, const LdsData *d, const LdsPath *p);
// `rounds` of EM; afterwards p is smoothed.  Returns the log-likelihood of the last filter; it never falls.
double lds_fit(Lds *m, Arena *a, const LdsData *d, LdsPath *p, int rounds);

// Mean and variance of value f of row t, noise included, from a smoothed path.
void lds_value(const Lds *m, const LdsData *d, const LdsPath *p, int64_t t, int f, double *mean, double *variance);

// m [n][n], symmetric and positive definite, is replaced by its inverse; returns the logarithm of its determinant.
double spd_invert(double *m, int n);

#endif
