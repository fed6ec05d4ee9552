// Where rivals (src/rivals) meet the data: inputs, targets and losses of a batch, and forecasts with a distribution.
//
// Units.  Inputs: x = (u - mean_f)/std_f of the training rows, u in scale s, held within -30 .. 30.  Target residual:
// z of E7, (u_{t+k} - ridge_k)/sigma_kf within -30 .. 30; the forecast is decoded as LEAD's mean head is.  Target
// levels: (u_{t+k} - mean_f)/std_f within -30 .. 30.
//
// Distribution.  A rival names one value.  Around it lies the distribution of its errors on the validation rows, in
// units of a conditional scale: the regression of ridge-scale (traffic/conditional.h), fitted to the rival's errors r
// instead of ridge's, gives sigma [K,F] for every forecast, and z = r/sigma.  Sample path i takes the z of all flows
// and steps of one validation window, drawn at random:  max(0, forecast + sigma z).  A path so keeps the dependence
// between flows and steps of errors that happened.  Where the truth of a window was not measured, z is that of the
// window kept before it.
// All rows are those that ridge-scale sees too; what differs between two rivals' CRPS is their point forecasts.
#ifndef LEAD_LEAD_RIVAL_H
#define LEAD_LEAD_RIVAL_H

#include "lead/forecast.h"

// RIVAL_FIT: validation windows that the conditional scale is fitted on; RIVAL_KEPT: of which z is kept.
enum { RIVAL_FIT = 1024, RIVAL_KEPT = 128, RIVAL_LEAST = 8 };

// ---- the network.  m->cfg and m->shape are set.
Status lead_rival_new(LeadModel *m, Arena *scratch);
RivalUnits lead_rival_units(Tape *t, Arena *perm, const LeadStats *st);
// at I32 [B], rows I32 [B,W] of the windows; b holds window, base (and seen).
RivalInput lead_rival_input(Tape *t, const LeadData *d, Tensor *at, Tensor *rows, const LeadBatch *b);
// The next K matrices of window [B,W,F] as targets: [B,F,K].
Tensor *lead_rival_levels(Tape *t, const LeadData *d, Tensor *window);
// y [B,F,K], in units of the target.
Tensor *lead_rival_output(Tape *t, const LeadModel *m, const LeadBatch *b);
Tensor *lead_rival_loss(Tape *t, const LeadModel *m, const LeadBatch *b);

// ---- its errors: one array of the statistics.  All 0 before lead_rival_calibrate.
int64_t lead_rival_stats_size(const LeadStats *st);
Status lead_rival_stats_check(const LeadStats *st, const char *path);
// Error: too few validation windows to know how far it errs.
Status lead_rival_check_windows(const LeadConfig *cfg, int64_t n);
// Rows after which validation forecasts are made, evenly spaced, ascending; at most `most` -> their number.
int lead_rival_windows(const LeadRun *r, TrafficRange val, int64_t *at, int most);
// Fits the scale, keeps the errors, in r->stats.
Status lead_rival_calibrate(LeadRun *r, TrafficRange val);
// Forecasts a few windows and forgets them; the share of the windows that calibration forecasts.
double lead_rival_rehearse(LeadRun *r, TrafficRange val);

// The scale that r->stats hold, in r->perm: forecasts need it from when a series is attached.
void lead_rival_attach(LeadRun *r);
// As lead_forecast; point: what the network says.  Error: the run was never calibrated.
Status lead_rival_forecast(LeadRun *r, const int64_t *t, int n, float *out, float *point);

#endif
