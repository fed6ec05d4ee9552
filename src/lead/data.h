// A series on the device, batches of its windows, and decoding of what the network draws.
//
// Context planes [D] (pixel_condition), all through asinh: the level (u_t - mean_f)/std_f; (u_{t-i} - u_t)/sigma_1f,
// i = 1..H-1; and for each step k, in units of sigma_kf: base_k - u_t, the value one day before t+k minus u_t, and the
// training mean of the slot of t+k minus u_t;  u = s(X).
#ifndef LEAD_LEAD_DATA_H
#define LEAD_LEAD_DATA_H

#include "autograd/traffic.h"
#include "lead/stats.h"

// A series and its statistics on the device, put there once: batches are made of them by ops alone
// (autograd/traffic.h), so a training step reads nothing from the host.  The statistics belong to the caller and stay.
typedef struct LeadData {
    const LeadStats *st;
    const LeadConfig *cfg;
    int64_t T;
    WindowParams window;
    Tensor *u, *x;                         // [T,F] in scale s, in kbit/s (base ridge only, else NULL)
    Tensor *place, *valid, *week_slot;     // I32 [T]: see ref/window_rows.inl, ref/window_calendar.inl
    Tensor *means;                         // [slots,F]
    Tensor *level;                         // [2,F]: mean, std
    ResidualUnits units;                   // [Kt,F]
    Tensor *coef;                          // [3,Kt,F,17], ridge only
    Tensor *flowmax, *knot_kbps, *knot_s;  // the scale's tables
} LeadData;

// In perm, on the tape's device.  Errors: time gaps that do not fit.
Status lead_data_new(LeadData *d, Tape *t, Arena *perm, const LeadStats *st, const LeadConfig *cfg,
                     const TrafficSeries *s);

// The rows at[0..B) of the series, each the last of a history, as an index on the device: in arena a.
Tensor *lead_data_rows(const LeadData *d, Arena *a, const int64_t *at, int64_t B);

// Matrices that were drawn already (rollout): n of the rows of u [R,K,F], in scale s, follow row `at` of the series.
typedef struct LeadPath { int n; Tensor *u; } LeadPath;

// One batch of the windows whose last known row is at, I32 [B], on the tape; with targets (the next Kt rows must exist
// and be valid) when training.  path: NULL, or of B rows.
LeadBatch lead_data_batch(Tape *t, const LeadData *d, Tensor *at, const LeadPath *path, bool with_target);

// Decodes R = B*S drawn rows x [R,N,N,channels] (row b*S+s belongs to window b) -> [R,Kt,F] kbit/s.
Tensor *lead_data_decode(Tape *t, const LeadData *d, const LeadBatch *b, Tensor *x);

// kbit/s -> scale s, [..,F].
Tensor *lead_data_scale(Tape *t, const LeadData *d, Tensor *x);

#endif
