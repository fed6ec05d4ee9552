// From traffic to the network's numbers and back: statistics of the training split (E1, E2, E7), batches, decoding.
//
// Target `level`: the images of the next matrices, channel k*C + c.
// Target `residual` [D]: the change from a cheap forecast base_k (last matrix or ridge), in units that suit each flow f
// and step k:   z = (s(X_{t+k}) - s(base_k)) / sigma_kf,   x_kf = asinh(z) / gamma_kf
// sigma = mean |s(X) - s(base)| and gamma = root mean square of asinh(z) over training windows, so that every pixel of
// every channel has about unit variance although traffic is heavy-tailed; asinh is linear for small and logarithmic for
// large changes.  Decoding clamps x to the range seen in training, widened by a tenth, then inverts.
//
// Context planes [D] (pixel_condition), all through asinh: the level (u_t - mean_f)/std_f; (u_{t-i} - u_t)/sigma_1f,
// i = 1..H-1; and for each step k, in units of sigma_kf: base_k - u_t, the value one day before t+k minus u_t, and the
// training mean of the slot of t+k minus u_t;  u = s(X).
#ifndef LEAD_LEAD_FEATURES_H
#define LEAD_LEAD_FEATURES_H

#include "lead/model.h"
#include "nn/checkpoint.h"
#include "traffic/encode.h"
#include "traffic/ridge.h"
#include "traffic/series.h"

typedef struct LeadStats {
    int N, F, per_day, slot_seconds, Kt;   // Kt: steps that the network draws: horizon, or 1 with rollout
    TrafficScale scale;
    SlotMeans means;
    EncodeGains gains;
    RidgeModel ridge;                      // target residual with base ridge only, else coef = NULL
    float *mean, *std;                     // [F] of u over training rows
    float *sigma, *gamma, *low, *high;     // [Kt][F]
} LeadStats;

// Fits from training rows only.  Errors: too few windows, no traffic.
Status stats_fit(LeadStats *st, Arena *a, const TrafficSeries *s, TrafficRange train, const LeadConfig *cfg);

enum { STATS_MAX_ARRAYS = 16 };
// As arrays of a checkpoint (in arena), and back.
int stats_pack(const LeadStats *st, Arena *a, StatArray out[STATS_MAX_ARRAYS]);
Status stats_unpack(LeadStats *st, Arena *a, const SafeFile *f, const LeadConfig *cfg);

LeadShape stats_shape(const LeadStats *st, const LeadConfig *cfg);

// A moment to forecast from: row t of the series, then n matrices of a path that was drawn already (rollout).
typedef struct Moment {
    int64_t t;
    int n;
    const float *path;                     // [n][F] kbit/s
} Moment;

// One batch of B moments on the tape; with targets (rows t+1..t+Kt must exist, n = 0) when training.
LeadBatch features_batch(Tape *tape, const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s,
                         const Moment *at, int B, bool with_target);

// Decodes R = B*S drawn rows x [R][N][N][channels] (row b*S+s belongs to moment b) -> out [R][Kt][F] kbit/s.
void features_decode(const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, const Moment *at, int B, int S,
                     const float *x, float *out, Arena *scratch);

#endif
