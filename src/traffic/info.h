// The report of `lead data info FILE` about a series: shape, span, gaps, zeros, quantiles, autocorrelation, calendar,
// suspicious snapshots, faults of flows and nodes (faults.h).  Statistics leave out invalid snapshots; "off" means
// off-diagonal entries.
#ifndef LEAD_TRAFFIC_INFO_H
#define LEAD_TRAFFIC_INFO_H

#include <stdio.h>

#include "traffic/series.h"

enum { STATS_QUANTILES = 7, STATS_LAGS = 4 };
extern const double stats_levels[STATS_QUANTILES];           // 0.25 0.5 0.75 0.9 0.99 0.999 1
extern const int stats_lag_seconds[STATS_LAGS];              // one slot (0), 1 h, 1 day, 1 week

typedef struct TrafficStats {
    int64_t snapshots;                        // valid ones
    double zero_share_off, zero_share_diag;   // of the entries
    int silent_flows_off;                     // flows that are 0 in every snapshot
    double diag_share;                        // diagonal traffic / all traffic
    double quantile_kbps[STATS_QUANTILES];    // of the off-diagonal entries, at stats_levels
    double total_mean_kbps, total_std_kbps, total_min_kbps, total_max_kbps;   // off-diagonal sum of a snapshot
    // Pearson correlation of the pairs (t, t + lag), found by time: of the total; and the median of the flows'
    // correlations, over the off-diagonal flows that vary.  NaN without pairs.
    double acf_total[STATS_LAGS], acf_flow[STATS_LAGS];
    double top10_share, top_tenth_share;      // share of off-diagonal traffic: the 10 largest flows; the largest tenth
    double weekday_median_kbps[7];            // total, Monday first; NaN for days without data
    double weekend_ratio;                     // mean of the medians of Sat, Sun / mean of those of Mon .. Fri
    double hour_median_kbps[24];
    int hour_of_peak, hour_of_trough;
} TrafficStats;

// Computes the statistics.  Scratch memory comes from a and is given back.
void traffic_stats(TrafficStats *st, Arena *a, const TrafficSeries *s);

// Prints the report as readable text.  It finds suspicious snapshots itself (traffic_suspects_find) and leaves them out
// of the statistics, together with those already invalid; s is not changed.
void traffic_info_print(const TrafficSeries *s, const char *name, Arena *a, FILE *out);

#endif
