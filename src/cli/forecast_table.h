// A forecast as tables and lines: means and quantiles of flows and of their sums.
//   csv          step,time,origin,destination,mean_kbps,q0.05_kbps,..: one line for each step and flow or sum; a sum
//   over
//                all origins or destinations has * there
//   csv-wide     step,time, then one column of --value for each flow or sum: A>B, A>*, *>B, *>*
//   nixtla       unique_id,ds,lead,lead-lo-90,lead-hi-90,..: levels that belong together make an interval, the median
//   is
//                lead-median, another level lead-q-0.7
//   nixtla-wide  ds, then one column of --value for each unique_id
//   jsonl        one object for each line of csv
// and, of whole matrices in the files of other tools (traffic/formats.h): hist, repetita, paragon, trafficload
#ifndef LEAD_CLI_FORECAST_TABLE_H
#define LEAD_CLI_FORECAST_TABLE_H

#include <stdio.h>

#include "cli/paths.h"

typedef enum ForecastFormat {
    FORECAST_CSV, FORECAST_CSV_WIDE, FORECAST_NIXTLA, FORECAST_NIXTLA_WIDE, FORECAST_JSONL,
    FORECAST_HIST, FORECAST_REPETITA, FORECAST_PARAGON, FORECAST_TRAFFICLOAD, FORECAST_FORMATS
} ForecastFormat;
extern const char *const forecast_formats[FORECAST_FORMATS];

typedef struct ForecastTable {
    const PathsForecast *f;
    PathsGroup group[4];         // what is printed, in this order
    int groups;
    const bool *wanted;          // [N*N] which flows are printed; NULL: all
    const double *q;             // [levels]
    int levels;
    double value;                // of the wide formats and of matrices: a level, or 0 = the point forecast
    bool all_paths;
    int step;                    // from 0
} ForecastTable;

// Prints the steps 1 .. f->steps.  Scratch memory comes from a.
void forecast_table_print(const ForecastTable *t, ForecastFormat format, Arena *a, FILE *out);

// Writes matrices to the file at path, in kbit/s or what the format has instead: of FORECAST_HIST all steps, of
// FORECAST_TRAFFICLOAD the first 24 at most, of the others the step t->step.  Their values are t->value, or all paths,
// one after the other, of FORECAST_HIST with t->all_paths.  Errors: those of the writers.
Status forecast_matrices_write(const ForecastTable *t, ForecastFormat format, Arena *a, const char *path);

// The point forecast (level 0) or quantile of flow or sum i of a group at step k (from 0), kbit/s.  v: work space [S],
// S = paths or NAIVE_LEVELS, whatever is more.
double forecast_table_value(const ForecastTable *t, int k, PathsGroup group, int i, double level, float *v);

// Writes text as a field of CSV: in quotation marks where it needs them.
void csv_put_text(FILE *out, const char *text);

#endif
