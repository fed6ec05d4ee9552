// Calibration [D]: few-step samples are a little too narrow (docs/design.md).  After training, samples of validation
// windows are stretched about their mean, in asinh units: x' = m + a (x - m), a the factor that gives the least CRPS.
// The point forecast goes from the base towards the mean head by the share w in 0 .. 1 that gives the least squared
// error: with little data a head learns its training rows by heart.  Every step has an a and a w of its own, from sums
// over the steps next to it; they are part of the run's statistics (LeadStats.spread, head_weight).
#ifndef LEAD_LEAD_CALIBRATE_H
#define LEAD_LEAD_CALIBRATE_H

#include "lead/forecast.h"

// Windows that are drawn at most; by a training that began with other weights, calibrated before; for a first forecast;
// fewer than the last: a = 1.
enum { CALIBRATE_WINDOWS = 128, CALIBRATE_AGAIN = 64, CALIBRATE_QUICK = 32, CALIBRATE_LEAST = 8 };

// If the naive forecast of least CRPS on these windows (traffic/naive.h, fitted on the training rows) is better than
// the network by more than a hundredth, the run forecasts with it (LeadStats.fallback, lead/fallback.h).
typedef struct Calibration {
    bool rival;                  // of another model: its errors were fitted (lead/rival.h), nothing was stretched
    int windows;                 // 0: too few, nothing was changed
    double least, most;          // the factors' range over the steps
    double least_weight, most_weight;      // of w
    const char *naive;           // the best naive forecast
    double naive_crps;
    bool fallback;
    double before, after;        // CRPS in scale s, mean over all flows and steps: a = 1, and the factors chosen
} Calibration;

// Chooses both on evenly spaced windows of the rows val, sets them in r->stats and r->data.  The run has a series
// attached and target residual (else nothing is changed: one step after another feeds samples back).  Errors: those of
// lead_forecast.
// most: windows at most, 1 .. CALIBRATE_WINDOWS; where they are CALIBRATE_QUICK or fewer, it is quick about
// the rest too: factors are a tenth apart in place of a twentieth, and naive forecasts fitted by naive_fit_quick.
Status lead_calibrate(LeadRun *r, TrafficRange val, int most, Calibration *out);

// Draws the first few of these windows and forgets them: before a training, to see what its end calls and takes.
// Returns the share of the windows that were drawn, 0: nothing will be.
double lead_calibrate_rehearse(LeadRun *r, TrafficRange val, int most);

#endif
