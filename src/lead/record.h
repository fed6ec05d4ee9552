// What the metadata of a checkpoint say about the run that it belongs to: configuration, data, rows, progress.
#ifndef LEAD_LEAD_RECORD_H
#define LEAD_LEAD_RECORD_H

#include "io/safetensors.h"
#include "lead/config.h"
#include "traffic/series.h"

typedef struct LeadRecord {
    const char *file;                          // that it was read from
    const char *note;                          // of checkpoint_open: for people, or NULL
    LeadConfig cfg;
    const char *manifest, *data_path, *start;  // as in TrainOptions (train.h); start: "" = from nothing
    const char *data_sha256;                   // of the series
    const char *series;                        // lead_series_text of it; NULL: written before there was one
    const char *bits;                          // checkpoint_bits; NULL: as above
    const char *nodes;                         // names of its nodes, a line each; "" = it had none
    const char *zone;                          // of its hours and weekdays; "" = UTC
    TrafficRange train, val, final;
    bool in_final;                             // file is of the final fit
    int64_t step, total;                       // of the file
    int64_t best_step;
    int64_t parameters;                        // values that training changes
    int calls, teacher_calls;                  // of lead distill: network calls of a sample, and the teacher's; else 0
} LeadRecord;

// Reads it from an open file.  Errors: a key is missing, or its value is none that a run writes.
Status lead_record_read(LeadRecord *r, Arena *a, const SafeFile *f);
// Reads it from the checkpoint of a run directory, else from its best or final weights (run_directory_read).  Errors:
// no run there; a file that is damaged, of another program or version.
Status lead_record_open(LeadRecord *r, Arena *a, const char *dir);

// How many network calls a distilled run of this configuration draws in, and by how many it was taught; 0: another run.
// Error: values that no distillation writes.
Status lead_record_calls(const LeadConfig *cfg, const SafeFile *f, int *teacher_calls, int *calls);

// The configuration alone.  Keys that it lacks get the values of `paper`.  Errors: values that config_check refuses.
Status lead_record_config(LeadConfig *cfg, Arena *a, const SafeFile *f);

// SHA-256 of a series as a run records it (data_sha256): values, validity, times, borders of runs.
const char *lead_data_hash(const TrafficSeries *s, Arena *a);

// The first `rows` rows of a series: what a grown series begins with.  Their number, nodes, seconds of a slot, and a
// SHA-256 of values and times.
const char *lead_series_text(const TrafficSeries *s, int64_t rows, Arena *a);
// Whether s is the series of r grown by new rows; *known = false: r does not say what it was trained on.  Error:
// another.
Status lead_record_grown(const LeadRecord *r, const TrafficSeries *s, bool *known, Arena *a);

#endif
