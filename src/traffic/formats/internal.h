// What the readers of src/traffic/formats share: text, and the builder, which joins the matrices of many files.
#ifndef LEAD_TRAFFIC_FORMATS_INTERNAL_H
#define LEAD_TRAFFIC_FORMATS_INTERNAL_H

#include <stdbool.h>

#include "traffic/formats.h"

enum { FORMATS_MAX_NODES = 4096, FORMATS_MAX_NAME = 127 };

// ---- text ----------------------------------------------------------------------------------------------------------

typedef struct Slice { const char *s; size_t n; } Slice;
#define SLICE(x) (int)((x).n > 40 ? 40 : (x).n), (x).s      // for %.*s

Slice slice_of(const char *s);
bool slice_is(Slice s, const char *word);
bool slice_begins(Slice s, const char *word);
Slice slice_trim(Slice s);                                  // without blanks at either end

typedef struct Lines {
    const char *p, *end;
    int64_t line;                // number of the last one read, from 1
    const char *unused;          // pages from here on are given back once read; NULL: they are kept
} Lines;
Lines lines_of(const char *bytes, size_t size);                         // a byte order mark is skipped
bool lines_next(Slice *line, Lines *l);                                 // without LF, CRLF
bool lines_next_data(Slice *line, Lines *l);                            // neither blank nor a '#' comment; trimmed
bool field_next(Slice *field, Slice *rest);                             // fields are separated by blanks or tabs

bool slice_number(double *v, Slice s);                      // all of s, finite
bool slice_integer(int64_t *v, Slice s, int64_t max);       // all of s, digits only, 0 .. max

// A time as a file or its name writes it: as if it were UTC, unless it names its zone.
typedef struct Stamp { bool known, zoned; int64_t seconds; } Stamp;
bool time_read(Stamp *t, Slice s);                          // what times.h reads; 200403, 2004
bool time_in_name(Stamp *t, const char *path);              // ..-20040301-0005.xml, TM-2004-03-01-00-05.xml, ..
int duration_read(Slice s);                                 // seconds of "5min", "1 day"; 0: unknown
double unit_read(const char *text);                         // kbit/s of "MBITPERSEC", "Gbytes / second"; 0: unknown
const char *base_name(const char *path);

// ---- the builder ---------------------------------------------------------------------------------------------------

typedef struct FormatFile {
    const char *path, *bytes;    // bytes[size] is NUL
    size_t size;
    bool alone;                  // no other file may be looked up beside it (it lies in memory)
    bool mapped;                 // pages that were read may be given back, to be read again
} FormatFile;

// What holds for all matrices of a file.
typedef struct FileHead {
    TrafficFormat format;
    double kbps;                 // as in TrafficTable
    const char *unit;
    int slot_seconds;            // 0: the file does not say
    bool lists_nodes;            // a node that it does not name is unknown to it: missing, not 0
    bool sums;                   // a pair may come more than once: its demands add up; else that is an error
} FileHead;

typedef struct TableBuilder TableBuilder;

// What is handed out goes to result; store is needed until builder_finish and may be result; scratch is another arena.
TableBuilder *builder_new(Arena *result, Arena *store, Arena *scratch, TableNotes *notes);
Arena *builder_scratch(TableBuilder *b);                         // for one file: rewound by builder_file
Arena *builder_store(TableBuilder *b);                           // for all files
bool builder_empty(const TableBuilder *b);                       // no matrix has come yet
void builder_note(TableBuilder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void builder_keep_order(TableBuilder *b);                        // nodes stay in the order in which they came

// Each file: builder_file, then builder_head once, before its matrices.  path must live as long as b.
// Errors: another format, unit or slot than the files before.
void builder_file(TableBuilder *b, const char *path);
Status builder_head(TableBuilder *b, const FileHead *head);

// Matrices that list pairs: begin, node and pair any number of times, end.  `line` is for messages, 0: unknown.
void builder_begin(TableBuilder *b, Stamp time);
Status builder_node(int *index, TableBuilder *b, Slice name, int64_t line);
int builder_find(const TableBuilder *b, Slice name);             // -1: builder_node was not called for it since begin
Status builder_pair(TableBuilder *b, int from, int to, double value, int64_t line);     // NaN: missing
Status builder_end(TableBuilder *b);

// A matrix that holds every value, of nodes without names: *x [N][N] is to be filled with values in the file's unit.
Status builder_dense(float **x, TableBuilder *b, int N, Stamp time);
void builder_scale(const TableBuilder *b, float *x, int64_t n);  // n values in the file's unit: to that of the table
// A whole table that another reader made.
Status builder_table(TableBuilder *b, const TrafficTable *t);

int builder_nodes(const TableBuilder *b);
// tz: the zone of times that name none, as in times.h; NULL: UTC.
Status builder_finish(TrafficTable *out, TableBuilder *b, const char *tz);

// ---- readers: f into b ---------------------------------------------------------------------------------------------

typedef Status FormatReader(TableBuilder *b, const FormatFile *f);
FormatReader read_sndlib_xml, read_sndlib_native, read_totem, read_x, read_matrix_text, read_roughan;

// REPETITA: names of the nodes of a .graph; demands with those names, or with the numbers when graph is NULL.
typedef struct NodeNames { int n; Slice *name; const char *path; } NodeNames;
Status read_graph(NodeNames *graph, Arena *a, const FormatFile *f);
Status read_repetita(TableBuilder *b, const FormatFile *f, const NodeNames *graph);

// Paragon: the demands that the lines of a trafficload name.
typedef struct ParagonDemand { Slice id, from, to; double bps; int64_t line; } ParagonDemand;
typedef struct ParagonDemands { int64_t n; ParagonDemand *demand; const char *path; } ParagonDemands;   // sorted by id
Status parse_paragon_demands(ParagonDemands *d, Arena *a, const FormatFile *f);
Status read_paragon_demands(TableBuilder *b, const FormatFile *f);
Status read_paragon_load(TableBuilder *b, const FormatFile *f, const ParagonDemands *d);

#endif
