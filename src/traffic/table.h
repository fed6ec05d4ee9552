// What a reader of one file format finds, before it becomes a series (traffic/series.h): matrices in the order of the
// file, as the file has them.  All arrays live in the arena given to the reader.
#ifndef LEAD_TRAFFIC_TABLE_H
#define LEAD_TRAFFIC_TABLE_H

#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

typedef struct TrafficTable {
    const char *format;          // its name, as messages print it: "SNDlib XML"
    int N;                       // nodes, >= 2
    int64_t T;                   // matrices, >= 1; in any order of time
    const char *const *node;     // [N] names; NULL: the file has none
    int64_t *time;               // [T] start of the slot, Unix s; NULL: the file has none
    int slot_seconds;            // 0: the file does not say
    const char *zone;            // of hours and weekdays; NULL: the file does not say
    float *x;                    // [T][N][N] origin-major, in units of `kbps`; NaN: missing
    double kbps;                 // one unit of the file in kbit/s; 0: the file does not say
    const char *unit;            // how the file names its unit; NULL: it does not
    bool absent_is_zero;         // x holds 0 where the file lists no value, since its format says so
} TrafficTable;

#endif
