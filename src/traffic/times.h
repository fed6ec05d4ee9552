// Times as people write them, to Unix seconds.  A number or date outside 1990 .. 2100 is no time of traffic: a row
// number, a rate or an address must not be taken for one.
//   numbers   Unix seconds, ms, us or ns, told apart by their size; with a fraction, or as np.savetxt prints them
//   compact   20230101, 202301010005, 20230101000530, 20230101-0005, 20230101T000530Z
//   ISO 8601  2005-01-31, 2005-01-31[T ]23:45[:10[.250]], also with slashes or dots, and 31.01.2005 23:45
//   dashes    2005-01-31-23-45
//   offset    Z, UTC, GMT, +01:00, +0100, +01 behind a date with a time
#ifndef LEAD_TRAFFIC_TIMES_H
#define LEAD_TRAFFIC_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/status.h"

enum { DAY_SECONDS = 86400 };

bool time_plausible(int64_t seconds);                 // 1990-01-01 .. 2100-01-01
// Seconds of a number whose unit (s, ms, us, ns) its size tells, rounded; false where none is plausible.
bool time_from_number(double value, int64_t *seconds);

typedef enum TimeForm { TIME_NONE, TIME_LOCAL, TIME_ZONED } TimeForm;
// Reads text[0..n), blanks around it skipped.  TIME_LOCAL: *seconds as if it were UTC, the text names no zone.
// TIME_ZONED: Unix seconds.  TIME_NONE: no time.
TimeForm time_parse(const char *text, size_t n, int64_t *seconds);

// A time zone: UTC, a fixed offset (+02:00), or a name of the system's tz database (Europe/Berlin).
typedef struct TimeZone {
    const char *name;
    bool named;                      // needs the database, which the C library reads by way of TZ
    int64_t offset;                  // of one that is not named, s east of UTC
    int64_t last_local, last_utc;    // of the previous call
    bool started;
} TimeZone;
// name NULL: UTC.  Sets TZ when it is a name.  Errors: no such zone, no database.
Status time_zone_open(TimeZone *z, const char *name);
// Unix seconds of a local time (TIME_LOCAL).  Times come in the order of the file: an hour that comes twice, when
// summer time ends, is summer time first.  Error: a time that the clock skips.
Status time_zone_utc(TimeZone *z, int64_t local, int64_t *seconds);

// Seconds east of UTC at a Unix time.
int64_t time_zone_east(const TimeZone *z, int64_t utc);

// "2005-01-31 23:45" or, where the seconds are not 0, "2005-01-31 23:45:10", in UTC.
typedef struct TimeText { char s[32]; } TimeText;
TimeText time_text(int64_t seconds);

// "300", "300 s", "5m", "5 min", "1h", "1 day": seconds, at least 1.  False when it is none of them.
bool duration_parse(const char *text, size_t n, int64_t *seconds);

#endif
