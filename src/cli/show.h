// Output for people: tables and pictures of an evaluation, a forecast and a training run.
#ifndef LEAD_CLI_SHOW_H
#define LEAD_CLI_SHOW_H

#include <stdio.h>

#include "lead/forecast.h"
#include "traffic/evaluate.h"

// Prints RMSE and CRPS of every model at a few horizons, in the scaled space.
void show_table(const EvalTable *t, const char *comment, int K, FILE *out);
// Prints, of every model at the same horizons and over all of them, the scores that a few large or silent flows cannot
// decide (MetricBeside), after eval_compare.
void show_beside(const EvalTable *t, FILE *out);
// What the comparison says of a model, in words, with the best naive forecast that it is compared to; and of the table:
// days, live flows, the best naive forecast.
const char *show_verdict(const EvalTable *t, const char *model, Arena *a);
const char *show_basis(const EvalTable *t, Arena *a);
// comment, the basis and the verdicts in one line.
const char *show_findings(const EvalTable *t, const char *comment, Arena *a);
// show_table, show_beside, notes on rows left out and on few days, and a verdict for each model that is not naive.
void show_scores(const EvalTable *t, const char *comment, FILE *out, Arena *a);
// Draws RMSE and CRPS by horizon, for all models.
Status show_eval_png(const EvalTable *t, int K, const char *path, Arena *a);
// The line below a film strip: what the three colours of E2 mean.
extern const char *const show_film_note;

// Draws one window: dir/film.png, the RGB film strip; dir/maps.png, heat maps of truth, mean and error; dir/fans.png,
// fan charts of the largest flows.  samples: [S][K][F] kbit/s for the rows after t.  The truth is the rows t+1.. that
// the series has, up to a gap.
Status show_window_pngs(const LeadRun *r, const TrafficSeries *s, int64_t t, const float *samples, const char *dir,
                        Arena *a);
// Draws the losses of the log of a run (log.jsonl) to the PNG at path.
Status show_loss_png(const char *log_path, const char *path, Arena *a);

#endif
