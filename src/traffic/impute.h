// Missing values of a series, filled with a mean and quantiles.  Every method looks at both sides of a hole (seasonal:
// at the whole series), so a filled value knows what came later: filling is for looking back, not for forecasts.
//   last         the last value before the hole (at the begin of the series the first one after); its quantiles are
//                those of x_t - x_{t-g} of that flow, g the age of the value to within a factor of 2
//   seasonal     mean of that time of day, of working days or of weekends, with the slots within a quarter of an hour;
//                its quantiles are those of what the flow's known values differ from it by
//   lds          linear dynamical system (lds.h) over y = asinh(x / mean of the flow) - its seasonal mean, K hidden
//                values for all flows, then one (K = 1) for what remains of each flow; EM, then filter and smoother, on
//                windows of rows, each with a margin on both sides
//   lds-dropout  the same with a channel for the fact of missing itself: a hole begins with the probability
//                1 / (1 + exp(-a - b asinh(x / mean))), a and b fitted (lds_channel.h).  Where all flows of a row, or
//                of a node in a row, are missing, a collector was dark: these say nothing about load
// The mean of the last two is that of a normal y.  Their quantiles lie as far from the middle, in computed standard
// deviations, as known values do that are hidden for that: those half a window away from what is missing, which makes
// holes of the same kind, of each flow at most a quarter of what is known; as far as the normal distribution's where
// these are too few.
#ifndef LEAD_TRAFFIC_IMPUTE_H
#define LEAD_TRAFFIC_IMPUTE_H

#include "traffic/naive.h"
#include "traffic/series.h"

typedef enum ImputeMethod {
    IMPUTE_LAST, IMPUTE_SEASONAL, IMPUTE_LDS, IMPUTE_LDS_DROPOUT, IMPUTE_METHODS
} ImputeMethod;
extern const char *const impute_names[IMPUTE_METHODS];

typedef struct ImputeOptions {
    ImputeMethod method;
    int levels;              // quantiles of each value ..
    const double *level;     // [levels] .. at these, in 0.01 .. 0.99
    int hidden, rounds;      // lds: K, rounds of EM
    int64_t window;          // lds: rows
} ImputeOptions;
ImputeOptions impute_defaults(void);      // lds; 19 levels 0.05 .. 0.95

typedef struct Imputation {
    int64_t n;               // values that were filled
    int64_t *cell;           // [n] row * N * N + flow, ascending
    float *mean;             // [n] kbit/s
    float *quantile;         // [n][levels] kbit/s
    int64_t left;            // values of flows that were never measured: nothing is known of them
    double a, b;             // lds-dropout: the channel, mean over the windows
    int windows;             // lds: that had something to fill
} Imputation;

// The series as files have it -> one with a row of NaN for each slot that the file lacks, of gaps of at most `most`
// slots, and NaN where a value is missing or its row was left out; x is new memory.  *rows: those added.
Status impute_open(TrafficSeries *out, Arena *a, const TrafficSeries *s, int64_t most, int64_t *rows);

// x of s: NaN where a value is missing.  Nothing is written to s.
void traffic_impute(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o);

// Writes s with the means in the place of what was filled, as series_file.h says, and of n > 0 values: imputed int64
// [n,3] (row, source, destination), imputed_quantiles float32 [n,levels] kbit/s, imputed_levels float64 [levels].  What
// is left is NaN.  Changes s->x.
Status impute_write(TrafficSeries *s, Arena *a, const char *path, const Imputation *m, const ImputeOptions *o);

// ---- inside src/traffic --------------------------------------------------------------------------------------------

// Where a result goes: cell i gets the mean and the quantiles 0.01 .. 0.99 in z, ascending, which are cut off at 0.
void impute_put(Imputation *out, const ImputeOptions *o, int64_t i, double mean, float z[NAIVE_LEVELS]);

// Means of v over the known values (v not NaN) of the same time of day, by part of the week and with the slots within a
// quarter of an hour; a slot without rows takes the other part's, else the flow's mean, else 0.
// -> [2 slots of a day][F]
double *impute_profile(Arena *a, const TrafficSeries *s, const float *v);
int64_t impute_profile_row(const TrafficSeries *s, int64_t t);     // row of the profile for row t

void impute_lds(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o);

// ---- scores on outages that are made (impute_score.c) --------------------------------------------------------------

typedef enum OutageKind { OUTAGE_CELLS, OUTAGE_NODES, OUTAGE_BLOCKS, OUTAGE_LOAD, OUTAGE_KINDS } OutageKind;
extern const char *const outage_names[OUTAGE_KINDS];

// Hides known values of x [T][N][N], of s, which become NaN; returns how many.
//   cells   2 % of them, each for itself
//   nodes   every two days a node, drawn anew, for an hour to a day: all flows from and to it
//   blocks  every two days everything, for one slot to six hours
//   load    of each flow each hour for itself, with probability 1 / (1 + exp(4.5 - 2 asinh(x / mean))), x the mean of
//           that hour
int64_t impute_hide(float *x, const TrafficSeries *s, OutageKind kind, uint64_t seed);

typedef struct ImputeScore {
    int64_t values;
    double rmse, mae, crps;          // each flow divided by its largest value
    double rmse_kbps;
    double cover50, cover90, seconds;
} ImputeScore;
// Hides, fills, compares with what was hidden.  The method sees none of it.
ImputeScore impute_score(Arena *a, const TrafficSeries *s, const ImputeOptions *o, OutageKind kind, uint64_t seed);

#endif
