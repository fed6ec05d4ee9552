// Somebody else's forecasts, read from a file and scored by the same code: .npy, '<f4' or '<f8', kbit/s, one entry for
// each scored window, in their order (lead eval --windows-out writes them):
//   [windows, K, N, N]       point forecasts
//   [windows, S, K, N, N]    S >= 2 independent sample paths; their mean is the point forecast.  With `levels`: the
//                            quantiles at i/(S+1), i = 1 .. S, ascending; their median is the point forecast
#ifndef LEAD_TRAFFIC_FORECAST_FILE_H
#define LEAD_TRAFFIC_FORECAST_FILE_H

#include "io/npy.h"
#include "traffic/evaluate.h"

typedef struct ForecastFile {
    const char *name;            // of its row
    const char *path;
    const EvalTask *task;
    NpyArray array;
    DistKind kind;
    int S;                       // 0: points
} ForecastFile;

// Reads and checks the file; everything is kept in a, and the task must outlive it.  Errors, which name the file: those
// of npy_read; another shape; a value that is not finite; levels that descend.
Status forecast_file_read(ForecastFile *f, Arena *a, const char *name, const char *path, const EvalTask *task,
                          bool levels);
Forecaster forecast_file_forecaster(ForecastFile *f);

#endif
