// Synthetic traffic that looks like a backbone's: for tests, the demo, and users who have no data of their own.
//   x_ij(t) = level_ij * exp(d_i(t) + e_ij(t) + w(t) + g(t) + n_i(t) + v_ij(t)) + bursts_ij(t)
//           0 while i or j is out of order
//   level   gravity with affinities: flows are ranked by z_i + z'_j + 0.7 z_ij (all normal) and take levels from a
//           fixed curve of the rank, so the sizes of the flows do not depend on the seed, only who has them; the
//           diagonal is ranked on its own and carries 18.6 % of all traffic
//   d, e, w a daily wave per origin (peak about 19 h), one per flow with a phase of its own, a weekend at 3/4
//   g, n, v sums of AR(1) processes common to all, of the origin, of the flow, with memories of 20 days, 5 h, 40 min,
//           0: lognormal noise with temporal correlation
//   bursts  Poisson starts, one per flow and four weeks; Pareto heights (2 times the level and up, at most the mean
//           total), exponential ends (mean 2 h)
//   outages of a node: Poisson, one per node and 90 days, 10 .. 25 slots
// Volumes below 0.01 kbit/s times the mean flow in Mbit/s are 0, as small flows are in sampled measurements.
//
// Fitted by hand to the published statistics of Abilene (shared/data/abilene/META.txt).  What the default options give
// (8 weeks of 5-minute slots, 12 nodes) over seeds 1..5, and what the test allows for each seed:
//                                                          Abilene             synthetic, seeds 1..5         allowed
//   entry quantiles p25 p75 p90 p99 over p50               .135 2.93 6.31 18.2 .16-.19 3.0-3.4 6.7-7.6 21-27 factor 1.6
//   autocorrelation of the total, 1 slot 1 h 1 day 1 week  .95 .79 .39 .41     .95-.96 .75-.83 .26-.43 .27-.56  +- .20
//   the same, median over the flows                        .93 .76 .46 .34     .94-.95 .75-.77 .39-.42 .26-.33  +- .10
//   share of the 10 largest flows, the largest tenth       .36 .42             .33-.39 .40-.45                  +- .06
//   diagonal share                                         .186                .17-.23                          +- .06
//   weekend over weekday                                   .75                 .71-.77                          +- .06
// Not matched: Abilene has 5 % zeros (here 0.1 %), and silent columns for weeks.
//
// Random numbers are Philox at site SITE_SYNTH; exp, log, sin are computed here and in philox.h from + - * / sqrt only,
// so the same options give the same bits on every IEEE machine (built without contraction or fast-math).
#ifndef LEAD_TRAFFIC_SYNTH_H
#define LEAD_TRAFFIC_SYNTH_H

#include "traffic/series.h"

// How the traffic behaves, as multiples of the default's.
typedef struct SynthTraits {
    double wave, weekend;        // the daily waves; the logarithm of the weekend's factor
    double noise, fast, memory;  // all noise; beside it, that with memories of 40 min and 0; all memories
    double bursts, tail;         // how often; the power of their heights' tail (> 0)
    double outages;              // how often
    double shifts;               // moments per flow and 90 days at which its level is drawn anew: times exp(0.5 n)  (0)
    double silent;               // share of the flows that carry nothing but bursts                                 (0)
} SynthTraits;

typedef struct SynthOptions {
    int N;                       // nodes, >= 2                                  (default 12)
    int64_t T;                   // snapshots, >= 2                              (8 weeks: 16128)
    int slot_seconds;            // divides a day                                (300)
    uint64_t seed;               //                                              (1)
    int64_t start_s;             // Unix seconds of the first slot               (2024-01-01 00:00, a Monday)
    double mean_flow_kbps;       // mean of an off-diagonal flow without bursts  (21500)
    SynthTraits traits;          //                                              (1, but shifts and silent 0)
} SynthOptions;

SynthOptions synth_defaults(void);

// One of many kinds of network, by its seed: 4 .. 24 nodes, in one of eight 32 or 48; slots of 1 min .. 1 h; 3 days ..
// 10 weeks, at most 1.2 million values; mean flows of 1 kbit/s .. 1 Gbit/s; every trait a fraction or a multiple
// of the default's.
SynthOptions synth_variety(uint64_t seed);
// Errors: options outside their range.
Status synth_generate(TrafficSeries *s, Arena *a, const SynthOptions *o);

#endif
