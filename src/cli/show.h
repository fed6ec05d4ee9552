// What a person is shown: tables and pictures of an evaluation, a forecast and a training run.
#ifndef LEAD_CLI_SHOW_H
#define LEAD_CLI_SHOW_H

#include <stdio.h>

#include "lead/forecast.h"
#include "traffic/evaluate.h"

// RMSE and CRPS of every model at a few horizons, the scaled space.
void show_table(const EvalTable *t, const char *comment, int K, FILE *out);
// RMSE and CRPS by horizon, all models.
Status show_eval_png(const EvalTable *t, int K, const char *path, Arena *a);
// The line below a film strip: what the three colours of E2 mean.
extern const char *const show_film_note;

// One window: RGB film strip, heat maps of truth / mean / error, fan charts of the largest flows.  samples [S][K][F]
// kbit/s of the rows after t; rows t+1.. that the series has, up to a gap, are the truth.  Writes dir/film.png,
// maps.png, fans.png.
Status show_window_pngs(const LeadRun *r, const TrafficSeries *s, int64_t t, const float *samples, const char *dir,
                        Arena *a);
// dir/loss.png from run/log.jsonl.
Status show_loss_png(const char *log_path, const char *path, Arena *a);

#endif
