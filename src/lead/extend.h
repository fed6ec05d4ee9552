// Forecasts beyond the steps that a run draws [D]: steps K+1 .. H are those of naive forecasts (lead/fallback.h), with
// errors as they were measured that far ahead.  Each step takes the naive forecast that was best that far ahead on rows
// that it was not fitted on: by the CRPS of its deciles over 32 windows, a step taken together with those within a 24th
// of H.  Path i of every naive forecast has the ranks of one past window, the same for all, so a path may change from
// one to another.  The run's paths go on by rank: the one with the i-th largest total of all flows at step K goes on as
// the naive path that has the i-th largest total there, so that a path that is high stays high.
#ifndef LEAD_LEAD_EXTEND_H
#define LEAD_LEAD_EXTEND_H

#include "lead/forecast.h"

typedef struct LeadFar {
    int K, H;                    // steps of the run, wanted steps
    NaiveKind *kind;             // [H]: whose each step is; nothing for the first K
    bool used[NAIVE_KINDS];
    Fallback fit[NAIVE_KINDS];   // of those
} LeadFar;

// Chooses for a run whose series is s the steps r->cfg.horizon + 1 .. H: fits on `fit`, compares on `choose`, later
// rows; then fits the chosen on `rows`.  Where there are too few windows to compare on, all steps are ridge-scale's;
// where `rows` do not suffice for that, persistence's.  Memory lives in a.  Errors: those of fallback_fit.
Status lead_far_fit(LeadFar *far, Arena *a, const LeadRun *r, int H, TrafficRange fit, TrafficRange choose,
                    TrafficRange rows);

// Goes on with the run's forecast after row t: samples [S][K][F] and point [K][F], kbit/s -> long_samples [S][H][F] and
// long_point [H][F].  Scratch memory comes from a.
void lead_far_forecast(LeadFar *far, Arena *a, const LeadRun *r, int64_t t, const float *samples, const float *point,
                       float *long_samples, float *long_point);

// Which steps are whose, for people: "steps 21 .. 130 ridge-scale, 131 .. 288 mean".
const char *lead_far_text(const LeadFar *far, Arena *a);

// The run, with a series attached, and what follows its steps as a forecaster of evaluate().
typedef struct LeadFarRun { LeadRun *run; LeadFar far; } LeadFarRun;
Forecaster lead_far_forecaster(LeadFarRun *f, int batch);

#endif
