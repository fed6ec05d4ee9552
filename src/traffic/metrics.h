// E9: forecast errors, accumulated value by value in double and always in the same order (callers merge the sums of
// single windows in window order), so results do not depend on the number of threads.  y = truth, p = point forecast.
//   mse, rmse, mae   over all flows and windows of one horizon
//   mae_median       the same with the median of the distribution as the forecast (the best one for this error)
//   mape             mean |p - y| / y over values with y > mape_above, in percent
//   nrmse            rmse / mean |y|        (the definition of GluonTS)
//   r2               1 - sum (p-y)^2 / sum (y - mean y)^2, the mean taken over all flows and windows of that horizon
// Distributions come as S ascending values z_1..z_S per flow, of one of three kinds:
//   DIST_SAMPLES   S exchangeable draws (diffusion)
//   DIST_PAIRS     S/2 independent antithetic pairs of draws: the two of a pair mirror each other about the median
//   DIST_LEVELS    quantiles at the levels i/(S+1) (naive forecasts)
//   crps           samples: the fair estimator  1/S sum |z_i - y| - 1/(S(S-1)) sum_{i<j} (z_j - z_i), unbiased in S
//                  (Ferro 2014); pairs: the second sum leaves out the difference within each pair and is divided by
//                  S(S-2), unbiased too; levels: the mean over the S levels of 2 rho_level(y - z), which is the same
//                  as the formula with S(S+1) in the denominator
//   crps_ensemble  samples: the same with S*S in the denominator: the CRPS of the step function itself (properscoring);
//                  levels: equal to crps
//   crps_quantile  as CSDI and GluonTS print: levels q = 0.05 .. 0.95, mean over q of
//                  sum 2 |(z_q - y)(1[y <= z_q] - q)| / sum |y|; z_q by linear interpolation as numpy does (type 7) for
//                  samples; a ratio, not a volume
//   cover50/90     share of y inside [z_0.25, z_0.75], [z_0.05, z_0.95], ends included.  Quantiles are at position
//                  q(S+1) (type 6), with which S draws from the truth cover exactly 50 % and 90 % on average; for pairs
//                  at q(S+2) below the median and its mirror image above, which does the same for draws that mirror
//                  each other.  A flow silent in both truth and forecast counts as covered.
//   energy         1/S sum ||z_i - y|| - 1/(S(S-1)) sum_{i<j} ||z_i - z_j|| over whole matrices (fair), samples only;
//                  pairs: as for crps
// A truth that was not measured (series.h) is in none of them.  A matrix with such values counts in the energy score
// without them; a sum that would hold one is not scored.
// A metric that was never accumulated is NaN, never 0.  NaN in a forecast makes its metrics NaN.
//
// Beside them, in the scaled space, scores that a few large or silent flows cannot decide:
//   live           a flow that is above 0 in at least half of the scored rows and in some fitted row (where they are
//                  known).  Silence is covered by every interval, so the others say nothing about coverage, and the
//                  RMSE of a flow that seldom speaks is that of a few values
//   rmse_clipped   root mean of min(|p - y|, 0.2)^2 over all flows and windows: bursts count, but not by their size
//   ratio          geometric mean over the live flows of RMSE / RMSE of the reference (ridge), of those where both are
//                  above 0: every flow counts alike, a tenth gained as much as a tenth lost
//   improved       share of the live flows whose RMSE is below the reference's
//   cover50_live, cover90_live   coverage of the live flows alone
//   gain           of RMSE and CRPS: the per cent by which a model's is below the best naive forecast's, with its 95 %
//                  day-block bootstrap interval.  Windows of one day are not independent, so whole days are drawn: 2000
//                  times as many days as there are, with replacement, the same days for all models and horizons; the
//                  interval runs from the 50th to the 1951st of the 2000 sorted gains (Kunsch 1989; percentile method).
//                  One day has none: NaN.  Few days make it too narrow
#ifndef LEAD_TRAFFIC_METRICS_H
#define LEAD_TRAFFIC_METRICS_H

#include <stdbool.h>
#include <stdint.h>

enum { METRIC_QUANTILES = 19 };

typedef enum DistKind { DIST_NONE, DIST_SAMPLES, DIST_PAIRS, DIST_LEVELS } DistKind;

