// A trained run, loaded for forecasting (E8): S sample paths of the next K matrices, in kbit/s.
#ifndef LEAD_LEAD_FORECAST_H
#define LEAD_LEAD_FORECAST_H

#include "lead/data.h"
#include "lead/fallback.h"
#include "traffic/evaluate.h"

// How a forecast is cut so that it fits into LeadRun.memory (lead/memory.h): so many windows, and samples of all of
// these, at once.  rows 0: not chosen yet.
typedef struct MemoryFit { int windows; int64_t rows; } MemoryFit;

typedef struct LeadRun {
    LeadConfig cfg;              // as trained; sampling keys may be changed before forecasting
    LeadStats stats;
    LeadModel model;
    ParamSet ps;
    Tape tape;
    LeadSampling sampling;       // recorded as a graph, where the device can record
    Arena *perm;
    LeadData data;               // of the series that lead_run_attach was given
    int64_t step;                // training steps done
    const char *file;            // that it was loaded from
    const char *note;            // of checkpoint_open: for people, or NULL
    bool general;                // .. suits any network; statistics were fitted on `train` (lead/general.h)
    bool final;                  // .. is of the final fit: it has seen all rows of its training data
    const char *manifest, *data_path;      // of the training, from the checkpoint
    const char *nodes, *zone;    // as in LeadRecord
    int calls, teacher_calls;    // as in LeadRecord; with calls > 0 it draws in so many, no more and no fewer
    TrafficRange train, val;     // rows of the training data that the run was fitted and validated on
    const TrafficSeries *series; // that of lead_run_attach
    Fallback fallback;           // fitted when first needed, ..
    Arena *aside;                // .. in an arena of its own, which the caller may delete; NULL: not yet
    Conditional *rival_scale;    // of another model's errors (lead/rival.h)
    size_t memory;               // bytes that forecasting may take; 0: as many as it wants
    MemoryFit fit;               // chosen when first needed
    size_t memory_top[3];        // most bytes that perm, step and scratch held before that
} LeadRun;

// Which weights of a run directory are wanted.
//   LEAD_BEST     best.safetensors, else the checkpoint: fitted on the training rows alone, so it may be scored
//   LEAD_NEWEST   final.safetensors, else as above: to forecast what comes after the data
typedef enum LeadWanted { LEAD_BEST, LEAD_NEWEST } LeadWanted;

// Loads a run: path is its directory, or one file; where that is damaged or missing, its .prev (then the run's note
// says so).  llm: the LLM's directory, if it is not the recorded one; else NULL.
// Errors: no such run; a file that is not a checkpoint; a file of the final fit where LEAD_BEST is wanted; LLM weights
// other than those that the run was trained with.
Status lead_run_load(LeadRun *r, const char *path, LeadWanted wanted, const char *llm, const Device *dev, Arena *perm,
                     Arena *step, Arena *scratch);

// Error: sampling keys that config_check refuses; or a distilled run whose sampling keys are not its own.
Status lead_run_check(const LeadRun *r);

// Sets the series to forecast from, and copies it to the device.  The run keeps s, which stays the caller's and must
// not change.  Error: another N or slot length than the run's.
Status lead_run_attach(LeadRun *r, const TrafficSeries *s);

// Forecasts the attached series after each of n rows t: samples of rows t+1 .. t+K -> out [n][S][K][F] kbit/s,
// S = cfg.samples, K = cfg.horizon.  point: the point forecast that cfg.point says, [n][K][F] kbit/s, or NULL.
// Sample s after row t depends on the data up to t, s, S and the seed, but not on n, nor on r->memory.
// With stats.fallback both are those of that naive forecast, fitted on the rows of the series up to the training's end,
// or up to t where that is earlier.
// Errors: lead_run_check's; those of lead_memory_fit; the cfg.history rows that end with t are not all valid and in one
// run; a forecast that is not finite.
Status lead_forecast(LeadRun *r, const int64_t *t, int n, float *out, float *point);

// The run, with a series attached, as a forecaster of evaluate(), called with `batch` windows.
Forecaster lead_forecaster(LeadRun *r, int batch);

// The kind of distribution that a window's samples are (traffic/metrics.h).
DistKind lead_dist(const LeadRun *r);

// Error: the `history` rows that end with t are not all valid and in one run.
Status forecast_history(const TrafficSeries *s, int64_t t, int history);

// The mean of v[0..S), and v sorted in place, ascending.  Quantiles of the sorted values: metric_quantile with the type
// of lead_dist, which is the one that coverage is scored with; they never cross.
float forecast_mean(const float *v, int S);
void forecast_sort(float *v, int S);

#endif
