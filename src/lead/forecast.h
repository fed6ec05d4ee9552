// A trained run, loaded to forecast (E8): S sample paths of the next K matrices in physical units.
#ifndef LEAD_LEAD_FORECAST_H
#define LEAD_LEAD_FORECAST_H

#include "lead/data.h"
#include "traffic/evaluate.h"

typedef struct LeadRun {
    LeadConfig cfg;              // as trained; sampling keys may be changed before forecasting
    LeadStats stats;
    LeadModel model;
    ParamSet ps;
    Tape tape;
    LeadSampling sampling;       // recorded
    Arena *perm;
    LeadData data;               // of the series that lead_run_attach was given
    int64_t step;                // training steps done
    const char *manifest, *data_path;
    TrafficRange train, val;     // rows of the training data it was fitted and validated on
    const TrafficSeries *series;
} LeadRun;

// Loads dir/best.safetensors, or dir/checkpoint.safetensors when there is none, or the file itself.  llm: overrides the
// recorded directory of the LLM (NULL: as recorded); weights other than those trained with are an error.
Status lead_run_load(LeadRun *r, const char *path, const char *llm, const Device *dev, Arena *perm, Arena *step,
                     Arena *scratch);

// Takes the series to forecast from: it must fit the run (same N and slot length), and is put on the device.  s stays
// the caller's, is kept, and must not change.
Status lead_run_attach(LeadRun *r, const TrafficSeries *s);

// Of the attached series: samples of rows t+1 .. t+K after each of n rows t (which have cfg.history rows of one run up
// to them) -> out [n][S][K][F] kbit/s, S = cfg.samples, K = cfg.horizon.  Sample s after row t depends only on the
// data up to t, s, S and the seed: not on n.
Status lead_forecast(LeadRun *r, const int64_t *t, int n, float *out);

// The run, with a series attached, as a row of the evaluation table: point = mean of the samples.
Forecaster lead_forecaster(LeadRun *r, int batch);

// What the samples of a window are (traffic/metrics.h).
DistKind lead_dist(const LeadConfig *cfg);

// Order statistics of S values: mean and quantiles (metric_quantile of lead_dist's type, as coverage is scored; never
// crossing).
// sorted [S] is sorted in place.
float forecast_mean(const float *v, int S);
void forecast_sort(float *v, int S);

#endif
