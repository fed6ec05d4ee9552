// Long tables: one value a line, with time, source and destination, as CSV with a header, as JSON (objects one a line,
// over several lines, or in one array; long_json.h), or as four columns without a header.
//   columns      by --columns, else by the names that pmacct, Akvorado, goflow2, nfdump and people use
//   duplicates   of a time and pair are summed
//   nodes        integers by value, other names by their bytes
//   absent       a pair that a slot does not list is 0 where bytes are counted, else missing; --absent says otherwise.
//                A pair that is never listed is 0.
//   bytes        are those of a slot; --slot-seconds adds up records that carry times of their own
//   sampling     --sampling, else a column sampling_rate
//   map          --map FILE, lines "router node" or "10.1.0.0/16 node" (the longest prefix counts); what it does not
//                name is left out and counted
#ifndef LEAD_TRAFFIC_LONG_H
#define LEAD_TRAFFIC_LONG_H

#include "traffic/text.h"

// Whether the text is such a table.  Error: --columns names a column that is not there.
Status long_is(bool *is, Arena *a, const TextSource *s, const TrafficReadOptions *o);

// Reads it.  Errors name file and line.
Status long_read(TrafficTable *out, Arena *a, const TextSource *s, const TrafficReadOptions *o, TrafficNotes *notes);

// ---- routers and prefixes to nodes (long_map.c) --------------------------------------------------------------------

typedef struct NodeMap NodeMap;
Status node_map_read(NodeMap **map, Arena *a, const char *path);
Status node_map_parse(NodeMap **map, Arena *a, const TextSource *source);   // the same in memory; keeps its bytes
// The node of a name, of an address: that of its longest prefix; n = 0: none.
TextField node_map_find(const NodeMap *map, TextField name);

#endif
