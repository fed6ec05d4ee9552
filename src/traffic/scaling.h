// E1: volume (kbit/s) <-> scale s, monotone and invertible, fitted from the rows of the training split only.
//   max       s = x / max over all flows
//   flowmax   s = x / max of that flow; a flow silent in training uses the median of the other maxima
//   log       s = log(1 + x/c) / log(1 + max/c), c = median positive training volume
//   quantile  piecewise linear through the 0/256 .. 256/256 quantiles of the positive training volumes of all flows
//             (equal quantiles are merged) and through (0, 0)
// s(0) = 0 exactly; the training maximum has s = 1; larger volumes continue beyond 1 (quantile: on the last segment's
// line), so nothing is clipped on the way in.  On the way back s < 0 gives 0, and the result is at most FLT_MAX.
// Computed in double, stored in float: a round trip keeps x to about 1e-6 of max(x, the local size of a float step of
// s).  Near s = 1 the kind quantile resolves steps of 2^-24 of the last segment's length times 256.
// Model scale (E2, E7) is 2 s - 1.
//
// Slot means for E2: m[slot][f] = training mean of s(x) in that slot of the week, where the training split holds at
// least 14 days of valid snapshots, else of the day.  A slot of the week never seen takes the mean of its slot of the
// day; a slot of the day never seen takes the flow's mean.
#ifndef LEAD_TRAFFIC_SCALING_H
#define LEAD_TRAFFIC_SCALING_H

#include "tensor/traffic_ops.h"
#include "traffic/series.h"

extern const char *const scale_kind_names[SCALE_KINDS];       // "max", "flowmax", "log", "quantile"
Status scale_kind_parse(ScaleKind *kind, const char *name);

typedef struct TrafficScale {
    ScaleKind kind;
    int F;                   // flows
    float max_kbps;          // training maximum over all flows, > 0
    float c_kbps;            // log: c, > 0
    float *flowmax_kbps;     // [F] > 0 (silent flows: see above)
    int n_knots;             // quantile
    float *knot_kbps;        // [n_knots] strictly increasing, first 0
    float *knot_s;           // [n_knots] strictly increasing, 0 .. 1
} TrafficScale;

// Fits from the valid rows of `rows` only.  Error: no valid row, or no traffic at all in them.
Status scale_fit(TrafficScale *k, Arena *a, const TrafficSeries *s, TrafficRange rows, ScaleKind kind);

TrafficScaleParams scale_params(const TrafficScale *k, bool inverse);            // for op traffic_scale
float scale_forward_flow(const TrafficScale *k, int flow, float x_kbps);
float scale_inverse_flow(const TrafficScale *k, int flow, float scaled);
void scale_forward(const TrafficScale *k, const float *x_kbps, float *scaled);   // [F] -> [F]

// The whole scale as one flat array of floats (for checkpoints): pack fills scale_pack_size(k) values.
int64_t scale_pack_size(const TrafficScale *k);
void scale_pack(const TrafficScale *k, float *out);
// Error (naming `from`): too short, unknown kind, sizes or values that no fitted scale has.
Status scale_unpack(TrafficScale *k, Arena *a, const float *in, int64_t n, const char *from);

typedef struct SlotMeans {
    int F, per_day, n_slots;     // n_slots = per_day or 7 * per_day
    float *mean;                 // [n_slots][F], in scale s
} SlotMeans;

void slot_means_fit(SlotMeans *m, Arena *a, const TrafficSeries *s, TrafficRange rows, const TrafficScale *k);
// The means m_tau [F] of the slot that lies `ahead` slots after row t.
const float *slot_means_at(const SlotMeans *m, const TrafficSeries *s, int64_t t, int64_t ahead);
int64_t slot_means_pack_size(const SlotMeans *m);
void slot_means_pack(const SlotMeans *m, float *out);
Status slot_means_unpack(SlotMeans *m, Arena *a, const float *in, int64_t n, const char *from);

// Means of the slots of a working day, then of a day of the weekend, each taken with those that begin within a quarter
// of an hour of it, around the clock -> [2 per_day][F] in scale s (k NULL: of x itself; NaN is missing).  A slot
// without rows takes the mean of the same slot of the other part of the week; where that has none either, the flow's
// mean.
float *part_means_fit(Arena *a, const TrafficSeries *s, TrafficRange rows, const TrafficScale *k);

#endif
