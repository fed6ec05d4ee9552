// A series in the formats of other programs.
#ifndef LEAD_TRAFFIC_SERIES_EXPORT_H
#define LEAD_TRAFFIC_SERIES_EXPORT_H

#include "traffic/series.h"

typedef enum ExportFormat {
    EXPORT_CSV,          // a line a snapshot, a header of pairs "A->B"; times in ISO 8601; kbit/s, empty: missing
    EXPORT_LONG,         // time,source,destination,kbps; what is missing is left out
    EXPORT_NPY,          // [T,N,N] and times.npy beside it; NaN: missing
    EXPORT_NPZ,          // series_file.h
    EXPORT_HIST,         // N*N numbers a line, bit/s, as DOTE and FIGRET read them; the diagonal is 0
    EXPORT_REPETITA,     // demands of one snapshot, whole kbit/s
    EXPORT_PARAGON,      // demand file of one snapshot, bit/s
    EXPORT_PARAGON_LOAD, // trafficload file of at most 24 snapshots, bit/s
    EXPORT_FORMATS
} ExportFormat;
extern const char *const export_names[EXPORT_FORMATS];   // "csv", "long", ..

// The format that a file's name ends in; false: none.
bool export_format_of(ExportFormat *f, const char *path);
// Writes these rows of a series that was read to be written (keep_missing), whole or not at all.  Errors: a missing
// value where the format has none; a format of one snapshot and several rows; those of formats.h; no file.
Status traffic_series_export(const TrafficSeries *s, Arena *a, const char *path, ExportFormat format,
                             TrafficRange rows);

#endif
