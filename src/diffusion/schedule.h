// The noise schedule and the algebra of the diffusion process.  E7.
//   q(x_t | x_0): x_t = sqrt(ab_t) x_0 + sqrt(1 - ab_t) eps,   ab = alpha_bar, t = 1..T; index 0 holds ab = 1.
//   cosine [C]:    ab(t) = f(t)/f(0), f(t) = cos^2(((t/T) + 0.008)/1.008 * pi/2), beta clipped at 0.999
//   linear:        beta from 1e-4 to 0.02 (x 1000/T), DDPM;     scaled-linear: sqrt(beta) linear from 0.00085 to 0.012
#ifndef LEAD_DIFFUSION_SCHEDULE_H
#define LEAD_DIFFUSION_SCHEDULE_H

#include "tensor/arena.h"
#include "tensor/ops.h"

typedef enum ScheduleKind { SCHEDULE_COSINE, SCHEDULE_LINEAR, SCHEDULE_SCALED_LINEAR } ScheduleKind;
typedef enum Prediction { PREDICT_EPS, PREDICT_V, PREDICT_X0 } Prediction;

typedef struct Schedule {
    int T;
    double *ab;      // [T+1], ab[0] = 1, strictly falling to about 0
} Schedule;

// ab lives in arena a.
Schedule schedule_new(Arena *a, ScheduleKind kind, int T);

// Weight of the squared error at time t: min-SNR-gamma (Hang et al. 2023), snr = ab/(1-ab):
//   x0: min(snr, gamma)     eps: min(snr, gamma)/snr     v: min(snr, gamma)/(snr + 1)
// gamma <= 0: 1, no weighting.
double schedule_min_snr(const Schedule *s, Prediction p, int t, double gamma);

#endif
