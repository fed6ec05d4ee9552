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
//   lead         forecasts from both sides (cli/impute_lead.h), joined
// The mean of the last three is that of a normal y.  Their quantiles lie as far from the middle, in computed standard
// deviations, as known values do that are hidden for that: those half a window away from what is missing, which makes
// holes of the same kind, of each flow at most a quarter of what is known; as far as the normal distribution's where
// these are too few.
#ifndef LEAD_TRAFFIC_IMPUTE_H
#define LEAD_TRAFFIC_IMPUTE_H

#include "traffic/naive.h"
#include "traffic/series.h"

typedef enum ImputeMethod {
    IMPUTE_LAST, IMPUTE_SEASONAL, IMPUTE_LDS, IMPUTE_LDS_DROPOUT, IMPUTE_LEAD, IMPUTE_METHODS
} ImputeMethod;
extern const char *const impute_names[IMPUTE_METHODS];

struct Imputation;
struct ImputeOptions;
typedef Status ImputeLead(struct Imputation *out, Arena *a, const TrafficSeries *s, const struct ImputeOptions *o);

typedef struct ImputeOptions {
    ImputeMethod method;
    int levels;              // quantiles of each value ..
    const double *level;     // [levels] .. at these, in 0.01 .. 0.99
    int hidden, rounds;      // lds: K, rounds of EM
    int64_t window;          // lds: rows
    ImputeLead *lead;        // lead: fills out->mean and out->quantile, by impute_put ..
    void *lead_arg;          // .. and finds here what it needs
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
// Errors: those of o->lead.
Status traffic_impute(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o);

// Writes s with the means in the place of what was filled, as series_file.h says, and of n > 0 values: imputed int64
// [n,3] (row, source, destination), imputed_quantiles float32 [n,levels] kbit/s, imputed_levels float64 [levels].  What
// is left is NaN.  Changes s->x.
Status impute_write(TrafficSeries *s, Arena *a, const char *path, const Imputation *m, const ImputeOptions *o);

// ---- inside src/traffic --------------------------------------------------------------------------------------------

// Where a result goes: cell i gets the mean and the quantiles 0.01 .. 0.99 in z, ascending, which are cut off at 0.
void impute_put(Imputation *out, const ImputeOptions *o, int64_t i, double mean, float z[NAIVE_LEVELS]);

// Means of v [T][F] over the known values (v not NaN) of the same time of day, by part of the week: part_means_fit.
// -> [2 slots of a day][F]
float *impute_profile(Arena *a, const TrafficSeries *s, const float *v);
int64_t impute_profile_row(const TrafficSeries *s, int64_t t);     // row of the profile for row t

// The units y of flow f, asinh(x / scale_f), in which errors are much like normal ones.
typedef struct ImputeUnits {
    int64_t F;
    double *scale, *most;    // [F] mean of the known values (1: none above 0); y of the largest value that is allowed
    const float *profile;    // [2 slots of a day][F] seasonal mean of y
    double *spread;          // [F] standard deviation around it
} ImputeUnits;
ImputeUnits impute_units(Arena *a, const TrafficSeries *s);
double impute_unit(const ImputeUnits *u, float x, int64_t f);

// Quantiles 0.01 .. 0.99 in standard deviations: of the normal distribution; and of the n errors z of hidden values, on
// both sides alike: few outages tell how wide a band must be, but not where its middle is.  z has room for 2 n.  Where
// these are too few, the normal ones.
typedef struct ImputeBands { float normal[NAIVE_LEVELS], wide[NAIVE_LEVELS]; } ImputeBands;
ImputeBands impute_bands(float *z, int64_t n);
// Cell i gets the mean of a normal y, and the quantiles of the bands.
void impute_put_unit(Imputation *out, const ImputeOptions *o, const ImputeUnits *u, int64_t i, double y,
                     double deviation, const ImputeBands *bands);

// The series s (NaN: missing) as forecasts see it: missing values estimated from what comes before.  back: run
// backwards, so that time of day and part of the week are those of the rows, and working days stay working days
// (without times, its calendar begins on Monday 00:00 like any other).  Errors: those of traffic_series_init.
Status impute_side(TrafficSeries *out, Arena *a, const TrafficSeries *s, bool back);

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
// Hides, fills, compares with what was hidden.  The method sees none of it.  Errors: those of traffic_impute.
Status impute_score(ImputeScore *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o, OutageKind kind,
                    uint64_t seed);

#endif
