// The columns of a long table (long.h) by name.
#ifndef LEAD_TRAFFIC_LONG_COLUMNS_H
#define LEAD_TRAFFIC_LONG_COLUMNS_H

#include "traffic/text.h"
#include "traffic/unit.h"

typedef enum LongColumn {
    LONG_TIME, LONG_SOURCE, LONG_DESTINATION, LONG_VALUE, LONG_SAMPLING, LONG_COLUMNS
} LongColumn;

// The columns with usual names, -1: none.  False when source, destination or value is missing.
bool long_columns_usual(int column[LONG_COLUMNS], const TextField *name, int n);
// Those that "time=a,source=b,destination=c,value=d" asks for, by name or by number from 1.
Status long_columns_asked(int column[LONG_COLUMNS], const char *asked, const TextField *name, int n, const char *path);

#endif
