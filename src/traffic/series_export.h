// A series in the formats of other programs.
#ifndef LEAD_TRAFFIC_SERIES_EXPORT_H
#define LEAD_TRAFFIC_SERIES_EXPORT_H

#include "traffic/series.h"

typedef enum ExportFormat {
    EXPORT_CSV,          // a line a snapshot, a header of pairs "A->B"; times in ISO 8601; kbit/s, empty: missing
    EXPORT_LONG,         // time,source,destination,kbps; what is missing is left out
    EXPORT_NPY,          // [T,N,N] and times.npy beside it; NaN: missing
    EXPORT_NPZ,          // series_file.h
    EXPORT_HIST,         // N*N numbers a line, bit/s, as DOTE and FIGRET read them; their diagonal is 0
    EXPORT_REPETITA,     // demands of one snapshot, whole kbit/s
    EXPORT_FORMATS
} ExportFormat;
extern const char *const export_names[EXPORT_FORMATS];   // "csv", "long", ..

// The format that a file's name ends in; false: none.
bool export_format_of(ExportFormat *f, const char *path);
// Writes it, whole or not at all.  row: of REPETITA.  Errors: a missing value where the format has none; no file.
Status traffic_series_export(const TrafficSeries *s, Arena *a, const char *path, ExportFormat format, int64_t row);

#endif
