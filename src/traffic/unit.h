// Units of traffic.  Inside the program a value is a mean rate in kbit/s.
#ifndef LEAD_TRAFFIC_UNIT_H
#define LEAD_TRAFFIC_UNIT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct TrafficUnit {
    double kbit;         // kbit in one unit of the file
    double seconds;      // that it is counted over; 0: over a slot
} TrafficUnit;

// Reads "kbit/s", "Mbps", "MBITPERSEC", "GB/s", "bytes per slot", "B/slot", "100 bytes per 5 minutes", "800 B per slot"
// (packets of 800 bytes).  b and bit are bits, B, bytes and octets bytes; prefixes k, M, G, T are powers of 1000, Ki,
// Mi, Gi of 1024.  False when it is none of these.
bool unit_parse(const char *text, size_t n, TrafficUnit *u);
// The unit that the name of a column ends in: "traffic_mbps", "rate (Gbit/s)", "kbps", "bytes".  Bytes and octets alone
// are those of a slot.
bool unit_of_column(const char *name, TrafficUnit *u);
// What one unit is in kbit/s, in slots of that length.
double unit_kbps(const TrafficUnit *u, double slot_seconds);

#endif
