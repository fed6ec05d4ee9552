// What the metadata of a checkpoint say about the run that it belongs to: configuration, data, rows, progress.
#ifndef LEAD_LEAD_RECORD_H
#define LEAD_LEAD_RECORD_H

#include "io/safetensors.h"
#include "lead/config.h"
#include "traffic/series.h"

typedef struct LeadRecord {
    const char *file;                          // that it was read from
    LeadConfig cfg;
    const char *manifest, *data_path, *start;  // as in TrainOptions (train.h); start: "" = from nothing
    const char *data_sha256;                   // of the series
    TrafficRange train, val, final;
    bool in_final;                             // file is of the final fit
    int64_t step, total;                       // of the file
    int64_t best_step;
} LeadRecord;

// Reads it from an open file.  Errors: a key is missing, or is not what a run writes.
Status lead_record_read(LeadRecord *r, Arena *a, const SafeFile *f);
// Reads it from the checkpoint of a run directory, else from its best or final weights.  Errors: no run there; a file
// of another program or version.
Status lead_record_open(LeadRecord *r, Arena *a, const char *dir);

// The configuration alone.  Keys that it lacks get the values of `paper`.
Status lead_record_config(LeadConfig *cfg, Arena *a, const SafeFile *f);

// SHA-256 of a series as a run records it (data_sha256): values, validity, times, borders of runs.
const char *lead_data_hash(const TrafficSeries *s, Arena *a);

#endif
