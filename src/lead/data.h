// A series on the device, batches of its windows, and the decoding of samples.
//
// Context planes [D] (pixel_condition), all through asinh: the level (u_t - mean_f)/std_f; (u_{t-i} - u_t)/sigma_1f,
// i = 1..H-1; and for each step k, in units of sigma_kf: base_k - u_t, the value one day before t+k minus u_t, and the
// training mean of the slot of t+k minus u_t;  u = s(X).
// With flow_context they are the planes of ref/flow_context.inl instead: also moving averages of each flow with
// half-lives of 1, 4, 24 and 96 h and of its |changes| with 0.25, 2, 12 and 48 h, the spread of the history, the time,
// the matrices of last week, and the means of working days and weekends in place of those of the slots; and those of
// ref/flow_news.inl: moving averages, with half-lives of 1 and 8 h, of the errors that the base made lately one step, a
// quarter of the way and all steps ahead, and the changes of the flow's origin, destination and of the total.  Where
// flow_identity is `statistics`, those of lead_flow_statistics come last, the same at all times.
#ifndef LEAD_LEAD_DATA_H
#define LEAD_LEAD_DATA_H

#include "autograd/traffic.h"
#include "lead/stats.h"

// Between scale s and units of a flow's own spread, (u - mean)/std: [F] each; the mean negative; 1/std.
typedef struct RivalUnits { Tensor *mean, *std, *minus_mean, *per_std; } RivalUnits;

// A series and its statistics, copied to the device once.  Ops alone make batches from them (autograd/traffic.h), so a
// training step reads nothing from the host.  st and cfg belong to the caller and must outlive the LeadData.
typedef struct LeadData {
    const LeadStats *st;
    const LeadConfig *cfg;
    int64_t T;
    WindowParams window;
    Tensor *u, *x;                         // [T,F]: u in scale s; x in kbit/s, with base ridge only, else NULL
    Tensor *seen;                          // [T,F]: 0 where a value was not measured, else 1; NULL: all 1
    Tensor *place, *valid, *week_slot;     // I32 [T]: see ref/window_rows.inl, ref/window_calendar.inl
    Tensor *means;                         // [slots,F]
    Tensor *ewma, *change, *part;          // flow_context only: [T,F EWMA_MAX] twice, [2 per_day,F]
    Tensor *error[ERROR_STEPS];            // .. [T,2F ERROR_AVERAGES] each: moving averages of base_error
    int error_steps;                       // .. of which there are so many
    Tensor *level_now, *give[ERROR_STEPS], *between;   // base_blend only (lead/blend.h): [T,F], [T,F] each, [steps,Kt]
    Tensor *sums, *sums_before, *sums_mean, *node_unit;   // .. [T,2N+1] three times, [2N+1]
    Tensor *level;                         // [2,F]: mean, std
    Tensor *statistics;                    // [F,FLOW_STATISTICS], or NULL
    RivalUnits rival;                      // another model only (lead/rival.h)
    ResidualUnits units;                   // [Kt,F]
    Tensor *trust;                         // [F,Kt], heads only
    Tensor *spread, *head_weight;          // [Kt]; NULL: all 1
    Tensor *coef, *model;                  // ridge only: [D,3,Kt,F,17] of D models; which one after each row, I32 [T],
                                           // with base ridge-online only, else NULL
    Tensor *flowmax, *knot_kbps, *knot_s;  // the scale's tables
} LeadData;

// With base ridge-online, fits the ridge again for every day of s, from the rows before it: a batch depends on rows of
// its past alone, but on all of them.
// Copies to the tape's device; tensors live in perm.  Error: a row more than 2^31 slots after the first, long gaps cut.
Status lead_data_new(LeadData *d, Tape *t, Arena *perm, const LeadStats *st, const LeadConfig *cfg,
                     const TrafficSeries *s);

// Copies row numbers at[0..B), each the last row of a history, to the device: I32 [B] in arena a.
Tensor *lead_data_rows(const LeadData *d, Arena *a, const int64_t *at, int64_t B);

// Matrices drawn so far (rollout): the first n of u [R,K,F], in scale s, follow row `at` of each window.
typedef struct LeadPath { int n; Tensor *u; } LeadPath;

// Makes one batch on the tape, of the windows whose last known rows are at, I32 [B].  with_target (training): the next
// Kt rows must exist and be valid; what of them was not measured counts nothing (LeadBatch.seen).  Missing values of
// the past enter as the series has them, filled or estimated.  path: NULL, or R = B.
LeadBatch lead_data_batch(Tape *t, const LeadData *d, Tensor *at, const LeadPath *path, bool with_target);

// A batch to train on, of the windows at, as they would be had each flow f always carried factor_f times its traffic in
// scale s: history, targets, forecasts of the base and their past errors are multiplied; the statistics of the training
// rows and the sums over nodes stay as they are.  Networks so learn not to lean on the levels of the training rows [D].
// factor [F]; NULL: all 1.
LeadBatch lead_data_training_batch(Tape *t, const LeadData *d, Tensor *at, Tensor *factor);

// Such factors, 1 + level_jitter n with n standard normal, held within 0.3 .. 1.7; drawn at the address (seed,
// SITE_LEVEL, step of the tape).  NULL when level_jitter is 0.
Tensor *lead_data_factor(Tape *t, const LeadData *d);

// What the mean head forecasts, head_weight of the way from the base: [B,Kt,F] kbit/s.
Tensor *lead_data_head(Tape *t, const LeadData *d, const LeadBatch *b);

// Decodes samples x [R,N,N,channels], R = B*S (row b*S+s belongs to window b), -> [R,Kt,F] kbit/s.
Tensor *lead_data_decode(Tape *t, const LeadData *d, const LeadBatch *b, Tensor *x);

// Copies the statistics' spread and head_weight to the device, in perm.
void lead_data_set_calibration(LeadData *d, Tape *t, Arena *perm);
// Stretches the S samples of each window about their mean by the statistics' spread.  x as above.
Tensor *lead_data_spread(Tape *t, const LeadData *d, Tensor *x, int S);

// kbit/s -> scale s, and back: [..,F].
Tensor *lead_data_scale(Tape *t, const LeadData *d, Tensor *x);
Tensor *lead_data_volumes(Tape *t, const LeadData *d, Tensor *x);

#endif
