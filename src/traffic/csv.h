// Traffic matrices as CSV: one snapshot a line, N*N values in kbit/s, origin-major, with or without a header line, with
// or without a time in the first column, comma, semicolon or tab, optional separator at the end of each line.
// A line of N*N fields has no time; one of N*N+1 fields begins with it (N*N+1 is never a square: no ambiguity).
// Times: 2005-01-01-00-30, 2005-01-01 00:30[:00], 2005-01-01T00:30[:00][Z], or Unix seconds; read as UTC.
#ifndef LEAD_TRAFFIC_CSV_H
#define LEAD_TRAFFIC_CSV_H

#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

// Reads x [T][N*N] kbit/s and time [T] (NULL without a time column) into the arena.  The caller checks the values.
// Errors name file and line: unreadable number or time, another number of fields than in the line before, no data.
Status csv_read(int *N, int64_t *T, float **x, int64_t **time, Arena *a, const char *path);

// Converts a time in one of the forms above to Unix seconds.  False when text is in none of them.
bool csv_parse_time(const char *text, int64_t *seconds);

#endif
