// A report to look at: one HTML file that stands alone.  The verbs fill plain structs with what they computed; here it
// is laid out, with numbers that are rounded and in units that read well.  What is NULL has no section.
#ifndef LEAD_REPORT_REPORT_H
#define LEAD_REPORT_REPORT_H

#include "links/whatif.h"
#include "plot/plot.h"
#include "traffic/evaluate.h"

typedef struct ReportData {
    const TrafficSeries *series;
    const char *name;            // of the file
} ReportData;

typedef struct ReportFlow {      // kbit/s
    const char *from, *to;
    double last;                 // measured, in the row that is forecast from
    double mean;                 // of the point forecast over all steps
    double q05, q50, q95;        // of the last step
} ReportFlow;

// What a node sends (way 0) and receives (way 1), kbit/s: as in ReportFlow.
typedef struct ReportNode {
    const char *name;
    struct { double last, mean, q05, q50, q95; } way[2];
} ReportNode;

typedef struct ReportForecast {
    const char *model;           // what forecast, in words
    const char *from, *to;       // time of the last known row and of the last step, or "row 12", "step 20"
    int paths, steps, slot_seconds;
    const FanChart *fan;         // [fans], the total first
    int fans;
    int N;
    const char *const *node;     // [N]
    const float *now, *then;     // [N*N] kbit/s: the last row, or NULL; the point forecast of the last step
    const ReportFlow *flow;      // [flows], the largest first
    int flows;
    double share;                // of the forecast traffic that these carry
    const ReportNode *busy;      // [nodes], those with the most forecast traffic first
    int nodes;
} ReportForecast;

typedef struct ReportEval {
    const EvalTable *table;      // after eval_compare
    const char *comment, *basis;
    const char *const *verdict;  // [verdicts], of the models that are not naive
    int verdicts;
} ReportEval;

// The quantile levels of loads and failures, 0.05 .. 0.95.
enum { REPORT_LEVELS = 5, REPORT_MEDIAN = 2, REPORT_HIGH = 4 };
extern const double report_levels[REPORT_LEVELS];

typedef struct ReportLinks {
    const Topology *t;
    const LoadStep *step;        // [steps], with the five levels
    int steps;
    const char *const *time;     // [steps]
    const LoadOptions *o;
    const FanChart *fan;         // [fans] in %: the largest utilisation, then the fullest links
    int fans;
} ReportLinks;

// A link at the step at which its 95 % quantile is the largest.
typedef struct ReportFullest { int link, step; double high; } ReportFullest;
// Every link, the fullest first; high as a share of the capacity (links of unknown capacity come last).
ReportFullest *report_fullest(const ReportLinks *l, Arena *a);

typedef struct ReportFailures {
    const Topology *t;
    const FailureResult *result; // [n], the worst first
    int n, N;
    const LoadOptions *o;
} ReportFailures;

typedef struct ReportAlarm {
    const char *time, *kind, *what;
    double kbps, expected, q05, q95;     // NaN: of a whole matrix
    double score, limit;
} ReportAlarm;

typedef struct ReportAlarms {
    const char *model;
    int64_t judged, raised, skipped;     // rows
    int64_t learnt;
    double rate, reached;
    const char *first, *last;    // times of the rows judged
    const ReportAlarm *alarm;    // [n], the newest first
    int n, found;                // of so many
} ReportAlarms;

typedef struct Report {
    const char *title, *made;    // made: how and when, one line
    const ReportData *data;
    const ReportForecast *forecast;
    const ReportEval *eval;
    const ReportLinks *links;
    const ReportFailures *failures;
    const ReportAlarms *alarms;
    const char *manifest;        // JSON
    const char *note[8];         // what was left out, and why
    int notes;
} Report;

// A section that was left out: part + ": " + why.
void report_note(Report *r, Arena *a, const char *part, const char *why);

// Writes the page, whole or not at all (io/file.h).  Scratch memory comes from a and is given back.
Status report_write(const Report *r, const char *path, Arena *a);

#endif
