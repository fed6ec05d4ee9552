// The naive forecast that a run falls back to when validation says that its network is no better [D]: with some
// hundred rows there is little to learn.  Sample paths of a naive forecast: each takes the ranks that the truth had,
// flow by flow and step by step, in the naive distributions of one past window, and reads the values of these ranks
// from the distribution of now.  So a path keeps the dependence between flows and steps of a past that happened, and
// each value is a draw from the naive row of `lead eval`.
#ifndef LEAD_LEAD_FALLBACK_H
#define LEAD_LEAD_FALLBACK_H

#include "traffic/naive.h"

typedef struct Fallback {
    NaiveModel model;
    TrafficRange rows;           // that it was fitted on; empty: not fitted yet
    int64_t *past;               // [n] last history rows of the windows within rows
    int64_t n;
} Fallback;

// Fits the forecast `kind` on rows of s; memory lives in a.  val: for the choice of the moving average's length.
// Errors: those of naive_fit.
Status fallback_fit(Fallback *f, Arena *a, NaiveKind kind, const TrafficSeries *s, TrafficRange rows, TrafficRange val,
                    int history, int K);
// Forecasts after row t: samples [S][K][F] and point [K][F] (or NULL), kbit/s.  Path i depends on (seed, t, i) alone.
// Scratch memory comes from a.
void fallback_forecast(Fallback *f, Arena *a, const TrafficSeries *s, int64_t t, int S, uint64_t seed, float *samples,
                       float *point);

// Where there are too few rows for any fit.  Half of the paths, at random, are the last valid row at or before t plus
// the changes of all flows since one earlier row, with one sign for all; the others stay at one of the rows: what comes
// may be near the last row or near the usual.  Changes are known over at most half the time that the rows span; beyond,
// a path stays where it is.  point is half the last row and half the mean of the rows.  samples [S][K][F] and point
// [K][F], kbit/s; path i depends on (seed, t, i) alone; scratch memory comes from a.  *last: that row.
// Errors: fewer than 2 valid rows; the last one more than K slots before t, or more than changes are known over.
Status fallback_brief(const TrafficSeries *s, Arena *a, int64_t t, int K, int S, uint64_t seed, float *samples,
                      float *point, int64_t *last);

#endif
