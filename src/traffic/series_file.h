// Series in files of our own: .npz, and the formats that `lead data export` writes.
//
// A .npz is a zip of NumPy arrays (numpy.load): values float32 [T,N,N] kbit/s, NaN where a value is missing; times
// int64 [T], Unix seconds; nodes, text [N]; slot_seconds int64 []; unit, text []; zone, text [], of hours and
// weekdays, when it is not UTC; seen uint8 [T,N,N], 1 = measured, when something is not.  values alone is required; a
// zip of one array is read as that array.
#ifndef LEAD_TRAFFIC_SERIES_FILE_H
#define LEAD_TRAFFIC_SERIES_FILE_H

#include "io/npz.h"
#include "traffic/text.h"

// Reads what lies in memory, by its first bytes: .npz, .npy, or text.  The caller looks for times beside it.
Status traffic_source_read(TrafficTable *t, Arena *a, const TextSource *s, const TrafficReadOptions *o,
                           TrafficNotes *notes);

// The arrays of a table.  Errors: shapes; times outside 1990 .. 2100 or not T.
// last_use: nobody reads the bytes of v afterwards, their memory may be given back.
Status traffic_matrices_of(TrafficTable *t, Arena *a, const NpyView *v, bool last_use, const char *name);
Status traffic_times_of(int64_t **time, Arena *a, const NpyView *v, int64_t T, const char *name);

Status traffic_npz_read(TrafficTable *t, Arena *a, const void *bytes, size_t size, const char *path,
                        TrafficNotes *notes);
void traffic_npz_put(NpzWriter *w, const TrafficSeries *s, Arena *a);   // its arrays, between npz_begin and npz_end
Status traffic_npz_write(const TrafficSeries *s, Arena *a, const char *path);

#endif