// The contribution of one value.  crps, ql and the errors are homogeneous, so a linear change of unit multiplies them.
typedef struct MetricTerms {
    double y, error, median_error;      // error = p - y
    double crps, crps_ensemble, ql;     // ql = mean over q of 2 |...|
    bool in50, in90;
} MetricTerms;

// y = truth, p = point forecast.  z [S] ascending (ignored for DIST_NONE).  within: for DIST_PAIRS the sum over the
// pairs of |difference|; else ignored.
MetricTerms metric_terms(float y, float p, const float *z, int S, DistKind kind, double within);

// The crps of these alone: the same bits in a tenth of the time.
double metric_crps(float y, const float *z, int S, DistKind kind, double within);

// Quantile q of z [S] ascending: linear between neighbours, clamped.  Position from 0: type 6 q(S+1)-1; type 7 q(S-1);
// QUANTILE_PAIRS q(S+2)-1 in the lower half, S-(1-q)(S+2) in the upper, a straight line between; the median is the mean
// of the two values in the middle.
enum { QUANTILE_PAIRS = 0 };
double metric_quantile(const float *z, int S, double q, int type);
// The type whose intervals cover as much as they state: QUANTILE_PAIRS for DIST_PAIRS, else 6.
int metric_quantile_type(DistKind kind);

// Sum over the pairs z[2 i], z[2 i + 1] of |difference|, of values that are not sorted yet.
double metric_within_pairs(const float *z, int S);

typedef struct MetricSums {
    int64_t values, windows, ape_values, dist_values, energy_windows;
    double se, ae, ae_median, ape, y, y_abs, y2, crps, crps_ensemble, ql, in50, in90, energy;
} MetricSums;

// Adds one value: terms times unit (scaled values per kbit/s; 1 in kbit/s).  mape_above is in the unit of the sums.
void metric_sums_add(MetricSums *m, const MetricTerms *v, double unit, double mape_above, DistKind kind);
void metric_sums_merge(MetricSums *into, const MetricSums *from);

// Energy score of one window and horizon: sample s is the F values at z + s*stride, y [F].  pairs: samples 2 i and
// 2 i + 1 are antithetic.
double metric_energy(const float *y, const float *z, int S, int64_t stride, int F, bool pairs);

typedef struct MetricResult {
    int64_t windows, values;
    double mse, rmse, mae, mae_median, mape, nrmse, r2, crps, crps_ensemble, crps_quantile, cover50, cover90, energy;
} MetricResult;

MetricResult metric_sums_result(const MetricSums *m);

// ---- beside RMSE and CRPS

#define METRIC_CLIP 0.2
enum { METRIC_RESAMPLES = 2000 };

// Scaled sums of one flow over all windows, of n values; of all windows and flows of one day.
typedef struct MetricFlow { double se, se_clipped, crps; int64_t n, in50, in90; } MetricFlow;
typedef struct MetricDay { double se, crps; } MetricDay;
typedef struct MetricGain { double value, low, high; } MetricGain;   // per cent; above 0 is better

typedef struct MetricBeside {
    double rmse_clipped, ratio, improved, cover50_live, cover90_live;
    MetricGain rmse, crps;
} MetricBeside;

// Adds one value: terms times unit, as metric_sums_add does.
void metric_flow_add(MetricFlow *m, const MetricTerms *v, double unit);
void metric_flow_merge(MetricFlow *into, const MetricFlow *from);

// Everything but the gains of m [F] beside ref [F] (NULL: no ratio).  live [F].  distribution: false for point
// forecasts, which cover nothing.
MetricBeside metric_beside(const MetricFlow *m, const MetricFlow *ref, const uint8_t *live, int F, bool distribution);

// How often resample r draws each of n days -> draws [METRIC_RESAMPLES][n].
void metric_draw_days(uint16_t *draws, int n);
// Gains of m [n] over ref [n], sums of the same windows on n days; draws from metric_draw_days.  distribution: false
// when one of the two has none.
void metric_gains(MetricBeside *out, const MetricDay *m, const MetricDay *ref, const uint16_t *draws, int n,
                  bool distribution);

#endif
