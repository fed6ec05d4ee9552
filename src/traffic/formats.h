// Traffic matrices in the formats that data sets and planning tools publish, read into a TrafficTable (table.h), and
// the writers of some of them.  docs/formats.md describes each format and where its rules come from.
//   SNDlib XML, SNDlib native      demand matrices of sndlib.zib.de, one a file
//   TOTEM XML                      IntraTM matrices of the TOTEM toolbox, one a file
//   Abilene X file                 X01 .. X24: five estimates of each flow on a line, of which the first is measured
//   matrix text                    N*N numbers a line: .hist of DOTE and FIGRET, np.savetxt, realOD columns
//   Roughan .dat                   one N x N matrix under a header of '# key = value'
//   REPETITA demands               one list of demands; node names from the .graph file
//   Paragon demands, trafficload   Juniper Paragon and NorthStar Planner
// What a file is, its first bytes and lines decide, not its name.  A name may say what the bytes do not: the time
// (TM-2004-03-01-0005.xml), which week X07 is, the unit of a .hist, the .graph of Net.0003.demands.
#ifndef LEAD_TRAFFIC_FORMATS_H
#define LEAD_TRAFFIC_FORMATS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"
#include "traffic/table.h"

typedef enum TrafficFormat {
    FORMAT_OTHER,                // CSV, JSON lines, .npy, .npz, ..: for TableReader
    FORMAT_SNDLIB_XML, FORMAT_SNDLIB_NATIVE, FORMAT_TOTEM, FORMAT_X, FORMAT_TEXT, FORMAT_ROUGHAN, FORMAT_REPETITA,
    FORMAT_PARAGON_DEMAND, FORMAT_PARAGON_LOAD,
    FORMAT_GRAPH,                // REPETITA .graph: names for the demands beside it, no matrix
    FORMAT_TOPOLOGY,             // TOTEM topology: no matrix
    FORMAT_INTERFACE,            // Paragon interface traffic: loads of links, no matrix
    FORMAT_UNKNOWN_XML,
    FORMAT_COUNT
} TrafficFormat;

const char *traffic_format_name(TrafficFormat f);

// What the content is.  bytes[size] must be readable and NUL.
TrafficFormat traffic_format_detect(const char *bytes, size_t size);

// Reads a file of FORMAT_OTHER: `bytes` (decompressed; bytes[size] is NUL; may be changed) is the content of `path`.
typedef Status TableReader(TrafficTable *out, Arena *a, const char *path, char *bytes, size_t size, void *arg);

typedef struct TableReadOptions {
    TableReader *other;          // NULL: such files are refused
    void *other_arg;
    const char *tz;              // the zone of times that name none (times.h); NULL: UTC
} TableReadOptions;

// What was understood, one fact a line: format and number of files, what was left out and why, what was guessed.
enum { TABLE_MAX_NOTES = 32 };
typedef struct TableNotes { int n; const char *line[TABLE_MAX_NOTES]; } TableNotes;

// Reads all paths into one table.  A path is a file, a directory (its files and those of its directories, in the order
// of their names, numbers by value; hidden files left out) or a pattern with * ? [].  Files may be gzip.
//   times    sorted; two matrices of one time must be equal, and one of them is left out
//   nodes    the union of the names, in their order (integers by value); where a file that lists its nodes does not
//            list one, its row and column are missing (NaN) there
//   absent   a pair that is not listed is 0; a file that lists none at all is a missing matrix (NaN)
//   units    converted to that of the first file
// Files without times keep their order.  notes may be NULL.  Errors name the file: those of the formats; no file; files
// of two formats; times, names or units in some of the files only; two lengths of a slot; matrices of two sizes without
// names; more than 4096 nodes.
Status traffic_table_read(TrafficTable *out, TableNotes *notes, Arena *a, const char *const *paths, int n_paths,
                          const TableReadOptions *o);

// The same of one file in memory (decompressed; bytes[size] is NUL), which is called `name`.
Status traffic_table_parse(TrafficTable *out, TableNotes *notes, Arena *a, Arena *scratch, const char *name,
                           const char *bytes, size_t size);

// ---- writers.  x in kbit/s, origin-major; a file is written whole or not at all.  node: N names, or NULL: n0, n1, ..
// Errors: a value that is missing, negative or not finite; a name with a blank or '#'; the file cannot be written.

// .hist: x [T][N][N], one line of N*N numbers a matrix, bit/s, diagonal 0.
Status traffic_write_hist(const char *path, const float *x, int64_t T, int N);
// REPETITA demands: x [N][N], whole kbit/s, without the diagonal and what rounds to 0.
Status traffic_write_repetita(const char *path, const float *x, int N);
// Paragon demand file: x [N][N], whole bit/s, without the diagonal and zeros.
Status traffic_write_paragon_demands(const char *path, const float *x, int N, const char *const *node);
// Paragon trafficload file: x [T][N][N], T <= 24 periods of slot_seconds, in bit/s, one line for each pair off the
// diagonal that is above 0 in any period, whose demands traffic_write_paragon_demands writes from the maximum over the
// periods.  start: Unix s of the first; negative: unknown.
Status traffic_write_paragon_load(const char *path, const float *x, int64_t T, int N, const char *const *node,
                                  int64_t start, int slot_seconds);

#endif
