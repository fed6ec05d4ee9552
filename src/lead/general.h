// Forecasts without training [D]: weights that suit any network of nodes (lead/pretrain.h), with base, scale and
// statistics fitted on the user's series in closed form, and calibrated on its newest rows as a trained run is.
#ifndef LEAD_LEAD_GENERAL_H
#define LEAD_LEAD_GENERAL_H

#include "lead/calibrate.h"

// file_bundled (io/file.h) says where.  The first draws in few network calls, distilled from the second, which has its
// heads: what is trained or distilled further begins with that.
#define GENERAL_BUNDLED "data/pretrained/model.safetensors"
#define GENERAL_TEACHER "data/pretrained/teacher.safetensors"

// Whether the file holds such weights.  Error: it cannot be read as a checkpoint.
Status lead_is_general(bool *is, const char *file, Arena *scratch);
bool lead_general_file(const SafeFile *f);   // the same of an open one

// The configuration of such weights, and the network calls that they were distilled to draw in (0: they were not; calls
// may be NULL).  Errors: those of checkpoint_open; not such weights.
Status lead_general_config(LeadConfig *cfg, int *calls, const char *file, Arena *scratch);

// The first of the rows that such a run needs of a series that ends at row `end`: the newest 20000.  What is older
// tells little of the next hours, and a forecast shall not wait for it.
int64_t lead_general_first(int64_t end);

// Error: such weights have too little to work with in these rows: no traffic, or fewer windows than the base and the
// statistics are fitted on.  cfg: theirs.
Status lead_general_enough(const TrafficSeries *s, TrafficRange rows, const LeadConfig *cfg, Arena *scratch);

// Makes a run of the weights in `file` and the series s, which is attached (lead_run_attach): statistics from the rows
// `train`; spread, weight of the head and fall-back from the rows `val`, which may hold too few windows for that
// (out->windows = 0).  memory: of the run, 0 for no limit.  Errors: those of checkpoint_open, lead_stats_fit and
// lead_memory_fit; not such weights.
Status lead_general_load(LeadRun *r, const char *file, const TrafficSeries *s, TrafficRange train, TrafficRange val,
                         size_t memory, const Device *dev, Arena *perm, Arena *step, Arena *scratch,
                         Calibration *out);

// The same run with statistics of the rows `all` in their place, calibration kept: for forecasts of what comes next.
Status lead_general_refit(LeadRun *r, TrafficRange all);

#endif
