// Faults of measurement that show in the traffic itself: which flows, in which rows.  Information only: nothing is left
// out for them.  All judge a flow by itself, so a small flow counts as much as a large one; the same fault of several
// flows in the same rows is one.
//
//   normal level  of flow f in row t: the median of f over all rows, times what is usual in the slot of the day, the
//                 median over the days of f / its median on that day, at least a quarter; y = x / normal level.  What
//                 recurs at its hour (a nightly backup of six times the load) is normal.  sigma: 1.4826 x the median
//                 |log y - its median|
//   spike, drop   rows with |log y| of at least log 8 and 6 sigma, up to 3 others between two of them taken along, for
//                 less than half a day.  Up to 2 rows: a counter that was reset or wrapped.  A flow with more than 4 of
//                 them is bursty: none is named
//   level         the median of y over half a day changes at a row by at least a factor of 3 (6, unless it is a unit),
//                 at least 90 % of y on each side lie on their side of the geometric mean of the two, and y itself
//                 jumps there by half that factor (in logarithms).  It lasts until the opposite change, or to the end
//   unit          the level of at least 80 % of the live flows changes in one row by a common factor
//   stuck         the same value above 0 at least 6 times in a row, as often as chance explains less than once in 1000
//                 such series, by how often neighbouring values of the flow are equal and how often it has that value
//   dark          nothing of a node is measured, or all of it is 0, in at least 3 rows of a run, while other nodes
//                 send; only a node that is usually there (in half of the rows)
//   repeated      rows equal to earlier ones, bit for bit, for at least half a day
// The constants were chosen by reason.  A burst of traffic that comes once looks like a fault, and is named as one.  A
// series of less than three days has no normal level: spikes, drops, levels and units are not looked for.
#ifndef LEAD_TRAFFIC_FAULTS_H
#define LEAD_TRAFFIC_FAULTS_H

#include "traffic/series.h"

typedef enum FaultKind {
    FAULT_SPIKE, FAULT_DROP, FAULT_LEVEL, FAULT_UNIT, FAULT_STUCK, FAULT_DARK, FAULT_REPEATED, FAULT_KINDS
} FaultKind;
extern const char *const fault_names[FAULT_KINDS];

typedef struct TrafficFault {
    FaultKind kind;
    TrafficRange rows;
    int flows;                   // how many have it in these rows; 0: whole rows
    int flow;                    // the first of them
    int node;                    // FAULT_DARK; else the node that all of them belong to, -1: none
    double factor;               // of the normal level (drop, spike: the first row's; level, unit: after / before)
    int64_t from;                // FAULT_REPEATED: the first of the rows that are repeated
} TrafficFault;

// Finds them, by kind and row.  Returns their number; the result lives in a.
int64_t traffic_faults_find(const TrafficSeries *s, Arena *a, TrafficFault **out);

// Who has it and what it is, in words: "flow a:b: 28.5 x its normal level".
const char *traffic_fault_text(const TrafficSeries *s, const TrafficFault *f, Arena *a);

// One line each; at most `most` of a kind.
void traffic_faults_print(const TrafficSeries *s, const TrafficFault *fault, int64_t n, int64_t most, FILE *out);

#endif
