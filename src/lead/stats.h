// Statistics of the training split (E1, E2, E7): they turn traffic into the network's inputs and targets, and samples
// back into traffic.
//
// Target `level`: the images of the next matrices, channel k*C + c.
// Target `residual` [D]: the change from a cheap forecast base_k (last matrix, ridge or ridge refitted daily), in units
// that suit each flow f and step k:
//   z = (s(X_{t+k}) - s(base_k)) / sigma_kf,   x_kf = asinh(z) / gamma_kf
// sigma = mean |s(X) - s(base)| and gamma = root mean square of asinh(z) over training windows, so that every pixel of
// every channel has about unit variance although traffic is heavy-tailed; asinh is linear for small changes and
// logarithmic for large ones.  Decoding clamps x to the range seen in training, widened by a tenth, then inverts.
#ifndef LEAD_LEAD_STATS_H
#define LEAD_LEAD_STATS_H

#include "lead/model.h"
#include "nn/checkpoint.h"
#include "traffic/encode.h"
#include "traffic/naive.h"
#include "traffic/ridge_online.h"
#include "traffic/series.h"

typedef struct LeadStats {
    int N, F, per_day, slot_seconds, Kt;   // Kt: steps that the network draws at once: horizon, or 1 with rollout
    TrafficScale scale;
    SlotMeans means;
    EncodeGains gains;
    RidgeModel ridge;                      // target residual with a ridge base only, else coef = NULL
    float *part_means;                     // [2 per_day][F], flow_context only, else NULL (traffic/scaling.h)
    float *node_unit;                      // [2 N + 1] kbit/s: mean |change| of what each node sends, receives, and of
                                           // the total; flow_context only, else NULL
    float *mean, *std;                     // [F] of u over training rows
    float *sigma, *gamma, *low, *high;     // [Kt][F]
    float *trust;                          // [F][Kt], heads only: see LeadBatch (lead/model.h)
    float *spread;                         // [Kt] samples are stretched about their mean by it (lead/calibrate.h)
    float *fallback;                       // [1] 0; or 1 + the NaiveKind whose forecast is used (lead/fallback.h)
    float *rival;                          // [lead_rival_stats_size] how another model errs (lead/rival.h); else NULL
    float *head_weight;                    // [Kt] the point forecast goes so far from the base towards the mean head
} LeadStats;

// Fits everything from the training rows only; with base ridge-online the residuals are those of the daily fits.
// Errors: too few windows, no traffic.
Status lead_stats_fit(LeadStats *st, Arena *a, const TrafficSeries *s, TrafficRange train, const LeadConfig *cfg);

enum { STATS_MAX_ARRAYS = 16 };
// Packs the statistics as arrays of a checkpoint (in arena a); returns their number.  Unpacks them again.
// Errors: an array is missing, or has a size or value that no fit gives.
int lead_stats_pack(const LeadStats *st, Arena *a, StatArray out[STATS_MAX_ARRAYS]);
Status lead_stats_unpack(LeadStats *st, Arena *a, const SafeFile *f, const LeadConfig *cfg);
// The last part of that: sizes agree with one another and with cfg, every value is one that a fit can give.
Status lead_stats_check(const LeadStats *st, const LeadConfig *cfg, const char *path);

// The sizes of the networks for these statistics and this configuration.
LeadShape lead_stats_shape(const LeadStats *st, const LeadConfig *cfg);

// What tells a flow from others where flow_identity is `statistics`: asinh(mean/std), log(sigma_1/std),
// log(sigma_K/sigma_1), log gamma_1, log gamma_K, log(slot/300 s), each within -6 .. 6 -> out [F][FLOW_STATISTICS]
enum { FLOW_STATISTICS = 6 };
void lead_flow_statistics(const LeadStats *st, float *out);

// Steps ahead whose errors of the base flow_context looks at: the first, a quarter of the way, the last of Kt.
// Returns their number.
enum { ERROR_STEPS = 3, ERROR_AVERAGES = 2 };
int lead_error_steps(int Kt, int steps[ERROR_STEPS]);

// Whether the ridge forecast is the base: with target `residual` only; otherwise the base is the last matrix.
static inline bool lead_uses_ridge(const LeadConfig *cfg)
{
    return cfg->base != BASE_LAST && cfg->target == TARGET_RESIDUAL;
}

// Whether that forecast is fitted again for every day (traffic/ridge_online.h).
static inline bool lead_refits_ridge(const LeadConfig *cfg)
{
    return cfg->base == BASE_RIDGE_ONLINE && cfg->target == TARGET_RESIDUAL;
}

// The daily fits for the rows `wanted` of a series.  Forecasts from days before the first fit use st->ridge.
void lead_ridge_online(RidgeOnline *m, Arena *a, const TrafficSeries *s, TrafficRange wanted, const LeadStats *st,
                       const LeadConfig *cfg);

#endif
