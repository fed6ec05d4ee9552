// lead estimate --model: traffic matrices drawn from a conditional forecast such that their link loads are those that
// were measured (links/estimate.h).  What the forecast is conditioned on is known: either matrices up to `lag` rows
// before the one that is estimated, or matrices up to some moment, and from then on what was estimated itself.
#ifndef LEAD_CLI_GUIDED_H
#define LEAD_CLI_GUIDED_H

#include "cli/run.h"
#include "lead/fallback.h"
#include "links/estimate.h"

typedef struct Guided {
    Cli *cli;
    const char *name;            // "lead", "gru", "ridge"
    const Measurement *m;
    const double *mean, *least;  // [F] kbit/s: the mean matrix of the known rows; no guess is below least
    LeadRun *run;                // NULL: a naive forecast
    Fallback naive;
    int S, K, history;
    int64_t F;
} Guided;

// Opens what o->model names for the series s, which the run may bring into its own order of nodes; g->m is left to the
// caller.  known: the rows whose matrices are known.  wanted: LEAD_BEST where rows after these are scored.  Errors:
// those of the run; options that a naive forecast has no use for; a run that was fitted on rows after `known`, where
// these are scored.
Status guided_open(Guided *g, Cli *cli, const RunOptions *o, TrafficSeries *s, TrafficRange known, LeadWanted wanted);

// The mean matrix of the valid rows of a range -> mean [F].
void guided_mean(const TrafficSeries *s, TrafficRange rows, double *mean);

// What comes out, for n rows: the estimates and the point forecasts before they were moved, [n][F] kbit/s; what is left
// of the loads (as estimate_fit); paths [S][n][F], every draw moved to the loads, or NULL.
typedef struct GuidedOut {
    float *estimate, *forecast, *paths;
    double left;
    int64_t n, unforecast;       // rows without the history that a forecast wants: the mean matrix, moved to the loads
} GuidedOut;

// Rows of s whose loads are computed from s itself, each forecast from the row `lag` slots before (1 .. g->K).  Every
// row must be there and have its history (guided_can).
Status guided_lagged(Guided *g, const TrafficSeries *s, const int64_t *row, int64_t n, int lag, GuidedOut *out);
bool guided_can(const Guided *g, const TrafficSeries *s, int64_t row, int lag);

// The rows from `begin` to the end of w, one block of g->K after the other; y [w->T - begin][m->rows] kbit/s.  w->x is
// overwritten by the estimates there, and rows that are not valid are passed over.
Status guided_walk(Guided *g, TrafficSeries *w, int64_t begin, const double *y, GuidedOut *out);

#endif
