// Inside src/traffic: rows on their way from a file to a series (series_grid.c, series.c, series_fill.c).
#ifndef LEAD_TRAFFIC_SERIES_ROWS_H
#define LEAD_TRAFFIC_SERIES_ROWS_H

#include "traffic/series.h"

enum { ROW_INVALID = 1, ROW_BORDER = 2, ROW_ADDED = 4 };   // left out as asked; begins a run as asked; not in the file

typedef struct SeriesRows {
    int N;
    int64_t T;
    float *x;                // [T][N][N], NaN: missing
    int64_t *time;           // [T] or NULL
    uint8_t *mark;           // [T] of ROW_*; NULL: none
    int slot_seconds;
} SeriesRows;

// The marks that o->gaps and o->invalid ask for, NULL when they ask for none.  Errors: rows outside the file.
Status series_marks(uint8_t **mark, Arena *a, const char *name, int64_t T, const TrafficReadOptions *o);

// The slot of these times: their usual step; where a poller is not on time, the divisor of a day nearest to its mean
// step, if that is within 5 %.  300 without times.  T >= 2, times increase.
int series_usual_slot(const int64_t *time, int64_t T, Arena *a);
Status series_check_slot(const char *name, int64_t seconds);

// Each changes r in place and counts in *did.
Status series_sort(SeriesRows *r, Arena *a, const char *name, TrafficReading *did);
Status series_to_grid(SeriesRows *r, const char *name, TrafficReading *did);
Status series_resample(SeriesRows *r, Arena *a, const char *name, const TrafficReadOptions *o, TrafficReading *did);
// Adds a row of NaN for each absent slot of a gap of at most `most` slots that nobody asked for.
void series_add_rows(SeriesRows *r, Arena *a, int64_t most, TrafficReading *did);

// A series of these rows, still with NaN where a value is missing.
Status series_open(TrafficSeries *s, Arena *a, const char *name, const SeriesRows *r, const TrafficReadOptions *o);
// Builds s->seen when a value is missing (NaN) or, in an invalid row, is none.
void series_mask(TrafficSeries *s, Arena *a);
#endif
